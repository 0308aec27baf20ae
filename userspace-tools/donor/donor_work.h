/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread that does jobs on slabs, one after the other, and says when they are
 * done: one for memory (donor_mem.h), one for the backing (donor_backing.h).
 */
#ifndef DONOR_WORK_H
#define DONOR_WORK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "../lib/ax_err.h"
#include "donor_slab.h"

struct donor_work {
	struct donor_work *next;
	int job;		/* what it is, as the owner of the worker counts */
	struct donor_slab *slab;
	void *memory;		/* the slab's, when the job was given */
	uint32_t place;
	bool ok;
	int error;		/* why not, if it says */
};

#define DONOR_WORK_URGENT 0	/* queues: all of the first go before one of the second */
#define DONOR_WORK_LATER 1

struct donor_work_queue {
	struct donor_work *first, **end;
};

struct donor_worker {
	void (*run)(void *ctx, struct donor_work *work);	/* sets ok */
	void *ctx;
	pthread_t thread;
	pthread_mutex_t lock;	/* protects what follows but event */
	pthread_cond_t wake;
	struct donor_work_queue todo[2], done;
	uint32_t busy;		/* jobs not yet collected */
	bool stop;		/* once the job that it has is done */
	bool last;		/* once all are done */
	int event;		/* eventfd: something is done */
};

int donor_worker_init(struct donor_worker *w, void (*run)(void *ctx, struct donor_work *work),
		      void *ctx, struct ax_msg *msg);
/* Queue a job, which is copied; exits the program when there is no memory for the queue. */
void donor_worker_submit(struct donor_worker *w, const struct donor_work *work,
			 unsigned int queue);
/* What was done, oldest first; NULL: nothing. To be freed by the caller. */
struct donor_work *donor_worker_collect(struct donor_worker *w);
uint32_t donor_worker_busy(struct donor_worker *w);
/*
 * Stop the thread, after what was queued (@all), or with that dropped. With
 * @seconds it is not waited for longer: false, and the thread goes on.
 */
bool donor_worker_exit(struct donor_worker *w, bool all, unsigned int seconds);

#endif
