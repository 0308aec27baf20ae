/* SPDX-License-Identifier: GPL-2.0-only */
/* Getting subblocks into DRAM. */
#ifndef EMP_FETCH_H
#define EMP_FETCH_H

#include "emp_region.h"

/**
 * enum emp_get - answer of emp_get()
 * @EMP_GET_OK: the folio is there, with a reference for the caller
 * @EMP_GET_WAIT: a request is under way; wait until *until (jiffies) at most
 * @EMP_GET_MEMORY: no DRAM now
 * @EMP_GET_LOST: the bytes cannot be had
 * @EMP_GET_TIMEOUT: the tier is past its deadline
 */
enum emp_get {
	EMP_GET_OK,
	EMP_GET_WAIT,
	EMP_GET_MEMORY,
	EMP_GET_LOST,
	EMP_GET_TIMEOUT,
};

/* How emp_get() may go about it. */
#define EMP_GET_SLEEP	(1u << 0) /* sleep for memory; never for a tier, that is EMP_GET_WAIT */
#define EMP_GET_TRIED	(1u << 1) /* has waited for it already: what is lost by now is lost */
#define EMP_GET_WAITED	(1u << 2) /* has waited, for it or for something else */

enum emp_get emp_get(struct emp_region *r, u64 sub, u32 flags_get, struct folio **out,
		     unsigned long *until);
bool emp_get_settled(struct emp_region *r, u64 sub);
void emp_get_poll(struct emp_region *r, u64 sub);
u32 emp_fetch_ahead(struct emp_region *r, u64 first, u64 end);
int emp_fetch_init(void);
void emp_fetch_exit(void);

#endif
