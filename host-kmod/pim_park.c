// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases that are parked: a rank that its owner keeps, but does not use, is given
 * to who waits for one, and the owner gets another, with everything in it as it
 * was, when it comes back.
 *
 *	ACTIVE ------> SAVING ------> PARKED ------> RESTORING ------> ACTIVE
 *	   ^              |                              |
 *	   +-- a DPU runs-+                              +-- wrong --> it has ended
 *
 * Saving: no operation is under way and none begins, so a DPU that does not run
 * will not. The provider gives all but MRAM (pim_state.c), MRAM goes by taking its
 * file from the rank, which gets a new one: nothing is copied. Then the rank is
 * cleaned as after the end of a lease. Restoring is the same backwards; what
 * cannot be restored is lost, and the owner is told (EIO): nothing is made up.
 *
 * Who is parked, and when, is decided in pim_grant.c. While it is parked, a lease
 * does not depend on its last provider, only on there being one like it.
 *
 * Whatever happens to the lease or the provider meanwhile, the work that saves or
 * restores comes to its end by the deadline of its request. It counts as a user of
 * the lease and as an operation of the rank, which is not cleaned before.
 */
#include <linux/file.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "pim_event.h"
#include "pim_grant.h"
#include "pim_lease.h"
#include "pim_mram.h"
#include "pim_park.h"
#include "pim_rank.h"
#include "pim_session.h"
#include "pim_trace.h"

/* All that a parked lease has. */
struct pim_saved {
	struct list_head list;		/* pim_parked, while it is parked */
	struct pim_lease *lease;
	struct pim_waiter waiter;	/* in line while somebody wants to use it */
	struct pim_lease_want want;
	struct pim_rank_desc desc;	/* of the rank that it was on */
	struct file *mram;		/* NULL: it is a rank's */
	struct file *state;
	u32 bytes;			/* of state */
	u64 charged;			/* what the owner's parked_bytes has for it */
	u64 since_ns;
};

static LIST_HEAD(pim_parked);	/* pim_lock */

void pim_saved_free(struct pim_saved *saved)
{
	if (!saved)
		return;
	if (saved->mram)
		fput(saved->mram);
	if (saved->state)
		fput(saved->state);
	kfree(saved);
}

static void pim_saved_charge(struct pim_saved *saved, u64 bytes)
{
	saved->lease->owner->parked_bytes += bytes - saved->charged;
	saved->charged = bytes;
}

/* --- may it be parked? ---------------------------------------------------------------- */

static bool pim_park_home_stays(const struct pim_lease *lease)
{
	const struct pim_rank *home;

	if (lease->home == PIM_ID_ANY)
		return true;
	home = pim_rank_find(lease->home);
	return home && !home->removed;
}

bool pim_park_possible_locked(const struct pim_lease *lease)
{
	const struct pim_owner *owner = lease->owner;
	const struct pim_session *s = lease->session;

	lockdep_assert_held(&pim_lock);
	return lease->can_park && !lease->ended && owner->idle_ms &&
	       s->flags & PIM_RANK_F_SAVE && !s->no_save &&
	       owner->parked + owner->saving < owner->max_parked &&
	       (!owner->max_parked_bytes ||
		owner->parked_bytes + pim_mram_used(s->mram) + s->state_bytes <=
		owner->max_parked_bytes) &&
	       pim_park_home_stays(lease);
}

unsigned long pim_park_due_locked(struct pim_lease *lease)
{
	unsigned long idle = msecs_to_jiffies(lease->owner->idle_ms);
	unsigned long slice = lease->since + msecs_to_jiffies(READ_ONCE(pim_slice_ms));
	unsigned long due;

	spin_lock(&lease->lock);
	/* Who waits to use it will, as soon as it is there. */
	due = (lease->rank->inflight || lease->returning ? jiffies : lease->used) + idle;
	spin_unlock(&lease->lock);
	return time_before(due, slice) ? slice : due;
}

/* --- saving ----------------------------------------------------------------------------- */

bool pim_park_start_locked(struct pim_lease *lease)
{
	struct mem_cgroup *old = set_active_memcg(lease->memcg);
	struct pim_saved *saved = kzalloc(sizeof(*saved), GFP_KERNEL_ACCOUNT);
	struct pim_rank *rank = lease->rank;
	bool idle = false;

	set_active_memcg(old);
	if (!saved)
		return false;
	spin_lock(&lease->lock);
	if (!rank->inflight) {
		idle = true;
		lease->state = PIM_LEASE_SAVING;
		rank->inflight++;
	}
	spin_unlock(&lease->lock);
	if (!idle) {
		kfree(saved);
		return false;
	}
	INIT_LIST_HEAD(&saved->list);
	INIT_LIST_HEAD(&saved->waiter.list);
	saved->want.id = PIM_ID_ANY;
	saved->lease = lease;
	pim_saved_charge(saved, pim_mram_used(lease->session->mram) + lease->session->state_bytes);
	lease->owner->saving++;
	lease->saved = saved;
	pim_lease_ref_locked(lease);
	rank->parking = lease;
	pim_rank_set_state(rank, PIM_STATE_SAVING);
	queue_work(pim_wq, &rank->park_work);
	return true;
}

/* Saving or restoring is over for the rank; @state is the lease's. */
static void pim_park_leave(struct pim_lease *lease, struct pim_rank *rank,
			   enum pim_lease_state state)
{
	spin_lock(&lease->lock);
	lease->state = state;
	if (state == PIM_LEASE_PARKED) {
		lease->rank = NULL;
		lease->session = NULL;
	}
	lease->used = jiffies;
	if (!--rank->inflight)
		wake_up(&rank->idle);
	spin_unlock(&lease->lock);
}

static void pim_park_want_locked(struct pim_saved *saved)
{
	if (list_empty(&saved->waiter.list)) {
		saved->waiter.want = &saved->want;
		saved->waiter.lease = saved->lease;
		saved->waiter.cleaning = PIM_ID_ANY;
		saved->waiter.returns = true;
		pim_waiter_queue_locked(&saved->waiter);
	}
}

/* It is all there: @saved has what the rank had. */
static void pim_park_saved_locked(struct pim_lease *lease, struct pim_rank *rank)
{
	struct pim_saved *saved = lease->saved;

	pim_rank_desc_locked(rank, &saved->desc);
	saved->since_ns = ktime_get_boottime_ns();
	pim_saved_charge(saved, pim_mram_used(saved->mram) + PAGE_ALIGN(saved->bytes));
	list_add_tail(&saved->list, &pim_parked);
	lease->owner->ranks--;
	lease->owner->parked++;
	rank->lease = NULL;
	pim_park_leave(lease, rank, PIM_LEASE_PARKED);
	pim_rank_set_state(rank, PIM_STATE_SCRUBBING);
	queue_work(pim_wq, &rank->scrub_work);
	pim_event_post(PIM_EVENT_PARKED, rank->id, lease->number);
	if (lease->returning)
		pim_park_want_locked(saved);
	pim_lease_grant_locked();
}

/* It stays where it is. */
static void pim_park_stays_locked(struct pim_lease *lease, struct pim_rank *rank)
{
	pim_saved_charge(lease->saved, 0);
	pim_saved_free(lease->saved);
	lease->saved = NULL;
	pim_park_leave(lease, rank, PIM_LEASE_ACTIVE);
	pim_rank_set_state(rank, PIM_STATE_LEASED);
	wake_up(&lease->wait);
	pim_lease_grant_locked();	/* another one, perhaps, or later */
}

/* Ask the provider. -EPROTO: it has given nothing. */
static int pim_park_ask(struct pim_lease *lease, struct pim_rank *rank, struct file **mram)
{
	struct pim_session *s = lease->session;
	struct pim_saved *saved = lease->saved;
	struct file *file;
	int err;

	file = pim_mram_create(rank->id, rank->mram_size * pim_rank_dpus(rank));
	if (IS_ERR(file))
		return PTR_ERR(file);
	*mram = file;
	file = pim_state_create(rank->id, s->state_bytes);
	if (IS_ERR(file))
		return PTR_ERR(file);
	saved->state = file;
	err = pim_state_save(s, saved->state, lease->memcg, &saved->bytes);
	return !err && !saved->bytes ? -EPROTO : err;
}

static void pim_park_save(struct pim_rank *rank, struct pim_lease *lease)
{
	struct pim_session *s = lease->session;
	u64 start = ktime_get_ns(), ns;
	struct file *mram = NULL;
	bool parked = false;
	int err = pim_park_ask(lease, rank, &mram);

	ns = ktime_get_ns() - start;
	mutex_lock(&pim_lock);
	if (!lease->ended && !err) {
		/* What is mapped from here on is the new one. */
		lease->saved->mram = pim_session_swap_mram(s, mram);
		mram = NULL;
		if (pim_mram_mapped(lease->saved->mram))
			err = -EPROTO;
	}
	trace_pim_save(rank->id, lease->number, lease->saved->bytes, ns, err);
	lease->owner->saving--;
	rank->parking = NULL;
	if (err == -EBUSY)
		atomic64_inc(&rank->saves_busy);
	if (lease->ended || err == -EPROTO) {
		pim_saved_charge(lease->saved, 0);
		pim_park_leave(lease, rank, PIM_LEASE_SAVING);
	} else if (err) {
		/* One that cannot is not asked again. */
		s->no_save = s->no_save || err == -EIO;
		pim_park_stays_locked(lease, rank);
	} else {
		parked = true;
		atomic64_inc(&rank->saves);
		atomic64_add(ns, &rank->save_ns);
		pim_park_saved_locked(lease, rank);
	}
	mutex_unlock(&pim_lock);
	if (mram)
		fput(mram);
	if (err == -EPROTO)
		pim_rank_session_end(s, PIM_EVENT_PROVIDER_BROKEN);
	if (parked) {	/* the lease's references */
		pim_session_put(s);
		put_device(&rank->dev);
	}
}

/* --- coming back -------------------------------------------------------------------------- */

bool pim_park_fits_locked(const struct pim_lease *lease, const struct pim_rank *rank)
{
	const struct pim_rank_add *was = &lease->saved->desc.info, *is = &rank->info;

	return is->flags & PIM_RANK_F_SAVE && is->state_bytes == was->state_bytes &&
	       !strcmp(is->provider, was->provider) &&
	       pim_rank_is_like(rank, &lease->saved->desc);
}

void pim_park_give_locked(struct pim_lease *lease, struct pim_rank *rank)
{
	lockdep_assert_held(&pim_lock);
	list_del_init(&lease->saved->list);
	lease->owner->parked--;
	lease->owner->ranks++;
	get_device(&rank->dev);
	kref_get(&rank->session->kref);
	spin_lock(&lease->lock);
	lease->rank = rank;
	lease->session = rank->session;
	lease->state = PIM_LEASE_RESTORING;
	rank->inflight++;
	spin_unlock(&lease->lock);
	pim_lease_ref_locked(lease);
	rank->lease = lease;
	rank->parking = lease;
	pim_rank_set_state(rank, PIM_STATE_RESTORING);
	queue_work(pim_wq, &rank->park_work);
}

static void pim_park_restore(struct pim_rank *rank, struct pim_lease *lease)
{
	struct pim_session *s = lease->session;
	struct pim_saved *saved = lease->saved;
	u64 start = ktime_get_ns(), ns;
	struct file *mram = NULL;
	bool broken = false;
	int err = -EIO;

	mutex_lock(&pim_lock);
	if (!lease->ended) {
		mram = pim_session_swap_mram(s, saved->mram);
		saved->mram = NULL;
	}
	mutex_unlock(&pim_lock);
	if (mram) {
		err = pim_state_restore(s, saved->state, saved->bytes);
		broken = pim_mram_mapped(mram);
	}
	ns = ktime_get_ns() - start;
	trace_pim_restore(rank->id, lease->number, saved->bytes, ns, err);

	mutex_lock(&pim_lock);
	rank->parking = NULL;
	pim_saved_charge(saved, 0);
	lease->saved = NULL;
	if (lease->ended || broken) {
		pim_park_leave(lease, rank, PIM_LEASE_RESTORING);
	} else if (err) {
		atomic64_inc(&rank->restore_errors);
		pim_park_leave(lease, rank, PIM_LEASE_RESTORING);
		pim_lease_end_locked(lease, PIM_STATE_DRAINING, PIM_EVENT_REVOKED);
	} else {
		atomic64_inc(&rank->restores);
		atomic64_add(ns, &rank->restore_ns);
		lease->since = jiffies;
		pim_park_leave(lease, rank, PIM_LEASE_ACTIVE);
		pim_rank_set_state(rank, PIM_STATE_LEASED);
		pim_event_post(PIM_EVENT_RESTORED, rank->id, lease->number);
		wake_up(&lease->wait);
		pim_lease_grant_locked();
	}
	mutex_unlock(&pim_lock);
	if (mram)
		fput(mram);
	pim_saved_free(saved);
	if (broken)
		pim_rank_session_end(s, PIM_EVENT_PROVIDER_BROKEN);
}

void pim_park_work(struct work_struct *work)
{
	struct pim_rank *rank = container_of(work, struct pim_rank, park_work);
	struct pim_lease *lease;
	bool save;

	mutex_lock(&pim_lock);
	lease = rank->parking;
	save = lease->state == PIM_LEASE_SAVING;
	mutex_unlock(&pim_lock);
	if (save)
		pim_park_save(rank, lease);
	else
		pim_park_restore(rank, lease);
	pim_lease_release(lease);
}

static bool pim_park_is_back(struct pim_lease *lease)
{
	return READ_ONCE(lease->state) == PIM_LEASE_ACTIVE || READ_ONCE(lease->ended);
}

int pim_park_return(struct pim_lease *lease)
{
	long left = msecs_to_jiffies(READ_ONCE(pim_return_wait_ms));

	mutex_lock(&pim_lock);
	lease->returning++;
	if (lease->state == PIM_LEASE_PARKED && !lease->ended)
		pim_park_want_locked(lease->saved);
	mutex_unlock(&pim_lock);
	left = wait_event_killable_timeout(lease->wait, pim_park_is_back(lease), left);
	mutex_lock(&pim_lock);
	if (!--lease->returning && lease->saved && !list_empty(&lease->saved->waiter.list))
		pim_waiter_end_locked(&lease->saved->waiter, -EINTR);
	mutex_unlock(&pim_lock);
	return left < 0 ? -EINTR : left ? 0 : -EBUSY;
}

/* --- the end, and looking -------------------------------------------------------------------- */

void pim_park_end_locked(struct pim_lease *lease, u32 event)
{
	struct pim_saved *saved = lease->saved;

	lockdep_assert_held(&pim_lock);
	list_del_init(&saved->list);
	if (!list_empty(&saved->waiter.list))
		pim_waiter_end_locked(&saved->waiter, -EIO);
	lease->owner->parked--;
	pim_saved_charge(saved, 0);
	pim_event_post(event, PIM_ID_ANY, lease->number);
	wake_up_poll(&lease->wait, EPOLLHUP);
	pim_lease_grant_locked();	/* its owner may have another one now */
}

struct pim_lease *pim_park_first_locked(u32 home)
{
	struct pim_saved *saved;

	lockdep_assert_held(&pim_lock);
	list_for_each_entry(saved, &pim_parked, list) {
		if (saved->lease->home == home)
			return saved->lease;
	}
	return NULL;
}

struct pim_lease *pim_park_find_locked(u64 number)
{
	struct pim_saved *saved;

	lockdep_assert_held(&pim_lock);
	list_for_each_entry(saved, &pim_parked, list) {
		if (saved->lease->number == number)
			return saved->lease;
	}
	return NULL;
}

static void pim_park_fill(const struct pim_saved *saved, struct pim_parked_state *st)
{
	const struct pim_lease *lease = saved->lease;

	st->waiting = lease->returning;
	st->lease = lease->number;
	st->owner_kind = lease->kind;
	st->owner_uid = lease->owner->uid;
	st->owner_pid = lease->pid;
	st->state_bytes = saved->bytes;
	strscpy(st->owner_comm, lease->comm, sizeof(st->owner_comm));
	st->mram_used = pim_mram_used(saved->mram);
	st->since_ns = saved->since_ns;
}

/** pim_park_state - of the first parked lease of at least @st->lease; -ENOENT there is none */
int pim_park_state(struct pim_parked_state *st)
{
	const struct pim_saved *saved, *first = NULL;

	mutex_lock(&pim_lock);
	list_for_each_entry(saved, &pim_parked, list) {
		if (saved->lease->number >= st->lease &&
		    (!first || saved->lease->number < first->lease->number))
			first = saved;
	}
	if (first)
		pim_park_fill(first, st);
	mutex_unlock(&pim_lock);
	return first ? 0 : -ENOENT;
}
