/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A memory donor as the kernel wants it told: its address, and the key.
 */
#ifndef EMP_DONOR_H
#define EMP_DONOR_H

#include <annex/emp.h>

#include "../lib/ax_err.h"
#include "emp_spec.h"

/* Where keys are, unless key= says otherwise; emp-donor has its own there, too. */
#define EMP_DONOR_KEYS	"/etc/annex/donor.keys"

/*
 * Look up the host of @tier and read the key that @key names: FILE, FILE:NAME
 * ("" is EMP_DONOR_KEYS and its first key), or none. Wipe @donor when it was
 * used. Returns 0, or -1 with the reason, which has no part of a key in it.
 */
int emp_donor_fill(const struct emp_spec_tier *tier, const char *key, struct emp_donor *donor,
		   struct ax_msg *msg);

/* The key alone, into @donor->key and ->key_len. */
int emp_donor_key(const char *key, struct emp_donor *donor, struct ax_msg *msg);

#endif
