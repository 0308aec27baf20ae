#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Ranks in guests: stock QEMU with a device of pim_mdev.ko, dpu.ko and
# virtio_pim.ko in the guest, and there the same clients as on a host.
#
#	L1, the lab's machine: pim.ko, pim_mdev.ko, a provider
#	└── L2, a guest: dpu.ko, virtio_pim.ko, src/rank.c, src/sdk.c, dpu-run
#
# lab: --kernel 6.12 --smp 1 --mem 3G
# debug: no
# time: 1500
#
# ci: no nested guests need a quarter of an hour, and a machine that does little else
# shellcheck disable=SC2317 # cases are called by t_run
# shellcheck disable=SC2154 # uuid is set by vm_add
set -u
# shellcheck source=tests/pim/lib.sh
. "${0%/*}/lib.sh"

patience=300	# s that a guest may take from one word to the next

t_begin
# shellcheck disable=SC2119 # it has none
load_vms || { echo "Bail out! pim_mdev does not load"; exit 1; }
modprobe kvm_amd
declare -A guest_pid

# guest_start NAME COMMAND [OPTION]...: in the background, with the device NAME.
# Its 'read x' ends by guest_go.
guest_start()
{
	local name=$1 command=$2
	local init='insmod /bin/dpu.ko && insmod /bin/virtio_pim.ko || exit 9; cd /tmp; echo up'

	shift 2
	rm -f "/tmp/$name.out" "/tmp/$name.in"
	mkfifo "/tmp/$name.in"
	# shellcheck disable=SC2046 # two words
	tests/lab/guest --timeout $((3 * patience)) --stdin "/tmp/$name.in" \
		--log "$LAB_BUILD/lab/pim-guest-$name.log" \
		--file "$modules/dpu.ko" --file "$modules/virtio_pim.ko" --file "$bin/rank" \
		$(printf -- '--qemu-arg %s ' $("$pimctl" qemu-args "$name")) \
		"$@" -- sh -c "$init; $command" >"/tmp/$name.out" 2>&1 &
	guest_pid[$name]=$!
}

guest_said()	# NAME WORDS
{
	grep -q -- "$2" "/tmp/$1.out"
}

said_or_ended()
{
	guest_said "$@" || ended "${guest_pid[$1]}"
}

guest_fails()	# NAME TEXT
{
	sed 's/^/# guest: /' "/tmp/$1.out"
	fail "$2"
}

guest_reaches()	# NAME WORDS
{
	wait_until "$patience" said_or_ended "$@" || true
	guest_said "$@" || guest_fails "$1" "the guest does not say '$2'"
}

guest_said_times()	# NAME WORDS N
{
	[ "$(grep -c -- "$2" "/tmp/$1.out")" -ge "$3" ] || ended "${guest_pid[$1]}"
}

guest_reaches_times()	# NAME WORDS N
{
	wait_until "$patience" guest_said_times "$@" || guest_fails "$1" "the guest does not say '$2' $3 times"
}

guest_go()	# NAME: past its 'read x'
{
	timeout 10 sh -c "echo >/tmp/$1.in"
}

guest_wait()	# NAME: it must end well
{
	local status=0

	wait "${guest_pid[$1]}" || status=$?
	sed 's/^/# guest: /' "/tmp/$1.out"
	[ "$status" -eq 0 ] || fail "guest $1 ends with $status"
}

# kill -9 of its QEMU, which is the child that the helper made die with it
guest_kill()	# NAME
{
	local qemu

	qemu=$(pgrep -P "${guest_pid[$1]}" qemu)
	kill -KILL "$qemu"
	reap "${guest_pid[$1]}"
}

emulate()	# as provide, with pim-emu
{
	: >/tmp/provider.out
	"$top/userspace-tools/build/pim-emu" >/tmp/provider.out 2>&1 &
	provider=$!
	wait_until 60 provider_says ready || fail "pim-emu is not ready: $(</tmp/provider.out)"
	wait_until 60 no_rank_is scrubbing || fail "ranks stay: $(states)"
}

stat_of()	# COUNTER
{
	cat "$mdevs/$uuid/stats/$1"
}

report()
{
	note "kicks $(stat_of kicks) ($(stat_of kicks_trapped) trapped, $(stat_of faults) faults," \
		"$(stat_of polls) polls, $(stat_of polls_empty) in vain), requests $(stat_of requests), interrupts $(stat_of interrupts)," \
		"commits $(stat_of commits), updates $(stat_of updates), transfers $(stat_of transfers)," \
		"in $(($(stat_of bytes_in) >> 10)) KiB, out $(($(stat_of bytes_out) >> 10)) KiB"
}

# Every call of a client, as tests/pim/rank.sh has them on a host; then what
# happens to programs when the driver goes under them.
clients()
{
	local actions='exclusive refused commands pending matrix transfer coherent small signals'

	provide
	vm_add vm0
	guest_start vm0 "for a in $actions; do
			rank /dev/dpu_rank0 \$a || { echo \$a fails; exit 1; }
			echo \$a done
		done
		rank /dev/dpu_rank0 updates 20 && rank /dev/dpu_rank0 fill 4096 9 && rank /dev/dpu_rank0 clean || exit 1
		(cd /sys/class/dpu_rank/dpu_rank0/stats && grep . *)
		mkfifo hold; rank /dev/dpu_rank0 hold <>hold & p=\$!; sleep 1
		! rmmod virtio_pim 2>/dev/null || exit 2
		kill \$p; wait \$p
		rank /dev/dpu_rank0 until ENODEV & p=\$!; sleep 1
		cd /sys/bus/virtio/drivers/virtio_pim; for d in virtio*; do echo \$d >unbind; done
		wait \$p || { echo until fails; exit 3; }
		[ ! -e /dev/dpu_rank0 ] || exit 4
		echo \$d >bind; rank /dev/dpu_rank0 clean && rmmod virtio_pim && rmmod dpu"
	guest_wait vm0
	report
	become 0 free
	[ "$(stat_of broken)" = 0 ]
}

# The SDK's sequence, and the example, on the software rank.
programs()
{
	emulate
	vm_add vm0
	"$top/userspace-tools/build/dpu-as" -o /tmp/vadd.dpu "$top/userspace-tools/pim/examples/vadd.s"
	guest_start vm0 "sdk /dev/dpu_rank0 >sdk.out || { grep -v '^ok' sdk.out; exit 1; }
		grep commits sdk.out; (cd /sys/class/dpu_rank/dpu_rank0/stats; grep . *); echo sequence done
		vadd make /tmp 2048 &&
		dpu-run -r /dev/dpu_rank0 -n 64 -s nr_blocks=8 -i a:8192=/tmp/a.%d -i b:8192=/tmp/b.%d \
			-o sum:8192=/tmp/sum.%d -o checksum=/tmp/checksum.%d /bin/vadd.dpu && vadd check /tmp 2048" \
		--file "$bin/sdk" --file "$bin/vadd" --file "$bin/dpu-run" --file /tmp/vadd.dpu
	guest_wait vm0
	report
	become 0 free
}

# Two guests with a rank each; then with one for both. One is killed in the middle.
two_guests()
{
	local first

	provide --ranks 2
	vm_add vm0
	first=$uuid
	guest_start vm0 "rank /dev/dpu_rank0 fill 4096 1; mkfifo hold; rank /dev/dpu_rank0 hold <>hold & sleep 1; echo holds; read x"
	guest_reaches vm0 holds
	vm_add vm1
	guest_start vm1 "rank /dev/dpu_rank0 clean && echo has one; read x
		rank /dev/dpu_rank0 open && exit 1; echo has none; read x
		rank /dev/dpu_rank0 clean && echo has the other"
	guest_reaches vm1 'has one'
	become 1 free
	"$pimctl" rank set 1 offline=yes
	guest_go vm1
	guest_reaches vm1 'has none'
	[ "$(cat "$mdevs/$first/leases")" = 0 ]
	guest_kill vm0
	become 0 free
	guest_go vm1
	guest_wait vm1
	become 0 free
}

# The provider is killed under programs of a guest; another one comes.
provider_dies()
{
	provide
	vm_add vm0
	guest_start vm0 "rank /dev/dpu_rank0 until EIO || exit 1; echo ended
		rank /dev/dpu_rank0 open && exit 2; echo none; read x
		rank /dev/dpu_rank0 clean"
	guest_reaches vm0 working
	sleep 1
	kill -KILL "$provider"
	reap "$provider"
	guest_reaches vm0 none
	provide
	guest_go vm0
	guest_wait vm0
}

# A queue of the device breaks, the control queue too: open files answer EIO, and nothing
# opens, until the driver is bound anew. The rank is given back at once.
needs_reset()
{
	local queue n=0

	provide
	vm_add vm0
	guest_start vm0 "for q in 1 0; do
			rank /dev/dpu_rank0 until EIO || exit 1
			rank /dev/dpu_rank0 open && exit 2
			echo \$q broken; read x
			cd /sys/bus/virtio/drivers/virtio_pim
			for d in virtio*; do echo \$d >unbind; echo \$d >bind; done
			rank /dev/dpu_rank0 clean || exit 3
		done
		dmesg | grep -c 'the device has failed'"
	for queue in 1 0; do
		guest_reaches_times vm0 working $((n + 1))
		become 0 leased
		echo "$queue" >"/sys/kernel/debug/pim_mdev/$uuid/fail_queue"
		n=$((n + 1))
		guest_reaches vm0 "$queue broken"
		[ "$(stat_of broken)" = "$n" ]
		become 0 free
		[ "$(cat "$mdevs/$uuid/leases")" = - ]
		guest_go vm0
	done
	guest_wait vm0
	guest_said vm0 '^2'
	not tee "/sys/kernel/debug/pim_mdev/$uuid/fail_queue" <<<1
}

# 32 ranks of one guest, all open at once.
many()
{
	local i

	provide --ranks 32 --mram $((64 << 10))
	vm_add vm0 --ranks 32
	guest_start vm0 "mkfifo hold; for i in \$(seq 0 31); do
			rank /dev/dpu_rank\$i fill 4096 \$i && rank /dev/dpu_rank\$i clean || exit 1
		done
		for i in \$(seq 0 31); do rank /dev/dpu_rank\$i hold <>hold & done; read x"
	guest_reaches_times vm0 holding 32
	[ "$(tr ' ' '\n' <"$mdevs/$uuid/leases" | sort -n | uniq | grep -c '[0-9]')" = 32 ]
	guest_go vm0
	guest_wait vm0
	for ((i = 0; i < 32; i++)); do
		become "$i" free
	done
}

# The guest sleeps and wakes: who had the rank open gets EIO, who opens it then has one.
sleeps()
{
	provide
	vm_add vm0
	guest_start vm0 "rank /dev/dpu_rank0 until EIO & p=\$!
		sleep 1; echo devices >/sys/power/pm_test || exit 1
		echo freeze >/sys/power/state || exit 2
		wait \$p || exit 3; echo woke
		rank /dev/dpu_rank0 clean || exit 4
		rank /dev/dpu_rank0 transfer || exit 5"
	guest_wait vm0
	guest_said vm0 woke
	become 0 free
	[ "$(stat_of broken)" = 0 ]
}

# With a doorbell a notification is no exit to QEMU, or (without) each is one.
doorbell()
{
	provide
	vm_add vm0
	guest_start vm0 "rank /dev/dpu_rank0 updates 200 && rank /dev/dpu_rank0 transfer"
	guest_wait vm0
	report
	[ "$(stat_of kicks)" -gt 100 ]
	if "$bin/vm" "$uuid" bell 1; then
		[ "$(stat_of faults)" -gt 0 ]
		# QEMU maps memory a moment after the guest has put it somewhere
		[ "$(stat_of kicks_trapped)" -lt 10 ]
	fi
	become 0 free
	echo 0 >/sys/module/pim_mdev/parameters/poll_us
	"$pimctl" vm remove vm0
	vm_add vm0
	guest_start vm0 "rank /dev/dpu_rank0 updates 200 && rank /dev/dpu_rank0 transfer"
	guest_wait vm0
	report
	echo 200 >/sys/module/pim_mdev/parameters/poll_us
	[ "$(stat_of kicks_trapped)" -gt 100 ]
	[ "$(stat_of kicks_trapped)" = "$(stat_of kicks)" ]
}

guest_tells()	# NAME LINE N: until its program has done N
{
	timeout 10 sh -c "echo '$2' >/tmp/$1.in"
	guest_reaches_times "$1" "done" "$3"
}

# Ranks that are idle for a moment are for who waits.
oversubscribe()
{
	echo 0 >/sys/module/pim/parameters/slice_ms
	echo 600000 >/sys/module/pim/parameters/open_wait_ms
	echo 600000 >/sys/module/pim/parameters/return_wait_ms
	"$pimctl" owner set 0 idle=20ms
}

# Both guests have been away from the one rank, and back.
was_shared()
{
	note "$(attr 0 stats/saves) saves, $(attr 0 stats/saves_busy) times busy, $(attr 0 stats/restores) restores"
	[ "$(attr 0 stats/restores)" -ge 2 ]
	[ "$(attr 0 stats/restore_errors)" = 0 ]
	[ "$(attr 0 stats/leases)" = 2 ]
	guest_kill vm0
	guest_kill vm1
	become 0 free
}

# Two guests and one rank, which each of them finds as it left it.
oversubscribed()
{
	local i

	provide --save ok --dpus 2 --mram 262144
	oversubscribe
	for i in 0 1; do
		vm_add "vm$i"
		guest_start "vm$i" "exec rank /dev/dpu_rank0 lines"
		guest_reaches "vm$i" '^open'
		guest_tells "vm$i" clean 1
		guest_tells "vm$i" "fill 16384 $((1000 + i))" 2
	done
	for i in 0 1; do
		guest_tells "vm$i" "filled 16384 $((1000 + i))" 3
		guest_tells "vm$i" "kept $((1000 + i))" 4
		guest_tells "vm$i" coherent 5
	done
	was_shared
	client clean
}

# The same with programs of DPUs, which stop in the middle and go on.
oversubscribed_programs()
{
	local i n=0 word

	emulate
	"$pimctl" rank set 1 offline=yes 2>/dev/null || true
	oversubscribe
	for i in 0 1; do
		vm_add "vm$i"
		guest_start "vm$i" "exec halves /dev/dpu_rank0" --file "$bin/halves"
	done
	for word in begin look go; do
		n=$((n + 1))
		for i in 0 1; do
			guest_tells "vm$i" "$word $((1000 + i))" "$n"
		done
	done
	was_shared
}

t_run clients clients
t_run programs programs
t_run two-guests two_guests
t_run provider-dies provider_dies
t_run needs-reset needs_reset
t_run sleeps sleeps
t_run many many
t_run doorbell doorbell
t_run oversubscribed oversubscribed
t_run oversubscribed-programs oversubscribed_programs
t_end
