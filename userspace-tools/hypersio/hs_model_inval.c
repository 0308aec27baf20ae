// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The corrected model: invalidations. The host puts commands into a queue that is
 * worked off one after the other. Strict: an unmap is a command for its page.
 * Deferred: a command drops all of a domain, once it has a batch of unmaps or
 * its first one is old enough. Entries of the page caches that point to tables
 * survive the unmap of a page.
 */
#include <stdlib.h>

#include "hs_model_impl.h"

static int queue(struct model *m, uint32_t number, uint64_t now)
{
	uint64_t start = now > m->inval_free ? now : m->inval_free;

	m->commands++;
	m->inval_free = start + m->config->ns_inval * PS;
	return hs_model_post(m, LANE_INVAL, m->inval_free, EV_INVAL, number);
}

static uint32_t new_command(struct model *m, uint32_t tenant, uint32_t device)
{
	uint32_t number = hs_model_new(m);

	if (number != NONE) {
		m->flight[number].state = COMMAND;
		m->flight[number].tenant = tenant;
		m->flight[number].device = device;
	}
	return number;
}

static struct domain *domain_of(struct model *m, uint32_t tenant)
{
	if (tenant >= m->domain_room) {
		uint32_t room = 2 * tenant + 64;
		struct domain *d = realloc(m->domain, room * sizeof(*d));

		if (!d) {
			ax_fail(m->msg, "out of memory");
			return NULL;
		}
		for (uint32_t i = m->domain_room; i < room; i++)
			d[i] = (struct domain){ 0 };
		m->domain = d;
		m->domain_room = room;
	}
	return &m->domain[tenant];
}

static int flush_domain(struct model *m, uint32_t number, struct domain *d, uint64_t now)
{
	d->unmaps = 0;
	d->generation++;
	m->flight[number].domain = true;
	return queue(m, number, now);
}

int hs_model_unmap(struct model *m, const struct flight *f, uint64_t now)
{
	const struct hs_config *g = m->config;
	uint32_t number = new_command(m, f->tenant, f->device);
	struct flight *command;
	struct domain *d;

	if (number == NONE)
		return -1;
	command = &m->flight[number];
	if (g->inval == HS_INVAL_STRICT) {
		command->key = f->key;
		command->set = f->set;
		command->l2_key = f->l2_key;
		command->l2_set = f->l2_set;
		command->l3_key = f->l3_key;
		command->l3_set = f->l3_set;
		command->level = f->level;
		return queue(m, number, now);
	}
	d = domain_of(m, f->tenant);
	if (!d)
		return -1;
	if (++d->unmaps >= g->inval_batch)
		return flush_domain(m, number, d, now);
	if (d->unmaps > 1) {
		hs_model_drop(m, number);
		return 0;
	}
	command->generation = d->generation;
	return hs_model_post(m, HS_ENGINE_HEAP, now + 1000ull * g->inval_period_us * PS, EV_FLUSH,
			     number);
}

/* A range or, with no mask, all of the domain. */
int hs_model_unmap_record(struct model *m, const struct hs_rec *r, uint32_t tenant, uint32_t device,
			  uint64_t now)
{
	struct flight f = { .tenant = tenant, .device = device };
	uint32_t number;

	if (m->config->inval == HS_INVAL_NONE)
		return 0;
	if (m->config->inval == HS_INVAL_DEFERRED)
		return hs_model_unmap(m, &f, now);
	number = new_command(m, tenant, device);
	if (number == NONE)
		return -1;
	m->flight[number].range = true;
	m->flight[number].iova = r->iova & r->mask;
	m->flight[number].mask = r->mask;
	return queue(m, number, now);
}

int hs_model_flush(struct model *m, uint32_t number, uint64_t now)
{
	const struct flight *f = &m->flight[number];
	struct domain *d = &m->domain[f->tenant];

	if (d->generation == f->generation && d->unmaps)
		return flush_domain(m, number, d, now);
	hs_model_drop(m, number);	/* the batch was full before */
	return 0;
}

static bool of_tenant(uint64_t key, void *tenant)
{
	return hs_key_tenant(key) == *(uint32_t *)tenant;
}

static bool in_range(uint64_t key, void *arg)
{
	const struct flight *f = arg;

	return hs_key_tenant(key) == f->tenant &&
		(key >> HS_TENANT_BITS << HS_PAGE_SHIFT & f->mask) == f->iova;
}

static uint64_t drop_range(struct model *m, struct hs_cache *iotlb, struct device *d,
			   struct flight *f)
{
	uint64_t n = hs_cache_remove_if(iotlb, in_range, f);

	n += hs_cache_remove_if(&d->buffer, in_range, f);
	/* what points to tables goes only with all that the tables map */
	if (f->mask >> SHIFT_2M << SHIFT_2M == f->mask)
		n += hs_cache_remove_if(&m->l2, in_range, f);
	if (f->mask >> SHIFT_1G << SHIFT_1G == f->mask)
		n += hs_cache_remove_if(&m->l3, in_range, f);
	return n;
}

static uint64_t drop_domain(struct model *m, struct hs_cache *iotlb, struct device *d,
			    uint32_t tenant)
{
	return hs_cache_remove_if(iotlb, of_tenant, &tenant) +
		hs_cache_remove_if(&d->buffer, of_tenant, &tenant) +
		hs_cache_remove_if(&m->l2, of_tenant, &tenant) +
		hs_cache_remove_if(&m->l3, of_tenant, &tenant);
}

static uint64_t drop_page(struct model *m, struct hs_cache *iotlb, struct device *d,
			  const struct flight *f)
{
	uint64_t n = hs_cache_remove(iotlb, f->set, f->key);

	n += hs_cache_remove(&d->buffer, 0, f->key);
	if (f->level == 2)	/* there the entry is the page */
		n += hs_cache_remove(&m->l2, f->l2_set, f->l2_key);
	if (f->level == 3)
		n += hs_cache_remove(&m->l3, f->l3_set, f->l3_key);
	return n;
}

int hs_model_invalidated(struct model *m, uint32_t number, uint64_t now)
{
	struct flight f = m->flight[number];
	struct device *d = &m->device[f.device];
	struct hs_cache *iotlb = m->config->ats ? &d->iotlb : &m->iotlb;
	struct hs_result *r = m->result;

	r->invalidated += f.domain ? drop_domain(m, iotlb, d, f.tenant) :
		f.range ? drop_range(m, iotlb, d, &f) : drop_page(m, iotlb, d, &f);
	r->invalidations++;
	/* what began before the measured time is not all in it */
	m->invals += m->first != UINT64_MAX && now - m->config->ns_inval * PS >= m->first;
	hs_model_drop(m, number);
	if (m->commands-- == m->config->inval_queue) {
		for (uint32_t i = 0; i < m->config->devices; i++) {
			if (hs_model_resume(m, i, now))
				return -1;
		}
	}
	return 0;
}
