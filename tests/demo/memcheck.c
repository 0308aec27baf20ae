// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A self-checking memory workload for a guest: fill more memory than the guest
 * has DRAM, then read and rewrite it, by far the most often in a hot part of
 * it, and compare what is read with what must be there. Every page holds words
 * made from its number and its generation, so a page that is stale, zero or
 * somebody else's is seen. The last pass reads every word of every page.
 *
 * usage: memcheck MEGABYTES SECONDS [MAX_SECONDS]
 *
 * With MAX_SECONDS it is told by a line on standard input when that is enough,
 * and goes on until then, but no longer than MAX_SECONDS. It then also outlives
 * lost memory: a page that answers with SIGBUS is counted and left alone from
 * then on, all others must be right.
 */
#include <inttypes.h>
#include <poll.h>
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
#define WORD_STEP	37u	/* in all passes but the last: every 37th word */

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

static bool told(void)
{
	struct pollfd in = { .events = POLLIN };

	return poll(&in, 1, 0) > 0;
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

static unsigned int check(const uint64_t *page, uint64_t nr, uint32_t generation,
			  unsigned int step)
{
	unsigned int bad = 0;

	for (unsigned int i = nr % step; i < WORDS; i += step)
		bad += page[i] != mix(nr << 32 ^ (uint64_t)generation << 10 ^ i);
	return bad;
}

/* One page, and write it anew if asked to. Returns the number of wrong words; *lost: SIGBUS. */
static unsigned int visit(uint64_t *page, uint64_t nr, uint32_t generation, unsigned int step,
			  bool rewrite, bool *lost)
{
	unsigned int bad;

	*lost = sigsetjmp(escape, 1);
	if (*lost)
		return 0;
	armed = 1;
	bad = check(page, nr, generation, step);
	if (rewrite)
		fill(page, nr, generation + 1);
	armed = 0;
	return bad;
}

int main(int argc, char **argv)
{
	uint64_t pages, reads = 0, writes = 0, bad = 0, seed = 1, lost = 0, words;
	double start, end, limit = 0;
	bool outlive = argc == 4, gone;
	uint32_t *generation;
	uint64_t *mem;

	if (argc < 3 || argc > 4 || atol(argv[1]) <= 0 || atol(argv[2]) <= 0 ||
	    (outlive && atol(argv[3]) <= 0)) {
		fprintf(stderr, "usage: memcheck MEGABYTES SECONDS [MAX_SECONDS]\n");
		return 2;
	}
	if (outlive)
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

	start = now();
	end = start + atol(argv[2]);
	if (outlive)
		limit = start + atol(argv[3]);
	while (!bad && (now() < end || (now() < limit && !told()))) {
		for (unsigned int k = 0; k < 256; k++) {
			uint64_t rnd = mix(seed++), nr = rnd % pages;

			/* Fifteen of sixteen accesses go to an eighth of the memory. */
			if (rnd >> 60 < 15)
				nr = nr / 8;
			if (generation[nr] == LOST)
				continue;
			bad += visit(mem + nr * WORDS, nr, generation[nr], WORD_STEP,
				     !(rnd >> 32 & 3), &gone);
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
	printf("memcheck: %" PRIu64 " pages read, %" PRIu64 " rewritten in %.0f s\n", reads, writes,
	       now() - start);

	words = 0;
	for (uint64_t i = 0; i < pages; i++) {
		if (generation[i] == LOST)
			continue;
		bad += visit(mem + i * WORDS, i, generation[i], 1, false, &gone);
		lost += gone;
		words += gone ? 0 : WORDS;
	}
	printf("memcheck: then every word of %" PRIu64 " MiB: %" PRIu64 " wrong words\n",
	       words * 8 >> 20, bad);
	if (outlive)
		printf("memcheck: %" PRIu64 " of %" PRIu64 " pages lost\n", lost, pages);
	if (bad)
		puts("memcheck: FAILED");
	else
		printf("memcheck: all %s right\n", lost ? "that is left is" : "of it");
	return bad ? 1 : 0;
}
