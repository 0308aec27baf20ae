// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * empctl: make, watch and change elastic-memory regions.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../lib/ax_size.h"
#include "emp_client.h"
#include "emp_sysfs.h"
#include "empctl.h"

static const struct ax_opt global_opts[] = {
	{ "json", 'j', NULL, "print JSON instead of text", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt create_opts[] = {
	{ "size", 's', "SIZE", "size of the region, e.g. 8G; rounded up to whole blocks", "" },
	{ "mem", 'm', "SPEC", "where its memory lives, see emp-spec(5)", "" },
	{ "autodestroy", 'a', "yes|no",
	  "yes: stay in the foreground and let the region go on exit (default no)", "yes no" },
	{ "force", 'f', NULL, "use block devices that carry a file system or partition table",
	  NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt tier_add_opts[] = {
	{ "force", 'f', NULL, "use block devices that carry a file system or partition table",
	  NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt tier_remove_opts[] = {
	{ "force", 'f', NULL, "give up data that cannot be read: it is lost for good", NULL },
	{ "timeout", 't', "SECONDS", "give up after that long (default 600)", "" },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt stats_opts[] = {
	{ "prometheus", 'p', NULL, "print text for node_exporter's textfile collector", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt top_opts[] = {
	{ "batch", 'b', NULL,
	  "print plain lines, for logs and pipes (default unless on a terminal)", NULL },
	{ "tiers", 't', NULL, "a line for each tier too (default on a terminal)", NULL },
	{ "interval", 'i', "SECONDS", "time between two tables (default 2)", "" },
	{ "count", 'n', "N", "end after N tables", "" },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt record_opts[] = {
	{ "out", 'o', "FILE", "CSV file to write", NULL },
	{ "interval", 'i', "MS", "time between two samples in milliseconds (default 500)", "" },
	{ "count", 'n', "N",
	  "end after N samples (default: when the region goes, or a signal comes)", "" },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt plot_opts[] = {
	{ "out", 'o', "FILE", "SVG file to write", NULL },
	{ "title", 't', "TEXT", "heading of the picture", "" },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt events_opts[] = {
	{ "follow", 'f', NULL, "go on until interrupted (default: end after the first events)",
	  NULL },
	{ "timeout", 't', "SECONDS",
	  "end after that long without an event, with status 1 if there was none", "" },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_cmd cmds[] = {
	{ "region", "create", "NAME", "Create a region", 1, 1, create_opts, empctl_region_create },
	{ "region", "destroy", "NAME", "Destroy a region that nobody has open", 1, 1, NULL,
	  empctl_region_destroy },
	{ "region", "list", NULL, "List the regions", 0, 0, NULL, empctl_region_list },
	{ "region", "show", "[NAME]", "Show one region or all with every attribute", 0, 1, NULL,
	  empctl_region_show },
	{ "region", "set", "NAME KEY=VALUE...",
	  "Change attributes, e.g. dram_limit=16G, or rebuild_rate=64M with redundancy", 2, -1,
	  NULL, empctl_region_set },
	{ "tier", "show", "NAME", "Show the tiers of a region", 1, 1, NULL, empctl_tier_show },
	{ "tier", "add", "NAME SPEC", "Attach a tier to a region, as the slowest", 2, 2,
	  tier_add_opts, empctl_tier_add },
	{ "tier", "remove", "NAME TIER", "Drain a tier (number, device or donor) and detach it", 2,
	  2, tier_remove_opts, empctl_tier_remove },
	{ "tier", "drain", "NAME TIER", "The same as tier remove", 2, 2, tier_remove_opts,
	  empctl_tier_remove },
	{ "tier", "set", "NAME TIER KEY=VALUE...", "Change deadline_ms or queue_depth of a tier", 3,
	  -1, NULL, empctl_tier_set },
	{ "stats", NULL, "[NAME]", "Print counters and latency percentiles of one region or all", 0,
	  1, stats_opts, empctl_stats },
	{ "top", NULL, "[NAME]", "Show a live table of one region or all", 0, 1, top_opts,
	  empctl_top },
	{ "record", NULL, "NAME", "Sample a region into a CSV file", 1, 1, record_opts,
	  empctl_record },
	{ "plot", NULL, "FILE.csv", "Draw what record has written", 1, 1, plot_opts, empctl_plot },
	{ "events", NULL, NULL, "Print events: regions and tiers that come, go, fail", 0, 0,
	  events_opts, empctl_events },
	{ "doctor", NULL, NULL, "Check what elastic memory needs on this machine", 0, 0, NULL,
	  empctl_doctor },
	{ "mount", NULL, NULL, "Mount empfs at /dev/emp", 0, 0, NULL, empctl_mount },
	{ "umount", NULL, NULL, "Unmount it", 0, 0, NULL, empctl_umount },
	{ NULL, NULL, NULL, NULL, 0, 0, NULL, NULL }
};

const struct ax_program empctl_program = {
	.name = "empctl",
	.summary = "Make, watch and change regions of elastic memory",
	.notes = "Example:\n"
		 "  empctl region create r0 --size 8G --mem 'dram:2048|/dev/nvme0n1:8192:0'\n"
		 "  empctl region set r0 dram_limit=1G\n"
		 "  empctl top",
	.operand_values = "ls \"${EMP_SYSFS:-/sys/fs/emp}\" 2>/dev/null",
	.opts = global_opts,
	.cmds = cmds,
};

int empctl_print_json(json_t *value)
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

json_t *empctl_node_json(const char *region, const char *node)
{
	char text[EMP_SYSFS_VALUE];
	uint64_t v;

	if (emp_sysfs_read(region, node, text))
		return NULL;
	if (!ax_parse_u64(text, strlen(text), &v) && v <= INT64_MAX)
		return json_integer(v);
	return json_string(text);
}

int empctl_need_region(const char *name)
{
	if (emp_sysfs_exists(name))
		return AX_OK;
	if (access(emp_sysfs_root(), F_OK))
		return ax_error("%s is not there: the module is not loaded (modprobe emp; see empctl doctor)",
				emp_sysfs_root());
	return ax_error("no region %s (see empctl region list)", name);
}

int empctl_set_nodes(const char *region, const char *prefix, char **pairs,
		     const char *const *writable)
{
	struct ax_msg msg;

	/* first look at all of them: nothing is written when one is wrong */
	for (char **p = pairs; *p; p++) {
		size_t len = strcspn(*p, "=");
		const char *const *w = writable;
		char key[32];

		if (!(*p)[len] || !len || len >= sizeof(key) || !(*p)[len + 1])
			return ax_usage("'%s' is not KEY=VALUE", *p);
		snprintf(key, sizeof(key), "%.*s", (int)len, *p);
		while (*w && strcmp(*w, key))
			w++;
		if (!*w) {
			const char *near = ax_nearest(key, writable);

			return ax_usage("'%s' cannot be set%s%s%s", key,
					near ? "; did you mean '" : "", near ? near : "",
					near ? "'?" : "");
		}
	}
	for (char **p = pairs; *p; p++) {
		const char *value = strchr(*p, '=') + 1;
		char node[160], number[32];
		uint64_t v;

		snprintf(node, sizeof(node), "%s%.*s", prefix, (int)(value - 1 - *p), *p);
		if (!ax_parse_size(value, strlen(value), &v)) {
			snprintf(number, sizeof(number), "%llu", (unsigned long long)v);
			value = number;
		}
		if (emp_sysfs_write(region, node, value, &msg))
			return ax_error("%s", msg.text);
	}
	return AX_OK;
}

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

void empctl_catch_signals(void)
{
	const struct sigaction action = { .sa_handler = on_signal };	/* no SA_RESTART */

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool empctl_interrupted(void)
{
	return stop;
}

bool empctl_sleep(double seconds)
{
	struct timespec t = { seconds, fmod(seconds, 1) * 1e9 };

	while (!stop && nanosleep(&t, &t) && errno == EINTR)
		;
	return !stop;
}

int empctl_mount(const struct ax_args *args)
{
	struct ax_msg msg;

	(void)args;
	return emp_mount(&msg) ? ax_error("%s", msg.text) : AX_OK;
}

int empctl_umount(const struct ax_args *args)
{
	struct ax_msg msg;

	(void)args;
	return emp_umount(&msg) ? ax_error("%s", msg.text) : AX_OK;
}

int main(int argc, char **argv)
{
	struct ax_args args;
	int ret;

	ret = ax_parse(&empctl_program, argc, argv, &args);
	if (ret >= 0)
		return ret;
	ret = args.cmd->run(&args);
	if (fflush(stdout) && ret == AX_OK)
		return ax_error("cannot write: %s", strerror(errno));
	return ret;
}
