// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write-back: of a block that the evictor has unmapped, the dirty subblocks go
 * to the block's slot, and are freed when the tier said that they are there.
 *
 * emp_evict_block() has set WB and cleared DIRTY on them, each with its folio
 * unmapped and its count frozen at one: from then on a new DIRTY means "written
 * to after that". Here they are checked for zeros (not written, and no longer
 * VALID), get a slot, and are put into requests. A fault meanwhile is served
 * from the folio. When the last write of a folio ends:
 *
 *	failed			DIRTY again; stays in DRAM
 *	DIRTY meanwhile		stays in DRAM
 *	else			VALID; freed if nobody has mapped it meanwhile
 *
 * A block none of whose subblocks is VALID has nothing worth keeping in its
 * slot: it gets a new one, next to the others of the batch, so that a batch
 * becomes one large request. Others are written in place.
 *
 * While WB is set, the folio's ->private counts the requests it is in, bit 30
 * says that one failed.
 */
#include <linux/highmem.h>

#include "emp_check.h"
#include "emp_event.h"
#include "emp_folio.h"
#include "emp_migrate.h"
#include "emp_reclaim.h"
#include "emp_tier.h"
#include "emp_trace.h"
#include "emp_writeback.h"

#define EMP_WB_ERROR	(1UL << 30)

/* Subblocks that the word of @s speaks for. */
static u32 emp_span(struct emp_region *r, u32 b)
{
	return r->bent[b].flags & EMP_B_HUGE ? emp_subs_per_block(r) : 1;
}

/**
 * emp_mark_dirty - what the slot holds is outdated from now on
 * @r: region
 * @b: block, locked
 * @s: state subblock, UPTODATE
 * @w: its word, which the caller stores
 */
void emp_mark_dirty(struct emp_region *r, u32 b, u64 s, unsigned long *w)
{
	u32 i, n = emp_span(r, b);

	lockdep_assert_held(emp_block_lock(r, b));
	*w = (*w | EMP_S_DIRTY) & ~EMP_S_VALID;
	for (i = 1; i < n; i++)
		r->sub[s + i] &= ~EMP_S_VALID;
	r->bent[b].flags &= ~EMP_B_MIGRATE;
	atomic_long_add((long)n << emp_sub_order(r), &r->dirty);
	emp_count_add(r, dirtied_bytes, (u64)n << r->sub_shift);
}

/*
 * emp_try_free - take a clean, idle folio out of its word
 *
 * The block is locked. Return: the folio, to be dropped when it is unlocked;
 * NULL if somebody holds or maps it. The core gives its reference to the page
 * table and unlocks the folio after that: until then it is somebody's, too.
 */
struct folio *emp_try_free(struct emp_region *r, u32 b, u64 s)
{
	unsigned long w = r->sub[s];
	struct folio *folio = emp_word_folio(w);

	lockdep_assert_held(emp_block_lock(r, b));
	if (WARN_ON_ONCE(w & (EMP_S_DIRTY | EMP_S_WB)) || !folio_ref_freeze(folio, 1))
		return NULL;
	if (folio_test_locked(folio)) {
		folio_ref_unfreeze(folio, 1);
		return NULL;
	}
	r->sub[s] = w & EMP_S_VALID;
	folio_ref_unfreeze(folio, 1);
	return folio;
}

/*
 * emp_block_conclude - an eviction of block @b may be over; it is locked
 *
 * Gives the block back to the policy when no write of it is under way: as
 * evicted if nothing of it is left in DRAM. Return: whether it is over.
 */
bool emp_block_conclude(struct emp_region *r, u32 b)
{
	struct emp_bent *e = &r->bent[b];
	u64 s, first = emp_first_sub(r, b);
	unsigned long any = 0;

	lockdep_assert_held(emp_block_lock(r, b));
	for (s = first; s < first + emp_subs_per_block(r); s++)
		any |= r->sub[s];
	if (any & EMP_S_WB)
		return false;
	e->flags &= ~EMP_B_WRITING;
	if (!(any & EMP_S_PRESENT))
		e->flags &= ~(EMP_B_QUEUED | EMP_B_HUGE);
	if (!(any & (EMP_S_PRESENT | EMP_S_VALID | EMP_S_LOST)) && e->slot != EMP_NO_SLOT) {
		emp_slot_free(r, e->slot);
		e->slot = EMP_NO_SLOT;
	}
	spin_lock(&r->policy_lock);
	if (!(any & EMP_S_PRESENT))
		emp_policy_evicted(&r->policy, b);
	else
		emp_policy_putback(&r->policy, b);
	spin_unlock(&r->policy_lock);
	return true;
}

/* Has the slot anything of what the word of @s speaks for? */
static bool emp_span_valid(struct emp_region *r, u32 b, u64 s)
{
	u32 i, n = emp_span(r, b);

	for (i = 0; i < n; i++)
		if (r->sub[s + i] & EMP_S_VALID)
			return true;
	return false;
}

/**
 * emp_wb_rescue - a block's tier may be gone: what of it is in DRAM is only there
 * @r: region
 * @b: block
 *
 * The block is locked. Clean folios become dirty, so that they are not dropped.
 */
void emp_wb_rescue(struct emp_region *r, u32 b)
{
	u64 s, first = emp_first_sub(r, b);
	struct emp_bent *e = &r->bent[b];
	struct emp_tier *t;
	unsigned long w;

	lockdep_assert_held(emp_block_lock(r, b));
	t = e->slot == EMP_NO_SLOT ? NULL : emp_tier_of_slot(r, e->slot);
	if (!t || READ_ONCE(t->state) != EMP_TIER_GONE)
		return;
	for (s = first; s < first + emp_subs_per_block(r); s += emp_span(r, b)) {
		w = r->sub[s];
		if (w & EMP_S_PRESENT && w & EMP_S_UPTODATE && !(w & (EMP_S_DIRTY | EMP_S_WB)) &&
		    emp_span_valid(r, b, s)) {
			emp_mark_dirty(r, b, s, &w);
			r->sub[s] = w;
		}
	}
}

/* One request less for the folio at @s; @len bytes from @off were written, or not. */
static void emp_wb_end(struct emp_region *r, u64 s, size_t off, size_t len, int err)
{
	u32 b = emp_block_of(r, s), i, n = len >> r->sub_shift;
	spinlock_t *lock = emp_block_lock(r, b);
	struct folio *folio, *drop = NULL;
	unsigned long flags, w, pending;
	u64 at = s + (off >> r->sub_shift);

	spin_lock_irqsave(lock, flags);
	w = r->sub[s];
	folio = emp_word_folio(w);
	pending = (unsigned long)folio->private - 1;
	if (err)
		pending |= EMP_WB_ERROR;
	folio->private = (void *)pending;
	if (!err && !(w & EMP_S_DIRTY))
		for (i = 0; i < n; i++)
			r->sub[at + i] |= EMP_S_VALID;
	if (pending & ~EMP_WB_ERROR)
		goto unlock;

	w = r->sub[s] & ~EMP_S_WB;
	emp_folio_stamp(folio);
	atomic_long_sub(folio_nr_pages(folio), &r->wb_pages);
	if (pending & EMP_WB_ERROR) {
		if (err != -EAGAIN)
			emp_count(r, wb_error);
		if (!(w & EMP_S_DIRTY))
			emp_mark_dirty(r, b, s, &w);
		r->sub[s] = w;
	} else if (w & EMP_S_DIRTY) {
		emp_count(r, wb_redirtied);
		r->sub[s] = w;
	} else {
		r->sub[s] = w;
		drop = emp_try_free(r, b, s);
		if (drop && emp_span_valid(r, b, s))
			emp_count(r, evict_written);
		else if (READ_ONCE(r->stuck_since))
			WRITE_ONCE(r->stuck_since, 0);	/* clean: the next round frees it */
	}
	emp_block_conclude(r, b);
unlock:
	spin_unlock_irqrestore(lock, flags);
	if (pending & ~EMP_WB_ERROR)
		return;
	if (drop)
		emp_folio_drop(r, drop);
	emp_wake_block(r, b);
}

static void emp_wb_done(struct emp_io *io)
{
	struct emp_tier *t = io->tier;
	struct emp_region *r = t->region;
	struct folio_iter fi;

	trace_emp_writeback_end(r, t->id, (unsigned long)io->bio.bi_private, io->error);
	bio_first_folio(&fi, &io->bio, 0);
	while (fi.folio) {
		u64 s = emp_folio_sub(r, fi.folio);
		size_t off = fi.offset, len = fi.length;

		bio_next_folio(&fi, &io->bio);	/* the folio can go */
		emp_wb_end(r, s, off, len, io->error);
	}
	t->ops->io_free(io);
	atomic_dec(&r->wb_inflight);
	if (wq_has_sleeper(&r->wb_wait))
		wake_up_all(&r->wb_wait);
}

/** emp_wb_flush - begin the request that was being put together */
void emp_wb_flush(struct emp_wb *wb)
{
	struct emp_region *r = wb->r;
	struct emp_io *io = wb->io;

	if (!io)
		return;
	wb->io = NULL;
	emp_count(r, wb_requests);
	emp_count_add(r, wb_bytes, io->bio.bi_iter.bi_size);
	trace_emp_writeback_begin(r, io->tier->id, io->bio.bi_iter.bi_size);
	atomic_inc(&r->wb_inflight);
	if (wb->may_wait)
		emp_reclaim_throttle(r, io->tier->queue_depth);
	emp_tier_submit(io);
}

/* Add bytes of a folio whose ->private counts this request already. */
static void emp_wb_add(struct emp_wb *wb, struct emp_tier *t, u64 pos, struct folio *folio,
		       size_t off, size_t len)
{
	if (wb->io && wb->io->tier == t && wb->next == pos &&
	    t->ops->io_add(wb->io, folio, off, len)) {
		emp_tier_put(t);	/* the request holds it already */
	} else {
		emp_wb_flush(wb);
		wb->io = t->ops->io_alloc(t, true, pos, BIO_MAX_VECS, GFP_NOIO);
		wb->io->done = emp_wb_done;
		t->ops->io_add(wb->io, folio, off, len);
	}
	wb->next = pos + len;
}

/*
 * The tier is gone: what only it had is lost, for good; what is in DRAM is dirty
 * now. False, and nothing is done, while a fetch is under way.
 */
static bool emp_wb_gone(struct emp_region *r, u32 b)
{
	u64 s, first = emp_first_sub(r, b);
	unsigned long w;

	for (s = first; s < first + emp_subs_per_block(r); s++)
		if (emp_word_busy(r->sub[s]))
			return false;
	for (s = first; s < first + emp_subs_per_block(r); s++) {
		w = r->sub[s];
		if (w & EMP_S_PRESENT && w & EMP_S_VALID) {
			emp_mark_dirty(r, b, s, &w);
			r->sub[s] = w;
		} else if (w && !(w & EMP_S_PRESENT)) {
			r->sub[s] = EMP_S_LOST | EMP_S_FOREVER;
		}
	}
	return true;
}

/*
 * A slot for what is to be written of block @b, its tier held; ERR_PTR if there
 * is none. Nothing of the block is VALID: a new slot, else the one it has. That
 * one is on a tier in trouble: -EAGAIN, the rest of the block must come away
 * from it first, unless there is no DRAM for that: then nothing could be
 * written at all, and the tier may still work.
 */
static struct emp_tier *emp_wb_slot(struct emp_region *r, u32 b, u32 *slot, bool may_wait)
{
	struct emp_bent *e = &r->bent[b];
	u64 s, first = emp_first_sub(r, b);
	struct emp_tier *t = NULL, *old;
	unsigned long flags, any = 0;
	bool stored = false;
	int state;
	u32 fresh;

	spin_lock_irqsave(emp_block_lock(r, b), flags);
	for (s = first; s < first + emp_subs_per_block(r); s++) {
		any |= r->sub[s];
		stored |= emp_word_stored(r->sub[s]);
	}
	old = e->slot == EMP_NO_SLOT ? NULL : emp_tier_of_slot(r, e->slot);
	state = old ? READ_ONCE(old->state) : EMP_TIER_OK;
	if (state == EMP_TIER_GONE) {
		stored = !emp_wb_gone(r, b);
		if (stored) {
			spin_unlock_irqrestore(emp_block_lock(r, b), flags);
			return ERR_PTR(-EAGAIN);
		}
	} else if (any & EMP_S_VALID && state != EMP_TIER_OK && emp_tier_healthy(r) &&
		   emp_free_pages(r) > READ_ONCE(r->low_free) / 2) {
		atomic_inc(&old->inflight);
		spin_unlock_irqrestore(emp_block_lock(r, b), flags);
		if (may_wait)
			emp_migrate_evacuate(r, b, old);
		emp_tier_put(old);
		return ERR_PTR(-EAGAIN);
	}
	if (!stored) {
		fresh = emp_slot_alloc(r, 0);
		if (fresh != EMP_NO_SLOT) {
			if (e->slot != EMP_NO_SLOT)
				emp_slot_free(r, e->slot);
			e->slot = fresh;
		} else if (e->slot != EMP_NO_SLOT &&
			   !emp_tier_writable(emp_tier_of_slot(r, e->slot))) {
			emp_slot_free(r, e->slot);
			e->slot = EMP_NO_SLOT;
		}
	}
	*slot = e->slot;
	if (e->slot != EMP_NO_SLOT)
		t = emp_tier_get_slot(r, e->slot);
	spin_unlock_irqrestore(emp_block_lock(r, b), flags);
	return t ?: ERR_PTR(-ENOSPC);
}

static void emp_wb_no_slot(struct emp_region *r, u64 s, int err)
{
	if (err == -EAGAIN) {
		emp_wb_end(r, s, 0, 0, err);
		return;
	}
	emp_count(r, wb_no_space);
	if (!READ_ONCE(r->no_space)) {
		WRITE_ONCE(r->no_space, true);
		emp_event_post(EMP_EVENT_NO_SPACE, r->name, EMP_EVENT_NO_TIER);
	}
	emp_wb_end(r, s, 0, 0, err);
}

/*
 * Write the folio at @s, whose ->private is 1 for us. Runs of subblocks that
 * are not zero become pieces of requests.
 */
static void emp_wb_folio(struct emp_wb *wb, u32 b, u64 s, struct emp_tier **tier, u32 *slot)
{
	struct emp_region *r = wb->r;
	struct folio *folio = emp_word_folio(READ_ONCE(r->sub[s]));
	size_t step = 1UL << r->sub_shift, size = folio_size(folio), off, len, at;
	u64 base = (s - emp_first_sub(r, b)) << r->sub_shift;
	unsigned long flags;
	bool wrote = false;

	for (off = 0; off < size; off += len) {
		len = step;
		if (emp_folio_zero(folio, off, step))
			continue;
		while (off + len < size && !emp_folio_zero(folio, off + len, step))
			len += step;
		if (!*tier) {
			struct emp_tier *t = emp_wb_slot(r, b, slot, wb->may_wait);

			if (IS_ERR(t)) {
				emp_wb_no_slot(r, s, PTR_ERR(t));
				return;
			}
			*tier = t;
			WRITE_ONCE(r->no_space, false);
		}
		for (at = off; at < off + len; at += step)
			emp_check_note(r, folio, at, s + (at >> r->sub_shift));
		spin_lock_irqsave(emp_block_lock(r, b), flags);
		folio->private = (void *)((unsigned long)folio->private + 1);
		spin_unlock_irqrestore(emp_block_lock(r, b), flags);
		atomic_inc(&(*tier)->inflight);
		emp_wb_add(wb, *tier, emp_tier_pos(*tier, *slot) + base + off, folio, off, len);
		wrote = true;
		/*
		 * What ended the run was zero. If it is not any more (written to, hence DIRTY), it
		 * must not be joined to the run: one segment of the request, but counted twice.
		 */
		if (off + len < size)
			off += step;
	}
	if (!wrote)
		emp_count(r, evict_zero);
	emp_wb_end(r, s, 0, 0, 0);
}

/** emp_wb_block - write the subblocks of @b that emp_evict_block() marked WB */
void emp_wb_block(struct emp_wb *wb, u32 b)
{
	struct emp_region *r = wb->r;
	u64 s, first = emp_first_sub(r, b);
	struct emp_tier *tier = NULL;
	u32 slot = EMP_NO_SLOT;
	unsigned long w;

	/* Bit EMP_S_WB of a subblock goes only by our own hand until we let go of the last one. */
	for (s = first; s < first + emp_subs_per_block(r); s++) {
		w = READ_ONCE(r->sub[s]);
		if (w & EMP_S_WB)
			emp_wb_folio(wb, b, s, &tier, &slot);
	}
	if (tier)
		emp_tier_put(tier);
}
