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

# finds WHAT STATUS PROGRAM OPTION...
finds()
{
	local what=$1 want=$2 out status
	shift 2

	out=$("$@" 2>&1)
	status=$?
	echo "$out" | sed 's/^[^#]/# &/' | head -n 60
	[ "$status" -eq "$want" ] && grep -qx "$what" <<<"$out"
}

nothing()	# NAME OPTION...: the whole protocol, as far as these budgets go
{
	finds none 0 "$model" "${@:2}"
	ok "$1" $?
}

# The way to it is told: some steps, each with what the state is then.
told()	# OPTION...
{
	[ "$("$model" "$@" | grep -c '^# *[0-9]*  .* A .*| donor ')" -ge 3 ]
}

echo "TAP version 14"
parked=(--cools 1 --mirror 0 --breaks 1 --stops 0)
list=$("$model" --list) || { echo "Bail out! $model does not run"; exit 1; }
nothing mirror --kills 0
nothing mirror-killed --breaks 1 --stops 0
nothing no-mirror --mirror 0
nothing no-mirror-no-loss --mirror 0 --losses 0 --lies 1
nothing lying-device --lies 1 --breaks 1 --kills 0 --revokes 0
nothing no-macs --mac 0 --breaks 1
nothing data-connection --data --mac 0 --breaks 1 --stops 0 --kills 0
nothing two-blocks --blocks 2 --mac 0 --breaks 1 --stops 0 --kills 0 --revokes 0
nothing parked "${parked[@]}" --revokes 0
nothing parked-mirror --cools 1 --mac 0 --breaks 1 --stops 0 --kills 0 --revokes 0 --unstored 0
nothing parked-stopped "${parked[@]}" --kills 0 --revokes 0 --stops 1 --losses 0
nothing parked-twice "${parked[@]}" --kills 0 --revokes 0 --cools 2 --losses 0
nothing parked-twice-killed "${parked[@]}" --revokes 0 --cools 2 --breaks 0
nothing parked-twice-stopped "${parked[@]}" --kills 0 --revokes 0 --cools 2 --stops 1 --breaks 0 \
	--losses 0
nothing parked-data-connection "${parked[@]}" --kills 0 --revokes 0 --data --mac 0 --losses 0
nothing parked-revoked "${parked[@]}" --kills 0 --breaks 0
nothing parked-revoked-break "${parked[@]}" --kills 0 --losses 0
nothing parked-two-blocks "${parked[@]}" --kills 0 --revokes 0 --blocks 2 --cools 2 --breaks 0 \
	--losses 0 --unstored 0

while IFS=$'\t' read -r rule what options _; do
	read -ra options <<<"$options"
	finds "$what" 3 "$model" "${options[@]}" --without "$rule"
	ok "without-$rule: $what" $?
done <<<"$list"
told --breaks 0 --without zeroing
ok "tells the way" $?

# what it says of others is worth what its own memory is
finds none 0 "$model.san" --stops 0 --kills 0 --revokes 0 --breaks 1
ok "sanitized" $?
finds none 0 "$model.san" "${parked[@]}" --kills 0 --revokes 0 --losses 0
ok "sanitized, parked" $?
finds leak 3 "$model.san" --breaks 0 --without zeroing
ok "sanitized, found" $?
"$model.san" --without nothing >/dev/null 2>&1
[ $? -eq 2 ]
ok "refuses what is no rule" $?

echo "1..$nr"
[ "$nr" -ge 59 ] || failed=1
exit "$failed"
