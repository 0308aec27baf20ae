// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "hs_queue.h"

#define FIRST 256	/* events that a queue has room for at first */

int hs_queue_init(struct hs_queue *q)
{
	memset(q, 0, sizeof(*q));
	q->mask = FIRST - 1;
	q->ev = calloc(FIRST, sizeof(*q->ev));
	if (!q->ev)
		return -1;
	q->ev[0] = UINT64_MAX;
	return 0;
}

void hs_queue_free(struct hs_queue *q)
{
	free(q->ev);
	memset(q, 0, sizeof(*q));
}

int hs_queue_reserve(struct hs_queue *q, size_t events)
{
	size_t n = q->tail - q->head, room = q->mask + 1;
	uint64_t *ev;

	while (room < events)
		room *= 2;
	if (room == q->mask + 1)
		return 0;
	ev = calloc(room, sizeof(*ev));
	if (!ev)
		return -1;
	ev[0] = UINT64_MAX;
	for (size_t i = 0; i < n; i++)
		ev[i] = q->ev[(q->head + i) & q->mask];
	free(q->ev);
	q->ev = ev;
	q->head = 0;
	q->tail = n;
	q->mask = room - 1;
	return 0;
}
