/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside of a trace writer: what hs_trace_write.c gives to the formats.
 */
#ifndef HS_TRACE_WRITE_IMPL_H
#define HS_TRACE_WRITE_IMPL_H

#include <stddef.h>
#include <stdio.h>

#include "hs_trace_write.h"

#define HS_WRITER_FILES 3	/* of the original's format */

struct hs_writer_ops {
	bool (*open)(struct hs_writer *writer);
	bool (*put)(struct hs_writer *writer, const struct hs_rec *rec);
	bool (*finish)(struct hs_writer *writer);
	void (*free)(struct hs_writer *writer);
};

struct hs_writer {
	struct hs_writer_opts opts;
	const struct hs_writer_ops *ops;
	struct {
		FILE *file;
		char *name, *part;	/* what it is called at the end, and until then */
	} files[HS_WRITER_FILES];
	unsigned int nr_files;
	struct hs_written written;
	uint32_t *dids;			/* a hash table of those seen, 1 more than each */
	uint32_t did_room;
	bool failed;
	struct ax_msg msg;
	void *impl;
};

extern const struct hs_writer_ops hs_writer_orig, hs_writer_hsio;

/* Open the file @path@suffix for writing, as the next of files[]. */
bool hs_writer_file(struct hs_writer *writer, const char *path, const char *suffix);
/* Append to files[which]. */
bool hs_writer_write(struct hs_writer *writer, unsigned int which, const void *data, size_t len);
/* Count a tenant that may be new. */
bool hs_writer_tenant(struct hs_writer *writer, uint32_t did);
/* Set the message; returns false. */
bool hs_writer_fail(struct hs_writer *writer, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
