// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hs_result.h"

const char *const hs_class_names[HS_CLASSES] = {
	"iotlb", "buffer", "merged", "l2", "l3", "walk"
};

void hs_result_free(struct hs_result *r)
{
	struct hs_cache_result *cache[] = { &r->cc, &r->iotlb, &r->l2, &r->l3, &r->nested,
					    &r->buffer };

	for (size_t i = 0; i < sizeof(cache) / sizeof(cache[0]); i++)
		free(cache[i]->row);
	for (uint32_t i = 0; i < r->nr_tenants; i++)
		free(r->tenant[i].latency);
	free(r->tenant);
	free(r->history);
	memset(r, 0, sizeof(*r));
}

void hs_result_take_cache(struct hs_cache_result *r, struct hs_cache *c)
{
	r->n = c->stats;
	r->domains = c->nr_domains;
	r->sets = c->size ? c->sets : 0;
	r->row = c->row;
	c->row = NULL;
}

int hs_result_add_tenant(struct hs_result *r, uint32_t tenant, uint32_t did, uint32_t *room,
			 struct ax_msg *msg)
{
	struct hs_tenant_result *t;

	if (tenant >= *room) {
		uint32_t more = 2 * tenant + 64;

		t = realloc(r->tenant, more * sizeof(*t));
		if (!t)
			return ax_fail(msg, "out of memory");
		r->tenant = t;
		*room = more;
	}
	t = &r->tenant[tenant];
	*t = (struct hs_tenant_result){ .did = did, .start = UINT64_MAX };
	if (tenant < HS_TENANT_HISTS) {
		t->latency = calloc(1, sizeof(*t->latency));
		if (!t->latency)
			return ax_fail(msg, "out of memory");
	}
	r->nr_tenants = tenant + 1;
	return 0;
}

static uint64_t tenant_mbps(const struct hs_tenant_result *t, const struct hs_config *config)
{
	double bits = 8.0 * config->packet_bytes;

	if (t->end <= t->start)
		return 0;
	return (double)(t->translations / config->packet_translations) * bits * 1000 /
		(t->end - t->start);
}

void hs_result_finish(struct hs_result *r, const struct hs_config *config)
{
	uint64_t bits = 8ull * config->packet_bytes;
	double sum = 0, squares = 0;
	uint32_t n = 0;

	r->packets = r->translations / config->packet_translations;
	if (r->ns)
		r->mbps = (__uint128_t)r->packets * bits * 1000 / r->ns;
	if (r->ns)
		r->utilization = (double)r->packets * bits / r->ns / config->gbps / config->devices;
	for (uint32_t i = 0; i < r->nr_tenants; i++) {
		double x = r->tenant[i].translations;

		/* of those that had something to do */
		if (!x || r->tenant[i].end <= r->tenant[i].start)
			continue;
		x /= r->tenant[i].end - r->tenant[i].start;
		sum += x;
		squares += x * x;
		n++;
	}
	r->jain = n ? sum * sum / (n * squares) : 1;
}

double hs_bounds_min(const struct hs_bounds *b)
{
	return fmin(fmin(fmin(b->line, b->ptb), fmin(b->walkers, b->port)), b->inval);
}

/* The upper end of the bucket, but never more than the largest value itself. */
static uint64_t percentile(const struct hs_result *r, double share)
{
	uint64_t ns = hs_hist_percentile(&r->latency, share);

	return ns < r->latency_max ? ns : r->latency_max;
}

/* --- columns ------------------------------------------------------------------------ */

#define COLUMN(name, expr) \
	static double get_##name(const struct hs_result *r) \
	{ \
		return expr; \
	}

COLUMN(utilization, r->utilization)
COLUMN(mbps, r->mbps)
COLUMN(time_ns, r->ns)
COLUMN(translations, r->translations)
COLUMN(packets, r->packets)
COLUMN(drops, r->drops)
COLUMN(tenants_seen, r->nr_tenants)
COLUMN(jain, r->jain)
COLUMN(bound, hs_bounds_min(&r->bounds))
COLUMN(bound_all_hit, r->bounds.all_hit)
COLUMN(bound_all_miss, r->bounds.all_miss)
COLUMN(p50_ns, percentile(r, 0.5))
COLUMN(p90_ns, percentile(r, 0.9))
COLUMN(p99_ns, percentile(r, 0.99))
COLUMN(p999_ns, percentile(r, 0.999))
COLUMN(max_ns, r->latency_max)
COLUMN(mean_ns, r->translations ? (double)r->latency_sum / r->translations : 0)
COLUMN(class_iotlb, r->class[HS_CLASS_IOTLB])
COLUMN(class_buffer, r->class[HS_CLASS_BUFFER])
COLUMN(class_merged, r->class[HS_CLASS_MERGED])
COLUMN(class_l2, r->class[HS_CLASS_L2])
COLUMN(class_l3, r->class[HS_CLASS_L3])
COLUMN(class_walk, r->class[HS_CLASS_WALK])
COLUMN(hit_share, r->translations ?
	(double)(r->class[HS_CLASS_IOTLB] + r->class[HS_CLASS_BUFFER]) / r->translations : 0)
COLUMN(accesses, r->accesses)
COLUMN(accesses_per_translation, r->translations ? (double)r->accesses / r->translations : 0)
COLUMN(most_accesses, r->most_accesses)
COLUMN(prefetches, r->prefetches)
COLUMN(prefetch_accesses, r->prefetch_accesses)
COLUMN(cc_accesses, r->cc_accesses)
COLUMN(cc_hit, r->cc.n.hit)
COLUMN(cc_miss, r->cc.n.miss)
COLUMN(iotlb_hit, r->iotlb.n.hit)
COLUMN(iotlb_miss, r->iotlb.n.miss)
COLUMN(iotlb_conflict, r->iotlb.n.conflict)
COLUMN(l2_hit, r->l2.n.hit)
COLUMN(l2_miss, r->l2.n.miss)
COLUMN(l2_conflict, r->l2.n.conflict)
COLUMN(l3_hit, r->l3.n.hit)
COLUMN(l3_miss, r->l3.n.miss)
COLUMN(l3_conflict, r->l3.n.conflict)
COLUMN(buffer_fill, r->buffer_fill)
COLUMN(buffer_same, r->buffer_same)
COLUMN(invalidations, r->invalidations)
COLUMN(page_requests, r->page_requests)

#define NAMED(name) { #name, get_##name }

const struct hs_column hs_columns[] = {
	NAMED(utilization), NAMED(mbps), NAMED(time_ns), NAMED(translations), NAMED(packets),
	NAMED(drops), NAMED(tenants_seen), NAMED(jain), NAMED(bound), NAMED(bound_all_hit),
	NAMED(bound_all_miss), NAMED(p50_ns), NAMED(p90_ns), NAMED(p99_ns), NAMED(p999_ns),
	NAMED(max_ns), NAMED(mean_ns), NAMED(class_iotlb), NAMED(class_buffer),
	NAMED(class_merged), NAMED(class_l2), NAMED(class_l3), NAMED(class_walk),
	NAMED(hit_share), NAMED(accesses), NAMED(accesses_per_translation), NAMED(most_accesses),
	NAMED(prefetches), NAMED(prefetch_accesses), NAMED(cc_accesses), NAMED(cc_hit),
	NAMED(cc_miss), NAMED(iotlb_hit), NAMED(iotlb_miss), NAMED(iotlb_conflict), NAMED(l2_hit),
	NAMED(l2_miss), NAMED(l2_conflict), NAMED(l3_hit), NAMED(l3_miss), NAMED(l3_conflict),
	NAMED(buffer_fill), NAMED(buffer_same), NAMED(invalidations), NAMED(page_requests),
	{ NULL, NULL }
};

const char *hs_number(double value, char out[32])
{
	if (isinf(value))
		return strcpy(out, value > 0 ? "inf" : "-inf");
	snprintf(out, 32, value == floor(value) && fabs(value) < 0x1p53 ? "%.0f" : "%.6g", value);
	return out;
}

/* --- JSON ----------------------------------------------------------------------------- */

static json_t *config_json(const struct hs_config *config)
{
	json_t *o = json_object();

	for (const struct hs_config_key *k = hs_config_keys; k->name; k++) {
		char text[64];
		json_t *value;

		hs_config_get(config, k, text, sizeof(text));
		switch (k->type) {
		case HS_KEY_REAL:
			value = json_real(atof(text));
			break;
		case HS_KEY_WORD:
			value = json_string(text);
			break;
		case HS_KEY_BOOL:
			value = json_boolean(!strcmp(text, "true"));
			break;
		default:
			value = json_integer(strtoull(text, NULL, 10));
			break;
		}
		json_object_set_new(o, k->name, value);
	}
	return o;
}

static json_t *number_json(double value)
{
	if (isinf(value) || isnan(value))
		return json_null();
	return value == floor(value) && fabs(value) < 0x1p53 ? json_integer(value) :
		json_real(value);
}

static json_t *tenant_json(const struct hs_tenant_result *t, const struct hs_config *config)
{
	json_t *o = json_object();

	json_object_set_new(o, "did", json_integer(t->did));
	json_object_set_new(o, "translations", json_integer(t->translations));
	json_object_set_new(o, "time_ns", json_integer(t->end > t->start ? t->end - t->start : 0));
	json_object_set_new(o, "mbps", json_integer(tenant_mbps(t, config)));
	if (t->latency) {
		json_object_set_new(o, "p50_ns",
				    json_integer(hs_hist_percentile(t->latency, 0.5)));
		json_object_set_new(o, "p99_ns",
				    json_integer(hs_hist_percentile(t->latency, 0.99)));
		json_object_set_new(o, "p999_ns",
				    json_integer(hs_hist_percentile(t->latency, 0.999)));
	}
	return o;
}

json_t *hs_result_json(const struct hs_result *r, const struct hs_config *config, bool tenants)
{
	json_t *o = json_object(), *bounds = json_object(), *list;

	json_object_set_new(o, "config", config_json(config));
	for (const struct hs_column *c = hs_columns; c->name; c++)
		json_object_set_new(o, c->name, number_json(c->get(r)));
	json_object_set_new(bounds, "line", number_json(r->bounds.line));
	json_object_set_new(bounds, "ptb", number_json(r->bounds.ptb));
	json_object_set_new(bounds, "walkers", number_json(r->bounds.walkers));
	json_object_set_new(bounds, "port", number_json(r->bounds.port));
	json_object_set_new(bounds, "invalidation", number_json(r->bounds.inval));
	json_object_set_new(o, "bounds", bounds);
	if (!tenants)
		return o;
	list = json_array();
	for (uint32_t i = 0; i < r->nr_tenants; i++)
		json_array_append_new(list, tenant_json(&r->tenant[i], config));
	json_object_set_new(o, "tenants", list);
	return o;
}

/* --- the table -------------------------------------------------------------------------- */

static void print_share(FILE *f, const char *name, uint64_t n, uint64_t of)
{
	fprintf(f, "  %-12s %14llu  %6.2f %%\n", name, (unsigned long long)n,
		of ? 100.0 * n / of : 0.0);
}

static void print_cache(FILE *f, const char *name, const struct hs_cache_result *c)
{
	uint64_t looked = c->n.lookup_hit + c->n.lookup_miss;

	if (!c->sets)
		return;
	fprintf(f, "  %-12s %14llu  %6.2f %%  %12llu %12llu %12llu  %8u\n", name,
		(unsigned long long)looked, looked ? 100.0 * c->n.lookup_hit / looked : 0.0,
		(unsigned long long)c->n.hit, (unsigned long long)c->n.miss,
		(unsigned long long)c->n.conflict, c->domains);
}

static void print_bound(FILE *f, const char *name, double bound)
{
	if (!isinf(bound))
		fprintf(f, "  %-12s %13.2f %%\n", name, 100 * bound);
}

static void print_tenants(const struct hs_result *r, const struct hs_config *config, FILE *f)
{
	fprintf(f, "\n%10s %14s %14s %12s %10s %10s %10s\n", "tenant", "translations", "time ns",
		"Mb/s", "p50 ns", "p99 ns", "p99.9 ns");
	for (uint32_t i = 0; i < r->nr_tenants; i++) {
		const struct hs_tenant_result *t = &r->tenant[i];

		fprintf(f, "%10u %14llu %14llu %12llu", t->did,
			(unsigned long long)t->translations,
			(unsigned long long)(t->end > t->start ? t->end - t->start : 0),
			(unsigned long long)tenant_mbps(t, config));
		if (t->latency)
			fprintf(f, " %10llu %10llu %10llu",
				(unsigned long long)hs_hist_percentile(t->latency, 0.5),
				(unsigned long long)hs_hist_percentile(t->latency, 0.99),
				(unsigned long long)hs_hist_percentile(t->latency, 0.999));
		fputc('\n', f);
	}
}

void hs_result_print(const struct hs_result *r, const struct hs_config *config, bool tenants,
		     FILE *f)
{
	double bound = hs_bounds_min(&r->bounds);

	fprintf(f, "%s, %u tenants, %g Gb/s%s\n\n", r->model == HS_COMPAT ? "compat" : "model",
		r->nr_tenants, config->gbps, config->devices > 1 ? " a device" : "");
	fprintf(f, "utilization    %13.2f %%   (%llu Mb/s; bound %.2f %%)\n",
		100 * r->utilization, (unsigned long long)r->mbps, 100 * bound);
	fprintf(f, "time           %15llu ns\n", (unsigned long long)r->ns);
	fprintf(f, "packets        %15llu    (%llu translations)\n", (unsigned long long)r->packets,
		(unsigned long long)r->translations);
	fprintf(f, "drops          %15llu    slots without room for a packet\n",
		(unsigned long long)r->drops);
	fprintf(f, "fairness       %15.4f    Jain's index of the tenants' bandwidths\n", r->jain);
	fprintf(f, "memory         %15.3f    accesses a translation (most: %llu), %llu for prefetches\n",
		r->translations ? (double)r->accesses / r->translations : 0,
		(unsigned long long)r->most_accesses, (unsigned long long)r->prefetch_accesses);
	fprintf(f, "latency        p50 %llu, p90 %llu, p99 %llu, p99.9 %llu, most %llu ns\n",
		(unsigned long long)percentile(r, 0.5),
		(unsigned long long)percentile(r, 0.9),
		(unsigned long long)percentile(r, 0.99),
		(unsigned long long)percentile(r, 0.999),
		(unsigned long long)r->latency_max);
	fprintf(f, "\nanswered by\n");
	for (int i = 0; i < HS_CLASSES; i++)
		print_share(f, hs_class_names[i], r->class[i], r->translations);
	fprintf(f, "\ncaches              lookups   hit        fill hits       misses    evictions   domains\n");
	print_cache(f, "context", &r->cc);
	print_cache(f, "iotlb", &r->iotlb);
	print_cache(f, "buffer", &r->buffer);
	print_cache(f, "l2", &r->l2);
	print_cache(f, "l3", &r->l3);
	print_cache(f, "nested", &r->nested);
	fprintf(f, "\nprefetches     %15llu    (%llu fills, %llu of what was there)\n",
		(unsigned long long)r->prefetches, (unsigned long long)r->buffer_fill,
		(unsigned long long)r->buffer_same);
	if (r->invalidations)
		fprintf(f, "invalidations  %15llu    commands (%llu entries)\n",
			(unsigned long long)r->invalidations, (unsigned long long)r->invalidated);
	if (r->page_requests)
		fprintf(f, "page requests  %15llu\n", (unsigned long long)r->page_requests);
	fprintf(f, "\nbounds of the utilization (docs/hypersio-model.md)\n");
	print_bound(f, "link", r->bounds.line);
	print_bound(f, "ptb", r->bounds.ptb);
	print_bound(f, "walkers", r->bounds.walkers);
	print_bound(f, "port", r->bounds.port);
	print_bound(f, "invalidation", r->bounds.inval);
	print_bound(f, "all hit", r->bounds.all_hit);
	print_bound(f, "all miss", r->bounds.all_miss);
	if (tenants)
		print_tenants(r, config, f);
}

/* --- the original's output ---------------------------------------------------------------- */

#define RULE "------------------------------------------\n"
#define DOUBLE_RULE "======================================================\n"

static void original_config(FILE *f, const char *name, const struct hs_cache_config *c)
{
	fprintf(f, RULE "%s Configuration\n" RULE, name);
	fprintf(f, "SIZE              : %u\nASSOCIATIVITY     : %u\nGROUPS            : %u\n",
		c->size, c->ways, c->groups);
}

static void original_cache(FILE *f, const char *name, const struct hs_cache_result *c)
{
	fprintf(f, RULE "%s Statistics\n" RULE, name);
	fprintf(f, "HIT               : %llu\nMISS              : %llu\nCONFLICT          : %llu\n"
		"# DOMAINS USED    : %u\nRow Stat :\n[", (unsigned long long)c->n.hit,
		(unsigned long long)c->n.miss, (unsigned long long)c->n.conflict, c->domains);
	for (uint32_t i = 0; i < c->sets; i++)
		fprintf(f, "%s%llu", i ? ", " : "", (unsigned long long)c->row[i]);
	fprintf(f, "]\n");
}

void hs_result_print_original(const struct hs_result *r, const struct hs_config *config, FILE *f)
{
	const struct hs_predictor_result *p = &r->predictor;

	fprintf(f, RULE "SIOPERF Configuration\n" RULE "TRANSL QUEUE ENTR : %u\n"
		"TRANSL QUEUE OOO  : %s\nSELECTIVE ALLOC   : %s\n", config->ptb,
		config->order == HS_IN_ORDER ? "NO" : "YES", config->selective ? "YES" : "NO");
	original_config(f, "CC", &config->cc);
	original_config(f, "IOTLB", &config->iotlb);
	original_config(f, "L2PAGE", &config->l2);
	original_config(f, "L3PAGE", &config->l3);
	fprintf(f, RULE "Time elapsed :        %llu ns\nRequests translated:  %llu\n"
		"Pkts dropped:         %llu\n[Mb/s] for 1542B pkts: %llu\n" RULE "Per Flow Statistics:\n",
		(unsigned long long)r->ns, (unsigned long long)r->translations,
		(unsigned long long)r->drops, (unsigned long long)r->mbps);
	for (uint32_t i = 0; i < r->nr_tenants; i++) {
		const struct hs_tenant_result *t = &r->tenant[i];

		fprintf(f, "DID: 0x%6x, Time: %llu ns, Trans #: %6llu, BW %6llu Mb/s\n", t->did,
			(unsigned long long)(t->end - t->start),
			(unsigned long long)t->translations,
			(unsigned long long)tenant_mbps(t, config));
	}
	fprintf(f, RULE);
	original_cache(f, "CC", &r->cc);
	original_cache(f, "IOTLB", &r->iotlb);
	original_cache(f, "L2PAGE", &r->l2);
	original_cache(f, "L3PAGE", &r->l3);
	fprintf(f, DOUBLE_RULE "Prefetcher Statistics\n" DOUBLE_RULE
		"Accesses                   : %llu\nCorrect SID Predictions    : %llu\n"
		"Incorrect SID Predictions  : %llu\nPredictions Made           : %llu\n"
		"New SID mappings           : %llu\nTrans to the same SID      : %llu\n"
		"Trans to diff SID          : %llu\nPrefetch distance          : %u\n"
		"Addr history length        : %u\n", (unsigned long long)p->accesses,
		(unsigned long long)p->correct, (unsigned long long)p->incorrect,
		(unsigned long long)p->predictions, (unsigned long long)p->mappings,
		(unsigned long long)p->same, (unsigned long long)p->different,
		config->pf_distance, config->pf_history);
	for (uint32_t i = 0; i < r->nr_history; i++)
		fprintf(f, "SID 0x%x History Stat      : h %llu m %llu\n", r->history[i].sid,
			(unsigned long long)r->history[i].hit,
			(unsigned long long)r->history[i].miss);
	fprintf(f, DOUBLE_RULE "Prefetcher Buffer Statistics\n" DOUBLE_RULE
		"Buffer size                : %u\nFill the same entry        : %llu\n"
		"Buffer fill                : %llu\nBuffer hit                 : %llu\n"
		"Buffer miss                : %llu\n", config->pf_buffer,
		(unsigned long long)r->buffer_same, (unsigned long long)r->buffer_fill,
		(unsigned long long)r->buffer.n.lookup_hit,
		(unsigned long long)r->buffer.n.lookup_miss);
}
