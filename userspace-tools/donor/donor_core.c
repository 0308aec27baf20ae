// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <annex/donor_codec.h>

#include "donor_core.h"

void donor_core_say(struct donor_core *core, int level, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	core->ops->log(core->ctx, level, text);
}

const char *donor_session_state_name(enum donor_session_state state)
{
	static const char *const names[] = { "new", "proving", "active", "linger" };

	return names[state];
}

const char *donor_reason_name(int reason)
{
	static const char *const names[] = {
		"no reason", "private data is none of this protocol's", "no version in common",
		"unknown flag or kind", "unknown key", "not authenticated", "no such session",
		"too many clients or connections", "the donor is going away",
		"wrong RDMA device", "message out of place", "silent for too long",
		"out of resources",
	};

	return reason >= 0 && (size_t)reason < sizeof(names) / sizeof(names[0]) ? names[reason] :
	       "unknown reason";
}

int donor_core_init(struct donor_core *core, const struct donor_limits *limits, uint64_t max_bytes,
		    uint32_t places, const struct donor_ops *ops, void *ctx)
{
	uint64_t slabs = max_bytes / limits->slab_bytes, most = DONOR_SLABS_MAX - places;

	memset(core, 0, sizeof(*core));
	core->limits = *limits;
	core->ops = ops;
	core->ctx = ctx;
	core->generation = donor_auth_random_id();
	TAILQ_INIT(&core->news);
	return donor_table_init(&core->table, slabs < most ? slabs : most, places, &ops->slab,
				ctx);
}

/* --- clients --------------------------------------------------------------- */

static struct donor_client *client_by_id(struct donor_core *core, uint64_t key_id)
{
	struct donor_client *c = core->clients;

	while (c && c->key_id != key_id)
		c = c->next;
	return c;
}

static struct donor_client *client_new(struct donor_core *core, const char *name, uint64_t key_id)
{
	struct donor_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->key_id = key_id;
	c->quota = core->limits.quota;
	donor_auth_no_key(&c->secret);
	c->next = core->clients;
	core->clients = c;
	return c;
}

/* Clients whose key went, once nobody has one. */
static void clients_sweep(struct donor_core *core)
{
	for (struct donor_client **at = &core->clients; *at;) {
		struct donor_client *c = *at;

		if (!c->dropped || c->sessions) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		explicit_bzero(c, sizeof(*c));
		free(c);
	}
}

int donor_core_set_keys(struct donor_core *core, const struct donor_keys *keys)
{
	struct donor_session *s, *next;

	for (struct donor_client *c = core->clients; c; c = c->next)
		c->dropped = c->key_id || !core->limits.noauth;
	for (unsigned int i = 0; i < keys->nr; i++) {
		const struct donor_key *k = &keys->key[i];
		struct donor_client *c = client_by_id(core, k->id);

		if (!c)
			c = client_new(core, k->name, k->id);
		if (!c)
			return -1;
		snprintf(c->name, sizeof(c->name), "%s", k->name);
		c->secret = k->secret;
		c->quota = k->quota == UINT64_MAX ? core->limits.quota : k->quota;
		c->dropped = false;
	}
	if (core->limits.noauth && !client_by_id(core, 0) && !client_new(core, "anybody", 0))
		return -1;
	for (s = core->sessions; s; s = next) {
		next = s->next;
		if (s->client->dropped)
			donor_core_end(core, s, ANNEX_DONOR_R_KEY);
	}
	clients_sweep(core);
	return 0;
}

/* --- sessions -------------------------------------------------------------- */

static void deadline_in(struct donor_session *s, uint64_t now, uint32_t ms)
{
	s->deadline = now + ms;
}

static struct donor_session *session_new(struct donor_core *core, struct donor_client *client,
					 uint64_t now)
{
	struct donor_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->id = donor_auth_random_id();
	s->client = client;
	s->opened = now;
	s->heard = now;
	deadline_in(s, now, core->limits.proof_ms);
	client->sessions++;
	s->next = core->sessions;
	core->sessions = s;
	core->nr_sessions++;
	return s;
}

static struct donor_session *session_by_id(struct donor_core *core, uint64_t id)
{
	struct donor_session *s = core->sessions;

	while (s && s->id != id)
		s = s->next;
	return s;
}

void donor_core_take_back(struct donor_core *core, struct donor_session *s, struct donor_slab *slab)
{
	donor_park_forget(core, s, slab);
	if (slab->exposed)
		core->ops->hide(core->ctx, s, slab);
	s->held--;
	s->client->held--;
	donor_slab_return(&core->table, slab);
}

static void goodbye(struct annex_donor_msg *m, int reason)
{
	annex_donor_head(m, ANNEX_DONOR_GOODBYE, sizeof(*m), 0, reason);
}

void donor_core_end(struct donor_core *core, struct donor_session *s, int reason)
{
	struct donor_session **at = &core->sessions;
	struct annex_donor_msg bye;

	goodbye(&bye, reason);
	donor_core_say(core, DONOR_LOG_INFO, "session %016llx of %s ends with %u slabs: %s",
		       (unsigned long long)s->id, s->client->name, s->held,
		       reason ? donor_reason_name(reason) : "the client is gone");
	core->ops->hangup(core->ctx, s, reason ? &bye : NULL, sizeof(bye));
	for (uint32_t i = 0; i < core->table.used && s->held; i++) {
		struct donor_slab *slab = &core->table.slab[i];

		if (slab->owner == s)
			donor_core_take_back(core, s, slab);
	}
	donor_park_ended(core, s);
	core->ops->ended(core->ctx, s);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	core->nr_sessions--;
	s->client->sessions--;
	explicit_bzero(s, sizeof(*s));
	free(s);
	clients_sweep(core);
}

void donor_core_shut(struct donor_core *core, int reason)
{
	while (core->sessions)
		donor_core_end(core, core->sessions, reason);
}

void donor_core_free(struct donor_core *core)
{
	for (struct donor_client *c = core->clients; c; c = c->next)
		c->dropped = true;
	clients_sweep(core);
	donor_table_free(&core->table);
}

uint64_t donor_core_bytes(const struct donor_core *core, enum donor_slab_state state)
{
	return core->table.nr[state] * core->limits.slab_bytes;
}

/* Not the last one, where something is parked: who fetches could wait for ever. */
uint32_t donor_core_free_slabs(const struct donor_core *core)
{
	const uint32_t *nr = core->table.nr;
	uint32_t kept = nr[DONOR_SLAB_STORING] + nr[DONOR_SLAB_PARKED] ? 1 : 0;

	if (core->table.nr_wanted > kept)
		kept = core->table.nr_wanted;
	return nr[DONOR_SLAB_READY] > kept ? nr[DONOR_SLAB_READY] - kept : 0;
}

/* --- connects -------------------------------------------------------------- */

static int refuse(struct donor_core *core, int reason)
{
	core->counters.connects_refused++;
	core->counters.auth_failures += reason == ANNEX_DONOR_R_KEY ||
					reason == ANNEX_DONOR_R_AUTH;
	return reason;
}

static int hello_open(struct donor_core *core, const struct annex_donor_hello *h, uint64_t now,
		      struct donor_session **session)
{
	bool noauth = annex_le32(h->flags) & ANNEX_DONOR_F_NOAUTH;
	uint32_t unproven = 0;
	struct donor_client *c;

	if (noauth && !core->limits.noauth)
		return ANNEX_DONOR_R_AUTH;
	if (core->draining)
		return ANNEX_DONOR_R_DRAINING;
	c = client_by_id(core, noauth ? 0 : annex_le64(h->id));
	if (!c || c->dropped || (!noauth && !h->id))
		return ANNEX_DONOR_R_KEY;
	for (const struct donor_session *s = core->sessions; s; s = s->next)
		unproven += s->state == DONOR_NEW || s->state == DONOR_PROVING;
	if (core->nr_sessions >= core->limits.max_sessions || unproven >= DONOR_UNPROVEN_MAX)
		return ANNEX_DONOR_R_FULL;
	*session = session_new(core, c, now);
	if (!*session)
		return ANNEX_DONOR_R_INTERNAL;
	(*session)->features = annex_le32(h->features) & ANNEX_DONOR_FEATURES;
	if (!core->limits.linger_ms)
		(*session)->features &= ~ANNEX_DONOR_FEAT_RESUME;
	/* what the backing loses is revoked */
	if (!core->table.places.nr || !((*session)->features & ANNEX_DONOR_FEAT_GIVE_BACK))
		(*session)->features &= ~ANNEX_DONOR_FEAT_PARK;
	return 0;
}

static int hello_again(struct donor_core *core, const struct annex_donor_hello *h,
		       uint32_t client_qpn, struct donor_session *s, uint64_t now)
{
	uint32_t feature = h->kind == ANNEX_DONOR_JOIN ? ANNEX_DONOR_FEAT_JOIN :
			   ANNEX_DONOR_FEAT_RESUME;
	bool noauth = annex_le32(h->flags) & ANNEX_DONOR_F_NOAUTH;
	uint8_t mac[ANNEX_DONOR_JOIN_MAC];

	donor_auth_join(&s->secret, h, client_qpn, mac);
	if (noauth != !s->client->key_id || !donor_auth_equal(mac, h->mac, sizeof(mac)) ||
	    !donor_replay_take(&s->replay, annex_le64(h->sequence)))
		return ANNEX_DONOR_R_AUTH;
	if (!(s->features & feature))
		return ANNEX_DONOR_R_FLAGS;
	if (h->kind == ANNEX_DONOR_JOIN) {
		if (s->state != DONOR_ACTIVE)
			return ANNEX_DONOR_R_SESSION;
		/* what an old queue pair may still have to say must not come later */
		if (h->replaces)
			core->ops->fence(core->ctx, s, annex_le32(h->replaces));
		return 0;
	}
	core->ops->hangup(core->ctx, s, NULL, 0);
	s->state = DONOR_LINGER;
	s->resuming = true;
	deadline_in(s, now, core->limits.linger_ms);
	return 0;
}

int donor_core_hello(struct donor_core *core, const void *data, size_t len, uint32_t client_qpn,
		     bool (*same_device)(void *arg, const struct donor_session *s), void *arg,
		     uint64_t now, struct donor_session **session)
{
	int reason = annex_donor_check_hello(data, len);
	const struct annex_donor_hello *h = data;

	*session = NULL;
	if (reason)
		return refuse(core, reason);
	if (h->kind == ANNEX_DONOR_OPEN) {
		reason = hello_open(core, h, now, session);
	} else {
		*session = session_by_id(core, annex_le64(h->id));
		if (!*session || (*session)->state == DONOR_NEW ||
		    (*session)->state == DONOR_PROVING)
			reason = ANNEX_DONOR_R_SESSION;
		else if (!same_device(arg, *session))
			reason = ANNEX_DONOR_R_DEVICE;
		else
			reason = hello_again(core, h, client_qpn, *session, now);
	}
	if (reason)
		*session = NULL;
	return reason ? refuse(core, reason) : 0;
}

void donor_core_accept(struct donor_core *core, struct donor_session *s,
		       const struct annex_donor_hello *hello, uint32_t client_qpn,
		       uint32_t donor_qpn, struct annex_donor_accept *a)
{
	const struct donor_transcript t = { hello, a, client_qpn, donor_qpn };
	bool open = hello->kind == ANNEX_DONOR_OPEN;
	uint32_t flags = annex_le32(hello->flags);

	if (core->draining)
		flags |= ANNEX_DONOR_F_DRAINING;
	memset(a, 0, sizeof(*a));
	a->magic = annex_to_le32(ANNEX_DONOR_MAGIC);
	a->version = ANNEX_DONOR_VERSION;
	a->kind = hello->kind;
	a->size = sizeof(*a);
	a->credits = core->limits.credits;
	a->flags = annex_to_le32(flags);
	a->features = annex_to_le32(s->features & annex_le32(hello->features));
	a->generation = annex_to_le64(core->generation);
	a->session = annex_to_le64(s->id);
	a->slab_bytes = annex_to_le64(core->limits.slab_bytes);
	a->quota_bytes = annex_to_le64(s->client->quota);
	a->heartbeat_ms = annex_to_le32(core->limits.heartbeat_ms);
	a->client_ms = annex_to_le32(core->limits.client_ms);
	a->linger_ms = annex_to_le32(core->limits.linger_ms);
	donor_auth_random(a->nonce, sizeof(a->nonce));
	donor_auth_accept(open ? &s->client->secret : &s->secret, &t, a->mac);
	if (!open) {
		if (hello->kind == ANNEX_DONOR_JOIN) {
			s->joined++;
			core->counters.connections_joined++;
		}
		return;
	}
	donor_auth_proof(&s->client->secret, &t, s->proof);
	donor_auth_session(&s->client->secret, &t, &s->secret);
	s->state = DONOR_PROVING;
}

void donor_core_reject(const struct donor_core *core, int reason, struct annex_donor_reject *r)
{
	memset(r, 0, sizeof(*r));
	r->magic = annex_to_le32(ANNEX_DONOR_MAGIC);
	r->version_min = ANNEX_DONOR_VERSION;
	r->version_max = ANNEX_DONOR_VERSION;
	r->reason = reason;
	r->size = sizeof(*r);
	r->generation = annex_to_le64(core->generation);
}

/* --- messages -------------------------------------------------------------- */

void donor_core_tell(struct donor_core *core, struct donor_session *s, const void *msg)
{
	const struct annex_donor_msg *m = msg;

	if (!core->ops->send(core->ctx, s, msg, annex_le16(m->size)))
		s->deadline = 1;	/* the next tick hangs up */
}

static void tell_state(struct donor_core *core, struct donor_session *s, unsigned int type,
		       __le32 request)
{
	struct annex_donor_state m = {
		.generation = annex_to_le64(core->generation),
		.free_bytes = annex_to_le64(donor_core_free_slabs(core) *
					    core->limits.slab_bytes),
		.quota_bytes = annex_to_le64(s->client->quota),
		.held_bytes = annex_to_le64(s->held * core->limits.slab_bytes),
		.flags = annex_to_le32(core->draining ? ANNEX_DONOR_F_DRAINING : 0),
	};

	annex_donor_head(&m.head, type, sizeof(m), request, 0);
	donor_core_tell(core, s, &m);
}

static void resumed(struct donor_core *core, struct donor_session *s, uint64_t now)
{
	s->state = DONOR_ACTIVE;
	s->resuming = false;
	s->deadline = 0;
	s->heard = now;
	s->resumed++;
	core->counters.sessions_resumed++;
	tell_state(core, s, ANNEX_DONOR_WELCOME, 0);
	donor_core_catch_up(core, s, now);
}

void donor_core_established(struct donor_core *core, struct donor_session *s, uint64_t now)
{
	if (s->state == DONOR_LINGER && s->resuming)
		resumed(core, s, now);
}

/* Slabs that the client may still get. */
static uint32_t room(const struct donor_core *core, const struct donor_client *c)
{
	uint64_t slabs = c->quota / core->limits.slab_bytes;

	if (slabs <= c->held)
		return 0;
	return slabs - c->held < UINT32_MAX ? slabs - c->held : UINT32_MAX;
}

void donor_core_add_grant(const struct donor_core *core, union donor_grants *out, uint32_t n,
			  const struct donor_slab *slab)
{
	bool parked = slab->state != DONOR_SLAB_GRANTED;

	out->m.grant[n] = (struct annex_donor_grant){
		.id = annex_to_le64(slab->grant),
		.addr = annex_to_le64(parked ? 0 : slab->addr),
		.bytes = annex_to_le64(core->limits.slab_bytes),
		.rkey = annex_to_le32(parked ? 0 : slab->rkey),
		.flags = annex_to_le32(parked ? ANNEX_DONOR_G_PARKED : 0),
	};
}

size_t donor_core_grants_head(union donor_grants *out, unsigned int type, uint32_t n,
			      __le32 request, unsigned int status)
{
	size_t len = sizeof(out->m) + n * sizeof(out->m.grant[0]);

	out->m.count = annex_to_le32(n);
	out->m.pad = 0;
	annex_donor_head(&out->m.head, type, len, request, status);
	return len;
}

static void on_request(struct donor_core *core, struct donor_session *s,
		       const struct annex_donor_request *q, uint64_t now)
{
	union donor_grants out;
	uint32_t wanted = annex_le32(q->slabs), may = room(core, s->client), n = 0;
	unsigned int status = ANNEX_DONOR_FULL;

	if (core->draining) {
		status = ANNEX_DONOR_DRAIN;
		wanted = 0;
	} else if (!may) {
		status = ANNEX_DONOR_QUOTA;
		wanted = 0;
	} else if (wanted > may) {
		wanted = may;
	}
	while (n < wanted) {
		struct donor_slab *slab = donor_core_free_slabs(core) ?
					  donor_slab_take(&core->table, s) : NULL;

		if (!slab)
			break;
		if (core->ops->expose(core->ctx, s, slab)) {
			donor_slab_untake(&core->table, slab);
			core->counters.register_failures++;
			status = ANNEX_DONOR_FAILED;
			break;
		}
		donor_core_add_grant(core, &out, n++, slab);
		s->held++;
		s->client->held++;
	}
	s->granted += n;
	s->refused += !n;
	core->counters.grants += n;
	core->counters.grants_refused += !n;
	donor_core_grants_head(&out, ANNEX_DONOR_GRANTS, n, q->head.request, n ? 0 : status);
	donor_core_tell(core, s, &out);
	donor_park_cool(core, now);
}

/* In the order of the table: that of what is held does not change. */
static void on_list(struct donor_core *core, struct donor_session *s,
		    const struct annex_donor_after *q)
{
	uint64_t after = annex_le64(q->after);
	union donor_grants out;
	uint32_t n = 0;

	for (uint32_t i = after ? donor_slab_index(after) + 1 : 0; i < core->table.used; i++) {
		const struct donor_slab *slab = &core->table.slab[i];

		if (slab->owner != s)
			continue;
		donor_core_add_grant(core, &out, n++, slab);
		if (n == ANNEX_DONOR_LIST_MAX)
			break;
	}
	donor_core_grants_head(&out, ANNEX_DONOR_GRANTS, n, q->head.request, 0);
	donor_core_tell(core, s, &out);
}

static void on_give_back(struct donor_core *core, struct donor_session *s,
			 const struct annex_donor_list *l)
{
	union {
		struct annex_donor_list m;
		uint8_t bytes[ANNEX_DONOR_MSG_MAX];
	} out = { 0 };
	uint32_t count = annex_le32(l->count), n = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct donor_slab *slab = donor_slab_find(&core->table, annex_le64(l->id[i]), s);

		if (!slab)
			continue;
		donor_core_take_back(core, s, slab);
		out.m.id[n++] = l->id[i];
	}
	s->given_back += n;
	core->counters.given_back += n;
	out.m.count = annex_to_le32(n);
	annex_donor_head(&out.m.head, ANNEX_DONOR_TAKEN, sizeof(out.m) + n * sizeof(out.m.id[0]),
			 l->head.request, n < count ? ANNEX_DONOR_UNKNOWN : 0);
	donor_core_tell(core, s, &out.m);
}

static void on_fence(struct donor_core *core, struct donor_session *s,
		     const struct annex_donor_fence *f)
{
	struct annex_donor_fence m = { .qpn = f->qpn };
	bool ok = core->ops->fence(core->ctx, s, annex_le32(f->qpn));

	annex_donor_head(&m.head, ANNEX_DONOR_FENCED, sizeof(m), f->head.request,
			 ok ? 0 : ANNEX_DONOR_UNKNOWN);
	donor_core_tell(core, s, &m);
}

static void on_stats(struct donor_core *core, struct donor_session *s,
		     const struct annex_donor_msg *q, uint64_t now)
{
	struct annex_donor_numbers m = {
		.granted = annex_to_le64(s->granted),
		.given_back = annex_to_le64(s->given_back),
		.revoked = annex_to_le64(s->revoked),
		.refused = annex_to_le64(s->refused),
		.joined = annex_to_le64(s->joined),
		.resumed = annex_to_le64(s->resumed),
		.messages = annex_to_le64(s->messages),
		.uptime_ms = annex_to_le64(now - s->opened),
	};

	annex_donor_head(&m.head, ANNEX_DONOR_NUMBERS, sizeof(m), q->request, 0);
	donor_core_tell(core, s, &m);
}

static void on_proof(struct donor_core *core, struct donor_session *s,
		     const struct annex_donor_proof *p)
{
	if (!donor_auth_equal(p->mac, s->proof, sizeof(s->proof))) {
		core->counters.auth_failures++;
		donor_core_end(core, s, ANNEX_DONOR_R_AUTH);
		return;
	}
	explicit_bzero(s->proof, sizeof(s->proof));
	s->state = DONOR_ACTIVE;
	s->deadline = 0;
	core->counters.sessions_opened++;
	donor_core_say(core, DONOR_LOG_INFO, "session %016llx of %s opened",
		       (unsigned long long)s->id, s->client->name);
	tell_state(core, s, ANNEX_DONOR_WELCOME, p->head.request);
}

void donor_core_message(struct donor_core *core, struct donor_session *s, const void *data,
			size_t len, uint64_t now)
{
	const struct annex_donor_msg *m = data;
	unsigned int type;

	if (!annex_donor_check_msg(data, len, ANNEX_DONOR_CLIENT))
		goto wrong;
	if (s->state == DONOR_LINGER && s->resuming)
		resumed(core, s, now);
	type = annex_le16(m->type);
	s->messages++;
	s->heard = now;
	s->pinged = false;
	if (s->state == DONOR_PROVING && type == ANNEX_DONOR_PROOF) {
		on_proof(core, s, data);
		return;
	}
	if (s->state != DONOR_ACTIVE)
		goto wrong;
	switch (type) {
	case ANNEX_DONOR_REQUEST:
		on_request(core, s, data, now);
		return;
	case ANNEX_DONOR_GIVE_BACK:
		on_give_back(core, s, data);
		return;
	case ANNEX_DONOR_PING:
		tell_state(core, s, ANNEX_DONOR_PONG, m->request);
		return;
	case ANNEX_DONOR_PONG:
		return;
	case ANNEX_DONOR_FENCE:
		on_fence(core, s, data);
		return;
	case ANNEX_DONOR_LIST:
		on_list(core, s, data);
		return;
	case ANNEX_DONOR_PARK:
		if (!(s->features & ANNEX_DONOR_FEAT_PARK))
			goto wrong;
		donor_park_on_park(core, s, data, now);
		return;
	case ANNEX_DONOR_FETCH:
		if (!(s->features & ANNEX_DONOR_FEAT_PARK))
			goto wrong;
		donor_park_on_fetch(core, s, data);
		return;
	case ANNEX_DONOR_STATS:
		on_stats(core, s, m, now);
		return;
	case ANNEX_DONOR_BYE:
		donor_core_end(core, s, ANNEX_DONOR_R_NONE);
		return;
	}
wrong:
	core->counters.protocol_errors++;
	donor_core_end(core, s, ANNEX_DONOR_R_PROTOCOL);
}

void donor_core_lost(struct donor_core *core, struct donor_session *s, uint64_t now)
{
	if (s->state == DONOR_ACTIVE && (s->features & ANNEX_DONOR_FEAT_RESUME) &&
	    core->limits.linger_ms) {
		donor_core_say(core, DONOR_LOG_INFO, "session %016llx of %s lost its connection: kept for %u ms",
			       (unsigned long long)s->id, s->client->name, core->limits.linger_ms);
		core->ops->hangup(core->ctx, s, NULL, 0);
		s->state = DONOR_LINGER;
		s->resuming = false;
		deadline_in(s, now, core->limits.linger_ms);
		return;
	}
	if (s->state == DONOR_LINGER && s->resuming) {
		/* the new connection did not come to stand: wait on for another */
		core->ops->hangup(core->ctx, s, NULL, 0);
		s->resuming = false;
		return;
	}
	donor_core_end(core, s, ANNEX_DONOR_R_NONE);
}
