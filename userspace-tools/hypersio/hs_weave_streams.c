// SPDX-License-Identifier: LGPL-2.1-or-later
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hs_log.h"
#include "hs_weave_streams.h"

#define CHUNK	512	/* items that go to the file at a time */
#define DEVICES_MAX 1024	/* of one log: each has a buffer while it is read */
#define OPEN_MAX 16	/* accesses of a packet that has no end yet */

/* The packet of a device that is being put together. */
struct open_packet {
	struct hs_item items[OPEN_MAX];
	unsigned int nr;
};

struct open_log {
	struct hs_streams *to;
	struct open_packet *packets;	/* one a stream of this log */
	unsigned int first;		/* of its streams */
	struct ax_msg *msg;
};

struct hs_streams *hs_streams_new(const struct hs_streams_opts *opts, struct ax_msg *msg)
{
	struct hs_streams *s = calloc(1, sizeof(*s));

	if (!s) {
		ax_fail(msg, "out of memory");
		return NULL;
	}
	s->opts = *opts;
	if (!s->opts.packet)
		s->opts.packet = HS_PACKET;
	if (s->opts.packet > OPEN_MAX) {
		ax_fail(msg, "packets of more than %d records", OPEN_MAX);
		hs_streams_free(s);
		return NULL;
	}
	s->spool = hs_spool_new(opts->dir, sizeof(struct hs_item), CHUNK, 0, msg);
	if (!s->spool) {
		hs_streams_free(s);
		return NULL;
	}
	return s;
}

void hs_streams_free(struct hs_streams *s)
{
	if (!s)
		return;
	for (unsigned int i = 0; i < s->nr; i++)
		free(s->streams[i].name);
	free(s->streams);
	hs_spool_free(s->spool);
	free(s);
}

static int put(struct hs_streams *s, unsigned int stream, const struct hs_item *item)
{
	return hs_spool_put(s->spool, s->streams[stream].spool, item) ? 0 : -1;
}

/* The accesses of @p that its packet keeps, as a set of bits. */
static unsigned int choose(const struct open_packet *p, unsigned int packet)
{
	unsigned int chosen = 0, n = 0;

	for (unsigned int i = 0; i < p->nr && n < packet; i++) {
		bool seen = false;

		for (unsigned int k = 0; k < i && !seen; k++)
			seen = p->items[k].order == p->items[i].order &&
			       p->items[k].iova >> p->items[k].order ==
			       p->items[i].iova >> p->items[i].order;
		if (!seen) {
			chosen |= 1u << i;
			n++;
		}
	}
	for (unsigned int i = 0; n < packet; i++) {
		if (!(chosen & 1u << i)) {
			chosen |= 1u << i;
			n++;
		}
	}
	return chosen;
}

/* A packet of the first @nr accesses goes out; what is behind them stays. */
static int close_packet(struct open_log *log, unsigned int stream, unsigned int nr)
{
	struct open_packet *p = &log->packets[stream - log->first];
	unsigned int all = p->nr, chosen, n = 0;
	struct hs_streams *s = log->to;

	p->nr = nr;
	chosen = choose(p, s->opts.packet);
	for (unsigned int i = 0; i < nr; i++) {
		if (!(chosen & 1u << i))
			continue;
		if (!n++)
			p->items[i].flags |= HS_ITEM_FIRST;
		if (put(s, stream, &p->items[i]))
			return -1;
	}
	s->left_out += nr - n;
	s->streams[stream].packets++;
	p->nr = all - nr;
	memmove(p->items, p->items + nr, p->nr * sizeof(p->items[0]));
	return 0;
}

/* The first @nr accesses belong to no packet. */
static void drop(struct open_log *log, struct open_packet *p, unsigned int nr)
{
	log->to->left_out += nr;
	p->nr -= nr;
	memmove(p->items, p->items + nr, p->nr * sizeof(p->items[0]));
}

/*
 * How many accesses the packet has that begins with the descriptor of access @from:
 * up to those that are to this descriptor again. 0: its end has not been seen.
 */
static unsigned int length(const struct open_packet *p, unsigned int from, bool last)
{
	uint64_t descriptor = p->items[from].iova >> 4;
	unsigned int i = from + 1;

	while (i < p->nr && p->items[i].iova >> 4 != descriptor)
		i++;
	if (i == p->nr)
		return 0;
	while (i < p->nr && p->items[i].iova >> 4 == descriptor)
		i++;
	return i < p->nr || last ? i - from : 0;
}

/* Packets out of what there is; @last: nothing follows. */
static int take_packets(struct open_log *log, unsigned int stream, bool last)
{
	struct open_packet *p = &log->packets[stream - log->first];
	unsigned int packet = log->to->opts.packet;

	while (p->nr) {
		unsigned int n = length(p, 0, last), next = 1;

		if (!n && p->nr < OPEN_MAX && !last)
			return 0;
		if (n && n < packet) {	/* a descriptor without payload */
			drop(log, p, n);
			continue;
		}
		/* No descriptor: is the first one near? If not, it has none, and all is taken. */
		while (!n && next < p->nr && length(p, next, last) < packet)
			next++;
		if (!n && (next < packet || p->nr < packet))
			drop(log, p, next < p->nr ? next : p->nr);
		else if (close_packet(log, stream, n ? n : packet))
			return -1;
	}
	return 0;
}

static int access_item(struct open_log *log, unsigned int stream, const struct hs_item *item,
		       bool fixed)
{
	struct open_packet *p = &log->packets[stream - log->first];
	unsigned int packet = log->to->opts.packet;

	p->items[p->nr++] = *item;
	if (!fixed)
		return take_packets(log, stream, false);
	return p->nr < packet ? 0 : close_packet(log, stream, packet);
}

static int new_stream(struct open_log *log, const char *path, uint32_t sid)
{
	struct hs_streams *s = log->to;
	const char *base = strrchr(path, '/');
	struct open_packet *packets;
	struct hs_stream *more;
	int spool = hs_spool_add(s->spool);

	if (s->nr - log->first == DEVICES_MAX)
		return ax_fail(log->msg, "%.300s: more than %d devices", path, DEVICES_MAX);
	more = realloc(s->streams, (s->nr + 1) * sizeof(*more));
	if (more)
		s->streams = more;
	packets = realloc(log->packets, (s->nr - log->first + 1) * sizeof(*packets));
	if (packets)
		log->packets = packets;
	if (!more || !packets || spool < 0)
		return ax_fail(log->msg, "out of memory");
	memset(&packets[s->nr - log->first], 0, sizeof(*packets));
	s->streams[s->nr] = (struct hs_stream){ .log = s->logs, .sid = sid, .spool = spool };
	if (asprintf(&s->streams[s->nr].name, "%s:%02x:%02x.%x", base ? base + 1 : path, sid >> 8,
		     sid >> 3 & 31, sid & 7) < 0)
		return ax_fail(log->msg, "out of memory");
	return s->nr++;
}

/* Page invalidations concern the devices that are in the domain. */
static int invalidate(struct open_log *log, const struct hs_log_event *e)
{
	struct hs_streams *s = log->to;
	struct hs_item item = {
		.iova = e->iova & e->mask,
		.level = 1,
		.order = e->mask ? __builtin_ctzll(e->mask) : 64,
		.flags = HS_REC_INVALIDATE,
	};

	for (unsigned int i = log->first; i < s->nr; i++) {
		if (s->streams[i].domain == e->domain && put(s, i, &item))
			return ax_fail(log->msg, "%s", hs_spool_error(s->spool));
	}
	return 0;
}

static int access_event(struct open_log *log, const char *path, const struct hs_log_event *e,
			bool fixed)
{
	struct hs_streams *s = log->to;
	struct hs_item item = {
		.iova = e->iova,
		.slpte = e->slpte,
		.level = e->level,
		.order = __builtin_ctzll(e->mask),
	};
	unsigned int i = log->first;

	while (i < s->nr && s->streams[i].sid != e->sid)
		i++;
	if (i == s->nr && new_stream(log, path, e->sid) < 0)
		return -1;
	s->streams[i].domain = e->domain;
	if (access_item(log, i, &item, fixed))
		return ax_fail(log->msg, "%s", hs_spool_error(s->spool));
	return 0;
}

static int read_log(struct open_log *log, struct hs_log *in, const char *path)
{
	struct hs_streams *s = log->to;
	struct hs_log_event e;
	int ret;

	while ((ret = hs_log_next(in, &e)) > 0) {
		bool fixed = s->opts.fixed || hs_log_count(in)->patched;

		if (e.kind == HS_LOG_ACCESS)
			ret = access_event(log, path, &e, fixed);
		else if (e.kind == HS_LOG_INVALIDATE && s->opts.invalidations)
			ret = invalidate(log, &e);
		if (ret < 0)
			return ret;
	}
	if (ret < 0)
		return ax_fail(log->msg, "%s", hs_log_error(in));
	return 0;
}

/* What ends with the log. */
static int last_packets(struct open_log *log, bool fixed)
{
	struct hs_streams *s = log->to;

	for (unsigned int i = log->first; i < s->nr; i++) {
		struct open_packet *p = &log->packets[i - log->first];

		if (fixed)
			drop(log, p, p->nr);
		else if (take_packets(log, i, true))
			return ax_fail(log->msg, "%s", hs_spool_error(s->spool));
	}
	return 0;
}

static int by_sid(const void *a, const void *b)
{
	const struct hs_stream *x = a, *y = b;

	return x->sid < y->sid ? -1 : x->sid > y->sid;
}

int hs_streams_log(struct hs_streams *s, const char *path, struct ax_msg *msg)
{
	struct open_log log = { .to = s, .first = s->nr, .msg = msg };
	struct hs_log *in = hs_log_open(path, msg);
	const struct hs_log_count *count;
	int ret;

	if (!in)
		return -1;
	ret = read_log(&log, in, path);
	if (!ret)
		ret = last_packets(&log, s->opts.fixed || hs_log_count(in)->patched);
	if (!ret && !hs_spool_flush(s->spool))
		ret = ax_fail(msg, "%s", hs_spool_error(s->spool));
	count = hs_log_count(in);
	s->lines += count->lines;
	s->accesses += count->accesses;
	s->sized += count->sized;
	s->bad += count->bad;
	hs_log_close(in);
	free(log.packets);
	if (s->nr > log.first)
		qsort(s->streams + log.first, s->nr - log.first, sizeof(*s->streams), by_sid);
	s->logs++;
	return ret;
}

int hs_streams_done(struct hs_streams *s, struct ax_msg *msg)
{
	uint64_t least = s->opts.least ? s->opts.least : 1;
	unsigned int kept = 0;

	for (unsigned int i = 0; i < s->nr; i++) {
		if (s->streams[i].packets >= least)
			s->streams[kept++] = s->streams[i];
		else
			free(s->streams[i].name);
	}
	s->nr = kept;
	if (!s->accesses)
		return ax_fail(msg, "no translation in %u log%s of %llu lines: is it one of QEMU's VT-d trace events?",
			       s->logs, s->logs == 1 ? "" : "s", (unsigned long long)s->lines);
	if (!kept)
		return ax_fail(msg, "no device with %llu packets of %u translations in the logs (%llu translations in all)",
			       (unsigned long long)least, s->opts.packet,
			       (unsigned long long)s->accesses);
	return 0;
}
