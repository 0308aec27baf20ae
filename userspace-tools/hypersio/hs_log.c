// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Lines out of a file, compressed or not, and the events of a stock log joined:
 * an access waits for the vtd_dmar_translate that says how large its page is.
 * QEMU's threads write the log, so another device's lines may stand between.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zstd.h>

#include "hs_log.h"
#include "hs_trace.h"

#define BUFFER	(256 << 10)
#define WAITING	16	/* accesses that wait for their size */

struct hs_log {
	int fd;
	char *path;
	char *buf;		/* text: [at, end) is not yet parsed */
	size_t at, end;
	bool eof;
	ZSTD_DStream *zstd;	/* NULL: a plain file */
	char *packed;
	ZSTD_inBuffer in;
	size_t more;		/* what zstd said last: 0 at the end of a frame */
	struct hs_log_event queue[WAITING];
	unsigned int first, waiting;
	struct hs_log_count count;
	struct ax_msg msg;
};

static const unsigned char zstd_magic[4] = { 0x28, 0xb5, 0x2f, 0xfd };

static int fail(struct hs_log *log, const char *what)
{
	return ax_fail(&log->msg, "%.300s: %s", log->path, what);
}

static ssize_t read_some(struct hs_log *log, void *buf, size_t room)
{
	ssize_t n;

	do {
		n = read(log->fd, buf, room);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		fail(log, strerror(errno));
	return n;
}

/* More text behind what is there: 1, 0 at the end of the file, -1 on failure. */
static int fill_plain(struct hs_log *log)
{
	ssize_t n = read_some(log, log->buf + log->end, BUFFER - log->end);

	if (n > 0)
		log->end += n;
	return n > 0 ? 1 : n;
}

static int fill_zstd(struct hs_log *log)
{
	ZSTD_outBuffer out = { log->buf, BUFFER, log->end };

	while (out.pos == log->end) {
		size_t before = log->in.pos;

		if (log->in.pos == log->in.size) {
			ssize_t n = read_some(log, log->packed, ZSTD_DStreamInSize());

			if (n < 0)
				return -1;
			if (!n && log->more)
				return fail(log, "ends in the middle of its compressed data");
			if (!n)
				return 0;
			log->in.size = n;
			log->in.pos = 0;
			before = 0;
		}
		log->more = ZSTD_decompressStream(log->zstd, &out, &log->in);
		if (ZSTD_isError(log->more))
			return fail(log, ZSTD_getErrorName(log->more));
		if (log->in.pos == before && out.pos == log->end)
			return fail(log, "its compressed data make no sense");
	}
	log->end = out.pos;
	return 1;
}

static int open_file(struct hs_log *log, const char *path)
{
	unsigned char magic[4];
	ssize_t n;

	log->path = strdup(path);
	log->buf = malloc(BUFFER);
	if (!log->path || !log->buf)
		return ax_fail(&log->msg, "out of memory");
	log->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (log->fd < 0)
		return fail(log, strerror(errno));
	n = read_some(log, magic, sizeof(magic));
	if (n < 0)
		return -1;
	if (n < (ssize_t)sizeof(magic) || memcmp(magic, zstd_magic, sizeof(magic))) {
		memcpy(log->buf, magic, n);
		log->end = n;
		return 0;
	}
	log->zstd = ZSTD_createDStream();
	log->packed = malloc(ZSTD_DStreamInSize());
	if (!log->zstd || !log->packed)
		return ax_fail(&log->msg, "out of memory");
	/* 8 MiB: what zstd itself takes unless it is told otherwise */
	ZSTD_DCtx_setParameter(log->zstd, ZSTD_d_windowLogMax, 23);
	memcpy(log->packed, magic, sizeof(magic));
	log->in = (ZSTD_inBuffer){ log->packed, sizeof(magic), 0 };
	log->more = 1;
	return 0;
}

struct hs_log *hs_log_open(const char *path, struct ax_msg *msg)
{
	struct hs_log *log = calloc(1, sizeof(*log));

	if (!log) {
		ax_fail(msg, "out of memory");
		return NULL;
	}
	log->fd = -1;
	if (open_file(log, path)) {
		*msg = log->msg;
		hs_log_close(log);
		return NULL;
	}
	return log;
}

void hs_log_close(struct hs_log *log)
{
	if (!log)
		return;
	if (log->fd >= 0)
		close(log->fd);
	ZSTD_freeDStream(log->zstd);
	free(log->packed);
	free(log->buf);
	free(log->path);
	free(log);
}

const struct hs_log_count *hs_log_count(const struct hs_log *log)
{
	return &log->count;
}

const char *hs_log_error(const struct hs_log *log)
{
	return log->msg.text;
}

/*
 * The next line: 1, 0 at the end, -1 on failure. One that does not fit the
 * buffer comes in pieces, which are no events of ours.
 */
static int next_line(struct hs_log *log, const char **line, size_t *len)
{
	size_t seen = 0;

	for (;;) {
		size_t have = log->end - log->at;
		const char *nl = memchr(log->buf + log->at + seen, '\n', have - seen);
		int ret;

		if (nl || (have && (log->eof || have == BUFFER))) {
			*line = log->buf + log->at;
			*len = nl ? (size_t)(nl - *line) : have;
			log->at += *len + !!nl;
			log->count.lines++;
			return 1;
		}
		if (log->eof)
			return 0;
		seen = have;
		memmove(log->buf, log->buf + log->at, have);
		log->at = 0;
		log->end = have;
		ret = log->zstd ? fill_zstd(log) : fill_plain(log);
		if (ret < 0)
			return ret;
		log->eof = !ret;
	}
}

static struct hs_log_event *waiting(struct hs_log *log, unsigned int i)
{
	return &log->queue[(log->first + i) % WAITING];
}

/* The oldest access of that page which still waits for its size gets it. */
static void set_size(struct hs_log *log, const struct hs_log_event *size)
{
	for (unsigned int i = 0; i < log->waiting; i++) {
		struct hs_log_event *e = waiting(log, i);

		if (e->kind == HS_LOG_ACCESS && !e->level && e->sid == size->sid &&
		    (e->iova & size->mask) == (size->iova & size->mask)) {
			e->level = size->level;
			e->mask = size->mask;
			log->count.sized++;
			return;
		}
	}
}

static int pop(struct hs_log *log, struct hs_log_event *event)
{
	*event = *waiting(log, 0);
	log->first = (log->first + 1) % WAITING;
	log->waiting--;
	if (event->kind == HS_LOG_ACCESS && !event->level) {
		event->level = 1;
		event->mask = hs_level_mask(1);
	}
	return 1;
}

static bool ready(struct hs_log *log)
{
	const struct hs_log_event *e = waiting(log, 0);

	return log->waiting && (e->kind != HS_LOG_ACCESS || e->level || log->waiting == WAITING);
}

int hs_log_next(struct hs_log *log, struct hs_log_event *event)
{
	while (!ready(log)) {
		const char *line;
		size_t len;
		int ret = next_line(log, &line, &len);

		if (ret < 0)
			return ret;
		if (!ret)
			return log->waiting ? pop(log, event) : 0;
		hs_log_parse(line, len, event);
		switch (event->kind) {
		case HS_LOG_NONE:
			break;
		case HS_LOG_BAD:
			log->count.bad++;
			break;
		case HS_LOG_SIZE:
			set_size(log, event);
			break;
		case HS_LOG_ACCESS:
			log->count.accesses++;
			log->count.sized += !!event->level;
			log->count.patched |= !!event->level;
			/* fall through */
		case HS_LOG_CONTEXT:
		case HS_LOG_PTE:
		case HS_LOG_INVALIDATE:
			*waiting(log, log->waiting++) = *event;
			break;
		}
	}
	return pop(log, event);
}
