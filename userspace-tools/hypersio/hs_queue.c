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
	return q->ev ? 0 : -1;
}

void hs_queue_free(struct hs_queue *q)
{
	free(q->ev);
	memset(q, 0, sizeof(*q));
}

int hs_queue_grow(struct hs_queue *q)
{
	uint32_t n = q->tail - q->head;
	uint64_t *ev = calloc(2 * ((size_t)q->mask + 1), sizeof(*ev));

	if (!ev)
		return -1;
	for (uint32_t i = 0; i < n; i++)
		ev[i] = q->ev[(q->head + i) & q->mask];
	free(q->ev);
	q->ev = ev;
	q->head = 0;
	q->tail = n;
	q->mask = 2 * q->mask + 1;
	return 0;
}
