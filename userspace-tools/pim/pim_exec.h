/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between pim_dpu.c and pim_exec.c: instructions made ready to run.
 */
#ifndef PIM_EXEC_H
#define PIM_EXEC_H

#include "pim_dpu.h"

#define PIM_DMA_MAX	2048

/*
 * An instruction ready to run. Registers 32 and 33 take what goes nowhere.
 * Forms with a register and forms with an immediate are the same here: the
 * second source is register rb plus imm, one of which is nothing.
 */
struct pim_insn {
	const void *go;		/* label in pim_exec() */
	uint32_t imm;
	uint32_t imm2;		/* a stored immediate; or the mask of the high half's sign */
	uint16_t pc;		/* where to jump; or the registers that take a condition */
	uint8_t rc;		/* low or only half of the result */
	uint8_t rd;		/* high half of the result */
	uint8_t ra, rb;
	uint8_t cond;		/* index into the condition labels */
	uint8_t what;		/* details of a memory access, PIM_MEM_ */
};

#define PIM_REG_NOWHERE	32	/* and 33: for a high half */

enum {
	PIM_MEM_SIZE	= 0x03,	/* log2 of the size in bytes */
	PIM_MEM_SIGNED	= 0x04,
	PIM_MEM_BIG	= 0x08,
	PIM_MEM_SAFE	= 0x10,
	PIM_MEM_WIDE	= 0x20,	/* load: the result is extended to 64 bits */
	PIM_MEM_ID	= 0x40,	/* store: the thread's number is or-ed in */
};

/* Make all of IRAM, or one instruction, be looked at again before it runs. */
void pim_exec_reset(struct pim_dpu *dpu, uint32_t at, uint32_t count);

#endif
