// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * empctl tier show|add|remove|drain|set
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/ax_size.h"
#include "emp_client.h"
#include "emp_region.h"
#include "emp_stats.h"
#include "emp_sysfs.h"
#include "empctl.h"

static const char *const nodes[] = {
	"type", "device", "base", "bytes", "used", "state", "link", "asked", "leaving", "given_back",
	"revoked", "parked", "fetched", "deadline_ms", "queue_depth", "inflight",
	"reads", "read_bytes", "writes", "write_bytes", "read_errors", "write_errors", "timeouts",
	NULL
};

static const char *read_node(const char *region, const char *id, const char *node,
			     char out[EMP_SYSFS_VALUE])
{
	char path[128];

	snprintf(path, sizeof(path), "tiers/%.32s/%s", id, node);
	if (emp_sysfs_read(region, path, out))
		strcpy(out, "?");
	return out;
}

static const char *read_size(const char *region, const char *id, const char *node,
			     char out[AX_HUMAN])
{
	char text[EMP_SYSFS_VALUE];
	uint64_t v;

	read_node(region, id, node, text);
	if (ax_parse_u64(text, strlen(text), &v))
		return "?";
	return ax_human_size(v, out);
}

static double latency(const char *region, const char *id, const char *node, double q)
{
	char text[EMP_SYSFS_VALUE];
	struct emp_hist hist;

	read_node(region, id, node, text);
	if (emp_hist_parse(text, &hist))
		return -1;
	return emp_hist_quantile(&hist, q);
}

static const struct {
	const char *key, *node;
	double q;
} quantiles[] = {
	{ "read_p50_ns", "read_latency", 0.5 },
	{ "read_p99_ns", "read_latency", 0.99 },
	{ "write_p50_ns", "write_latency", 0.5 },
	{ "write_p99_ns", "write_latency", 0.99 },
};

static json_t *tier_json(const char *region, const char *id)
{
	json_t *object = json_object();

	json_object_set_new(object, "id", json_integer(atoi(id)));
	for (const char *const *n = nodes; *n; n++) {
		char path[128];
		json_t *value;

		snprintf(path, sizeof(path), "tiers/%.32s/%s", id, *n);
		value = empctl_node_json(region, path);
		if (value)
			json_object_set_new(object, *n, value);
	}
	for (unsigned int i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
		json_object_set_new(object, quantiles[i].key,
				    json_real(latency(region, id, quantiles[i].node,
						      quantiles[i].q)));
	return object;
}

/* What a donor asks for, and has: a line only when there is something to say. */
static void tier_asked(const char *region, const char *id)
{
	static const struct {
		const char *node, *text;
	} rows[] = {
		{ "asked", "asked back" },
		{ "leaving", "of it in use still" },
		{ "given_back", "given back" },
		{ "revoked", "taken by force" },
		{ "parked", "parked on its disk" },
		{ "fetched", "fetched from there" },
	};
	bool any = false;

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char size[AX_HUMAN], path[64];
		uint64_t v;

		snprintf(path, sizeof(path), "tiers/%.32s/%s", id, rows[i].node);
		if (emp_sysfs_read_u64(region, path, &v) || !v)
			continue;
		printf("%s%s %s", any ? ", " : "    ", ax_human_size(v, size), rows[i].text);
		any = true;
	}
	if (any)
		putchar('\n');
}

static void tier_text(const char *region, const char *id)
{
	char device[EMP_SYSFS_VALUE], state[EMP_SYSFS_VALUE], errors[EMP_SYSFS_VALUE];
	char werrors[EMP_SYSFS_VALUE], timeouts[EMP_SYSFS_VALUE], inflight[EMP_SYSFS_VALUE];
	char bytes[AX_HUMAN], used[AX_HUMAN], read[AX_HUMAN], written[AX_HUMAN];
	char p50[AX_HUMAN], p99[AX_HUMAN];

	printf("%-3s %-18s %-10s %10s %10s %10s %10s %8s %9s %9s %s/%s/%s\n", id,
	       read_node(region, id, "device", device), read_node(region, id, "state", state),
	       read_size(region, id, "bytes", bytes), read_size(region, id, "used", used),
	       read_size(region, id, "read_bytes", read),
	       read_size(region, id, "write_bytes", written),
	       read_node(region, id, "inflight", inflight),
	       ax_human_ns(latency(region, id, "read_latency", 0.5), p50),
	       ax_human_ns(latency(region, id, "read_latency", 0.99), p99),
	       read_node(region, id, "read_errors", errors),
	       read_node(region, id, "write_errors", werrors),
	       read_node(region, id, "timeouts", timeouts));
	tier_asked(region, id);
}

int empctl_tier_show(const struct ax_args *args)
{
	const char *name = args->argv[0];
	char dir[128];
	char **ids;

	if (empctl_need_region(name))
		return AX_FAIL;
	snprintf(dir, sizeof(dir), "%.64s/tiers", name);
	ids = emp_sysfs_list(dir);
	if (ax_has(args, "json")) {
		json_t *array = json_array();

		for (char **i = ids; i && *i; i++)
			json_array_append_new(array, tier_json(name, *i));
		emp_sysfs_free(ids);
		return empctl_print_json(array);
	}
	printf("%-3s %-18s %-10s %10s %10s %10s %10s %8s %9s %9s %s\n", "ID", "DEVICE", "STATE", "SIZE",
	       "USED", "READ", "WRITTEN", "INFLIGHT", "READ p50", "p99", "RERR/WERR/LATE");
	for (char **i = ids; i && *i; i++)
		tier_text(name, *i);
	emp_sysfs_free(ids);
	return AX_OK;
}

int empctl_tier_add(const struct ax_args *args)
{
	const char *name = args->argv[0];
	struct emp_spec spec;
	struct ax_msg msg;
	uint32_t id;

	if (emp_region_parse("spec", args->argv[1], &spec, &msg))
		return ax_usage("%s", msg.text);
	if (spec.has_dram)
		return ax_usage("dram is no tier to add: empctl region set %s dram_limit=SIZE",
				name);
	if (!spec.nr_tiers)
		return ax_usage("the spec names no tier");
	if (spec.nr_tiers > 1)
		return ax_usage("one tier at a time: the spec names %u", spec.nr_tiers);
	if (spec.given & ~(1u << EMP_KEY_FORCE | 1u << EMP_KEY_DEADLINE | 1u << EMP_KEY_QUEUE |
			   1u << EMP_KEY_KEY))
		return ax_usage("with tier add only deadline=, queue=, key= and force= make sense");
	if (empctl_need_region(name))
		return AX_FAIL;
	if (emp_region_add_tier(name, &spec, ax_has(args, "force"), &id, &msg))
		return ax_error("%s", msg.text);
	printf("%u\n", id);
	return AX_OK;
}

/* Is @text the whole device, or a donor without its port? */
static bool names(const char *text, const char *device)
{
	size_t len = strlen(text);

	if (!strcmp(text, device))
		return true;
	if (*device == '[')	/* IPv6 */
		device++;
	return *device != '/' && !strncmp(text, device, len) && device[len] &&
	       strchr("]:", device[len]) && !strchr(device + len + 1, ']');
}

/* The tier that @text means: its number, its device, or the address of a donor. */
static bool tier_id(const char *region, const char *text, uint64_t *id)
{
	char dir[64], device[EMP_SYSFS_VALUE];
	unsigned int found = 0;
	char **ids;

	if (!ax_parse_u64(text, strlen(text), id) && *id < UINT32_MAX)
		return true;
	snprintf(dir, sizeof(dir), "%.32s/tiers", region);
	ids = emp_sysfs_list(dir);
	for (char **i = ids; i && *i; i++) {
		if (!names(text, read_node(region, *i, "device", device)))
			continue;
		*id = strtoull(*i, NULL, 10);
		found++;
	}
	emp_sysfs_free(ids);
	if (found == 1)
		return true;
	if (found)
		ax_usage("'%s' means %u tiers: give the number (see empctl tier show)", text,
			 found);
	else
		ax_usage("'%s' is neither number nor device of a tier (see empctl tier show)",
			 text);
	return false;
}

int empctl_tier_remove(const struct ax_args *args)
{
	uint64_t id, seconds;
	struct ax_msg msg;
	int control, ret;

	if (!tier_id(args->argv[0], args->argv[1], &id) ||
	    !ax_number(args, "timeout", 1, 86400, 600, &seconds))
		return AX_USAGE;
	control = emp_control_open(&msg);
	if (control < 0)
		return ax_error("%s", msg.text);
	empctl_catch_signals();
	ret = emp_tier_remove(control, args->argv[0], id, seconds * 1000, ax_has(args, "force"),
			      &msg);
	close(control);
	return ret ? ax_error("%s", msg.text) : AX_OK;
}

int empctl_tier_set(const struct ax_args *args)
{
	static const char *const writable[] = { "deadline_ms", "queue_depth", NULL };
	char prefix[64];
	uint64_t id;

	if (!tier_id(args->argv[0], args->argv[1], &id))
		return AX_USAGE;
	if (empctl_need_region(args->argv[0]))
		return AX_FAIL;
	snprintf(prefix, sizeof(prefix), "tiers/%llu/", (unsigned long long)id);
	return empctl_set_nodes(args->argv[0], prefix, args->argv + 2, writable);
}
