#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# emp-donor as far as it goes without an RDMA device: options, settings, keys, and
# what it says when something is wrong.
# time: 60
set -u

cd "$(dirname "$0")/../.." || exit 1
donor=$PWD/userspace-tools/build/emp-donor
[ -x "$donor" ] || { echo "1..0 # SKIP $donor is not built"; exit 77; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
nr=0 bad=0

# says NAME STATUS WORDS ARGUMENT...: that exit status, and WORDS in the one line of
# stderr, or with status 0 on stdout (if there are WORDS)
says()
{
	local name=$1 status=$2 words=$3 got out=$tmp/out
	shift 3
	timeout 20 "$donor" "$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	[ "$status" -eq 0 ] || out=$tmp/err
	nr=$((nr + 1))
	if [ "$got" -eq "$status" ] && [ "$(wc -l <"$tmp/err")" -eq $((status > 0)) ] &&
		{ [ -z "$words" ] || grep -q -- "$words" "$out"; }; then
		echo "ok $nr - $name"
	else
		bad=1
		echo "not ok $nr - $name"
		echo "# emp-donor $*: status $got"
		sed 's/^/# /' "$tmp/out" "$tmp/err"
	fi
}

conf()	# LINE...
{
	printf '%s\n' "$@" >"$tmp/conf"
}

echo "TAP version 14"
socket=$tmp/socket
run=(-C "$tmp/conf" -s "$socket")
conf
says help 0 '-m, --memory MB' --help
says version 0 'emp-donor (Annex)' --version
says 'an unknown command' 2 "did you mean 'status'" statsu
says 'an unknown option' 2 'nosuch' --nosuch
says 'a verb without its operand' 2 'usage: emp-donor resize SIZE' resize
says 'no size' 2 'is no size' -s "$socket" resize much
says 'nobody there' 1 'no emp-donor runs there' -s "$socket" status
says 'no configuration' 1 'No such file' -C "$tmp/none"
says 'no key file' 1 'no key-file' "${run[@]}" -m 128
says 'a key' 0 '' key add "$tmp/keys" host1 --quota 1G
says 'a key twice' 1 'is there already' key add "$tmp/keys" host1
says 'a bad name' 1 'a name is' key add "$tmp/keys" 'a b'
run+=(-k "$tmp/keys")
says 'no number' 1 "memory: 'lots' is no number" "${run[@]}" -m lots
says 'less than a slab' 1 'less than one slab of 64 MiB' "${run[@]}" -m 16
says 'a slab of an odd size' 1 'power of two' "${run[@]}" -m 128 -o slab=3M
says 'a port' 1 "port: '70000'" "${run[@]}" -p 70000
says 'a pair that is none' 1 'is not KEY=VALUE' "${run[@]}" -o slab
conf 'memory = 128M' 'prot = 1'
says 'a line of the configuration' 1 "line 2: unknown setting 'prot'; did you mean 'port'?" "${run[@]}"
conf 'memory = 128M' 'heartbeat = 10s' 'client-timeout = 15s'
says 'times that do not fit' 1 'less than two heartbeats' "${run[@]}"
conf 'memory = 128M' 'lock = no'
says 'no RDMA device' 1 'there is no RDMA device' "${run[@]}" -d nosuch0
says completion 0 'complete -o bashdefault -F' --generate bash
echo "1..$nr"
exit "$bad"
