// SPDX-License-Identifier: GPL-2.0-only
/* /dev/pim-control: providers add ranks, administrators remove them. */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "pim_device.h"
#include "pim_ioctl.h"
#include "pim_rank.h"

#define PIM_DEPTH_DEFAULT	64
#define PIM_DEADLINE_MAX	600000	/* ms */

static void pim_rank_add_defaults(struct pim_rank_add *a)
{
	a->depth = a->depth ?: PIM_DEPTH_DEFAULT;
	a->fck_mhz = a->fck_mhz ?: 800;
	a->clock_division = a->clock_division ?: 4;
	a->rank_count = a->rank_count ?: 1;
	a->deadline_ms = a->deadline_ms ?: READ_ONCE(pim_deadline_ms);
}

static bool pim_rank_add_valid(struct pim_rank_add *a)
{
	u32 all;

	if (a->flags & ~PIM_RANK_F_ALL ||
	    (a->id >= PIM_RANKS_MAX && a->id != PIM_ID_ANY) ||
	    !is_power_of_2(a->depth) || a->depth > PIM_RING_MAX ||
	    !a->nr_cis || a->nr_cis > PIM_CIS_MAX || !a->nr_dpus_per_ci ||
	    a->nr_dpus_per_ci > PIM_DPUS_MAX / PIM_CIS_MAX)
		return false;
	/* What is elsewhere cannot be kept here. */
	if (a->flags & PIM_RANK_F_SAVE ?
	    a->flags & PIM_RANK_F_XFER || !a->state_bytes || a->state_bytes > PIM_STATE_BYTES_MAX :
	    a->state_bytes)
		return false;
	all = GENMASK(a->nr_cis - 1, 0);
	a->ci_mask = a->ci_mask ?: all;
	return a->mram_size && IS_ALIGNED(a->mram_size, 4096) && a->mram_size <= SZ_1G &&
	       a->channel_id <= 255 && a->rank_index < 255 && a->rank_count <= 255 &&
	       !(a->ci_mask & ~all) && a->deadline_ms <= PIM_DEADLINE_MAX &&
	       a->vpd_bytes <= PIM_VPD_MAX && !a->vpd == !a->vpd_bytes &&
	       pim_text_valid(a->provider, sizeof(a->provider)) &&
	       pim_text_valid(a->mcu_version, sizeof(a->mcu_version)) &&
	       pim_text_valid(a->part_number, sizeof(a->part_number)) &&
	       pim_text_valid(a->serial_number, sizeof(a->serial_number));
}

static int pim_ioc_rank_add(struct pim_rank_add __user *arg)
{
	struct pim_rank_add a;
	u8 *vpd = NULL;
	u32 usize;
	int err = pim_copy_in(&a, sizeof(a), arg, &usize);

	if (err)
		return err;
	if (usize < offsetofend(struct pim_rank_add, id))
		return -EINVAL;	/* no place for its number */
	pim_rank_add_defaults(&a);
	if (!pim_rank_add_valid(&a))
		return -EINVAL;
	if (a.vpd) {
		vpd = memdup_user(u64_to_user_ptr(a.vpd), a.vpd_bytes);
		if (IS_ERR(vpd))
			return PTR_ERR(vpd);
	}
	return pim_rank_add(&a, vpd, &arg->id);
}

static int pim_ioc_rank_remove(void __user *arg)
{
	struct pim_rank_id a;
	int err = pim_copy_in(&a, sizeof(a), arg, NULL);

	if (err)
		return err;
	if (a.flags || a.pad)
		return -EINVAL;
	return pim_rank_remove(a.id);
}

static long pim_control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *p = (void __user *)arg;

	if (cmd == PIM_IOC_INFO)
		return pim_ioc_info(p);
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	switch (cmd) {
	case PIM_IOC_RANK_ADD:
		return pim_ioc_rank_add(p);
	case PIM_IOC_RANK_REMOVE:
		return pim_ioc_rank_remove(p);
	}
	return -ENOTTY;
}

static int pim_control_open(struct inode *inode, struct file *file)
{
	return nonseekable_open(inode, file);
}

static const struct file_operations pim_control_ops = {
	.owner		= THIS_MODULE,
	.open		= pim_control_open,
	.unlocked_ioctl	= pim_control_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice pim_control_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "pim-control",
	.fops	= &pim_control_ops,
	.mode	= 0600,
};

int pim_control_init(void)
{
	return misc_register(&pim_control_dev);
}

void pim_control_exit(void)
{
	misc_deregister(&pim_control_dev);
}
