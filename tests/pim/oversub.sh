#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# More programs than ranks: idle ones are saved and restored. Nobody sees what is
# another's, everybody finds what is its own; when not; ends of all kinds in each state.
#
# lab: --kernel 6.12 --mem 2G
# lab: --kernel 6.1 --mem 2G
# debug: kmemleak
# time: 300
#
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/pim/lib.sh
. "${0%/*}/lib.sh"

nodes=4
t_begin

param()	# NAME VALUE: of pim.ko
{
	echo "$2" >"/sys/module/pim/parameters/$1"
}

owner()	# UID KEY: a number of what is told of an owner
{
	"$pimctl" --json owner list | python3 -c '
import json, sys
print([o for o in json.load(sys.stdin) if o["uid"] == int(sys.argv[1])][0].get(sys.argv[2]))' "$1" "$2" 2>/dev/null
}

owner_is()	# KEY VALUE: of root
{
	[ "$(owner 0 "$1")" = "$2" ]
}

stat_is()	# NAME VALUE [RANK]
{
	[ "$(attr "${3:-0}" "stats/$1")" = "$2" ]
}

# over [ARGUMENT]...: the test's provider with ranks that can be saved, idle at once
over()
{
	provide --save ok "$@"
	param slice_ms 0
	param open_wait_ms 60000
	param return_wait_ms 60000
	"$pimctl" owner set 0 idle=20ms max_ranks=none max_parked=none max_parked_bytes=none
}

# user N: a program on /dev/dpu_rankN, in the background: its process is ${pid[N]}
user()
{
	start_user "$1"
	wait_until 20 says "/tmp/user$1.out" open || fail "$1: $(<"/tmp/user$1.out")"
}

start_user()
{
	rm -f "/tmp/user$1.in"
	mkfifo "/tmp/user$1.in"
	: >"/tmp/user$1.out"
	"$bin/rank" "/dev/dpu_rank$1" lines <>"/tmp/user$1.in" >"/tmp/user$1.out" 2>&1 &
	pid[$1]=$!
	said[$1]=0
}

# tell N LINE: to do; returns at once
tell()
{
	said[$1]=$((said[$1] + 1))
	echo "$2" >"/tmp/user$1.in"
}

done_all()	# N
{
	[ "$(grep -c done "/tmp/user$1.out")" = "${said[$1]}" ] || ended "${pid[$1]}"
}

# told N: it has done it
told()
{
	wait_until 60 done_all "$1" || fail "$1 is late: $(<"/tmp/user$1.out")"
	ended "${pid[$1]}" && fail "$1: $(<"/tmp/user$1.out")"
	return 0
}

# ask N LINE
ask()
{
	tell "$1" "$2"
	told "$1"
}

mine()	# N: what user N put there
{
	ask "$1" "filled 65536 $((1000 + $1))"
	ask "$1" "kept $((1000 + $1))"
}

stop()	# N
{
	kill -KILL "${pid[$1]}"
	reap "${pid[$1]}"
}

# Three programs, one rank, in turn.
alternate()
{
	local i n saves

	over
	for n in 0 1 2; do
		user $n
		ask $n clean
		ask $n "fill 65536 $((1000 + n))"
	done
	wait_until 20 owner_is parked 2
	for ((i = 0; i < $(times 10); i++)); do
		for n in 1 0 2; do
			mine $n
		done
		ask $((i % 3)) coherent
		ask $((i % 3)) "fill 65536 $((1000 + i % 3))"
	done
	wait_until 20 owner_is parked 2
	saves=$(attr 0 stats/saves)
	[ "$saves" -ge 32 ] || fail "$saves saves"
	stat_is restores $((saves - 2)) || fail "$saves saves, $(attr 0 stats/restores) restores"
	stat_is restore_errors 0
	[ "$(attr 0 stats/leases)" = 3 ]
	[ "$(owner 0 ranks)" = 1 ]
	[ "$(owner 0 parked_bytes)" -gt $((64 * 2 * 65536)) ] || fail "$(owner 0 parked_bytes) bytes"
	for n in 0 1 2; do
		stop $n
	done
	wait_until 20 owner_is parked 0
	owner_is parked_bytes 0
	become 0 free
	client clean
}

t_run alternate alternate
t_end
