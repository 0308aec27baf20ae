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
#include <stddef.h>
#include <stdint.h>

#define HS_SLOT_BITS	20
#define HS_SLOT_MASK	((1u << HS_SLOT_BITS) - 1)
#define HS_TIME_MAX	((UINT64_C(1) << (64 - HS_SLOT_BITS)) - 1)
#define HS_IDLE		UINT64_MAX

struct hs_queue {
	uint64_t *ev;
	size_t head, tail;	/* FIFO: free running; heap: head 0, tail its length */
	size_t mask;		/* room - 1; an empty heap has UINT64_MAX at its top */
};

int hs_queue_init(struct hs_queue *q);	/* -1: out of memory */
void hs_queue_free(struct hs_queue *q);
/* Make room for so many events: a push does not look. -1: out of memory. */
int hs_queue_reserve(struct hs_queue *q, size_t events);

/* Put @v at @hole or above; returns where. */
static inline size_t hs_heap_up(uint64_t *h, size_t hole, uint64_t v)
{
	const uint64_t limit = v | HS_SLOT_MASK;

	while (hole) {
		size_t parent = (hole - 1) / 2;

		if (h[parent] <= limit)
			break;
		h[hole] = h[parent];
		hole = parent;
	}
	h[hole] = v;
	return hole;
}

/* The hole at the top sinks to a leaf, then the last event rises from there. */
static inline uint64_t hs_heap_pop(uint64_t *h, size_t *length)
{
	size_t len = --*length, hole = 0, inner = len / 2;
	uint64_t top = h[0], v = h[len];

	h[len] = UINT64_MAX;	/* the right child that the last inner node may lack */
	if (!len)
		return top;
	while (hole < inner) {
		size_t child = 2 * hole + 2;

		child -= h[child] > (h[child - 1] | HS_SLOT_MASK);
		h[hole] = h[child];
		hole = child;
	}
	hs_heap_up(h, hole, v);
	return top;
}

/* @due: at most HS_TIME_MAX. Is it the next one now? */
static inline __attribute__((always_inline))
bool hs_queue_push(struct hs_queue *q, bool in_order, uint64_t due, uint32_t slot)
{
	uint64_t ev = due << HS_SLOT_BITS | slot;

	if (in_order) {
		q->ev[q->tail & q->mask] = ev;
		return q->tail++ == q->head;
	}
	return !hs_heap_up(q->ev, q->tail++, ev);
}

/* The slot of the next event; there must be one. */
static inline __attribute__((always_inline))
uint32_t hs_queue_pop(struct hs_queue *q, bool in_order)
{
	if (in_order)
		return q->ev[q->head++ & q->mask] & HS_SLOT_MASK;
	return hs_heap_pop(q->ev, &q->tail) & HS_SLOT_MASK;
}

/* When the next one is due; HS_TIME_MAX when there is none. */
static inline __attribute__((always_inline))
uint64_t hs_queue_due(const struct hs_queue *q, bool in_order)
{
	if (in_order && q->head == q->tail)
		return HS_TIME_MAX;
	return q->ev[in_order ? q->head & q->mask : 0] >> HS_SLOT_BITS;
}

#endif
