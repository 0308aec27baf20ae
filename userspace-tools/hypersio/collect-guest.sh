#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What `hypersio collect` runs in L1: tenants and their clients do traffic.
#
# usage: collect-guest.sh TEST TENANTS SECONDS
#
#      L1, one kernel                                    QEMU
#   .-------------------.      .------------------.
#   | netns t0: server  |------| NIC behind IOMMU |----.
#   '-------------------'      '------------------'    hub 0
#   .-------------------.      .------------------.    |
#   | netns c0: client  |------| NIC without      |----'
#   '-------------------'      '------------------'
#
# ... and so on for t1, c1. NICs are known by their addresses: 52:54:00:aa:00:NN is
# tenant NN's, 52:54:00:bb:00:NN its client's. Only the tenants' are translated.
#
# shellcheck disable=SC2317 # await calls functions by name
set -eu

test=$1 tenants=$2 seconds=$3

fail()
{
	echo "collect: $*" >&2
	exit 1
}

# await WHAT COMMAND...: until it succeeds, at most 30 s
await()
{
	local what=$1 i
	shift
	for ((i = 0; i < 300; i++)); do
		"$@" && return
		sleep 0.1
	done
	fail "no $what after 30 s"
}

find_nic()	# ADDRESS: prints the name
{
	local dir
	for dir in /sys/class/net/*; do
		[ "$(<"$dir/address")" != "$1" ] || { echo "${dir##*/}"; return; }
	done
	return 1
}

has_nic()	# ADDRESS
{
	find_nic "$1" >/dev/null
}

# plug NETNS NIC-ADDRESS IP-ADDRESS
plug()
{
	await "network device $2" has_nic "$2"
	ip netns add "$1"
	ip link set "$(find_nic "$2")" netns "$1" name eth0
	ip -n "$1" link set lo up
	ip -n "$1" addr add "$3/24" dev eth0
	ip -n "$1" link set eth0 up
}

listens()	# NETNS PORT
{
	ip netns exec "$1" ss -Hltn "sport = :$2" | grep -q .
}

serve()	# TENANT: start the server of the test in it, in the background
{
	case $test in
	iperf3) ip netns exec "t$1" iperf3 -s -1 -p 5201 >/dev/null ;;
	sockperf) ip netns exec "t$1" sockperf server --tcp -i "10.77.$1.1" -p 5201 >/dev/null ;;
	http) ip netns exec "t$1" busybox httpd -f -p 5201 -h /tmp/www ;;
	esac
}

ask()	# TENANT: the client, for SECONDS
{
	local run=(ip netns exec "c$1")
	case $test in
	iperf3) "${run[@]}" iperf3 -c "10.77.$1.1" -p 5201 -t "$seconds" ;;
	sockperf) "${run[@]}" sockperf ping-pong --tcp -i "10.77.$1.1" -p 5201 -t "$seconds" -m 256 ;;
	http) "${run[@]}" wrk -t 1 -c 4 -d "${seconds}s" "http://10.77.$1.1:5201/page" ;;
	esac
}

for module in e1000 e1000e virtio_net; do
	modprobe "$module"
done
for ((i = 0; i < tenants; i++)); do
	printf -v n '%02x' "$i"
	plug "t$i" "52:54:00:aa:00:$n" "10.77.$i.1"
	plug "c$i" "52:54:00:bb:00:$n" "10.77.$i.2"
	group=$(ip netns exec "t$i" readlink -f /sys/class/net/eth0/device 2>/dev/null || true)
	[ -e "${group%/virtio*}/iommu_group" ] || fail "tenant $i's NIC is behind no IOMMU (kernel without intel_iommu?)"
done
if [ "$test" = http ]; then
	mkdir /tmp/www
	head -c 16384 /dev/urandom >/tmp/www/page
fi
servers=() clients=()
for ((i = 0; i < tenants; i++)); do
	serve "$i" & servers+=($!)
	await "server of tenant $i" listens "t$i" 5201
done
for ((i = 0; i < tenants; i++)); do
	ask "$i" & clients+=($!)
done
status=0
for i in "${!clients[@]}"; do
	wait "${clients[i]}" || { echo "collect: the client of tenant $i failed" >&2; status=1; }
done
kill "${servers[@]}" 2>/dev/null || true
exit "$status"
