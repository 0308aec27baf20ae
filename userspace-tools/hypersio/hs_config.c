// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/ax_size.h"
#include "hs_config.h"

static const char *const models[] = { "compat", "model", NULL };
static const char *const fulls[] = { "drop", "wait", NULL };
static const char *const units[] = { "translation", "packet", NULL };
static const char *const orders[] = { "ooo", "inorder", NULL };
static const char *const walks[] = { "nested", "second", "first", NULL };
static const char *const pages[] = { "4K", "2M", "1G", NULL };
static const char *const drams[] = { "fixed", "uniform", "exponential", "rows", NULL };
static const char *const invals[] = { "none", "strict", "deferred", NULL };
static const char *const bools[] = { "false", "true", NULL };

#define U32_MAX ((double)UINT32_MAX)
#define U64_MAX 0x1p63
#define U32(name, field, min, max, model_only, unit, help) \
	{ name, HS_KEY_U32, offsetof(struct hs_config, field), min, max, NULL, model_only, unit, \
	  help }
#define U64(name, field, min, max, model_only, unit, help) \
	{ name, HS_KEY_U64, offsetof(struct hs_config, field), min, max, NULL, model_only, unit, \
	  help }
#define REAL(name, field, min, max, model_only, unit, help) \
	{ name, HS_KEY_REAL, offsetof(struct hs_config, field), min, max, NULL, model_only, unit, \
	  help }
#define WORD(name, field, words, model_only, help) \
	{ name, HS_KEY_WORD, offsetof(struct hs_config, field), 0, 0, words, model_only, "", help }
#define BOOL(name, field, model_only, help) \
	{ name, HS_KEY_BOOL, offsetof(struct hs_config, field), 0, 0, bools, model_only, "", help }
#define CACHE(name, field, model_only, what) \
	U32(name ".size", field.size, 0, HS_CACHE_MAX, model_only, "entries", \
	    "Size of " what "; 0: there is none"), \
	U32(name ".ways", field.ways, 0, HS_CACHE_MAX, model_only, "", \
	    "Associativity; as large as the size: fully associative"), \
	U32(name ".groups", field.groups, 1, HS_CACHE_MAX, model_only, "", \
	    "Partitions by the low bits of the domain id"), \
	WORD(name ".policy", field.policy, hs_policy_names, model_only, "What is replaced")

const struct hs_config_key hs_config_keys[] = {
	WORD("model", model, models, false,
	     "compat: the original's, with its defects; model: corrected"),
	U64("seed", seed, 0, U64_MAX, false, "", "Of everything random"),
	U32("tenants", tenants, 0, HS_TENANTS_MAX - 1, false, "",
	    "Only the first so many tenants that the trace has; 0: all"),
	U64("packets", packets, 0, U64_MAX, false, "", "At most so many packets; 0: all"),
	U64("warmup", warmup, 0, U64_MAX, true, "packets",
	    "Left out of the statistics at the start"),

	REAL("link.gbps", gbps, 0.001, 100000, false, "Gb/s",
	     "Speed of each device's link (compat: whole numbers)"),
	U32("link.packet_bytes", packet_bytes, 1, 1u << 24, true, "bytes",
	    "On the wire, with all overheads"),
	U32("link.packet_translations", packet_translations, 1, 1024, true, "",
	    "Consecutive records of the trace that make a packet"),
	WORD("link.full", full, fulls, true,
	     "A packet that finds no room: drop: comes again "
	     "in the next slot; wait: starts as soon as "
	     "there is room"),
	U32("devices", devices, 1, HS_DEVICES_MAX, true, "",
	    "Devices, each with link, PTB, IOTLB and prefetcher; tenants are dealt out in turn"),

	U32("ptb", ptb, 1, HS_PTB_MAX, false, "entries", "Pending translation buffer"),
	WORD("ptb_unit", ptb_unit, units, true,
	     "translation: a packet's translations enter one "
	     "by one; packet: all once there is an entry "
	     "left (as the original)"),
	WORD("order", order, orders, false,
	     "ooo: translations may overtake each other; inorder: not"),
	BOOL("merge", merge, true, "A miss waits for an outstanding miss of the same page"),

	CACHE("cc", cc, false, "the context cache"),
	CACHE("iotlb", iotlb, false, "the IOTLB in the device"),
	CACHE("l2", l2, false, "the page cache of 2 MiB regions"),
	CACHE("l3", l3, false, "the page cache of 1 GiB regions"),
	CACHE("nested", nested, true, "the cache of guest-physical translations (nested walks)"),
	BOOL("selective", selective, false,
	     "Domains below iotlb.groups allocate only in "
	     "the IOTLB, the next l2.groups only in L2, then "
	     "L3"),

	BOOL("prefetch.enabled", pf_enabled, false,
	     "Prefetch (compat: must be true; there a buffer of 0 still fetches)"),
	U32("prefetch.buffer", pf_buffer, 0, 65536, false, "entries", "Prefetch buffer"),
	U32("prefetch.history", pf_history, 1, 64, false, "pages",
	    "Pages of a source that are remembered and fetched"),
	U32("prefetch.distance", pf_distance, 0, U32_MAX, false, "translations",
	    "How far ahead the next source is learned"),
	BOOL("prefetch.filter", pf_filter, true,
	     "Do not fetch what the IOTLB or the buffer has or what is under way"),
	BOOL("prefetch.relearn", pf_relearn, true,
	     "The successor of a source is the latest one, not the first one"),
	U32("prefetch.outstanding", pf_outstanding, 1, 65536, true, "", "Prefetches under way"),

	U32("latency.pcie", ns_pcie, 0, 1000000, true, "ns", "Device to IOMMU, one way"),
	U32("latency.iotlb", ns_iotlb, 1, 1000000, true, "ns", "IOTLB and prefetch buffer lookup"),
	U32("latency.cc", ns_cc, 0, 1000000, true, "ns", "Context cache lookup"),
	U32("latency.page_cache", ns_page_cache, 0, 1000000, true, "ns",
	    "Page caches lookup (all at once)"),
	U32("latency.port", ns_port, 0, 1000000, true, "ns",
	    "Time between two requests that the IOMMU takes"),

	WORD("walk.mode", walk, walks, true,
	     "nested: guest table in a second-stage table; "
	     "second: second stage only; first: first stage "
	     "only"),
	U32("walk.guest_levels", guest_levels, 3, 5, true, "", "Levels of the guest's page table"),
	U32("walk.host_levels", host_levels, 3, 5, true, "", "Levels of the host's page table"),
	WORD("walk.host_page", host_page, pages, true, "Size of the host's pages below the guest"),
	U32("walk.walkers", walkers, 0, HS_WALKERS_MAX, true, "",
	    "Walks at a time; 0: no limit"),
	BOOL("walk.pasid", pasid, true,
	     "Scalable mode: two more accesses, PASID "
	     "directory and table, on a context cache miss"),

	WORD("dram.distribution", dram, drams, true,
	     "Of one access: fixed; uniform: ns +- spread; "
	     "exponential: ns - spread + Exp(spread); rows: "
	     "ns - spread with probability row_hit, else ns "
	     "+ spread"),
	U32("dram.ns", ns_dram, 1, 1000000, true, "ns", "One memory access"),
	U32("dram.spread", ns_dram_spread, 0, 1000000, true, "ns", "At most dram.ns"),
	REAL("dram.row_hit", row_hit, 0, 1, true, "", "Share of accesses that hit the open row"),

	WORD("inval.mode", inval, invals, true,
	     "none; strict: each unmap invalidates its page; "
	     "deferred: a domain at a time, by batch or "
	     "period"),
	U32("inval.pages", inval_pages, 0, 1024, true, "",
	    "Pages of a packet, counted from its last, that are unmapped once it is done"),
	U32("inval.ns", ns_inval, 1, 10000000, true, "ns",
	    "An invalidation command, with waiting for its end"),
	U32("inval.queue", inval_queue, 1, 65536, true, "commands",
	    "Commands outstanding at which packets wait"),
	U32("inval.batch", inval_batch, 1, 1u << 20, true, "unmaps",
	    "deferred: unmaps of a domain that make it flush"),
	U32("inval.period", inval_period_us, 1, 10000000, true, "us",
	    "deferred: age of an unmap that makes its domain flush"),

	BOOL("ats.enabled", ats, true,
	     "The IOTLB is in the device; without ATS it is in the IOMMU"),
	REAL("pri.rate", pri_rate, 0, 1, true, "", "Share of walks that find the page not present"),
	U32("pri.service", pri_us, 0, 10000000, true, "us",
	    "The host's handling of a page request"),
	U32("pri.slots", pri_slots, 1, 65536, true, "", "Page requests of a device at a time"),
	{ NULL, 0, 0, 0, 0, NULL, false, NULL, NULL }
};

#define NR_KEYS (sizeof(hs_config_keys) / sizeof(hs_config_keys[0]) - 1)

const char *const hs_config_presets[] = { "base", "hypertrio", NULL };

/* What both presets have in common; facts of the hardware are in docs/hypersio-model.md. */
static const struct hs_config base = {
	.seed = 1,
	.gbps = 200, .packet_bytes = 1542, .packet_translations = 3, .devices = 1,
	.ptb = 1, .merge = 1,
	.cc = { 1536, 1536, 1, HS_LFU },
	.iotlb = { 64, 8, 1, HS_LRU },
	.l2 = { 512, 16, 1, HS_LRU },
	.l3 = { 1024, 16, 1, HS_LRU },
	.nested = { 1024, 16, 1, HS_LRU },
	.pf_enabled = 1, .pf_buffer = 0, .pf_history = 2, .pf_distance = 32,
	.pf_filter = 1, .pf_relearn = 1, .pf_outstanding = 64,
	.ns_pcie = 450, .ns_iotlb = 2, .ns_cc = 1, .ns_page_cache = 5, .ns_port = 1,
	.guest_levels = 4, .host_levels = 4,
	.ns_dram = 50, .row_hit = 0.5,
	.inval_pages = 1, .ns_inval = 250, .inval_queue = 256, .inval_batch = 256,
	.inval_period_us = 10000,
	.ats = 1, .pri_us = 20, .pri_slots = 32,
};

int hs_config_preset(struct hs_config *config, const char *name, struct ax_msg *msg)
{
	*config = base;
	if (!strcmp(name, "base"))
		return 0;
	if (strcmp(name, "hypertrio")) {
		const char *near = ax_nearest(name, hs_config_presets);

		return ax_fail(msg, "no configuration '%s'%s%s%s", name,
			       near ? "; did you mean '" : " (there are base and hypertrio)",
			       near ? near : "", near ? "'?" : "");
	}
	config->ptb = 32;
	config->iotlb.groups = 8;
	config->l2.groups = 32;
	config->l3.groups = 64;
	config->pf_buffer = 8;
	config->pf_distance = 48;
	return 0;
}

const struct hs_config_key *hs_config_find(const char *key)
{
	for (const struct hs_config_key *k = hs_config_keys; k->name; k++) {
		if (!strcmp(k->name, key))
			return k;
	}
	return NULL;
}

static int bad_key(const char *key, struct ax_msg *msg)
{
	const char *names[NR_KEYS + 1], *near;

	for (size_t i = 0; i <= NR_KEYS; i++)
		names[i] = hs_config_keys[i].name;
	near = ax_nearest(key, names);
	return ax_fail(msg, "no key '%s'%s%s%s", key,
		       near ? "; did you mean '" : " (see hypersio config keys)",
		       near ? near : "", near ? "'?" : "");
}

static int bad_word(const struct hs_config_key *k, const char *value, struct ax_msg *msg)
{
	char list[128] = "";
	size_t n = 0;
	const char *near = ax_nearest(value, k->words);

	for (const char *const *w = k->words; *w && n < sizeof(list); w++)
		n += snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", *w);
	return ax_fail(msg, "%s: '%s' is none of %s%s%s%s", k->name, value, list,
		       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* A number out of text that may have TOML's underscores between digits. */
static int number(const char *value, double *d, uint64_t *u, bool *whole)
{
	char plain[64], *end;
	size_t n = 0;

	for (const char *p = value; *p; p++) {
		if (*p == '_' && p > value && p[-1] >= '0' && p[-1] <= '9' && p[1] >= '0' &&
		    p[1] <= '9')
			continue;
		if (n + 1 == sizeof(plain) || !strchr("0123456789.eE+-", *p))
			return -1;
		plain[n++] = *p;
	}
	plain[n] = '\0';
	*whole = !ax_parse_u64(plain, n, u);
	if (!n || plain[0] == '+')
		return -1;
	errno = 0;
	*d = strtod(plain, &end);
	return *end || errno || !isfinite(*d) ? -1 : 0;
}

int hs_config_set(struct hs_config *config, const char *key, const char *value,
		  struct ax_msg *msg)
{
	const struct hs_config_key *k = hs_config_find(key);
	char *field;
	uint64_t u;
	double d;
	bool whole;

	if (!k)
		return bad_key(key, msg);
	field = (char *)config + k->offset;
	if (k->words) {
		for (uint32_t i = 0; k->words[i]; i++) {
			if (!strcmp(k->words[i], value)) {
				memcpy(field, &i, sizeof(i));
				return 0;
			}
		}
		return bad_word(k, value, msg);
	}
	if (number(value, &d, &u, &whole))
		return ax_fail(msg, "%s: '%s' is not a number", key, value);
	if (k->type != HS_KEY_REAL && !whole)
		return ax_fail(msg, "%s: '%s' is not a whole number from %.0f to %.0f", key, value,
			       k->min, k->max);
	if (d < k->min || d > k->max)
		return ax_fail(msg, "%s: %s is not from %.10g to %.10g", key, value, k->min,
			       k->max);
	switch (k->type) {
	case HS_KEY_REAL:
		memcpy(field, &d, sizeof(d));
		break;
	case HS_KEY_U64:
		memcpy(field, &u, sizeof(u));
		break;
	default:
		memcpy(field, &(uint32_t){ u }, sizeof(uint32_t));
		break;
	}
	return 0;
}

void hs_config_get(const struct hs_config *config, const struct hs_config_key *k, char *text,
		   size_t size)
{
	const char *field = (const char *)config + k->offset;
	uint32_t u32;
	uint64_t u64;
	double d;

	switch (k->type) {
	case HS_KEY_REAL:
		memcpy(&d, field, sizeof(d));
		snprintf(text, size, "%.15g", d);
		if (strtod(text, NULL) != d)
			snprintf(text, size, "%.17g", d);
		break;
	case HS_KEY_U64:
		memcpy(&u64, field, sizeof(u64));
		snprintf(text, size, "%llu", (unsigned long long)u64);
		break;
	default:
		memcpy(&u32, field, sizeof(u32));
		if (k->words)
			snprintf(text, size, "%s", k->words[u32]);
		else
			snprintf(text, size, "%u", u32);
		break;
	}
}

static int check_cache(const char *name, const struct hs_cache_config *c, struct ax_msg *msg)
{
	if (!c->size)
		return 0;
	if (!c->ways || c->ways > c->size)
		return ax_fail(msg, "%s.ways: %u for %u entries: must be 1 to %u", name, c->ways,
			       c->size, c->size);
	if (c->groups > c->size / c->ways)
		return ax_fail(msg, "%s.groups: %u for %u sets: must be 1 to %u", name, c->groups,
			       c->size / c->ways, c->size / c->ways);
	return 0;
}

/* In compat nothing but what the original has can be set. */
static int check_compat(const struct hs_config *config, struct ax_msg *msg)
{
	for (const struct hs_config_key *k = hs_config_keys; k->name; k++) {
		char is[64], was[64];

		hs_config_get(config, k, is, sizeof(is));
		hs_config_get(&base, k, was, sizeof(was));
		if (k->model_only && strcmp(is, was))
			return ax_fail(msg, "%s = %s has no effect in the compat model: leave it at %s, or set model = \"model\"",
				       k->name, is, was);
	}
	if (config->gbps != floor(config->gbps) || config->gbps < 1 || config->gbps > 12336)
		return ax_fail(msg, "link.gbps = %g: the compat model takes whole numbers from 1 to 12336",
			       config->gbps);
	if (!config->pf_enabled)
		return ax_fail(msg, "prefetch.enabled = false: the compat model always prefetches, as the original; prefetch.distance = 100000000 makes it learn nothing");
	return 0;
}

int hs_config_check(const struct hs_config *config, struct ax_msg *msg)
{
	if (check_cache("cc", &config->cc, msg) || check_cache("iotlb", &config->iotlb, msg) ||
	    check_cache("l2", &config->l2, msg) || check_cache("l3", &config->l3, msg) ||
	    check_cache("nested", &config->nested, msg))
		return -1;
	if (config->ns_dram_spread > config->ns_dram)
		return ax_fail(msg, "dram.spread: %u is more than dram.ns (%u)",
			       config->ns_dram_spread, config->ns_dram);
	if (config->model == HS_COMPAT)
		return check_compat(config, msg);
	if (config->pri_rate > 0 && !config->ats)
		return ax_fail(msg, "pri.rate: page requests need ats.enabled = true");
	return 0;
}

void hs_config_print(const struct hs_config *config, FILE *f)
{
	char section[32] = "";

	/* keys without a section come first in TOML */
	for (int with = 0; with < 2; with++) {
		for (const struct hs_config_key *k = hs_config_keys; k->name; k++) {
			const char *dot = strchr(k->name, '.');
			char text[64];

			if (!!dot != with)
				continue;
			hs_config_get(config, k, text, sizeof(text));
			if (dot && (strncmp(section, k->name, dot - k->name) ||
				    section[dot - k->name])) {
				snprintf(section, sizeof(section), "%.*s", (int)(dot - k->name),
					 k->name);
				fprintf(f, "\n[%s]\n", section);
			}
			fprintf(f, k->type == HS_KEY_WORD ? "%s = \"%s\"\n" : "%s = %s\n",
				dot ? dot + 1 : k->name, text);
		}
	}
}

/* --- files ---------------------------------------------------------------------------- */

#define FILE_MAX (1u << 20)	/* of a configuration file, bytes */

int hs_config_parse(struct hs_config *config, const char *name, const char *text, size_t len,
		    struct ax_msg *msg)
{
	size_t end = strlen(name);

	*config = base;
	if (end > 4 && !strcmp(name + end - 4, ".cfg"))
		return hs_config_parse_cfg(config, name, text, len, msg);
	return hs_config_parse_toml(config, name, text, len, msg);
}

int hs_config_load(struct hs_config *config, const char *name, struct ax_msg *msg)
{
	char *text;
	size_t len;
	FILE *f;
	int ret;

	for (const char *const *p = hs_config_presets; *p; p++) {
		if (!strcmp(*p, name))
			return hs_config_preset(config, name, msg);
	}
	f = fopen(name, "r");
	if (!f) {
		if (errno == ENOENT && !strpbrk(name, "./"))
			return hs_config_preset(config, name, msg);
		return ax_fail(msg, "%s: %s", name, strerror(errno));
	}
	text = malloc(FILE_MAX + 1);
	len = text ? fread(text, 1, FILE_MAX + 1, f) : 0;
	if (!text)
		ret = ax_fail(msg, "out of memory");
	else if (ferror(f))
		ret = ax_fail(msg, "%s: %s", name, strerror(errno));
	else if (len > FILE_MAX)
		ret = ax_fail(msg, "%s: longer than %u bytes: not a configuration", name, FILE_MAX);
	else
		ret = hs_config_parse(config, name, text, len, msg);
	fclose(f);
	free(text);
	return ret;
}
