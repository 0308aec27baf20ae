// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hypersio trace: logs of a few devices become a trace of many tenants.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/ax_size.h"
#include "hs_trace_write.h"
#include "hs_weave_next.h"
#include "hs_weave_orig.h"
#include "hypersio.h"

struct build {
	const struct ax_args *args;
	const char *out;
	char *dir;			/* of @out, for temporary files */
	glob_t logs;
	struct hs_weave_opts weave;
	struct hs_streams_opts streams;
	bool compat, next;
	char *note;
	size_t note_len;
};

static int parse_order(struct build *b, const char *text)
{
	static const struct {
		const char *name;
		enum hs_weave_order order;
	} orders[] = {
		{ "rr", HS_ORDER_RR }, { "random", HS_ORDER_RANDOM }, { "rand", HS_ORDER_RANDOM },
		{ "zipf", HS_ORDER_ZIPF }, { "burst", HS_ORDER_BURST }, { "log", HS_ORDER_LOG },
	};
	size_t len = strcspn(text, ":");
	char *end;

	b->weave.skew = 1;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		if (strlen(orders[i].name) != len || memcmp(orders[i].name, text, len))
			continue;
		b->weave.order = orders[i].order;
		if (!text[len])
			return AX_OK;
		if (b->weave.order != HS_ORDER_ZIPF)
			break;
		errno = 0;
		b->weave.skew = strtod(text + len + 1, &end);
		if (end != text + len + 1 && !*end && b->weave.skew >= 0 && b->weave.skew <= 10)
			return AX_OK;
		return ax_usage("--order %s: the exponent of zipf is a number from 0 to 10", text);
	}
	return ax_usage("--order: '%s' is not one of rr, random, zipf, zipf:EXPONENT, burst, log",
			text);
}

/* Every --logs and operand is a name or a pattern; their files are sorted one by one. */
static int find_logs(struct build *b)
{
	const struct ax_args *args = b->args;
	int flags = GLOB_NOMAGIC;

	for (unsigned int i = 0; i < args->nr_given + args->argc; i++) {
		const char *pattern = i < args->nr_given ? args->given[i].value :
							   args->argv[i - args->nr_given];
		int ret;

		if (i < args->nr_given && strcmp(args->given[i].opt->name, "logs"))
			continue;
		ret = glob(pattern, flags, NULL, &b->logs);
		if (ret == GLOB_NOMATCH)
			return ax_error("--logs: no file %s", pattern);
		if (ret)
			return ax_error("--logs: cannot look for %s", pattern);
		flags |= GLOB_APPEND;
	}
	if (flags == GLOB_NOMAGIC)
		return ax_usage("which logs? --logs 'DIR/*'");
	return AX_OK;
}

static int read_options(struct build *b)
{
	const char *order = ax_value(b->args, "order"), *start = ax_value(b->args, "start");
	uint64_t tenants, burst, packet, most;
	char *copy;

	b->compat = ax_has(b->args, "compat");
	b->next = !ax_has(b->args, "no-next");
	b->out = ax_value(b->args, "out");
	if (!b->out || !*b->out)
		return ax_usage("which file to write? --out FILE");
	if (!ax_has(b->args, "tenants"))
		return ax_usage("how many tenants? --tenants N");
	most = b->compat ? 65536 : HS_TENANTS_MAX;
	if (!ax_number(b->args, "tenants", 1, most, 0, &tenants) ||
	    !ax_number(b->args, "burst", 1, 1u << 30, b->compat ? HS_PACKET : 1, &burst) ||
	    !ax_number(b->args, "seed", 0, UINT64_MAX, 1, &b->weave.seed) ||
	    !ax_number(b->args, "packets", 1, UINT64_C(1) << 48, 0, &b->weave.packets) ||
	    !ax_number(b->args, "packet", 1, 16, HS_PACKET, &packet) ||
	    !ax_number(b->args, "least", 1, UINT64_MAX, 100, &b->streams.least))
		return AX_USAGE;
	b->weave.tenants = tenants;
	b->weave.burst = burst;
	b->streams.packet = packet;
	if (order && parse_order(b, order))
		return AX_USAGE;
	if (start && strcmp(start, "spread") && strcmp(start, "same"))
		return ax_usage("--start: '%s' is neither spread nor same", start);
	b->weave.same_start = start && !strcmp(start, "same");
	b->streams.fixed = ax_has(b->args, "fixed");
	b->streams.invalidations = ax_has(b->args, "invalidations");
	if (!b->compat && b->weave.order == HS_ORDER_LOG)
		return ax_usage("--order log is only for --compat");
	if (b->compat && (b->weave.order == HS_ORDER_ZIPF || b->weave.order == HS_ORDER_BURST ||
			  b->streams.invalidations || b->weave.packets || packet != HS_PACKET))
		return ax_usage("--compat knows only the orders rr, random and log, and neither --invalidations, --packets nor --packet");
	copy = strdup(b->out);
	b->dir = copy ? strdup(dirname(copy)) : NULL;
	free(copy);
	return b->dir ? AX_OK : ax_error("out of memory");
}

/* Writes all records of @source. */
static int write_trace(struct build *b, struct hs_source *source, struct hs_next *next,
		       struct hs_writer *writer, uint64_t expected)
{
	bool progress = isatty(STDERR_FILENO);
	const struct hs_rec *in;
	struct hs_rec rec;
	uint64_t n = 0;

	if (!source->rewind(source))
		return ax_error("%s", source->error(source));
	while ((in = source->next(source))) {
		rec = *in;
		rec.next = HS_NEVER;
		if (next && !hs_next_get(next, in, &rec.next))
			return ax_error("%s", hs_next_error(next));
		if (!hs_writer_put(writer, &rec))
			return AX_OK;	/* hs_writer_close() says it */
		if (progress && !(++n & 0xfffff))
			fprintf(stderr, "\r%s: %3llu %%", b->out,
				(unsigned long long)(n * 100 / (expected ? expected : 1)));
	}
	if (progress && n > 0xfffff)
		fputs("\r\033[K", stderr);
	if (source->error(source))
		return ax_error("%s", source->error(source));
	return AX_OK;
}

static int build(struct build *b, struct hs_source *source, uint64_t records)
{
	const struct hs_writer_opts opts = {
		.format = b->compat ? HS_FILE_ORIG : HS_FILE_HSIO,
		.packet = b->streams.packet,
		.next = b->next,
		.note = b->note,
	};
	struct hs_writer *writer = NULL;
	struct hs_next *next = NULL;
	struct hs_written written;
	struct ax_msg msg;
	int ret;

	if (b->next) {
		next = hs_next_build(source, records, b->dir, &msg);
		if (!next)
			return ax_error("%s", msg.text);
	}
	writer = hs_writer_open(b->out, &opts, &msg);
	if (!writer) {
		hs_next_free(next);
		return ax_error("%s", msg.text);
	}
	ret = write_trace(b, source, next, writer, records);
	hs_next_free(next);
	if (ret) {
		hs_writer_abort(writer);
		return ret;
	}
	if (b->compat)
		hs_orig_put_tables(source, writer);
	if (hs_writer_close(writer, &written, &msg))
		return ax_error("%s", msg.text);
	records = written.records - written.invalidations;
	printf("%s: %llu translations of %u tenants, %llu packets, %llu invalidations, %.2f bytes a record\n",
	       b->out, (unsigned long long)records, written.tenants,
	       (unsigned long long)(records / b->streams.packet),
	       (unsigned long long)written.invalidations,
	       written.records ? (double)written.bytes / written.records : 0);
	return AX_OK;
}

static int build_compat(struct build *b)
{
	const struct hs_orig_opts opts = {
		.dir = b->dir,
		.tenants = b->weave.tenants,
		.devices = 24,
		.order = b->weave.order,
		.burst = b->weave.burst,
	};
	struct hs_source *source;
	struct ax_msg msg;
	int ret;

	source = hs_orig_new(b->logs.gl_pathv, b->logs.gl_pathc, &opts, &msg);
	if (!source)
		return ax_error("%s", msg.text);
	ret = build(b, source, hs_orig_records(source));
	hs_orig_free(source);
	return ret;
}

/* How it was made, for hypersio info; no paths, so that the same logs give the same bytes. */
static int make_note(struct build *b, const struct hs_streams *s)
{
	static const char *const names[] = { "rr", "random", "zipf", "burst", "log" };
	FILE *out = open_memstream(&b->note, &b->note_len);

	if (!out)
		return ax_error("out of memory");
	fprintf(out, "tenants = %u\norder = %s\nburst = %u\n", b->weave.tenants,
		names[b->weave.order], b->weave.burst);
	if (b->weave.order == HS_ORDER_ZIPF)
		fprintf(out, "skew = %g\n", b->weave.skew);
	if (b->weave.order != HS_ORDER_RR)
		fprintf(out, "seed = %llu\n", (unsigned long long)b->weave.seed);
	fprintf(out, "start = %s\n", b->weave.same_start ? "same" : "spread");
	for (unsigned int i = 0; i < s->nr && ftell(out) < 32768; i++)
		fprintf(out, "device = %s %llu packets\n", s->streams[i].name,
			(unsigned long long)s->streams[i].packets);
	if (fclose(out))
		return ax_error("out of memory");
	return AX_OK;
}

static void report(const struct hs_streams *s)
{
	printf("%u log%s: %llu translations, %u device%s with packets of %u\n", s->logs,
	       s->logs == 1 ? "" : "s", (unsigned long long)s->accesses, s->nr,
	       s->nr == 1 ? "" : "s", s->opts.packet);
	if (s->left_out)
		printf("%llu translations (%.1f %%) left out: repeated ones beyond a packet, or of none\n",
		       (unsigned long long)s->left_out, 100.0 * s->left_out / s->accesses);
	if (s->bad)
		ax_warn("%llu of %llu lines of the logs make no sense and were passed over",
			(unsigned long long)s->bad, (unsigned long long)s->lines);
	if (s->sized < s->accesses)
		ax_warn("the logs do not say how large the pages of %llu translations are: taken for 4 KiB (trace vtd_dmar_translate too)",
			(unsigned long long)(s->accesses - s->sized));
}

static int build_streams(struct build *b, struct hs_streams *s)
{
	struct hs_source *source;
	struct ax_msg msg;
	int ret;

	for (size_t i = 0; i < b->logs.gl_pathc; i++) {
		if (hs_streams_log(s, b->logs.gl_pathv[i], &msg))
			return ax_error("%s", msg.text);
	}
	if (hs_streams_done(s, &msg))
		return ax_error("%s", msg.text);
	report(s);
	ret = make_note(b, s);
	if (ret)
		return ret;
	source = hs_weave_new(s, &b->weave, &msg);
	if (!source)
		return ax_error("%s", msg.text);
	ret = build(b, source, hs_weave_packets(source) * b->streams.packet);
	hs_weave_free(source);
	return ret;
}

int hypersio_trace(const struct ax_args *args)
{
	struct build b = { .args = args };
	struct hs_streams *s;
	struct ax_msg msg;
	int ret;

	ret = read_options(&b);
	if (!ret)
		ret = find_logs(&b);
	if (!ret && b.compat) {
		ret = build_compat(&b);
	} else if (!ret) {
		b.streams.dir = b.dir;
		s = hs_streams_new(&b.streams, &msg);
		ret = s ? build_streams(&b, s) : ax_error("%s", msg.text);
		hs_streams_free(s);
	}
	globfree(&b.logs);
	free(b.dir);
	free(b.note);
	return ret;
}
