// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtqueues: split rings in the machine's memory, and the threads that serve them.
 *
 * A driver writes its rings whenever it likes. So each thing is fetched once and
 * judged as fetched: an indirect table is copied before it is walked, what is
 * known of the used ring is kept here and only written there.
 *
 * The two indices that both sides look at while they change are moved in 8
 * aligned bytes together with what is beside them: copies of 8 bytes are one
 * access, those of 2 may be two.
 *
 * Notifications: while a thread is awake, the driver need not kick (with
 * EVENT_IDX, because the event index stays behind; else by a flag). Before it
 * sleeps, it asks for a kick and looks once more. It then also waits for a moment
 * where that keeps the next kick cheap (vpci_bell.c).
 */
#include <linux/kthread.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "vpci.h"

#define VPCI_DESC_BYTES	sizeof(struct vring_desc)

/* --- the rings ----------------------------------------------------------------------- */

/* The driver's index of the available ring. */
static bool vpci_avail_index(struct vpci_queue *q, u16 *index)
{
	__le16 head[4], again[4];
	int tries;

	/* The driver may be writing it: the same twice is what it wrote. */
	if (!vpci_dma(q->dev, q->avail, head, sizeof(head), false))
		return false;
	for (tries = 0; tries < 16; tries++) {
		if (!vpci_dma(q->dev, q->avail, again, sizeof(again), false))
			return false;
		if (again[1] == head[1])
			break;
		head[1] = again[1];
	}
	*index = le16_to_cpu(head[1]);
	return true;
}

/* The head of the used ring: flags, index, and the id that is behind them. */
static bool vpci_used_publish(struct vpci_queue *q)
{
	struct {
		__le16 flags;
		__le16 index;
		__le32 first;
	} head = {
		.flags = q->used_flags,
		.index = cpu_to_le16(q->next_used),
		.first = q->used_first,
	};

	BUILD_BUG_ON(sizeof(head) != 8);
	return vpci_dma(q->dev, q->used, &head, sizeof(head), true);
}

static u64 vpci_avail_event_addr(const struct vpci_queue *q)
{
	return q->used + 4 + 8 * (u64)q->size;
}

/* Ask for a kick at the next chain, or (if not EVENT_IDX) with @off for none. */
static bool vpci_ask_kick(struct vpci_queue *q, bool off)
{
	__le16 event = cpu_to_le16(q->next_avail);
	bool ok = true;

	if (q->event_idx) {
		if (!off)
			ok = vpci_dma(q->dev, vpci_avail_event_addr(q), &event, 2, true);
	} else {
		q->used_flags = cpu_to_le16(off ? VRING_USED_F_NO_NOTIFY : 0);
		ok = vpci_used_publish(q);
	}
	smp_mb();	/* pairs with the driver's, between its index and this */
	return ok;
}

/* Does the driver want an interrupt for what was put into the used ring? */
static bool vpci_wants_irq(struct vpci_queue *q)
{
	__le16 word = 0;
	u16 from = q->signalled;

	q->signalled = q->next_used;
	smp_mb();	/* pairs with the driver's, between this and the used index */
	if (q->event_idx) {
		if (!vpci_dma(q->dev, q->avail + 4 + 2 * (u64)q->size, &word, 2, false))
			return true;
		return vring_need_event(le16_to_cpu(word), q->next_used, from);
	}
	if (!vpci_dma(q->dev, q->avail, &word, 2, false))
		return true;
	return !(le16_to_cpu(word) & VRING_AVAIL_F_NO_INTERRUPT);
}

/* --- chains -------------------------------------------------------------------------- */

static bool vpci_chain_add(struct vpci_chain *c, const struct vring_desc *d, u16 flags, u32 max)
{
	u64 addr = le64_to_cpu((__force __le64)d->addr);
	u32 len = le32_to_cpu((__force __le32)d->len);
	bool write = flags & VRING_DESC_F_WRITE;

	if (c->nr == max || addr + len < addr || (!write && c->nr != c->nr_read))
		return false;
	if (!len)
		return true;
	c->seg[c->nr].addr = addr;
	c->seg[c->nr].len = len;
	c->nr++;
	if (write) {
		c->writable += len;
	} else {
		c->nr_read++;
		c->readable += len;
	}
	return true;
}

/* Walk a table of descriptors that was fetched; @n is how many there are. */
static bool vpci_chain_walk_table(struct vpci_chain *c, const struct vring_desc *table, u32 n)
{
	u32 i = 0, steps;

	for (steps = 0; steps < n; steps++) {
		u16 flags = le16_to_cpu((__force __le16)table[i].flags);

		if (flags & VRING_DESC_F_INDIRECT ||
		    !vpci_chain_add(c, &table[i], flags, c->q->size))
			return false;
		if (!(flags & VRING_DESC_F_NEXT))
			return true;
		i = le16_to_cpu((__force __le16)table[i].next);
		if (i >= n)
			return false;
	}
	return false;	/* a loop */
}

static bool vpci_chain_indirect(struct vpci_chain *c, const struct vring_desc *d)
{
	struct vpci_queue *q = c->q;
	u32 len = le32_to_cpu((__force __le32)d->len);

	if (!q->indirect || !len || len % VPCI_DESC_BYTES || len / VPCI_DESC_BYTES > q->size)
		return false;
	if (!vpci_dma(q->dev, le64_to_cpu((__force __le64)d->addr), q->table, len, false))
		return false;
	return vpci_chain_walk_table(c, q->table, len / VPCI_DESC_BYTES);
}

/* The chain that begins with @head. False: it makes no sense. */
static bool vpci_chain_fetch(struct vpci_chain *c)
{
	struct vpci_queue *q = c->q;
	struct vring_desc d;
	u32 i = c->head, steps;

	for (steps = 0; steps < q->size; steps++) {
		u16 flags;

		if (i >= q->size ||
		    !vpci_dma(q->dev, q->desc + i * VPCI_DESC_BYTES, &d, sizeof(d), false))
			return false;
		flags = le16_to_cpu((__force __le16)d.flags);
		if (flags & VRING_DESC_F_INDIRECT)
			return !(flags & VRING_DESC_F_NEXT) && vpci_chain_indirect(c, &d);
		if (!vpci_chain_add(c, &d, flags, q->size))
			return false;
		if (!(flags & VRING_DESC_F_NEXT))
			return true;
		i = le16_to_cpu((__force __le16)d.next);
	}
	return false;
}

/* The last writable byte is the status, and not the handler's. */
static bool vpci_chain_begin(struct vpci_chain *c)
{
	struct vpci_seg *last;

	if (!vpci_chain_fetch(c) || !c->writable)
		return false;
	last = &c->seg[c->nr - 1];
	last->len--;
	c->writable--;
	c->status_addr = last->addr + last->len;
	c->wseg = c->nr_read;
	return true;
}

static int vpci_chain_copy(struct vpci_chain *c, u32 *seg, u32 *done, void *buf, size_t bytes,
			   bool write)
{
	while (bytes) {
		struct vpci_seg *s = &c->seg[*seg];
		size_t n = min_t(size_t, bytes, s->len - *done);
		u64 ahead = min_t(u64, c->bulk, s->len - *done);

		if (n && !(ahead >= n ?
			   vpci_dma_bulk(c->q->dev, s->addr + *done, buf, n, ahead, write) :
			   vpci_dma(c->q->dev, s->addr + *done, buf, n, write))) {
			c->fault = true;
			return -EFAULT;
		}
		*done += n;
		c->bulk -= min_t(u64, c->bulk, n);
		buf += n;
		bytes -= n;
		if (*done == s->len) {
			++*seg;
			*done = 0;
		}
	}
	return 0;
}

int vpci_chain_read(struct vpci_chain *c, void *buf, size_t bytes)
{
	if (bytes > c->readable)
		return -ENODATA;
	c->readable -= bytes;
	return vpci_chain_copy(c, &c->rseg, &c->rdone, buf, bytes, false);
}

int vpci_chain_write(struct vpci_chain *c, const void *buf, size_t bytes)
{
	if (bytes > c->writable)
		return -ENODATA;
	c->writable -= bytes;
	c->written += bytes;
	return vpci_chain_copy(c, &c->wseg, &c->wdone, (void *)buf, bytes, true);
}

/* Answer it. False: that is not possible. */
static bool vpci_chain_end(struct vpci_chain *c, u8 status)
{
	struct vpci_queue *q = c->q;
	u16 slot = q->next_used % q->size;
	struct {
		__le32 id;
		__le32 len;
	} elem = {
		.id = cpu_to_le32(c->head),
		.len = cpu_to_le32(min_t(u64, c->written + 1, U32_MAX)),
	};

	if (!vpci_dma(q->dev, c->status_addr, &status, 1, true) ||
	    !vpci_dma(q->dev, q->used + 4 + 8 * (u64)slot, &elem, sizeof(elem), true))
		return false;
	if (!slot)
		q->used_first = elem.id;
	q->next_used++;
	smp_wmb();	/* the element is there before its index */
	return vpci_used_publish(q);
}

/* --- the thread ------------------------------------------------------------------------ */

/* 1: @c is the next chain, 0: there is none, negative: nonsense. */
static int vpci_ring_next(struct vpci_queue *q, struct vpci_chain *c)
{
	__le16 head;

	if (READ_ONCE(q->fail))
		return -EINVAL;
	if (q->seen_avail == q->next_avail) {
		if (!vpci_avail_index(q, &q->seen_avail) ||
		    (u16)(q->seen_avail - q->next_avail) > q->size)
			return -EINVAL;
		if (q->seen_avail == q->next_avail)
			return 0;
		smp_rmb();	/* the elements after the index */
	}
	if (!vpci_dma(q->dev, q->avail + 4 + 2 * (u64)(q->next_avail % q->size), &head, 2, false))
		return -EINVAL;
	q->next_avail++;
	*c = (struct vpci_chain) { .q = q, .head = le16_to_cpu(head), .seg = q->seg };
	return vpci_chain_begin(c) ? 1 : -EINVAL;
}

/* All there is. 0: the ring is empty. */
static int vpci_ring_serve(struct vpci_queue *q)
{
	struct vpci_chain c;
	int ret = 0, status;

	while (READ_ONCE(q->dev->master) && (ret = vpci_ring_next(q, &c)) > 0) {
		atomic64_inc(&q->dev->requests);
		status = q->dev->type->handle(&c);
		if (READ_ONCE(q->stop) || status < 0)
			return -EINTR;
		if (!vpci_chain_end(&c, status))
			return -EINVAL;
		if (vpci_wants_irq(q))
			vpci_irq_queue(q);
		cond_resched();
	}
	return ret;
}

static bool vpci_queue_awake(struct vpci_queue *q)
{
	return READ_ONCE(q->kicked) && READ_ONCE(q->dev->master);
}

static int vpci_queue_loop(struct vpci_queue *q)
{
	int err = 0;
	u16 index;

	while (!err && !READ_ONCE(q->stop)) {
		vpci_bell_poll(q);
		if (!READ_ONCE(q->kicked))
			vpci_bell_close(q);
		if (!vpci_queue_awake(q))
			vpci_rest(q->dev);
		if (wait_event_interruptible(q->wait, vpci_queue_awake(q) || READ_ONCE(q->stop)))
			break;
		vpci_bell_answer(q);
		WRITE_ONCE(q->kicked, false);
		smp_mb();	/* a kick from now on is seen, or its chain is */
		if (!vpci_ask_kick(q, true))
			return -EINVAL;
		do {
			err = vpci_ring_serve(q);
			if (err)
				return err;
			/* Empty: the next chain is to wake us, if it was not there already. */
			if (!vpci_ask_kick(q, false) || !vpci_avail_index(q, &index))
				return -EINVAL;
		} while (index != q->next_avail && !READ_ONCE(q->stop) &&
			 READ_ONCE(q->dev->master));
	}
	return err;
}

static int vpci_queue_thread(void *data)
{
	struct vpci_queue *q = data;
	const struct vpci_type *type = q->dev->type;
	int err;

	allow_kernel_signal(SIGKILL);
	if (type->enter)
		type->enter(q);
	err = vpci_queue_loop(q);
	vpci_rest(q->dev);
	if (type->leave)
		type->leave(q);
	if (err && !READ_ONCE(q->stop)) {
		atomic64_inc(&q->dev->broken);
		WRITE_ONCE(q->dev->needs_reset, true);
		vpci_irq_config(q->dev);
	}
	return 0;
}

/** vpci_queue_start - serve it as the driver has set it up; under dev->lock */
int vpci_queue_start(struct vpci_queue *q)
{
	struct task_struct *task;

	q->stop = false;
	q->fail = false;
	q->kicked = true;	/* there may be something already */
	q->next_avail = 0;
	q->seen_avail = 0;
	q->next_used = 0;
	q->signalled = 0;
	q->used_flags = 0;
	q->used_first = 0;
	q->event_idx = q->dev->driver_features & BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
	q->indirect = q->dev->driver_features & BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	task = kthread_create(vpci_queue_thread, q, "%s/%u", q->dev->type->name, q->index);
	if (IS_ERR(task))
		return PTR_ERR(task);
	q->task = get_task_struct(task);
	wake_up_process(task);
	return 0;
}

/** vpci_queue_stop - serve it no more; a request under way is not answered; under dev->lock */
void vpci_queue_stop(struct vpci_queue *q)
{
	if (!q->task)
		return;
	WRITE_ONCE(q->stop, true);
	/* Ends all killable waits. Lost on one that has not begun: it sees stop. */
	send_sig(SIGKILL, q->task, 1);
	kthread_stop(q->task);
	put_task_struct(q->task);
	q->task = NULL;
}

/** vpci_queue_fail - for tests: the queue breaks; -ENXIO if it is not served */
int vpci_queue_fail(struct vpci_dev *dev, u32 index)
{
	struct vpci_queue *q;
	int err = -ENXIO;

	mutex_lock(&dev->lock);
	if (dev->opened && index < dev->nr_queues) {
		q = &dev->queues[array_index_nospec(index, dev->nr_queues)];
		if (q->task) {
			WRITE_ONCE(q->fail, true);
			vpci_queue_wake(q);
			err = 0;
		}
	}
	mutex_unlock(&dev->lock);
	return err;
}

/** vpci_queue_wake - there may be something in the ring */
void vpci_queue_wake(struct vpci_queue *q)
{
	WRITE_ONCE(q->kicked, true);
	wake_up(&q->wait);
}
