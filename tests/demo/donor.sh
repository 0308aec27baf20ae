# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# shellcheck disable=SC2034,SC2154 # shared with in-lab, which sources this
#
# The demonstration with a donor: another machine gives memory over soft-RoCE and
# is the guest's first tier. In the middle of the run its process is killed. All it
# had is also on the NVMe disk (redundancy), so the guest goes on; a new donor,
# which has nothing of it, is added, and the second copies are made anew.

donor_mib=512
donor_address=10.77.0.2
donor_spec="$donor_address:$donor_mib:19675"
node=$top/tests/lab/node
keys=$out/donor.keys

# mirror=sync, the one that has nothing exposed, so that nothing may be lost.
policy=mirror,mirror=sync
spec="$donor_spec|/dev/nvme0n1:1024:0|dram:$dram|key=$keys,redundancy=$policy"
where="on another machine, a second copy of that on NVMe"
max=360
enough=/tmp/enough
guest=(--timeout $((max + 160)) --stdin "$enough")
memcheck+=("$max")	# or until it is told
mkfifo "$enough"

there() { "$node" 1 -- "$@"; }

donor_serves()
{
	there /tmp/emp-donor -s /tmp/donor.control status 2>/dev/null | grep -q serving
}

donor_start()
{
	# shellcheck disable=SC2016 # for the other machine
	there sh -c '/tmp/emp-donor -m "$1" -k "$2" -v -o slab=2M -s /tmp/donor.control \
		>>/tmp/donor.log 2>&1 & echo $! >/tmp/donor.pid' sh "$donor_mib" "$keys"
	until_true 150 donor_serves
}

donor_begins()
{
	local roce='modprobe rdma_rxe && modprobe rdma_ucm && modprobe ib_uverbs &&
		rdma link add rxe0 type rxe netdev lab0'

	say "another machine gives $donor_mib MiB of its memory over RDMA to who has the key: emp-donor"
	rm -f "$keys"
	emp-donor key add "$keys" host1
	sh -c "$roce"
	there sh -c "$roce"
	there cp "$(command -v emp-donor)" /tmp/emp-donor
	donor_start
	there /tmp/emp-donor -s /tmp/donor.control status
	insmod "$top/build/modules/$(uname -r)/emp_rdma.ko"
	empctl events --follow >"$out/events.txt" 2>&1 &
	events_pid=$!
}

value() { cat "$sys/$1" 2>/dev/null || echo gone; }
is() { [ "$(value "$1")" = "$2" ]; }
mib() { echo $(($(cat "$sys/$1" 2>/dev/null || echo 0) >> 20)); }
tiers() { empctl tier show vm0 | cut -c1-78; }
filled() { grep -q 'memcheck: filled' "$out/guest.txt"; }

# What happens besides the guest; what it waits for is bounded.
donor_story()
{
	local start i status=0

	story || status=$?
	[ "$status" -eq 0 ] || say "the donor's part of this FAILED"
	echo enough 1<>"$enough"	# does not wait for a reader that is gone
	return "$status"
}

story()
{
	until_true 1000 filled || return
	sleep $((seconds / 2))
	say "half-way; policy: redundancy=$policy, the region says $(value redundancy), $(value exposed) bytes are on one tier only"
	tiers
	# shellcheck disable=SC2016 # for the other machine
	there sh -c 'kill -9 $(cat /tmp/donor.pid)' || return
	start=$SECONDS
	say "THE DONOR IS KILLED (kill -9)"
	until_true 150 is tiers/0/state lost || return
	echo "$((SECONDS - start)) s later: tier 0 is lost. $(mib exposed) MiB are there once now; the guest goes on"
	sleep 6
	tiers

	say "a new donor, which has nothing: the old tier is removed (without --force: nothing was only there), it is added"
	donor_start || return
	empctl tier remove vm0 0 || return
	empctl tier add vm0 "$donor_spec|key=$keys" >/dev/null || return
	start=$SECONDS
	for ((i = 0; i < 600; i++)); do
		echo "rebuild: $(mib rebuild_left) MiB to look at, $(mib exposed) MiB with one copy"
		! is exposed 0 || ! is rebuild_left 0 || break
		sleep 2
	done
	is exposed 0 || return
	say "REBUILT in $((SECONDS - start)) s: all has two copies again"
	tiers
}

# The region is gone. 0: all of it was as it should.
donor_ends()
{
	local lost pages status=0

	kill "$events_pid"
	wait "$events_pid" || true
	rm -f "$keys"
	until_true 50 rmmod emp_rdma 2>/dev/null
	say "the donor's death, in the words of empctl events"
	grep tier "$out/events.txt"
	grep -q tier-lost "$out/events.txt" || { echo "nobody noticed that the donor died"; status=1; }
	lost=$(awk '$1 == "fault_lost" { print $2 }' "$out/stats.txt")
	pages=$(sed -n 's/^memcheck: \(.*\) of .* pages lost$/\1/p' "$out/guest.txt")
	echo "lost: ${lost:-?} accesses by the host's count (fault_lost), $pages pages by the guest's"
	[ "$lost $pages" = '0 0' ] || status=1
	return "$status"
}
