#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Only what was written is written back, and zeros are neither written nor read.
# Counts are exact: pages and subblocks times their size.
#
# lab: --kernel 6.12 --mem 4G
# time: 300
#
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/emp/lib.sh
. "${0%/*}/lib.sh"

access()	# COMMAND...: to vm0
{
	"$bin/access" /dev/emp/vm0 "$@"
}

# make_region VARIANT: vm0; sets pages, and unit: pages that are dirty together
# once the block was evicted
make_region()
{
	local mb dram

	case $1 in
	small-4k | small-64k) mb=$(on_debug 8 32) dram=$((mb / 4)) unit=1 ;;
	small-2m | auto) mb=$(on_debug 80 128) dram=52 unit=16 ;;
	huge) mb=$(on_debug 80 128) dram=52 unit=512 ;;
	esac
	pages=$((mb * 256))
	region vm0 "$mb" "$dram" "${variant[$1]}"
}

# What was written to the tier since the last call, in bytes.
written()
{
	local now device

	now=$(counter vm0 wb_bytes)
	device=$(attr vm0 tiers/0/write_bytes)
	[ "$now" -eq "$device" ] || fail "wb_bytes $now, but the tier counts $device"
	delta=$((now - before))
	before=$now
}
before=0

# expect_written BYTES WHAT
expect_written()
{
	written
	note "$2: $delta bytes written back"
	[ "$delta" -eq "$1" ] || fail "$2: $delta bytes written back, not $1"
}

readers_write_nothing()	# VARIANT
{
	local dirtied

	make_region "$1"
	access open map fill 0 "$pages" 1
	evict_all vm0
	expect_written $((pages * 4096)) "the first time"
	dirtied=$(counter vm0 dirtied_bytes)
	access open map read 0 "$pages" 1 read 0 "$pages" 3 repeat 3
	access open-ro map-ro read 0 "$pages" 1 check 0 "$pages" 1
	evict_all vm0
	expect_written 0 "reading"
	[ "$(counter vm0 dirtied_bytes)" -eq "$dirtied" ] || fail "reading made something dirty"
	[ "$(attr vm0 dirty)" -eq 0 ]
	(($(counter vm0 evict_clean) > 0)) || fail "nothing clean was evicted"
	access open map check 0 "$pages" 1
}

# A word in every tenth unit: those units are written, and no more.
tenth()	# VARIANT
{
	local n

	make_region "$1"
	access open map fill 0 "$pages" 1
	evict_all vm0
	written
	n=$(((pages + 10 * unit - 1) / (10 * unit)))
	access open map mark 0 "$pages" $((10 * unit)) 2
	evict_all vm0
	expect_written $((n * unit * 4096)) "$n words"
	access open map check-mark 0 "$pages" $((10 * unit)) 2
	evict_all vm0
	expect_written 0 "checking"
	access open map mark 0 "$pages" $((10 * unit)) 3 mark 0 "$pages" $((10 * unit)) 4 \
		check-mark 0 "$pages" $((10 * unit)) 4
	evict_all vm0
	written
	# each is written once or, if it was evicted between the two rounds, twice
	((delta >= n * unit * 4096 && delta <= 2 * n * unit * 4096)) || fail "$delta bytes"
}

zeros()	# VARIANT
{
	local fetched

	make_region "$1"
	access open map zero 0 "$pages"
	evict_all vm0
	expect_written 0 "zeros"
	[ "$(attr vm0 tiers/0/used)" -eq 0 ] || fail "zeros have slots"
	(($(counter vm0 evict_zero) > 0)) || fail "evict_zero does not count"
	access open map check-zero 0 "$pages"
	evict_all vm0
	[ "$(counter vm0 fetch_bytes)" -eq 0 ] || fail "zeros were fetched"

	# data that becomes zero
	access open map fill 0 "$pages" 1
	evict_all vm0
	expect_written $((pages * 4096)) "data"
	access open map zero 0 "$pages"
	evict_all vm0
	expect_written 0 "zeros over data"
	[ "$(attr vm0 tiers/0/used)" -eq 0 ] || fail "zeros have slots: $(attr vm0 tiers/0/used)"
	fetched=$(counter vm0 fetch_bytes)
	access open map check-zero 0 "$pages"
	[ "$(counter vm0 fetch_bytes)" -eq "$fetched" ] || fail "zeros were fetched"
}

untouched()	# VARIANT
{
	make_region "$1"
	access open map check-zero 0 "$pages"
	access open-ro map-ro check-zero 0 "$pages"
	evict_all vm0
	expect_written 0 "reading what was never written"
	[ "$(counter vm0 fetch_bytes)" -eq 0 ] || fail "something was fetched"
	[ "$(counter vm0 dirtied_bytes)" -eq 0 ] || fail "something became dirty"
	[ "$(attr vm0 tiers/0/used)" -eq 0 ]
}

# Data and zeros in one block: only the data moves.
half_zero()	# VARIANT
{
	local i args=() part size

	make_region "$1"
	part=$((unit == 512 ? 16 : unit))	# huge is still written in subblocks
	for ((i = 0; i < pages / part; i += 2)); do
		args+=(fill $((i * part)) "$part" 1)
	done
	access open map "${args[@]}"
	evict_all vm0
	size=$((pages * 4096 / 2))
	expect_written "$size" "every other subblock"
	before_fetch=$(counter vm0 fetch_bytes)
	access open map read 0 "$pages" 1
	note "fetched $(($(counter vm0 fetch_bytes) - before_fetch)) bytes"
	# more only if a block was evicted and came again
	(($(counter vm0 fetch_bytes) - before_fetch <= size * 5 / 4)) || fail "zeros were fetched"
	args=()
	for ((i = 0; i < pages / part; i += 2)); do
		args+=(check $((i * part)) "$part" 1 check-zero $(((i + 1) * part)) "$part")
	done
	access open map "${args[@]}"
}

# Discarded is as never written; nothing of it is written back or fetched.
discarded()	# VARIANT
{
	local fetched

	make_region "$1"
	access open map fill 0 "$pages" 1
	evict_all vm0
	written
	access open map mark 0 "$pages" "$unit" 2 discard 0 "$pages"
	[ "$(resident vm0)" -eq 0 ] || fail "still resident: $(resident vm0)"
	[ "$(attr vm0 tiers/0/used)" -eq 0 ] || fail "slots are still used"
	[ "$(attr vm0 dirty)" -eq 0 ] || fail "dirty: $(attr vm0 dirty)"
	written
	fetched=$(counter vm0 fetch_bytes)
	access open map check-zero 0 "$pages"
	evict_all vm0
	expect_written 0 "after discard"
	[ "$(counter vm0 fetch_bytes)" -eq "$fetched" ] || fail "something was fetched"
}

t_begin
for v in $(on_debug "small-4k auto huge" "${variants[*]}"); do
	t_run "readers-write-nothing-$v" readers_write_nothing "$v"
	t_run "tenth-$v" tenth "$v"
	t_run "zeros-$v" zeros "$v"
	t_run "untouched-$v" untouched "$v"
	t_run "half-zero-$v" half_zero "$v"
	t_run "discarded-$v" discarded "$v"
done
t_end
