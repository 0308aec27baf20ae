#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# All states of the donor protocol's model: nothing is lost, stale, leaked or
# stuck; and the same without one of its rules: then something is.
set -u

cd "${0%/*}/../.." || exit 1
model=build/tests/donor/model
nr=0 failed=0

ok()	# NAME STATUS
{
	nr=$((nr + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $nr $1"
	else
		echo "not ok $nr $1"
		failed=1
	fi
}

# finds MUTATION WHAT STATUS
finds()
{
	local out status

	out=$("$model" "$1")
	status=$?
	echo "$out" | sed 's/^[^#]/# &/' | head -n 40
	[ "$status" -eq "$3" ] && grep -qx "$2" <<<"$out"
}

echo "TAP version 14"
list=$("$model" --list) || { echo "Bail out! $model does not run"; exit 1; }
finds none none 0
ok "nothing is found in the whole protocol" $?
while read -r mutation what; do
	finds "$mutation" "$what" 3
	ok "$mutation is found: $what" $?
done <<<"$list"
echo "1..$nr"
[ "$nr" -ge 10 ] || failed=1
exit "$failed"
