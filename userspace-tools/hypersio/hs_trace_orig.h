/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The original HyperSIO's trace format: little endian, packed, no header.
 */
#ifndef HS_TRACE_ORIG_H
#define HS_TRACE_ORIG_H

#include <stdint.h>

/* A record of P_iotlb_trace.bin. */
struct hs_orig_rec {
	uint32_t type;		/* 1 */
	uint16_t sid;
	uint16_t did;
	uint64_t iova;
	uint64_t mask;
	uint64_t level;
	uint64_t slpte;
	uint64_t next;		/* index of the next use of the page, all ones: none */
} __attribute__((packed));

/* A record of P_cc_data.bin: a context entry. */
struct hs_orig_cc {
	uint16_t sid;
	uint64_t high, low;
	uint16_t gen;
} __attribute__((packed));

/* A record of P_slpt_data.bin: an entry of a second-stage page table. */
struct hs_orig_slpt {
	uint16_t did;
	uint64_t addr;		/* of the entry */
	uint64_t level;
	uint64_t entry;
	uint64_t iova;
	uint64_t table;		/* of the table */
} __attribute__((packed));

_Static_assert(sizeof(struct hs_orig_rec) == 48, "records are 48 bytes");
_Static_assert(sizeof(struct hs_orig_cc) == 20, "context entries are 20 bytes");
_Static_assert(sizeof(struct hs_orig_slpt) == 42, "page-table entries are 42 bytes");

#endif
