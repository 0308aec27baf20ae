// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Taking instruction words apart and putting them together, by the tables.
 */
#include <stddef.h>
#include <string.h>

#include "pim_isa.h"

static const struct pim_field *fields_of(unsigned int sig)
{
	return pim_fields + pim_sigs[sig].first_field;
}

bool pim_isa_has(unsigned int sig, unsigned int kind)
{
	for (int n = 0; n < pim_sigs[sig].nr_operands; n++) {
		if (pim_sigs[sig].operands[n] == kind)
			return true;
	}
	return false;
}

unsigned int pim_isa_width(unsigned int sig, unsigned int kind)
{
	const struct pim_field *f = fields_of(sig);
	unsigned int width = 0;

	for (int n = 0; n < pim_sigs[sig].nr_fields; n++) {
		if (f[n].kind == kind && f[n].low + f[n].width > (int)width)
			width = f[n].low + f[n].width;
	}
	return width;
}

/* Immediates are signed but for the full 32 bits, where it makes no difference. */
bool pim_isa_signed(unsigned int sig, unsigned int kind)
{
	return kind == PIM_KIND_OFF ||
	       (kind == PIM_KIND_IMM && pim_isa_width(sig, kind) < 32);
}

static bool is_pair(unsigned int kind)
{
	return kind == PIM_KIND_DC || kind == PIM_KIND_DB;
}

static int64_t extend(unsigned int sig, unsigned int kind, uint64_t raw)
{
	unsigned int width;

	if (!pim_isa_signed(sig, kind))
		return (int64_t)raw;
	width = pim_isa_width(sig, kind);
	return (int64_t)(raw << (64 - width)) >> (64 - width);
}

static uint64_t put_fields(unsigned int sig, const int64_t value[PIM_KIND_NR])
{
	const struct pim_field *f = fields_of(sig);
	uint64_t word = pim_sigs[sig].base;

	for (int n = 0; n < pim_sigs[sig].nr_fields; n++) {
		uint64_t mask = (1ULL << f[n].width) - 1;

		word |= ((uint64_t)value[f[n].kind] >> f[n].low & mask) << f[n].to;
	}
	return word;
}

/* Fill *insn as signature @sig; false when its condition does not exist. */
static bool take_apart(unsigned int sig, uint64_t word, struct pim_decoded *insn)
{
	const struct pim_sig *s = &pim_sigs[sig];
	const struct pim_field *f = fields_of(sig);

	memset(insn->value, 0, sizeof(insn->value));
	for (int n = 0; n < s->nr_fields; n++) {
		uint64_t mask = (1ULL << f[n].width) - 1;

		insn->value[f[n].kind] |= (int64_t)((word >> f[n].to & mask) << f[n].low);
	}
	for (int n = 0; n < s->nr_operands; n++) {
		unsigned int kind = s->operands[n];

		insn->value[kind] = extend(sig, kind, (uint64_t)insn->value[kind]);
		if (is_pair(kind))
			insn->value[kind] &= ~1LL;
	}
	insn->sig = (unsigned short)sig;
	insn->cond = PIM_CC_FALSE;
	if (pim_isa_has(sig, PIM_KIND_CC)) {
		insn->cond = pim_cc_map[s->family][insn->value[PIM_KIND_CC]];
		if (insn->cond == PIM_CC_NR)
			return false;
	}
	insn->canonical = put_fields(sig, insn->value) == word;
	return true;
}

/*
 * Bits that the predicates do not look at may be set: the processor would not
 * look at them either. An exact encoding goes before such a one.
 */
bool pim_isa_decode(uint64_t word, struct pim_decoded *insn)
{
	const unsigned short *sig;
	struct pim_decoded loose;
	bool found = false;

	word &= PIM_INSN_MASK;
	for (sig = pim_isa_candidates(word); *sig < PIM_NR_SIGS; sig++) {
		if (!pim_isa_matches(*sig, word) || !take_apart(*sig, word, insn))
			continue;
		if (insn->canonical)
			return true;
		if (!found)
			loose = *insn;
		found = true;
	}
	if (found)
		*insn = loose;
	return found;
}

/* Can that operand have that value? */
static bool fits(unsigned int sig, unsigned int kind, int64_t value)
{
	unsigned int width = pim_isa_width(sig, kind);

	switch (kind) {
	case PIM_KIND_ZERO:
		return true;
	case PIM_KIND_DC:
	case PIM_KIND_DB:
		return value >= 0 && value < PIM_NR_GPR && !(value & 1);
	case PIM_KIND_RC:
	case PIM_KIND_RB:
		return value >= 0 && value < PIM_NR_GPR;
	case PIM_KIND_RA:
		/* a 5-bit field, except where the two sources changed places */
		return value >= 0 && value < PIM_NR_REGS;
	case PIM_KIND_IMM:
		if (width == 32)
			return value >= INT32_MIN && value <= UINT32_MAX;
		break;
	default:
		break;
	}
	if (pim_isa_signed(sig, kind))
		return value >= -(1LL << (width - 1)) && value < 1LL << (width - 1);
	return value >= 0 && value < 1LL << width;
}

bool pim_isa_encode(unsigned int sig, const int64_t value[PIM_KIND_NR], uint64_t *word,
		    unsigned int *kind)
{
	const struct pim_sig *s = &pim_sigs[sig];
	struct pim_decoded real;

	for (int n = 0; n < s->nr_operands; n++) {
		*kind = s->operands[n];
		if (!fits(sig, *kind, value[*kind]))
			return false;
		if (*kind == PIM_KIND_CC &&
		    pim_cc_map[s->family][value[PIM_KIND_CC] & 63] == PIM_CC_NR)
			return false;
	}
	*word = put_fields(sig, value);
	/* The predicate rules out what the fields alone would allow. */
	*kind = PIM_KIND_NONE;
	return sig < PIM_NR_SIGS ? pim_isa_matches(sig, *word) : pim_isa_decode(*word, &real);
}

int pim_isa_find(const char *name)
{
	const char *colon = strchr(name, ':');
	size_t length = colon ? (size_t)(colon - name) : 0;

	for (int n = 0; colon && n < PIM_NR_ALL_SIGS; n++) {
		if (!strncmp(pim_sigs[n].mnemonic, name, length) && !pim_sigs[n].mnemonic[length] &&
		    !strcmp(pim_sigs[n].form, colon + 1))
			return n;
	}
	return -1;
}
