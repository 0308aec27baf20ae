// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pim-emu: a provider of ranks in software. Each rank has a thread that takes
 * its requests from pim.ko, or one does that for all; DPUs that run are run by
 * threads that all ranks share. MRAM is the memory that pim.ko gives: transfers do
 * not come here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/ax_size.h"
#include "pim_pool.h"
#include "pim_provider.h"
#include "pim_rank.h"

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
	{ "io-uring", 'u', NULL,
	  "one thread for all ranks, which waits by io_uring (default: a thread for each)", NULL },
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
	struct pim_provider provider;
	struct pim_rank *rank;
	size_t state_bytes;	/* at most */
};

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
		error = pim_serve_put_state(e->provider.serve, bytes, (uint32_t)size);
	if (!error)
		error = pim_serve_unmap_mram(e->provider.serve);
	explicit_bzero(bytes, room);
	free(bytes);
	return error;
}

static int restore(struct emu *e)
{
	size_t room = e->state_bytes;
	void *bytes = malloc(room);
	int64_t size;
	int error = pim_serve_map_mram(e->provider.serve);

	if (!error && !bytes)
		error = -ENOMEM;
	if (!error) {
		size = pim_serve_get_state(e->provider.serve, bytes, (uint32_t)room);
		error = size < 0 ? (int)size :
			pim_rank_restore_state(e->rank, bytes, (size_t)size);
	}
	if (bytes)
		explicit_bzero(bytes, room);
	free(bytes);
	return error;
}

/* One request. What comes from the kernel is what clients sent: the rank bears all of it. */
static void answer(struct pim_provider *p, const struct pim_request *req)
{
	struct emu *e = (struct emu *)p;	/* its first member */
	uint64_t words[PIM_CIS_MAX] = { 0 };
	int result = 0;

	switch (req->op) {
	case PIM_OP_RESET:
		pim_rank_reset(e->rank);	/* MRAM is the kernel's affair */
		if (!pim_serve_mram_mapped(p->serve))
			result = pim_serve_map_mram(p->serve);
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
	pim_serve_complete(p->serve, req, result, words);
}

struct settings {
	uint64_t ranks, first, mram, threads, chip_id, deadline;
};

static int parse(const struct ax_args *args, struct settings *s)
{
	const char *mram = ax_value(args, "mram");

	if (!ax_number(args, "ranks", 1, PIM_RANKS_MAX, 1, &s->ranks) ||
	    !ax_number(args, "first", 0, PIM_RANKS_MAX - 1, 0, &s->first) ||
	    !ax_number(args, "threads", 1, 1024, 0, &s->threads) ||
	    !ax_number(args, "chip-id", 0, 255, 0, &s->chip_id) ||
	    !ax_number(args, "deadline", 1, 600, 0, &s->deadline))
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

static int start(struct emu *e, const struct settings *s, struct pim_pool *pool, int control,
		 uint32_t id)
{
	struct pim_rank_config config = { .chip_id = s->chip_id, .pool = pool };
	struct pim_rank_add add;
	int ret;

	pim_serve_defaults(&add, id, PIM_RANK_NR_CIS, PIM_CI_NR_DPUS, s->mram);
	add.chip_id = s->chip_id;
	add.deadline_ms = s->deadline * 1000;
	strcpy(add.provider, "pim-emu");
	config.dpu.mram_size = s->mram;
	e->state_bytes = pim_rank_state_size(&config.dpu);
	add.flags = PIM_RANK_F_SAVE;
	add.state_bytes = (uint32_t)e->state_bytes;
	e->provider.answer = answer;
	ret = pim_provide_rank(&e->provider, control, &add);
	if (ret != AX_OK)
		return ret;
	config.mram = pim_serve_mram(e->provider.serve, 0);
	e->rank = pim_rank_create(&config);
	return e->rank ? AX_OK : ax_error("rank %u: %s", id, strerror(errno));
}

int main(int argc, char **argv)
{
	struct pim_provider **providers;
	struct pim_pool *pool;
	struct ax_args args;
	struct ax_msg msg;
	struct settings s;
	struct emu *emus;
	int control, ret;

	ret = ax_parse(&program, argc, argv, &args);
	if (ret >= 0)
		return ret;
	ret = parse(&args, &s);
	if (ret)
		return ret;
	control = pim_control_open(&msg);
	if (control < 0)
		return ax_error("%s", msg.text);
	pim_provide_begin();
	pool = pim_pool_create(s.threads);
	emus = calloc(s.ranks, sizeof(*emus));
	providers = calloc(s.ranks, sizeof(*providers));
	if (!pool || !emus || !providers)
		return ax_error("cannot start: %s", strerror(errno));
	for (uint64_t i = 0; i < s.ranks; i++)
		providers[i] = &emus[i].provider;
	for (uint64_t i = 0; i < s.ranks && ret == AX_OK; i++)
		ret = start(&emus[i], &s, pool, control, s.first + i);
	return pim_provide(providers, s.ranks, control, ax_has(&args, "keep"),
			   ax_has(&args, "io-uring"), ret);
}
