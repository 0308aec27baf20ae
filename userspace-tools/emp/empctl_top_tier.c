// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * empctl top: the lines of the tiers below their region's, with a donor's health
 * and how long reads took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/ax_size.h"
#include "emp_sysfs.h"
#include "empctl_top_tier.h"

struct rates {
	double read, written;	/* bytes a second */
	double p50, p99;	/* ns of reads in between; -1: there were none */
};

static void text(const char *region, const char *id, const char *node, char *out, size_t len)
{
	char path[128], value[EMP_SYSFS_VALUE];

	snprintf(path, sizeof(path), "tiers/%.32s/%s", id, node);
	if (emp_sysfs_read(region, path, value))
		value[0] = 0;
	snprintf(out, len, "%.*s", (int)len - 1, value);
}

static uint64_t number(const char *region, const char *id, const char *node)
{
	char path[128];
	uint64_t v;

	snprintf(path, sizeof(path), "tiers/%.32s/%s", id, node);
	return emp_sysfs_read_u64(region, path, &v) ? 0 : v;
}

static void take(const char *region, const char *id, struct top_tier *t)
{
	char hist[EMP_SYSFS_VALUE];

	snprintf(t->id, sizeof(t->id), "%.15s", id);
	text(region, id, "device", t->device, sizeof(t->device));
	text(region, id, "state", t->state, sizeof(t->state));
	text(region, id, "link", t->link, sizeof(t->link));
	t->bytes = number(region, id, "bytes");
	t->used = number(region, id, "used");
	t->read_bytes = number(region, id, "read_bytes");
	t->write_bytes = number(region, id, "write_bytes");
	text(region, id, "read_latency", hist, sizeof(hist));
	if (emp_hist_parse(hist, &t->read))
		memset(&t->read, 0, sizeof(t->read));
}

void top_tiers_take(const char *region, struct top_tiers *tiers)
{
	char dir[128];
	unsigned int n = 0;
	char **ids;

	snprintf(dir, sizeof(dir), "%.64s/tiers", region);
	ids = emp_sysfs_list(dir);
	while (ids && ids[n])
		n++;
	tiers->tier = calloc(n ? n : 1, sizeof(*tiers->tier));
	tiers->nr = tiers->tier ? n : 0;
	for (unsigned int i = 0; i < tiers->nr; i++)
		take(region, ids[i], &tiers->tier[i]);
	emp_sysfs_free(ids);
}

void top_tiers_free(struct top_tiers *tiers)
{
	free(tiers->tier);
	tiers->tier = NULL;
	tiers->nr = 0;
}

/* The same tier: the number of one that is gone may be another's. */
static const struct top_tier *find(const struct top_tiers *tiers, const struct top_tier *t)
{
	for (unsigned int i = 0; tiers && i < tiers->nr; i++) {
		if (!strcmp(tiers->tier[i].id, t->id) && !strcmp(tiers->tier[i].device, t->device))
			return &tiers->tier[i];
	}
	return NULL;
}

static double a_second(uint64_t before, uint64_t after, double seconds)
{
	return seconds > 0 && after > before ? (after - before) / seconds : 0;
}

static void rates(const struct top_tier *before, const struct top_tier *after, double seconds,
		  struct rates *r)
{
	struct emp_hist between;

	memset(r, 0, sizeof(*r));
	r->p50 = -1;
	r->p99 = -1;
	if (!before)
		return;
	r->read = a_second(before->read_bytes, after->read_bytes, seconds);
	r->written = a_second(before->write_bytes, after->write_bytes, seconds);
	emp_hist_sub(&between, &after->read, &before->read);
	r->p50 = emp_hist_quantile(&between, 0.5);
	r->p99 = emp_hist_quantile(&between, 0.99);
}

void top_tiers_print(const struct top_tiers *before, const struct top_tiers *after, double seconds,
		     const char *indent)
{
	for (unsigned int i = 0; i < after->nr; i++) {
		const struct top_tier *t = &after->tier[i];
		char used[AX_HUMAN], bytes[AX_HUMAN], p50[AX_HUMAN], p99[AX_HUMAN];
		char fill[2 * AX_HUMAN + 1], state[40];
		bool link = t->link[0] && strcmp(t->link, "-") && strcmp(t->link, t->state);
		struct rates r;

		rates(find(before, t), t, seconds, &r);
		snprintf(fill, sizeof(fill), "%s/%s", ax_human_size(t->used, used),
			 ax_human_size(t->bytes, bytes));
		snprintf(state, sizeof(state), "%s%s%s%s", t->state, link ? " (" : "",
			 link ? t->link : "", link ? ")" : "");
		printf("%s  %3s %-24s %-20s %19s  rd %7.1f MB/s  wr %7.1f MB/s  reads p50 %8s p99 %8s\n",
		       indent, t->id, t->device, state, fill, r.read / 1e6, r.written / 1e6,
		       ax_human_ns(r.p50, p50), ax_human_ns(r.p99, p99));
	}
}

json_t *top_tiers_json(const struct top_tiers *before, const struct top_tiers *after,
		       double seconds)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < after->nr; i++) {
		const struct top_tier *t = &after->tier[i];
		struct rates r;

		rates(find(before, t), t, seconds, &r);
		json_array_append_new(array,
				      json_pack("{s:i, s:s, s:s, s:s, s:I, s:I, s:f, s:f, s:f, s:f}",
						"id", atoi(t->id), "device", t->device,
						"state", t->state, "link", t->link,
						"bytes", (json_int_t)t->bytes,
						"used", (json_int_t)t->used,
						"read_bytes_per_s", r.read,
						"written_bytes_per_s", r.written,
						"read_p50_ns", r.p50, "read_p99_ns", r.p99));
	}
	return array;
}
