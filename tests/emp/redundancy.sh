#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Two copies of what is on the tiers: made, counted, read when the other fails,
# made anew. The rule: with one tier down every word is right, and what an older
# copy holds is never seen.
#
#	fault_mem -- maps --> region f0 --+-- /dev/ram0
#	                                  +-- /dev/mapper/bad --> /dev/ram1
#	                                  +-- /dev/ram2, /dev/mapper/worse --> /dev/ram3
#	                                  +-- /dev/nvme0n1	(can be pulled out)
#	                                  +-- emp-donor		(over soft-RoCE, can be killed)
#
# ci: no a machine with soft-RoCE and 20 cases takes some minutes
# lab: --kernel 6.12 --nvme 256M --mem 4G --smp 1
# time: 900
# shellcheck source=tests/emp/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"
# shellcheck source=tests/emp/faults_lib.sh
. "${0%/*}/faults_lib.sh"
# shellcheck source=tests/emp/donor_lib.sh
. "${0%/*}/donor_lib.sh"

third=/dev/ram2
worse=/dev/mapper/worse
nvme=/dev/nvme0n1
n=3072				# pages of most cases: 12 MiB of 16

four_disks()
{
	modprobe brd rd_nr=4 rd_size=$((disk_mb * 1024)) max_part=0
	wait_until 5 test -b /dev/ram3
}

# pair FIRST SECOND [KEYS]: region f0, 16 MiB, 4 MiB of it in DRAM; with checksums
# unless sums=0
pair()
{
	"$empctl" region create f0 --size 16M --force \
		--mem "$1:16:0|$2:16:0|dram:4|checksum=${sums:-1},$small,redundancy=mirror${3:+,$3}"
	agent p /dev/emp/f0
}

fill_pages()	# FIRST N TAG
{
	ask p write "$@"
	got right="$2"
}

check_pages()	# FIRST N TAG
{
	ask p check "$@"
	got right="$2"
}

exposed()	# REGION BYTES: are so many?
{
	[ "$(attr "$1" exposed)" -eq "$2" ]
}

covered()	# REGION [SECONDS]: all of it has two copies, soon
{
	wait_until "${2:-20}" exposed "$1" 0 || fail "exposed: $(attr "$1" exposed)"
}

# After each case there is no second bad disk.
red_run()	# NAME COMMAND...
{
	t_run "$1" red_case "${@:2}"
}

red_case()
{
	trap red_case_end EXIT
	bad_disk
	"$@"
}

red_case_end()
{
	local status=$?

	set +eE
	trap - ERR EXIT
	if [ -b "$worse" ]; then
		[ -n "$sound" ] || dmsetup resume bad
		dmsetup resume worse
		worse_is linear
		kill_jobs
		wait_until 20 region_gone f0
		wait_until 20 quietly dmsetup remove worse
	fi
	(exit "$status")
	bad_case_end
}

worse_disk()
{
	dmsetup create worse --table "0 $sectors linear /dev/ram3 0"
	wait_until 5 test -b "$worse"
}

worse_is()	# linear or error
{
	local table="0 $sectors $1"

	[ "$1" = error ] || table+=" /dev/ram3 0"
	dmsetup suspend --noflush --nolockfs worse
	dmsetup reload worse --table "$table"
	dmsetup resume worse
}

# --- copies -------------------------------------------------------------------------

# A second copy is made, counted until then, and stands in for the first.
copy_made()	# KEYS
{
	local plain

	"$empctl" region create f0 --size 64M --force \
		--mem "$bad:64:0|$disk:64:0|dram:48|checksum=1,$1,redundancy=mirror"
	agent p /dev/emp/f0
	[ "$(attr f0 redundancy)" = mirror ] || fail "redundancy $(attr f0 redundancy)"
	"$empctl" region show f0 | grep -q '^  redundancy *mirror$' || fail "show does not say so"
	fill_pages 0 "$n" 5
	evict_all f0
	covered f0
	(($(counter f0 copy_bytes) == n * 4096)) || fail "copy_bytes $(counter f0 copy_bytes)"
	[ "$(attr f0 tiers/0/used)" = "$(attr f0 tiers/1/used)" ] ||
		fail "used: $(attr f0 tiers/0/used) and $(attr f0 tiers/1/used)"
	breaks
	check_pages 0 "$n" 5
	(($(counter f0 read_other_copy) > 0)) || fail "read_other_copy is 0"
	(($(counter f0 read_error) == 0)) || fail "read_error $(counter f0 read_error)"
	ask p punch 0 "$n"		# either copy's place comes back
	wait_until 10 exposed f0 0
	wait_until 10 unused f0 || fail "used: $(attr f0 tiers/0/used) $(attr f0 tiers/1/used)"
	leave p
	destroy f0
	plain=$(without_redundancy "$1")
	[ "$plain" = 0 ] || fail "a region without redundancy has copies: $plain"
}

without_redundancy()
{
	"$empctl" region create f1 --size 64M --force --mem "$disk:64:0|dram:48|checksum=1,$1" 2>&1
	attr f1 exposed
	destroy f1
}

unused()	# REGION
{
	cat "$sys/$1"/tiers/*/used | awk '{ n += $1 } END { exit n != 0 }'
}

# The second tier hangs: DRAM becomes free all the same, and what it lacks is counted.
exposed_counted()
{
	pair "$disk" "$bad" deadline=1s
	stalls
	fill_pages 0 "$n" 5
	evict_all f0
	exposed f0 $((n * 4096)) || fail "exposed $(attr f0 exposed), not $((n * 4096))"
	sleep 2				# longer than the deadline: writes are late
	exposed f0 $((n * 4096)) || fail "exposed $(attr f0 exposed) while the tier hangs"
	check_pages 0 "$n" 5
	goes_on
	covered f0 30
	check_pages 0 "$n" 5
	leave p
}

# mirror=sync: never is anything exposed.
sync_never_exposed()	# KEYS MB DRAM N
{
	local i n=$4

	"$empctl" region create f0 --size "$2M" --force \
		--mem "$bad:$2:0|$disk:$2:0|dram:$3|checksum=1,$1,redundancy=mirror,mirror=sync"
	agent p /dev/emp/f0
	[ "$(attr f0 redundancy)" = mirror-sync ] || fail "redundancy $(attr f0 redundancy)"
	ask p load 0 "$n" 2
	for ((i = 0; i < 30; i++)); do
		exposed f0 0 || fail "exposed $(attr f0 exposed)"
		pause 0.1
	done
	ask p unload
	got during=0
	evict_all f0
	(($(counter f0 copy_bytes) == 0)) || fail "copy_bytes $(counter f0 copy_bytes)"
	(($(attr f0 tiers/0/write_bytes) == $(attr f0 tiers/1/write_bytes))) ||
		fail "written: $(attr f0 tiers/0/write_bytes) and $(attr f0 tiers/1/write_bytes)"
	fill_pages 0 "$n" 6
	evict_all f0
	breaks
	check_pages 0 "$n" 6
	leave p
}

# --- one of them fails ---------------------------------------------------------------

# In the middle of reads and writes one tier fails; later it works again.
fails_midrun()	# KEYS FIRST SECOND
{
	"$empctl" region create f0 --size 64M --force \
		--mem "$2:64:0|$3:64:0|dram:48|checksum=1,redundancy=mirror,$1"
	agent p /dev/emp/f0
	ask p load 0 14000 2
	sleep 2
	wait_until 20 exposed f0 0 || true	# it may never stand still
	breaks
	sleep 3
	heals
	sleep 2				# lost_retry_ms
	ask p unload
	note "$answer"
	# What was exposed when it failed is there again when that works again.
	((wrong == 0 && bad_bus == 0 && bus == 0)) || fail "$answer"
	[[ $1 != *sync* ]] || got during=0
	evict_all f0
	covered f0 30
	leave p
}

# The tier that is read does not answer: the other one does, and what comes too late
# goes nowhere.
hung_read()
{
	pair "$bad" "$disk" deadline=1s
	fill_pages 0 "$n" 5
	evict_all f0
	covered f0
	stalls
	check_pages 0 "$n" 5
	note "$answer"
	((ms < 4000 * slowness)) || fail "an access took $ms ms"
	(($(counter f0 read_other_copy) > 0)) || fail "read_other_copy is 0"
	fill_pages 0 256 6
	goes_on
	check_pages 0 256 6
	evict_all f0			# no page is left behind
	check_pages 256 $((n - 256)) 5
	evict_all f0
	covered f0
	leave p
}

# The bytes of one copy change by themselves: the other is read, and the bad one written anew.
wrong_bytes()	# KEYS
{
	local before

	worse_disk
	pair "$bad" "$worse" "$1"
	fill_pages 0 "$n" 5
	evict_all f0
	covered f0
	dd if=/dev/zero bs=1M count=16 status=none | tr '\0' '\252' |
		dd of="$under" bs=1M iflag=fullblock oflag=direct conv=notrunc status=none
	check_pages 0 "$n" 5
	(($(counter f0 csum_error) > 0)) || fail "nothing was wrong"
	(($(counter f0 read_other_copy) > 0)) || fail "the other copy was not read"
	evict_all f0
	covered f0
	# All of it was touched by now: nothing is wrong any more, also where it was.
	before=$(counter f0 csum_error)
	worse_is error
	check_pages 0 "$n" 5
	[ "$(counter f0 csum_error)" = "$before" ] ||
		fail "csum_error $before, then $(counter f0 csum_error)"
	(($(counter f0 read_error) == 0)) || fail "read_error $(counter f0 read_error)"
	leave p
}

# Both are wrong: an error, not wrong bytes.
both_wrong()
{
	local at

	worse_disk
	pair "$bad" "$worse"
	fill_pages 0 "$n" 5
	evict_all f0
	covered f0
	for at in "$under" /dev/ram3; do
		dd if=/dev/zero bs=1M count=16 status=none | tr '\0' '\252' |
			dd of="$at" bs=1M iflag=fullblock oflag=direct conv=notrunc status=none
	done
	ask p check 0 256 5
	got bus=256 right=0
	leave p
}

# A block is written again while its second copy cannot be: when the first is gone
# too, that is an error, and never the older bytes of the second.
stale_never_served()
{
	local sums=0			# they would find old bytes, too

	worse_disk
	pair "$worse" "$bad" deadline=1s
	set_attr f0 readahead 0
	fill_pages 0 "$n" 5
	evict_all f0
	covered f0
	stalls
	fill_pages 0 $((n / 2)) 6
	evict_all f0
	exposed f0 $((n * 2048)) || fail "exposed $(attr f0 exposed)"
	worse_is error
	goes_on
	ask p check 0 $((n / 2)) 6
	note "with the first copy gone: $answer"
	((wrong == 0 && bus > 0)) || fail "$answer"
	check_pages $((n / 2)) $((n - n / 2)) 5
	worse_is linear
	sleep 1.5			# lost_retry_ms
	check_pages 0 $((n / 2)) 6
	evict_all f0
	covered f0
	breaks
	check_pages 0 $((n / 2)) 6
	check_pages $((n / 2)) $((n - n / 2)) 5
	leave p
}

# Rewriting, copying and late writes of copies, all at once; then each copy alone.
rewritten_while_copied()	# KEYS
{
	local i sums=0

	worse_disk
	pair "$worse" "$bad" "deadline=1s${1:+,$1}"
	ask p load 0 "$n" 2
	for ((i = 0; i < 4; i++)); do
		stalls
		pause 1.5
		goes_on
		pause 1
	done
	ask p unload
	got during=0
	fill_pages 0 "$n" 7
	evict_all f0
	covered f0 30
	breaks
	check_pages 0 "$n" 7
	evict_all f0
	heals
	covered f0 30
	worse_is error
	check_pages 0 "$n" 7
	leave p
}

# --- a tier goes for good --------------------------------------------------------------

need_nvme()
{
	modprobe nvme
	[ -b "$nvme" ] || echo 1 >/sys/bus/pci/rescan
	wait_until 20 test -b "$nvme" || skip "no NVMe disk"
}

pull_out()
{
	echo 1 >"$(readlink -f /sys/class/nvme/nvme0/device)/remove"
	wait_until 20 state_is f0 0 lost || fail "the tier is $(attr f0 tiers/0/state)"
}

# The copies that went with it are made anew on a third tier, no faster than allowed.
rebuild_third()
{
	local start left

	need_nvme
	"$empctl" region create f0 --size 16M --force \
		--mem "$nvme:16:0|$disk:16:0|$third:16:0|dram:4|checksum=1,$small,redundancy=mirror"
	agent p /dev/emp/f0
	fill_pages 0 "$n" 5
	evict_all f0
	covered f0
	(($(attr f0 tiers/0/used) == n * 4096)) || fail "not all was on the first"
	"$empctl" region set f0 rebuild_rate=2M
	start=${EPOCHREALTIME/[.,]/}
	pull_out
	wait_until 10 rebuilding || fail "nothing is rebuilt"
	left=$(attr f0 exposed)
	ask p check 0 64 5
	got right=64
	wait_until 60 exposed f0 0 || fail "exposed $(attr f0 exposed)"
	start=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
	note "rebuilt in $start ms, $left bytes were left when first looked at"
	((start >= 4500)) || fail "12 MiB in $start ms are more than 2 MiB a second"
	[ "$(attr f0 rebuild_left)" = 0 ] || fail "rebuild_left $(attr f0 rebuild_left)"
	[ "$(attr f0 tiers/1/used) $(attr f0 tiers/2/used)" = "$((n * 4096)) $((n * 4096))" ] ||
		fail "used $(attr f0 tiers/1/used) $(attr f0 tiers/2/used)"
	check_pages 0 "$n" 5
	timeout 60 "$empctl" tier remove f0 0	# nothing was only there: without --force
	fill_pages 0 "$n" 6
	evict_all f0
	check_pages 0 "$n" 6
	leave p
}

rebuilding()
{
	(($(attr f0 rebuild_left) > 0 && $(attr f0 exposed) > 0))
}

# The rate is for what was lost: what is written meanwhile is copied at once.
rebuild_slow()
{
	need_nvme
	"$empctl" region create f0 --size 16M --force \
		--mem "$nvme:16:0|$disk:16:0|$third:16:0|dram:4|checksum=1,$small,redundancy=mirror"
	agent p /dev/emp/f0
	fill_pages 0 "$n" 5
	evict_all f0
	covered f0
	"$empctl" region set f0 rebuild_rate=64		# a minute a block
	pull_out
	wait_until 20 exposed_between f0 $((n - 64)) "$n" || fail "exposed $(attr f0 exposed)"
	fill_pages "$n" 512 6
	evict_all f0
	wait_until 30 exposed_between f0 0 "$n" || fail "exposed $(attr f0 exposed)"
	(($(attr f0 exposed) >= (n - 64) * 4096)) || fail "rebuilt: $(attr f0 exposed) are left"
	"$empctl" region set f0 rebuild_rate=0
	covered f0
	check_pages 0 "$n" 5
	check_pages "$n" 512 6
	leave p
}

exposed_between()	# REGION PAGES PAGES
{
	local now

	now=$(attr "$1" exposed)
	((now >= $2 * 4096 && now <= $3 * 4096))
}

# There is no third: all goes on with one copy, until there is.
rebuild_onto_added()	# KEYS
{
	need_nvme
	"$empctl" region create f0 --size 64M --force \
		--mem "$nvme:64:0|$disk:64:0|dram:48|checksum=1,redundancy=mirror,$1"
	agent p /dev/emp/f0
	fill_pages 0 8192 5
	evict_all f0
	covered f0 30
	pull_out
	check_pages 0 8192 5
	fill_pages 0 4096 6
	fill_pages 9000 1000 7
	evict_all f0
	check_pages 0 4096 6
	(($(attr f0 exposed) >= 8192 * 4096)) || fail "exposed $(attr f0 exposed)"
	"$empctl" tier add f0 "$third:64:0" --force
	covered f0 60
	timeout 60 "$empctl" tier remove f0 0
	timeout 60 "$empctl" tier remove f0 1 2>/tmp/err && fail "only one would be left"
	check_pages 0 4096 6
	check_pages 4096 4096 5
	check_pages 9000 1000 7
	(($(counter f0 read_error) == 0)) || fail "read_error $(counter f0 read_error)"
	leave p
}

# A tier is emptied: its copies go to the third, and there are two all the time.
drain()	# KEYS
{
	local i drained

	"$empctl" region create f0 --size 64M --force \
		--mem "$bad:64:0|$disk:64:0|$third:64:0|dram:48|checksum=1,redundancy=mirror,$1"
	agent p /dev/emp/f0
	fill_pages 0 8192 5
	evict_all f0
	covered f0 30
	timeout 120 "$empctl" tier remove f0 "$2" &
	drained=$!
	for ((i = 0; i < 8192; i += 256)); do
		check_pages "$i" 16 5
	done
	wait "$drained"
	[ ! -e "$sys/f0/tiers/$2" ] || fail "tier $2 is there"
	check_pages 0 8192 5
	evict_all f0
	covered f0 30
	check_pages 0 8192 5
	(($(counter f0 read_error) + $(counter f0 csum_error) == 0)) || fail "errors"
	leave p
}

# Two tiers, one has to go: refused, unless one copy will do.
drain_to_one()
{
	pair "$bad" "$disk" overcommit=1
	fill_pages 0 "$n" 5
	evict_all f0
	covered f0
	timeout 60 "$empctl" tier remove f0 0
	exposed f0 $((n * 4096)) || fail "exposed $(attr f0 exposed)"
	check_pages 0 "$n" 5
	leave p
	destroy f0
	pair "$bad" "$disk"
	fill_pages 0 "$n" 5
	evict_all f0
	! "$empctl" tier remove f0 0 2>/tmp/err || fail "removed"
	state_is f0 0 ok
	check_pages 0 "$n" 5
	leave p
}

# --- what is refused ----------------------------------------------------------------------

no_region()	# PATTERN SPEC
{
	! "$empctl" region create f0 --size 16M --force --mem "$2|dram:4|$small" 2>/tmp/err ||
		fail "created: $2"
	grep -q "$1" /tmp/err || fail "$2: $(cat /tmp/err)"
	[ ! -e "$sys/f0" ] || fail "f0 is there"
}

capacity_refused()
{
	ln -sf "$disk" /dev/alias0
	no_region 'do not hold the region' "$bad:16:0|$disk:8:0|redundancy=mirror"
	no_region 'do not hold the region' "$disk:64:0|redundancy=mirror"
	no_region 'do not hold the region' "$disk:16:0|$disk:16:16|redundancy=mirror,mirror=sync"
	no_region 'do not hold the region' "$disk:16:0|$bad:16:0|redundancy=replica"
	# The same device by another name: it is the kernel that sees it.
	no_region 'do not hold its size' "$disk:16:0|/dev/alias0:16:16|redundancy=mirror"
	no_region 'needs redundancy=mirror' "$disk:16:0|$bad:16:0|mirror=sync"
	rm /dev/alias0
	pair "$bad" "$disk"
	! set_attr f0 rebuild_rate x 2>/dev/null || fail "a rate of x"
	leave p
	destroy f0
	"$empctl" region create f0 --size 16M --force \
		--mem "$disk:16:0|dram:4|$small,redundancy=mirror,overcommit=1"
	agent p /dev/emp/f0
	fill_pages 0 "$n" 5
	evict_all f0
	exposed f0 $((n * 4096)) || fail "exposed $(attr f0 exposed)"
	check_pages 0 "$n" 5
	leave p
	destroy f0
	"$empctl" region create f0 --size 16M --force --mem "$disk:16:0|dram:4|$small"
	[ "$(attr f0 redundancy)" = none ] || fail "redundancy $(attr f0 redundancy)"
	! set_attr f0 rebuild_rate 1M 2>/dev/null || fail "a rate without redundancy"
}

# --- donors -----------------------------------------------------------------------------------

donor_keys="dram:4|key=$keys,deadline=3s,$small"

# Killed with all of it there, and a second copy on a disk: slower, that is all.
donor_killed()	# KEYS
{
	need_disk
	donor -m 32
	"$empctl" region create f0 --size 16M --force \
		--mem "$addr:16:$port|$disk:16:0|$donor_keys,redundancy=mirror$1"
	watch_events
	agent p /dev/emp/f0
	fill_pages 0 "$n" 5
	evict_all f0
	covered f0 30
	tell p check 0 "$n" 5
	sleep 0.2
	donor_dies
	hear p
	note "during the death: $answer"
	got right="$n"
	event tier-lost
	check_pages 0 "$n" 5
	fill_pages 0 1024 6
	evict_all f0
	check_pages 0 1024 6
	check_pages 1024 $((n - 1024)) 5
	# One that comes back is not believed, and is no copy.
	donor -m 32
	state_is f0 0 lost || fail "the tier is $(attr f0 tiers/0/state)"
	check_pages 0 1024 6
	timeout 60 "$empctl" tier remove f0 0
	"$empctl" tier add f0 "$addr:16:$port|key=$keys" --force
	covered f0 60
	leave p
}

# Two donors, of which one is killed under load.
replica()
{
	donor -m 32
	other_donor -m 32
	"$empctl" region create f0 --size 16M \
		--mem "$addr:16:$port|$addr:16:$other_port|$donor_keys,redundancy=replica"
	watch_events
	agent p /dev/emp/f0
	fill_pages 0 "$n" 5
	evict_all f0
	exposed f0 0 || fail "exposed $(attr f0 exposed)"
	[ "$(attr f0 tiers/0/used)" = "$(attr f0 tiers/1/used)" ] || fail "not on both"
	ask p load 0 "$n" 2
	sleep 2
	kill -KILL "$other_pid"
	wait "$other_pid" || true
	sleep 3
	event tier-lost
	ask p unload
	note "$answer"
	got during=0
	fill_pages 0 "$n" 6
	evict_all f0
	check_pages 0 "$n" 6
	leave p
}

t_begin
four_disks
red_run copy_made_small-4k copy_made "${variant[small-4k]}"
red_run copy_made_small-64k copy_made "${variant[small-64k]}"
red_run copy_made_auto copy_made "${variant[auto]}"
red_run copy_made_huge copy_made "${variant[huge]}"
red_run exposed_counted exposed_counted
red_run sync_never_exposed sync_never_exposed "$small" 16 4 "$n"
red_run sync_never_exposed_huge sync_never_exposed "${variant[huge]}" 64 48 14000
red_run fails_midrun_first fails_midrun "${variant[small-64k]}" "$bad" "$disk"
red_run fails_midrun_second fails_midrun "${variant[small-64k]}" "$disk" "$bad"
red_run fails_midrun_sync_first fails_midrun "$small,mirror=sync" "$bad" "$disk"
red_run fails_midrun_sync_second fails_midrun "$small,mirror=sync" "$disk" "$bad"
red_run fails_midrun_huge fails_midrun "${variant[huge]},mirror=sync" "$bad" "$disk"
red_run hung_read hung_read
red_run wrong_bytes wrong_bytes ""
red_run wrong_bytes_sync wrong_bytes mirror=sync
red_run both_wrong both_wrong
red_run stale_never_served stale_never_served
red_run rewritten_while_copied rewritten_while_copied ""
red_run rewritten_while_copied_sync rewritten_while_copied mirror=sync
red_run rebuild_third rebuild_third
red_run rebuild_slow rebuild_slow
red_run rebuild_onto_added_64k rebuild_onto_added "${variant[small-64k]}"
red_run rebuild_onto_added_huge rebuild_onto_added "${variant[huge]}"
red_run drain_first drain "${variant[small-64k]}" 0
red_run drain_second drain "${variant[small-64k]}" 1
red_run drain_to_one drain_to_one
red_run capacity_refused capacity_refused
if soft_roce && load_rdma; then
	rdma_at_rest=$(rdma_resources)
	donor_run donor_killed donor_killed ""
	donor_run donor_killed_sync donor_killed ,mirror=sync
	donor_run replica replica
else
	t_skip donor_killed no soft-RoCE
fi
t_end
