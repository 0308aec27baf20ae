// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests of a guest. Each handler returns 0, or an error that becomes the
 * status byte; -EINTR is the queue being stopped.
 */
#include <linux/cred.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uidgid.h>

#include "pim_mdev.h"

#define PIM_VM_CONTROL_SIZE	64	/* elements of a queue */
#define PIM_VM_REQUEST_SIZE	1024

/* Numbers of machines, each of them from one reset to the next. */
static atomic64_t pim_vm_machines;

static const u8 pim_vm_status[] = {
	[0]		= VIRTIO_PIM_S_OK,
	[EINVAL]	= VIRTIO_PIM_S_INVAL,
	[ENODATA]	= VIRTIO_PIM_S_INVAL,
	[EOPNOTSUPP]	= VIRTIO_PIM_S_UNSUPP,
	[EIO]		= VIRTIO_PIM_S_IOERR,
	[EBADFD]	= VIRTIO_PIM_S_NOTOPEN,
	[EBUSY]		= VIRTIO_PIM_S_BUSY,
	[ENXIO]		= VIRTIO_PIM_S_NORANK,
	[EFAULT]	= VIRTIO_PIM_S_FAULT,
	[ENOMEM]	= VIRTIO_PIM_S_NOMEM,
	[EDQUOT]	= VIRTIO_PIM_S_QUOTA,
};

/* --- the control queue ------------------------------------------------------------------ */

/* Which kind of rank this machine has is found out once, when there is one. */
static int pim_vm_describe(struct pim_vm *vm)
{
	int err = 0;

	if (!vm->described)
		err = pim_rank_describe(vm->desc);
	if (err)
		return -ENXIO;
	WRITE_ONCE(vm->described, true);
	return 0;
}

static int pim_vm_info(struct pim_vm *vm, struct vpci_chain *c)
{
	const struct pim_rank_add *a = &vm->desc->info;
	struct virtio_pim_info info = {};
	int err = pim_vm_describe(vm), ci;

	if (err)
		return err;
	info.nr_cis = cpu_to_le32(a->nr_cis);
	info.nr_dpus_per_ci = cpu_to_le32(a->nr_dpus_per_ci);
	info.mram_size = cpu_to_le32(a->mram_size);
	info.chip_id = cpu_to_le32(a->chip_id);
	info.fck_mhz = cpu_to_le32(a->fck_mhz);
	info.clock_division = cpu_to_le32(a->clock_division);
	info.channel_id = cpu_to_le32(a->channel_id);
	info.rank_index = cpu_to_le32(a->rank_index);
	info.rank_count = cpu_to_le32(a->rank_count);
	info.ci_mask = cpu_to_le32(a->ci_mask);
	info.vpd_bytes = cpu_to_le32(a->vpd_bytes);
	for (ci = 0; ci < VIRTIO_PIM_CIS; ci++)
		info.byte_order[ci] = cpu_to_le64(a->byte_order[ci]);
	BUILD_BUG_ON(sizeof(info.mcu_version) != sizeof(a->mcu_version) ||
		     sizeof(info.part_number) != sizeof(a->part_number) ||
		     sizeof(info.serial_number) != sizeof(a->serial_number));
	memcpy(info.mcu_version, a->mcu_version, sizeof(info.mcu_version));
	memcpy(info.part_number, a->part_number, sizeof(info.part_number));
	memcpy(info.serial_number, a->serial_number, sizeof(info.serial_number));
	return vpci_chain_write(c, &info, sizeof(info));
}

static int pim_vm_vpd(struct pim_vm *vm, struct vpci_chain *c)
{
	int err = pim_vm_describe(vm);

	return err ?: vpci_chain_write(c, vm->desc->vpd, vm->desc->info.vpd_bytes);
}

/* The slot has no lease any more; nobody uses the one that it had. */
static void pim_vm_slot_clear(struct pim_vm_slot *slot)
{
	if (!slot->lease)
		return;
	WRITE_ONCE(slot->rank, PIM_ID_ANY);
	pim_lease_release(slot->lease);
	slot->lease = NULL;
}

static int pim_vm_close_rank(struct pim_vm_slot *slot)
{
	if (down_write_killable(&slot->sem))
		return -EINTR;
	pim_vm_slot_clear(slot);
	up_write(&slot->sem);
	return 0;
}

static int pim_vm_open_rank(struct pim_vm *vm, struct pim_vm_slot *slot)
{
	const struct pim_lease_want want = {
		.id = PIM_ID_ANY,
		.like = vm->desc,
		.who = &vm->who,
		.local = true,
	};
	struct pim_lease *lease;
	int err;

	err = pim_vm_close_rank(slot) ?: pim_vm_describe(vm);
	if (err)
		return err;
	lease = pim_lease_acquire(&want);
	if (IS_ERR(lease)) {
		err = PTR_ERR(lease);
		return err == -EIO ? -ENXIO : err;
	}
	if (down_write_killable(&slot->sem)) {
		pim_lease_release(lease);
		return -EINTR;
	}
	slot->lease = lease;
	WRITE_ONCE(slot->rank, pim_lease_rank(lease));
	up_write(&slot->sem);
	atomic64_inc(&vm->opens);
	return 0;
}

static int pim_vm_control(struct pim_vm *vm, struct vpci_chain *c, u32 type,
			  struct pim_vm_slot *slot)
{
	switch (type) {
	case VIRTIO_PIM_T_INFO:
		return pim_vm_info(vm, c);
	case VIRTIO_PIM_T_VPD:
		return pim_vm_vpd(vm, c);
	case VIRTIO_PIM_T_OPEN:
		return pim_vm_open_rank(vm, slot);
	case VIRTIO_PIM_T_CLOSE:
		return pim_vm_close_rank(slot);
	}
	return -EOPNOTSUPP;
}

/* --- request queues ------------------------------------------------------------------------ */

static void pim_vm_words(u64 *words)
{
	int i;

	for (i = 0; i < VIRTIO_PIM_CIS; i++)
		words[i] = le64_to_cpu((__force __le64)words[i]);
}

static int pim_vm_commit(struct pim_vm *vm, struct vpci_chain *c, struct pim_lease *lease)
{
	u64 cmds[VIRTIO_PIM_CIS], results[VIRTIO_PIM_CIS];
	u64 n = c->readable / sizeof(cmds);
	int err = 0;

	if (!n || n > VIRTIO_PIM_BATCH_MAX || c->readable % sizeof(cmds) ||
	    c->writable < n * sizeof(results))
		return -EINVAL;
	if (n > 1 && !(vm->core.driver_features & BIT_ULL(VIRTIO_PIM_F_BATCH)))
		return -EINVAL;
	while (n-- && !err) {
		err = vpci_chain_read(c, cmds, sizeof(cmds));
		if (err)
			break;
		pim_vm_words(cmds);
		vpci_rest(&vm->core);
		memset(results, 0, sizeof(results));
		err = pim_lease_commit(lease, cmds, results);
		atomic64_inc(&vm->commits);
		pim_vm_words(results);
		err = err ?: vpci_chain_write(c, results, sizeof(results));
	}
	return err;
}

static int pim_vm_update(struct pim_vm *vm, struct vpci_chain *c, struct pim_lease *lease)
{
	u64 results[VIRTIO_PIM_CIS] = {};
	int err;

	if (c->writable < sizeof(results))
		return -EINVAL;
	vpci_rest(&vm->core);
	err = pim_lease_update(lease, results);
	atomic64_inc(&vm->updates);
	pim_vm_words(results);
	return err ?: vpci_chain_write(c, results, sizeof(results));
}

static int pim_vm_copy_in(void *chain, void *mem, size_t n)
{
	return vpci_chain_read(chain, mem, n);
}

static int pim_vm_copy_out(void *chain, void *mem, size_t n)
{
	return vpci_chain_write(chain, mem, n);
}

/* All DPUs that a rank can have, by its geometry. */
static u64 pim_vm_dpus(const struct pim_lease *lease)
{
	u64 line = GENMASK_ULL(lease->nr_cis - 1, 0), mask = 0;
	u32 i;

	for (i = 0; i < lease->nr_dpus_per_ci; i++)
		mask |= line << (i * PIM_CIS_MAX);
	return mask;
}

/* The bytes go straight between the guest's memory and the pages of MRAM. */
static int pim_vm_transfer(struct pim_vm *vm, struct vpci_chain *c, struct pim_lease *lease,
			   bool write)
{
	struct virtio_pim_xfer x;
	u32 offset, bytes, dpu;
	u64 mask, rest, total;
	int err = vpci_chain_read(c, &x, sizeof(x));

	if (err)
		return err;
	mask = le64_to_cpu(x.mask);
	offset = le32_to_cpu(x.offset);
	bytes = le32_to_cpu(x.bytes);
	total = (u64)bytes * hweight64(mask);
	if (!mask || mask & ~pim_vm_dpus(lease) || offset % 8 || bytes % 8 || !bytes ||
	    (u64)offset + bytes > lease->mram_size ||
	    total > (write ? c->readable : c->writable))
		return -EINVAL;
	atomic64_inc(&vm->transfers);
	c->bulk = bytes < PAGE_SIZE ? 0 : total;
	vpci_rest(&vm->core);
	if (!write)
		err = pim_lease_load(lease, mask, offset, bytes);
	for (rest = mask; rest && !err; rest &= rest - 1) {
		dpu = __ffs64(rest);
		err = write ? pim_lease_write(lease, dpu, offset, bytes, pim_vm_copy_in, c) :
			      pim_lease_read(lease, dpu, offset, bytes, pim_vm_copy_out, c);
		vpci_rest(&vm->core);
	}
	if (err)
		return err;
	atomic64_add(total, write ? &vm->bytes_in : &vm->bytes_out);
	return write ? pim_lease_store(lease, mask, offset, bytes) : 0;
}

static int pim_vm_use(struct pim_vm *vm, struct vpci_chain *c, u32 type, struct pim_lease *lease)
{
	switch (type) {
	case VIRTIO_PIM_T_COMMIT:
		return pim_vm_commit(vm, c, lease);
	case VIRTIO_PIM_T_UPDATE:
		return pim_vm_update(vm, c, lease);
	case VIRTIO_PIM_T_WRITE:
		return pim_vm_transfer(vm, c, lease, true);
	case VIRTIO_PIM_T_READ:
		return pim_vm_transfer(vm, c, lease, false);
	}
	return -EOPNOTSUPP;
}

static int pim_vm_request(struct pim_vm *vm, struct vpci_chain *c, u32 type,
			  struct pim_vm_slot *slot)
{
	int err;

	if (down_read_killable(&slot->sem))
		return -EINTR;
	err = slot->lease ? pim_vm_use(vm, c, type, slot->lease) : -EBADFD;
	up_read(&slot->sem);
	return err;
}

/* --- what vpci calls ------------------------------------------------------------------------- */

static int pim_vm_handle(struct vpci_chain *c)
{
	struct pim_vm *vm = core_to_vm(c->q->dev);
	struct virtio_pim_hdr hdr;
	u32 rank, type;
	int err = vpci_chain_read(c, &hdr, sizeof(hdr));

	rank = le32_to_cpu(hdr.rank);
	type = le32_to_cpu(hdr.type);
	if (!err && (rank >= vm->nr_ranks || hdr.reserved))
		err = -EINVAL;
	if (!err)
		rank = array_index_nospec(rank, vm->nr_ranks);
	vpci_rest(&vm->core);
	if (!err && !c->q->index)
		err = pim_vm_control(vm, c, type, &vm->slots[rank]);
	else if (!err)
		err = pim_vm_request(vm, c, type, &vm->slots[rank]);
	if (!err)
		return VIRTIO_PIM_S_OK;
	if (err == -EINTR)
		return err;
	atomic64_inc(&vm->errors);
	return err > -(int)ARRAY_SIZE(pim_vm_status) && pim_vm_status[-err] ?
		pim_vm_status[-err] : VIRTIO_PIM_S_IOERR;
}

/* Memory that is filled for the guest is charged as if the VMM had done it. */
static void pim_vm_enter(struct vpci_queue *q)
{
	set_active_memcg(core_to_vm(q->dev)->memcg);
}

static void pim_vm_leave(struct vpci_queue *q)
{
	set_active_memcg(NULL);
}

/* What a guest left in ranks is not for the next one. */
static void pim_vm_reset(struct vpci_dev *core)
{
	struct pim_vm *vm = core_to_vm(core);
	u32 i;

	for (i = 0; i < vm->nr_ranks; i++)
		pim_vm_slot_clear(&vm->slots[i]);
	pim_lease_forget(vm->who.machine);
	vm->who.machine = atomic64_inc_return(&pim_vm_machines);
	WRITE_ONCE(vm->described, false);
}

static void pim_vm_config(struct vpci_dev *core, void *buf)
{
	struct virtio_pim_config *c = buf;

	c->nr_ranks = cpu_to_le32(core_to_vm(core)->nr_ranks);
	c->nr_request_queues = cpu_to_le32(core->nr_queues - 1);
	c->batch_max = cpu_to_le32(VIRTIO_PIM_BATCH_MAX);
}

static void pim_vm_free(struct pim_vm *vm)
{
	mem_cgroup_put(vm->memcg);
	vm->memcg = NULL;
	kvfree(vm->core.queues);
	vm->core.queues = NULL;
	vm->core.nr_queues = 0;
	kfree(vm->slots);
	vm->slots = NULL;
	kfree(vm->desc);
	vm->desc = NULL;
}

static int pim_vm_open(struct vpci_dev *core)
{
	struct pim_vm *vm = core_to_vm(core);
	u32 i;

	vm->who.uid = from_kuid(&init_user_ns, current_euid());
	vm->who.pid = task_tgid_nr(current);
	vm->who.machine = atomic64_inc_return(&pim_vm_machines);
	strscpy(vm->who.name, vm->name, sizeof(vm->who.name));	/* stays while it is open */
	vm->memcg = get_mem_cgroup_from_mm(current->mm);
	core->nr_queues = 1 + READ_ONCE(pim_mdev_queues);
	core->queues = kvcalloc(core->nr_queues, sizeof(*core->queues), GFP_KERNEL_ACCOUNT);
	vm->slots = kcalloc(vm->nr_ranks, sizeof(*vm->slots), GFP_KERNEL_ACCOUNT);
	vm->desc = kzalloc(sizeof(*vm->desc), GFP_KERNEL_ACCOUNT);
	if (!core->queues || !vm->slots || !vm->desc) {
		pim_vm_free(vm);
		return -ENOMEM;
	}
	for (i = 0; i < core->nr_queues; i++)
		core->queues[i].size_max = i ? PIM_VM_REQUEST_SIZE : PIM_VM_CONTROL_SIZE;
	for (i = 0; i < vm->nr_ranks; i++) {
		init_rwsem(&vm->slots[i].sem);
		vm->slots[i].rank = PIM_ID_ANY;
	}
	return 0;
}

static void pim_vm_close(struct vpci_dev *core)
{
	pim_vm_free(core_to_vm(core));
}

const struct vpci_type pim_vm_type = {
	.name		= "pim_vm",
	.class		= 0x120000,	/* processing accelerator */
	.features	= BIT_ULL(VIRTIO_PIM_F_BATCH),
	.config_bytes	= sizeof(struct virtio_pim_config),
	.poll_us	= &pim_mdev_poll_us,
	.open		= pim_vm_open,
	.close		= pim_vm_close,
	.config		= pim_vm_config,
	.handle		= pim_vm_handle,
	.enter		= pim_vm_enter,
	.leave		= pim_vm_leave,
	.reset		= pim_vm_reset,
};
