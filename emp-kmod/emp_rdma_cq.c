// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completions. Each connection has a completion queue of its own, so that what
 * somebody waits for does not stand behind what nobody does, and those of the
 * groups of CPUs interrupt the CPUs of their group.
 *
 * A queue is always armed while nobody looks at it: an interrupt starts the work
 * item, which takes all that is there and arms the queue again.
 */
#include "emp_rdma.h"

#define EMP_RDMA_BUDGET	256	/* completions before others get a turn */

static void emp_rdma_cq_event(struct ib_cq *cq, void *arg)
{
	struct emp_rdma_conn *c = arg;

	atomic64_inc(&c->stats->interrupts);
	queue_work(emp_rdma_comp_wq, &c->work);
}

static void emp_rdma_cq_work(struct work_struct *work)
{
	struct emp_rdma_conn *c = container_of(work, struct emp_rdma_conn, work);

	if (ib_process_cq_direct(c->cq, EMP_RDMA_BUDGET) >= EMP_RDMA_BUDGET ||
	    ib_req_notify_cq(c->cq, IB_CQ_NEXT_COMP | IB_CQ_REPORT_MISSED_EVENTS) > 0)
		queue_work(emp_rdma_comp_wq, &c->work);
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

	INIT_WORK(&c->work, emp_rdma_cq_work);
	cq = ib_create_cq(c->id->device, emp_rdma_cq_event, NULL, c, &attr);
	if (IS_ERR(cq))
		return PTR_ERR(cq);
	c->cq = cq;
	err = ib_req_notify_cq(cq, IB_CQ_NEXT_COMP);
	return err < 0 ? err : 0;
}

/** emp_rdma_cq_exit - the queue pair is gone: nothing completes any more */
void emp_rdma_cq_exit(struct emp_rdma_conn *c)
{
	if (!c->cq)
		return;
	cancel_work_sync(&c->work);
	ib_destroy_cq(c->cq);
}
