// SPDX-License-Identifier: GPL-2.0-or-later
/* Prints what the replacement policy, LRU and OPT make of the traces of policy_sim.c. */
#include <getopt.h>

#include "policy_sim.h"

static bool json, lists;

static void usage(FILE *to)
{
	fprintf(to,
		"usage: policy_sim [--json] [--capacity BLOCKS] [--only NAME]\n"
		"                  [--new N] [--su N] [--mu N] [--no-opt] [--trace FILE]\n"
		"  --capacity  blocks which DRAM holds in the named traces (default 16384)\n"
		"  --only      only traces whose name begins with NAME\n"
		"  --new, --su, --mu  new_share, su_share, mu_share instead of the policy's own,\n"
		"              in 1/128\n"
		"  --no-opt    leave OPT out (it takes most of the memory)\n"
		"  --trace     a file of block numbers as text; DRAM holds 25%%, 50%%, 75%%\n");
}

static double ratio(u64 a, u64 b)
{
	return b ? (double)a / b : 0;
}

static void run(const struct sim_trace *t, const struct sim_tune *tune, bool opt)
{
	struct sim_result e = sim_emp(t, tune), l = sim_lru(t), o = { .lost = -1 };
	u64 nr = t->nr - t->from;

	if (opt)
		o = sim_opt(t);
	if (json) {
		printf("%s\n  {\"trace\": \"%s\",", lists ? "," : "[", t->name);
		printf(" \"blocks\": %u, \"capacity\": %u, \"accesses\": %llu,\n",
		       t->nr_blocks, t->capacity, (unsigned long long)nr);
		printf("   \"emp\": {\"misses\": %llu, \"soft_faults\": %llu,",
		       (unsigned long long)e.miss, (unsigned long long)e.soft);
		printf(" \"unmaps\": %llu, \"forced\": %llu, \"hot_lost\": %.4f},\n",
		       (unsigned long long)e.unmap, (unsigned long long)e.forced, e.lost);
		printf("   \"lru\": {\"misses\": %llu, \"hot_lost\": %.4f}",
		       (unsigned long long)l.miss, l.lost);
		if (opt)
			printf(", \"opt\": {\"misses\": %llu, \"hot_lost\": %.4f}",
			       (unsigned long long)o.miss, o.lost);
		printf(",\n   \"miss_vs_lru\": %.4f, \"soft_per_miss\": %.4f}",
		       ratio(e.miss, l.miss), ratio(e.soft, e.miss));
	} else {
		if (!lists)
			printf("%-24s %8s %8s %8s %7s %9s %10s %7s %6s %6s\n", "trace", "miss",
			       "LRU", "OPT", "vs LRU", "soft/miss", "unmap/miss", "forced",
			       "lost", "by LRU");
		printf("%-24s %7.3f%% %7.3f%% %7.3f%% %7.3f %9.3f %10.3f %7llu",
		       t->name, 100 * ratio(e.miss, nr), 100 * ratio(l.miss, nr),
		       100 * ratio(o.miss, nr), ratio(e.miss, l.miss), ratio(e.soft, e.miss),
		       ratio(e.unmap, e.miss), (unsigned long long)e.forced);
		if (e.lost >= 0)
			printf(" %5.1f%% %5.1f%%", 100 * e.lost, 100 * l.lost);
		printf("\n");
	}
	fflush(stdout);
	lists = true;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "capacity", required_argument, NULL, 'c' },
		{ "only", required_argument, NULL, 'o' },
		{ "new", required_argument, NULL, 'N' },
		{ "su", required_argument, NULL, 'S' },
		{ "mu", required_argument, NULL, 'M' },
		{ "no-opt", no_argument, NULL, 'n' },
		{ "trace", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	const char *only = "", *file = NULL;
	struct sim_tune tune = { 0 };
	unsigned long capacity = 16384;
	struct sim_trace t;
	bool opt = true;
	unsigned int i;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			json = true;
			break;
		case 'c':
			capacity = strtoul(optarg, NULL, 0);
			break;
		case 'o':
			only = optarg;
			break;
		case 'N':
			tune.new_share = strtoul(optarg, NULL, 0);
			break;
		case 'S':
			tune.su_share = strtoul(optarg, NULL, 0);
			break;
		case 'M':
			tune.mu_share = strtoul(optarg, NULL, 0);
			break;
		case 'n':
			opt = false;
			break;
		case 't':
			file = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind != argc || capacity < 64 || capacity > 1 << 24) {
		fprintf(stderr, "policy_sim: --capacity must be 64 to %d; no other arguments\n",
			1 << 24);
		usage(stderr);
		return 2;
	}
	if (file) {
		for (i = 1; i <= 3; i++) {
			if (!sim_trace_load(&t, file, i * 0.25)) {
				fprintf(stderr, "policy_sim: cannot use %s\n", file);
				return 1;
			}
			run(&t, &tune, opt);
			sim_trace_free(&t);
		}
	} else {
		for (i = 0; sim_trace_make(&t, i, capacity); i++) {
			if (!strncmp(t.name, only, strlen(only)))
				run(&t, &tune, opt);
			sim_trace_free(&t);
		}
	}
	if (json)
		printf("%s\n", lists ? "\n]" : "[]");
	return 0;
}
