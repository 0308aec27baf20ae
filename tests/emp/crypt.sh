#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# encrypt=1: nothing of a region is on its tiers as it is in memory, and all of it
# comes back: in all forms, from two copies, from a tier that is drained, from one
# that fails, and when there is no memory to encrypt into.
#
# lab: --kernel 6.12 --mem 2G
# lab: --kernel 6.1 --mem 2G
# debug: kmemleak
# time: 300
# shellcheck source=tests/emp/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"
# shellcheck source=tests/emp/faults_lib.sh
. "${0%/*}/faults_lib.sh"
# shellcheck source=tests/emp/marks_lib.sh
. "${0%/*}/marks_lib.sh"

small="block=64K,subblock=4K,map=small"

# marks_on DEVICE MB FROM: how many are there
marks_on()
{
	echo 3 >/proc/sys/vm/drop_caches
	dd if="$1" bs=1M count="$2" skip="$3" iflag=direct status=none | grep -aoF 'annex: a mark' | wc -l
}

# Those of the region without it are all there, of the other none.
hidden()	# MB DRAM_MB KEYS
{
	region f0 "$1" "$2" "$3"
	region f1 "$1" "$2" "$3,encrypt=1"
	[[ $(attr f1 flags) == *encrypt* ]] || fail "flags: $(attr f1 flags)"
	[[ $(attr f0 flags) != *encrypt* ]]
	marks /dev/emp/f0 "$1"
	marks /dev/emp/f1 "$1"
	evict_all f0
	evict_all f1
	[ "$(marks_on "$disk" "$1" 0)" = $((512 * $1)) ] || fail "$(marks_on "$disk" "$1" 0) marks without encryption"
	[ "$(marks_on "$disk" "$1" "$1")" = 0 ] || fail "$(marks_on "$disk" "$1" "$1") marks with encryption"
	marks_right /dev/emp/f0 "$1"
	marks_right /dev/emp/f1 "$1"
	evict_all f1
	marks_right /dev/emp/f1 "$1"
	[ "$(counter f1 csum_error)" = 0 ]
}

# What is the same in two places, or two regions, is not the same there.
distinct()
{
	region f0 4 4 "$small,encrypt=1"
	region f1 4 4 "$small,encrypt=1"
	for f in f0 f1; do
		mapped "/dev/emp/$f" 4 'm[:] = b"annex, again" * (size // 12) + b"anne"'
		evict_all "$f"
	done
	dd if="$disk" bs=1M count=8 iflag=direct status=none | python3 -c '
import sys
data = sys.stdin.buffer.read()
units = [data[i:i + 4096] for i in range(0, len(data), 4096)]
assert len(units) == 2048 and len(set(units)) == 2048, len(set(units))
# and none is nearly all of one value
assert min(len(set(u)) for u in units) > 200'
}

fills()	# KEYS
{
	local mb=160

	[ -z "${ANNEX_DEBUG:-}" ] || mb=80
	region f0 "$mb" 56 "$1,encrypt=1"
	"$bin/smoke_fill" /dev/emp/f0
	[ "$(counter f0 csum_error)" = 0 ]
}

# Two copies, one of which fails.
copies()
{
	modprobe brd rd_nr=2 rd_size=$((disk_mb * 1024)) max_part=0 2>/dev/null || true
	"$empctl" region create f0 --size 16M --force \
		--mem "$bad:16:0|$disk:16:0|dram:4|checksum=1,$small,redundancy=mirror,encrypt=1"
	agent p /dev/emp/f0
	ask p write 0 4096 1
	got right=4096
	evict_all f0
	wait_until 20 copied || fail "exposed: $(attr f0 exposed)"
	breaks
	ask p check 0 4096 1
	got right=4096
	(($(counter f0 read_other_copy) > 0)) || fail "the other copy was not read"
	heals
	ask p write 0 2048 2
	evict_all f0
	ask p check 0 2048 2
	got right=2048
	ask p check 2048 2048 1
	got right=2048
	leave p
}

copied()
{
	[ "$(attr f0 exposed)" = 0 ]
}

# From one tier to another, by draining it.
drained()
{
	bad_region f0 16 4 "$small,encrypt=1"
	agent p /dev/emp/f0
	ask p write 0 4096 1
	got right=4096
	evict_all f0
	"$empctl" tier add f0 "$disk:32:0"
	"$empctl" tier remove f0 0
	[ "$(marks_on "$under" 16 0)" = 0 ]
	ask p check 0 4096 1
	got right=4096
	leave p
}

# Errors of the tier are errors, and over when it is well again.
failing()
{
	bad_region f0 16 4 "$small,encrypt=1"
	set_attr f0 lost_retry_ms 0
	agent p /dev/emp/f0
	ask p write 0 2048 1
	got right=2048
	evict_all f0
	breaks
	ask p check 0 512 1
	got right=0 bus=512
	heals
	becomes_right 0 512
	ask p write 2048 2048 2
	got right=2048
	breaks
	set_attr f0 evict 16777216
	heals
	ask p check 2048 2048 2
	got right=2048
	leave p
}

checks()	# FIRST N
{
	ask p check "$1" "$2" 1
	[ "$right" = "$2" ]
}

becomes_right()	# FIRST N
{
	wait_until 20 checks "$@" || fail "$answer"
}

# A changed byte is an error, never data.
changed()
{
	bad_region f0 16 4 "$small,encrypt=1"
	agent p /dev/emp/f0
	ask p write 0 2048 1
	got right=2048
	evict_all f0
	breaks
	heals
	dd if=/dev/urandom of="$under" bs=1M count=16 oflag=direct conv=notrunc status=none
	ask p check 0 2048 1
	got right=0 bus=2048
	(($(counter f0 csum_error) > 0))
	leave p
}

# No memory to encrypt into: the tier's reserve does, one request after the other.
reserve()	# KEYS MB DRAM_MB PAGES
{
	local range

	[ -e /sys/kernel/debug/fail_page_alloc ] || skip "this kernel does not let allocations fail"
	# The disk shall not have to allocate, which would fail, too.
	need_disk
	dd if=/dev/zero of="$disk" bs=1M count="$2" oflag=direct status=none
	region f0 "$2" "$3" "$1,encrypt=1"
	agent p /dev/emp/f0
	read -ra range < <(sort -k 1,1 /proc/kallsyms | awk '
		from && $1 != from { print "0x" from, "0x" $1; exit }
		$3 == "emp_crypt_write_work" { from = $1 }')
	(
		cd /sys/kernel/debug/fail_page_alloc
		echo 0 >verbose; echo -1 >./times; echo N >ignore-gfp-wait; echo 0 >min-order
		echo "${range[0]}" >require-start; echo "${range[1]}" >require-end
		echo 100 >probability
	)
	ask p write 0 "$4" 1
	got right="$4"
	evict_all f0
	echo 0 >/sys/kernel/debug/fail_page_alloc/probability
	ask p check 0 "$4" 1
	got right="$4"
	leave p
}

# A kernel that has no cipher and gets none: one clear line, and nothing is left.
no_cipher()
{
	local loader

	! grep -q '^name *: xts(aes' /proc/crypto || skip "this kernel has the cipher already"
	need_disk
	loader=$(</proc/sys/kernel/modprobe)
	echo /bin/false >/proc/sys/kernel/modprobe
	! region f0 8 4 "$small,encrypt=1" 2>/tmp/said || fail "made"
	echo "$loader" >/proc/sys/kernel/modprobe
	[ "$(wc -l </tmp/said)" = 1 ] || fail "$(</tmp/said)"
	grep -q 'no AES in XTS mode' /tmp/said || fail "$(</tmp/said)"
	[ ! -e "$sys/f0" ]
	region f0 8 4 "$small,encrypt=1"
}

t_begin
t_run no-cipher no_cipher
for form in "${variants[@]}"; do
	t_run "fills-$form" fills "${variant[$form]}"
done
t_run hidden-small hidden 8 4 "$small"
t_not_debug hidden-2m hidden 64 56 "block=2M,subblock=64K,map=small"
t_run distinct distinct
bad_run copies copies
bad_run drained drained
bad_run failing failing
bad_run changed changed
t_run reserve-small reserve "$small" 16 4 4096
t_run reserve-huge reserve "${variant[small-2m]}" 64 56 4096
t_end
