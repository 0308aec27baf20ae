/* SPDX-License-Identifier: GPL-2.0-only */
/* Folios of a region: allocated within its DRAM limit, charged to its memcg. */
#ifndef EMP_FOLIO_H
#define EMP_FOLIO_H

#include <linux/sched/clock.h>

#include "emp_region.h"

struct folio *emp_folio_alloc(struct emp_region *r, u64 sub, u32 order, bool wait, bool zero);
void emp_folio_drop(struct emp_region *r, struct folio *folio);
bool emp_folio_zero(struct folio *folio, size_t off, size_t len);
u32 emp_folio_csum(struct folio *folio, size_t off, size_t len, u64 sub);

/* When the folio's fetch began, or when it came: ns of local_clock(). */
static inline void emp_folio_stamp(struct folio *folio)
{
	folio->private = (void *)(unsigned long)local_clock();
}

/** emp_folio_age - ns since emp_folio_stamp(); clocks of two CPUs may differ a little */
static inline u64 emp_folio_age(const struct folio *folio)
{
	s64 age = local_clock() - (unsigned long)folio->private;

	return age > 0 ? age : 0;
}

/** emp_folio_sub - the subblock whose word names @folio */
static inline u64 emp_folio_sub(const struct emp_region *r, const struct folio *folio)
{
	return emp_sub_of(r, folio->index);
}

#endif
