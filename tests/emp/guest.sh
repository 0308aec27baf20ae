#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# KVM guests in less DRAM than they have RAM: what they compute is right, what
# they only read is not written, what they free comes back, limits hold.
# guest_lib.sh says how a guest looks like; guest_life.sh has their ends.
#
# lab: --kernel 6.12 --smp 1 --mem 3G --nvme 2G
# time: 1200
#
# ci: no nested guests need a quarter of an hour, and a machine that does little else
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/emp/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/emp/guest_lib.sh
. "${0%/*}/guest_lib.sh"

memory()	# VARIANT
{
	local n

	guest_is "$1"
	guest_start vm0 \
		"stress /t/f --fill --seconds $((2 * seconds)) --threads 3 --ops discard,fork,remap --stuck 100" \
		--smp 2
	guest_wait vm0
	for n in fault_fetch evict_written; do
		[[ $last =~ [[:space:]]$n=[1-9] ]] || fail "$n is 0: the load was too small"
	done
	[[ $last != *fault_no_space=* && $last != *fault_lost=* ]] || fail "faults ended in errors"
}

# A guest that only reads writes nothing back but what it writes itself (its own
# kernel's pages), with asynchronous page faults ($2: yes) and without.
# (busybox's cat would not do: it splices, and so looks at no page.)
readers()	# VARIANT ASYNC
{
	local wb fetch pass="dd if=/t/f of=/dev/null bs=64k 2>/dev/null"

	guest_is "$1" "$2"
	guest_start vm0 "stress /t/f --fill --seconds 0; $pass; echo filled; read x; $pass; $pass; echo read; read x"
	guest_reaches vm0 filled
	wb=$(counter vm0 wb_bytes) fetch=$(counter vm0 fetch_bytes)
	guest_go vm0
	guest_reaches vm0 read
	wb=$(($(counter vm0 wb_bytes) - wb)) fetch=$(($(counter vm0 fetch_bytes) - fetch))
	note "read $((fetch >> 20)) MB, wrote $((wb >> 10)) KiB, asynchronous faults: $(counter vm0 fault_async)"
	((fetch > 3 * (load - dram) << 19)) || fail "the guest read too little"
	((wb < fetch / 20)) || fail "reading writes back"
	was_async vm0 "$2"
	guest_go vm0
	guest_wait vm0
}

# What the guest frees comes back: free page reporting.
gives_back()	# VARIANT
{
	local before after

	guest_is "$1"
	guest_start vm0 "stress /t/f --fill --seconds 0; echo filled; read x; rm /t/f; echo freed; read x;
		truncate -s ${load}M /t/f; stress /t/f --fill --seconds 2" \
		--qemu-arg -device --qemu-arg virtio-balloon-pci,free-page-reporting=on
	guest_reaches vm0 filled
	before=$(attr vm0 tiers/0/used)
	guest_go vm0
	guest_reaches vm0 freed
	wait_until "$patience" discarded_mb vm0 $((load / 2)) ||
		fail "only $(counter vm0 discard_subblocks) subblocks came back"
	after=$(attr vm0 tiers/0/used)
	note "discarded subblocks: $(counter vm0 discard_subblocks), resident $(resident vm0)," \
		"slots $before -> $after"
	((after < before)) || fail "no slot came back"
	guest_go vm0
	guest_wait vm0
}

discarded_mb()	# REGION MB
{
	(($(counter "$1" discard_subblocks) * $(attr "$1" subblock_size) >= $2 << 20))
}

# Inflated balloon: the guest is made to give memory back, and gets it again.
balloon()	# VARIANT
{
	guest_is "$1"
	guest_start vm0 "stress /t/f --fill --seconds 0; rm /t/f; echo filled; read x;
		truncate -s ${load}M /t/f; stress /t/f --fill --seconds 1" \
		--qemu-arg -device --qemu-arg virtio-balloon-pci
	guest_reaches vm0 filled
	guest_qmp vm0 "balloon {\"value\":$(((ram - load) << 20))}" >/dev/null
	wait_until "$patience" discarded_mb vm0 $((load / 2)) ||
		fail "only $(counter vm0 discard_subblocks) subblocks came back"
	note "discarded subblocks: $(counter vm0 discard_subblocks)"
	guest_qmp vm0 "balloon {\"value\":$((ram << 20))}" >/dev/null
	wait_until "$patience" has_mb vm0 "$ram" || fail "the guest does not get its memory back"
	guest_go vm0
	guest_wait vm0
}

has_mb()	# NAME MB: the guest, by its balloon
{
	guest_qmp "$1" query-balloon | grep -q "\"actual\": $(($2 << 20))"
}

# Two guests, each with its own limit, which hold.
two_guests()
{
	local first second

	guest_is huge
	first=$((dram << 20))
	guest_start vm0 "stress /t/f --fill --seconds $((2 * seconds)) --threads 2"
	guest_is small-64k
	second=$((dram << 20))
	guest_start vm1 "stress /t/f --fill --seconds $((2 * seconds)) --threads 2 --ops discard"
	[ "$(attr vm0 dram_limit) $(attr vm1 dram_limit)" = "$first $second" ] || fail "the wrong limits"
	watch_limit vm1 &
	guest_wait vm0
	wait $! || fail "vm1 went over its limit"
	guest_wait vm1
}

watch_limit()	# REGION: while it is there
{
	local now

	while now=$(resident "$1" 2>/dev/null); do
		((now <= $(attr "$1" dram_limit))) || return 1
		sleep 0.3
	done
}

# Down to the least that is allowed and up again, under load.
live_limit()	# VARIANT
{
	local min i

	guest_is "$1"
	limits_move=1
	guest_start vm0 "$(until_told --threads 2)" --smp 2
	min=$(attr vm0 dram_min)
	guest_reaches vm0 '# filled'
	for ((i = 0; i < 3; i++)); do
		set_attr vm0 dram_limit "$min"
		wait_until "$soon" resident_at_most vm0 "$min" || fail "resident $(resident vm0), limit $min"
		sleep 1
		resident_at_most vm0 "$min" || fail "resident $(resident vm0), limit $min"
		set_attr vm0 dram_limit $((dram << 20))
		sleep 1
	done
	guest_go vm0
	guest_wait vm0
}

guest_begin
for v in $(on_debug auto "huge auto small-64k"); do
	t_run "memory-$v" memory "$v"
done
t_run readers readers small-64k yes
t_not_debug readers-no-async readers small-64k no
t_not_debug gives-back-huge gives_back huge
t_run gives-back-small-64k gives_back small-64k
t_run live-limit-huge live_limit huge
t_not_debug live-limit-small-64k live_limit small-64k
t_run balloon balloon small-64k
t_run two-guests two_guests
t_end
