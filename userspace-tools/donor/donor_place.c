// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "donor_place.h"

int donor_places_init(struct donor_places *p, uint32_t nr)
{
	memset(p, 0, sizeof(*p));
	if (!nr)
		return 0;
	p->free = calloc(nr, sizeof(*p->free));
	if (!p->free)
		return -1;
	p->nr = nr;
	p->nr_free = nr;
	for (uint32_t i = 0; i < nr; i++)
		p->free[i] = nr - 1 - i;
	return 0;
}

void donor_places_exit(struct donor_places *p)
{
	free(p->free);
	memset(p, 0, sizeof(*p));
}

uint32_t donor_place_take(struct donor_places *p)
{
	return p->nr_free ? p->free[--p->nr_free] : DONOR_NO_PLACE;
}

void donor_place_leave(struct donor_places *p)
{
	p->erasing++;
}

void donor_place_erased(struct donor_places *p, uint32_t place, bool ok)
{
	assert(place < p->nr && p->erasing && p->nr_free < p->nr);
	p->erasing--;
	if (ok)
		p->free[p->nr_free++] = place;
	else
		p->bad++;
}
