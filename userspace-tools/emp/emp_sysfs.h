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

/* Contents of NAME/NODE without the last newline; -1 with errno set. */
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
/* Is the device behind a tier of any region? */
bool emp_sysfs_uses_device(dev_t dev);
/* A module parameter (/sys/module/emp/parameters), or @fallback. */
uint64_t emp_sysfs_parameter(const char *name, uint64_t fallback);

#endif
