// SPDX-License-Identifier: GPL-2.0-only
/*
 * pim_local.ko: each rank of pim.ko as a /dev/dpu_rankN of this host. The first
 * opening takes a lease for the calling user, the last closing gives it back;
 * dpu.ko keeps everybody else out meanwhile.
 *
 * With nodes=N each rank has N of them, for more programs than there are ranks.
 * Then a node is not of its rank only: who opens it gets any rank that is like that.
 */
#include <linux/module.h>
#include <linux/uio.h>

#include "../guest-virtio-pim/dpu_rank.h"
#include "pim_lease.h"
#include "pim_rank.h"

#define PIM_LOCAL_NODES_MAX	64

static uint nodes = 1;
module_param(nodes, uint, 0444);
MODULE_PARM_DESC(nodes, "/dev/dpu_rankN of each rank, 1..64; more than 1: each of them any rank like it (default 1)");

/* A node. The lease is there while dpu.ko has it open. */
struct pim_local {
	struct dpu_rank *dpu;
	struct pim_rank *rank;
	struct pim_rank_desc *like;	/* or NULL: that rank only */
	struct pim_lease *lease;
};

/* Those of one rank. */
struct pim_locals {
	u32 nr;
	struct pim_rank_desc desc;
	struct pim_local node[];
};

static int pim_local_open(struct dpu_rank *dpu)
{
	struct pim_local *l = dpu_rank_priv(dpu);
	const struct pim_lease_want want = {
		.id = l->rank->id,
		.like = l->like,
		.floats = l->like,
		.local = true,
	};
	struct pim_lease *lease = pim_lease_acquire(&want);

	if (IS_ERR(lease))	/* being removed: for programs it is gone */
		return PTR_ERR(lease) == -ENOENT ? -ENODEV : PTR_ERR(lease);
	l->lease = lease;
	return 0;
}

static void pim_local_release(struct dpu_rank *dpu)
{
	struct pim_local *l = dpu_rank_priv(dpu);

	pim_lease_release(l->lease);
	l->lease = NULL;
}

static int pim_local_commit(struct dpu_rank *dpu, const u64 *cmds, u64 *results)
{
	struct pim_local *l = dpu_rank_priv(dpu);

	return pim_lease_commit(l->lease, cmds, results);
}

static int pim_local_update(struct dpu_rank *dpu, u64 *results)
{
	struct pim_local *l = dpu_rank_priv(dpu);

	return pim_lease_update(l->lease, results);
}

static int pim_local_copy_in(void *iter, void *mem, size_t n)
{
	return copy_from_iter(mem, n, iter) == n ? 0 : -EFAULT;
}

static int pim_local_copy_out(void *iter, void *mem, size_t n)
{
	return copy_to_iter(mem, n, iter) == n ? 0 : -EFAULT;
}

static u64 pim_local_mask(const struct dpu_xfer *x)
{
	u64 mask = 0;
	u32 i;

	for (i = 0; i < x->nr; i++)
		mask |= 1ull << x->part[i].dpu;
	return mask;
}

static int pim_local_write(struct dpu_rank *dpu, const struct dpu_xfer *x)
{
	struct pim_local *l = dpu_rank_priv(dpu);
	struct iov_iter iter;
	int err = 0;
	u32 i;

	for (i = 0; i < x->nr && !err; i++) {
		iov_iter_bvec(&iter, ITER_SOURCE, x->part[i].vec, x->part[i].nr, x->bytes);
		err = pim_lease_write(l->lease, x->part[i].dpu, x->offset, x->bytes,
				      pim_local_copy_in, &iter);
	}
	return err ?: pim_lease_store(l->lease, pim_local_mask(x), x->offset, x->bytes);
}

static int pim_local_read(struct dpu_rank *dpu, const struct dpu_xfer *x)
{
	struct pim_local *l = dpu_rank_priv(dpu);
	struct iov_iter iter;
	int err = pim_lease_load(l->lease, pim_local_mask(x), x->offset, x->bytes);
	u32 i;

	for (i = 0; i < x->nr && !err; i++) {
		iov_iter_bvec(&iter, ITER_DEST, x->part[i].vec, x->part[i].nr, x->bytes);
		err = pim_lease_read(l->lease, x->part[i].dpu, x->offset, x->bytes,
				     pim_local_copy_out, &iter);
	}
	return err;
}

static const struct dpu_rank_ops pim_local_ops = {
	.owner		= THIS_MODULE,
	.open		= pim_local_open,
	.release	= pim_local_release,
	.commit		= pim_local_commit,
	.update		= pim_local_update,
	.write		= pim_local_write,
	.read		= pim_local_read,
};

static int pim_local_register(struct pim_local *l, struct pim_rank *rank)
{
	const struct pim_rank_add *a = &rank->info;
	struct dpu_rank_info info = {
		.nr_cis = rank->nr_cis,
		.nr_dpus_per_ci = rank->nr_dpus_per_ci,
		.mram_size = rank->mram_size,
		.chip_id = a->chip_id,
		.fck_mhz = a->fck_mhz,
		.clock_division = a->clock_division,
		.channel_id = a->channel_id,
		.rank_index = a->rank_index,
		.rank_count = a->rank_count,
		.ci_mask = a->ci_mask,
		.vpd = rank->vpd,
		.vpd_bytes = rank->vpd ? a->vpd_bytes : 0,
	};

	memcpy(info.byte_order, a->byte_order, sizeof(info.byte_order));
	strscpy(info.mcu_version, a->mcu_version, sizeof(info.mcu_version));
	strscpy(info.part_number, a->part_number, sizeof(info.part_number));
	strscpy(info.serial_number, a->serial_number, sizeof(info.serial_number));
	l->rank = rank;
	l->dpu = dpu_rank_register(&rank->dev, &info, &pim_local_ops, l);
	return PTR_ERR_OR_ZERO(l->dpu);
}

static void pim_local_added(struct pim_rank *rank)
{
	struct pim_locals *all = kzalloc(struct_size(all, node, nodes), GFP_KERNEL);
	int err = all ? 0 : -ENOMEM;

	if (all)	/* before any of them can be opened */
		pim_rank_desc(rank, &all->desc);
	while (!err && all->nr < nodes) {
		if (nodes > 1)
			all->node[all->nr].like = &all->desc;
		err = pim_local_register(&all->node[all->nr], rank);
		all->nr += !err;
	}
	if (err)
		dev_err(&rank->dev, "has no /dev/dpu_rank, or too few: error %d\n", err);
	if (!all || !all->nr) {
		kfree(all);
		return;
	}
	rank->client_priv = all;
	WRITE_ONCE(rank->local, dpu_rank_number(all->node[0].dpu));
}

static void pim_local_removed(struct pim_rank *rank)
{
	struct pim_locals *all = rank->client_priv;

	if (!all)
		return;
	WRITE_ONCE(rank->local, PIM_ID_ANY);
	rank->client_priv = NULL;
	while (all->nr)
		dpu_rank_unregister(all->node[--all->nr].dpu);
	kfree(all);
}

static const struct pim_client pim_local_client = {
	.added		= pim_local_added,
	.removed	= pim_local_removed,
};

static int __init pim_local_init(void)
{
	if (!nodes || nodes > PIM_LOCAL_NODES_MAX) {
		pr_err("pim_local: nodes=%u is not 1 to %u\n", nodes, PIM_LOCAL_NODES_MAX);
		return -EINVAL;
	}
	return pim_client_register(&pim_local_client);
}

static void __exit pim_local_exit(void)
{
	pim_client_unregister(&pim_local_client);
}

module_init(pim_local_init);
module_exit(pim_local_exit);
MODULE_DESCRIPTION("Annex: the ranks of pim.ko as /dev/dpu_rankN on the host itself");
MODULE_AUTHOR("Annex");
MODULE_LICENSE("GPL");
MODULE_VERSION(ANNEX_VERSION);
