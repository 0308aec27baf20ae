/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Instructions as text, in the form that pim_asm.h reads back to the same word.
 */
#ifndef PIM_DIS_H
#define PIM_DIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIM_DIS_MAX	128

/*
 * Write an instruction as text. A word that is none, or has bits set that its
 * signature does not use, becomes ".insn 0x..."; false then, and *sig is not set.
 */
bool pim_dis_insn(uint64_t word, char text[PIM_DIS_MAX], unsigned int *sig);

/* The name of a register in that place of a signature. */
const char *pim_dis_reg(unsigned int kind, int64_t value, char name[8]);

#endif
