// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writing DPU executables: header, program headers, the sections' bytes, then
 * symbols, their names, the sections' names, section headers.
 */
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pim_elf.h"

#define SECTIONS_MAX	16
#define SHT_ATTRIBUTES	0x70000003u	/* SHT_LOPROC + 3, as the SDK's linker has it */

/*
 * Build attributes in the usual form: newer loaders of the SDK refuse a program
 * that does not say which instruction set it is for.
 */
static const uint8_t attributes[] = {
	'A', 20, 0, 0, 0, 'u', 'p', 'm', 'e', 'm', 0,	/* version, length, whose they are */
	1, 10, 0, 0, 0,					/* of the file: length */
	5, 'v', '1', 'A', 0,				/* name of the processor */
};

/* A growing file. */
struct image {
	uint8_t *bytes;
	size_t used, size;
	bool failed;
};

static uint32_t append(struct image *i, const void *bytes, size_t size, size_t align)
{
	size_t at = (i->used + align - 1) / align * align;

	if (at + size > i->size) {
		size_t want = (at + size) * 2 + 4096;
		uint8_t *grown = realloc(i->bytes, want);

		if (!grown) {
			i->failed = true;
			return 0;
		}
		memset(grown + i->size, 0, want - i->size);
		i->bytes = grown;
		i->size = want;
	}
	if (bytes)
		memcpy(i->bytes + at, bytes, size);
	i->used = at + size;
	return (uint32_t)at;
}

/* The section that holds an address, else one that ends there: labels stand behind things, too. */
static uint16_t section_of(uint32_t value, const struct pim_out_section *sections,
			   unsigned int count)
{
	for (unsigned int n = 0; n < count; n++) {
		if (value >= sections[n].vma && value - sections[n].vma < sections[n].size)
			return (uint16_t)(n + 1);
	}
	for (unsigned int n = count; n-- > 0;) {
		if (value >= sections[n].vma && value - sections[n].vma == sections[n].size)
			return (uint16_t)(n + 1);
	}
	return SHN_ABS;
}

static void put_symbols(struct image *i, const struct pim_out_section *sections,
			unsigned int nr_sections, const struct pim_symbol *symbols,
			unsigned int nr_symbols, Elf32_Shdr *table, Elf32_Shdr *strings)
{
	Elf32_Sym none = { 0 };
	uint32_t locals = 1, name = 1;

	table->sh_offset = htole32(append(i, &none, sizeof(none), 4));
	for (unsigned int n = 0; n < nr_symbols; n++) {
		uint16_t section = symbols[n].absolute ? SHN_ABS :
				   section_of(symbols[n].value, sections, nr_sections);
		bool code = section != SHN_ABS && sections[section - 1].code;
		Elf32_Sym sym = {
			.st_name = htole32(name),
			.st_value = htole32(symbols[n].value),
			.st_size = htole32(symbols[n].size),
			.st_info = ELF32_ST_INFO(symbols[n].global ? STB_GLOBAL : STB_LOCAL,
						 section == SHN_ABS ? STT_NOTYPE :
						 code ? STT_FUNC : STT_OBJECT),
			.st_shndx = htole16(section),
		};

		locals += !symbols[n].global;
		name += (uint32_t)strlen(symbols[n].name) + 1;
		append(i, &sym, sizeof(sym), 1);
	}
	table->sh_type = htole32(SHT_SYMTAB);
	table->sh_size = htole32((nr_symbols + 1) * (uint32_t)sizeof(Elf32_Sym));
	table->sh_info = htole32(locals);
	table->sh_addralign = htole32(4);
	table->sh_entsize = htole32(sizeof(Elf32_Sym));
	strings->sh_offset = htole32(append(i, "", 1, 1));
	for (unsigned int n = 0; n < nr_symbols; n++)
		append(i, symbols[n].name, strlen(symbols[n].name) + 1, 1);
	strings->sh_type = htole32(SHT_STRTAB);
	strings->sh_size = htole32(name);
	strings->sh_addralign = htole32(1);
}

int pim_elf_write(FILE *to, const struct pim_out_section *sections, unsigned int nr_sections,
		  const struct pim_symbol *symbols, unsigned int nr_symbols)
{
	static const char *const last_names[4] = {
		".dpu.attributes", ".symtab", ".strtab", ".shstrtab"
	};
	Elf32_Shdr headers[SECTIONS_MAX + 5] = { 0 };
	Elf32_Phdr segments[SECTIONS_MAX] = { 0 };
	unsigned int total = nr_sections + 5, last = nr_sections + 1, loads = 0;
	struct image i = { 0 };
	uint32_t name = 1;
	Elf32_Ehdr header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = htole16(ET_EXEC),
		.e_machine = htole16(PIM_EM_DPU),
		.e_version = htole32(EV_CURRENT),
		.e_entry = htole32(PIM_VMA_IRAM),
		.e_phoff = htole32(sizeof(header)),
		.e_flags = htole32(PIM_EF_DPU),
		.e_ehsize = htole16(sizeof(header)),
		.e_phentsize = htole16(sizeof(Elf32_Phdr)),
		.e_shentsize = htole16(sizeof(Elf32_Shdr)),
	};

	if (nr_sections > SECTIONS_MAX) {
		errno = EINVAL;
		return -1;
	}
	append(&i, NULL, sizeof(header) + nr_sections * sizeof(Elf32_Phdr), 1);
	for (unsigned int n = 0; n < nr_sections; n++) {
		const struct pim_out_section *s = &sections[n];
		Elf32_Shdr *h = &headers[n + 1];
		bool bits = s->bytes && s->size;
		uint32_t at = bits ? append(&i, s->bytes, s->size, 8) : (uint32_t)i.used;

		h->sh_type = htole32(s->bytes ? SHT_PROGBITS : SHT_NOBITS);
		h->sh_flags = htole32(SHF_ALLOC | (s->code ? SHF_EXECINSTR : SHF_WRITE));
		h->sh_addr = htole32(s->vma);
		h->sh_offset = htole32(at);
		h->sh_size = htole32(s->size);
		h->sh_addralign = htole32(8);
		if (!s->size || s->vma >= PIM_VMA_ATOMIC)
			continue;
		segments[loads++] = (Elf32_Phdr) {
			.p_type = htole32(PT_LOAD),
			.p_offset = htole32(at),
			.p_vaddr = htole32(s->vma),
			.p_paddr = htole32(s->vma),
			.p_filesz = htole32(bits ? s->size : 0),
			.p_memsz = htole32(s->size),
			.p_flags = htole32(s->code ? PF_R | PF_X : PF_R | PF_W),
			.p_align = htole32(8),
		};
	}
	headers[last].sh_type = htole32(SHT_ATTRIBUTES);
	headers[last].sh_offset = htole32(append(&i, attributes, sizeof(attributes), 1));
	headers[last].sh_size = htole32(sizeof(attributes));
	headers[last].sh_addralign = htole32(1);
	put_symbols(&i, sections, nr_sections, symbols, nr_symbols, &headers[last + 1],
		    &headers[last + 2]);
	headers[last + 1].sh_link = htole32(last + 2);
	headers[total - 1].sh_offset = htole32(append(&i, "", 1, 1));
	for (unsigned int n = 1; n < total; n++) {
		const char *text = n <= nr_sections ? sections[n - 1].name :
				   last_names[n - last];

		headers[n].sh_name = htole32(name);
		name += (uint32_t)strlen(text) + 1;
		append(&i, text, strlen(text) + 1, 1);
	}
	headers[total - 1].sh_type = htole32(SHT_STRTAB);
	headers[total - 1].sh_size = htole32(name);
	headers[total - 1].sh_addralign = htole32(1);
	header.e_shoff = htole32(append(&i, headers, total * sizeof(Elf32_Shdr), 4));
	header.e_shnum = htole16((uint16_t)total);
	header.e_shstrndx = htole16((uint16_t)(total - 1));
	header.e_phnum = htole16((uint16_t)loads);
	if (i.failed) {
		free(i.bytes);
		errno = ENOMEM;
		return -1;
	}
	memcpy(i.bytes, &header, sizeof(header));
	memcpy(i.bytes + sizeof(header), segments, loads * sizeof(Elf32_Phdr));
	total = fwrite(i.bytes, 1, i.used, to) == i.used && !fflush(to);
	free(i.bytes);
	return total ? 0 : -1;
}
