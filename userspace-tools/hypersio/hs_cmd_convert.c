// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hypersio convert, info and validate: what one does with a trace that is there.
 */
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hs_trace_write.h"
#include "hs_weave_next.h"
#include "hypersio.h"

/* A file as a source of records. */
struct file_source {
	struct hs_source source;
	struct hs_reader *reader;
};

static const struct hs_rec *file_next(struct hs_source *source)
{
	return hs_reader_next(((struct file_source *)source)->reader);
}

static bool file_rewind(struct hs_source *source)
{
	return hs_reader_rewind(((struct file_source *)source)->reader);
}

static const char *file_error(struct hs_source *source)
{
	return hs_reader_error(((struct file_source *)source)->reader);
}

static struct file_source file_source(struct hs_reader *reader)
{
	return (struct file_source){ { file_next, file_rewind, file_error }, reader };
}

/* The next uses of a trace, found anew; the temporary files lie beside @path. */
static struct hs_next *find_next(struct hs_reader *reader, const char *path, struct ax_msg *msg)
{
	struct file_source file = file_source(reader);
	char *copy = strdup(path);
	struct hs_next *next = NULL;

	if (copy)
		next = hs_next_build(&file.source, hs_reader_info(reader)->records, dirname(copy),
				     msg);
	else
		ax_fail(msg, "out of memory");
	free(copy);
	if (next && !hs_reader_rewind(reader)) {
		ax_fail(msg, "%s", hs_reader_error(reader));
		hs_next_free(next);
		next = NULL;
	}
	return next;
}

static int copy(struct hs_reader *reader, struct hs_next *next, struct hs_writer *writer)
{
	const struct hs_rec *in;
	struct hs_rec rec;

	while ((in = hs_reader_next(reader))) {
		rec = *in;
		if (next && !hs_next_get(next, in, &rec.next))
			return ax_error("%s", hs_next_error(next));
		if (!hs_writer_put(writer, &rec))
			return AX_OK;	/* hs_writer_close() says it */
	}
	if (hs_reader_error(reader))
		return ax_error("%s", hs_reader_error(reader));
	return AX_OK;
}

static int convert(struct hs_reader *reader, struct hs_next *next, const char *path,
		   const struct hs_writer_opts *opts)
{
	struct hs_written written;
	struct hs_writer *writer;
	struct ax_msg msg;
	int ret;

	writer = hs_writer_open(path, opts, &msg);
	if (!writer)
		return ax_error("%s", msg.text);
	ret = copy(reader, next, writer);
	if (ret) {
		hs_writer_abort(writer);
		return ret;
	}
	if (hs_writer_close(writer, &written, &msg))
		return ax_error("%s", msg.text);
	printf("%s: %llu records, %u tenants, %llu bytes (%.2f a record)\n", path,
	       (unsigned long long)written.records, written.tenants,
	       (unsigned long long)written.bytes,
	       written.records ? (double)written.bytes / written.records : 0);
	return AX_OK;
}

int hypersio_convert(const struct ax_args *args)
{
	const char *format = ax_value(args, "format"), *index = ax_value(args, "next");
	struct hs_writer_opts opts = { .format = HS_FILE_HSIO };
	struct hs_next *next = NULL;
	struct hs_reader *reader;
	struct ax_msg msg;
	int ret = AX_OK;

	if (format && !strcmp(format, "hypersio"))
		opts.format = HS_FILE_ORIG;
	else if (format && strcmp(format, "hsio"))
		return ax_usage("--format: '%s' is neither hsio nor hypersio", format);
	if (index && strcmp(index, "keep") && strcmp(index, "make") && strcmp(index, "drop"))
		return ax_usage("--next: '%s' is none of keep, make, drop", index);
	reader = hs_reader_open(args->argv[0], &msg);
	if (!reader)
		return ax_error("%s", msg.text);
	opts.packet = hs_reader_info(reader)->packet;
	opts.note = hs_reader_info(reader)->note;
	opts.next = hs_reader_info(reader)->has_next && (!index || strcmp(index, "drop"));
	if (index && !strcmp(index, "make")) {
		opts.next = true;
		next = find_next(reader, args->argv[1], &msg);
		if (!next)
			ret = ax_error("%s", msg.text);
	}
	if (!ret)
		ret = convert(reader, next, args->argv[1], &opts);
	hs_next_free(next);
	hs_reader_close(reader);
	return ret;
}

static void info_text(const char *path, const struct hs_info *info)
{
	printf("%s\n  format        %s\n  records       %llu\n  packet        %u translations\n",
	       path, info->format, (unsigned long long)info->records, info->packet);
	if (info->tenants)
		printf("  tenants       %u\n", info->tenants);
	printf("  next uses     %s\n  bytes         %llu (%.2f a record)\n",
	       info->has_next ? "yes" : "no", (unsigned long long)info->bytes,
	       info->records ? (double)info->bytes / info->records : 0);
	for (const char *line = info->note; *line;) {
		size_t len = strcspn(line, "\n");

		/* it comes from the file: nothing that moves a terminal's cursor */
		fputs("  | ", stdout);
		for (size_t i = 0; i < len; i++)
			putchar((unsigned char)line[i] < ' ' || line[i] == 0x7f ? '?' : line[i]);
		putchar('\n');
		line += len + !!line[len];
	}
}

static json_t *info_json(const char *path, const struct hs_info *info)
{
	json_t *note = json_stringn(info->note, strlen(info->note));

	if (!note)	/* not UTF-8 */
		note = json_null();
	return json_pack("{s:s, s:s, s:I, s:i, s:i, s:b, s:I, s:o}", "file", path, "format",
			 info->format, "records", (json_int_t)info->records, "packet",
			 (int)info->packet, "tenants", (int)info->tenants, "next", info->has_next,
			 "bytes", (json_int_t)info->bytes, "note", note);
}

int hypersio_info(const struct ax_args *args)
{
	json_t *list = ax_has(args, "json") ? json_array() : NULL;
	int ret = AX_OK;

	for (int i = 0; i < args->argc; i++) {
		struct hs_reader *reader;
		struct ax_msg msg;

		reader = hs_reader_open(args->argv[i], &msg);
		if (!reader)
			ret = ax_error("%s", msg.text);
		else if (list)
			json_array_append_new(list, info_json(args->argv[i],
							      hs_reader_info(reader)));
		else
			info_text(args->argv[i], hs_reader_info(reader));
		hs_reader_close(reader);
	}
	if (list) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(list);
	}
	return ret;
}

struct check {
	uint64_t records, invalidations, last_uses;
	uint64_t torn;		/* packets of more than one tenant */
	uint64_t wrong_next;	/* records whose next use is another one */
	uint64_t first_wrong;
	uint32_t packet_did;
	unsigned int in_packet;
};

static int check_all(struct hs_reader *reader, struct hs_next *next, struct check *c)
{
	const struct hs_info *info = hs_reader_info(reader);
	const struct hs_rec *rec;
	bool torn = false;

	for (; (rec = hs_reader_next(reader)); c->records++) {
		uint64_t use = HS_NEVER;

		if (rec->flags & HS_REC_INVALIDATE) {
			c->invalidations++;
		} else {
			if (!c->in_packet)
				c->packet_did = rec->did;
			torn |= rec->did != c->packet_did;
			if (++c->in_packet == info->packet) {
				c->torn += torn;
				c->in_packet = 0;
				torn = false;
			}
		}
		if (next && !hs_next_get(next, rec, &use))
			return ax_error("%s", hs_next_error(next));
		c->last_uses += use == HS_NEVER && !(rec->flags & HS_REC_INVALIDATE);
		if (info->has_next && use != rec->next && !c->wrong_next++)
			c->first_wrong = c->records;
	}
	if (hs_reader_error(reader))
		return ax_error("%s", hs_reader_error(reader));
	return AX_OK;
}

static int validate(const char *path, struct hs_reader *reader)
{
	struct check c = { 0 };
	struct hs_next *next;
	struct ax_msg msg;
	int ret;

	next = find_next(reader, path, &msg);
	if (!next)
		return ax_error("%s", msg.text);
	ret = check_all(reader, next, &c);
	hs_next_free(next);
	if (ret)
		return ret;
	printf("%s: %llu translations of %llu pages, %llu invalidations\n", path,
	       (unsigned long long)(c.records - c.invalidations), (unsigned long long)c.last_uses,
	       (unsigned long long)c.invalidations);
	if (c.torn)
		ax_warn("%s: %llu packets have translations of more than one tenant", path,
			(unsigned long long)c.torn);
	if (c.in_packet)
		ax_warn("%s: the last packet has only %u of %u translations", path, c.in_packet,
			hs_reader_info(reader)->packet);
	if (c.wrong_next)
		return ax_error("%s: the next use of %llu records is wrong, the first is record %llu: hypersio convert --next make mends it",
				path, (unsigned long long)c.wrong_next,
				(unsigned long long)c.first_wrong);
	return AX_OK;
}

int hypersio_validate(const struct ax_args *args)
{
	int ret = AX_OK;

	for (int i = 0; i < args->argc; i++) {
		struct hs_reader *reader;
		struct ax_msg msg;
		int status;

		reader = hs_reader_open(args->argv[i], &msg);
		status = reader ? validate(args->argv[i], reader) : ax_error("%s", msg.text);
		hs_reader_close(reader);
		if (status)
			ret = status;
	}
	return ret;
}
