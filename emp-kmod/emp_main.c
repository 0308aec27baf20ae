// SPDX-License-Identifier: GPL-2.0-only
/* emp.ko: elastic memory. Module parameters, start and end. */
#include <linux/module.h>

#include "emp_control.h"
#include "emp_fetch.h"
#include "emp_fs.h"
#include "emp_region.h"
#include "emp_shrink.h"
#include "emp_sysfs.h"

#define CREATE_TRACE_POINTS
#include "emp_trace.h"

uint emp_default_block_size = 2 << 20;
module_param_named(block_size, emp_default_block_size, uint, 0644);
MODULE_PARM_DESC(block_size, "bytes a block of new regions, 4096..2097152 (default 2097152)");

uint emp_default_subblock_size = 64 << 10;
module_param_named(subblock_size, emp_default_subblock_size, uint, 0644);
MODULE_PARM_DESC(subblock_size, "bytes a subblock of new regions, 4096..131072 (default 65536)");

uint emp_default_deadline_ms = 10000;
module_param_named(tier_deadline_ms, emp_default_deadline_ms, uint, 0644);
MODULE_PARM_DESC(tier_deadline_ms, "ms an operation of a tier may take (default 10000)");

uint emp_default_queue_depth = 128;
module_param_named(tier_queue_depth, emp_default_queue_depth, uint, 0644);
MODULE_PARM_DESC(tier_queue_depth, "operations under way at once on a tier (default 128)");

uint emp_default_retain_ms = 50;
module_param_named(retain_ms, emp_default_retain_ms, uint, 0644);
MODULE_PARM_DESC(retain_ms, "ms a fetched subblock is kept that was not mapped yet (default 50)");

static int __init emp_init(void)
{
	int err = emp_fetch_init();

	if (err)
		return err;
	err = emp_region_init();
	if (err)
		goto fetch;
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
	emp_fetch_exit();
}

module_init(emp_init);
module_exit(emp_exit);
MODULE_DESCRIPTION("Annex elastic memory: guest RAM larger than the host's DRAM");
MODULE_AUTHOR("Annex");
MODULE_LICENSE("GPL");
MODULE_VERSION(ANNEX_VERSION);
