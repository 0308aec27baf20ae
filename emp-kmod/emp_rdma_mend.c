// SPDX-License-Identifier: GPL-2.0-only
/*
 * When a connection breaks, and time passes: the changes of state.
 */
#include <linux/sched/mm.h>

#include "emp_rdma.h"

#define EMP_RDMA_BACKOFF_MIN	20	/* ms before a second try */
#define EMP_RDMA_BACKOFF_MAX	1000
#define EMP_RDMA_JOIN_TRIES	8	/* to make one data connection, unless it is refused */
#define EMP_RDMA_MISSED		3	/* heartbeats without an answer that make a donor suspect */
/*
 * Nobody listens there, so often in a row and for so long: the donor's process
 * is no more, and what it held neither.
 */
#define EMP_RDMA_UNLISTENED	3
#define EMP_RDMA_UNLISTENED_MS	1000

/* Nothing goes over the connections in use any more. */
static void emp_rdma_retire(struct emp_rdma *rd)
{
	struct emp_rdma_conn *control = rd->conn;
	u32 i;

	lockdep_assert_held(&rd->lock);
	control->broken = true;
	for (i = 0; i < control->nr_data; i++)
		control->data[i]->broken = true;
	rd->dying = control;
	rd->conn = NULL;
}

/**
 * emp_rdma_broke - nothing goes over @c any more; any context
 * @c: connection; if it is in use, all others end with it
 * @why: for the log
 */
void emp_rdma_broke(struct emp_rdma_conn *c, const char *why)
{
	struct emp_rdma *rd = c->rd;
	bool ours = false;
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	c->broken = true;
	if (rd->conn && (rd->conn == c || (c->joined && rd->conn == c->control))) {
		ours = true;
		emp_rdma_retire(rd);
		c->stats->breaks++;
		rd->state = EMP_RDMA_BROKEN;
		rd->broken_since = jiffies;
		rd->backoff_ms = EMP_RDMA_BACKOFF_MIN;
		rd->unlistened = 0;
	}
	spin_unlock_irqrestore(&rd->lock, flags);
	wake_up(&rd->wait);
	if (!ours)
		return;
	pr_notice_ratelimited("emp: donor %s: %s\n", rd->tier->device, why);
	emp_tier_trouble(rd->tier, true);
	mod_delayed_work(emp_rdma_wq, &rd->mend, 0);
}

/**
 * emp_rdma_lost - what the donor held is gone, for good; any context but the tier's close
 * @rd: session
 * @why: for the log
 */
void emp_rdma_lost(struct emp_rdma *rd, const char *why)
{
	enum emp_rdma_state was;
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	was = rd->state;
	rd->state = EMP_RDMA_LOST;
	if (rd->conn)
		emp_rdma_retire(rd);
	spin_unlock_irqrestore(&rd->lock, flags);
	wake_up(&rd->wait);
	if (was == EMP_RDMA_LOST || was == EMP_RDMA_OPENING)
		return;
	pr_warn("emp: donor %s is lost: %s\n", rd->tier->device, why);
	emp_tier_lost(rd->tier);
	emp_rdma_fail_waiting(rd, -ENODEV);
	mod_delayed_work(emp_rdma_wq, &rd->mend, 0);
}

/* Change @from to @to, if that is how it is. */
static bool emp_rdma_step(struct emp_rdma *rd, enum emp_rdma_state from, enum emp_rdma_state to)
{
	unsigned long flags;
	bool done;

	spin_lock_irqsave(&rd->lock, flags);
	done = rd->state == from && !rd->closing;
	if (done)
		rd->state = to;
	spin_unlock_irqrestore(&rd->lock, flags);
	return done;
}

/* The session goes on, over @c. False: @c broke meanwhile, or it is too late. */
static bool emp_rdma_resumed(struct emp_rdma *rd, struct emp_rdma_conn *c)
{
	unsigned long flags;
	bool done;

	spin_lock_irqsave(&rd->lock, flags);
	done = rd->state == EMP_RDMA_RESUMING && !rd->closing && !c->broken && !c->removed;
	if (done) {
		rd->state = EMP_RDMA_ACTIVE;
		rd->conn = c;
		rd->suspect = false;
	}
	spin_unlock_irqrestore(&rd->lock, flags);
	return done;
}

static void emp_rdma_try_later(struct emp_rdma *rd, int err)
{
	unsigned long since = rd->broken_since;

	if (err == -ESTALE) {
		emp_rdma_lost(rd, "it has not got our data any more");
		return;
	}
	rd->unlistened = err == -ECONNREFUSED ? rd->unlistened + 1 : 0;
	if (rd->unlistened >= EMP_RDMA_UNLISTENED &&
	    time_after(jiffies, since + msecs_to_jiffies(EMP_RDMA_UNLISTENED_MS))) {
		emp_rdma_lost(rd, "no donor listens there any more");
		return;
	}
	if (time_after(jiffies, since + msecs_to_jiffies(rd->linger_ms))) {
		emp_rdma_lost(rd, "it could not be reached for too long");
		return;
	}
	if (!emp_rdma_step(rd, EMP_RDMA_RESUMING, EMP_RDMA_BROKEN))
		return;
	queue_delayed_work(emp_rdma_wq, &rd->mend, msecs_to_jiffies(rd->backoff_ms));
	rd->backoff_ms = min(rd->backoff_ms * 2, (u32)EMP_RDMA_BACKOFF_MAX);
}

static void emp_rdma_resume(struct emp_rdma *rd)
{
	struct emp_rdma_conn *c;
	int err;

	if (!emp_rdma_step(rd, EMP_RDMA_BROKEN, EMP_RDMA_RESUMING))
		return;
	if (!(rd->features & ANNEX_DONOR_FEAT_RESUME)) {
		emp_rdma_lost(rd, "it does not keep memory without a connection");
		return;
	}
	c = emp_rdma_conn_open(rd, ANNEX_DONOR_RESUME, NULL);
	err = PTR_ERR_OR_ZERO(c);
	if (!err) {
		err = emp_rdma_list(c);
		if (!err && emp_rdma_resumed(rd, c)) {
			pr_notice_ratelimited("emp: donor %s: the session goes on\n",
					      rd->tier->device);
			emp_tier_trouble(rd->tier, false);
			emp_rdma_retry_away(rd);
			emp_rdma_give_soon(rd);
			return;
		}
		emp_rdma_conn_free(c);
		err = err ?: -ECONNRESET;
	}
	emp_rdma_try_later(rd, err);
}

/* The control connection, if it wants another data connection. */
static struct emp_rdma_conn *emp_rdma_wants(struct emp_rdma *rd)
{
	struct emp_rdma_conn *control;
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	control = rd->state == EMP_RDMA_ACTIVE && !rd->closing ? rd->conn : NULL;
	if (control && (control->no_more || control->nr_data == rd->queues ||
			!(rd->features & ANNEX_DONOR_FEAT_JOIN)))
		control = NULL;
	spin_unlock_irqrestore(&rd->lock, flags);
	return control;
}

/* @c is in use from now on. False: it broke meanwhile, or all did. */
static bool emp_rdma_joined(struct emp_rdma *rd, struct emp_rdma_conn *c)
{
	struct emp_rdma_conn *control = c->control;
	unsigned long flags;
	bool done;

	spin_lock_irqsave(&rd->lock, flags);
	done = rd->conn == control && !c->broken && !c->removed;
	if (done) {
		control->data[control->nr_data++] = c;
		c->joined = true;
	}
	spin_unlock_irqrestore(&rd->lock, flags);
	return done;
}

/* One could not be made: is there use in trying again? */
static void emp_rdma_not_joined(struct emp_rdma *rd, struct emp_rdma_conn *control, int err)
{
	bool refused = err == -EAGAIN || err == -EPROTONOSUPPORT || err == -EPROTO ||
		       err == -EKEYREJECTED || err == -ENODEV;

	if (READ_ONCE(control->broken))
		return;		/* we are called again */
	if (refused || ++control->join_tries == EMP_RDMA_JOIN_TRIES) {
		control->no_more = true;
		pr_notice_ratelimited("emp: donor %s: %u data connections instead of %u (%d)\n",
				      rd->tier->device, control->nr_data, rd->queues, err);
		return;
	}
	queue_delayed_work(emp_rdma_wq, &rd->mend, msecs_to_jiffies(EMP_RDMA_BACKOFF_MAX));
}

/* Data connections, as long as they can be had. The session does without. */
static void emp_rdma_join(struct emp_rdma *rd)
{
	struct emp_rdma_conn *control, *c;

	while ((control = emp_rdma_wants(rd))) {
		c = emp_rdma_conn_open(rd, ANNEX_DONOR_JOIN, control);
		if (!IS_ERR(c) && !emp_rdma_joined(rd, c)) {
			emp_rdma_conn_free(c);
			c = ERR_PTR(-ECONNRESET);
		}
		if (IS_ERR(c)) {
			emp_rdma_not_joined(rd, control, PTR_ERR(c));
			return;
		}
		control->join_tries = 0;
		emp_rdma_post(rd);	/* there is more room */
	}
}

/** emp_rdma_mend_work - take broken connections apart, and make new ones */
void emp_rdma_mend_work(struct work_struct *work)
{
	struct emp_rdma *rd = container_of(work, struct emp_rdma, mend.work);
	struct emp_rdma_conn *dying;
	unsigned int noio = memalloc_noio_save();	/* memory may wait for us */
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	dying = rd->dying;
	rd->dying = NULL;
	spin_unlock_irqrestore(&rd->lock, flags);
	if (dying)
		emp_rdma_conn_free(dying);
	emp_rdma_resume(rd);
	emp_rdma_join(rd);
	memalloc_noio_restore(noio);
}

/* End what waits for too long. Is something under way for too long? */
static bool emp_rdma_expire(struct emp_rdma *rd)
{
	struct list_head *waiting[] = { &rd->urgent, &rd->others, &rd->away };
	struct emp_rdma_req *req, *next;
	bool overdue = false;
	unsigned long flags;
	LIST_HEAD(late);
	u32 i;

	spin_lock_irqsave(&rd->lock, flags);
	for (i = 0; i < ARRAY_SIZE(waiting); i++)
		list_for_each_entry_safe(req, next, waiting[i], list)
			if (time_after(jiffies, req->expires))
				list_move_tail(&req->list, &late);
	list_for_each_entry(req, &rd->posted, list)
		overdue |= time_after(jiffies, req->expires);
	spin_unlock_irqrestore(&rd->lock, flags);
	list_for_each_entry_safe(req, next, &late, list) {
		list_del_init(&req->list);
		emp_io_end(&req->io, -ETIMEDOUT);
	}
	return overdue;
}

/* Break the connection in use, if there is one; else a PING when it is time for one. */
static void emp_rdma_tend(struct emp_rdma *rd, bool overdue)
{
	unsigned long beat = msecs_to_jiffies(rd->heartbeat_ms);
	struct annex_donor_msg ping;
	struct emp_rdma_conn *c;
	unsigned long flags;
	bool due = false;

	spin_lock_irqsave(&rd->lock, flags);
	c = rd->conn;
	if (c)
		c->users++;
	if (c && !overdue) {
		rd->suspect = time_after(jiffies, rd->heard + EMP_RDMA_MISSED * beat);
		due = time_after(jiffies, rd->pinged + beat);
		if (due)
			rd->pinged = jiffies;
	}
	spin_unlock_irqrestore(&rd->lock, flags);
	if (!c)
		return;
	annex_donor_head(&ping, ANNEX_DONOR_PING, sizeof(ping), 0, 0);
	if (overdue)
		emp_rdma_broke(c, "no answer within the deadline");
	else if (due)
		emp_rdma_conn_send(c, &ping, sizeof(ping));
	spin_lock_irqsave(&rd->lock, flags);
	c->users--;
	spin_unlock_irqrestore(&rd->lock, flags);
	wake_up(&rd->wait);
}

/** emp_rdma_tick_work - deadlines and heartbeat */
void emp_rdma_tick_work(struct work_struct *work)
{
	struct emp_rdma *rd = container_of(work, struct emp_rdma, tick.work);
	u32 ms = min(READ_ONCE(rd->tier->deadline_ms) / 4, rd->heartbeat_ms / 2);

	emp_rdma_tend(rd, emp_rdma_expire(rd));
	queue_delayed_work(emp_rdma_wq, &rd->tick, msecs_to_jiffies(clamp(ms, 5u, 1000u)));
}
