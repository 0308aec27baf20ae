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
 */
#ifndef DONOR_SLAB_H
#define DONOR_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DONOR_SLABS_MAX (1u << 20)

enum donor_slab_state {
	DONOR_SLAB_EMPTY,	/* no memory */
	DONOR_SLAB_PREPARING,	/* memory is being taken */
	DONOR_SLAB_READY,	/* all zero, can be granted */
	DONOR_SLAB_GRANTED,	/* a client's */
	DONOR_SLAB_ZEROING,	/* came back */
	DONOR_SLAB_RELEASING,	/* goes back to the kernel */
	DONOR_SLAB_STATES,
};

struct donor_slab {
	enum donor_slab_state state;
	bool retire;		/* not to be granted again */
	bool asked;		/* its client was asked to give it back */
	uint64_t deadline;	/* ms: taken back then; 0: never */
	uint32_t cause;		/* enum annex_donor_cause, when asked */
	uint64_t grant;		/* id, while GRANTED */
	void *owner;		/* while GRANTED */
	void *memory;		/* the worker's: where it is, NULL while EMPTY */
	bool huge;		/* the worker's: in pages of hugetlbfs */
	void *exposed;		/* while GRANTED: its registration */
	uint64_t addr;		/* of it, as the client uses it */
	uint32_t rkey;
};

struct donor_slab_ops {
	void (*prepare)(void *ctx, struct donor_slab *slab);
	void (*zero)(void *ctx, struct donor_slab *slab);
	void (*release)(void *ctx, struct donor_slab *slab);
};

struct donor_table {
	struct donor_slab *slab;
	uint32_t max;		/* elements of @slab */
	uint32_t used;		/* slabs from here on were never anything but EMPTY */
	uint32_t target;	/* slabs that there should be */
	uint32_t retiring;	/* GRANTED or with the worker, and will go */
	uint32_t nr[DONOR_SLAB_STATES];
	uint32_t hand;		/* where the search for a READY one begins */
	uint64_t serial;	/* grants so far */
	const struct donor_slab_ops *ops;
	void *ctx;
};

/* Returns -1 when there is no memory for the table. */
int donor_table_init(struct donor_table *t, uint32_t max, const struct donor_slab_ops *ops,
		     void *ctx);
void donor_table_free(struct donor_table *t);

/* Slabs that there are or will be, without those that are on their way out. */
uint32_t donor_table_size(const struct donor_table *t);

/*
 * There should be @target slabs (at most t->max). Takes memory for more, lets go
 * of what is free when there are too many. Returns how many are still too many:
 * those are granted, and somebody has to ask for them.
 */
uint32_t donor_table_set_target(struct donor_table *t, uint32_t target);

/* The worker has done what the state says; @ok is false when PREPARING failed. */
void donor_table_done(struct donor_table *t, struct donor_slab *slab, bool ok);

/* Which slab a grant's id is about. */
static inline uint32_t donor_slab_index(uint64_t grant)
{
	return grant & (DONOR_SLABS_MAX - 1);
}

/* A slab that is all zero, now GRANTED to @owner with a new id; NULL: none is free. */
struct donor_slab *donor_slab_take(struct donor_table *t, void *owner);
/* It was never shown to the client after all. */
void donor_slab_untake(struct donor_table *t, struct donor_slab *slab);
/* The GRANTED slab with that id and owner, or NULL. */
struct donor_slab *donor_slab_find(const struct donor_table *t, uint64_t grant, const void *owner);
/* Nobody can reach it any more: zero it. */
void donor_slab_return(struct donor_table *t, struct donor_slab *slab);
/* It is to go once it is returned, or no longer so. */
void donor_slab_retire(struct donor_table *t, struct donor_slab *slab, bool retire);

#endif
