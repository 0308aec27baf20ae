/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who gets the next rank, and which. Pure; tests/unit builds it in user space too.
 */
#ifndef PIM_POLICY_H
#define PIM_POLICY_H

#include <linux/types.h>

/**
 * struct pim_claim - what counts of one who waits for a rank
 * @priority: of the owner, a larger one comes first
 * @ranks: ranks that the owner has already, fewer come first
 * @max_ranks: as many as it may have
 * @seq: when it began to wait, earlier comes first
 */
struct pim_claim {
	__u32 priority;
	__u32 ranks;
	__u32 max_ranks;
	__u64 seq;
};

/** pim_claim_allowed - may the owner of @c have one more? */
static inline int pim_claim_allowed(const struct pim_claim *c)
{
	return c->ranks < c->max_ranks;
}

/** pim_claim_before - is @a to be served before @b? A strict total order for different seq. */
static inline int pim_claim_before(const struct pim_claim *a, const struct pim_claim *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (a->ranks != b->ranks)
		return a->ranks < b->ranks;
	return a->seq < b->seq;
}

/** enum pim_fit - a free rank, for one who may have it */
enum pim_fit {
	PIM_FIT_OWN,		/* has what it left there */
	PIM_FIT_CLEAN,
	PIM_FIT_OTHERS,		/* is kept for somebody else: to be cleaned first */
};

/**
 * struct pim_offer - a free rank
 * @fit: see there
 * @until: when it would not be kept any more
 */
struct pim_offer {
	enum pim_fit fit;
	__u64 until;
};

/** pim_offer_before - is @a to be taken rather than @b? Of equal ones, any. */
static inline int pim_offer_before(const struct pim_offer *a, const struct pim_offer *b)
{
	if (a->fit != b->fit)
		return a->fit < b->fit;
	return a->fit == PIM_FIT_OTHERS && a->until < b->until;
}

#endif
