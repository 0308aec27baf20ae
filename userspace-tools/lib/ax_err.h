/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages of the tools: one line on stderr, "prog: message".
 */
#ifndef AX_ERR_H
#define AX_ERR_H

#include <stdbool.h>
#include <stddef.h>

/* What every tool exits with. */
enum ax_exit {
	AX_OK		= 0,
	AX_FAIL		= 1,
	AX_USAGE	= 2,
};

void ax_set_prog(const char *name);
const char *ax_prog(void);

/* Print "prog: message" to stderr; returns AX_FAIL, for `return ax_error(...)`. */
int ax_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same for wrong usage; returns AX_USAGE. */
int ax_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Print "prog: warning: message" to stderr. */
void ax_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A message that a library function leaves for its caller to print. */
struct ax_msg {
	char text[512];
};

/* Set the message; returns -1, for `return ax_fail(msg, ...)`. */
int ax_fail(struct ax_msg *msg, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * The entry of @words (ended by NULL) that @typed was probably meant to be,
 * or NULL when none is near.
 */
const char *ax_nearest(const char *typed, const char *const *words);

#endif
