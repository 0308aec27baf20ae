// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <string.h>

#include <annex/donor_codec.h>

#include "donor_link.h"

const char *donor_link_state_name(enum donor_link_state state)
{
	static const char *const names[] = {
		"idle", "connecting", "proving", "active", "suspect", "broken", "resuming", "lost",
	};

	return names[state];
}

void donor_link_init(struct donor_link *l, const struct donor_secret *key, uint32_t features)
{
	memset(l, 0, sizeof(*l));
	l->features = features;
	l->noauth = !key;
	if (key)
		l->key = *key;
	else
		donor_auth_no_key(&l->key);
}

void donor_link_hello(struct donor_link *l, enum annex_donor_kind kind, uint32_t qpn,
		      uint32_t replaces, struct annex_donor_hello *hello)
{
	memset(hello, 0, sizeof(*hello));
	hello->magic = annex_to_le32(ANNEX_DONOR_MAGIC);
	hello->version_min = ANNEX_DONOR_VERSION;
	hello->version_max = ANNEX_DONOR_VERSION;
	hello->kind = kind;
	hello->size = sizeof(*hello);
	hello->flags = annex_to_le32(l->noauth ? ANNEX_DONOR_F_NOAUTH : 0);
	hello->features = annex_to_le32(l->features);
	if (kind == ANNEX_DONOR_OPEN) {
		hello->id = annex_to_le64(l->noauth ? 0 : donor_auth_key_id(&l->key));
		donor_auth_random(hello->nonce, sizeof(hello->nonce));
		l->state = DONOR_LINK_CONNECTING;
		l->reason = 0;
		return;
	}
	hello->id = annex_to_le64(l->session);
	hello->sequence = annex_to_le64(++l->sequence);
	hello->replaces = annex_to_le32(replaces);
	donor_auth_join(&l->secret, hello, qpn, hello->mac);
	if (kind == ANNEX_DONOR_RESUME)
		l->state = DONOR_LINK_RESUMING;
}

static void take_terms(struct donor_link *l, const struct annex_donor_accept *a)
{
	l->features = annex_le32(a->features);
	l->generation = annex_le64(a->generation);
	l->session = annex_le64(a->session);
	l->slab_bytes = annex_le64(a->slab_bytes);
	l->quota_bytes = annex_le64(a->quota_bytes);
	l->heartbeat_ms = annex_le32(a->heartbeat_ms);
	l->linger_ms = annex_le32(a->linger_ms);
	l->credits = a->credits;
}

bool donor_link_accept(struct donor_link *l, const struct annex_donor_hello *hello,
		       const void *data, size_t len, uint32_t qpn, uint32_t donor_qpn, uint64_t now)
{
	bool open = hello->kind == ANNEX_DONOR_OPEN;
	const struct annex_donor_accept *a = data;
	struct donor_transcript t = { hello, a, qpn, donor_qpn };
	uint8_t mac[ANNEX_DONOR_MAC];

	if (!annex_donor_check_accept(data, len, hello))
		return false;
	donor_auth_accept(open ? &l->key : &l->secret, &t, mac);
	if (!donor_auth_equal(mac, a->mac, sizeof(mac)))
		return false;
	l->heard = now;
	l->pinged = now;
	if (open) {
		take_terms(l, a);
		donor_auth_proof(&l->key, &t, l->proof);
		donor_auth_session(&l->key, &t, &l->secret);
		l->state = DONOR_LINK_PROVING;
	} else if (annex_le64(a->generation) != l->generation ||
		   annex_le64(a->slab_bytes) != l->slab_bytes) {
		/* it has come back without our data, whatever it says about the session */
		l->state = DONOR_LINK_LOST;
		return false;
	}
	l->draining = annex_le32(a->flags) & ANNEX_DONOR_F_DRAINING;
	return true;
}

void donor_link_proof(const struct donor_link *l, struct annex_donor_proof *proof)
{
	annex_donor_head(&proof->head, ANNEX_DONOR_PROOF, sizeof(*proof), 0, 0);
	memcpy(proof->mac, l->proof, sizeof(proof->mac));
}

void donor_link_rejected(struct donor_link *l, const struct annex_donor_hello *hello,
			 const void *data, size_t len)
{
	l->reason = annex_donor_check_reject(data, len);
	if (hello->kind == ANNEX_DONOR_OPEN)
		l->state = DONOR_LINK_IDLE;
	else if (l->reason == ANNEX_DONOR_R_SESSION)
		l->state = DONOR_LINK_LOST;
	else if (hello->kind == ANNEX_DONOR_RESUME)
		l->state = DONOR_LINK_BROKEN;
}

void donor_link_broken(struct donor_link *l, uint64_t now)
{
	switch (l->state) {
	case DONOR_LINK_ACTIVE:
	case DONOR_LINK_SUSPECT:
		l->broken = now;
		l->state = l->features & ANNEX_DONOR_FEAT_RESUME ? DONOR_LINK_BROKEN :
			   DONOR_LINK_LOST;
		return;
	case DONOR_LINK_RESUMING:
		l->state = DONOR_LINK_BROKEN;
		return;
	case DONOR_LINK_CONNECTING:
	case DONOR_LINK_PROVING:
		l->state = DONOR_LINK_IDLE;
		return;
	default:
		return;
	}
}

static void take_state(struct donor_link *l, const struct annex_donor_state *s)
{
	l->free_bytes = annex_le64(s->free_bytes);
	l->quota_bytes = annex_le64(s->quota_bytes);
	l->held_bytes = annex_le64(s->held_bytes);
	l->draining = annex_le32(s->flags) & ANNEX_DONOR_F_DRAINING;
}

/* Each grant has the size that was agreed on. */
static bool grants_fit(const struct donor_link *l, const struct annex_donor_grants *g)
{
	for (uint32_t i = 0; i < annex_le32(g->count); i++) {
		if (annex_le64(g->grant[i].bytes) != l->slab_bytes)
			return false;
	}
	return true;
}

/* What only a donor that parks has to say. */
static bool of_parking(unsigned int type)
{
	return type == ANNEX_DONOR_PARKED || type == ANNEX_DONOR_FETCHED ||
	       type == ANNEX_DONOR_COOL;
}

unsigned int donor_link_message(struct donor_link *l, const void *data, size_t len, uint64_t now)
{
	const struct annex_donor_state *s = data;
	const struct annex_donor_msg *m = data;
	unsigned int type;

	if (!annex_donor_check_msg(data, len, ANNEX_DONOR_DONOR))
		return 0;
	type = annex_le16(m->type);
	if (type == ANNEX_DONOR_GOODBYE) {
		l->reason = annex_le32(m->status);
		l->state = DONOR_LINK_LOST;
		return type;
	}
	if (type == ANNEX_DONOR_WELCOME) {
		if (l->state != DONOR_LINK_PROVING && l->state != DONOR_LINK_RESUMING)
			return 0;
		if (annex_le64(s->generation) != l->generation)
			return 0;
		l->state = DONOR_LINK_ACTIVE;
	}
	if (l->state != DONOR_LINK_ACTIVE && l->state != DONOR_LINK_SUSPECT)
		return 0;
	if (type == ANNEX_DONOR_PONG && annex_le64(s->generation) != l->generation)
		return 0;
	if (of_parking(type) && !(l->features & ANNEX_DONOR_FEAT_PARK))
		return 0;
	if ((type == ANNEX_DONOR_GRANTS || type == ANNEX_DONOR_FETCHED) && !grants_fit(l, data))
		return 0;
	if (type == ANNEX_DONOR_WELCOME || type == ANNEX_DONOR_PONG)
		take_state(l, s);
	l->heard = now;
	l->state = DONOR_LINK_ACTIVE;
	return type;
}

bool donor_link_may_request(const struct donor_link *l)
{
	return l->state == DONOR_LINK_ACTIVE && !l->draining;
}

bool donor_link_tick(struct donor_link *l, uint64_t now)
{
	switch (l->state) {
	case DONOR_LINK_ACTIVE:
		if (now - l->heard > (uint64_t)DONOR_LINK_MISSED * l->heartbeat_ms)
			l->state = DONOR_LINK_SUSPECT;
		break;
	case DONOR_LINK_SUSPECT:
		break;
	case DONOR_LINK_BROKEN:
		if (now - l->broken > l->linger_ms)
			l->state = DONOR_LINK_LOST;
		return false;
	default:
		return false;
	}
	if (now - l->pinged < l->heartbeat_ms)
		return false;
	l->pinged = now;
	return true;
}
