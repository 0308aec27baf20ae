// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the RDMA device and the CM hold of connections that are no more, until it
 * is destroyed.
 *
 * Nobody may have to wait for that: soft-RoCE keeps who destroys a queue pair until
 * the network card has let go of its last packet, which a card whose other end
 * stands still may do after a minute only. And the CM must not say a word while its
 * port is down: what it cannot send keeps soft-RoCE from ever connecting again, and
 * it says farewell when an identifier is destroyed. So each connection is buried on
 * a work item of its own, when its port is up, or the device or the module goes.
 *
 * Nothing here touches a session (struct emp_rdma): it may be gone.
 */
#include <linux/slab.h>

#include "emp_rdma.h"

static struct workqueue_struct *emp_rdma_grave_wq;
static DEFINE_MUTEX(emp_rdma_grave_lock);
static LIST_HEAD(emp_rdma_grave);
static bool emp_rdma_leaving;	/* the module goes */

/** emp_rdma_domain_get - the protection domain of a control connection: a new one, or its own */
int emp_rdma_domain_get(struct emp_rdma_conn *c)
{
	struct emp_rdma_domain *d;
	struct ib_pd *pd;

	if (c->control) {
		c->domain = c->control->domain;
		refcount_inc(&c->domain->users);
		return 0;
	}
	d = kzalloc(sizeof(*d), GFP_KERNEL);
	if (!d)
		return -ENOMEM;
	pd = ib_alloc_pd(c->id->device, 0);
	if (IS_ERR(pd)) {
		kfree(d);
		return PTR_ERR(pd);
	}
	d->pd = pd;
	refcount_set(&d->users, 1);
	c->domain = d;
	return 0;
}

static void emp_rdma_domain_put(struct emp_rdma_conn *c)
{
	struct emp_rdma_domain *d = c->domain;

	c->domain = NULL;
	if (!d || !refcount_dec_and_test(&d->users))
		return;
	ib_dealloc_pd(d->pd);
	kfree(d);
}

/** emp_rdma_port_active - would what the CM says be sent? */
bool emp_rdma_port_active(struct rdma_cm_id *id)
{
	struct ib_port_attr attr;

	return !ib_query_port(id->device, id->port_num, &attr) && attr.state == IB_PORT_ACTIVE;
}

static bool emp_rdma_must_wait(struct emp_rdma_conn *c)
{
	return c->connected && !READ_ONCE(c->removed) && !READ_ONCE(emp_rdma_leaving) &&
	       !emp_rdma_port_active(c->id);
}

static void emp_rdma_burial(struct work_struct *work)
{
	struct emp_rdma_conn *c = container_of(work, struct emp_rdma_conn, burial.work);

	/* In this order: the device can go as soon as the last identifier has. */
	if (c->id->qp)
		rdma_destroy_qp(c->id);
	emp_rdma_cq_exit(c);
	emp_rdma_domain_put(c);
	if (emp_rdma_must_wait(c)) {
		queue_delayed_work(emp_rdma_grave_wq, &c->burial, HZ);
		return;
	}
	rdma_destroy_id(c->id);
	mutex_lock(&emp_rdma_grave_lock);
	list_del(&c->grave);
	mutex_unlock(&emp_rdma_grave_lock);
	cancel_delayed_work(&c->burial);	/* nobody is left who could exhume it */
	kfree(c);
}

/**
 * emp_rdma_conn_bury - have a connection destroyed, and freed, when that can be
 * @c: drained, and nobody's but the CM's
 */
void emp_rdma_conn_bury(struct emp_rdma_conn *c)
{
	INIT_DELAYED_WORK(&c->burial, emp_rdma_burial);
	mutex_lock(&emp_rdma_grave_lock);
	list_add(&c->grave, &emp_rdma_grave);
	mutex_unlock(&emp_rdma_grave_lock);

	/* From here on the CM's handler exhumes it. */
	rdma_lock_handler(c->id);
	c->rd = NULL;
	rdma_unlock_handler(c->id);
	mod_delayed_work(emp_rdma_grave_wq, &c->burial, 0);
}

/** emp_rdma_exhume - the device of a connection that waits for its port goes */
void emp_rdma_exhume(struct emp_rdma_conn *c)
{
	mod_delayed_work(emp_rdma_grave_wq, &c->burial, 0);
}

int emp_rdma_grave_init(void)
{
	emp_rdma_grave_wq = alloc_workqueue("emp_rdma_grave", WQ_UNBOUND, 0);
	return emp_rdma_grave_wq ? 0 : -ENOMEM;
}

/** emp_rdma_grave_exit - no connection is made or unmade any more; destroy all that there are */
void emp_rdma_grave_exit(void)
{
	struct emp_rdma_conn *c;
	bool empty;

	WRITE_ONCE(emp_rdma_leaving, true);
	/* Until there is none, the CM's handler may queue: no draining before that. */
	do {
		mutex_lock(&emp_rdma_grave_lock);
		empty = list_empty(&emp_rdma_grave);
		list_for_each_entry(c, &emp_rdma_grave, grave)
			mod_delayed_work(emp_rdma_grave_wq, &c->burial, 0);
		mutex_unlock(&emp_rdma_grave_lock);
		flush_workqueue(emp_rdma_grave_wq);
	} while (!empty);
	destroy_workqueue(emp_rdma_grave_wq);
}
