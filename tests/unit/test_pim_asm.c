// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The assembler's directives and expressions, as bytes of the executable; what
 * it refuses and in which words; and executables that are damaged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../userspace-tools/pim/pim_asm.h"
#include "../../userspace-tools/pim/pim_elf.h"

static unsigned int test_nr, failures;

static void result(bool ok, const char *name)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", ++test_nr, name);
	failures += !ok;
}

/* The executable of a source; NULL with the message printed. */
static char *executable(const char *text, size_t *size)
{
	struct pim_asm *as = pim_asm_create();
	char *bytes = NULL;
	FILE *file;

	if (pim_asm_add(as, "source", text, strlen(text)) || pim_asm_link(as)) {
		printf("# %s\n", pim_asm_message(as));
	} else {
		file = open_memstream(&bytes, size);
		if (pim_asm_write(as, file))
			puts("# it cannot be written");
		fclose(file);
	}
	pim_asm_destroy(as);
	return bytes;
}

/* The bytes of a memory, as hexadecimal digits, are those. */
static bool memory_is(const struct pim_program *p, enum pim_space space, const char *want)
{
	static char got[8192];
	size_t used = 0;

	got[0] = '\0';
	for (uint32_t n = 0; n < p->nr_segments; n++) {
		const struct pim_segment *s = &p->segments[n];

		if (s->space != space)
			continue;
		while (used < 2 * (size_t)s->at)
			used += (size_t)sprintf(got + used, "00");
		for (uint32_t k = 0; k < s->size; k++)
			used += (size_t)sprintf(got + used, "%02x", s->bytes[k]);
	}
	if (!strcmp(got, want))
		return true;
	printf("# %s\n# not\n# %s\n", got, want);
	return false;
}

static bool symbol_is(const struct pim_program *p, const char *name, uint32_t value, uint32_t size)
{
	const struct pim_symbol *s = pim_program_symbol(p, name);

	if (s && s->value == value && s->size == size)
		return true;
	printf("# %s: 0x%x, %u bytes\n", name, s ? s->value : ~0u, s ? s->size : 0);
	return false;
}

static void data(void)
{
	static const char source[] =
		"	.type main, function\n"
		"main:	stop\n"
		"	.data\n"
		"bytes:	.byte 1, -1, 'a', '\\n', 0x7f, 0b101\n"
		"	.align 4\n"
		"half:	.half 0x1234, -2\n"
		"	.short 7\n"
		"	.p2align 3\n"
		"words:	.word 0xdeadbeef, end - bytes, bytes\n"
		"	.long 1 << 4 | 3\n"
		"	.int ~0\n"
		"	.balign 8\n"
		"	.quad -2, 0xffffffffffffffff\n"
		"N = 3\n"
		"	.set M, N * 2 - 1\n"
		"	.equ K, (M + 1) / 2 % 2\n"
		"	.byte N, M, K, M >> 1, N ^ 1, N & 6, -N, +N, !N, !0\n"
		"end:\n"
		"	.section .rodata.str\n"
		"	.ascii \"a\\t\\x41\\\\\", \"b\"\n"
		"	.asciz \"\\\"\"\n"
		"	.string \"z\" // a comment\n"
		"	.space 2\n"
		"	.byte main, /* between */ . - bytes\n"
		"	.section .mram\n"
		"m:	.word m, n\n"
		"	.section .mram.noinit\n"
		"n:	.zero 16\n"
		"o:	.skip 4\n"
		"	.size o, 3\n"
		"	.host\n"
		"	.word 5\n"
		"	.bss\n"
		"b:	.space 24\n"
		"	.atomic\n"
		"	.space 3\n"
		"lock:	.space 1\n";
	static const char wram[] =
		"01ff610a7f0500003412feff07000000efbeadde420000000000000013000000"
		"ffffffff00000000feffffffffffffffffffffffffffffff030501020202fd03"
		"00016109415c6222007a000000004e000500000000000000";
	struct pim_program p;
	struct ax_msg msg;
	size_t size = 0;
	char *bytes = executable(source, &size);
	bool ok = bytes && !pim_elf_read(bytes, size, &p, &msg);

	result(ok && memory_is(&p, PIM_SPACE_WRAM,
			       wram), "directives: WRAM");
	result(ok && memory_is(&p, PIM_SPACE_MRAM, "0000000808000008"), "directives: MRAM");
	result(ok && symbol_is(&p, "half", 8, 8) && symbol_is(&p, "m", 0x08000000, 8) &&
	       symbol_is(&p, "n", 0x08000008, 16) && symbol_is(&p, "o", 0x08000018, 3) &&
	       symbol_is(&p, "lock", 0xf0000003, 1) && symbol_is(&p, "main", 0x80000000, 8),
	       "directives: symbols");
	if (ok)
		pim_program_free(&p);
	free(bytes);
}

/* Refused, with these words in the message. */
static const struct {
	const char *text, *says;
} wrong[] = {
	{ ".data\n.byte 256", "does not fit into 8 bits" },
	{ ".data\n.byte -129", "does not fit into 8 bits" },
	{ ".data\n.half 65536", "does not fit into 16 bits" },
	{ ".data\n.word 0x100000000", "does not fit into 32 bits" },
	{ ".data\n.word", "an operand is missing" },
	{ ".data\n.word 1 2", "unexpected '2'" },
	{ ".data\n.ascii x", "a string was expected" },
	{ ".data\n.ascii \"x", "the string does not end" },
	{ ".data\n.ascii \"\\q\"", "unknown escape" },
	{ ".data\n.ascii \"\\x\"", "hexadecimal digits" },
	{ ".data\n.align 3", "a power of 2" },
	{ ".data\n.p2align 40", "a power of 2" },
	{ ".data\n.space -1", "a size from 0" },
	{ ".data\n.space later\nlater = 3", "'later' is not defined" },
	{ ".data\nx: .space x", "must be a constant" },
	{ ".data\nx: .word 1\nx: .word 2", "'x' is defined already" },
	{ ".set x, 1\n.set x, 2", "'x' is defined already" },
	{ ".set 1, 2", ".set takes a name" },
	{ ".size x", ".size takes a name" },
	{ ".size x, 1", "'x' is not defined" },
	{ ".global 1", "a name was expected" },
	{ ".section .nowhere", "unknown section" },
	{ ".bss\n.word 1", "holds no bytes" },
	{ ".data\nnop", "instructions belong into .text" },
	{ ".data\n.insn 1", "instructions belong into .text" },
	{ ".space 1", "no space in .text" },
	{ ".ascii \"x\"", "data in .text" },
	{ "/* never ends", "the comment does not end" },
	{ "nop nop", "takes no such operands" },
	{ "move r1, ----------------------------------------------------------------1",
	  "too deep" },
	{ "move r1, 1 < 2", "unknown operator '<'" },
	{ "move r1, 12x", "no number" },
	{ "move r1, 0xfffffffffffffffffff", "no number" },
	{ "add r1, , r2", "an operand is missing" },
	{ "add r1, r2, r3, z, 1, 2, 3, 4, 5", "too many operands" },
	{ "add r1, r2, 'x", "a quote is missing" },
	{ "add r1, r2, r3, foo, 1", "has no condition 'foo'" },
	{ ".atomic\n.space 257", "257 atomic bits" },
	{ ".mram\n.space 65 << 20", "bytes of .mram, but MRAM holds" },
	{ ".section .mram.noinit\n.space 128 << 20\n.space 1", "larger than 128 MiB" },
	{ "]", "unexpected ']'" },
};

static void refusals(void)
{
	bool ok = true;

	for (unsigned int n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++) {
		struct pim_asm *as = pim_asm_create();
		bool taken = !pim_asm_add(as, "s", wrong[n].text, strlen(wrong[n].text)) &&
			     !pim_asm_link(as);

		if (taken || !strstr(pim_asm_message(as), wrong[n].says)) {
			printf("# '%s': %s\n", wrong[n].text,
			       taken ? "taken" : pim_asm_message(as));
			ok = false;
		}
		pim_asm_destroy(as);
	}
	result(ok, "what is refused, and in which words");
}

static unsigned int said;

static void count(const char *text, void *data)
{
	(void)data;
	said += text[0] != '\0';
}

static void messages(void)
{
	static char source[4000];
	struct pim_asm *as = pim_asm_create();
	size_t used = 0;

	for (int n = 0; n < 100; n++)
		used += (size_t)sprintf(source + used, "\tfly %d\n", n);
	pim_asm_messages(as, count, NULL);
	result(!pim_asm_add(as, "s", source, used) && pim_asm_link(as) && said == 20,
	       "a source full of errors gives 20 messages");
	pim_asm_destroy(as);

	as = pim_asm_create();
	result(!pim_asm_add(as, "s", "nop\0nop", 7) && pim_asm_link(as) &&
	       strstr(pim_asm_message(as), "NUL"), "a file that is no text");
	pim_asm_destroy(as);

	as = pim_asm_create();
	result(pim_asm_define(as, "1x", 1) && pim_asm_define(as, "a-b", 1) &&
	       !pim_asm_define(as, "ok", 1) && pim_asm_define(as, "ok", 2), "constants from outside");
	pim_asm_destroy(as);
}

/* A field of the executable set to a value: refused in words, or still within the file. */
static void damaged(void)
{
	static const uint32_t values[] = {
		0, 1, 7, 0x1000, 0x7fffffff, 0x80000000, 0xfffffff0, ~0u
	};
	size_t size = 0;
	char *bytes = executable("nop\n.data\nx: .word 1\n.global x\n", &size);
	unsigned int refused = 0, taken = 0;
	bool ok = bytes;

	for (size_t at = 0; ok && at + 4 <= size; at += 2) {
		for (unsigned int n = 0; n < sizeof(values) / sizeof(values[0]); n++) {
			struct pim_program p;
			struct ax_msg msg = { "" };
			uint32_t was;

			memcpy(&was, bytes + at, 4);
			memcpy(bytes + at, &values[n], 4);
			if (pim_elf_read(bytes, size, &p, &msg)) {
				refused++;
				ok = msg.text[0];
			} else {
				taken++;
				for (uint32_t k = 0; k < p.nr_segments; k++)
					ok = ok && (!p.segments[k].size || p.segments[k].bytes +
						    p.segments[k].size <= p.file + p.file_size);
				pim_program_free(&p);
			}
			memcpy(bytes + at, &was, 4);
		}
	}
	printf("# %u damaged executables were refused, %u taken\n", refused, taken);
	result(ok && refused > 100 && taken > 100, "damaged executables");
	free(bytes);
}

int main(void)
{
	printf("KTAP version 1\n1..8\n");
	data();
	refusals();
	messages();
	damaged();
	return failures != 0;
}
