/* SPDX-License-Identifier: GPL-2.0-only */
/* Is what a tier gave back what it was given? */
#ifndef EMP_CHECK_H
#define EMP_CHECK_H

#include "emp_region.h"

int emp_check_init(struct emp_region *r);
int emp_check_want_mac(struct emp_region *r);
void emp_check_exit(struct emp_region *r);
u64 emp_check_metadata(const struct emp_region *r);
void emp_check_note(struct emp_region *r, struct folio *folio, size_t off, u64 sub);
bool emp_check_matches(struct emp_region *r, struct folio *folio, size_t off, u64 sub);
bool emp_check_ok(struct emp_region *r, struct folio *folio, size_t off, u64 sub);
void emp_check_adopt(struct emp_region *r, u32 b, struct folio *folio, u64 sub);

#endif
