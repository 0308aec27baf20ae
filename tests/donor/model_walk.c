// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_walk.h"

struct node {
	struct walk_state s;
	uint32_t from;		/* its predecessor on a shortest way */
	const char *text;	/* the step from there */
	uint8_t block;
};

struct edge {
	uint32_t from, to;
};

static struct node *node;
static uint32_t nodes, room;
static uint32_t *table, table_size;	/* hash table of indices of node, a power of two */
static struct edge *edge;		/* those that one may rely on */
static size_t edges, edge_room, chances;
static uint32_t here;			/* the state that is being looked at */

static void *grow(void *old, size_t bytes)
{
	void *new = realloc(old, bytes);

	if (!new) {
		perror("model");
		exit(1);
	}
	return new;
}

static uint32_t hash(const struct walk_state *s)
{
	uint64_t h = 0, word;

	for (size_t i = 0; i < WALK_BYTES; i += sizeof(word)) {
		memcpy(&word, s->bytes + i, sizeof(word));
		h = (h ^ word) * 0x9e3779b97f4a7c15;
		h ^= h >> 29;
	}
	return h;
}

static void table_grow(void)
{
	table_size = table_size ? 2 * table_size : 1u << 16;
	table = grow(table, table_size * sizeof(*table));
	memset(table, 0xff, table_size * sizeof(*table));
	for (uint32_t i = 0; i < nodes; i++) {
		uint32_t at = hash(&node[i].s) & (table_size - 1);

		while (table[at] != UINT32_MAX)
			at = (at + 1) & (table_size - 1);
		table[at] = i;
	}
}

/* The number of @s, a new one if it was not seen before. */
static uint32_t number(const struct walk_state *s, const char *text, uint8_t block)
{
	uint32_t at;

	if (nodes * 2 >= table_size)
		table_grow();
	at = hash(s) & (table_size - 1);
	while (table[at] != UINT32_MAX) {
		if (!memcmp(&node[table[at]].s, s, sizeof(*s)))
			return table[at];
		at = (at + 1) & (table_size - 1);
	}
	if (nodes == room) {
		room = room ? 2 * room : 1u << 15;
		node = grow(node, room * sizeof(*node));
	}
	node[nodes] = (struct node){ *s, here, text, block };
	table[at] = nodes;
	return nodes++;
}

void walk_reach(const struct walk_state *to, const char *text, uint8_t block, unsigned int flags)
{
	uint32_t n = number(to, text, block);

	if (flags & WALK_CHANCE) {
		chances++;
		return;
	}
	if (edges == edge_room) {
		edge_room = edge_room ? 2 * edge_room : 1u << 17;
		edge = grow(edge, edge_room * sizeof(*edge));
	}
	edge[edges++] = (struct edge){ here, n };
}

/* The first state from which none at ease can be reached, or UINT32_MAX. */
static uint32_t find_stuck(bool (*ease)(const struct walk_state *s))
{
	/* edges by where they lead: those to i are prev[first[i]] and on */
	uint32_t *prev = grow(NULL, (edges + 1) * sizeof(*prev));
	size_t *first = calloc(nodes + 2, sizeof(*first));
	uint32_t *stack = grow(NULL, (nodes + 1) * sizeof(*stack)), top = 0, stuck = 0;
	bool *good = calloc(nodes + 1, sizeof(*good));

	if (!first || !good) {
		perror("model");
		exit(1);
	}
	for (size_t i = 0; i < edges; i++)
		first[edge[i].to + 2]++;
	for (uint32_t i = 2; i <= nodes + 1; i++)
		first[i] += first[i - 1];
	for (size_t i = 0; i < edges; i++)
		prev[first[edge[i].to + 1]++] = edge[i].from;
	for (uint32_t i = 0; i < nodes; i++) {
		if (ease(&node[i].s)) {
			good[i] = true;
			stack[top++] = i;
		}
	}
	while (top) {
		uint32_t to = stack[--top];

		for (size_t i = first[to]; i < first[to + 1]; i++) {
			if (!good[prev[i]]) {
				good[prev[i]] = true;
				stack[top++] = prev[i];
			}
		}
	}
	while (stuck < nodes && good[stuck])
		stuck++;
	free(first);
	free(prev);
	free(stack);
	free(good);
	return stuck < nodes ? stuck : UINT32_MAX;
}

const char *walk_all(const struct walk_state *first,
		     const char *(*steps)(const struct walk_state *s),
		     bool (*ease)(const struct walk_state *s), uint32_t *at)
{
	const char *wrong;

	number(first, "", WALK_NO_BLOCK);
	for (here = 0; here < nodes; here++) {
		struct walk_state s = node[here].s;	/* node may move */

		wrong = steps(&s);
		if (wrong) {
			*at = here;
			/* cppcheck-suppress returnDanglingLifetime ; a literal */
			return wrong;
		}
	}
	*at = ease ? find_stuck(ease) : UINT32_MAX;
	return *at == UINT32_MAX ? NULL : "stuck";
}

void walk_print(uint32_t at, void (*show)(const struct walk_state *before,
					  const struct walk_state *after))
{
	uint32_t *way = NULL, n = 0, steps;

	for (; at; at = node[at].from) {
		way = grow(way, (n + 1) * sizeof(*way));
		way[n++] = at;
	}
	for (steps = 1; n--; steps++) {
		const struct node *to = &node[way[n]];
		char text[80];

		if (to->block == WALK_NO_BLOCK)
			snprintf(text, sizeof(text), "%s", to->text);
		else
			snprintf(text, sizeof(text), "%s (block %u)", to->text, to->block);
		printf("# %3u  %-52s", steps, text);
		if (show)
			show(&node[to->from].s, &to->s);
		printf("\n");
	}
	free(way);
}

void walk_counts(uint32_t *states, size_t *steps)
{
	*states = nodes;
	*steps = edges + chances;
}

void walk_free(void)
{
	free(node);
	free(table);
	free(edge);
	node = NULL;
	table = NULL;
	edge = NULL;
	nodes = 0;
	room = 0;
	table_size = 0;
	edges = 0;
	edge_room = 0;
	chances = 0;
}
