// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "hs_queue.h"

#define FIRST 256	/* events that a queue has room for at first */

/* An empty heap. */
static uint64_t *make_room(size_t events)
{
	uint64_t *ev = malloc(events * sizeof(*ev));

	if (ev) {
		memset(ev, 0xff, events * sizeof(*ev));
		ev[0] = 0;
	}
	return ev;
}

int hs_queue_init(struct hs_queue *q)
{
	memset(q, 0, sizeof(*q));
	q->mask = FIRST - 1;
	q->ev = make_room(FIRST);
	return q->ev ? 0 : -1;
}

void hs_queue_free(struct hs_queue *q)
{
	free(q->ev);
	memset(q, 0, sizeof(*q));
}

int hs_queue_reserve(struct hs_queue *q, bool in_order, size_t events)
{
	size_t n = q->tail - q->head, room = q->mask + 1;
	uint64_t *ev;

	while (room <= events)	/* a heap begins at 1 */
		room *= 2;
	if (room == q->mask + 1)
		return 0;
	ev = make_room(room);
	if (!ev)
		return -1;
	for (size_t i = 0; i < n; i++)
		ev[i + !in_order] = q->ev[(q->head + i + !in_order) & q->mask];
	free(q->ev);
	q->ev = ev;
	q->head = 0;
	q->tail = n;
	q->mask = room - 1;
	return 0;
}
