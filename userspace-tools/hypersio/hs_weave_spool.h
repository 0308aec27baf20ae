/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many streams of fixed-size items in one nameless temporary file, so that what
 * is built from logs of any length takes little memory: a chunk a stream while
 * it is written, four bytes a chunk afterwards.
 */
#ifndef HS_WEAVE_SPOOL_H
#define HS_WEAVE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/ax_err.h"

struct hs_spool;

/*
 * A spool of @streams streams (more come with hs_spool_add()) of items of @size
 * bytes, in a file in @dir, which is gone when the spool is. @chunk items go to
 * the file at a time. NULL and @msg on failure.
 */
struct hs_spool *hs_spool_new(const char *dir, size_t size, unsigned int chunk,
			      unsigned int streams, struct ax_msg *msg);
void hs_spool_free(struct hs_spool *spool);
/* One more stream: its number, or -1. */
int hs_spool_add(struct hs_spool *spool);
/* Append an item; false on failure (hs_spool_error()). */
bool hs_spool_put(struct hs_spool *spool, unsigned int stream, const void *item);
/* Before reading, and to free buffers: they go to the file. */
bool hs_spool_flush(struct hs_spool *spool);
uint64_t hs_spool_count(const struct hs_spool *spool, unsigned int stream);
/*
 * Read up to @n items from item @at of the stream on, after hs_spool_flush():
 * how many, 0 at the end, -1 on failure. May be fewer than there are.
 */
int hs_spool_read(struct hs_spool *spool, unsigned int stream, uint64_t at, void *items,
		  unsigned int n);
const char *hs_spool_error(const struct hs_spool *spool);

#endif
