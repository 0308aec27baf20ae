// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine's memory, kept pinned: for data that goes there and back again in
 * bulk. A page that is pinned is found by its address and copied as any page;
 * vfio_dma_rw() looks for the mapping and enters the VMM's address space each time.
 * What cannot be pinned, or is not to be, goes that way as before.
 *
 * Pages are in chunks of 64, which are found by address, and which a clock goes
 * round: one that nobody used since it came by last may go when the limit is reached.
 * If there is none, nothing more is pinned: who goes through more memory than the
 * limit, again and again, is to find some of it.
 *
 * Locks, outermost first; both are inside of dev->lock:
 *   pins->lock (mutex)		chunks and pages come and go; VFIO is called within it
 *   pins->sem (rwsem)		a copy reads; who removes a page from its chunk, or puts
 *				one there, writes. Held for moments, never around VFIO
 *   pins->gate (spin)		what VFIO wants back
 *
 * VFIO takes memory back by vpci_pin_unmap(), under its list's lock, and must have
 * it when that returns: it asks ten times, and then it is a BUG(). So
 *  - nothing is pinned for a while afterwards, longer each time: not the same
 *    memory again while VFIO looks whether it has it. Who pins says so first and
 *    looks at that pause then; who takes back does it the other way round;
 *  - not the caller unpins but a work item, and the wait for it ends. Unpinning takes
 *    the lock of VFIO's mappings; who has that may want the list's, which the caller
 *    has (two threads of a VMM that unmap are enough for that).
 */
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "vpci.h"

#define VPCI_PIN_LOOKS		8	/* that the clock makes for one that wants to pin */
#define VPCI_PIN_PAUSE_MS	10	/* the first; the next one is twice as long */
#define VPCI_PIN_PAUSES		16	/* different ones, of up to 5 minutes */
#define VPCI_PIN_FORGIVE	(600 * HZ)	/* then it is the first again */
#define VPCI_PIN_REFUSED	HZ	/* VFIO is not asked again */
#define VPCI_PIN_TAKE		(2 * HZ)	/* VFIO's thread waits for its memory */

/* Pages that follow one another. */
struct vpci_chunk {
	struct list_head clock;		/* pins->lock */
	unsigned long index;
	bool used;			/* since the clock came by */
	int prot;			/* that all of them are pinned with */
	u64 pinned;			/* a bit for each that is */
	struct page *page[VPCI_PIN_BATCH];
};

static unsigned long vpci_chunk_index(u64 addr)
{
	BUILD_BUG_ON(VPCI_PIN_BATCH != BITS_PER_TYPE(u64));
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

/* Of bits from @slot on: how many follow one another. */
static u32 vpci_chunk_run(u64 bits, u32 slot)
{
	bits = ~(bits >> slot);
	return bits ? min_t(u32, __ffs64(bits), VPCI_PIN_BATCH - slot) : VPCI_PIN_BATCH - slot;
}

static u64 vpci_chunk_bits(u32 slot, u32 n)
{
	return GENMASK_ULL(slot + n - 1, slot);
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
	if (chunk && chunk->prot & prot && chunk->pinned & BIT_ULL(vpci_chunk_slot(addr)))
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

/* All of its pages, and the chunk. */
static void vpci_chunk_drop(struct vpci_dev *dev, struct vpci_chunk *chunk)
{
	struct vpci_pins *pins = &dev->pins;
	u64 rest = chunk->pinned;

	lockdep_assert_held(&pins->lock);
	down_write(&pins->sem);
	xa_erase(&pins->chunks, chunk->index);
	up_write(&pins->sem);
	list_del(&chunk->clock);
	while (rest) {
		u32 slot = __ffs64(rest), n = vpci_chunk_run(rest, slot);

		vfio_unpin_pages(&dev->vdev, vpci_chunk_addr(chunk, slot), n);
		rest &= ~vpci_chunk_bits(slot, n);
		WRITE_ONCE(pins->pinned, pins->pinned - n);
	}
	kfree(chunk);
	cond_resched();
}

static struct vpci_chunk *vpci_chunk_new(struct vpci_pins *pins, unsigned long index, int prot)
{
	struct vpci_chunk *chunk = kzalloc(sizeof(*chunk), GFP_KERNEL_ACCOUNT);
	int err;

	if (!chunk)
		return NULL;
	chunk->index = index;
	chunk->prot = prot;
	err = xa_err(xa_store(&pins->chunks, index, chunk, GFP_KERNEL_ACCOUNT));
	if (err) {
		kfree(chunk);
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
	int looks;

	for (looks = 0; looks < VPCI_PIN_LOOKS && pins->pinned + n > limit; looks++) {
		struct vpci_chunk *chunk =
			list_first_entry(&pins->clock, struct vpci_chunk, clock);

		if (chunk == keep || READ_ONCE(chunk->used)) {
			WRITE_ONCE(chunk->used, false);
			list_move_tail(&chunk->clock, &pins->clock);
			continue;
		}
		atomic64_add(hweight64(chunk->pinned), &pins->evicted);
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

static void vpci_pin_run(struct vpci_dev *dev, struct vpci_chunk *chunk, u32 slot, u32 n)
{
	u64 addr = vpci_chunk_addr(chunk, slot);
	struct vpci_pins *pins = &dev->pins;
	int got;

	WRITE_ONCE(pins->pinned, pins->pinned + n);
	smp_mb();	/* pairs with the one of vpci_pin_unmap() */
	if (vpci_pin_paused(pins)) {
		WRITE_ONCE(pins->pinned, pins->pinned - n);
		return;
	}
	got = vfio_pin_pages(&dev->vdev, addr, n, chunk->prot, pins->batch);
	if (got == n && !vpci_pin_odd(pins->batch, n)) {
		down_write(&pins->sem);
		memcpy(&chunk->page[slot], pins->batch, n * sizeof(pins->batch[0]));
		chunk->pinned |= vpci_chunk_bits(slot, n);
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
	const u32 slot = vpci_chunk_slot(addr);
	struct vpci_pins *pins = &dev->pins;
	struct vpci_chunk *chunk;
	u32 n;

	lockdep_assert_held(&pins->lock);
	chunk = xa_load(&pins->chunks, vpci_chunk_index(addr));
	if (chunk && prot & ~chunk->prot) {
		prot |= chunk->prot;
		vpci_chunk_drop(dev, chunk);
		chunk = NULL;
	}
	if (chunk && chunk->pinned & BIT_ULL(slot))
		return;		/* somebody was faster */
	if (!chunk)
		chunk = vpci_chunk_new(pins, vpci_chunk_index(addr), prot);
	if (!chunk)
		return;
	n = min_t(u64, DIV_ROUND_UP(offset_in_page(addr) + bytes, PAGE_SIZE),
		  vpci_chunk_run(~chunk->pinned, slot));
	n = vpci_pin_room(dev, n, chunk);
	if (n)
		vpci_pin_run(dev, chunk, slot, n);
	if (!chunk->pinned)
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

	spin_lock(&pins->gate);
	first = pins->take_first;
	last = pins->take_last;
	asked = pins->asked;
	pins->take_first = U64_MAX;
	pins->take_last = 0;
	spin_unlock(&pins->gate);
	mutex_lock(&pins->lock);
	if (first <= last) {
		xa_for_each_range(&pins->chunks, i, chunk, vpci_chunk_index(first),
				  vpci_chunk_index(last))
			vpci_chunk_drop(dev, chunk);
	}
	mutex_unlock(&pins->lock);
	WRITE_ONCE(pins->taken, asked);
	wake_up_all(&pins->wait);
}

void vpci_pin_unmap(struct vfio_device *vdev, u64 addr, u64 bytes)
{
	struct vpci_pins *pins = &vdev_to_vpci(vdev)->pins;
	u64 now = get_jiffies_64(), asked;

	if (!bytes)
		return;
	spin_lock(&pins->gate);
	if (now - pins->unmapped > VPCI_PIN_FORGIVE)
		pins->pauses = 0;
	pins->unmapped = now;
	WRITE_ONCE(pins->pause, now + (msecs_to_jiffies(VPCI_PIN_PAUSE_MS) << pins->pauses));
	if (pins->pauses < VPCI_PIN_PAUSES - 1)
		pins->pauses++;
	pins->take_first = min(pins->take_first, addr);
	pins->take_last = max(pins->take_last, addr + bytes - 1);
	asked = ++pins->asked;
	spin_unlock(&pins->gate);
	smp_mb();	/* pairs with the one of vpci_pin_run() */
	if (!READ_ONCE(pins->pinned))
		return;
	atomic64_inc(&pins->unmaps);
	queue_work(system_unbound_wq, &pins->work);
	wait_event_timeout(pins->wait, (s64)(READ_ONCE(pins->taken) - asked) >= 0, VPCI_PIN_TAKE);
}

void vpci_pin_drop(struct vpci_dev *dev)
{
	struct vpci_pins *pins = &dev->pins;
	struct vpci_chunk *chunk, *next;

	mutex_lock(&pins->lock);
	list_for_each_entry_safe(chunk, next, &pins->clock, clock)
		vpci_chunk_drop(dev, chunk);
	pins->ceiling = U64_MAX;
	mutex_unlock(&pins->lock);
}

void vpci_pin_set_limit(struct vpci_dev *dev, u64 pages)
{
	struct vpci_pins *pins = &dev->pins;

	lockdep_assert_held(&dev->lock);
	WRITE_ONCE(pins->limit, pages);
	/* Nobody pins more than this from now on. */
	if (READ_ONCE(pins->pinned) > pages)
		vpci_pin_drop(dev);
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
