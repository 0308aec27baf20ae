#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Pages that the region frees are used by others at once. Whoever could still
# see or write one that is no longer the region's is caught, from three sides:
# the mapper finds a foreign pattern, the other process finds its memory
# changed, or the page allocator finds a free page's poison changed.
#
# lab: --kernel 6.12 --mem 2G --nvme 256M --append page_poison=1 --append slub_debug=FZPU
# time: 600
#
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/emp/lib.sh
. "${0%/*}/lib.sh"

# Of each of 15 cases, 7 on the debug kernel.
[ -n "${ANNEX_SECONDS:-}${ANNEX_SOAK:-}" ] || seconds=3

poison_on()
{
	local pid

	dmesg | grep -q 'page_poison=1' || skip "the kernel was not booted with page_poison=1"
	if [ -r /proc/config.gz ]; then
		zgrep -q CONFIG_PAGE_POISONING=y /proc/config.gz || skip "kernel without page poisoning"
	fi
	pid=$$
	note "pages are poisoned when they are free (process $pid)"
}

# The allocator's own complaint is no splat of the lab's list.
no_corruption()
{
	if dmesg | grep -E 'pagealloc: (memory corruption|single bit error)|Poison overwritten'; then
		fail "a free page was written to"
	fi
}

limit_moves()	# REGION
{
	local min max

	min=$(attr "$1" dram_min)
	max=$(attr "$1" dram_limit)
	while set_attr "$1" dram_limit "$min"; do
		pause 0.2
		set_attr "$1" dram_limit "$max"
		pause 0.2
	done
}

# compete VARIANT WRITES OPS: with two processes that take free memory over and over
compete()
{
	local mb dram hogs=() pid

	case $1${ANNEX_DEBUG:+-debug} in
	small-4k-debug) mb=8 dram=2 ;;
	small-64k-debug) mb=16 dram=4 ;;
	*-debug) mb=80 dram=52 ;;
	small-4k | small-64k) mb=96 dram=24 ;;
	*) mb=224 dram=64 ;;
	esac
	region vm0 "$mb" "$dram" "${variant[$1]}"
	limit_moves vm0 &
	for mb in 40 24; do
		"$bin/hog" --mb "$mb" --again --seconds $((seconds + 4)) &
		hogs+=($!)
	done
	"$bin/stress" /dev/emp/vm0 --seconds "$seconds" --procs 2 --threads 2 --fill \
		--writes "$2" --ops "$3" --direct /dev/nvme0n1 || fail "stress says $?"
	for pid in "${hogs[@]}"; do
		wait "$pid" || fail "memory of another process changed"
	done
	(($(counter vm0 evict_clean) + $(counter vm0 evict_written) > 0)) || fail "nothing was freed"
	no_corruption
}

t_begin
modprobe nvme
wait_until 10 test -b /dev/nvme0n1 || { echo "Bail out! no disk"; exit 1; }
t_run poison-on poison_on
for v in $(on_debug "small-64k huge" "${variants[*]}"); do
	t_run "readers-$v" compete "$v" 3 readonly,protect
done
for v in $(on_debug "small-4k auto" "${variants[*]}"); do
	t_run "writers-$v" compete "$v" 60 discard,remap,madvise
done
for v in $(on_debug "small-64k small-2m huge" "${variants[*]}"); do
	t_run "holders-$v" compete "$v" 30 direct,splice,processvm,discard
done
t_end
