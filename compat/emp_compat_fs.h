/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * File system interfaces across kernels:
 * 6.3	mount idmaps replace user namespaces in inode operations
 * 6.7	simple_inode_init_ts()
 */
#ifndef ANNEX_COMPAT_FS_H
#define ANNEX_COMPAT_FS_H

#include <linux/fs.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
typedef struct mnt_idmap annex_mnt_idmap_t;
#else
typedef struct user_namespace annex_mnt_idmap_t;
#endif

static inline void annex_inode_init_ts(struct inode *inode)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	simple_inode_init_ts(inode);
#else
	inode->i_atime = current_time(inode);
	inode->i_mtime = inode->i_atime;
	inode->i_ctime = inode->i_atime;
#endif
}

#endif
