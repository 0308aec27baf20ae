// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The corrected model before and after a run.
 */
#include <math.h>
#include <stdlib.h>

#include "hs_model_impl.h"

static int init_device(struct model *m, struct device *d)
{
	const struct hs_config *g = m->config;
	struct hs_cache_config buffer = { g->pf_buffer, g->pf_buffer, 1, HS_LRU };
	struct hs_cache_config none = { 0 };

	if (!g->pf_enabled || !g->ats)
		buffer = none;
	d->waiting = true;
	d->oldest = NONE;
	d->youngest = NONE;
	d->first_fault = NONE;
	d->last_fault = NONE;
	d->miss = malloc(((size_t)m->miss_mask + 1) * sizeof(*d->miss));
	if (!d->miss || hs_ids_init(&d->dids, g->tenants ? g->tenants : HS_TENANTS_MAX - 1) ||
	    hs_ids_init(&d->sids, HS_TENANTS_MAX - 1))
		return ax_fail(m->msg, "out of memory");
	for (uint32_t i = 0; i <= m->miss_mask; i++)
		d->miss[i] = NONE;
	if (hs_cache_init(&d->iotlb, g->ats ? &g->iotlb : &none, 0, g->seed + 1, "iotlb", m->msg) ||
	    hs_cache_init(&d->buffer, &buffer, 0, g->seed + 4, "prefetch", m->msg))
		return -1;
	d->reader = hs_reader_open(m->path, m->msg);
	return d->reader ? 0 : -1;
}

int hs_model_init(struct model *m)
{
	const struct hs_config *g = m->config;
	struct hs_cache_config none = { 0 };

	hs_rng_seed(&m->rng, g->seed);
	m->first = UINT64_MAX;
	m->packets_left = g->packets ? g->packets : UINT64_MAX;
	m->slot_ps = 8.0 * g->packet_bytes * 1000 / g->gbps;
	m->miss_mask = 255;
	while (m->miss_mask < 2 * g->ptb)
		m->miss_mask = 2 * m->miss_mask + 1;
	m->device = calloc(g->devices, sizeof(*m->device));
	m->walker = calloc(g->walkers + 1, sizeof(*m->walker));
	if (!m->device || !m->walker || hs_engine_init(&m->engine))
		return ax_fail(m->msg, "out of memory");
	if (hs_cache_init(&m->cc, &g->cc, 0, g->seed, "cc", m->msg) ||
	    hs_cache_init(&m->iotlb, g->ats ? &none : &g->iotlb, 0, g->seed + 1, "iotlb", m->msg) ||
	    hs_cache_init(&m->l2, &g->l2, SHIFT_2M, g->seed + 2, "l2", m->msg) ||
	    hs_cache_init(&m->l3, &g->l3, SHIFT_1G, g->seed + 3, "l3", m->msg) ||
	    hs_cache_init(&m->nested, g->walk == HS_WALK_NESTED ? &g->nested : &none, 0,
			  g->seed + 5, "nested", m->msg))
		return -1;
	for (uint32_t i = 0; i < g->devices; i++) {
		if (init_device(m, &m->device[i]))
			return -1;
	}
	return 0;
}

void hs_model_release(struct model *m)
{
	struct hs_cache *cache[] = { &m->cc, &m->iotlb, &m->l2, &m->l3, &m->nested };

	for (uint32_t i = 0; m->device && i < m->config->devices; i++) {
		struct device *d = &m->device[i];

		if (d->reader)
			hs_reader_close(d->reader);
		hs_ids_free(&d->dids);
		hs_ids_free(&d->sids);
		hs_cache_free(&d->iotlb);
		hs_cache_free(&d->buffer);
		free(d->miss);
		free(d->source);
		free(d->used);
		free(d->fifo);
	}
	for (size_t i = 0; i < sizeof(cache) / sizeof(cache[0]); i++)
		hs_cache_free(cache[i]);
	hs_engine_free(&m->engine);
	free(m->device);
	free(m->walker);
	free(m->flight);
	free(m->free_flight);
	free(m->domain);
	free(m);
}

/* --- bounds ---------------------------------------------------------------------------- */

/* Utilization at @rate translations a picosecond. */
static double utilization(const struct hs_config *g, double rate)
{
	return rate * 1000 * 8 * g->packet_bytes / g->packet_translations / g->gbps / g->devices;
}

/* Entries of all devices' buffers. */
static double entries(const struct hs_config *g)
{
	uint32_t more = g->ptb_unit == HS_UNIT_PACKET ? g->packet_translations - 1 : 0;

	return (double)(g->ptb + more) * g->devices;
}

/* Before the run: each translation takes @ps, @walk of them a walker, @port the port. */
static double steady(const struct hs_config *g, double ps, double walk, double port)
{
	double rate = entries(g) / ps;

	if (g->walkers && walk > 0)
		rate = fmin(rate, g->walkers / walk);
	if (port > 0)
		rate = fmin(rate, 1 / port);
	return fmin(1, utilization(g, rate));
}

static void bounds(const struct model *m, struct hs_bounds *b)
{
	const struct hs_config *g = m->config;
	double n = m->result->translations;
	double answer = (g->ns_cc + g->ns_page_cache + (g->ats ? 2 : 1) * g->ns_pcie) * PS;
	double walk = hs_model_full_walk(g, 1) * (double)g->ns_dram * PS;
	double port = g->ns_port * PS;

	b->line = 1;
	b->ptb = m->nominal ? utilization(g, entries(g) * n / m->nominal) : INFINITY;
	b->walkers = g->walkers && m->walking ? utilization(g, g->walkers * n / m->walking) :
		INFINITY;
	b->port = port > 0 && m->requests ? utilization(g, n / (m->requests * port)) : INFINITY;
	b->inval = m->invals_by_last ?
		utilization(g, n / (m->invals_by_last * (double)g->ns_inval * PS)) : INFINITY;
	if (g->ats) {
		b->all_hit = steady(g, g->ns_iotlb * PS, 0, 0);
		b->all_miss = steady(g, g->ns_iotlb * PS + answer + walk, walk, port);
	} else {
		b->all_hit = steady(g, (g->ns_pcie + g->ns_cc + g->ns_iotlb) * PS, 0, port);
		b->all_miss = steady(g, answer + walk, walk, port);
	}
}

static void add_cache(struct hs_cache_result *to, struct hs_cache *c)
{
	struct hs_cache_stats before = to->n;
	uint32_t domains = to->domains;

	free(to->row);
	hs_result_take_cache(to, c);
	to->domains += domains;
	to->n.hit += before.hit;
	to->n.miss += before.miss;
	to->n.conflict += before.conflict;
	to->n.lookup_hit += before.lookup_hit;
	to->n.lookup_miss += before.lookup_miss;
}

void hs_model_finish(struct model *m)
{
	struct hs_result *r = m->result;

	if (m->first != UINT64_MAX && m->last > m->first)
		r->ns = (m->last - m->first + PS - 1) / PS;
	hs_result_take_cache(&r->cc, &m->cc);
	hs_result_take_cache(&r->l2, &m->l2);
	hs_result_take_cache(&r->l3, &m->l3);
	hs_result_take_cache(&r->nested, &m->nested);
	if (!m->config->ats)
		hs_result_take_cache(&r->iotlb, &m->iotlb);
	for (uint32_t i = 0; i < m->config->devices; i++) {
		if (m->config->ats)
			add_cache(&r->iotlb, &m->device[i].iotlb);
		add_cache(&r->buffer, &m->device[i].buffer);
	}
	bounds(m, &r->bounds);
	hs_result_finish(r, m->config);
}
