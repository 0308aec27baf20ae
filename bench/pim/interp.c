// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Measure the interpreter: instructions a second of one processor, of two with
 * 64 DPUs, MRAM DMA, scrubbing, saving and restoring.
 *
 * usage: interp MIX.dpu DMA.dpu REPEATS ROUNDS
 *
 * One line a measurement: "name,repeat,value". Repeat 0 is warm-up.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../userspace-tools/pim/pim_elf.h"
#include "../../userspace-tools/pim/pim_host.h"

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "interp: %s\n", what);
	exit(1);
}

static void open_program(const char *path, struct pim_program *p)
{
	struct ax_msg msg;

	if (pim_elf_open(path, p, &msg))
		die(msg.text);
}

static void load(struct pim_dpu *dpu, const struct pim_program *p, uint32_t rounds)
{
	const struct pim_symbol *s = pim_program_symbol(p, "rounds");

	for (uint32_t n = 0; n < p->nr_segments; n++) {
		const struct pim_segment *segment = &p->segments[n];
		bool ok;

		if (segment->space == PIM_SPACE_IRAM)
			ok = pim_dpu_iram_write(dpu, segment->at / 8,
						(const uint64_t *)(const void *)segment->bytes,
						segment->size / 8);
		else
			ok = pim_dpu_wram_write(dpu, segment->at, segment->bytes, segment->size);
		if (!ok)
			die("the program does not fit");
	}
	if (!s || !pim_dpu_wram_write(dpu, s->value, &rounds, 4))
		die("the program has no 'rounds'");
}

/* One DPU in this thread: processor time. */
static void one_dpu(const struct pim_program *p, unsigned int repeat, uint32_t rounds)
{
	struct pim_dpu *dpu = pim_dpu_create(NULL, NULL);
	uint64_t ran;
	double start;

	if (!dpu)
		die("no memory");
	load(dpu, p, rounds);
	pim_dpu_boot(dpu, 0);
	start = seconds(CLOCK_THREAD_CPUTIME_ID);
	ran = pim_dpu_run(dpu, ~0ULL);
	start = seconds(CLOCK_THREAD_CPUTIME_ID) - start;
	if (dpu->fault)
		die("the DPU is in fault");
	printf("minstr,%u,%.3f\n", repeat, (double)ran / start / 1e6);
	pim_dpu_destroy(dpu);
}

static void dma(const struct pim_program *p, unsigned int repeat, uint32_t rounds)
{
	struct pim_dpu *dpu = pim_dpu_create(NULL, NULL);
	double start;

	if (!dpu)
		die("no memory");
	/* pages are made before, not while it is measured */
	load(dpu, p, 1);
	pim_dpu_boot(dpu, 0);
	memset(dpu->mram, 1, 32u << 20);
	pim_dpu_run(dpu, ~0ULL);
	load(dpu, p, rounds);
	pim_dpu_boot(dpu, 0);
	start = seconds(CLOCK_THREAD_CPUTIME_ID);
	pim_dpu_run(dpu, ~0ULL);
	start = seconds(CLOCK_THREAD_CPUTIME_ID) - start;
	if (dpu->fault || dpu->mram[(32u << 20) - 1] != 1)
		die("the DPU is in fault");
	/* each unit goes in and out */
	printf("dma,%u,%.3f\n", repeat, 32.0 * rounds * (1 << 20) / start / 1e6);
	pim_dpu_destroy(dpu);
}

/* 64 DPUs on @threads processors: time by the wall. */
static double rank_rate(const struct pim_program *p, unsigned int threads, uint32_t rounds,
			double *per_cpu)
{
	struct pim_rank_config config = { .threads = threads };
	const struct pim_symbol *s = pim_program_symbol(p, "rounds");
	struct pim_backend backend;
	struct pim_rank_stats before, after;
	struct pim_host host;
	struct ax_msg msg;
	uint64_t running, faults;
	double start, cpu, ran;

	if (pim_backend_emulator(&backend, &config, &msg) ||
	    pim_host_reset(&host, &backend, PIM_RANK_NR_DPUS, &msg) ||
	    pim_host_load(&host, p, &msg) ||
	    pim_host_wram_write(&host, -1, s->value, &rounds, 4, &msg))
		die(msg.text);
	pim_rank_stats(backend.rank, &before);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	start = seconds(CLOCK_MONOTONIC);
	if (pim_host_launch(&host, &msg))
		die(msg.text);
	pim_rank_wait(backend.rank, 0);
	start = seconds(CLOCK_MONOTONIC) - start;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	pim_rank_stats(backend.rank, &after);
	if (pim_host_poll(&host, &running, &faults, &msg) || running || faults)
		die("a DPU is in fault");
	pim_backend_close(&backend);
	ran = (double)(after.instructions - before.instructions);
	*per_cpu = ran / cpu / 1e6;
	return ran / start / 1e6;
}

struct counter {
	uint8_t *bytes;
	size_t used, size;
};

static int keep(void *data, const void *bytes, size_t size)
{
	struct counter *c = data;

	if (c->used + size > c->size)
		return -ENOSPC;
	memcpy(c->bytes + c->used, bytes, size);
	c->used += size;
	return 0;
}

static int give(void *data, void *bytes, size_t size)
{
	struct counter *c = data;

	memcpy(bytes, c->bytes + c->used, size);
	c->used += size;
	return 0;
}

/* 4 MiB of each DPU's MRAM in use. */
static void state(unsigned int repeat)
{
	enum { MIB = 4 };
	struct pim_rank *rank = pim_rank_create(NULL);
	struct counter c = { .size = (MIB * PIM_RANK_NR_DPUS + 64u) << 20 };
	uint8_t *bytes = malloc(MIB << 20);
	struct pim_matrix m = { .size = MIB << 20 };
	double start, took;

	c.bytes = malloc(c.size);
	if (!rank || !bytes || !c.bytes)
		die("no memory");
	memset(c.bytes, 0, c.size);
	memset(bytes, 1, MIB << 20);
	for (int n = 0; n < PIM_RANK_NR_DPUS; n++)
		m.ptr[n] = bytes;
	pim_rank_write(rank, &m);
	start = seconds(CLOCK_MONOTONIC);
	if (pim_rank_save(rank, keep, &c))
		die("saving failed");
	took = seconds(CLOCK_MONOTONIC) - start;
	start = seconds(CLOCK_MONOTONIC);
	pim_rank_scrub(rank);
	printf("scrub,%u,%.3f\n", repeat,
	       MIB * PIM_RANK_NR_DPUS / 1024.0 / (seconds(CLOCK_MONOTONIC) - start));
	c.used = 0;
	start = seconds(CLOCK_MONOTONIC);
	if (pim_rank_restore(rank, give, &c))
		die("restoring failed");
	took += seconds(CLOCK_MONOTONIC) - start;
	printf("save_restore,%u,%.4f\n", repeat, took * 1e3 / (MIB * PIM_RANK_NR_DPUS));
	pim_rank_destroy(rank);
	free(bytes);
	free(c.bytes);
}

int main(int argc, char **argv)
{
	struct pim_program mix, copy;
	unsigned int repeats;
	uint32_t rounds;

	if (argc != 5)
		die("usage: interp MIX.dpu DMA.dpu REPEATS ROUNDS");
	open_program(argv[1], &mix);
	open_program(argv[2], &copy);
	repeats = (unsigned int)atoi(argv[3]);
	rounds = (uint32_t)atoi(argv[4]);
	for (unsigned int n = 0; n <= repeats; n++) {
		double one, two, cpu1, cpu1b, cpu2;

		one_dpu(&mix, n, rounds);
		dma(&copy, n, 20);
		/* in turn, so that what else the machine does meets both */
		one = rank_rate(&mix, 1, rounds / 4, &cpu1);
		two = rank_rate(&mix, 2, rounds / 4, &cpu2);
		one = (one + rank_rate(&mix, 1, rounds / 4, &cpu1b)) / 2;
		printf("rank1,%u,%.3f\nrank2,%u,%.3f\n", n, one, n, two);
		printf("cpu1,%u,%.3f\ncpu2,%u,%.3f\n", n, (cpu1 + cpu1b) / 2, n, cpu2);
		state(n);
		fflush(stdout);
	}
	pim_program_free(&mix);
	pim_program_free(&copy);
	return 0;
}
