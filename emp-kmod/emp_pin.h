/* SPDX-License-Identifier: GPL-2.0-only */
/* The cap of long-term pins of a pinnable region. */
#ifndef EMP_PIN_H
#define EMP_PIN_H

#include <linux/sched.h>

#include "emp_region.h"

bool emp_pin_admit(struct emp_region *r, struct folio *folio);
long emp_pin_count(const struct emp_region *r);
void emp_pin_adjust(struct emp_region *r);
int emp_pin_set_limit(struct emp_region *r, u64 bytes);
int emp_pin_init(struct emp_region *r, u64 bytes);
void emp_pin_start(struct emp_region *r);
void emp_pin_stop(struct emp_region *r);

/*
 * emp_pin_refused - is this fault made by a long-term pin that may not have @folio?
 *
 * The core sets PF_MEMALLOC_PIN while it pins for long, and only then.
 */
static inline bool emp_pin_refused(struct emp_region *r, struct folio *folio)
{
	return unlikely(current->flags & PF_MEMALLOC_PIN) && r->flags & EMP_F_PINNABLE &&
	       !emp_pin_admit(r, folio);
}

#endif
