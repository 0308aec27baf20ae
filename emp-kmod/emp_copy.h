/* SPDX-License-Identifier: GPL-2.0-only */
/* Redundancy: the second copy of a block. emp_copy.c has the states. */
#ifndef EMP_COPY_H
#define EMP_COPY_H

#include <linux/workqueue.h>

#include "emp_region.h"

#define EMP_COPIERS	4	/* work items that write missing copies */

/* Writes missing copies of its share of the blocks, see emp_copier_of(). */
struct emp_copier {
	struct emp_copies *copies;
	struct delayed_work work;
	u32 at[2];		/* words of ->behind and ->rebuild: where to go on */
};

/**
 * struct emp_copies - what a region with redundancy has beyond others
 * @region: whose
 * @sync: a folio is freed only after both copies were written
 * @remote: both copies belong on memory donors
 * @slot: of each block: of its second copy, or EMP_NO_SLOT; the block's lock
 * @behind: a bit a block: it was written, and lacks a copy
 * @rebuild: a bit a block: it lacks a copy because a tier went
 * @exposed: subblocks that the tiers hold once
 * @rebuild_left: bits that are set in @rebuild
 * @seconds: slots that second copies have
 * @rescan: a tier is lost: look for blocks that had a copy there
 * @rate: bytes a second of rebuilding; 0: no limit
 * @rate_lock: @rate_next
 * @rate_next: ns of ktime_get(): no rebuilding before that
 * @copier: they do it
 */
struct emp_copies {
	struct emp_region *region;
	bool sync;
	bool remote;
	u32 *slot;
	unsigned long *behind;
	unsigned long *rebuild;
	atomic_long_t exposed;
	atomic_long_t rebuild_left;
	atomic_long_t seconds;
	atomic_t rescan;
	u64 rate;
	spinlock_t rate_lock;		/* rate_next */
	u64 rate_next;
	struct emp_copier copier[EMP_COPIERS];
};

/* The copies of a block: the first is in bent[].slot, EMP_S_VALID says whether it is current. */
#define EMP_COPIES		2
#define EMP_COPY_NONE		EMP_COPIES

static inline unsigned long emp_copy_bit(u32 copy)
{
	return copy ? EMP_S_TWIN : EMP_S_VALID;
}

/** emp_copy_slot - of copy @copy of block @b, or EMP_NO_SLOT; the block is locked */
static inline u32 emp_copy_slot(const struct emp_region *r, u32 b, u32 copy)
{
	if (!copy)
		return r->bent[b].slot;
	return r->copies ? r->copies->slot[b] : EMP_NO_SLOT;
}

void emp_copy_changed(struct emp_region *r, u32 b, u64 s, unsigned long from, unsigned long to);

/** emp_sub_store - new word of subblock @s of the locked block @b; keeps account of the copies */
static inline void emp_sub_store(struct emp_region *r, u32 b, u64 s, unsigned long w)
{
	if (r->copies)
		emp_copy_changed(r, b, s, r->sub[s], w);
	WRITE_ONCE(r->sub[s], w);
}

u32 emp_copy_pick(struct emp_region *r, u32 b, unsigned long w, u32 failed);
u32 emp_copy_on(struct emp_region *r, u32 b, const struct emp_tier *t, bool leaving);
u32 emp_copy_deadline(struct emp_region *r, u32 b, u32 copy);
unsigned long emp_copy_alive(struct emp_region *r, u32 b);
void emp_copy_swap(struct emp_region *r, u32 b);
void emp_copy_settle(struct emp_region *r, u32 b, bool writing);
bool emp_copy_soon(struct emp_region *r, u32 b);
u32 emp_copy_target(struct emp_region *r, u32 b);
void emp_copy_release(struct emp_region *r, u32 b);
void emp_copy_drop(struct emp_region *r, u32 b);
void emp_copy_bad(struct emp_region *r, u32 b, u64 s, u32 failed);
void emp_copy_check(struct emp_region *r, u32 b, u64 s);
void emp_copy_ended(struct emp_region *r, u32 b, u32 slot);
int emp_copy_leave(struct emp_region *r, u32 b, struct emp_tier *t, bool leaving);
void emp_copy_tier_lost(struct emp_region *r);
int emp_copy_init(struct emp_region *r, u32 redundancy);
void emp_copy_stop(struct emp_region *r);
void emp_copy_exit(struct emp_region *r);
u64 emp_copy_metadata(const struct emp_region *r);
u64 emp_copy_exposed(const struct emp_region *r);
u64 emp_copy_rebuild_left(const struct emp_region *r);
int emp_copy_set_rate(struct emp_region *r, u64 rate);

#endif
