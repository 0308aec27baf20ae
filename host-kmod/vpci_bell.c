// SPDX-License-Identifier: GPL-2.0-only
/*
 * The doorbell: notifications that leave the machine's processor alone.
 *
 * A write to a register of a mediated device goes to the VMM and from there to
 * vpci_write(). So each queue's notification register is a page of its own,
 * which the VMM may map and give to the machine as memory. Then a notification
 * is one of two things:
 *
 *   the page is mapped	a write to memory. The queue's thread, which is awake,
 *			looks at the page.
 *   it is not		a page fault of the VMM's mapping, which KVM answers
 *			without the VMM: vpci_bell_fault() maps the page and wakes
 *			the thread.
 *
 * A thread whose ring is empty goes on looking, for up to poll_us. Then it takes the
 * page away and sleeps. Two things keep a notification from getting lost:
 *  - the fault maps the page first, says so then, and wakes the thread last;
 *  - the thread first forgets that the page is mapped, then takes it away, then
 *    looks at it for the last time.
 * So a page that was mapped behind the thread's back has its wake-up still to come.
 *
 * The page is a real one, inserted with its reference, not a bare frame number:
 * KVM gets at it as at any memory, and tries again when it has gone meanwhile.
 *
 * Plain writes work all the time: the VMM uses them when it does not map the
 * page, or not always (QEMU with INTA).
 */
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/sched/stat.h>
#include <linux/vfio.h>

#include "pim_compat.h"
#include "pim_compat_vfio.h"
#include "vpci.h"

/* What nobody writes who notifies: they write the number of the queue, 16 bits. */
#define VPCI_BELL_SILENT	U32_MAX

static u32 *vpci_bell_word(const struct vpci_queue *q)
{
	return page_address(q->bell);
}

/* Was there a notification since this was last asked? */
static bool vpci_bell_rung(struct vpci_queue *q)
{
	u32 *word = vpci_bell_word(q);

	if (READ_ONCE(*word) == VPCI_BELL_SILENT)
		return false;
	WRITE_ONCE(q->bell_due, false);
	xchg(word, VPCI_BELL_SILENT);	/* a barrier: the rings are looked at after this */
	atomic64_inc(&q->dev->kicks);
	WRITE_ONCE(q->kicked, true);
	return true;
}

/*
 * The ring is empty: wait for the next notification where that pays.
 *
 * It does when the last one came in time, whether it was waited for or not; the
 * time begins when the last chain was done, so who notifies of nothing gains nothing.
 * And what woke the thread by a fault is a write that is still to come: it would
 * find the page gone again.
 */
void vpci_bell_poll(struct vpci_queue *q)
{
	ktime_t now = ktime_get(), end;

	if (READ_ONCE(q->kicked))
		return;
	q->landing = READ_ONCE(q->bell_due);
	if (q->idle_avail != q->next_avail) {
		q->idle_avail = q->next_avail;
		q->idle_since = now;
	}
	if (!READ_ONCE(q->bell_mapped) || !(q->bell_pays || q->landing))
		return;
	end = ktime_add_us(q->landing ? now : q->idle_since,
			   READ_ONCE(*q->dev->type->poll_us));
	atomic64_inc(&q->dev->polls);
	while (!vpci_bell_rung(q)) {
		if (READ_ONCE(q->kicked) || READ_ONCE(q->stop))
			return;
		if (!ktime_before(ktime_get(), end)) {
			atomic64_inc(&q->dev->polls_empty);
			return;
		}
		/* Who notifies may need this processor for it, and nobody can tell us. */
		if (single_task_running() && !need_resched())
			cpu_relax();
		else
			yield();
	}
}

/** vpci_bell_answer - there is a notification, however it came */
void vpci_bell_answer(struct vpci_queue *q)
{
	u32 us = READ_ONCE(*q->dev->type->poll_us);

	if (!q->landing)
		q->bell_pays = ktime_before(ktime_get(), ktime_add_us(q->idle_since, us));
	q->landing = false;
}

/** vpci_bell_close - from now on a notification wakes the thread; one before is in q->kicked */
void vpci_bell_close(struct vpci_queue *q)
{
	if (!READ_ONCE(q->bell_mapped))
		return;
	WRITE_ONCE(q->bell_mapped, false);
	WRITE_ONCE(q->bell_due, false);
	smp_mb();	/* pairs with the one of vpci_bell_fault() */
	unmap_mapping_range(annex_vfio_mapping(&q->dev->vdev),
			    VPCI_BAR_NOTIFY + (loff_t)q->index * VPCI_NOTIFY_BYTES,
			    VPCI_NOTIFY_BYTES, 1);
	vpci_bell_rung(q);
}

static vm_fault_t vpci_bell_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct vpci_dev *dev = vma->vm_private_data;
	u64 i = vmf->pgoff - VPCI_BAR_NOTIFY / VPCI_NOTIFY_BYTES;
	struct vpci_queue *q;
	int err;

	if (i >= dev->nr_queues)
		return VM_FAULT_SIGBUS;
	q = &dev->queues[array_index_nospec(i, dev->nr_queues)];
	err = vm_insert_page(vma, vmf->address & PAGE_MASK, q->bell);
	if (err && err != -EBUSY)	/* somebody was faster */
		return vmf_error(err);
	smp_mb();	/* the page is there before anyone hears so */
	WRITE_ONCE(q->bell_mapped, true);
	WRITE_ONCE(q->bell_due, true);
	atomic64_inc(&dev->faults);
	vpci_queue_wake(q);
	return VM_FAULT_NOPAGE;
}

static const struct vm_operations_struct vpci_bell_vm_ops = {
	.fault = vpci_bell_fault,
};

/** vpci_bell_mmap - the VMM maps notification pages */
int vpci_bell_mmap(struct vpci_dev *dev, struct vm_area_struct *vma)
{
	u64 first = vma->vm_pgoff - VPCI_BAR_NOTIFY / VPCI_NOTIFY_BYTES;

	/* dev->bell and the queues stay while the device is open */
	if (!dev->bell || !(vma->vm_flags & VM_SHARED) || first >= dev->nr_queues ||
	    vma_pages(vma) > dev->nr_queues - first)
		return -EINVAL;
	annex_pim_vm_flags_set(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY);
	vma->vm_ops = &vpci_bell_vm_ops;
	vma->vm_private_data = dev;
	return 0;
}

/** vpci_bell_create - when the device is opened: does it offer that? 0, -ENOMEM */
int vpci_bell_create(struct vpci_dev *dev)
{
	const u32 page = PAGE_SIZE;
	u32 i;

	lockdep_assert_held(&dev->lock);
	dev->bell = page == VPCI_NOTIFY_BYTES && READ_ONCE(*dev->type->poll_us) &&
		    annex_vfio_mapping(&dev->vdev);
	for (i = 0; i < dev->nr_queues && dev->bell; i++) {
		struct vpci_queue *q = &dev->queues[i];

		q->bell = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!q->bell)
			return -ENOMEM;
		*vpci_bell_word(q) = VPCI_BELL_SILENT;
	}
	return 0;
}

/** vpci_bell_destroy - it is closed: no mapping is left */
void vpci_bell_destroy(struct vpci_dev *dev)
{
	u32 i;

	for (i = 0; i < dev->nr_queues; i++) {
		if (dev->queues[i].bell)
			put_page(dev->queues[i].bell);
		dev->queues[i].bell = NULL;
		dev->queues[i].bell_mapped = false;
	}
	dev->bell = false;
}
