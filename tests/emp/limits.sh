#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The DRAM limit of a region: its minimum, changes under load, and the memory
# cgroup that pays for the pages.
#
# lab: --kernel 6.12 --mem 4G
# time: 600
#
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/emp/lib.sh
. "${0%/*}/lib.sh"

cpus=$(nproc)

access()	# COMMAND...: to vm0
{
	"$bin/access" /dev/emp/vm0 "$@"
}

milliseconds()
{
	echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

dram_of()	# VARIANT: MB of DRAM, and of a region about four times as large
{
	case $1${ANNEX_DEBUG:+-debug} in
	small-4k-debug | small-64k-debug) echo 16 64 ;;
	*-debug) echo 80 160 ;;
	small-4k | small-64k) echo 32 128 ;;
	*) echo 64 256 ;;
	esac
}

make_region()	# VARIANT
{
	local dram mb

	read -r dram mb < <(dram_of "$1")
	region vm0 "$mb" "$dram" "${variant[$1]}"
}

# All CPUs and two threads more make progress with the least DRAM there may be.
minimum()	# VARIANT
{
	local out

	make_region "$1"
	set_attr vm0 dram_limit "$(attr vm0 dram_min)"
	[ "$(attr vm0 dram_limit)" -eq "$(attr vm0 dram_min)" ]
	out=$("$bin/stress" /dev/emp/vm0 --seconds "$seconds" --threads $((cpus + 2)) \
		--stuck $((30 * slowness)) --no-check) || { echo "$out"; fail "stress says $?"; }
	echo "$out"
	region_note vm0
	resident_at_most vm0 "$(attr vm0 dram_min)" || fail "above its limit"
	(($(counter vm0 fault_no_space) == 0)) || fail "an access failed for want of memory"
	# each thread got somewhere
	[[ $out =~ ([0-9]+)" operations" ]] && ((BASH_REMATCH[1] >= 4 * (cpus + 2)))
}

# Shrinking gives pages back to the host in time; the data stays.
shrink()	# VARIANT clean|dirty
{
	local dram mb begin target free_before free_after

	make_region "$1"
	read -r dram mb < <(dram_of "$1")
	access open map fill 0 $((dram * 256)) 7
	if [ "$2" = clean ]; then
		set_attr vm0 evict "$((mb << 20))"
		wait_until 20 all_written vm0
		access open map read 0 $((dram * 200)) 1
		all_written vm0 || fail "reading made it dirty"
		(($(resident vm0) > (dram << 20) / 2)) || fail "not filled"
	fi
	target=$(attr vm0 dram_min)
	free_before=$(free_kb)
	begin=$(milliseconds)
	set_attr vm0 dram_limit "$target"
	wait_until 5 resident_at_most vm0 "$target" || fail "still $(resident vm0) after 5 s"
	free_after=$(free_kb)
	note "$1 $2: below $target after $(($(milliseconds) - begin)) ms," \
		"$(((free_after - free_before) / 1024)) MB back"
	(((free_after - free_before) * 1024 > ((dram << 20) - target) / 4)) ||
		fail "the host got only $((free_after - free_before)) kB"
	access open map check 0 $((dram * 256)) 7
	resident_at_most vm0 "$target"
	set_attr vm0 dram_limit "$((dram << 20))"
	access open map read 0 $((mb * 256)) 1
	(($(resident vm0) > (dram << 20) / 2)) || fail "does not grow again: $(resident vm0)"
}

free_kb()
{
	echo 1 >/proc/sys/vm/stat_refresh
	awk '$1 == "MemFree:" { print $2 }' /proc/meminfo
}

all_written()	# REGION
{
	[ "$(attr "$1" dirty)" -eq 0 ]
}

# Shrink and grow under load; whenever it is looked at, soon after a change, the
# region is within its limit.
under_load()	# VARIANT
{
	local min max i pid

	make_region "$1"
	min=$(attr vm0 dram_min)
	max=$(attr vm0 dram_limit)
	"$bin/stress" /dev/emp/vm0 --seconds 1000 --threads 4 --stuck $((30 * slowness)) --ops discard &
	pid=$!
	for ((i = 0; i < $(times 8 3); i++)); do
		set_attr vm0 dram_limit "$min"
		wait_until 10 resident_at_most vm0 "$min" ||
			fail "round $i: $(resident vm0) is above $min after 10 s under load"
		set_attr vm0 dram_limit "$max"
		wait_until 10 not resident_at_most vm0 $((min + (max - min) / 2)) ||
			fail "round $i: does not grow"
		not ended "$pid" || fail "the load ended"
	done
	kill -KILL "$pid"
}

below_minimum()	# VARIANT
{
	local min out

	make_region "$1"
	min=$(attr vm0 dram_min)
	out=$( (set_attr vm0 dram_limit $((min - 4096))) 2>&1) && fail "accepted"
	[[ $out == *"out of domain"* ]] || fail "said: $out"
	for value in 0 -1 nonsense '' 1.5 99999999999999999999999; do
		(set_attr vm0 dram_limit "$value") 2>/dev/null && fail "'$value' is accepted"
	done
	[ "$(attr vm0 dram_limit)" -gt "$min" ] || fail "the limit has changed"
	set_attr vm0 dram_limit "$min"
	[ "$(attr vm0 dram_limit)" -eq "$min" ]
	destroy vm0
	wait_until 5 no_regions
	"$empctl" region create vm1 --size 256M --force \
		--mem "$disk:256:0|dram:0|${variant[$1]}" 2>/dev/null && fail "made with no DRAM"
	no_regions
}

# More than the region is the region.
above_size()
{
	region vm0 64 16 "${variant[small-64k]}"
	set_attr vm0 dram_limit 1T
	[ "$(attr vm0 dram_limit)" -eq $((64 << 20)) ]
	access open map fill 0 16384 3
	[ "$(resident vm0)" -eq $((64 << 20)) ] || fail "only $(resident vm0) resident"
	(($(counter vm0 wb_bytes) == 0)) || fail "written back though all has room"
	access open map check 0 16384 3
}

# --- memory cgroup --------------------------------------------------------------------

cgroup=/sys/fs/cgroup/emp-test

in_cgroup()	# COMMAND...
{
	(
		echo "$BASHPID" >"$cgroup/cgroup.procs"
		exec "$@"
	)
}

event()	# NAME: of the cgroup
{
	awk -v name="$1" '$1 == name { print $2 }' "$cgroup/memory.events"
}

cgroup_region()	# VARIANT MEMORY_MAX_MB
{
	local dram mb

	need_disk
	mkdir -p "$cgroup"
	echo "$(($2 << 20))" >"$cgroup/memory.max"
	read -r dram mb < <(dram_of "$1")
	in_cgroup "$empctl" region create vm0 --size "${mb}M" --force \
		--mem "$disk:$mb:0|dram:$dram|checksum=1,${variant[$1]}"
}

cgroup_gone()
{
	rmdir "$cgroup" 2>/dev/null || [ ! -d "$cgroup" ]
}

# What a region holds is charged to the cgroup of its creator, whoever uses it.
charged()	# VARIANT
{
	local before after dram mb

	cgroup_region "$1" 2000
	read -r dram mb < <(dram_of "$1")
	before=$(<"$cgroup/memory.current")
	access open map fill 0 $((dram * 240)) 1
	after=$(<"$cgroup/memory.current")
	note "$1: resident $(resident vm0), charged $((after - before))"
	((after - before >= $(resident vm0) * 9 / 10)) ||
		fail "charged $((after - before)) for $(resident vm0)"
	destroy vm0
	wait_until 5 no_regions
	wait_until 5 test "$(<"$cgroup/memory.current")" -lt $((before + (1 << 20))) ||
		fail "still charged: $(<"$cgroup/memory.current"), before $before"
	wait_until 5 cgroup_gone
}

# A cgroup that has less memory than the region may use slows it, and kills nobody.
cgroup_limit()	# VARIANT MEMORY_MAX_MB WHERE
{
	local where=()

	cgroup_region "$1" "$2"
	[ "$3" = inside ] && where=(in_cgroup)
	"${where[@]}" "$bin/stress" /dev/emp/vm0 --seconds "$seconds" --threads 3 --stuck $((60 * slowness)) --fill ||
		fail "stress says $?"
	region_note vm0
	note "$(tr '\n' ' ' <"$cgroup/memory.events"), current $(<"$cgroup/memory.current")"
	[ "$(event oom_kill)" -eq 0 ] || fail "somebody was killed"
	(($(<"$cgroup/memory.current") <= $2 << 20)) || fail "above the cgroup's limit"
	(($(resident vm0) <= $2 << 20)) || fail "resident $(resident vm0)"
	(($(counter vm0 fault_no_space) == 0)) || fail "an access failed for want of memory"
	destroy vm0
	wait_until 5 no_regions
	wait_until 5 cgroup_gone
}

# The cgroup's limit falls below what the region holds, but not below its minimum.
cgroup_shrinks()	# VARIANT
{
	local dram mb max min

	cgroup_region "$1" 2000
	read -r dram mb < <(dram_of "$1")
	access open map fill 0 $((mb * 256)) 1
	min=$(attr vm0 dram_min)
	max=$((dram << 19))
	((max > min)) || max=$((($(resident vm0) + min) / 2))
	(($(resident vm0) > max)) || fail "only $(resident vm0) resident"
	echo "$max" >"$cgroup/memory.max" || fail "memory.max cannot be set"
	wait_until 10 resident_at_most vm0 "$max" ||
		fail "resident $(resident vm0), charged $(<"$cgroup/memory.current")"
	note "shrinker freed $(counter vm0 shrinker_freed) pages"
	access open map check 0 $((mb * 256)) 1
	[ "$(event oom_kill)" -eq 0 ] || fail "somebody was killed"
	destroy vm0
	wait_until 5 no_regions
	wait_until 5 cgroup_gone
}

# Asked for all it has, a region gives all but its minimum, also of what is dirty.
cgroup_reclaims()	# VARIANT
{
	local dram mb min before

	cgroup_region "$1" 2000
	read -r dram mb < <(dram_of "$1")
	access open map fill 0 $((mb * 256)) 1
	min=$(attr vm0 dram_min) before=$(resident vm0)
	(echo 1G >"$cgroup/memory.reclaim") 2>/dev/null || true	# it has not as much
	wait_until 10 nothing_written || fail "writes do not end"
	note "$1: resident $before -> $(resident vm0), dram_min $min," \
		"shrinker freed $(counter vm0 shrinker_freed)"
	(($(counter vm0 shrinker_freed) > 0)) || fail "nothing was given"
	(($(resident vm0) >= min - 2 * $(attr vm0 block_size))) ||
		fail "resident $(resident vm0), far below dram_min $min"
	access open map check 0 $((mb * 256)) 1
	destroy vm0
	wait_until 5 no_regions
	wait_until 5 cgroup_gone
}

nothing_written()
{
	[ "$(attr vm0 tiers/0/inflight)" -eq 0 ]
}

# The creator's cgroup may go while the region stays.
cgroup_removed()
{
	local dram mb

	cgroup_region small-64k 1000
	read -r dram mb < <(dram_of small-64k)
	access open map fill 0 $((dram * 128)) 1
	wait_until 5 cgroup_gone || fail "the cgroup cannot be removed"
	access open map check 0 $((dram * 128)) 1 fill 0 $((mb * 256)) 2 check 0 $((mb * 256)) 2
}

# The host is short of memory: the shrinker takes from the region. The ram disk
# has all of it before, for it would take as much memory as it is to give.
host_pressure()
{
	local resident_before mb

	mb=$(on_debug 250 1000)
	region vm0 $((mb * 2)) $((mb * 7 / 5)) "${variant[small-64k]}"
	access open map fill 0 $((mb * 256)) 1
	evict_all vm0
	access open map read 0 $((mb * 256)) 1
	resident_before=$(resident vm0)
	((resident_before > mb * 9 / 10 << 20)) || fail "only $resident_before resident"
	"$bin/hog" --mb $(($(free_kb) / 1024 + mb * 3 / 10)) --seconds 1 || fail "hog says $?"
	note "resident $resident_before -> $(resident vm0), shrinker freed $(counter vm0 shrinker_freed)"
	(($(resident vm0) < resident_before)) || fail "nothing was given back"
	access open map check 0 $((mb * 256)) 1
}

t_begin
# What is freed is to be free, not on the lists of a CPU, which take megabytes.
echo 100000 >/proc/sys/vm/percpu_pagelist_high_fraction
for v in $(on_debug "small-64k small-2m huge" "${variants[*]}"); do
	t_run "minimum-$v" minimum "$v"
done
for v in $(on_debug "small-64k huge" "${variants[*]}"); do
	t_run "shrink-clean-$v" shrink "$v" clean
done
for v in $(on_debug "small-4k auto" "${variants[*]}"); do
	t_run "shrink-dirty-$v" shrink "$v" dirty
done
for v in $(on_debug "small-4k small-64k auto huge" "${variants[*]}"); do
	t_run "under-load-$v" under_load "$v"
done
for v in $(on_debug "small-4k huge" "${variants[*]}"); do
	t_run "below-minimum-$v" below_minimum "$v"
done
t_run above-size above_size
for v in $(on_debug "small-64k huge" "small-64k auto huge"); do
	t_run "charged-$v" charged "$v"
	t_run "cgroup-shrinks-$v" cgroup_shrinks "$v"
	t_run "cgroup-reclaims-$v" cgroup_reclaims "$v"
done
t_run cgroup-limit-small cgroup_limit small-64k "$(on_debug 8 16)" outside
t_run cgroup-limit-small-inside cgroup_limit small-64k "$(on_debug 12 24)" inside
[ -n "${ANNEX_DEBUG:-}" ] || t_run cgroup-limit-auto cgroup_limit auto 56 outside
t_run cgroup-limit-huge cgroup_limit huge "$(on_debug 52 56)" outside
t_run cgroup-removed cgroup_removed
t_run host-pressure host_pressure
t_end
