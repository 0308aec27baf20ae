// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transfers between user memory and MRAM: the matrix is checked, the user's
 * pages are pinned and given to the provider as scatter lists.
 *
 * A large transfer goes in windows: the same range of every DPU's bytes, as
 * large as DPU_XFER_PAGES pages allow for all DPUs together. So no more than
 * 32 MiB of a program's memory is pinned at a time, and no allocation grows
 * with the transfer.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "dpu.h"

struct dpu_xfer_state {
	struct dpu_transfer matrix;
	struct dpu_xfer x;
	u32 nr_pages;		/* pinned */
	struct page **pages;	/* as many as a window can have */
	struct bio_vec *vec;	/* the same */
};

/* How many DPUs take part, or an error. */
static int dpu_matrix_check(const struct dpu_rank *rank, const struct dpu_transfer *m)
{
	u32 dpu;
	int nr = 0;

	if (m->offset % 8 || m->bytes % 8 ||
	    (u64)m->offset + m->bytes > rank->info.mram_size)
		return -EINVAL;
	for (dpu = 0; dpu < DPU_MAX_DPUS; dpu++) {
		if (!m->ptr[dpu])
			continue;
		if (!dpu_rank_has(rank, dpu))
			return -EINVAL;
		if (!access_ok((void __user *)(uintptr_t)m->ptr[dpu], m->bytes))
			return -EFAULT;
		nr++;
	}
	return nr;
}

/* Pin @bytes at @start and describe them behind what is there already. */
static int dpu_pin(struct dpu_xfer_state *s, u32 dpu, unsigned long start, u32 bytes, bool to_user)
{
	unsigned long first = start & PAGE_MASK;
	u32 offset = start - first, left = bytes, i;
	u32 nr = DIV_ROUND_UP(offset + bytes, PAGE_SIZE), done = 0;
	struct dpu_xfer_part *part = &s->x.part[s->x.nr];
	struct page **pages = s->pages + s->nr_pages;

	while (done < nr) {
		int got = pin_user_pages_fast(first + (unsigned long)done * PAGE_SIZE, nr - done,
					      to_user ? FOLL_WRITE : 0, pages + done);

		if (fatal_signal_pending(current))
			got = got > 0 ? got : -EINTR;
		if (got <= 0)
			return got == -ENOMEM || got == -EINTR ? got : -EFAULT;
		s->nr_pages += got;	/* dpu_unpin() undoes these too */
		done += got;
	}

	/* There is a vector for each page, so joining them cannot run out. */
	part->dpu = dpu;
	part->nr = 0;
	part->vec = s->vec + (pages - s->pages);
	for (i = 0; i < nr; i++) {
		u32 here = min_t(u32, left, PAGE_SIZE - offset);

		if (i && page_to_pfn(pages[i]) == page_to_pfn(pages[i - 1]) + 1)
			part->vec[part->nr - 1].bv_len += here;
		else
			bvec_set_page(&part->vec[part->nr++], pages[i], here, offset);
		left -= here;
		offset = 0;
	}
	s->x.nr++;
	return 0;
}

static void dpu_unpin(struct dpu_xfer_state *s, bool to_user)
{
	if (s->nr_pages)
		unpin_user_pages_dirty_lock(s->pages, s->nr_pages, to_user);
	s->nr_pages = 0;
	s->x.nr = 0;
}

/* @bytes of every DPU of the matrix, @done bytes into it. */
static int dpu_xfer_window(struct dpu_rank *rank, struct dpu_xfer_state *s, u32 done, u32 bytes,
			   bool to_user)
{
	u32 dpu;
	int err = 0;

	s->x.offset = s->matrix.offset + done;
	s->x.bytes = bytes;
	for (dpu = 0; dpu < DPU_MAX_DPUS && !err; dpu++) {
		if (s->matrix.ptr[dpu])
			err = dpu_pin(s, dpu, s->matrix.ptr[dpu] + done, bytes, to_user);
	}
	if (!err)
		err = dpu_rank_enter(rank);
	if (!err) {
		err = dpu_predict_flush(rank) ?: dpu_small_settle(rank);
		if (!err)
			err = to_user ? rank->ops->read(rank, &s->x) :
					rank->ops->write(rank, &s->x);
		dpu_rank_leave(rank);
	}
	dpu_unpin(s, to_user);
	return err;
}

/** dpu_xfer - DPU_IOC_WRITE, or with @to_user DPU_IOC_READ */
int dpu_xfer(struct dpu_rank *rank, const void __user *arg, bool to_user)
{
	struct dpu_xfer_state *s;
	u32 done, window, most;
	int nr, err = 0;

	/* The bytes of the matrix that count; newer programs pass more behind it. */
	BUILD_BUG_ON(sizeof(struct dpu_transfer) != 520);
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	if (copy_from_user(&s->matrix, arg, sizeof(s->matrix))) {
		err = -EFAULT;
		goto free;
	}
	nr = dpu_matrix_check(rank, &s->matrix);
	if (nr <= 0) {
		err = nr;
		goto free;
	}
	if (nr == 1) {
		bool done;

		err = dpu_small_xfer(rank, &s->matrix, to_user, &done);
		if (done)
			goto free;
	}
	/* A page more a DPU, because its first and last may be used in part. */
	window = (DPU_XFER_PAGES / nr - 1) * PAGE_SIZE;
	window = min(window, s->matrix.bytes);
	most = nr * (DIV_ROUND_UP(window, PAGE_SIZE) + 1);
	s->pages = kvmalloc_array(most, sizeof(*s->pages), GFP_KERNEL);
	s->vec = kvmalloc_array(most, sizeof(*s->vec), GFP_KERNEL);
	if (!s->pages || !s->vec)
		err = -ENOMEM;
	for (done = 0; done < s->matrix.bytes && !err; done += window) {
		err = dpu_xfer_window(rank, s, done, min(window, s->matrix.bytes - done), to_user);
		cond_resched();
	}
free:
	kvfree(s->pages);
	kvfree(s->vec);
	kfree(s);
	return err;
}
