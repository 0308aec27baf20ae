/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints: /sys/kernel/tracing/events/pim. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pim

#if !defined(PIM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define PIM_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(pim_request,
	TP_PROTO(u32 rank, u32 tag, u32 op, u64 seq),
	TP_ARGS(rank, tag, op, seq),
	TP_STRUCT__entry(
		__field(u32, rank)
		__field(u32, tag)
		__field(u32, op)
		__field(u64, seq)
	),
	TP_fast_assign(
		__entry->rank = rank;
		__entry->tag = tag;
		__entry->op = op;
		__entry->seq = seq;
	),
	TP_printk("rank=%u tag=%u op=%u seq=%llu", __entry->rank, __entry->tag, __entry->op,
		  __entry->seq)
);

TRACE_EVENT(pim_complete,
	TP_PROTO(u32 rank, u32 tag, u64 seq, int result),
	TP_ARGS(rank, tag, seq, result),
	TP_STRUCT__entry(
		__field(u32, rank)
		__field(u32, tag)
		__field(u64, seq)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->rank = rank;
		__entry->tag = tag;
		__entry->seq = seq;
		__entry->result = result;
	),
	TP_printk("rank=%u tag=%u seq=%llu result=%d", __entry->rank, __entry->tag, __entry->seq,
		  __entry->result)
);

TRACE_EVENT(pim_rank_state,
	TP_PROTO(u32 rank, int from, int to),
	TP_ARGS(rank, from, to),
	TP_STRUCT__entry(
		__field(u32, rank)
		__field(int, from)
		__field(int, to)
	),
	TP_fast_assign(
		__entry->rank = rank;
		__entry->from = from;
		__entry->to = to;
	),
	TP_printk("rank=%u from=%d to=%d", __entry->rank, __entry->from, __entry->to)
);

DECLARE_EVENT_CLASS(pim_state_moved,
	TP_PROTO(u32 rank, u64 lease, u32 bytes, u64 ns, int result),
	TP_ARGS(rank, lease, bytes, ns, result),
	TP_STRUCT__entry(
		__field(u32, rank)
		__field(u64, lease)
		__field(u32, bytes)
		__field(u64, ns)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->rank = rank;
		__entry->lease = lease;
		__entry->bytes = bytes;
		__entry->ns = ns;
		__entry->result = result;
	),
	TP_printk("rank=%u lease=%llu bytes=%u ns=%llu result=%d", __entry->rank, __entry->lease,
		  __entry->bytes, __entry->ns, __entry->result)
);

DEFINE_EVENT(pim_state_moved, pim_save,
	TP_PROTO(u32 rank, u64 lease, u32 bytes, u64 ns, int result),
	TP_ARGS(rank, lease, bytes, ns, result)
);

DEFINE_EVENT(pim_state_moved, pim_restore,
	TP_PROTO(u32 rank, u64 lease, u32 bytes, u64 ns, int result),
	TP_ARGS(rank, lease, bytes, ns, result)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE pim_trace
#include <trace/define_trace.h>
