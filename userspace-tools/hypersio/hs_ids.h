/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers 0, 1, 2... for 32-bit ids (source ids, domain ids) in the order in
 * which they are first seen.
 */
#ifndef HS_IDS_H
#define HS_IDS_H

#include <stdint.h>

#define HS_ID_NONE	UINT32_MAX	/* the limit is reached, or memory is out */
#define HS_IDS_DIRECT	65536		/* ids below are looked up in a table */

struct hs_ids {
	uint32_t nr, max;
	uint32_t *direct;	/* number + 1 of a small id, 0: not seen */
	uint32_t *id;		/* of each number */
	uint32_t room;		/* of id[] */
	uint32_t *bucket;	/* number + 1, for ids that are not small */
	uint32_t bucket_mask, nr_hashed;
};

/* At most @max different ids. 0, or -1: out of memory. */
int hs_ids_init(struct hs_ids *ids, uint32_t max);
void hs_ids_free(struct hs_ids *ids);
uint32_t hs_ids_add(struct hs_ids *ids, uint32_t id);

/* The id's number, a new one if it has none; HS_ID_NONE. */
static inline uint32_t hs_ids_get(struct hs_ids *ids, uint32_t id)
{
	if (id < HS_IDS_DIRECT && ids->direct[id])
		return ids->direct[id] - 1;
	return hs_ids_add(ids, id);
}

#endif
