/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Histograms of latencies: buckets of one eighth of a power of two, so that a
 * percentile is too high by 12.5 % at most. Values in nanoseconds; those below
 * 16 are exact.
 */
#ifndef HS_HIST_H
#define HS_HIST_H

#include <stdint.h>

#define HS_HIST_BUCKETS 288	/* up to 2^38 ns, 275 s */

struct hs_hist {
	uint32_t n[HS_HIST_BUCKETS];
};

static inline unsigned int hs_hist_bucket(uint64_t ns)
{
	unsigned int log, b;

	if (ns < 16)
		return ns;
	log = 63 - __builtin_clzll(ns);
	b = (log - 2) * 8 + (ns >> (log - 3) & 7);
	return b < HS_HIST_BUCKETS ? b : HS_HIST_BUCKETS - 1;
}

/* Highest value of a bucket. */
static inline uint64_t hs_hist_top(unsigned int b)
{
	unsigned int log = b / 8 + 2;

	if (b < 16)
		return b;
	return ((uint64_t)(8 + b % 8 + 1) << (log - 3)) - 1;
}

static inline void hs_hist_add(struct hs_hist *h, uint64_t ns)
{
	h->n[hs_hist_bucket(ns)]++;
}

/* @share of the values are at most the result; 0 when there are none. */
uint64_t hs_hist_percentile(const struct hs_hist *h, double share);

#endif
