/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/emp-control */
#ifndef EMP_CONTROL_H
#define EMP_CONTROL_H

int emp_control_init(void);
void emp_control_exit(void);

#endif
