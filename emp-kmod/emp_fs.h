/* SPDX-License-Identifier: GPL-2.0-only */
/* empfs: the file system whose regular files are regions. */
#ifndef EMP_FS_H
#define EMP_FS_H

#include "emp_region.h"

int emp_fs_init(void);
void emp_fs_exit(void);
int emp_fs_pin(void);
void emp_fs_unpin(void);
int emp_fs_add(struct emp_region *r, umode_t mode);
void emp_fs_remove(struct emp_region *r);
struct file *emp_fs_open(struct emp_region *r);

#endif
