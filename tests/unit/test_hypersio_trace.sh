#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# hypersio's trace, convert, info, validate and plot from the outside: the
# original's files byte for byte, every format there and back, what is refused.
# time: 120
set -u

cd "$(dirname "$0")/../.." || exit 1
top=$PWD
hypersio=$top/userspace-tools/build/hypersio
[ -x "$hypersio" ] || { echo "1..0 # SKIP $hypersio is not built"; exit 77; }
ref=$top/tests/hypersio/ref

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

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

# run STATUS ARGUMENT...: output in out and err; an error is one line
run()
{
	local status=$1 got
	shift
	"$hypersio" "$@" >out 2>err
	got=$?
	[ "$got" = "$status" ] && [ "$(wc -l <err)" = $((status > 0)) ] && return
	echo "# hypersio $*: status $got, not $status; or not one line on stderr"
	sed 's/^/# /' out err
	return 1
}

# says NAME STATUS WORDS ARGUMENT...: WORDS stand in a line of its output
says()
{
	local name=$1 status=$2 words=$3
	shift 3
	run "$status" "$@" && { grep -qE -- "$words" out err ||
		{ echo "# no line with: $words"; sed 's/^/# /' out err; false; }; }
	result $? "$name"
}

sum()	# FILE: as SHA256SUMS has it
{
	sed -n "s/  $1\$//p" "$ref/SHA256SUMS"
}

same()	# FILE NAME: is it the reference NAME?
{
	[ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$(sum "$2")" ]
}

sorted()	# FILE BYTES NAME: the same in whatever order
{
	[ "$(od -An -v -tx1 -w"$2" "$1" | tr -d ' ' | sort | sha256sum | cut -d' ' -f1)" = "$(sum "$3")" ]
}

echo "TAP version 14"
echo "1..36"

# --- byte for byte ----------------------------------------------------------------

run 0 trace --compat --logs "$ref/ref_vm_3_log_*" --tenants 6 --out rr3 &&
	same rr3_iotlb_trace.bin ref_tnt_6_rr3_iotlb_trace.bin
result $? "compat: round robin, byte for byte the original's"
sorted rr3_cc_data.bin 20 ref_tnt_6_rr3_cc_data.sorted &&
	sorted rr3_slpt_data.bin 42 ref_tnt_6_rr3_slpt_data.sorted
result $? "compat: context and page-table entries are the original's"
run 0 trace --compat --logs "$ref/ref_vm_3_log_*" --tenants 6 --order rand --burst 6 --out rand6 &&
	same rand6_iotlb_trace.bin ref_tnt_6_rand6_iotlb_trace.bin
result $? "compat: random order, byte for byte the original's"
for name in ref_tnt_6_rr3 ref_tnt_6_rand6 syn_tnt_64_rr3; do
	run 0 convert --format hypersio "$ref/$name.hsio" "$name" &&
		same "${name}_iotlb_trace.bin" "${name}_iotlb_trace.bin"
	result $? "convert to the original's format: $name"
	run 0 convert "$name" back.hsio && run 0 convert --format hypersio back.hsio again &&
		cmp "${name}_iotlb_trace.bin" again_iotlb_trace.bin >/dev/null
	result $? "convert there and back: $name"
done
run 0 trace --compat --logs "$ref/ref_vm_3_log_*" --tenants 6 --order log --out log &&
	[ "$(stat -c %s log_iotlb_trace.bin)" = 103680 ] && run 0 validate log
result $? "compat: in the order of the logs"
says "compat: more tenants than the logs have" 1 'only 6 tenants' \
	trace --compat --logs "$ref/ref_vm_3_log_*" --tenants 7 --out x

# --- our own ------------------------------------------------------------------------

says "trace: 1024 tenants" 0 '1024 tenants, 122880 packets' \
	trace --logs "$ref/ref_vm_3_log_*" --tenants 1024 --out t.hsio
says "validate: it is right" 0 'translations of [0-9]+ pages' validate t.hsio
says "info" 0 'device = ref_vm_3_log_0.txt.zst:00:02.0 120 packets' info t.hsio
run 0 info --json t.hsio && python3 -c '
import json, sys
t = json.load(open("out"))[0]
sys.exit(not (t["tenants"] == 1024 and t["records"] == 368640 and t["next"] is True
	and t["bytes"] / t["records"] < 8))'
result $? "info --json, and at most 8 bytes a record"
for order in rr random zipf zipf:0.5 burst; do
	run 0 trace --logs "$ref/ref_vm_3_log_*" --tenants 50 --order "$order" --seed 7 --out a.hsio &&
		run 0 trace --logs "$ref/ref_vm_3_log_*" --tenants 50 --order "$order" --seed 7 --out b.hsio &&
		cmp a.hsio b.hsio >/dev/null && run 0 validate a.hsio
	result $? "order $order: the same again, and valid"
done
run 0 trace --logs "$ref/ref_vm_3_log_*" --tenants 50 --no-next --out a.hsio &&
	run 0 convert --next make a.hsio b.hsio &&
	run 0 trace --logs "$ref/ref_vm_3_log_*" --tenants 50 --out c.hsio && cmp b.hsio c.hsio >/dev/null
result $? "next uses made afterwards are the same"
run 0 convert --format hypersio c.hsio c
printf '\1' | dd of=c_iotlb_trace.bin bs=1 seek=41 conv=notrunc 2>/dev/null
says "validate: a wrong next use" 1 'next use .* is wrong.*--next make' validate c

# --- refused --------------------------------------------------------------------------

says "no logs" 2 'which logs' trace --tenants 2 --out x
says "a pattern without files" 1 'no file' trace --logs 'nothing/*' --tenants 2 --out x
says "no tenants" 2 '--tenants' trace --logs "$ref/*.zst" --out x
says "too many tenants" 2 'from 1 to' trace --logs "$ref/*.zst" --tenants 2000000 --out x
says "an unknown order" 2 "'lottery' is not one of" trace --logs "$ref/*.zst" --tenants 2 --order lottery --out x
says "a Zipf exponent that is none" 2 'exponent' trace --logs "$ref/*.zst" --tenants 2 --order zipf:x --out x
echo nonsense >nonsense.log
says "a log without translations" 1 'no translation in 1 log' trace --logs nonsense.log --tenants 2 --out x
says "a directory that is not there" 1 'temporary file in' trace --logs "$ref/*.zst" --tenants 2 --out no/x.hsio
head -c 3000 t.hsio >cut.hsio
says "a trace that was cut" 1 'cut.hsio: cut off' info cut.hsio
says "a trace that is none" 1 'no trace' info nonsense.log

# --- plot -----------------------------------------------------------------------------

cat >table.csv <<'CSV'
config,model,tenants,ptb,utilization
base,compat,4,1,0.99
"a ""b"", c",compat,4,32,1
base,compat,8,1,0.06
"a ""b"", c",compat,8,32,0.9
CSV
run 0 plot table.csv --by config --title "it's" && head -c 24 table.png | grep -aq IHDR &&
	grep -q 'a "b", c\|a &quot;b&quot;, c' table.svg && grep -q "it's\|it&#39;s\|it&apos;s" table.svg
result $? "plot: SVG and PNG"
says "plot: an unknown column" 2 "did you mean 'tenants'" plot table.csv --x tenant
echo 'base,compat' >>table.csv
says "plot: a line with too few fields" 1 'line 6' plot table.csv
rm -f x x_* x.hsio
[ "$(find . -name '*.part' | wc -l)" = 0 ]
result $? "what failed left no part of a file"
exit $bad
