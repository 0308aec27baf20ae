/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A rank of real hardware, reached by the calls of the stock driver in safe
 * mode, as a provider of pim.ko needs it: commands through a gate, a reset that
 * leaves nothing of an owner, transfers between MRAM and its image in memory.
 *
 * For one thread at a time.
 */
#ifndef PIM_HW_RANK_H
#define PIM_HW_RANK_H

#include "pim_backend.h"
#include "pim_gate.h"

struct pim_hw_config {
	uint64_t mram_size;	/* of a DPU, bytes */
	uint8_t division;	/* code of the clock division, see pim_gate.h */
	uint64_t disabled;	/* DPUs that are out of order, by index */
	uint8_t *mram;		/* the image: DPU i at i * mram_size */
};

struct pim_hw {
	struct pim_backend *dev;
	struct pim_hw_config config;
	struct pim_gate gates[PIM_RANK_NR_CIS];
	bool unknown;		/* nothing is known of MRAM: programs ran, or it is a new rank */
	uint32_t from, to;	/* else: what was written to since the last reset */
	uint64_t refused;	/* the last command that was */
	uint64_t cleared;	/* bytes of MRAM, by resets */
};

void pim_hw_init(struct pim_hw *hw, struct pim_backend *dev, const struct pim_hw_config *config);

/* Each returns 0 or a negative errno. */

/* EPERM: a command is none that a client may give; then none of them was sent. */
int pim_hw_commit(struct pim_hw *hw, const uint64_t commands[PIM_RANK_NR_CIS],
		  uint64_t results[PIM_RANK_NR_CIS]);
int pim_hw_update(struct pim_hw *hw, uint64_t results[PIM_RANK_NR_CIS]);
/* Between MRAM of the DPUs in @mask and the image. */
int pim_hw_load(struct pim_hw *hw, uint64_t mask, uint64_t offset, uint64_t bytes);
int pim_hw_store(struct pim_hw *hw, uint64_t mask, uint64_t offset, uint64_t bytes);

/* As after power-on, all memories zero. -1 with a message. */
int pim_hw_reset(struct pim_hw *hw, struct ax_msg *msg);

#endif
