// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every signature of the instruction set, executed: registers, flags, program
 * counter, memories and bits after it are those that the reference (pim_ref.c)
 * or the text here says, and nothing else changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../userspace-tools/pim/pim_dis.h"
#include "../../userspace-tools/pim/pim_dpu.h"
#include "pim_gen.h"
#include "pim_ref.h"

#define ROUNDS	300

static unsigned int test_nr, failures, complaints;
static unsigned int executed[PIM_NR_SIGS];
static struct pim_dpu *dpu;

/* One instruction, and all that it starts from. */
struct shot {
	struct pim_decoded d;
	const struct pim_sig *s;
	uint64_t word;
	uint32_t id, pc;
	struct ref before, want;
	uint8_t wram[PIM_WRAM_SIZE];	/* as it should be after it */
	enum pim_fault fault;
	bool runs;			/* the thread's run bit after it */
};

static struct shot shot;

static void result(bool ok, const char *name)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", ++test_nr, name);
	failures += !ok;
}

static bool complain(const char *what, uint64_t got, uint64_t want)
{
	char text[PIM_DIS_MAX];
	unsigned int sig;

	pim_dis_insn(shot.word, text, &sig);
	if (complaints++ < 40)
		printf("# %s:%s  %s: %s is 0x%llx, not 0x%llx\n", shot.s->mnemonic, shot.s->form,
		       text, what, (unsigned long long)got, (unsigned long long)want);
	return false;
}

/* A fresh thread with random registers before the instruction of that signature. */
static void aim(unsigned int sig)
{
	struct pim_thread *t;
	int64_t value[PIM_KIND_NR];

	pim_dpu_clear_fault(dpu);
	shot.word = pim_gen_insn(sig, value);
	pim_isa_decode(shot.word, &shot.d);
	shot.s = &pim_sigs[sig];
	shot.id = pim_gen() % PIM_NR_THREADS;
	shot.pc = pim_gen() % (PIM_IRAM_SIZE - 1);
	pim_dpu_iram_write(dpu, shot.pc, &shot.word, 1);
	t = &dpu->threads[shot.id];
	for (int n = 0; n < PIM_NR_GPR; n++)
		t->r[n] = pim_gen_word();
	t->pc = shot.pc;
	shot.before.zf = pim_gen() & 1;
	shot.before.cf = pim_gen() & 1;
	t->zx = !shot.before.zf;
	t->cf = shot.before.cf;
	memcpy(shot.before.r, t->r, sizeof(shot.before.r));
	dpu->run = 1ULL << shot.id;
	shot.want = shot.before;
	shot.want.pc = shot.pc + 1;
	shot.fault = PIM_FAULT_NONE;
	shot.runs = true;
	memcpy(shot.wram, dpu->wram, sizeof(shot.wram));
}

/* Run it and compare. */
static bool fire(void)
{
	struct pim_thread *t = &dpu->threads[shot.id];
	uint32_t pc = shot.want.pc < PIM_IRAM_SIZE ? shot.want.pc : PIM_IRAM_SIZE;
	bool ok = true;

	pim_dpu_run(dpu, 1);
	executed[shot.d.sig]++;
	for (int n = 0; n < 32; n++) {
		if (t->r[n] != shot.want.r[n])
			ok = complain(n < PIM_NR_GPR ? "a register" : "a constant", t->r[n],
				      shot.want.r[n]);
	}
	if (dpu->fault != shot.fault)
		ok = complain("the fault", dpu->fault, shot.fault);
	if (t->pc != pc)
		ok = complain("the program counter", t->pc, pc);
	if (!t->zx != shot.want.zf)
		ok = complain("the zero flag", !t->zx, shot.want.zf);
	if (t->cf != shot.want.cf)
		ok = complain("the carry flag", t->cf, shot.want.cf);
	if ((dpu->run >> shot.id & 1) != shot.runs)
		ok = complain("the run bit", dpu->run >> shot.id & 1, shot.runs);
	if (memcmp(dpu->wram, shot.wram, sizeof(shot.wram)))
		ok = complain("WRAM", 1, 0);
	return ok;
}

static uint32_t reg(unsigned int kind)
{
	return shot.before.r[shot.d.value[kind]];
}

/* Let register ra hold that; false when it is a constant. */
static bool let_ra(uint32_t value)
{
	int64_t n = shot.d.value[PIM_KIND_RA];

	if (n >= PIM_NR_GPR)
		return false;
	dpu->threads[shot.id].r[n] = value;
	shot.before.r[n] = value;
	shot.want.r[n] = value;
	return true;
}

/* The jump of the forms with condition and target. */
static void want_jump(uint32_t x, uint32_t source)
{
	if (ref_simple_condition(shot.d.cond, x, source, shot.before.zf))
		shot.want.pc = (uint32_t)shot.d.value[PIM_KIND_PC];
}

/* --- plain operations ------------------------------------------------------------- */

static bool plain(void)
{
	return ref_run(&shot.want, &shot.d, shot.pc) && fire();
}

/* --- loads and stores ---------------------------------------------------------------- */

struct access {
	unsigned int size;
	bool is_signed, store, id;
};

static bool find_access(unsigned int op, struct access *a)
{
	const char *name = pim_op_names[op];

	a->store = name[0] == 's';
	a->id = strstr(name, "_id");
	a->is_signed = name[2] == 's';
	switch (name[1]) {
	case 'b':
		a->size = 1;
		break;
	case 'h':
		a->size = 2;
		break;
	case 'w':
		a->size = 4;
		break;
	default:
		a->size = 8;
		break;
	}
	return true;
}

static uint64_t load_bytes(uint32_t at, unsigned int size, bool big)
{
	uint64_t value = 0;

	for (unsigned int n = 0; n < size; n++)
		value |= (uint64_t)shot.wram[at + n] << 8 * (big ? size - 1 - n : n);
	return value;
}

static void store_bytes(uint32_t at, unsigned int size, bool big, uint64_t value)
{
	for (unsigned int n = 0; n < size; n++)
		shot.wram[at + n] = (uint8_t)(value >> 8 * (big ? size - 1 - n : n));
}

static uint64_t stored_value(const struct access *a)
{
	if (pim_isa_has(shot.d.sig, PIM_KIND_DB))
		return (uint64_t)reg(PIM_KIND_DB) << 32 |
		       shot.before.r[shot.d.value[PIM_KIND_DB] + 1];
	if (pim_isa_has(shot.d.sig, PIM_KIND_RB))
		return reg(PIM_KIND_RB);
	return (uint64_t)shot.d.value[PIM_KIND_IMM] | (a->id ? shot.id : 0);
}

static void want_loaded(const struct access *a, uint64_t value)
{
	unsigned int bits = 8 * a->size;

	if ((a->is_signed || shot.s->ext == 1) && bits < 64 && value >> (bits - 1))
		value |= ~0ULL << bits;
	if (pim_isa_has(shot.d.sig, PIM_KIND_RC)) {
		shot.want.r[shot.d.value[PIM_KIND_RC]] = (uint32_t)value;
	} else {
		shot.want.r[shot.d.value[PIM_KIND_DC]] = (uint32_t)(value >> 32);
		shot.want.r[shot.d.value[PIM_KIND_DC] + 1] = (uint32_t)value;
	}
}

static bool access(void)
{
	bool safe = strchr(shot.s->form, 's'), beyond = false;
	uint32_t off = (uint32_t)shot.d.value[PIM_KIND_OFF], base, at;
	bool big = shot.d.value[PIM_KIND_ENDIAN];
	struct access a;

	find_access(shot.s->op, &a);
	/* most of the time to where there is memory */
	if (pim_gen() % 8) {
		uint32_t where = pim_gen() % PIM_WRAM_SIZE & ~(a.size - 1);

		if (safe)
			let_ra(((where - off) & 0xffff) |
			       (pim_gen() % 4 ? 0xffffu : pim_gen() & 0xffff) << 16);
		else
			let_ra(where - off + (pim_gen() % 16 ? 0 : 1));
	}
	base = reg(PIM_KIND_RA);
	at = (base + off) & 0xffffff;
	if (safe) {
		int64_t end = (int64_t)(base & 0xffff) + (int32_t)off + (a.size > 1 ? a.size : 0);

		at = (uint32_t)((base & 0xffff) + off) & 0xffffff;
		beyond = end >= (int64_t)(base >> 16);
		if (beyond)
			at = ((base & 0xffff) + off) & 0xffff & ~(a.size - 1);
	}
	if (at % a.size || at + a.size > PIM_WRAM_SIZE) {
		shot.fault = PIM_FAULT_MEMORY;
		return fire();
	}
	if (a.store)
		store_bytes(at, a.size, big, stored_value(&a));
	else
		want_loaded(&a, load_bytes(at, a.size, big));
	if (beyond)
		shot.fault = PIM_FAULT_MEMORY;
	return fire();
}

/* add and sub on safe registers */
static bool safe_arithmetic(void)
{
	bool imm = pim_isa_has(shot.d.sig, PIM_KIND_IMM), add = shot.s->op == PIM_OP_ADD;
	uint32_t a, b, x;
	int64_t low;

	if (pim_gen() % 2)
		let_ra(pim_gen() % 65536 | pim_gen() << 16);
	a = reg(PIM_KIND_RA);
	b = imm ? (uint32_t)shot.d.value[PIM_KIND_IMM] : reg(PIM_KIND_RB);
	x = add ? a + b : a - b;
	low = (int64_t)(a & 0xffff) + (add ? (int32_t)b : -(int64_t)(int32_t)b);
	shot.want.cf = add ? x < a : a >= b;
	if (low < 0 || low > 0xffff) {
		x = (x & 0xffffff) | shot.id << 25;
		shot.fault = PIM_FAULT_MEMORY;
	}
	shot.want.zf = !x;
	shot.want.r[shot.d.value[PIM_KIND_RC]] = x;
	return fire();
}

/* --- DMA ------------------------------------------------------------------------------ */

static bool dma(void)
{
	static uint8_t bytes[2048];
	uint32_t near, far, size, op = shot.s->op;
	int64_t rb = shot.d.value[PIM_KIND_RB];
	uint64_t words[256];
	bool ok;

	if (pim_gen() % 4) {
		near = pim_gen() % (op == PIM_OP_LDMAI ? 16384u : 60000u);
		let_ra(near | (pim_gen() % 3) << 24);
		if (rb != shot.d.value[PIM_KIND_RA]) {
			uint32_t value = 0x08000000 + pim_gen() % (PIM_MRAM_SIZE - 2048);

			dpu->threads[shot.id].r[rb] = value;
			shot.before.r[rb] = value;
			shot.want.r[rb] = value;
		}
	}
	near = reg(PIM_KIND_RA) & 0xfffff8;
	far = reg(PIM_KIND_RB) & (PIM_MRAM_SIZE - 1) & ~7u;
	size = (uint32_t)shot.d.value[PIM_KIND_IMMDMA] + (reg(PIM_KIND_RA) >> 24);
	size = 8 * (1 + (size & 255));
	if ((uint64_t)far + size > PIM_MRAM_SIZE ||
	    (op == PIM_OP_LDMAI ? near / 8 + size / 8 > PIM_IRAM_SIZE :
				  near + size > PIM_WRAM_SIZE)) {
		shot.fault = PIM_FAULT_DMA;
		return fire();
	}
	for (uint32_t n = 0; n < size; n++)
		bytes[n] = (uint8_t)pim_gen();
	if (op == PIM_OP_SDMA) {
		memcpy(shot.wram + near, bytes, size);
		pim_dpu_wram_write(dpu, near, bytes, size);
	} else {
		pim_dpu_mram_write(dpu, far, bytes, size);
		if (op == PIM_OP_LDMA)
			memcpy(shot.wram + near, bytes, size);
	}
	/* the instruction itself may be what ldmai overwrites: it was read before */
	ok = fire();
	if (op == PIM_OP_SDMA && memcmp(dpu->mram + far, bytes, size))
		ok = complain("MRAM", 1, 0);
	if (op == PIM_OP_LDMAI) {
		pim_dpu_iram_read(dpu, near / 8, words, size / 8);
		for (uint32_t n = 0; n < size / 8; n++) {
			uint64_t want;

			memcpy(&want, bytes + 8 * n, 8);
			if (words[n] != (want & PIM_INSN_MASK))
				ok = complain("IRAM", words[n], want & PIM_INSN_MASK);
		}
	}
	return ok;
}

/* --- bits and threads ------------------------------------------------------------------- */

static unsigned int bit_number(void)
{
	uint32_t value = reg(PIM_KIND_RA) + (uint32_t)shot.d.value[PIM_KIND_IMM];

	return (value ^ value >> 8) & 0xff;
}

static bool atomic(void)
{
	unsigned int bit = bit_number();
	bool was = pim_gen() & 1, acquire = shot.s->op == PIM_OP_ACQUIRE, ok;

	dpu->atomic[bit / 64] &= ~(1ULL << bit % 64);
	dpu->atomic[bit / 64] |= (uint64_t)was << bit % 64;
	shot.want.zf = !was;
	want_jump(was, 0);
	ok = fire();
	if ((dpu->atomic[bit / 64] >> bit % 64 & 1) != acquire)
		ok = complain("the atomic bit", !acquire, acquire);
	return ok;
}

static bool thread_bits(void)
{
	unsigned int bit = bit_number() % PIM_NR_RUN_BITS, op = shot.s->op;
	bool was = bit == shot.id || pim_gen() & 1, after, ok;

	if (was)
		dpu->run |= 1ULL << bit;
	if (bit < PIM_NR_THREADS && bit != shot.id)
		dpu->threads[bit].pc = 77;
	shot.want.zf = !was;
	want_jump(was, reg(PIM_KIND_RA));
	after = op == PIM_OP_READ_RUN ? was : op != PIM_OP_CLR_RUN;
	if (bit == shot.id)
		shot.runs = after;
	/* nobody else runs but this thread: it has the first turn */
	dpu->next_thread = shot.id;
	ok = fire();
	if ((dpu->run >> bit & 1) != after)
		ok = complain("a run bit", !after, after);
	if (bit < PIM_NR_THREADS && bit != shot.id &&
	    dpu->threads[bit].pc != (op == PIM_OP_BOOT && !was ? 0 : 77))
		ok = complain("a started thread's counter", dpu->threads[bit].pc, 0);
	return ok;
}

static bool stop(void)
{
	shot.runs = false;
	want_jump(1, shot.id);
	return fire();
}

/* --- the rest ----------------------------------------------------------------------------- */

static bool call(void)
{
	uint32_t target = reg(PIM_KIND_RA) + (uint32_t)shot.d.value[PIM_KIND_OFF];

	if (pim_isa_has(shot.d.sig, PIM_KIND_RB))
		target += reg(PIM_KIND_RB);
	shot.want.pc = target & 0xffff;
	if (pim_isa_has(shot.d.sig, PIM_KIND_RC))
		shot.want.r[shot.d.value[PIM_KIND_RC]] = shot.pc + 1;
	return fire();
}

static bool move_pair(void)
{
	int64_t from = shot.d.value[PIM_KIND_DB], to = shot.d.value[PIM_KIND_DC];
	bool swap = shot.s->op == PIM_OP_SWAPD;

	shot.want.r[to] = shot.before.r[from + swap];
	shot.want.r[to + 1] = shot.before.r[from + !swap];
	want_jump(0, 0);
	return fire();
}

static bool step(void)
{
	int64_t from = shot.d.value[PIM_KIND_DB], to = shot.d.value[PIM_KIND_DC];
	uint32_t even = shot.before.r[from], odd = shot.before.r[from + 1];
	uint32_t a = reg(PIM_KIND_RA);
	uint32_t shifted = (uint32_t)((uint64_t)a << shot.d.value[PIM_KIND_SHIFT]);

	if (shot.s->op == PIM_OP_MUL_STEP) {
		if (even % 2)
			shot.want.r[to + 1] = odd + shifted;
		shot.want.r[to] = even / 2;
		shot.want.zf = !(even / 2);
		want_jump(even / 2, a);
	} else {
		shot.want.r[to] = even * 2 + (odd >= shifted);
		if (odd >= shifted)
			shot.want.r[to + 1] = odd - shifted;
		want_jump(0, a);
	}
	return fire();
}

/* The counter: instructions, which the test can count. */
static bool timing(void)
{
	uint32_t b = pim_isa_has(shot.d.sig, PIM_KIND_RB) ? reg(PIM_KIND_RB) : 0, x;
	uint64_t passed = (uint64_t)pim_gen() << 4 | (pim_gen() & 15);
	int64_t to = -1;
	bool cfg = shot.s->op == PIM_OP_TIME_CFG, ok;

	dpu->time_mode = PIM_TIME_INSTRUCTIONS;
	dpu->time_base = dpu->instructions - passed;
	x = (uint32_t)(passed >> 4);
	if (pim_isa_has(shot.d.sig, PIM_KIND_RC))
		to = shot.d.value[PIM_KIND_RC];
	if (pim_isa_has(shot.d.sig, PIM_KIND_DC)) {
		to = shot.d.value[PIM_KIND_DC] + 1;
		shot.want.r[to - 1] = shot.s->ext == 1 && x >> 31 ? ~0u : 0;
	}
	if (to >= 0)
		shot.want.r[to] = x;
	want_jump(x, 0);
	ok = fire();
	if (cfg && (b >> 1 & 3) && dpu->time_mode != (b >> 1 & 3))
		ok = complain("what the counter counts", dpu->time_mode, b >> 1 & 3);
	if (cfg && b & 1 && dpu->time_mode == PIM_TIME_INSTRUCTIONS &&
	    dpu->instructions - dpu->time_base != 1)
		ok = complain("the counter after its reset", dpu->instructions - dpu->time_base, 1);
	if (cfg && !(b & 1) && dpu->time_mode == PIM_TIME_NOTHING && 0 - dpu->time_base != passed)
		ok = complain("the halted counter", 0 - dpu->time_base, passed);
	return ok;
}

static bool faulting(void)
{
	bool ok;

	shot.fault = shot.s->op == PIM_OP_FAULT ? PIM_FAULT_BREAKPOINT : PIM_FAULT_UNKNOWN;
	ok = fire();
	if (dpu->fault_thread != shot.id || dpu->fault_pc != shot.pc)
		ok = complain("where the fault is", dpu->fault_pc, shot.pc);
	if (shot.s->op == PIM_OP_FAULT &&
	    dpu->fault_value != ((uint32_t)shot.d.value[PIM_KIND_IMM] & 0xffffff))
		ok = complain("the fault's number", dpu->fault_value, 0);
	return ok;
}

static bool one(unsigned int sig)
{
	aim(sig);
	switch (shot.s->op) {
	case PIM_OP_LW: case PIM_OP_LHU: case PIM_OP_LHS: case PIM_OP_LBU: case PIM_OP_LBS:
	case PIM_OP_LD: case PIM_OP_SW: case PIM_OP_SH: case PIM_OP_SB: case PIM_OP_SD:
	case PIM_OP_SW_ID: case PIM_OP_SH_ID: case PIM_OP_SB_ID: case PIM_OP_SD_ID:
		return access();
	case PIM_OP_LDMA: case PIM_OP_LDMAI: case PIM_OP_SDMA:
		return dma();
	case PIM_OP_ACQUIRE: case PIM_OP_RELEASE:
		return atomic();
	case PIM_OP_BOOT: case PIM_OP_RESUME: case PIM_OP_CLR_RUN: case PIM_OP_READ_RUN:
		return thread_bits();
	case PIM_OP_STOP:
		return stop();
	case PIM_OP_CALL:
		return call();
	case PIM_OP_NOP: case PIM_OP_TELL:
		return fire();
	case PIM_OP_MOVD: case PIM_OP_SWAPD:
		return move_pair();
	case PIM_OP_MUL_STEP: case PIM_OP_DIV_STEP:
		return step();
	case PIM_OP_TIME: case PIM_OP_TIME_CFG:
		return timing();
	case PIM_OP_FAULT: case PIM_OP_HASH: case PIM_OP_SATS:
		return faulting();
	default:
		return shot.s->form[0] == 's' ? safe_arithmetic() : plain();
	}
}

int main(void)
{
	unsigned int left = 0;

	dpu = pim_dpu_create(NULL, NULL);
	if (!dpu) {
		puts("Bail out! no memory for a DPU");
		return 1;
	}
	for (int n = 0; n < PIM_WRAM_SIZE; n++)
		dpu->wram[n] = (uint8_t)pim_gen();
	printf("KTAP version 1\n1..%d\n", PIM_OP_NR + 1);
	for (unsigned int op = 0; op < PIM_OP_NR; op++) {
		unsigned int count = 0;
		bool ok = true;
		char name[64];

		for (unsigned int sig = 0; sig < PIM_NR_SIGS; sig++) {
			if (pim_sigs[sig].op != op)
				continue;
			count++;
			for (int n = 0; n < ROUNDS; n++)
				ok = one(sig) && ok;
		}
		snprintf(name, sizeof(name), "%s: %u signatures", pim_op_names[op], count);
		result(ok && count, name);
	}
	for (unsigned int sig = 0; sig < PIM_NR_SIGS; sig++)
		left += executed[sig] < ROUNDS;
	result(!left, "every signature was executed");
	pim_dpu_destroy(dpu);
	return failures != 0;
}
