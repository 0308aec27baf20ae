// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "donor_work.h"

static void queue_init(struct donor_work_queue *q)
{
	q->first = NULL;
	q->end = &q->first;
}

static void queue_put(struct donor_work_queue *q, struct donor_work *work)
{
	work->next = NULL;
	*q->end = work;
	q->end = &work->next;
}

static struct donor_work *queue_get(struct donor_work_queue *q)
{
	struct donor_work *work = q->first;

	if (!work)
		return NULL;
	q->first = work->next;
	if (!q->first)
		q->end = &q->first;
	return work;
}

static void *worker(void *arg)
{
	struct donor_worker *w = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		struct donor_work *work = queue_get(&w->todo[DONOR_WORK_URGENT]);

		if (!work)
			work = queue_get(&w->todo[DONOR_WORK_LATER]);
		if (!work && w->last)
			break;
		if (!work) {
			pthread_cond_wait(&w->wake, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		w->run(w->ctx, work);
		pthread_mutex_lock(&w->lock);
		queue_put(&w->done, work);
		if (write(w->event, &one, sizeof(one)) < 0)
			break;	/* cannot be: the counter has 64 bits */
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int donor_worker_init(struct donor_worker *w, void (*run)(void *ctx, struct donor_work *work),
		      void *ctx, struct ax_msg *msg)
{
	int ret;

	memset(w, 0, sizeof(*w));
	w->run = run;
	w->ctx = ctx;
	queue_init(&w->todo[0]);
	queue_init(&w->todo[1]);
	queue_init(&w->done);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->event < 0)
		return ax_fail(msg, "eventfd: %s", strerror(errno));
	ret = pthread_create(&w->thread, NULL, worker, w);
	if (ret)
		return ax_fail(msg, "cannot start a thread: %s", strerror(ret));
	return 0;
}

void donor_worker_submit(struct donor_worker *w, const struct donor_work *work, unsigned int queue)
{
	struct donor_work *copy = malloc(sizeof(*copy));

	if (!copy) {
		ax_error("out of memory");
		exit(AX_FAIL);
	}
	*copy = *work;
	pthread_mutex_lock(&w->lock);
	queue_put(&w->todo[queue], copy);
	w->busy++;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

struct donor_work *donor_worker_collect(struct donor_worker *w)
{
	struct donor_work *work;
	uint64_t n;

	pthread_mutex_lock(&w->lock);
	work = queue_get(&w->done);
	if (work)
		w->busy--;
	else if (read(w->event, &n, sizeof(n)) < 0 && errno != EAGAIN)
		ax_warn("eventfd: %s", strerror(errno));
	pthread_mutex_unlock(&w->lock);
	return work;
}

uint32_t donor_worker_busy(struct donor_worker *w)
{
	uint32_t busy;

	pthread_mutex_lock(&w->lock);
	busy = w->busy;
	pthread_mutex_unlock(&w->lock);
	return busy;
}

static void drop(struct donor_work_queue *q)
{
	struct donor_work *work;

	while ((work = queue_get(q)))
		free(work);
}

bool donor_worker_exit(struct donor_worker *w, bool all, unsigned int seconds)
{
	struct timespec end;

	pthread_mutex_lock(&w->lock);
	w->stop = !all;
	w->last = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += seconds;
	if (seconds ? pthread_timedjoin_np(w->thread, NULL, &end) : pthread_join(w->thread, NULL))
		return false;
	drop(&w->todo[0]);
	drop(&w->todo[1]);
	drop(&w->done);
	close(w->event);
	return true;
}
