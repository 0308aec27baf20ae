/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A region's numbers at one moment, and what follows from two of them.
 */
#ifndef EMP_STATS_H
#define EMP_STATS_H

#include <stdbool.h>
#include <stdint.h>

/* One counter of /sys/fs/emp/NAME/stats/. */
struct emp_counter {
	const char *name;
	const char *help;
};

/* Index of the counters that the tools compute with; the table has them all. */
enum emp_counter_id {
	EMP_C_FAULT_MINOR,
	EMP_C_FAULT_ZERO,
	EMP_C_FAULT_FETCH,
	EMP_C_FAULT_WAIT,
	EMP_C_EVICT_CLEAN,
	EMP_C_EVICT_ZERO,
	EMP_C_EVICT_WRITTEN,
	EMP_C_FETCH_BYTES,
	EMP_C_WB_BYTES,
};

#define EMP_COUNTERS_MAX 64
extern const struct emp_counter emp_counters[];
extern const unsigned int emp_nr_counters;

/* Latency histograms: bucket i counts what took at most 2^i ns. */
enum emp_hist_id {
	EMP_H_FAULT_READ,
	EMP_H_FAULT_WRITE,
	EMP_H_FAULT_FETCH,
	EMP_HISTS,
};

extern const char *const emp_hist_names[EMP_HISTS];
extern const char *const emp_hist_help[EMP_HISTS];

struct emp_hist {
	uint64_t bucket[64];
};

struct emp_snapshot {
	double time;		/* CLOCK_MONOTONIC, seconds */
	uint64_t bytes, dram_limit, resident;
	uint64_t read_bytes, write_bytes;	/* over all tiers */
	uint64_t counter[EMP_COUNTERS_MAX];
	bool have[EMP_COUNTERS_MAX];		/* this kernel has the counter */
	struct emp_hist hist[EMP_HISTS];
};

/*
 * Read all of it. 0, or -1 with errno: ENOENT no such region, EACCES the
 * statistics are for root.
 */
int emp_snapshot(const char *region, struct emp_snapshot *snap);

/* What changed between two snapshots, a second. */
struct emp_rates {
	double seconds;
	double minor, zero, fetch, wait;	/* faults */
	double evicted;			/* subblocks that left DRAM */
	double read, written;		/* bytes from and to the tiers */
	double p50, p99;		/* ns of the faults in between; -1: there were none */
};

void emp_rates(const struct emp_snapshot *before, const struct emp_snapshot *after,
	       struct emp_rates *rates);

/* Read the lines "UPPER_NS COUNT"; -1 on anything else. */
int emp_hist_parse(const char *text, struct emp_hist *hist);
void emp_hist_add(struct emp_hist *to, const struct emp_hist *from);
/* @after minus @before, 0 where it went backwards */
void emp_hist_sub(struct emp_hist *out, const struct emp_hist *after,
		  const struct emp_hist *before);
uint64_t emp_hist_total(const struct emp_hist *hist);
/* The q-quantile in ns, evenly spread within a bucket; -1 when empty. */
double emp_hist_quantile(const struct emp_hist *hist, double q);

#endif
