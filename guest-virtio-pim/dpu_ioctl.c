// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls on an open rank. Transfers are in dpu_xfer.c.
 *
 * User memory is touched only while the provider is not held: a page fault can
 * take for ever (userfaultfd), and would keep the rank from being unplugged.
 *
 * A commit brings its result words back. They answer the updates that follow,
 * as many as the program makes, without asking the provider, once each control
 * interface that was given a command has a complete and valid answer; until
 * then an update asks. Result words of a rank change only by the next commit.
 */
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "dpu.h"

/* Decoded (0x00, or 0xff after a NOP) and marked valid. */
static bool dpu_result_complete(u64 word)
{
	u8 top = word >> 56, valid = word >> 32;

	return valid == 0xff && (top == 0x00 || top == 0xff);
}

static int dpu_commit(struct dpu_rank *rank, const void __user *arg)
{
	u64 cmds[DPU_MAX_CIS] = {}, results[DPU_MAX_CIS] = {};
	u32 ci, n = rank->info.nr_cis;
	bool final = true;
	u64 number;
	int err;

	if (copy_from_user(cmds, arg, n * sizeof(*cmds)))
		return -EFAULT;
	spin_lock(&rank->result_lock);
	rank->results_final = false;
	number = ++rank->commits;
	spin_unlock(&rank->result_lock);

	err = dpu_rank_enter(rank);
	if (err)
		return err;
	err = dpu_predict_commit(rank, cmds, results);
	dpu_rank_leave(rank);
	if (err)
		return err;
	for (ci = 0; ci < n; ci++) {
		if (cmds[ci] && !dpu_result_complete(results[ci]))
			final = false;
	}
	spin_lock(&rank->result_lock);
	if (final && number == rank->commits) {
		memcpy(rank->results, results, sizeof(results));
		rank->results_final = true;
	}
	spin_unlock(&rank->result_lock);
	return 0;
}

static int dpu_update(struct dpu_rank *rank, void __user *arg)
{
	u64 results[DPU_MAX_CIS] = {};
	bool final;
	int err = dpu_rank_enter(rank);

	if (err)
		return err;
	spin_lock(&rank->result_lock);
	final = rank->results_final;
	rank->updates++;
	rank->updates_cached += final;
	if (final)
		memcpy(results, rank->results, sizeof(results));
	spin_unlock(&rank->result_lock);
	if (!final)
		err = dpu_predict_flush(rank) ?: rank->ops->update(rank, results);
	dpu_rank_leave(rank);
	if (err)
		return err;
	return copy_to_user(arg, results, rank->info.nr_cis * sizeof(*results)) ? -EFAULT : 0;
}

static int dpu_debug_mode(struct dpu_rank *rank, unsigned long value)
{
	if (value > 1)
		return -EINVAL;
	if (mutex_lock_killable(&rank->lock))
		return -EINTR;
	rank->debug_mode = value;
	mutex_unlock(&rank->lock);
	return 0;
}

static int dpu_slices(struct dpu_rank *rank, const void __user *arg)
{
	struct dpu_slice *slices;
	u32 ci;
	int err = 0;

	BUILD_BUG_ON(sizeof(struct dpu_slice) != 72);
	if (!dpu_abi_has_slices())
		return -EINVAL;
	slices = memdup_user(arg, DPU_MAX_CIS * sizeof(*slices));
	if (IS_ERR(slices))
		return PTR_ERR(slices);
	if (mutex_lock_killable(&rank->lock)) {
		err = -EINTR;
		goto free;
	}
	for (ci = 0; ci < DPU_MAX_CIS; ci++) {
		rank->slice[ci].enabled_dpus = slices[ci].enabled_dpus;
		rank->slice[ci].all_enabled = slices[ci].all_dpus_are_enabled;
	}
	mutex_unlock(&rank->lock);
free:
	kfree(slices);
	return err;
}

long dpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct dpu_rank *rank = file->private_data;
	void __user *p = (void __user *)arg;

	if (READ_ONCE(rank->gone))
		return -ENODEV;
	switch (cmd) {
	case DPU_IOC_WRITE:
		return dpu_xfer(rank, p, false);
	case DPU_IOC_READ:
		return dpu_xfer(rank, p, true);
	case DPU_IOC_COMMIT:
		return dpu_commit(rank, p);
	case DPU_IOC_UPDATE:
		return dpu_update(rank, p);
	case DPU_IOC_DEBUG_MODE:
		return dpu_debug_mode(rank, arg);
	case DPU_IOC_SLICES:
		return dpu_slices(rank, p);
	}
	return -EINVAL;
}
