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

static struct sim_memory *memory_new(struct sim *sim)
{
	for (unsigned int i = 0; i < SIM_ALL; i++) {
		if (sim->memory[i].used)
			continue;
		sim->memory[i] = (struct sim_memory){ .used = true };
		return &sim->memory[i];
	}
	return NULL;
}

static void work_on(struct sim *sim, struct donor_slab *slab)
{
	struct sim_memory *memory = slab->memory;
	bool ok = true;

	switch (slab->state) {
	case DONOR_SLAB_PREPARING:
		MUST(!memory);
		ok = !sim->fail_prepare;
		sim->prepared += ok;
		slab->memory = ok ? memory_new(sim) : NULL;
		MUST(!ok || slab->memory);
		break;
	case DONOR_SLAB_ZEROING:
		sim->zeroed++;
		memory->data = 0;
		break;
	case DONOR_SLAB_RELEASING:
		sim->released++;
		memory->used = false;
		slab->memory = NULL;
		break;
	default:
		MUST(!"the worker was given a slab that is not its");
	}
	donor_table_done(&sim->core.table, slab, ok);
}

static void work_on_backing(struct sim *sim, const struct sim_job *job)
{
	struct donor_slab *slab = job->slab;
	struct sim_memory *memory = slab ? slab->memory : NULL;

	if (!slab) {
		sim->erased++;
		if (!sim->fail_erase)
			sim->backing[job->place] = 0;
		donor_park_erased(&sim->core, job->place, !sim->fail_erase);
	} else if (slab->state == DONOR_SLAB_STORING) {
		sim->stored++;
		MUST(slab->place == job->place && !sim->backing[job->place]);
		sim->backing[job->place] = memory->data;
		donor_park_stored(&sim->core, slab, !sim->fail_store, sim->now);
	} else {
		sim->loaded++;
		MUST(slab->state == DONOR_SLAB_LOADING && slab->place == job->place);
		MUST(!memory->data);
		memory->data = sim->fail_load ? 12345 : sim->backing[job->place];
		donor_park_loaded(&sim->core, slab, !sim->fail_load);
	}
}

void sim_work(struct sim *sim)
{
	while (sim->todos || (sim->jobs && !sim->hold)) {
		struct sim_job job = sim->job[0];
		struct donor_slab *slab = sim->todo[0];

		if (sim->todos) {
			memmove(sim->todo, sim->todo + 1, --sim->todos * sizeof(sim->todo[0]));
			work_on(sim, slab);
		} else {
			memmove(sim->job, sim->job + 1, --sim->jobs * sizeof(sim->job[0]));
			work_on_backing(sim, &job);
		}
	}
}

static void submit(struct sim *sim, struct donor_slab *slab)
{
	MUST(!slab->exposed && sim->todos < SIM_ALL);
	sim->todo[sim->todos++] = slab;
}

static void submit_backing(struct sim *sim, struct donor_slab *slab, uint32_t place)
{
	MUST((!slab || !slab->exposed) && sim->jobs < 2 * SIM_ALL && place < SIM_PLACES);
	sim->job[sim->jobs++] = (struct sim_job){ slab, place };
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

static void op_store(void *ctx, struct donor_slab *slab)
{
	note(ctx, "store %u;", nr(ctx, slab));
	submit_backing(ctx, slab, slab->place);
}

static void op_load(void *ctx, struct donor_slab *slab)
{
	note(ctx, "load %u;", nr(ctx, slab));
	submit_backing(ctx, slab, slab->place);
}

static void op_erase(void *ctx, uint32_t place)
{
	note(ctx, "erase;");
	submit_backing(ctx, NULL, place);
}

static int op_expose(void *ctx, struct donor_session *s, struct donor_slab *slab)
{
	struct sim_memory *memory = slab->memory;
	struct sim *sim = ctx;
	uint64_t serial = slab->grant / DONOR_SLABS_MAX;

	MUST(memory && !slab->exposed);
	if (sim->fail_expose)
		return -1;
	/* either nobody's, or what this grant wrote before it was parked */
	MUST(serial == sim->core.table.serial ? !memory->data || memory->data == slab->grant :
	     memory->data == slab->grant);
	memory->data = slab->grant;
	slab->exposed = s;
	sim->exposed++;
	slab->addr = 0x100000000 * (nr(sim, slab) + 1);
	slab->rkey = ++sim->rkey;
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
	.slab = { .prepare = op_prepare, .zero = op_zero, .release = op_release,
		  .store = op_store, .load = op_load, .erase = op_erase },
	.expose = op_expose, .hide = op_hide, .send = op_send, .fence = op_fence,
	.hangup = op_hangup, .ended = op_ended, .log = op_log,
};

void sim_init(struct sim *sim, uint64_t slabs, uint32_t places, const struct donor_keys *keys)
{
	const struct donor_limits limits = {
		.slab_bytes = SIM_SLAB, .quota = UINT64_MAX, .max_sessions = 8, .max_joined = 4,
		.credits = 16, .heartbeat_ms = 1000, .client_ms = 10000, .linger_ms = 5000,
		.proof_ms = 2000, .drain_ms = 3000,
	};

	memset(sim, 0, sizeof(*sim));
	sim->now = 1000000;
	MUST(!donor_core_init(&sim->core, &limits, SIM_SLABS * SIM_SLAB, places, &ops, sim));
	MUST(!donor_core_set_keys(&sim->core, keys));
	donor_core_set_memory(&sim->core, slabs * SIM_SLAB, sim->now);
	sim_work(sim);
}

void sim_exit(struct sim *sim)
{
	donor_core_shut(&sim->core, ANNEX_DONOR_R_DRAINING);
	sim_check(sim);
	MUST(!sim->core.table.nr[DONOR_SLAB_GRANTED] && !sim->core.nr_sessions);
	sim->hold = false;
	sim->fail_erase = false;
	sim_work(sim);
	/* nothing of anybody is left */
	MUST(sim->core.table.places.nr_free + sim->core.table.places.bad ==
	     sim->core.table.places.nr);
	MUST(!sim->core.table.nr[DONOR_SLAB_STORING] && !sim->core.table.nr[DONOR_SLAB_PARKED] &&
	     !sim->core.table.nr[DONOR_SLAB_LOADING] && TAILQ_EMPTY(&sim->core.news));
	donor_core_free(&sim->core);
}

static void check_slab(const struct sim *sim, const struct donor_slab *s)
{
	const struct sim_memory *memory = s->memory;
	bool parked = s->state == DONOR_SLAB_STORING || s->state == DONOR_SLAB_PARKED ||
		      s->state == DONOR_SLAB_LOADING;

	MUST(!s->owner == !s->grant);
	MUST(s->state != DONOR_SLAB_GRANTED || (s->owner && s->exposed));
	MUST(!s->owner || s->state == DONOR_SLAB_GRANTED || parked);
	MUST(s->state != DONOR_SLAB_PARKED || s->owner);
	MUST(!s->exposed || s->exposed == s->owner);
	MUST((s->state == DONOR_SLAB_EMPTY || s->state == DONOR_SLAB_PREPARING ||
	      s->state == DONOR_SLAB_PARKED) == !memory);
	MUST(s->state != DONOR_SLAB_READY || (!memory->data && !s->retire));
	MUST(s->state != DONOR_SLAB_GRANTED || memory->data == s->grant);
	MUST(s->state != DONOR_SLAB_PARKED || (sim->backing[s->place] == s->grant && !s->retire));
	MUST(!s->wanted || s->state == DONOR_SLAB_STORING || s->state == DONOR_SLAB_PARKED);
	MUST(!s->news || s->state == DONOR_SLAB_GRANTED);
	MUST(!parked || s->place < sim->core.table.places.nr);
}

static void check_session(const struct sim *sim, const struct donor_session *s)
{
	uint32_t held = 0, granted = 0, news = 0;

	for (uint32_t i = 0; i < sim->core.table.max; i++) {
		const struct donor_slab *slab = &sim->core.table.slab[i];

		if (slab->owner != s)
			continue;
		held++;
		granted += slab->state == DONOR_SLAB_GRANTED;
		news += slab->news;
	}
	MUST(held == s->held && s->parked == held - granted && s->news == news);
}

static void check_backing(const struct sim *sim)
{
	const struct donor_table *t = &sim->core.table;
	uint32_t placed = t->nr[DONOR_SLAB_STORING] + t->nr[DONOR_SLAB_PARKED] +
			  t->nr[DONOR_SLAB_LOADING], wanted = 0;
	const struct donor_slab *s;

	MUST(placed + t->places.erasing + t->places.bad + t->places.nr_free == t->places.nr);
	for (uint32_t i = 0; i < t->places.nr_free; i++)
		MUST(!sim->backing[t->places.free[i]]);
	for (uint32_t i = 0; i < t->max; i++)
		wanted += t->slab[i].wanted;
	MUST(wanted == t->nr_wanted);
	TAILQ_FOREACH(s, &t->wanted, link)
		MUST(s->wanted && s->state == DONOR_SLAB_PARKED);
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
		MUST(i >= t->low || s->state != DONOR_SLAB_EMPTY);
		check_slab(sim, s);
	}
	MUST(retiring == t->retiring);
	for (unsigned int i = 0; i < DONOR_SLAB_STATES; i++)
		MUST(count[i] == t->nr[i]);
	check_backing(sim);
	for (const struct donor_session *s = sim->core.sessions; s; s = s->next) {
		check_session(sim, s);
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
	do {	/* others may come first */
		g = sim_hear(sim, s, NULL);
		MUST(g);
	} while (annex_le16(g->head.type) != ANNEX_DONOR_GRANTS);
	MUST(g->head.request == htole32(77));
	n = annex_le32(g->count);
	for (uint32_t i = 0; i < n && ids; i++)
		ids[i] = annex_le64(g->grant[i].id);
	return n ? (int)n : -(int)annex_le32(g->head.status);
}

/* Say a list of grants; the answer, if there is one. */
static const struct annex_donor_list *say_list(struct sim *sim, struct donor_session *s,
					       unsigned int type, const uint64_t *ids, uint32_t n,
					       unsigned int answer)
{
	union {
		struct annex_donor_list m;
		uint8_t bytes[ANNEX_DONOR_MSG_MAX];
	} out = { 0 };
	const struct annex_donor_list *l;

	for (uint32_t i = 0; i < n; i++)
		out.m.id[i] = htole64(ids[i]);
	out.m.count = htole32(n);
	annex_donor_head(&out.m.head, type, sizeof(out.m) + 8 * n, htole32(78), 0);
	sim_say(sim, s, &out);
	while (answer) {	/* others may come first */
		l = sim_hear(sim, s, NULL);
		MUST(l);
		if (annex_le16(l->head.type) == answer) {
			MUST(l->head.request == htole32(78));
			return l;
		}
	}
	return NULL;
}

int sim_give(struct sim *sim, struct donor_session *s, const uint64_t *ids, uint32_t n)
{
	const struct annex_donor_list *l = say_list(sim, s, ANNEX_DONOR_GIVE_BACK, ids, n,
						    ANNEX_DONOR_TAKEN);

	return l->head.status ? -(int)annex_le32(l->head.status) : (int)annex_le32(l->count);
}

int sim_park(struct sim *sim, struct donor_session *s, const uint64_t *ids, uint32_t n)
{
	const struct annex_donor_list *l = say_list(sim, s, ANNEX_DONOR_PARK, ids, n,
						    ANNEX_DONOR_PARKED);

	return l->head.status ? -(int)annex_le32(l->head.status) : (int)annex_le32(l->count);
}

void sim_fetch(struct sim *sim, struct donor_session *s, const uint64_t *ids, uint32_t n)
{
	say_list(sim, s, ANNEX_DONOR_FETCH, ids, n, 0);
}
