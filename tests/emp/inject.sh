#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Each allocation, and each copy from and to user space, fails once: in all that
# a process can ask of the module (src/failnth.c, one after the other), and at
# random in the evictor. Needs the kernel's fault injection: tests/run --debug.
#
# ci: no needs the debug kernel
# lab: --kernel 6.12 --mem 2G
# debug: kmemleak
# time: 900
#
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/emp/inject_lib.sh
. "${0%/*}/inject_lib.sh"
# shellcheck source=tests/emp/lib.sh
. "${0%/*}/lib.sh"

disks=(/dev/ram0 /dev/ram1)
some=${ANNEX_SOAK:+1}
some=${some:-7}

setup()
{
	modprobe brd rd_nr=2 rd_size=$((256 * 1024)) max_part=0 &&
		wait_until 5 test -b "${disks[1]}" || return 1
	injection_setup
	read -ra caches < <(range_of __kmem_cache_create_args)
	[ "${#caches[@]}" -eq 2 ] && without_caches
}

# inject OPERATION FORM [ARGUMENT]...
inject()
{
	timeout 1200 "$bin/failnth" "$1" "$2" "${disks[@]}" "${@:3}"
}

# Only what the module itself does: loading takes a thousand allocations before.
loading()
{
	local start end status=0

	unload
	read -r start end < <(range_of do_init_module)
	filter require "$start" "$end"
	inject load small-4k "$emp_ko" || status=1
	with_caches load small-4k "$emp_ko" || status=1
	filter require 0 0xffffffffffffffff
	load
	return "$status"
}

# Making a slab cache, as the pool of requests of the first tier does, takes
# hundreds of allocations, and each that fails fills the kernel's log with a
# trace: elsewhere they are left out.
without_caches()
{
	filter reject "${caches[@]}"
}

with_caches()	# inject's arguments
{
	local status=0 sysfs

	# The kernel (6.12) leaks the name of a cache whose files it cannot make.
	read -ra sysfs < <(range_of sysfs_slab_add)
	filter reject "${sysfs[@]}"
	every 37 inject "$@" || status=1
	without_caches
	return "$status"
}

# only_copies OPERATION FORM: no allocation fails, but each copy from and to user space
only_copies()
{
	local status=0 kinds=(failslab fail_page_alloc)

	filter require 1 2
	inject "$@" || status=1
	filter require 0 0xffffffffffffffff
	return "$status"
}

# every N COMMAND...: not each, for the hundreds that make files in sysfs
every()
{
	local FAILNTH_STRIDE=$1

	export FAILNTH_STRIDE
	"${@:2}"
}

mounting()
{
	umount /dev/emp
	inject mount small-4k || fail "see above"
	mount -t empfs empfs /dev/emp
}

evictor_pid()	# REGION
{
	local comm

	for comm in /proc/[0-9]*/comm; do
		if [ "$(<"$comm")" = "emp/$1" ]; then
			basename "${comm%/comm}"
			return
		fi
	done 2>/dev/null
}

# Every fifth allocation of the evictor fails, while the region is used. With
# 'disk' those that the RAM disk makes for a page's first write do, too: write
# errors for us. (A write of 2 MiB would never succeed.)
evictor()	# FORM MB DRAM_MB [disk]
{
	local pid

	[ -n "${4:-}" ] || dd if=/dev/zero of="${disks[0]}" bs=1M count="$2" status=none
	"$empctl" region create r0 --size "${2}M" --force \
		--mem "${disks[0]}:$2:0|dram:$3|checksum=1,${variant[$1]}"
	pid=$(evictor_pid r0)
	[ -n "$pid" ] || fail "no evictor"
	echo 1 >"/proc/$pid/make-it-fail"
	set_kinds task-filter Y
	set_kinds probability 20
	timeout 250 "$bin/smoke_fill" /dev/emp/r0 || fail "data is wrong"
	set_kinds probability 0
	set_kinds task-filter N
	region_note r0
	(($(counter r0 evict_written) > 0)) || fail "nothing was written back"
	evict_all r0 || fail "$(resident r0) bytes cannot be evicted"
}

t_begin
setup || { echo "Bail out! cannot set up fault injection"; exit 1; }
t_run mount mounting
t_run create-small-64k every "$some" inject create small-64k
t_run create-auto every $((some * 2 - 1)) inject create auto
t_run create-caches with_caches create small-64k
t_run create-copies only_copies create small-64k
t_run tier_add-copies only_copies tier_add small-64k
t_run destroy inject destroy small-64k
t_run open inject open small-64k
t_run control inject control small-64k
t_run limit inject limit small-64k
for v in small-64k auto; do
	t_run "tier_add-$v" every "$some" inject tier_add "$v"
	t_run "tier_remove-$v" inject tier_remove "$v"
done
for v in small-4k small-2m auto huge; do
	for op in read write read_zero write_zero around evict; do
		t_run "$op-$v" inject "$op" "$v"
	done
	[ "$v" = small-4k ] || t_run "punch-$v" inject punch "$v"
done
t_run evictor-small-4k evictor small-4k 8 2 disk
t_run evictor-auto evictor auto 64 48
t_run load loading
t_end
