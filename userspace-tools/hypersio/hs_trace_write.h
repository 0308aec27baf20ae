/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing traces. A file has its name only when it is complete; one that fails
 * leaves nothing.
 */
#ifndef HS_TRACE_WRITE_H
#define HS_TRACE_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "hs_trace.h"

enum hs_file_format {
	HS_FILE_HSIO,		/* PATH */
	HS_FILE_ORIG,		/* PATH_iotlb_trace.bin, PATH_cc_data.bin, PATH_slpt_data.bin */
};

struct hs_writer;

struct hs_writer_opts {
	enum hs_file_format format;
	unsigned int packet;	/* records that make a packet; 0: HS_PACKET */
	bool next;		/* hs_rec.next is there */
	const char *note;	/* "key = value" lines, or NULL; not in the original's format */
};

struct hs_writer *hs_writer_open(const char *path, const struct hs_writer_opts *opts,
				 struct ax_msg *msg);
/*
 * Append a record; false on failure (hs_writer_close() says which). What the
 * format cannot say is a failure: the original's has 16 bits for a tenant and no
 * invalidations.
 */
bool hs_writer_put(struct hs_writer *writer, const struct hs_rec *rec);
/* Entries of the companion files (context entries, page tables) of the original's format. */
bool hs_writer_put_cc(struct hs_writer *writer, uint16_t sid, uint64_t high, uint64_t low,
		      uint16_t gen);
bool hs_writer_put_slpt(struct hs_writer *writer, uint16_t did, uint64_t table, unsigned int level,
			uint64_t entry, uint64_t iova);

struct hs_written {
	uint64_t records, bytes;	/* of the file with the records */
	uint64_t invalidations;		/* of the records */
	uint32_t tenants;
};

/* Finish and free; 0, or -1 with @msg. @written may be NULL. */
int hs_writer_close(struct hs_writer *writer, struct hs_written *written, struct ax_msg *msg);
/* Throw away what was written. */
void hs_writer_abort(struct hs_writer *writer);

#endif
