// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reading DPU executables. Every offset and size in the file is checked
 * against the file; a name ends within its table.
 */
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pim_elf.h"

#define FILE_MAX	(256u << 20)

enum pim_space pim_elf_space(uint32_t vma, uint32_t *at)
{
	switch (vma >> 28) {
	case 0x8:
		*at = vma - PIM_VMA_IRAM;
		return PIM_SPACE_IRAM;
	case 0xf:
		*at = vma - PIM_VMA_ATOMIC;
		return PIM_SPACE_ATOMIC;
	case 0x0:
		if (vma >= PIM_VMA_MRAM) {
			*at = vma - PIM_VMA_MRAM;
			return PIM_SPACE_MRAM;
		}
		*at = vma;
		return PIM_SPACE_WRAM;
	default:
		return PIM_SPACE_NONE;
	}
}

const char *pim_space_name(enum pim_space space)
{
	static const char *const names[] = { "WRAM", "MRAM", "IRAM", "atomic bits", "nowhere" };

	return names[space <= PIM_SPACE_NONE ? space : PIM_SPACE_NONE];
}

static bool inside(const struct pim_program *p, uint64_t at, uint64_t size)
{
	return at <= p->file_size && size <= p->file_size - at;
}

static int read_segments(struct pim_program *p, const Elf32_Ehdr *header, struct ax_msg *msg)
{
	uint32_t start = le32toh(header->e_phoff), count = le16toh(header->e_phnum);

	if (count && (le16toh(header->e_phentsize) != sizeof(Elf32_Phdr) ||
		      !inside(p, start, (uint64_t)count * sizeof(Elf32_Phdr))))
		return ax_fail(msg, "its program headers are outside the file");
	p->segments = calloc(count ? count : 1, sizeof(*p->segments));
	if (!p->segments)
		return ax_fail(msg, "out of memory");
	for (uint32_t n = 0; n < count; n++) {
		struct pim_segment *s = &p->segments[p->nr_segments];
		Elf32_Phdr h;

		memcpy(&h, p->file + start + n * sizeof(h), sizeof(h));
		if (le32toh(h.p_type) != PT_LOAD || !le32toh(h.p_memsz))
			continue;
		s->space = pim_elf_space(le32toh(h.p_vaddr), &s->at);
		s->size = le32toh(h.p_filesz);
		s->mem_size = le32toh(h.p_memsz);
		if (s->space == PIM_SPACE_ATOMIC && !s->size)
			continue;
		if (s->space == PIM_SPACE_NONE || s->space == PIM_SPACE_ATOMIC)
			return ax_fail(msg, "segment %u is for address 0x%x, where no memory is", n,
				       le32toh(h.p_vaddr));
		if (!inside(p, le32toh(h.p_offset), s->size) || s->size > s->mem_size)
			return ax_fail(msg, "segment %u is outside the file", n);
		if (s->space == PIM_SPACE_IRAM && (s->at % 8 || s->size % 8))
			return ax_fail(msg, "segment %u is no whole number of instructions", n);
		s->bytes = p->file + le32toh(h.p_offset);
		p->nr_segments++;
	}
	return 0;
}

static bool read_section(const struct pim_program *p, const Elf32_Ehdr *header, uint32_t index,
			 Elf32_Shdr *section)
{
	uint64_t at = le32toh(header->e_shoff) + (uint64_t)index * sizeof(*section);

	if (index >= le16toh(header->e_shnum) || !inside(p, at, sizeof(*section)))
		return false;
	memcpy(section, p->file + at, sizeof(*section));
	return le32toh(section->sh_type) == SHT_NOBITS ||
	       inside(p, le32toh(section->sh_offset), le32toh(section->sh_size));
}

static int read_symbols(struct pim_program *p, const Elf32_Ehdr *header, struct ax_msg *msg)
{
	uint32_t count = le16toh(header->e_shnum), size, names_size;
	Elf32_Shdr table, strings;
	const char *names;

	if (count && le16toh(header->e_shentsize) != sizeof(Elf32_Shdr))
		return ax_fail(msg, "its section headers have a wrong size");
	for (uint32_t n = 0; n < count; n++) {
		if (!read_section(p, header, n, &table))
			return ax_fail(msg, "section %u is outside the file", n);
		if (le32toh(table.sh_type) == SHT_SYMTAB)
			break;
		table.sh_type = 0;
	}
	if (!count || le32toh(table.sh_type) != SHT_SYMTAB)
		return 0;
	if (!read_section(p, header, le32toh(table.sh_link), &strings) ||
	    le32toh(strings.sh_type) != SHT_STRTAB)
		return ax_fail(msg, "its symbols have no names");
	names = (const char *)p->file + le32toh(strings.sh_offset);
	names_size = le32toh(strings.sh_size);
	size = le32toh(table.sh_size) / sizeof(Elf32_Sym);
	p->symbols = calloc(size ? size : 1, sizeof(*p->symbols));
	if (!p->symbols)
		return ax_fail(msg, "out of memory");
	for (uint32_t n = 1; n < size; n++) {
		struct pim_symbol *s = &p->symbols[p->nr_symbols];
		Elf32_Sym sym;
		uint32_t name;

		memcpy(&sym, p->file + le32toh(table.sh_offset) + n * sizeof(sym), sizeof(sym));
		name = le32toh(sym.st_name);
		if (name >= names_size || !memchr(names + name, 0, names_size - name))
			return ax_fail(msg, "symbol %u has no name within its table", n);
		if (!names[name] || le16toh(sym.st_shndx) == SHN_UNDEF ||
		    ELF32_ST_TYPE(sym.st_info) == STT_SECTION ||
		    ELF32_ST_TYPE(sym.st_info) == STT_FILE)
			continue;
		s->name = names + name;
		s->value = le32toh(sym.st_value);
		s->size = le32toh(sym.st_size);
		s->global = ELF32_ST_BIND(sym.st_info) != STB_LOCAL;
		s->absolute = le16toh(sym.st_shndx) == SHN_ABS;
		p->nr_symbols++;
	}
	return 0;
}

/* Takes over program->file. */
static int parse(struct pim_program *p, struct ax_msg *msg)
{
	Elf32_Ehdr header;

	if (p->file_size < sizeof(header) || memcmp(p->file, ELFMAG, SELFMAG))
		return ax_fail(msg, "not an ELF file");
	memcpy(&header, p->file, sizeof(header));
	if (header.e_ident[EI_CLASS] != ELFCLASS32 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    le16toh(header.e_machine) != PIM_EM_DPU)
		return ax_fail(msg, "an ELF file, but not one for a DPU");
	if (le16toh(header.e_type) != ET_EXEC)
		return ax_fail(msg, "not an executable: link it first");
	if (read_segments(p, &header, msg) || read_symbols(p, &header, msg))
		return -1;
	return 0;
}

int pim_elf_read(const void *bytes, size_t size, struct pim_program *program, struct ax_msg *msg)
{
	memset(program, 0, sizeof(*program));
	program->file = malloc(size ? size : 1);
	if (!program->file)
		return ax_fail(msg, "out of memory");
	memcpy(program->file, bytes, size);
	program->file_size = size;
	if (!parse(program, msg))
		return 0;
	pim_program_free(program);
	return -1;
}

int pim_elf_open(const char *path, struct pim_program *program, struct ax_msg *msg)
{
	FILE *file = fopen(path, "rb");
	struct ax_msg why;
	struct stat st;
	int status = -1;

	memset(program, 0, sizeof(*program));
	if (!file || fstat(fileno(file), &st)) {
		ax_fail(msg, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		ax_fail(msg, "%s: not a file of at most %u MiB", path, FILE_MAX >> 20);
		goto out;
	}
	program->file_size = (size_t)st.st_size;
	program->file = malloc(program->file_size + 1);
	if (!program->file) {
		ax_fail(msg, "%s: out of memory", path);
		goto out;
	}
	if (fread(program->file, 1, program->file_size, file) != program->file_size) {
		ax_fail(msg, "%s: cannot be read", path);
		goto out;
	}
	status = parse(program, &why);
	if (status)
		ax_fail(msg, "%s: %s", path, why.text);
out:
	if (status)
		pim_program_free(program);
	if (file)
		fclose(file);
	return status;
}

void pim_program_free(struct pim_program *program)
{
	free(program->segments);
	free(program->symbols);
	free(program->file);
	memset(program, 0, sizeof(*program));
}

const struct pim_symbol *pim_program_symbol(const struct pim_program *program, const char *name)
{
	const struct pim_symbol *found = NULL;

	for (uint32_t n = 0; n < program->nr_symbols; n++) {
		const struct pim_symbol *s = &program->symbols[n];

		if (strcmp(s->name, name))
			continue;
		if (s->global)
			return s;
		if (!found)
			found = s;
	}
	return found;
}
