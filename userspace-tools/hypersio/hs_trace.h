/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Traces of I/O translations: one record a translation that a device asked for.
 *
 * A reader hides which of the formats a file has (docs/hypersio-trace.md): the
 * 48-byte records of the original HyperSIO, or our own .hsio. It holds a block
 * of records at a time, whatever the length of the file.
 */
#ifndef HS_TRACE_H
#define HS_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/ax_err.h"

#define HS_NEVER	UINT64_MAX	/* hs_rec.next: the page is not used again */
#define HS_LEVEL_MAX	5		/* levels of a page table */
#define HS_PACKET	3		/* records that make a packet, unless told otherwise */

/* hs_rec.flags */
/* no access: the page, or with mask 0 all of domain did, is not valid any longer */
#define HS_REC_INVALIDATE 0x01
#define HS_REC_FLAGS	HS_REC_INVALIDATE

struct hs_rec {
	uint32_t sid;		/* source id: bus << 8 | devfn, or a number unique in the trace */
	uint32_t did;		/* tenant (domain) id */
	uint64_t iova;
	uint64_t mask;		/* iova & mask is the page; one bits on top, zeros below */
	uint64_t slpte;		/* second-stage page-table entry, 0: not known */
	uint64_t next;		/* index of the record that uses the page next, or HS_NEVER */
	uint8_t level;		/* of the leaf: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB */
	uint8_t flags;		/* HS_REC_* */
};

/* The mask of a page of @level (1 to HS_LEVEL_MAX). */
static inline uint64_t hs_level_mask(unsigned int level)
{
	return ~((UINT64_C(1) << (12 + 9 * (level - 1))) - 1);
}

struct hs_reader;

/* What a file says of itself. */
struct hs_info {
	const char *format;	/* "hypersio" (the original's) or "hsio" */
	uint64_t records;
	uint64_t bytes;		/* of the file */
	uint32_t tenants;	/* 0: the format does not say */
	uint32_t packet;	/* records that make a packet */
	bool has_next;		/* hs_rec.next is there; without it, it is HS_NEVER */
	const char *note;	/* how it was made, "key = value" lines, or "" */
};

/*
 * Open a trace: a file of either format, or the original's prefix P of
 * P_iotlb_trace.bin. Returns NULL and sets @msg on failure. Every thread needs
 * a reader of its own.
 */
struct hs_reader *hs_reader_open(const char *path, struct ax_msg *msg);
void hs_reader_close(struct hs_reader *reader);
/* Back to the first record; false on failure (hs_reader_error()). */
bool hs_reader_rewind(struct hs_reader *reader);
const struct hs_info *hs_reader_info(const struct hs_reader *reader);
/* What went wrong, after hs_reader_next() returned NULL; NULL at the end of the trace. */
const char *hs_reader_error(const struct hs_reader *reader);

/* The part of a reader that hs_reader_next() needs. */
struct hs_reader_head {
	const struct hs_rec *rec, *end;	/* what is left of the block */
};

/* Read on; returns the first record of the next block or NULL. */
const struct hs_rec *hs_reader_refill(struct hs_reader *reader);

/*
 * The next record, or NULL at the end or on failure. It is valid until the
 * block after it is read: copy what is to be kept.
 */
static inline const struct hs_rec *hs_reader_next(struct hs_reader *reader)
{
	struct hs_reader_head *head = (struct hs_reader_head *)reader;

	if (__builtin_expect(head->rec != head->end, 1))
		return head->rec++;
	return hs_reader_refill(reader);
}

#endif
