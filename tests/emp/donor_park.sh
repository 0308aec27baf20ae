#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A donor that is short of memory has cold slabs wait on its disk: nothing is lost,
# what is needed is fetched, and what cannot be read back is lost alone.
#
#	fault_mem -- maps --> region f0 -- rdma tier --> rxe0 --> emp-donor --> /dev/mapper/bad
#	                                \- block tier --> /dev/ram0
#
# lab: --kernel 6.12 --mem 2G --smp 1
# time: 600
# shellcheck source=tests/emp/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"
# shellcheck source=tests/emp/faults_lib.sh
. "${0%/*}/faults_lib.sh"
# shellcheck source=tests/emp/donor_lib.sh
. "${0%/*}/donor_lib.sh"

tier_note()
{
	local a text=
	for a in state link bytes used asked leaving given_back revoked parked fetched; do
		text+=" $a $(attr f0 "tiers/0/$a")"
	done
	echo "tier 0:$text; $("$top_donor" -s "$donor_control" status --json | tr -d ' \n' |
		sed 's/.*"memory"/"memory"/; s/"clients".*//')"
}

tier_at_least()	# ATTRIBUTE BYTES
{
	(($(attr f0 "tiers/0/$1") >= $2))
}

# parking_donor MB [OPTION]...: one with so much memory and 64 MiB of the bad disk
parking_donor()
{
	donor -m "$1" -o backing="$bad" -o backing-force=yes -o backing-size=64M \
		-o keep-free=4M "${@:2}"
}

no_errors()
{
	local c
	for c in csum_error read_error wb_error; do
		(($(counter f0 "$c") == 0)) || fail "$c $(counter f0 "$c"); $(tier_note)"
	done
}

# --- the donor shrinks -------------------------------------------------------------------

# What it has not got memory for any more is parked, and comes when it is needed.
shrinks()	# KEYS MB DRAM_MB
{
	parking_donor $(($2 + 16))
	filled "$1" "$2" "$3"
	tier_has parked 0 || fail "parked without need; $(tier_note)"
	resize $(($2 / 2))M
	wait_until 60 tier_at_least parked $(($2 * MiB / 2)) || fail "$(tier_note)"
	tier_has given_back 0 || fail "given back; $(tier_note)"
	reads_back 5
	(($(attr f0 tiers/0/fetched) > 0)) || fail "nothing was fetched; $(tier_note)"
	ask p write 0 "$pages" 6
	got right="$pages"
	evict_all f0
	reads_back 6
	no_errors
	leave p
	destroy f0
	wait_until 10 granted 0 || fail "the donor still holds something"
}

# Again and again while all is written to.
shrinks_loaded()	# KEYS MB DRAM_MB
{
	local round

	parking_donor $(($2 + 16))
	donor_region f0 "$2" "$3" "$1,deadline=60s"
	agent p /dev/emp/f0
	ask p load 0 $(($2 * 200)) 2
	for round in 1 2 3; do
		resize $(($2 * 3 / 4))M
		wait_until 60 tier_at_least parked 1 || fail "round $round: $(tier_note)"
		resize $(($2 + 16))M
	done
	ask p unload
	note "$answer; $(tier_note)"
	got
	no_errors
	leave p
}

# --- a tier that is larger than the donor's memory -----------------------------------------

larger()	# KEYS MB DRAM_MB
{
	parking_donor $(($2 / 2))
	filled "$1" "$2" "$3"
	reads_back 5
	ask p write 0 "$pages" 6
	got right="$pages"
	evict_all f0
	reads_back 6
	tier_at_least parked $(($2 * MiB / 4)) || fail "$(tier_note)"
	no_errors
	leave p
}

# Neither memory nor disk has room for so much: said at once, nothing stays.
too_large()
{
	parking_donor 16
	says 'do not hold' donor_region f0 128 16 "$small"
	[ ! -e /dev/emp/f0 ] || fail "there is a region"
	wait_until 10 granted 0 || fail "the donor still holds something"
}

# --- what goes wrong meanwhile ----------------------------------------------------------------

# The link breaks while slabs are parked, and while one is being fetched.
link_breaks()
{
	parking_donor 32 -o linger=5m
	filled "$small" 16 8
	resize 8M
	wait_until 60 tier_at_least parked $((8 * MiB)) || fail "$(tier_note)"
	stalls
	tell p check 0 "$pages" 5	# it waits for what cannot be loaded
	wait_until 20 loading || fail "nothing is being fetched; $(tier_note)"
	ip link set donor0 down
	wait_until 60 link_is_not active || fail "the link does not break"
	ip link set donor0 up
	becomes_link f0 0 active 60
	heals
	hear p
	got right="$pages"
	no_errors
	leave p
}

loading()
{
	! donor_says '"loading": 0,\{0,1\}$'
}

# Its disk cannot take it: it stays in memory.
disk_errors()
{
	parking_donor 32
	filled "$small" 16 8
	flaky 0 600 error_writes
	resize 8M
	wait_until 60 stored_badly || fail "$(tier_note)"
	reads_back 5
	heals
	no_errors
	leave p
}

stored_badly()
{
	donor_says '"store_errors": [1-9]'
}

# Its disk cannot be read: what was parked is lost, and nothing else.
disk_lost()
{
	local lost

	parking_donor 32
	watch_events
	filled "$small" 16 8
	resize 8M
	wait_until 60 tier_at_least parked $((8 * MiB)) || fail "$(tier_note)"
	breaks			# the disk
	ask p check 0 "$pages" 5
	note "$answer; $(tier_note)"
	lost=$bus
	((wrong == 0 && lost > 0 && right > 0)) || fail "$answer; $(tier_note)"
	event data-lost
	becomes_link f0 0 active
	! state_is f0 0 lost || fail "the whole tier is lost"
	heals
	ask p check 0 "$pages" 0	# not zeros
	((right == 0)) || fail "$answer"
	leave p
}

# With a second copy not even that.
disk_lost_mirrored()
{
	need_disk
	parking_donor 32
	filled "$small,redundancy=mirror,overcommit=1" 16 8 "$disk:16:0"
	wait_until 60 is_exposed 0 || fail "exposed $(attr f0 exposed)"
	resize 8M
	wait_until 60 tier_at_least parked $((8 * MiB)) || fail "$(tier_note)"
	breaks			# the disk
	reads_back 5
	heals
	leave p
}

# A disk that hangs: who needs what is there waits for its deadline, all others go on.
disk_stalls()
{
	parking_donor 32
	pages=3072
	donor_region f0 16 8 "$small,deadline=2s"
	agent p /dev/emp/f0
	ask p write 0 "$pages" 5
	got right="$pages"
	evict_all f0
	resize 8M
	wait_until 60 tier_at_least parked $((8 * MiB)) || fail "$(tier_note)"
	stalls
	ask p check 0 4 5
	note "$answer"
	((wrong == 0)) || fail "$answer"
	becomes_link f0 0 active
	heals
	set_attr f0 lost_retry_ms 0
	wait_until 60 all_right || fail "$answer; $(tier_note)"
	leave p
}

all_right()
{
	ask p check 0 "$pages" 5
	((right == pages))
}

# The donor dies with what it had parked: lost as all else.
donor_gone()
{
	parking_donor 32 -o linger=2s
	filled "$small" 16 8
	resize 8M
	wait_until 60 tier_at_least parked $((8 * MiB)) || fail "$(tier_note)"
	donor_dies
	ask p check 0 "$pages" 5
	((wrong == 0 && right == 0)) || fail "$answer"
	becomes_link f0 0 lost 60
	leave p
}

# What is parked is asked back: fetched, moved, given back.
drains()
{
	need_disk
	parking_donor 32 -o drain-timeout=10m
	filled "$small" 16 8 "$disk:16:0"
	resize 8M
	wait_until 60 tier_at_least parked $((8 * MiB)) || fail "$(tier_note)"
	kill -TERM "$donor_pid"
	wait_until 120 ended "$donor_pid" || fail "it does not go; $(tier_note)"
	wait "$donor_pid" || fail "the donor ended with $?"
	reads_back 5
	no_errors
	"$empctl" tier remove f0 0 --force
	leave p
}

# Of a client that does not offer it no slab is parked.
not_offered()
{
	local switch=/sys/module/emp_rdma/parameters/park

	echo N >"$switch"
	parking_donor 32
	filled "$small" 16 16
	echo Y >"$switch"
	resize 8M
	becomes_tier given_back $((8 * MiB))
	tier_has parked 0 || fail "$(tier_note)"
	reads_back 5
	leave p
}

t_begin
if ! { soft_roce && load_rdma; }; then
	echo "Bail out! no soft-RoCE"
	exit 1
fi
rdma_at_rest=$(rdma_resources)

donor_disk_run shrinks_small shrinks "$small" 16 8
donor_disk_run shrinks_2m shrinks "${variant[small-2m]}" 64 48
donor_disk_run shrinks_huge shrinks "${variant[huge]}" 64 48
donor_disk_run shrinks_loaded shrinks_loaded "$small" 16 8
donor_disk_run larger_small larger "$small" 32 8
donor_disk_run larger_2m larger "${variant[small-2m]}" 64 48
donor_disk_run too_large too_large
donor_disk_run link_breaks link_breaks
donor_disk_run disk_errors disk_errors
donor_disk_run disk_lost disk_lost
donor_disk_run disk_lost_mirrored disk_lost_mirrored
donor_disk_run disk_stalls disk_stalls
donor_disk_run donor_gone donor_gone
donor_disk_run drains drains
donor_disk_run not_offered not_offered
t_end
