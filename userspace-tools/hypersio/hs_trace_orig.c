// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reader of the original HyperSIO's 48-byte records.
 */
#include <endian.h>
#include <stdlib.h>

#include "hs_trace_impl.h"
#include "hs_trace_orig.h"

static bool orig_open(struct hs_reader *reader)
{
	if (reader->info.bytes % sizeof(struct hs_orig_rec))
		return hs_reader_fail(reader,
				      "no trace: neither an .hsio file nor whole records of 48 bytes");
	reader->info.records = reader->info.bytes / sizeof(struct hs_orig_rec);
	reader->info.has_next = true;
	reader->room = HS_BLOCK;
	reader->impl = calloc(HS_BLOCK, sizeof(struct hs_orig_rec));
	return reader->impl;
}

/* A record that the model could stumble over ends the trace. */
static bool valid(struct hs_reader *reader, const struct hs_orig_rec *in, uint64_t index)
{
	uint64_t next = le64toh(in->next);

	if (le32toh(in->type) != 1)
		return hs_reader_fail(reader, "record %llu: type is %u, not 1",
				      (unsigned long long)index, le32toh(in->type));
	if (le64toh(in->level) < 1 || le64toh(in->level) > HS_LEVEL_MAX)
		return hs_reader_fail(reader, "record %llu: level %llu is not one of 1 to %d",
				      (unsigned long long)index,
				      (unsigned long long)le64toh(in->level), HS_LEVEL_MAX);
	if (!hs_mask_valid(le64toh(in->mask)))
		return hs_reader_fail(reader, "record %llu: %#llx is no page mask",
				      (unsigned long long)index,
				      (unsigned long long)le64toh(in->mask));
	if (next != HS_NEVER && (next <= index || next >= reader->info.records))
		return hs_reader_fail(reader, "record %llu: its next use, %llu, is not behind it",
				      (unsigned long long)index, (unsigned long long)next);
	return true;
}

static int orig_fill(struct hs_reader *reader)
{
	const struct hs_orig_rec *in = reader->impl;
	uint64_t left = reader->info.records - reader->index;
	size_t n = left < HS_BLOCK ? left : HS_BLOCK;

	if (!n)
		return 0;
	if (!hs_pread(reader, reader->impl, n * sizeof(*in), reader->index * sizeof(*in)))
		return -1;
	for (size_t i = 0; i < n; i++, in++) {
		struct hs_rec *rec = &reader->block[i];

		if (!valid(reader, in, reader->index + i))
			return -1;
		rec->sid = le16toh(in->sid);
		rec->did = le16toh(in->did);
		rec->iova = le64toh(in->iova);
		rec->mask = le64toh(in->mask);
		rec->slpte = le64toh(in->slpte);
		rec->next = le64toh(in->next);
		rec->level = le64toh(in->level);
		rec->flags = 0;
	}
	return n;
}

static void orig_close(struct hs_reader *reader)
{
	free(reader->impl);
}

const struct hs_format hs_format_orig = {
	.name = "hypersio",
	.open = orig_open,
	.fill = orig_fill,
	.close = orig_close,
};
