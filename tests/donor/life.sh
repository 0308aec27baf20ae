#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A donor's life: it dies, returns, stops, drains, reloads, grows, shrinks, loses
# its link and its device; and says clearly what it lacks.
# lab: --kernel 6.12 --mem 1G --smp 1
# debug: no
# time: 400
# shellcheck source=tests/donor/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"
set -u
t_begin

became()	# CLIENT STATE
{
	[[ $(c "$1" state) == "ok $2 "* ]]
}

new_generation()
{
	local first second

	donor -m 8
	client a
	read -r _ _ first _ <<<"$(c a "open $addr $port $keys")"
	expect a 'grants 2' 'ok 2'
	expect a "write 0 0 $slab 1" ok
	kill -KILL "$(donor_pid)"
	wait_until 10 became a broken
	expect a "check 0 0 4096 1" 'err *'
	# nobody is there: a reject of the CM, and the client goes on trying
	expect a resume 'err reject 0 status 8, broken'
	donor -m 8
	expect a resume 'err reject 6 *, lost'		# no such session
	read -r _ _ second _ <<<"$(c a "open $addr $port $keys")"
	[ "$first" != "$second" ] || fail "the generation is $first again"
	expect a 'grants 1' 'ok 1'
	expect a "check 0 0 $slab 0" ok
}

# A process that does not run still serves what it has granted.
stopped_process()
{
	donor -m 8 -o heartbeat=200ms
	client a
	expect a "open $addr $port $keys" 'ok *'
	expect a 'grants 1' 'ok 1'
	kill -STOP "$(donor_pid)"
	expect a "write 0 0 $slab 2" ok
	expect a 'poll 1500' 'ok suspect *'
	expect a "check 0 0 $slab 2" ok
	kill -CONT "$(donor_pid)"
	wait_until 5 became a active
	expect a 'grants 1' 'ok 1'
}

drain()
{
	local pid

	donor -m 8 -o drain-timeout=20s
	client a
	expect a "open $addr $port $keys" 'ok *'
	expect a 'grants 2' 'ok 2'
	expect a "write 0 0 $slab 3" ok
	pid=$(donor_pid)
	kill -TERM "$pid"
	expect a 'wait 71 5000' 'ok 2 2 20000'		# REVOKE of both, cause DRAIN
	donor_is draining
	expect a "check 0 0 $slab 3" ok			# it serves until all is moved
	expect a 'grants 1' 'err status 3'
	client b
	expect b "open $addr $port $keys" 'err reject 8 *'
	not ended "$pid"
	expect a 'give 0 1' 'ok 2'
	wait_until 10 ended "$pid"
	wait_status "$pid" 0
	expect a 'poll 500' 'ok lost 8'
}

wait_status()	# PID STATUS
{
	local status=0

	wait "$1" || status=$?
	[ "$status" -eq "$2" ] || fail "the donor's status is $status, not $2"
}

drain_timeout()
{
	local start pid

	donor -m 8 -o drain-timeout=1s
	client a
	expect a "open $addr $port $keys" 'ok *'
	expect a 'grants 2' 'ok 2'
	pid=$(donor_pid)
	start=$(now_ms)
	kill -TERM "$pid"
	wait_until 10 ended "$pid"
	(($(now_ms) - start >= 900)) || fail "it did not wait"
	wait_status "$pid" 0
}

reload()
{
	local conf=$state/donor.conf

	printf 'memory = 8M\nquota = 4M\nverbose = yes\n' >"$conf"
	cp "$keys" "$state/keys"
	donor_conf "$conf"
	client a
	client b
	expect a "open $addr $port $keys:host1" "ok * $((4 * MiB))"
	expect b "open $addr $port $keys:host2" "ok * $((8 * MiB))"
	expect a 'grants 4' 'ok 2'
	# more memory, another quota, host2's key taken away
	printf 'memory = 16M\nquota = 6M\n' >"$conf"
	sed -i '/^host2/d' "$state/keys"
	kill -HUP "$(donor_pid)"
	wait_number target $((16 * MiB))
	expect b 'poll 500' 'ok lost 4'
	expect a 'grants 4' 'ok 1'
	# what takes a restart is said, and nothing is changed
	printf 'memory = 32M\nport = 1\n' >"$conf"
	not ask reload 2>"$state/reload.err"
	grep -q 'port takes a restart' "$state/reload.err"
	printf 'memory = 32M\nprot = 1\n' >"$conf"
	not ask reload 2>"$state/reload.err"
	grep -q "line 2: unknown setting 'prot'; did you mean 'port'" "$state/reload.err"
	[ "$(number target)" -eq $((16 * MiB)) ]
	expect a ping 'ok *'
}

donor_conf()	# FILE
{
	"$emp_donor" -C "$1" -s "$state/control" -k "$state/keys" -o slab=2M >>"$state/donor.log" 2>&1 &
	echo $! >"$state/donor.pid"
	wait_until 20 donor_is serving || fail "the donor does not serve"
}

grow_and_shrink()
{
	donor -m 8
	client a
	expect a "open $addr $port $keys" 'ok *'
	expect a 'grants 4' 'ok 4'
	expect a "write 0 0 65536 4" ok
	ask resize 16M
	wait_number free $((8 * MiB))
	expect a 'grants 1' 'ok 1'
	ask resize 8M
	wait_number size $((8 * MiB))
	expect a 'wait 71 5000' 'ok 1 1 0'		# one is too many: REVOKE, SHRINK
	expect a 'give 4' 'ok 1'
	wait_number granted $((8 * MiB))
	wait_number leaving 0
	expect a "check 0 0 65536 4" ok
	not ask resize 1K 2>/dev/null
	not ask resize 100T 2>"$state/err"
	grep -q 'available\|can be' "$state/err"
}

silent_client()
{
	donor -m 8 -o heartbeat=100ms -o client-timeout=2s -o linger=1s
	client a
	client b
	expect a "open $addr $port $keys" 'ok *'
	expect a 'grants 2' 'ok 2'
	expect a mute ok
	wait_number sessions_silent 1 15
	wait_number free $((8 * MiB))
	# one that is killed is noticed by its connection
	expect b "open $addr $port $keys" 'ok *'
	expect b 'grants 2' 'ok 2'
	kill -KILL "$(client_pid b)"
	wait_number sessions_expired 1 15
	wait_number free $((8 * MiB))
}

link_down_and_up()
{
	donor -m 8 -o linger=60s
	client a
	expect a "open $addr $port $keys" 'ok *'
	expect a 'grants 1' 'ok 1'
	expect a "write 0 0 $slab 5" ok
	ip link set donor0 down
	expect a "check 0 0 4096 5" 'err *'
	ip link set donor0 up
	ip addr show dev donor0 | grep -q "$addr6" || ip addr add "$addr6/64" dev donor0 nodad
	wait_until 10 rdma_active
	wait_until 30 resumed a
	expect a "check 0 0 $slab 5" ok
}

resumed()
{
	[[ $(c "$1" resume) == 'ok active' ]]
}

# Whoever holds on to a device that goes keeps its remover waiting.
device_removed()
{
	local start remover i

	donor -m 8
	client a
	expect a "open $addr $port $keys" 'ok *'
	expect a 'grants 4' 'ok 4'
	for ((i = 0; i < 50; i++)); do
		say a "write $((i % 4)) 0 $slab $i"
	done
	answer a >/dev/null
	start=$(now_ms)
	rdma link del rxe0 &
	remover=$!
	# the client holds on to it too, and is ended
	sleep 0.5
	kill -KILL "$(client_pid a)"
	wait_until 60 ended "$remover"
	note "rdma link del took $(($(now_ms) - start)) ms"
	(($(now_ms) - start < 20000)) || fail "rdma link del took $(($(now_ms) - start)) ms"
	rdma_add
	# the memory is free again, and the donor serves on the new device
	wait_number free $((8 * MiB))
	client b
	wait_until 20 opens b
	expect b 'grants 1' 'ok 1'
	expect b "check 0 0 $slab 0" ok
}

opens()	# CLIENT
{
	[[ $(c "$1" "open $addr $port $keys") == ok* ]]
}

# says PATTERN COMMAND...: fails with status 1 and one line that has it
says()
{
	local pattern=$1 status=0
	shift
	"$@" >"$state/said" 2>&1 || status=$?
	grep -q "$pattern" "$state/said" || fail "'$(cat "$state/said")' has no '$pattern'"
	[ "$status" -eq 1 ] || fail "status $status"
	[ "$(wc -l <"$state/said")" -eq 1 ] || fail "more than one line: $(cat "$state/said")"
}

what_is_missing()
{
	local d=("$emp_donor" -s "$state/control" -k "$keys" -o slab=2M)

	says 'no key-file' "$emp_donor" -s "$state/control" -m 128
	says 'chmod 600' bash -c "cp $keys $state/k; chmod 644 $state/k; $emp_donor -s $state/control -m 128 -k $state/k"
	says 'this machine has only' "${d[@]}" -m 100000
	says 'there is no RDMA device mlx5_0' "${d[@]}" -m 8 -d mlx5_0
	says 'cannot listen on 10.99.0.1' "${d[@]}" -m 8 -l 10.99.0.1
	chown 1234 "$keys"
	chmod 777 "$state"
	says 'LimitMEMLOCK' setpriv --reuid 1234 --clear-groups --inh-caps=-all --bounding-set=-all \
		prlimit --memlock=1048576 "${d[@]}" -m 8
	chown 0 "$keys"
	donor -m 8
	says 'another emp-donor answers' "${d[@]}" -m 8
	says 'the port is taken' "${d[@]}" -m 8 -s "$state/control2"
}

notifies()
{
	python3 -c 'import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1] + "/notify"); out = open(sys.argv[1] + "/notified", "wb", 0); [out.write(got + b"\n") for got in iter(lambda: s.recv(4096), b"")]' "$state" &
	echo $! >"$state/notify.pid"
	wait_until 20 test -S "$state/notify"
	NOTIFY_SOCKET=$state/notify WATCHDOG_USEC=400000 donor -m 8
	wait_until 10 grep -q READY=1 "$state/notified"
	wait_until 10 grep -q WATCHDOG=1 "$state/notified"
	kill -HUP "$(donor_pid)"
	wait_until 10 grep -q RELOADING=1 "$state/notified"
	kill -TERM "$(donor_pid)"
	wait_until 10 grep -q STOPPING=1 "$state/notified"
}

status_forms()
{
	donor -m 8
	client a
	expect a "open $addr $port $keys" 'ok *'
	expect a 'grants 1' 'ok 1'
	ask status | grep -q 'memory 8 MiB: 2 MiB granted, 6 MiB free'
	ask status --json | python3 -c 'import json,sys; s = json.load(sys.stdin); assert s["memory"]["granted"] == 2 << 20 and s["sessions"][0]["client"] == "host1"'
	ask status --prometheus >"$state/metrics"
	grep -q '^emp_donor_memory_bytes{state="granted"} 2097152$' "$state/metrics"
	grep -q '^# TYPE emp_donor_grants_total counter$' "$state/metrics"
	[ "$(stat -c %a "$state/control")" = 600 ]
	not "$emp_donor" -s "$state/nothing" status 2>/dev/null
	# the ancestor's name
	ln -sf "$emp_donor" "$state/vmd"
	"$state/vmd" --help | grep -q -- '-m, --memory MB'
}

t_run new_generation new_generation
t_run stopped_process stopped_process
t_run drain drain
t_run drain_timeout drain_timeout
t_run reload reload
t_run grow_and_shrink grow_and_shrink
t_run silent_client silent_client
t_run link_down_and_up link_down_and_up
t_run what_is_missing what_is_missing
t_run notifies notifies
t_run status_forms status_forms
t_run device_removed device_removed
t_end
