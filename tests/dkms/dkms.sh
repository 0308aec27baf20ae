#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The DKMS package, as a user has it: 'make dkms-install', a second kernel that
# arrives later, one that is too old, removal. lib.sh says how.
#
# time: 900
set -u

# shellcheck source=tests/dkms/lib.sh
. "${0%/*}/lib.sh"

version=$(make -s print-version)
target=dkms-install
old=5.10.0-99-amd64
modules="emp emp_rdma pim pim_local dpu virtio_pim pim_mdev"

# installed RELEASE: DKMS says so, the modules are for that kernel and of this
# version, and modprobe would find them
installed()
{
	local module ko

	dkms status "annex/$version" -k "$1" | grep -q ': installed$' || return 1
	for module in $modules; do
		ko=$(find "/lib/modules/$1/updates" -name "$module.ko*")
		[ -n "$ko" ] || return 1
		modinfo -F vermagic "$ko" | grep -q "^$1 " || return 1
		# that of dpu is the one that programs ask for
		[ "$module" = dpu ] || [ "$(modinfo -F version "$ko")" = "$version" ] || return 1
		grep -q "/$module\.ko" "/lib/modules/$1/modules.dep" || return 1
	done
}

case_install()
{
	kernel "$ANNEX_612" "$KDIR_612"
	KVER=$ANNEX_612 make -s dkms-install
	cat "/var/lib/dkms/annex/$version/build/make.log" 2>/dev/null || true
	installed "$ANNEX_612"
}

# The same for one that is between those that build.
case_between()
{
	local kernel

	for kernel in 6.5.0-99-amd64 6.8.0-99-generic; do
		kernel "$kernel" "$KDIR_612"
		dkms autoinstall -k "$kernel"
		[ ! -e "/lib/modules/$kernel/updates" ] || return 1
	done
}

# The same for one that lacks a configuration option that the modules need.
case_config()
{
	local kdir=/tmp/kdir

	mkdir "$kdir"
	grep -v '^CONFIG_TRANSPARENT_HUGEPAGE=' "$KDIR_61/.config" >"$kdir/.config"
	kernel 6.2.0-99-amd64 "$kdir"
	dkms autoinstall -k 6.2.0-99-amd64
	[ ! -e /lib/modules/6.2.0-99-amd64/updates ]
}

case_old_kernel_by_hand()
{
	local status=0

	dkms build "annex/$version" -k "$old" || status=$?
	[ "$status" -eq 77 ]
}

# The rest of 'make dkms-install'.
case_system_files()
{
	[ -e /usr/lib/udev/rules.d/60-annex.rules ]
	[ -e /usr/lib/systemd/system/dev-emp.mount ]
	[ -e /etc/modprobe.d/annex.conf ]
	[ -e /usr/lib/udev/rules.d/61-annex-pim.rules ]
	modprobe -S "$ANNEX_612" --show-depends emp | grep '/emp\.ko'
	# what it needs comes with it
	modprobe -S "$ANNEX_612" --show-depends pim_local | grep '/dpu\.ko'
	modprobe -S "$ANNEX_612" --show-depends pim_local | grep '/pim\.ko'
}

case_remove()
{
	dkms remove "annex/$version" --all
	if dkms status "annex/$version" | grep -v ': added$'; then
		return 1
	fi
	[ -z "$(find /lib/modules -path '*/updates/*' -name '*.ko*')" ]
}

echo "1..9"
run install-6.12 case_install
run install-again case_again
run autoinstall-6.1 case_autoinstall
run autoinstall-too-old case_old_kernel
run autoinstall-between case_between
run autoinstall-no-config case_config
run build-too-old case_old_kernel_by_hand
run system-files case_system_files
run remove case_remove
