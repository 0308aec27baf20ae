#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# More programs than ranks: idle ones are saved and restored. Nobody sees what is
# another's, everybody finds what is its own; when not; ends of all kinds in each state.
#
# lab: --kernel 6.12 --mem 2G
# lab: --kernel 6.1 --mem 2G
# debug: kmemleak
# time: 900
#
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/pim/lib.sh
. "${0%/*}/lib.sh"

# shellcheck disable=SC2154 # uuid is set by vm_add
nodes=4
emu=$top/userspace-tools/build/pim-emu
t_begin
# shellcheck disable=SC2119 # it has none
load_vms || { echo "Bail out! pim_mdev does not load"; exit 1; }

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

filled=$((16 * 2 * 16384))	# bytes that "fill 16384" puts into MRAM

# over [ARGUMENT]...: the test's provider with ranks that can be saved, idle at once
over()
{
	provide --save ok --dpus 2 --mram 262144 "$@"
	param slice_ms 0
	param open_wait_ms 60000
	param return_wait_ms 60000
	"$pimctl" owner set 0 idle=20ms max_ranks=none max_parked=none max_parked_bytes=none
}

# user N: a program on /dev/dpu_rankN, in the background: its process is ${pid[N]}
user()	# N [COMMAND]...
{
	start_user "$@"
	wait_until 20 says "/tmp/user$1.out" open || fail "$1: $(<"/tmp/user$1.out")"
}

start_user()	# N [COMMAND]...: that instead, which understands other lines
{
	local n=$1

	shift
	[ $# -gt 0 ] || set -- "$bin/rank" "/dev/dpu_rank$n" lines
	rm -f "/tmp/user$n.in"
	mkfifo "/tmp/user$n.in"
	: >"/tmp/user$n.out"
	"$@" <>"/tmp/user$n.in" >"/tmp/user$n.out" 2>&1 &
	pid[n]=$!
	said[n]=0
}

# tell N LINE: to do; returns at once
tell()
{
	said[$1]=$((said[$1] + 1))
	echo "$2" >"/tmp/user$1.in"
}

done_all()	# N
{
	[ "$(grep -c "done" "/tmp/user$1.out")" = "${said[$1]}" ] || ended "${pid[$1]}"
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
	ask "$1" "filled 16384 $((1000 + $1))"
	ask "$1" "kept $((1000 + $1))"
}

stop()	# N
{
	kill -KILL "${pid[$1]}" 2>/dev/null || true	# it may have given up
	reap "${pid[$1]}"
}

# Three programs, one rank, in turn.
alternate()
{
	local i n saves

	over
	for n in 0 1 2; do
		user "$n"
		ask "$n" clean
		ask "$n" "fill 16384 $((1000 + n))"
	done
	wait_until 20 owner_is parked 2
	for ((i = 0; i < $(times 10); i++)); do
		for n in 1 0 2; do
			mine "$n"
		done
		ask $((i % 3)) coherent
		ask $((i % 3)) "fill 16384 $((1000 + i % 3))"
	done
	wait_until 20 owner_is parked 2
	saves=$(attr 0 stats/saves)
	[ "$saves" -ge 32 ] || fail "$saves saves"
	stat_is restores $((saves - 2)) || fail "$saves saves, $(attr 0 stats/restores) restores"
	stat_is restore_errors 0
	[ "$(attr 0 stats/leases)" = 3 ]
	[ "$(owner 0 ranks)" = 1 ]
	[ "$(owner 0 parked_bytes)" -gt $((2 * filled)) ] || fail "$(owner 0 parked_bytes) bytes"
	for n in 0 1 2; do
		stop "$n"
	done
	wait_until 20 owner_is parked 0
	owner_is parked_bytes 0
	become 0 free
	client clean
}

# running N 0|1: does a DPU of user N?
running()
{
	ask "$1" "command 15 0 $2"
}

# lost N: what user N had is lost, and it is told
lost()
{
	ask "$1" "command 1 EIO"
	ask "$1" "command 1 EIO"
}

waiting()	# N
{
	owner_is waiting "$1"
}

# parked: user 0 is, user 1 has the rank
parked()
{
	over "$@"
	user 0
	ask 0 "fill 16384 1000"
	user 1
	ask 1 clean
	ask 1 "fill 16384 1001"
	wait_until 20 owner_is parked 1
}

# as parked, and a DPU of user 1 runs, and user 0 waits for its rank
waits()
{
	parked
	running 1 1
	tell 0 "filled 16384 1000"
	wait_until 20 waiting 1
}

more_busy()	# N: saves were prevented more often than that
{
	[ "$(attr 0 stats/saves_busy)" -gt "$1" ]
}

# Not while a DPU runs, however long.
busy()
{
	over
	user 0
	ask 0 "fill 16384 1000"
	running 0 1
	start_user 1
	wait_until 20 more_busy 3
	state_is 0 leased || state_is 0 saving
	says /tmp/user1.out open && fail "taken while a DPU ran"
	stat_is saves 0
	stat_is provider_errors 0
	mine 0
	running 0 0
	wait_until 20 says /tmp/user1.out open
	ask 1 clean
	mine 0
}

# Nobody is preempted who must not be: others are told so at once.
never()
{
	provide
	param slice_ms 0
	param open_wait_ms 60000
	"$pimctl" owner set 0 idle=10ms
	user 0
	quietly "$bin/rank" /dev/dpu_rank1 open && fail "its provider cannot save"
	stop 0
	kill "$provider"
	reap "$provider"
	"$pimctl" rank remove 0
	over
	"$pimctl" owner set 0 idle=none
	user 0
	quietly "$bin/rank" /dev/dpu_rank1 open && fail "its owner does not want to"
	stop 0
	become 0 free
	"$pimctl" owner set 0 idle=10ms
	# a lease of a certain rank
	"$pimctl" lease run -- sh -c 'echo have; exec sleep 1000' >/tmp/lease.out &
	wait_until 20 says /tmp/lease.out have
	chmod 666 /dev/dpu_rank1
	as_user 1001 "$bin/rank" /dev/dpu_rank1 open >/tmp/other.out && fail "a lease of a certain rank"
	says /tmp/other.out busy
	stat_is saves 0
}

slice()
{
	local start

	parked
	param slice_ms 3000
	# user 0 gets it after this: user 1 has to wait
	start=${EPOCHREALTIME/[.,]/}
	tell 0 "filled 16384 1000"
	told 0
	mine 1
	((${EPOCHREALTIME/[.,]/} - start > 3000000)) || fail "after $((${EPOCHREALTIME/[.,]/} - start)) us"
}

limits()
{
	parked
	"$pimctl" owner set 0 max_parked=1
	"$bin/rank" /dev/dpu_rank2 open >/tmp/other.out && fail "a second one is parked"
	says /tmp/other.out busy
	"$pimctl" owner set 0 max_parked=none max_parked_bytes=256k
	"$bin/rank" /dev/dpu_rank2 open >/tmp/other.out && fail "more than 256 KiB is parked"
	"$pimctl" owner set 0 max_parked_bytes=none max_ranks=2
	"$bin/rank" /dev/dpu_rank2 open >/tmp/other.out && fail "a third lease"
	says /tmp/other.out quota || fail "$(</tmp/other.out)"
	mine 0		# but who has some has them back
	mine 1
	"$pimctl" owner set 0 max_ranks=none
	"$bin/rank" /dev/dpu_rank2 open
	mine 0
	mine 1
}

# No rank in time: a call fails, the next ones do not.
patience()
{
	parked
	running 1 1
	param return_wait_ms 100
	ask 0 "command 1 EBUSY"
	waiting 0
	param return_wait_ms 60000
	running 1 0
	mine 0
	mine 1
}

killed_parked()
{
	parked
	stop 0
	wait_until 20 owner_is parked 0
	owner_is parked_bytes 0
	mine 1
}

killed_waiting()
{
	waits
	stop 0
	wait_until 20 owner_is parked 0
	waiting 0
	running 1 0
	mine 1
}

# saving: user 0's rank is for user 1, and its provider does not get on with it
saving()
{
	over --deadline 600000
	user 0
	ask 0 "fill 16384 1000"
	halt "$provider"
	start_user 1
	become 0 saving
}

killed_saving_owner()
{
	saving
	stop 0
	kill -CONT "$provider"
	wait_until 20 says /tmp/user1.out open
	ask 1 clean
	owner_is parked 0
	owner_is parked_bytes 0
}

killed_saving_waiter()
{
	saving
	stop 1
	waiting 0
	kill -CONT "$provider"
	mine 0
	owner_is parked 0
	owner_is parked_bytes 0
}

used_saving()
{
	saving
	tell 0 "filled 16384 1000"
	kill -CONT "$provider"
	wait_until 20 says /tmp/user1.out open
	ask 1 clean
	told 0
	mine 0
}

killed_saving_provider()
{
	saving
	kill -KILL "$provider"
	reap "$provider"
	become 0 faulty
	wait_until 20 ended "${pid[1]}"
	lost 0
	owner_is parked 0
	owner_is parked_bytes 0
	stop 0
	provide --save ok --dpus 2 --mram 262144
	client clean
}

killed_saving_revoked()
{
	saving
	"$pimctl" lease revoke 0
	kill -CONT "$provider"
	wait_until 20 says /tmp/user1.out open
	ask 1 clean
	lost 0
	owner_is parked_bytes 0
}

lease_in()	# STATE: number of the lease in that state
{
	"$pimctl" --json lease list | python3 -c '
import json, sys
print([x["lease"] for x in json.load(sys.stdin) if x["state"] == sys.argv[1]][0])' "$1"
}

# By number, where it is parked and where it has a rank.
revoked_parked()
{
	parked
	"$pimctl" lease revoke --lease "$(lease_in parked)"
	owner_is parked 0
	owner_is parked_bytes 0
	lost 0
	mine 1
	"$pimctl" lease revoke --lease "$(lease_in leased)"
	lost 1
	become 0 free
	"$bin/rank" /dev/dpu_rank2 clean
	"$pimctl" lease revoke --lease 1000000 2>/tmp/list && fail "there is none of that number"
	grep -q 'no lease 1000000' /tmp/list || fail "$(</tmp/list)"
	as_user 1001 "$pimctl" lease revoke --lease 1 2>/tmp/list && fail "not root"
	grep -q root /tmp/list || fail "$(</tmp/list)"
}

# One that waits to come back does not wait any more.
revoked_waiting()
{
	parked
	running 1 1
	tell 0 "command 1 EIO"
	wait_until 20 waiting 1
	"$pimctl" lease revoke --lease "$(lease_in parked)"
	told 0
	waiting 0
	owner_is parked_bytes 0
	running 1 0
	mine 1
}

# The rank's provider is gone and back: what is parked was not with it.
killed_provider()
{
	parked
	kill -KILL "$provider"
	reap "$provider"
	become 0 faulty
	lost 1
	tell 0 "filled 16384 1000"
	wait_until 20 waiting 1
	provide --save ok --dpus 2 --mram 262144
	told 0
	mine 0
	# one of another make does not get it
	user 2
	wait_until 20 owner_is parked 1
	kill -KILL "$provider"
	reap "$provider"
	become 0 faulty
	provide --save ok --dpus 2 --mram 262144 --name other
	param return_wait_ms 100
	ask 0 "command 1 EBUSY"
	owner_is parked 1
}

# RESTORING until the provider goes.
killed_restoring()
{
	parked --restore hang --deadline 600000
	tell 0 "filled 16384 1000"
	become 0 restoring
	stop 0
	state_is 0 restoring
	kill -KILL "$provider"
	reap "$provider"
	become 0 faulty
	wait_until 20 owner_is parked 1		# user 1
	owner_is ranks 0
	provide --save ok --dpus 2 --mram 262144
	mine 1
}

killed_restoring_provider()
{
	parked --restore hang --deadline 600000
	tell 0 "command 1 EIO"
	become 0 restoring
	kill -KILL "$provider"
	reap "$provider"
	told 0
	lost 0
	provide --save ok --dpus 2 --mram 262144
	mine 1
	ask 1 "fill 16384 1001"
}

# What cannot be restored is lost, and nothing is made up; who has the rank keeps his.
corrupt()
{
	parked --save corrupt
	lost 0
	stat_is restore_errors 1
	lost 1		# was parked for it, and as badly
	stat_is restore_errors 2
	stat_is restores 0
	owner_is parked_bytes 0
	become 0 free
	"$bin/rank" /dev/dpu_rank2 clean
}

# It says no: it is not asked again, and the owner does not notice.
refused()
{
	over --save error
	user 0
	ask 0 "fill 16384 1000"
	"$bin/rank" /dev/dpu_rank1 open >/tmp/other.out && fail "saved, though it failed"
	says /tmp/other.out busy
	"$bin/rank" /dev/dpu_rank1 open >/tmp/other.out && fail "saved, though it failed"
	stat_is provider_errors 1
	stat_is saves 0
	mine 0
}

# Providers that do not do what they say are out, and the lease with them.
broken()
{
	local how

	for how in "--save empty" "--save mapped"; do
		# shellcheck disable=SC2086 # words
		over $how
		user 0
		"$bin/rank" /dev/dpu_rank1 open && fail "$how: saved"
		become 0 faulty
		stat_is provider_broken 1
		lost 0
		stop 0
		owner_is parked_bytes 0
		"$pimctl" rank remove 0
	done
	parked --restore stale
	lost 0
	stat_is provider_broken 1
	parked=$(owner 0 parked)
	[ "$parked" = 1 ]	# user 1 was before
	for how in "--save hang" "--save ok --restore hang"; do
		stop 0
		stop 1
		"$pimctl" rank remove 0
		# shellcheck disable=SC2086 # words
		over --deadline 1000 $how
		user 0
		start_user 1
		if [ "$how" != "--save hang" ]; then
			wait_until 20 says /tmp/user1.out open
			tell 0 "command 1 EIO"
		fi
		become 0 faulty
		stat_is provider_timeouts 1
		[ "$how" != "--save hang" ] || tell 0 "command 1 EIO"
		told 0
	done
}

# On another rank than before.
moves()
{
	over --ranks 2
	user 0
	ask 0 "fill 16384 1000"
	user 1
	ask 1 "fill 16384 1001"
	running 1 1
	user 2
	ask 2 "fill 16384 1002"
	stat_is saves 1 0
	running 2 1
	running 1 0
	mine 0
	stat_is restores 1 1 || fail "not on rank 1"
	mine 2
	running 2 0
	mine 1
}

# The node's own rank goes, while its lease is parked, and waits for another.
removed()
{
	waits
	start=${EPOCHREALTIME/[.,]/}
	"$pimctl" rank remove 0
	((${EPOCHREALTIME/[.,]/} - start < 30000000)) || fail "it waited"
	wait_until 20 ended "${pid[0]}"
	owner_is parked 0
	owner_is parked_bytes 0
	ask 1 "command 1 ENODEV"
}

# All at once, on two ranks.
storm()
{
	local n i

	over --ranks 2 --reset-ms 2
	"$pimctl" owner set 0 idle=1ms
	for n in 0 1 2 3 4; do
		user "$n"
		ask "$n" clean
		ask "$n" "fill 4096 $((1000 + n))"
	done
	for ((i = 0; i < $(times 40); i++)); do
		for n in 0 1 2 3 4; do
			tell "$n" "filled 4096 $((1000 + n))"
			tell "$n" "kept $((1000 + n))"
		done
	done
	for n in 0 1 2 3 4; do
		told "$n"
	done
	[ $(($(attr 0 stats/restores) + $(attr 1 stats/restores))) -gt 20 ] || fail "few were restored"
	[ $(($(attr 0 stats/leases) + $(attr 1 stats/leases))) = 5 ]
}

shown()
{
	"$pimctl" events --follow >/tmp/events &
	wait_until 10 grep -qs poll "/proc/$!/wchan" || sleep 1
	parked
	"$pimctl" lease list >/tmp/list
	grep -qE '^ +[0-9]+ +- +0 +[0-9]+ rank \(parked, [0-9.]+ KiB\)$' /tmp/list || fail "$(</tmp/list)"
	"$pimctl" --json lease list | python3 -c '
import json, sys
l = json.load(sys.stdin)
assert [x["state"] for x in l] == ["leased", "parked"], l
assert l[1]["saved_bytes"] > 16 * 2 * 16384 and "rank" not in l[1], l'
	"$pimctl" owner list >/tmp/list
	grep -qE '^ +0 .* 20 ms +1 ' /tmp/list || grep -qE '^ +0 .* 0.02 s +1 ' /tmp/list || fail "$(</tmp/list)"
	mine 0
	wait_until 10 says /tmp/events restored
	awk '{ print $2, $3, $4 }' /tmp/events | grep -qx 'parked rank 0' || fail "$(</tmp/events)"
	[ "$(attr 0 stats/save_ns)" -gt 0 ] && [ "$(attr 0 stats/restore_ns)" -gt 0 ]
	not quietly "$pimctl" owner set 0 idle=86401
	not quietly "$pimctl" owner set 0 idle=x
	not quietly "$pimctl" owner set 0 max_parked=x
	not quietly tee /sys/module/pim/parameters/idle_ms <<<86400001
}

# The same with a software rank: programs that stop in the middle, and go on.
emulated()
{
	local n

	"$emu" --mram 4m --deadline 300 >/tmp/provider.out 2>&1 &
	wait_until 20 provider_says ready || fail "$(</tmp/provider.out)"
	become 0 free
	param slice_ms 0
	param open_wait_ms 60000
	param return_wait_ms 600000
	"$pimctl" owner set 0 idle=20ms
	for n in 0 1 2; do
		user "$n" "$bin/halves" "/dev/dpu_rank$n"
		tell "$n" "begin $((1000 + n))"
	done
	for n in 0 1 2; do
		told "$n"
	done
	for n in 1 0 2; do
		tell "$n" "look $((1000 + n))"
	done
	for n in 1 0 2; do
		told "$n"
	done
	for n in 0 1 2; do
		tell "$n" "go $((1000 + n))"
	done
	for n in 0 1 2; do
		told "$n"
	done
	ask 0 "look 1000"
	stat_is provider_errors 0
	stat_is restore_errors 0
	[ "$(attr 0 stats/restores)" -ge 4 ] || fail "$(attr 0 stats/restores) restores"
	note "$(attr 0 stats/saves) saves of $(($(attr 0 stats/save_ns) / 1000 / $(attr 0 stats/saves))) us, $(attr 0 stats/restores) restores of $(($(attr 0 stats/restore_ns) / 1000 / $(attr 0 stats/restores))) us"
}

# Machines, and a program of this host, and one rank.
machines()
{
	local i uuids=()

	over --dpus 8
	vm_add vm0
	uuids[0]=$uuid
	vm_add vm1
	uuids[1]=$uuid
	user 0 "$bin/vm" "${uuids[0]}" lines
	ask 0 "put 90"
	[ "$(cat "$mdevs/${uuids[0]}/leases")" = 0 ]
	user 1 "$bin/vm" "${uuids[1]}" lines
	ask 1 "put 51"
	wait_until 20 owner_is parked 1
	[ "$(cat "$mdevs/${uuids[0]}/leases")" = - ] || fail "vm0 has $(cat "$mdevs/${uuids[0]}/leases")"
	"$pimctl" lease list | grep -q ' vm0 (parked' || fail "$("$pimctl" lease list)"
	for ((i = 0; i < $(times 5); i++)); do
		ask 0 "is 90"
		ask 1 "is 51"
	done
	user 2
	ask 2 clean
	ask 2 "fill 16384 1002"
	ask 0 "is 90"
	ask 1 "is 51"
	mine 2
	wait_until 20 owner_is parked 2
	# a reset, its end, an end while it waits for a rank
	tell 0 reset
	told 0
	wait_until 20 owner_is parked 1
	running 2 1
	tell 1 "is 51"
	wait_until 20 waiting 1
	stop 1
	wait_until 20 owner_is parked 0
	waiting 0
	running 2 0
	mine 2
	stop 0
	user 0 "$bin/vm" "${uuids[0]}" lines	# finds it all zero
	ask 0 "put 7"
	mine 2
	stop 0
	wait_until 20 owner_is parked 0
	owner_is parked_bytes 0
}

shmem_is()	# CGROUP BYTES: of shared memory is charged to it
{
	[ "$(awk '$1 == "shmem" { print $2 }' "$1/memory.stat")" = "$2" ]
}

# Who pays for what is saved: the owner, not the provider, and only while it is parked.
charged()
{
	local cgroup=/sys/fs/cgroup/pim-oversub bytes=$filled out=4096

	mkdir -p "$cgroup"	# also pays for what its program writes to /tmp, out bytes
	over
	# shellcheck disable=SC2016 # for the inner shell
	user 0 sh -c 'echo $$ >"$1/cgroup.procs" && exec "$2" /dev/dpu_rank0 lines' sh "$cgroup" "$bin/rank"
	ask 0 "fill 16384 1000"
	wait_until 20 shmem_is "$cgroup" $((out + bytes)) || fail "$(grep ^shmem "$cgroup/memory.stat")"
	user 1
	wait_until 20 shmem_is "$cgroup" $((out + bytes + 4096)) || fail "$(grep ^shmem "$cgroup/memory.stat")"
	[ "$(owner 0 parked_bytes)" = $((bytes + 4096)) ] || fail "$(owner 0 parked_bytes) bytes"
	mine 0
	wait_until 20 shmem_is "$cgroup" $((out + bytes)) || fail "$(grep ^shmem "$cgroup/memory.stat")"
	stop 0
	wait_until 20 shmem_is "$cgroup" "$out" || fail "$(grep ^shmem "$cgroup/memory.stat")"
	wait_until 20 rmdir "$cgroup"
}

t_run alternate alternate
t_run charged charged
t_run machines machines
t_run emulated emulated
t_run busy busy
t_run never never
t_run slice slice
t_run limits limits
t_run patience patience
t_run killed-parked killed_parked
t_run killed-waiting killed_waiting
t_run killed-saving-owner killed_saving_owner
t_run killed-saving-waiter killed_saving_waiter
t_run used-saving used_saving
t_run killed-saving-provider killed_saving_provider
t_run revoked-saving killed_saving_revoked
t_run revoked-parked revoked_parked
t_run revoked-waiting revoked_waiting
t_run killed-provider killed_provider
t_run killed-restoring killed_restoring
t_run killed-restoring-provider killed_restoring_provider
t_run corrupt corrupt
t_run refused refused
t_run broken broken
t_run moves moves
t_run removed removed
t_run storm storm
t_run shown shown
t_end
