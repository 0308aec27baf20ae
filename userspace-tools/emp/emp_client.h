/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Talking to emp.ko: the ioctls of /dev/emp-control, the mount at /dev/emp.
 *
 * The environment may name other places, for tests without the module:
 * EMP_CONTROL the control device, EMP_SYSFS what stands for /sys/fs/emp,
 * EMP_MOUNT the mount point.
 *
 * Functions return 0 (or an fd) or -1 with a message that says what to do.
 */
#ifndef EMP_CLIENT_H
#define EMP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <annex/emp.h>

#include "../lib/ax_err.h"

const char *emp_control_path(void);
const char *emp_mount_path(void);
/* out: at least 256 bytes; "MOUNT/NAME" */
void emp_region_path(const char *name, char *out, size_t size);

/* Open the control device: an fd. */
int emp_control_open(struct ax_msg *msg);

int emp_info(int control, struct emp_info *info, struct ax_msg *msg);
/* Returns the fd of the region (close on exec). */
int emp_create(int control, struct emp_create *create, struct ax_msg *msg);
int emp_destroy(int control, const char *name, struct ax_msg *msg);
int emp_tier_add(int control, const char *name, struct emp_tier_spec *tier, struct ax_msg *msg);
int emp_tier_remove(int control, const char *name, uint32_t id, uint32_t timeout_ms, bool force,
		    struct ax_msg *msg);
/* Names of all regions, to be freed by the caller. */
int emp_list(int control, char (**names)[EMP_NAME_LEN], uint32_t *count, struct ax_msg *msg);

/* The word for an enum emp_event_type. */
const char *emp_event_name(uint32_t type);

/* Is empfs mounted at the mount point? */
bool emp_mounted(void);
/* Mount it there unless it is; makes the directory. */
int emp_mount(struct ax_msg *msg);
int emp_umount(struct ax_msg *msg);

#endif
