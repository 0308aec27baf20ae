// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases: how they begin and end, and what an owner does with one. Who gets a
 * rank is decided in pim_grant.c.
 */
#include <linux/ctype.h>
#include <linux/cred.h>
#include <linux/ktime.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uidgid.h>

#include "pim_event.h"
#include "pim_grant.h"
#include "pim_lease.h"
#include "pim_mram.h"
#include "pim_park.h"
#include "pim_rank.h"
#include "pim_session.h"

/* What is in a rank whose owner gave it back: may it stay there? */
static void pim_lease_keep_locked(const struct pim_lease *lease)
{
	struct pim_rank *rank = lease->rank;

	/* What the provider has elsewhere is not ours to keep. */
	if (!lease->owner->keep_ms || rank->info.flags & PIM_RANK_F_XFER)
		return;
	rank->kept.owner = lease->owner;
	rank->kept.machine = lease->machine;
	rank->kept.ms = lease->owner->keep_ms;
}

/** pim_lease_unkeep_locked - nothing is kept for this owner, or (if NULL) this machine */
void pim_lease_unkeep_locked(const struct pim_owner *owner, u64 machine)
{
	struct pim_rank *rank;

	lockdep_assert_held(&pim_lock);
	list_for_each_entry(rank, &pim_ranks, list) {
		if (!rank->kept.owner ||
		    (owner ? rank->kept.owner != owner : rank->kept.machine != machine))
			continue;
		if (rank->state == PIM_STATE_FREE)
			pim_rank_clean_locked(rank);
		else
			rank->kept.owner = NULL;	/* whoever cleans it sees that */
	}
}

/** pim_lease_home_gone_locked - parked leases by nodes of that rank end with them */
void pim_lease_home_gone_locked(u32 home)
{
	struct pim_lease *lease;

	while ((lease = pim_park_first_locked(home)))
		pim_lease_end_locked(lease, PIM_STATE_FAULTY, PIM_EVENT_REVOKED);
}

void pim_lease_forget(u64 machine)
{
	mutex_lock(&pim_lock);
	pim_lease_unkeep_locked(NULL, machine);
	mutex_unlock(&pim_lock);
}
EXPORT_SYMBOL_GPL(pim_lease_forget);

/** pim_lease_end_locked - take it from its owner; the rank's new state is @to */
void pim_lease_end_locked(struct pim_lease *lease, enum pim_state to, u32 event)
{
	struct pim_rank *rank = lease->rank;

	lockdep_assert_held(&pim_lock);
	spin_lock(&lease->lock);
	lease->ended = true;
	spin_unlock(&lease->lock);
	if (lease->state == PIM_LEASE_PARKED) {
		pim_park_end_locked(lease, event);
		return;
	}
	rank->lease = NULL;
	lease->owner->ranks--;
	cancel_delayed_work(&rank->expire_work);
	if (event == PIM_EVENT_RELEASED)
		pim_lease_keep_locked(lease);
	pim_rank_set_state(rank, to);
	if (to == PIM_STATE_DRAINING)
		queue_work(pim_wq, &rank->scrub_work);
	pim_event_post(event, rank->id, lease->number);
	wake_up_poll(&lease->wait, EPOLLHUP);
	pim_lease_grant_locked();	/* its owner may have another one now */
}

/** pim_lease_find_locked - one that has not ended, on a rank or parked; or NULL */
struct pim_lease *pim_lease_find_locked(u64 number)
{
	struct pim_rank *rank;

	lockdep_assert_held(&pim_lock);
	list_for_each_entry(rank, &pim_ranks, list) {
		if (rank->lease && rank->lease->number == number)
			return rank->lease;
	}
	return pim_park_find_locked(number);
}

static void pim_lease_free(struct pim_lease *lease)
{
	pim_saved_free(lease->saved);
	mem_cgroup_put(lease->memcg);
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

/* Who has it. A process's name may be anything: make it one that can be shown. */
static void pim_lease_name(struct pim_lease *lease, const struct pim_lease_who *who)
{
	char *c;

	lease->kind = who ? PIM_OWNER_VM : PIM_OWNER_USER;
	lease->pid = who ? who->pid : task_tgid_nr(current);
	lease->machine = who ? who->machine : 0;
	strscpy(lease->comm, who ? who->name : current->comm, sizeof(lease->comm));
	for (c = lease->comm; *c; c++) {
		if (!isascii(*c) || !isprint(*c))
			*c = '?';
	}
}

struct pim_lease *pim_lease_acquire(const struct pim_lease_want *want)
{
	struct pim_lease *lease = kzalloc(sizeof(*lease), GFP_KERNEL_ACCOUNT), *joined;
	struct pim_waiter w = { .want = want, .lease = lease, .cleaning = PIM_ID_ANY };
	int err;

	if (!lease)
		return ERR_PTR(-ENOMEM);
	init_waitqueue_head(&lease->wait);
	spin_lock_init(&lease->lock);
	lease->memcg = get_mem_cgroup_from_mm(NULL);	/* the caller's, or that it works for */
	lease->shared = !want->local;
	lease->can_park = want->local;	/* another lease is of that rank, which it was told */
	lease->home = want->id;
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

/** pim_lease_ref_locked - one user more; see pim_lease_release() */
void pim_lease_ref_locked(struct pim_lease *lease)
{
	lockdep_assert_held(&pim_lock);
	lease->users++;
}

u32 pim_lease_rank(const struct pim_lease *lease)
{
	u32 id;

	mutex_lock(&pim_lock);
	id = lease->rank ? lease->rank->id : PIM_ID_ANY;
	mutex_unlock(&pim_lock);
	return id;
}
EXPORT_SYMBOL_GPL(pim_lease_rank);

void pim_lease_unshare(struct pim_lease *lease)
{
	mutex_lock(&pim_lock);
	lease->shared = false;
	mutex_unlock(&pim_lock);
}

/* --- using it ------------------------------------------------------------------ */

/* -EAGAIN: it has no rank at the moment. */
static int pim_lease_try_enter(struct pim_lease *lease)
{
	int err = 0;

	spin_lock(&lease->lock);
	if (lease->ended)
		err = -EIO;
	else if (lease->state != PIM_LEASE_ACTIVE)
		err = -EAGAIN;
	else if (!lease->rank->inflight++)
		lease->rank->busy_since = ktime_get_ns();
	spin_unlock(&lease->lock);
	return err;
}

/* An operation begins: rank and session stay, and scrubbing waits, until it ends. */
static int pim_lease_enter(struct pim_lease *lease)
{
	int err;

	while ((err = pim_lease_try_enter(lease)) == -EAGAIN) {
		err = pim_park_return(lease);
		if (err)
			break;
	}
	return err;
}

/* It ends with @err; what it did after the end of the lease does not count. */
static int pim_lease_leave(struct pim_lease *lease, int err)
{
	struct pim_rank *rank;
	u64 ns = 0;

	spin_lock(&lease->lock);
	rank = lease->rank;
	if (rank->inflight == 1)
		ns = ktime_get_ns() - rank->busy_since;
	atomic64_add(ns, &rank->busy_ns);
	lease->used = jiffies;
	if (!--rank->inflight)	/* from here on the rank may be another's */
		wake_up(&rank->idle);
	if (lease->ended && !err)
		err = -EIO;
	spin_unlock(&lease->lock);
	atomic64_add(ns, &lease->owner->busy_ns);
	return err;
}

static int pim_lease_call(struct pim_lease *lease, const struct pim_request *req, u64 *words)
{
	int err = pim_lease_enter(lease);

	if (err)
		return err;
	if (req->op == PIM_OP_COMMIT || req->op == PIM_OP_UPDATE) {
		atomic64_inc(&lease->rank->commands);
		atomic64_inc(&lease->owner->commands);
	}
	err = pim_session_call(lease->session, req, words);
	return pim_lease_leave(lease, err);
}

int pim_lease_commit(struct pim_lease *lease, const u64 *cmds, u64 *results)
{
	struct pim_request req = { .op = PIM_OP_COMMIT };

	memcpy(req.words, cmds, lease->nr_cis * sizeof(*cmds));
	return pim_lease_call(lease, &req, results);
}
EXPORT_SYMBOL_GPL(pim_lease_commit);

int pim_lease_update(struct pim_lease *lease, u64 *results)
{
	const struct pim_request req = { .op = PIM_OP_UPDATE };

	return pim_lease_call(lease, &req, results);
}
EXPORT_SYMBOL_GPL(pim_lease_update);

int pim_lease_write(struct pim_lease *lease, u32 dpu, u64 offset, size_t bytes,
		    pim_copy_fn copy, void *ctx)
{
	u64 pos = dpu * lease->mram_size + offset;
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
	u64 pos = dpu * lease->mram_size + offset;
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

	/* One that can be parked is not of that kind: and may have no session now. */
	if (!lease->told)
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
