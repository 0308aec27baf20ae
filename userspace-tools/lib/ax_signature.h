/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands on a block device, for those who are about to write over it. */
#ifndef AX_SIGNATURE_H
#define AX_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What libblkid finds on the device behind @fd, e.g. "the signature of ext4",
 * and also what cannot be read; false: nothing does.
 */
bool ax_signature(int fd, char *what, size_t size);

#endif
