#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# dpu-as, dpu-dis and dpu-run from the command line: the example on 64 DPUs
# against the CPU, several sources, what is printed, and every kind of bad input.
# time: 300
set -u

cd "$(dirname "$0")/../.." || exit 1
top=$PWD
bin=$top/userspace-tools/build
[ -x "$bin/dpu-run" ] || { echo "1..0 # SKIP $bin/dpu-run is not built"; exit 77; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

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

# run STATUS COMMAND...: output in out and err; an error is one line
run()
{
	local status=$1 got
	shift
	"$bin/$1" "${@:2}" >out 2>err
	got=$?
	[ "$got" = "$status" ] && [ "$(wc -l <err)" -le $((status > 0)) ] && return
	echo "# $*: status $got, not $status; or more lines on stderr than one"
	sed 's/^/# /' out err
	return 1
}

# says NAME STATUS WORDS COMMAND...
says()
{
	local name=$1 status=$2 words=$3
	shift 3
	run "$status" "$@" && { grep -qaE -- "$words" out err ||
		{ echo "# no line with: $words"; sed 's/^/# /' out err; false; }; }
	result $? "$name"
}

# asm NAME: the program on standard input
asm()
{
	cat >"$1.s"
	"$bin/dpu-as" -o "$1.dpu" "$1.s"
}

echo "KTAP version 1"

# --- the example --------------------------------------------------------------
says "assemble the example" 0 '^[0-9]+ instructions' \
	dpu-as -v -o vadd.dpu "$top/userspace-tools/pim/examples/vadd.s"
"$bin/dpu-as" -o again.dpu "$top/userspace-tools/pim/examples/vadd.s" && cmp -s vadd.dpu again.dpu
result $? "the same source gives the same file"

# The tables that the tools are built from do not depend on anything but their input.
for seed in 1 2; do
	PYTHONHASHSEED=$seed python3 "$top/userspace-tools/pim/isa/gen.py" \
		"$top/userspace-tools/pim/isa/dpu_v1a.tsv" "gen$seed.h" "gen$seed.c" || break
	PYTHONHASHSEED=$seed python3 "$top/userspace-tools/pim/isa/gen_exec.py" "ops$seed" "labels$seed"
done
cmp -s gen1.h gen2.h && cmp -s gen1.c gen2.c && cmp -s ops1 ops2 && cmp -s labels1 labels2
result $? "generated sources are always the same"

# What the SDK's loader looks for beside the segments: build attributes, how many
# tasklets, and the variables for hosts in a section of their own.
python3 - <<'EOF'
import struct, sys
f = open('vadd.dpu', 'rb').read()
shoff, = struct.unpack_from('<I', f, 32)
shnum, shstrndx = struct.unpack_from('<HH', f, 48)
sections = [struct.unpack_from('<10I', f, shoff + 40 * n) for n in range(shnum)]
def name(table, at):
    start = sections[table][4] + at
    return f[start:f.index(0, start)].decode()
names = [name(shstrndx, s[0]) for s in sections]
body = {n: f[s[4]:s[4] + s[5]] for n, s in zip(names, sections)}
symtab = names.index('.symtab')
symbols = {}
for at in range(0, len(body['.symtab']), 16):
    n, value, size, info, other, index = struct.unpack_from('<IIIBBH', body['.symtab'], at)
    symbols[name(sections[symtab][6], n)] = (value, index)
ok = (struct.unpack_from('<HHIIIII', f, 16)[:4] == (2, 245, 1, 0x80000000) and
      struct.unpack_from('<I', f, 36)[0] == 0x2800000 and
      body['.dpu.attributes'] == b'A\x14\0\0\0upmem\0\1\x0a\0\0\0\5v1A\0' and
      sections[names.index('.dpu.attributes')][1] == 0x70000003 and
      symbols['NR_TASKLETS'] == (16, 0xfff1) and
      names[symbols['checksum'][1]] == '.data.__sys_host' and
      names[symbols['a'][1]] == '.mram.noinit' and symbols['a'][0] == 0x8000000 and
      symbols['__sys_used_mram_end'][0] == 0x8000000 + 3 * (16 << 20))
sys.exit(not ok)
EOF
result $? "the executable has the form that the SDK loads"

python3 - <<'EOF'
import random
random.seed(7)
for n in range(64):
    for name in 'ab':
        with open(f'{name}.{n}', 'wb') as f:
            f.write(random.randbytes(24 * 1024))
EOF
run 0 dpu-run -n 64 -s nr_blocks=24 -i a:24576=a.%d -i b:24576=b.%d -o sum:24576=sum.%d \
	-p checksum vadd.dpu && python3 - <<'EOF'
import re, struct, sys
said = {int(m[1]): int(m[2]) for m in re.finditer(r'dpu (\d+): checksum (\d+)', open('out').read())}
for n in range(64):
    a, b, s = (struct.unpack('<6144I', open(f'{name}.{n}', 'rb').read()) for name in ('a', 'b', 'sum'))
    want = tuple((x + y) % 2**32 for x, y in zip(a, b))
    if s != want or said.get(n) != sum(want) % 2**32:
        sys.exit(f'# DPU {n}: wrong sum or checksum')
EOF
result $? "vector addition and checksum on 64 DPUs, as the CPU has them"

run 0 dpu-run -n 3 -t 1 -s nr_blocks=1 -i a=a.0 -i b=b.0 -o sum:1024=all vadd.dpu &&
	[ "$(wc -c <all)" = 3072 ] && cmp -s <(head -c 1024 all) <(tail -c 1024 all) &&
	cmp -s <(head -c 1024 all) <(head -c 1024 sum.0)
result $? "one file in and out for several DPUs"

# --- disassembly ---------------------------------------------------------------
run 0 dpu-dis --plain vadd.dpu && mv out back.s && "$bin/dpu-as" -o back.dpu back.s &&
	diff <("$bin/dpu-dis" -p vadd.dpu) <("$bin/dpu-dis" -p back.dpu)
result $? "disassembled and assembled again"
says "words" 0 '^7c6300000000  nop' dpu-dis --words 7c6300000000
says "signatures" 0 'add r0, id, 1 +// add:rri' dpu-dis -s vadd.dpu
says "symbols" 0 '^WRAM +4 +4 g checksum' dpu-dis --symbols vadd.dpu
says "a word that is no instruction" 0 'ffffffffffff  \.insn 0xffffffffffff' dpu-dis -w ffffffffffff
says "a word that is too long" 2 'no instruction word' dpu-dis -w 1ffffffffffff
says "no file" 2 'no file given' dpu-dis
says "a file that is not there" 1 'nothing: No such file' dpu-dis nothing

# --- several sources ---------------------------------------------------------------
cat >one.s <<'EOF'
	.global value
start:	call r23, twice
	sw zero, value, r0
local:	stop
	.data
	.align 8
value:	.word 0
EOF
cat >two.s <<'EOF'
	.text
	.global twice
local:
twice:	move r0, AMOUNT * 2
	jump r23
EOF
run 0 dpu-as -D AMOUNT=21 -o two.dpu one.s two.s &&
	says "two sources, a constant, private names" 0 'dpu 0: value 42' dpu-run -p value two.dpu
says "a name in two sources" 1 "'twice' is defined in two sources" dpu-as -D AMOUNT=1 -o x two.s two.s
says "a name that nobody defines" 1 "one.s:2: 'twice' is not defined" dpu-as -o x one.s
[ ! -e x ]
result $? "no output after an error"

# --- errors of sources -------------------------------------------------------------
says "an unknown instruction" 1 "^<stdin>:2: unknown instruction 'fly'" dpu-as -o x - <<<$'\n\tfly r1'
says "a wrong operand" 1 "cannot take 'id' as operand 3 \(a constant" dpu-as -o x - <<<'add r1, r2, id'
says "a value that does not fit" 1 "'70000' does not fit" dpu-as -o x - <<<'acquire zero, 70000, nz, 0'
says "an unknown directive" 1 "unknown directive '\.fly'" dpu-as -o x - <<<'.fly'
says "data without room" 1 'bytes of .data, .host and .bss, but WRAM holds 65536' dpu-as -o x - <<<$'.bss\n.space 65544'
says "too many instructions" 1 '4097 instructions, but IRAM holds 4096' \
	dpu-as -o x - < <(for _ in $(seq 4097); do echo nop; done)
says "a division by 0" 1 'division by 0' dpu-as -o x - <<<'move r1, 1 / 0'
says "no source" 2 'no source given' dpu-as
says "a source that is not there" 1 'nothing.s: No such file' dpu-as nothing.s
says "a wrong --define" 2 'takes NAME=VALUE' dpu-as -D x y.s
says "an output that cannot be written" 1 'no/such/x: No such file' dpu-as -o no/such/x one.s two.s -D AMOUNT=1

# --- faults ---------------------------------------------------------------------------
asm bkp <<<$'nop\nfault 9\nstop'
says "a breakpoint" 1 'DPU 0: breakpoint 9 at instruction 1, thread 0' dpu-run bkp.dpu
asm mem <<<$'boot zero, 3\nsub zero, id, 3, z, bad\nstop\nbad: lw r0, zero, 65536\nstop'
says "a memory fault in a thread" 1 'DPU 0: memory fault at instruction 3, thread 3' dpu-run mem.dpu
asm dma <<<$'move r0, 0x7fffff8\nldma zero, r0, 1\nstop'
says "a DMA fault" 1 'DPU 0: DMA fault at instruction 1, thread 0' dpu-run dma.dpu
asm ill <<<$'.insn 0xffffffffffff\nstop'
says "no instruction" 1 'DPU 0: illegal instruction or other fault at instruction 0' dpu-run ill.dpu
asm loop <<<'jump 0'
says "a program without end" 1 '1 of 1 DPUs still run after 1[0-9]{3} ms|after 1000 ms' dpu-run -T 1 loop.dpu

# --- what a program prints: the SDK's records -------------------------------------------
asm log <<'EOF'
	stop
	.data
	.align 8
	.global __stdout_buffer_state
__stdout_buffer_state:
	.word end - begin
	.word 0
	.mram
	.align 8
	.global __stdout_buffer
__stdout_buffer:
begin:
	.asciz "%s%d%s%x%c%lu%s"
	.asciz "answer "
	.word -42
	.asciz " hex "
	.word 0xdeadbeef
	.byte '!'
	.quad 12345678901234
	.asciz "\n"
	.space 3
end:
EOF
says "a log" 0 '^answer -42 hex deadbeef!12345678901234$' dpu-run --log log.dpu
asm badlog <<'EOF'
	stop
	.data
	.align 8
	.global __stdout_buffer_state
__stdout_buffer_state:
	.word 8, 0
	.mram
	.align 8
	.global __stdout_buffer
__stdout_buffer:
	.asciz "%n%s"
	.space 3
EOF
says "a damaged log" 1 'its log is damaged' dpu-run --log badlog.dpu
asm nolog <<<'stop'
says "no log" 1 'the program has no log' dpu-run --log nolog.dpu

# --- wrong use of dpu-run ------------------------------------------------------------------
says "an ELF file of another machine" 1 'not one for a DPU|not an ELF' dpu-run "$bin/dpu-run"
head -c 200 vadd.dpu >short.dpu
says "an ELF file that is cut off" 1 'short.dpu: .*outside the file' dpu-run short.dpu
says "a text file" 1 'not an ELF file' dpu-run log.s
says "no such symbol" 1 "no symbol 'nope' \(dpu-dis --symbols" dpu-run -s nope=1 vadd.dpu
says "a constant" 1 "'NR_TASKLETS' is a constant" dpu-run -s NR_TASKLETS:4=1 vadd.dpu
says "a symbol in IRAM" 1 "'start' is in IRAM: only WRAM and MRAM" dpu-run -s start:4=1 vadd.dpu
says "beyond a memory" 1 'beyond the end of WRAM' dpu-run -s checksum+65536:4=1 vadd.dpu
says "a file that is not there" 1 'no.0: No such file' dpu-run -i a=no.%d vadd.dpu
says "a file of another size" 1 'a.0: 24576 bytes, but 8 are asked for' dpu-run -i a:8=a.0 vadd.dpu
says "no number" 2 "'x' is no number" dpu-run -s checksum=x vadd.dpu
says "no size" 2 "'x' is no size" dpu-run -s checksum:x=1 vadd.dpu
says "too many DPUs" 2 "from 1 to 64, not '65'" dpu-run -n 65 vadd.dpu
says "a device that is not there" 1 'dpu_rank99: No such file' dpu-run -r "$tmp/dpu_rank99" vadd.dpu
says "a device that is none" 1 'device: the reset of the rank failed: Inappropriate ioctl' dpu-run -r /dev/null vadd.dpu
says "no program" 2 'one program was expected' dpu-run
says "times and counts" 0 'million instructions a second$' dpu-run -S -s nr_blocks=1 vadd.dpu

echo "1..$nr"
exit $bad
