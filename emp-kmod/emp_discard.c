// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking bytes of a region away.
 *
 * Discard gives back DRAM and slots of whole subblocks (whole blocks, where a
 * block is one folio); what is smaller is zeroed in place. It takes the folio
 * lock, unmaps, and empties the word: a fault that has the folio already is
 * either through with mapping it (then the unmap finds it) or will see the
 * empty word. Somebody who holds the folio still (O_DIRECT under way) keeps a
 * folio that is no longer the region's, as with truncation of any file.
 *
 * A page that the hardware says is broken: clean, it is dropped and fetched
 * again; dirty, its subblock is lost.
 */
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "emp_copy.h"
#include "emp_discard.h"
#include "emp_fetch.h"
#include "emp_folio.h"
#include "emp_reclaim.h"
#include "emp_tier.h"
#include "emp_writeback.h"

static void emp_unmap_folio(struct emp_region *r, struct folio *folio)
{
	if (folio_mapped(folio))
		unmap_mapping_pages(r->inode->i_mapping, folio->index, folio_nr_pages(folio),
				    false);
}

/* Nothing of block @b may be left: then slot and policy let go of it. It is locked. */
static void emp_discard_block(struct emp_region *r, u32 b)
{
	struct emp_bent *e = &r->bent[b];
	u64 s, first = emp_first_sub(r, b);
	unsigned long any = 0;

	for (s = first; s < first + emp_subs_per_block(r); s++)
		any |= r->sub[s];
	if (!(any & (EMP_S_PRESENT | EMP_S_STORED | EMP_S_LOST)) && e->slot != EMP_NO_SLOT &&
	    !(e->flags & EMP_B_WRITING)) {
		emp_copy_release(r, b);
		emp_slot_free(r, e->slot);
		e->slot = EMP_NO_SLOT;
		if (r->map == EMP_MAP_AUTO)
			e->flags &= ~EMP_B_SMALL;	/* as good as new */
	}
	if (any & EMP_S_PRESENT || !(e->flags & EMP_B_QUEUED) || e->flags & EMP_B_WRITING)
		return;
	e->flags &= ~(EMP_B_QUEUED | EMP_B_HUGE);
	spin_lock(&r->policy_lock);
	emp_policy_forget(&r->policy, b);
	spin_unlock(&r->policy_lock);
}

/* Wait until neither read nor write of the state subblock @s is under way. */
static int emp_wait_idle(struct emp_region *r, u64 s)
{
	wait_queue_head_t *wq = emp_block_wait(r, emp_block_of(r, s));
	long left;

	left = wait_event_killable_timeout(*wq, !emp_word_busy(READ_ONCE(r->sub[s])) &&
					   !(READ_ONCE(r->sub[s]) & EMP_S_WB),
					   msecs_to_jiffies(emp_default_deadline_ms));
	return left < 0 ? -EINTR : left ? 0 : -ETIMEDOUT;
}

/*
 * Discard subblock @sub, or its whole block if that is one folio and lies within
 * the @max bytes from @sub on. What the block is can change until it is locked:
 * *done says how much was discarded, 0 if the caller has to look again.
 */
static int emp_discard_sub(struct emp_region *r, u64 sub, u64 max, u64 *done)
{
	u32 b = emp_block_of(r, sub), i, n;
	spinlock_t *lock = emp_block_lock(r, b);
	struct folio *folio;
	unsigned long flags, w;
	u64 s;
	int err;

again:
	spin_lock_irqsave(lock, flags);
	s = emp_state_sub(r, b, sub);
	w = r->sub[s];
	*done = 1ULL << r->sub_shift;
	if (r->bent[b].flags & EMP_B_HUGE) {
		*done = 1ULL << r->block_shift;
		if (s != sub || max < *done) {
			*done = 0;
			spin_unlock_irqrestore(lock, flags);
			return 0;
		}
	}
	r->bent[b].flags &= ~(EMP_B_MIGRATE | EMP_B_COPYOK);
	if (!(w & EMP_S_PRESENT)) {
		if (w)
			emp_count(r, discard_subblocks);
		emp_sub_store(r, b, s, 0);
		emp_discard_block(r, b);
		spin_unlock_irqrestore(lock, flags);
		return 0;
	}
	if (emp_word_busy(w) || w & EMP_S_WB) {
		spin_unlock_irqrestore(lock, flags);
		err = emp_wait_idle(r, s);
		if (err)
			return err;
		goto again;
	}
	folio = emp_word_folio(w);
	folio_get(folio);
	spin_unlock_irqrestore(lock, flags);

	folio_lock(folio);
	emp_unmap_folio(r, folio);
	spin_lock_irqsave(lock, flags);
	w = r->sub[s];
	if (!(w & EMP_S_PRESENT) || emp_word_folio(w) != folio || w & EMP_S_WB) {
		spin_unlock_irqrestore(lock, flags);
		folio_unlock(folio);
		folio_put(folio);
		goto again;
	}
	n = r->bent[b].flags & EMP_B_HUGE ? emp_subs_per_block(r) : 1;
	if (w & EMP_S_DIRTY)
		atomic_long_sub(folio_nr_pages(folio), &r->dirty);
	for (i = 0; i < n; i++)
		emp_sub_store(r, b, s + i, 0);
	emp_discard_block(r, b);
	spin_unlock_irqrestore(lock, flags);
	folio_unlock(folio);
	emp_count_add(r, discard_subblocks, n);
	emp_folio_drop(r, folio);
	folio_put(folio);
	return 0;
}

/* Zero a part of a subblock, or of a block that is one folio. */
static int emp_discard_part(struct emp_region *r, u64 off, size_t len)
{
	u64 sub = off >> r->sub_shift, s;
	u32 b = emp_block_of(r, sub);
	spinlock_t *lock = emp_block_lock(r, b);
	struct folio *folio;
	unsigned long flags, until, w;
	u32 how = EMP_GET_SLEEP;
	enum emp_get got;
	bool zero;

	for (;;) {
		spin_lock_irqsave(lock, flags);
		w = r->sub[emp_state_sub(r, b, sub)];
		zero = !(w & (EMP_S_PRESENT | EMP_S_STORED | EMP_S_LOST));
		spin_unlock_irqrestore(lock, flags);
		if (zero)
			return 0;
		got = emp_get(r, sub, how, &folio, &until);
		if (got == EMP_GET_WAIT) {
			int err = emp_wait_idle(r, READ_ONCE(r->bent[b].flags) & EMP_B_HUGE ?
						   emp_first_sub(r, b) : sub);

			if (err)
				return err;
			how |= EMP_GET_TRIED;
			continue;
		}
		if (got == EMP_GET_MEMORY) {
			if (emp_reclaim_stuck(r))
				return -ENOSPC;
			emp_reclaim_waiting(r);
			emp_reclaim_kick(r);
			if (wait_event_killable_timeout(r->free_wait, emp_free_pages(r) > 0,
							HZ / 10) < 0)
				return -EINTR;
			continue;
		}
		if (got != EMP_GET_OK)
			return -EIO;
		folio_lock(folio);
		s = emp_folio_sub(r, folio);
		spin_lock_irqsave(lock, flags);
		w = r->sub[s];
		if (w & EMP_S_PRESENT && emp_word_folio(w) == folio) {
			if (!(w & EMP_S_DIRTY)) {
				emp_mark_dirty(r, b, s, &w);
				r->sub[s] = w;
			}
			spin_unlock_irqrestore(lock, flags);
			folio_zero_range(folio, off - ((u64)folio->index << PAGE_SHIFT), len);
			folio_unlock(folio);
			folio_put(folio);
			return 0;
		}
		spin_unlock_irqrestore(lock, flags);
		folio_unlock(folio);
		folio_put(folio);
	}
}

/*
 * The unit in which @off can be discarded now: its block if that is one folio
 * and lies in [off, end) as a whole, else its subblock; 0 if only a part of a
 * subblock (or of a 2 MiB folio) is meant.
 */
static u64 emp_discard_unit(struct emp_region *r, u64 off, u64 end)
{
	u64 block = 1ULL << r->block_shift, sub = 1ULL << r->sub_shift;
	bool huge = READ_ONCE(r->bent[off >> r->block_shift].flags) & EMP_B_HUGE;
	u64 unit = huge ? block : sub;

	return off & (unit - 1) || end - off < unit ? 0 : unit;
}

/*
 * emp_discard - FALLOC_FL_PUNCH_HOLE: [off, off + len) reads as zero from now on
 *
 * Return: 0, -EINTR, -ETIMEDOUT a tier hangs, -EIO, -ENOSPC (the last two only
 * where a part of a subblock has to be zeroed). On error a part may be done.
 */
long emp_discard(struct emp_region *r, u64 off, u64 len)
{
	u64 end = off + len, unit, part;
	int err = 0;

	if (!IS_ALIGNED(off | len, 4096) && end != r->bytes)
		return -EINVAL;
	unmap_mapping_range(r->inode->i_mapping, off, len, 0);
	while (off < end && !err) {
		unit = emp_discard_unit(r, off, end);
		if (unit) {
			err = emp_discard_sub(r, off >> r->sub_shift, end - off, &unit);
		} else {
			unit = 1ULL << r->sub_shift;
			part = min(end, (off & ~(unit - 1)) + unit) - off;
			err = emp_discard_part(r, off, part);
			unit = part;
		}
		off += unit;
		if (fatal_signal_pending(current))
			err = err ?: -EINTR;
		cond_resched();
	}
	return err;
}

/** emp_poisoned - a page of @folio, which the caller holds, is broken */
void emp_poisoned(struct emp_region *r, struct folio *folio)
{
	u64 s = emp_folio_sub(r, folio);
	u32 b = emp_block_of(r, s), i, n;
	spinlock_t *lock = emp_block_lock(r, b);
	unsigned long flags, w;
	bool ours = false;

	folio_lock(folio);
	emp_unmap_folio(r, folio);
	spin_lock_irqsave(lock, flags);
	w = r->sub[s];
	if (w & EMP_S_PRESENT && emp_word_folio(w) == folio && !(w & EMP_S_WB)) {
		bool lost = w & EMP_S_DIRTY;

		ours = true;
		n = r->bent[b].flags & EMP_B_HUGE ? emp_subs_per_block(r) : 1;
		if (lost)
			atomic_long_sub(folio_nr_pages(folio), &r->dirty);
		for (i = 0; i < n; i++)
			emp_sub_store(r, b, s + i, lost ? EMP_S_LOST | EMP_S_FOREVER :
						   r->sub[s + i] & EMP_S_STORED);
		if (n > 1) {
			r->bent[b].flags |= EMP_B_SMALL;
			r->bent[b].flags &= ~EMP_B_HUGE;
		}
		emp_discard_block(r, b);
	}
	spin_unlock_irqrestore(lock, flags);
	folio_unlock(folio);
	if (ours) {
		emp_count(r, hwpoison);
		emp_folio_drop(r, folio);
	}
	emp_wake_block(r, b);
}
