// SPDX-License-Identifier: LGPL-2.1-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hs_weave_spool.h"

struct stream {
	uint64_t count;
	uint32_t *chunks;	/* numbers of its chunks in the file */
	uint32_t nr, room;
	unsigned char *buf;	/* of the chunk that is being filled */
};

struct hs_spool {
	int fd;
	size_t size;
	unsigned int chunk;
	uint32_t chunks;	/* in the file */
	struct stream *streams;
	unsigned int nr, room;
	struct ax_msg msg;
};

static int temporary(const char *dir)
{
	char name[4096];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd;
	if (snprintf(name, sizeof(name), "%s/.hypersio-XXXXXX", dir) >= (int)sizeof(name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	return fd;
}

struct hs_spool *hs_spool_new(const char *dir, size_t size, unsigned int chunk,
			      unsigned int streams, struct ax_msg *msg)
{
	struct hs_spool *spool = calloc(1, sizeof(*spool));

	if (!spool) {
		ax_fail(msg, "out of memory");
		return NULL;
	}
	spool->size = size;
	spool->chunk = chunk;
	spool->fd = temporary(dir);
	if (spool->fd < 0) {
		ax_fail(msg, "cannot make a temporary file in %.200s: %s", dir, strerror(errno));
		hs_spool_free(spool);
		return NULL;
	}
	while (spool->nr < streams) {
		if (hs_spool_add(spool) < 0) {
			ax_fail(msg, "out of memory");
			hs_spool_free(spool);
			return NULL;
		}
	}
	return spool;
}

void hs_spool_free(struct hs_spool *spool)
{
	if (!spool)
		return;
	for (unsigned int i = 0; i < spool->nr; i++) {
		free(spool->streams[i].chunks);
		free(spool->streams[i].buf);
	}
	free(spool->streams);
	if (spool->fd >= 0)
		close(spool->fd);
	free(spool);
}

int hs_spool_add(struct hs_spool *spool)
{
	if (spool->nr == spool->room) {
		unsigned int room = spool->room ? 2 * spool->room : 16;
		struct stream *more = realloc(spool->streams, room * sizeof(*more));

		if (!more)
			return -1;
		spool->streams = more;
		spool->room = room;
	}
	memset(&spool->streams[spool->nr], 0, sizeof(*spool->streams));
	return spool->nr++;
}

static bool transfer(struct hs_spool *spool, bool write, void *buf, size_t len, uint64_t offset)
{
	for (size_t done = 0; done < len;) {
		char *at = (char *)buf + done;
		ssize_t n = write ? pwrite(spool->fd, at, len - done, offset + done) :
				    pread(spool->fd, at, len - done, offset + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			ax_fail(&spool->msg, "temporary file: %s",
				n ? strerror(errno) : "it became shorter");
			return false;
		}
		done += n;
	}
	return true;
}

/* A number for one more chunk of the stream. */
static bool add_chunk(struct hs_spool *spool, struct stream *s)
{
	if (s->nr == s->room) {
		uint32_t room = s->room ? 2 * s->room : 8;
		uint32_t *more = realloc(s->chunks, room * sizeof(*more));

		if (!more) {
			ax_fail(&spool->msg, "out of memory");
			return false;
		}
		s->chunks = more;
		s->room = room;
	}
	if (spool->chunks == UINT32_MAX) {
		ax_fail(&spool->msg, "temporary file: too large");
		return false;
	}
	s->chunks[s->nr++] = spool->chunks++;
	return true;
}

/* Write the buffer, which has the last @items items. */
static bool write_chunk(struct hs_spool *spool, struct stream *s, size_t items)
{
	uint64_t last = (s->count - 1) / spool->chunk;

	if (last == s->nr && !add_chunk(spool, s))
		return false;
	return transfer(spool, true, s->buf, items * spool->size,
			(uint64_t)s->chunks[last] * spool->chunk * spool->size);
}

/* A buffer again for a stream that has been flushed, with its last chunk if that is not full. */
static bool get_buffer(struct hs_spool *spool, struct stream *s)
{
	unsigned int rest = s->count % spool->chunk;

	s->buf = malloc(spool->chunk * spool->size);
	if (!s->buf) {
		ax_fail(&spool->msg, "out of memory");
		return false;
	}
	return !rest || transfer(spool, false, s->buf, rest * spool->size,
				 (uint64_t)s->chunks[s->nr - 1] * spool->chunk * spool->size);
}

bool hs_spool_put(struct hs_spool *spool, unsigned int stream, const void *item)
{
	struct stream *s = &spool->streams[stream];
	unsigned int at = s->count % spool->chunk;

	if (!s->buf && !get_buffer(spool, s))
		return false;
	memcpy(s->buf + at * spool->size, item, spool->size);
	s->count++;
	return at + 1 < spool->chunk || write_chunk(spool, s, spool->chunk);
}

bool hs_spool_flush(struct hs_spool *spool)
{
	for (unsigned int i = 0; i < spool->nr; i++) {
		struct stream *s = &spool->streams[i];
		unsigned int rest = s->count % spool->chunk;

		if (rest && s->buf && !write_chunk(spool, s, rest))
			return false;
		free(s->buf);
		s->buf = NULL;
	}
	return true;
}

uint64_t hs_spool_count(const struct hs_spool *spool, unsigned int stream)
{
	return spool->streams[stream].count;
}

int hs_spool_read(struct hs_spool *spool, unsigned int stream, uint64_t at, void *items,
		  unsigned int n)
{
	const struct stream *s = &spool->streams[stream];
	unsigned int within = at % spool->chunk;
	uint64_t chunk = at / spool->chunk;

	if (at >= s->count)
		return 0;
	if (n > spool->chunk - within)
		n = spool->chunk - within;
	if (n > s->count - at)
		n = s->count - at;
	if (!transfer(spool, false, items, n * spool->size,
		      ((uint64_t)s->chunks[chunk] * spool->chunk + within) * spool->size))
		return -1;
	return n;
}

const char *hs_spool_error(const struct hs_spool *spool)
{
	return spool->msg.text;
}
