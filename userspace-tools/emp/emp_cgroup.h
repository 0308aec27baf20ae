/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dram:-1: the memory limit of the caller's cgroup.
 */
#ifndef EMP_CGROUP_H
#define EMP_CGROUP_H

#include <stdint.h>

#include "../lib/ax_err.h"

/*
 * The least memory.max (v2) or memory.limit_in_bytes (v1) from the caller's
 * group up to the root. @proc: usually /proc/self/cgroup; @root: /sys/fs/cgroup.
 * -1 with a message when there is no limit.
 */
int emp_cgroup_limit(const char *proc, const char *root, uint64_t *bytes, struct ax_msg *msg);

#endif
