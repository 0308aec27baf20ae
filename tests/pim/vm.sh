#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The virtio-pim device of pim_mdev.ko, without a guest: a driver in user space
# (src/vm.c) goes through VFIO as QEMU does, works as a guest's driver, and as
# none should. guest.sh has the guests.
#
# lab: --kernel 6.12 --mem 2G
# lab: --kernel 6.1 --mem 2G
# debug: kmemleak
# time: 900
#
# shellcheck disable=SC2317 # cases are called by t_run
# shellcheck disable=SC2154 # uuid is set by vm_add
set -u
# shellcheck source=tests/pim/lib.sh
. "${0%/*}/lib.sh"

t_begin
load_vms || { echo "Bail out! pim_mdev does not load"; exit 1; }
seed=${FUZZ_SEED:-$SRANDOM}

vm()	# ACTION [ARGUMENT]...
{
	"$bin/vm" "$uuid" "$@" >/tmp/vm.out 2>&1 || fail "$* on vm0: $(</tmp/vm.out)"
	sed 's/^/# /' /tmp/vm.out
}

start_vm()	# ACTION [ARGUMENT]...: in the background ($vm)
{
	: >/tmp/vm.out
	[ -p "/tmp/vm.$$" ] || mkfifo -m 600 "/tmp/vm.$$"
	"$bin/vm" "$uuid" "$@" <>"/tmp/vm.$$" >/tmp/vm.out 2>&1 &
	vm=$!
}

action()	# ACTION [ARGUMENT]...
{
	provide
	vm_add vm0
	vm "$@"
	become 0 free
	[ "$(cat "$mdevs/$uuid/leases")" = "" ] || fail "leases: $(cat "$mdevs/$uuid/leases")"
}

# With --xfer the provider is told of transfers.
told()
{
	provide --xfer
	vm_add vm0
	vm work
}

tool()
{
	local args

	provide --ranks 2
	vm_add vm0 --ranks 2
	args=$("$pimctl" qemu-args vm0)
	[ "$args" = "-device vfio-pci,sysfsdev=$mdevs/$uuid" ] || fail "$args"
	[ "$args" = "$(</tmp/vm_add.out)" ]
	not quietly "$pimctl" vm add vm0
	not quietly "$pimctl" vm add vm1 --ranks 65
	not quietly "$pimctl" vm add 'a b'
	not quietly tee "$mdevs/$uuid/name" <<<"../x"
	not quietly tee "$mdevs/$uuid/ranks" <<<0
	"$pimctl" vm list | grep -q '^vm0  *2 no' || fail "$("$pimctl" vm list)"
	start_vm hold
	wait_until 20 says /tmp/vm.out holding || fail "$(</tmp/vm.out)"
	"$pimctl" vm list | grep -q '^vm0  *2 yes  *0 -' || fail "$("$pimctl" vm list)"
	"$pimctl" lease list | grep -q ' vm0$' || fail "$("$pimctl" lease list)"
	"$pimctl" --json vm list | grep -q '"opens": 1' || fail "$("$pimctl" --json vm list)"
	"$pimctl" stats --prometheus >/tmp/stats.out
	grep -q '^annex_pim_machine_running{machine="vm0"} 1$' /tmp/stats.out || fail "$(</tmp/stats.out)"
	grep -q '^annex_pim_rank_leases_total{rank="0"} 1$' /tmp/stats.out || fail "$(</tmp/stats.out)"
	grep -q '^annex_pim_owner_ranks{uid="0"} 1$' /tmp/stats.out || fail "$(</tmp/stats.out)"
	[ -z "$(grep -v '^#' /tmp/stats.out | cut -d ' ' -f 1 | sort | uniq -d)" ] || fail "a metric twice"
	"$pimctl" --json stats | python3 -c '
import json, sys
s = json.load(sys.stdin)
assert [r["rank"] for r in s["ranks"]] == [0, 1] and s["ranks"][0]["stats"]["leases"] == 1, s
assert s["machines"][0]["name"] == "vm0" and s["owners"][0]["uid"] == 0, s'
	"$pimctl" stats | grep -q '^  stats.leases  *1$' || fail "$("$pimctl" stats)"
	not quietly tee "$mdevs/$uuid/ranks" <<<1
	not quietly "$pimctl" vm remove vm0
	not quietly rmmod pim_mdev
	kill -KILL "$vm"
	reap "$vm"
	become 0 free
	"$pimctl" vm remove vm0
	[ ! -e "$mdevs/$uuid" ]
}

# What a machine leaves, the next does not find; and it is counted as its user's.
clean()
{
	provide --ranks 1
	vm_add vm0
	client fill 4096 3
	become 0 free
	vm work
	become 0 free
	client clean
	[ "$(attr 0 stats/scrubs)" -ge 3 ]
}

# What a machine left is kept for it, but not for its next guest, nor for another machine.
kept()
{
	provide --ranks 2
	"$pimctl" owner set 0 keep=600
	vm_add vm0
	vm kept
	wait_until 15 no_rank_is scrubbing
	wait_until 15 no_rank_is draining
	[ "$(attr 0 kept)$(attr 1 kept)" = 00 ] || fail "kept after the machine's end"
	[ "$(attr 0 stats/returns)" = 1 ]
	vm kept
	"$pimctl" owner set 0 keep=0
}

# Two machines and one rank: one has it, the other is told, then it gets it.
compete()
{
	provide
	vm_add vm0
	start_vm hold
	wait_until 20 says /tmp/vm.out holding || fail "$(</tmp/vm.out)"
	vm_add vm1
	vm open 5	# BUSY
	not quietly client open
	kill -KILL "$vm"
	reap "$vm"
	vm open 0	# waits for the cleaning
	become 0 free
}

# Nobody serves a rank: the machine starts all the same, and gets one when there is one.
late()
{
	vm_add vm0
	not quietly "$bin/vm" "$uuid" info
	vm open 6	# NORANK
	provide
	vm open 0
}

provider_dies()
{
	provide
	vm_add vm0
	vm command 5 3	# W_DIE: IOERR
	become 0 faulty
	provide
	vm work
}

# Only ranks like the first one that it was told of.
alike()
{
	provide --ranks 1 --mram $((256 << 10))
	vm_add vm0
	"$pimctl" rank set 0 offline=yes
	vm open 5
	start_provider --id 1 --mram $((128 << 10))
	wait_until 20 no_rank_is scrubbing
	vm open 5
	"$pimctl" rank set 0 offline=no
	vm open 0
}

quota()
{
	provide
	"$pimctl" owner set 0 max_ranks=0
	vm_add vm0
	vm open 9
	"$pimctl" owner set 0 max_ranks=none
	vm open 0
}

# A request that the provider never answers: reset, and the end, do not wait for it.
stuck()	# HOW
{
	provide --deadline 60000
	vm_add vm0
	start_vm stuck "$1" $((1000 * slow))
	wait "$vm" || fail "$(</tmp/vm.out)"
	sed 's/^/# /' /tmp/vm.out
}

# Killed anywhere, again and again: ranks come back, nothing stays.
killed()
{
	local i

	provide --ranks 2
	vm_add vm0 --ranks 2
	for ((i = 0; i < $(times 15); i++)); do
		start_vm fuzz "$((seed + i))" 100000
		sleep "0.$((SRANDOM % 10))"
		kill -KILL "$vm"
		reap "$vm"
	done
	become 0 free
	become 1 free
	vm work
}

# 32 ranks of one device, all in use; and all given back when their machine is killed.
many()
{
	local i

	provide --ranks 32 --mram $((64 << 10))
	vm_add vm0 --ranks 32
	vm many 32
	wait_until 60 all_free
	start_vm many 32 hold
	wait_until 60 says /tmp/vm.out 'all open' || fail "$(</tmp/vm.out)"
	[ "$(tr ' ' '\n' <"$mdevs/$uuid/leases" | sort -n | uniq | grep -c '[0-9]')" = 32 ]
	[ "$("$pimctl" lease list | grep -c ' vm0$')" = 32 ]
	kill -KILL "$vm"
	reap "$vm"
	wait_until 60 all_free
	for ((i = 0; i < 32; i += 7)); do
		"$bin/rank" "/dev/dpu_rank$i" clean
	done
}

all_free()
{
	[ "$(cat "$sys"/rank*/state | sort -u)" = free ]
}

# Killed in a known state: a machine, then a provider under it, then pimctl.
# 100 rounds under 'make soak'.
killed_in()
{
	local i state who states=(idle stuck broken busy opening)

	vm_add vm0
	provide --deadline 60000
	for ((i = 0; i < $(times 10); i++)); do
		state=${states[i % 5]} who=$((i / 5 % 2 ? 1 : 0))
		[ "$state" != opening ] || hold_scrubbing
		start_vm state "$state"
		wait_until 20 says /tmp/vm.out "^$state" || fail "$state: $(</tmp/vm.out)"
		if [ "$who" = 1 ]; then
			kill -KILL "$provider"
			reap "$provider"
		fi
		kill -KILL "$vm"
		reap "$vm"
		# who waits for a provider that does not answer has it killed
		if [ "$who" = 1 ] || [ "$state" = stuck ] || [ "$state" = opening ]; then
			kill -KILL "$provider" 2>/dev/null || true
			reap "$provider"
			become 0 faulty
			provide --deadline 60000
		fi
		become 0 free
		[ "$(cat "$mdevs/$uuid/opened")" = 0 ]
		pimctl_killed
	done
	vm work
}

# Its rank is being cleaned, which does not end: the provider is stopped.
hold_scrubbing()
{
	start_vm state idle
	wait_until 20 says /tmp/vm.out ^idle || fail "$(</tmp/vm.out)"
	halt "$provider"
	kill -KILL "$vm"
	reap "$vm"
	become 0 scrubbing
}

pimctl_killed()
{
	local lease

	"$pimctl" lease run -- sleep 1000 >/dev/null 2>&1 &
	lease=$!
	become 0 leased
	kill -KILL "$lease"
	reap "$lease"
	become 0 free
}

# Another machine is used rightly beside one that is not.
beside()	# COMMAND...
{
	local vm0 neighbour

	vm_add vm1
	[ -p "/tmp/beside.$$" ] || mkfifo -m 600 "/tmp/beside.$$"
	"$bin/vm" "$uuid" beside <>"/tmp/beside.$$" >/tmp/beside.out 2>&1 &
	neighbour=$!
	wait_until 20 says /tmp/beside.out working || fail "$(</tmp/beside.out)"
	vm_add vm0 --ranks 2
	vm0=$uuid
	"$@"
	echo >"/tmp/beside.$$"
	wait "$neighbour" || fail "beside it: $(</tmp/beside.out)"
	sed 's/^/# beside it: /' /tmp/beside.out
	uuid=$vm0
}

registers()
{
	provide --ranks 2
	beside vm registers
}

# What is in a rank of somebody else stays; other calls, and other machines, go on.
fuzz()
{
	local calls

	calls=$(times 15000)
	[ -z "${ANNEX_DEBUG:-}" ] || calls=3000
	note "seed $seed, $calls calls"
	provide --ranks 4
	: >/tmp/lease.out
	"$pimctl" lease run --rank 1 -- sh -c 'echo have; exec sleep 1000' >/tmp/lease.out 2>&1 &
	wait_until 10 says /tmp/lease.out have
	"$bin/rank" /dev/dpu_rank1 fill 65536 5
	beside vm fuzz "$seed" "$calls"
	"$bin/rank" /dev/dpu_rank1 filled 65536 5
	"$pimctl" --json vm list | grep -E '"(requests|broken|errors|kicks)"' | sed 's/^/# /'
}

parameters()
{
	rmmod pim_mdev
	not quietly load_vms device_id=64
	not quietly load_vms queues=0
	load_vms device_id=50 queues=1
	provide
	vm_add vm0
	vm info
	vm work
	"$pimctl" vm remove vm0
	rmmod pim_mdev
	load_vms
}

# Notifications as memory, where the kernel can take a mapping away again. Requests
# are answered; few notifications are exits, and none is without a doorbell.
doorbell()
{
	local kicks

	provide
	vm_add vm0
	if ! "$bin/vm" "$uuid" bell 1; then
		[ "$(uname -r | cut -d. -f1-2)" = 6.1 ] || fail "no doorbell"
		note "no doorbell on this kernel"
		return
	fi
	vm ring "$(times 400)"
	(cd "$mdevs/$uuid/stats" && grep . kicks* faults polls*) | sed 's/^/# /'
	kicks=$(cat "$mdevs/$uuid/stats/kicks")
	[ "$kicks" -ge "$(times 400)" ]
	[ "$(cat "$mdevs/$uuid/stats/faults")" -gt 1 ]
	[ "$(cat "$mdevs/$uuid/stats/kicks_trapped")" -lt $((kicks / 2)) ]
	echo 10000 >/sys/module/pim_mdev/parameters/poll_us
	vm ring "$(times 100)"
	[ "$(cat "$mdevs/$uuid/stats/polls")" -gt 0 ]
	echo 0 >/sys/module/pim_mdev/parameters/poll_us
	vm bell 0
	vm work
	echo 200 >/sys/module/pim_mdev/parameters/poll_us
	not quietly tee /sys/module/pim_mdev/parameters/poll_us <<<10001
}

# --- memory that stays pinned (src/pins.c) ---

pins_of()	# ACTION [ARGUMENT]...
{
	"$bin/pins" "$uuid" "$@" >/tmp/vm.out 2>&1 || fail "pins $*: $(</tmp/vm.out)"
	sed 's/^/# /' /tmp/vm.out
}

start_pins()	# ACTION [ARGUMENT]...: in the background ($vm)
{
	: >/tmp/vm.out
	"$bin/pins" "$uuid" "$@" >/tmp/vm.out 2>&1 &
	vm=$!
}

pin()	# MIB
{
	echo "$1" >"$mdevs/$uuid/pin_mib"
}

stat_of()	# NAME
{
	cat "$mdevs/$uuid/stats/$1"
}

unpinned()
{
	[ "$(stat_of pinned)" = 0 ] && [ "$(pins)" = "$pins_before" ]
}

# Off, nothing is pinned; on, each page once; the data is right. It can be changed meanwhile.
pins_data()
{
	provide
	vm_add vm0
	[ "$(cat "$mdevs/$uuid/pin_mib")" = 0 ]
	pins_of data 3
	[ "$(stat_of pin_hits)" = 0 ]
	not quietly pin 1048577
	pin 64
	start_pins data 12 hold
	wait_until 60 says /tmp/vm.out rounds || fail "$(</tmp/vm.out)"
	note "$(grep . "$mdevs/$uuid"/stats/pin* | sed 's/.*stats.//' | tr '\n' ' ')"
	[ "$(stat_of pin_hits)" -gt 4000 ]
	[ "$(stat_of pin_refused)$(stat_of pin_evicted)$(stat_of pin_unmaps)" = 000 ]
	# all of two windows but for the end of each half
	[ "$(stat_of pinned)" -gt $((6 << 20)) ]
	[ "$(stat_of pinned)" -le $((8 << 20)) ]
	[ $(($(pins) - pins_before)) = $(($(stat_of pinned) / 4096)) ]
	pin 0
	wait_until 5 unpinned || fail "$(stat_of pinned) bytes, $(pins) pages stay"
	kill -KILL "$vm"
	reap "$vm"
	# what is set for the module is for devices made later
	echo 3 >/sys/module/pim_mdev/parameters/pin_mib
	[ "$(cat "$mdevs/$uuid/pin_mib")" = 0 ]
	vm_add vm1
	[ "$(cat "$mdevs/$uuid/pin_mib")" = 3 ]
	echo 0 >/sys/module/pim_mdev/parameters/pin_mib
	become 0 free
	vm work
}

pins_limit()
{
	provide
	vm_add vm0
	pin 1
	start_pins data 60 hold
	wait_until 60 says /tmp/vm.out rounds || fail "$(</tmp/vm.out)"
	[ "$(stat_of pinned)" -le $((1 << 20)) ]
	[ "$(stat_of pinned)" -gt $((1 << 19)) ]
	[ "$(stat_of pin_evicted)" -gt 0 ]
	[ "$(stat_of pin_refused)" = 0 ]
	note "$(stat_of pin_hits) hits, $(stat_of pin_evicted) evicted"
	kill -KILL "$vm"
	reap "$vm"
	wait_until 10 unpinned || fail "$(stat_of pinned) bytes, $(pins) pages stay"
}

# A user whose RLIMIT_MEMLOCK is less: as much as it may, and the rest as before.
pins_memlock()
{
	local group

	provide
	vm_add vm0
	pin 64
	group=/dev/vfio/$(basename "$(readlink "$mdevs/$uuid/iommu_group")")
	chown 65534 "$group"
	chmod 666 /dev/vfio/vfio
	prlimit --memlock=$((1 << 20)) setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$bin/pins" "$uuid" data 12 hold >/tmp/vm.out 2>&1 &
	vm=$!
	wait_until 60 says /tmp/vm.out rounds || fail "$(</tmp/vm.out)"
	note "$(stat_of pinned) bytes, refused $(stat_of pin_refused) times, $(stat_of pin_hits) hits"
	[ "$(stat_of pinned)" -le $((1 << 20)) ]
	[ "$(stat_of pinned)" -gt 0 ]
	[ "$(stat_of pin_refused)" -gt 0 ]
	[ "$(stat_of pin_refused)" -lt 20 ]
	kill -KILL "$vm"
	reap "$vm"
	wait_until 10 unpinned || fail "$(stat_of pinned) bytes, $(pins) pages stay"
}

pins_remap()
{
	provide
	vm_add vm0
	pin 64
	pins_of remap "$uuid"
	[ "$(stat_of pin_unmaps)" -ge 5 ] || fail "$(stat_of pin_unmaps) times"
	wait_until 10 unpinned || fail "$(stat_of pinned) bytes, $(pins) pages stay"
}

pins_reset()
{
	provide
	vm_add vm0
	pin 64
	pins_of reset "$uuid"
}

# Two threads take windows, a third opens another device, all of one VMM, under transfers.
pins_race()
{
	local i other

	provide
	for ((i = 0; i < $(times 3); i++)); do
		vm_add vm1
		other=$uuid
		vm_add vm0
		pin 64
		pins_of race "$uuid" "$other" 6
		wait_until 10 unpinned || fail "$(stat_of pinned) bytes, $(pins) pages stay"
		"$pimctl" vm remove vm0
		"$pimctl" vm remove vm1
		become 0 free
	done
}

# Killed while it pins, takes and gives.
pins_killed()
{
	local i other

	provide
	for ((i = 0; i < $(times 8); i++)); do
		vm_add vm1
		other=$uuid
		vm_add vm0
		pin $((1 + i % 2 * 63))
		start_pins race "$uuid" "$other" 1000
		wait_until 20 pinned_some || fail "$(</tmp/vm.out)"
		sleep "0.$((SRANDOM % 4))"
		kill -KILL "$vm"
		reap "$vm"
		wait_until 10 unpinned || fail "$(stat_of pinned) bytes, $(pins) pages stay"
		"$pimctl" vm remove vm0
		"$pimctl" vm remove vm1
		become 0 free
	done
}

# In turn, with and without; the fastest of some. Not judged here: bench/pim is for that.
pins_time()
{
	local i

	provide
	vm_add vm0
	[ -p "/tmp/pins.$$" ] || mkfifo -m 600 "/tmp/pins.$$"
	"$bin/pins" "$uuid" time 20 <>"/tmp/pins.$$" >/tmp/vm.out 2>&1 &
	wait_until 20 says /tmp/vm.out ready || fail "$(</tmp/vm.out)"
	for ((i = 0; i < 10; i++)); do
		pin $((i % 2 * 64))
		echo >"/tmp/pins.$$"
		wait_until 60 answers "$i" || fail "$(</tmp/vm.out)"
		note "pin_mib $((i % 2 * 64)): $(tail -n 1 /tmp/vm.out) ns there, back"
	done
}

answers()	# N: more than that many
{
	[ "$(grep -c '^=' /tmp/vm.out)" -gt "$1" ]
}

pinned_some()
{
	[ "$(stat_of pin_hits)" != 0 ]
}

t_run info action info
t_run work action work
t_run wrong action wrong
t_run broken action broken
t_run intx action intx
t_run told told
t_run doorbell doorbell
t_run tool tool
t_run clean clean
t_run kept kept
t_run compete compete
t_run late late
t_run provider-dies provider_dies
t_run alike alike
t_run quota quota
t_run stuck-reset stuck reset
t_run stuck-device-reset stuck device-reset
t_run stuck-close stuck close
t_run registers registers
t_run move action move "$(times 4)"
t_run many many
t_run killed killed
t_run killed-in killed_in
t_run fuzz fuzz
t_run pins-data pins_data
t_run pins-limit pins_limit
t_run pins-memlock pins_memlock
t_run pins-remap pins_remap
t_run pins-reset pins_reset
t_run pins-race pins_race
t_run pins-killed pins_killed
[ "${ANNEX_CASE:-}" != pins-time ] || t_run pins-time pins_time
t_run parameters parameters
t_end
