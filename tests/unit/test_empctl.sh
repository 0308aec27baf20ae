#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# empctl on a made-up sysfs: what it prints, computes, writes and refuses.
# Needs no module.
# time: 60
set -u

cd "$(dirname "$0")/../.." || exit 1
top=$PWD
empctl=$top/userspace-tools/build/empctl
[ -x "$empctl" ] || { echo "1..0 # SKIP $empctl is not built"; exit 77; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export EMP_SYSFS=$tmp/sysfs EMP_CONTROL=$tmp/no-control EMP_MOUNT=$tmp/mnt

nr=0 bad=0

result()	# OK NAME
{
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "ok $nr - $2"
	else
		echo "not ok $nr - $2"
		bad=1
	fi
}

# run STATUS ARGUMENT...: output in $tmp/out and $tmp/err
run()
{
	local status=$1 got
	shift
	"$empctl" "$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	# an error is one line
	[ "$got" = "$status" ] && [ "$(wc -l <"$tmp/err")" -le $((status > 0)) ] && return
	echo "# empctl $*: status $got, not $status; or more lines on stderr than one"
	sed 's/^/# /' "$tmp/out" "$tmp/err"
	return 1
}

# says NAME STATUS WORDS ARGUMENT...: WORDS stand in a line of its output
says()
{
	local name=$1 status=$2 words=$3
	shift 3
	run "$status" "$@" && { grep -qE -- "$words" "$tmp/out" "$tmp/err" ||
		{ echo "# no line with: $words"; sed 's/^/# /' "$tmp/out" "$tmp/err"; false; }; }
	result $? "$name"
}

# put NODE VALUE: in region vm0
put()
{
	mkdir -p "$(dirname "$EMP_SYSFS/vm0/$1")"
	printf '%b' "$2\n" >"$EMP_SYSFS/vm0/$1"
}

counters=$(sed -n 's/^[\t#define]*EMP_COUNTERS(X).*//; /EMP_HISTS/q; s/^\tX(\([a-z_]*\)).*/\1/p' \
	emp-kmod/emp_stats.h)

fake_region()
{
	local c

	put bytes 8589934592; put dram_limit 2147483648; put dram_min 33554432
	put resident 1073741824; put dirty 1048576; put pin_limit 0; put pinned 0; put block_size 2097152; put subblock_size 65536
	put map auto; put flags 'autodestroy checksum '; put owner 0:0
	put high_free 8388608; put low_free 4194304; put readahead 131072
	put lost_retry_ms 1000; put retain_ms 50; put promote 1; put metadata_bytes 1000000
	put redundancy none; put exposed 0; put rebuild_left 0; put rebuild_rate 0
	for c in $counters; do
		put "stats/$c" 0
	done
	put stats/fault_zero 1000; put stats/fault_fetch 50
	put stats/fault_read_ns '1024 50\n2048 49\n65536 1'
	put stats/fault_write_ns ''
	put stats/fault_fetch_ns '65536 3'
	put tiers/0/type block; put tiers/0/device /dev/nvme0n1; put tiers/0/state ok
	put tiers/0/base 0; put tiers/0/bytes 8589934592; put tiers/0/used 2097152
	put tiers/0/deadline_ms 10000; put tiers/0/queue_depth 128; put tiers/0/inflight 3
	put tiers/0/reads 10; put tiers/0/read_bytes 1000000
	put tiers/0/writes 20; put tiers/0/write_bytes 2000000
	put tiers/0/read_errors 0; put tiers/0/write_errors 1; put tiers/0/timeouts 2
	put tiers/0/read_latency '65536 10'; put tiers/0/write_latency ''
	: >"$EMP_SYSFS/vm0/evict"
}

json()	# EXPRESSION: true of the JSON in $tmp/out, called d
{
	python3 -c "import json,sys; d=json.load(open('$tmp/out')); sys.exit(not ($1))"
}

echo "KTAP version 1"

# without the module
says "top without the module" 1 'module is not loaded \(modprobe emp' top
says "destroy without the module" 1 'module is not loaded' region destroy vm0
says "events without the module" 1 'module is not loaded' events
says "region show without the module" 1 'module is not loaded' region show vm0
says "doctor says what is missing" 1 'fix: sudo modprobe emp' doctor

mkdir -p "$EMP_SYSFS"
says "no regions: an empty list" 0 '^$|^\[\]$' --json region list
says "no such region" 1 'no region vm9' region show vm9
says "a path is no region" 1 'no region' region show ../x
fake_region

says "region list" 0 '^vm0 +8 GiB +1 GiB +2 GiB +auto$' region list
says "region show" 0 '^  dram_limit +2147483648  \(2 GiB\)$' region show vm0
says "region show: dirty in bytes" 0 '^  dirty +1048576  \(1 MiB\)$' region show vm0
run 0 region show vm0 --json && json 'd["name"] == "vm0" and d["dram_limit"] == 2147483648 and d["tiers"] == ["0"] and d["flags"] == "autodestroy checksum"'
result $? "region show --json"
run 0 -j region show && json 'len(d) == 1'
result $? "region show --json of all"

says "tier show" 0 '^0 +/dev/nvme0n1 +ok +8 GiB +2 MiB .* 0/1/2$' tier show vm0
run 0 tier show vm0 --json && json 'd[0]["bytes"] == 8589934592 and 32768 <= d[0]["read_p50_ns"] <= 65536 and d[0]["write_p50_ns"] == -1'
result $? "tier show --json"

says "stats" 0 '^  fault_zero +1000$' stats vm0
says "percentiles" 0 '^  fault_read_ns +100, p50 1\.0 us, p99 2\.0 us' stats vm0
run 0 stats vm0 --json && json 'd["fault_fetch"] == 50 and d["fault_read_ns"]["buckets"] == [[1024, 50], [2048, 49], [65536, 1]]'
result $? "stats --json"

run 0 stats --prometheus
python3 - "$tmp/out" <<'END'
import re, sys
typed, seen, last = {}, set(), None
for line in open(sys.argv[1]):
    line = line.rstrip('\n')
    if line.startswith('# HELP '):
        assert re.fullmatch(r'# HELP [a-z_]+ .+\.', line), line
    elif line.startswith('# TYPE '):
        name, kind = line.split()[2:]
        assert name not in typed, 'twice: ' + name
        typed[name], last = kind, name
    else:
        m = re.fullmatch(r'([a-z_]+)\{([a-z]+="[^"]*",?)+\} [0-9.e+-]+', line)
        assert m, line
        base = re.sub('_(bucket|sum|count)$', '', m[1]) if typed[last] == 'histogram' else m[1]
        assert base == last, line + ' after ' + last
        assert line not in seen
        seen.add(line)
        if typed[last] == 'counter':
            assert m[1].endswith('_total'), line
assert 'annex_emp_fault_zero_total{region="vm0"} 1000' in seen
assert 'annex_emp_fault_read_seconds_bucket{region="vm0",le="2.048e-06"} 99' in seen
assert 'annex_emp_fault_read_seconds_count{region="vm0"} 100' in seen
END
result $? "stats --prometheus"

missing=''
run 0 stats vm0 --json
for c in $counters; do
	json "'$c' in d" || missing+=" $c"
done
[ -n "$counters" ] && [ -z "$missing" ] || echo "# missing:$missing"
[ -n "$counters" ] && [ -z "$missing" ]
result $? "every counter of the module is known"

run 0 region set vm0 dram_limit=1G readahead=256K && [ "$(cat "$EMP_SYSFS/vm0/dram_limit")" = 1073741824 ] &&
	[ "$(cat "$EMP_SYSFS/vm0/readahead")" = 262144 ]
result $? "region set"
says "region set of an unknown key" 2 "did you mean 'dram_limit'" region set vm0 dram_limt=1
says "region set of a read-only key" 2 "'bytes' cannot be set" region set vm0 bytes=1
says "region set without a value" 2 'not KEY=VALUE' region set vm0 dram_limit=
run 2 region set vm0 dram_limit=5 bogus=1; [ "$(cat "$EMP_SYSFS/vm0/dram_limit")" = 1073741824 ]
result $? "region set writes nothing when one key is wrong"
run 0 tier set vm0 0 deadline_ms=20000 && [ "$(cat "$EMP_SYSFS/vm0/tiers/0/deadline_ms")" = 20000 ]
result $? "tier set"
says "tier remove: timeout too long" 2 'not a number from 1 to 86400' tier remove vm0 0 --timeout 86401
says "tier set of no number" 2 'neither number nor device of a tier' tier set vm0 x deadline_ms=1

# rates: 100 fetches, 10 MB read and 20 evictions between two tables
fake_region
{
	sleep 0.5
	put stats/fault_fetch 150; put stats/evict_written 15; put stats/evict_zero 5
	put tiers/0/read_bytes 11000000; put stats/fault_write_ns '4096 10'
} &
run 0 --json top vm0 --count 1 --interval 1 && json '80 < d[0]["fetch_per_s"] < 101 and 8e6 < d[0]["read_bytes_per_s"] < 1.01e7 and 16 < d[0]["evicted_per_s"] < 20.1 and 2048 <= d[0]["p50_ns"] <= 4096'
result $? "top: rates and latency of the interval only"
wait
put tiers/0/link suspect
{
	sleep 0.5
	put tiers/0/write_bytes 22000000; put tiers/0/read_latency '65536 20'
} &
run 0 --json top vm0 --count 1 --interval 1 && json 'len(d[0]["tiers"]) == 1 and d[0]["tiers"][0]["link"] == "suspect" and d[0]["tiers"][0]["read_bytes_per_s"] == 0 and 16e6 < d[0]["tiers"][0]["written_bytes_per_s"] < 2.01e7 and 32768 <= d[0]["tiers"][0]["read_p99_ns"] <= 65536'
result $? "top: health and latency of tiers"
wait
says "top --tiers" 0 '^ +0 /dev/nvme0n1 +ok \(suspect\) +2 MiB/8 GiB +rd +0.0 MB/s +wr +0.0 MB/s' top --batch --tiers -n 1 -i 0.1
rm "$EMP_SYSFS/vm0/tiers/0/link"
says "top --batch" 0 '^[0-9:]+ +vm0 +8 GiB +1 GiB/2 GiB +0 +0 +0 ' top --batch -n 1 -i 0.1
says "top: bad interval" 2 'from 0.1 to 3600' top -i 0

# record and plot
(for i in 1 2 3 4 5; do sleep 0.1; put stats/fault_zero $((1000 + i * 100)); done) &
run 0 record vm0 --out "$tmp/r.csv" --interval 100 --count 6
result $? "record"
wait
[ "$(wc -l <"$tmp/r.csv")" = 7 ] && [ "$(awk -F, '{ print NF }' "$tmp/r.csv" | sort -u | wc -l)" = 1 ]
result $? "record: a header and 6 rows"
run 0 plot "$tmp/r.csv" --out "$tmp/r.svg" --title 'a <b> & c' && python3 - "$tmp/r.svg" <<'END'
import sys, xml.dom.minidom
d = xml.dom.minidom.parse(sys.argv[1])
texts = [t.firstChild.data for t in d.getElementsByTagName('text')]
assert 'a <b> & c' in texts and 'time (s)' in texts and 'limit' in texts, texts
assert len(d.getElementsByTagName('path')) == 9
END
result $? "plot: well-formed, titled, every series"
echo 'a,b' >"$tmp/x.csv"
says "plot of something else" 1 'not a file of empctl record' plot "$tmp/x.csv" --out "$tmp/x.svg"
head -2 "$tmp/r.csv" >"$tmp/x.csv"
says "plot of one sample" 1 'at least two samples' plot "$tmp/x.csv" --out "$tmp/x.svg"
{ head -3 "$tmp/r.csv"; echo 1,2; } >"$tmp/x.csv"
says "plot of a cut line" 1 'line 4' plot "$tmp/x.csv" --out "$tmp/x.svg"
[ ! -e "$tmp/x.svg" ]
result $? "plot: no picture after an error"
(sleep 0.3; rm -r "$EMP_SYSFS/vm0") &
timeout 10 "$empctl" record vm0 --out "$tmp/g.csv" --interval 50
result $? "record ends when the region goes"
wait
fake_region

# bad input
says "no command" 2 'no command \(see empctl --help\)'
says "unknown object" 2 "did you mean 'region'" regin list
says "unknown verb" 2 "did you mean 'region list'" region lst
says "unknown and like nothing" 2 "no command 'frobnicate' \(see empctl --help\)" frobnicate
says "missing verb" 2 "needs a verb: create, destroy, list, show, set$" region
says "too many operands" 2 'usage: empctl region destroy NAME' region destroy a b
says "unknown option" 2 'unrecognized option' region list --frob
says "create without --mem" 2 'needs --size SIZE and --mem' region create r0 --size 1G
says "create: bad name" 2 'not a region name' region create R0 --size 1G --mem dram:1024
says "create: bad size" 2 'not a size' region create r0 --size 1.5G --mem dram:1024
says "create: bad spec" 2 'column 6: dram size is not a number' region create r0 --size 1G --mem dram:x
says "create: name twice" 2 'in the spec' region create r0 --size 1G --mem 'dram:1024|name=r1'
says "create: tiers too small" 1 'do not hold the region' region create r0 --size 1G --mem dram:512
says "create: RDMA donor without a key" 1 '/no-such-keys: No such file|module is not loaded' region create r0 --size 1G \
	--mem 'dram:512|10.0.0.1:1024:1|key=/no-such-keys'
says "tier add: dram" 2 'dram is no tier' tier add vm0 dram:5
says "tier add: no device" 1 'no-such-device: no such device|module is not loaded' tier add vm0 /dev/no-such-device:5:0
says "tier add: two" 2 'one tier at a time' tier add vm0 '/dev/ram0:5:0|/dev/ram1:5:0'
says "tier add: key of a region" 2 'only deadline=' tier add vm0 '/dev/ram0:5:0|map=huge'
run 0 --help && ! grep -q generate "$tmp/out"
result $? "--help"
says "--version" 0 '^empctl \(Annex\) [0-9]' --version
says "help of a command" 0 '--size SIZE' region create --help

# man pages and completions are those of the option tables
make -s -C userspace-tools man-check >"$tmp/out" 2>&1 || { sed 's/^/# /' "$tmp/out"; false; }
result $? "man pages and completions match the tools"

echo "1..$nr"
exit $bad
