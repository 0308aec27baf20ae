/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one instruction does, said a second time and in another way than the
 * interpreter does: with wide arithmetic, which the C compiler is trusted with.
 */
#ifndef PIM_REF_H
#define PIM_REF_H

#include <stdbool.h>
#include <stdint.h>

#include "../../userspace-tools/pim/pim_isa.h"

struct ref {
	uint32_t r[32];
	bool zf, cf;
	uint32_t pc;		/* after the instruction */
};

/*
 * Do the instruction @d at @pc to *m. Only what takes registers and immediates
 * and changes registers, flags and the program counter; false for all else.
 */
bool ref_run(struct ref *m, const struct pim_decoded *d, uint32_t pc);

/* A condition by its name, for what is no plain operation: only x, source and old flag count. */
bool ref_simple_condition(unsigned int cond, uint32_t x, uint32_t source, bool old_zf);

#endif
