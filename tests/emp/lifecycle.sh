#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Regions come and go: killed users, autodestroy, many at once, who may do what,
# and the module that must unload afterwards.
#
# lab: --kernel 6.12 --mem 4G
# time: 600
#
# shellcheck disable=SC2317 # cases are called by t_run
set -u
# shellcheck source=tests/emp/lib.sh
. "${0%/*}/lib.sh"

user=1234		# nobody special

access()	# COMMAND...: to vm0
{
	"$bin/access" /dev/emp/vm0 "$@"
}

# says TEXT COMMAND...: it fails, and what it prints has TEXT
says()
{
	local want=$1 got status=0

	shift
	got=$("$@" 2>&1) || status=$?
	[ "$status" -ne 0 ] || fail "succeeded, should have said '$want': $*"
	[[ $got == *"$want"* ]] || fail "'$*' said '$got', not '$want'"
}

empty()	# REGION: nothing in DRAM, nothing on its tier
{
	[ "$(resident "$1")" -eq 0 ] && [ "$(attr "$1" tiers/0/used)" -eq 0 ] &&
		[ "$(attr "$1" dirty)" -eq 0 ]
}

unmapped()	# REGION: nobody has it open
{
	! grep -q "/dev/emp/$1" /proc/[0-9]*/maps
}

# 34 times: processes that use a region are killed together at a random moment.
# Those that come later find what the dead have written. In the end all of it
# can be discarded, to the last page and slot.
killed_mappers()	# VARIANT MB DRAM
{
	local i rounds pid

	rounds=$(times 34 6)
	region vm0 "$2" "$3" "${variant[$1]}"
	rm -f /dev/shm/model
	for ((i = 0; i < rounds; i++)); do
		start_group "$bin/stress" /dev/emp/vm0 --seconds 100 --procs 2 --threads 2 \
			--model /dev/shm/model --no-check --writes 60 \
			--ops discard,fork,remap,processvm,splice
		pid=$!
		sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
		kill_group "$pid"
	done
	wait_until 10 unmapped vm0 || fail "mappings are left"
	"$bin/stress" /dev/emp/vm0 --seconds 0 --model /dev/shm/model || fail "data is wrong"
	region_note vm0
	access open discard 0 $(($2 * 256)) close
	wait_until 5 empty vm0 || fail "not empty after discard of everything"
	destroy vm0
	wait_until 5 no_regions
}

# A region with autodestroy ends with its creator, unless others have it open.
autodestroy_close()
{
	rm -f /tmp/go
	mkfifo /tmp/go
	need_disk
	"$empctl" region create vm0 --size 64M --force --autodestroy yes \
		--mem "$disk:64:0|dram:16|${variant[small-64k]}" &
	wait_until 10 test -e /dev/emp/vm0
	access open map close fill 0 8192 1 wait </tmp/go >/tmp/out &
	exec 9>/tmp/go
	wait_until 20 grep -q ready /tmp/out
	kill -TERM %1
	wait_until 10 ended "$(jobs -p %1)" || fail "empctl does not end by SIGTERM"
	[ -e /dev/emp/vm0 ] || fail "the region went away under a mapping"
	says "" destroy vm0
	exec 9>&-
	wait_until 10 no_regions || fail "the region outlives its last user"
	[ ! -e /dev/emp/vm0 ]
}

autodestroy_kill()
{
	local i n creator user

	need_disk
	n=$(times 10 3)
	for ((i = 0; i < n; i++)); do
		start_group "$empctl" region create vm0 --size 64M --force --autodestroy yes \
			--mem "$disk:64:0|dram:16|${variant[small-64k]}" >/dev/null
		creator=$!
		wait_until 10 test -e /dev/emp/vm0
		start_group "$bin/stress" /dev/emp/vm0 --seconds 100 --procs 2 --threads 2 --ops fork
		user=$!
		wait_until 10 not unmapped vm0
		sleep "0.$((RANDOM % 3))"
		kill_group "$creator"
		[ -e /dev/emp/vm0 ] || fail "the region went away under its users"
		kill_group "$user"
		wait_until 10 no_regions || fail "round $i: the region stays"
	done
}

destroy_refused()
{
	rm -f /tmp/go2
	mkfifo /tmp/go2
	region vm0 64 16 "${variant[small-64k]}"
	access open map close wait </tmp/go2 >/tmp/out2 &
	exec 9>/tmp/go2
	wait_until 10 grep -q ready /tmp/out2
	says "" destroy vm0
	[ -e /dev/emp/vm0 ] || fail "destroyed under a mapping"
	access open map fill 0 10 3 check 0 10 3 unmap close
	exec 9>&-
	wait_until 10 destroy vm0 || fail "cannot be destroyed after the last close"
	wait_until 5 no_regions
	says ENOENT access open
}

survives_close()
{
	region vm0 64 16 "${variant[small-64k]}"
	access open map close fill 0 16384 5 check 0 16384 5 read 0 16384 3 check 0 16384 5
	access open-ro map-ro close check 0 16384 5 unmap
}

# A core dump of a process that maps the region has all of it, from DRAM and tier.
core_dump()	# VARIANT MB DRAM
{
	local pages=$(($2 * 256)) offset

	region vm0 "$2" "$3" "${variant[$1]}"
	rm -f /tmp/core /tmp/segment
	echo /tmp/core >/proc/sys/kernel/core_pattern
	echo 0 >/proc/sys/kernel/core_uses_pid
	(
		ulimit -c unlimited
		echo 0x3f >/proc/self/coredump_filter	# mappings of files, too
		exec "$bin/access" /dev/emp/vm0 open map fill 0 "$pages" 6 abort
	) && fail "it did not end by a signal"
	offset=$(readelf -lW /tmp/core | awk -v size="$(printf '0x%x' $(($2 << 20)))" '
		$1 == "LOAD" { gsub(/0x0*/, "0x", $6); if ($6 == size) print $2 }')
	[ -n "$offset" ] || fail "the region is not in the core dump: $(readelf -lW /tmp/core)"
	dd if=/tmp/core of=/tmp/segment bs=4096 skip=$((offset / 4096)) count="$pages" status=none
	"$bin/access" /tmp/segment open map check 0 "$pages" 6 || fail "the core dump is wrong"
	rm -f /tmp/core /tmp/segment
	access open map check 0 "$pages" 6
	evict_all vm0 || fail "not all can be evicted after the dump: $(resident vm0)"
}

# What a mapping may and may not be.
kinds_of_mappings()
{
	region vm0 64 16 "${variant[small-64k]}"
	says EINVAL access open map-private
	says EACCES access open-ro map
	says EPERM access open map-exec
	says EPERM access open truncate 100
	says EPERM access open truncate 20000
	says EOPNOTSUPP access open fallocate 0 0 1
	says EBADF access open-ro discard 0 1
	access open fsync truncate 16384
	access open-ro map-ro check-zero 0 16384
}

# Regions come and go while tools look at everything.
looking()
{
	while :; do
		cat "$sys"/*/* "$sys"/*/stats/* "$sys"/*/tiers/*/* /dev/null
		"$empctl" region show
		"$empctl" stats
		ls -l /dev/emp "$sys"
	done >/dev/null 2>&1
}

create_destroy_loop()
{
	local i n

	looking &
	looking &
	n=$(times 40 10)
	for ((i = 0; i < n; i++)); do
		disk_next=0
		region vm0 64 16 "${variant[small-64k]}"
		region vm1 64 16 "${variant[small-4k]}"
		access open map fill $((i * 10)) 100 $((i + 1)) check $((i * 10)) 100 $((i + 1))
		wait_until 5 destroy vm1
		wait_until 5 destroy vm0
	done
	no_regions
}

many_regions()
{
	local i pid status=0 pids=() files mb

	mb=$(on_debug 8 16)
	for ((i = 0; i < 20; i++)); do
		region "vm$i" "$mb" 4 "${variant[small-64k]}"
	done
	[ "$("$empctl" region list | grep -c '^vm')" -ge 20 ] || fail "the list is short"
	files=(/dev/emp/*)
	[ "${#files[@]}" -eq 20 ]
	for ((i = 0; i < 20; i++)); do
		"$bin/stress" "/dev/emp/vm$i" --seconds "$seconds" --threads 1 --fill \
			--ops discard &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || status=1
	done
	[ "$status" -eq 0 ] || fail "data is wrong"
	for ((i = 19; i >= 0; i--)); do
		wait_until 5 destroy "vm$i"
	done
	no_regions
}

names()
{
	local name

	for name in a 0 a.b_c-d 0123456789012345678901234567890 vm0.; do
		region "$name" 16 4 "${variant[small-64k]}"
		[ -f "/dev/emp/$name" ] && [ -d "$sys/$name" ]
		"$empctl" region create "$name" --size 16M --force \
			--mem "$disk:16:512|dram:4|block=64K" && fail "'$name' twice"
		destroy "$name"
		wait_until 5 no_regions
		disk_next=0
	done
	for name in '' . .. .a -a A a/b 'a b' 01234567890123456789012345678901 a$'\n' ä a%s; do
		"$empctl" region create -- "$name" --size 16M --force \
			--mem "$disk:16:0|dram:4|block=64K" 2>/dev/null && fail "name '$name' is accepted"
		no_regions || fail "name '$name' left $(ls "$sys")"
	done
	return 0
}

unload_refused()
{
	region vm0 64 16 "${variant[small-64k]}"
	umount /dev/emp
	rmmod emp 2>/dev/null && fail "unloaded with a region"
	mount -t empfs empfs /dev/emp
	[ -f /dev/emp/vm0 ] || fail "the region is gone"
	access open map fill 0 100 1 check 0 100 1
	destroy vm0
	exec 9</dev/emp-control
	rmmod emp 2>/dev/null && fail "unloaded with its device open"
	exec 9<&-
	unload || return 1
	load
	[ -c /dev/emp-control ]
}

# Load, use, unload: again and again.
reload()
{
	local i n

	n=$(times 10 3)
	for ((i = 0; i < n; i++)); do
		disk_next=0
		region vm0 64 50 "${variant[auto]}"
		access open map fill 0 4096 $((i + 1)) check 0 4096 $((i + 1))
		destroy vm0
		unload
		load
	done
}

# --- who may do what --------------------------------------------------------------

file_owner()
{
	region vm0 16 4 "${variant[small-64k]},uid=$user,gid=$user"
	region vm1 16 4 "${variant[small-64k]}"
	[ "$(stat -c '%a %u %g' /dev/emp/vm0)" = "600 $user $user" ]
	[ "$(stat -c '%a %u %g' /dev/emp/vm1)" = "600 0 0" ]
	as_user "$user" "$bin/access" /dev/emp/vm0 open map fill 0 100 1 check 0 100 1 discard 0 100
	says EACCES as_user "$user" "$bin/access" /dev/emp/vm1 open
	says EACCES as_user "$user" "$bin/access" /dev/emp/vm1 open-ro
	says EACCES as_user 4321 "$bin/access" /dev/emp/vm0 open
	# not even the owner may change its size, or what the folder holds
	says EPERM as_user "$user" "$bin/access" /dev/emp/vm0 open truncate 1
	as_user "$user" touch /dev/emp/new 2>/dev/null && fail "a file was made"
	touch /dev/emp/new 2>/dev/null && fail "root made a file"
	mkdir /dev/emp/new 2>/dev/null && fail "root made a folder"
	rm -f /dev/emp/vm0 2>/dev/null && fail "root removed the file of a region"
	mv /dev/emp/vm0 /dev/emp/vm9 2>/dev/null && fail "root renamed the file of a region"
	[ -f /dev/emp/vm0 ]
}

control_refused()
{
	region vm0 16 4 "${variant[small-64k]}"
	as_user "$user" test -r /dev/emp-control && fail "anybody can open emp-control"
	chmod 666 /dev/emp-control	# an administrator's mistake is no way in
	says EPERM as_user "$user" "$bin/control" list
	says EPERM as_user "$user" "$bin/control" create
	says EPERM as_user "$user" "$bin/control" destroy vm0
	says EPERM as_user "$user" "$bin/control" tier-add vm0
	says EPERM as_user "$user" "$bin/control" tier-remove vm0 0
	as_user "$user" "$bin/control" info
	# root of a user namespace is nobody
	if [ -e /proc/self/ns/user ]; then
		says EPERM as_user "$user" unshare -Ur "$bin/control" list
		says EPERM as_user "$user" unshare -Ur "$bin/control" destroy vm0
	fi
	chmod 600 /dev/emp-control
	[ -d "$sys/vm0" ]
}

sysfs_refused()
{
	local bad

	region vm0 16 4 "${variant[small-64k]}"
	# shellcheck disable=SC2016 # for the other shell
	bad=$(as_user "$user" bash -c 'for file; do
			[ -f "$file" ] || continue
			[ ! -w "$file" ] || echo "$file can be written by anybody"
			{ echo 1 >"$file"; } 2>/dev/null && echo "$file: written"
			[[ $file == */stats/* ]] || continue
			{ read -r _ <"$file"; } 2>/dev/null && echo "$file: read by anybody"
		done; echo done' bash "$sys"/vm0/* "$sys"/vm0/tiers/0/* "$sys"/vm0/stats/*)
	[ "$bad" = 'done' ] || fail "$bad"
	bad=$(stat -c '%a %n' "$sys"/vm0/stats/* | grep -v '^440 ') || true
	[ -z "$bad" ] || fail "not 0440: $bad"
}

mount_refused()
{
	[ -e /proc/self/ns/user ] || skip "kernel without user namespaces"
	as_user "$user" unshare -Urm mount -t empfs empfs /mnt 2>/dev/null &&
		fail "mounted in a user namespace"
	return 0
}

t_begin
if [ -n "${ANNEX_DEBUG:-}" ]; then
	t_run killed-mappers-small killed_mappers small-64k 24 6
	t_run killed-mappers-huge killed_mappers huge 96 50
	t_run killed-mappers-auto killed_mappers auto 96 50
else
	t_run killed-mappers-small killed_mappers small-64k 64 16
	t_run killed-mappers-huge killed_mappers huge 192 50
	t_run killed-mappers-auto killed_mappers auto 192 50
fi
t_run autodestroy-close autodestroy_close
t_run autodestroy-kill autodestroy_kill
t_run destroy-refused destroy_refused
t_run survives-close survives_close
t_run core-dump-small core_dump small-64k "$(on_debug 16 64)" "$(on_debug 4 16)"
t_run core-dump-huge core_dump huge "$(on_debug 64 192)" 50
t_run kinds-of-mappings kinds_of_mappings
t_run create-destroy-loop create_destroy_loop
t_run many-regions many_regions
t_run names names
t_run unload-refused unload_refused
t_run reload reload
t_run file-owner file_owner
t_run control-refused control_refused
t_run sysfs-refused sysfs_refused
t_run mount-refused mount_refused
t_end
