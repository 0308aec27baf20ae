/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A rank, and what the parts of pim.ko know of it.
 *
 * A *rank* (struct pim_rank) is a device of class pim; it is made by its first
 * provider and stays until it is removed. A *session* (struct pim_session) is a
 * provider's hold on a rank, one at a time: the rings, the requests under way
 * and the MRAM, all of which go with it. A *lease* (struct pim_lease) is an
 * owner's hold, one at a time. It belongs to one session: when that ends, so
 * does the lease, because what the owner had in the rank is lost.
 *
 *              lease              it ends             nothing under way
 *      FREE ---------> LEASED ---------> DRAINING ----------------> SCRUBBING
 *       ^ |                                                          |  ^  ^
 *       | +-------------- kept for an owner, but no longer ----------|--+  |
 *       +--------------- clean, or MRAM kept for its owner ----------+     |
 *                                                                          |
 *      each of them --- session ends ---> FAULTY --- new session ----------+
 *
 * While others wait, a lease that is idle can be *parked*: LEASED, SAVING, then
 * SCRUBBING as if it had ended; the lease has no rank then. When it is used it
 * waits for one again: FREE, RESTORING, LEASED. See pim_park.c.
 *
 * States change in pim_rank_set_state() only, under pim_lock.
 *
 * Locks, outermost first:
 *   pim_ranks_lock (mutex)	ranks come and go, clients come and go
 *   dpu.ko's locks		(pim_local.ko is called under pim_ranks_lock, and
 *				calls from below dpu.ko's)
 *   pim_lock (mutex)		state, session and lease of all ranks, owners, those
 *				who wait; held shortly, nothing waits under it
 *   lease->lock (spin)		begin and end of operations: ended, state, inflight
 *   session->lock (spin)	rings and slots
 */
#ifndef PIM_RANK_H
#define PIM_RANK_H

#include <linux/device.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../include/uapi/annex/pim.h"

struct notifier_block;
struct pim_lease;
struct pim_owner;
struct pim_session;

/*
 * For whom the rank's MRAM is kept, from the end of a lease on; pim_lock. While
 * the rank is FREE and there is no such owner, the rank is clean.
 */
struct pim_keep {
	const struct pim_owner *owner;	/* NULL: nobody */
	u64 machine;			/* as in struct pim_lease_who; 0: processes of the owner */
	u32 ms;
	unsigned long until;		/* jiffies, while FREE */
};

struct pim_rank {
	struct device dev;
	struct list_head list;		/* pim_ranks; pim_ranks_lock and pim_lock to change it */
	u32 id;
	u32 nr_cis;			/* these three never change */
	u32 nr_dpus_per_ci;
	u64 mram_size;
	struct pim_rank_add info;	/* as its last provider described it; pim_lock */
	u8 *vpd;			/* or NULL; pim_lock */
	bool removed;			/* pim_lock */
	bool offline;			/* no new leases; pim_lock */
	u32 local;			/* N of its /dev/dpu_rankN or PIM_ID_ANY */
	void *client_priv;		/* pim_local.ko's */

	enum pim_state state;		/* pim_lock */
	struct pim_session *session;	/* with a reference; pim_lock */
	struct pim_lease *lease;	/* pim_lock */
	struct pim_keep kept;
	struct delayed_work keep_work;
	struct work_struct scrub_work;
	struct work_struct park_work;	/* saving, restoring */
	struct pim_lease *parking;	/* of park_work, a user of it; pim_lock */
	bool promised;			/* in pim_grant.c only */
	struct delayed_work expire_work;

	/*
	 * Those of one lease at a time: under its lock, until inflight is 0. Saving
	 * and restoring count as one too.
	 */
	u32 inflight;			/* operations under way */
	u64 busy_since;			/* ns, if there are any */
	wait_queue_head_t idle;		/* inflight became 0 */

	atomic64_t busy_ns;
	atomic64_t commands;
	atomic64_t bytes_in;
	atomic64_t bytes_out;
	atomic64_t leases;
	atomic64_t returns;	/* leases of who found what it had left */
	atomic64_t scrubs;
	atomic64_t saves;
	atomic64_t saves_busy;	/* that a running DPU prevented */
	atomic64_t save_ns;
	atomic64_t restores;
	atomic64_t restore_ns;
	atomic64_t restore_errors;
	atomic64_t provider_errors;	/* requests it answered with an error */
	atomic64_t provider_timeouts;
	atomic64_t provider_broken;	/* rings not as they must be */
	atomic64_t provider_deaths;	/* file closed */
};

#define dev_to_pim_rank(d) container_of(d, struct pim_rank, dev)

static inline u32 pim_rank_dpus(const struct pim_rank *rank)
{
	return rank->nr_dpus_per_ci * PIM_CIS_MAX;
}

/**
 * struct pim_rank_desc - what a rank is, as its provider said
 * @info: its vpd is 0
 * @vpd: info.vpd_bytes of it
 */
struct pim_rank_desc {
	struct pim_rank_add info;
	u8 vpd[PIM_VPD_MAX];
};

/**
 * struct pim_client - a module that makes ranks usable: pim_local.ko
 * @added: a rank came; under pim_ranks_lock. Its info does not change in geometry
 * @removed: it goes, under pim_ranks_lock; its lease has ended, and so have those that
 *	are parked and have it as their home. No operation of the client's on it may be
 *	under way when this returns
 */
struct pim_client {
	void (*added)(struct pim_rank *rank);
	void (*removed)(struct pim_rank *rank);
};

int pim_client_register(const struct pim_client *client);
void pim_client_unregister(const struct pim_client *client);

extern struct mutex pim_lock;
extern struct mutex pim_ranks_lock;
extern struct list_head pim_ranks;
extern struct workqueue_struct *pim_wq;

/* pim_rank.c */
struct pim_rank *pim_rank_find(u32 id);
int pim_rank_add(struct pim_rank_add *add, u8 *vpd, u32 __user *id_out);
int pim_rank_remove(u32 id);
void pim_rank_session_end(struct pim_session *s, u32 event);
void pim_rank_set_state(struct pim_rank *rank, enum pim_state to);
void pim_rank_clean_locked(struct pim_rank *rank);
int pim_rank_get_state(struct pim_rank_state *st);
int pim_rank_describe(struct pim_rank_desc *desc);
void pim_rank_desc_locked(const struct pim_rank *rank, struct pim_rank_desc *desc);
void pim_rank_desc(const struct pim_rank *rank, struct pim_rank_desc *desc);
bool pim_rank_is_like(const struct pim_rank *rank, const struct pim_rank_desc *desc);
int pim_rank_notify(struct notifier_block *nb);
void pim_rank_unnotify(struct notifier_block *nb);
int pim_rank_init(void);
void pim_rank_exit(void);

/* pim_sysfs.c */
extern const struct attribute_group *pim_rank_groups[];

/* module parameters: pim_main.c */
extern uint pim_deadline_ms, pim_open_wait_ms, pim_keep_ms, pim_idle_ms, pim_slice_ms,
	    pim_return_wait_ms;

#endif
