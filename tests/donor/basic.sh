#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A donor and its clients over soft-RoCE in one machine: what is granted, to
# whom, and that nobody reaches what is another's.
# lab: --kernel 6.12 --mem 1G --smp 1
# lab: --kernel 6.1 --mem 1G --smp 1
# debug: no
# time: 300
# shellcheck source=tests/donor/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"
set -u
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
	expect a ping "ok free * held $((2 * slab))"
	expect a stats 'ok granted 3 given_back 1 resumed 0'
	expect a bye ok
	wait_number free $((16 * slab))
	[ "$(number zeroed)" -eq 3 ]
}

ipv6_and_names()
{
	grep -q donor-host /etc/hosts || echo "$addr donor-host" >>/etc/hosts
	donor -m 8 -l donor-host -l "$addr6" -d rxe0
	client a
	client b
	expect a "open donor-host $port $keys" 'ok *'
	expect b "open $addr6 $port $keys" 'ok *'
	expect b 'grants 1' 'ok 1'
	expect b "write 0 0 65536 3" ok
	expect b "check 0 0 65536 3" ok
	ask status | grep -q "$addr6 "
}

# What a client may not do is refused by the device, and is the end of that
# connection only.
isolation()
{
	local at key bad

	donor -m 16
	client a
	client b
	expect a "open $addr $port $keys:host1" 'ok *'
	expect b "open $addr $port $keys:host2" 'ok *'
	expect a 'grants 2' 'ok 2'
	expect b 'grants 1' 'ok 1'
	expect a "write 0 0 $slab 11" ok
	read -r _ at key _ <<<"$(c a 'grant 0')"
	for bad in "$at $key 4096" "$at $key 4096 write"; do
		expect b "raw $bad" 'err wc 10 *'	# IBV_WC_REM_ACCESS_ERR
		wait_until 10 became b broken
		expect b resume 'ok active'
	done
	# the owner can, but not beyond its end, nor with another grant's key
	expect a "raw $at $key 4096" ok
	expect a "raw $((at + slab - 4096)) $key 4096" ok
	expect a "raw $((at + slab - 4088)) $key 4096" 'err wc 10 *'
	wait_until 10 became a broken
	expect a resume 'ok active'
	read -r _ _ bad _ <<<"$(c a 'grant 1')"
	expect a "raw $at $bad 8" 'err wc 10 *'
	wait_until 10 became a broken
	expect a resume 'ok active'
	# what was given back can be reached no more
	expect a 'give 1' 'ok 1'
	read -r _ at key _ <<<"$(c a 'grant 1')"
	expect a "raw $at $key 8" 'err wc 10 *'
	wait_until 10 became a broken
	expect a resume 'ok active'
	expect a "check 0 0 $slab 11" ok
}

became()	# CLIENT STATE
{
	[[ $(c "$1" state) == "ok $2 "* ]]
}

compete()
{
	local n=0 x y

	donor -m 16		# 8 slabs
	client a
	client b
	expect a "open $addr $port $keys:host1" 'ok *'
	expect b "open $addr $port $keys:host2" "ok * $((8 * MiB))"	# its quota
	say a 'grants 6'
	say b 'grants 6'
	x=$(answer a)
	y=$(answer b)
	n=$((${x#ok } + ${y#ok }))
	[ "$n" -eq 8 ] || fail "granted $x and $y of 8"
	((${y#ok } <= 4)) || fail "more than the quota: $y"
	expect a 'grants 1' 'err status 1'	# FULL
	for ((n = 0; n < ${x#ok }; n++)); do
		expect a "write $n 0 65536 $((100 + n))" ok
	done
	for ((n = 0; n < ${y#ok }; n++)); do
		expect b "check $n 0 65536 0" ok
	done
	# 8 is not one of its grants' numbers, so it is sent as it is
	expect b 'give 99999' 'err status 4 taken 0'
	expect a bye ok
	wait_number free $(((8 - ${y#ok }) * slab))
	# the rest of its quota, which may have been all of it before
	[ "${y#ok }" -eq 4 ] || expect b 'grants 6' "ok $((4 - ${y#ok }))"
	expect b 'grants 1' 'err status 2'	# QUOTA
}

data_connections()
{
	local qpn conn other

	donor -m 8 -o connections=2
	client a
	expect a "open $addr $port $keys" 'ok *'
	expect a 'grants 1' 'ok 1'
	read -r _ conn qpn <<<"$(c a join)"
	expect a "on $conn" "ok *"
	expect a 'write 0 0 65536 5' ok
	expect a 'on 0' 'ok *'
	expect a 'check 0 0 65536 5' ok
	# one that replaces another: the other is gone before it stands
	read -r _ other _ <<<"$(c a "join $qpn")"
	wait_number data_connections 1
	expect a "on $conn" "ok *"
	expect a 'write 0 0 4096 6' 'err *'
	expect a "on $other" "ok *"
	expect a 'check 0 0 65536 5' ok
	expect a join 'ok *'
	expect a join 'err reject 7 *'		# FULL
	expect a 'join 0 mac' 'err reject 5 *'	# AUTH
	expect a 'fence 1' 'err status 4'
	expect a 'fence 16777215' 'err status 4'
}

resume_keeps()
{
	donor -m 8 -o linger=20s
	client a
	expect a "open $addr $port $keys" 'ok *'
	expect a 'grants 2' 'ok 2'
	expect a "write 1 0 $slab 21" ok
	expect a join 'ok *'
	expect a drop 'ok broken'
	wait_until 10 session_is linger
	wait_number data_connections 0
	expect a 'resume mac' 'err reject 5 *'	# AUTH
	expect a 'resume session' 'err reject 6 *'	# no such session, as far as it can tell
	expect a 'resume' 'ok *'
	expect a "check 1 0 $slab 21" ok
	expect a 'regrant' 'ok 2'
	expect a "check 1 0 $slab 21" ok
	wait_until 10 session_is active
}

session_is()	# STATE
{
	ask status --json | grep -q "\"state\": \"$1\""
}

t_run grant_read_write grant_read_write
t_run ipv6_and_names ipv6_and_names
t_run isolation isolation
t_run compete compete
t_run data_connections data_connections
t_run resume_keeps resume_keeps
t_end
