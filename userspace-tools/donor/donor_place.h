/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The places on the backing, each as large as a slab: which are free. Pure.
 *
 *	free --take--> used --erase--> being erased --erased--> free
 *	                                            `--failed--> bad, for ever
 */
#ifndef DONOR_PLACE_H
#define DONOR_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#define DONOR_NO_PLACE UINT32_MAX

struct donor_places {
	uint32_t nr;		/* all; 0: there is no backing */
	uint32_t nr_free;
	uint32_t erasing;
	uint32_t bad;
	uint32_t *free;		/* a stack: what was used last is used next */
};

/* Returns -1 when there is no memory for the list. */
int donor_places_init(struct donor_places *p, uint32_t nr);
void donor_places_exit(struct donor_places *p);

/* A free one, or DONOR_NO_PLACE. */
uint32_t donor_place_take(struct donor_places *p);
/* Its slab has left it: it is being erased. */
void donor_place_leave(struct donor_places *p);
/* It was erased; @ok false: it could not be. */
void donor_place_erased(struct donor_places *p, uint32_t place, bool ok);

#endif
