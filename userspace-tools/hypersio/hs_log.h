/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Logs of QEMU's emulated VT-d: what its trace events say of the translations
 * that devices asked for.
 *
 * Two dialects are read, and told apart by themselves:
 *   stock    QEMU as it is: vtd_iotlb_page_hit and _update say which page,
 *            vtd_dmar_translate, which follows each of them, how large it is;
 *            vtd_inv_desc_iotlb_* are the invalidations.
 *   patched  the original HyperSIO's QEMU 3.0: the size is in the first two, and
 *            vtd_slpte_fetch has the page-table entries of walks.
 * Files may be compressed with zstd.
 */
#ifndef HS_LOG_H
#define HS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/ax_err.h"

enum hs_log_kind {
	HS_LOG_NONE,		/* a line about something else */
	HS_LOG_ACCESS,		/* sid, domain, iova, slpte; level unless the dialect is stock */
	HS_LOG_SIZE,		/* sid, iova, level: the size of the page of the access before */
	HS_LOG_CONTEXT,		/* sid, high, low, gen: a context entry */
	HS_LOG_PTE,		/* domain, iova, level, table, slpte: an entry that a walk read */
	HS_LOG_INVALIDATE,	/* domain, iova, mask (0: the whole domain) */
	HS_LOG_BAD,		/* an event of ours whose values make no sense */
};

struct hs_log_event {
	enum hs_log_kind kind;
	uint32_t sid;
	uint32_t domain;
	uint64_t iova;
	uint64_t mask;
	uint64_t slpte;
	uint8_t level;		/* 0: not known */
	uint64_t high, low, table;
	uint16_t gen;
};

/* One line of @len bytes, without its newline. Never fails: see HS_LOG_NONE, HS_LOG_BAD. */
void hs_log_parse(const char *line, size_t len, struct hs_log_event *event);

struct hs_log;

struct hs_log_count {
	uint64_t lines;
	uint64_t accesses;
	uint64_t sized;		/* accesses whose page size the log says */
	uint64_t bad;		/* lines that were passed over */
	bool patched;
};

struct hs_log *hs_log_open(const char *path, struct ax_msg *msg);
void hs_log_close(struct hs_log *log);
/*
 * The next event of any kind but NONE, SIZE and BAD: 1, 0 at the end, -1 on
 * failure (hs_log_error()). A stock access comes out with its level; one that
 * no vtd_dmar_translate belongs to counts as a 4 KiB page.
 */
int hs_log_next(struct hs_log *log, struct hs_log_event *event);
const struct hs_log_count *hs_log_count(const struct hs_log *log);
const char *hs_log_error(const struct hs_log *log);

#endif
