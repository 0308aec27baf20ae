// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "emp_stats.h"
#include "emp_sysfs.h"

const struct emp_counter emp_counters[] = {
	[EMP_C_FAULT_MINOR] = { "fault_minor", "Faults on subblocks that were in DRAM" },
	[EMP_C_FAULT_ZERO] = { "fault_zero",
	  "Faults on subblocks that nobody had written, no I/O" },
	[EMP_C_FAULT_FETCH] = { "fault_fetch", "Faults that began a read from a tier" },
	[EMP_C_FAULT_WAIT] = { "fault_wait", "Faults that slept for a read or a write" },
	[EMP_C_EVICT_CLEAN] = { "evict_clean",
	  "Subblocks freed without writing, a valid copy being below" },
	[EMP_C_EVICT_ZERO] = { "evict_zero", "Subblocks freed that were all zero" },
	[EMP_C_EVICT_WRITTEN] = { "evict_written",
	  "Subblocks freed after they were written to a tier" },
	[EMP_C_FETCH_BYTES] = { "fetch_bytes", "Bytes read from tiers by fetches" },
	[EMP_C_WB_BYTES] = { "wb_bytes", "Bytes written to tiers by write-back" },
	{ "fault_nowait", "Faults answered with a retry because the caller must not wait" },
	{ "fault_async", "Faults taken for KVM's asynchronous page faults" },
	{ "fault_mkwrite", "Writes that made a clean subblock dirty" },
	{ "fault_lost", "Faults on data that is lost" },
	{ "fault_no_space", "Faults that got no DRAM" },
	{ "fault_timeout", "Faults not answered before the deadline" },
	{ "fault_interrupted", "Waits ended by a signal" },
	{ "fault_huge", "Faults answered with a 2 MiB mapping" },
	{ "fault_around", "Pages mapped beside the one that faulted" },
	{ "fault_memory", "Faults that waited for DRAM to become free" },
	{ "fetch_subblocks", "Subblocks fetched from tiers" },
	{ "prefetch_subblocks", "Of the fetched subblocks those that nobody waited for" },
	{ "prefetch_used", "Prefetched subblocks that were touched later" },
	{ "prefetch_dropped", "Subblocks of read-ahead whose read failed" },
	{ "read_retry", "Reads from a tier tried again" },
	{ "read_error", "Reads from a tier that failed for good" },
	{ "csum_error", "Subblocks whose checksum did not match" },
	{ "read_other_copy", "Subblocks read from the other of two copies" },
	{ "copy_bytes", "Bytes of second copies written in the background" },
	{ "copy_error", "Second copies that could not be written" },
	{ "evict_unmapped", "Blocks unmapped to see whether they are used" },
	{ "evict_rescued", "Unmapped blocks that were used again before they were evicted" },
	{ "pin_refused", "Faults of long-term pins refused because pin_limit is reached" },
	{ "evict_busy", "Blocks not evicted because somebody else holds them" },
	{ "evict_direct", "Blocks evicted by a faulting thread that found no DRAM" },
	{ "evict_helped", "Rounds of eviction done by faulting threads" },
	{ "wb_requests", "Write requests sent to tiers" },
	{ "wb_error", "Subblocks whose write failed" },
	{ "wb_redirtied", "Subblocks written to while they were written back" },
	{ "wb_no_space", "Subblocks that found no room on any tier" },
	{ "dirtied_bytes", "Bytes that became dirty" },
	{ "discard_subblocks", "Subblocks discarded by fallocate" },
	{ "huge_split", "Blocks that went from one large page to subblocks" },
	{ "huge_fallback", "Faults that wanted 2 MiB and took subblocks" },
	{ "hwpoison", "Subblocks hit by a hardware memory error" },
	{ "demoted", "Blocks moved to a slower tier" },
	{ "promoted", "Blocks written for a place on a faster tier" },
	{ "migrate_error", "Blocks that could not be moved" },
	{ "moved_off", "Blocks moved off memory that a donor asked for" },
	{ "shrinker_freed", "Pages freed because the host was short of memory" },
};

const unsigned int emp_nr_counters = sizeof(emp_counters) / sizeof(emp_counters[0]);

_Static_assert(sizeof(emp_counters) / sizeof(emp_counters[0]) <= EMP_COUNTERS_MAX,
	       "raise EMP_COUNTERS_MAX");

const char *const emp_hist_names[EMP_HISTS] = {
	[EMP_H_FAULT_READ]	= "fault_read_ns",
	[EMP_H_FAULT_WRITE]	= "fault_write_ns",
	[EMP_H_FAULT_FETCH]	= "fault_fetch_ns",
};

const char *const emp_hist_help[EMP_HISTS] = {
	[EMP_H_FAULT_READ]	= "Time of read faults in seconds",
	[EMP_H_FAULT_WRITE]	= "Time of write faults in seconds",
	[EMP_H_FAULT_FETCH]	= "Time of faults that fetched in seconds",
};

int emp_hist_parse(const char *text, struct emp_hist *hist)
{
	memset(hist, 0, sizeof(*hist));
	while (*text) {
		unsigned long long upper, count;
		int used = 0, i;

		if (sscanf(text, "%llu %llu%n", &upper, &count, &used) != 2 || !upper)
			return -1;
		i = 63 - __builtin_clzll(upper);
		if (upper & (upper - 1))	/* 2^n - 1 says the same */
			i = i < 63 ? i + 1 : 63;
		hist->bucket[i] += count;
		text += used;
		while (*text == '\n' || *text == ' ')
			text++;
	}
	return 0;
}

void emp_hist_add(struct emp_hist *to, const struct emp_hist *from)
{
	for (int i = 0; i < 64; i++)
		to->bucket[i] += from->bucket[i];
}

void emp_hist_sub(struct emp_hist *out, const struct emp_hist *after,
		  const struct emp_hist *before)
{
	for (int i = 0; i < 64; i++)
		out->bucket[i] = after->bucket[i] > before->bucket[i] ?
				 after->bucket[i] - before->bucket[i] : 0;
}

uint64_t emp_hist_total(const struct emp_hist *hist)
{
	uint64_t total = 0;

	for (int i = 0; i < 64; i++)
		total += hist->bucket[i];
	return total;
}

double emp_hist_quantile(const struct emp_hist *hist, double q)
{
	double want = q * emp_hist_total(hist), seen = 0;

	if (want <= 0)
		return -1;
	for (int i = 0; i < 64; i++) {
		double n = hist->bucket[i];

		if (n && seen + n >= want) {
			double low = i ? (double)(1ull << (i - 1)) : 0;
			double high = 2 * (i ? low : 0.5);

			return low + (high - low) * (want - seen) / n;
		}
		seen += n;
	}
	return -1;
}

/* Sum of one number over all tiers. */
static uint64_t tier_sum(const char *region, char **tiers, const char *node)
{
	uint64_t sum = 0, v;

	for (char **t = tiers; t && *t; t++) {
		char path[128];

		snprintf(path, sizeof(path), "tiers/%.32s/%s", *t, node);
		if (!emp_sysfs_read_u64(region, path, &v))
			sum += v;
	}
	return sum;
}

int emp_snapshot(const char *region, struct emp_snapshot *snap)
{
	char path[128], text[EMP_SYSFS_VALUE];
	struct timespec now;
	char **tiers;
	bool any = false;
	int err = 0;

	memset(snap, 0, sizeof(*snap));
	if (emp_sysfs_read_u64(region, "bytes", &snap->bytes))
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	snap->time = now.tv_sec + now.tv_nsec / 1e9;
	emp_sysfs_read_u64(region, "dram_limit", &snap->dram_limit);
	emp_sysfs_read_u64(region, "resident", &snap->resident);
	for (unsigned int i = 0; i < emp_nr_counters; i++) {
		snprintf(path, sizeof(path), "stats/%s", emp_counters[i].name);
		snap->have[i] = !emp_sysfs_read_u64(region, path, &snap->counter[i]);
		any |= snap->have[i];
		if (!snap->have[i] && errno == EACCES)
			err = EACCES;
	}
	if (!any && err) {
		errno = err;
		return -1;
	}
	for (int i = 0; i < EMP_HISTS; i++) {
		snprintf(path, sizeof(path), "stats/%s", emp_hist_names[i]);
		if (!emp_sysfs_read(region, path, text))
			emp_hist_parse(text, &snap->hist[i]);
	}
	snprintf(path, sizeof(path), "%.64s/tiers", region);
	tiers = emp_sysfs_list(path);
	snap->read_bytes = tier_sum(region, tiers, "read_bytes");
	snap->write_bytes = tier_sum(region, tiers, "write_bytes");
	emp_sysfs_free(tiers);
	return 0;
}

static double rate(uint64_t before, uint64_t after, double seconds)
{
	return after > before ? (after - before) / seconds : 0;
}

void emp_rates(const struct emp_snapshot *a, const struct emp_snapshot *b, struct emp_rates *r)
{
	struct emp_hist faults, write;
	double s = b->time - a->time;

	memset(r, 0, sizeof(*r));
	r->seconds = s;
	r->p50 = -1;
	r->p99 = -1;
	if (s <= 0)
		return;
#define RATE(id) rate(a->counter[id], b->counter[id], s)
	r->minor = RATE(EMP_C_FAULT_MINOR);
	r->zero = RATE(EMP_C_FAULT_ZERO);
	r->fetch = RATE(EMP_C_FAULT_FETCH);
	r->wait = RATE(EMP_C_FAULT_WAIT);
	r->evicted = RATE(EMP_C_EVICT_CLEAN) + RATE(EMP_C_EVICT_ZERO) + RATE(EMP_C_EVICT_WRITTEN);
#undef RATE
	r->read = rate(a->read_bytes, b->read_bytes, s);
	r->written = rate(a->write_bytes, b->write_bytes, s);
	emp_hist_sub(&faults, &b->hist[EMP_H_FAULT_READ], &a->hist[EMP_H_FAULT_READ]);
	emp_hist_sub(&write, &b->hist[EMP_H_FAULT_WRITE], &a->hist[EMP_H_FAULT_WRITE]);
	emp_hist_add(&faults, &write);
	r->p50 = emp_hist_quantile(&faults, 0.5);
	r->p99 = emp_hist_quantile(&faults, 0.99);
}
