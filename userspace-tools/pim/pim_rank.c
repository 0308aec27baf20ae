// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A rank: control interfaces, DPUs and the threads that run them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "pim_rank_priv.h"

#define AT_ONCE	2048	/* instructions: some microseconds */

static void hold_dpu(void *owner, unsigned int index)
{
	struct pim_rank *rank = owner;

	pim_runner_hold(&rank->runners[index]);
}

/*
 * A DPU that was just started runs a little at once: hosts ask only a few times
 * whether short programs have ended, and in hardware they have. The rest is the
 * pool's, which may be busy.
 */
static void release_dpu(void *owner, unsigned int index)
{
	struct pim_rank *rank = owner;
	struct pim_runner *runner = &rank->runners[index];

	if (!runner->queued)
		pim_dpu_run(runner->dpu, AT_ONCE);
	pim_runner_release(runner);
}

static int make_dpus(struct pim_rank *rank, const struct pim_rank_config *config)
{
	size_t mram_size = config->dpu.mram_size ? config->dpu.mram_size : PIM_MRAM_SIZE;
	uint8_t *mram = config->mram;

	rank->mram_bytes = mram_size * PIM_RANK_NR_DPUS;
	if (!mram) {
		mram = mmap(NULL, rank->mram_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (mram == MAP_FAILED)
			return -1;
		rank->own_mram = mram;
	}
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		rank->dpus[n] = pim_dpu_create(&config->dpu, mram + n * mram_size);
		if (!rank->dpus[n])
			return -1;
		/* pages of its own can be given back */
		rank->dpus[n]->discard = rank->own_mram;
		pim_runner_init(&rank->runners[n], rank->pool, rank->dpus[n]);
	}
	for (unsigned int c = 0; c < PIM_RANK_NR_CIS; c++) {
		struct pim_ci *ci = &rank->cis[c];

		ci->chip_id = config->chip_id;
		for (unsigned int d = 0; d < PIM_CI_NR_DPUS; d++)
			ci->dpus[d] = rank->dpus[d * PIM_RANK_NR_CIS + c];
		ci->acquire = hold_dpu;
		ci->release = release_dpu;
		ci->owner = rank;
		ci->first = c;
		ci->step = PIM_RANK_NR_CIS;
		pim_ci_init(ci);
	}
	return 0;
}

struct pim_rank *pim_rank_create(const struct pim_rank_config *config)
{
	static const struct pim_rank_config plain;
	struct pim_rank *rank = calloc(1, sizeof(*rank));
	int error;

	if (!rank)
		return NULL;
	if (!config)
		config = &plain;
	pthread_mutex_init(&rank->lock, NULL);
	rank->strict_mux = config->strict_mux;
	rank->pool = config->pool;
	if (!rank->pool) {
		rank->pool = pim_pool_create(config->threads);
		rank->own_pool = rank->pool;
	}
	if (!rank->pool || make_dpus(rank, config)) {
		error = errno;
		pim_rank_destroy(rank);
		errno = error;
		return NULL;
	}
	return rank;
}

void pim_rank_destroy(struct pim_rank *rank)
{
	if (!rank)
		return;
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		pim_runner_fini(&rank->runners[n]);
		pim_dpu_destroy(rank->dpus[n]);
	}
	if (rank->own_pool)
		pim_pool_destroy(rank->pool);
	if (rank->own_mram)
		munmap(rank->own_mram, rank->mram_bytes);
	pthread_mutex_destroy(&rank->lock);
	free(rank);
}

void pim_rank_commit(struct pim_rank *rank, const uint64_t commands[PIM_RANK_NR_CIS])
{
	pthread_mutex_lock(&rank->lock);
	for (unsigned int c = 0; c < PIM_RANK_NR_CIS; c++)
		pim_ci_commit(&rank->cis[c], commands[c]);
	pthread_mutex_unlock(&rank->lock);
}

void pim_rank_update(struct pim_rank *rank, uint64_t results[PIM_RANK_NR_CIS])
{
	pthread_mutex_lock(&rank->lock);
	for (unsigned int c = 0; c < PIM_RANK_NR_CIS; c++)
		results[c] = pim_ci_update(&rank->cis[c]);
	pthread_mutex_unlock(&rank->lock);
}

/* --- transfers --------------------------------------------------------------- */

static int check_matrix(struct pim_rank *rank, const struct pim_matrix *m)
{
	uint32_t mram_size = rank->dpus[0]->mram_size;

	if (m->offset % 8 || m->size % 8 || m->offset > mram_size ||
	    m->size > mram_size - m->offset)
		return -EINVAL;
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		if (!m->ptr[n] || !(pim_ci_mux(&rank->cis[n % PIM_RANK_NR_CIS]) >>
				    n / PIM_RANK_NR_CIS & 1))
			continue;
		rank->mux_violations++;
		if (rank->strict_mux)
			return -EBUSY;
	}
	return 0;
}

static int transfer(struct pim_rank *rank, const struct pim_matrix *m, bool write)
{
	uint64_t bytes = 0;
	int error;

	pthread_mutex_lock(&rank->lock);
	error = check_matrix(rank, m);
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS && !error; n++) {
		if (!m->ptr[n])
			continue;
		pim_runner_hold(&rank->runners[n]);
		if (write)
			pim_dpu_mram_write(rank->dpus[n], m->offset, m->ptr[n], m->size);
		else
			pim_dpu_mram_read(rank->dpus[n], m->offset, m->ptr[n], m->size);
		pim_runner_release(&rank->runners[n]);
		bytes += m->size;
	}
	if (write)
		rank->bytes_written += bytes;
	else
		rank->bytes_read += bytes;
	pthread_mutex_unlock(&rank->lock);
	return error;
}

int pim_rank_write(struct pim_rank *rank, const struct pim_matrix *matrix)
{
	return transfer(rank, matrix, true);
}

int pim_rank_read(struct pim_rank *rank, const struct pim_matrix *matrix)
{
	return transfer(rank, matrix, false);
}

/* --- the rest ------------------------------------------------------------------ */

bool pim_rank_wait(struct pim_rank *rank, uint64_t ns)
{
	return pim_runners_wait(rank->runners, PIM_RANK_NR_DPUS, ns);
}

bool pim_rank_idle(struct pim_rank *rank)
{
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		if (pim_dpu_running(rank->dpus[n]) && !pim_dpu_fault(rank->dpus[n]))
			return false;
	}
	return true;
}

void pim_rank_hold_all(struct pim_rank *rank)
{
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++)
		pim_runner_hold(&rank->runners[n]);
}

void pim_rank_release_all(struct pim_rank *rank)
{
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++)
		pim_runner_release(&rank->runners[n]);
}

static void reset_held(struct pim_rank *rank, void (*reset)(struct pim_dpu *dpu))
{
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		reset(rank->dpus[n]);
		rank->runners[n].run_ns = 0;
	}
	for (unsigned int c = 0; c < PIM_RANK_NR_CIS; c++)
		pim_ci_init(&rank->cis[c]);
	rank->bytes_written = 0;
	rank->bytes_read = 0;
	rank->mux_violations = 0;
}

void pim_rank_scrub_held(struct pim_rank *rank)
{
	reset_held(rank, pim_dpu_scrub);
}

void pim_rank_reset_held(struct pim_rank *rank)
{
	reset_held(rank, pim_dpu_reset);
}

static void reset_all(struct pim_rank *rank, void (*reset)(struct pim_dpu *dpu))
{
	pthread_mutex_lock(&rank->lock);
	pim_rank_hold_all(rank);
	reset_held(rank, reset);
	pim_rank_release_all(rank);
	pthread_mutex_unlock(&rank->lock);
}

void pim_rank_scrub(struct pim_rank *rank)
{
	reset_all(rank, pim_dpu_scrub);
}

void pim_rank_reset(struct pim_rank *rank)
{
	reset_all(rank, pim_dpu_reset);
}

void pim_rank_inject_dpu(struct pim_rank *rank, unsigned int index, uint32_t value)
{
	if (index >= PIM_RANK_NR_DPUS)
		return;
	pthread_mutex_lock(&rank->lock);
	pim_runner_hold(&rank->runners[index]);
	pim_dpu_inject(rank->dpus[index], value);
	pim_runner_release(&rank->runners[index]);
	pthread_mutex_unlock(&rank->lock);
}

void pim_rank_inject_ci(struct pim_rank *rank, unsigned int ci, enum pim_ci_inject what,
			uint32_t count)
{
	if (ci >= PIM_RANK_NR_CIS)
		return;
	pthread_mutex_lock(&rank->lock);
	rank->cis[ci].inject = what;
	rank->cis[ci].inject_count = count;
	pthread_mutex_unlock(&rank->lock);
}

void pim_rank_stats(struct pim_rank *rank, struct pim_rank_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	pthread_mutex_lock(&rank->lock);
	for (unsigned int c = 0; c < PIM_RANK_NR_CIS; c++)
		stats->commands += rank->cis[c].commands;
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		pim_runner_hold(&rank->runners[n]);
		stats->instructions += rank->dpus[n]->instructions;
		stats->mram_used += pim_dpu_mram_used(rank->dpus[n]);
		stats->run_ns += rank->runners[n].run_ns;
		pim_runner_release(&rank->runners[n]);
	}
	stats->bytes_written = rank->bytes_written;
	stats->bytes_read = rank->bytes_read;
	stats->mux_violations = rank->mux_violations;
	pthread_mutex_unlock(&rank->lock);
}

void pim_rank_peek(struct pim_rank *rank, unsigned int index, struct pim_dpu *dpu)
{
	index %= PIM_RANK_NR_DPUS;
	pthread_mutex_lock(&rank->lock);
	pim_runner_hold(&rank->runners[index]);
	*dpu = *rank->dpus[index];
	pim_runner_release(&rank->runners[index]);
	pthread_mutex_unlock(&rank->lock);
	dpu->iram = NULL;
	dpu->code = NULL;
	dpu->wram = NULL;
	dpu->mram = NULL;
	dpu->touched = NULL;
}
