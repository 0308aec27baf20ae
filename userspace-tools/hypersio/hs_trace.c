// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Readers of traces: what all formats have in common.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hs_trace_impl.h"

bool hs_reader_fail(struct hs_reader *reader, const char *fmt, ...)
{
	va_list ap;
	int n;

	reader->failed = true;
	n = snprintf(reader->msg.text, sizeof(reader->msg.text), "%.300s: ", reader->path);
	va_start(ap, fmt);
	vsnprintf(reader->msg.text + n, sizeof(reader->msg.text) - n, fmt, ap);
	va_end(ap);
	return false;
}

bool hs_pread(struct hs_reader *reader, void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(reader->fd, (char *)buf + done, len - done, offset + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hs_reader_fail(reader, "cannot read: %s", strerror(errno));
		if (!n)
			return hs_reader_fail(reader, "ends at byte %llu, in the middle of a record",
					      (unsigned long long)(offset + done));
		done += n;
	}
	return true;
}

/* The file, or for a prefix of the original's files the one with the records. */
static bool open_file(struct hs_reader *reader, const char *path)
{
	static const char suffix[] = "_iotlb_trace.bin";
	struct stat st;

	reader->path = strdup(path);
	if (!reader->path)
		return false;
	reader->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (reader->fd < 0 && errno == ENOENT) {
		char *longer = malloc(strlen(path) + sizeof(suffix));

		if (!longer)
			return false;
		stpcpy(stpcpy(longer, path), suffix);
		reader->fd = open(longer, O_RDONLY | O_CLOEXEC);
		if (reader->fd < 0) {
			free(longer);
			return hs_reader_fail(reader, "no such file, nor one with %s behind it",
					      suffix);
		}
		free(reader->path);
		reader->path = longer;
	}
	if (reader->fd < 0 || fstat(reader->fd, &st))
		return hs_reader_fail(reader, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return hs_reader_fail(reader, "not a regular file");
	reader->info.bytes = st.st_size;
	return true;
}

static bool open_trace(struct hs_reader *reader, const char *path)
{
	char magic[4] = { 0 };

	if (!open_file(reader, path))
		return false;
	if (!reader->info.bytes)
		return hs_reader_fail(reader, "empty file");
	if (reader->info.bytes >= sizeof(magic) && !hs_pread(reader, magic, sizeof(magic), 0))
		return false;
	reader->format = memcmp(magic, "\x89HSI", 4) ? &hs_format_orig : &hs_format_hsio;
	reader->info.format = reader->format->name;
	reader->info.packet = HS_PACKET;
	reader->info.note = "";
	if (!reader->format->open(reader))
		return false;
	reader->block = calloc(reader->room, sizeof(*reader->block));
	return reader->block;
}

struct hs_reader *hs_reader_open(const char *path, struct ax_msg *msg)
{
	struct hs_reader *reader = calloc(1, sizeof(*reader));

	if (!reader) {
		ax_fail(msg, "out of memory");
		return NULL;
	}
	reader->fd = -1;
	if (!open_trace(reader, path)) {
		ax_fail(msg, "%s", reader->failed ? reader->msg.text : "out of memory");
		hs_reader_close(reader);
		return NULL;
	}
	return reader;
}

void hs_reader_close(struct hs_reader *reader)
{
	if (!reader)
		return;
	if (reader->format && reader->format->close)
		reader->format->close(reader);
	if (reader->fd >= 0)
		close(reader->fd);
	free(reader->block);
	free(reader->path);
	free(reader);
}

bool hs_reader_rewind(struct hs_reader *reader)
{
	reader->index = 0;
	reader->head.rec = NULL;
	reader->head.end = NULL;
	return !reader->failed;
}

const struct hs_info *hs_reader_info(const struct hs_reader *reader)
{
	return &reader->info;
}

const char *hs_reader_error(const struct hs_reader *reader)
{
	return reader->failed ? reader->msg.text : NULL;
}

const struct hs_rec *hs_reader_refill(struct hs_reader *reader)
{
	int n;

	if (reader->failed)
		return NULL;
	n = reader->format->fill(reader);
	if (n <= 0)
		return NULL;
	reader->index += n;
	reader->head.rec = reader->block + 1;
	reader->head.end = reader->block + n;
	return reader->block;
}
