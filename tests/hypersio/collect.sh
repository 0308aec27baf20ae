#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# hypersio collect in the lab: two tenants' real requests become a log whose every
# translation has a page size, and that becomes a trace of 1024 tenants and a plot.
# What it refuses needs no lab.
# time: 600
set -u

cd "$(dirname "$0")/../.." || exit 1
hypersio=$PWD/userspace-tools/build/hypersio
[ -x "$hypersio" ] || { echo "1..0 # SKIP $hypersio is not built"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

nr=0 bad=0

result()	# OK NAME
{
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "ok $nr - $2"
	else
		echo "not ok $nr - $2"
		sed 's/^/# /' "$tmp/out"
		sed 's/^/# /' "$tmp"/logs/*.txt 2>/dev/null | tail -n 20
		bad=1
	fi
}

# refuses NAME WORDS ARGUMENT...: wrong usage, in one line
refuses()
{
	local name=$1 words=$2
	shift 2
	"$hypersio" collect "$@" >"$tmp/out" 2>&1
	[ $? = 2 ] && [ "$(wc -l <"$tmp/out")" = 1 ] && grep -q -- "$words" "$tmp/out"
	result $? "$name"
}

echo "TAP version 14"
echo "1..9"
refuses "no directory" '--out' --test iperf3
refuses "an unknown test" "'ping' is none of" --test ping --out "$tmp/x"
refuses "too many tenants" 'from 1 to 16' --tenants 17 --out "$tmp/x"
refuses "an unknown device" "'ne2k' is none of" --nic ne2k --out "$tmp/x"
"$hypersio" collect --lab "$tmp/nothing" --out "$tmp/x" >"$tmp/out" 2>&1
[ $? = 1 ] && grep -q -- '--lab .*nothing' "$tmp/out" && [ ! -e "$tmp/x" ]
result $? "a lab that is not there"

"$hypersio" collect --test sockperf --tenants 2 --time 1 --out "$tmp/logs" >"$tmp/out" 2>&1
result $? "collect: requests and responses of two tenants"
log=$(echo "$tmp"/logs/*.log.zst)
[ "$(find "$tmp/logs" -type f | wc -l)" = 2 ] && [ -z "$(find "$tmp/logs" -type p)" ] && [ -f "$log" ]
result $? "only the log and what was said are left"
# a busy machine gets only a few requests through
"$hypersio" trace --logs "$log" --tenants 1024 --packets 20000 --least 1 --out "$tmp/t.hsio" \
	>"$tmp/out" 2>&1 &&
	grep -q '1 log: .* 2 devices' "$tmp/out" && ! grep -q warning "$tmp/out" &&
	"$hypersio" validate "$tmp/t.hsio" >>"$tmp/out" 2>&1
result $? "the log becomes a trace of 1024 tenants, all page sizes known"
"$hypersio" explore --trace "$tmp/t.hsio" --sweep 'config=base,hypertrio tenants=16,256,1024' \
	--out "$tmp/sweep" >"$tmp/out" 2>&1 &&
	"$hypersio" plot "$tmp/sweep" --by config >>"$tmp/out" 2>&1 &&
	[ -s "$tmp/sweep/plot.svg" ] && [ -s "$tmp/sweep/plot.png" ]
result $? "and a plot"
exit $bad
