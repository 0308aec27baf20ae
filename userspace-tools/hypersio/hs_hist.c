// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "hs_hist.h"

uint64_t hs_hist_percentile(const struct hs_hist *h, double share)
{
	uint64_t total = 0, want, seen = 0;

	for (unsigned int i = 0; i < HS_HIST_BUCKETS; i++)
		total += h->n[i];
	if (!total)
		return 0;
	want = ceil(total * share);
	for (unsigned int i = 0; i < HS_HIST_BUCKETS; i++) {
		seen += h->n[i];
		if (seen >= want)
			return hs_hist_top(i);
	}
	return hs_hist_top(HS_HIST_BUCKETS - 1);
}
