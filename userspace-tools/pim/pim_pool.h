/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that run DPUs, many at once, a slice of instructions at a time.
 *
 * A DPU is in one of three states: idle (nothing to run, or nobody asked yet),
 * waiting for a thread, or being run. Whoever wants to look into one holds it:
 * then no thread runs it until it is released, which also puts it in line when
 * it has something to run.
 */
#ifndef PIM_POOL_H
#define PIM_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "pim_dpu.h"

struct pim_pool;

/* One DPU of a pool; owned by whoever has the DPU, touched by the pool only. */
struct pim_runner {
	struct pim_pool *pool;
	struct pim_dpu *dpu;
	struct pim_runner *next;
	uint32_t holders;	/* how many hold it, or wait to */
	bool busy;		/* a thread runs it, or somebody holds it */
	bool queued;
	uint64_t run_ns;	/* time that threads spent on it */
};

/* @threads 0: one a processor. NULL with errno. */
struct pim_pool *pim_pool_create(unsigned int threads);
/* No runner may be left in it. */
void pim_pool_destroy(struct pim_pool *pool);
unsigned int pim_pool_threads(const struct pim_pool *pool);

void pim_runner_init(struct pim_runner *runner, struct pim_pool *pool, struct pim_dpu *dpu);
/* Take it out; waits for a thread that runs it. */
void pim_runner_fini(struct pim_runner *runner);
void pim_runner_hold(struct pim_runner *runner);
void pim_runner_release(struct pim_runner *runner);

/*
 * Wait until none of @count runners has anything to run, or @ns passed (0: for
 * ever); false: time is up.
 */
bool pim_runners_wait(struct pim_runner *runners, unsigned int count, uint64_t ns);

#endif
