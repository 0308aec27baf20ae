// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Saving and restoring a rank.
 *
 * The form: a header, the control interfaces, then each DPU with its registers,
 * bits, IRAM and WRAM, and the chunks of MRAM that hold other than zeros, each
 * behind its number, closed by the number of chunks. Numbers are little-endian.
 * What is restored is checked: a wrong state cannot do what a right one cannot.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pim_isa.h"
#include "pim_rank_priv.h"

#define MAGIC	0x306b6e61726d6970ULL	/* "pimrank0" */
#define VERSION	1

struct header {
	uint64_t magic;
	uint32_t version, chip_id;
	uint32_t iram_size, wram_size, mram_size, nr_dpus;
};

struct thread_state {
	uint32_t r[PIM_NR_GPR];
	uint32_t pc, zx, cf, zero;
};

struct dpu_state {
	struct thread_state threads[PIM_NR_THREADS];
	uint64_t run, atomic[PIM_NR_ATOMIC_BITS / 64];
	uint64_t instructions, issue_ticks, dma_ticks, time_base;
	uint32_t next_thread, time_mode;
	uint32_t fault, fault_thread, fault_pc, fault_value;
	uint32_t iram_used, zero;	/* instructions that follow */
};

/* The state structures have only little-endian hosts in mind. */
_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "the saved form is little-endian");

struct out {
	int (*write)(void *data, const void *bytes, size_t size);
	void *data;
	int error;
};

static void put(struct out *o, const void *bytes, size_t size)
{
	if (!o->error)
		o->error = o->write(o->data, bytes, size);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

static void save_dpu(struct out *o, const struct pim_dpu *dpu)
{
	struct dpu_state s = {
		.run = dpu->run, .instructions = dpu->instructions,
		.issue_ticks = dpu->issue_ticks, .dma_ticks = dpu->dma_ticks,
		.time_base = dpu->time_base, .next_thread = dpu->next_thread,
		.time_mode = dpu->time_mode, .fault = dpu->fault,
		.fault_thread = dpu->fault_thread, .fault_pc = dpu->fault_pc,
		.fault_value = dpu->fault_value, .iram_used = dpu->iram_size,
	};
	uint32_t chunks = dpu->mram_size / PIM_MRAM_CHUNK;

	memcpy(s.atomic, dpu->atomic, sizeof(s.atomic));
	for (int n = 0; n < PIM_NR_THREADS; n++) {
		const struct pim_thread *t = &dpu->threads[n];

		memcpy(s.threads[n].r, t->r, sizeof(s.threads[n].r));
		s.threads[n].pc = t->pc;
		s.threads[n].zx = t->zx;
		s.threads[n].cf = t->cf;
	}
	while (s.iram_used && !dpu->iram[s.iram_used - 1])
		s.iram_used--;
	put(o, &s, sizeof(s));
	put(o, dpu->iram, s.iram_used * sizeof(*dpu->iram));
	put(o, dpu->wram, dpu->wram_size);
	for (uint32_t n = 0; n < chunks; n++) {
		const uint8_t *bytes = dpu->mram + (size_t)n * PIM_MRAM_CHUNK;

		if (!(dpu->touched[n / 64] >> n % 64 & 1) || is_zero(bytes, PIM_MRAM_CHUNK))
			continue;
		put(o, &n, sizeof(n));
		put(o, bytes, PIM_MRAM_CHUNK);
	}
	put(o, &chunks, sizeof(chunks));
}

int pim_rank_save(struct pim_rank *rank, int (*write)(void *data, const void *bytes, size_t size),
		  void *data)
{
	struct out o = { .write = write, .data = data };
	struct header h = { .magic = MAGIC, .version = VERSION, .nr_dpus = PIM_RANK_NR_DPUS };

	pthread_mutex_lock(&rank->lock);
	pim_rank_hold_all(rank);
	h.chip_id = rank->cis[0].chip_id;
	h.iram_size = rank->dpus[0]->iram_size;
	h.wram_size = rank->dpus[0]->wram_size;
	h.mram_size = rank->dpus[0]->mram_size;
	put(&o, &h, sizeof(h));
	for (unsigned int c = 0; c < PIM_RANK_NR_CIS; c++)
		put(&o, &rank->cis[c].state, sizeof(rank->cis[c].state));
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS && !o.error; n++)
		save_dpu(&o, rank->dpus[n]);
	pim_rank_release_all(rank);
	pthread_mutex_unlock(&rank->lock);
	return o.error;
}

struct in {
	int (*read)(void *data, void *bytes, size_t size);
	void *data;
};

static int get(struct in *i, void *bytes, size_t size)
{
	return size ? i->read(i->data, bytes, size) : 0;
}

static int restore_ci(struct in *i, struct pim_ci *ci)
{
	struct pim_ci_state s;
	int error = get(i, &s, sizeof(s));

	if (error)
		return error;
	if (s.colour > 1 || s.target > PIM_CI_TARGET_GROUP || s.target_index >= PIM_CI_NR_DPUS)
		return -EINVAL;
	for (unsigned int n = 0; n < PIM_CI_NR_DPUS; n++) {
		if (s.group[n] >= PIM_CI_NR_GROUPS)
			return -EINVAL;
	}
	ci->state = s;
	return 0;
}

static int restore_mram(struct in *i, struct pim_dpu *dpu)
{
	uint32_t chunks = dpu->mram_size / PIM_MRAM_CHUNK, next = 0, number;
	int error;

	for (;;) {
		error = get(i, &number, sizeof(number));
		if (error)
			return error;
		if (number == chunks)
			return 0;
		/* in order: each once, so that it comes to an end */
		if (number < next || number > chunks)
			return -EINVAL;
		next = number + 1;
		pim_dpu_touch(dpu, number * PIM_MRAM_CHUNK, PIM_MRAM_CHUNK);
		error = get(i, dpu->mram + (size_t)number * PIM_MRAM_CHUNK, PIM_MRAM_CHUNK);
		if (error)
			return error;
	}
}

static bool is_possible(const struct pim_dpu *dpu, const struct dpu_state *s)
{
	for (int n = 0; n < PIM_NR_THREADS; n++) {
		if (s->threads[n].pc > dpu->iram_size || s->threads[n].cf > 1)
			return false;
	}
	return s->next_thread < PIM_NR_THREADS && s->time_mode <= PIM_TIME_NOTHING &&
	       s->fault < PIM_FAULT_NR && s->fault_thread < PIM_NR_THREADS &&
	       s->fault_pc <= dpu->iram_size && s->iram_used <= dpu->iram_size;
}

static int restore_dpu(struct in *i, struct pim_dpu *dpu)
{
	uint64_t *words;
	struct dpu_state s;
	int error = get(i, &s, sizeof(s));

	if (error)
		return error;
	if (!is_possible(dpu, &s))
		return -EINVAL;
	words = calloc(s.iram_used + 1, sizeof(*words));
	if (!words)
		return -ENOMEM;
	error = get(i, words, s.iram_used * sizeof(*words));
	if (!error)
		pim_dpu_iram_write(dpu, 0, words, s.iram_used);
	free(words);
	if (!error)
		error = get(i, dpu->wram, dpu->wram_size);
	if (!error)
		error = restore_mram(i, dpu);
	if (error)
		return error;
	for (int n = 0; n < PIM_NR_THREADS; n++) {
		memcpy(dpu->threads[n].r, s.threads[n].r, sizeof(s.threads[n].r));
		dpu->threads[n].pc = s.threads[n].pc;
		dpu->threads[n].zx = s.threads[n].zx;
		dpu->threads[n].cf = s.threads[n].cf;
	}
	memcpy(dpu->atomic, s.atomic, sizeof(s.atomic));
	dpu->instructions = s.instructions;
	dpu->issue_ticks = s.issue_ticks;
	dpu->dma_ticks = s.dma_ticks;
	dpu->time_base = s.time_base;
	dpu->time_mode = s.time_mode;
	dpu->next_thread = s.next_thread;
	dpu->fault_thread = s.fault_thread;
	dpu->fault_pc = s.fault_pc;
	dpu->fault_value = s.fault_value;
	__atomic_store_n(&dpu->fault, s.fault, __ATOMIC_RELEASE);
	__atomic_store_n(&dpu->run, s.run, __ATOMIC_RELEASE);
	return 0;
}

int pim_rank_restore(struct pim_rank *rank, int (*read)(void *data, void *bytes, size_t size),
		     void *data)
{
	struct in i = { .read = read, .data = data };
	const struct pim_dpu *like = rank->dpus[0];
	struct header h;
	int error;

	pthread_mutex_lock(&rank->lock);
	pim_rank_hold_all(rank);
	pim_rank_scrub_held(rank);
	error = get(&i, &h, sizeof(h));
	if (!error && (h.magic != MAGIC || h.version != VERSION ||
		       h.chip_id != rank->cis[0].chip_id || h.iram_size != like->iram_size ||
		       h.wram_size != like->wram_size || h.mram_size != like->mram_size ||
		       h.nr_dpus != PIM_RANK_NR_DPUS))
		error = -EINVAL;
	for (unsigned int c = 0; c < PIM_RANK_NR_CIS && !error; c++)
		error = restore_ci(&i, &rank->cis[c]);
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS && !error; n++)
		error = restore_dpu(&i, rank->dpus[n]);
	if (error)
		pim_rank_scrub_held(rank);
	pim_rank_release_all(rank);
	pthread_mutex_unlock(&rank->lock);
	return error;
}
