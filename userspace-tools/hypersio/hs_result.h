/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a run found out, and its output as a table, JSON and a line of CSV.
 */
#ifndef HS_RESULT_H
#define HS_RESULT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "hs_cache.h"
#include "hs_config.h"
#include "hs_hist.h"

/* Where a translation found its answer; their sum is the number of translations. */
enum hs_class {
	HS_CLASS_IOTLB,		/* in the device's IOTLB */
	HS_CLASS_BUFFER,	/* in the prefetch buffer */
	HS_CLASS_MERGED,	/* in the answer to an earlier miss of the same page */
	HS_CLASS_L2,		/* the rest of the walk after a hit of the 2 MiB page cache */
	HS_CLASS_L3,		/* ... of the 1 GiB page cache */
	HS_CLASS_WALK,		/* a walk from the root */
	HS_CLASSES
};

extern const char *const hs_class_names[HS_CLASSES];

struct hs_cache_result {
	struct hs_cache_stats n;
	uint32_t domains, sets;
	uint64_t *row;		/* [sets] allocating accesses */
};

struct hs_tenant_result {
	uint32_t did;
	uint64_t translations;
	uint64_t start, end;	/* first issue, last answer (compat: nominal); ns */
	struct hs_hist *latency;	/* NULL beyond HS_TENANT_HISTS tenants */
};

#define HS_TENANT_HISTS 16384

/* Of a source, compat only: was the address among the source's last ones? */
struct hs_history_result {
	uint32_t sid;
	uint64_t hit, miss;
};

struct hs_predictor_result {
	uint64_t accesses, correct, incorrect, predictions, mappings, same, different;
};

/* Utilization that cannot be exceeded (docs/hypersio-model.md); INFINITY: no such bound. */
struct hs_bounds {
	double line;		/* the link's own speed */
	double ptb;		/* entries over the latency without any queueing */
	double walkers;		/* walkers over the time that walks need */
	double port;		/* requests that the IOMMU takes */
	double inval;		/* invalidation commands */
	double all_hit, all_miss;	/* before the run: if all translations hit, missed */
};

struct hs_result {
	enum hs_model model;
	uint64_t ns;		/* compat: as the original; model: after the warm-up */
	uint64_t translations, packets;
	uint64_t drops;		/* slots in which no packet could start */
	uint64_t mbps;		/* floor(packets * bits / time) */
	double utilization;	/* 1: all devices' links full */
	uint64_t class[HS_CLASSES];
	uint64_t accesses, most_accesses;	/* to memory, by translations; most of one */
	uint64_t prefetches, prefetch_accesses, prefetch_dropped;
	uint64_t cc_accesses;
	uint64_t invalidations, invalidated, page_requests;
	double jain;		/* fairness of the tenants' bandwidths: 1/n to 1 */
	struct hs_bounds bounds;
	struct hs_hist latency;	/* of translations, queueing included */
	uint64_t latency_max, latency_sum;
	struct hs_cache_result cc, iotlb, l2, l3, nested, buffer;
	struct hs_predictor_result predictor;
	uint64_t buffer_fill, buffer_same;
	struct hs_tenant_result *tenant;
	uint32_t nr_tenants;
	struct hs_history_result *history;
	uint32_t nr_history;
};

void hs_result_free(struct hs_result *r);
/* Take over the counters and rows of a cache. */
void hs_result_take_cache(struct hs_cache_result *r, struct hs_cache *c);
/* One more tenant, with number @tenant; -1 with a message. @room: of r->tenant. */
int hs_result_add_tenant(struct hs_result *r, uint32_t tenant, uint32_t did, uint32_t *room,
			 struct ax_msg *msg);
/* Compute what follows from the counters: Mb/s, utilization, fairness. */
void hs_result_finish(struct hs_result *r, const struct hs_config *config);
double hs_bounds_min(const struct hs_bounds *b);

/* The named numbers of a run, in the order of the CSV's columns. */
struct hs_column {
	const char *name;
	double (*get)(const struct hs_result *r);
};

extern const struct hs_column hs_columns[];	/* ended by .name == NULL */

/* @tenants: also one line or object a tenant. */
void hs_result_print(const struct hs_result *r, const struct hs_config *config, bool tenants,
		     FILE *f);
/* As the original prints it (compat only). */
void hs_result_print_original(const struct hs_result *r, const struct hs_config *config, FILE *f);
json_t *hs_result_json(const struct hs_result *r, const struct hs_config *config, bool tenants);
/* A number as in CSV and JSON: whole ones without a point. */
const char *hs_number(double value, char out[32]);

/* A model. @path is read by as many readers as there are devices. */
typedef int hs_run_fn(const struct hs_config *config, const char *path, struct hs_result *result,
		      struct ax_msg *msg);
hs_run_fn hs_compat_run, hs_model_run;
/* Check the configuration and run its model. The result is to be freed in any case. */
hs_run_fn hs_run;

#endif
