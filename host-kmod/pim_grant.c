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
 * first at that time.
 */
#include <linux/ktime.h>
#include <linux/workqueue.h>

#include "pim_event.h"
#include "pim_grant.h"
#include "pim_lease.h"
#include "pim_policy.h"
#include "pim_rank.h"
#include "pim_session.h"

static LIST_HEAD(pim_waiters);
static u64 pim_waiter_seq;
static u64 pim_lease_numbers;

static void pim_waiter_end(struct pim_waiter *w, int err)
{
	list_del(&w->list);
	w->lease->owner->waiting--;
	w->over = true;
	w->err = err;
	complete(&w->done);
}

static struct pim_claim pim_waiter_claim(const struct pim_waiter *w)
{
	const struct pim_owner *owner = w->lease->owner;

	return (struct pim_claim) {
		.priority = owner->priority,
		.ranks = owner->ranks,
		.max_ranks = owner->max_ranks,
		.seq = w->seq,
	};
}

static void pim_lease_give(struct pim_waiter *w, struct pim_rank *rank)
{
	struct pim_lease *lease = w->lease;

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
	pim_waiter_end(w, 0);
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

static bool pim_waiter_takes(const struct pim_waiter *w, const struct pim_rank *rank)
{
	return (w->want->id == PIM_ID_ANY || w->want->id == rank->id) &&
	       (!w->want->like || pim_rank_is_like(rank, w->want->like));
}

/* Of one that is local and takes any: somebody has them all, or nobody serves one. */
static int pim_waiter_any_hopeless(const struct pim_waiter *w)
{
	const struct pim_rank *rank;
	int err = -EIO;

	list_for_each_entry(rank, &pim_ranks, list) {
		if (rank->removed || rank->state == PIM_STATE_FAULTY || !pim_waiter_takes(w, rank))
			continue;
		if (rank->state != PIM_STATE_LEASED && !rank->offline)
			return 0;
		err = -EBUSY;
	}
	return err;
}

/* What a waiter for the rank gets if it does not wait on; 0: it may wait on. */
static int pim_waiter_hopeless(const struct pim_waiter *w)
{
	const struct pim_rank *rank;

	if (w->want->id == PIM_ID_ANY)
		return w->want->local ? pim_waiter_any_hopeless(w) : 0;
	rank = pim_rank_find(w->want->id);
	if (!rank || rank->removed)
		return -ENOENT;
	if (!w->want->local)
		return 0;
	if (rank->state == PIM_STATE_FAULTY)
		return -EIO;
	return rank->state == PIM_STATE_LEASED || rank->offline ? -EBUSY : 0;
}

/* Would it find there what it left itself? */
static bool pim_waiter_left(const struct pim_waiter *w, const struct pim_rank *rank)
{
	return rank->kept.owner == w->lease->owner && rank->kept.machine == w->lease->machine;
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
			pim_waiter_end(w, err);
	}
}

int pim_waiter_start_locked(struct pim_waiter *w)
{
	const struct pim_lease_want *want = w->want;
	struct pim_claim claim;

	init_completion(&w->done);
	w->settles = want->nowait;
	w->seq = ++pim_waiter_seq;
	list_add_tail(&w->list, &pim_waiters);
	w->lease->owner->waiting++;
	claim = pim_waiter_claim(w);
	pim_lease_grant_locked();
	if (w->over)
		return 0;
	if (!pim_claim_allowed(&claim))
		pim_waiter_end(w, -EDQUOT);
	else if (want->nowait)
		pim_waiter_end(w, -EAGAIN);
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
		pim_waiter_end(w, left ? -EINTR : w->want->local ? -EBUSY : -ETIMEDOUT);
	mutex_unlock(&pim_lock);
	return w->err;
}
