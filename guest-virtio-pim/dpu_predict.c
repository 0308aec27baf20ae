// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands whose answers are known before they are asked.
 *
 * Programs are loaded by thousands of commands, each of which writes one word
 * and is answered by nothing but the mask of the DPUs that took it. Where a
 * request is expensive (the provider says so by batch_max), such commands are
 * answered here at once and given to the provider many at a time: before
 * anything else is asked of the rank, when there are batch_max of them, or
 * DPU_PREDICT_MS after the first.
 *
 * What is predicted (dpu_predict.h) is learnt from the provider's own answers. An
 * answer has a colour, which changes from each command of an interface to the next; the mask
 * of a write is that of the last write, unless a frame of another kind was in
 * between. Whatever is not known is asked. When an answer turns out to be another
 * one, the program has been told something wrong: every call fails from then on,
 * with EIO, until the rank is closed.
 *
 * p->lock is inside of rank->gone_lock; commits are one at a time under it.
 */
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "dpu.h"

#define DPU_PREDICT_MS	2

static bool predict = true;
module_param(predict, bool, 0644);
MODULE_PARM_DESC(predict, "answer writes of IRAM and WRAM at once and send many at a time, of ranks opened later (default Y)");

/* --- batches ------------------------------------------------------------------------- */

static int dpu_predict_send(struct dpu_rank *rank)
{
	struct dpu_predict *p = &rank->predict;
	u32 n = p->n, i, ci;

	lockdep_assert_held(&p->lock);
	if (p->error || !n)
		return p->error;
	p->n = 0;
	p->batches++;
	p->error = rank->ops->batch(rank, p->cmds[0], p->got[0], n);
	if (p->error == -EINTR)
		p->error = -EIO;	/* who was killed knows; others see what it means to them */
	for (i = 0; i < n && !p->error; i++) {
		for (ci = 0; ci < rank->info.nr_cis; ci++) {
			if (!p->cmds[i][ci] ||
			    !((p->got[i][ci] ^ p->expect[i][ci]) & p->agree[i][ci]))
				continue;
			p->mispredicted++;
			p->error = -EIO;
		}
	}
	return p->error;
}

static void dpu_predict_late(struct work_struct *work)
{
	struct dpu_rank *rank = container_of(to_delayed_work(work), struct dpu_rank, predict.late);

	/* Whoever waits to take the rank away waits for who waits for us. */
	if (!down_read_trylock(&rank->gone_lock))
		return;
	if (!rank->gone) {
		mutex_lock(&rank->predict.lock);
		dpu_predict_send(rank);
		mutex_unlock(&rank->predict.lock);
	}
	up_read(&rank->gone_lock);
}

/** dpu_predict_flush - what was answered here goes to the provider; it is entered */
int dpu_predict_flush(struct dpu_rank *rank)
{
	struct dpu_predict *p = &rank->predict;
	int err;

	if (!p->cmds)
		return 0;
	if (mutex_lock_killable(&p->lock))
		return -EINTR;
	err = dpu_predict_send(rank);
	mutex_unlock(&p->lock);
	return err;
}

/* All of @cmds, or none. */
static bool dpu_predict_all(struct dpu_rank *rank, const u64 *cmds, u64 *results)
{
	struct dpu_predict *p = &rank->predict;
	bool any = false;
	u32 ci;

	for (ci = 0; ci < rank->info.nr_cis; ci++) {
		results[ci] = p->ci[ci].last;
		if (!cmds[ci])
			continue;
		any = true;
		if (!dpu_predict_one(&p->ci[ci], cmds[ci], &results[ci]))
			return false;
	}
	return any;
}

/* The provider is asked: what it answers, and what MRAM holds then, is its affair. */
static int dpu_predict_ask(struct dpu_rank *rank, const u64 *cmds, u64 *results)
{
	int err = dpu_small_settle(rank) ?: rank->ops->commit(rank, cmds, results);

	dpu_small_changed(rank, err);
	return err;
}

static int dpu_predict_commit_locked(struct dpu_rank *rank, const u64 *cmds, u64 *results)
{
	struct dpu_predict *p = &rank->predict;
	u32 ci, n = p->n;
	int err;

	if (!p->error && dpu_predict_all(rank, cmds, results)) {
		memcpy(p->cmds[n], cmds, sizeof(p->cmds[n]));
		memcpy(p->expect[n], results, sizeof(p->expect[n]));
		for (ci = 0; ci < rank->info.nr_cis; ci++) {
			if (!cmds[ci])
				continue;
			p->agree[n][ci] = dpu_answer_mask(dpu_command_of(&p->ci[ci], cmds[ci]));
			dpu_predict_note(&p->ci[ci], cmds[ci], results[ci]);
		}
		p->n++;
		p->predicted++;
		if (!n)
			schedule_delayed_work(&p->late, msecs_to_jiffies(DPU_PREDICT_MS));
		return p->n < rank->info.batch_max ? 0 : dpu_predict_send(rank);
	}
	err = dpu_predict_send(rank) ?: dpu_predict_ask(rank, cmds, results);
	for (ci = 0; ci < rank->info.nr_cis; ci++) {
		if (cmds[ci])
			dpu_predict_note(&p->ci[ci], cmds[ci], err ? 0 : results[ci]);
		else if (!err)
			p->ci[ci].last = results[ci];
	}
	return err;
}

/** dpu_predict_commit - a commit, by the provider or not; it is entered */
int dpu_predict_commit(struct dpu_rank *rank, const u64 *cmds, u64 *results)
{
	struct dpu_predict *p = &rank->predict;
	int err;

	if (!p->cmds)
		return dpu_predict_ask(rank, cmds, results);
	if (mutex_lock_killable(&p->lock))
		return -EINTR;
	err = dpu_predict_commit_locked(rank, cmds, results);
	mutex_unlock(&p->lock);
	return err;
}

/* --- life ------------------------------------------------------------------------------- */

void dpu_predict_init(struct dpu_rank *rank)
{
	mutex_init(&rank->predict.lock);
	INIT_DELAYED_WORK(&rank->predict.late, dpu_predict_late);
}

/** dpu_predict_open - nobody has the rank open; without memory nothing is predicted */
void dpu_predict_open(struct dpu_rank *rank)
{
	struct dpu_predict *p = &rank->predict;
	u32 n = rank->info.batch_max;

	memset(p->ci, 0, sizeof(p->ci));
	p->n = 0;
	p->error = 0;
	if (n < 2 || !rank->ops->batch || !READ_ONCE(predict))
		return;
	p->cmds = kcalloc(4 * n, sizeof(*p->cmds), GFP_KERNEL);
	if (!p->cmds)
		return;
	p->expect = p->cmds + n;
	p->got = p->expect + n;
	p->agree = p->got + n;
}

/** dpu_predict_close - the last one closed it; what was not sent concerns nobody any more */
void dpu_predict_close(struct dpu_rank *rank)
{
	struct dpu_predict *p = &rank->predict;

	cancel_delayed_work_sync(&p->late);
	kfree(p->cmds);
	p->cmds = NULL;
}
