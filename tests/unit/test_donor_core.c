// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The protocol of memory donors, both sides, without verbs: who is let in, who
 * gets what, in which order it is taken back, and what time does.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "donor_sim.h"

static unsigned int test_nr, failures;
static bool case_ok;
static struct donor_keys keys;
static struct sim sim;

#define CHECK(cond) do {							\
	if (!(cond)) {								\
		printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond);		\
		case_ok = false;						\
	}									\
} while (0)

#define KEY_FILE "a 00112233445566778899aabbccddeeff\n" \
		 "b 0102030405060708090a0b0c0d0e0f10 quota=4M\n" \
		 "c 1112131415161718191a1b1c1d1e1f20\n"

static struct donor_link link_of(const char *name)
{
	struct donor_link l;

	donor_link_init(&l, name ? &donor_keys_by_name(&keys, name)->secret : NULL,
			ANNEX_DONOR_FEATURES);
	return l;
}

static void grants(void)
{
	struct donor_link a = link_of("a"), b = link_of("b");
	struct donor_session *s = sim_open(&sim, &a), *t = sim_open(&sim, &b);
	uint64_t id[8], other[8];

	CHECK(s && t && a.state == DONOR_LINK_ACTIVE);
	CHECK(a.slab_bytes == SIM_SLAB && a.free_bytes == 8 * SIM_SLAB);
	CHECK(sim_request(&sim, s, 3, id) == 3);
	/* b may have two */
	CHECK(b.quota_bytes == 2 * SIM_SLAB);
	CHECK(sim_request(&sim, t, 3, other) == 2);
	CHECK(sim_request(&sim, t, 1, NULL) == -ANNEX_DONOR_QUOTA);
	/* what is another's, or was never there, stays */
	CHECK(sim_give(&sim, t, id, 1) == -ANNEX_DONOR_UNKNOWN);
	CHECK(s->held == 3);
	CHECK(sim_give(&sim, s, id, 2) == 2 && s->held == 1);
	CHECK(sim_give(&sim, s, id, 1) == -ANNEX_DONOR_UNKNOWN);
	CHECK(sim_request(&sim, s, 64, id) == 5);
	CHECK(sim_request(&sim, s, 1, NULL) == -ANNEX_DONOR_FULL);
	CHECK(sim.core.counters.grants == 10 && sim.core.counters.grants_refused == 2);
}

static void order_of_taking_back(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	uint64_t id[4];

	CHECK(sim_request(&sim, s, 2, id) == 2);
	sim.log[0] = '\0';
	CHECK(sim_give(&sim, s, id, 1) == 1);
	CHECK(!strcmp(sim.log, "hide 0;zero 0;"));
	sim.log[0] = '\0';
	donor_core_end(&sim.core, s, ANNEX_DONOR_R_NONE);
	CHECK(!strcmp(sim.log, "hangup;hide 1;zero 1;ended;"));
	sim_check(&sim);
}

static void zeroing_takes_time(void)
{
	struct donor_link a = link_of("a"), c = link_of("c");
	struct donor_session *s = sim_open(&sim, &a), *t;
	uint64_t id[8];

	CHECK(sim_request(&sim, s, 8, id) == 8);
	sim.lazy = true;
	donor_core_end(&sim.core, s, ANNEX_DONOR_R_NONE);
	t = sim_open(&sim, &c);
	CHECK(t && sim_request(&sim, t, 1, NULL) == -ANNEX_DONOR_FULL);
	sim_work(&sim);
	CHECK(sim.zeroed == 8 && sim_request(&sim, t, 8, NULL) == 8);
}

static void who_is_let_in(void)
{
	struct donor_link a = link_of("a"), none = link_of(NULL), fake = link_of("a");
	struct annex_donor_proof proof;
	struct annex_donor_hello h;
	struct donor_session *s;
	bool taken;

	fake.key.bytes[0] ^= 1;
	CHECK(sim_connect(&sim, &fake, ANNEX_DONOR_OPEN, 0, &s) == ANNEX_DONOR_R_KEY);
	CHECK(sim_connect(&sim, &none, ANNEX_DONOR_OPEN, 0, &s) == ANNEX_DONOR_R_AUTH);
	/* the right id and the wrong key: it must fail on both sides */
	donor_link_hello(&fake, ANNEX_DONOR_OPEN, 0, 0, &h);
	h.id = htole64(donor_auth_key_id(&a.key));
	CHECK(!sim_hello(&sim, &fake, &h, sizeof(h), &s, &taken) && !taken);
	donor_link_proof(&fake, &proof);
	sim_say(&sim, s, &proof);
	CHECK(!sim_alive(&sim, s) && sim.core.counters.auth_failures == 3);
	/* without a proof nothing is granted */
	CHECK(!sim_connect(&sim, &a, ANNEX_DONOR_OPEN, 0, &s));
	sim.log[0] = '\0';
	sim_say(&sim, s, &(struct annex_donor_request){
		{ htole16(ANNEX_DONOR_REQUEST), htole16(24), 0, 0, 0 }, htole32(1), 0 });
	CHECK(!sim_alive(&sim, s) && !sim.exposed && !strcmp(sim.log, "hangup;ended;"));
	/* with the option */
	sim.core.limits.noauth = true;
	donor_core_set_keys(&sim.core, &keys);
	CHECK(sim_open(&sim, &none));
}

static void hellos(void)
{
	struct donor_link a = link_of("a");
	struct annex_donor_hello good, h;
	struct donor_session *s;
	bool taken;

	donor_link_hello(&a, ANNEX_DONOR_OPEN, 0, 0, &good);
#define HELLO(len, reason, ...) do {						\
	h = good;								\
	__VA_ARGS__;								\
	CHECK(sim_hello(&sim, NULL, &h, len, &s, &taken) == ANNEX_DONOR_R_##reason); \
} while (0)
	HELLO(sizeof(h) - 1, GARBAGE);
	HELLO(0, GARBAGE);
	HELLO(sizeof(h), GARBAGE, h.magic ^= 1);
	HELLO(sizeof(h), GARBAGE, h.size = 0);
	HELLO(sizeof(h), GARBAGE, h.mac[15] = 1);
	HELLO(sizeof(h), VERSION, h.version_min = 2; h.version_max = 9);
	HELLO(sizeof(h), VERSION, h.version_min = 0; h.version_max = 0);
	HELLO(sizeof(h), GARBAGE, h.version_min = 2; h.version_max = 1);
	HELLO(sizeof(h), FLAGS, h.flags |= htole32(2));
	HELLO(sizeof(h), FLAGS, h.kind = 4);
	HELLO(sizeof(h), SESSION, h.kind = ANNEX_DONOR_JOIN; h.sequence = 1; h.replaces = 0;
	      h.pad = 0);
	HELLO(sizeof(h), GARBAGE, h.kind = ANNEX_DONOR_RESUME; h.sequence = 1; h.replaces = 5);
	HELLO(sizeof(h) + 140, NONE, h.version_max = 7; h.features |= htole32(1u << 30));
	CHECK(s && s->features == (ANNEX_DONOR_FEATURES & ~ANNEX_DONOR_FEAT_PARK));
#undef HELLO
	CHECK(sim.core.counters.connects_refused == 12);
}

static void as_many_as_allowed(void)
{
	struct donor_link l[9];
	struct donor_session *s;

	for (unsigned int i = 0; i < 9; i++) {
		l[i] = link_of("a");
		if (i < 8)
			CHECK(sim_open(&sim, &l[i]));
	}
	CHECK(sim_connect(&sim, &l[8], ANNEX_DONOR_OPEN, 0, &s) == ANNEX_DONOR_R_FULL);
	donor_core_end(&sim.core, sim.core.sessions, ANNEX_DONOR_R_NONE);
	CHECK(sim_open(&sim, &l[8]));
	donor_core_shut(&sim.core, 0);
	/* those who prove nothing do not take all places */
	sim.core.limits.max_sessions = 1000;
	for (unsigned int i = 0; i < DONOR_UNPROVEN_MAX; i++)
		CHECK(!sim_connect(&sim, &l[0], ANNEX_DONOR_OPEN, 0, &s));
	CHECK(sim_connect(&sim, &l[0], ANNEX_DONOR_OPEN, 0, &s) == ANNEX_DONOR_R_FULL);
	sim.now += 2000;
	donor_core_tick(&sim.core, sim.now);
	CHECK(sim.core.nr_sessions == 0 && sim_open(&sim, &l[0]));
}

static void join(void)
{
	struct donor_link a = link_of("a"), c = link_of("c"), thief;
	struct donor_session *s = sim_open(&sim, &a), *t = sim_open(&sim, &c), *got;
	struct annex_donor_hello h;
	bool taken;

	CHECK(!sim_connect(&sim, &a, ANNEX_DONOR_JOIN, 0, &got) && got == s && s->joined == 1);
	/* the old one is gone before the new one is there */
	sim.log[0] = '\0';
	CHECK(!sim_connect(&sim, &a, ANNEX_DONOR_JOIN, SIM_DONOR_QPN, &got));
	CHECK(!strncmp(sim.log, "fence 200;", 10));
	/* somebody with another key, or none */
	thief = c;
	thief.session = a.session;
	CHECK(sim_connect(&sim, &thief, ANNEX_DONOR_JOIN, 0, &got) == ANNEX_DONOR_R_AUTH);
	/* the same words again, or from another queue pair */
	donor_link_hello(&a, ANNEX_DONOR_JOIN, SIM_CLIENT_QPN, 0, &h);
	CHECK(!sim_hello(&sim, &a, &h, sizeof(h), &got, &taken) && taken);
	CHECK(sim_hello(&sim, NULL, &h, sizeof(h), &got, &taken) == ANNEX_DONOR_R_AUTH);
	donor_link_hello(&a, ANNEX_DONOR_JOIN, SIM_CLIENT_QPN + 1, 0, &h);
	CHECK(sim_hello(&sim, NULL, &h, sizeof(h), &got, &taken) == ANNEX_DONOR_R_AUTH);
	h.replaces = 5;
	CHECK(sim_hello(&sim, NULL, &h, sizeof(h), &got, &taken) == ANNEX_DONOR_R_AUTH);
	sim.device = 1;
	CHECK(sim_connect(&sim, &a, ANNEX_DONOR_JOIN, 0, &got) == ANNEX_DONOR_R_DEVICE);
	sim.device = 0;
	CHECK(t && sim_alive(&sim, t) && sim_alive(&sim, s));
}

static void resume(void)
{
	struct donor_link a = link_of("a"), thief = link_of("c");
	struct donor_session *s = sim_open(&sim, &a), *got;
	uint64_t id[4];

	CHECK(sim_request(&sim, s, 4, id) == 4);
	donor_link_broken(&a, sim.now);
	donor_core_lost(&sim.core, s, sim.now);
	CHECK(a.state == DONOR_LINK_BROKEN && s->state == DONOR_LINGER && s->held == 4);
	sim_open(&sim, &thief);
	thief.session = a.session;
	CHECK(sim_connect(&sim, &thief, ANNEX_DONOR_RESUME, 0, &got) == ANNEX_DONOR_R_AUTH);
	CHECK(sim_connect(&sim, &a, ANNEX_DONOR_JOIN, 0, &got) == ANNEX_DONOR_R_SESSION);
	a.state = DONOR_LINK_BROKEN;
	CHECK(!sim_connect(&sim, &a, ANNEX_DONOR_RESUME, 0, &got) && got == s);
	CHECK(a.state == DONOR_LINK_RESUMING && sim_hear(&sim, s, &a));
	CHECK(a.state == DONOR_LINK_ACTIVE && a.held_bytes == 4 * SIM_SLAB);
	/* the client saw it first: what stood is gone before the new one stands */
	sim.log[0] = '\0';
	CHECK(!sim_connect(&sim, &a, ANNEX_DONOR_RESUME, 0, &got));
	CHECK(!strncmp(sim.log, "hangup;", 7) && sim_hear(&sim, s, &a));
	CHECK(sim_give(&sim, s, id, 4) == 4);
	/* too late */
	donor_core_lost(&sim.core, s, sim.now);
	donor_link_broken(&a, sim.now);
	sim.now += 4999;
	donor_core_tick(&sim.core, sim.now);
	CHECK(sim_alive(&sim, s));
	sim.now += 1;
	donor_core_tick(&sim.core, sim.now);
	CHECK(!sim_alive(&sim, s) && sim.core.counters.sessions_expired == 1);
	CHECK(sim_connect(&sim, &a, ANNEX_DONOR_RESUME, 0, &got) == ANNEX_DONOR_R_SESSION);
	CHECK(a.state == DONOR_LINK_LOST);
}

/* What the client was not told, as after a connection that broke. */
static void list(void)
{
	struct donor_link a = link_of("a"), c = link_of("c");
	struct annex_donor_after q = { .after = 0 };
	const struct annex_donor_grants *g;
	struct donor_session *s, *t;
	uint64_t id[64];
	uint32_t n = 0, seen = 0;

	donor_core_set_memory(&sim.core, 200 * SIM_SLAB, sim.now);
	sim_work(&sim);
	s = sim_open(&sim, &a);
	t = sim_open(&sim, &c);
	for (unsigned int i = 0; i < 10; i++) {
		CHECK(sim_request(&sim, t, 3, NULL) == 3);
		CHECK(sim_request(&sim, s, 9, id) == 9);
	}
	CHECK(sim_give(&sim, s, id + 4, 1) == 1);
	do {
		annex_donor_head(&q.head, ANNEX_DONOR_LIST, sizeof(q), htole32(5), 0);
		sim_say(&sim, s, &q);
		g = sim_hear(&sim, s, &a);
		CHECK(g && g->head.request == htole32(5));
		n = g ? annex_le32(g->count) : 0;
		for (uint32_t i = 0; i < n; i++) {
			const struct donor_slab *slab;

			q.after = g->grant[i].id;
			slab = donor_slab_find(&sim.core.table, annex_le64(q.after), s);
			CHECK(slab && slab->rkey == annex_le32(g->grant[i].rkey) &&
			      slab->addr == annex_le64(g->grant[i].addr));
			CHECK(annex_le64(q.after) != id[4]);
		}
		seen += n;
	} while (n == ANNEX_DONOR_LIST_MAX);
	CHECK(seen == 89 && n == 25);
}

static void another_generation(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a), *got;
	struct annex_donor_hello h;
	bool taken;

	/* a donor that has come back, and even says that it knows the session */
	sim.core.generation++;
	donor_link_broken(&a, sim.now);
	donor_link_hello(&a, ANNEX_DONOR_RESUME, SIM_CLIENT_QPN, 0, &h);
	CHECK(!sim_hello(&sim, &a, &h, sizeof(h), &got, &taken));
	CHECK(!taken && a.state == DONOR_LINK_LOST && s == got);
}

static void shrink(void)
{
	struct donor_link a = link_of("a"), c = link_of("c");
	struct donor_session *s = sim_open(&sim, &a), *t = sim_open(&sim, &c);
	const struct annex_donor_revoke *r;
	uint64_t id[8], back[8];
	uint32_t n;

	CHECK(sim_request(&sim, s, 4, id) == 4 && sim_request(&sim, t, 2, back) == 2);
	/* what is free goes first */
	donor_core_set_memory(&sim.core, 6 * SIM_SLAB, sim.now);
	sim_work(&sim);
	CHECK(sim.released == 2 && !sim_hear(&sim, s, &a) && !sim_hear(&sim, t, &c));
	/* then each gives its part */
	donor_core_set_memory(&sim.core, 3 * SIM_SLAB, sim.now);
	r = sim_hear(&sim, s, &a);
	n = r ? annex_le32(r->count) : 0;
	CHECK(n == 2 && annex_le32(r->cause) == ANNEX_DONOR_C_SHRINK && !r->grace_ms);
	for (uint32_t i = 0; i < n; i++)
		back[i] = annex_le64(r->id[i]);
	r = sim_hear(&sim, t, &c);
	CHECK(r && annex_le32(r->count) == 1);
	CHECK(donor_table_size(&sim.core.table) == 3);
	sim.log[0] = '\0';
	CHECK(sim_give(&sim, s, back, 2) == 2);
	CHECK(strstr(sim.log, "release") && !strstr(sim.log, "zero"));
	/* it may keep the third after all */
	donor_core_set_memory(&sim.core, 8 * SIM_SLAB, sim.now);
	sim_work(&sim);
	CHECK(donor_table_size(&sim.core.table) == 8 && !sim.core.table.retiring);
	sim_check(&sim);
}

static void taken_by_force(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	const struct annex_donor_revoke *r;
	uint64_t id[8];

	sim.core.limits.revoke_ms = 500;
	CHECK(sim_request(&sim, s, 8, id) == 8);
	donor_core_set_memory(&sim.core, 5 * SIM_SLAB, sim.now);
	r = sim_hear(&sim, s, &a);
	CHECK(r && annex_le32(r->count) == 3 && annex_le32(r->grace_ms) == 500);
	sim.now += 499;
	CHECK(donor_core_tick(&sim.core, sim.now) == 1 && s->held == 8);
	sim.now += 1;
	sim.log[0] = '\0';
	donor_core_tick(&sim.core, sim.now);
	CHECK(s->held == 5 && sim.core.counters.revoked == 3);
	CHECK(!strcmp(sim.log, "hide 5;release 5;hide 6;release 6;hide 7;release 7;"));
	r = sim_hear(&sim, s, &a);
	CHECK(r && annex_le16(r->head.type) == ANNEX_DONOR_REVOKED && annex_le32(r->count) == 3);
	sim_work(&sim);
	sim_check(&sim);
}

/* What a client was asked for before it was away, and what it should have been meanwhile. */
static void asked_again(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a), *got;
	const struct annex_donor_revoke *r;
	uint64_t id[8];

	sim.core.limits.revoke_ms = 3000;
	CHECK(sim_request(&sim, s, 8, id) == 8);
	donor_core_set_memory(&sim.core, 6 * SIM_SLAB, sim.now);
	r = sim_hear(&sim, s, NULL);
	CHECK(r && annex_le32(r->count) == 2);
	donor_core_lost(&sim.core, s, sim.now);
	donor_link_broken(&a, sim.now);
	donor_core_set_memory(&sim.core, 5 * SIM_SLAB, sim.now);
	sim.now += 1000;
	CHECK(!sim_connect(&sim, &a, ANNEX_DONOR_RESUME, 0, &got) && got == s);
	CHECK(sim_hear(&sim, s, &a) && a.state == DONOR_LINK_ACTIVE);
	r = sim_hear(&sim, s, &a);
	CHECK(r && annex_le16(r->head.type) == ANNEX_DONOR_REVOKE && annex_le32(r->count) == 2 &&
	      annex_le32(r->grace_ms) == 2000);
	r = sim_hear(&sim, s, &a);
	CHECK(r && annex_le16(r->head.type) == ANNEX_DONOR_REVOKE && annex_le32(r->count) == 1 &&
	      annex_le32(r->grace_ms) == 3000);
	CHECK(!sim_hear(&sim, s, &a));
	CHECK(sim_give(&sim, s, id + 5, 3) == 3);
	sim_work(&sim);
	CHECK(donor_table_size(&sim.core.table) == 5 && !sim.core.table.retiring);
	sim_check(&sim);
}

static void drain(void)
{
	struct donor_link a = link_of("a"), c = link_of("c");
	struct donor_session *s = sim_open(&sim, &a), *got;
	const struct annex_donor_revoke *r;
	uint64_t id[8];

	CHECK(sim_request(&sim, s, 8, id) == 8);
	donor_core_drain(&sim.core, sim.now);
	r = sim_hear(&sim, s, &a);
	CHECK(r && annex_le32(r->count) == 8 && annex_le32(r->cause) == ANNEX_DONOR_C_DRAIN);
	CHECK(sim_request(&sim, s, 1, NULL) == -ANNEX_DONOR_DRAIN);
	CHECK(sim_connect(&sim, &c, ANNEX_DONOR_OPEN, 0, &got) == ANNEX_DONOR_R_DRAINING);
	CHECK(!donor_core_drained(&sim.core, sim.now));
	CHECK(donor_core_drained(&sim.core, sim.now + 3000));
	CHECK(sim_give(&sim, s, id, 8) == 8 && donor_core_drained(&sim.core, sim.now));
}

static void silence(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	struct annex_donor_msg m;
	const struct annex_donor_msg *ping;

	sim.now += 5000;
	donor_core_tick(&sim.core, sim.now);
	ping = sim_hear(&sim, s, NULL);
	CHECK(ping && annex_le16(ping->type) == ANNEX_DONOR_PING);
	donor_core_tick(&sim.core, sim.now);
	CHECK(!sim_hear(&sim, s, NULL));
	annex_donor_head(&m, ANNEX_DONOR_PONG, sizeof(m), 0, 0);
	sim_say(&sim, s, &m);
	sim.now += 9999;
	donor_core_tick(&sim.core, sim.now);
	CHECK(sim_alive(&sim, s));
	sim.now += 1;
	donor_core_tick(&sim.core, sim.now);
	CHECK(!sim_alive(&sim, s) && sim.core.counters.sessions_silent == 1);
}

static void unreachable_client(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	uint64_t id[4];

	CHECK(sim_request(&sim, s, 4, id) == 4);
	sim.fail_send = true;
	sim.now += 5000;
	donor_core_tick(&sim.core, sim.now);	/* a ping that cannot be sent */
	donor_core_tick(&sim.core, sim.now + 1);
	CHECK(s->state == DONOR_LINGER && s->held == 4);
}

static void keys_change(void)
{
	struct donor_link a = link_of("a"), b = link_of("b");
	struct donor_session *s = sim_open(&sim, &a), *t = sim_open(&sim, &b), *got;
	struct donor_keys less;
	struct ax_msg msg;

	CHECK(sim_request(&sim, s, 1, NULL) == 1 && sim_request(&sim, t, 1, NULL) == 1);
	CHECK(!donor_keys_parse(KEY_FILE + 35, 44, &less, &msg) && less.nr == 1);
	less.key[0].quota = SIM_SLAB;
	CHECK(!donor_core_set_keys(&sim.core, &less));
	CHECK(!sim_alive(&sim, s) && sim_alive(&sim, t));
	CHECK(sim_request(&sim, t, 1, NULL) == -ANNEX_DONOR_QUOTA);
	CHECK(sim_connect(&sim, &a, ANNEX_DONOR_OPEN, 0, &got) == ANNEX_DONOR_R_KEY);
	donor_keys_free(&less);
}

static void quota_shrinks(void)
{
	struct donor_link a = link_of("a"), second = link_of("a");
	struct donor_session *s = sim_open(&sim, &a), *t = sim_open(&sim, &second);
	const struct annex_donor_revoke *r;
	uint64_t id[8];

	CHECK(sim_request(&sim, s, 2, id) == 2 && sim_request(&sim, t, 3, id) == 3);
	s->client->quota = 3 * SIM_SLAB;
	donor_core_enforce_quotas(&sim.core, sim.now);
	r = sim_hear(&sim, t, NULL);
	CHECK(r && annex_le32(r->count) == 2 && annex_le32(r->cause) == ANNEX_DONOR_C_QUOTA);
	id[0] = r ? annex_le64(r->id[0]) : 0;
	CHECK(!sim_hear(&sim, s, NULL));	/* both together had two too many */
	donor_core_enforce_quotas(&sim.core, sim.now);
	CHECK(!sim_hear(&sim, t, NULL) && !sim_hear(&sim, s, NULL));
	/* it goes back to the others */
	CHECK(sim_give(&sim, t, id, 1) == 1 && sim.core.table.nr[DONOR_SLAB_READY] == 4);
	CHECK(sim_request(&sim, t, 1, NULL) == -ANNEX_DONOR_QUOTA);
}

static void no_registration(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);

	sim.fail_expose = true;
	CHECK(sim_request(&sim, s, 2, NULL) == -ANNEX_DONOR_FAILED);
	CHECK(sim.core.table.nr[DONOR_SLAB_READY] == 8 && !s->held);
	sim.fail_expose = false;
	CHECK(sim_request(&sim, s, 2, NULL) == 2);
}

static void no_memory(void)
{
	sim.fail_prepare = true;
	donor_core_set_memory(&sim.core, 20 * SIM_SLAB, sim.now);
	sim_work(&sim);
	CHECK(donor_table_size(&sim.core.table) == 8);
	sim.fail_prepare = false;
	donor_core_set_memory(&sim.core, 20 * SIM_SLAB, sim.now);
	sim_work(&sim);
	CHECK(donor_table_size(&sim.core.table) == 20);
	donor_core_set_memory(&sim.core, UINT64_MAX, sim.now);
	sim_work(&sim);
	CHECK(donor_table_size(&sim.core.table) == SIM_SLABS);
	sim_check(&sim);
}

static void suspect(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	struct annex_donor_msg m;
	uint64_t garbage[4] = { 1, 2, 3, 4 };

	CHECK(donor_link_may_request(&a) && !donor_link_tick(&a, sim.now));
	CHECK(donor_link_tick(&a, sim.now + 1000));
	CHECK(!donor_link_tick(&a, sim.now + 1500));
	CHECK(donor_link_tick(&a, sim.now + 3001));
	CHECK(a.state == DONOR_LINK_SUSPECT && !donor_link_may_request(&a));
	annex_donor_head(&m, ANNEX_DONOR_PING, sizeof(m), 0, 0);
	sim_say(&sim, s, &m);
	sim.now += 4000;
	CHECK(sim_hear(&sim, s, &a) && a.state == DONOR_LINK_ACTIVE);
	CHECK(!donor_link_message(&a, garbage, sizeof(garbage), sim.now));
	/* a donor does not send what clients do */
	annex_donor_head(&m, ANNEX_DONOR_BYE, sizeof(m), 0, 0);
	CHECK(!donor_link_message(&a, &m, sizeof(m), sim.now));
	annex_donor_head(&m, ANNEX_DONOR_GOODBYE, sizeof(m), 0, ANNEX_DONOR_R_SILENT);
	CHECK(donor_link_message(&a, &m, sizeof(m), sim.now));
	CHECK(a.state == DONOR_LINK_LOST && a.reason == ANNEX_DONOR_R_SILENT);
}

static void replay_window(void)
{
	struct donor_replay r = { 0 };

	CHECK(!donor_replay_take(&r, 0) && donor_replay_take(&r, 3) && !donor_replay_take(&r, 3));
	CHECK(donor_replay_take(&r, 1) && donor_replay_take(&r, 2) && !donor_replay_take(&r, 1));
	CHECK(donor_replay_take(&r, 66) && !donor_replay_take(&r, 3) && donor_replay_take(&r, 4));
	CHECK(!donor_replay_take(&r, 2));
	CHECK(donor_replay_take(&r, UINT64_MAX) && !donor_replay_take(&r, UINT64_MAX));
	CHECK(donor_replay_take(&r, UINT64_MAX - 63) && !donor_replay_take(&r, UINT64_MAX - 64));
}

/* --- anything in any order ------------------------------------------------------ */

static uint64_t seed = 88172645463325252;

static uint32_t below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % n;
}

struct player {
	struct donor_link link;
	struct donor_session *s;
	uint64_t session;	/* its id: a later one may lie at the same address */
	uint64_t id[64];
	uint32_t n;
};

static void play(struct player *p, const char *name)
{
	struct donor_session *got;
	uint32_t n;
	int ret;

	if (p->s && (!sim_alive(&sim, p->s) || p->s->id != p->session))
		p->s = NULL;
	if (!p->s) {
		p->link = link_of(name);
		p->s = sim_open(&sim, &p->link);
		p->session = p->link.session;
		p->n = 0;
		return;
	}
	while (sim_hear(&sim, p->s, &p->link))
		;
	if (p->s->state == DONOR_LINGER && below(3)) {
		ret = sim_connect(&sim, &p->link, ANNEX_DONOR_RESUME, 0, &got);
		CHECK(!ret && got == p->s);
		return;
	}
	if (p->s->state != DONOR_ACTIVE)
		return;
	switch (below(8)) {
	case 0:
		donor_core_lost(&sim.core, p->s, sim.now);
		donor_link_broken(&p->link, sim.now);
		return;
	case 1:
		sim_connect(&sim, &p->link, ANNEX_DONOR_JOIN, below(2) ? SIM_DONOR_QPN : 0, &got);
		return;
	case 2:
	case 3:
		n = 1 + below(8);
		if (p->n + n > 64)
			return;
		ret = sim_request(&sim, p->s, n, p->id + p->n);
		p->n += ret > 0 ? ret : 0;
		return;
	case 4:
	case 5:
		n = p->n ? 1 + below(p->n) : 0;
		if (n) {
			sim_give(&sim, p->s, p->id + p->n - n, n);
			p->n -= n;
		}
		return;
	case 6:
		if (!below(5))
			donor_core_end(&sim.core, p->s, below(3));
		return;
	}
}

static void anything(void)
{
	static const char *const names[] = { "a", "b", "c", "a" };
	struct player p[4];

	memset(p, 0, sizeof(p));
	sim.core.limits.revoke_ms = 300;
	for (unsigned int i = 0; i < 60000 && case_ok; i++) {
		sim.lazy = below(2);
		sim.fail_expose = !below(20);
		sim.fail_prepare = !below(20);
		play(&p[below(4)], names[below(4)]);
		if (!below(10))
			donor_core_set_memory(&sim.core, below(40) * SIM_SLAB, sim.now);
		if (!below(4))
			sim_work(&sim);
		sim.now += below(200);
		donor_core_tick(&sim.core, sim.now);
		sim_check(&sim);
	}
	/* it did something */
	CHECK(sim.core.counters.grants > 1000 && sim.core.counters.revoked > 100 &&
	      sim.core.counters.sessions_resumed > 100 && sim.zeroed > 1000 && sim.released > 100);
}

static void run(const char *name, void (*test)(void))
{
	case_ok = true;
	sim_init(&sim, 8, 0, &keys);
	test();
	sim_exit(&sim);
	test_nr++;
	if (!case_ok)
		printf("not ");
	printf("ok %u - %s\n", test_nr, name);
	failures += !case_ok;
}

int main(void)
{
	struct ax_msg msg;

	if (donor_keys_parse(KEY_FILE, strlen(KEY_FILE), &keys, &msg)) {
		printf("Bail out! %s\n", msg.text);
		return 1;
	}
	printf("KTAP version 1\n1..23\n");
	run("grants, quota, whose they are", grants);
	run("connections, then registrations, then zeroing", order_of_taking_back);
	run("what is being zeroed is not granted", zeroing_takes_time);
	run("keys: unknown, wrong, none", who_is_let_in);
	run("connects that are none", hellos);
	run("as many clients as allowed", as_many_as_allowed);
	run("join: only the session's own client, each word once", join);
	run("resume: the same grants, or lost", resume);
	run("what a client holds can be asked for", list);
	run("a donor of another generation is not believed", another_generation);
	run("shrinking asks each for its part", shrink);
	run("overdue grants are deregistered, then released", taken_by_force);
	run("a client that was away is asked again", asked_again);
	run("draining", drain);
	run("a silent client", silence);
	run("a client that cannot be reached is kept for a while", unreachable_client);
	run("keys and quotas change", keys_change);
	run("a quota that becomes smaller", quota_shrinks);
	run("memory that cannot be registered", no_registration);
	run("memory that cannot be had", no_memory);
	run("the client: a suspect donor, nonsense, goodbye", suspect);
	run("sequence numbers", replay_window);
	run("anything in any order", anything);
	donor_keys_free(&keys);
	return failures ? 1 : 0;
}
