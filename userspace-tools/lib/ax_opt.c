// SPDX-License-Identifier: LGPL-2.1-or-later
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ax_opt.h"
#include "ax_opt_gen.h"
#include "ax_size.h"

#ifndef ANNEX_VERSION
#define ANNEX_VERSION "unknown"
#endif

/* In every program. */
static const struct ax_opt common_opts[] = {
	{ "help", 'h', NULL, "print this help and exit", NULL },
	{ "version", 'V', NULL, "print the version and exit", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

const struct ax_opt *ax_common_opts(void)
{
	return common_opts;
}

/* The options valid for one command, in the form getopt_long() wants. */
struct table {
	const struct ax_opt *opt[AX_OPTS_MAX];
	struct option longs[AX_OPTS_MAX + 2];
	char shorts[2 * AX_OPTS_MAX + 3];
	unsigned int nr;
};

#define VAL_LONG 256	/* getopt's value of table entry i is VAL_LONG + i */
#define VAL_GENERATE (VAL_LONG + AX_OPTS_MAX)

static void table_add(struct table *t, const struct ax_opt *opts)
{
	for (; opts && opts->name && t->nr < AX_OPTS_MAX; opts++, t->nr++) {
		size_t n = strlen(t->shorts);

		t->opt[t->nr] = opts;
		t->longs[t->nr] = (struct option){
			opts->name, opts->arg ? required_argument : no_argument,
			NULL, VAL_LONG + t->nr
		};
		if (opts->letter) {
			t->shorts[n++] = opts->letter;
			if (opts->arg)
				t->shorts[n++] = ':';
			t->shorts[n] = '\0';
		}
	}
}

static void table_init(struct table *t, const struct ax_program *p, const struct ax_cmd *cmd,
		       bool stop)
{
	memset(t, 0, sizeof(*t));
	strcpy(t->shorts, stop ? "+" : "");
	if (cmd)
		table_add(t, cmd->opts);
	table_add(t, p->opts);
	table_add(t, common_opts);
	t->longs[t->nr] = (struct option){ "generate", required_argument, NULL, VAL_GENERATE };
}

static const struct ax_opt *table_find(const struct table *t, int val)
{
	if (val >= VAL_LONG && val < VAL_LONG + (int)t->nr)
		return t->opt[val - VAL_LONG];
	for (unsigned int i = 0; i < t->nr; i++) {
		if (t->opt[i]->letter && t->opt[i]->letter == val)
			return t->opt[i];
	}
	return NULL;
}

/*
 * Take options up to the end or (with @stop) the first operand.
 * Returns -1 to go on, else the exit status.
 */
static int take(struct ax_args *args, int argc, char **argv, bool stop)
{
	struct table t;
	int val;

	table_init(&t, args->program, args->cmd, stop);
	while ((val = getopt_long(argc, argv, t.shorts, t.longs, NULL)) != -1) {
		const struct ax_opt *opt;

		if (val == VAL_GENERATE)
			return ax_generate(args->program, optarg);
		opt = table_find(&t, val);
		if (!opt)	/* getopt has said what is wrong */
			return AX_USAGE;
		if (!strcmp(opt->name, "help")) {
			ax_print_help(args->program, args->cmd);
			return AX_OK;
		}
		if (!strcmp(opt->name, "version")) {
			printf("%s (Annex) %s\n", args->program->name, ANNEX_VERSION);
			return AX_OK;
		}
		if (args->nr_given == sizeof(args->given) / sizeof(args->given[0]))
			return ax_usage("too many options");
		args->given[args->nr_given].opt = opt;
		args->given[args->nr_given++].value = optarg;
	}
	return -1;
}

/* "'region' needs a verb: create, destroy, ..." */
static int needs_verb(const struct ax_cmd *cmds, const char *object)
{
	char verbs[256] = "";
	size_t n = 0;

	for (const struct ax_cmd *c = cmds; c->object && n < sizeof(verbs); c++) {
		if (!strcmp(c->object, object))
			n += snprintf(verbs + n, sizeof(verbs) - n, "%s%s", n ? ", " : "", c->verb);
	}
	return ax_usage("'%s' needs a verb: %s", object, verbs);
}

static int find_cmd(struct ax_args *args, int argc, char **argv)
{
	const struct ax_cmd *cmds = args->program->cmds;
	const char *words[64];
	const char *object = argv[optind], *verb, *near;
	bool known = false;
	unsigned int n = 0;

	verb = optind + 1 < argc ? argv[optind + 1] : NULL;
	for (const struct ax_cmd *c = cmds; c->object; c++) {
		if (strcmp(c->object, object))
			continue;
		known = true;
		if (!c->verb || (verb && !strcmp(c->verb, verb))) {
			args->cmd = c;
			optind += c->verb ? 2 : 1;
			return -1;
		}
	}
	for (const struct ax_cmd *c = cmds; c->object && n < 63; c++) {
		if (!known)
			words[n++] = c->object;
		else if (!strcmp(c->object, object))
			words[n++] = c->verb;
	}
	words[n] = NULL;
	if (known && (!verb || verb[0] == '-')) {
		if (verb && (!strcmp(verb, "--help") || !strcmp(verb, "-h"))) {
			ax_print_help(args->program, NULL);
			return AX_OK;
		}
		return needs_verb(cmds, object);
	}
	near = ax_nearest(known ? verb : object, words);
	if (!near)
		return ax_usage("no command '%s%s%s' (see %s --help)", object, known ? " " : "",
				known ? verb : "", args->program->name);
	return ax_usage("no command '%s%s%s'; did you mean '%s%s%s'?", object, known ? " " : "",
			known ? verb : "", known ? object : "", known ? " " : "", near);
}

int ax_parse(const struct ax_program *program, int argc, char **argv, struct ax_args *args)
{
	bool stop = program->cmds || program->stop_at_operand;
	int ret;

	memset(args, 0, sizeof(*args));
	args->program = program;
	ax_set_prog(program->name);
	argv[0] = (char *)program->name;	/* getopt prints it */
	ret = take(args, argc, argv, stop);
	if (ret >= 0)
		return ret;
	if (program->cmds) {
		if (optind >= argc && program->run) {
			args->argv = argv + argc;
			return -1;
		}
		if (optind >= argc)
			return ax_usage("no command (see %s --help)", program->name);
		ret = find_cmd(args, argc, argv);
		if (ret >= 0)
			return ret;
		/* getopt wants a program name in front of what is left */
		argv += optind - 1;
		argc -= optind - 1;
		argv[0] = (char *)program->name;
		optind = 0;
		ret = take(args, argc, argv, false);
		if (ret >= 0)
			return ret;
	}
	args->argc = argc - optind;
	args->argv = argv + optind;
	if (args->cmd) {
		const struct ax_cmd *c = args->cmd;

		if (args->argc < c->least || (c->most >= 0 && args->argc > c->most))
			return ax_usage("usage: %s %s%s%s %s", program->name, c->object,
					c->verb ? " " : "", c->verb ? c->verb : "",
					c->operands ? c->operands : "(no operands)");
	}
	return -1;
}

const char *ax_value(const struct ax_args *args, const char *name)
{
	for (unsigned int i = args->nr_given; i-- > 0;) {
		if (!strcmp(args->given[i].opt->name, name))
			return args->given[i].value ? args->given[i].value : "";
	}
	return NULL;
}

bool ax_has(const struct ax_args *args, const char *name)
{
	return ax_value(args, name);
}

bool ax_number(const struct ax_args *args, const char *option, uint64_t min, uint64_t max,
	       uint64_t fallback, uint64_t *value)
{
	const char *text = ax_value(args, option);

	*value = fallback;
	if (!text)
		return true;
	if (!ax_parse_u64(text, strlen(text), value) && *value >= min && *value <= max)
		return true;
	ax_usage("--%s: '%s' is not a number from %llu to %llu", option, text,
		 (unsigned long long)min, (unsigned long long)max);
	return false;
}

bool ax_interval(const struct ax_args *args, double otherwise, double *seconds)
{
	const char *text = ax_value(args, "interval");
	char *end;

	*seconds = otherwise;
	if (!text)
		return true;
	*seconds = strtod(text, &end);
	if (end != text && !*end && *seconds >= 0.1 && *seconds <= 3600)
		return true;
	ax_usage("--interval: '%s' is not a number of seconds from 0.1 to 3600", text);
	return false;
}
