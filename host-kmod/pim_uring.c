// SPDX-License-Identifier: GPL-2.0-only
/*
 * PIM_IOC_RUN as a command of io_uring, for providers that wait for several ranks,
 * or for other things too, in one place.
 *
 * One command of a session waits at a time. It ends by the next request or the
 * session's end, or is cancelled when its ring, or who made it, goes. Who takes it
 * out of session->uring, under session->lock, ends it; nobody else does.
 *
 * A command is made known for being cancelled before it can wait: from then on it
 * ends by io_uring_cmd_done() only, and may be cancelled before it is there.
 */
#include "pim_compat_uring.h"
#include "pim_rank.h"
#include "pim_session.h"

#ifdef ANNEX_PIM_URING

struct pim_uring_priv {
	bool cancelled;		/* session->lock */
};

static struct pim_uring_priv *pim_uring_priv(struct io_uring_cmd *cmd)
{
	return io_uring_cmd_to_pdu(cmd, struct pim_uring_priv);
}

/* In the task that made it, or one that does this for it. */
static void pim_uring_end(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct pim_session *s = cmd->file->private_data;

	io_uring_cmd_done(cmd, READ_ONCE(s->dead) ? -ESHUTDOWN : 0, 0, issue_flags);
}

struct io_uring_cmd *pim_uring_take(struct pim_session *s)
{
	struct io_uring_cmd *cmd = s->uring;

	lockdep_assert_held(&s->lock);
	s->uring = NULL;
	if (cmd)
		s->reported = s->req_prod;
	return cmd;
}

void pim_uring_wake(struct io_uring_cmd *cmd)
{
	if (cmd)
		io_uring_cmd_complete_in_task(cmd, pim_uring_end);
}

/* The answer if there is one at once; -EIOCBQUEUED there is not. */
static int pim_uring_look(struct pim_session *s, struct io_uring_cmd *cmd, u32 seen, bool nowait)
{
	lockdep_assert_held(&s->lock);
	if (s->dead)
		return -ESHUTDOWN;
	if (pim_uring_priv(cmd)->cancelled)
		return -ECANCELED;
	if (nowait)
		return 0;
	if (s->req_prod != seen) {
		s->reported = s->req_prod;
		return 0;
	}
	return s->uring ? -EBUSY : -EIOCBQUEUED;
}

static int pim_uring_run(struct pim_session *s, struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	const struct pim_uring_run *run = io_uring_sqe_cmd(cmd->sqe);
	u32 seen = READ_ONCE(run->seen), flags = READ_ONCE(run->flags);
	bool nowait = flags & PIM_RUN_NOWAIT;
	int ret;

	if (flags & ~PIM_RUN_NOWAIT || READ_ONCE(run->pad))
		return -EINVAL;
	pim_uring_priv(cmd)->cancelled = false;
	pim_session_take(s);
	spin_lock(&s->lock);
	ret = pim_uring_look(s, cmd, seen, nowait);
	spin_unlock(&s->lock);
	if (ret != -EIOCBQUEUED)
		return ret;
	io_uring_cmd_mark_cancelable(cmd, issue_flags);
	spin_lock(&s->lock);
	ret = pim_uring_look(s, cmd, seen, nowait);
	if (ret == -EIOCBQUEUED)
		s->uring = cmd;
	spin_unlock(&s->lock);
	if (ret != -EIOCBQUEUED)
		io_uring_cmd_done(cmd, ret, 0, issue_flags);
	return -EIOCBQUEUED;
}

static void pim_uring_cancel(struct pim_session *s, struct io_uring_cmd *cmd,
			     unsigned int issue_flags)
{
	bool waits;

	spin_lock(&s->lock);
	waits = s->uring == cmd;
	if (waits)
		s->uring = NULL;
	else
		pim_uring_priv(cmd)->cancelled = true;
	spin_unlock(&s->lock);
	if (waits)
		io_uring_cmd_done(cmd, -ECANCELED, 0, issue_flags);
}

int pim_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct pim_session *s = cmd->file->private_data;

	BUILD_BUG_ON(sizeof(struct pim_uring_run) != 16);
	if (issue_flags & IO_URING_F_CANCEL) {
		pim_uring_cancel(s, cmd, issue_flags);
		return 0;
	}
	return cmd->cmd_op == PIM_URING_RUN ? pim_uring_run(s, cmd, issue_flags) : -ENOTTY;
}

#endif
