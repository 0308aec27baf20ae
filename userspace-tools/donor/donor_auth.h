/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is who: the MACs of connects and proofs (docs/wire-donor.md, "Keys").
 * Both sides' halves, for the donor and for clients in user space.
 */
#ifndef DONOR_AUTH_H
#define DONOR_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <annex/donor_wire.h>

/* A key of any permitted length, or a session's. */
struct donor_secret {
	uint8_t bytes[ANNEX_DONOR_KEY_MAX];
	size_t len;
};

/* What everybody knows: 32 zero bytes, for ANNEX_DONOR_F_NOAUTH. */
void donor_auth_no_key(struct donor_secret *key);

/* What names the key in hello. Never 0. */
uint64_t donor_auth_key_id(const struct donor_secret *key);

/* A connect as both sides saw it: the words of both, and both queue pairs. */
struct donor_transcript {
	const struct annex_donor_hello *hello;
	const struct annex_donor_accept *accept;
	uint32_t client_qpn, donor_qpn;
};

/* The MAC that stands in accept; @key is the session's for JOIN and RESUME. */
void donor_auth_accept(const struct donor_secret *key, const struct donor_transcript *t,
		       uint8_t mac[ANNEX_DONOR_MAC]);
/* The MAC of the client's proof. */
void donor_auth_proof(const struct donor_secret *key, const struct donor_transcript *t,
		      uint8_t mac[ANNEX_DONOR_MAC]);
/* The session's own key, known to both after an OPEN. */
void donor_auth_session(const struct donor_secret *key, const struct donor_transcript *t,
			struct donor_secret *session);
/* The MAC in a JOIN or RESUME; whatever stands in hello->mac does not matter. */
void donor_auth_join(const struct donor_secret *session, const struct annex_donor_hello *hello,
		     uint32_t client_qpn, uint8_t mac[ANNEX_DONOR_JOIN_MAC]);

/* Equal? In a time that says nothing about where they differ. */
bool donor_auth_equal(const uint8_t *a, const uint8_t *b, size_t len);

/* Random bytes of the kernel's; exits the program if there are none. */
void donor_auth_random(void *bytes, size_t len);
/* A random number other than 0. */
uint64_t donor_auth_random_id(void);

/*
 * Each sequence number of a session once: the highest seen and which of the 64
 * before it. Returns false for one that was seen or is too old.
 */
struct donor_replay {
	uint64_t highest;
	uint64_t seen;		/* bit i: highest - i */
};

bool donor_replay_take(struct donor_replay *r, uint64_t sequence);

#endif
