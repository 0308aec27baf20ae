// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Saving and restoring a rank.
 *
 * The form: a header, the control interfaces, then each DPU with its registers,
 * bits, IRAM and WRAM up to the last that is not zero, and (if the header says so)
 * the chunks of MRAM that hold other than zeros, each behind its number, closed by
 * the number of chunks; at the end a checksum. Numbers are little-endian.
 *
 * A state has one form only: what is restored is checked field by field, and then
 * saved again, without being stored. If that is not what was given, to the last
 * bit, it is refused: so nothing that is taken is left out or changed.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pim_isa.h"
#include "pim_rank_priv.h"

#define MAGIC	0x306b6e61726d6970ULL	/* "pimrank0" */
#define VERSION	2

struct header {
	uint64_t magic;
	uint32_t version, chip_id;
	uint32_t iram_size, wram_size, mram_size, nr_dpus;
	uint32_t with_mram, zero;
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
	uint32_t iram_used;	/* instructions that follow */
	uint32_t wram_used;	/* bytes that follow, a multiple of 8 */
};

/* The state structures have only little-endian hosts in mind. */
_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "the saved form is little-endian");

/*
 * The checksum of pieces in order. Each step can be undone, so no change of one
 * word goes unseen; others do with a chance of 2^-64. Against accidents, not foes.
 */
uint64_t pim_rank_sum(uint64_t sum, const void *bytes, size_t size)
{
	const uint8_t *p = bytes;
	uint64_t word;

	for (; size; size -= size < 8 ? size : 8, p += 8) {
		word = 0;
		memcpy(&word, p, size < 8 ? size : 8);
		sum = (sum ^ word) * 0x9e3779b97f4a7c15ULL;
		sum ^= sum >> 29;
	}
	return sum;
}

struct out {
	int (*write)(void *data, const void *bytes, size_t size);	/* NULL: only the sum */
	void *data;
	int error;
	uint64_t sum;
};

static void put(struct out *o, const void *bytes, size_t size)
{
	if (o->error || !size)
		return;
	o->sum = pim_rank_sum(o->sum, bytes, size);
	if (o->write)
		o->error = o->write(o->data, bytes, size);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

static void save_mram(struct out *o, const struct pim_dpu *dpu)
{
	uint32_t chunks = dpu->mram_size / PIM_MRAM_CHUNK;

	for (uint32_t n = 0; n < chunks; n++) {
		const uint8_t *bytes = dpu->mram + (size_t)n * PIM_MRAM_CHUNK;

		if (!(dpu->touched[n / 64] >> n % 64 & 1) || is_zero(bytes, PIM_MRAM_CHUNK))
			continue;
		put(o, &n, sizeof(n));
		put(o, bytes, PIM_MRAM_CHUNK);
	}
	put(o, &chunks, sizeof(chunks));
}

static void save_dpu(struct out *o, const struct pim_dpu *dpu, bool with_mram)
{
	struct dpu_state s = {
		.run = dpu->run, .instructions = dpu->instructions,
		.issue_ticks = dpu->issue_ticks, .dma_ticks = dpu->dma_ticks,
		.time_base = dpu->time_base, .next_thread = dpu->next_thread,
		.time_mode = dpu->time_mode, .fault = dpu->fault,
		.fault_thread = dpu->fault_thread, .fault_pc = dpu->fault_pc,
		.fault_value = dpu->fault_value, .iram_used = dpu->iram_size,
		.wram_used = dpu->wram_size,
	};

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
	while (s.wram_used && is_zero(dpu->wram + s.wram_used - 8, 8))
		s.wram_used -= 8;
	put(o, &s, sizeof(s));
	put(o, dpu->iram, s.iram_used * sizeof(*dpu->iram));
	put(o, dpu->wram, s.wram_used);
	if (with_mram)
		save_mram(o, dpu);
}

/* With all DPUs held. The sum is in @o, not written yet. */
static void save_held(struct pim_rank *rank, struct out *o, bool with_mram)
{
	struct header h = {
		.magic = MAGIC, .version = VERSION, .nr_dpus = PIM_RANK_NR_DPUS,
		.with_mram = with_mram, .chip_id = rank->cis[0].chip_id,
		.iram_size = rank->dpus[0]->iram_size, .wram_size = rank->dpus[0]->wram_size,
		.mram_size = rank->dpus[0]->mram_size,
	};

	put(o, &h, sizeof(h));
	for (unsigned int c = 0; c < PIM_RANK_NR_CIS; c++)
		put(o, &rank->cis[c].state, sizeof(rank->cis[c].state));
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS && !o->error; n++)
		save_dpu(o, rank->dpus[n], with_mram);
}

static void put_sum(struct out *o)
{
	uint64_t sum = o->sum;

	put(o, &sum, sizeof(sum));
}

int pim_rank_save(struct pim_rank *rank, int (*write)(void *data, const void *bytes, size_t size),
		  void *data)
{
	struct out o = { .write = write, .data = data };

	pthread_mutex_lock(&rank->lock);
	pim_rank_hold_all(rank);
	save_held(rank, &o, true);
	put_sum(&o);
	pim_rank_release_all(rank);
	pthread_mutex_unlock(&rank->lock);
	return o.error;
}

struct in {
	int (*read)(void *data, void *bytes, size_t size);
	void *data;
	uint64_t sum;
};

static int get(struct in *i, void *bytes, size_t size)
{
	int error = size ? i->read(i->data, bytes, size) : 0;

	if (!error && size)
		i->sum = pim_rank_sum(i->sum, bytes, size);
	return error;
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
	       s->fault_pc <= dpu->iram_size && s->iram_used <= dpu->iram_size &&
	       s->wram_used <= dpu->wram_size && s->wram_used % 8 == 0;
}

static int restore_dpu(struct in *i, struct pim_dpu *dpu, bool with_mram)
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
		error = get(i, dpu->wram, s.wram_used);
	if (!error && with_mram)
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

/* With all DPUs held, into an empty rank; after an error it is half full. */
static int restore_held(struct pim_rank *rank, struct in *i, bool with_mram)
{
	const struct pim_dpu *like = rank->dpus[0];
	struct out again = { .error = 0 };
	uint64_t sum, given;
	struct header h;
	int error = get(i, &h, sizeof(h));

	if (!error && (h.magic != MAGIC || h.version != VERSION ||
		       h.chip_id != rank->cis[0].chip_id || h.iram_size != like->iram_size ||
		       h.wram_size != like->wram_size || h.mram_size != like->mram_size ||
		       h.nr_dpus != PIM_RANK_NR_DPUS || h.with_mram != with_mram))
		error = -EINVAL;
	for (unsigned int c = 0; c < PIM_RANK_NR_CIS && !error; c++)
		error = restore_ci(i, &rank->cis[c]);
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS && !error; n++)
		error = restore_dpu(i, rank->dpus[n], with_mram);
	sum = i->sum;
	error = error ? error : get(i, &given, sizeof(given));
	if (error)
		return error;
	save_held(rank, &again, with_mram);
	return given == sum && again.sum == sum ? 0 : -EINVAL;
}

int pim_rank_restore(struct pim_rank *rank, int (*read)(void *data, void *bytes, size_t size),
		     void *data)
{
	struct in i = { .read = read, .data = data };
	int error;

	pthread_mutex_lock(&rank->lock);
	pim_rank_hold_all(rank);
	pim_rank_scrub_held(rank);
	error = restore_held(rank, &i, true);
	if (error)
		pim_rank_scrub_held(rank);
	pim_rank_release_all(rank);
	pthread_mutex_unlock(&rank->lock);
	return error;
}

/* --- all but MRAM, while nothing runs ---------------------------------------------- */

struct piece {
	uint8_t *bytes;
	size_t at, size;
};

static int piece_write(void *data, const void *bytes, size_t size)
{
	struct piece *p = data;

	if (size > p->size - p->at)
		return -ENOSPC;
	memcpy(p->bytes + p->at, bytes, size);
	p->at += size;
	return 0;
}

static int piece_read(void *data, void *bytes, size_t size)
{
	struct piece *p = data;

	if (size > p->size - p->at)
		return -EINVAL;
	memcpy(bytes, p->bytes + p->at, size);
	p->at += size;
	return 0;
}

size_t pim_rank_state_size(const struct pim_dpu_config *config)
{
	size_t wram = config->wram_size ? config->wram_size : PIM_WRAM_SIZE;
	size_t iram = config->iram_size ? config->iram_size : PIM_IRAM_SIZE;

	return sizeof(struct header) + PIM_RANK_NR_CIS * sizeof(struct pim_ci_state) +
	       PIM_RANK_NR_DPUS * (sizeof(struct dpu_state) + wram + iram * sizeof(uint64_t)) +
	       sizeof(uint64_t);
}

int pim_rank_save_state(struct pim_rank *rank, void *bytes, size_t room, size_t *size)
{
	struct piece piece = { .bytes = bytes, .size = room };
	struct out o = { .write = piece_write, .data = &piece };

	pthread_mutex_lock(&rank->lock);
	pim_rank_hold_all(rank);
	if (pim_rank_idle(rank)) {
		save_held(rank, &o, false);
		put_sum(&o);
	} else {
		o.error = -EBUSY;
	}
	pim_rank_release_all(rank);
	pthread_mutex_unlock(&rank->lock);
	*size = piece.at;
	return o.error;
}

int pim_rank_restore_state(struct pim_rank *rank, const void *bytes, size_t size)
{
	struct piece piece = { .bytes = (void *)bytes, .size = size };
	struct in i = { .read = piece_read, .data = &piece };
	int error;

	pthread_mutex_lock(&rank->lock);
	pim_rank_hold_all(rank);
	pim_rank_reset_held(rank);
	error = restore_held(rank, &i, false);
	/* one that ran could not have been saved */
	if (!error && (piece.at != size || !pim_rank_idle(rank)))
		error = -EINVAL;
	if (error)
		pim_rank_reset_held(rank);
	pim_rank_release_all(rank);
	pthread_mutex_unlock(&rank->lock);
	return error;
}
