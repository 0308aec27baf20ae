// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A donor with a backing, without verbs and disks: what is parked and fetched,
 * what becomes of it when its client goes or the backing fails, who is asked to
 * park, and that nobody ever sees what another has written.
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

#define NR(state) (sim.core.table.nr[DONOR_SLAB_##state])
#define FREE_PLACES (sim.core.table.places.nr_free)

static struct donor_link link_with(const char *name, uint32_t features)
{
	struct donor_link l;

	donor_link_init(&l, &donor_keys_by_name(&keys, name)->secret, features);
	return l;
}

static struct donor_link link_of(const char *name)
{
	return link_with(name, ANNEX_DONOR_FEATURES);
}

static void tick(uint32_t ms)
{
	sim.now += ms;
	for (unsigned int i = 0; i < 3; i++) {
		donor_core_tick(&sim.core, sim.now);
		sim_work(&sim);
	}
	sim_check(&sim);
}

/* The next message of that type; others are dropped. */
static const void *hear(struct donor_session *s, unsigned int type)
{
	const struct annex_donor_msg *m;

	while ((m = sim_hear(&sim, s, NULL))) {
		if (annex_le16(m->type) == type)
			return m;
	}
	return NULL;
}

static bool heard_fetched(struct donor_session *s, uint64_t id)
{
	const struct annex_donor_grants *g = hear(s, ANNEX_DONOR_FETCHED);

	return g && annex_le32(g->count) == 1 && annex_le64(g->grant[0].id) == id;
}

/* What the donor lists of @s: how many, and how many of them are parked. */
static uint32_t listed(struct donor_session *s, uint32_t *parked)
{
	struct annex_donor_after q = { .after = 0 };
	const struct annex_donor_grants *g;
	uint32_t n;

	annex_donor_head(&q.head, ANNEX_DONOR_LIST, sizeof(q), 0, 0);
	sim_say(&sim, s, &q);
	g = hear(s, ANNEX_DONOR_GRANTS);
	n = g ? annex_le32(g->count) : 0;
	*parked = 0;
	for (uint32_t i = 0; i < n; i++)
		*parked += annex_le32(g->grant[i].flags) == ANNEX_DONOR_G_PARKED;
	return n;
}

static void park_and_fetch(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	const struct annex_donor_grants *g;
	const struct donor_slab *slab;
	uint64_t id[4], addr;
	uint32_t rkey, parked;

	CHECK(a.features & ANNEX_DONOR_FEAT_PARK);
	CHECK(sim_request(&sim, s, 4, id) == 4);
	slab = donor_slab_find(&sim.core.table, id[1], s);
	addr = slab->addr;
	rkey = slab->rkey;
	sim.log[0] = '\0';
	sim.hold = true;
	CHECK(sim_park(&sim, s, id, 2) == 2);
	CHECK(!strcmp(sim.log, "hide 0;store 0;hide 1;store 1;"));
	CHECK(s->held == 4 && s->parked == 2 && NR(STORING) == 2);
	CHECK(listed(s, &parked) == 4 && parked == 2);
	/* written: their memory is another's, and zero first */
	sim.hold = false;
	sim_work(&sim);
	CHECK(NR(PARKED) == 2 && NR(READY) == 6 && donor_table_size(&sim.core.table) == 8);
	CHECK(sim.zeroed == 2 && listed(s, &parked) == 4 && parked == 2);
	CHECK(!hear(s, ANNEX_DONOR_FETCHED) && FREE_PLACES == 2);
	sim.log[0] = '\0';
	sim_fetch(&sim, s, id + 1, 1);
	tick(0);
	g = hear(s, ANNEX_DONOR_FETCHED);
	CHECK(!strcmp(sim.log, "load 1;erase;"));
	CHECK(g && annex_le32(g->count) == 1 && annex_le64(g->grant[0].id) == id[1]);
	CHECK(g && annex_le64(g->grant[0].addr) == addr && annex_le32(g->grant[0].rkey) != rkey);
	CHECK(slab->state == DONOR_SLAB_GRANTED && s->parked == 1 && FREE_PLACES == 3);
	CHECK(sim.core.counters.parked == 2 && sim.core.counters.fetched == 1);
	/* once more does no harm, and says it once more */
	sim_fetch(&sim, s, id + 1, 1);
	CHECK(heard_fetched(s, id[1]) && !sim_hear(&sim, s, NULL));
}

static void wrong_orders(void)
{
	struct donor_link a = link_of("a"), c = link_of("c");
	struct donor_session *s = sim_open(&sim, &a), *t = sim_open(&sim, &c);
	uint64_t id[4], twice[2];

	CHECK(sim_request(&sim, s, 3, id) == 3);
	/* another's, nobody's, parked already, twice in one list */
	CHECK(sim_park(&sim, t, id, 1) == -ANNEX_DONOR_UNKNOWN);
	sim_fetch(&sim, t, id, 1);
	CHECK(!sim_hear(&sim, t, NULL));
	id[3] = 12345;
	CHECK(sim_park(&sim, s, id + 3, 1) == -ANNEX_DONOR_UNKNOWN && s->parked == 0);
	CHECK(sim_park(&sim, s, id, 1) == 1);
	CHECK(sim_park(&sim, s, id, 1) == -ANNEX_DONOR_UNKNOWN && s->parked == 1);
	twice[0] = id[1];
	twice[1] = id[1];
	CHECK(sim_park(&sim, s, twice, 2) == -ANNEX_DONOR_UNKNOWN && s->parked == 2);
	/* while it is being read, and asked for twice */
	sim.hold = true;
	sim_fetch(&sim, s, id, 1);
	CHECK(NR(LOADING) == 1);
	CHECK(sim_park(&sim, s, id, 1) == -ANNEX_DONOR_UNKNOWN);
	sim_fetch(&sim, s, id, 1);
	sim.hold = false;
	sim_work(&sim);
	tick(0);
	CHECK(heard_fetched(s, id[0]) && !sim_hear(&sim, s, NULL));
	CHECK(sim.loaded == 1 && sim_alive(&sim, s) && sim_alive(&sim, t));
}

/* The words of parking are out of place where it was not agreed on. */
static void not_agreed(void)
{
	struct donor_link a = link_with("a", ANNEX_DONOR_FEATURES & ~ANNEX_DONOR_FEAT_PARK);
	struct annex_donor_cool cool = { .slabs = htole32(1) };
	const struct annex_donor_msg *m;
	struct donor_session *s = sim_open(&sim, &a);
	uint64_t id[8];

	CHECK(!(s->features & ANNEX_DONOR_FEAT_PARK));
	annex_donor_head(&cool.head, ANNEX_DONOR_COOL, sizeof(cool), 0, 0);
	CHECK(!donor_link_message(&a, &cool, sizeof(cool), sim.now));
	CHECK(sim_request(&sim, s, 8, id) == 8);
	tick(2000);
	m = sim_hear(&sim, s, NULL);
	CHECK(!m);	/* nor is it asked to */
	sim_fetch(&sim, s, id, 1);
	CHECK(!sim_alive(&sim, s) && sim.core.counters.protocol_errors == 1);
}

static void no_room(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	uint64_t id[8];

	CHECK(sim_request(&sim, s, 6, id) == 6);
	sim.hold = true;
	CHECK(sim_park(&sim, s, id, 6) == -ANNEX_DONOR_FULL && s->parked == 4);
	sim.hold = false;
	sim_work(&sim);
	/* a place is not free before it is erased */
	sim_fetch(&sim, s, id, 1);
	CHECK(FREE_PLACES == 1);
	sim.fail_erase = true;
	sim_fetch(&sim, s, id + 1, 1);
	sim.fail_erase = false;
	CHECK(FREE_PLACES == 1 && sim.core.table.places.bad == 1 &&
	      sim.core.counters.erase_errors == 1);
	CHECK(sim_park(&sim, s, id, 2) == -ANNEX_DONOR_FULL && s->parked == 3);
}

/* While it is written: it need not be read then. */
static void fetch_while_storing(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	uint64_t id[2];

	CHECK(sim_request(&sim, s, 2, id) == 2);
	sim.hold = true;
	CHECK(sim_park(&sim, s, id, 1) == 1);
	sim_fetch(&sim, s, id, 1);
	CHECK(!hear(s, ANNEX_DONOR_FETCHED) && NR(STORING) == 1);
	sim.hold = false;
	sim_work(&sim);
	tick(0);
	CHECK(heard_fetched(s, id[0]) && !sim.loaded && s->parked == 0 && FREE_PLACES == 4);
}

/* More granted than there is memory; who waits for memory gets it in order. */
static void more_than_memory(void)
{
	struct donor_link a = link_of("a"), c = link_of("c");
	struct donor_session *s = sim_open(&sim, &a), *t = sim_open(&sim, &c);
	uint64_t id[8], other[8];

	CHECK(sim_request(&sim, s, 8, id) == 8);
	CHECK(hear(s, ANNEX_DONOR_COOL));
	CHECK(sim_request(&sim, t, 1, NULL) == -ANNEX_DONOR_FULL);
	CHECK(sim_park(&sim, s, id, 4) == 4);
	/* one stays for who fetches */
	CHECK(NR(READY) == 4 && donor_core_free_slabs(&sim.core) == 3);
	CHECK(sim_request(&sim, t, 8, other) == 3);
	CHECK(s->held + t->held == 11 && donor_table_size(&sim.core.table) == 8);
	sim_fetch(&sim, s, id, 3);
	tick(0);
	CHECK(heard_fetched(s, id[0]) && sim.core.table.nr_wanted == 2 && NR(READY) == 0);
	/* memory that comes back goes to them, not to who asks for new slabs */
	sim.lazy = true;
	CHECK(sim_give(&sim, t, other, 1) == 1);
	CHECK(sim_request(&sim, t, 1, NULL) == -ANNEX_DONOR_FULL);
	sim_work(&sim);
	CHECK(sim_request(&sim, t, 1, NULL) == -ANNEX_DONOR_FULL);
	tick(0);
	CHECK(heard_fetched(s, id[1]));
	/* the other makes room by parking */
	CHECK(sim_park(&sim, t, other + 1, 1) == 1);
	tick(0);
	CHECK(heard_fetched(s, id[2]) && s->parked == 1 && t->parked == 1);
	sim.lazy = false;
	/* round and round: one out, the other in */
	for (unsigned int i = 0; i < 200; i++) {
		CHECK(sim_park(&sim, s, id + i % 4, 1) == 1);
		sim_fetch(&sim, s, id + (i + 3) % 4, 1);
		tick(10);
		CHECK(heard_fetched(s, id[(i + 3) % 4]));
	}
	CHECK(sim.stored > 200);
}

/* In each of its states a slab is given back, and its session ends. */
static void given_up(void)
{
	static const enum donor_slab_state states[] = {
		DONOR_SLAB_STORING, DONOR_SLAB_PARKED, DONOR_SLAB_LOADING, DONOR_SLAB_STORING,
	};
	struct donor_link a, c = link_of("c");
	struct donor_session *s, *t = sim_open(&sim, &c);
	uint64_t id[4], other[8];

	for (unsigned int i = 0; i < 16; i++) {
		enum donor_slab_state state = states[i % 4];
		bool end = i & 4, wanted = i & 8;

		a = link_of("a");
		s = sim_open(&sim, &a);
		CHECK(s && sim_request(&sim, s, 2, id) == 2);
		/* where it is to wait for memory there is none */
		CHECK(sim_request(&sim, t, 5, other) == 5);
		sim.hold = state == DONOR_SLAB_STORING;
		CHECK(sim_park(&sim, s, id, 1) == 1);
		sim.hold = true;
		if (state == DONOR_SLAB_LOADING || wanted)
			sim_fetch(&sim, s, id, 1);
		CHECK(sim.core.table.nr[state] == 1 ||
		      (state == DONOR_SLAB_PARKED && wanted && NR(LOADING) == 1));
		if (end)
			donor_core_end(&sim.core, s, ANNEX_DONOR_R_NONE);
		else
			CHECK(sim_give(&sim, s, id, 2) == 2 && s->held == 0 && !s->parked);
		sim_check(&sim);
		CHECK(FREE_PLACES == 3);
		sim.hold = false;
		sim_work(&sim);
		CHECK(FREE_PLACES == 4 && !sim.core.table.nr_wanted);
		CHECK(sim_give(&sim, t, other, 5) == 5);
		if (!end) {
			CHECK(!hear(s, ANNEX_DONOR_FETCHED));
			donor_core_end(&sim.core, s, ANNEX_DONOR_R_NONE);
		}
		sim_work(&sim);
		CHECK(NR(READY) == 8 && !NR(PARKED));
	}
}

static void waiting_is_given_up(void)
{
	struct donor_link a = link_of("a"), c = link_of("c");
	struct donor_session *s = sim_open(&sim, &a), *t = sim_open(&sim, &c);
	uint64_t id[8], other[8];

	CHECK(sim_request(&sim, s, 8, id) == 8 && sim_park(&sim, s, id, 4) == 4);
	CHECK(sim_request(&sim, t, 3, other) == 3);
	sim_fetch(&sim, s, id, 4);
	CHECK(sim.core.table.nr_wanted == 3 && NR(PARKED) == 3);
	CHECK(sim_give(&sim, s, id + 2, 1) == 1);
	CHECK(sim.core.table.nr_wanted == 2 && NR(PARKED) == 2);
	CHECK(sim_give(&sim, t, other, 3) == 3);
	tick(0);
	CHECK(NR(PARKED) == 0 && s->held == 7 && !s->parked);
}

static void store_fails(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	uint64_t id[8];

	CHECK(sim_request(&sim, s, 8, id) == 8);
	sim.hold = true;
	CHECK(sim_park(&sim, s, id, 1) == 1);
	sim.hold = false;
	sim.fail_store = true;
	sim_work(&sim);
	tick(0);
	/* it comes back unasked, and nothing is parked for a while, nor asked for */
	CHECK(heard_fetched(s, id[0]) && s->parked == 0 && FREE_PLACES == 4);
	CHECK(sim.core.counters.store_errors == 1);
	sim.fail_store = false;
	CHECK(sim_park(&sim, s, id, 1) == -ANNEX_DONOR_FULL);
	for (unsigned int i = 0; i < 9; i++) {
		struct annex_donor_msg m;

		annex_donor_head(&m, ANNEX_DONOR_PONG, sizeof(m), 0, 0);
		sim_say(&sim, s, &m);
		tick(3000);
		CHECK(!hear(s, ANNEX_DONOR_COOL));
	}
	tick(3000);
	CHECK(hear(s, ANNEX_DONOR_COOL) && sim_park(&sim, s, id, 1) == 1);
	CHECK(NR(PARKED) == 1);
}

static void load_fails(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	const struct annex_donor_revoke *r;
	uint64_t id[8];
	uint32_t parked;

	CHECK(sim_request(&sim, s, 4, id) == 4 && sim_park(&sim, s, id, 3) == 3);
	sim.fail_load = true;
	sim_fetch(&sim, s, id, 2);
	tick(0);
	r = hear(s, ANNEX_DONOR_REVOKED);
	CHECK(r && annex_le32(r->count) == 2 && annex_le32(r->cause) == ANNEX_DONOR_C_LOST &&
	      annex_le64(r->id[0]) == id[0]);
	/* these and no others */
	CHECK(s->held == 2 && listed(s, &parked) == 2 && parked == 1);
	CHECK(sim.core.counters.load_errors == 2 && sim.core.counters.revoked == 2);
	sim.fail_load = false;
	sim_fetch(&sim, s, id + 2, 1);
	tick(0);
	CHECK(heard_fetched(s, id[2]) && FREE_PLACES == 4);
	CHECK(sim_give(&sim, s, id, 1) == -ANNEX_DONOR_UNKNOWN);
}

/* There it is, and the device does not register it. */
static void no_registration(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	const struct annex_donor_revoke *r;
	uint64_t id[2];

	CHECK(sim_request(&sim, s, 2, id) == 2 && sim_park(&sim, s, id, 2) == 2);
	sim.fail_expose = true;
	sim_fetch(&sim, s, id, 1);
	tick(0);
	r = hear(s, ANNEX_DONOR_REVOKED);
	CHECK(r && annex_le32(r->count) == 1 && annex_le32(r->cause) == ANNEX_DONOR_C_LOST);
	CHECK(s->held == 1 && sim.core.counters.register_failures == 1);
}

/* The client is away when it is done: the list says it. */
static void resume(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a), *got;
	uint64_t id[4];
	uint32_t parked;

	CHECK(sim_request(&sim, s, 4, id) == 4);
	CHECK(sim_park(&sim, s, id, 1) == 1);
	sim.hold = true;
	CHECK(sim_park(&sim, s, id + 1, 2) == 2);
	sim_fetch(&sim, s, id, 1);
	donor_core_lost(&sim.core, s, sim.now);
	donor_link_broken(&a, sim.now);
	sim.hold = false;
	sim_work(&sim);
	tick(100);
	CHECK(s->state == DONOR_LINGER && s->parked == 2 && sim_alive(&sim, s));
	CHECK(!sim_connect(&sim, &a, ANNEX_DONOR_RESUME, 0, &got) && got == s);
	tick(0);
	CHECK(sim_hear(&sim, s, &a) && !hear(s, ANNEX_DONOR_FETCHED));
	CHECK(listed(s, &parked) == 4 && parked == 2);
	sim_fetch(&sim, s, id, 3);
	tick(0);
	CHECK(hear(s, ANNEX_DONOR_FETCHED) && listed(s, &parked) == 4 && parked == 0);
	/* it does not return: nothing of it stays */
	CHECK(sim_park(&sim, s, id, 2) == 2);
	donor_core_lost(&sim.core, s, sim.now);
	tick(6000);
	CHECK(!sim_alive(&sim, s) && FREE_PLACES == 4 && NR(READY) == 8);
}

/* A client that reads nothing for a while hears it later, once. */
static void slow_listener(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	const struct annex_donor_grants *g;
	uint64_t id[4];

	CHECK(sim_request(&sim, s, 4, id) == 4 && sim_park(&sim, s, id, 4) == 4);
	sim.fail_send = true;
	sim_fetch(&sim, s, id, 4);
	CHECK(donor_core_tick(&sim.core, sim.now) == 10 && s->parked == 0 && !s->deadline);
	/* what it does meanwhile counts */
	sim.fail_send = false;
	CHECK(sim_give(&sim, s, id, 1) == 1);
	tick(10);
	g = hear(s, ANNEX_DONOR_FETCHED);
	CHECK(g && annex_le32(g->count) == 3 && !hear(s, ANNEX_DONOR_FETCHED));
}

static void quota(void)
{
	struct donor_link b = link_of("b");
	struct donor_session *s = sim_open(&sim, &b);
	const struct annex_donor_revoke *r;
	uint64_t id[2];

	/* what is parked counts */
	CHECK(sim_request(&sim, s, 2, id) == 2 && sim_park(&sim, s, id, 2) == 2);
	CHECK(sim_request(&sim, s, 1, NULL) == -ANNEX_DONOR_QUOTA);
	s->client->quota = SIM_SLAB;
	sim.core.limits.revoke_ms = 500;
	donor_core_enforce_quotas(&sim.core, sim.now);
	r = hear(s, ANNEX_DONOR_REVOKE);
	CHECK(r && annex_le32(r->count) == 1 && annex_le32(r->cause) == ANNEX_DONOR_C_QUOTA);
	tick(500);
	CHECK(s->held == 1 && s->parked == 1 && FREE_PLACES == 3);
	r = hear(s, ANNEX_DONOR_REVOKED);
	CHECK(r && annex_le32(r->cause) == ANNEX_DONOR_C_QUOTA);
}

/* Each is asked for its part, once a second, not for more than the backing takes. */
static void cool(void)
{
	struct donor_link a = link_of("a"), c = link_of("c");
	struct donor_session *s = sim_open(&sim, &a), *t = sim_open(&sim, &c);
	const struct annex_donor_cool *m;
	uint64_t id[8];

	sim.core.limits.keep_free = 3 * SIM_SLAB;
	CHECK(sim_request(&sim, s, 6, id) == 6);
	m = hear(s, ANNEX_DONOR_COOL);
	CHECK(m && annex_le32(m->slabs) == 1);
	tick(999);
	CHECK(!hear(s, ANNEX_DONOR_COOL));
	tick(1);
	m = hear(s, ANNEX_DONOR_COOL);
	CHECK(m && annex_le32(m->slabs) == 1);
	CHECK(sim_request(&sim, t, 2, NULL) == 2);
	m = hear(t, ANNEX_DONOR_COOL);
	CHECK(m && annex_le32(m->slabs) == 1 && !hear(s, ANNEX_DONOR_COOL));
	tick(1000);
	m = hear(s, ANNEX_DONOR_COOL);
	CHECK(m && annex_le32(m->slabs) == 2);
	m = hear(t, ANNEX_DONOR_COOL);
	CHECK(m && annex_le32(m->slabs) == 1);
	/* what is on its way counts; one more for who fetches */
	sim.hold = true;
	CHECK(sim_park(&sim, s, id, 2) == 2);
	tick(1000);
	m = hear(s, ANNEX_DONOR_COOL);
	CHECK(m && annex_le32(m->slabs) == 1);
	m = hear(t, ANNEX_DONOR_COOL);
	CHECK(m && annex_le32(m->slabs) == 1);
	CHECK(sim_park(&sim, s, id + 2, 2) == 2);
	sim.hold = false;
	sim_work(&sim);
	tick(1000);
	CHECK(!hear(s, ANNEX_DONOR_COOL) && !hear(t, ANNEX_DONOR_COOL));
	CHECK(donor_core_free_slabs(&sim.core) == 3);
	/* the backing is full: there is no use in asking */
	CHECK(sim_request(&sim, t, 3, NULL) == 3);
	tick(1000);
	CHECK(!hear(s, ANNEX_DONOR_COOL) && !hear(t, ANNEX_DONOR_COOL));
}

static void shrink(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	const struct annex_donor_cool *m;
	const struct annex_donor_revoke *r;
	uint64_t id[8];

	CHECK(sim_request(&sim, s, 8, id) == 8);
	tick(1000);
	while (sim_hear(&sim, s, NULL))
		;
	/* three can go to the backing, and one for who asks: nothing is revoked */
	donor_core_set_memory(&sim.core, 5 * SIM_SLAB, sim.now + 1000);
	CHECK(!sim.core.counters.revokes_asked && donor_table_size(&sim.core.table) == 8);
	m = hear(s, ANNEX_DONOR_COOL);
	CHECK(m && annex_le32(m->slabs) == 4);
	CHECK(sim_park(&sim, s, id + 4, 4) == 4);
	tick(1000);
	CHECK(donor_table_size(&sim.core.table) == 5 && NR(READY) == 1 && sim.released == 3);
	/* the backing is full: what more must go is revoked */
	donor_core_set_memory(&sim.core, 2 * SIM_SLAB, sim.now);
	sim_work(&sim);
	r = hear(s, ANNEX_DONOR_REVOKE);
	CHECK(r && annex_le32(r->count) == 2 && annex_le32(r->cause) == ANNEX_DONOR_C_SHRINK);
	/* of what has memory: to give back what is parked would not help */
	for (uint32_t i = 0; r && i < 2; i++)
		CHECK(annex_le64(r->id[i]) == id[3 - i]);
	CHECK(sim_give(&sim, s, id + 2, 2) == 2);
	CHECK(donor_table_size(&sim.core.table) == 2 && s->held == 6 && s->parked == 4);
	/* and back */
	donor_core_set_memory(&sim.core, 8 * SIM_SLAB, sim.now);
	sim_work(&sim);
	sim_fetch(&sim, s, id + 4, 4);
	tick(0);
	CHECK(s->parked == 0 && donor_table_size(&sim.core.table) == 8);
}

/* Who is asked and does nothing has what is too much revoked, where there is a time for that. */
static void shrink_in_time(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	const struct annex_donor_revoke *r;
	uint64_t id[8];

	sim.core.limits.revoke_ms = 500;
	CHECK(sim_request(&sim, s, 8, id) == 8);
	donor_core_set_memory(&sim.core, 6 * SIM_SLAB, sim.now);
	tick(499);
	CHECK(!hear(s, ANNEX_DONOR_REVOKE));
	tick(1);
	r = hear(s, ANNEX_DONOR_REVOKE);
	CHECK(r && annex_le32(r->count) == 2 && annex_le32(r->grace_ms) == 500);
	/* asked for, parked all the same: that will do */
	CHECK(sim_park(&sim, s, id + 7, 1) == 1);
	tick(500);
	CHECK(s->held == 7 && s->parked == 1 && donor_table_size(&sim.core.table) == 6);
	CHECK(sim.core.counters.revoked == 1);
}

/* ... and it could not be written: it is asked for once more. */
static void asked_and_store_fails(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	const struct annex_donor_revoke *r;
	uint64_t id[8];

	sim.core.limits.revoke_ms = 3000;
	CHECK(sim_request(&sim, s, 8, id) == 8);
	donor_core_set_memory(&sim.core, 6 * SIM_SLAB, sim.now);
	tick(3000);
	CHECK(hear(s, ANNEX_DONOR_REVOKE));
	sim.fail_store = true;
	CHECK(sim_park(&sim, s, id + 7, 1) == 1);
	tick(1000);
	CHECK(heard_fetched(s, id[7]));
	r = hear(s, ANNEX_DONOR_REVOKE);
	CHECK(r && annex_le32(r->count) == 1);
}

/* It was to go, and could not be written: another way is found. */
static void shrink_and_store_fails(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	const struct annex_donor_revoke *r;
	uint64_t id[8];

	CHECK(sim_request(&sim, s, 8, id) == 8);
	donor_core_set_memory(&sim.core, 7 * SIM_SLAB, sim.now);
	sim.fail_store = true;
	CHECK(sim_park(&sim, s, id, 1) == 1 && !sim.core.counters.revokes_asked);
	tick(1000);
	r = hear(s, ANNEX_DONOR_REVOKE);
	CHECK(r && annex_le32(r->count) == 1 && sim.core.counters.store_errors == 1);
	CHECK(sim_give(&sim, s, id + 7, 1) == 1 && donor_table_size(&sim.core.table) == 7);
}

static void drain(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	const struct annex_donor_revoke *r;
	uint64_t id[8];

	CHECK(sim_request(&sim, s, 8, id) == 8 && sim_park(&sim, s, id, 4) == 4);
	CHECK(sim_request(&sim, s, 3, NULL) == 3);
	donor_core_drain(&sim.core, sim.now);
	r = hear(s, ANNEX_DONOR_REVOKE);
	CHECK(r && annex_le32(r->count) == 11);
	/* it fetches two, for which there is memory when it has given back */
	sim_fetch(&sim, s, id, 2);
	CHECK(s->parked == 3);
	CHECK(sim_give(&sim, s, id + 4, 1) == 1);
	tick(0);
	CHECK(s->parked == 2 && !donor_core_drained(&sim.core, sim.now));
	CHECK(!hear(s, ANNEX_DONOR_COOL));
	donor_core_end(&sim.core, s, ANNEX_DONOR_R_NONE);
	CHECK(donor_core_drained(&sim.core, sim.now));
}

/* Nobody parks, so no memory comes: it is taken, for as long as somebody waits. */
static void starved(void)
{
	struct donor_link a = link_of("a");
	struct donor_session *s = sim_open(&sim, &a);
	uint64_t id[9];

	CHECK(sim_request(&sim, s, 8, id) == 8 && sim_park(&sim, s, id, 2) == 2);
	CHECK(sim_request(&sim, s, 1, id + 8) == 1);
	sim_fetch(&sim, s, id, 2);
	tick(100);
	CHECK(s->parked == 1 && donor_table_size(&sim.core.table) == 8);
	tick(1000);
	CHECK(s->parked == 1 && hear(s, ANNEX_DONOR_COOL));
	tick(1500);
	tick(100);
	CHECK(s->parked == 0 && donor_table_size(&sim.core.table) == 9);
	/* and goes when it can */
	CHECK(sim_give(&sim, s, id, 2) == 2);
	tick(100);
	CHECK(donor_table_size(&sim.core.table) == 8 && NR(READY) == 1);
	donor_core_end(&sim.core, s, ANNEX_DONOR_R_NONE);
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
	uint32_t n, at;
	int ret;

	if (p->s && (!sim_alive(&sim, p->s) || p->s->id != p->session))
		p->s = NULL;
	if (!p->s) {
		p->link = link_with(name, below(4) ? ANNEX_DONOR_FEATURES : ANNEX_DONOR_FEATURES &
							 ~ANNEX_DONOR_FEAT_PARK);
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
	at = p->n ? below(p->n) : 0;
	n = p->n ? 1 + below(p->n - at) : 0;
	switch (below(10)) {
	case 0:
		donor_core_lost(&sim.core, p->s, sim.now);
		donor_link_broken(&p->link, sim.now);
		return;
	case 1:
	case 2:
		n = 1 + below(4);
		if (p->n + n > 64)
			return;
		ret = sim_request(&sim, p->s, n, p->id + p->n);
		p->n += ret > 0 ? ret : 0;
		return;
	case 3:
		if (p->n) {
			n = 1 + below(p->n);
			sim_give(&sim, p->s, p->id + p->n - n, n);
			p->n -= n;
		}
		return;
	case 4:
	case 5:
	case 6:
		if (n && p->s->features & ANNEX_DONOR_FEAT_PARK)
			sim_park(&sim, p->s, p->id + at, n);
		return;
	case 7:
	case 8:
		if (n && p->s->features & ANNEX_DONOR_FEAT_PARK)
			sim_fetch(&sim, p->s, p->id + at, n);
		return;
	case 9:
		if (!below(8))
			donor_core_end(&sim.core, p->s, below(3));
		return;
	}
}

static void anything(void)
{
	static const char *const names[] = { "a", "b", "c", "a" };
	struct player p[4];

	memset(p, 0, sizeof(p));
	for (unsigned int i = 0; i < 60000 && case_ok; i++) {
		if (!below(100))
			sim.core.limits.revoke_ms = below(3) * 300;
		sim.lazy = below(2);
		sim.hold = below(2);
		sim.fail_expose = !below(30);
		sim.fail_prepare = !below(20);
		sim.fail_store = !below(200);
		sim.fail_load = !below(30);
		sim.fail_erase = i > 50000 && !below(300);
		sim.fail_send = !below(100);
		if (sim.fail_send)	/* whoever speaks would get no answer */
			donor_core_tick(&sim.core, sim.now);
		sim.fail_send = false;
		play(&p[below(4)], names[below(4)]);
		if (!below(20))
			donor_core_set_memory(&sim.core, below(24) * SIM_SLAB, sim.now);
		if (!below(4))
			sim_work(&sim);
		sim.now += below(200);
		donor_core_tick(&sim.core, sim.now);
		sim_check(&sim);
	}
	/* it did something */
	CHECK(sim.core.counters.parked > 1000 && sim.core.counters.fetched > 500 &&
	      sim.loaded > 300 && sim.core.counters.load_errors > 10 &&
	      sim.core.counters.store_errors > 5 && sim.core.counters.cool_asked > 100 &&
	      sim.core.counters.sessions_resumed > 100 && sim.core.counters.revoked > 100);
}

static void run(const char *name, void (*test)(void))
{
	case_ok = true;
	sim_init(&sim, 8, test == anything ? 12 : 4, &keys);
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
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..22\n");
	run("park, list, fetch", park_and_fetch);
	run("another's, twice, not now", wrong_orders);
	run("a client that has not agreed", not_agreed);
	run("a backing that is full", no_room);
	run("fetched while it is written", fetch_while_storing);
	run("more slabs than memory", more_than_memory);
	run("given back, and a session that ends, in each state", given_up);
	run("given back while it waits for memory", waiting_is_given_up);
	run("what cannot be written comes back", store_fails);
	run("what cannot be read is lost, and nothing else", load_fails);
	run("what cannot be registered again is lost", no_registration);
	run("a client that was away", resume);
	run("a client that is slow to listen", slow_listener);
	run("what is parked counts for the quota", quota);
	run("each is asked to park its part", cool);
	run("shrinking parks what it can", shrink);
	run("what is not parked in time is revoked", shrink_in_time);
	run("asked for, parked, not written", asked_and_store_fails);
	run("shrinking with a backing that fails", shrink_and_store_fails);
	run("draining", drain);
	run("nobody parks, somebody waits", starved);
	run("anything in any order", anything);
	donor_keys_free(&keys);
	return failures ? 1 : 0;
}
