// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tiers of a region: slots, accounting of requests, errors and deadlines.
 *
 * States (enum emp_tier_state) change only in emp_tier_set_state():
 *
 *	OK <-> DEGRADED		by streaks of errors or requests past their deadline
 *	OK, DEGRADED -> DRAINING	emp_tier_remove()
 *	any -> GONE		the device was removed
 *
 * A request that is past its deadline cannot be called back: it keeps its
 * folios until the device ends it. Those who wait for it do not.
 */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "emp_check.h"
#include "emp_copy.h"
#include "emp_crypt.h"
#include "emp_event.h"
#include "emp_kind.h"
#include "emp_migrate.h"
#include "emp_sysfs.h"
#include "emp_tier.h"
#include "emp_trace.h"

#define EMP_TIER_BAD_STREAK 4	/* errors in a row that make a tier DEGRADED */

bool emp_tier_writable(const struct emp_tier *t)
{
	return READ_ONCE(t->state) <= EMP_TIER_DEGRADED;
}

static void emp_tier_set_state(struct emp_tier *t, int to)
{
	int from = READ_ONCE(t->state);

	do {
		if (from == to || from == EMP_TIER_GONE)
			return;
		if (from == EMP_TIER_DRAINING && to != EMP_TIER_GONE)
			return;
	} while (!try_cmpxchg(&t->state, &from, to));

	trace_emp_tier_state(t->region, t->id, from, to);
	switch (to) {
	case EMP_TIER_OK:
		emp_event_post(EMP_EVENT_TIER_RECOVERED, t->region->name, t->id);
		break;
	case EMP_TIER_DEGRADED:
		emp_event_post(EMP_EVENT_TIER_DEGRADED, t->region->name, t->id);
		break;
	case EMP_TIER_GONE:
		emp_event_post(EMP_EVENT_TIER_LOST, t->region->name, t->id);
		emp_copy_tier_lost(t->region);
		break;
	}
}

/** emp_tier_lost - the device under @t is gone for good */
void emp_tier_lost(struct emp_tier *t)
{
	emp_tier_set_state(t, EMP_TIER_GONE);
}
EXPORT_SYMBOL_GPL(emp_tier_lost);

/** emp_tier_trouble - @on: use it only when no other has room; off: that is over */
void emp_tier_trouble(struct emp_tier *t, bool on)
{
	emp_tier_set_state(t, on ? EMP_TIER_DEGRADED : EMP_TIER_OK);
}
EXPORT_SYMBOL_GPL(emp_tier_trouble);

/** emp_tier_stat - sum over CPUs of the u64 at @offset of struct emp_tier_stats */
u64 emp_tier_stat(const struct emp_tier *t, size_t offset)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*(u64 *)((char *)per_cpu_ptr(t->stats, cpu) + offset));
	return sum;
}

/* Requests are under way and none has ended for a whole deadline: the tier hangs. */
static void emp_tier_watchdog(struct work_struct *work)
{
	struct emp_tier *t = container_of(work, struct emp_tier, watchdog.work);
	u32 deadline = READ_ONCE(t->deadline_ms);
	u64 ops = emp_tier_stat(t, offsetof(struct emp_tier_stats, ops[0])) +
		  emp_tier_stat(t, offsetof(struct emp_tier_stats, ops[1]));

	if (!atomic_read(&t->inflight) || ops != t->watchdog_ops) {
		t->watchdog_ops = ops;
		t->watchdog_since = jiffies;
	} else if (time_after(jiffies, t->watchdog_since + msecs_to_jiffies(deadline))) {
		emp_tier_set_state(t, EMP_TIER_DEGRADED);
	}
	schedule_delayed_work(&t->watchdog, msecs_to_jiffies(min(1000u, deadline)) + 1);
}

/**
 * emp_tier_submit - begin a request; its reference of the tier goes with it
 * @io: built; the caller took the tier by emp_tier_get_slot() or ->inflight
 */
void emp_tier_submit(struct emp_io *io)
{
	struct emp_tier *t = io->tier;

	if (!io->start)
		io->start = local_clock();
	if (READ_ONCE(t->state) == EMP_TIER_GONE)
		emp_io_end(io, -ENODEV);
	else if (!emp_crypt_begins(io))
		t->ops->io_submit(io);
}

static void emp_tier_note(struct emp_tier *t, const struct emp_io *io, int error)
{
	if (error) {
		WRITE_ONCE(t->bad_streak, READ_ONCE(t->bad_streak) + 1);	/* racy, a hint */
		if (READ_ONCE(t->bad_streak) >= EMP_TIER_BAD_STREAK || io->write)
			emp_tier_set_state(t, EMP_TIER_DEGRADED);
		return;
	}
	if (READ_ONCE(t->bad_streak))
		WRITE_ONCE(t->bad_streak, 0);
	if (READ_ONCE(t->state) == EMP_TIER_DEGRADED && !io->late)
		emp_tier_set_state(t, EMP_TIER_OK);
}

/* An average of the last few; racy, a hint. */
static void emp_tier_latency(struct emp_tier *t, u32 ns)
{
	u32 old = READ_ONCE(t->read_ns);

	WRITE_ONCE(t->read_ns, max(old ? old - old / 8 + ns / 8 : ns, 1u));
}

/** emp_io_told - whoever made it learns that it ended */
void emp_io_told(struct emp_io *io)
{
	struct emp_tier *t = io->tier;

	io->done(io);
	emp_tier_put(t);
}

/** emp_io_end - a kind of tier says that @io ended; any context */
void emp_io_end(struct emp_io *io, int error)
{
	struct emp_tier *t = io->tier;
	int w = io->write;
	s64 took;

	io->end = local_clock();
	took = max_t(s64, io->end - io->start, 0);	/* clocks of two CPUs may differ a little */
	this_cpu_inc(t->stats->ops[w]);
	this_cpu_inc(t->stats->hist[w][emp_hist_bucket(took)]);
	if (error)
		this_cpu_inc(t->stats->errors[w]);
	else
		this_cpu_add(t->stats->bytes[w], (unsigned long)io->bio.bi_private);
	if (took > (s64)READ_ONCE(t->deadline_ms) * NSEC_PER_MSEC) {
		io->late = true;
		this_cpu_inc(t->stats->timeouts);
	}
	if (!error && !w && !io->ahead)
		emp_tier_latency(t, min_t(u64, took, U32_MAX));
	emp_tier_note(t, io, error);
	io->error = error;
	if (!emp_crypt_ends(io))
		emp_io_told(io);
}
EXPORT_SYMBOL_GPL(emp_io_end);

/** emp_tier_of_slot - the tier that owns @slot; under the block's lock */
struct emp_tier *emp_tier_of_slot(struct emp_region *r, u32 slot)
{
	u32 i, n = READ_ONCE(r->nr_tiers);

	for (i = 0; i < n; i++) {
		struct emp_tier *t = READ_ONCE(r->tier[i]);

		if (t && slot >= t->first && slot - t->first < t->nr_slots)
			return t;
	}
	return NULL;
}

/** emp_tier_get_slot - as above, and hold it until emp_tier_put() or the end of a request */
struct emp_tier *emp_tier_get_slot(struct emp_region *r, u32 slot)
{
	struct emp_tier *t = emp_tier_of_slot(r, slot);

	if (!WARN_ON_ONCE(!t))
		atomic_inc(&t->inflight);
	return t;
}

/** emp_tier_put - drop what emp_tier_get_slot() took */
void emp_tier_put(struct emp_tier *t)
{
	unsigned long flags;

	/* Who waits for zero may free the tier at once: the last one lets go under its lock. */
	if (atomic_add_unless(&t->inflight, -1, 1))
		return;
	spin_lock_irqsave(&t->idle.lock, flags);
	atomic_dec(&t->inflight);
	wake_up_locked(&t->idle);
	spin_unlock_irqrestore(&t->idle.lock, flags);
}
EXPORT_SYMBOL_GPL(emp_tier_put);

u64 emp_tier_pos(const struct emp_tier *t, u32 slot)
{
	return (u64)(slot - t->first) << t->region->block_shift;
}

/* Are there more than @more free slots on tiers of a state up to @worst? */
static bool emp_tier_room(struct emp_region *r, int worst, u64 more)
{
	u64 n = 0;
	u32 i;

	rcu_read_lock();
	for (i = 0; i < READ_ONCE(r->nr_tiers) && n <= more; i++) {
		struct emp_tier *t = READ_ONCE(r->tier[i]);

		if (t && READ_ONCE(t->state) <= worst)
			n += READ_ONCE(t->room);
	}
	rcu_read_unlock();
	return n > more;
}

/** emp_tier_healthy - is there a tier in good order that has room? */
bool emp_tier_healthy(struct emp_region *r)
{
	return emp_tier_room(r, EMP_TIER_OK, 0);
}

/** emp_slots_free - have the tiers room for more than @more blocks? */
bool emp_slots_free(struct emp_region *r, u64 more)
{
	return emp_tier_room(r, EMP_TIER_DEGRADED, more);
}

/*
 * Go on to a chunk with much room, so that what is written at one time lies
 * together and is one request, and is read back as one. Looks at a bounded
 * number of chunks beyond the first that has any. slot_lock is held and a slot
 * is free.
 */
static void emp_tier_next_chunk(struct emp_tier *t)
{
	u32 c = t->hint / EMP_CHUNK, best = c, i;

	lockdep_assert_held(&t->slot_lock);
	for (i = 0; i < t->nr_chunks; i++) {
		c = c + 1 < t->nr_chunks ? c + 1 : 0;
		if (t->chunk_free[c] > t->chunk_free[best])
			best = c;
		if (t->chunk_free[c] == EMP_CHUNK || (i > 512 && t->chunk_free[best]))
			break;
	}
	t->hint = best * EMP_CHUNK;
}

static u32 emp_tier_slot_alloc(struct emp_tier *t)
{
	u32 slot = EMP_NO_SLOT, end, bit;
	unsigned long flags;

	spin_lock_irqsave(&t->slot_lock, flags);
	if (!emp_tier_writable(t) || !t->room)
		goto unlock;
	end = min(round_down(t->hint, EMP_CHUNK) + EMP_CHUNK, t->nr_slots);
	bit = find_next_zero_bit(t->bitmap, end, t->hint);
	if (bit >= end) {
		emp_tier_next_chunk(t);
		end = min(t->hint + EMP_CHUNK, t->nr_slots);
		bit = find_next_zero_bit(t->bitmap, end, t->hint);
	}
	if (WARN_ON_ONCE(bit >= end))
		goto unlock;
	__set_bit(bit, t->bitmap);
	t->used++;
	t->room--;
	if (t->unit)
		t->unit[bit >> t->unit_shift].taken++;
	t->chunk_free[bit / EMP_CHUNK]--;
	/* One past the chunk's end would be the next one's beginning. */
	t->hint = min(bit + 1, end - 1);
	slot = t->first + bit;
unlock:
	spin_unlock_irqrestore(&t->slot_lock, flags);
	return slot;
}

/** emp_tier_apart - is not both lost when one device, or one donor, is? NULL: no tier */
bool emp_tier_apart(const struct emp_tier *t, const struct emp_tier *other)
{
	return !other || (t != other && strcmp(t->device, other->device));
}

/*
 * emp_level_end - the place behind the level of the tier at place @at; under RCU
 *
 * Memory donors that follow one another in the order are one level: none of them
 * is slower than another by being named later. Every other tier is one by itself.
 */
u32 emp_level_end(struct emp_region *r, u32 at)
{
	u32 n = READ_ONCE(r->nr_tiers), end = at + 1;
	struct emp_tier *t = READ_ONCE(r->tier[at]);

	while (t && t->ops->remote && end < n) {
		t = READ_ONCE(r->tier[end]);
		if (t && !t->ops->remote)
			break;
		end++;
		t = t ?: READ_ONCE(r->tier[at]);	/* of one that was removed */
	}
	return end;
}

/*
 * emp_tier_faster - is there a tier before the level of @t that is faster and has room?
 *
 * The order of tiers is their user's. What was measured can only speak against it:
 * without a factor of two there is nothing to be gained.
 */
bool emp_tier_faster(struct emp_region *r, const struct emp_tier *t)
{
	u32 at, end, i, ns = READ_ONCE(t->read_ns);
	bool better = false, found = false;

	rcu_read_lock();	/* pairs with emp_tier_detach() */
	for (at = 0; at < READ_ONCE(r->nr_tiers) && !found; at = end) {
		bool room = false;

		end = emp_level_end(r, at);
		for (i = at; i < end; i++) {
			const struct emp_tier *f = READ_ONCE(r->tier[i]);

			found |= f == t;
			if (f && READ_ONCE(f->state) == EMP_TIER_OK &&
			    READ_ONCE(f->room) > f->nr_slots / 16)
				room |= !ns || READ_ONCE(f->read_ns) <= ns / 2;
		}
		better |= room && !found;
	}
	rcu_read_unlock();
	return better && found;
}

/* Room, in steps: what is written at one time shall lie together. */
static u64 emp_level_room(const struct emp_tier *t)
{
	return roundup(READ_ONCE(t->room), clamp(t->nr_slots / 16, 1u, EMP_CHUNK));
}

/* Has @a more room for its speed, as far as that is known, than @b? */
static bool emp_level_better(const struct emp_tier *a, const struct emp_tier *b)
{
	u64 ns_a = READ_ONCE(a->read_ns), ns_b = READ_ONCE(b->read_ns);

	if (!ns_a || !ns_b)
		return emp_level_room(a) > emp_level_room(b);
	ns_a = clamp(ns_a, ns_b / 4 + 1, ns_b * 4);
	return emp_level_room(a) * ns_b > emp_level_room(b) * ns_a;
}

/* A slot on a tier at place @at up to @end, in that state, apart from @other. */
static u32 emp_level_alloc(struct emp_region *r, u32 at, u32 end, int state,
			   const struct emp_tier *other, bool remote)
{
	u32 slot = EMP_NO_SLOT, i, pick;
	u64 tried = 0;

	BUILD_BUG_ON(EMP_TIERS_MAX > 64);
	do {
		struct emp_tier *best = NULL;

		for (i = at; i < end; i++) {
			struct emp_tier *t = READ_ONCE(r->tier[i]);

			if (!t || tried & BIT_ULL(i) || READ_ONCE(t->state) != state ||
			    !emp_tier_apart(t, other) || (remote && !t->ops->remote))
				continue;
			if (!best || emp_level_better(t, best)) {
				best = t;
				pick = i;
			}
		}
		if (!best)
			break;
		tried |= BIT_ULL(pick);
		slot = emp_tier_slot_alloc(best);
		if (slot != EMP_NO_SLOT && end < READ_ONCE(r->nr_tiers))
			emp_demote_check(r, best);
	} while (slot == EMP_NO_SLOT);
	return slot;
}

static u32 emp_slot_alloc_kind(struct emp_region *r, u32 min_tier, const struct emp_tier *other,
			       bool remote)
{
	u32 at, end, slot;
	int state;

	for (state = EMP_TIER_OK; state <= EMP_TIER_DEGRADED; state++) {
		for (at = min_tier; at < READ_ONCE(r->nr_tiers); at = end) {
			end = emp_level_end(r, at);
			slot = emp_level_alloc(r, at, end, state, other, remote);
			if (slot != EMP_NO_SLOT)
				return slot;
		}
	}
	return EMP_NO_SLOT;
}

/**
 * emp_slot_alloc - a free slot, on the fastest tier that has one
 * @r: region
 * @min_tier: begin with the tier at this place of the order, the first of a level
 * @other: apart from this tier; NULL: wherever
 *
 * Healthy tiers come first, degraded ones after them; of several donors that
 * follow one another that with the most room for its speed; donors before all others
 * where that is where copies belong.
 * Return: slot, or EMP_NO_SLOT.
 */
u32 emp_slot_alloc(struct emp_region *r, u32 min_tier, const struct emp_tier *other)
{
	u32 slot = EMP_NO_SLOT;

	rcu_read_lock();	/* emp_tier_remove() waits for those who look at tiers */
	if (r->copies && r->copies->remote)
		slot = emp_slot_alloc_kind(r, min_tier, other, true);
	if (slot == EMP_NO_SLOT)
		slot = emp_slot_alloc_kind(r, min_tier, other, false);
	rcu_read_unlock();
	return slot;
}

/*
 * Blocks that have no slot yet may need one on any tier: so many are not for
 * second copies. With overcommit nobody counts on them. Under RCU.
 */
static bool emp_second_spare(struct emp_region *r)
{
	u64 used = 0, left = 0, placed;
	u32 i;

	if (r->flags & EMP_F_OVERCOMMIT)
		return true;
	for (i = 0; i < READ_ONCE(r->nr_tiers); i++) {
		struct emp_tier *t = READ_ONCE(r->tier[i]);

		if (!t)
			continue;
		used += READ_ONCE(t->used);
		if (emp_tier_writable(t))
			left += READ_ONCE(t->room);
	}
	placed = used - min_t(u64, used, max(atomic_long_read(&r->copies->seconds), 0L));
	return left > r->nr_blocks - min_t(u64, placed, r->nr_blocks);
}

/*
 * Where a second copy goes best: where most is free, so that in the end no two
 * halves of what is free are on one device. In chunks, so that what is written
 * at one time lies together. Under RCU.
 */
static struct emp_tier *emp_second_best(struct emp_region *r, const struct emp_tier *first,
					int state)
{
	struct emp_tier *best = NULL;
	u32 i, n, most = 0;

	for (i = 0; i < READ_ONCE(r->nr_tiers); i++) {
		struct emp_tier *t = READ_ONCE(r->tier[i]);

		if (!t || READ_ONCE(t->state) != state || !emp_tier_apart(t, first) ||
		    (r->copies->remote && !t->ops->remote))
			continue;
		n = READ_ONCE(t->room);
		if (n && (!best || n / EMP_CHUNK > most / EMP_CHUNK)) {
			best = t;
			most = n;
		}
	}
	return best;
}

/** emp_second_room - is there a place apart from @first, on a tier of a state up to @worst? */
bool emp_second_room(struct emp_region *r, const struct emp_tier *first, int worst)
{
	bool room = false;
	int state;

	rcu_read_lock();
	for (state = EMP_TIER_OK; state <= worst && !room; state++)
		room = emp_second_best(r, first, state);
	rcu_read_unlock();
	return room;
}

/**
 * emp_slot_alloc_second - a free slot for a second copy
 * @r: region, with redundancy
 * @first: tier of the first copy
 * @worst: of tiers in a state up to this
 *
 * Return: slot, or EMP_NO_SLOT.
 */
u32 emp_slot_alloc_second(struct emp_region *r, const struct emp_tier *first, int worst)
{
	u32 slot = EMP_NO_SLOT;
	struct emp_tier *t;
	int state;

	rcu_read_lock();
	for (state = EMP_TIER_OK; state <= worst && slot == EMP_NO_SLOT; state++) {
		t = emp_second_spare(r) ? emp_second_best(r, first, state) : NULL;
		if (t)
			slot = emp_tier_slot_alloc(t);
	}
	rcu_read_unlock();
	return slot;
}

/** emp_slot_free - under the block's lock, or nobody else knows the slot */
void emp_slot_free(struct emp_region *r, u32 slot)
{
	struct emp_tier *t = emp_tier_of_slot(r, slot);
	struct emp_unit *u;
	unsigned long flags;
	u32 bit;

	if (WARN_ON_ONCE(!t))
		return;
	bit = slot - t->first;
	u = t->unit ? &t->unit[bit >> t->unit_shift] : NULL;
	spin_lock_irqsave(&t->slot_lock, flags);
	if (WARN_ON_ONCE(!test_bit(bit, t->bitmap) || (u && !u->taken)))
		goto unlock;
	t->used--;
	if (u)
		u->taken--;
	if (!u || u->state == EMP_UNIT_IN) {
		__clear_bit(bit, t->bitmap);
		t->chunk_free[bit / EMP_CHUNK]++;
		t->room++;
	}
unlock:
	spin_unlock_irqrestore(&t->slot_lock, flags);
}

/* --- units --------------------------------------------------------------------- */

/** emp_tier_units - @t, being opened, is in units of @bytes, at least a block */
int emp_tier_units(struct emp_tier *t, u64 bytes)
{
	t->unit_shift = ilog2(bytes) - t->region->block_shift;
	t->nr_units = ((t->nr_slots - 1) >> t->unit_shift) + 1;
	t->unit = kvcalloc(t->nr_units, sizeof(*t->unit), GFP_KERNEL_ACCOUNT);
	return t->unit ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_GPL(emp_tier_units);

static u32 emp_unit_slots(const struct emp_tier *t, u32 unit)
{
	return min(t->nr_slots - (unit << t->unit_shift), 1u << t->unit_shift);
}

/** emp_unit_state - of the unit of slot @slot of @t: enum emp_unit_state */
u32 emp_unit_state(const struct emp_tier *t, u32 slot)
{
	return t->unit ? READ_ONCE(t->unit[(slot - t->first) >> t->unit_shift].state) : EMP_UNIT_IN;
}

/** emp_slot_state - how it is with slot @slot of @t: enum emp_tier_state, the worst that applies */
int emp_slot_state(const struct emp_tier *t, u32 slot)
{
	int state = READ_ONCE(t->state);

	switch (emp_unit_state(t, slot)) {
	case EMP_UNIT_IN:
		return state;
	case EMP_UNIT_LOST:
		return EMP_TIER_GONE;
	}
	return max_t(int, state, EMP_TIER_DRAINING);
}

/* Nothing is allocated in @unit any more. */
static void emp_unit_set(struct emp_tier *t, u32 unit, u32 state)
{
	struct emp_unit *u = &t->unit[unit];
	u32 bit = unit << t->unit_shift, end = bit + emp_unit_slots(t, unit);
	unsigned long flags;

	spin_lock_irqsave(&t->slot_lock, flags);
	if (u->state == EMP_UNIT_IN) {
		for (; bit < end; bit++) {
			if (__test_and_set_bit(bit, t->bitmap))
				continue;
			t->chunk_free[bit / EMP_CHUNK]--;
			t->room--;
		}
	}
	if (u->state < state)
		WRITE_ONCE(u->state, state);
	spin_unlock_irqrestore(&t->slot_lock, flags);
}

/* Has the region room without @unit of @t? conf_lock is held. */
static bool emp_unit_spare(struct emp_region *r, struct emp_tier *t, u32 unit)
{
	bool fits;

	if (r->flags & EMP_F_OVERCOMMIT || (u64)r->limit << PAGE_SHIFT >= r->bytes)
		return true;
	t->out += emp_unit_slots(t, unit);
	fits = emp_region_fits(r, NULL);
	t->out -= emp_unit_slots(t, unit);
	return fits;
}

/**
 * emp_tier_withdraw - unit @unit takes nothing new, and what is there is moved
 * @t: tier with units, open
 * @unit: of it
 * @how: see there
 *
 * It does not wait. ->left() is called when it may be empty. Twice is as good as
 * once. Return: 0, -EAGAIN the region is busy, -ENOSPC it cannot spare it; then
 * nothing is changed.
 */
int emp_tier_withdraw(struct emp_tier *t, u32 unit, enum emp_withdraw how)
{
	struct emp_region *r = t->region;
	bool in;
	int err = -EAGAIN;

	/* Who holds it may be waiting for the tier's kind, which is our caller. */
	if (!mutex_trylock(&r->conf_lock))
		return -EAGAIN;
	if (!smp_load_acquire(&t->live) || READ_ONCE(r->nowb))	/* pairs with emp_tier_attach() */
		goto unlock;
	in = t->unit[unit].state == EMP_UNIT_IN;
	err = -ENOSPC;
	if (in && how == EMP_WITHDRAW_SPARE && !emp_unit_spare(r, t, unit))
		goto unlock;
	err = 0;
	if (in)
		t->out += emp_unit_slots(t, unit);
	emp_unit_set(t, unit, how == EMP_WITHDRAW_LOST ? EMP_UNIT_LOST : EMP_UNIT_LEAVING);
	t->leave_round = 0;
	mod_delayed_work(system_unbound_wq, &t->leave, 0);
unlock:
	mutex_unlock(&r->conf_lock);
	return err;
}
EXPORT_SYMBOL_GPL(emp_tier_withdraw);

/** emp_unit_left - is unit @unit, which is withdrawn, empty? It stays so */
bool emp_unit_left(struct emp_tier *t, u32 unit)
{
	struct emp_unit *u = &t->unit[unit];
	unsigned long flags;
	bool left;

	spin_lock_irqsave(&t->slot_lock, flags);
	if (u->state == EMP_UNIT_LEAVING && !u->taken)
		WRITE_ONCE(u->state, EMP_UNIT_OUT);
	left = u->state == EMP_UNIT_OUT;
	spin_unlock_irqrestore(&t->slot_lock, flags);
	return left;
}
EXPORT_SYMBOL_GPL(emp_unit_left);

/** emp_tier_leaving - slots in use in units that are withdrawn */
u64 emp_tier_leaving(struct emp_tier *t)
{
	unsigned long flags;
	u64 n = 0;
	u32 i;

	for (i = 0; i < t->nr_units; i++) {
		spin_lock_irqsave(&t->slot_lock, flags);
		if (t->unit[i].state != EMP_UNIT_IN)
			n += t->unit[i].taken;
		spin_unlock_irqrestore(&t->slot_lock, flags);
	}
	return n;
}

/*
 * emp_tier_open - make a tier from what user space said; not attached yet
 *
 * Return: tier or ERR_PTR; see struct emp_tier_spec for the errors.
 */
struct emp_tier *emp_tier_open(struct emp_region *r, const struct emp_tier_spec *s)
{
	u64 slots = s->bytes >> r->block_shift, base = s->type == EMP_TIER_BLOCK ? s->base : 0;
	struct emp_tier *t;
	int err;
	u32 i;

	if (s->size != sizeof(*s) || s->flags || s->pad)
		return ERR_PTR(-EINVAL);
	if (s->type == EMP_TIER_MEMDEV)
		return ERR_PTR(-EOPNOTSUPP);
	if (s->type != EMP_TIER_BLOCK && (s->type != EMP_TIER_RDMA || s->fd != -1))
		return ERR_PTR(-EINVAL);
	if (!slots || slots >= EMP_NO_SLOT || base & (PAGE_SIZE - 1) ||
	    s->bytes & ((1ULL << r->block_shift) - 1) || base + s->bytes < base)
		return ERR_PTR(-EINVAL);
	if (s->deadline_ms > 600000 || s->queue_depth > 4096)
		return ERR_PTR(-EINVAL);

	t = kzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);
	if (!t)
		return ERR_PTR(-ENOMEM);
	t->region = r;
	t->base = base;
	t->bytes = s->bytes;
	t->nr_slots = slots;
	t->room = slots;
	t->deadline_ms = clamp(s->deadline_ms ?: emp_default_deadline_ms, 1u, 600000u);
	t->queue_depth = clamp(s->queue_depth ?: emp_default_queue_depth, 1u, 4096u);
	t->state = EMP_TIER_OK;
	spin_lock_init(&t->slot_lock);
	init_waitqueue_head(&t->idle);
	t->watchdog_since = jiffies;
	init_completion(&t->kobj_gone);
	INIT_DELAYED_WORK(&t->watchdog, emp_tier_watchdog);
	emp_leave_init(t);

	t->bitmap = kvcalloc(BITS_TO_LONGS(slots), sizeof(long), GFP_KERNEL_ACCOUNT);
	t->nr_chunks = DIV_ROUND_UP(t->nr_slots, EMP_CHUNK);
	t->chunk_free = kvcalloc(t->nr_chunks, sizeof(u16), GFP_KERNEL_ACCOUNT);
	t->stats = alloc_percpu(struct emp_tier_stats);
	err = -ENOMEM;
	if (!t->bitmap || !t->chunk_free || !t->stats)
		goto free;
	for (i = 0; i < t->nr_chunks; i++)
		t->chunk_free[i] = min(t->nr_slots - i * EMP_CHUNK, EMP_CHUNK);
	err = emp_crypt_tier_init(t);
	if (err)
		goto free;
	err = s->type == EMP_TIER_BLOCK ? emp_block_open(t, s) : emp_kind_open(t, s);
	if (err)
		goto exit_crypt;
	return t;
exit_crypt:
	emp_crypt_tier_exit(t);
free:
	free_percpu(t->stats);
	kvfree(t->unit);
	kvfree(t->chunk_free);
	kvfree(t->bitmap);
	kfree(t);
	return ERR_PTR(err);
}

/* A gap of @n slot numbers that no tier of @r uses; conf_lock is held. */
static s64 emp_tier_find_range(struct emp_region *r, u32 n)
{
	u64 first = 0;
	bool again = true;
	u32 i;

	while (again) {
		again = false;
		for (i = 0; i < r->nr_tiers; i++) {
			struct emp_tier *t = r->tier[i];

			if (t && first < (u64)t->first + t->nr_slots && t->first < first + n) {
				first = (u64)t->first + t->nr_slots;
				again = true;
			}
		}
	}
	return first + n < EMP_NO_SLOT ? (s64)first : -ENOSPC;
}

/*
 * emp_tier_attach - make an opened tier the slowest of its region
 *
 * conf_lock is held, or nobody else knows the region. Return: 0 or -errno; on
 * error the tier stays the caller's.
 */
int emp_tier_attach(struct emp_region *r, struct emp_tier *t)
{
	u32 at = r->nr_tiers;
	s64 first;
	int err;

	while (at && !r->tier[at - 1])
		at--;
	if (at >= EMP_TIERS_MAX)
		return -ENOSPC;
	first = emp_tier_find_range(r, t->nr_slots);
	if (first < 0)
		return first;
	if (t->ops->remote && !(r->flags & (EMP_F_CHECKSUM | EMP_F_NO_MAC))) {
		err = emp_check_want_mac(r);
		if (err)
			return err;
	}
	t->first = first;
	t->id = r->next_tier_id;
	err = emp_sysfs_tier_add(r, t);
	if (err)
		return err;
	r->next_tier_id++;
	if (t->ops->poll)
		WRITE_ONCE(r->polls, true);
	WRITE_ONCE(r->tier[at], t);
	smp_wmb();	/* pairs with the order of reads in emp_tier_of_slot() */
	if (at >= r->nr_tiers)
		WRITE_ONCE(r->nr_tiers, at + 1);
	smp_store_release(&t->live, true);	/* pairs with emp_tier_withdraw() */
	schedule_delayed_work(&t->watchdog, HZ);
	return 0;
}

/**
 * emp_tier_close - release a tier that has no slot in use
 * @t: detached, or its region is going
 * @wipe: enum emp_wipe for the range
 */
void emp_tier_close(struct emp_tier *t, u32 wipe)
{
	int err = 0;

	/* emp_tier_withdraw() begins no work from here on: conf_lock is held, or ->nowb set. */
	WRITE_ONCE(t->live, false);
	cancel_delayed_work_sync(&t->leave);
	cancel_delayed_work_sync(&t->watchdog);
	if (READ_ONCE(t->state) != EMP_TIER_GONE) {
		if (wipe == EMP_WIPE_ZERO)
			err = t->ops->zero(t, 0, t->bytes);
		else if (wipe == EMP_WIPE_DISCARD && t->ops->discard)
			err = t->ops->discard(t, 0, t->bytes);
		if (err && err != -EOPNOTSUPP)
			pr_warn_ratelimited("%s: tier %u: wiping %s failed: %d\n", t->region->name,
					    t->id, t->device, err);
	}
	t->ops->close(t);
	emp_kind_close(t);
	emp_crypt_tier_exit(t);
	free_percpu(t->stats);
	kvfree(t->unit);
	kvfree(t->chunk_free);
	kvfree(t->bitmap);
	kfree(t);
}

/* Out of the table, so that nobody finds it any more; conf_lock is held. */
static void emp_tier_detach(struct emp_region *r, struct emp_tier *t)
{
	u32 i;

	for (i = 0; i < r->nr_tiers; i++)
		if (r->tier[i] == t)
			WRITE_ONCE(r->tier[i], NULL);
	/* Those who walk the table do so with interrupts off or under RCU. */
	synchronize_rcu();
	wait_event(t->idle, !atomic_read(&t->inflight));
	/* emp_tier_put() may still hold the lock in which it let go. */
	spin_lock_irq(&t->idle.lock);
	spin_unlock_irq(&t->idle.lock);
}

static int emp_tier_begin_removal(struct emp_region *r, u32 id, bool force, struct emp_tier **tier)
{
	bool gone;
	int err = -ENOENT;
	u32 i;

	mutex_lock(&r->conf_lock);
	if (r->removing) {
		err = -EBUSY;
		goto unlock;
	}
	for (i = 0; i < r->nr_tiers; i++)
		if (r->tier[i] && r->tier[i]->id == id)
			break;
	if (i == r->nr_tiers)
		goto unlock;
	err = -ENOSPC;
	/* What is gone holds nothing that the others would have to. */
	gone = READ_ONCE(r->tier[i]->state) == EMP_TIER_GONE;
	if (!((force || r->copies) && gone) && !(r->flags & EMP_F_OVERCOMMIT) &&
	    (u64)r->limit << PAGE_SHIFT < r->bytes && !emp_region_fits(r, r->tier[i]))
		goto unlock;
	err = 0;
	*tier = r->tier[i];
	r->removing = true;
	emp_tier_set_state(*tier, EMP_TIER_DRAINING);
unlock:
	mutex_unlock(&r->conf_lock);
	return err;
}

/** emp_tier_remove - EMP_IOC_TIER_REMOVE, see there */
int emp_tier_remove(struct emp_region *r, u32 id, u32 timeout_ms, bool force)
{
	unsigned long until = jiffies + msecs_to_jiffies(timeout_ms ?: 600000);
	struct emp_tier *t = NULL;
	long left;
	int err;

	err = emp_tier_begin_removal(r, id, force, &t);
	if (err)
		return err;
	err = emp_migrate_drain(r, t, until, force);
	if (!err) {
		left = wait_event_interruptible_timeout(t->idle, !atomic_read(&t->inflight),
							max((long)(until - jiffies), 1L));
		err = left < 0 ? -EINTR : left ? 0 : -ETIMEDOUT;
	}
	mutex_lock(&r->conf_lock);
	r->removing = false;
	if (!err) {
		emp_tier_detach(r, t);
		emp_sysfs_tier_del(t);
		emp_event_post(EMP_EVENT_TIER_REMOVED, r->name, id);
		emp_tier_close(t, r->wipe);
	}
	mutex_unlock(&r->conf_lock);
	return err;
}
