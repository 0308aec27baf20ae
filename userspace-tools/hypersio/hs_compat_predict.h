/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The original's prefetcher, for hs_compat.c. It learns, for each source, which
 * other source came "distance" accesses later (the first time, for ever), and on
 * each access fetches the last pages of that one.
 */
#ifndef HS_COMPAT_PREDICT_H
#define HS_COMPAT_PREDICT_H

#include "hs_compat_impl.h"

static inline void predict_history(struct core *c, struct source *src, const struct slot *s)
{
	uint32_t length = c->config->pf_history, at = src->first_used;
	struct page *u = c->used + (size_t)s->source * length;
	bool hit = false;

	for (uint32_t i = 0; i < src->nr_used; i++)
		hit |= u[i].key == s->page.key;
	src->hit += hit;
	src->miss += !hit;
	if (src->nr_used == length)
		src->first_used = at + 1 == length ? 0 : at + 1;
	else
		at = src->nr_used++;	/* the ring starts at 0 until it is full */
	u[at] = s->page;
}

static inline void predict_learn(struct core *c, uint32_t me)
{
	struct source *prev;

	if (!c->prev)
		return;
	if (c->prev == me + 1) {
		c->stats.same++;
		return;
	}
	c->stats.different++;
	prev = &c->source[c->prev - 1];
	if (!prev->predicts) {
		prev->predicts = me + 1;
		c->stats.mappings++;
	}
}

/* The source is the newest of the last "distance" ones; the oldest is what it may follow. */
static inline int predict_advance(struct core *c, uint32_t me)
{
	uint32_t distance = c->config->pf_distance;

	if (!distance) {
		c->prev = me + 1;
		return 0;
	}
	if (distance > DISTANCE_MAX)
		return 0;
	if (c->fifo_nr == distance) {
		c->prev = c->fifo[c->fifo_head++ & (c->fifo_room - 1)] + 1;
		c->fifo_nr--;
	}
	if (__builtin_expect(c->fifo_nr == c->fifo_room, 0) && hs_compat_grow_fifo(c))
		return -1;
	c->fifo[(c->fifo_head + c->fifo_nr++) & (c->fifo_room - 1)] = me;
	return 0;
}

static inline __attribute__((always_inline))
int predict(struct core *c, bool in_order, uint32_t demand, uint64_t now)
{
	uint32_t me = c->slot[demand].source, length = c->config->pf_history, at;
	struct source *src = &c->source[me];
	const struct page *u;

	c->stats.accesses++;
	predict_history(c, src, &c->slot[demand]);
	if (c->predicted) {
		if (c->predicted == me + 1)
			c->stats.correct++;
		else
			c->stats.incorrect++;
	}
	c->predicted = src->predicts;
	predict_learn(c, me);
	if (predict_advance(c, me))
		return -1;
	if (!c->predicted)
		return 0;
	src = &c->source[c->predicted - 1];
	u = c->used + (size_t)(c->predicted - 1) * length;
	at = src->first_used;
	c->stats.predictions++;
	for (uint32_t i = 0; i < src->nr_used; i++) {
		uint32_t number = new_slot(c);
		struct slot *s = &c->slot[number];

		if (number == UINT32_MAX)
			return -1;
		s->page = u[at];
		s->source = PREFETCH;
		s->nominal = 0;
		c->result->prefetches++;
		push(c, in_order, STAGE_WALK, now + NS_PCIE + NS_DRAM, number);
		at = at + 1 == length ? 0 : at + 1;
	}
	return 0;
}

#endif
