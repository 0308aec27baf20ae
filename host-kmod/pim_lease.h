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

struct mem_cgroup;
struct pim_rank;
struct pim_rank_desc;
struct pim_saved;
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
	u32 idle_ms;
	u32 max_parked;
	u32 parked;		/* leases that have no rank */
	u32 saving;		/* that will have none soon, perhaps */
	u64 max_parked_bytes;
	u64 parked_bytes;
	u64 leases;
	atomic64_t busy_ns;
	atomic64_t commands;
	atomic64_t bytes_in;
	atomic64_t bytes_out;
};

/**
 * enum pim_lease_state - where what the owner has in the rank is; see pim_park.c
 * @PIM_LEASE_ACTIVE: there; operations may begin
 * @PIM_LEASE_SAVING: on its way out: operations wait
 * @PIM_LEASE_PARKED: in lease->saved; it has no rank, and operations make it want one
 * @PIM_LEASE_RESTORING: on its way into a rank: operations wait
 */
enum pim_lease_state {
	PIM_LEASE_ACTIVE,
	PIM_LEASE_SAVING,
	PIM_LEASE_PARKED,
	PIM_LEASE_RESTORING,
};

/*
 * A hold on a rank. Whoever uses it (the file of PIM_IOC_LEASE, a /dev/dpu_rankN
 * that is open) counts as a user; the last one to go ends it. One that ended
 * early (revoked, expired, provider gone) stays, useless, until then.
 */
struct pim_lease {
	u64 number;
	/*
	 * With a reference each; NULL while it is parked. Changed under pim_lock,
	 * while no operation is under way.
	 */
	struct pim_rank *rank;
	struct pim_session *session;
	u32 nr_cis;			/* these three are those of all ranks it can be on */
	u32 nr_dpus_per_ci;
	u64 mram_size;
	struct pim_owner *owner;
	struct mem_cgroup *memcg;	/* with a reference: what is saved is charged to it */
	u32 users;			/* pim_lock */
	bool shared;			/* other processes of the owner may use it; pim_lock */
	spinlock_t lock;		/* ended, state, used and the rank's inflight */
	bool ended;			/* pim_lock too, to set it */
	enum pim_lease_state state;	/* pim_lock too, to change it */
	bool told;			/* its provider is told of transfers; never changes */
	bool can_park;			/* it may be without a rank, or on another */
	u32 home;			/* rank whose node it was opened by, or PIM_ID_ANY */
	unsigned long used;		/* jiffies at the end of the last operation */
	unsigned long since;		/* jiffies when it got the rank; pim_lock */
	u32 returning;			/* operations that wait for a rank; pim_lock */
	struct pim_saved *saved;	/* pim_lock; of the saving or restoring work meanwhile */
	unsigned long expires;		/* jiffies, if expire_ms */
	u32 expire_ms;
	u32 kind;			/* enum pim_owner_kind */
	u64 machine;			/* see struct pim_lease_who; 0 for a process */
	pid_t pid;
	char comm[PIM_NAME_LEN];	/* of the process, or the machine */
	wait_queue_head_t wait;		/* for ended, state */
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
 * @floats: any rank that is @like will do; @id is where the device node belongs to
 * @local: by opening a device node, here or in a guest: a lease of the same owner
 *	that is shared will do, and waiting is for a rank that is being cleaned, or can
 *	be parked, only. Such a lease may be parked itself
 * @nowait: -EAGAIN instead of waiting
 * @timeout: jiffies to wait at most; if local, parameter open_wait_ms counts
 * @expire_ms: ends after that long, 0 never
 */
struct pim_lease_want {
	u32 id;
	const struct pim_rank_desc *like;
	const struct pim_lease_who *who;
	bool floats;
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
 * when the caller is being killed, -EBUSY it was parked and found no rank in time
 * (another time it may), -ENOMEM, -EFAULT. Positions are checked by
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

/** pim_lease_rank - number of the rank that it has now, PIM_ID_ANY if it has none */
u32 pim_lease_rank(const struct pim_lease *lease);

/* For the rest of pim.ko; those that are _locked under pim_lock: */
void pim_lease_ref_locked(struct pim_lease *lease);
struct pim_lease *pim_lease_find_locked(u64 number);
void pim_lease_home_gone_locked(u32 home);
void pim_lease_end_locked(struct pim_lease *lease, enum pim_state to, u32 event);
void pim_lease_unkeep_locked(const struct pim_owner *owner, u64 machine);
struct pim_owner *pim_owner_get_locked(u32 uid);
int pim_owner_state(struct pim_owner_state *st);
void pim_owner_exit(void);

#endif
