/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters of a region, per CPU, and latency histograms.
 *
 * EMP_COUNTERS() is the only list of counters: the enum, the names in sysfs
 * and (by test) docs/abi-emp.md come from it. Each comment says exactly which
 * event is counted.
 */
#ifndef EMP_STATS_H
#define EMP_STATS_H

#include <linux/percpu.h>
#include <linux/types.h>

#define EMP_COUNTERS(X)								\
	X(fault_minor)		/* ->fault found the subblock in DRAM */	\
	X(fault_zero)		/* ->fault made a page nobody had written */	\
	X(fault_fetch)		/* ->fault began a read from a tier */		\
	X(fault_wait)		/* ->fault slept for a read or a write */	\
	X(fault_nowait)		/* ... would have, but must not: RETRY */	\
	X(fault_async)		/* KVM's asynchronous worker: fetched, not mapped */ \
	X(fault_mkwrite)	/* a clean subblock became dirty */		\
	X(fault_lost)		/* answered with HWPOISON: data lost */		\
	X(fault_no_space)	/* answered with HWPOISON: no DRAM to be had */	\
	X(fault_timeout)	/* answered with HWPOISON: past the deadline */	\
	X(fault_interrupted)	/* gave up waiting for a signal */		\
	X(fault_huge)		/* handed out an order-9 folio */		\
	X(fault_around)		/* pages mapped beyond the one asked for */	\
	X(fault_memory)		/* waited for DRAM to become free */		\
	X(fetch_subblocks)	/* subblocks that a tier delivered */		\
	X(fetch_bytes)		/* bytes read from tiers */			\
	X(prefetch_subblocks)	/* of fetch_subblocks, those nobody waited for */ \
	X(prefetch_used)	/* of these, those that were touched later */	\
	X(prefetch_dropped)	/* subblocks of read-ahead that failed */	\
	X(read_retry)		/* reads repeated after an error */		\
	X(read_error)		/* reads given up */				\
	X(csum_error)		/* wrong bytes from a tier */			\
	X(read_other_copy)	/* subblocks read from the other of two copies */ \
	X(copy_bytes)		/* bytes of second copies written in the background */ \
	X(copy_error)		/* blocks or subblocks whose second copy failed */ \
	X(evict_unmapped)	/* blocks unmapped to see whether they are used */ \
	X(evict_rescued)	/* of these, those used again before eviction */ \
	X(evict_clean)		/* subblocks freed that the tier still had */	\
	X(evict_zero)		/* subblocks freed that were all zero */	\
	X(evict_written)	/* subblocks freed after being written */	\
	X(pin_refused)		/* faults of long-term pins above pin_limit */	\
	X(evict_busy)		/* blocks passed over: in use */		\
	X(evict_direct)		/* blocks evicted by a faulting thread */	\
	X(evict_helped)		/* rounds of eviction by a faulting thread */	\
	X(wb_bytes)		/* bytes written to tiers by write-back */	\
	X(wb_requests)		/* write requests to tiers */			\
	X(wb_error)		/* subblocks whose write failed */		\
	X(wb_redirtied)		/* subblocks written to while being written */	\
	X(wb_no_space)		/* subblocks that found no slot */		\
	X(dirtied_bytes)	/* bytes that became dirty, whole subblocks */	\
	X(discard_subblocks)	/* subblocks given back by punching a hole */	\
	X(huge_split)		/* blocks that went from 2 MiB to subblocks */	\
	X(huge_fallback)	/* 2 MiB wanted, subblocks taken */		\
	X(hwpoison)		/* subblocks hit by a hardware memory error */	\
	X(demoted)		/* blocks moved to a slower tier */		\
	X(promoted)		/* blocks written for a place on a faster one */	\
	X(migrate_error)	/* blocks that could not be moved */		\
	X(moved_off)		/* blocks moved off what is asked back */	\
	X(shrinker_freed)	/* pages freed because the host was short */

enum emp_counter {
#define EMP_X(name) EMP_C_##name,
	EMP_COUNTERS(EMP_X)
#undef EMP_X
	EMP_NR_COUNTERS,
};

#define EMP_HISTS(X)								\
	X(fault_read_ns)	/* a whole read fault that was served */	\
	X(fault_write_ns)	/* a whole write fault that was served */	\
	X(fault_fetch_ns)	/* from the start of a read to its end */

enum emp_hist {
#define EMP_X(name) EMP_H_##name,
	EMP_HISTS(EMP_X)
#undef EMP_X
	EMP_NR_HISTS,
};

#define EMP_HIST_BUCKETS 40	/* bucket i: less than 2^i ns; the last: all beyond */

struct emp_stats {
	u64 count[EMP_NR_COUNTERS];
	u64 hist[EMP_NR_HISTS][EMP_HIST_BUCKETS];
};

static inline u32 emp_hist_bucket(u64 ns)
{
	u32 b = fls64(ns);

	return b < EMP_HIST_BUCKETS ? b : EMP_HIST_BUCKETS - 1;
}

#define emp_count(r, name)	this_cpu_inc((r)->stats->count[EMP_C_##name])
#define emp_count_add(r, name, n) this_cpu_add((r)->stats->count[EMP_C_##name], (n))
#define emp_hist_add(r, name, ns) \
	this_cpu_inc((r)->stats->hist[EMP_H_##name][emp_hist_bucket(ns)])

struct emp_region;
u64 emp_stats_sum(struct emp_region *r, enum emp_counter c);
u64 emp_stats_hist(struct emp_region *r, enum emp_hist h, u32 bucket);

#endif
