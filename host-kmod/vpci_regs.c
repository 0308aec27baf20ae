// SPDX-License-Identifier: GPL-2.0-only
/*
 * The function's registers: PCI configuration space, and BAR 0 with the common
 * configuration, ISR, device configuration and notifications.
 *
 * Reads have no effects but for the ISR. A write of any width to the common
 * configuration is laid over what would be read there, and the fields that it
 * touches take effect in order.
 */
#include <linux/nospec.h>
#include <linux/pci_ids.h>
#include <linux/pci_regs.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "vpci.h"

/* PCI capabilities, from the first at 0x40 on */
#define VPCI_CAP_COMMON	0x40
#define VPCI_CAP_NOTIFY	0x50
#define VPCI_CAP_ISR	0x64
#define VPCI_CAP_DEVICE	0x74
#define VPCI_CAP_MSIX	0x84

/* Offered by all types. */
#define VPCI_FEATURES	(BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) |	\
			 BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | BIT_ULL(VIRTIO_RING_F_EVENT_IDX))

static u64 vpci_features(const struct vpci_dev *dev)
{
	return VPCI_FEATURES | dev->type->features;
}

static void vpci_put16(u8 *at, u16 value)
{
	*(__le16 *)at = cpu_to_le16(value);
}

static void vpci_put32(u8 *at, u32 value)
{
	*(__le32 *)at = cpu_to_le32(value);
}

/* --- PCI configuration space ----------------------------------------------------------- */

static void vpci_cap_virtio(u8 *at, u8 next, u8 len, u8 type, u32 offset, u32 length)
{
	at[0] = PCI_CAP_ID_VNDR;
	at[1] = next;
	at[2] = len;
	at[3] = type;
	vpci_put32(at + 8, offset);	/* in BAR 0 */
	vpci_put32(at + 12, length);
}

static void vpci_config_create(struct vpci_dev *dev)
{
	u8 *c = dev->config, *mask = dev->config_mask;

	memset(c, 0, sizeof(dev->config));
	memset(mask, 0, sizeof(dev->config_mask));
	vpci_put16(c + PCI_VENDOR_ID, PCI_VENDOR_ID_REDHAT_QUMRANET);
	vpci_put16(c + PCI_DEVICE_ID, 0x1040 + dev->virtio_id);
	vpci_put16(c + PCI_STATUS, PCI_STATUS_CAP_LIST);
	vpci_put32(c + PCI_CLASS_REVISION, dev->type->class << 8 | 1);
	vpci_put32(c + PCI_BASE_ADDRESS_0, PCI_BASE_ADDRESS_MEM_TYPE_64);
	vpci_put16(c + PCI_SUBSYSTEM_VENDOR_ID, PCI_VENDOR_ID_REDHAT_QUMRANET);
	vpci_put16(c + PCI_SUBSYSTEM_ID, 0x1040 + dev->virtio_id);
	c[PCI_CAPABILITY_LIST] = VPCI_CAP_COMMON;
	c[PCI_INTERRUPT_PIN] = 1;

	vpci_cap_virtio(c + VPCI_CAP_COMMON, VPCI_CAP_NOTIFY, 16, VIRTIO_PCI_CAP_COMMON_CFG,
			VPCI_BAR_COMMON, sizeof(struct virtio_pci_common_cfg));
	vpci_cap_virtio(c + VPCI_CAP_NOTIFY, VPCI_CAP_ISR, 20, VIRTIO_PCI_CAP_NOTIFY_CFG,
			VPCI_BAR_NOTIFY, dev->nr_queues * VPCI_NOTIFY_BYTES);
	vpci_put32(c + VPCI_CAP_NOTIFY + 16, VPCI_NOTIFY_BYTES);
	vpci_cap_virtio(c + VPCI_CAP_ISR, VPCI_CAP_DEVICE, 16, VIRTIO_PCI_CAP_ISR_CFG,
			VPCI_BAR_ISR, 1);
	vpci_cap_virtio(c + VPCI_CAP_DEVICE, VPCI_CAP_MSIX, 16, VIRTIO_PCI_CAP_DEVICE_CFG,
			VPCI_BAR_DEVICE, dev->type->config_bytes);
	c[VPCI_CAP_MSIX] = PCI_CAP_ID_MSIX;
	vpci_put16(c + VPCI_CAP_MSIX + PCI_MSIX_FLAGS, dev->irq.nr_msix - 1);
	vpci_put32(c + VPCI_CAP_MSIX + PCI_MSIX_TABLE, VPCI_BAR_MSIX);
	vpci_put32(c + VPCI_CAP_MSIX + PCI_MSIX_PBA, VPCI_BAR_PBA);

	vpci_put16(mask + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
		   PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	mask[PCI_CACHE_LINE_SIZE] = 0xff;
	mask[PCI_LATENCY_TIMER] = 0xff;
	mask[PCI_INTERRUPT_LINE] = 0xff;
	vpci_put32(mask + PCI_BASE_ADDRESS_0, ~(VPCI_BAR_BYTES - 1));
	vpci_put32(mask + PCI_BASE_ADDRESS_1, ~0);
	vpci_put16(mask + VPCI_CAP_MSIX + PCI_MSIX_FLAGS,
		   PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

static u16 vpci_command(const struct vpci_dev *dev)
{
	return le16_to_cpup((const __le16 *)(dev->config + PCI_COMMAND));
}

static void vpci_command_changed(struct vpci_dev *dev)
{
	bool master = vpci_command(dev) & PCI_COMMAND_MASTER;
	u32 i;

	if (master == dev->master)
		return;
	WRITE_ONCE(dev->master, master);
	for (i = 0; i < dev->nr_queues && master; i++)
		vpci_queue_wake(&dev->queues[i]);
}

void vpci_config_read(struct vpci_dev *dev, u32 offset, u8 *buf, u32 bytes)
{
	lockdep_assert_held(&dev->lock);
	memcpy(buf, dev->config + offset, bytes);
}

void vpci_config_write(struct vpci_dev *dev, u32 offset, const u8 *buf, u32 bytes)
{
	u32 i;

	lockdep_assert_held(&dev->lock);
	for (i = 0; i < bytes; i++) {
		u8 mask = dev->config_mask[offset + i];
		u8 *at = &dev->config[offset + i];

		*at = (*at & ~mask) | (buf[i] & mask);
	}
	vpci_command_changed(dev);
}

/* --- status -------------------------------------------------------------------------------- */

/** vpci_reset - as after power-on, but for the PCI configuration */
void vpci_reset(struct vpci_dev *dev)
{
	u32 i;

	lockdep_assert_held(&dev->lock);
	for (i = 0; i < dev->nr_queues; i++)
		vpci_queue_stop(&dev->queues[i]);
	for (i = 0; i < dev->nr_queues; i++) {
		struct vpci_queue *q = &dev->queues[i];

		q->size = q->size_max;
		q->vector = VIRTIO_MSI_NO_VECTOR;
		q->enabled = false;
		q->desc = 0;
		q->avail = 0;
		q->used = 0;
	}
	dev->status = 0;
	dev->needs_reset = false;
	dev->feature_select = 0;
	dev->driver_feature_select = 0;
	dev->driver_features = 0;
	dev->config_vector = VIRTIO_MSI_NO_VECTOR;
	dev->queue_select = 0;
	vpci_irq_isr(dev);
	dev->type->reset(dev);
	vpci_pin_drop(&dev->pins);
}

static bool vpci_features_good(const struct vpci_dev *dev)
{
	return !(dev->driver_features & ~vpci_features(dev)) &&
	       dev->driver_features & BIT_ULL(VIRTIO_F_VERSION_1);
}

static void vpci_queues_start(struct vpci_dev *dev)
{
	u32 i;

	for (i = 0; i < dev->nr_queues; i++) {
		if (!dev->queues[i].enabled || !vpci_queue_start(&dev->queues[i]))
			continue;
		WRITE_ONCE(dev->needs_reset, true);	/* no memory */
		vpci_irq_config(dev);
		return;
	}
}

static void vpci_status_write(struct vpci_dev *dev, u8 status)
{
	u8 old = dev->status;

	if (!status) {
		vpci_reset(dev);
		return;
	}
	status |= old;		/* bits go by a reset only */
	status &= VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK |
		  VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED;
	if (!(old & VIRTIO_CONFIG_S_FEATURES_OK) && !vpci_features_good(dev))
		status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if (!(status & VIRTIO_CONFIG_S_FEATURES_OK))
		status &= ~VIRTIO_CONFIG_S_DRIVER_OK;
	dev->status = status;
	if (status & ~old & VIRTIO_CONFIG_S_DRIVER_OK)
		vpci_queues_start(dev);
}

/* --- common configuration ------------------------------------------------------------------ */

static u32 vpci_half(u64 value, u32 select)
{
	return select > 1 ? 0 : value >> (32 * select);
}

static struct vpci_queue *vpci_selected(struct vpci_dev *dev)
{
	u32 i = dev->queue_select;

	return i < dev->nr_queues ? &dev->queues[array_index_nospec(i, dev->nr_queues)] : NULL;
}

static void vpci_common_get(struct vpci_dev *dev, struct virtio_pci_common_cfg *c)
{
	const struct vpci_queue *q = vpci_selected(dev);

	memset(c, 0, sizeof(*c));
	c->device_feature_select = cpu_to_le32(dev->feature_select);
	c->device_feature = cpu_to_le32(vpci_half(vpci_features(dev), dev->feature_select));
	c->guest_feature_select = cpu_to_le32(dev->driver_feature_select);
	c->guest_feature = cpu_to_le32(vpci_half(dev->driver_features,
						 dev->driver_feature_select));
	c->msix_config = cpu_to_le16(dev->config_vector);
	c->num_queues = cpu_to_le16(dev->nr_queues);
	c->device_status = dev->status;
	if (READ_ONCE(dev->needs_reset))
		c->device_status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	c->config_generation = dev->generation;
	c->queue_select = cpu_to_le16(dev->queue_select);
	if (!q)
		return;
	c->queue_size = cpu_to_le16(q->size);
	c->queue_msix_vector = cpu_to_le16(q->vector);
	c->queue_enable = cpu_to_le16(q->enabled);
	c->queue_notify_off = cpu_to_le16(q->index);
	c->queue_desc_lo = cpu_to_le32(q->desc);
	c->queue_desc_hi = cpu_to_le32(q->desc >> 32);
	c->queue_avail_lo = cpu_to_le32(q->avail);
	c->queue_avail_hi = cpu_to_le32(q->avail >> 32);
	c->queue_used_lo = cpu_to_le32(q->used);
	c->queue_used_hi = cpu_to_le32(q->used >> 32);
}

static u64 vpci_le64(__le32 lo, __le32 hi)
{
	return le32_to_cpu(lo) | (u64)le32_to_cpu(hi) << 32;
}

static u16 vpci_vector(const struct vpci_dev *dev, __le16 vector)
{
	u16 v = le16_to_cpu(vector);

	return v < dev->irq.nr_msix ? v : VIRTIO_MSI_NO_VECTOR;
}

static bool vpci_range_good(u64 addr, u64 bytes, u64 align)
{
	return IS_ALIGNED(addr, align) && addr + bytes >= addr;
}

/* The rings are where they may be. */
static bool vpci_queue_good(const struct vpci_queue *q)
{
	return vpci_range_good(q->desc, 16ull * q->size, 16) &&
	       vpci_range_good(q->avail, 6 + 2ull * q->size, 2) &&
	       vpci_range_good(q->used, 6 + 8ull * q->size, 4);
}

/* Does a write of @bytes at @offset touch the field? */
#define VPCI_TOUCHES(field)								\
	(offset < offsetofend(struct virtio_pci_common_cfg, field) &&			\
	 offset + bytes > offsetof(struct virtio_pci_common_cfg, field))

static void vpci_common_write_queue(struct vpci_dev *dev, u32 offset, u32 bytes,
				    const struct virtio_pci_common_cfg *c)
{
	struct vpci_queue *q = vpci_selected(dev);
	u16 size = le16_to_cpu(c->queue_size);

	if (!q)
		return;
	if (VPCI_TOUCHES(queue_msix_vector))
		WRITE_ONCE(q->vector, vpci_vector(dev, c->queue_msix_vector));
	if (q->enabled)		/* the rest stays */
		return;
	if (VPCI_TOUCHES(queue_size) && size && size <= q->size_max && !(size & (size - 1)))
		q->size = size;
	if (VPCI_TOUCHES(queue_desc_lo) || VPCI_TOUCHES(queue_desc_hi))
		q->desc = vpci_le64(c->queue_desc_lo, c->queue_desc_hi);
	if (VPCI_TOUCHES(queue_avail_lo) || VPCI_TOUCHES(queue_avail_hi))
		q->avail = vpci_le64(c->queue_avail_lo, c->queue_avail_hi);
	if (VPCI_TOUCHES(queue_used_lo) || VPCI_TOUCHES(queue_used_hi))
		q->used = vpci_le64(c->queue_used_lo, c->queue_used_hi);
	if (VPCI_TOUCHES(queue_enable) && le16_to_cpu(c->queue_enable) == 1 &&
	    !(dev->status & VIRTIO_CONFIG_S_DRIVER_OK) && vpci_queue_good(q))
		q->enabled = true;
}

static void vpci_common_write(struct vpci_dev *dev, u32 offset, const u8 *buf, u32 bytes)
{
	struct virtio_pci_common_cfg c;
	u32 shift;

	vpci_common_get(dev, &c);
	memcpy((u8 *)&c + offset, buf, bytes);
	if (VPCI_TOUCHES(device_feature_select))
		dev->feature_select = le32_to_cpu(c.device_feature_select);
	if (VPCI_TOUCHES(guest_feature_select))
		dev->driver_feature_select = le32_to_cpu(c.guest_feature_select);
	if (VPCI_TOUCHES(guest_feature) && dev->driver_feature_select < 2 &&
	    !(dev->status & VIRTIO_CONFIG_S_FEATURES_OK)) {
		shift = 32 * dev->driver_feature_select;
		dev->driver_features &= ~((u64)U32_MAX << shift);
		dev->driver_features |= (u64)le32_to_cpu(c.guest_feature) << shift;
	}
	if (VPCI_TOUCHES(msix_config))
		WRITE_ONCE(dev->config_vector, vpci_vector(dev, c.msix_config));
	if (VPCI_TOUCHES(queue_select))
		dev->queue_select = le16_to_cpu(c.queue_select);
	vpci_common_write_queue(dev, offset, bytes, &c);
	if (VPCI_TOUCHES(device_status))
		vpci_status_write(dev, c.device_status);
}

/* --- BAR 0 ------------------------------------------------------------------------------------ */

/* The part of [offset, offset + bytes) that is in [start, start + size). */
static bool vpci_within(u32 offset, u32 bytes, u32 start, u32 size)
{
	return offset >= start && offset + bytes <= start + size;
}

void vpci_bar_read(struct vpci_dev *dev, u32 offset, u8 *buf, u32 bytes)
{
	struct virtio_pci_common_cfg c;
	u8 config[VPCI_CONFIG_MAX] = {};

	lockdep_assert_held(&dev->lock);
	memset(buf, 0, bytes);
	if (vpci_within(offset, bytes, VPCI_BAR_COMMON, sizeof(c))) {
		vpci_common_get(dev, &c);
		memcpy(buf, (u8 *)&c + offset, bytes);
	} else if (vpci_within(offset, bytes, VPCI_BAR_ISR, 4)) {
		if (offset == VPCI_BAR_ISR)
			buf[0] = vpci_irq_isr(dev);
	} else if (vpci_within(offset, bytes, VPCI_BAR_DEVICE, dev->type->config_bytes)) {
		dev->type->config(dev, config);
		memcpy(buf, config + offset - VPCI_BAR_DEVICE, bytes);
	}
}

void vpci_bar_write(struct vpci_dev *dev, u32 offset, const u8 *buf, u32 bytes)
{
	lockdep_assert_held(&dev->lock);
	if (vpci_within(offset, bytes, VPCI_BAR_COMMON, sizeof(struct virtio_pci_common_cfg)))
		vpci_common_write(dev, offset, buf, bytes);
}

int vpci_regs_create(struct vpci_dev *dev)
{
	u32 i;

	lockdep_assert_held(&dev->lock);
	dev->irq.nr_msix = dev->nr_queues + 1;
	dev->irq.msix = kcalloc(dev->irq.nr_msix, sizeof(*dev->irq.msix), GFP_KERNEL_ACCOUNT);
	if (!dev->irq.msix)
		return -ENOMEM;
	for (i = 0; i < dev->nr_queues; i++) {
		struct vpci_queue *q = &dev->queues[i];

		q->dev = dev;
		q->index = i;
		init_waitqueue_head(&q->wait);
		q->table = kvmalloc_array(q->size_max, sizeof(*q->table), GFP_KERNEL_ACCOUNT);
		q->seg = kvmalloc_array(q->size_max, sizeof(*q->seg), GFP_KERNEL_ACCOUNT);
		if (!q->table || !q->seg)
			return -ENOMEM;
	}
	if (vpci_bell_create(dev))
		return -ENOMEM;
	vpci_config_create(dev);
	dev->master = false;
	vpci_reset(dev);
	return 0;
}

/** vpci_regs_destroy - the rest of what vpci_regs_create() made, or began to make */
void vpci_regs_destroy(struct vpci_dev *dev)
{
	u32 i;

	lockdep_assert_held(&dev->lock);
	vpci_bell_destroy(dev);
	for (i = 0; i < dev->nr_queues; i++) {
		kvfree(dev->queues[i].table);
		kvfree(dev->queues[i].seg);
	}
	kfree(dev->irq.msix);
	dev->irq.msix = NULL;
	dev->irq.nr_msix = 0;
}
