#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A memory donor as a tier, and how it fails. The rule is that of all tiers: an
# access gets the right bytes or a SIGBUS of its own, in bounded time, and what
# is not lost comes back.
#
#	fault_mem -- maps --> region f0 -- rdma tier --> rxe0 --> emp-donor, or liar
#	                                \- block tier --> /dev/ram0
#
# lab: --kernel 6.12 --mem 2G --smp 1
# lab: --kernel 6.1 --mem 2G --smp 1
# time: 900
# shellcheck source=tests/emp/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"
# shellcheck source=tests/emp/faults_lib.sh
. "${0%/*}/faults_lib.sh"
# shellcheck source=tests/emp/donor_lib.sh
. "${0%/*}/donor_lib.sh"
# shellcheck source=tests/emp/marks_lib.sh
. "${0%/*}/marks_lib.sh"

fills_and_reads_back()	# KEYS MB DRAM_MB
{
	local n=$(($2 * 128)) part=$(($2 * 16))

	donor -m 128
	donor_region f0 "$2" "$3" "$1,deadline=60s"	# however busy the machine
	[[ $(attr f0 flags) == *mac* ]] || fail "flags: $(attr f0 flags)"
	[ "$(attr f0 tiers/0/type)" = rdma ]
	[ "$(attr f0 tiers/0/device)" = "$addr:$port" ]
	becomes_link f0 0 active
	granted $(($2 << 20)) || fail "the donor granted something else"
	agent p /dev/emp/f0
	ask p write 0 "$n" 5
	got right="$n"
	evict_all f0
	ask p check 0 "$n" 5
	got right="$n"
	ask p write "$part" $((part * 3)) 6
	got right=$((part * 3))
	evict_all f0
	ask p check 0 "$part" 5
	got right="$part"
	ask p check "$part" $((part * 3)) 6
	got right=$((part * 3))
	ask p check "$n" 100 0
	got right=100
	(($(attr f0 tiers/0/reads) > 0 && $(attr f0 tiers/0/writes) > 0)) || fail "nothing was moved"
	(($(attr f0 tiers/0/read_errors) + $(attr f0 tiers/0/write_errors) == 0)) || fail "errors"
	(($(counter f0 csum_error) == 0)) || fail "csum_error $(counter f0 csum_error)"
	leave p
	destroy f0
	# It says goodbye: the memory is free at once, and not when the donor gives it up.
	wait_until 3 granted 0 || fail "the donor still holds it"
}

# With encrypt=1 the donor has nothing of it as it is in memory.
encrypted()
{
	local region

	donor -m 32
	donor_region f0 8 4 "$small"
	donor_region f1 8 4 "$small,encrypt=1"
	for region in f0 f1; do
		marks "/dev/emp/$region" 8
		evict_all "$region"
	done
	[ "$(marks_in "$donor_pid")" = 4096 ] || fail "$(marks_in "$donor_pid") marks, not those of f0"
	destroy f0
	wait_until 20 no_marks || fail "$(marks_in "$donor_pid") marks"
	marks_right /dev/emp/f1 8
	[ "$(counter f1 csum_error)" = 0 ]
}

# Two donors are filled alike, not one after the other; what is behind them waits.
spread()
{
	local tier

	donor -m 32
	other_donor -m 32
	need_disk
	donor_region f0 16 4 "$small,deadline=60s" "$addr:16:$other_port" "$disk:16:0"
	agent p /dev/emp/f0
	ask p write 0 3072 5
	got right=3072
	evict_all f0
	for tier in 0 1; do
		(($(attr f0 "tiers/$tier/used") > 4 << 20)) ||
			fail "of 12 MiB tier 0 has $(attr f0 tiers/0/used), tier 1 $(attr f0 tiers/1/used)"
	done
	[ "$(attr f0 tiers/2/used)" = 0 ] || fail "tier 2 has $(attr f0 tiers/2/used)"
	ask p check 0 3072 5
	got right=3072
	for tier in 0 1; do
		(($(attr f0 "tiers/$tier/read_ns") > 0)) || fail "no latency of tier $tier"
	done
	[ "$(attr f0 tiers/2/read_ns)" = 0 ] || fail "a latency of what was never read"
	[ "$(counter f0 demoted)" = 0 ] || fail "$(counter f0 demoted) blocks were demoted"
	leave p
}

no_marks()
{
	[ "$(marks_in "$donor_pid")" = 0 ]
}

# Two regions of two clients, and names.
several_clients()
{
	grep -q donor-host /etc/hosts || echo "$addr donor-host" >>/etc/hosts
	donor -m 32
	donor_region f0 16 8 "$small"
	"$empctl" region create f1 --size 16M --mem "donor-host:16:0|dram:8|key=$keys:host2,$small"
	agent p /dev/emp/f0
	agent q /dev/emp/f1
	ask p write 0 2048 5
	ask q write 0 2048 6
	evict_all f0
	evict_all f1
	ask p check 0 2048 5
	got right=2048
	ask q check 0 2048 6
	got right=2048
	says 'not that much\|do not hold' donor_region f2 64 8 "$small"
	[ ! -e "$sys/f2" ] || fail "f2 is there"
	leave p
	leave q
}

# --- who is there ------------------------------------------------------------------------

refused()
{
	says 'no donor listens there' donor_region f0 16 8 "$small"
	donor -m 32
	"$top_donor" key add /tmp/other.keys host3 2>/dev/null || true
	says 'does not know our key' "$empctl" region create f0 --size 16M \
		--mem "$addr:16:$port|dram:8|key=/tmp/other.keys,$small"
	says 'does not know our key' "$empctl" region create f0 --size 16M \
		--mem "$addr:16:$port|dram:8|key=none,$small"
	says 'there is no key called' "$empctl" region create f0 --size 16M \
		--mem "$addr:16:$port|dram:8|key=$keys:nobody,$small"
	says 'no RDMA device leads\|cannot be reached\|does not answer' "$empctl" region create f0 \
		--size 16M --mem "192.0.2.1:16:$port|dram:8|key=$keys,$small"
	[ -z "$(ls "$sys")" ] || fail "left: $(ls "$sys")"
	donor_region f0 16 8 "$small"
}

# What a donor says that cannot be: the region is refused, and nothing is left.
lies_at_the_door()
{
	local lie

	for lie in garbage short magic version flags features credits slab; do
		export DONOR_LIE=$lie
		DONOR=$liar donor -m 32
		says 'no donor of ours' donor_region f0 16 8 "$small"
		donor_dies
	done
	export DONOR_LIE=mac
	DONOR=$liar donor -m 32
	says 'has not got it' donor_region f0 16 8 "$small"
	donor_dies
	for lie in size id count grant_flags type longer status; do
		export DONOR_LIE=$lie
		DONOR=$liar donor -m 32
		says 'no donor of ours\|ended the connection\|does not answer' donor_region f0 16 8 "$small"
		donor_dies
	done
	[ -z "$(ls "$sys")" ] || fail "left: $(ls "$sys")"
}

# Grants that are none: every write is refused by the donor's device. Nothing is lost.
lies_about_grants()	# LIE
{
	need_disk
	export DONOR_LIE=$1
	DONOR=$liar donor -m 32
	donor_region f0 16 8 "$small" "$disk:16:0"
	watch_events
	agent p /dev/emp/f0
	ask p write 0 4096 5		# the lie is about the last of the slabs
	got right=4096
	evict_all f0
	ask p check 0 4096 5
	got right=4096
	(($(attr f0 tiers/0/write_errors) > 0)) || fail "no write failed"
	event tier-degraded
	leave p
}

# Bits of what the donor holds change by themselves.
flipped_bits()
{
	local i lost=0

	export DONOR_LIE=flip
	DONOR=$liar donor -m 32
	donor_region f0 16 8 "$small${1:+,$1}"
	set_attr f0 lost_retry_ms 0
	set_attr f0 readahead 0
	agent p /dev/emp/f0
	ask p write 0 2048 5
	got right=2048
	for ((i = 0; i < 20 && lost == 0; i++)); do
		evict_all f0
		ask p check 0 2048 5
		lost=$((bus + wrong))
		[ -n "${1:-}" ] || ((wrong == 0 && bad_bus == 0)) || fail "wrong bytes: $answer"
	done
	((lost > 0)) || fail "the bits do not flip"
	if [ -n "${1:-}" ]; then	# without MACs: this is what they are for
		((wrong > 0)) || fail "nothing wrong was read: $answer"
	else
		(($(counter f0 csum_error) > 0)) || fail "no csum_error"
		((bus <= 8)) || fail "more is lost than was changed: $answer"
	fi
	leave p
}

# --- how it ends --------------------------------------------------------------------------

# lost REGION: soon, and with an event
is_lost()
{
	becomes_state "$1" 0 lost
	becomes_link "$1" 0 lost
	event tier-lost
}

# What was only there is an error; what is in DRAM is kept, and finds another place.
killed_reading()
{
	need_disk
	donor -m 32
	donor_region f0 16 8 "$small,deadline=2s" "$disk:16:0"
	watch_events
	agent p /dev/emp/f0
	ask p write 0 3072 5
	got right=3072
	evict_all f0
	ask p check 0 512 5		# in DRAM, and clean
	got right=512
	tell p check 512 2560 5
	sleep 0.1
	donor_dies
	hear p
	note "during the death: $answer"
	((wrong == 0 && bad_bus == 0)) || fail "$answer"
	((right + bus == 2560)) || fail "$answer"
	((ms < 8000 * slowness)) || fail "an access took $ms ms"
	is_lost f0
	ask p check 0 3072 5		# 2048 at most were in DRAM, however late it died
	((wrong == 0 && bad_bus == 0 && bus > 0)) || fail "$answer"
	((ms < 3000 * slowness)) || fail "an access took $ms ms"
	# What is lost is lost until it is written anew; the rest of the region goes on.
	ask p punch 0 3072
	ask p write 0 3072 6
	got right=3072
	evict_all f0
	ask p check 0 3072 6
	got right=3072
	leave p
}

# The last ones read are in DRAM, clean: their donor dies, and they are not lost.
resident_survives()
{
	need_disk
	donor -m 32
	donor_region f0 16 8 "$small" "$disk:16:0"
	watch_events
	agent p /dev/emp/f0
	ask p write 0 1024 5
	evict_all f0
	ask p check 0 1024 5
	got right=1024
	donor_dies
	is_lost f0
	evict_all f0
	ask p check 0 1024 5
	got right=1024
	leave p
}

# Write-back is under way all the time when it dies: no write that was made is lost
# that was not on the donor alone.
killed_writing()	# KEYS MB DRAM_MB
{
	need_disk
	donor -m 128
	donor_region f0 "$2" "$3" "$1,deadline=2s" "$disk:$2:0"
	watch_events
	agent p /dev/emp/f0
	ask p load 0 $(($2 * 200)) 2
	sleep 2
	donor_dies
	sleep 3
	is_lost f0
	ask p unload
	note "$answer"
	((wrong == 0 && bad_bus == 0)) || fail "$answer"
	ask p punch 0 $(($2 * 256))
	ask p write 0 2048 6
	got right=2048
	evict_all f0
	ask p check 0 2048 6
	got right=2048
	"$empctl" tier remove f0 0 --force
	leave p
}

# Nowhere else to go: what is in DRAM stays there and stays right.
killed_alone()
{
	donor -m 32
	donor_region f0 16 8 "$small,deadline=2s"
	watch_events
	agent p /dev/emp/f0
	ask p write 0 1024 5
	got right=1024
	evict_all f0
	ask p write 2048 1024 6		# dirty, 4 MiB
	got right=1024
	donor_dies
	is_lost f0
	ask p check 2048 1024 6
	got right=1024
	ask p check 0 64 5
	got bus=64 right=0
	set_attr f0 evict $((16 << 20))
	ask p check 2048 1024 6
	got right=1024
	leave p
}

# A process that does not run still serves what it has granted.
stopped_process()
{
	donor -m 32 -o heartbeat=200ms
	donor_region f0 16 8 "$small"
	agent p /dev/emp/f0
	ask p write 0 2048 5
	evict_all f0
	kill -STOP "$donor_pid"
	becomes_link f0 0 suspect
	ask p check 0 2048 5
	got right=2048
	says 'does not answer' donor_region f1 16 8 "$small"
	kill -CONT "$donor_pid"
	becomes_link f0 0 active
	state_is f0 0 ok || fail "state $(attr f0 tiers/0/state)"
	leave p
}

# It comes back at once, but empty: nobody may take that for the data.
comes_back_empty()
{
	need_disk
	donor -m 32
	donor_region f0 16 8 "$small,deadline=5s" "$disk:16:0"
	watch_events
	agent p /dev/emp/f0
	ask p write 0 2048 5
	evict_all f0
	donor_dies
	donor -m 32
	is_lost f0
	ask p check 0 256 5
	got bus=256 right=0
	ask p check 0 256 0		# and not zeros
	got bus=256 right=0
	"$empctl" tier remove f0 0 --force
	"$empctl" tier add f0 "$addr:16:$port|key=$keys" >/dev/null
	ask p punch 0 4096
	ask p write 0 2048 6
	got right=2048
	"$empctl" tier drain f0 1	# all to the donor
	ask p check 0 2048 6
	got right=2048
	leave p
}

# A break of the network that is shorter than the donor's patience costs time only.
link_down_and_up()
{
	donor -m 32 -o linger=60s
	donor_region f0 16 8 "$small,deadline=60s"
	agent p /dev/emp/f0
	ask p write 0 2048 5
	evict_all f0
	ip link set donor0 down
	tell p check 0 2048 5
	sleep 1
	ip link set donor0 up
	hear p
	note "$answer"
	got right=2048
	becomes_link f0 0 active 30
	ask p write 0 2048 6
	evict_all f0
	ask p check 0 2048 6
	got right=2048
	state_is f0 0 ok || fail "state $(attr f0 tiers/0/state)"
	leave p
}

# Whoever holds on to a device that goes keeps its remover waiting.
device_removed()
{
	local start remover

	need_disk
	donor -m 32
	donor_region f0 16 8 "$small,deadline=5s" "$disk:16:0"
	watch_events
	agent p /dev/emp/f0
	ask p load 0 2048 2
	sleep 1
	start=${EPOCHREALTIME/[.,]/}
	rdma link del rxe0 &
	remover=$!
	wait_until 30 ended "$remover" || fail "the removal of the device hangs"
	note "rdma link del took $(((${EPOCHREALTIME/[.,]/} - start) / 1000)) ms"
	is_lost f0
	ask p unload
	((wrong == 0 && bad_bus == 0)) || fail "$answer"
	rdma_add
	"$empctl" tier remove f0 0 --force
	wait_until 20 add_again || fail "$(</tmp/said)"
	ask p punch 0 4096
	ask p write 0 2048 6
	got right=2048
	evict_all f0
	ask p check 0 2048 6
	got right=2048
	leave p
}

add_again()
{
	"$empctl" tier add f0 "$addr:16:$port|key=$keys" >/dev/null 2>/tmp/said
}

# --- coming and going ------------------------------------------------------------------------

drained()
{
	need_disk
	donor -m 32
	donor_region f0 16 8 "$small" "$disk:16:0"
	agent p /dev/emp/f0
	ask p write 0 2048 5
	evict_all f0
	(($(attr f0 tiers/0/used) > 0)) || fail "nothing is on the donor"
	"$empctl" tier drain f0 "$addr"
	[ ! -d "$sys/f0/tiers/0" ] || fail "the tier is there"
	wait_until 5 granted 0 || fail "the donor still holds it"
	ask p check 0 2048 5
	got right=2048
	leave p
}

# DRAM, then the donor, then the disk: what overflows goes down.
overflows()
{
	need_disk
	donor -m 32
	"$empctl" region create f0 --size 16M --force \
		--mem "$addr:6:$port|$disk:16:0|dram:8|key=$keys,$small"
	agent p /dev/emp/f0
	ask p write 0 2048 5
	evict_all f0
	wait_until 20 on_both f0 || fail "used $(attr f0 tiers/0/used) and $(attr f0 tiers/1/used)"
	ask p check 0 2048 5
	got right=2048
	(($(counter f0 demoted) > 0)) || fail "nothing was demoted"
	leave p
}

on_both()	# REGION
{
	(($(attr "$1" tiers/0/used) > 0 && $(attr "$1" tiers/1/used) > 0))
}

# MACs begin with the first donor, also of what moves to it from before.
macs_begin_later()
{
	need_disk
	donor -m 32
	"$empctl" region create f0 --size 16M --force --mem "$disk:16:0|dram:8|$small"
	[[ $(attr f0 flags) != *mac* ]] || fail "flags: $(attr f0 flags)"
	agent p /dev/emp/f0
	ask p write 0 2048 5
	evict_all f0
	"$empctl" tier add f0 "$addr:16:$port|key=$keys" >/dev/null
	[[ $(attr f0 flags) == *mac* ]] || fail "flags: $(attr f0 flags)"
	"$empctl" tier drain f0 0
	ask p check 0 2048 5
	got right=2048
	(($(counter f0 csum_error) == 0)) || fail "csum_error $(counter f0 csum_error)"
	leave p
}

hundred_connects()
{
	local i n
	n=$(times 100 20)
	need_disk
	donor -m 32
	"$empctl" region create f0 --size 16M --force --mem "$disk:16:0|dram:8|$small"
	for ((i = 0; i < n; i++)); do
		"$empctl" tier add f0 "$addr:16:$port|key=$keys" >/tmp/id || fail "connect $i"
		"$empctl" tier remove f0 "$(</tmp/id)" || fail "disconnect $i"
	done
	destroy f0
	wait_until 5 granted 0 || fail "the donor still holds something"
	wait_until 10 connections_gone || fail "left: $(rdma_resources)"
}

connections_gone()	# the donor's listeners stay
{
	[[ $(rdma_resources) == *" qp 1 "* ]]
}

# t_end unloads emp.ko; this is the other one
unloads()
{
	wait_until 10 quietly rmmod emp_rdma || fail "$(rmmod emp_rdma 2>&1)"
	rdma_idle || fail "left: $(rdma_resources), was: $rdma_at_rest"
	load_rdma
	# held while it is in use
	donor -m 32
	donor_region f0 16 8 "$small"
	! rmmod emp_rdma 2>/dev/null || fail "unloaded under a region"
	destroy f0
	wait_until 10 quietly rmmod emp_rdma || fail "$(rmmod emp_rdma 2>&1)"
	# Without the module a donor is refused, and emp.ko is none the worse.
	says 'modprobe emp_rdma' donor_region f0 16 8 "$small"
	load_rdma
}

t_begin
if ! { soft_roce && load_rdma; }; then
	echo "Bail out! no soft-RoCE"
	exit 1
fi
rdma_at_rest=$(rdma_resources)

donor_run fills_and_reads_back_small-4k fills_and_reads_back "${variant[small-4k]}" 16 8
for v in small-2m auto huge; do
	donor_run "fills_and_reads_back_$v" fills_and_reads_back "${variant[$v]}" 64 48
done
donor_run encrypted encrypted
donor_run spread spread
donor_run several_clients several_clients
donor_run refused refused
donor_run lies_at_the_door lies_at_the_door
donor_run lies_about_rkey lies_about_grants rkey
donor_run lies_about_addr lies_about_grants addr
donor_run flipped_bits flipped_bits
donor_run flipped_bits_without_macs flipped_bits checksum=0
donor_run killed_reading killed_reading
donor_run resident_survives resident_survives
donor_run killed_writing_small killed_writing "$small" 16 8
donor_run killed_writing_2m killed_writing "${variant[small-2m]}" 64 48
donor_run killed_alone killed_alone
donor_run stopped_process stopped_process
donor_run comes_back_empty comes_back_empty
donor_run link_down_and_up link_down_and_up
donor_run drained drained
donor_run overflows overflows
donor_run macs_begin_later macs_begin_later
donor_run hundred_connects hundred_connects
donor_run unloads unloads
donor_run device_removed device_removed
t_end
