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
#include <stdlib.h>
#include <string.h>

#include "hs_compat_impl.h"
#include "hs_compat_predict.h"

/* Where the page is in each of the caches. */
static inline void find_places(const struct core *c, struct page *page, const struct hs_rec *r,
			       uint32_t tenant)
{
	const struct place *at = &c->place[tenant];
	uint64_t region_2m = r->iova >> SHIFT_2M, region_1g = r->iova >> SHIFT_1G;

	page->key = hs_key(r->iova & r->mask, tenant);
	page->l2_key = hs_key(region_2m << SHIFT_2M, tenant);
	page->tag = hs_cache_tag(page->key);
	page->l2_hash = hs_cache_hash(page->l2_key);
	page->l3_hash = hs_cache_hash(l3_key(page));
	page->set = at->set | (region_2m & c->iotlb.set_mask);
	page->l2_set = at->l2_set | (region_2m & c->l2.set_mask);
	page->l3_set = at->l3_set | (region_1g & c->l3.set_mask);
	page->may = at->may;
	page->next = r->next;
	page->level = r->level;
}

/* Take the next record; 1, 0 at the end, -1 on failure. */
static inline __attribute__((always_inline))
int take(struct core *c, struct slot *s)
{
	uint32_t tenants = c->dids.nr, sources = c->sids.nr, tenant;
	const struct hs_rec *r;

	do {
		r = hs_reader_next(c->reader);
		if (__builtin_expect(!r, 0)) {
			const char *error = hs_reader_error(c->reader);

			return error ? ax_fail(c->msg, "%s", error) : 0;
		}
		c->record++;
		tenant = hs_ids_get(&c->dids, r->did);
		if (__builtin_expect(tenant == HS_ID_NONE && !c->config->tenants, 0))
			return ax_fail(c->msg, "more than %u tenants", HS_TENANTS_MAX - 1);
	} while (__builtin_expect(tenant == HS_ID_NONE || r->flags & HS_REC_INVALIDATE, 0));
	s->source = hs_ids_get(&c->sids, r->sid);
	if (__builtin_expect(s->source == HS_ID_NONE, 0))
		return ax_fail(c->msg, "more than %u sources", HS_TENANTS_MAX - 1);
	if (__builtin_expect(r->iova >> HS_IOVA_BITS, 0))
		return ax_fail(c->msg, "record %llu: address %#llx is beyond %u bits",
			       (unsigned long long)c->record - 1, (unsigned long long)r->iova,
			       HS_IOVA_BITS);
	if (__builtin_expect(c->dids.nr != tenants, 0) && hs_compat_add_tenant(c, tenant))
		return -1;
	if (__builtin_expect(c->sids.nr != sources, 0) && hs_compat_add_source(c, s->source))
		return -1;
	find_places(c, &s->page, r, tenant);
	return 1;
}

/* A source in the context cache was used; @next: see hs_cache_touch(). */
static inline void cc_touch(struct core *c, const struct source *src, uint64_t next)
{
	if (__builtin_expect(c->cc.policy != HS_LFU, 0))
		hs_cache_touch(&c->cc, src->cc_set, src->cc_entry, next);
	else if (__builtin_expect(++c->cc.rank[src->cc_entry] >= HS_LFU_MAX, 0))
		hs_cache_halve(&c->cc, src->cc_set);
}

static inline bool cc_probe(struct core *c, uint32_t source, uint64_t next)
{
	const struct source *src = &c->source[source];

	if (__builtin_expect(c->cc.key[src->cc_entry] != source, 0)) {
		c->cc.stats.lookup_miss += !!c->cc.size;
		return false;
	}
	c->cc.stats.lookup_hit++;
	cc_touch(c, src, next);
	return true;
}

static __attribute__((noinline))
void cc_fill(struct core *c, uint32_t source, uint64_t next)
{
	struct source *src = &c->source[source];

	if (!c->cc.size)
		return;
	hs_cache_access(&c->cc, src->cc_set, source, next);
	src->cc_entry = hs_cache_find(&c->cc, src->cc_set, source);
}

static inline void cc_access(struct core *c, uint32_t source, uint64_t next)
{
	const struct source *src = &c->source[source];

	if (__builtin_expect(c->cc.key[src->cc_entry] != source, 0)) {
		cc_fill(c, source, next);
		return;
	}
	c->cc.stats.hit++;
	c->cc.row[src->cc_set]++;
	cc_touch(c, src, next);
}

/* --- stages --------------------------------------------------------------------------------- */

static int end_of_trace(struct core *c)
{
	c->eof = true;
	c->end_empty = !c->in_flight;
	return 0;
}

static inline __attribute__((always_inline))
int issue(struct core *c, bool in_order, uint64_t now)
{
	if (!c->left--)
		return end_of_trace(c);
	for (unsigned int i = 0; i < PACKET; i++) {
		uint32_t number = new_slot(c);
		struct slot *s = &c->slot[number];
		int ret;

		if (number == UINT32_MAX)
			return -1;
		ret = take(c, s);
		if (ret <= 0) {
			c->free_slot[c->nr_free++] = number;
			end_of_trace(c);
			return ret;
		}
		s->start = now;
		s->nominal = cc_probe(c, s->source, s->page.next) ? NS_CC_HIT : NS_CC_MISS;
		push(c, in_order, STAGE_CC, now + s->nominal, number);
		c->in_flight++;
	}
	return 0;
}

static inline __attribute__((always_inline))
int stage_cc(struct core *c, bool in_order, uint64_t now)
{
	uint32_t number = pop(c, in_order, STAGE_CC, now);
	struct slot *s = &c->slot[number];
	const struct page *p = &s->page;
	bool hit, buffered;

	cc_access(c, s->source, p->next);
	hit = hs_cache_probe_tag(&c->iotlb, p->set, p->key, p->tag, p->next);
	buffered = hs_cache_probe_tag(&c->pb, 0, p->key, p->tag, p->next);
	if (hit || buffered) {
		c->result->class[hit ? HS_CLASS_IOTLB : HS_CLASS_BUFFER]++;
		s->nominal += NS_IOTLB;
		push(c, in_order, STAGE_FILL, now + NS_IOTLB - 1, number);
	} else {
		s->nominal += NS_PCIE;
		push(c, in_order, STAGE_WALK, now + NS_PCIE, number);
	}
	return predict(c, in_order, number, now);
}

static inline __attribute__((always_inline))
void stage_walk(struct core *c, bool in_order, uint64_t now)
{
	uint32_t number = pop(c, in_order, STAGE_WALK, now), accesses;
	struct slot *s = &c->slot[number];
	const struct page *p = &s->page;
	bool l2 = hs_cache_probe_hint(&c->l2, p->l2_set, p->l2_key, p->l2_hash, p->next);
	bool l3 = hs_cache_probe_hint(&c->l3, p->l3_set, l3_key(p), p->l3_hash, p->next);
	struct hs_result *r = c->result;

	if (s->source != PREFETCH)
		r->class[l2 ? HS_CLASS_L2 : l3 ? HS_CLASS_L3 : HS_CLASS_WALK]++;
	if (l2 && p->level >= 2) {
		s->nominal += NS_PAGE_CACHE + NS_PCIE;
		push(c, in_order, STAGE_FILL, now + NS_PAGE_CACHE + NS_PCIE - 1, number);
		return;
	}
	if (!l2 && l3 && p->level >= 3) {
		s->nominal += NS_PAGE_CACHE;
		push(c, in_order, STAGE_FILL, now + NS_PAGE_CACHE - 1, number);
		return;
	}
	accesses = l2 ? 2 - p->level : l3 ? 3 - p->level : p->level;
	s->nominal += accesses * NS_DRAM + NS_PCIE;
	if (s->source == PREFETCH) {
		r->prefetch_accesses += accesses;
	} else {
		r->accesses += accesses;
		if (accesses > r->most_accesses)
			r->most_accesses = accesses;
	}
	push(c, in_order, STAGE_END, now + accesses * NS_DRAM - 1, number);
}

static inline __attribute__((always_inline))
void stage_end(struct core *c, bool in_order, uint64_t now)
{
	uint32_t number = pop(c, in_order, STAGE_END, now);
	const struct page *p = &c->slot[number].page;

	if (p->may & MAY_L2)
		hs_cache_access_hint(&c->l2, p->l2_set, p->l2_key, p->l2_hash, p->next);
	if (p->may & MAY_L3)
		hs_cache_access_hint(&c->l3, p->l3_set, l3_key(p), p->l3_hash, p->next);
	push(c, in_order, STAGE_FILL, now + NS_PCIE, number);
}

/* Was it a translation? Then it has left the pending translation buffer. */
static inline __attribute__((always_inline))
bool stage_fill(struct core *c, bool in_order, uint64_t now)
{
	uint32_t number = pop(c, in_order, STAGE_FILL, now);
	const struct slot *s = &c->slot[number];
	const struct page *p = &s->page;
	struct hs_result *r = c->result;
	struct hs_tenant_result *t;
	unsigned int bucket;
	uint64_t ns;

	c->free_slot[c->nr_free++] = number;
	if (s->source == PREFETCH) {
		r->buffer_fill++;
		r->buffer_same += hs_cache_access_tag(&c->pb, 0, p->key, p->tag, p->next);
		return false;
	}
	if (p->may & MAY_IOTLB)
		hs_cache_access_tag(&c->iotlb, p->set, p->key, p->tag, p->next);
	c->in_flight--;
	c->nominal_sum += s->nominal;
	ns = now - s->start;
	bucket = hs_hist_bucket(ns);
	r->latency_sum += ns;
	if (ns > r->latency_max)
		r->latency_max = ns;
	r->latency.n[bucket]++;
	r->translations++;
	t = &r->tenant[hs_key_tenant(p->key)];
	t->translations++;
	if (t->latency)
		t->latency->n[bucket]++;
	if (s->start < t->start)
		t->start = s->start;
	if (s->start + s->nominal > t->end)
		t->end = s->start + s->nominal;
	return true;
}

static inline __attribute__((always_inline))
int run(struct core *c, bool in_order)
{
	const uint64_t slot_ns = PACKET_BITS / (uint32_t)c->config->gbps;
	const uint32_t ptb = c->config->ptb;
	uint64_t slot = 0, now = 0;	/* time of the next slot, of this event */

	for (;;) {
		/* what is next: earliest time, then the slot, then the first stage */
		uint64_t a = c->ready[0] < c->ready[1] ? c->ready[0] : c->ready[1];
		uint64_t b = c->ready[2] < c->ready[3] ? c->ready[2] : c->ready[3];
		uint64_t next = c->slot_ready;

		a = b < a ? b : a;
		next = a < next ? a : next;
		now = next >> 3;
		switch (next & 7) {
		case 0:
			if (now > TIME_MAX)
				return ax_fail(c->msg, "more than %llu ns are simulated",
					       (unsigned long long)TIME_MAX);
			if (issue(c, in_order, now))
				return -1;
			slot += slot_ns;
			c->slot_ready = !c->eof && c->in_flight < ptb ? slot << 3 : HS_IDLE;
			if (c->eof && !c->in_flight)
				goto end;
			break;
		case STAGE_CC + 1:
			if (stage_cc(c, in_order, now))
				return -1;
			break;
		case STAGE_WALK + 1:
			stage_walk(c, in_order, now);
			break;
		case STAGE_END + 1:
			stage_end(c, in_order, now);
			break;
		default:
			if (!stage_fill(c, in_order, now))
				break;
			if (c->eof && !c->in_flight)
				goto end;	/* whatever prefetches are under way */
			if (c->slot_ready != HS_IDLE || c->in_flight >= ptb || c->eof)
				break;
			/* slots that went by while the buffer was full, this nanosecond's too */
			if (slot <= now) {
				uint64_t n = (now - slot) / slot_ns + 1;

				c->result->drops += n;
				slot += n * slot_ns;
			}
			c->slot_ready = slot << 3;
		}
	}
end:
	/* the original's clock stands one further once it has drained */
	c->end = c->end_empty ? now : now + 1;
	return 0;
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
	ret = hs_compat_init(c);
	if (!ret)
		ret = config->order == HS_IN_ORDER ? run(c, true) : run(c, false);
	if (!ret)
		ret = hs_compat_history(c, result);
	if (!ret)
		hs_compat_finish(c);
	hs_compat_release(c);
	return ret;
}
