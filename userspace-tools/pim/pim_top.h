/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What pimctl top shows: two moments, and the table of what was between them.
 * Pure; tests/unit builds it without the rest.
 */
#ifndef PIM_TOP_H
#define PIM_TOP_H

#include <stdio.h>

#include <jansson.h>

#include "pimctl.h"

struct pim_top_rank {
	struct pim_rank_state st;
	uint64_t leases;	/* that it ever had: each is another owner, or one that came back */
};

/* All that there was at one moment; arrays in the order of numbers and names. */
struct pim_top {
	double time;		/* seconds */
	uint32_t nr_ranks, nr_owners, nr_vms;
	struct pim_top_rank *ranks;
	struct pim_owner_state *owners;
	struct pimctl_vm *vms;
};

void pim_top_free(struct pim_top *top);

/* The table, as lines of text or as one JSON value (NULL: no memory). */
void pim_top_print(FILE *out, const struct pim_top *before, const struct pim_top *after);
json_t *pim_top_json(const struct pim_top *before, const struct pim_top *after);

#endif
