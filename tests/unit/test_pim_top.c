// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of pimctl top: what it makes of two moments, as text and as JSON.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../userspace-tools/pim/pim_top.h"

static int nr, bad;

static void ok(bool good, const char *name)
{
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++nr, name);
	bad |= !good;
}

static struct pim_top_rank ranks[2][3] = {
	{
		{ .st = { .id = 0, .state = PIM_STATE_FREE, .commands = 100, .busy_ns = 5000 } },
		{ .st = { .id = 2, .state = PIM_STATE_LEASED, .commands = 1000, .bytes_in = 1 << 20,
			  .busy_ns = 1000000000 }, .leases = 7 },
	}, {
		/* another rank that has got the number of the old one */
		{ .st = { .id = 0, .state = PIM_STATE_FREE, .offline = 1, .commands = 10 } },
		{ .st = { .id = 2, .state = PIM_STATE_LEASED, .commands = 1500,
			  .bytes_in = (1 << 20) + 8000000, .bytes_out = 4000000,
			  .busy_ns = 2000000000, .owner_kind = PIM_OWNER_VM, .owner_uid = 107,
			  .owner_pid = 4711, .owner_comm = "vm0" }, .leases = 9 },
		/* one that is new, with a past */
		{ .st = { .id = 5, .state = PIM_STATE_SCRUBBING, .commands = 99999,
			  .busy_ns = 77, .owner_kind = PIM_OWNER_USER, .owner_comm = "app" } },
	}
};

static struct pim_owner_state owners[] = {
	{ .uid = 0 }, { .uid = 107, .ranks = 1, .waiting = 2 }, { .uid = 1000, .waiting = 1 }
};

static struct pimctl_vm vms[2][2] = {
	{ { .uuid = "a", .name = "vm0" } },
	{ { .uuid = "a", .name = "vm0", .leases = "2 -", .ranks = 2, .opened = true },
	  { .uuid = "b", .name = "vm1", .ranks = 1 } }
};

static struct pim_top tops[2] = {
	{ .time = 10, .nr_ranks = 2, .ranks = ranks[0], .nr_vms = 1, .vms = vms[0] },
	{ .time = 12, .nr_ranks = 3, .ranks = ranks[1], .nr_owners = 3, .owners = owners,
	  .nr_vms = 2, .vms = vms[1] },
};

static char *table(const struct pim_top *before, const struct pim_top *after)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	pim_top_print(f, before, after);
	fclose(f);
	return text;
}

/* Is there a line with these words in this order, whatever the blanks between them? */
static bool has(const char *text, const char *words)
{
	while (*text) {
		const char *w = words, *t = text;

		while (*w && *t && *t != '\n') {
			if (*t == ' ') {
				t++;
			} else if (*w == ' ') {
				w++;
			} else if (*t == *w) {
				t++;
				w++;
			} else {
				break;
			}
		}
		if (!*w)
			return true;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return false;
}

static double number(const json_t *o, const char *array, size_t index, const char *key)
{
	return json_number_value(json_object_get(json_array_get(json_object_get(o, array), index),
						 key));
}

static void text_tests(void)
{
	char *text = table(&tops[0], &tops[1]), *first = table(&(struct pim_top){ 0 }, &tops[1]);

	ok(has(text, "ranks: 3, 1 free, 1 leased, 1 scrubbing; "
		     "waiting: 3, 2 of uid 107, 1 of uid 1000"),
	   "the summary");
	ok(has(text, "2 leased 50.0 250 4.0 2.0"), "rates of a rank");
	ok(strstr(text, "       9  vm0 (uid 107)\n"), "its leases and its owner, a machine");
	ok(has(text, "0 free* 0.0 0 0.0 0.0") && has(text, "* offline"),
	   "another rank of the same number, offline");
	ok(has(text, "5 scrubbing 0.0 0 0.0 0.0") && strstr(text, "app[0] (uid 0)\n"),
	   "a new one has no rates from its past");
	ok(has(text, "vm0 2 2 - 30 10 5 15"), "rates of a machine");
	ok(has(text, "vm1 1 not running 0 0 0 0"), "a machine that does not run");
	ok(has(first, "2 leased 0.0 0 0.0 0.0"), "the first table has no rates");
	free(text);
	free(first);
	tops[1].nr_vms = 0;
	text = table(&tops[0], &tops[1]);
	ok(!strstr(text, "MACHINE"), "no machines, no table of them");
	free(text);
	tops[1].nr_vms = 2;
}

static void json_tests(void)
{
	json_t *o = pim_top_json(&tops[0], &tops[1]);

	ok(o && json_real_value(json_object_get(o, "seconds")) == 2 &&
	   json_integer_value(json_object_get(o, "waiting")) == 3, "JSON: the whole");
	ok(number(o, "ranks", 1, "busy_percent") == 50 &&
	   number(o, "ranks", 1, "commands_per_s") == 250 &&
	   number(o, "ranks", 1, "in_bytes_per_s") == 4e6 &&
	   number(o, "ranks", 1, "out_bytes_per_s") == 2e6 &&
	   number(o, "ranks", 1, "leases_per_s") == 1, "JSON: a rank");
	ok(!strcmp(json_string_value(json_object_get(json_array_get(json_object_get(o, "ranks"), 1),
						     "owner_kind")), "vm"), "JSON: its owner");
	ok(number(o, "owners", 1, "waiting") == 2, "JSON: who waits");
	ok(number(o, "machines", 0, "requests_per_s") == 30 &&
	   number(o, "machines", 0, "commits_per_s") == 10, "JSON: a machine");
	json_decref(o);
}

static void busy_tests(void)
{
	char *text;

	ranks[1][0].st.offline = 0;
	ranks[1][0].st.kept = 1;
	text = table(&tops[0], &tops[1]);
	ok(has(text, "0 free+ 0.0") && has(text, "+ kept for its last owner") &&
	   !has(text, "* offline"), "a free one that is kept");
	free(text);
	/* under way while one looks: the clocks may differ by a little */
	ranks[1][1].st.busy_ns = 3100000000;
	text = table(&tops[0], &tops[1]);
	ok(has(text, "2 leased 100.0"), "never more than always busy");
	free(text);
	tops[1].time = tops[0].time;
	text = table(&tops[0], &tops[1]);
	ok(has(text, "2 leased 0.0 0"), "no time between");
	free(text);
}

int main(void)
{
	vms[1][0].counters[PIMCTL_VM_REQUESTS] = 60;
	vms[1][0].counters[PIMCTL_VM_COMMITS] = 20;
	vms[1][0].counters[PIMCTL_VM_KICKS] = 10;
	vms[1][0].counters[PIMCTL_VM_INTERRUPTS] = 30;
	text_tests();
	json_tests();
	busy_tests();
	printf("1..%d\n", nr);
	return bad;
}
