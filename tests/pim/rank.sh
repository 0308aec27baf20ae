#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# dpu.ko through pim_local.ko and a provider of the tests: what programs see of
# a rank in sysfs, every call, who may open it, both versions of the interface.
#
# lab: --kernel 6.12 --mem 2G
# lab: --kernel 6.1 --mem 2G
# debug: kmemleak
# time: 200
#
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/pim/lib.sh
. "${0%/*}/lib.sh"

t_begin

# sample NAME EXPECTED: an attribute, to the byte
sample()
{
	local got

	got=$(cat "$class/dpu_rank0/$1"; echo .)
	[ "$got" = "$2"$'\n.' ] || fail "$1 is '${got%.}', not '$2'"
}

attributes()
{
	provide --ranks 2 --mram $((64 << 20))
	sample dpu_chip_id 0
	sample nb_ci 8
	sample nb_dpus_per_ci 8
	sample mram_size 67108864
	sample capabilities 0x1
	sample fck_frequency 800
	sample clock_division 4
	sample rank_id 0
	sample channel_id 255
	sample backend_id 0
	sample byte_order "$(printf '0x000103ff0f8fcfef %.0s' 1 2 3 4 5 6 7 8)"
	sample rank_index 0
	sample rank_count 1
	sample ci_mask 255
	sample is_owned 0
	sample usage_count 0
	sample mcu_version ""
	sample part_number ""
	sample serial_number T-1
	sample mode 2
	sample debug_mode 0
	[ "$(cat "$class/dpu_rank1/rank_id")" = 1 ]
	[ "$(<"$class"/dpu_rank0/uevent)" = "$(printf 'MAJOR=%d\nMINOR=0\nDEVNAME=dpu_rank0' \
		"$((0x$(stat -c %t /dev/dpu_rank0)))")" ] || fail "uevent: $(<"$class"/dpu_rank0/uevent)"
	[ "$(stat -c %a /dev/dpu_rank0)" = 600 ]
	[ "$(</sys/module/dpu/version)" = 7.1 ]
	start_holder /dev/dpu_rank0
	sample is_owned 1
	sample usage_count 1
}

hex()
{
	od -An -v -tx1 | tr -d ' \n'
}

# Vital product data: as a program reads it with fread, and at an offset.
vpd()
{
	provide
	[ "$(hex <"$class/dpu_rank0/dimm_vpd")" = \
		"55504d560040000070000100$(printf '00%.0s' {1..100})" ] || fail "$(hex <"$class/dpu_rank0/dimm_vpd")"
	[ "$(tail -c +9 "$class/dpu_rank0/dimm_vpd" | head -c 1 | hex)" = 70 ]
}

writable()
{
	provide
	echo 2 >"$class"/dpu_rank0/mode
	not quietly tee "$class"/dpu_rank0/mode <<<1
	not quietly tee "$class"/dpu_rank0/mode <<<9
	not quietly tee "$class"/dpu_rank0/signal_led <<<1
	not quietly tee "$class"/dpu_rank0/debug_mode <<<300
	echo 1 >"$class"/dpu_rank0/debug_mode
	sample debug_mode 1
	start_holder /dev/dpu_rank0
	client open		# a second one
	echo 0 >"$class"/dpu_rank0/debug_mode
	not quietly client open
	chmod 666 "$class"/dpu_rank0/debug_mode
	not quietly as_user 65534 tee "$class"/dpu_rank0/debug_mode <<<1
}

action()	# ACTION...
{
	provide --dpus 7	# one line less than there can be
	client "$@"
}

full()	# ACTION...
{
	provide
	client "$@"
}

# A commit carries its answer: 20 commands with ten updates each are 20 requests.
cached()
{
	local before

	provide
	before=$(attr 0 stats/commands)
	client updates 20
	[ "$(attr 0 stats/commands)" = $((before + 20)) ] ||
		fail "$(($(attr 0 stats/commands) - before)) requests"
}

# Bytes are counted, holes take no memory.
counted()
{
	local used

	provide
	client clean
	[ "$(attr 0 mram_used)" = 0 ] || fail "reading takes memory: $(attr 0 mram_used)"
	[ "$(attr 0 stats/bytes_out)" = $((64 << 20)) ]
	start_holder /dev/dpu_rank0
	used=$(attr 0 mram_used)
	[ "$used" = 0 ]
}

# With --xfer, MRAM is elsewhere: the provider is told before and after.
told()
{
	provide --xfer
	client transfer
	provider_says ready
}

by_eventfd()
{
	provide --eventfd
	client commands
	client updates 5
}

# The same with the interface of SDK 2021.3.
old_abi()
{
	unload
	load abi=6.4
	[ "$(</sys/module/dpu/version)" = 6.4 ]
	provide
	[ ! -e "$class"/dpu_rank0/ci_mask ]
	client refused 64
	client commands
	kill "$provider"
	wait "$provider"
	"$pimctl" rank remove 0
	unload
	not load abi=8.0
	not quietly rmmod dpu
	load
	[ "$(</sys/module/dpu/version)" = 7.1 ]
}

t_run attributes attributes
t_run vpd vpd
t_run writable writable
t_run exclusive action exclusive
t_run refused action refused
t_run commands action commands
t_run pending action pending
t_run signals action signals
t_run matrix action matrix
t_run transfer full transfer
t_run coherent action coherent
t_run small action small
t_run cached cached
t_run counted counted
t_run told told
t_run eventfd by_eventfd
t_run old-abi old_abi
t_end
