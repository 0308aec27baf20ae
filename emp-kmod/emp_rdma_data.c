// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests: each is one work request, READ or WRITE, of as many pieces as the
 * device takes, within one slab of the donor's.
 *
 * Reads that somebody waits for go first: over the connection of the CPU that
 * waits, or another of theirs that has room; if they have none of their own, a
 * quarter of the queue is theirs. What has no room waits in a list: there is one
 * request for each fault that waits, and what is read ahead or written back is
 * bounded by emp.ko (queue_depth), so the lists are.
 */
#include <linux/slab.h>

#include "../compat/emp_compat_bdev.h"
#include "emp_rdma.h"

static struct emp_rdma_req *to_req(struct emp_io *io)
{
	return container_of(io, struct emp_rdma_req, io);
}

static enum dma_data_direction emp_rdma_dir(const struct emp_rdma_req *req)
{
	return req->io.write ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
}

static void emp_rdma_unmap(struct ib_device *dev, struct emp_rdma_req *req, u32 n)
{
	while (n--)
		ib_dma_unmap_page(dev, req->sge[n].addr, req->sge[n].length, emp_rdma_dir(req));
}

static int emp_rdma_map(struct emp_rdma_conn *c, struct emp_rdma_req *req)
{
	struct ib_device *dev = c->id->device;
	u32 i;

	for (i = 0; i < req->io.bio.bi_vcnt; i++) {
		const struct bio_vec *v = &req->vec[i];
		u64 addr = ib_dma_map_page(dev, v->bv_page, v->bv_offset, v->bv_len,
					   emp_rdma_dir(req));

		if (ib_dma_mapping_error(dev, addr)) {
			emp_rdma_unmap(dev, req, i);
			return -ENOMEM;
		}
		req->sge[i] = (struct ib_sge){ addr, v->bv_len, c->domain->pd->local_dma_lkey };
	}
	return 0;
}

/** emp_rdma_queue - the list in which it waits */
struct list_head *emp_rdma_queue(struct emp_rdma *rd, const struct emp_rdma_req *req)
{
	return req->io.write || req->io.ahead ? &rd->others : &rd->urgent;
}

static void emp_rdma_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct emp_rdma_req *req = container_of(wc->wr_cqe, struct emp_rdma_req, cqe);
	struct emp_rdma_conn *c = req->conn;
	struct emp_rdma *rd = c->rd;
	unsigned long flags;
	bool again = false;
	int error = 0;

	emp_rdma_unmap(c->id->device, req, req->io.bio.bi_vcnt);
	if (wc->status != IB_WC_SUCCESS)
		emp_rdma_broke(c, ib_wc_status_msg(wc->status));
	spin_lock_irqsave(&rd->lock, flags);
	c->posted--;
	c->stats->completions++;
	list_del_init(&req->list);
	switch (wc->status) {
	case IB_WC_SUCCESS:
		break;
	case IB_WC_WR_FLUSH_ERR:
	case IB_WC_RETRY_EXC_ERR:
	case IB_WC_RNR_RETRY_EXC_ERR:
		if (rd->state == EMP_RDMA_LOST)
			error = -ENODEV;
		else if (time_after(jiffies, req->expires))
			error = -ETIMEDOUT;
		else if (req->tries >= EMP_RDMA_TRIES)
			error = -EIO;
		else
			again = true;
		break;
	default:
		error = -EIO;	/* it would end so again */
	}
	if (again)
		list_add_tail(&req->list, emp_rdma_queue(rd, req));
	spin_unlock_irqrestore(&rd->lock, flags);
	if (!again)
		emp_io_end(&req->io, error);
	emp_rdma_post(rd);
}

static int emp_rdma_post_req(struct emp_rdma_conn *c, struct emp_rdma_req *req)
{
	struct emp_rdma *rd = c->rd;
	struct emp_rdma_grant *g = &rd->grant[req->pos >> rd->slab_shift];
	int err;

	if (!emp_rdma_there(g))
		return -EIO;
	err = emp_rdma_map(c, req);
	if (err)
		return err;
	WRITE_ONCE(g->used, jiffies);
	req->conn = c;
	req->cqe.done = emp_rdma_done;
	req->wr = (struct ib_rdma_wr){
		.wr = {
			.wr_cqe = &req->cqe,
			.sg_list = req->sge,
			.num_sge = req->io.bio.bi_vcnt,
			.opcode = req->io.write ? IB_WR_RDMA_WRITE : IB_WR_RDMA_READ,
			.send_flags = IB_SEND_SIGNALED,
		},
		.remote_addr = g->addr + (req->pos & (rd->slab_bytes - 1)),
		.rkey = g->rkey,
	};
	err = ib_post_send(c->id->qp, &req->wr.wr, NULL);
	if (err)
		emp_rdma_unmap(c->id->device, req, req->io.bio.bi_vcnt);
	return err;
}

/**
 * emp_rdma_group - whose connection, of those for reads that are waited for
 * @control: has such connections; rd->lock is held
 * @cpu: that waits
 */
u32 emp_rdma_group(const struct emp_rdma_conn *control, u32 cpu)
{
	u32 n = control->nr_data - 1;

	/* CPUs with numbers next to each other; one can be beyond those online */
	return min((u32)((u64)cpu * n / num_online_cpus()), n - 1);
}

/* Where there is room for a read that somebody on @cpu waits for. */
static struct emp_rdma_conn *emp_rdma_urgent(struct emp_rdma_conn *control, u32 cpu)
{
	u32 i, at, n = control->nr_data > 1 ? control->nr_data - 1 : 0;

	if (!n)
		return control->posted < control->depth ? control : NULL;
	at = emp_rdma_group(control, cpu);
	for (i = 0; i < n; i++, at++) {
		struct emp_rdma_conn *c = control->data[1 + at % n];

		if (c->posted < c->depth)
			return c;
	}
	return NULL;
}

/* Where there is room for another one that nobody waits for. */
static struct emp_rdma_conn *emp_rdma_others(struct emp_rdma_conn *control)
{
	struct emp_rdma_conn *c = control->nr_data ? control->data[0] : control;

	return c->posted < c->depth - (c == control ? c->depth / 4 : 0) ? c : NULL;
}

/* The next that may go to the device, and over which connection. */
static struct emp_rdma_req *emp_rdma_next(struct emp_rdma *rd, struct emp_rdma_conn **c)
{
	struct emp_rdma_req *req;

	lockdep_assert_held(&rd->lock);
	if (rd->state != EMP_RDMA_ACTIVE || !rd->conn)
		return NULL;
	req = emp_rdma_set_aside(rd, &rd->urgent);
	if (req) {
		*c = emp_rdma_urgent(rd->conn, req->cpu);
		if (*c)
			return req;
	}
	req = emp_rdma_set_aside(rd, &rd->others);
	if (req) {
		*c = emp_rdma_others(rd->conn);
		if (*c)
			return req;
	}
	return NULL;
}

/** emp_rdma_post - give the device what waits, as far as its queue has room; any context */
void emp_rdma_post(struct emp_rdma *rd)
{
	struct emp_rdma_req *req;
	struct emp_rdma_conn *c;
	unsigned long flags;
	int err;

	do {
		spin_lock_irqsave(&rd->lock, flags);
		req = emp_rdma_next(rd, &c);
		err = 0;
		if (req) {
			list_move_tail(&req->list, &rd->posted);
			req->tries++;
			err = emp_rdma_post_req(c, req);
			if (err) {
				list_del_init(&req->list);
			} else {
				c->posted++;
				c->stats->requests++;
			}
		}
		spin_unlock_irqrestore(&rd->lock, flags);
		if (err)
			emp_io_end(&req->io, -EIO);
	} while (req);
}

/** emp_rdma_fail_waiting - end all that wait for a connection, or a slab */
void emp_rdma_fail_waiting(struct emp_rdma *rd, int error)
{
	struct emp_rdma_req *req, *next;
	unsigned long flags;
	LIST_HEAD(all);

	spin_lock_irqsave(&rd->lock, flags);
	list_splice_init(&rd->urgent, &all);
	list_splice_tail_init(&rd->others, &all);
	list_splice_tail_init(&rd->away, &all);
	spin_unlock_irqrestore(&rd->lock, flags);
	list_for_each_entry_safe(req, next, &all, list) {
		list_del_init(&req->list);
		emp_io_end(&req->io, error);
	}
}

/* --- operations of the tier ------------------------------------------------------ */

static struct emp_io *emp_rdma_io_alloc(struct emp_tier *t, bool write, u64 pos, u32 vecs,
					gfp_t gfp)
{
	struct emp_rdma *rd = t->priv;
	struct emp_rdma_req *req = mempool_alloc(rd->reqs, gfp);

	if (!req)
		return NULL;
	memset(req, 0, sizeof(*req));
	INIT_LIST_HEAD(&req->list);
	req->sge = (void *)(req + 1);
	req->vec = (void *)(req->sge + rd->max_sge);
	req->pos = pos;
	bio_init(&req->io.bio, NULL, req->vec, min(vecs, rd->max_sge),
		 write ? REQ_OP_WRITE : REQ_OP_READ);
	req->io.tier = t;
	req->io.write = write;
	req->io.pos = pos;
	return &req->io;
}

static bool emp_rdma_io_add(struct emp_io *io, struct folio *folio, size_t off, size_t len)
{
	struct emp_rdma_req *req = to_req(io);
	struct emp_rdma *rd = io->tier->priv;
	u64 end = req->pos + io->bio.bi_iter.bi_size + len;

	/* A block lies within one slab, so the first piece always does. */
	if (end - req->pos > EMP_RDMA_BYTES ||
	    (end - 1) >> rd->slab_shift != req->pos >> rd->slab_shift)
		return false;
	return annex_bio_add_folio(&io->bio, folio, len, off);
}

static void emp_rdma_io_submit(struct emp_io *io)
{
	struct emp_rdma_req *req = to_req(io);
	struct emp_tier *t = io->tier;
	struct emp_rdma *rd = t->priv;
	unsigned long flags;
	bool lost;

	io->bio.bi_private = (void *)(unsigned long)io->bio.bi_iter.bi_size;
	req->expires = jiffies + msecs_to_jiffies(READ_ONCE(t->deadline_ms)) + 1;
	req->cpu = raw_smp_processor_id();
	io->task = NULL;	/* the same task may find its end, polling, but not here */
	/* Once it is in a list it can end, and with the last one the tier. */
	atomic_inc(&t->inflight);
	spin_lock_irqsave(&rd->lock, flags);
	lost = rd->state == EMP_RDMA_LOST;
	if (!lost)
		list_add_tail(&req->list, emp_rdma_queue(rd, req));
	spin_unlock_irqrestore(&rd->lock, flags);
	if (lost)
		emp_io_end(io, -ENODEV);
	else
		emp_rdma_post(rd);
	emp_tier_put(t);
}

static void emp_rdma_io_free(struct emp_io *io)
{
	struct emp_rdma *rd = io->tier->priv;

	bio_uninit(&io->bio);
	mempool_free(to_req(io), rd->reqs);
}

/* The donor zeroes what it gets back before anybody else gets it. */
static int emp_rdma_zero(struct emp_tier *t, u64 pos, u64 len)
{
	return 0;
}

static const char *emp_rdma_link(struct emp_tier *t)
{
	struct emp_rdma *rd = t->priv;

	switch (READ_ONCE(rd->state)) {
	case EMP_RDMA_OPENING:
		return "opening";
	case EMP_RDMA_ACTIVE:
		return READ_ONCE(rd->suspect) ? "suspect" : "active";
	case EMP_RDMA_BROKEN:
		return "broken";
	case EMP_RDMA_RESUMING:
		return "resuming";
	case EMP_RDMA_LOST:
		break;
	}
	return "lost";
}

static ssize_t emp_rdma_connection(struct emp_rdma *rd, u32 index, char *buf, int at)
{
	const struct emp_rdma_stats *s = &rd->stats[index];
	const struct emp_rdma_conn *c = NULL;
	unsigned long flags;
	u64 requests, completions, breaks;
	char name[20];
	u32 posted;

	spin_lock_irqsave(&rd->lock, flags);
	if (rd->conn && index == EMP_RDMA_CONTROL)
		c = rd->conn;
	else if (rd->conn && index <= rd->conn->nr_data)
		c = rd->conn->data[index - EMP_RDMA_OTHERS];
	posted = c ? c->posted : 0;
	requests = s->requests;
	completions = s->completions;
	breaks = s->breaks;
	spin_unlock_irqrestore(&rd->lock, flags);
	if (index < EMP_RDMA_URGENT)
		strscpy(name, index == EMP_RDMA_CONTROL ? "control" : "others", sizeof(name));
	else
		snprintf(name, sizeof(name), "urgent%u", index - EMP_RDMA_URGENT);
	return sysfs_emit_at(buf, at, "%s %s %u %llu %llu %llu %llu %llu\n", name, c ? "up" : "-",
			     posted, requests, completions,
			     (u64)atomic64_read(&s->interrupts),
			     (u64)atomic64_read(&s->polled), breaks);
}

static ssize_t emp_rdma_connections(struct emp_tier *t, char *buf)
{
	struct emp_rdma *rd = t->priv;
	ssize_t at = 0;
	u32 i;

	for (i = 0; i <= rd->queues; i++)
		at += emp_rdma_connection(rd, i, buf, at);
	return at;
}

const struct emp_tier_ops emp_rdma_ops = {
	.name		= "rdma",
	.remote		= true,
	.io_alloc	= emp_rdma_io_alloc,
	.io_add		= emp_rdma_io_add,
	.io_submit	= emp_rdma_io_submit,
	.poll		= emp_rdma_poll,
	.io_free	= emp_rdma_io_free,
	.zero		= emp_rdma_zero,
	.close		= emp_rdma_close,
	.link		= emp_rdma_link,
	.connections	= emp_rdma_connections,
	.left		= emp_rdma_left,
};

/** emp_rdma_data_init - the pool of requests; max_sge is known by then */
int emp_rdma_data_init(struct emp_rdma *rd)
{
	size_t size = sizeof(struct emp_rdma_req) +
		      rd->max_sge * (sizeof(struct ib_sge) + sizeof(struct bio_vec));

	rd->reqs = mempool_create_kmalloc_pool(EMP_RDMA_POOL, size);
	return rd->reqs ? 0 : -ENOMEM;
}

void emp_rdma_data_exit(struct emp_rdma *rd)
{
	mempool_destroy(rd->reqs);
}
