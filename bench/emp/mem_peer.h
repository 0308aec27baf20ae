/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One way of having more memory than DRAM, and what is done with it. See mem_peer.c. */
#ifndef BENCH_MEM_PEER_H
#define BENCH_MEM_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096ul
#define MAX_THREADS 8

enum peer_kind {
	PEER_EMP,	/* a region's file */
	PEER_ANON,	/* anonymous memory, swapped */
	PEER_TRIVIAL,	/* the trivial fault handler */
	PEER_UFFD,	/* a user-space pager */
};

enum mem_work {
	WORK_TOUCH,	/* each page once, in random order, all cold before */
	WORK_RAND,	/* pages chosen uniformly */
	WORK_SEQ,	/* page after page, round and round */
	WORK_ZIPF,	/* 64-byte records as a trace has them */
	WORK_DIRTY,	/* write to some pages once, all cold before, all evicted after */
};

/**
 * struct peer - how the memory is had
 * @name: in the output
 * @kind: of memory
 * @path: file to map (emp, trivial), block device (uffd)
 * @sysfs: of the region
 * @cgroup: cgroup v2 folder to join before the memory is filled
 * @max: its memory.max in bytes
 * @mode: of the uffd pager: "block", "spin" or "same"
 */
struct peer {
	const char *name;
	enum peer_kind kind;
	const char *path;
	const char *sysfs;
	const char *cgroup;
	uint64_t max;
	const char *mode;
};

/**
 * struct mem_load - what is done, the same for all peers
 * @work: kind
 * @bytes: size of the memory
 * @ops: accesses a pass
 * @write_pct: percent of them that write
 * @seed: of all that is random
 * @trace: record numbers of WORK_ZIPF
 * @nr_trace: how many
 */
struct mem_load {
	enum mem_work work;
	size_t bytes;
	size_t ops;
	unsigned int write_pct;
	uint64_t seed;
	const uint32_t *trace;
	size_t nr_trace;
};

struct pass_cmd {
	uint32_t round;
	uint32_t threads;
	uint32_t write_pct;
	uint32_t step;		/* 0: make cold; 1: run; 2: make cold again and count */
};

/**
 * struct pass_result - what came of a pass
 * @ns: from the first access to the last
 * @ops: accesses made
 * @bad: accesses that saw a wrong value
 * @warm: pages that could not be made cold
 * @distinct: pages that were written to (WORK_DIRTY)
 * @nvcsw, @nivcsw, @minflt, @majflt: of the whole process
 */
struct pass_result {
	uint64_t ns, ops, bad, warm, distinct;
	uint64_t nvcsw, nivcsw, minflt, majflt;
};

/* The child's whole life; @lat is shared and has room for one number a page, in ns. */
__attribute__((noreturn))
void peer_main(const struct peer *p, const struct mem_load *l, uint32_t *lat, int in, int out);

void peer_die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* uffd_pager.c */
void uffd_start(void *mem, size_t bytes, unsigned int slices, const char *dev, const char *mode);

#endif
