#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# emp-qemu: which command line comes out (--dry-run), and what is refused.
# Needs no module; where there is a QEMU, it must take what comes out.
# time: 120
set -u

cd "$(dirname "$0")/../.." || exit 1
top=$PWD
emp_qemu=$top/userspace-tools/build/emp-qemu
[ -x "$emp_qemu" ] || { echo "1..0 # SKIP $emp_qemu is not built"; exit 77; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/sysfs"
export EMP_SYSFS=$tmp/sysfs EMP_CONTROL=$tmp/no-control

nr=0 bad=0

result()	# OK NAME
{
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "ok $nr - $2"
	else
		echo "not ok $nr - $2"
		bad=1
	fi
}

# becomes NAME EXPECTED-ARGUMENTS ARGUMENT...: "qemu" is put before both
becomes()
{
	local name=$1 want="qemu $2" got
	shift 2

	got=$("$emp_qemu" --dry-run qemu "$@" 2>"$tmp/err")
	if [ "$got" != "$want" ]; then
		printf '# want: %s\n# got:  %s\n' "$want" "$got"
		sed 's/^/# /' "$tmp/err"
	fi
	[ "$got" = "$want" ]
	result $? "$name"
}

# refused NAME STATUS WORDS ARGUMENT...: arguments of emp-qemu; one line on stderr with WORDS
refused()
{
	local name=$1 status=$2 words=$3 got
	shift 3

	"$emp_qemu" "$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	if [ "$got" != "$status" ] || [ -s "$tmp/out" ] || ! grep -qF -- "$words" "$tmp/err" ||
	   [ "$(wc -l <"$tmp/err")" != 1 ]; then
		echo "# want: status $status, '$words'; got: status $got"
		sed 's/^/# /' "$tmp/out" "$tmp/err"
		false
	fi
	result $? "$name"
}

# What our part of the command line looks like for NAME and BYTES.
ours()
{
	echo "-object memory-backend-file,id=annex-ram,mem-path=/dev/emp/$1,size=$2,share=on,align=2M -machine memory-backend=annex-ram"
}

spec='dram:512|/dev/nvme0n1:8192:0'
gib=1073741824

echo "KTAP version 1"

becomes "the ancestor's form" \
	"-enable-kvm -m 8G -smp 24 $(ours vm0 $((8 * gib))) -nographic" \
	-enable-kvm -m 8G -smp 24 --mem-path "$spec" -nographic
becomes "one dash" "$(ours vm0 $gib) -m 1G" -mem-path "$spec" -m 1G
becomes "tiers in any order" "-m 1G $(ours vm0 $gib)" -m 1G --mem-path '/dev/nvme0n1:8192:0|dram:512'
becomes "quoted spec" "-m 1G $(ours vm0 $gib)" -m 1G --mem-path "'$spec'"
becomes "-m without a suffix is MiB" "-m 4096 $(ours vm0 $((4 * gib)))" -m 4096 --mem-path "$spec"
becomes "-m size=,slots=,maxmem=" "-m size=4G,slots=2,maxmem=8G $(ours vm0 $((4 * gib)))" \
	-m size=4G,slots=2,maxmem=8G --mem-path "$spec"
becomes "-m with slots only" "-m slots=2,maxmem=8G $(ours vm0 $((gib / 8)))" \
	-m slots=2,maxmem=8G --mem-path "$spec"
becomes "-m 1.5G" "-m 1.5G $(ours vm0 $((3 * gib / 2)))" -m 1.5G --mem-path "$spec"
becomes "-m 4097k is rounded as QEMU does" "-m 4097k $(ours vm0 4202496)" -m 4097k --mem-path "$spec"
becomes "the last -m counts" "-m 1G --m 2G $(ours vm0 $((2 * gib)))" -m 1G --m 2G --mem-path "$spec"
becomes "no -m: 128 MiB" "$(ours vm0 $((gib / 8)))" --mem-path "$spec"
becomes "-machine memory.size=" "-M q35,memory.size=2G $(ours vm0 $((2 * gib)))" \
	-M q35,memory.size=2G --mem-path "$spec"
becomes "-m counts more than memory.size=" "-M memory.size=2G -m 1G $(ours vm0 $gib)" \
	-M memory.size=2G -m 1G --mem-path "$spec"
becomes "other -machine options stay" "-machine q35,accel=kvm -m 1G $(ours vm0 $gib)" \
	-machine q35,accel=kvm -m 1G --mem-path "$spec"
becomes "values are no options" "-m 1G -append -mem-path -serial -m $(ours vm0 $gib)" \
	-m 1G -append -mem-path -serial -m --mem-path "$spec"
becomes "words that need quotes" "-m 1G -append 'a b'\\''c' $(ours vm0 $gib)" \
	-m 1G -append "a b'c" --mem-path "$spec"
becomes "name from -name" "-name Web1,debug-threads=on -m 1G $(ours web1 $gib)" \
	-name Web1,debug-threads=on -m 1G --mem-path "$spec"
becomes "name from -name guest=" "-name debug-threads=on,guest=web2 -m 1G $(ours web2 $gib)" \
	-name debug-threads=on,guest=web2 -m 1G --mem-path "$spec"
becomes "a -name that is no region name" "-name 'my guest' -m 1G $(ours vm0 $gib)" \
	-name 'my guest' -m 1G --mem-path "$spec"
becomes "name in the spec" "-name x -m 1G $(ours r7 $gib)" -name x -m 1G --mem-path "$spec|name=r7"
becomes "-mem-prealloc stays" "-m 1G -mem-prealloc $(ours vm0 $gib)" -m 1G -mem-prealloc --mem-path "$spec"
becomes "mem-lock=off" "-m 1G -overcommit mem-lock=off $(ours vm0 $gib)" \
	-m 1G -overcommit mem-lock=off --mem-path "$spec"
becomes "an ordinary path is left alone" "-m 1G --mem-path /dev/hugepages -mem-prealloc" \
	-m 1G --mem-path /dev/hugepages -mem-prealloc
becomes "no --mem-path" "-m 1G -display none" -m 1G -display none
becomes "more DRAM than RAM" "-m 1G $(ours vm0 $gib)" -m 1G --mem-path dram:4096
becomes "overcommit" "-m 9G $(ours vm0 $((9 * gib)))" -m 9G --mem-path "$spec|overcommit=1"
mkdir "$tmp/sysfs/vm0" "$tmp/sysfs/vm1"
becomes "the first free name" "-m 1G $(ours vm2 $gib)" -m 1G --mem-path "$spec"
rm -r "$tmp"/sysfs/*

refused "memory node" 1 "memory nodes (memdev node 1) are not built yet" \
	-n qemu -m 1G --mem-path 'dram:512|memdev:4096:1'
refused "bad spec" 1 "--mem-path column 6: dram size is not a number: 'x'" -n qemu -m 1G --mem-path dram:x
refused "tiers too small" 1 "do not hold the region" -n qemu -m 16G --mem-path "$spec"
refused "bad -m" 1 "-m: '1X' is not a size" -n qemu -m 1X --mem-path "$spec"
refused "-m too large" 1 "is not a size" -n qemu -m 9999999999G --mem-path "$spec"
refused "two --mem-path" 1 "given twice" -n qemu -mem-path "$spec" -m 1G --mem-path "$spec"
refused "--mem-path=SPEC" 1 "write --mem-path SPEC, with a space" -n qemu -m 1G "--mem-path=$spec"
refused "--mem-path without a value" 1 "needs a value" -n qemu -m 1G --mem-path
refused "a memory backend as well" 1 "memory-backend=x" \
	-n qemu -M q35,memory-backend=x -m 1G --mem-path "$spec"
refused "-numa memdev=" 1 "-numa memdev=m0" -n qemu -m 1G -numa node,memdev=m0 --mem-path "$spec"
refused "our own id is taken" 1 "emp-qemu uses that id" \
	-n qemu -m 1G -object memory-backend-ram,id=annex-ram,size=1G --mem-path "$spec"
refused "mem-lock=on" 1 "would lock all guest memory" \
	-n qemu -m 1G -overcommit mem-lock=on --mem-path "$spec"
refused "-readconfig without -m" 1 "must be given by -m" -n qemu -readconfig f --mem-path "$spec"
refused "bad --name" 1 "is not a region name" -n --name 'A b' qemu -m 1G --mem-path "$spec"
refused "no QEMU" 2 "no QEMU command line"
refused "unknown option" 2 "unrecognized option" --frobnicate qemu
refused "no such user" 1 "no such user" -n qemu -m 1G -runas no-such-user-here --mem-path "$spec"

# The options without an argument are known for the QEMU that is installed.
if qemu=$(command -v qemu-system-x86_64); then
	unknown=''
	known=$(sed -n '/bare\[\] = {/,/};/p' userspace-tools/emp/emp_qemu_args.c | grep -o '"[^"]*"' | tr -d '"')
	# in -help, an option without an argument is followed by two spaces or ends the line;
	# so is -dtb, which has one
	for option in $("$qemu" -help | sed -n 's/^--\{0,1\}\([a-zA-Z-]*\)\(  .*\|\)$/\1/p'); do
		grep -qxF -- "$option" <<<$'dtb\n'"$known" || unknown+=" $option"
	done
	[ -z "$unknown" ] || echo "# not known:$unknown"
	[ -z "$unknown" ]
	result $? "every option without an argument of $("$qemu" --version | sed -n '1s/ (.*//p')"

	# QEMU takes what comes out, and has the RAM in the file.
	for machine in pc q35 microvm; do
		truncate -s 64M "$tmp/vm0"
		EMP_MOUNT=$tmp "$emp_qemu" -n "$qemu" -M "$machine" -accel tcg -m 64M -nodefaults -display none \
			-monitor stdio -S --mem-path "$spec" >"$tmp/line"
		echo 'info memdev
quit' | bash "$tmp/line" >"$tmp/out" 2>&1
		grep -q 'memory backend: annex-ram' "$tmp/out" && grep -q 'share: true' "$tmp/out"
		result $? "QEMU takes it with -M $machine"
	done
fi

echo "1..$nr"
exit $bad
