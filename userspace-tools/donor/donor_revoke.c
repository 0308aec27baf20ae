// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the donor wants back, and what happens with time: shrinking, draining,
 * the deadlines of sessions and of revoked grants.
 */
#include <string.h>

#include <annex/donor_codec.h>

#include "donor_core.h"

/* A message that lists grants, and its list. */
union revoke {
	struct annex_donor_revoke m;
	uint8_t bytes[ANNEX_DONOR_MSG_MAX];
};

static void sooner(uint64_t *next, uint64_t at)
{
	if (at < *next)
		*next = at;
}

static void revoke_send(struct donor_core *core, struct donor_session *s, union revoke *out,
			uint32_t n, unsigned int type, uint32_t cause, uint32_t grace)
{
	if (!n)
		return;
	out->m.count = annex_to_le32(n);
	out->m.cause = annex_to_le32(cause);
	out->m.grace_ms = annex_to_le32(grace);
	out->m.pad = 0;
	annex_donor_head(&out->m.head, type, sizeof(out->m) + n * sizeof(out->m.id[0]), 0, 0);
	if (!core->ops->send(core->ctx, s, out, annex_le16(out->m.head.size)))
		s->deadline = 1;
}

static bool agrees(const struct donor_session *s)
{
	return s->state == DONOR_ACTIVE && (s->features & ANNEX_DONOR_FEAT_GIVE_BACK);
}

/* Does it help, with that cause, to have it back? */
static bool askable(const struct donor_slab *slab, const struct donor_session *s, uint32_t cause)
{
	if (slab->owner != s || slab->asked)
		return false;
	return cause != ANNEX_DONOR_C_SHRINK || slab->state == DONOR_SLAB_GRANTED ||
	       slab->state == DONOR_SLAB_LOADING;
}

/* Ask @s for @want of its slabs; @retire: they are to go. Returns how many were asked for. */
static uint32_t ask(struct donor_core *core, struct donor_session *s, uint32_t want, uint32_t cause,
		    uint32_t grace, bool retire, uint64_t now)
{
	uint32_t asked = 0, n = 0;
	union revoke out;

	for (uint32_t i = core->table.used; i-- > 0 && asked < want;) {
		struct donor_slab *slab = &core->table.slab[i];

		if (!askable(slab, s, cause))
			continue;
		slab->asked = true;
		slab->cause = cause;
		slab->deadline = grace ? now + grace : 0;
		if (grace && (!s->overdue || slab->deadline < s->overdue))
			s->overdue = slab->deadline;
		if (retire)
			donor_slab_retire(&core->table, slab, true);
		out.m.id[n++] = annex_to_le64(slab->grant);
		asked++;
		if (n == ANNEX_DONOR_LIST_MAX) {
			revoke_send(core, s, &out, n, ANNEX_DONOR_REVOKE, cause, grace);
			n = 0;
		}
	}
	revoke_send(core, s, &out, n, ANNEX_DONOR_REVOKE, cause, grace);
	core->counters.revokes_asked += asked;
	return asked;
}

static uint32_t nr_askable(const struct donor_core *core, const struct donor_session *s,
			   uint32_t cause)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < core->table.used; i++)
		n += askable(&core->table.slab[i], s, cause);
	return n;
}

/* Each client that agrees gives the same part of what it holds. */
static void ask_all(struct donor_core *core, uint32_t want, uint32_t cause, uint32_t grace,
		    uint64_t now)
{
	struct donor_session *s;
	uint64_t have = 0;

	for (s = core->sessions; s; s = s->next)
		have += agrees(s) ? nr_askable(core, s, cause) : 0;
	for (s = core->sessions; s && want && have; s = s->next) {
		uint32_t mine, part;

		if (!agrees(s))
			continue;
		mine = nr_askable(core, s, cause);
		part = ((uint64_t)want * mine + have - 1) / have;
		want -= ask(core, s, part < want ? part : want, cause, grace, true, now);
		have -= mine;
	}
}

/* What is on its way to the backing will be gone without being asked for. */
void donor_core_shrink(struct donor_core *core, uint32_t more, uint64_t now)
{
	uint32_t storing = core->table.nr[DONOR_SLAB_STORING], parks = 0, room;

	more = more > storing ? more - storing : 0;
	core->shrink_next = now + 1000;
	if (!more) {
		core->shrink_due = 0;
		return;
	}
	if (core->shrink_due && now >= core->shrink_due) {
		room = 0;
	} else {
		room = donor_park_room(core, now);
		for (const struct donor_session *s = core->sessions; s && room; s = s->next) {
			if (s->state == DONOR_ACTIVE && (s->features & ANNEX_DONOR_FEAT_PARK))
				parks += s->held - s->parked;
		}
		if (room > parks)
			room = parks;
		if (room && !core->shrink_due && core->limits.revoke_ms)
			core->shrink_due = now + core->limits.revoke_ms;
		if (core->shrink_due)
			sooner(&core->shrink_next, core->shrink_due);
	}
	if (more > room)
		ask_all(core, more - room, ANNEX_DONOR_C_SHRINK, core->limits.revoke_ms, now);
}

/* Those asked to give back for a shrink that is no longer wanted may keep it. */
void donor_core_set_memory(struct donor_core *core, uint64_t bytes, uint64_t now)
{
	uint64_t slabs = bytes / core->limits.slab_bytes;
	uint32_t more;

	more = donor_table_set_target(&core->table, slabs < core->table.most ? slabs :
				      core->table.most);
	core->shrink_due = 0;
	donor_core_shrink(core, more, now);
	donor_park_cool(core, now);
}

/* What was said to a client that was away did not reach it: say it again. */
static void ask_again(struct donor_core *core, struct donor_session *s, uint64_t now)
{
	uint32_t n = 0, cause = 0, grace = 0;
	union revoke out;

	for (uint32_t i = 0; i < core->table.used; i++) {
		const struct donor_slab *slab = &core->table.slab[i];
		uint32_t left = 0;

		if (slab->owner != s || !slab->asked)
			continue;
		if (slab->deadline)
			left = slab->deadline > now ? slab->deadline - now : 1;
		if (n == ANNEX_DONOR_LIST_MAX || (n && (slab->cause != cause || left != grace))) {
			revoke_send(core, s, &out, n, ANNEX_DONOR_REVOKE, cause, grace);
			n = 0;
		}
		cause = slab->cause;
		grace = left;
		out.m.id[n++] = annex_to_le64(slab->grant);
	}
	revoke_send(core, s, &out, n, ANNEX_DONOR_REVOKE, cause, grace);
}

/* ... and ask for what it was not asked for, since it was not there. */
void donor_core_catch_up(struct donor_core *core, struct donor_session *s, uint64_t now)
{
	uint32_t more, left;

	if (!agrees(s))
		return;
	ask_again(core, s, now);
	if (core->draining) {
		left = core->drain_deadline > now ? core->drain_deadline - now : 1;
		ask(core, s, UINT32_MAX, ANNEX_DONOR_C_DRAIN, left, !core->table.places.nr, now);
		return;
	}
	more = donor_table_set_target(&core->table, core->table.target);
	donor_core_shrink(core, more, now);
	donor_core_enforce_quotas(core, now);
}

void donor_core_enforce_quotas(struct donor_core *core, uint64_t now)
{
	for (struct donor_session *s = core->sessions; s; s = s->next) {
		uint64_t may = s->client->quota / core->limits.slab_bytes;
		uint32_t asked = 0, over;

		/* all sessions of the client count, and what was asked back already */
		for (uint32_t i = 0; i < core->table.used; i++) {
			const struct donor_slab *slab = &core->table.slab[i];
			const struct donor_session *owner = slab->owner;

			asked += owner && slab->asked && owner->client == s->client;
		}
		if (s->client->held - asked <= may || !agrees(s))
			continue;
		over = s->client->held - asked - may;
		ask(core, s, over, ANNEX_DONOR_C_QUOTA, core->limits.revoke_ms, false, now);
	}
}

void donor_core_drain(struct donor_core *core, uint64_t now)
{
	if (core->draining)
		return;
	core->draining = true;
	core->drain_deadline = now + core->limits.drain_ms;
	for (struct donor_session *s = core->sessions; s; s = s->next) {
		/* where something is parked it needs the memory that comes back */
		if (agrees(s))
			ask(core, s, UINT32_MAX, ANNEX_DONOR_C_DRAIN, core->limits.drain_ms,
			    !core->table.places.nr, now);
	}
}

bool donor_core_drained(const struct donor_core *core, uint64_t now)
{
	uint64_t held = 0;

	for (const struct donor_session *s = core->sessions; s; s = s->next)
		held += s->held;
	return core->draining && (!held || now >= core->drain_deadline);
}

/* Take what was asked for and has not come in time. */
static void take_overdue(struct donor_core *core, struct donor_session *s, uint64_t now)
{
	uint64_t next = UINT64_MAX;
	uint32_t n = 0, cause = 0;
	union revoke out;

	if (!s->overdue || now < s->overdue)
		return;
	for (uint32_t i = 0; i < core->table.used; i++) {
		struct donor_slab *slab = &core->table.slab[i];

		if (slab->owner != s || !slab->deadline)
			continue;
		if (slab->deadline > now || n == ANNEX_DONOR_LIST_MAX ||
		    (n && slab->cause != cause)) {
			sooner(&next, slab->deadline);	/* later, or in another message */
			continue;
		}
		cause = slab->cause;
		out.m.id[n++] = annex_to_le64(slab->grant);
		donor_core_take_back(core, s, slab);
	}
	s->overdue = next == UINT64_MAX ? 0 : next;
	s->revoked += n;
	core->counters.revoked += n;
	revoke_send(core, s, &out, n, ANNEX_DONOR_REVOKED, cause, 0);
}

/* Returns false when the session is gone. */
static bool tick_session(struct donor_core *core, struct donor_session *s, uint64_t now,
			 uint64_t *next)
{
	struct annex_donor_msg ping;
	uint64_t silent;

	if (s->deadline && now >= s->deadline) {
		switch (s->state) {
		case DONOR_ACTIVE:	/* it could not be told something */
			donor_core_lost(core, s, now);
			*next = now;
			return false;
		case DONOR_LINGER:
			core->counters.sessions_expired++;
			donor_core_end(core, s, ANNEX_DONOR_R_NONE);
			return false;
		default:
			core->counters.auth_failures++;
			donor_core_end(core, s, ANNEX_DONOR_R_AUTH);
			return false;
		}
	}
	if (s->deadline)
		sooner(next, s->deadline);
	if (s->state != DONOR_ACTIVE)
		return true;
	take_overdue(core, s, now);
	if (s->overdue)
		sooner(next, s->overdue);
	silent = now - s->heard;
	if (silent >= core->limits.client_ms) {
		core->counters.sessions_silent++;
		donor_core_end(core, s, ANNEX_DONOR_R_SILENT);
		return false;
	}
	if (silent >= core->limits.client_ms / 2 && !s->pinged) {
		s->pinged = true;
		annex_donor_head(&ping, ANNEX_DONOR_PING, sizeof(ping), 0, 0);
		if (!core->ops->send(core->ctx, s, &ping, sizeof(ping)))
			s->deadline = 1;
	}
	sooner(next, s->heard + (s->pinged ? core->limits.client_ms : core->limits.client_ms / 2));
	return true;
}

uint64_t donor_core_tick(struct donor_core *core, uint64_t now)
{
	uint64_t next = now + 1000;

	for (struct donor_session *s = core->sessions, *after; s; s = after) {
		after = s->next;
		tick_session(core, s, now, &next);
	}
	if (core->draining)
		sooner(&next, core->drain_deadline);
	if (core->table.places.nr)
		sooner(&next, now + donor_park_tick(core, now));
	return next > now ? next - now : 0;
}
