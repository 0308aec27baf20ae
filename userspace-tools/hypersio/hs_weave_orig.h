/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The original HyperSIO's way to build a trace, byte for byte, with what is odd
 * about it: source ids of different logs collide (128 apart, for up to 24 devices
 * from 16 to 200), a burst is a number of translations and not of packets, and
 * random order goes on until the last tenant has nothing left.
 */
#ifndef HS_WEAVE_ORIG_H
#define HS_WEAVE_ORIG_H

#include "hs_trace_write.h"
#include "hs_weave.h"

struct hs_orig_opts {
	const char *dir;	/* for temporary files */
	uint32_t tenants;	/* wanted, 1 to 65536 */
	unsigned int devices;	/* of a log that count: devfn 2.0, 3.0... */
	enum hs_weave_order order;	/* HS_ORDER_RR, HS_ORDER_RANDOM or HS_ORDER_LOG */
	uint32_t burst;		/* translations, from 1 on */
};

/* Read the logs, in their order, until there are enough tenants. NULL and @msg on failure. */
struct hs_source *hs_orig_new(char *const *logs, unsigned int nr, const struct hs_orig_opts *opts,
			      struct ax_msg *msg);
void hs_orig_free(struct hs_source *source);
/* Translations that were read. */
uint64_t hs_orig_records(const struct hs_source *source);
/* Write what the logs said of contexts and page tables. */
bool hs_orig_put_tables(const struct hs_source *source, struct hs_writer *writer);

#endif
