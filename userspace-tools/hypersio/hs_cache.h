/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set-associative cache of translations, in flat arrays: sets * ways keys and
 * beside each a rank, whose meaning is the policy's. It holds tags only.
 *
 * A key is 64 bits: page number (address >> 12, 45 bits) and tenant number (19
 * bits). Partitioning: with 2^g groups the low g bits of the tenant's domain id
 * choose a group of sets and the address the set within it. A number of sets or
 * groups that is no power of two is rounded down, as in the original.
 *
 * Up to HS_CACHE_SCAN ways, each entry has a tag of one byte, so that one vector
 * comparison finds the candidates of a set; beyond that a hash index finds the
 * key and, for LRU, a list the victim.
 */
#ifndef HS_CACHE_H
#define HS_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "../lib/ax_err.h"
#include "hs_rng.h"

#define HS_PAGE_SHIFT	12
#define HS_IOVA_BITS	57		/* what five levels of page table translate */
#define HS_TENANT_BITS	19
#define HS_TENANTS_MAX	(1u << HS_TENANT_BITS)
#define HS_NO_KEY	UINT64_MAX	/* no key: its tenant number is not given out */
#define HS_CACHE_SCAN	16
#define HS_CACHE_MAX	(1u << 24)	/* entries of one cache */
#define HS_CACHE_HINTS	4096
#define HS_LFU_MAX	15		/* a counter that gets here halves all of its set */

enum hs_policy {
	HS_LRU,		/* the one used longest ago */
	HS_LFU,		/* one of the least used, by halving counters; chosen at random */
	HS_RANDOM,	/* any */
	HS_ORACLE,	/* the one whose next use is farthest in the trace */
	HS_POLICIES
};

extern const char *const hs_policy_names[HS_POLICIES + 1];	/* ended by NULL */

struct hs_cache_stats {
	uint64_t hit, miss, conflict;	/* of accesses that allocate; conflict: miss that evicts */
	uint64_t lookup_hit, lookup_miss;	/* of lookups, where the request looks */
};

struct hs_cache {
	uint32_t size;			/* sets * ways; 0: absent, never hits, keeps nothing */
	uint32_t sets, ways;
	uint32_t group_mask, set_mask;	/* of the domain id; of the address */
	uint8_t group_shift, addr_shift;
	uint8_t policy;
	bool indexed;
	bool plain;			/* LRU and not indexed: what is worth a fast path */
	uint64_t *key;		/* and one more, which is always HS_NO_KEY */
	uint8_t *tag;		/* [sets][HS_CACHE_SCAN], 0: free; not if indexed */
	uint64_t *rank;		/* LRU: time of use * 16 + way; LFU: count; oracle: next use */
	uint64_t clock;
	uint32_t *used;		/* entries filled of each set: they fill from the front */
	uint32_t *hint;		/* by hash of the key: where it may be; if not plain: key[size] */
	/* indexed only */
	uint32_t *bucket;	/* entry + 1, 0: empty; linear probing */
	uint32_t bucket_mask;
	uint32_t *newer, *older;	/* per entry, LRU list of its set */
	uint32_t *newest, *oldest;	/* per set */
	struct hs_rng rng;
	struct hs_cache_stats stats;
	uint64_t *row;		/* allocating accesses of each set */
	uint64_t *domains;	/* bitmap of tenants that allocated */
	uint32_t nr_domains;
};

/* What a cache is made from. */
struct hs_cache_config {
	uint32_t size;		/* entries, 0: absent */
	uint32_t ways;		/* 0 only when absent */
	uint32_t groups;	/* partitions, at least 1 */
	enum hs_policy policy;
};

/*
 * @addr_shift: lowest address bit of the set index. 0, or -1 with a message
 * when the numbers make no cache or memory is out.
 */
int hs_cache_init(struct hs_cache *c, const struct hs_cache_config *config, uint8_t addr_shift,
		  uint64_t seed, const char *name, struct ax_msg *msg);
void hs_cache_free(struct hs_cache *c);

static inline uint64_t hs_key(uint64_t masked_iova, uint32_t tenant)
{
	return (masked_iova >> HS_PAGE_SHIFT) << HS_TENANT_BITS | tenant;
}

static inline uint32_t hs_key_tenant(uint64_t key)
{
	return key & (HS_TENANTS_MAX - 1);
}

static inline uint32_t hs_cache_set(const struct hs_cache *c, uint32_t did, uint64_t addr)
{
	return (did & c->group_mask) << c->group_shift | ((addr >> c->addr_shift) & c->set_mask);
}

static inline uint8_t hs_cache_tag(uint64_t key)
{
	return (key * 0x9e3779b97f4a7c15ull) >> 56 | 1;
}

static inline uint16_t hs_cache_hash(uint64_t key)
{
	return (key * 0x9e3779b97f4a7c15ull) >> 52;	/* below HS_CACHE_HINTS */
}

/* One bit for each way of a set that may have the tag; others may be set too. */
static inline uint32_t hs_cache_match(const uint8_t *tags, uint8_t tag)
{
#ifdef __SSE2__
	__m128i have = _mm_loadu_si128((const __m128i *)tags);

	return _mm_movemask_epi8(_mm_cmpeq_epi8(have, _mm_set1_epi8(tag)));
#else
	uint32_t match = 0;

	for (unsigned int i = 0; i < HS_CACHE_SCAN; i++)
		match |= (uint32_t)(tags[i] == tag) << i;
	return match;
#endif
}

/* Entry number of the key, or -1. Changes nothing. */
int64_t hs_cache_find_indexed(const struct hs_cache *c, uint32_t set, uint64_t key);

/* @tag: hs_cache_tag(key), for callers that know it already. */
static inline int64_t hs_cache_find_tag(const struct hs_cache *c, uint32_t set, uint64_t key,
					uint8_t tag)
{
	uint64_t first = (uint64_t)set * c->ways;
	uint32_t match;

	if (__builtin_expect(c->indexed, 0))
		return hs_cache_find_indexed(c, set, key);
	match = hs_cache_match(c->tag + (size_t)set * HS_CACHE_SCAN, tag);
	for (; match; match &= match - 1) {
		uint64_t e = first + __builtin_ctz(match);

		if (__builtin_expect(c->key[e] == key, 1))
			return e;
	}
	return -1;
}

static inline int64_t hs_cache_find(const struct hs_cache *c, uint32_t set, uint64_t key)
{
	return hs_cache_find_tag(c, set, key, hs_cache_tag(key));
}

/* Halve the counters of a set (LFU). */
void hs_cache_halve(struct hs_cache *c, uint32_t set);
void hs_cache_touch_slow(struct hs_cache *c, uint32_t set, uint64_t entry, uint64_t next);

/* The entry was used; @next: trace index of its next use (oracle only). */
static inline void hs_cache_touch(struct hs_cache *c, uint32_t set, uint64_t entry, uint64_t next)
{
	if (c->plain)
		c->rank[entry] = (c->clock += HS_CACHE_SCAN) | (entry - (uint64_t)set * c->ways);
	else
		hs_cache_touch_slow(c, set, entry, next);
}

/* Is it there? Then it was used: hs_cache_find_tag() and hs_cache_touch() in one. */
static inline __attribute__((always_inline))
bool hs_cache_use(struct hs_cache *c, uint32_t set, uint64_t key, uint8_t tag, uint64_t next)
{
	int64_t e;

	if (__builtin_expect(c->plain, 1)) {
		uint64_t first = (uint64_t)set * c->ways;
		uint32_t match = hs_cache_match(c->tag + (size_t)set * HS_CACHE_SCAN, tag);

		for (; match; match &= match - 1) {
			uint32_t way = __builtin_ctz(match);

			if (__builtin_expect(c->key[first + way] == key, 1)) {
				c->rank[first + way] = (c->clock += HS_CACHE_SCAN) | way;
				return true;
			}
		}
		return false;
	}
	if (!c->size)
		return false;
	e = hs_cache_find_tag(c, set, key, tag);
	if (e >= 0)
		hs_cache_touch(c, set, e, next);
	return e >= 0;
}

/* hs_cache_use() when the hint does not lead to the key. */
bool hs_cache_use_slow(struct hs_cache *c, uint32_t set, uint64_t key, uint16_t hash,
		       uint64_t next);

/*
 * hs_cache_use() for where hits are the rule: it looks first where the key was
 * last. Only for keys that can be in one set alone. @hash: hs_cache_hash(key).
 */
static inline __attribute__((always_inline))
bool hs_cache_use_hint(struct hs_cache *c, uint32_t set, uint64_t key, uint16_t hash,
		       uint64_t next)
{
	uint32_t e = c->hint[hash];

	if (__builtin_expect(c->key[e] != key, 0))
		return hs_cache_use_slow(c, set, key, hash, next);
	c->rank[e] = (c->clock += HS_CACHE_SCAN) | (c->rank[e] & (HS_CACHE_SCAN - 1));
	return true;
}

/* Look for the key, without allocating; a hit is a use. Counted as a lookup. */
static inline __attribute__((always_inline))
bool hs_cache_probe_hint(struct hs_cache *c, uint32_t set, uint64_t key, uint16_t hash,
			 uint64_t next)
{
	if (hs_cache_use_hint(c, set, key, hash, next)) {
		c->stats.lookup_hit++;
		return true;
	}
	c->stats.lookup_miss++;
	return false;
}

static inline __attribute__((always_inline))
bool hs_cache_probe_tag(struct hs_cache *c, uint32_t set, uint64_t key, uint8_t tag, uint64_t next)
{
	bool hit = hs_cache_use(c, set, key, tag, next);

	c->stats.lookup_hit += hit;
	c->stats.lookup_miss += !hit;
	return hit;
}

static inline bool hs_cache_probe(struct hs_cache *c, uint32_t set, uint64_t key, uint64_t next)
{
	return hs_cache_probe_tag(c, set, key, hs_cache_tag(key), next);
}

/* Put a key that is not there; returns the key that had to go or HS_NO_KEY. */
uint64_t hs_cache_insert(struct hs_cache *c, uint32_t set, uint64_t key, uint64_t next);
/* An allocating access that missed. */
void hs_cache_miss(struct hs_cache *c, uint32_t set, uint64_t key, uint64_t next);

/* The allocating access: true if the key was there already. Counted. */
static inline __attribute__((always_inline))
bool hs_cache_access_hint(struct hs_cache *c, uint32_t set, uint64_t key, uint16_t hash,
			  uint64_t next)
{
	if (hs_cache_use_hint(c, set, key, hash, next)) {
		c->row[set]++;
		c->stats.hit++;
		return true;
	}
	if (c->size)
		hs_cache_miss(c, set, key, next);
	return false;
}

static inline __attribute__((always_inline))
bool hs_cache_access_tag(struct hs_cache *c, uint32_t set, uint64_t key, uint8_t tag, uint64_t next)
{
	if (hs_cache_use(c, set, key, tag, next)) {
		c->row[set]++;
		c->stats.hit++;
		return true;
	}
	if (c->size)
		hs_cache_miss(c, set, key, next);
	return false;
}

static inline bool hs_cache_access(struct hs_cache *c, uint32_t set, uint64_t key, uint64_t next)
{
	return hs_cache_access_tag(c, set, key, hs_cache_tag(key), next);
}

/* Forget one key; all keys that @match accepts. Return the number forgotten. */
bool hs_cache_remove(struct hs_cache *c, uint32_t set, uint64_t key);
uint64_t hs_cache_remove_if(struct hs_cache *c, bool (*match)(uint64_t key, void *arg), void *arg);

#endif
