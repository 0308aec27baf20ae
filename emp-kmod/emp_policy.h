/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which block leaves DRAM next: the replacement policy of a region.
 *
 * Pure logic, no locks and no allocation of its own; emp_policy.c tells how it works. It builds in
 * the kernel and, with tests/unit/kshim.h, in user space.
 *
 * Every function here is called with the region's policy spinlock held, but for emp_policy_touch()
 * and emp_policy_touched(), which need none.
 */
#ifndef EMP_POLICY_H
#define EMP_POLICY_H

#ifdef __KERNEL__
#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/types.h>
#else
#include "kshim.h"
#endif

#define EMP_POLICY_NIL		((u32)~0)	/* "no block": end of a queue */
#define EMP_POLICY_MAX_BLOCKS	(EMP_POLICY_NIL - 1)

/*
 * Where a block is. The low bits of emp_bent.queue; read them with emp_policy_where(). The first
 * four index emp_policy.q[].
 */
enum emp_q {
	EMP_Q_S,	/* resident, new, mapped (or read ahead and not yet touched) */
	EMP_Q_M,	/* resident, proven, mapped */
	EMP_Q_SU,	/* resident, new, unmapped by us and waiting for judgement */
	EMP_Q_MU,	/* resident, proven, unmapped by us and waiting for judgement */
	EMP_Q_NR,
	EMP_Q_EVICTING = EMP_Q_NR, /* victim in the driver's hands, on no queue */
	EMP_Q_NONE,	/* not resident, on no queue; link may hold a ghost */
};

/* emp_bent.queue: where, flags, heat. Written under the policy lock; read locklessly too. */
#define EMP_QB_WHERE	0x07
#define EMP_QB_DEAD	0x08	/* discarded, still linked in its queue until popped */
#define EMP_QB_AHEAD	0x10	/* read ahead and, as far as we have looked, never touched */
#define EMP_QB_NEW	0x20	/* of a victim: it was new (S or SU) */
#define EMP_QB_HEAT	0xc0	/* judgements found in use less those found not, 0 to 3 */
#define EMP_QB_HEAT_ONE	0x40

/**
 * struct emp_bent - a block's entry: 12 bytes for each block of the region, resident or not
 * @slot: not the policy's
 * @link: on a queue, dead ones too: next in it, or EMP_POLICY_NIL. On none: number of the eviction
 *	which took the block (its ghost), 0 = none. Policy lock.
 * @queue: EMP_QB_*. Written under the policy lock, read without it by emp_policy_touch().
 * @ref: 1 = touched since it was unmapped (or, when read ahead, since it came). Set without the
 *	lock, read and cleared under it.
 * @flags: not the policy's
 *
 * All-zero entries are not valid; emp_policy_init() sets the policy's fields.
 */
struct emp_bent {
	u32 slot;
	u32 link;
	u8 queue;
	u8 ref;
	u16 flags;
};

/**
 * struct emp_policy_queue - a singly linked FIFO through emp_bent.link
 * @head: next to be popped, or EMP_POLICY_NIL
 * @tail: last one pushed; undefined while @head is EMP_POLICY_NIL
 * @live: resident blocks on it
 * @dead: discarded blocks still on it
 */
struct emp_policy_queue {
	u32 head;
	u32 tail;
	u32 live;
	u32 dead;
};

/**
 * struct emp_policy_stats - what happened since emp_policy_init(); policy lock
 * @insert: a block became resident because it was wanted
 * @insert_ahead: a block became resident because it was read ahead
 * @refault: of @insert, those whose ghost was young
 * @promote: of @refault, those which entered M at once
 * @unmap: a block was given out by emp_policy_pick_unmap()
 * @rescue: a block waiting for judgement was found in use
 * @cool: a block waiting for judgement was not in use, but still hot, and waits another time
 * @victim: a block was given out by emp_policy_pick_evict()
 * @forced: of @victim, those taken without, or against, a judgement because of force
 * @putback: a victim came back by emp_policy_putback()
 */
struct emp_policy_stats {
	u64 insert;
	u64 insert_ahead;
	u64 refault;
	u64 promote;
	u64 unmap;
	u64 rescue;
	u64 cool;
	u64 victim;
	u64 forced;
	u64 putback;
};

/**
 * struct emp_policy - the replacement state of one region
 * @b: the region's block entries, the caller's
 * @nr_blocks: how many
 * @q: S, M, SU, MU
 * @evicting: victims given out and not yet returned
 * @clock: number of the last eviction; never 0
 * @new_share: S and SU together are held at this part of the resident blocks, in 1/128
 * @su_share: SU is held at this part of S and SU together, in 1/128
 * @mu_share: MU is held at this part of M and MU together, in 1/128
 * @s_use: of the blocks judged lately in SU, how many were in use; EMP_POLICY_ALL = all
 * @m_use: the same for MU
 * @stuck: proven victims in a row that could not be evicted
 * @stats: counters
 */
struct emp_policy {
	struct emp_bent *b;
	u32 nr_blocks;
	struct emp_policy_queue q[EMP_Q_NR];
	u32 evicting;
	u32 clock;
	u32 new_share;
	u32 su_share;
	u32 mu_share;
	u32 s_use;
	u32 m_use;
	u32 stuck;
	struct emp_policy_stats stats;
};

#define EMP_POLICY_ALL	65536

/* Entries one call of a pick function looks at, at most, for @max blocks wanted. */
#define EMP_POLICY_SCAN(max)	(4 * (max) + 32)

/*
 * Batches to be unmapped, at most, for each batch evicted. It has to be more than 1: with one for
 * one each block is judged at once, nothing is ever found in use, and what remains is a FIFO.
 */
#define EMP_POLICY_PACE		2

void emp_policy_init(struct emp_policy *p, struct emp_bent *b, u32 nr_blocks);

/* Not resident -> resident. */
void emp_policy_insert(struct emp_policy *p, u32 idx);
void emp_policy_insert_prefetched(struct emp_policy *p, u32 idx);

/*
 * The evictor's round: pick_unmap and unmap what it gives, EMP_POLICY_PACE times or until it gives
 * nothing; then pick_evict and evict what that gives; again until there is room. The more time
 * passes between the two the more is seen of the blocks, so a driver which begins to call
 * pick_unmap before room is short judges the first ones better.
 *
 * Neither sleeps nor loops for long, so either may return 0 with work left. A round in which both
 * return 0 has still moved on; while emp_policy_resident() is not 0 another is worth making (drop
 * the lock and cond_resched() between). Guests which touch everything at once can have every
 * judgement go their way: after a few rounds without a victim pass force.
 */
u32 emp_policy_pick_unmap(struct emp_policy *p, u32 *out, u32 max);
u32 emp_policy_pick_evict(struct emp_policy *p, u32 *out, u32 max, bool force);

/* What became of a victim: exactly one of these three for each. */
void emp_policy_evicted(struct emp_policy *p, u32 idx);
void emp_policy_putback(struct emp_policy *p, u32 idx);
void emp_policy_forget(struct emp_policy *p, u32 idx);	/* also for any other block, at any time */

/* Of a victim: had it proved itself by a second use? */
static inline bool emp_policy_proven(const struct emp_bent *e)
{
	return !(READ_ONCE(e->queue) & (EMP_QB_NEW | EMP_QB_AHEAD));
}

static inline enum emp_q emp_policy_where(const struct emp_bent *e)
{
	u8 q = READ_ONCE(e->queue);

	return q & EMP_QB_DEAD ? EMP_Q_NONE : (enum emp_q)(q & EMP_QB_WHERE);
}

/**
 * emp_policy_touch() - a fault was taken on a resident block
 * @p: the policy
 * @idx: the block
 *
 * No lock needed. To be called after the block is mapped. Also to be called for a block of
 * pick_unmap which could not be unmapped: it has to count as used, since its use cannot be seen.
 *
 * The read of queue may race with any transition. A mark that comes late lands on a block which
 * was judged meanwhile; whatever unmaps or inserts a block clears it first. A mark that is lost
 * belonged to a block which was mapped a moment ago.
 */
static inline void emp_policy_touch(struct emp_policy *p, u32 idx)
{
	struct emp_bent *e = &p->b[idx];
	u8 q = READ_ONCE(e->queue);	/* pairs with emp_policy_set() */
	u8 where = q & EMP_QB_WHERE;

	if (((where >= EMP_Q_SU && where <= EMP_Q_EVICTING) || q & EMP_QB_AHEAD) &&
	    !READ_ONCE(e->ref))
		WRITE_ONCE(e->ref, 1);	/* pairs with emp_policy_take_ref() */
}

/*
 * Was a victim touched since it was given out? Worth asking just before the costly or final step:
 * if so, emp_policy_putback() is cheaper than the miss to come.
 */
static inline bool emp_policy_touched(const struct emp_policy *p, u32 idx)
{
	return READ_ONCE(p->b[idx].ref);
}

static inline u32 emp_policy_len(const struct emp_policy *p, enum emp_q q)
{
	return p->q[q].live;
}

/* Blocks resident, victims in the driver's hands not counted. */
static inline u32 emp_policy_resident(const struct emp_policy *p)
{
	return p->q[EMP_Q_S].live + p->q[EMP_Q_M].live + p->q[EMP_Q_SU].live + p->q[EMP_Q_MU].live;
}

#endif
