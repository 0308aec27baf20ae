// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ranks: they come by dpu_rank_register(), programs open and close them, they
 * go by dpu_rank_unregister() whoever has them open.
 *
 * One program has a rank at a time. A second opening fails with EINVAL (as
 * with the vendor's driver: programs go on to the next rank) unless the owner
 * or root set debug mode, which is there for debuggers and ends with the owner.
 */
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "dpu.h"

static DEFINE_IDA(dpu_ida);

/**
 * dpu_rank_enter - keep the provider while an operation of its is called
 * @rank: the rank
 *
 * 0, -ENODEV when it is gone, -EINTR when the caller is being killed. On 0,
 * dpu_rank_leave() ends it.
 */
int dpu_rank_enter(struct dpu_rank *rank)
{
	if (down_read_killable(&rank->gone_lock))
		return -EINTR;
	if (rank->gone) {
		up_read(&rank->gone_lock);
		return -ENODEV;
	}
	return 0;
}

void dpu_rank_leave(struct dpu_rank *rank)
{
	up_read(&rank->gone_lock);
}

static void dpu_rank_forget_results(struct dpu_rank *rank)
{
	spin_lock(&rank->result_lock);
	rank->results_final = false;
	spin_unlock(&rank->result_lock);
}

static int dpu_rank_open_locked(struct dpu_rank *rank)
{
	int err;

	if (rank->owned && !rank->debug_mode)
		return -EINVAL;
	if (rank->usage)
		return 0;
	if (!try_module_get(rank->ops->owner))
		return -ENODEV;
	err = rank->ops->open ? rank->ops->open(rank) : 0;
	if (err) {
		module_put(rank->ops->owner);
		return err;
	}
	memset(rank->slice, 0, sizeof(rank->slice));
	dpu_predict_open(rank);
	dpu_small_open(rank);
	dpu_rank_forget_results(rank);
	rank->owned = true;
	return 0;
}

static int dpu_open(struct inode *inode, struct file *file)
{
	struct dpu_rank *rank = container_of(inode->i_cdev, struct dpu_rank, cdev);
	int err = dpu_rank_enter(rank);

	if (err)
		return err;
	if (mutex_lock_killable(&rank->lock)) {
		err = -EINTR;
		goto leave;
	}
	err = dpu_rank_open_locked(rank);
	if (!err) {
		rank->usage++;
		get_device(&rank->dev);
		file->private_data = rank;
		nonseekable_open(inode, file);
	}
	mutex_unlock(&rank->lock);
leave:
	dpu_rank_leave(rank);
	return err;
}

static int dpu_release(struct inode *inode, struct file *file)
{
	struct dpu_rank *rank = file->private_data;

	down_read(&rank->gone_lock);
	mutex_lock(&rank->lock);
	if (!--rank->usage) {
		dpu_small_close(rank, !rank->gone);
		dpu_predict_close(rank);
		rank->owned = false;
		rank->debug_mode = 0;
		if (!rank->gone) {
			if (rank->ops->release)
				rank->ops->release(rank);
			module_put(rank->ops->owner);
		}
	}
	mutex_unlock(&rank->lock);
	up_read(&rank->gone_lock);
	put_device(&rank->dev);
	return 0;
}

/* Only the fast modes map a rank, and they are not offered. */
static int dpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	return -EPERM;
}

static const struct file_operations dpu_fops = {
	.owner		= THIS_MODULE,
	.open		= dpu_open,
	.release	= dpu_release,
	.unlocked_ioctl	= dpu_ioctl,
	.mmap		= dpu_mmap,
};

static void dpu_rank_free(struct device *dev)
{
	struct dpu_rank *rank = dev_to_dpu_rank(dev);

	ida_free(&dpu_ida, rank->id);
	kfree(rank->vpd);
	kfree(rank);
}

static bool dpu_info_valid(const struct dpu_rank_info *info)
{
	return info->nr_cis >= 1 && info->nr_cis <= DPU_MAX_CIS &&
	       info->nr_dpus_per_ci >= 1 &&
	       info->nr_dpus_per_ci <= DPU_MAX_DPUS / DPU_MAX_CIS &&
	       info->mram_size && info->mram_size % 8 == 0 && info->mram_size <= S32_MAX &&
	       info->batch_max <= 256 &&
	       info->ci_mask && info->rank_index < 255 && info->vpd_bytes <= DPU_VPD_MAX;
}

/*
 * Vital product data that says "no DPU is broken, nothing was repaired": a
 * header of 112 bytes with no entries behind it.
 */
static void dpu_vpd_default(u8 *vpd, u32 rank_count)
{
	memcpy(vpd, "UPMV", 4);
	vpd[5] = 0x40;		/* version 0x4000 */
	vpd[8] = 112;		/* bytes of the header */
	vpd[10] = rank_count;
}

static int dpu_vpd_set(struct dpu_rank *rank)
{
	if (!rank->info.vpd || !rank->info.vpd_bytes) {
		rank->info.vpd_bytes = 112;
		rank->vpd = kzalloc(rank->info.vpd_bytes, GFP_KERNEL);
		if (rank->vpd)
			dpu_vpd_default(rank->vpd, rank->info.rank_count);
	} else {
		rank->vpd = kmemdup(rank->info.vpd, rank->info.vpd_bytes, GFP_KERNEL);
	}
	rank->info.vpd = NULL;	/* was the caller's */
	return rank->vpd ? 0 : -ENOMEM;
}

struct dpu_rank *dpu_rank_register(struct device *parent, const struct dpu_rank_info *info,
				   const struct dpu_rank_ops *ops, void *priv)
{
	struct dpu_rank *rank;
	unsigned int ci;
	int err;

	if (!dpu_info_valid(info))
		return ERR_PTR(-EINVAL);
	rank = kzalloc(sizeof(*rank), GFP_KERNEL);
	if (!rank)
		return ERR_PTR(-ENOMEM);
	rank->id = ida_alloc_max(&dpu_ida, DPU_RANKS_MAX - 1, GFP_KERNEL);
	if (rank->id < 0) {
		err = rank->id;
		kfree(rank);
		return ERR_PTR(err);
	}
	rank->info = *info;
	rank->ops = ops;
	rank->priv = priv;
	init_rwsem(&rank->gone_lock);
	mutex_init(&rank->lock);
	spin_lock_init(&rank->result_lock);
	dpu_predict_init(rank);
	dpu_small_init(rank);
	for (ci = 0; ci < DPU_MAX_CIS; ci++) {
		if (!rank->info.byte_order[ci])
			rank->info.byte_order[ci] = 0x000103ff0f8fcfefull;
	}

	device_initialize(&rank->dev);	/* from here on, put_device() frees */
	rank->dev.class = dpu_class;
	rank->dev.parent = parent;
	rank->dev.release = dpu_rank_free;
	rank->dev.devt = MKDEV(MAJOR(dpu_devt), MINOR(dpu_devt) + rank->id);
	cdev_init(&rank->cdev, &dpu_fops);
	rank->cdev.owner = THIS_MODULE;
	err = dpu_vpd_set(rank) ?: dev_set_name(&rank->dev, "dpu_rank%d", rank->id) ?:
	      cdev_device_add(&rank->cdev, &rank->dev);
	if (err) {
		put_device(&rank->dev);
		return ERR_PTR(err);
	}
	return rank;
}
EXPORT_SYMBOL_GPL(dpu_rank_register);

void dpu_rank_unregister(struct dpu_rank *rank)
{
	down_write(&rank->gone_lock);
	WRITE_ONCE(rank->gone, true);
	/* A program that has it open will not be able to say that it closes it. */
	if (rank->usage) {
		if (rank->ops->release)
			rank->ops->release(rank);
		module_put(rank->ops->owner);
	}
	up_write(&rank->gone_lock);
	cdev_device_del(&rank->cdev, &rank->dev);
	put_device(&rank->dev);
}
EXPORT_SYMBOL_GPL(dpu_rank_unregister);

void *dpu_rank_priv(const struct dpu_rank *rank)
{
	return rank->priv;
}
EXPORT_SYMBOL_GPL(dpu_rank_priv);

int dpu_rank_number(const struct dpu_rank *rank)
{
	return rank->id;
}
EXPORT_SYMBOL_GPL(dpu_rank_number);
