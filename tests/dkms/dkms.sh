#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The DKMS package, as a user has it: 'make dkms-install', a second kernel that
# arrives later, one that is too old, removal. Real dkms, real headers.
#
# Nothing of this reaches the machine: everything runs in a chroot on an overlay
# of / whose upper layer is a tmpfs. Kernels are "installed" in it by a
# /lib/modules/RELEASE/build that points to the lab's headers.
#
# time: 900
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
cache=${ANNEX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/annex}
filter=${ANNEX_CASE:-*}
number=0

skip_all()
{
	echo "1..0 # SKIP $*"
	exit 0
}

# --- outside: make the chroot and run this script in it --------------------------

if [ -z "${DKMS_TEST_ROOT:-}" ]; then
	echo "TAP version 14"
	[ "$(id -u)" -eq 0 ] || skip_all "needs root"
	command -v dkms >/dev/null || skip_all "dkms is not installed"
	grep -qw overlay /proc/filesystems || skip_all "no overlay file system"
	DKMS_TEST_ROOT=$(mktemp -d)
	export DKMS_TEST_ROOT
	ANNEX_612=$("$top/tests/lab/lab" release 6.12) || exit 1
	ANNEX_61=$("$top/tests/lab/lab" release 6.1) || exit 1
	KDIR_612=$("$top/tests/lab/lab" kdir 6.12) || exit 1
	KDIR_61=$("$top/tests/lab/lab" kdir 6.1) || exit 1
	export ANNEX_612 ANNEX_61 KDIR_612 KDIR_61
	# In a mount namespace of its own: all mounts go when this ends.
	unshare --mount --propagation private "$0"
	status=$?
	rmdir "$DKMS_TEST_ROOT"
	exit "$status"
fi

enter()
{
	local root=$DKMS_TEST_ROOT dir

	mount -t tmpfs tmpfs "$root" &&
		mkdir "$root/upper" "$root/work" "$root/root" &&
		mount -t overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" \
			overlay "$root/root" || exit 1
	root=$root/root
	mount --rbind /proc "$root/proc" && mount --rbind /dev "$root/dev" || exit 1
	mount -t tmpfs tmpfs "$root/tmp" || exit 1
	# These may be on file systems of their own, which an overlay of / lacks.
	for dir in "$top" "$cache"; do
		mkdir -p "$root/$dir"
		mount --bind "$dir" "$root/$dir" || exit 1
	done
	# Nothing of what this machine itself has may help or hinder.
	rm -rf "$root"/lib/modules "$root"/var/lib/dkms/annex "$root"/usr/src/annex-*
	INSIDE=1 exec chroot "$root" "$top/tests/dkms/dkms.sh"
}
[ -n "${INSIDE:-}" ] || enter

# --- inside ------------------------------------------------------------------------

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd "$top" || exit 1
version=$(make -s print-version)
old=5.10.0-99-amd64
modules="emp emp_rdma pim pim_local dpu virtio_pim pim_mdev"

# kernel RELEASE KDIR: "install" a kernel with its headers
kernel()
{
	mkdir -p "/lib/modules/$1"
	ln -sfn "$2" "/lib/modules/$1/build"
	: >"/lib/modules/$1/modules.order"
	: >"/lib/modules/$1/modules.builtin"
}

# run CASE FUNCTION: one case; its output is shown when it fails
run()
{
	local output status

	number=$((number + 1))
	output=$( (set -ex; "$2") 2>&1)
	status=$?
	# shellcheck disable=SC2053 # a pattern by intent
	if [[ $1 != $filter ]]; then
		echo "ok $number - $1 # SKIP not asked for"
	elif [ "$status" -eq 0 ]; then
		echo "ok $number - $1"
	else
		echo "not ok $number - $1"
		echo "# ${output//$'\n'/$'\n'# }"
	fi
}

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

case_again()
{
	KVER=$ANNEX_612 make -s dkms-install
	installed "$ANNEX_612"
}

# What the headers package's trigger does when a kernel is added.
case_autoinstall()
{
	kernel "$ANNEX_61" "$KDIR_61"
	dkms autoinstall -k "$ANNEX_61"
	installed "$ANNEX_61"
	installed "$ANNEX_612"
}

# The package of a kernel that is too old must install all the same.
case_old_kernel()
{
	kernel "$old" "$KDIR_61"
	dkms autoinstall -k "$old"
	if installed "$old"; then
		return 1
	fi
	[ ! -e "/lib/modules/$old/updates" ]
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
