/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The interface of /dev/dpu_rankN, as programs built for UPMEM ranks use it.
 *
 * The numbers and layouts are those that existing binaries have; nothing here
 * can grow. A rank has nr_ci control interfaces with nr_dpus_per_ci DPUs each
 * (at most 8 times 8); DPU d of interface c has the index d * 8 + c.
 *
 * Every call returns 0, or -1 with errno
 *	EFAULT	a user address is bad
 *	EINVAL	unknown call, or arguments out of range
 *	ENODEV	the rank is gone; close the file
 *	EIO	what serves the rank failed or was replaced: its contents are
 *		lost, and so is this opening of it; close the file
 *	ENOMEM
 * and never EINTR: a wait ends early only when the caller is killed.
 */
#ifndef _UAPI_ANNEX_DPU_H
#define _UAPI_ANNEX_DPU_H

#include <linux/ioctl.h>
#include <linux/types.h>

/** DPU_MAX_CIS - control interfaces of a rank, at most */
#define DPU_MAX_CIS		8
/** DPU_MAX_DPUS - DPUs of a rank, at most */
#define DPU_MAX_DPUS		64

/**
 * struct dpu_transfer - bytes between user memory and the MRAM of each DPU
 * @ptr: user address by DPU index; 0: this DPU takes no part. Any alignment
 * @offset: into the MRAM of each DPU, bytes; a multiple of 8
 * @bytes: for each DPU; a multiple of 8, @offset + @bytes at most mram_size
 *
 * A DPU that the rank does not have must be 0. The calls take the address of
 * this structure. A transfer that fails may have been done in part.
 */
struct dpu_transfer {
	__u64 ptr[DPU_MAX_DPUS];
	__u32 offset;
	__u32 bytes;
};

/**
 * struct dpu_slice - what the user of a rank tells of one control interface
 * @byte_order: not used
 * @structure_value: not used
 * @slice_target: not used
 * @host_mux_mram_state: not used
 * @dpus_per_group: not used
 * @enabled_dpus: mask of DPUs in use
 * @all_dpus_are_enabled: not 0: all of them
 * @pad: not used
 *
 * The kernel keeps @enabled_dpus and @all_dpus_are_enabled until the file is
 * closed; the rest is taken and ignored.
 */
struct dpu_slice {
	__u64 byte_order;
	__u64 structure_value;
	__u64 slice_target;
	__u8 host_mux_mram_state;
	__u8 pad0[3];
	__u32 dpus_per_group[8];
	__u32 enabled_dpus;
	__u8 all_dpus_are_enabled;
	__u8 pad[7];
};

/* The size that the number carries is that of a pointer, whatever is passed. */
#define DPU_IOC_WRITE		0x40086400u	/* to MRAM: struct dpu_transfer * */
#define DPU_IOC_READ		0x40086401u	/* from MRAM: struct dpu_transfer * */
#define DPU_IOC_COMMIT		0x40086402u	/* __u64[nr_ci]: a command each, 0 for none */
#define DPU_IOC_UPDATE		0x80086403u	/* __u64[nr_ci]: out, the last result of each */
#define DPU_IOC_DEBUG_MODE	0x40086404u	/* 0 or 1, the value itself: a second opener */
#define DPU_IOC_SLICES		0x40086405u	/* struct dpu_slice[8]; not with abi=6.4 */

#endif
