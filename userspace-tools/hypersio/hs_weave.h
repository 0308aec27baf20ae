/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A trace of many tenants out of the streams of a few devices.
 *
 * Tenant t plays the stream of device t modulo their number. When there are more
 * tenants than devices, those of one device begin at evenly spread places of its
 * stream (or all at its begin); at its end a stream begins again. Tenant ids are
 * 0, 1, 2...; a tenant's source id is its id: both are unique.
 *
 * Whose turn it is:
 *   rr	   one after the other, the same number of packets each
 *   random    anyone, all alike, the same number of packets a turn
 *   zipf	   tenant t with a chance in proportion to 1 / (t + 1)^skew
 *   burst	   anyone, all alike; the number of packets of a turn is random,
 *	   geometric with the given mean
 *
 * Memory: one buffer a tenant, 16 MiB in all, whatever the length of logs and trace.
 */
#ifndef HS_WEAVE_H
#define HS_WEAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "hs_trace.h"
#include "hs_weave_streams.h"

#define HS_TENANTS_MAX	(1u << 20)

enum hs_weave_order { HS_ORDER_RR, HS_ORDER_RANDOM, HS_ORDER_ZIPF, HS_ORDER_BURST, HS_ORDER_LOG };

struct hs_weave_opts {
	uint32_t tenants;	/* 1 to HS_TENANTS_MAX */
	enum hs_weave_order order;	/* not HS_ORDER_LOG, which is the original's only */
	uint32_t burst;		/* packets of a turn (mean of them for burst), from 1 on */
	double skew;		/* of zipf, from 0 on */
	uint64_t seed;
	uint64_t packets;	/* of the trace; 0: those of the shortest stream, times tenants */
	bool same_start;	/* all tenants begin at the begin of their streams */
};

/* Something that gives records, again and again. */
struct hs_source {
	const struct hs_rec *(*next)(struct hs_source *source);	/* NULL at the end or on failure */
	bool (*rewind)(struct hs_source *source);
	const char *(*error)(struct hs_source *source);		/* NULL: there was none */
};

/* @streams must be done, and outlive the result. NULL and @msg on failure. */
struct hs_source *hs_weave_new(struct hs_streams *streams, const struct hs_weave_opts *opts,
			       struct ax_msg *msg);
void hs_weave_free(struct hs_source *source);
/* How many packets it will give. */
uint64_t hs_weave_packets(const struct hs_source *source);

#endif
