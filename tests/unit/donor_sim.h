/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A donor's core without verbs and threads, for its unit tests and its fuzzer:
 * memory is one word a slab, in which a client writes its grant's id as soon as
 * it can; so is a place on the backing. Connections are a queue of messages to
 * each session, and what the core asked for is a line of text.
 */
#ifndef DONOR_SIM_H
#define DONOR_SIM_H

#include <annex/donor_codec.h>

#include "../../userspace-tools/donor/donor_core.h"
#include "../../userspace-tools/donor/donor_link.h"

#define SIM_SLAB ((uint64_t)ANNEX_DONOR_SLAB_MIN)
#define SIM_SLABS 256	/* with memory, at most */
#define SIM_PLACES 64	/* on the backing, at most */
#define SIM_ALL (SIM_SLABS + SIM_PLACES)
#define SIM_QUEUE 32
#define SIM_CLIENT_QPN 100
#define SIM_DONOR_QPN 200

/* donor_session.net */
struct sim_net {
	bool connected;
	unsigned int joined;
	uint32_t joined_qpn;	/* of the last */
	int device;
	struct {
		uint64_t bytes[ANNEX_DONOR_MSG_MAX / 8];
		size_t len;
	} queue[SIM_QUEUE];
	unsigned int queued;
};

/* What a slab's memory is. */
struct sim_memory {
	bool used;
	uint64_t data;		/* 0, or the grant who wrote it */
};

/* A job of the backing's worker. */
struct sim_job {
	struct donor_slab *slab;	/* NULL: erase @place */
	uint32_t place;
};

struct sim {
	struct donor_core core;
	uint64_t now;
	/* the workers': at once, or when sim_work() is called */
	bool lazy;
	struct donor_slab *todo[SIM_ALL];
	unsigned int todos;
	struct sim_memory memory[SIM_ALL];
	/* the backing's does nothing while that is set */
	bool hold;
	struct sim_job job[2 * SIM_ALL];
	unsigned int jobs;
	uint64_t backing[SIM_PLACES];
	bool fail_prepare, fail_expose, fail_send, fail_store, fail_load, fail_erase;
	unsigned int prepared, zeroed, released, exposed;
	unsigned int stored, loaded, erased;
	char log[4096];		/* hangup, hide N, zero N, release N, store N, ..., ended */
	uint32_t rkey;		/* the last */
	int device;		/* on which connects come in */
};

/* With so many slabs of memory, and @places on the backing. */
void sim_init(struct sim *sim, uint64_t slabs, uint32_t places, const struct donor_keys *keys);
void sim_exit(struct sim *sim);
void sim_work(struct sim *sim);
/* Everything that must hold at any time; aborts with a line if it does not. */
void sim_check(const struct sim *sim);

/* A connect of @l; returns the donor's reason (0: accepted, *session is set). */
int sim_connect(struct sim *sim, struct donor_link *l, enum annex_donor_kind kind,
		uint32_t replaces, struct donor_session **session);
/* The same with this hello. *taken: the client believed the answer. */
int sim_hello(struct sim *sim, struct donor_link *l, const struct annex_donor_hello *hello,
	      size_t len, struct donor_session **session, bool *taken);
/* Connect and prove; NULL when refused. */
struct donor_session *sim_open(struct sim *sim, struct donor_link *l);
/* One message of the client; the session may be gone. */
void sim_say(struct sim *sim, struct donor_session *s, const void *msg);
/* The next message to the session, given to @l too if not NULL; NULL: none. */
const void *sim_hear(struct sim *sim, struct donor_session *s, struct donor_link *l);
/* Ask for slabs; the grants' ids. Returns how many, or -status. */
int sim_request(struct sim *sim, struct donor_session *s, uint32_t slabs, uint64_t *ids);
/* Returns how many were taken, or -status. */
int sim_give(struct sim *sim, struct donor_session *s, const uint64_t *ids, uint32_t n);
/* PARK or FETCH; returns how many are parked (FETCH: 0), or -status. */
int sim_park(struct sim *sim, struct donor_session *s, const uint64_t *ids, uint32_t n);
void sim_fetch(struct sim *sim, struct donor_session *s, const uint64_t *ids, uint32_t n);
bool sim_alive(const struct sim *sim, const struct donor_session *s);

#endif
