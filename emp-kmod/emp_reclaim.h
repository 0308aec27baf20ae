/* SPDX-License-Identifier: GPL-2.0-only */
/* Reclaim: keeping a region within its DRAM limit. */
#ifndef EMP_RECLAIM_H
#define EMP_RECLAIM_H

#include "emp_region.h"

int emp_reclaim_start(struct emp_region *r);
void emp_reclaim_stop(struct emp_region *r);
void emp_reclaim_kick(struct emp_region *r);
void emp_reclaim_waiting(struct emp_region *r);
void emp_reclaim_pressure(struct emp_region *r);
void emp_reclaim_throttle(struct emp_region *r, u32 depth);
bool emp_reclaim_direct(struct emp_region *r);
/* Blocks that a faulting thread evicts beyond what it took: held up by it, or waiting anyway. */
#define EMP_HELP_NOW	4u
#define EMP_HELP_MEANWHILE 16u
void emp_reclaim_help(struct emp_region *r, u32 blocks);
long emp_reclaim_all(struct emp_region *r, long pages);
bool emp_reclaim_stuck(struct emp_region *r);

#endif
