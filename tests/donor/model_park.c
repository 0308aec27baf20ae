// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Parking: A's part, the donor's, and the backing with room for one slab.
 *
 * Words about a slab arrive in the order in which they were said, or are lost
 * with the connection. What A has said before its connection broke may be heard
 * until the donor destroys its end.
 */
#include <string.h>

#include "model.h"

bool say(uint8_t words[WORDS], uint8_t word)
{
	for (unsigned int i = 0; i < WORDS; i++) {
		if (words[i] == NO_WORD) {
			words[i] = word;
			return true;
		}
	}
	return false;
}

static uint8_t hear(uint8_t words[WORDS])
{
	uint8_t word = words[0];

	memmove(words, words + 1, WORDS - 1);
	words[WORDS - 1] = NO_WORD;
	return word;
}

bool heard(const struct model *m)
{
	return m->session == SESSION &&
	       ((m->link == LINK_ACTIVE && m->qp == m->control) ||
		(m->handshake == HS_ACCEPT && m->hs_qp == m->control));
}

/* To A; what nobody hears is lost. False: wait, there is too much under way. */
static bool tell(struct model *m, unsigned int i, uint8_t word)
{
	return !heard(m) || say(m->b[i].down, word);
}

bool has_grant(const struct block *b)
{
	return b->slab == GRANTED_A || b->slab == STORING || b->slab == LOADING || b->parked;
}

void end_grant(struct model *m, unsigned int i)
{
	struct block *b = &m->b[i];

	if (b->slab != GRANTED_A && (!b->parked || holds(ENDED_PARKED)))
		m->place = PLACE_DIRTY;
	if (!b->parked) {
		if (holds(DEREGISTER_FIRST))
			b->reg = 0;
		b->slab = HIDDEN;
	}
	b->parked = 0;
	b->fetch = 0;
}

void forget_words(struct model *m)
{
	for (unsigned int i = 0; i < setup.blocks; i++) {
		memset(m->b[i].up, 0, sizeof(m->b[i].up));
		memset(m->b[i].down, 0, sizeof(m->b[i].down));
	}
}

bool out_of_reach(const struct model *m, unsigned int i)
{
	const struct block *b = &m->b[i];

	/* there may never be memory for it again */
	return b->reach != IN_REACH &&
	       (m->stopped || (b->reach == FETCHING && b->parked && b->slab == GRANTED_B));
}

void want_fetched(const struct model *m, unsigned int i)
{
	struct model n = *m;

	if (m->link != LINK_ACTIVE || !m->b[i].grant || m->b[i].reach != PARKED ||
	    !say(n.b[i].up, FETCH))
		return;
	n.b[i].reach = FETCHING;
	reach_block(&n, "A fetches", i);
}

void ask_list(struct block *b)
{
	if (!setup.first.cools)
		return;
	if (b->reach == PARKING && !holds(PARK_LISTED))
		b->reach = IN_REACH;
	b->listing = say(b->up, LIST);
}

static void hear_list(struct block *b, uint8_t key)
{
	b->listing = 0;
	if (key) {
		b->reach = IN_REACH;
		b->key = key;
	} else if (b->reach != FETCHING || holds(FETCH_AGAIN)) {
		b->reach = PARKED;
	}
}

static void step_told(const struct model *m, unsigned int i)
{
	struct model n = *m;
	struct block *b = &n.b[i];
	uint8_t word = hear(b->down);

	if (word == NO_WORD || m->link != LINK_ACTIVE)
		return;
	if (!b->grant) {
		reach_block(&n, "A hears of a slab that it has not got", i);
	} else if (word == IS_PARKED) {
		if (b->reach == PARKING)
			b->reach = PARKED;
		reach_block(&n, "A hears that it is parked", i);
	} else if (word == STAYS) {
		if (b->reach == PARKING)
			b->reach = IN_REACH;
		reach_block(&n, "A hears that it is not parked", i);
	} else if (word == NOT_LISTED) {
		lose_grant(b);
		reach_block(&n, "A hears that it has not got it", i);
	} else if (word < FETCHED) {
		hear_list(b, word - LISTED);
		reach_block(&n, "A hears what is in reach", i);
	} else {
		/* what comes before the answer to PARK is from before it */
		if (b->reach != PARKING || !holds(PARK_ORDER)) {
			b->reach = IN_REACH;
			b->key = word - FETCHED;
		}
		reach_block(&n, "A hears that it is in reach", i);
	}
}

void step_park_client(const struct model *m, unsigned int i)
{
	const struct block *b = &m->b[i];
	bool idle = b->busy != TO_DONOR && b->busy != READING;
	struct model n = *m;

	if (m->cool && m->link == LINK_ACTIVE && b->grant && b->reach == IN_REACH &&
	    (idle || !holds(PARK_IDLE)) && (!b->listing || !holds(LIST_FIRST)) &&
	    say(n.b[i].up, PARK)) {
		n.cool = 0;
		n.b[i].reach = PARKING;
		reach_block(&n, "A parks it", i);
	}
	step_told(m, i);
}

static uint8_t new_key(const struct model *m, unsigned int i)
{
	const struct block *b = &m->b[i];
	uint32_t used = 1 | 1 << b->key | 1 << b->granted_key;
	uint8_t key = 1;

	for (unsigned int k = 0; k < NET; k++)
		used |= 1 << m->net[k].key;
	for (unsigned int k = 0; k < WORDS; k++)
		if (b->down[k] >= LISTED)
			used |= 1 << (b->down[k] & (LISTED - 1));
	while (used & 1 << key)
		key++;
	return key;
}

/* The donor hears what A says. */
static void step_heard(const struct model *m, unsigned int i)
{
	struct model n = *m;
	struct block *b = &n.b[i];
	uint8_t word = hear(b->up);

	if (word == NO_WORD || m->session != SESSION || !(m->qps & 1 << m->control))
		return;
	if (word == FETCH) {
		if (b->slab == GRANTED_A) {
			if (!tell(&n, i, FETCHED + b->reg))
				return;
		} else if (b->slab != STORING || holds(FETCH_NOTED)) {
			b->fetch = has_grant(b);
		}
		reach_block(&n, "the donor hears FETCH", i);
		return;
	}
	if (word == LIST) {
		uint8_t key = b->slab == GRANTED_A ? b->reg : 0;

		if (tell(&n, i, has_grant(b) ? LISTED + key : NOT_LISTED))
			reach_block(&n, "the donor hears LIST", i);
		return;
	}
	if (b->slab != GRANTED_A || (m->place != PLACE_FREE &&
				     (m->place != PLACE_DIRTY || holds(ERASED)))) {
		if (tell(&n, i, STAYS))
			reach_block(&n, "the donor cannot park it", i);
		return;
	}
	if (!tell(&n, i, IS_PARKED))
		return;
	if (m->there != ZERO)
		wrong = "leak";
	n.place = PLACE_A;
	n.stored = b->cell;
	if (holds(PARK_DEREGISTERS))
		b->reg = 0;
	b->io = STORING;
	b->slab = STORING;
	if (!holds(STORED_FIRST)) {
		b->slab = HIDDEN;
		b->parked = 1;
	}
	reach_block(&n, "the donor parks it", i);
}

static void step_store(const struct model *m, unsigned int i)
{
	struct model n = *m;
	struct block *b = &n.b[i];

	if (b->io != STORING)
		return;
	n.there = b->cell;
	b->io = 0;
	if (b->slab == STORING) {
		n.stored = b->cell;
		b->slab = HIDDEN;
		b->parked = 1;
	}
	reach_block(&n, "the donor has stored it", i);
	if (!m->unstored || m->b[i].slab != STORING)
		return;
	n = *m;
	n.unstored--;
	b->io = 0;
	if (!holds(UNSTORED)) {
		b->slab = HIDDEN;
		b->parked = 1;
		chance_block(&n, "the donor cannot store it, and does not mind", i);
		return;
	}
	n.there = b->cell;	/* or a part of it */
	n.place = PLACE_DIRTY;
	b->slab = GRANTED_A;
	b->fetch = 0;
	b->reg = new_key(&n, i);
	if (!holds(UNSTORED_TOLD) || tell(&n, i, FETCHED + b->reg))
		chance_block(&n, "the donor cannot store it", i);
}

static void step_load(const struct model *m, unsigned int i)
{
	bool needed = m->b[i].grant && !m->dead;
	struct model n = *m;
	struct block *b = &n.b[i];

	if (b->parked && b->fetch && b->slab == READY) {
		b->parked = 0;
		b->slab = LOADING;
		b->io = LOADING;
		reach_block(&n, "the donor loads it", i);
	}
	n = *m;
	if (b->io != LOADING)
		return;
	b->cell = m->there;
	b->io = 0;
	if (b->slab != LOADING) {
		reach_block(&n, "the donor has loaded what nobody wants", i);
		return;
	}
	if (m->there != ZERO && m->there != m->stored)
		wrong = "leak";
	n.place = PLACE_DIRTY;
	b->slab = GRANTED_A;
	b->fetch = 0;
	b->reg = new_key(&n, i);
	if (!tell(&n, i, FETCHED + b->reg))
		return;
	reach_block(&n, "the donor has loaded it", i);
	if (needed && !m->losses)
		return;
	if (!holds(UNREADABLE)) {
		n.losses -= needed;
		b->cell = ZERO;
		chance_block(&n, "the donor cannot load it, and does not mind", i);
		return;
	}
	n = *m;
	n.losses -= needed;
	b->io = 0;
	end_grant(&n, i);
	if (heard(m) && holds(LOST_TOLD))
		n.told = REVOKED;
	chance_block(&n, "the donor cannot load it", i);
}

void step_park_donor(const struct model *m, unsigned int i)
{
	step_heard(m, i);
	step_store(m, i);
	step_load(m, i);
}

/* Not one slab's: COOL, the place, and what B does with it. */
void step_backing(const struct model *m)
{
	bool busy = false;
	struct model n = *m;

	if (!setup.first.cools)
		return;
	if (m->cools && !m->cool && m->session == SESSION && m->link == LINK_ACTIVE &&
	    m->qp == m->control) {
		n.cools--;
		n.cool = 1;
		chance(&n, "the donor says COOL");
	}
	for (unsigned int i = 0; i < setup.blocks; i++)
		busy |= m->b[i].io;
	n = *m;
	if (m->place == PLACE_DIRTY && (!busy || !holds(IO_ENDS))) {
		n.place = PLACE_FREE;
		n.there = ZERO;
		n.stored = ZERO;
		reach(&n, "the donor erases what was parked");
	}
	n = *m;
	if (!m->b_parked && (m->place == PLACE_FREE ||
			     (m->place == PLACE_DIRTY && !holds(ERASED)))) {
		if (m->there != ZERO)
			wrong = "leak";
		n.b_parked = 1;
		n.place = PLACE_B;
		n.there = B_DATA;
		n.stored = B_DATA;
		chance(&n, "B parks a slab");
	}
	n = *m;
	if (m->place == PLACE_B) {
		if (m->there != m->stored)
			wrong = "leak";
		n.place = PLACE_DIRTY;
		reach(&n, "B fetches it");
	}
}
