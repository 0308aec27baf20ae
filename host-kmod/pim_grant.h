/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who waits for a rank, and who gets one.
 */
#ifndef PIM_GRANT_H
#define PIM_GRANT_H

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/types.h>

struct pim_lease;
struct pim_lease_want;

/* One who waits, on its stack; all of it under pim_lock. */
struct pim_waiter {
	struct list_head list;
	const struct pim_lease_want *want;
	struct pim_lease *lease;
	u64 seq;
	u32 cleaning;		/* the rank that was kept for others and is cleaned for it */
	bool settles;		/* for any rank, rather than wait for the one with its data */
	bool returns;		/* its lease is parked; nobody waits for done */
	bool over;		/* err says how it ended; out of the list */
	int err;
	struct completion done;
};

/* Queue @w and see whether it is served at once. 0: it is over, w->err says how; else -EAGAIN. */
int pim_waiter_start_locked(struct pim_waiter *w);
/* Until it is over: 0, or the error of pim_lease_acquire(). */
int pim_waiter_wait(struct pim_waiter *w);
/* Put into the line, and out of it. */
void pim_waiter_queue_locked(struct pim_waiter *w);
void pim_waiter_end_locked(struct pim_waiter *w, int err);
/* Give what can be given, and see that there will be more. */
void pim_lease_grant_locked(void);
/* Nobody waits any more. */
void pim_grant_exit(void);

#endif
