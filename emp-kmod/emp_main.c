// SPDX-License-Identifier: GPL-2.0-only
/* emp.ko: elastic memory. Module parameters, start and end. */
#include <linux/log2.h>
#include <linux/module.h>

#include "emp_control.h"
#include "emp_crypt.h"
#include "emp_fetch.h"
#include "emp_fs.h"
#include "emp_region.h"
#include "emp_shrink.h"
#include "emp_sysfs.h"

#define CREATE_TRACE_POINTS
#include "emp_trace.h"

/* A number within bounds; anything else is refused when it is set. */
struct emp_param {
	uint *value;
	uint min;
	uint max;
	bool power_of_2;
};

static int emp_param_set(const char *text, const struct kernel_param *kp)
{
	const struct emp_param *p = kp->arg;
	uint v;
	int err = kstrtouint(text, 0, &v);

	if (err)
		return err;
	if (v < p->min || v > p->max || (p->power_of_2 && !is_power_of_2(v)))
		return -EINVAL;
	WRITE_ONCE(*p->value, v);
	return 0;
}

static int emp_param_get(char *buf, const struct kernel_param *kp)
{
	const struct emp_param *p = kp->arg;

	return sysfs_emit(buf, "%u\n", READ_ONCE(*p->value));
}

static const struct kernel_param_ops emp_param_ops = {
	.set	= emp_param_set,
	.get	= emp_param_get,
};

uint emp_default_block_size = 2 << 20;
static struct emp_param emp_param_block = {
	&emp_default_block_size, EMP_BLOCK_MIN, EMP_BLOCK_MAX, true
};
module_param_cb(block_size, &emp_param_ops, &emp_param_block, 0644);
__MODULE_PARM_TYPE(block_size, "uint");
MODULE_PARM_DESC(block_size, "bytes a block of new regions, 4096..2097152 (default 2097152)");

uint emp_default_subblock_size = 64 << 10;
static struct emp_param emp_param_subblock = {
	&emp_default_subblock_size, EMP_SUBBLOCK_MIN, EMP_SUBBLOCK_MAX, true
};
module_param_cb(subblock_size, &emp_param_ops, &emp_param_subblock, 0644);
__MODULE_PARM_TYPE(subblock_size, "uint");
MODULE_PARM_DESC(subblock_size, "bytes a subblock of new regions, 4096..131072 (default 65536)");

uint emp_default_deadline_ms = 10000;
static struct emp_param emp_param_deadline = { &emp_default_deadline_ms, 1, 600000, false };
module_param_cb(tier_deadline_ms, &emp_param_ops, &emp_param_deadline, 0644);
__MODULE_PARM_TYPE(tier_deadline_ms, "uint");
MODULE_PARM_DESC(tier_deadline_ms, "ms an operation of a tier may take, 1..600000 (default 10000)");

uint emp_default_queue_depth = 128;
static struct emp_param emp_param_queue = { &emp_default_queue_depth, 1, 4096, false };
module_param_cb(tier_queue_depth, &emp_param_ops, &emp_param_queue, 0644);
__MODULE_PARM_TYPE(tier_queue_depth, "uint");
MODULE_PARM_DESC(tier_queue_depth, "operations under way at once on a tier, 1..4096 (default 128)");

uint emp_default_retain_ms = 50;
static struct emp_param emp_param_retain = { &emp_default_retain_ms, 0, 10000, false };
module_param_cb(retain_ms, &emp_param_ops, &emp_param_retain, 0644);
__MODULE_PARM_TYPE(retain_ms, "uint");
MODULE_PARM_DESC(retain_ms, "ms a fetched subblock not mapped yet is kept, 0..10000 (default 50)");

static int __init emp_init(void)
{
	int err = emp_fetch_init();

	if (err)
		return err;
	err = emp_crypt_start();
	if (err)
		goto fetch;
	err = emp_region_init();
	if (err)
		goto crypt;
	err = emp_shrink_init();
	if (err)
		goto region;
	err = emp_sysfs_init();
	if (err)
		goto shrink;
	err = emp_fs_init();
	if (err)
		goto sysfs;
	err = emp_control_init();
	if (err)
		goto fs;
	return 0;
fs:
	emp_fs_exit();
sysfs:
	emp_sysfs_exit();
shrink:
	emp_shrink_exit();
region:
	emp_region_exit();
crypt:
	emp_crypt_stop();
fetch:
	emp_fetch_exit();
	return err;
}

static void __exit emp_exit(void)
{
	emp_control_exit();
	emp_fs_exit();
	emp_region_exit();
	emp_shrink_exit();
	emp_sysfs_exit();
	emp_crypt_stop();
	emp_fetch_exit();
}

module_init(emp_init);
module_exit(emp_exit);
MODULE_DESCRIPTION("Annex elastic memory: guest RAM larger than the host's DRAM");
MODULE_AUTHOR("Annex");
MODULE_LICENSE("GPL");
MODULE_VERSION(ANNEX_VERSION);
