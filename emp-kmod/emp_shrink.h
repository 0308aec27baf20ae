/* SPDX-License-Identifier: GPL-2.0-only */
/* The host, or the memcg that pays for a region, is short of memory. */
#ifndef EMP_SHRINK_H
#define EMP_SHRINK_H

struct emp_region;

int emp_shrink_init(void);
void emp_shrink_exit(void);
int emp_shrink_add(struct emp_region *r);
void emp_shrink_del(struct emp_region *r);

#endif
