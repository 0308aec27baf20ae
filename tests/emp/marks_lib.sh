# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the tests of encryption share: memory that is found again wherever it is.

# mapped FILE MB CODE: Python, with the file's memory as m
mapped()
{
	python3 -c '
import mmap, sys
size = int(sys.argv[2]) << 20
def mark(at):
    return b"annex: a mark that is to be found ".ljust(56) + at.to_bytes(8, "little")
with open(sys.argv[1], "r+b") as f:
    m = mmap.mmap(f.fileno(), size)
    exec(sys.argv[3])
    m.close()' "$@"
}

# marks FILE MB: 64 bytes that are found again anywhere, in each 4 KiB twice
marks()
{
	mapped "$@" 'for at in range(0, size, 2048): m[at:at + 64] = mark(at)'
}

marks_right()	# FILE MB
{
	mapped "$@" 'for at in range(0, size, 2048):
        assert m[at:at + 64] == mark(at), at
        assert not any(m[at + 64:at + 2048]), at'
}

# marks_in PID: how many that process has in its memory
marks_in()
{
	python3 -c '
import sys
n = 0
with open(f"/proc/{sys.argv[1]}/mem", "rb", 0) as mem:
    for line in open(f"/proc/{sys.argv[1]}/maps"):
        where, mode = line.split()[:2]
        if mode[:2] != "rw":
            continue
        at, end = (int(x, 16) for x in where.split("-"))
        while at < end:
            mem.seek(at)
            part = mem.read(min(end - at, 1 << 22))
            n += part.count(b"annex: a mark that is to be found ")
            at += len(part)
print(n)' "$1"
}
