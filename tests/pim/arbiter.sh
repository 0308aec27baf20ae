#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Who gets a rank: leases through pimctl, waiting in order, limits, ends of all
# kinds, events, what is counted.
#
# lab: --kernel 6.12 --mem 2G
# lab: --kernel 6.1 --mem 2G
# debug: kmemleak
# time: 300
#
# shellcheck disable=SC2317,SC2016 # cases are called by t_run; strings for inner shells
set -u
# shellcheck source=tests/pim/lib.sh
. "${0%/*}/lib.sh"

t_begin
chmod 666 /dev/pim-arbiter /dev/dpu_rank* 2>/dev/null	# for the users of this test

# lease OUT OPTION...: in the background ($!), a lease that lasts until it is killed;
# "have RANKS" goes to OUT when it is there
lease()
{
	local out=$1
	shift
	: >"$out"
	"$pimctl" lease run "$@" -- sh -c 'echo "have $ANNEX_RANKS"; exec sleep 1000' >"$out" 2>&1 &
}

# lease_as UID OUT OPTION...
lease_as()
{
	local uid=$1 out=$2
	shift 2
	: >"$out"
	# no function: a shell between would be what is killed
	setpriv --reuid "$uid" --regid "$uid" --clear-groups "$pimctl" lease run "$@" -- \
		sh -c 'echo "have $ANNEX_RANKS"; exec sleep 1000' >"$out" 2>&1 &
}

# owner UID KEY: a number of what is told of an owner
owner()
{
	"$pimctl" --json owner list | python3 -c '
import json, sys
print([o for o in json.load(sys.stdin) if o["uid"] == int(sys.argv[1])][0].get(sys.argv[2]))' "$1" "$2" 2>/dev/null
}

waiting()	# UID N
{
	[ "$(owner "$1" waiting)" = "$2" ]
}

end()	# PID
{
	kill "$1"
	reap "$1"
}

run_and_status()
{
	local status=0

	provide --ranks 2
	[ "$("$pimctl" lease run -- sh -c 'echo $ANNEX_RANKS')" = /dev/dpu_rank0 ]
	become 0 free
	[ "$("$pimctl" lease run --count 2 -- sh -c 'echo $ANNEX_RANKS')" = "/dev/dpu_rank0 /dev/dpu_rank1" ]
	become 0 free
	become 1 free
	[ "$("$pimctl" lease run --rank 1 -- sh -c 'echo $ANNEX_RANKS')" = /dev/dpu_rank1 ]
	"$pimctl" lease run -- sh -c 'exit 7' || status=$?
	[ "$status" = 7 ]
	status=0
	"$pimctl" lease run -- sh -c 'kill -9 $$' || status=$?
	[ "$status" = 137 ]
	become 0 free
	not quietly "$pimctl" lease run --rank 7 -- true
}

# While a lease lasts: the owner's programs come in, one after the other, and find
# what the one before left; another user does not.
shared()
{
	provide
	chmod 666 /dev/dpu_rank0
	lease_as 1001 /tmp/a
	wait_until 10 says /tmp/a have
	state_is 0 leased
	[[ "$(attr 0 owner)" == "1001 "*" pimctl" ]] || fail "owner: $(attr 0 owner)"
	as_user 1001 "$bin/rank" /dev/dpu_rank0 fill 4096 3
	as_user 1001 "$bin/rank" /dev/dpu_rank0 filled 4096 3
	state_is 0 leased
	not quietly as_user 1002 "$bin/rank" /dev/dpu_rank0 open
	not quietly client open		# not even root
	end $!
	become 0 free
	as_user 1002 "$bin/rank" /dev/dpu_rank0 clean
}

# The lease's file goes while a program of its owner has the device open: it
# keeps the rank, and nobody joins any more.
outlived()
{
	local lease

	provide
	lease /tmp/a
	lease=$!
	wait_until 10 says /tmp/a have
	start_holder /dev/dpu_rank0
	end "$lease"
	state_is 0 leased
	not quietly client open
	kill -KILL "$holder"
	reap "$holder"
	become 0 free
}

# Fewer ranks first, then the order in which they came; then by priority.
order()
{
	local first second

	provide --ranks 2 --reset-ms 50
	lease_as 1001 /tmp/a --rank 0
	first=$!
	wait_until 10 says /tmp/a have
	lease_as 1001 /tmp/b --rank 1
	second=$!
	wait_until 10 says /tmp/b have
	lease_as 1001 /tmp/c			# has two already
	wait_until 10 waiting 1001 1
	lease_as 1002 /tmp/d			# later, and has none
	wait_until 10 waiting 1002 1
	end "$first"
	wait_until 10 says /tmp/d 'have /dev/dpu_rank0' || fail "$(cat /tmp/c /tmp/d)"
	says /tmp/c have && fail "who has one was served first"
	lease_as 1003 /tmp/e			# has none, but comes after
	wait_until 10 waiting 1003 1
	"$pimctl" owner set 1001 priority=7
	[ "$(owner 1001 priority)" = 7 ]
	end "$second"
	wait_until 10 says /tmp/c 'have /dev/dpu_rank1' || fail "$(cat /tmp/c /tmp/e)"
	says /tmp/e have && fail "the lower priority was served first"
	"$pimctl" owner set 1001 priority=4
}

limits()
{
	provide --ranks 2
	"$pimctl" owner set 1001 max_ranks=1
	lease_as 1001 /tmp/a
	wait_until 10 says /tmp/a have
	as_user 1001 "$pimctl" lease run -- true 2>/tmp/b && fail "a second rank"
	says /tmp/b 'as many ranks as you may'
	chmod 666 /dev/dpu_rank1
	as_user 1001 "$bin/rank" /dev/dpu_rank1 open >/tmp/b && fail "a second rank, by its device"
	says /tmp/b 'Disk quota exceeded'
	"$pimctl" owner set 1001 max_ranks=none
	as_user 1001 "$bin/rank" /dev/dpu_rank1 open
	not quietly as_user 1001 "$pimctl" owner set 1001 max_ranks=9
	not quietly as_user 1001 "$pimctl" lease revoke 0
	not quietly "$pimctl" owner set 1001 priority=8
}

no_waiting()
{
	provide
	lease /tmp/a
	wait_until 10 says /tmp/a have
	"$pimctl" lease run --timeout 0 -- true 2>/tmp/b && fail "it was in use"
	says /tmp/b 'in use'
	"$pimctl" lease run --timeout 1 -- true 2>/tmp/b && fail "it was in use"
	says /tmp/b 'in time'
	[ "$(owner 0 waiting)" = 0 ]
}

# Killed while it waited: nobody waits any more, and the rank goes to the next.
waiter_killed()
{
	local first

	provide
	lease /tmp/a
	first=$!
	wait_until 10 says /tmp/a have
	lease_as 1001 /tmp/b
	wait_until 10 waiting 1001 1
	kill -KILL $!
	reap $!
	wait_until 10 waiting 1001 0
	end "$first"
	become 0 free
}

revoked()
{
	provide
	lease /tmp/a
	wait_until 10 says /tmp/a have
	start_client until EIO
	wait_until 10 says /tmp/client.out working
	"$pimctl" lease revoke 0
	wait_until 20 ended "$client"
	wait "$client" || fail "client: $(</tmp/client.out)"
	become 0 free
	client clean
	"$pimctl" lease revoke 0 2>/tmp/b && fail "there was no lease"
	says /tmp/b 'not leased'
}

expired()
{
	provide
	lease /tmp/a --expire 1
	wait_until 10 says /tmp/a have
	become 0 free
	client clean
	# The timer of an old lease does nothing to a new one.
	lease /tmp/b
	wait_until 10 says /tmp/b have
	sleep 1.2
	state_is 0 leased
}

offline()
{
	provide --ranks 2
	"$pimctl" rank set 0 offline=yes
	not quietly client open
	[ "$("$pimctl" lease run -- sh -c 'echo $ANNEX_RANKS')" = /dev/dpu_rank1 ]
	lease /tmp/a --rank 0
	wait_until 10 waiting 0 1
	"$pimctl" rank set 0 offline=no
	wait_until 10 says /tmp/a have
	become 1 free
}

# kill -9 of who leases, waits, or runs below it.
kills()
{
	local i first second

	provide --reset-ms 20
	for ((i = 0; i < $(times 10); i++)); do
		lease /tmp/a
		wait_until 10 says /tmp/a have
		first=$!
		lease /tmp/b
		second=$!
		[ $((i % 2)) = 0 ] || wait_until 10 waiting 0 1
		kill -KILL "$first" "$second"
		reap "$first"
		reap "$second"
		become 0 free
	done
}

events()
{
	"$pimctl" events --follow >/tmp/events &
	# It is listening when it sleeps in poll().
	wait_until 10 grep -qs poll "/proc/$!/wchan" || sleep 1
	provide
	"$pimctl" lease run -- true
	become 0 free
	kill -KILL "$provider"
	reap "$provider"
	provide
	kill "$provider"
	reap "$provider"
	"$pimctl" rank remove 0
	wait_until 10 says /tmp/events removed
	[ "$(awk '{ print $2 }' /tmp/events | tr '\n' ' ')" = \
		"rank-added scrubbed leased released scrubbed provider-gone taken-over scrubbed provider-gone rank-removed " ] ||
		fail "$(cat /tmp/events)"
}

counted()
{
	provide
	chmod 666 /dev/dpu_rank0
	as_user 1005 "$bin/rank" /dev/dpu_rank0 commands
	as_user 1005 "$bin/rank" /dev/dpu_rank0 fill 4096 1
	[ "$(owner 1005 leases)" = 2 ]
	[ "$(owner 1005 commands)" = 201 ] || fail "$(owner 1005 commands) commands"
	[ "$(owner 1005 bytes_in)" = $((64 * 2 * 4096)) ]
	[ "$(owner 1005 busy_ns)" -gt 0 ] && [ "$(attr 0 stats/busy_ns)" -gt 0 ]
	[ "$(owner 1005 ranks)" = 0 ]
}

tools()
{
	local verb

	provide --ranks 2
	"$pimctl" rank list | grep -q '^   1 free .*/dev/dpu_rank1 *test'
	"$pimctl" --json rank show 1 | grep -q '"state": "free"'
	not quietly "$pimctl" rank show 9
	"$pimctl" doctor
	lease /tmp/a --rank 1
	wait_until 10 says /tmp/a have
	"$pimctl" lease list | grep -q ' 1 .* pimctl'
	"$pimctl" --json lease list | grep -q '"rank": 1'
	for verb in "rank show x" "rank set 0 offline=maybe" "lease run --rank x -- true" "owner set x max_ranks=1" \
		"owner set 1 max_ranks=x" "owner set 1 nothing=1"; do
		# shellcheck disable=SC2086 # words
		"$pimctl" $verb 2>/tmp/b && fail "$verb"
		[ "$(wc -l </tmp/b)" = 1 ]
	done
}

# left N OWNER: he has left something in rank N, and it is kept for him
left()
{
	as_user "$2" "$bin/rank" "/dev/dpu_rank$1" fill 4096 "$2"
	become "$1" free
	[ "$(attr "$1" kept)" = 1 ] || fail "rank $1 is not kept"
}

keep()	# RANKS: as provide, for users 1001 and 1002
{
	provide --ranks "$1"
	chmod 666 /dev/dpu_rank*
	"$pimctl" owner set 1001 keep=600
	"$pimctl" owner set 1002 keep=600
}

forget()
{
	"$pimctl" owner set 1001 keep=none
	"$pimctl" owner set 1002 keep=none
}

# Who comes back finds it, every time; the next one does not.
kept()
{
	keep 1
	left 0 1001
	[ "$(attr 0 mram_used)" -gt 0 ]
	"$pimctl" rank list | grep -q '^   0 free  *kept '
	as_user 1001 "$bin/rank" /dev/dpu_rank0 filled 4096 1001
	become 0 free
	as_user 1001 "$bin/rank" /dev/dpu_rank0 filled 4096 1001
	[ "$(attr 0 stats/returns)" = 2 ] || fail "$(attr 0 stats/returns) returns"
	become 0 free
	as_user 1002 "$bin/rank" /dev/dpu_rank0 clean
	become 0 free
	as_user 1001 "$bin/rank" /dev/dpu_rank0 clean
	[ "$(attr 0 stats/returns)" = 2 ]
	forget
}

# Of several ranks each gets what it left; who left nothing a clean one, then what
# would be cleaned first.
kept_choice()
{
	local first

	keep 3
	left 1 1001
	left 2 1002
	lease_as 1002 /tmp/a
	first=$!
	wait_until 10 says /tmp/a 'have /dev/dpu_rank2' || fail "$(</tmp/a)"
	lease_as 1001 /tmp/b
	wait_until 10 says /tmp/b 'have /dev/dpu_rank1' || fail "$(</tmp/b)"
	end $!
	become 1 free
	end "$first"
	become 2 free
	[ "$(attr 1 kept)$(attr 2 kept)" = 11 ]
	lease_as 1003 /tmp/a
	wait_until 10 says /tmp/a 'have /dev/dpu_rank0' || fail "$(</tmp/a)"
	[ "$(attr 1 kept)$(attr 2 kept)" = 11 ]
	lease_as 1004 /tmp/b
	wait_until 10 says /tmp/b 'have /dev/dpu_rank1' || fail "$(</tmp/b)"
	[ "$(attr 2 kept)" = 1 ] || fail "one would have been enough"
	as_user 1004 "$bin/rank" /dev/dpu_rank1 clean
	forget
	become 2 free
	[ "$(attr 2 kept)" = 0 ]
}

# At once again, while it is being reset: it waits for its own rank. A provider
# that is stopped holds that state.
kept_at_once()
{
	local lease

	provide --ranks 2
	chmod 666 /dev/dpu_rank*
	"$pimctl" owner set 1001 keep=600
	lease_as 1001 /tmp/a
	lease=$!
	wait_until 10 says /tmp/a 'have /dev/dpu_rank0' || fail "$(</tmp/a)"
	halt "$provider"
	kill "$lease"
	become 0 scrubbing
	# who does not wait gets another
	[ "$(as_user 1001 "$pimctl" lease run --timeout 0 -- sh -c 'echo $ANNEX_RANKS')" = /dev/dpu_rank1 ]
	lease_as 1001 /tmp/b
	lease=$!
	wait_until 10 waiting 1001 1 || fail "$(</tmp/b)"
	kill -CONT "$provider"
	wait_until 10 says /tmp/b 'have /dev/dpu_rank0' || fail "$(</tmp/b)"
	kill "$lease"
	forget
}

# The ends of it: time, the administrator, a lease that was revoked, the provider.
kept_ends()
{
	local scrubs

	keep 1
	"$pimctl" owner set 1001 keep=1
	scrubs=$(attr 0 stats/scrubs)
	as_user 1001 "$bin/rank" /dev/dpu_rank0 fill 4096 1
	wait_until 10 cleaned "$scrubs"
	[ "$(attr 0 kept)$(attr 0 mram_used)" = 00 ]
	left 0 1002
	forget
	become 0 free
	[ "$(attr 0 kept)$(attr 0 mram_used)" = 00 ]
	"$pimctl" owner set 1001 keep=600
	lease_as 1001 /tmp/a
	wait_until 10 says /tmp/a have
	as_user 1001 "$bin/rank" /dev/dpu_rank0 fill 4096 1
	"$pimctl" lease revoke 0
	end $!
	become 0 free
	[ "$(attr 0 kept)" = 0 ] || fail "kept, though revoked"
	left 0 1001
	kill -KILL "$provider"
	reap "$provider"
	become 0 faulty
	provide
	chmod 666 /dev/dpu_rank0
	as_user 1001 "$bin/rank" /dev/dpu_rank0 clean
	[ "$(attr 0 stats/returns)" = 0 ]
	forget
	"$pimctl" owner set 1001 keep=86401 2>/dev/null && fail "a keep of more than a day"
	not quietly tee /sys/module/pim/parameters/keep_ms <<<86400001
}

cleaned()	# SCRUBS: once more than that
{
	[ "$(attr 0 stats/scrubs)" -gt "$1" ]
}

# MRAM that the provider has elsewhere cannot be kept.
kept_elsewhere()
{
	provide --xfer
	chmod 666 /dev/dpu_rank0
	"$pimctl" owner set 1001 keep=600
	as_user 1001 "$bin/rank" /dev/dpu_rank0 fill 4096 1
	become 0 free
	[ "$(attr 0 kept)" = 0 ]
	forget
}

# What pimctl top makes of a moment in which one works and another waits.
live()
{
	provide
	start_client until EIO
	wait_until 10 says /tmp/client.out working
	lease_as 1001 /tmp/a
	wait_until 10 waiting 1001 1
	"$pimctl" top --batch --interval 0.5 --count 2 >/tmp/top
	[ "$(grep -c 'ranks: 1, 1 leased; waiting: 1, 1 of uid 1001$' /tmp/top)" = 2 ] || fail "$(</tmp/top)"
	grep -qE '^   0 leased +[1-9][0-9.]* +[1-9][0-9]* .* rank\[[0-9]+\] \(uid 0\)$' /tmp/top || fail "$(</tmp/top)"
	"$pimctl" --json top --interval 0.5 --count 1 | python3 -c '
import json, sys
t = json.load(sys.stdin)
rank = t["ranks"][0]
assert t["waiting"] == 1 and rank["state"] == "leased", t
assert 0 < rank["busy_percent"] <= 100 and rank["commands_per_s"] > 0, t' || fail "JSON"
	# the same in a window; on a terminal that nobody knows as plain text
	TERM=xterm script -qec "$pimctl top --count 1 --interval 0.3" /tmp/window </dev/null >/dev/null
	grep -q $'\e\\[?1049h.*ranks: 1, 1 leased' /tmp/window || fail "window: $(cat -v /tmp/window)"
	TERM=nonesuch script -qec "$pimctl top --count 1 --interval 0.3" /tmp/window </dev/null >/dev/null
	grep -q '^[0-9:]* ranks: 1, 1 leased' /tmp/window || fail "no window: $(cat -v /tmp/window)"
	kill "$!"
	reap "$!"
	wait_until 10 waiting 1001 0
	"$pimctl" top --batch --interval 0.1 --count 1 | grep -q 'waiting: 0$'
}

t_run run run_and_status
t_run shared shared
t_run outlived outlived
t_run order order
t_run limits limits
t_run no-waiting no_waiting
t_run waiter-killed waiter_killed
t_run revoked revoked
t_run expired expired
t_run offline offline
t_run kills kills
t_run events events
t_run counted counted
t_run tools tools
t_run top live
t_run kept kept
t_run kept-choice kept_choice
t_run kept-at-once kept_at_once
t_run kept-ends kept_ends
t_run kept-elsewhere kept_elsewhere
t_end
