// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The control interface: classes of commands, results, configuration. What
 * frames do is in pim_ci_frame.c.
 */
#include <string.h>

#include "pim_ci_priv.h"

static void soft_reset(struct pim_ci *ci)
{
	struct pim_ci_state *s = &ci->state;

	s->colour = 0;
	s->structure = 0;
	s->target = PIM_CI_TARGET_NONE;
	s->target_index = 0;
	memset(s->group, 0, sizeof(s->group));
}

void pim_ci_init(struct pim_ci *ci)
{
	memset(&ci->state, 0, sizeof(ci->state));
	ci->inject = PIM_CI_INJECT_NONE;
	ci->inject_count = 0;
	ci->commands = 0;
	soft_reset(ci);
}

uint64_t pim_ci_update(const struct pim_ci *ci)
{
	return ci->state.result;
}

bool pim_ci_result_done(uint64_t result, bool turned, int *errors)
{
	int bits = __builtin_popcount((uint8_t)(result >> 48));

	if (result >> 56 != 0xff && (result & 0xff0000ff00000000ULL) != 0x000000ff00000000ULL)
		return false;
	if (turned ? bits <= 3 : bits >= 5)
		return false;
	*errors = (turned ? 8 - bits : bits) & 3;
	return true;
}

uint8_t pim_ci_selected(const struct pim_ci *ci)
{
	const struct pim_ci_state *s = &ci->state;
	uint8_t mask = 0;

	for (unsigned int n = 0; n < PIM_CI_NR_DPUS; n++) {
		bool in = s->target == PIM_CI_TARGET_ALL ||
			  (s->target == PIM_CI_TARGET_DPU && s->target_index == n) ||
			  (s->target == PIM_CI_TARGET_GROUP && s->group[n] == s->target_index);

		mask |= (uint8_t)(in << n);
	}
	return mask;
}

uint8_t pim_ci_mux(const struct pim_ci *ci)
{
	uint8_t mask = 0;

	for (unsigned int n = 0; n < PIM_CI_NR_DPUS; n++)
		mask |= (uint8_t)((ci->state.regs[n][PIM_CI_REG_MUX] & 1) << n);
	return mask;
}

/* Returns false when there is no such command. */
static bool configure(struct pim_ci *ci, uint64_t command, uint32_t *payload)
{
	uint64_t low = command & 0xffffffffffffULL;

	if (command >> 48 == 0x0100) {
		*payload = PIM_CI_BIT_ORDER;
		return true;
	}
	if (command >> 48 != 0x01ff)
		return false;
	if (!low) {
		*payload = ci->chip_id;
		return true;
	}
	if (low >> 8 == 0x0000ff) {
		soft_reset(ci);
		return true;
	}
	/* thermal threshold, durations and sampling of the two buses: nothing to time here */
	return low >> 8 == 0x00ff00 || low >> 16 == 0x00ff || low >> 8 == 0x00ffff ||
	       low >> 24 == 0x00ff || low >> 8 == 0xff00ff;
}

/* The colour byte; @errors are bits that deviate. */
static uint64_t colour_byte(bool colour, unsigned int errors)
{
	/* one bit off: not understood; two: collided; three: both */
	static const uint8_t off[4] = { 0x00, 0x01, 0x03, 0x07 };

	return (uint64_t)((colour ? 0xff : 0x00) ^ off[errors & 3]) << 48;
}

static enum pim_ci_inject injected(struct pim_ci *ci)
{
	if (!ci->inject_count)
		return PIM_CI_INJECT_NONE;
	ci->inject_count--;
	return ci->inject;
}

void pim_ci_commit(struct pim_ci *ci, uint64_t command)
{
	struct pim_ci_state *s = &ci->state;
	enum pim_ci_inject inject;
	unsigned int errors = 0;
	uint32_t payload = 0;
	bool colour, known = true;

	if (!command)
		return;
	if (command >> 56 == PIM_CI_CLASS_NOP) {
		s->result |= 0xffULL << 56;
		return;
	}
	ci->commands++;
	inject = injected(ci);
	/* a command that resets the colour is answered in the old one */
	colour = s->colour;
	if (inject != PIM_CI_INJECT_COLOUR)
		s->colour ^= 1;
	if (inject == PIM_CI_INJECT_SILENT) {
		s->result = colour_byte(colour, 0);
		return;
	}
	if (command == 0x7777777777777777ULL) {
		s->result = PIM_CI_BYTE_ORDER;
		return;
	}
	if (inject == PIM_CI_INJECT_DECODE) {
		known = false;
	} else {
		switch (command >> 56) {
		case PIM_CI_CLASS_CONFIG:
			known = configure(ci, command, &payload);
			break;
		case PIM_CI_CLASS_STRUCTURE:
			s->structure = command & 0xffffffffffffffULL;
			break;
		case PIM_CI_CLASS_FRAME:
			known = pim_ci_frame(ci, command & 0xffffffffffffffULL, &payload);
			break;
		default:
			known = false;
			break;
		}
	}
	errors = (known ? 0 : PIM_CI_ERROR_DECODE) |
		 (inject == PIM_CI_INJECT_COLLISION ? PIM_CI_ERROR_COLLISION : 0);
	s->result = colour_byte(colour, errors) |
		    (uint64_t)((1u << ci->temperature) - 1) << 40 | 0xffULL << 32 | payload;
}
