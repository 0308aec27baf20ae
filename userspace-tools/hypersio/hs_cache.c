// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "hs_cache.h"

const char *const hs_policy_names[HS_POLICIES + 1] = { "lru", "lfu", "random", "oracle", NULL };

#define NONE UINT32_MAX	/* end of an LRU list */

static uint8_t floor_log2(uint32_t n)
{
	return 31 - __builtin_clz(n);
}

static int init_index(struct hs_cache *c)
{
	uint32_t buckets = 2u << (floor_log2(c->size) + 1);

	c->bucket_mask = buckets - 1;
	c->bucket = calloc(buckets, sizeof(*c->bucket));
	c->newer = malloc((size_t)c->size * sizeof(*c->newer));
	c->older = malloc((size_t)c->size * sizeof(*c->older));
	c->newest = malloc((size_t)c->sets * sizeof(*c->newest));
	c->oldest = malloc((size_t)c->sets * sizeof(*c->oldest));
	if (!c->bucket || !c->newer || !c->older || !c->newest || !c->oldest)
		return -1;
	memset(c->newest, 0xff, (size_t)c->sets * sizeof(*c->newest));
	memset(c->oldest, 0xff, (size_t)c->sets * sizeof(*c->oldest));
	return 0;
}

/* No keys, and no hint that leads anywhere. */
static int init_hints(struct hs_cache *c)
{
	c->key = malloc(((size_t)c->size + 1) * sizeof(*c->key));
	c->hint = malloc(HS_CACHE_HINTS * sizeof(*c->hint));
	if (!c->key || !c->hint) {
		hs_cache_free(c);
		return -1;
	}
	memset(c->key, 0xff, ((size_t)c->size + 1) * sizeof(*c->key));
	for (unsigned int i = 0; i < HS_CACHE_HINTS; i++)
		c->hint[i] = c->size;
	return 0;
}

int hs_cache_init(struct hs_cache *c, const struct hs_cache_config *config, uint8_t addr_shift,
		  uint64_t seed, const char *name, struct ax_msg *msg)
{
	uint8_t sets_log2, groups_log2;

	memset(c, 0, sizeof(*c));
	c->policy = config->policy;
	c->addr_shift = addr_shift;
	hs_rng_seed(&c->rng, seed);
	if (!config->size) {
		if (init_hints(c))
			return ax_fail(msg, "%s: out of memory", name);
		return 0;
	}
	if (config->size > HS_CACHE_MAX)
		return ax_fail(msg, "%s: %u entries, at most %u", name, config->size, HS_CACHE_MAX);
	if (!config->ways || config->ways > config->size)
		return ax_fail(msg, "%s: %u ways for %u entries: must be 1 to %u", name,
			       config->ways, config->size, config->size);
	c->ways = config->ways;
	c->sets = config->size / config->ways;
	if (!config->groups || config->groups > c->sets)
		return ax_fail(msg, "%s: %u groups for %u sets: must be 1 to %u", name,
			       config->groups, c->sets, c->sets);
	c->size = c->sets * c->ways;
	sets_log2 = floor_log2(c->sets);
	groups_log2 = floor_log2(config->groups);
	c->group_mask = (1u << groups_log2) - 1;
	c->group_shift = sets_log2 - groups_log2;
	c->set_mask = (1u << c->group_shift) - 1;
	c->indexed = c->ways > HS_CACHE_SCAN;
	c->plain = !c->indexed && c->policy == HS_LRU;

	c->rank = calloc(c->size, sizeof(*c->rank));
	if (!c->indexed)
		c->tag = calloc(c->sets, HS_CACHE_SCAN);
	c->used = calloc(c->sets, sizeof(*c->used));
	c->row = calloc(c->sets, sizeof(*c->row));
	c->domains = calloc(HS_TENANTS_MAX / 64, sizeof(*c->domains));
	if (init_hints(c) || !c->rank || (!c->indexed && !c->tag) || !c->used || !c->row ||
	    !c->domains || (c->indexed && init_index(c))) {
		hs_cache_free(c);
		return ax_fail(msg, "%s: out of memory", name);
	}
	return 0;
}

void hs_cache_free(struct hs_cache *c)
{
	free(c->key);
	free(c->rank);
	free(c->tag);
	free(c->used);
	free(c->hint);
	free(c->row);
	free(c->domains);
	free(c->bucket);
	free(c->newer);
	free(c->older);
	free(c->newest);
	free(c->oldest);
	memset(c, 0, sizeof(*c));
}

/* --- the index ----------------------------------------------------------------- */

static uint32_t home(const struct hs_cache *c, uint64_t key)
{
	return (key * 0x9e3779b97f4a7c15ull) >> 32 & c->bucket_mask;
}

/* Bucket of the entry that holds @key in @set, or of the empty one that ends the search. */
static uint32_t bucket_of(const struct hs_cache *c, uint32_t set, uint64_t key)
{
	uint32_t b = home(c, key);

	while (c->bucket[b]) {
		uint32_t e = c->bucket[b] - 1;

		if (c->key[e] == key && e / c->ways == set)
			break;
		b = (b + 1) & c->bucket_mask;
	}
	return b;
}

int64_t hs_cache_find_indexed(const struct hs_cache *c, uint32_t set, uint64_t key)
{
	return (int64_t)c->bucket[bucket_of(c, set, key)] - 1;
}

/* Empty a bucket; what stands behind it closes up, so that searches still find it. */
static void bucket_clear(struct hs_cache *c, uint32_t b)
{
	uint32_t next = b;

	for (;;) {
		uint32_t want;

		next = (next + 1) & c->bucket_mask;
		if (!c->bucket[next])
			break;
		want = home(c, c->key[c->bucket[next] - 1]);
		/* may it move to b? only if its home is not between b and next */
		if (((next - want) & c->bucket_mask) < ((next - b) & c->bucket_mask))
			continue;
		c->bucket[b] = c->bucket[next];
		b = next;
	}
	c->bucket[b] = 0;
}

static void list_unlink(struct hs_cache *c, uint32_t set, uint32_t e)
{
	uint32_t newer = c->newer[e], older = c->older[e];

	*(newer == NONE ? &c->newest[set] : &c->older[newer]) = older;
	*(older == NONE ? &c->oldest[set] : &c->newer[older]) = newer;
}

static void list_push(struct hs_cache *c, uint32_t set, uint32_t e)
{
	c->newer[e] = NONE;
	c->older[e] = c->newest[set];
	*(c->newest[set] == NONE ? &c->oldest[set] : &c->newer[c->newest[set]]) = e;
	c->newest[set] = e;
}

/* --- policies ------------------------------------------------------------------- */

void hs_cache_halve(struct hs_cache *c, uint32_t set)
{
	uint64_t *rank = c->rank + (uint64_t)set * c->ways;

	for (uint32_t i = 0; i < c->used[set]; i++)
		rank[i] >>= 1;
}

void hs_cache_touch_slow(struct hs_cache *c, uint32_t set, uint64_t entry, uint64_t next)
{
	switch (c->policy) {
	case HS_LRU:
		if (c->newest[set] != entry) {
			list_unlink(c, set, entry);
			list_push(c, set, entry);
		}
		break;
	case HS_LFU:
		if (++c->rank[entry] >= HS_LFU_MAX)
			hs_cache_halve(c, set);
		break;
	case HS_ORACLE:
		c->rank[entry] = next;
		break;
	default:
		break;
	}
}

bool hs_cache_use_slow(struct hs_cache *c, uint32_t set, uint64_t key, uint16_t hash,
		       uint64_t next)
{
	int64_t e = c->size ? hs_cache_find(c, set, key) : -1;

	if (e < 0)
		return false;
	if (c->plain)
		c->hint[hash] = e;
	hs_cache_touch(c, set, e, next);
	return true;
}

/* The least of n numbers. */
static inline uint64_t least(const uint64_t *v, uint32_t n)
{
	uint64_t a = v[0];

	if (n == 8) {
		uint64_t b = v[1] < v[0] ? v[1] : v[0], c = v[3] < v[2] ? v[3] : v[2];
		uint64_t d = v[5] < v[4] ? v[5] : v[4], e = v[7] < v[6] ? v[7] : v[6];

		b = c < b ? c : b;
		d = e < d ? e : d;
		return d < b ? d : b;
	}
	for (uint32_t i = 1; i < n; i++)
		a = v[i] < a ? v[i] : a;
	return a;
}

/* Way of the victim in a full set. */
static uint32_t victim(struct hs_cache *c, uint32_t set)
{
	const uint64_t *rank = c->rank + (uint64_t)set * c->ways;
	uint32_t best = 0, nr = 1, pick;

	switch (c->policy) {
	case HS_LRU:
		if (c->indexed)
			return c->oldest[set] - set * c->ways;
		return least(rank, c->ways) & (HS_CACHE_SCAN - 1);
	case HS_ORACLE:
		for (uint32_t i = 1; i < c->ways; i++)
			best = rank[i] > rank[best] ? i : best;
		return best;
	case HS_LFU:
		for (uint32_t i = 1; i < c->ways; i++) {
			if (rank[i] < rank[best]) {
				best = i;
				nr = 1;
			} else if (rank[i] == rank[best]) {
				nr++;
			}
		}
		pick = hs_rng_below(&c->rng, nr);
		for (uint32_t i = best;; i++) {
			if (rank[i] == rank[best] && !pick--)
				return i;
		}
	default:
		return hs_rng_below(&c->rng, c->ways);
	}
}

uint64_t hs_cache_insert(struct hs_cache *c, uint32_t set, uint64_t key, uint64_t next)
{
	uint64_t first = (uint64_t)set * c->ways, e, old = HS_NO_KEY;

	if (c->used[set] < c->ways) {
		e = first + c->used[set]++;
	} else {
		e = first + victim(c, set);
		old = c->key[e];
		if (c->indexed) {
			bucket_clear(c, bucket_of(c, set, old));
			list_unlink(c, set, e);
		}
	}
	c->key[e] = key;
	if (!c->indexed)
		c->tag[(size_t)set * HS_CACHE_SCAN + (e - first)] = hs_cache_tag(key);
	switch (c->policy) {
	case HS_LRU:
		c->rank[e] = (c->clock += HS_CACHE_SCAN) | ((e - first) & (HS_CACHE_SCAN - 1));
		break;
	case HS_ORACLE:
		c->rank[e] = next;
		break;
	default:
		c->rank[e] = 0;
		break;
	}
	if (c->indexed) {
		c->bucket[bucket_of(c, set, key)] = e + 1;
		list_push(c, set, e);
	}
	return old;
}

/* Insertion into a plain cache: hs_cache_insert() without what it need not ask. */
static inline bool insert_plain(struct hs_cache *c, uint32_t set, uint64_t key)
{
	uint64_t first = (uint64_t)set * c->ways;
	uint32_t way = c->used[set];
	bool evicts = way == c->ways;

	if (evicts)
		way = least(c->rank + first, c->ways) & (HS_CACHE_SCAN - 1);
	else
		c->used[set]++;
	c->key[first + way] = key;
	c->tag[(size_t)set * HS_CACHE_SCAN + way] = hs_cache_tag(key);
	c->rank[first + way] = (c->clock += HS_CACHE_SCAN) | way;
	return evicts;
}

void hs_cache_miss(struct hs_cache *c, uint32_t set, uint64_t key, uint64_t next)
{
	uint32_t tenant = hs_key_tenant(key);

	c->row[set]++;
	c->stats.miss++;
	if (!(c->domains[tenant / 64] >> tenant % 64 & 1)) {
		c->domains[tenant / 64] |= 1ull << tenant % 64;
		c->nr_domains++;
	}
	if (c->plain)
		c->stats.conflict += insert_plain(c, set, key);
	else
		c->stats.conflict += hs_cache_insert(c, set, key, next) != HS_NO_KEY;
}

/* --- forgetting ------------------------------------------------------------------- */

/* Forget an entry; the last one of its set moves into its place. */
static void drop(struct hs_cache *c, uint32_t set, uint64_t e)
{
	uint64_t first = (uint64_t)set * c->ways, last = first + --c->used[set];
	uint8_t *tag = c->tag + (size_t)set * HS_CACHE_SCAN;

	if (c->indexed) {
		bucket_clear(c, bucket_of(c, set, c->key[e]));
		list_unlink(c, set, e);
	}
	if (e != last) {
		c->key[e] = c->key[last];
		c->rank[e] = c->rank[last];
		if (!c->indexed) {
			tag[e - first] = tag[last - first];
			if (c->policy == HS_LRU)
				c->rank[e] = c->rank[last] >> 4 << 4 | (e - first);
		} else {
			uint32_t newer = c->newer[last], older = c->older[last];

			c->bucket[bucket_of(c, set, c->key[last])] = e + 1;
			c->newer[e] = newer;
			c->older[e] = older;
			*(newer == NONE ? &c->newest[set] : &c->older[newer]) = e;
			*(older == NONE ? &c->oldest[set] : &c->newer[older]) = e;
		}
	}
	if (!c->indexed)
		tag[last - first] = 0;
	c->key[last] = HS_NO_KEY;
}

bool hs_cache_remove(struct hs_cache *c, uint32_t set, uint64_t key)
{
	int64_t e = c->size ? hs_cache_find(c, set, key) : -1;

	if (e < 0)
		return false;
	drop(c, set, e);
	return true;
}

uint64_t hs_cache_remove_if(struct hs_cache *c, bool (*match)(uint64_t key, void *arg), void *arg)
{
	uint64_t nr = 0;

	for (uint32_t set = 0; c->size && set < c->sets; set++) {
		for (uint32_t i = c->used[set]; i-- > 0;) {
			uint64_t e = (uint64_t)set * c->ways + i;

			if (match(c->key[e], arg)) {
				drop(c, set, e);
				nr++;
			}
		}
	}
	return nr;
}
