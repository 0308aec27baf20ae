/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The DPU instruction set v1A: what a 48-bit instruction word means, and back.
 *
 * The tables come from isa/dpu_v1a.tsv at build time (isa/gen.py). A signature
 * is one encoding with its operands, named "mnemonic:form" as in the table:
 * add:rri adds a register and an immediate. Sugar is a second way to write
 * some encodings of a signature; only the assembler knows it.
 */
#ifndef PIM_ISA_H
#define PIM_ISA_H

#include <stdbool.h>
#include <stdint.h>

#include "pim_isa_gen.h"

#define PIM_OPERANDS_MAX	6
#define PIM_INSN_MASK		0xffffffffffffULL

/* Registers 24 to 31 are read-only. */
enum pim_reg {
	PIM_REG_ZERO = 24, PIM_REG_ONE, PIM_REG_LNEG, PIM_REG_MNEG,
	PIM_REG_ID, PIM_REG_ID2, PIM_REG_ID4, PIM_REG_ID8,
	PIM_NR_REGS
};

#define PIM_NR_GPR	24

/* Bits [low, low + width) of an operand sit at bit @to of the word. */
struct pim_field {
	unsigned char kind, low, width, to;
};

struct pim_sig {
	const char *mnemonic;	/* with .s or .u */
	const char *form;	/* what stands after the colon */
	uint64_t base;		/* the word with all operands zero */
	unsigned char op;	/* enum pim_op; PIM_OP_NR for sugar */
	unsigned char ext;	/* 0 none, 1 .s, 2 .u: the result is extended to 64 bits */
	unsigned char family;	/* enum pim_family of the cc operand */
	unsigned char nr_operands;
	unsigned char nr_fields;
	unsigned short first_field;	/* index into pim_fields */
	/* enum pim_kind, in the order of the syntax */
	unsigned char operands[PIM_OPERANDS_MAX];
};

extern const struct pim_sig pim_sigs[PIM_NR_ALL_SIGS];
extern const struct pim_field pim_fields[];
extern const char *const pim_op_names[];
extern const char *const pim_cond_names[];
extern const unsigned char pim_cc_map[PIM_FAMILY_NR][64];

/* A word taken apart. Immediates are extended as the signature says. */
struct pim_decoded {
	unsigned short sig;
	bool canonical;		/* encoding it again gives the same word */
	unsigned char cond;	/* enum pim_cond; PIM_CC_FALSE where there is no cc operand */
	int64_t value[PIM_KIND_NR];	/* by kind of operand; absent ones are 0 */
};

/* Take a word apart; false when it is no instruction of v1A. */
bool pim_isa_decode(uint64_t word, struct pim_decoded *insn);

/*
 * Put a word together out of value[] by kind of operand; cc is the number of
 * the field. Returns false when a value does not fit, *kind is its kind then.
 */
bool pim_isa_encode(unsigned int sig, const int64_t value[PIM_KIND_NR], uint64_t *word,
		    unsigned int *kind);

/* Bits of an operand of that kind, and whether it is signed. */
unsigned int pim_isa_width(unsigned int sig, unsigned int kind);
bool pim_isa_signed(unsigned int sig, unsigned int kind);
bool pim_isa_has(unsigned int sig, unsigned int kind);

/* The number of a signature by name, as "add:rri"; -1 when there is none. */
int pim_isa_find(const char *name);

/* For pim_isa.c alone: the generated half of the decoder. */
const unsigned short *pim_isa_candidates(uint64_t word);
bool pim_isa_matches(unsigned int sig, uint64_t word);

#endif
