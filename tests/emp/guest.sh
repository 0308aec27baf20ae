#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# KVM guests of stock QEMU whose RAM is three times the DRAM they get, started by
# emp-qemu with the ancestor's --mem-path.
#
#	L1, the lab's machine: emp.ko, NVMe disk
#	└── L2, a guest: src/stress.c on a file of its tmpfs, which verifies each
#	    word of nearly all of its RAM
#
# lab: --kernel 6.12 --smp 1 --mem 4G --nvme 4G
# time: 1200
#
# ci: no not seen green as a whole yet: readers-* miss what the guest says
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/emp/lib.sh
. "${0%/*}/lib.sh"

disk=/dev/nvme0n1
ram=384		# MB of a guest
dram=128	# MB of that in DRAM
load=270	# MB of a guest's RAM under load

# What runs in a guest. RW DIR: make the file; then commands of stress.
in_guest="mkdir /t && mount -t tmpfs -o size=95% t /t && truncate -s ${load}M /t/f && "

# guest_start NAME KEYS COMMAND [OPTION]...: in the background; its process is $!
guest_start()
{
	local name=$1 keys=$2 command=$3

	shift 3
	rm -f "/tmp/$name.out"
	tests/lab/guest --mem "${ram}M" --timeout 600 --file "$bin/stress" \
		--qemu "$empqemu -N $name qemu-system-x86_64" \
		--qemu-arg --mem-path --qemu-arg "$disk:$ram:$disk_next|dram:$dram|checksum=1,$keys" \
		"$@" -- sh -c "$in_guest $command" >"/tmp/$name.out" 2>&1 &
	disk_next=$((disk_next + ram))
	wait_until 60 test -e "/dev/emp/$name" || { cat "/tmp/$name.out"; fail "no region $name"; }
}

guest_said()	# NAME TEXT
{
	grep -q "$2" "/tmp/$1.out"
}

# guest_wait PROCESS NAME: it must end well; meanwhile the region keeps its limit.
# Sets last: the counters as they were last seen.
guest_wait()
{
	local most=0 now limit note status=0

	while not ended "$1"; do
		if now=$(resident "$2" 2>/dev/null) && limit=$(attr "$2" dram_limit 2>/dev/null); then
			((now > most)) && most=$now
			[ -z "${limits_move:-}" ] && ((now > limit)) && fail "resident $now, limit $limit"
			note=$(region_note "$2" 2>/dev/null) && [[ $note == *fault_zero=* ]] && last=$note
		fi
		sleep 0.3
	done
	wait "$1" || status=$?
	sed 's/^/# guest: /' "/tmp/$2.out"
	echo "$last"
	note "most resident: $((most >> 20)) MB of $ram"
	[ "$status" -eq 0 ] || fail "guest $2 ends with $status"
}

qemu_of()	# REGION: process that has it mapped
{
	local maps

	maps=$(grep -l "/dev/emp/$1" /proc/[0-9]*/maps 2>/dev/null | head -n 1)
	maps=${maps#/proc/}
	echo "${maps%/maps}"
}

running()	# REGION
{
	[ -n "$(qemu_of "$1")" ]
}

memory()	# KEYS
{
	local n

	guest_start vm0 "$1" "stress /t/f --fill --seconds $((2 * seconds)) --threads 3 --ops discard,fork,remap --stuck 100" --smp 2
	guest_wait "$!" vm0
	for n in fault_fetch evict_written; do
		[[ $last =~ [[:space:]]$n=[1-9] ]] || fail "$n is 0: the load was too small"
	done
	[[ $last != *fault_no_space=* && $last != *fault_lost=* ]] || fail "faults ended in errors"
	wait_until 10 no_regions || fail "the region outlives QEMU"
}

# A guest that only reads writes nothing back but what it writes itself (its own
# kernel's pages), with asynchronous page faults and without.
readers()	# KEYS [CPU]
{
	local wb0 wb1 fetch0 fetch1

	guest_start vm0 "$1" "stress /t/f --fill --seconds 0; cat /t/f >/dev/null; echo filled;
		for i in 1 2 3; do cat /t/f >/dev/null; done; echo read; sleep 2" "${@:2}"
	wait_until 200 guest_said vm0 filled || { cat /tmp/vm0.out; fail "the guest does not fill"; }
	wb0=$(counter vm0 wb_bytes) fetch0=$(counter vm0 fetch_bytes)
	wait_until 200 guest_said vm0 '^read' || { cat /tmp/vm0.out; fail "the guest does not read"; }
	wb1=$(counter vm0 wb_bytes) fetch1=$(counter vm0 fetch_bytes)
	note "read $(((fetch1 - fetch0) >> 20)) MB, wrote $(((wb1 - wb0) >> 10)) KiB," \
		"asynchronous faults: $(counter vm0 fault_async)"
	((fetch1 - fetch0 > 2 * (load - dram) << 20)) || fail "the guest read too little"
	((wb1 - wb0 < (fetch1 - fetch0) / 20)) || fail "reading writes back"
	guest_wait "$!" vm0
}

# What the guest frees comes back: free page reporting.
gives_back()	# KEYS
{
	local before after

	guest_start vm0 "$1" "stress /t/f --fill --seconds 0; echo filled; sleep 3;
		rm /t/f; echo freed; for i in 1 2 3 4 5 6 7 8 9; do sleep 2; done;
		truncate -s ${load}M /t/f; stress /t/f --fill --seconds 3" \
		--qemu-arg -device --qemu-arg virtio-balloon-pci,free-page-reporting=on
	wait_until 100 guest_said vm0 filled || { cat /tmp/vm0.out; fail "the guest does not fill"; }
	wait_until 60 guest_said vm0 freed
	before=$(attr vm0 tiers/0/used)
	wait_until 25 reported vm0 || true
	after=$(attr vm0 tiers/0/used)
	note "discarded subblocks: $(counter vm0 discard_subblocks), resident $(resident vm0)," \
		"slots $before -> $after"
	reported vm0 || fail "only $(counter vm0 discard_subblocks) subblocks came back"
	((after < before)) || fail "no slot came back"
	guest_wait "$!" vm0
}

reported()	# REGION: more than half of the load was given back
{
	(($(counter "$1" discard_subblocks) * $(attr "$1" subblock_size) > load << 19))
}

# Inflated balloon: the guest is made to give memory back, and gets it again.
balloon()	# KEYS
{
	guest_start vm0 "$1" "stress /t/f --mb 100 --fill --seconds 1; echo filled; sleep 12; stress /t/f --fill --seconds 2" \
		--qmp /tmp/vm0.qmp --qemu-arg -device --qemu-arg virtio-balloon-pci
	wait_until 100 guest_said vm0 filled || { cat /tmp/vm0.out; fail "the guest does not fill"; }
	"$bin/qmp" /tmp/vm0.qmp "balloon {\"value\":$((200 << 20))}" >/dev/null
	wait_until 20 discarded_mb vm0 50 || fail "only $(counter vm0 discard_subblocks) subblocks came back"
	"$bin/qmp" /tmp/vm0.qmp "balloon {\"value\":$((ram << 20))}" >/dev/null
	note "discarded subblocks: $(counter vm0 discard_subblocks)"
	guest_wait "$!" vm0
}

discarded_mb()	# REGION MB
{
	(($(counter "$1" discard_subblocks) * $(attr "$1" subblock_size) >= $2 << 20))
}

# QEMU is killed at any moment, from before the guest boots to its load.
killed()	# KEYS
{
	local i n=5 pid

	[ -z "${ANNEX_SOAK:-}" ] || n=100
	for ((i = 0; i < n; i++)); do
		disk_next=0
		guest_start vm0 "$1" "stress /t/f --seconds 1000 --threads 2 --ops discard" \
			--smp 2 --may-leave
		pid=$!
		wait_until 20 running vm0
		sleep "$((i == 0 ? 0 : RANDOM % 12)).$((RANDOM % 10))"
		kill -KILL "$(qemu_of vm0)"
		wait_until 10 no_regions || fail "round $i: the region outlives QEMU"
		wait "$pid" 2>/dev/null || true
	done
	unload || return 1
	load
}

two_guests()
{
	local first

	limits_move=1
	guest_start vm0 map=huge "stress /t/f --fill --seconds $((2 * seconds)) --threads 2"
	first=$!
	dram=96
	guest_start vm1 block=64K,subblock=4K,map=small "stress /t/f --fill --seconds $((2 * seconds)) --threads 2 --ops discard"
	set -- "$!"
	[ "$(attr vm0 dram_limit)" -eq $((128 << 20)) ]
	[ "$(attr vm1 dram_limit)" -eq $((96 << 20)) ]
	guest_wait "$first" vm0
	guest_wait "$1" vm1
}

live_limit()	# KEYS
{
	local min i pid

	limits_move=1
	guest_start vm0 "$1" "stress /t/f --fill --seconds $((4 * seconds)) --threads 2 --stuck 100" --smp 2
	pid=$!
	min=$(attr vm0 dram_min)
	wait_until 30 not resident_at_most vm0 "$min"
	for ((i = 0; i < 3; i++)); do
		set_attr vm0 dram_limit "$min"
		wait_until 20 resident_at_most vm0 "$min" || fail "resident $(resident vm0), limit $min"
		sleep 1
		set_attr vm0 dram_limit $((dram << 20))
		sleep 1
	done
	guest_wait "$pid" vm0
}

# 'stop' waits for no fault.
stops()	# KEYS
{
	local i pid worst=0 ms

	guest_start vm0 "$1" "stress /t/f --fill --seconds $((4 * seconds)) --threads 3 --stuck 100; echo done" \
		--smp 2 --qmp /tmp/vm0.qmp
	pid=$!
	wait_until 60 fetching vm0
	for ((i = 0; i < 6; i++)); do
		ms=$("$bin/qmp" /tmp/vm0.qmp stop cont) || fail "QMP: $ms"
		ms=${ms%% *}
		((ms > worst)) && worst=$ms
		sleep 0.4
	done
	note "the slowest of 6 stops took $worst ms"
	((worst < 1000)) || fail "stop took $worst ms"
	guest_wait "$pid" vm0
}

fetching()	# REGION
{
	(($(counter "$1" fault_fetch) > 100))
}

# From one QEMU to another on the same host, with stock dirty logging. The load in
# the guest goes on and verifies.
migrated()	# KEYS
{
	local source target state=''

	limits_move=1
	rm -f /tmp/vm?.qmp
	guest_start vm0 "$1" "stress /t/f --mb 150 --fill --seconds $((6 * seconds)) --writes 10 --threads 2 --stuck 200; echo end" \
		--qmp /tmp/vm0.qmp --may-leave
	source=$!
	wait_until 100 fetching vm0
	guest_start vm1 "$1" "echo this command is never run" --qmp /tmp/vm1.qmp \
		--qemu-arg -incoming --qemu-arg unix:/tmp/migration
	target=$!
	wait_until 20 test -S /tmp/vm1.qmp
	wait_until 20 test -S /tmp/migration
	"$bin/qmp" /tmp/vm0.qmp 'migrate-set-parameters {"max-bandwidth":2000000000,"downtime-limit":3000}' \
		'migrate {"uri":"unix:/tmp/migration"}' >/dev/null
	wait_until 200 migration_ended || fail "migration: $state"
	note "migration: $state"
	[[ $state == *completed* ]] || fail "migration: $state"
	"$bin/qmp" /tmp/vm0.qmp quit
	wait_until 20 ended "$source"
	wait "$source" || fail "the source ends with $?"
	guest_wait "$target" vm1
	guest_said vm1 '^end' || guest_said vm0 '^end' || fail "the load did not end"
	not grep -q 'never run' /tmp/vm1.out
	wait_until 10 no_regions
}

migration_ended()
{
	state=$("$bin/qmp" /tmp/vm0.qmp query-migrate | tail -n 1) || return 1
	state=$(grep -o '"status": "[a-z-]*"' <<<"$state" | head -n 1)
	[[ $state == *completed* || $state == *failed* || $state == *cancelled* ]]
}

t_begin
modprobe nvme
modprobe kvm_amd
wait_until 10 test -b "$disk" || { echo "Bail out! no $disk"; exit 1; }
last=''
for v in huge auto small-64k; do
	t_run "memory-$v" memory "${variant[$v]}"
done
t_run readers-small readers "${variant[small-64k]}"
t_run readers-auto readers "${variant[auto]}"
t_run readers-no-async readers "${variant[small-64k]}" --append no-kvmapf
t_run gives-back-huge gives_back "${variant[huge]}"
t_run gives-back-small gives_back "${variant[small-64k]}"
t_run balloon-small balloon "${variant[small-64k]}"
t_run balloon-huge balloon "${variant[huge]}"
t_run killed-huge killed "${variant[huge]}"
t_run killed-small killed "${variant[small-64k]}"
t_run two-guests two_guests
t_run live-limit-huge live_limit "${variant[huge]}"
t_run live-limit-small live_limit "${variant[small-64k]}"
t_run stops-huge stops "${variant[huge]}"
t_run stops-small stops "${variant[small-64k]}"
t_run migrated-huge migrated "${variant[huge]}"
t_run migrated-small migrated "${variant[small-64k]}"
t_end
