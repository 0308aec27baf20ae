// SPDX-License-Identifier: GPL-2.0-only
/* The device as the VMM sees it: VFIO's calls. */
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/pci_regs.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "pim_compat_vfio.h"
#include "vpci.h"

/* Where regions are in the file, as vfio-pci has it. */
#define VPCI_REGION_SHIFT	40
#define VPCI_REGION_MASK	((1ull << VPCI_REGION_SHIFT) - 1)

void vpci_init(struct vpci_dev *dev, const struct vpci_type *type, u16 virtio_id)
{
	dev->type = type;
	dev->virtio_id = virtio_id;
	mutex_init(&dev->lock);
	vpci_irq_init(&dev->irq);
	vpci_pin_init(&dev->pins);
}

/** vpci_exit - VFIO has let it go */
void vpci_exit(struct vpci_dev *dev)
{
	vpci_pin_exit(&dev->pins);
}

/* --- the machine's memory ----------------------------------------------------------------- */

/*
 * A thread that has the VMM's address space already spares vfio_dma_rw() two changes
 * of it for each piece, of which a transfer has one a page.
 */
static void vpci_borrow(struct vpci_dev *dev)
{
	if (!current->mm && !READ_ONCE(dev->mm_foreign) && mmget_not_zero(dev->mm))
		kthread_use_mm(dev->mm);
}

void vpci_rest(struct vpci_dev *dev)
{
	if (!current->mm)
		return;
	kthread_unuse_mm(dev->mm);
	mmput(dev->mm);
}

bool vpci_dma(struct vpci_dev *dev, u64 addr, void *buf, size_t bytes, bool write)
{
	if (!bytes)
		return true;
	if (addr + bytes <= addr)
		return false;
	vpci_borrow(dev);
	if (!vfio_dma_rw(&dev->vdev, addr, buf, bytes, write))
		return true;
	if (!current->mm)
		return false;
	/* Out of reach, or another process has mapped it for the device. */
	vpci_rest(dev);
	if (vfio_dma_rw(&dev->vdev, addr, buf, bytes, write))
		return false;
	WRITE_ONCE(dev->mm_foreign, true);
	return true;
}

/* --- open and close ---------------------------------------------------------------------- */

static int vpci_open(struct vfio_device *vdev)
{
	struct vpci_dev *dev = vdev_to_vpci(vdev);
	int err;

	mutex_lock(&dev->lock);
	err = dev->type->open(dev);
	if (err)
		goto unlock;
	err = vpci_regs_create(dev);
	if (err) {
		vpci_regs_destroy(dev);
		dev->type->close(dev);
		goto unlock;
	}
	dev->mm = current->mm;
	mmgrab(dev->mm);
	dev->mm_foreign = false;
	dev->opened = true;
unlock:
	mutex_unlock(&dev->lock);
	return err;
}

static void vpci_close(struct vfio_device *vdev)
{
	struct vpci_dev *dev = vdev_to_vpci(vdev);

	mutex_lock(&dev->lock);
	dev->opened = false;
	vpci_reset(dev);
	vpci_irq_clear(&dev->irq);
	vpci_regs_destroy(dev);
	dev->type->close(dev);
	mmdrop(dev->mm);
	mutex_unlock(&dev->lock);
	vpci_pin_close(dev);
}

/* Somebody waits for the device to be let go; called again and again. */
static void vpci_request(struct vfio_device *vdev, unsigned int count)
{
	struct vpci_dev *dev = vdev_to_vpci(vdev);

	if (!vpci_irq_request(dev) && !count)
		dev_notice(vdev->dev, "in use by a VMM that cannot be asked to let it go\n");
}

/* --- reading and writing -------------------------------------------------------------------- */

/* Up to 8 bytes that do not cross a boundary of their size. */
static u32 vpci_piece(u64 offset, size_t count)
{
	u32 n = 8;

	while (n > count || offset % n)
		n /= 2;
	return n;
}

static u64 vpci_region_bytes(u32 index)
{
	switch (index) {
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return sizeof_field(struct vpci_dev, config);
	case VFIO_PCI_BAR0_REGION_INDEX:
		return VPCI_BAR_BYTES;
	}
	return 0;
}

/* A notification does not need the lock: queues stay while the device is open. */
static bool vpci_notify(struct vpci_dev *dev, u32 index, u64 offset)
{
	u64 queue = (offset - VPCI_BAR_NOTIFY) / VPCI_NOTIFY_BYTES;

	if (index != VFIO_PCI_BAR0_REGION_INDEX || offset < VPCI_BAR_NOTIFY ||
	    queue >= dev->nr_queues)
		return false;
	if (!(offset % VPCI_NOTIFY_BYTES)) {	/* nothing else is there */
		atomic64_inc(&dev->kicks);
		atomic64_inc(&dev->kicks_trapped);
		vpci_queue_wake(&dev->queues[array_index_nospec(queue, dev->nr_queues)]);
	}
	return true;
}

static void vpci_access(struct vpci_dev *dev, u32 index, u64 offset, u8 *buf, u32 n, bool write)
{
	if (write && vpci_notify(dev, index, offset))
		return;
	mutex_lock(&dev->lock);
	if (index == VFIO_PCI_CONFIG_REGION_INDEX) {
		if (write)
			vpci_config_write(dev, offset, buf, n);
		else
			vpci_config_read(dev, offset, buf, n);
	} else if (write) {
		vpci_bar_write(dev, offset, buf, n);
	} else {
		vpci_bar_read(dev, offset, buf, n);
	}
	mutex_unlock(&dev->lock);
}

/* How many bytes at @pos there are; 0 for none. */
static size_t vpci_region_at(loff_t pos, size_t count, u32 *index, u64 *offset)
{
	u64 size;

	if (pos < 0)
		return 0;
	*index = min_t(u64, (u64)pos >> VPCI_REGION_SHIFT, U32_MAX);
	*offset = pos & VPCI_REGION_MASK;
	size = vpci_region_bytes(*index);
	return *offset < size ? min_t(u64, count, size - *offset) : 0;
}

static ssize_t vpci_read(struct vfio_device *vdev, char __user *buf, size_t count, loff_t *pos)
{
	struct vpci_dev *dev = vdev_to_vpci(vdev);
	size_t done, n;
	u64 offset;
	u32 index;
	u8 v[8];

	count = vpci_region_at(*pos, count, &index, &offset);
	if (!count)
		return -EINVAL;
	for (done = 0; done < count; done += n) {
		n = vpci_piece(offset + done, count - done);
		vpci_access(dev, index, offset + done, v, n, false);
		if (copy_to_user(buf + done, v, n))
			return -EFAULT;
	}
	*pos += done;
	return done;
}

static ssize_t vpci_write(struct vfio_device *vdev, const char __user *buf, size_t count,
			  loff_t *pos)
{
	struct vpci_dev *dev = vdev_to_vpci(vdev);
	size_t done, n;
	u64 offset;
	u32 index;
	u8 v[8];

	count = vpci_region_at(*pos, count, &index, &offset);
	if (!count)
		return -EINVAL;
	for (done = 0; done < count; done += n) {
		n = vpci_piece(offset + done, count - done);
		if (copy_from_user(v, buf + done, n))
			return -EFAULT;
		vpci_access(dev, index, offset + done, v, n, true);
	}
	*pos += done;
	return done;
}

/* --- calls ------------------------------------------------------------------------------------ */

static int vpci_irq_count(const struct vpci_dev *dev, u32 index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
	case VFIO_PCI_REQ_IRQ_INDEX:
		return 1;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return dev->irq.nr_msix;
	}
	return 0;
}

static int vpci_get_info(void __user *arg)
{
	struct vfio_device_info info;
	size_t minsz = offsetofend(struct vfio_device_info, num_irqs);

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

/* The part of BAR 0 that may be mapped: the notifications. */
struct vpci_sparse {
	struct vfio_region_info_cap_sparse_mmap cap;
	struct vfio_region_sparse_mmap_area area;
};

static int vpci_get_sparse(struct vpci_dev *dev, void __user *arg, struct vfio_region_info *info)
{
	struct vpci_sparse sparse = {
		.cap.header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP,
		.cap.header.version = 1,
		.cap.nr_areas = 1,
		.area.offset = VPCI_BAR_NOTIFY,
		.area.size = (u64)dev->nr_queues * VPCI_NOTIFY_BYTES,
	};
	u32 bytes = sizeof(*info) + sizeof(sparse);

	BUILD_BUG_ON(offsetof(struct vpci_sparse, area) !=
		     offsetof(struct vfio_region_info_cap_sparse_mmap, areas));
	info->flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
	if (info->argsz < bytes) {
		info->argsz = bytes;	/* it asks again */
		return 0;
	}
	info->cap_offset = sizeof(*info);
	return copy_to_user(arg + sizeof(*info), &sparse, sizeof(sparse)) ? -EFAULT : 0;
}

static int vpci_get_region_info(struct vpci_dev *dev, void __user *arg)
{
	struct vfio_region_info info;
	size_t minsz = offsetofend(struct vfio_region_info, offset);
	int err = 0;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	info.offset = (u64)info.index << VPCI_REGION_SHIFT;
	info.size = vpci_region_bytes(info.index);
	info.cap_offset = 0;
	info.flags = info.size ? VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE : 0;
	if (info.index == VFIO_PCI_BAR0_REGION_INDEX && dev->bell)
		err = vpci_get_sparse(dev, arg, &info);
	return err ?: copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static int vpci_get_irq_info(struct vpci_dev *dev, void __user *arg)
{
	struct vfio_irq_info info;
	size_t minsz = offsetofend(struct vfio_irq_info, count);

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	info.count = vpci_irq_count(dev, info.index);
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	if (info.index == VFIO_PCI_INTX_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static int vpci_set_irqs(struct vpci_dev *dev, void __user *arg)
{
	size_t minsz = offsetofend(struct vfio_irq_set, count), bytes;
	struct vfio_irq_set set;
	void *data = NULL;
	int err;

	if (copy_from_user(&set, arg, minsz))
		return -EFAULT;
	err = vfio_set_irqs_validate_and_prepare(&set, vpci_irq_count(dev, set.index),
						 VFIO_PCI_NUM_IRQS, &bytes);
	if (err)
		return err;
	if (bytes) {
		data = memdup_user(arg + minsz, bytes);
		if (IS_ERR(data))
			return PTR_ERR(data);
	}
	mutex_lock(&dev->lock);
	err = vpci_irq_set(dev, &set, data);
	mutex_unlock(&dev->lock);
	kfree(data);
	return err;
}

static long vpci_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct vpci_dev *dev = vdev_to_vpci(vdev);
	void __user *p = (void __user *)arg;

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return vpci_get_info(p);
	case VFIO_DEVICE_GET_REGION_INFO:
		return vpci_get_region_info(dev, p);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return vpci_get_irq_info(dev, p);
	case VFIO_DEVICE_SET_IRQS:
		return vpci_set_irqs(dev, p);
	case VFIO_DEVICE_RESET:
		mutex_lock(&dev->lock);
		vpci_reset(dev);
		mutex_unlock(&dev->lock);
		return 0;
	}
	return -ENOTTY;
}

static int vpci_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	return vpci_bell_mmap(vdev_to_vpci(vdev), vma);
}

const struct vfio_device_ops vpci_vfio_ops = {
	.name		= "vpci",
	.open_device	= vpci_open,
	.close_device	= vpci_close,
	.read		= vpci_read,
	.write		= vpci_write,
	.ioctl		= vpci_ioctl,
	.mmap		= vpci_mmap,
	.request	= vpci_request,
	.dma_unmap	= vpci_pin_unmap,
	ANNEX_VFIO_COMPAT_OPS
};
