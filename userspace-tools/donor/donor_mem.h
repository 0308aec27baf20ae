/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory behind the slabs, and the thread that takes, zeroes and frees it,
 * so that the protocol never waits for that.
 */
#ifndef DONOR_MEM_H
#define DONOR_MEM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/ax_err.h"
#include "donor_slab.h"
#include "donor_work.h"

/* How memory is taken. */
struct donor_mem_how {
	size_t bytes;		/* of a slab */
	bool huge;		/* try hugetlbfs pages, then transparent huge pages */
	bool lock;		/* mlock() */
};

enum donor_mem_job {
	DONOR_MEM_PREPARE,
	DONOR_MEM_ZERO,
	DONOR_MEM_RELEASE,
};

struct donor_mem {
	struct donor_mem_how how;
	struct donor_worker worker;	/* its jobs: enum donor_mem_job */
	pthread_mutex_t lock;	/* protects msg */
	struct ax_msg msg;	/* why the last PREPARE failed */
	uint32_t slow_us;	/* pause after each MiB zeroed; for tests */
};

int donor_mem_init(struct donor_mem *mem, const struct donor_mem_how *how, struct ax_msg *msg);
void donor_mem_submit(struct donor_mem *mem, struct donor_slab *slab, enum donor_mem_job job);
/* Why taking memory failed. */
void donor_mem_why(struct donor_mem *mem, struct ax_msg *msg);
/* Stop the thread; jobs that were not begun are dropped. */
void donor_mem_exit(struct donor_mem *mem);

/*
 * Bytes that the kernel says can be taken without swapping, with @huge those in
 * the pool of 2 MiB pages too; 0: unknown.
 */
uint64_t donor_mem_available(bool huge);

#endif
