// SPDX-License-Identifier: LGPL-2.1-or-later
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "hs_rng.h"
#include "hs_weave.h"

#define BUFFERS		(16 << 20)	/* bytes of all tenants' buffers */
#define BUFFER_MIN	8		/* items */
#define BUFFER_MAX	512

struct tenant {
	uint32_t stream;
	uint32_t at, have;	/* in its buffer */
	uint64_t next;		/* item of the stream that the buffer is filled from next */
	uint64_t start;		/* the item that it begins with */
};

struct weave {
	struct hs_source source;	/* first: the callers' pointer */
	struct hs_streams *streams;
	struct hs_weave_opts opts;
	struct tenant *tenants;
	struct hs_item *items;		/* their buffers */
	unsigned int room;		/* items of one buffer */
	uint64_t packets, done;
	uint32_t turn, left;		/* whose turn it is, and how many packets it has left */
	unsigned int records;		/* of the packet that are still to come */
	struct hs_rng rng;
	double *chance;			/* of zipf: alias tables (Walker's method) */
	uint32_t *alias;
	struct hs_rec rec;
	struct ax_msg msg;
};

static bool fill(struct weave *w, uint32_t t)
{
	struct tenant *tenant = &w->tenants[t];
	const struct hs_stream *stream = &w->streams->streams[tenant->stream];
	int n;

	if (tenant->next == hs_spool_count(w->streams->spool, stream->spool))
		tenant->next = 0;
	n = hs_spool_read(w->streams->spool, stream->spool, tenant->next,
			  w->items + (size_t)t * w->room, w->room);
	if (n <= 0) {
		ax_fail(&w->msg, "%s", hs_spool_error(w->streams->spool));
		return false;
	}
	tenant->next += n;
	tenant->have = n;
	tenant->at = 0;
	return true;
}

static const struct hs_item *take(struct weave *w, uint32_t t)
{
	struct tenant *tenant = &w->tenants[t];

	if (tenant->at == tenant->have && !fill(w, t))
		return NULL;
	return &w->items[(size_t)t * w->room + tenant->at++];
}

static uint32_t zipf(struct weave *w)
{
	uint32_t i = hs_rng_below(&w->rng, w->opts.tenants);

	return hs_rng_unit(&w->rng) < w->chance[i] ? i : w->alias[i];
}

/* 1, 2...: the mean is @mean */
static uint32_t geometric(struct weave *w, uint32_t mean)
{
	double n;

	if (mean == 1)
		return 1;
	n = 1 + floor(log1p(-hs_rng_unit(&w->rng)) / log1p(-1.0 / mean));
	return n < UINT32_MAX ? n : UINT32_MAX;
}

static void next_turn(struct weave *w)
{
	w->left = w->opts.burst;
	switch (w->opts.order) {
	case HS_ORDER_ZIPF:
		w->turn = zipf(w);
		break;
	case HS_ORDER_BURST:
		w->left = geometric(w, w->opts.burst);
		/* fall through */
	case HS_ORDER_RANDOM:
		w->turn = hs_rng_below(&w->rng, w->opts.tenants);
		break;
	default:
		w->turn = w->turn + 1 < w->opts.tenants ? w->turn + 1 : 0;
		break;
	}
}

static const struct hs_rec *weave_next(struct hs_source *source)
{
	struct weave *w = (struct weave *)source;
	const struct hs_item *item;

	if (!w->records) {
		if (w->done == w->packets)
			return NULL;
		if (!w->left)
			next_turn(w);
		w->left--;
		w->done++;
		w->records = w->streams->opts.packet;
	}
	item = take(w, w->turn);
	if (!item)
		return NULL;
	w->rec.did = w->turn;
	w->rec.sid = w->turn;
	w->rec.iova = item->iova;
	w->rec.mask = item->order == 64 ? 0 : ~((UINT64_C(1) << item->order) - 1);
	w->rec.slpte = item->slpte;
	w->rec.level = item->level;
	w->rec.flags = item->flags & HS_REC_FLAGS;
	if (!(item->flags & HS_REC_INVALIDATE))
		w->records--;
	return &w->rec;
}

static bool weave_rewind(struct hs_source *source)
{
	struct weave *w = (struct weave *)source;

	hs_rng_seed(&w->rng, w->opts.seed);
	w->done = 0;
	w->left = 0;
	w->records = 0;
	w->turn = w->opts.tenants - 1;
	for (uint32_t t = 0; t < w->opts.tenants; t++) {
		w->tenants[t].next = w->tenants[t].start;
		w->tenants[t].at = 0;
		w->tenants[t].have = 0;
	}
	return !w->msg.text[0];
}

static const char *weave_error(struct hs_source *source)
{
	const struct weave *w = (const struct weave *)source;

	return w->msg.text[0] ? w->msg.text : NULL;
}

/* Where the @replica-th of @replicas tenants of a stream begins: a packet's first item. */
static bool find_start(struct weave *w, struct tenant *tenant, uint32_t replica, uint32_t replicas)
{
	const struct hs_stream *stream = &w->streams->streams[tenant->stream];
	uint64_t count = hs_spool_count(w->streams->spool, stream->spool);
	uint64_t at = count / replicas * replica + count % replicas * replica / replicas;
	struct hs_item item;

	while (at < count) {
		if (hs_spool_read(w->streams->spool, stream->spool, at, &item, 1) != 1)
			return false;
		if (item.flags & HS_ITEM_FIRST)
			break;
		at++;
	}
	tenant->start = at < count ? at : 0;
	return true;
}

static bool place_tenants(struct weave *w)
{
	uint32_t devices = w->streams->nr;

	for (uint32_t t = 0; t < w->opts.tenants; t++) {
		uint32_t stream = t % devices;
		uint32_t replicas = (w->opts.tenants - stream - 1) / devices + 1;

		w->tenants[t].stream = stream;
		if (w->opts.same_start || t < devices)
			continue;
		if (!find_start(w, &w->tenants[t], t / devices, replicas))
			return false;
	}
	return true;
}

/* Walker's alias method: a table entry is either its own tenant or one other. */
static bool prepare_zipf(struct weave *w)
{
	uint32_t n = w->opts.tenants, small = 0, large = 0;
	uint32_t *todo = calloc(n, sizeof(*todo));	/* small ones below, large ones above */
	double sum = 0;

	w->chance = calloc(n, sizeof(*w->chance));
	w->alias = calloc(n, sizeof(*w->alias));
	if (!todo || !w->chance || !w->alias) {
		free(todo);
		return false;
	}
	for (uint32_t i = 0; i < n; i++)
		sum += w->chance[i] = pow(i + 1.0, -w->opts.skew);
	for (uint32_t i = 0; i < n; i++) {
		w->chance[i] *= n / sum;
		w->alias[i] = i;
		if (w->chance[i] < 1)
			todo[small++] = i;
		else
			todo[n - ++large] = i;
	}
	while (small && large) {
		uint32_t s = todo[--small], l = todo[n - large];

		w->alias[s] = l;
		w->chance[l] -= 1 - w->chance[s];
		if (w->chance[l] < 1) {
			large--;
			todo[small++] = l;
		}
	}
	free(todo);
	return true;
}

static bool prepare(struct weave *w)
{
	uint32_t tenants = w->opts.tenants;
	uint64_t shortest = UINT64_MAX;

	w->room = BUFFERS / sizeof(struct hs_item) / tenants;
	w->room = w->room < BUFFER_MIN ? BUFFER_MIN : w->room > BUFFER_MAX ? BUFFER_MAX : w->room;
	w->tenants = calloc(tenants, sizeof(*w->tenants));
	w->items = malloc((size_t)tenants * w->room * sizeof(*w->items));
	if (!w->tenants || !w->items || (w->opts.order == HS_ORDER_ZIPF && !prepare_zipf(w))) {
		ax_fail(&w->msg, "out of memory");
		return false;
	}
	if (!place_tenants(w)) {
		ax_fail(&w->msg, "%s", hs_spool_error(w->streams->spool));
		return false;
	}
	for (unsigned int i = 0; i < w->streams->nr; i++) {
		if (w->streams->streams[i].packets < shortest)
			shortest = w->streams->streams[i].packets;
	}
	w->packets = w->opts.packets ? w->opts.packets : shortest * tenants;
	return true;
}

struct hs_source *hs_weave_new(struct hs_streams *streams, const struct hs_weave_opts *opts,
			       struct ax_msg *msg)
{
	struct weave *w = calloc(1, sizeof(*w));

	if (!w) {
		ax_fail(msg, "out of memory");
		return NULL;
	}
	w->source.next = weave_next;
	w->source.rewind = weave_rewind;
	w->source.error = weave_error;
	w->streams = streams;
	w->opts = *opts;
	if (!prepare(w)) {
		*msg = w->msg;
		hs_weave_free(&w->source);
		return NULL;
	}
	weave_rewind(&w->source);
	return &w->source;
}

void hs_weave_free(struct hs_source *source)
{
	struct weave *w = (struct weave *)source;

	if (!w)
		return;
	free(w->tenants);
	free(w->items);
	free(w->chance);
	free(w->alias);
	free(w);
}

uint64_t hs_weave_packets(const struct hs_source *source)
{
	return ((const struct weave *)source)->packets;
}
