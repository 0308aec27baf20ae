// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The corrected model: the devices, and the loop over events.
 *
 * A device's link carries one packet a slot. A packet starts in a slot at whose
 * beginning the pending translation buffer has room (and the invalidation queue
 * too); its translations enter the buffer as far as there is room, the rest as
 * entries become free, and the next packet not before all are in. Slots in which
 * no packet could start are drops. While nothing can start no event is posted
 * for the slots that go by.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hs_model_impl.h"

uint32_t hs_model_new(struct model *m)
{
	if (!m->nr_free) {
		uint32_t n = m->nr_flights ? 2 * m->nr_flights : 256;
		struct flight *flight;
		uint32_t *stack;

		if (n > 1u << 24) {
			ax_fail(m->msg, "more than %u translations and commands under way",
				m->nr_flights);
			return NONE;
		}
		flight = realloc(m->flight, n * sizeof(*flight));
		if (flight)
			m->flight = flight;
		stack = realloc(m->free_flight, n * sizeof(*stack));
		if (stack)
			m->free_flight = stack;
		if (!flight || !stack) {
			ax_fail(m->msg, "out of memory");
			return NONE;
		}
		for (uint32_t i = n; i-- > m->nr_flights;)
			m->free_flight[m->nr_free++] = i;
		m->nr_flights = n;
	}
	m->nr_free--;
	m->flight[m->free_flight[m->nr_free]] = (struct flight){
		.waiting = NONE, .chain = NONE, .younger = NONE, .next_fault = NONE,
	};
	return m->free_flight[m->nr_free];
}

void hs_model_drop(struct model *m, uint32_t number)
{
	m->flight[number].state = FREE;
	m->free_flight[m->nr_free++] = number;
}

int hs_model_post(struct model *m, unsigned int lane, uint64_t time, enum event kind,
		  uint32_t who)
{
	return hs_engine_post(&m->engine, lane, time, kind, who) ?
		ax_fail(m->msg, "out of memory") : 0;
}

void hs_model_place(const struct model *m, struct flight *f, uint32_t did, uint64_t iova,
		    uint64_t mask, uint64_t next, uint8_t level)
{
	const struct hs_cache *iotlb = m->config->ats ? &m->device[f->device].iotlb : &m->iotlb;

	f->iova = iova;
	f->mask = mask;
	f->next = next;
	f->level = level;
	f->key = hs_key(iova & mask, f->tenant);
	f->l2_key = hs_key(iova >> SHIFT_2M << SHIFT_2M, f->tenant);
	f->l3_key = hs_key(iova >> SHIFT_1G << SHIFT_1G, f->tenant);
	/* by the page's own number, unlike the original */
	f->set = hs_cache_set(iotlb, did, iova >> __builtin_ctzll(mask));
	f->l2_set = hs_cache_set(&m->l2, did, iova);
	f->l3_set = hs_cache_set(&m->l3, did, iova);
}

/* --- outstanding misses ---------------------------------------------------------------- */

static uint32_t bucket(const struct model *m, uint64_t key)
{
	return (key * 0x9e3779b97f4a7c15ull) >> 40 & m->miss_mask;
}

uint32_t hs_model_find_miss(const struct model *m, const struct device *d, uint64_t key)
{
	uint32_t n = d->miss[bucket(m, key)];

	while (n != NONE && m->flight[n].key != key)
		n = m->flight[n].chain;
	return n;
}

void hs_model_add_miss(struct model *m, uint32_t number)
{
	struct flight *f = &m->flight[number];
	uint32_t *head = &m->device[f->device].miss[bucket(m, f->key)];

	f->chain = *head;
	*head = number;
}

static void remove_miss(struct model *m, uint32_t number)
{
	struct flight *f = &m->flight[number];
	uint32_t *at = &m->device[f->device].miss[bucket(m, f->key)];

	while (*at != number)
		at = &m->flight[*at].chain;
	*at = f->chain;
}

/* --- the end of a translation ------------------------------------------------------------ */

static int retire(struct model *m, uint32_t number, uint64_t now)
{
	struct flight f = m->flight[number];
	struct device *d = &m->device[f.device];
	struct hs_result *r = m->result;
	uint64_t ns = (now - f.start) / PS;

	d->in_flight--;
	m->demands--;
	if (now > m->last)
		m->last = now;
	m->invals_by_last = m->invals;
	if (f.measured) {
		struct hs_tenant_result *t = &r->tenant[f.tenant];

		m->nominal += f.nominal;
		r->latency_sum += ns;
		if (ns > r->latency_max)
			r->latency_max = ns;
		hs_hist_add(&r->latency, ns);
		if (t->latency)
			hs_hist_add(t->latency, ns);
		r->translations++;
		t->translations++;
		if (f.start / PS < t->start)
			t->start = f.start / PS;
		if (now / PS > t->end)
			t->end = now / PS;
	}
	hs_model_drop(m, number);
	if (m->config->inval != HS_INVAL_NONE && f.from_end < m->config->inval_pages &&
	    hs_model_unmap(m, &f, now))
		return -1;
	return hs_model_resume(m, f.device, now);
}

int hs_model_complete(struct model *m, uint32_t number, uint64_t now)
{
	struct flight *f = &m->flight[number];
	struct device *d = &m->device[f->device];

	if (m->config->order != HS_IN_ORDER)
		return retire(m, number, now);
	f->done = true;
	while (d->oldest != NONE && m->flight[d->oldest].done) {
		uint32_t first = d->oldest;

		d->oldest = m->flight[first].younger;
		if (d->oldest == NONE)
			d->youngest = NONE;
		if (retire(m, first, now))
			return -1;
	}
	return 0;
}

static int answer(struct model *m, uint32_t number, uint64_t now)
{
	struct flight *f = &m->flight[number];
	struct device *d = &m->device[f->device];
	uint32_t waiter = f->waiting;

	remove_miss(m, number);
	if (f->state == DEMAND || waiter != NONE) {
		hs_cache_access(&d->iotlb, f->set, f->key, f->next);
	} else {
		m->result->buffer_fill++;
		m->result->buffer_same += hs_cache_access(&d->buffer, 0, f->key, f->next);
	}
	if (f->state == DEMAND) {
		if (hs_model_complete(m, number, now))
			return -1;
	} else {
		d->prefetching--;
		hs_model_drop(m, number);
	}
	while (waiter != NONE) {
		uint32_t next = m->flight[waiter].waiting;

		if (hs_model_complete(m, waiter, now))
			return -1;
		waiter = next;
	}
	return 0;
}

/* --- the beginning ----------------------------------------------------------------------- */

/* The next record that is @device's into @number; 1, 0 at the end, -1 on failure. */
static int take(struct model *m, uint32_t device, uint32_t number, uint64_t now)
{
	const struct hs_config *g = m->config;
	struct device *d = &m->device[device];

	for (;;) {
		const struct hs_rec *r = hs_reader_next(d->reader);
		uint32_t tenant, source;
		struct flight *f;

		if (!r) {
			const char *error = hs_reader_error(d->reader);

			return error ? ax_fail(m->msg, "%s", error) : 0;
		}
		tenant = hs_ids_get(&d->dids, r->did);
		source = hs_ids_get(&d->sids, r->sid);
		if (tenant == HS_ID_NONE && g->tenants)
			continue;
		if (tenant == HS_ID_NONE || source == HS_ID_NONE)
			return ax_fail(m->msg, "more than %u tenants or sources",
				       HS_TENANTS_MAX - 1);
		/* the highest bit of 57 tells page tables from pages in the nested cache */
		if (r->iova >> (HS_IOVA_BITS - 1))
			return ax_fail(m->msg, "address %#llx is beyond %u bits",
				       (unsigned long long)r->iova, HS_IOVA_BITS - 1);
		if (tenant >= m->result->nr_tenants &&
		    hs_result_add_tenant(m->result, tenant, r->did, &m->tenant_room, m->msg))
			return -1;
		if (tenant % g->devices != device)
			continue;
		if (r->flags & HS_REC_INVALIDATE) {
			if (hs_model_unmap_record(m, r, tenant, device, now))
				return -1;
			continue;
		}
		if (source >= d->source_room && hs_model_add_source(m, d, source))
			return -1;
		f = &m->flight[number];	/* not before: an unmap may move it */
		f->device = device;
		f->tenant = tenant;
		f->source = source;
		hs_model_place(m, f, r->did, r->iova, r->mask, r->next, r->level);
		return 1;
	}
}

static int lookup(struct model *m, uint32_t number, uint64_t now)
{
	const struct hs_config *g = m->config;
	struct flight *f = &m->flight[number];
	struct device *d = &m->device[f->device];
	struct hs_result *r = m->result;
	uint32_t primary;

	if (!g->ats) {
		f->nominal = g->ns_pcie * PS;
		return hs_model_post(m, LANE_REQUEST, now + f->nominal, EV_ARRIVE, number);
	}
	if (hs_cache_probe(&d->iotlb, f->set, f->key, f->next)) {
		r->class[HS_CLASS_IOTLB] += f->measured;
	} else if (d->buffer.size && hs_cache_probe(&d->buffer, 0, f->key, f->next)) {
		r->class[HS_CLASS_BUFFER] += f->measured;
		hs_cache_remove(&d->buffer, 0, f->key);
		hs_cache_access(&d->iotlb, f->set, f->key, f->next);
	} else {
		primary = g->merge ? hs_model_find_miss(m, d, f->key) : NONE;
		if (primary != NONE) {
			r->class[HS_CLASS_MERGED] += f->measured;
			f->waiting = m->flight[primary].waiting;
			m->flight[primary].waiting = number;
			return 0;
		}
		hs_model_add_miss(m, number);
		f->nominal = (g->ns_iotlb + g->ns_pcie) * PS;
		return hs_model_post(m, LANE_REQUEST, now + f->nominal, EV_ARRIVE, number);
	}
	f->nominal = g->ns_iotlb * PS;
	return hs_model_post(m, LANE_HIT, now + f->nominal, EV_HIT, number);
}

/* One translation of the current packet; 1, 0 at the end of the trace, -1 on failure. */
static int issue(struct model *m, uint32_t device, uint64_t now)
{
	struct device *d = &m->device[device];
	uint32_t number = hs_model_new(m);
	struct flight *f;
	int ret;

	if (number == NONE)
		return -1;
	ret = take(m, device, number, now);
	if (ret <= 0) {
		hs_model_drop(m, number);
		d->eof = true;
		d->left = 0;
		return ret;
	}
	f = &m->flight[number];
	f->state = DEMAND;
	f->start = now;
	f->measured = d->measured;
	f->from_end = --d->left < 255 ? d->left : 255;
	d->in_flight++;
	m->demands++;
	if (m->config->order == HS_IN_ORDER) {
		*(d->youngest == NONE ? &d->oldest : &m->flight[d->youngest].younger) = number;
		d->youngest = number;
	}
	if (lookup(m, number, now) || hs_model_prefetch(m, number, now))
		return -1;
	return 1;
}

static bool room(const struct model *m, const struct device *d)
{
	return d->in_flight < m->config->ptb;
}

/* As many translations of the current packet as there is room for. */
static int fill(struct model *m, uint32_t device, uint64_t now)
{
	struct device *d = &m->device[device];

	while (d->left && (m->config->ptb_unit == HS_UNIT_PACKET || room(m, d))) {
		int ret = issue(m, device, now);

		if (ret < 0)
			return -1;
	}
	return 0;
}

static uint64_t slot_time(const struct model *m, uint64_t slot)
{
	return ceil(slot * m->slot_ps);
}

int hs_model_resume(struct model *m, uint32_t device, uint64_t now)
{
	struct device *d = &m->device[device];
	uint64_t at;

	if (fill(m, device, now))
		return -1;
	if (d->left || d->eof || !d->waiting || !room(m, d) ||
	    m->commands >= m->config->inval_queue)
		return 0;
	d->waiting = false;
	if (m->config->full == HS_FULL_WAIT) {
		at = now > d->free_from ? now : d->free_from;
	} else {
		at = slot_time(m, d->slot);
		if (at < now) {
			uint64_t n = (now - at) / m->slot_ps;

			while (slot_time(m, d->slot + n) < now)
				n++;
			m->result->drops += n;
			d->slot += n;
			at = slot_time(m, d->slot);
		}
	}
	return hs_model_post(m, HS_ENGINE_HEAP, at, EV_SLOT, device);
}

/* The time that counts begins: what the caches and counters have seen so far does not. */
static void start_measuring(struct model *m, uint64_t now)
{
	struct hs_cache *cache[] = { &m->cc, &m->iotlb, &m->l2, &m->l3, &m->nested };
	struct hs_result *r = m->result;
	uint64_t *count[] = {
		&r->drops, &r->accesses, &r->most_accesses, &r->cc_accesses, &r->prefetches,
		&r->prefetch_accesses, &r->prefetch_dropped, &r->buffer_fill, &r->buffer_same,
		&r->invalidations, &r->invalidated, &r->page_requests,
		&m->requests, &m->walking, &m->invals, &m->invals_by_last,
	};

	m->first = now;
	for (size_t i = 0; i < sizeof(cache) / sizeof(cache[0]); i++)
		cache[i]->stats = (struct hs_cache_stats){ 0 };
	for (uint32_t i = 0; i < m->config->devices; i++) {
		m->device[i].iotlb.stats = (struct hs_cache_stats){ 0 };
		m->device[i].buffer.stats = (struct hs_cache_stats){ 0 };
	}
	for (size_t i = 0; i < sizeof(count) / sizeof(count[0]); i++)
		*count[i] = 0;
}

static int slot(struct model *m, uint32_t device, uint64_t now)
{
	struct device *d = &m->device[device];
	int ret;

	d->waiting = true;
	if (!room(m, d) || m->commands >= m->config->inval_queue)
		return 0;	/* until it is resumed */
	if (!m->packets_left) {
		d->eof = true;
		return 0;
	}
	d->left = m->config->packet_translations;
	d->measured = m->started >= m->config->warmup;
	if (d->measured && m->first == UINT64_MAX)
		start_measuring(m, now);
	ret = issue(m, device, now);
	if (ret <= 0)
		return ret;
	m->packets_left--;
	m->started++;
	d->slot++;
	d->free_from = now + ceil(m->slot_ps);
	/* its time on the wire counts, however fast it was translated */
	if (d->free_from > m->last)
		m->last = d->free_from;
	return hs_model_resume(m, device, now);
}

static int loop(struct model *m)
{
	uint64_t now, before = 0;
	uint32_t who;
	uint8_t kind;

	for (uint32_t i = 0; i < m->config->devices; i++) {
		if (hs_model_post(m, HS_ENGINE_HEAP, 0, EV_SLOT, i))
			return -1;
	}
	while (hs_engine_next(&m->engine, &now, &kind, &who)) {
		int ret = 0;

		if (now < before)
			return ax_fail(m->msg, "an error of the model: time runs backwards");
		before = now;
		switch ((enum event)kind) {
		case EV_SLOT:
			ret = slot(m, who, now);
			break;
		case EV_HIT:
			ret = hs_model_complete(m, who, now);
			break;
		case EV_ARRIVE:
			ret = hs_model_arrive(m, who, now);
			break;
		case EV_LOOKED:
			ret = hs_model_looked(m, who, now);
			break;
		case EV_WALKED:
			ret = hs_model_walked(m, who, now);
			break;
		case EV_ANSWER:
			ret = answer(m, who, now);
			break;
		case EV_FAULT:
			ret = hs_model_fault(m, who, now);
			break;
		case EV_SERVED:
			ret = hs_model_served(m, who, now);
			break;
		case EV_INVAL:
			ret = hs_model_invalidated(m, who, now);
			break;
		case EV_FLUSH:
			ret = hs_model_flush(m, who, now);
			break;
		}
		if (ret)
			return -1;
		if (!m->demands) {
			bool more = false;

			for (uint32_t i = 0; i < m->config->devices; i++)
				more |= !m->device[i].eof;
			if (!more)
				break;
		}
	}
	return 0;
}

int hs_model_run(const struct hs_config *config, const char *path, struct hs_result *result,
		 struct ax_msg *msg)
{
	struct model *m = calloc(1, sizeof(*m));
	int ret;

	memset(result, 0, sizeof(*result));
	result->model = HS_MODEL;
	if (!m)
		return ax_fail(msg, "out of memory");
	m->config = config;
	m->path = path;
	m->result = result;
	m->msg = msg;
	ret = hs_model_init(m);
	if (!ret)
		ret = loop(m);
	if (!ret)
		hs_model_finish(m);
	hs_model_release(m);
	return ret;
}
