// SPDX-License-Identifier: GPL-2.0-only
/*
 * The replacement policy of a region.
 *
 * What can be seen. A mapped block is used without our knowing. We see a block become resident,
 * and we see the fault on a resident block which we unmapped ourselves in order to see it. Such a
 * look costs a TLB flush and, if the block is in use, a soft fault; so blocks are looked at only
 * when somebody has to go, and only the oldest.
 *
 * States. A resident block is on one of four FIFO queues:
 *
 *              pick_unmap            not touched
 *   insert --> S -------> SU ------------------------> victim --> evicted, a ghost
 *        |                 | touched                   ^    |
 *        | ghost young     v                           |    '---> putback: to M
 *        '---------------> M --------> MU -------------'
 *                          ^ pick_unmap | not touched, cold
 *                          '------------'
 *                             touched
 *
 * S and SU hold new blocks, M and MU those which proved themselves by a second use. S and M are
 * mapped, SU and MU unmapped and waiting for judgement at the head. S lets the burst of uses
 * around a block's arrival pass unseen, so that a scan through memory does not look like use. The
 * new ones are held at a small share of memory (new_share) by choosing the side from which the
 * next victim comes; the waiting ones at a share of their side. So a scan flows through S and SU,
 * and M and MU stand still: not even a judgement falls on them. (With one common waiting queue a
 * scan judges within its own short time those of M which happen to wait, and a fifth of a hot set
 * is lost.) If all that is judged of MU is in use the new ones have to go after all, for each
 * judgement in vain costs a soft fault.
 *
 * Heat. Each time a block is found in use it gets hotter by one, up to three; found not in use, a
 * hot one cools by one and waits again, without being mapped between, so at no cost.
 *
 * Stuck. When all of M came back as victims which could not be evicted (dirty, and no tier has room
 * for them) the new ones lose their share too, until one of M could be: else what can be evicted
 * would wait for ever behind what cannot.
 *
 * Ghosts. A block that leaves stores the number of its eviction in the field that is its link
 * while resident. When it comes back, the evictions since then tell how much more memory would
 * have kept it; less than there is, and it is young. Young ones could all go to M, but a loop
 * over a little more than memory has nothing but young ghosts: M would turn into a FIFO in which
 * every block leaves just before its use. So only one of PROMOTE_ONE_IN goes to M: then most of M
 * stays and is used at every turn. All of them go when it takes nothing from M (the new ones have
 * more than their share anyway), or when M has been found less used than the new ones, so is what
 * an earlier phase left behind.
 *
 * Discard. A singly linked queue cannot give up an entry in the middle. A block which vanishes by
 * discard stays linked and is marked dead; whoever pops it drops it. If it becomes resident again
 * before, it lives on where it stands. Victims are on no queue, so they can be forgotten at once.
 *
 * Read ahead. Such a block enters S unmapped and marked, whatever its ghost. Its first touch takes
 * the mark away and is no second use: touched while in S, it counts as any new block; touched
 * while it waits, it goes to S as a new block. Never touched, it leaves no ghost.
 *
 * Owners and locking. All fields of struct emp_policy, and link and queue of each entry, belong to
 * the region's policy spinlock, which the caller holds in every function here. It is a leaf: taken
 * under folio locks, and nothing is taken under it. ref is set by faults without the lock and
 * cleared here. slot and flags are not ours, and are separate memory locations from ours. Victims
 * (EVICTING) are owned by the driver from pick_evict until evicted, putback or forget.
 *
 * Bounds. No call looks at more than EMP_POLICY_SCAN(max) entries, whatever the guest does.
 *
 * The constants come from simulation: docs/emp-policy.md.
 */
#include "emp_policy.h"

#define EMP_POLICY_NEW_SHARE	16	/* 1/8 of memory */
#define EMP_POLICY_SU_SHARE	64	/* half of the new ones */
#define EMP_POLICY_MU_SHARE	16	/* 1/8 of the proven ones: each judged costs a soft fault */
#define EMP_POLICY_PROMOTE_ONE_IN 4
#define EMP_POLICY_USE_SHIFT	8	/* s_use and m_use look back on about 2^8 judgements */

/* At least one, so that something is given as long as there is something. */
static u32 emp_policy_share(u32 nr, u32 share)
{
	u32 n = (u64)nr * share >> 7;

	return n ? n : 1;
}

static u32 emp_policy_nr_new(const struct emp_policy *p)
{
	return p->q[EMP_Q_S].live + p->q[EMP_Q_SU].live;
}

static u32 emp_policy_nr_main(const struct emp_policy *p)
{
	return p->q[EMP_Q_M].live + p->q[EMP_Q_MU].live;
}

static u32 emp_policy_new_target(const struct emp_policy *p)
{
	return emp_policy_share(emp_policy_resident(p), p->new_share);
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
	u8 where = e->queue & EMP_QB_WHERE;
	u8 side = where == EMP_Q_S || where == EMP_Q_SU ? EMP_QB_NEW : 0;

	emp_policy_set(e, EMP_Q_EVICTING | side | (e->queue & EMP_QB_AHEAD));
	p->evicting++;
	p->stats.victim++;
}

void emp_policy_init(struct emp_policy *p, struct emp_bent *b, u32 nr_blocks)
{
	u32 i;

	*p = (struct emp_policy){
		.b = b,
		.nr_blocks = nr_blocks,
		.clock = 1,
		.new_share = EMP_POLICY_NEW_SHARE,
		.su_share = EMP_POLICY_SU_SHARE,
		.mu_share = EMP_POLICY_MU_SHARE,
	};
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
	/* Those which wait are unmapped, but this one is being mapped: count its unseen use. */
	WRITE_ONCE(e->ref, (where == EMP_Q_SU || where == EMP_Q_MU) && !(bits & EMP_QB_AHEAD));
	emp_policy_set(e, where | bits);
}

static bool emp_policy_may_insert(struct emp_policy *p, u32 idx)
{
	return !WARN_ON_ONCE(idx >= p->nr_blocks || emp_policy_where(&p->b[idx]) != EMP_Q_NONE);
}

/* A wanted block comes in: has it proved itself already? */
static bool emp_policy_promote(struct emp_policy *p, const struct emp_bent *e)
{
	u32 target = emp_policy_new_target(p);

	if (!e->link || p->clock - e->link >= emp_policy_resident(p))
		return false;
	if (p->stats.refault++ % EMP_POLICY_PROMOTE_ONE_IN &&
	    emp_policy_nr_new(p) <= target + target / 2 &&
	    p->s_use <= p->m_use + EMP_POLICY_ALL / 100)
		return false;
	p->stats.promote++;
	return true;
}

void emp_policy_insert(struct emp_policy *p, u32 idx)
{
	struct emp_bent *e = &p->b[idx];

	if (!emp_policy_may_insert(p, idx))
		return;
	p->stats.insert++;
	if (e->queue & EMP_QB_DEAD) {
		emp_policy_revive(p, idx, 0);
		return;
	}
	WRITE_ONCE(e->ref, 0);
	emp_policy_push(p, emp_policy_promote(p, e) ? EMP_Q_M : EMP_Q_S, idx, 0);
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

/* Moves blocks from the head of S to SU, or M to MU, until target wait there or out is full. */
static u32 emp_policy_unmap_from(struct emp_policy *p, enum emp_q from, enum emp_q to, u32 target,
				 u32 *out, u32 max, u32 *budget)
{
	u32 n = 0;

	while (n < max && p->q[to].live < target) {
		u32 idx = emp_policy_pop(p, from, budget);
		u8 bits;

		if (idx == EMP_POLICY_NIL)
			break;
		bits = p->b[idx].queue & (EMP_QB_AHEAD | EMP_QB_HEAT);
		if (emp_policy_take_ref(&p->b[idx]))
			bits &= ~EMP_QB_AHEAD;
		emp_policy_push(p, to, idx, bits);
		out[n++] = idx;
	}
	return n;
}

/**
 * emp_policy_pick_unmap() - choose blocks to be looked at
 * @p: the policy
 * @out: blocks the caller has to unmap now, all mappings of them
 * @max: room in @out
 *
 * Blocks read ahead may be among them, so some may have no mapping.
 *
 * Return: how many; 0 while as many wait as should
 */
u32 emp_policy_pick_unmap(struct emp_policy *p, u32 *out, u32 max)
{
	u32 su = emp_policy_share(emp_policy_nr_new(p), p->su_share);
	u32 mu = emp_policy_share(emp_policy_nr_main(p), p->mu_share);
	u32 budget = EMP_POLICY_SCAN(max);
	u32 n;

	n = emp_policy_unmap_from(p, EMP_Q_S, EMP_Q_SU, su, out, max, &budget);
	n += emp_policy_unmap_from(p, EMP_Q_M, EMP_Q_MU, mu, out + n, max - n, &budget);
	p->stats.unmap += n;
	return n;
}

static void emp_policy_note_use(u32 *use, bool used)
{
	*use -= *use >> EMP_POLICY_USE_SHIFT;
	if (used)
		*use += EMP_POLICY_ALL >> EMP_POLICY_USE_SHIFT;
}

/* The block comes from the head of SU or MU. True: to be evicted; false: it was moved. */
static bool emp_policy_judge(struct emp_policy *p, enum emp_q from, u32 idx)
{
	bool used = emp_policy_take_ref(&p->b[idx]);
	u8 bits = p->b[idx].queue;
	u8 heat = bits & EMP_QB_HEAT;

	if (used && bits & EMP_QB_AHEAD) {
		emp_policy_push(p, EMP_Q_S, idx, 0);
		return false;
	}
	emp_policy_note_use(from == EMP_Q_SU ? &p->s_use : &p->m_use, used);
	if (used) {
		p->stats.rescue++;
		if (heat < EMP_QB_HEAT)
			heat += EMP_QB_HEAT_ONE;
		emp_policy_push(p, EMP_Q_M, idx, heat);
		return false;
	}
	if (heat) {
		p->stats.cool++;
		emp_policy_push(p, from, idx, bits - EMP_QB_HEAT_ONE);
		return false;
	}
	return true;
}

/**
 * emp_policy_pick_evict() - choose victims
 * @p: the policy
 * @out: the victims, on no queue any more
 * @max: room in @out
 * @force: if judgement does not give @max, take the rest without: first those which wait
 *
 * Return: how many. 0 with @force and blocks resident means only that many discarded ones had to
 * be dropped first: call again.
 */
u32 emp_policy_pick_evict(struct emp_policy *p, u32 *out, u32 max, bool force)
{
	static const enum emp_q order[EMP_Q_NR] = { EMP_Q_SU, EMP_Q_MU, EMP_Q_S, EMP_Q_M };
	u32 budget = EMP_POLICY_SCAN(max) - max;
	u32 n = 0, in_vain = 0, idx, i;

	while (n < max) {
		bool few_new = emp_policy_nr_new(p) <= emp_policy_new_target(p) &&
			       p->stuck <= emp_policy_nr_main(p);
		enum emp_q from = EMP_Q_SU;

		if (p->q[EMP_Q_MU].live &&
		    (!p->q[EMP_Q_SU].live || (few_new && in_vain < 2 * max)))
			from = EMP_Q_MU;
		idx = emp_policy_pop(p, from, &budget);
		if (idx == EMP_POLICY_NIL)
			break;
		if (emp_policy_judge(p, from, idx)) {
			emp_policy_victim(p, idx);
			out[n++] = idx;
		} else if (from == EMP_Q_MU) {
			in_vain++;
		}
	}
	if (!force)
		return n;

	budget += max;
	for (i = 0; i < EMP_Q_NR; i++) {
		while (n < max) {
			idx = emp_policy_pop(p, order[i], &budget);
			if (idx == EMP_POLICY_NIL)
				break;
			if (emp_policy_take_ref(&p->b[idx]))
				emp_policy_set(&p->b[idx], p->b[idx].queue & ~EMP_QB_AHEAD);
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
	if (!(e->queue & EMP_QB_NEW))
		p->stuck = 0;
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
	if (!(e->queue & EMP_QB_NEW) && p->stuck <= p->nr_blocks)
		p->stuck++;
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
	case EMP_Q_SU:
	case EMP_Q_MU:
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
