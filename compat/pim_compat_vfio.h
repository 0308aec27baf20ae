/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What pim_mdev.ko needs, across kernels:
 * 6.10	a device has an address space, for all mappings of it
 * 6.6	detaching from an IOAS
 * 6.2	iommufd; the core frees the device
 */
#ifndef ANNEX_PIM_COMPAT_VFIO_H
#define ANNEX_PIM_COMPAT_VFIO_H

#include <linux/version.h>
#include <linux/fs.h>
#include <linux/vfio.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define ANNEX_VFIO_COMPAT_OPS					\
	.bind_iommufd	= vfio_iommufd_emulated_bind,		\
	.unbind_iommufd	= vfio_iommufd_emulated_unbind,		\
	.attach_ioas	= vfio_iommufd_emulated_attach_ioas,	\
	.detach_ioas	= vfio_iommufd_emulated_detach_ioas,
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define ANNEX_VFIO_COMPAT_OPS					\
	.bind_iommufd	= vfio_iommufd_emulated_bind,		\
	.unbind_iommufd	= vfio_iommufd_emulated_unbind,		\
	.attach_ioas	= vfio_iommufd_emulated_attach_ioas,
#else
#define ANNEX_VFIO_COMPAT_OPS					\
	.release	= vfio_free_device,
#endif

/* What mmap() of the device's file is filed under, or NULL: together with other files. */
static inline struct address_space *annex_vfio_mapping(struct vfio_device *vdev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
	return vdev->inode->i_mapping;
#else
	return NULL;
#endif
}

#endif
