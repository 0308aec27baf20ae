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
}

static void set_retire(struct donor_table *t, struct donor_slab *slab, bool retire)
{
	if (slab->retire == retire)
		return;
	slab->retire = retire;
	t->retiring += retire ? 1 : -1;
}

int donor_table_init(struct donor_table *t, uint32_t max, const struct donor_slab_ops *ops,
		     void *ctx)
{
	memset(t, 0, sizeof(*t));
	if (!max || max > DONOR_SLABS_MAX)
		return -1;
	t->slab = calloc(max, sizeof(*t->slab));
	if (!t->slab)
		return -1;
	t->max = max;
	t->nr[DONOR_SLAB_EMPTY] = max;
	t->ops = ops;
	t->ctx = ctx;
	return 0;
}

void donor_table_free(struct donor_table *t)
{
	free(t->slab);
	t->slab = NULL;
}

uint32_t donor_table_size(const struct donor_table *t)
{
	return t->max - t->nr[DONOR_SLAB_EMPTY] - t->nr[DONOR_SLAB_RELEASING] - t->retiring;
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

/* Those on their way out stay after all, then new ones. */
static void grow(struct donor_table *t, uint32_t more)
{
	for (uint32_t i = 0; i < t->used && more && t->retiring; i++) {
		if (t->slab[i].retire) {
			set_retire(t, &t->slab[i], false);
			more--;
		}
	}
	for (uint32_t i = 0; i < t->max && more; i++) {
		struct donor_slab *slab = &t->slab[i];

		if (slab->state != DONOR_SLAB_EMPTY)
			continue;
		if (i >= t->used)
			t->used = i + 1;
		move(t, slab, DONOR_SLAB_PREPARING);
		t->ops->prepare(t->ctx, slab);
		more--;
	}
}

uint32_t donor_table_set_target(struct donor_table *t, uint32_t target)
{
	uint32_t size = donor_table_size(t), less;

	t->target = target < t->max ? target : t->max;
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
	if (!slab->retire && donor_table_size(t) > t->target)
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
	assert(slab->state == DONOR_SLAB_GRANTED && !slab->exposed);
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

	if (!grant || i >= t->used || t->slab[i].state != DONOR_SLAB_GRANTED ||
	    t->slab[i].grant != grant || t->slab[i].owner != owner)
		return NULL;
	return &t->slab[i];
}

void donor_slab_return(struct donor_table *t, struct donor_slab *slab)
{
	disown(slab);
	if (slab->retire) {
		release(t, slab);
		return;
	}
	move(t, slab, DONOR_SLAB_ZEROING);
	t->ops->zero(t->ctx, slab);
}

void donor_slab_retire(struct donor_table *t, struct donor_slab *slab, bool retire)
{
	set_retire(t, slab, retire);
}
