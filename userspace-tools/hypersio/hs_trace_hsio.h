/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The layout of an .hsio file; docs/hypersio-trace.md describes it. All numbers
 * are little endian. header, blocks, note, trailer.
 */
#ifndef HS_TRACE_HSIO_H
#define HS_TRACE_HSIO_H

#include <stdint.h>

#include "hs_trace.h"

#define HSIO_MAGIC	"\x89HSIO\r\n\x1a"	/* 8 bytes: a transfer as text breaks it */
#define HSIO_END	"\x89HSIOEND"
#define HSIO_VERSION	1
#define HSIO_NEXT	0x0001			/* flags: hs_rec.next is there */
#define HSIO_BLOCK	32768			/* most records of a block */
#define HSIO_NOTE_MAX	65536			/* bytes */

struct hsio_header {
	char magic[8];
	uint16_t version;
	uint16_t flags;		/* HSIO_*; others: not to be read */
	uint16_t packet;	/* records that make a packet */
	uint16_t zero;
	uint32_t zeros[3];
	uint32_t crc;		/* CRC-32 (zlib's) of what stands before it */
} __attribute__((packed));

/* In front of each block's zstd frame. */
struct hsio_block {
	uint32_t magic;		/* HSIO_BLOCK_MAGIC */
	uint32_t records;
	uint32_t raw, packed;	/* bytes of its content, and of the frame */
	uint64_t first;		/* index of its first record */
	uint32_t zero;
	uint32_t crc;		/* of what stands before it, then the frame */
} __attribute__((packed));

#define HSIO_BLOCK_MAGIC 0x4b4f4c42	/* "BLOK" */

/*
 * The content of a block: this, then columns. A column of w-byte numbers is w
 * planes: the lowest byte of each number, then the second of each, and so on.
 *
 * of the pages, in the order in which the block uses them first: did (4 bytes, as
 * the difference to the one before, modulo 2^32), sid (4, the same), page number
 * iova >> 12 (7), slpte (8), level (1), order (1: log2 of the page's size, 64 for
 * a mask of 0), flags (1);
 * of the records: number of its page (idx), offset in the page (off), records
 * to the page's next use, 0 for never (next; only with HSIO_NEXT).
 */
struct hsio_content {
	uint32_t pages;
	uint8_t idx, off, next;	/* bytes of the columns: 1 or 2, 0 to 8, 0 to 8 */
	uint8_t zero;
} __attribute__((packed));

#define HSIO_PAGE_BYTES	(4 + 4 + 7 + 8 + 1 + 1 + 1)
#define HSIO_RAW_MAX	(sizeof(struct hsio_content) + \
			 (size_t)HSIO_BLOCK * (HSIO_PAGE_BYTES + 2 + 8 + 8))

/* The last bytes of the file. */
struct hsio_trailer {
	uint64_t records;
	uint64_t blocks;
	uint32_t tenants;	/* different dids */
	uint32_t note;		/* bytes of the note in front of this */
	uint32_t crc;		/* of the note, then what stands before it here */
	char magic[8];		/* HSIO_END */
} __attribute__((packed));

_Static_assert(sizeof(struct hsio_header) == 32, "the header is 32 bytes");
_Static_assert(sizeof(struct hsio_block) == 32, "a block's header is 32 bytes");
_Static_assert(sizeof(struct hsio_content) == 8, "a block's content begins with 8 bytes");
_Static_assert(sizeof(struct hsio_trailer) == 36, "the trailer is 36 bytes");

#endif
