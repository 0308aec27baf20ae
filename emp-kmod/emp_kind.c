// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kinds of tiers that are modules of their own: emp.ko must load where what they
 * need (the RDMA subsystem) is not. They register themselves when they are
 * loaded, which the first tier of the kind asks for.
 */
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "emp_kind.h"

static DEFINE_MUTEX(emp_kind_lock);	/* emp_kind_rdma */
static const struct emp_tier_kind *emp_kind_rdma;

/** emp_kind_register - the kind can be used from now on */
int emp_kind_register(const struct emp_tier_kind *kind)
{
	int err = -EBUSY;

	mutex_lock(&emp_kind_lock);
	if (!emp_kind_rdma && kind->type == EMP_TIER_RDMA) {
		emp_kind_rdma = kind;
		err = 0;
	}
	mutex_unlock(&emp_kind_lock);
	return err;
}
EXPORT_SYMBOL_GPL(emp_kind_register);

/** emp_kind_unregister - by the exit of its module, so no tier of it is open */
void emp_kind_unregister(const struct emp_tier_kind *kind)
{
	mutex_lock(&emp_kind_lock);
	if (emp_kind_rdma == kind)
		emp_kind_rdma = NULL;
	mutex_unlock(&emp_kind_lock);
}
EXPORT_SYMBOL_GPL(emp_kind_unregister);

static const struct emp_tier_kind *emp_kind_get(void)
{
	const struct emp_tier_kind *kind;

	mutex_lock(&emp_kind_lock);
	kind = emp_kind_rdma;
	if (kind && !try_module_get(kind->owner))
		kind = NULL;
	mutex_unlock(&emp_kind_lock);
	return kind;
}

static bool emp_donor_ok(const struct emp_donor *d)
{
	bool v4 = d->family == AF_INET;

	if (d->size != sizeof(*d) || d->flags & ~EMP_DONOR_NOAUTH || d->pad || !d->port)
		return false;
	if (!v4 && d->family != AF_INET6)
		return false;
	if (v4 && (d->scope_id || memchr_inv(d->addr + 4, 0, sizeof(d->addr) - 4)))
		return false;
	if (d->flags & EMP_DONOR_NOAUTH)
		return !d->key_len && !memchr_inv(d->key, 0, sizeof(d->key));
	return d->key_len >= EMP_DONOR_KEY_MIN && d->key_len <= EMP_DONOR_KEY_MAX &&
	       !memchr_inv(d->key + d->key_len, 0, sizeof(d->key) - d->key_len);
}

/** emp_kind_open - the part of emp_tier_open() for a tier of a module */
int emp_kind_open(struct emp_tier *t, const struct emp_tier_spec *s)
{
	const struct emp_tier_kind *kind;
	struct emp_donor d;
	int err = -EFAULT;

	if (copy_from_user(&d, u64_to_user_ptr(s->base), sizeof(d)))
		goto wipe;
	err = -EINVAL;
	if (!emp_donor_ok(&d))
		goto wipe;
	kind = emp_kind_get();
	if (!kind) {
		request_module("emp-tier-rdma");
		kind = emp_kind_get();
	}
	err = -EOPNOTSUPP;
	if (!kind)
		goto wipe;
	err = kind->open(t, &d);
	if (err)
		module_put(kind->owner);
	else
		t->owner = kind->owner;
wipe:
	memzero_explicit(&d, sizeof(d));
	return err;
}

/** emp_kind_close - after ->close() */
void emp_kind_close(struct emp_tier *t)
{
	module_put(t->owner);
}
