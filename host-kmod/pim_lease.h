/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Owners, and their holds on ranks.
 */
#ifndef PIM_LEASE_H
#define PIM_LEASE_H

#include <linux/list.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "../include/uapi/annex/pim.h"

#include "pim_mram.h"

struct pim_rank;
struct pim_rank_desc;
struct pim_session;

#define PIM_OWNERS_MAX		65536
#define PIM_PRIORITY_DEFAULT	4

/* Who can have ranks: a user. Known from the first lease on, to the end of the module. */
struct pim_owner {
	struct list_head list;
	u32 uid;
	u32 max_ranks;		/* pim_lock, as all up to leases */
	u32 priority;
	u32 ranks;
	u32 waiting;
	u32 keep_ms;
	u64 leases;
	atomic64_t busy_ns;
	atomic64_t commands;
	atomic64_t bytes_in;
	atomic64_t bytes_out;
};

/*
 * A hold on a rank. Whoever uses it (the file of PIM_IOC_LEASE, a /dev/dpu_rankN
 * that is open) counts as a user; the last one to go ends it. One that ended
 * early (revoked, expired, provider gone) stays, useless, until then.
 */
struct pim_lease {
	u64 number;
	struct pim_rank *rank;		/* with a reference */
	struct pim_session *session;	/* with a reference */
	struct pim_owner *owner;
	u32 users;			/* pim_lock */
	bool shared;			/* other processes of the owner may use it; pim_lock */
	bool ended;			/* rank->op_lock and pim_lock to set it */
	unsigned long expires;		/* jiffies, if expire_ms */
	u32 expire_ms;
	u32 kind;			/* enum pim_owner_kind */
	u64 machine;			/* see struct pim_lease_who; 0 for a process */
	pid_t pid;
	char comm[PIM_NAME_LEN];	/* of the process, or the machine */
	wait_queue_head_t wait;		/* for ended */
};

/**
 * struct pim_lease_who - whom a lease is for, when it is not the calling process
 * @uid: in the initial user namespace; limits and accounting go by it
 * @pid: of the process that runs the machine
 * @machine: a number that no other machine ever had, nor this one before its last
 *	reset; only what has the same finds what it left in a rank
 * @name: of the machine
 */
struct pim_lease_who {
	u32 uid;
	pid_t pid;
	u64 machine;
	char name[PIM_NAME_LEN];
};

/**
 * struct pim_lease_want - a lease to be had
 * @id: of the rank, or PIM_ID_ANY
 * @like: only a rank like this one, or NULL
 * @who: NULL: the calling process
 * @local: by opening a device node, here or in a guest: a lease of the same owner
 *	that is shared will do, and waiting is for a rank that is being cleaned only
 * @nowait: -EAGAIN instead of waiting
 * @timeout: jiffies to wait at most; if local, parameter open_wait_ms counts
 * @expire_ms: ends after that long, 0 never
 */
struct pim_lease_want {
	u32 id;
	const struct pim_rank_desc *like;
	const struct pim_lease_who *who;
	bool local;
	bool nowait;
	unsigned long timeout;
	u32 expire_ms;
};

/**
 * pim_lease_acquire - have a rank, for the calling process or for want->who
 *
 * Errors: -ENOENT no such rank; -EAGAIN nowait; -ETIMEDOUT; -EINTR (killed, if
 * local; else any signal); -EDQUOT; -ENOMEM; -ENOSPC too many owners; for local
 * also -EBUSY others have it or it is offline, -EIO nobody serves it.
 */
struct pim_lease *pim_lease_acquire(const struct pim_lease_want *want);

/** pim_lease_forget - a machine comes to its end: nothing is kept for it any more */
void pim_lease_forget(u64 machine);

/** pim_lease_release - one user less */
void pim_lease_release(struct pim_lease *lease);

/** pim_lease_unshare - other processes may not join any more */
void pim_lease_unshare(struct pim_lease *lease);

/*
 * What can be done with it: 0, -EIO it has ended or its provider failed, -EINTR
 * when the caller is being killed, -ENOMEM, -EFAULT. Positions are checked by
 * the callers. pim_lease_write() and pim_lease_read() move @bytes for one DPU;
 * for providers that are told of transfers, all of one transfer is between
 * pim_lease_store() behind or pim_lease_load() before.
 */
int pim_lease_commit(struct pim_lease *lease, const u64 *cmds, u64 *results);
int pim_lease_update(struct pim_lease *lease, u64 *results);
int pim_lease_write(struct pim_lease *lease, u32 dpu, u64 offset, size_t bytes,
		    pim_copy_fn copy, void *ctx);
int pim_lease_read(struct pim_lease *lease, u32 dpu, u64 offset, size_t bytes,
		   pim_copy_fn copy, void *ctx);
int pim_lease_store(struct pim_lease *lease, u64 mask, u64 offset, u64 bytes);
int pim_lease_load(struct pim_lease *lease, u64 mask, u64 offset, u64 bytes);

/* For the rest of pim.ko, under pim_lock: */
void pim_lease_end_locked(struct pim_lease *lease, enum pim_state to, u32 event);
void pim_lease_unkeep_locked(const struct pim_owner *owner, u64 machine);
struct pim_owner *pim_owner_get_locked(u32 uid);
int pim_owner_state(struct pim_owner_state *st);
void pim_owner_exit(void);

#endif
