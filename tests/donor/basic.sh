#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A donor and its clients over soft-RoCE in one machine: what works when
# everybody behaves.
# lab: --kernel 6.12 --mem 1G --smp 1
# time: 200
set -u
. "${0%/*}/lib.sh"
t_begin

grant_read_write()
{
	donor -m 32
	client a
	expect a "open $addr $port $keys" "ok * $slab *"
	expect a 'grants 3' 'ok 3'
	expect a "check 0 0 $slab 0" ok
	expect a "write 0 0 $slab 7" ok
	expect a "write 2 4096 8192 9" ok
	expect a "check 0 0 $slab 7" ok
	expect a "check 2 4096 8192 9" ok
	expect a "check 1 0 $slab 0" ok
	wait_number granted $((3 * slab))
	expect a 'give 1' 'ok 1'
	wait_number granted $((2 * slab))
	expect a 'bye' ok
	wait_number free $((16 * slab))
}

t_run grant_read_write grant_read_write
t_end
