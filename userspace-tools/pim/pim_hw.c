// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pim-hw: a provider of real ranks, through the stock driver's own
 * /dev/dpu_rankN in safe mode. Each rank has a thread; commands of clients go
 * through a gate (pim_gate.h), MRAM through the image that pim.ko gives.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pim_hw_rank.h"
#include "pim_hw_sysfs.h"
#include "pim_provider.h"

static const struct ax_opt opts[] = {
	{ "first", 'f', "ID", "number of the first rank (default: the lowest free ones); one whose provider is gone is taken over",
	  "" },
	{ "deadline", 'd', "SECONDS", "the kernel's patience with a request, which the cleaning of a whole rank is too (default 30)",
	  "" },
	{ "keep", 'k', NULL, "leave the ranks for another provider on SIGTERM (default: remove them)",
	  NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_program program = {
	.name = "pim-hw",
	.summary = "real processing-in-memory ranks, shared",
	.usage = "[OPTION]... DEVICE...",
	.notes = "DEVICE is the stock driver's /dev/dpu_rankN, held as long as this runs. Prints \"ready\"\n"
		 "when all are there. Needs root, and the modules pim and the stock driver.",
	.opts = opts,
};

#define DEADLINE_S	30

struct hw {
	struct pim_provider provider;
	const char *device;
	struct pim_backend dev;
	struct pim_hw rank;
	struct pim_hw_info info;
	bool told;		/* of a refused command, since the last reset */
};

static int reset(struct hw *h)
{
	struct ax_msg msg;

	h->told = false;
	if (!pim_hw_reset(&h->rank, &msg))
		return 0;
	ax_warn("rank %u, %s: %s", h->provider.id, h->device, msg.text);
	return -EIO;
}

static int commit(struct hw *h, const struct pim_request *req, uint64_t words[PIM_CIS_MAX])
{
	int error = pim_hw_commit(&h->rank, (const uint64_t *)req->words, words);

	if (error == -EPERM && !h->told)
		ax_warn("rank %u, %s: refused 0x%016llx, a command that no program needs",
			h->provider.id, h->device, (unsigned long long)h->rank.refused);
	h->told = h->told || error == -EPERM;
	return error;
}

static void answer(struct pim_provider *p, const struct pim_request *req)
{
	struct hw *h = (struct hw *)p;	/* its first member */
	uint64_t words[PIM_CIS_MAX] = { 0 };
	int result;

	switch (req->op) {
	case PIM_OP_RESET:
		result = reset(h);
		break;
	case PIM_OP_COMMIT:
		result = commit(h, req, words);
		break;
	case PIM_OP_UPDATE:
		result = pim_hw_update(&h->rank, words);
		break;
	case PIM_OP_LOAD:
		result = pim_hw_load(&h->rank, req->mask, req->offset, req->bytes);
		break;
	case PIM_OP_STORE:
		result = pim_hw_store(&h->rank, req->mask, req->offset, req->bytes);
		break;
	default:
		result = -EOPNOTSUPP;
	}
	pim_serve_complete(p->serve, req, result, words);
}

/* /dev/dpu_rank3 is /sys/class/dpu_rank/dpu_rank3. */
static int describe(struct hw *h, struct ax_msg *msg)
{
	const char *root = getenv("DPU_SYSFS") ?: "/sys/class/dpu_rank";
	const char *name = strrchr(h->device, '/');
	char dir[256];

	name = name ? name + 1 : h->device;
	if (snprintf(dir, sizeof(dir), "%s/%s", root, name) >= (int)sizeof(dir))
		return ax_fail(msg, "%s: the name is too long", h->device);
	return pim_hw_sysfs(dir, &h->info, msg);
}

static int start(struct hw *h, const char *device, int control, uint32_t id, uint64_t deadline)
{
	struct pim_hw_config config;
	struct ax_msg msg;
	int ret;

	h->device = device;
	h->provider.answer = answer;
	if (pim_backend_device(&h->dev, device, NULL, &msg) || describe(h, &msg))
		return ax_error("%s", msg.text);
	h->info.add.id = id;
	h->info.add.deadline_ms = deadline * 1000;
	strcpy(h->info.add.provider, "pim-hw");
	ret = pim_provide_rank(&h->provider, control, &h->info.add);
	if (ret != AX_OK)
		return ret;
	config = (struct pim_hw_config) {
		.mram_size = h->info.add.mram_size,
		.division = h->info.division,
		.disabled = h->info.disabled,
		.mram = pim_serve_mram(h->provider.serve, 0),
	};
	pim_hw_init(&h->rank, &h->dev, &config);
	return AX_OK;
}

int main(int argc, char **argv)
{
	struct pim_provider **providers;
	uint64_t first, deadline;
	struct ax_args args;
	struct ax_msg msg;
	struct hw *hws;
	size_t n;
	int control, ret;

	ret = ax_parse(&program, argc, argv, &args);
	if (ret >= 0)
		return ret;
	n = (size_t)args.argc;
	if (!n)
		return ax_usage("which ranks? Say /dev/dpu_rankN");
	if (!ax_number(&args, "first", 0, PIM_RANKS_MAX - 1, PIM_ID_ANY, &first) ||
	    !ax_number(&args, "deadline", 1, 600, DEADLINE_S, &deadline))
		return AX_USAGE;
	if (first != PIM_ID_ANY && first + n > PIM_RANKS_MAX)
		return ax_usage("ranks have numbers below %u", PIM_RANKS_MAX);
	control = pim_control_open(&msg);
	if (control < 0)
		return ax_error("%s", msg.text);
	pim_provide_begin();
	hws = calloc(n, sizeof(*hws));
	providers = calloc(n, sizeof(*providers));
	if (!hws || !providers)
		return ax_error("cannot start: %s", strerror(errno));
	for (size_t i = 0; i < n; i++)
		providers[i] = &hws[i].provider;
	ret = AX_OK;
	for (size_t i = 0; i < n && ret == AX_OK; i++)
		ret = start(&hws[i], args.argv[i], control,
			    first == PIM_ID_ANY ? PIM_ID_ANY : (uint32_t)(first + i), deadline);
	return pim_provide(providers, n, control, ax_has(&args, "keep"), false, ret);
}
