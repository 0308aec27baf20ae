// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The reference for plain operations. Written from docs/dpu-isa.md: an
 * operation is the exact result in 64 bits and more, of which 32 are kept.
 */
#include <stdio.h>
#include <string.h>

#include "pim_ref.h"

/* An operation in flight. */
struct work {
	const char *op;
	uint32_t a, b;		/* register ra; register rb or immediate */
	uint32_t shift;
	bool cf, old_zf;
	uint32_t x;
	uint32_t zero;		/* the zero flag is this being 0 */
	bool carry;		/* new carry flag */
	bool sets_carry;
	/* of a subtraction: minuend, subtrahend and borrow */
	uint32_t minuend, subtrahend;
	unsigned int borrow;
	bool is_sub, is_add;
};

static int64_t s64(uint32_t value)
{
	return value >= 0x80000000u ? (int64_t)value - 0x100000000LL : (int64_t)value;
}

static void add(struct work *w, unsigned int carry)
{
	uint64_t sum = (uint64_t)w->a + w->b + carry;

	w->x = (uint32_t)sum;
	w->carry = sum > 0xffffffffu;
	w->sets_carry = true;
	w->is_add = true;
	w->borrow = carry;
}

static void sub(struct work *w, uint32_t from, uint32_t what, unsigned int borrow)
{
	int64_t difference = (int64_t)from - (int64_t)what - (int64_t)borrow;

	w->x = (uint32_t)(uint64_t)difference;
	w->carry = difference >= 0;	/* no borrow */
	w->sets_carry = true;
	w->is_sub = true;
	w->minuend = from;
	w->subtrahend = what;
	w->borrow = borrow;
}

/* Byte 0 or 1 of a value, signed or not, by two letters: "sl", "uh". */
static int32_t part(uint32_t value, const char *which)
{
	uint32_t byte = which[1] == 'h' ? value / 256 % 256 : value % 256;

	return which[0] == 's' && byte > 127 ? (int32_t)byte - 256 : (int32_t)byte;
}

/* Bits of the value one after the other, from the left. */
static uint32_t leading(uint32_t value, bool bit)
{
	uint32_t n = 0;

	while (n < 32 && (value >> (31 - n) & 1) == bit)
		n++;
	return n;
}

static uint32_t shifted(const char *op, uint32_t a, uint32_t s)
{
	uint32_t x = a;
	bool ones = strchr(op, '1');
	bool left = op[0] == 'l' && op[1] == 's' && op[2] == 'l';
	bool other = op[strlen(op) - 1] == 'x';

	/* the x forms give what the plain form pushed out, on the side where it left */
	if (other) {
		x = 0;
		for (uint32_t n = 0; n < 32; n++) {
			bool bit;

			if (left)
				bit = n < s ? a >> (32 - s + n) & 1 : ones;
			else
				bit = n >= 32 - s ? a >> (n - (32 - s)) & 1 : ones;
			x |= (uint32_t)bit << n;
		}
		return x;
	}
	for (uint32_t n = 0; n < s; n++) {
		if (!strcmp(op, "rol"))
			x = x << 1 | x >> 31;
		else if (!strcmp(op, "ror"))
			x = x >> 1 | x << 31;
		else if (!strcmp(op, "asr"))
			x = x >> 1 | (a & 0x80000000u);
		else if (left)
			x = x << 1 | ones;
		else
			x = x >> 1 | (uint32_t)ones << 31;
	}
	return x;
}

static bool compute(struct work *w)
{
	static const char *const shifts[] = {
		"lsl", "lsl1", "lslx", "lsl1x", "lsr", "lsr1", "lsrx", "lsr1x", "asr", "rol", "ror"
	};
	const char *op = w->op;
	uint32_t a = w->a, b = w->b;
	bool zero_is_x = true;

	w->sets_carry = false;
	if (!strcmp(op, "add")) {
		add(w, 0);
	} else if (!strcmp(op, "addc")) {
		add(w, w->cf);
	} else if (!strcmp(op, "sub")) {
		sub(w, a, b, 0);
	} else if (!strcmp(op, "subc")) {
		sub(w, a, b, !w->cf);
	} else if (!strcmp(op, "rsub")) {
		sub(w, b, a, 0);
	} else if (!strcmp(op, "rsubc")) {
		sub(w, b, a, !w->cf);
	} else if (!strcmp(op, "and")) {
		w->x = a & b;
	} else if (!strcmp(op, "andn")) {
		w->x = (a ^ 0xffffffffu) & b;
	} else if (!strcmp(op, "nand")) {
		w->x = 0xffffffffu - (a & b);
	} else if (!strcmp(op, "or")) {
		w->x = a | b;
	} else if (!strcmp(op, "orn")) {
		w->x = (a ^ 0xffffffffu) | b;
	} else if (!strcmp(op, "nor")) {
		w->x = 0xffffffffu - (a | b);
	} else if (!strcmp(op, "xor")) {
		w->x = (a | b) - (a & b);
	} else if (!strcmp(op, "nxor")) {
		w->x = 0xffffffffu - ((a | b) - (a & b));
	} else if (!strcmp(op, "cao")) {
		w->x = 0;
		for (int n = 0; n < 32; n++)
			w->x += a >> n & 1;
	} else if (!strcmp(op, "clz")) {
		w->x = leading(a, false);
	} else if (!strcmp(op, "clo")) {
		w->x = leading(a, true);
	} else if (!strcmp(op, "cls")) {
		w->x = leading(a, a >= 0x80000000u);
	} else if (!strcmp(op, "extub")) {
		w->x = a % 256;
	} else if (!strcmp(op, "extuh")) {
		w->x = a % 65536;
	} else if (!strcmp(op, "extsb")) {
		w->x = a % 256 > 127 ? a % 256 + 0xffffff00u : a % 256;
	} else if (!strcmp(op, "extsh")) {
		w->x = a % 65536 > 32767 ? a % 65536 + 0xffff0000u : a % 65536;
	} else if (!strcmp(op, "cmpb4")) {
		w->x = 0;
		for (int n = 0; n < 32; n += 8)
			w->x |= (uint32_t)((a >> n) % 256 == (b >> n) % 256) << n;
	} else if (!strncmp(op, "mul_", 4) && op[6] == '_') {
		w->x = (uint32_t)(part(a, op + 4) * part(b, op + 7));
	} else if (!strcmp(op, "lsl_add") || !strcmp(op, "lsl_sub") || !strcmp(op, "lsr_add") ||
		   !strcmp(op, "rol_add")) {
		char base[4] = { op[0], op[1], op[2], 0 };

		w->zero = shifted(base, a, w->shift);
		w->x = op[4] == 'a' ? b + w->zero : b - w->zero;
		zero_is_x = false;
	} else {
		bool found = false;

		for (unsigned int n = 0; n < sizeof(shifts) / sizeof(shifts[0]); n++)
			found = found || !strcmp(op, shifts[n]);
		if (!found)
			return false;
		w->x = shifted(op, a, b % 32);
	}
	if (zero_is_x)
		w->zero = w->x;
	return true;
}

bool ref_simple_condition(unsigned int cond, uint32_t x, uint32_t source, bool old_zf)
{
	const char *name = pim_cond_names[cond];
	bool negative = x >= 0x80000000u, source_negative = source >= 0x80000000u;

	if (!strcmp(name, "true"))
		return true;
	if (!strcmp(name, "z"))
		return !x;
	if (!strcmp(name, "nz"))
		return x;
	if (!strcmp(name, "xz"))
		return !x && old_zf;
	if (!strcmp(name, "xnz"))
		return x || !old_zf;
	if (!strcmp(name, "pl"))
		return !negative;
	if (!strcmp(name, "mi"))
		return negative;
	if (!strcmp(name, "sz"))
		return !source;
	if (!strcmp(name, "snz"))
		return source;
	if (!strcmp(name, "spl"))
		return !source_negative;
	if (!strcmp(name, "smi"))
		return source_negative;
	return false;
}

/* Of the numbers that were compared, both in full width. */
static bool compared(const struct work *w, const char *name, bool *known)
{
	uint64_t um = w->minuend, us = (uint64_t)w->subtrahend + w->borrow;
	int64_t sm = s64(w->minuend), ss = s64(w->subtrahend) + w->borrow;
	bool zero = !w->x;

	*known = true;
	if (!strcmp(name, "ltu"))
		return um < us;
	if (!strcmp(name, "geu"))
		return um >= us;
	if (!strcmp(name, "leu"))
		return um < us || zero;
	if (!strcmp(name, "gtu"))
		return um >= us && !zero;
	if (!strcmp(name, "lts"))
		return sm < ss;
	if (!strcmp(name, "ges"))
		return sm >= ss;
	if (!strcmp(name, "les"))
		return sm < ss || zero;
	if (!strcmp(name, "gts"))
		return sm >= ss && !zero;
	if (!strcmp(name, "xleu"))
		return um < us || (zero && w->old_zf);
	if (!strcmp(name, "xgtu"))
		return !(um < us || (zero && w->old_zf));
	if (!strcmp(name, "xles"))
		return sm < ss || (zero && w->old_zf);
	if (!strcmp(name, "xgts"))
		return !(sm < ss || (zero && w->old_zf));
	if (!strcmp(name, "ov") || !strcmp(name, "nov")) {
		bool over = sm - ss > INT32_MAX || sm - ss < INT32_MIN;

		return over == !strcmp(name, "ov");
	}
	*known = false;
	return false;
}

static bool added(const struct work *w, const char *name, bool *known)
{
	int64_t sum = s64(w->a) + s64(w->b) + w->borrow;
	unsigned int n;

	*known = true;
	if (!strcmp(name, "c"))
		return w->carry;
	if (!strcmp(name, "nc"))
		return !w->carry;
	if (!strcmp(name, "ov"))
		return sum > INT32_MAX || sum < INT32_MIN;
	if (!strcmp(name, "nov"))
		return !(sum > INT32_MAX || sum < INT32_MIN);
	if (sscanf(name, "nc%u", &n) == 1) {
		/* what the lowest n + 1 bits carry out */
		uint64_t below = 1ULL << (n + 1);

		return w->a % below + w->b % below + w->borrow < below;
	}
	*known = false;
	return false;
}

static bool condition(const struct work *w, unsigned int cond)
{
	const char *name = pim_cond_names[cond];
	bool known, value;

	if (w->is_sub) {
		value = compared(w, name, &known);
		if (known)
			return value;
	}
	if (w->is_add) {
		value = added(w, name, &known);
		if (known)
			return value;
	}
	if (!strcmp(name, "e"))
		return w->x % 2 == 0;
	if (!strcmp(name, "o"))
		return w->x % 2;
	if (!strcmp(name, "se"))
		return w->a % 2 == 0;
	if (!strcmp(name, "so"))
		return w->a % 2;
	if (!strcmp(name, "sh32"))
		return w->b / 32 % 2;
	if (!strcmp(name, "nsh32"))
		return w->b / 32 % 2 == 0;
	if (!strcmp(name, "max"))
		return w->x == 32;
	if (!strcmp(name, "nmax"))
		return w->x != 32;
	if (!strcmp(name, "small"))
		return w->a / 256 % 256 == 0 && w->b / 256 % 256 == 0;
	if (!strcmp(name, "large"))
		return w->a / 256 % 256 || w->b / 256 % 256;
	return ref_simple_condition(cond, w->x, w->a, w->old_zf);
}

bool ref_run(struct ref *m, const struct pim_decoded *d, uint32_t pc)
{
	const struct pim_sig *s = &pim_sigs[d->sig];
	bool ra = pim_isa_has(d->sig, PIM_KIND_RA), rb = pim_isa_has(d->sig, PIM_KIND_RB);
	bool imm = pim_isa_has(d->sig, PIM_KIND_IMM), shift = pim_isa_has(d->sig, PIM_KIND_SHIFT);
	bool set = !strcmp(s->form + strlen(s->form) - 1, "c") && strcmp(s->form, "rici");
	struct work w = { .cf = m->cf, .old_zf = m->zf };
	uint32_t high, value;
	char name[16];

	if (s->form[0] == 's' || s->form[0] == 'e' || s->op == PIM_OP_TIME_CFG ||
	    s->op == PIM_OP_MUL_STEP || s->op == PIM_OP_DIV_STEP)
		return false;
	snprintf(name, sizeof(name), "%s", pim_op_names[s->op]);
	/* the immediate minus the register */
	if (s->form[1] == 'i')
		snprintf(name, sizeof(name), "r%s", pim_op_names[s->op]);
	w.op = name;
	w.shift = (uint32_t)d->value[PIM_KIND_SHIFT];
	w.a = m->r[ra ? d->value[PIM_KIND_RA] : rb ? d->value[PIM_KIND_RB] : PIM_REG_ZERO];
	if (ra && rb)
		w.b = m->r[d->value[PIM_KIND_RB]];
	else if (imm)
		w.b = (uint32_t)d->value[PIM_KIND_IMM];
	else if (shift)
		w.b = w.shift;
	if (!compute(&w))
		return false;
	value = w.x;
	high = s->ext == 1 && w.x >= 0x80000000u ? 0xffffffffu : 0;
	m->pc = pc + 1;
	if (set && s->form[0] != 'z') {
		value = condition(&w, d->cond);
		high = 0;
	} else if (pim_isa_has(d->sig, PIM_KIND_PC) && condition(&w, d->cond)) {
		m->pc = (uint32_t)d->value[PIM_KIND_PC];
	}
	if (pim_isa_has(d->sig, PIM_KIND_RC))
		m->r[d->value[PIM_KIND_RC]] = value;
	if (pim_isa_has(d->sig, PIM_KIND_DC)) {
		m->r[d->value[PIM_KIND_DC]] = high;
		m->r[d->value[PIM_KIND_DC] + 1] = value;
	}
	m->zf = !w.zero;
	if (w.sets_carry)
		m->cf = w.carry;
	return true;
}
