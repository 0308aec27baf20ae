/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside of the assembler: pim_asm.c (sources, directives, the two passes),
 * pim_asm_expr.c (symbols and expressions), pim_asm_insn.c (instructions),
 * pim_asm_link.c (where sections go, the executable).
 */
#ifndef PIM_ASM_PRIV_H
#define PIM_ASM_PRIV_H

#include "pim_asm.h"
#include "pim_isa.h"

#define PIM_ASM_MESSAGES_MAX	20
#define PIM_ASM_NAME_MAX	255
#define PIM_ASM_SECTION_MAX	(128u << 20)	/* bytes */

enum pim_asm_section {
	PIM_ASM_TEXT,
	PIM_ASM_DATA,
	PIM_ASM_HOST,		/* data that the SDK lets hosts find by name */
	PIM_ASM_BSS,
	PIM_ASM_MRAM,
	PIM_ASM_MRAM_NOINIT,
	PIM_ASM_ATOMIC,
	PIM_ASM_NR_SECTIONS
};

struct pim_asm_symbol {
	struct pim_asm_symbol *next;
	char *name;
	uint32_t hash;
	int file;		/* the source it is of; -1: of none */
	bool global;		/* others see it */
	int section;		/* -1: a constant */
	int64_t value;		/* offset in the section in bytes, or the constant */
	uint32_t size;
	bool defined;
	bool written;		/* into the executable: no .L names, no private constants */
	bool exported;		/* .global stood before it */
};

struct pim_asm_source {
	char *name, *text;
	size_t size;
};

struct pim_asm_buffer {
	uint8_t *bytes;
	uint32_t size, room;
	bool any_bytes;		/* not only space */
};

#define PIM_ASM_BUCKETS	1024

struct pim_asm {
	struct pim_asm_source *sources;
	int nr_sources;
	struct pim_asm_symbol *symbols[PIM_ASM_BUCKETS];
	struct pim_asm_buffer sections[PIM_ASM_NR_SECTIONS];
	uint32_t vma[PIM_ASM_NR_SECTIONS];
	/* where it is now */
	int pass;		/* 1: sizes and labels; 2: bytes */
	int file, line, section;
	uint32_t at[PIM_ASM_NR_SECTIONS];
	/* messages */
	void (*say)(const char *text, void *data);
	void *say_data;
	int errors;
	char first[512];
};

/* Report at the present line; returns -1. */
int pim_asm_fail(struct pim_asm *as, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- pim_asm_expr.c ------------------------------------------------------- */

bool pim_asm_name_start(char c);
bool pim_asm_name_char(char c);

/* The symbol that the present source means by that name: its own, else a global one; or NULL. */
struct pim_asm_symbol *pim_asm_lookup(const struct pim_asm *as, const char *name, size_t length);
/* The present source's own one, made when it is not there. NULL: out of memory. */
struct pim_asm_symbol *pim_asm_symbol(struct pim_asm *as, const char *name, size_t length);
/* Give a symbol its value; -1: it has another one. */
int pim_asm_set(struct pim_asm *as, const char *name, size_t length, int section, int64_t value);

/*
 * The value of the expression at *text, which moves behind it. @final: names
 * without a value are errors; else they count as 0 and *known becomes false.
 */
int pim_asm_expr(struct pim_asm *as, const char **text, bool final, int64_t *value, bool *known);
/* A character constant or one character of a string, *text behind its quote. */
int pim_asm_char(struct pim_asm *as, const char **text, int *value);

/* --- pim_asm_insn.c --------------------------------------------------------- */

/* Is there an instruction of that name? */
bool pim_asm_is_insn(const char *name, size_t length);
/* Encode it, its operands in @operands (changed). */
int pim_asm_encode(struct pim_asm *as, const char *name, size_t length, char *operands,
		   uint64_t *word);

/* --- pim_asm_link.c ----------------------------------------------------------- */

/* After the first pass: give each section its place. */
void pim_asm_place(struct pim_asm *as);

#endif
