#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Slabs that clients park on the donor's backing: out of reach there, whole when
# they come back, seen by nobody else; and what happens when the backing fails.
# lab: --kernel 6.12 --mem 1G --smp 1
# debug: no
# time: 400
# shellcheck source=tests/donor/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"
set -u
t_begin

dir=/tmp/donor-disk		# a filesystem
device=/dev/ram1		# for a backing that is a device
bad=/dev/mapper/bad		# the same, that fails when it is told to
under=/dev/ram2
sectors=$((32 * 2048))
export DM_DISABLE_UDEV=1	# there is none in the lab

disks()
{
	modprobe brd rd_nr=3 rd_size=$((32 * 1024)) max_part=0 && modprobe dm-mod || return
	wait_until 5 test -b "$under" || return
	mkfs.ext4 -q /dev/ram0 && mkdir -p "$dir" && mount /dev/ram0 "$dir" || return
	dmsetup create bad --table "0 $sectors linear $under 0" && wait_until 5 test -b "$bad"
}

becomes()	# TABLE
{
	dmsetup suspend --noflush --nolockfs bad
	dmsetup reload bad --table "$1"
	dmsetup resume bad
}

breaks()
{
	becomes "0 $sectors error"
}

heals()
{
	becomes "0 $sectors linear $under 0"
}

# seq_words FIRST LAST: the numbers, as words
seq_words()
{
	seq -s ' ' "$1" "$2"
}

# have CLIENT N SEED: it opens a session, takes N slabs and writes all of them
have()
{
	local i

	expect "$1" "open $addr $port $keys" 'ok *'
	expect "$1" "grants $2" "ok $2"
	for ((i = 0; i < $2; i++)); do
		expect "$1" "write $i 0 $slab $(($3 + i))" ok
	done
}

parked_are()	# N
{
	wait_number parked $(($1 * slab)) 20
}

# Is all that is on the backing zero? The file has no name.
backing_zero()
{
	local fd

	if [ -n "${1:-}" ]; then
		cmp -s -n "$((32 * MiB))" "$1" /dev/zero
		return
	fi
	for fd in /proc/"$(donor_pid)"/fd/*; do
		[[ $(readlink "$fd") == "$dir"/* ]] || continue
		cmp -s -n "$(stat -L -c %s "$fd")" "$fd" /dev/zero
		return
	done
	fail "the donor has no file there"
}

became()	# CLIENT STATE
{
	[[ $(c "$1" state) == "ok $2 "* ]]
}

there_and_back()
{
	local at key again fresh i

	donor -m 16 -o backing="$dir" -o backing-size=16M
	client a
	have a 3 100
	read -r _ at key _ <<<"$(c a 'grant 0')"
	expect a 'park 0 1' 'ok 2'
	# nobody reaches it, from the answer on
	expect a "raw $at $key 4096" 'err wc 10 *'
	wait_until 10 became a broken
	expect a resume 'ok active'
	expect a regrant 'ok 3'
	expect a 'grant 0' 'ok 0 0 * parked'
	parked_are 2
	expect a 'park 0' 'err status 4 parked 0'
	[ "$(number used)" -eq $((2 * slab)) ]
	not backing_zero
	expect a 'fetch 1 0' 'ok 2'
	read -r _ again fresh _ <<<"$(c a 'grant 0')"
	[ "$at" = "$again" ] || fail "the address is another: $at, $again"
	[ "$key" != "$fresh" ] || fail "the key is the same"
	for i in 0 1 2; do
		expect a "check $i 0 $slab $((100 + i))" ok
	done
	wait_number used 0
	backing_zero
	[ "$(number slabs_parked)" -eq 2 ]
	[ "$(number slabs_fetched)" -eq 2 ]
	# it may be in reach already
	expect a 'ask 2' 'ok 1'
	expect a 'wait 75 5000' 'ok 1'
	ask status | grep -q "^backing $dir: 16 MiB, "
	ask status --prometheus | grep -q "^emp_donor_backing_bytes $((16 * MiB))\$"
}

# Four slabs of memory, eight granted; round and round, all data right.
more_than_memory()
{
	local i round

	donor -m 8 -o backing="$dir" -o backing-size=16M
	client a
	client b
	expect a "open $addr $port $keys" 'ok *'
	for ((i = 0; i < 8; i++)); do
		wait_until 20 granted a || fail "no slab $i"
		expect a "write $i 0 $slab $((200 + i))" ok
		expect a "park $i" 'ok 1'
	done
	[ "$(number size)" -eq $((4 * slab)) ]
	for ((round = 0; round < 4; round++)); do
		for ((i = 0; i < 8; i++)); do
			expect a "fetch $i" 'ok 1'
			expect a "check $i 0 $slab $((200 + 10 * round + i))" ok
			expect a "write $i 0 $slab $((210 + 10 * round + i))" ok
			expect a "park $i" 'ok 1'
		done
	done
	# another gets memory of it, as zeros
	expect b "open $addr $port $keys:host2" 'ok *'
	wait_until 20 granted b
	expect b "check 0 0 $slab 0" ok
	# who fetches all of it waits for what is not there, and is asked to make room
	parked_are 8
	say a "fetch $(seq_words 0 7)"
	wait_until 20 number_is free 0
	expect b 'give 0' 'ok 1'
	[ "$(number parked)" -ge $((3 * slab)) ]
	kill -KILL "$(client_pid a)"
}

granted()	# CLIENT
{
	[[ $(c "$1" 'grants 1') == 'ok 1' ]]
}

cool()	# CLIENT PATTERN: the next COOL asks for so many
{
	# shellcheck disable=SC2053 # a pattern by intent
	[[ $(c "$1" 'wait 76 2000') == "ok "$2 ]]
}

shrinks()
{
	local i

	donor -m 16 -o backing="$dir" -o backing-size=16M
	client a
	have a 8 300
	wait_until 20 cool a '[1-8]' || fail "it is not asked, with nothing free"
	ask resize 8M
	wait_until 20 cool a '[5-8]' || fail "it is not asked for what is too much"
	expect a 'park 0 1 2 3 4' 'ok 5'
	parked_are 5
	wait_number size $((8 * MiB)) 20
	wait_number free "$slab" 20
	expect a 'wait 71 1' 'err none came, active'	# no REVOKE
	[ "$(number revokes_asked)" -eq 0 ]
	for i in 5 6 7; do
		expect a "check $i 0 $slab $((300 + i))" ok
	done
	ask resize 16M
	expect a 'fetch 0 1 2 3 4' 'ok 5'
	for ((i = 0; i < 8; i++)); do
		expect a "check $i 0 $slab $((300 + i))" ok
	done
}

# What it had parked is erased, and the next sees nothing of it.
killed()
{
	donor -m 16 -o backing="$dir" -o backing-size=4M -o linger=0
	client a
	client b
	have a 2 400
	expect a 'park 0 1' 'ok 2'
	parked_are 2
	not backing_zero
	kill -KILL "$(client_pid a)"
	wait_number used 0 20
	[ "$(number parked)" -eq 0 ]
	backing_zero
	wait_number free $((8 * slab))
	# its places are another's
	have b 2 410
	expect b 'park 0 1' 'ok 2'
	parked_are 2
	expect b 'fetch 1 0' 'ok 2'
	expect b "check 0 0 $slab 410" ok
	expect b "check 1 0 $slab 411" ok
	expect b 'grants 6' 'ok 6'
	expect b "check 7 0 $slab 0" ok
}

given_back()
{
	# so slowly that one is met at each of its stages
	donor -m 16 -o backing="$dir" -o backing-size=16M -o backing-pause=300000
	client a
	have a 4 500
	expect a 'park 0 1' 'ok 2'
	expect a 'give 1' 'ok 1'
	parked_are 1
	expect a 'give 0' 'ok 1'
	wait_number used 0 20
	expect a 'park 2' 'ok 1'
	parked_are 1
	expect a 'ask 2' 'ok 1'
	expect a 'give 2' 'ok 1'
	wait_number used 0 20
	backing_zero
	wait_number free $((7 * slab)) 20
	expect a "check 3 0 $slab 503" ok
	expect a 'wait 75 1' 'err none came, active'
}

# The connection breaks while things are on their way: the list tells how it went.
resumes()
{
	local i

	donor -m 16 -o backing="$dir" -o backing-size=16M -o backing-pause=300000
	client a
	have a 4 600
	expect a 'park 0' 'ok 1'
	parked_are 1
	expect a 'park 1 2' 'ok 2'
	expect a 'ask 0' 'ok 1'
	expect a ping 'ok *'				# it was heard
	expect a drop 'ok broken'
	expect a resume 'ok active'
	expect a regrant 'ok 4'
	expect a 'grant 1' 'ok 0 0 * parked'
	expect a drop 'ok broken'
	parked_are 2
	wait_number loading 0 20
	expect a resume 'ok active'
	expect a regrant 'ok 4'
	expect a 'grant 0' 'ok [1-9]*'
	[[ $(c a 'grant 0') != *parked ]]
	expect a 'fetch 1 2' 'ok 2'
	for ((i = 0; i < 4; i++)); do
		expect a "check $i 0 $slab $((600 + i))" ok
	done
}

fails()
{
	local i

	donor -m 16 -o backing="$bad"
	client a
	have a 4 700
	expect a 'park 0 1' 'ok 2'
	parked_are 2
	breaks
	expect a 'ask 0' 'ok 1'
	expect a 'wait 72 20000' 'ok 1 4 0'		# REVOKED: that one is lost
	expect a regrant 'ok 3'
	wait_number erase_errors 1
	heals
	expect a 'fetch 0' 'ok 1'
	expect a "check 0 0 $slab 701" ok
	# what cannot be written comes back by itself, and nothing more is parked
	breaks
	expect a 'park 1' 'ok 1'
	expect a 'wait 75 20000' 'ok 1'
	expect a 'park 2' 'err status 1 parked 0'
	heals
	for i in 1 2; do
		expect a "check $i 0 $slab $((701 + i))" ok
	done
	[ "$(number load_errors)" -eq 1 ]
	[ "$(number store_errors)" -eq 1 ]
	grep -q "backing $bad cannot be read: Input/output error" "$state/donor.log"
	grep -q "backing $bad cannot be written: .*; nothing is parked for a while" "$state/donor.log"
}

# Nothing waits for a disk that does not answer but what lies there.
hangs()
{
	donor -m 16 -o backing="$bad"
	client a
	have a 3 750
	expect a 'park 0' 'ok 1'
	parked_are 1
	dmsetup suspend --noflush --nolockfs bad
	expect a 'ask 0' 'ok 1'
	expect a 'park 1' 'ok 1'
	wait_number loading "$slab"
	expect a "check 2 0 $slab 752" ok
	expect a 'grants 2' 'ok 2'
	expect a "check 4 0 $slab 0" ok
	expect a ping 'ok *'
	[ "$(number loading)" -eq "$slab" ]
	[ "$(number storing)" -eq "$slab" ]
	expect a 'give 1' 'ok 1'
	dmsetup resume bad
	expect a 'wait 75 20000' 'ok 1'
	expect a "check 0 0 $slab 750" ok
	wait_number used 0 20
	wait_number free $((4 * slab)) 20
}

no_io_uring()
{
	local was

	was=$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null) || { note "none to forbid"; return; }
	echo 2 >/proc/sys/kernel/io_uring_disabled
	donor -m 16 -o backing="$dir" -o backing-size=16M
	echo "$was" >/proc/sys/kernel/io_uring_disabled
	[ "$(grep -c 'no io_uring (Operation not permitted)' "$state/donor.log")" -eq 1 ]
	client a
	have a 2 780
	expect a 'park 0 1' 'ok 2'
	parked_are 2
	expect a 'fetch 0 1' 'ok 2'
	expect a "check 0 0 $slab 780" ok
	expect a "check 1 0 $slab 781" ok
}

a_device()
{
	local pid

	donor -m 16 -o backing="$device"
	[ "$(number room)" -eq $((15 * slab)) ]	# 1 MiB at both ends is not used
	client a
	have a 3 800
	expect a 'park 0 1 2' 'ok 3'
	parked_are 3
	not backing_zero "$device"
	# another donor may not have it, too
	refused "backing $device: somebody uses it*" -p 19676 -o backing="$device"
	expect a 'fetch 1' 'ok 1'
	expect a "check 1 0 $slab 801" ok
	# it ends: nothing of it stays there
	pid=$(donor_pid)
	kill -TERM "$pid"
	wait_until 10 ended_or_draining "$pid"
	kill -TERM "$pid" || true
	wait_until 20 ended "$pid"
	backing_zero "$device"
}

# refused PATTERN OPTION...: it does not start, and says why in one line
refused()
{
	local pattern=$1 status=0 text
	shift
	text=$("$emp_donor" -s "$state/other" -k "$keys" -m 8 -o slab=2M "$@" 2>&1) || status=$?
	[ "$status" -ne 0 ] || fail "it took $*"
	# shellcheck disable=SC2053 # a pattern by intent
	[[ $text == "emp-donor: "$pattern && $text != *$'\n'* ]] || fail "$*: $text"
}

wrong_settings()
{
	refused 'backing /nothing: No such file or directory' -o backing=/nothing
	refused 'backing /dev/null: neither a directory nor a block device' -o backing=/dev/null
	refused "backing $dir: a directory needs backing-size" -o backing="$dir"
	refused "backing $dir: cannot reserve 1 GiB: No space left on device" \
		-o backing="$dir" -o backing-size=1G
	refused 'backing-size: without backing' -o backing-size=16M
	refused 'keep-free: without backing' -o keep-free=4M
	refused 'keep-free: more than half of memory' -o backing="$dir" -o backing-size=8M \
		-o keep-free=6M
	refused 'backing-size: less than one slab of 4 MiB' -o slab=4M -o backing="$dir" \
		-o backing-size=2M
	refused "backing-size: 1 GiB, but $device has 32 MiB" -o backing="$device" -o backing-size=1G
	refused 'backing /dev/ram0: somebody uses it *' -o backing=/dev/ram0	# it is mounted
	mkfs.ext4 -q "$device"
	refused "backing $device: has the signature of ext4; *" -o backing="$device"
	donor -m 8 -o backing="$device" -o backing-force=yes
	[ "$(number room)" -eq $((15 * slab)) ]
	donor_end
	wipefs -qa "$device"
}

reload()
{
	local conf=$state/donor.conf

	printf 'memory = 8M\nslab = 2M\nbacking = %s\nbacking-size = 8M\n' "$dir" >"$conf"
	"$emp_donor" -C "$conf" -s "$state/control" -k "$keys" >>"$state/donor.log" 2>&1 &
	echo $! >"$state/donor.pid"
	wait_until 20 donor_is serving
	sed -i 's/8M$/4M/; s/^memory.*/memory = 8M/' "$conf"
	not ask reload 2>"$state/err"
	grep -q 'backing-size takes a restart to change' "$state/err"
	printf 'memory = 8M\nslab = 2M\nbacking = %s\nbacking-size = 8M\nkeep-free = 4M\n' "$dir" >"$conf"
	ask reload
}

# Without a backing there is no parking.
without()
{
	donor -m 8
	client a
	have a 1 900
	not grep -q '^backing' <(ask status)
	expect a 'park 0' 'err no answer, lost'
}

drains()
{
	local pid

	donor -m 8 -o backing="$dir" -o backing-size=8M -o drain-timeout=60s
	client a
	have a 3 950
	expect a 'park 0' 'ok 1'
	parked_are 1
	pid=$(donor_pid)
	kill -TERM "$pid"
	expect a 'wait 71 10000' 'ok 3 2 *'		# REVOKE of all three, cause DRAIN
	expect a 'fetch 0' 'ok 1'
	expect a "check 0 0 $slab 950" ok
	expect a 'give 0 1 2' 'ok 3'
	wait_until 10 ended "$pid"
}

disks || { echo "Bail out! no disks"; exit 1; }
t_run there_and_back there_and_back
t_run more_than_memory more_than_memory
t_run shrinks shrinks
t_run killed killed
t_run given_back given_back
t_run resumes resumes
t_run fails fails
t_run hangs hangs
t_run no_io_uring no_io_uring
t_run a_device a_device
t_run wrong_settings wrong_settings
t_run reload reload
t_run without without
t_run drains drains
t_end
