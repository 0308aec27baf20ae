// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every state that the donor protocol (docs/wire-donor.md) can get into, with a
 * client A that has blocks on a donor, perhaps a mirror of them, and another
 * client B that wants a slab. Block i lies in slab i.
 *
 *	A	its guest writes and touches blocks; they are written back to donor
 *		and mirror, leave DRAM and are read again. One connection for words;
 *		data goes over it too, or (--data) over one of its own. A may be killed
 *	donor	sessions, queue pairs, registrations, slabs; it zeroes, lingers,
 *		revokes; its process may stop, die, and come back
 *	between	requests and answers that arrive late, in any order, or never
 *
 * Failures, in any order and at any time, are bounded by budgets: breaks of a
 * connection (also a deadline that passes for no other reason), losses (of the
 * donor's data or the mirror's), lies of a device (a READ that succeeds and
 * moves nothing), stops of the donor's process.
 *
 * In each state:
 *	lost	what was written back can be read somewhere, as long as no more was
 *		lost than is promised: one copy with a mirror, none without
 *	stale	what is read is what was written last
 *	leak	a slab is granted with zeros only, and nobody but its owner changes it
 *	stuck	from everywhere a state can be reached, without luck, in which A
 *		waits for nothing and knows what it has; when A is dead, one in which
 *		the donor has its memory back
 *
 * usage: model [OPTION]...	(--help) --without takes one rule of the protocol
 * away. Prints what was found and the way to it; exit status 0: nothing found,
 * 3: found, 2: usage, 1: error.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_walk.h"

#define VERSIONS 2	/* writes of the guest to a block */
#define NET 3		/* requests and answers under way */
#define QPS 8		/* numbers of queue pairs */
#define BLOCKS_MAX 2

/* What lies in a slab or is read, besides versions 1.. of A's block. */
#define ZERO 0
#define UNTOUCHED 13	/* what was in the buffer */
#define EVIL 14		/* written by A after it gave the slab back */
#define B_DATA 15

enum { LINK_NONE, LINK_OPENING, LINK_ACTIVE, LINK_BROKEN, LINK_RESUMING };
enum { DATA_NONE, DATA_UP, DATA_BROKEN };
enum { NO_SESSION, SESSION, LINGER, ENDING };
enum { HS_NONE, HS_OPEN, HS_RESUME, HS_ACCEPT, HS_REJECT, HS_JOIN, HS_JOINED };
enum { OP_NONE, OP_WRITE, OP_READ, WRITTEN, READ_DONE, REFUSED };
enum { IDLE, TO_DONOR, TO_MIRROR, READING };
enum { READY, GRANTED_A, GRANTED_B, HIDDEN, HALF };
enum { KEEP, REVOKE_SENT, GIVE_BACK_SENT, ANSWERED };
enum { NOTHING, REVOKED, GOODBYE };

struct op {
	uint8_t kind, qp, block, value;
};

struct block {
	/* A's host */
	uint8_t current;	/* version that the guest wrote last */
	uint8_t dram;		/* is it in DRAM? */
	uint8_t want;		/* the guest waits for it */
	uint8_t busy;		/* IDLE... */
	uint8_t version;	/* that is being written */
	uint8_t donor_has;	/* version that A believes to be at the donor; 0: none */
	uint8_t mirror_has;
	uint8_t grant;		/* A believes that the slab is its own */
	uint8_t asked;		/* KEEP... */
	/* mirror */
	uint8_t mirror;
	/* donor */
	uint8_t slab;		/* READY... */
	uint8_t reg;		/* A's rkey is good */
	uint8_t cell;		/* what is in it */
};

struct model {
	struct block b[BLOCKS_MAX];
	uint8_t link, qp;	/* A's connection, its queue pair's number */
	uint8_t data, data_qp;
	uint8_t generation;	/* of the session's donor */
	uint8_t dead;		/* A */
	uint8_t mirror_gone;
	struct op net[NET];
	uint8_t handshake, hs_qp, hs_generation;
	uint8_t hs_grants;	/* in an accept: a bit a block */
	uint8_t told;		/* NOTHING...: the donor's word to A */
	uint8_t alive, stopped, donor_generation, session;
	uint8_t qps;		/* queue pairs that the donor has: a bit each */
	uint8_t control;	/* of the control connection */
	uint8_t b_came;
	uint8_t counted;	/* this session's end is a loss that was counted */
	uint8_t excess;		/* losses beyond the budget: nothing is promised then */
	/* budgets */
	uint8_t breaks, losses, lies, stops, kills, revokes;
};

_Static_assert(sizeof(struct model) <= WALK_BYTES, "a state has to fit");

enum rule {
	ALL,
	GENERATION, FORGET, BOTH_COPIES, UNKNOWN_EFFECT, LATE_ANSWERS, DEADLINE, GIVE_UP,
	LIST, GIVE_BACK_LAST, PING, SUSPECT, MAC, REPLACES,
	OLD_QPS, DEREGISTER_FIRST, ZEROING, ZEROED_FIRST, LINGER_ENDS, FENCE_ON_END,
	RULES,
};

/* Each rule, what is found without it, and where it is needed. */
static const struct {
	const char *name, *finds, *options, *text;
} rules[RULES] = {
	[ALL] = { "none", "", "", "" },
	[GENERATION] = { "generation", "stale", "--mac 0 --stops 0 --kills 0 --revokes 0",
		"a donor of another generation has not got the data" },
	[FORGET] = { "forget", "stale", "--mac 0 --stops 0 --kills 0 --revokes 0",
		"a new session holds nothing of the old one's" },
	[BOTH_COPIES] = { "both-copies", "lost", "--stops 0 --kills 0 --revokes 0",
		"a block leaves DRAM when all its copies were acknowledged" },
	[UNKNOWN_EFFECT] = { "unknown-effect", "lost", "--stops 0 --kills 0 --revokes 0",
		"what failed has an unknown effect, and counts as not written" },
	[LATE_ANSWERS] = { "late-answers", "stale", "--mac 0 --stops 0 --kills 0 --revokes 0",
		"nothing of a connection that broke is believed" },
	[DEADLINE] = { "deadline", "stuck", "--stops 0 --kills 0 --revokes 0",
		"an operation without an answer ends, and breaks its connection" },
	[GIVE_UP] = { "give-up", "stuck", "--stops 0 --kills 0 --revokes 0",
		"a donor that cannot be reached for too long is lost" },
	[LIST] = { "list", "stuck", "--mirror 0",
		"after RESUME the client asks what it still has" },
	[GIVE_BACK_LAST] = { "give-back-last", "lost", "--stops 0 --kills 0 --breaks 0",
		"what is given back is in DRAM, or elsewhere with all its copies" },
	[PING] = { "ping", "lost", "--mirror 0",
		"a client that has nothing to say pings" },
	[SUSPECT] = { "suspect", "lost", "--mirror 0",
		"a donor that does not answer pings still has the data" },
	[MAC] = { "mac", "stale", "--lies 1 --stops 0 --kills 0 --revokes 0",
		"no READ is trusted without a check of one's own" },
	[REPLACES] = { "replaces", "stale", "--mac 0 --data --stops 0 --kills 0 --revokes 0",
		"a JOIN names the connection that it replaces" },
	[OLD_QPS] = { "old-queue-pairs", "stale", "--mac 0 --stops 0 --kills 0 --revokes 0",
		"RESUME destroys the session's queue pairs before it accepts" },
	[DEREGISTER_FIRST] = { "deregister-first", "leak", "--stops 0 --kills 0 --breaks 0",
		"a slab is deregistered before it is zeroed" },
	[ZEROING] = { "zeroing", "leak", "--stops 0 --kills 0 --revokes 0", "a slab that comes back is zeroed" },
	[ZEROED_FIRST] = { "zeroed-first", "leak", "--stops 0 --kills 0 --revokes 0",
		"what is being zeroed is not granted" },
	[LINGER_ENDS] = { "linger-ends", "stuck", "--stops 0 --revokes 0",
		"a session without a connection ends" },
	[FENCE_ON_END] = { "replace-ends", "stale", "--mac 0 --data --stops 0 --kills 0 --revokes 0",
		"the donor destroys what a JOIN replaces before it accepts" },
};

static enum rule without;

/* what there is, and how often it may fail */
static unsigned int blocks = 1;
static bool mirrored = true, checked = true, own_data;
static struct model budget = { .breaks = 2, .losses = 1, .lies = 0, .stops = 1, .kills = 1,
			       .revokes = 1 };
static const char *wrong;	/* with the state that is being looked at */

static bool holds(enum rule r)
{
	return without != r;
}

/* Over which queue pair A's data goes now; 0: none. */
static uint8_t data_path(const struct model *m)
{
	if (m->link != LINK_ACTIVE)
		return 0;
	if (!own_data)
		return m->qp;
	return m->data == DATA_UP ? m->data_qp : 0;
}

static bool is_answer(const struct op *op)
{
	return op->kind == WRITTEN || op->kind == READ_DONE || op->kind == REFUSED;
}

/* What can have no effect any more; and the order of what is under way says nothing. */
static void tidy(struct model *m)
{
	for (unsigned int k = 0; k < NET; k++) {
		struct op *op = &m->net[k];
		bool heard = holds(LATE_ANSWERS) ? op->qp == data_path(m) && !m->dead : !m->dead;

		if (is_answer(op) ? !heard : !(m->qps & 1 << op->qp))
			*op = (struct op){ 0 };
	}
	for (unsigned int k = 1; k < NET; k++) {
		struct op op = m->net[k];
		unsigned int at = k;

		for (; at && memcmp(&m->net[at - 1], &op, sizeof(op)) < 0; at--)
			m->net[at] = m->net[at - 1];
		m->net[at] = op;
	}
	if (m->handshake != HS_ACCEPT && m->handshake != HS_JOINED) {
		m->hs_qp = 0;
		m->hs_generation = 0;
		m->hs_grants = 0;
	}
	if (m->link != LINK_ACTIVE)
		m->qp = 0;
	if (m->link != LINK_ACTIVE || m->data == DATA_NONE)
		m->data_qp = 0;
	for (unsigned int i = 0; i < blocks; i++)
		if (m->b[i].busy == IDLE)
			m->b[i].version = 0;
}

static void reach_flags(const struct model *m, const char *text, uint8_t block, unsigned int flags)
{
	struct walk_state s = { 0 };
	struct model n = *m;

	tidy(&n);
	memcpy(s.bytes, &n, sizeof(n));
	walk_reach(&s, text, block, flags);
}

static void reach(const struct model *m, const char *text)
{
	reach_flags(m, text, WALK_NO_BLOCK, 0);
}

static void reach_block(const struct model *m, const char *text, unsigned int i)
{
	reach_flags(m, text, i, 0);
}

/* It may happen, and nobody may rely on it. */
static void chance(const struct model *m, const char *text)
{
	reach_flags(m, text, WALK_NO_BLOCK, WALK_CHANCE);
}

/* --- A --------------------------------------------------------------------------- */

static bool post(struct model *m, uint8_t kind, unsigned int block, uint8_t value)
{
	uint8_t qp = data_path(m);

	for (unsigned int i = 0; qp && i < NET; i++) {
		if (m->net[i].kind == OP_NONE) {
			m->net[i] = (struct op){ kind, qp, block, value };
			return true;
		}
	}
	return false;
}

/* What was under way to the donor has failed, with an effect that nobody knows. */
static void fail_data(struct model *m)
{
	for (unsigned int i = 0; i < blocks; i++) {
		struct block *b = &m->b[i];

		if (b->busy == TO_DONOR && !holds(UNKNOWN_EFFECT))
			b->donor_has = b->version;
		if (b->busy == TO_DONOR || b->busy == READING)
			b->busy = IDLE;
	}
}

static void break_data(struct model *m)
{
	fail_data(m);
	m->data = DATA_BROKEN;
	if (m->handshake == HS_JOIN || m->handshake == HS_JOINED)
		m->handshake = HS_NONE;
}

static void break_link(struct model *m)
{
	m->link = m->link == LINK_OPENING ? LINK_NONE : LINK_BROKEN;
	m->handshake = HS_NONE;
	m->told = NOTHING;
	fail_data(m);
	m->data = DATA_NONE;
	for (unsigned int i = 0; i < blocks; i++) {
		/* words that are lost with the connection */
		if (m->b[i].asked == REVOKE_SENT)
			m->b[i].asked = ANSWERED;
	}
}

/* The donor has not got our data any more. */
static void lose_donor(struct model *m)
{
	if (m->link != LINK_BROKEN)
		break_link(m);
	m->link = LINK_NONE;
	m->generation = 0;
	for (unsigned int i = 0; i < blocks; i++) {
		m->b[i].grant = 0;
		if (holds(FORGET))
			m->b[i].donor_has = 0;
		if (m->b[i].asked == GIVE_BACK_SENT)
			m->b[i].asked = ANSWERED;
	}
}

static void lose_grant(struct block *b)
{
	b->grant = 0;
	b->donor_has = 0;
}

/* Does A believe that it can read the block from the donor, now or later? */
static bool on_donor(const struct model *m, const struct block *b)
{
	return m->link != LINK_NONE && b->grant && b->donor_has == b->current;
}

static bool on_mirror(const struct model *m, const struct block *b)
{
	return mirrored && !m->mirror_gone && b->mirror_has == b->current;
}

static unsigned int losses(const struct model *m)
{
	return budget.losses - m->losses + m->excess;
}

/* Is this the end of data that A counts on? Then it is a loss; false: none is left. */
static bool count_loss(struct model *m)
{
	bool needed = false;

	for (unsigned int i = 0; i < blocks; i++)
		needed |= m->b[i].grant;
	if (m->dead || m->link == LINK_NONE || m->link == LINK_OPENING || m->counted || !needed)
		return true;
	if (!m->losses)
		return false;
	m->losses--;
	m->counted = 1;
	return true;
}

/* May it leave DRAM? */
static bool clean(const struct model *m, const struct block *b)
{
	if (!mirrored)
		return on_donor(m, b);
	if (!holds(BOTH_COPIES))
		return on_donor(m, b) || on_mirror(m, b);
	if (m->mirror_gone)
		return on_donor(m, b);
	/* after the loss of the donor's copy the mirror alone has to do */
	return on_mirror(m, b) && (on_donor(m, b) || (!b->grant && losses(m)));
}

static void step_guest(const struct model *m, unsigned int i)
{
	const struct block *b = &m->b[i];
	struct model n = *m;

	if (b->dram && b->current < VERSIONS) {
		n.b[i].current++;
		reach_block(&n, "the guest writes", i);
	}
	if (b->dram || !b->current)
		return;
	if (!on_donor(m, b) && !on_mirror(m, b)) {
		if (losses(m) <= (mirrored ? 1 : 0))
			wrong = "lost";
		if (b->want && b->busy == IDLE) {
			n = *m;
			n.b[i].want = 0;
			reach_block(&n, "the guest is told that it is lost", i);
		}
		return;
	}
	if (!b->want) {
		n = *m;
		n.b[i].want = 1;
		reach_block(&n, "the guest waits", i);
		return;
	}
	if (b->busy != IDLE)
		return;
	n = *m;
	if (on_donor(m, b) && post(&n, OP_READ, i, 0)) {
		n.b[i].busy = READING;
		reach_block(&n, "A reads from the donor", i);
	} else if (on_mirror(m, b)) {
		if (b->mirror != b->current)
			wrong = "stale";
		n.b[i].dram = 1;
		n.b[i].want = 0;
		reach_block(&n, "A reads from the mirror", i);
	} else if (!data_path(m)) {
		/* an answer too: the guest tries again, or dies of it */
		n.b[i].want = 0;
		reach_block(&n, "the guest gets an error", i);
	}
}

static void step_evict(const struct model *m, unsigned int i)
{
	const struct block *b = &m->b[i];
	struct model n = *m;

	if (b->busy == TO_MIRROR) {
		n.b[i].busy = IDLE;
		n.b[i].mirror = b->version;
		n.b[i].mirror_has = b->version;
		reach_block(&n, "the mirror has it", i);
	}
	if (!b->dram || b->busy != IDLE || !b->current)
		return;
	n = *m;
	if (clean(m, b)) {
		n.b[i].dram = 0;
		reach_block(&n, "A drops it from DRAM", i);
	}
	n = *m;
	if (mirrored && !m->mirror_gone && b->mirror_has != b->current) {
		n.b[i].busy = TO_MIRROR;
		n.b[i].version = b->current;
		n.b[i].mirror_has = 0;
		reach_block(&n, "A writes to the mirror", i);
	}
	n = *m;
	if (b->donor_has != b->current && b->grant && post(&n, OP_WRITE, i, b->current)) {
		n.b[i].busy = TO_DONOR;
		n.b[i].version = b->current;
		n.b[i].donor_has = 0;	/* overwritten from now on */
		reach_block(&n, "A writes to the donor", i);
	}
}

/* An answer of the donor's device arrives. */
static void step_answer(const struct model *m, unsigned int k)
{
	const struct op *op = &m->net[k];
	const struct block *b = &m->b[op->block];
	struct model n = *m;
	struct block *nb = &n.b[op->block];
	bool known = data_path(m) == op->qp || (!holds(LATE_ANSWERS) && data_path(m));

	n.net[k] = (struct op){ 0 };
	if (!known)
		return;
	if (op->kind == REFUSED) {
		if (own_data)
			break_data(&n);
		else
			break_link(&n);
		/* the access itself ends with an error, or goes to the mirror */
		if (b->busy == READING && !on_mirror(m, b))
			nb->want = 0;
		reach_block(&n, "A is told that its access was refused", op->block);
	} else if (op->kind == WRITTEN && b->busy == TO_DONOR) {
		nb->busy = IDLE;
		nb->donor_has = b->version;
		reach_block(&n, "the donor has it", op->block);
	} else if (op->kind == READ_DONE && b->busy == READING) {
		nb->busy = IDLE;
		if (op->value == b->current || !checked || !holds(MAC)) {
			if (op->value != b->current)
				wrong = "stale";
			nb->dram = 1;
			nb->want = 0;
			reach_block(&n, "A has read", op->block);
			return;
		}
		if (!on_mirror(m, b))
			nb->want = 0;
		else if (op->value != UNTOUCHED)
			nb->donor_has = 0;
		reach_block(&n, "A sees that it read something else", op->block);
		if (on_mirror(m, b)) {
			nb->dram = 1;
			nb->want = 0;
			nb->donor_has = 0;	/* and is dirty */
			reach_block(&n, "A takes the mirror's instead", op->block);
		}
	} else {
		reach_block(&n, "an answer comes that nobody waits for", op->block);
	}
}

/* Can nothing come any more over A's connection, if there is no luck? */
static bool silent(const struct model *m)
{
	if (m->link == LINK_ACTIVE)
		return !(m->qps & 1 << m->qp);
	return !m->alive || m->stopped || m->handshake == HS_NONE;
}

static void step_link(const struct model *m)
{
	bool connected = m->link != LINK_NONE && m->link != LINK_BROKEN;
	struct model n = *m;

	if (connected && m->breaks) {
		n.breaks--;
		break_link(&n);
		chance(&n, "the connection breaks");
	}
	n = *m;
	if (connected && holds(DEADLINE) && silent(m)) {
		break_link(&n);
		reach(&n, "A's deadline passes");
	}
	n = *m;
	if (m->link == LINK_BROKEN) {
		n.link = LINK_RESUMING;
		n.handshake = HS_RESUME;
		reach(&n, "A asks to resume");
	}
	n = *m;
	/* the session's linger is over, and the donor was not heard of */
	if (holds(GIVE_UP) && (m->link == LINK_BROKEN || m->link == LINK_RESUMING) &&
	    (!m->alive || m->stopped)) {
		if (m->alive && !count_loss(&n))
			n.excess = 1;
		lose_donor(&n);
		reach(&n, "A gives the donor up");
	}
	n = *m;
	/* three heartbeats without an answer */
	if (!holds(SUSPECT) && m->link == LINK_ACTIVE && m->stopped) {
		lose_donor(&n);
		reach(&n, "A takes silence for death");
	}
	n = *m;
	if (m->link == LINK_NONE) {
		n.link = LINK_OPENING;
		n.handshake = HS_OPEN;
		reach(&n, "A opens a session");
	}
	n = *m;
	if (m->link != LINK_ACTIVE)
		return;
	if (m->told == REVOKED) {
		n.told = NOTHING;
		for (unsigned int i = 0; i < blocks; i++)
			if (n.b[i].grant && !m->b[i].reg && n.b[i].asked != GIVE_BACK_SENT)
				lose_grant(&n.b[i]);
		reach(&n, "A hears that memory was taken");
	} else if (m->told == GOODBYE) {
		lose_donor(&n);
		reach(&n, "A hears that the session has ended");
	}
}

static void step_data(const struct model *m)
{
	struct model n = *m;

	if (!own_data || m->link != LINK_ACTIVE)
		return;
	if (m->data == DATA_UP && m->breaks) {
		n.breaks--;
		break_data(&n);
		chance(&n, "the data connection breaks");
	}
	n = *m;
	if (m->data == DATA_UP && holds(DEADLINE) && (!m->alive || !(m->qps & 1 << m->data_qp))) {
		break_data(&n);
		reach(&n, "A's deadline passes on the data connection");
	}
	n = *m;
	if (m->data != DATA_UP && m->handshake == HS_NONE) {
		n.handshake = HS_JOIN;
		reach(&n, "A joins a data connection");
	}
	n = *m;
	if (m->handshake == HS_JOINED) {
		n.handshake = HS_NONE;
		n.data = DATA_UP;
		n.data_qp = m->hs_qp;
		reach(&n, "the data connection stands");
	}
}

static void accepted(const struct model *m)
{
	bool resumed = m->link == LINK_RESUMING;
	struct model n = *m;

	n.handshake = HS_NONE;
	n.link = LINK_ACTIVE;
	n.qp = m->hs_qp;
	n.data = DATA_NONE;
	n.data_qp = 0;
	if (resumed && m->generation != m->hs_generation && holds(GENERATION)) {
		lose_donor(&n);
		reach(&n, "A sees another generation");
		return;
	}
	n.generation = m->hs_generation;
	for (unsigned int i = 0; i < blocks; i++) {
		struct block *b = &n.b[i];
		bool granted = m->hs_grants & 1 << i;

		if (!resumed) {
			if (holds(FORGET))
				b->donor_has = 0;
			b->grant = granted;
		} else if (!granted && holds(LIST)) {
			lose_grant(b);	/* it was taken while A was away */
		}
		if (b->asked == GIVE_BACK_SENT && granted) {
			/* the donor did not hear of it, and A holds it again */
			b->grant = holds(LIST);
			b->asked = ANSWERED;
		}
	}
	reach(&n, resumed ? "A is connected again" : "A is connected");
}

static void step_handshake(const struct model *m)
{
	struct model n = *m;

	if (m->handshake == HS_REJECT) {
		if (m->link == LINK_RESUMING)
			lose_donor(&n);
		n.handshake = HS_NONE;
		n.link = LINK_NONE;
		reach(&n, "A is refused");
	} else if (m->handshake == HS_ACCEPT) {
		accepted(m);
	}
}

static void step_give_back(const struct model *m, unsigned int i)
{
	const struct block *b = &m->b[i];
	struct model n = *m;

	/* A mirror alone would be one copy: only what is in DRAM may go. */
	if (b->asked != REVOKE_SENT || m->link != LINK_ACTIVE || !b->grant || b->busy != IDLE ||
	    (b->current && !b->dram && holds(GIVE_BACK_LAST)))
		return;
	n.b[i].asked = GIVE_BACK_SENT;
	lose_grant(&n.b[i]);
	reach_block(&n, "A gives it back", i);
	/* and, being hostile, writes on */
	if (post(&n, OP_WRITE, i, EVIL))
		reach_block(&n, "A gives it back and writes once more", i);
}

static void step_killed(const struct model *m)
{
	struct model n = *m;

	if (!m->kills)
		return;
	n.kills--;
	n.dead = 1;
	break_link(&n);
	n.link = LINK_NONE;
	for (unsigned int i = 0; i < blocks; i++) {
		n.b[i].busy = IDLE;
		n.b[i].want = 0;
	}
	chance(&n, "A is killed");
}

/* --- the donor ---------------------------------------------------------------------- */

/* A number that nobody knows. */
static uint8_t new_qp(struct model *m)
{
	uint8_t used = 1 | m->qps | 1 << m->qp | 1 << m->data_qp | 1 << m->control, qp = 1;

	for (unsigned int k = 0; k < NET; k++)
		used |= 1 << m->net[k].qp;
	while (qp < QPS - 1 && used & 1 << qp)
		qp++;
	m->qps |= 1 << qp;
	return qp;
}

static uint8_t grants(const struct model *m)
{
	uint8_t mask = 0;

	for (unsigned int i = 0; i < blocks; i++)
		if (m->b[i].slab == GRANTED_A && m->b[i].reg)
			mask |= 1 << i;
	return mask;
}

static bool may_grant(const struct block *b)
{
	return b->slab == READY || (!holds(ZEROED_FIRST) && b->slab == HIDDEN);
}

static void grant_all(struct model *m)
{
	for (unsigned int i = 0; i < blocks; i++) {
		struct block *b = &m->b[i];

		if (!may_grant(b))
			continue;
		if (b->cell != ZERO)
			wrong = "leak";
		b->slab = GRANTED_A;
		b->reg = 1;
	}
}

static void step_connect(const struct model *m)
{
	bool kept = m->session == SESSION || m->session == LINGER, taken = false;
	struct model n = *m;

	if (m->handshake == HS_JOIN && m->session == SESSION && m->qps & 1 << m->qp) {
		if (holds(REPLACES) && holds(FENCE_ON_END))
			n.qps &= ~(1 << m->data_qp);
		n.handshake = HS_JOINED;
		n.hs_qp = new_qp(&n);
		reach(&n, "the donor takes the data connection");
	}
	if (m->handshake != HS_OPEN && m->handshake != HS_RESUME)
		return;
	n = *m;
	if (m->handshake == HS_RESUME && kept && m->generation == m->donor_generation) {
		if (holds(OLD_QPS))
			n.qps = 0;
		taken = true;
	} else if (m->session == NO_SESSION &&
		   (m->handshake == HS_OPEN || m->generation != m->donor_generation)) {
		/* A RESUME too: a donor that came back is thought to be so bold. */
		grant_all(&n);
		n.counted = 0;
		taken = true;
	}
	if (taken) {
		n.session = SESSION;
		n.handshake = HS_ACCEPT;
		n.hs_qp = new_qp(&n);
		n.control = n.hs_qp;
		n.hs_generation = m->donor_generation;
		n.hs_grants = grants(&n);
		reach(&n, m->handshake == HS_OPEN ? "the donor opens" : "the donor resumes");
	}
	if (m->handshake == HS_RESUME && (!kept || m->generation != m->donor_generation)) {
		n = *m;
		n.handshake = HS_REJECT;
		reach(&n, "the donor refuses");
	} else if (m->handshake == HS_OPEN && m->session != NO_SESSION) {
		n = *m;
		n.handshake = HS_REJECT;
		reach(&n, "the donor is full");
	}
}

/* A request arrives at the donor's device; no process has a part in it. */
static void step_arrives(const struct model *m, unsigned int k)
{
	const struct op *op = &m->net[k];
	const struct block *b = &m->b[op->block];
	struct model n = *m;
	struct block *nb = &n.b[op->block];

	if (!b->reg) {
		n.net[k].kind = REFUSED;
		n.qps &= ~(1 << op->qp);
		reach_block(&n, "the donor's device refuses an access", op->block);
		return;
	}
	if (op->kind == OP_WRITE) {
		if (b->slab == GRANTED_B)
			wrong = "leak";
		nb->cell = op->value;
		n.net[k].kind = op->value == EVIL ? OP_NONE : WRITTEN;
		if (n.net[k].kind == OP_NONE)
			n.net[k] = (struct op){ 0 };
		reach_block(&n, "a WRITE arrives", op->block);
		return;
	}
	n.net[k].kind = READ_DONE;
	n.net[k].value = b->cell;
	reach_block(&n, "a READ arrives", op->block);
	if (m->lies) {
		n.lies--;
		n.net[k].value = UNTOUCHED;
		n.qps &= ~(1 << op->qp);
		reach_flags(&n, "a READ succeeds and moves nothing", op->block, WALK_CHANCE);
	}
}

/* Queue pairs first, then registrations; zeroed later. */
static void end_session(struct model *m)
{
	m->qps = 0;
	m->control = 0;
	m->session = NO_SESSION;
	for (unsigned int i = 0; i < blocks; i++) {
		struct block *b = &m->b[i];

		if (b->slab != GRANTED_A)
			continue;
		if (holds(DEREGISTER_FIRST))
			b->reg = 0;
		b->slab = HIDDEN;
	}
}

static void step_session(const struct model *m)
{
	bool away = m->link != LINK_ACTIVE || m->qp != m->control;
	struct model n = *m;

	/* so is an accept that is under way */
	if (m->session == SESSION && away && m->handshake != HS_ACCEPT) {
		n.session = LINGER;
		n.qps = 0;
		n.control = 0;
		reach(&n, "the donor notices");
	}
	n = *m;
	if (m->session == SESSION && !away && !(m->qps & 1 << m->control)) {
		n.session = LINGER;
		n.qps = 0;
		n.control = 0;
		reach(&n, "the donor's end breaks");
	}
	n = *m;
	if (m->session == LINGER && holds(LINGER_ENDS) && count_loss(&n)) {
		end_session(&n);
		reach(&n, "the session expires");
	}
	n = *m;
	/* nothing was heard of A for too long, which is only so when it does not ping */
	if (m->session == SESSION && !away && !holds(PING)) {
		end_session(&n);
		n.told = GOODBYE;
		reach(&n, "the donor takes A for dead");
	}
}

static void step_slab(const struct model *m, unsigned int i)
{
	const struct block *b = &m->b[i];
	struct model n = *m;

	if (b->slab == HIDDEN) {
		n.b[i].cell = holds(ZEROING) ? ZERO : b->cell;
		n.b[i].slab = b->reg ? HALF : READY;
		reach_block(&n, "the donor zeroes", i);
	}
	n = *m;
	if (b->slab == HALF) {
		n.b[i].reg = 0;
		n.b[i].slab = READY;
		reach_block(&n, "the donor deregisters, at last", i);
	}
	n = *m;
	if (b->asked == GIVE_BACK_SENT && m->session == SESSION && m->qp == m->control &&
	    b->slab == GRANTED_A) {
		n.b[i].asked = ANSWERED;
		n.b[i].slab = HIDDEN;
		if (holds(DEREGISTER_FIRST))
			n.b[i].reg = 0;
		reach_block(&n, "the donor takes it back", i);
	}
	n = *m;
	if (m->session == SESSION && b->asked == KEEP && m->revokes && m->link == LINK_ACTIVE &&
	    b->grant && b->slab == GRANTED_A && m->qp == m->control) {
		n.revokes--;
		n.b[i].asked = REVOKE_SENT;
		reach_flags(&n, "the donor revokes", i, WALK_CHANCE);
	}
	n = *m;
	/* grace is over: taken by force, whether A is there or not */
	if ((m->session == LINGER || (m->session == SESSION && m->told == NOTHING)) &&
	    b->slab == GRANTED_A && b->asked != KEEP && b->asked != GIVE_BACK_SENT &&
	    (!b->grant || m->losses)) {
		n.losses -= b->grant && m->losses;
		n.b[i].slab = HIDDEN;
		n.b[i].asked = ANSWERED;
		if (holds(DEREGISTER_FIRST))
			n.b[i].reg = 0;
		if (m->session == SESSION &&
		    (m->qp == m->control || (m->handshake == HS_ACCEPT && m->hs_qp == m->control)))
			n.told = REVOKED;
		reach_flags(&n, "the donor takes it by force", i, WALK_CHANCE);
	}
	n = *m;
	if (may_grant(b) && !m->b_came && m->handshake == HS_NONE && b->current) {
		if (b->cell != ZERO)
			wrong = "leak";
		n.b_came = 1;
		n.b[i].slab = GRANTED_B;
		n.b[i].cell = B_DATA;
		reach_flags(&n, "B gets the slab and writes", i, WALK_CHANCE);
	}
	n = *m;
	if (b->slab == GRANTED_B) {
		n.b[i].slab = HIDDEN;
		reach_block(&n, "B leaves", i);
	}
}

static void step_failures(const struct model *m)
{
	struct model n = *m;

	if (m->alive && (m->losses || m->counted || m->dead) && count_loss(&n)) {
		n.alive = 0;
		n.stopped = 0;
		n.qps = 0;
		n.control = 0;
		n.session = NO_SESSION;
		n.told = NOTHING;
		if (n.handshake != HS_REJECT)
			n.handshake = HS_NONE;
		for (unsigned int i = 0; i < blocks; i++) {
			n.b[i].slab = READY;
			n.b[i].reg = 0;
			n.b[i].cell = ZERO;
		}
		chance(&n, "the donor dies");
	}
	n = *m;
	if (!m->alive) {
		n.alive = 1;
		/* one that nobody knows */
		n.donor_generation = 1;
		while (n.donor_generation == m->generation ||
		       n.donor_generation == m->donor_generation)
			n.donor_generation++;
		chance(&n, "the donor returns");
	}
	n = *m;
	if (m->alive && !m->stopped && m->stops) {
		n.stops--;
		n.stopped = 1;
		chance(&n, "the donor's process stops");
	}
	n = *m;
	if (m->stopped) {
		n.stopped = 0;
		chance(&n, "the donor's process goes on");
	}
	n = *m;
	if (mirrored && !m->mirror_gone && m->losses) {
		n.losses--;
		n.mirror_gone = 1;
		for (unsigned int i = 0; i < blocks; i++) {
			n.b[i].mirror = ZERO;
			n.b[i].mirror_has = 0;
			if (n.b[i].busy == TO_MIRROR)
				n.b[i].busy = IDLE;
		}
		chance(&n, "the mirror dies");
	}
}

/* --- all together ---------------------------------------------------------------------- */

static const char *steps(const struct walk_state *s)
{
	struct model m;

	memcpy(&m, s->bytes, sizeof(m));
	wrong = NULL;
	if (!m.dead) {
		for (unsigned int i = 0; i < blocks; i++) {
			step_guest(&m, i);
			step_evict(&m, i);
			step_give_back(&m, i);
		}
		step_link(&m);
		step_data(&m);
		step_handshake(&m);
		step_killed(&m);
	}
	for (unsigned int k = 0; k < NET; k++) {
		if (m.net[k].kind == OP_WRITE || m.net[k].kind == OP_READ)
			step_arrives(&m, k);
		else if (m.net[k].kind != OP_NONE)
			step_answer(&m, k);
	}
	if (m.alive && !m.stopped) {
		step_connect(&m);
		step_session(&m);
		for (unsigned int i = 0; i < blocks; i++)
			step_slab(&m, i);
	}
	step_failures(&m);
	return wrong;
}

/* A waits for nothing, and what it believes to have it has. */
static bool ease(const struct walk_state *s)
{
	struct model m;

	memcpy(&m, s->bytes, sizeof(m));
	for (unsigned int i = 0; i < blocks; i++) {
		const struct block *b = &m.b[i];

		if (m.dead) {
			if (m.alive && !m.stopped && b->slab != READY)
				return false;
			continue;
		}
		if (b->want || b->busy != IDLE)
			return false;
		if (m.link == LINK_ACTIVE && b->grant && !b->reg)
			return false;
	}
	return m.dead || m.link == LINK_NONE ||
	       (m.link == LINK_ACTIVE && m.alive && m.qps & 1 << m.qp);
}

/* What a reader of the way wants to know of a state. */
static void show(const struct walk_state *before, const struct walk_state *after)
{
	static const char *const links[] = { "none", "opening", "active", "broken", "resuming" };
	static const char *const sessions[] = { "none", "active", "linger", "ending" };
	static const char *const slabs[] = { "ready", "A's", "B's", "zeroing", "half" };
	struct model m;

	(void)before;
	memcpy(&m, after->bytes, sizeof(m));
	printf(" A %-8s qp %u |", m.dead ? "dead" : links[m.link], m.link == LINK_ACTIVE ? m.qp : 0);
	for (unsigned int i = 0; i < blocks; i++) {
		const struct block *b = &m.b[i];

		printf(" v%u %s d%u m%u |", b->current, b->dram ? "dram" : "    ",
		       b->donor_has, b->mirror_has);
	}
	printf(" donor %s", !m.alive ? "dead" : m.stopped ? "stopped" : sessions[m.session]);
	for (unsigned int i = 0; i < blocks; i++)
		printf(", %s%s has %u", slabs[m.b[i].slab], m.b[i].reg ? "" : "-", m.b[i].cell);
}

static void usage(FILE *out)
{
	fprintf(out, "usage: model [--mirror 0|1] [--mac 0|1] [--data] [--blocks 1|2] [--breaks N]\n"
		"             [--losses N] [--lies N] [--stops N] [--kills N] [--revokes N]\n"
		"             [--without RULE]\n"
		"       model --list	rules: name, what is found without it, options for that\n");
}

static int list(void)
{
	for (unsigned int i = 1; i < RULES; i++)
		printf("%s\t%s\t%s\t%s\n", rules[i].name, rules[i].finds, rules[i].options,
		       rules[i].text);
	return 0;
}

static int parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mirror", required_argument, NULL, 'm' }, { "mac", required_argument, NULL, 'c' },
		{ "data", no_argument, NULL, 'd' }, { "blocks", required_argument, NULL, 'b' },
		{ "breaks", required_argument, NULL, 'B' },
		{ "losses", required_argument, NULL, 'L' },
		{ "lies", required_argument, NULL, 'l' }, { "stops", required_argument, NULL, 's' },
		{ "kills", required_argument, NULL, 'k' },
		{ "revokes", required_argument, NULL, 'r' },
		{ "without", required_argument, NULL, 'w' }, { "list", no_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' }, { }
	};
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		uint8_t n = optarg && o != 'w' ? atoi(optarg) : 0;

		switch (o) {
		case 'm':
			mirrored = n;
			break;
		case 'c':
			checked = n;
			break;
		case 'd':
			own_data = true;
			break;
		case 'b':
			blocks = n;
			break;
		case 'B':
			budget.breaks = n;
			break;
		case 'L':
			budget.losses = n;
			break;
		case 'l':
			budget.lies = n;
			break;
		case 's':
			budget.stops = n;
			break;
		case 'k':
			budget.kills = n;
			break;
		case 'r':
			budget.revokes = n;
			break;
		case 'w':
			for (unsigned int i = 1; i < RULES; i++)
				if (!strcmp(optarg, rules[i].name))
					without = i;
			if (without == ALL) {
				fprintf(stderr, "model: there is no rule '%s' (--list)\n", optarg);
				return 2;
			}
			break;
		case 'i':
			exit(list());
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc || blocks < 1 || blocks > BLOCKS_MAX) {
		usage(stderr);
		return 2;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct walk_state first = { 0 };
	const char *found;
	uint32_t at, states;
	size_t nr_steps;
	int err = parse(argc, argv);

	if (err)
		return err;
	budget.alive = 1;
	budget.donor_generation = 1;
	for (unsigned int i = 0; i < blocks; i++)
		budget.b[i].dram = 1;
	memcpy(first.bytes, &budget, sizeof(budget));
	found = walk_all(&first, steps, ease, &at);
	walk_counts(&states, &nr_steps);
	printf("# %u states, %zu steps\n", states, nr_steps);
	printf("%s\n", found ? found : "none");
	if (found)
		walk_print(at, show);
	walk_free();
	return found ? 3 : 0;
}
