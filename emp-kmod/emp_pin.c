// SPDX-License-Identifier: GPL-2.0-only
/*
 * Long-term pins and their cap.
 *
 * What is pinned cannot be evicted. pin_limit keeps so much of the DRAM free of
 * pins that everybody else's accesses go on. Nobody tells us of a pin, so the
 * pinned pages are counted by looking at the folios that are in DRAM, from time
 * to time, and a pin is held back in two ways:
 *
 *	not mapped yet	the pin takes a fault, which emp_pin_admit() counts at once
 *			and refuses above the cap: exact
 *	mapped		no fault. At the cap ->pfn_mkwrite of the region's vm_ops
 *			is set: the core (6.5 and later) refuses to pin a mapping
 *			for writing whose writes its owner wants to know of. That
 *			acts on pins that begin after the count that saw the cap
 *			reached: they can go beyond it by what their process has
 *			mapped
 *
 * ->pfn_mkwrite is called for page table entries without a struct page only, of
 * which a region has none: it can come and go under mappings that are in use. A
 * mapping made while it is set starts without the write bit in vm_page_prot and
 * takes a fault at the first write to a page, nothing else.
 *
 * The unit is the folio (subblock or 2 MiB): one pinned page keeps all of it.
 * Pins for a moment (O_DIRECT) look the same and count while they last.
 */
#include <linux/workqueue.h>

#include "emp_folio.h"
#include "emp_pin.h"

#define EMP_PIN_IDLE	(1UL * HZ)	/* from one count to the next */
#define EMP_PIN_BUSY	(HZ / 10UL)	/* ... while somebody pins, or the cap is reached */

/* Never called, see above. */
static vm_fault_t emp_pin_mkwrite(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

/** emp_pin_count - pages pinned: as counted last, and what was admitted since */
long emp_pin_count(const struct emp_region *r)
{
	return max(READ_ONCE(r->pin_base) + atomic_long_read(&r->pin_admitted), 0L);
}

/* Is there no room for one more subblock? */
static bool emp_pin_full(const struct emp_region *r)
{
	return emp_pin_count(r) + (1L << emp_sub_order(r)) > READ_ONCE(r->pin_limit);
}

static void emp_pin_judge(struct emp_region *r)
{
	WRITE_ONCE(r->vm_ops.pfn_mkwrite, emp_pin_full(r) ? emp_pin_mkwrite : NULL);
}

static long emp_pin_block(struct emp_region *r, u32 b)
{
	u64 s, first = emp_first_sub(r, b);
	unsigned long flags;
	long n = 0;

	spin_lock_irqsave(emp_block_lock(r, b), flags);
	for (s = first; s < first + emp_subs_per_block(r); s++) {
		struct folio *folio;

		if (!(r->sub[s] & EMP_S_PRESENT))
			continue;
		folio = emp_word_folio(r->sub[s]);
		if (folio_maybe_dma_pinned(folio))
			n += folio_nr_pages(folio);
	}
	spin_unlock_irqrestore(emp_block_lock(r, b), flags);
	return n;
}

/*
 * Count what is pinned. What is admitted meanwhile stays on top of the result
 * until the next time, seen or not: rather too much than too little.
 */
static void emp_pin_recount(struct emp_region *r)
{
	unsigned long start, took;
	long admitted, n = 0;
	u32 b;

	mutex_lock(&r->pin_lock);
	start = jiffies;
	admitted = atomic_long_read(&r->pin_admitted);
	for (b = 0; b < r->nr_blocks; b++) {
		if (READ_ONCE(r->bent[b].flags) & EMP_B_QUEUED)
			n += emp_pin_block(r, b);
		if (!(b % 64))
			cond_resched();
	}
	WRITE_ONCE(r->pin_base, n - admitted);
	emp_pin_judge(r);
	took = jiffies - start;
	WRITE_ONCE(r->pin_took, took);
	WRITE_ONCE(r->pin_next, jiffies + max(EMP_PIN_BUSY, 10 * took));
	mutex_unlock(&r->pin_lock);
}

/* Takes not more than 2 % of a processor, 10 % at the cap. */
static void emp_pin_work(struct work_struct *work)
{
	struct emp_region *r = container_of(work, struct emp_region, pin_work.work);
	bool full;

	/* Not open: no new pins. */
	if (READ_ONCE(r->opens) || emp_pin_count(r))
		emp_pin_recount(r);
	full = emp_pin_full(r) && READ_ONCE(r->pin_limit);
	queue_delayed_work(system_unbound_wq, &r->pin_work,
			   full ? max(EMP_PIN_BUSY, 10 * READ_ONCE(r->pin_took)) :
				  max(EMP_PIN_IDLE, 50 * READ_ONCE(r->pin_took)));
}

static bool emp_pin_take(struct emp_region *r, long n)
{
	long old = atomic_long_read(&r->pin_admitted);

	do {
		if (READ_ONCE(r->pin_base) + old + n > READ_ONCE(r->pin_limit))
			return false;
	} while (!atomic_long_try_cmpxchg(&r->pin_admitted, &old, old + n));
	return true;
}

/*
 * emp_pin_admit - a long-term pin faults on @folio: may it have it? May sleep
 *
 * Before it refuses it counts: pins may have gone.
 */
bool emp_pin_admit(struct emp_region *r, struct folio *folio)
{
	long n = folio_nr_pages(folio);

	if (folio_maybe_dma_pinned(folio))
		return true;
	if (!emp_pin_take(r, n)) {
		emp_pin_recount(r);
		if (!emp_pin_take(r, n)) {
			emp_count(r, pin_refused);
			return false;
		}
	}
	if (emp_pin_full(r))
		emp_pin_judge(r);
	/* Between the pages that take a fault there may be others that do not. */
	if (time_after(jiffies, READ_ONCE(r->pin_next)))
		mod_delayed_work(system_unbound_wq, &r->pin_work, 0);
	return true;
}

/*
 * With so much pinned the evictor can still reach high_free, with dram_min in
 * use. Where DRAM holds all of the region nobody has to wait for another's page.
 */
static long emp_pin_max(const struct emp_region *r)
{
	if (r->limit >= r->bytes >> PAGE_SHIFT)
		return r->limit;
	return max(r->limit - r->limit_min - READ_ONCE(r->high_free), 0L);
}

/** emp_pin_adjust - DRAM limit or watermarks changed; conf_lock is held */
void emp_pin_adjust(struct emp_region *r)
{
	long most = emp_pin_max(r), want = r->pin_wish;

	if (!(r->flags & EMP_F_PINNABLE))
		return;
	if (!want)
		want = most < r->limit ? (r->limit - r->limit_min) / 4 * 3 : most;
	WRITE_ONCE(r->pin_limit, min(want, most));
	emp_pin_judge(r);
}

/* conf_lock is held, or nobody else knows the region. */
static int emp_pin_wish(struct emp_region *r, u64 bytes)
{
	u64 pages = (bytes >> PAGE_SHIFT) + !!(bytes & (PAGE_SIZE - 1));

	if (!(r->flags & EMP_F_PINNABLE) && bytes)
		return -EINVAL;
	if (pages > (u64)emp_pin_max(r))
		return -EDOM;
	r->pin_wish = pages;
	emp_pin_adjust(r);
	return 0;
}

/** emp_pin_set_limit - change the cap; 0: default. -EINVAL not pinnable, -EDOM too much */
int emp_pin_set_limit(struct emp_region *r, u64 bytes)
{
	int err;

	mutex_lock(&r->conf_lock);
	err = emp_pin_wish(r, bytes);
	mutex_unlock(&r->conf_lock);
	return err;
}

/** emp_pin_init - of a new region that has limit and watermarks; errors as above */
int emp_pin_init(struct emp_region *r, u64 bytes)
{
	mutex_init(&r->pin_lock);
	INIT_DELAYED_WORK(&r->pin_work, emp_pin_work);
	return emp_pin_wish(r, bytes);
}

/** emp_pin_start - begin to count; emp_pin_stop() before the region's tables go */
void emp_pin_start(struct emp_region *r)
{
	if (r->flags & EMP_F_PINNABLE)
		queue_delayed_work(system_unbound_wq, &r->pin_work, HZ);
}

void emp_pin_stop(struct emp_region *r)
{
	cancel_delayed_work_sync(&r->pin_work);
}
