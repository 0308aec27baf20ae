// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The threads of a pool. One lock protects the line of waiting runners and
 * their states; a slice is long enough for it not to matter.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "pim_pool.h"

#define SLICE	65536	/* instructions: some 200 us */

struct pim_pool {
	pthread_mutex_t lock;
	pthread_cond_t work;	/* the line is not empty, or the end is near */
	pthread_cond_t changed;	/* a runner is not busy any more */
	struct pim_runner *first, **last;
	bool ending;
	unsigned int nr_threads;
	pthread_t threads[];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool has_work(const struct pim_dpu *dpu)
{
	return pim_dpu_running(dpu) && pim_dpu_fault(dpu) == PIM_FAULT_NONE;
}

/* With the lock held, as all of these. */
static void enqueue(struct pim_pool *pool, struct pim_runner *r)
{
	r->queued = true;
	r->next = NULL;
	*pool->last = r;
	pool->last = &r->next;
	pthread_cond_signal(&pool->work);
}

/* The first in line that nobody holds or wants to. */
static struct pim_runner *dequeue(struct pim_pool *pool)
{
	for (struct pim_runner **p = &pool->first; *p; p = &(*p)->next) {
		struct pim_runner *r = *p;

		if (r->busy || r->holders)
			continue;
		*p = r->next;
		if (pool->last == &r->next)
			pool->last = p;
		r->queued = false;
		return r;
	}
	return NULL;
}

static void *run_thread(void *data)
{
	struct pim_pool *pool = data;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct pim_runner *r = dequeue(pool);
		uint64_t start;

		if (!r) {
			if (pool->ending)
				break;
			pthread_cond_wait(&pool->work, &pool->lock);
			continue;
		}
		r->busy = true;
		pthread_mutex_unlock(&pool->lock);
		start = now_ns();
		pim_dpu_run(r->dpu, SLICE);
		start = now_ns() - start;
		pthread_mutex_lock(&pool->lock);
		r->busy = false;
		r->run_ns += start;
		if (has_work(r->dpu) && !r->queued)
			enqueue(pool, r);
		pthread_cond_broadcast(&pool->changed);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

struct pim_pool *pim_pool_create(unsigned int threads)
{
	pthread_condattr_t monotonic;
	struct pim_pool *pool;
	long online;
	int error = 0;

	if (!threads) {
		online = sysconf(_SC_NPROCESSORS_ONLN);
		threads = online > 0 ? (unsigned int)online : 1;
	}
	pool = calloc(1, sizeof(*pool) + threads * sizeof(pool->threads[0]));
	if (!pool)
		return NULL;
	pool->last = &pool->first;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	while (pool->nr_threads < threads && !error) {
		error = pthread_create(&pool->threads[pool->nr_threads], NULL, run_thread, pool);
		pool->nr_threads += !error;
	}
	if (error) {
		pim_pool_destroy(pool);
		errno = error;
		return NULL;
	}
	return pool;
}

void pim_pool_destroy(struct pim_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int n = 0; n < pool->nr_threads; n++)
		pthread_join(pool->threads[n], NULL);
	pthread_cond_destroy(&pool->changed);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

unsigned int pim_pool_threads(const struct pim_pool *pool)
{
	return pool->nr_threads;
}

void pim_runner_init(struct pim_runner *runner, struct pim_pool *pool, struct pim_dpu *dpu)
{
	*runner = (struct pim_runner) { .pool = pool, .dpu = dpu };
}

void pim_runner_hold(struct pim_runner *runner)
{
	struct pim_pool *pool = runner->pool;

	pthread_mutex_lock(&pool->lock);
	/* while this is not 0, no thread starts another slice of it */
	runner->holders++;
	while (runner->busy)
		pthread_cond_wait(&pool->changed, &pool->lock);
	runner->busy = true;
	pthread_mutex_unlock(&pool->lock);
}

void pim_runner_release(struct pim_runner *runner)
{
	struct pim_pool *pool = runner->pool;
	bool waited;

	pthread_mutex_lock(&pool->lock);
	runner->busy = false;
	waited = --runner->holders;
	/* also when nothing is left to run: only a thread takes it out of the line */
	if (runner->queued)
		pthread_cond_signal(&pool->work);
	else if (has_work(runner->dpu))
		enqueue(pool, runner);
	if (waited)
		pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
}

void pim_runner_fini(struct pim_runner *runner)
{
	struct pim_pool *pool = runner->pool;

	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	runner->holders++;
	while (runner->busy)
		pthread_cond_wait(&pool->changed, &pool->lock);
	for (struct pim_runner **p = &pool->first; *p; p = &(*p)->next) {
		if (*p != runner)
			continue;
		*p = runner->next;
		if (pool->last == &runner->next)
			pool->last = p;
		break;
	}
	pthread_mutex_unlock(&pool->lock);
	runner->pool = NULL;
}

static bool any_works(const struct pim_runner *runners, unsigned int count)
{
	for (unsigned int n = 0; n < count; n++) {
		if (runners[n].busy || runners[n].queued)
			return true;
	}
	return false;
}

bool pim_runners_wait(struct pim_runner *runners, unsigned int count, uint64_t ns)
{
	struct pim_pool *pool = runners[0].pool;
	uint64_t end = now_ns() + ns;
	struct timespec until = {
		.tv_sec = (time_t)(end / 1000000000u), .tv_nsec = (long)(end % 1000000000u)
	};
	bool working, in_time = true;

	pthread_mutex_lock(&pool->lock);
	while ((working = any_works(runners, count)) && in_time) {
		if (ns)
			in_time = pthread_cond_timedwait(&pool->changed, &pool->lock, &until) !=
				  ETIMEDOUT;
		else
			pthread_cond_wait(&pool->changed, &pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return !working;
}
