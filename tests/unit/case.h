/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases of a unit test: functions that end at the first CHECK that does not hold.
 *
 *	case_call(function); case_say("name");	...	return case_end();
 */
#ifndef CASE_H
#define CASE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>

static unsigned int case_number, case_failures;
static bool failed_case;
static jmp_buf case_out;

static void check(bool ok, const char *what, int line)
{
	if (ok)
		return;
	printf("# line %d: %s\n", line, what);
	failed_case = true;
	longjmp(case_out, 1);
}

#define CHECK(condition)	check(condition, #condition, __LINE__)

/* Call @function as a case, of which case_say() then tells. */
static void case_call(void (*function)(void))
{
	failed_case = false;
	if (!setjmp(case_out))
		function();
}

static void case_say(const char *name)
{
	printf("%s %u - %s\n", failed_case ? "not ok" : "ok", ++case_number, name);
	case_failures += failed_case;
}

static int case_end(void)
{
	printf("1..%u\n", case_number);
	return case_failures > 0;
}

#endif
