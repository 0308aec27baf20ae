/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside dpu.ko: a rank.
 *
 * A rank is a device of class dpu_rank with a character device. The device's
 * reference count is the rank's: each open file holds one, so a rank that was
 * unplugged lives on until the last file is closed.
 *
 * Locks, outermost first:
 *   rank->gone_lock (rwsem)	held for reading around every operation of the
 *				provider; unregister takes it for writing to set
 *				gone, and then waits for all that are under way
 *   rank->lock (mutex)		who has it open, debug mode, mode
 *   rank->predict.lock (mutex)	commands answered here and not sent yet; where there are
 *				any of that kind, one commit at a time
 *   rank->small.lock (mutex)	small transfers that are kept, or were read ahead
 *   rank->result_lock (spin)	the result words
 */
#ifndef DPU_H
#define DPU_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "dpu_predict.h"
#include "dpu_rank.h"
#include "dpu_small.h"

#define DPU_RANKS_MAX	4096	/* minor numbers */
#define DPU_VPD_MAX	2048	/* bytes */

/* capabilities: safe mode, and nothing that maps the rank into programs */
#define DPU_CAP_SAFE	1

enum dpu_mode {
	DPU_MODE_UNDEFINED	= 0,
	DPU_MODE_PERF		= 1,	/* the program has the rank mapped: not here */
	DPU_MODE_SAFE		= 2,
};

/* Commands that were answered here; see dpu_predict.c. */
struct dpu_predict {
	struct mutex lock;	/* all of it */
	struct dpu_predict_ci ci[DPU_MAX_CIS];
	u64 (*cmds)[DPU_MAX_CIS];	/* batch_max of each; NULL: nothing is predicted */
	u64 (*expect)[DPU_MAX_CIS];
	u64 (*got)[DPU_MAX_CIS];
	u64 (*agree)[DPU_MAX_CIS];	/* bits that have to */
	u32 n;			/* not sent yet */
	int error;		/* until the rank is closed */
	struct delayed_work late;
	u64 predicted;
	u64 batches;
	u64 mispredicted;
};

/* Small transfers; see dpu_small.h. Nothing is kept or read ahead without s.data. */
struct dpu_small_rank {
	struct mutex lock;	/* all of it */
	struct dpu_small s;
	struct dpu_small_io io;
	struct dpu_xfer x;	/* what a request moves */
	struct bio_vec vec[DPU_MAX_DPUS];
	struct delayed_work late;
};

struct dpu_rank {
	struct device dev;
	struct cdev cdev;
	int id;			/* N */
	struct dpu_rank_info info;
	u8 *vpd;
	const struct dpu_rank_ops *ops;
	void *priv;

	struct rw_semaphore gone_lock;
	bool gone;		/* under gone_lock: the provider is no more */

	struct mutex lock;	/* who has it open, and the rest up to slice */
	bool owned;		/* a program has it */
	u8 debug_mode;		/* not 0: others may open it too */
	u32 usage;		/* open files */
	struct {
		u32 enabled_dpus;
		bool all_enabled;
	} slice[DPU_MAX_CIS];	/* as told by DPU_IOC_SLICES, zero before */

	struct dpu_predict predict;
	struct dpu_small_rank small;

	spinlock_t result_lock;	/* the rest */
	bool results_final;	/* results answer the next update */
	u64 commits;		/* counts commits: whose results are those? */
	u64 updates;
	u64 updates_cached;	/* that no provider was asked for */
	u64 results[DPU_MAX_CIS];
};

#define dev_to_dpu_rank(d) container_of(d, struct dpu_rank, dev)

static inline bool dpu_rank_has(const struct dpu_rank *rank, u32 dpu)
{
	return dpu % DPU_MAX_CIS < rank->info.nr_cis &&
	       dpu / DPU_MAX_CIS < rank->info.nr_dpus_per_ci;
}

/* dpu_main.c */
extern struct class *dpu_class;
extern dev_t dpu_devt;
bool dpu_abi_has_slices(void);

/* dpu_rank.c */
int dpu_rank_enter(struct dpu_rank *rank);
void dpu_rank_leave(struct dpu_rank *rank);

/* dpu_ioctl.c */
long dpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* dpu_predict.c */
void dpu_predict_init(struct dpu_rank *rank);
void dpu_predict_open(struct dpu_rank *rank);
void dpu_predict_close(struct dpu_rank *rank);
int dpu_predict_commit(struct dpu_rank *rank, const u64 *cmds, u64 *results);
int dpu_predict_flush(struct dpu_rank *rank);

/* dpu_small_rank.c */
void dpu_small_init(struct dpu_rank *rank);
void dpu_small_open(struct dpu_rank *rank);
void dpu_small_close(struct dpu_rank *rank, bool send);
int dpu_small_xfer(struct dpu_rank *rank, const struct dpu_transfer *m, bool to_user, bool *done);
int dpu_small_settle(struct dpu_rank *rank);
void dpu_small_changed(struct dpu_rank *rank, int err);

/* dpu_xfer.c */
int dpu_xfer(struct dpu_rank *rank, const void __user *arg, bool to_user);

/* dpu_sysfs.c */
extern const struct attribute_group *dpu_rank_groups[];

#endif
