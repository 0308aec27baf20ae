// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events: one ring for the module, a cursor for each open file. Posting never
 * waits; a reader that falls behind by more than the ring gets PIM_EVENT_OVERRUN
 * and goes on with the oldest that is left.
 */
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "../include/uapi/annex/pim.h"
#include "pim_event.h"

#define PIM_EVENT_RING 1024	/* power of two */

static DEFINE_SPINLOCK(pim_event_lock);	/* ring, last */
static DECLARE_WAIT_QUEUE_HEAD(pim_event_wait);
static struct pim_event pim_event_ring[PIM_EVENT_RING];
static u64 pim_event_seq;

/** pim_event_post - tell readers, from process context */
void pim_event_post(u32 type, u32 rank, u64 lease)
{
	struct pim_event *e;

	spin_lock(&pim_event_lock);
	e = &pim_event_ring[++pim_event_seq % PIM_EVENT_RING];
	e->seq = pim_event_seq;
	e->time_ns = ktime_get_boottime_ns();
	e->type = type;
	e->id = rank;
	e->lease = lease;
	spin_unlock(&pim_event_lock);
	wake_up_interruptible(&pim_event_wait);
}

u64 pim_event_last(void)
{
	u64 seq;

	spin_lock(&pim_event_lock);
	seq = pim_event_seq;
	spin_unlock(&pim_event_lock);
	return seq;
}

/* The event after @seen; false if there is none. */
static bool pim_event_next(u64 seen, struct pim_event *out)
{
	bool found = false;

	spin_lock(&pim_event_lock);
	if (seen < pim_event_seq) {
		found = true;
		if (pim_event_seq - seen > PIM_EVENT_RING) {
			out->seq = pim_event_seq - PIM_EVENT_RING;
			out->time_ns = ktime_get_boottime_ns();
			out->type = PIM_EVENT_OVERRUN;
			out->id = PIM_ID_ANY;
			out->lease = 0;
		} else {
			*out = pim_event_ring[(seen + 1) % PIM_EVENT_RING];
		}
	}
	spin_unlock(&pim_event_lock);
	return found;
}

/** pim_event_read - read(2); @seen is the file's cursor, the caller keeps others off it */
ssize_t pim_event_read(struct file *file, u64 *seen, char __user *buf, size_t len)
{
	struct pim_event e;
	size_t done = 0;
	int err;

	if (len < sizeof(e))
		return -EINVAL;
	while (len - done >= sizeof(e)) {
		if (!pim_event_next(*seen, &e)) {
			if (done)
				break;
			if (file->f_flags & O_NONBLOCK)
				return -EAGAIN;
			err = wait_event_interruptible(pim_event_wait, pim_event_last() > *seen);
			if (err)
				return err;
			continue;
		}
		if (copy_to_user(buf + done, &e, sizeof(e)))
			return done ? done : -EFAULT;
		*seen = e.seq;
		done += sizeof(e);
	}
	return done;
}

__poll_t pim_event_poll(struct file *file, u64 seen, poll_table *pt)
{
	poll_wait(file, &pim_event_wait, pt);
	return pim_event_last() > seen ? EPOLLIN | EPOLLRDNORM : 0;
}
