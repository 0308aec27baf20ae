// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A DPU's state: memories, run bits, faults. What runs it is pim_exec.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "pim_exec.h"
#include "pim_isa.h"

static void reset_threads(struct pim_dpu *dpu)
{
	memset(dpu->threads, 0, sizeof(dpu->threads));
	for (uint32_t id = 0; id < PIM_NR_THREADS; id++) {
		uint32_t *r = dpu->threads[id].r;

		r[PIM_REG_ONE] = 1;
		r[PIM_REG_LNEG] = 0xffffffff;
		r[PIM_REG_MNEG] = 0x80000000;
		r[PIM_REG_ID] = id;
		r[PIM_REG_ID2] = 2 * id;
		r[PIM_REG_ID4] = 4 * id;
		r[PIM_REG_ID8] = 8 * id;
		/* flags clear */
		dpu->threads[id].zx = 1;
	}
}

static uint32_t chunks(const struct pim_dpu *dpu)
{
	return dpu->mram_size / PIM_MRAM_CHUNK;
}

struct pim_dpu *pim_dpu_create(const struct pim_dpu_config *config, void *mram)
{
	struct pim_dpu *dpu = calloc(1, sizeof(*dpu));

	if (!dpu)
		return NULL;
	dpu->iram_size = config && config->iram_size ? config->iram_size : PIM_IRAM_SIZE;
	dpu->wram_size = config && config->wram_size ? config->wram_size : PIM_WRAM_SIZE;
	dpu->mram_size = config && config->mram_size ? config->mram_size : PIM_MRAM_SIZE;
	if (dpu->iram_size > PIM_IRAM_SIZE_MAX || dpu->wram_size > PIM_WRAM_SIZE_MAX ||
	    dpu->wram_size % 8 || dpu->mram_size > PIM_MRAM_SIZE_MAX ||
	    dpu->mram_size % PIM_MRAM_CHUNK) {
		free(dpu);
		errno = EINVAL;
		return NULL;
	}
	/* 26 bits count, or more where more are needed */
	for (dpu->mram_mask = PIM_MRAM_SIZE - 1; dpu->mram_mask < dpu->mram_size - 1;)
		dpu->mram_mask = dpu->mram_mask << 1 | 1;
	dpu->iram = calloc(dpu->iram_size, sizeof(*dpu->iram));
	dpu->code = calloc(dpu->iram_size + 1, sizeof(*dpu->code));
	dpu->wram = calloc(1, dpu->wram_size);
	dpu->touched = calloc((chunks(dpu) + 63) / 64, sizeof(*dpu->touched));
	dpu->mram = mram;
	if (!mram) {
		dpu->own_mram = true;
		dpu->discard = true;
		dpu->mram = mmap(NULL, dpu->mram_size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (dpu->mram == MAP_FAILED)
			dpu->mram = NULL;
	}
	if (!dpu->iram || !dpu->code || !dpu->wram || !dpu->touched || !dpu->mram) {
		pim_dpu_destroy(dpu);
		errno = ENOMEM;
		return NULL;
	}
	dpu->time_mode = PIM_TIME_NOTHING;
	reset_threads(dpu);
	pim_exec_reset(dpu, 0, dpu->iram_size);
	return dpu;
}

void pim_dpu_destroy(struct pim_dpu *dpu)
{
	if (!dpu)
		return;
	if (dpu->own_mram && dpu->mram)
		munmap(dpu->mram, dpu->mram_size);
	free(dpu->iram);
	free(dpu->code);
	free(dpu->wram);
	free(dpu->touched);
	free(dpu);
}

void pim_dpu_scrub(struct pim_dpu *dpu)
{
	for (uint32_t n = 0; n < chunks(dpu); n++) {
		uint8_t *chunk;

		if (!(dpu->touched[n / 64] >> n % 64 & 1))
			continue;
		chunk = dpu->mram + (size_t)n * PIM_MRAM_CHUNK;
		if (!dpu->discard || madvise(chunk, PIM_MRAM_CHUNK, MADV_DONTNEED))
			memset(chunk, 0, PIM_MRAM_CHUNK);
	}
	memset(dpu->touched, 0, (chunks(dpu) + 63) / 64 * sizeof(*dpu->touched));
	pim_dpu_reset(dpu);
}

void pim_dpu_reset(struct pim_dpu *dpu)
{
	memset(dpu->iram, 0, dpu->iram_size * sizeof(*dpu->iram));
	memset(dpu->wram, 0, dpu->wram_size);
	memset(dpu->atomic, 0, sizeof(dpu->atomic));
	reset_threads(dpu);
	pim_exec_reset(dpu, 0, dpu->iram_size);
	dpu->next_thread = 0;
	dpu->instructions = 0;
	dpu->issue_ticks = 0;
	dpu->dma_ticks = 0;
	dpu->time_mode = PIM_TIME_NOTHING;
	dpu->time_base = 0;
	__atomic_store_n(&dpu->run, 0, __ATOMIC_RELEASE);
	pim_dpu_clear_fault(dpu);
}

/* --- run bits ------------------------------------------------------------- */

bool pim_dpu_running(const struct pim_dpu *dpu)
{
	return __atomic_load_n(&dpu->run, __ATOMIC_ACQUIRE) & ((1u << PIM_NR_THREADS) - 1);
}

static bool change_run(struct pim_dpu *dpu, unsigned int bit, bool set)
{
	uint64_t mask = 1ULL << bit % PIM_NR_RUN_BITS;
	uint64_t was = dpu->run;

	__atomic_store_n(&dpu->run, set ? was | mask : was & ~mask, __ATOMIC_RELEASE);
	return was & mask;
}

bool pim_dpu_boot(struct pim_dpu *dpu, unsigned int bit)
{
	bool was = change_run(dpu, bit, true);

	bit %= PIM_NR_RUN_BITS;
	if (!was && bit < PIM_NR_THREADS)
		dpu->threads[bit].pc = 0;
	return was;
}

bool pim_dpu_resume(struct pim_dpu *dpu, unsigned int bit)
{
	return change_run(dpu, bit, true);
}

bool pim_dpu_clear_run(struct pim_dpu *dpu, unsigned int bit)
{
	return change_run(dpu, bit, false);
}

bool pim_dpu_read_run(const struct pim_dpu *dpu, unsigned int bit)
{
	return dpu->run >> bit % PIM_NR_RUN_BITS & 1;
}

/* --- faults ----------------------------------------------------------------- */

enum pim_fault pim_dpu_fault(const struct pim_dpu *dpu)
{
	return __atomic_load_n(&dpu->fault, __ATOMIC_ACQUIRE);
}

const char *pim_fault_name(enum pim_fault fault)
{
	static const char *const names[PIM_FAULT_NR] = {
		"none", "breakpoint", "memory access", "DMA", "instruction fetch",
		"illegal instruction", "instruction of unknown effect", "injected",
	};

	return fault < PIM_FAULT_NR ? names[fault] : "unknown";
}

void pim_dpu_clear_fault(struct pim_dpu *dpu)
{
	dpu->fault_thread = 0;
	dpu->fault_pc = 0;
	dpu->fault_value = 0;
	__atomic_store_n(&dpu->fault, PIM_FAULT_NONE, __ATOMIC_RELEASE);
}

void pim_dpu_inject(struct pim_dpu *dpu, uint32_t value)
{
	uint32_t threads = dpu->run & ((1u << PIM_NR_THREADS) - 1);

	dpu->fault_thread = threads ? (uint32_t)__builtin_ctz(threads) : 0;
	dpu->fault_pc = dpu->threads[dpu->fault_thread].pc;
	dpu->fault_value = value;
	__atomic_store_n(&dpu->fault, PIM_FAULT_INJECTED, __ATOMIC_RELEASE);
}

/* --- memories --------------------------------------------------------------- */

static bool within(uint32_t at, uint32_t size, uint32_t limit)
{
	return at <= limit && size <= limit - at;
}

bool pim_dpu_iram_write(struct pim_dpu *dpu, uint32_t at, const uint64_t *words, uint32_t count)
{
	if (!within(at, count, dpu->iram_size))
		return false;
	for (uint32_t n = 0; n < count; n++)
		dpu->iram[at + n] = words[n] & PIM_INSN_MASK;
	pim_exec_reset(dpu, at, count);
	return true;
}

bool pim_dpu_iram_read(const struct pim_dpu *dpu, uint32_t at, uint64_t *words, uint32_t count)
{
	if (!within(at, count, dpu->iram_size))
		return false;
	memcpy(words, dpu->iram + at, count * sizeof(*words));
	return true;
}

bool pim_dpu_wram_write(struct pim_dpu *dpu, uint32_t at, const void *from, uint32_t size)
{
	if (!within(at, size, dpu->wram_size))
		return false;
	memcpy(dpu->wram + at, from, size);
	return true;
}

bool pim_dpu_wram_read(const struct pim_dpu *dpu, uint32_t at, void *to, uint32_t size)
{
	if (!within(at, size, dpu->wram_size))
		return false;
	memcpy(to, dpu->wram + at, size);
	return true;
}

void pim_dpu_touch(struct pim_dpu *dpu, uint32_t at, uint32_t size)
{
	if (!size)
		return;
	for (uint32_t n = at / PIM_MRAM_CHUNK; n <= (at + size - 1) / PIM_MRAM_CHUNK; n++)
		dpu->touched[n / 64] |= 1ULL << n % 64;
}

bool pim_dpu_mram_write(struct pim_dpu *dpu, uint32_t at, const void *from, uint32_t size)
{
	if (!within(at, size, dpu->mram_size))
		return false;
	memcpy(dpu->mram + at, from, size);
	pim_dpu_touch(dpu, at, size);
	return true;
}

bool pim_dpu_mram_read(const struct pim_dpu *dpu, uint32_t at, void *to, uint32_t size)
{
	if (!within(at, size, dpu->mram_size))
		return false;
	memcpy(to, dpu->mram + at, size);
	return true;
}

uint64_t pim_dpu_mram_used(const struct pim_dpu *dpu)
{
	uint64_t used = 0;

	for (uint32_t n = 0; n < (chunks(dpu) + 63) / 64; n++)
		used += (uint64_t)__builtin_popcountll(dpu->touched[n]) * PIM_MRAM_CHUNK;
	return used;
}
