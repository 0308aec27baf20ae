// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events: one ring for the module, a cursor for each open file. Posting works
 * in any context and never waits; a reader that falls behind by more than the
 * ring gets EMP_EVENT_OVERRUN and goes on with the oldest that is left.
 *
 * One of the readers is a work item that announces them to all who listen to
 * uevents (udev, systemd): at once, but in no more than ten bursts a second, and
 * what happened several times in a row as one.
 */
#include <linux/kobject.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../include/uapi/annex/emp.h"
#include "emp_event.h"

#define EMP_EVENT_RING 256	/* power of two */
#define EMP_EVENT_PAUSE	(HZ / 10UL)	/* between announcements */

static void emp_event_uevents(struct work_struct *work);

static DEFINE_SPINLOCK(emp_event_lock);	/* ring, last, device */
static DECLARE_WAIT_QUEUE_HEAD(emp_event_wait);
static struct emp_event emp_event_ring[EMP_EVENT_RING];
static u64 emp_event_seq;
static struct device *emp_event_device;		/* whose uevents they are; NULL: none */
static unsigned long emp_event_next_time;	/* of the work item's, but for a hint */
static DECLARE_DELAYED_WORK(emp_event_work, emp_event_uevents);

static const char * const emp_event_names[] = {
	[EMP_EVENT_REGION_CREATED]	= "region-created",
	[EMP_EVENT_REGION_DESTROYED]	= "region-destroyed",
	[EMP_EVENT_TIER_ADDED]		= "tier-added",
	[EMP_EVENT_TIER_REMOVED]	= "tier-removed",
	[EMP_EVENT_TIER_DEGRADED]	= "tier-degraded",
	[EMP_EVENT_TIER_LOST]		= "tier-lost",
	[EMP_EVENT_NO_SPACE]		= "no-space",
	[EMP_EVENT_DATA_LOST]		= "data-lost",
	[EMP_EVENT_TIER_RECOVERED]	= "tier-recovered",
	[EMP_EVENT_OVERRUN]		= "overrun",
};

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
	if (emp_event_device) {
		unsigned long next = READ_ONCE(emp_event_next_time), now = jiffies;

		queue_delayed_work(system_unbound_wq, &emp_event_work,
				   time_before(now, next) ? min(next - now, EMP_EVENT_PAUSE) : 0);
	}
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

static bool emp_event_alike(const struct emp_event *a, const struct emp_event *b)
{
	return a->type == b->type && a->tier == b->tier && !strcmp(a->name, b->name);
}

/* @n events like @e, of which it is the last, as one uevent; docs/abi-emp.md, "Control device" */
static void emp_event_uevent(struct kobject *kobj, const struct emp_event *e, u32 n)
{
	char type[32], region[sizeof(e->name) + 16], tier[24], seq[40], count[24];
	char *env[6] = { type, seq, count };		/* ends with a NULL */
	u32 at = 3;

	snprintf(type, sizeof(type), "EMP_EVENT=%s", emp_event_names[e->type]);
	snprintf(seq, sizeof(seq), "EMP_SEQ=%llu", e->seq);
	snprintf(count, sizeof(count), "EMP_COUNT=%u", n);
	if (e->name[0]) {
		snprintf(region, sizeof(region), "EMP_REGION=%s", e->name);
		env[at++] = region;
	}
	if (e->tier != EMP_EVENT_NO_TIER) {
		snprintf(tier, sizeof(tier), "EMP_TIER=%u", e->tier);
		env[at++] = tier;
	}
	kobject_uevent_env(kobj, KOBJ_CHANGE, env);	/* without memory nobody is told */
}

/* The next event after @seen, and how many like it are right behind it; 0: there is none. */
static u32 emp_event_run(u64 *seen, u64 last, struct emp_event *e)
{
	struct emp_event next;
	u32 n = 0;

	while (*seen < last && emp_event_next(*seen, &next)) {
		if (n && !emp_event_alike(e, &next))
			break;
		*e = next;
		*seen = next.seq;
		n++;
	}
	return n;
}

static void emp_event_uevents(struct work_struct *work)
{
	static u64 seen;
	u64 last = emp_event_last();	/* what comes meanwhile has queued us again */
	struct kobject *kobj = NULL;
	struct emp_event e;
	unsigned long flags;
	u32 n;

	spin_lock_irqsave(&emp_event_lock, flags);
	if (emp_event_device)		/* it stays until we have ended */
		kobj = &emp_event_device->kobj;
	spin_unlock_irqrestore(&emp_event_lock, flags);
	while (kobj && (n = emp_event_run(&seen, last, &e)))
		emp_event_uevent(kobj, &e, n);
	WRITE_ONCE(emp_event_next_time, jiffies + EMP_EVENT_PAUSE);
}

/**
 * emp_event_announce - events are uevents of @dev from now on; NULL: of none, and none is under way
 * @dev: device, which stays until this is called with NULL
 */
void emp_event_announce(struct device *dev)
{
	unsigned long flags;

	spin_lock_irqsave(&emp_event_lock, flags);
	emp_event_device = dev;
	spin_unlock_irqrestore(&emp_event_lock, flags);
	if (!dev)
		cancel_delayed_work_sync(&emp_event_work);
}
