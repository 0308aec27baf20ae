#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# hypersio run, config and explore: what they print, refuse, and go on with.
# time: 300
set -u

cd "$(dirname "$0")/../.." || exit 1
hypersio=$PWD/userspace-tools/build/hypersio
trace=$PWD/tests/hypersio/ref/syn_tnt_64_rr3.hsio
configs=$PWD/userspace-tools/hypersio/configs
[ -x "$hypersio" ] || { echo "1..0 # SKIP $hypersio is not built"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

nr=0 bad=0

result()	# STATUS NAME
{
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "ok $nr - $2"
	else
		echo "not ok $nr - $2"
		sed 's/^/# /' "$tmp/out" "$tmp/err" 2>/dev/null | head -20
		bad=1
	fi
}

# run STATUS ARGUMENT...: output in $tmp/out and $tmp/err; an error is one line
run()
{
	local status=$1 got
	shift
	"$hypersio" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	got=$?
	[ "$got" = "$status" ] && { [ "$status" = 0 ] || [ "$(wc -l <"$tmp/err")" = 1 ]; } && return
	echo "# hypersio $*: status $got, not $status, or not one line on stderr"
	return 1
}

# refuses NAME STATUS WORDS ARGUMENT...
refuses()
{
	local name=$1 status=$2 words=$3
	shift 3
	run "$status" "$@" && grep -qE -- "$words" "$tmp/err"
	result $? "$name"
}

# toml NAME WORDS LINE...: a configuration of these lines is refused, in these words
toml()
{
	local name=$1 words=$2
	shift 2
	printf '%s\n' "$@" >"$tmp/$name.toml"
	refuses "toml-$name" 1 "$words" config check "$tmp/$name.toml"
}

echo "TAP version 14"

# --- output ---------------------------------------------------------------------

run 0 run -t "$trace" -c hypertrio && grep -q '^utilization .*83.27 %.*166539 Mb/s' "$tmp/out" &&
	grep -qE '^  ptb +[0-9.]+ %' "$tmp/out"
result $? table

# JSON and CSV say the same; the line per tenant adds up
run 0 run -t "$trace" -c hypertrio --json --tenants && cp "$tmp/out" "$tmp/json" &&
	run 0 run -t "$trace" -c hypertrio --csv && python3 - "$tmp/json" "$tmp/out" <<'PY'
import csv, json, sys
j = json.load(open(sys.argv[1]))
row, = csv.DictReader(open(sys.argv[2]))
assert j["mbps"] == 166539 and j["time_ns"] == 189626 and j["drops"] == 536, j
for name, text in row.items():
    if text != "inf":
        assert abs(float(text) - j[name]) <= 1e-5 * abs(j[name]), (name, text, j[name])
assert len(j["tenants"]) == 64 and sum(t["translations"] for t in j["tenants"]) == 7680
assert all(0 < t["p50_ns"] <= t["p99_ns"] <= t["p999_ns"] for t in j["tenants"])
assert j["config"]["ptb"] == 32
PY
result $? json-csv

run 0 run -t "$trace" -c "$configs/hypertrio.toml" && cp "$tmp/out" "$tmp/file" &&
	run 0 run -t "$trace" -c hypertrio && cmp -s "$tmp/out" "$tmp/file" &&
	run 0 run -t "$trace" -c "$configs/base.toml" && cp "$tmp/out" "$tmp/file" &&
	run 0 run -t "$trace" && cmp -s "$tmp/out" "$tmp/file"
result $? shipped-configurations

# the documented list is that of the program
run 0 config keys --markdown && [ "$(wc -l <"$tmp/out")" -gt 50 ] &&
	[ -s docs/hypersio-model.md ] && ! grep -vxF -f docs/hypersio-model.md "$tmp/out"
result $? keys-documented

run 0 run -t "$trace" -m model -c hypertrio -s tenants=4 -s packets=100 --json &&
	grep -q '"tenants_seen": 4,' "$tmp/out" && grep -q '"packets": 100,' "$tmp/out"
result $? tenants-and-packets

# --- what is refused --------------------------------------------------------------

refuses no-trace 2 'needs --trace' run
refuses trace-missing 1 'nothing.hsio' run -t "$tmp/nothing.hsio"
refuses set-key 2 "no key 'iotlb.siz'; did you mean 'iotlb.size'" run -t "$trace" -s iotlb.siz=4
refuses set-value 2 "'lro' is none of lru, lfu, random, oracle; did you mean 'lru'" \
	run -t "$trace" -s iotlb.policy=lro
refuses set-range 2 'ptb: 0 is not from 1' run -t "$trace" -s ptb=0
refuses set-negative 2 'is not a whole number' run -t "$trace" -s ptb=-1
refuses no-such-config 1 "no configuration 'hypertrioo'; did you mean 'hypertrio'" \
	run -t "$trace" -c hypertrioo
refuses model-only 1 'no effect in the compat model' run -t "$trace" -s walk.walkers=4
refuses groups 1 'iotlb.groups: 16 for 8 sets' run -t "$trace" -s iotlb.groups=16
refuses gbps-fraction 1 'whole numbers' run -t "$trace" -s link.gbps=2.5
refuses original-of-model 2 'needs the compat model' run -t "$trace" -m model --original

toml unknown 'unknown.toml:3: no key .iotlb.wais.; did you mean .iotlb.ways' '[iotlb]' '' 'wais = 8'
toml table ':1: no table \[iotbl\]' '[iotbl]' 'size = 8'
toml twice ':2: ptb stands here for the second time' 'ptb = 3' 'ptb = 4'
toml table-twice ':3: \[iotlb\] stands here for the second time' '[iotlb]' '[l2]' '[iotlb]'
toml quotes ':1: ptb: the value must not be in quotes' 'ptb = "3"'
toml no-quotes ':1: order: the value must be in quotes' 'order = inorder'
toml array ':1: arrays' 'ptb = [1, 2]'
toml trailing ':2: something follows' '# fine' 'ptb = 3 4'
toml string-end ':1: the string does not end' 'order = "ooo'
toml late-preset ':2: preset must be the first key' 'ptb = 3' 'preset = "base"'
toml no-value ':1: no value' 'ptb ='
toml not-text ':1: not KEY = VALUE' "$(printf 'ptb\001 = 3')"

printf 'CC\nsize:1\nassoc:1\nepg:1\n' >"$tmp/old.cfg"
refuses cfg-old-key 1 "old.cfg:4: no key 'epg'" config check "$tmp/old.cfg"
sed 's/groups:8/groups:0/' tests/hypersio/ref/cfg/hyper.cfg >"$tmp/zero.cfg"
refuses cfg-zero-groups 1 'IOTLB: groups must be at least 1' config check "$tmp/zero.cfg"
sed '/L3PAGE/,$d' tests/hypersio/ref/cfg/hyper.cfg >"$tmp/short.cfg"
refuses cfg-missing-section 1 'section L3PAGE is missing' config check "$tmp/short.cfg"

# --- explore --------------------------------------------------------------------------

sweep='config=base,hypertrio tenants=4..64*2 model=compat,model'
explore()	# DIR ARGUMENT...
{
	local dir=$1
	shift
	run 0 explore -t "$trace" --sweep "$sweep" -o "$tmp/$dir" "$@"
}

explore one -j 1 && explore two -j 2 && cmp "$tmp/one/results.csv" "$tmp/two/results.csv" &&
	cmp "$tmp/one/results.json" "$tmp/two/results.json" &&
	[ "$(wc -l <"$tmp/one/results.csv")" = 21 ] &&
	grep -q '^hypertrio,compat,64,.*,0.832696,166539,189626,7680,2560,536,' "$tmp/one/results.csv"
result $? explore-deterministic

# the longest start first: one that starts last would leave the other jobs idle
find "$tmp/one/runs" -name '*.json' -printf '%T@ %p\n' | sort -n | cut -d' ' -f2 |
	xargs grep -ohE 'tenants = [0-9]+' | cut -d' ' -f3 >"$tmp/order"
[ "$(wc -l <"$tmp/order")" = 20 ] && sort -rnc "$tmp/order"
result $? explore-longest-first

# nothing is run twice; what a run left half-written is not taken for a result
explore two -j 2 && grep -q '20 of 20 runs are there already' "$tmp/err" &&
	first=$(find "$tmp/two/runs" -name '*.json' | sort | head -1) &&
	head -c 100 "$first" >"$tmp/part" && cp "$tmp/part" "$first" &&
	explore two -j 2 && grep -q '19 of 20 runs are there already' "$tmp/err" &&
	cmp "$tmp/one/results.csv" "$tmp/two/results.csv"
result $? explore-keeps

# killed at any moment, it goes on and ends with the same table
status=0
for ms in 005 020 040 080; do
	rm -rf "$tmp/killed"
	{
		timeout -s KILL "0.$ms" "$hypersio" explore -t "$trace" --sweep "$sweep" \
			-o "$tmp/killed" -j 2
	} >/dev/null 2>&1
	explore killed -j 2 && cmp "$tmp/one/results.csv" "$tmp/killed/results.csv" || status=1
done
result "$status" explore-killed

refuses sweep-key 2 "no key 'ptbs'; did you mean 'ptb'" \
	explore -t "$trace" --sweep 'ptbs=1' -o "$tmp/x"
refuses sweep-empty 2 "'8..4' is empty" explore -t "$trace" --sweep 'ptb=8..4' -o "$tmp/x"
refuses sweep-endless 2 'does not end' explore -t "$trace" --sweep 'ptb=1..4*1' -o "$tmp/x"
refuses sweep-twice 2 'ptb: 4 stands there twice' explore -t "$trace" --sweep 'ptb=4,1..9' -o "$tmp/x"
refuses sweep-misfit 1 'run 2 of the sweep: iotlb.groups: 16 for 8 sets' \
	explore -t "$trace" --sweep 'iotlb.groups=8,16' -o "$tmp/x"
refuses sweep-huge 2 'more than 100000' explore -t "$trace" --sweep 'seed=1..1000000' -o "$tmp/x"
[ ! -e "$tmp/x" ]
result $? refused-leaves-nothing

refuses explore-bad-trace 1 'nothing' explore -t "$tmp/nothing" --sweep 'ptb=1,2' -o "$tmp/y"

echo "1..$nr"
exit $bad
