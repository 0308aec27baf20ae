// SPDX-License-Identifier: GPL-2.0-or-later
/* The client A: its guest, its blocks, its connections. */
#include <string.h>

#include "model.h"

static bool post(struct model *m, uint8_t kind, unsigned int block, uint8_t value)
{
	uint8_t qp = data_path(m);

	if (m->b[block].reach != IN_REACH && holds(PARK_WAITS))
		return false;
	for (unsigned int i = 0; qp && i < NET; i++) {
		if (m->net[i].kind == OP_NONE) {
			m->net[i] = (struct op){ kind, qp, block, value, m->b[block].key };
			return true;
		}
	}
	return false;
}

/* What was under way to the donor has failed, with an effect that nobody knows. */
static void fail_data(struct model *m)
{
	for (unsigned int i = 0; i < setup.blocks; i++) {
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
	m->cool = 0;
	fail_data(m);
	m->data = DATA_NONE;
	for (unsigned int i = 0; i < setup.blocks; i++) {
		/* words that are lost with the connection */
		memset(m->b[i].down, 0, sizeof(m->b[i].down));
		m->b[i].listing = 0;
		if (m->b[i].asked == REVOKE_SENT)
			m->b[i].asked = ANSWERED;
	}
}

void lose_grant(struct block *b)
{
	b->grant = 0;
	b->donor_has = 0;
	b->reach = IN_REACH;
	b->key = 0;
	b->listing = 0;
}

/* The donor has not got our data any more. */
static void lose_donor(struct model *m)
{
	if (m->link != LINK_BROKEN)
		break_link(m);
	m->link = LINK_NONE;
	m->generation = 0;
	for (unsigned int i = 0; i < setup.blocks; i++) {
		uint8_t had = m->b[i].donor_has;

		lose_grant(&m->b[i]);
		if (!holds(FORGET))
			m->b[i].donor_has = had;
		if (m->b[i].asked == GIVE_BACK_SENT)
			m->b[i].asked = ANSWERED;
	}
}

/* Does A believe that it can read the block from the donor, now or later? */
static bool on_donor(const struct model *m, const struct block *b)
{
	return m->link != LINK_NONE && b->grant && b->donor_has == b->current;
}

static bool on_mirror(const struct model *m, const struct block *b)
{
	return setup.mirrored && !m->mirror_gone && b->mirror_has == b->current;
}

/* May it leave DRAM? */
static bool clean(const struct model *m, const struct block *b)
{
	if (!setup.mirrored)
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
		if (losses(m) <= (setup.mirrored ? 1 : 0))
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
	} else if (!data_path(m) || (out_of_reach(m, i) && holds(FETCH_DEADLINE))) {
		/* an answer too: the guest tries again, or dies of it */
		n.b[i].want = 0;
		if (b->reach == FETCHING)
			n.b[i].reach = PARKED;
		reach_block(&n, "the guest gets an error", i);
	}
	if (on_donor(m, b))
		want_fetched(m, i);
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
	if (setup.mirrored && !m->mirror_gone && b->mirror_has != b->current) {
		n.b[i].busy = TO_MIRROR;
		n.b[i].version = b->current;
		n.b[i].mirror_has = 0;
		reach_block(&n, "A writes to the mirror", i);
	}
	if (b->donor_has != b->current)
		want_fetched(m, i);
	n = *m;
	if (b->donor_has != b->current && b->grant && post(&n, OP_WRITE, i, b->current)) {
		n.b[i].busy = TO_DONOR;
		n.b[i].version = b->current;
		n.b[i].donor_has = 0;	/* overwritten from now on */
		reach_block(&n, "A writes to the donor", i);
	}
}

/* An answer of the donor's device arrives. */
void step_answer(const struct model *m, unsigned int k)
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
		if (setup.own_data)
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
		if (op->value == b->current || !setup.checked || !holds(MAC)) {
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
		for (unsigned int i = 0; i < setup.blocks; i++)
			if (n.b[i].grant && !has_grant(&m->b[i]) &&
			    n.b[i].asked != GIVE_BACK_SENT)
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

	if (!setup.own_data || m->link != LINK_ACTIVE)
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
	for (unsigned int i = 0; i < setup.blocks; i++) {
		struct block *b = &n.b[i];
		bool granted = m->hs_grants & 1 << i;

		if (!resumed) {
			if (holds(FORGET))
				b->donor_has = 0;
			b->grant = granted;
			b->key = b->granted_key;
		} else if (!granted && holds(LIST_ASKED)) {
			lose_grant(b);	/* it was taken while A was away */
		} else if (granted) {
			ask_list(b);
		}
		if (b->asked == GIVE_BACK_SENT && granted) {
			/* the donor did not hear of it, and A holds it again */
			b->grant = holds(LIST_ASKED);
			b->key = b->grant ? b->granted_key : 0;
			b->reach = b->grant && !b->key ? PARKED : IN_REACH;
			b->listing = 0;
			memset(b->up, 0, sizeof(b->up));
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
	n.b[i].key = b->key;
	if (post(&n, OP_WRITE, i, EVIL)) {
		n.b[i].key = 0;
		reach_block(&n, "A gives it back and writes once more", i);
	}
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
	for (unsigned int i = 0; i < setup.blocks; i++) {
		n.b[i].busy = IDLE;
		n.b[i].want = 0;
	}
	chance(&n, "A is killed");
}

void step_client(const struct model *m)
{
	if (m->dead)
		return;
	for (unsigned int i = 0; i < setup.blocks; i++) {
		step_guest(m, i);
		step_evict(m, i);
		step_give_back(m, i);
		step_park_client(m, i);
	}
	step_link(m);
	step_data(m);
	step_handshake(m);
	step_killed(m);
}
