#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Several tiers: what overflows goes down, tiers come and go under load, ranges
# and what becomes of their bytes.
#
# lab: --kernel 6.12 --nvme 256M
# time: 600
# shellcheck source=tests/emp/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"
# shellcheck source=tests/emp/faults_lib.sh
. "${0%/*}/faults_lib.sh"

small="block=4K,subblock=4K,map=small"

# Of regions in pages of 4 KiB, each of which is a fault.
mb=$(on_debug 8 32)
pages=$((mb * 256))

used_mb()	# REGION TIER
{
	echo $(($(attr "$1" "tiers/$2/used") >> 20))
}

demoted()	# REGION
{
	(($(counter "$1" demoted) > 0))
}

slow()	# MS: requests of the bad disk take that long
{
	[ -e /sys/module/dm_delay ] || modprobe dm-delay
	becomes "0 $sectors delay $under 0 $1"
}

# create2 FAST_MB SLOW_MB MB DRAM_MB [KEYS]: region f0, fast on $disk, slow on $bad
create2()
{
	"$empctl" region create f0 --size "$3M" --force \
		--mem "$disk:$1:0|$bad:$2:0|dram:$4|checksum=1${5:+,$5}"
}

# fill_pages FIRST N TAG: by agent p, all right
fill_pages()
{
	ask p write "$@"
	got right="$2"
}

check_pages()
{
	ask p check "$@"
	got right="$2"
}

# More than the first tier holds: the coldest go down, and room is made for more.
demotion()	# KEYS MB DRAM_MB
{
	local mb=$2 n=$(($2 * 256))
	create2 $((mb / 3)) "$mb" "$mb" "$3" "$1"
	agent p /dev/emp/f0
	fill_pages 0 "$n" 5
	evict_all f0
	wait_until 20 demoted f0 || fail "nothing was demoted"
	(($(used_mb f0 1) > 0)) || fail "nothing on the second tier"
	fill_pages 0 $((n / 3)) 6
	evict_all f0
	check_pages 0 $((n / 3)) 6
	check_pages $((n / 3)) $((n - n / 3)) 5
	(($(counter f0 migrate_error) == 0)) || fail "migrate_error $(counter f0 migrate_error)"
	# What is thrown away gives its place on either tier back.
	ask p punch 0 "$n"
	evict_all f0
	wait_until 10 nothing_used f0 || fail "used: $(attr f0 tiers/0/used) $(attr f0 tiers/1/used)"
	leave p
}

nothing_used()	# REGION
{
	cat "$sys/$1"/tiers/*/used | awk '{ n += $1 } END { exit n != 0 }'
}

# The oldest go first: what was evicted last is still on the fast tier.
demotes_the_coldest()
{
	local before reads i
	create2 16 48 48 8 "$small"
	set_attr f0 readahead 0
	agent p /dev/emp/f0
	fill_pages 0 3072 5		# old: 12 MiB
	evict_all f0
	for ((i = 0; i < 8; i++)); do	# new: 8 MiB, slowly; as much of the old has to go
		fill_pages $((4096 + i * 256)) 256 6
		evict_all f0
		wait_until 20 has_room f0 || fail "no room is made"
	done
	(($(counter f0 demoted) >= 1024)) || fail "demoted $(counter f0 demoted)"
	before=$(attr f0 tiers/1/reads)
	check_pages 4096 2048 6
	reads=$(($(attr f0 tiers/1/reads) - before))
	note "$reads of 2048 new pages are on the slow tier, $(counter f0 demoted) were demoted"
	((reads < 200)) || fail "new ones were demoted"
	check_pages 0 3072 5
	leave p
}

# What is used again and again rises from a slow tier, others sink where that is full.
promotion()	# MB ON: so much else is on the fast tier, of 8 MB; 1, 0: may it rise?
{
	local first last

	create2 8 24 24 4 "$small"
	set_attr f0 readahead 0
	set_attr f0 promote "$2"
	agent p /dev/emp/f0
	fill_pages 0 1024 5		# these sink ...
	evict_all f0
	fill_pages 2048 2048 6		# ... under these
	evict_all f0
	wait_until 20 used_at_least f0 1 3 || fail "$(used_mb f0 1) MB on the slow tier"
	ask p punch $((2048 + $1 * 256)) $((2048 - $1 * 256))
	slow 5
	set_attr f0 dram_limit $((3 << 20))
	for _ in 1 2 3 4 5 6 7 8; do
		last=$(attr f0 tiers/1/reads)
		check_pages 0 1024 5
		last=$(($(attr f0 tiers/1/reads) - last))
		: "${first:=$last}"
	done
	note "reads of the slow tier in a turn: first $first, last $last;" \
		"promoted $(counter f0 promoted), demoted $(counter f0 demoted)"
	heals
	if (($2)); then
		(($(counter f0 promoted) > 0 && last < first)) || fail "nothing rises"
	else
		(($(counter f0 promoted) == 0)) || fail "something rises"
	fi
	check_pages 0 1024 5
	check_pages 2048 $(($1 * 256)) 6
	leave p
}

used_at_least()	# REGION TIER MB
{
	(($(used_mb "$1" "$2") >= $3))
}

has_room()	# REGION: the fast tier has a sixteenth free again
{
	(($(attr "$1" tiers/0/used) <= $(attr "$1" tiers/0/bytes) * 15 / 16))
}

# A region that is too large for its tiers gets another one.
add_online()	# KEYS
{
	local n=$((pages * 2))

	"$empctl" region create f0 --size "$((mb * 2))M" --force \
		--mem "$disk:$((mb / 4)):0|dram:$((mb / 2))|checksum=1,overcommit=1,$1"
	watch_events
	agent p /dev/emp/f0
	ask p write 0 "$n" 5
	((bus > 0)) || fail "$answer: it all fitted"
	"$empctl" tier add f0 "$bad:64:0" --force
	event tier-added
	[ "$(attr f0 tiers/1/device)" = "/dev/$(dmsetup info -C --noheadings -o blkdevname bad)" ] ||
		fail "device $(attr f0 tiers/1/device)"
	fill_pages 0 "$n" 6
	evict_all f0
	check_pages 0 "$n" 6
	(($(used_mb f0 1) > mb * 5 / 4)) || fail "$(used_mb f0 1) MB on the new tier"
	leave p
}

# A tier goes while all of the region is in use.
remove_under_load()	# KEYS MB DRAM_MB
{
	create2 "$2" "$(($2 < bad_mb ? $2 : bad_mb))" "$2" "$3" "overcommit=1,$1"
	watch_events
	agent p /dev/emp/f0
	ask p load 0 $(($2 * 200)) 2
	sleep 1
	timeout $((120 * slowness)) "$empctl" tier remove f0 0
	event tier-removed
	[ ! -d "$sys/f0/tiers/0" ] || fail "the tier is there"
	"$bin/fault_excl" "$disk" true || fail "$disk is still claimed"
	sleep 1
	ask p unload
	note "$answer"
	got during=0
	(($(used_mb f0 1) > 0)) || fail "nothing on the other tier"
	leave p
	destroy f0
	"$bin/fault_excl" "$disk" true || fail "$disk is claimed again"
}

# A tier goes of which all is cold, in part, or in DRAM.
remove_cold()	# KEYS
{
	create2 64 64 64 48 "$1"
	agent p /dev/emp/f0
	fill_pages 0 4096 5		# 16 MiB cold, every second block warmed up below
	fill_pages 8192 1024 6
	evict_all f0
	for ((i = 0; i < 4096; i += 32)); do
		tell p check "$i" 1 5
		tell p write $((i + 1)) 1 7
	done
	for ((i = 0; i < 4096; i += 32)); do
		hear p
		got right=1
		hear p
		got right=1
	done
	timeout $((120 * slowness)) "$empctl" tier remove f0 0
	"$bin/fault_excl" "$disk" true || fail "$disk is still claimed"
	for ((i = 0; i < 4096; i += 32)); do
		tell p check "$i" 1 5
		tell p check $((i + 1)) 1 7
		tell p check $((i + 2)) 30 5
	done
	for ((i = 0; i < 4096; i += 32)); do
		hear p
		got right=1
		hear p
		got right=1
		hear p
		got right=30
	done
	check_pages 8192 1024 6
	evict_all f0
	check_pages 8192 1024 6
	leave p
}

# The others cannot hold it: refused, and as if nothing had been asked.
remove_refused()
{
	create2 "$mb" $((mb / 2)) "$mb" $((mb / 2)) "$small"
	agent p /dev/emp/f0
	fill_pages 0 "$pages" 5
	! "$empctl" tier remove f0 0 2>/tmp/err || fail "removed"
	[ "$(wc -l </tmp/err)" -eq 1 ] || fail "$(cat /tmp/err)"
	state_is f0 0 ok || fail "tier 0 is $(attr f0 tiers/0/state)"
	"$empctl" tier remove f0 1	# this one can go
	! "$empctl" tier remove f0 0 2>/tmp/err || fail "removed the only one"
	evict_all f0
	check_pages 0 "$pages" 5
	leave p
}

# All of it fits into DRAM: then the only tier can go.
remove_only()
{
	"$empctl" region create f0 --size "${mb}M" --force --mem "$bad:$mb:0|dram:$mb|checksum=1,$small"
	agent p /dev/emp/f0
	fill_pages 0 "$pages" 5
	set_attr f0 evict $((mb << 19))
	(($(attr f0 tiers/0/used) > 0)) || fail "nothing on the tier"
	timeout $((60 * slowness)) "$empctl" tier remove f0 0
	[ -z "$(ls "$sys/f0/tiers")" ] || fail "tiers: $(ls "$sys/f0/tiers")"
	check_pages 0 "$pages" 5
	! set_attr f0 dram_limit $((mb << 19)) 2>/dev/null || fail "shrunk without a tier"
	set_attr f0 evict $((mb << 19))
	check_pages 0 "$pages" 5
	"$empctl" tier add f0 "$bad:$mb:32" --force
	set_attr f0 dram_limit $((mb << 19))
	evict_all f0
	check_pages 0 "$pages" 5
	leave p
}

# A removal that is interrupted leaves the tier attached; a second one ends it.
interrupted()	# SIGNAL, or TIMEOUT
{
	local left
	create2 32 64 32 16 "$small"
	"$empctl" tier add f0 "$disk:32:64" --force
	"$empctl" tier remove f0 0	# so that all goes to the bad one first
	agent p /dev/emp/f0
	fill_pages 0 8192 5
	evict_all f0
	(($(attr f0 tiers/1/used) > 0)) || fail "nothing on the tier"
	slow 4
	if [ "$1" = TIMEOUT ]; then
		! timeout $((60 * slowness)) "$empctl" tier remove f0 1 --timeout 2 2>/tmp/err || fail "it ended in time"
		grep -q 'not empty yet' /tmp/err || fail "$(cat /tmp/err)"
	else
		env --default-signal=INT "$empctl" tier remove f0 1 &
		wait_until 20 partly_drained
		kill "-$1" $!
		wait_until 10 ended $! || fail "it does not end"
	fi
	left=$(attr f0 tiers/1/used)
	note "$left of 33554432 bytes are left"
	state_is f0 1 draining || fail "tier is $(attr f0 tiers/1/state)"
	((left > 0 && left < 32 << 20)) || fail "$left bytes are left"
	! "$bin/fault_excl" "$bad" true 2>/dev/null || fail "$bad is free"
	check_pages 0 2048 5
	fill_pages 4096 1024 6		# nothing new goes there
	evict_all f0
	(($(attr f0 tiers/1/used) <= left)) || fail "it takes new data"
	heals
	timeout $((120 * slowness)) "$empctl" tier remove f0 1
	"$bin/fault_excl" "$bad" true || fail "$bad is still claimed"
	check_pages 0 4096 5
	check_pages 4096 1024 6
	check_pages 5120 3072 5
	leave p
}

# A removal that ended early leaves blocks of which a part is on the tier still;
# they can be written back though there is no DRAM to fetch the rest.
written_while_draining()
{
	local i job jobs=()
	"$empctl" region create f0 --size 64M --force \
		--mem "$bad:64:0|$disk:64:0|dram:2|checksum=1,${variant[small-64k]}"
	"$bin/access" /dev/emp/f0 open map fill 0 16384 5
	evict_all f0
	slow 4
	! timeout $((60 * slowness)) "$empctl" tier remove f0 0 --timeout 1 2>/tmp/err || fail "it ended in time"
	heals
	state_is f0 0 draining || fail "tier is $(attr f0 tiers/0/state)"
	for ((i = 0; i < 4; i++)); do	# a page of each block
		timeout $((100 * slowness)) "$bin/access" /dev/emp/f0 open map \
			mark $((i * 4096)) 4096 16 6 check-mark $((i * 4096)) 4096 16 6 &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do
		wait "$job"
	done
	timeout $((100 * slowness)) "$empctl" tier remove f0 0
	"$bin/access" /dev/emp/f0 open map check-mark 0 16384 16 6
	(($(counter f0 fault_no_space) == 0)) || fail "fault_no_space $(counter f0 fault_no_space)"
}

partly_drained()
{
	(($(attr f0 tiers/2/used) > 1 << 20))
}

# One removal at a time.
remove_twice()
{
	create2 "$mb" 64 "$mb" $((mb / 2)) "$small"
	agent p /dev/emp/f0
	fill_pages 0 "$pages" 5
	evict_all f0
	slow $((4 * slowness))		# the target
	"$empctl" tier remove f0 0 &
	wait_until 10 state_is f0 0 draining
	! "$empctl" tier remove f0 0 2>/tmp/err || fail "removed twice"
	grep -q 'under way\|busy' /tmp/err || fail "$(cat /tmp/err)"
	! "$empctl" tier remove f0 1 2>/tmp/err || fail "removed the other one, too"
	! "$empctl" region destroy f0 2>/dev/null || fail "destroyed in use"
	heals
	wait $!
	check_pages 0 "$pages" 5
	leave p
}

# Tiers come and go without an end, and demotion is at work.
churn()	# KEYS
{
	local id=1 at=0 i
	create2 8 64 48 16 "overcommit=1,$1"
	agent p /dev/emp/f0
	ask p load 0 10240 2
	slow 3
	for ((i = 0; i < $(times 3); i++)); do
		at=$((64 + i % 2 * 64))
		"$empctl" tier add f0 "$disk:64:$at" --force
		timeout $((100 * slowness)) "$empctl" tier remove f0 "$id" || fail "round $i"
		id=$(tail -n 1 <(ls -v "$sys/f0/tiers"))
	done
	heals
	ask p unload
	note "$answer"
	got during=0
	leave p
}

# Demotion, a drain and accesses meet at the same blocks.
demotion_and_drain()
{
	create2 8 64 48 16 "overcommit=1,$small"
	"$empctl" tier add f0 "$disk:64:64" --force
	agent p /dev/emp/f0
	slow 20
	ask p load 0 6144 2
	sleep 3
	timeout $((100 * slowness)) "$empctl" tier remove f0 0
	heals
	sleep 1
	ask p unload
	note "$answer; demoted $(counter f0 demoted)"
	got during=0
	(($(counter f0 csum_error) == 0)) || fail "csum_error $(counter f0 csum_error)"
	leave p
}

# A move that takes too long is given up, and its place is not lost.
move_times_out()
{
	local expected=$((2048 * 4096))
	create2 64 64 32 16 "$small"
	agent p /dev/emp/f0
	fill_pages 0 2048 5
	evict_all f0
	set_attr f0 tiers/1/deadline_ms 200
	slow 1500
	! timeout $((60 * slowness)) "$empctl" tier remove f0 0 --timeout 4 2>/tmp/err || fail "it was in time"
	heals
	wait_until 10 idle1
	check_pages 0 2048 5
	timeout $((60 * slowness)) "$empctl" tier remove f0 0
	evict_all f0
	[ "$(attr f0 tiers/1/used)" = "$expected" ] ||
		fail "used $(attr f0 tiers/1/used), not $expected"
	check_pages 0 2048 5
	leave p
}

idle1()
{
	[ "$(attr f0 tiers/1/inflight)" -eq 0 ]
}

# forced: what f0 has: 0-2047 cold with tag 5, of which 512-1023 are read again, so
# clean in DRAM; 1100-1103 and 8192-8703 newer, in DRAM only.
forced_fill()
{
	set_attr f0 readahead 0
	agent p /dev/emp/f0
	fill_pages 0 2048 5
	evict_all f0
	check_pages 512 512 5
	fill_pages 1100 4 8
	fill_pages 8192 512 6
}

# ... after the tier is gone: DRAM is right, the rest is an error, never zeros or
# old bytes; it can be thrown away and written anew, onto the new tier.
forced_check()
{
	[ ! -d "$sys/f0/tiers/0" ] || fail "the tier is there"
	check_pages 512 512 5
	check_pages 1100 4 8
	check_pages 8192 512 6
	ask p check 0 512 5
	got bus=512 right=0
	ask p check 1536 512 0
	got bus=512 right=0
	evict_all f0
	check_pages 512 512 5
	check_pages 1100 4 8
	check_pages 8192 512 6
	ask p punch 0 2048
	fill_pages 0 2048 9
	evict_all f0
	check_pages 0 2048 9
	check_pages 8192 512 6
	(($(counter f0 csum_error) == 0)) || fail "csum_error $(counter f0 csum_error)"
	leave p
}

# A tier that cannot be read goes only by force, and takes with it what only it had.
remove_forced_bad()	# KEYS
{
	bad_region f0 64 48 "$1"
	forced_fill
	breaks
	"$empctl" tier add f0 "$disk:64:0" --force
	! timeout $((60 * slowness)) "$empctl" tier remove f0 0 2>/tmp/err || fail "removed without --force"
	grep -q 'cannot be read' /tmp/err || fail "$(cat /tmp/err)"
	state_is f0 0 draining || fail "tier is $(attr f0 tiers/0/state)"
	timeout $((60 * slowness)) "$empctl" tier remove f0 0 --force
	heals
	"$bin/fault_excl" "$bad" true || fail "$bad is still claimed"
	forced_check
}

# By force, but all can be read: nothing is lost.
remove_forced_good()	# KEYS
{
	create2 64 64 64 48 "$1"
	forced_fill
	timeout $((60 * slowness)) "$empctl" tier remove f0 0 --force
	check_pages 0 1100 5
	check_pages 1100 4 8
	check_pages 1104 944 5
	check_pages 8192 512 6
	evict_all f0
	check_pages 0 1100 5
	check_pages 1100 4 8
	check_pages 8192 512 6
	leave p
}

# The disk was pulled out: the tier goes by force, with no other one there.
remove_forced_gone()	# KEYS
{
	local nvme=/dev/nvme0n1 pci
	modprobe nvme
	[ -b "$nvme" ] || echo 1 >/sys/bus/pci/rescan
	wait_until 20 test -b "$nvme" || skip "no NVMe disk"
	need_disk
	"$empctl" region create f0 --size 64M --force --mem "$nvme:200:0|dram:48|checksum=1,$1"
	forced_fill
	pci=$(readlink -f /sys/class/nvme/nvme0/device)
	echo 1 >"$pci/remove"
	wait_until 20 state_is f0 0 lost || fail "the tier is $(attr f0 tiers/0/state)"
	! timeout $((60 * slowness)) "$empctl" tier remove f0 0 2>/dev/null || fail "removed without --force"
	timeout $((60 * slowness)) "$empctl" tier remove f0 0 --force
	"$empctl" tier add f0 "$disk:64:0" --force
	forced_check
}

# Two regions on two ranges of one device; no range twice.
shared_device()
{
	region f0 32 16 "$small"
	region f1 32 16 "$small"
	for other in 0 16 31 33 63; do
		! "$empctl" region create f2 --size 4M --mem "$disk:4:$other|dram:4|$small" --force \
			2>/tmp/err || fail "range at $other given twice"
		[ "$(wc -l </tmp/err)" -eq 1 ] || fail "$(cat /tmp/err)"
	done
	agent p /dev/emp/f0
	agent q /dev/emp/f1
	fill_pages 0 "$pages" 5
	ask q write 0 "$pages" 6
	evict_all f0
	evict_all f1
	check_pages 0 "$pages" 5
	ask q check 0 "$pages" 6
	got right="$pages"
	leave q
	destroy f1
	! "$bin/fault_excl" "$disk" true 2>/dev/null || fail "$disk is free"
	check_pages 0 "$pages" 5
	"$empctl" region create f2 --size 32M --mem "$disk:32:32|dram:16|$small" --force
	agent q /dev/emp/f2
	ask q check 0 "$pages" 0
	got right="$pages"
	leave q
	leave p
	destroy f0
	destroy f2
	wait_until 10 "$bin/fault_excl" "$disk" true || fail "$disk is still claimed"
}

# pattern OFFSET_MB MB: on the disk before there is a region
pattern()
{
	tr '\0' '\252' </dev/zero | dd of="$disk" bs=1M seek="$1" count="$2" iflag=fullblock \
		oflag=direct status=none
}

# is OFFSET_MB MB CHARACTER: bytes of the disk
is()
{
	cmp -s <(dd if="$disk" bs=1M skip="$1" count="$2" iflag=direct status=none) \
		<(tr '\0' "$3" </dev/zero | head -c "${2}M")
}

# wipe=zero: the range is zero afterwards, what is beside it is as before.
wipe_zero()	# destroy or remove
{
	need_disk
	pattern 0 96
	"$empctl" region create f0 --size 32M --force \
		--mem "$disk:32:32|dram:32|wipe=zero,$small"
	agent p /dev/emp/f0
	fill_pages 0 "$pages" 5
	set_attr f0 evict $((32 << 20))
	if [ "$1" = remove ]; then
		"$empctl" tier remove f0 0
		check_pages 0 "$pages" 5
	fi
	leave p
	[ "$1" = remove ] || destroy f0
	is 32 32 '\0' || fail "the range is not zero"
	is 0 32 '\252' || fail "what is before the range changed"
	is 64 32 '\252' || fail "what is after the range changed"
}

# wipe=none: bytes stay on the device, and no later region shows them.
wipe_none()
{
	need_disk
	pattern 0 32
	region f0 32 16 "$small,wipe=none"
	agent p /dev/emp/f0
	ask p check 0 "$pages" 0	# what was on the device is not seen
	got right="$pages"
	fill_pages 0 "$pages" 5
	evict_all f0
	leave p
	destroy f0
	! is 0 32 '\0' || fail "the range is zero"
	disk_next=0
	region f1 32 16 "$small"
	agent p /dev/emp/f1
	ask p write 0 $((pages / 2)) 6
	evict_all f1
	check_pages 0 $((pages / 2)) 6
	ask p check $((pages / 2)) $((pages / 2)) 0
	got right="$((pages / 2))"
	leave p
}

# wipe=discard: the device may forget the bytes.
wipe_discard()
{
	local loop
	modprobe loop || skip "no loop device"
	truncate -s 64M /tmp/backing
	loop=$(losetup --find --show --direct-io=off /tmp/backing) || skip "no loop device"
	[ "$(cat "/sys/block/${loop##*/}/queue/discard_max_bytes")" != 0 ] || skip "no discard"
	"$empctl" region create f0 --size 32M --mem "$loop:32:16|dram:16|wipe=discard,$small"
	agent p /dev/emp/f0
	fill_pages 0 8192 5
	evict_all f0
	sync "$loop"
	(($(command stat -c %b /tmp/backing) > 60000)) || fail "nothing was written"
	leave p
	destroy f0
	(($(command stat -c %b /tmp/backing) < 2000)) ||
		fail "$(command stat -c %b /tmp/backing) sectors are still there"
	losetup -d "$loop"
}

# As many tiers as there may be, 1 MiB each.
sixty_four()
{
	local spec i

	spec="dram:16|checksum=1,$(on_debug block=64K,subblock=64K,map=small "$small")"
	need_disk
	for ((i = 0; i < 64; i++)); do
		spec+="|$disk:1:$((i * 2))"
	done
	"$empctl" region create f0 --size 64M --force --mem "$spec"
	agent p /dev/emp/f0
	fill_pages 0 16384 5
	evict_all f0
	check_pages 0 16384 5
	(($(cat "$sys"/f0/tiers/*/used | grep -vc '^0$') >= 60)) || fail "few tiers are used"
	leave p
}

t_begin
for v in $(on_debug small-64k "small-4k small-64k"); do
	bad_run "demotion_$v" demotion "${variant[$v]}" "$(on_debug 24 48)" "$(on_debug 8 16)"
done
bad_run demotion_huge demotion "${variant[huge]}" 120 48
bad_run demotes_the_coldest demotes_the_coldest
bad_run promotion promotion 0 1
bad_run promotion_full promotion 6 1
bad_run promotion_off promotion 0 0
for v in $(on_debug small-4k "small-4k small-64k"); do
	bad_run "add_online_$v" add_online "${variant[$v]}"
done
for v in $(on_debug "auto huge" "${variants[*]}"); do
	bad_run "remove_under_load_$v" remove_under_load "${variant[$v]}" 64 48
done
[ -z "${ANNEX_DEBUG:-}" ] ||
	bad_run remove_under_load_small-4k remove_under_load "${variant[small-4k]}" 16 12
for v in $(on_debug "small-64k small-2m" "${variants[*]}"); do
	bad_run "remove_cold_$v" remove_cold "${variant[$v]}"
done
bad_run remove_refused remove_refused
bad_run remove_only remove_only
bad_run interrupted_int interrupted INT
bad_run interrupted_kill interrupted KILL
bad_run interrupted_timeout interrupted TIMEOUT
bad_run written_while_draining written_while_draining
bad_run remove_twice remove_twice
for v in $(on_debug small-64k "small-4k small-64k"); do
	bad_run "churn_$v" churn "${variant[$v]}"
done
bad_run demotion_and_drain demotion_and_drain
bad_run move_times_out move_times_out
for v in $(on_debug "small-64k huge" "small-4k small-64k auto huge"); do
	bad_run "remove_forced_bad_$v" remove_forced_bad "${variant[$v]}"
	bad_run "remove_forced_good_$v" remove_forced_good "${variant[$v]}"
	t_run "remove_forced_gone_$v" remove_forced_gone "${variant[$v]}"
done
t_run shared_device shared_device
t_run wipe_zero_destroy wipe_zero destroy
t_run wipe_zero_remove wipe_zero remove
t_run wipe_none wipe_none
t_run wipe_discard wipe_discard
t_run sixty_four sixty_four
t_end
