#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The data connections of a donor's tier: who uses which, what becomes of them
# when one breaks, and of a session whose donor wants none.
#
#	fault_mem, one a CPU -- region f0 -- control, others, urgent0.. -- rxe0 -- emp-donor
#
# rxe says WARNING in rxe_task.c now and then (tests/lab/README.md).
#
# lab: --kernel 6.12 --mem 2G --smp 4 --no-panic-on-warn --ignore rxe_task.c:[0-9]+.rxe_sched_task
# time: 600
# shellcheck source=tests/emp/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"
# shellcheck source=tests/emp/faults_lib.sh
. "${0%/*}/faults_lib.sh"
# shellcheck source=tests/emp/donor_lib.sh
. "${0%/*}/donor_lib.sh"

patient="$small,deadline=60s"

queues()	# N: of tiers made from now on
{
	echo "$1" >/sys/module/emp_rdma/parameters/queues
}

# of FIELD [NAME]: sum over the connections, or of one; fields as in docs/abi-emp.md
of()
{
	local -A field=([inflight]=3 [requests]=4 [completions]=5 [interrupts]=6 [polled]=7 [breaks]=8)

	awk -v f="${field[$1]}" -v name="${2:-}" 'name == "" || $1 == name { sum += $f }
		END { print sum + 0 }' "$sys/f0/tiers/0/connections"
}

up_are()	# NUMBER
{
	[ "$(grep -c ' up ' "$sys/f0/tiers/0/connections")" = "$1" ]
}

become_up()	# NUMBER
{
	wait_until $((60 * slowness)) up_are "$1" ||
		fail "not $1 connections: $(attr f0 tiers/0/connections)"
}

all_ended()
{
	(($(of requests) == $(of completions) && $(of inflight) == 0))
}

# Each request was one work request with one completion.
counts_agree()
{
	local moved

	wait_until 20 all_ended || fail "under way: $(attr f0 tiers/0/connections)"
	moved=$(($(attr f0 tiers/0/reads) + $(attr f0 tiers/0/writes)))
	(($(of requests) == moved)) || fail "$(of requests) posted for $moved requests"
}

# agents N: one bound to each of N CPUs
agents()
{
	local i

	for ((i = 0; i < $1; i++)); do
		agent "a$i" /dev/emp/f0
		taskset -p -c "$i" "${agent_pid[a$i]}" >/dev/null
	done
}

# Readers on all CPUs at once, and each has used the connection of its CPU.
each_cpu_its_own()	# KEYS MB DRAM_MB
{
	local cpus n part i was blocks

	cpus=$(nproc)
	n=$(($2 * 256)) part=$(($2 * 256 / cpus))
	queues $((cpus + 1))
	donor -m 256
	donor_region f0 "$2" "$3" "$1,deadline=60s"
	become_up $((cpus + 2))
	set_attr f0 readahead 0
	agents "$cpus"
	ask a0 write 0 "$n" 5
	got right="$n"
	evict_all f0
	(($(of requests others) > 0)) || fail "no write went over its connection"
	(($(of requests control) == 0)) || note "control: before the others were there"
	was=$(of requests control)
	blocks=$(of requests)
	for ((i = 0; i < cpus; i++)); do
		tell "a$i" check $((i * part)) "$part" 5
	done
	for ((i = 0; i < cpus; i++)); do
		hear "a$i"
		got right="$part"
	done
	for ((i = 0; i < cpus; i++)); do
		(($(of requests "urgent$i") > 0)) || fail "urgent$i: $(attr f0 tiers/0/connections)"
	done
	(($(of requests control) == was)) || fail "data went over the control connection"
	counts_agree
	note "$((n / 512)) blocks of 2 MiB, $(($(of requests) - blocks)) reads:"
	note "$(attr f0 tiers/0/connections)"
	(($(counter f0 csum_error) == 0)) || fail "csum_error $(counter f0 csum_error)"
	for ((i = 0; i < cpus; i++)); do
		leave "a$i"
	done
}

polling()	# US
{
	echo "$1" >/sys/module/emp_rdma/parameters/poll_us
}

# Who waits finds the end of its read itself, most times; nothing is counted twice.
finds_itself()
{
	queues 2
	polling 1000
	donor -m 32
	donor_region f0 16 8 "$patient"
	become_up 3
	set_attr f0 readahead 0
	agent p /dev/emp/f0
	ask p write 0 2048 5
	evict_all f0
	ask p check 0 2048 5
	got right=2048
	counts_agree
	note "$(attr f0 tiers/0/connections)"
	(($(of polled urgent0) > 0)) || fail "none was found by polling"
	(($(of polled urgent0) <= $(of completions urgent0))) || fail "more than there were"
	(($(of polled others) + $(of polled control) == 0)) || fail "polled where nobody waits"
	polling 0
	evict_all f0
	set -- "$(of polled)"
	ask p check 0 2048 5
	got right=2048
	(($(of polled) == $1)) || fail "polled though it is off"
	leave p
}

# Writes, prefetch and reads all at once.
all_at_once()	# QUEUES [POLL_US]
{
	local i cpus

	cpus=$(nproc)
	queues "$1"
	polling "${2:-0}"
	donor -m 32
	donor_region f0 16 8 "$patient"
	become_up $(($1 + 1))
	agents "$cpus"
	for ((i = 0; i < cpus; i++)); do
		tell "a$i" load $((i * 1024)) 1024 1
		hear "a$i"
	done
	sleep "$seconds"
	for ((i = 0; i < cpus; i++)); do
		ask "a$i" unload
		((wrong == 0 && bus == 0 && bad_bus == 0 && during == 0)) || fail "$answer"
	done
	note "$(attr f0 tiers/0/connections)"
	counts_agree
	(($(of breaks) == 0)) || fail "it broke"
	for ((i = 0; i < cpus; i++)); do
		leave "a$i"
	done
}

broke_once()
{
	(($(of breaks) == 1))
}

# One data connection ends, alone; the session goes on, with as many as before.
one_breaks()	# LIE NAME [POLL_US]
{
	queues 3
	polling "${3:-0}"
	rm -f /tmp/donor.cut
	export DONOR_LIE=$1
	DONOR=$liar donor -m 32 -o linger=60s
	donor_region f0 16 8 "$patient"
	become_up 4
	agent p /dev/emp/f0
	agent q /dev/emp/f0
	ask p write 2048 2048 5
	ask q load 0 1024 1
	touch /tmp/donor.cut
	wait_until $((20 * slowness)) broke_once || fail "$(attr f0 tiers/0/connections)"
	# The donor says farewell on that one only, and what goes over it fails, too.
	(($(of breaks "$2") == 1)) || fail "not $2: $(attr f0 tiers/0/connections)"
	becomes_link f0 0 active $((30 * slowness))
	become_up 4
	ask q unload
	((wrong == 0 && bus == 0 && bad_bus == 0 && during == 0)) || fail "$answer"
	evict_all f0
	ask p check 2048 2048 5
	got right=2048
	(($(of breaks) == 1)) || fail "it broke again: $(attr f0 tiers/0/connections)"
	wait_until 20 all_ended || fail "under way: $(attr f0 tiers/0/connections)"
	note "$(attr f0 tiers/0/connections)"
	state_is f0 0 ok || fail "state $(attr f0 tiers/0/state)"
	donor_says '"sessions_resumed": 1' || fail "not resumed once"
	leave p
	leave q
}

# A donor that allows so many: the session does with them.
donor_allows()	# CONNECTIONS
{
	queues 3
	donor -m 32 -o "connections=$1"
	donor_region f0 16 8 "$patient"
	become_up $(($1 + 1))
	wait_until 10 dmesg_has "$1 data connections instead of 3" || fail "it does not say so"
	agent p /dev/emp/f0
	ask p write 0 2048 5
	evict_all f0
	ask p check 0 2048 5
	got right=2048
	counts_agree
	up_are $(($1 + 1)) || fail "$(attr f0 tiers/0/connections)"
	(($1 > 1 || $(of requests control) > 0)) || fail "nothing over the control connection"
	leave p
}

dmesg_has()	# PATTERN
{
	dmesg | grep -q "$1"
}

none_wanted()
{
	queues 0
	donor -m 32
	donor_region f0 16 8 "$patient"
	agent p /dev/emp/f0
	ask p write 0 2048 5
	evict_all f0
	ask p check 0 2048 5
	got right=2048
	up_are 1 || fail "$(attr f0 tiers/0/connections)"
	counts_agree
	leave p
}

# The donor does not answer while they are being made: data goes over those that
# there are, and the others come when it does.
join_later()
{
	queues 33
	polling 0
	donor -m 32
	donor_region f0 16 8 "$patient"
	kill -STOP "$donor_pid"
	! up_are 34 || note "all of them were there before it stopped"
	agent p /dev/emp/f0
	ask p write 0 2048 5
	got right=2048
	evict_all f0
	sleep 4		# longer than a connect may take
	ask p check 0 2048 5
	got right=2048
	kill -CONT "$donor_pid"
	become_up 34
	becomes_link f0 0 active
	(($(of breaks) == 0)) || fail "$(attr f0 tiers/0/connections)"
	evict_all f0
	ask p check 0 2048 5
	got right=2048
	counts_agree
	leave p
}

# The device goes while all of them are in use.
device_removed()
{
	local remover start

	queues 5
	polling 200
	need_disk
	donor -m 32
	donor_region f0 16 8 "$small,deadline=5s" "$disk:16:0"
	become_up 6
	agent p /dev/emp/f0
	ask p load 0 2048 3		# one CPU is left for the removal
	sleep 1
	start=${EPOCHREALTIME/[.,]/}
	rdma link del rxe0 &
	remover=$!
	if ! wait_until 90 ended "$remover"; then
		note "$(cat "/proc/$remover/stack" "/proc/$donor_pid/stack")"
		fail "the removal of the device hangs"
	fi
	note "rdma link del took $(((${EPOCHREALTIME/[.,]/} - start) / 1000)) ms"
	becomes_link f0 0 lost
	up_are 0 || fail "$(attr f0 tiers/0/connections)"
	ask p unload
	((wrong == 0 && bad_bus == 0)) || fail "$answer"
	leave p
	destroy f0
	rdma_add
}

# Regions that come and go while their connections are being made.
made_and_gone()
{
	local i

	queues 8
	donor -m 32
	for ((i = 0; i < $(times 12 4); i++)); do
		donor_region f0 16 8 "$small"
		((i % 2)) || sleep "0.0$((i % 10))"
		destroy f0
	done
	wait_until 5 granted 0 || fail "the donor still holds something"
}

says_what_cannot_be()
{
	local word

	for word in -2 34 x; do
		! queues "$word" 2>/dev/null || fail "queues=$word was taken"
	done
	for word in -1 1001 x; do
		! polling "$word" 2>/dev/null || fail "poll_us=$word was taken"
	done
	queues -1
	donor -m 32
	donor_region f0 16 8 "$small"
	become_up 3		# four CPUs: one for their reads, one for all else
	grep -q '^urgent0 up' "$sys/f0/tiers/0/connections" || fail "no urgent0"
}

t_begin
if ! { soft_roce && load_rdma; }; then
	echo "Bail out! no soft-RoCE"
	exit 1
fi
rdma_at_rest=$(rdma_resources)

donor_run each_cpu_its_own_4k each_cpu_its_own "$small" 16 8
donor_run each_cpu_its_own_2m each_cpu_its_own "${variant[small-2m]}" 128 96
donor_run all_at_once_5 all_at_once 5
donor_run all_at_once_1 all_at_once 1
donor_run all_at_once_polled all_at_once 3 100
donor_run finds_itself finds_itself
donor_run others_break one_breaks cut-first others
donor_run urgent_breaks one_breaks cut-last urgent1 500
donor_run donor_allows_0 donor_allows 0
donor_run donor_allows_2 donor_allows 2
donor_run none_wanted none_wanted
donor_run says_what_cannot_be says_what_cannot_be
donor_run made_and_gone made_and_gone
donor_run join_later join_later
donor_run device_removed device_removed
t_end
