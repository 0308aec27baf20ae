/* SPDX-License-Identifier: GPL-2.0-only */
/* Dirtiness, and getting dirty subblocks to the tiers. */
#ifndef EMP_WRITEBACK_H
#define EMP_WRITEBACK_H

#include "emp_copy.h"
#include "emp_region.h"

struct emp_io;

/**
 * struct emp_wb - a batch of write-back being put together
 * @r: region
 * @io: request that takes more, or NULL; for each copy
 * @next: byte of io's tier where it ends
 * @may_wait: for a place, or while many writes are under way
 */
struct emp_wb {
	struct emp_region *r;
	struct emp_io *io[EMP_COPIES];
	u64 next[EMP_COPIES];
	bool may_wait;
};

void emp_mark_dirty(struct emp_region *r, u32 b, u64 s, unsigned long *w);
void emp_wb_rescue(struct emp_region *r, u32 b);
void emp_wb_block(struct emp_wb *wb, u32 b);
void emp_wb_flush(struct emp_wb *wb);
struct folio *emp_try_free(struct emp_region *r, u32 b, u64 s);
bool emp_block_conclude(struct emp_region *r, u32 b);

#endif
