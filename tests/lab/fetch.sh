#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Download and unpack the kernels of the lab into the cache, once.
# Nothing is installed: packages are downloaded with apt-get and unpacked with
# dpkg-deb. Called by `lab fetch`; needs no root, only apt's package lists.
#
# $CACHE/kernel/NAME -> a directory keyed by release and package version:
#   release        the kernel's release (uname -r)
#   kdir           symlink: headers usable as `make -C kdir M=... modules`
#   lib/modules/RELEASE/{kernel,modules.*,build,vmlinuz,vmlinux}
# $CACHE/source/linux-source-6.12.deb -> the source package of the same version

set -euo pipefail

cache=${ANNEX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/annex}

die() { echo "lab fetch: $*" >&2; exit 1; }
log() { echo "lab fetch: $*" >&2; }

upgrade=
case ${1-} in
--upgrade) upgrade=1 ;;
"") ;;
*) die "unknown argument '$1' (only --upgrade is known)" ;;
esac

for tool in apt-get apt-cache dpkg dpkg-deb depmod flock xzcat zstdcat; do
	PATH=$PATH:/sbin:/usr/sbin command -v "$tool" >/dev/null ||
		die "$tool is missing: run tests/lab/setup.sh first"
done
PATH=$PATH:/sbin:/usr/sbin

mkdir -p "$cache/kernel" "$cache/source"
exec 9>"$cache/lock"
flock -w 1800 9 || die "another fetch holds $cache/lock for half an hour"

tmp=$(mktemp -d "$cache/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# versions PACKAGE: all versions that apt knows, highest first
versions() {
	apt-cache show "$1" 2>/dev/null | sed -n 's/^Version: //p' | sort -rVu
}

# download PACKAGE=VERSION...: into $tmp/deb
download() {
	mkdir -p "$tmp/deb"
	(cd "$tmp/deb" && timeout 1200 apt-get -q download "$@" >"$tmp/apt.log" 2>&1) ||
		{ cat "$tmp/apt.log" >&2; die "download of $* failed: check the network, then run tests/lab/setup.sh"; }
}

# find_image REGEX WANTED: prints "RELEASE VERSION" of the newest image whose
# headers have the very same version (and equals WANTED when that is given)
find_image() {
	local pkg rel ver best='' bestver=''
	while read -r pkg; do
		rel=${pkg#linux-image-}
		rel=${rel%-unsigned}
		for ver in $(versions "$pkg"); do
			[[ -z $2 || $ver == "$2" ]] || continue
			versions "linux-headers-$rel" | grep -qxF "$ver" || continue
			if [[ -z $best ]] || dpkg --compare-versions "$ver" gt "$bestver"; then
				best=$rel bestver=$ver
			fi
		done
	done < <(apt-cache search --names-only "$1" | cut -d' ' -f1)
	[[ -n $best ]] && echo "$best $bestver"
}

# extract VMLINUZ VMLINUX: unpack the kernel beforehand. QEMU boots the ELF file
# through its PVH entry; that saves seconds of decompression under TCG.
extract() {
	local magic tool offset
	for tool in 'zstdcat \x28\xb5\x2f\xfd' 'xzcat \xfd7zXZ\x00' 'zcat \x1f\x8b\x08'; do
		read -r tool magic <<<"$tool"
		while read -r offset; do
			# what follows the compressed data makes the tool complain
			tail -c "+$((offset + 1))" "$1" | timeout 60 "$tool" >"$2" 2>/dev/null || true
			[[ $(head -c 4 "$2" | tr -d '\0') != $'\x7fELF' ]] || return 0
		done < <(LC_ALL=C grep -aobP "$magic" "$1" | LC_ALL=C cut -d: -f1)
	done
	rm -f "$2"
}

# unpack NAME RELEASE VERSION KBUILD
unpack() {
	local name=$1 rel=$2 ver=$3 kbuild=$4 deb dir
	dir=$cache/kernel/$rel@$ver

	if [[ ! -e $dir/release ]]; then
		log "$name: $rel ($ver)"
		rm -rf "$tmp/deb" "$tmp/root"
		download "linux-image-$rel-unsigned=$ver" "linux-headers-$rel=$ver" \
			"linux-headers-${rel%-amd64}-common=$ver" "$kbuild=$ver"
		mkdir "$tmp/root"
		for deb in "$tmp"/deb/*.deb; do
			dpkg-deb -x "$deb" "$tmp/root"
		done
		# the headers' Makefile names its other half by absolute path
		cat >"$tmp/root/usr/src/linux-headers-$rel/Makefile" <<-MAKE
		include \$(dir \$(realpath \$(lastword \$(MAKEFILE_LIST))))../linux-headers-${rel%-amd64}-common/Makefile
		MAKE
		ln -sfn "usr/src/linux-headers-$rel" "$tmp/root/kdir"
		mv "$tmp/root/boot/vmlinuz-$rel" "$tmp/root/lib/modules/$rel/vmlinuz"
		extract "$tmp/root/lib/modules/$rel/vmlinuz" "$tmp/root/lib/modules/$rel/vmlinux"
		ln -sfn "$dir/usr/src/linux-headers-$rel" "$tmp/root/lib/modules/$rel/build"
		rm -f "$tmp/root/lib/modules/$rel/source"
		rm -rf "$tmp/root/usr/share"
		depmod -b "$tmp/root" "$rel"
		echo "$rel" >"$tmp/root/release"
		echo "$ver" >"$tmp/root/version"
		rm -rf "$dir"
		mv "$tmp/root" "$dir"
	fi
	ln -sfn "${dir##*/}" "$cache/kernel/$name"
}

have() { [[ -e $cache/kernel/$1/release && -z $upgrade ]]; }

if ! have 6.12; then
	found=
	for ver in $(versions linux-source-6.12); do
		found=$(find_image '^linux-image-6\.12[0-9.+a-z]*-amd64-unsigned$' "$ver") && break
	done
	[[ -n $found ]] || die "apt knows no linux-image-6.12*-amd64-unsigned with matching headers and source: run tests/lab/setup.sh (it adds the backports suite and runs apt-get update)"
	read -r rel ver <<<"$found"
	unpack 6.12 "$rel" "$ver" "linux-kbuild-${rel%-amd64}"
fi

ver=$(<"$cache/kernel/6.12/version")
if [[ ! -e $cache/source/linux-source-6.12_$ver.deb ]]; then
	log "source: $ver"
	rm -rf "$tmp/deb"
	download "linux-source-6.12=$ver"
	mv "$tmp"/deb/linux-source-6.12_*.deb "$cache/source/linux-source-6.12_$ver.deb"
fi

if ! have 6.1; then
	found=$(find_image '^linux-image-6\.1\.0-[0-9]+-amd64-unsigned$' '') ||
		die "apt knows no linux-image-6.1.0-*-amd64-unsigned with matching headers: run apt-get update"
	read -r rel ver <<<"$found"
	unpack 6.1 "$rel" "$ver" linux-kbuild-6.1
fi
