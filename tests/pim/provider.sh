#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Providers that die, hang, lie, come back; clients that die; ranks that are
# taken away under both; and what the next owner of a rank finds in it.
#
# lab: --kernel 6.12 --mem 2G
# lab: --kernel 6.1 --mem 2G
# debug: kmemleak
# time: 600
#
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/pim/lib.sh
. "${0%/*}/lib.sh"

t_begin

# gone STATUS: the provider has ended with it
gone()
{
	local status=0

	wait_until 20 ended "$provider" || fail "the provider is still there"
	wait "$provider" || status=$?
	[ "$status" = "$1" ] || fail "the provider ended with $status, not $1: $(</tmp/provider.out)"
}

# The client ended as it should.
client_well()
{
	wait_until 30 ended "$client" || fail "the client hangs"
	wait "$client" || fail "client: $(</tmp/client.out)"
}

# What comes out of an answer that makes no sense: the provider is thrown out,
# the client sees EIO, the rank is faulty, another provider takes it over.
lie()	# OP
{
	provide
	client command "$1" EIO
	gone 3
	become 0 faulty
	[ "$(attr 0 stats/provider_broken)" = 1 ]
	[ "$(attr 0 provider)" = "" ]
	provide
	client clean
	client commands
}

# A request that fails is EIO, and nothing else happens.
says_no()
{
	provide
	client command 11 EIO
	client commands
	[ "$(attr 0 stats/provider_errors)" = 1 ]
	state_is 0 free || become 0 free
}

hang()
{
	provide --deadline 2500
	client command 4 EIO
	gone 3
	become 0 faulty
	[ "$(attr 0 stats/provider_timeouts)" = 1 ]
	provide
	client clean
}

# Its client was killed while it hung: found out by the reset that follows, which
# must not be completed before what came first.
hang_killed()
{
	provide
	start_client command 4 EIO
	wait_until 10 provider_says withheld || fail "no request: $(</tmp/client.out)"
	kill -KILL "$client"
	gone 3
	become 0 faulty
	[ "$(attr 0 stats/provider_broken)" = 1 ]
	provide
	client clean
}

hang_reset()
{
	start_provider --deadline 300 --reset hang
	gone 3
	become 0 faulty
	not quietly client open
	provide
	client clean
}

refuse_reset()
{
	start_provider --reset error
	gone 3
	become 0 faulty
	[ "$(attr 0 stats/provider_broken)" = 1 ]
}

# kill -9 of the provider under a client that works.
die_busy()
{
	local i

	for ((i = 0; i < $(times 10); i++)); do
		provide --ranks 2
		start_client until EIO
		wait_until 10 says /tmp/client.out working
		sleep "0.0$((RANDOM % 10))"
		kill -KILL "$provider"
		reap "$provider"
		client_well
		become 0 faulty
		become 1 faulty
		not quietly client open
	done
}

# ... in each state of the rank, with a client that only has it open.
die_idle()
{
	local i

	for ((i = 0; i < $(times 10); i++)); do
		start_provider --reset-ms $((i ? 100 : 300000)) --deadline 600000	# scrubbing
		[ "$i" -ne 0 ] || state_is 0 scrubbing || fail "$(states)"
		kill -KILL "$provider"
		reap "$provider"
		become 0 faulty
		provide --reset-ms 100			# leased
		start_holder /dev/dpu_rank0
		kill -KILL "$provider"
		reap "$provider"
		become 0 faulty
		kill -KILL "$holder"
		reap "$holder"
		provide --reset-ms 100			# scrubbing after a lease
		client open
		kill -KILL "$provider"
		reap "$provider"
		become 0 faulty
		provide					# free
		kill -KILL "$provider"
		reap "$provider"
		become 0 faulty
	done
	[ "$(attr 0 stats/provider_deaths)" = $((4 * i)) ] ||
		fail "$(attr 0 stats/provider_deaths) deaths counted, not $((4 * i))"
}

# The provider kills itself while it has a request.
die_in_request()
{
	provide
	client command 5 EIO
	gone 137
	become 0 faulty
}

# A client that has its rank from the old provider gets nothing of the new one.
takeover()
{
	provide
	start_client until EIO
	wait_until 10 says /tmp/client.out working
	kill -KILL "$provider"
	reap "$provider"
	client_well
	provide
	[ "$(attr 0 stats/provider_deaths)" = 1 ]
	client clean
}

# The old owner keeps its file open, and the rank is cleaned all the same.
held_over_takeover()
{
	provide
	start_holder /dev/dpu_rank0
	kill -KILL "$provider"
	reap "$provider"
	provide
	state_is 0 free || fail "the rank is $(states)"
	not quietly client open		# dpu.ko: one owner at a time
	kill -KILL "$holder"
	reap "$holder"
	client clean
}

# It must be the same rank, and one without a provider.
takeover_wrong()
{
	provide
	not quietly "$bin/provider"
	kill -KILL "$provider"
	reap "$provider"
	not quietly "$bin/provider" --mram $((2 << 20))
	not quietly "$bin/provider" --dpus 4
	become 0 faulty
	provide
}

# kill -9 of a client at work: the rank comes back, clean.
kill_client()
{
	local i

	provide --mram $((256 << 10))
	for ((i = 0; i < $(times 10); i++)); do
		start_client until EIO
		wait_until 10 says /tmp/client.out working
		sleep "0.0$((RANDOM % 10))"
		kill -KILL "$client"
		reap "$client"
		become 0 free
		[ "$(attr 0 mram_used)" = 0 ] || fail "$(attr 0 mram_used) bytes of MRAM are left"
	done
	client clean
}

# Nobody sees what the one before had; the one after the next neither.
canary()
{
	local i

	provide --mram $((256 << 10))
	for i in 1 2 3; do
		client fill 65536 "$i"
		become 0 free
		client clean
	done
	[ "$(attr 0 stats/scrubs)" -ge 6 ]
}

# Opening a rank that is being cleaned waits for it.
open_waits()
{
	provide --deadline 60000
	client fill 4096 1
	scrubs
	start_client clean
	wait_until 10 waits_in_open "$client" || fail "it does not wait"
	kill -CONT "$provider"
	wait "$client" || fail "$(</tmp/client.out)"
	echo 100 >/sys/module/pim/parameters/open_wait_ms
	scrubs
	not quietly client open
	kill -CONT "$provider"
	become 0 free
	echo 5000 >/sys/module/pim/parameters/open_wait_ms
}

# The rank is being cleaned, until the provider goes on.
scrubs()
{
	start_holder /dev/dpu_rank0
	halt "$provider"
	kill "$holder"
	reap "$holder"
	become 0 scrubbing
}

waits_in_open()	# PID
{
	grep -q pim "/proc/$1/stack"
}

# A rank goes while it is at work: ENODEV, and the device node is gone.
unplug()
{
	local i

	for ((i = 0; i < $(times 5); i++)); do
		provide --ranks 2
		start_client until ENODEV
		wait_until 10 says /tmp/client.out working
		"$pimctl" rank remove 0
		wait_until 30 ended "$client" || fail "the client hangs"
		# what was under way may end with EIO
		wait "$client" || says /tmp/client.out 'ended with Input/output error' ||
			fail "client: $(</tmp/client.out)"
		[ ! -e /dev/dpu_rank0 ] && [ ! -e "$sys/rank0" ]
		gone 3
		become 1 faulty
		"$pimctl" rank remove 1
	done
}

# ... while it is only open; the file stays, and fails, and closes.
unplug_open()
{
	provide
	start_holder /dev/dpu_rank0
	"$pimctl" rank remove 0
	[ ! -e "$class/dpu_rank0" ]
	gone 3
	provide			# the same number, with the old file still open
	client_device=/dev/dpu_rank$(attr 0 local)
	"$bin/rank" "$client_device" clean
	kill "$holder"
	reap "$holder"
}

# The module cannot go while it is needed.
busy_unload()
{
	provide
	not quietly rmmod dpu
	not quietly rmmod pim
	start_holder /dev/dpu_rank0
	not quietly rmmod pim_local
	kill -KILL "$holder"
	reap "$holder"
	wait_until 10 rmmod pim_local
	[ ! -e /dev/dpu_rank0 ] && [ "$(attr 0 local)" = -1 ]
	insmod "$modules/pim_local.ko"
	client clean
}

many()
{
	local i

	provide --ranks 32 --mram $((64 << 10)) --depth 4 --deadline 60000
	[ "$(compgen -G "$class/dpu_rank*" | wc -l)" = 32 ]
	for ((i = 0; i < 32; i++)); do
		"$bin/rank" "/dev/dpu_rank$i" commands &
	done
	wait_until 60 only_provider || fail "some do not end"
	[ "$(cat "$sys"/rank*/stats/provider_errors | sort -u)" = 0 ]
	wait_until 20 all_free || fail "$(states)"
	[ "$(cat "$sys"/rank*/stats/commands | sort -n | head -1)" -ge 200 ] || fail "not all worked"
	kill "$provider"
	gone 0
}

only_provider()
{
	[ "$(jobs -pr | wc -l)" = 1 ]
}

all_free()
{
	[ "$(cat "$sys"/rank*/state | sort -u)" = free ]
}

# --- one thread, one io_uring (PIM_URING_RUN) ---

# Kernels that cannot cancel its commands have none: then it goes on as ever.
old_kernel()
{
	[ "$(uname -r | cut -d. -f1-2)" = 6.1 ]
}

all_work()	# RANKS
{
	local i

	for ((i = 0; i < $1; i++)); do
		"$bin/rank" "/dev/dpu_rank$i" commands &
	done
	wait_until 60 only_provider || fail "some do not end"
	[ "$(cat "$sys"/rank*/stats/provider_errors | sort -u)" = 0 ]
	[ "$(cat "$sys"/rank*/stats/commands | sort -n | head -1)" -ge 200 ] || fail "not all worked"
	client transfer
}

# How many calls it needs, beside a thread for each rank. All ranks are busy at once.
uring_works()
{
	local how

	for how in '--io-uring once' '--io-uring again' ''; do
		# shellcheck disable=SC2086 # words
		provide --ranks 8 $how
		all_work 8
		wait_until 10 no_rank_is scrubbing
		kill "$provider"
		gone 0
		note "${how:-threads}: $(tail -n 1 /tmp/provider.out)"
		if [ -n "$how" ] && old_kernel; then
			provider_says 'no such commands'
		else
			not provider_says 'no such commands'
		fi
		become 0 faulty
		become 7 faulty
	done
}

# kill -9 with commands that wait, and with some under way; then another provider.
uring_killed()
{
	local i

	for ((i = 0; i < $(times 10); i++)); do
		provide --ranks 2 --io-uring once
		if ((i % 3)); then
			start_client until EIO
			wait_until 10 says /tmp/client.out working
		fi
		kill -KILL "$provider"
		reap "$provider"
		((i % 3 == 0)) || client_well
		become 0 faulty
		become 1 faulty
	done
	[ "$(attr 0 stats/provider_deaths)" = "$i" ]
	provide --ranks 2 --io-uring once
	all_work 2
	not quietly rmmod pim
}

# The end of a rank ends the command that waits for it.
uring_ends()
{
	provide --io-uring once
	"$pimctl" rank remove 0
	gone 3
	provide --io-uring once
	client command 6 EIO	# a completion with a wrong tag
	gone 3
	become 0 faulty
	[ "$(attr 0 stats/provider_broken)" = 1 ]
	provide --io-uring once --deadline 2500
	client command 4 EIO	# no completion at all
	gone 3
}

t_run says-no says_no
for op in 6 7 8 9 10; do
	t_run "lie-$op" lie "$op"
done
t_run hang hang
t_run hang-killed hang_killed
t_run hang-reset hang_reset
t_run refuse-reset refuse_reset
t_run die-busy die_busy
t_run die-idle die_idle
t_run die-in-request die_in_request
t_run takeover takeover
t_run held-over-takeover held_over_takeover
t_run takeover-wrong takeover_wrong
t_run kill-client kill_client
t_run canary canary
t_run open-waits open_waits
t_run unplug unplug
t_run unplug-open unplug_open
t_run busy-unload busy_unload
t_run many many
t_run uring-works uring_works
t_run uring-killed uring_killed
t_run uring-ends uring_ends
t_end
