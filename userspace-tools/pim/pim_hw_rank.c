// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A rank of real hardware behind a gate; see pim_hw_rank.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pim_host.h"
#include "pim_hw_rank.h"

#define RETRIES		100		/* as the stock library */
#define RESET_UPDATES	40		/* time that an interface takes for a reset */
#define RESET_WORD	0x01ff00000000ff00ULL
#define ZEROS		(1u << 20)	/* bytes of MRAM cleared by one call */

/* The gates as of interfaces after a reset. */
static void close_gates(struct pim_hw *hw)
{
	for (unsigned int c = 0; c < PIM_RANK_NR_CIS; c++)
		pim_gate_init(&hw->gates[c], hw->config.division,
			      pim_ci_part(hw->config.disabled, c));
}

void pim_hw_init(struct pim_hw *hw, struct pim_backend *dev, const struct pim_hw_config *config)
{
	*hw = (struct pim_hw) { .dev = dev, .config = *config, .unknown = true };
	close_gates(hw);
}

/* Until all that were asked have answered, or it is clear that one will not. */
static int wait_for_answers(struct pim_hw *hw, const uint64_t send[PIM_RANK_NR_CIS],
			    uint64_t results[PIM_RANK_NR_CIS])
{
	for (int n = 0; n < RETRIES; n++) {
		bool all = true;
		int error = hw->dev->ops->update(hw->dev, results);

		if (error)
			return error;
		for (int c = 0; c < PIM_RANK_NR_CIS; c++)
			all = all && (!send[c] ||
				      pim_gate_answered(&hw->gates[c], send[c], results[c]));
		if (all)
			break;
	}
	/* the library reads once more, and believes that */
	return hw->dev->ops->update(hw->dev, results);
}

static int wait_for_reset(struct pim_hw *hw, uint64_t results[PIM_RANK_NR_CIS])
{
	int error = 0;

	for (int n = 0; n < RESET_UPDATES && !error; n++)
		error = hw->dev->ops->update(hw->dev, results);
	return error;
}

int pim_hw_commit(struct pim_hw *hw, const uint64_t commands[PIM_RANK_NR_CIS],
		  uint64_t results[PIM_RANK_NR_CIS])
{
	uint64_t send[PIM_RANK_NR_CIS];
	bool refused = false, reset = false;
	int error;

	for (int c = 0; c < PIM_RANK_NR_CIS; c++) {
		if (pim_gate_judge(&hw->gates[c], commands[c], &send[c]) == PIM_GATE_REFUSE) {
			refused = true;
			hw->refused = commands[c];
		}
		reset |= pim_gate_is_reset(send[c]);
	}
	if (refused)
		return -EPERM;
	error = hw->dev->ops->commit(hw->dev, send);
	if (!error)
		error = reset ? wait_for_reset(hw, results) : wait_for_answers(hw, send, results);
	/* With an error, it is not known what arrived: the client has to reset it. */
	for (int c = 0; c < PIM_RANK_NR_CIS; c++) {
		pim_gate_sent(&hw->gates[c], commands[c], send[c]);
		hw->unknown |= hw->gates[c].started;
	}
	return error;
}

int pim_hw_update(struct pim_hw *hw, uint64_t results[PIM_RANK_NR_CIS])
{
	return hw->dev->ops->update(hw->dev, results);
}

static int matrix(const struct pim_hw *hw, uint64_t mask, uint64_t offset, uint64_t bytes,
		  struct pim_matrix *m)
{
	uint64_t size = hw->config.mram_size;

	if (offset > size || bytes > size - offset || (offset | bytes) & 7 || bytes > UINT32_MAX)
		return -EINVAL;
	*m = (struct pim_matrix) { .offset = (uint32_t)offset, .size = (uint32_t)bytes };
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		if (mask >> n & 1)
			m->ptr[n] = hw->config.mram + n * size + offset;
	}
	return 0;
}

int pim_hw_load(struct pim_hw *hw, uint64_t mask, uint64_t offset, uint64_t bytes)
{
	struct pim_matrix m;

	return matrix(hw, mask, offset, bytes, &m) ?: hw->dev->ops->read(hw->dev, &m);
}

int pim_hw_store(struct pim_hw *hw, uint64_t mask, uint64_t offset, uint64_t bytes)
{
	struct pim_matrix m;
	int error = matrix(hw, mask, offset, bytes, &m);

	if (error)
		return error;
	if (!hw->to || m.offset < hw->from)
		hw->from = m.offset;
	if (m.offset + m.size > hw->to)
		hw->to = m.offset + m.size;
	return hw->dev->ops->write(hw->dev, &m);
}

/* What was written to, or all: also of DPUs that are out of order, whose MRAM is not. */
static int clear_mram(struct pim_hw *hw, struct ax_msg *msg)
{
	uint64_t at = hw->unknown ? 0 : hw->from, end = hw->unknown ? hw->config.mram_size : hw->to;
	uint8_t *zeros = calloc(1, ZEROS);
	struct pim_matrix m;
	int error = 0;

	if (!zeros)
		return ax_fail(msg, "out of memory");
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++)
		m.ptr[n] = zeros;
	for (; at < end && !error; at += m.size) {
		m.offset = (uint32_t)at;
		m.size = (uint32_t)(end - at < ZEROS ? end - at : ZEROS);
		error = hw->dev->ops->write(hw->dev, &m);
		hw->cleared += (uint64_t)m.size * PIM_RANK_NR_DPUS;
	}
	free(zeros);
	return error ? ax_fail(msg, "MRAM cannot be cleared: %s", strerror(-error)) : 0;
}

/* Interfaces as after power-on, which is what the next owner and the gates begin with. */
static int reset_interfaces(struct pim_hw *hw, struct ax_msg *msg)
{
	uint64_t commands[PIM_RANK_NR_CIS], results[PIM_RANK_NR_CIS];
	int error;

	for (int c = 0; c < PIM_RANK_NR_CIS; c++)
		commands[c] = RESET_WORD | hw->config.division;
	error = hw->dev->ops->commit(hw->dev, commands) ?: wait_for_reset(hw, results);
	return error ? ax_fail(msg, "interfaces cannot be reset: %s", strerror(-error)) : 0;
}

int pim_hw_reset(struct pim_hw *hw, struct ax_msg *msg)
{
	struct pim_host host;

	/* DPUs are stopped first: they could write behind the back of the cleaning. */
	if (pim_host_reset_without(&host, hw->dev, PIM_RANK_NR_DPUS, hw->config.disabled, msg) ||
	    clear_mram(hw, msg) || pim_host_scrub(&host, msg) || reset_interfaces(hw, msg))
		return -1;
	close_gates(hw);
	hw->unknown = false;
	hw->from = 0;
	hw->to = 0;
	return 0;
}
