// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The original's clock ticks once a nanosecond: at each multiple of the slot
 * time a packet starts if the pending translation buffer has room, then each of
 * four stages takes at most one event that is due. Here time jumps to the next
 * nanosecond at which one of these happens; slots that pass while the buffer is
 * full are counted as drops without being visited.
 *
 *	slot -> 1 context cache -> 4 IOTLB fill			hit
 *		1 -> 2 page caches -> 4				L2 hit of a large page
 *		1 -> 2 -> 3 walk end -> 4			else
 *		1 -> 2 ... for each prefetch
 *
 * The known defects are kept, since that is what this model is for; they are
 * listed in docs/hypersio-model.md.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hs_ids.h"
#include "hs_queue.h"
#include "hs_result.h"
#include "hs_trace.h"

#define NS_PCIE		450	/* one way */
#define NS_DRAM		50
#define NS_IOTLB	2
#define NS_CC_HIT	1
#define NS_CC_MISS	(2 * NS_PCIE + 2 * NS_DRAM)
#define NS_PAGE_CACHE	5
#define PACKET_BITS	12336	/* 1542 bytes */
#define PACKET		3	/* translations */
#define DISTANCE_MAX	(1u << 22)	/* longer FIFOs never fill */
#define SLOTS_MAX	(1u << 22)

#define SHIFT_2M	21
#define SHIFT_1G	30

/* Lanes of the stages' queues, by falling delay (hs_queue.h). */
enum { CC_MISS, CC_HIT, CC_LANES };
enum { WALK_PREFETCH, WALK_DEMAND, WALK_LANES };
enum { END_LANES = 5 };		/* 5 - accesses */
enum { FILL_L2, FILL_WALK, FILL_L3, FILL_HIT, FILL_LANES };

struct slot {
	uint64_t iova, key, next;
	uint64_t start;		/* when it was issued */
	uint32_t tenant, did, source;
	uint32_t nominal;	/* latency without queueing, ns */
	uint8_t level;
	bool prefetch;
};

/* A page that a source used lately. */
struct used {
	uint64_t iova, key, next;
	uint32_t tenant, did;
	uint8_t level;
};

struct source {
	uint32_t cc_entry;	/* where its key in the context cache was last */
	uint32_t predicts;	/* source + 1 */
	uint32_t nr_used, first_used;
	uint64_t hit, miss;
};

struct core {
	const struct hs_config *config;
	const char *path;
	struct hs_reader *reader;
	struct ax_msg *msg;
	struct hs_cache cc, iotlb, l2, l3, pb;
	struct hs_queue q[4];
	struct slot *slot;
	uint32_t *free_slot, nr_free, nr_slots;
	struct hs_ids dids, sids;
	struct hs_result *result;
	struct source *source;
	struct used *used;
	uint32_t tenant_room, source_room;
	/* predictor */
	uint32_t *fifo, fifo_room, fifo_head, fifo_nr;
	uint32_t prev;		/* source + 1 */
	uint32_t predicted;	/* source + 1 */
	struct hs_predictor_result stats;

	uint64_t left;		/* packets that may still start */
	uint64_t record, end;
	uint64_t nominal_sum, popped[4];
	uint32_t in_flight;
	uint32_t iotlb_end, l2_first, l2_end, l3_first, l3_end;	/* domains that may allocate */
	bool eof, end_empty;	/* end of trace seen; with nothing under way then */
};

static int grow_slots(struct core *c)
{
	uint32_t n = c->nr_slots ? 2 * c->nr_slots : 256;
	struct slot *slot;
	uint32_t *stack;

	if (n > SLOTS_MAX)
		return ax_fail(c->msg, "more than %u translations and prefetches under way: the prefetcher asks for more than the stages can take",
			       SLOTS_MAX);
	slot = realloc(c->slot, n * sizeof(*slot));
	if (slot)
		c->slot = slot;
	stack = realloc(c->free_slot, n * sizeof(*stack));
	if (stack)
		c->free_slot = stack;
	if (!slot || !stack)
		return ax_fail(c->msg, "out of memory");
	for (uint32_t i = n; i-- > c->nr_slots;)
		c->free_slot[c->nr_free++] = i;
	c->nr_slots = n;
	return 0;
}

static inline struct slot *new_slot(struct core *c, uint32_t *number)
{
	if (__builtin_expect(!c->nr_free, 0) && grow_slots(c))
		return NULL;
	*number = c->free_slot[--c->nr_free];
	return &c->slot[*number];
}

static int full(struct core *c)
{
	return ax_fail(c->msg, "out of memory, or more than %u events under way", HS_QUEUE_MAX);
}

/* --- ids ------------------------------------------------------------------------------ */

static int add_source(struct core *c, uint32_t source)
{
	if (source >= c->source_room) {
		uint32_t room = 2 * source + 64;
		struct source *s = realloc(c->source, room * sizeof(*s));
		struct used *u;

		if (s)
			c->source = s;
		u = realloc(c->used, (size_t)room * c->config->pf_history * sizeof(*u));
		if (u)
			c->used = u;
		if (!s || !u)
			return ax_fail(c->msg, "out of memory");
		c->source_room = room;
	}
	c->source[source] = (struct source){ 0 };
	return 0;
}

/* Take the next record; 1, 0 at the end, -1 on failure. */
static inline int take(struct core *c, struct slot *s)
{
	const struct hs_rec *r;
	uint32_t tenants = c->dids.nr, sources = c->sids.nr;

	do {
		r = hs_reader_next(c->reader);
		if (__builtin_expect(!r, 0)) {
			const char *error = hs_reader_error(c->reader);

			return error ? ax_fail(c->msg, "%s", error) : 0;
		}
		c->record++;
		s->tenant = hs_ids_get(&c->dids, r->did);
		if (__builtin_expect(s->tenant == HS_ID_NONE && !c->config->tenants, 0))
			return ax_fail(c->msg, "more than %u tenants", HS_TENANTS_MAX - 1);
	} while (s->tenant == HS_ID_NONE || r->flags & HS_REC_INVALIDATE);
	s->source = hs_ids_get(&c->sids, r->sid);
	if (__builtin_expect(s->source == HS_ID_NONE, 0))
		return ax_fail(c->msg, "more than %u sources", HS_TENANTS_MAX - 1);
	if (__builtin_expect(r->iova >> HS_IOVA_BITS, 0))
		return ax_fail(c->msg, "record %llu: address %#llx is beyond %u bits",
			       (unsigned long long)c->record - 1, (unsigned long long)r->iova,
			       HS_IOVA_BITS);
	s->iova = r->iova;
	s->key = hs_key(r->iova & r->mask, s->tenant);
	s->next = r->next;
	s->level = r->level;
	s->did = r->did;
	s->prefetch = false;
	if (__builtin_expect(c->dids.nr != tenants, 0) &&
	    hs_result_add_tenant(c->result, s->tenant, r->did, &c->tenant_room, c->msg))
		return -1;
	if (__builtin_expect(c->sids.nr != sources, 0) && add_source(c, s->source))
		return -1;
	return 1;
}

/* --- context cache ---------------------------------------------------------------------- */

static inline bool cc_access(struct core *c, struct slot *s, bool allocate)
{
	struct source *src = &c->source[s->source];
	uint64_t key = s->source;
	uint32_t set;

	if (!c->cc.size)
		return false;
	if (c->cc.key[src->cc_entry] == key) {
		if (allocate) {
			c->cc.stats.hit++;
			c->cc.row[src->cc_entry / c->cc.ways]++;
		} else {
			c->cc.stats.lookup_hit++;
		}
		hs_cache_touch(&c->cc, src->cc_entry, s->next);
		return true;
	}
	if (!allocate) {
		c->cc.stats.lookup_miss++;
		return false;
	}
	set = hs_cache_set(&c->cc, c->sids.id[s->source], c->sids.id[s->source]);
	hs_cache_access(&c->cc, set, key, s->next);
	src->cc_entry = hs_cache_find(&c->cc, set, key);
	return false;
}

/* --- predictor ---------------------------------------------------------------------------- */

static int fifo_push(struct core *c, uint32_t source)
{
	if (c->fifo_nr == c->fifo_room) {
		uint32_t room = c->fifo_room ? 2 * c->fifo_room : 64;
		uint32_t *fifo = malloc(room * sizeof(*fifo));

		if (!fifo)
			return ax_fail(c->msg, "out of memory");
		for (uint32_t i = 0; i < c->fifo_nr; i++)
			fifo[i] = c->fifo[(c->fifo_head + i) & (c->fifo_room - 1)];
		free(c->fifo);
		c->fifo = fifo;
		c->fifo_room = room;
		c->fifo_head = 0;
	}
	c->fifo[(c->fifo_head + c->fifo_nr++) & (c->fifo_room - 1)] = source;
	return 0;
}

static void history_append(struct core *c, const struct slot *s)
{
	struct source *src = &c->source[s->source];
	uint32_t length = c->config->pf_history, at;
	struct used *u = c->used + (size_t)s->source * length;
	bool hit = false;

	for (uint32_t i = 0; i < src->nr_used; i++)
		hit |= u[i].iova == s->iova;
	src->hit += hit;
	src->miss += !hit;
	at = src->first_used + src->nr_used;
	at = at >= length ? at - length : at;
	if (src->nr_used == length)
		src->first_used = src->first_used + 1 == length ? 0 : src->first_used + 1;
	else
		src->nr_used++;
	u[at] = (struct used){ s->iova, s->key, s->next, s->tenant, s->did, s->level };
}

static inline __attribute__((always_inline))
int predict(struct core *c, enum hs_ties ties, uint32_t demand, uint64_t now)
{
	uint32_t me = c->slot[demand].source, length = c->config->pf_history;
	struct source *src = &c->source[me];

	c->stats.accesses++;
	history_append(c, &c->slot[demand]);
	if (c->predicted) {
		if (c->predicted == me + 1)
			c->stats.correct++;
		else
			c->stats.incorrect++;
	}
	c->predicted = src->predicts;
	if (c->prev) {
		struct source *prev = &c->source[c->prev - 1];

		if (c->prev == me + 1) {
			c->stats.same++;
		} else {
			c->stats.different++;
			if (!prev->predicts) {
				prev->predicts = me + 1;
				c->stats.mappings++;
			}
		}
	}
	if (!c->config->pf_distance) {
		c->prev = me + 1;
	} else if (c->config->pf_distance <= DISTANCE_MAX) {
		if (c->fifo_nr == c->config->pf_distance) {
			c->prev = c->fifo[c->fifo_head & (c->fifo_room - 1)] + 1;
			c->fifo_head++;
			c->fifo_nr--;
		}
		if (fifo_push(c, me))
			return -1;
	}
	if (c->predicted) {
		const struct source *p = &c->source[c->predicted - 1];
		const struct used *u = c->used + (size_t)(c->predicted - 1) * length;
		uint32_t at = p->first_used, number;

		c->stats.predictions++;
		for (uint32_t i = 0; i < p->nr_used; i++) {
			struct slot *s = new_slot(c, &number);

			if (!s)
				return -1;
			s->iova = u[at].iova;
			s->key = u[at].key;
			s->next = u[at].next;
			s->tenant = u[at].tenant;
			s->did = u[at].did;
			s->level = u[at].level;
			s->prefetch = true;
			s->nominal = 0;
			c->result->prefetches++;
			if (hs_queue_push(&c->q[1], ties, WALK_PREFETCH, now + NS_PCIE + NS_DRAM, number))
				return full(c);
			at = at + 1 == length ? 0 : at + 1;
		}
	}
	return 0;
}

/* --- stages --------------------------------------------------------------------------------- */

static inline __attribute__((always_inline))
int issue(struct core *c, enum hs_ties ties, uint64_t now)
{
	if (!c->left--) {
		c->eof = true;
		c->end_empty = !c->in_flight;
		return 0;
	}
	for (unsigned int i = 0; i < PACKET; i++) {
		uint32_t number;
		struct slot *s = new_slot(c, &number);
		int ret;

		if (!s)
			return -1;
		ret = take(c, s);
		if (ret <= 0) {
			c->free_slot[c->nr_free++] = number;
			c->eof = true;
			c->end_empty = !c->in_flight;
			return ret;
		}
		s->start = now;
		if (cc_access(c, s, false)) {
			s->nominal = NS_CC_HIT;
			ret = hs_queue_push(&c->q[0], ties, CC_HIT, now + NS_CC_HIT, number);
		} else {
			s->nominal = NS_CC_MISS;
			ret = hs_queue_push(&c->q[0], ties, CC_MISS, now + NS_CC_MISS, number);
		}
		if (ret)
			return full(c);
		c->in_flight++;
	}
	return 0;
}

static inline __attribute__((always_inline))
int stage_cc(struct core *c, enum hs_ties ties, uint64_t now)
{
	uint32_t number = hs_queue_pop(&c->q[0], ties, CC_LANES, now);
	struct slot *s = &c->slot[number];
	bool hit, buffered;

	c->popped[0]++;
	cc_access(c, s, true);
	hit = hs_cache_probe(&c->iotlb, hs_cache_set(&c->iotlb, s->did, s->iova), s->key, s->next);
	buffered = hs_cache_probe(&c->pb, hs_cache_set(&c->pb, s->did, s->iova), s->key, s->next);
	if (hit || buffered) {
		c->result->class[hit ? HS_CLASS_IOTLB : HS_CLASS_BUFFER]++;
		s->nominal += NS_IOTLB;
		if (hs_queue_push(&c->q[3], ties, FILL_HIT, now + NS_IOTLB - 1, number))
			return full(c);
	} else {
		s->nominal += NS_PCIE;
		if (hs_queue_push(&c->q[1], ties, WALK_DEMAND, now + NS_PCIE, number))
			return full(c);
	}
	return predict(c, ties, number, now);
}

static inline __attribute__((always_inline))
int stage_walk(struct core *c, enum hs_ties ties, uint64_t now)
{
	uint32_t number = hs_queue_pop(&c->q[1], ties, WALK_LANES, now), accesses;
	struct slot *s = &c->slot[number];
	bool l2 = hs_cache_probe(&c->l2, hs_cache_set(&c->l2, s->did, s->iova),
				 hs_key(s->iova >> SHIFT_2M << SHIFT_2M, s->tenant), s->next);
	bool l3 = hs_cache_probe(&c->l3, hs_cache_set(&c->l3, s->did, s->iova),
				 hs_key(s->iova >> SHIFT_1G << SHIFT_1G, s->tenant), s->next);

	c->popped[1]++;
	if (!s->prefetch)
		c->result->class[l2 ? HS_CLASS_L2 : l3 ? HS_CLASS_L3 : HS_CLASS_WALK]++;
	if (l2 && s->level >= 2) {
		s->nominal += NS_PAGE_CACHE + NS_PCIE;
		return hs_queue_push(&c->q[3], ties, FILL_L2, now + NS_PAGE_CACHE + NS_PCIE - 1,
				     number) ? full(c) : 0;
	}
	if (!l2 && l3 && s->level >= 3) {
		s->nominal += NS_PAGE_CACHE;
		return hs_queue_push(&c->q[3], ties, FILL_L3, now + NS_PAGE_CACHE - 1, number) ?
			full(c) : 0;
	}
	accesses = l2 ? 2 - s->level : l3 ? 3 - s->level : s->level;
	s->nominal += accesses * NS_DRAM + NS_PCIE;
	if (s->prefetch) {
		c->result->prefetch_accesses += accesses;
	} else {
		c->result->accesses += accesses;
		if (accesses > c->result->most_accesses)
			c->result->most_accesses = accesses;
	}
	return hs_queue_push(&c->q[2], ties, END_LANES - accesses, now + accesses * NS_DRAM - 1,
			     number) ? full(c) : 0;
}

static inline __attribute__((always_inline))
int stage_end(struct core *c, enum hs_ties ties, uint64_t now)
{
	uint32_t number = hs_queue_pop(&c->q[2], ties, END_LANES, now);
	struct slot *s = &c->slot[number];

	c->popped[2]++;
	if (s->did >= c->l2_first && s->did < c->l2_end)
		hs_cache_access(&c->l2, hs_cache_set(&c->l2, s->did, s->iova),
				hs_key(s->iova >> SHIFT_2M << SHIFT_2M, s->tenant), s->next);
	if (s->did >= c->l3_first && s->did < c->l3_end)
		hs_cache_access(&c->l3, hs_cache_set(&c->l3, s->did, s->iova),
				hs_key(s->iova >> SHIFT_1G << SHIFT_1G, s->tenant), s->next);
	return hs_queue_push(&c->q[3], ties, FILL_WALK, now + NS_PCIE, number) ? full(c) : 0;
}

static inline __attribute__((always_inline))
void stage_fill(struct core *c, enum hs_ties ties, uint64_t now)
{
	uint32_t number = hs_queue_pop(&c->q[3], ties, FILL_LANES, now);
	struct slot *s = &c->slot[number];
	struct hs_result *r = c->result;
	struct hs_tenant_result *t;
	uint64_t ns;

	c->popped[3]++;
	c->free_slot[c->nr_free++] = number;
	if (s->prefetch) {
		if (c->pb.size) {
			r->buffer_fill++;
			r->buffer_same += hs_cache_access(&c->pb,
							  hs_cache_set(&c->pb, s->did, s->iova),
							  s->key, s->next);
		}
		return;
	}
	if (s->did < c->iotlb_end)
		hs_cache_access(&c->iotlb, hs_cache_set(&c->iotlb, s->did, s->iova), s->key,
				s->next);
	c->in_flight--;
	c->nominal_sum += s->nominal;
	ns = now - s->start;
	r->latency_sum += ns;
	if (ns > r->latency_max)
		r->latency_max = ns;
	hs_hist_add(&r->latency, ns);
	r->translations++;
	t = &r->tenant[s->tenant];
	t->translations++;
	if (t->latency)
		hs_hist_add(t->latency, ns);
	if (s->start < t->start)
		t->start = s->start;
	if (s->start + s->nominal > t->end)
		t->end = s->start + s->nominal;
}

static inline __attribute__((always_inline))
int run(struct core *c, enum hs_ties ties)
{
	const uint64_t slot_ns = PACKET_BITS / (uint32_t)c->config->gbps;
	const uint32_t ptb = c->config->ptb;
	uint64_t slot = 0;

	while (!c->eof || c->in_flight) {
		uint64_t now = c->q[0].ready;

		for (unsigned int i = 1; i < 4; i++)
			now = c->q[i].ready < now ? c->q[i].ready : now;
		if (!c->eof) {
			if (c->in_flight >= ptb) {
				if (slot <= now) {
					uint64_t n = (now - slot) / slot_ns + 1;

					c->result->drops += n;
					slot += n * slot_ns;
				}
			} else if (slot <= now) {
				now = slot;
				if (issue(c, ties, now))
					return -1;
				slot += slot_ns;
			}
		}
		if (c->q[0].ready == now && stage_cc(c, ties, now))
			return -1;
		if (c->q[1].ready == now && stage_walk(c, ties, now))
			return -1;
		if (c->q[2].ready == now && stage_end(c, ties, now))
			return -1;
		if (c->q[3].ready == now)
			stage_fill(c, ties, now);
		/* the original's clock stands one further once it has drained */
		c->end = c->end_empty ? now : now + 1;
	}
	return 0;
}

static int init(struct core *c)
{
	const struct hs_config *g = c->config;
	struct hs_cache_config pb = { g->pf_buffer, g->pf_buffer, 1, HS_LRU };

	for (unsigned int i = 0; i < 4; i++) {
		if (hs_queue_init(&c->q[i]))
			return ax_fail(c->msg, "out of memory");
	}
	if (hs_ids_init(&c->dids, g->tenants ? g->tenants : HS_TENANTS_MAX - 1) ||
	    hs_ids_init(&c->sids, HS_TENANTS_MAX - 1))
		return ax_fail(c->msg, "out of memory");
	if (hs_cache_init(&c->cc, &g->cc, 0, g->seed, "cc", c->msg) ||
	    hs_cache_init(&c->iotlb, &g->iotlb, SHIFT_2M, g->seed + 1, "iotlb", c->msg) ||
	    hs_cache_init(&c->l2, &g->l2, SHIFT_2M, g->seed + 2, "l2", c->msg) ||
	    hs_cache_init(&c->l3, &g->l3, SHIFT_1G, g->seed + 3, "l3", c->msg) ||
	    hs_cache_init(&c->pb, &pb, SHIFT_2M, g->seed + 4, "prefetch", c->msg))
		return -1;
	c->left = g->packets ? g->packets : UINT64_MAX;
	c->iotlb_end = c->l2_end = c->l3_end = UINT32_MAX;
	if (g->selective) {
		c->iotlb_end = c->l2_first = g->iotlb.groups;
		c->l2_end = c->l3_first = c->l2_first + g->l2.groups;
		c->l3_end = c->l3_first + g->l3.groups;
	}
	c->reader = hs_reader_open(c->path, c->msg);
	return c->reader ? 0 : -1;
}

/*
 * Bounds in the original's own arithmetic. A translation takes at least its
 * nominal latency less one nanosecond, at most ptb + 2 are under way, and each
 * stage takes one event a nanosecond. Before the run: ceil(ptb / 3) packets are
 * under way, each until two nanoseconds after its first translation would be done.
 */
static void bounds(const struct core *c, struct hs_bounds *b)
{
	const struct hs_config *g = c->config;
	double slot = PACKET_BITS / (uint32_t)g->gbps, n = (g->ptb + PACKET - 1) / PACKET;
	double bits = (double)PACKET_BITS / PACKET, translations = c->result->translations;
	double miss = NS_CC_HIT + 2 * NS_PCIE + NS_DRAM - 1 + (PACKET - 1);
	uint64_t busiest = 1;

	for (unsigned int i = 0; i < 4; i++)
		busiest = c->popped[i] > busiest ? c->popped[i] : busiest;
	b->line = PACKET_BITS / slot / g->gbps;
	b->ptb = translations ? (g->ptb + PACKET - 1) * bits / g->gbps /
		(c->nominal_sum / translations - 1) : INFINITY;
	b->walkers = b->inval = INFINITY;
	b->port = translations / busiest * bits / g->gbps;
	b->all_hit = b->line;
	b->all_miss = fmin(b->line, n * PACKET_BITS / (ceil(miss / slot) * slot) / g->gbps);
}

static int take_history(const struct core *c, struct hs_result *r)
{
	r->history = calloc(c->sids.nr + 1, sizeof(*r->history));
	if (!r->history)
		return ax_fail(c->msg, "out of memory");
	r->nr_history = c->sids.nr;
	for (uint32_t i = 0; i < c->sids.nr; i++)
		r->history[i] = (struct hs_history_result){ c->sids.id[i], c->source[i].hit,
							    c->source[i].miss };
	return 0;
}

static void release(struct core *c)
{
	struct hs_cache *cache[] = { &c->cc, &c->iotlb, &c->l2, &c->l3, &c->pb };

	if (c->reader)
		hs_reader_close(c->reader);
	for (unsigned int i = 0; i < sizeof(cache) / sizeof(cache[0]); i++)
		hs_cache_free(cache[i]);
	for (unsigned int i = 0; i < 4; i++)
		hs_queue_free(&c->q[i]);
	hs_ids_free(&c->dids);
	hs_ids_free(&c->sids);
	free(c->slot);
	free(c->free_slot);
	free(c->source);
	free(c->used);
	free(c->fifo);
	free(c);
}

int hs_compat_run(const struct hs_config *config, const char *path, struct hs_result *result,
		  struct ax_msg *msg)
{
	struct core *c = calloc(1, sizeof(*c));
	int ret;

	memset(result, 0, sizeof(*result));
	result->model = HS_COMPAT;
	if (!c)
		return ax_fail(msg, "out of memory");
	c->config = config;
	c->path = path;
	c->result = result;
	c->msg = msg;
	ret = init(c);
	if (!ret)
		ret = config->order == HS_IN_ORDER ? run(c, HS_INORDER) :
			config->ties == HS_TIE_HEAP ? run(c, HS_TIES_HEAP) : run(c, HS_TIES_FIFO);
	if (!ret)
		ret = take_history(c, result);
	if (!ret) {
		result->ns = c->end;
		result->cc_accesses = 2 * c->cc.stats.miss;
		hs_result_take_cache(&result->cc, &c->cc);
		hs_result_take_cache(&result->iotlb, &c->iotlb);
		hs_result_take_cache(&result->l2, &c->l2);
		hs_result_take_cache(&result->l3, &c->l3);
		hs_result_take_cache(&result->buffer, &c->pb);
		result->predictor = c->stats;
		bounds(c, &result->bounds);
		hs_result_finish(result, config);
	}
	release(c);
	return ret;
}
