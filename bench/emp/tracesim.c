// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What LRU, OPT and our policy make of the trace that a workload has run: the
 * simulators of tests/unit, on pages of 64 records.
 *
 * usage: tracesim TRACE PAGES CAPACITY FROM COUNT
 *
 * The pages were filled in order first; misses are counted from access FROM to
 * FROM + COUNT. The trace starts over at its end, and goes on for its length
 * after that, so that OPT has a future to look into. Prints one line of JSON.
 */
#include "../../tests/unit/policy_sim.h"

int main(int argc, char **argv)
{
	struct sim_trace t = { .name = "workload" };
	struct sim_tune tune = { 0 };
	struct sim_result at[2][3];
	unsigned long count;
	size_t nr_rec, i;
	u32 *rec = NULL;
	long size;
	FILE *f;
	int k;

	if (argc != 6) {
		fprintf(stderr, "usage: tracesim TRACE PAGES CAPACITY FROM COUNT\n");
		return 2;
	}
	t.nr_blocks = strtoul(argv[2], NULL, 0);
	t.capacity = strtoul(argv[3], NULL, 0);
	t.from = strtoul(argv[4], NULL, 0) + t.nr_blocks;
	count = strtoul(argv[5], NULL, 0);
	f = fopen(argv[1], "rb");
	if (!f || fseek(f, 0, SEEK_END) || t.capacity < 64)
		goto unusable;
	size = ftell(f);
	if (size < (long)sizeof(*rec))
		goto unusable;
	rewind(f);
	nr_rec = size / sizeof(*rec);
	rec = calloc(nr_rec, sizeof(*rec));
	if (!rec || fread(rec, sizeof(*rec), nr_rec, f) != nr_rec)
		goto unusable;
	fclose(f);

	t.nr = t.from + count + nr_rec;
	t.block = calloc(t.nr, sizeof(*t.block));
	if (!t.block) {
		fprintf(stderr, "tracesim: out of memory\n");
		return 1;
	}
	for (i = 0; i < t.nr; i++)
		t.block[i] = i < t.nr_blocks ? i : rec[(i - t.nr_blocks) % nr_rec] / 64;
	/* What is missed from FROM on less what is missed after the last one that counts. */
	for (k = 0; k < 2; k++, t.from += count) {
		at[k][0] = sim_emp(&t, &tune);
		at[k][1] = sim_lru(&t);
		at[k][2] = sim_opt(&t);
	}
	printf("{\"ops\": %lu, \"capacity\": %u, \"pages\": %u, ", count, t.capacity, t.nr_blocks);
	printf("\"emp\": %llu, \"lru\": %llu, \"opt\": %llu}\n",
	       (unsigned long long)(at[0][0].miss - at[1][0].miss),
	       (unsigned long long)(at[0][1].miss - at[1][1].miss),
	       (unsigned long long)(at[0][2].miss - at[1][2].miss));
	free(t.block);
	free(rec);
	return 0;
unusable:
	fprintf(stderr, "tracesim: %s: cannot be used\n", argv[1]);
	return 1;
}
