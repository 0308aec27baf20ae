/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A tier: a place behind DRAM that holds blocks in numbered slots.
 *
 * The slots of all tiers of a region share one space of 32-bit numbers; a tier
 * owns [first, first + nr_slots). A kind of tier is a struct emp_tier_ops:
 * requests are built piece by piece (contiguous on the tier), submitted, and
 * end in ->done in any context. tier->inflight counts the requests and those
 * about to be made; a tier is freed only when it is zero.
 *
 * A kind whose other side can ask for parts of a tier says so by
 * emp_tier_units(): then the slots are in units of one size, of which each can be
 * withdrawn (emp_tier_withdraw()): it takes nothing new, and what is there is
 * moved away, to any place there is.
 *
 *	IN -> LEAVING -> OUT	asked back; empty
 *	IN, LEAVING -> LOST	taken by force: what was there is lost, or on its
 *				other copy
 */
#ifndef EMP_TIER_H
#define EMP_TIER_H

#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/kobject.h>
#include <linux/mempool.h>
#include <linux/spinlock.h>

#include "emp_region.h"

#define EMP_CHUNK	256u	/* slots; those of one time are taken from one chunk */

enum emp_tier_state {
	EMP_TIER_OK,		/* takes and gives */
	EMP_TIER_DEGRADED,	/* errors or time-outs were seen; used when no other has room */
	EMP_TIER_DRAINING,	/* being removed: gives, takes nothing new */
	EMP_TIER_GONE,		/* device removed: every operation fails */
};

enum emp_unit_state {
	EMP_UNIT_IN,
	EMP_UNIT_LEAVING,	/* gives, takes nothing new */
	EMP_UNIT_OUT,		/* empty, and stays so */
	EMP_UNIT_LOST,		/* every operation fails */
};

/* Protected by the tier's slot_lock; @state may be read without. */
struct emp_unit {
	u32 taken;		/* slots in use */
	u32 state;		/* enum emp_unit_state */
};

/**
 * enum emp_withdraw - how emp_tier_withdraw() takes a unit
 * @EMP_WITHDRAW_SPARE: only if the region has room without it
 * @EMP_WITHDRAW_FORCED: in any case, it will be gone soon
 * @EMP_WITHDRAW_LOST: it is gone
 */
enum emp_withdraw {
	EMP_WITHDRAW_SPARE,
	EMP_WITHDRAW_FORCED,
	EMP_WITHDRAW_LOST,
};

struct emp_io;

/**
 * struct emp_tier_ops - a kind of tier
 * @name: as shown in sysfs
 * @remote: on a machine that is not ours: what it gives is checked by MACs
 * @io_alloc: a request of up to @vecs pieces at byte @pos of the tier; with
 *	@gfp that may sleep it does not fail
 * @io_add: add @len bytes of @folio from @off; false if there is no room
 * @io_submit: begin; io->done runs when it ended, perhaps before this returns
 * @poll: somebody is about to sleep until @over(@arg): look for ends of reads that
 *	are waited for, as long as that pays, without sleeping; may be NULL
 * @io_free: a request that ended, or was never submitted
 * @discard: the bytes are no longer needed; a hint, may sleep; may be NULL
 * @zero: write zeros, may sleep
 * @close: release everything; no request is under way
 * @link: how it is with the other side, in a word; may be NULL
 * @connections: sysfs: the connections, one a line; may be NULL
 * @left: some of its units may be empty by now, see emp_unit_left(); may be NULL
 */
struct emp_tier_ops {
	const char *name;
	bool remote;
	struct emp_io *(*io_alloc)(struct emp_tier *t, bool write, u64 pos, u32 vecs, gfp_t gfp);
	bool (*io_add)(struct emp_io *io, struct folio *folio, size_t off, size_t len);
	void (*io_submit)(struct emp_io *io);
	void (*poll)(struct emp_tier *t, bool (*over)(void *arg), void *arg);
	void (*io_free)(struct emp_io *io);
	int (*discard)(struct emp_tier *t, u64 pos, u64 len);
	int (*zero)(struct emp_tier *t, u64 pos, u64 len);
	void (*close)(struct emp_tier *t);
	const char *(*link)(struct emp_tier *t);
	ssize_t (*connections)(struct emp_tier *t, char *buf);
	void (*left)(struct emp_tier *t);
};

/* Per CPU. [0]: reads, [1]: writes. */
struct emp_tier_stats {
	u64 ops[2];			/* requests that ended */
	u64 bytes[2];			/* moved by those without an error */
	u64 errors[2];			/* requests that failed */
	u64 timeouts;			/* requests that took longer than the deadline */
	u64 hist[2][EMP_HIST_BUCKETS];	/* from submission to end */
};

struct emp_tier {
	const struct emp_tier_ops *ops;
	struct module *owner;		/* of ops; NULL: ourselves */
	struct emp_region *region;
	u32 id;
	u32 deadline_ms;
	u32 queue_depth;
	int state;			/* enum emp_tier_state, READ_ONCE/WRITE_ONCE */
	char device[64];
	u64 base;
	u64 bytes;

	u32 first;			/* number of its first slot */
	u32 nr_slots;
	spinlock_t slot_lock;		/* all from here to hint but out */
	unsigned long *bitmap;		/* set: taken, or of a unit that is not IN */
	u32 used;			/* slots that are taken */
	u32 room;			/* bits that are not set */
	u32 out;			/* slots of units that are not IN; conf_lock */
	struct emp_unit *unit;		/* NULL: none */
	u32 nr_units;
	u32 unit_shift;			/* slots of each */
	u16 *chunk_free;		/* free slots of each chunk of EMP_CHUNK */
	u32 nr_chunks;
	u32 hint;			/* where in the current chunk to look next */

	bool live;			/* attached; conf_lock */
	struct delayed_work leave;	/* moves what is in units that are LEAVING */
	u32 leave_round;
	/* in units, for sysfs; the kind's own */
	u32 asked;			/* wanted back, and here still */
	u32 given;			/* given back */
	u32 revoked;			/* taken by force */
	u32 parked;			/* on the donor's disk */
	u32 fetched;			/* from there, so far */

	atomic_t inflight;
	wait_queue_head_t idle;		/* inflight fell */
	u32 read_ns;			/* latency of reads that are waited for; 0: none yet */
	u32 bad_streak;			/* errors since the last success */
	struct emp_tier_stats __percpu *stats;
	struct delayed_work watchdog;
	u64 watchdog_ops;		/* requests ended when the watchdog last saw some end */
	unsigned long watchdog_since;	/* jiffies of that */
	struct kobject kobj;
	struct completion kobj_gone;
	mempool_t *pieces;		/* emp_crypt.c; NULL: it is not encrypted */
	size_t piece_bytes;		/* of each, and of a request */
	void *priv;			/* the kind's own */
};

/**
 * struct emp_io - one request to a tier
 * @tier: where
 * @done: called once, in any context; owns the request from then on
 * @owner: the caller's
 * @task: who submits it, when that matters; only compared
 * @start: ns of local_clock(); 0: emp_tier_submit() sets it
 * @end: the same, when @done is called
 * @error: 0 or -errno, when @done is called
 * @write: direction
 * @ahead: nobody waits for it
 * @tries: reads of the same data that failed before
 * @late: it took longer than the tier's deadline; when @done is called
 * @copy: of the block, that it reads or writes; see emp_copy.h
 * @failed: mask of copies that could not be read before
 * @piece_order: of @piece
 * @piece_reserve: @piece is one of tier->pieces
 * @nr_plain: @bio's bi_vcnt, while @piece is there
 * @pos: byte of the tier
 * @piece: encrypted, in @bio instead of the folios while a write is under way
 * @plain: @bio's first bio_vec, while @piece is there
 */
struct emp_io {
	struct emp_tier *tier;
	void (*done)(struct emp_io *io);
	void *owner;
	struct task_struct *task;
	u64 start;
	u64 end;
	int error;
	bool write;
	bool ahead;
	bool late;
	u8 tries;
	u8 copy;
	u8 failed;
	u8 piece_order;
	bool piece_reserve;
	u16 nr_plain;
	u64 pos;
	struct page *piece;
	struct bio_vec plain;
	struct work_struct work;
	struct bio bio;			/* last: the block tier's bio_set pads before it */
};

/** emp_tier_slots - those that it has and keeps */
static inline u32 emp_tier_slots(const struct emp_tier *t)
{
	return t->nr_slots - min(READ_ONCE(t->out), t->nr_slots);
}

struct emp_tier *emp_tier_open(struct emp_region *r, const struct emp_tier_spec *s);
int emp_tier_attach(struct emp_region *r, struct emp_tier *t);
void emp_tier_close(struct emp_tier *t, u32 wipe);
int emp_tier_remove(struct emp_region *r, u32 id, u32 timeout_ms, bool force);
struct emp_tier *emp_tier_of_slot(struct emp_region *r, u32 slot);
struct emp_tier *emp_tier_get_slot(struct emp_region *r, u32 slot);
void emp_tier_put(struct emp_tier *t);
u64 emp_tier_pos(const struct emp_tier *t, u32 slot);
bool emp_slots_free(struct emp_region *r, u64 more);
u32 emp_level_end(struct emp_region *r, u32 at);
u32 emp_slot_alloc(struct emp_region *r, u32 min_tier, const struct emp_tier *other);
u32 emp_slot_alloc_second(struct emp_region *r, const struct emp_tier *first, int worst);
bool emp_second_room(struct emp_region *r, const struct emp_tier *first, int worst);
bool emp_tier_apart(const struct emp_tier *t, const struct emp_tier *other);
void emp_slot_free(struct emp_region *r, u32 slot);
void emp_tier_submit(struct emp_io *io);
void emp_io_end(struct emp_io *io, int error);
void emp_io_told(struct emp_io *io);
u64 emp_tier_stat(const struct emp_tier *t, size_t offset);
void emp_tier_lost(struct emp_tier *t);
void emp_tier_trouble(struct emp_tier *t, bool on);
int emp_tier_units(struct emp_tier *t, u64 bytes);
int emp_tier_withdraw(struct emp_tier *t, u32 unit, enum emp_withdraw how);
/* Is no slot of unit @unit in use? It may change at any time. */
static inline bool emp_unit_empty(const struct emp_tier *t, u32 unit)
{
	return !READ_ONCE(t->unit[unit].taken);
}

bool emp_unit_left(struct emp_tier *t, u32 unit);
u32 emp_unit_state(const struct emp_tier *t, u32 slot);
bool emp_tier_faster(struct emp_region *r, const struct emp_tier *t);
int emp_slot_state(const struct emp_tier *t, u32 slot);
u64 emp_tier_leaving(struct emp_tier *t);
bool emp_tier_writable(const struct emp_tier *t);
bool emp_tier_healthy(struct emp_region *r);

int emp_block_open(struct emp_tier *t, const struct emp_tier_spec *s);
int emp_block_init(void);
void emp_block_exit(void);

#endif
