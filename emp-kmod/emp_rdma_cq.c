// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completions. Each connection has a completion queue of its own, so that what
 * somebody waits for does not stand behind what nobody does, and those of the
 * groups of CPUs interrupt the CPUs of their group.
 *
 * A queue is always armed while nobody looks at it: an interrupt starts the work
 * item, which takes all that is there and arms the queue again. Who waits for a
 * read may look instead, for poll_us. While somebody does, the work item comes a
 * jiffy later, if ever he is kept from the processor; the last one to go arms the
 * queue.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched/clock.h>

#include "emp_rdma.h"

#define EMP_RDMA_POLL_MAX	1000	/* us */

#define EMP_RDMA_BUDGET	256	/* completions before others get a turn */
#define EMP_RDMA_POLLED	8	/* and before a poller looks for its own */

static int emp_rdma_poll_set(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 0, EMP_RDMA_POLL_MAX);
}

static const struct kernel_param_ops emp_rdma_poll_ops = {
	.set	= emp_rdma_poll_set,
	.get	= param_get_uint,
};

static uint emp_rdma_poll_us;
module_param_cb(poll_us, &emp_rdma_poll_ops, &emp_rdma_poll_us, 0644);
__MODULE_PARM_TYPE(poll_us, "uint");
MODULE_PARM_DESC(poll_us, "us that who waits for a read looks for its end before sleeping, 0..1000 (default 0)");

static void emp_rdma_cq_event(struct ib_cq *cq, void *arg)
{
	struct emp_rdma_conn *c = arg;
	struct emp_rdma_stats *stats;

	rcu_read_lock();
	stats = READ_ONCE(c->stats);
	if (stats) {
		atomic64_inc(&stats->interrupts);
		if (atomic_read(&c->pollers))
			queue_delayed_work(emp_rdma_comp_wq, &c->work, 1);
		else
			mod_delayed_work(emp_rdma_comp_wq, &c->work, 0);
	}
	rcu_read_unlock();
}

/* True: something completed before it was armed, and there will be no interrupt for it. */
static bool emp_rdma_cq_arm(struct emp_rdma_conn *c)
{
	return ib_req_notify_cq(c->cq, IB_CQ_NEXT_COMP | IB_CQ_REPORT_MISSED_EVENTS) > 0;
}

static void emp_rdma_cq_work(struct work_struct *work)
{
	struct emp_rdma_conn *c = container_of(work, struct emp_rdma_conn, work.work);

	if (ib_process_cq_direct(c->cq, EMP_RDMA_BUDGET) >= EMP_RDMA_BUDGET ||
	    emp_rdma_cq_arm(c))
		mod_delayed_work(emp_rdma_comp_wq, &c->work, 0);
}

/* That of the first CPU of the connection's group; wherever else for all others. */
static int emp_rdma_cq_vector(const struct emp_rdma_conn *c)
{
	static atomic_t next;
	u32 vectors = max(c->id->device->num_comp_vectors, 1);
	u32 groups = c->rd->queues - 1;

	if (c->index < EMP_RDMA_URGENT)
		return (u32)atomic_inc_return(&next) % vectors;
	return (c->index - EMP_RDMA_URGENT) * num_online_cpus() / groups % vectors;
}

/** emp_rdma_cq_init - the completion queue of @c, for @n completions at most */
int emp_rdma_cq_init(struct emp_rdma_conn *c, u32 n)
{
	struct ib_cq_init_attr attr = { .cqe = n, .comp_vector = emp_rdma_cq_vector(c) };
	struct ib_cq *cq;
	int err;

	INIT_DELAYED_WORK(&c->work, emp_rdma_cq_work);
	cq = ib_create_cq(c->id->device, emp_rdma_cq_event, NULL, c, &attr);
	if (IS_ERR(cq))
		return PTR_ERR(cq);
	c->cq = cq;
	err = ib_req_notify_cq(cq, IB_CQ_NEXT_COMP);
	return err < 0 ? err : 0;
}

/**
 * emp_rdma_cq_quiet - the queue pair is drained, nobody polls: be done with what completed
 * @c: connection. An interrupt that comes late may still start the work item, which
 *	then finds nothing; c->stats is touched until a grace period of RCU has passed
 */
void emp_rdma_cq_quiet(struct emp_rdma_conn *c)
{
	WRITE_ONCE(c->stats, NULL);
	if (c->cq)
		cancel_delayed_work_sync(&c->work);
}

/** emp_rdma_cq_exit - after emp_rdma_cq_quiet(), and the queue pair is gone */
void emp_rdma_cq_exit(struct emp_rdma_conn *c)
{
	if (!c->cq)
		return;
	synchronize_rcu();	/* emp_rdma_cq_event() */
	cancel_delayed_work_sync(&c->work);
	ib_destroy_cq(c->cq);
	c->cq = NULL;
}

/* The connection of this CPU's reads, if they have one; it stays until it is let go. */
static struct emp_rdma_conn *emp_rdma_poll_begin(struct emp_rdma *rd)
{
	struct emp_rdma_conn *c = NULL;
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	/* the control connection's messages are for its work item */
	if (rd->conn && rd->conn->nr_data > 1) {
		c = rd->conn->data[1 + emp_rdma_group(rd->conn, raw_smp_processor_id())];
		c->users++;
	}
	spin_unlock_irqrestore(&rd->lock, flags);
	return c;
}

static void emp_rdma_poll_end(struct emp_rdma *rd, struct emp_rdma_conn *c)
{
	unsigned long flags;
	bool last;

	spin_lock_irqsave(&rd->lock, flags);
	c->users--;
	last = c->broken && !c->users;
	spin_unlock_irqrestore(&rd->lock, flags);
	if (last)
		wake_up(&rd->wait);
}

/** emp_rdma_poll - struct emp_tier_ops.poll */
void emp_rdma_poll(struct emp_tier *t, bool (*over)(void *arg), void *arg)
{
	u64 end = local_clock() + READ_ONCE(emp_rdma_poll_us) * (u64)NSEC_PER_USEC;
	struct emp_rdma *rd = t->priv;
	struct emp_rdma_conn *c;

	if (!READ_ONCE(emp_rdma_poll_us))
		return;
	c = emp_rdma_poll_begin(rd);
	if (!c)
		return;
	atomic_inc(&c->pollers);
	while (!over(arg) && !READ_ONCE(c->broken) && !need_resched() && local_clock() < end) {
		int n = ib_process_cq_direct(c->cq, EMP_RDMA_POLLED);

		if (n > 0)
			atomic64_add(n, &c->stats->polled);
		else
			cpu_relax();
	}
	if (atomic_dec_and_test(&c->pollers) && emp_rdma_cq_arm(c))
		mod_delayed_work(emp_rdma_comp_wq, &c->work, 0);
	emp_rdma_poll_end(rd, c);
}
