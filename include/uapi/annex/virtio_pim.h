/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The virtio-pim device: what its driver and the device share. All fields are
 * little-endian. docs/virtio-pim.md is the specification.
 */
#ifndef _UAPI_ANNEX_VIRTIO_PIM_H
#define _UAPI_ANNEX_VIRTIO_PIM_H

#include <linux/types.h>

/** VIRTIO_PIM_ID - virtio device id unless both sides are told another */
#define VIRTIO_PIM_ID		63

/* Features: bit numbers. */
#define VIRTIO_PIM_F_BATCH	0	/* VIRTIO_PIM_T_COMMIT with more than one command set */

#define VIRTIO_PIM_CIS		8	/* words of a command set */
#define VIRTIO_PIM_DPUS		64	/* index = 8 * member + interface */
#define VIRTIO_PIM_RANKS_MAX	64	/* ranks of a device */
#define VIRTIO_PIM_VPD_MAX	2048	/* bytes */
#define VIRTIO_PIM_BATCH_MAX	64	/* command sets of a request */

/**
 * struct virtio_pim_config - device configuration, read-only
 * @nr_ranks: ranks, 1..VIRTIO_PIM_RANKS_MAX
 * @nr_request_queues: queues 1..@nr_request_queues take requests; queue 0 is
 *	the control queue
 * @batch_max: command sets of one VIRTIO_PIM_T_COMMIT; 1 without
 *	VIRTIO_PIM_F_BATCH
 * @reserved: 0
 *
 * A configuration change interrupt says that VIRTIO_PIM_T_INFO may answer
 * differently now for ranks of which nothing was known.
 */
struct virtio_pim_config {
	__le32 nr_ranks;
	__le32 nr_request_queues;
	__le32 batch_max;
	__le32 reserved;
};

/** enum virtio_pim_type - requests */
enum virtio_pim_type {
	/* control queue */
	VIRTIO_PIM_T_INFO	= 1,	/* out: struct virtio_pim_info */
	VIRTIO_PIM_T_VPD	= 2,	/* out: vpd_bytes bytes */
	VIRTIO_PIM_T_OPEN	= 3,
	VIRTIO_PIM_T_CLOSE	= 4,
	/* request queues */
	VIRTIO_PIM_T_COMMIT	= 16,	/* in: __le64[n][8], out: __le64[n][8] */
	VIRTIO_PIM_T_UPDATE	= 17,	/* out: __le64[8] */
	VIRTIO_PIM_T_WRITE	= 18,	/* in: struct virtio_pim_xfer, data */
	VIRTIO_PIM_T_READ	= 19,	/* in: struct virtio_pim_xfer, out: data */
};

/**
 * struct virtio_pim_hdr - how each request begins
 * @type: enum virtio_pim_type
 * @rank: of the device, from 0
 * @reserved: 0
 */
struct virtio_pim_hdr {
	__le32 type;
	__le32 rank;
	__le64 reserved;
};

/**
 * struct virtio_pim_xfer - behind the header of a transfer
 * @mask: of DPUs, not 0; the data of each follow one another, lowest bit first
 * @offset: into the MRAM of each of them, a multiple of 8
 * @bytes: of each of them, a multiple of 8, not 0
 */
struct virtio_pim_xfer {
	__le64 mask;
	__le32 offset;
	__le32 bytes;
};

/** enum virtio_pim_status - the last byte that the device writes of a request */
enum virtio_pim_status {
	VIRTIO_PIM_S_OK		= 0,
	VIRTIO_PIM_S_INVAL	= 1,	/* the request is wrong */
	VIRTIO_PIM_S_UNSUPP	= 2,	/* unknown type, or not on this queue */
	VIRTIO_PIM_S_IOERR	= 3,	/* what the rank held is lost: close it */
	VIRTIO_PIM_S_NOTOPEN	= 4,	/* the rank is not open */
	VIRTIO_PIM_S_BUSY	= 5,	/* OPEN: others have what there is */
	VIRTIO_PIM_S_NORANK	= 6,	/* INFO, VPD, OPEN: nobody serves one */
	VIRTIO_PIM_S_FAULT	= 7,	/* memory of the request cannot be reached */
	VIRTIO_PIM_S_NOMEM	= 8,
	VIRTIO_PIM_S_QUOTA	= 9,	/* OPEN: no more ranks for this machine */
};

/**
 * struct virtio_pim_info - what a rank is
 * @nr_cis: control interfaces, 1..8
 * @nr_dpus_per_ci: DPUs of each, 1..8
 * @mram_size: bytes a DPU, a multiple of 8
 * @chip_id: answer to IDENTITY
 * @fck_mhz: frequency of the interface
 * @clock_division: of the DPUs' clock
 * @channel_id: memory channel, 255 unknown
 * @rank_index: place on its DIMM
 * @rank_count: ranks of the DIMM
 * @ci_mask: control interfaces in use
 * @vpd_bytes: of VIRTIO_PIM_T_VPD; 0: there are none
 * @byte_order: answer of the byte order command, by interface; 0: the usual
 * @mcu_version: text, NUL-terminated
 * @part_number: text, NUL-terminated
 * @serial_number: text, NUL-terminated
 */
struct virtio_pim_info {
	__le32 nr_cis;
	__le32 nr_dpus_per_ci;
	__le32 mram_size;
	__le32 chip_id;
	__le32 fck_mhz;
	__le32 clock_division;
	__le32 channel_id;
	__le32 rank_index;
	__le32 rank_count;
	__le32 ci_mask;
	__le32 vpd_bytes;
	__le32 reserved;
	__le64 byte_order[VIRTIO_PIM_CIS];
	char mcu_version[32];
	char part_number[32];
	char serial_number[16];
};

#endif
