// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moving blocks between tiers.
 *
 * A block of which nothing is in DRAM is copied, subblock by subblock, through
 * a folio of our own into a slot elsewhere, and then switched over. EMP_B_MIGRATE
 * is set when the copy begins; whatever else happens to the block (a fetch, a
 * discard, a write) clears it, and then the copy is thrown away. One migration
 * of a region at a time (migrate_lock): a bit that is set again would otherwise
 * be taken for the first one's.
 *
 * Demotion: when a tier that has a slower one behind it is nearly full, the
 * blocks that were evicted longest ago go down, until there is room again: each
 * time the oldest of a few that were picked at random.
 *
 * Draining moves all blocks; what is in DRAM becomes dirty instead, and finds
 * a place elsewhere when it is evicted. So does leaving, for the units of a tier
 * that are withdrawn (emp_tier_withdraw()), in the background and until it is
 * done: what finds no place stays, and is tried again later.
 *
 * With redundancy either copy of a block can be moved, never onto the device of
 * the other.
 */
#include <linux/completion.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "emp_check.h"
#include "emp_copy.h"
#include "emp_event.h"
#include "emp_fetch.h"
#include "emp_folio.h"
#include "emp_migrate.h"
#include "emp_reclaim.h"
#include "emp_tier.h"
#include "emp_writeback.h"

#define EMP_DEMOTE_SAMPLE	16	/* blocks compared for each one demoted */
#define EMP_DRAIN_PATIENCE	8	/* rounds until read-ahead is not relied on any more */
#define EMP_LEAVE_AGAIN		(HZ / 20UL) /* to the next look at blocks that were in use */
#define EMP_LEAVE_BACKOFF	HZ	/* ... that found no place, or could not be read */

/* One synchronous request; outlives its waiter when the tier is late. */
struct emp_sync {
	struct completion done;
	struct kref ref;
	struct folio *folio;
	atomic_t over;		/* whoever comes second, waiter or end, sees it set */
	u32 slot;		/* to be freed by a late end; EMP_NO_SLOT */
	u32 block;		/* whose second copy it is: emp_copy_ended(); EMP_NO_SLOT */
	int error;
};

static void emp_sync_free(struct kref *ref)
{
	struct emp_sync *y = container_of(ref, struct emp_sync, ref);

	folio_put(y->folio);
	kfree(y);
}

static void emp_sync_done(struct emp_io *io)
{
	struct emp_sync *y = io->owner;

	y->error = io->error;
	if (atomic_xchg(&y->over, 1) && y->slot != EMP_NO_SLOT) {
		if (y->block != EMP_NO_SLOT)
			emp_copy_ended(io->tier->region, y->block, y->slot);
		else
			emp_slot_free(io->tier->region, y->slot);
	}
	io->tier->ops->io_free(io);
	complete_all(&y->done);	/* the waiter may look twice */
	kref_put(&y->ref, emp_sync_free);
}

/*
 * Read or write, and wait as long as the tier's deadline. *late (-ETIMEDOUT, or
 * -EINTR: killed): the request is still under way, and frees @slot when it ends,
 * or, if that is the second of block @b, calls emp_copy_ended(). A tier can say
 * -ETIMEDOUT of its own: then it has ended.
 */
static int emp_sync_io(struct emp_tier *t, bool write, u64 pos, struct folio *folio, size_t len,
		       u32 slot, u32 b, bool *late)
{
	struct emp_sync *y = kzalloc(sizeof(*y), GFP_KERNEL);
	struct emp_io *io;
	long left;
	int err;

	*late = false;
	if (!y)
		return -ENOMEM;
	init_completion(&y->done);
	kref_init(&y->ref);
	kref_get(&y->ref);
	folio_get(folio);
	y->folio = folio;
	y->slot = slot;
	y->block = b;
	atomic_inc(&t->inflight);
	io = t->ops->io_alloc(t, write, pos, 1, GFP_NOIO);
	io->done = emp_sync_done;
	io->owner = y;
	t->ops->io_add(io, folio, 0, len);
	emp_tier_submit(io);
	left = wait_for_completion_killable_timeout(&y->done, msecs_to_jiffies(t->deadline_ms));
	*late = left <= 0 && !atomic_xchg(&y->over, 1);
	if (*late) {
		err = left ? -EINTR : -ETIMEDOUT;
	} else {
		wait_for_completion(&y->done);	/* it ended, or is just ending */
		err = y->error;
	}
	kref_put(&y->ref, emp_sync_free);
	return err;
}

/** emp_sync_read - for emp_copy.c: read, and wait as long as the tier's deadline */
int emp_sync_read(struct emp_tier *t, u64 pos, struct folio *folio, size_t len)
{
	bool late;

	return emp_sync_io(t, false, pos, folio, len, EMP_NO_SLOT, EMP_NO_SLOT, &late);
}

/*
 * emp_sync_copy - write into @slot, the second of block @b, and wait as long as
 * the tier's deadline
 *
 * *late: it is under way still, and calls emp_copy_ended() when it ends.
 */
int emp_sync_copy(struct emp_tier *t, u64 pos, struct folio *folio, size_t len, u32 b, u32 slot,
		  bool *late)
{
	return emp_sync_io(t, true, pos, folio, len, slot, b, late);
}

/*
 * Copy the subblocks of @b that have @bit from slot to slot. *late: a write into
 * the new slot is under way still, and will free it.
 */
static int emp_move_block(struct emp_region *r, u32 b, unsigned long bit, struct emp_tier *from,
			  u32 old, struct emp_tier *to, u32 new, bool *late)
{
	u64 first = emp_first_sub(r, b);
	size_t len = 1UL << r->sub_shift;
	struct folio *folio;
	int err = 0;
	u32 i;

	for (i = 0; i < emp_subs_per_block(r) && !err; i++) {
		if (!(READ_ONCE(r->sub[first + i]) & bit))
			continue;
		/* Fresh for every piece: one that timed out may still be written into. */
		folio = folio_alloc(GFP_KERNEL | __GFP_NOWARN, emp_sub_order(r));
		if (!folio)
			return -ENOMEM;
		err = emp_sync_read(from, emp_tier_pos(from, old) + i * len, folio, len);
		if (!err && !emp_check_ok(r, folio, 0, first + i))
			err = -EILSEQ;
		if (!err) {
			emp_check_adopt(r, b, folio, first + i);
			err = emp_sync_io(to, true, emp_tier_pos(to, new) + i * len, folio, len,
					  new, EMP_NO_SLOT, late);
		}
		folio_put(folio);
	}
	return err;
}

/* Nothing of the locked block @b is current in the slot of @copy: it goes. */
static void emp_migrate_empty(struct emp_region *r, u32 b, u32 copy)
{
	if (!copy && emp_copy_slot(r, b, 1) != EMP_NO_SLOT) {
		emp_copy_swap(r, b);
		copy = 1;
	}
	if (copy) {
		emp_copy_release(r, b);
		return;
	}
	emp_slot_free(r, r->bent[b].slot);
	r->bent[b].slot = EMP_NO_SLOT;
}

/* The tier of the other copy of the locked block @b than @copy, or NULL. */
static struct emp_tier *emp_migrate_other(struct emp_region *r, u32 b, u32 copy)
{
	u32 slot = emp_copy_slot(r, b, !copy);

	return slot == EMP_NO_SLOT ? NULL : emp_tier_of_slot(r, slot);
}

/*
 * Move block @b off @from, or, @leaving, what is withdrawn of it; only to a tier
 * at place @min_tier or behind.
 * Return: 0 moved or nothing to move, -EAGAIN it is in use, or an error.
 */
static int emp_migrate_block(struct emp_region *r, u32 b, struct emp_tier *from, bool leaving,
			     u32 min_tier)
{
	spinlock_t *lock = emp_block_lock(r, b);
	struct emp_bent *e = &r->bent[b];
	u64 s, first = emp_first_sub(r, b);
	u32 old, new = EMP_NO_SLOT, copy;
	bool late = false, stored = false, lost = false;
	struct emp_tier *to = NULL;
	unsigned long flags, any = 0, bit;
	int err;

	mutex_lock(&r->migrate_lock);
	spin_lock_irqsave(lock, flags);
	if (r->copies)
		emp_copy_settle(r, b, false);
	copy = emp_copy_on(r, b, from, leaving);
	err = 0;
	if (copy == EMP_COPY_NONE)
		goto unlock;
	old = emp_copy_slot(r, b, copy);
	bit = emp_copy_bit(copy);
	for (s = first; s < first + emp_subs_per_block(r); s++) {
		any |= r->sub[s];
		stored |= emp_word_stored(r->sub[s]) && (!r->copies || r->sub[s] & bit);
		lost |= emp_word_stored(r->sub[s]) && r->sub[s] & EMP_S_LOST;
	}
	err = -EAGAIN;
	if (any & EMP_S_PRESENT || e->flags & (EMP_B_MIGRATE | EMP_B_COPYING))
		goto unlock;
	err = -EIO;
	if (lost)
		goto unlock;
	err = 0;
	if (!stored) {
		emp_migrate_empty(r, b, copy);
		goto unlock;
	}
	err = -ENOSPC;
	new = emp_slot_alloc(r, min_tier, emp_migrate_other(r, b, copy));
	if (new == EMP_NO_SLOT)
		goto unlock;
	to = emp_tier_get_slot(r, new);
	atomic_inc(&from->inflight);
	e->flags |= EMP_B_MIGRATE;
	spin_unlock_irqrestore(lock, flags);

	err = emp_move_block(r, b, bit, from, old, to, new, &late);

	spin_lock_irqsave(lock, flags);
	if (!err && e->flags & EMP_B_MIGRATE) {
		if (copy)
			r->copies->slot[b] = new;
		else
			e->slot = new;
		emp_slot_free(r, old);
	} else {
		if (!late)
			emp_slot_free(r, new);
		err = err ?: -EAGAIN;
	}
	e->flags &= ~EMP_B_MIGRATE;
	spin_unlock_irqrestore(lock, flags);
	emp_tier_put(from);
	emp_tier_put(to);
	mutex_unlock(&r->migrate_lock);
	return err;
unlock:
	spin_unlock_irqrestore(lock, flags);
	mutex_unlock(&r->migrate_lock);
	return err;
}

/* How long ago was @b evicted? 0: not a candidate. A guess, without locks. */
static u32 emp_demote_age(struct emp_region *r, u32 b, struct emp_tier *t)
{
	const struct emp_bent *e = &r->bent[b];
	u32 slot = READ_ONCE(e->slot);

	if (slot == EMP_NO_SLOT || slot < t->first || slot - t->first >= t->nr_slots ||
	    READ_ONCE(e->flags) & EMP_B_QUEUED)
		return 0;
	return READ_ONCE(r->policy.clock) - READ_ONCE(e->link) + 1;
}

/*
 * The oldest of some blocks of @t from all over the region (neighbours are of
 * one age). A block is looked for from a random place, not for ever.
 */
static u32 emp_demote_pick(struct emp_region *r, struct emp_tier *t)
{
	u32 i, j, b, best = EMP_NO_SLOT, best_age = 0, age = 0;

	for (i = 0; i < EMP_DEMOTE_SAMPLE; i++) {
		b = get_random_u32_below(r->nr_blocks);
		for (j = 0; j < 256; j++) {
			age = emp_demote_age(r, b, t);
			if (age)
				break;
			b = b + 1 < r->nr_blocks ? b + 1 : 0;
		}
		if (age > best_age) {
			best_age = age;
			best = b;
		}
	}
	return best;
}

/* Move the coldest of @t down, to place @below or behind, until an eighth of it is free. */
static void emp_demote_tier(struct emp_region *r, struct emp_tier *t, u32 below)
{
	u32 b, vain = 0;

	while (!READ_ONCE(r->nowb) && emp_tier_writable(t) &&
	       READ_ONCE(t->room) < DIV_ROUND_UP(emp_tier_slots(t), 8) && vain < 64) {
		b = emp_demote_pick(r, t);
		if (b == EMP_NO_SLOT) {
			vain++;
			continue;
		}
		switch (emp_migrate_block(r, b, t, false, below)) {
		case 0:
			emp_count(r, demoted);
			vain = 0;
			break;
		case -EAGAIN:
			vain++;
			break;
		case -ENOSPC:
			return;
		default:
			emp_count(r, migrate_error);
			vain += 8;
		}
		cond_resched();
	}
}

static void emp_demote_work(struct work_struct *work)
{
	struct emp_region *r = container_of(work, struct emp_region, demote_work);
	u32 i;

	for (i = 0; i + 1 < READ_ONCE(r->nr_tiers); i++) {
		struct emp_tier *t;
		u32 below;

		rcu_read_lock();	/* pairs with emp_tier_detach() */
		t = READ_ONCE(r->tier[i]);
		below = emp_level_end(r, i);
		if (below >= READ_ONCE(r->nr_tiers))
			t = NULL;
		if (t)
			atomic_inc(&t->inflight);
		rcu_read_unlock();
		if (!t)
			continue;
		emp_demote_tier(r, t, below);
		emp_tier_put(t);
	}
}

/** emp_demote_check - @t has a slower tier behind it: is it time to make room? Any context */
void emp_demote_check(struct emp_region *r, struct emp_tier *t)
{
	if (r->copies && READ_ONCE(r->nr_tiers) <= EMP_COPIES)
		return;		/* all of a block is on both */
	if (READ_ONCE(t->room) < DIV_ROUND_UP(emp_tier_slots(t), 16) && !READ_ONCE(r->nowb))
		queue_work(system_unbound_wq, &r->demote_work);
}

/*
 * emp_promote - block @b leaves DRAM: let it get a place on a faster tier, if it is worth it
 *
 * It is locked, and a victim of the policy. Worth it is a block that has proved
 * itself and will come back, all of which is in DRAM, so that only a write is
 * needed. Its clean parts become dirty for that. Where the faster tier gets full
 * by it, others sink (emp_demote_check()). With a second copy nothing is promoted.
 */
void emp_promote(struct emp_region *r, u32 b)
{
	u64 s, first = emp_first_sub(r, b), end = first + emp_subs_per_block(r), step;
	struct emp_bent *e = &r->bent[b];
	bool again = false;
	unsigned long w;

	lockdep_assert_held(emp_block_lock(r, b));
	if (!READ_ONCE(r->promote) || r->copies || READ_ONCE(r->nr_tiers) < 2 ||
	    READ_ONCE(r->nowb) || e->slot == EMP_NO_SLOT || !emp_policy_proven(e) ||
	    !emp_tier_faster(r, emp_tier_of_slot(r, e->slot)))
		return;
	step = e->flags & EMP_B_HUGE ? emp_subs_per_block(r) : 1;
	for (s = first; s < end; s += step) {
		w = r->sub[s];
		if (w & EMP_S_WB || emp_word_busy(w) ||
		    (emp_word_stored(w) && !(w & EMP_S_PRESENT && w & EMP_S_UPTODATE)))
			return;
	}
	for (s = first; s < end; s += step) {
		w = r->sub[s];
		if (!(w & EMP_S_PRESENT) || w & EMP_S_DIRTY || (step == 1 && !(w & EMP_S_STORED)))
			continue;
		emp_mark_dirty(r, b, s, &w);
		r->sub[s] = w;
		again = true;
	}
	if (again)		/* else all of it has changed, and gets a new place anyway */
		emp_count(r, promoted);
}

/*
 * emp_migrate_evacuate - what of @b is in DRAM no longer has a copy on @t, or,
 * @leaving, in what is withdrawn of it
 *
 * The rest of the block is fetched. Return: 0 the block has no slot on @t any
 * more, -EAGAIN a fetch or a write is under way, -EIO a part is lost.
 */
int emp_migrate_evacuate(struct emp_region *r, u32 b, struct emp_tier *t, bool leaving)
{
	spinlock_t *lock = emp_block_lock(r, b);
	struct emp_bent *e = &r->bent[b];
	u64 s, first = emp_first_sub(r, b), step;
	bool stored = false, busy = false, lost = false;
	unsigned long flags, w;
	int err = -EAGAIN;

	/* The rest of it comes into DRAM too. */
	if (READ_ONCE(e->flags) & EMP_B_QUEUED && !(READ_ONCE(e->flags) & EMP_B_HUGE))
		emp_fetch_ahead(r, first, first + emp_subs_per_block(r));

	spin_lock_irqsave(lock, flags);
	if (emp_copy_on(r, b, t, leaving) == EMP_COPY_NONE) {
		err = 0;
		goto unlock;
	}
	step = e->flags & EMP_B_HUGE ? emp_subs_per_block(r) : 1;
	for (s = first; s < first + emp_subs_per_block(r); s += step) {
		w = r->sub[s];
		if ((w & (EMP_S_PRESENT | EMP_S_UPTODATE)) != (EMP_S_PRESENT | EMP_S_UPTODATE) ||
		    w & (EMP_S_WB | EMP_S_DIRTY))
			continue;	/* VALID is not set, or not yet to be touched */
		if (step > 1 || w & EMP_S_STORED) {
			emp_mark_dirty(r, b, s, &w);
			r->sub[s] = w;
		}
	}
	for (s = first; s < first + emp_subs_per_block(r); s++) {
		w = r->sub[s];
		stored |= emp_word_stored(w);
		lost |= emp_word_stored(w) && w & EMP_S_LOST;
		busy |= emp_word_busy(w) || w & EMP_S_WB;
	}
	if (lost)
		err = -EIO;
	if (!stored && !busy) {
		emp_copy_release(r, b);
		emp_slot_free(r, e->slot);
		e->slot = EMP_NO_SLOT;
		err = 0;
	}
unlock:
	spin_unlock_irqrestore(lock, flags);
	return err;
}

/*
 * Fetch what only @t has of block @b, which cannot be copied as a whole: then
 * each subblock is either in DRAM or lost. One that is lost is tried again in
 * round 0 only.
 */
static void emp_migrate_fetch(struct emp_region *r, u32 b, struct emp_tier *t, u32 round)
{
	u64 s, first = emp_first_sub(r, b);
	unsigned long w, until;
	struct folio *folio;

	if (READ_ONCE(t->state) == EMP_TIER_GONE || READ_ONCE(r->bent[b].flags) & EMP_B_HUGE)
		return;
	for (s = first; s < first + emp_subs_per_block(r); s++) {
		w = READ_ONCE(r->sub[s]);
		if (w & EMP_S_PRESENT || !emp_word_stored(w))
			continue;
		switch (emp_get(r, s, EMP_GET_SLEEP | (round ? EMP_GET_TRIED : 0), &folio,
				&until)) {
		case EMP_GET_OK:
			folio_put(folio);
			break;
		case EMP_GET_MEMORY:
			emp_reclaim_kick(r);
			return;
		default:
			break;
		}
	}
}

/*
 * What of block @b is on @t, or in what is withdrawn of it, and could not be read
 * is not expected any more. Return: is anything lost by that?
 */
static bool emp_migrate_give_up(struct emp_region *r, u32 b, struct emp_tier *t, bool leaving)
{
	u64 s, first = emp_first_sub(r, b);
	struct emp_bent *e = &r->bent[b];
	unsigned long flags, w, here;
	bool gone, lost = false;
	u32 copy;

	spin_lock_irqsave(emp_block_lock(r, b), flags);
	copy = emp_copy_on(r, b, t, leaving);
	if (copy == EMP_COPY_NONE || e->flags & EMP_B_HUGE)
		goto unlock;
	gone = emp_slot_state(t, emp_copy_slot(r, b, copy)) == EMP_TIER_GONE;
	e->flags &= ~EMP_B_MIGRATE;
	here = emp_copy_bit(copy);
	for (s = first; s < first + emp_subs_per_block(r); s++) {
		w = r->sub[s];
		if (w & EMP_S_STORED & ~here)
			continue;	/* elsewhere, too */
		if (!(w & EMP_S_PRESENT) && (w & EMP_S_LOST || (gone && w & here))) {
			emp_sub_store(r, b, s, EMP_S_LOST | EMP_S_FOREVER);
			lost = true;
		}
	}
unlock:
	spin_unlock_irqrestore(emp_block_lock(r, b), flags);
	return lost;
}

static bool emp_drain_unreadable(int err)
{
	switch (err) {
	case 0:
	case -EAGAIN:
	case -EINTR:
	case -ENOMEM:
	case -ENOSPC:
	case -ETIMEDOUT:
		return false;
	}
	return true;
}

/*
 * With redundancy what cannot be moved off @t can be on the other tier. @err:
 * why it cannot. Return: 0 then, or the error that remains.
 */
static int emp_migrate_copies(struct emp_region *r, u32 b, struct emp_tier *t, bool leaving,
			      int err)
{
	int left;

	if (!r->copies || (err != -ENOSPC && !emp_drain_unreadable(err)))
		return err;
	left = emp_copy_leave(r, b, t, leaving);
	return !left || (err == -ENOSPC && left == -EAGAIN) ? left : err;
}

/*
 * Get block @b off @t, or, @leaving, out of what is withdrawn of it, in whatever
 * way there is. Return: 0 it is, -EAGAIN another round, or an error.
 */
static int emp_drain_block(struct emp_region *r, u32 b, struct emp_tier *t, bool leaving,
			   u32 round)
{
	int err = emp_migrate_block(r, b, t, leaving, 0);

	if (err == -ENOSPC && (u64)READ_ONCE(r->limit) << PAGE_SHIFT >= r->bytes) {
		/* No other tier, but DRAM holds it all. */
		emp_fetch_ahead(r, emp_first_sub(r, b),
				emp_first_sub(r, b) + emp_subs_per_block(r));
		err = -EAGAIN;
	}
	err = emp_migrate_copies(r, b, t, leaving, err);
	if (err == -EAGAIN)
		err = emp_migrate_evacuate(r, b, t, leaving);
	if (err == -EAGAIN && round >= EMP_DRAIN_PATIENCE)
		emp_migrate_fetch(r, b, t, round);
	return err;
}

/*
 * emp_migrate_drain - empty tier @t, which takes nothing new
 *
 * @force: what cannot be read is lost for good, rather than in the way.
 * Return: 0, -EINTR, -ETIMEDOUT at @until, -EIO what is left cannot be read,
 * -ENOSPC no room elsewhere.
 */
int emp_migrate_drain(struct emp_region *r, struct emp_tier *t, unsigned long until, bool force)
{
	int err, worst = 0;
	u32 b, round;

	for (round = 0; READ_ONCE(t->used); round++) {
		worst = 0;
		for (b = 0; b < r->nr_blocks; b++) {
			if (force && READ_ONCE(t->state) == EMP_TIER_GONE)
				emp_migrate_give_up(r, b, t, false);
			err = emp_drain_block(r, b, t, false, round);
			if (force && emp_drain_unreadable(err)) {
				emp_migrate_fetch(r, b, t, round);
				if (round)
					emp_migrate_give_up(r, b, t, false);
				err = -EAGAIN;
			}
			if (err && err != -EAGAIN) {
				emp_count(r, migrate_error);
				worst = err;
			}
			if (signal_pending(current))
				return -EINTR;
			if (time_after(jiffies, until))
				return -ETIMEDOUT;
			cond_resched();
		}
		if (worst == -ENOSPC || worst == -ENOMEM || worst == -ETIMEDOUT)
			return worst;
		if (worst)
			return -EIO;
		if (READ_ONCE(t->used))
			schedule_timeout_interruptible(1);
	}
	return 0;
}

/*
 * Has block @b a slot in a unit of @t that is withdrawn? enum emp_unit_state of
 * that. A guess, without locks.
 */
static u32 emp_leave_state(struct emp_region *r, u32 b, struct emp_tier *t)
{
	u32 slot[EMP_COPIES] = { READ_ONCE(r->bent[b].slot), EMP_NO_SLOT }, copy, state;

	if (r->copies)
		slot[1] = READ_ONCE(r->copies->slot[b]);
	for (copy = 0; copy < EMP_COPIES; copy++) {
		if (slot[copy] == EMP_NO_SLOT || slot[copy] < t->first ||
		    slot[copy] - t->first >= t->nr_slots)
			continue;
		state = emp_unit_state(t, slot[copy]);
		if (state != EMP_UNIT_IN)
			return state;
	}
	return EMP_UNIT_IN;
}

/* Empty the units of a tier that are withdrawn; stopped by ->nowb. */
static void emp_leave_work(struct work_struct *work)
{
	struct emp_tier *t = container_of(work, struct emp_tier, leave.work);
	unsigned long again = 0;
	struct emp_region *r = t->region;
	bool lost = false;
	u32 b, state;
	int err;

	for (b = 0; b < r->nr_blocks; b++) {
		/* With the whole tier all that was there is lost, and that is another matter. */
		if (READ_ONCE(r->nowb) || READ_ONCE(t->state) == EMP_TIER_GONE)
			return;
		if (!(b & 255))
			cond_resched();
		state = emp_leave_state(r, b, t);
		if (state == EMP_UNIT_IN)
			continue;
		if (state == EMP_UNIT_LOST)
			lost |= emp_migrate_give_up(r, b, t, true);
		err = emp_drain_block(r, b, t, true, t->leave_round);
		if (!err && state == EMP_UNIT_LEAVING)
			emp_count(r, moved_off);
		else if (err == -EAGAIN)
			again = max(again, EMP_LEAVE_AGAIN);
		else if (err)
			again = EMP_LEAVE_BACKOFF;
		if (err && err != -EAGAIN && err != -ENOSPC)
			emp_count(r, migrate_error);
		cond_resched();
	}
	t->leave_round++;
	if (lost)
		emp_event_post(EMP_EVENT_DATA_LOST, r->name, EMP_EVENT_NO_TIER);
	if (t->ops->left)
		t->ops->left(t);
	if (emp_tier_leaving(t))
		queue_delayed_work(system_unbound_wq, &t->leave, again ?: EMP_LEAVE_AGAIN);
}

/** emp_leave_init - of a new tier; emp_tier_close() cancels it */
void emp_leave_init(struct emp_tier *t)
{
	INIT_DELAYED_WORK(&t->leave, emp_leave_work);
}

void emp_migrate_init(struct emp_region *r)
{
	INIT_WORK(&r->demote_work, emp_demote_work);
	mutex_init(&r->migrate_lock);
}

/** emp_migrate_stop - no demotion, no copies, nothing leaves from now on */
void emp_migrate_stop(struct emp_region *r)
{
	u32 i;

	WRITE_ONCE(r->nowb, true);
	/* emp_tier_withdraw() sees that, or is over. */
	mutex_lock(&r->conf_lock);
	mutex_unlock(&r->conf_lock);
	for (i = 0; i < r->nr_tiers; i++)
		if (r->tier[i])
			cancel_delayed_work_sync(&r->tier[i]->leave);
	cancel_work_sync(&r->demote_work);
	emp_copy_stop(r);
}
