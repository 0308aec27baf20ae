/* SPDX-License-Identifier: GPL-2.0-only */
/* Folios of a region: allocated within its DRAM limit, charged to its memcg. */
#ifndef EMP_FOLIO_H
#define EMP_FOLIO_H

#include "emp_region.h"

struct folio *emp_folio_alloc(struct emp_region *r, u64 sub, u32 order, bool wait, bool zero);
void emp_folio_drop(struct emp_region *r, struct folio *folio);
bool emp_folio_zero(struct folio *folio, size_t off, size_t len);
u32 emp_folio_csum(struct folio *folio, size_t off, size_t len, u64 sub);

/** emp_folio_sub - the subblock whose word names @folio */
static inline u64 emp_folio_sub(const struct emp_region *r, const struct folio *folio)
{
	return emp_sub_of(r, folio->index);
}

#endif
