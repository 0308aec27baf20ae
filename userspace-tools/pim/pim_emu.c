// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pim-emu: a provider of ranks in software. Each rank has a thread that takes
 * its requests from pim.ko; DPUs that run are run by threads that all ranks
 * share. MRAM is the memory that pim.ko gives: transfers do not come here.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../lib/ax_opt.h"
#include "../lib/ax_size.h"
#include "pim_pool.h"
#include "pim_rank.h"
#include "pim_serve.h"

static const struct ax_opt opts[] = {
	{ "ranks", 'n', "N", "serve that many ranks (default 1)", "" },
	{ "first", 'f', "ID", "number of the first of them (default 0); one whose provider is gone is taken over",
	  "" },
	{ "mram", 'm', "SIZE", "MRAM of each DPU, whole pages up to 64M (default 64M)", "" },
	{ "threads", 't', "N", "threads that run DPUs (default: one a processor)", "" },
	{ "chip-id", 'c', "N", "chip id of the DPUs (default 0)", "" },
	{ "deadline", 'd', "SECONDS", "the kernel's patience with a request (default: the module's)",
	  "" },
	{ "keep", 'k', NULL, "leave the ranks for another provider on SIGTERM (default: remove them)",
	  NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_program program = {
	.name = "pim-emu",
	.summary = "processing-in-memory ranks in software",
	.usage = "[OPTION]...",
	.notes = "Prints \"ready\" when all ranks are there. Needs root, and the module pim.",
	.opts = opts,
};

struct emu {
	uint32_t id;
	size_t state_bytes;	/* at most */
	struct pim_serve *serve;
	struct pim_rank *rank;
	pthread_t thread;
};

static int control = -1;

/*
 * All but MRAM goes to the kernel, and what was MRAM is not ours any more. What is
 * in between is somebody's secret: it does not stay in this process's memory.
 */
static int save(struct emu *e)
{
	size_t room = e->state_bytes, size;
	void *bytes = malloc(room);
	int error;

	if (!bytes)
		return -ENOMEM;
	error = pim_rank_save_state(e->rank, bytes, room, &size);
	if (!error)
		error = pim_serve_put_state(e->serve, bytes, (uint32_t)size);
	if (!error)
		error = pim_serve_unmap_mram(e->serve);
	explicit_bzero(bytes, room);
	free(bytes);
	return error;
}

static int restore(struct emu *e)
{
	size_t room = e->state_bytes;
	void *bytes = malloc(room);
	int64_t size;
	int error = pim_serve_map_mram(e->serve);

	if (!error && !bytes)
		error = -ENOMEM;
	if (!error) {
		size = pim_serve_get_state(e->serve, bytes, (uint32_t)room);
		error = size < 0 ? (int)size :
			pim_rank_restore_state(e->rank, bytes, (size_t)size);
	}
	if (bytes)
		explicit_bzero(bytes, room);
	free(bytes);
	return error;
}

/* One request. What comes from the kernel is what clients sent: the rank bears all of it. */
static void answer(struct emu *e, const struct pim_request *req)
{
	uint64_t words[PIM_CIS_MAX] = { 0 };
	int result = 0;

	switch (req->op) {
	case PIM_OP_RESET:
		pim_rank_reset(e->rank);	/* MRAM is the kernel's affair */
		if (!pim_serve_mram_mapped(e->serve))
			result = pim_serve_map_mram(e->serve);
		break;
	case PIM_OP_SAVE:
		result = save(e);
		break;
	case PIM_OP_RESTORE:
		result = restore(e);
		break;
	case PIM_OP_COMMIT:
		pim_rank_commit(e->rank, (const uint64_t *)req->words);
		pim_rank_update(e->rank, words);
		break;
	case PIM_OP_UPDATE:
		pim_rank_update(e->rank, words);
		break;
	default:
		result = -EOPNOTSUPP;
	}
	pim_serve_complete(e->serve, req, result, words);
}

/* Until the rank is lost: removed, or this program was too slow for it. */
static void *serve(void *arg)
{
	struct emu *e = arg;
	struct pim_request req;
	int got;

	while ((got = pim_serve_next(e->serve, &req, 0)) >= 0) {
		if (got)
			answer(e, &req);
	}
	if (errno == ESHUTDOWN)
		ax_warn("rank %u was taken away (removed, or a request was late)", e->id);
	else
		ax_warn("rank %u: %s", e->id, strerror(errno));
	kill(getpid(), SIGUSR1);
	return NULL;
}

static bool number(const struct ax_args *args, const char *option, uint64_t min, uint64_t max,
		   uint64_t fallback, uint64_t *value)
{
	const char *text = ax_value(args, option);

	*value = fallback;
	if (!text)
		return true;
	if (!ax_parse_u64(text, strlen(text), value) && *value >= min && *value <= max)
		return true;
	ax_usage("--%s: '%s' is not a number from %llu to %llu", option, text,
		 (unsigned long long)min, (unsigned long long)max);
	return false;
}

struct settings {
	uint64_t ranks, first, mram, threads, chip_id, deadline;
};

static int parse(const struct ax_args *args, struct settings *s)
{
	const char *mram = ax_value(args, "mram");

	if (!number(args, "ranks", 1, PIM_RANKS_MAX, 1, &s->ranks) ||
	    !number(args, "first", 0, PIM_RANKS_MAX - 1, 0, &s->first) ||
	    !number(args, "threads", 1, 1024, 0, &s->threads) ||
	    !number(args, "chip-id", 0, 255, 0, &s->chip_id) ||
	    !number(args, "deadline", 1, 600, 0, &s->deadline))
		return AX_USAGE;
	s->mram = 64 << 20;
	if (mram && (ax_parse_size(mram, strlen(mram), &s->mram) || !s->mram || s->mram % 4096 ||
		     s->mram > 64 << 20))
		return ax_usage("--mram: '%s' is not a number of whole pages up to 64M", mram);
	if (s->first + s->ranks > PIM_RANKS_MAX)
		return ax_usage("ranks have numbers below %u", PIM_RANKS_MAX);
	if (args->argc)
		return ax_usage("'%s' is one word too many", args->argv[0]);
	return AX_OK;
}

static int start(struct emu *e, const struct settings *s, struct pim_pool *pool, uint32_t id)
{
	struct pim_rank_config config = { .chip_id = s->chip_id, .pool = pool };
	struct pim_rank_add add;
	struct ax_msg msg;

	pim_serve_defaults(&add, id, PIM_RANK_NR_CIS, PIM_CI_NR_DPUS, s->mram);
	add.chip_id = s->chip_id;
	add.deadline_ms = s->deadline * 1000;
	strcpy(add.provider, "pim-emu");
	e->id = id;
	config.dpu.mram_size = s->mram;
	e->state_bytes = pim_rank_state_size(&config.dpu);
	add.flags = PIM_RANK_F_SAVE;
	add.state_bytes = (uint32_t)e->state_bytes;
	e->serve = pim_serve_add(control, &add, &msg);
	if (!e->serve)
		return ax_error("%s", msg.text);
	config.mram = pim_serve_mram(e->serve, 0);
	e->rank = pim_rank_create(&config);
	if (!e->rank)
		return ax_error("rank %u: %s", id, strerror(errno));
	errno = pthread_create(&e->thread, NULL, serve, e);
	if (errno)
		return ax_error("no thread for rank %u: %s", id, strerror(errno));
	return AX_OK;
}

/* Take them away, those that are still ours: whoever uses them sees it at once. */
static void remove_ranks(const struct emu *emus, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		struct pim_rank_id id = { .size = sizeof(id), .id = emus[i].id };

		if (emus[i].serve && ioctl(control, PIM_IOC_RANK_REMOVE, &id) && errno != ENOENT)
			ax_warn("rank %u cannot be removed: %s", id.id, strerror(errno));
	}
}

int main(int argc, char **argv)
{
	struct pim_pool *pool;
	struct ax_args args;
	struct ax_msg msg;
	struct settings s;
	struct emu *emus;
	sigset_t signals;
	int ret, sig = 0;
	uint64_t lost = 0;

	ret = ax_parse(&program, argc, argv, &args);
	if (ret >= 0)
		return ret;
	ret = parse(&args, &s);
	if (ret)
		return ret;
	control = pim_control_open(&msg);
	if (control < 0)
		return ax_error("%s", msg.text);
	/* Blocked in all threads, taken by this one. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	pool = pim_pool_create(s.threads);
	emus = calloc(s.ranks, sizeof(*emus));
	if (!pool || !emus)
		return ax_error("cannot start: %s", strerror(errno));
	for (uint64_t i = 0; i < s.ranks && ret == AX_OK; i++)
		ret = start(&emus[i], &s, pool, s.first + i);
	if (ret == AX_OK) {
		printf("ready\n");
		fflush(stdout);
		while (!sigwait(&signals, &sig) && sig == SIGUSR1) {
			if (++lost == s.ranks)
				break;
		}
	}
	if (sig == SIGUSR1)
		return ax_error("no rank is left");
	if (ret != AX_OK || !ax_has(&args, "keep"))
		remove_ranks(emus, s.ranks);
	/* The rest goes with the process: threads may still be in the kernel. */
	return ret;
}
