// SPDX-License-Identifier: GPL-2.0-only
/*
 * Getting subblocks into DRAM: out of nothing, or from a tier.
 *
 * A fetch puts a folio into the subblock's word first (PRESENT, not UPTODATE),
 * so that everybody else who wants the subblock finds it and waits, then reads
 * into it. While it is under way nothing else touches word or slot: eviction
 * passes it over, discard waits. The folio's ->private is the time of its
 * beginning, afterwards of its arrival.
 *
 * One request covers one subblock that somebody waits for, or a run of
 * subblocks read ahead that lie next to each other on the tier, or a run of a
 * 2 MiB block. A failed read is repeated EMP_READ_TRIES times (from a work
 * item), from the other copy if there is one (emp_copy.h); read-ahead is not, it
 * is dropped. When the tier does not end a read within its deadline, who waits
 * for it goes to the other copy with another folio; the first one stays with its
 * request, as nobody's. When a 2 MiB block cannot be read
 * the block goes to subblocks, so that only the bad ones are lost.
 */
#include <linux/mempool.h>
#include <linux/slab.h>

#include "emp_check.h"
#include "emp_copy.h"
#include "emp_event.h"
#include "emp_fetch.h"
#include "emp_folio.h"
#include "emp_tier.h"
#include "emp_trace.h"
#include "emp_writeback.h"

#define EMP_READ_TRIES 3
#define EMP_S_HANDED	(EMP_S_PRESENT | EMP_S_UPTODATE | EMP_S_MAPPED)

/* A read of a 2 MiB block, which takes several requests. */
struct emp_huge_fetch {
	struct emp_region *region;
	struct folio *folio;
	atomic_t pending;
	int error;
};

static struct kmem_cache *emp_huge_fetch_cache;
static mempool_t *emp_huge_fetch_pool;

static void emp_block_settle(struct emp_region *r, u32 b)
{
	struct emp_bent *e = &r->bent[b];
	u64 s, first = emp_first_sub(r, b);

	lockdep_assert_held(emp_block_lock(r, b));
	if (!(e->flags & EMP_B_QUEUED) || e->flags & EMP_B_WRITING)
		return;
	for (s = first; s < first + emp_subs_per_block(r); s++)
		if (r->sub[s] & EMP_S_PRESENT)
			return;
	e->flags &= ~(EMP_B_QUEUED | EMP_B_HUGE);
	spin_lock(&r->policy_lock);
	emp_policy_forget(&r->policy, b);
	spin_unlock(&r->policy_lock);
}

static bool emp_csum_ok(struct emp_region *r, struct folio *folio, size_t off, size_t len)
{
	u64 sub = emp_sub_of(r, folio->index + (off >> PAGE_SHIFT));
	size_t step = 1UL << r->sub_shift, at;

	for (at = 0; at < len; at += step, sub++)
		if (!emp_check_ok(r, folio, off + at, sub))
			return false;
	return true;
}

/* Is @folio, which a read has ended in, not what the subblock waits for any more? */
static bool emp_fetch_stale(struct emp_region *r, struct folio *folio)
{
	unsigned long w = READ_ONCE(r->sub[emp_folio_sub(r, folio)]);

	return !(w & EMP_S_PRESENT) || emp_word_folio(w) != folio;
}

/* How a fetch ended. */
#define EMP_FETCH_AHEAD	(1u << 0) /* nobody waited for it */
#define EMP_FETCH_AT_ONCE (1u << 1) /* before its submission returned */
#define EMP_FETCH_FAILED(copies) ((copies) << 2) /* from the other than these copies */

/* A fetch into @folio ended at @now. */
static void emp_fetch_finish(struct emp_region *r, struct folio *folio, int err, u32 how, u64 now)
{
	bool ahead = how & EMP_FETCH_AHEAD;
	u64 i, s = emp_folio_sub(r, folio), n = 1;
	u32 b = emp_block_of(r, s);
	u64 age = now - (unsigned long)folio->private;
	unsigned long flags;
	bool huge;

	trace_emp_fetch_end(r, s, err);
	spin_lock_irqsave(emp_block_lock(r, b), flags);
	if (emp_fetch_stale(r, folio)) {	/* see emp_get_other() */
		spin_unlock_irqrestore(emp_block_lock(r, b), flags);
		emp_folio_drop(r, folio);
		return;
	}
	r->sub[s] &= ~(EMP_S_FROM2 | EMP_S_AGAIN);
	huge = r->bent[b].flags & EMP_B_HUGE;
	if (!err) {
		folio->private = (void *)(unsigned long)now;
		r->sub[s] |= EMP_S_UPTODATE | (ahead ? EMP_S_AHEAD : 0) |
			     (how & EMP_FETCH_AT_ONCE ? EMP_S_MAPPED : 0);
		if (huge)
			n = emp_subs_per_block(r);
		if (how >= EMP_FETCH_FAILED(1)) {
			emp_copy_bad(r, b, s, how / EMP_FETCH_FAILED(1));
			emp_count(r, read_other_copy);
		}
	} else {
		r->sub[s] &= EMP_S_STORED;
		if (huge) {
			r->bent[b].flags = (r->bent[b].flags & ~EMP_B_HUGE) | EMP_B_SMALL;
			emp_count(r, huge_split);
		} else if (!ahead) {
			r->sub[s] |= EMP_S_LOST | emp_word_now();
		}
		emp_block_settle(r, b);
	}
	spin_unlock_irqrestore(emp_block_lock(r, b), flags);
	emp_wake_block(r, b);

	if (!err) {
		emp_count_add(r, fetch_subblocks, n);
		if (ahead)
			emp_count(r, prefetch_subblocks);
		emp_hist_add(r, fault_fetch_ns, max_t(s64, age, 0));
		return;
	}
	emp_folio_drop(r, folio);
	if (ahead) {
		emp_count(r, prefetch_dropped);
	} else if (!huge) {
		emp_count(r, read_error);
		for (i = 0; i < n; i++)
			emp_event_post(EMP_EVENT_DATA_LOST, r->name, EMP_EVENT_NO_TIER);
	}
}

/* The next read: of which copy, after which that failed, and how many did before these. */
struct emp_try {
	u8 copy;
	u8 failed;
	u8 tries;
};

static void emp_fetch_one(struct emp_region *r, struct emp_tier *t, u32 slot, struct folio *folio,
			  struct emp_try try);

static void emp_fetch_retry(struct work_struct *work)
{
	struct emp_io *io = container_of(work, struct emp_io, work);
	struct emp_try try = { io->copy, io->failed, io->tries };
	struct emp_tier *t = io->tier, *next = NULL;
	struct emp_region *r = t->region;
	struct folio *folio = io->owner;
	u64 end = io->end, sub = emp_folio_sub(r, folio);
	u32 b = emp_block_of(r, sub), slot;
	unsigned long flags;

	t->ops->io_free(io);
	emp_count(r, read_retry);
	/* The slots of a block do not change while a fetch of it is under way. */
	spin_lock_irqsave(emp_block_lock(r, b), flags);
	slot = emp_copy_slot(r, b, try.copy);
	if (!emp_fetch_stale(r, folio) && slot != EMP_NO_SLOT) {
		next = emp_tier_get_slot(r, slot);
		r->sub[sub] &= ~EMP_S_FROM2;
		r->sub[sub] |= try.copy ? EMP_S_FROM2 : 0;
		if (try.failed)		/* who waits shall wait for the other copy, too */
			emp_folio_stamp(folio);
	}
	spin_unlock_irqrestore(emp_block_lock(r, b), flags);
	if (next)
		emp_fetch_one(r, next, slot, folio, try);
	else
		emp_fetch_finish(r, folio, -EIO, 0, end);
	emp_tier_put(t);
}

/* Which copy of the subblock of @folio to read, without those @failed. */
static u32 emp_fetch_copy(struct emp_region *r, struct folio *folio, u32 failed)
{
	u64 sub = emp_folio_sub(r, folio);
	u32 b = emp_block_of(r, sub), copy;
	unsigned long flags;

	spin_lock_irqsave(emp_block_lock(r, b), flags);
	copy = emp_copy_pick(r, b, r->sub[sub], failed);
	spin_unlock_irqrestore(emp_block_lock(r, b), flags);
	return copy;
}

/*
 * A read that somebody waits for failed. Is there use in another one? The other
 * copy is tried at once; when both have failed, or there is but one, that again.
 */
static bool emp_fetch_again(struct emp_region *r, struct emp_io *io, bool wrong)
{
	u32 copy, failed = io->failed | 1u << io->copy;

	if (io->ahead || emp_fetch_stale(r, io->owner))
		return false;
	copy = emp_fetch_copy(r, io->owner, failed);
	if (copy != EMP_COPY_NONE) {
		io->failed = failed;
		io->copy = copy;
		return true;
	}
	if (io->tries + 1 >= EMP_READ_TRIES ||
	    (!wrong && (READ_ONCE(io->tier->state) == EMP_TIER_GONE || io->late)))
		return false;
	copy = emp_fetch_copy(r, io->owner, 0);
	if (copy == EMP_COPY_NONE)
		return false;
	io->copy = copy;
	io->failed = 0;
	io->tries++;
	return true;
}

static void emp_fetch_done(struct emp_io *io)
{
	struct emp_tier *t = io->tier;
	struct emp_region *r = t->region;
	struct folio_iter fi;
	u32 how = 0;

	if (io->ahead)
		how |= EMP_FETCH_AHEAD;
	if (io->task == current && in_task())
		how |= EMP_FETCH_AT_ONCE;
	if (io->failed)
		how |= EMP_FETCH_FAILED(io->failed);
	if (io->error && emp_fetch_again(r, io, false))
		goto retry;

	bio_first_folio(&fi, &io->bio, 0);
	while (fi.folio) {
		struct folio *folio = fi.folio;
		int err = io->error;

		/* Once finished, the folio can be freed: go on before. */
		if (!err && !emp_fetch_stale(r, folio) &&
		    !emp_csum_ok(r, folio, fi.offset, fi.length)) {
			err = -EILSEQ;
			if (emp_fetch_again(r, io, true))
				goto retry;
		}
		if (!err)
			emp_count_add(r, fetch_bytes, fi.length);
		bio_next_folio(&fi, &io->bio);
		emp_fetch_finish(r, folio, err, how, io->end);
	}
	t->ops->io_free(io);
	return;
retry:
	atomic_inc(&t->inflight);	/* the retry's own */
	INIT_WORK(&io->work, emp_fetch_retry);
	queue_work(system_unbound_wq, &io->work);
}

/* Read one subblock, its block's slot is @slot; the caller's reference of the tier goes along. */
static void emp_fetch_one(struct emp_region *r, struct emp_tier *t, u32 slot, struct folio *folio,
			  struct emp_try try)
{
	u64 at = emp_folio_sub(r, folio) & (emp_subs_per_block(r) - 1);
	struct emp_io *io = t->ops->io_alloc(t, false, emp_tier_pos(t, slot) + (at << r->sub_shift),
					     1, GFP_NOIO);

	io->done = emp_fetch_done;
	io->owner = folio;
	io->copy = try.copy;
	io->failed = try.failed;
	io->tries = try.tries;
	if (!try.tries && !try.failed) {
		io->task = current;
		io->start = (unsigned long)folio->private;
	}
	t->ops->io_add(io, folio, 0, folio_size(folio));
	emp_tier_submit(io);
}

static void emp_huge_put(struct emp_huge_fetch *h)
{
	if (!atomic_dec_and_test(&h->pending))
		return;
	emp_fetch_finish(h->region, h->folio, READ_ONCE(h->error), 0, local_clock());
	mempool_free(h, emp_huge_fetch_pool);
}

static void emp_huge_done(struct emp_io *io)
{
	struct emp_huge_fetch *h = io->owner;
	struct folio_iter fi;

	if (io->error) {
		WRITE_ONCE(h->error, io->error);
	} else {
		bio_for_each_folio_all(fi, &io->bio) {
			if (!emp_csum_ok(h->region, fi.folio, fi.offset, fi.length))
				WRITE_ONCE(h->error, -EILSEQ);
			emp_count_add(h->region, fetch_bytes, fi.length);
		}
	}
	io->tier->ops->io_free(io);
	emp_huge_put(h);
}

/*
 * Which copy of a subblock of a 2 MiB block to read; EMP_COPY_NONE: it is zero.
 * One that has come since the caller took the tiers (@tier) does not count.
 */
static u32 emp_huge_copy(struct emp_region *r, u32 b, u64 sub, struct emp_tier **tier)
{
	unsigned long w = READ_ONCE(r->sub[sub]);
	u32 copy;

	if (!(w & EMP_S_STORED))
		return EMP_COPY_NONE;
	if (!tier[1])
		return 0;
	rcu_read_lock();
	copy = emp_copy_pick(r, b, w, 0);
	rcu_read_unlock();
	return copy;
}

/*
 * Read all stored subblocks of a block into one folio, from the copies' slots and
 * tiers, which the caller has taken. The words and slots of the block do not
 * change meanwhile (but that TWIN comes), so they can be read without the lock.
 */
static void emp_fetch_huge(struct emp_region *r, struct emp_tier **tier, u32 b, const u32 *slot,
			   struct folio *folio)
{
	struct emp_huge_fetch *h = mempool_alloc(emp_huge_fetch_pool, GFP_NOIO);
	u32 i = 0, run, n = emp_subs_per_block(r), copy;
	u64 first = emp_first_sub(r, b);
	struct emp_tier *t;
	struct emp_io *io;

	h->region = r;
	h->folio = folio;
	h->error = 0;
	atomic_set(&h->pending, 1);
	while (i < n) {
		copy = emp_huge_copy(r, b, first + i, tier);
		for (run = 1; i + run < n; run++)
			if (emp_huge_copy(r, b, first + i + run, tier) != copy)
				break;
		t = copy == EMP_COPY_NONE ? NULL : tier[copy];
		if (!t) {
			folio_zero_range(folio, (size_t)i << r->sub_shift,
					 (size_t)run << r->sub_shift);
		} else {
			io = t->ops->io_alloc(t, false, emp_tier_pos(t, slot[copy]) +
					      ((u64)i << r->sub_shift), 1, GFP_NOIO);
			io->done = emp_huge_done;
			io->owner = h;
			t->ops->io_add(io, folio, (size_t)i << r->sub_shift,
				       (size_t)run << r->sub_shift);
			atomic_inc(&h->pending);
			atomic_inc(&t->inflight);
			emp_tier_submit(io);
		}
		i += run;
	}
	for (copy = 0; copy < EMP_COPIES; copy++)
		if (tier[copy])
			emp_tier_put(tier[copy]);
	emp_huge_put(h);
}

static bool emp_block_any(struct emp_region *r, u32 b, unsigned long mask)
{
	u64 s, first = emp_first_sub(r, b);

	for (s = first; s < first + emp_subs_per_block(r); s++)
		if (r->sub[s] & mask)
			return true;
	return false;
}

/* May block @b, of which nothing is resident, come as one order-9 folio? */
static bool emp_want_huge(struct emp_region *r, u32 b)
{
	struct emp_bent *e = &r->bent[b];

	if (r->map == EMP_MAP_SMALL || e->flags & (EMP_B_SMALL | EMP_B_QUEUED))
		return false;
	if (r->map == EMP_MAP_HUGE)
		return !emp_block_any(r, b, EMP_S_LOST);
	if (!emp_block_any(r, b, EMP_S_STORED | EMP_S_LOST))
		return true;
	e->flags |= EMP_B_SMALL;	/* was evicted: from now on in parts */
	emp_count(r, huge_split);
	return false;
}

/* The policy learns of a block that became resident; under the block lock. */
static void emp_block_arrived(struct emp_region *r, u32 b, bool ahead)
{
	struct emp_bent *e = &r->bent[b];

	e->flags &= ~EMP_B_MIGRATE;
	if (e->flags & EMP_B_QUEUED)
		return;
	e->flags |= EMP_B_QUEUED;
	spin_lock(&r->policy_lock);
	if (ahead)
		emp_policy_insert_prefetched(&r->policy, b);
	else
		emp_policy_insert(&r->policy, b);
	spin_unlock(&r->policy_lock);
}

static enum emp_get emp_get_present(struct emp_region *r, u32 b, u64 s, struct folio **out,
				    unsigned long *until)
{
	unsigned long w = r->sub[s];
	struct folio *folio = emp_word_folio(w);
	s64 left;

	if (w & EMP_S_UPTODATE) {
		if (w & EMP_S_AHEAD)
			emp_count(r, prefetch_used);
		w = (w & ~EMP_S_AHEAD) | EMP_S_MAPPED;
		if (r->flags & EMP_F_PINNABLE && !(w & EMP_S_DIRTY))
			emp_mark_dirty(r, b, s, &w);
		r->sub[s] = w;
		emp_policy_touch(&r->policy, b);
		folio_get(folio);
		*out = folio;
		return EMP_GET_OK;
	}
	left = (s64)emp_copy_deadline(r, b, !!(w & EMP_S_FROM2)) * NSEC_PER_MSEC -
	       (s64)emp_folio_age(folio);
	if (left <= 0)
		return EMP_GET_TIMEOUT;
	*until = jiffies + nsecs_to_jiffies(left) + 1;
	return EMP_GET_WAIT;
}

/* Is there no use in reading it again so soon? */
static bool emp_still_lost(struct emp_region *r, unsigned long w, u32 flags_get)
{
	u32 ms = READ_ONCE(r->lost_retry_ms);

	/*
	 * KVM asks without waiting until it gets an answer: it must get one in the end.
	 * Who has waited has most likely waited for just that; but it can have been
	 * for memory, with a loss that is long over.
	 */
	if (!(flags_get & EMP_GET_SLEEP) || flags_get & EMP_GET_WAITED)
		ms = max(ms, 1000u);
	return (w & EMP_S_FOREVER) == EMP_S_FOREVER ||
	       time_before(jiffies, (w >> EMP_S_SHIFT) + msecs_to_jiffies(ms));
}

/* Must what is wanted be read from a tier? */
static bool emp_stored(struct emp_region *r, u32 b, u64 sub, bool huge)
{
	return huge ? emp_block_any(r, b, EMP_S_STORED) :
		      r->sub[sub] & (EMP_S_STORED | EMP_S_LOST);
}

/* A fetch with word @w of the locked block @b is late: is there another copy to try? */
static bool emp_other_copy(struct emp_region *r, u32 b, unsigned long w)
{
	return (w & EMP_S_STORED) == EMP_S_STORED && !(w & EMP_S_AGAIN) &&
	       !(r->bent[b].flags & EMP_B_HUGE);
}

/*
 * The read of @sub, whose word is @w, does not end: read the other copy. Its
 * request cannot be called back, so it keeps the folio. Return: false, no DRAM.
 */
static bool emp_get_other(struct emp_region *r, u32 b, u64 sub, unsigned long w, bool wait)
{
	u32 copy = w & EMP_S_FROM2 ? 0 : 1, slot;
	struct emp_tier *t;
	struct folio *folio;
	unsigned long flags;

	folio = emp_folio_alloc(r, sub, emp_sub_order(r), wait, false);
	if (!folio)
		return false;
	spin_lock_irqsave(emp_block_lock(r, b), flags);
	if (r->sub[sub] != w) {		/* it did end, or another has done this */
		spin_unlock_irqrestore(emp_block_lock(r, b), flags);
		emp_folio_drop(r, folio);
		return true;
	}
	r->sub[sub] = emp_word(folio, EMP_S_PRESENT | EMP_S_AGAIN | (w & EMP_S_STORED) |
			       (copy ? EMP_S_FROM2 : 0));
	slot = emp_copy_slot(r, b, copy);
	t = emp_tier_get_slot(r, slot);
	spin_unlock_irqrestore(emp_block_lock(r, b), flags);
	emp_fetch_one(r, t, slot, folio, (struct emp_try){
		.copy = copy, .failed = 1u << !copy,
	});
	return true;
}

/**
 * emp_get - the folio of a subblock, fetched if need be
 * @r: region
 * @sub: subblock
 * @flags_get: EMP_GET_SLEEP, EMP_GET_TRIED, EMP_GET_WAITED
 * @out: the folio, referenced, of EMP_GET_OK
 * @until: jiffies, of EMP_GET_WAIT
 */
enum emp_get emp_get(struct emp_region *r, u64 sub, u32 flags_get, struct folio **out,
		     unsigned long *until)
{
	u32 b = emp_block_of(r, sub), slot[EMP_COPIES], copy, pick;
	spinlock_t *lock = emp_block_lock(r, b);
	struct emp_tier *tier[EMP_COPIES] = { };
	unsigned long flags, w;
	struct folio *folio;
	enum emp_get ret;
	bool huge, stored;
	u64 s;

	/* A look without the lock; what follows from it is checked under the lock. */
	s = sub;
	w = READ_ONCE(r->sub[s]);
	if (r->map == EMP_MAP_SMALL && !(w & (EMP_S_PRESENT | EMP_S_LOST))) {
		huge = false;
		stored = w & EMP_S_STORED;
		goto alloc;
	}
	spin_lock_irqsave(lock, flags);
again:
	s = emp_state_sub(r, b, sub);
	w = r->sub[s];
	if (w & EMP_S_PRESENT) {
		ret = emp_get_present(r, b, s, out, until);
		if (ret != EMP_GET_TIMEOUT || !emp_other_copy(r, b, w))
			goto unlock;
		spin_unlock_irqrestore(lock, flags);
		if (!emp_get_other(r, b, sub, w, flags_get & EMP_GET_SLEEP))
			return EMP_GET_MEMORY;
		spin_lock_irqsave(lock, flags);
		goto again;
	}
	ret = EMP_GET_LOST;
	if (w & EMP_S_LOST && (flags_get & EMP_GET_TRIED || emp_still_lost(r, w, flags_get)))
		goto unlock;

	huge = emp_want_huge(r, b);
	stored = emp_stored(r, b, sub, huge);
	spin_unlock_irqrestore(lock, flags);
alloc:
	folio = emp_folio_alloc(r, huge ? emp_first_sub(r, b) : sub,
				huge ? HPAGE_PMD_ORDER : emp_sub_order(r),
				flags_get & EMP_GET_SLEEP, !stored);
	spin_lock_irqsave(lock, flags);
	if (!folio && huge && emp_free_pages(r) >= 1L << HPAGE_PMD_ORDER) {
		/* DRAM there is, but not in one piece. */
		if (!(r->bent[b].flags & (EMP_B_SMALL | EMP_B_QUEUED))) {
			r->bent[b].flags |= EMP_B_SMALL;
			emp_count(r, huge_fallback);
		}
		goto again;
	}
	ret = EMP_GET_MEMORY;
	if (!folio)
		goto unlock;
	/* Whoever came first wins. */
	if (emp_state_sub(r, b, sub) != s || r->sub[s] != w ||
	    huge != emp_want_huge(r, b) || stored != emp_stored(r, b, sub, huge)) {
		spin_unlock_irqrestore(lock, flags);
		emp_folio_drop(r, folio);
		spin_lock_irqsave(lock, flags);
		goto again;
	}

	emp_block_arrived(r, b, false);
	if (huge) {
		r->bent[b].flags |= EMP_B_HUGE;
		s = emp_first_sub(r, b);
	}
	if (!stored) {
		r->sub[s] = emp_word(folio, EMP_S_PRESENT | EMP_S_UPTODATE);
		emp_count(r, fault_zero);
		ret = emp_get_present(r, b, s, out, until);
		goto unlock;
	}
	r->sub[s] = emp_word(folio, EMP_S_PRESENT | (r->sub[s] & EMP_S_STORED));
	pick = huge ? 0 : emp_copy_pick(r, b, r->sub[s], 0);
	if (WARN_ON_ONCE(pick == EMP_COPY_NONE))
		pick = 0;
	if (pick)
		r->sub[s] |= EMP_S_FROM2;
	for (copy = 0; copy < EMP_COPIES; copy++) {
		slot[copy] = emp_copy_slot(r, b, copy);
		if (slot[copy] != EMP_NO_SLOT && (huge || copy == pick))
			tier[copy] = emp_tier_get_slot(r, slot[copy]);
	}
	folio_get(folio);	/* ours */
	spin_unlock_irqrestore(lock, flags);

	trace_emp_fetch_begin(r, s, slot[pick]);
	emp_count(r, fault_fetch);
	if (huge) {
		emp_fetch_huge(r, tier, b, slot, folio);
	} else {
		if (pick && w & EMP_S_VALID)
			emp_count(r, read_other_copy);
		emp_fetch_one(r, tier[pick], slot[pick], folio, (struct emp_try){ .copy = pick });
	}

	/* A tier that answers at once has done so. */
	w = READ_ONCE(r->sub[s]);
	if ((w & EMP_S_HANDED) == EMP_S_HANDED && emp_word_folio(w) == folio &&
	    !(r->flags & EMP_F_PINNABLE)) {
		emp_policy_touch(&r->policy, b);
		*out = folio;
		return EMP_GET_OK;
	}
	folio_put(folio);
	spin_lock_irqsave(lock, flags);
	s = emp_state_sub(r, b, sub);
	w = r->sub[s];
	if (w & EMP_S_PRESENT) {
		ret = emp_get_present(r, b, s, out, until);
	} else if (w & EMP_S_LOST) {
		ret = EMP_GET_LOST;
	} else {
		ret = EMP_GET_WAIT;	/* gone again: waits for nothing, tries again */
		*until = jiffies;
	}
unlock:
	spin_unlock_irqrestore(lock, flags);
	return ret;
}

/** emp_get_settled - has the fetch that EMP_GET_WAIT spoke of ended? */
bool emp_get_settled(struct emp_region *r, u64 sub)
{
	u32 b = emp_block_of(r, sub);
	unsigned long flags;
	bool busy;

	spin_lock_irqsave(emp_block_lock(r, b), flags);
	busy = emp_word_busy(r->sub[emp_state_sub(r, b, sub)]);
	spin_unlock_irqrestore(emp_block_lock(r, b), flags);
	return !busy;
}

struct emp_poll {
	struct emp_region *region;
	u64 sub;
};

static bool emp_poll_over(void *arg)
{
	const struct emp_poll *p = arg;

	return emp_get_settled(p->region, p->sub);
}

/** emp_get_poll - after EMP_GET_WAIT, before the wait: the tier may look for the end itself */
void emp_get_poll(struct emp_region *r, u64 sub)
{
	struct emp_poll p = { r, sub };
	u32 slot, b = emp_block_of(r, sub);
	struct emp_tier *t = NULL;
	unsigned long flags, w;

	if (!READ_ONCE(r->polls))
		return;
	spin_lock_irqsave(emp_block_lock(r, b), flags);
	w = r->sub[emp_state_sub(r, b, sub)];
	slot = emp_word_busy(w) ? emp_copy_slot(r, b, !!(w & EMP_S_FROM2)) : EMP_NO_SLOT;
	if (slot != EMP_NO_SLOT)
		t = emp_tier_of_slot(r, slot);
	if (t && t->ops->poll)
		atomic_inc(&t->inflight);
	else
		t = NULL;
	spin_unlock_irqrestore(emp_block_lock(r, b), flags);
	if (!t)
		return;
	t->ops->poll(t, emp_poll_over, &p);
	emp_tier_put(t);
}

/* Can it be read ahead? */
static bool emp_word_ahead(unsigned long w)
{
	return w & EMP_S_STORED && !(w & (EMP_S_PRESENT | EMP_S_LOST));
}

/* Claim @sub for reading ahead; false if there is nothing to read or no room. */
static struct folio *emp_ahead_claim(struct emp_region *r, u64 sub, struct emp_tier **tier,
				     u64 *pos)
{
	u32 b = emp_block_of(r, sub), slot, copy;
	spinlock_t *lock = emp_block_lock(r, b);
	struct folio *folio = NULL;
	struct emp_tier *t;
	unsigned long flags;

	/* A look without the lock; repeated under it. */
	if (!emp_word_ahead(READ_ONCE(r->sub[sub])))
		return NULL;
	if (emp_free_pages(r) <= READ_ONCE(r->low_free) / 2)
		return NULL;
	folio = emp_folio_alloc(r, sub, emp_sub_order(r), true, false);
	if (!folio)
		return NULL;
	spin_lock_irqsave(lock, flags);
	if (!emp_word_ahead(r->sub[sub]) || r->bent[b].flags & EMP_B_HUGE)
		goto drop;
	copy = emp_copy_pick(r, b, r->sub[sub], 0);
	slot = emp_copy_slot(r, b, copy);
	t = emp_tier_of_slot(r, slot);
	if (!t || atomic_read(&t->inflight) >= READ_ONCE(t->queue_depth))
		goto drop;
	emp_block_arrived(r, b, true);
	r->sub[sub] = emp_word(folio, EMP_S_PRESENT | (r->sub[sub] & EMP_S_STORED) |
			       (copy ? EMP_S_FROM2 : 0));
	*pos = emp_tier_pos(t, slot) + ((sub & (emp_subs_per_block(r) - 1)) << r->sub_shift);
	*tier = t;
	atomic_inc(&t->inflight);
	spin_unlock_irqrestore(lock, flags);
	return folio;
drop:
	spin_unlock_irqrestore(lock, flags);
	emp_folio_drop(r, folio);
	return NULL;
}

/*
 * emp_fetch_ahead - begin to read the valid, absent subblocks of [first, end)
 *
 * In as few requests as their places on the tiers allow; sleeps for memory
 * only. Stops where DRAM or a tier's queue has no room. Return: how many.
 */
u32 emp_fetch_ahead(struct emp_region *r, u64 first, u64 end)
{
	struct emp_io *io = NULL;
	u32 n = 0;
	struct emp_tier *t;
	struct folio *folio;
	u64 s, pos, next = 0;

	for (s = first; s < end; s++) {
		folio = emp_ahead_claim(r, s, &t, &pos);
		if (!folio)
			continue;
		if (io && io->tier == t && pos == next &&
		    t->ops->io_add(io, folio, 0, folio_size(folio))) {
			emp_tier_put(t);	/* the request holds it already */
		} else {
			if (io)
				emp_tier_submit(io);
			io = t->ops->io_alloc(t, false, pos, min_t(u64, end - s, BIO_MAX_VECS),
					      GFP_NOIO);
			io->done = emp_fetch_done;
			io->ahead = true;
			t->ops->io_add(io, folio, 0, folio_size(folio));
		}
		next = pos + folio_size(folio);
		n++;
	}
	if (io)
		emp_tier_submit(io);
	return n;
}

int emp_fetch_init(void)
{
	emp_huge_fetch_cache = KMEM_CACHE(emp_huge_fetch, 0);
	if (!emp_huge_fetch_cache)
		return -ENOMEM;
	emp_huge_fetch_pool = mempool_create_slab_pool(16, emp_huge_fetch_cache);
	if (!emp_huge_fetch_pool) {
		kmem_cache_destroy(emp_huge_fetch_cache);
		return -ENOMEM;
	}
	return 0;
}

void emp_fetch_exit(void)
{
	mempool_destroy(emp_huge_fetch_pool);
	kmem_cache_destroy(emp_huge_fetch_cache);
}
