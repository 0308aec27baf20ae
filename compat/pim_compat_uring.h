/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What pim.ko needs of io_uring, across kernels:
 * 6.8	a header of commands of files, which can be cancelled since 6.7. Before that they
 *	are not offered
 */
#ifndef ANNEX_PIM_COMPAT_URING_H
#define ANNEX_PIM_COMPAT_URING_H

#include <linux/version.h>

#if IS_ENABLED(CONFIG_IO_URING) && LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#include <linux/io_uring/cmd.h>
#define ANNEX_PIM_URING
#endif

#endif
