# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# shellcheck disable=SC2034 # variables are for those who source this
# shellcheck disable=SC2154 # others are set by lib.sh, sourced before this
#
# What the tests of donor tiers share: soft-RoCE, a donor, regions on it.

top_donor=$top/userspace-tools/build/emp-donor
liar=$top/build/tests/donor/liar
addr=10.88.0.1
port=19675
keys=/tmp/donor.keys
donor_log=/tmp/donor.log
donor_control=/tmp/donor.control
donor_pid=
other_port=19676
other_pid=
small="block=4K,subblock=4K,map=small"

# Both ends are on this machine, over a network device that leads nowhere.
soft_roce()
{
	modprobe rdma_rxe && modprobe rdma_ucm && modprobe ib_uverbs && modprobe dummy numdummies=0 ||
		return
	ip link add donor0 type dummy && ip addr add "$addr/24" dev donor0 &&
		ip link set donor0 mtu 4200 up && rdma_add || return
	cp "$top_donor" "$liar" /tmp/ && top_donor=/tmp/emp-donor liar=/tmp/liar || return
	rm -f "$keys"
	"$top_donor" key add "$keys" host1 && "$top_donor" key add "$keys" host2
}

rdma_add()
{
	rdma link add rxe0 type rxe netdev donor0 && wait_until 10 rdma_active
}

rdma_active()
{
	rdma link | grep -q 'rxe0/1 state ACTIVE'
}

load_rdma()
{
	insmod "${emp_ko%emp.ko}emp_rdma.ko"
}

# What there is on the RDMA device; what the CM has for itself is always there.
rdma_resources()
{
	rdma res show rxe0 | sed 's/^[0-9]*: //'
}

rdma_idle()
{
	[ "$(rdma_resources)" = "$rdma_at_rest" ]
}

# --- the donor ---------------------------------------------------------------------

# donor [OPTION]...: start one and wait until it serves; DONOR= another program
donor()
{
	"${DONOR:-$top_donor}" -s "$donor_control" -k "$keys" -v -o slab=2M "$@" >>"$donor_log" 2>&1 &
	donor_pid=$!
	wait_until 60 donor_serves || fail "the donor does not serve: $(tail -n 3 "$donor_log")"
}

donor_serves()
{
	! ended "$donor_pid" || fail "the donor has ended: $(tail -n 3 "$donor_log")"
	donor_says '"state": "serving"'
}

# other_donor [OPTION]...: one more, on this machine, at $other_port
other_donor()
{
	"$top_donor" -s /tmp/other.control -k "$keys" -v -o slab=2M -p "$other_port" "$@" \
		>>"$donor_log" 2>&1 &
	other_pid=$!
	wait_until 60 other_serves || fail "the other donor does not serve: $(tail -n 3 "$donor_log")"
}

other_serves()
{
	"$top_donor" -s /tmp/other.control status --json 2>/dev/null | grep -q '"state": "serving"'
}

# granted BYTES: is that what it has given to clients?
granted()
{
	[ "$("$top_donor" -s "$donor_control" status --json |
		sed -n 's/^ *"granted": \([0-9]*\),\{0,1\}$/\1/p' | head -n 1)" = "$1" ]
}

donor_says()	# PATTERN
{
	"$top_donor" -s "$donor_control" status --json 2>/dev/null | grep -q "$1"
}

donor_dies()
{
	kill -KILL "$donor_pid"
	wait "$donor_pid" || true
} 2>/dev/null

# --- regions -------------------------------------------------------------------------

# donor_region NAME MB DRAM_MB [KEYS] [TIER]...: a region on the donor, and on the TIERs behind it
donor_region()
{
	local more='' tier

	for tier in "${@:5}"; do
		more+="|$tier"
	done
	"$empctl" region create "$1" --size "${2}M" --force \
		--mem "$addr:$2:$port$more|dram:$3|key=$keys${4:+,$4}"
}

link_is()	# REGION TIER WORD
{
	[ "$(attr "$1" "tiers/$2/link")" = "$3" ]
}

becomes_link()	# REGION TIER WORD [SECONDS]
{
	wait_until "${4:-10}" link_is "$1" "$2" "$3" ||
		fail "the link of tier $2 is $(attr "$1" "tiers/$2/link"), not $3"
}

# says PATTERN COMMAND...: fails with one line that has it, in SECONDS at most
says()
{
	local pattern=$1 start=${EPOCHREALTIME/[.,]/} took
	shift
	! "$@" 2>/tmp/said || fail "'$*' succeeded, not '$pattern'"
	took=$(((${EPOCHREALTIME/[.,]/} - start) / 1000000))
	grep -q "$pattern" /tmp/said || fail "'$(</tmp/said)' has no '$pattern'"
	((took < 20 * slowness)) || fail "it took $took s to say '$pattern'"
}

# A case; when it ends nothing of it is left on the RDMA device.
donor_run()	# NAME COMMAND...
{
	t_run "$1" donor_case "${@:2}"
}

donor_case()
{
	trap donor_case_end EXIT
	: >"$donor_log"
	"$@"
}

donor_case_end()
{
	local status=$? region

	set +eE
	trap - ERR EXIT
	if ((status != 0 && status != 77)); then
		tail -n 20 "$donor_log" | sed 's/^/#   donor: /'
		dmesg | grep 'emp: ' | tail -n 10 | sed 's/^/#   /'
	fi
	[ -z "$donor_pid" ] || quietly kill -CONT "$donor_pid"
	kill_jobs
	for region in "$sys"/*/; do
		[ -d "$region" ] || continue
		((status == 0 || status == 77)) || region_note "$(basename "$region")"
		wait_until 20 region_gone "$(basename "$region")" || status=1
	done
	if rdma_active && ! wait_until 20 rdma_idle; then
		note "left on the RDMA device: $(rdma_resources), was: $rdma_at_rest"
		note "$(rdma res show qp; rdma res show cm_id; rdma res show pd)"
		((status)) || status=1
	fi
	(exit "$status")
	t_case_end
}

# --- region f0, tier 0 of it the donor; needs faults_lib.sh ------------------------------

MiB=$((1 << 20))

resize()	# SIZE: the operator has the donor give so much from now on
{
	"$top_donor" -s "$donor_control" resize "$1"
}

tier_has()	# ATTRIBUTE BYTES
{
	[ "$(attr f0 "tiers/0/$1")" = "$2" ]
}

becomes_tier()	# ATTRIBUTE BYTES
{
	wait_until 60 tier_has "$@" || fail "not $1 $2; $(tier_note)"
}

reads_back()	# TAG
{
	ask p check 0 "$pages" "$1"
	got right="$pages"
}

is_exposed()
{
	[ "$(attr f0 exposed)" = "$1" ]
}

link_is_not()
{
	! link_is f0 0 "$1"
}

# filled KEYS MB DRAM_MB TIER...: region f0, three quarters of it written, nothing in DRAM
filled()
{
	pages=$(($2 * 192))
	donor_region f0 "$2" "$3" "$1,deadline=60s" "${@:4}"
	becomes_link f0 0 active
	agent p /dev/emp/f0
	ask p write 0 "$pages" 5
	got right="$pages"
	evict_all f0
}

# A case with a bad disk, which is healthy and gone when it ends.
donor_disk_run()	# NAME COMMAND...
{
	t_run "$1" donor_disk_case "${@:2}"
}

donor_disk_case()
{
	trap donor_disk_case_end EXIT
	: >"$donor_log"
	bad_disk
	"$@"
}

donor_disk_case_end()
{
	local status=$? region

	set +eE
	trap - ERR EXIT
	quietly ip link set donor0 up
	((status == 0)) || tail -n 20 "$donor_log" | sed 's/^/#   donor: /'
	[ ! -b "$bad" ] || { quietly dmsetup resume bad; heals; }
	kill_jobs
	for region in "$sys"/*/; do
		[ -d "$region" ] || continue
		((status == 0)) || region_note "$(basename "$region")"
		wait_until 20 region_gone "$(basename "$region")" || status=1
	done
	wait_until 20 quietly dmsetup remove bad || status=1
	(exit "$status")
	donor_case_end
}
