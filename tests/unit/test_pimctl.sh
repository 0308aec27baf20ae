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
says "revoke, which" 2 'rank.s ID, or --lease' "$build/pimctl" lease revoke
says "revoke, both" 2 'rank.s ID, or --lease' "$build/pimctl" lease revoke 1 --lease 1
says "revoke, not a number" 2 'is not a number' "$build/pimctl" lease revoke --lease 0
says "revoke, no module" 1 'modprobe pim' "$build/pimctl" lease revoke --lease 7
says "vm, no module" 1 'modprobe pim_mdev' env PIM_SYS="$tmp" "$build/pimctl" vm list
says "vm, no name" 2 'is not a name' "$build/pimctl" vm add 'a/b'
says "vm, a long name" 2 'is not a name' "$build/pimctl" vm add aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
says "vm, ranks" 2 'from 1 to 64' "$build/pimctl" vm add vm0 --ranks 65
# a machine as sysfs shows it, and a mediated device of another kind
type=$tmp/class/mdev_bus/pim/mdev_supported_types/pim_mdev-ranks
uuid=01234567-89ab-cdef-0123-456789abcdef
mkdir -p "$type" "$tmp/bus/mdev/devices/$uuid/stats" "$tmp/bus/mdev/devices/other"
ln -s "$type" "$tmp/bus/mdev/devices/$uuid/mdev_type"
ln -s "$tmp/other-type" "$tmp/bus/mdev/devices/other/mdev_type"
for pair in name:vm0 ranks:2 opened:1 'leases:7 -' stats/kicks:41; do
	echo "${pair#*:}" >"$tmp/bus/mdev/devices/$uuid/${pair%%:*}"
done
says "vm list" 0 "^vm0 +2 yes +7 - +$uuid" env PIM_SYS="$tmp" "$build/pimctl" vm list
says "vm list, others" 1 "no machine 'other'" env PIM_SYS="$tmp" "$build/pimctl" qemu-args other
says "vm list, JSON" 0 '"kicks": 41' env PIM_SYS="$tmp" "$build/pimctl" --json vm list
says "qemu-args" 0 "^-device vfio-pci,sysfsdev=/sys/bus/mdev/devices/$uuid\$" \
	env PIM_SYS="$tmp" "$build/pimctl" qemu-args vm0
says "vm add, there is one" 1 'already' env PIM_SYS="$tmp" "$build/pimctl" vm add vm0
says "vm remove, in use" 1 'in use' env PIM_SYS="$tmp" "$build/pimctl" vm remove vm0
says "vm remove, none" 1 "no machine 'vm1'" env PIM_SYS="$tmp" "$build/pimctl" vm remove vm1
says "events, timeout" 2 'is not a number' "$build/pimctl" events --timeout 0
says "top, no module" 1 'modprobe pim' "$build/pimctl" top --batch
says "top, no module, JSON" 1 'modprobe pim' "$build/pimctl" --json top
says "top, interval" 2 "'0.01' is not a number of seconds from 0.1 to 3600" "$build/pimctl" top --interval 0.01
says "top, count" 2 'is not a number' "$build/pimctl" top --count 0
says "top, a word" 2 'usage: pimctl top' "$build/pimctl" top 1
says "stats, no module" 1 'modprobe pim' "$build/pimctl" stats --prometheus
says "doctor" 1 'MISSING.*arbiter' "$build/pimctl" doctor
says "doctor, JSON" 1 '"verdict": "MISSING"' "$build/pimctl" --json doctor
says "pim-emu: help" 0 'chip-id' "$build/pim-emu" --help
says "pim-emu: no module" 1 'modprobe pim' "$build/pim-emu"
says "pim-emu: sizes" 2 'whole pages' "$build/pim-emu" --mram 5000
says "pim-emu: too many" 2 'below 1024' "$build/pim-emu" --first 1020 --ranks 5
says "pim-emu: none" 2 'from 1 to' "$build/pim-emu" --ranks 0
says "pim-emu: words" 2 'one word too many' "$build/pim-emu" now
says "pim-hw: help" 0 'deadline' "$build/pim-hw" --help
says "pim-hw: no module" 1 'modprobe pim' "$build/pim-hw" /dev/dpu_rank0
says "pim-hw: no device" 2 'which ranks' "$build/pim-hw"
says "pim-hw: numbers" 2 'below 1024' "$build/pim-hw" --first 1023 /dev/dpu_rank0 /dev/dpu_rank1
echo "1..$nr"
exit "$bad"
