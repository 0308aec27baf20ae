// SPDX-License-Identifier: GPL-2.0-only
/*
 * pim.ko: ranks served by programs on this host, and who may use them. Module
 * parameters, start and end.
 */
#include <linux/module.h>

#include "pim_device.h"
#include "pim_rank.h"

#define CREATE_TRACE_POINTS
#include "pim_trace.h"

/* Milliseconds within bounds; anything else is refused when it is set. */
static int pim_param_set_ms(const char *text, const struct kernel_param *kp)
{
	return param_set_uint_minmax(text, kp, 1, 600000);
}

static const struct kernel_param_ops pim_param_ms_ops = {
	.set	= pim_param_set_ms,
	.get	= param_get_uint,
};

uint pim_deadline_ms = 10000;
module_param_cb(deadline_ms, &pim_param_ms_ops, &pim_deadline_ms, 0644);
__MODULE_PARM_TYPE(deadline_ms, "uint");
MODULE_PARM_DESC(deadline_ms, "ms a provider has for a request, of ranks added later, 1..600000 (default 10000)");

uint pim_open_wait_ms = 5000;
module_param_cb(open_wait_ms, &pim_param_ms_ops, &pim_open_wait_ms, 0644);
__MODULE_PARM_TYPE(open_wait_ms, "uint");
MODULE_PARM_DESC(open_wait_ms, "ms that opening a rank that is being cleaned waits for it, 1..600000 (default 5000)");

static int pim_param_set_keep(const char *text, const struct kernel_param *kp)
{
	return param_set_uint_minmax(text, kp, 0, PIM_KEEP_MAX_MS);
}

static const struct kernel_param_ops pim_param_keep_ops = {
	.set	= pim_param_set_keep,
	.get	= param_get_uint,
};

uint pim_keep_ms;
module_param_cb(keep_ms, &pim_param_keep_ops, &pim_keep_ms, 0644);
__MODULE_PARM_TYPE(keep_ms, "uint");
MODULE_PARM_DESC(keep_ms, "ms that MRAM of a rank is kept for its owner, of owners seen later, 0..86400000 (default 0: not)");

uint pim_idle_ms;
module_param_cb(idle_ms, &pim_param_keep_ops, &pim_idle_ms, 0644);
__MODULE_PARM_TYPE(idle_ms, "uint");
MODULE_PARM_DESC(idle_ms, "ms of idleness after which a rank can be saved and given to who waits, of owners seen later, 0..86400000 (default 0: never)");

uint pim_slice_ms = 1000;
module_param_cb(slice_ms, &pim_param_keep_ops, &pim_slice_ms, 0644);
__MODULE_PARM_TYPE(slice_ms, "uint");
MODULE_PARM_DESC(slice_ms, "ms that a rank stays with who got it, before it can be saved, 0..86400000 (default 1000)");

uint pim_return_wait_ms = 60000;
module_param_cb(return_wait_ms, &pim_param_ms_ops, &pim_return_wait_ms, 0644);
__MODULE_PARM_TYPE(return_wait_ms, "uint");
MODULE_PARM_DESC(return_wait_ms, "ms that a use of a saved rank waits for a rank, 1..600000 (default 60000)");

static int __init pim_init(void)
{
	int err = pim_rank_init();

	if (err)
		return err;
	err = pim_arbiter_init();
	if (err)
		goto rank;
	err = pim_control_init();
	if (err)
		goto arbiter;
	return 0;
arbiter:
	pim_arbiter_exit();
rank:
	pim_rank_exit();
	return err;
}

static void __exit pim_exit(void)
{
	pim_control_exit();
	pim_arbiter_exit();
	pim_rank_exit();
}

module_init(pim_init);
module_exit(pim_exit);
MODULE_DESCRIPTION("Annex: processing-in-memory ranks from user-space providers, and their arbiter");
MODULE_AUTHOR("Annex");
MODULE_LICENSE("GPL");
MODULE_VERSION(ANNEX_VERSION);
