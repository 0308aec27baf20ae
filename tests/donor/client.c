// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client of memory donors that does what it is told: commands on standard
 * input, one answer a line: "ok ..." or "err ...". It ends with its input.
 *
 *	open HOST PORT [KEYFILE[:NAME]|-] [WRONG]	"ok SESSION GENERATION SLAB QUOTA"
 *	grants N		ask for slabs: "ok N" or "err status S"
 *	grant G			"ok ADDR RKEY ID", with "parked" at the end if it is
 *	write G OFF LEN SEED	fill by WRITE; SEED 0: zeros
 *	check G OFF LEN SEED	READ and compare
 *	raw ADDR RKEY LEN [write]	one READ or WRITE anywhere: "err wc S ..." when refused
 *	give G...		give back: "ok N" taken
 *	park G...		do without them for a while: "ok N"; as "give" when refused
 *	fetch G...		ask for them, and wait until all are in reach: "ok N"
 *	ask G...		ask for them only: "ok N"
 *	regrant			forget all grants and ask for what is held: "ok N"
 *	ping | stats | bye
 *	join [QPN]		data connection: "ok CONN QPN"; replacing QPN
 *	fence QPN
 *	on CONN			data goes there from now on
 *	drop			let all connections go without a word
 *	resume [WRONG]		"ok STATE"
 *	send HEX		send that as a message
 *	mute | unmute		answer no PING, send none
 *	wait TYPE MS		wait for a message: "ok COUNT CAUSE GRACE" for revokes,
 *				"ok SLABS" for COOL, "ok COUNT" for FETCHED, which is taken
 *	poll MS			look after the connection for so long: "ok STATE REASON"
 *	state			the same at once
 *	close			give everything up here, BYE is not said
 *
 * WRONG: what is to be wrong with the connect, see wrongs[].
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer.h"

#define GRANTS 4096
#define WORDS 80

static struct peer peer;
static bool connected;
static struct annex_donor_grant grants[GRANTS];
static unsigned int nr_grants;
static int on;			/* connection for data */

__attribute__((format(printf, 1, 2)))
static void ok(const char *fmt, ...)
{
	va_list ap;

	fputs("ok", stdout);
	va_start(ap, fmt);
	if (*fmt)
		putchar(' ');
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

__attribute__((format(printf, 1, 2)))
static void err(const char *fmt, ...)
{
	va_list ap;

	fputs("err ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* --- what may be wrong -------------------------------------------------------- */

static void wrong_magic(struct annex_donor_hello *h)
{
	h->magic ^= 1;
}

static void wrong_version(struct annex_donor_hello *h)
{
	h->version_min = ANNEX_DONOR_VERSION + 1;
	h->version_max = ANNEX_DONOR_VERSION + 5;
}

static void wrong_flag(struct annex_donor_hello *h)
{
	h->flags |= htole32(1u << 31);
}

static void wrong_kind(struct annex_donor_hello *h)
{
	h->kind = 77;
}

static void wrong_size(struct annex_donor_hello *h)
{
	h->size = 8;
}

static void wrong_random(struct annex_donor_hello *h)
{
	donor_auth_random(h, sizeof(*h));
}

static void wrong_mac(struct annex_donor_hello *h)
{
	h->mac[0] ^= 1;
}

static void wrong_session(struct annex_donor_hello *h)
{
	h->id ^= htole64(1);
}

static void wrong_key_id(struct annex_donor_hello *h)
{
	h->id = htole64(le64toh(h->id) + 1);
}

static const struct {
	const char *name;
	struct peer_wrong wrong;
} wrongs[] = {
	{ "magic", { .hello = wrong_magic } },
	{ "version", { .hello = wrong_version } },
	{ "flag", { .hello = wrong_flag } },
	{ "kind", { .hello = wrong_kind } },
	{ "size", { .hello = wrong_size } },
	{ "random", { .hello = wrong_random } },
	{ "mac", { .hello = wrong_mac } },
	{ "session", { .hello = wrong_session } },
	{ "key-id", { .hello = wrong_key_id } },
	{ "short", { .length = 7 } },
	{ "proof", { .bad_proof = true } },
	{ "no-proof", { .no_proof = true } },
};

static const struct peer_wrong *wrong_by_name(const char *name)
{
	for (size_t i = 0; name && i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		if (!strcmp(wrongs[i].name, name))
			return &wrongs[i].wrong;
	}
	return NULL;
}

/* --- commands ------------------------------------------------------------------ */

static uint64_t num(char **word, int nr, int i)
{
	return i < nr ? strtoull(word[i], NULL, 0) : 0;
}

static void forget(void)
{
	if (connected)
		peer_exit(&peer);
	connected = false;
	nr_grants = 0;
	on = 0;
}

static void cmd_open(char **word, int nr)
{
	struct donor_keys keys = { 0 };
	const struct donor_key *key = NULL;
	char *name;
	struct ax_msg msg;
	int ret;

	forget();
	if (nr > 3 && strcmp(word[3], "-")) {
		name = strchr(word[3], ':');
		if (name)
			*name++ = '\0';
		if (donor_keys_load(word[3], &keys, &msg)) {
			err("%s", msg.text);
			return;
		}
		key = donor_keys_by_name(&keys, name);
	}
	connected = true;
	ret = peer_init(&peer, word[1], word[2], key ? &key->secret : NULL, ANNEX_DONOR_FEATURES);
	donor_keys_free(&keys);
	if (!ret)
		ret = peer_connect(&peer, ANNEX_DONOR_OPEN, 0,
				   wrong_by_name(nr > 4 ? word[4] : NULL));
	if (ret)
		err("%s", peer.why);
	else
		ok("%016" PRIx64 " %016" PRIx64 " %" PRIu64 " %" PRIu64, peer.link.session,
		   peer.link.generation, peer.link.slab_bytes, peer.link.quota_bytes);
}

static void cmd_grants(char **word, int nr)
{
	const struct annex_donor_grants *g;
	struct annex_donor_request q = { .slabs = htole32(num(word, nr, 1)) };

	annex_donor_head(&q.head, ANNEX_DONOR_REQUEST, sizeof(q), htole32(++peer.request), 0);
	if (peer_send(&peer, &q, sizeof(q))) {
		err("%s", peer.why);
		return;
	}
	g = peer_wait(&peer, ANNEX_DONOR_GRANTS, 5000);
	if (!g) {
		err("no answer, %s", donor_link_state_name(peer.link.state));
		return;
	}
	if (g->head.status) {
		err("status %u", le32toh(g->head.status));
		return;
	}
	for (uint32_t i = 0; i < le32toh(g->count) && nr_grants < GRANTS; i++)
		grants[nr_grants++] = g->grant[i];
	ok("%u", le32toh(g->count));
}

static void cmd_regrant(char **word, int nr)
{
	struct annex_donor_after q = { .after = 0 };
	const struct annex_donor_grants *g;
	uint32_t n;

	(void)word;
	(void)nr;
	nr_grants = 0;
	do {
		annex_donor_head(&q.head, ANNEX_DONOR_LIST, sizeof(q), htole32(++peer.request), 0);
		g = peer_send(&peer, &q, sizeof(q)) ? NULL :
		    peer_wait(&peer, ANNEX_DONOR_GRANTS, 5000);
		if (!g) {
			err("no answer, %s", donor_link_state_name(peer.link.state));
			return;
		}
		n = le32toh(g->count);
		for (uint32_t i = 0; i < n && nr_grants < GRANTS; i++)
			grants[nr_grants++] = g->grant[i];
		q.after = n ? g->grant[n - 1].id : 0;
	} while (n == ANNEX_DONOR_LIST_MAX);
	ok("%u", nr_grants);
}

static const struct annex_donor_grant *grant(char **word, int nr, int i)
{
	uint64_t n = num(word, nr, i);

	if (n < nr_grants && grants[n].id)
		return &grants[n];
	err("no grant %" PRIu64, n);
	return NULL;
}

static uint64_t pattern(uint64_t seed, uint64_t offset)
{
	uint64_t x = (seed * 0x9e3779b97f4a7c15) ^ (offset * 0xbf58476d1ce4e5b9);

	x ^= x >> 29;
	return seed ? x * 0x94d049bb133111eb : 0;
}

/* The next piece of a range. */
static uint32_t piece(uint64_t left)
{
	return left < PEER_DATA ? left : PEER_DATA;
}

static void cmd_data(char **word, int nr, bool write)
{
	const struct annex_donor_grant *g = grant(word, nr, 1);
	uint64_t off = num(word, nr, 2), len = num(word, nr, 3), seed = num(word, nr, 4);

	for (uint32_t n; g && len; off += n, len -= n) {
		uint64_t *at = (uint64_t *)peer.data;
		int ret;

		n = piece(len);
		for (uint32_t i = 0; i < n / 8; i++)	/* for a READ: what must not stay */
			at[i] = write ? pattern(seed, off + 8 * i) : ~pattern(seed, off + 8 * i);
		ret = peer_rdma(&peer, on, write ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ,
				le64toh(g->addr) + off, le32toh(g->rkey), n);
		if (ret) {
			err("wc %d %s", ret, ret > 0 ? ibv_wc_status_str(ret) : peer.why);
			return;
		}
		for (uint32_t i = 0; !write && i < n / 8; i++) {
			if (at[i] != pattern(seed, off + 8 * i)) {
				err("differs at %" PRIu64 ": %016" PRIx64, off + 8 * i, at[i]);
				return;
			}
		}
	}
	if (g)
		ok("%s", "");
}

static void cmd_raw(char **word, int nr)
{
	bool write = nr > 4 && !strcmp(word[4], "write");
	int ret = peer_rdma(&peer, on, write ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ,
			    num(word, nr, 1), num(word, nr, 2), piece(num(word, nr, 3)));

	if (ret)
		err("wc %d %s", ret, ret > 0 ? ibv_wc_status_str(ret) : peer.why);
	else
		ok("%s", "");
}

/* Send what is about grants; how many, or -1. */
static int send_list(unsigned int type, char **word, int nr)
{
	union {
		struct annex_donor_list m;
		uint8_t bytes[ANNEX_DONOR_MSG_MAX];
	} out = { 0 };
	uint32_t n = 0;

	for (int i = 1; i < nr && n < ANNEX_DONOR_LIST_MAX; i++) {
		uint64_t g = num(word, nr, i);

		out.m.id[n++] = g < nr_grants ? grants[g].id : htole64(g);
	}
	out.m.count = htole32(n);
	annex_donor_head(&out.m.head, type, sizeof(out.m) + 8 * n, htole32(++peer.request), 0);
	if (peer_send(&peer, &out, sizeof(out.m) + 8 * n)) {
		err("%s", peer.why);
		return -1;
	}
	return n;
}

/* ... and wait for the list that answers it; NULL: said why. */
static const struct annex_donor_list *list_answer(unsigned int type)
{
	const struct annex_donor_list *l = peer_wait(&peer, type, 5000);

	if (!l)
		err("no answer, %s", donor_link_state_name(peer.link.state));
	return l;
}

static void cmd_give(char **word, int nr)
{
	const struct annex_donor_list *l;

	if (send_list(ANNEX_DONOR_GIVE_BACK, word, nr) < 0)
		return;
	l = list_answer(ANNEX_DONOR_TAKEN);
	if (l && l->head.status)
		err("status %u taken %u", le32toh(l->head.status), le32toh(l->count));
	else if (l)
		ok("%u", le32toh(l->count));
}

static struct annex_donor_grant *grant_by_id(__le64 id)
{
	for (unsigned int i = 0; i < nr_grants; i++) {
		if (grants[i].id == id)
			return &grants[i];
	}
	return NULL;
}

/* Where they were is still known, to see that they are not there any more. */
static void cmd_park(char **word, int nr)
{
	const struct annex_donor_list *l;

	if (send_list(ANNEX_DONOR_PARK, word, nr) < 0)
		return;
	l = list_answer(ANNEX_DONOR_PARKED);
	for (uint32_t i = 0; l && i < le32toh(l->count); i++) {
		struct annex_donor_grant *g = grant_by_id(l->id[i]);

		if (g)
			g->flags = htole32(ANNEX_DONOR_G_PARKED);
	}
	if (l && l->head.status)
		err("status %u parked %u", le32toh(l->head.status), le32toh(l->count));
	else if (l)
		ok("%u", le32toh(l->count));
}

/* What FETCHED says. */
static void take_fetched(const struct annex_donor_grants *m)
{
	for (uint32_t i = 0; i < le32toh(m->count); i++) {
		struct annex_donor_grant *g = grant_by_id(m->grant[i].id);

		if (g)
			*g = m->grant[i];
	}
}

static bool out_of_reach(char **word, int nr)
{
	for (int i = 1; i < nr; i++) {
		uint64_t g = num(word, nr, i);

		if (g < nr_grants && grants[g].flags)
			return true;
	}
	return false;
}

static void cmd_fetch(char **word, int nr)
{
	int n = send_list(ANNEX_DONOR_FETCH, word, nr);

	if (n < 0)
		return;
	while (*word[0] == 'f' && out_of_reach(word, nr)) {
		const struct annex_donor_grants *m = peer_wait(&peer, ANNEX_DONOR_FETCHED, 20000);

		if (!m) {
			err("none came, %s", donor_link_state_name(peer.link.state));
			return;
		}
		take_fetched(m);
	}
	ok("%d", n);
}

static void simple(unsigned int type, unsigned int answer)
{
	struct annex_donor_msg m;
	const struct annex_donor_state *s;
	const struct annex_donor_numbers *n;

	annex_donor_head(&m, type, sizeof(m), htole32(++peer.request), 0);
	if (peer_send(&peer, &m, sizeof(m))) {
		err("%s", peer.why);
		return;
	}
	if (!answer) {
		ok("%s", "");
		return;
	}
	do {	/* an answer to a heartbeat may come first: it says how things were then */
		s = peer_wait(&peer, answer, 5000);
	} while (s && s->head.request != m.request);
	n = (const void *)s;
	if (!s)
		err("no answer, %s", donor_link_state_name(peer.link.state));
	else if (answer == ANNEX_DONOR_PONG)
		ok("free %" PRIu64 " held %" PRIu64, le64toh(s->free_bytes),
		   le64toh(s->held_bytes));
	else
		ok("granted %" PRIu64 " given_back %" PRIu64 " resumed %" PRIu64,
		   le64toh(n->granted), le64toh(n->given_back), le64toh(n->resumed));
}

static void cmd_join(char **word, int nr)
{
	const struct peer_wrong *wrong = wrong_by_name(nr > 2 ? word[2] : NULL);
	int conn = peer_connect(&peer, ANNEX_DONOR_JOIN, num(word, nr, 1), wrong);

	if (conn < 0)
		err("%s", peer.why);
	else
		ok("%d %u", conn, peer.conn[conn].donor_qpn);
}

static void cmd_fence(char **word, int nr)
{
	struct annex_donor_fence f = { .qpn = htole32(num(word, nr, 1)) };
	const struct annex_donor_fence *answer;

	annex_donor_head(&f.head, ANNEX_DONOR_FENCE, sizeof(f), htole32(++peer.request), 0);
	answer = peer_send(&peer, &f, sizeof(f)) ? NULL :
		 peer_wait(&peer, ANNEX_DONOR_FENCED, 5000);
	if (!answer)
		err("no answer: %s", peer.why);
	else if (answer->head.status)
		err("status %u", le32toh(answer->head.status));
	else
		ok("%s", "");
}

static void cmd_resume(char **word, int nr)
{
	on = 0;
	if (peer_connect(&peer, ANNEX_DONOR_RESUME, 0,
			 wrong_by_name(nr > 1 ? word[1] : NULL)))
		err("%s, %s", peer.why, donor_link_state_name(peer.link.state));
	else
		ok("%s", donor_link_state_name(peer.link.state));
}

static void cmd_send(char **word, int nr)
{
	uint8_t bytes[ANNEX_DONOR_MSG_MAX];
	size_t n = 0;

	for (const char *h = nr > 1 ? word[1] : ""; h[0] && h[1] && n < sizeof(bytes); h += 2) {
		const char pair[3] = { h[0], h[1], 0 };

		bytes[n++] = strtoul(pair, NULL, 16);
	}
	if (peer_send(&peer, bytes, n))
		err("%s", peer.why);
	else
		ok("%zu", n);
}

static void cmd_wait(char **word, int nr)
{
	const struct annex_donor_revoke *r = peer_wait(&peer, num(word, nr, 1), num(word, nr, 2));
	unsigned int type = r ? le16toh(r->head.type) : 0;

	if (!r)
		err("none came, %s", donor_link_state_name(peer.link.state));
	else if (type == ANNEX_DONOR_REVOKE || type == ANNEX_DONOR_REVOKED)
		ok("%u %u %u", le32toh(r->count), le32toh(r->cause), le32toh(r->grace_ms));
	else if (type == ANNEX_DONOR_COOL || type == ANNEX_DONOR_FETCHED)
		ok("%u", le32toh(r->count));	/* slabs is in the same place */
	else
		ok("%u", le32toh(r->head.status));
	if (type == ANNEX_DONOR_FETCHED)
		take_fetched((const void *)r);
}

static void cmd_grant(char **word, int nr)
{
	const struct annex_donor_grant *g = grant(word, nr, 1);

	if (g)
		ok("%" PRIu64 " %u %" PRIu64 "%s", le64toh(g->addr), le32toh(g->rkey),
		   le64toh(g->id), g->flags ? " parked" : "");
}

static void cmd_write(char **word, int nr)
{
	cmd_data(word, nr, true);
}

static void cmd_check(char **word, int nr)
{
	cmd_data(word, nr, false);
}

static void cmd_ping(char **word, int nr)
{
	(void)word;
	(void)nr;
	simple(ANNEX_DONOR_PING, ANNEX_DONOR_PONG);
}

static void cmd_stats(char **word, int nr)
{
	(void)word;
	(void)nr;
	simple(ANNEX_DONOR_STATS, ANNEX_DONOR_NUMBERS);
}

static void cmd_bye(char **word, int nr)
{
	(void)word;
	(void)nr;
	simple(ANNEX_DONOR_BYE, 0);
}

static void cmd_on(char **word, int nr)
{
	on = num(word, nr, 1);
	ok("%d", on);
}

static void cmd_drop(char **word, int nr)
{
	(void)word;
	(void)nr;
	peer_drop(&peer, -1);
	ok("%s", donor_link_state_name(peer.link.state));
}

static void cmd_mute(char **word, int nr)
{
	(void)nr;
	peer.mute = word[0][0] == 'm';
	ok("%s", "");
}

static void cmd_poll(char **word, int nr)
{
	peer_poll(&peer, num(word, nr, 1), false);
	ok("%s %d", donor_link_state_name(peer.link.state), peer.link.reason);
}

static void cmd_close(char **word, int nr)
{
	(void)word;
	(void)nr;
	forget();
	ok("%s", "");
}

static const struct {
	const char *name;
	void (*run)(char **word, int nr);
} commands[] = {
	{ "grants", cmd_grants }, { "grant", cmd_grant }, { "write", cmd_write },
	{ "check", cmd_check }, { "raw", cmd_raw }, { "give", cmd_give },
	{ "park", cmd_park }, { "fetch", cmd_fetch }, { "ask", cmd_fetch },
	{ "regrant", cmd_regrant }, { "ping", cmd_ping }, { "stats", cmd_stats },
	{ "bye", cmd_bye }, { "join", cmd_join }, { "fence", cmd_fence }, { "on", cmd_on },
	{ "drop", cmd_drop }, { "resume", cmd_resume }, { "send", cmd_send },
	{ "mute", cmd_mute }, { "unmute", cmd_mute }, { "wait", cmd_wait },
	{ "poll", cmd_poll }, { "state", cmd_poll }, { "close", cmd_close },
};

static void command(char *line)
{
	char *word[WORDS];
	int nr = 0;

	for (char *w = strtok(line, " \t\n"); w && nr < WORDS; w = strtok(NULL, " \t\n"))
		word[nr++] = w;
	if (!nr)
		return;
	if (!strcmp(word[0], "open") && nr >= 3) {
		cmd_open(word, nr);
		return;
	}
	if (!connected) {
		err("not connected");
		return;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(word[0], commands[i].name)) {
			commands[i].run(word, nr);
			return;
		}
	}
	err("no command '%s'", word[0]);
}

/* The connection is looked after while no command comes. */
int main(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char line[4096];
	size_t len = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (;;) {
		char *end;
		ssize_t n;

		if (poll(&in, 1, 20) <= 0) {
			if (connected)
				peer_poll(&peer, 0, false);
			continue;
		}
		n = read(STDIN_FILENO, line + len, sizeof(line) - 1 - len);
		if (n <= 0)
			break;
		len += n;
		line[len] = '\0';
		while ((end = strchr(line, '\n'))) {
			*end++ = '\0';
			command(line);
			len -= end - line;
			memmove(line, end, len + 1);
		}
	}
	forget();
	return 0;
}
