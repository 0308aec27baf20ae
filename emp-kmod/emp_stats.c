// SPDX-License-Identifier: GPL-2.0-only
/* Reading the counters of a region: sums over CPUs, racy on purpose. */
#include "emp_region.h"

u64 emp_stats_sum(struct emp_region *r, enum emp_counter c)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(r->stats, cpu)->count[c]);
	return sum;
}

u64 emp_stats_hist(struct emp_region *r, enum emp_hist h, u32 bucket)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(r->stats, cpu)->hist[h][bucket]);
	return sum;
}
