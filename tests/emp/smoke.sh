#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The least that has to work on every kernel: a region of each kind of mapping,
# three times as large as its DRAM, written and read back, and gone again.
# lab: --kernel 6.12 --mem 2G
# lab: --kernel 6.1 --mem 2G
# debug: kmemleak
# time: 300
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
empctl=$top/userspace-tools/build/empctl
nr=0
failed=0

ok()	# NAME STATUS
{
	nr=$((nr + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $nr - $1"
	else
		echo "not ok $nr - $1"
		failed=1
	fi
}

echo "TAP version 14"
echo "1..8"
insmod "$top/build/modules/$(uname -r)/emp.ko"
ok load $?
"$empctl" mount
modprobe brd rd_nr=1 rd_size=$((400 * 1024))
size=192	# MB
[ -z "${ANNEX_DEBUG:-}" ] || size=96
for kind in "small|block=4K|subblock=4K" "small|block=64K|subblock=4K" "small|block=2M|subblock=64K" auto huge; do
	"$empctl" region create r0 --size "${size}M" --mem "/dev/ram0:384:0|dram:56|map=$kind|checksum=1" &&
		"$top/build/tests/emp/smoke_fill" /dev/emp/r0 && "$empctl" region destroy r0
	ok "map=$kind" $?
done
umount /dev/emp
ok unmount $?
rmmod emp
ok unload $?
exit "$failed"
