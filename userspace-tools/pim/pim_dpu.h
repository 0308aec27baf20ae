/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One DPU in software: 24 threads, IRAM, WRAM, MRAM, run and atomic bits, the
 * performance counter and faults; and the interpreter that runs it.
 *
 * A DPU has no lock of its own. Whoever runs it or looks into it keeps others
 * away; only pim_dpu_running(), pim_dpu_fault() may be called at any time.
 */
#ifndef PIM_DPU_H
#define PIM_DPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIM_NR_THREADS		24
#define PIM_NR_RUN_BITS		64	/* threads, then 40 to notify */
#define PIM_NR_ATOMIC_BITS	256
#define PIM_IRAM_SIZE		4096	/* instructions */
#define PIM_IRAM_SIZE_MAX	32768
#define PIM_WRAM_SIZE		65536	/* bytes */
#define PIM_WRAM_SIZE_MAX	(1u << 24)
#define PIM_MRAM_SIZE		(64u << 20)
#define PIM_MRAM_SIZE_MAX	(1u << 31)
#define PIM_MRAM_CHUNK		65536	/* what is told apart as touched or not, bytes */

/* Why a DPU stopped. */
enum pim_fault {
	PIM_FAULT_NONE,
	PIM_FAULT_BREAKPOINT,	/* the instruction fault (bkp); value: its number */
	PIM_FAULT_MEMORY,	/* WRAM: outside, not aligned, over a safe register's end */
	PIM_FAULT_DMA,		/* outside WRAM, IRAM or MRAM; value: the address outside */
	PIM_FAULT_FETCH,	/* the program counter is outside IRAM; value: it */
	PIM_FAULT_ILLEGAL,	/* no instruction of v1A */
	PIM_FAULT_UNKNOWN,	/* hash and sats, whose results no source defines */
	PIM_FAULT_INJECTED,	/* set from outside (pim_dpu_inject) */
	PIM_FAULT_NR
};

struct pim_dpu_config {
	uint32_t iram_size;	/* instructions, 1 to PIM_IRAM_SIZE_MAX; 0: PIM_IRAM_SIZE */
	uint32_t wram_size;	/* bytes, a multiple of 8; 0: PIM_WRAM_SIZE */
	uint32_t mram_size;	/* bytes, a multiple of PIM_MRAM_CHUNK; 0: PIM_MRAM_SIZE */
};

struct pim_insn;

struct pim_thread {
	uint32_t r[34];		/* r0 to r23, the constants, two that nobody reads */
	uint32_t pc;		/* instruction, up to the size of IRAM */
	uint32_t zx;		/* the zero flag is zx == 0 */
	uint32_t cf;		/* carry flag, 0 or 1 */
};

struct pim_dpu {
	uint32_t iram_size, wram_size, mram_size;
	uint32_t mram_mask;	/* what of an MRAM address counts */
	uint64_t *iram;		/* instruction words */
	struct pim_insn *code;	/* the same, ready to run; one more at the end */
	uint8_t *wram;
	uint8_t *mram;
	bool own_mram;
	bool discard;		/* its pages are anonymous: given back when they are scrubbed */
	uint64_t *touched;	/* one bit a chunk of MRAM that may hold other than zeros */
	struct pim_thread threads[PIM_NR_THREADS];
	uint64_t run;		/* run bits */
	uint64_t atomic[PIM_NR_ATOMIC_BITS / 64];
	uint32_t next_thread;	/* whose turn it is */
	uint64_t instructions;	/* executed since creation */
	uint64_t issue_ticks;	/* issue slots used, in 1/PIM_TICKS cycles */
	uint64_t dma_ticks;	/* the same for the DMA engine */
	uint32_t time_mode;	/* what the performance counter counts, enum pim_time */
	uint64_t time_base;	/* its start */
	uint32_t fault;		/* enum pim_fault */
	uint32_t fault_thread;
	uint32_t fault_pc;	/* of the instruction; the thread's own is behind it */
	uint32_t fault_value;	/* a number, an address, or 0 */
};

#define PIM_TICKS	2520	/* divisible by 1 to 10 */

enum pim_time { PIM_TIME_SAME, PIM_TIME_CYCLES, PIM_TIME_INSTRUCTIONS, PIM_TIME_NOTHING };

/*
 * Make a DPU with zeroed memories. @mram: mram_size bytes that outlive the DPU,
 * or NULL for its own; untouched memory costs nothing either way. Returns NULL
 * with errno EINVAL (sizes) or ENOMEM.
 */
struct pim_dpu *pim_dpu_create(const struct pim_dpu_config *config, void *mram);
void pim_dpu_destroy(struct pim_dpu *dpu);

/*
 * Run up to @budget instructions, threads in turn; returns how many were run.
 * Less than asked for: no thread runs any more, or the DPU is in fault.
 */
uint64_t pim_dpu_run(struct pim_dpu *dpu, uint64_t budget);

/* Does a thread run; is the DPU in fault (then it stays as it is)? */
bool pim_dpu_running(const struct pim_dpu *dpu);
enum pim_fault pim_dpu_fault(const struct pim_dpu *dpu);
const char *pim_fault_name(enum pim_fault fault);
void pim_dpu_clear_fault(struct pim_dpu *dpu);
void pim_dpu_inject(struct pim_dpu *dpu, uint32_t value);

/* Run bits, as boot, resume, clr_run and read_run treat them; the bit as it was. */
bool pim_dpu_boot(struct pim_dpu *dpu, unsigned int bit);
bool pim_dpu_resume(struct pim_dpu *dpu, unsigned int bit);
bool pim_dpu_clear_run(struct pim_dpu *dpu, unsigned int bit);
bool pim_dpu_read_run(const struct pim_dpu *dpu, unsigned int bit);

/* Memories from outside. False: out of range, nothing was done. Addresses in bytes but for IRAM. */
bool pim_dpu_iram_write(struct pim_dpu *dpu, uint32_t at, const uint64_t *words, uint32_t count);
bool pim_dpu_iram_read(const struct pim_dpu *dpu, uint32_t at, uint64_t *words, uint32_t count);
bool pim_dpu_wram_write(struct pim_dpu *dpu, uint32_t at, const void *from, uint32_t size);
bool pim_dpu_wram_read(const struct pim_dpu *dpu, uint32_t at, void *to, uint32_t size);
bool pim_dpu_mram_write(struct pim_dpu *dpu, uint32_t at, const void *from, uint32_t size);
bool pim_dpu_mram_read(const struct pim_dpu *dpu, uint32_t at, void *to, uint32_t size);

/* Mark MRAM as written by somebody who has its pages. */
void pim_dpu_touch(struct pim_dpu *dpu, uint32_t at, uint32_t size);
/* Bytes of MRAM in chunks that were touched. */
uint64_t pim_dpu_mram_used(const struct pim_dpu *dpu);

/* All memories to zero, all bits, registers and counters as after creation. */
void pim_dpu_scrub(struct pim_dpu *dpu);
/* The same, but MRAM stays as it is. */
void pim_dpu_reset(struct pim_dpu *dpu);

/* Cycles, estimated (docs/dpu-isa.md). */
uint64_t pim_dpu_cycles(const struct pim_dpu *dpu);

#endif
