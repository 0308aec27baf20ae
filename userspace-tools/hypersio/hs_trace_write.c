// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writers of traces: files, and what all formats have in common.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hs_trace_impl.h"
#include "hs_trace_write_impl.h"

bool hs_writer_fail(struct hs_writer *writer, const char *fmt, ...)
{
	va_list ap;

	if (writer->failed)	/* the first is the reason of the others */
		return false;
	writer->failed = true;
	va_start(ap, fmt);
	vsnprintf(writer->msg.text, sizeof(writer->msg.text), fmt, ap);
	va_end(ap);
	return false;
}

bool hs_writer_file(struct hs_writer *writer, const char *path, const char *suffix)
{
	unsigned int i = writer->nr_files++;

	if (asprintf(&writer->files[i].name, "%s%s", path, suffix) < 0 ||
	    asprintf(&writer->files[i].part, "%s%s.part", path, suffix) < 0)
		return hs_writer_fail(writer, "out of memory");
	writer->files[i].file = fopen(writer->files[i].part, "we");
	if (!writer->files[i].file)
		return hs_writer_fail(writer, "cannot write %.300s: %s", writer->files[i].part,
				      strerror(errno));
	return true;
}

bool hs_writer_write(struct hs_writer *writer, unsigned int which, const void *data, size_t len)
{
	if (fwrite(data, 1, len, writer->files[which].file) != len)
		return hs_writer_fail(writer, "cannot write %.300s: %s", writer->files[which].part,
				      strerror(errno));
	if (!which)
		writer->written.bytes += len;
	return true;
}

/* The table is never more than half full. */
static bool grow(struct hs_writer *writer)
{
	uint32_t room = writer->did_room ? 2 * writer->did_room : 1024;
	uint32_t *table = calloc(room, sizeof(*table));

	if (!table)
		return hs_writer_fail(writer, "out of memory");
	for (uint32_t i = 0; i < writer->did_room; i++) {
		uint32_t at = writer->dids[i] * 2654435769u;

		if (!writer->dids[i])
			continue;
		while (table[at & (room - 1)])
			at++;
		table[at & (room - 1)] = writer->dids[i];
	}
	free(writer->dids);
	writer->dids = table;
	writer->did_room = room;
	return true;
}

bool hs_writer_tenant(struct hs_writer *writer, uint32_t did)
{
	uint32_t at = (did + 1) * 2654435769u;

	if (did == UINT32_MAX)
		return hs_writer_fail(writer, "tenant id %u is too large", did);
	if (2 * writer->written.tenants >= writer->did_room && !grow(writer))
		return false;
	while (writer->dids[at & (writer->did_room - 1)]) {
		if (writer->dids[at & (writer->did_room - 1)] == did + 1)
			return true;
		at++;
	}
	writer->dids[at & (writer->did_room - 1)] = did + 1;
	writer->written.tenants++;
	return true;
}

struct hs_writer *hs_writer_open(const char *path, const struct hs_writer_opts *opts,
				 struct ax_msg *msg)
{
	static const char suffix[] = "_iotlb_trace.bin";
	struct hs_writer *writer = calloc(1, sizeof(*writer));
	char *prefix = strdup(path);
	bool ok;

	if (!writer || !prefix) {
		free(writer);
		free(prefix);
		ax_fail(msg, "out of memory");
		return NULL;
	}
	writer->opts = *opts;
	if (!writer->opts.packet)
		writer->opts.packet = HS_PACKET;
	if (opts->format == HS_FILE_ORIG) {
		size_t len = strlen(prefix);

		if (len > strlen(suffix) && !strcmp(prefix + len - strlen(suffix), suffix))
			prefix[len - strlen(suffix)] = '\0';
		writer->ops = &hs_writer_orig;
		ok = hs_writer_file(writer, prefix, suffix) &&
		     hs_writer_file(writer, prefix, "_cc_data.bin") &&
		     hs_writer_file(writer, prefix, "_slpt_data.bin");
	} else {
		writer->ops = &hs_writer_hsio;
		ok = hs_writer_file(writer, prefix, "");
	}
	free(prefix);
	if (!ok || !writer->ops->open(writer)) {
		*msg = writer->msg;
		hs_writer_abort(writer);
		return NULL;
	}
	return writer;
}

bool hs_writer_put(struct hs_writer *writer, const struct hs_rec *rec)
{
	bool whole = !rec->mask && (rec->flags & HS_REC_INVALIDATE);

	if (writer->failed)
		return false;
	if (rec->level < 1 || rec->level > HS_LEVEL_MAX || (rec->flags & ~HS_REC_FLAGS) ||
	    (!hs_mask_valid(rec->mask) && !whole) ||
	    (writer->opts.next && rec->next <= writer->written.records))
		return hs_writer_fail(writer, "record %llu cannot be: level %u, mask %#llx, flags %#x, next %llu",
				      (unsigned long long)writer->written.records, rec->level,
				      (unsigned long long)rec->mask, rec->flags,
				      (unsigned long long)rec->next);
	if (!writer->ops->put(writer, rec))
		return false;
	writer->written.records++;
	writer->written.invalidations += !!(rec->flags & HS_REC_INVALIDATE);
	return true;
}

static void release(struct hs_writer *writer)
{
	if (writer->impl)
		writer->ops->free(writer);
	for (unsigned int i = 0; i < writer->nr_files; i++) {
		if (writer->files[i].file)
			fclose(writer->files[i].file);
		if (writer->files[i].part && (writer->files[i].file || writer->failed))
			unlink(writer->files[i].part);
		free(writer->files[i].part);
		free(writer->files[i].name);
	}
	free(writer->dids);
	free(writer);
}

void hs_writer_abort(struct hs_writer *writer)
{
	if (!writer)
		return;
	writer->failed = true;
	release(writer);
}

int hs_writer_close(struct hs_writer *writer, struct hs_written *written, struct ax_msg *msg)
{
	bool ok = !writer->failed && writer->ops->finish(writer);

	for (unsigned int i = 0; i < writer->nr_files; i++) {
		FILE *file = writer->files[i].file;

		writer->files[i].file = NULL;
		if (fclose(file) && ok)
			ok = hs_writer_fail(writer, "cannot write %.300s: %s",
					    writer->files[i].part, strerror(errno));
	}
	for (unsigned int i = 0; ok && i < writer->nr_files; i++) {
		if (rename(writer->files[i].part, writer->files[i].name))
			ok = hs_writer_fail(writer, "cannot write %.300s: %s",
					    writer->files[i].name, strerror(errno));
	}
	if (written)
		*written = writer->written;
	if (!ok)
		*msg = writer->msg;
	writer->failed = !ok;
	release(writer);
	return ok ? 0 : -1;
}
