#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The compat model gives what the original printed for the reference cases: every
# number, not only time, drops and Mb/s.
# time: 120
set -u

cd "$(dirname "$0")/../.." || exit 1
hypersio=$PWD/userspace-tools/build/hypersio
ref=tests/hypersio/ref
[ -x "$hypersio" ] || { echo "1..0 # SKIP $hypersio is not built"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# case: configuration, trace, settings
cases=(
	"A_base base ref_tnt_6_rr3"
	"A_base_400g base ref_tnt_6_rr3 link.gbps=400"
	"A_small_nocache small ref_tnt_6_rr3"
	"B_hyper hyper ref_tnt_6_rr3 ptb=32"
	"B_rand6_hyper hyper ref_tnt_6_rand6 ptb=32"
	"C_base base syn_tnt_64_rr3"
	"C_hyper hyper syn_tnt_64_rr3 ptb=32"
	"C_hyper_inorder hyper syn_tnt_64_rr3 ptb=32 order=inorder"
	"C_hyper_salloc hyper syn_tnt_64_rr3 ptb=32 selective=true"
)

# normal FILE: without rules, and the lines that it prints in the order of a hash
# table sorted. What it lists as cacheable is a setting, not a result.
normal()
{
	grep -vE '^[-=]+$|^CACHEALE|^\{|^DID' "$1" | sed 's/ *$//'
	grep '^DID' "$1" | sort
}

nr=0 bad=0

check()	# NAME CONFIGURATION TRACE [KEY=VALUE]...
{
	local name=$1 config=$2 trace=$3 ok='' set=()
	shift 3

	for s; do
		set+=(--set "$s")
	done
	nr=$((nr + 1))
	if "$hypersio" run --original --trace "$ref/$trace.hsio" --config "$ref/cfg/$config.cfg" \
		"${set[@]}" >"$tmp/got" && [ "$(grep -c '^DID' "$tmp/got")" -gt 0 ]; then
		normal "$ref/out/$name.txt" >"$tmp/want"
		normal "$tmp/got" | diff -u "$tmp/want" - >"$tmp/diff" && ok=1
		sed 's/^/# /' "$tmp/diff"
	fi
	if [ -n "$ok" ]; then
		echo "ok $nr - $name"
	else
		echo "not ok $nr - $name"
		bad=1
	fi
}

echo "TAP version 14"
echo "1..${#cases[@]}"
for c in "${cases[@]}"; do
	# shellcheck disable=SC2086 # words
	check $c
done
exit $bad
