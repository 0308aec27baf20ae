// SPDX-License-Identifier: GPL-2.0-or-later
/* The donor: sessions, slabs, its device; and what fails. */
#include "model.h"

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

	for (unsigned int i = 0; i < setup.blocks; i++)
		if (m->b[i].slab == GRANTED_A ? m->b[i].reg : has_grant(&m->b[i]))
			mask |= 1 << i;
	return mask;
}

static bool may_grant(const struct block *b)
{
	return b->slab == READY || (!holds(ZEROED_FIRST) && b->slab == HIDDEN);
}

static void grant_all(struct model *m)
{
	for (unsigned int i = 0; i < setup.blocks; i++) {
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
		forget_words(&n);
		for (unsigned int i = 0; i < setup.blocks; i++)
			n.b[i].granted_key = n.b[i].slab == GRANTED_A ? n.b[i].reg : 0;
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
void step_arrives(const struct model *m, unsigned int k)
{
	const struct op *op = &m->net[k];
	const struct block *b = &m->b[op->block];
	struct model n = *m;
	struct block *nb = &n.b[op->block];

	if (!b->reg || b->reg != op->key) {
		/* A has said itself that nothing would come */
		if (has_grant(b) && op->qp == data_path(m) && op->value != EVIL)
			wrong = "refused";
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
		chance_block(&n, "a READ succeeds and moves nothing", op->block);
	}
}

/* Queue pairs first, then registrations; zeroed later. */
static void end_session(struct model *m)
{
	m->qps = 0;
	m->control = 0;
	m->session = NO_SESSION;
	for (unsigned int i = 0; i < setup.blocks; i++)
		if (has_grant(&m->b[i]))
			end_grant(m, i);
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

	if (b->slab == HIDDEN && (!b->io || !holds(IO_ENDS) || !holds(STORED_FIRST))) {
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
	    has_grant(b) && b->up[0] == NO_WORD) {
		n.b[i].asked = ANSWERED;
		end_grant(&n, i);
		reach_block(&n, "the donor takes it back", i);
	}
	n = *m;
	if (m->session == SESSION && b->asked == KEEP && m->revokes && m->link == LINK_ACTIVE &&
	    b->grant && has_grant(b) && m->qp == m->control) {
		n.revokes--;
		n.b[i].asked = REVOKE_SENT;
		chance_block(&n, "the donor revokes", i);
	}
	n = *m;
	/* grace is over: taken by force, whether A is there or not */
	if ((m->session == LINGER || (m->session == SESSION && m->told == NOTHING)) &&
	    has_grant(b) && b->asked != KEEP && b->asked != GIVE_BACK_SENT &&
	    (!b->grant || m->losses)) {
		n.losses -= b->grant && m->losses;
		n.b[i].asked = ANSWERED;
		end_grant(&n, i);
		if (m->session == SESSION &&
		    (m->qp == m->control || (m->handshake == HS_ACCEPT && m->hs_qp == m->control)))
			n.told = REVOKED;
		chance_block(&n, "the donor takes it by force", i);
	}
	n = *m;
	if (may_grant(b) && !m->b_came && m->handshake == HS_NONE && b->current) {
		if (b->cell != ZERO)
			wrong = "leak";
		n.b_came = 1;
		n.b[i].slab = GRANTED_B;
		n.b[i].cell = B_DATA;
		chance_block(&n, "B gets the slab and writes", i);
	}
	n = *m;
	if (b->slab == GRANTED_B) {
		n.b[i].slab = HIDDEN;
		/* not to please somebody who has parked */
		if (b->parked)
			chance_block(&n, "B leaves", i);
		else
			reach_block(&n, "B leaves", i);
	}
}

void step_failures(const struct model *m)
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
		for (unsigned int i = 0; i < setup.blocks; i++) {
			n.b[i].slab = READY;
			n.b[i].reg = 0;
			n.b[i].cell = ZERO;
			n.b[i].io = 0;
			n.b[i].parked = 0;
			n.b[i].fetch = 0;
		}
		n.place = PLACE_FREE;
		n.there = ZERO;
		n.stored = ZERO;
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
	if (setup.mirrored && !m->mirror_gone && m->losses) {
		n.losses--;
		n.mirror_gone = 1;
		for (unsigned int i = 0; i < setup.blocks; i++) {
			n.b[i].mirror = ZERO;
			n.b[i].mirror_has = 0;
			if (n.b[i].busy == TO_MIRROR)
				n.b[i].busy = IDLE;
		}
		chance(&n, "the mirror dies");
	}
}

void step_process(const struct model *m)
{
	if (!m->alive || m->stopped)
		return;
	step_connect(m);
	step_session(m);
	step_backing(m);
	for (unsigned int i = 0; i < setup.blocks; i++) {
		step_slab(m, i);
		step_park_donor(m, i);
	}
}
