// SPDX-License-Identifier: LGPL-2.1-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/ax_size.h"
#include "emp_block.h"
#include "emp_cgroup.h"
#include "emp_client.h"
#include "emp_donor.h"
#include "emp_region.h"
#include "emp_sysfs.h"

int emp_region_parse(const char *what, const char *text, struct emp_spec *spec,
		     struct ax_msg *msg)
{
	struct emp_spec_error error;

	if (!emp_spec_parse(text, spec, &error))
		return 0;
	return ax_fail(msg, "%s column %u: %s", what, error.column, error.text);
}

/* One sentence for the first tier of a kind that is not built. */
static int refuse_unbuilt(const struct emp_spec *spec, struct ax_msg *msg)
{
	for (unsigned int i = 0; i < spec->nr_tiers; i++) {
		const struct emp_spec_tier *t = &spec->tiers[i];

		if (t->type == EMP_SPEC_MEMDEV)
			return ax_fail(msg,
				       "memory nodes (memdev node %u) are not built yet; use dram and block tiers, e.g. 'dram:1024|/dev/nvme0n1:8192:0'",
				       t->node);
	}
	return 0;
}

static bool is_number(const char *text)
{
	return text[0] >= '0' && text[0] <= '9';
}

static int owners(const struct emp_spec *spec, struct emp_region_plan *plan, struct ax_msg *msg)
{
	plan->uid = getuid();
	plan->gid = getgid();
	if (emp_spec_has(spec, EMP_KEY_UID)) {
		const struct passwd *pw = is_number(spec->uid) ? NULL : getpwnam(spec->uid);

		if (!pw && !is_number(spec->uid))
			return ax_fail(msg, "uid=%s: no such user", spec->uid);
		plan->uid = pw ? pw->pw_uid : strtoul(spec->uid, NULL, 10);
		if (pw)
			plan->gid = pw->pw_gid;
	}
	if (emp_spec_has(spec, EMP_KEY_GID)) {
		const struct group *gr = is_number(spec->gid) ? NULL : getgrnam(spec->gid);

		if (!gr && !is_number(spec->gid))
			return ax_fail(msg, "gid=%s: no such group", spec->gid);
		plan->gid = gr ? gr->gr_gid : strtoul(spec->gid, NULL, 10);
	}
	return 0;
}

/* The kernel takes whole blocks only; a tier given in MB may end within one. */
static uint64_t tier_bytes(const struct emp_spec_tier *tier, uint32_t block)
{
	return tier->bytes & ~(uint64_t)(block - 1);
}

/* Are they on one device, or one donor? By name: the kernel looks closer. */
static bool together(const struct emp_spec_tier *a, const struct emp_spec_tier *b)
{
	return a->type == b->type && a->port == b->port && !strcmp(a->location, b->location);
}

/* Bytes that the tiers hold of two copies: each device one, of what the region has. */
static uint64_t twice(const struct emp_spec *spec, const struct emp_region_plan *plan)
{
	bool remote = spec->redundancy == EMP_REDUNDANCY_REPLICA;
	uint64_t total = 0;

	for (unsigned int i = 0; i < spec->nr_tiers; i++) {
		const struct emp_spec_tier *t = &spec->tiers[i];
		uint64_t here = 0;

		if (remote && t->type != EMP_SPEC_RDMA)
			continue;
		for (unsigned int j = 0; j < spec->nr_tiers; j++) {
			if (!together(&spec->tiers[j], t))
				continue;
			if (j < i) {	/* it was counted with that one */
				here = 0;
				break;
			}
			here += tier_bytes(&spec->tiers[j], plan->block);
		}
		total += here < plan->bytes ? here : plan->bytes;
	}
	return total;
}

int emp_region_plan(const struct emp_spec *spec, uint64_t bytes, struct emp_region_plan *plan,
		    struct ax_msg *msg)
{
	char size[AX_HUMAN], sum[AX_HUMAN];
	uint64_t total = 0;

	memset(plan, 0, sizeof(*plan));
	if (refuse_unbuilt(spec, msg) || owners(spec, plan, msg))
		return -1;
	strcpy(plan->name, spec->name);
	plan->block = spec->block;
	if (!plan->block)
		plan->block = emp_sysfs_parameter("block_size", EMP_BLOCK_DEFAULT);
	if (!plan->block || (plan->block & (plan->block - 1)))
		return ax_fail(msg, "module parameter block_size is %u: not a power of two",
			       plan->block);
	if (!bytes)
		return ax_fail(msg, "a region of size 0 makes no sense");
	if (bytes > (uint64_t)INT64_MAX - plan->block)
		return ax_fail(msg, "the size of the region is too large");
	plan->bytes = (bytes + plan->block - 1) & ~(uint64_t)(plan->block - 1);

	if (spec->dram_cgroup) {
		if (emp_cgroup_limit("/proc/self/cgroup", "/sys/fs/cgroup", &plan->dram, msg))
			return -1;
	} else {
		plan->dram = spec->has_dram ? spec->dram : EMP_DRAM_DEFAULT;
	}
	for (unsigned int i = 0; i < spec->nr_tiers; i++) {
		uint64_t usable = tier_bytes(&spec->tiers[i], plan->block);

		if (!usable)
			return ax_fail(msg, "tier %s is smaller than one block (%u KiB)",
				       spec->tiers[i].location, plan->block >> 10);
		total += usable;
	}
	if (spec->redundancy && !spec->overcommit && plan->dram < plan->bytes) {
		total = twice(spec, plan);
		if (total / 2 < plan->bytes)
			return ax_fail(msg,
				       "the %s (%s) do not hold the region (%s) twice, with each device once at most: give larger tiers, or overcommit=1",
				       spec->redundancy == EMP_REDUNDANCY_REPLICA ? "donors" : "tiers",
				       ax_human_size(total, sum), ax_human_size(plan->bytes, size));
	}
	if (total < plan->bytes && plan->dram < plan->bytes && !spec->overcommit)
		return ax_fail(msg,
			       "the tiers (%s) do not hold the region (%s); DRAM does not count: give larger tiers, or overcommit=1",
			       ax_human_size(total, sum), ax_human_size(plan->bytes, size));
	if (spec->overcommit)
		plan->flags |= EMP_F_OVERCOMMIT;
	if (spec->pinnable)
		plan->flags |= EMP_F_PINNABLE;
	if (spec->encrypt)
		plan->flags |= EMP_F_ENCRYPT;
	if (spec->checksum == EMP_CHECK_SUM)
		plan->flags |= EMP_F_CHECKSUM;
	else if (spec->checksum == EMP_CHECK_MAC)
		plan->flags |= EMP_F_MAC;
	else if (emp_spec_has(spec, EMP_KEY_CHECKSUM))
		plan->flags |= EMP_F_NO_MAC;	/* said explicitly: not for donors either */
	plan->force = spec->force;
	return 0;
}

/* The tiers of a spec, as the kernel takes them. */
struct tiers {
	struct emp_tier_spec spec[EMP_SPEC_TIERS];
	struct emp_donor donor[EMP_SPEC_TIERS];
};

static void close_tiers(struct tiers *tiers, unsigned int n)
{
	while (n--)
		if (tiers->spec[n].fd >= 0)
			close(tiers->spec[n].fd);
	explicit_bzero(tiers->donor, sizeof(tiers->donor));
}

static int open_tier(const struct emp_spec *spec, const struct emp_spec_tier *from, bool force,
		     struct emp_tier_spec *to, struct emp_donor *donor, struct ax_msg *msg)
{
	if (from->type == EMP_SPEC_RDMA) {
		to->type = EMP_TIER_RDMA;
		to->fd = -1;
		to->base = (uintptr_t)donor;
		return emp_donor_fill(from, spec->key, donor, msg);
	}
	to->type = EMP_TIER_BLOCK;
	to->base = from->base;
	to->fd = emp_block_open(from->location, to->base, to->bytes, force, msg);
	return to->fd < 0 ? -1 : 0;
}

static int open_tiers(const struct emp_spec *spec, uint32_t block, bool force,
		      struct tiers *tiers, struct ax_msg *msg)
{
	memset(tiers, 0, sizeof(*tiers));
	for (unsigned int i = 0; i < spec->nr_tiers; i++) {
		struct emp_tier_spec *to = &tiers->spec[i];

		to->size = sizeof(*to);
		to->bytes = tier_bytes(&spec->tiers[i], block);
		to->deadline_ms = spec->deadline_ms;
		to->queue_depth = spec->queue_depth;
		if (open_tier(spec, &spec->tiers[i], force, to, &tiers->donor[i], msg)) {
			close_tiers(tiers, i);
			return -1;
		}
	}
	return 0;
}

int emp_region_create(const struct emp_spec *spec, const struct emp_region_plan *plan,
		      struct ax_msg *msg)
{
	struct tiers tiers;
	struct emp_create create = {
		.flags = plan->flags,
		.bytes = plan->bytes,
		.dram_limit = plan->dram,
		.block_size = plan->block,
		.subblock_size = spec->subblock,
		.map = spec->map,
		.wipe = spec->wipe,
		.uid = plan->uid,
		.gid = plan->gid,
		.mode = spec->mode,
		.nr_tiers = spec->nr_tiers,
		.tiers = (uintptr_t)tiers.spec,
		.pin_limit = spec->pin_limit,
		.redundancy = spec->redundancy,
	};
	int control, fd = -1, err = 0;

	memcpy(create.name, plan->name, sizeof(create.name));
	control = emp_control_open(msg);
	if (control < 0)
		return -1;
	if (!open_tiers(spec, plan->block, plan->force, &tiers, msg)) {
		fd = emp_create(control, &create, msg);
		err = errno;
		close_tiers(&tiers, spec->nr_tiers);
	}
	close(control);
	errno = err;
	return fd;
}

int emp_region_add_tier(const char *name, const struct emp_spec *spec, bool force, uint32_t *id,
			struct ax_msg *msg)
{
	struct tiers tiers;
	uint64_t block = EMP_BLOCK_DEFAULT;
	int control, ret;

	if (refuse_unbuilt(spec, msg))
		return -1;
	if (emp_sysfs_read_u64(name, "block_size", &block) || !block)
		block = EMP_BLOCK_DEFAULT;
	control = emp_control_open(msg);
	if (control < 0)
		return -1;
	if (open_tiers(spec, block, force || spec->force, &tiers, msg)) {
		close(control);
		return -1;
	}
	ret = emp_tier_add(control, name, &tiers.spec[0], msg);
	*id = tiers.spec[0].id;
	close_tiers(&tiers, spec->nr_tiers);
	close(control);
	return ret;
}
