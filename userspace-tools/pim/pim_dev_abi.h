/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stock driver's calls on /dev/dpu_rankN, as SDK 2021.3 to 2025.1 make
 * them. Their size field is that of a pointer.
 */
#ifndef PIM_DEV_ABI_H
#define PIM_DEV_ABI_H

#include <stdint.h>
#include <sys/ioctl.h>

#define PIM_DEV_WRITE_TO_RANK	_IOW('d', 0, void *)	/* struct pim_dev_matrix */
#define PIM_DEV_READ_FROM_RANK	_IOW('d', 1, void *)	/* struct pim_dev_matrix */
#define PIM_DEV_COMMIT_COMMANDS	_IOW('d', 2, void *)	/* uint64_t[8] */
#define PIM_DEV_UPDATE_COMMANDS	_IOR('d', 3, void *)	/* uint64_t[8] */

/* The driver copies 520 bytes; newer libraries have one more word, 0 for the usual kind. */
struct pim_dev_matrix {
	uint64_t ptr[64];
	uint32_t offset;
	uint32_t size;
	uint32_t type;
	uint32_t pad;
};

_Static_assert(PIM_DEV_COMMIT_COMMANDS == 0x40086402, "number of the stock driver");
_Static_assert(PIM_DEV_UPDATE_COMMANDS == 0x80086403, "number of the stock driver");

#endif
