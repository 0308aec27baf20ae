# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# shellcheck disable=SC2034 # variables are for those who source this
#
# What the tests of memory donors share: KTAP, soft-RoCE, a donor, clients.
#
#	. "${0%/*}/lib.sh"
#	t_begin
#	gives()				# a case; fails by 'fail' or by any command
#	{
#		donor -m 128M
#		client a
#		expect a "open $addr $port $keys" 'ok *'
#		expect a 'grants 2' 'ok 2'
#	}
#	t_run gives gives
#	t_end
#
# A case runs in a subshell under 'set -eE'. When it ends, its clients and its
# donor are ended, and nothing may be left: no queue pair, no registration, no
# protection domain, no identifier of the CM.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
cd "$top" || exit 1
bin=$top/build/tests/donor
emp_donor=$top/userspace-tools/build/emp-donor
[ -z "${DONOR_SANE:-}" ] || emp_donor=$bin/emp-donor.san
PATH=$PATH:/usr/sbin:/sbin
state=/tmp/donor-test		# of one case
addr=10.88.0.1
addr6=fd88::1
port=19675
keys=${LAB_CLUSTER:-/tmp}/donor-keys
MiB=$((1 << 20))
slab=$((2 * MiB))

# --- KTAP ---------------------------------------------------------------------

t_number=0
t_failed=0

note()	# TEXT
{
	echo "# $*"
}

fail()	# TEXT
{
	note "FAILED: $*"
	exit 1
}

t_picked()	# NAME: did the user ask for this case?
{
	# shellcheck disable=SC2053 # a pattern by intent
	[[ $1 == ${ANNEX_CASE:-*} ]]
}

t_ok()	# NAME STATUS
{
	t_number=$((t_number + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $t_number $1"
	else
		echo "not ok $t_number $1"
		t_failed=1
	fi
}

t_run()	# NAME COMMAND...: one case
{
	local name=$1 status
	shift
	t_picked "$name" || return 0
	note "case $name"
	echo "donor test: case $name" >/dev/kmsg
	rm -rf "$state"
	mkdir -p "$state"
	(
		set -eE
		trap 'note "line $LINENO: \"$BASH_COMMAND\" failed"' ERR
		trap t_case_end EXIT
		"$@"
	)
	status=$?
	t_ok "$name" "$status"
}

t_case_end()
{
	local status=$? log

	set +eE
	trap - ERR EXIT
	clients_end || { note "a client cannot be ended"; status=1; }
	donor_end || { note "the donor cannot be ended"; status=1; }
	if [ -n "$(rdma link)" ] && ! wait_until 20 nothing_left; then
		note "left on the RDMA device: $(rdma res)"
		note "$(rdma res show qp; rdma res show mr; rdma res show pd; rdma res show cm_id)"
		status=1
	fi
	if grep -qs 'Sanitizer\|runtime error' "$state"/*.log; then
		note "a sanitizer has something to say"
		status=1
	fi
	if [ "$status" -ne 0 ]; then
		for log in "$state"/*.log; do
			[ -s "$log" ] && note "${log##*/}:" && tail -n 40 "$log" | sed 's/^/#   /'
		done
	fi
	exit "$status"
}

t_begin()
{
	exec 2>&1
	echo "TAP version 14"
	if ! [ -d /run/lab ]; then
		echo "Bail out! runs in the lab only: tests/run donor/${0##*/}"
		exit 1
	fi
	soft_roce || { echo "Bail out! no soft-RoCE"; exit 1; }
	rm -f "$keys"
	"$emp_donor" key add "$keys" host1 && "$emp_donor" key add "$keys" host2 --quota 8M
}

t_end()
{
	echo "1..$t_number"
	exit "$t_failed"
}

# --- time ---------------------------------------------------------------------

# The debug kernel is ten times slower.
slowly=1
[ -z "${ANNEX_DEBUG:-}" ] || slowly=8

wait_until()	# SECONDS COMMAND...: until it succeeds; fails after that time
{
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * slowly * 1000000))
	shift
	until "$@"; do
		((${EPOCHREALTIME/[.,]/} < end)) || return 1
		sleep 0.05
	done
}

not()
{
	! "$@"
}

now_ms()
{
	local us=${EPOCHREALTIME/[.,]/}
	echo $((us / 1000))
}

ended()	# PID
{
	! kill -0 "$1" 2>/dev/null
}

# --- RDMA ---------------------------------------------------------------------

# soft_roce: rxe0 on $netdev, or on a dummy device: both ends of a connection are
# here then
soft_roce()
{
	modprobe rdma_rxe && modprobe rdma_ucm && modprobe ib_uverbs || return
	if [ -n "${netdev:-}" ]; then
		rdma_add
		return
	fi
	[ ! -e /sys/class/net/donor0 ] || return 0
	modprobe dummy numdummies=0
	ip link add donor0 type dummy && ip addr add "$addr/24" dev donor0 &&
		ip addr add "$addr6/64" dev donor0 nodad && ip link set donor0 mtu 4200 up || return
	rdma_add
}

rdma_add()
{
	rdma link add rxe0 type rxe netdev "${netdev:-donor0}" && wait_until 5 rdma_active
}

rdma_active()
{
	rdma link | grep -q 'rxe0/1 state ACTIVE'
}

# res KIND: how many there are of qp, mr, pd, cq, cm_id of user space. The CM's
# own queue pair (GSI) and what belongs to it is the kernel's.
res()
{
	rdma res show "$1" 2>/dev/null | grep -c " pid [1-9]" || true
}

nothing_left()
{
	local kind

	for kind in qp mr pd cq cm_id; do
		[ "$(res "$kind")" -eq 0 ] || return 1
	done
}

# --- donor --------------------------------------------------------------------

# donor_bg OPTION...: start one, do not wait
donor_bg()
{
	"$emp_donor" -s "$state/control" -k "$keys" -v -o slab=2M "$@" >>"$state/donor.log" 2>&1 &
	echo $! >"$state/donor.pid"
}

donor()	# OPTION...
{
	donor_bg "$@"
	wait_until 20 donor_is serving || fail "the donor does not serve"
}

donor_pid()
{
	cat "$state/donor.pid"
}

ask()	# VERB...
{
	"$emp_donor" -s "$state/control" "$@"
}

donor_is()	# STATE
{
	! ended "$(donor_pid)" || fail "the donor has ended"
	ask status --json 2>/dev/null | grep -q "\"state\": \"$1\""
}

# number NAME: the first number of that name in the status
number()
{
	ask status --json | sed -n "s/^ *\"$1\": \([0-9]*\),\{0,1\}$/\1/p" | head -n 1
}

number_is()	# NAME VALUE
{
	[ "$(number "$1")" = "$2" ]
}

wait_number()	# NAME VALUE [SECONDS]
{
	wait_until "${3:-10}" number_is "$1" "$2" || fail "$1 is $(number "$1"), not $2"
}

ended_or_draining()	# PID
{
	ended "$1" || ask status --json 2>/dev/null | grep -q '"state": "draining"'
}

donor_end()
{
	local pid

	[ -e "$state/donor.pid" ] || return 0
	pid=$(donor_pid)
	if ! ended "$pid"; then
		kill -CONT "$pid"
		kill -TERM "$pid"
		# the second one, once it has seen the first, lets it end at once
		wait_until 5 ended_or_draining "$pid"
		kill -TERM "$pid" 2>/dev/null || true
		wait_until 15 ended "$pid" || { kill -KILL "$pid"; note "the donor does not end"; return 1; }
	fi
	wait_until 5 ended "$pid"
}

# --- clients ------------------------------------------------------------------

# client NAME: start one; it takes commands
client()
{
	mkfifo "$state/$1.in" "$state/$1.out"
	"$bin/client" <"$state/$1.in" >"$state/$1.out" 2>"$state/$1.log" &
	echo $! >"$state/$1.pid"
	# kept open: the client ends with its input
	exec {fd}>"$state/$1.in"
	eval "in_$1=$fd"
	exec {fd}<"$state/$1.out"
	eval "out_$1=$fd"
}

# say NAME COMMAND: without waiting for the answer
say()
{
	local fd=in_$1

	echo "$2" >&"${!fd}"
}

# answer NAME [SECONDS]
answer()
{
	local fd=out_$1 line

	read -r -t "${2:-30}" -u "${!fd}" line || { echo "no answer"; return; }
	echo "$line"
}

# c NAME COMMAND: the answer
c()
{
	say "$1" "$2"
	answer "$1"
}

expect()	# NAME COMMAND PATTERN
{
	local got

	got=$(c "$1" "$2")
	# shellcheck disable=SC2053 # a pattern by intent
	[[ $got == $3 ]] || fail "$1: $2: '$got', expected '$3'"
}

client_pid()	# NAME
{
	cat "$state/$1.pid"
}

clients_end()
{
	local file pid status=0

	for file in "$state"/*.pid; do
		if [ "$file" = "$state/donor.pid" ] || [ ! -e "$file" ]; then
			continue
		fi
		pid=$(<"$file")
		ended "$pid" || kill -CONT "$pid"
		ended "$pid" || kill -TERM "$pid"
		wait_until 10 ended "$pid" || { kill -KILL "$pid"; status=1; }
	done
	return "$status"
}
