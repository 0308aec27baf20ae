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
 * provider. Threads go with the process, which is to end now: they may still be in
 * the kernel.
 */
int pim_provide(struct pim_provider *const providers[], size_t n, int control, bool keep,
		int status);

#endif
