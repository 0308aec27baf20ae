// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdlib.h>
#include <string.h>

#include "hs_log.h"
#include "hs_weave_orig.h"

#define ID_STEP		128	/* what a log adds to the ids of the one before */
#define CHUNK		512
#define BUFFERS		(16 << 20)
#define DEVICES_MAX	30	/* slots 2 to 31 of a bus */

struct item {
	uint64_t iova, slpte;
	uint32_t sid, did;
	uint8_t level;
	uint8_t zero[7];
};

/* A tenant's translations; for HS_ORDER_LOG there is one "tenant" with all. */
struct cursor {
	uint64_t at;		/* in its stream */
	uint32_t pos, have;	/* in its buffer */
};

struct context {
	uint32_t sid;
	uint64_t high, low;
	uint16_t gen;
};

struct pte {
	uint32_t did;
	uint8_t level;
	uint64_t table, entry, iova;
};

struct orig {
	struct hs_source source;	/* first: the callers' pointer */
	struct hs_orig_opts opts;
	struct hs_spool *spool;
	uint32_t tenants;		/* found */
	uint32_t *dids;			/* by a log's did + ID_STEP * log: 1 more than the tenant */
	size_t nr_dids;
	uint64_t records;
	struct context *contexts;
	struct pte *ptes;
	unsigned int nr_contexts, nr_ptes;
	struct cursor *cursors;
	struct item *items;
	unsigned int room, streams;
	uint32_t *live, nr_live;	/* tenants that have something left, in order */
	uint32_t turn, left;
	bool last_round;
	struct random_data random;
	char random_state[128];		/* what glibc's rand() has */
	struct hs_rec rec;
	struct ax_msg msg;
};

static uint32_t *did_entry(struct orig *o, size_t key)
{
	if (key >= o->nr_dids) {
		size_t nr = key + 65536;
		uint32_t *more = realloc(o->dids, nr * sizeof(*more));

		if (!more)
			return NULL;
		memset(more + o->nr_dids, 0, (nr - o->nr_dids) * sizeof(*more));
		o->dids = more;
		o->nr_dids = nr;
	}
	return &o->dids[key];
}

static int add_access(struct orig *o, const struct hs_log_event *e, unsigned int log)
{
	uint32_t *did = did_entry(o, e->domain + (size_t)ID_STEP * log);
	struct item item = {
		.iova = e->iova,
		.slpte = e->slpte,
		.sid = e->sid + ID_STEP * log,
		.level = e->level,
	};

	if (!did)
		return ax_fail(&o->msg, "out of memory");
	if (!*did) {
		if ((o->opts.order != HS_ORDER_LOG || !o->tenants) && hs_spool_add(o->spool) < 0)
			return ax_fail(&o->msg, "out of memory");
		*did = ++o->tenants;
	}
	item.did = *did - 1;
	o->records++;
	if (!hs_spool_put(o->spool, o->opts.order == HS_ORDER_LOG ? 0 : item.did, &item))
		return ax_fail(&o->msg, "%s", hs_spool_error(o->spool));
	return 0;
}

static int add_context(struct orig *o, const struct hs_log_event *e, unsigned int log)
{
	struct context *more, c = { e->sid + ID_STEP * log, e->high, e->low, e->gen };

	for (unsigned int i = 0; i < o->nr_contexts; i++) {
		if (o->contexts[i].sid == c.sid) {
			o->contexts[i] = c;
			return 0;
		}
	}
	more = realloc(o->contexts, (o->nr_contexts + 1) * sizeof(*more));
	if (!more)
		return ax_fail(&o->msg, "out of memory");
	o->contexts = more;
	o->contexts[o->nr_contexts++] = c;
	return 0;
}

/* Entries of domains that no context entry has named are not kept. */
static int add_pte(struct orig *o, const struct hs_log_event *e)
{
	struct pte *more, p = { e->domain, e->level, e->table, e->slpte, e->iova };
	unsigned int shift = 12 + 9 * (e->level - 1);
	bool known = false;

	for (unsigned int i = 0; i < o->nr_contexts && !known; i++)
		known = (o->contexts[i].high >> 8 & UINT16_MAX) == p.did;
	if (!known)
		return 0;
	for (unsigned int i = 0; i < o->nr_ptes; i++) {
		const struct pte *q = &o->ptes[i];

		if (q->did == p.did && q->table == p.table && q->level == p.level &&
		    (q->iova >> shift & 511) == (p.iova >> shift & 511)) {
			o->ptes[i] = p;
			return 0;
		}
	}
	if (o->nr_ptes == 1 << 16)
		return ax_fail(&o->msg, "more than %u page-table entries in the logs", o->nr_ptes);
	if (!(o->nr_ptes & (o->nr_ptes - 1))) {	/* a power of two: it is full */
		more = realloc(o->ptes, (o->nr_ptes ? 2 * o->nr_ptes : 1) * sizeof(*more));
		if (!more)
			return ax_fail(&o->msg, "out of memory");
		o->ptes = more;
	}
	o->ptes[o->nr_ptes++] = p;
	return 0;
}

static bool counts(uint32_t sid, unsigned int devices)
{
	return !(sid & 7) && sid >> 3 >= 2 && sid >> 3 < 2 + devices;
}

static int read_log(struct orig *o, const char *path, unsigned int log)
{
	unsigned int devices = o->opts.tenants - o->tenants;
	struct hs_log *in = hs_log_open(path, &o->msg);
	struct hs_log_event e;
	int ret;

	if (!in)
		return -1;
	if (devices > o->opts.devices)
		devices = o->opts.devices;
	while ((ret = hs_log_next(in, &e)) > 0) {
		if (e.kind == HS_LOG_ACCESS && counts(e.sid, devices))
			ret = add_access(o, &e, log);
		else if (e.kind == HS_LOG_CONTEXT && counts(e.sid, devices))
			ret = add_context(o, &e, log);
		else if (e.kind == HS_LOG_PTE)
			ret = add_pte(o, &e);
		if (ret < 0)
			break;
	}
	if (ret < 0 && hs_log_error(in)[0])
		ax_fail(&o->msg, "%s", hs_log_error(in));
	hs_log_close(in);
	if (!ret && !hs_spool_flush(o->spool))
		ret = ax_fail(&o->msg, "%s", hs_spool_error(o->spool));
	return ret;
}

static int read_logs(struct orig *o, char *const *logs, unsigned int nr)
{
	unsigned int log = 0;

	while (log < nr && o->tenants < o->opts.tenants) {
		if (log == UINT16_MAX / ID_STEP)
			return ax_fail(&o->msg, "source ids of more than %u logs do not fit the original's format",
				       log);
		if (read_log(o, logs[log], log))
			return -1;
		log++;
	}
	if (o->tenants < o->opts.tenants)
		return ax_fail(&o->msg, "%u log%s only %u tenants (devices 2 to %u of each): give more logs or ask for fewer",
			       log, log == 1 ? " has" : "s have", o->tenants, 1 + o->opts.devices);
	return 0;
}

/* The cursor's item, or NULL at its end or (with a message) on failure. */
static const struct item *peek(struct orig *o, uint32_t stream)
{
	struct cursor *c = &o->cursors[stream];

	if (c->pos == c->have) {
		int n = hs_spool_read(o->spool, stream, c->at, o->items + (size_t)stream * o->room,
				      o->room);

		if (n < 0)
			ax_fail(&o->msg, "%s", hs_spool_error(o->spool));
		if (n <= 0)
			return NULL;
		c->at += n;
		c->pos = 0;
		c->have = n;
	}
	return &o->items[(size_t)stream * o->room + c->pos];
}

/*
 * Who is next, after the tenant of this turn took what it may; false at the end.
 * That a tenant has nothing left is seen only when it wants more: in random order
 * it costs a number, which the reference traces pin down.
 */
static bool next_turn(struct orig *o)
{
	bool drained = o->left;
	int32_t number;

	if (o->opts.order == HS_ORDER_RANDOM) {
		if (drained && o->left == o->opts.burst) {
			memmove(o->live + o->turn, o->live + o->turn + 1,
				(--o->nr_live - o->turn) * sizeof(*o->live));
		}
		if (!o->nr_live)
			return false;
		random_r(&o->random, &number);
		o->turn = number % o->nr_live;
	} else {
		o->last_round |= drained;
		if (++o->turn == o->nr_live) {
			if (o->last_round)
				return false;
			o->turn = 0;
		}
	}
	o->left = o->opts.burst;
	return true;
}

static const struct hs_rec *orig_next(struct hs_source *source)
{
	struct orig *o = (struct orig *)source;
	const struct item *item;

	if (!o->nr_live)
		return NULL;
	while (!o->left || !peek(o, o->live[o->turn])) {
		if (o->msg.text[0] || !next_turn(o)) {
			o->nr_live = 0;
			return NULL;
		}
	}
	item = peek(o, o->live[o->turn]);
	o->cursors[o->live[o->turn]].pos++;
	if (o->opts.order != HS_ORDER_LOG)
		o->left--;
	o->rec.sid = item->sid;
	o->rec.did = item->did;
	o->rec.iova = item->iova;
	o->rec.mask = hs_level_mask(item->level);
	o->rec.slpte = item->slpte;
	o->rec.level = item->level;
	return &o->rec;
}

static bool orig_rewind(struct hs_source *source)
{
	struct orig *o = (struct orig *)source;
	int32_t number;

	if (o->msg.text[0])
		return false;
	memset(o->cursors, 0, o->streams * sizeof(*o->cursors));
	for (uint32_t i = 0; i < o->streams; i++)
		o->live[i] = i;
	o->nr_live = o->streams;
	o->last_round = false;
	o->left = o->opts.burst;
	o->turn = 0;
	memset(&o->random, 0, sizeof(o->random));
	initstate_r(1, o->random_state, sizeof(o->random_state), &o->random);
	if (o->opts.order == HS_ORDER_RANDOM) {
		random_r(&o->random, &number);
		o->turn = number % o->nr_live;
	}
	return true;
}

static const char *orig_error(struct hs_source *source)
{
	const struct orig *o = (const struct orig *)source;

	return o->msg.text[0] ? o->msg.text : NULL;
}

static bool prepare(struct orig *o, char *const *logs, unsigned int nr)
{
	o->spool = hs_spool_new(o->opts.dir, sizeof(struct item), CHUNK, 0, &o->msg);
	if (!o->spool || read_logs(o, logs, nr))
		return false;
	o->streams = o->opts.order == HS_ORDER_LOG ? 1 : o->tenants;
	o->room = BUFFERS / sizeof(struct item) / o->streams;
	if (o->room > CHUNK)
		o->room = CHUNK;
	o->cursors = calloc(o->streams, sizeof(*o->cursors));
	o->live = calloc(o->streams, sizeof(*o->live));
	o->items = malloc((size_t)o->streams * o->room * sizeof(*o->items));
	if (!o->cursors || !o->live || !o->items)
		ax_fail(&o->msg, "out of memory");
	return !o->msg.text[0];
}

struct hs_source *hs_orig_new(char *const *logs, unsigned int nr, const struct hs_orig_opts *opts,
			      struct ax_msg *msg)
{
	struct orig *o = calloc(1, sizeof(*o));

	if (!o) {
		ax_fail(msg, "out of memory");
		return NULL;
	}
	o->source.next = orig_next;
	o->source.rewind = orig_rewind;
	o->source.error = orig_error;
	o->opts = *opts;
	if (o->opts.devices > DEVICES_MAX)
		o->opts.devices = DEVICES_MAX;
	if (!prepare(o, logs, nr)) {
		*msg = o->msg;
		hs_orig_free(&o->source);
		return NULL;
	}
	orig_rewind(&o->source);
	return &o->source;
}

void hs_orig_free(struct hs_source *source)
{
	struct orig *o = (struct orig *)source;

	if (!o)
		return;
	hs_spool_free(o->spool);
	free(o->dids);
	free(o->contexts);
	free(o->ptes);
	free(o->cursors);
	free(o->live);
	free(o->items);
	free(o);
}

uint64_t hs_orig_records(const struct hs_source *source)
{
	return ((const struct orig *)source)->records;
}

bool hs_orig_put_tables(const struct hs_source *source, struct hs_writer *writer)
{
	const struct orig *o = (const struct orig *)source;

	for (unsigned int i = 0; i < o->nr_contexts; i++) {
		const struct context *c = &o->contexts[i];

		if (!hs_writer_put_cc(writer, c->sid, c->high, c->low, c->gen))
			return false;
	}
	for (unsigned int i = 0; i < o->nr_ptes; i++) {
		const struct pte *p = &o->ptes[i];

		if (!hs_writer_put_slpt(writer, p->did, p->table, p->level, p->entry, p->iova))
			return false;
	}
	return true;
}
