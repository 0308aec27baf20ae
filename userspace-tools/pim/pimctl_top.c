// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pimctl top: look again and again, and show what happened in between; on a
 * terminal in a window that scrolls.
 */
#include <curses.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <time.h>
#include <unistd.h>

#include "pim_top.h"

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- a moment ------------------------------------------------------------------------ */

/* Room for one more of @size in @array, which has @n; or NULL. */
static void *grow(void *array, uint32_t n, size_t size)
{
	return n & (n - 1) ? array : realloc(array, (n ? 2 * (size_t)n : 1) * size);
}

/* Of a rank that sysfs does not show (any more): 0. */
static uint64_t leases_of(uint32_t rank)
{
	unsigned long long leases = 0;
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%.200s/rank%u/stats/leases", pim_sysfs_root(), rank);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%llu", &leases) != 1)
		leases = 0;
	fclose(f);
	return leases;
}

static int take_ranks(int arbiter, struct pim_top *top, struct ax_msg *msg)
{
	struct pim_rank_state st;
	int ret;

	for (uint32_t id = 0; (ret = pim_rank_get(arbiter, id, &st, msg)) > 0; id = st.id + 1) {
		struct pim_top_rank *ranks = grow(top->ranks, top->nr_ranks, sizeof(*ranks));

		if (!ranks)
			return ax_fail(msg, "out of memory");
		top->ranks = ranks;
		ranks[top->nr_ranks].st = st;
		ranks[top->nr_ranks++].leases = leases_of(st.id);
	}
	return ret;
}

static int take_owners(int arbiter, struct pim_top *top, struct ax_msg *msg)
{
	struct pim_owner_state st;
	uint32_t uid = 0;
	int ret;

	while ((ret = pim_owner_get(arbiter, uid, &st, msg)) > 0) {
		struct pim_owner_state *owners = grow(top->owners, top->nr_owners, sizeof(*owners));

		if (!owners)
			return ax_fail(msg, "out of memory");
		top->owners = owners;
		owners[top->nr_owners++] = st;
		if (st.uid == UINT32_MAX)
			return 0;
		uid = st.uid + 1;
	}
	return ret;
}

static bool take_vm(const struct pimctl_vm *vm, void *arg)
{
	struct pim_top *top = arg;
	struct pimctl_vm *vms = grow(top->vms, top->nr_vms, sizeof(*vms));

	if (!vms)
		return true;
	top->vms = vms;
	vms[top->nr_vms++] = *vm;
	return false;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pimctl_vm *)a)->name, ((const struct pimctl_vm *)b)->name);
}

/* False after a message; what was taken is to be freed all the same. */
static bool take(int arbiter, struct pim_top *top, struct ax_msg *msg)
{
	memset(top, 0, sizeof(*top));
	top->time = now();
	if (take_ranks(arbiter, top, msg) || take_owners(arbiter, top, msg))
		return false;
	pimctl_each_vm(take_vm, top);	/* there may be no machines here */
	if (top->nr_vms)
		qsort(top->vms, top->nr_vms, sizeof(*top->vms), by_name);
	return true;
}

/* --- the window ------------------------------------------------------------------------ */

/* Lines of @text from @first on, as many as fit. How many there are. */
static int draw(const char *text, int first)
{
	int n = 0;

	erase();
	for (const char *line = text; *line; n++) {
		int length = (int)strcspn(line, "\n");

		if (n >= first && n - first < LINES) {
			bool head = !strncmp(line, "RANK", 4) || !strncmp(line, "MACHINE", 7);

			attrset(head ? A_REVERSE : n ? A_NORMAL : A_BOLD);
			mvaddnstr(n - first, 0, line, MIN(length, COLS));
		}
		line += length + (line[length] == '\n');
	}
	attrset(A_NORMAL);
	refresh();
	return n;
}

/* Show the table, and heed keys, until @until; false: the user wants to leave. */
static bool watch(const char *text, double until)
{
	static int first;

	while (!stop) {
		double left = until - now();
		int lines = draw(text, first), key;

		if (left <= 0)
			return true;
		timeout((int)(left * 1000) + 1);
		key = getch();
		switch (key) {
		case 'q':
			return false;
		case KEY_UP:
			first--;
			break;
		case KEY_DOWN:
			first++;
			break;
		case KEY_PPAGE:
			first -= LINES;
			break;
		case KEY_NPAGE:
			first += LINES;
			break;
		case KEY_HOME:
			first = 0;
			break;
		}
		first = MAX(0, MIN(first, lines - LINES));
	}
	return false;
}

/* --- the command ------------------------------------------------------------------------- */

/* Until a time, or a signal. */
static bool sleep_until(double until)
{
	double left;

	while (!stop && (left = until - now()) > 0) {
		struct timespec t = { (time_t)left, (long)((left - (double)(time_t)left) * 1e9) };

		nanosleep(&t, NULL);
	}
	return !stop;
}

static int show_plain(const struct pim_top *before, const struct pim_top *after, bool json)
{
	char stamp[32];
	time_t t = time(NULL);

	if (json) {	/* one line a table */
		json_t *o = pim_top_json(before, after);

		if (!o)
			return ax_error("out of memory");
		json_dumpf(o, stdout, JSON_COMPACT);
		json_decref(o);
	} else {
		strftime(stamp, sizeof(stamp), "%H:%M:%S ", localtime(&t));
		fputs(stamp, stdout);
		pim_top_print(stdout, before, after);
	}
	putchar('\n');
	return fflush(stdout) ? ax_error("cannot write: %s", strerror(errno)) : AX_OK;
}

/* At first of what there is, without what it does. False after a message. */
static bool run_window(int arbiter, double seconds, uint64_t count, struct ax_msg *msg)
{
	struct pim_top before = { 0 }, after;
	bool ok, go_on;

	do {
		char *text = NULL;
		size_t size;
		FILE *f;

		ok = take(arbiter, &after, msg);
		f = ok ? open_memstream(&text, &size) : NULL;
		if (f) {
			pim_top_print(f, &before, &after);
			fclose(f);
		}
		go_on = text && watch(text, after.time + seconds) && count--;
		free(text);
		pim_top_free(&before);
		before = after;
	} while (go_on);
	pim_top_free(&before);
	return ok;
}

static int run_plain(int arbiter, double seconds, uint64_t count, bool json)
{
	struct pim_top before, after;
	struct ax_msg msg;
	bool ok = take(arbiter, &before, &msg);
	int ret = AX_OK;

	while (ok && ret == AX_OK && count-- && sleep_until(before.time + seconds)) {
		ok = take(arbiter, &after, &msg);
		if (ok)
			ret = show_plain(&before, &after, json);
		pim_top_free(&before);
		before = after;
	}
	pim_top_free(&before);
	return ok ? ret : ax_error("%s", msg.text);
}

/* False: this terminal is not known. */
static bool in_window(int arbiter, double seconds, uint64_t count, int *ret)
{
	SCREEN *screen = newterm(NULL, stdout, stdin);
	struct ax_msg msg;
	bool ok;

	if (!screen)
		return false;
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	ok = run_window(arbiter, seconds, count, &msg);
	endwin();
	delscreen(screen);
	*ret = ok ? AX_OK : ax_error("%s", msg.text);
	return true;
}

int pimctl_top(const struct ax_args *args)
{
	const struct sigaction action = { .sa_handler = on_signal };	/* no SA_RESTART */
	bool json = ax_has(args, "json");
	struct ax_msg msg;
	uint64_t count;
	double seconds;
	int arbiter, ret;

	if (!ax_interval(args, 2, &seconds) ||
	    !ax_number(args, "count", 1, UINT64_MAX, UINT64_MAX, &count))
		return AX_USAGE;
	arbiter = pim_arbiter_open(&msg);
	if (arbiter < 0)
		return ax_error("%s", msg.text);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (json || ax_has(args, "batch") || !isatty(STDOUT_FILENO) ||
	    !in_window(arbiter, seconds, count, &ret))
		ret = run_plain(arbiter, seconds, count, json);
	close(arbiter);
	return ret;
}
