/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queue in front of one stage of the compat model: events with a due time,
 * of which the stage takes at most one each nanosecond.
 *
 * An event is one 64-bit word: due time (44 bits, 4.8 hours) and number of a
 * slot (20 bits). Out of order, the queue is the original's: the binary heap of
 * libstdc++'s std::priority_queue compared by due time alone. It is not stable,
 * and counters depend on the order in which it gives out events that are due
 * at once: so it is the very same heap, move by move. In order, it is a FIFO,
 * whatever the due times are: the head blocks the others.
 */
#ifndef HS_QUEUE_H
#define HS_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#define HS_SLOT_BITS	20
#define HS_SLOT_MASK	((1u << HS_SLOT_BITS) - 1)
#define HS_TIME_MAX	((UINT64_C(1) << (64 - HS_SLOT_BITS)) - 1)
#define HS_IDLE		UINT64_MAX

struct hs_queue {
	uint64_t *ev;
	uint32_t head, tail;	/* FIFO: free running; heap: head 0, tail its length */
	uint32_t mask;		/* room - 1 */
	uint64_t next;		/* when the stage can take an event again */
};

int hs_queue_init(struct hs_queue *q);	/* -1: out of memory */
void hs_queue_free(struct hs_queue *q);
int hs_queue_grow(struct hs_queue *q);	/* -1: out of memory */

static inline void hs_heap_up(uint64_t *h, uint32_t hole, uint64_t v)
{
	const uint64_t limit = v | HS_SLOT_MASK;

	while (hole) {
		uint32_t parent = (hole - 1) / 2;

		if (h[parent] <= limit)
			break;
		h[hole] = h[parent];
		hole = parent;
	}
	h[hole] = v;
}

static inline uint64_t hs_heap_pop(uint64_t *h, uint32_t *length)
{
	uint32_t len = --*length, hole = 0, second = 0, inner = (len - 1) / 2;
	uint64_t top = h[0], v = h[len];

	if (!len)
		return top;
	while (second < inner) {
		second = 2 * (second + 1);
		second -= h[second] > (h[second - 1] | HS_SLOT_MASK);
		h[hole] = h[second];
		hole = second;
	}
	if (!(len & 1) && second == (len - 2) / 2) {
		second = 2 * (second + 1);
		h[hole] = h[second - 1];
		hole = second - 1;
	}
	hs_heap_up(h, hole, v);
	return top;
}

/* When the stage can take the next event, or HS_IDLE. */
static inline uint64_t hs_queue_ready(const struct hs_queue *q)
{
	uint64_t due = q->ev[q->head & q->mask] >> HS_SLOT_BITS;

	due = due > q->next ? due : q->next;
	return q->head == q->tail ? HS_IDLE : due;
}

/* 0, or -1 when it cannot grow; @due at most HS_TIME_MAX. */
static inline __attribute__((always_inline))
int hs_queue_push(struct hs_queue *q, bool in_order, uint64_t due, uint32_t slot)
{
	uint64_t ev = due << HS_SLOT_BITS | slot;

	if (__builtin_expect(q->tail - q->head > q->mask, 0) && hs_queue_grow(q))
		return -1;
	if (in_order) {
		q->ev[q->tail++ & q->mask] = ev;
	} else {
		hs_heap_up(q->ev, q->tail++, ev);
	}
	return 0;
}

/* The slot of the next event; only when hs_queue_ready() is @now. */
static inline __attribute__((always_inline))
uint32_t hs_queue_pop(struct hs_queue *q, bool in_order, uint64_t now)
{
	q->next = now + 1;
	if (in_order)
		return q->ev[q->head++ & q->mask] & HS_SLOT_MASK;
	return hs_heap_pop(q->ev, &q->tail) & HS_SLOT_MASK;
}

#endif
