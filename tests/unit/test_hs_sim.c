// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Properties that every simulation has, on random traces and configurations;
 * closed forms; caches against simple ones.
 *
 * The random part is the same each time. ANNEX_SOAK=1 makes it longer.
 */
#include <math.h>

#include "../../userspace-tools/hypersio/hs_result.h"
#include "hs_test.h"

#define ROUNDING 1.000000001

static unsigned int rounds = 250;

static const char *const trace_file = "random.hsio";

/* --- traces ------------------------------------------------------------------------- */

struct shape {
	uint32_t tenants, pages, packets;
	bool invalidations;
};

/* Packets of three translations of one tenant each, with the index of the next use. */
static bool make_trace(const char *name, const struct shape *s, uint64_t seed)
{
	const struct hs_writer_opts opts = { .format = HS_FILE_HSIO, .next = true };
	size_t n = (size_t)s->packets * HS_PACKET;
	struct hs_rec *rec = calloc(n, sizeof(*rec));
	uint64_t *last = malloc((size_t)s->tenants * s->pages * sizeof(*last));
	struct hs_writer *w;
	struct hs_rng rng;
	struct ax_msg msg;

	hs_rng_seed(&rng, seed);
	for (size_t i = 0; i < n; i++) {
		rec[i] = random_rec(&rng, s->tenants, s->pages);
		if (i % HS_PACKET) {
			rec[i].did = rec[i - 1].did;
			rec[i].sid = rec[i - 1].sid;
		}
		if (s->invalidations && !hs_rng_below(&rng, 50))
			rec[i].flags = HS_REC_INVALIDATE;
	}
	memset(last, 0xff, (size_t)s->tenants * s->pages * sizeof(*last));
	for (size_t i = n; i-- > 0;) {
		/* random_rec() gives each page number an address range of its own */
		uint64_t *at = &last[rec[i].did * s->pages + (rec[i].iova >> 30) - 1];

		if (rec[i].flags)
			continue;
		rec[i].next = *at;
		*at = i;
	}
	w = hs_writer_open(in_dir(name), &opts, &msg);
	for (size_t i = 0; w && i < n; i++)
		hs_writer_put(w, &rec[i]);
	free(rec);
	free(last);
	if (!w || hs_writer_close(w, NULL, &msg))
		return because("%s", msg.text);
	return true;
}

static uint32_t power(struct hs_rng *rng, unsigned int least, unsigned int most)
{
	return 1u << (least + hs_rng_below(rng, most - least + 1));
}

static void random_cache(struct hs_rng *rng, struct hs_cache_config *c)
{
	c->ways = power(rng, 0, 5);
	c->size = c->ways * (hs_rng_below(rng, 4) ? power(rng, 0, 4) : 1 + hs_rng_below(rng, 9));
	c->groups = 1 + hs_rng_below(rng, c->size / c->ways);
	c->policy = hs_rng_below(rng, HS_POLICIES);
	if (!hs_rng_below(rng, 8))
		*c = (struct hs_cache_config){ .groups = 1 };
}

static void random_config(struct hs_rng *rng, struct hs_config *g, enum hs_model model)
{
	struct ax_msg msg;

	hs_config_preset(g, hs_rng_below(rng, 2) ? "base" : "hypertrio", &msg);
	g->model = model;
	g->seed = hs_rng_below(rng, 1000);
	g->gbps = 1 + hs_rng_below(rng, 800);
	g->ptb = power(rng, 0, 8);
	g->order = hs_rng_below(rng, 2);
	random_cache(rng, &g->cc);
	random_cache(rng, &g->iotlb);
	random_cache(rng, &g->l2);
	random_cache(rng, &g->l3);
	g->selective = !hs_rng_below(rng, 5);
	g->pf_buffer = hs_rng_below(rng, 20);
	g->pf_history = 1 + hs_rng_below(rng, 4);
	g->pf_distance = hs_rng_below(rng, 70);
	g->packets = hs_rng_below(rng, 4) ? 0 : 1 + hs_rng_below(rng, 300);
	if (model == HS_COMPAT)
		return;
	g->packet_bytes = 64 + hs_rng_below(rng, 9000);
	g->packet_translations = 1 + hs_rng_below(rng, 5);
	g->full = hs_rng_below(rng, 2);
	g->devices = 1 + hs_rng_below(rng, 4);
	g->ptb_unit = hs_rng_below(rng, 2);
	g->merge = hs_rng_below(rng, 2);
	g->pf_enabled = hs_rng_below(rng, 3) > 0;
	g->pf_filter = hs_rng_below(rng, 2);
	g->pf_relearn = hs_rng_below(rng, 2);
	g->pf_outstanding = power(rng, 0, 8);
	random_cache(rng, &g->nested);
	g->walk = hs_rng_below(rng, 3);
	g->guest_levels = 3 + hs_rng_below(rng, 3);
	g->host_levels = 3 + hs_rng_below(rng, 3);
	g->host_page = hs_rng_below(rng, 3);
	g->walkers = hs_rng_below(rng, 2) ? 0 : 1 + hs_rng_below(rng, 20);
	g->pasid = hs_rng_below(rng, 2);
	g->dram = hs_rng_below(rng, 4);
	g->ns_dram_spread = hs_rng_below(rng, g->ns_dram + 1);
	g->row_hit = hs_rng_unit(rng);
	g->ns_port = hs_rng_below(rng, 40);
	g->inval = hs_rng_below(rng, 3);
	g->inval_pages = hs_rng_below(rng, 4);
	g->ns_inval = 1 + hs_rng_below(rng, 2000);
	g->inval_queue = power(rng, 0, 6);
	g->inval_batch = power(rng, 0, 6);
	g->inval_period_us = 1 + hs_rng_below(rng, 50);
	g->ats = hs_rng_below(rng, 4) > 0;
	g->pri_rate = g->ats && hs_rng_below(rng, 3) == 0 ? hs_rng_unit(rng) : 0;
	g->pri_us = hs_rng_below(rng, 30);
	g->pri_slots = power(rng, 0, 4);
	g->warmup = hs_rng_below(rng, 3) ? 0 : hs_rng_below(rng, 100);
}

/* --- properties -------------------------------------------------------------------------- */

static bool check_counts(const struct hs_config *g, const struct hs_result *r)
{
	uint64_t sum = 0, tenants = 0, hist = 0;
	double bound = hs_bounds_min(&r->bounds);

	for (int i = 0; i < HS_CLASSES; i++)
		sum += r->class[i];
	for (uint32_t i = 0; i < r->nr_tenants; i++)
		tenants += r->tenant[i].translations;
	for (unsigned int i = 0; i < HS_HIST_BUCKETS; i++)
		hist += r->latency.n[i];
	if (sum != r->translations || tenants != r->translations || hist != r->translations)
		return because("%llu translations; answered %llu, by tenants %llu, latencies %llu",
			       (unsigned long long)r->translations, (unsigned long long)sum,
			       (unsigned long long)tenants, (unsigned long long)hist);
	if (r->utilization > bound * ROUNDING)
		return because("utilization %.9f above the bound %.9f (ptb %g, walkers %g, port %g, inval %g)",
			       r->utilization, bound, r->bounds.ptb, r->bounds.walkers,
			       r->bounds.port, r->bounds.inval);
	if (r->jain < 0 || r->jain > ROUNDING)
		return because("fairness %g", r->jain);
	if (g->model == HS_COMPAT) {
		/* each translation looks once and, unless it must not, allocates once */
		if (r->iotlb.n.lookup_hit + r->iotlb.n.lookup_miss != r->translations)
			return because("IOTLB lookups");
		if (g->iotlb.size && !g->selective &&
		    r->iotlb.n.hit + r->iotlb.n.miss != r->translations)
			return because("IOTLB fills");
		if (r->predictor.accesses != r->translations ||
		    r->predictor.correct + r->predictor.incorrect + 1 < r->predictor.predictions)
			return because("predictor");
	}
	return true;
}

static char *as_text(const struct hs_config *g, const struct hs_result *r)
{
	json_t *o = hs_result_json(r, g, true);
	char *text = json_dumps(o, 0);

	json_decref(o);
	return text;
}

static void say_config(const struct hs_config *g)
{
	struct hs_config base;
	struct ax_msg msg;

	hs_config_preset(&base, "base", &msg);
	for (const struct hs_config_key *k = hs_config_keys; k->name; k++) {
		char is[64], was[64];

		hs_config_get(g, k, is, sizeof(is));
		hs_config_get(&base, k, was, sizeof(was));
		if (strcmp(is, was))
			printf("#   %s=%s\n", k->name, is);
	}
}

static bool one_random(struct hs_rng *rng, enum hs_model model)
{
	const struct shape shape = {
		.tenants = 1 + hs_rng_below(rng, 40), .pages = 1 + hs_rng_below(rng, 20),
		.packets = 1 + hs_rng_below(rng, 700), .invalidations = hs_rng_below(rng, 2),
	};
	struct hs_result r, again;
	char *text, *second;
	struct hs_config g;
	struct ax_msg msg;
	bool ok;

	if (!make_trace(trace_file, &shape, hs_rng_u64(rng)))
		return false;
	random_config(rng, &g, model);
	if (hs_run(&g, in_dir(trace_file), &r, &msg)) {
		hs_result_free(&r);
		say_config(&g);
		return because("%s", msg.text);
	}
	ok = check_counts(&g, &r);
	if (ok && (hs_run(&g, in_dir(trace_file), &again, &msg) || !again.nr_tenants)) {
		ok = because("second time: %s", msg.text);
	} else if (ok) {
		text = as_text(&g, &r);
		second = as_text(&g, &again);
		ok = !strcmp(text, second) || because("the second time is another");
		free(text);
		free(second);
		hs_result_free(&again);
	}
	if (!ok)
		say_config(&g);
	hs_result_free(&r);
	return ok;
}

static bool many_random(enum hs_model model)
{
	struct hs_rng rng;

	hs_rng_seed(&rng, 5 + model);
	for (unsigned int i = 0; i < rounds; i++) {
		if (!one_random(&rng, model))
			return because("round %u", i);
	}
	return true;
}

/* One translation at a time: the IOTLB is a plain cache, and Belady's victim is the best one. */
static bool oracle_is_best(void)
{
	struct hs_rng rng;

	hs_rng_seed(&rng, 9);
	for (unsigned int i = 0; i < rounds; i++) {
		const struct shape shape = {
			.tenants = 1 + hs_rng_below(&rng, 9), .pages = 1 + hs_rng_below(&rng, 30),
			.packets = 500,
		};
		uint64_t hits[HS_POLICIES];
		struct hs_config g;
		struct ax_msg msg;

		if (!make_trace(trace_file, &shape, i))
			return false;
		hs_config_preset(&g, "base", &msg);
		random_cache(&rng, &g.iotlb);
		g.model = HS_MODEL;
		g.order = HS_IN_ORDER;
		g.full = HS_FULL_WAIT;	/* no drops */
		g.pf_enabled = false;
		for (int p = 0; p < HS_POLICIES; p++) {
			struct hs_result r;

			g.iotlb.policy = p;
			if (hs_run(&g, in_dir(trace_file), &r, &msg))
				return because("%s", msg.text);
			hits[p] = r.class[HS_CLASS_IOTLB];
			if (r.drops)
				return because("drops");
			hs_result_free(&r);
		}
		for (int p = 0; p < HS_POLICIES; p++) {
			if (hits[HS_ORACLE] < hits[p])
				return because("round %u: %s has %llu hits, oracle %llu", i,
					       hs_policy_names[p], (unsigned long long)hits[p],
					       (unsigned long long)hits[HS_ORACLE]);
		}
	}
	return true;
}

/* --- closed forms -------------------------------------------------------------------------- */

/* @n packets of three different 4 KiB pages each, never used again. */
static bool make_cold(const char *name, uint32_t n, uint8_t level, bool same)
{
	const struct hs_writer_opts opts = { .format = HS_FILE_HSIO, .next = true };
	struct ax_msg msg;
	struct hs_writer *w = hs_writer_open(in_dir(name), &opts, &msg);

	for (uint32_t i = 0; w && i < n * HS_PACKET; i++) {
		struct hs_rec rec = {
			.sid = 16, .did = 1, .level = level, .mask = hs_level_mask(level),
			.iova = same ? 0x40000000 : (uint64_t)(i + 1) << 30, .next = HS_NEVER,
		};

		hs_writer_put(w, &rec);
	}
	return w && !hs_writer_close(w, NULL, &msg);
}

static bool run_set(const char *trace, struct hs_result *r, const char *settings)
{
	char copy[512], *save = NULL;
	struct hs_config g;
	struct ax_msg msg;

	hs_config_preset(&g, "base", &msg);
	snprintf(copy, sizeof(copy), "%s", settings);
	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		char *value = strchr(s, '=');

		*value++ = '\0';
		if (hs_config_set(&g, s, value, &msg))
			return because("%s", msg.text);
	}
	if (hs_run(&g, in_dir(trace), r, &msg)) {
		hs_result_free(r);
		return because("%s", msg.text);
	}
	return true;
}

static bool near(double is, double want, double tolerance, const char *what)
{
	return fabs(is - want) <= tolerance * want || because("%s: %g, not %g", what, is, want);
}

/* In the original's model a packet of three walks of 4 KiB pages is done after 1001 ns. */
static bool compat_forms(void)
{
	struct hs_result r;
	bool ok;

	if (!make_cold("cold", 2000, 1, false) || !make_cold("hot", 2000, 1, true))
		return because("traces");
	if (!run_set("cold", &r, "prefetch.distance=100000000 l2.size=0 l3.size=0"))
		return false;
	ok = near(r.mbps, 12336.0 / 976 * 1000, 0.001, "one packet a time, all miss") &&
		near(r.utilization, r.bounds.all_miss, 0.001, "the bound of all misses");
	hs_result_free(&r);
	if (!ok || !run_set("cold", &r, "prefetch.distance=100000000 l2.size=0 l3.size=0 ptb=32"))
		return false;
	ok = near(r.mbps, 11 * 12336.0 / 976 * 1000, 0.01, "eleven packets at a time");
	hs_result_free(&r);
	if (!ok || !run_set("hot", &r, "ptb=3"))
		return false;
	ok = near(r.mbps, 12336.0 / 61 * 1000, 0.02, "all hit: the slot of 61 ns");
	hs_result_free(&r);
	return ok;
}

/* Latency of a miss with nothing else under way, in accesses of 50 ns; 908 ns is the rest. */
static bool walk_is(const char *trace, const char *settings, unsigned int accesses)
{
	char text[512];
	struct hs_result r;
	bool ok;

	snprintf(text, sizeof(text), "model=model packets=1 l2.size=0 l3.size=0 nested.size=0 "
		 "link.packet_translations=1 cc.size=0 %s", settings);
	if (!run_set(trace, &r, text))
		return false;
	/* the context cache's two accesses are in the latency, not among the walk's */
	ok = (r.accesses == accesses || because("%s: %llu accesses, not %u", settings,
						(unsigned long long)r.accesses, accesses)) &&
		near(r.latency_max, 908 + 50 * (accesses + 2), 0.0001, settings);
	hs_result_free(&r);
	return ok;
}

static bool model_forms(void)
{
	struct hs_result r;
	bool ok;

	if (!make_cold("cold", 2000, 1, false) || !make_cold("large", 10, 2, false) ||
	    !make_cold("hot", 2000, 1, true))
		return because("traces");
	if (!walk_is("cold", "walk.mode=nested", 24) ||
	    !walk_is("large", "walk.mode=nested", 19) ||
	    !walk_is("cold", "walk.mode=nested walk.host_page=1G", 14) ||
	    !walk_is("cold", "walk.mode=nested walk.guest_levels=5 walk.host_levels=5", 35) ||
	    !walk_is("cold", "walk.mode=second", 4) || !walk_is("large", "walk.mode=second", 3) ||
	    !walk_is("cold", "walk.mode=first walk.guest_levels=5", 5))
		return false;
	/* two more accesses with a PASID */
	if (!run_set("cold", &r, "model=model packets=1 walk.mode=second walk.pasid=true"))
		return false;
	ok = near(r.latency_max, 908 + 50 * (4 + 4), 0.0001, "PASID") && r.cc_accesses == 4;
	hs_result_free(&r);
	/* one walker: a walk of 1200 ns after the other; the link is not what limits */
	if (!ok || !run_set("cold", &r, "model=model walk.walkers=1 ptb=512 l2.size=0 l3.size=0 "
			    "nested.size=0"))
		return false;
	ok = near(r.mbps, 12336.0 / 3600 * 1000, 0.01, "one walker") &&
		near(r.utilization, r.bounds.all_miss, 0.01, "its bound");
	hs_result_free(&r);
	/* all hit: full, and never more than that */
	if (!ok || !run_set("hot", &r, "model=model ptb=3"))
		return false;
	ok = r.utilization <= 1 && near(r.utilization, 1, 0.02, "line rate");
	hs_result_free(&r);
	return ok;
}

#define SLOW "model=model link.gbps=1 link.packet_translations=1 "

static bool invalidations(void)
{
	struct hs_result r;
	bool ok;

	/* each page is unmapped as soon as it was used, and the next packet comes much later */
	if (!make_cold("hot", 2000, 1, true) ||
	    !run_set("hot", &r, SLOW "inval.mode=strict inval.pages=3"))
		return false;
	ok = (!r.class[HS_CLASS_IOTLB] && r.invalidations >= 5999) ||
		because("strict: %llu hits, %llu commands",
			(unsigned long long)r.class[HS_CLASS_IOTLB],
			(unsigned long long)r.invalidations);
	hs_result_free(&r);
	if (!ok ||
	    !run_set("hot", &r, SLOW "inval.mode=deferred inval.batch=100 inval.period=10000000"))
		return false;
	ok = (r.invalidations == 60 && r.class[HS_CLASS_WALK] + r.class[HS_CLASS_L2] == 60) ||
		because("deferred: %llu flushes, %llu misses", (unsigned long long)r.invalidations,
			(unsigned long long)(r.translations - r.class[HS_CLASS_IOTLB]));
	hs_result_free(&r);
	/* by age: a packet each 12.3 us, so a flush about each 10 packets */
	if (!ok ||
	    !run_set("hot", &r, SLOW "inval.mode=deferred inval.batch=1000 inval.period=123"))
		return false;
	ok = near(r.invalidations, 6000 / 10.9, 0.05, "flushes by age");
	hs_result_free(&r);
	return ok;
}

static bool page_requests(void)
{
	struct hs_result r;
	bool ok;

	if (!make_cold("cold", 100, 1, false) ||
	    !run_set("cold", &r, SLOW "pri.rate=1 walk.mode=second packets=1 cc.size=0"))
		return false;
	/* two requests of 1208 ns less one lookup of 2, and 20 us and a round trip in between */
	ok = r.page_requests == 1 && near(r.latency_max, 2 * 1208 - 2 + 20000 + 900, 0.0001, "PRI");
	hs_result_free(&r);
	return ok;
}

static bool memory_latencies(void)
{
	static const char *const names[] = { "fixed", "uniform", "exponential", "rows" };
	bool ok = make_cold("cold", 3000, 1, false);

	for (int i = 0; ok && i < 4; i++) {
		struct hs_result r;
		char text[256];

		snprintf(text, sizeof(text), "model=model ptb=1 dram.distribution=%s dram.spread=20 walk.mode=second l2.size=0 l3.size=0",
			 names[i]);
		if (!run_set("cold", &r, text))
			return false;
		ok = near((double)r.latency_sum / r.translations, 908 + 4 * 50, 0.005, names[i]);
		hs_result_free(&r);
	}
	return ok;
}

/* What starts and what is dropped are all the slots there were. */
static bool slots_add_up(void)
{
	const struct shape shape = { .tenants = 50, .pages = 9, .packets = 3000 };
	struct hs_result r;
	bool ok;

	if (!make_trace(trace_file, &shape, 3) || !run_set(trace_file, &r, "model=model ptb=8"))
		return false;
	ok = near((r.packets + r.drops) * 61.68, r.ns, 0.005, "slots of the model");
	hs_result_free(&r);
	if (!ok || !run_set(trace_file, &r, "ptb=8"))
		return false;
	ok = near((r.packets + r.drops) * 61, r.ns, 0.005, "slots of compat");
	hs_result_free(&r);
	return ok;
}

/* --- caches against the simplest ones that do the same --------------------------------------- */

static bool caches_alike(uint32_t ways, uint32_t sets)
{
	struct hs_cache_config config = { ways * sets, ways, 1, HS_LRU };
	uint64_t *list;		/* of each set, newest first */
	uint32_t *used;
	struct hs_cache c;
	struct hs_rng rng;
	struct ax_msg msg;
	bool ok = true;

	hs_rng_seed(&rng, ways);
	if (hs_cache_init(&c, &config, 0, 1, "test", &msg))
		return because("%s", msg.text);
	list = malloc(ways * sets * sizeof(*list));
	used = calloc(sets, sizeof(*used));
	for (unsigned int i = 0; ok && i < 200000; i++) {
		uint64_t key = hs_rng_below(&rng, ways * sets * 3 / 2), *l;
		uint32_t set = key % sets, at = 0;
		bool there, remove = !hs_rng_below(&rng, 16), got;

		l = list + set * ways;
		while (at < used[set] && l[at] != key)
			at++;
		there = at < used[set];
		if (remove) {
			got = hs_cache_remove(&c, set, key);
			if (there)
				memmove(l + at, l + at + 1, (--used[set] - at) * sizeof(*l));
		} else {
			got = hs_cache_access(&c, set, key, 0);
			if (!there && used[set] < ways)
				used[set]++;
			if (!there)
				at = used[set] - 1;
			memmove(l + 1, l, at * sizeof(*l));
			l[0] = key;
		}
		ok = got == there || because("%u ways: step %u", ways, i);
	}
	hs_cache_free(&c);
	free(list);
	free(used);
	return ok;
}

/* LFU: what is used more often than all the others is never the victim. */
static bool lfu_keeps(void)
{
	struct hs_cache_config config = { 8, 8, 1, HS_LFU };
	struct hs_cache c;
	struct ax_msg msg;
	bool ok = true;

	if (hs_cache_init(&c, &config, 0, 1, "test", &msg))
		return because("%s", msg.text);
	hs_cache_access(&c, 0, 1, 0);
	for (uint64_t i = 0; ok && i < 1000; i++) {
		hs_cache_probe(&c, 0, 1, 0);
		hs_cache_access(&c, 0, 100 + i, 0);
		ok = hs_cache_find(&c, 0, 1) >= 0 || because("gone after %llu",
							     (unsigned long long)i);
	}
	hs_cache_free(&c);
	return ok;
}

int main(void)
{
	const char *soak = getenv("ANNEX_SOAK");

	if (soak && *soak)
		rounds *= 10;
	make_dir();
	printf("TAP version 14\n1..12\n");
	result(caches_alike(4, 8) && caches_alike(8, 5) && caches_alike(16, 4) &&
	       caches_alike(7, 3), "caches-scanned");
	result(caches_alike(17, 4) && caches_alike(300, 1), "caches-indexed");
	result(lfu_keeps(), "lfu");
	result(many_random(HS_COMPAT), "properties-compat");
	result(many_random(HS_MODEL), "properties-model");
	result(oracle_is_best(), "oracle");
	result(compat_forms(), "closed-forms-compat");
	result(model_forms(), "closed-forms-model");
	result(invalidations(), "invalidations");
	result(page_requests(), "page-requests");
	result(memory_latencies(), "memory-latencies");
	result(slots_add_up(), "slots");
	if (remove_dir())
		return 1;
	return failures != 0;
}
