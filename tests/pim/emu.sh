#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# pim-emu as the provider: the SDK's whole sequence on /dev/dpu_rankN, a DPU program
# on 64 DPUs against the same in Python, and what a second owner finds of the first.
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

emulate()	# ARGUMENT...: as provide, with pim-emu
{
	: >/tmp/provider.out
	"$emu" "$@" >/tmp/provider.out 2>&1 &
	provider=$!
	wait_until 30 provider_says ready || fail "pim-emu is not ready: $(</tmp/provider.out)"
	wait_until 30 no_rank_is scrubbing || fail "ranks stay: $(states)"
}

sdk()	# [fill|clean]
{
	"$bin/sdk" /dev/dpu_rank0 "$@" >/tmp/sdk.out || fail "$(grep -v '^ok' /tmp/sdk.out)"
	grep commits /tmp/sdk.out
}

sequence()
{
	local commits requests

	emulate
	sdk
	[ "$(attr 0 stats/provider_errors)" = 0 ]
	# A commit brings its answer back: what reaches the provider is one request each.
	commits=$(sed -n 's/^# \([0-9]*\) commits.*/\1/p' /tmp/sdk.out | tail -n 1)
	requests=$(attr 0 stats/commands)
	note "$requests requests for $commits commands"
	((requests >= commits && requests * 100 <= commits * 105)) || fail "too many requests"
	become 0 free
	sdk
}

# a + b in 64 DPUs, 8 KiB each.
vadd()
{
	local dir=/tmp/vadd

	mkdir -p "$dir"
	python3 - "$dir" <<-'END'
		import random, struct, sys
		random.seed(7)
		for n in range(64):
		    for name in "ab":
		        with open("%s/%s.%d" % (sys.argv[1], name, n), "wb") as f:
		            f.write(struct.pack("<2048I", *(random.getrandbits(32) for _ in range(2048))))
	END
	"$top/userspace-tools/build/dpu-as" -o "$dir/vadd.dpu" "$top/userspace-tools/pim/examples/vadd.s"
	emulate --threads 2
	"$top/userspace-tools/build/dpu-run" -r /dev/dpu_rank0 -n 64 -s nr_blocks=8 -i "a:8192=$dir/a.%d" \
		-i "b:8192=$dir/b.%d" -o "sum:8192=$dir/sum.%d" "$dir/vadd.dpu" >/tmp/dpu-run.out 2>&1 ||
		fail "$(</tmp/dpu-run.out)"
	python3 - "$dir" <<-'END' || fail "the sums differ"
		import struct, sys
		for n in range(64):
		    v = [struct.unpack("<2048I", open("%s/%s.%d" % (sys.argv[1], x, n), "rb").read()) for x in ("a", "b", "sum")]
		    assert all((a + b) & 0xffffffff == s for a, b, s in zip(*v)), n
	END
}

# MRAM, WRAM, IRAM, registers, run and atomic bits of a rank whose DPUs still ran.
canary()
{
	emulate
	sdk fill
	become 0 free
	[ "$(attr 0 mram_used)" = 0 ] || fail "$(attr 0 mram_used) bytes are left"
	sdk clean
}

# The same after the owner was killed, and after the provider was.
canary_killed()
{
	emulate
	sdk fill
	kill -KILL "$provider"
	reap "$provider"
	become 0 faulty
	emulate
	[ "$(attr 0 provider)" = pim-emu ]
	sdk clean
	sdk
}

signals()
{
	local status=0

	emulate --ranks 3 --first 5 --mram 1M
	[ "$(attr 7 mram_size)" = 1048576 ]
	kill -TERM "$provider"
	wait "$provider" || status=$?
	[ "$status" = 0 ] || fail "it ended with $status: $(</tmp/provider.out)"
	[ ! -e "$sys/rank5" ]
	emulate --keep
	kill -TERM "$provider"
	wait "$provider"
	become 0 faulty
	emulate
	"$pimctl" rank remove 0
	wait "$provider" || status=$?
	[ "$status" = 1 ]
	provider_says 'no rank is left'
	"$emu" --mram 5 2>/tmp/b && fail "5 bytes of MRAM"
	[ "$(wc -l </tmp/b)" = 1 ]
}

# The same by one thread and one io_uring, where the kernel has that. Calls of both are counted.
uring()
{
	local how before after

	for how in '' --io-uring; do
		# shellcheck disable=SC2086 # words
		emulate --ranks 2 $how
		before=$(attr 0 stats/commands)
		strace -f -c -e trace=ioctl,io_uring_enter -o /tmp/strace.out -p "$provider" 2>/tmp/strace.err &
		wait_until 10 says /tmp/strace.err attached || fail "$(</tmp/strace.err)"
		sdk
		after=$(attr 0 stats/commands)
		kill -TERM "$provider"
		wait "$provider" || fail "$(</tmp/provider.out)"
		wait_until 10 says /tmp/strace.out total
		note "${how:-threads}: $((after - before)) requests; $(awk '$NF ~ /^(ioctl|io_uring_enter)$/ { print $4, $NF }' \
			/tmp/strace.out | tr '\n' ' ')"
		[ ! -e "$sys/rank0" ]
	done
	if [ "$(uname -r | cut -d. -f1-2)" = 6.1 ]; then
		provider_says 'thread for each'
	else
		says /tmp/strace.out io_uring_enter
	fi
	emulate --ranks 2 --io-uring
	sdk fill
	kill -KILL "$provider"
	reap "$provider"
	become 0 faulty
	become 1 faulty
	emulate --ranks 2 --io-uring
	sdk clean
	"$pimctl" rank remove 1
	sdk
	"$pimctl" rank remove 0
	wait_until 10 ended "$provider" || fail "it does not end"
	provider_says 'no rank is left'
}

t_run sequence sequence
t_run vadd vadd
t_run canary canary
t_run canary-killed canary_killed
t_run signals signals
t_run uring uring
t_end
