// SPDX-License-Identifier: GPL-2.0-only
/*
 * dpu.ko: the class of UPMEM ranks, /dev/dpu_rankN, as the vendor's programs
 * expect it. Module parameter, start and end.
 *
 * Programs look at /sys/module/dpu/version before anything else: that of 2021.3
 * wants major 6 and at least 6.4, later ones 7.1. The text is a copy that the
 * kernel made of MODULE_VERSION when it loaded the module and frees when it
 * unloads it; abi=6.4 puts another copy in its place.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/slab.h>

#include "dpu.h"
#include "pim_compat.h"

struct class *dpu_class;
dev_t dpu_devt;

static char *abi = "7.1";
module_param(abi, charp, 0444);
MODULE_PARM_DESC(abi, "interface of the vendor's driver to offer: 7.1 (default) or 6.4 (SDK 2021.3)");

/** dpu_abi_has_slices - does the interface know DPU_IOC_SLICES and ci_mask? */
bool dpu_abi_has_slices(void)
{
	return strcmp(abi, "6.4");
}

static int __init dpu_set_version(void)
{
	const char *old = THIS_MODULE->version, *new;

	if (!strcmp(abi, old))
		return 0;
	if (strcmp(abi, "6.4")) {
		pr_err("dpu: abi=%s is not known: 7.1 or 6.4\n", abi);
		return -EINVAL;
	}
	new = kstrdup(abi, GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	THIS_MODULE->version = new;
	kfree(old);
	return 0;
}

/* class_create() of a name that is taken leaves a backtrace in the log. */
static bool __init dpu_class_taken(void)
{
	struct path path;

	if (kern_path("/sys/class/dpu_rank", 0, &path))
		return false;
	path_put(&path);
	return true;
}

static int __init dpu_init(void)
{
	int err;

	if (dpu_class_taken()) {
		pr_err("dpu: another driver has the class dpu_rank: unload it first\n");
		return -EEXIST;
	}
	err = dpu_set_version();
	if (err)
		return err;
	err = alloc_chrdev_region(&dpu_devt, 0, DPU_RANKS_MAX, "dpu_rank");
	if (err)
		return err;
	dpu_class = annex_class_create("dpu_rank");
	if (IS_ERR(dpu_class)) {
		err = PTR_ERR(dpu_class);
		unregister_chrdev_region(dpu_devt, DPU_RANKS_MAX);
		return err;
	}
	dpu_class->dev_groups = dpu_rank_groups;
	return 0;
}

static void __exit dpu_exit(void)
{
	class_destroy(dpu_class);
	unregister_chrdev_region(dpu_devt, DPU_RANKS_MAX);
}

module_init(dpu_init);
module_exit(dpu_exit);
MODULE_DESCRIPTION("Annex: UPMEM ranks as the vendor's SDK expects them");
MODULE_AUTHOR("Annex");
MODULE_LICENSE("GPL");
MODULE_VERSION("7.1");
