#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A block tier that fails: reads and writes that end with an error, bytes that
# are wrong, writes that never arrive, no room. The rule: an access gets the
# right bytes or a SIGBUS of its own, and what is not lost comes back.
#
#	fault_mem -- maps --> region f0 -- block tier --> /dev/mapper/bad --> /dev/ram1
#	                                                  (changed while in use)
#
# lab: --kernel 6.12
# lab: --kernel 6.1
# time: 400
# shellcheck source=tests/emp/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"
# shellcheck source=tests/emp/faults_lib.sh
. "${0%/*}/faults_lib.sh"

small="block=4K,subblock=4K,map=small"

# Only accesses to what cannot be read fail; the process and its other pages go on.
read_error()
{
	bad_region f0 32 16 "$small"
	set_attr f0 lost_retry_ms 600000
	watch_events
	agent p /dev/emp/f0
	ask p write 0 2048 5
	got right=2048
	evict_all f0
	ask p check 64 16 5		# resident from here on
	got right=16
	breaks

	ask p check 0 16 5
	got bus=16 right=0
	((ms < 3000 * slowness)) || fail "an error took $ms ms"
	ask p check 64 16 5
	got right=16
	ask p write 4000 16 6		# new pages need no tier
	got right=16
	ask p check 4000 16 6
	got right=16
	ask p send 3
	[[ $answer == *'Bad address'* || $answer == *poison* ]] || fail "write(2) of a lost page: $answer"
	(($(counter f0 read_error) >= 16)) || fail "read_error $(counter f0 read_error)"
	(($(counter f0 read_retry) >= 32)) || fail "read_retry $(counter f0 read_retry)"
	(($(counter f0 fault_lost) >= 16)) || fail "fault_lost $(counter f0 fault_lost)"
	event data-lost
	event tier-degraded
	state_is f0 0 degraded

	# Lost is lost until lost_retry_ms have passed; then the tier is asked again.
	heals
	ask p check 0 16 5
	got bus=16 right=0
	set_attr f0 lost_retry_ms 0
	ask p check 0 16 5
	got right=16
	ask p check 0 2048 5
	got right=2048
	event tier-recovered
	becomes_state f0 0 ok
	leave p
	destroy f0
}

# uevents EVENT [KEY=VALUE]: how many events of that type uevents have told of, with that in them
uevents()
{
	awk -v want="EMP_EVENT=$1" -v also="${2-}" 'BEGIN { RS = "" }
		index("\n" $0 "\n", "\n" want "\n") && (also == "" || index("\n" $0 "\n", "\n" also "\n")) {
			match($0, /EMP_COUNT=[0-9]+/)
			n += substr($0, RSTART + 10, RLENGTH - 10)
		}
		END { print n + 0 }' /tmp/uevents
}

uevents_are()	# NUMBER EVENT [KEY=VALUE]
{
	[ "$(uevents "${@:2}")" -eq "$1" ]
}

# What is said to readers of the control device is said to udev, all of it.
told_by_uevents()
{
	local monitor lost

	udevadm monitor --kernel --property --subsystem-match=misc >/tmp/uevents &
	monitor=$!
	wait_until 10 grep -q 'the kernel uevent' /tmp/uevents
	watch_events
	bad_region f0 32 16 "$small"
	set_attr f0 lost_retry_ms 0
	agent p /dev/emp/f0
	ask p write 0 2048 5
	got right=2048
	evict_all f0
	breaks
	ask p check 0 200 5		# fewer than the module keeps
	got bus=200 right=0
	heals
	ask p check 0 2048 5
	got right=2048
	event tier-recovered
	leave p
	destroy f0
	wait_until 10 uevents_are 1 region-destroyed EMP_REGION=f0 || fail "$(</tmp/uevents)"
	kill "$monitor"
	lost=$(grep -c data-lost /tmp/events)
	((lost >= 200)) || fail "$lost times data-lost"
	uevents_are "$lost" data-lost EMP_REGION=f0 || fail "$(uevents data-lost) of $lost times data-lost"
	(($(grep -c EMP_EVENT=data-lost /tmp/uevents) < lost)) || fail "one uevent for each subblock"
	uevents_are 1 region-created EMP_REGION=f0
	uevents_are 1 tier-degraded EMP_TIER=0
	uevents_are 1 tier-recovered EMP_TIER=0
}

# 64 KiB of one block cannot be read: these 16 pages are lost, no others.
part_of_block()	# KEYS
{
	bad_region f0 64 48 "$1"
	set_attr f0 lost_retry_ms 600000
	agent p /dev/emp/f0
	ask p write 0 512 7		# 2 MiB; nothing else is on the tier
	evict_all f0
	becomes "0 1024 linear $under 0
1024 128 error
1152 $((sectors - 1152)) linear $under 1152"
	ask p check 0 512 7
	got bus=16 right=496
	ask p check 0 512 7
	got bus=16 right=496
	heals
	set_attr f0 lost_retry_ms 0
	ask p check 0 512 7
	got right=512
	leave p
}

# Lost data that is asked for again at once: each access still ends.
lost_retry_zero()
{
	bad_region f0 32 16 "$small"
	set_attr f0 lost_retry_ms 0
	agent p /dev/emp/f0
	ask p write 0 64 5
	evict_all f0
	breaks
	ask p check 0 64 5
	got bus=64 right=0
	(($(counter f0 read_error) < 1000)) || fail "read_error $(counter f0 read_error)"
	set_attr f0 lost_retry_ms 1
	ask p check 0 64 5
	got bus=64 right=0
	heals
	ask p check 0 64 5
	got right=64
	leave p
}

# A lost page that is thrown away is a page of zeros like any other.
lost_discarded()
{
	bad_region f0 32 16 "$small"
	set_attr f0 lost_retry_ms 600000
	agent p /dev/emp/f0
	ask p write 0 64 5
	evict_all f0
	breaks
	ask p check 0 64 5
	got bus=64 right=0
	heals
	ask p punch 0 32
	[ "$answer" = ok ] || fail "punch: $answer"
	ask p check 0 32 0
	got right=32
	ask p write 0 32 6
	evict_all f0
	ask p check 0 32 6
	got right=32
	ask p check 32 32 5
	got bus=32 right=0
	leave p
}

# Writes fail: nothing is lost, nothing spins, and all is well when they work again.
write_error()
{
	bad_region f0 32 16 "$1"
	watch_events
	agent p /dev/emp/f0
	ask p write 0 2048 5		# 8 MiB, all in DRAM
	breaks
	set_attr f0 evict $((8 << 20))
	(($(counter f0 wb_error) > 0)) || fail "no write failed"
	ask p check 0 2048 5
	got right=2048
	event tier-degraded
	state_is f0 0 degraded
	heals
	evict_all f0
	becomes_state f0 0 ok
	event tier-recovered
	ask p check 0 2048 5
	got right=2048
	leave p
}

# ... and DRAM is full: who needs more gets an error in bounded time.
write_error_full()
{
	local pid used time
	bad_region f0 64 16 "$1"
	agent p /dev/emp/f0
	ask p write 0 3072 5		# 12 MiB
	breaks
	ask p write 3072 2048 6		# does not all fit into what is left of 16 MiB
	note "written while the tier fails: $answer"
	((bus > 0 && right > 0 && bad_bus == 0)) || fail "$answer"
	((ms < 15000 * slowness)) || fail "an error took $ms ms"
	(($(counter f0 fault_no_space) > 0)) || fail "fault_no_space is 0"
	((($(resident f0)) <= 16 << 20)) || fail "above the limit: $(resident f0)"
	ask p check 0 3072 5
	got right=3072
	# The evictor waits between its tries.
	pid=$(pgrep -x emp/f0) || fail "no thread emp/f0"
	used=$(cpu_ticks "$pid") time=${EPOCHREALTIME/[.,]/}
	sleep 2
	used=$(($(cpu_ticks "$pid") - used)) time=$(((${EPOCHREALTIME/[.,]/} - time) / 10000))
	note "evictor: $used of $time ticks"
	((used < time / 2)) || fail "the evictor spins: $used of $time ticks"
	heals
	ask p write 3072 2048 6
	got right=2048
	ask p check 0 3072 5
	got right=3072
	ask p check 3072 2048 6
	got right=2048
	becomes_state f0 0 ok
	leave p
}

cpu_ticks()	# PID of a kernel thread: ticks of 10 ms
{
	local stat

	read -ra stat <"/proc/$1/stat"
	echo $((stat[13] + stat[14]))
}

# One of two tiers takes no writes: the other does, also for blocks of which a
# part is clean on the bad one.
write_error_other_tier()	# KEYS
{
	"$empctl" region create f0 --size 64M --force \
		--mem "$bad:$bad_mb:0|$disk:64:0|dram:16|checksum=1,$1"
	agent p /dev/emp/f0
	ask p write 0 2048 5
	evict_all f0
	(($(attr f0 tiers/0/used) > 0)) || fail "nothing on the first tier"
	[ "$(attr f0 tiers/1/used)" = 0 ] || fail "something on the second tier"
	# every second page is written again, and then they cannot be
	for ((i = 0; i < 512; i += 2)); do
		tell p write "$i" 1 6
	done
	for ((i = 0; i < 512; i += 2)); do
		hear p
		((right == 1)) || fail "write: $answer"
	done
	flaky 0 3600 error_writes
	evict_all f0
	(($(attr f0 tiers/1/used) > 0)) || fail "nothing on the second tier"
	for ((i = 0; i < 512; i += 2)); do
		tell p check "$i" 1 6
		tell p check "$((i + 1))" 1 5
	done
	for ((i = 0; i < 1024; i++)); do
		hear p
		((i >= 512)) || ((right == 1)) || fail "check: $answer"
		((i < 511)) || break
	done
	ask p check 512 1536 5
	got right=1536
	heals
	leave p
}

# The bytes that come back are not those that were written.
corrupt_read()	# KEYS
{
	bad_region f0 64 48 "$1"
	set_attr f0 lost_retry_ms 600000
	agent p /dev/emp/f0
	ask p write 0 512 9
	evict_all f0
	flaky 0 3600 corrupt_bio_byte 100 r 77 0
	ask p check 0 512 9
	note "$answer"
	((wrong == 0 && bad_bus == 0 && bus > 0)) || fail "$answer"
	(($(counter f0 csum_error) > 0)) || fail "csum_error is 0"
	heals
	set_attr f0 lost_retry_ms 0
	ask p check 0 512 9
	got right=512
	leave p
}

# The device says that it wrote, and did not.
dropped_write()	# KEYS
{
	bad_region f0 64 48 "$1"
	agent p /dev/emp/f0
	ask p write 0 512 3		# old bytes, really there
	evict_all f0
	ask p write 0 512 4
	flaky 0 3600 drop_writes
	evict_all f0
	heals
	ask p check 0 512 4
	got bus=512 right=0
	ask p check 0 512 3		# not the old ones either
	got bus=512 right=0
	(($(counter f0 csum_error) > 0)) || fail "csum_error is 0"
	leave p
}

# A disk that works every other second, under load: never a wrong byte, and all
# is there when it works again.
now_and_then()	# KEYS
{
	bad_region f0 48 24 "$1"
	set_attr f0 lost_retry_ms 100
	agent p /dev/emp/f0
	ask p load 0 12288 2
	flaky 1 1
	sleep "$seconds"
	heals
	becomes_state f0 0 ok
	sleep 1.2	# what failed just before is not tried earlier (emp_still_lost())
	ask p unload
	note "$answer"
	got
	((right > 12000)) || fail "$answer"
	leave p
}

# overcommit: the write that finds no place gets the error; all the others,
# also those that were evicted, are safe and can be read.
full()	# KEYS
{
	local second
	"$empctl" region create f0 --size 64M --force \
		--mem "$bad:8:0|dram:16|checksum=1,overcommit=1,$1"
	watch_events
	agent p /dev/emp/f0
	ask p write 0 1024 5		# half of what the tier holds
	got right=1024
	ask p write 1024 7168 6		# 28 MiB more: tier and DRAM hold 24 at most
	note "28 MiB more: $answer"
	((right > 512 && bus >= 2048 && bad_bus == 0)) || fail "$answer"
	((ms < 15000 * slowness)) || fail "an error took $ms ms"
	second=$right
	event no-space
	(($(counter f0 fault_no_space) > 0)) || fail "fault_no_space is 0"
	ask p check 0 1024 5
	got right=1024
	ask p recheck 1024 7168 6
	got right="$second"
	ask p write 512 512 7		# rewriting what is there
	got right=512
	ask p check 512 512 7
	got right=512
	ask p punch 1024 7168		# room again
	ask p write 8192 1024 8
	got right=1024
	ask p check 8192 1024 8
	got right=1024
	ask p check 0 512 5
	got right=512
	leave p
}

# A device that fails can be wiped or not, but the region goes.
destroy_failing()
{
	bad_region f0 32 16 "$small,wipe=$1"
	agent p /dev/emp/f0
	ask p write 0 4096 5
	evict_all f0
	leave p
	breaks
	destroy f0
	wait_until 20 region_gone f0 || fail "f0 stays"
	heals
	bad_region f0 32 16 "$small"
	destroy f0
}

t_begin
bad_run read_error read_error
bad_run told_by_uevents told_by_uevents
for v in $(on_debug "small-64k huge" "${variants[*]}"); do
	bad_run "part_of_block_$v" part_of_block "${variant[$v]}"
done
bad_run lost_retry_zero lost_retry_zero
bad_run lost_discarded lost_discarded
for v in $(on_debug small-64k "small-4k small-64k"); do
	bad_run "write_error_$v" write_error "${variant[$v]}"
	bad_run "write_error_full_$v" write_error_full "${variant[$v]}"
	bad_run "write_error_other_tier_$v" write_error_other_tier "${variant[$v]}"
	bad_run "now_and_then_$v" now_and_then "${variant[$v]}"
	bad_run "full_$v" full "${variant[$v]}"
done
for v in $(on_debug huge "small-4k small-64k huge"); do
	bad_run "corrupt_read_$v" corrupt_read "${variant[$v]}"
done
for v in $(on_debug small-4k "small-4k small-64k huge"); do
	bad_run "dropped_write_$v" dropped_write "${variant[$v]}"
done
bad_run destroy_failing_wipe_none destroy_failing none
bad_run destroy_failing_wipe_zero destroy_failing zero
t_end
