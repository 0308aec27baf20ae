/* SPDX-License-Identifier: GPL-2.0-only */
/* The two misc devices. */
#ifndef PIM_DEVICE_H
#define PIM_DEVICE_H

int pim_control_init(void);
void pim_control_exit(void);
int pim_arbiter_init(void);
void pim_arbiter_exit(void);

#endif
