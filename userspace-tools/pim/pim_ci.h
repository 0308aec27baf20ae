/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A control interface (CI): what the host of a rank speaks with 8 DPUs
 * through. One 64-bit word goes in (commit), one can be read (update).
 *
 * A command is a configuration word, a structure (the shape of the frames that
 * follow) or a frame. The structure's low 16 bits say which bytes of frame and
 * structure together are data; the first byte that is not is the operation.
 * Every command but EMPTY and NOP turns the colour of the result over, by which
 * the host tells it from the one before.
 */
#ifndef PIM_CI_H
#define PIM_CI_H

#include <stdbool.h>
#include <stdint.h>

#include "pim_dpu.h"

#define PIM_CI_NR_DPUS		8
#define PIM_CI_NR_GROUPS	8
#define PIM_CI_CHIP_ID		0	/* vD */
#define PIM_CI_BYTE_ORDER	0x000103ff0f8fcfefULL
#define PIM_CI_BIT_ORDER	0x0f884422u	/* of plain wiring */

/* Classes of commands: the uppermost byte. */
enum {
	PIM_CI_CLASS_CONFIG	= 0x01,
	PIM_CI_CLASS_STRUCTURE	= 0x11,
	PIM_CI_CLASS_FRAME	= 0x33,
	PIM_CI_CLASS_BYTE_ORDER	= 0x77,
	PIM_CI_CLASS_NOP	= 0xff,
};

/* What a result can say beside its colour: bits of the colour byte that are off. */
enum { PIM_CI_ERROR_DECODE = 1, PIM_CI_ERROR_COLLISION = 2 };

/* Faults of the interface itself that can be injected, each for a number of commands. */
enum pim_ci_inject {
	PIM_CI_INJECT_NONE,
	PIM_CI_INJECT_SILENT,		/* no valid result ever comes */
	PIM_CI_INJECT_COLLISION,	/* done, but reported as collided */
	PIM_CI_INJECT_DECODE,		/* not done, reported as not understood */
	PIM_CI_INJECT_COLOUR,		/* the colour does not turn */
};

enum pim_ci_target {
	PIM_CI_TARGET_NONE,
	PIM_CI_TARGET_DPU,
	PIM_CI_TARGET_ALL,
	PIM_CI_TARGET_GROUP,
};

/* What can be saved and restored as it is: no pointers. */
struct pim_ci_state {
	uint64_t result;
	uint64_t structure;
	uint8_t colour;			/* of the next result, 0 or 1 */
	uint8_t target, target_index;	/* enum pim_ci_target */
	uint8_t group[PIM_CI_NR_DPUS];	/* which group a DPU is in */
	uint8_t pc_mode[PIM_CI_NR_DPUS];
	uint8_t regs[PIM_CI_NR_DPUS][256];	/* of the DMA engine; 0x80 is the MRAM mux */
	uint8_t stack_up;		/* the rest: one bit a DPU */
	uint8_t latched;		/* its fault is in one of the following */
	uint8_t breakpoint, poison, memory, dma;
};

struct pim_ci {
	struct pim_ci_state state;
	uint32_t chip_id;
	uint8_t temperature;		/* 0 to 7 */
	struct pim_dpu *dpus[PIM_CI_NR_DPUS];	/* NULL: not there */
	/*
	 * Called before and after a command looks into a DPU, with @owner and
	 * its index: nobody runs it in between. After @release it may have
	 * threads to run that it had not before. NULL: nobody else runs it.
	 */
	void (*acquire)(void *owner, unsigned int index);
	void (*release)(void *owner, unsigned int index);
	void *owner;
	unsigned int first;		/* index of dpus[0] for the two above */
	unsigned int step;		/* and from one to the next */
	enum pim_ci_inject inject;
	uint32_t inject_count;
	uint64_t commands;		/* that did something */
};

void pim_ci_init(struct pim_ci *ci);

/* A word from the host; the result can be read at once. */
void pim_ci_commit(struct pim_ci *ci, uint64_t command);
/* The result word as it is now. */
uint64_t pim_ci_update(const struct pim_ci *ci);

/*
 * Is @result a whole answer in the colour @turned? *errors is then what it says
 * beside (PIM_CI_ERROR_*).
 */
bool pim_ci_result_done(uint64_t result, bool turned, int *errors);

/* Which DPUs the next frame is for, one bit each. */
uint8_t pim_ci_selected(const struct pim_ci *ci);
/* Whose MRAM is the DPU's, not the host's (the mux), one bit each. */
uint8_t pim_ci_mux(const struct pim_ci *ci);

#endif
