/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a parsed spec to a region: what every tool that makes one shares.
 */
#ifndef EMP_REGION_H
#define EMP_REGION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../lib/ax_err.h"
#include "emp_spec.h"

#define EMP_DRAM_DEFAULT	(4ull << 30)	/* a spec without dram, as the ancestor has it */
#define EMP_BLOCK_DEFAULT	(2u << 20)

struct emp_region_plan {
	char name[32];
	uint64_t bytes;		/* a multiple of the block size */
	uint64_t dram;
	uint32_t block;
	uint32_t flags;		/* EMP_F_* */
	uid_t uid;
	gid_t gid;
	bool force;		/* overwrite what stands on the devices */
};

/*
 * Refuse what is not built yet, resolve dram:-1 and owners, round @bytes up to
 * blocks, check that the tiers hold it. Touches no device and no module.
 * @plan->name, ->flags (AUTODESTROY) and ->force are the caller's to change.
 */
int emp_region_plan(const struct emp_spec *spec, uint64_t bytes, struct emp_region_plan *plan,
		    struct ax_msg *msg);

/*
 * Open the devices and create the region: its fd. Nothing is left on error;
 * errno is EEXIST when the name is taken.
 */
int emp_region_create(const struct emp_spec *spec, const struct emp_region_plan *plan,
		      struct ax_msg *msg);

/* Attach the first tier of @spec (and nothing else) to a region; prints nothing. */
int emp_region_add_tier(const char *name, const struct emp_spec *spec, bool force, uint32_t *id,
			struct ax_msg *msg);

/* Parse with the error put as "WHAT column N: ...". */
int emp_region_parse(const char *what, const char *text, struct emp_spec *spec,
		     struct ax_msg *msg);

#endif
