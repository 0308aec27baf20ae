/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A rank in software: 8 control interfaces with 8 DPUs each, as the stock
 * driver shows one in safe mode. DPU d of interface c has index d * 8 + c.
 *
 * All functions may be called from several threads. DPUs with threads to run
 * are run by the rank's pool meanwhile.
 */
#ifndef PIM_RANK_H
#define PIM_RANK_H

#include <stdbool.h>
#include <stdint.h>

#include "pim_ci.h"
#include "pim_pool.h"

#define PIM_RANK_NR_CIS		8
#define PIM_RANK_NR_DPUS	(PIM_RANK_NR_CIS * PIM_CI_NR_DPUS)

/* Interface @ci's part of a mask of DPUs by index, one bit a DPU. */
static inline uint8_t pim_ci_part(uint64_t dpus, unsigned int ci)
{
	uint8_t mask = 0;

	for (unsigned int d = 0; d < PIM_CI_NR_DPUS; d++)
		mask |= (uint8_t)((dpus >> (d * PIM_RANK_NR_CIS + ci) & 1) << d);
	return mask;
}

struct pim_rank;

struct pim_rank_config {
	struct pim_dpu_config dpu;
	uint32_t chip_id;
	struct pim_pool *pool;	/* shared with others; NULL: one of its own */
	unsigned int threads;	/* of its own one; 0: one a processor */
	void *mram;		/* of all DPUs by index, zeroed; NULL: its own */
	bool strict_mux;	/* transfers fail while the MRAM is a DPU's */
};

/* A transfer, in the form of the stock driver's first 520 bytes. */
struct pim_matrix {
	void *ptr[PIM_RANK_NR_DPUS];	/* by index; NULL: that DPU has no part in it */
	uint32_t offset;	/* in MRAM, bytes, a multiple of 8 */
	uint32_t size;		/* bytes, a multiple of 8 */
};

/* NULL with errno: EINVAL for sizes, ENOMEM, EAGAIN for threads. */
struct pim_rank *pim_rank_create(const struct pim_rank_config *config);
void pim_rank_destroy(struct pim_rank *rank);

/* One word a control interface; 0 leaves it alone. */
void pim_rank_commit(struct pim_rank *rank, const uint64_t commands[PIM_RANK_NR_CIS]);
void pim_rank_update(struct pim_rank *rank, uint64_t results[PIM_RANK_NR_CIS]);

/*
 * Host to MRAM, and back. 0, or a negative errno: EINVAL when offset or size are no
 * multiples of 8 or reach beyond MRAM, EBUSY when a DPU has its MRAM for itself
 * (strict_mux). Then nothing was copied.
 */
int pim_rank_write(struct pim_rank *rank, const struct pim_matrix *matrix);
int pim_rank_read(struct pim_rank *rank, const struct pim_matrix *matrix);

/* Wait until no DPU runs (or is in fault), @ns at most (0: for ever); false: time is up. */
bool pim_rank_wait(struct pim_rank *rank, uint64_t ns);
bool pim_rank_idle(struct pim_rank *rank);

/* Everything to what it was after creation: nothing of an owner is left for the next. */
void pim_rank_scrub(struct pim_rank *rank);
/* The same, but MRAM stays as it is. */
void pim_rank_reset(struct pim_rank *rank);

/*
 * The whole state: memories, registers, run and atomic bits, faults, control
 * interfaces. A running DPU stops between two instructions for it. @write takes
 * bytes and returns 0, or a negative errno which is then returned. Untouched MRAM takes
 * no room.
 */
int pim_rank_save(struct pim_rank *rank, int (*write)(void *data, const void *bytes, size_t size),
		  void *data);
/*
 * Back from what was saved; DPUs that ran go on. @read fills @bytes and returns
 * 0, or a negative errno. EINVAL: it is no state of a rank like this one; the rank is
 * scrubbed then, as after an error of @read.
 */
int pim_rank_restore(struct pim_rank *rank, int (*read)(void *data, void *bytes, size_t size),
		     void *data);

/*
 * The same without MRAM, which somebody else keeps, and only while no DPU runs. 0
 * and *size bytes; -EBUSY a DPU runs; -ENOSPC more than @room, which does not
 * happen with pim_rank_state_size().
 */
int pim_rank_save_state(struct pim_rank *rank, void *bytes, size_t room, size_t *size);
/* -EINVAL: they are not all bytes of a state of a rank like this one; it is reset then. */
int pim_rank_restore_state(struct pim_rank *rank, const void *bytes, size_t size);
size_t pim_rank_state_size(const struct pim_dpu_config *config);

/* Make a DPU stop with a fault; or an interface answer wrongly @count times. */
void pim_rank_inject_dpu(struct pim_rank *rank, unsigned int index, uint32_t value);
void pim_rank_inject_ci(struct pim_rank *rank, unsigned int ci, enum pim_ci_inject what,
			uint32_t count);

struct pim_rank_stats {
	uint64_t commands;		/* of all interfaces */
	uint64_t instructions;
	uint64_t bytes_written, bytes_read;	/* by transfers */
	uint64_t mux_violations;	/* transfers while a DPU had its MRAM */
	uint64_t mram_used;		/* bytes in chunks that were touched */
	uint64_t run_ns;		/* that threads spent on its DPUs */
};

void pim_rank_stats(struct pim_rank *rank, struct pim_rank_stats *stats);

/* What a DPU looks like now, without memories (they are NULL in *dpu). */
void pim_rank_peek(struct pim_rank *rank, unsigned int index, struct pim_dpu *dpu);

#endif
