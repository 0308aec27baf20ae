// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A self-checking memory workload for a guest: fill more memory than the guest
 * has DRAM, then read and rewrite it, by far the most often in a hot part of
 * it, and compare every word read with what must be there. Every page holds
 * words made from its number and its generation, so a page that is stale, zero
 * or somebody else's is seen.
 *
 * usage: memcheck MEGABYTES SECONDS [MAY_LOSE]
 *
 * With MAY_LOSE the program outlives lost memory: a page that answers with
 * SIGBUS is counted and left alone from then on, all others must be right.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE		4096u
#define WORDS		(PAGE / sizeof(uint64_t))
#define WORD_STEP	37u	/* words of a page that are checked: every 37th */

#define LOST		UINT32_MAX	/* generation of a page that is no more */

static sigjmp_buf escape;
static volatile sig_atomic_t armed;

static void on_bus(int sig)
{
	if (!armed) {
		signal(sig, SIG_DFL);
		raise(sig);
		return;
	}
	armed = 0;
	siglongjmp(escape, 1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static void fill(uint64_t *page, uint64_t nr, uint32_t generation)
{
	for (unsigned int i = 0; i < WORDS; i++)
		page[i] = mix(nr << 32 ^ (uint64_t)generation << 10 ^ i);
}

static unsigned int check(const uint64_t *page, uint64_t nr, uint32_t generation)
{
	unsigned int bad = 0;

	for (unsigned int i = nr % WORD_STEP; i < WORDS; i += WORD_STEP)
		bad += page[i] != mix(nr << 32 ^ (uint64_t)generation << 10 ^ i);
	return bad;
}

/* One page, and write it anew if asked to. Returns the number of wrong words; *lost: SIGBUS. */
static unsigned int visit(uint64_t *page, uint64_t nr, uint32_t generation, bool rewrite,
			  bool *lost)
{
	unsigned int bad;

	*lost = sigsetjmp(escape, 1);
	if (*lost)
		return 0;
	armed = 1;
	bad = check(page, nr, generation);
	if (rewrite)
		fill(page, nr, generation + 1);
	armed = 0;
	return bad;
}

int main(int argc, char **argv)
{
	uint64_t pages, reads = 0, writes = 0, bad = 0, seed = 1, lost = 0;
	bool may_lose = argc == 4, gone;
	uint32_t *generation;
	double start, end;
	uint64_t *mem;

	if (argc < 3 || argc > 4 || atol(argv[1]) <= 0 || atol(argv[2]) <= 0) {
		fprintf(stderr, "usage: memcheck MEGABYTES SECONDS [MAY_LOSE]\n");
		return 2;
	}
	if (may_lose)
		signal(SIGBUS, on_bus);
	pages = (uint64_t)atol(argv[1]) << 8;
	generation = calloc(pages, sizeof(*generation));
	mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!generation || mem == MAP_FAILED) {
		perror("memcheck");
		return 1;
	}
	start = now();
	for (uint64_t i = 0; i < pages; i++)
		fill(mem + i * WORDS, i, 0);
	printf("memcheck: filled %s MiB in %.1f s\n", argv[1], now() - start);
	fflush(stdout);

	end = now() + atol(argv[2]);
	while (now() < end && !bad) {
		for (unsigned int k = 0; k < 256; k++) {
			uint64_t rnd = mix(seed++), nr = rnd % pages;

			/* Nine of ten accesses go to an eighth of the memory. */
			if (rnd >> 60 < 15)
				nr = nr / 8;
			if (generation[nr] == LOST)
				continue;
			bad += visit(mem + nr * WORDS, nr, generation[nr], !(rnd >> 32 & 3), &gone);
			if (gone) {
				generation[nr] = LOST;
				lost++;
				continue;
			}
			reads++;
			if (rnd >> 32 & 3)
				continue;
			generation[nr]++;
			writes++;
		}
	}
	for (uint64_t i = 0; i < pages && !bad; i++) {
		if (generation[i] == LOST)
			continue;
		bad += visit(mem + i * WORDS, i, generation[i], false, &gone);
		lost += gone;
		reads += !gone;
	}

	printf("memcheck: %" PRIu64 " pages read, %" PRIu64 " rewritten, %" PRIu64 " wrong words\n",
	       reads, writes, bad);
	if (may_lose)
		printf("memcheck: %" PRIu64 " of %" PRIu64 " pages lost, each with a SIGBUS\n",
		       lost, pages);
	if (bad)
		puts("memcheck: FAILED");
	else
		printf("memcheck: all %s right\n", lost ? "that is left is" : "of it");
	return bad ? 1 : 0;
}
