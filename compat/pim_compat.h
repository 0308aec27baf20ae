/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What dpu.ko, pim.ko, pim_local.ko and pim_mdev.ko need, across kernels:
 * 6.13	namespaces of symbols are strings, binary attributes are const
 * 6.8	eventfd_signal() lost its count
 * 6.4	class_create() lost its owner
 */
#ifndef ANNEX_PIM_COMPAT_H
#define ANNEX_PIM_COMPAT_H

#include <linux/device.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "Annex needs Linux 6.1 or later."
#endif

static inline struct class *annex_class_create(const char *name)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	return class_create(name);
#else
	return class_create(THIS_MODULE, name);
#endif
}

static inline void annex_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx);
#else
	eventfd_signal(ctx, 1);
#endif
}

static inline void annex_pim_vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

/* mem_cgroup_tryget(), which not every kernel has. */
static inline bool annex_memcg_tryget(struct mem_cgroup *memcg)
{
#ifdef CONFIG_MEMCG
	return !memcg || css_tryget(&memcg->css);
#else
	return true;
#endif
}

/* 6.13 wants MODULE_IMPORT_NS("NAME"), before that it is MODULE_IMPORT_NS(NAME). */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define ANNEX_BIN_ATTR_ARG const struct bin_attribute *attr
#define ANNEX_BIN_ATTR const struct bin_attribute
#else
#define ANNEX_BIN_ATTR_ARG struct bin_attribute *attr
#define ANNEX_BIN_ATTR struct bin_attribute
#endif

#endif
