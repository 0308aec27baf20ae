// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The interpreter: threaded code over instructions that are made ready when
 * they run for the first time.
 *
 * A thread runs for a quantum, then the next one has its turn; one that waits
 * for an atomic bit gives up the rest. Nothing here reaches outside a DPU: the
 * registers of an instruction were checked when it was made ready, jumps go to
 * an instruction or to the one after the last, which faults, and every access
 * to memory is checked.
 */
#include <endian.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pim_exec.h"
#include "pim_isa.h"
#include "pim_ready.h"

#define QUANTUM		64
#define PIPELINE	11	/* cycles from one instruction of a thread to its next */
#define DMA_LATENCY	77	/* cycles; and half a cycle a byte */
#define ALWAYS		static inline __attribute__((always_inline))

static inline uint32_t pim_clz(uint32_t x)
{
	return x ? (uint32_t)__builtin_clz(x) : 32;
}

/* Byte by byte: 1 where equal. */
static inline uint32_t pim_cmpb4(uint32_t a, uint32_t b)
{
	uint32_t x = a ^ b;

	/* bit 7 of a byte: is it not zero? */
	x = ((x & 0x7f7f7f7f) + 0x7f7f7f7f) | x;
	return ~x >> 7 & 0x01010101;
}

/* Step on; where to, or @out when the quantum is over. */
ALWAYS const void *next(const struct pim_insn **ip, uint32_t *left, const void *out)
{
	++*ip;
	return --*left ? (*ip)->go : out;
}

ALWAYS const void *jump(const struct pim_insn *to, const struct pim_insn **ip, uint32_t *left,
			const void *out)
{
	*ip = to;
	return --*left ? (*ip)->go : out;
}

ALWAYS const void *branch(bool taken, const struct pim_insn *code, const struct pim_insn **ip,
			  uint32_t *left, const void *out)
{
	*ip = taken ? code + (*ip)->pc : *ip + 1;
	return --*left ? (*ip)->go : out;
}

/* The running instruction is the last one of this turn; returns the shorter quantum. */
static inline uint32_t yield(uint32_t quantum, uint32_t *left)
{
	quantum -= *left - 1;
	*left = 1;
	return quantum;
}

/* The forms that store their condition. */
static inline void store(uint32_t *r, const struct pim_insn *ip, bool value)
{
	r[ip->pc >> 8] = 0;
	r[ip->pc & 0xff] = value;
}

static inline uint32_t bit_number(uint32_t value)
{
	return (value >> 8 ^ value) & 0xff;
}

static uint64_t cycles_of(uint64_t issue, uint64_t dma)
{
	return (issue > dma ? issue : dma) / PIM_TICKS;
}

static inline bool wram_holds(const struct pim_dpu *dpu, uint32_t at, uint32_t size)
{
	return at < dpu->wram_size && size <= dpu->wram_size - at;
}

static inline bool mram_holds(const struct pim_dpu *dpu, uint32_t at, uint32_t size)
{
	return at < dpu->mram_size && size <= dpu->mram_size - at;
}

static void set_fault(struct pim_dpu *dpu, enum pim_fault fault, uint32_t thread, uint32_t pc,
		      uint32_t value)
{
	dpu->fault_thread = thread;
	dpu->fault_pc = pc;
	dpu->fault_value = value;
	__atomic_store_n(&dpu->fault, fault, __ATOMIC_RELEASE);
}

/*
 * Any access to WRAM but the plain little-endian ones. Returns false for a
 * memory fault, *at is the address then. A safe register holds the end of its
 * object in its upper half: over that, the access still happens, at the address
 * cut to 16 bits, and faults.
 */
static bool access_any(struct pim_dpu *dpu, const struct pim_insn *ip, uint32_t *r, bool write,
		       uint32_t *at)
{
	uint32_t size = 1u << (ip->what & PIM_MEM_SIZE);
	uint32_t a = r[ip->ra];
	uint64_t value = 0;
	bool beyond = false;
	uint32_t address;

	if (ip->what & PIM_MEM_SAFE) {
		/* a byte is compared with the end itself, wider ones with what is behind them */
		int32_t over = (int32_t)((a & 0xffff) + ip->imm + (size > 1 ? size : 0) -
					 (a >> 16));

		address = (a & 0xffff) + ip->imm;
		beyond = over >= 0;
		if (beyond)
			address &= 0xffff & ~(size - 1);
		address &= 0xffffff;
	} else {
		address = (a + ip->imm) & 0xffffff;
	}
	*at = address;
	if ((address & (size - 1)) || !wram_holds(dpu, address, size))
		return false;
	if (write) {
		if (ip->rb == PIM_REG_ZERO) {
			value = (uint64_t)(int64_t)(int32_t)ip->imm2;
			if (ip->what & PIM_MEM_ID)
				value |= r[PIM_REG_ID];
		} else if (size == 8) {
			value = (uint64_t)r[ip->rb] << 32 | r[ip->rb + 1];
		} else {
			value = r[ip->rb];
		}
		value = ip->what & PIM_MEM_BIG ? htobe64(value << (64 - 8 * size)) :
						 htole64(value);
		memcpy(dpu->wram + address, &value, size);
		return !beyond;
	}
	memcpy(&value, dpu->wram + address, size);
	value = ip->what & PIM_MEM_BIG ? be64toh(value) >> (64 - 8 * size) : le64toh(value);
	if (ip->what & PIM_MEM_SIGNED && size < 8)
		value = (uint64_t)((int64_t)(value << (64 - 8 * size)) >> (64 - 8 * size));
	if (ip->what & PIM_MEM_WIDE || size == 8)
		r[ip->rd] = (uint32_t)(value >> 32);
	r[ip->rc] = (uint32_t)value;
	return !beyond;
}

enum dma { DMA_LOAD, DMA_LOAD_INSNS, DMA_STORE };

/* Returns the number of bytes, or 0 for a fault with the address outside in *at. */
static uint32_t transfer(struct pim_dpu *dpu, enum dma kind, uint32_t a, uint32_t b, uint32_t imm,
			 uint32_t *at)
{
	uint32_t near = a & 0xfffff8, far = b & dpu->mram_mask & ~7u;
	uint32_t size = (1 + ((imm + (a >> 24)) & 0xff)) * 8;
	uint64_t words[PIM_DMA_MAX / 8];

	*at = far;
	if (!mram_holds(dpu, far, size))
		return 0;
	*at = near;
	if (kind == DMA_LOAD_INSNS) {
		memcpy(words, dpu->mram + far, size);
		for (uint32_t n = 0; n < size / 8; n++)
			words[n] = le64toh(words[n]);
		return pim_dpu_iram_write(dpu, near / 8, words, size / 8) ? size : 0;
	}
	if (!wram_holds(dpu, near, size))
		return 0;
	if (kind == DMA_LOAD) {
		memcpy(dpu->wram + near, dpu->mram + far, size);
	} else {
		memcpy(dpu->mram + far, dpu->wram + near, size);
		pim_dpu_touch(dpu, far, size);
	}
	return size;
}

/* What the performance counter's source shows, @ran instructions after the turn's begin. */
static uint64_t counted(const struct pim_dpu *dpu, uint32_t ran, uint32_t cost)
{
	switch (dpu->time_mode) {
	case PIM_TIME_CYCLES:
		return cycles_of(dpu->issue_ticks + (uint64_t)ran * cost, dpu->dma_ticks);
	case PIM_TIME_INSTRUCTIONS:
		return dpu->instructions + ran;
	default:
		return 0;
	}
}

/* The performance counter's value, [35:4] of it; then set it up anew when asked to. */
static uint32_t counter(struct pim_dpu *dpu, bool configure, uint32_t config, uint32_t ran,
			uint32_t cost)
{
	uint64_t value = counted(dpu, ran, cost) - dpu->time_base;
	uint32_t mode = config >> 1 & 3;

	if (!configure)
		return (uint32_t)(value >> 4);
	if (mode != PIM_TIME_SAME)
		dpu->time_mode = mode;
	/* it goes on from what it showed, or from 0 */
	dpu->time_base = counted(dpu, ran, cost) - (config & 1 ? 0 : value);
	return (uint32_t)(value >> 4);
}

static const void *const *labels;	/* by enum pim_ready */

/*
 * Give a thread its turn; returns the instructions it ran. The labels belong
 * to this one copy of the function. Without a DPU it only makes them known.
 */
static __attribute__((noinline, noclone)) uint32_t
run_thread(struct pim_dpu *dpu, uint32_t id, uint32_t quantum, uint32_t cost, bool alone)
{
#include "pim_exec_labels.inc"
	const void *const out = others[PIM_READY_DONE];
	uint32_t a = 0, b = 0, x = 0, s = 0, p = 0, q = 0, old = 0, at = 0, left, zx, cf, *r;
	const struct pim_insn *code, *ip;
	struct pim_thread *thread;
	uint64_t wide;
	uint16_t half;
	bool bit;

	if (!dpu) {
		labels = others;
		return 0;
	}
	thread = &dpu->threads[id];
	code = dpu->code;
	ip = code + thread->pc;
	r = thread->r;
	left = quantum;
	zx = thread->zx;
	cf = thread->cf;
	goto *ip->go;

decode:
	x = pim_ready_insn(dpu, (uint32_t)(ip - code), &dpu->code[ip - code]);
	dpu->code[ip - code].go = x < PIM_READY_NR ? others[x] :
		plain[(x - PIM_READY_NR) / 4][(x - PIM_READY_NR) % 4];
	goto *ip->go;

#include "pim_exec_ops.inc"

lw:
	at = (r[ip->ra] + ip->imm) & 0xffffff;
	if ((at & 3) || at >= dpu->wram_size)
		goto memory_fault;
	memcpy(&x, dpu->wram + at, 4);
	r[ip->rc] = le32toh(x);
	goto *next(&ip, &left, out);
lhu:
	at = (r[ip->ra] + ip->imm) & 0xffffff;
	if ((at & 1) || at >= dpu->wram_size)
		goto memory_fault;
	memcpy(&half, dpu->wram + at, 2);
	r[ip->rc] = le16toh(half);
	goto *next(&ip, &left, out);
lhs:
	at = (r[ip->ra] + ip->imm) & 0xffffff;
	if ((at & 1) || at >= dpu->wram_size)
		goto memory_fault;
	memcpy(&half, dpu->wram + at, 2);
	r[ip->rc] = (uint32_t)(int32_t)(int16_t)le16toh(half);
	goto *next(&ip, &left, out);
lbu:
	at = (r[ip->ra] + ip->imm) & 0xffffff;
	if (at >= dpu->wram_size)
		goto memory_fault;
	r[ip->rc] = dpu->wram[at];
	goto *next(&ip, &left, out);
lbs:
	at = (r[ip->ra] + ip->imm) & 0xffffff;
	if (at >= dpu->wram_size)
		goto memory_fault;
	r[ip->rc] = (uint32_t)(int32_t)(int8_t)dpu->wram[at];
	goto *next(&ip, &left, out);
ld:
	at = (r[ip->ra] + ip->imm) & 0xffffff;
	if ((at & 7) || at >= dpu->wram_size)
		goto memory_fault;
	memcpy(&wide, dpu->wram + at, 8);
	wide = le64toh(wide);
	r[ip->rd] = (uint32_t)(wide >> 32);
	r[ip->rc] = (uint32_t)wide;
	goto *next(&ip, &left, out);
sw:
	at = (r[ip->ra] + ip->imm) & 0xffffff;
	if ((at & 3) || at >= dpu->wram_size)
		goto memory_fault;
	x = htole32(r[ip->rb] + ip->imm2);
	memcpy(dpu->wram + at, &x, 4);
	goto *next(&ip, &left, out);
sh:
	at = (r[ip->ra] + ip->imm) & 0xffffff;
	if ((at & 1) || at >= dpu->wram_size)
		goto memory_fault;
	half = htole16((uint16_t)(r[ip->rb] + ip->imm2));
	memcpy(dpu->wram + at, &half, 2);
	goto *next(&ip, &left, out);
sb:
	at = (r[ip->ra] + ip->imm) & 0xffffff;
	if (at >= dpu->wram_size)
		goto memory_fault;
	dpu->wram[at] = (uint8_t)(r[ip->rb] + ip->imm2);
	goto *next(&ip, &left, out);
sd:
	at = (r[ip->ra] + ip->imm) & 0xffffff;
	if ((at & 7) || at >= dpu->wram_size)
		goto memory_fault;
	wide = htole64((uint64_t)r[ip->rb] << 32 | r[ip->rb + 1]);
	memcpy(dpu->wram + at, &wide, 8);
	goto *next(&ip, &left, out);
load:
	if (!access_any(dpu, ip, r, false, &at))
		goto memory_fault;
	goto *next(&ip, &left, out);
store_any:
	if (!access_any(dpu, ip, r, true, &at))
		goto memory_fault;
	goto *next(&ip, &left, out);

ldma:
	x = transfer(dpu, DMA_LOAD, r[ip->ra], r[ip->rb], ip->imm, &at);
	goto transferred;
sdma:
	x = transfer(dpu, DMA_STORE, r[ip->ra], r[ip->rb], ip->imm, &at);
	goto transferred;
ldmai:
	x = transfer(dpu, DMA_LOAD_INSNS, r[ip->ra], r[ip->rb], ip->imm, &at);
transferred:
	if (!x) {
		set_fault(dpu, PIM_FAULT_DMA, id, (uint32_t)(ip - code), at);
		goto faulted;
	}
	wide = (uint64_t)(DMA_LATENCY + x / 2) * PIM_TICKS;
	dpu->dma_ticks += wide;
	/* with nobody else to run meanwhile, the thread waits */
	if (alone)
		dpu->issue_ticks += wide;
	goto *next(&ip, &left, out);

acquire:
	x = bit_number(r[ip->ra] + ip->imm);
	bit = dpu->atomic[x / 64] >> x % 64 & 1;
	dpu->atomic[x / 64] |= 1ULL << x % 64;
	zx = bit;
	bit = ip->cond == PIM_CC_TRUE || bit == (ip->cond == PIM_CC_NZ);
	/* waiting: the others' turn */
	if (bit && code + ip->pc == ip)
		quantum = yield(quantum, &left);
	goto *branch(bit, code, &ip, &left, out);
release:
	x = bit_number(r[ip->ra] + ip->imm);
	bit = dpu->atomic[x / 64] >> x % 64 & 1;
	dpu->atomic[x / 64] &= ~(1ULL << x % 64);
	zx = bit;
	goto *branch(bit, code, &ip, &left, out);
boot:
	a = r[ip->ra];
	x = pim_dpu_boot(dpu, bit_number(a + ip->imm));
	goto thread_op;
resume:
	a = r[ip->ra];
	x = pim_dpu_resume(dpu, bit_number(a + ip->imm));
	goto thread_op;
read_run:
	a = r[ip->ra];
	x = pim_dpu_read_run(dpu, bit_number(a + ip->imm));
	goto thread_op;
clr_run:
	a = r[ip->ra];
	x = pim_dpu_clear_run(dpu, bit_number(a + ip->imm));
	/* it may have stopped itself */
	if (!(dpu->run >> id & 1))
		quantum = yield(quantum, &left);
thread_op:
	old = zx;
	zx = x;
	goto *conditions[ip->cond];
stop:
	pim_dpu_clear_run(dpu, id);
	quantum = yield(quantum, &left);
	a = r[PIM_REG_ID];
	x = 1;
	old = zx;
	goto *conditions[ip->cond];
fault:
	set_fault(dpu, PIM_FAULT_BREAKPOINT, id, (uint32_t)(ip - code), ip->imm & 0xffffff);
	goto faulted;
nop:
	goto *next(&ip, &left, out);
call:
	at = (r[ip->ra] + r[ip->rb] + ip->imm) & 0xffff;
	r[ip->rc] = (uint32_t)(ip - code) + 1;
	goto *jump(code + (at < dpu->iram_size ? at : dpu->iram_size), &ip, &left, out);
movd:
	wide = (uint64_t)r[ip->rb] << 32 | r[ip->rb + 1];
	r[ip->rd] = (uint32_t)(wide >> 32);
	r[ip->rc] = (uint32_t)wide;
	goto *conditions[ip->cond];
swapd:
	wide = (uint64_t)r[ip->rb] << 32 | r[ip->rb + 1];
	r[ip->rd] = (uint32_t)wide;
	r[ip->rc] = (uint32_t)(wide >> 32);
	goto *conditions[ip->cond];
mul_step:
	a = r[ip->ra];
	x = r[ip->rb] >> 1;
	if (r[ip->rb] & 1)
		r[ip->rc] = r[ip->rb + 1] + (a << ip->imm);
	r[ip->rd] = x;
	old = zx;
	zx = x;
	goto *conditions[ip->cond];
div_step:
	a = r[ip->ra];
	q = a << ip->imm;
	p = r[ip->rb + 1];
	x = r[ip->rb] << 1;
	if (p >= q) {
		x |= 1;
		r[ip->rc] = p - q;
	}
	r[ip->rd] = x;
	old = zx;
	goto *conditions[ip->cond];
time_cfg:
time:
	x = counter(dpu, ip->what, r[ip->rb], quantum - left, cost);
	r[ip->rd] = -(x >> 31) & ip->imm2;
	r[ip->rc] = x;
	goto *conditions[ip->cond];

adds:
	a = r[ip->ra];
	b = r[ip->rb] + ip->imm;
	x = a + b;
	s = (a & 0xffff) + b;
	cf = x < a;
	goto safe;
subs:
	a = r[ip->ra];
	b = r[ip->rb] + ip->imm;
	x = a - b;
	s = (a & 0xffff) - b;
	cf = a >= b;
safe:
	at = x;
	if (s >> 16)
		x = (x & 0xffffff) | id << 25;
	zx = x;
	r[ip->rc] = x;
	if (s >> 16)
		goto memory_fault;
	goto *next(&ip, &left, out);

memory_fault:
	set_fault(dpu, PIM_FAULT_MEMORY, id, (uint32_t)(ip - code), at);
	goto faulted;
illegal:
	set_fault(dpu, PIM_FAULT_ILLEGAL, id, (uint32_t)(ip - code), 0);
	goto faulted;
unknown:
	set_fault(dpu, PIM_FAULT_UNKNOWN, id, (uint32_t)(ip - code), 0);
faulted:
	/* the SDK's debugger expects the counter behind the instruction */
	ip++;
	goto done;
outside:
	set_fault(dpu, PIM_FAULT_FETCH, id, (uint32_t)(ip - code), (uint32_t)(ip - code));
done:
	thread->pc = (uint32_t)(ip - code);
	thread->zx = zx;
	thread->cf = cf;
	return quantum - left;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_labels(void)
{
	run_thread(NULL, 0, 0, 0, false);
}

void pim_exec_reset(struct pim_dpu *dpu, uint32_t at, uint32_t count)
{
	pthread_once(&once, find_labels);
	for (uint32_t n = at; n < at + count; n++)
		dpu->code[n].go = labels[PIM_READY_DECODE];
	dpu->code[dpu->iram_size].go = labels[PIM_READY_OUTSIDE];
}

uint64_t pim_dpu_cycles(const struct pim_dpu *dpu)
{
	return cycles_of(dpu->issue_ticks, dpu->dma_ticks);
}

/* The next thread from @from on that runs. */
static uint32_t next_running(uint32_t threads, uint32_t from)
{
	uint32_t later = threads & ~((1u << from) - 1);

	return (uint32_t)__builtin_ctz(later ? later : threads);
}

uint64_t pim_dpu_run(struct pim_dpu *dpu, uint64_t budget)
{
	uint64_t done = 0;

	while (done < budget && !dpu->fault) {
		uint32_t threads = dpu->run & ((1u << PIM_NR_THREADS) - 1);
		uint32_t active = (uint32_t)__builtin_popcount(threads);
		uint32_t quantum = budget - done < QUANTUM ? (uint32_t)(budget - done) : QUANTUM;
		uint32_t cost, ran, id;

		if (!threads)
			break;
		/* with fewer threads than the pipeline is long, slots stay empty */
		cost = active < PIPELINE ? PIPELINE * PIM_TICKS / active : PIM_TICKS;
		id = next_running(threads, dpu->next_thread);
		ran = run_thread(dpu, id, quantum, cost, active == 1);
		dpu->next_thread = (id + 1) % PIM_NR_THREADS;
		dpu->instructions += ran;
		dpu->issue_ticks += (uint64_t)ran * cost;
		done += ran;
	}
	return done;
}
