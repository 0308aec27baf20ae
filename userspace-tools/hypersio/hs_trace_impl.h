/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside of a trace reader: what a format gives to hs_trace.c.
 */
#ifndef HS_TRACE_IMPL_H
#define HS_TRACE_IMPL_H

#include <stddef.h>
#include <sys/types.h>

#include "hs_trace.h"

#define HS_BLOCK 8192	/* records that are held at a time */

struct hs_format {
	const char *name;
	/* Sets info and impl, or reader->msg; fd and info.bytes are set already. */
	bool (*open)(struct hs_reader *reader);
	/* Fill reader->block from record reader->index on: how many, 0: the end, -1: failure. */
	int (*fill)(struct hs_reader *reader);
	void (*close)(struct hs_reader *reader);
};

struct hs_reader {
	struct hs_reader_head head;	/* first: see hs_reader_next() */
	const struct hs_format *format;
	struct hs_info info;
	struct ax_msg msg;
	bool failed;
	int fd;
	char *path;
	uint64_t index;			/* of the record after the block */
	struct hs_rec *block;
	size_t room;			/* records that fit the block */
	void *impl;			/* the format's own */
};

extern const struct hs_format hs_format_orig, hs_format_hsio;

/* Is it the page mask of a power of two of at least 4 KiB? */
static inline bool hs_mask_valid(uint64_t mask)
{
	uint64_t size = ~mask + 1;

	return size >= 4096 && !(size & (size - 1));
}

/* Read exactly @len bytes at @offset; sets the message and fails otherwise. */
bool hs_pread(struct hs_reader *reader, void *buf, size_t len, uint64_t offset);
/* Set the message; returns false. */
bool hs_reader_fail(struct hs_reader *reader, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
