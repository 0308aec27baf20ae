// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What LRU, OPT and our policy make of the trace that a workload has run: the
 * simulators of tests/unit, on pages of 64 records.
 *
 * usage: tracesim TRACE PAGES CAPACITY FROM COUNT
 *
 * The pages were filled in order first; misses are counted from access FROM to
 * FROM + COUNT. Prints one line of JSON.
 */
#include "../../tests/unit/policy_sim.h"

int main(int argc, char **argv)
{
	struct sim_trace t = { .name = "workload" };
	struct sim_tune tune = { 0 };
	struct sim_result e, l, o;
	unsigned long count;
	u32 rec, i;
	FILE *f;

	if (argc != 6) {
		fprintf(stderr, "usage: tracesim TRACE PAGES CAPACITY FROM COUNT\n");
		return 2;
	}
	f = fopen(argv[1], "rb");
	t.nr_blocks = strtoul(argv[2], NULL, 0);
	t.capacity = strtoul(argv[3], NULL, 0);
	t.from = strtoul(argv[4], NULL, 0) + t.nr_blocks;
	count = strtoul(argv[5], NULL, 0);
	t.block = calloc(t.from + count, sizeof(*t.block));
	if (!f || !t.block || t.capacity < 64) {
		fprintf(stderr, "tracesim: %s: cannot be used\n", argv[1]);
		free(t.block);
		return 1;
	}
	for (i = 0; i < t.nr_blocks; i++)
		t.block[t.nr++] = i;
	while (t.nr < t.from + count && fread(&rec, 4, 1, f) == 1)
		t.block[t.nr++] = rec / 64;
	fclose(f);
	if (t.nr != t.from + count) {
		fprintf(stderr, "tracesim: %s: too short\n", argv[1]);
		free(t.block);
		return 1;
	}
	e = sim_emp(&t, &tune);
	l = sim_lru(&t);
	o = sim_opt(&t);
	printf("{\"ops\": %lu, \"capacity\": %u, \"pages\": %u, ", count, t.capacity, t.nr_blocks);
	printf("\"emp\": %llu, \"lru\": %llu, \"opt\": %llu}\n", (unsigned long long)e.miss,
	       (unsigned long long)l.miss, (unsigned long long)o.miss);
	free(t.block);
	return 0;
}
