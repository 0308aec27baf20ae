#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Put what the option tables say into the man pages (between the lines
# '.\" begin generated' and '.\" end generated') and into the completions.
#
# usage: man-lists.sh [--check] PROGRAMS-DIR MAN-DIR COMPLETION-DIR
# --check changes nothing: status 1 when something differs.
set -eu

check=''
[ "$1" = --check ] && { check=1; shift; }
bin=$1 man=$2 completion=$3

new=$(mktemp)
trap 'rm -f "$new"' EXIT
status=0

# place FILE: make it what $new is, or complain
place()
{
	cmp -s "$new" "$1" && return
	if [ -n "$check" ]; then
		echo "$1 differs from the option tables: run 'make -C userspace-tools man'" >&2
		diff -u "$1" "$new" | head -20 >&2 || true
		status=1
	else
		cat "$new" >"$1"
	fi
}

for program in empctl emp-qemu emp-donor; do
	for page in "$man/$program".[1-8]; do
		awk -v list="$bin/$program --generate man" '
			/^\.\\" begin generated/ { print; skip = 1; while ((list | getline line) > 0) print line }
			/^\.\\" end generated/ { skip = 0 }
			!skip { print }' "$page" >"$new"
		place "$page"
	done
	"$bin/$program" --generate bash >"$new"
	place "$completion/$program"
done
exit $status
