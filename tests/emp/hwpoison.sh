#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A page of the region breaks, as madvise(MADV_HWPOISON) pretends: clean, it is
# fetched again; dirty, whoever touches it gets the error, and nobody else.
# The broken page is never given to anybody again.
#
# lab: --kernel 6.12 --mem 1G
# time: 300
#
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/emp/lib.sh
. "${0%/*}/lib.sh"

page=1029	# that breaks: in the third block of 2 MiB, not at its beginning

access()	# COMMAND...: to vm0
{
	"$bin/access" /dev/emp/vm0 "$@"
}

sizes()	# VARIANT: sets pages; and unit: pages that are lost together at most
{
	case $1 in
	small-4k | small-64k) mb=32 dram=16 unit=1 ;;
	small-2m | auto) mb=128 dram=64 unit=16 ;;
	huge) mb=128 dram=64 unit=512 ;;
	esac
	pages=$((mb * 256))
}

# Bits of /proc/kpageflags: KPF_HWPOISON is 19
has_flag()	# PFN BIT
{
	local word

	word=$(dd if=/proc/kpageflags bs=8 skip="$1" count=1 status=none | od -An -tu8)
	((word >> $2 & 1))
}

# The page frame never comes back as somebody's memory.
never_used_again()	# PFN
{
	has_flag "$1" 19 || fail "page frame $1 is no longer marked as broken"
	echo 3 >/proc/sys/vm/drop_caches
	"$bin/hog" --find "$1" --leave 20 || fail "the broken page is in use again"
}

# others PAGE...: check all but the unit of $page
others()	# SEED
{
	local first=$((page / unit * unit))

	access open map check 0 "$first" "$1" check $((first + unit)) $((pages - first - unit)) "$1"
}

clean()	# VARIANT
{
	local pfn

	sizes "$1"
	region vm0 "$mb" "$dram" "${variant[$1]}"
	access open map fill 0 "$pages" 1
	evict_all vm0
	pfn=$(access open map read 1024 16 1 pfn "$page")
	access open map read "$page" 1 1 hwpoison "$page" 1 || note "madvise failed"
	has_flag "$pfn" 19 || fail "page $pfn was not marked"
	access open map check "$page" 1 1 check 0 "$pages" 1 || fail "data is wrong"
	[ "$(counter vm0 hwpoison)" -eq 1 ] || fail "hwpoison counts $(counter vm0 hwpoison)"
	[ "$(access open map read "$page" 1 1 pfn "$page")" != "$pfn" ] || fail "still the broken page"
	access open map fill 0 "$pages" 2
	evict_all vm0 || fail "not all can be evicted: $(resident vm0)"
	access open map check 0 "$pages" 2
	never_used_again "$pfn"
}

dirty()	# VARIANT
{
	local pfn

	sizes "$1"
	region vm0 "$mb" "$dram" "${variant[$1]}"
	access open map fill 0 "$pages" 1
	evict_all vm0
	pfn=$(access open map fill 1024 64 1 pfn "$page")
	access open map read "$page" 1 1 hwpoison "$page" 1 || note "madvise failed"
	has_flag "$pfn" 19 || fail "page $pfn was not marked"
	access open map sigbus "$page" >/tmp/out || fail "no SIGBUS: $(</tmp/out)"
	cat /tmp/out
	grep -q "BUS_MCEERR_AR, page of address $page" /tmp/out || fail "the wrong signal"
	access open map sigbus "$page" sigbus "$page" >/dev/null || fail "SIGBUS once, not again"
	others 1 || fail "other pages are harmed"
	# discarded, it is good again
	access open map discard "$((page / unit * unit))" "$unit" check-zero "$page" 1 \
		fill "$page" 1 3 check "$page" 1 3
	[ "$(counter vm0 hwpoison)" -eq 1 ] || fail "hwpoison counts $(counter vm0 hwpoison)"
	evict_all vm0 || fail "not all can be evicted: $(resident vm0)"
	access open map check "$page" 1 3
	others 1
	never_used_again "$pfn"
}

# Those that have it mapped when it breaks.
mapped()	# VARIANT
{
	sizes "$1"
	region vm0 "$mb" "$dram" "${variant[$1]}"
	access open map fill 0 "$pages" 1
	evict_all vm0
	rm -f /tmp/go
	mkfifo /tmp/go
	access open map read 1024 16 1 wait check 1024 16 1 wait check 0 "$pages" 1 </tmp/go >/tmp/out &
	exec 9>/tmp/go
	wait_until 20 grep -q ready /tmp/out
	access open map read "$page" 1 1 hwpoison "$page" 1 || note "madvise failed"
	echo >&9
	wait_until 20 looked_again
	cat /tmp/out
	set_attr vm0 evict "$(attr vm0 bytes)"
	echo >&9
	exec 9>&-
	wait %1 || fail "the mapper ends with $?"
}

looked_again()
{
	ended %1 || [ "$(grep -c ready /tmp/out)" -eq 2 ]
}

# soft offline: the page may go or stay, the data stays
soft_offline()	# VARIANT
{
	sizes "$1"
	region vm0 "$mb" "$dram" "${variant[$1]}"
	access open map fill 0 "$pages" 1
	access open map read "$page" 1 1 soft-offline "$page" 1 || note "refused"
	access open map check 0 "$pages" 1
}

t_begin
# With huge pages the kernel keeps a twentieth of memory free; 'hog' wants it, too.
echo 2048 >/proc/sys/vm/min_free_kbytes
modprobe hwpoison_inject 2>/dev/null
for v in "${variants[@]}"; do
	t_run "clean-$v" clean "$v"
	t_run "dirty-$v" dirty "$v"
	t_run "mapped-$v" mapped "$v"
	t_run "soft-offline-$v" soft_offline "$v"
done
t_end
