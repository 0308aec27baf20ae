// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases: who gets a rank, and what an owner does with it.
 *
 * Who wants a rank becomes a waiter, brings the lease that it hopes for, and
 * pim_lease_grant_locked() hands out all ranks that are free in the order of
 * pim_policy.h. That runs whenever a rank became free or a claim changed: so a
 * rank that is free, and online, is one that nobody who may have it waits for,
 * and a new claim never overtakes an old one of the same standing.
 */
#include <linux/completion.h>
#include <linux/ctype.h>
#include <linux/cred.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uidgid.h>

#include "pim_event.h"
#include "pim_lease.h"
#include "pim_mram.h"
#include "pim_policy.h"
#include "pim_rank.h"
#include "pim_session.h"

/* One who waits, on its stack; all of it under pim_lock. */
struct pim_waiter {
	struct list_head list;
	const struct pim_lease_want *want;
	struct pim_lease *lease;
	u64 seq;
	bool over;		/* err says how it ended; out of the list */
	int err;
	struct completion done;
};

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

/** pim_lease_grant_locked - give what can be given */
void pim_lease_grant_locked(void)
{
	struct pim_waiter *w, *next;
	struct pim_rank *rank;

	lockdep_assert_held(&pim_lock);
	list_for_each_entry(rank, &pim_ranks, list) {
		struct pim_claim best_claim, claim;
		struct pim_waiter *best = NULL;

		if (!pim_rank_can_be_leased(rank))
			continue;
		list_for_each_entry(w, &pim_waiters, list) {
			if (!pim_waiter_takes(w, rank))
				continue;
			claim = pim_waiter_claim(w);
			if (!pim_claim_allowed(&claim) ||
			    (best && pim_claim_before(&best_claim, &claim)))
				continue;
			best = w;
			best_claim = claim;
		}
		if (best)
			pim_lease_give(best, rank);
	}
	list_for_each_entry_safe(w, next, &pim_waiters, list) {
		int err = pim_waiter_hopeless(w);

		if (err)
			pim_waiter_end(w, err);
	}
}

/** pim_lease_end_locked - take it from its owner; the rank's new state is @to */
void pim_lease_end_locked(struct pim_lease *lease, enum pim_state to, u32 event)
{
	struct pim_rank *rank = lease->rank;

	lockdep_assert_held(&pim_lock);
	spin_lock(&rank->op_lock);
	lease->ended = true;
	spin_unlock(&rank->op_lock);
	rank->lease = NULL;
	lease->owner->ranks--;
	cancel_delayed_work(&rank->expire_work);
	pim_rank_set_state(rank, to);
	if (to == PIM_STATE_DRAINING)
		queue_work(pim_wq, &rank->scrub_work);
	pim_event_post(event, rank->id, lease->number);
	wake_up_interruptible_poll(&lease->wait, EPOLLHUP);
	pim_lease_grant_locked();	/* its owner may have another one now */
}

static void pim_lease_free(struct pim_lease *lease)
{
	if (lease->session)
		pim_session_put(lease->session);
	if (lease->rank)
		put_device(&lease->rank->dev);
	kfree(lease);
}

/* One that another process of the owner has and shares. */
static struct pim_lease *pim_lease_join_locked(const struct pim_lease_want *want,
					       const struct pim_owner *owner)
{
	struct pim_rank *rank = want->local ? pim_rank_find(want->id) : NULL;
	struct pim_lease *lease = rank ? rank->lease : NULL;

	if (!lease || !lease->shared || lease->owner != owner)
		return NULL;
	lease->users++;
	return lease;
}

/* Queue @w and see whether it is served at once. 0: it is over; else -EAGAIN. */
static int pim_waiter_start_locked(struct pim_waiter *w)
{
	const struct pim_lease_want *want = w->want;
	struct pim_claim claim;

	init_completion(&w->done);
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

static int pim_waiter_wait(struct pim_waiter *w)
{
	unsigned long most = msecs_to_jiffies(READ_ONCE(pim_open_wait_ms));
	long left = w->want->local ?
		wait_for_completion_killable_timeout(&w->done, most) :
		wait_for_completion_interruptible_timeout(&w->done, w->want->timeout);

	mutex_lock(&pim_lock);
	if (!w->over)	/* what was given in the last moment is kept */
		pim_waiter_end(w, left ? -EINTR : w->want->local ? -EBUSY : -ETIMEDOUT);
	mutex_unlock(&pim_lock);
	return w->err;
}

/* Who has it. A process's name may be anything: make it one that can be shown. */
static void pim_lease_name(struct pim_lease *lease, const struct pim_lease_who *who)
{
	char *c;

	lease->kind = who ? PIM_OWNER_VM : PIM_OWNER_USER;
	lease->pid = who ? who->pid : task_tgid_nr(current);
	strscpy(lease->comm, who ? who->name : current->comm, sizeof(lease->comm));
	for (c = lease->comm; *c; c++) {
		if (!isascii(*c) || !isprint(*c))
			*c = '?';
	}
}

struct pim_lease *pim_lease_acquire(const struct pim_lease_want *want)
{
	struct pim_lease *lease = kzalloc(sizeof(*lease), GFP_KERNEL_ACCOUNT), *joined;
	struct pim_waiter w = { .want = want, .lease = lease };
	int err;

	if (!lease)
		return ERR_PTR(-ENOMEM);
	init_waitqueue_head(&lease->wait);
	lease->shared = !want->local;
	lease->expire_ms = want->expire_ms;
	pim_lease_name(lease, want->who);

	mutex_lock(&pim_lock);
	lease->owner = pim_owner_get_locked(want->who ? want->who->uid :
					    from_kuid(&init_user_ns, current_euid()));
	if (IS_ERR(lease->owner)) {
		err = PTR_ERR(lease->owner);
		mutex_unlock(&pim_lock);
		goto free;
	}
	joined = pim_lease_join_locked(want, lease->owner);
	if (joined) {
		mutex_unlock(&pim_lock);
		pim_lease_free(lease);
		return joined;
	}
	err = pim_waiter_start_locked(&w);
	mutex_unlock(&pim_lock);
	err = err ? pim_waiter_wait(&w) : w.err;
	if (!err)
		return lease;
free:
	pim_lease_free(lease);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_GPL(pim_lease_acquire);

void pim_lease_release(struct pim_lease *lease)
{
	bool last;

	mutex_lock(&pim_lock);
	last = !--lease->users;
	if (last && !lease->ended)
		pim_lease_end_locked(lease, PIM_STATE_DRAINING, PIM_EVENT_RELEASED);
	mutex_unlock(&pim_lock);
	if (last)
		pim_lease_free(lease);
}
EXPORT_SYMBOL_GPL(pim_lease_release);

void pim_lease_unshare(struct pim_lease *lease)
{
	mutex_lock(&pim_lock);
	lease->shared = false;
	mutex_unlock(&pim_lock);
}

/* --- using it ------------------------------------------------------------------ */

/* An operation begins: the session stays, and scrubbing waits, until it ends. */
static int pim_lease_enter(struct pim_lease *lease)
{
	struct pim_rank *rank = lease->rank;
	int err = 0;

	spin_lock(&rank->op_lock);
	if (lease->ended)
		err = -EIO;
	else if (!rank->inflight++)
		rank->busy_since = ktime_get_ns();
	spin_unlock(&rank->op_lock);
	return err;
}

/* It ends with @err; what it did after the end of the lease does not count. */
static int pim_lease_leave(struct pim_lease *lease, int err)
{
	struct pim_rank *rank = lease->rank;
	u64 ns = 0;

	spin_lock(&rank->op_lock);
	if (!--rank->inflight) {
		ns = ktime_get_ns() - rank->busy_since;
		wake_up(&rank->idle);
	}
	if (lease->ended && !err)
		err = -EIO;
	spin_unlock(&rank->op_lock);
	atomic64_add(ns, &rank->busy_ns);
	atomic64_add(ns, &lease->owner->busy_ns);
	return err;
}

static int pim_lease_call(struct pim_lease *lease, const struct pim_request *req, u64 *words)
{
	int err = pim_lease_enter(lease);

	if (err)
		return err;
	err = pim_session_call(lease->session, req, words);
	return pim_lease_leave(lease, err);
}

static void pim_lease_count_command(struct pim_lease *lease)
{
	atomic64_inc(&lease->rank->commands);
	atomic64_inc(&lease->owner->commands);
}

int pim_lease_commit(struct pim_lease *lease, const u64 *cmds, u64 *results)
{
	struct pim_request req = { .op = PIM_OP_COMMIT };

	memcpy(req.words, cmds, lease->rank->nr_cis * sizeof(*cmds));
	pim_lease_count_command(lease);
	return pim_lease_call(lease, &req, results);
}
EXPORT_SYMBOL_GPL(pim_lease_commit);

int pim_lease_update(struct pim_lease *lease, u64 *results)
{
	const struct pim_request req = { .op = PIM_OP_UPDATE };

	pim_lease_count_command(lease);
	return pim_lease_call(lease, &req, results);
}
EXPORT_SYMBOL_GPL(pim_lease_update);

int pim_lease_write(struct pim_lease *lease, u32 dpu, u64 offset, size_t bytes,
		    pim_copy_fn copy, void *ctx)
{
	u64 pos = dpu * lease->rank->mram_size + offset;
	int err = pim_lease_enter(lease);

	if (err)
		return err;
	err = pim_mram_write(lease->session->mram, pos, bytes, copy, ctx);
	atomic64_add(bytes, &lease->rank->bytes_in);
	atomic64_add(bytes, &lease->owner->bytes_in);
	return pim_lease_leave(lease, err);
}
EXPORT_SYMBOL_GPL(pim_lease_write);

int pim_lease_read(struct pim_lease *lease, u32 dpu, u64 offset, size_t bytes,
		   pim_copy_fn copy, void *ctx)
{
	u64 pos = dpu * lease->rank->mram_size + offset;
	int err = pim_lease_enter(lease);

	if (err)
		return err;
	err = pim_mram_read(lease->session->mram, pos, bytes, copy, ctx);
	atomic64_add(bytes, &lease->rank->bytes_out);
	atomic64_add(bytes, &lease->owner->bytes_out);
	return pim_lease_leave(lease, err);
}
EXPORT_SYMBOL_GPL(pim_lease_read);

static int pim_lease_tell(struct pim_lease *lease, u32 op, u64 mask, u64 offset, u64 bytes)
{
	const struct pim_request req = {
		.op = op, .mask = mask, .offset = offset, .bytes = bytes
	};

	if (!(lease->session->flags & PIM_RANK_F_XFER))
		return 0;
	return pim_lease_call(lease, &req, NULL);
}

int pim_lease_store(struct pim_lease *lease, u64 mask, u64 offset, u64 bytes)
{
	return pim_lease_tell(lease, PIM_OP_STORE, mask, offset, bytes);
}
EXPORT_SYMBOL_GPL(pim_lease_store);

int pim_lease_load(struct pim_lease *lease, u64 mask, u64 offset, u64 bytes)
{
	return pim_lease_tell(lease, PIM_OP_LOAD, mask, offset, bytes);
}
EXPORT_SYMBOL_GPL(pim_lease_load);
