/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The donor's memory as a table of slabs: which exist, whose they are, which
 * are zero. Pure: the work itself (mapping, zeroing, unmapping) is done by
 * whoever set the ops, at any later time, and reported by donor_table_done().
 *
 *	EMPTY -> PREPARING -> READY -> GRANTED -> ZEROING -> READY
 *	  ^          |          |         |          |
 *	  +----------+          +---------+----------+--> RELEASING -> EMPTY
 *
 * A slab gets from one client to another only through ZEROING, or through the
 * kernel (RELEASING, PREPARING), which hands out zeroed memory. What is in
 * PREPARING, ZEROING or RELEASING belongs to the worker.
 *
 * With a backing a client's slab can be out of reach (parked):
 *
 *	GRANTED -> STORING -> PARKED -> LOADING -> GRANTED
 *	   ^----------'  not written, or wanted meanwhile
 *
 * An element keeps its grant and lends its memory: when it is PARKED another
 * element, which was EMPTY, has the memory and takes it through ZEROING; for
 * LOADING it gets that of one that is READY, which becomes EMPTY. STORING and
 * LOADING belong to the backing's worker. A slab that is given up meanwhile has
 * no owner from then on, and goes on as if returned when the worker is done.
 */
#ifndef DONOR_SLAB_H
#define DONOR_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "donor_place.h"

#define DONOR_SLABS_MAX (1u << 20)

enum donor_slab_state {
	DONOR_SLAB_EMPTY,	/* no memory */
	DONOR_SLAB_PREPARING,	/* memory is being taken */
	DONOR_SLAB_READY,	/* all zero, can be granted */
	DONOR_SLAB_GRANTED,	/* a client's */
	DONOR_SLAB_ZEROING,	/* came back */
	DONOR_SLAB_RELEASING,	/* goes back to the kernel */
	DONOR_SLAB_STORING,	/* a client's, parked: being written to the backing */
	DONOR_SLAB_PARKED,	/* a client's, on the backing: no memory */
	DONOR_SLAB_LOADING,	/* a client's, parked: being read back */
	DONOR_SLAB_STATES,
};

struct donor_slab {
	TAILQ_ENTRY(donor_slab) link;	/* wanted and PARKED; news */
	enum donor_slab_state state;
	bool retire;		/* not to be granted again */
	bool asked;		/* its client was asked to give it back */
	uint64_t deadline;	/* ms: taken back then; 0: never */
	uint32_t cause;		/* enum annex_donor_cause, when asked */
	uint64_t grant;		/* id, while a client's */
	void *owner;		/* while a client's, else NULL */
	void *memory;		/* the worker's: where it is, NULL while EMPTY */
	bool huge;		/* the worker's: in pages of hugetlbfs */
	void *exposed;		/* while GRANTED: its registration */
	uint64_t addr;		/* of it, as the client uses it */
	uint32_t rkey;
	uint32_t place;		/* on the backing, while STORING, PARKED, LOADING */
	bool blank;		/* the worker's: all zero, so nothing was written there */
	bool wanted;		/* STORING, PARKED: its client waits for it */
	bool news;		/* GRANTED: its client is to be told that it is back */
};

TAILQ_HEAD(donor_slabs, donor_slab);

struct donor_slab_ops {
	void (*prepare)(void *ctx, struct donor_slab *slab);
	void (*zero)(void *ctx, struct donor_slab *slab);
	void (*release)(void *ctx, struct donor_slab *slab);
	void (*store)(void *ctx, struct donor_slab *slab);
	void (*load)(void *ctx, struct donor_slab *slab);
	void (*erase)(void *ctx, uint32_t place);
};

struct donor_table {
	struct donor_slab *slab;
	uint32_t max;		/* elements of @slab */
	uint32_t most;		/* of them with memory */
	uint32_t used;		/* slabs from here on were never anything but EMPTY */
	uint32_t low;		/* below it none is EMPTY */
	uint32_t target;	/* slabs with memory that there should be */
	uint32_t extra;		/* more that there may be, while somebody waits */
	uint32_t retiring;	/* GRANTED or with a worker, and will go */
	uint32_t nr[DONOR_SLAB_STATES];
	uint32_t hand;		/* where the search for a READY one begins */
	uint64_t serial;	/* grants so far */
	struct donor_places places;
	struct donor_slabs wanted;	/* PARKED, in the order of asking */
	uint32_t nr_wanted;	/* these, and those that are STORING */
	const struct donor_slab_ops *ops;
	void *ctx;
};

/* @most: with memory; @places: on the backing. Returns -1: no memory for the table. */
int donor_table_init(struct donor_table *t, uint32_t most, uint32_t places,
		     const struct donor_slab_ops *ops, void *ctx);
void donor_table_free(struct donor_table *t);

/* Slabs with memory that there are or will be, without those that are on their way out. */
uint32_t donor_table_size(const struct donor_table *t);

/*
 * There should be @target slabs (at most t->most). Takes memory for more, lets go
 * of what is free when there are too many. Returns how many are still too many:
 * those are granted, and somebody has to ask for them.
 */
uint32_t donor_table_set_target(struct donor_table *t, uint32_t target);

/* The worker has done what the state says; @ok is false when PREPARING failed. */
void donor_table_done(struct donor_table *t, struct donor_slab *slab, bool ok);

/*
 * Those whose clients wait for memory get it, up to the target: it may have gone
 * meanwhile. @starved: one slab more than that, since it does not come otherwise.
 */
void donor_table_serve(struct donor_table *t, bool starved);

/* Which slab a grant's id is about. */
static inline uint32_t donor_slab_index(uint64_t grant)
{
	return grant & (DONOR_SLABS_MAX - 1);
}

/* A slab that is all zero, now GRANTED to @owner with a new id; NULL: none is free. */
struct donor_slab *donor_slab_take(struct donor_table *t, void *owner);
/* It was never shown to the client after all. */
void donor_slab_untake(struct donor_table *t, struct donor_slab *slab);
/* The slab with that grant and owner, parked or not, or NULL. */
struct donor_slab *donor_slab_find(const struct donor_table *t, uint64_t grant, const void *owner);
/* Nobody can reach it any more: zero it, erase its place. */
void donor_slab_return(struct donor_table *t, struct donor_slab *slab);
/* It is to go once it is returned, or no longer so; nothing where there is no memory. */
void donor_slab_retire(struct donor_table *t, struct donor_slab *slab, bool retire);

/* --- on the backing --- */

/* What has become of a slab that a worker had. */
enum donor_slab_fate {
	DONOR_SLAB_AWAY,	/* parked, or nobody's any more: nothing to do */
	DONOR_SLAB_BACK,	/* GRANTED and to be exposed again */
	DONOR_SLAB_LOST,	/* GRANTED, but what it held is gone: to be taken back */
};

/* A GRANTED slab that nobody can reach; false: the backing has no room. */
bool donor_slab_park(struct donor_table *t, struct donor_slab *slab);
/* Its client wants it back. True: it is GRANTED already. */
bool donor_slab_want(struct donor_table *t, struct donor_slab *slab);
/* Begin to load one that is wanted; false: none is, or no memory is READY. */
bool donor_slab_load(struct donor_table *t);
/* The backing's worker has done what the state says. */
enum donor_slab_fate donor_slab_stored(struct donor_table *t, struct donor_slab *slab, bool ok);
enum donor_slab_fate donor_slab_loaded(struct donor_table *t, struct donor_slab *slab, bool ok);

#endif
