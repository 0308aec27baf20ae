// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events: one ring for the module, a cursor for each open file. Posting works
 * in any context and never waits; a reader that falls behind by more than the
 * ring gets EMP_EVENT_OVERRUN and goes on with the oldest that is left.
 */
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "../include/uapi/annex/emp.h"
#include "emp_event.h"

#define EMP_EVENT_RING 256	/* power of two */

static DEFINE_SPINLOCK(emp_event_lock);	/* ring, last */
static DECLARE_WAIT_QUEUE_HEAD(emp_event_wait);
static struct emp_event emp_event_ring[EMP_EVENT_RING];
static u64 emp_event_seq;

/** emp_event_post - tell readers; @tier may be EMP_EVENT_NO_TIER */
void emp_event_post(u32 type, const char *region, u32 tier)
{
	struct emp_event *e;
	unsigned long flags;

	spin_lock_irqsave(&emp_event_lock, flags);
	e = &emp_event_ring[++emp_event_seq % EMP_EVENT_RING];
	memset(e, 0, sizeof(*e));
	e->seq = emp_event_seq;
	e->time_ns = ktime_get_boottime_ns();
	e->type = type;
	e->tier = tier;
	strscpy(e->name, region, sizeof(e->name));
	spin_unlock_irqrestore(&emp_event_lock, flags);
	wake_up_interruptible(&emp_event_wait);
}

u64 emp_event_last(void)
{
	unsigned long flags;
	u64 seq;

	spin_lock_irqsave(&emp_event_lock, flags);
	seq = emp_event_seq;
	spin_unlock_irqrestore(&emp_event_lock, flags);
	return seq;
}

/* The event after @seen; false if there is none. */
static bool emp_event_next(u64 seen, struct emp_event *out)
{
	unsigned long flags;
	bool found = false;

	spin_lock_irqsave(&emp_event_lock, flags);
	if (seen < emp_event_seq) {
		found = true;
		if (emp_event_seq - seen > EMP_EVENT_RING) {
			memset(out, 0, sizeof(*out));
			out->seq = emp_event_seq - EMP_EVENT_RING;
			out->time_ns = ktime_get_boottime_ns();
			out->type = EMP_EVENT_OVERRUN;
			out->tier = EMP_EVENT_NO_TIER;
		} else {
			*out = emp_event_ring[(seen + 1) % EMP_EVENT_RING];
		}
	}
	spin_unlock_irqrestore(&emp_event_lock, flags);
	return found;
}

/** emp_event_read - read(2); @seen is the file's cursor, the caller keeps others off it */
ssize_t emp_event_read(struct file *file, u64 *seen, char __user *buf, size_t len)
{
	struct emp_event e;
	size_t done = 0;
	int err;

	if (len < sizeof(e))
		return -EINVAL;
	while (len - done >= sizeof(e)) {
		if (!emp_event_next(*seen, &e)) {
			if (done)
				break;
			if (file->f_flags & O_NONBLOCK)
				return -EAGAIN;
			err = wait_event_interruptible(emp_event_wait, emp_event_last() > *seen);
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

__poll_t emp_event_poll(struct file *file, u64 seen, poll_table *pt)
{
	poll_wait(file, &emp_event_wait, pt);
	return emp_event_last() > seen ? EPOLLIN | EPOLLRDNORM : 0;
}
