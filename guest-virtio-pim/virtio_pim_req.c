// SPDX-License-Identifier: GPL-2.0-only
/* Requests: made, given to the device, waited for. */
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "virtio_pim.h"

static void vpim_req_free(struct kref *ref)
{
	struct vpim_req *req = container_of(ref, struct vpim_req, ref);

	kfree(req->data);
	kfree(req);
}

void vpim_req_put(struct vpim_req *req)
{
	kref_put(&req->ref, vpim_req_free);
}

struct vpim_req *vpim_req_new(u32 type, u32 rank, gfp_t gfp)
{
	struct vpim_req *req = kzalloc(sizeof(*req), gfp);

	if (!req)
		return NULL;
	kref_init(&req->ref);
	INIT_LIST_HEAD(&req->list);
	init_completion(&req->done);
	req->out.hdr.type = cpu_to_le32(type);
	req->out.hdr.rank = cpu_to_le32(rank);
	req->out_bytes = sizeof(req->out.hdr);
	return req;
}

static u8 *vpim_req_status(struct vpim_req *req)
{
	return (u8 *)&req->in + req->in_bytes;
}

/* -ENOSPC: not now. */
static int vpim_add(struct vpim_queue *q, struct vpim_req *req, struct scatterlist *out,
		    struct scatterlist *in)
{
	struct scatterlist head, tail, *sgs[4];
	unsigned int n = 0, n_out;
	bool kick;
	int err;

	*vpim_req_status(req) = U8_MAX;		/* no answer is no success */
	sg_init_one(&head, &req->out, req->out_bytes);
	sg_init_one(&tail, &req->in, req->in_bytes + 1);
	sgs[n++] = &head;
	if (out)
		sgs[n++] = out;
	n_out = n;
	if (in)
		sgs[n++] = in;
	sgs[n++] = &tail;

	spin_lock_irq(&q->lock);
	err = q->vp->error;
	if (!err)
		err = virtqueue_add_sgs(q->vq, sgs, n_out, n - n_out, req, GFP_ATOMIC);
	if (err) {
		spin_unlock_irq(&q->lock);
		return err;
	}
	kref_get(&req->ref);	/* the device's */
	kick = virtqueue_kick_prepare(q->vq);
	spin_unlock_irq(&q->lock);
	if (kick)
		virtqueue_notify(q->vq);
	return 0;
}

int vpim_submit(struct vpim_queue *q, struct vpim_req *req, struct scatterlist *out,
		struct scatterlist *in, bool killable)
{
	int err, killed;

	/* A full queue gives a place back: each request in it is answered. */
	if (!killable) {
		wait_event(q->space, (err = vpim_add(q, req, out, in)) != -ENOSPC);
		return err;
	}
	killed = wait_event_killable(q->space, (err = vpim_add(q, req, out, in)) != -ENOSPC);
	if (killed)
		return -EINTR;
	return err;
}

int vpim_wait(struct vpim_req *req, bool killable)
{
	static const short errors[] = {
		[VIRTIO_PIM_S_OK]	= 0,
		[VIRTIO_PIM_S_INVAL]	= -EINVAL,
		[VIRTIO_PIM_S_UNSUPP]	= -EINVAL,
		[VIRTIO_PIM_S_IOERR]	= -EIO,
		[VIRTIO_PIM_S_NOTOPEN]	= -EIO,
		[VIRTIO_PIM_S_BUSY]	= -EBUSY,
		[VIRTIO_PIM_S_NORANK]	= -EIO,
		[VIRTIO_PIM_S_FAULT]	= -EFAULT,
		[VIRTIO_PIM_S_NOMEM]	= -ENOMEM,
		[VIRTIO_PIM_S_QUOTA]	= -EDQUOT,
	};
	u8 status;

	if (!killable)
		wait_for_completion(&req->done);
	else if (wait_for_completion_killable(&req->done))
		return -EINTR;
	if (req->error)
		return req->error;
	status = *vpim_req_status(req);
	return status < ARRAY_SIZE(errors) ? errors[status] : -EIO;
}

static void vpim_req_end(struct vpim_req *req, int error)
{
	req->error = error;
	complete(&req->done);
	vpim_req_put(req);
}

/** vpim_queue_done - the device has answered something */
void vpim_queue_done(struct virtqueue *vq)
{
	struct vpim *vp = vq->vdev->priv;
	struct vpim_queue *q = &vp->queues[vq->index];
	struct vpim_req *req;
	unsigned long flags;
	unsigned int len;

	spin_lock_irqsave(&q->lock, flags);
	do {
		virtqueue_disable_cb(vq);
		while ((req = virtqueue_get_buf(vq, &len)))
			vpim_req_end(req, len ? 0 : -EIO);
	} while (!virtqueue_enable_cb(vq) && !virtqueue_is_broken(vq));
	spin_unlock_irqrestore(&q->lock, flags);
	wake_up_all(&q->space);
}

/** vpim_fail - no more requests; those that the device has are still its */
void vpim_fail(struct vpim *vp, int error)
{
	u32 i;

	for (i = 0; i <= vp->nr_queues; i++) {
		spin_lock_irq(&vp->queues[i].lock);
		WRITE_ONCE(vp->error, error);
		spin_unlock_irq(&vp->queues[i].lock);
		wake_up_all(&vp->queues[i].space);
	}
}

/** vpim_drain - end what the device had, after it was reset */
void vpim_drain(struct vpim *vp)
{
	struct vpim_req *req;
	u32 i;

	for (i = 0; i <= vp->nr_queues; i++) {
		while ((req = virtqueue_detach_unused_buf(vp->queues[i].vq)))
			vpim_req_end(req, vp->error);
	}
}
