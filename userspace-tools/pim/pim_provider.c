// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that provide ranks; see pim_provider.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pim_provider.h"

static size_t nr_lost;	/* ranks; a signal may stand for several */

/* Removed, or this program was too slow for it. */
static void lost(struct pim_provider *p, int error)
{
	if (error == ESHUTDOWN)
		ax_warn("rank %u was taken away (removed, or a request was late)", p->id);
	else
		ax_warn("rank %u: %s", p->id, strerror(error));
	__atomic_add_fetch(&nr_lost, 1, __ATOMIC_RELEASE);
	kill(getpid(), SIGUSR1);
}

/* Until the rank is lost. */
static void *serve(void *arg)
{
	struct pim_provider *p = arg;
	struct pim_request req;
	int got;

	while ((got = pim_serve_next(p->serve, &req, 0)) >= 0) {
		if (got)
			p->answer(p, &req);
	}
	lost(p, errno);
	return NULL;
}

static void signal_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGUSR1);	/* a rank is lost */
}

void pim_provide_begin(void)
{
	sigset_t set;

	signal_set(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int pim_provide_rank(struct pim_provider *p, int control, struct pim_rank_add *add)
{
	struct ax_msg msg;

	p->serve = pim_serve_add(control, add, &msg);
	if (!p->serve)
		return ax_error("%s", msg.text);
	p->id = add->id;
	return AX_OK;
}

struct all {
	struct pim_provider *const *providers;
	size_t n;
};

static int start_threads(struct pim_provider *const providers[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		errno = pthread_create(&providers[i]->thread, NULL, serve, providers[i]);
		if (errno)
			return ax_error("no thread for rank %u: %s", providers[i]->id,
					strerror(errno));
	}
	return AX_OK;
}

/* A thread for all of them, or the one that makes a thread for each. */
static void *serve_all(void *arg)
{
	struct all all = *(struct all *)arg;
	int err = pim_provider_uring(all.providers, all.n, lost);

	free(arg);
	if (err == -EOPNOTSUPP) {
		ax_warn("this kernel has no commands of io_uring for ranks: a thread for each instead");
		err = start_threads(all.providers, all.n) == AX_OK ? 0 : -EAGAIN;
	}
	for (size_t i = 0; i < all.n && err; i++)
		lost(all.providers[i], -err);
	return NULL;
}

static int start_one(struct pim_provider *const providers[], size_t n)
{
	struct all *all = malloc(sizeof(*all));
	pthread_t thread;

	if (!all)
		return ax_error("out of memory");
	*all = (struct all) { .providers = providers, .n = n };
	errno = pthread_create(&thread, NULL, serve_all, all);
	if (errno) {
		free(all);
		return ax_error("no thread: %s", strerror(errno));
	}
	return AX_OK;
}

/* Take them away, those that are still ours: whoever uses them sees it at once. */
static void remove_ranks(struct pim_provider *const providers[], size_t n, int control)
{
	for (size_t i = 0; i < n; i++) {
		struct pim_rank_id id = { .size = sizeof(id), .id = providers[i]->id };

		if (providers[i]->serve && ioctl(control, PIM_IOC_RANK_REMOVE, &id) &&
		    errno != ENOENT)
			ax_warn("rank %u cannot be removed: %s", id.id, strerror(errno));
	}
}

int pim_provide(struct pim_provider *const providers[], size_t n, int control, bool keep,
		bool uring, int status)
{
	sigset_t signals;
	int sig = 0;

	if (status == AX_OK)
		status = uring ? start_one(providers, n) : start_threads(providers, n);
	if (status == AX_OK) {
		printf("ready\n");
		fflush(stdout);
		signal_set(&signals);
		while (!sigwait(&signals, &sig) && sig == SIGUSR1) {
			if (__atomic_load_n(&nr_lost, __ATOMIC_ACQUIRE) >= n)
				return ax_error("no rank is left");
		}
	}
	if (status != AX_OK || !keep)
		remove_ranks(providers, n, control);
	return status;
}
