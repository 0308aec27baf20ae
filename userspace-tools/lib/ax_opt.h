/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One table of options and commands per program. From it come the parser,
 * --help, the bash completion and the lists in the man page, so none of them
 * can say something that the others do not.
 */
#ifndef AX_OPT_H
#define AX_OPT_H

#include <stdbool.h>
#include <stdint.h>

#include "ax_err.h"

#define AX_OPTS_MAX 16	/* options of one command, the global ones included */

/* One option; a table ends with .name == NULL. */
struct ax_opt {
	const char *name;	/* long name without the dashes */
	char letter;		/* short form or 0 */
	const char *arg;	/* name of its argument or NULL */
	const char *help;	/* one sentence, no full stop */
	const char *values;	/* words to complete, space-separated, or NULL */
};

struct ax_args;

/* One command, "object verb"; a table ends with .object == NULL. */
struct ax_cmd {
	const char *object;
	const char *verb;	/* NULL: the object alone is the command */
	const char *operands;	/* e.g. "NAME [ID]" */
	const char *help;
	int least, most;	/* operands accepted; most -1: any number */
	const struct ax_opt *opts;
	int (*run)(const struct ax_args *args);
};

struct ax_program {
	const char *name;
	const char *summary;	/* one line */
	const char *usage;	/* for a program without commands: "[OPTION]... QEMU [ARG]..." */
	const char *notes;	/* printed at the end of --help, or NULL */
	const char *operand_values;	/* shell command that prints words for operands, or NULL */
	const struct ax_opt *opts;	/* global options */
	const struct ax_cmd *cmds;	/* NULL for a program without commands */
	int (*run)(const struct ax_args *args);	/* without a command; NULL: one is needed */
	bool stop_at_operand;	/* what follows the first operand is not ours */
};

/* The result of parsing. */
struct ax_args {
	const struct ax_program *program;
	const struct ax_cmd *cmd;
	int argc;		/* operands */
	char **argv;
	unsigned int nr_given;
	struct {
		const struct ax_opt *opt;
		const char *value;
	} given[64];
};

/*
 * Parse the command line and answer --help, --version and the hidden
 * --generate bash|man. Returns -1 to go on, else the exit status.
 */
int ax_parse(const struct ax_program *program, int argc, char **argv, struct ax_args *args);

/* Was the option given? The last value of an option, or NULL. */
bool ax_has(const struct ax_args *args, const char *name);
const char *ax_value(const struct ax_args *args, const char *name);
/* An option's number from @min to @max: @fallback when it is not given; false after a message. */
bool ax_number(const struct ax_args *args, const char *option, uint64_t min, uint64_t max,
	       uint64_t fallback, uint64_t *value);
/* --interval in seconds, 0.1 to 3600, of a live table; false: refused, after ax_usage(). */
bool ax_interval(const struct ax_args *args, double otherwise, double *seconds);

#endif
