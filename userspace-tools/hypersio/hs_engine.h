/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events of the corrected model, in order of time and, at one time, in the order
 * in which they were posted.
 *
 * Most events are posted a constant time ahead, so those of one kind are sorted
 * as they come: a FIFO ring ("lane") each. The rest is in a heap.
 */
#ifndef HS_ENGINE_H
#define HS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HS_ENGINE_LANES	5
#define HS_ENGINE_HEAP	HS_ENGINE_LANES	/* the "lane" for times that are not sorted */

struct hs_engine_event {
	uint64_t time;		/* ps */
	uint64_t order;		/* of posting << 8 | kind */
	uint32_t who;
};

struct hs_engine_lane {
	struct hs_engine_event *ev;
	size_t head, tail;	/* free running; heap: head 0 */
	size_t mask;
};

struct hs_engine {
	struct hs_engine_lane lane[HS_ENGINE_LANES + 1];
	uint64_t head[HS_ENGINE_LANES + 1];	/* time of each lane's first event */
	uint64_t posted;
};

int hs_engine_init(struct hs_engine *e);	/* -1: out of memory */
void hs_engine_free(struct hs_engine *e);
/* -1: out of memory. @time is at least that of the lane's last event, but for the heap. */
int hs_engine_post(struct hs_engine *e, unsigned int lane, uint64_t time, uint8_t kind,
		   uint32_t who);
/* The next event; false when there is none. */
bool hs_engine_next(struct hs_engine *e, uint64_t *time, uint8_t *kind, uint32_t *who);

#endif
