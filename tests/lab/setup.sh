#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Install what the lab needs and this Debian 12 lacks, then fetch its kernels
# into the cache. Quick when nothing is missing. Root, or sudo.
#
# QEMU comes from the backports suite. When apt does not know that suite, a
# sources file is derived from the one that names the main suite.

set -euo pipefail

lab=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
PATH=$PATH:/usr/sbin:/sbin

die() { echo "setup: $*" >&2; exit 1; }

root=()
if [[ $(id -u) != 0 ]]; then
	command -v sudo >/dev/null || die "run this as root, or install sudo"
	root=(sudo)
fi

# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
[[ $codename == bookworm ]] ||
	echo "setup: made for Debian 12 (bookworm), this is '$codename': trying" >&2

packages=()
want() {
	local package=$1
	shift
	"$@" >/dev/null 2>&1 || packages+=("$package")
}
has() { command -v "$1"; }
installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

want busybox-static installed busybox-static
want cpio has cpio
want kmod has depmod
want xz-utils has xz
want zstd has zstd
want iproute2 has ip
want gcc has gcc
want make has make
want flex has flex
want bison has bison
want bc has bc
want libelf-dev installed libelf-dev
want libssl-dev installed libssl-dev
want rsync has rsync
want dmsetup has dmsetup
want udev has udevadm
want ibverbs-providers installed ibverbs-providers
want perftest has ib_read_lat
want librdmacm1 installed librdmacm1

qemu=''
version=$({ qemu-system-x86_64 --version 2>/dev/null || true; } | sed -n 's/^QEMU emulator version \([0-9]*\).*/\1/p')
if ! has qemu-img >/dev/null || ((${version:-0} < 10)); then
	qemu=1
fi

# derive: the main suite's apt source with its suite changed to backports
derive() {
	local file
	for file in /etc/apt/sources.list.d/*.sources; do
		[[ -e $file ]] || continue
		awk -v suite="$codename" '
			function flush() {
				if (!done && block ~ ("\nSuites:[^\n]*[ \t]" suite "[ \t\n]")) {
					sub(/\nSuites:[^\n]*/, "\nSuites: " suite "-backports", block)
					sub(/^\n/, "", block)
					printf "%s", block
					done = 1
				}
				block = ""
			}
			/^[ \t]*#/ { next }
			/^[ \t]*$/ { flush(); next }
			{ block = (block == "" ? "\n" : block) $0 "\n" }
			END { flush() }' "$file"
	done >"$1.sources"
	[[ ! -s $1.sources ]] || { echo sources; return; }
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[[ -e $file ]] || continue
		sed -nE "s/^(deb[[:space:]]+(\[[^]]*\][[:space:]]+)?[^[:space:]]+[[:space:]]+)$codename([[:space:]])/\1$codename-backports\3/p" "$file"
	done | head -n 1 >"$1.list"
	[[ -s $1.list ]] || return 1
	echo list
}

if ((${#packages[@]})) || [[ -n $qemu || ! -e ${ANNEX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/annex}/kernel/6.12/release ]]; then
	if ! apt-cache policy 2>/dev/null | grep -q "n=$codename-backports"; then
		if ! grep -rqs -- "$codename-backports" /etc/apt/sources.list /etc/apt/sources.list.d; then
			tmp=$(mktemp -d)
			trap 'rm -rf "$tmp"' EXIT
			kind=$(derive "$tmp/annex-backports") ||
				die "no apt source names the suite $codename: add $codename-backports yourself and run this again"
			"${root[@]}" install -m 644 "$tmp/annex-backports.$kind" /etc/apt/sources.list.d/
		fi
	fi
	"${root[@]}" timeout 300 apt-get -q update >/dev/null || die "apt-get update failed: check the network and apt's sources"
fi
install=("${root[@]}" env DEBIAN_FRONTEND=noninteractive timeout 1200 apt-get -qq install -y --no-install-recommends)
if ((${#packages[@]})); then
	echo "setup: installing ${packages[*]}" >&2
	"${install[@]}" "${packages[@]}" >/dev/null || die "could not install ${packages[*]}"
fi
if [[ -n $qemu ]]; then
	echo "setup: installing QEMU from $codename-backports" >&2
	"${install[@]}" -t "$codename-backports" qemu-system-x86 qemu-utils >/dev/null || die "could not install QEMU from $codename-backports"
fi
exec "$lab/fetch.sh"
