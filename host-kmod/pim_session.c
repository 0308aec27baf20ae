// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests to a provider and what comes back.
 *
 * The rings are shared with a program, so they are written as a courtesy and
 * read with suspicion: what the kernel knows is in the slots. A request has a
 * slot from before it is put into the ring until the provider has answered it,
 * even if who asked was killed meanwhile; so a ring of requests, which has as
 * many elements as there are slots, cannot overflow.
 *
 * A session ends when its file is closed, a request is not answered by its
 * deadline, or the rings do not make sense. Then all requests end with -EIO and
 * there are no more.
 */
#include <linux/anon_inodes.h>
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "pim_compat.h"
#include "pim_ioctl.h"
#include "pim_mram.h"
#include "pim_rank.h"
#include "pim_session.h"
#include "pim_trace.h"

static void pim_session_free(struct kref *kref)
{
	struct pim_session *s = container_of(kref, struct pim_session, kref);

	if (s->eventfd)
		eventfd_ctx_put(s->eventfd);
	if (s->mram)
		fput(s->mram);
	vfree(s->ring);
	kvfree(s->slots);
	put_pid(s->pid);
	put_device(&s->rank->dev);
	kfree(s);
}

void pim_session_put(struct pim_session *s)
{
	kref_put(&s->kref, pim_session_free);
}

/** pim_session_create - of the calling process, not attached to the rank yet */
struct pim_session *pim_session_create(struct pim_rank *rank, const struct pim_rank_add *add)
{
	struct pim_session *s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);
	int err = -ENOMEM;
	u32 i;

	BUILD_BUG_ON(sizeof(struct pim_ring) != 192);
	BUILD_BUG_ON(sizeof(struct pim_request) != 128);
	BUILD_BUG_ON(sizeof(struct pim_completion) != 128);
	if (!s)
		return ERR_PTR(-ENOMEM);
	kref_init(&s->kref);
	s->rank = rank;
	get_device(&rank->dev);
	spin_lock_init(&s->lock);
	init_waitqueue_head(&s->provider_wait);
	init_waitqueue_head(&s->slot_wait);
	s->pid = get_task_pid(current, PIDTYPE_TGID);
	s->flags = add->flags;
	s->state_bytes = add->state_bytes;
	s->deadline = msecs_to_jiffies(add->deadline_ms);
	s->depth = add->depth;
	s->slots = kvcalloc(s->depth, sizeof(*s->slots), GFP_KERNEL_ACCOUNT);
	if (!s->slots)
		goto put;
	for (i = 0; i < s->depth; i++)
		init_completion(&s->slots[i].done);
	s->ring_bytes = PAGE_ALIGN(PIM_RING_BYTES(s->depth));
	s->ring = vmalloc_user(s->ring_bytes);
	if (!s->ring)
		goto put;
	s->ring->depth = s->depth;
	s->ring->req_offset = sizeof(struct pim_ring);
	s->ring->cmp_offset = sizeof(struct pim_ring) + s->depth * sizeof(struct pim_request);
	s->ring->bytes = PIM_RING_BYTES(s->depth);
	s->mram = pim_mram_create(rank->id, rank->mram_size * pim_rank_dpus(rank));
	if (IS_ERR(s->mram)) {
		err = PTR_ERR(s->mram);
		s->mram = NULL;
		goto put;
	}
	return s;
put:
	pim_session_put(s);
	return ERR_PTR(err);
}

static struct pim_request *pim_ring_request(struct pim_session *s, u32 n)
{
	return (void *)s->ring + sizeof(struct pim_ring) +
	       (n & (s->depth - 1)) * sizeof(struct pim_request);
}

static struct pim_completion *pim_ring_completion(struct pim_session *s, u32 n)
{
	return (void *)s->ring + sizeof(struct pim_ring) +
	       s->depth * sizeof(struct pim_request) +
	       (n & (s->depth - 1)) * sizeof(struct pim_completion);
}

/* --- asking ---------------------------------------------------------------------- */

/* Give @req to the provider. The slot, -EAGAIN when none is free, -EIO. */
static int pim_session_submit(struct pim_session *s, const struct pim_request *req)
{
	struct io_uring_cmd *cmd = NULL;
	struct pim_request *there;
	u32 tag;
	int err = -EAGAIN;

	spin_lock(&s->lock);
	if (s->dead) {
		err = -EIO;
		goto unlock;
	}
	for (tag = 0; tag < s->depth; tag++) {
		if (s->slots[tag].state == PIM_SLOT_FREE)
			break;
	}
	if (tag == s->depth)
		goto unlock;
	s->slots[tag].state = PIM_SLOT_INFLIGHT;
	s->slots[tag].op = req->op;
	s->slots[tag].seq = ++s->seq;
	reinit_completion(&s->slots[tag].done);
	s->outstanding++;

	there = pim_ring_request(s, s->req_prod);
	*there = *req;
	there->tag = tag;
	there->seq = s->seq;
	s->req_prod++;
	/* Pairs with the provider's acquiring load: the request is there before its number. */
	smp_store_release(&s->ring->req_prod, s->req_prod);
	if (s->eventfd)
		annex_eventfd_signal(s->eventfd);
	cmd = pim_uring_take(s);
	trace_pim_request(s->rank->id, tag, req->op, s->seq);
	err = tag;
unlock:
	spin_unlock(&s->lock);
	pim_uring_wake(cmd);
	if (err >= 0)
		wake_up_interruptible_poll(&s->provider_wait, EPOLLIN | EPOLLRDNORM);
	return err;
}

/* The same, waiting for a slot. */
static int pim_session_submit_wait(struct pim_session *s, const struct pim_request *req)
{
	long left = s->deadline;
	int tag;

	left = wait_event_killable_timeout(s->slot_wait,
					   (tag = pim_session_submit(s, req)) != -EAGAIN, left);
	if (left < 0)
		return -EINTR;
	return left ? tag : -ETIMEDOUT;
}

/**
 * pim_session_call - ask the provider and wait for its answer
 * @s: the session
 * @req: op, and what belongs to it
 * @words: where the answer's words go, or NULL
 *
 * 0; -EIO the provider said no, or it is gone, or did not answer in time, which
 * ends the session; -EBUSY of a PIM_OP_SAVE; -EINTR when the caller is being killed.
 */
int pim_session_call(struct pim_session *s, const struct pim_request *req, u64 *words)
{
	int tag = pim_session_submit_wait(s, req);
	struct pim_slot *slot;
	bool late = false;
	long left;
	int err;

	if (tag == -ETIMEDOUT) {
		late = true;
		err = -EIO;
		goto end;
	}
	if (tag < 0)
		return tag;
	slot = &s->slots[tag];
	left = wait_for_completion_killable_timeout(&slot->done, s->deadline);

	spin_lock(&s->lock);
	if (slot->state == PIM_SLOT_DONE) {
		err = slot->result;
		if (words && !err)
			memcpy(words, slot->words, sizeof(slot->words));
		slot->state = PIM_SLOT_FREE;
	} else {
		late = !left;
		err = late ? -EIO : -EINTR;
		slot->state = PIM_SLOT_ABANDONED;
	}
	spin_unlock(&s->lock);
	wake_up(&s->slot_wait);
end:
	if (late)
		pim_rank_session_end(s, PIM_EVENT_PROVIDER_TIMEOUT);
	return err;
}

/** pim_session_busy - are there requests that the provider has not answered? */
bool pim_session_busy(struct pim_session *s)
{
	bool busy;

	spin_lock(&s->lock);
	busy = s->outstanding;
	spin_unlock(&s->lock);
	return busy;
}

/** pim_session_swap_mram - from now on @mram is the rank's; what it was goes to the caller */
struct file *pim_session_swap_mram(struct pim_session *s, struct file *mram)
{
	lockdep_assert_held(&pim_lock);
	spin_lock(&s->lock);
	swap(s->mram, mram);
	spin_unlock(&s->lock);
	return mram;
}

/** pim_session_kill - no more requests; those under way end with -EIO */
void pim_session_kill(struct pim_session *s)
{
	struct io_uring_cmd *cmd;
	u32 tag;

	spin_lock(&s->lock);
	s->dead = true;
	for (tag = 0; tag < s->depth; tag++) {
		if (s->slots[tag].state == PIM_SLOT_INFLIGHT) {
			s->slots[tag].state = PIM_SLOT_DONE;
			s->slots[tag].result = -EIO;
			complete(&s->slots[tag].done);
		}
	}
	cmd = pim_uring_take(s);
	spin_unlock(&s->lock);
	pim_uring_wake(cmd);
	wake_up_interruptible_poll(&s->provider_wait, EPOLLIN | EPOLLHUP);
	wake_up(&s->slot_wait);
}

/* --- answers --------------------------------------------------------------------- */

static bool pim_completion_valid(const struct pim_session *s, const struct pim_completion *c)
{
	const struct pim_slot *slot;

	if (c->tag >= s->depth || c->result > 0 || c->result < -MAX_ERRNO ||
	    memchr_inv(c->reserved, 0, sizeof(c->reserved)))
		return false;
	slot = &s->slots[c->tag];
	return (slot->state == PIM_SLOT_INFLIGHT || slot->state == PIM_SLOT_ABANDONED) &&
	       slot->seq == c->seq;
}

static void pim_session_complete(struct pim_session *s, const struct pim_completion *c)
{
	struct pim_slot *slot = &s->slots[c->tag];

	/* The one error that is an answer. */
	bool busy = slot->op == PIM_OP_SAVE && c->result == -EBUSY;

	s->outstanding--;
	trace_pim_complete(s->rank->id, c->tag, c->seq, c->result);
	if (c->result && !busy)
		atomic64_inc(&s->rank->provider_errors);
	if (slot->state == PIM_SLOT_ABANDONED) {
		slot->state = PIM_SLOT_FREE;
		wake_up(&s->slot_wait);
		return;
	}
	slot->state = PIM_SLOT_DONE;
	slot->result = busy ? -EBUSY : c->result ? -EIO : 0;
	memcpy(slot->words, c->words, sizeof(slot->words));
	complete(&slot->done);
}

/* Take what the provider has completed. False: it makes no sense. */
static bool pim_session_reap(struct pim_session *s)
{
	struct pim_completion c;
	bool valid = true;
	u32 prod;

	spin_lock(&s->lock);
	/* Pairs with the provider's releasing store. */
	prod = smp_load_acquire(&s->ring->cmp_prod);
	if (prod - s->cmp_cons > s->outstanding)
		valid = s->dead;	/* after the end nothing matters */
	while (valid && !s->dead && s->cmp_cons != prod) {
		c = *pim_ring_completion(s, s->cmp_cons);
		barrier();	/* judge the copy */
		valid = pim_completion_valid(s, &c);
		if (valid)
			pim_session_complete(s, &c);
		s->cmp_cons++;
	}
	spin_unlock(&s->lock);
	return valid;
}

void pim_session_take(struct pim_session *s)
{
	if (!pim_session_reap(s))
		pim_rank_session_end(s, PIM_EVENT_PROVIDER_BROKEN);
}

static bool pim_session_news(struct pim_session *s, u32 seen, u32 *prod)
{
	bool news;

	spin_lock(&s->lock);
	news = s->dead || s->req_prod != seen;
	*prod = s->req_prod;
	spin_unlock(&s->lock);
	return news;
}

static int pim_ioc_run(struct pim_session *s, void __user *arg)
{
	struct pim_run run;
	u32 usize, prod;
	long left;
	int err = pim_copy_in(&run, sizeof(run), arg, &usize);

	if (err)
		return err;
	if (run.flags & ~PIM_RUN_NOWAIT || run.pad || run.timeout_ms > 3600000)
		return -EINVAL;
	pim_session_take(s);
	if (run.flags & PIM_RUN_NOWAIT) {
		pim_session_news(s, run.seen, &prod);
	} else {
		left = run.timeout_ms ? msecs_to_jiffies(run.timeout_ms) : MAX_SCHEDULE_TIMEOUT;
		left = wait_event_interruptible_timeout(s->provider_wait,
							pim_session_news(s, run.seen, &prod), left);
		if (left < 0)
			return -EINTR;
	}
	if (READ_ONCE(s->dead))
		return -ESHUTDOWN;
	WRITE_ONCE(s->reported, prod);
	run.req_prod = prod;
	return pim_copy_out(arg, &run, sizeof(run), usize);
}

static int pim_ioc_eventfd(struct pim_session *s, void __user *arg)
{
	struct eventfd_ctx *ctx = NULL;
	struct pim_eventfd e;
	int err = pim_copy_in(&e, sizeof(e), arg, NULL);

	if (err)
		return err;
	if (e.fd < -1)
		return -EINVAL;
	if (e.fd >= 0) {
		ctx = eventfd_ctx_fdget(e.fd);
		if (IS_ERR(ctx))
			return PTR_ERR(ctx);
	}
	spin_lock(&s->lock);
	swap(ctx, s->eventfd);
	spin_unlock(&s->lock);
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}

/* --- the file ---------------------------------------------------------------------- */

static long pim_session_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pim_session *s = file->private_data;
	void __user *p = (void __user *)arg;

	switch (cmd) {
	case PIM_IOC_RUN:
		return pim_ioc_run(s, p);
	case PIM_IOC_EVENTFD:
		return pim_ioc_eventfd(s, p);
	case PIM_IOC_STATE_PUT:
		return pim_ioc_state_put(s, p);
	case PIM_IOC_STATE_GET:
		return pim_ioc_state_get(s, p);
	}
	return -ENOTTY;
}

static __poll_t pim_session_poll(struct file *file, poll_table *pt)
{
	struct pim_session *s = file->private_data;
	u32 prod;

	poll_wait(file, &s->provider_wait, pt);
	if (!pim_session_news(s, READ_ONCE(s->reported), &prod))
		return 0;
	return READ_ONCE(s->dead) ? EPOLLHUP | EPOLLIN | EPOLLRDNORM : EPOLLIN | EPOLLRDNORM;
}

static int pim_session_mmap_mram(struct pim_session *s, struct vm_area_struct *vma)
{
	struct file *mram;
	int err;

	spin_lock(&s->lock);
	mram = get_file(s->mram);
	spin_unlock(&s->lock);
	err = pim_mram_mmap(mram, PIM_MMAP_MRAM, vma);
	fput(mram);
	return err;
}

static int pim_session_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct pim_session *s = file->private_data;
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;

	if (offset >= PIM_MMAP_MRAM)
		return pim_session_mmap_mram(s, vma);
	if (offset != PIM_MMAP_RING || !(vma->vm_flags & VM_SHARED) ||
	    vma->vm_end - vma->vm_start > s->ring_bytes)
		return -EINVAL;
	annex_pim_vm_flags_set(vma, VM_DONTCOPY);
	return remap_vmalloc_range(vma, s->ring, 0);
}

static int pim_session_release(struct inode *inode, struct file *file)
{
	struct pim_session *s = file->private_data;

	pim_rank_session_end(s, PIM_EVENT_PROVIDER_GONE);
	pim_session_put(s);
	return 0;
}

static const struct file_operations pim_session_fops = {
	.owner		= THIS_MODULE,
	.release	= pim_session_release,
	.unlocked_ioctl	= pim_session_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.poll		= pim_session_poll,
	.mmap		= pim_session_mmap,
#ifdef ANNEX_PIM_URING
	.uring_cmd	= pim_uring_cmd,
#endif
};

/** pim_session_file - a file that holds a reference of the session of its own */
struct file *pim_session_file(struct pim_session *s)
{
	struct file *file = anon_inode_getfile("[pim-rank]", &pim_session_fops, s,
					       O_RDWR | O_CLOEXEC);

	if (!IS_ERR(file))
		kref_get(&s->kref);
	return file;
}
