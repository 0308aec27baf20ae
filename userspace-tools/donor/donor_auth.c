// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <nettle/hmac.h>
#include <nettle/memops.h>

#include "donor_auth.h"

static void begin(struct hmac_sha256_ctx *ctx, const struct donor_secret *key, const char *word)
{
	uint8_t label[ANNEX_DONOR_LABEL] = { 0 };

	memcpy(label, word, strlen(word));
	hmac_sha256_set_key(ctx, key->len, key->bytes);
	hmac_sha256_update(ctx, sizeof(label), label);
}

static void add(struct hmac_sha256_ctx *ctx, const void *bytes, size_t len)
{
	hmac_sha256_update(ctx, len, bytes);
}

static void add_qpn(struct hmac_sha256_ctx *ctx, uint32_t qpn)
{
	uint32_t le = htole32(qpn);

	add(ctx, &le, sizeof(le));
}

/* hello, accept as far as @accept_len, both queue pairs */
static void whole(const struct donor_secret *key, const char *word,
		  const struct donor_transcript *t, size_t accept_len, uint8_t mac[ANNEX_DONOR_MAC])
{
	struct hmac_sha256_ctx ctx;

	begin(&ctx, key, word);
	add(&ctx, t->hello, sizeof(*t->hello));
	add(&ctx, t->accept, accept_len);
	add_qpn(&ctx, t->client_qpn);
	add_qpn(&ctx, t->donor_qpn);
	hmac_sha256_digest(&ctx, ANNEX_DONOR_MAC, mac);
	explicit_bzero(&ctx, sizeof(ctx));
}

void donor_auth_no_key(struct donor_secret *key)
{
	memset(key, 0, sizeof(*key));
	key->len = 32;
}

uint64_t donor_auth_key_id(const struct donor_secret *key)
{
	struct hmac_sha256_ctx ctx;
	uint64_t id;

	begin(&ctx, key, "donor-key-id");
	hmac_sha256_digest(&ctx, sizeof(id), (uint8_t *)&id);
	explicit_bzero(&ctx, sizeof(ctx));
	id = le64toh(id);
	return id ? id : 1;
}

void donor_auth_accept(const struct donor_secret *key, const struct donor_transcript *t,
		       uint8_t mac[ANNEX_DONOR_MAC])
{
	whole(key, "donor-accept", t, offsetof(struct annex_donor_accept, mac), mac);
}

void donor_auth_proof(const struct donor_secret *key, const struct donor_transcript *t,
		      uint8_t mac[ANNEX_DONOR_MAC])
{
	whole(key, "donor-proof", t, sizeof(*t->accept), mac);
}

void donor_auth_session(const struct donor_secret *key, const struct donor_transcript *t,
			struct donor_secret *session)
{
	memset(session, 0, sizeof(*session));
	session->len = ANNEX_DONOR_MAC;
	whole(key, "donor-session", t, sizeof(*t->accept), session->bytes);
}

void donor_auth_join(const struct donor_secret *session, const struct annex_donor_hello *hello,
		     uint32_t client_qpn, uint8_t mac[ANNEX_DONOR_JOIN_MAC])
{
	struct hmac_sha256_ctx ctx;

	begin(&ctx, session, "donor-join");
	add(&ctx, hello, offsetof(struct annex_donor_hello, mac));
	add_qpn(&ctx, client_qpn);
	hmac_sha256_digest(&ctx, ANNEX_DONOR_JOIN_MAC, mac);
	explicit_bzero(&ctx, sizeof(ctx));
}

bool donor_auth_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	return memeql_sec(a, b, len);
}

void donor_auth_random(void *bytes, size_t len)
{
	/* up to 256 bytes come whole or not at all */
	if (getrandom(bytes, len, 0) != (ssize_t)len) {
		perror("emp-donor: getrandom");
		exit(1);
	}
}

uint64_t donor_auth_random_id(void)
{
	uint64_t id = 0;

	while (!id)
		donor_auth_random(&id, sizeof(id));
	return id;
}

bool donor_replay_take(struct donor_replay *r, uint64_t sequence)
{
	uint64_t behind;

	if (!sequence)
		return false;
	if (sequence > r->highest) {
		uint64_t ahead = sequence - r->highest;

		r->seen = (ahead < 64 ? r->seen << ahead : 0) | 1;
		r->highest = sequence;
		return true;
	}
	behind = r->highest - sequence;
	if (behind >= 64 || (r->seen >> behind & 1))
		return false;
	r->seen |= 1ull << behind;
	return true;
}
