// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdlib.h>
#include <string.h>

#include "hs_weave_next.h"

#define PER_PARTITION	(256 << 10)	/* records, on average */
#define PARTITIONS_MAX	4096
#define CHUNK_USES	256
#define CHUNK_NEXT	512

struct use {
	uint64_t page;
	uint64_t index;
	uint32_t did, zero;
};

/* The pages of a partition: an open hash table, never more than half full. */
struct page {
	uint64_t page;
	uint64_t use;		/* the last one seen, HS_NEVER: the entry is free */
	uint32_t did;
};

struct table {
	struct page *pages;
	size_t room, nr;
};

/* The results of a partition: they were written backwards, so they are read so. */
struct tail {
	uint64_t left;		/* that the buffer does not have */
	unsigned int have;	/* the last one is the next */
};

struct hs_next {
	unsigned int partitions;
	struct hs_spool *uses, *results;
	struct tail *tails;
	uint64_t *buffers;	/* CHUNK_NEXT a partition */
	struct ax_msg msg;
};

static uint64_t hash(uint64_t page, uint32_t did)
{
	uint64_t h = (page >> 12 ^ (uint64_t)did << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
}

static unsigned int partition(const struct hs_next *next, const struct hs_rec *rec)
{
	return (hash(rec->iova & rec->mask, rec->did) >> 32) * next->partitions >> 32;
}

static bool fail(struct hs_next *next, const char *why)
{
	ax_fail(&next->msg, "%s", why);
	return false;
}

static bool spread(struct hs_next *next, struct hs_source *source)
{
	const struct hs_rec *rec;
	struct use use = { 0 };

	for (use.index = 0; (rec = source->next(source)); use.index++) {
		if (rec->flags & HS_REC_INVALIDATE)
			continue;
		use.page = rec->iova & rec->mask;
		use.did = rec->did;
		if (!hs_spool_put(next->uses, partition(next, rec), &use))
			return fail(next, hs_spool_error(next->uses));
	}
	if (source->error(source))
		return fail(next, source->error(source));
	return hs_spool_flush(next->uses) || fail(next, hs_spool_error(next->uses));
}

static struct page *lookup(const struct table *t, uint64_t page, uint32_t did)
{
	size_t at = hash(page, did) & (t->room - 1);

	while (t->pages[at].use != HS_NEVER &&
	       (t->pages[at].page != page || t->pages[at].did != did))
		at = (at + 1) & (t->room - 1);
	return &t->pages[at];
}

static bool grow(struct table *t)
{
	struct table more = { .room = t->room ? 2 * t->room : 4096 };

	more.pages = malloc(more.room * sizeof(*more.pages));
	if (!more.pages)
		return false;
	memset(more.pages, 0xff, more.room * sizeof(*more.pages));
	for (size_t i = 0; i < t->room; i++) {
		const struct page *p = &t->pages[i];

		if (p->use != HS_NEVER)
			*lookup(&more, p->page, p->did) = *p;
	}
	free(t->pages);
	t->pages = more.pages;
	t->room = more.room;
	return true;
}

static bool use_page(struct hs_next *next, struct table *t, unsigned int part,
		     const struct use *use)
{
	struct page *p;

	if (2 * t->nr >= t->room && !grow(t))
		return fail(next, "out of memory");
	p = lookup(t, use->page, use->did);
	if (!hs_spool_put(next->results, part, &p->use))
		return fail(next, hs_spool_error(next->results));
	if (p->use == HS_NEVER)
		t->nr++;
	*p = (struct page){ .page = use->page, .did = use->did, .use = use->index };
	return true;
}

static bool resolve(struct hs_next *next, struct table *t, unsigned int part)
{
	uint64_t at = hs_spool_count(next->uses, part);
	struct use uses[CHUNK_USES];

	if (t->room)
		memset(t->pages, 0xff, t->room * sizeof(*t->pages));
	t->nr = 0;
	while (at) {
		unsigned int n = at % CHUNK_USES ? at % CHUNK_USES : CHUNK_USES;

		at -= n;
		if (hs_spool_read(next->uses, part, at, uses, n) != (int)n)
			return fail(next, hs_spool_error(next->uses));
		while (n--) {
			if (!use_page(next, t, part, &uses[n]))
				return false;
		}
	}
	return hs_spool_flush(next->results) || fail(next, hs_spool_error(next->results));
}

static bool build(struct hs_next *next, struct hs_source *source, uint64_t records, const char *dir)
{
	struct table table = { 0 };
	bool ok = true;

	next->partitions = records / PER_PARTITION < PARTITIONS_MAX ? records / PER_PARTITION + 1 :
								      PARTITIONS_MAX;
	next->uses = hs_spool_new(dir, sizeof(struct use), CHUNK_USES, next->partitions,
				  &next->msg);
	if (!next->uses || !spread(next, source))
		return false;
	next->results = hs_spool_new(dir, sizeof(uint64_t), CHUNK_NEXT, next->partitions,
				     &next->msg);
	if (!next->results)
		return false;
	for (unsigned int i = 0; ok && i < next->partitions; i++)
		ok = resolve(next, &table, i);
	free(table.pages);
	hs_spool_free(next->uses);
	next->uses = NULL;
	next->tails = calloc(next->partitions, sizeof(*next->tails));
	next->buffers = malloc((size_t)next->partitions * CHUNK_NEXT * sizeof(*next->buffers));
	if (ok && (!next->tails || !next->buffers))
		return fail(next, "out of memory");
	for (unsigned int i = 0; ok && i < next->partitions; i++)
		next->tails[i].left = hs_spool_count(next->results, i);
	return ok;
}

struct hs_next *hs_next_build(struct hs_source *source, uint64_t records, const char *dir,
			      struct ax_msg *msg)
{
	struct hs_next *next = calloc(1, sizeof(*next));

	if (!next) {
		ax_fail(msg, "out of memory");
		return NULL;
	}
	if (!source->rewind(source) || !build(next, source, records, dir)) {
		*msg = next->msg;
		hs_next_free(next);
		return NULL;
	}
	return next;
}

void hs_next_free(struct hs_next *next)
{
	if (!next)
		return;
	hs_spool_free(next->uses);
	hs_spool_free(next->results);
	free(next->tails);
	free(next->buffers);
	free(next);
}

bool hs_next_get(struct hs_next *next, const struct hs_rec *rec, uint64_t *index)
{
	unsigned int part = partition(next, rec);
	uint64_t *buffer = next->buffers + (size_t)part * CHUNK_NEXT;
	struct tail *tail = &next->tails[part];

	if (rec->flags & HS_REC_INVALIDATE) {
		*index = HS_NEVER;
		return true;
	}
	if (!tail->have) {
		unsigned int n = tail->left % CHUNK_NEXT ? tail->left % CHUNK_NEXT : CHUNK_NEXT;

		if (!tail->left)
			return fail(next, "the records came otherwise than the first time");
		tail->left -= n;
		if (hs_spool_read(next->results, part, tail->left, buffer, n) != (int)n)
			return fail(next, hs_spool_error(next->results));
		tail->have = n;
	}
	*index = buffer[--tail->have];
	return true;
}

const char *hs_next_error(const struct hs_next *next)
{
	return next->msg.text;
}
