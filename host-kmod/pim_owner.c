// SPDX-License-Identifier: GPL-2.0-only
/*
 * Owners: what each may have, and what it has used. An owner is a user of this
 * host; the list stays until the module goes, because it is the accounting.
 */
#include <linux/slab.h>

#include "pim_lease.h"
#include "pim_rank.h"

static LIST_HEAD(pim_owners);	/* by uid; pim_lock */
static u32 pim_nr_owners;

/** pim_owner_get_locked - the owner of that uid, made if need be; or -ENOMEM, -ENOSPC */
struct pim_owner *pim_owner_get_locked(u32 uid)
{
	struct list_head *before = &pim_owners;
	struct pim_owner *owner;

	lockdep_assert_held(&pim_lock);
	list_for_each_entry(owner, &pim_owners, list) {
		if (owner->uid == uid)
			return owner;
		if (owner->uid > uid) {
			before = &owner->list;
			break;
		}
	}
	if (pim_nr_owners == PIM_OWNERS_MAX)
		return ERR_PTR(-ENOSPC);
	owner = kzalloc(sizeof(*owner), GFP_KERNEL);
	if (!owner)
		return ERR_PTR(-ENOMEM);
	owner->uid = uid;
	owner->max_ranks = PIM_ID_ANY;
	owner->priority = PIM_PRIORITY_DEFAULT;
	owner->keep_ms = READ_ONCE(pim_keep_ms);
	owner->idle_ms = READ_ONCE(pim_idle_ms);
	owner->max_parked = PIM_ID_ANY;
	list_add_tail(&owner->list, before);
	pim_nr_owners++;
	return owner;
}

/** pim_owner_state - of the first owner of at least @st->uid; -ENOENT */
int pim_owner_state(struct pim_owner_state *st)
{
	struct pim_owner *owner;
	int err = -ENOENT;

	mutex_lock(&pim_lock);
	list_for_each_entry(owner, &pim_owners, list) {
		if (owner->uid < st->uid)
			continue;
		st->uid = owner->uid;
		st->max_ranks = owner->max_ranks;
		st->priority = owner->priority;
		st->ranks = owner->ranks;
		st->waiting = owner->waiting;
		st->keep_ms = owner->keep_ms;
		st->leases = owner->leases;
		st->busy_ns = atomic64_read(&owner->busy_ns);
		st->commands = atomic64_read(&owner->commands);
		st->bytes_in = atomic64_read(&owner->bytes_in);
		st->bytes_out = atomic64_read(&owner->bytes_out);
		st->idle_ms = owner->idle_ms;
		st->max_parked = owner->max_parked;
		st->max_parked_bytes = owner->max_parked_bytes;
		st->parked = owner->parked;
		st->parked_bytes = owner->parked_bytes;
		err = 0;
		break;
	}
	mutex_unlock(&pim_lock);
	return err;
}

void pim_owner_exit(void)
{
	struct pim_owner *owner, *next;

	list_for_each_entry_safe(owner, next, &pim_owners, list)
		kfree(owner);
}
