#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Random arguments for all calls of dpu.ko and pim.ko, and a provider that writes
# anything into its rings (src/fuzz.c). All must come back, with an errno that is
# documented; what is in a rank that is used rightly meanwhile must stay.
#
# A seed repeats the calls, not their order among threads: FUZZ_SEED=N.
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

t_begin
seed=${FUZZ_SEED:-$SRANDOM}

calls()	# N: how many; fewer on the debug kernel, where each takes ten times as long
{
	local n=$1

	[ -z "${ANNEX_DEBUG:-}" ] || n=$((n / 5))
	times "$n"
}

fuzz()	# MODE CALLS
{
	note "seed $seed"
	"$bin/fuzz" "$1" "$seed" "$(calls "$2")" >/tmp/fuzz.out || fail "$(</tmp/fuzz.out)"
	sed 's/^/# /' /tmp/fuzz.out
}

# The rank that is used rightly has the number 1, and is there and full all along.
keep()
{
	provide --ranks 2 --mram $((256 << 10))
	"$pimctl" rank set 1 offline=no
	lease_1
	"$bin/rank" /dev/dpu_rank1 fill 65536 5
}

# Its lease ends with this case.
lease_1()
{
	: >/tmp/lease.out
	"$pimctl" lease run --rank 1 -- sh -c 'echo have; exec sleep 1000' >/tmp/lease.out 2>&1 &
	wait_until 10 says /tmp/lease.out have
}

kept()
{
	"$bin/rank" /dev/dpu_rank1 filled 65536 5
}

fuzz_rank()
{
	keep
	fuzz rank 20000
	kept
}

fuzz_control()
{
	keep
	fuzz control 20000
	kept
}

# The fuzzer may revoke leases of any rank: so there is none to keep.
fuzz_arbiter()
{
	provide --ranks 2 --mram $((64 << 10))
	fuzz arbiter 5000
	wait_until 20 no_rank_is scrubbing
	wait_until 20 no_rank_is draining
	client clean
}

fuzz_ring()
{
	keep
	fuzz ring 3000
	kept
}

t_run rank fuzz_rank
t_run control fuzz_control
t_run arbiter fuzz_arbiter
t_run ring fuzz_ring
t_end
