/* SPDX-License-Identifier: GPL-2.0-only */
/* Kinds of tiers that are modules of their own. */
#ifndef EMP_KIND_H
#define EMP_KIND_H

#include "emp_tier.h"

/**
 * struct emp_tier_kind - a kind of tier
 * @type: enum emp_tier_type
 * @owner: module, held while a tier of the kind is open
 * @open: connect to @d and set ->ops, ->priv and ->device; may sleep, and waits
 *	no longer than some seconds; a killed caller does not wait
 */
struct emp_tier_kind {
	u32 type;
	struct module *owner;
	int (*open)(struct emp_tier *t, const struct emp_donor *d);
};

int emp_kind_register(const struct emp_tier_kind *kind);
void emp_kind_unregister(const struct emp_tier_kind *kind);
int emp_kind_open(struct emp_tier *t, const struct emp_tier_spec *s);
void emp_kind_close(struct emp_tier *t);

#endif
