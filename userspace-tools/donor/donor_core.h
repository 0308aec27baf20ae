/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The donor's side of the protocol: clients, sessions, what each message does.
 * Pure: connections, registrations and time are somebody else's (struct
 * donor_ops); so all of it runs in the unit tests and under the fuzzer.
 *
 * A session:
 *
 *	NEW --accept--> PROVING --proof--> ACTIVE <--resume-- LINGER
 *	 |                 |                 |  `--connection lost--^ |
 *	 +-----------------+-----------------+------------------------+--> ended
 *
 * Ended means: connections gone first, then every registration, then the slabs
 * are zeroed. That order is what keeps one client's data from the next, and is
 * kept by donor_core_end() and donor_core_take_back() alone.
 */
#ifndef DONOR_CORE_H
#define DONOR_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <annex/donor_wire.h>

#include "donor_auth.h"
#include "donor_key.h"
#include "donor_slab.h"

/* Those with one key. They stay while a session has one, also when the key went. */
struct donor_client {
	struct donor_client *next;
	char name[DONOR_KEY_NAME];
	struct donor_secret secret;
	uint64_t key_id;	/* 0: the one without a key */
	uint64_t quota;		/* bytes, all sessions together */
	uint32_t held;		/* slabs */
	uint32_t sessions;
	bool dropped;		/* its key is no longer in the file */
};

enum donor_session_state {
	DONOR_NEW,		/* a hello was taken; accept not yet made */
	DONOR_PROVING,		/* accepted; proof awaited */
	DONOR_ACTIVE,
	DONOR_LINGER,		/* no control connection; grants are kept */
};

struct donor_session {
	struct donor_session *next;
	enum donor_session_state state;
	uint64_t id;
	struct donor_client *client;
	struct donor_secret secret;	/* after accept */
	uint8_t proof[ANNEX_DONOR_MAC];	/* that is awaited */
	struct donor_replay replay;
	uint32_t features;
	uint32_t held;		/* slabs, parked ones too */
	uint32_t parked;	/* of them: STORING, PARKED or LOADING */
	uint32_t news;		/* of them: FETCHED is to be said of */
	bool resuming;		/* LINGER: accepted, not yet heard from */
	bool pinged;		/* since it was last heard */
	uint64_t opened, heard, deadline;	/* ms; deadline of NEW, PROVING, LINGER */
	uint64_t overdue;	/* ms: some of what was asked for is taken then; 0: nothing is */
	uint64_t cool_next;	/* ms: it is not asked to park before that */
	uint64_t granted, given_back, revoked, refused, joined, resumed, messages;
	void *net;		/* the transport's */
};

/* What the protocol needs done. @ctx is donor_core.ctx. */
struct donor_ops {
	struct donor_slab_ops slab;
	/* Register for this session; sets slab->exposed, addr and rkey; 0 or -1. */
	int (*expose)(void *ctx, struct donor_session *s, struct donor_slab *slab);
	/* Deregister: nobody can reach it after this. Clears slab->exposed. */
	void (*hide)(void *ctx, struct donor_session *s, struct donor_slab *slab);
	/* On the control connection; false: cannot. Must not call back. */
	bool (*send)(void *ctx, struct donor_session *s, const void *msg, size_t len);
	/* Let one data connection be gone, by the donor's number of it; false: there is none. */
	bool (*fence)(void *ctx, struct donor_session *s, uint32_t qpn);
	/* Let all connections be gone, after a last message on the control one if not NULL. */
	void (*hangup)(void *ctx, struct donor_session *s, const void *msg, size_t len);
	/* The session is about to be freed. */
	void (*ended)(void *ctx, struct donor_session *s);
	void (*log)(void *ctx, int level, const char *text);
};

#define DONOR_LOG_ERR	3	/* as syslog counts */
#define DONOR_LOG_INFO	6
#define DONOR_LOG_DEBUG	7

/* Settings; all but slab_bytes may change at any time. */
struct donor_limits {
	uint64_t slab_bytes;
	uint64_t quota;		/* bytes of a client whose key names none; UINT64_MAX: all */
	uint32_t max_sessions;
	uint32_t max_joined;	/* data connections of a session (the transport's to keep) */
	uint32_t credits;
	uint32_t heartbeat_ms, client_ms, linger_ms, proof_ms;
	uint32_t revoke_ms;	/* grace when the memory shrinks; 0: as the client pleases */
	uint32_t drain_ms;
	uint64_t keep_free;	/* bytes to be READY, with a backing; 0: a 16th of the memory */
	bool noauth;		/* clients without a key are taken */
};

#define DONOR_UNPROVEN_MAX 32	/* sessions that have yet to prove who they are */

/* Each counts one event since the start; donor_status.c has their descriptions. */
struct donor_counters {
	uint64_t sessions_opened;
	uint64_t sessions_resumed;
	uint64_t sessions_expired;
	uint64_t sessions_silent;
	uint64_t connections_joined;
	uint64_t connects_refused;
	uint64_t auth_failures;
	uint64_t protocol_errors;
	uint64_t grants;
	uint64_t grants_refused;
	uint64_t given_back;
	uint64_t revokes_asked;
	uint64_t revoked;
	uint64_t zeroed;
	uint64_t register_failures;
	uint64_t parked;
	uint64_t fetched;
	uint64_t cool_asked;
	uint64_t store_errors;
	uint64_t load_errors;
	uint64_t erase_errors;
};

/* Grants of one session that were lost, until it is told; see donor_park.c. */
struct donor_lost {
	struct donor_session *s;
	uint32_t n;
	uint64_t id[ANNEX_DONOR_LIST_MAX];
};

struct donor_core {
	struct donor_table table;
	struct donor_client *clients;
	struct donor_session *sessions;
	uint32_t nr_sessions;
	struct donor_limits limits;
	const struct donor_ops *ops;
	void *ctx;
	uint64_t generation;
	bool draining;
	uint64_t drain_deadline;
	struct donor_slabs news;	/* GRANTED, of which FETCHED is to be said */
	struct donor_lost lost;
	uint64_t park_again;	/* ms: nothing is parked before that, the backing failed */
	uint64_t starved_since;	/* ms: somebody waits for memory that does not come; 0: nobody */
	uint64_t shrink_due;	/* ms: what was not parked by then is revoked; 0: never */
	uint64_t shrink_next;	/* ms: when to look again whether all that is too much can go */
	struct donor_counters counters;
};

/*
 * @max_bytes: the most memory there will ever be; @places: slabs that fit on the
 * backing, 0: there is none. Returns -1: out of memory.
 */
int donor_core_init(struct donor_core *core, const struct donor_limits *limits, uint64_t max_bytes,
		    uint32_t places, const struct donor_ops *ops, void *ctx);
/* All sessions must be gone. */
void donor_core_free(struct donor_core *core);

/* The key file's content; clients whose key went are sent away. */
int donor_core_set_keys(struct donor_core *core, const struct donor_keys *keys);
/* There should be so much memory; the rest is asked back. Rounded down to slabs. */
void donor_core_set_memory(struct donor_core *core, uint64_t bytes, uint64_t now);
/* Clients that hold more than they may (now) are asked for the rest. */
void donor_core_enforce_quotas(struct donor_core *core, uint64_t now);
uint64_t donor_core_bytes(const struct donor_core *core, enum donor_slab_state state);
/* Slabs that a REQUEST could get now. */
uint32_t donor_core_free_slabs(const struct donor_core *core);

/*
 * A connect request. Returns 0 and the session (new with OPEN; else the one of
 * the hello, all of its older connections gone with RESUME), or the reason to
 * reject it. @same_device(session) says whether the request came in where the
 * session lives.
 */
int donor_core_hello(struct donor_core *core, const void *data, size_t len, uint32_t client_qpn,
		     bool (*same_device)(void *arg, const struct donor_session *s), void *arg,
		     uint64_t now, struct donor_session **session);
/* Make the accept. @hello was taken by donor_core_hello() for @s. */
void donor_core_accept(struct donor_core *core, struct donor_session *s,
		       const struct annex_donor_hello *hello, uint32_t client_qpn,
		       uint32_t donor_qpn, struct annex_donor_accept *accept);
void donor_core_reject(const struct donor_core *core, int reason, struct annex_donor_reject *r);

/* The control connection stands. */
void donor_core_established(struct donor_core *core, struct donor_session *s, uint64_t now);
/* A message came in; the session may be gone afterwards. */
void donor_core_message(struct donor_core *core, struct donor_session *s, const void *data,
			size_t len, uint64_t now);
/* The control connection is gone; the session may be too afterwards. */
void donor_core_lost(struct donor_core *core, struct donor_session *s, uint64_t now);
/* End it now; with a reason other than NONE the client is told. */
void donor_core_end(struct donor_core *core, struct donor_session *s, int reason);

/* The only way from a client to the worker: deregister, then zero. */
void donor_core_take_back(struct donor_core *core, struct donor_session *s,
			  struct donor_slab *slab);

/* Timers; returns ms until the next call is due. */
uint64_t donor_core_tick(struct donor_core *core, uint64_t now);
/* Grant nothing more, ask for everything. */
void donor_core_drain(struct donor_core *core, uint64_t now);
/* A session goes on: ask for what it could not be asked for meanwhile. */
void donor_core_catch_up(struct donor_core *core, struct donor_session *s, uint64_t now);
/* Has everything come back, or is it time? */
bool donor_core_drained(const struct donor_core *core, uint64_t now);
/* End all sessions. */
void donor_core_shut(struct donor_core *core, int reason);

/* --- donor_core.c, for donor_park.c --- */

__attribute__((format(printf, 3, 4)))
void donor_core_say(struct donor_core *core, int level, const char *fmt, ...);
/* Send; a session that cannot be told something has lost its connection. */
void donor_core_tell(struct donor_core *core, struct donor_session *s, const void *msg);
/* A message of grants, while it is made. */
union donor_grants {
	struct annex_donor_grants m;
	uint8_t bytes[ANNEX_DONOR_MSG_MAX];
};

void donor_core_add_grant(const struct donor_core *core, union donor_grants *out, uint32_t n,
			  const struct donor_slab *slab);
/* Give the message its head; returns its length. */
size_t donor_core_grants_head(union donor_grants *out, unsigned int type, uint32_t n,
			      __le32 request, unsigned int status);

/* --- donor_revoke.c, for donor_park.c --- */

/* There are @more slabs too many in memory: park what can be parked, revoke the rest. */
void donor_core_shrink(struct donor_core *core, uint32_t more, uint64_t now);

/* --- donor_park.c --- */

void donor_park_on_park(struct donor_core *core, struct donor_session *s,
			const struct annex_donor_list *l, uint64_t now);
void donor_park_on_fetch(struct donor_core *core, struct donor_session *s,
			 const struct annex_donor_list *l);
/* The backing's worker has done what it was given. */
void donor_park_stored(struct donor_core *core, struct donor_slab *slab, bool ok, uint64_t now);
void donor_park_loaded(struct donor_core *core, struct donor_slab *slab, bool ok);
void donor_park_erased(struct donor_core *core, uint32_t place, bool ok);
/* The slab, or the session, is about to be nobody's. */
void donor_park_forget(struct donor_core *core, struct donor_session *s, struct donor_slab *slab);
void donor_park_ended(struct donor_core *core, struct donor_session *s);
/* Slabs more that could be parked now. */
uint32_t donor_park_room(const struct donor_core *core, uint64_t now);
/* Ask for slabs to be parked, if memory is short. */
void donor_park_cool(struct donor_core *core, uint64_t now);
/* Loads that can begin, what clients are to be told. Returns ms until the next call is due. */
uint64_t donor_park_tick(struct donor_core *core, uint64_t now);

const char *donor_session_state_name(enum donor_session_state state);
const char *donor_reason_name(int reason);

#endif
