#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A donor wants its memory back: by its operator's command, or because it goes.
# What lies there is moved first, and nothing is lost for which there is a place;
# what there is none for stays, until the donor takes it.
#
#	fault_mem -- maps --> region f0 -- rdma tier --> rxe0 --> emp-donor, or liar
#	                                \- block tier --> /dev/ram0, or /dev/mapper/bad
#
# lab: --kernel 6.12 --mem 2G --smp 1
# time: 600
# shellcheck source=tests/emp/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"
# shellcheck source=tests/emp/faults_lib.sh
. "${0%/*}/faults_lib.sh"
# shellcheck source=tests/emp/donor_lib.sh
. "${0%/*}/donor_lib.sh"

tier_note()
{
	local a text=
	for a in state link bytes used asked leaving given_back revoked; do
		text+=" $a $(attr f0 "tiers/0/$a")"
	done
	echo "tier 0:$text"
}

# gave BYTES LEFT: the donor has so much again, the tier keeps LEFT, nothing is lost
gave()
{
	becomes_tier given_back "$1"
	becomes_tier bytes "$2"
	becomes_tier asked 0
	wait_until 10 granted "$2" || fail "the donor's clients hold something else than $2"
	tier_has revoked 0 || fail "taken by force; $(tier_note)"
	tier_has leaving 0 || fail "$(tier_note)"
}

# All is right, can be written, goes where there is room, and is right again.
goes_on()
{
	reads_back 5
	ask p write 0 "$pages" 6
	got right="$pages"
	evict_all f0
	reads_back 6
	(($(counter f0 csum_error) == 0)) || fail "csum_error $(counter f0 csum_error)"
	(($(counter f0 read_error) == 0)) || fail "read_error $(counter f0 read_error)"
}

# --- by the operator's command ---------------------------------------------------------

shrinks()	# KEYS MB DRAM_MB [MORE_KEYS]
{
	local size=$(($2 * MiB)) half=$(($2 * MiB / 2))

	need_disk
	donor -m 128
	filled "$1${4:+,$4}" "$2" "$3" "$disk:$2:0"
	(($(attr f0 tiers/0/used) > half)) || fail "not much is on the donor; $(tier_note)"
	resize "$half"
	gave "$half" "$half"
	(($(attr f0 tiers/0/used) <= half)) || fail "$(tier_note)"
	(($(counter f0 moved_off) > 0)) || fail "nothing was moved"
	reads_back 5
	resize 2M
	gave $((size - 2 * MiB)) $((2 * MiB))
	goes_on
	state_is f0 0 ok || fail "$(tier_note)"
	leave p
	destroy f0
	wait_until 10 granted 0 || fail "the donor still holds something"
}

# No other tier, but DRAM has room for all of it.
shrinks_to_dram()
{
	donor -m 32
	filled "$small" 16 16
	resize 4M
	gave $((12 * MiB)) $((4 * MiB))
	reads_back 5
	ask p write 0 "$pages" 6
	got right="$pages"
	set_attr f0 evict $((16 * MiB))	# 4 MiB of it can be
	wait_until 10 in_use || fail "$(tier_note)"
	reads_back 6
	leave p
}

# Again and again, while everything is written to all the time.
shrinks_loaded()	# KEYS MB DRAM_MB
{
	local keep=$2

	need_disk
	donor -m 128
	donor_region f0 "$2" "$3" "$1,deadline=60s" "$disk:$2:0"
	agent p /dev/emp/f0
	ask p load 0 $(($2 * 200)) 2
	while ((keep >= 4)); do
		keep=$((keep / 2))
		wait_until 60 in_use || fail "$(tier_note)"
		resize "${keep}M"
		gave $((($2 - keep) * MiB)) $((keep * MiB))
	done
	ask p unload
	note "$answer"
	got
	(($(counter f0 csum_error) == 0)) || fail "csum_error $(counter f0 csum_error)"
	leave p
}

in_use()
{
	(($(attr f0 tiers/0/used) > 0))
}

# A region that has no room elsewhere keeps what it was promised, until there is some.
cannot_spare()
{
	need_disk
	donor -m 32
	filled "$small" 16 8
	resize 8M
	becomes_tier asked $((8 * MiB))
	sleep 2
	tier_has leaving 0 || fail "$(tier_note)"
	tier_has bytes $((16 * MiB)) || fail "$(tier_note)"
	granted $((16 * MiB)) || fail "the donor has got something"
	reads_back 5
	"$empctl" tier add f0 "$disk:16:0" >/dev/null
	gave $((8 * MiB)) $((8 * MiB))
	goes_on
	leave p
}

# The donor sets a time. What has no place by then is lost, and nothing else is.
taken()
{
	local n=4096

	need_disk
	donor -m 32 -o revoke-grace=2s
	watch_events
	donor_region f0 16 8 "$small,deadline=60s"
	agent p /dev/emp/f0
	ask p write 0 "$n" 5
	got right="$n"
	evict_all f0
	tier_has used $((16 * MiB)) || fail "$(tier_note)"
	resize 8M
	becomes_tier revoked $((8 * MiB))
	becomes_tier bytes $((8 * MiB))
	becomes_tier leaving 0
	granted $((8 * MiB)) || fail "the donor's clients hold something else"
	event data-lost
	ask p check 0 "$n" 5
	got right=2048 bus=2048
	ask p check 0 "$n" 0		# not zeros
	((wrong == 2048 && bus == 2048)) || fail "$answer"
	becomes_link f0 0 active
	! state_is f0 0 lost || fail "the whole tier is lost"
	no_event tier-lost
	# What is lost is lost until it is written anew.
	"$empctl" tier add f0 "$disk:16:0" >/dev/null
	ask p punch 0 "$n"
	ask p write 0 "$n" 6
	got right="$n"
	evict_all f0
	ask p check 0 "$n" 6
	got right="$n"
	in_use || fail "nothing is on the donor; $(tier_note)"
	leave p
}

# It takes and does not ask, while all is being written: right, or an error.
taken_loaded()
{
	need_disk
	export DONOR_LIE=grabs
	DONOR=$liar donor -m 32 -o revoke-grace=1ms
	donor_region f0 16 8 "$small,deadline=60s" "$disk:16:0"
	agent p /dev/emp/f0
	ask p write 0 4096 5
	got right=4096
	ask p load 0 3200 2
	wait_until 60 in_use || fail "$(tier_note)"
	resize 8M
	becomes_tier revoked $((8 * MiB))
	becomes_tier leaving 0
	granted $((8 * MiB)) || fail "the donor's clients hold something else"
	ask p unload
	note "$answer; $(tier_note)"
	((wrong == 0 && bad_bus == 0)) || fail "$answer"
	becomes_link f0 0 active
	ask p punch 0 4096
	ask p write 0 3072 6
	got right=3072
	evict_all f0
	ask p check 0 3072 6
	got right=3072
	leave p
}

# With a second copy nothing is lost even then, and what is lost is copied again.
taken_mirrored()
{
	need_disk
	export DONOR_LIE=grabs
	DONOR=$liar donor -m 32 -o revoke-grace=1ms
	filled "$small,redundancy=mirror,overcommit=1" 16 8 "$disk:16:0"
	wait_until 60 is_exposed 0 || fail "exposed $(attr f0 exposed)"
	resize 8M
	becomes_tier revoked $((8 * MiB))
	becomes_tier leaving 0
	(($(attr f0 exposed) > 0)) || fail "there was nothing in what it took"
	reads_back 5
	evict_all f0
	"$empctl" tier add f0 "/dev/ram1:16:0" >/dev/null
	wait_until 60 is_exposed 0 || fail "exposed $(attr f0 exposed)"
	"$empctl" tier remove f0 1	# which nothing was lost of
	reads_back 5
	leave p
}

# --- the donor goes ----------------------------------------------------------------------

drains()	# [KEYS]
{
	need_disk
	donor -m 32 -o drain-timeout=10m
	filled "$small${1:+,$1}" 16 8 "$disk:16:0"
	[ -z "${1:-}" ] || wait_until 60 is_exposed 0 || fail "exposed $(attr f0 exposed)"
	kill -TERM "$donor_pid"
	wait_until 120 ended "$donor_pid" || fail "it does not go; $(tier_note)"
	wait "$donor_pid" || fail "the donor ended with $?"
	becomes_link f0 0 lost
	tier_has given_back $((16 * MiB)) || fail "$(tier_note)"
	tier_has used 0 || fail "$(tier_note)"
	goes_on
	"$empctl" tier remove f0 0 --force
	leave p
}

# --- what goes wrong meanwhile ---------------------------------------------------------------

# A donor that asks for and takes what it has never given.
strangers()
{
	export DONOR_LIE=strangers
	DONOR=$liar donor -m 32 -o heartbeat=100ms
	filled "$small" 16 8
	sleep 1
	becomes_link f0 0 active
	tier_has asked 0 || fail "$(tier_note)"
	tier_has revoked 0 || fail "$(tier_note)"
	goes_on
	leave p
}

# The answer to what was given back never comes, since the connection breaks.
breaks_giving()
{
	need_disk
	export DONOR_LIE=deaf
	DONOR=$liar donor -m 32
	filled "$small" 16 8 "$disk:16:0"
	resize 8M
	gave $((8 * MiB)) $((8 * MiB))
	becomes_link f0 0 active
	grep -q resumed "$donor_log" || "$top_donor" -s "$donor_control" status --json |
		grep -q '"resumed": [1-9]' || fail "the connection did not break"
	goes_on
	leave p
}

# The link breaks while what is there cannot go on being moved: no more than a delay.
breaks_leaving()
{
	donor -m 32 -o linger=5m
	filled "$small" 16 8 "$bad:16:0"
	stalls
	resize 8M
	wait_until 20 is_leaving || fail "$(tier_note)"
	ip link set donor0 down
	tell p check 0 64 5		# somebody notices
	wait_until 60 link_is_not active || fail "the link does not break"
	ip link set donor0 up
	becomes_link f0 0 active 60
	hear p
	got right=64
	heals
	gave $((8 * MiB)) $((8 * MiB))
	goes_on
	leave p
}

is_leaving()
{
	! tier_has leaving 0
}

# Of a client that does not offer it nothing is asked for.
not_offered()
{
	local switch=/sys/module/emp_rdma/parameters/give_back

	echo N >"$switch"
	donor -m 32
	filled "$small" 16 16
	echo Y >"$switch"
	resize 8M
	sleep 1
	granted $((16 * MiB)) || fail "the donor has got something"
	tier_has asked 0 || fail "$(tier_note)"
	goes_on
	leave p
}

t_begin
if ! { soft_roce && load_rdma; }; then
	echo "Bail out! no soft-RoCE"
	exit 1
fi
rdma_at_rest=$(rdma_resources)

donor_run shrinks_small shrinks "$small" 16 8
donor_run shrinks_2m shrinks "${variant[small-2m]}" 64 48
donor_run shrinks_huge shrinks "${variant[huge]}" 64 48
donor_run shrinks_mirrored shrinks "$small" 16 8 redundancy=mirror,overcommit=1
donor_run shrinks_to_dram shrinks_to_dram
donor_run shrinks_loaded_small shrinks_loaded "$small" 16 8
donor_run shrinks_loaded_2m shrinks_loaded "${variant[small-2m]}" 64 48
donor_run cannot_spare cannot_spare
donor_run taken taken
donor_run taken_loaded taken_loaded
donor_run taken_mirrored taken_mirrored
donor_run drains drains
donor_run drains_mirrored drains redundancy=mirror
donor_run strangers strangers
donor_run breaks_giving breaks_giving
donor_disk_run breaks_leaving breaks_leaving
donor_run not_offered not_offered
t_end
