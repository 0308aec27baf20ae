// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The list of commands that reach hardware.
 *
 * A frame's 7 bytes and 5 bytes of the structure before it are read as one
 * string; the structure's low bits say which of them are data. Those that are
 * not are executed one after the other: so the whole of structure and frame is
 * compared, not only the first operation.
 */
#include <stddef.h>

#include "pim_gate.h"

#define LOW56		0x00ffffffffffffffULL
#define BYTE_ORDER	0x7777777777777777ULL
#define RESET_CODE	0xf		/* of a software reset: the clock's division */
#define RESET_CYCLES	0x10		/* and whether cycles are counted on */

/* What is looked at beyond structure and frame. */
enum check {
	CHECK_NONE,
	CHECK_REGISTER,		/* of the DMA engine */
	CHECK_THREAD,		/* an instruction to a thread */
	CHECK_LOAD, CHECK_STORE,	/* of WRAM */
	CHECK_MEMORY,		/* IRAM */
};

static const struct template {
	uint64_t structure, frame;	/* data as 0 */
	enum check check;
} templates[] = {
	{ 0x0, 0x0002ff08, CHECK_NONE },		/* select all */
	{ 0x2, 0x02ff0009, CHECK_NONE },		/* ... a group */
	{ 0x2, 0x02ff000a, CHECK_NONE },		/* ... a DPU */
	{ 0x2, 0x02ff000c, CHECK_NONE },		/* move to a group */
	{ 0x0, 0x0210, CHECK_NONE },			/* read the DMA engine's register */
	{ 0x0, 0x0211, CHECK_NONE },			/* thread of a fault: DMA, */
	{ 0x0, 0x0212, CHECK_NONE },			/* ... breakpoint, */
	{ 0x0, 0x0213, CHECK_NONE },			/* ... memory */
	{ 0x0, 0x0214, CHECK_NONE },			/* its program counter */
	{ 0x0, 0x0215, CHECK_NONE },
	{ 0x0, 0x0216, CHECK_NONE },			/* mode of program counters: read, */
	{ 0x02ff0000bfULL, 0xa4ULL << 48, CHECK_NONE },	/* ... write */
	{ 0x0, 0x0280, CHECK_NONE },			/* faults: which, */
	{ 0x0, 0x02ff86, CHECK_NONE },			/* ... clear, */
	{ 0x0, 0x02ff87, CHECK_NONE },			/* ... set and step */
	{ 0x0, 0x0284, CHECK_NONE },			/* which run */
	{ 0x0, 0x0282, CHECK_NONE },			/* DMA faults, read and clear */
	{ 0x0, 0x02f4, CHECK_NONE },			/* memory faults */
	{ 0x0, 0x02b0, CHECK_NONE },			/* breakpoints: read, */
	{ 0x0, 0x02ffb2, CHECK_NONE },			/* ... clear, */
	{ 0x0, 0x02ffb3, CHECK_NONE },			/* ... set */
	{ 0x0, 0x02b4, CHECK_NONE },			/* poison: read, */
	{ 0x0, 0x02ffb6, CHECK_NONE },			/* ... clear, */
	{ 0x0, 0x02ffb7, CHECK_NONE },			/* ... set */
	{ 0x0, 0x02f0, CHECK_NONE },			/* a bit that is kept: clear, */
	{ 0x0, 0x02f2, CHECK_NONE },			/* ... set */
	{ 0x0, 0x029c, CHECK_NONE },			/* none in place of a thread's */
	{ 0x02ff003fULL, 0xa7ULL << 48, CHECK_REGISTER },
	{ 0x02ff003fULL, 0xa6ULL << 48, CHECK_NONE },	/* end of the writes to registers */
	{ 0x02470000ffULL, 0, CHECK_MEMORY },		/* write an instruction */
	{ 0x3, 0x02400000, CHECK_MEMORY },		/* read a byte of one */
	{ 0x3, 0x02410000, CHECK_MEMORY },
	{ 0x3, 0x02420000, CHECK_MEMORY },
	{ 0x3, 0x02430000, CHECK_MEMORY },
	{ 0x3, 0x02440000, CHECK_MEMORY },
	{ 0x3, 0x02450000, CHECK_MEMORY },
	{ 0x02003fULL, 0x98ULL << 48, CHECK_THREAD },
	{ 0x02003fULL, 0x99ULL << 48, CHECK_LOAD },
	{ 0x9900000003ffULL, 0, CHECK_STORE },
};

/* Operations that set up hardware: repair, timing of buses and the register file. */
static const uint8_t setup_ops[] = {
	0x04, 0x05, 0x07, 0x90, 0x91, 0x92, 0x93, 0x96, 0x97, 0xa5, 0xf6, 0xf7,
};

#define NR(array)	(sizeof(array) / sizeof((array)[0]))

/* The bits of bytes @first to @last that are data; byte n is byte n - @shift of its word. */
static uint64_t data_bits(uint64_t structure, unsigned int first, unsigned int last,
			  unsigned int shift)
{
	uint64_t bits = 0;

	for (unsigned int n = first; n <= last; n++) {
		if (structure >> n & 1)
			bits |= 0xffULL << 8 * (n - shift);
	}
	return bits;
}

static bool structure_fits(const struct template *t, uint64_t structure)
{
	return (structure & ~data_bits(t->structure, 7, 11, 5)) == t->structure;
}

static const struct template *template_of(uint64_t structure, uint64_t frame)
{
	for (size_t n = 0; n < NR(templates); n++) {
		const struct template *t = &templates[n];

		if (structure_fits(t, structure) &&
		    (frame & ~data_bits(t->structure, 0, 6, 0)) == t->frame)
			return t;
	}
	return NULL;
}

static uint8_t byte(uint64_t structure, uint64_t frame, unsigned int n)
{
	return (uint8_t)(n < 7 ? frame >> 8 * n : structure >> 8 * (n - 5));
}

/* The first operation of a frame; 0 when all is data, which none is. */
static uint8_t operation(uint64_t structure, uint64_t frame)
{
	for (unsigned int n = 0; n < 12; n++) {
		if (!(structure >> n & 1))
			return byte(structure, frame, n);
	}
	return 0;
}

/* Who has MRAM, and which register is read: the others are timing, or repair. */
static bool register_allowed(uint64_t frame)
{
	/* number and value in digits of 0x60 to 0x6f; 0x20: a register, not a repair */
	if ((frame & 0xfffff0f0f0f0ULL) != 0x206060606060ULL)
		return false;
	switch ((frame & 15) << 4 | (frame >> 8 & 15)) {
	case 0x80:
	case 0x81:
	case 0x82:
	case 0x84:
	case 0xff:
		return true;
	default:
		return false;
	}
}

/* The instruction that is in a frame, whose first byte is @n of it. */
static uint64_t instruction(uint64_t structure, uint64_t frame, unsigned int n)
{
	static const uint8_t place[6] = { 16, 40, 32, 0, 8, 24 };
	uint64_t word = 0;

	for (unsigned int i = 0; i < 6; i++)
		word |= (uint64_t)byte(structure, frame, n + i) << place[i];
	return word;
}

/*
 * Where instructions have their operands; the rest of them is fixed. Boot, resume,
 * clr_run and read_run: the number of a run bit.
 */
#define THREAD_BITS	0x0000000000ff0000ULL
#define LOAD_BITS	0x0000000000ffffffULL	/* lw: address */
#define STORE_BITS	0x0000038001f0ffffULL	/* sw: address */

static bool thread_allowed(uint64_t word, bool *moves)
{
	uint64_t base = word & ~THREAD_BITS;

	/* boot and resume; clr_run and read_run look at no memory */
	*moves = base == 0x7de320000000ULL || base == 0x7d6320000000ULL;
	return *moves || base == 0x7ce320000000ULL || base == 0x7c6330000000ULL;
}

static bool allowed(const struct pim_gate *g, const struct template *t, uint64_t frame)
{
	bool touches = true;	/* memories of the DPUs that are selected */
	uint64_t word;

	switch (t->check) {
	case CHECK_NONE:
	case CHECK_REGISTER:
		return true;
	case CHECK_MEMORY:
		break;
	case CHECK_THREAD:
		word = instruction(g->structure, frame, 0);
		if (!thread_allowed(word, &touches))
			return false;
		break;
	case CHECK_LOAD:
		word = instruction(g->structure, frame, 0);
		if ((word & ~LOAD_BITS) != 0x706344000000ULL)
			return false;
		break;
	case CHECK_STORE:
		word = instruction(g->structure, frame, 4);
		if ((word & ~STORE_BITS) != 0x7c6044000000ULL)
			return false;
		break;
	}
	return !touches || !(pim_ci_selected(&g->twin) & g->disabled);
}

static uint64_t as_structure(uint64_t structure)
{
	return (uint64_t)PIM_CI_CLASS_STRUCTURE << 56 | structure;
}

static enum pim_gate_verdict keep(const struct pim_gate *g, uint64_t *send)
{
	*send = as_structure(g->twin.state.structure);
	return PIM_GATE_KEEP;
}

static enum pim_gate_verdict refuse(uint64_t *send)
{
	*send = 0;
	return PIM_GATE_REFUSE;
}

static enum pim_gate_verdict judge_config(const struct pim_gate *g, uint64_t command,
					  uint64_t *send)
{
	uint64_t low = command & 0xffffffffffffULL;

	/* The bit order of plain wiring, and the question for it. With another, words change. */
	if (command == 0x0100000000000000ULL || command == 0x0100e4e4e4e40000ULL)
		return PIM_GATE_PASS;
	if (command >> 48 != 0x01ff)
		return refuse(send);
	if (!low)
		return PIM_GATE_PASS;	/* identity */
	if (pim_gate_is_reset(command)) {
		if (low & 0xff & ~(RESET_CODE | RESET_CYCLES))
			return refuse(send);
		if (low & RESET_CODE)
			*send = (command & ~(uint64_t)RESET_CODE) | g->division;
		return PIM_GATE_PASS;
	}
	/* thermal threshold, durations and sampling of the two buses */
	if (low >> 8 == 0x00ff00 || low >> 16 == 0x00ff || low >> 8 == 0x00ffff ||
	    low >> 24 == 0x00ff || low >> 8 == 0xff00ff)
		return keep(g, send);
	return refuse(send);
}

static enum pim_gate_verdict judge_structure(const struct pim_gate *g, uint64_t structure,
					     uint64_t *send)
{
	for (size_t n = 0; n < NR(templates); n++) {
		if (structure_fits(&templates[n], structure))
			return PIM_GATE_PASS;
	}
	/* that of a frame which is kept back, or nothing comes of it */
	return keep(g, send);
}

static enum pim_gate_verdict judge_frame(const struct pim_gate *g, uint64_t frame, uint64_t *send)
{
	const struct template *t;
	uint8_t op = operation(g->structure, frame);

	for (size_t n = 0; n < NR(setup_ops); n++) {
		if (op == setup_ops[n])
			return keep(g, send);
	}
	/* A structure that fits was let through: the interface reads the frame as we do. */
	t = template_of(g->structure, frame);
	if (!t || !allowed(g, t, frame))
		return refuse(send);
	if (t->check == CHECK_REGISTER && !register_allowed(frame))
		return keep(g, send);
	return PIM_GATE_PASS;
}

void pim_gate_init(struct pim_gate *g, uint8_t division, uint8_t disabled)
{
	*g = (struct pim_gate) { .division = division & RESET_CODE, .disabled = disabled };
	pim_ci_init(&g->twin);
}

enum pim_gate_verdict pim_gate_judge(struct pim_gate *g, uint64_t command, uint64_t *send)
{
	enum pim_gate_verdict verdict;

	*send = command;
	switch (command >> 56) {
	case 0:
		verdict = command ? refuse(send) : PIM_GATE_PASS;
		break;
	case PIM_CI_CLASS_CONFIG:
		verdict = judge_config(g, command, send);
		break;
	case PIM_CI_CLASS_STRUCTURE:
		verdict = judge_structure(g, command & LOW56, send);
		break;
	case PIM_CI_CLASS_FRAME:
		verdict = judge_frame(g, command & LOW56, send);
		break;
	case PIM_CI_CLASS_BYTE_ORDER:
		/* a question, whose answer is in no colour */
		verdict = command == BYTE_ORDER ? PIM_GATE_PASS : refuse(send);
		break;
	case PIM_CI_CLASS_NOP:
		verdict = command == ~0ULL ? PIM_GATE_PASS : refuse(send);
		break;
	default:
		verdict = refuse(send);
		break;
	}
	if (verdict == PIM_GATE_REFUSE)
		g->refused++;
	else if (verdict == PIM_GATE_KEEP)
		g->kept++;
	else if (command)
		g->passed++;
	return verdict;
}

void pim_gate_sent(struct pim_gate *g, uint64_t command, uint64_t send)
{
	const struct template *t = NULL;
	bool moves = false;

	if (send >> 56 == PIM_CI_CLASS_FRAME)
		t = template_of(g->twin.state.structure, send & LOW56);
	if (t && t->check == CHECK_THREAD)
		thread_allowed(instruction(g->twin.state.structure, send & LOW56, 0), &moves);
	g->started = g->started || moves;
	pim_ci_commit(&g->twin, send);
	if (command >> 56 == PIM_CI_CLASS_STRUCTURE)
		g->structure = command & LOW56;
	else if (pim_gate_is_reset(send))
		g->structure = g->twin.state.structure;
}

bool pim_gate_is_reset(uint64_t send)
{
	return send >> 8 == 0x01ff00000000ffULL;
}

bool pim_gate_answered(const struct pim_gate *g, uint64_t send, uint64_t result)
{
	const struct template *t = NULL;
	int errors;

	if (send >> 56 == PIM_CI_CLASS_NOP)
		return result >> 56 == 0xff;
	if (send == BYTE_ORDER)
		return true;
	if (!pim_ci_result_done(result, g->twin.state.colour, &errors))
		return false;
	if (send >> 56 == PIM_CI_CLASS_FRAME)
		t = template_of(g->twin.state.structure, send & LOW56);
	/* 0x47 is a write, 0x40 to 0x45 are not */
	if (t && (t->check == CHECK_STORE || (t->check == CHECK_MEMORY && !t->frame)))
		return (uint8_t)result == pim_ci_selected(&g->twin);
	return true;
}
