#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A donor on another machine: what becomes of a region when the link breaks or
# loses packets, when the donor's machine stands still or goes, when its process
# dies, has other keys, or is zeroing; and when RDMA itself lies.
#
#	node 0: fault_mem, region f0 --- 10.77.0.0/24, soft-RoCE --- node 1: emp-donor
#	                          \- /dev/ram0
#
# The rule is that of donor.sh: the right bytes or a SIGBUS, in bounded time, and
# what is not lost comes back. In the end nothing is left on either machine.
#
# rxe says WARNING in rxe_comp.c when it lies (case untouched_reads); the debug kernel names the
# function instead of the file.
#
# lab: --kernel 6.12 --nodes 2 --mem 1G --ignore rxe_comp.c: --ignore at.rxe_completer
# time: 600
# ci: no two machines with deadlines of seconds need a host that does little else
# shellcheck source=tests/emp/lib.sh disable=SC2016,SC2317 # for the other node; cases are called by name
. "${0%/*}/lib.sh"
# shellcheck source=tests/emp/faults_lib.sh
. "${0%/*}/faults_lib.sh"
# shellcheck source=tests/emp/donor_lib.sh
. "${0%/*}/donor_lib.sh"

addr=10.77.0.2
here=10.77.0.1
keys=$LAB_CLUSTER/donor2.keys
node=$top/tests/lab/node
gone=/tmp/donor2-gone		# there is no node 1 any more

# --- the other machine ---------------------------------------------------------------

there()	# COMMAND...
{
	"$node" 1 -- "$@"
}

rdma_add()
{
	rdma link add rxe0 type rxe netdev lab0 && wait_until 10 rdma_active
}

rdma_active_there()
{
	there rdma link | grep -q 'rxe0/1 state ACTIVE'
}

rdma_add_there()
{
	there rdma link add rxe0 type rxe netdev lab0 && wait_until 20 rdma_active_there
}

two_machines()
{
	modprobe rdma_rxe && modprobe rdma_ucm && modprobe ib_uverbs && rdma_add || return
	there sh -c 'modprobe rdma_rxe && modprobe rdma_ucm && modprobe ib_uverbs &&
		modprobe sch_netem && modprobe sch_tbf && cp "$1" /tmp/emp-donor' sh "$top_donor" &&
		rdma_add_there || return
	modprobe sch_netem
	rm -f "$keys" "$gone"
	"$top_donor" key add "$keys" host1 && "$top_donor" key add "$keys" host2
}

resources_there()
{
	there rdma res show rxe0 | sed 's/^[0-9]*: //'
}

idle_there()
{
	[ "$(resources_there)" = "$at_rest_there" ]
}

# donor [OPTION]...: start one there and wait until it serves
donor()
{
	there sh -c 'rm -rf /tmp/d; mkdir /tmp/d; /tmp/emp-donor "$@" >/tmp/d/log 2>&1 & echo $! >/tmp/d/pid' \
		sh -s /tmp/d/control -k "$keys" -v -o slab=2M "$@"
	wait_until 60 donor_says '"state": "serving"' ||
		fail "the donor does not serve: $(there tail -n 3 /tmp/d/log)"
}

donor_status()
{
	there /tmp/emp-donor -s /tmp/d/control status --json 2>/dev/null
}

donor_says()	# PATTERN
{
	donor_status | grep -q "$1"
}

granted()	# BYTES: is that what it has given to clients?
{
	[ "$(number granted)" = "$1" ]
}

number()	# NAME: the first of that name in the donor's status
{
	donor_status | sed -n "s/^ *\"$1\": \([0-9]*\),\{0,1\}$/\1/p" | head -n 1
}

donor_dies()
{
	there sh -c 'kill -9 $(cat /tmp/d/pid); while kill -0 $(cat /tmp/d/pid); do sleep 0.05; done' \
		2>/dev/null || true
}

# Of two donors the one that answers sooner gets more.
nearer()
{
	local far near

	donor -m 64
	ip address show dev lab0 | grep -q "$here/" || fail "this machine is not $here"
	other_donor -m 64
	there tc qdisc add dev lab0 root netem delay 30ms
	"$empctl" region create f0 --size 32M --force \
		--mem "$addr:32:$port|$here:32:$other_port|dram:4|key=$keys,$small,deadline=60s"
	agent p /dev/emp/f0
	ask p write 0 1024 5
	got right=1024
	evict_all f0
	ask p check 0 1024 5
	got right=1024
	far=$(attr f0 tiers/0/used) near=$(attr f0 tiers/1/used)
	ask p write 1024 5120 5
	got right=5120
	evict_all f0
	far=$(($(attr f0 tiers/0/used) - far)) near=$(($(attr f0 tiers/1/used) - near))
	note "far $(attr f0 tiers/0/read_ns) ns, near $(attr f0 tiers/1/read_ns) ns; $far and $near bytes"
	((near > 2 * far)) || fail "the far one got $far bytes, the near one $near"
	ask p check 0 6144 5
	got right=6144
	leave p
	there tc qdisc del dev lab0 root netem
	kill "$other_pid"
	wait "$other_pid" || true
}

# A case; when it ends both machines are as they were.
two_run()	# NAME COMMAND...
{
	t_run "$1" two_case "${@:2}"
}

two_case()
{
	trap two_case_end EXIT
	: >"$donor_log"
	"$@"
}

two_case_end()
{
	local status=$?

	set +eE
	trap - ERR EXIT
	quietly tc qdisc del dev lab0 root
	quietly "$node" 0 link up
	[ ! -e "$keys.old" ] || mv -f "$keys.old" "$keys"
	if [ ! -e "$gone" ]; then
		quietly "$node" 1 cont
		quietly "$node" 1 link up
		quietly there tc qdisc del dev lab0 root
		there cat /tmp/d/log >"$donor_log" 2>&1
		donor_dies
		if ! wait_until 30 idle_there; then
			note "left on the donor's machine: $(resources_there), was: $at_rest_there"
			((status)) || status=1
		fi
	fi
	(exit "$status")
	donor_case_end
}

# --- what is asked again and again -----------------------------------------------------

# filled KEYS TIER...: region f0, 8 MiB of it on the donor only, agent p
filled()
{
	donor_region f0 16 8 "$small,$1" "${@:2}"
	agent p /dev/emp/f0
	ask p write 0 2048 5
	got right=2048
	evict_all f0
}

# right PAGES: agent p reads that many, and each is what was written
right()
{
	ask p check 0 "$1" 5
	[[ $answer == "right=$1 wrong=0 bus=0 bad_bus=0 "* ]]
}

# errors_in MS FIRST: an access that must fail, in that time
errors_in()
{
	ask p check "$2" 1 5
	got bus=1 right=0
	((ms <= $1 * slowness)) || fail "it took $ms ms"
}

lost_soon()
{
	becomes_state f0 0 lost
	becomes_link f0 0 lost
}

# A region goes on without its first donor, and takes it again when it is there.
new_donor()
{
	"$empctl" tier remove f0 0 --force
	wait_until 20 add_again || fail "$(</tmp/said)"
	ask p punch 0 4096
	ask p write 0 2048 6
	got right=2048
	"$empctl" tier drain f0 1	# all to the donor
	evict_all f0
	ask p check 0 2048 6
	got right=2048
}

add_again()
{
	"$empctl" tier add f0 "$addr:16:$port|key=$keys" >/dev/null 2>/tmp/said
}

# --- the link -----------------------------------------------------------------------------

# link_breaks NODE: for less than the deadline; that costs time only
link_breaks()
{
	donor -m 32 -o linger=60s
	filled deadline=60s
	"$node" "$1" link down
	tell p check 0 2048 5
	pause 1
	"$node" "$1" link up
	hear p
	note "$answer"
	got right=2048
	becomes_link f0 0 active 30
	ask p write 0 1024 6
	evict_all f0
	ask p check 0 1024 6
	got right=1024
	leave p
}

# Longer: errors, each within its deadline; then all is there again.
link_away()
{
	donor -m 32 -o linger=120s
	filled deadline=1s
	ask p write 3000 256 6		# dirty: only here
	"$node" 1 link down
	errors_in 4000 0
	errors_in 4000 1000
	becomes_state f0 0 degraded
	set_attr f0 evict $((16 << 20)) || true	# cannot be written now, and so is kept
	ask p check 3000 256 6
	got right=256
	"$node" 1 link up
	becomes_link f0 0 active 60
	wait_until 30 right 2048 || fail "$answer"
	evict_all f0
	ask p check 3000 256 6
	got right=256
	state_is f0 0 ok || fail "state $(attr f0 tiers/0/state)"
	leave p
}

# Packets are lost, late, and overtake each other, both ways.
packets_lost()
{
	donor -m 32 -o linger=120s
	filled deadline=60s
	there tc qdisc add dev lab0 root netem loss 2% delay 2ms 2ms reorder 20% 50% limit 10000
	tc qdisc add dev lab0 root netem loss 1% delay 1ms limit 10000
	ask p check 0 512 5
	note "$answer"
	got right=512
	ask p write 2048 256 6
	got right=256
	evict_all f0
	ask p check 2048 256 6
	got right=256
	there tc qdisc del dev lab0 root
	tc qdisc del dev lab0 root
	ask p check 0 2048 5
	got right=2048
	(($(counter f0 csum_error) == 0)) || note "csum_error $(counter f0 csum_error)"
	leave p
}

# --- the donor's machine --------------------------------------------------------------------

# It stands still for longer than the deadline, but not than the donor's patience.
machine_stops()
{
	donor -m 32 -o linger=120s
	filled deadline=1s
	ask p write 3000 256 6
	"$node" 1 stop
	errors_in 4000 0
	ask p check 3000 256 6
	got right=256
	"$node" 1 cont
	becomes_link f0 0 active 60
	wait_until 30 right 2048 || fail "$answer"
	evict_all f0
	ask p check 3000 256 6
	got right=256
	leave p
}

# For longer than that: what it has is not believed any more, though it is still there.
machine_stops_too_long()
{
	need_disk
	donor -m 32 -o linger=2s -o client-timeout=10s
	filled deadline=1s "$disk:16:0"
	watch_events
	"$node" 1 stop
	errors_in 4000 0
	wait_until 30 state_is f0 0 lost || fail "tier 0 is $(attr f0 tiers/0/state)"
	event tier-lost
	errors_in 1000 1
	"$node" 1 cont
	errors_in 1000 2
	wait_until 30 granted 0 || fail "the donor still holds it for us"
	new_donor
	leave p
}

# Our network card keeps what it should send: soft-RoCE does not let go of the queue pair of such a
# packet (emp_rdma_grave.c). The tier is given up in time all the same.
card_keeps()	# [TIER...]
{
	local i

	modprobe sch_tbf
	donor -m 32 -o linger=2s -o client-timeout=10s
	filled deadline=1s "$@"
	watch_events
	tc qdisc add dev lab0 root tbf rate 8bit burst 1600 limit 1mb
	for ((i = 0; i < 20; i++)); do	# more than it may send at once
		head -c 100 /dev/zero >"/dev/udp/$addr/9"
	done
	errors_in 4000 0
	wait_until 20 state_is f0 0 lost || fail "tier 0 is $(attr f0 tiers/0/state)"
	event tier-lost
	errors_in 1000 1
	[ "$(rdma_resources)" != "$rdma_at_rest" ] || fail "nothing was kept"
}

# Nobody waits for it, and nothing is left when soft-RoCE lets go.
card_keeps_packets()
{
	need_disk
	card_keeps "$disk:16:0"
	tc qdisc del dev lab0 root
	wait_until 20 rdma_idle || fail "left: $(rdma_resources)"
	wait_until 30 granted 0 || fail "the donor still holds it for us"
	new_donor
	leave p
}

# Unloading waits, no longer than soft-RoCE does, and then all is gone.
card_keeps_unload()
{
	card_keeps
	leave p
	"$empctl" region destroy f0
	rmmod emp_rdma &
	pause 1
	[ -e /sys/module/emp_rdma ] || fail "it went, and left what was kept"
	tc qdisc del dev lab0 root
	wait $! || fail "rmmod ended with $?"
	rdma_idle || fail "left: $(rdma_resources)"
	load_rdma
	wait_until 30 granted 0 || fail "the donor still holds it for us"
}

# With its memory: this is the last case but for what needs no donor.
machine_dies()
{
	need_disk
	donor -m 32 -o linger=2s
	filled deadline=1s "$disk:16:0"
	watch_events
	ask p check 0 512 5		# in DRAM, and clean
	got right=512
	tell p check 512 8 5
	"$node" 1 kill
	: >"$gone"
	hear p
	note "$answer"
	((wrong == 0 && bad_bus == 0 && right + bus == 8)) || fail "$answer"
	((ms < 5000 * slowness)) || fail "an access took $ms ms"
	wait_until 30 state_is f0 0 lost || fail "tier 0 is $(attr f0 tiers/0/state)"
	event tier-lost
	errors_in 1000 2000
	evict_all f0			# to the disk
	ask p check 0 512 5
	got right=512
	leave p
}

# --- the donor --------------------------------------------------------------------------------

killed_reading()
{
	local i

	need_disk
	donor -m 32
	filled deadline=2s "$disk:16:0"
	watch_events
	there sh -c '(sleep 1; kill -9 $(cat /tmp/d/pid)) >/dev/null 2>&1 &'
	for ((i = 0, bus = 0; i < 200 && bus == 0; i++)); do
		ask p check 0 2048 5
		((wrong == 0 && bad_bus == 0 && right + bus == 2048)) || fail "$answer"
		((ms < 8000 * slowness)) || fail "an access took $ms ms"
		((bus)) || evict_all f0
	done
	note "after $i rounds: $answer"
	((bus)) || fail "nobody noticed"
	lost_soon
	event tier-lost
	donor -m 32			# back, and empty
	ask p check 2047 1 0		# not taken for zeros, if it was not in DRAM
	((wrong + bus == 1)) || fail "$answer"
	new_donor
	leave p
}

killed_writing()
{
	need_disk
	donor -m 32
	donor_region f0 16 8 "$small,deadline=2s" "$disk:16:0"
	agent p /dev/emp/f0
	ask p load 0 3200 2
	pause 2
	donor_dies
	lost_soon
	ask p unload
	note "$answer"
	((wrong == 0 && bad_bus == 0)) || fail "$answer"
	donor -m 32
	new_donor
	leave p
}

# It comes back with another key: the old session is not for it, nor the old key.
other_key()
{
	need_disk
	donor -m 32
	filled deadline=2s "$disk:16:0"
	donor_dies
	mv "$keys" "$keys.old"
	"$top_donor" key add "$keys" host1
	donor -m 32
	lost_soon
	errors_in 1000 0
	"$empctl" tier remove f0 0 --force
	says 'does not know our key' "$empctl" tier add f0 "$addr:16:$port|key=$keys.old:host1"
	"$empctl" tier add f0 "$addr:16:$port|key=$keys" >/dev/null
	ask p punch 0 4096
	ask p write 0 1024 6
	evict_all f0
	ask p check 0 1024 6
	got right=1024
	leave p
}

# Whoever dies while his memory is being zeroed leaves nothing to the next.
killed_while_zeroing()
{
	local i

	donor -m 16 -o zero-pause=20000 -o linger=500ms
	client "$keys:host1"
	for ((i = 0; i < 8; i++)); do
		client_says "write $i 0 $((2 << 20)) 9" ok
	done
	client_says 'give 0 1' 'ok 2'	# zeroing begins
	{ kill -KILL "$client_pid"; wait "$client_pid" || true; } 2>/dev/null
	wait_until 60 all_free || fail "the donor has $(number free) free"
	client "$keys:host2"
	for ((i = 0; i < 8; i++)); do
		client_says "check $i 0 $((2 << 20)) 0" ok
	done
}

client()	# KEY: one in user space, that has all the donor's memory
{
	exec {client_in}<> <(:) {client_out}<> <(:)
	"$top/build/tests/donor/client" <&"$client_in" >&"$client_out" &
	client_pid=$!
	client_says "open $addr $port $1" 'ok *'
	client_says 'grants 8' 'ok 8'
}

client_says()	# COMMAND PATTERN
{
	local said

	echo "$1" >&"$client_in"
	read -r -t "$patience" -u "$client_out" said || fail "the client does not answer to $1"
	# shellcheck disable=SC2053 # a pattern by intent
	[[ $said == $2 ]] || fail "$1: '$said', not '$2'"
}

all_free()
{
	[ "$(number free)" = $((16 << 20)) ]
}

# Whoever holds on to a device that goes keeps its remover waiting; here the donor.
donor_device_removed()
{
	need_disk
	donor -m 32 -o linger=3s
	filled deadline=2s "$disk:16:0"
	ask p load 2048 1024 2
	there timeout 30 rdma link del rxe0 || fail "the removal of the device hangs"
	wait_until 30 state_is f0 0 lost || fail "tier 0 is $(attr f0 tiers/0/state)"
	ask p unload
	((wrong == 0 && bad_bus == 0)) || fail "$answer"
	donor_dies
	rdma_add_there
	donor -m 32
	new_donor
	leave p
}

# --- RDMA -------------------------------------------------------------------------------------

# When the donor's stack refuses to send the answer to a READ, rxe completes that
# READ with success and leaves the buffer as it was. MACs see it.
untouched_reads()
{
	local i q seen=0

	echo 0 >/proc/sys/kernel/panic_on_warn	# once a boot
	donor -m 32 -o linger=120s
	filled deadline=60s
	for q in q r s; do
		agent "$q" /dev/emp/f0
	done
	for ((i = 0; i < 10 && seen == 0; i++)); do
		there tc qdisc replace dev lab0 root tbf rate 40mbit burst 10k limit 30000
		tell q check 0 512 5
		tell r check 512 512 5
		tell s check 1024 512 5
		tell p check 1536 512 5
		pause 3
		there tc qdisc del dev lab0 root
		for q in q r s p; do
			hear "$q"
			((wrong == 0 && bad_bus == 0)) || fail "round $i, $q: $answer"
		done
		seen=$(counter f0 csum_error)
		note "round $i: $answer, csum_error $seen"
		wait_until 60 link_is f0 0 active || fail "the link is $(attr f0 tiers/0/link)"
		evict_all f0
	done
	((seen > 0)) || fail "no READ was left untouched: the case shows nothing"
	wait_until 30 right 2048 || fail "$answer"
	for q in p q r s; do
		leave "$q"
	done
	echo 1 >/proc/sys/kernel/panic_on_warn
}

t_begin
if ! { two_machines && load_rdma; }; then
	echo "Bail out! no soft-RoCE on two machines"
	exit 1
fi
rdma_at_rest=$(rdma_resources)
at_rest_there=$(resources_there)

two_run link_breaks link_breaks 1
two_run own_link_breaks link_breaks 0
two_run link_away link_away
two_run packets_lost packets_lost
two_run machine_stops machine_stops
two_run machine_stops_too_long machine_stops_too_long
two_run card_keeps_packets card_keeps_packets
two_run card_keeps_unload card_keeps_unload
two_run killed_reading killed_reading
two_run killed_writing killed_writing
two_run other_key other_key
two_run killed_while_zeroing killed_while_zeroing
two_run donor_device_removed donor_device_removed
two_run untouched_reads untouched_reads
two_run nearer nearer
two_run machine_dies machine_dies
t_end
