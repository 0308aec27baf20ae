#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Write the interpreter's handlers of the plain operations.

usage: gen_exec.py OPS.inc LABELS.inc

An operation that takes two sources and makes one result is one line in the
table below; it becomes four handlers: without and with the extension of the
result to 64 bits, without and with a condition. pim_exec.c includes them into
its function. There, a is register ra and b is register rb plus the immediate;
x is the result, p and q are what the conditions of an addition or subtraction
look at, cf is the carry flag and zx the value whose being zero is the zero
flag.
"""
import sys

# Operation: (statements that make x), whether p and q are set, what goes to zx.
PLAIN = {
    'add': ('x = a + b; cf = x < a;', 'a', 'b'),
    'addc': ('wide = (uint64_t)a + b + cf; x = (uint32_t)wide; cf = (uint32_t)(wide >> 32);', 'a', 'b'),
    'sub': ('x = a - b; cf = a >= b;', 'a', 'b'),
    'rsub': ('x = b - a; cf = b >= a;', 'b', 'a'),
    'subc': ('wide = (uint64_t)a + (uint32_t)~b + cf; x = (uint32_t)wide; cf = (uint32_t)(wide >> 32);', 'a', 'b'),
    'rsubc': ('wide = (uint64_t)b + (uint32_t)~a + cf; x = (uint32_t)wide; cf = (uint32_t)(wide >> 32);', 'b', 'a'),
    'and': ('x = a & b;',),
    'andn': ('x = ~a & b;',),
    'nand': ('x = ~(a & b);',),
    'or': ('x = a | b;',),
    'orn': ('x = ~a | b;',),
    'nor': ('x = ~(a | b);',),
    'xor': ('x = a ^ b;',),
    'nxor': ('x = ~(a ^ b);',),
    'cmpb4': ('x = pim_cmpb4(a, b);',),
    'cao': ('x = (uint32_t)__builtin_popcount(a);',),
    'clz': ('x = pim_clz(a);',),
    'clo': ('x = pim_clz(~a);',),
    'cls': ('x = pim_clz((a >> 31) ? ~a : a);',),
    'extsb': ('x = (uint32_t)(int32_t)(int8_t)a;',),
    'extsh': ('x = (uint32_t)(int32_t)(int16_t)a;',),
    'extub': ('x = a & 0xff;',),
    'extuh': ('x = a & 0xffff;',),
}

# Shifts by s = b & 31; the conditions see b.
SHIFTS = {
    'lsl': 'x = a << s;',
    'lsl1': 'x = a << s | ~(~0u << s);',
    'lslx': 'x = s ? a >> (32 - s) : 0;',
    'lsl1x': 'x = s ? a >> (32 - s) | ~(~0u >> (32 - s)) : ~0u;',
    'lsr': 'x = a >> s;',
    'lsr1': 'x = a >> s | ~(~0u >> s);',
    'lsrx': 'x = s ? a << (32 - s) : 0;',
    'lsr1x': 'x = s ? a << (32 - s) | ~(~0u << (32 - s)) : ~0u;',
    'asr': 'x = (uint32_t)((int32_t)a >> s);',
    'rol': 'x = a << s | a >> (-s & 31);',
    'ror': 'x = a >> s | a << (-s & 31);',
}

# rb and a shifted by the immediate; the zero flag is that of the shifted value.
SHIFT_ADDS = {
    'lsl_add': ('a << s', '+'),
    'lsl_sub': ('a << s', '-'),
    'lsr_add': ('a >> s', '+'),
    'rol_add': ('(a << s | a >> (-s & 31))', '+'),
}

# The handlers in pim_exec.c itself: enum pim_ready, and the label where it is another one.
OTHERS = [
    'decode', 'outside', 'illegal', 'unknown', 'lw', 'lhu', 'lhs', 'lbu', 'lbs', 'ld', 'sw', 'sh', 'sb',
    'sd', 'load', 'store', 'ldma', 'ldmai', 'sdma', 'acquire', 'release', 'boot', 'resume', 'clr_run',
    'read_run', 'stop', 'fault', 'nop', 'call', 'movd', 'swapd', 'mul_step', 'div_step', 'time',
    'time_cfg', 'adds', 'subs', 'done',
]
LABELS = {'store': 'store_any'}

PART = {'sl': '(int32_t)(int8_t){}', 'sh': '(int32_t)(int8_t)({} >> 8)',
        'ul': '(int32_t)({} & 0xff)', 'uh': '(int32_t)({} >> 8 & 0xff)'}
MULS = ['sh_sh', 'sh_sl', 'sh_uh', 'sh_ul', 'sl_sh', 'sl_sl', 'sl_uh', 'sl_ul', 'uh_uh', 'uh_ul', 'ul_uh', 'ul_ul']


def body(op):
    """The statements that compute op, and the value for the zero flag."""
    lines = ['a = r[ip->ra];']
    if op in SHIFT_ADDS:
        value, sign = SHIFT_ADDS[op]
        return lines + ['s = ip->imm & 31;', f'q = {value};', f'x = r[ip->rb] {sign} q;'], 'q'
    lines.append('b = r[ip->rb] + ip->imm;')
    if op in SHIFTS:
        return lines + ['s = b & 31;', SHIFTS[op], 'q = b;'], 'x'
    if op.startswith('mul_'):
        first, second = op[4:].split('_')
        product = f'{PART[first].format("a")} * {PART[second].format("b")}'
        return lines + [f'x = (uint32_t)({product});', 'q = b;'], 'x'
    entry = PLAIN[op]
    lines.append(entry[0])
    if len(entry) > 1:
        lines += [f'p = {entry[1]};', f'q = {entry[2]};']
    return lines, 'x'


def main():
    out = ['/* SPDX-License-Identifier: LGPL-2.1-or-later */', '/* Made by isa/gen_exec.py: do not edit. */']
    ops = list(PLAIN) + list(SHIFTS) + list(SHIFT_ADDS) + ['mul_' + m for m in MULS]
    if len(sys.argv) != 3:
        sys.exit('usage: gen_exec.py OPS.inc LABELS.inc')
    for op in ops:
        lines, zero = body(op)
        for extended in (False, True):
            for condition in (False, True):
                out.append(f'{op}_{"ne"[extended] if not condition else "xy"[extended]}:')
                out += ['\t' + line for line in lines]
                if extended:
                    out.append('\tr[ip->rd] = -(x >> 31) & ip->imm2;')
                out.append('\tr[ip->rc] = x;')
                if condition:
                    out += ['\told = zx;', f'\tzx = {zero};', '\tgoto *conditions[ip->cond];']
                else:
                    out += [f'\tzx = {zero};', '\tgoto *next(&ip, &left, out);']
    # One label a condition for the jumps, one for storing it.
    with open(sys.argv[1], 'w', encoding='ascii') as file:
        file.write('\n'.join(out) + '\n')
    table = ['/* SPDX-License-Identifier: LGPL-2.1-or-later */', '/* Made by isa/gen_exec.py: do not edit. */',
             'static const void *const plain[PIM_OP_NR][4] = {']
    for op in ops:
        table.append(f'\t[PIM_OP_{op.upper()}] = {{ &&{op}_n, &&{op}_e, &&{op}_x, &&{op}_y }},')
    table += ['};', 'static const void *const others[PIM_READY_NR] = {']
    table += [f'\t[PIM_READY_{name.upper()}] = &&{LABELS.get(name, name)},' for name in OTHERS]
    table += ['};']
    conds = {
        'false': '0', 'true': '1', 'z': 'x == 0', 'nz': 'x != 0',
        'xz': 'x == 0 && old == 0', 'xnz': 'x != 0 || old != 0',
        'pl': '(int32_t)x >= 0', 'mi': '(int32_t)x < 0',
        'sz': 'a == 0', 'snz': 'a != 0', 'spl': '(int32_t)a >= 0', 'smi': '(int32_t)a < 0',
        'ov_add': '(int32_t)((p ^ x) & (q ^ x)) < 0', 'nov_add': '(int32_t)((p ^ x) & (q ^ x)) >= 0',
        'ov_sub': '(int32_t)((p ^ q) & (p ^ x)) < 0', 'nov_sub': '(int32_t)((p ^ q) & (p ^ x)) >= 0',
        'c': 'cf', 'nc': '!cf',
        'ltu': '!cf', 'geu': 'cf', 'leu': '!cf || x == 0', 'gtu': 'cf && x != 0',
        'xleu': '!cf || (x == 0 && old == 0)', 'xgtu': 'cf && (x != 0 || old != 0)',
        'e': '!(x & 1)', 'o': 'x & 1', 'se': '!(a & 1)', 'so': 'a & 1',
        'nsh32': '!(q & 32)', 'sh32': 'q & 32', 'max': 'x == 32', 'nmax': 'x != 32',
        'small': '!((a | q) & 0xff00)', 'large': '(a | q) & 0xff00',
    }
    less = '(int32_t)(x ^ ((p ^ q) & (p ^ x))) < 0'
    conds.update({'lts': less, 'ges': f'!({less})', 'les': f'{less} || x == 0', 'gts': f'!({less}) && x != 0',
                  'xles': f'{less} || (x == 0 && old == 0)', 'xgts': f'!({less}) && (x != 0 || old != 0)'})
    for n in range(5, 15):
        conds[f'nc{n}'] = f'!((p ^ q ^ x) >> {n + 1} & 1)'
    table.append('static const void *const conditions[2 * PIM_CC_NR] = {')
    code = []
    for name, expression in conds.items():
        table.append(f'\t[PIM_CC_{name.upper()}] = &&jump_{name},')
        table.append(f'\t[PIM_CC_NR + PIM_CC_{name.upper()}] = &&set_{name},')
        code += [f'jump_{name}:', f'\tgoto *branch({expression}, code, &ip, &left, out);']
        code += [f'set_{name}:', f'\tstore(r, ip, {expression});', '\tgoto *next(&ip, &left, out);']
    table += ['};']
    with open(sys.argv[1], 'a', encoding='ascii') as file:
        file.write('\n'.join(code) + '\n')
    with open(sys.argv[2], 'w', encoding='ascii') as file:
        file.write('\n'.join(table) + '\n')


main()
