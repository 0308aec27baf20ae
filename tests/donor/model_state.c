// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "model.h"

const char *wrong;

bool holds(enum rule r)
{
	return setup.without != r;
}

uint8_t data_path(const struct model *m)
{
	if (m->link != LINK_ACTIVE)
		return 0;
	if (!setup.own_data)
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
		bool heard = !m->dead && (!holds(LATE_ANSWERS) || op->qp == data_path(m));

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
	for (unsigned int i = 0; i < setup.blocks; i++) {
		struct block *b = &m->b[i];

		if (b->busy == IDLE)
			b->version = 0;
		if (m->handshake != HS_ACCEPT)
			b->granted_key = 0;
		/* what was said to a donor that does not listen any more */
		if (!(m->qps & 1 << m->control))
			memset(b->up, 0, sizeof(b->up));
	}
}

static void reach_flags(const struct model *m, const char *text, uint8_t block, unsigned int flags)
{
	struct walk_state s = { 0 };
	struct model n = *m;

	tidy(&n);
	memcpy(s.bytes, &n, sizeof(n));
	walk_reach(&s, text, block, flags);
}

void reach(const struct model *m, const char *text)
{
	reach_flags(m, text, WALK_NO_BLOCK, 0);
}

void reach_block(const struct model *m, const char *text, unsigned int i)
{
	reach_flags(m, text, i, 0);
}

void chance(const struct model *m, const char *text)
{
	reach_flags(m, text, WALK_NO_BLOCK, WALK_CHANCE);
}

void chance_block(const struct model *m, const char *text, unsigned int i)
{
	reach_flags(m, text, i, WALK_CHANCE);
}

unsigned int losses(const struct model *m)
{
	return setup.first.losses - m->losses + m->excess;
}

bool count_loss(struct model *m)
{
	bool needed = false;

	for (unsigned int i = 0; i < setup.blocks; i++)
		needed |= m->b[i].grant;
	if (m->dead || m->link == LINK_NONE || m->link == LINK_OPENING || m->counted || !needed)
		return true;
	if (!m->losses)
		return false;
	m->losses--;
	m->counted = 1;
	return true;
}
