/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of hypersio's traces share: results, a directory of their own,
 * random records.
 */
#ifndef HS_TEST_H
#define HS_TEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../userspace-tools/hypersio/hs_rng.h"
#include "../../userspace-tools/hypersio/hs_trace_write.h"

static unsigned int test_nr, failures;

static inline void result(bool ok, const char *name)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", ++test_nr, name);
	failures += !ok;
}

/* Say why, return false: `return ok || because("...", ...)`. */
#define because(...) (printf("# " __VA_ARGS__), putchar('\n'), false)

static char test_dir[64];

static inline const char *in_dir(const char *name)
{
	static char path[8][256];
	static unsigned int turn;
	char *p = path[turn++ % 8];

	snprintf(p, sizeof(path[0]), "%s/%s", test_dir, name);
	return p;
}

static inline void make_dir(void)
{
	strcpy(test_dir, "/tmp/test_hs.XXXXXX");
	if (!mkdtemp(test_dir))
		abort();
}

static inline int remove_dir(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", test_dir);
	return system(command);
}

/* A record of @tenants with @pages pages each, some of them large. */
static inline struct hs_rec random_rec(struct hs_rng *rng, uint32_t tenants, uint32_t pages)
{
	uint32_t page = hs_rng_below(rng, pages);
	struct hs_rec rec = {
		.did = hs_rng_below(rng, tenants),
		.level = 1 + page % 3,
		.next = HS_NEVER,
	};

	rec.sid = rec.did / 2 + 16;	/* as in the original's traces, two may have one */
	rec.mask = hs_level_mask(rec.level);
	rec.iova = ((uint64_t)(page + 1) << 30) | (hs_rng_u64(rng) & ~rec.mask & 0xfff);
	rec.slpte = (rec.iova & rec.mask) + 0x100000003;
	return rec;
}

static inline bool same_rec(const struct hs_rec *a, const struct hs_rec *b)
{
	return a->sid == b->sid && a->did == b->did && a->iova == b->iova && a->mask == b->mask &&
	       a->slpte == b->slpte && a->next == b->next && a->level == b->level &&
	       a->flags == b->flags;
}

static inline void *read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *data;

	if (!f)
		return NULL;
	fseek(f, 0, SEEK_END);
	*len = ftell(f);
	rewind(f);
	data = malloc(*len + 1);
	if (fread(data, 1, *len, f) != *len)
		abort();
	fclose(f);
	return data;
}

static inline void write_file(const char *path, const void *data, size_t len)
{
	FILE *f;

	unlink(path);	/* ext4 writes out at once what was truncated */
	f = fopen(path, "w");
	if (!f || fwrite(data, 1, len, f) != len || fclose(f))
		abort();
}

#endif
