// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that provide ranks; see pim_provider.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pim_provider.h"

/* Until the rank is lost: removed, or this program was too slow for it. */
static void *serve(void *arg)
{
	struct pim_provider *p = arg;
	struct pim_request req;
	int got;

	while ((got = pim_serve_next(p->serve, &req, 0)) >= 0) {
		if (got)
			p->answer(p, &req);
	}
	if (errno == ESHUTDOWN)
		ax_warn("rank %u was taken away (removed, or a request was late)", p->id);
	else
		ax_warn("rank %u: %s", p->id, strerror(errno));
	kill(getpid(), SIGUSR1);
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

static int start_all(struct pim_provider *const providers[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		errno = pthread_create(&providers[i]->thread, NULL, serve, providers[i]);
		if (errno)
			return ax_error("no thread for rank %u: %s", providers[i]->id,
					strerror(errno));
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
		int status)
{
	sigset_t signals;
	size_t lost = 0;
	int sig = 0;

	if (status == AX_OK)
		status = start_all(providers, n);
	if (status == AX_OK) {
		printf("ready\n");
		fflush(stdout);
		signal_set(&signals);
		while (!sigwait(&signals, &sig) && sig == SIGUSR1) {
			if (++lost == n)
				return ax_error("no rank is left");
		}
	}
	if (status != AX_OK || !keep)
		remove_ranks(providers, n, control);
	return status;
}
