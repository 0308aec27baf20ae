/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory management across kernels:
 * 6.2	get_user_pages() of KVM's can end by any signal
 * 6.3	vm_flags_set()
 * 6.7	vm_ops->get_policy() has a third argument
 * 6.4	faults under the per-VMA lock, release_fault_lock()
 */
#ifndef ANNEX_COMPAT_MM_H
#define ANNEX_COMPAT_MM_H

#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "Annex needs Linux 6.1 or later."
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
static inline void release_fault_lock(struct vm_fault *vmf)
{
	mmap_read_unlock(vmf->vma->vm_mm);
}
#endif

/* Does a fault of KVM's that may sleep end with VM_FAULT_RETRY and a pending signal? */
#define ANNEX_GUP_INTERRUPTIBLE (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0))

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#define ANNEX_GET_POLICY_ARGS struct vm_area_struct *vma, unsigned long addr, pgoff_t *ilx
#else
#define ANNEX_GET_POLICY_ARGS struct vm_area_struct *vma, unsigned long addr
#endif

static inline void annex_vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

#endif
