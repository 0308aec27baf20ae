// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "donor_slab.h"

static void move(struct donor_table *t, struct donor_slab *slab, enum donor_slab_state to)
{
	t->nr[slab->state]--;
	t->nr[to]++;
	slab->state = to;
	if (to == DONOR_SLAB_EMPTY && slab - t->slab < t->low)
		t->low = slab - t->slab;
}

static void set_retire(struct donor_table *t, struct donor_slab *slab, bool retire)
{
	if (slab->retire == retire)
		return;
	slab->retire = retire;
	t->retiring += retire ? 1 : -1;
}

int donor_table_init(struct donor_table *t, uint32_t most, uint32_t places,
		     const struct donor_slab_ops *ops, void *ctx)
{
	uint32_t max = most + places;

	memset(t, 0, sizeof(*t));
	TAILQ_INIT(&t->wanted);
	if (!most || most > DONOR_SLABS_MAX || places > DONOR_SLABS_MAX || max > DONOR_SLABS_MAX)
		return -1;
	t->slab = calloc(max, sizeof(*t->slab));
	if (!t->slab || donor_places_init(&t->places, places)) {
		free(t->slab);
		return -1;
	}
	t->max = max;
	t->most = most;
	t->nr[DONOR_SLAB_EMPTY] = max;
	t->ops = ops;
	t->ctx = ctx;
	return 0;
}

void donor_table_free(struct donor_table *t)
{
	donor_places_exit(&t->places);
	free(t->slab);
	t->slab = NULL;
}

uint32_t donor_table_size(const struct donor_table *t)
{
	return t->max - t->nr[DONOR_SLAB_EMPTY] - t->nr[DONOR_SLAB_RELEASING] -
	       t->nr[DONOR_SLAB_PARKED] - t->retiring;
}

/* An EMPTY slab, the first one; NULL: none. */
static struct donor_slab *find_empty(struct donor_table *t)
{
	while (t->low < t->max && t->slab[t->low].state != DONOR_SLAB_EMPTY)
		t->low++;
	if (t->low == t->max)
		return NULL;
	if (t->low >= t->used)
		t->used = t->low + 1;
	return &t->slab[t->low];
}

/* A READY slab, from the hand on; NULL: none. */
static struct donor_slab *find_ready(struct donor_table *t)
{
	if (!t->nr[DONOR_SLAB_READY])
		return NULL;
	for (uint32_t i = 0; i < t->used; i++, t->hand++) {
		if (t->hand >= t->used)
			t->hand = 0;
		if (t->slab[t->hand].state == DONOR_SLAB_READY)
			return &t->slab[t->hand];
	}
	return NULL;
}

static void release(struct donor_table *t, struct donor_slab *slab)
{
	set_retire(t, slab, false);
	move(t, slab, DONOR_SLAB_RELEASING);
	t->ops->release(t->ctx, slab);
}

/* Its memory has a client's data. */
static void clear(struct donor_table *t, struct donor_slab *slab)
{
	if (slab->retire) {
		release(t, slab);
		return;
	}
	move(t, slab, DONOR_SLAB_ZEROING);
	t->ops->zero(t->ctx, slab);
}

/* Those on their way out stay after all, then new ones. */
static void grow(struct donor_table *t, uint32_t more)
{
	for (uint32_t i = 0; i < t->used && more && t->retiring; i++) {
		if (t->slab[i].retire) {
			set_retire(t, &t->slab[i], false);
			more--;
		}
	}
	while (more--) {
		struct donor_slab *slab = find_empty(t);

		if (!slab)
			return;
		move(t, slab, DONOR_SLAB_PREPARING);
		t->ops->prepare(t->ctx, slab);
	}
}

uint32_t donor_table_set_target(struct donor_table *t, uint32_t target)
{
	uint32_t size = donor_table_size(t), less;

	t->target = target < t->most ? target : t->most;
	if (size <= t->target) {
		grow(t, t->target - size);
		return 0;
	}
	less = size - t->target;
	for (uint32_t i = t->used; i-- > 0 && less;) {
		if (t->slab[i].state == DONOR_SLAB_READY) {
			release(t, &t->slab[i]);
			less--;
		}
	}
	/* what the worker has comes next, then what clients have */
	for (uint32_t i = t->used; i-- > 0 && less;) {
		if ((t->slab[i].state == DONOR_SLAB_PREPARING ||
		     t->slab[i].state == DONOR_SLAB_ZEROING) && !t->slab[i].retire) {
			set_retire(t, &t->slab[i], true);
			less--;
		}
	}
	return less;
}

void donor_table_serve(struct donor_table *t, bool starved)
{
	uint32_t size = donor_table_size(t), coming = t->nr[DONOR_SLAB_READY] +
		t->nr[DONOR_SLAB_PREPARING] + t->nr[DONOR_SLAB_ZEROING], most, more;

	if (!t->nr_wanted)
		t->extra = 0;
	else if (starved)
		t->extra = size >= t->target ? size - t->target + 1 : 0;
	most = t->target + t->extra;
	if (size >= most || t->nr_wanted <= coming)
		return;
	more = t->nr_wanted - coming;
	grow(t, more < most - size ? more : most - size);
}

void donor_table_done(struct donor_table *t, struct donor_slab *slab, bool ok)
{
	switch (slab->state) {
	case DONOR_SLAB_PREPARING:
		if (!ok) {
			set_retire(t, slab, false);
			move(t, slab, DONOR_SLAB_EMPTY);
			return;
		}
		break;
	case DONOR_SLAB_ZEROING:
		break;
	case DONOR_SLAB_RELEASING:
		move(t, slab, DONOR_SLAB_EMPTY);
		return;
	default:
		assert(!"the worker has done what nobody asked for");
	}
	/* more may have come back since the target was set */
	if (!slab->retire && donor_table_size(t) > t->target + t->extra)
		set_retire(t, slab, true);
	if (slab->retire)
		release(t, slab);
	else
		move(t, slab, DONOR_SLAB_READY);
}

struct donor_slab *donor_slab_take(struct donor_table *t, void *owner)
{
	struct donor_slab *slab = find_ready(t);

	if (!slab)
		return NULL;
	move(t, slab, DONOR_SLAB_GRANTED);
	slab->owner = owner;
	slab->grant = ++t->serial * DONOR_SLABS_MAX | (slab - t->slab);
	slab->asked = false;
	slab->deadline = 0;
	return slab;
}

static void disown(struct donor_slab *slab)
{
	assert(slab->owner && !slab->exposed && !slab->news);
	slab->owner = NULL;
	slab->grant = 0;
	slab->asked = false;
	slab->deadline = 0;
}

void donor_slab_untake(struct donor_table *t, struct donor_slab *slab)
{
	disown(slab);
	move(t, slab, DONOR_SLAB_READY);
}

struct donor_slab *donor_slab_find(const struct donor_table *t, uint64_t grant, const void *owner)
{
	uint32_t i = donor_slab_index(grant);

	if (!grant || i >= t->used || t->slab[i].grant != grant || t->slab[i].owner != owner)
		return NULL;
	return &t->slab[i];
}

static void unwant(struct donor_table *t, struct donor_slab *slab)
{
	if (!slab->wanted)
		return;
	slab->wanted = false;
	t->nr_wanted--;
	if (slab->state == DONOR_SLAB_PARKED)
		TAILQ_REMOVE(&t->wanted, slab, link);
}

static void leave_place(struct donor_table *t, struct donor_slab *slab)
{
	donor_place_leave(&t->places);
	if (slab->blank)
		donor_place_erased(&t->places, slab->place, true);
	else
		t->ops->erase(t->ctx, slab->place);
	slab->place = DONOR_NO_PLACE;
}

void donor_slab_return(struct donor_table *t, struct donor_slab *slab)
{
	disown(slab);
	unwant(t, slab);
	switch (slab->state) {
	case DONOR_SLAB_STORING:
	case DONOR_SLAB_LOADING:
		return;		/* when the worker is done with it */
	case DONOR_SLAB_PARKED:
		leave_place(t, slab);
		move(t, slab, DONOR_SLAB_EMPTY);
		return;
	default:
		clear(t, slab);
	}
}

void donor_slab_retire(struct donor_table *t, struct donor_slab *slab, bool retire)
{
	if (slab->state != DONOR_SLAB_PARKED)
		set_retire(t, slab, retire);
}

/* --- on the backing ---------------------------------------------------------- */

static void give_memory(struct donor_slab *from, struct donor_slab *to)
{
	to->memory = from->memory;
	to->huge = from->huge;
	from->memory = NULL;
	from->huge = false;
}

bool donor_slab_park(struct donor_table *t, struct donor_slab *slab)
{
	uint32_t place = donor_place_take(&t->places);

	assert(slab->state == DONOR_SLAB_GRANTED && !slab->exposed && !slab->news);
	if (place == DONOR_NO_PLACE)
		return false;
	slab->place = place;
	slab->blank = false;
	move(t, slab, DONOR_SLAB_STORING);
	t->ops->store(t->ctx, slab);
	return true;
}

bool donor_slab_want(struct donor_table *t, struct donor_slab *slab)
{
	if (slab->state == DONOR_SLAB_GRANTED)
		return true;
	if (slab->wanted || slab->state == DONOR_SLAB_LOADING)
		return false;
	slab->wanted = true;
	t->nr_wanted++;
	if (slab->state == DONOR_SLAB_PARKED)
		TAILQ_INSERT_TAIL(&t->wanted, slab, link);
	return false;
}

bool donor_slab_load(struct donor_table *t)
{
	struct donor_slab *slab = TAILQ_FIRST(&t->wanted), *ready = slab ? find_ready(t) : NULL;

	if (!ready)
		return false;
	unwant(t, slab);
	give_memory(ready, slab);
	move(t, ready, DONOR_SLAB_EMPTY);
	move(t, slab, DONOR_SLAB_LOADING);
	t->ops->load(t->ctx, slab);
	return true;
}

enum donor_slab_fate donor_slab_stored(struct donor_table *t, struct donor_slab *slab, bool ok)
{
	struct donor_slab *other;
	bool retire = slab->retire;

	assert(slab->state == DONOR_SLAB_STORING);
	if (!slab->owner) {
		leave_place(t, slab);
		clear(t, slab);
		return DONOR_SLAB_AWAY;
	}
	/* who wants it back by now need not wait for it to be read */
	other = ok && !slab->wanted ? find_empty(t) : NULL;
	if (!other) {
		unwant(t, slab);
		leave_place(t, slab);
		move(t, slab, DONOR_SLAB_GRANTED);
		return DONOR_SLAB_BACK;
	}
	set_retire(t, slab, false);
	set_retire(t, other, retire);
	give_memory(slab, other);
	move(t, slab, DONOR_SLAB_PARKED);
	clear(t, other);
	return DONOR_SLAB_AWAY;
}

enum donor_slab_fate donor_slab_loaded(struct donor_table *t, struct donor_slab *slab, bool ok)
{
	assert(slab->state == DONOR_SLAB_LOADING);
	leave_place(t, slab);
	if (!slab->owner) {
		clear(t, slab);
		return DONOR_SLAB_AWAY;
	}
	move(t, slab, DONOR_SLAB_GRANTED);
	return ok ? DONOR_SLAB_BACK : DONOR_SLAB_LOST;
}
