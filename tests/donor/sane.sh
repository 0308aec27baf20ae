#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The other tests in one machine again, with a donor that was built with sanitizers:
# no access beyond what is there, nothing left unfreed.
# lab: --kernel 6.12 --mem 1536M --smp 1
# debug: no
# time: 900
# ci: no the same tests again, three times slower
set -u

cd "${0%/*}/../.." || exit 1
export DONOR_SANE=1 ANNEX_CASE='*'
# the address sanitizer takes the place of addresses, not of memory
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
nr=0 failed=0

echo "TAP version 14"
echo "1..5"
for test in basic refuse zero life park; do
	nr=$((nr + 1))
	if tests/donor/"$test".sh >/tmp/out 2>&1; then
		echo "ok $nr $test"
	else
		failed=1
		grep -v '^ok' /tmp/out | sed 's/^\([^#]\)/# \1/'
		echo "not ok $nr $test"
	fi
done
exit "$failed"
