/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random numbers that are the same everywhere for the same seed (SplitMix64:
 * Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
 */
#ifndef HS_RNG_H
#define HS_RNG_H

#include <stdint.h>

struct hs_rng {
	uint64_t state;
};

static inline void hs_rng_seed(struct hs_rng *rng, uint64_t seed)
{
	rng->state = seed;
}

static inline uint64_t hs_rng_u64(struct hs_rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* 0 <= result < n; n > 0 */
static inline uint32_t hs_rng_below(struct hs_rng *rng, uint32_t n)
{
	return (uint32_t)(((hs_rng_u64(rng) >> 32) * n) >> 32);
}

/* 0 <= result < 1 */
static inline double hs_rng_unit(struct hs_rng *rng)
{
	return (hs_rng_u64(rng) >> 11) / 0x1p53;
}

#endif
