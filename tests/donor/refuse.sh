#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Whom a donor turns away, and with which reason: keys, versions, garbage, before
# and after the connection stands. Those who do nothing wrong notice nothing.
# lab: --kernel 6.12 --mem 1G --smp 1
# debug: no
# time: 300
# shellcheck source=tests/donor/lib.sh disable=SC2317 # cases are called by name
. "${0%/*}/lib.sh"
set -u
t_begin

# refused WRONG REASON: a connect with that fault
refused()
{
	expect x "open $addr $port $keys $1" "err reject $2 *"
}

begin()	# OPTION...: a donor, a client that behaves, one that will not
{
	donor -m 8 "$@"
	client good
	client x
	expect good "open $addr $port $keys" 'ok *'
	expect good 'grants 1' 'ok 1'
	expect good 'write 0 0 65536 1' ok
}

finish()
{
	expect good 'check 0 0 65536 1' ok
	expect good 'ping' 'ok *'
	wait_number free $((3 * slab))
}

wrong_key()
{
	begin
	rm -f /tmp/other-keys
	"$emp_donor" key add /tmp/other-keys host1
	expect x "open $addr $port /tmp/other-keys" 'err reject 4 *'	# KEY
	expect x "open $addr $port -" 'err reject 5 *'			# AUTH: without any
	refused key-id 4
	[ "$(number auth_failures)" -ge 3 ]
	finish
}

wrong_proof()
{
	begin -o proof-timeout=1s
	expect x "open $addr $port $keys proof" 'err no welcome, goodbye 5'	# AUTH
	wait_number auth_failures 1
	expect x "open $addr $port $keys no-proof" 'ok *'
	expect x 'grants 1' 'err *'
	expect x "open $addr $port $keys no-proof" 'ok *'
	expect x 'poll 2000' 'ok lost *'	# and nothing comes for ever
	[ "$(number grants)" -eq 1 ]
	finish
}

no_key_wanted()
{
	donor -m 8 --no-authentication
	client a
	expect a "open $addr $port -" 'ok *'
	expect a 'grants 1' 'ok 1'
	expect a 'write 0 0 4096 1' ok
	client b
	expect b "open $addr $port $keys" 'ok *'
}

wrong_version()
{
	begin
	refused version 2
	finish
}

garbage()
{
	local kind

	begin
	for kind in magic size short random; do
		refused "$kind" 1	# GARBAGE
	done
	refused flag 3
	refused kind 3
	[ "$(number connects_refused)" -eq 6 ]
	finish
}

# no donor of ours, and nobody at all
no_donor()
{
	client a
	expect a "open $addr 19999 $keys" 'err reject 0 status 8'
	donor -m 8 -d rxe0
	expect a "open $addr $port $keys" 'ok *'
}

messages()
{
	local bad

	begin
	# nothing; a head that lies about its size; an unknown type; flags; a donor's
	# message; a count beyond the end; no grant at all; padding; a second proof
	for bad in 00 02002000000000000000000000000000 63001000000000000000000000000000 \
		04001000000000000100000000000000 41001000000000000000000000000000 \
		030018000000000000000000000000000500000000000000 \
		030018000000000000000000000000000000000000000000 \
		020018000000000000000000000000000100000001000000 \
		01003000000000000000000000000000$(printf '%064d' 0); do
		expect x "open $addr $port $keys" 'ok *'
		expect x 'grants 1' 'ok 1'
		expect x "send $bad" 'ok *'
		expect x 'poll 300' 'ok lost 10'	# PROTOCOL
	done
	[ "$(number protocol_errors)" -eq 9 ]
	finish
}

# A donor may lie as it likes: the client takes nothing that cannot be, and never
# believes what it reads.
lying_donor()
{
	local lie

	emp_donor=$bin/liar
	for lie in garbage short magic version mac flags features credits slab; do
		DONOR_LIE=$lie donor -m 4
		client "a_$lie"
		expect "a_$lie" "open $addr $port $keys" 'err this is no donor with our key'
		donor_end
	done
	for lie in size id count grant_flags type longer status; do
		DONOR_LIE=$lie donor -m 4
		client "b_$lie"
		expect "b_$lie" "open $addr $port $keys" 'ok *'
		expect "b_$lie" 'grants 2' 'err no answer, broken'
		donor_end
	done
	for lie in rkey addr; do
		DONOR_LIE=$lie donor -m 4
		client "c_$lie"
		expect "c_$lie" "open $addr $port $keys" 'ok *'
		expect "c_$lie" 'grants 2' 'ok 2'
		expect "c_$lie" 'check 0 0 4096 0' ok
		expect "c_$lie" 'check 1 0 4096 0' 'err wc 10 *'
		donor_end
	done
	for lie in session generation; do
		DONOR_LIE=$lie donor -m 4
		client "d_$lie"
		expect "d_$lie" "open $addr $port $keys" 'ok *'
		expect "d_$lie" drop 'ok broken'
		expect "d_$lie" resume 'err this is no donor with our key, *'
		donor_end
	done
	DONOR_LIE=flip donor -m 4
	client e
	expect e "open $addr $port $keys" 'ok *'
	expect e 'grants 1' 'ok 1'
	expect e 'write 0 0 65536 1' ok
	wait_until 10 differs
}

differs()	# what is read is not what was written, and only a checksum tells
{
	[[ $(c e 'check 0 0 65536 1') == 'err differs at 4096:'* ]]
}

t_run wrong_key wrong_key
t_run wrong_proof wrong_proof
t_run no_key_wanted no_key_wanted
t_run wrong_version wrong_version
t_run garbage garbage
t_run no_donor no_donor
t_run messages messages
t_run lying_donor lying_donor
t_end
