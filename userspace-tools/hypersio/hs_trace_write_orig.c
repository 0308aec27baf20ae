// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writer of the original HyperSIO's three files.
 */
#include <endian.h>

#include "hs_trace_orig.h"
#include "hs_trace_write_impl.h"

enum { RECORDS, CONTEXTS, TABLES };

static bool orig_open(struct hs_writer *writer)
{
	if (writer->opts.packet != HS_PACKET)
		return hs_writer_fail(writer, "the original's format knows only packets of %d records",
				      HS_PACKET);
	return true;
}

static bool orig_put(struct hs_writer *writer, const struct hs_rec *rec)
{
	struct hs_orig_rec out = {
		.type = htole32(1),
		.sid = htole16(rec->sid),
		.did = htole16(rec->did),
		.iova = htole64(rec->iova),
		.mask = htole64(rec->mask),
		.level = htole64(rec->level),
		.slpte = htole64(rec->slpte),
		.next = htole64(writer->opts.next ? rec->next : HS_NEVER),
	};

	if (rec->sid > UINT16_MAX || rec->did > UINT16_MAX)
		return hs_writer_fail(writer, "tenant %u (source id %#x) does not fit the original's format: 16 bits",
				      rec->did, rec->sid);
	if (rec->flags & HS_REC_INVALIDATE)
		return hs_writer_fail(writer, "the original's format has no invalidations");
	return hs_writer_tenant(writer, rec->did) &&
	       hs_writer_write(writer, RECORDS, &out, sizeof(out));
}

bool hs_writer_put_cc(struct hs_writer *writer, uint16_t sid, uint64_t high, uint64_t low,
		      uint16_t gen)
{
	struct hs_orig_cc out = {
		.sid = htole16(sid),
		.high = htole64(high),
		.low = htole64(low),
		.gen = htole16(gen),
	};

	return writer->opts.format != HS_FILE_ORIG ||
	       hs_writer_write(writer, CONTEXTS, &out, sizeof(out));
}

bool hs_writer_put_slpt(struct hs_writer *writer, uint16_t did, uint64_t table, unsigned int level,
			uint64_t entry, uint64_t iova)
{
	uint64_t index = iova >> (12 + 9 * (level - 1)) & 511;
	struct hs_orig_slpt out = {
		.did = htole16(did),
		.addr = htole64(table + 8 * index),
		.level = htole64(level),
		.entry = htole64(entry),
		.iova = htole64(iova),
		.table = htole64(table),
	};

	return writer->opts.format != HS_FILE_ORIG ||
	       hs_writer_write(writer, TABLES, &out, sizeof(out));
}

static bool orig_finish(struct hs_writer *writer)
{
	(void)writer;
	return true;
}

static void orig_free(struct hs_writer *writer)
{
	(void)writer;
}

const struct hs_writer_ops hs_writer_orig = {
	.open = orig_open,
	.put = orig_put,
	.finish = orig_finish,
	.free = orig_free,
};
