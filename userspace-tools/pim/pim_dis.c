// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Instructions as text.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pim_dis.h"
#include "pim_isa.h"

const char *pim_dis_reg(unsigned int kind, int64_t value, char name[8])
{
	static const char *const constants[] = {
		"zero", "one", "lneg", "mneg", "id", "id2", "id4", "id8"
	};

	if (value >= PIM_NR_GPR)
		return constants[(value - PIM_NR_GPR) & 7];
	snprintf(name, 8, "%c%d", kind == PIM_KIND_DC || kind == PIM_KIND_DB ? 'd' : 'r',
		 (int)value & 31);
	return name;
}

static void add(char text[PIM_DIS_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add(char text[PIM_DIS_MAX], const char *format, ...)
{
	size_t used = strlen(text);
	va_list list;

	va_start(list, format);
	vsnprintf(text + used, PIM_DIS_MAX - used, format, list);
	va_end(list);
}

/* One of its registers is a safe one: its form has an s. */
static bool is_safe(const struct pim_sig *s)
{
	return strchr(s->form, 's');
}

/* Some conditions have two encodings: the higher one is written as a number. */
static void add_condition(char text[PIM_DIS_MAX], const struct pim_sig *s, int64_t value)
{
	const unsigned char *map = pim_cc_map[s->family];

	for (int lower = 0; lower < value; lower++) {
		if (map[lower] == map[value]) {
			add(text, "cc%d", (int)value);
			return;
		}
	}
	add(text, "%s", pim_cond_names[map[value]]);
}

bool pim_dis_insn(uint64_t word, char text[PIM_DIS_MAX], unsigned int *sig)
{
	const struct pim_sig *s;
	struct pim_decoded d;
	const char *comma = " ";
	unsigned int count;
	char name[8];

	text[0] = '\0';
	if (!pim_isa_decode(word, &d) || !d.canonical) {
		add(text, ".insn 0x%012" PRIx64, (uint64_t)(word & PIM_INSN_MASK));
		return false;
	}
	*sig = d.sig;
	s = &pim_sigs[d.sig];
	count = s->nr_operands;
	/* "false, 0" goes without saying */
	if (count >= 2 && s->operands[count - 2] == PIM_KIND_CC && d.cond == PIM_CC_FALSE &&
	    !d.value[PIM_KIND_PC])
		count -= 2;
	add(text, "%s%s", s->mnemonic, is_safe(s) ? "s" : "");
	for (unsigned int n = 0; n < count; n++) {
		unsigned int kind = s->operands[n];
		int64_t value = d.value[kind];

		if (kind == PIM_KIND_ENDIAN && !value)
			continue;
		add(text, "%s", comma);
		comma = ", ";
		switch (kind) {
		case PIM_KIND_ZERO:
			add(text, "zero");
			break;
		case PIM_KIND_ENDIAN:
			add(text, "!big");
			break;
		case PIM_KIND_CC:
			add_condition(text, s, value);
			break;
		case PIM_KIND_PC:
			add(text, "0x%" PRIx64, value);
			break;
		case PIM_KIND_RC:
		case PIM_KIND_DC:
		case PIM_KIND_RA:
		case PIM_KIND_RB:
		case PIM_KIND_DB:
			add(text, "%s", pim_dis_reg(kind, value, name));
			break;
		default:
			/* 32 bits read better with their sign */
			if (kind == PIM_KIND_IMM && pim_isa_width(d.sig, kind) == 32)
				value = (int32_t)value;
			add(text, "%" PRId64, value);
			break;
		}
	}
	if (s->family == PIM_FAMILY_FALSE)
		add(text, "%sfalse", comma);
	return true;
}
