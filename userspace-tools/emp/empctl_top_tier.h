/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tiers of one region at one moment, for empctl top.
 */
#ifndef EMPCTL_TOP_TIER_H
#define EMPCTL_TOP_TIER_H

#include <jansson.h>

#include "emp_stats.h"

struct top_tier {
	char id[16];
	char device[64];
	char state[16];
	char link[16];		/* of a donor; else "-" */
	uint64_t bytes, used, read_bytes, write_bytes;
	struct emp_hist read;	/* latency */
};

struct top_tiers {
	unsigned int nr;
	struct top_tier *tier;
};

/* What can be read of them; without memory there are none. To be given to top_tiers_free(). */
void top_tiers_take(const char *region, struct top_tiers *tiers);
void top_tiers_free(struct top_tiers *tiers);

/* What happened in @seconds since @before, NULL: not known. */
void top_tiers_print(const struct top_tiers *before, const struct top_tiers *after, double seconds,
		     const char *indent);
json_t *top_tiers_json(const struct top_tiers *before, const struct top_tiers *after,
		       double seconds);

#endif
