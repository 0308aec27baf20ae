// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writer of .hsio files: a block of records at a time, its pages found by a hash
 * table, split into columns, compressed.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include "hs_trace_hsio.h"
#include "hs_trace_write_impl.h"

#define TABLE	(2 * HSIO_BLOCK)	/* entries of the hash table: a power of two */
#define LEVEL	3			/* zstd's: more gains little and costs much */

struct hsio {
	ZSTD_CCtx *zstd;
	unsigned char *raw, *packed;
	struct hs_rec *pages;		/* iova is the page's */
	uint32_t nr_pages, nr;
	uint16_t table[TABLE];		/* numbers of pages; valid where stamp says so */
	uint32_t stamp[TABLE], now;
	uint16_t idx[HSIO_BLOCK];
	uint64_t off[HSIO_BLOCK], next[HSIO_BLOCK];
	uint64_t off_bits, next_bits;	/* any that one of them has */
	uint64_t blocks;
};

static bool hsio_open(struct hs_writer *writer)
{
	const char *note = writer->opts.note;
	struct hsio_header header = {
		.magic = HSIO_MAGIC,
		.version = htole16(HSIO_VERSION),
		.flags = htole16(writer->opts.next ? HSIO_NEXT : 0),
		.packet = htole16(writer->opts.packet),
	};
	struct hsio *h = calloc(1, sizeof(*h));

	writer->impl = h;
	if (h) {
		h->zstd = ZSTD_createCCtx();
		h->raw = malloc(HSIO_RAW_MAX);
		h->packed = malloc(ZSTD_compressBound(HSIO_RAW_MAX));
		h->pages = calloc(HSIO_BLOCK, sizeof(*h->pages));
	}
	if (!h || !h->zstd || !h->raw || !h->packed || !h->pages)
		return hs_writer_fail(writer, "out of memory");
	if (writer->opts.packet > UINT16_MAX || (note && strlen(note) > HSIO_NOTE_MAX))
		return hs_writer_fail(writer, "packets of %u records or a note that is too long",
				      writer->opts.packet);
	h->now = 1;
	header.crc = htole32(crc32(0, (void *)&header, offsetof(struct hsio_header, crc)));
	return hs_writer_write(writer, 0, &header, sizeof(header));
}

static unsigned char *put_byte_plane(unsigned char *to, const uint64_t *c, size_t n, unsigned int k)
{
	for (size_t i = 0; i < n; i++)
		to[i] = c[i] >> 8 * k;
	return to + n;
}

static unsigned char *put_column(unsigned char *to, const uint64_t *c, size_t n, unsigned int width)
{
	for (unsigned int k = 0; k < width; k++)
		to = put_byte_plane(to, c, n, k);
	return to;
}

static unsigned int bytes_of(uint64_t bits)
{
	return bits ? 8 - __builtin_clzll(bits) / 8 : 0;
}

static unsigned char *put_pages(unsigned char *to, const struct hsio *h)
{
	size_t n = h->nr_pages;
	uint32_t did = 0, sid = 0;

	for (size_t i = 0; i < n; did = h->pages[i++].did) {
		for (unsigned int k = 0; k < 4; k++)
			to[k * n + i] = (h->pages[i].did - did) >> 8 * k;
	}
	to += 4 * n;
	for (size_t i = 0; i < n; sid = h->pages[i++].sid) {
		for (unsigned int k = 0; k < 4; k++)
			to[k * n + i] = (h->pages[i].sid - sid) >> 8 * k;
	}
	to += 4 * n;
	for (size_t i = 0; i < n; i++) {
		for (unsigned int k = 0; k < 7; k++)
			to[k * n + i] = h->pages[i].iova >> (12 + 8 * k);
	}
	to += 7 * n;
	for (size_t i = 0; i < n; i++) {
		for (unsigned int k = 0; k < 8; k++)
			to[k * n + i] = h->pages[i].slpte >> 8 * k;
	}
	to += 8 * n;
	for (size_t i = 0; i < n; i++) {
		to[i] = h->pages[i].level;
		to[n + i] = h->pages[i].mask ? __builtin_ctzll(h->pages[i].mask) : 64;
		to[2 * n + i] = h->pages[i].flags;
	}
	return to + 3 * n;
}

static bool flush(struct hs_writer *writer)
{
	struct hsio *h = writer->impl;
	struct hsio_content c = {
		.pages = htole32(h->nr_pages),
		.idx = h->nr_pages > 256 ? 2 : 1,
		.off = bytes_of(h->off_bits),
		.next = bytes_of(h->next_bits),
	};
	struct hsio_block block = {
		.magic = htole32(HSIO_BLOCK_MAGIC),
		.records = htole32(h->nr),
		.first = htole64(writer->written.records - h->nr),
	};
	unsigned char *to = h->raw;
	size_t packed;

	memcpy(to, &c, sizeof(c));
	to = put_pages(to + sizeof(c), h);
	for (unsigned int k = 0; k < c.idx; k++, to += h->nr) {
		for (size_t i = 0; i < h->nr; i++)
			to[i] = h->idx[i] >> 8 * k;
	}
	to = put_column(to, h->off, h->nr, c.off);
	to = put_column(to, h->next, h->nr, c.next);
	packed = ZSTD_compressCCtx(h->zstd, h->packed, ZSTD_compressBound(HSIO_RAW_MAX), h->raw,
				   to - h->raw, LEVEL);
	if (ZSTD_isError(packed))
		return hs_writer_fail(writer, "cannot compress: %s", ZSTD_getErrorName(packed));
	block.raw = htole32(to - h->raw);
	block.packed = htole32(packed);
	block.crc = htole32(crc32(crc32(0, (void *)&block, offsetof(struct hsio_block, crc)),
				  h->packed, packed));
	h->nr = 0;
	h->nr_pages = 0;
	h->off_bits = 0;
	h->next_bits = 0;
	h->now++;
	h->blocks++;
	return hs_writer_write(writer, 0, &block, sizeof(block)) &&
	       hs_writer_write(writer, 0, h->packed, packed);
}

static bool same_page(const struct hs_rec *page, const struct hs_rec *rec)
{
	return page->iova == (rec->iova & rec->mask) && page->did == rec->did &&
	       page->sid == rec->sid && page->mask == rec->mask && page->slpte == rec->slpte &&
	       page->level == rec->level && page->flags == rec->flags;
}

/* The number of the record's page in the block, or -1. */
static int find_page(struct hs_writer *writer, const struct hs_rec *rec)
{
	struct hsio *h = writer->impl;
	uint64_t key = ((rec->iova & rec->mask) >> 12) ^ (uint64_t)rec->did << 40 ^ rec->slpte;
	uint32_t at = key * UINT64_C(0x9e3779b97f4a7c15) >> 40;

	for (;; at++) {
		at &= TABLE - 1;
		if (h->stamp[at] != h->now)
			break;
		if (same_page(&h->pages[h->table[at]], rec))
			return h->table[at];
	}
	if (!hs_writer_tenant(writer, rec->did))
		return -1;
	h->stamp[at] = h->now;
	h->table[at] = h->nr_pages;
	h->pages[h->nr_pages] = *rec;
	h->pages[h->nr_pages].iova &= rec->mask;
	return h->nr_pages++;
}

static bool hsio_put(struct hs_writer *writer, const struct hs_rec *rec)
{
	struct hsio *h = writer->impl;
	int page;

	if (h->nr == HSIO_BLOCK && !flush(writer))
		return false;
	page = find_page(writer, rec);
	if (page < 0)
		return false;
	h->idx[h->nr] = page;
	h->off[h->nr] = rec->iova & ~rec->mask;
	h->next[h->nr] = writer->opts.next && rec->next != HS_NEVER ?
			 rec->next - writer->written.records : 0;
	h->off_bits |= h->off[h->nr];
	h->next_bits |= h->next[h->nr];
	h->nr++;
	return true;
}

static bool hsio_finish(struct hs_writer *writer)
{
	const char *note = writer->opts.note ? writer->opts.note : "";
	struct hsio *h = writer->impl;
	struct hsio_trailer trailer = { .magic = HSIO_END };
	uint32_t sum;

	if (h->nr && !flush(writer))
		return false;
	trailer.records = htole64(writer->written.records);
	trailer.blocks = htole64(h->blocks);
	trailer.tenants = htole32(writer->written.tenants);
	trailer.note = htole32(strlen(note));
	sum = crc32(0, (const void *)note, strlen(note));
	trailer.crc = htole32(crc32(sum, (void *)&trailer, offsetof(struct hsio_trailer, crc)));
	return hs_writer_write(writer, 0, note, strlen(note)) &&
	       hs_writer_write(writer, 0, &trailer, sizeof(trailer));
}

static void hsio_free(struct hs_writer *writer)
{
	struct hsio *h = writer->impl;

	ZSTD_freeCCtx(h->zstd);
	free(h->raw);
	free(h->packed);
	free(h->pages);
	free(h);
}

const struct hs_writer_ops hs_writer_hsio = {
	.open = hsio_open,
	.put = hsio_put,
	.finish = hsio_finish,
	.free = hsio_free,
};
