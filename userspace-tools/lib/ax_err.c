// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ax_err.h"

static const char *prog = "annex";

void ax_set_prog(const char *name)
{
	prog = name;
}

const char *ax_prog(void)
{
	return prog;
}

static void say(const char *kind, const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "%s: %s", prog, kind);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int ax_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("", fmt, ap);
	va_end(ap);
	return AX_FAIL;
}

int ax_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("", fmt, ap);
	va_end(ap);
	return AX_USAGE;
}

void ax_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("warning: ", fmt, ap);
	va_end(ap);
}

int ax_fail(struct ax_msg *msg, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg->text, sizeof(msg->text), fmt, ap);
	va_end(ap);
	return -1;
}

#define WORD_MAX 32

/* Levenshtein distance of two short words. */
static unsigned int distance(const char *a, size_t la, const char *b, size_t lb)
{
	unsigned int row[WORD_MAX + 1];

	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		unsigned int diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned int best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

const char *ax_nearest(const char *typed, const char *const *words)
{
	size_t len = strlen(typed);
	const char *best = NULL;
	unsigned int least = 3;	/* further than two edits is no slip of the finger */

	if (!len || len > WORD_MAX)
		return NULL;
	for (; *words; words++) {
		size_t n = strlen(*words);
		unsigned int d;

		if (n > WORD_MAX)
			continue;
		d = distance(typed, len, *words, n);
		if (d < least && d < n) {
			least = d;
			best = *words;
		}
	}
	return best;
}
