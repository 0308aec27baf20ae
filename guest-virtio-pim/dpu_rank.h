/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What lies below dpu.ko: a module that has ranks registers each with a table
 * of operations. A rank of a virtio device in a guest, and one of the arbiter
 * on its host (pim_local.ko), look the same to programs.
 *
 * Calls: dpu.ko calls open first; then commit, update, write and read, from
 * any number of threads at once, until release. No operation is under way when
 * release is called, and none is called once dpu_rank_unregister() returned.
 * All are called in process context and may sleep; every wait of theirs must
 * be bounded, and must end only for fatal signals (killable, never
 * interruptible: the programs do not know EINTR).
 *
 * Errors: -EIO when the contents of the rank are lost, -ENODEV when it is
 * gone, -ENOMEM; anything else is passed on to the program as it is.
 */
#ifndef DPU_RANK_H
#define DPU_RANK_H

#include <linux/bvec.h>
#include <linux/types.h>

#include "../include/uapi/annex/dpu.h"

struct device;
struct dpu_rank;
struct module;

/* Pages of user memory that one call of write or read carries, at most. */
#define DPU_XFER_PAGES	8192

/**
 * struct dpu_xfer_part - the piece of a transfer that belongs to one DPU
 * @dpu: its index, ci + 8 * member
 * @nr: elements of @vec
 * @vec: pinned user memory in order, @bytes of the transfer in all; adjacent
 *	pages are joined, so an element may be larger than a page
 */
struct dpu_xfer_part {
	u32 dpu;
	u32 nr;
	struct bio_vec *vec;
};

/**
 * struct dpu_xfer - a transfer, or a part of one that is too large
 * @offset: into the MRAM of each DPU, a multiple of 8
 * @bytes: for each DPU, a multiple of 8 and not 0; checked against mram_size
 * @nr: elements of @part, at least 1
 * @part: one a DPU
 */
struct dpu_xfer {
	u32 offset;
	u32 bytes;
	u32 nr;
	struct dpu_xfer_part part[DPU_MAX_DPUS];
};

/**
 * struct dpu_rank_ops - what a provider of ranks implements
 * @owner: THIS_MODULE of the provider: it stays while a file is open
 * @open: a program has opened the rank, which was closed before; its contents
 *	are clean or the error is -EBUSY (in use by others), -EIO (nobody serves
 *	it). Optional
 * @release: the last file was closed. Optional
 * @commit: give a command to each control interface (0: none to this one), and
 *	put what they answer into @results (as @update). Both have
 *	DPU_MAX_CIS elements
 * @batch: as @commit, @n sets of DPU_MAX_CIS commands and results, one set after
 *	the other, 1 to batch_max.
 *	Optional; see dpu_rank_info.batch_max
 * @update: fetch the current result word of each control interface
 * @write: user memory to MRAM
 * @read: MRAM to user memory
 */
struct dpu_rank_ops {
	struct module *owner;
	int (*open)(struct dpu_rank *rank);
	void (*release)(struct dpu_rank *rank);
	int (*commit)(struct dpu_rank *rank, const u64 *cmds, u64 *results);
	int (*batch)(struct dpu_rank *rank, const u64 *cmds, u64 *results, u32 n);
	int (*update)(struct dpu_rank *rank, u64 *results);
	int (*write)(struct dpu_rank *rank, const struct dpu_xfer *x);
	int (*read)(struct dpu_rank *rank, const struct dpu_xfer *x);
};

/**
 * struct dpu_rank_info - what a rank is; shown in sysfs
 * @nr_cis: control interfaces, 1..8
 * @nr_dpus_per_ci: DPUs of each, 1..8
 * @mram_size: bytes of MRAM a DPU; a multiple of 8, less than 2 GiB
 * @chip_id: what IDENTITY answers
 * @fck_mhz: frequency of the interface
 * @clock_division: the DPUs' clock is that of the interface divided by this
 * @channel_id: memory channel, 255 unknown
 * @rank_index: place on its DIMM; not 255
 * @rank_count: ranks of its DIMM
 * @batch_max: a request costs so much that up to that many commands whose answers
 *	are known should wait for each other, up to 256; 0: no
 * @ci_mask: control interfaces in use
 * @byte_order: answer of the byte order command by interface, 0 for the
 *	usual 0x000103ff0f8fcfef
 * @mcu_version: text, or ""
 * @part_number: text, or ""
 * @serial_number: text, or ""
 * @vpd: vital product data as programs read it, or NULL for "nothing wrong"
 * @vpd_bytes: at most 2048
 */
struct dpu_rank_info {
	u32 nr_cis;
	u32 nr_dpus_per_ci;
	u32 mram_size;
	u32 chip_id;
	u32 fck_mhz;
	u32 clock_division;
	u32 channel_id;
	u32 rank_index;
	u32 rank_count;
	u32 batch_max;
	u8 ci_mask;
	u64 byte_order[DPU_MAX_CIS];
	char mcu_version[32];
	char part_number[32];
	char serial_number[16];
	const void *vpd;
	u32 vpd_bytes;
};

/**
 * dpu_rank_register - make /dev/dpu_rankN
 * @parent: device that it hangs below, or NULL
 * @info: copied
 * @ops: must stay until dpu_rank_unregister()
 * @priv: for the provider, see dpu_rank_priv()
 *
 * N is the lowest number that is free. Returns the rank or an ERR_PTR: -EINVAL
 * for an @info out of range, -ENOMEM, -ENOSPC no number left.
 */
struct dpu_rank *dpu_rank_register(struct device *parent, const struct dpu_rank_info *info,
				   const struct dpu_rank_ops *ops, void *priv);

/**
 * dpu_rank_unregister - take the rank away, whoever has it open
 * @rank: not to be used after this
 *
 * Waits for operations under way, which the provider should have made to end
 * before. Files that are open stay, and answer -ENODEV to everything.
 */
void dpu_rank_unregister(struct dpu_rank *rank);

/** dpu_rank_priv - what was given to dpu_rank_register() */
void *dpu_rank_priv(const struct dpu_rank *rank);

/** dpu_rank_number - N of /dev/dpu_rankN */
int dpu_rank_number(const struct dpu_rank *rank);

#endif
