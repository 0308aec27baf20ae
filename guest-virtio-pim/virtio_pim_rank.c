// SPDX-License-Identifier: GPL-2.0-only
/*
 * A rank's operations, as requests.
 *
 * A transfer comes as pages of up to 64 DPUs. It becomes as many requests as
 * their pieces need, each for as many whole DPUs as fit, or for a part of one
 * DPU where even that does not; all of them are under way at once, in all queues.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "virtio_pim.h"

/* A queue for what a rank is asked from this processor. */
static struct vpim_queue *vpim_rank_queue(struct vpim_rank *r)
{
	struct vpim *vp = r->vp;

	return &vp->queues[1 + (r->index + vp->nr_ranks * raw_smp_processor_id()) % vp->nr_queues];
}

static struct vpim_queue *vpim_next_queue(struct vpim *vp)
{
	return &vp->queues[1 + (u32)atomic_inc_return(&vp->next_queue) % vp->nr_queues];
}

/* What the rank held was lost with a reset of the device. */
static int vpim_rank_check(struct vpim_rank *r)
{
	return r->epoch == READ_ONCE(r->vp->epoch) ? 0 : -EIO;
}

/* --- control ------------------------------------------------------------------------------ */

static int vpim_control(struct vpim_rank *r, u32 type)
{
	struct vpim_req *req = vpim_req_new(type, r->index, GFP_KERNEL);
	int err;

	if (!req)
		return -ENOMEM;
	err = vpim_submit(r->vp->queues, req, NULL, NULL, true) ?: vpim_wait(req, true);
	vpim_req_put(req);
	return err;
}

/* Must not fail: what it gives back may be all there is. */
static void vpim_rank_close(struct vpim_rank *r)
{
	struct vpim_req *req = vpim_req_new(VIRTIO_PIM_T_CLOSE, r->index,
					    GFP_KERNEL | __GFP_NOFAIL);

	if (!vpim_submit(r->vp->queues, req, NULL, NULL, false))
		vpim_wait(req, false);
	vpim_req_put(req);
}

static int vpim_open(struct dpu_rank *dpu)
{
	struct vpim_rank *r = dpu_rank_priv(dpu);
	int err;

	r->epoch = READ_ONCE(r->vp->epoch);
	err = vpim_control(r, VIRTIO_PIM_T_OPEN);
	if (err == -EINTR)	/* the device may have opened it, or still do so */
		vpim_rank_close(r);
	return err;
}

static void vpim_release(struct dpu_rank *dpu)
{
	struct vpim_rank *r = dpu_rank_priv(dpu);

	if (!vpim_rank_check(r))
		vpim_rank_close(r);
}

/* --- commands -------------------------------------------------------------------------------- */

static int vpim_words(struct vpim_rank *r, struct vpim_req *req, u64 *results)
{
	u32 ci;
	int err;

	req->in_bytes = sizeof(req->in.words);
	err = vpim_rank_check(r) ?:
	      vpim_submit(vpim_rank_queue(r), req, NULL, NULL, true) ?:
	      vpim_wait(req, true);
	for (ci = 0; ci < VIRTIO_PIM_CIS && !err; ci++)
		results[ci] = le64_to_cpu(req->in.words[ci]);
	vpim_req_put(req);
	return err;
}

static int vpim_commit(struct dpu_rank *dpu, const u64 *cmds, u64 *results)
{
	struct vpim_rank *r = dpu_rank_priv(dpu);
	struct vpim_req *req = vpim_req_new(VIRTIO_PIM_T_COMMIT, r->index, GFP_KERNEL);
	u32 ci;

	if (!req)
		return -ENOMEM;
	for (ci = 0; ci < VIRTIO_PIM_CIS; ci++)
		req->out.words[ci] = cpu_to_le64(cmds[ci]);
	req->out_bytes += sizeof(req->out.words);
	return vpim_words(r, req, results);
}

static int vpim_batch(struct dpu_rank *dpu, const u64 *cmds, u64 *results, u32 n)
{
	struct vpim_rank *r = dpu_rank_priv(dpu);
	struct vpim_req *req = vpim_req_new(VIRTIO_PIM_T_COMMIT, r->index, GFP_KERNEL);
	u32 words = n * VIRTIO_PIM_CIS, i;
	struct scatterlist out, in;
	__le64 *data;
	int err;

	if (!req)
		return -ENOMEM;
	data = kmalloc_array(words, 2 * sizeof(*data), GFP_KERNEL);
	req->data = data;
	if (!data) {
		err = -ENOMEM;
		goto put;
	}
	for (i = 0; i < words; i++)
		data[i] = cpu_to_le64(cmds[i]);
	sg_init_one(&out, data, words * sizeof(*data));
	sg_init_one(&in, data + words, words * sizeof(*data));
	err = vpim_rank_check(r) ?: vpim_submit(vpim_rank_queue(r), req, &out, &in, true) ?:
	      vpim_wait(req, true);
	for (i = 0; i < words && !err; i++)
		results[i] = le64_to_cpu(data[words + i]);
put:
	vpim_req_put(req);
	return err;
}

static int vpim_update(struct dpu_rank *dpu, u64 *results)
{
	struct vpim_rank *r = dpu_rank_priv(dpu);
	struct vpim_req *req = vpim_req_new(VIRTIO_PIM_T_UPDATE, r->index, GFP_KERNEL);

	return req ? vpim_words(r, req, results) : -ENOMEM;
}

/* --- transfers ------------------------------------------------------------------------- */

/* Where in a transfer the next request begins. */
struct vpim_cursor {
	u32 part;	/* the DPU */
	u32 done;	/* its bytes so far */
	u32 vec;	/* its current vector */
	u32 skip;	/* bytes of that */
};

/* Pieces for up to @bytes of the current DPU, not more than @room. Bytes that they have. */
static u32 vpim_take(struct vpim *vp, const struct dpu_xfer *x, struct vpim_cursor *cur,
		     u32 bytes, struct scatterlist *sg, u32 room, u32 *nr)
{
	const struct dpu_xfer_part *part = &x->part[cur->part];
	u32 taken = 0;

	while (taken < bytes && *nr < room) {
		const struct bio_vec *v = &part->vec[cur->vec];
		u32 offset = v->bv_offset + cur->skip;
		u32 n = min3(v->bv_len - cur->skip, bytes - taken, vp->seg_bytes);

		sg_set_page(&sg[*nr], nth_page(v->bv_page, offset / PAGE_SIZE), n,
			    offset % PAGE_SIZE);
		++*nr;
		taken += n;
		cur->skip += n;
		if (cur->skip == v->bv_len) {
			cur->vec++;
			cur->skip = 0;
		}
	}
	cur->done += taken;
	return taken;
}

/* The next request: what it is about goes to @w, its data to @sg. */
static void vpim_next_piece(struct vpim *vp, const struct dpu_xfer *x, struct vpim_cursor *cur,
			    struct virtio_pim_xfer *w, struct scatterlist *sg)
{
	u32 nr = 0, bytes = x->bytes - cur->done, offset = x->offset + cur->done;
	bool whole = !cur->done;
	u64 mask = 0;

	sg_init_table(sg, vp->seg_max);
	while (cur->part < x->nr) {
		struct vpim_cursor before = *cur;
		u32 nr_before = nr;

		if (vpim_take(vp, x, cur, bytes, sg, vp->seg_max, &nr) == bytes) {
			mask |= 1ull << x->part[cur->part].dpu;
			*cur = (struct vpim_cursor) { .part = cur->part + 1 };
			if (whole)
				continue;
			break;
		}
		if (mask) {	/* in the next one */
			*cur = before;
			nr = nr_before;
			break;
		}
		/* Not even one DPU: a part of it, in units that may be moved. */
		bytes = round_down(cur->done - before.done, 8);
		*cur = before;
		nr = 0;
		vpim_take(vp, x, cur, bytes, sg, vp->seg_max, &nr);
		mask = 1ull << x->part[cur->part].dpu;
		break;
	}
	w->mask = cpu_to_le64(mask);
	w->offset = cpu_to_le32(offset);
	w->bytes = cpu_to_le32(bytes);
	sg_mark_end(&sg[nr - 1]);
}

static int vpim_xfer(struct dpu_rank *dpu, const struct dpu_xfer *x, bool read)
{
	struct vpim_rank *r = dpu_rank_priv(dpu);
	struct vpim *vp = r->vp;
	struct vpim_req *req, *next;
	struct vpim_cursor cur = {};
	struct scatterlist *sg;
	LIST_HEAD(reqs);
	int err, e;

	sg = kvmalloc_array(vp->seg_max, sizeof(*sg), GFP_KERNEL);
	if (!sg)
		return -ENOMEM;
	err = vpim_rank_check(r);
	while (cur.part < x->nr && !err) {
		req = vpim_req_new(read ? VIRTIO_PIM_T_READ : VIRTIO_PIM_T_WRITE, r->index,
				   GFP_KERNEL);
		if (!req) {
			err = -ENOMEM;
			break;
		}
		vpim_next_piece(vp, x, &cur, &req->out.xfer, sg);
		req->out_bytes += sizeof(req->out.xfer);
		err = vpim_submit(vpim_next_queue(vp), req, read ? NULL : sg, read ? sg : NULL,
				  true);
		if (err)
			vpim_req_put(req);
		else
			list_add_tail(&req->list, &reqs);
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
	}
	/* The pages are the device's until it says otherwise, whoever is being killed. */
	list_for_each_entry_safe(req, next, &reqs, list) {
		e = vpim_wait(req, false);
		err = err ?: e;
		vpim_req_put(req);
	}
	kvfree(sg);
	return err;
}

static int vpim_write(struct dpu_rank *dpu, const struct dpu_xfer *x)
{
	return vpim_xfer(dpu, x, false);
}

static int vpim_read(struct dpu_rank *dpu, const struct dpu_xfer *x)
{
	return vpim_xfer(dpu, x, true);
}

const struct dpu_rank_ops vpim_rank_ops = {
	.owner		= THIS_MODULE,
	.open		= vpim_open,
	.release	= vpim_release,
	.commit		= vpim_commit,
	.batch		= vpim_batch,
	.update		= vpim_update,
	.write		= vpim_write,
	.read		= vpim_read,
};

/* --- what it is ------------------------------------------------------------------------ */

static int vpim_rank_vpd(struct vpim_rank *r, void *vpd, u32 bytes)
{
	struct vpim_req *req = vpim_req_new(VIRTIO_PIM_T_VPD, r->index, GFP_KERNEL);
	struct scatterlist sg;
	int err;

	if (!req)
		return -ENOMEM;
	sg_init_one(&sg, vpd, bytes);
	err = vpim_submit(r->vp->queues, req, NULL, &sg, false) ?: vpim_wait(req, false);
	vpim_req_put(req);
	return err;
}

static void vpim_text(char *to, const char *from, size_t bytes)
{
	memcpy(to, from, bytes);
	to[bytes - 1] = '\0';
}

/**
 * vpim_rank_describe - ask the device
 * @r: the rank
 * @info: is filled in; dpu.ko checks the numbers
 * @vpd: VIRTIO_PIM_VPD_MAX bytes, which @info refers to
 */
int vpim_rank_describe(struct vpim_rank *r, struct dpu_rank_info *info, void *vpd)
{
	struct vpim_req *req = vpim_req_new(VIRTIO_PIM_T_INFO, r->index, GFP_KERNEL);
	const struct virtio_pim_info *in;
	u32 ci;
	int err;

	if (!req)
		return -ENOMEM;
	req->in_bytes = sizeof(req->in.info);
	err = vpim_submit(r->vp->queues, req, NULL, NULL, false) ?: vpim_wait(req, false);
	if (err)
		goto put;
	in = &req->in.info;
	*info = (struct dpu_rank_info) {
		.nr_cis = le32_to_cpu(in->nr_cis),
		.nr_dpus_per_ci = le32_to_cpu(in->nr_dpus_per_ci),
		.mram_size = le32_to_cpu(in->mram_size),
		.chip_id = le32_to_cpu(in->chip_id),
		.fck_mhz = le32_to_cpu(in->fck_mhz),
		.clock_division = le32_to_cpu(in->clock_division),
		.channel_id = le32_to_cpu(in->channel_id),
		.rank_index = le32_to_cpu(in->rank_index),
		.rank_count = le32_to_cpu(in->rank_count),
		.batch_max = r->vp->batch_max,
		.ci_mask = le32_to_cpu(in->ci_mask),
		.vpd_bytes = le32_to_cpu(in->vpd_bytes),
		.vpd = vpd,
	};
	for (ci = 0; ci < VIRTIO_PIM_CIS; ci++)
		info->byte_order[ci] = le64_to_cpu(in->byte_order[ci]);
	vpim_text(info->mcu_version, in->mcu_version, sizeof(info->mcu_version));
	vpim_text(info->part_number, in->part_number, sizeof(info->part_number));
	vpim_text(info->serial_number, in->serial_number, sizeof(info->serial_number));
	if (info->vpd_bytes > VIRTIO_PIM_VPD_MAX)
		err = -EINVAL;
	else if (info->vpd_bytes)
		err = vpim_rank_vpd(r, vpd, info->vpd_bytes);
put:
	vpim_req_put(req);
	return err;
}
