/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the stock driver tells of a rank in /sys/class/dpu_rank/dpu_rankN.
 */
#ifndef PIM_HW_SYSFS_H
#define PIM_HW_SYSFS_H

#include <stdint.h>

#include <annex/pim.h>

#include "../lib/ax_err.h"

struct pim_hw_info {
	struct pim_rank_add add;	/* all that a rank says of itself; vpd points to @vpd */
	uint64_t disabled;		/* DPUs out of order, by index (8 * member + interface) */
	uint8_t division;		/* code of the clock division, see pim_gate.h */
	uint8_t vpd[PIM_VPD_MAX];
};

/*
 * Read the directory @dir. -1 with a message: an attribute is missing or makes no
 * sense, or it is a rank of another shape than 8 interfaces with 8 DPUs.
 */
int pim_hw_sysfs(const char *dir, struct pim_hw_info *info, struct ax_msg *msg);

#endif
