/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A donor's core without verbs and threads, for its unit tests and its fuzzer:
 * memory is a flag a slab (has somebody else's data), connections are a queue of
 * messages to each session, and what the core asked for is a line of text.
 */
#ifndef DONOR_SIM_H
#define DONOR_SIM_H

#include <annex/donor_codec.h>

#include "../../userspace-tools/donor/donor_core.h"
#include "../../userspace-tools/donor/donor_link.h"

#define SIM_SLAB ((uint64_t)ANNEX_DONOR_SLAB_MIN)
#define SIM_SLABS 256
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

struct sim {
	struct donor_core core;
	uint64_t now;
	/* the worker's: at once, or when sim_work() is called */
	bool lazy;
	struct donor_slab *todo[SIM_SLABS];
	unsigned int todos;
	bool dirty[SIM_SLABS];	/* was exposed and not zeroed since */
	bool fail_prepare, fail_expose, fail_send;
	unsigned int prepared, zeroed, released, exposed;
	char log[4096];		/* hangup, hide N, zero N, release N, fence Q, ended */
	int device;		/* on which connects come in */
};

void sim_init(struct sim *sim, uint64_t slabs, const struct donor_keys *keys);
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
bool sim_alive(const struct sim *sim, const struct donor_session *s);

#endif
