/* SPDX-License-Identifier: GPL-2.0-only */
/* Moving blocks between tiers: demotion, and draining a tier. */
#ifndef EMP_MIGRATE_H
#define EMP_MIGRATE_H

#include "emp_region.h"

void emp_migrate_init(struct emp_region *r);
void emp_migrate_stop(struct emp_region *r);
void emp_demote_check(struct emp_region *r, struct emp_tier *t);
void emp_promote(struct emp_region *r, u32 b);
int emp_sync_read(struct emp_tier *t, u64 pos, struct folio *folio, size_t len);
int emp_sync_copy(struct emp_tier *t, u64 pos, struct folio *folio, size_t len, u32 b, u32 slot,
		  bool *late);
int emp_migrate_evacuate(struct emp_region *r, u32 b, struct emp_tier *t, bool leaving);
void emp_leave_init(struct emp_tier *t);
int emp_migrate_drain(struct emp_region *r, struct emp_tier *t, unsigned long until, bool force);

#endif
