/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A walk through all states that can be reached from a first one, breadth
 * first: so the way to a state that is wrong is a shortest one.
 *
 * States are WALK_BYTES bytes that the walk only compares. A model calls
 * walk_reach() for each step that is possible in a state.
 */
#ifndef MODEL_WALK_H
#define MODEL_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WALK_BYTES	104
#define WALK_NO_BLOCK	0xff

/* A step that nobody may rely on: a failure, or that something comes back. */
#define WALK_CHANCE	1

struct walk_state {
	uint8_t bytes[WALK_BYTES];
};

/**
 * walk_reach - @to can be reached from the state that is being looked at
 * @to: where the step leads; may be known already
 * @text: what happens, a literal
 * @block: which block it is about, or WALK_NO_BLOCK
 * @flags: WALK_CHANCE
 */
void walk_reach(const struct walk_state *to, const char *text, uint8_t block, unsigned int flags);

/**
 * walk_all - walk
 * @first: state
 * @steps: calls walk_reach() for all steps from @s; returns what is wrong with
 *	@s or with a step from it, a literal, or NULL: the walk ends with it
 * @ease: is @s one that must always stay in reach, without chance? May be NULL
 * @at: set to the state in which the walk ended, for walk_print()
 *
 * Return: what is wrong; "stuck": from @at no state at ease can be reached;
 * NULL: nothing. Ends the program when there is no memory.
 */
const char *walk_all(const struct walk_state *first,
		     const char *(*steps)(const struct walk_state *s),
		     bool (*ease)(const struct walk_state *s), uint32_t *at);

/** walk_print - the way to state @at, a line a step; @show: says what is in a state, or NULL */
void walk_print(uint32_t at, void (*show)(const struct walk_state *before,
					  const struct walk_state *after));

/** walk_counts - states and steps so far */
void walk_counts(uint32_t *states, size_t *steps);

/** walk_free - all memory of the walk */
void walk_free(void);

#endif
