// SPDX-License-Identifier: GPL-2.0-only
/*
 * Redundancy: a block has a second slot, on a tier of another device.
 *
 * Which copies of a subblock are current is in its word, and nowhere else:
 *
 *	VALID		that in the slot, bent[].slot
 *	TWIN		that in the second slot, copies->slot[]
 *	both		two copies
 *	one of them	exposed: counted, and copied again by a copier
 *	neither		in DRAM only, or zero, or LOST
 *
 * A bit is set when a write into that slot has ended well and the folio was not
 * written to since it began; becoming dirty clears both bits at once, before the
 * new bytes can be seen. So a copy that is older than another has no bit, and
 * what has no bit is never read. All under the block's lock.
 *
 * Who writes a second slot:
 *
 *	write-back	with mirror=sync and replica, beside the first: WB is set on
 *			what it writes, until both requests have ended
 *	a copier	(below) reads the one copy and writes the other, while
 *			COPYING is set on the block
 *
 * They exclude each other: write-back leaves the second slot of a block alone
 * that is COPYING, a copier passes over a block with a WB. So no two writes of
 * the same bytes of a slot are ever under way, and none can come late. COPYING
 * stays until the write has ended, however late that is; whoever takes a bit
 * away meanwhile clears COPYOK, and then the copier sets none. While COPYING is
 * set the slot is the copier's: who has no use for it any more only forgets it,
 * and the copier frees it.
 *
 * The slots of a block are exchanged (emp_copy_swap()) so that the first is on
 * the better tier, since that is what the rest of the module looks at. Not
 * while a fetch, a write or a copier is at work on one of them.
 *
 * A copy that could not be read, or came back wrong, loses its bit once the
 * other was read well. When a tier is lost, the copies on it lose theirs.
 *
 * The copiers work through two bitmaps: ->behind, written and not yet copied
 * (mirror, or a second write that failed), as fast as they can; ->rebuild,
 * within ->rate. A bit there is a hint: the block is looked at.
 */
#include <linux/bitmap.h>
#include <linux/kthread.h>
#include <linux/math64.h>
#include <linux/slab.h>

#include "emp_check.h"
#include "emp_copy.h"
#include "emp_event.h"
#include "emp_migrate.h"
#include "emp_tier.h"
#include "emp_writeback.h"

#define EMP_COPY_AGAIN		(HZ / 20UL) /* to the next look at blocks that were in use */
#define EMP_COPY_BACKOFF	HZ	/* ... that had no place, or whose tier failed */
#define EMP_COPY_HOMELESS	256u	/* blocks without a place, until it is left at that */
#define EMP_COPY_TURN		32u	/* blocks rebuilt before those that are behind */
#define EMP_RATE_DEFAULT	(256ULL << 20)
#define EMP_RATE_AHEAD		(50 * NSEC_PER_MSEC) /* rebuilt at once, then a pause */
#define EMP_SUBS_MAX		(EMP_BLOCK_MAX / EMP_SUBBLOCK_MIN)

/* Exposed? While both are being written the folio is a copy, too. */
static bool emp_copy_single(unsigned long w)
{
	return !(w & EMP_S_WB) && (w & EMP_S_STORED) && (w & EMP_S_STORED) != EMP_S_STORED;
}

/* emp_copy_changed - emp_sub_store()'s account; block @b is locked */
void emp_copy_changed(struct emp_region *r, u32 b, u64 s, unsigned long from, unsigned long to)
{
	int more = emp_copy_single(to) - emp_copy_single(from);
	u64 head = emp_state_sub(r, b, s);
	u32 i;

	lockdep_assert_held(emp_block_lock(r, b));
	/* The first word of a 2 MiB folio speaks for all, also when its WB goes. */
	if (s != head && r->sub[head] & EMP_S_WB)
		more = 0;
	else if (s == head && r->bent[b].flags & EMP_B_HUGE && from & ~to & EMP_S_WB)
		for (i = 1; i < emp_subs_per_block(r); i++)
			more += emp_copy_single(r->sub[s + i]);
	if (more)
		atomic_long_add(more, &r->copies->exposed);
	if (from & EMP_S_STORED & ~to)
		r->bent[b].flags &= ~EMP_B_COPYOK;
}

u64 emp_copy_exposed(const struct emp_region *r)
{
	return r->copies ? (u64)atomic_long_read(&r->copies->exposed) << r->sub_shift : 0;
}

u64 emp_copy_rebuild_left(const struct emp_region *r)
{
	return r->copies ? (u64)atomic_long_read(&r->copies->rebuild_left) << r->block_shift : 0;
}

static struct emp_tier *emp_copy_tier(struct emp_region *r, u32 b, u32 copy)
{
	u32 slot = emp_copy_slot(r, b, copy);

	return slot == EMP_NO_SLOT ? NULL : emp_tier_of_slot(r, slot);
}

/* Of the place where it is. The worse the higher; a copy that is not there is worst. */
static int emp_copy_state(struct emp_region *r, u32 b, u32 copy)
{
	struct emp_tier *t = emp_copy_tier(r, b, copy);

	return t ? emp_slot_state(t, emp_copy_slot(r, b, copy)) : EMP_TIER_GONE + 1;
}

/**
 * emp_copy_pick - which copy to read
 * @r: region
 * @b: block, locked, or a fetch of it is under way
 * @w: word of the subblock
 * @failed: mask of copies (1 << copy) that are not to be tried
 *
 * The first, unless the other's tier is in better order. Return: EMP_COPY_NONE
 * if there is no other left.
 */
u32 emp_copy_pick(struct emp_region *r, u32 b, unsigned long w, u32 failed)
{
	bool first = !(failed & 1), second = w & EMP_S_TWIN && !(failed & 2);

	if (!r->copies)
		return first ? 0 : EMP_COPY_NONE;
	first = first && w & EMP_S_VALID;
	if (!second)
		return first ? 0 : EMP_COPY_NONE;
	return first && emp_copy_state(r, b, 0) <= emp_copy_state(r, b, 1) ? 0 : 1;
}

/*
 * emp_copy_on - the copy of the locked block @b that has a slot on @t; @leaving:
 * in a unit of it that is withdrawn
 *
 * EMP_COPY_NONE: none.
 */
u32 emp_copy_on(struct emp_region *r, u32 b, const struct emp_tier *t, bool leaving)
{
	u32 copy;

	for (copy = 0; copy < EMP_COPIES; copy++)
		if (emp_copy_tier(r, b, copy) == t &&
		    (!leaving || emp_unit_state(t, emp_copy_slot(r, b, copy)) != EMP_UNIT_IN))
			return copy;
	return EMP_COPY_NONE;
}

/** emp_copy_deadline - ms that a fetch of copy @copy of the locked block @b may take */
u32 emp_copy_deadline(struct emp_region *r, u32 b, u32 copy)
{
	struct emp_tier *t = emp_copy_tier(r, b, copy);

	return t ? READ_ONCE(t->deadline_ms) : emp_default_deadline_ms;
}

/* Has the tier of one of two slots of the locked block @b been lost? */
static bool emp_copy_torn(struct emp_region *r, u32 b)
{
	bool lost = emp_copy_state(r, b, 0) == EMP_TIER_GONE ||
		    emp_copy_state(r, b, 1) == EMP_TIER_GONE;

	return lost && emp_copy_slot(r, b, 1) != EMP_NO_SLOT;
}

/** emp_copy_alive - bits of the copies whose tier is not lost; the block is locked */
unsigned long emp_copy_alive(struct emp_region *r, u32 b)
{
	unsigned long alive = 0;
	u32 copy;

	for (copy = 0; copy < EMP_COPIES; copy++)
		if (emp_copy_state(r, b, copy) < EMP_TIER_GONE)
			alive |= emp_copy_bit(copy);
	return alive;
}

/* What holds for some subblock of the locked block @b. */
static unsigned long emp_copy_any(struct emp_region *r, u32 b, bool *busy, bool *first,
				  bool *second)
{
	u64 s, begin = emp_first_sub(r, b);
	unsigned long any = 0, w;

	*busy = false;
	*first = false;
	*second = false;
	for (s = begin; s < begin + emp_subs_per_block(r); s++) {
		w = r->sub[s];
		any |= w;
		*busy |= emp_word_busy(w);
		*first |= (w & EMP_S_STORED) == EMP_S_VALID;
		*second |= (w & EMP_S_STORED) == EMP_S_TWIN;
	}
	return any;
}

static struct emp_copier *emp_copier_of(struct emp_region *r, u32 b)
{
	return &r->copies->copier[(b / BITS_PER_LONG) % EMP_COPIERS];
}

static void emp_copier_kick(struct emp_copier *c, unsigned long delay)
{
	if (!READ_ONCE(c->copies->region->nowb))
		queue_delayed_work(system_unbound_wq, &c->work, delay);
}

static void emp_copy_behind(struct emp_region *r, u32 b)
{
	if (!test_and_set_bit(b, r->copies->behind))
		emp_copier_kick(emp_copier_of(r, b), 1);
}

static void emp_copy_mark_rebuild(struct emp_region *r, u32 b)
{
	if (test_and_set_bit(b, r->copies->rebuild))
		return;
	atomic_long_inc(&r->copies->rebuild_left);
	emp_copier_kick(emp_copier_of(r, b), 1);
}

static void emp_copy_unmark(struct emp_region *r, u32 b)
{
	clear_bit(b, r->copies->behind);
	if (test_and_clear_bit(b, r->copies->rebuild))
		atomic_long_dec(&r->copies->rebuild_left);
}

/** emp_copy_check - @s of the locked block @b was written: does what it speaks for lack copies? */
void emp_copy_check(struct emp_region *r, u32 b, u64 s)
{
	u32 n = r->bent[b].flags & EMP_B_HUGE ? emp_subs_per_block(r) : 1;

	if (!r->copies)
		return;
	while (n--) {
		if (emp_copy_single(r->sub[s + n])) {
			emp_copy_behind(r, b);
			return;
		}
	}
}

/**
 * emp_copy_swap - the second slot of the locked block @b becomes the first
 * @r: region
 * @b: block; no fetch, write or copier is at work on it
 */
void emp_copy_swap(struct emp_region *r, u32 b)
{
	u64 s, first = emp_first_sub(r, b);
	struct emp_bent *e = &r->bent[b];
	unsigned long w, to;

	lockdep_assert_held(emp_block_lock(r, b));
	swap(e->slot, r->copies->slot[b]);
	for (s = first; s < first + emp_subs_per_block(r); s++) {
		w = r->sub[s];
		to = w & ~EMP_S_STORED;
		if (w & EMP_S_VALID)
			to |= EMP_S_TWIN;
		if (w & EMP_S_TWIN)
			to |= EMP_S_VALID;
		WRITE_ONCE(r->sub[s], to);	/* as many copies as before */
	}
	e->flags &= ~(EMP_B_MIGRATE | EMP_B_COPYOK);
}

/* The slot of a second copy, which nothing names any more. */
static void emp_copy_free_slot(struct emp_region *r, u32 slot)
{
	atomic_long_dec(&r->copies->seconds);
	emp_slot_free(r, slot);
}

/** emp_copy_release - nothing of the locked block @b is worth anything in its second slot */
void emp_copy_release(struct emp_region *r, u32 b)
{
	u64 s, first = emp_first_sub(r, b);
	u32 slot = emp_copy_slot(r, b, 1);

	lockdep_assert_held(emp_block_lock(r, b));
	if (slot == EMP_NO_SLOT)
		return;
	for (s = first; s < first + emp_subs_per_block(r); s++)
		emp_sub_store(r, b, s, r->sub[s] & ~EMP_S_TWIN);
	if (!(r->bent[b].flags & EMP_B_COPYING))
		emp_copy_free_slot(r, slot);	/* else the copier does */
	r->copies->slot[b] = EMP_NO_SLOT;
	r->bent[b].flags &= ~(EMP_B_MIGRATE | EMP_B_COPYOK);
}

/*
 * emp_copy_drop - the tier of the second copy of the locked block @b is lost
 *
 * What only that had is lost, or dirty from now on where it is in DRAM. No
 * fetch of the block is under way.
 */
void emp_copy_drop(struct emp_region *r, u32 b)
{
	u64 s, first = emp_first_sub(r, b);
	unsigned long w;
	bool lost = false;
	u64 at;

	for (s = first; s < first + emp_subs_per_block(r); s++) {
		if ((r->sub[s] & EMP_S_STORED) != EMP_S_TWIN)
			continue;
		at = emp_state_sub(r, b, s);
		w = r->sub[at];
		if (w & EMP_S_PRESENT) {
			if (!(w & EMP_S_DIRTY)) {
				emp_mark_dirty(r, b, at, &w);
				r->sub[at] = w;
			}
		} else {
			emp_sub_store(r, b, s, EMP_S_LOST | EMP_S_FOREVER);
			lost = true;
		}
	}
	emp_copy_release(r, b);
	if (lost)
		emp_event_post(EMP_EVENT_DATA_LOST, r->name, EMP_EVENT_NO_TIER);
}

/**
 * emp_copy_settle - the copies of the locked block @b, by the states of their tiers
 * @r: region
 * @b: block
 * @writing: the caller is write-back, which has set WB and begun no request
 *
 * Puts the copy on the better tier first and forgets one on a lost tier; does
 * nothing while the block is in use.
 */
void emp_copy_settle(struct emp_region *r, u32 b, bool writing)
{
	bool busy, first, second;
	unsigned long any;

	lockdep_assert_held(emp_block_lock(r, b));
	if (emp_copy_slot(r, b, 1) == EMP_NO_SLOT || r->bent[b].flags & EMP_B_COPYING)
		return;
	any = emp_copy_any(r, b, &busy, &first, &second);
	if (busy || (any & EMP_S_WB && !writing))
		return;
	if (emp_copy_state(r, b, 1) < emp_copy_state(r, b, 0))
		emp_copy_swap(r, b);
	if (emp_copy_state(r, b, 1) < EMP_TIER_GONE)
		return;
	emp_copy_drop(r, b);
	emp_copy_any(r, b, &busy, &first, &second);
	if (first || any & EMP_S_WB)
		emp_copy_mark_rebuild(r, b);
}

/* A second slot for the locked block @b, on a tier of a state up to @worst. */
static u32 emp_copy_place(struct emp_region *r, u32 b, int worst)
{
	u32 slot = r->copies->slot[b];

	if (slot != EMP_NO_SLOT)
		return slot;
	slot = emp_slot_alloc_second(r, emp_copy_tier(r, b, 0), worst);
	if (slot == EMP_NO_SLOT)
		return slot;
	atomic_long_inc(&r->copies->seconds);
	r->copies->slot[b] = slot;
	return slot;
}

/*
 * emp_copy_soon - a second copy of the locked block @b could be written together
 * with the first, as it should, if its copier were not at work on it
 *
 * That one stops at its next subblock: what it copies is not current any more.
 * A write that hangs makes its tier degraded, and nobody waits for that.
 */
bool emp_copy_soon(struct emp_region *r, u32 b)
{
	if (!r->copies || !r->copies->sync || !(r->bent[b].flags & EMP_B_COPYING) ||
	    emp_copy_state(r, b, 1) != EMP_TIER_OK)
		return false;
	r->bent[b].flags &= ~EMP_B_COPYOK;
	return true;
}

/*
 * emp_copy_target - where write-back writes the second copy of the locked block @b
 *
 * EMP_NO_SLOT: nowhere now. A tier in trouble does not hold up write-back: a
 * copier will try it.
 */
u32 emp_copy_target(struct emp_region *r, u32 b)
{
	if (!r->copies || !r->copies->sync || r->bent[b].flags & EMP_B_COPYING ||
	    emp_copy_place(r, b, EMP_TIER_OK) == EMP_NO_SLOT ||
	    emp_copy_state(r, b, 1) != EMP_TIER_OK)
		return EMP_NO_SLOT;
	return r->copies->slot[b];
}

/*
 * emp_copy_bad - subblock @s was read from one copy after @failed could not be
 *
 * The block is locked and the fetch is over. The bad copies are not current
 * any more, and will be written again.
 */
void emp_copy_bad(struct emp_region *r, u32 b, u64 s, u32 failed)
{
	unsigned long w = r->sub[s], to = w;
	u32 copy;

	for (copy = 0; copy < EMP_COPIES; copy++)
		if (failed & 1u << copy)
			to &= ~emp_copy_bit(copy);
	if (!r->copies || to == w || !(to & EMP_S_STORED))
		return;
	emp_sub_store(r, b, s, to);
	emp_copy_behind(r, b);
}

/*
 * emp_copy_leave - block @b shall have no copy on @t, which cannot be moved;
 * @leaving: none in what is withdrawn of it
 *
 * Return: 0 it has none (any more), -EAGAIN in use or the other copy is not
 * complete so far, -ENOSPC there is no other.
 */
int emp_copy_leave(struct emp_region *r, u32 b, struct emp_tier *t, bool leaving)
{
	bool busy, first, second;
	unsigned long flags, any;
	int err = -EAGAIN;
	u32 copy;

	spin_lock_irqsave(emp_block_lock(r, b), flags);
	copy = emp_copy_on(r, b, t, leaving);
	any = emp_copy_any(r, b, &busy, &first, &second);
	if (copy == EMP_COPY_NONE) {
		err = 0;
	} else if (busy || any & EMP_S_WB || r->bent[b].flags & EMP_B_COPYING) {
		;
	} else if (!copy && emp_copy_slot(r, b, 1) == EMP_NO_SLOT) {
		err = -ENOSPC;
	} else if (copy ? second : first) {
		emp_copy_behind(r, b);
	} else {
		if (!copy)
			emp_copy_swap(r, b);
		emp_copy_release(r, b);
		if (any & EMP_S_STORED)
			emp_copy_mark_rebuild(r, b);
		err = 0;
	}
	spin_unlock_irqrestore(emp_block_lock(r, b), flags);
	return err;
}

/* --- the copiers ------------------------------------------------------------------- */

/*
 * emp_copy_ended - no write into second slot @slot of block @b is under way any more
 *
 * For a write that was late; any context.
 */
void emp_copy_ended(struct emp_region *r, u32 b, u32 slot)
{
	unsigned long flags;

	spin_lock_irqsave(emp_block_lock(r, b), flags);
	r->bent[b].flags &= ~(EMP_B_COPYING | EMP_B_COPYOK);
	if (r->copies->slot[b] != slot)
		emp_copy_free_slot(r, slot);
	spin_unlock_irqrestore(emp_block_lock(r, b), flags);
}

/* Read subblock @sub, whose copy is at @pos of @from, and see whether it is right. */
static int emp_copy_read(struct emp_region *r, u32 b, struct emp_tier *from, u64 pos,
			 struct folio *folio, u64 sub)
{
	int err = emp_sync_read(from, pos, folio, folio_size(folio));

	if (err || emp_check_matches(r, folio, 0, sub)) {
		if (!err)
			emp_check_adopt(r, b, folio, sub);
		return err;
	}
	/* Written meanwhile: then it is not the tier that is wrong. */
	if (!(READ_ONCE(r->bent[b].flags) & EMP_B_COPYOK))
		return -EAGAIN;
	emp_count(r, csum_error);
	return -EILSEQ;
}

/*
 * Copy what has one copy of @b; *done: what was. *late: a write is under way
 * still. What cannot be read does not hold up the rest.
 */
static int emp_copy_subs(struct emp_region *r, u32 b, struct emp_tier *from, u64 pos,
			 struct emp_tier *to, u32 slot, unsigned long *done, bool *late)
{
	u64 first = emp_first_sub(r, b), dst = emp_tier_pos(to, slot);
	size_t len = 1UL << r->sub_shift;
	struct folio *folio;
	int err = 0, bad = 0;
	u32 i;

	for (i = 0; i < emp_subs_per_block(r) && !err; i++) {
		if ((READ_ONCE(r->sub[first + i]) & EMP_S_STORED) != EMP_S_VALID)
			continue;
		if (READ_ONCE(r->nowb))
			return -EINTR;
		if (!(READ_ONCE(r->bent[b].flags) & EMP_B_COPYOK))
			return -EAGAIN;
		folio = folio_alloc(GFP_KERNEL | __GFP_NOWARN, emp_sub_order(r));
		if (!folio)
			return -ENOMEM;
		err = emp_copy_read(r, b, from, pos + i * len, folio, first + i);
		if (err == -EIO || err == -EILSEQ) {
			bad = err;
			err = 0;
		} else if (!err) {
			err = emp_sync_copy(to, dst + i * len, folio, len, b, slot, late);
			if (!err) {
				__set_bit(i, done);
				emp_count_add(r, copy_bytes, len);
			}
		}
		folio_put(folio);
	}
	return err ?: bad;
}

/*
 * The write into the second slot failed. If there is a better place, and
 * nothing that only this slot has, let go of it. The block is locked.
 */
static void emp_copy_elsewhere(struct emp_region *r, u32 b, struct emp_tier *to)
{
	bool busy, first, second;

	emp_copy_any(r, b, &busy, &first, &second);
	if (!busy && !second && READ_ONCE(to->state) != EMP_TIER_OK &&
	    emp_copy_tier(r, b, 1) == to &&
	    emp_second_room(r, emp_copy_tier(r, b, 0), EMP_TIER_OK))
		emp_copy_release(r, b);
}

/* Was the only tier that block @b is on lost? Nothing of it can be read any more. */
static bool emp_copy_hopeless(struct emp_region *r, u32 b)
{
	return emp_copy_slot(r, b, 1) == EMP_NO_SLOT && emp_copy_state(r, b, 0) == EMP_TIER_GONE;
}

/*
 * Write what block @b lacks. *bytes: how much that was. Return: 0 it lacks
 * nothing (now), -EAGAIN it is in use, -ENOSPC there is no place, or an error.
 */
static int emp_copy_block(struct emp_region *r, u32 b, u64 *bytes)
{
	spinlock_t *lock = emp_block_lock(r, b);
	struct emp_bent *e = &r->bent[b];
	DECLARE_BITMAP(done, EMP_SUBS_MAX);
	bool busy, first, second, late = false;
	struct emp_tier *from, *to;
	unsigned long flags, any;
	u32 slot, i;
	u64 s, pos;
	int err;

	bitmap_zero(done, EMP_SUBS_MAX);
	*bytes = 0;
	spin_lock_irqsave(lock, flags);
	emp_copy_settle(r, b, false);
	any = emp_copy_any(r, b, &busy, &first, &second);
	err = 0;
	if ((!first && !second && !(any & EMP_S_WB) && !emp_copy_torn(r, b)) ||
	    emp_copy_hopeless(r, b)) {
		emp_copy_unmark(r, b);
		goto unlock;
	}
	err = -EAGAIN;
	if (any & EMP_S_WB || e->flags & (EMP_B_COPYING | EMP_B_MIGRATE) || emp_copy_torn(r, b))
		goto unlock;
	if (!first) {	/* only the second slot has it: the other way round, then */
		if (busy)
			goto unlock;
		emp_copy_swap(r, b);
	}
	err = -ENOSPC;
	slot = emp_copy_place(r, b, EMP_TIER_DEGRADED);
	if (slot == EMP_NO_SLOT)
		goto unlock;
	err = -EAGAIN;
	if (emp_copy_state(r, b, 1) > EMP_TIER_DEGRADED)
		goto unlock;
	from = emp_tier_get_slot(r, e->slot);
	to = emp_tier_get_slot(r, slot);
	pos = emp_tier_pos(from, e->slot);
	e->flags |= EMP_B_COPYING | EMP_B_COPYOK;
	spin_unlock_irqrestore(lock, flags);

	err = emp_copy_subs(r, b, from, pos, to, slot, done, &late);

	spin_lock_irqsave(lock, flags);
	if (late)	/* COPYING stays until it has ended */
		goto put;
	if (e->flags & EMP_B_COPYOK) {
		for_each_set_bit(i, done, emp_subs_per_block(r)) {
			s = emp_first_sub(r, b) + i;
			if ((r->sub[s] & (EMP_S_STORED | EMP_S_DIRTY)) != EMP_S_VALID)
				continue;
			emp_sub_store(r, b, s, r->sub[s] | EMP_S_TWIN);
			*bytes += 1ULL << r->sub_shift;
		}
	} else {
		err = err ?: -EAGAIN;
	}
	e->flags &= ~(EMP_B_COPYING | EMP_B_COPYOK);
	if (r->copies->slot[b] != slot)
		emp_copy_free_slot(r, slot);
	else if (err && err != -EAGAIN)
		emp_copy_elsewhere(r, b, to);
	if (!err) {
		emp_copy_any(r, b, &busy, &first, &second);
		if (first || second || emp_copy_torn(r, b))
			err = -EAGAIN;	/* the other way round, or more by now */
		else
			emp_copy_unmark(r, b);
	}
put:
	spin_unlock_irqrestore(lock, flags);
	emp_tier_put(from);
	emp_tier_put(to);
	return err;
unlock:
	spin_unlock_irqrestore(lock, flags);
	return err;
}

/* How long until rebuilding may go on, in jiffies. */
static unsigned long emp_rate_wait(struct emp_copies *c)
{
	u64 now = ktime_get_ns(), next;

	spin_lock(&c->rate_lock);
	next = c->rate_next;
	spin_unlock(&c->rate_lock);
	return READ_ONCE(c->rate) && next > now + EMP_RATE_AHEAD ?
	       nsecs_to_jiffies(next - now) + 1 : 0;
}

static void emp_rate_charge(struct emp_copies *c, u64 bytes)
{
	u64 now = ktime_get_ns(), rate = READ_ONCE(c->rate);

	if (!rate || !bytes)
		return;
	spin_lock(&c->rate_lock);
	c->rate_next = max(c->rate_next, now) + mul_u64_u64_div_u64(bytes, NSEC_PER_SEC, rate);
	spin_unlock(&c->rate_lock);
}

/** emp_copy_set_rate - bytes a second of rebuilding, 0: no limit; without copies only 0 */
int emp_copy_set_rate(struct emp_region *r, u64 rate)
{
	struct emp_copies *c = r->copies;
	u32 i;

	if (!c)
		return rate ? -EINVAL : 0;
	spin_lock(&c->rate_lock);
	WRITE_ONCE(c->rate, rate);
	c->rate_next = 0;
	spin_unlock(&c->rate_lock);
	for (i = 0; i < EMP_COPIERS; i++)
		if (!READ_ONCE(r->nowb))
			mod_delayed_work(system_unbound_wq, &c->copier[i].work, 0);
	return 0;
}

/* One look at the copier's share of the blocks. */
struct emp_copy_round {
	unsigned long delay;	/* jiffies until the next; 0: nothing is left */
	u32 blocks;		/* looked at */
	u32 homeless;		/* found no place */
};

static void emp_round_again(struct emp_copy_round *round, unsigned long delay)
{
	round->delay = max(round->delay, delay);
}

/* Copy one block; false: no use in going on now. */
static bool emp_copier_one(struct emp_region *r, u32 b, bool limited,
			   struct emp_copy_round *round)
{
	u64 bytes;
	int err = emp_copy_block(r, b, &bytes);

	round->blocks++;
	if (limited)
		emp_rate_charge(r->copies, bytes);
	switch (err) {
	case 0:
		return true;
	case -EAGAIN:
		emp_round_again(round, EMP_COPY_AGAIN);
		return true;
	case -ENOSPC:
		emp_round_again(round, EMP_COPY_BACKOFF);
		return ++round->homeless < EMP_COPY_HOMELESS;
	case -EINTR:
		emp_round_again(round, EMP_COPY_BACKOFF);
		return false;
	default:
		emp_count(r, copy_error);
		emp_round_again(round, EMP_COPY_BACKOFF);
		/* A tier that takes its time fails for the next block, too. */
		return err != -ETIMEDOUT;
	}
}

/* Copy the blocks that are @bits of word @i of a map. false: no use in going on now. */
static bool emp_copier_word(struct emp_copier *c, unsigned long bits, u32 i, bool limited,
			    struct emp_copy_round *round)
{
	struct emp_region *r = c->copies->region;
	unsigned long wait;
	u32 bit;

	for_each_set_bit(bit, &bits, BITS_PER_LONG) {
		if (READ_ONCE(r->nowb))
			return false;
		if (limited) {
			wait = emp_rate_wait(c->copies);
			if (wait || round->blocks >= EMP_COPY_TURN) {
				/* Other work can come before it may go on. */
				emp_round_again(round, clamp(wait, 1UL, EMP_COPY_AGAIN));
				return false;
			}
		}
		if (!emp_copier_one(r, i * BITS_PER_LONG + bit, limited, round))
			return false;
		cond_resched();
	}
	return true;
}

/* Look at the blocks of @c that are in @map, from where the last look was given up. */
static void emp_copier_pass(struct emp_copier *c, unsigned long *map, bool limited,
			    struct emp_copy_round *round)
{
	u32 mine = c - c->copies->copier, words = BITS_TO_LONGS(c->copies->region->nr_blocks);
	u32 n = words > mine ? DIV_ROUND_UP(words - mine, EMP_COPIERS) : 0, k, i;
	u32 *at = &c->at[limited];
	unsigned long bits;

	for (k = 0; k < n; k++, *at = *at + 1 < n ? *at + 1 : 0) {
		i = *at * EMP_COPIERS + mine;
		bits = READ_ONCE(map[i]);
		if (bits && !emp_copier_word(c, bits, i, limited, round)) {
			*at = round->homeless && *at + 1 < n ? *at + 1 : *at;
			return;
		}
		if (!(k & 1023))
			cond_resched();
	}
}

/* A tier was lost: which blocks had a copy there? */
static void emp_copy_rescan(struct emp_region *r)
{
	bool busy, first, second;
	unsigned long flags;
	u32 b;

	for (b = 0; b < r->nr_blocks && !READ_ONCE(r->nowb); b++) {
		spin_lock_irqsave(emp_block_lock(r, b), flags);
		if (emp_copy_state(r, b, 0) == EMP_TIER_GONE ||
		    emp_copy_state(r, b, 1) == EMP_TIER_GONE) {
			emp_copy_settle(r, b, false);
			emp_copy_any(r, b, &busy, &first, &second);
			/* In use: the copier settles it. */
			if (first || second || emp_copy_torn(r, b))
				emp_copy_mark_rebuild(r, b);
		}
		spin_unlock_irqrestore(emp_block_lock(r, b), flags);
		if (!(b & 1023))
			cond_resched();
	}
}

static void emp_copier_work(struct work_struct *work)
{
	struct emp_copier *c = container_of(work, struct emp_copier, work.work);
	struct emp_region *r = c->copies->region;
	struct emp_copy_round round = { };

	if (atomic_xchg(&c->copies->rescan, 0))
		emp_copy_rescan(r);
	emp_copier_pass(c, c->copies->behind, false, &round);
	round.blocks = 0;
	emp_copier_pass(c, c->copies->rebuild, true, &round);
	if (round.delay)
		emp_copier_kick(c, round.delay);
}

/** emp_copy_tier_lost - a tier of @r is lost; any context */
void emp_copy_tier_lost(struct emp_region *r)
{
	if (!r->copies)
		return;
	atomic_set(&r->copies->rescan, 1);
	emp_copier_kick(&r->copies->copier[0], 0);
}

u64 emp_copy_metadata(const struct emp_region *r)
{
	if (!r->copies)
		return 0;
	return sizeof(*r->copies) + r->nr_blocks * sizeof(*r->copies->slot) +
	       2 * BITS_TO_LONGS((u64)r->nr_blocks) * sizeof(long);
}

/** emp_copy_init - of a new region; its tables are there */
int emp_copy_init(struct emp_region *r, u32 redundancy)
{
	u64 longs = BITS_TO_LONGS((u64)r->nr_blocks);
	struct emp_copies *c;
	u32 i;

	r->redundancy = redundancy;
	if (redundancy == EMP_REDUNDANCY_NONE)
		return 0;
	c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	if (!c)
		return -ENOMEM;
	r->copies = c;
	c->region = r;
	c->sync = redundancy != EMP_REDUNDANCY_MIRROR;
	c->remote = redundancy == EMP_REDUNDANCY_REPLICA;
	c->rate = EMP_RATE_DEFAULT;
	spin_lock_init(&c->rate_lock);
	for (i = 0; i < EMP_COPIERS; i++) {
		c->copier[i].copies = c;
		INIT_DELAYED_WORK(&c->copier[i].work, emp_copier_work);
	}
	c->slot = emp_table_alloc(r->nr_blocks, sizeof(*c->slot));
	c->behind = emp_table_alloc(longs, sizeof(long));
	c->rebuild = emp_table_alloc(longs, sizeof(long));
	if (!c->slot || !c->behind || !c->rebuild)
		return -ENOMEM;	/* emp_copy_exit() is to come */
	for (i = 0; i < r->nr_blocks; i++)
		c->slot[i] = EMP_NO_SLOT;
	return 0;
}

/** emp_copy_stop - no copies from now on; ->nowb is set */
void emp_copy_stop(struct emp_region *r)
{
	u32 i;

	for (i = 0; r->copies && i < EMP_COPIERS; i++)
		cancel_delayed_work_sync(&r->copies->copier[i].work);
}

void emp_copy_exit(struct emp_region *r)
{
	if (!r->copies)
		return;
	kvfree(r->copies->rebuild);
	kvfree(r->copies->behind);
	kvfree(r->copies->slot);
	kfree(r->copies);
	r->copies = NULL;
}
