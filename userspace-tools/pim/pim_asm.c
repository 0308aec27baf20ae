// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The assembler's two passes over its sources.
 *
 * The first one only counts: an instruction is always 8 bytes of .text, so all
 * labels are known after it. Then the sections get their places
 * (pim_asm_link.c), and the second pass makes bytes.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "pim_asm_priv.h"

struct pim_asm *pim_asm_create(void)
{
	return calloc(1, sizeof(struct pim_asm));
}

void pim_asm_destroy(struct pim_asm *as)
{
	if (!as)
		return;
	for (int n = 0; n < as->nr_sources; n++) {
		free(as->sources[n].name);
		free(as->sources[n].text);
	}
	free(as->sources);
	for (int n = 0; n < PIM_ASM_BUCKETS; n++) {
		for (struct pim_asm_symbol *s = as->symbols[n], *next; s; s = next) {
			next = s->next;
			free(s->name);
			free(s);
		}
	}
	for (int n = 0; n < PIM_ASM_NR_SECTIONS; n++)
		free(as->sections[n].bytes);
	free(as);
}

void pim_asm_messages(struct pim_asm *as, void (*say)(const char *text, void *data), void *data)
{
	as->say = say;
	as->say_data = data;
}

const char *pim_asm_message(const struct pim_asm *as)
{
	return as->first;
}

int pim_asm_fail(struct pim_asm *as, const char *format, ...)
{
	char what[400], text[512];
	va_list list;

	as->errors++;
	if (as->errors > PIM_ASM_MESSAGES_MAX)
		return -1;
	va_start(list, format);
	vsnprintf(what, sizeof(what), format, list);
	va_end(list);
	if (as->file >= 0 && as->line)
		snprintf(text, sizeof(text), "%.80s:%d: %s", as->sources[as->file].name, as->line,
			 what);
	else
		snprintf(text, sizeof(text), "%s", what);
	if (as->errors == 1)
		snprintf(as->first, sizeof(as->first), "%s", text);
	if (as->say)
		as->say(text, as->say_data);
	return -1;
}

int pim_asm_define(struct pim_asm *as, const char *name, int64_t value)
{
	size_t length = strlen(name);

	as->file = -1;
	as->line = 0;
	if (!pim_asm_name_start(*name) || length > PIM_ASM_NAME_MAX)
		return pim_asm_fail(as, "'%.40s' is no name for a constant", name);
	for (const char *p = name; *p; p++) {
		if (!pim_asm_name_char(*p))
			return pim_asm_fail(as, "'%.40s' is no name for a constant", name);
	}
	return pim_asm_set(as, name, length, -1, value);
}

int pim_asm_add(struct pim_asm *as, const char *name, const char *text, size_t size)
{
	struct pim_asm_source *grown, *s;

	grown = realloc(as->sources, (size_t)(as->nr_sources + 1) * sizeof(*grown));
	if (!grown)
		return -1;
	as->sources = grown;
	s = &grown[as->nr_sources];
	s->name = strdup(name);
	s->text = malloc(size + 1);
	s->size = size;
	if (!s->name || !s->text) {
		free(s->name);
		free(s->text);
		return -1;
	}
	memcpy(s->text, text, size);
	s->text[size] = '\0';
	as->nr_sources++;
	return 0;
}

/* --- bytes ------------------------------------------------------------------------ */

/* Put @size bytes where the section is now; NULL: zeros. */
static int emit(struct pim_asm *as, const void *bytes, uint32_t size)
{
	struct pim_asm_buffer *b = &as->sections[as->section];
	bool empty = as->section == PIM_ASM_BSS || as->section == PIM_ASM_MRAM_NOINIT ||
		     as->section == PIM_ASM_ATOMIC;
	uint32_t at = as->at[as->section];

	if (size > PIM_ASM_SECTION_MAX - at)
		return pim_asm_fail(as, "the section is larger than %u MiB",
				    PIM_ASM_SECTION_MAX >> 20);
	if (bytes && empty)
		return pim_asm_fail(as, "this section holds no bytes, only .space");
	as->at[as->section] = at + size;
	if (as->pass == 1) {
		b->size = at + size;
		return 0;
	}
	if (!b->bytes && b->size && !empty) {
		b->bytes = calloc(1, b->size);
		if (!b->bytes)
			return pim_asm_fail(as, "out of memory");
	}
	if (bytes && b->bytes && at + size <= b->size)
		memcpy(b->bytes + at, bytes, size);
	return 0;
}

static int align(struct pim_asm *as, int64_t to)
{
	uint32_t at = as->at[as->section];

	if (to < 1 || to > 65536 || (to & (to - 1)))
		return pim_asm_fail(as, "an alignment is a power of 2 up to 65536");
	return emit(as, NULL, (uint32_t)(-(int64_t)at & (to - 1)));
}

static void put(uint8_t bytes[8], uint64_t value)
{
	for (int n = 0; n < 8; n++)
		bytes[n] = (uint8_t)(value >> 8 * n);
}

/* --- directives -------------------------------------------------------------------- */

static const char *skip(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

static int end_of_line(struct pim_asm *as, const char *p)
{
	p = skip(p);
	return *p ? pim_asm_fail(as, "unexpected '%.20s'", p) : 0;
}

/* The values of .byte and its like, each of @size bytes. */
static int do_values(struct pim_asm *as, const char *p, uint32_t size)
{
	if (as->section == PIM_ASM_TEXT)
		return pim_asm_fail(as, "data in .text: use .insn for an instruction word");
	do {
		uint8_t bytes[8];
		int64_t value;

		p = skip(p);
		if (pim_asm_expr(as, &p, as->pass == 2, &value, NULL))
			return -1;
		if (size < 8 && (value < -(1LL << (8 * size - 1)) || value >= 1LL << 8 * size))
			return pim_asm_fail(as, "the value does not fit into %u bits", 8 * size);
		put(bytes, (uint64_t)value);
		if (emit(as, bytes, size))
			return -1;
		p = skip(p);
	} while (*p == ',' && *p++);
	return end_of_line(as, p);
}

static int do_string(struct pim_asm *as, const char *p, bool terminated)
{
	if (as->section == PIM_ASM_TEXT)
		return pim_asm_fail(as, "data in .text: use .insn for an instruction word");
	do {
		p = skip(p);
		if (*p++ != '"')
			return pim_asm_fail(as, "a string was expected");
		while (*p && *p != '"') {
			uint8_t byte;
			int value;

			if (pim_asm_char(as, &p, &value))
				return -1;
			byte = (uint8_t)value;
			if (emit(as, &byte, 1))
				return -1;
		}
		if (*p++ != '"')
			return pim_asm_fail(as, "the string does not end");
		if (terminated && emit(as, "", 1))
			return -1;
		p = skip(p);
	} while (*p == ',' && *p++);
	return end_of_line(as, p);
}

/* A value that must be known in the first pass, for it decides where things are. */
static int fixed(struct pim_asm *as, const char **p, int64_t *value)
{
	bool known;

	*p = skip(*p);
	if (pim_asm_expr(as, p, true, value, &known))
		return -1;
	if (as->pass == 1 && !known)
		return pim_asm_fail(as, "this value must be a constant that is defined above");
	return 0;
}

static int do_insn(struct pim_asm *as, const char *p)
{
	int64_t value = 0;
	uint8_t bytes[8];

	if (as->section != PIM_ASM_TEXT)
		return pim_asm_fail(as, "instructions belong into .text");
	if (pim_asm_expr(as, &p, as->pass == 2, &value, NULL))
		return -1;
	if ((uint64_t)value > PIM_INSN_MASK)
		return pim_asm_fail(as, "an instruction has 48 bits");
	put(bytes, (uint64_t)value);
	return emit(as, bytes, 8) ? -1 : end_of_line(as, p);
}

static int do_space(struct pim_asm *as, const char *p)
{
	int64_t size;

	if (fixed(as, &p, &size))
		return -1;
	if (size < 0 || size > PIM_ASM_SECTION_MAX)
		return pim_asm_fail(as, "a size from 0 to %u MiB was expected",
				    PIM_ASM_SECTION_MAX >> 20);
	if (as->section == PIM_ASM_TEXT)
		return pim_asm_fail(as, "no space in .text");
	return emit(as, NULL, (uint32_t)size) ? -1 : end_of_line(as, p);
}

static int do_align(struct pim_asm *as, const char *p, bool power)
{
	int64_t value;

	if (fixed(as, &p, &value))
		return -1;
	if (power)
		value = value >= 0 && value < 32 ? 1LL << value : -1;
	return align(as, value) ? -1 : end_of_line(as, p);
}

static size_t name_length(const char *p)
{
	size_t n = 0;

	if (pim_asm_name_start(*p)) {
		while (pim_asm_name_char(p[n]))
			n++;
	}
	return n;
}

static int do_section(struct pim_asm *as, const char *p)
{
	static const struct {
		const char *name;
		int section;
	} names[] = {
		{ ".mram.noinit", PIM_ASM_MRAM_NOINIT }, { ".mram", PIM_ASM_MRAM },
		{ ".host", PIM_ASM_HOST }, { ".data.__sys_host", PIM_ASM_HOST },
		{ ".text", PIM_ASM_TEXT }, { ".data", PIM_ASM_DATA }, { ".rodata", PIM_ASM_DATA },
		{ ".bss", PIM_ASM_BSS }, { ".atomic", PIM_ASM_ATOMIC },
	};
	size_t length;

	p = skip(p);
	length = name_length(p);
	for (unsigned int n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		size_t known = strlen(names[n].name);

		if (length >= known && !strncmp(p, names[n].name, known) &&
		    (length == known || p[known] == '.')) {
			as->section = names[n].section;
			return 0;
		}
	}
	return pim_asm_fail(as, "unknown section '%.*s' (.text, .data, .host, .bss, .mram, .mram.noinit, .atomic)",
			    (int)length, p);
}

/* Names that other sources can use. */
static int do_global(struct pim_asm *as, const char *p)
{
	do {
		struct pim_asm_symbol *s;
		size_t length;

		p = skip(p);
		length = name_length(p);
		if (!length)
			return pim_asm_fail(as, "a name was expected");
		s = pim_asm_symbol(as, p, length);
		if (!s)
			return -1;
		s->global = true;
		s->exported = true;
		p = skip(p + length);
	} while (*p == ',' && *p++);
	return end_of_line(as, p);
}

static int do_set(struct pim_asm *as, const char *p)
{
	const char *name = skip(p);
	size_t length = name_length(name);
	int64_t value;

	p = skip(name + length);
	if (!length || *p != ',')
		return pim_asm_fail(as, ".set takes a name, a comma and a value");
	p++;
	if (fixed(as, &p, &value) || end_of_line(as, p))
		return -1;
	return pim_asm_set(as, name, length, -1, value);
}

static int do_size(struct pim_asm *as, const char *p)
{
	const char *name = skip(p);
	size_t length = name_length(name);
	struct pim_asm_symbol *s;
	int64_t value;

	p = skip(name + length);
	if (!length || *p != ',')
		return pim_asm_fail(as, ".size takes a name, a comma and a size");
	p++;
	if (as->pass == 1)
		return 0;
	if (fixed(as, &p, &value) || end_of_line(as, p))
		return -1;
	s = pim_asm_lookup(as, name, length);
	if (!s)
		return pim_asm_fail(as, "'%.*s' is not defined", (int)length, name);
	s->size = (uint32_t)value;
	return 0;
}

static int directive(struct pim_asm *as, const char *name, size_t length, const char *p)
{
	static const struct {
		const char *name;
		char what;
		int value;
	} known[] = {
		{ ".text", 'S', PIM_ASM_TEXT }, { ".data", 'S', PIM_ASM_DATA },
		{ ".host", 'S', PIM_ASM_HOST }, { ".bss", 'S', PIM_ASM_BSS },
		{ ".mram", 'S', PIM_ASM_MRAM },
		{ ".atomic", 'S', PIM_ASM_ATOMIC }, { ".section", 's', 0 },
		{ ".global", 'g', 0 }, { ".globl", 'g', 0 },
		{ ".byte", 'v', 1 }, { ".half", 'v', 2 }, { ".short", 'v', 2 }, { ".word", 'v', 4 },
		{ ".long", 'v', 4 }, { ".int", 'v', 4 }, { ".quad", 'v', 8 },
		{ ".ascii", 'a', 0 }, { ".asciz", 'a', 1 }, { ".string", 'a', 1 },
		{ ".space", 'z', 0 }, { ".zero", 'z', 0 }, { ".skip", 'z', 0 },
		{ ".align", 'l', 0 }, { ".balign", 'l', 0 }, { ".p2align", 'l', 1 },
		{ ".set", '=', 0 }, { ".equ", '=', 0 }, { ".size", 'i', 0 }, { ".type", 'n', 0 },
		{ ".insn", 'x', 0 },
	};

	for (unsigned int n = 0; n < sizeof(known) / sizeof(known[0]); n++) {
		if (strlen(known[n].name) != length || strncmp(known[n].name, name, length))
			continue;
		switch (known[n].what) {
		case 'S':
			as->section = known[n].value;
			return end_of_line(as, p);
		case 's':
			return do_section(as, p);
		case 'g':
			return do_global(as, p);
		case 'v':
			return do_values(as, p, (uint32_t)known[n].value);
		case 'a':
			return do_string(as, p, known[n].value);
		case 'z':
			return do_space(as, p);
		case 'l':
			return do_align(as, p, known[n].value);
		case '=':
			return do_set(as, p);
		case 'i':
			return do_size(as, p);
		case 'x':
			return do_insn(as, p);
		default:
			return 0;
		}
	}
	return pim_asm_fail(as, "unknown directive '%.*s'", (int)length, name);
}

/* --- lines ---------------------------------------------------------------------------- */

static int instruction(struct pim_asm *as, const char *name, size_t length, char *p)
{
	uint64_t word = 0;
	uint8_t bytes[8];

	if (!pim_asm_is_insn(name, length))
		return pim_asm_fail(as, "unknown instruction '%.*s'", (int)length, name);
	if (as->section != PIM_ASM_TEXT)
		return pim_asm_fail(as, "instructions belong into .text");
	if (as->pass == 2 && pim_asm_encode(as, name, length, p, &word))
		word = 0;
	put(bytes, word);
	return emit(as, bytes, 8);
}

static int statement(struct pim_asm *as, char *p)
{
	size_t length;

	for (;;) {
		char *name;

		p = (char *)skip(p);
		length = name_length(p);
		if (!length)
			return end_of_line(as, p);
		if (length > PIM_ASM_NAME_MAX)
			return pim_asm_fail(as, "the name is longer than %d", PIM_ASM_NAME_MAX);
		name = p;
		p = (char *)skip(p + length);
		if (*p == ':') {
			p++;
			if (pim_asm_set(as, name, length, as->section, as->at[as->section]))
				return -1;
			continue;
		}
		if (*p == '=' && p[1] != '=') {
			int64_t value;
			const char *q = p + 1;

			if (fixed(as, &q, &value) || end_of_line(as, q))
				return -1;
			return pim_asm_set(as, name, length, -1, value);
		}
		return *name == '.' ? directive(as, name, length, p) :
		       instruction(as, name, length, p);
	}
}

/* Take out comments; those over several lines change *inside. */
static void strip(char *line, bool *inside)
{
	char *to = line;
	bool string = false;

	for (char *p = line; *p; p++) {
		if (*inside) {
			if (p[0] == '*' && p[1] == '/') {
				*inside = false;
				p++;
				*to++ = ' ';
			}
			continue;
		}
		if (!string && p[0] == '/' && p[1] == '*') {
			*inside = true;
			p++;
			continue;
		}
		if (!string && (*p == '#' || (p[0] == '/' && p[1] == '/')))
			break;
		if (*p == '"')
			string = !string;
		*to++ = *p;
		/* what a backslash or an apostrophe is before is no quote */
		if (((string && *p == '\\') || (!string && *p == '\'')) && p[1])
			*to++ = *++p;
	}
	while (to > line && isspace((unsigned char)to[-1]))
		to--;
	*to = '\0';
}

static void run_source(struct pim_asm *as, int file)
{
	const struct pim_asm_source *source = &as->sources[file];
	const char *p = source->text, *end = source->text + source->size;
	bool inside = false;
	char *line = NULL;
	size_t room = 0;

	as->file = file;
	as->line = 0;
	as->section = PIM_ASM_TEXT;
	if (memchr(source->text, 0, source->size)) {
		as->line = 1;
		pim_asm_fail(as, "the file has a NUL byte: it is no source");
		return;
	}
	for (int n = 0; n < PIM_ASM_NR_SECTIONS; n++) {
		as->section = n;
		if (n != PIM_ASM_ATOMIC)
			align(as, 8);
	}
	as->section = PIM_ASM_TEXT;
	while (p < end && as->errors <= PIM_ASM_MESSAGES_MAX) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t length = (size_t)((stop ? stop : end) - p);

		as->line++;
		if (length + 1 > room) {
			char *grown = realloc(line, length + 256);

			if (!grown) {
				pim_asm_fail(as, "out of memory");
				break;
			}
			line = grown;
			room = length + 256;
		}
		memcpy(line, p, length);
		line[length] = '\0';
		strip(line, &inside);
		statement(as, line);
		p = stop ? stop + 1 : end;
	}
	if (inside && as->errors <= PIM_ASM_MESSAGES_MAX)
		pim_asm_fail(as, "the comment does not end");
	free(line);
}

/* A name that two sources give to all. */
static void check_globals(struct pim_asm *as)
{
	for (int n = 0; n < PIM_ASM_BUCKETS; n++) {
		for (const struct pim_asm_symbol *a = as->symbols[n]; a; a = a->next) {
			for (const struct pim_asm_symbol *b = a->next; b; b = b->next) {
				if (a->global && b->global && a->defined && b->defined &&
				    a->hash == b->hash && !strcmp(a->name, b->name))
					pim_asm_fail(as, "'%s' is defined in two sources", a->name);
			}
		}
	}
}

int pim_asm_link(struct pim_asm *as)
{
	for (as->pass = 1; as->pass <= 2; as->pass++) {
		memset(as->at, 0, sizeof(as->at));
		for (int file = 0; file < as->nr_sources && !as->errors; file++)
			run_source(as, file);
		if (as->errors)
			return -1;
		as->file = -1;
		as->line = 0;
		if (as->pass == 1) {
			check_globals(as);
			pim_asm_place(as);
		}
		if (as->errors)
			return -1;
	}
	return 0;
}
