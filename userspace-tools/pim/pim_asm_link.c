// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where the sections go, and the executable.
 *
 * WRAM: .data, .host, then .bss. MRAM: .mram, then .mram.noinit; behind that is the
 * heap, whose symbol the SDK's programs and loaders know.
 */
#include <stdlib.h>
#include <string.h>

#include "pim_asm_priv.h"
#include "pim_dpu.h"
#include "pim_elf.h"

#define HEAP	"__sys_used_mram_end"
#define TASKLETS "NR_TASKLETS"

static uint32_t up(uint32_t value)
{
	return (value + 7) & ~7u;
}

static uint32_t wram_used(const struct pim_asm *as)
{
	return up(as->sections[PIM_ASM_DATA].size) + up(as->sections[PIM_ASM_HOST].size) +
	       up(as->sections[PIM_ASM_BSS].size);
}

/*
 * The SDK's loader wants to know how many tasklets a program has: its own
 * constant of that name, in whichever source, or as many as there are.
 */
static void say_tasklets(struct pim_asm *as)
{
	struct pim_asm_symbol *found = NULL;

	for (int n = 0; n < PIM_ASM_BUCKETS; n++) {
		for (struct pim_asm_symbol *s = as->symbols[n]; s; s = s->next) {
			if (!strcmp(s->name, TASKLETS) && s->defined && (!found || s->exported))
				found = s;
		}
	}
	if (!found && !pim_asm_set(as, TASKLETS, strlen(TASKLETS), -1, PIM_NR_THREADS))
		found = pim_asm_symbol(as, TASKLETS, strlen(TASKLETS));
	if (found)
		found->exported = true;
}

static bool is_written(const struct pim_asm_symbol *s)
{
	return s->defined && (s->written || s->exported);
}

void pim_asm_place(struct pim_asm *as)
{
	struct pim_asm_buffer *s = as->sections;
	uint32_t wram = wram_used(as);
	uint32_t mram = up(s[PIM_ASM_MRAM].size) + up(s[PIM_ASM_MRAM_NOINIT].size);

	as->vma[PIM_ASM_TEXT] = PIM_VMA_IRAM;
	as->vma[PIM_ASM_DATA] = PIM_VMA_WRAM;
	as->vma[PIM_ASM_HOST] = PIM_VMA_WRAM + up(s[PIM_ASM_DATA].size);
	as->vma[PIM_ASM_BSS] = as->vma[PIM_ASM_HOST] + up(s[PIM_ASM_HOST].size);
	as->vma[PIM_ASM_MRAM] = PIM_VMA_MRAM;
	as->vma[PIM_ASM_MRAM_NOINIT] = PIM_VMA_MRAM + up(s[PIM_ASM_MRAM].size);
	as->vma[PIM_ASM_ATOMIC] = PIM_VMA_ATOMIC;
	if (s[PIM_ASM_TEXT].size > PIM_IRAM_SIZE * 8)
		pim_asm_fail(as, "%u instructions, but IRAM holds %u", s[PIM_ASM_TEXT].size / 8,
			     PIM_IRAM_SIZE);
	if (wram > PIM_WRAM_SIZE)
		pim_asm_fail(as, "%u bytes of .data, .host and .bss, but WRAM holds %u", wram,
			     PIM_WRAM_SIZE);
	if (mram > PIM_MRAM_SIZE)
		pim_asm_fail(as, "%u bytes of .mram, but MRAM holds %u", mram, PIM_MRAM_SIZE);
	if (s[PIM_ASM_ATOMIC].size > PIM_NR_ATOMIC_BITS)
		pim_asm_fail(as, "%u atomic bits, but there are %u", s[PIM_ASM_ATOMIC].size,
			     PIM_NR_ATOMIC_BITS);
	/* the heap, unless a source has its own idea of it */
	if (!pim_asm_lookup(as, HEAP, strlen(HEAP)))
		pim_asm_set(as, HEAP, strlen(HEAP), PIM_ASM_MRAM_NOINIT,
			    up(s[PIM_ASM_MRAM_NOINIT].size));
	say_tasklets(as);
}

void pim_asm_sizes(const struct pim_asm *as, uint32_t *insns, uint32_t *wram, uint32_t *mram)
{
	const struct pim_asm_buffer *s = as->sections;

	*insns = s[PIM_ASM_TEXT].size / 8;
	*wram = wram_used(as);
	*mram = up(s[PIM_ASM_MRAM].size) + up(s[PIM_ASM_MRAM_NOINIT].size);
}

uint64_t pim_asm_insn(const struct pim_asm *as, uint32_t index)
{
	const struct pim_asm_buffer *text = &as->sections[PIM_ASM_TEXT];
	uint64_t word = 0;

	if (!text->bytes || index >= text->size / 8)
		return 0;
	for (int n = 0; n < 8; n++)
		word |= (uint64_t)text->bytes[index * 8 + (uint32_t)n] << 8 * n;
	return word;
}

/* Local ones first, then by address and name: the same sources give the same file. */
static int by_place(const void *a, const void *b)
{
	const struct pim_symbol *x = a, *y = b;

	if (x->global != y->global)
		return x->global - y->global;
	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* To the next symbol of the section, or its end: what no .size says. */
static void guess_sizes(struct pim_symbol *symbols, unsigned int count,
			const struct pim_out_section *sections)
{
	for (unsigned int n = 0; n < count; n++) {
		uint32_t end = 0;

		if (symbols[n].size || symbols[n].absolute)
			continue;
		for (int k = 0; k < PIM_ASM_NR_SECTIONS; k++) {
			if (symbols[n].value >= sections[k].vma &&
			    symbols[n].value < sections[k].vma + sections[k].size)
				end = sections[k].vma + sections[k].size;
		}
		for (unsigned int k = 0; k < count; k++) {
			if (!symbols[k].absolute && symbols[k].value > symbols[n].value &&
			    symbols[k].value < end)
				end = symbols[k].value;
		}
		symbols[n].size = end ? end - symbols[n].value : 0;
	}
}

int pim_asm_write(const struct pim_asm *as, FILE *to)
{
	static const char *const names[PIM_ASM_NR_SECTIONS] = {
		".text", ".data", ".data.__sys_host", ".bss", ".mram", ".mram.noinit", ".atomic"
	};
	struct pim_out_section sections[PIM_ASM_NR_SECTIONS];
	struct pim_symbol *symbols;
	unsigned int count = 0;
	int status;

	for (int n = 0; n < PIM_ASM_NR_SECTIONS; n++) {
		const struct pim_asm_buffer *s = &as->sections[n];

		sections[n] = (struct pim_out_section) {
			.name = names[n], .vma = as->vma[n], .size = s->size,
			.bytes = s->bytes,
			.code = n == PIM_ASM_TEXT,
		};
	}
	for (int n = 0; n < PIM_ASM_BUCKETS; n++) {
		for (const struct pim_asm_symbol *s = as->symbols[n]; s; s = s->next)
			count += is_written(s);
	}
	symbols = calloc(count ? count : 1, sizeof(*symbols));
	if (!symbols)
		return -1;
	count = 0;
	for (int n = 0; n < PIM_ASM_BUCKETS; n++) {
		for (const struct pim_asm_symbol *s = as->symbols[n]; s; s = s->next) {
			if (!is_written(s))
				continue;
			symbols[count++] = (struct pim_symbol) {
				.name = s->name, .size = s->size,
				.global = s->global || s->exported,
				.absolute = s->section < 0,
				.value = s->section < 0 ? (uint32_t)s->value :
					 as->vma[s->section] + (uint32_t)s->value,
			};
		}
	}
	qsort(symbols, count, sizeof(*symbols), by_place);
	guess_sizes(symbols, count, sections);
	status = pim_elf_write(to, sections, PIM_ASM_NR_SECTIONS, symbols, count);
	free(symbols);
	return status;
}
