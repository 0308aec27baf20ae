/* SPDX-License-Identifier: GPL-2.0-only */
/* /sys/fs/emp */
#ifndef EMP_SYSFS_H
#define EMP_SYSFS_H

struct emp_region;
struct emp_tier;

int emp_sysfs_init(void);
void emp_sysfs_exit(void);
int emp_sysfs_region_add(struct emp_region *r);
void emp_sysfs_region_del(struct emp_region *r);
int emp_sysfs_tier_add(struct emp_region *r, struct emp_tier *t);
void emp_sysfs_tier_del(struct emp_tier *t);

#endif
