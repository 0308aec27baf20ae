// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dpu-as: assemble and link programs for DPUs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/ax_opt.h"
#include "pim_asm.h"

#define SOURCE_MAX	(64u << 20)

static const struct ax_opt opts[] = {
	{ "output", 'o', "FILE", "the executable (default: a.dpu)", NULL },
	{ "define", 'D', "NAME=VALUE", "define a constant for all sources; may be given often",
	  "" },
	{ "verbose", 'v', NULL, "say how much of the memories the program takes", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_program program = {
	.name = "dpu-as",
	.summary = "Assemble and link programs for UPMEM DPUs (instruction set v1A)",
	.usage = "[OPTION]... SOURCE...",
	.notes = "SOURCE may be '-' for standard input. The language: dpu-as(1).",
	.opts = opts,
};

static void say(const char *text, void *data)
{
	(void)data;
	fprintf(stderr, "%s\n", text);
}

static int add_source(struct pim_asm *as, const char *path)
{
	bool standard = !strcmp(path, "-");
	FILE *file = standard ? stdin : fopen(path, "rb");
	size_t used = 0, room = 65536, got;
	char *text = malloc(room), *grown;
	int status = 0;

	if (!file) {
		free(text);
		return ax_error("%s: %s", path, strerror(errno));
	}
	while (text && (got = fread(text + used, 1, room - used, file)) > 0) {
		used += got;
		if (used < room)
			continue;
		grown = room < SOURCE_MAX ? realloc(text, room * 2) : NULL;
		if (!grown) {
			status = ax_error("%s: larger than %u MiB", path, SOURCE_MAX >> 20);
			break;
		}
		text = grown;
		room *= 2;
	}
	if (!status && ferror(file))
		status = ax_error("%s: %s", path, strerror(errno));
	if (!status && (!text || pim_asm_add(as, standard ? "<stdin>" : path, text, used)))
		status = ax_error("out of memory");
	if (!standard)
		fclose(file);
	free(text);
	return status;
}

static int define(struct pim_asm *as, const char *text)
{
	const char *equal = strchr(text, '=');
	long long value;
	char name[256];
	char *end;

	if (!equal || equal == text || (size_t)(equal - text) >= sizeof(name))
		return ax_usage("--define takes NAME=VALUE, not '%s'", text);
	memcpy(name, text, (size_t)(equal - text));
	name[equal - text] = '\0';
	errno = 0;
	value = strtoll(equal + 1, &end, 0);
	if (errno || *end || end == equal + 1)
		return ax_usage("--define %s: '%s' is no number", name, equal + 1);
	pim_asm_messages(as, NULL, NULL);
	if (pim_asm_define(as, name, value))
		return ax_usage("--define: %s", pim_asm_message(as));
	return 0;
}

static int write_output(const struct pim_asm *as, const char *path)
{
	FILE *file = fopen(path, "wb");
	int bad;

	if (!file)
		return ax_error("%s: %s", path, strerror(errno));
	bad = pim_asm_write(as, file);
	bad |= fclose(file);
	if (bad) {
		int error = errno;

		unlink(path);
		return ax_error("%s: %s", path, strerror(error));
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *output;
	struct pim_asm *as;
	struct ax_args args;
	uint32_t insns, wram, mram;
	int status;

	ax_set_prog(program.name);
	status = ax_parse(&program, argc, argv, &args);
	if (status >= 0)
		return status;
	if (!args.argc)
		return ax_usage("no source given; see dpu-as --help");
	as = pim_asm_create();
	if (!as)
		return ax_error("out of memory");
	status = 0;
	for (unsigned int n = 0; n < args.nr_given && !status; n++) {
		if (!strcmp(args.given[n].opt->name, "define"))
			status = define(as, args.given[n].value);
	}
	for (int n = 0; n < args.argc && !status; n++)
		status = add_source(as, args.argv[n]);
	pim_asm_messages(as, say, NULL);
	if (!status && pim_asm_link(as))
		status = AX_FAIL;
	output = ax_value(&args, "output");
	if (!status)
		status = write_output(as, output ? output : "a.dpu");
	if (!status && ax_has(&args, "verbose")) {
		pim_asm_sizes(as, &insns, &wram, &mram);
		printf("%u instructions, %u bytes of WRAM, %u bytes of MRAM\n", insns, wram, mram);
	}
	pim_asm_destroy(as);
	return status;
}
