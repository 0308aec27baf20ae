#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Whom a donor turns away, and with which reason: keys, versions, garbage, before
# and after the connection stands. Those who do nothing wrong notice nothing.
# lab: --kernel 6.12 --mem 1G --smp 1
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

t_run wrong_key wrong_key
t_run wrong_proof wrong_proof
t_run no_key_wanted no_key_wanted
t_run wrong_version wrong_version
t_run garbage garbage
t_run no_donor no_donor
t_run messages messages
t_end
