// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "hs_queue.h"

#define FIRST 64	/* events a lane has room for at first */

int hs_queue_init(struct hs_queue *q)
{
	memset(q, 0, sizeof(*q));
	q->ready = HS_IDLE;
	for (unsigned int i = 0; i < HS_LANES; i++) {
		q->due[i] = HS_IDLE;
		q->lane[i].mask = FIRST - 1;
		q->lane[i].ev = malloc(FIRST * sizeof(*q->lane[i].ev));
		if (!q->lane[i].ev) {
			hs_queue_free(q);
			return -1;
		}
	}
	return 0;
}

void hs_queue_free(struct hs_queue *q)
{
	for (unsigned int i = 0; i < HS_LANES; i++)
		free(q->lane[i].ev);
	memset(q, 0, sizeof(*q));
}

int hs_lane_grow(struct hs_lane *l)
{
	uint32_t old = l->mask + 1, n = l->tail - l->head;
	struct hs_event *ev;

	if (old >= HS_QUEUE_MAX)
		return -1;
	ev = malloc(2 * (size_t)old * sizeof(*ev));
	if (!ev)
		return -1;
	for (uint32_t i = 0; i < n; i++)
		ev[i] = l->ev[(l->head + i) & l->mask];
	free(l->ev);
	l->ev = ev;
	l->head = 0;
	l->tail = n;
	l->mask = 2 * old - 1;
	return 0;
}
