# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# shellcheck disable=SC2034 # variables are for those who source this
#
# What the tests of pim.ko, pim_local.ko and dpu.ko share. A test sources this
# file and looks like
#
#	. "${0%/*}/lib.sh"
#	t_begin
#	transfers()			# a case: a function, fails by 'fail' or by any command
#	{
#		provide --ranks 1
#		"$bin/rank" /dev/dpu_rank0 transfer
#	}
#	t_run transfers transfers
#	t_end
#
# A case runs in a subshell under 'set -eE'. When it ends, its background jobs
# are killed and all ranks are removed; what stays fails the case. t_end unloads
# the modules and looks for what they have left, which is a case ("unload").

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
cd "$top" || exit 1
bin=$top/build/tests/pim			# programs of tests/pim/src
tmp=$top/build/test/tmp				# a real directory, outlives L1
pimctl=$top/userspace-tools/build/pimctl
modules=$top/build/modules/$(uname -r)
sys=/sys/class/pim
class=/sys/class/dpu_rank
mdevs=/sys/bus/mdev/devices

times()	# N: how often a loop runs; more under 'make soak'
{
	echo "$1${ANNEX_SOAK:+0}"
}

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

# t_run NAME COMMAND...: one case
t_run()
{
	local name=$1
	shift
	t_picked "$name" || return 0
	note "case $name"
	echo "pim test: case $name" >/dev/kmsg
	(
		set -eE
		trap 'note "line $LINENO: \"$BASH_COMMAND\" failed"' ERR
		trap t_case_end EXIT
		"$@"
	)
	t_ok "$name" $?
}

# After each case: nothing may be left.
t_case_end()
{
	local status=$? rank

	set +eE
	trap - ERR EXIT
	[ "$status" -eq 0 ] || "$pimctl" rank show | sed 's/^/# /'
	kill_jobs || { note "a background job cannot be killed"; status=1; }
	for rank in "$mdevs"/*; do
		[ -d "$rank" ] || continue
		echo 1 >"$rank/remove" || { note "machine ${rank##*/} cannot be removed"; status=1; }
	done
	for rank in "$sys"/rank*; do
		[ -d "$rank" ] || continue
		"$pimctl" rank remove "${rank##*/rank}" ||
			{ note "${rank##*/} cannot be removed"; status=1; }
	done
	if compgen -G "$sys/rank*" || compgen -G "$mdevs/*" || compgen -G "$class/*" || compgen -G '/dev/dpu_rank*'; then
		note "these are left"
		status=1
	fi
	exit "$status"
}

# t_begin [dpu's PARAMETER=VALUE]...: load the modules
# shellcheck disable=SC2120 # most have none
t_begin()
{
	exec 2>&1
	echo "TAP version 14"
	mkdir -p "$tmp"
	if ! [ -d /run/lab ]; then
		echo "Bail out! runs in the lab only: tests/run pim/${0##*/}"
		exit 1
	fi
	load "$@" || { echo "Bail out! the modules do not load"; exit 1; }
}

# t_end: unload the modules, print the plan, exit
t_end()
{
	if t_picked unload; then
		unload
		t_ok unload $?
	fi
	echo "1..$t_number"
	exit "$t_failed"
}

nodes=1		# device nodes of each rank

load()	# [dpu's PARAMETER=VALUE]...
{
	pins_before=$(pins)
	insmod "$modules/dpu.ko" "$@" && insmod "$modules/pim.ko" &&
		insmod "$modules/pim_local.ko" nodes="$nodes"
}

# load_vms: devices for virtual machines too
load_vms()
{
	modprobe vfio_iommu_type1 && modprobe mdev && insmod "$modules/pim_mdev.ko" "$@"
}

# Files that processes had open go a moment after their death.
unload()
{
	local module

	for module in pim_mdev pim_local pim dpu; do
		[ "$module" != pim_mdev ] || [ -e /sys/module/pim_mdev ] || continue
		if ! wait_until 10 quietly rmmod "$module"; then
			note "$module does not unload: $(rmmod "$module" 2>&1)"
			return 1
		fi
	done
	if [ -e "$class" ] || [ -e "$sys" ] || compgen -G '/dev/dpu_rank*' || compgen -G '/dev/pim-*'; then
		note "left behind: $(ls -d $class $sys /dev/dpu_rank* /dev/pim-* 2>/dev/null)"
		return 1
	fi
	if [ "$(pins)" != "$pins_before" ]; then
		note "pages pinned: $(pins), before: $pins_before"
		return 1
	fi
}

# Pages that were pinned and not unpinned again.
pins()
{
	echo 1 >/proc/sys/vm/stat_refresh
	awk '/^nr_foll_pin_acquired/ { n += $2 } /^nr_foll_pin_released/ { n -= $2 } END { print n }' /proc/vmstat
}

# --- processes and time ----------------------------------------------------------

# How many times longer than on an idle machine one waits for what must come.
slow=3
[ -z "${ANNEX_DEBUG:-}" ] || slow=10

# wait_until SECONDS COMMAND...: until it succeeds; fails after that time (times $slow)
wait_until()
{
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * slow * 1000000))
	shift
	until "$@"; do
		((${EPOCHREALTIME/[.,]/} < end)) || return 1
		sleep 0.02
	done
}

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

# halt PID: stop it, all of its threads; one that was in the kernel stops later
halt()
{
	kill -STOP "$1"
	wait_until 20 halted "$1"
}

halted()	# PID
{
	! grep -qv '^State:[[:blank:]]*T' <(grep -h ^State: /proc/"$1"/task/*/status)
}

reap()	# PID: wait for one that was killed, without a word
{
	wait "$1" 2>/dev/null || true
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

as_user()	# UID COMMAND...
{
	local uid=$1
	shift
	setpriv --reuid "$uid" --regid "$uid" --clear-groups "$@"
}

# --- ranks -----------------------------------------------------------------------

# provide ARGUMENT...: start the test's provider in the background ($provider),
# and wait until its ranks are clean
provide()
{
	start_provider "$@"
	wait_until 20 no_rank_is scrubbing || fail "ranks stay: $(states)"
}

start_provider()	# ARGUMENT...
{
	: >/tmp/provider.out
	"$bin/provider" "$@" >/tmp/provider.out 2>&1 &
	provider=$!
	wait_until 20 provider_says ready || fail "the provider is not ready: $(</tmp/provider.out)"
}

provider_says()	# WORDS
{
	grep -q "$1" /tmp/provider.out
}

states()
{
	cat "$sys"/rank*/state | tr '\n' ' '
}

no_rank_is()	# STATE
{
	! cat "$sys"/rank*/state | grep -qx "$1"
}

attr()	# RANK NAME
{
	cat "$sys/rank$1/$2"
}

state_is()	# RANK STATE
{
	[ "$(attr "$1" state)" = "$2" ]
}

# become RANK STATE: it does, within some seconds
become()
{
	wait_until 15 state_is "$1" "$2" || fail "rank $1 is $(attr "$1" state), not $2"
}

# says FILE WORDS: a background program has written them there
says()
{
	grep -q -- "$2" "$1"
}

# vm_add NAME [OPTION]...: a device for a machine; its UUID is in $uuid
vm_add()
{
	"$pimctl" vm add "$@" >/tmp/vm_add.out || fail "$(</tmp/vm_add.out)"
	uuid=$("$pimctl" qemu-args "$1")
	uuid=${uuid##*/}
	[ -d "$mdevs/$uuid" ] || fail "no device $uuid"
}

client()	# ACTION [ARGUMENT]...: with the first rank
{
	"$bin/rank" /dev/dpu_rank0 "$@"
}

# start_client ACTION [ARGUMENT]...: in the background ($client), what it says
# goes to /tmp/client.out
start_client()
{
	: >/tmp/client.out
	"$bin/rank" "${client_device:-/dev/dpu_rank0}" "$@" </dev/zero >/tmp/client.out 2>&1 &
	client=$!
}

# start_holder DEVICE: one that only keeps it open
start_holder()
{
	mkfifo -m 600 /tmp/holder.$$ 2>/dev/null || true
	: >/tmp/holder.out
	"$bin/rank" "$1" hold <>/tmp/holder.$$ >/tmp/holder.out 2>&1 &
	holder=$!
	wait_until 10 says /tmp/holder.out holding || fail "cannot open: $(</tmp/holder.out)"
}
