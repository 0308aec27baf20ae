// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "hs_engine.h"

#define FIRST 64	/* events that a lane has room for at first */
#define LANES (HS_ENGINE_LANES + 1)

int hs_engine_init(struct hs_engine *e)
{
	memset(e, 0, sizeof(*e));
	for (unsigned int i = 0; i < LANES; i++) {
		e->head[i] = UINT64_MAX;
		e->lane[i].mask = FIRST - 1;
		e->lane[i].ev = malloc(FIRST * sizeof(*e->lane[i].ev));
		if (!e->lane[i].ev) {
			hs_engine_free(e);
			return -1;
		}
	}
	return 0;
}

void hs_engine_free(struct hs_engine *e)
{
	for (unsigned int i = 0; i < LANES; i++)
		free(e->lane[i].ev);
	memset(e, 0, sizeof(*e));
}

static int grow(struct hs_engine_lane *l)
{
	size_t n = l->tail - l->head;
	struct hs_engine_event *ev = malloc(2 * (l->mask + 1) * sizeof(*ev));

	if (!ev)
		return -1;
	for (size_t i = 0; i < n; i++)
		ev[i] = l->ev[(l->head + i) & l->mask];
	free(l->ev);
	l->ev = ev;
	l->head = 0;
	l->tail = n;
	l->mask = 2 * l->mask + 1;
	return 0;
}

static bool before(const struct hs_engine_event *a, const struct hs_engine_event *b)
{
	return a->time < b->time || (a->time == b->time && a->order < b->order);
}

static void rise(struct hs_engine_event *h, size_t at, struct hs_engine_event ev)
{
	while (at && before(&ev, &h[(at - 1) / 2])) {
		h[at] = h[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	h[at] = ev;
}

/* Put @ev at the top of a heap of @n events. */
static void sink(struct hs_engine_event *h, size_t n, struct hs_engine_event ev)
{
	size_t at = 0, child;

	while ((child = 2 * at + 1) < n) {
		if (child + 1 < n && before(&h[child + 1], &h[child]))
			child++;
		if (!before(&h[child], &ev))
			break;
		h[at] = h[child];
		at = child;
	}
	h[at] = ev;
}

int hs_engine_post(struct hs_engine *e, unsigned int lane, uint64_t time, uint8_t kind,
		   uint32_t who)
{
	struct hs_engine_event ev = { time, e->posted++ << 8 | kind, who };
	struct hs_engine_lane *l = &e->lane[lane];

	if (l->tail - l->head > l->mask && grow(l))
		return -1;
	if (lane == HS_ENGINE_HEAP)
		rise(l->ev, l->tail++, ev);
	else
		l->ev[l->tail++ & l->mask] = ev;
	e->head[lane] = l->ev[l->head & l->mask].time;
	return 0;
}

bool hs_engine_next(struct hs_engine *e, uint64_t *time, uint8_t *kind, uint32_t *who)
{
	const struct hs_engine_event *first;
	struct hs_engine_lane *l;
	unsigned int best = 0;

	for (unsigned int i = 1; i < LANES; i++) {
		if (e->head[i] > e->head[best] || e->head[i] == UINT64_MAX)
			continue;
		if (e->head[i] < e->head[best] ||
		    before(&e->lane[i].ev[e->lane[i].head & e->lane[i].mask],
			   &e->lane[best].ev[e->lane[best].head & e->lane[best].mask]))
			best = i;
	}
	if (e->head[best] == UINT64_MAX)
		return false;
	l = &e->lane[best];
	first = &l->ev[l->head & l->mask];
	*time = first->time;
	*kind = first->order;
	*who = first->who;
	if (best == HS_ENGINE_HEAP) {
		l->tail--;
		sink(l->ev, l->tail, l->ev[l->tail]);
	} else {
		l->head++;
	}
	e->head[best] = l->head == l->tail ? UINT64_MAX : l->ev[l->head & l->mask].time;
	return true;
}
