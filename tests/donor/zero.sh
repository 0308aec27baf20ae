#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Memory changes hands as zeros only, also when clients die in the middle; and
# nothing of them stays: connects and disconnects in great number.
# lab: --kernel 6.12 --mem 1G --smp 1
# debug: no
# time: 400
# shellcheck source=tests/donor/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"
set -u
t_begin

# fill CLIENT N SEED: take N slabs and write all of them
fill()
{
	local i

	expect "$1" "grants $2" "ok $2"
	for ((i = 0; i < $2; i++)); do
		expect "$1" "write $i 0 $slab $(($3 + i))" ok
	done
}

all_zero()	# CLIENT N
{
	local i

	expect "$1" "grants $2" "ok $2"
	for ((i = 0; i < $2; i++)); do
		expect "$1" "check $i 0 $slab 0" ok
	done
}

between_clients()
{
	donor -m 16
	client a
	client b
	expect a "open $addr $port $keys" 'ok *'
	expect b "open $addr $port $keys" 'ok *'
	fill a 8 50
	expect a bye ok
	wait_number free $((8 * slab))
	all_zero b 8
	[ "$(number zeroed)" -eq 8 ]
}

# One that gives back and is asked for again at once gets zeros too.
within_a_client()
{
	donor -m 4
	client a
	expect a "open $addr $port $keys" 'ok *'
	fill a 2 70
	expect a 'give 0 1' 'ok 2'
	wait_number free $((2 * slab))
	expect a 'grants 2' 'ok 2'
	expect a "check 2 0 $slab 0" ok
	expect a "check 3 0 $slab 0" ok
}

# The donor zeroes slowly; meanwhile another asks, and the dead one's grants are
# not to be had by anybody.
killed_while_zeroing()
{
	local start

	donor -m 16 -o zero-pause=40000 -o linger=500ms
	client a
	client b
	expect b "open $addr $port $keys" 'ok *'
	expect a "open $addr $port $keys" 'ok *'
	fill a 8 90
	kill -KILL "$(client_pid a)"
	start=$(now_ms)
	wait_until 10 zeroing || fail "nothing is being zeroed"
	expect b 'grants 8' '*'
	expect b 'regrant' 'ok *'
	# nobody waits for the zeroing: the donor answers in between
	expect b ping 'ok *'
	(($(now_ms) - start < 8000)) || fail "the donor was busy for $(($(now_ms) - start)) ms"
	kill -KILL "$(client_pid b)"
	client d
	expect d "open $addr $port $keys" 'ok *'
	wait_number free $((8 * slab)) 30
	all_zero d 8
}

zeroing()
{
	[ "$(number zeroing)" -gt 0 ] || [ "$(number zeroed)" -gt 0 ]
}

hundred_connects()
{
	local i before='' after='' n=100

	donor -m 8 -o linger=0
	client a
	expect a "open $addr $port $keys" 'ok *'
	expect a close ok
	wait_number nr_sessions 0
	before=$(counts)
	for ((i = 0; i < n; i++)); do
		expect a "open $addr $port $keys" 'ok *'
		case $((i % 4)) in
		0) expect a bye ok ;;
		1) expect a 'grants 2' 'ok 2'; expect a 'give 0' 'ok 1' ;;
		2) expect a 'grants 1' 'ok 1'; expect a bye ok ;;
		3) expect a join 'ok *' ;;
		esac
		expect a close ok	# without a word, but for the BYEs
		wait_number nr_sessions 0
	done
	wait_number free $((4 * slab))
	[ "$(number sessions_opened)" -eq $((n + 1)) ]
	after=$(counts)
	[ "$before" = "$after" ] || fail "resources: $before before, $after after"
}

counts()
{
	local kind

	for kind in qp mr pd cq cm_id; do
		echo "$kind $(res "$kind")"
	done
}

t_run between_clients between_clients
t_run within_a_client within_a_client
t_run killed_while_zeroing killed_while_zeroing
t_run hundred_connects hundred_connects
t_end
