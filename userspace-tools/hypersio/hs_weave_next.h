/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For each record of a trace the index of the next one that uses the same page
 * of the same tenant: what oracle replacement looks at.
 *
 * Out of core: pages are spread over partitions by their hash; the uses of each
 * partition's pages go to a file. Read backwards, a partition needs to know only
 * the last use seen of each of its pages. So memory is bounded by the pages of one
 * partition, and there are as many partitions as the trace's length asks for.
 */
#ifndef HS_WEAVE_NEXT_H
#define HS_WEAVE_NEXT_H

#include "hs_weave.h"

struct hs_next;

/*
 * Run through @source once and find all next uses; temporary files go to @dir: 32
 * bytes a record. About @records are expected. NULL and @msg on failure.
 */
struct hs_next *hs_next_build(struct hs_source *source, uint64_t records, const char *dir,
			      struct ax_msg *msg);
void hs_next_free(struct hs_next *next);
/*
 * The next use of @rec, asked for each record of the same source, in order, once:
 * false on failure.
 */
bool hs_next_get(struct hs_next *next, const struct hs_rec *rec, uint64_t *index);
const char *hs_next_error(const struct hs_next *next);

#endif
