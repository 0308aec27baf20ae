/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random operands for the tests of the instruction set, always the same ones.
 */
#ifndef PIM_GEN_H
#define PIM_GEN_H

#include <stdint.h>

#include "../../userspace-tools/pim/pim_isa.h"

static uint64_t pim_gen_state = 1;

static inline uint32_t pim_gen(void)
{
	pim_gen_state = pim_gen_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(pim_gen_state >> 32);
}

/* Values at which arithmetic goes wrong, more often than chance has them. */
static inline uint32_t pim_gen_word(void)
{
	static const uint32_t edges[] = {
		0, 1, 2, 31, 32, 33, 63, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000,
		0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff
	};

	switch (pim_gen() % 4) {
	case 0:
		return edges[pim_gen() % (sizeof(edges) / sizeof(edges[0]))];
	case 1:
		return pim_gen() % 512;
	default:
		return pim_gen();
	}
}

static inline int64_t pim_gen_operand(unsigned int sig, unsigned int kind)
{
	unsigned int width = pim_isa_width(sig, kind), cc;
	uint64_t raw;

	switch (kind) {
	case PIM_KIND_ZERO:
		return 0;
	case PIM_KIND_CC:
		do
			cc = pim_gen() % 64;
		while (pim_cc_map[pim_sigs[sig].family][cc] == PIM_CC_NR);
		return cc;
	case PIM_KIND_RC:
	case PIM_KIND_RB:
		return pim_gen() % 24;
	case PIM_KIND_DC:
	case PIM_KIND_DB:
		return pim_gen() % 12 * 2;
	default:
		raw = (uint64_t)pim_gen_word() & ((1ULL << width) - 1);
		if (pim_isa_signed(sig, kind))
			return (int64_t)(raw << (64 - width)) >> (64 - width);
		return (int64_t)raw;
	}
}

/* Random operands that the signature can have, and its word. */
static inline uint64_t pim_gen_insn(unsigned int sig, int64_t value[PIM_KIND_NR])
{
	unsigned int kind;
	uint64_t word;

	do {
		for (kind = 0; kind < PIM_KIND_NR; kind++)
			value[kind] = 0;
		for (int n = 0; n < pim_sigs[sig].nr_operands; n++) {
			kind = pim_sigs[sig].operands[n];
			value[kind] = pim_gen_operand(sig, kind);
		}
	} while (!pim_isa_encode(sig, value, &word, &kind));
	return word;
}

#endif
