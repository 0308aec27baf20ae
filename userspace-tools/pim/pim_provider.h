/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What programs that provide ranks have in common: a thread a rank, "ready",
 * signals, and the ranks taken away in the end.
 */
#ifndef PIM_PROVIDER_H
#define PIM_PROVIDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "../lib/ax_opt.h"
#include "pim_serve.h"

struct pim_provider {
	uint32_t id;
	struct pim_serve *serve;	/* NULL: not added */
	/* Answer a request by pim_serve_complete(). What it holds came from clients. */
	void (*answer)(struct pim_provider *p, const struct pim_request *req);
	pthread_t thread;
};

/*
 * Block the signals that pim_provide() waits for: before any thread is made.
 */
void pim_provide_begin(void);

/* Add the rank @add: AX_OK, or another status after a message. */
int pim_provide_rank(struct pim_provider *p, int control, struct pim_rank_add *add);

/*
 * Say "ready", and serve until SIGTERM, SIGINT, or no rank is left: the exit status.
 * @status other than AX_OK: only take the ranks away. @keep: leave them for another
 * provider. @uring: one thread for all of them, which waits by io_uring, if the kernel
 * can, instead of a thread for each: fewer calls, but they wait for each other.
 * Threads go with the process, which is to end now: they may still be in the kernel.
 */
int pim_provide(struct pim_provider *const providers[], size_t n, int control, bool keep,
		bool uring, int status);

/*
 * Serve them by one io_uring until all are lost, each of which is told with its errno:
 * 0. -EOPNOTSUPP: the kernel has no such commands; another negative errno: no ring.
 */
int pim_provider_uring(struct pim_provider *const providers[], size_t n,
		       void (*lost)(struct pim_provider *p, int error));

#endif
