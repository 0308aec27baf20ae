// SPDX-License-Identifier: GPL-2.0-only
/* emp_rdma.ko: memory donors as tiers of regions. Start, end, opening, closing. */
#include <linux/in6.h>
#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/slab.h>
#include <net/net_namespace.h>

#include "emp_kind.h"
#include "emp_rdma.h"

#define EMP_RDMA_OPEN_TRIES	3

struct workqueue_struct *emp_rdma_wq;
struct workqueue_struct *emp_rdma_comp_wq;	/* emp_rdma_wq's items wait for these */

static int emp_rdma_queues_set(const char *val, const struct kernel_param *kp)
{
	int n, err = kstrtoint(val, 0, &n);

	if (err)
		return err;
	if (n < -1 || n > EMP_RDMA_QUEUES)
		return -EINVAL;
	WRITE_ONCE(*(int *)kp->arg, n);
	return 0;
}

static const struct kernel_param_ops emp_rdma_queues_ops = {
	.set	= emp_rdma_queues_set,
	.get	= param_get_int,
};

static int emp_rdma_queues = -1;
module_param_cb(queues, &emp_rdma_queues_ops, &emp_rdma_queues, 0644);
__MODULE_PARM_TYPE(queues, "int");
MODULE_PARM_DESC(queues, "data connections of new tiers, 0..33: one for read-ahead and writes, all others for reads that are waited for; -1: by number of CPUs (default)");

/* One for every four CPUs, and that of what nobody waits for. */
static u32 emp_rdma_queues_wanted(void)
{
	int n = READ_ONCE(emp_rdma_queues);

	return n >= 0 ? n : min(DIV_ROUND_UP(num_online_cpus(), 4), 8u) + 1;
}

static void emp_rdma_address(struct emp_rdma *rd, const struct emp_donor *d)
{
	if (d->family == AF_INET) {
		struct sockaddr_in *in = (void *)&rd->addr;

		in->sin_family = AF_INET;
		in->sin_port = htons(d->port);
		memcpy(&in->sin_addr, d->addr, sizeof(in->sin_addr));
	} else {
		struct sockaddr_in6 *in6 = (void *)&rd->addr;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(d->port);
		in6->sin6_scope_id = d->scope_id;
		memcpy(&in6->sin6_addr, d->addr, sizeof(in6->sin6_addr));
	}
	snprintf(rd->tier->device, sizeof(rd->tier->device), "%pISpc", &rd->addr);
}

static void emp_rdma_free(struct emp_rdma *rd)
{
	u32 i;

	emp_rdma_data_exit(rd);
	for (i = 0; i < EMP_RDMA_RECVS; i++)
		free_page((unsigned long)rd->recv_buf[i]);
	free_page((unsigned long)rd->send_buf);
	free_page((unsigned long)rd->answer);
	xa_destroy(&rd->by_id);
	kvfree(rd->grant);
	synchronize_rcu();	/* emp_rdma_cq_event() */
	kfree(rd->stats);
	put_net(rd->net);
	kfree_sensitive(rd);
}

static struct emp_rdma *emp_rdma_new(struct emp_tier *t, const struct emp_donor *d)
{
	struct emp_rdma *rd = kzalloc(sizeof(*rd), GFP_KERNEL_ACCOUNT);
	u32 i;

	BUILD_BUG_ON(ANNEX_DONOR_MSG_MAX > PAGE_SIZE);
	BUILD_BUG_ON(EMP_DONOR_KEY_MAX != ANNEX_DONOR_KEY_MAX);
	if (!rd)
		return NULL;
	rd->tier = t;
	rd->net = get_net(current->nsproxy->net_ns);
	rd->noauth = d->flags & EMP_DONOR_NOAUTH;
	rd->queues = emp_rdma_queues_wanted();
	rd->stats = kcalloc(rd->queues + 1, sizeof(*rd->stats), GFP_KERNEL_ACCOUNT);
	memcpy(rd->key.bytes, d->key, d->key_len);
	rd->key.len = rd->noauth ? 32 : d->key_len;
	emp_rdma_address(rd, d);
	spin_lock_init(&rd->lock);
	init_waitqueue_head(&rd->wait);
	INIT_LIST_HEAD(&rd->urgent);
	INIT_LIST_HEAD(&rd->others);
	INIT_LIST_HEAD(&rd->posted);
	INIT_LIST_HEAD(&rd->away);
	xa_init(&rd->by_id);
	INIT_DELAYED_WORK(&rd->mend, emp_rdma_mend_work);
	INIT_DELAYED_WORK(&rd->tick, emp_rdma_tick_work);
	INIT_DELAYED_WORK(&rd->give, emp_rdma_give_work);
	rd->state = EMP_RDMA_OPENING;
	rd->answer = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	rd->send_buf = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	for (i = 0; i < EMP_RDMA_RECVS; i++) {
		rd->recv_buf[i] = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
		if (!rd->recv_buf[i])
			break;
	}
	if (rd->stats && rd->answer && rd->send_buf && i == EMP_RDMA_RECVS)
		return rd;
	emp_rdma_free(rd);
	return NULL;
}

/* In use from now on, unless it broke already. */
static bool emp_rdma_begin(struct emp_rdma *rd, struct emp_rdma_conn *c)
{
	unsigned long flags;
	bool done;

	spin_lock_irqsave(&rd->lock, flags);
	done = rd->state == EMP_RDMA_OPENING && !c->broken && !c->removed;
	if (done) {
		rd->state = EMP_RDMA_ACTIVE;
		rd->conn = c;
	}
	spin_unlock_irqrestore(&rd->lock, flags);
	return done;
}

/* A no without a reason of the donor's is one of the CM's own: worth another try. */
static struct emp_rdma_conn *emp_rdma_first(struct emp_rdma *rd)
{
	struct emp_rdma_conn *c;
	u32 tries = EMP_RDMA_OPEN_TRIES;

	do {
		c = emp_rdma_conn_open(rd, ANNEX_DONOR_OPEN, NULL);
		if (c != ERR_PTR(-ECONNABORTED) && c != ERR_PTR(-ECONNRESET))
			break;
	} while (!rd->reason && --tries && !fatal_signal_pending(current));
	return c;
}

static int emp_rdma_open(struct emp_tier *t, const struct emp_donor *d)
{
	struct emp_rdma *rd = emp_rdma_new(t, d);
	struct emp_rdma_conn *c;
	int err;

	if (!rd)
		return -ENOMEM;
	c = emp_rdma_first(rd);
	if (IS_ERR(c)) {
		err = PTR_ERR(c);
		goto free;
	}
	err = emp_rdma_data_init(rd) ?: emp_rdma_grants(c, t->bytes);
	if (!err && rd->features & ANNEX_DONOR_FEAT_GIVE_BACK)
		err = emp_tier_units(t, rd->slab_bytes);
	if (err)
		goto bye;
	t->priv = rd;
	t->ops = &emp_rdma_ops;
	err = -ECONNRESET;
	if (!emp_rdma_begin(rd, c))
		goto bye;
	queue_delayed_work(emp_rdma_wq, &rd->tick, 0);
	queue_delayed_work(emp_rdma_wq, &rd->mend, 0);	/* data connections */
	emp_rdma_give_soon(rd);		/* it may have asked already */
	return 0;
bye:
	emp_rdma_conn_bye(c);
	emp_rdma_conn_free(c);
free:
	cancel_delayed_work_sync(&rd->give);
	emp_rdma_free(rd);
	return err;
}

/** emp_rdma_close - no request is under way */
void emp_rdma_close(struct emp_tier *t)
{
	struct emp_rdma_conn *c, *dying;
	struct emp_rdma *rd = t->priv;
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	rd->closing = true;
	spin_unlock_irqrestore(&rd->lock, flags);
	wake_up_all(&rd->wait);
	cancel_delayed_work_sync(&rd->tick);
	cancel_delayed_work_sync(&rd->give);
	cancel_delayed_work_sync(&rd->mend);

	spin_lock_irqsave(&rd->lock, flags);
	c = rd->conn;
	dying = rd->dying;
	rd->conn = NULL;	/* who breaks it now only marks it */
	rd->dying = NULL;
	spin_unlock_irqrestore(&rd->lock, flags);
	if (dying)
		emp_rdma_conn_free(dying);
	if (c) {
		emp_rdma_conn_bye(c);
		emp_rdma_conn_free(c);
	}
	/* Somebody may have asked for it until there was no connection. */
	cancel_delayed_work_sync(&rd->mend);
	cancel_delayed_work_sync(&rd->give);
	emp_rdma_free(rd);
}

static const struct emp_tier_kind emp_rdma_kind = {
	.type	= EMP_TIER_RDMA,
	.owner	= THIS_MODULE,
	.open	= emp_rdma_open,
};

static int __init emp_rdma_init(void)
{
	int err = -ENOMEM;

	emp_rdma_wq = alloc_workqueue("emp_rdma", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!emp_rdma_wq)
		return err;
	emp_rdma_comp_wq = alloc_workqueue("emp_rdma_comp",
					   WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	if (!emp_rdma_comp_wq)
		goto destroy;
	err = emp_rdma_grave_init();
	if (err)
		goto destroy_comp;
	err = emp_kind_register(&emp_rdma_kind);
	if (!err)
		return 0;
	emp_rdma_grave_exit();
destroy_comp:
	destroy_workqueue(emp_rdma_comp_wq);
destroy:
	destroy_workqueue(emp_rdma_wq);
	return err;
}

static void __exit emp_rdma_exit(void)
{
	emp_kind_unregister(&emp_rdma_kind);
	emp_rdma_grave_exit();
	destroy_workqueue(emp_rdma_comp_wq);
	destroy_workqueue(emp_rdma_wq);
}

module_init(emp_rdma_init);
module_exit(emp_rdma_exit);
MODULE_DESCRIPTION("Annex elastic memory: memory of other machines, by RDMA");
MODULE_AUTHOR("Annex");
MODULE_LICENSE("GPL");
MODULE_VERSION(ANNEX_VERSION);
MODULE_ALIAS("emp-tier-rdma");
