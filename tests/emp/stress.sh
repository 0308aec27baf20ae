#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Regions used in every way there is, by many threads and processes, while the
# DRAM limit moves. Each word is checked: src/stress.c and src/cells.h.
#
# lab: --kernel 6.12 --mem 4G --nvme 256M
# time: 900
#
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/emp/lib.sh
. "${0%/*}/lib.sh"

# Of each of 45 cases, 13 on the debug kernel.
[ -n "${ANNEX_SECONDS:-}${ANNEX_SOAK:-}" ] || seconds=3

direct=/dev/nvme0n1		# for O_DIRECT, with real asynchronous DMA

# Sizes for a form: MB of the region, of DRAM (a quarter to a third); less on
# the debug kernel, where it would take most of the time to fill them.
size_of()	# VARIANT
{
	case $1${ANNEX_DEBUG:+-debug} in
	small-4k-debug) echo 8 2 ;;
	small-64k-debug) echo 16 4 ;;
	*-debug) echo 80 52 ;;
	small-4k | small-64k) echo 96 24 ;;
	*) echo 224 64 ;;
	esac
}

make_region()	# NAME VARIANT
{
	local mb dram

	read -r mb dram < <(size_of "$2")
	region "$1" "$mb" "$dram" "${variant[$2]}"
}

# Move the limit between its minimum and what the region had at first.
limit_moves()	# REGION
{
	local min max part

	min=$(attr "$1" dram_min)
	max=$(attr "$1" dram_limit)
	while set_attr "$1" dram_limit "$min"; do
		pause 0.3
		for part in 5 2 1; do
			set_attr "$1" dram_limit $((min + (max - min) / part))
			pause 0.2
		done
	done
}

# stress_as VARIANT PROCS THREADS OPS [OPTION]...: with a limit that moves
stress_as()
{
	make_region vm0 "$1"
	limit_moves vm0 &
	"$bin/stress" /dev/emp/vm0 --seconds "$seconds" --procs "$2" --threads "$3" \
		--direct "$direct" --fill --ops "$4" "${@:5}"
	region_note vm0
	(($(counter vm0 fault_fetch) > 0)) || fail "nothing was ever fetched"
	evict_all vm0 || fail "$(resident vm0) bytes cannot be evicted though nobody holds them"
	[ "$(attr vm0 dirty)" -eq 0 ] || fail "nothing is resident, but $(attr vm0 dirty) dirty"
}

t_begin
modprobe nvme
wait_until 10 test -b "$direct" || { echo "Bail out! no $direct"; exit 1; }

# each NAME DEBUG_VARIANT PROCS THREADS OPS: with each form, on debug with that one
each()
{
	local v

	for v in $(on_debug "$2" "${variants[*]}"); do
		t_run "$1-$v" stress_as "$v" "${@:3}"
	done
}

each all "${variants[*]}" 3 2 all
each threads small-4k 1 6 rw
each processes huge 3 2 rw
each discard auto 2 3 discard
each mappings small-64k 2 3 unaligned,remap,protect,readonly
each fork huge 2 2 fork,kill
each advice small-2m 2 2 madvise,mlock
each proc small-64k 2 2 proc,uffd
each gup small-64k 2 3 direct,processvm,procmem,splice,ptrace
t_end
