#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A block tier that hangs or is slow: every wait ends, by the deadline or by a
# signal, and what the device delivers late is taken.
#
# lab: --kernel 6.12
# lab: --kernel 6.1
# time: 400
# shellcheck source=tests/emp/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"
# shellcheck source=tests/emp/faults_lib.sh
. "${0%/*}/faults_lib.sh"

small="block=4K,subblock=4K,map=small"

# How much later than its deadline a wait may end.
slack=$((3000 * slowness))

# A region with 8 MiB on the tier, nothing of it in DRAM, and its agent p.
cold_region()	# KEYS
{
	bad_region f0 32 16 "$1"
	set_attr f0 readahead 0
	agent p /dev/emp/f0
	ask p write 0 2048 5
	evict_all f0
	ask p check 512 16 5		# the only ones in DRAM
	got right=16
}

waits_for_tier()	# PID: it sleeps in a fault
{
	(($(attr f0 tiers/0/inflight) > 0)) && grep -q '^State:.*[DS]' "/proc/$1/status"
}

# A read that hangs ends at the deadline, with an error; the data comes later.
read_hangs()
{
	cold_region "$small"
	watch_events
	set_attr f0 tiers/0/deadline_ms 400
	stalls
	ask p check 0 4 5
	got bus=4 right=0
	note "4 pages, deadline 400 ms: the longest took $ms ms"
	((ms >= 350 && ms < 400 + slack)) || fail "it took $ms ms"
	ask p check 0 4 5		# those who come later need not wait again
	got bus=4 right=0
	((ms < 200 + slack / 4)) || fail "the second time it took $ms ms"
	ask p check 512 16 5
	got right=16
	ask p write 4096 16 6
	got right=16
	(($(counter f0 fault_timeout) >= 4)) || fail "fault_timeout $(counter f0 fault_timeout)"
	event tier-degraded
	state_is f0 0 degraded
	goes_on
	wait_until 10 idle f0
	ask p check 0 4 5
	got right=4
	(($(attr f0 tiers/0/timeouts) >= 4)) || fail "timeouts $(attr f0 tiers/0/timeouts)"
	ask p check 0 2048 5
	got right=2048
	becomes_state f0 0 ok
	leave p
}

idle()	# REGION: no request is under way
{
	[ "$(attr "$1" tiers/0/inflight)" -eq 0 ]
}

# A process that waits dies at once; so does one whose memory is looked at.
killed()	# SIGNAL
{
	cold_region "$small"
	set_attr f0 tiers/0/deadline_ms 600000
	stalls
	tell p check 0 1 5
	wait_until 10 waits_for_tier "${agent_pid[p]}"
	kill "-$1" "${agent_pid[p]}"
	wait_until 2 ended "${agent_pid[p]}" || fail "it is not dead after 2 s"
	goes_on
	agent q /dev/emp/f0
	ask q check 0 2048 5
	got right=2048
	leave q
}

# A system call's own access cannot end by a signal: with one pending it goes on
# waiting, and does not look again and again.
signal_pending()
{
	local begin waits us

	cold_region "$small"
	set_attr f0 tiers/0/deadline_ms 600000
	stalls
	tell p send 0
	wait_until 10 waits_for_tier "${agent_pid[p]}"
	kill -USR1 "${agent_pid[p]}"
	wait_until 10 pending "${agent_pid[p]}" || fail "no signal is pending"
	waits=$(counter f0 fault_wait) begin=${EPOCHREALTIME/[.,]/}
	wait_until 20 more_waits "$((waits + 20))" || fail "it does not look again"
	us=$((${EPOCHREALTIME/[.,]/} - begin)) waits=$(($(counter f0 fault_wait) - waits))
	note "$waits waits in $us us"
	((us / waits >= 5000)) || fail "it spins: $waits waits in $us us"
	goes_on
	hear p
	[ "$answer" = ok ] || fail "write(2) says $answer"
	ask p check 0 2048 5
	got right=2048
	leave p
}

pending()	# PID: a signal is
{
	grep -q '^S[a-z]*Pnd:.*[1-9a-f]' "/proc/$1/status"
}

more_waits()	# N: that many by now
{
	(($(counter f0 fault_wait) >= $1))
}

# Several wait for one page: all get it with one read, or each its error.
shared_wait()
{
	local i
	cold_region "$small"
	for i in 1 2 3 4; do
		agent "q$i" /dev/emp/f0
	done
	stalls
	for i in 1 2 3 4; do
		tell "q$i" check 7 1 5
	done
	wait_until 10 waits_for_tier "${agent_pid[q1]}"
	goes_on
	for i in 1 2 3 4; do
		hear "q$i"
		got right=1
	done
	(($(counter f0 fault_fetch) <= 18)) || fail "fault_fetch $(counter f0 fault_fetch)"
	set_attr f0 tiers/0/deadline_ms 400
	stalls
	for i in 1 2 3 4; do
		tell "q$i" check 9 1 5
	done
	for i in 1 2 3 4; do
		hear "q$i"
		got bus=1 right=0
		((ms < 400 + slack)) || fail "it took $ms ms"
	done
}

# DRAM is full and writes hang: who needs more gets an error in bounded time.
writes()	# KEYS
{
	bad_region f0 64 16 "$1"
	set_attr f0 tiers/0/deadline_ms 1000
	agent p /dev/emp/f0
	ask p write 0 3072 5
	got right=3072
	stalls
	ask p write 3072 1056 6
	note "written while it hangs: $answer"
	((bad_bus == 0 && bus > 0)) || fail "$answer"
	((ms < 12000 + slack)) || fail "an error took $ms ms"
	ask p recheck 0 3072 5		# what is resident, also what is being written
	got right=3072
	goes_on
	wait_until 10 idle f0
	ask p write 3072 1056 6
	got right=1056
	ask p check 0 3072 5
	got right=3072
	becomes_state f0 0 ok
	leave p
}

# Discard of what is being read or written does not wait longer than the deadline.
discard()
{
	cold_region "$small"
	set_attr f0 tiers/0/deadline_ms 400
	echo 400 >/sys/module/emp/parameters/tier_deadline_ms
	stalls
	ask p check 0 4 5
	got bus=4 right=0
	SECONDS=0
	ask p punch 0 4
	[[ $answer == *'timed out'* ]] || fail "punch: $answer"
	((SECONDS < 1 + slack / 1000)) || fail "it took $SECONDS s"
	ask p punch 16 4		# nobody reads these
	[ "$answer" = ok ] || fail "punch: $answer"
	goes_on
	wait_until 10 idle f0
	ask p punch 0 4
	[ "$answer" = ok ] || fail "punch: $answer"
	ask p check 0 4 0
	got right=4
	ask p check 16 4 0
	got right=4
	echo 10000 >/sys/module/emp/parameters/tier_deadline_ms
	leave p
}

# destroy does not wait for a device that hangs; its range stays taken until then.
destroy_hanging()
{
	cold_region "$small"
	set_attr f0 tiers/0/deadline_ms 600000
	stalls
	tell p check 0 1 5
	wait_until 10 waits_for_tier "${agent_pid[p]}"
	kill -KILL "${agent_pid[p]}"
	wait_until 10 ended "${agent_pid[p]}"
	SECONDS=0
	"$empctl" region destroy f0
	((SECONDS < 10 + slack / 1000)) || fail "destroy took $SECONDS s"
	SECONDS=0
	! bad_region f1 32 16 "$small" 2>/tmp/err || fail "made on a device that hangs"
	((SECONDS < 10 + slack / 1000)) || fail "the refusal took $SECONDS s"
	grep -q 'busy\|in use' /tmp/err || fail "$(cat /tmp/err)"
	! quietly rmmod emp || fail "the module went"
	goes_on
	wait_until 20 no_regions || fail "f0 stays"
	bad_region f1 32 16 "$small"
	agent q /dev/emp/f1
	ask q check 0 16 0
	got right=16
	leave q
}

# tier remove from a device that hangs can be interrupted, and goes on later.
remove_hanging()
{
	"$empctl" region create f0 --size 32M --force \
		--mem "$bad:$bad_mb:0|$disk:64:0|dram:16|checksum=1,$small"
	agent p /dev/emp/f0
	ask p write 0 2048 5
	evict_all f0
	stalls
	env --default-signal=INT "$empctl" tier remove f0 0 >/tmp/out 2>&1 &
	wait_until 10 state_is f0 0 draining
	wait_until 10 waits_for_tier $!
	kill -INT $!
	wait_until $((10 + slack / 1000)) ended $! || fail "tier remove does not end"
	[ -d "$sys/f0/tiers/0" ] || fail "the tier is gone"
	set_attr f0 tiers/0/deadline_ms 400
	! timeout $((60 * slowness)) "$empctl" tier remove f0 0 2>/tmp/err || fail "removed a tier that hangs"
	[ "$(wc -l </tmp/err)" -eq 1 ] || fail "$(cat /tmp/err)"
	goes_on
	wait_until 10 idle f0
	timeout $((60 * slowness)) "$empctl" tier remove f0 0
	[ ! -d "$sys/f0/tiers/0" ] || fail "the tier is there"
	"$bin/fault_excl" "$bad" true || fail "$bad is still claimed"
	ask p check 0 2048 5
	got right=2048
	leave p
}

# slow MS: every request takes that long
slow()
{
	[ -e /sys/module/dm_delay ] || modprobe dm-delay
	becomes "0 $sectors delay $under 0 $1"
}

# A slow tier is slow, and right.
slow_tier()
{
	cold_region "$1"
	slow 30
	ask p check 0 256 5
	note "$answer"
	got right=256
	ask p write 256 256 6
	got right=256
	evict_all f0
	ask p check 256 256 6
	got right=256
	state_is f0 0 ok
	leave p
}

# Slower than its deadline: errors at first, the data when it has come.
slower_than_deadline()
{
	local delay=$((1000 * slowness))

	cold_region "$small"
	set_attr f0 tiers/0/deadline_ms 100
	slow "$delay"
	ask p check 0 2 5
	got bus=2 right=0
	((ms < delay - 100)) || fail "it took $ms ms, as long as the device"
	wait_until 20 idle f0
	ask p check 0 2 5
	got right=2
	(($(attr f0 tiers/0/timeouts) > 0)) || fail "timeouts is 0"
	heals
	ask p check 0 2048 5
	got right=2048
	leave p
}

# Load while the tier hangs, for short and for long, and goes on.
hangs_under_load()	# KEYS
{
	local i
	bad_region f0 48 24 "$1"
	set_attr f0 tiers/0/deadline_ms 500
	set_attr f0 lost_retry_ms 100
	agent p /dev/emp/f0
	ask p load 0 12288 2
	for ((i = 0; i < 4; i++)); do
		stalls
		sleep 0.$((i * 3))
		goes_on
		sleep 0.3
	done
	wait_until 20 idle f0 || true
	becomes_state f0 0 ok
	ask p unload
	note "$answer"
	got
	leave p
}

t_begin
bad_run read_hangs read_hangs
bad_run killed_kill killed KILL
bad_run killed_term killed TERM
bad_run signal_pending signal_pending
bad_run shared_wait shared_wait
for v in $(on_debug small-64k "small-4k small-64k"); do
	bad_run "writes_$v" writes "${variant[$v]}"
	bad_run "writes_one_at_a_time_$v" writes "${variant[$v]},queue=1"
	bad_run "slow_tier_$v" slow_tier "${variant[$v]}"
	bad_run "hangs_under_load_$v" hangs_under_load "${variant[$v]}"
done
bad_run slower_than_deadline slower_than_deadline
bad_run discard discard
bad_run destroy_hanging destroy_hanging
bad_run remove_hanging remove_hanging
t_end
