/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Let the n-th allocation, or copy from and to user space, of this thread fail.
 * The includer opens fail_fd (/proc/thread-self/fail-nth).
 */
#ifndef FAIL_NTH_H
#define FAIL_NTH_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int fail_fd;

/* 0: none. */
static void fail_nth(unsigned int n)
{
	char text[12];
	int len = snprintf(text, sizeof(text), "%u", n), tries = 100;

	/* Switching off copies from here, too, and may be what fails. */
	while (pwrite(fail_fd, text, len, 0) != len) {
		if (!tries--) {
			perror("# fail-nth");
			exit(1);
		}
	}
}

/* Switch off. Did it fail something? */
static bool failed_something(void)
{
	char text[12] = "";
	ssize_t n = pread(fail_fd, text, sizeof(text) - 1, 0);
	bool fired = n > 0 && atoi(text) == 0;	/* EFAULT: it was the reading that failed */

	fail_nth(0);
	return fired;
}

#endif
