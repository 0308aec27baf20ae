#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Donor and client on two machines: what becomes of the client's data when the
# link breaks, the donor's machine stops, packets are lost, the machine dies.
#
#	node 0: clients  --- 10.77.0.0/24, soft-RoCE ---  node 1: donor
#
# lab: --kernel 6.12 --nodes 2 --mem 1G
# debug: no
# time: 400
# shellcheck source=tests/donor/lib.sh disable=SC2016,SC2317 # for the other node; cases are called by name
. "${0%/*}/lib.sh"
set -u
netdev=lab0
addr=10.77.0.2
node=$top/tests/lab/node

there()	# COMMAND...: on the donor's machine
{
	"$node" 1 -- "$@"
}

donor_there()	# OPTION...: none is there from a case that failed
{
	"$node" 1 link up
	wait_until 10 pings || fail "node 1 does not answer"
	donor_gone
	there sh -c 'rm -rf /tmp/d; mkdir /tmp/d; "$@" >/tmp/d/log 2>&1 & echo $! >/tmp/d/pid' sh \
		"$emp_donor" -s /tmp/d/control -k "$keys" -v -o slab=2M "$@"
	wait_until 30 serves || fail "the donor does not serve: $(there cat /tmp/d/log)"
}

serves()
{
	there "$emp_donor" -s /tmp/d/control status --json 2>/dev/null | grep -q '"state": "serving"'
}

donor_gone()
{
	there sh -c 'kill -9 $(cat /tmp/d/pid); while kill -0 $(cat /tmp/d/pid); do sleep 0.1; done' \
		2>/dev/null || true
}

became()	# CLIENT STATE
{
	[[ $(c "$1" state) == "ok $2 "* ]]
}

resumed()	# CLIENT
{
	[[ $(c "$1" resume) == 'ok active' ]]
}

# broken_within CLIENT MS: a READ fails within that time
broken_within()
{
	local start

	start=$(now_ms)
	expect "$1" 'check 0 0 4096 9' 'err *'
	note "failed after $(($(now_ms) - start)) ms"
	(($(now_ms) - start <= $2)) || fail "it took $(($(now_ms) - start)) ms"
}

begin()	# DONOR OPTION...: a donor, a client with a slab full of data
{
	donor_there -m 16 "$@"
	client a
	expect a "open $addr $port $keys" 'ok *'
	expect a 'grants 2' 'ok 2'
	expect a "write 0 0 $slab 9" ok
}

lab_reaches_nodes()
{
	local out status=0

	out=$(there sh -c 'hostname; echo "$1"; echo oops >&2; exit 7' sh 'two  words' 2>"$state/err") ||
		status=$?
	[ "$out:$status" = $'node1\ntwo  words:7' ] || fail "'$out' status $status"
	[ "$(<"$state/err")" = oops ]
	wait_until 10 pings || fail "node 1 does not answer"
	"$node" 1 link down
	not pings || fail "node 1 answers without a link"
	"$node" 1 link up
	wait_until 10 pings
}

pings()	# [ADDRESS]
{
	busybox ping -c 1 -W 2 "${1:-10.77.0.2}" >/dev/null
}

over_the_wire()
{
	begin
	expect a "check 0 0 $slab 9" ok
	expect a "check 1 0 $slab 0" ok
	# its address comes back later than IPv4's when the link was away
	wait_until 30 pings fd77::2 || fail "node 1 does not answer by IPv6"
	expect a "open fd77::2 $port $keys" 'ok *'
	expect a 'grants 1' 'ok 1'
	donor_gone
}

link_breaks()
{
	begin -o linger=60s
	# shorter than what the queue pair tries for: only slower
	"$node" 1 link down
	say a "check 0 0 $slab 9"
	sleep 0.15
	"$node" 1 link up
	answer a >/dev/null
	wait_until 30 usable || fail "the client does not come back"
	# longer: an error in bounded time, and the data is there afterwards
	"$node" 1 link down
	broken_within a 5000
	"$node" 1 link up
	wait_until 60 resumed a
	expect a "check 0 0 $slab 9" ok
	donor_gone
}

usable()	# resumed, if that was necessary
{
	became a active || resumed a
}

machine_stops()
{
	begin -o linger=60s
	"$node" 1 stop
	broken_within a 5000
	"$node" 1 cont
	wait_until 60 resumed a
	expect a "check 0 0 $slab 9" ok
	donor_gone
}

loss_and_reordering()
{
	begin -o linger=60s
	there tc qdisc replace dev lab0 root netem loss 2% delay 2ms 2ms reorder 20% 50% limit 10000
	tc qdisc replace dev lab0 root netem loss 1% delay 1ms limit 10000
	expect a "write 1 0 65536 10" '*'
	wait_until 60 usable
	expect a "check 0 0 65536 9" '*'
	tc qdisc del dev lab0 root
	there tc qdisc del dev lab0 root
	wait_until 60 usable
	expect a "check 0 0 $slab 9" ok
	expect a "write 1 0 65536 10" ok
	expect a "check 1 0 65536 10" ok
	donor_gone
}

process_dies()
{
	local start

	begin
	say a "check 0 0 $slab 9"
	start=$(now_ms)
	there sh -c 'kill -9 $(cat /tmp/d/pid)'
	answer a >/dev/null
	wait_until 10 became a broken
	note "the client knew after $(($(now_ms) - start)) ms"
	donor_there -m 16
	expect a resume 'err reject 6 *, lost'
	expect a "open $addr $port $keys" 'ok *'
	expect a 'grants 1' 'ok 1'
	expect a "check 0 0 $slab 0" ok
	donor_gone
}

machine_dies()
{
	begin -o linger=3s
	"$node" 1 kill
	broken_within a 5000
	expect a resume 'err *, broken'
	expect a 'poll 3000' 'ok lost *'	# nobody came back while it might have been kept
}

t_begin
there sh -c 'modprobe rdma_rxe && modprobe rdma_ucm && modprobe ib_uverbs &&
	rdma link add rxe0 type rxe netdev lab0' || { echo "Bail out! no soft-RoCE on node 1"; exit 1; }
t_run lab_reaches_nodes lab_reaches_nodes
t_run over_the_wire over_the_wire
t_run link_breaks link_breaks
t_run machine_stops machine_stops
t_run loss_and_reordering loss_and_reordering
t_run process_dies process_dies
t_run machine_dies machine_dies
t_end
