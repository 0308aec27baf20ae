/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Small transfers, one DPU at a time: programs make many of them, and where a
 * request is expensive each costs as much as a large one.
 *
 * Writes are kept and sent together, when they are to the same bytes of other
 * DPUs, or go on where the last one ended. Reads that follow such a pattern
 * bring the same bytes of all DPUs, or what comes next of this one.
 *
 * What a program sees does not change: MRAM is written to by DPUs only after a
 * command that gives it to them, so what was kept is sent before any command
 * that the rank is asked, and what was read ahead is forgotten with it, and
 * after DPU_SMALL_MS in any case. No byte that was read ahead is given out
 * twice, so whoever looks again looks at the rank.
 *
 * An error of a write that was kept comes too late for its program: every call
 * fails from then on, until the rank is closed.
 *
 * This is the logic, without locks and without the kernel: tests/unit builds it too.
 */
#ifndef DPU_SMALL_H
#define DPU_SMALL_H

#ifdef __KERNEL__
#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/types.h>
#else
#include "kshim.h"
#endif

#define DPU_SMALL_DPUS		64
#define DPU_SMALL_BYTES		1024u	/* of a transfer that is small, at most */
#define DPU_SMALL_BUFFER	(DPU_SMALL_DPUS * DPU_SMALL_BYTES)
#define DPU_SMALL_AHEAD		16384u	/* bytes read of one DPU */
#define DPU_SMALL_WINDOWS	4	/* patterns that are followed at a time */
#define DPU_SMALL_MS		10	/* what was read ahead is good that long */

/**
 * struct dpu_small_io - how the rank is reached
 * @move: @bytes at @offset of @nr DPUs, the numbers of which are in @dpus, from or
 *	(@read) to @data, one DPU behind the other; 0 or a negative errno
 * @ctx: for @move
 * @all: mask of the DPUs that there are
 * @mram_size: bytes of each
 * @now: ms, from any beginning
 * @merge: keep writes
 * @prefetch: read ahead
 */
struct dpu_small_io {
	int (*move)(void *ctx, bool read, const u8 *dpus, u32 nr, u32 offset, u32 bytes,
		    void *data);
	void *ctx;
	u64 all;
	u32 mram_size;
	u64 now;
	bool merge;
	bool prefetch;
};

/**
 * struct dpu_small_window - one pattern of reads, and what was read ahead for it
 * @data: DPU_SMALL_BUFFER bytes
 * @offset: of what is there
 * @bytes: of each DPU
 * @ahead: DPUs of which some was not given out yet
 * @single: only one DPU, of which more than was asked for is there
 * @next: then: first byte that was not given out
 * @when: ms
 * @dpu: who was read last, from @last_offset on, @last_bytes
 * @last_offset: see @dpu
 * @last_bytes: see @dpu; 0: none
 * @used: larger is later
 */
struct dpu_small_window {
	u8 *data;
	u32 offset;
	u32 bytes;
	u64 ahead;
	bool single;
	u32 next;
	u64 when;
	u32 dpu;
	u32 last_offset;
	u32 last_bytes;
	u64 used;
};

/**
 * struct dpu_small - small transfers of a rank
 * @window: patterns of reads
 * @clock: of @window[].used
 * @data: of writes, DPU_SMALL_BUFFER bytes, one DPU behind the other
 * @dpus: to whom
 * @nr: how many; 0: there are none
 * @offset: to where
 * @bytes: of each
 * @error: of writes that were kept
 * @direct: the rank has failed before: nothing is kept any more, errors come at once
 * @merged: writes that needed no request of their own
 * @hits: reads that needed none
 * @ahead_bytes: read ahead
 */
struct dpu_small {
	struct dpu_small_window window[DPU_SMALL_WINDOWS];
	u64 clock;
	u8 *data;
	u8 dpus[DPU_SMALL_DPUS];
	u32 nr;
	u32 offset;
	u32 bytes;
	int error;
	bool direct;
	u64 merged;
	u64 hits;
	u64 ahead_bytes;
};

void dpu_small_reset(struct dpu_small *s);
int dpu_small_write(struct dpu_small *s, const struct dpu_small_io *io, u32 dpu, u32 offset,
		    u32 bytes, const void *from);
int dpu_small_read(struct dpu_small *s, const struct dpu_small_io *io, u32 dpu, u32 offset,
		   u32 bytes, void *to);
int dpu_small_send(struct dpu_small *s, const struct dpu_small_io *io);
void dpu_small_forget(struct dpu_small *s);
void dpu_small_forget_range(struct dpu_small *s, u32 offset, u32 bytes);

#endif
