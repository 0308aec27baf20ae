// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reclaim keeps between low_free and high_free pages of the limit free:
 *
 *	1. blocks the policy wants to judge are unmapped (sorted, neighbours
 *	   together: KVM and the TLB see few, large invalidations). They stay
 *	   in DRAM; a fault on one is cheap and rescues it
 *	2. blocks nobody came back for are evicted: clean subblocks freed at once,
 *	   dirty ones handed to write-back, which frees them when they are written
 *
 * A folio that anybody else holds is passed over and its block counts as used.
 *
 * Who does it. Unmapping flushes the TLB of every CPU that runs the mapper:
 * from another CPU that is an interrupt for each run of blocks, and costs more
 * than all the rest; from its own it is next to nothing. So a thread that
 * faults while less than low_free is free does a few blocks itself
 * (emp_reclaim_help()), where it can in the time it would wait for its own read;
 * it never waits for a write. The evictor does what is left: it is called at
 * half of low_free. One at a time unmaps, for KVM widens its invalidations to
 * cover all that are under way. A thread that finds no DRAM at all may evict
 * what is clean and judged (emp_reclaim_direct()).
 */
#include <linux/blkdev.h>
#include <linux/kthread.h>
#include <linux/math64.h>
#include <linux/sort.h>

#include "emp_folio.h"
#include "emp_migrate.h"
#include "emp_reclaim.h"
#include "emp_tier.h"
#include "emp_trace.h"
#include "emp_writeback.h"

#define EMP_BATCH	32u
#define EMP_HELP_WRITES	8	/* a faulting thread evicts while fewer writes are under way */
#define EMP_FORCE_AFTER	4u	/* rounds without a victim until the policy is forced */

/** emp_reclaim_kick - the evictor should have a look; any context */
void emp_reclaim_kick(struct emp_region *r)
{
	if (READ_ONCE(r->evict_kick))
		return;
	WRITE_ONCE(r->evict_kick, true);
	wake_up(&r->evict_wait);
}

/*
 * emp_reclaim_throttle - wait until fewer than @depth writes are under way
 *
 * Not for ever: a device that hangs must not hang those who are short of
 * memory. A batch too many does no harm.
 */
void emp_reclaim_throttle(struct emp_region *r, u32 depth)
{
	wait_event_timeout(r->wb_wait, atomic_read(&r->wb_inflight) <= depth,
			   current == r->evictor ? HZ : HZ / 10);
}

/** emp_reclaim_pressure - the host or a memcg refused us memory though the limit has room */
void emp_reclaim_pressure(struct emp_region *r)
{
	WRITE_ONCE(r->pressure, true);
	emp_reclaim_kick(r);
}

/** emp_reclaim_waiting - somebody waits for DRAM; any folio that is freed ends that */
void emp_reclaim_waiting(struct emp_region *r)
{
	if (!READ_ONCE(r->stuck_since))
		WRITE_ONCE(r->stuck_since, jiffies | 1);
}

/** emp_reclaim_stuck - has nothing been freed for longer than anybody should wait? */
bool emp_reclaim_stuck(struct emp_region *r)
{
	unsigned long since = READ_ONCE(r->stuck_since);
	unsigned long limit = READ_ONCE(r->no_space) ? HZ :
				msecs_to_jiffies(emp_default_deadline_ms);

	return since && time_after(jiffies, since + limit);
}

static int emp_cmp_u32(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

static void emp_unmap_blocks(struct emp_region *r, u32 *blocks, u32 n)
{
	u32 i, run, order = emp_block_order(r);

	sort(blocks, n, sizeof(*blocks), emp_cmp_u32, NULL);
	for (i = 0; i < n; i += run) {
		for (run = 1; i + run < n && blocks[i + run] == blocks[i] + run; run++)
			;
		unmap_mapping_pages(r->inode->i_mapping, (pgoff_t)blocks[i] << order,
				    (pgoff_t)run << order, false);
	}
	emp_count_add(r, evict_unmapped, n);
}

/* Not yet handed to those who waited for it? */
static bool emp_fresh(struct emp_region *r, unsigned long w, struct folio *folio)
{
	return !(w & EMP_S_MAPPED) &&
	       emp_folio_age(folio) < (u64)READ_ONCE(r->retain_ms) * NSEC_PER_MSEC;
}

/*
 * Evict one block that was taken from the policy's queues; @promote: perhaps to
 * a faster tier. Return: pages freed at once; *writes: pages that wait for
 * emp_wb_block().
 */
static long emp_evict_block(struct emp_region *r, u32 b, bool clean_only, bool promote,
			    long *writes)
{
	u64 s, first = emp_first_sub(r, b), end = first + emp_subs_per_block(r);
	spinlock_t *lock = emp_block_lock(r, b);
	struct emp_bent *e = &r->bent[b];
	struct folio *folio, *next;
	unsigned long flags, w;
	bool busy = false;
	LIST_HEAD(freed);
	long pages = 0;

	*writes = 0;
	spin_lock_irqsave(lock, flags);
	if (!(e->flags & EMP_B_QUEUED) || emp_policy_where(e) != EMP_Q_EVICTING) {
		/* Discarded since it was picked, perhaps back again: no longer ours. */
		spin_unlock_irqrestore(lock, flags);
		return 0;
	}
	emp_wb_rescue(r, b);
	if (promote)
		emp_promote(r, b);
	for (s = first; s < end; s++) {
		w = r->sub[s];
		if (!(w & EMP_S_PRESENT))
			continue;
		folio = emp_word_folio(w);
		if (!(w & EMP_S_UPTODATE) || w & EMP_S_WB || emp_fresh(r, w, folio) ||
		    (clean_only && w & EMP_S_DIRTY)) {
			busy = true;
			continue;
		}
		if (!(w & EMP_S_DIRTY)) {
			if (!emp_try_free(r, b, s)) {
				busy = true;
				continue;
			}
			emp_count(r, evict_clean);
			list_add(&folio->lru, &freed);
			continue;
		}
		if (!folio_ref_freeze(folio, 1)) {
			busy = true;
			continue;
		}
		r->sub[s] = (w & ~EMP_S_DIRTY) | EMP_S_WB;
		folio->private = (void *)1UL;	/* ours, until emp_wb_folio() is through */
		atomic_long_sub(folio_nr_pages(folio), &r->dirty);
		atomic_long_add(folio_nr_pages(folio), &r->wb_pages);
		*writes += folio_nr_pages(folio);
		folio_ref_unfreeze(folio, 1);
	}
	if (*writes)
		e->flags |= EMP_B_WRITING;
	else
		emp_block_conclude(r, b);
	trace_emp_evict(r, b, !list_empty(&freed), *writes > 0, busy);
	spin_unlock_irqrestore(lock, flags);

	if (busy)
		emp_count(r, evict_busy);
	list_for_each_entry_safe(folio, next, &freed, lru) {
		pages += folio_nr_pages(folio);
		emp_folio_drop(r, folio);
	}
	return pages;
}

/* Let the policy judge some more blocks; unmap_lock is held. */
static void emp_reclaim_unmap(struct emp_region *r, u32 want)
{
	u32 pick[EMP_BATCH], i, n;

	/* More than are evicted, so that those which wait for judgement have time. */
	for (i = 0; i < EMP_POLICY_PACE; i++) {
		spin_lock_irq(&r->policy_lock);
		n = emp_policy_pick_unmap(&r->policy, pick, want);
		spin_unlock_irq(&r->policy_lock);
		if (!n)
			break;
		emp_unmap_blocks(r, pick, n);
	}
}

/* Evict what was judged. Return: pages freed or on their way out. */
static long emp_reclaim_evict(struct emp_region *r, u32 want, bool force, bool may_wait)
{
	struct emp_wb wb = { .r = r, .may_wait = may_wait };
	u32 pick[EMP_BATCH], i, n;
	struct blk_plug plug;
	long pages = 0, writes;
	u64 rescued;

	spin_lock_irq(&r->policy_lock);
	rescued = r->policy.stats.rescue;
	n = emp_policy_pick_evict(&r->policy, pick, want, force);
	rescued = r->policy.stats.rescue - rescued;
	spin_unlock_irq(&r->policy_lock);
	emp_count_add(r, evict_rescued, rescued);
	sort(pick, n, sizeof(*pick), emp_cmp_u32, NULL);
	blk_start_plug(&plug);
	for (i = 0; i < n; i++) {
		pages += emp_evict_block(r, pick[i], false, !force, &writes);
		if (writes)
			emp_wb_block(&wb, pick[i]);
		pages += writes;
	}
	emp_wb_flush(&wb);
	blk_finish_plug(&plug);
	return pages;
}

/* One round of a thread that may sleep. Return: pages freed or on their way out. */
static long emp_reclaim_round(struct emp_region *r, u32 want, bool force)
{
	mutex_lock(&r->unmap_lock);
	emp_reclaim_unmap(r, want);
	mutex_unlock(&r->unmap_lock);
	return emp_reclaim_evict(r, want, force, true);
}

/*
 * emp_reclaim_help - a thread that faults evicts about @blocks; waits for nothing
 *
 * Few when the fault is held up by it, more when its own read is under way.
 */
void emp_reclaim_help(struct emp_region *r, u32 blocks)
{
	long want = READ_ONCE(r->high_free) - emp_free_pages(r) - atomic_long_read(&r->wb_pages);

	/* Where writes pile up the evictor does better: it can wait for them. */
	if (want <= 0 || atomic_read(&r->wb_inflight) >= EMP_HELP_WRITES)
		return;
	if (!mutex_trylock(&r->unmap_lock))
		return;
	blocks = min(blocks, EMP_BATCH);
	emp_reclaim_unmap(r, blocks);
	mutex_unlock(&r->unmap_lock);
	if (emp_reclaim_evict(r, blocks, false, false))
		emp_count(r, evict_helped);
}

/** emp_reclaim_direct - a faulting thread makes room for itself; never sleeps */
bool emp_reclaim_direct(struct emp_region *r)
{
	unsigned long flags;
	long writes;
	u32 b, n;

	spin_lock_irqsave(&r->policy_lock, flags);
	n = emp_policy_pick_evict(&r->policy, &b, 1, false);
	spin_unlock_irqrestore(&r->policy_lock, flags);
	if (!n || !emp_evict_block(r, b, true, false, &writes))
		return false;
	emp_count(r, evict_direct);
	return true;
}

/*
 * How long the evictor sleeps after vain rounds: twice as long as they kept the
 * processor busy, for a tier that fails at once would have it write all that is
 * dirty again and again.
 */
static u32 emp_vain_ms(u32 vain, u64 busy_ns)
{
	return clamp_t(u64, div_u64(2 * busy_ns, NSEC_PER_MSEC), vain < 64 ? 2 : 20, 200);
}

/*
 * Until high_free pages are free, or what is being written will make them so.
 * Never gives up while pages are wanted, but sleeps between vain rounds.
 */
static void emp_reclaim_run(struct emp_region *r)
{
	unsigned long freed = READ_ONCE(r->freed), now;
	u64 failed = emp_stats_sum(r, EMP_C_wb_error), errors;
	u64 since = current->se.sum_exec_runtime;	/* the last sleep or success */
	u64 looked = 0;		/* at so many blocks, in vain */
	u32 vain = 0, ms;

	while (!kthread_should_stop()) {
		long want = READ_ONCE(r->high_free) - emp_free_pages(r) -
			    atomic_long_read(&r->wb_pages);
		u32 blocks = DIV_ROUND_UP(max(want, 1L), 1L << emp_block_order(r));

		if (want <= 0)
			return;
		blocks = clamp(blocks, 4u, EMP_BATCH);
		emp_reclaim_round(r, blocks, vain >= EMP_FORCE_AFTER);
		now = READ_ONCE(r->freed);
		errors = emp_stats_sum(r, EMP_C_wb_error);
		/* Writes under way give hope, unless those before have failed. */
		if (now != freed || (atomic_long_read(&r->wb_pages) && errors == failed)) {
			freed = now;
			failed = errors;
			since = current->se.sum_exec_runtime;
			vain = 0;
			looked = 0;
			cond_resched();
			continue;
		}
		failed = errors;
		/* What can be freed may be behind all that finds no place on a tier. */
		looked += blocks;
		if (++vain < 2 * EMP_FORCE_AFTER ||
		    looked < min_t(u64, r->nr_blocks, atomic_long_read(&r->resident))) {
			cond_resched();
			continue;
		}
		/* Nothing to be had now: writes must end, pins go, or time pass. */
		ms = emp_vain_ms(vain, current->se.sum_exec_runtime - since);
		schedule_timeout_interruptible(msecs_to_jiffies(ms));
		since = current->se.sum_exec_runtime;
		if (emp_free_pages(r) >= READ_ONCE(r->low_free))
			return;
	}
}

static int emp_evictor(void *data)
{
	struct emp_region *r = data;

	while (!kthread_should_stop()) {
		wait_event_interruptible(r->evict_wait,
					 READ_ONCE(r->evict_kick) || kthread_should_stop());
		WRITE_ONCE(r->evict_kick, false);
		if (READ_ONCE(r->pressure)) {
			WRITE_ONCE(r->pressure, false);
			if (!emp_reclaim_round(r, EMP_BATCH, false))
				emp_reclaim_round(r, EMP_BATCH, true);
			wake_up_all(&r->free_wait);
		}
		if (emp_free_pages(r) < READ_ONCE(r->low_free))
			emp_reclaim_run(r);
	}
	return 0;
}

/*
 * emp_reclaim_all - evict up to @pages pages, in the caller's context; may sleep
 *
 * For the host's memory pressure and /sys/fs/emp/NAME/evict. Return: pages
 * freed or on their way out.
 */
long emp_reclaim_all(struct emp_region *r, long pages)
{
	u32 vain = 0, batch;
	long got = 0, n;

	while (got < pages && vain < 3 * EMP_FORCE_AFTER && !signal_pending(current)) {
		batch = clamp_t(long, (pages - got) >> emp_block_order(r), 1, EMP_BATCH);
		n = emp_reclaim_round(r, batch, vain >= EMP_FORCE_AFTER);
		got += n;
		vain = n ? 0 : vain + 1;
		cond_resched();
	}
	return got;
}

int emp_reclaim_start(struct emp_region *r)
{
	struct task_struct *task = kthread_run(emp_evictor, r, "emp/%s", r->name);

	if (IS_ERR(task))
		return PTR_ERR(task);
	r->evictor = task;
	return 0;
}

void emp_reclaim_stop(struct emp_region *r)
{
	if (r->evictor)
		kthread_stop(r->evictor);
	r->evictor = NULL;
}
