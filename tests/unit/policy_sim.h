/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Traces, and replacement policies run over them. See policy_sim.c. */
#ifndef POLICY_SIM_H
#define POLICY_SIM_H

#include "kshim.h"

/**
 * struct sim_trace - a sequence of accesses to blocks
 * @name: for the report
 * @nr_blocks: blocks are 0 ... @nr_blocks - 1
 * @capacity: blocks which DRAM holds
 * @block: the accesses
 * @nr: how many
 * @from: misses and the rest are counted from this access on (before: warm-up)
 * @scan_from: if not 0, hot blocks resident before this access ...
 * @scan_to: ... and no more before this one are reported as lost
 * @hot: first hot block; the hot set is @hot ... @hot + @nr_hot - 1
 * @nr_hot: size of the hot set, if there is one
 */
struct sim_trace {
	char name[64];
	u32 nr_blocks;
	u32 capacity;
	u32 *block;
	size_t nr;
	size_t from;
	size_t scan_from;
	size_t scan_to;
	u32 hot;
	u32 nr_hot;
};

/**
 * struct sim_result - what a policy made of a trace
 * @miss: accesses to blocks which were not resident
 * @soft: accesses to resident blocks which the policy had unmapped
 * @unmap: blocks unmapped to see their use
 * @forced: victims taken by force
 * @lost: part of the hot set lost to the scan, -1 if the trace has none
 */
struct sim_result {
	u64 miss;
	u64 soft;
	u64 unmap;
	u64 forced;
	double lost;
};

/* Overrides of the policy's shares, in 1/128; 0 = its own. */
struct sim_tune {
	u32 new_share;
	u32 su_share;
	u32 mu_share;
};

/* The named traces: fills *t, block[] is the caller's to free. False: no such index. */
bool sim_trace_make(struct sim_trace *t, unsigned int which, u32 capacity);
bool sim_trace_load(struct sim_trace *t, const char *path, double share);
void sim_trace_free(struct sim_trace *t);

struct sim_result sim_emp(const struct sim_trace *t, const struct sim_tune *tune);
struct sim_result sim_lru(const struct sim_trace *t);
struct sim_result sim_opt(const struct sim_trace *t);

/* xorshift64*; state must not be 0 */
static inline u64 sim_rand(u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

static inline u32 sim_below(u64 *state, u32 n)
{
	return (u32)(((sim_rand(state) >> 32) * n) >> 32);
}

#endif
