/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening the block device of a tier, and not overwriting anybody's data.
 */
#ifndef EMP_BLOCK_H
#define EMP_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/ax_err.h"

/*
 * Open @path read-write: an fd. Refuses what is no block device, too small for
 * @base + @bytes, mounted, swapped to, or (unless @force) carries a file
 * system's or a partition table's signature.
 */
int emp_block_open(const char *path, uint64_t base, uint64_t bytes, bool force,
		   struct ax_msg *msg);

#endif
