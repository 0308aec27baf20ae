// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What an owner left in IRAM, WRAM and registers: cleared by the DPUs
 * themselves, which is a thousand times as fast as word by word from outside.
 */
#include "pim_host.h"

#define INSNS	256	/* that one DMA writes */

/* Thread 0 copies zeros from MRAM, in the largest pieces; each clears its registers. */
static const char scrub[] =
	"	sub	zero, id, 0, nz, registers\n"
	"	move	r0, 0\n"
	"	move	r1, 0\n"
	"	move	r2, 65536\n"
	"wram:	ldma	r0, r1, 255\n"
	"	add	r0, r0, 2048\n"
	"	sub	zero, r0, r2, ltu, wram\n"
	"	move	r0, 2048\n"		/* behind this program */
	"	move	r2, 32768\n"
	"iram:	ldmai	r0, r1, 255\n"
	"	add	r0, r0, 2048\n"
	"	sub	zero, r0, r2, ltu, iram\n"
	"registers:\n"
	"	move r0, 0\n	move r1, 0\n	move r2, 0\n	move r3, 0\n"
	"	move r4, 0\n	move r5, 0\n	move r6, 0\n	move r7, 0\n"
	"	move r8, 0\n	move r9, 0\n	move r10, 0\n	move r11, 0\n"
	"	move r12, 0\n	move r13, 0\n	move r14, 0\n	move r15, 0\n"
	"	move r16, 0\n	move r17, 0\n	move r18, 0\n	move r19, 0\n"
	"	move r20, 0\n	move r21, 0\n	move r22, 0\n	move r23, 0\n"
	"	stop	true, 0\n";

int pim_host_scrub(struct pim_host *h, struct ax_msg *msg)
{
	static const uint64_t zeros[INSNS];

	return pim_host_mux(h, 1, msg) ||
	       pim_host_run(h, "scrub", scrub, PIM_NR_THREADS, msg) ||
	       pim_host_iram_write(h, 0, zeros, INSNS, msg) ||
	       pim_host_mux(h, 0, msg) ? -1 : 0;
}
