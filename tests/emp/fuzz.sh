#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Everything of emp.ko that user space can reach, with random arguments: the
# ioctls (src/fuzz_control.c), the files in sysfs (src/fuzz_sysfs.c), and the
# system calls on a region's file and its mappings (src/fuzz_file.c). All must
# come back, with an errno that is documented where there is a list; what is in
# a region that was used rightly meanwhile must stay.
#
# Each case prints its seed, and how many calls ended with which errno. A seed
# repeats the calls, not their order among threads: FUZZ_SEED=N.
#
# lab: --kernel 6.12 --mem 2G
# lab: --kernel 6.1 --mem 2G
# time: 300
#
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/emp/lib.sh
. "${0%/*}/lib.sh"

tiers=/dev/ram0		# 64 MiB and more, for tiers of the regions that are fuzzed
below=/dev/ram1		# of the region that is kept, and a file system
mounted=/dev/ram2
direct=/dev/ram3		# for direct I/O from and to mappings

calls()	# N: how many; fewer on the debug kernel, where each takes ten times as long
{
	local n=$1

	[ -z "${ANNEX_DEBUG:-}" ] || n=$((n / 5))
	times "$n"
}

setup()
{
	modprobe brd rd_nr=4 rd_size=$((128 * 1024)) max_part=0 && wait_until 5 test -b "$direct" &&
		mkfs.ext4 -q "$mounted" 8M && mkdir -p /tmp/mounted && mount "$mounted" /tmp/mounted
}

# The region whose data must stay: a quarter of it in DRAM.
keep()
{
	"$empctl" region create keep --size 16M --force \
		--mem "$below:16:0|dram:4|block=64K,subblock=4K,checksum=1"
}

# Nothing but 'keep' may hold a device; then that goes too.
nothing_held()
{
	local region

	for region in "$sys"/*/; do
		region=${region%/}
		[ "${region##*/}" = keep ] || wait_until 10 region_gone "${region##*/}" ||
			fail "${region##*/} cannot be destroyed"
	done
	wait_until 10 region_gone keep || fail "keep cannot be destroyed"
	wait_until 10 no_regions || fail "left: $(ls "$sys")"
	[ -z "$(ls /dev/emp)" ] || fail "left: $(ls /dev/emp)"
	"$bin/fault_excl" "$tiers" true || fail "$tiers is still claimed"
	"$bin/fault_excl" "$below" true || fail "$below is still claimed"
}

control()
{
	keep
	if ! timeout $((250 * slowness)) "$bin/fuzz_control" "$(calls 2500)" 4 "$tiers" "$mounted"; then
		grep -s . "$sys"/keep/tiers/*/{state,used,bytes} | sed 's/^/# /'
		fail "see above"
	fi
	nothing_held
}

sysfs()	# KEYS
{
	"$empctl" region create keep --size 16M --force \
		--mem "$below:8:0|$below:16:8|dram:4|checksum=1,$1"
	timeout $((250 * slowness)) "$bin/fuzz_sysfs" "$(calls 1500)" 3 keep
	nothing_held
}

file()	# VARIANT MB DRAM_MB [KEYS]
{
	keep
	"$empctl" region create f0 --size "${2}M" --force \
		--mem "$tiers:$2:0|dram:$3|checksum=1,${variant[$1]}${4:+,$4}"
	FUZZ_DIRECT=$direct timeout $((250 * slowness)) "$bin/fuzz_file" "$(calls 4000)" 2 /dev/emp/f0
	region_note f0
	nothing_held
}

t_begin
setup || { echo "Bail out! cannot set up the disks"; exit 1; }
t_run control control
t_run sysfs sysfs block=64K,subblock=4K
t_run sysfs-pinnable sysfs block=4K,subblock=4K,pinnable=1
t_run file-small-4k file small-4k 24 6
t_run file-small-64k file small-64k 24 6 pinnable=1
t_run file-small-2m file small-2m 96 48
t_run file-auto file auto 96 48
t_run file-huge file huge 96 48
umount /tmp/mounted
t_end
