// SPDX-License-Identifier: GPL-2.0-only
/*
 * Giving back: what the donor asks for (REVOKE) and what it takes (REVOKED).
 *
 * A message only notes what it says; ->give does what follows of it: it tells the
 * region (emp_tier_withdraw()), which moves what lies there, and gives the slab
 * back when it is empty. What the region cannot spare it keeps, and asks it again
 * every second: there may be another tier by then. If the donor has set a time the
 * region is not asked: what is not moved by then is lost.
 *
 * A slab that was said to be given back is the donor's, whether or not the answer
 * came: nothing is there, and nothing will be. So it is said again until there is
 * an answer; a LIST without it is one.
 */
#include <linux/module.h>

#include "emp_rdma.h"

#define EMP_GIVE_SOON	(HZ / 20UL)	/* the region is busy, or a request is on its way there */
#define EMP_GIVE_AGAIN	HZ		/* the region cannot spare it; no answer */

static bool give_back = true;
module_param(give_back, bool, 0644);
MODULE_PARM_DESC(give_back, "give back memory that a donor asks for; of tiers made from then on");

/** emp_rdma_offers - shall a new session give back what it is asked for? */
bool emp_rdma_offers(void)
{
	return READ_ONCE(give_back);
}

/** emp_rdma_give_soon - look at what is to be given back; any context */
void emp_rdma_give_soon(struct emp_rdma *rd)
{
	unsigned long flags;

	if (!(rd->features & ANNEX_DONOR_FEAT_GIVE_BACK))
		return;
	spin_lock_irqsave(&rd->lock, flags);
	if (!rd->closing)
		mod_delayed_work(emp_rdma_wq, &rd->give, 0);
	spin_unlock_irqrestore(&rd->lock, flags);
}

/** emp_rdma_left - the region has moved something out of what is asked for */
void emp_rdma_left(struct emp_tier *t)
{
	emp_rdma_give_soon(t->priv);
}

/* It was taken by force. ->lock is held. */
static bool emp_rdma_taken(struct emp_rdma_grant *g)
{
	switch (g->state) {
	case EMP_GRANT_GIVING:		/* nothing was there */
		g->state = EMP_GRANT_GIVEN;
		return false;
	case EMP_GRANT_HELD:
	case EMP_GRANT_WANTED:
	case EMP_GRANT_LEAVING:
		g->state = EMP_GRANT_TAKEN;
		return true;
	}
	return false;
}

static bool emp_rdma_asked(struct emp_rdma_grant *g, bool forced)
{
	if (g->state > EMP_GRANT_WANTED || (g->state == EMP_GRANT_WANTED && (g->forced || !forced)))
		return false;
	g->state = EMP_GRANT_WANTED;
	g->forced = forced;
	return true;
}

/**
 * emp_rdma_revoke - the donor wants slabs, or has taken them; any context
 * @rd: session
 * @m: REVOKE or REVOKED, checked. What we do not have concerns somebody else
 */
void emp_rdma_revoke(struct emp_rdma *rd, const struct annex_donor_revoke *m)
{
	bool taken = le16_to_cpu(m->head.type) == ANNEX_DONOR_REVOKED;
	u32 i, n = 0, count = le32_to_cpu(m->count);
	unsigned long flags;

	if (!(rd->features & ANNEX_DONOR_FEAT_GIVE_BACK)) {
		if (taken)
			emp_rdma_lost(rd, "the donor has taken memory back");
		return;
	}
	for (i = 0; i < count; i++) {
		void *at = xa_load(&rd->by_id, le64_to_cpu(m->id[i]));
		struct emp_rdma_grant *g = at ? &rd->grant[xa_to_value(at)] : NULL;

		if (!g)
			continue;
		spin_lock_irqsave(&rd->lock, flags);
		n += taken ? emp_rdma_taken(g) : emp_rdma_asked(g, m->grace_ms);
		spin_unlock_irqrestore(&rd->lock, flags);
	}
	if (!n)
		return;
	if (taken)
		emp_rdma_retry_away(rd);
	if (taken)
		pr_warn_ratelimited("emp: donor %s has taken back %u slabs by force\n",
				    rd->tier->device, n);
	else
		pr_info_ratelimited("emp: donor %s asks for %u slabs\n", rd->tier->device, n);
	emp_rdma_give_soon(rd);
}

/**
 * emp_rdma_listed - after RESUME, when ->list_round is that of a whole LIST
 * @rd: session
 *
 * What is missing was given back before the connection broke, or was taken
 * meanwhile. Return: 0, -ESTALE: nothing is left of what there was, or the donor
 * may not take any.
 */
int emp_rdma_listed(struct emp_rdma *rd)
{
	u32 i, there = 0, missing = 0;
	unsigned long flags;

	for (i = 0; i < rd->nr_grants; i++) {
		const struct emp_rdma_grant *g = &rd->grant[i];

		there += emp_rdma_there(g);
		missing += emp_rdma_there(g) && g->seen != rd->list_round;
	}
	if (missing && (missing == there || !(rd->features & ANNEX_DONOR_FEAT_GIVE_BACK)))
		return -ESTALE;
	for (i = 0; i < rd->nr_grants; i++) {
		struct emp_rdma_grant *g = &rd->grant[i];

		if (g->seen == rd->list_round)
			continue;
		spin_lock_irqsave(&rd->lock, flags);
		emp_rdma_taken(g);
		spin_unlock_irqrestore(&rd->lock, flags);
	}
	if (missing)
		pr_warn("emp: donor %s has taken back %u slabs by force\n", rd->tier->device,
			missing);
	return 0;
}

/* --- what follows of it ------------------------------------------------------------ */

static void emp_rdma_grant_step(struct emp_rdma *rd, u32 i, u8 from, u8 to)
{
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	if (rd->grant[i].state == from)
		rd->grant[i].state = to;
	spin_unlock_irqrestore(&rd->lock, flags);
}

/* Tell the region what is asked for and what was taken. Return: jiffies until again, 0: never. */
static unsigned long emp_rdma_withdraw(struct emp_rdma *rd)
{
	unsigned long again = 0;
	u32 i;
	int err;

	for (i = 0; i < rd->nr_grants; i++) {
		const struct emp_rdma_grant *g = &rd->grant[i];
		u8 state = READ_ONCE(g->state);

		if (READ_ONCE(rd->closing))
			return 0;
		switch (state) {
		case EMP_GRANT_WANTED:
			if (emp_rdma_fetch_first(rd, i))
				continue;	/* emp_rdma_fetched() comes here again */
			err = emp_tier_withdraw(rd->tier, i, READ_ONCE(g->forced) ?
						EMP_WITHDRAW_FORCED : EMP_WITHDRAW_SPARE);
			if (!err)
				emp_rdma_grant_step(rd, i, state, EMP_GRANT_LEAVING);
			break;
		case EMP_GRANT_TAKEN:
			err = emp_tier_withdraw(rd->tier, i, EMP_WITHDRAW_LOST);
			if (!err)
				emp_rdma_grant_step(rd, i, state, EMP_GRANT_MISSED);
			break;
		default:
			continue;
		}
		if (err == -EAGAIN)
			again = EMP_GIVE_SOON;
		else if (err && !again)
			again = EMP_GIVE_AGAIN;
	}
	return again;
}

/** emp_rdma_busy - is a request on its way to slab @i? */
bool emp_rdma_busy(struct emp_rdma *rd, u32 i)
{
	struct list_head *list[] = { &rd->urgent, &rd->others, &rd->away, &rd->posted };
	struct emp_rdma_req *req;
	u32 k;

	lockdep_assert_held(&rd->lock);
	for (k = 0; k < ARRAY_SIZE(list); k++)
		list_for_each_entry(req, list[k], list)
			if (req->pos >> rd->slab_shift == i)
				return true;
	return false;
}

/* May slab @i be given back now? Then it is GIVING, and nothing goes there any more. */
static bool emp_rdma_part(struct emp_rdma *rd, u32 i)
{
	struct emp_rdma_grant *g = &rd->grant[i];
	unsigned long flags;
	bool part;

	if (READ_ONCE(g->state) == EMP_GRANT_LEAVING && !emp_unit_left(rd->tier, i))
		return false;
	spin_lock_irqsave(&rd->lock, flags);
	if (g->state == EMP_GRANT_LEAVING && !emp_rdma_busy(rd, i))
		g->state = EMP_GRANT_GIVING;
	part = g->state == EMP_GRANT_GIVING;
	spin_unlock_irqrestore(&rd->lock, flags);
	return part;
}

/* The connection in use, held, or NULL. */
static struct emp_rdma_conn *emp_rdma_conn_get(struct emp_rdma *rd)
{
	struct emp_rdma_conn *c;
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	c = rd->state == EMP_RDMA_ACTIVE && !rd->closing ? rd->conn : NULL;
	if (c)
		c->users++;
	spin_unlock_irqrestore(&rd->lock, flags);
	return c;
}

static void emp_rdma_conn_put(struct emp_rdma *rd, struct emp_rdma_conn *c)
{
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	c->users--;
	spin_unlock_irqrestore(&rd->lock, flags);
	wake_up(&rd->wait);
}

/*
 * Say that slabs @first to @end - 1 that are GIVING are given back. Whichever of
 * them the answer has: none is ours after it. While @c is held nobody else asks.
 */
static int emp_rdma_tell_given(struct emp_rdma *rd, struct emp_rdma_conn *c, u32 first, u32 end)
{
	union {
		struct annex_donor_list m;
		u8 bytes[sizeof(struct annex_donor_list) + ANNEX_DONOR_LIST_MAX * sizeof(__le64)];
	} out = { };
	u32 i, n = 0;
	int err;

	for (i = first; i < end; i++)
		if (READ_ONCE(rd->grant[i].state) == EMP_GRANT_GIVING)
			out.m.id[n++] = cpu_to_le64(rd->grant[i].id);
	out.m.count = cpu_to_le32(n);
	err = n ? emp_rdma_ask(c, ANNEX_DONOR_GIVE_BACK, &out.m,
			       sizeof(out.m) + n * sizeof(out.m.id[0]), ANNEX_DONOR_TAKEN) : 0;
	for (i = first; i < end && !err; i++)
		emp_rdma_grant_step(rd, i, EMP_GRANT_GIVING, EMP_GRANT_GIVEN);
	return err;
}

/* Give back what is empty. Return: jiffies until again, 0: there is nothing now. */
static unsigned long emp_rdma_give(struct emp_rdma *rd, struct emp_rdma_conn *c)
{
	u32 i, first = 0, n = 0;
	unsigned long again = 0;

	for (i = 0; i < rd->nr_grants; i++) {
		switch (READ_ONCE(rd->grant[i].state)) {
		case EMP_GRANT_LEAVING:
		case EMP_GRANT_GIVING:
			if (emp_rdma_part(rd, i))
				n++;
			else
				again = max(again, EMP_GIVE_SOON);
			break;
		}
		if (n < ANNEX_DONOR_LIST_MAX && i + 1 < rd->nr_grants)
			continue;
		if (n && emp_rdma_tell_given(rd, c, first, i + 1)) {
			again = EMP_GIVE_AGAIN;
			break;
		}
		first = i + 1;
		n = 0;
	}
	return again;
}

/* For sysfs. */
static void emp_rdma_account(struct emp_rdma *rd)
{
	u32 i, asked = 0, given = 0, revoked = 0, parked = 0;

	for (i = 0; i < rd->nr_grants; i++) {
		parked += emp_rdma_there(&rd->grant[i]) &&
			  READ_ONCE(rd->grant[i].place) != EMP_PLACE_REACH;
		switch (READ_ONCE(rd->grant[i].state)) {
		case EMP_GRANT_HELD:
			break;
		case EMP_GRANT_GIVEN:
			given++;
			break;
		case EMP_GRANT_TAKEN:
		case EMP_GRANT_MISSED:
			revoked++;
			break;
		default:
			asked++;
		}
	}
	WRITE_ONCE(rd->tier->asked, asked);
	WRITE_ONCE(rd->tier->given, given);
	WRITE_ONCE(rd->tier->revoked, revoked);
	WRITE_ONCE(rd->tier->parked, parked);
}

/* The sooner of two times, of which 0 is never. */
static unsigned long emp_rdma_sooner(unsigned long a, unsigned long b)
{
	return a && b ? min(a, b) : a ?: b;
}

/** emp_rdma_give_work - one look at all that is asked for, by the donor and by requests */
void emp_rdma_give_work(struct work_struct *work)
{
	struct emp_rdma *rd = container_of(work, struct emp_rdma, give.work);
	struct emp_rdma_conn *c;
	unsigned long again;

	switch (READ_ONCE(rd->state)) {
	case EMP_RDMA_OPENING:
	case EMP_RDMA_LOST:
		return;
	default:
		break;
	}
	again = emp_rdma_withdraw(rd);
	emp_rdma_account(rd);
	c = emp_rdma_conn_get(rd);	/* without, emp_rdma_resume() comes here again */
	if (c) {
		again = emp_rdma_sooner(again, emp_rdma_park(rd, c));
		again = emp_rdma_sooner(again, emp_rdma_give(rd, c));
		emp_rdma_conn_put(rd, c);
	}
	emp_rdma_account(rd);
	if (again && !READ_ONCE(rd->closing))
		queue_delayed_work(emp_rdma_wq, &rd->give, again);
}
