// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pimctl: watch, lease and administer processing-in-memory ranks.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../lib/ax_size.h"
#include "pimctl.h"

static const struct ax_opt global_opts[] = {
	{ "json", 'j', NULL, "print JSON instead of text", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt lease_run_opts[] = {
	{ "rank", 'r', "ID", "this rank (default: any that is free)", "" },
	{ "count", 'n', "N", "that many ranks (default 1)", "" },
	{ "timeout", 't', "SECONDS", "wait at most that long for them; 0: not at all", "" },
	{ "expire", 'e', "SECONDS", "the leases end after that long, whatever the command does",
	  "" },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt vm_add_opts[] = {
	{ "ranks", 'n', "N", "ranks that it has, 1 to 64 (default 1)", "" },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt lease_revoke_opts[] = {
	{ "lease", 'l', "NUMBER", "that lease instead, also one that is parked and has no rank",
	  "" },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt vm_remove_opts[] = {
	{ "force", 'f', NULL, "ask a VMM that uses it to let it go, and wait for that", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt events_opts[] = {
	{ "follow", 'f', NULL, "go on until interrupted (default: end after the first events)",
	  NULL },
	{ "timeout", 't', "SECONDS",
	  "end after that long without an event, with status 1 if there was none", "" },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt stats_opts[] = {
	{ "prometheus", 'p', NULL, "print text for node_exporter's textfile collector", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt top_opts[] = {
	{ "batch", 'b', NULL,
	  "print plain tables, for logs and pipes (default unless on a terminal)", NULL },
	{ "interval", 'i', "SECONDS", "time between two tables, 0.1 to 3600 (default 2)", "" },
	{ "count", 'n', "N", "end after N tables", "" },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_cmd cmds[] = {
	{ "rank", "list", NULL, "List the ranks", 0, 0, NULL, pimctl_rank_list },
	{ "rank", "show", "[ID]", "Show one rank or all with everything known", 0, 1, NULL,
	  pimctl_rank_show },
	{ "rank", "set", "ID offline=yes|no", "Give a rank to nobody any more, or again", 2, 2,
	  NULL, pimctl_rank_set },
	{ "rank", "remove", "ID", "Take a rank away, whoever uses or serves it", 1, 1, NULL,
	  pimctl_rank_remove },
	{ "lease", "run", "[--] COMMAND [ARG]...",
	  "Run a command with ranks of its own, named in ANNEX_RANKS", 1, -1, lease_run_opts,
	  pimctl_lease_run },
	{ "lease", "list", NULL, "List the leases", 0, 0, NULL, pimctl_lease_list },
	{ "lease", "revoke", "[ID]", "End the lease of a rank", 0, 1, lease_revoke_opts,
	  pimctl_lease_revoke },
	{ "owner", "list", NULL, "List the owners: what they have, may have, have used", 0, 0, NULL,
	  pimctl_owner_list },
	{ "owner", "set", "UID KEY=VALUE...", "Set max_ranks, max_parked (a number or none), max_parked_bytes (a size or none), priority (0 to 7), keep (seconds or none), idle (a time or none)",
	  2, -1, NULL, pimctl_owner_set },
	{ "vm", "add", "NAME",
	  "Make a device for a virtual machine, and print QEMU's argument for it", 1, 1,
	  vm_add_opts, pimctl_vm_add },
	{ "vm", "list", NULL, "List them: who runs, and which ranks it has now", 0, 0, NULL,
	  pimctl_vm_list },
	{ "vm", "remove", "NAME", "Remove one", 1, 1, vm_remove_opts, pimctl_vm_remove },
	{ "qemu-args", NULL, "NAME", "Print QEMU's argument for one", 1, 1, NULL,
	  pimctl_qemu_args },
	{ "top", NULL, NULL, "Show live who uses which rank, how much, and who waits", 0, 0,
	  top_opts, pimctl_top },
	{ "stats", NULL, NULL, "Print all numbers of ranks, owners and machines", 0, 0, stats_opts,
	  pimctl_stats },
	{ "events", NULL, NULL, "Print events: ranks and leases that come, go, fail", 0, 0,
	  events_opts, pimctl_events },
	{ "doctor", NULL, NULL, "Check what processing in memory needs on this machine", 0, 0, NULL,
	  pimctl_doctor },
	{ NULL, NULL, NULL, NULL, 0, 0, NULL, NULL }
};

static const struct ax_program program = {
	.name = "pimctl",
	.summary = "watch, lease and administer processing-in-memory ranks",
	.operand_values = "ls /sys/class/pim 2>/dev/null | sed s/rank//",
	.opts = global_opts,
	.cmds = cmds,
};

int pimctl_print_json(json_t *value)
{
	int ret;

	if (!value)
		return ax_error("out of memory");
	ret = json_dumpf(value, stdout, JSON_INDENT(2));
	json_decref(value);
	putchar('\n');
	if (ret || fflush(stdout))
		return ax_error("cannot write: %s", strerror(errno));
	return AX_OK;
}

bool pimctl_rank_id(const char *text, uint32_t *id)
{
	uint64_t v;

	if (ax_parse_u64(text, strlen(text), &v) || v >= PIM_RANKS_MAX) {
		ax_usage("'%s' is not the number of a rank (pimctl rank list)", text);
		return false;
	}
	*id = v;
	return true;
}

int main(int argc, char **argv)
{
	struct ax_args args;
	int ret;

	ret = ax_parse(&program, argc, argv, &args);
	if (ret >= 0)
		return ret;
	ret = args.cmd->run(&args);
	if (fflush(stdout) && ret == AX_OK)
		return ax_error("cannot write: %s", strerror(errno));
	return ret;
}
