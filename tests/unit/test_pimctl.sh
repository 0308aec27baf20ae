#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pimctl and pim-emu without the module: what they refuse, and how they say what
# is missing. Needs no module.
# time: 60
set -u

cd "$(dirname "$0")/../.." || exit 1
build=$PWD/userspace-tools/build
[ -x "$build/pimctl" ] || { echo "1..0 # SKIP pimctl is not built"; exit 77; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export PIM_CONTROL=$tmp/no-control PIM_ARBITER=$tmp/no-arbiter PIM_SYSFS=$tmp/sysfs

nr=0 bad=0

# says NAME STATUS WORDS COMMAND...: it ends with that, one line on stderr if it
# failed, and WORDS in a line of its output
says()
{
	local name=$1 status=$2 words=$3 got
	shift 3
	"$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	nr=$((nr + 1))
	if [ "$got" = "$status" ] && [ "$(wc -l <"$tmp/err")" -le $((status > 0)) ] &&
		grep -qE -- "$words" "$tmp/out" "$tmp/err"; then
		echo "ok $nr - $name"
	else
		bad=1
		echo "not ok $nr - $name"
		echo "# $*: status $got, not $status; or not: $words"
		sed 's/^/# /' "$tmp/out" "$tmp/err"
	fi
}

echo "TAP version 14"
says "help" 0 'lease run' "$build/pimctl" --help
says "no command" 2 'no command' "$build/pimctl"
says "a near command" 2 "did you mean 'rank list'" "$build/pimctl" rank lits
says "no module" 1 'modprobe pim' "$build/pimctl" rank list
says "no module, JSON" 1 'modprobe pim' "$build/pimctl" --json rank list
says "no module, control" 1 'modprobe pim' "$build/pimctl" rank remove 0
says "a device that is none" 1 'one version' env PIM_ARBITER=/dev/null "$build/pimctl" rank list
says "a control device that is none" 1 'not pim.ko' env PIM_CONTROL=/dev/null "$build/pimctl" rank remove 0
says "not a rank" 2 "'x' is not the number of a rank" "$build/pimctl" rank show x
says "not a rank, too large" 2 "is not the number of a rank" "$build/pimctl" rank show 1024
says "not a rank, with a sign" 2 "is not the number of a rank" "$build/pimctl" rank show -- -1
says "no such rank in sysfs" 1 'no rank 3' "$build/pimctl" rank set 3 offline=yes
says "not a setting" 2 'offline=yes or offline=no' "$build/pimctl" rank set 3 offline=1
says "not a user" 2 'is not a user id' "$build/pimctl" owner set root max_ranks=1
says "lease, no command" 2 'usage: pimctl lease run' "$build/pimctl" lease run
says "lease, rank and count" 2 'without --count' "$build/pimctl" lease run --rank 1 --count 2 true
says "lease, not a number" 2 'is not a number' "$build/pimctl" lease run --timeout x true
says "events, timeout" 2 'is not a number' "$build/pimctl" events --timeout 0
says "doctor" 1 'MISSING.*arbiter' "$build/pimctl" doctor
says "doctor, JSON" 1 '"verdict": "MISSING"' "$build/pimctl" --json doctor
says "pim-emu: help" 0 'chip-id' "$build/pim-emu" --help
says "pim-emu: no module" 1 'modprobe pim' "$build/pim-emu"
says "pim-emu: sizes" 2 'whole pages' "$build/pim-emu" --mram 5000
says "pim-emu: too many" 2 'below 1024' "$build/pim-emu" --first 1020 --ranks 5
says "pim-emu: none" 2 'from 1 to' "$build/pim-emu" --ranks 0
says "pim-emu: words" 2 'one word too many' "$build/pim-emu" now
echo "1..$nr"
exit "$bad"
