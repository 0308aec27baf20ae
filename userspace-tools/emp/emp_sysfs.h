/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading and writing /sys/fs/emp.
 */
#ifndef EMP_SYSFS_H
#define EMP_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../lib/ax_err.h"

#define EMP_SYSFS_VALUE	4096	/* a node is at most a page */

const char *emp_sysfs_root(void);

/* Contents of NAME/NODE without spaces and newlines at the end; -1 with errno set. */
int emp_sysfs_read(const char *name, const char *node, char out[EMP_SYSFS_VALUE]);
int emp_sysfs_read_u64(const char *name, const char *node, uint64_t *value);
/* -1 with a message that says what the kernel objected to. */
int emp_sysfs_write(const char *name, const char *node, const char *value, struct ax_msg *msg);

/*
 * Sorted names below a directory of the root ("": regions, "vm0/tiers": tiers),
 * ended by NULL, to be given to emp_sysfs_free(). Numbers sort as numbers.
 */
char **emp_sysfs_list(const char *dir);
void emp_sysfs_free(char **names);

/* Is there such a region? */
bool emp_sysfs_exists(const char *name);
/* What the tiers there are do with a range of a device. */
enum emp_device_use {
	EMP_DEVICE_FREE,	/* no tier is on the device */
	EMP_DEVICE_BESIDE,	/* one is, but not on this range */
	EMP_DEVICE_OVERLAPS,	/* one is on a part of the range; @who names it */
};

enum emp_device_use emp_sysfs_device_use(dev_t dev, uint64_t base, uint64_t bytes, char *who,
					 size_t size);
/* A module parameter (/sys/module/emp/parameters), or @fallback. */
uint64_t emp_sysfs_parameter(const char *name, uint64_t fallback);

#endif
