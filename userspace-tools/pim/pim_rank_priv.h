/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between pim_rank.c and pim_rank_state.c.
 */
#ifndef PIM_RANK_PRIV_H
#define PIM_RANK_PRIV_H

#include <pthread.h>

#include "pim_rank.h"

struct pim_rank {
	pthread_mutex_t lock;	/* of all that follows; taken before runners are held */
	struct pim_pool *pool;
	bool own_pool;
	bool strict_mux;
	void *own_mram;
	size_t mram_bytes;	/* of all DPUs */
	struct pim_ci cis[PIM_RANK_NR_CIS];
	struct pim_dpu *dpus[PIM_RANK_NR_DPUS];
	struct pim_runner runners[PIM_RANK_NR_DPUS];
	uint64_t bytes_written, bytes_read, mux_violations;
};

/* With the lock held. */
void pim_rank_hold_all(struct pim_rank *rank);
void pim_rank_release_all(struct pim_rank *rank);
void pim_rank_scrub_held(struct pim_rank *rank);
void pim_rank_reset_held(struct pim_rank *rank);

/* The checksum of a saved state's pieces, from 0. */
uint64_t pim_rank_sum(uint64_t sum, const void *bytes, size_t size);

#endif
