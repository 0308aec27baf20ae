/* SPDX-License-Identifier: GPL-2.0-only */
/* Taking bytes of a region away: discard, and memory errors. */
#ifndef EMP_DISCARD_H
#define EMP_DISCARD_H

#include "emp_region.h"

long emp_discard(struct emp_region *r, u64 off, u64 len);
void emp_poisoned(struct emp_region *r, struct folio *folio);

#endif
