// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Slabs on the backing: what clients park and fetch, what they are told when it
 * is done, and when they are asked for it.
 */
#include <string.h>

#include <annex/donor_codec.h>

#include "donor_core.h"

#define COOL_MS 1000		/* between two COOL to a session */
#define STARVED_MS 2000		/* a fetch waits for others to park before it takes more memory */
#define FAILED_MS 30000		/* nothing is parked after an error of the backing */

static bool parks(const struct donor_session *s)
{
	return s->state == DONOR_ACTIVE && (s->features & ANNEX_DONOR_FEAT_PARK);
}

uint32_t donor_park_room(const struct donor_core *core, uint64_t now)
{
	return now < core->park_again ? 0 : core->table.places.nr_free;
}

/* --- what clients are told ----------------------------------------------------- */

static void news_add(struct donor_core *core, struct donor_slab *slab)
{
	struct donor_session *s = slab->owner;

	if (slab->news)
		return;
	slab->news = true;
	s->news++;
	TAILQ_INSERT_TAIL(&core->news, slab, link);
}

static void news_remove(struct donor_core *core, struct donor_slab *slab)
{
	struct donor_session *s = slab->owner;

	if (!slab->news)
		return;
	slab->news = false;
	s->news--;
	TAILQ_REMOVE(&core->news, slab, link);
}

/* One message; false: it cannot be told just now. */
static bool news_tell(struct donor_core *core, struct donor_session *s)
{
	struct donor_slab *said[ANNEX_DONOR_LIST_MAX], *slab = TAILQ_FIRST(&core->news);
	union donor_grants out;
	uint32_t n = 0;
	size_t len;

	for (; slab && n < ANNEX_DONOR_LIST_MAX; slab = TAILQ_NEXT(slab, link)) {
		if (slab->owner != s)
			continue;
		said[n] = slab;
		donor_core_add_grant(core, &out, n++, slab);
	}
	len = donor_core_grants_head(&out, ANNEX_DONOR_FETCHED, n, 0, 0);
	/* who is away reads it in the list, when he is back */
	if (s->state == DONOR_ACTIVE && !core->ops->send(core->ctx, s, &out, len))
		return false;
	while (n--)
		news_remove(core, said[n]);
	return true;
}

/* What cannot be said since too much is on its way already stays. True: something did. */
static bool news_tell_all(struct donor_core *core)
{
	if (TAILQ_EMPTY(&core->news))
		return false;
	for (struct donor_session *s = core->sessions; s; s = s->next) {
		while (s->news && news_tell(core, s))
			;
	}
	return !TAILQ_EMPTY(&core->news);
}

static void lost_tell(struct donor_core *core)
{
	struct donor_lost *lost = &core->lost;
	union {
		struct annex_donor_revoke m;
		uint8_t bytes[ANNEX_DONOR_MSG_MAX];
	} out = { 0 };

	if (!lost->n)
		return;
	for (uint32_t i = 0; i < lost->n; i++)
		out.m.id[i] = annex_to_le64(lost->id[i]);
	out.m.count = annex_to_le32(lost->n);
	out.m.cause = annex_to_le32(ANNEX_DONOR_C_LOST);
	annex_donor_head(&out.m.head, ANNEX_DONOR_REVOKED,
			 sizeof(out.m) + lost->n * sizeof(out.m.id[0]), 0, 0);
	lost->n = 0;
	if (lost->s->state == DONOR_ACTIVE)
		donor_core_tell(core, lost->s, &out);
}

/* Nothing can be made of it any more: its client has it no longer. */
static void lose(struct donor_core *core, struct donor_session *s, struct donor_slab *slab)
{
	struct donor_lost *lost = &core->lost;

	if (lost->n && (lost->s != s || lost->n == ANNEX_DONOR_LIST_MAX))
		lost_tell(core);
	lost->s = s;
	lost->id[lost->n++] = slab->grant;
	s->revoked++;
	core->counters.revoked++;
	donor_core_take_back(core, s, slab);
}

/* It is in memory again. */
static void back(struct donor_core *core, struct donor_slab *slab)
{
	struct donor_session *s = slab->owner;

	s->parked--;
	if (!slab->asked)
		donor_slab_retire(&core->table, slab, false);
	if (core->ops->expose(core->ctx, s, slab)) {
		core->counters.register_failures++;
		lose(core, s, slab);
		return;
	}
	core->counters.fetched++;
	news_add(core, slab);
}

/* --- what clients say ------------------------------------------------------------ */

static void park(struct donor_core *core, struct donor_session *s, struct donor_slab *slab)
{
	news_remove(core, slab);
	core->ops->hide(core->ctx, s, slab);
	/* what was to become free does */
	if (slab->asked && slab->cause == ANNEX_DONOR_C_SHRINK) {
		slab->asked = false;
		slab->deadline = 0;
	}
	s->parked++;
	core->counters.parked++;
	donor_slab_park(&core->table, slab);
}

void donor_park_on_park(struct donor_core *core, struct donor_session *s,
			const struct annex_donor_list *l, uint64_t now)
{
	union {
		struct annex_donor_list m;
		uint8_t bytes[ANNEX_DONOR_MSG_MAX];
	} out = { 0 };
	uint32_t count = annex_le32(l->count), n = 0;
	unsigned int status = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct donor_slab *slab = donor_slab_find(&core->table, annex_le64(l->id[i]), s);

		if (!slab || slab->state != DONOR_SLAB_GRANTED) {
			status = ANNEX_DONOR_UNKNOWN;
		} else if (!donor_park_room(core, now)) {
			if (!status)
				status = ANNEX_DONOR_FULL;
		} else {
			park(core, s, slab);
			out.m.id[n++] = l->id[i];
		}
	}
	out.m.count = annex_to_le32(n);
	annex_donor_head(&out.m.head, ANNEX_DONOR_PARKED, sizeof(out.m) + n * sizeof(out.m.id[0]),
			 l->head.request, status);
	donor_core_tell(core, s, &out);
}

void donor_park_on_fetch(struct donor_core *core, struct donor_session *s,
			 const struct annex_donor_list *l)
{
	for (uint32_t i = 0; i < annex_le32(l->count); i++) {
		struct donor_slab *slab = donor_slab_find(&core->table, annex_le64(l->id[i]), s);

		/* what it has no longer it was told of, or reads in the list */
		if (slab && donor_slab_want(&core->table, slab))
			news_add(core, slab);
	}
	while (donor_slab_load(&core->table))
		;
	news_tell_all(core);
}

void donor_park_forget(struct donor_core *core, struct donor_session *s, struct donor_slab *slab)
{
	news_remove(core, slab);
	if (slab->state != DONOR_SLAB_GRANTED)
		s->parked--;
}

void donor_park_ended(struct donor_core *core, struct donor_session *s)
{
	if (core->lost.s == s)
		core->lost.n = 0;
}

/* --- what the worker has done ------------------------------------------------------ */

void donor_park_stored(struct donor_core *core, struct donor_slab *slab, bool ok, uint64_t now)
{
	if (!ok) {
		core->counters.store_errors++;
		core->park_again = now + FAILED_MS;
	}
	if (donor_slab_stored(&core->table, slab, ok) == DONOR_SLAB_BACK)
		back(core, slab);
}

void donor_park_loaded(struct donor_core *core, struct donor_slab *slab, bool ok)
{
	struct donor_session *s = slab->owner;

	core->counters.load_errors += !ok;
	switch (donor_slab_loaded(&core->table, slab, ok)) {
	case DONOR_SLAB_BACK:
		back(core, slab);
		return;
	case DONOR_SLAB_LOST:
		s->parked--;
		donor_core_say(core, DONOR_LOG_ERR, "a slab of %s is lost: the backing cannot be read",
			       s->client->name);
		lose(core, s, slab);
		return;
	case DONOR_SLAB_AWAY:
		return;
	}
}

void donor_park_erased(struct donor_core *core, uint32_t place, bool ok)
{
	core->counters.erase_errors += !ok;
	donor_place_erased(&core->table.places, place, ok);
}

/* --- memory that is short ------------------------------------------------------------ */

/* Slabs that should be READY for who asks. */
static uint32_t keep_free(const struct donor_core *core)
{
	uint64_t slabs = core->limits.keep_free / core->limits.slab_bytes;
	uint32_t most = core->table.target / 2;

	if (!core->limits.keep_free)
		slabs = core->table.target / 16;
	if (slabs > most)
		slabs = most;
	return slabs ? slabs : 1;
}

/* Slabs that should be parked. */
static uint32_t deficit(const struct donor_core *core, uint64_t now)
{
	const struct donor_table *t = &core->table;
	uint32_t have = t->nr[DONOR_SLAB_READY] + t->nr[DONOR_SLAB_PREPARING] +
			t->nr[DONOR_SLAB_ZEROING] + t->nr[DONOR_SLAB_STORING];
	uint32_t parked = t->nr[DONOR_SLAB_STORING] + t->nr[DONOR_SLAB_PARKED];
	uint32_t want = keep_free(core), size = donor_table_size(t), room;

	want += t->nr_wanted > 1 ? t->nr_wanted : parked ? 1 : 0;
	/* of what comes back the first will go */
	want += size > t->target ? size - t->target : 0;
	room = donor_park_room(core, now);
	if (want <= have || core->draining)
		return 0;
	return want - have < room ? want - have : room;
}

static void cool_one(struct donor_core *core, struct donor_session *s, uint32_t slabs, uint64_t now)
{
	struct annex_donor_cool m = { .slabs = annex_to_le32(slabs) };

	annex_donor_head(&m.head, ANNEX_DONOR_COOL, sizeof(m), 0, 0);
	/* one that does not get through is no loss: it is said again */
	if (core->ops->send(core->ctx, s, &m, sizeof(m)))
		core->counters.cool_asked += slabs;
	s->cool_next = now + COOL_MS;
}

/* Each gets its part of it, by what it has in memory. */
void donor_park_cool(struct donor_core *core, uint64_t now)
{
	uint32_t want = core->table.places.nr ? deficit(core, now) : 0;
	struct donor_session *s;
	uint64_t have = 0;

	for (s = core->sessions; s && want; s = s->next)
		have += parks(s) ? s->held - s->parked : 0;
	for (s = core->sessions; s && want && have; s = s->next) {
		uint32_t mine = s->held - s->parked, part;

		if (!parks(s) || !mine)
			continue;
		part = ((uint64_t)want * mine + have - 1) / have;
		part = part < mine ? part : mine;
		part = part < want ? part : want;
		if (part && now >= s->cool_next)
			cool_one(core, s, part, now);
		want -= part;
		have -= mine;
	}
}

/*
 * Does somebody wait for memory that will not come? The backing takes nothing
 * more, or nobody parks. What is there must still be readable, or be said to be lost.
 */
static bool starved(struct donor_core *core, uint64_t now)
{
	const struct donor_table *t = &core->table;

	if (!t->nr_wanted || t->nr[DONOR_SLAB_READY] || t->nr[DONOR_SLAB_PREPARING] ||
	    t->nr[DONOR_SLAB_ZEROING] || t->nr[DONOR_SLAB_STORING] || t->nr[DONOR_SLAB_LOADING])
		core->starved_since = 0;
	else if (!core->starved_since)
		core->starved_since = now;
	return core->starved_since && (!donor_park_room(core, now) ||
				       now - core->starved_since >= STARVED_MS);
}

uint64_t donor_park_tick(struct donor_core *core, uint64_t now)
{
	uint32_t size = donor_table_size(&core->table);
	bool more;

	donor_table_serve(&core->table, starved(core, now));
	while (donor_slab_load(&core->table))
		;
	lost_tell(core);
	more = news_tell_all(core);
	/* that the backing could take it all once may no longer be so */
	if (size <= core->table.target)
		core->shrink_due = 0;
	else if (!core->draining && now >= core->shrink_next)
		donor_core_shrink(core, size - core->table.target, now);
	donor_park_cool(core, now);
	return more ? 10 : core->starved_since ? 100 : 1000;
}
