// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The compat model before and after a run.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hs_compat_impl.h"

/* --- what grows ----------------------------------------------------------------------------- */

int hs_compat_grow_slots(struct core *c)
{
	uint32_t n = c->nr_slots ? 2 * c->nr_slots : 256;
	struct slot *slot;
	uint32_t *stack;

	if (n > SLOTS_MAX)
		return ax_fail(c->msg, "more than %u translations and prefetches under way: the prefetcher asks for more than the stages can take",
			       SLOTS_MAX);
	slot = aligned_alloc(sizeof(*slot), n * sizeof(*slot));
	if (slot) {
		if (c->nr_slots)
			memcpy(slot, c->slot, c->nr_slots * sizeof(*slot));
		free(c->slot);
		c->slot = slot;
	}
	stack = realloc(c->free_slot, n * sizeof(*stack));
	if (stack)
		c->free_slot = stack;
	if (!slot || !stack)
		return ax_fail(c->msg, "out of memory");
	for (uint32_t i = n; i-- > c->nr_slots;)
		c->free_slot[c->nr_free++] = i;
	c->nr_slots = n;
	/* so that no queue can be full */
	for (unsigned int i = 0; i < STAGES; i++) {
		if (hs_queue_reserve(&c->q[i], c->config->order == HS_IN_ORDER, n + 1))
			return ax_fail(c->msg, "out of memory");
	}
	return 0;
}

int hs_compat_grow_fifo(struct core *c)
{
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
	return 0;
}

static bool in_range(uint32_t did, uint32_t first, uint32_t length)
{
	return did >= first && did - first < length;
}

int hs_compat_add_tenant(struct core *c, uint32_t tenant)
{
	const struct hs_config *g = c->config;
	uint32_t did = c->dids.id[tenant];
	struct place *p;

	if (tenant >= c->place_room) {
		uint32_t room = 2 * tenant + 64;

		p = realloc(c->place, room * sizeof(*p));
		if (!p)
			return ax_fail(c->msg, "out of memory");
		c->place = p;
		c->place_room = room;
	}
	p = &c->place[tenant];
	p->set = hs_cache_set(&c->iotlb, did, 0);
	p->l2_set = hs_cache_set(&c->l2, did, 0);
	p->l3_set = hs_cache_set(&c->l3, did, 0);
	p->may = MAY_IOTLB | MAY_L2 | MAY_L3;
	if (g->selective)
		p->may = (in_range(did, 0, g->iotlb.groups) ? MAY_IOTLB : 0) |
			(in_range(did, g->iotlb.groups, g->l2.groups) ? MAY_L2 : 0) |
			(in_range(did, g->iotlb.groups + g->l2.groups, g->l3.groups) ? MAY_L3 : 0);
	return hs_result_add_tenant(c->result, tenant, did, &c->tenant_room, c->msg);
}

int hs_compat_add_source(struct core *c, uint32_t source)
{
	uint32_t sid = c->sids.id[source];

	if (source >= c->source_room) {
		uint32_t room = 2 * source + 64;
		struct source *s = realloc(c->source, room * sizeof(*s));
		struct page *u;

		if (s)
			c->source = s;
		u = realloc(c->used, (size_t)room * c->config->pf_history * sizeof(*u));
		if (u)
			c->used = u;
		if (!s || !u)
			return ax_fail(c->msg, "out of memory");
		c->source_room = room;
	}
	c->source[source] = (struct source){ .cc_set = hs_cache_set(&c->cc, sid, sid) };
	return 0;
}

/* --- before and after ------------------------------------------------------------------------ */

int hs_compat_init(struct core *c)
{
	const struct hs_config *g = c->config;
	struct hs_cache_config pb = { g->pf_buffer, g->pf_buffer, 1, HS_LRU };

	for (unsigned int i = 0; i < STAGES; i++) {
		c->ready[i] = HS_IDLE;
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
	double walks = c->result->l2.n.lookup_hit + c->result->l2.n.lookup_miss;
	double fills = c->result->translations + c->result->buffer_fill;

	b->line = PACKET_BITS / slot / g->gbps;
	b->ptb = translations ? (g->ptb + PACKET - 1) * bits / g->gbps /
		(c->nominal_sum / translations - 1) : INFINITY;
	b->walkers = INFINITY;
	b->inval = INFINITY;
	b->port = translations / fmax(walks, fmax(fills, 1)) * bits / g->gbps;
	b->all_hit = b->line;
	b->all_miss = fmin(b->line, n * PACKET_BITS / (ceil(miss / slot) * slot) / g->gbps);
}

static int by_sid(const void *a, const void *b)
{
	const struct hs_history_result *x = a, *y = b;

	return (x->sid > y->sid) - (x->sid < y->sid);
}

int hs_compat_history(const struct core *c, struct hs_result *r)
{
	r->history = calloc(c->sids.nr + 1, sizeof(*r->history));
	if (!r->history)
		return ax_fail(c->msg, "out of memory");
	r->nr_history = c->sids.nr;
	for (uint32_t i = 0; i < c->sids.nr; i++)
		r->history[i] = (struct hs_history_result){ c->sids.id[i], c->source[i].hit,
							    c->source[i].miss };
	qsort(r->history, r->nr_history, sizeof(*r->history), by_sid);
	return 0;
}

void hs_compat_finish(struct core *c)
{
	struct hs_result *r = c->result;

	r->ns = c->end;
	r->cc_accesses = 2 * c->cc.stats.miss;
	hs_result_take_cache(&r->cc, &c->cc);
	hs_result_take_cache(&r->iotlb, &c->iotlb);
	hs_result_take_cache(&r->l2, &c->l2);
	hs_result_take_cache(&r->l3, &c->l3);
	hs_result_take_cache(&r->buffer, &c->pb);
	r->predictor = c->stats;
	bounds(c, &r->bounds);
	hs_result_finish(r, c->config);
}

void hs_compat_release(struct core *c)
{
	struct hs_cache *cache[] = { &c->cc, &c->iotlb, &c->l2, &c->l3, &c->pb };

	if (c->reader)
		hs_reader_close(c->reader);
	for (unsigned int i = 0; i < sizeof(cache) / sizeof(cache[0]); i++)
		hs_cache_free(cache[i]);
	for (unsigned int i = 0; i < STAGES; i++)
		hs_queue_free(&c->q[i]);
	hs_ids_free(&c->dids);
	hs_ids_free(&c->sids);
	free(c->slot);
	free(c->free_slot);
	free(c->place);
	free(c->source);
	free(c->used);
	free(c->fifo);
	free(c);
}
