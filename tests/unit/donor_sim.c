// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "donor_sim.h"

#define MUST(cond) do {								\
	if (!(cond)) {								\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);	\
		abort();							\
	}									\
} while (0)

__attribute__((format(printf, 2, 3)))
static void note(struct sim *sim, const char *fmt, ...)
{
	size_t n = strlen(sim->log);
	va_list ap;

	if (n > sizeof(sim->log) - 64) {	/* the tests look at the beginning only */
		sim->log[0] = '\0';
		n = 0;
	}
	va_start(ap, fmt);
	vsnprintf(sim->log + n, sizeof(sim->log) - n, fmt, ap);
	va_end(ap);
}

static unsigned int nr(const struct sim *sim, const struct donor_slab *slab)
{
	return slab - sim->core.table.slab;
}

/* --- ops -------------------------------------------------------------------- */

static void work_on(struct sim *sim, struct donor_slab *slab)
{
	bool ok = true;

	switch (slab->state) {
	case DONOR_SLAB_PREPARING:
		ok = !sim->fail_prepare;
		sim->prepared += ok;
		slab->memory = ok ? slab : NULL;
		break;
	case DONOR_SLAB_ZEROING:
		sim->zeroed++;
		break;
	case DONOR_SLAB_RELEASING:
		sim->released++;
		slab->memory = NULL;
		break;
	default:
		MUST(!"the worker was given a slab that is not its");
	}
	sim->dirty[nr(sim, slab)] = false;
	donor_table_done(&sim->core.table, slab, ok);
}

void sim_work(struct sim *sim)
{
	while (sim->todos) {
		struct donor_slab *slab = sim->todo[0];

		memmove(sim->todo, sim->todo + 1, --sim->todos * sizeof(sim->todo[0]));
		work_on(sim, slab);
	}
}

static void submit(struct sim *sim, struct donor_slab *slab)
{
	MUST(!slab->exposed && sim->todos < SIM_SLABS);
	sim->todo[sim->todos++] = slab;
}

static void op_prepare(void *ctx, struct donor_slab *slab)
{
	submit(ctx, slab);
}

static void op_zero(void *ctx, struct donor_slab *slab)
{
	note(ctx, "zero %u;", nr(ctx, slab));
	submit(ctx, slab);
}

static void op_release(void *ctx, struct donor_slab *slab)
{
	note(ctx, "release %u;", nr(ctx, slab));
	submit(ctx, slab);
}

static int op_expose(void *ctx, struct donor_session *s, struct donor_slab *slab)
{
	struct sim *sim = ctx;

	MUST(slab->memory && !slab->exposed && !sim->dirty[nr(sim, slab)]);
	if (sim->fail_expose)
		return -1;
	slab->exposed = s;
	sim->dirty[nr(sim, slab)] = true;
	sim->exposed++;
	slab->addr = 0x100000000 * (nr(sim, slab) + 1);
	slab->rkey = nr(sim, slab);
	return 0;
}

static void op_hide(void *ctx, struct donor_session *s, struct donor_slab *slab)
{
	MUST(slab->exposed == s);
	slab->exposed = NULL;
	note(ctx, "hide %u;", nr(ctx, slab));
}

static bool op_send(void *ctx, struct donor_session *s, const void *msg, size_t len)
{
	struct sim *sim = ctx;
	struct sim_net *net = s->net;

	if (sim->fail_send || !net->connected || net->queued == SIM_QUEUE)
		return false;
	/* whatever the donor says must be well-formed */
	MUST(annex_donor_check_msg(msg, len, ANNEX_DONOR_DONOR));
	memcpy(net->queue[net->queued].bytes, msg, len);
	net->queue[net->queued++].len = len;
	return true;
}

static bool op_fence(void *ctx, struct donor_session *s, uint32_t qpn)
{
	struct sim_net *net = s->net;

	note(ctx, "fence %u;", qpn);
	if (!net->joined || net->joined_qpn != qpn)
		return false;
	net->joined--;
	net->joined_qpn = 0;
	return true;
}

static void op_hangup(void *ctx, struct donor_session *s, const void *msg, size_t len)
{
	struct sim_net *net = s->net;

	MUST(!msg || annex_donor_check_msg(msg, len, ANNEX_DONOR_DONOR));
	note(ctx, "hangup;");
	if (!net)
		return;
	net->connected = false;
	net->joined = 0;
	net->queued = 0;
}

static void op_ended(void *ctx, struct donor_session *s)
{
	note(ctx, "ended;");
	free(s->net);
	s->net = NULL;
}

static void op_log(void *ctx, int level, const char *text)
{
	(void)ctx;
	(void)level;
	(void)text;
}

static const struct donor_ops ops = {
	.slab = { .prepare = op_prepare, .zero = op_zero, .release = op_release },
	.expose = op_expose, .hide = op_hide, .send = op_send, .fence = op_fence,
	.hangup = op_hangup, .ended = op_ended, .log = op_log,
};

void sim_init(struct sim *sim, uint64_t slabs, const struct donor_keys *keys)
{
	const struct donor_limits limits = {
		.slab_bytes = SIM_SLAB, .quota = UINT64_MAX, .max_sessions = 8, .max_joined = 4,
		.credits = 16, .heartbeat_ms = 1000, .client_ms = 10000, .linger_ms = 5000,
		.proof_ms = 2000, .drain_ms = 3000,
	};

	memset(sim, 0, sizeof(*sim));
	sim->now = 1000000;
	MUST(!donor_core_init(&sim->core, &limits, SIM_SLABS * SIM_SLAB, &ops, sim));
	MUST(!donor_core_set_keys(&sim->core, keys));
	donor_core_set_memory(&sim->core, slabs * SIM_SLAB, sim->now);
	sim_work(sim);
}

void sim_exit(struct sim *sim)
{
	donor_core_shut(&sim->core, ANNEX_DONOR_R_DRAINING);
	sim_check(sim);
	MUST(!sim->core.table.nr[DONOR_SLAB_GRANTED] && !sim->core.nr_sessions);
	sim_work(sim);
	donor_core_free(&sim->core);
}

void sim_check(const struct sim *sim)
{
	const struct donor_table *t = &sim->core.table;
	uint32_t count[DONOR_SLAB_STATES] = { 0 }, retiring = 0, sessions = 0;

	for (uint32_t i = 0; i < t->max; i++) {
		const struct donor_slab *s = &t->slab[i];

		count[s->state]++;
		retiring += s->retire;
		MUST(i < t->used || s->state == DONOR_SLAB_EMPTY);
		MUST(!s->owner == (s->state != DONOR_SLAB_GRANTED) && !s->owner == !s->grant);
		MUST(!s->exposed || s->exposed == s->owner);
		MUST(s->state != DONOR_SLAB_READY || !sim->dirty[i]);
		MUST(s->state != DONOR_SLAB_READY || !s->retire);
	}
	MUST(retiring == t->retiring);
	for (unsigned int i = 0; i < DONOR_SLAB_STATES; i++)
		MUST(count[i] == t->nr[i]);
	for (const struct donor_session *s = sim->core.sessions; s; s = s->next) {
		uint32_t held = 0;

		for (uint32_t i = 0; i < t->max; i++)
			held += t->slab[i].owner == s;
		MUST(held == s->held);
		sessions++;
	}
	MUST(sessions == sim->core.nr_sessions);
	for (const struct donor_client *c = sim->core.clients; c; c = c->next) {
		uint32_t held = 0, n = 0;

		for (const struct donor_session *s = sim->core.sessions; s; s = s->next) {
			held += s->client == c ? s->held : 0;
			n += s->client == c;
		}
		MUST(held == c->held && n == c->sessions);
		MUST(c->dropped || c->quota == UINT64_MAX || !c->held ||
		     (uint64_t)c->held * SIM_SLAB <= c->quota || c->quota < SIM_SLAB * SIM_SLABS);
	}
}

bool sim_alive(const struct sim *sim, const struct donor_session *s)
{
	const struct donor_session *at = sim->core.sessions;

	while (at && at != s)
		at = at->next;
	return at;
}

/* --- the client's end ---------------------------------------------------------- */

static bool same_device(void *arg, const struct donor_session *s)
{
	const struct sim *sim = arg;

	return ((const struct sim_net *)s->net)->device == sim->device;
}

int sim_hello(struct sim *sim, struct donor_link *l, const struct annex_donor_hello *hello,
	      size_t len, struct donor_session **session, bool *taken)
{
	struct annex_donor_accept accept;
	struct sim_net *net;
	int reason;

	*session = NULL;
	*taken = false;
	reason = donor_core_hello(&sim->core, hello, len, SIM_CLIENT_QPN, same_device, sim,
				  sim->now, session);
	if (reason) {
		struct annex_donor_reject r;

		MUST(!*session);
		donor_core_reject(&sim->core, reason, &r);
		if (l)
			donor_link_rejected(l, hello, &r, sizeof(r));
		return reason;
	}
	if (hello->kind == ANNEX_DONOR_OPEN) {
		(*session)->net = calloc(1, sizeof(*net));
		MUST((*session)->net);
	}
	net = (*session)->net;
	if (hello->kind == ANNEX_DONOR_JOIN) {
		net->joined++;
		net->joined_qpn = SIM_DONOR_QPN;
	} else {
		MUST(!net->connected && !net->joined);
		net->connected = true;
		net->device = sim->device;
	}
	donor_core_accept(&sim->core, *session, hello, SIM_CLIENT_QPN, SIM_DONOR_QPN, &accept);
	if (l)
		*taken = donor_link_accept(l, hello, &accept, sizeof(accept), SIM_CLIENT_QPN,
					   SIM_DONOR_QPN, sim->now);
	if (hello->kind != ANNEX_DONOR_JOIN)
		donor_core_established(&sim->core, *session, sim->now);
	return 0;
}

int sim_connect(struct sim *sim, struct donor_link *l, enum annex_donor_kind kind,
		uint32_t replaces, struct donor_session **session)
{
	struct annex_donor_hello hello;
	bool taken;
	int reason;

	donor_link_hello(l, kind, SIM_CLIENT_QPN, replaces, &hello);
	reason = sim_hello(sim, l, &hello, sizeof(hello), session, &taken);
	MUST(reason || taken);
	return reason;
}

struct donor_session *sim_open(struct sim *sim, struct donor_link *l)
{
	struct annex_donor_proof proof;
	struct donor_session *s;

	if (sim_connect(sim, l, ANNEX_DONOR_OPEN, 0, &s))
		return NULL;
	donor_link_proof(l, &proof);
	sim_say(sim, s, &proof);
	if (!sim_alive(sim, s) || !sim_hear(sim, s, l))
		return NULL;
	return s;
}

void sim_say(struct sim *sim, struct donor_session *s, const void *msg)
{
	const struct annex_donor_msg *m = msg;

	donor_core_message(&sim->core, s, msg, annex_le16(m->size), sim->now);
	if (!sim->lazy)
		sim_work(sim);
	sim_check(sim);
}

const void *sim_hear(struct sim *sim, struct donor_session *s, struct donor_link *l)
{
	static uint64_t heard[ANNEX_DONOR_MSG_MAX / 8];
	struct sim_net *net = s->net;
	size_t len;

	if (!net->queued)
		return NULL;
	len = net->queue[0].len;
	memcpy(heard, net->queue[0].bytes, len);
	memmove(net->queue, net->queue + 1, --net->queued * sizeof(net->queue[0]));
	if (l)
		MUST(donor_link_message(l, heard, len, sim->now));
	return heard;
}

int sim_request(struct sim *sim, struct donor_session *s, uint32_t slabs, uint64_t *ids)
{
	struct annex_donor_request q = { .slabs = htole32(slabs) };
	const struct annex_donor_grants *g;
	uint32_t n;

	annex_donor_head(&q.head, ANNEX_DONOR_REQUEST, sizeof(q), htole32(77), 0);
	sim_say(sim, s, &q);
	g = sim_hear(sim, s, NULL);
	MUST(g && annex_le16(g->head.type) == ANNEX_DONOR_GRANTS && g->head.request == htole32(77));
	n = annex_le32(g->count);
	for (uint32_t i = 0; i < n && ids; i++)
		ids[i] = annex_le64(g->grant[i].id);
	return n ? (int)n : -(int)annex_le32(g->head.status);
}

int sim_give(struct sim *sim, struct donor_session *s, const uint64_t *ids, uint32_t n)
{
	union {
		struct annex_donor_list m;
		uint8_t bytes[ANNEX_DONOR_MSG_MAX];
	} out = { 0 };
	const struct annex_donor_list *l;

	for (uint32_t i = 0; i < n; i++)
		out.m.id[i] = htole64(ids[i]);
	out.m.count = htole32(n);
	annex_donor_head(&out.m.head, ANNEX_DONOR_GIVE_BACK, sizeof(out.m) + 8 * n, 0, 0);
	sim_say(sim, s, &out);
	l = sim_hear(sim, s, NULL);
	MUST(l && annex_le16(l->head.type) == ANNEX_DONOR_TAKEN);
	return l->head.status ? -(int)annex_le32(l->head.status) : (int)annex_le32(l->count);
}
