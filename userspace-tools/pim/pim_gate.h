/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A gate before a control interface of real hardware: which of a client's
 * commands reach it. Pure: no calls, no memory of its own.
 *
 * Hardware takes commands that no client of a shared rank may give: those to
 * the microcontroller of the DIMM, to the repair of memories, to clocks and
 * timing; and a word means something else once the bit order was changed. So a
 * command passes only if it is, bit by bit, one of those that a program needs
 * (select, groups, run and fault state, IRAM, WRAM, threads, who has MRAM). The
 * stock library also sends repair and timing whenever it takes a rank into use:
 * these are kept back, and the interface gets its present structure once more
 * in their place, which changes nothing but turns the colour as the library
 * expects. Everything else is refused.
 */
#ifndef PIM_GATE_H
#define PIM_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "pim_ci.h"

enum pim_gate_verdict {
	PIM_GATE_PASS,
	PIM_GATE_KEEP,		/* repair, timing: answered, without effect */
	PIM_GATE_REFUSE,
};

struct pim_gate {
	/* the interface as it must be now: colour, structure, groups, selection; it has no DPUs */
	struct pim_ci twin;
	uint64_t structure;	/* what the client believes it is */
	uint8_t division;	/* of the clock, as in a software reset: the only one let through */
	uint8_t disabled;	/* DPUs whose memories nobody may touch, one bit each */
	bool started;		/* a thread was, since this was last set to false */
	uint64_t passed, kept, refused;
};

/* @division: code of a software reset: 0 for /8, 4 for /4, 3 for /3, 8 for /2. */
void pim_gate_init(struct pim_gate *g, uint8_t division, uint8_t disabled);

/*
 * Judge @command. *send is the word for the interface (0: none); for
 * PIM_GATE_REFUSE it is 0. Changes nothing but the counters.
 */
enum pim_gate_verdict pim_gate_judge(struct pim_gate *g, uint64_t command, uint64_t *send);

/* The client gave @command, and @send of it went to the interface. */
void pim_gate_sent(struct pim_gate *g, uint64_t command, uint64_t send);

/* Does @send ask for a software reset, after which the interface needs a while? */
bool pim_gate_is_reset(uint64_t send);

/*
 * Is @result the answer to @send, which is not yet told by pim_gate_sent()?
 * Writes to IRAM and WRAM also name the DPUs that took them.
 */
bool pim_gate_answered(const struct pim_gate *g, uint64_t send, uint64_t result);

#endif
