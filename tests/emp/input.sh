#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Bad input: every request that is wrong is refused with one errno, or one line
# on stderr, and leaves nothing behind. Programs fault_ioctl and fault_file
# spoil one field of a right request at a time; here are the tools, sysfs, and
# what needs a machine around it.
#
# lab: --kernel 6.12
# lab: --kernel 6.1
# time: 600
# shellcheck source=tests/emp/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"

free_disk=/dev/ram0
mounted=/dev/ram1
held=/dev/ram2

setup()
{
	modprobe brd rd_nr=3 rd_size=$((128 * 1024)) max_part=0 && wait_until 5 test -b "$held" &&
		mkfs.ext4 -q "$mounted" 8M && mkdir -p /tmp/mounted && mount "$mounted" /tmp/mounted &&
		modprobe dm-mod && dmsetup create holder --table "0 8192 linear $held 0"
}

# program COMMAND...: its lines "ok - NAME" become cases
program()
{
	local line last='' kind name

	while IFS= read -r line; do
		case $line in
		'ok - '* | 'not ok - '*)
			kind=${line%%ok - *}
			name=${line#*ok - }
			if [[ $name == *'# SKIP'* ]]; then
				t_skip "${name%% \#*}" "${name#*SKIP }"
			else
				t_ok "$name" "${#kind}"
			fi
			;;
		*) echo "$line" ;;
		esac
		last=$line
	done < <(ANNEX_CASE=${ANNEX_CASE:-*} timeout $((100 * slowness)) "$@"; echo "# ${1##*/} ended with $?")
	[[ $last == *' ended with '[01] ]] || t_ok "${1##*/}_ran_to_its_end" 1
}

# nothing_made: no region, file or folder; the free disk is free
nothing_made()
{
	[ -z "$(ls "$sys")" ] || fail "left in sysfs: $(ls "$sys")"
	[ -z "$(ls /dev/emp)" ] || fail "left in /dev/emp: $(ls /dev/emp)"
	"$bin/fault_excl" "$free_disk" true || fail "$free_disk is still claimed"
}

# refused WORDS COMMAND...: fails with one line on stderr that has WORDS
refused()
{
	local words=$1 status=0
	shift

	"$@" >/tmp/out 2>/tmp/err || status=$?
	[ "$status" -ne 0 ] || fail "it worked: $*"
	[ "$status" -lt 126 ] || fail "status $status: $*"
	[ ! -s /tmp/out ] || fail "standard output: $(head -n 3 /tmp/out)"
	[ "$(wc -l </tmp/err)" -eq 1 ] || fail "not one line on stderr: $(cat /tmp/err)"
	grep -qE -- "$words" /tmp/err || fail "no '$words' in: $(cat /tmp/err)"
}

# The tools, with the module there. NAME|WORDS|spec and so on.
create()	# SPEC [ARGUMENT]...
{
	"$empctl" region create r0 --size 32M --mem "$1" "${@:2}"
}

tool_refuses()	# WORDS COMMAND...
{
	refused "$@"
	nothing_made
}

# case NAME WORDS SPEC [ARGUMENT]...: a region that empctl does not make
spec_case()
{
	t_run "spec_$1" tool_refuses "$2" create "${@:3}"
}

# Specs that are well-formed, but of which the machine or the module disapproves.
specs()
{
	local d=$free_disk

	spec_case dram_below_minimum 'DRAM|dram|minimum|least' "dram:1|$d:64:0|block=2M,subblock=64K"
	spec_case no_tier 'hold' "dram:16|block=64K"
	spec_case tier_too_small 'hold' "dram:16|$d:16:0|block=64K"
	spec_case tier_beyond_end 'end of|beyond|ends|has only|fit' "dram:16|$d:64:100|block=64K"
	spec_case tier_base_beyond_end 'end of|beyond|ends|has only|fit' "dram:16|$d:64:4096|block=64K"
	spec_case tier_overlap 'overlap|in use|twice' "dram:16|$d:32:0|$d:32:16|block=64K"
	spec_case no_such_device 'no such|No such' "dram:16|/dev/nothing:64:0|block=64K"
	spec_case no_block_device 'block device' "dram:16|/dev/zero:64:0|block=64K"
	spec_case mounted 'mounted|in use|busy' "dram:16|$mounted:64:0|block=64K" --force
	spec_case held 'in use|busy|claimed' "dram:16|$held:64:0|block=64K" --force
	spec_case rdma_key 'no-such-keys' "dram:16|10.0.0.1:64:19675|block=64K|key=/no-such-keys"
	spec_case rdma 'not there' "dram:16|10.0.0.1:64:19675|block=64K|key=none"
	spec_case memdev 'not built' "dram:16|memdev:64:0|block=64K"
	spec_case subblock_larger_than_default 'block' "dram:16|$d:64:0|block=4K,map=huge"
	spec_case uid_unknown 'uid|user' "dram:16|$d:64:0|block=64K|uid=nobody-at-all"
}

# What does not parse; tests/unit and tests/fuzz know the grammar much better.
spec_syntax()
{
	local d="dram:16|$free_disk:64:0" wrong
	for wrong in '' "dram:16|$d" "dram:-2|$free_disk:64:0" "dram:0|$free_disk:64:0" \
		"dram:99999999999999999999|$free_disk:64:0" "dram:16|$free_disk:0:0" \
		"dram:16|$free_disk:-1:0" "dram:16|$free_disk:big:0" \
		"dram:16|$free_disk:64:18446744073709551615" "$d|block=12K" "$d|block=4M" \
		"$d|block=4K,subblock=64K" "$d|block=64K,map=big" "$d|block=64K,map=huge" \
		"$d|blok=64K" "$d|block=64K|block=4K" "$d|block=" "$d|checksum=2" "$d|wipe=burn" \
		"$d|name=A" "$d|mode=999" "$d|mode=7777" "$d|deadline=601" "$d|queue=0" \
		"$d|queue=5000" "$d|x" "$d|$(printf 'x%.0s' {1..9000})"; do
		refused '--mem' create "$wrong"
	done
	nothing_made
}

# A device with a file system on it is used only when told so.
signature()
{
	mkfs.ext4 -q "$free_disk" 8M
	refused 'ext4|signature|file system' create "dram:16|$free_disk:64:0|block=64K,subblock=4K"
	nothing_made
	create "dram:16|$free_disk:64:0|block=64K,subblock=4K" --force
	destroy r0
	create "dram:16|$free_disk:64:0|block=64K,subblock=4K|force=1"
	destroy r0
	dd if=/dev/zero of="$free_disk" bs=1M count=8 status=none
	create "dram:16|$free_disk:64:0|block=64K,subblock=4K" || fail "refused without a signature"
	destroy r0
}

tool_region()
{
	refused 'no region' "$empctl" region destroy r0
	refused 'no region' "$empctl" region show r0
	refused 'no region' "$empctl" region set r0 dram_limit=16M
	refused 'no region' "$empctl" tier show r0
	refused 'no region' "$empctl" tier add r0 "$free_disk:64:0"
	refused 'no region|no tier' "$empctl" tier remove r0 0
	refused 'no region' "$empctl" stats r0
	refused 'name' "$empctl" region create R0 --size 32M --mem "dram:32"
	refused 'size' "$empctl" region create r0 --size 32X --mem "dram:32"
	refused 'size' "$empctl" region create r0 --size -1 --mem "dram:32"
	refused 'size' "$empctl" region create r0 --size 0 --mem "dram:32"
	refused 'size|large' "$empctl" region create r0 --size 99999999999G --mem "dram:32"
	refused 'mem' "$empctl" region create r0 --size 32M
	refused 'size' "$empctl" region create r0 --mem "dram:32"
	refused '[Uu]sage|NAME|operand' "$empctl" region create --size 32M --mem "dram:32"
	refused 'option' "$empctl" region create r0 --size 32M --mem "dram:32" --frob
	nothing_made
}

# With a region: a name that is taken, a range that is, attributes that are not.
tool_live()
{
	create "dram:16|$free_disk:48:0|block=64K,subblock=4K"
	refused 'exists|taken|already' create "dram:16|$free_disk:48:64|block=64K"
	refused 'in use|overlap|busy' "$empctl" region create r1 --size 32M \
		--mem "dram:16|$free_disk:32:16|block=64K"
	refused 'in use|overlap|busy' "$empctl" tier add r0 "$free_disk:16:32"
	refused 'beyond|end|fit|only' "$empctl" tier add r0 "$free_disk:200:64"
	refused 'mounted|in use|busy' "$empctl" tier add r0 "$mounted:16:0" --force
	refused 'hold|room|small' "$empctl" tier remove r0 0
	refused 'no tier|tier 7' "$empctl" tier remove r0 7
	refused 'number' "$empctl" tier remove r0 x
	refused 'minimum|least|below' "$empctl" region set r0 dram_limit=4096
	refused 'dram_limit|not a' "$empctl" region set r0 dram_limit=lots
	refused 'bogus' "$empctl" region set r0 bogus=1
	refused 'cannot be set|read-only' "$empctl" region set r0 bytes=1M
	refused 'deadline' "$empctl" tier set r0 0 deadline_ms=0
	refused 'queue' "$empctl" tier set r0 0 queue_depth=5000
	[ "$(ls "$sys")" = r0 ] || fail "in sysfs: $(ls "$sys")"
	[ "$(ls /dev/emp)" = r0 ] || fail "in /dev/emp: $(ls /dev/emp)"
	[ "$(ls "$sys/r0/tiers")" = 0 ] || fail "tiers: $(ls "$sys/r0/tiers")"
	[ "$(attr r0 tiers/0/state)" = ok ] || fail "tier is $(attr r0 tiers/0/state)"
	[ "$(attr r0 dram_limit)" = $((16 << 20)) ] || fail "limit $(attr r0 dram_limit)"
	exec {keep}</dev/emp/r0
	refused 'in use|open|busy' "$empctl" region destroy r0
	exec {keep}<&-
	destroy r0
	nothing_made
}

qemu()	# [ARGUMENT]...
{
	"$empqemu" qemu-system-x86_64 -display none -nodefaults -no-user-config "$@"
}

tool_qemu()
{
	refused 'spec|column' qemu -m 64M --mem-path "dram:16|x"
	refused 'hold' qemu -m 64M --mem-path "dram:32|block=64K"
	refused 'no such|No such' qemu -m 64M --mem-path "dram:32|/dev/nothing:64:0"
	refused 'mounted|in use|busy' "$empqemu" --force qemu-system-x86_64 -m 64M \
		--mem-path "dram:48|$mounted:64:0"
	refused 'not there' qemu -m 64M --mem-path "dram:48|10.0.0.1:64:1|key=none"
	refused 'cannot run|No such' "$empqemu" no-such-qemu -m 64M --mem-path "dram:64"
	refused 'name' "$empqemu" --name BAD qemu-system-x86_64 -m 64M --mem-path "dram:64"
	refused 'size|-m|RAM' qemu -m x --mem-path "dram:64"
	refused 'option|frob' "$empqemu" --frob qemu-system-x86_64
	wait_until 5 no_regions
	nothing_made
}

# --- sysfs ----------------------------------------------------------------------

# node FILE GOOD BAD...: BAD is refused and changes nothing, GOOD is not
node()
{
	local file=$sys/r0/$1 was value
	was=$(<"$file")
	for value in "${@:3}"; do
		! printf '%b' "$value" 2>/dev/null >"$file" || fail "$1 takes '$value': $(<"$file")"
		[ "$(<"$file")" = "$was" ] || fail "'$value' makes $1 $(<"$file"), it was $was"
	done
	echo "$2" >"$file"
	[ "$(<"$file")" = "$2" ] || fail "$2 makes $1 $(<"$file")"
}

sysfs_values()
{
	local over='18446744073709551616' file
	local words=('\n' ' ' 'x' '-1' '1 2' '1x' '1K2' '1.5' '+1' '\0001')

	create "dram:16|$free_disk:64:0|block=64K,subblock=4K"
	node dram_limit $((8 << 20)) 0 4096 "${words[@]}" "$over" '16E'
	node readahead 65536 $((32 << 20)) "${words[@]}" "$over" '16E'
	node low_free 65536 0 $((1 << 40)) $((15 << 20)) "${words[@]}" "$over"
	node high_free $((1 << 20)) 0 4096 $((1 << 40)) "${words[@]}" "$over"
	node lost_retry_ms 5 3600001 '\n' x -1 1.5 "$over"
	node retain_ms 5 10001 '\n' x -1 1.5 "$over"
	node promote 0 2 '\n' x -1 1.5 "$over"
	node tiers/0/deadline_ms 5 0 600001 '\n' x -1 1.5 "$over"
	node tiers/0/queue_depth 5 0 4097 '\n' x -1 1.5 "$over"
	for value in "${words[@]}"; do
		! printf '%b' "$value" 2>/dev/null >"$sys/r0/evict" || fail "evict takes '$value'"
	done
	while read -r file; do
		case ${file##*/} in
		dram_limit | readahead | low_free | high_free | lost_retry_ms | retain_ms | promote | deadline_ms | \
		queue_depth | evict | pressure) continue ;;
		esac
		! echo 1 2>/dev/null >"$file" || fail "$file can be written to"
	done < <(find "$sys/r0" -type f)
}

# What the user set stays when dram_limit changes, as far as it fits.
watermarks_kept()
{
	create "dram:16|$free_disk:64:0|block=64K,subblock=4K"
	set_attr r0 low_free 65536
	set_attr r0 high_free $((6 << 20))
	set_attr r0 dram_limit $((8 << 20))
	[ "$(attr r0 low_free) $(attr r0 high_free)" = "65536 $((4 << 20))" ] ||
		fail "with 8 MiB: $(attr r0 low_free) $(attr r0 high_free)"
	set_attr r0 dram_limit $((16 << 20))
	[ "$(attr r0 low_free) $(attr r0 high_free)" = "65536 $((6 << 20))" ] ||
		fail "with 16 MiB: $(attr r0 low_free) $(attr r0 high_free)"
}

# parameter NAME GOOD BAD...: BAD is EINVAL (or ERANGE) and changes nothing
parameter()
{
	local file=/sys/module/emp/parameters/$1 was value

	was=$(<"$file")
	for value in "${@:3}" '' x -1 1.5 99999999999; do
		! echo "$value" 2>/dev/null >"$file" || fail "$1 takes '$value'"
		[ "$(<"$file")" = "$was" ] || fail "'$value' makes $1 $(<"$file")"
	done
	echo "$2" >"$file"
	[ "$(<"$file")" = "$2" ] || fail "$2 makes $1 $(<"$file")"
	echo "$was" >"$file"
}

parameters()
{
	parameter block_size 65536 0 2048 12288 4194304
	parameter subblock_size 4096 0 2048 12288 262144
	parameter tier_deadline_ms 600000 0 600001
	parameter tier_queue_depth 4096 0 4097
	parameter retain_ms 0 10001
}

# modprobe with such a value fails, and leaves no module.
parameters_at_load()
{
	local wrong

	unload
	for wrong in block_size=5000 subblock_size=1 tier_deadline_ms=0 tier_queue_depth=9999 \
		retain_ms=x; do
		not quietly insmod "$emp_ko" "$wrong" || fail "loads with $wrong"
	done
	load block_size=65536 subblock_size=65536 retain_ms=0
	[ "$(</sys/module/emp/parameters/block_size)" = 65536 ] || fail "block_size is not taken"
	unload
	load
}

# --- memory ---------------------------------------------------------------------

# A region whose tables do not fit into memory is refused; nobody is killed.
tables_too_large()
{
	local kills=0 mb
	((mb = $(awk '/MemAvailable/ { print $2 }' /proc/meminfo) / 1024))
	kills=$(dmesg | grep -c 'Killed process' || true)
	# 4 KiB blocks take 20 bytes and more each: 1/200 of the region.
	refused 'memory|Memory' "$empctl" region create r0 --size "$((mb * 220))M" \
		--mem "dram:64|$free_disk:64:0|block=4K,subblock=4K,overcommit=1"
	nothing_made
	[ "$(dmesg | grep -c 'Killed process')" -eq "$kills" ] ||
		fail "killed: $(dmesg | grep 'Killed process' | tail -n 1)"
}

# Who reads a region's folder while it is made, or not made, sees no half of it.
sysfs_while_made()
{
	local i file
	(
		set +eE
		trap - ERR
		while :; do
			for file in owner dram_limit resident queues metadata_bytes tiers/0/state; do
				read -r _ <"$sys/r0/$file"
			done 2>/dev/null
		done
	) &
	for ((i = 0; i < $(times 40 10); i++)); do
		create "dram:16|$free_disk:64:0|$held:64:0|block=64K,subblock=4K" 2>/dev/null &&
			fail "made on a device that is in use"
		create "dram:16|$free_disk:64:0|block=64K,subblock=4K"
		destroy r0
	done
	kill_jobs
	nothing_made
}

files()
{
	"$empctl" region create t0 --size 32M --mem "dram:16|$free_disk:64:0|$1" || return 1
	program "$bin/fault_file" t0
	"$empctl" region destroy t0
}

t_begin
setup || { echo "Bail out! cannot set up the disks"; exit 1; }
program "$bin/fault_ioctl" "$free_disk" "$mounted" "$held"
files block=64K,subblock=4K,map=small
specs
t_run spec_syntax spec_syntax
t_run signature signature
t_run tool_region tool_region
t_run tool_live tool_live
t_run tool_qemu tool_qemu
t_run sysfs_values sysfs_values
t_run watermarks_kept watermarks_kept
t_run parameters parameters
t_run parameters_at_load parameters_at_load
t_run tables_too_large tables_too_large
t_run sysfs_while_made sysfs_while_made
umount "$mounted"
dmsetup remove holder
t_end
