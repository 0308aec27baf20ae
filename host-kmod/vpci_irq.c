// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts: eventfds that the VMM gave. With MSI-X a vector has one each, and
 * the driver says which vector a queue has; without, INTA is raised until the
 * driver has read the ISR.
 */
#include <linux/eventfd.h>
#include <linux/slab.h>
#include <linux/virtio_pci.h>

#include "pim_compat.h"
#include "vpci.h"

#define VPCI_ISR_QUEUE	1
#define VPCI_ISR_CONFIG	2

void vpci_irq_init(struct vpci_irq *irq)
{
	spin_lock_init(&irq->lock);
}

static void vpci_eventfd_put(struct eventfd_ctx *ctx)
{
	if (ctx)
		eventfd_ctx_put(ctx);
}

/* Put @ctx at @place, which others may be signalling just now. */
static void vpci_eventfd_set(struct vpci_irq *irq, struct eventfd_ctx **place,
			     struct eventfd_ctx *ctx)
{
	spin_lock(&irq->lock);
	swap(*place, ctx);
	spin_unlock(&irq->lock);
	vpci_eventfd_put(ctx);
}

static void vpci_msix_off(struct vpci_irq *irq)
{
	u32 i;

	spin_lock(&irq->lock);
	irq->msix_on = false;
	spin_unlock(&irq->lock);
	for (i = 0; i < irq->nr_msix; i++)
		vpci_eventfd_set(irq, &irq->msix[i], NULL);
}

/** vpci_irq_clear - no interrupts any more */
void vpci_irq_clear(struct vpci_irq *irq)
{
	vpci_msix_off(irq);
	vpci_eventfd_set(irq, &irq->intx, NULL);
	vpci_eventfd_set(irq, &irq->req, NULL);
	spin_lock(&irq->lock);
	irq->intx_masked = false;
	irq->isr = 0;
	spin_unlock(&irq->lock);
}

/* --- raising ------------------------------------------------------------------------- */

static void vpci_irq_raise(struct vpci_dev *dev, u16 vector, u8 isr)
{
	struct vpci_irq *irq = &dev->irq;

	spin_lock(&irq->lock);
	if (irq->msix_on) {
		if (vector < irq->nr_msix && irq->msix[vector])
			annex_eventfd_signal(irq->msix[vector]);
	} else {
		irq->isr |= isr;
		if (irq->intx && !irq->intx_masked) {
			irq->intx_masked = true;	/* until the VMM has seen its end */
			annex_eventfd_signal(irq->intx);
		}
	}
	spin_unlock(&irq->lock);
	atomic64_inc(&dev->interrupts);
}

/** vpci_irq_queue - something is in the used ring */
void vpci_irq_queue(struct vpci_queue *q)
{
	vpci_irq_raise(q->dev, READ_ONCE(q->vector), VPCI_ISR_QUEUE);
}

/** vpci_irq_config - the device configuration, or the status, has changed */
void vpci_irq_config(struct vpci_dev *dev)
{
	vpci_irq_raise(dev, READ_ONCE(dev->config_vector), VPCI_ISR_CONFIG);
}

/** vpci_irq_isr - the ISR, which reading clears */
u8 vpci_irq_isr(struct vpci_dev *dev)
{
	struct vpci_irq *irq = &dev->irq;
	u8 isr;

	spin_lock(&irq->lock);
	isr = irq->isr;
	irq->isr = 0;
	spin_unlock(&irq->lock);
	return isr;
}

/** vpci_irq_request - ask the VMM to let the device go; false: it did not say how */
bool vpci_irq_request(struct vpci_dev *dev)
{
	struct vpci_irq *irq = &dev->irq;
	bool asked;

	spin_lock(&irq->lock);
	asked = irq->req;
	if (asked)
		annex_eventfd_signal(irq->req);
	spin_unlock(&irq->lock);
	return asked;
}

/* --- VFIO_DEVICE_SET_IRQS, checked by vfio_set_irqs_validate_and_prepare() ----------------- */

static int vpci_irq_set_fd(struct vpci_irq *irq, struct eventfd_ctx **place, s32 fd)
{
	struct eventfd_ctx *ctx = NULL;

	if (fd < -1)
		return -EINVAL;
	if (fd >= 0) {
		ctx = eventfd_ctx_fdget(fd);
		if (IS_ERR(ctx))
			return PTR_ERR(ctx);
	}
	vpci_eventfd_set(irq, place, ctx);
	return 0;
}

static void vpci_intx_mask(struct vpci_irq *irq, bool mask)
{
	spin_lock(&irq->lock);
	irq->intx_masked = mask;
	if (!mask && irq->isr && irq->intx) {	/* still raised */
		irq->intx_masked = true;
		annex_eventfd_signal(irq->intx);
	}
	spin_unlock(&irq->lock);
}

static int vpci_intx_set(struct vpci_irq *irq, const struct vfio_irq_set *set, void *data)
{
	u32 type = set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	int err;

	switch (set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) {
	case VFIO_IRQ_SET_ACTION_MASK:
	case VFIO_IRQ_SET_ACTION_UNMASK:
		/* No eventfd for the end of an interrupt: the VMM then tells us itself. */
		if (type == VFIO_IRQ_SET_DATA_EVENTFD)
			return -EINVAL;
		if (set->count && (type == VFIO_IRQ_SET_DATA_NONE || *(u8 *)data))
			vpci_intx_mask(irq, set->flags & VFIO_IRQ_SET_ACTION_MASK);
		return 0;
	case VFIO_IRQ_SET_ACTION_TRIGGER:
		if (type == VFIO_IRQ_SET_DATA_EVENTFD && set->count) {
			err = vpci_irq_set_fd(irq, &irq->intx, *(s32 *)data);
			if (!err)
				vpci_intx_mask(irq, false);
			return err;
		}
		if (type != VFIO_IRQ_SET_DATA_NONE)
			return -EINVAL;
		if (!set->count) {
			vpci_eventfd_set(irq, &irq->intx, NULL);
			return 0;
		}
		spin_lock(&irq->lock);
		if (irq->intx)
			annex_eventfd_signal(irq->intx);
		spin_unlock(&irq->lock);
		return 0;
	}
	return -EINVAL;
}

static int vpci_msix_set(struct vpci_irq *irq, const struct vfio_irq_set *set, void *data)
{
	u32 type = set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK, i;
	int err = 0;

	if ((set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -EINVAL;
	if (type == VFIO_IRQ_SET_DATA_NONE && !set->count) {
		vpci_msix_off(irq);
		return 0;
	}
	if (type == VFIO_IRQ_SET_DATA_EVENTFD) {
		spin_lock(&irq->lock);
		irq->msix_on = true;
		spin_unlock(&irq->lock);
		for (i = 0; i < set->count && !err; i++)
			err = vpci_irq_set_fd(irq, &irq->msix[set->start + i], ((s32 *)data)[i]);
		return err;
	}
	spin_lock(&irq->lock);
	for (i = 0; i < set->count; i++) {
		if (irq->msix[set->start + i] &&
		    (type == VFIO_IRQ_SET_DATA_NONE || ((u8 *)data)[i]))
			annex_eventfd_signal(irq->msix[set->start + i]);
	}
	spin_unlock(&irq->lock);
	return 0;
}

/** vpci_irq_set - under dev->lock */
int vpci_irq_set(struct vpci_dev *dev, const struct vfio_irq_set *set, void *data)
{
	struct vpci_irq *irq = &dev->irq;

	switch (set->index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return vpci_intx_set(irq, set, data);
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return vpci_msix_set(irq, set, data);
	case VFIO_PCI_REQ_IRQ_INDEX:
		if ((set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
			return -EINVAL;
		if (!set->count) {
			vpci_eventfd_set(irq, &irq->req, NULL);
			return 0;
		}
		if ((set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) != VFIO_IRQ_SET_DATA_EVENTFD)
			return -EINVAL;
		return vpci_irq_set_fd(irq, &irq->req, *(s32 *)data);
	}
	return -EINVAL;
}
