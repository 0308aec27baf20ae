// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What include/annex/donor_codec.h takes for a message: each type as it should be,
 * and with one thing wrong at a time.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <annex/donor_codec.h>

static unsigned int test_nr, failures;
static bool case_ok;

union message {
	struct annex_donor_msg head;
	struct annex_donor_list list;
	struct annex_donor_grants grants;
	struct annex_donor_revoke revoke;
	struct annex_donor_cool cool;
	uint64_t words[ANNEX_DONOR_MSG_MAX / 8 + 1];
	uint8_t bytes[ANNEX_DONOR_MSG_MAX + 8];
};

static const struct {
	unsigned int type, from;
	size_t size;		/* with @count elements */
	uint32_t count;		/* most */
	bool list, answer;
} types[] = {
	{ ANNEX_DONOR_PROOF, 1, 48, 0, false, false },
	{ ANNEX_DONOR_REQUEST, 1, 24, 0, false, false },
	{ ANNEX_DONOR_GIVE_BACK, 1, 24, 64, true, false },
	{ ANNEX_DONOR_PING, 3, 16, 0, false, false },
	{ ANNEX_DONOR_FENCE, 1, 24, 0, false, false },
	{ ANNEX_DONOR_STATS, 1, 16, 0, false, false },
	{ ANNEX_DONOR_BYE, 1, 16, 0, false, false },
	{ ANNEX_DONOR_LIST, 1, 24, 0, false, false },
	{ ANNEX_DONOR_PARK, 1, 24, 64, true, false },
	{ ANNEX_DONOR_FETCH, 1, 24, 64, true, false },
	{ ANNEX_DONOR_WELCOME, 2, 56, 0, false, false },
	{ ANNEX_DONOR_GRANTS, 2, 24, 64, true, true },
	{ ANNEX_DONOR_TAKEN, 2, 24, 64, true, true },
	{ ANNEX_DONOR_FENCED, 2, 24, 0, false, true },
	{ ANNEX_DONOR_NUMBERS, 2, 80, 0, false, false },
	{ ANNEX_DONOR_REVOKE, 2, 32, 64, true, false },
	{ ANNEX_DONOR_REVOKED, 2, 32, 64, true, false },
	{ ANNEX_DONOR_GOODBYE, 2, 16, 0, false, true },
	{ ANNEX_DONOR_PARKED, 2, 24, 64, true, true },
	{ ANNEX_DONOR_FETCHED, 2, 24, 64, true, false },
	{ ANNEX_DONOR_COOL, 2, 24, 0, false, false },
};

#define NR_TYPES (sizeof(types) / sizeof(types[0]))

static bool has_grants(unsigned int type)
{
	return type == ANNEX_DONOR_GRANTS || type == ANNEX_DONOR_FETCHED;
}

/* A good one; returns its size. */
static size_t make(union message *m, unsigned int i, uint32_t count)
{
	unsigned int type = types[i].type;
	size_t element = has_grants(type) ? sizeof(struct annex_donor_grant) : 8;
	size_t size = types[i].size + (types[i].list ? count * element : 0);

	memset(m, 0, sizeof(*m));
	annex_donor_head(&m->head, type, size, htole32(3), 0);
	if (types[i].list)
		m->list.count = htole32(count);
	if (type == ANNEX_DONOR_REQUEST || type == ANNEX_DONOR_FENCE ||
	    type == ANNEX_DONOR_FENCED || type == ANNEX_DONOR_COOL)
		m->list.count = htole32(1);	/* slabs, qpn: the same place */
	if (type == ANNEX_DONOR_WELCOME)
		((struct annex_donor_state *)m)->generation = 1;
	if (type == ANNEX_DONOR_REVOKE || type == ANNEX_DONOR_REVOKED)
		m->revoke.cause = htole32(ANNEX_DONOR_C_SHRINK);
	for (uint32_t g = 0; g < count && has_grants(type); g++)
		m->grants.grant[g] = (struct annex_donor_grant){ htole64(1 + g), 0, htole64(4096),
								 0, 0 };
	return size;
}

static void expect(bool taken, const union message *m, size_t len, unsigned int from,
		   const char *what)
{
	if (annex_donor_check_msg(m, len, from) == taken)
		return;
	printf("# type %u, %zu bytes, from %u: %s was %s\n", le16toh(m->head.type), len, from, what,
	       taken ? "refused" : "taken");
	case_ok = false;
}

static void heads(void)
{
	union message m;
	size_t size;

	for (unsigned int i = 0; i < NR_TYPES; i++) {
		uint32_t count = types[i].list ? 1 : 0;

		for (unsigned int from = 1; from <= 2; from++) {
			size = make(&m, i, count);
			expect(types[i].from & from, &m, size, from, "a good one");
		}
		size = make(&m, i, count);
		expect(false, &m, size - 1, types[i].from, "too short");
		expect(false, &m, size + 1, types[i].from, "too long");
		expect(false, &m, 0, types[i].from, "nothing");
		make(&m, i, count);
		m.head.size = htole16(size + 8);
		expect(false, &m, size + 8, types[i].from, "a tail");
		for (unsigned int bit = 0; bit < 32; bit++) {
			make(&m, i, count);
			m.head.flags = htole32(1u << bit);
			expect(false, &m, size, types[i].from, "a flag");
		}
		make(&m, i, 0);
		if (types[i].list)
			continue;
		m.head.status = htole32(1);
		expect(types[i].answer, &m, size, types[i].from, "a status");
	}
	for (unsigned int type = 0; type < 65536; type++) {
		bool known = type == ANNEX_DONOR_PONG;

		for (unsigned int i = 0; i < NR_TYPES; i++)
			known |= types[i].type == type;
		if (known)
			continue;
		annex_donor_head(&m.head, type, sizeof(m.head), 0, 0);
		expect(false, &m, sizeof(m.head), 3, "an unknown type");
	}
}

static void lists(void)
{
	union message m;

	for (unsigned int i = 0; i < NR_TYPES; i++) {
		bool none = types[i].type == ANNEX_DONOR_GRANTS ||
			    types[i].type == ANNEX_DONOR_TAKEN ||
			    types[i].type == ANNEX_DONOR_PARKED;
		size_t size;

		if (!types[i].list)
			continue;
		size = make(&m, i, 64);
		expect(true, &m, size, types[i].from, "64 of a list");
		size = make(&m, i, 65);
		expect(false, &m, size, types[i].from, "65 of a list");
		size = make(&m, i, 0);
		expect(none, &m, size, types[i].from, "an empty list");
		size = make(&m, i, 2);
		m.list.count = htole32(3);
		expect(false, &m, size, types[i].from, "more than there is");
		m.list.count = htole32(1);
		expect(false, &m, size, types[i].from, "less than there is");
		m.list.count = htole32(0x20000000);
		expect(false, &m, size, types[i].from, "a count that wraps");
	}
}

static unsigned int index_of(unsigned int type)
{
	unsigned int i = 0;

	while (types[i].type != type)
		i++;
	return i;
}

/* WHAT is changed in a good message of TYPE with one element. */
#define BAD(type_, what) do {							\
	size_t size_ = make(&m, index_of(type_), 1);				\
	what;									\
	expect(false, &m, size_, types[index_of(type_)].from, #what);		\
} while (0)

static void bodies(void)
{
	struct annex_donor_state *s;
	union message m;

	s = (struct annex_donor_state *)&m;
	BAD(ANNEX_DONOR_REQUEST, m.list.count = 0);
	BAD(ANNEX_DONOR_REQUEST, m.list.count = htole32(65));
	BAD(ANNEX_DONOR_REQUEST, m.list.pad = 1);
	BAD(ANNEX_DONOR_GIVE_BACK, m.list.pad = 1);
	BAD(ANNEX_DONOR_FENCE, m.list.count = 0);
	BAD(ANNEX_DONOR_FENCE, m.list.pad = 1);
	BAD(ANNEX_DONOR_WELCOME, s->generation = 0);
	BAD(ANNEX_DONOR_WELCOME, s->pad = 1);
	BAD(ANNEX_DONOR_WELCOME, s->flags = htole32(ANNEX_DONOR_F_NOAUTH));
	BAD(ANNEX_DONOR_GRANTS, m.grants.pad = 1);
	BAD(ANNEX_DONOR_GRANTS, m.grants.grant[0].flags = 2);
	BAD(ANNEX_DONOR_GRANTS, m.grants.grant[0].id = 0);
	BAD(ANNEX_DONOR_GRANTS, m.grants.grant[0].bytes = 0);
	BAD(ANNEX_DONOR_GRANTS, m.grants.grant[0].addr = htole64(UINT64_MAX - 100));
	BAD(ANNEX_DONOR_GRANTS, m.head.status = htole32(ANNEX_DONOR_FULL));
	BAD(ANNEX_DONOR_REVOKE, m.revoke.cause = 0);
	BAD(ANNEX_DONOR_REVOKE, m.revoke.cause = htole32(5));
	BAD(ANNEX_DONOR_REVOKED, m.revoke.cause = htole32(5));
	BAD(ANNEX_DONOR_REVOKE, m.revoke.cause = htole32(ANNEX_DONOR_C_LOST));
	BAD(ANNEX_DONOR_REVOKE, m.revoke.pad = 1);
	BAD(ANNEX_DONOR_REVOKED, m.revoke.grace_ms = 1);
	BAD(ANNEX_DONOR_PARK, m.list.pad = 1);
	BAD(ANNEX_DONOR_PARKED, m.list.pad = 1);
	BAD(ANNEX_DONOR_FETCH, m.list.pad = 1);
	BAD(ANNEX_DONOR_COOL, m.cool.slabs = 0);
	BAD(ANNEX_DONOR_COOL, m.cool.pad = 1);
	BAD(ANNEX_DONOR_FETCHED, m.grants.pad = 1);
	BAD(ANNEX_DONOR_FETCHED, m.grants.grant[0].id = 0);
	BAD(ANNEX_DONOR_FETCHED, m.grants.grant[0].bytes = 0);
	/* what is parked is not fetched, and has no place */
	BAD(ANNEX_DONOR_FETCHED, m.grants.grant[0].flags = htole32(ANNEX_DONOR_G_PARKED));
	BAD(ANNEX_DONOR_GRANTS, m.grants.grant[0].flags = htole32(ANNEX_DONOR_G_PARKED);
	    m.grants.grant[0].addr = htole64(4096));
	BAD(ANNEX_DONOR_GRANTS, m.grants.grant[0].flags = htole32(ANNEX_DONOR_G_PARKED);
	    m.grants.grant[0].rkey = htole32(1));
}

static void parking(void)
{
	union message m;
	size_t size;

	size = make(&m, index_of(ANNEX_DONOR_GRANTS), 1);
	m.grants.grant[0].flags = htole32(ANNEX_DONOR_G_PARKED);
	expect(true, &m, size, ANNEX_DONOR_DONOR, "a list with a parked slab");
	size = make(&m, index_of(ANNEX_DONOR_REVOKED), 1);
	m.revoke.cause = htole32(ANNEX_DONOR_C_LOST);
	expect(true, &m, size, ANNEX_DONOR_DONOR, "a slab that is lost");
	/* some could be parked, others not */
	size = make(&m, index_of(ANNEX_DONOR_PARKED), 1);
	m.head.status = htole32(ANNEX_DONOR_FULL);
	expect(true, &m, size, ANNEX_DONOR_DONOR, "a part that was parked");
}

/* PONG is the only type with two forms. */
static void pongs(void)
{
	union message m = { .words = { 0 } };
	struct annex_donor_state *s = (struct annex_donor_state *)&m;

	annex_donor_head(&m.head, ANNEX_DONOR_PONG, sizeof(m.head), 0, 0);
	expect(true, &m, sizeof(m.head), ANNEX_DONOR_CLIENT, "a client's");
	expect(false, &m, sizeof(m.head), ANNEX_DONOR_DONOR, "a client's");
	annex_donor_head(&s->head, ANNEX_DONOR_PONG, sizeof(*s), 0, 0);
	s->generation = 1;
	expect(true, &m, sizeof(*s), ANNEX_DONOR_DONOR, "a donor's");
	expect(false, &m, sizeof(*s), ANNEX_DONOR_CLIENT, "a donor's");
	s->generation = 0;
	expect(false, &m, sizeof(*s), ANNEX_DONOR_DONOR, "one without a generation");
}

/* Each field of an accept that a client looks at. */
static void accepts(void)
{
	const struct annex_donor_hello hello = {
		.version_min = 1, .version_max = 1, .kind = ANNEX_DONOR_JOIN, .id = htole64(7),
		.features = htole32(3),
	};
	const struct annex_donor_accept good = {
		.magic = htole32(ANNEX_DONOR_MAGIC), .version = 1, .kind = ANNEX_DONOR_JOIN,
		.size = sizeof(good), .credits = 4, .features = htole32(1), .generation = 9,
		.session = htole64(7), .slab_bytes = htole64(2 << 20), .heartbeat_ms = 1,
		.client_ms = 2,
	};
	struct annex_donor_accept a;

#define ACCEPT(taken, what) do {						\
	a = good;								\
	what;									\
	if (annex_donor_check_accept(&a, sizeof(a), &hello) != (taken)) {	\
		printf("# accept: %s\n", #what);				\
		case_ok = false;						\
	}									\
} while (0)
	ACCEPT(true, a.nonce[0] = 1);
	ACCEPT(false, a.magic = 0);
	ACCEPT(false, a.size = 0);
	ACCEPT(false, a.version = 0);
	ACCEPT(false, a.version = 2);
	ACCEPT(false, a.kind = ANNEX_DONOR_OPEN);
	ACCEPT(false, a.pad = 1);
	ACCEPT(false, a.flags = htole32(4));
	ACCEPT(false, a.flags = htole32(ANNEX_DONOR_F_NOAUTH));
	ACCEPT(true, a.flags = htole32(ANNEX_DONOR_F_DRAINING));
	ACCEPT(false, a.features = htole32(4));
	ACCEPT(false, a.credits = 3);
	ACCEPT(false, a.credits = 65);
	ACCEPT(false, a.generation = 0);
	ACCEPT(false, a.session = htole64(8));
	ACCEPT(false, a.slab_bytes = htole64(1 << 20));
	ACCEPT(false, a.slab_bytes = htole64(3 << 20));
	ACCEPT(false, a.slab_bytes = htole64(2ull << 30));
	ACCEPT(false, a.heartbeat_ms = 0);
	ACCEPT(false, a.client_ms = 0);
#undef ACCEPT
	a = good;
	case_ok &= !annex_donor_check_accept(&a, sizeof(a) - 1, &hello);
	case_ok &= !annex_donor_check_accept(NULL, 0, &hello);
}

static void run(const char *name, void (*test)(void))
{
	case_ok = true;
	test();
	test_nr++;
	if (!case_ok)
		printf("not ");
	printf("ok %u - %s\n", test_nr, name);
	failures += !case_ok;
}

int main(void)
{
	printf("KTAP version 1\n1..6\n");
	run("heads: sizes, sides, flags, statuses, types", heads);
	run("lists: none, as many as fit, more", lists);
	run("bodies: padding and ranges", bodies);
	run("parking", parking);
	run("pongs", pongs);
	run("accepts", accepts);
	return failures ? 1 : 0;
}
