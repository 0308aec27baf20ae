# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # in-lab's variables
#
# The stages of in-lab that need guests (L2). Sourced by it.
#
# A guest is started by tests/lab/guest and stays; kvguest in it is talked to
# over a pair of fifos, NAME.in and NAME.out, behind a virtio port.

guest_mib=256
guest_data_mib=160
# What the guest's memory is on, and what turns swap on; the bench "donor" has others.
guest_tier=/dev/ram0:$((2 * guest_mib)):0
guest_keys=$small
guest_swap=(swap_on /dev/ram1)
declare -A to from guest_pid

# start_guest NAME "QEMU AND WORDS BEFORE IT" BYTES [TRACE]
start_guest()
{
	local name=$1 qemu=$2 bytes=$3 trace=${4-} fd

	rm -f "/tmp/$name.in" "/tmp/$name.out"
	mkfifo "/tmp/$name.in" "/tmp/$name.out"
	exec {fd}<>"/tmp/$name.in"
	to[$name]=$fd
	exec {fd}<>"/tmp/$name.out"
	from[$name]=$fd
	"$top/tests/lab/guest" --mem ${guest_mib}M --timeout 600 --qemu "$qemu" \
		--file "$work/bin/kvguest" ${trace:+--file "$trace:/trace"} \
		--qemu-arg -chardev --qemu-arg "pipe,id=bench,path=/tmp/$name" \
		--qemu-arg -device --qemu-arg virtserialport,chardev=bench,name=bench \
		-- kvguest "$bytes" ${trace:+/trace} >"$raw/guest-$name.log" 2>&1 &
	guest_pid[$name]=$!
}

# ask NAME [LINE]: say it, and print the answer; without LINE, wait for one
ask()
{
	local answer

	[ -z "${2-}" ] || echo "$2" >&"${to[$1]}"
	if ! read -r -t "${limit:-240}" -u "${from[$1]}" answer; then
		echo "guest $1 does not answer" >&2
		tail -n 5 "$raw/guest-$1.log" >&2
		return 1
	fi
	echo "$answer"
}

end_guest()
{
	local name

	for name; do
		[ -n "${guest_pid[$name]-}" ] || continue
		echo quit >&"${to[$name]}"
		wait "${guest_pid[$name]}" || echo "guest $name: status $?" >&2
		unset "guest_pid[$name]"
	done
}

# The QEMU below emp-qemu or in-cgroup has kept the pid that was started.
cgroup_qemu()
{
	printf '%s\n' '#!/bin/sh' "echo \$\$ >$cgroups/guest/cgroup.procs" 'exec "$@"' >/tmp/in-cgroup
	chmod 755 /tmp/in-cgroup
	mkdir -p "$cgroups/guest"
	echo "/tmp/in-cgroup qemu-system-x86_64"
}

# Bytes of the guest's RAM that are in DRAM: its mapping is the largest of QEMU's.
guest_ram_rss()
{
	local pid

	pid=$(head -n 1 "$cgroups/guest/cgroup.procs")
	awk '/^[0-9a-f]+-[0-9a-f]+ / { size = 0 } /^Size:/ { size = $2 }
		/^Rss:/ && size > max { max = size; rss = $2 } END { print rss * 1024 }' "/proc/$pid/smaps"
}

# counters NAME ROUND WHEN: of the whole host and of region kv
guest_counters()
{
	local file

	{
		for file in /sys/fs/emp/kv/stats/*; do
			case $file in *_ns) continue ;; esac
			echo "$1,$2,$3,emp.${file##*/},$(cat "$file")"
		done
		awk -v p="$1,$2,$3" '/^pswp(in|out) / { print p ",vm." $1 "," $2 }' /proc/vmstat
		awk -v p="$1,$2,$3" '/^cpu / { print p ",cpu.system," $4 }' /proc/stat
	} >>"$raw/guest.csv"
}

# guest_pass NAME ROUND OPS
guest_pass()
{
	local answer

	guest_counters "$1" "$2" before
	answer=$(ask "$1" "go $3") || return
	guest_counters "$1" "$2" after
	read -r _ ns bad <<<"$answer"
	printf '%s,%s,run,%s,%s\n' "$1" "$2" ns "$ns" "$1" "$2" ops "$3" "$1" "$2" bad "$bad" \
		>>"$raw/guest.csv"
}

# guest_hold BYTES: move the limit of swap's guest so that its RAM has BYTES in DRAM
guest_hold()
{
	local max

	max=$(cat "$cgroups/guest/memory.max")
	echo $((max + $1 - $(guest_ram_rss))) >"$cgroups/guest/memory.max"
}

guest_zipf()
{
	local bytes=$((guest_data_mib * mib)) ops=$1 used rss current round name swap

	swap=$(cgroup_qemu)
	"${guest_swap[@]}" || return
	start_guest kv "$top/userspace-tools/build/emp-qemu -N kv qemu-system-x86_64 --mem-path \
$guest_tier|dram:$guest_mib|$guest_keys" "$bytes" "$work/guest.trace"
	ask kv >/dev/null || return
	start_guest swap "$swap" "$bytes" "$work/guest.trace"
	ask swap >/dev/null || return
	start_guest local qemu-system-x86_64 "$bytes" "$work/guest.trace"
	ask local >/dev/null || return

	# half of what the guest uses
	used=$(cat /sys/fs/emp/kv/resident)
	echo $((used / 2)) >/sys/fs/emp/kv/dram_limit
	rss=$(guest_ram_rss)
	current=$(cat "$cgroups/guest/memory.current")
	echo $((current - rss + used / 2)) >"$cgroups/guest/memory.max"
	echo "used=$used rss=$rss current=$current limit=$((used / 2)) ops=$ops pages=$((bytes / 4096))" |
		tr ' ' '\n' >"$raw/guest.setup"
	for ((round = 0; round < 100; round++)); do
		[ "$(cat /sys/fs/emp/kv/resident)" -gt "$((used / 2))" ] || break
		sleep 0.2
	done
	# A long warm-up: shrinking swap's limit evicts far more than it has to, and
	# until that is full again nothing is evicted. QEMU's own memory goes to swap
	# meanwhile: the limit follows, so that guest RAM has what it should have.
	for name in kv swap local swap swap; do
		guest_pass "$name" 0 $((2 * ops)) || return
		[ "$name" != swap ] || guest_hold $((used / 2))
	done
	for ((round = 0; round <= guest_rounds; round++)); do
		for name in kv swap local; do
			guest_pass "$name" "$round" "$ops" || return
		done
		echo "rss_$round=$(guest_ram_rss)" >>"$raw/guest.setup"
		guest_hold $((used / 2))
	done
}

stage_guest()
{
	local status=0

	echo 0 >/proc/sys/vm/page-cluster
	guest_zipf "$guest_ops" || status=1
	end_guest kv swap local
	rmdir "$cgroups/guest"
	return $status
}

stage_boot()
{
	local map counter

	for map in huge small; do
		start_guest "boot$map" "$top/userspace-tools/build/emp-qemu -N boot$map qemu-system-x86_64 \
--mem-path /dev/ram0:$((2 * guest_mib)):0|dram:$guest_mib|block=2M,map=$map" 4096
		ask "boot$map" >/dev/null || return
		for counter in fault_minor fault_zero fault_fetch fault_mkwrite fault_huge fault_around; do
			echo "$map,$counter,$(cat "/sys/fs/emp/boot$map/stats/$counter")" >>"$raw/boot.csv"
		done
		end_guest "boot$map"
	done
}
