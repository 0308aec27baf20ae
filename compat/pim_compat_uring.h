/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What pim.ko needs of io_uring, across kernels:
 * 6.7	commands of files that wait can be cancelled. Before that they are not offered
 */
#ifndef ANNEX_PIM_COMPAT_URING_H
#define ANNEX_PIM_COMPAT_URING_H

#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0) && defined(CONFIG_IO_URING)
#include <linux/io_uring/cmd.h>
#define ANNEX_PIM_URING
#endif

#endif
