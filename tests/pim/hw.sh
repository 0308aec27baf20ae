#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# pim-hw on the stock driver's device node: here /dev/dpu_rank0 is a rank of
# pim-emu by pim_local.ko, which has the same calls. What pim-hw makes of it is
# rank 1, /dev/dpu_rank1. No hardware was there.
#
# lab: --kernel 6.12 --mem 2G
# debug: no
# time: 300
#
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/pim/lib.sh
. "${0%/*}/lib.sh"

t_begin
emu=$top/userspace-tools/build/pim-emu
hw=$top/userspace-tools/build/pim-hw

hw_says()	# WORDS
{
	grep -q "$1" /tmp/hw.out
}

# below and above: $provider, $hw_pid
emulate()
{
	"$emu" --mram 1M >/tmp/provider.out 2>&1 &
	provider=$!
	wait_until 30 provider_says ready || fail "pim-emu is not ready: $(</tmp/provider.out)"
	become 0 free
}

serve()	# ARGUMENT...
{
	: >/tmp/hw.out
	"$hw" "$@" /dev/dpu_rank0 >/tmp/hw.out 2>&1 &
	hw_pid=$!
	wait_until 30 hw_says ready || fail "pim-hw is not ready: $(</tmp/hw.out)"
	become 1 free
}

sdk()	# [fill|clean]
{
	"$bin/sdk" /dev/dpu_rank1 "$@" >/tmp/sdk.out || fail "$(grep -v '^ok' /tmp/sdk.out) $(</tmp/hw.out)"
}

# The library's whole sequence; its repair and timing stay here.
sequence()
{
	emulate
	serve
	sdk
	become 1 free
	sdk
	[ "$(attr 1 stats/provider_errors)" = 0 ]
	[ "$(attr 1 provider)" = pim-hw ]
	[ "$("$pimctl" rank list | grep -c ' leased ')" = 1 ]
}

# Bulk data: every byte through the image and back.
transfers()
{
	emulate
	serve
	"$bin/rank" /dev/dpu_rank1 transfer
	[ "$(attr 1 stats/provider_errors)" = 0 ]
}

# A second owner finds nothing of the first, whose programs still ran.
canary()
{
	emulate
	serve
	sdk fill
	become 1 free
	sdk clean
	sdk fill
	become 1 free
	sdk clean
}

# The rank below goes: everything is EIO, nothing hangs, and both come back.
below_gone()
{
	emulate
	serve
	kill -KILL "$provider"
	reap "$provider"
	become 0 faulty
	not "$bin/sdk" /dev/dpu_rank1 >/tmp/sdk.out
	become 1 faulty
	wait_until 20 ended "$hw_pid" || fail "pim-hw lives on without a rank"
	reap "$hw_pid"
	emulate
	serve --first 1
	sdk
}

# It is killed, and started again.
killed()
{
	emulate
	serve
	sdk fill
	kill -KILL "$hw_pid"
	reap "$hw_pid"
	become 1 faulty
	become 0 free
	serve --first 1
	sdk clean
	sdk
}

# What its user is told.
input()
{
	local status=0

	"$hw" 2>/tmp/b || status=$?
	[ "$status" = 2 ]
	emulate
	for arg in /dev/null /dev/dpu_rank7 /etc/passwd; do
		status=0
		"$hw" "$arg" 2>/tmp/b || status=$?
		[ "$status" = 1 ] || fail "$arg: $status"
		[ "$(wc -l </tmp/b)" = 1 ]
	done
	serve
	"$hw" /dev/dpu_rank0 2>/tmp/b && fail "the device twice"
	grep -q 'in use' /tmp/b
	[ "$(wc -l </tmp/b)" = 1 ]
	kill -TERM "$hw_pid"
	wait "$hw_pid"
	[ ! -e "$sys/rank1" ]
	become 0 free
}

t_run sequence sequence
t_run transfers transfers
t_run canary canary
t_run below-gone below_gone
t_run killed killed
t_run input input
t_end
