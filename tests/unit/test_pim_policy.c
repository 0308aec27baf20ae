// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who gets the next rank: host-kmod/pim_policy.h.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../../host-kmod/pim_policy.h"

static int nr, bad;

static void ok(bool good, const char *name)
{
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++nr, name);
	bad |= !good;
}

static bool before(struct pim_claim a, struct pim_claim b)
{
	return pim_claim_before(&a, &b) && !pim_claim_before(&b, &a);
}

/* All claims with small numbers: for any two, exactly one is first; no circles. */
static bool total_order(void)
{
	struct pim_claim c[64];
	unsigned int n = 0;

	for (uint32_t p = 0; p < 4; p++) {
		for (uint32_t r = 0; r < 4; r++) {
			for (uint64_t s = 0; s < 4; s++, n++)
				c[n] = (struct pim_claim){ p, r, 9, s * 16 + p * 4 + r };
		}
	}
	for (unsigned int i = 0; i < n; i++) {
		for (unsigned int j = 0; j < n; j++) {
			if (i != j && pim_claim_before(&c[i], &c[j]) ==
				      pim_claim_before(&c[j], &c[i]))
				return false;
			for (unsigned int k = 0; k < n; k++) {
				if (pim_claim_before(&c[i], &c[j]) &&
				    pim_claim_before(&c[j], &c[k]) &&
				    !pim_claim_before(&c[i], &c[k]))
					return false;
			}
		}
	}
	return true;
}

/*
 * One owner asks for ten ranks before the other comes, and each rank is kept as
 * long as it may be: whatever comes back, in whatever order, soon both have as
 * many, and stay so.
 */
static bool even(void)
{
	uint32_t has[2] = { 6, 0 }, x = 1;

	for (int round = 0; round < 1000; round++) {
		struct pim_claim a, b;
		unsigned int loser;

		x = x * 1103515245 + 12345;
		loser = x >> 16 & 1;
		if (!has[loser])
			loser = !loser;
		has[loser]--;
		a = (struct pim_claim){ 4, has[0], 10, round };
		b = (struct pim_claim){ 4, has[1], 10, 5000 + round };
		has[!pim_claim_before(&a, &b)]++;
		if (round > 100 && (has[0] > 4 || has[1] > 4))
			return false;
	}
	return true;
}

static bool rather(struct pim_offer a, struct pim_offer b)
{
	return pim_offer_before(&a, &b) && !pim_offer_before(&b, &a);
}

int main(void)
{
	const struct pim_offer clean = { PIM_FIT_CLEAN, 0 }, again = { PIM_FIT_CLEAN, 7 };
	const struct pim_claim none = { 4, 0, 2, 10 };

	printf("TAP version 14\n1..12\n");
	ok(before((struct pim_claim){ 5, 9, 10, 99 }, none), "priority is first");
	ok(before(none, (struct pim_claim){ 4, 1, 2, 1 }), "then who has fewer");
	ok(before((struct pim_claim){ 4, 0, 2, 9 }, none), "then who was earlier");
	ok(pim_claim_allowed(&none), "below the limit");
	ok(!pim_claim_allowed(&(struct pim_claim){ 7, 2, 2, 0 }), "at the limit");
	ok(!pim_claim_allowed(&(struct pim_claim){ 7, 0, 0, 0 }), "a limit of none");
	ok(total_order(), "a total order");
	ok(even(), "two owners share evenly");
	ok(rather((struct pim_offer){ PIM_FIT_OWN, 9 }, clean), "one's own data before a clean rank");
	ok(rather(clean, (struct pim_offer){ PIM_FIT_OTHERS, 0 }), "a clean rank before others' data");
	ok(rather((struct pim_offer){ PIM_FIT_OTHERS, 3 }, (struct pim_offer){ PIM_FIT_OTHERS, 4 }),
	   "of others' data what would go first");
	ok(!pim_offer_before(&clean, &again) && !pim_offer_before(&again, &clean),
	   "clean ranks are equal");
	return bad;
}
