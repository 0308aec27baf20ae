// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parking: slabs of a donor that is short of memory wait on its backing, out of
 * reach, until they are needed (docs/wire-donor.md).
 *
 *	REACH -> PARKING -> PARKED -> FETCHING -> REACH
 *
 * The donor cannot see what is used, so it only says how many slabs it would like
 * to be rid of (COOL); which is decided here: those for which there was no request
 * for the longest. A slab is parked when nothing is under way to it. A request for
 * one that is out of reach is set aside (->away) and has it fetched; it waits there
 * no longer than its deadline, and no connection breaks for it.
 *
 * What became of a PARK or FETCH whose connection broke, the LIST after RESUME says.
 */
#include <linux/module.h>

#include "emp_rdma.h"

#define EMP_PARK_IDLE	(HZ / 4UL)	/* younger than that is in use */
#define EMP_PARK_SOON	(HZ / 20UL)	/* a message could not be sent; one more look */
#define EMP_PARK_ROOM_MS	10000	/* for a donor to make room for a new tier */

static bool park = true;
module_param(park, bool, 0644);
MODULE_PARM_DESC(park, "let slabs that are not used wait on the donor's disk when it is short of memory; of tiers made from then on");

/* A message of grants' numbers. */
union emp_rdma_ids {
	struct annex_donor_list m;
	u8 bytes[sizeof(struct annex_donor_list) + ANNEX_DONOR_LIST_MAX * sizeof(__le64)];
};

/**
 * emp_rdma_parks - shall a new session park slabs?
 *
 * Not without GIVE_BACK, since a slab that the backing has lost is then lost alone.
 */
bool emp_rdma_parks(void)
{
	return READ_ONCE(park) && emp_rdma_offers();
}

/** emp_rdma_cool - the donor would like to be rid of slabs; any context */
void emp_rdma_cool(struct emp_rdma *rd, const struct annex_donor_cool *m)
{
	if (!(rd->features & ANNEX_DONOR_FEAT_PARK))
		return;
	WRITE_ONCE(rd->cool, le32_to_cpu(m->slabs));
	emp_rdma_give_soon(rd);
}

/* What was set aside is looked at again. */
static void emp_rdma_back(struct emp_rdma *rd)
{
	struct emp_rdma_req *req, *next;

	lockdep_assert_held(&rd->lock);
	list_for_each_entry_safe(req, next, &rd->away, list)
		list_move_tail(&req->list, emp_rdma_queue(rd, req));
}

/** emp_rdma_retry_away - a slab may have come into reach, or was taken; any context */
void emp_rdma_retry_away(struct emp_rdma *rd)
{
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	emp_rdma_back(rd);
	spin_unlock_irqrestore(&rd->lock, flags);
	emp_rdma_post(rd);
}

/**
 * emp_rdma_set_aside - let what is first in @list, and out of reach, wait elsewhere
 * @rd: session; ->lock is held
 * @list: ->urgent or ->others
 *
 * Return: the first that is in reach, or NULL.
 */
struct emp_rdma_req *emp_rdma_set_aside(struct emp_rdma *rd, struct list_head *list)
{
	struct emp_rdma_req *req;
	bool fetch = false;

	lockdep_assert_held(&rd->lock);
	while ((req = list_first_entry_or_null(list, struct emp_rdma_req, list))) {
		struct emp_rdma_grant *g = &rd->grant[req->pos >> rd->slab_shift];

		if (g->place == EMP_PLACE_REACH || !emp_rdma_there(g))
			break;
		fetch |= !g->awaited;
		g->awaited = true;
		list_move_tail(&req->list, &rd->away);
	}
	if (fetch && !rd->closing)
		mod_delayed_work(emp_rdma_wq, &rd->give, 0);
	return req;
}

/*
 * emp_rdma_fetch_first - slab @i is asked back, and has to be in reach before it is moved
 *
 * Else whoever moves would wait for one after the other, and the donor for memory
 * that is given back only then. Return: whether that is so; then it is asked for.
 */
bool emp_rdma_fetch_first(struct emp_rdma *rd, u32 i)
{
	struct emp_rdma_grant *g = &rd->grant[i];
	unsigned long flags;
	bool away;

	spin_lock_irqsave(&rd->lock, flags);
	away = g->place != EMP_PLACE_REACH && !emp_unit_empty(rd->tier, i);
	if (away)
		g->awaited = true;
	spin_unlock_irqrestore(&rd->lock, flags);
	return away;
}

/** emp_rdma_fetched - slabs are in reach again; any context */
void emp_rdma_fetched(struct emp_rdma *rd, const struct annex_donor_grants *m)
{
	u32 i, n = 0, count = le32_to_cpu(m->count);
	unsigned long flags;

	for (i = 0; i < count; i++) {
		void *at = xa_load(&rd->by_id, le64_to_cpu(m->grant[i].id));
		struct emp_rdma_grant *g = at ? &rd->grant[xa_to_value(at)] : NULL;

		if (!g)
			continue;
		spin_lock_irqsave(&rd->lock, flags);
		/* before the answer to PARK it is from before the PARK; it can be had again */
		if (g->place == EMP_PLACE_PARKED || g->place == EMP_PLACE_FETCHING) {
			emp_rdma_in_reach(g, &m->grant[i]);
			rd->tier->fetched++;
		}
		spin_unlock_irqrestore(&rd->lock, flags);
		n++;
	}
	if (!n)
		return;
	emp_rdma_retry_away(rd);
	emp_rdma_give_soon(rd);
}

/* --- parking ------------------------------------------------------------------------ */

/*
 * The one that was not used for the longest and may be parked, @any or only what is
 * not in use. nr_grants: none.
 */
static u32 emp_rdma_coldest(const struct emp_rdma *rd, bool any)
{
	unsigned long now = jiffies, most = any ? 0 : EMP_PARK_IDLE;
	u32 i, coldest = rd->nr_grants;

	for (i = 0; i < rd->nr_grants; i++) {
		const struct emp_rdma_grant *g = &rd->grant[i];
		unsigned long idle = now - READ_ONCE(g->used);

		if (READ_ONCE(g->state) != EMP_GRANT_HELD ||
		    READ_ONCE(g->place) != EMP_PLACE_REACH || idle < most)
			continue;
		if (coldest < rd->nr_grants && idle == most)
			continue;
		coldest = i;
		most = idle;
	}
	return coldest;
}

/* Does a request wait for a slab? Then any other may go for it. */
static bool emp_rdma_awaits(const struct emp_rdma *rd)
{
	u32 i;

	for (i = 0; i < rd->nr_grants; i++)
		if (READ_ONCE(rd->grant[i].awaited) && emp_rdma_there(&rd->grant[i]))
			return true;
	return false;
}

/* Nothing goes to slab @i from now on. False: something is under way there. */
static bool emp_rdma_close_slab(struct emp_rdma *rd, u32 i)
{
	struct emp_rdma_grant *g = &rd->grant[i];
	unsigned long flags;
	bool done;

	spin_lock_irqsave(&rd->lock, flags);
	done = g->state == EMP_GRANT_HELD && g->place == EMP_PLACE_REACH && !emp_rdma_busy(rd, i);
	if (done) {
		g->place = EMP_PLACE_PARKING;
		g->awaited = false;
	} else {
		g->used = jiffies;
	}
	spin_unlock_irqrestore(&rd->lock, flags);
	return done;
}

/* Those that the donor has put out of reach are parked, all others of @out are not. */
static int emp_rdma_parked(struct emp_rdma *rd, const union emp_rdma_ids *out, u32 n)
{
	const struct annex_donor_list *answer = rd->answer;
	u32 i, count = le32_to_cpu(answer->count);
	struct emp_rdma_grant *g;
	int parked = 0;
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	for (i = 0; i < count; i++) {
		void *at = xa_load(&rd->by_id, le64_to_cpu(answer->id[i]));

		g = at ? &rd->grant[xa_to_value(at)] : NULL;
		if (!g || g->place != EMP_PLACE_PARKING)
			continue;	/* not one of ours that was asked about */
		g->place = EMP_PLACE_PARKED;
		parked++;
	}
	for (i = 0; i < n; i++) {
		g = &rd->grant[xa_to_value(xa_load(&rd->by_id, le64_to_cpu(out->m.id[i])))];
		if (g->place != EMP_PLACE_PARKING)
			continue;
		g->place = EMP_PLACE_REACH;
		g->used = jiffies;	/* another one next time */
	}
	emp_rdma_back(rd);
	spin_unlock_irqrestore(&rd->lock, flags);
	if (!parked && le32_to_cpu(answer->head.status) == ANNEX_DONOR_FULL)
		return -ENOSPC;
	return parked;
}

/*
 * Park @want slabs, as many as one message takes, @any or those not in use. While @c
 * is held nobody else asks. Return: how many are parked now, -ENOSPC: the backing is
 * full, or another error: then @c is broken, since it is not known what is in reach.
 */
static int emp_rdma_park_some(struct emp_rdma *rd, struct emp_rdma_conn *c, u32 want, bool any)
{
	union emp_rdma_ids out = { };
	u32 n = 0, tries;
	int err;

	want = min_t(u32, want, ANNEX_DONOR_LIST_MAX);
	for (tries = 2 * want; tries && n < want; tries--) {
		u32 i = emp_rdma_coldest(rd, any);

		if (i == rd->nr_grants)
			break;
		if (emp_rdma_close_slab(rd, i))
			out.m.id[n++] = cpu_to_le64(rd->grant[i].id);
	}
	if (!n)
		return 0;
	out.m.count = cpu_to_le32(n);
	err = emp_rdma_ask(c, ANNEX_DONOR_PARK, &out.m, sizeof(out.m) + n * sizeof(out.m.id[0]),
			   ANNEX_DONOR_PARKED);
	if (err) {
		emp_rdma_broke(c, "it does not say what is parked");
		return err;
	}
	return emp_rdma_parked(rd, &out, n);
}

/* Ask for what requests wait for. False: once more. */
static bool emp_rdma_fetch(struct emp_rdma *rd, struct emp_rdma_conn *c)
{
	union emp_rdma_ids out = { };
	struct emp_rdma_grant *g;
	unsigned long flags;
	bool sent = true;
	u32 i, n = 0;

	spin_lock_irqsave(&rd->lock, flags);
	for (i = 0; i < rd->nr_grants && n < ANNEX_DONOR_LIST_MAX; i++) {
		g = &rd->grant[i];
		if (g->place != EMP_PLACE_PARKED || !g->awaited || !emp_rdma_there(g))
			continue;
		g->place = EMP_PLACE_FETCHING;
		out.m.id[n++] = cpu_to_le64(g->id);
	}
	spin_unlock_irqrestore(&rd->lock, flags);
	if (!n)
		return true;
	out.m.count = cpu_to_le32(n);
	annex_donor_head(&out.m.head, ANNEX_DONOR_FETCH, sizeof(out.m) + n * sizeof(out.m.id[0]),
			 0, 0);
	sent = emp_rdma_conn_send(c, &out.m, le16_to_cpu(out.m.head.size));
	if (sent)
		return n < ANNEX_DONOR_LIST_MAX;
	spin_lock_irqsave(&rd->lock, flags);
	for (i = 0; i < n; i++) {
		g = &rd->grant[xa_to_value(xa_load(&rd->by_id, le64_to_cpu(out.m.id[i])))];
		if (g->place == EMP_PLACE_FETCHING)
			g->place = EMP_PLACE_PARKED;
	}
	spin_unlock_irqrestore(&rd->lock, flags);
	return false;
}

/**
 * emp_rdma_park - fetch what is waited for, park what the donor would like
 * @rd: session
 * @c: its control connection, held
 *
 * Return: jiffies until again, 0: there is nothing now.
 */
unsigned long emp_rdma_park(struct emp_rdma *rd, struct emp_rdma_conn *c)
{
	u32 cool = xchg(&rd->cool, 0);
	unsigned long again = 0;
	int parked;

	if (!(rd->features & ANNEX_DONOR_FEAT_PARK))
		return 0;
	if (!emp_rdma_fetch(rd, c))
		again = EMP_PARK_SOON;
	if (!cool)
		return again;
	parked = emp_rdma_park_some(rd, c, cool, emp_rdma_awaits(rd));
	if (parked == ANNEX_DONOR_LIST_MAX && cool > ANNEX_DONOR_LIST_MAX) {
		cmpxchg(&rd->cool, 0, cool - ANNEX_DONOR_LIST_MAX);
		again = EMP_PARK_SOON;
	}
	emp_rdma_post(rd);	/* what came meanwhile: set aside, or not parked after all */
	return emp_rdma_fetch(rd, c) ? again : EMP_PARK_SOON;
}

/**
 * emp_rdma_park_new - a new tier needs more slabs than the donor has memory for: park
 *	some that were just granted, nothing was written to them yet
 * @c: control connection, not in use yet
 * @want: slabs
 * @since: jiffies of the first try
 *
 * Return: 0: ask for grants again, -ENOSPC: that does not help.
 */
int emp_rdma_park_new(struct emp_rdma_conn *c, u32 want, unsigned long since)
{
	struct emp_rdma *rd = c->rd;
	int parked;

	if (!(rd->features & ANNEX_DONOR_FEAT_PARK) ||
	    time_after(jiffies, since + msecs_to_jiffies(EMP_PARK_ROOM_MS)))
		return -ENOSPC;
	parked = emp_rdma_park_some(rd, c, want, true);
	if (parked < 0)
		return parked;
	/* the donor makes room, or makes it for others first */
	schedule_timeout_killable(EMP_PARK_SOON);
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/**
 * emp_rdma_listed_grant - what LIST says of a slab
 * @rd: session, without a connection in use
 * @g: slab
 * @m: of the answer
 *
 * Return: false: that cannot be.
 */
bool emp_rdma_listed_grant(struct emp_rdma *rd, struct emp_rdma_grant *g,
			   const struct annex_donor_grant *m)
{
	bool parked = le32_to_cpu(m->flags) & ANNEX_DONOR_G_PARKED, ok = true;
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	if (parked) {
		/* FETCHED may have come while the LIST was on its way: then it comes again */
		ok = rd->features & ANNEX_DONOR_FEAT_PARK;
		if (ok)
			g->place = EMP_PLACE_PARKED;
	} else if (g->place == EMP_PLACE_REACH) {
		ok = g->addr == le64_to_cpu(m->addr) && g->rkey == le32_to_cpu(m->rkey);
	} else {
		emp_rdma_in_reach(g, m);
	}
	spin_unlock_irqrestore(&rd->lock, flags);
	return ok;
}
