/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time, random numbers and patterns that are the same in every program of the bench. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>
#include <x86intrin.h>

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* Ordered against what stands before and after it, so that one access is timed. */
static inline uint64_t ticks(void)
{
	uint64_t t;

	_mm_lfence();
	t = __rdtsc();
	_mm_lfence();
	return t;
}

/* splitmix64: a bijection, good enough as generator and as hash */
static inline uint64_t mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static inline uint64_t next_rand(uint64_t *state)
{
	return mix64((*state)++);
}

static inline uint32_t rand_below(uint64_t *state, uint32_t n)
{
	return (next_rand(state) >> 32) * n >> 32;
}

/* What word @word of page @page holds after @version writes to it; never 0. */
static inline uint64_t pattern(uint32_t page, uint32_t word, uint32_t version)
{
	return mix64((uint64_t)page << 20 ^ (uint64_t)version << 9 ^ word) | 1;
}

/* The word of a page that the page workloads access: they are spread over the lines. */
static inline uint32_t word_of(uint32_t page)
{
	return page * 8 & 511;
}

#endif
