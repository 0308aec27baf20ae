// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A donor that lies. It is emp-donor itself, linked with --wrap around what it
 * sends, and takes the same options; DONOR_LIE names the lie:
 *
 *	accept: garbage, short, magic, version, mac, flags, features, credits, slab,
 *		session, generation (right in all else: its MACs are made anew)
 *	grants: rkey, addr, size, id, count, pad
 *	message: type, longer, status
 *	revoke: strangers (grants that nobody has), deaf (the first answer to a
 *		GIVE_BACK is a broken connection), grabs (nobody is asked, it takes)
 *	memory: flip (one bit of each granted slab, ten times a second)
 *	connection: cut-first, cut-last (that data connection of those that there
 *		are, each time that the file /tmp/donor.cut is made)
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <annex/donor_codec.h>

#include "liar.h"

static bool lie(const char *name)
{
	const char *told = getenv("DONOR_LIE");

	return told && !strcmp(told, name);
}

/* Lies that a MAC of ours covers: a donor that has the key and means harm. */
void __wrap_donor_core_accept(struct donor_core *core, struct donor_session *s,
			      const struct annex_donor_hello *hello, uint32_t client_qpn,
			      uint32_t donor_qpn, struct annex_donor_accept *a)
{
	const struct donor_transcript t = { hello, a, client_qpn, donor_qpn };
	const struct donor_secret *key = &s->client->secret, *proof_key = key;
	bool open = hello->kind == ANNEX_DONOR_OPEN;
	struct donor_secret old = s->secret;

	__real_donor_core_accept(core, s, hello, client_qpn, donor_qpn, a);
	if (lie("magic"))
		a->magic ^= htole32(1);
	if (lie("version"))
		a->version = ANNEX_DONOR_VERSION + 1;
	if (lie("flags"))
		a->flags |= htole32(1u << 20);
	if (lie("features"))
		a->features |= htole32(1u << 20);
	if (lie("credits"))
		a->credits = 0;
	if (lie("slab"))
		a->slab_bytes = htole64(3 << 20);
	if (lie("session") && !open)
		a->session ^= htole64(1);
	if (lie("generation") && !open)
		a->generation ^= htole64(1);
	if (!open)
		key = &old;
	donor_auth_accept(key, &t, a->mac);
	if (lie("mac"))
		a->mac[31] ^= 0x80;
	if (open) {
		donor_auth_proof(proof_key, &t, s->proof);
		donor_auth_session(proof_key, &t, &s->secret);
	}
}

int __wrap_rdma_accept(struct rdma_cm_id *id, struct rdma_conn_param *param)
{
	uint8_t noise[sizeof(struct annex_donor_accept)];

	if (lie("garbage")) {
		donor_auth_random(noise, sizeof(noise));
		param->private_data = noise;
	} else if (lie("short")) {
		param->private_data_len = 9;
	}
	return __real_rdma_accept(id, param);
}

static size_t tamper_grants(struct annex_donor_grants *g, size_t len)
{
	struct annex_donor_grant *last;

	if (!g->count)
		return len;
	last = &g->grant[le32toh(g->count) - 1];
	if (lie("rkey"))
		last->rkey ^= htole32(0x5500);
	if (lie("addr"))
		last->addr += htole64(1 << 30);
	if (lie("size"))
		last->bytes = htole64(le64toh(last->bytes) * 2);
	if (lie("id"))
		last->id = 0;
	if (lie("count"))
		g->count = htole32(60);
	if (lie("pad"))
		last->flags = htole32(2);
	return len;
}

/* What nobody was granted is asked for and taken. */
static void revoke_strangers(struct donor_conn *conn)
{
	struct {
		struct annex_donor_revoke m;
		uint64_t id[3];
	} out = {
		.m.count = htole32(3),
		.m.cause = htole32(ANNEX_DONOR_C_SHRINK),
		.id = { 0, UINT64_MAX, htole64(1ull << 40) },
	};

	annex_donor_head(&out.m.head, ANNEX_DONOR_REVOKE, sizeof(out), 0, 0);
	__real_donor_conn_send(conn, &out, sizeof(out));
	annex_donor_head(&out.m.head, ANNEX_DONOR_REVOKED, sizeof(out), 0, 0);
	__real_donor_conn_send(conn, &out, sizeof(out));
}

bool __wrap_donor_conn_send(struct donor_conn *conn, const void *msg, size_t len)
{
	static bool deaf;
	union {
		struct annex_donor_msg head;
		struct annex_donor_grants grants;
		uint8_t bytes[ANNEX_DONOR_MSG_MAX + 64];
	} out = { 0 };

	memcpy(&out, msg, len);
	if (le16toh(out.head.type) == ANNEX_DONOR_GRANTS) {
		len = tamper_grants(&out.grants, len);
		if (lie("type"))
			out.head.type = htole16(ANNEX_DONOR_REQUEST);
		if (lie("longer"))
			len += 8;
		if (lie("status"))
			out.head.status = htole32(ANNEX_DONOR_FULL);	/* and yet grants */
	}
	if (le16toh(out.head.type) == ANNEX_DONOR_PONG && lie("strangers"))
		revoke_strangers(conn);
	if (le16toh(out.head.type) == ANNEX_DONOR_REVOKE && lie("grabs"))
		return true;
	if (le16toh(out.head.type) == ANNEX_DONOR_TAKEN && lie("deaf") && !deaf) {
		deaf = true;
		return false;	/* it has them, and hangs up */
	}
	return __real_donor_conn_send(conn, &out, len);
}

/* --- memory that changes by itself ------------------------------------------- */

#define FLIPPED 64

static struct flip {
	volatile uint8_t *at;
	uint64_t bytes;
} flipped[FLIPPED];

static void *flip_bits(void *arg)
{
	for (;;) {
		usleep(100000);
		for (unsigned int i = 0; i < FLIPPED; i++) {
			if (flipped[i].at)
				flipped[i].at[4096 + i] ^= 1;
		}
	}
	return arg;
}

int __wrap_donor_net_expose(struct donor_session *s, struct donor_slab *slab, uint64_t bytes,
			    uint64_t iova)
{
	static unsigned int nr;
	pthread_t thread;

	if (lie("flip") && nr < FLIPPED) {
		if (!nr)
			pthread_create(&thread, NULL, flip_bits, NULL);
		flipped[nr++] = (struct flip){ slab->memory, bytes };
	}
	return __real_donor_net_expose(s, slab, bytes, iova);
}

/* --- a data connection that ends by itself ------------------------------------- */

bool __wrap_donor_net_more(struct donor_net *net, uint64_t now)
{
	bool last = lie("cut-last");
	struct donor_conn *cut = NULL;

	if ((last || lie("cut-first")) && !unlink("/tmp/donor.cut")) {
		/* the newest ones come first */
		for (struct donor_conn *c = net->conns; c && !(cut && last); c = c->next) {
			if (!c->control && !c->closed)
				cut = c;
		}
	}
	if (cut)
		donor_conn_close(cut);
	return __real_donor_net_more(net, now);
}
