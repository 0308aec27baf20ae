// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ranks: how they come, change state, are cleaned, lose and find providers, go.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "pim_compat.h"
#include "pim_event.h"
#include "pim_grant.h"
#include "pim_lease.h"
#include "pim_mram.h"
#include "pim_park.h"
#include "pim_rank.h"
#include "pim_session.h"
#include "pim_trace.h"

DEFINE_MUTEX(pim_lock);		/* see pim_rank.h */
DEFINE_MUTEX(pim_ranks_lock);	/* see pim_rank.h */
LIST_HEAD(pim_ranks);		/* by id */
struct workqueue_struct *pim_wq;
static struct class *pim_class;
static const struct pim_client *pim_client;	/* pim_ranks_lock */
static BLOCKING_NOTIFIER_HEAD(pim_rank_notifiers);	/* a rank became free */

/** pim_rank_find - by number, or NULL; under one of the mutexes */
struct pim_rank *pim_rank_find(u32 id)
{
	struct pim_rank *rank;

	list_for_each_entry(rank, &pim_ranks, list) {
		if (rank->id == id)
			return rank;
	}
	return NULL;
}

/* Which states follow which; see pim_rank.h. */
static const u8 pim_state_next[] = {
	[PIM_STATE_FREE]	= BIT(PIM_STATE_LEASED) | BIT(PIM_STATE_SCRUBBING) |
				  BIT(PIM_STATE_RESTORING) | BIT(PIM_STATE_FAULTY),
	[PIM_STATE_LEASED]	= BIT(PIM_STATE_DRAINING) | BIT(PIM_STATE_SAVING) |
				  BIT(PIM_STATE_FAULTY),
	[PIM_STATE_DRAINING]	= BIT(PIM_STATE_SCRUBBING) | BIT(PIM_STATE_FAULTY),
	[PIM_STATE_SCRUBBING]	= BIT(PIM_STATE_FREE) | BIT(PIM_STATE_FAULTY),
	[PIM_STATE_FAULTY]	= BIT(PIM_STATE_SCRUBBING),
	[PIM_STATE_SAVING]	= BIT(PIM_STATE_LEASED) | BIT(PIM_STATE_DRAINING) |
				  BIT(PIM_STATE_SCRUBBING) | BIT(PIM_STATE_FAULTY),
	[PIM_STATE_RESTORING]	= BIT(PIM_STATE_LEASED) | BIT(PIM_STATE_DRAINING) |
				  BIT(PIM_STATE_FAULTY),
};

void pim_rank_set_state(struct pim_rank *rank, enum pim_state to)
{
	lockdep_assert_held(&pim_lock);
	WARN_ON_ONCE(!(pim_state_next[rank->state] & BIT(to)));
	trace_pim_rank_state(rank->id, rank->state, to);
	rank->state = to;
}

/* --- cleaning ---------------------------------------------------------------------- */

/** pim_rank_clean_locked - it is FREE and kept for somebody: no longer */
void pim_rank_clean_locked(struct pim_rank *rank)
{
	lockdep_assert_held(&pim_lock);
	rank->kept.owner = NULL;
	cancel_delayed_work(&rank->keep_work);
	pim_rank_set_state(rank, PIM_STATE_SCRUBBING);
	queue_work(pim_wq, &rank->scrub_work);
}

static void pim_rank_keep_over(struct work_struct *work)
{
	struct pim_rank *rank = container_of(to_delayed_work(work), struct pim_rank, keep_work);

	mutex_lock(&pim_lock);
	/* It may be kept anew by now. */
	if (rank->state == PIM_STATE_FREE && rank->kept.owner &&
	    time_after_eq(jiffies, rank->kept.until))
		pim_rank_clean_locked(rank);
	mutex_unlock(&pim_lock);
}

/* Clean, or kept: somebody may have it. */
static void pim_rank_freed_locked(struct pim_rank *rank)
{
	pim_rank_set_state(rank, PIM_STATE_FREE);
	if (rank->kept.owner) {
		rank->kept.until = jiffies + msecs_to_jiffies(rank->kept.ms);
		mod_delayed_work(pim_wq, &rank->keep_work, msecs_to_jiffies(rank->kept.ms));
	} else {
		atomic64_inc(&rank->scrubs);
		pim_event_post(PIM_EVENT_SCRUBBED, rank->id, 0);
	}
	pim_lease_grant_locked();
}

/*
 * DRAINING or SCRUBBING to FREE. Operations of the last owner come to their
 * end first: nothing new begins once its lease has ended, and what is under way
 * is bounded by the deadline of requests. Then the provider stops the DPUs and
 * clears what it has, and when nothing of the old owner's can write to MRAM any
 * more, its pages go, unless they are kept for the old owner.
 */
static void pim_rank_scrub(struct work_struct *work)
{
	struct pim_rank *rank = container_of(work, struct pim_rank, scrub_work);
	const struct pim_request reset = { .op = PIM_OP_RESET };
	struct pim_session *s;
	bool mine, keep;
	int err;

	mutex_lock(&pim_lock);
	s = rank->session;
	mine = s && (rank->state == PIM_STATE_DRAINING || rank->state == PIM_STATE_SCRUBBING);
	if (mine)
		kref_get(&s->kref);
	mutex_unlock(&pim_lock);
	if (!mine)
		return;

	wait_event(rank->idle, !READ_ONCE(rank->inflight));
	mutex_lock(&pim_lock);
	mine = rank->session == s;
	if (mine && rank->state == PIM_STATE_DRAINING)
		pim_rank_set_state(rank, PIM_STATE_SCRUBBING);
	mutex_unlock(&pim_lock);
	if (!mine)
		goto put;

	err = pim_session_call(s, &reset, NULL);
	/* Nobody else asks now: what is left are requests of killed programs. */
	if (!err && pim_session_busy(s))
		err = -EIO;
	mutex_lock(&pim_lock);
	keep = rank->kept.owner;
	mutex_unlock(&pim_lock);
	if (!err && !keep)
		pim_mram_drop(s->mram);
	mutex_lock(&pim_lock);
	mine = rank->session == s && rank->state == PIM_STATE_SCRUBBING;
	if (mine && !err && keep && !rank->kept.owner)
		queue_work(pim_wq, &rank->scrub_work);	/* meanwhile nobody's: once more */
	else if (mine && !err)
		pim_rank_freed_locked(rank);
	mutex_unlock(&pim_lock);
	/* One that cannot reset its rank is of no use. */
	if (mine && err)
		pim_rank_session_end(s, PIM_EVENT_PROVIDER_BROKEN);
	else if (mine)
		blocking_notifier_call_chain(&pim_rank_notifiers, rank->id, NULL);
put:
	pim_session_put(s);
}

static void pim_rank_expire(struct work_struct *work)
{
	struct pim_rank *rank = container_of(to_delayed_work(work), struct pim_rank, expire_work);
	struct pim_lease *lease;

	mutex_lock(&pim_lock);
	lease = rank->lease;
	/* It may be another one by now. */
	if (lease && lease->expire_ms && time_after_eq(jiffies, lease->expires))
		pim_lease_end_locked(lease, PIM_STATE_DRAINING, PIM_EVENT_REVOKED);
	mutex_unlock(&pim_lock);
}

/* --- providers ----------------------------------------------------------------------- */

/**
 * pim_rank_session_end - the provider is no more, or no good
 * @s: its session
 * @event: why, PIM_EVENT_*; or 0 when the rank is being removed
 *
 * May be called any number of times. What was in the rank is lost: so its lease
 * ends, and its memory goes.
 */
void pim_rank_session_end(struct pim_session *s, u32 event)
{
	struct pim_rank *rank = s->rank;
	bool attached;

	mutex_lock(&pim_lock);
	attached = rank->session == s;
	if (attached) {
		rank->session = NULL;
		if (event == PIM_EVENT_PROVIDER_TIMEOUT)
			atomic64_inc(&rank->provider_timeouts);
		else if (event == PIM_EVENT_PROVIDER_BROKEN)
			atomic64_inc(&rank->provider_broken);
		else if (event == PIM_EVENT_PROVIDER_GONE)
			atomic64_inc(&rank->provider_deaths);
		if (event)
			pim_event_post(event, rank->id, rank->lease ? rank->lease->number : 0);
		if (rank->lease)
			pim_lease_end_locked(rank->lease, PIM_STATE_FAULTY, PIM_EVENT_REVOKED);
		else
			pim_rank_set_state(rank, PIM_STATE_FAULTY);
		rank->kept.owner = NULL;
		pim_lease_grant_locked();	/* some have nothing to wait for any more */
	}
	mutex_unlock(&pim_lock);
	pim_session_kill(s);
	if (attached) {
		pim_mram_drop(s->mram);
		pim_session_put(s);
	}
}

/* The session serves the rank from now on; the caller's reference becomes the rank's. */
static void pim_rank_attach(struct pim_rank *rank, struct pim_session *s,
			    const struct pim_rank_add *add, bool first)
{
	mutex_lock(&pim_lock);
	rank->info = *add;
	rank->session = s;
	pim_rank_set_state(rank, PIM_STATE_SCRUBBING);
	pim_event_post(first ? PIM_EVENT_RANK_ADDED : PIM_EVENT_TAKEN_OVER, rank->id, 0);
	mutex_unlock(&pim_lock);
	queue_work(pim_wq, &rank->scrub_work);
}

/* --- coming and going ------------------------------------------------------------------ */

static void pim_rank_free(struct device *dev)
{
	struct pim_rank *rank = dev_to_pim_rank(dev);

	kfree(rank->vpd);
	kfree(rank);
}

static struct pim_rank *pim_rank_alloc(const struct pim_rank_add *add)
{
	struct pim_rank *rank = kzalloc(sizeof(*rank), GFP_KERNEL);
	int err;

	if (!rank)
		return ERR_PTR(-ENOMEM);
	rank->id = add->id;
	rank->nr_cis = add->nr_cis;
	rank->nr_dpus_per_ci = add->nr_dpus_per_ci;
	rank->mram_size = add->mram_size;
	rank->info = *add;
	rank->local = PIM_ID_ANY;
	rank->state = PIM_STATE_FAULTY;
	INIT_LIST_HEAD(&rank->list);
	INIT_WORK(&rank->scrub_work, pim_rank_scrub);
	INIT_WORK(&rank->park_work, pim_park_work);
	INIT_DELAYED_WORK(&rank->expire_work, pim_rank_expire);
	INIT_DELAYED_WORK(&rank->keep_work, pim_rank_keep_over);
	init_waitqueue_head(&rank->idle);
	device_initialize(&rank->dev);
	rank->dev.class = pim_class;
	rank->dev.release = pim_rank_free;
	err = dev_set_name(&rank->dev, "rank%u", rank->id);
	if (err) {
		put_device(&rank->dev);
		return ERR_PTR(err);
	}
	return rank;
}

/* Show it, and make it known to the client. */
static int pim_rank_publish(struct pim_rank *rank)
{
	struct list_head *before = &pim_ranks;
	struct pim_rank *other;
	int err = device_add(&rank->dev);

	if (err)
		return err;
	list_for_each_entry(other, &pim_ranks, list) {
		if (other->id > rank->id) {
			before = &other->list;
			break;
		}
	}
	mutex_lock(&pim_lock);
	list_add_tail(&rank->list, before);
	mutex_unlock(&pim_lock);
	if (pim_client)
		pim_client->added(rank);
	return 0;
}

/* The lowest number that no rank has. */
static u32 pim_rank_free_id(void)
{
	struct pim_rank *rank;
	u32 id = 0;

	list_for_each_entry(rank, &pim_ranks, list) {
		if (rank->id > id)
			break;
		id = rank->id + 1;
	}
	return id;
}

/* The rank that @add means: a new one, or one without a provider. With a reference. */
static struct pim_rank *pim_rank_for(const struct pim_rank_add *add, bool *is_new)
{
	struct pim_rank *rank = pim_rank_find(add->id);
	bool served;

	*is_new = !rank;
	if (!rank)
		return pim_rank_alloc(add);
	mutex_lock(&pim_lock);
	served = rank->session;
	mutex_unlock(&pim_lock);
	if (served)
		return ERR_PTR(-EEXIST);
	if (rank->nr_cis != add->nr_cis || rank->nr_dpus_per_ci != add->nr_dpus_per_ci ||
	    rank->mram_size != add->mram_size || rank->info.chip_id != add->chip_id)
		return ERR_PTR(-EINVAL);
	get_device(&rank->dev);
	return rank;
}

static int pim_rank_add_locked(struct pim_rank_add *add, u8 **vpd, u32 __user *id_out)
{
	struct pim_session *s;
	struct pim_rank *rank;
	struct file *file;
	bool is_new;
	int fd, err;

	if (add->id == PIM_ID_ANY)
		add->id = pim_rank_free_id();
	if (add->id >= PIM_RANKS_MAX)
		return -ENOSPC;
	rank = pim_rank_for(add, &is_new);
	if (IS_ERR(rank))
		return PTR_ERR(rank);
	s = pim_session_create(rank, add);
	if (IS_ERR(s)) {
		err = PTR_ERR(s);
		goto put_rank;
	}
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		err = fd;
		goto put_session;
	}
	if (put_user(add->id, id_out)) {
		err = -EFAULT;
		goto put_fd;
	}
	file = pim_session_file(s);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto put_fd;
	}
	mutex_lock(&pim_lock);
	swap(rank->vpd, *vpd);
	mutex_unlock(&pim_lock);
	if (is_new) {
		err = pim_rank_publish(rank);
		if (err) {
			fput(file);
			goto put_fd;
		}
	}
	pim_rank_attach(rank, s, add, is_new);
	/* The list keeps the reference that a new one began with. */
	if (!is_new)
		put_device(&rank->dev);
	fd_install(fd, file);
	return fd;

put_fd:
	put_unused_fd(fd);
put_session:
	pim_session_put(s);
put_rank:
	put_device(&rank->dev);
	return err;
}

/**
 * pim_rank_add - serve a rank, new or taken over
 * @add: checked, and with its defaults filled in
 * @vpd: allocated, or NULL; belongs to the rank if it went well
 * @id_out: where user space wants its number
 *
 * Returns a file descriptor.
 */
int pim_rank_add(struct pim_rank_add *add, u8 *vpd, u32 __user *id_out)
{
	int ret;

	if (mutex_lock_interruptible(&pim_ranks_lock)) {
		kfree(vpd);
		return -EINTR;
	}
	ret = pim_rank_add_locked(add, &vpd, id_out);
	mutex_unlock(&pim_ranks_lock);
	kfree(vpd);	/* that of the last provider, if it was swapped */
	return ret;
}

static void pim_rank_remove_locked(struct pim_rank *rank)
{
	struct pim_session *s;

	lockdep_assert_held(&pim_ranks_lock);
	mutex_lock(&pim_lock);
	rank->removed = true;
	s = rank->session;
	if (s)
		kref_get(&s->kref);
	pim_lease_home_gone_locked(rank->id);
	pim_lease_grant_locked();	/* nobody waits for it any more */
	mutex_unlock(&pim_lock);
	if (s) {
		pim_rank_session_end(s, 0);
		pim_session_put(s);
	}
	if (pim_client)
		pim_client->removed(rank);
	cancel_delayed_work_sync(&rank->expire_work);
	cancel_delayed_work_sync(&rank->keep_work);
	flush_work(&rank->park_work);	/* it has a lease to give back */
	cancel_work_sync(&rank->scrub_work);
	mutex_lock(&pim_lock);
	list_del(&rank->list);
	mutex_unlock(&pim_lock);
	device_del(&rank->dev);
	pim_event_post(PIM_EVENT_RANK_REMOVED, rank->id, 0);
	put_device(&rank->dev);
}

/** pim_rank_remove - take a rank away, whoever uses or serves it; -ENOENT, -EINTR */
int pim_rank_remove(u32 id)
{
	struct pim_rank *rank;

	if (mutex_lock_interruptible(&pim_ranks_lock))
		return -EINTR;
	rank = pim_rank_find(id);
	if (rank)
		pim_rank_remove_locked(rank);
	mutex_unlock(&pim_ranks_lock);
	return rank ? 0 : -ENOENT;
}

/* --- looking ----------------------------------------------------------------------------- */

static void pim_rank_fill(const struct pim_rank *rank, struct pim_rank_state *st)
{
	const struct pim_lease *lease = rank->lease;
	u64 since = 0;

	st->id = rank->id;
	st->state = rank->state;
	st->offline = rank->offline;
	st->nr_cis = rank->nr_cis;
	st->nr_dpus_per_ci = rank->nr_dpus_per_ci;
	st->mram_size = rank->mram_size;
	st->local = rank->local;
	st->kept = rank->state == PIM_STATE_FREE && rank->kept.owner;
	if (rank->session) {
		st->mram_used = pim_mram_used(rank->session->mram);
		st->provider_pid = pid_vnr(rank->session->pid);
		strscpy(st->provider, rank->info.provider, sizeof(st->provider));
	}
	if (lease) {
		st->owner_kind = lease->kind;
		st->owner_uid = lease->owner->uid;
		st->owner_pid = lease->pid;
		strscpy(st->owner_comm, lease->comm, sizeof(st->owner_comm));
		st->lease = lease->number;
	}
	if (READ_ONCE(rank->inflight) && !rank->parking)
		since = ktime_get_ns() - READ_ONCE(rank->busy_since);
	st->busy_ns = atomic64_read(&rank->busy_ns) + ((s64)since > 0 ? since : 0);
	st->commands = atomic64_read(&rank->commands);
	st->bytes_in = atomic64_read(&rank->bytes_in);
	st->bytes_out = atomic64_read(&rank->bytes_out);
}

/** pim_rank_get_state - of the first rank of at least @st->id; the rest of it is 0; -ENOENT */
int pim_rank_get_state(struct pim_rank_state *st)
{
	struct pim_rank *rank;
	int err = -ENOENT;

	mutex_lock(&pim_lock);
	list_for_each_entry(rank, &pim_ranks, list) {
		if (rank->id >= st->id) {
			pim_rank_fill(rank, st);
			err = 0;
			break;
		}
	}
	mutex_unlock(&pim_lock);
	return err;
}

/* --- ranks of one kind ----------------------------------------------------------------- */

/** pim_rank_desc_locked - as its last provider said */
void pim_rank_desc_locked(const struct pim_rank *rank, struct pim_rank_desc *desc)
{
	lockdep_assert_held(&pim_lock);
	memset(desc, 0, sizeof(*desc));
	desc->info = rank->info;
	desc->info.vpd = 0;
	if (rank->vpd)
		memcpy(desc->vpd, rank->vpd, rank->info.vpd_bytes);
}

void pim_rank_desc(const struct pim_rank *rank, struct pim_rank_desc *desc)
{
	mutex_lock(&pim_lock);
	pim_rank_desc_locked(rank, desc);
	mutex_unlock(&pim_lock);
}
EXPORT_SYMBOL_GPL(pim_rank_desc);

/** pim_rank_describe - the first rank that is served; -ENOENT there is none */
int pim_rank_describe(struct pim_rank_desc *desc)
{
	struct pim_rank *rank;
	int err = -ENOENT;

	mutex_lock(&pim_lock);
	list_for_each_entry(rank, &pim_ranks, list) {
		if (!rank->session || rank->removed)
			continue;
		pim_rank_desc_locked(rank, desc);
		err = 0;
		break;
	}
	mutex_unlock(&pim_lock);
	return err;
}
EXPORT_SYMBOL_GPL(pim_rank_describe);

/** pim_rank_is_like - can a program that was told of @desc use @rank? */
bool pim_rank_is_like(const struct pim_rank *rank, const struct pim_rank_desc *desc)
{
	const struct pim_rank_add *a = &rank->info, *b = &desc->info;

	lockdep_assert_held(&pim_lock);
	return a->nr_cis == b->nr_cis && a->nr_dpus_per_ci == b->nr_dpus_per_ci &&
	       a->mram_size == b->mram_size && a->chip_id == b->chip_id &&
	       a->ci_mask == b->ci_mask && a->vpd_bytes == b->vpd_bytes &&
	       !memcmp(a->byte_order, b->byte_order, sizeof(a->byte_order)) &&
	       (!rank->vpd || !memcmp(rank->vpd, desc->vpd, a->vpd_bytes));
}

/** pim_rank_notify - be told, from a work item, whenever a rank became free */
int pim_rank_notify(struct notifier_block *nb)
{
	return blocking_notifier_chain_register(&pim_rank_notifiers, nb);
}
EXPORT_SYMBOL_GPL(pim_rank_notify);

void pim_rank_unnotify(struct notifier_block *nb)
{
	blocking_notifier_chain_unregister(&pim_rank_notifiers, nb);
}
EXPORT_SYMBOL_GPL(pim_rank_unnotify);

/* --- the client ---------------------------------------------------------------------------- */

/** pim_client_register - be told of all ranks, those there are first; -EBUSY there is one */
int pim_client_register(const struct pim_client *client)
{
	struct pim_rank *rank;
	int err = -EBUSY;

	mutex_lock(&pim_ranks_lock);
	if (!pim_client) {
		pim_client = client;
		list_for_each_entry(rank, &pim_ranks, list)
			client->added(rank);
		err = 0;
	}
	mutex_unlock(&pim_ranks_lock);
	return err;
}
EXPORT_SYMBOL_GPL(pim_client_register);

void pim_client_unregister(const struct pim_client *client)
{
	struct pim_rank *rank;

	mutex_lock(&pim_ranks_lock);
	list_for_each_entry(rank, &pim_ranks, list)
		client->removed(rank);
	pim_client = NULL;
	mutex_unlock(&pim_ranks_lock);
}
EXPORT_SYMBOL_GPL(pim_client_unregister);

int pim_rank_init(void)
{
	pim_wq = alloc_workqueue("pim", WQ_UNBOUND, 0);
	if (!pim_wq)
		return -ENOMEM;
	pim_class = annex_class_create("pim");
	if (IS_ERR(pim_class)) {
		destroy_workqueue(pim_wq);
		return PTR_ERR(pim_class);
	}
	pim_class->dev_groups = pim_rank_groups;
	return 0;
}

/* No file of ours is open any more, so no session and no lease is left. */
void pim_rank_exit(void)
{
	struct pim_rank *rank, *next;

	mutex_lock(&pim_ranks_lock);
	list_for_each_entry_safe(rank, next, &pim_ranks, list)
		pim_rank_remove_locked(rank);
	mutex_unlock(&pim_ranks_lock);
	pim_grant_exit();
	class_destroy(pim_class);
	destroy_workqueue(pim_wq);
	pim_owner_exit();
}
