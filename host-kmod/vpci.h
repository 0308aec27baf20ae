/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio PCI function in a VFIO mediated device: everything that does not
 * depend on what kind of device it is. vpci_vfio.c talks to the VMM, vpci_regs.c
 * is the function's registers, vpci_ring.c its virtqueues, vpci_irq.c interrupts,
 * vpci_bell.c notifications by way of memory, vpci_pin.c memory that stays pinned.
 *
 * The machine's memory is reached by vfio_dma_rw(): a range that the VMM unmaps is
 * simply out of reach from then on, and there is nothing to be undone. A queue's
 * thread borrows the VMM's address space for that, and gives it back before it
 * waits for anything (vpci_rest()): the VMM's end must not have to wait for that.
 * Memory is pinned for bulk data only, and only if root wants it (vpci_pin.c).
 *
 * Each enabled queue has a thread from DRIVER_OK to reset. It takes chains and
 * gives them to the type's handler, one after the other. To stop, it gets a
 * SIGKILL: every wait of a handler must be killable.
 *
 * Locks, outermost first:
 *   dev->lock (mutex)		registers, threads come and go; a thread never takes it
 *   dev->irq.lock (spin)	eventfds, ISR
 *
 * Everything that comes from the machine (registers, rings, chains) and from the
 * VMM (calls) is judged before it is used: a wrong chain stops its queue, a
 * wrong access reads as zeros and changes nothing.
 */
#ifndef VPCI_H
#define VPCI_H

#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/vfio.h>
#include <linux/virtio_ring.h>
#include <linux/rwsem.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

struct eventfd_ctx;
struct mm_struct;
struct page;
struct task_struct;
struct vpci_dev;
struct vpci_queue;
struct vm_area_struct;

#define VPCI_QUEUES_MAX		65	/* 1 + 65 vectors fit the page of the MSI-X table */
#define VPCI_CONFIG_MAX		256	/* bytes of device configuration */

/* BAR 0: 64 bits, memory. */
#define VPCI_BAR_BYTES		0x80000
#define VPCI_BAR_COMMON		0x0000
#define VPCI_BAR_ISR		0x0100
#define VPCI_BAR_DEVICE		0x0200
#define VPCI_BAR_MSIX		0x2000
#define VPCI_BAR_PBA		0x3000
#define VPCI_BAR_NOTIFY		0x4000	/* a page for each queue */
#define VPCI_NOTIFY_BYTES	0x1000

/* A part of a chain. */
struct vpci_seg {
	u64 addr;
	u32 len;
};

/**
 * struct vpci_chain - a request of the driver
 * @q: where it came from
 * @head: its number, for the used ring
 * @nr_read: elements of @seg that the device may read; the rest it may write
 * @nr: elements of @seg
 * @readable: bytes in the readable part that were not read yet
 * @writable: bytes in the writable part that were not written yet, but for the last
 * @status_addr: where the very last writable byte is
 * @written: bytes written so far
 * @bulk: bytes that come next, in bulk; set by the handler, else 0
 * @fault: memory was out of reach
 * @rseg: next element to read from, and @rdone: bytes of it that were read
 * @wseg: next to write to, and @wdone
 * @seg: the parts
 */
struct vpci_chain {
	struct vpci_queue *q;
	u16 head;
	u32 nr_read;
	u32 nr;
	u64 readable;
	u64 writable;
	u64 status_addr;
	u64 written;
	u64 bulk;
	bool fault;
	u32 rseg;
	u32 rdone;
	u32 wseg;
	u32 wdone;
	struct vpci_seg *seg;
};

/**
 * struct vpci_type - a kind of device
 * @name: of the queues' threads
 * @class: PCI class code, 24 bits
 * @features: of the type; those of rings and transport are the core's
 * @config_bytes: device configuration, up to VPCI_CONFIG_MAX
 * @poll_us: how long a thread looks at the doorbell before it sleeps; 0 when the device is
 *	opened: there is none
 * @open: the VMM opens it; says how many queues there are, and of what size
 * @close: it has closed it; after @reset
 * @config: fill in the device configuration
 * @handle: a request; returns the status byte, or -EINTR: the queue is being
 *	stopped, the request is not answered
 * @enter: a queue's thread begins, @leave: it ends. Optional
 * @reset: no thread is left: forget everything of the driver's
 */
struct vpci_type {
	const char *name;
	u32 class;
	u64 features;
	u32 config_bytes;
	const uint *poll_us;
	int (*open)(struct vpci_dev *dev);
	void (*close)(struct vpci_dev *dev);
	void (*config)(struct vpci_dev *dev, void *buf);
	int (*handle)(struct vpci_chain *chain);
	void (*enter)(struct vpci_queue *q);
	void (*leave)(struct vpci_queue *q);
	void (*reset)(struct vpci_dev *dev);
};

struct vpci_queue {
	struct vpci_dev *dev;
	u16 index;
	u16 size_max;		/* a power of 2 */

	/* Set by the driver, under dev->lock; they stay while there is a thread. */
	u16 size;
	u16 vector;		/* may change any time */
	bool enabled;
	u64 desc;
	u64 avail;
	u64 used;

	struct task_struct *task;	/* with a reference, or NULL; dev->lock */
	bool stop;
	bool kicked;
	bool fail;			/* a test: as if the ring made no sense */
	wait_queue_head_t wait;		/* stop, kicked */
	struct page *bell;		/* from open to close, or NULL */
	bool bell_mapped;		/* vpci_bell.c has the rules */
	bool bell_due;			/* it was by a write, which is still to come */

	/* The thread's. */
	bool event_idx;
	bool indirect;
	u16 next_avail;		/* the next element to be taken */
	u16 seen_avail;		/* the driver's index, when it was last looked at */
	u16 next_used;		/* elements put into the used ring so far */
	u16 signalled;		/* next_used when an interrupt was last thought of */
	bool landing;		/* waits for that write */
	bool bell_pays;		/* wait for the next notification before sleeping */
	ktime_t idle_since;	/* when the ring became empty, with next_avail at this: */
	u16 idle_avail;
	__le16 used_flags;
	__le32 used_first;	/* the id in the first element of the used ring */
	struct vring_desc *table;	/* size_max elements */
	struct vpci_seg *seg;		/* size_max elements */
};

struct vpci_irq {
	spinlock_t lock;		/* all of it */
	struct eventfd_ctx **msix;	/* a vector each */
	u32 nr_msix;
	bool msix_on;
	struct eventfd_ctx *intx;
	bool intx_masked;
	struct eventfd_ctx *req;	/* the VMM is asked to let the device go */
	u8 isr;
};

/* The machine's memory that is pinned; vpci_pin.c has the rules. */
struct vpci_pins {
	u64 limit;		/* pages; 0: none. May change any time */
	struct mutex lock;	/* up to clock */
	u64 ceiling;		/* pages that VFIO did not refuse, once it refused */
	u64 pinned;		/* pages, with those that are about to be */
	u64 refusal;		/* until when VFIO is not asked */
	u64 full;		/* pages that found no room */
	struct list_head clock;	/* of chunks */
	struct rw_semaphore sem;	/* pages of chunks */
	struct xarray chunks;

	spinlock_t gate;	/* up to asked */
	u64 unmapped;		/* when the VMM last took memory back */
	u64 pause;		/* until when nothing is pinned, because of that */
	u32 pauses;		/* how long the next one is */
	u32 rounds;		/* times in a row that it did not get it */
	u64 take_first;		/* addresses to be unpinned */
	u64 take_last;
	u64 asked;		/* how often that was wanted */
	u64 taken;		/* what of that is done; the work's */
	struct work_struct work;
	wait_queue_head_t wait;	/* taken */

	atomic64_t hits;	/* copies of a page, or of a part, that was pinned */
	atomic64_t evicted;	/* pages unpinned to make room */
	atomic64_t refused;	/* times that VFIO did not pin */
	atomic64_t unmaps;	/* times that the VMM took memory back */
};

struct vpci_dev {
	struct vfio_device vdev;	/* the first */
	const struct vpci_type *type;
	u16 virtio_id;

	struct mutex lock;	/* all up to irq */
	bool opened;
	u32 nr_queues;		/* from open to close, as @queues */
	struct vpci_queue *queues;
	bool bell;		/* the queues have bells */
	struct mm_struct *mm;	/* of who opened it */
	u8 config[256];		/* PCI configuration space */
	u8 config_mask[256];	/* bits that can be written */
	u8 status;
	u32 feature_select;
	u32 driver_feature_select;
	u64 driver_features;
	u16 config_vector;	/* may change any time */
	u16 queue_select;

	struct vpci_irq irq;
	bool master;		/* bus master bit: the function may reach memory */
	bool needs_reset;	/* set by threads, cleared by a reset */
	bool mm_foreign;	/* the machine's memory is in another one */
	u8 generation;		/* of the device configuration */
	struct vpci_pins pins;

	atomic64_t kicks;
	atomic64_t kicks_trapped;	/* of them: that came by way of the VMM */
	atomic64_t faults;	/* of doorbells that were not mapped */
	atomic64_t polls;	/* times that a thread looked at its doorbell for a while */
	atomic64_t polls_empty;	/* of them: and saw none */
	atomic64_t requests;
	atomic64_t interrupts;
	atomic64_t broken;	/* rings that made no sense */
};

#define vdev_to_vpci(v) container_of(v, struct vpci_dev, vdev)

/* vpci_vfio.c */
extern const struct vfio_device_ops vpci_vfio_ops;

void vpci_init(struct vpci_dev *dev, const struct vpci_type *type, u16 virtio_id);
void vpci_exit(struct vpci_dev *dev);

/** vpci_dma - copy @bytes from (or with @write to) the machine's memory; false: out of reach */
bool vpci_dma(struct vpci_dev *dev, u64 addr, void *buf, size_t bytes, bool write);

/** vpci_rest - this thread of a queue may have to wait; vpci_dma() goes on afterwards */
void vpci_rest(struct vpci_dev *dev);

/* vpci_regs.c; under dev->lock */
int vpci_regs_create(struct vpci_dev *dev);
void vpci_regs_destroy(struct vpci_dev *dev);
void vpci_config_read(struct vpci_dev *dev, u32 offset, u8 *buf, u32 bytes);
void vpci_config_write(struct vpci_dev *dev, u32 offset, const u8 *buf, u32 bytes);
void vpci_bar_read(struct vpci_dev *dev, u32 offset, u8 *buf, u32 bytes);
void vpci_bar_write(struct vpci_dev *dev, u32 offset, const u8 *buf, u32 bytes);
void vpci_reset(struct vpci_dev *dev);

/* vpci_ring.c */
int vpci_queue_start(struct vpci_queue *q);
void vpci_queue_stop(struct vpci_queue *q);
void vpci_queue_wake(struct vpci_queue *q);
int vpci_queue_fail(struct vpci_dev *dev, u32 index);

/**
 * vpci_chain_read - the next bytes of the readable part
 *
 * 0, -ENODATA there are fewer, -EFAULT out of reach.
 */
int vpci_chain_read(struct vpci_chain *c, void *buf, size_t bytes);

/** vpci_chain_write - the next bytes of the writable part; errors as of vpci_chain_read() */
int vpci_chain_write(struct vpci_chain *c, const void *buf, size_t bytes);

/* vpci_bell.c */
int vpci_bell_create(struct vpci_dev *dev);
void vpci_bell_destroy(struct vpci_dev *dev);
int vpci_bell_mmap(struct vpci_dev *dev, struct vm_area_struct *vma);
void vpci_bell_poll(struct vpci_queue *q);
void vpci_bell_answer(struct vpci_queue *q);
void vpci_bell_close(struct vpci_queue *q);

/* vpci_pin.c */
void vpci_pin_init(struct vpci_pins *pins);
void vpci_pin_exit(struct vpci_pins *pins);

/** vpci_pin_set_limit - keep up to @pages pinned from now on; what is too much goes soon */
void vpci_pin_set_limit(struct vpci_pins *pins, u64 pages);

/** vpci_pin_drop - what is pinned goes soon */
void vpci_pin_drop(struct vpci_pins *pins);

/** vpci_pin_close - there are no queues any more: nothing is pinned; not under dev->lock */
void vpci_pin_close(struct vpci_dev *dev);

/** vpci_pin_unmap - the VMM takes memory back: VFIO's call */
void vpci_pin_unmap(struct vfio_device *vdev, u64 addr, u64 bytes);

/** vpci_dma_bulk - vpci_dma(), but @ahead bytes in a row will be used, and maybe again */
bool vpci_dma_bulk(struct vpci_dev *dev, u64 addr, void *buf, size_t bytes, u64 ahead, bool write);

/* vpci_irq.c */
void vpci_irq_init(struct vpci_irq *irq);
void vpci_irq_clear(struct vpci_irq *irq);
int vpci_irq_set(struct vpci_dev *dev, const struct vfio_irq_set *set, void *data);
void vpci_irq_queue(struct vpci_queue *q);
void vpci_irq_config(struct vpci_dev *dev);
bool vpci_irq_request(struct vpci_dev *dev);
u8 vpci_irq_isr(struct vpci_dev *dev);

#endif
