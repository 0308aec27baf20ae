// SPDX-License-Identifier: GPL-2.0-only
/*
 * The replacement policy of a region.
 *
 * What can be seen. A mapped block is used without our knowing. We see a block become resident,
 * and we see the fault on a resident block which we unmapped ourselves in order to see it. Such a
 * look costs a TLB flush and, if the block is in use, a soft fault; so blocks are looked at only
 * when somebody has to go, and those that were found in use time and again are looked at less
 * often.
 *
 * States. A resident block is on one of three FIFO queues:
 *
 *            first time                    pick_unmap
 *   insert ------------> S (new, mapped) ------------.
 *      |                                             v      not touched
 *      |  ghost young                                U ---------------------> victim
 *      '---------------> M (proven, mapped) -------->|                          |
 *                        ^               pick_unmap  |              putback -> M|evicted -> ghost
 *                        '---------------------------'
 *                                touched
 *
 * S lets the burst of uses around a block's arrival pass unseen, so that one scan through memory
 * does not look like use; U waits for a second, separate use. S is kept at its share of the
 * resident blocks, so scans flow through S and U and M is left alone. The ghost is the number of
 * the eviction, kept in the field that is the block's link while it is resident: how many others
 * were evicted until it came back is how much more memory would have kept it.
 *
 * Heat. A block of M found in use gets hotter, up to three, and the next as many times that it
 * would be unmapped it is passed over and cools by one instead.
 *
 * Discard. A singly linked queue cannot give up an entry in the middle. A block which vanishes by
 * discard stays linked and is marked dead; whoever pops it drops it. If it becomes resident again
 * before, it lives on where it stands. Victims are on no queue, so they can be forgotten at once.
 *
 * Read ahead. Such a block enters S unmapped and marked. Its first touch takes the mark away and
 * is no re-use: touched while in S, it counts as any new block; touched while in U, it goes back
 * to S as a new block. Never touched, it leaves no ghost.
 *
 * Owners and locking. All fields of struct emp_policy, and link and queue of each entry, belong to
 * the region's policy spinlock, which the caller holds in every function here. It is a leaf: taken
 * under folio locks, and nothing is taken under it. ref is set by faults without the lock and
 * cleared here. slot and flags are not ours, and are separate memory locations from ours. Victims
 * (EVICTING) are owned by the driver from pick_evict until evicted, putback or forget.
 *
 * Bounds. No call looks at more than EMP_POLICY_SCAN(max) entries, whatever the guest does.
 */
#include "emp_policy.h"

/* Shares of the resident blocks, in 1/128. */
#define EMP_POLICY_S_SHARE	13	/* 10% */
#define EMP_POLICY_U_SHARE	26	/* 20% */

static u32 emp_policy_share(const struct emp_policy *p, u32 share)
{
	u32 n = (u64)emp_policy_resident(p) * share >> 7;

	return n ? n : 1;
}

static void emp_policy_set(struct emp_bent *e, u8 queue)
{
	WRITE_ONCE(e->queue, queue);	/* pairs with emp_policy_touch() */
}

static bool emp_policy_take_ref(struct emp_bent *e)
{
	if (!READ_ONCE(e->ref))
		return false;
	WRITE_ONCE(e->ref, 0);		/* pairs with emp_policy_touch() */
	return true;
}

/* bits: what to keep beside the place. */
static void emp_policy_push(struct emp_policy *p, enum emp_q where, u32 idx, u8 bits)
{
	struct emp_policy_queue *q = &p->q[where];
	struct emp_bent *e = &p->b[idx];

	e->link = EMP_POLICY_NIL;
	if (q->head == EMP_POLICY_NIL)
		q->head = idx;
	else
		p->b[q->tail].link = idx;
	q->tail = idx;
	q->live++;
	emp_policy_set(e, where | bits);
}

/* The next live block, unlinked and still marked with its queue; drops the dead before it. */
static u32 emp_policy_pop(struct emp_policy *p, enum emp_q where, u32 *budget)
{
	struct emp_policy_queue *q = &p->q[where];

	while (q->head != EMP_POLICY_NIL && *budget) {
		u32 idx = q->head;
		struct emp_bent *e = &p->b[idx];

		--*budget;
		q->head = e->link;
		e->link = 0;
		if (!(e->queue & EMP_QB_DEAD)) {
			q->live--;
			return idx;
		}
		q->dead--;
		emp_policy_set(e, EMP_Q_NONE);
	}
	return EMP_POLICY_NIL;
}

static void emp_policy_victim(struct emp_policy *p, u32 idx)
{
	struct emp_bent *e = &p->b[idx];

	emp_policy_set(e, EMP_Q_EVICTING | (e->queue & EMP_QB_AHEAD));
	p->evicting++;
	p->stats.victim++;
}

void emp_policy_init(struct emp_policy *p, struct emp_bent *b, u32 nr_blocks)
{
	u32 i;

	*p = (struct emp_policy){ .b = b, .nr_blocks = nr_blocks, .clock = 1 };
	for (i = 0; i < EMP_Q_NR; i++)
		p->q[i].head = EMP_POLICY_NIL;
	for (i = 0; i < nr_blocks; i++) {
		b[i].link = 0;
		b[i].queue = EMP_Q_NONE;
		b[i].ref = 0;
	}
}

/* The block is dead and linked: back to life where it stands. */
static void emp_policy_revive(struct emp_policy *p, u32 idx, u8 bits)
{
	struct emp_bent *e = &p->b[idx];
	u8 where = e->queue & EMP_QB_WHERE;

	p->q[where].dead--;
	p->q[where].live++;
	/* U means unmapped; this one is being mapped, so its use cannot be seen: count it. */
	WRITE_ONCE(e->ref, where == EMP_Q_U && !(bits & EMP_QB_AHEAD));
	emp_policy_set(e, where | bits);
}

static bool emp_policy_may_insert(struct emp_policy *p, u32 idx)
{
	return !WARN_ON_ONCE(idx >= p->nr_blocks || emp_policy_where(&p->b[idx]) != EMP_Q_NONE);
}

void emp_policy_insert(struct emp_policy *p, u32 idx)
{
	struct emp_bent *e = &p->b[idx];
	bool young;

	if (!emp_policy_may_insert(p, idx))
		return;
	p->stats.insert++;
	if (e->queue & EMP_QB_DEAD) {
		emp_policy_revive(p, idx, 0);
		return;
	}
	young = e->link && p->clock - e->link < emp_policy_resident(p);
	WRITE_ONCE(e->ref, 0);
	p->stats.refault += young;
	emp_policy_push(p, young ? EMP_Q_M : EMP_Q_S, idx, 0);
}

void emp_policy_insert_prefetched(struct emp_policy *p, u32 idx)
{
	struct emp_bent *e = &p->b[idx];

	if (!emp_policy_may_insert(p, idx))
		return;
	p->stats.insert_ahead++;
	if (e->queue & EMP_QB_DEAD) {
		emp_policy_revive(p, idx, EMP_QB_AHEAD);
		return;
	}
	WRITE_ONCE(e->ref, 0);
	emp_policy_push(p, EMP_Q_S, idx, EMP_QB_AHEAD);
}

/**
 * emp_policy_pick_unmap() - choose blocks to be looked at
 * @p: the policy
 * @out: blocks the caller has to unmap now, all mappings of them; they are in U
 * @max: room in @out
 *
 * Return: how many; 0 while U is as long as it should be
 */
u32 emp_policy_pick_unmap(struct emp_policy *p, u32 *out, u32 max)
{
	struct emp_policy_queue *q = p->q;
	u32 s_target = emp_policy_share(p, EMP_POLICY_S_SHARE);
	u32 u_target = emp_policy_share(p, EMP_POLICY_U_SHARE);
	u32 budget = EMP_POLICY_SCAN(max);
	u32 n = 0;

	while (n < max && q[EMP_Q_U].live < u_target && budget) {
		enum emp_q from = q[EMP_Q_S].live > s_target || !q[EMP_Q_M].live ? EMP_Q_S : EMP_Q_M;
		u32 idx = emp_policy_pop(p, from, &budget);
		struct emp_bent *e;
		u8 bits;

		if (idx == EMP_POLICY_NIL)
			break;
		e = &p->b[idx];
		bits = e->queue & (EMP_QB_AHEAD | EMP_QB_HEAT);
		if (emp_policy_take_ref(e))
			bits &= ~EMP_QB_AHEAD;
		if (bits & EMP_QB_HEAT) {
			emp_policy_push(p, from, idx, bits - EMP_QB_HEAT_ONE);
			continue;
		}
		if (from == EMP_Q_M)
			bits |= EMP_QB_FROM_M;
		emp_policy_push(p, EMP_Q_U, idx, bits);
		out[n++] = idx;
	}
	p->stats.unmap += n;
	return n;
}

/* A block of U was found touched. */
static void emp_policy_rescue(struct emp_policy *p, u32 idx)
{
	u8 bits = p->b[idx].queue;

	p->stats.rescue++;
	if (bits & EMP_QB_AHEAD)
		emp_policy_push(p, EMP_Q_S, idx, 0);
	else
		emp_policy_push(p, EMP_Q_M, idx, bits & EMP_QB_FROM_M ? EMP_QB_HEAT_ONE : 0);
}

/**
 * emp_policy_pick_evict() - choose victims
 * @p: the policy
 * @out: the victims, on no queue any more
 * @max: room in @out
 * @force: if judgement does not give @max, take the rest without: from U, then S, then M
 *
 * Return: how many. 0 with @force and blocks resident means only that many discarded ones had to
 * be dropped first: call again.
 */
u32 emp_policy_pick_evict(struct emp_policy *p, u32 *out, u32 max, bool force)
{
	static const u8 order[] = { EMP_Q_U, EMP_Q_S, EMP_Q_M };
	u32 budget = EMP_POLICY_SCAN(max) - max;
	u32 n = 0, idx, i;

	while (n < max) {
		idx = emp_policy_pop(p, EMP_Q_U, &budget);
		if (idx == EMP_POLICY_NIL)
			break;
		if (emp_policy_take_ref(&p->b[idx])) {
			emp_policy_rescue(p, idx);
			continue;
		}
		emp_policy_victim(p, idx);
		out[n++] = idx;
	}
	if (!force)
		return n;

	budget += max;
	for (i = 0; i < EMP_Q_NR; i++) {
		while (n < max) {
			idx = emp_policy_pop(p, order[i], &budget);
			if (idx == EMP_POLICY_NIL)
				break;
			WRITE_ONCE(p->b[idx].ref, 0);
			emp_policy_victim(p, idx);
			p->stats.forced++;
			out[n++] = idx;
		}
	}
	return n;
}

static bool emp_policy_is_victim(struct emp_policy *p, u32 idx)
{
	return !WARN_ON_ONCE(idx >= p->nr_blocks ||
			     emp_policy_where(&p->b[idx]) != EMP_Q_EVICTING);
}

/* The victim's memory is free. */
void emp_policy_evicted(struct emp_policy *p, u32 idx)
{
	struct emp_bent *e = &p->b[idx];

	if (!emp_policy_is_victim(p, idx))
		return;
	p->evicting--;
	p->clock++;
	if (!p->clock)
		p->clock = 1;
	e->link = e->queue & EMP_QB_AHEAD ? 0 : p->clock;
	emp_policy_set(e, EMP_Q_NONE);
}

/* The victim could not be freed: busy, pinned, dirtied again or touched. It counts as in use. */
void emp_policy_putback(struct emp_policy *p, u32 idx)
{
	struct emp_bent *e = &p->b[idx];

	if (!emp_policy_is_victim(p, idx))
		return;
	p->evicting--;
	p->stats.putback++;
	WRITE_ONCE(e->ref, 0);
	emp_policy_push(p, EMP_Q_M, idx, 0);
}

/* The block was discarded: not resident, and its past means nothing any more. */
void emp_policy_forget(struct emp_policy *p, u32 idx)
{
	struct emp_bent *e = &p->b[idx];

	if (WARN_ON_ONCE(idx >= p->nr_blocks))
		return;
	switch (emp_policy_where(e)) {
	case EMP_Q_S:
	case EMP_Q_M:
	case EMP_Q_U:
		p->q[e->queue & EMP_QB_WHERE].live--;
		p->q[e->queue & EMP_QB_WHERE].dead++;
		emp_policy_set(e, (e->queue & EMP_QB_WHERE) | EMP_QB_DEAD);
		break;
	case EMP_Q_EVICTING:
		p->evicting--;
		e->link = 0;
		emp_policy_set(e, EMP_Q_NONE);
		break;
	default:
		if (!(e->queue & EMP_QB_DEAD))
			e->link = 0;
	}
}
