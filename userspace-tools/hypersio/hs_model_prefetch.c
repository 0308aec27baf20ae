// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The corrected model: the prefetcher of a device. It learns which source comes
 * "distance" translations after a source (the latest time, unless told to keep
 * the first), and fetches the last pages of that one into the prefetch buffer:
 * not those that the device has or waits for, and no more than so many at once.
 * The pages' addresses lie in memory: the IOMMU reads them with one access.
 */
#include <stdlib.h>

#include "hs_model_impl.h"

int hs_model_add_source(struct model *m, struct device *d, uint32_t source)
{
	uint32_t room = 2 * source + 64;
	struct source *s = realloc(d->source, room * sizeof(*s));
	struct used *u;

	if (s)
		d->source = s;
	u = realloc(d->used, (size_t)room * m->config->pf_history * sizeof(*u));
	if (u)
		d->used = u;
	if (!s || !u)
		return ax_fail(m->msg, "out of memory");
	for (uint32_t i = d->source_room; i < room; i++)
		d->source[i] = (struct source){ 0 };
	d->source_room = room;
	return 0;
}

static void remember(struct model *m, struct device *d, const struct flight *f)
{
	struct source *s = &d->source[f->source];
	uint32_t length = m->config->pf_history, at;
	struct used *u = d->used + (size_t)f->source * length;

	for (uint32_t i = 0; i < s->nr_used; i++) {
		if (u[i].tenant == f->tenant && hs_key(u[i].iova & u[i].mask, f->tenant) == f->key)
			return;	/* each page once */
	}
	if (s->nr_used < length) {
		at = s->nr_used++;
	} else {
		at = s->first_used;
		s->first_used = at + 1 == length ? 0 : at + 1;
	}
	u[at] = (struct used){ f->iova, f->mask, f->next, f->tenant,
			       m->result->tenant[f->tenant].did, f->level };
}

static int learn(struct model *m, struct device *d, uint32_t me)
{
	uint32_t distance = m->config->pf_distance;

	if (d->prev && d->prev != me + 1 &&
	    (m->config->pf_relearn || !d->source[d->prev - 1].predicts))
		d->source[d->prev - 1].predicts = me + 1;
	if (!distance) {
		d->prev = me + 1;
		return 0;
	}
	if (distance > 1u << 22)
		return 0;	/* longer than any prefetch is worth: it never learns */
	if (d->fifo_nr == distance) {
		d->prev = d->fifo[d->fifo_head++ & (d->fifo_room - 1)] + 1;
		d->fifo_nr--;
	}
	if (d->fifo_nr == d->fifo_room) {
		uint32_t room = d->fifo_room ? 2 * d->fifo_room : 64;
		uint32_t *fifo = malloc(room * sizeof(*fifo));

		if (!fifo)
			return ax_fail(m->msg, "out of memory");
		for (uint32_t i = 0; i < d->fifo_nr; i++)
			fifo[i] = d->fifo[(d->fifo_head + i) & (d->fifo_room - 1)];
		free(d->fifo);
		d->fifo = fifo;
		d->fifo_room = room;
		d->fifo_head = 0;
	}
	d->fifo[(d->fifo_head + d->fifo_nr++) & (d->fifo_room - 1)] = me;
	return 0;
}

/* Does the device have the page, or wait for it? */
static bool has(const struct model *m, const struct device *d, const struct flight *f)
{
	if (hs_cache_find(&d->buffer, 0, f->key) >= 0)
		return true;
	if (d->iotlb.size && hs_cache_find(&d->iotlb, f->set, f->key) >= 0)
		return true;
	return hs_model_find_miss(m, d, f->key) != NONE;
}

int hs_model_prefetch(struct model *m, uint32_t number, uint64_t now)
{
	const struct hs_config *g = m->config;
	struct flight *f = &m->flight[number];
	uint32_t device = f->device, source = f->source;
	struct device *d = &m->device[device];
	uint32_t predicts, length = g->pf_history;

	if (!g->pf_enabled || !d->buffer.size)
		return 0;
	remember(m, d, f);
	predicts = d->source[source].predicts;
	if (learn(m, d, source))
		return -1;
	if (!predicts)
		return 0;
	for (uint32_t i = 0; i < d->source[predicts - 1].nr_used; i++) {
		const struct used *u = d->used + (size_t)(predicts - 1) * length + i;
		uint32_t n;

		if (d->prefetching == g->pf_outstanding) {
			m->result->prefetch_dropped++;
			break;
		}
		n = hs_model_new(m);
		if (n == NONE)
			return -1;
		f = &m->flight[n];
		f->device = device;
		f->tenant = u->tenant;
		f->source = predicts - 1;
		hs_model_place(m, f, u->did, u->iova, u->mask, u->next, u->level);
		if (g->pf_filter && has(m, d, f)) {
			hs_model_drop(m, n);
			continue;
		}
		f->state = PREFETCHED;
		f->start = now;
		d->prefetching++;
		m->result->prefetches++;
		hs_model_add_miss(m, n);
		if (hs_model_post(m, HS_ENGINE_HEAP, now + g->ns_pcie * PS + hs_model_dram(m),
				  EV_ARRIVE, n))
			return -1;
	}
	return 0;
}
