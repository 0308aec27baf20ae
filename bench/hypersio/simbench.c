// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Simulate one configuration on a trace, again and again, and print the
 * translations and the processor seconds of each time; the first is warm-up.
 * Reading the trace is part of it, starting the program is not.
 *
 * usage: simbench ROUNDS TIMES TRACE CONFIG [KEY=VALUE]...
 * Prints ROUNDS lines "translations seconds", each of TIMES simulations.
 *
 * usage: simbench --clock
 * Prints additions, each of which needs the one before, a nanosecond: the clock
 * in GHz on a machine that does nothing else, less on one that does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../userspace-tools/hypersio/hs_result.h"

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int fail(const char *text)
{
	fprintf(stderr, "simbench: %s\n", text);
	return 1;
}

#define CHAIN 200000000

static int clock_rate(void)
{
	double start = seconds();

	for (unsigned long i = 0; i < CHAIN;) {
		i++;
		__asm__ volatile("" : "+r" (i));	/* one after the other */
	}
	printf("%.2f\n", CHAIN / (seconds() - start) / 1e9);
	return 0;
}

int main(int argc, char **argv)
{
	struct hs_config config;
	struct ax_msg msg;
	int rounds, times;

	if (argc == 2 && !strcmp(argv[1], "--clock"))
		return clock_rate();
	if (argc < 5)
		return fail("usage: simbench ROUNDS TIMES TRACE CONFIG [KEY=VALUE]...");
	rounds = atoi(argv[1]);
	times = atoi(argv[2]);
	if (hs_config_load(&config, argv[4], &msg))
		return fail(msg.text);
	for (int i = 5; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			return fail("not KEY=VALUE");
		*value++ = '\0';
		if (hs_config_set(&config, argv[i], value, &msg))
			return fail(msg.text);
	}
	for (int i = 0; i <= rounds; i++) {
		double start = seconds();
		uint64_t translations = 0;

		for (int j = 0; j < times; j++) {
			struct hs_result result;

			if (hs_run(&config, argv[3], &result, &msg))
				return fail(msg.text);
			translations += result.translations;
			hs_result_free(&result);
		}
		if (i)
			printf("%llu %.9f\n", (unsigned long long)translations, seconds() - start);
	}
	return 0;
}
