// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who gets a rank.
 *
 * Who wants a rank becomes a waiter, brings the lease that it hopes for, and
 * pim_lease_grant_locked() hands out all ranks that are free in the order of
 * pim_policy.h. That runs whenever a rank became free or a claim changed: so a
 * rank that is free, and online, is one that nobody who may have it waits for,
 * and a new claim never overtakes an old one of the same standing.
 *
 * A rank that is kept for an owner is free to others too: when one of them would
 * get it, and no clean one is left, it is cleaned, and then given to whoever comes
 * first at that time. In the same way, for each who waits and has no rank coming, one
 * that is leased but idle is saved (pim_park.c), that which was idle for longest.
 */
#include <linux/ktime.h>
#include <linux/workqueue.h>

#include "pim_event.h"
#include "pim_grant.h"
#include "pim_lease.h"
#include "pim_park.h"
#include "pim_policy.h"
#include "pim_rank.h"
#include "pim_session.h"

static LIST_HEAD(pim_waiters);
static u64 pim_waiter_seq;
static u64 pim_lease_numbers;

void pim_waiter_end_locked(struct pim_waiter *w, int err)
{
	lockdep_assert_held(&pim_lock);
	list_del_init(&w->list);
	w->lease->owner->waiting--;
	w->over = true;
	w->err = err;
	complete(&w->done);
}

static struct pim_claim pim_waiter_claim(const struct pim_waiter *w)
{
	const struct pim_owner *owner = w->lease->owner;
	/* What is parked counts, but does not keep its owner from having it back. */
	u32 parked = w->returns ? 0 : min(owner->parked, owner->max_ranks);

	return (struct pim_claim) {
		.priority = owner->priority,
		.ranks = owner->ranks,
		.max_ranks = w->returns ? PIM_ID_ANY : owner->max_ranks - parked,
		.seq = w->seq,
	};
}

static void pim_lease_give(struct pim_waiter *w, struct pim_rank *rank)
{
	struct pim_lease *lease = w->lease;

	if (w->returns) {
		pim_park_give_locked(lease, rank);
		pim_waiter_end_locked(w, 0);
		return;
	}
	if (rank->kept.owner) {
		rank->kept.owner = NULL;
		cancel_delayed_work(&rank->keep_work);
		atomic64_inc(&rank->returns);
	}
	lease->number = ++pim_lease_numbers;
	lease->rank = rank;
	get_device(&rank->dev);
	lease->session = rank->session;
	kref_get(&lease->session->kref);
	lease->nr_cis = rank->nr_cis;
	lease->nr_dpus_per_ci = rank->nr_dpus_per_ci;
	lease->mram_size = rank->mram_size;
	lease->told = lease->session->flags & PIM_RANK_F_XFER;
	lease->used = jiffies;
	lease->since = jiffies;
	lease->users = 1;
	lease->owner->ranks++;
	lease->owner->leases++;
	rank->lease = lease;
	pim_rank_set_state(rank, PIM_STATE_LEASED);
	atomic64_inc(&rank->leases);
	if (lease->expire_ms) {
		lease->expires = jiffies + msecs_to_jiffies(lease->expire_ms);
		mod_delayed_work(pim_wq, &rank->expire_work,
				 msecs_to_jiffies(lease->expire_ms));
	}
	pim_event_post(PIM_EVENT_LEASED, rank->id, lease->number);
	pim_waiter_end_locked(w, 0);
}

static bool pim_rank_can_be_leased(const struct pim_rank *rank)
{
	return rank->state == PIM_STATE_FREE && !rank->offline && !rank->removed;
}

static bool pim_rank_any_free(void)
{
	const struct pim_rank *rank;

	list_for_each_entry(rank, &pim_ranks, list) {
		if (pim_rank_can_be_leased(rank))
			return true;
	}
	return false;
}

/* It has been given back, and is not free yet. */
static bool pim_rank_will_be_kept(const struct pim_rank *rank)
{
	return rank->kept.owner && rank->state != PIM_STATE_FREE && !rank->offline &&
	       !rank->removed;
}

static bool pim_waiter_takes_any(const struct pim_waiter *w)
{
	return w->want->floats || w->want->id == PIM_ID_ANY;
}

static bool pim_waiter_takes(const struct pim_waiter *w, const struct pim_rank *rank)
{
	if (w->returns)
		return pim_park_fits_locked(w->lease, rank);
	return (pim_waiter_takes_any(w) || w->want->id == rank->id) &&
	       (!w->want->like || pim_rank_is_like(rank, w->want->like));
}

/* Somebody has it, and will not be without it while others wait. */
static bool pim_rank_is_held(const struct pim_rank *rank)
{
	return rank->offline ||
	       ((rank->state == PIM_STATE_LEASED || rank->state == PIM_STATE_RESTORING) &&
		!pim_park_possible_locked(rank->lease));
}

/* Of one that is local and takes any: somebody has them all, or nobody serves one. */
static int pim_waiter_any_hopeless(const struct pim_waiter *w)
{
	const struct pim_rank *rank;
	int err = -EIO;

	list_for_each_entry(rank, &pim_ranks, list) {
		if (rank->removed || rank->state == PIM_STATE_FAULTY || !pim_waiter_takes(w, rank))
			continue;
		if (!pim_rank_is_held(rank))
			return 0;
		err = -EBUSY;
	}
	return err;
}

/* What a waiter for the rank gets if it does not wait on; 0: it may wait on. */
static int pim_waiter_hopeless(const struct pim_waiter *w)
{
	const struct pim_rank *rank;

	if (pim_waiter_takes_any(w))
		return w->want->local ? pim_waiter_any_hopeless(w) : 0;
	rank = pim_rank_find(w->want->id);
	if (!rank || rank->removed)
		return -ENOENT;
	if (!w->want->local)
		return 0;
	if (rank->state == PIM_STATE_FAULTY)
		return -EIO;
	return pim_rank_is_held(rank) ? -EBUSY : 0;
}

/* Would it find there what it left itself? */
static bool pim_waiter_left(const struct pim_waiter *w, const struct pim_rank *rank)
{
	return !w->returns && rank->kept.owner == w->lease->owner &&
	       rank->kept.machine == w->lease->machine;
}

static struct pim_offer pim_waiter_offer(const struct pim_waiter *w, const struct pim_rank *rank)
{
	return (struct pim_offer) {
		.fit = !rank->kept.owner ? PIM_FIT_CLEAN :
			pim_waiter_left(w, rank) ? PIM_FIT_OWN : PIM_FIT_OTHERS,
		.until = rank->kept.until,
	};
}

/* Is there one that will be clean, for it? It has no more cleaned. */
static bool pim_waiter_has_cleaning(const struct pim_waiter *w)
{
	const struct pim_rank *rank = pim_rank_find(w->cleaning);

	return rank && !rank->removed && rank->state == PIM_STATE_SCRUBBING;
}

/* The free rank that it would take, or NULL. */
static struct pim_rank *pim_waiter_choose(const struct pim_waiter *w)
{
	struct pim_rank *rank, *best = NULL;
	struct pim_offer best_offer, offer;

	list_for_each_entry(rank, &pim_ranks, list) {
		if (!pim_waiter_takes(w, rank))
			continue;
		if (!w->settles && pim_rank_will_be_kept(rank) && pim_waiter_left(w, rank))
			return NULL;
		if (!pim_rank_can_be_leased(rank))
			continue;
		offer = pim_waiter_offer(w, rank);
		if (best && !pim_offer_before(&offer, &best_offer))
			continue;
		best = rank;
		best_offer = offer;
	}
	if (best && best_offer.fit == PIM_FIT_OTHERS && pim_waiter_has_cleaning(w))
		return NULL;
	return best;
}

/* Who is first of those for whom there is a free rank; or NULL. */
static struct pim_waiter *pim_waiter_first(struct pim_rank **rank)
{
	struct pim_waiter *w, *best = NULL;
	struct pim_claim best_claim, claim;
	struct pim_rank *chosen;

	if (!pim_rank_any_free())
		return NULL;
	list_for_each_entry(w, &pim_waiters, list) {
		claim = pim_waiter_claim(w);
		if (!pim_claim_allowed(&claim) || (best && pim_claim_before(&best_claim, &claim)))
			continue;
		chosen = pim_waiter_choose(w);
		if (!chosen)
			continue;
		best = w;
		best_claim = claim;
		*rank = chosen;
	}
	return best;
}

/* --- taking from who does not use it ------------------------------------------------ */

static void pim_preempt_again(struct work_struct *work)
{
	mutex_lock(&pim_lock);
	pim_lease_grant_locked();
	mutex_unlock(&pim_lock);
}

static DECLARE_DELAYED_WORK(pim_preempt_work, pim_preempt_again);

/* It will be free, or could be made so: which is @due then. NULL: no such rank. */
static struct pim_rank *pim_waiter_awaits(const struct pim_waiter *w, unsigned long *due)
{
	struct pim_rank *rank, *best = NULL;
	unsigned long when;

	list_for_each_entry(rank, &pim_ranks, list) {
		if (rank->promised || rank->offline || rank->removed || !rank->session ||
		    !pim_waiter_takes(w, rank))
			continue;
		if (rank->state == PIM_STATE_DRAINING || rank->state == PIM_STATE_SCRUBBING ||
		    rank->state == PIM_STATE_SAVING)
			return rank;
		if (rank->state != PIM_STATE_LEASED || !pim_park_possible_locked(rank->lease))
			continue;
		when = pim_park_due_locked(rank->lease);
		if (best && !time_before(when, *due))
			continue;
		best = rank;
		*due = when;
	}
	return best;
}

/* One rank for each who waits: saved now if its time has come, else looked at then. */
static void pim_preempt_locked(void)
{
	unsigned long now = jiffies, due, next = 0;
	struct pim_waiter *w;
	struct pim_rank *rank;
	bool again = false;

	if (list_empty(&pim_waiters))
		return;
	list_for_each_entry(rank, &pim_ranks, list)
		rank->promised = false;
	list_for_each_entry(w, &pim_waiters, list) {
		struct pim_claim claim = pim_waiter_claim(w);

		if (w->want->nowait || !pim_claim_allowed(&claim))
			continue;
		rank = pim_waiter_awaits(w, &due);
		if (!rank)
			continue;
		rank->promised = true;
		if (rank->state != PIM_STATE_LEASED)
			continue;
		if (time_after_eq(now, due)) {
			if (pim_park_start_locked(rank->lease))
				continue;
			due = now + HZ / 10;
		}
		if (!again || time_before(due, next))
			next = due;
		again = true;
	}
	if (again)
		mod_delayed_work(pim_wq, &pim_preempt_work, next - now);
}

void pim_grant_exit(void)
{
	cancel_delayed_work_sync(&pim_preempt_work);
}

void pim_lease_grant_locked(void)
{
	struct pim_waiter *w, *next;
	struct pim_rank *rank;

	lockdep_assert_held(&pim_lock);
	/* Each turn takes a free rank away. */
	while ((w = pim_waiter_first(&rank))) {
		if (!rank->kept.owner || pim_waiter_left(w, rank)) {
			pim_lease_give(w, rank);
		} else {
			w->cleaning = rank->id;
			pim_rank_clean_locked(rank);
		}
	}
	list_for_each_entry_safe(w, next, &pim_waiters, list) {
		int err = pim_waiter_hopeless(w);

		if (err)
			pim_waiter_end_locked(w, err);
	}
	pim_preempt_locked();
}

void pim_waiter_queue_locked(struct pim_waiter *w)
{
	init_completion(&w->done);
	w->over = false;
	w->seq = ++pim_waiter_seq;
	list_add_tail(&w->list, &pim_waiters);
	w->lease->owner->waiting++;
	pim_lease_grant_locked();
}

int pim_waiter_start_locked(struct pim_waiter *w)
{
	const struct pim_lease_want *want = w->want;
	struct pim_claim claim = pim_waiter_claim(w);

	w->settles = want->nowait;
	pim_waiter_queue_locked(w);
	if (w->over)
		return 0;
	if (!pim_claim_allowed(&claim))
		pim_waiter_end_locked(w, -EDQUOT);
	else if (want->nowait)
		pim_waiter_end_locked(w, -EAGAIN);
	return w->over ? 0 : -EAGAIN;
}

int pim_waiter_wait(struct pim_waiter *w)
{
	unsigned long most = msecs_to_jiffies(READ_ONCE(pim_open_wait_ms));
	long left = w->want->local ?
		wait_for_completion_killable_timeout(&w->done, most) :
		wait_for_completion_interruptible_timeout(&w->done, w->want->timeout);

	mutex_lock(&pim_lock);
	if (!w->over && !left) {
		w->settles = true;
		pim_lease_grant_locked();
	}
	if (!w->over)	/* what was given in the last moment is kept */
		pim_waiter_end_locked(w, left ? -EINTR : w->want->local ? -EBUSY : -ETIMEDOUT);
	mutex_unlock(&pim_lock);
	return w->err;
}
