// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * empctl region create|destroy|list|show|set
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <annex/emp.h>

#include "../lib/ax_size.h"
#include "emp_client.h"
#include "emp_region.h"
#include "emp_sysfs.h"
#include "empctl.h"

int empctl_region_create(const struct ax_args *args)
{
	const char *name = args->argv[0];
	const char *size = ax_value(args, "size"), *mem = ax_value(args, "mem");
	const char *autodestroy = ax_value(args, "autodestroy");
	struct emp_region_plan plan;
	struct emp_spec spec;
	struct ax_msg msg;
	sigset_t signals;
	uint64_t bytes;
	int fd, sig;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	if (!size || !mem)
		return ax_usage("region create needs --size SIZE and --mem SPEC");
	if (!emp_name_valid(name))
		return ax_usage("'%s' is not a region name ([a-z0-9][a-z0-9_.-]{0,30})",
				name);
	if (ax_parse_size(size, strlen(size), &bytes) || !bytes)
		return ax_usage("--size: '%s' is not a size (e.g. 512M, 8G)", size);
	if (autodestroy && strcmp(autodestroy, "yes") && strcmp(autodestroy, "no"))
		return ax_usage("--autodestroy takes yes or no");
	if (emp_region_parse("--mem", mem, &spec, &msg))
		return ax_usage("%s", msg.text);
	if (spec.name[0] && strcmp(spec.name, name))
		return ax_usage("the region is called %s on the command line and %s in the spec",
				name, spec.name);
	if (emp_region_plan(&spec, bytes, &plan, &msg))
		return ax_error("%s", msg.text);
	strcpy(plan.name, name);
	plan.force |= ax_has(args, "force");
	if (autodestroy && !strcmp(autodestroy, "yes"))
		plan.flags |= EMP_F_AUTODESTROY;
	if (emp_mount(&msg))
		return ax_error("%s", msg.text);
	if (plan.flags & EMP_F_AUTODESTROY)	/* before it exists: none may be missed */
		sigprocmask(SIG_BLOCK, &signals, NULL);
	fd = emp_region_create(&spec, &plan, &msg);
	if (fd < 0)
		return ax_error("%s", msg.text);
	if (plan.flags & EMP_F_AUTODESTROY) {
		printf("%s/%s\n", emp_mount_path(), name);
		fflush(stdout);
		sigwait(&signals, &sig);
	}
	close(fd);
	return AX_OK;
}

int empctl_region_destroy(const struct ax_args *args)
{
	struct ax_msg msg;
	int control = emp_control_open(&msg), ret;

	if (control < 0)
		return ax_error("%s", msg.text);
	ret = emp_destroy(control, args->argv[0], &msg);
	close(control);
	return ret ? ax_error("%s", msg.text) : AX_OK;
}

/* All attributes, in the order they are shown. */
static const struct attribute {
	const char *node;
	bool size;	/* bytes: shown human-readable too */
} attributes[] = {
	{ "bytes", true },
	{ "dram_limit", true },
	{ "dram_min", true },
	{ "resident", true },
	{ "dirty", true },
	{ "block_size", true },
	{ "subblock_size", true },
	{ "map", false },
	{ "flags", false },
	{ "owner", false },
	{ "redundancy", false },
	{ "exposed", true },
	{ "rebuild_left", true },
	{ "rebuild_rate", true },
	{ "pin_limit", true },
	{ "pinned", true },
	{ "high_free", true },
	{ "low_free", true },
	{ "readahead", true },
	{ "lost_retry_ms", false },
	{ "retain_ms", false },
	{ "promote", false },
	{ "metadata_bytes", true },
};

#define NR_ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

static json_t *region_json(const char *name)
{
	json_t *object = json_object();
	char dir[128];
	char **tiers;
	json_t *ids;

	json_object_set_new(object, "name", json_string(name));
	for (unsigned int i = 0; i < NR_ATTRIBUTES; i++) {
		json_t *value = empctl_node_json(name, attributes[i].node);

		if (value)
			json_object_set_new(object, attributes[i].node, value);
	}
	snprintf(dir, sizeof(dir), "%.64s/tiers", name);
	tiers = emp_sysfs_list(dir);
	ids = json_array();
	for (char **t = tiers; t && *t; t++)
		json_array_append_new(ids, json_string(*t));
	json_object_set_new(object, "tiers", ids);
	emp_sysfs_free(tiers);
	return object;
}

static void region_text(const char *name)
{
	char text[EMP_SYSFS_VALUE], human[AX_HUMAN];

	printf("%s\n", name);
	for (unsigned int i = 0; i < NR_ATTRIBUTES; i++) {
		uint64_t v;

		if (emp_sysfs_read(name, attributes[i].node, text))
			continue;
		printf("  %-15s %s", attributes[i].node, text);
		if (attributes[i].size && !ax_parse_u64(text, strlen(text), &v) && v >= 1024)
			printf("  (%s)", ax_human_size(v, human));
		putchar('\n');
	}
}

int empctl_region_show(const struct ax_args *args)
{
	bool json = ax_has(args, "json");
	char **names;

	if (args->argc) {
		if (empctl_need_region(args->argv[0]))
			return AX_FAIL;
		if (json)
			return empctl_print_json(region_json(args->argv[0]));
		region_text(args->argv[0]);
		return AX_OK;
	}
	names = emp_sysfs_list("");
	if (json) {
		json_t *array = json_array();

		for (char **n = names; n && *n; n++)
			json_array_append_new(array, region_json(*n));
		emp_sysfs_free(names);
		return empctl_print_json(array);
	}
	for (char **n = names; n && *n; n++) {
		if (n != names)
			putchar('\n');
		region_text(*n);
	}
	emp_sysfs_free(names);
	return AX_OK;
}

static const char *size_of(const char *region, const char *node, char out[AX_HUMAN])
{
	uint64_t v;

	if (emp_sysfs_read_u64(region, node, &v))
		return "?";
	return ax_human_size(v, out);
}

int empctl_region_list(const struct ax_args *args)
{
	char **names = emp_sysfs_list("");

	if (ax_has(args, "json")) {
		json_t *array = json_array();

		for (char **n = names; n && *n; n++)
			json_array_append_new(array, json_string(*n));
		emp_sysfs_free(names);
		return empctl_print_json(array);
	}
	if (names && *names)
		printf("%-20s %10s %10s %10s %6s\n", "REGION", "SIZE", "RESIDENT", "LIMIT", "MAP");
	for (char **n = names; n && *n; n++) {
		char a[AX_HUMAN], b[AX_HUMAN], c[AX_HUMAN], map[EMP_SYSFS_VALUE];

		printf("%-20s %10s %10s %10s %6s\n", *n, size_of(*n, "bytes", a),
		       size_of(*n, "resident", b), size_of(*n, "dram_limit", c),
		       emp_sysfs_read(*n, "map", map) ? "?" : map);
	}
	emp_sysfs_free(names);
	return AX_OK;
}

int empctl_region_set(const struct ax_args *args)
{
	static const char *const writable[] = {
		"dram_limit", "high_free", "low_free", "readahead", "lost_retry_ms", "retain_ms",
		"promote", "pin_limit", "rebuild_rate", "evict", NULL
	};

	if (empctl_need_region(args->argv[0]))
		return AX_FAIL;
	return empctl_set_nodes(args->argv[0], "", args->argv + 1, writable);
}
