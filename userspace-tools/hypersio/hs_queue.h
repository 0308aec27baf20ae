/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queue in front of one stage of the compat model: events with a due time,
 * of which the stage takes at most one each nanosecond.
 *
 * What enters a stage comes from few places, each a fixed time before it is
 * due, so that the events of one place are sorted as they come: a FIFO ring a
 * place ("lane"), and the earliest of the lanes' heads is next. Of two that are
 * due at once the one pushed first goes first: that of the lane with the longer
 * delay, so lanes are numbered by falling delay.
 *
 * Other orders: HS_TIES_HEAP is the original's, the binary heap of libstdc++'s
 * std::priority_queue compared by time alone, which is not stable; HS_INORDER
 * is one FIFO whatever the due times are (the head blocks the others).
 */
#ifndef HS_QUEUE_H
#define HS_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define HS_LANES	5
#define HS_IDLE	UINT64_MAX
#define HS_QUEUE_MAX	(1u << 22)	/* events of one lane */

enum hs_ties {
	HS_TIES_FIFO,
	HS_TIES_HEAP,
	HS_INORDER,
};

struct hs_event {
	uint64_t due;
	uint32_t slot;
};

/* A ring, or (lane 0 of a heap queue) the heap's array. */
struct hs_lane {
	struct hs_event *ev;
	uint32_t head, tail;	/* free running; heap: head 0, tail = length */
	uint32_t mask;
};

struct hs_queue {
	uint64_t ready;		/* when the stage can take the next event, or HS_IDLE */
	uint64_t last;		/* when it took the last one */
	uint64_t due[HS_LANES];	/* of the lanes' heads */
	struct hs_lane lane[HS_LANES];
};

int hs_queue_init(struct hs_queue *q);	/* -1: out of memory */
void hs_queue_free(struct hs_queue *q);
int hs_lane_grow(struct hs_lane *l);	/* -1: out of memory or HS_QUEUE_MAX */

static inline void hs_queue_update(struct hs_queue *q, uint64_t due)
{
	q->ready = due > q->last ? due : q->last + 1;
}

static inline uint64_t hs_queue_due(const struct hs_queue *q, unsigned int lanes)
{
	uint64_t due = q->due[0];

	for (unsigned int i = 1; i < lanes; i++)
		due = q->due[i] < due ? q->due[i] : due;
	return due;
}

/* --- libstdc++'s heap ------------------------------------------------------------- */

static inline void hs_heap_up(struct hs_event *h, uint32_t hole, struct hs_event v)
{
	while (hole) {
		uint32_t parent = (hole - 1) / 2;

		if (h[parent].due <= v.due)
			break;
		h[hole] = h[parent];
		hole = parent;
	}
	h[hole] = v;
}

static inline uint32_t hs_heap_pop(struct hs_event *h, uint32_t *length)
{
	uint32_t len = --*length, hole = 0, second = 0, slot = h[0].slot;
	struct hs_event v = h[len];

	if (!len)
		return slot;
	while (second < (len - 1) / 2) {
		second = 2 * (second + 1);
		second -= h[second].due > h[second - 1].due;
		h[hole] = h[second];
		hole = second;
	}
	if (!(len & 1) && second == (len - 2) / 2) {
		second = 2 * (second + 1);
		h[hole] = h[second - 1];
		hole = second - 1;
	}
	hs_heap_up(h, hole, v);
	return slot;
}

/* --- push and pop; @ties and @lanes are constants where these are inlined ------------ */

/* 0, or -1 when it cannot grow. */
static inline __attribute__((always_inline))
int hs_queue_push(struct hs_queue *q, enum hs_ties ties, unsigned int lane, uint64_t due,
		  uint32_t slot)
{
	struct hs_lane *l = &q->lane[ties == HS_TIES_FIFO ? lane : 0];
	struct hs_event ev = { due, slot };

	if (__builtin_expect(l->tail - l->head > l->mask, 0) && hs_lane_grow(l))
		return -1;
	if (ties == HS_TIES_HEAP) {
		hs_heap_up(l->ev, l->tail++, ev);
		q->due[0] = l->ev[0].due;
		hs_queue_update(q, q->due[0]);
		return 0;
	}
	l->ev[l->tail & l->mask] = ev;
	if (l->tail++ == l->head) {
		q->due[ties == HS_TIES_FIFO ? lane : 0] = due;
		if (ties == HS_INORDER || due < q->ready)
			hs_queue_update(q, due);
	}
	return 0;
}

/* Only when q->ready is now. */
static inline __attribute__((always_inline))
uint32_t hs_queue_pop(struct hs_queue *q, enum hs_ties ties, unsigned int lanes, uint64_t now)
{
	unsigned int lane = 0;
	struct hs_lane *l;
	uint32_t slot;

	q->last = now;
	if (ties == HS_TIES_HEAP) {
		l = &q->lane[0];
		slot = hs_heap_pop(l->ev, &l->tail);
		q->due[0] = l->tail ? l->ev[0].due : HS_IDLE;
		hs_queue_update(q, q->due[0]);
		return slot;
	}
	if (ties == HS_INORDER)
		lanes = 1;
	for (unsigned int i = 1; i < lanes; i++)
		lane = q->due[i] < q->due[lane] ? i : lane;
	l = &q->lane[lane];
	slot = l->ev[l->head++ & l->mask].slot;
	q->due[lane] = l->head == l->tail ? HS_IDLE : l->ev[l->head & l->mask].due;
	hs_queue_update(q, hs_queue_due(q, lanes));
	return slot;
}

#endif
