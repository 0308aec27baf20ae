#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Long-term pins, made by io_uring's registered buffers: refused without
# pinnable=1, and with it never evicted, never lost, and held below pin_limit.
#
# lab: --kernel 6.12 --mem 4G --nvme 256M
# time: 450
#
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/emp/lib.sh
. "${0%/*}/lib.sh"

refusal=EFAULT		# what a long-term pin gets without pinnable=1

access()	# COMMAND...: to vm0
{
	"$bin/access" /dev/emp/vm0 "$@"
}

sizes()	# VARIANT: sets pages of the region, dram of MB, pinned of pages
{
	case $1${ANNEX_DEBUG:+-debug} in
	small-4k-debug | small-64k-debug) pages=4096 dram=8 pinned=256 ;;
	*-debug) pages=24576 dram=64 pinned=1024 ;;
	small-4k | small-64k) pages=8192 dram=8 pinned=256 ;;
	*) pages=49152 dram=64 pinned=1024 ;;
	esac
}

# A conversation with src/pin.c: pin_start FIRST N [touch]; pin_ask LINE
pin_start()
{
	coproc PIN { "$bin/pin" /dev/emp/vm0 "$@"; }
	read -r -t $((20 * slowness)) answer <&"${PIN[0]}" || fail "no answer from pin"
}

pin_ask()
{
	echo "$1" >&"${PIN[1]}"
	read -r -t $((20 * slowness)) answer <&"${PIN[0]}" || fail "no answer to '$1'"
	[ "$answer" = ok ] || fail "'$1' gives $answer"
}

pin_end()
{
	local pid=$PIN_PID

	eval "exec ${PIN[1]}>&-"
	wait "$pid"
}

refused()	# VARIANT
{
	sizes "$1"
	region vm0 $((pages / 256)) "$dram" "${variant[$1]}"
	access open map fill 0 "$pages" 1
	pin_start 100 16
	[ "$answer" = "$refusal" ] || fail "pinning gives $answer, not $refusal"
	access open map check 0 "$pages" 1
}

# Pinned pages stay where they are while everything else moves.
pinned_stay()	# VARIANT
{
	local pass

	sizes "$1"
	region vm0 $((pages / 256)) "$dram" "${variant[$1]},pinnable=1"
	access open map fill 0 "$pages" 1
	pin_start 512 "$pinned"
	[ "$answer" = pinned ] || fail "pinning gives $answer"
	for pass in 2 3; do
		access open map check 0 "$pages" $((pass - 1)) fill 0 "$pages" "$pass"
	done
	set_attr vm0 evict "$(attr vm0 bytes)"
	(($(resident vm0) >= pinned * 4096)) || fail "$(resident vm0) resident: pinned pages were evicted"
	(($(counter vm0 evict_busy) > 0)) || fail "evict_busy does not count"
	pin_ask unpin
	pin_end
	access open map check 0 "$pages" 3
	evict_all vm0 || fail "not all can be evicted after unpinning: $(resident vm0)"
	access open map check 0 "$pages" 3
}

# A device writes into pinned pages: no fault tells of it, and it is not lost.
device_writes()	# VARIANT
{
	sizes "$1"
	region vm0 $((pages / 256)) "$dram" "${variant[$1]},pinnable=1"
	access open map fill 0 "$pages" 1
	evict_all vm0
	access open map read 512 "$pinned" 1
	pin_start 512 "$pinned"
	[ "$answer" = pinned ] || fail "pinning gives $answer"
	access open map read 0 "$pages" 1
	pin_ask "write /dev/nvme0n1 0"
	access open map fill 512 "$pinned" 2
	set_attr vm0 evict "$(attr vm0 bytes)"
	pin_ask "read /dev/nvme0n1 0"		# what was there with seed 1
	set_attr vm0 evict "$(attr vm0 bytes)"
	access open map check 512 "$pinned" 1
	pin_ask unpin
	pin_end
	evict_all vm0
	access open map check 0 "$pages" 1
}

# Nothing tells of writes to a pinnable region: what is only read counts as dirty,
# also what was mapped with a neighbour's fault.
written_after_read()	# VARIANT
{
	sizes "$1"
	region vm0 $((pages / 256)) "$dram" "${variant[$1]},pinnable=1"
	access open map fill 0 "$pages" 1
	evict_all vm0
	access open map read 0 1024 1 fill 0 1024 2 read 2048 512 2 fill 2048 512 2
	evict_all vm0
	access open map check 0 1024 2 check 1024 1024 1 check 2048 512 2
}

# Discarded while pinned: the device keeps its page, the region reads zero.
discarded()	# VARIANT
{
	sizes "$1"
	region vm0 $((pages / 256)) "$dram" "${variant[$1]},pinnable=1"
	access open map fill 0 "$pages" 1
	pin_start 512 "$pinned"
	[ "$answer" = pinned ] || fail "pinning gives $answer"
	access open map discard 0 "$pages" check-zero 512 "$pinned" fill 512 "$pinned" 2
	pin_ask "write /dev/nvme0n1 0"
	access open map check 512 "$pinned" 2
	pin_ask unpin
	pin_end
	access open map check 512 "$pinned" 2
}

# Whoever pinned is killed, or only the mapping goes: nothing leaks.
pinner_goes()	# VARIANT
{
	sizes "$1"
	region vm0 $((pages / 256)) "$dram" "${variant[$1]},pinnable=1"
	access open map fill 0 "$pages" 1
	pin_start 512 "$pinned"
	[ "$answer" = pinned ] || fail "pinning gives $answer"
	pin_ask unmap
	set_attr vm0 evict "$(attr vm0 bytes)"
	(($(resident vm0) >= pinned * 4096)) || fail "pinned pages were evicted"
	kill -KILL "$PIN_PID"
	evict_all vm0 || fail "pages stay after the pinner's death: $(resident vm0)"
	access open map check 0 "$pages" 1
}

# The region is destroyed while its pages are pinned: the pinner keeps them.
destroyed()	# VARIANT
{
	sizes "$1"
	region vm0 $((pages / 256)) "$dram" "${variant[$1]},pinnable=1"
	access open map fill 0 "$pages" 1
	pin_start 512 "$pinned"
	[ "$answer" = pinned ] || fail "pinning gives $answer"
	pin_ask unmap
	wait_until 5 destroy vm0 || fail "cannot be destroyed"
	wait_until 5 no_regions
	pin_ask "write /dev/nvme0n1 0"
	pin_ask "read /dev/nvme0n1 0"
	pin_ask unpin
	pin_end
}

# More than the DRAM limit is pinned: an error, not a hang; all works afterwards.
too_much()	# VARIANT
{
	sizes "$1"
	region vm0 $((pages / 256)) "$dram" "${variant[$1]},pinnable=1"
	access open map fill 0 "$pages" 1
	pin_start 0 $((dram * 256 * 2))
	[ "$answer" = EFAULT ] || fail "pinning twice the limit gives $answer"
	access open map check 0 "$pages" 1
	evict_all vm0 || fail "not all can be evicted: $(resident vm0)"
	access open map check 0 "$pages" 1
}

pinned_is()	# BYTES
{
	[ "$(attr vm0 pinned)" -eq "$1" ]
}

# pins_again FIRST N: a pin that worked, undone
pins_again()
{
	pin_start "$@"
	if [ "$answer" = pinned ]; then
		pin_ask unpin
		pin_end
	else
		wait "$PIN_PID" && fail "status 0 after $answer"
		return 1
	fi
}

# The cap: what has to be faulted in is refused above it, one call or several;
# everybody else goes on; what is unpinned is free again.
cap()	# VARIANT
{
	local limit unit

	sizes "$1"
	region vm0 $((pages / 256)) "$dram" "${variant[$1]},pinnable=1"
	access open map fill 0 "$pages" 1
	evict_all vm0
	limit=$(($(attr vm0 pin_limit) / 4096))
	note "dram_limit $((dram * 256)) pages, pin_limit $limit pages"
	((limit > 0 && limit < dram * 256)) || fail "pin_limit is $limit pages"
	set_attr vm0 pin_limit $((pinned * 4096))
	[ "$(attr vm0 pin_limit)" -eq $((pinned * 4096)) ] || fail "pin_limit $(attr vm0 pin_limit)"

	pin_start 512 $((pinned * 2))		# in one call
	[ "$answer" = EFAULT ] || fail "pinning twice the cap gives $answer"
	wait "$PIN_PID" || true
	(($(counter vm0 pin_refused) > 0)) || fail "pin_refused does not count"
	wait_until 5 pinned_is 0 || fail "pinned $(attr vm0 pinned) after a refusal"

	pin_start 512 "$pinned"			# up to the cap
	[ "$answer" = pinned ] || fail "pinning up to the cap gives $answer"
	wait_until 5 pinned_is $((pinned * 4096)) || fail "pinned $(attr vm0 pinned), not $((pinned * 4096))"
	unit=$(($(attr vm0 subblock_size) / 4096))
	refused_at $((512 + pinned * 2)) "$unit"	# another process, what is not mapped
	access open map check 0 "$pages" 1 fill 0 "$pages" 2 check 0 "$pages" 2
	wait_until 5 pinned_is $((pinned * 4096)) || fail "pinned $(attr vm0 pinned)"
	set_attr vm0 evict "$(attr vm0 bytes)"
	access open map check 0 "$pages" 2
	pin_ask "write /dev/nvme0n1 0"
	pin_ask unpin
	pin_end
	wait_until 5 pins_again $((512 + pinned * 2)) "$unit" || fail "pins do not work again"
	wait_until 5 pins_again 512 "$pinned" || fail "as many as before cannot be pinned"
	access open map check 0 "$pages" 2
	evict_all vm0 || fail "not all can be evicted: $(resident vm0)"
	access open map check 0 "$pages" 2
}

# refused_at FIRST N: a process of its own pins; the coprocess stays
refused_at()
{
	local got

	got=$("$bin/pin" /dev/emp/vm0 "$@" </dev/null || true)
	[ "$got" = EFAULT ] || fail "a pin above the cap gives $got"
}

mapped_refused()	# FIRST N: by a process that has touched it
{
	[ "$("$bin/pin" /dev/emp/vm0 "$@" touch </dev/null || true)" = EFAULT ]
}

# What is mapped already takes no fault: it is pinned, found by the count, and
# more of the kind is refused by the core.
cap_mapped()	# VARIANT
{
	sizes "$1"
	region vm0 $((pages / 256)) "$dram" "${variant[$1]},pinnable=1"
	access open map fill 0 "$pages" 1
	set_attr vm0 pin_limit $((pinned * 4096 / 2))
	pin_start 512 "$pinned" touch
	note "twice the cap, mapped: $answer"
	[ "$answer" = pinned ] || fail "what is mapped cannot be pinned: $answer"
	wait_until 5 mapped_refused $((512 + pinned * 2)) 1 || fail "nothing is refused above the cap"
	(($(attr vm0 pinned) >= pinned * 4096)) || fail "pinned $(attr vm0 pinned)"
	access open map check 0 "$pages" 1 fill 0 "$pages" 2 check 0 "$pages" 2
	pin_ask unpin
	pin_end
	wait_until 5 pins_again 512 1 || fail "pins do not work again"
	access open map check 0 "$pages" 2
}

# The attribute: defaults, bounds, what a new dram_limit makes of it.
cap_values()
{
	local most

	sizes small-4k
	region vm0 $((pages / 256)) "$dram" "${variant[small-4k]}"
	[ "$(attr vm0 pin_limit) $(attr vm0 pinned)" = "0 0" ] || fail "without pinnable=1: $(attr vm0 pin_limit)"
	not quietly set_attr vm0 pin_limit 1M || fail "set without pinnable=1"
	set_attr vm0 pin_limit 0	# what it is
	destroy vm0
	region vm0 $((pages / 256)) "$dram" "${variant[small-4k]},pinnable=1,pin_limit=1M"
	[ "$(attr vm0 pin_limit)" -eq $((1 << 20)) ] || fail "the spec's pin_limit is $(attr vm0 pin_limit)"
	most=$(($(attr vm0 dram_limit) - $(attr vm0 dram_min) - $(attr vm0 high_free)))
	not quietly set_attr vm0 pin_limit $((most + 4096)) || fail "more than the most"
	set_attr vm0 pin_limit "$most"
	[ "$(attr vm0 pin_limit)" -eq "$most" ] || fail "pin_limit $(attr vm0 pin_limit), not $most"
	set_attr vm0 dram_limit 4M
	(($(attr vm0 pin_limit) < 4 << 20)) || fail "pin_limit $(attr vm0 pin_limit) with 4M of DRAM"
	set_attr vm0 dram_limit "${dram}M"
	[ "$(attr vm0 pin_limit)" -eq "$most" ] || fail "pin_limit $(attr vm0 pin_limit) afterwards"
	set_attr vm0 pin_limit 0
	# shellcheck disable=SC2017 # rounded as the module does
	most=$((($(attr vm0 dram_limit) - $(attr vm0 dram_min)) / 16384 * 12288))
	[ "$(attr vm0 pin_limit)" -eq "$most" ] || fail "default $(attr vm0 pin_limit), not $most"
	set_attr vm0 dram_limit "$(attr vm0 bytes)"
	[ "$(attr vm0 pin_limit)" -eq "$(attr vm0 bytes)" ] || fail "all fits: $(attr vm0 pin_limit)"
	destroy vm0
	not quietly "$empctl" region create vm0 --size 32M --mem \
		"$disk:32:0|dram:8|${variant[small-4k]},pinnable=1,pin_limit=1G" ||
		fail "created with a pin_limit above the DRAM"
}

t_begin
modprobe nvme
wait_until 10 test -b /dev/nvme0n1 || { echo "Bail out! no disk"; exit 1; }
ulimit -l unlimited
t_run cap-values cap_values
for v in $(on_debug "small-64k huge" "small-4k small-64k auto huge"); do
	t_run "refused-$v" refused "$v"
	t_run "pinned-stay-$v" pinned_stay "$v"
	t_run "device-writes-$v" device_writes "$v"
	t_run "written-after-read-$v" written_after_read "$v"
	t_run "discarded-$v" discarded "$v"
	t_run "pinner-goes-$v" pinner_goes "$v"
	t_run "destroyed-$v" destroyed "$v"
	t_run "too-much-$v" too_much "$v"
	t_run "cap-$v" cap "$v"
	t_run "cap-mapped-$v" cap_mapped "$v"
done
t_end
