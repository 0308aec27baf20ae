/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Leases without a rank: taken away while idle, put back when they are used.
 */
#ifndef PIM_PARK_H
#define PIM_PARK_H

#include <linux/types.h>

struct pim_lease;
struct pim_parked_state;
struct pim_rank;
struct pim_saved;
struct pim_waiter;
struct work_struct;

/* Wait until the lease is on a rank: 0, also when it has ended; or -EINTR, -EBUSY. */
int pim_park_return(struct pim_lease *lease);
int pim_park_state(struct pim_parked_state *st);
/* Saving and restoring: a rank's park_work. */
void pim_park_work(struct work_struct *work);
void pim_saved_free(struct pim_saved *saved);

/* The rest under pim_lock. */

/* Does policy allow to park it, sooner or later? It is on a rank. */
bool pim_park_possible_locked(const struct pim_lease *lease);
/* When, in jiffies, if it is not used until then. */
unsigned long pim_park_due_locked(struct pim_lease *lease);
/* Begin to; false: it is in use after all, or memory is short. */
bool pim_park_start_locked(struct pim_lease *lease);
/* Can what is saved be put into that rank? */
bool pim_park_fits_locked(const struct pim_lease *lease, const struct pim_rank *rank);
/* Do, it is free. */
void pim_park_give_locked(struct pim_lease *lease, struct pim_rank *rank);
/* It ends. */
void pim_park_end_locked(struct pim_lease *lease, u32 event);
/* The parked lease of that number, or NULL. */
struct pim_lease *pim_park_find_locked(u64 number);
/* One that was opened by a node of that rank, or NULL. */
struct pim_lease *pim_park_first_locked(u32 home);

#endif
