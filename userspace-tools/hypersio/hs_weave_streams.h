/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What logs say, as one stream of packets a device.
 *
 * A packet of a trace has a fixed number of records, because the model sends one
 * packet a time slot. A log of the original's (QEMU 3.0) has packets of three:
 * they are taken as they come. Stock QEMU 10 asks more often for a packet: its
 * e1000 reads the descriptor, writes one or two pages of payload, writes the
 * descriptor and writes its status. There a packet begins with a descriptor and
 * ends when the device leaves that descriptor after the payload; of its accesses
 * the first to each page count first, then the others in their order.
 */
#ifndef HS_WEAVE_STREAMS_H
#define HS_WEAVE_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "hs_trace.h"
#include "hs_weave_spool.h"

#define HS_ITEM_FIRST	0x80	/* hs_item.flags, beside HS_REC_*: begins a packet */

struct hs_item {
	uint64_t iova, slpte;
	uint8_t level;
	uint8_t order;		/* log2 of the page's size; 64: a mask of 0 */
	uint8_t flags;
	uint8_t zero[5];
};

struct hs_stream {
	char *name;		/* LOG:BB:DD.F */
	uint32_t log, sid;	/* log: number of its log */
	uint32_t domain;	/* of its last access */
	unsigned int spool;	/* its number in the spool */
	uint64_t packets;
};

struct hs_streams_opts {
	const char *dir;	/* for temporary files */
	unsigned int packet;	/* records of a packet; 0: HS_PACKET */
	bool fixed;		/* packets are so many accesses, whatever they look like */
	bool invalidations;	/* keep them */
	uint64_t least;		/* devices with fewer packets are left out */
};

struct hs_streams {
	struct hs_streams_opts opts;
	struct hs_spool *spool;		/* of struct hs_item */
	struct hs_stream *streams;	/* in the order of logs and source ids */
	unsigned int nr;
	uint32_t logs;
	uint64_t lines, accesses, sized, bad;
	uint64_t left_out;		/* accesses beyond those that fit a packet */
};

struct hs_streams *hs_streams_new(const struct hs_streams_opts *opts, struct ax_msg *msg);
void hs_streams_free(struct hs_streams *streams);
/* Read a log: 0, or -1 with @msg. */
int hs_streams_log(struct hs_streams *streams, const char *path, struct ax_msg *msg);
/* After the last log; fails when no device is left. */
int hs_streams_done(struct hs_streams *streams, struct ax_msg *msg);

#endif
