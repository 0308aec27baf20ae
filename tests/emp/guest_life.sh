#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What happens to KVM guests: they are stopped while their tier hangs, lose a
# page for good, are killed and migrated. guest_lib.sh says how a guest looks like.
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

export DM_DISABLE_UDEV=1	# there is none in the lab

# 'stop' waits for no tier: it answers within 100 ms while every read hangs.
# Nothing is lost by it.
stops()	# VARIANT ASYNC [OPTION]...
{
	local i worst=0 ms

	guest_is "$1" "$2"
	nvme=$disk disk=/dev/mapper/tier
	dmsetup create tier --table "0 $((ram * 2048)) linear $nvme 0"
	trap stops_end EXIT
	guest_start vm0 "$(until_told --threads 3)" --smp 2 "${@:3}"
	set_attr vm0 tiers/0/deadline_ms 600000
	guest_reaches vm0 '# filled'
	wait_until "$patience" loaded vm0 "$2" || guest_fails vm0 "it fetches too little"
	for ((i = 0; i < 4; i++)); do
		dmsetup suspend --noflush --nolockfs tier
		wait_until "$patience" hangs vm0 || guest_fails vm0 "it does not wait for the tier"
		guest_qmp vm0 stop query-status >/tmp/qmp || stop_failed
		read -r ms _ </tmp/qmp
		((ms > worst)) && worst=$ms
		grep -q '"paused"' /tmp/qmp || fail "it is not stopped: $(</tmp/qmp)"
		hangs vm0 || fail "it did not wait for the tier"
		guest_qmp vm0 cont >/tmp/qmp || fail "QMP: $(</tmp/qmp)"
		dmsetup resume tier
		wait_until "$patience" goes_on vm0 || guest_fails vm0 "it does not go on"
	done
	note "the slowest of $i stops took $worst ms"
	((worst < stop_ms)) || fail "stop took $worst ms"
	was_async vm0 "$2"
	guest_go vm0
	guest_wait vm0
}

# loaded REGION ASYNC: it is filled, data comes from the tier, by asynchronous
# page faults or not
loaded()
{
	ended "${guest_pid[$1]}" && guest_fails "$1" "it ended"
	case $2 in
	yes) (($(counter "$1" fault_async) > 200)) ;;
	no) (($(counter "$1" fault_fetch) > 2000)) ;;
	esac
}

stop_failed()
{
	note "QMP: $(</tmp/qmp)"
	grep -H . /proc/"$(qemu_of vm0)"/task/*/{comm,wchan,stack} 2>/dev/null | sed 's/^/# /'
	fail "'stop' is not answered"
}

stop_ms=100
[ -z "${ANNEX_DEBUG:-}" ] || stop_ms=2000

stops_end()
{
	local status=$?

	set +eE
	trap - ERR EXIT
	((status == 0)) || region_note vm0
	dmsetup resume tier
	kill_jobs
	wait_until "$soon" no_regions
	wait_until "$soon" quietly dmsetup remove tier || note "$disk is still in use"
	(exit "$status")
	t_case_end
}

# hangs REGION: reads wait, no processor of the guest runs any more
hangs()
{
	local n

	n=$(attr "$1" tiers/0/inflight)
	fetched=$(counter "$1" fault_fetch)
	((n > 0)) || return 1
	sleep 0.3
	(($(counter "$1" fault_fetch) == fetched && $(attr "$1" tiers/0/inflight) >= n))
}

goes_on()	# REGION
{
	(($(counter "$1" fault_fetch) > fetched + 100))
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

# A page of the guest's is damaged on the tier: the process in the guest that
# touches it dies of a machine check, and nobody else; the guest goes on.
lost()	# VARIANT ASYNC
{
	local at n=0

	guest_is "$1" "$2"
	guest_start vm0 "truncate -s 16K /t/v; access /t/v open map fill 0 4 1
		echo filled; read x; access /t/v open map check 1 3 1 sigbus 0 || exit 1
		echo died; access /t/v open map check 1 3 1; rm /t/v; stress /t/f --mb 30 --fill --seconds 1"
	guest_reaches vm0 filled
	set_attr vm0 readahead 0
	wait_until "$patience" mostly_evicted vm0 || fail "resident $(resident vm0)"
	while read -r at; do
		((at % 4096 == 0)) || continue
		printf lost | dd of="$disk" bs=512 seek=$((at / 512)) conv=notrunc,sync oflag=direct status=none
		n=$((n + 1))
	done < <(find_page)
	((n > 0)) || fail "the page is not on the disk"
	guest_go vm0
	guest_reaches vm0 died
	grep -q 'page 0: SIGBUS code BUS_MCEERR_AR' /tmp/vm0.out || guest_fails vm0 "the wrong signal"
	(($(counter vm0 csum_error) > 0 && $(counter vm0 read_error) > 0)) ||
		fail "csum_error $(counter vm0 csum_error), read_error $(counter vm0 read_error)"
	guest_wait vm0
}

mostly_evicted()	# REGION: all but what its guest needs to be idle
{
	set_attr "$1" evict "$(attr "$1" bytes)"
	resident_at_most "$1" $((16 << 20))
}

# Where on the disk words are like the first of 'access fill 0 1 1' (that page
# begins with it, and this test's programs have it at other places of theirs).
find_page()
{
	dd if="$disk" bs=1M count="$ram" iflag=direct status=none |
		LC_ALL=C grep -obUaP '\x15\x7c\x4a\x7f\xb9\x79\x37\x9e' | LC_ALL=C cut -d: -f1
}

# QEMU is killed at any moment, from before the guest boots to its load.
killed()
{
	local i n=6 ms

	[ -z "${ANNEX_SOAK:-}" ] || n=100
	for ((i = 0; i < n; i++)); do
		disk_next=0
		guest_is "$([ $((i % 2)) = 0 ] && echo huge || echo small-64k)"
		guest_start vm0 "stress /t/f --seconds 1000 --threads 2 --ops discard" --smp 2
		wait_until "$soon" running vm0
		ms=$((i < 2 ? 0 : RANDOM % 20000))
		sleep "$((ms / 1000)).$((ms % 1000 / 100))"
		note "round $i: after $ms ms, $(($(resident vm0) >> 20)) MB resident"
		kill -KILL "$(qemu_of vm0)"
		wait_until "$soon" no_regions || fail "round $i: the region outlives QEMU"
		wait_until "$soon" ended "${guest_pid[vm0]}"
	done
	unload || return 1
	load
}

# From one QEMU to another on the same host, with stock dirty logging. The load in
# the guest goes on and verifies.
migrated()	# VARIANT
{
	local state=''

	guest_is "$1"
	limits_move=1
	guest_start vm0 "$(until_told --mb 70 --writes 10 --threads 2); echo end" --may-leave
	guest_reaches vm0 '# filled'
	guest_start vm1 "echo this command is never run" \
		--qemu-arg -incoming --qemu-arg unix:/tmp/migration
	wait_until "$soon" test -S /tmp/vm1.qmp
	wait_until "$soon" test -S /tmp/migration
	guest_qmp vm0 'migrate-set-parameters {"max-bandwidth":2000000000,"downtime-limit":3000}' \
		'migrate {"uri":"unix:/tmp/migration"}' >/dev/null
	wait_until "$patience" migration_ended || fail "migration: $state"
	note "migration: $state"
	[[ $state == *completed* ]] || fail "migration: $state"
	guest_qmp vm0 quit
	wait_until "$soon" ended "${guest_pid[vm0]}"
	wait "${guest_pid[vm0]}" || fail "the source ends with $?"
	guest_go vm1
	guest_wait vm1
	guest_said vm1 end || fail "the load did not end"
	not grep -q 'never run' /tmp/vm1.out
	wait_until "$soon" no_regions
}

migration_ended()
{
	state=$(guest_qmp vm0 query-migrate | tail -n 1) || return 1
	state=$(grep -o '"status": "[a-z-]*"' <<<"$state" | head -n 1)
	[[ $state == *completed* || $state == *failed* || $state == *cancelled* ]]
}

guest_begin
modprobe dm-mod
# A guest that does not know of asynchronous page faults is put to sleep for them.
t_not_debug stops-asleep stops small-64k yes --append no-kvmapf
t_run lost lost small-64k yes
t_not_debug stops-no-async stops small-64k no --smp 1
t_run lost-no-async lost small-64k no
t_not_debug stops-huge stops huge yes
t_run stops-small stops small-64k yes
t_run killed killed
t_run migrated-huge migrated huge
t_not_debug migrated-small migrated small-64k
t_end
