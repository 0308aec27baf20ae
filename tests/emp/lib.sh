# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# shellcheck disable=SC2034 # variables are for those who source this
#
# What the tests of emp.ko share. A test sources this file and looks like
#
#	. "${0%/*}/lib.sh"
#	t_begin
#	evicts()			# a case: a function, fails by 'fail' or by any command
#	{
#		region vm0 256 64 map=small
#		"$bin/fill" /dev/emp/vm0
#		(($(counter vm0 evict_clean) > 0)) || fail "nothing was evicted"
#	}
#	t_run evicts evicts
#	t_end
#
# A case runs in a subshell under 'set -eE'. When it ends, its background jobs
# are killed and all regions are destroyed; what cannot be destroyed fails the
# case. t_end unloads the module, which is a case of its own ("unload").

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
cd "$top" || exit 1
bin=$top/build/tests/emp			# programs of tests/emp/src
tmp=$top/build/test/tmp				# a real directory, outlives L1
empctl=$top/userspace-tools/build/empctl
empqemu=$top/userspace-tools/build/emp-qemu
emp_ko=${ANNEX_EMP_KO:-$top/build/modules/$(uname -r)/emp.ko}
sys=/sys/fs/emp

# Seconds that a stress takes; loops that count.
seconds=${ANNEX_SECONDS:-5}
[ -z "${ANNEX_SOAK:-}" ] || seconds=60
times()	# N [N]: how often a loop runs, stock and debug kernel; more under 'make soak'
{
	echo "$(on_debug "${2:-$1}" "$1")${ANNEX_SOAK:+0}"
}

# The debug kernel takes a fault ten times as long, and most of what the scripts
# do three times: there, loops are shorter and regions smaller, and of forms that
# take the same path only one is tried. What is expected is the same, but that
# each limit of time is this many times as long.
slowness=1
[ -z "${ANNEX_DEBUG:-}" ] || slowness=5

on_debug()	# THERE ELSE: one of the two
{
	if [ -n "${ANNEX_DEBUG:-}" ]; then echo "$1"; else echo "$2"; fi
}

# The forms of a region that differ inside: name and keys of the spec.
declare -A variant=(
	[small-4k]="block=4K,subblock=4K,map=small"
	[small-64k]="block=64K,subblock=4K,map=small"
	[small-2m]="block=2M,subblock=64K,map=small"
	[auto]="block=2M,subblock=64K,map=auto"
	[huge]="block=2M,subblock=64K,map=huge"
)
variants=(small-4k small-64k small-2m auto huge)

# --- KTAP ----------------------------------------------------------------------

t_number=0
t_failed=0

note()	# TEXT
{
	echo "# $*"
}

# fail TEXT: end this case as failed
fail()
{
	note "FAILED: $*"
	exit 1
}

t_picked()	# NAME: did the user ask for this case?
{
	# shellcheck disable=SC2053 # a pattern by intent
	[[ $1 == ${ANNEX_CASE:-*} ]]
}

# t_ok NAME STATUS: the result of one case
t_ok()
{
	t_number=$((t_number + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $t_number $1"
	else
		echo "not ok $t_number $1"
		t_failed=1
	fi
}

t_skip()	# NAME REASON
{
	t_number=$((t_number + 1))
	echo "ok $t_number $1 # SKIP ${*:2}"
}

# t_run NAME COMMAND...: one case. 'skip REASON' in it ends it as skipped.
t_run()
{
	local name=$1 status reason=/tmp/t_skip_reason begin
	shift
	t_picked "$name" || return 0
	note "case $name"
	echo "emp test: case $name" >/dev/kmsg
	[ ! -e "$reason" ] || rm -f "$reason"
	begin=${EPOCHREALTIME/[.,]/}
	(
		set -eE
		trap 'note "line $LINENO: \"$BASH_COMMAND\" failed"' ERR
		trap t_case_end EXIT
		disk_next=0
		"$@"
	)
	status=$?
	note "$name took $(((${EPOCHREALTIME/[.,]/} - begin) / 100000)) tenths of a second"
	if [ "$status" -eq 77 ] && [ -e "$reason" ]; then
		t_skip "$name" "$(<"$reason")"
	else
		t_ok "$name" "$status"
	fi
}

# t_not_debug NAME COMMAND...: the same, but left out on the debug kernel: there, in
# minutes a case, one that is much like it stands for it.
t_not_debug()
{
	[ -n "${ANNEX_DEBUG:-}" ] || t_run "$@"
}

skip()	# REASON
{
	echo "$*" >/tmp/t_skip_reason
	exit 77
}

# After each case: nothing may be left.
t_case_end()
{
	local status=$? region

	set +eE
	trap - ERR EXIT
	kill_jobs || { note "a background job cannot be killed"; status=1; }
	for region in "$sys"/*/; do
		[ -d "$region" ] || continue
		region=${region%/} region=${region##*/}
		[ "$status" -ne 0 ] && [ "$status" -ne 77 ] && region_note "$region"
		if ! wait_until 10 region_gone "$region"; then
			note "region $region cannot be destroyed"
			[ "$status" -ne 0 ] || status=1
		fi
	done
	if ! wait_until 10 no_regions; then
		note "left in $sys: $(ls "$sys")"
		status=1
	fi
	exit "$status"
}

region_gone()	# NAME: destroy it; true when it is not there (any more)
{
	[ -d "$sys/$1" ] || return 0
	"$empctl" region destroy "$1" 2>/dev/null
	[ ! -d "$sys/$1" ]
}

no_regions()
{
	[ -z "$(ls "$sys" 2>/dev/null)" ]
}

# t_begin [PARAMETER=VALUE]...: load the module and mount empfs
# shellcheck disable=SC2120 # most have none
t_begin()
{
	exec 2>&1
	echo "TAP version 14"
	mkdir -p "$tmp"
	if ! [ -d /run/lab ]; then
		echo "Bail out! runs in the lab only: tests/run emp/${0##*/}"
		exit 1
	fi
	local_programs
	load "$@" || { echo "Bail out! emp.ko does not load"; exit 1; }
}

# Programs are started all the time. From the shared build directory, which is not
# cached, each start takes ten times as long as from memory.
local_programs()
{
	local dir=/tmp/emp-programs

	mkdir -p "$dir" && cp "$bin"/* "$empctl" "$empqemu" "$dir" || return
	bin=$dir empctl=$dir/empctl empqemu=$dir/emp-qemu
}

# t_end: unload the module, print the plan, exit
t_end()
{
	if t_picked unload; then
		unload
		t_ok unload $?
	fi
	echo "1..$t_number"
	exit "$t_failed"
}

load()	# [PARAMETER=VALUE]...
{
	insmod "$emp_ko" "$@" && mkdir -p /dev/emp && mount -t empfs empfs /dev/emp
}

# A region that was destroyed by the death of its last user may hold the module
# for a moment longer.
unload()
{
	if mountpoint -q /dev/emp && ! wait_until 10 umount /dev/emp; then
		note "empfs stays mounted: $(fuser -vm /dev/emp 2>&1)"
		return 1
	fi
	if [ -e /sys/module/emp_rdma ] && ! wait_until 10 quietly rmmod emp_rdma; then
		note "emp_rdma does not unload: $(rmmod emp_rdma 2>&1)"
		return 1
	fi
	if ! wait_until 10 quietly rmmod emp; then
		note "emp does not unload: $(rmmod emp 2>&1; grep '^emp ' /proc/modules)"
		return 1
	fi
}

# --- processes and time ----------------------------------------------------------

# wait_until SECONDS COMMAND...: until it succeeds; fails after that time, or
# after 'slowness' times of it
wait_until()
{
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * slowness * 1000000))
	shift
	until "$@"; do
		((${EPOCHREALTIME/[.,]/} < end)) || return 1
		pause 0.05
	done
}

# pause SECONDS: without a process of its own, which takes longer than that on debug
pause()
{
	read -rt "$1" -u "$never" || true
}
exec {never}<> <(:)

quietly()
{
	"$@" >/dev/null 2>&1
}

not()
{
	! "$@"
}

ended()	# PID
{
	! kill -0 "$1" 2>/dev/null
}

kill_jobs()
{
	local job

	for job in $(jobs -p); do
		kill -KILL "$job"
	done
	wait_until 60 no_jobs
} 2>/dev/null

no_jobs()
{
	[ -z "$(jobs -pr)" ]
}

# start_group COMMAND...: in the background, as leader ($!) of a process group
start_group()
{
	setsid "$@" &
	wait_until 10 kill -0 -- "-$!" 2>/dev/null
}

# kill_group PID: all of it, and wait for the leader
kill_group()
{
	kill -KILL -- "-$1" || true
	wait "$1" || true
} 2>/dev/null

as_user()	# UID COMMAND...
{
	local uid=$1
	shift
	setpriv --reuid "$uid" --regid "$uid" --clear-groups "$@"
}

# --- disks and regions -------------------------------------------------------------

disk=/dev/ram0
disk_mb=3072		# brd takes memory only for what is written
disk_next=0		# MB of the disk that this case has given away

need_disk()
{
	[ -b "$disk" ] || modprobe brd rd_nr=2 rd_size=$((disk_mb * 1024)) max_part=0
	wait_until 5 test -b "$disk"
}

# region NAME MB DRAM_MB [KEYS]: a region on a piece of the disk of its own,
# with checksums. KEYS as in emp-spec(5).
region()
{
	need_disk
	"$empctl" region create "$1" --size "${2}M" --force \
		--mem "$disk:$2:$disk_next|dram:$3|checksum=1${4:+,$4}" || return
	disk_next=$((disk_next + $2))
}

destroy()	# NAME
{
	"$empctl" region destroy "$1"
}

attr()	# REGION NAME
{
	local value

	value=$(<"$sys/$1/$2") && echo "$value"
}

set_attr()	# REGION NAME VALUE
{
	echo "$3" >"$sys/$1/$2"
}

counter()	# REGION NAME
{
	attr "$1" "stats/$2"
}

resident()	# REGION: bytes
{
	attr "$1" resident
}

# resident_at_most REGION BYTES
resident_at_most()
{
	(($(<"$sys/$1/resident") <= $2))
}

# evict_all REGION: write back and free all that nobody holds
evict_all()
{
	wait_until 60 nothing_resident "$1"
}

nothing_resident()
{
	[ "$(<"$sys/$1/resident")" -eq 0 ] || set_attr "$1" evict "$(attr "$1" bytes)"
	[ "$(<"$sys/$1/resident")" -eq 0 ]
}

# region_note REGION: what one wants to know of it when something failed
region_note()
{
	local file value

	note "$1: limit $(attr "$1" dram_limit) resident $(attr "$1" resident)" \
		"dirty $(attr "$1" dirty) min $(attr "$1" dram_min)"
	for file in "$sys/$1"/stats/*; do
		case $file in *_ns) continue ;; esac
		value=$(<"$file")
		[ "$value" = 0 ] || printf '%s=%s ' "${file##*/}" "$value"
	done | fold -sw 110 | sed 's/^/#   /'
	echo
}
