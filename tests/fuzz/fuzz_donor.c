// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz what a donor takes from clients, what a client takes from a donor, and the
 * donor's key and configuration files.
 *
 * The first byte says which; see fuzz_spec.c for how it is built and run.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/donor_sim.h"
#include "../../userspace-tools/donor/donor_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) do {							\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);	\
		abort();						\
	}								\
} while (0)

#define KEY "a 00112233445566778899aabbccddeeff\n"

static struct donor_keys keys;

static void *copy(const uint8_t *data, size_t size)
{
	void *exact = malloc(size + 1);	/* a read beyond it is seen */

	MUST(exact);
	memcpy(exact, data, size);
	return exact;
}

/* Messages one after another, a byte of length each, in a session that is open. */
static void fuzz_session(const uint8_t *data, size_t size)
{
	struct donor_session *s;
	struct donor_link l;
	struct sim sim;

	sim_init(&sim, 4, 2, &keys);
	donor_link_init(&l, &keys.key[0].secret, ANNEX_DONOR_FEATURES);
	s = sim_open(&sim, &l);
	while (size) {
		size_t len = data[0];
		void *msg;

		data++;
		size--;
		len = len < size ? len : size;
		if (!sim_alive(&sim, s))
			break;
		sim.hold = size % 3 == 0;
		sim.fail_store = size % 7 == 0;
		sim.fail_load = size % 5 == 0;
		msg = copy(data, len);
		donor_core_message(&sim.core, s, msg, len, sim.now);
		free(msg);
		sim_work(&sim);
		sim_check(&sim);
		if (sim_alive(&sim, s))
			while (sim_hear(&sim, s, &l))
				;
		sim.now += 500;
		donor_core_tick(&sim.core, sim.now);
		data += len;
		size -= len;
	}
	sim_exit(&sim);
}

static void fuzz_hello(const uint8_t *data, size_t size)
{
	struct donor_session *s;
	struct donor_link l;
	struct sim sim;
	void *hello = copy(data, size);
	bool taken;

	sim_init(&sim, 4, 2, &keys);
	donor_link_init(&l, &keys.key[0].secret, ANNEX_DONOR_FEATURES);
	sim_open(&sim, &l);
	if (!sim_hello(&sim, NULL, hello, size, &s, &taken))
		MUST(s && size >= sizeof(struct annex_donor_hello));
	sim_check(&sim);
	sim_exit(&sim);
	free(hello);
}

static void fuzz_client(const uint8_t *data, size_t size)
{
	struct annex_donor_hello hello;
	struct donor_link l;
	void *exact = copy(data, size);
	unsigned int type;

	donor_link_init(&l, &keys.key[0].secret, ANNEX_DONOR_FEATURES);
	donor_link_hello(&l, ANNEX_DONOR_OPEN, 1, 0, &hello);
	/* nobody guesses a MAC */
	MUST(!donor_link_accept(&l, &hello, exact, size, 1, 2, 1));
	donor_link_rejected(&l, &hello, exact, size);
	l.state = DONOR_LINK_ACTIVE;
	l.slab_bytes = SIM_SLAB;
	type = donor_link_message(&l, exact, size, 1);
	if (type == ANNEX_DONOR_GRANTS || type == ANNEX_DONOR_FETCHED) {
		const struct annex_donor_grants *g = exact;

		MUST(size == sizeof(*g) + annex_le32(g->count) * sizeof(g->grant[0]));
		for (uint32_t i = 0; i < annex_le32(g->count); i++)
			MUST(annex_le64(g->grant[i].bytes) == SIM_SLAB &&
			     (!g->grant[i].flags || (type == ANNEX_DONOR_GRANTS &&
						     !g->grant[i].addr && !g->grant[i].rkey)));
	}
	free(exact);
}

static void fuzz_files(const uint8_t *data, size_t size, bool conf)
{
	struct donor_keys got;
	struct donor_conf c;
	struct ax_msg msg = { "" };
	char *text = copy(data, size);
	int ret;

	if (conf) {
		donor_conf_defaults(&c);
		ret = donor_conf_parse(text, size, &c, &msg);
		if (!ret)
			donor_conf_check(&c, &msg);
		MUST(!ret || msg.text[0]);
	} else {
		ret = donor_keys_parse(text, size, &got, &msg);
		MUST(ret ? !got.nr && msg.text[0] : got.nr);
		for (unsigned int i = 0; i < got.nr; i++)
			MUST(got.key[i].name[0] && got.key[i].secret.len >= ANNEX_DONOR_KEY_MIN &&
			     memchr(got.key[i].name, '\0', DONOR_KEY_NAME));
		donor_keys_free(&got);
	}
	MUST(memchr(msg.text, '\0', sizeof(msg.text)));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ax_msg msg;

	if (!keys.nr)
		MUST(!donor_keys_parse(KEY, strlen(KEY), &keys, &msg));
	if (!size)
		return 0;
	switch (data[0] % 5) {
	case 0:
		fuzz_session(data + 1, size - 1);
		break;
	case 1:
		fuzz_hello(data + 1, size - 1);
		break;
	case 2:
		fuzz_client(data + 1, size - 1);
		break;
	default:
		fuzz_files(data + 1, size - 1, data[0] % 5 == 3);
	}
	return 0;
}

#ifdef FUZZ_STANDALONE

#define INPUT_MAX 1024

static uint64_t state = 0x9e3779b97f4a7c15;

static uint32_t below(uint32_t n)	/* xorshift64* */
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1d >> 32) % n;
}

/* One message of a client, well-formed. */
static size_t message(uint8_t *out)
{
	static const uint8_t types[] = {
		ANNEX_DONOR_PROOF, ANNEX_DONOR_REQUEST, ANNEX_DONOR_REQUEST, ANNEX_DONOR_GIVE_BACK,
		ANNEX_DONOR_PING, ANNEX_DONOR_FENCE, ANNEX_DONOR_STATS, ANNEX_DONOR_PONG,
		ANNEX_DONOR_PARK, ANNEX_DONOR_PARK, ANNEX_DONOR_FETCH, ANNEX_DONOR_FETCH,
		ANNEX_DONOR_LIST, ANNEX_DONOR_BYE,
	};
	unsigned int type = types[below(sizeof(types) - !!below(8))];
	const struct annex_donor_shape *shape = annex_donor_shape(type, ANNEX_DONOR_CLIENT);
	uint32_t count = shape->element ? 1 + below(8) : 0;
	size_t size = shape->size + count * shape->element;
	struct annex_donor_msg head;

	memset(out, 0, size);
	annex_donor_head(&head, type, size, htole32(7), 0);
	memcpy(out, &head, sizeof(head));
	if (type == ANNEX_DONOR_REQUEST || type == ANNEX_DONOR_FENCE)
		out[16] = 1 + below(3);
	if (count)
		out[16] = count;
	/* grants that may be there: a serial number above a slab's */
	for (uint32_t i = 0; i < count; i++) {
		uint64_t id = htole64((1 + below(6)) * (uint64_t)DONOR_SLABS_MAX + below(4));

		memcpy(out + shape->size + 8 * i, &id, 8);
	}
	return size;
}

static size_t seed_session(uint8_t *out)
{
	size_t at = 0;

	for (uint32_t n = 1 + below(5); n--;) {
		size_t len = message(out + at + 1);

		out[at] = len;
		at += 1 + len;
	}
	return at;
}

static size_t seed_hello(uint8_t *out)
{
	struct annex_donor_hello h;
	struct donor_link l;

	donor_link_init(&l, below(4) ? &keys.key[0].secret : NULL, ANNEX_DONOR_FEATURES);
	donor_link_hello(&l, 1 + below(3), SIM_CLIENT_QPN, below(2), &h);
	memcpy(out, &h, sizeof(h));
	return sizeof(h) + below(20);
}

static size_t seed_client(uint8_t *out)
{
	static const uint8_t types[] = {
		ANNEX_DONOR_WELCOME, ANNEX_DONOR_GRANTS, ANNEX_DONOR_GRANTS, ANNEX_DONOR_TAKEN,
		ANNEX_DONOR_PONG, ANNEX_DONOR_FENCED, ANNEX_DONOR_NUMBERS, ANNEX_DONOR_REVOKE,
		ANNEX_DONOR_REVOKED, ANNEX_DONOR_GOODBYE, ANNEX_DONOR_PARKED,
		ANNEX_DONOR_FETCHED, ANNEX_DONOR_FETCHED, ANNEX_DONOR_COOL,
	};
	unsigned int type = types[below(sizeof(types))];
	const struct annex_donor_shape *shape = annex_donor_shape(type, ANNEX_DONOR_DONOR);
	uint32_t count = shape->element ? 1 + below(8) : 0;
	size_t size = shape->size + count * shape->element;
	struct annex_donor_msg head;

	memset(out, 0, size);
	annex_donor_head(&head, type, size, 0, 0);
	memcpy(out, &head, sizeof(head));
	if (count)
		out[16] = count;
	for (uint32_t i = 0; i < count && shape->element == sizeof(struct annex_donor_grant); i++) {
		bool parked = type == ANNEX_DONOR_GRANTS && below(3) == 0;
		const struct annex_donor_grant g = {
			.id = htole64(5 + i), .addr = htole64(parked ? 0 : i << 22),
			.bytes = htole64(SIM_SLAB), .flags = htole32(parked),
		};

		memcpy(out + shape->size + i * sizeof(g), &g, sizeof(g));
	}
	if (type == ANNEX_DONOR_COOL || type == ANNEX_DONOR_FENCED)
		out[16] = 1;
	else if (size > 20 && shape->element != sizeof(struct annex_donor_grant))
		out[20] = type != ANNEX_DONOR_PARKED && type != ANNEX_DONOR_TAKEN;
	return size;
}

static size_t seed_text(uint8_t *out, bool conf)
{
	static const char *const confs[] = {
		"memory = 8G\nslab = 64M\nlisten = ::1\nlisten = host\n", "linger=5s # x\nlock = no\n",
		"backing = /x\nbacking-size = 1T\nkeep-free = 1G\n",
		"port = 19675\nkey-file = /etc/x\nverbose = yes\nclient-timeout = 2m\n",
	};
	static const char *const files[] = {
		KEY "b 0102030405060708090a0b0c0d0e0f10 quota=4M\n", "# x\n\n" KEY, KEY KEY,
	};
	const char *text = conf ? confs[below(4)] : files[below(3)];

	strcpy((char *)out, text);
	return strlen(text);
}

static size_t mutate(uint8_t *at, size_t len)
{
	size_t i = len ? below(len) : 0, n;

	switch (below(6)) {
	case 0:
		if (len)
			at[i] ^= 1u << below(8);
		return len;
	case 1:
		if (len)
			at[i] = below(256);
		return len;
	case 2:	/* cut something out */
		if (!len)
			return len;
		n = 1 + below(len - i);
		memmove(at + i, at + i + n, len - i - n);
		return len - n;
	case 3:	/* the same again */
		n = len ? 1 + below(len - i) : 0;
		if (len + n >= INPUT_MAX)
			return len;
		memmove(at + i + n, at + i, len - i);
		return len + n;
	case 4:
		if (len)
			memset(at + i, below(2) ? 0xff : 0, len - i < 8 ? len - i : 8);
		return len;
	default:
		return len;
	}
}

int main(int argc, char **argv)
{
	const char *rounds = argc > 1 ? argv[1] : getenv("ANNEX_FUZZ_COUNT");
	unsigned long n = rounds && *rounds ? strtoul(rounds, NULL, 10) : 30000;
	uint8_t input[2 * INPUT_MAX];

	printf("KTAP version 1\n1..1\n");
	fflush(stdout);
	LLVMFuzzerTestOneInput(input, 0);
	for (unsigned long i = 0; i < n; i++) {
		size_t len;

		memset(input, 0, sizeof(input));
		input[0] = below(5);
		switch (input[0]) {
		case 0:
			len = seed_session(input + 1);
			break;
		case 1:
			len = seed_hello(input + 1);
			break;
		case 2:
			len = seed_client(input + 1);
			break;
		default:
			len = seed_text(input + 1, input[0] == 3);
		}
		for (uint32_t m = below(5); m--;)
			len = mutate(input + 1, len);
		LLVMFuzzerTestOneInput(input, len + 1);
	}
	donor_keys_free(&keys);
	printf("ok 1 - donor # %lu rounds\n", n);
	return 0;
}

#endif
