// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reader of .hsio files. Nothing in the file is believed before it is checked:
 * sizes against fixed limits before memory is taken, checksums before anything is
 * uncompressed, every number before the simulator sees it.
 *
 * A block is uncompressed as a whole, but its records are put together in batches
 * that stay in the processor's cache.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include "hs_trace_hsio.h"
#include "hs_trace_impl.h"

#define BATCH	1024	/* records */

struct hsio {
	ZSTD_DCtx *zstd;
	unsigned char *packed, *raw;
	size_t packed_max;
	uint64_t offset, end;	/* of the next block; behind the last */
	bool next;		/* HSIO_NEXT */
	char *note;
	struct hs_rec *pages;
	uint64_t *column;	/* HSIO_BLOCK numbers */
	/* the block: its records and columns, and how many of them were given */
	struct hsio_content content;
	size_t records, given;
	const unsigned char *idx, *off, *dist;
};

static uint32_t crc(uint32_t start, const void *data, size_t len)
{
	return crc32(start, data, len);
}

static bool read_header(struct hs_reader *reader, struct hsio *h)
{
	struct hsio_header header;

	if (reader->info.bytes < sizeof(header) + sizeof(struct hsio_trailer))
		return hs_reader_fail(reader, "cut off: too short for an .hsio file");
	if (!hs_pread(reader, &header, sizeof(header), 0))
		return false;
	if (memcmp(header.magic, HSIO_MAGIC, sizeof(header.magic)))
		return hs_reader_fail(reader, "damaged: it does not begin like an .hsio file");
	if (le32toh(header.crc) != crc(0, &header, offsetof(struct hsio_header, crc)))
		return hs_reader_fail(reader, "damaged: checksum of the header");
	if (le16toh(header.version) != HSIO_VERSION || (le16toh(header.flags) & ~HSIO_NEXT))
		return hs_reader_fail(reader, "version %u, flags %#x: written by a newer hypersio",
				      le16toh(header.version), le16toh(header.flags));
	reader->info.packet = le16toh(header.packet);
	if (!reader->info.packet)
		return hs_reader_fail(reader, "damaged: packets of no record");
	h->next = le16toh(header.flags) & HSIO_NEXT;
	reader->info.has_next = h->next;
	return true;
}

static bool read_trailer(struct hs_reader *reader, struct hsio *h)
{
	uint64_t at = reader->info.bytes - sizeof(struct hsio_trailer);
	struct hsio_trailer trailer;
	uint32_t note, sum;

	if (!hs_pread(reader, &trailer, sizeof(trailer), at))
		return false;
	if (memcmp(trailer.magic, HSIO_END, sizeof(trailer.magic)))
		return hs_reader_fail(reader, "cut off: its end is missing");
	note = le32toh(trailer.note);
	if (note > HSIO_NOTE_MAX || note > at - sizeof(struct hsio_header))
		return hs_reader_fail(reader, "damaged: length of the note");
	h->end = at - note;
	h->note = malloc(note + 1);
	if (!h->note)
		return hs_reader_fail(reader, "out of memory");
	if (!hs_pread(reader, h->note, note, h->end))
		return false;
	h->note[note] = '\0';
	sum = crc(crc(0, h->note, note), &trailer, offsetof(struct hsio_trailer, crc));
	if (sum != le32toh(trailer.crc))
		return hs_reader_fail(reader, "damaged: checksum of the trailer");
	/* What cannot be: a block has a header and at least a byte. */
	if (le64toh(trailer.records) / HSIO_BLOCK > reader->info.bytes / sizeof(struct hsio_block))
		return hs_reader_fail(reader, "damaged: more records than it has room for");
	reader->info.note = h->note;
	reader->info.records = le64toh(trailer.records);
	reader->info.tenants = le32toh(trailer.tenants);
	return true;
}

static bool hsio_open(struct hs_reader *reader)
{
	struct hsio *h = calloc(1, sizeof(*h));

	reader->impl = h;
	if (!h || !read_header(reader, h) || !read_trailer(reader, h))
		return false;
	h->packed_max = ZSTD_compressBound(HSIO_RAW_MAX);
	h->zstd = ZSTD_createDCtx();
	h->packed = malloc(h->packed_max);
	h->raw = malloc(HSIO_RAW_MAX);
	h->pages = calloc(HSIO_BLOCK, sizeof(*h->pages));
	h->column = calloc(HSIO_BLOCK, sizeof(*h->column));
	reader->room = BATCH;
	return h->zstd && h->packed && h->raw && h->pages && h->column;
}

/* @n numbers of @width bytes out of planes that are @stride apart. */
static void get_column(const unsigned char *p, size_t stride, unsigned int width, size_t n,
		       uint64_t *restrict out)
{
	switch (width) {
	case 0:
		memset(out, 0, n * sizeof(*out));
		return;
	case 1:
		for (size_t i = 0; i < n; i++)
			out[i] = p[i];
		return;
	case 2:
		for (size_t i = 0; i < n; i++)
			out[i] = p[i] | (uint32_t)p[stride + i] << 8;
		return;
	case 3:
		for (size_t i = 0; i < n; i++)
			out[i] = p[i] | (uint32_t)p[stride + i] << 8 |
				 (uint32_t)p[2 * stride + i] << 16;
		return;
	}
	get_column(p, stride, 3, n, out);
	for (unsigned int k = 3; k < width; k++) {
		for (size_t i = 0; i < n; i++)
			out[i] |= (uint64_t)p[k * stride + i] << 8 * k;
	}
}

/* A whole column of the pages; *@at moves behind it. */
static void take_column(const unsigned char **at, unsigned int width, size_t n, uint64_t *out)
{
	get_column(*at, n, width, n, out);
	*at += width * n;
}

/* Where a block is wrong. */
static bool damaged(struct hs_reader *reader, const char *what)
{
	return hs_reader_fail(reader, "damaged: block at record %llu: %s",
			      (unsigned long long)reader->index, what);
}

static bool take_pages(struct hs_reader *reader, struct hsio *h, const unsigned char **at, size_t n)
{
	uint32_t did = 0, sid = 0;
	uint64_t *c = h->column;

	take_column(at, 4, n, c);
	for (size_t i = 0; i < n; i++)
		h->pages[i].did = did += c[i];
	take_column(at, 4, n, c);
	for (size_t i = 0; i < n; i++)
		h->pages[i].sid = sid += c[i];
	take_column(at, 7, n, c);
	for (size_t i = 0; i < n; i++)
		h->pages[i].iova = c[i] << 12;
	take_column(at, 8, n, c);
	for (size_t i = 0; i < n; i++)
		h->pages[i].slpte = c[i];
	for (size_t i = 0; i < n; i++) {
		struct hs_rec *page = &h->pages[i];
		unsigned int level = (*at)[i], order = (*at)[n + i], flags = (*at)[2 * n + i];

		if (level < 1 || level > HS_LEVEL_MAX || (flags & ~HS_REC_FLAGS) || order < 12 ||
		    order > 64 || (order == 64 && !(flags & HS_REC_INVALIDATE)))
			return damaged(reader, "a page that cannot be");
		page->level = level;
		page->mask = order == 64 ? 0 : ~((UINT64_C(1) << order) - 1);
		page->flags = flags;
		if (page->iova & ~page->mask)
			return damaged(reader, "a page that is not aligned");
	}
	*at += 3 * n;
	return true;
}

/* The next batch of the block's records: how many, or -1. */
static int take_records(struct hs_reader *reader, struct hsio *h)
{
	uint64_t left = reader->info.records - reader->index, page_bad = 0, off_bad = 0;
	size_t n = h->records - h->given < BATCH ? h->records - h->given : BATCH;
	uint64_t *idx = h->column, *off = idx + BATCH, *next = off + BATCH;
	uint32_t pages = le32toh(h->content.pages);
	bool next_bad = false;

	get_column(h->idx + h->given, h->records, h->content.idx, n, idx);
	get_column(h->off + h->given, h->records, h->content.off, n, off);
	get_column(h->dist + h->given, h->records, h->content.next, n, next);
	for (size_t i = 0; i < n; i++)
		page_bad |= idx[i] >= pages;
	if (page_bad)
		return damaged(reader, "a page that is not there") - 1;
	for (size_t i = 0; i < n; i++) {
		struct hs_rec *rec = &reader->block[i];

		*rec = h->pages[idx[i]];
		off_bad |= off[i] & rec->mask;
		next_bad |= next[i] >= left - i;
		rec->iova |= off[i];
		rec->next = next[i] ? reader->index + i + next[i] : HS_NEVER;
	}
	if (off_bad)
		return damaged(reader, "an offset beyond its page") - 1;
	if (next_bad)
		return damaged(reader, "a next use beyond the end") - 1;
	h->given += n;
	return n;
}

static bool take_content(struct hs_reader *reader, struct hsio *h, size_t raw, size_t n)
{
	const unsigned char *at = h->raw + sizeof(struct hsio_content);
	struct hsio_content *c = &h->content;
	size_t pages;

	if (raw < sizeof(*c))
		return damaged(reader, "no content");
	memcpy(c, h->raw, sizeof(*c));
	pages = le32toh(c->pages);
	if (!pages || pages > n || c->idx < 1 || c->idx > 2 || c->off > 8 || c->next > 8 ||
	    (!h->next && c->next) ||
	    raw != sizeof(*c) + pages * HSIO_PAGE_BYTES + n * (c->idx + c->off + c->next))
		return damaged(reader, "its columns do not fit it");
	if (!take_pages(reader, h, &at, pages))
		return false;
	h->idx = at;
	h->off = h->idx + n * c->idx;
	h->dist = h->off + n * c->off;
	h->records = n;
	h->given = 0;
	return true;
}

static bool read_block(struct hs_reader *reader, struct hsio *h)
{
	uint64_t left = reader->info.records - reader->index;
	struct hsio_block block;
	size_t raw, packed, n;

	if (h->end - h->offset < sizeof(block))
		return damaged(reader, "it is missing");
	if (!hs_pread(reader, &block, sizeof(block), h->offset))
		return false;
	raw = le32toh(block.raw);
	packed = le32toh(block.packed);
	n = le32toh(block.records);
	if (le32toh(block.magic) != HSIO_BLOCK_MAGIC || le64toh(block.first) != reader->index ||
	    !n || n > HSIO_BLOCK || n > left || raw > HSIO_RAW_MAX || packed > h->packed_max ||
	    packed > h->end - h->offset - sizeof(block))
		return damaged(reader, "its header makes no sense");
	if (!hs_pread(reader, h->packed, packed, h->offset + sizeof(block)))
		return false;
	if (crc(crc(0, &block, offsetof(struct hsio_block, crc)), h->packed, packed) !=
	    le32toh(block.crc))
		return damaged(reader, "checksum");
	if (ZSTD_decompressDCtx(h->zstd, h->raw, raw, h->packed, packed) != raw)
		return damaged(reader, "its compressed data make no sense");
	h->offset += sizeof(block) + packed;
	return take_content(reader, h, raw, n);
}

static int hsio_fill(struct hs_reader *reader)
{
	struct hsio *h = reader->impl;

	if (!reader->index) {	/* the begin, also after a rewind */
		h->offset = sizeof(struct hsio_header);
		h->records = 0;
		h->given = 0;
	}
	if (reader->index == reader->info.records)
		return h->offset == h->end ? 0 : damaged(reader, "something follows the last") - 1;
	if (h->given == h->records && !read_block(reader, h))
		return -1;
	return take_records(reader, h);
}

static void hsio_close(struct hs_reader *reader)
{
	struct hsio *h = reader->impl;

	if (!h)
		return;
	ZSTD_freeDCtx(h->zstd);
	free(h->packed);
	free(h->raw);
	free(h->pages);
	free(h->column);
	free(h->note);
	free(h);
}

const struct hs_format hs_format_hsio = {
	.name = "hsio",
	.open = hsio_open,
	.fill = hsio_fill,
	.close = hsio_close,
};
