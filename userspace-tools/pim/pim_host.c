// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Commands and their results, the reset, launch and faults.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "pim_asm.h"
#include "pim_host.h"
#include "pim_isa.h"

#define RETRIES		100
#define RESET_UPDATES	40
#define RESET_MS	10000	/* far more than its few instructions take */
#define DIVISION	4
#define PC_MODE_16	4
#define MAX_INSNS	64	/* of our own programs */
#define CI_ALL		0xff

#define CONFIG(low)	(0x01ff000000000000ULL | (low))
#define STRUCTURE(low)	(0x1100000000000000ULL | (low))
#define FRAME(low)	(0x3300000000000000ULL | (low))

static void each(uint64_t commands[PIM_RANK_NR_CIS], uint8_t mask, uint64_t word)
{
	for (int c = 0; c < PIM_RANK_NR_CIS; c++)
		commands[c] = mask >> c & 1 ? word : 0;
}

/* Interfaces with DPUs in use. */
uint8_t pim_host_mask(const struct pim_host *h)
{
	return h->nr_dpus >= PIM_RANK_NR_CIS ? CI_ALL : (uint8_t)((1u << h->nr_dpus) - 1);
}

static bool is_disabled(const struct pim_host *h, unsigned int index)
{
	return h->disabled >> index & 1;
}

static int failed(const struct pim_host *h, int error, const char *what, struct ax_msg *msg)
{
	return ax_fail(msg, "%s: the %s of the rank failed: %s", h->backend->ops->name, what,
		       strerror(-error));
}

/* Is that the result of the command with this colour? */
static bool is_done(struct pim_host *h, int c, uint64_t result, const uint8_t *want)
{
	uint8_t bit = (uint8_t)(1 << c);
	int errors;

	if ((want && (uint8_t)result != want[c]) ||
	    !pim_ci_result_done(result, h->colour & bit, &errors))
		return false;
	if (errors & PIM_CI_ERROR_DECODE)
		h->decode_faults |= bit;
	if (errors & PIM_CI_ERROR_COLLISION)
		h->collisions |= bit;
	return true;
}

int pim_host_command(struct pim_host *h, const uint64_t commands[PIM_RANK_NR_CIS],
		     const uint8_t *want_selected, struct ax_msg *msg)
{
	struct pim_backend *b = h->backend;
	uint8_t left = 0, all;
	int error;

	for (int c = 0; c < PIM_RANK_NR_CIS; c++)
		left |= (uint8_t)(!!commands[c] << c);
	all = left;
	error = b->ops->commit(b, commands);
	if (error)
		return failed(h, error, "commit", msg);
	for (int n = 0; left && n <= RETRIES; n++) {
		error = b->ops->update(b, h->results);
		if (error)
			return failed(h, error, "update", msg);
		for (int c = 0; c < PIM_RANK_NR_CIS; c++) {
			if (left >> c & 1 && is_done(h, c, h->results[c], want_selected))
				left &= (uint8_t)~(1u << c);
		}
	}
	h->colour ^= all;
	if (!left)
		return 0;
	error = __builtin_ctz(left);
	return ax_fail(msg, "%s: control interface %d does not answer (0x%016llx to 0x%016llx)",
		       b->ops->name, error, (unsigned long long)h->results[error],
		       (unsigned long long)commands[error]);
}

int pim_host_frame(struct pim_host *h, uint8_t mask, uint64_t structure, uint64_t frame,
		   struct ax_msg *msg)
{
	uint64_t commands[PIM_RANK_NR_CIS];
	bool any = false;

	for (int c = 0; c < PIM_RANK_NR_CIS; c++) {
		bool send = mask >> c & 1 && h->structure[c] != STRUCTURE(structure);

		commands[c] = send ? STRUCTURE(structure) : 0;
		any = any || send;
		if (send)
			h->structure[c] = STRUCTURE(structure);
	}
	if (any && pim_host_command(h, commands, NULL, msg))
		return -1;
	each(commands, mask, FRAME(frame));
	return pim_host_command(h, commands, NULL, msg);
}

static int select_frame(struct pim_host *h, uint8_t mask, uint64_t structure, uint64_t frame,
			struct ax_msg *msg)
{
	bool known = true;

	for (int c = 0; c < PIM_RANK_NR_CIS; c++)
		known = known && (!(mask >> c & 1) || h->selection[c] == frame);
	if (known)
		return 0;
	if (pim_host_frame(h, mask, structure, frame, msg))
		return -1;
	for (int c = 0; c < PIM_RANK_NR_CIS; c++) {
		if (mask >> c & 1)
			h->selection[c] = frame;
	}
	return 0;
}

int pim_host_select(struct pim_host *h, int index, struct ax_msg *msg)
{
	if (index < 0)
		return select_frame(h, CI_ALL, 2, 0x02ff0009, msg);
	return select_frame(h, (uint8_t)(1u << index % PIM_RANK_NR_CIS), 2,
			    0x02ff000a | (uint64_t)(index / PIM_RANK_NR_CIS) << 8, msg);
}

/* --- registers of the DMA engine ------------------------------------------------- */

static int write_register(struct pim_host *h, uint8_t at, uint8_t value, struct ax_msg *msg)
{
	/* digits of 0x60 to 0x6f */
	uint64_t frame = 0xa7ULL << 48 | 0x206060606060ULL | (uint64_t)(at >> 4) |
			 (uint64_t)(at & 15) << 8 | (uint64_t)(value >> 4) << 16 |
			 (uint64_t)(value & 15) << 24;

	return pim_host_frame(h, CI_ALL, 0x02ff003f, frame, msg);
}

static int flush_registers(struct pim_host *h, struct ax_msg *msg)
{
	return pim_host_frame(h, CI_ALL, 0x02ff003f, 0xa6ULL << 48, msg);
}

/* Does the mux of DPU @line of all interfaces stand as it should? */
static int check_mux(struct pim_host *h, int line, uint8_t want, struct ax_msg *msg)
{
	for (int n = 0; n < RETRIES; n++) {
		bool right = true;

		if (select_frame(h, CI_ALL, 2, 0x02ff000a | (uint64_t)line << 8, msg) ||
		    pim_host_frame(h, CI_ALL, 0, 0x0210, msg))
			return -1;
		for (int c = 0; c < PIM_RANK_NR_CIS; c++)
			right = right && ((h->results[c] & 0x7f) == want ||
					  pim_ci_part(h->disabled, (unsigned int)c) >> line & 1);
		if (right)
			return 0;
	}
	return ax_fail(msg, "%s: the MRAM of DPU line %d does not change hands",
		       h->backend->ops->name, line);
}

int pim_host_mux(struct pim_host *h, int dpu, struct ax_msg *msg)
{
	static const uint8_t registers[] = { 0x80, 0x81, 0x82, 0x84 };

	if (h->mux == dpu)
		return 0;
	h->mux = -1;
	if (select_frame(h, CI_ALL, 0, 0x0002ff08, msg))
		return -1;
	for (unsigned int n = 0; n < sizeof(registers); n++) {
		if (write_register(h, registers[n], n == 1 ? 0 : (uint8_t)dpu, msg))
			return -1;
	}
	if (flush_registers(h, msg) || write_register(h, 0xff, 2, msg) || flush_registers(h, msg))
		return -1;
	for (int line = 0; line < PIM_CI_NR_DPUS; line++) {
		if (check_mux(h, line, dpu ? 3 : 0, msg))
			return -1;
	}
	h->mux = dpu;
	return 0;
}

/* --- instructions for the host ------------------------------------------------------ */

static int thread_op(struct pim_host *h, uint64_t base, unsigned int bit, struct ax_msg *msg)
{
	uint64_t word = base | (uint64_t)(bit & 15) << 20 | (uint64_t)(bit >> 4) << 16;
	uint64_t frame = 0x98ULL << 48 | (word >> 16 & 0xff) | (word >> 40 & 0xff) << 8 |
			 (word >> 32 & 0xff) << 16 | (word & 0xff) << 24 |
			 (word >> 8 & 0xff) << 32 | (word >> 24 & 0xff) << 40;

	return pim_host_frame(h, CI_ALL, 0x0002003f, frame, msg);
}

#define BOOT	0x7de320000000ULL
#define CLR_RUN	0x7ce320000000ULL

/* --- reset ----------------------------------------------------------------------------- */

static int soft_reset(struct pim_host *h, uint8_t division, struct ax_msg *msg)
{
	uint64_t commands[PIM_RANK_NR_CIS], results[PIM_RANK_NR_CIS];
	int error;

	each(commands, CI_ALL, CONFIG(0xff00 | division));
	error = h->backend->ops->commit(h->backend, commands);
	for (int n = 0; n < RESET_UPDATES && !error; n++)
		error = h->backend->ops->update(h->backend, results);
	if (error)
		return failed(h, error, "reset", msg);
	h->colour = 0;
	h->mux = -1;
	memset(h->structure, 0, sizeof(h->structure));
	memset(h->selection, 0, sizeof(h->selection));
	return 0;
}

static int config(struct pim_host *h, uint64_t word, struct ax_msg *msg)
{
	uint64_t commands[PIM_RANK_NR_CIS];

	each(commands, CI_ALL, word);
	return pim_host_command(h, commands, NULL, msg);
}

/* What all interfaces must answer alike. */
static int same(struct pim_host *h, const char *what, uint32_t *value, struct ax_msg *msg)
{
	*value = (uint32_t)h->results[0];
	for (int c = 1; c < PIM_RANK_NR_CIS; c++) {
		if ((uint32_t)h->results[c] != *value)
			return ax_fail(msg, "%s: interfaces 0 and %d have different %s (0x%x, 0x%x)",
				       h->backend->ops->name, c, what, *value,
				       (uint32_t)h->results[c]);
	}
	return 0;
}

static int reset_interfaces(struct pim_host *h, struct ax_msg *msg)
{
	uint32_t order;

	if (soft_reset(h, 0, msg) || config(h, 0x0100000000000000ULL, msg) ||
	    same(h, "bit orders", &order, msg))
		return -1;
	if (order != PIM_CI_BIT_ORDER)
		return ax_fail(msg, "%s: bit order 0x%08x: ranks with crossed wires are not supported",
			       h->backend->ops->name, order);
	if (soft_reset(h, DIVISION, msg) || config(h, 0x0100000000000000ULL, msg) ||
	    config(h, CONFIG(0), msg) || same(h, "chips", &h->chip_id, msg))
		return -1;
	return 0;
}

/* The host's questions about faults, which forget what they tell. */
static int clear_debug(struct pim_host *h, struct ax_msg *msg)
{
	static const uint64_t frames[] = {
		0x029c, 0x02ffb6, 0x02ffb2, 0x0282, 0x02f4, 0x02ff86, 0x02b0
	};

	for (unsigned int n = 0; n < sizeof(frames) / sizeof(frames[0]); n++) {
		if (pim_host_frame(h, CI_ALL, 0, frames[n], msg))
			return -1;
	}
	for (unsigned int bit = 0; bit < PIM_NR_RUN_BITS; bit++) {
		if (thread_op(h, CLR_RUN, bit, msg))
			return -1;
	}
	return 0;
}

static int reset_dpus(struct pim_host *h, struct ax_msg *msg)
{
	if (select_frame(h, CI_ALL, 0, 0x0002ff08, msg) || clear_debug(h, msg) ||
	    pim_host_frame(h, CI_ALL, 0x02ff0000bfULL, 0xa4ULL << 48 | PC_MODE_16, msg))
		return -1;
	for (int line = 0; line < PIM_CI_NR_DPUS; line++) {
		if (select_frame(h, CI_ALL, 2, 0x02ff000a | (uint64_t)line << 8, msg) ||
		    pim_host_frame(h, CI_ALL, 0, 0x0216, msg))
			return -1;
		for (int c = 0; c < PIM_RANK_NR_CIS; c++) {
			if ((uint8_t)h->results[c] != PC_MODE_16 &&
			    !(pim_ci_part(h->disabled, (unsigned int)c) >> line & 1))
				return ax_fail(msg, "%s: DPU %d does not take its mode",
					       h->backend->ops->name, line * PIM_RANK_NR_CIS + c);
		}
	}
	if (select_frame(h, CI_ALL, 0, 0x0002ff08, msg) ||
	    pim_host_frame(h, CI_ALL, 0, 0x02f2, msg) || pim_host_frame(h, CI_ALL, 0, 0x02f2, msg))
		return -1;
	for (int c = 0; c < PIM_RANK_NR_CIS; c++) {
		if ((uint8_t)(h->results[c] | pim_ci_part(h->disabled, (unsigned int)c)) != 0xff)
			return ax_fail(msg, "%s: DPUs of interface %d do not keep a bit (0x%02x)",
				       h->backend->ops->name, c, (uint8_t)h->results[c]);
	}
	return 0;
}

/* DPUs in use and in order: group 0; the others: group 1. */
static int set_groups(struct pim_host *h, struct ax_msg *msg)
{
	if (select_frame(h, CI_ALL, 0, 0x0002ff08, msg) ||
	    pim_host_frame(h, CI_ALL, 2, 0x02ff010c, msg))
		return -1;
	for (unsigned int n = 0; n < h->nr_dpus; n++) {
		if (is_disabled(h, n))
			continue;
		if (pim_host_select(h, (int)n, msg) ||
		    pim_host_frame(h, (uint8_t)(1u << n % PIM_RANK_NR_CIS), 2, 0x02ff000c, msg))
			return -1;
	}
	return 0;
}

/* A program that clears what only a program can: atomic bits and the counter. */
static const char internal_reset[] =
	"	move r4, id\n"
	"bits:	release r4, 0, nz, more\n"
	"more:	add r4, r4, 24\n"
	"	sub zero, r4, 256, ltu, bits\n"
	"	move r5, 7\n"
	"	time_cfg zero, r5\n"
	"	stop true, 0\n";

int pim_host_iram_write(struct pim_host *h, uint32_t at, const uint64_t *words, uint32_t count,
			struct ax_msg *msg)
{
	uint8_t want[PIM_RANK_NR_CIS];

	if (pim_host_select(h, -1, msg))
		return -1;
	memset(want, 0, sizeof(want));
	for (unsigned int n = 0; n < h->nr_dpus; n++) {
		if (!is_disabled(h, n))
			want[n % PIM_RANK_NR_CIS] |= (uint8_t)(1u << n / PIM_RANK_NR_CIS);
	}
	for (uint32_t n = 0; n < count; n++) {
		uint64_t structure = STRUCTURE(0x02470000ffULL | (uint64_t)((at + n) >> 8) << 16);
		uint64_t commands[PIM_RANK_NR_CIS];
		bool any = false;

		for (int c = 0; c < PIM_RANK_NR_CIS; c++) {
			bool send = h->structure[c] != structure;

			commands[c] = send ? structure : 0;
			h->structure[c] = structure;
			any = any || send;
		}
		if (any && pim_host_command(h, commands, NULL, msg))
			return -1;
		each(commands, CI_ALL, FRAME((words[n] & PIM_INSN_MASK) |
					     (uint64_t)((at + n) & 0xff) << 48));
		if (pim_host_command(h, commands, want, msg))
			return -1;
	}
	return 0;
}

int pim_host_run(struct pim_host *h, const char *what, const char *source, unsigned int threads,
		 struct ax_msg *msg)
{
	struct pim_asm *as = pim_asm_create();
	uint32_t count, wram, mram;
	uint64_t words[MAX_INSNS], faults;
	int status = -1;

	if (!as || pim_asm_add(as, what, source, strlen(source)) || pim_asm_link(as)) {
		ax_fail(msg, "cannot assemble the %s program: %s", what,
			as ? pim_asm_message(as) : "out of memory");
		goto out;
	}
	pim_asm_sizes(as, &count, &wram, &mram);
	if (count > MAX_INSNS) {
		ax_fail(msg, "the %s program has %u instructions", what, count);
		goto out;
	}
	for (uint32_t n = 0; n < count; n++)
		words[n] = pim_asm_insn(as, n);
	if (pim_host_iram_write(h, 0, words, count, msg))
		goto out;
	for (unsigned int bit = 0; bit < threads; bit++) {
		if (thread_op(h, BOOT, bit, msg))
			goto out;
	}
	status = pim_host_wait(h, RESET_MS, &faults, msg);
	if (!status && faults)
		status = ax_fail(msg, "%s: DPUs are in fault after their %s (0x%016llx)",
				 h->backend->ops->name, what, (unsigned long long)faults);
out:
	pim_asm_destroy(as);
	return status;
}

int pim_host_reset_without(struct pim_host *h, struct pim_backend *b, unsigned int nr_dpus,
			   uint64_t disabled, struct ax_msg *msg)
{
	*h = (struct pim_host) {
		.backend = b, .nr_dpus = nr_dpus, .disabled = disabled, .mux = -1
	};
	if (!nr_dpus || nr_dpus > PIM_RANK_NR_DPUS)
		return ax_fail(msg, "a rank has 1 to %d DPUs", PIM_RANK_NR_DPUS);
	if (reset_interfaces(h, msg) || reset_dpus(h, msg) || set_groups(h, msg) ||
	    pim_host_run(h, "reset", internal_reset, PIM_NR_THREADS, msg) ||
	    pim_host_mux(h, 0, msg))
		return -1;
	if (h->decode_faults | h->collisions)
		return ax_fail(msg, "%s: interfaces 0x%02x did not understand, 0x%02x collided",
			       b->ops->name, h->decode_faults, h->collisions);
	return 0;
}

int pim_host_reset(struct pim_host *h, struct pim_backend *b, unsigned int nr_dpus,
		   struct ax_msg *msg)
{
	return pim_host_reset_without(h, b, nr_dpus, 0, msg);
}

/* --- running ------------------------------------------------------------------------------ */

int pim_host_launch(struct pim_host *h, struct ax_msg *msg)
{
	if (pim_host_mux(h, 1, msg) || pim_host_select(h, -1, msg))
		return -1;
	return thread_op(h, BOOT, 0, msg);
}

/* From a mask of 8 bits an interface to one of 64 by index. */
static uint64_t by_index(const struct pim_host *h)
{
	uint64_t mask = 0;

	for (int c = 0; c < PIM_RANK_NR_CIS; c++) {
		for (int d = 0; d < PIM_CI_NR_DPUS; d++)
			mask |= (h->results[c] >> d & 1) << (d * PIM_RANK_NR_CIS + c);
	}
	return mask;
}

int pim_host_poll(struct pim_host *h, uint64_t *running, uint64_t *faults, struct ax_msg *msg)
{
	if (pim_host_select(h, -1, msg) || pim_host_frame(h, CI_ALL, 0, 0x0284, msg))
		return -1;
	*running = by_index(h);
	if (pim_host_frame(h, CI_ALL, 0, 0x0280, msg))
		return -1;
	*faults = by_index(h);
	*running &= ~*faults;
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int pim_host_wait(struct pim_host *h, uint64_t ms, uint64_t *faults, struct ax_msg *msg)
{
	uint64_t start = now_ms(), pause = 50000, running;

	for (;;) {
		if (pim_host_poll(h, &running, faults, msg))
			return -1;
		if (!running)
			return 0;
		if (ms && now_ms() - start >= ms)
			return ax_fail(msg, "%d of %u DPUs still run after %llu ms",
				       __builtin_popcountll(running), h->nr_dpus,
				       (unsigned long long)ms);
		if (h->backend->ops->wait) {
			h->backend->ops->wait(h->backend, 100000000);
		} else {
			struct timespec t = { .tv_nsec = (long)pause };

			nanosleep(&t, NULL);
			/* a device cannot tell: ask ever less often, up to every 5 ms */
			pause = pause < 5000000 ? pause * 2 : pause;
		}
	}
}

int pim_host_fault(struct pim_host *h, unsigned int index, struct pim_host_fault *fault,
		   struct ax_msg *msg)
{
	/* how to ask, of which thread, and what it means */
	static const struct {
		uint64_t ask, thread;
		enum pim_fault kind;
	} kinds[] = {
		{ 0x02b0, 0x0212, PIM_FAULT_BREAKPOINT },
		{ 0x02f4, 0x0213, PIM_FAULT_MEMORY },
		{ 0x0282, 0x0211, PIM_FAULT_DMA },
	};
	int c = (int)(index % PIM_RANK_NR_CIS);
	uint8_t mask = (uint8_t)(1u << c);
	struct pim_decoded d;
	uint64_t word;

	*fault = (struct pim_host_fault) { .number = ~0u };
	if (pim_host_select(h, (int)index, msg))
		return -1;
	for (int n = 0; n < 3; n++) {
		if (pim_host_frame(h, mask, 0, kinds[n].ask, msg))
			return -1;
		if (!(uint8_t)h->results[c])
			continue;
		fault->kind = kinds[n].kind;
		if (pim_host_frame(h, mask, 0, kinds[n].thread, msg))
			return -1;
		fault->thread = (uint8_t)h->results[c];
		break;
	}
	if (pim_host_frame(h, mask, 0, 0x0214, msg))
		return -1;
	fault->pc = (uint32_t)h->results[c] & 0x3f;
	if (pim_host_frame(h, mask, 0, 0x0215, msg))
		return -1;
	fault->pc |= ((uint32_t)h->results[c] & 0xff) << 6;
	/* it is behind the instruction */
	if (fault->pc)
		fault->pc--;
	if (fault->kind == PIM_FAULT_BREAKPOINT) {
		if (pim_host_iram_read(h, index, fault->pc, &word, msg))
			return -1;
		if (pim_isa_decode(word, &d) && pim_sigs[d.sig].op == PIM_OP_FAULT)
			fault->number = (uint32_t)d.value[PIM_KIND_IMM] & 0xffffff;
	}
	return 0;
}
