/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between pim_ci.c and pim_ci_frame.c.
 */
#ifndef PIM_CI_PRIV_H
#define PIM_CI_PRIV_H

#include "pim_ci.h"

#define PIM_CI_REG_MUX		0x80	/* bit 0: MRAM is the DPU's */
#define PIM_CI_REG_READ		0xff	/* what DMA_CTRL_READ shows */
#define PIM_CI_PC_MODE_16	4

/* Execute a frame under the present structure; false: it is none. */
bool pim_ci_frame(struct pim_ci *ci, uint64_t frame, uint32_t *payload);

#endif
