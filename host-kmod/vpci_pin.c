// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine's memory, kept pinned: for data that goes there and back again in
 * bulk. A page that is pinned is found by its address and copied as any page;
 * vfio_dma_rw() looks for the mapping and enters the VMM's address space each time.
 * What cannot be pinned, or is not to be, goes that way as before.
 *
 * Pages are in chunks of 2 MiB, found by address; what is pinned of a chunk is one
 * run of pages, gaps are filled: a call of VFIO's unpins it. When the limit is reached,
 * a slow clock goes round: a chunk that nobody used since it came by last gives way.
 * If there is none, nothing more is pinned: who goes through more memory than the
 * limit, again and again, is to find a part of it, not to have all of it unpinned
 * right before it is needed.
 *
 * Locks, outermost first; not within dev->lock:
 *   pins->lock (mutex)		chunks and pages come and go; VFIO is called within it
 *   pins->sem (rwsem)		a copy reads; who changes which pages there are, writes. Held
 *				for moments, never around VFIO
 *   pins->gate (spin)		what is to be unpinned
 *
 * VFIO takes memory back by vpci_pin_unmap(), under its list's lock, and must have
 * it when that returns: it asks ten times, and then it is a BUG(). So
 *  - nothing is pinned for a while afterwards, longer each time: not the same
 *    memory again while VFIO looks whether it has it. Who pins says so first and
 *    looks at that pause then; who takes back does it the other way round;
 *  - not the caller unpins but a work item, and the wait for it ends when there is no
 *    progress. Unpinning takes the lock of VFIO's mappings; another thread that
 *    unmaps, or opens a device, may have that and want the list's, which the caller has.
 *    It gets it, and the work goes on. A VMM whose threads do that all the time,
 *    with much memory pinned, can still hang itself: docs/virtio-pim.md.
 */
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "vpci.h"

/* Pages of a chunk: what VFIO takes in one call, and a page of pointers. */
#define VPCI_PIN_BATCH		VFIO_PIN_PAGES_MAX_ENTRIES

#define VPCI_PIN_STEP		64	/* pages that are pinned at once, beside gaps */
#define VPCI_PIN_CLOCK		1024	/* pages that found no room, for a step of the clock */
#define VPCI_PIN_PAUSE_MS	10	/* the first; the next one is twice as long */
#define VPCI_PIN_PAUSES		16	/* different ones, of up to 5 minutes */
#define VPCI_PIN_FORGIVE	(600 * HZ)	/* then it is the first again */
#define VPCI_PIN_REFUSED	HZ	/* VFIO is not asked again */
#define VPCI_PIN_STUCK		(2 * HZ)	/* nothing was unpinned */
#define VPCI_PIN_ROUNDS		9	/* that VFIO may ask in vain */

/* Pages that follow one another. */
struct vpci_chunk {
	struct list_head clock;		/* pins->lock */
	unsigned long index;
	bool used;			/* since the clock came by */
	int prot;			/* that all of them are pinned with */
	u32 first;			/* what is pinned, and */
	u32 nr;				/* how many */
	struct page **page;		/* VPCI_PIN_BATCH */
};

static unsigned long vpci_chunk_index(u64 addr)
{
	return (addr >> PAGE_SHIFT) / VPCI_PIN_BATCH;
}

static u32 vpci_chunk_slot(u64 addr)
{
	return (addr >> PAGE_SHIFT) % VPCI_PIN_BATCH;
}

static u64 vpci_chunk_addr(const struct vpci_chunk *chunk, u32 slot)
{
	return ((u64)chunk->index * VPCI_PIN_BATCH + slot) << PAGE_SHIFT;
}

static bool vpci_chunk_has(const struct vpci_chunk *chunk, u32 slot)
{
	return slot >= chunk->first && slot - chunk->first < chunk->nr;
}

/* --- a copy ------------------------------------------------------------------------- */

/* Within a page. False: it is not there, or the memory itself is broken. */
static bool vpci_pin_hit(struct vpci_pins *pins, u64 addr, void *buf, size_t bytes, bool write)
{
	const int prot = write ? IOMMU_WRITE : IOMMU_READ;
	struct vpci_chunk *chunk;
	struct page *page = NULL;
	bool ok = false;
	void *mem;

	down_read(&pins->sem);
	chunk = xa_load(&pins->chunks, vpci_chunk_index(addr));
	if (chunk && chunk->prot & prot && vpci_chunk_has(chunk, vpci_chunk_slot(addr)))
		page = chunk->page[vpci_chunk_slot(addr)];
	if (page) {
		if (!READ_ONCE(chunk->used))
			WRITE_ONCE(chunk->used, true);
		mem = kmap_local_page(page) + offset_in_page(addr);
		if (write)
			memcpy(mem, buf, bytes);
		ok = write || !copy_mc_to_kernel(buf, mem, bytes);
		if (write)
			flush_dcache_page(page);
		kunmap_local(mem);
	}
	up_read(&pins->sem);
	return ok;
}

/* --- pinning and unpinning; under pins->lock ---------------------------------------- */

static void vpci_chunk_free(struct vpci_chunk *chunk)
{
	free_page((unsigned long)chunk->page);
	kfree(chunk);
}

/* All of its pages, and the chunk. */
static void vpci_chunk_drop(struct vpci_dev *dev, struct vpci_chunk *chunk)
{
	struct vpci_pins *pins = &dev->pins;

	lockdep_assert_held(&pins->lock);
	down_write(&pins->sem);
	xa_erase(&pins->chunks, chunk->index);
	up_write(&pins->sem);
	list_del(&chunk->clock);
	if (chunk->nr)
		vfio_unpin_pages(&dev->vdev, vpci_chunk_addr(chunk, chunk->first), chunk->nr);
	WRITE_ONCE(pins->pinned, pins->pinned - chunk->nr);
	vpci_chunk_free(chunk);
	cond_resched();
}

static struct vpci_chunk *vpci_chunk_new(struct vpci_pins *pins, unsigned long index, int prot)
{
	struct vpci_chunk *chunk = kzalloc(sizeof(*chunk), GFP_KERNEL_ACCOUNT);

	BUILD_BUG_ON(VPCI_PIN_BATCH * sizeof(*chunk->page) != PAGE_SIZE);
	if (!chunk)
		return NULL;
	chunk->index = index;
	chunk->prot = prot;
	chunk->page = (struct page **)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!chunk->page ||
	    xa_err(xa_store(&pins->chunks, index, chunk, GFP_KERNEL_ACCOUNT))) {
		vpci_chunk_free(chunk);
		return NULL;
	}
	list_add_tail(&chunk->clock, &pins->clock);
	return chunk;
}

/* For how many of @n pages there is room, or can be made, but not by taking @keep. */
static u32 vpci_pin_room(struct vpci_dev *dev, u32 n, const struct vpci_chunk *keep)
{
	struct vpci_pins *pins = &dev->pins;
	u64 limit = min(READ_ONCE(pins->limit), pins->ceiling);

	while (pins->pinned + n > limit && !list_empty(&pins->clock)) {
		struct vpci_chunk *chunk =
			list_first_entry(&pins->clock, struct vpci_chunk, clock);

		if (chunk == keep || READ_ONCE(chunk->used)) {
			if (++pins->full % VPCI_PIN_CLOCK == 0) {
				WRITE_ONCE(chunk->used, false);
				list_move_tail(&chunk->clock, &pins->clock);
			}
			break;
		}
		atomic64_add(chunk->nr, &pins->evicted);
		vpci_chunk_drop(dev, chunk);
	}
	return pins->pinned < limit ? min_t(u64, n, limit - pins->pinned) : 0;
}

static bool vpci_pin_paused(struct vpci_pins *pins)
{
	u64 now = get_jiffies_64();

	return time_before64(now, READ_ONCE(pins->pause)) ||
	       time_before64(now, READ_ONCE(pins->refusal));
}

/* What VFIO says no to is not asked of it all the time: it also writes to the log. */
static void vpci_pin_refused(struct vpci_pins *pins, int err)
{
	atomic64_inc(&pins->refused);
	if (err == -ENOMEM)
		pins->ceiling = pins->pinned;	/* RLIMIT_MEMLOCK: this is what there is */
	else
		WRITE_ONCE(pins->refusal, get_jiffies_64() + VPCI_PIN_REFUSED);
}

/* Not memory: copies of it would not do what the VMM's mapping does. */
static bool vpci_pin_odd(struct page **page, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++) {
		if (PageReserved(page[i]) && !is_zero_pfn(page_to_pfn(page[i])))
			return true;
	}
	return false;
}

/* @n pages more from @slot on: before or behind those that there are. */
static void vpci_pin_run(struct vpci_dev *dev, struct vpci_chunk *chunk, u32 slot, u32 n)
{
	u64 addr = vpci_chunk_addr(chunk, slot);
	struct vpci_pins *pins = &dev->pins;
	struct page **page = chunk->page + slot;
	int got;

	WRITE_ONCE(pins->pinned, pins->pinned + n);
	smp_mb();	/* pairs with the one of vpci_pin_unmap() */
	if (vpci_pin_paused(pins)) {
		WRITE_ONCE(pins->pinned, pins->pinned - n);
		return;
	}
	got = vfio_pin_pages(&dev->vdev, addr, n, chunk->prot, page);
	if (got == n && !vpci_pin_odd(page, n)) {
		down_write(&pins->sem);
		chunk->first = chunk->nr ? min(chunk->first, slot) : slot;
		chunk->nr += n;
		chunk->used = true;
		up_write(&pins->sem);
		return;
	}
	if (got > 0)
		vfio_unpin_pages(&dev->vdev, addr, got);
	WRITE_ONCE(pins->pinned, pins->pinned - n);
	vpci_pin_refused(pins, got < 0 ? got : -EINVAL);
}

/* The page at @addr, and those behind it of which @bytes are. */
static void vpci_pin_get(struct vpci_dev *dev, u64 addr, u64 bytes, int prot)
{
	u32 slot = vpci_chunk_slot(addr), from = slot, to, room;
	struct vpci_pins *pins = &dev->pins;
	struct vpci_chunk *chunk;

	lockdep_assert_held(&pins->lock);
	chunk = xa_load(&pins->chunks, vpci_chunk_index(addr));
	if (chunk && prot & ~chunk->prot) {
		prot |= chunk->prot;
		vpci_chunk_drop(dev, chunk);
		chunk = NULL;
	}
	if (chunk && vpci_chunk_has(chunk, slot))
		return;		/* somebody was faster */
	bytes = min_t(u64, bytes, VPCI_PIN_STEP * PAGE_SIZE);
	to = min_t(u64, VPCI_PIN_BATCH,
		   slot + DIV_ROUND_UP(offset_in_page(addr) + bytes, PAGE_SIZE));
	if (chunk && slot < chunk->first)
		to = chunk->first;
	else if (chunk)
		from = chunk->first + chunk->nr;
	room = vpci_pin_room(dev, to - from, chunk);
	if (room <= slot - from || (chunk && slot < chunk->first && room < to - from))
		return;
	if (!chunk)
		chunk = vpci_chunk_new(pins, vpci_chunk_index(addr), prot);
	if (!chunk)
		return;
	vpci_pin_run(dev, chunk, from, room);
	if (!chunk->nr)
		vpci_chunk_drop(dev, chunk);
}

static bool vpci_pin_try(struct vpci_dev *dev, u64 addr, u64 bytes, bool write)
{
	struct vpci_pins *pins = &dev->pins;

	if (vpci_pin_paused(pins) || mutex_lock_killable(&pins->lock))
		return false;
	vpci_pin_get(dev, addr, bytes, write ? IOMMU_WRITE : IOMMU_READ);
	mutex_unlock(&pins->lock);
	return true;
}

bool vpci_dma_bulk(struct vpci_dev *dev, u64 addr, void *buf, size_t bytes, u64 ahead, bool write)
{
	struct vpci_pins *pins = &dev->pins;

	if (!READ_ONCE(pins->limit) || addr + ahead < addr)
		return vpci_dma(dev, addr, buf, bytes, write);
	while (bytes) {
		size_t n = min_t(size_t, bytes, PAGE_SIZE - offset_in_page(addr));

		if (vpci_pin_hit(pins, addr, buf, n, write))
			atomic64_inc(&pins->hits);
		else if (!vpci_pin_try(dev, addr, ahead, write) ||
			 !vpci_pin_hit(pins, addr, buf, n, write))
			return vpci_dma(dev, addr, buf, bytes, write);
		addr += n;
		buf += n;
		bytes -= n;
		ahead -= n;
	}
	return true;
}

/* --- giving back -------------------------------------------------------------------- */

static void vpci_pin_work(struct work_struct *work)
{
	struct vpci_pins *pins = container_of(work, struct vpci_pins, work);
	struct vpci_dev *dev = container_of(pins, struct vpci_dev, pins);
	u64 first, last, asked;
	struct vpci_chunk *chunk;
	unsigned long i;

	mutex_lock(&pins->lock);
	spin_lock(&pins->gate);
	first = pins->take_first;
	last = pins->take_last;
	asked = pins->asked;
	pins->take_first = U64_MAX;
	pins->take_last = 0;
	spin_unlock(&pins->gate);
	if (first <= last) {
		xa_for_each_range(&pins->chunks, i, chunk, vpci_chunk_index(first),
				  vpci_chunk_index(last))
			vpci_chunk_drop(dev, chunk);
	}
	if (!first && last == U64_MAX)
		pins->ceiling = U64_MAX;
	mutex_unlock(&pins->lock);
	WRITE_ONCE(pins->taken, asked);
	wake_up_all(&pins->wait);
}

/* Under pins->gate: the work is to unpin that. */
static u64 vpci_pin_ask(struct vpci_pins *pins, u64 first, u64 last)
{
	lockdep_assert_held(&pins->gate);
	pins->take_first = min(pins->take_first, first);
	pins->take_last = max(pins->take_last, last);
	return ++pins->asked;
}

static void vpci_pin_pause(struct vpci_pins *pins, u32 steps)
{
	u64 now = get_jiffies_64();

	lockdep_assert_held(&pins->gate);
	if (now - pins->unmapped > VPCI_PIN_FORGIVE)
		pins->pauses = 0;
	pins->unmapped = now;
	WRITE_ONCE(pins->pause, now + (msecs_to_jiffies(VPCI_PIN_PAUSE_MS) << pins->pauses));
	pins->pauses = min_t(u32, pins->pauses + steps, VPCI_PIN_PAUSES - 1);
}

static bool vpci_pin_taken(struct vpci_pins *pins, u64 asked)
{
	return (s64)(READ_ONCE(pins->taken) - asked) >= 0;
}

/* False: it does not go on. */
static bool vpci_pin_wait(struct vpci_pins *pins, u64 asked)
{
	u64 pinned;

	do {
		pinned = READ_ONCE(pins->pinned);
		if (wait_event_timeout(pins->wait, vpci_pin_taken(pins, asked), VPCI_PIN_STUCK))
			return true;
	} while (READ_ONCE(pins->pinned) != pinned);
	return false;
}

void vpci_pin_unmap(struct vfio_device *vdev, u64 addr, u64 bytes)
{
	struct vpci_pins *pins = &vdev_to_vpci(vdev)->pins;
	bool last;
	u64 asked;

	if (!bytes)
		return;
	spin_lock(&pins->gate);
	vpci_pin_pause(pins, 1);
	asked = vpci_pin_ask(pins, addr, addr + bytes - 1);
	last = pins->rounds >= VPCI_PIN_ROUNDS;
	spin_unlock(&pins->gate);
	smp_mb();	/* pairs with the one of vpci_pin_run() */
	if (!READ_ONCE(pins->pinned))
		return;
	atomic64_inc(&pins->unmaps);
	queue_work(system_unbound_wq, &pins->work);
	if (last)
		wait_event(pins->wait, vpci_pin_taken(pins, asked));
	if (last || vpci_pin_wait(pins, asked)) {
		spin_lock(&pins->gate);
		pins->rounds = 0;
		spin_unlock(&pins->gate);
		return;
	}
	dev_notice_ratelimited(vdev->dev, "several threads of the VMM take memory at once\n");
	spin_lock(&pins->gate);
	pins->rounds++;
	vpci_pin_pause(pins, 4);
	spin_unlock(&pins->gate);
}

void vpci_pin_drop(struct vpci_pins *pins)
{
	spin_lock(&pins->gate);
	vpci_pin_ask(pins, 0, U64_MAX);
	spin_unlock(&pins->gate);
	queue_work(system_unbound_wq, &pins->work);
}

void vpci_pin_close(struct vpci_dev *dev)
{
	struct vpci_pins *pins = &dev->pins;
	struct vpci_chunk *chunk, *next;

	mutex_lock(&pins->lock);
	list_for_each_entry_safe(chunk, next, &pins->clock, clock)
		vpci_chunk_drop(dev, chunk);
	pins->ceiling = U64_MAX;
	mutex_unlock(&pins->lock);
}

void vpci_pin_set_limit(struct vpci_pins *pins, u64 pages)
{
	WRITE_ONCE(pins->limit, pages);
	/* Nobody pins more than this from now on. */
	if (READ_ONCE(pins->pinned) > pages)
		vpci_pin_drop(pins);
}

void vpci_pin_init(struct vpci_pins *pins)
{
	mutex_init(&pins->lock);
	init_rwsem(&pins->sem);
	spin_lock_init(&pins->gate);
	xa_init(&pins->chunks);
	INIT_LIST_HEAD(&pins->clock);
	INIT_WORK(&pins->work, vpci_pin_work);
	init_waitqueue_head(&pins->wait);
	pins->ceiling = U64_MAX;
	pins->take_first = U64_MAX;
	pins->pause = get_jiffies_64();
	pins->refusal = pins->pause;
}

void vpci_pin_exit(struct vpci_pins *pins)
{
	cancel_work_sync(&pins->work);
	WARN_ON_ONCE(pins->pinned);
	xa_destroy(&pins->chunks);
}
