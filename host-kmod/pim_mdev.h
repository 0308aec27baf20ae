/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pim_mdev.ko: virtio-pim devices for virtual machines (docs/virtio-pim.md).
 *
 * A *machine* (struct pim_vm) is a mediated device. Its ranks are slots: a slot
 * has a lease of pim.ko's arbiter while the guest has the rank open, on behalf
 * of the user who runs the VMM. A reset, or the VMM's death, gives them back.
 *
 * Locks, outermost first:
 *   pim_vms_lock (mutex)	the list of machines, their names
 *   core.lock (mutex)		see vpci.h; also nr_ranks, pin_mib, and what is from open to
 *				close
 *   slot->sem (rwsem)		slot->lease: for reading around what uses it; threads of
 *				queues only, which core.lock's owner has stopped before
 *				it looks
 * pim.ko's locks are inside all of these.
 */
#ifndef PIM_MDEV_H
#define PIM_MDEV_H

#include <linux/rwsem.h>

#include "pim_lease.h"
#include "pim_rank.h"
#include "vpci.h"

#include "../include/uapi/annex/virtio_pim.h"

struct dentry;
struct mem_cgroup;

struct pim_vm_slot {
	struct rw_semaphore sem;
	struct pim_lease *lease;
	u32 rank;		/* that it began with, PIM_ID_ANY: no lease; to look at */
};

struct pim_vm {
	struct vpci_dev core;		/* the first */
	struct list_head list;		/* pim_vms */
	struct dentry *debug;		/* its folder in debugfs */
	char name[PIM_NAME_LEN];	/* pim_vms_lock, and core.lock to change it */
	u32 nr_ranks;
	u32 pin_mib;

	/* From open to close. */
	struct pim_lease_who who;
	struct mem_cgroup *memcg;	/* of the VMM: MRAM that its guest fills is its */
	struct pim_vm_slot *slots;
	struct pim_rank_desc *desc;	/* of all its ranks, if described; the control queue's */
	bool described;

	atomic64_t opens;
	atomic64_t commits;
	atomic64_t updates;
	atomic64_t transfers;
	atomic64_t bytes_in;
	atomic64_t bytes_out;
	atomic64_t errors;		/* requests not answered OK */
};

#define core_to_vm(c) container_of(c, struct pim_vm, core)

extern struct list_head pim_vms;
extern struct mutex pim_vms_lock;

/* pim_mdev_req.c */
extern const struct vpci_type pim_vm_type;

/* pim_mdev_sysfs.c */
extern const struct attribute_group *pim_vm_groups[];

#define PIM_MDEV_PIN_MIB_MAX	(1 << 20)

static inline u64 pim_vm_pin_pages(u32 mib)
{
	return (u64)mib << (20 - PAGE_SHIFT);
}

/* module parameters: pim_mdev_main.c */
extern uint pim_mdev_queues;
extern uint pim_mdev_poll_us;

#endif
