// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every state that the donor protocol can get into, with one block of one client
 * A, a mirror of it, one donor slab, and another client B who gets the slab when
 * it is free. Breadth first, all interleavings of: A's guest writing, eviction to
 * both copies, reading back, the connection breaking at any time (FLAPS times),
 * operations that arrive late, resume, the donor crashing and returning, the
 * session expiring, revoke and give-back, the mirror's loss. One loss of data in
 * all (LOSSES): donor or mirror.
 *
 * Checked in each state:
 *	lost	a block that was written and evicted can be read somewhere
 *	stale	what is read is what was written last
 *	leak	a slab is granted with zeros only
 *	stuck	from everywhere a state can be reached in which A waits for nothing
 *
 * usage: model [MUTATION]	(--list: their names) A mutation takes one rule of
 * the protocol away; then something of the above must be found. Prints what was
 * found and the way to it; exit status 0: nothing found, 3: found, 1: error.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSIONS 2	/* writes of the guest */
#define FLAPS 2		/* the connection breaks that often */
#define LOSSES 1	/* a copy is lost that often */
#define NET 3		/* requests under way */

/* What lies in the slab, besides versions 1.. of A's block. */
#define ZERO 0
#define EVIL 14		/* written by A after it gave the slab back */
#define B_DATA 15

enum { LINK_NONE, LINK_OPENING, LINK_ACTIVE, LINK_BROKEN, LINK_RESUMING };
enum { NO_SESSION, SESSION, LINGER, ENDING, HIDDEN, B_HAS };
enum { HS_NONE, HS_OPEN, HS_RESUME, HS_ACCEPT, HS_REJECT };
enum { OP_NONE, OP_WRITE, OP_READ };
enum { REVOKE_NEVER, REVOKE_SENT, GIVE_BACK_SENT, REVOKE_DONE };

struct op {
	uint8_t kind;
	uint8_t qp;
	uint8_t value;
};

struct state {
	/* A's host */
	uint8_t current;	/* version that the guest wrote last */
	uint8_t dram;		/* is it in DRAM? */
	uint8_t donor_has;	/* version that A knows to be at the donor; 0: none */
	uint8_t mirror_has;
	uint8_t evicting;	/* 1: donor's answer awaited, 2: mirror's */
	uint8_t reading;
	uint8_t link, qp;	/* its queue pair's number */
	uint8_t generation;	/* of the session's donor */
	uint8_t grant;
	/* mirror */
	uint8_t mirror;		/* what is on it */
	uint8_t mirror_gone;
	/* between */
	struct op net[NET];
	struct op answer;	/* completion that A has not looked at */
	uint8_t handshake;
	uint8_t hs_qp, hs_generation, hs_grant;	/* in an accept */
	uint8_t revoke;
	/* donor */
	uint8_t alive, donor_generation, session;
	uint8_t donor_qp;	/* 0: none */
	uint8_t old_qp;		/* one that should be gone (a mutation) */
	uint8_t registered;	/* A's rkey is good */
	uint8_t cell, zeroed;
	/* budgets */
	uint8_t flaps, losses, qps;
};

enum mutation {
	NONE,
	NO_GENERATION, KEEP_OLD_QP, ZERO_BEFORE_DEREGISTER, NO_ZEROING, ONE_COPY_ACK,
	TRUST_FAILED_WRITE, GIVE_BACK_EARLY, NO_DEADLINE, NO_REGRANT_CHECK,
	MUTATIONS,
};

static const struct {
	const char *name, *finds;
} mutations[MUTATIONS] = {
	[NONE] = { "none", "" },
	[NO_GENERATION] = { "no-generation", "stale" },
	[KEEP_OLD_QP] = { "keep-old-qp", "stale" },
	[ZERO_BEFORE_DEREGISTER] = { "zero-before-deregister", "leak" },
	[NO_ZEROING] = { "no-zeroing", "leak" },
	[ONE_COPY_ACK] = { "one-copy-ack", "lost" },
	[TRUST_FAILED_WRITE] = { "trust-failed-write", "stale" },
	[GIVE_BACK_EARLY] = { "give-back-early", "lost" },
	[NO_DEADLINE] = { "no-deadline", "stuck" },
	[NO_REGRANT_CHECK] = { "no-regrant-check", "stuck" },
};

static enum mutation mutation;

/* --- the set of states seen ---------------------------------------------------- */

struct node {
	struct state s;
	uint32_t from;		/* its predecessor */
	const char *step;	/* from there */
};

static struct node *node;
static uint32_t nodes, room, *table, table_size;
static struct { uint32_t from, to; } *edge;
static size_t edges, edge_room;
static const char *found;	/* what is wrong with the state at hand */

static uint32_t hash(const struct state *s)
{
	const uint8_t *at = (const uint8_t *)s;
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof(*s); i++)
		h = (h ^ at[i]) * 0x100000001b3;
	return h >> 20;
}

static void *grow(void *old, size_t bytes)
{
	void *new = realloc(old, bytes);

	if (!new) {
		perror("model");
		exit(1);
	}
	return new;
}

static void table_grow(void)
{
	table_size = table_size ? 2 * table_size : 1u << 16;
	table = grow(table, table_size * sizeof(*table));
	memset(table, 0xff, table_size * sizeof(*table));
	for (uint32_t i = 0; i < nodes; i++) {
		uint32_t at = hash(&node[i].s) % table_size;

		while (table[at] != UINT32_MAX)
			at = (at + 1) % table_size;
		table[at] = i;
	}
}

static void reach(const struct state *s, uint32_t from, const char *step)
{
	uint32_t at;

	if (nodes * 2 >= table_size)
		table_grow();
	at = hash(s) % table_size;
	while (table[at] != UINT32_MAX && memcmp(&node[table[at]].s, s, sizeof(*s)))
		at = (at + 1) % table_size;
	if (table[at] == UINT32_MAX) {
		if (nodes == room)
			node = grow(node, (room = room ? 2 * room : 1u << 15) * sizeof(*node));
		node[nodes] = (struct node){ *s, from, step };
		table[at] = nodes++;
	}
	if (edges == edge_room)
		edge = grow(edge, (edge_room = edge_room ? 2 * edge_room : 1u << 17) *
			    sizeof(*edge));
	edge[edges].from = from;
	edge[edges++].to = table[at];
}

/* --- steps --------------------------------------------------------------------- */

static bool post(struct state *s, uint8_t kind, uint8_t value)
{
	for (unsigned int i = 0; i < NET; i++) {
		if (s->net[i].kind == OP_NONE) {
			s->net[i] = (struct op){ kind, s->qp, value };
			return true;
		}
	}
	return false;
}

/* What was under way has failed, with an effect that nobody knows. */
static void break_link(struct state *s)
{
	if (s->link == LINK_ACTIVE)
		s->link = LINK_BROKEN;
	else if (s->link == LINK_RESUMING)
		s->link = LINK_BROKEN;
	else if (s->link == LINK_OPENING)
		s->link = LINK_NONE;
	s->answer = (struct op){ 0 };
	s->handshake = HS_NONE;
	s->reading = 0;
	if (s->evicting & 1) {
		/* its copy is unknown until it is written again */
		s->donor_has = mutation == TRUST_FAILED_WRITE ? s->current : 0;
		s->evicting = 0;
	}
}

/* The donor has not got our data any more. */
static void lose_donor(struct state *s)
{
	s->link = LINK_NONE;
	s->grant = 0;
	s->donor_has = 0;
	s->generation = 0;
	if (s->revoke == REVOKE_SENT || s->revoke == GIVE_BACK_SENT)
		s->revoke = REVOKE_DONE;
}

static bool evicted(struct state *s)
{
	bool mirrored = s->mirror_gone || s->mirror_has == s->current;
	bool on_donor = s->donor_has == s->current;

	/* a donor that is lost is the one loss: then the mirror alone has to do */
	bool donor_out = !s->grant && !s->losses && !s->mirror_gone;

	if (mutation == ONE_COPY_ACK)
		return on_donor || s->mirror_has == s->current;
	return (on_donor && mirrored) || (donor_out && s->mirror_has == s->current);
}

static void step_guest(const struct state *s, uint32_t at)
{
	struct state n = *s;

	if (s->dram && !s->evicting && s->current < VERSIONS) {
		n.current++;
		reach(&n, at, "the guest writes");
	}
	n = *s;
	if (!s->dram && !s->reading && !s->evicting) {
		if (s->donor_has == s->current && s->link == LINK_ACTIVE && s->grant) {
			if (post(&n, OP_READ, 0)) {
				n.reading = 1;
				reach(&n, at, "A reads from the donor");
			}
		} else if (s->mirror_has == s->current && !s->mirror_gone) {
			if (s->mirror != s->current)
				found = "stale";
			n.dram = 1;
			reach(&n, at, "A reads from the mirror");
		} else if (s->donor_has != s->current) {
			found = "lost";
		}
	}
}

static void step_evict(const struct state *s, uint32_t at)
{
	struct state n = *s;

	if (!s->dram || s->reading || !s->current)
		return;
	if (!s->evicting && evicted(&n)) {
		n.dram = 0;
		reach(&n, at, "A drops the block from DRAM");
	}
	n = *s;
	if (!s->evicting && s->mirror_has != s->current && !s->mirror_gone) {
		n.evicting = 2;
		reach(&n, at, "A begins to write to the mirror");
	}
	n = *s;
	if (s->evicting == 2) {
		n.mirror = s->current;
		n.mirror_has = s->current;
		n.evicting = 0;
		reach(&n, at, "the mirror has it");
	}
	n = *s;
	if (!s->evicting && s->donor_has != s->current && s->link == LINK_ACTIVE && s->grant &&
	    s->revoke != GIVE_BACK_SENT && post(&n, OP_WRITE, s->current)) {
		n.evicting = 1;
		n.donor_has = 0;	/* overwritten from now on */
		reach(&n, at, "A writes to the donor");
	}
}

static void step_answers(const struct state *s, uint32_t at)
{
	struct state n = *s;

	if (s->answer.kind == OP_NONE)
		return;
	n.answer = (struct op){ 0 };
	if (s->answer.qp != s->qp || s->link != LINK_ACTIVE) {
		reach(&n, at, "an answer that nobody waits for");
		return;
	}
	if (s->answer.kind == OP_READ && s->reading) {
		if (s->answer.value != s->current)
			found = "stale";
		n.reading = 0;
		n.dram = 1;
		reach(&n, at, "A has read");
	} else if (s->answer.kind == OP_WRITE && s->evicting == 1) {
		n.evicting = 0;
		n.donor_has = s->current;
		reach(&n, at, "the donor has it");
	}
}

static void step_link(const struct state *s, uint32_t at)
{
	struct state n = *s;

	if (s->link != LINK_NONE && s->link != LINK_BROKEN && s->flaps) {
		n.flaps--;
		break_link(&n);
		reach(&n, at, "the connection breaks");
	}
	n = *s;
	/* no answer can come any more, and after the deadline A knows */
	if (s->link != LINK_NONE && s->link != LINK_BROKEN && mutation != NO_DEADLINE &&
	    (!s->alive || (s->link == LINK_ACTIVE && s->donor_qp != s->qp) ||
	     (s->link == LINK_ACTIVE && !s->registered && s->reading))) {
		break_link(&n);
		reach(&n, at, "A's deadline passes");
	}
	n = *s;
	if (s->link == LINK_BROKEN) {
		n.link = LINK_RESUMING;
		n.handshake = HS_RESUME;
		reach(&n, at, "A asks to resume");
		n = *s;
		if (!s->alive && !s->losses) {
			lose_donor(&n);
			reach(&n, at, "A gives the donor up");
		}
	}
	n = *s;
	if (s->link == LINK_NONE && s->qps < 7) {
		n.link = LINK_OPENING;
		n.handshake = HS_OPEN;
		reach(&n, at, "A opens a session");
	}
}

static void step_handshake(const struct state *s, uint32_t at)
{
	struct state n = *s;
	bool ours = s->session == SESSION || s->session == LINGER;

	if (s->alive && (s->handshake == HS_OPEN || s->handshake == HS_RESUME) && s->qps < 7) {
		bool resume = s->handshake == HS_RESUME && ours;
		/*
		 * A resume is for the session's own donor to take; one that has come
		 * back is thought to be so bold as to take it too.
		 */
		bool open = s->session == NO_SESSION &&
			    (s->handshake == HS_OPEN || s->generation != s->donor_generation);

		if (resume || open) {
			if (mutation == KEEP_OLD_QP)
				n.old_qp = s->donor_qp;
			n.donor_qp = ++n.qps;
			n.session = SESSION;
			if (open) {
				if (s->cell != ZERO)
					found = "leak";
				n.registered = 1;
			}
			n.handshake = HS_ACCEPT;
			n.hs_qp = n.donor_qp;
			n.hs_generation = s->donor_generation;
			n.hs_grant = n.registered;
			reach(&n, at, resume ? "the donor resumes" : "the donor opens");
		}
		n = *s;
		if (!resume) {
			n.handshake = HS_REJECT;
			reach(&n, at, "the donor refuses");
		}
	}
	n = *s;
	if (s->handshake == HS_REJECT) {
		n.handshake = HS_NONE;
		if (s->link == LINK_RESUMING)
			lose_donor(&n);
		n.link = LINK_NONE;
		reach(&n, at, "A is refused");
	}
	n = *s;
	if (s->handshake == HS_ACCEPT) {
		bool resumed = s->link == LINK_RESUMING;

		n.handshake = HS_NONE;
		n.link = LINK_ACTIVE;
		n.qp = s->hs_qp;
		if (resumed && s->generation != s->hs_generation && mutation != NO_GENERATION) {
			lose_donor(&n);
			reach(&n, at, "A sees another generation");
			return;
		}
		if (!resumed) {
			n.donor_has = 0;
			n.grant = s->hs_grant;
		} else if (!s->hs_grant && mutation != NO_REGRANT_CHECK) {
			n.donor_has = 0;	/* it was taken while A was away */
			n.grant = 0;
		}
		n.generation = s->hs_generation;
		reach(&n, at, "A is connected");
	}
}

static void step_donor(const struct state *s, uint32_t at)
{
	struct state n = *s;

	for (unsigned int i = 0; i < NET; i++) {
		const struct op *op = &s->net[i];
		bool live = s->alive && op->qp && (op->qp == s->donor_qp || op->qp == s->old_qp);

		if (op->kind == OP_NONE)
			continue;
		n = *s;
		n.net[i] = (struct op){ 0 };
		if (live && s->registered && s->answer.kind == OP_NONE) {
			n.answer = *op;
			if (op->kind == OP_WRITE) {
				n.cell = op->value;
				if (op->value == EVIL)
					n.answer = (struct op){ 0 };
			} else {
				n.answer.value = s->cell;
			}
			reach(&n, at, op->kind == OP_WRITE ? "a WRITE arrives" : "a READ arrives");
		}
		if (!live || !s->registered) {
			n = *s;
			n.net[i] = (struct op){ 0 };
			reach(&n, at, "a request finds nothing");
		}
	}
	n = *s;
	if (s->alive && s->session == SESSION && s->donor_qp &&
	    (s->link != LINK_ACTIVE || s->qp != s->donor_qp) && s->handshake != HS_ACCEPT) {
		n.session = LINGER;
		n.donor_qp = 0;
		reach(&n, at, "the donor notices");
	}
	n = *s;
	if (s->alive && s->session == LINGER && s->losses) {
		n.losses--;
		n.session = ENDING;
		reach(&n, at, "the session expires");
	}
	n = *s;
	/* back to others: deregister, then zero; or the other way */
	if (s->alive && s->session == ENDING) {
		if (mutation == ZERO_BEFORE_DEREGISTER)
			n.cell = ZERO;
		else
			n.registered = 0;
		n.session = HIDDEN;
		reach(&n, at, "the donor deregisters");
	}
	n = *s;
	if (s->alive && s->session == HIDDEN) {
		if (mutation == ZERO_BEFORE_DEREGISTER)
			n.registered = 0;
		else if (mutation != NO_ZEROING)
			n.cell = ZERO;
		n.session = NO_SESSION;
		n.donor_qp = 0;
		n.old_qp = 0;
		reach(&n, at, "the donor zeroes");
	}
	n = *s;
	if (s->alive && s->session == NO_SESSION && s->handshake == HS_NONE &&
	    s->revoke == REVOKE_DONE) {
		if (s->cell != ZERO)
			found = "leak";
		n.session = B_HAS;
		n.cell = B_DATA;
		n.revoke = REVOKE_NEVER + 4;	/* B comes once */
		reach(&n, at, "B gets the slab and writes");
	}
	n = *s;
	if (s->alive && s->session == B_HAS) {
		n.session = HIDDEN;
		reach(&n, at, "B leaves");
	}
}

static void step_failures(const struct state *s, uint32_t at)
{
	struct state n = *s;

	if (s->alive && s->losses) {
		n.losses--;
		n.alive = 0;
		n.session = NO_SESSION;
		n.donor_qp = 0;
		n.old_qp = 0;
		n.registered = 0;
		n.cell = ZERO;
		reach(&n, at, "the donor dies");
	}
	n = *s;
	if (!s->alive) {
		n.alive = 1;
		n.donor_generation++;
		reach(&n, at, "the donor returns");
	}
	n = *s;
	if (!s->mirror_gone && s->losses) {
		n.losses--;
		n.mirror_gone = 1;
		n.mirror = ZERO;
		n.mirror_has = 0;
		if (n.evicting == 2)
			n.evicting = 0;
		reach(&n, at, "the mirror dies");
	}
}

static void step_revoke(const struct state *s, uint32_t at)
{
	struct state n = *s;

	if (s->alive && s->session == SESSION && s->revoke == REVOKE_NEVER &&
	    s->link == LINK_ACTIVE && s->grant && s->qp == s->donor_qp) {
		n.revoke = REVOKE_SENT;
		reach(&n, at, "the donor revokes");
	}
	n = *s;
	/* only what is in DRAM may go: a mirror alone would be one copy */
	if (s->revoke == REVOKE_SENT && s->link == LINK_ACTIVE && s->grant && !s->evicting &&
	    !s->reading && (s->dram || mutation == GIVE_BACK_EARLY)) {
		n.revoke = GIVE_BACK_SENT;
		n.donor_has = 0;
		n.grant = 0;
		reach(&n, at, "A gives back");
		/* and, being hostile, writes on */
		if (post(&n, OP_WRITE, EVIL))
			reach(&n, at, "A gives back and writes once more");
	}
	n = *s;
	if (s->revoke == GIVE_BACK_SENT && s->alive && s->session == SESSION &&
	    s->qp == s->donor_qp) {
		n.revoke = REVOKE_DONE;
		n.session = ENDING;	/* the connection goes on for a while */
		reach(&n, at, "the donor takes it back");
	}
	n = *s;
	if ((s->revoke == GIVE_BACK_SENT || s->revoke == REVOKE_SENT) && s->link != LINK_ACTIVE) {
		n.revoke = REVOKE_DONE;	/* the message is lost with the connection */
		reach(&n, at, "a revoke is forgotten");
	}
	n = *s;
	/* grace is over while A is away */
	if (s->alive && s->session == LINGER && s->registered && s->losses &&
	    s->revoke == REVOKE_DONE) {
		n.losses--;
		n.registered = 0;
		n.cell = ZERO;
		reach(&n, at, "the donor takes it by force");
	}
}

/* --- what must hold --------------------------------------------------------------- */

/* A waits for nothing: the guest can go on. */
static bool at_ease(const struct state *s)
{
	return s->dram && !s->evicting && !s->reading;
}

static void print_way(uint32_t at)
{
	static uint32_t way[4096];
	unsigned int n = 0;

	while (at && n < 4096) {
		way[n++] = at;
		at = node[at].from;
	}
	while (n--)
		printf("#   %s\n", node[way[n]].step);
}

/* A state from which no state at ease can be reached, or UINT32_MAX. */
static uint32_t find_stuck(void)
{
	uint32_t *first = calloc(nodes + 2, sizeof(*first));
	uint32_t *prev = calloc(edges + 1, sizeof(*prev));
	uint32_t *stack = calloc(nodes + 1, sizeof(*stack)), top = 0, stuck = UINT32_MAX;
	bool *good = calloc(nodes + 1, sizeof(*good));

	if (!first || !prev || !stack || !good) {
		perror("model");
		exit(1);
	}
	for (size_t i = 0; i < edges; i++)
		first[edge[i].to + 1]++;
	for (uint32_t i = 0; i < nodes; i++)
		first[i + 1] += first[i];
	for (size_t i = 0; i < edges; i++)
		prev[first[edge[i].to]++] = edge[i].from;
	for (uint32_t i = nodes; i > 0; i--)
		first[i] = first[i - 1];
	first[0] = 0;
	for (uint32_t i = 0; i < nodes; i++) {
		if (at_ease(&node[i].s)) {
			good[i] = true;
			stack[top++] = i;
		}
	}
	while (top) {
		uint32_t to = stack[--top];

		for (uint32_t i = first[to]; i < first[to + 1]; i++) {
			if (!good[prev[i]]) {
				good[prev[i]] = true;
				stack[top++] = prev[i];
			}
		}
	}
	for (uint32_t i = 0; i < nodes && stuck == UINT32_MAX; i++) {
		if (!good[i])
			stuck = i;
	}
	free(first);
	free(prev);
	free(stack);
	free(good);
	return stuck;
}

int main(int argc, char **argv)
{
	struct state first = { .dram = 1, .alive = 1, .donor_generation = 1, .flaps = FLAPS,
			       .losses = LOSSES };
	uint32_t at;

	if (argc > 1 && !strcmp(argv[1], "--list")) {
		for (unsigned int i = 1; i < MUTATIONS; i++)
			printf("%s %s\n", mutations[i].name, mutations[i].finds);
		return 0;
	}
	for (unsigned int i = 0; argc > 1 && i < MUTATIONS; i++) {
		if (!strcmp(argv[1], mutations[i].name))
			mutation = i;
	}
	if (argc > 2 || (argc > 1 && mutation == NONE && strcmp(argv[1], "none"))) {
		fprintf(stderr, "usage: model [MUTATION | --list]\n");
		return 2;
	}
	reach(&first, 0, "");
	for (at = 0; at < nodes && !found; at++) {
		struct state s = node[at].s;

		step_guest(&s, at);
		step_evict(&s, at);
		step_answers(&s, at);
		step_link(&s, at);
		step_handshake(&s, at);
		step_donor(&s, at);
		step_failures(&s, at);
		step_revoke(&s, at);
	}
	at--;
	if (!found) {
		uint32_t stuck = find_stuck();

		if (stuck != UINT32_MAX) {
			found = "stuck";
			at = stuck;
		}
	}
	printf("# %u states, %zu steps\n", nodes, edges);
	if (!found) {
		printf("none\n");
		return 0;
	}
	printf("%s\n", found);
	print_way(at);
	return 3;
}
