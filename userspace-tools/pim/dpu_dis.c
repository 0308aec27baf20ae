// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dpu-dis: show the instructions of a DPU executable, or of bare words.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/ax_opt.h"
#include "pim_dis.h"
#include "pim_elf.h"
#include "pim_isa.h"

static const struct ax_opt opts[] = {
	{ "words", 'w', NULL, "the operands are instruction words in hexadecimal, not files",
	  NULL },
	{ "plain", 'p', NULL, "instructions only, as dpu-as takes them", NULL },
	{ "signatures", 's', NULL, "say which signature each instruction has", NULL },
	{ "symbols", 'S', NULL, "list the symbols instead", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_program program = {
	.name = "dpu-dis",
	.summary = "Show the instructions of a program for UPMEM DPUs (instruction set v1A)",
	.usage = "[OPTION]... FILE...",
	.notes = "Example:\n  dpu-dis --words 7c6300000000",
	.opts = opts,
};

static void show(const struct ax_args *args, int index, uint64_t word)
{
	char text[PIM_DIS_MAX];
	unsigned int sig;
	bool known = pim_dis_insn(word, text, &sig);

	if (ax_has(args, "plain")) {
		printf("\t%s\n", text);
		return;
	}
	if (index >= 0)
		printf("%5d:  ", index);
	printf("%012" PRIx64 "  ", word);
	if (ax_has(args, "signatures") && known)
		printf("%-40s  // %s:%s\n", text, pim_sigs[sig].mnemonic, pim_sigs[sig].form);
	else
		printf("%s\n", text);
}

static int words(const struct ax_args *args)
{
	for (int n = 0; n < args->argc; n++) {
		unsigned long long word;
		char *end;

		errno = 0;
		word = strtoull(args->argv[n], &end, 16);
		if (errno || *end || end == args->argv[n] || word > PIM_INSN_MASK)
			return ax_usage("'%s' is no instruction word: 12 hexadecimal digits",
					args->argv[n]);
		show(args, -1, word);
	}
	return 0;
}

static void labels(const struct pim_program *p, uint32_t vma)
{
	for (uint32_t n = 0; n < p->nr_symbols; n++) {
		if (p->symbols[n].value == vma && !p->symbols[n].absolute)
			printf("%s:\n", p->symbols[n].name);
	}
}

static void symbols(const struct pim_program *p)
{
	for (uint32_t n = 0; n < p->nr_symbols; n++) {
		const struct pim_symbol *s = &p->symbols[n];
		uint32_t at = s->value;
		enum pim_space space = s->absolute ? PIM_SPACE_NONE : pim_elf_space(s->value, &at);

		printf("%-11s %8u %8u %s %s\n", s->absolute ? "constant" : pim_space_name(space),
		       space == PIM_SPACE_IRAM ? at / 8 : at, s->size, s->global ? "g" : "l",
		       s->name);
	}
}

static void code(const struct ax_args *args, const struct pim_program *p)
{
	for (uint32_t n = 0; n < p->nr_segments; n++) {
		const struct pim_segment *s = &p->segments[n];

		if (s->space != PIM_SPACE_IRAM)
			continue;
		for (uint32_t k = 0; k < s->size; k += 8) {
			uint64_t word = 0;

			for (int b = 0; b < 6; b++)
				word |= (uint64_t)s->bytes[k + (uint32_t)b] << 8 * b;
			if (!ax_has(args, "plain"))
				labels(p, PIM_VMA_IRAM + s->at + k);
			show(args, (int)((s->at + k) / 8), word);
		}
	}
}

int main(int argc, char **argv)
{
	struct ax_args args;
	int status;

	ax_set_prog(program.name);
	status = ax_parse(&program, argc, argv, &args);
	if (status >= 0)
		return status;
	if (!args.argc)
		return ax_usage("no file given; see dpu-dis --help");
	if (ax_has(&args, "words"))
		return words(&args);
	for (int n = 0; n < args.argc; n++) {
		struct pim_program p;
		struct ax_msg msg;

		if (pim_elf_open(args.argv[n], &p, &msg))
			return ax_error("%s", msg.text);
		if (args.argc > 1)
			printf("%s:\n", args.argv[n]);
		if (ax_has(&args, "symbols"))
			symbols(&p);
		else
			code(&args, &p);
		pim_program_free(&p);
	}
	return 0;
}
