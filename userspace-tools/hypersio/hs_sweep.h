/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sweep: "KEY=VALUES KEY=VALUES ...", every combination a run. VALUES are
 * separated by commas: words, numbers, and ranges A..B (by one), A..B+S (steps),
 * A..B*F (powers). The first key changes slowest.
 */
#ifndef HS_SWEEP_H
#define HS_SWEEP_H

#include <stddef.h>

#include "../lib/ax_err.h"
#include "hs_config.h"

#define HS_SWEEP_AXES	32
#define HS_SWEEP_RUNS	100000

struct hs_axis {
	char key[64];		/* of hs_config_keys, "config" or "trace" */
	char **value;
	size_t nr, room;
};

struct hs_sweep {
	struct hs_axis axis[HS_SWEEP_AXES];
	size_t nr_axes;
	size_t runs;		/* product of the axes' values; 1 without axes */
};

/* -1 with a message. To be freed in either case. */
int hs_sweep_parse(struct hs_sweep *s, const char *text, struct ax_msg *msg);
void hs_sweep_free(struct hs_sweep *s);
/* The value of an axis in a run. */
const char *hs_sweep_value(const struct hs_sweep *s, size_t run, size_t axis);
/* The value of a key in a run, or @fallback if it is not swept. */
const char *hs_sweep_lookup(const struct hs_sweep *s, size_t run, const char *key,
			    const char *fallback);

#endif
