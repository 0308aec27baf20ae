/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The assembler with its linker: sources in, one executable out. What the
 * language looks like is in dpu-as(1).
 */
#ifndef PIM_ASM_H
#define PIM_ASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../lib/ax_err.h"

struct pim_asm;

struct pim_asm *pim_asm_create(void);
void pim_asm_destroy(struct pim_asm *as);

/*
 * Messages, as "FILE:LINE: what", go through @say with @data, each without a
 * newline; at most 20 of them. Without it, the first one is kept.
 */
void pim_asm_messages(struct pim_asm *as, void (*say)(const char *text, void *data), void *data);

/* A constant for all sources; -1 when the name cannot be one. */
int pim_asm_define(struct pim_asm *as, const char *name, int64_t value);
/* Add a source; @name for messages. The text is copied. -1: out of memory. */
int pim_asm_add(struct pim_asm *as, const char *name, const char *text, size_t size);

/* Assemble and link what was added. -1: there were messages. */
int pim_asm_link(struct pim_asm *as);
/* Write the executable. -1 with errno. */
int pim_asm_write(const struct pim_asm *as, FILE *to);

/* The first message, or "". */
const char *pim_asm_message(const struct pim_asm *as);
/* After linking: instructions, bytes of WRAM and of MRAM used. */
void pim_asm_sizes(const struct pim_asm *as, uint32_t *insns, uint32_t *wram, uint32_t *mram);
/* After linking: the instruction words. */
uint64_t pim_asm_insn(const struct pim_asm *as, uint32_t index);

#endif
