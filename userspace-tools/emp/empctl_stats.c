// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * empctl stats: all counters, as text, JSON or for Prometheus.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/ax_size.h"
#include "emp_stats.h"
#include "emp_sysfs.h"
#include "empctl.h"

struct region {
	char *name;
	struct emp_snapshot snap;
};

static int read_failed(const char *name)
{
	if (errno == EACCES)
		return ax_error("the statistics of region %s are readable by root only", name);
	return ax_error("cannot read the statistics of region %s: %s", name, strerror(errno));
}

static void text(const struct region *r)
{
	char p50[AX_HUMAN], p99[AX_HUMAN], p999[AX_HUMAN];

	printf("%s\n", r->name);
	for (unsigned int i = 0; i < emp_nr_counters; i++) {
		if (r->snap.have[i])
			printf("  %-20s %llu\n", emp_counters[i].name,
			       (unsigned long long)r->snap.counter[i]);
	}
	for (int i = 0; i < EMP_HISTS; i++) {
		const struct emp_hist *h = &r->snap.hist[i];

		if (emp_hist_total(h))
			printf("  %-20s %llu, p50 %s, p99 %s, p99.9 %s\n", emp_hist_names[i],
			       (unsigned long long)emp_hist_total(h),
			       ax_human_ns(emp_hist_quantile(h, 0.5), p50),
			       ax_human_ns(emp_hist_quantile(h, 0.99), p99),
			       ax_human_ns(emp_hist_quantile(h, 0.999), p999));
	}
}

static json_t *to_json(const struct region *r)
{
	json_t *object = json_object();

	json_object_set_new(object, "name", json_string(r->name));
	for (unsigned int i = 0; i < emp_nr_counters; i++) {
		if (r->snap.have[i])
			json_object_set_new(object, emp_counters[i].name,
					    json_integer(r->snap.counter[i]));
	}
	for (int i = 0; i < EMP_HISTS; i++) {
		const struct emp_hist *h = &r->snap.hist[i];
		json_t *hist = json_object(), *buckets = json_array();

		for (int b = 0; b < 63; b++) {
			if (h->bucket[b])
				json_array_append_new(buckets,
						      json_pack("[I, I]", (json_int_t)(1ll << b),
								(json_int_t)h->bucket[b]));
		}
		json_object_set_new(hist, "count", json_integer(emp_hist_total(h)));
		if (emp_hist_total(h)) {
			json_object_set_new(hist, "p50_ns", json_real(emp_hist_quantile(h, 0.5)));
			json_object_set_new(hist, "p99_ns", json_real(emp_hist_quantile(h, 0.99)));
		}
		json_object_set_new(hist, "buckets", buckets);
		json_object_set_new(object, emp_hist_names[i], hist);
	}
	return object;
}

static void family(const char *name, const char *help, const char *type)
{
	printf("# HELP annex_emp_%s %s.\n# TYPE annex_emp_%s %s\n", name, help, name, type);
}

static void prometheus_tiers(const struct region *regions, unsigned int n)
{
	static const struct {
		const char *node, *name, *help, *type;
	} rows[] = {
		{ "bytes", "tier_bytes", "Size of a tier", "gauge" },
		{ "used", "tier_used_bytes", "Bytes of a tier in use", "gauge" },
		{ "asked", "tier_asked_bytes", "Bytes that a donor wants back", "gauge" },
		{ "given_back", "tier_given_back_bytes", "Bytes given back to a donor", "gauge" },
		{ "revoked", "tier_revoked_bytes", "Bytes that a donor took by force", "gauge" },
		{ "parked", "tier_parked_bytes", "Bytes that wait on a donor's disk", "gauge" },
		{ "fetched", "tier_fetched_bytes_total", "Bytes fetched from a donor's disk",
		  "counter" },
		{ "inflight", "tier_inflight", "Operations under way", "gauge" },
		{ "read_bytes", "tier_read_bytes_total", "Bytes read from a tier", "counter" },
		{ "write_bytes", "tier_write_bytes_total", "Bytes written to a tier", "counter" },
		{ "reads", "tier_reads_total", "Read operations", "counter" },
		{ "writes", "tier_writes_total", "Write operations", "counter" },
		{ "read_errors", "tier_read_errors_total", "Read operations that failed",
		  "counter" },
		{ "write_errors", "tier_write_errors_total", "Write operations that failed",
		  "counter" },
		{ "timeouts", "tier_timeouts_total", "Operations past their deadline", "counter" },
	};

	for (unsigned int k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		family(rows[k].name, rows[k].help, rows[k].type);
		for (unsigned int i = 0; i < n; i++) {
			char path[128], device[EMP_SYSFS_VALUE];
			char **ids;
			uint64_t v;

			snprintf(path, sizeof(path), "%.64s/tiers", regions[i].name);
			ids = emp_sysfs_list(path);
			for (char **id = ids; id && *id; id++) {
				snprintf(path, sizeof(path), "tiers/%.32s/device", *id);
				if (emp_sysfs_read(regions[i].name, path, device))
					strcpy(device, "?");
				device[strcspn(device, "\"\\\n")] = '\0';
				snprintf(path, sizeof(path), "tiers/%.32s/%s", *id, rows[k].node);
				if (!emp_sysfs_read_u64(regions[i].name, path, &v))
					printf("annex_emp_%s{region=\"%s\",tier=\"%s\",device=\"%s\"} %llu\n",
					       rows[k].name, regions[i].name, *id, device,
					       (unsigned long long)v);
			}
			emp_sysfs_free(ids);
		}
	}
}

static void prometheus_hist(const struct region *regions, unsigned int n, int id)
{
	char name[32];

	/* fault_read_ns -> fault_read_seconds, the unit Prometheus wants */
	snprintf(name, sizeof(name), "%.*s_seconds", (int)strlen(emp_hist_names[id]) - 3,
		 emp_hist_names[id]);
	family(name, emp_hist_help[id], "histogram");
	for (unsigned int i = 0; i < n; i++) {
		const struct emp_hist *h = &regions[i].snap.hist[id];
		uint64_t below = 0;
		double sum = 0;

		/* every series has the same buckets: 256 ns to 17 s */
		for (int b = 0; b < 64; b++) {
			below += h->bucket[b];
			sum += h->bucket[b] * (b ? 0.75 * (double)(1ull << b) : 1) / 1e9;
			if (b >= 8 && b <= 34)
				printf("annex_emp_%s_bucket{region=\"%s\",le=\"%.9g\"} %llu\n",
				       name, regions[i].name, (double)(1ull << b) / 1e9,
				       (unsigned long long)below);
		}
		printf("annex_emp_%s_bucket{region=\"%s\",le=\"+Inf\"} %llu\n", name,
		       regions[i].name, (unsigned long long)below);
		/* the kernel keeps no sum: this one takes the middle of each bucket */
		printf("annex_emp_%s_sum{region=\"%s\"} %.9g\n", name, regions[i].name, sum);
		printf("annex_emp_%s_count{region=\"%s\"} %llu\n", name, regions[i].name,
		       (unsigned long long)below);
	}
}

static void prometheus(const struct region *regions, unsigned int n)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} gauges[] = {
		{ "size_bytes", "Size of a region", offsetof(struct emp_snapshot, bytes) },
		{ "dram_limit_bytes", "DRAM limit of a region", offsetof(struct emp_snapshot,
		  dram_limit) },
		{ "resident_bytes", "DRAM that a region holds", offsetof(struct emp_snapshot,
		  resident) },
	};

	for (unsigned int k = 0; k < sizeof(gauges) / sizeof(gauges[0]); k++) {
		family(gauges[k].name, gauges[k].help, "gauge");
		for (unsigned int i = 0; i < n; i++) {
			uint64_t v;

			memcpy(&v, (const char *)&regions[i].snap + gauges[k].offset, sizeof(v));
			printf("annex_emp_%s{region=\"%s\"} %llu\n", gauges[k].name,
			       regions[i].name, (unsigned long long)v);
		}
	}
	for (unsigned int c = 0; c < emp_nr_counters; c++) {
		char name[64];

		snprintf(name, sizeof(name), "%s_total", emp_counters[c].name);
		family(name, emp_counters[c].help, "counter");
		for (unsigned int i = 0; i < n; i++) {
			if (regions[i].snap.have[c])
				printf("annex_emp_%s{region=\"%s\"} %llu\n", name, regions[i].name,
				       (unsigned long long)regions[i].snap.counter[c]);
		}
	}
	for (int h = 0; h < EMP_HISTS; h++)
		prometheus_hist(regions, n, h);
	prometheus_tiers(regions, n);
}

static int print_all(const struct ax_args *args, const struct region *regions, unsigned int n)
{
	if (ax_has(args, "prometheus")) {
		prometheus(regions, n);
		return AX_OK;
	}
	if (ax_has(args, "json")) {
		json_t *array;

		if (args->argc)
			return empctl_print_json(to_json(regions));
		array = json_array();
		for (unsigned int i = 0; i < n; i++)
			json_array_append_new(array, to_json(&regions[i]));
		return empctl_print_json(array);
	}
	for (unsigned int i = 0; i < n; i++)
		text(&regions[i]);
	return AX_OK;
}

int empctl_stats(const struct ax_args *args)
{
	char *one[2] = { args->argc ? args->argv[0] : NULL, NULL };
	char **all = NULL, **names = one;
	struct region *regions;
	unsigned int n = 0, i;
	int ret = AX_OK;

	if (args->argc) {
		if (empctl_need_region(args->argv[0]))
			return AX_FAIL;
	} else {
		all = emp_sysfs_list("");
		names = all;
	}
	while (names && names[n])
		n++;
	regions = calloc(n + 1, sizeof(*regions));
	if (!regions)
		return ax_error("out of memory");
	for (i = 0; i < n && ret == AX_OK; i++) {
		regions[i].name = names[i];
		if (emp_snapshot(names[i], &regions[i].snap))
			ret = read_failed(names[i]);
	}
	if (ret == AX_OK)
		ret = print_all(args, regions, n);
	free(regions);
	emp_sysfs_free(all);
	return ret;
}
