/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A provider's hold on a rank: its file, the rings and the requests under way.
 */
#ifndef PIM_SESSION_H
#define PIM_SESSION_H

#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "pim_compat_uring.h"

#include "../include/uapi/annex/pim.h"

#include "pim_state.h"

struct eventfd_ctx;
struct file;
struct io_uring_cmd;
struct pim_rank;

/** enum pim_slot_state - a place for a request; its index is the request's tag */
enum pim_slot_state {
	PIM_SLOT_FREE		= 0,
	PIM_SLOT_INFLIGHT	= 1,	/* the provider has it, somebody waits */
	PIM_SLOT_ABANDONED	= 2,	/* the provider has it, who waited was killed */
	PIM_SLOT_DONE		= 3,	/* answered, to be taken by who waits */
};

struct pim_slot {
	enum pim_slot_state state;
	int result;
	u32 op;
	u64 seq;
	u64 words[PIM_CIS_MAX];
	struct completion done;
};

struct pim_session {
	struct kref kref;
	struct pim_rank *rank;		/* with a reference */
	/*
	 * Changed under pim_lock and lock, while the rank is saving or restoring: so
	 * it stays for who has an operation under way.
	 */
	struct file *mram;
	struct pid *pid;		/* process that made it */
	u32 flags;			/* PIM_RANK_F_* */
	u32 state_bytes;
	unsigned long deadline;		/* of a request, jiffies */
	bool no_save;			/* it failed to: it is not asked again; pim_lock */

	struct pim_ring *ring;		/* shared: the provider may write anything at any time */
	size_t ring_bytes;
	u32 depth;

	spinlock_t lock;		/* all below */
	bool dead;			/* no requests any more */
	u32 req_prod;			/* requests put into the ring */
	u32 cmp_cons;			/* completions taken out */
	u32 outstanding;		/* requests the provider has not answered */
	u32 reported;			/* req_prod that PIM_IOC_RUN has returned */
	u64 seq;
	struct pim_state_xfer xfer;
	struct eventfd_ctx *eventfd;	/* or NULL */
	struct io_uring_cmd *uring;	/* that waits, or NULL */
	struct pim_slot *slots;		/* depth of them */

	wait_queue_head_t provider_wait; /* a request came, or dead */
	wait_queue_head_t slot_wait;	/* a slot became free, or dead */
};

struct pim_session *pim_session_create(struct pim_rank *rank, const struct pim_rank_add *add);
struct file *pim_session_file(struct pim_session *s);
void pim_session_put(struct pim_session *s);
int pim_session_call(struct pim_session *s, const struct pim_request *req, u64 *words);
bool pim_session_busy(struct pim_session *s);
struct file *pim_session_swap_mram(struct pim_session *s, struct file *mram);
void pim_session_kill(struct pim_session *s);

/** pim_session_take - what the provider has completed; if that makes no sense, it ends */
void pim_session_take(struct pim_session *s);

/*
 * pim_uring.c, where the kernel can cancel commands: the command that waits is
 * taken under the session's lock, and then woken up without it.
 */
#ifdef ANNEX_PIM_URING
int pim_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);
struct io_uring_cmd *pim_uring_take(struct pim_session *s);
void pim_uring_wake(struct io_uring_cmd *cmd);
#else
static inline struct io_uring_cmd *pim_uring_take(struct pim_session *s)
{
	return NULL;
}

static inline void pim_uring_wake(struct io_uring_cmd *cmd)
{
}
#endif

#endif
