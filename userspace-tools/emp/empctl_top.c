// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * empctl top: a live table, one line a region, and one for each of its tiers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../lib/ax_size.h"
#include "emp_stats.h"
#include "emp_sysfs.h"
#include "empctl.h"
#include "empctl_top_tier.h"

#define REGIONS_MAX	256
#define HEADER_EVERY	20	/* lines, in batch mode */

struct row {
	char name[64];
	struct emp_snapshot snap;
	struct top_tiers tiers;
};

enum form {
	TOP_TABLE,
	TOP_BATCH,
	TOP_JSON,
};

/* The regions of one moment, in the order of their names. */
struct table {
	unsigned int nr;
	struct row row[REGIONS_MAX];
};

static void forget(struct table *t)
{
	for (unsigned int i = 0; i < t->nr; i++)
		top_tiers_free(&t->row[i].tiers);
	t->nr = 0;
}

static int take(struct table *t, const char *only)
{
	const char *list[2] = { only, NULL };
	char **all = only ? NULL : emp_sysfs_list("");
	int denied = 0;

	forget(t);
	for (const char *const *n = only ? list : (const char *const *)all; n && *n; n++) {
		struct row *row = &t->row[t->nr];

		if (t->nr == REGIONS_MAX)
			break;
		if (emp_snapshot(*n, &row->snap)) {	/* it may just have gone */
			denied |= errno == EACCES;
			continue;
		}
		snprintf(row->name, sizeof(row->name), "%.63s", *n);
		top_tiers_take(row->name, &row->tiers);
		t->nr++;
	}
	emp_sysfs_free(all);
	if (denied && !t->nr)
		return ax_error("the statistics are readable by root only");
	return AX_OK;
}

static const struct row *find(const struct table *t, const char *name)
{
	for (unsigned int i = 0; i < t->nr; i++) {
		if (!strcmp(t->row[i].name, name))
			return &t->row[i];
	}
	return NULL;
}

static void header(bool batch)
{
	printf("%s%-12s %9s %19s %7s %7s %7s %7s %7s %7s %7s %8s %8s\n",
	       batch ? "TIME     " : "", "REGION", "SIZE", "DRAM used/limit", "minor/s", "zero/s",
	       "fetch/s", "wait/s", "rd MB/s", "wr MB/s", "evict/s", "p50", "p99");
}

static void print_row(const struct row *row, const struct emp_rates *r, bool batch)
{
	char size[AX_HUMAN], used[AX_HUMAN], limit[AX_HUMAN], p50[AX_HUMAN], p99[AX_HUMAN];
	char stamp[16] = "", dram[2 * AX_HUMAN + 1];

	if (batch) {
		time_t now = time(NULL);

		strftime(stamp, sizeof(stamp), "%H:%M:%S ", localtime(&now));
	}
	snprintf(dram, sizeof(dram), "%s/%s", ax_human_size(row->snap.resident, used),
		 ax_human_size(row->snap.dram_limit, limit));
	printf("%s%-12s %9s %19s %7.0f %7.0f %7.0f %7.0f %7.1f %7.1f %7.0f %8s %8s\n", stamp,
	       row->name, ax_human_size(row->snap.bytes, size), dram, r->minor, r->zero, r->fetch,
	       r->wait, r->read / 1e6, r->written / 1e6, r->evicted, ax_human_ns(r->p50, p50),
	       ax_human_ns(r->p99, p99));
}

static json_t *row_json(const struct row *row, const struct emp_rates *r, json_t *tiers)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o}",
			 "name", row->name, "bytes", (json_int_t)row->snap.bytes,
			 "resident", (json_int_t)row->snap.resident,
			 "dram_limit", (json_int_t)row->snap.dram_limit, "seconds", r->seconds,
			 "minor_per_s", r->minor, "zero_per_s", r->zero, "fetch_per_s", r->fetch,
			 "wait_per_s", r->wait, "read_bytes_per_s", r->read,
			 "written_bytes_per_s", r->written, "evicted_per_s", r->evicted,
			 "p50_ns", r->p50, "p99_ns", r->p99, "tiers", tiers);
}

/* One table of what happened between two moments. */
static void show(const struct table *before, const struct table *after, enum form form, bool tiers)
{
	json_t *array = form == TOP_JSON ? json_array() : NULL;
	bool batch = form == TOP_BATCH;

	for (unsigned int i = 0; i < after->nr; i++) {
		const struct row *row = &after->row[i], *old = find(before, row->name);
		const struct top_tiers *then = old ? &old->tiers : NULL;
		struct emp_rates rates;

		emp_rates(old ? &old->snap : &row->snap, &row->snap, &rates);
		if (array) {
			json_array_append_new(array, row_json(row, &rates,
							      top_tiers_json(then, &row->tiers,
									     rates.seconds)));
			continue;
		}
		print_row(row, &rates, batch);
		if (tiers)
			top_tiers_print(then, &row->tiers, rates.seconds, batch ? "         " : "");
	}
	if (array) {	/* one line a table */
		json_dumpf(array, stdout, JSON_COMPACT);
		json_decref(array);
		putchar('\n');
	} else if (!after->nr && !batch) {
		printf("(no regions)\n");
	}
}

int empctl_top(const struct ax_args *args)
{
	const char *only = args->argc ? args->argv[0] : NULL;
	bool json = ax_has(args, "json");
	bool batch = ax_has(args, "batch") || !isatty(STDOUT_FILENO);
	bool tiers = ax_has(args, "tiers") || !batch;
	struct table *tables, *before, *after, *old;
	unsigned int lines = 0;
	uint64_t count;
	double seconds;
	int ret = AX_OK;

	if (!ax_interval(args, 2, &seconds) ||
	    !ax_number(args, "count", 1, UINT64_MAX, UINT64_MAX, &count))
		return AX_USAGE;
	if (only && empctl_need_region(only))
		return AX_FAIL;
	if (!only && access(emp_sysfs_root(), F_OK))
		return ax_error("%s is not there: the module is not loaded (modprobe emp; see empctl doctor)",
				emp_sysfs_root());
	tables = calloc(2, sizeof(*tables));
	if (!tables)
		return ax_error("out of memory");
	before = &tables[0];
	after = &tables[1];
	empctl_catch_signals();
	ret = take(before, only);
	while (ret == AX_OK && count-- && empctl_sleep(seconds)) {
		ret = take(after, only);
		if (ret != AX_OK || (only && !after->nr))
			break;	/* the one region is gone */
		if (!batch && !json)
			printf("\033[H\033[2J");
		if (!json && (!batch || !(lines % HEADER_EVERY)))
			header(batch);
		lines += after->nr ? after->nr : 1;
		show(before, after, json ? TOP_JSON : batch ? TOP_BATCH : TOP_TABLE, tiers);
		fflush(stdout);
		old = before;
		before = after;
		after = old;
	}
	forget(before);
	forget(after);
	free(tables);
	return ret;
}
