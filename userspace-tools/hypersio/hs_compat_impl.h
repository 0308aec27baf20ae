/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the compat model share: hs_compat.c, its stages;
 * hs_compat_predict.h, its prefetcher, inlined there; hs_compat_setup.c, what
 * happens before and after a run.
 */
#ifndef HS_COMPAT_IMPL_H
#define HS_COMPAT_IMPL_H

#include "hs_ids.h"
#include "hs_queue.h"
#include "hs_result.h"
#include "hs_trace.h"

#define NS_PCIE		450	/* one way */
#define NS_DRAM		50
#define NS_IOTLB	2
#define NS_CC_HIT	1
#define NS_CC_MISS	(2 * NS_PCIE + 2 * NS_DRAM)
#define NS_PAGE_CACHE	5
#define PACKET_BITS	12336	/* 1542 bytes */
#define PACKET		3	/* translations */
#define DISTANCE_MAX	(1u << 22)	/* longer FIFOs never fill */
#define TIME_MAX	(HS_TIME_MAX - (1u << 24))	/* no event is due so much later */
#define SLOTS_MAX	(1u << HS_SLOT_BITS)

#define SHIFT_2M	21
#define SHIFT_1G	30

enum { STAGE_CC, STAGE_WALK, STAGE_END, STAGE_FILL, STAGES };

/* struct page.may */
#define MAY_IOTLB	1	/* allocate there */
#define MAY_L2		2
#define MAY_L3		4

/* A page with its place in each cache. */
struct page {
	uint64_t key, l2_key;
	uint64_t next;		/* trace index of its next use */
	uint32_t set, l2_set, l3_set;
	uint16_t l2_hash, l3_hash;
	uint8_t tag;
	uint8_t level, may;
};

#define PREFETCH UINT32_MAX	/* struct slot.source */

/* A translation or prefetch under way. */
struct slot {
	struct page page;
	uint64_t start;		/* when it was issued */
	uint32_t source;
	uint32_t nominal;	/* latency without queueing, ns */
};

_Static_assert(sizeof(struct slot) == 64, "a slot is a cache line");

/* Key of the 1 GiB region that a 2 MiB region is in. */
static inline uint64_t l3_key(const struct page *p)
{
	return p->l2_key & ~(UINT64_C(0x1ff) << (SHIFT_2M - HS_PAGE_SHIFT + HS_TENANT_BITS));
}

/* What of a page's place depends on the tenant. */
struct place {
	uint32_t set, l2_set, l3_set;
	uint8_t may;
};

struct source {
	uint32_t cc_set, cc_entry;	/* of the context cache: where its key was last */
	uint32_t predicts;	/* source + 1 */
	uint32_t nr_used, first_used;	/* ring of its last pages */
	uint64_t hit, miss;
};

struct core {
	uint64_t ready[STAGES];	/* when the stage can go on << 3 | its number + 1 */
	uint64_t slot_ready;	/* time of the next slot << 3, or HS_IDLE while none can start */
	struct hs_queue q[STAGES];
	const struct hs_config *config;
	const char *path;
	struct hs_reader *reader;
	struct ax_msg *msg;
	struct hs_cache cc, iotlb, l2, l3, pb;
	struct slot *slot;
	uint32_t *free_slot, nr_free, nr_slots;
	struct hs_ids dids, sids;
	struct hs_result *result;
	struct place *place;	/* by tenant */
	struct source *source;
	struct page *used;	/* [source][pf_history] */
	uint32_t tenant_room, place_room, source_room;
	/* predictor */
	uint32_t *fifo, fifo_room, fifo_head, fifo_nr;
	uint32_t prev;		/* source + 1 */
	uint32_t predicted;	/* source + 1 */
	struct hs_predictor_result stats;

	uint64_t left;		/* packets that may still start */
	uint64_t record, end;
	uint64_t nominal_sum;
	uint32_t in_flight;
	bool eof, end_empty;	/* end of trace seen; with nothing under way then */
};

int hs_compat_init(struct core *c);
void hs_compat_finish(struct core *c);
void hs_compat_release(struct core *c);
int hs_compat_grow_slots(struct core *c);
int hs_compat_grow_fifo(struct core *c);
int hs_compat_add_tenant(struct core *c, uint32_t tenant);
int hs_compat_add_source(struct core *c, uint32_t source);
int hs_compat_history(const struct core *c, struct hs_result *r);

static inline uint32_t new_slot(struct core *c)
{
	if (__builtin_expect(!c->nr_free, 0) && hs_compat_grow_slots(c))
		return UINT32_MAX;
	return c->free_slot[--c->nr_free];
}

/* @due: later than now, so also later than the stage's last event. */
static inline __attribute__((always_inline))
void push(struct core *c, bool in_order, unsigned int stage, uint64_t due, uint32_t number)
{
	if (hs_queue_push(&c->q[stage], in_order, due, number))
		c->ready[stage] = due << 3 | (stage + 1);
}

/* A stage takes one event a nanosecond. */
static inline __attribute__((always_inline))
uint32_t pop(struct core *c, bool in_order, unsigned int stage, uint64_t now)
{
	uint32_t number = hs_queue_pop(&c->q[stage], in_order);
	uint64_t due = hs_queue_due(&c->q[stage], in_order);

	due = due > now ? due : now + 1;
	c->ready[stage] = due << 3 | (stage + 1);
	return number;
}

#endif
