# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the tests of DKMS packages share. Real dkms, real headers, and nothing of
# it reaches the machine: everything runs in a chroot on an overlay of / whose
# upper layer is a tmpfs. Kernels are "installed" in it by a
# /lib/modules/RELEASE/build that points to the lab's headers.
#
# A test sources this file first, with set -u: it runs once outside, where the
# file makes the chroot, and again inside; only there does the file return.

# shellcheck disable=SC2034,SC2154 # variables are for those who source this, or theirs

self=$(realpath "$0")
top=${self%/tests/dkms/*}
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
	unshare --mount --propagation private "$self"
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
	rm -rf "$root"/lib/modules "$root"/var/lib/dkms/annex* "$root"/usr/src/annex-*
	INSIDE=1 exec chroot "$root" "$self"
}
[ -n "${INSIDE:-}" ] || enter

# --- inside ------------------------------------------------------------------------

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd "$top" || exit 1

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

# --- cases of each package: $target makes it, $old is a release it is too new for ----

case_again()
{
	KVER=$ANNEX_612 make -s "$target"
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
