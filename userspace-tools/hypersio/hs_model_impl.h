/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the corrected model share. A translation's way:
 *
 *	device		hs_model.c: packets, pending translations, IOTLB, prefetch buffer
 *	IOMMU		hs_model_iommu.c: port, context cache, page caches, walkers
 *	prefetcher	hs_model_prefetch.c
 *	invalidation	hs_model_inval.c
 *	before, after	hs_model_setup.c
 *
 * Times are in picoseconds. docs/hypersio-model.md has the formulas.
 */
#ifndef HS_MODEL_IMPL_H
#define HS_MODEL_IMPL_H

#include "hs_engine.h"
#include "hs_ids.h"
#include "hs_result.h"
#include "hs_trace.h"

#define PS 1000ull	/* of a nanosecond */
#define NONE UINT32_MAX
#define SHIFT_2M 21
#define SHIFT_1G 30

/* Lanes of the engine: what is posted a constant time ahead. */
enum { LANE_HIT, LANE_REQUEST, LANE_LOOKED, LANE_ANSWER, LANE_INVAL };

enum event {
	EV_SLOT,	/* who: device; a packet may start */
	EV_HIT,		/* who: translation; found in the device */
	EV_ARRIVE,	/* the request is at the IOMMU */
	EV_LOOKED,	/* its caches have been looked at */
	EV_WALKED,	/* the walk is over */
	EV_ANSWER,	/* the answer is at the device */
	EV_FAULT,	/* the answer "not present" is */
	EV_SERVED,	/* the host has handled the page request */
	EV_INVAL,	/* who: command; done */
	EV_FLUSH,	/* who: tenant; an unmap has waited for the period */
};

enum state { FREE, DEMAND, PREFETCHED, COMMAND };

/* A translation, prefetch or invalidation command under way. */
struct flight {
	uint64_t iova, mask, key, l2_key, l3_key, next;
	uint32_t set, l2_set, l3_set;
	uint32_t tenant, source, device;
	uint8_t state, level, from_end;	/* from_end: place in its packet, from the end */
	bool measured, done;
	bool domain, range;	/* a command for all of the domain, for iova and mask */
	bool missing, faulted;	/* its page is not present; was not, once */
	uint64_t start, nominal;	/* nominal: latency without any queueing */
	uint32_t generation;	/* of the tenant's flush */
	uint32_t chain;		/* next with the same hash among the outstanding misses */
	uint32_t waiting;	/* first translation that waits for this one; next waiting one */
	uint32_t younger;	/* in order: the next one of the device */
	uint32_t next_fault;	/* the next one that waits for a page request slot */
};

struct source {
	uint32_t predicts, nr_used, first_used;
};

struct used {
	uint64_t iova, mask, next;
	uint32_t tenant, did;
	uint8_t level;
};

struct device {
	struct hs_reader *reader;
	struct hs_ids dids, sids;	/* by appearance in the trace: the same for all devices */
	struct hs_cache iotlb, buffer;
	uint64_t slot;		/* number of the next slot */
	uint64_t free_from;	/* link.full = wait: when the link has sent the last packet */
	uint32_t in_flight;
	uint32_t left;		/* translations of the current packet that are not in yet */
	bool measured;		/* the current packet is */
	bool waiting;		/* for room; no EV_SLOT is posted */
	bool eof;
	uint32_t oldest, youngest;	/* in order */
	uint32_t *miss;		/* heads of chains of outstanding misses, by hash of key */
	uint32_t nr_faults;	/* page requests out */
	uint32_t first_fault, last_fault;	/* waiting for a slot */
	/* prefetcher */
	struct source *source;
	struct used *used;
	uint32_t source_room;
	uint32_t *fifo, fifo_room, fifo_head, fifo_nr, prev, prefetching;
};

/* Of deferred invalidation. */
struct domain {
	uint32_t unmaps, generation;
};

struct model {
	const struct hs_config *config;
	const char *path;
	struct hs_result *result;
	struct ax_msg *msg;
	struct hs_engine engine;
	struct hs_rng rng;
	struct device *device;
	struct hs_cache cc, iotlb, l2, l3, nested;	/* iotlb: without ATS */
	struct flight *flight;
	uint32_t *free_flight, nr_free, nr_flights;
	uint32_t miss_mask;
	uint64_t *walker;	/* heap of the times at which walkers are free */
	uint64_t port_free, inval_free;
	uint32_t commands;	/* invalidations outstanding */
	struct domain *domain;
	uint32_t tenant_room, domain_room;
	double slot_ps;
	uint64_t packets_left, started;
	uint64_t first, last;	/* of the measured time */
	uint64_t nominal, walking, requests, invals;	/* sums, for the bounds */
	uint64_t invals_by_last;	/* done when the last translation was */
	uint32_t demands;	/* under way */
};

int hs_model_init(struct model *m);
void hs_model_finish(struct model *m);
void hs_model_release(struct model *m);

/* hs_model.c */
uint32_t hs_model_new(struct model *m);	/* NONE with a message */
void hs_model_drop(struct model *m, uint32_t number);
int hs_model_post(struct model *m, unsigned int lane, uint64_t time, enum event kind,
		  uint32_t who);
/* Set the keys and sets of a page; @did decides the groups. */
void hs_model_place(const struct model *m, struct flight *f, uint32_t did, uint64_t iova,
		    uint64_t mask, uint64_t next, uint8_t level);
int hs_model_complete(struct model *m, uint32_t number, uint64_t now);
/* Outstanding misses of a device. */
uint32_t hs_model_find_miss(const struct model *m, const struct device *d, uint64_t key);
void hs_model_add_miss(struct model *m, uint32_t number);
/* A packet may be able to start or go on. */
int hs_model_resume(struct model *m, uint32_t device, uint64_t now);

/* hs_model_iommu.c */
uint64_t hs_model_dram(struct model *m);	/* ps of one access */
int hs_model_arrive(struct model *m, uint32_t number, uint64_t now);
int hs_model_looked(struct model *m, uint32_t number, uint64_t now);
int hs_model_walked(struct model *m, uint32_t number, uint64_t now);
int hs_model_fault(struct model *m, uint32_t number, uint64_t now);
int hs_model_served(struct model *m, uint32_t number, uint64_t now);
/* Accesses of a walk that misses all caches. */
uint32_t hs_model_full_walk(const struct hs_config *config, unsigned int level);

/* hs_model_prefetch.c */
int hs_model_prefetch(struct model *m, uint32_t number, uint64_t now);
int hs_model_add_source(struct model *m, struct device *d, uint32_t source);

/* hs_model_inval.c */
int hs_model_unmap(struct model *m, const struct flight *f, uint64_t now);
int hs_model_invalidated(struct model *m, uint32_t number, uint64_t now);
int hs_model_flush(struct model *m, uint32_t number, uint64_t now);
/* An unmap in the trace itself. */
int hs_model_unmap_record(struct model *m, const struct hs_rec *r, uint32_t tenant, uint32_t device,
			  uint64_t now);

#endif
