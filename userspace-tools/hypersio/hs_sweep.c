// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE	/* memmem */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/ax_size.h"
#include "hs_sweep.h"

static int add_value(struct hs_axis *a, const char *text, size_t len, struct ax_msg *msg)
{
	if (a->nr >= HS_SWEEP_RUNS)
		return ax_fail(msg, "%s: more than %u values", a->key, HS_SWEEP_RUNS);
	if (a->nr == a->room) {
		size_t room = a->room ? 2 * a->room : 16;
		char **value = realloc(a->value, room * sizeof(*value));

		if (!value)
			return ax_fail(msg, "out of memory");
		a->value = value;
		a->room = room;
	}
	a->value[a->nr] = strndup(text, len);
	if (!a->value[a->nr])
		return ax_fail(msg, "out of memory");
	a->nr++;
	return 0;
}

/* A..B, A..B+S, A..B*F */
static int add_range(struct hs_axis *a, const char *text, size_t len, const char *dots,
		     struct ax_msg *msg)
{
	const char *end = text + len, *second = dots + 2, *op = second;
	uint64_t from, to, step = 1;

	while (op < end && *op != '+' && *op != '*')
		op++;
	if (ax_parse_u64(text, dots - text, &from) || ax_parse_u64(second, op - second, &to) ||
	    (op < end && ax_parse_u64(op + 1, end - op - 1, &step)))
		return ax_fail(msg, "%s: '%.*s' is no range: A..B, A..B+STEP or A..B*FACTOR",
			       a->key, (int)len, text);
	if (from > to)
		return ax_fail(msg, "%s: '%.*s' is empty", a->key, (int)len, text);
	if (op < end && (*op == '*' ? step < 2 || !from : !step))
		return ax_fail(msg, "%s: '%.*s' does not end", a->key, (int)len, text);
	for (uint64_t v = from; v <= to;) {
		char number[24];

		snprintf(number, sizeof(number), "%llu", (unsigned long long)v);
		if (add_value(a, number, strlen(number), msg))
			return -1;
		if (op < end && *op == '*' ? v > to / step : v > UINT64_MAX - step)
			break;
		v = op < end && *op == '*' ? v * step : v + step;
	}
	return 0;
}

static int add_values(struct hs_axis *a, const char *text, size_t len, struct ax_msg *msg)
{
	const char *end = text + len;

	while (text <= end) {
		const char *comma = memchr(text, ',', end - text), *dots = NULL;
		size_t n = (comma ? comma : end) - text;

		if (!n)
			return ax_fail(msg, "%s: a value is missing", a->key);
		/* a path may have dots in it */
		if (strcmp(a->key, "trace") && strcmp(a->key, "config"))
			dots = memmem(text, n, "..", 2);
		if (dots ? add_range(a, text, n, dots, msg) : add_value(a, text, n, msg))
			return -1;
		text += n + 1;
	}
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int check_twice(const struct hs_axis *a, struct ax_msg *msg)
{
	char **sorted = malloc(a->nr * sizeof(*sorted));
	int ret = 0;

	if (!sorted)
		return ax_fail(msg, "out of memory");
	memcpy(sorted, a->value, a->nr * sizeof(*sorted));
	qsort(sorted, a->nr, sizeof(*sorted), by_text);
	for (size_t i = 1; i < a->nr && !ret; i++) {
		if (!strcmp(sorted[i - 1], sorted[i]))
			ret = ax_fail(msg, "%s: %s stands there twice", a->key, sorted[i]);
	}
	free(sorted);
	return ret;
}

/* Is there such a key, and does it take all of these values? */
static int check_axis(const struct hs_axis *a, struct ax_msg *msg)
{
	struct hs_config scratch;

	if (!strcmp(a->key, "trace") || !strcmp(a->key, "config"))
		return 0;
	if (hs_config_preset(&scratch, "base", msg))
		return -1;
	for (size_t i = 0; i < a->nr; i++) {
		if (hs_config_set(&scratch, a->key, a->value[i], msg))
			return -1;
	}
	return 0;
}

int hs_sweep_parse(struct hs_sweep *s, const char *text, struct ax_msg *msg)
{
	memset(s, 0, sizeof(*s));
	s->runs = 1;
	for (text += strspn(text, " \t\n"); *text; text += strspn(text, " \t\n")) {
		size_t len = strcspn(text, " \t\n");
		const char *equals = memchr(text, '=', len);
		struct hs_axis *a = &s->axis[s->nr_axes];

		if (!equals || equals == text || (size_t)(equals - text) >= sizeof(a->key))
			return ax_fail(msg, "'%.*s' is not KEY=VALUES", (int)len, text);
		if (s->nr_axes == HS_SWEEP_AXES)
			return ax_fail(msg, "more than %u keys", HS_SWEEP_AXES);
		memcpy(a->key, text, equals - text);
		for (size_t i = 0; i < s->nr_axes; i++) {
			if (!strcmp(s->axis[i].key, a->key))
				return ax_fail(msg, "%s stands there twice", a->key);
		}
		s->nr_axes++;
		if (add_values(a, equals + 1, text + len - equals - 1, msg) ||
		    check_twice(a, msg) || check_axis(a, msg))
			return -1;
		if (a->nr > HS_SWEEP_RUNS / s->runs)
			return ax_fail(msg, "more than %u runs", HS_SWEEP_RUNS);
		s->runs *= a->nr;
		text += len;
	}
	return 0;
}

void hs_sweep_free(struct hs_sweep *s)
{
	for (size_t i = 0; i < s->nr_axes; i++) {
		for (size_t j = 0; j < s->axis[i].nr; j++)
			free(s->axis[i].value[j]);
		free(s->axis[i].value);
	}
	memset(s, 0, sizeof(*s));
}

const char *hs_sweep_value(const struct hs_sweep *s, size_t run, size_t axis)
{
	for (size_t i = s->nr_axes; --i > axis;)
		run /= s->axis[i].nr;
	return s->axis[axis].value[run % s->axis[axis].nr];
}

const char *hs_sweep_lookup(const struct hs_sweep *s, size_t run, const char *key,
			    const char *fallback)
{
	for (size_t i = 0; i < s->nr_axes; i++) {
		if (!strcmp(s->axis[i].key, key))
			return hs_sweep_value(s, run, i);
	}
	return fallback;
}
