#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Each allocation, and each copy from and to user space, fails once: in all that
# providers, clients and administrators ask of pim.ko and dpu.ko (src/failnth.c,
# one after the other). Needs the kernel's fault injection: tests/run --debug.
#
# ci: no needs the debug kernel
# lab: --kernel 6.12 --mem 2G
# debug: kmemleak
# time: 600
#
# shellcheck disable=SC2317,SC2119 # cases are called by t_run; functions with no argument
set -u
# shellcheck source=tests/emp/inject_lib.sh
. "${0%/*}/../emp/inject_lib.sh"
# shellcheck source=tests/pim/lib.sh
. "${0%/*}/lib.sh"

inject()	# STRIDE OPERATION [FILE]
{
	provide
	FAILNTH_STRIDE=$1 timeout 900 "$bin/failnth" "${@:2}"
	become 0 free
}

vm()
{
	local group

	load_vms || fail "pim_mdev does not load"
	# The kernel (6.12) warns where it cannot make a group of VFIO.
	read -ra group < <(range_of vfio_device_set_group)
	[ "${#group[@]}" -eq 2 ]
	filter reject "${group[@]}"
	inject 37 vm "$(echo /sys/class/mdev_bus/pim/mdev_supported_types/*/create)"
	filter reject 0 0
}

# Only what the module itself does: loading takes a thousand allocations before.
loading()
{
	local range

	provide
	rmmod pim_local
	read -ra range < <(range_of do_init_module)
	filter require "${range[@]}"
	FAILNTH_STRIDE=7 timeout 900 "$bin/failnth" load "$modules/pim_local.ko"
	filter require 0 0xffffffffffffffff
	insmod "$modules/pim_local.ko"
}

t_begin
injection_setup || { echo "Bail out! cannot set up fault injection"; exit 1; }
t_run add inject 3 add
for op in serve open commit slices write read lease owner; do
	t_run "$op" inject 1 "$op"
done
t_run vm vm
t_run load loading
t_end
