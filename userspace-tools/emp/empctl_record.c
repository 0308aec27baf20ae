// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * empctl record: a region's numbers over time, as CSV. A row holds the totals
 * of its moment and the latencies of the time since the row before.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "emp_stats.h"
#include "emp_sysfs.h"
#include "empctl.h"

static void write_header(FILE *out)
{
	fputs("time_s,bytes,dram_limit,resident,tier_read_bytes,tier_write_bytes,p50_ns,p99_ns",
	      out);
	for (unsigned int i = 0; i < emp_nr_counters; i++)
		fprintf(out, ",%s", emp_counters[i].name);
	fputc('\n', out);
}

static void write_row(FILE *out, double start, const struct emp_snapshot *before,
		      const struct emp_snapshot *now)
{
	struct emp_rates rates;

	emp_rates(before, now, &rates);
	fprintf(out, "%.3f,%llu,%llu,%llu,%llu,%llu,%.0f,%.0f", now->time - start,
		(unsigned long long)now->bytes, (unsigned long long)now->dram_limit,
		(unsigned long long)now->resident,
		(unsigned long long)now->read_bytes, (unsigned long long)now->write_bytes,
		rates.p50, rates.p99);
	for (unsigned int i = 0; i < emp_nr_counters; i++)
		fprintf(out, ",%llu", (unsigned long long)now->counter[i]);
	fputc('\n', out);
}

int empctl_record(const struct ax_args *args)
{
	const char *name = args->argv[0], *path = ax_value(args, "out");
	struct emp_snapshot before, now;
	uint64_t ms, count;
	double start;
	FILE *out;

	if (!path)
		return ax_usage("record needs --out FILE");
	if (!ax_number(args, "interval", 20, 3600000, 500, &ms) ||
	    !ax_number(args, "count", 1, UINT64_MAX, UINT64_MAX, &count))
		return AX_USAGE;
	if (empctl_need_region(name))
		return AX_FAIL;
	if (emp_snapshot(name, &before)) {
		if (errno == EACCES)
			return ax_error("the statistics of region %s are readable by root only",
					name);
		return ax_error("cannot read region %s: %s", name, strerror(errno));
	}
	out = fopen(path, "we");
	if (!out)
		return ax_error("%s: %s", path, strerror(errno));
	empctl_catch_signals();
	write_header(out);
	start = before.time;
	write_row(out, start, &before, &before);
	fflush(out);
	while (--count && empctl_sleep(ms / 1000.0)) {
		if (emp_snapshot(name, &now))
			break;	/* the region is gone */
		write_row(out, start, &before, &now);
		fflush(out);	/* so that a killed recorder leaves whole rows */
		before = now;
	}
	if (ferror(out) | fclose(out))
		return ax_error("cannot write %s: %s", path, strerror(errno));
	return AX_OK;
}
