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
	size_t mask;		/* room - 1 */
};

int hs_queue_init(struct hs_queue *q);	/* -1: out of memory */
void hs_queue_free(struct hs_queue *q);
/* Make room for so many events: a push does not look. -1: out of memory. */
int hs_queue_reserve(struct hs_queue *q, bool in_order, size_t events);

/*
 * The heap: its top is h[1], the children of h[i] are h[2 * i] and h[2 * i + 1].
 * Loops need not ask where it ends: h[0] is 0, what follows the last event is
 * UINT64_MAX.
 */

/* Put @v at @hole or above; returns where. */
static inline size_t hs_heap_up(uint64_t *h, size_t hole, uint64_t v)
{
	const uint64_t limit = v | HS_SLOT_MASK;

	while (h[hole / 2] > limit) {
		h[hole] = h[hole / 2];
		hole /= 2;
	}
	h[hole] = v;
	return hole;
}

#define HS_HEAP_EV	sizeof(uint64_t)

/* A place in the heap is counted in bytes here: the processor doubles it as it loads. */
static inline uint64_t *hs_heap_at(uint64_t *h, size_t place)
{
	return (uint64_t *)((char *)h + place);
}

/* Does the right child rise, not the left one? It also does when both are due at once. */
static inline size_t hs_heap_right(uint64_t *h, size_t left)
{
	return *hs_heap_at(h, left + HS_HEAP_EV) <= (*hs_heap_at(h, left) | HS_SLOT_MASK);
}

/*
 * The hole at the top sinks to a leaf, then the last event rises from there. How
 * far it sinks depends on the length alone, so the processor guesses it right;
 * and which grandchild rises is found out without waiting for which child does.
 */
static inline __attribute__((always_inline))
uint64_t hs_heap_pop(uint64_t *h, size_t *length)
{
	size_t len = --*length, at = HS_HEAP_EV, levels, hole;
	uint64_t top = h[1], v = h[len + 1];

	h[len + 1] = UINT64_MAX;
	if (!len)
		return top;
	for (levels = len; levels >= 4; levels /= 4) {
		const uint64_t *g = hs_heap_at(h, 4 * at);
		uint64_t g0 = g[0], g1 = g[1], g2 = g[2], g3 = g[3];
		size_t right = hs_heap_right(h, 2 * at);
		size_t child = 2 * at + right * HS_HEAP_EV, grandchild;

		g0 = right ? g2 : g0;
		g1 = right ? g3 : g1;
		grandchild = 2 * child + (g1 <= (g0 | HS_SLOT_MASK)) * HS_HEAP_EV;
		*hs_heap_at(h, at) = *hs_heap_at(h, child);
		*hs_heap_at(h, child) = *hs_heap_at(h, grandchild);
		at = grandchild;
	}
	if (levels >= 2) {
		size_t child = 2 * at + hs_heap_right(h, 2 * at) * HS_HEAP_EV;

		*hs_heap_at(h, at) = *hs_heap_at(h, child);
		at = child;
	}
	hole = at / HS_HEAP_EV;
	/* the last level has gaps */
	hs_heap_up(h, hole >> (hole > len), v);
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
	return hs_heap_up(q->ev, ++q->tail, ev) == 1;
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
	return q->ev[in_order ? q->head & q->mask : 1] >> HS_SLOT_BITS;
}

#endif
