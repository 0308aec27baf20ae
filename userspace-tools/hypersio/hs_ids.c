// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "hs_ids.h"

int hs_ids_init(struct hs_ids *ids, uint32_t max)
{
	memset(ids, 0, sizeof(*ids));
	ids->max = max;
	ids->room = 64;
	ids->direct = calloc(HS_IDS_DIRECT, sizeof(*ids->direct));
	ids->id = malloc(ids->room * sizeof(*ids->id));
	if (ids->direct && ids->id)
		return 0;
	hs_ids_free(ids);
	return -1;
}

void hs_ids_free(struct hs_ids *ids)
{
	free(ids->direct);
	free(ids->id);
	free(ids->bucket);
	memset(ids, 0, sizeof(*ids));
}

/* Where the id is, or the empty bucket that ends the search. */
static uint32_t find(const struct hs_ids *ids, uint32_t id)
{
	uint32_t b = (id * 0x9e3779b1u) >> 7 & ids->bucket_mask;

	while (ids->bucket[b] && ids->id[ids->bucket[b] - 1] != id)
		b = (b + 1) & ids->bucket_mask;
	return b;
}

static int rehash(struct hs_ids *ids)
{
	uint32_t size = ids->bucket ? 2 * (ids->bucket_mask + 1) : 1024;
	uint32_t *old = ids->bucket, old_mask = ids->bucket_mask;

	ids->bucket = calloc(size, sizeof(*ids->bucket));
	if (!ids->bucket) {
		ids->bucket = old;
		return -1;
	}
	ids->bucket_mask = size - 1;
	for (uint32_t i = 0; old && i <= old_mask; i++) {
		if (old[i])
			ids->bucket[find(ids, ids->id[old[i] - 1])] = old[i];
	}
	free(old);
	return 0;
}

uint32_t hs_ids_add(struct hs_ids *ids, uint32_t id)
{
	uint32_t b = 0;

	if (id >= HS_IDS_DIRECT) {
		if ((!ids->bucket || 2 * ids->nr_hashed > ids->bucket_mask) && rehash(ids))
			return HS_ID_NONE;
		b = find(ids, id);
		if (ids->bucket[b])
			return ids->bucket[b] - 1;
	}
	if (ids->nr == ids->max)
		return HS_ID_NONE;
	if (ids->nr == ids->room) {
		uint32_t *more = realloc(ids->id, 2 * (size_t)ids->room * sizeof(*more));

		if (!more)
			return HS_ID_NONE;
		ids->id = more;
		ids->room *= 2;
	}
	ids->id[ids->nr] = id;
	if (id < HS_IDS_DIRECT) {
		ids->direct[id] = ids->nr + 1;
	} else {
		ids->bucket[b] = ids->nr + 1;
		ids->nr_hashed++;
	}
	return ids->nr++;
}
