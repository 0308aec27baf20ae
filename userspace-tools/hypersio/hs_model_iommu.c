// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The corrected model: the IOMMU. Requests enter through one port; the context
 * cache and the page caches are looked at; what is left of the walk takes a
 * walker for as long as its memory accesses last, one after the other.
 */
#include <math.h>

#include "hs_model_impl.h"

uint64_t hs_model_dram(struct model *m)
{
	const struct hs_config *g = m->config;
	double ns = g->ns_dram, spread = g->ns_dram_spread;

	switch ((enum hs_dram)g->dram) {
	case HS_DRAM_FIXED:
		break;
	case HS_DRAM_UNIFORM:
		ns += spread * (2 * hs_rng_unit(&m->rng) - 1);
		break;
	case HS_DRAM_EXPONENTIAL:
		ns += spread * (-log1p(-hs_rng_unit(&m->rng)) - 1);
		break;
	case HS_DRAM_ROWS:
		ns += hs_rng_unit(&m->rng) < g->row_hit ? -spread : spread;
		break;
	}
	return llrint(ns * PS);
}

static uint64_t dram_many(struct model *m, uint32_t accesses)
{
	uint64_t ps = 0;

	if (m->config->dram == HS_DRAM_FIXED)
		return accesses * m->config->ns_dram * PS;
	while (accesses--)
		ps += hs_model_dram(m);
	return ps;
}

/* --- how many accesses ------------------------------------------------------------------- */

/* Levels of the table that is walked from the root to a leaf of @level. */
static uint32_t levels(const struct hs_config *g, unsigned int level)
{
	uint32_t all = g->walk == HS_WALK_SECOND ? g->host_levels : g->guest_levels;

	return level > all ? 1 : all + 1 - level;
}

uint32_t hs_model_full_walk(const struct hs_config *g, unsigned int level)
{
	uint32_t n = levels(g, level), host = g->host_levels - g->host_page;

	return g->walk == HS_WALK_NESTED ? n * (host + 1) + host : n;
}

/*
 * Accesses to translate one guest-physical address: none if the nested cache has
 * it, else all of the host's levels. @code: 0 for the page itself, else the level
 * of the guest's table. We do not know where the guest keeps its tables: each
 * table counts as a host page of its own, and guest-physical pages as contiguous
 * as the device's addresses are.
 */
static uint32_t host_walk(struct model *m, const struct flight *f, uint32_t did, unsigned int code)
{
	const struct hs_config *g = m->config;
	unsigned int shift = 12 + 9 * (code ? code : g->host_page);
	uint64_t region = f->iova >> shift, key;

	/* bit 44 of the page number and the code above the 36 bits of a table's region */
	key = hs_key((code ? 1ull << 44 | (uint64_t)code << 40 | region : region) << HS_PAGE_SHIFT,
		     f->tenant);
	if (!m->nested.size)
		return g->host_levels - g->host_page;
	if (hs_cache_probe(&m->nested, hs_cache_set(&m->nested, did, region), key, f->next))
		return 0;
	hs_cache_access(&m->nested, hs_cache_set(&m->nested, did, region), key, f->next);
	return g->host_levels - g->host_page;
}

/* @first: level of the first table that is read, f->level - 1 when a cache had the leaf. */
static uint32_t walk_accesses(struct model *m, const struct flight *f, unsigned int first,
			      bool from_root)
{
	uint32_t did, n = 0;

	if (first < f->level)
		return 0;
	if (m->config->walk != HS_WALK_NESTED)
		return first + 1 - f->level;
	did = m->result->tenant[f->tenant].did;
	for (unsigned int k = first; k >= f->level; k--) {
		/* a page cache holds where the next table is in the host's memory */
		if (k != first || from_root)
			n += host_walk(m, f, did, k);
		n++;
	}
	return n + host_walk(m, f, did, 0);
}

/* --- events --------------------------------------------------------------------------------- */

static bool counts(const struct flight *f)
{
	return f->state == DEMAND && f->measured;
}

int hs_model_arrive(struct model *m, uint32_t number, uint64_t now)
{
	const struct hs_config *g = m->config;
	struct flight *f = &m->flight[number];
	uint64_t at = now > m->port_free ? now : m->port_free, ps = 0;
	uint32_t sid, set;

	m->port_free = at + g->ns_port * PS;
	m->requests += counts(f);
	sid = m->device[f->device].sids.id[f->source];
	set = hs_cache_set(&m->cc, sid, sid);
	if (!hs_cache_probe(&m->cc, set, f->source, f->next)) {
		uint32_t accesses = g->pasid ? 4 : 2;

		ps = dram_many(m, accesses);
		m->result->cc_accesses += accesses;
		hs_cache_access(&m->cc, set, f->source, f->next);
	}
	f->nominal += ps + (g->ns_cc + g->ns_page_cache) * PS;
	at += ps + g->ns_cc * PS;
	if (!g->ats && hs_cache_probe(&m->iotlb, f->set, f->key, f->next)) {
		m->result->class[HS_CLASS_IOTLB] += counts(f);
		f->nominal += ((uint64_t)g->ns_iotlb - g->ns_page_cache) * PS;
		return hs_model_post(m, HS_ENGINE_HEAP, at + g->ns_iotlb * PS, EV_HIT, number);
	}
	/* after a miss of the context cache it may be overtaken */
	return hs_model_post(m, ps ? HS_ENGINE_HEAP : LANE_LOOKED, at + g->ns_page_cache * PS,
			     EV_LOOKED, number);
}

/* When a walk that takes @ps ends; FIFO. */
static uint64_t take_walker(struct model *m, uint64_t now, uint64_t ps)
{
	uint32_t n = m->config->walkers, at = 0, child;
	uint64_t end;

	if (!n)
		return now + ps;
	end = (now > m->walker[0] ? now : m->walker[0]) + ps;
	while ((child = 2 * at + 1) < n) {
		if (child + 1 < n && m->walker[child + 1] < m->walker[child])
			child++;
		if (m->walker[child] >= end)
			break;
		m->walker[at] = m->walker[child];
		at = child;
	}
	m->walker[at] = end;
	return end;
}

int hs_model_looked(struct model *m, uint32_t number, uint64_t now)
{
	const struct hs_config *g = m->config;
	struct flight *f = &m->flight[number];
	bool l2 = f->level <= 2 && hs_cache_probe(&m->l2, f->l2_set, f->l2_key, f->next);
	bool l3 = f->level <= 3 && hs_cache_probe(&m->l3, f->l3_set, f->l3_key, f->next);
	uint32_t accesses, root = levels(g, f->level) + f->level - 1;
	uint64_t ps;

	/* what L2 holds points to a table of level 1, what L3 holds to one of level 2 */
	accesses = walk_accesses(m, f, l2 ? 1 : l3 ? 2 : root, !l2 && !l3);
	if (f->state == DEMAND && f->measured && !f->faulted)
		m->result->class[l2 ? HS_CLASS_L2 : l3 ? HS_CLASS_L3 : HS_CLASS_WALK]++;
	if (f->state == PREFETCHED) {
		m->result->prefetch_accesses += accesses;
	} else if (f->measured) {
		m->result->accesses += accesses;
		if (accesses > m->result->most_accesses)
			m->result->most_accesses = accesses;
	}
	if (g->pri_rate > 0 && f->state == DEMAND && !f->faulted)
		f->missing = hs_rng_unit(&m->rng) < g->pri_rate;
	if (!accesses)
		return hs_model_walked(m, number, now);
	ps = dram_many(m, accesses);
	f->nominal += ps;
	if (counts(f))
		m->walking += ps;
	return hs_model_post(m, HS_ENGINE_HEAP, take_walker(m, now, ps), EV_WALKED, number);
}

int hs_model_walked(struct model *m, uint32_t number, uint64_t now)
{
	const struct hs_config *g = m->config;
	struct flight *f = &m->flight[number];
	uint32_t did = m->result->tenant[f->tenant].did;
	bool may_l2 = true, may_l3 = true, may_iotlb = true;

	if (g->selective) {
		may_iotlb = did < g->iotlb.groups;
		may_l2 = !may_iotlb && did < g->iotlb.groups + g->l2.groups;
		may_l3 = !may_iotlb && !may_l2 &&
			did < g->iotlb.groups + g->l2.groups + g->l3.groups;
	}
	if (!f->missing) {
		if (may_l2 && f->level <= 2)
			hs_cache_access(&m->l2, f->l2_set, f->l2_key, f->next);
		if (may_l3 && f->level <= 3)
			hs_cache_access(&m->l3, f->l3_set, f->l3_key, f->next);
	}
	if (g->ats) {
		f->nominal += g->ns_pcie * PS;
		return hs_model_post(m, LANE_ANSWER, now + g->ns_pcie * PS,
				     f->missing ? EV_FAULT : EV_ANSWER, number);
	}
	if (may_iotlb)
		hs_cache_access(&m->iotlb, f->set, f->key, f->next);
	return hs_model_complete(m, number, now);
}

/* --- page requests ---------------------------------------------------------------------------- */

static int request_page(struct model *m, uint32_t number, uint64_t now)
{
	const struct hs_config *g = m->config;
	uint64_t ps = (2ull * g->ns_pcie + 1000ull * g->pri_us) * PS;

	m->flight[number].nominal += ps;
	return hs_model_post(m, HS_ENGINE_HEAP, now + ps, EV_SERVED, number);
}

int hs_model_fault(struct model *m, uint32_t number, uint64_t now)
{
	struct flight *f = &m->flight[number];
	struct device *d = &m->device[f->device];

	m->result->page_requests++;
	f->missing = false;
	f->faulted = true;
	if (d->nr_faults < m->config->pri_slots) {
		d->nr_faults++;
		return request_page(m, number, now);
	}
	*(d->first_fault == NONE ? &d->first_fault : &m->flight[d->last_fault].next_fault) = number;
	d->last_fault = number;
	return 0;
}

int hs_model_served(struct model *m, uint32_t number, uint64_t now)
{
	const struct hs_config *g = m->config;
	struct flight *f = &m->flight[number];
	struct device *d = &m->device[f->device];
	uint32_t next = d->first_fault;

	if (next == NONE) {
		d->nr_faults--;
	} else {
		d->first_fault = m->flight[next].next_fault;
		if (request_page(m, next, now))
			return -1;
	}
	f->nominal += g->ns_pcie * PS;
	return hs_model_post(m, HS_ENGINE_HEAP, now + g->ns_pcie * PS, EV_ARRIVE, number);
}
