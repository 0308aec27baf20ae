// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pimctl stats: all numbers of ranks, owners and machines, as text, JSON or for
 * Prometheus.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pimctl.h"

/*
 * One family of metrics: where its number is in the JSON of a thing ("a.b": b of a),
 * and how many of its unit make one of the metric's.
 */
struct family {
	const char *key, *name, *help, *type;
	double per;
};

#define NS	1e9

static const struct family rank_families[] = {
	{ "mram_size", "rank_mram_size_bytes", "Bytes of MRAM of each DPU", "gauge", 1 },
	{ "mram_used", "rank_mram_used_bytes", "Bytes that its MRAM takes", "gauge", 1 },
	{ "offline", "rank_offline", "Is it given to nobody", "gauge", 1 },
	{ "busy_ns", "rank_busy_seconds_total", "Time with operations under way", "counter", NS },
	{ "commands", "rank_commands_total", "Sets of commands", "counter", 1 },
	{ "bytes_in", "rank_in_bytes_total", "Bytes to MRAM", "counter", 1 },
	{ "bytes_out", "rank_out_bytes_total", "Bytes from MRAM", "counter", 1 },
	{ "stats.leases", "rank_leases_total", "Leases there were", "counter", 1 },
	{ "stats.scrubs", "rank_scrubs_total", "Times it was cleaned", "counter", 1 },
	{ "stats.saves", "rank_saves_total", "Times it was saved and taken away", "counter", 1 },
	{ "stats.save_ns", "rank_save_seconds_total", "Time of that", "counter", NS },
	{ "stats.restores", "rank_restores_total", "Times something saved was put into it",
	  "counter", 1 },
	{ "stats.restore_ns", "rank_restore_seconds_total", "Time of that", "counter", NS },
	{ "stats.restore_errors", "rank_restore_errors_total", "Times that failed", "counter", 1 },
	{ "stats.provider_errors", "rank_provider_errors_total", "Requests a provider failed",
	  "counter", 1 },
	{ "stats.provider_timeouts", "rank_provider_timeouts_total", "Providers that were late",
	  "counter", 1 },
	{ "stats.provider_deaths", "rank_provider_deaths_total", "Providers that ended at work",
	  "counter", 1 },
	{ NULL, NULL, NULL, NULL, 0 }
};

static const struct family owner_families[] = {
	{ "ranks", "owner_ranks", "Ranks that an owner has", "gauge", 1 },
	{ "waiting", "owner_waiting", "Leases that it waits for", "gauge", 1 },
	{ "parked", "owner_parked", "Leases that have no rank now", "gauge", 1 },
	{ "parked_bytes", "owner_parked_bytes", "Bytes saved for them", "gauge", 1 },
	{ "leases", "owner_leases_total", "Leases it ever had", "counter", 1 },
	{ "busy_ns", "owner_busy_seconds_total", "Time its ranks were busy", "counter", NS },
	{ "commands", "owner_commands_total", "Sets of commands", "counter", 1 },
	{ "bytes_in", "owner_in_bytes_total", "Bytes to MRAM", "counter", 1 },
	{ "bytes_out", "owner_out_bytes_total", "Bytes from MRAM", "counter", 1 },
	{ NULL, NULL, NULL, NULL, 0 }
};

static const struct family vm_families[] = {
	{ "opened", "machine_running", "Has a VMM the device open", "gauge", 1 },
	{ "ranks", "machine_ranks", "Ranks that a guest sees", "gauge", 1 },
	{ "requests", "machine_requests_total", "Requests from its queues", "counter", 1 },
	{ "errors", "machine_errors_total", "Requests not answered with OK", "counter", 1 },
	{ "broken", "machine_broken_total", "Queues that were stopped", "counter", 1 },
	{ "kicks", "machine_kicks_total", "Notifications from the guest", "counter", 1 },
	{ "kicks_trapped", "machine_kicks_trapped_total", "Of these: exits to the VMM",
	  "counter", 1 },
	{ "interrupts", "machine_interrupts_total", "Interrupts raised", "counter", 1 },
	{ "bytes_in", "machine_in_bytes_total", "Bytes to MRAM", "counter", 1 },
	{ "bytes_out", "machine_out_bytes_total", "Bytes from MRAM", "counter", 1 },
	{ NULL, NULL, NULL, NULL, 0 }
};

static const struct section {
	const char *name;		/* of the array */
	const char *label;		/* what tells one from another: of the metric, and */
	const char *id;			/* in the JSON */
	const struct family *families;
} sections[] = {
	{ "ranks", "rank", "rank", rank_families },
	{ "owners", "uid", "uid", owner_families },
	{ "machines", "machine", "name", vm_families },
};

#define NR_SECTIONS	(sizeof(sections) / sizeof(sections[0]))

static const json_t *member(const json_t *thing, const char *key)
{
	const char *dot = strchr(key, '.');
	char outer[32];

	if (!dot)
		return json_object_get(thing, key);
	snprintf(outer, sizeof(outer), "%.*s", (int)(dot - key), key);
	return json_object_get(json_object_get(thing, outer), dot + 1);
}

/* As text; a name has no character that would have to be escaped. */
static const char *text_of(const json_t *value, char out[32])
{
	if (json_is_string(value))
		return json_string_value(value);
	snprintf(out, 32, "%lld", (long long)json_integer_value(value));
	return out;
}

static void print_metric(const struct section *s, const struct family *f, const json_t *thing)
{
	const json_t *value = member(thing, f->key);
	char id[32];

	if (!value)
		return;		/* this kernel's module does not have it */
	printf("annex_pim_%s{%s=\"%s\"} ", f->name, s->label,
	       text_of(json_object_get(thing, s->id), id));
	if (json_is_boolean(value))
		printf("%d\n", json_is_true(value));
	else if (f->per > 1)
		printf("%.9f\n", (double)json_integer_value(value) / f->per);
	else
		printf("%lld\n", (long long)json_integer_value(value));
}

/* The thing number @i of section @s, or NULL: there are no more. */
static const json_t *thing_at(const json_t *all, size_t s, size_t i)
{
	return json_array_get(json_object_get(all, sections[s].name), i);
}

static void print_prometheus(const json_t *all)
{
	const json_t *thing;

	for (size_t s = 0; s < NR_SECTIONS; s++) {
		for (const struct family *f = sections[s].families; f->key; f++) {
			printf("# HELP annex_pim_%s %s.\n# TYPE annex_pim_%s %s\n", f->name,
			       f->help, f->name, f->type);
			for (size_t i = 0; (thing = thing_at(all, s, i)); i++)
				print_metric(&sections[s], f, thing);
		}
	}
}

static void print_text(const json_t *all)
{
	const json_t *thing, *value;
	char a[32], b[32];

	for (size_t s = 0; s < NR_SECTIONS; s++) {
		for (size_t i = 0; (thing = thing_at(all, s, i)); i++) {
			printf("%s %s\n", sections[s].label,
			       text_of(json_object_get(thing, sections[s].id), a));
			for (const struct family *f = sections[s].families; f->key; f++) {
				value = member(thing, f->key);
				if (json_is_integer(value))
					printf("  %-24s %s\n", f->key, text_of(value, b));
			}
		}
	}
}

int pimctl_stats(const struct ax_args *args)
{
	json_t *all = json_object();
	struct ax_msg msg;
	int arbiter = pim_arbiter_open(&msg);
	bool ok;

	if (arbiter < 0)
		return ax_error("%s", msg.text);
	ok = pimctl_ranks_json(arbiter, all, &msg) && pimctl_owners_json(arbiter, all, &msg);
	close(arbiter);
	if (!ok)
		return ax_error("%s", msg.text);
	pimctl_vms_json(all);
	if (ax_has(args, "json"))
		return pimctl_print_json(all);
	if (ax_has(args, "prometheus"))
		print_prometheus(all);
	else
		print_text(all);
	json_decref(all);
	return AX_OK;
}
