# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel's fault injection, for scripts that let each allocation and each
# copy from and to user space fail once (emp/inject.sh, pim/inject.sh). Sourced
# before anything else: without such a kernel the script ends here.

if ! [ -e /proc/self/fail-nth ]; then
	echo "TAP version 14"
	echo "1..0 # SKIP this kernel has no fault injection"
	exit 0
fi

faults=/sys/kernel/debug
kinds=(failslab fail_page_alloc fail_usercopy)

# set_kinds NAME VALUE: of those that have it
set_kinds()
{
	local kind

	for kind in "${kinds[@]}"; do
		[ ! -e "$faults/$kind/$1" ] || echo "$2" >"$faults/$kind/$1"
	done
}

# range_of SYMBOL: where the function of the kernel or a module begins and ends
range_of()
{
	sort -k 1,1 /proc/kallsyms | awk -v name="$1" '
		from && $1 != from { print "0x" from, "0x" $1; exit }
		$3 == name { from = $1 }'
}

# filter KIND START END: count what has such a function on its stack, or has not
filter()
{
	set_kinds "$1-start" "$2"
	set_kinds "$1-end" "$3"
}

# Nothing fails by itself; src/failnth.c says which, of its own process.
injection_setup()
{
	set_kinds probability 0
	set_kinds times -1
	set_kinds verbose 0
	set_kinds ignore-gfp-wait N
	set_kinds ignore-gfp-highmem N
	set_kinds min-order 0
}
