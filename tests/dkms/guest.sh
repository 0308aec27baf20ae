#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The DKMS package of a guest's modules alone: 'make dkms-install-guest', other
# kernels, removal; and what it refuses: the vendor's driver, which has the same
# name, and the whole suite. lib.sh says how.
#
# time: 600
set -u

# shellcheck source=tests/dkms/lib.sh
. "${0%/*}/lib.sh"

version=$(make -s print-version)
target=dkms-install-guest
old=5.10.0-99-amd64
package=annex-guest/$version

# installed RELEASE: both modules, for that kernel, and no others
installed()
{
	dkms status "$package" -k "$1" | grep -q ': installed$' || return 1
	[ "$(find "/lib/modules/$1/updates" -name '*.ko*' -printf '%f\n' | sed 's/\.ko.*//' |
		sort | tr '\n' ' ')" = 'dpu virtio_pim ' ] || return 1
	modinfo -F vermagic "$(ko "$1" dpu)" | grep -q "^$1 " || return 1
	[ "$(modinfo -F version "$(ko "$1" virtio_pim)")" = "$version" ] || return 1
	modprobe -S "$1" --show-depends virtio_pim | grep -q '/dpu\.ko'
}

ko()	# RELEASE MODULE
{
	find "/lib/modules/$1/updates" -name "$2.ko*"
}

# refused WORDS: the installation, in one line, and nothing changed
refused()
{
	local before after

	before=$(dkms status; find /usr/src /lib/modules -name '*annex*' -o -name '*.ko*')
	KVER=$ANNEX_612 make -s dkms-install-guest 2>/tmp/err && return 1
	grep -v '^make' /tmp/err >/tmp/words
	[ "$(wc -l </tmp/words)" -eq 1 ] || return 1
	grep -q "$1" /tmp/words || return 1
	after=$(dkms status; find /usr/src /lib/modules -name '*annex*' -o -name '*.ko*')
	[ "$before" = "$after" ]
}

# A module with the vendor's name and another description.
vendor_module()	# RELEASE
{
	mkdir -p "/lib/modules/$1/extra"
	cp /tmp/vendor.ko "/lib/modules/$1/extra/dpu.ko"
}

# A package that DKMS knows, not built for any kernel here.
vendor_package()
{
	mkdir -p /usr/src/vendor-1.0
	printf '%s\n' 'PACKAGE_NAME="vendor"' 'PACKAGE_VERSION="1.0"' 'BUILT_MODULE_NAME[0]="dpu"' \
		'DEST_MODULE_LOCATION[0]="/updates"' 'AUTOINSTALL=""' >/usr/src/vendor-1.0/dkms.conf
	dkms add vendor/1.0
}

case_install()
{
	kernel "$ANNEX_612" "$KDIR_612"
	KVER=$ANNEX_612 make -s dkms-install-guest
	installed "$ANNEX_612"
	[ -e /usr/lib/udev/rules.d/61-annex-pim.rules ]
	[ ! -e "/usr/src/annex-guest-$version/host-kmod" ]
	# for the cases below
	sed 's/description=Annex:/description=Other:/' "$(ko "$ANNEX_612" dpu)" >/tmp/vendor.ko
	[ "$(modinfo -F description /tmp/vendor.ko | cut -c 1-6)" = Other: ]
}

# A kernel comes with the vendor's driver: its installation goes on, ours does not.
case_vendor_later()
{
	local status=0

	kernel 6.2.0-98-amd64 "$KDIR_61"
	vendor_module 6.2.0-98-amd64
	dkms autoinstall -k 6.2.0-98-amd64
	[ ! -e /lib/modules/6.2.0-98-amd64/updates ]
	cmp /tmp/vendor.ko /lib/modules/6.2.0-98-amd64/extra/dpu.ko
	dkms install "$package" -k 6.2.0-98-amd64 >/tmp/out 2>&1 || status=$?
	[ "$status" -ne 0 ]
	grep -q "the vendor's driver is installed" /tmp/out
	[ ! -e /lib/modules/6.2.0-98-amd64/updates ]
}

# The whole suite is not installed over it.
case_suite_later()
{
	if KVER=$ANNEX_612 make -s dkms-install 2>/tmp/err; then
		return 1
	fi
	grep -q "annex-guest is installed" /tmp/err
	[ -z "$(dkms status annex)" ]
	installed "$ANNEX_612"
}

case_remove()
{
	dkms remove "$package" --all
	if dkms status "$package" | grep -v ': added$'; then
		return 1
	fi
	[ -z "$(find /lib/modules -path '*/updates/*' -name '*.ko*')" ]
}

case_vendor_module()
{
	vendor_module "$ANNEX_612"
	refused "the vendor's driver is installed (/lib/modules/$ANNEX_612/extra/dpu.ko)"
	rm "/lib/modules/$ANNEX_612/extra/dpu.ko"
}

case_vendor_package()
{
	vendor_package
	refused "the vendor's driver is installed by DKMS: 'dkms remove vendor/1.0 --all' first"
	dkms remove vendor/1.0 --all
	rm -rf /usr/src/vendor-1.0
}

case_suite()
{
	mkdir -p "/usr/src/annex-$version"
	cp dkms.conf "/usr/src/annex-$version/"
	dkms add "annex/$version"
	refused "the whole suite is installed by DKMS"
	dkms remove "annex/$version" --all
}

# A staged tree.
case_staged()
{
	DESTDIR=/tmp/staged KVER=$ANNEX_612 make -s dkms-install-guest
	[ -e "/tmp/staged/usr/src/annex-guest-$version/dkms.conf" ]
	[ -z "$(dkms status "$package")" ]
}

echo "1..11"
run install-6.12 case_install
run install-again case_again
run autoinstall-6.1 case_autoinstall
run autoinstall-too-old case_old_kernel
run autoinstall-vendor case_vendor_later
run suite-later case_suite_later
run remove case_remove
run vendor-module case_vendor_module
run vendor-package case_vendor_package
run beside-suite case_suite
run staged case_staged
