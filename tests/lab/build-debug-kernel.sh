#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Build the lab's debug kernel (debug.config) from Debian's linux-source-6.12
# into the cache, unless it is there: about 15 minutes on two processors.
# `lab run --kernel debug` and `lab kdir debug` use the result.

set -euo pipefail

lab=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
cache=${ANNEX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/annex}
PATH=$PATH:/usr/sbin:/sbin

die() { echo "build-debug-kernel: $*" >&2; exit 1; }
log() { echo "build-debug-kernel: $*" >&2; }

for tool in gcc make flex bison bc depmod dpkg-deb flock xz; do
	command -v "$tool" >/dev/null || die "$tool is missing: run tests/lab/setup.sh first"
done

[[ -e $cache/kernel/6.12/version ]] || "$lab/fetch.sh"
version=$(<"$cache/kernel/6.12/version")
key=$(sha1sum <"$lab/debug.config" | cut -c1-12)
dir=$cache/kernel/debug-$version-$key

if [[ -e $dir/release ]]; then
	ln -sfn "${dir##*/}" "$cache/kernel/debug"
	exit 0
fi

exec 9>"$cache/debug.lock"
flock -w 3600 9 || die "another build holds $cache/debug.lock for an hour"
if [[ -e $dir/release ]]; then
	ln -sfn "${dir##*/}" "$cache/kernel/debug"
	exit 0
fi

source=$cache/source/linux-$version
if [[ ! -e $source/Makefile ]]; then
	log "unpacking the source"
	tmp=$(mktemp -d "$cache/tmp.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	dpkg-deb -x "$cache/source/linux-source-6.12_$version.deb" "$tmp"
	tar -xf "$tmp/usr/src/linux-source-6.12.tar.xz" -C "$tmp"
	mv "$tmp/linux-source-6.12" "$source"
	rm -rf "$tmp"
fi

objects=$dir/objects
mkdir -p "$objects"
logfile=$dir/build.log
build=(nice -n 15 make -C "$source" O="$objects" -j"${JOBS:-$(nproc)}" KBUILD_BUILD_USER=annex KBUILD_BUILD_HOST=lab)
run() {
	"${build[@]}" "$@" >>"$logfile" 2>&1 ||
		{ tail -n 30 "$logfile" >&2; die "make $* failed, see $logfile"; }
}

log "building $version with debug.config into $dir (log: build.log there)"
: >"$logfile"
run KCONFIG_ALLCONFIG="$lab/debug.config" allnoconfig

# Kconfig drops what it does not like without a word
missing=0
while read -r line; do
	case $line in
	CONFIG_*)
		grep -qxF -- "$line" "$objects/.config" || { log "not taken: $line"; missing=1; }
		;;
	'# CONFIG_'*)
		! grep -q -- "^$(cut -d' ' -f2 <<<"$line")=" "$objects/.config" || { log "not taken: $line"; missing=1; }
		;;
	esac
done <"$lab/debug.config"
((missing == 0)) || die "the configuration differs from debug.config"

run bzImage modules
run INSTALL_MOD_PATH="$dir" modules_install
release=$(<"$objects/include/config/kernel.release")
modules=$dir/lib/modules/$release
cp "$objects/arch/x86/boot/bzImage" "$modules/vmlinuz"
cp "$objects/arch/x86/boot/compressed/vmlinux.bin" "$modules/vmlinux"
cp "$objects/System.map" "$dir/System.map"
rm -f "$modules/build" "$modules/source"
ln -s "$objects" "$modules/build"
ln -s objects "$dir/kdir"

# building modules needs the headers, scripts, tools and Module.symvers only
find "$objects" \( -path "$objects/scripts" -o -path "$objects/tools" \) -prune -o -type f \
	\( -name '*.o' -o -name '*.a' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' -o -name '.*.cmd' -o -name 'vmlinux*' \) \
	-print0 | xargs -0r rm -f
depmod -b "$dir" "$release"
echo "$version" >"$dir/version"
echo "$release" >"$dir/release"
ln -sfn "${dir##*/}" "$cache/kernel/debug"
log "done: $release"
