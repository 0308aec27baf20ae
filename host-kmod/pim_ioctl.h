/* SPDX-License-Identifier: GPL-2.0-only */
/* Structures that begin with their own size, in and out; what both devices answer. */
#ifndef PIM_IOCTL_H
#define PIM_IOCTL_H

#include <linux/types.h>

int pim_copy_in(void *dst, size_t size, const void __user *arg, u32 *usize);
int pim_copy_out(void __user *arg, const void *src, size_t size, u32 usize);
int pim_ioc_info(void __user *arg);
bool pim_text_valid(const char *text, size_t size);

#endif
