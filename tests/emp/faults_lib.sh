# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# shellcheck disable=SC2034 # variables are for those who source this
# shellcheck disable=SC2154 # others are set by lib.sh, sourced before this
#
# What the tests of failing tiers share: a disk that does what it is told, and
# a process that touches memory when it is told.

bad_mb=128			# size of the bad disk
bad=/dev/mapper/bad
sectors=$((bad_mb * 2048))
under=/dev/ram1			# what it stands on
export DM_DISABLE_UDEV=1	# there is none in the lab

# A device-mapper disk on $under, healthy at first.
bad_disk()
{
	[ -e /sys/module/dm_mod ] || modprobe dm-mod
	need_disk
	dmsetup create bad --table "0 $sectors linear $under 0"
	wait_until 5 test -b "$bad"
}

sound=1			# the disk was never anything but healthy, or is again

# becomes TABLE: from now on the disk is that; what hangs in it goes there
becomes()
{
	sound=
	dmsetup suspend --noflush --nolockfs bad
	dmsetup reload bad --table "$1"
	dmsetup resume bad
}

heals()
{
	becomes "0 $sectors linear $under 0" && sound=1
}

breaks()	# every request ends with an error
{
	becomes "0 $sectors error"
}

stalls()	# no request ends
{
	sound=
	dmsetup suspend --noflush --nolockfs bad
}

goes_on()
{
	dmsetup resume bad
}

# flaky UP DOWN FEATURE...: dm-flakey, healthy for UP seconds, then not for DOWN
flaky()
{
	[ -e /sys/module/dm_flakey ] || modprobe dm-flakey
	becomes "0 $sectors flakey $under 0 $1 $2 $(($# - 2)) ${*:3}"
}

# flaky_reads_only, below 6.5 the kernel cannot
has_flaky_reads()
{
	[[ $(uname -r) != 6.1.* ]]
}

# bad_region NAME MB DRAM_MB [KEYS]: a region on the bad disk, whose name is free
bad_region()
{
	"$empctl" region create "$1" --size "${2}M" --force \
		--mem "$bad:$bad_mb:0|dram:$3|checksum=1${4:+,$4}"
}

# bad_run NAME [FUNCTION [ARGUMENT]...]: a case with a bad disk of its own
bad_run()
{
	t_run "$1" bad_case "${@:2}"
}

bad_case()	# FUNCTION [ARGUMENT]...
{
	trap bad_case_end EXIT
	bad_disk
	"$@"
}

# Whatever happened, the disk is healthy again before regions have to go.
bad_case_end()
{
	local status=$? region

	set +eE
	trap - ERR EXIT
	for region in "$sys"/*/; do
		[ ! -d "$region" ] || ((status == 0 || status == 77)) || region_note "$(basename "$region")"
	done
	if [ -b "$bad" ]; then
		if [ -z "$sound" ]; then
			dmsetup resume bad
			heals
		fi
		kill_jobs
		for region in "$sys"/*/; do
			[ ! -d "$region" ] || wait_until 20 region_gone "$(basename "$region")"
		done
		if ! wait_until 20 quietly dmsetup remove bad; then
			note "$bad is still in use"
			((status)) || status=1
		fi
	fi
	(exit "$status")
	t_case_end
}

# --- memory ----------------------------------------------------------------------

# How long something may take before it is called hung: emulation, and KASAN.
patience=$((60 * slowness))

answer='' asked='' right=0 wrong=0 bus=0 bad_bus=0 ms=0 during=0
declare -A agent_in agent_out agent_pid

# agent NAME FILE: a process that maps FILE and does what it is told
agent()
{
	local in=/tmp/$1.in out=/tmp/$1.out fd

	[ ! -e "$in" ] || rm -f "$in" "$out"
	mkfifo "$in" "$out"
	"$bin/fault_mem" "$2" <"$in" >"$out" 2>&1 &
	agent_pid[$1]=$!
	exec {fd}>"$in"
	agent_in[$1]=$fd
	exec {fd}<"$out"
	agent_out[$1]=$fd
}

# tell NAME WORD...: a command of fault_mem.c
tell()
{
	echo "${*:2}" >&"${agent_in[$1]}"
}

# hear NAME: its answer, in $answer and, one by one, in $right, $wrong, ...
hear()
{
	local pair

	read -r -t "$patience" -u "${agent_out[$1]}" answer || fail "$1 does not answer"
	for pair in $answer; do
		case $pair in
		right=* | wrong=* | bus=* | bad_bus=* | ms=* | during=*)
			printf -v "${pair%%=*}" %s "${pair#*=}"
			;;
		esac
	done
}

ask()	# NAME WORD...
{
	asked="$*"
	tell "$@"
	hear "$1"
}

# got NAME=NUMBER...: was that the answer? What is not named must be 0, but for
# right and ms.
got()
{
	local pair
	local -A want=([wrong]=0 [bus]=0 [bad_bus]=0)

	for pair; do
		want[${pair%%=*}]=${pair#*=}
	done
	for pair in "${!want[@]}"; do
		[[ " $answer " == *" $pair=${want[$pair]} "* ]] ||
			fail "$asked: $answer, not $pair=${want[$pair]}"
	done
}

leave()	# NAME: its process ends
{
	local in=${agent_in[$1]} out=${agent_out[$1]}

	tell "$1" quit
	exec {in}>&- {out}<&-
	wait "${agent_pid[$1]}" || fail "agent $1 ended with $?"
}

# --- what the module says -----------------------------------------------------------

# Events go into a file from here on.
watch_events()
{
	"$empctl" events --follow >/tmp/events 2>&1 &
	# It sees what comes after it has opened the device.
	wait_until 10 events_watched $!
}

events_watched()	# PID
{
	find "/proc/$1/fd" -lname /dev/emp-control 2>/dev/null | grep -q .
}

# event WORD: there was such an event
event()
{
	wait_until 10 grep -q "$1" /tmp/events || fail "no event $1: $(cat /tmp/events)"
}

no_event()
{
	! grep -q "$1" /tmp/events || fail "an event $1: $(cat /tmp/events)"
}

state_is()	# REGION TIER STATE
{
	[ "$(attr "$1" "tiers/$2/state")" = "$3" ]
}

# becomes_state REGION TIER STATE: soon
becomes_state()
{
	wait_until 10 state_is "$@" || fail "tier $2 is $(attr "$1" "tiers/$2/state"), not $3"
}

# grows REGION COUNTER COMMAND...: the command makes the counter grow
grows()
{
	local before
	before=$(counter "$1" "$2")
	"${@:3}"
	(($(counter "$1" "$2") > before)) || fail "$2 stays $before"
}
