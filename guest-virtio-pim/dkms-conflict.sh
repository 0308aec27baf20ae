#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Has another package the modules of annex-guest, for that kernel? Then this says
# which, in one line, and fails. The vendor's driver is also called dpu.
#
# usage: dkms-conflict.sh RELEASE
# environment: DESTDIR
set -u
shopt -s nullglob

release=$1
root=${DESTDIR:-}
PATH=$PATH:/sbin:/usr/sbin

refuse()
{
	echo "annex-guest: $1: $2" >&2
	exit 1
}

# One that is installed, by whatever way, and is not ours.
while read -r ko; do
	[[ $(modinfo -F description "$ko" 2>/dev/null) == Annex:* ]] ||
		refuse "the vendor's driver is installed ($ko)" "remove it first"
done < <(find "$root/lib/modules/$release" -name 'dpu.ko*' 2>/dev/null)

# One that DKMS knows, built for this kernel or not yet.
for conf in "$root"/var/lib/dkms/*/*/source/dkms.conf; do
	[[ $conf != */dkms/annex-guest/* ]] || continue
	grep -qE "^[[:space:]]*BUILT_MODULE_NAME(\[[0-9]+\])?=[\"']?dpu[\"']?[[:space:]]*\$" "$conf" || continue
	package=${conf#"$root/var/lib/dkms/"}
	package=${package%/source/dkms.conf}
	if [[ $package == annex/* ]]; then
		refuse "the whole suite is installed by DKMS, with these modules" "'dkms remove $package --all' first"
	fi
	refuse "the vendor's driver is installed by DKMS" "'dkms remove $package --all' first"
done
exit 0
