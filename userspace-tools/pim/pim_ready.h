/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which of the interpreter's handlers runs an instruction, and with what.
 */
#ifndef PIM_READY_H
#define PIM_READY_H

#include "pim_exec.h"

/* The handlers of pim_exec.c itself; from PIM_READY_NR on: 4 for each plain operation. */
enum pim_ready {
	PIM_READY_DECODE,	/* not looked at yet */
	PIM_READY_OUTSIDE,	/* behind the last instruction */
	PIM_READY_ILLEGAL, PIM_READY_UNKNOWN,
	PIM_READY_LW, PIM_READY_LHU, PIM_READY_LHS, PIM_READY_LBU, PIM_READY_LBS, PIM_READY_LD,
	PIM_READY_SW, PIM_READY_SH, PIM_READY_SB, PIM_READY_SD,
	PIM_READY_LOAD, PIM_READY_STORE,	/* the others */
	PIM_READY_LDMA, PIM_READY_LDMAI, PIM_READY_SDMA,
	PIM_READY_ACQUIRE, PIM_READY_RELEASE,
	PIM_READY_BOOT, PIM_READY_RESUME, PIM_READY_CLR_RUN, PIM_READY_READ_RUN, PIM_READY_STOP,
	PIM_READY_FAULT, PIM_READY_NOP, PIM_READY_CALL, PIM_READY_MOVD, PIM_READY_SWAPD,
	PIM_READY_MUL_STEP, PIM_READY_DIV_STEP, PIM_READY_TIME, PIM_READY_TIME_CFG,
	PIM_READY_ADDS, PIM_READY_SUBS,
	PIM_READY_DONE,		/* the end of a turn */
	PIM_READY_NR
};

/* The four handlers of a plain operation. */
enum { PIM_PLAIN, PIM_PLAIN_EXTENDED, PIM_PLAIN_COND, PIM_PLAIN_COND_EXTENDED };

/* Make the instruction at @index ready in *insn, but for insn->go. */
enum pim_ready pim_ready_insn(const struct pim_dpu *dpu, uint32_t index, struct pim_insn *insn);

#endif
