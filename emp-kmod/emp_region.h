/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A region: its blocks, subblocks and locks.
 *
 * A region is cut into *blocks* (unit of placement on the tiers and of
 * replacement) and each block into *subblocks* (unit of residency, dirtiness
 * and validity). Two tables describe all of it and are allocated once:
 *
 *   bent[block]	12 bytes: slot on a tier, place in the policy's queues, flags
 *   sub[subblock]	one word: page frame number and EMP_S_* flags
 *
 * A block is in one of two *forms*. SMALL: each subblock has a folio of its
 * own. HUGE (EMP_B_HUGE): one order-9 folio for the whole block, whose state
 * is the word of the first subblock; only EMP_S_VALID is then still kept for
 * every subblock.
 *
 * What a subblock's word means:
 *
 *   no PRESENT, no VALID, no LOST	all zero, nothing stored anywhere
 *   VALID, no PRESENT			its bytes are in the block's slot
 *   TWIN				its bytes are in the block's second slot, in
 *					regions with redundancy (emp_copy.c); with or
 *					without VALID, for which either stands below
 *   PRESENT, no UPTODATE		being fetched into the folio
 *   PRESENT, UPTODATE			the folio is the truth; DIRTY: the slot is not
 *					(VALID and DIRTY exclude each other)
 *   ... with WB			being written to the slot
 *   LOST				the tier could not deliver it; the upper bits hold
 *					the jiffies of that instead of a frame number
 *
 * Locks, outermost first:
 *
 *   emp_regions_lock (mutex)	the list of regions
 *   region->conf_lock (mutex)	tiers come and go, limits change
 *   mmap lock / VMA lock
 *   region->pin_lock (mutex)	one count of pins at a time
 *   folio lock			held from ->fault until the core has mapped the folio;
 *				discard takes it, so that it cannot race with mapping
 *   region->lock[hash(block)]	(spin, irq) bent[].slot and .flags, all sub[] words of
 *				the block, copies->slot[]; nothing sleeps under it
 *   region->policy_lock	(spin, irq) the replacement queues
 *   tier->slot_lock		(spin, irq) the bitmap of slots
 *
 * Reference counts: a resident folio carries one reference of ours. Eviction
 * and cleaning need it frozen at one while the block lock is held: then no page
 * table, no get_user_pages() and no fault on its way holds it.
 */
#ifndef EMP_REGION_H
#define EMP_REGION_H

#include <linux/fs.h>
#include <linux/kobject.h>
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/siphash.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../include/uapi/annex/emp.h"
#include "emp_policy.h"
#include "emp_stats.h"

struct emp_copies;
struct emp_shrink_item;
struct emp_tier;
struct mem_cgroup;

#define EMP_S_PRESENT	(1UL << 0) /* a folio is there */
#define EMP_S_UPTODATE	(1UL << 1) /* ... and holds the right bytes */
#define EMP_S_DIRTY	(1UL << 2) /* ... newer than the slot, or never written */
#define EMP_S_VALID	(1UL << 3) /* the slot holds the current bytes */
#define EMP_S_LOST	(1UL << 4) /* reading it failed */
#define EMP_S_WB	(1UL << 5) /* a write of it is under way */
#define EMP_S_MAPPED	(1UL << 6) /* was handed to a fault since it was fetched */
#define EMP_S_AHEAD	(1UL << 7) /* fetched ahead, not touched so far */
#define EMP_S_TWIN	(1UL << 8) /* the second slot holds the current bytes */
#define EMP_S_FROM2	(1UL << 9) /* it is being fetched from the second slot */
#define EMP_S_AGAIN	(1UL << 10) /* ... because the other did not answer in time */
#define EMP_S_SHIFT	11
#define EMP_S_STORED	(EMP_S_VALID | EMP_S_TWIN)
/* In the place of the time of LOST: no tier has it, no use in trying. */
#define EMP_S_FOREVER	(~0UL << EMP_S_SHIFT)

/* struct emp_bent.flags */
#define EMP_B_HUGE	(1u << 0) /* resident as one order-9 folio */
#define EMP_B_SMALL	(1u << 1) /* to be kept in subblocks from now on */
#define EMP_B_QUEUED	(1u << 2) /* the policy has it, or an eviction is under way */
#define EMP_B_MIGRATE	(1u << 3) /* being copied to another tier */
#define EMP_B_WRITING	(1u << 4) /* the evictor waits for writes of it */
#define EMP_B_COPYING	(1u << 5) /* emp_copy.c writes into its second slot */
#define EMP_B_COPYOK	(1u << 6) /* ... what is current still */

#define EMP_NO_SLOT	U32_MAX
#define EMP_WAIT_HASH	64
#define EMP_TOLD	64	/* vCPUs that are about to hear of lost data; see emp_fault.c */

struct emp_region {
	char name[EMP_NAME_LEN];
	u32 flags;		/* EMP_F_* */
	u32 map;		/* enum emp_map */
	u32 wipe;		/* enum emp_wipe */
	u32 redundancy;		/* enum emp_redundancy */
	u64 bytes;
	u8 block_shift;
	u8 sub_shift;
	u8 sps_shift;		/* log2 of subblocks a block */
	u32 nr_blocks;
	u64 nr_subs;

	unsigned long *sub;
	struct emp_bent *bent;
	u32 *csum;		/* xxh64, cut to 32 bits, of a subblock; or NULL */
	u64 *mac;		/* siphash of a subblock, 0: none; or NULL. See emp_check.c */
	siphash_key_t mac_key;
	struct emp_crypt *crypt;	/* NULL without EMP_F_ENCRYPT */
	struct emp_copies *copies;	/* NULL without redundancy */
	spinlock_t *lock;	/* of blocks, hashed: emp_block_lock() */
	u32 lock_mask;
	wait_queue_head_t wait[EMP_WAIT_HASH];	/* a fetch or write of a block ended */
	u64 told[EMP_TOLD];	/* hash of thread and subblock << 32 | jiffies of the telling */

	/* DRAM, in pages of 4 KiB */
	atomic_long_t resident;	/* pages held, those being fetched into included */
	atomic_long_t dirty;	/* of these, those with EMP_S_DIRTY */
	long limit;
	long limit_min;
	long low_free;		/* faults evict below so many free pages, the evictor below half */
	long high_free;		/* ... and both stop at this many */
	long low_wish;		/* as set by the user; 0: default. conf_lock */
	long high_wish;
	u32 readahead;		/* bytes fetched ahead of a sequential reader; 0: none */
	u32 rest_window;	/* subblocks of a block worth fetching with the one wanted */
	u64 rest_fetched;	/* prefetch counters when rest_window was last judged */
	u64 rest_used;
	u32 lost_retry_ms;	/* a lost subblock answers without a try for so long */
	u32 promote;		/* 1: what proves itself may go to a faster tier */
	u32 retain_ms;		/* a fetched subblock nobody mapped is kept for so long */
	struct mem_cgroup *memcg;
	struct emp_shrink_item *shrink;

	/* long-term pins (EMP_F_PINNABLE), in pages; see emp_pin.c */
	struct vm_operations_struct vm_ops;	/* of its mappings, which keep the region */
	struct mutex pin_lock;		/* one count at a time */
	struct delayed_work pin_work;
	long pin_limit;
	long pin_wish;			/* as set by the user; 0: default. conf_lock */
	long pin_base;			/* pages counted last, less pin_admitted then */
	atomic_long_t pin_admitted;	/* pages that faults of pins ever took */
	unsigned long pin_took;		/* jiffies that the last count took */
	unsigned long pin_next;		/* no count before that (jiffies) for pins that fault */

	/* replacement */
	spinlock_t policy_lock;
	struct emp_policy policy;
	struct task_struct *evictor;
	wait_queue_head_t evict_wait;	/* the evictor sleeps here */
	wait_queue_head_t wb_wait;	/* a write request ended */
	wait_queue_head_t free_wait;	/* those who need DRAM sleep here */
	bool evict_kick;
	struct mutex unmap_lock;		/* one at a time unmaps for eviction */
	bool pressure;			/* an allocation below the limit failed */
	unsigned long stuck_since;	/* jiffies: somebody waits, nothing is freed; 0: not */
	unsigned long freed;		/* folios ever freed; racy, only compared */
	atomic_t wb_inflight;		/* write requests under way */
	atomic_long_t wb_pages;		/* pages that they will make free */

	/* tiers */
	struct mutex conf_lock;
	struct mutex migrate_lock;		/* one migration at a time; see emp_migrate.c */
	struct emp_tier *tier[EMP_TIERS_MAX];	/* fastest first; read under a block lock */
	u32 nr_tiers;
	bool polls;		/* a tier has, or had, ->poll */
	u32 next_tier_id;
	bool removing;			/* a tier is being drained; conf_lock */
	struct work_struct demote_work;
	bool no_space;			/* the last write-back found no slot */

	/* life */
	struct kref ref;
	struct list_head list;		/* emp_regions_lock */
	kuid_t uid;		/* as created */
	kgid_t gid;
	struct inode *inode;
	struct dentry *dentry;
	spinlock_t life_lock;		/* opens, dying */
	u32 opens;
	bool dying;
	bool nowb;			/* teardown: complete writes, begin none */
	struct work_struct teardown;
	struct completion gone;		/* files of sysfs are gone */
	struct kobject kobj;
	struct kobject *tiers_kobj;
	struct emp_stats __percpu *stats;
};

static inline u64 emp_sub_of(const struct emp_region *r, pgoff_t pgoff)
{
	return pgoff >> (r->sub_shift - PAGE_SHIFT);
}

static inline u32 emp_block_of(const struct emp_region *r, u64 sub)
{
	return sub >> r->sps_shift;
}

static inline u64 emp_first_sub(const struct emp_region *r, u32 b)
{
	return (u64)b << r->sps_shift;
}

static inline u32 emp_subs_per_block(const struct emp_region *r)
{
	return 1u << r->sps_shift;
}

static inline u32 emp_sub_order(const struct emp_region *r)
{
	return r->sub_shift - PAGE_SHIFT;
}

static inline u32 emp_block_order(const struct emp_region *r)
{
	return r->block_shift - PAGE_SHIFT;
}

static inline spinlock_t *emp_block_lock(struct emp_region *r, u32 b)
{
	return &r->lock[b & r->lock_mask];
}

static inline wait_queue_head_t *emp_block_wait(struct emp_region *r, u32 b)
{
	return &r->wait[b % EMP_WAIT_HASH];
}

/** emp_state_sub - the subblock whose word carries the state of @sub */
static inline u64 emp_state_sub(const struct emp_region *r, u32 b, u64 sub)
{
	return r->bent[b].flags & EMP_B_HUGE ? emp_first_sub(r, b) : sub;
}

static inline struct folio *emp_word_folio(unsigned long w)
{
	return pfn_folio(w >> EMP_S_SHIFT);
}

static inline unsigned long emp_word(struct folio *folio, unsigned long flags)
{
	return folio_pfn(folio) << EMP_S_SHIFT | flags;
}

/** emp_word_now - the time, as a LOST word keeps it */
static inline unsigned long emp_word_now(void)
{
	unsigned long now = jiffies;

	return now << EMP_S_SHIFT;
}

/* emp_word_stored - has a slot bytes for it that can be read, perhaps later? */
static inline bool emp_word_stored(unsigned long w)
{
	return w & EMP_S_STORED ||
	       (w & EMP_S_LOST && (w & EMP_S_FOREVER) != EMP_S_FOREVER);
}

static inline bool emp_word_busy(unsigned long w)
{
	return (w & EMP_S_PRESENT) && !(w & EMP_S_UPTODATE);
}

static inline long emp_free_pages(const struct emp_region *r)
{
	return READ_ONCE(r->limit) - atomic_long_read(&r->resident);
}

void emp_wake_block(struct emp_region *r, u32 b);

/* emp_region.c */
extern struct mutex emp_regions_lock;
extern struct list_head emp_regions;
struct emp_region *emp_region_create(const struct emp_create *c, struct emp_tier_spec *specs);
int emp_region_destroy(const char *name);
struct emp_region *emp_region_find(const char *name);
void emp_region_get(struct emp_region *r);
void emp_region_put(struct emp_region *r);
int emp_region_open(struct emp_region *r);
void emp_region_release(struct emp_region *r);
int emp_region_set_limit(struct emp_region *r, u64 bytes);
bool emp_region_fits(struct emp_region *r, const struct emp_tier *without);
u64 emp_region_metadata(const struct emp_region *r);
void *emp_table_alloc(u64 n, size_t size);
int emp_region_init(void);
void emp_region_exit(void);

/* defaults, module parameters: emp_main.c */
extern uint emp_default_block_size, emp_default_subblock_size;
extern uint emp_default_deadline_ms, emp_default_queue_depth, emp_default_retain_ms;

#endif
