/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DPU executables: ELF32, machine 245, as the SDK's linker writes and its
 * loader reads them. They are fully linked: segments and symbols are all.
 */
#ifndef PIM_ELF_H
#define PIM_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../lib/ax_err.h"

#define PIM_EM_DPU	245
#define PIM_EF_DPU	0x2800000u

/* Where the memories are in the address space of an executable. */
#define PIM_VMA_IRAM	0x80000000u	/* 8 bytes an instruction, 6 of them used */
#define PIM_VMA_WRAM	0x00000000u
#define PIM_VMA_MRAM	0x08000000u
#define PIM_VMA_ATOMIC	0xf0000000u

enum pim_space { PIM_SPACE_WRAM, PIM_SPACE_MRAM, PIM_SPACE_IRAM, PIM_SPACE_ATOMIC, PIM_SPACE_NONE };

/* What to load: @size bytes at byte @at of the memory, then zeros up to @mem_size. */
struct pim_segment {
	enum pim_space space;
	uint32_t at;
	uint32_t size, mem_size;
	const uint8_t *bytes;
};

struct pim_symbol {
	const char *name;
	uint32_t value;		/* address in the executable */
	uint32_t size;		/* 0: unknown */
	bool global;
	bool absolute;		/* a constant, no address */
};

struct pim_program {
	uint8_t *file;		/* all of it; the rest points into it */
	size_t file_size;
	struct pim_segment *segments;
	uint32_t nr_segments;
	struct pim_symbol *symbols;
	uint32_t nr_symbols;
};

/* Which memory an address belongs to, and the byte within it. */
enum pim_space pim_elf_space(uint32_t vma, uint32_t *at);
const char *pim_space_name(enum pim_space space);

/*
 * Read an executable: from a file, or from @size bytes which are copied.
 * Nothing in it is trusted. Returns -1 with a message when it is none that can
 * be loaded, else 0; free with pim_program_free().
 */
int pim_elf_open(const char *path, struct pim_program *program, struct ax_msg *msg);
int pim_elf_read(const void *bytes, size_t size, struct pim_program *program, struct ax_msg *msg);
void pim_program_free(struct pim_program *program);

/* A symbol by name, a global one first; NULL when there is none. */
const struct pim_symbol *pim_program_symbol(const struct pim_program *program, const char *name);

/* For writing: a section with its place and bytes (NULL: none in the file). */
struct pim_out_section {
	const char *name;
	uint32_t vma, size;
	const uint8_t *bytes;
	bool code;
};

/* Write an executable. Symbols: local ones before global ones. Returns -1 with errno. */
int pim_elf_write(FILE *to, const struct pim_out_section *sections, unsigned int nr_sections,
		  const struct pim_symbol *symbols, unsigned int nr_symbols);

#endif
