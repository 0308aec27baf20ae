/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client's side of the protocol with one donor, without the transport. It
 * is what a client in user space uses and the model for the one in emp.ko.
 *
 *	IDLE -> CONNECTING -> PROVING -> ACTIVE <-> SUSPECT
 *	                                   |          |
 *	                       RESUMING <- BROKEN <---+
 *	                          |           |
 *	                          v           v
 *	                        ACTIVE       LOST <- (from anywhere: another generation,
 *	                                              no such session, GOODBYE)
 *
 * SUSPECT: pings are not answered. Data goes on: one-sided operations need no
 * process at the donor; but nothing new is asked for. BROKEN: no connection.
 * Every operation that was under way has failed and its effect is unknown:
 * after RESUMING the donor has destroyed the old queue pairs, so that nothing
 * can arrive late, and the client does again what it wanted done. LOST: what the
 * donor held is gone, for ever; a new session holds other, zeroed memory.
 */
#ifndef DONOR_LINK_H
#define DONOR_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <annex/donor_wire.h>

#include "donor_auth.h"

#define DONOR_LINK_MISSED 3	/* heartbeats without an answer that make a donor suspect */

enum donor_link_state {
	DONOR_LINK_IDLE,
	DONOR_LINK_CONNECTING,
	DONOR_LINK_PROVING,
	DONOR_LINK_ACTIVE,
	DONOR_LINK_SUSPECT,
	DONOR_LINK_BROKEN,
	DONOR_LINK_RESUMING,
	DONOR_LINK_LOST,
};

struct donor_link {
	enum donor_link_state state;
	struct donor_secret key;
	bool noauth;
	uint32_t features;	/* offered, then agreed on */
	struct donor_secret secret;	/* of the session */
	uint8_t proof[ANNEX_DONOR_MAC];
	uint64_t sequence;	/* of JOIN and RESUME */
	int reason;		/* why it was refused or ended: enum annex_donor_reason */
	/* told by the donor */
	uint64_t generation, session, slab_bytes, quota_bytes, free_bytes, held_bytes;
	uint32_t heartbeat_ms, linger_ms;
	unsigned int credits;
	bool draining;
	/* time, in ms */
	uint64_t heard, pinged, broken;
};

/* @key NULL: without. */
void donor_link_init(struct donor_link *l, const struct donor_secret *key, uint32_t features);

/*
 * What goes with a connect. JOIN and RESUME need the queue pair that it is made
 * with; @replaces is JOIN's.
 */
void donor_link_hello(struct donor_link *l, enum annex_donor_kind kind, uint32_t qpn,
		      uint32_t replaces, struct annex_donor_hello *hello);
/*
 * What came with the accept. False: it is no donor with our key, or (RESUME) not
 * the one that has our data: hang up. With OPEN the proof is next.
 */
bool donor_link_accept(struct donor_link *l, const struct annex_donor_hello *hello,
		       const void *data, size_t len, uint32_t qpn, uint32_t donor_qpn,
		       uint64_t now);
void donor_link_proof(const struct donor_link *l, struct annex_donor_proof *proof);
/* What came with a reject. After it a RESUME is either tried again (BROKEN) or pointless (LOST). */
void donor_link_rejected(struct donor_link *l, const struct annex_donor_hello *hello,
			 const void *data, size_t len);
/* The control connection is gone. */
void donor_link_broken(struct donor_link *l, uint64_t now);

/* A message came. Returns its type, or 0: nonsense, hang up. */
unsigned int donor_link_message(struct donor_link *l, const void *data, size_t len, uint64_t now);

/* May new slabs be asked for? */
bool donor_link_may_request(const struct donor_link *l);
/* Timers. True: send a PING. */
bool donor_link_tick(struct donor_link *l, uint64_t now);

const char *donor_link_state_name(enum donor_link_state state);

#endif
