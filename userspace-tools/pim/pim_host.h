/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A host program's view of a rank: reset, load, launch, wait, memories,
 * symbols, faults, and what programs print. All of it goes through control
 * interfaces and transfers, so it works on any backend.
 *
 * DPU d of interface c has index d * 8 + c. The first nr_dpus of them are in
 * use; the others are kept out of everything (group 1).
 *
 * Functions return 0, or -1 with a message.
 */
#ifndef PIM_HOST_H
#define PIM_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "pim_backend.h"
#include "pim_elf.h"

struct pim_host {
	struct pim_backend *backend;
	unsigned int nr_dpus;
	uint64_t disabled;		/* of these, by index: out of order, kept out too */
	uint32_t chip_id;
	uint8_t colour;			/* of the next results, one bit an interface */
	uint64_t structure[PIM_RANK_NR_CIS];	/* as sent last; 0: none */
	uint64_t selection[PIM_RANK_NR_CIS];	/* frame of the last selection; 0: none */
	uint8_t decode_faults, collisions;	/* interfaces that reported some */
	uint64_t results[PIM_RANK_NR_CIS];
	int mux;			/* whose MRAM is it? -1: not known, 0: host, 1: DPU */
};

/* Take a rank into use: every check that the SDK makes on allocation. */
int pim_host_reset(struct pim_host *h, struct pim_backend *b, unsigned int nr_dpus,
		   struct ax_msg *msg);
/* The same, where the DPUs in @disabled are out of order. */
int pim_host_reset_without(struct pim_host *h, struct pim_backend *b, unsigned int nr_dpus,
			   uint64_t disabled, struct ax_msg *msg);
/*
 * After a reset: clear IRAM, WRAM and registers of all DPUs in use by a program
 * of their own. The first 2 KiB of their MRAM must be zero.
 */
int pim_host_scrub(struct pim_host *h, struct ax_msg *msg);
int pim_host_load(struct pim_host *h, const struct pim_program *p, struct ax_msg *msg);
/* Start thread 0 of all DPUs in use. */
int pim_host_launch(struct pim_host *h, struct ax_msg *msg);
/* Which DPUs run, and which are in fault, by index. */
int pim_host_poll(struct pim_host *h, uint64_t *running, uint64_t *faults, struct ax_msg *msg);
/* Until no DPU runs; @ms 0: for ever. -1 also when time is up. */
int pim_host_wait(struct pim_host *h, uint64_t ms, uint64_t *faults, struct ax_msg *msg);

/* What happened to a DPU in fault. */
struct pim_host_fault {
	enum pim_fault kind;	/* BREAKPOINT, MEMORY or DMA; NONE: something else */
	uint32_t thread, pc;
	uint32_t number;	/* of a breakpoint; ~0 when that is not known */
};

int pim_host_fault(struct pim_host *h, unsigned int index, struct pim_host_fault *fault,
		   struct ax_msg *msg);

/* WRAM of one DPU, or of all in use (@index -1, writing only). Any alignment. */
int pim_host_wram_write(struct pim_host *h, int index, uint32_t at, const void *bytes,
			uint32_t size, struct ax_msg *msg);
int pim_host_wram_read(struct pim_host *h, unsigned int index, uint32_t at, void *bytes,
		       uint32_t size, struct ax_msg *msg);
/* MRAM: @bytes[index], NULL for DPUs that have no part in it. Any alignment. */
int pim_host_mram_write(struct pim_host *h, uint32_t at, const void *const bytes[PIM_RANK_NR_DPUS],
			uint32_t size, struct ax_msg *msg);
int pim_host_mram_read(struct pim_host *h, uint32_t at, void *const bytes[PIM_RANK_NR_DPUS],
		       uint32_t size, struct ax_msg *msg);
/* The same instructions to all DPUs in use. */
int pim_host_iram_write(struct pim_host *h, uint32_t at, const uint64_t *words, uint32_t count,
			struct ax_msg *msg);
int pim_host_iram_read(struct pim_host *h, unsigned int index, uint32_t at, uint64_t *word,
		       struct ax_msg *msg);

/*
 * A part of a symbol of one DPU (WRAM or MRAM); @size 0: to its end. @bytes
 * must hold it.
 */
int pim_host_symbol_write(struct pim_host *h, unsigned int index, const struct pim_symbol *s,
			  uint32_t offset, const void *bytes, uint32_t size, struct ax_msg *msg);
int pim_host_symbol_read(struct pim_host *h, unsigned int index, const struct pim_symbol *s,
			 uint32_t offset, void *bytes, uint32_t size, struct ax_msg *msg);

/* Write what a program of the SDK printed into its buffer; 1: it has none. */
int pim_host_print_log(struct pim_host *h, unsigned int index, const struct pim_program *p,
		       FILE *to, struct ax_msg *msg);
/* The same from the bytes of a buffer: -1 when they are none. */
int pim_log_print(const uint8_t *bytes, size_t size, FILE *to);

/*
 * For pim_host*.c: send a command to the interfaces in @mask and wait for its
 * results. @want_selected: the low byte of a result is the mask of the DPUs
 * that were selected.
 */
int pim_host_command(struct pim_host *h, const uint64_t commands[PIM_RANK_NR_CIS],
		     const uint8_t *want_selected, struct ax_msg *msg);
/* Structure (when it is another one) and frame, the same for all in @mask. */
int pim_host_frame(struct pim_host *h, uint8_t mask, uint64_t structure, uint64_t frame,
		   struct ax_msg *msg);
/* Select all DPUs in use, or one. */
int pim_host_select(struct pim_host *h, int index, struct ax_msg *msg);
uint8_t pim_host_mask(const struct pim_host *h);
/* Assemble @source, write it to IRAM from 0 on, start @threads of all in use, wait for the end. */
int pim_host_run(struct pim_host *h, const char *what, const char *source, unsigned int threads,
		 struct ax_msg *msg);
/* Give MRAM to the DPUs (1) or the host (0). */
int pim_host_mux(struct pim_host *h, int dpu, struct ax_msg *msg);

#endif
