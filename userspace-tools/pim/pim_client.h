/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /dev/pim-arbiter (or $PIM_ARBITER): leases, ranks, owners.
 */
#ifndef PIM_CLIENT_H
#define PIM_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <annex/pim.h>

#include "../lib/ax_err.h"

const char *pim_arbiter_path(void);
/* Where ranks are in sysfs: /sys/class/pim, or $PIM_SYSFS. */
const char *pim_sysfs_root(void);

/* An fd, opened for reading and writing if that is allowed; -1 after a message. */
int pim_arbiter_open(struct ax_msg *msg);

/* The first rank (owner) of at least that number (uid). 1; 0: there is none; -1. */
int pim_rank_get(int arbiter, uint32_t id, struct pim_rank_state *st, struct ax_msg *msg);
int pim_owner_get(int arbiter, uint32_t uid, struct pim_owner_state *st, struct ax_msg *msg);

/* The first parked lease of at least that number. 1; 0: there is none; -1. */
int pim_parked_get(int arbiter, uint64_t lease, struct pim_parked_state *st, struct ax_msg *msg);

/* A lease's file, or -1 after a message; errno stays. */
int pim_lease(int arbiter, struct pim_lease_req *req, struct ax_msg *msg);

const char *pim_state_name(uint32_t state);
const char *pim_event_name(uint32_t type);

#endif
