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
 * While WB is set, the folio's ->private counts the requests it is in. Bits above
 * say which copy's requests failed, and whether there are two copies.
 *
 * With redundancy both copies are written at once where that is asked for. One
 * that fails does not hold up the other: it is written later, by emp_copy.c.
 */
#include <linux/highmem.h>

#include "emp_check.h"
#include "emp_crypt.h"
#include "emp_event.h"
#include "emp_folio.h"
#include "emp_migrate.h"
#include "emp_reclaim.h"
#include "emp_tier.h"
#include "emp_trace.h"
#include "emp_writeback.h"

#define EMP_WB_ERROR(copy)	(1UL << (29 + (copy)))
#define EMP_WB_TWO		(1UL << 28)	/* two copies are being written */
#define EMP_WB_COUNT		(EMP_WB_TWO - 1)

/* Did no copy get there as a whole? */
static bool emp_wb_failed(unsigned long pending)
{
	unsigned long both = EMP_WB_ERROR(0) | EMP_WB_ERROR(1), errors = pending & both;

	return pending & EMP_WB_TWO ? errors == both : errors;
}

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
	*w = (*w | EMP_S_DIRTY) & ~EMP_S_STORED;
	for (i = 0; i < n; i++)
		emp_sub_store(r, b, s + i, r->sub[s + i] & ~EMP_S_STORED);
	r->bent[b].flags &= ~(EMP_B_MIGRATE | EMP_B_COPYOK);
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
	r->sub[s] = w & EMP_S_STORED;
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
	if (!(any & (EMP_S_PRESENT | EMP_S_STORED | EMP_S_LOST)) && e->slot != EMP_NO_SLOT) {
		emp_copy_release(r, b);
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
		if (r->sub[s + i] & EMP_S_STORED)
			return true;
	return false;
}

/* Has it anything that no tier has that is there? @alive: bits of copies on those */
static bool emp_span_stranded(struct emp_region *r, u32 b, u64 s, unsigned long alive)
{
	u32 i, n = emp_span(r, b);

	for (i = 0; i < n; i++)
		if (r->sub[s + i] & EMP_S_STORED && !(r->sub[s + i] & alive))
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
	unsigned long w, alive;

	lockdep_assert_held(emp_block_lock(r, b));
	if (r->bent[b].slot == EMP_NO_SLOT)
		return;
	emp_copy_settle(r, b, false);
	alive = emp_copy_alive(r, b);
	if (alive & EMP_S_VALID && (!r->copies || alive == EMP_S_STORED))
		return;
	for (s = first; s < first + emp_subs_per_block(r); s += emp_span(r, b)) {
		w = r->sub[s];
		if (w & EMP_S_PRESENT && w & EMP_S_UPTODATE && !(w & (EMP_S_DIRTY | EMP_S_WB)) &&
		    emp_span_stranded(r, b, s, alive)) {
			emp_mark_dirty(r, b, s, &w);
			r->sub[s] = w;
		}
	}
}

/* One request less for the folio at @s; @len bytes from @off of @copy were written, or not. */
static void emp_wb_end(struct emp_region *r, u64 s, size_t off, size_t len, u32 copy, int err)
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
		pending |= EMP_WB_ERROR(copy);
	folio->private = (void *)pending;
	if (!err && !(w & EMP_S_DIRTY))
		for (i = 0; i < n; i++)
			emp_sub_store(r, b, at + i, r->sub[at + i] | emp_copy_bit(copy));
	if (pending & EMP_WB_COUNT)
		goto unlock;

	w = r->sub[s] & ~EMP_S_WB;
	emp_folio_stamp(folio);
	atomic_long_sub(folio_nr_pages(folio), &r->wb_pages);
	if (emp_wb_failed(pending)) {
		if (err != -EAGAIN)
			emp_count(r, wb_error);
		if (!(w & EMP_S_DIRTY))
			emp_mark_dirty(r, b, s, &w);
		r->sub[s] = w;
	} else if (w & EMP_S_DIRTY) {
		emp_count(r, wb_redirtied);
		r->sub[s] = w;
	} else {
		emp_sub_store(r, b, s, w);
		if (pending & ~EMP_WB_TWO)
			emp_count(r, copy_error);
		emp_copy_check(r, b, s);
		drop = emp_try_free(r, b, s);
		if (drop && emp_span_valid(r, b, s))
			emp_count(r, evict_written);
		else if (READ_ONCE(r->stuck_since))
			WRITE_ONCE(r->stuck_since, 0);	/* clean: the next round frees it */
	}
	emp_block_conclude(r, b);
unlock:
	spin_unlock_irqrestore(lock, flags);
	if (pending & EMP_WB_COUNT)
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
		emp_wb_end(r, s, off, len, io->copy, io->error);
	}
	t->ops->io_free(io);
	atomic_dec(&r->wb_inflight);
	if (wq_has_sleeper(&r->wb_wait))
		wake_up_all(&r->wb_wait);
}

static void emp_wb_begin(struct emp_wb *wb, u32 copy)
{
	struct emp_region *r = wb->r;
	struct emp_io *io = wb->io[copy];

	if (!io)
		return;
	wb->io[copy] = NULL;
	emp_count(r, wb_requests);
	emp_count_add(r, wb_bytes, io->bio.bi_iter.bi_size);
	trace_emp_writeback_begin(r, io->tier->id, io->bio.bi_iter.bi_size);
	atomic_inc(&r->wb_inflight);
	if (wb->may_wait)
		emp_reclaim_throttle(r, io->tier->queue_depth);
	emp_tier_submit(io);
}

/** emp_wb_flush - begin the requests that were being put together */
void emp_wb_flush(struct emp_wb *wb)
{
	u32 copy;

	for (copy = 0; copy < EMP_COPIES; copy++)
		emp_wb_begin(wb, copy);
}

/*
 * A new request of @copy. While the other copy's is kept back, it must not wait
 * for a reserve that others like us hold.
 */
static struct emp_io *emp_wb_alloc(struct emp_wb *wb, u32 copy, struct emp_tier *t, u64 pos)
{
	struct emp_io *io;

	if (wb->io[!copy]) {
		io = t->ops->io_alloc(t, true, pos, BIO_MAX_VECS, GFP_NOWAIT | __GFP_NOWARN);
		if (io)
			return io;
		emp_wb_begin(wb, !copy);
	}
	return t->ops->io_alloc(t, true, pos, BIO_MAX_VECS, GFP_NOIO);
}

/* Add bytes of a folio whose ->private counts this request already. */
static void emp_wb_add(struct emp_wb *wb, u32 copy, struct emp_tier *t, u64 pos,
		       struct folio *folio, size_t off, size_t len)
{
	struct emp_io *io = wb->io[copy];

	if (io && io->tier == t && wb->next[copy] == pos && emp_crypt_room(io, len) &&
	    t->ops->io_add(io, folio, off, len)) {
		emp_tier_put(t);	/* the request holds it already */
	} else {
		emp_wb_begin(wb, copy);
		io = emp_wb_alloc(wb, copy, t, pos);
		io->done = emp_wb_done;
		io->copy = copy;
		t->ops->io_add(io, folio, off, len);
		wb->io[copy] = io;
	}
	wb->next[copy] = pos + len;
}

/*
 * The tier is gone: what only it had is lost, for good; what is in DRAM is dirty
 * now. False, and nothing is done, while a fetch is under way, or there is
 * another copy that could not become the first so far.
 */
static bool emp_wb_gone(struct emp_region *r, u32 b)
{
	u64 s, first = emp_first_sub(r, b);
	unsigned long w;

	if (emp_copy_slot(r, b, 1) != EMP_NO_SLOT)
		return false;
	for (s = first; s < first + emp_subs_per_block(r); s++)
		if (emp_word_busy(r->sub[s]))
			return false;
	for (s = first; s < first + emp_subs_per_block(r); s++) {
		w = r->sub[s];
		if (w & EMP_S_PRESENT && w & EMP_S_VALID) {
			emp_mark_dirty(r, b, s, &w);
			r->sub[s] = w;
		} else if (w && !(w & EMP_S_PRESENT)) {
			emp_sub_store(r, b, s, EMP_S_LOST | EMP_S_FOREVER);
		}
	}
	return true;
}

/* Where a block is written: tiers, held, and bytes of them. No tier: not that copy. */
struct emp_wb_place {
	struct emp_tier *tier[EMP_COPIES];
	u64 pos[EMP_COPIES];
};

static void emp_wb_place_copy(struct emp_region *r, struct emp_wb_place *p, u32 copy, u32 slot)
{
	if (slot == EMP_NO_SLOT)
		return;
	p->tier[copy] = emp_tier_get_slot(r, slot);
	p->pos[copy] = emp_tier_pos(p->tier[copy], slot);
}

/*
 * A place for what is to be written of block @b. Nothing of the block is stored:
 * a new slot, else the one it has. That one is on a tier in trouble, and no
 * other copy is on a better one: -EAGAIN, the rest of the block must come away
 * from it first, unless there is no DRAM for that: then nothing could be
 * written at all, and the tier may still work. The same where both copies must
 * be written together, and soon can be.
 */
static int emp_wb_find(struct emp_region *r, u32 b, struct emp_wb_place *p, bool may_wait)
{
	struct emp_bent *e = &r->bent[b];
	u64 s, first = emp_first_sub(r, b);
	unsigned long flags, any = 0;
	struct emp_tier *old;
	bool stored = false;
	int state;
	u32 fresh;

	spin_lock_irqsave(emp_block_lock(r, b), flags);
	if (r->copies)
		emp_copy_settle(r, b, true);
	for (s = first; s < first + emp_subs_per_block(r); s++) {
		any |= r->sub[s];
		stored |= emp_word_stored(r->sub[s]);
	}
	old = e->slot == EMP_NO_SLOT ? NULL : emp_tier_of_slot(r, e->slot);
	state = old ? emp_slot_state(old, e->slot) : EMP_TIER_OK;
	if (state == EMP_TIER_GONE) {
		stored = !emp_wb_gone(r, b);
		if (stored) {
			spin_unlock_irqrestore(emp_block_lock(r, b), flags);
			return -EAGAIN;
		}
	} else if (any & EMP_S_STORED && state != EMP_TIER_OK && emp_tier_healthy(r) &&
		   emp_free_pages(r) > READ_ONCE(r->low_free) / 2) {
		atomic_inc(&old->inflight);
		spin_unlock_irqrestore(emp_block_lock(r, b), flags);
		if (may_wait)
			emp_migrate_evacuate(r, b, old, false);
		emp_tier_put(old);
		return -EAGAIN;
	} else if (emp_free_pages(r) > READ_ONCE(r->low_free) / 2 && emp_copy_soon(r, b)) {
		spin_unlock_irqrestore(emp_block_lock(r, b), flags);
		return -EAGAIN;
	}
	if (!stored) {
		emp_copy_release(r, b);
		fresh = emp_slot_alloc(r, 0, NULL);
		if (fresh != EMP_NO_SLOT) {
			if (e->slot != EMP_NO_SLOT)
				emp_slot_free(r, e->slot);
			e->slot = fresh;
		} else if (e->slot != EMP_NO_SLOT &&
			   emp_slot_state(emp_tier_of_slot(r, e->slot), e->slot) >
			   EMP_TIER_DEGRADED) {
			emp_slot_free(r, e->slot);
			e->slot = EMP_NO_SLOT;
		}
	}
	if (e->slot != EMP_NO_SLOT) {
		emp_wb_place_copy(r, p, 0, e->slot);
		emp_wb_place_copy(r, p, 1, emp_copy_target(r, b));
	}
	spin_unlock_irqrestore(emp_block_lock(r, b), flags);
	return p->tier[0] ? 0 : -ENOSPC;
}

static void emp_wb_no_slot(struct emp_region *r, u64 s, int err)
{
	if (err == -EAGAIN) {
		emp_wb_end(r, s, 0, 0, 0, err);
		return;
	}
	emp_count(r, wb_no_space);
	if (!READ_ONCE(r->no_space)) {
		WRITE_ONCE(r->no_space, true);
		emp_event_post(EMP_EVENT_NO_SPACE, r->name, EMP_EVENT_NO_TIER);
	}
	emp_wb_end(r, s, 0, 0, 0, err);
}

/* One more request for a folio for each copy, before one can end. */
static void emp_wb_count(struct emp_region *r, u32 b, struct emp_wb_place *p, struct folio *folio)
{
	unsigned long flags, n;

	spin_lock_irqsave(emp_block_lock(r, b), flags);
	n = (unsigned long)folio->private + 1;
	if (p->tier[1])
		n = (n + 1) | EMP_WB_TWO;
	folio->private = (void *)n;
	spin_unlock_irqrestore(emp_block_lock(r, b), flags);
}

/*
 * Write the folio at @s, whose ->private is 1 for us. Runs of subblocks that
 * are not zero become pieces of requests.
 */
static void emp_wb_folio(struct emp_wb *wb, u32 b, u64 s, struct emp_wb_place *p)
{
	struct emp_region *r = wb->r;
	struct folio *folio = emp_word_folio(READ_ONCE(r->sub[s]));
	size_t step = 1UL << r->sub_shift, size = folio_size(folio), off, len, at;
	u64 base = (s - emp_first_sub(r, b)) << r->sub_shift;
	bool wrote = false;
	u32 copy;
	int err;

	for (off = 0; off < size; off += len) {
		len = step;
		if (emp_folio_zero(folio, off, step))
			continue;
		while (off + len < size && !emp_folio_zero(folio, off + len, step))
			len += step;
		if (!p->tier[0]) {
			err = emp_wb_find(r, b, p, wb->may_wait);
			if (err) {
				emp_wb_no_slot(r, s, err);
				return;
			}
			WRITE_ONCE(r->no_space, false);
		}
		for (at = off; at < off + len; at += step)
			emp_check_note(r, folio, at, s + (at >> r->sub_shift));
		emp_wb_count(r, b, p, folio);
		for (copy = 0; copy < EMP_COPIES; copy++) {
			if (!p->tier[copy])
				continue;
			atomic_inc(&p->tier[copy]->inflight);
			emp_wb_add(wb, copy, p->tier[copy], p->pos[copy] + base + off, folio, off,
				   len);
		}
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
	emp_wb_end(r, s, 0, 0, 0, 0);
}

/** emp_wb_block - write the subblocks of @b that emp_evict_block() marked WB */
void emp_wb_block(struct emp_wb *wb, u32 b)
{
	struct emp_region *r = wb->r;
	u64 s, first = emp_first_sub(r, b);
	struct emp_wb_place place = { };
	unsigned long w;
	u32 copy;

	/* Bit EMP_S_WB of a subblock goes only by our own hand until we let go of the last one. */
	for (s = first; s < first + emp_subs_per_block(r); s++) {
		w = READ_ONCE(r->sub[s]);
		if (w & EMP_S_WB)
			emp_wb_folio(wb, b, s, &place);
	}
	for (copy = 0; copy < EMP_COPIES; copy++)
		if (place.tier[copy])
			emp_tier_put(place.tier[copy]);
}
