#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Make the tables of the DPU instruction set v1A out of dpu_v1a.tsv.

usage: gen.py TSV OUT.h OUT.c

The header has the enumerations: operations, conditions, families of conditions
and kinds of operands. The C file has one descriptor a signature (the real ones
first, then the sugar), the bit fields, and the decoder: buckets over the bits
that tell most instructions apart, each with the few signatures that may be in
it, and for each signature the exact predicate of the table. The output depends
on the input alone.
"""
import ast
import re
import sys

# Condition families: the value of the cc field -> condition. A condition that
# means different things after an addition and a subtraction has two names.
COMMON = {1: 'true', 2: 'z', 3: 'nz', 4: 'xz', 5: 'xnz'}
SOURCE = {12: 'sz', 13: 'snz', 14: 'spl', 15: 'smi'}
SIGN = {8: 'pl', 9: 'mi'}
SUB = {18: 'ov_sub', 19: 'nov_sub', 20: 'ltu', 21: 'geu', 22: 'lts', 23: 'ges', 24: 'les', 25: 'gts',
       26: 'leu', 27: 'gtu', 28: 'xles', 29: 'xgts', 30: 'xleu', 31: 'xgtu'}
SET = {6: 'z', 7: 'nz', 10: 'xz', 11: 'xnz'}
SHIFT = {24: 'e', 25: 'o', 30: 'se', 31: 'so'}


def merge(*parts):
    out = {}
    for part in parts:
        out.update(part)
    return out


SUB_NZ = merge(COMMON, SIGN, SOURCE, SUB)
FAMILIES = {
    'none': {},
    'false': {0: 'false'},
    'true': {1: 'true'},
    'true_false': {0: 'false', 1: 'true'},
    'acquire': {1: 'true', 2: 'z', 3: 'nz'},
    'release': {0: 'nz'},
    'boot': merge({0: 'false'}, COMMON, SOURCE),
    'div': merge({0: 'false', 1: 'true'}, SOURCE),
    'div_nz': merge({1: 'true'}, SOURCE),
    'log_set': SET,
    'sub_set': SET,
    'ext_sub_set': merge(SET, {v + 32: c for v, c in SUB_NZ.items()}),
    'log_nz': merge(COMMON, SIGN, SOURCE),
    'add_nz': merge(COMMON, SIGN, SOURCE, {18: 'ov_add', 19: 'nov_add', 20: 'c', 21: 'nc'},
                    {17 + n: 'nc%d' % n for n in range(5, 15)}),
    'sub_nz': SUB_NZ,
    'imm_shift_nz': merge(COMMON, SIGN, SOURCE, SHIFT),
    'shift_nz': merge(COMMON, SIGN, SOURCE, SHIFT, {28: 'nsh32', 29: 'sh32'}),
    'count_nz': merge(COMMON, {8: 'max', 9: 'nmax'}, SOURCE),
    'mul_nz': merge(COMMON, SOURCE, {30: 'small', 31: 'large'}),
}

ADDITIVE = {'add', 'addc'}
SUBTRACTIVE = {'sub', 'subc', 'rsub', 'rsubc'}
SHIFTS = {'asr', 'lsl', 'lsl1', 'lsl1x', 'lslx', 'lsr', 'lsr1', 'lsr1x', 'lsrx', 'rol', 'ror'}
COUNTS = {'cao', 'clo', 'cls', 'clz'}
SHIFT_ADDS = {'lsl_add', 'lsl_sub', 'lsr_add', 'rol_add'}
THREADS = {'boot', 'resume', 'clr_run', 'read_run', 'stop', 'mul_step'}

# The operand kinds of the table, and how many bits an immediate has is in its fields.
KINDS = ['none', 'zero', 'rc', 'dc', 'ra', 'rb', 'db', 'imm', 'off', 'shift', 'immDma', 'endian', 'cc', 'pc']


def family(op, form):
    """The family of the cc operand, or 'none'."""
    if form.endswith('f'):
        return 'false'
    if form.endswith('ci'):
        if op in ('acquire', 'release'):
            return op
        if op in THREADS:
            return 'boot'
        if op == 'div_step':
            return 'div'
        if op in ('movd', 'swapd'):
            return 'true_false'
        if op in ('time', 'time_cfg'):
            return 'true'
        if op in SHIFT_ADDS:
            return 'div_nz'
        if op in ADDITIVE:
            return 'add_nz'
        if op in SUBTRACTIVE:
            return 'sub_nz'
        if op in SHIFTS:
            return 'imm_shift_nz' if form in ('rrici', 'zrici') else 'shift_nz'
        if op in COUNTS:
            return 'count_nz'
        if op.startswith('mul_'):
            return 'mul_nz'
        return 'log_nz'
    if form.endswith('c'):
        if op in ('sub', 'subc') and form not in ('rirc', 'zirc'):
            return 'ext_sub_set'
        return 'sub_set' if op in SUBTRACTIVE else 'log_set'
    return 'none'


# The suffix of a sugar mnemonic that stands for "safe"; what sugar jumps compute with.
def sugar_family(mnemonic, form):
    """Sugar shares the families of what it stands for."""
    base = mnemonic.split('.')[0]
    if base == 'move':
        return 'log_nz' if form.endswith('ci') else 'none'
    if base == 'not':
        return 'log_nz' if form.endswith('ci') else 'none'
    if base == 'neg':
        return 'sub_nz' if form.endswith('ci') else 'none'
    return 'none'


FIELD = re.compile(r'(\w+)\[(\d+):(\d+)\]@(\d+)$')


class Signature:
    """One line of the table."""

    def __init__(self, line):
        name, sugar, operands, base, fields, conditions = line.rstrip('\n').split('\t')
        self.name = name
        self.sugar = sugar == '1'
        self.mnemonic, self.form = name.split(':')
        parts = self.mnemonic.split('.')
        self.op = parts[0]
        self.ext = parts[1] if len(parts) > 1 else ''
        self.operands = [o for o in operands.split(',') if o]
        self.base = int(base, 16)
        self.fields = []
        taken = 0
        for field in fields.split():
            match = FIELD.match(field)
            if not match:
                sys.exit(f'{name}: field {field}')
            kind, low, width, to = match[1], int(match[2]), int(match[3]), int(match[4])
            mask = ((1 << width) - 1) << to
            if mask & self.base or mask & taken or mask >> 48:
                sys.exit(f'{name}: field {field} is over other bits')
            taken |= mask
            self.fields.append((KINDS.index(kind), low, width, to))
        self.family = sugar_family(self.mnemonic, self.form) if self.sugar else family(self.op, self.form)
        # The destination "zero" is in the syntax, not in the encoding.
        if self.form.startswith('z') and not self.sugar:
            self.operands.insert(0, 'zero')
        self.tests = [] if self.sugar else [c.strip() for c in conditions.split(' && ')]


def bits_of(node):
    """The bits of i that an expression looks at."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
        if isinstance(node.right, ast.Constant) and not isinstance(node.left, ast.Constant):
            return bits_of(node.left) & ((1 << 48) - 1) if isinstance(node.left, ast.BinOp) and \
                isinstance(node.left.op, ast.BitAnd) else shifted(node.left, node.right.value)
    out = 0
    for child in ast.iter_child_nodes(node):
        out |= bits_of(child)
    return out


def shifted(node, mask):
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift):
        return mask << node.right.value
    if isinstance(node, ast.Name):
        return mask
    sys.exit('unknown form of predicate: ' + ast.dump(node))


C_OPS = {ast.BitAnd: '&', ast.RShift: '>>', ast.BitXor: '^', ast.Eq: '==', ast.NotEq: '!=',
         ast.Lt: '<', ast.Gt: '>', ast.And: '&&', ast.Or: '||'}


def to_c(node):
    """The expression in C, in parentheses: C and Python bind & and == differently."""
    if isinstance(node, ast.Name):
        return 'i'
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.BinOp):
        return f'({to_c(node.left)} {C_OPS[type(node.op)]} {to_c(node.right)})'
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return f'({to_c(node.left)} {C_OPS[type(node.ops[0])]} {to_c(node.comparators[0])})'
    if isinstance(node, ast.BoolOp):
        return '(' + f' {C_OPS[type(node.op)]} '.join(to_c(v) for v in node.values) + ')'
    sys.exit('unknown form of predicate: ' + ast.dump(node))


# Bits that pick the bucket: [47:42], [33:32], [31:28].
BUCKET = list(range(42, 48)) + [32, 33] + [28, 29, 30, 31]


def bucket_word(number):
    return sum(((number >> n) & 1) << bit for n, bit in enumerate(BUCKET))


class Test:
    """One of the conditions that together make a predicate."""

    def __init__(self, text):
        node = ast.parse(text, mode='eval').body
        self.code = to_c(node)
        self.used = bits_of(node)
        free = [b for b in range(48) if self.used >> b & 1 and b not in BUCKET]
        holds = eval(f'lambda i: {text}')
        fills = [sum(((n >> k) & 1) << b for k, b in enumerate(free)) for n in range(1 << len(free))]
        # by what the bucket says of the bits it looks at: can it hold?
        self.possible = {}
        for number in range(1 << len(BUCKET)):
            word = bucket_word(number) & self.used
            if word not in self.possible:
                self.possible[word] = any(holds(word | fill) for fill in fills)


def fill_buckets(real, tests):
    buckets = []
    alive = {}
    for number in range(1 << len(BUCKET)):
        word = bucket_word(number)
        holds = tuple(test.possible[word & test.used] for test in tests)
        if holds not in alive:
            alive[holds] = [index for index, sig in enumerate(real) if all(holds[t] for t in sig.tests)]
        buckets.append(alive[holds])
    return buckets


def ident(name):
    return re.sub(r'\W', '_', name).upper()


def rows(values, per_line=16):
    out = []
    for start in range(0, len(values), per_line):
        out.append('\t' + ', '.join(str(v) for v in values[start:start + per_line]) + ',')
    return out


def main():
    tsv, header, source = sys.argv[1:]
    with open(tsv, encoding='ascii') as file:
        lines = file.readlines()[1:]
    sigs = [Signature(line) for line in lines]
    real = [s for s in sigs if not s.sugar]
    sigs = real + [s for s in sigs if s.sugar]
    ops = sorted({s.op for s in real})
    conditions = []
    for values in FAMILIES.values():
        for condition in values.values():
            if condition not in conditions:
                conditions.append(condition)
    conditions.sort()
    families = list(FAMILIES)

    out = ['/* SPDX-License-Identifier: LGPL-2.1-or-later */',
           '/* Made by isa/gen.py from isa/dpu_v1a.tsv: do not edit. */',
           '#ifndef PIM_ISA_GEN_H', '#define PIM_ISA_GEN_H', '',
           f'#define PIM_NR_SIGS\t{len(real)}\t/* real ones; sugar follows */',
           f'#define PIM_NR_ALL_SIGS\t{len(sigs)}', '']
    for name, prefix, entries in (('pim_op', 'PIM_OP', ops), ('pim_cond', 'PIM_CC', conditions),
                                  ('pim_family', 'PIM_FAMILY', families), ('pim_kind', 'PIM_KIND', KINDS)):
        out.append(f'enum {name} {{')
        out += [f'\t{prefix}_{ident(e)},' for e in entries]
        out += [f'\t{prefix}_NR', '};', '']
    out.append('enum pim_signature {')
    out += [f'\tPIM_SIG_{ident(s.name)},' for s in real]
    out += ['};', '', '#endif', '']
    with open(header, 'w', encoding='ascii') as file:
        file.write('\n'.join(out))

    out = ['// SPDX-License-Identifier: LGPL-2.1-or-later',
           '/* Made by isa/gen.py from isa/dpu_v1a.tsv: do not edit. */',
           '#include "pim_isa.h"', '']
    fields, firsts = [], []
    for sig in sigs:
        firsts.append(len(fields))
        fields += sig.fields
    out.append('const struct pim_field pim_fields[] = {')
    out += [f'\t{{ PIM_KIND_{ident(KINDS[k])}, {low}, {width}, {to} }},' for k, low, width, to in fields]
    out += ['};', '', f'const struct pim_sig pim_sigs[{len(sigs)}] = {{']
    for sig, first in zip(sigs, firsts):
        # Sugar that is no operation of its own has the number of operations there.
        op = f'PIM_OP_{ident(sig.op)}' if not sig.sugar else 'PIM_OP_NR'
        kinds = ', '.join(f'PIM_KIND_{ident(o)}' for o in sig.operands) or '0'
        ext = {'': 0, 's': 1, 'u': 2}[sig.ext]
        out.append(f'\t{{ "{sig.mnemonic}", "{sig.form}", 0x{sig.base:012x}ULL, {op}, {ext}, '
                   f'PIM_FAMILY_{ident(sig.family)}, {len(sig.operands)}, {len(sig.fields)}, {first}, '
                   f'{{ {kinds} }} }},')
    out += ['};', '', 'const char *const pim_op_names[] = {']
    out += [f'\t"{op}",' for op in ops]
    out += ['};', '', 'const char *const pim_cond_names[] = {']
    # ov after an addition and after a subtraction is written the same
    out += [f'\t"{re.sub("_(add|sub)$", "", c)}",' for c in conditions]
    out += ['};', '', '/* condition of a cc value, or PIM_CC_NR */',
            'const unsigned char pim_cc_map[PIM_FAMILY_NR][64] = {']
    for values in FAMILIES.values():
        out.append('\t{')
        out += ['\t' + r for r in rows([f'PIM_CC_{ident(values[v])}' if v in values else 'PIM_CC_NR'
                                        for v in range(64)], 4)]
        out.append('\t},')
    out += ['};', '']

    texts = sorted({text for sig in real for text in sig.tests})
    if len(texts) >= 255:
        sys.exit('too many different conditions for a byte')
    tests = [Test(text) for text in texts]
    number = {text: index for index, text in enumerate(texts)}
    for sig in real:
        sig.tests = [number[text] for text in sig.tests]
    most = max(len(sig.tests) for sig in real) + 1
    buckets = fill_buckets(real, tests)
    starts, members, known = [], [], {}
    for bucket in buckets:
        key = tuple(bucket)
        if key not in known:
            known[key] = len(members)
            members += bucket + [65535]
        starts.append(known[key])
    out += ['static const unsigned short members[] = {'] + rows(members) + ['};', '']
    out += [f'static const unsigned short buckets[{len(starts)}] = {{'] + rows(starts) + ['};', '']
    out += [f'static const unsigned char tests[PIM_NR_SIGS][{most}] = {{']
    out += ['\t{ ' + ', '.join(str(t) for t in sig.tests + [255] * (most - len(sig.tests))) + ' },'
            for sig in real]
    out += ['};', '', 'static bool holds(unsigned int test, uint64_t i)', '{', '\tswitch (test) {']
    for index, test in enumerate(tests):
        out += [f'\tcase {index}:', f'\t\treturn {test.code};']
    out += ['\tdefault:', '\t\treturn false;', '\t}', '}', '',
            'const unsigned short *pim_isa_candidates(uint64_t i)', '{',
            '\treturn members + buckets[(i >> 42 & 63) | (i >> 32 & 3) << 6 | (i >> 28 & 15) << 8];',
            '}', '', 'bool pim_isa_matches(unsigned int sig, uint64_t i)', '{',
            '\tconst unsigned char *test;', '',
            '\tfor (test = tests[sig]; *test != 255; test++) {', '\t\tif (!holds(*test, i))',
            '\t\t\treturn false;', '\t}', '\treturn true;', '}', '']
    with open(source, 'w', encoding='ascii') as file:
        file.write('\n'.join(out))


main()
