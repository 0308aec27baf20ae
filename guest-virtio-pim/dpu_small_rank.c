// SPDX-License-Identifier: GPL-2.0-only
/*
 * Small transfers of a rank, with the kernel around them: memory, the lock, the
 * time after which what was kept is sent. The logic is in dpu_small.c.
 *
 * Only ranks whose requests are expensive (batch_max) have this. User memory is
 * copied outside of all locks, as everywhere. small->lock is inside of
 * rank->gone_lock and of rank->predict.lock.
 */
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "dpu.h"

#define DPU_SMALL_LATE_MS	2	/* a write is kept no longer */

static bool merge_writes = true;
module_param(merge_writes, bool, 0644);
MODULE_PARM_DESC(merge_writes, "keep small writes for a moment and send them together, of ranks opened later (default Y)");

static bool prefetch_reads = true;
module_param(prefetch_reads, bool, 0644);
MODULE_PARM_DESC(prefetch_reads, "read ahead where small reads follow a pattern, of ranks opened later (default Y)");

static int dpu_small_move(void *ctx, bool read, const u8 *dpus, u32 nr, u32 offset, u32 bytes,
			  void *data)
{
	struct dpu_rank *rank = ctx;
	struct dpu_small_rank *small = &rank->small;
	struct dpu_xfer *x = &small->x;
	u32 i;

	x->offset = offset;
	x->bytes = bytes;
	x->nr = nr;
	for (i = 0; i < nr; i++) {
		void *at = data + (size_t)i * bytes;

		bvec_set_page(&small->vec[i], virt_to_page(at), bytes, offset_in_page(at));
		x->part[i] = (struct dpu_xfer_part){ dpus[i], 1, &small->vec[i] };
	}
	return read ? rank->ops->read(rank, x) : rank->ops->write(rank, x);
}

/* How to reach the rank now; small->lock is held. */
static const struct dpu_small_io *dpu_small_now(struct dpu_small_rank *small)
{
	lockdep_assert_held(&small->lock);
	small->io.now = jiffies_to_msecs(jiffies);
	return &small->io;
}

/** dpu_small_settle - nothing is kept any more, nothing was read ahead; provider entered */
int dpu_small_settle(struct dpu_rank *rank)
{
	struct dpu_small_rank *small = &rank->small;
	int err;

	if (!small->s.data)
		return 0;
	if (mutex_lock_killable(&small->lock))
		return -EINTR;
	err = dpu_small_send(&small->s, dpu_small_now(small));
	dpu_small_forget(&small->s);
	mutex_unlock(&small->lock);
	return err;
}

/** dpu_small_changed - the rank was asked something, with @err: what was read ahead is old */
void dpu_small_changed(struct dpu_rank *rank, int err)
{
	struct dpu_small_rank *small = &rank->small;

	if (!small->s.data)
		return;
	mutex_lock(&small->lock);
	dpu_small_forget(&small->s);
	small->s.direct = small->s.direct || err;
	mutex_unlock(&small->lock);
}

static void dpu_small_late(struct work_struct *work)
{
	struct dpu_rank *rank = container_of(to_delayed_work(work), struct dpu_rank, small.late);
	struct dpu_small_rank *small = &rank->small;

	/* Whoever waits to take the rank away waits for who waits for us. */
	if (!down_read_trylock(&rank->gone_lock))
		return;
	if (!rank->gone) {
		mutex_lock(&small->lock);
		dpu_small_send(&small->s, dpu_small_now(small));
		mutex_unlock(&small->lock);
	}
	up_read(&rank->gone_lock);
}

static int dpu_small_do(struct dpu_rank *rank, u32 dpu, const struct dpu_transfer *m, void *data,
			bool to_user)
{
	struct dpu_small_rank *small = &rank->small;
	const struct dpu_small_io *io;
	int err = dpu_rank_enter(rank);

	if (err)
		return err;
	err = -EINTR;
	if (mutex_lock_killable(&small->lock))
		goto leave;
	io = dpu_small_now(small);
	err = to_user ? dpu_small_read(&small->s, io, dpu, m->offset, m->bytes, data) :
			dpu_small_write(&small->s, io, dpu, m->offset, m->bytes, data);
	if (small->s.nr)
		schedule_delayed_work(&small->late, msecs_to_jiffies(DPU_SMALL_LATE_MS));
	mutex_unlock(&small->lock);
leave:
	dpu_rank_leave(rank);
	return err;
}

/** dpu_small_xfer - a transfer of one DPU; *done: it is small, and this is its result */
int dpu_small_xfer(struct dpu_rank *rank, const struct dpu_transfer *m, bool to_user, bool *done)
{
	void __user *user;
	u32 dpu = 0;
	void *data;
	int err = 0;

	*done = rank->small.s.data && m->bytes && m->bytes <= DPU_SMALL_BYTES;
	if (!*done)
		return 0;
	while (!m->ptr[dpu])
		dpu++;
	user = (void __user *)(uintptr_t)m->ptr[dpu];
	data = kmalloc(m->bytes, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	if (!to_user && copy_from_user(data, user, m->bytes))
		err = -EFAULT;
	if (!err)
		err = dpu_small_do(rank, dpu, m, data, to_user);
	if (!err && to_user && copy_to_user(user, data, m->bytes))
		err = -EFAULT;
	kfree(data);
	return err;
}

/* --- life --------------------------------------------------------------------------------- */

void dpu_small_init(struct dpu_rank *rank)
{
	mutex_init(&rank->small.lock);
	INIT_DELAYED_WORK(&rank->small.late, dpu_small_late);
}

static u8 *dpu_small_buffer(void)
{
	return alloc_pages_exact(DPU_SMALL_BUFFER, GFP_KERNEL | __GFP_NOWARN);
}

static void dpu_small_free(struct dpu_small *s)
{
	u32 i;

	for (i = 0; i < DPU_SMALL_WINDOWS; i++) {
		if (s->window[i].data)
			free_pages_exact(s->window[i].data, DPU_SMALL_BUFFER);
		s->window[i].data = NULL;
	}
	if (s->data)
		free_pages_exact(s->data, DPU_SMALL_BUFFER);
	s->data = NULL;
}

/** dpu_small_open - nobody has the rank open; without memory each transfer is a request */
void dpu_small_open(struct dpu_rank *rank)
{
	struct dpu_small_rank *small = &rank->small;
	bool all = true;
	u32 i;

	small->io = (struct dpu_small_io){
		.move = dpu_small_move,
		.ctx = rank,
		.mram_size = rank->info.mram_size,
		.merge = READ_ONCE(merge_writes),
		.prefetch = READ_ONCE(prefetch_reads),
	};
	if (rank->info.batch_max < 2 || !(small->io.merge || small->io.prefetch))
		return;
	for (i = 0; i < DPU_MAX_DPUS; i++)
		small->io.all |= (u64)dpu_rank_has(rank, i) << i;
	dpu_small_reset(&small->s);
	small->s.data = dpu_small_buffer();
	for (i = 0; i < DPU_SMALL_WINDOWS; i++) {
		small->s.window[i].data = dpu_small_buffer();
		all = all && small->s.window[i].data;
	}
	if (!small->s.data || !all)
		dpu_small_free(&small->s);
}

/**
 * dpu_small_close - the last one closed it
 * @rank: the rank
 * @send: what was kept is sent first: its owner may come back to it
 */
void dpu_small_close(struct dpu_rank *rank, bool send)
{
	struct dpu_small_rank *small = &rank->small;

	if (!small->s.data)
		return;
	if (send) {
		mutex_lock(&small->lock);
		dpu_small_send(&small->s, dpu_small_now(small));
		mutex_unlock(&small->lock);
	}
	cancel_delayed_work_sync(&small->late);
	dpu_small_free(&small->s);
}
