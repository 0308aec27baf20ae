/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints: /sys/kernel/tracing/events/emp. "r" is the region's name. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM emp

#if !defined(EMP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define EMP_TRACE_H

#include <linux/tracepoint.h>

#include "emp_region.h"

TRACE_EVENT(emp_fault_begin,
	TP_PROTO(struct emp_region *r, unsigned long pgoff, unsigned int flags),
	TP_ARGS(r, pgoff, flags),
	TP_STRUCT__entry(
		__array(char, region, EMP_NAME_LEN)
		__field(unsigned long, pgoff)
		__field(unsigned int, flags)
	),
	TP_fast_assign(
		memcpy(__entry->region, r->name, EMP_NAME_LEN);
		__entry->pgoff = pgoff;
		__entry->flags = flags;
	),
	TP_printk("region=%s page=%lu flags=0x%x", __entry->region, __entry->pgoff, __entry->flags)
);

TRACE_EVENT(emp_fault_end,
	TP_PROTO(struct emp_region *r, u64 sub, unsigned int result),
	TP_ARGS(r, sub, result),
	TP_STRUCT__entry(
		__array(char, region, EMP_NAME_LEN)
		__field(u64, sub)
		__field(unsigned int, result)
	),
	TP_fast_assign(
		memcpy(__entry->region, r->name, EMP_NAME_LEN);
		__entry->sub = sub;
		__entry->result = result;
	),
	TP_printk("region=%s subblock=%llu result=0x%x", __entry->region, __entry->sub,
		  __entry->result)
);

TRACE_EVENT(emp_fetch_begin,
	TP_PROTO(struct emp_region *r, u64 sub, u32 slot),
	TP_ARGS(r, sub, slot),
	TP_STRUCT__entry(
		__array(char, region, EMP_NAME_LEN)
		__field(u64, sub)
		__field(u32, slot)
	),
	TP_fast_assign(
		memcpy(__entry->region, r->name, EMP_NAME_LEN);
		__entry->sub = sub;
		__entry->slot = slot;
	),
	TP_printk("region=%s subblock=%llu slot=%u", __entry->region, __entry->sub, __entry->slot)
);

TRACE_EVENT(emp_fetch_end,
	TP_PROTO(struct emp_region *r, u64 sub, int err),
	TP_ARGS(r, sub, err),
	TP_STRUCT__entry(
		__array(char, region, EMP_NAME_LEN)
		__field(u64, sub)
		__field(int, err)
	),
	TP_fast_assign(
		memcpy(__entry->region, r->name, EMP_NAME_LEN);
		__entry->sub = sub;
		__entry->err = err;
	),
	TP_printk("region=%s subblock=%llu err=%d", __entry->region, __entry->sub, __entry->err)
);

TRACE_EVENT(emp_evict,
	TP_PROTO(struct emp_region *r, u32 block, bool freed, bool writes, bool busy),
	TP_ARGS(r, block, freed, writes, busy),
	TP_STRUCT__entry(
		__array(char, region, EMP_NAME_LEN)
		__field(u32, block)
		__field(bool, freed)
		__field(bool, writes)
		__field(bool, busy)
	),
	TP_fast_assign(
		memcpy(__entry->region, r->name, EMP_NAME_LEN);
		__entry->block = block;
		__entry->freed = freed;
		__entry->writes = writes;
		__entry->busy = busy;
	),
	TP_printk("region=%s block=%u freed=%d writes=%d busy=%d", __entry->region,
		  __entry->block, __entry->freed, __entry->writes, __entry->busy)
);

TRACE_EVENT(emp_writeback_begin,
	TP_PROTO(struct emp_region *r, u32 tier, unsigned long bytes),
	TP_ARGS(r, tier, bytes),
	TP_STRUCT__entry(
		__array(char, region, EMP_NAME_LEN)
		__field(u32, tier)
		__field(unsigned long, bytes)
	),
	TP_fast_assign(
		memcpy(__entry->region, r->name, EMP_NAME_LEN);
		__entry->tier = tier;
		__entry->bytes = bytes;
	),
	TP_printk("region=%s tier=%u bytes=%lu", __entry->region, __entry->tier, __entry->bytes)
);

TRACE_EVENT(emp_writeback_end,
	TP_PROTO(struct emp_region *r, u32 tier, unsigned long bytes, int err),
	TP_ARGS(r, tier, bytes, err),
	TP_STRUCT__entry(
		__array(char, region, EMP_NAME_LEN)
		__field(u32, tier)
		__field(unsigned long, bytes)
		__field(int, err)
	),
	TP_fast_assign(
		memcpy(__entry->region, r->name, EMP_NAME_LEN);
		__entry->tier = tier;
		__entry->bytes = bytes;
		__entry->err = err;
	),
	TP_printk("region=%s tier=%u bytes=%lu err=%d", __entry->region, __entry->tier,
		  __entry->bytes, __entry->err)
);

TRACE_EVENT(emp_tier_state,
	TP_PROTO(struct emp_region *r, u32 tier, int from, int to),
	TP_ARGS(r, tier, from, to),
	TP_STRUCT__entry(
		__array(char, region, EMP_NAME_LEN)
		__field(u32, tier)
		__field(int, from)
		__field(int, to)
	),
	TP_fast_assign(
		memcpy(__entry->region, r->name, EMP_NAME_LEN);
		__entry->tier = tier;
		__entry->from = from;
		__entry->to = to;
	),
	TP_printk("region=%s tier=%u from=%d to=%d", __entry->region, __entry->tier,
		  __entry->from, __entry->to)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE emp_trace
#include <trace/define_trace.h>
