# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# shellcheck disable=SC2034 # variables are for those who source this
# shellcheck disable=SC2154 # others are set by lib.sh, sourced before this
#
# What the tests with KVM guests share. Each guest is stock QEMU, started by
# emp-qemu with the ancestor's --mem-path, and has three times the RAM that it
# gets DRAM for:
#
#	L1, the lab's machine: emp.ko, NVMe disk
#	└── L2, a guest: src/stress.c on a file of its tmpfs, which verifies each
#	    word of nearly all of its RAM
#
# What a guest says can be waited for (guest_reaches), and it can be made to
# wait itself: 'read x' in its command ends by guest_go.

disk=/dev/nvme0n1
patience=300	# s that a guest may take from one word to the next
soon=20		# s for what takes a moment
if [ -n "${ANNEX_DEBUG:-}" ]; then
	patience=900 soon=200
fi

last=''		# the counters as guest_wait saw them last
limits_move=''	# the limit changes while the guest runs
declare -A guest_pid
ram=''		# MB of a guest
dram=''		# MB of that in DRAM
load=''		# MB of a guest's RAM under load
keys=''		# of its region
async=()	# options for its asynchronous page faults

# guest_is VARIANT [ASYNC]: of that kind are the guests from here on, with
# asynchronous page faults (yes) or without (no: a guest that does not know of them
# is put to sleep for them, unless KVM may not do that; it takes one processor, for
# its idle ones keep L1's). In huge pages a guest's kernel has 20 of its 2 MiB always
# in use; in small ones all takes longer.
guest_is()
{
	keys=${variant[$1]}
	async=()
	[ "${2:-yes}" = yes ] || async=(--append no-kvmapf --qemu-arg -overcommit --qemu-arg cpu-pm=on)
	case $1 in
	small-*) ram=176 dram=52 load=84 ;;
	*) ram=384 dram=128 load=270 ;;
	esac
}

was_async()	# REGION ASYNC: were there asynchronous page faults or not?
{
	local n

	n=$(counter "$1" fault_async)
	case $2 in
	yes) ((n > 100)) || fail "$n asynchronous faults" ;;
	no) ((n == 0)) || fail "$n asynchronous faults" ;;
	esac
}

# until_told OPTION...: command of a guest that has stress run until guest_go,
# which may come only after it has said '# filled'
until_told()
{
	echo "stress /t/f --fill --seconds 1000 --stuck 300 $* & p=\$!; read x; kill \$p; wait \$p || exit 1"
}

# Ready to run cases.
guest_begin()
{
	t_begin
	modprobe nvme
	modprobe kvm_amd
	wait_until 10 test -b "$disk" || { echo "Bail out! no $disk"; exit 1; }
}

# guest_start NAME COMMAND [OPTION]...: in the background, on a region of that
# name. /t/f is there for its load.
guest_start()
{
	local name=$1 command=$2
	local init="mkdir /t && mount -t tmpfs -o size=95% t /t && truncate -s ${load}M /t/f || exit 9"

	shift 2
	rm -f "/tmp/$name.out" "/tmp/$name.in" "/tmp/$name.qmp"
	mkfifo "/tmp/$name.in"
	tests/lab/guest --mem "${ram}M" --timeout $((6 * patience)) --file "$bin/stress" --file "$bin/access" \
		--stdin "/tmp/$name.in" --qmp "/tmp/$name.qmp" --qemu "$empqemu -N $name qemu-system-x86_64" \
		--qemu-arg --mem-path --qemu-arg "$disk:$ram:$disk_next|dram:$dram|checksum=1,$keys" \
		"${async[@]}" "$@" -- sh -c "$init; $command" >"/tmp/$name.out" 2>&1 &
	guest_pid[$name]=$!
	disk_next=$((disk_next + ram))
	wait_until "$patience" there "$name" || true
	[ -e "/dev/emp/$name" ] || guest_fails "$name" "no region $name"
}

there()	# NAME: the guest's region, or else the guest has ended
{
	[ -e "/dev/emp/$1" ] || ended "${guest_pid[$1]}"
}

guest_fails()	# NAME TEXT
{
	sed 's/^/# guest: /' "/tmp/$1.out"
	fail "$2"
}

guest_said()	# NAME WORD: a line of its own
{
	grep -qx "$2" "/tmp/$1.out"
}

said_or_ended()
{
	guest_said "$@" || ended "${guest_pid[$1]}"
}

guest_reaches()	# NAME WORD
{
	wait_until "$patience" said_or_ended "$@" || true
	guest_said "$@" || guest_fails "$1" "the guest does not say '$2'"
}

guest_go()	# NAME: past its 'read x'
{
	timeout 10 sh -c "echo >/tmp/$1.in"
}

# guest_wait NAME: it must end well; meanwhile its region keeps its limit.
guest_wait()
{
	local most=0 now limit note status=0

	while not ended "${guest_pid[$1]}"; do
		if now=$(resident "$1" 2>/dev/null) && limit=$(attr "$1" dram_limit 2>/dev/null); then
			((now > most)) && most=$now
			[ -z "$limits_move" ] && ((now > limit)) && fail "resident $now, limit $limit"
			note=$(region_note "$1" 2>/dev/null) && [[ $note == *fault_zero=* ]] && last=$note
		fi
		sleep 0.3
	done
	wait "${guest_pid[$1]}" || status=$?
	sed 's/^/# guest: /' "/tmp/$1.out"
	echo "$last"
	note "most resident: $((most >> 20)) MB of $ram"
	[ "$status" -eq 0 ] || fail "guest $1 ends with $status"
	wait_until "$soon" not test -e "$sys/$1" || fail "the region outlives QEMU"
}

# guest_qmp NAME COMMAND...: see src/qmp.c
guest_qmp()
{
	"$bin/qmp" "/tmp/$1.qmp" "${@:2}"
}
