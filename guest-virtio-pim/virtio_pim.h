/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio_pim.ko: the ranks of a virtio-pim device (docs/virtio-pim.md) as
 * /dev/dpu_rankN of a guest, through dpu.ko.
 *
 * A request (struct vpim_req) has a reference of who waits for it and one of
 * the device's. Who is killed while it waits lets it go, and what the device
 * still writes goes into the request, not into memory of others; only transfers,
 * whose data are pages of the program, are waited for in any case, which the
 * device bounds.
 *
 * The device may go (unbound, unplugged, suspended, broken) while requests are
 * under way and ranks are open: then vp->error is set, which keeps new requests
 * away, the device is reset, and everything that it had ends with that error.
 *
 * Locks: queue->lock (spin) the virtqueue, and vp->error while one is added.
 */
#ifndef VIRTIO_PIM_H
#define VIRTIO_PIM_H

#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../include/uapi/annex/virtio_pim.h"
#include "dpu_rank.h"

struct vpim;

struct vpim_queue {
	struct vpim *vp;
	struct virtqueue *vq;
	spinlock_t lock;		/* the virtqueue; vp->error while one is added */
	wait_queue_head_t space;	/* something came back, or vp->error */
};

/* A rank, from when the device could say what it is. */
struct vpim_rank {
	struct vpim *vp;
	u32 index;
	u32 epoch;		/* vp->epoch when it was opened */
	struct dpu_rank *dpu;	/* or NULL */
};

struct vpim {
	struct virtio_device *vdev;
	int error;		/* not 0: what requests end with */
	u32 epoch;		/* counts resets that open ranks did not outlive */
	u32 nr_ranks;
	u32 nr_queues;		/* of requests */
	u32 seg_max;		/* pieces of data of one request */
	u32 seg_bytes;		/* of one piece */
	u32 batch_max;		/* command sets of a request */
	struct vpim_rank *ranks;
	struct vpim_queue *queues;	/* [0] is the control queue */
	struct work_struct scan;	/* look for ranks */
	struct work_struct failed;	/* the device asked for a reset */
	atomic_t next_queue;
};

struct vpim_req {
	struct kref ref;
	struct list_head list;	/* for who waits for several */
	struct completion done;
	int error;		/* the device did not answer */
	void *data;		/* more of its own, freed with it */
	u32 out_bytes;
	u32 in_bytes;		/* without the status */
	struct {		/* the device reads */
		struct virtio_pim_hdr hdr;
		union {
			struct virtio_pim_xfer xfer;
			__le64 words[VIRTIO_PIM_CIS];
		};
	} out;
	/* The device writes; the status is behind in_bytes of it. */
	struct {
		union {
			__le64 words[VIRTIO_PIM_CIS];
			struct virtio_pim_info info;
		};
		u8 spare;
	} in ____cacheline_aligned;
};

/* virtio_pim_req.c */
struct vpim_req *vpim_req_new(u32 type, u32 rank, gfp_t gfp);
void vpim_req_put(struct vpim_req *req);

/**
 * vpim_submit - give a request to the device
 * @q: the queue
 * @req: its out and in are filled in
 * @out: data behind @req->out that the device reads, or NULL
 * @in: data before @req->in that it writes, or NULL
 * @killable: the wait for a place in the queue
 *
 * 0, -EINTR, -ENODEV, -EIO, -ENOMEM.
 */
int vpim_submit(struct vpim_queue *q, struct vpim_req *req, struct scatterlist *out,
		struct scatterlist *in, bool killable);

/** vpim_wait - for the answer; 0, -EINTR killed, or what the status means */
int vpim_wait(struct vpim_req *req, bool killable);

void vpim_queue_done(struct virtqueue *vq);
void vpim_fail(struct vpim *vp, int error);
void vpim_drain(struct vpim *vp);

/* virtio_pim_rank.c */
extern const struct dpu_rank_ops vpim_rank_ops;
int vpim_rank_describe(struct vpim_rank *r, struct dpu_rank_info *info, void *vpd);

#endif
