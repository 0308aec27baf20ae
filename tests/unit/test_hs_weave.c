// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Construction of traces: packets out of logs, whose turn it is in each order,
 * ids, starts, the same again after a rewind, next uses against a plain count.
 */
#include <math.h>

#include "../../userspace-tools/hypersio/hs_weave_next.h"
#include "../../userspace-tools/hypersio/hs_weave_orig.h"
#include "hs_test.h"

#define TENANTS 100

/* --- logs ------------------------------------------------------------------------------ */

static FILE *begin_log(const char *name)
{
	FILE *f = fopen(in_dir(name), "w");

	if (!f)
		abort();
	return f;
}

static void access_line(FILE *f, unsigned int slot, uint64_t iova)
{
	fprintf(f, "vtd_iotlb_page_hit sid %#x iova %#llx slpte 0x3 domain %#x\n"
		"vtd_dmar_translate dev 00:%02x.00 iova %#llx -> gpa 0x0 mask 0xfff\n", slot << 3,
		(unsigned long long)iova, slot, slot, (unsigned long long)iova & ~0xfffull);
}

/* What QEMU 10's e1000 asks for a packet: descriptor, payload, descriptor, status. */
static void packet_lines(FILE *f, unsigned int slot, uint64_t descriptor, uint64_t payload)
{
	access_line(f, slot, descriptor);
	access_line(f, slot, payload);
	if (payload & 0x800)
		access_line(f, slot, (payload | 0xfff) + 1);
	access_line(f, slot, descriptor);
	access_line(f, slot, descriptor + 12);
}

/* Two devices; packet i of device d has its descriptor at d:1000000 + 16 i. */
static void two_devices(const char *name, unsigned int first, unsigned int second)
{
	FILE *f = begin_log(name);

	for (unsigned int i = 0; i < first || i < second; i++) {
		if (i < first)
			packet_lines(f, 2, 0x2000000 + 16 * i, 0x12000000 + 0x1000 * (i % 50));
		if (i < second)
			packet_lines(f, 3, 0x3000000 + 16 * i, 0x13000000 + 0x1000 * (i % 50));
	}
	fclose(f);
}

static struct hs_streams *streams(const char *log, const struct hs_streams_opts *opts)
{
	struct hs_streams_opts o = *opts;
	struct hs_streams *s;
	struct ax_msg msg;

	o.dir = test_dir;
	s = hs_streams_new(&o, &msg);
	if (s && !hs_streams_log(s, in_dir(log), &msg) && !hs_streams_done(s, &msg))
		return s;
	printf("# %s\n", msg.text);
	hs_streams_free(s);
	return NULL;
}

/* The items of a stream as text: iova in hexadecimal, * where a packet begins, ! invalidation. */
static char *items(struct hs_streams *s, unsigned int stream)
{
	unsigned int spool = s->streams[stream].spool;
	struct hs_item item;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (uint64_t i = 0; hs_spool_read(s->spool, spool, i, &item, 1) == 1; i++)
		fprintf(out, "%s%s%llx", i ? " " : "",
			item.flags & HS_ITEM_FIRST ? "*" : item.flags & HS_REC_INVALIDATE ? "!" : "",
			(unsigned long long)item.iova);
	fclose(out);
	return text;
}

static bool packets_are(const char *log, const char *want, uint64_t left_out,
			struct hs_streams_opts opts)
{
	struct hs_streams *s = streams(log, &opts);
	char *got;
	bool ok;

	if (!s)
		return false;
	got = items(s, 0);
	ok = (!strcmp(got, want) && s->left_out == left_out) ||
	     because("is %s, %llu left out", got, (unsigned long long)s->left_out);
	free(got);
	hs_streams_free(s);
	return ok;
}

static void check_packets(void)
{
	FILE *f = begin_log("p");

	packet_lines(f, 2, 0x1000, 0x5000);
	packet_lines(f, 2, 0x1010, 0x6800);
	packet_lines(f, 2, 0x1020, 0x5000);
	fclose(f);
	result(packets_are("p", "*1000 5000 1000 *1010 6800 7000 *1020 5000 1020", 4,
			   (struct hs_streams_opts){ 0 }),
	       "a stock log: descriptor to descriptor, pages first");
	result(packets_are("p", "*1000 5000 1000 *100c 1010 6800 *7000 1010 101c *1020 5000 1020",
			   1, (struct hs_streams_opts){ .fixed = true }), "fixed: three by three");
	result(packets_are("p", "*1000 5000 1000 100c *1010 6800 7000 1010 *1020 5000 1020 102c",
			   1, (struct hs_streams_opts){ .packet = 4 }), "packets of four");

	f = begin_log("p");
	access_line(f, 2, 0x1000);
	access_line(f, 2, 0x5000);
	access_line(f, 2, 0x5800);		/* the same page again */
	access_line(f, 2, 0x6000);
	access_line(f, 2, 0x1000);
	fclose(f);
	result(packets_are("p", "*1000 5000 6000", 2, (struct hs_streams_opts){ 0 }),
	       "an access to another page counts more than one to the same");

	f = begin_log("p");
	access_line(f, 2, 0x9000);		/* the rest of a packet whose begin is missing */
	packet_lines(f, 2, 0x1000, 0x5000);
	access_line(f, 2, 0x1010);		/* a descriptor without payload */
	access_line(f, 2, 0x101c);
	for (unsigned int i = 2; i < 6; i++)
		packet_lines(f, 2, 0x1000 + 16 * i, 0x5000);
	fclose(f);
	result(packets_are("p", "*1000 5000 1000 *1020 5000 1020 *1030 5000 1030 *1040 5000 1040 *1050 5000 1050",
			   8, (struct hs_streams_opts){ 0 }), "the begin is found again");

	f = begin_log("p");
	for (unsigned int i = 0; i < 8; i++)
		access_line(f, 2, 0x1000 * (i + 1));
	fclose(f);
	result(packets_are("p", "*1000 2000 3000 *4000 5000 6000", 2,
			   (struct hs_streams_opts){ .least = 2 }) &&
	       !streams("p", &(struct hs_streams_opts){ .least = 3 }),
	       "a device without descriptors, one with too few packets");

	f = begin_log("p");
	packet_lines(f, 2, 0x1000, 0x5000);
	fprintf(f, "vtd_inv_desc_iotlb_pages iotlb invalidate domain 0x2 addr 0x5000 mask 0x0\n"
		"vtd_inv_desc_iotlb_domain iotlb invalidate whole domain 0x3\n");
	packet_lines(f, 2, 0x1010, 0x5000);
	packet_lines(f, 2, 0x1020, 0x5000);
	fclose(f);
	result(packets_are("p", "!5000 *1000 5000 1000 *1010 5000 1010 *1020 5000 1020", 3,
			   (struct hs_streams_opts){ .invalidations = true }),
	       "invalidations of the device's domain, not inside a packet");
}

/* --- orders ------------------------------------------------------------------------------- */

struct seen {
	uint64_t records, packets, turns;
	uint64_t of[TENANTS];		/* packets */
	uint64_t first[TENANTS];	/* iova of the first record */
	uint64_t sum;			/* over everything */
	bool aligned, ids;
	uint32_t order[300];		/* of the first packets */
};

static bool run(struct hs_source *w, struct seen *seen)
{
	const struct hs_rec *rec;
	struct hs_rec packet = { 0 };

	memset(seen, 0, sizeof(*seen));
	seen->aligned = true;
	seen->ids = true;
	for (; (rec = w->next(w)); seen->records++) {
		seen->sum = (seen->sum ^ rec->iova ^ rec->did) * 0x9e3779b97f4a7c15;
		seen->ids &= rec->sid == rec->did && rec->did < TENANTS;
		if (!seen->ids)
			return because("tenant %u source %u", rec->did, rec->sid);
		if (seen->records % 3) {
			seen->aligned &= rec->did == packet.did;
			continue;
		}
		/* the first record of a packet is the descriptor's */
		seen->aligned &= rec->iova < 0x10000000;
		seen->turns += !seen->packets || rec->did != packet.did;
		if (!seen->of[rec->did]++)
			seen->first[rec->did] = rec->iova;
		if (seen->packets < 300)
			seen->order[seen->packets] = rec->did;
		seen->packets++;
		packet = *rec;
	}
	return !w->error(w) || because("%s", w->error(w));
}

static bool weave(struct hs_streams *s, struct hs_weave_opts opts, struct seen *seen)
{
	struct seen again;
	struct hs_source *w;
	struct ax_msg msg;
	bool ok;

	w = hs_weave_new(s, &opts, &msg);
	if (!w)
		return because("%s", msg.text);
	ok = run(w, seen) && w->rewind(w) && run(w, &again);
	if (ok && (seen->sum != again.sum || seen->records != again.records))
		ok = because("another trace after a rewind");
	if (ok && seen->packets != hs_weave_packets(w))
		ok = because("%llu packets", (unsigned long long)seen->packets);
	hs_weave_free(w);
	return ok && ((seen->aligned && seen->ids) || because("not aligned"));
}

static void check_rr(struct hs_streams *s)
{
	const struct hs_weave_opts same = { .tenants = 5, .burst = 4, .packets = 41,
					    .same_start = true };
	struct seen seen;
	bool ok;

	ok = weave(s, (struct hs_weave_opts){ .tenants = TENANTS, .burst = 1 }, &seen);
	for (unsigned int i = 0; ok && i < 300; i++)
		ok = seen.order[i] == i % TENANTS || because("packet %u is %u's", i, seen.order[i]);
	for (unsigned int i = 0; ok && i < TENANTS; i++)
		ok = seen.of[i] == 400 || because("%u has %llu", i, (unsigned long long)seen.of[i]);
	result(ok, "rr: in turn, as many as the shortest has");
	for (unsigned int i = 0; ok && i < TENANTS; i++) {
		uint64_t base = i % 2 ? 0x3000000 : 0x2000000, packets = i % 2 ? 400 : 600;
		uint64_t want = base + 16 * (packets * (i / 2) / 50);

		ok = llabs((long long)(seen.first[i] - want)) <= 16 ||
		     because("%u begins at %llx, not %llx", i, (unsigned long long)seen.first[i],
			     (unsigned long long)want);
	}
	result(ok, "spread: the tenants of a device begin at even distances");
	ok = weave(s, same, &seen);
	for (unsigned int i = 0; ok && i < 41; i++)
		ok = seen.order[i] == i / 4 % 5 || because("packet %u is %u's", i, seen.order[i]);
	result(ok && seen.first[4] == 0x2000000 && seen.first[3] == 0x3000000,
	       "rr: bursts, a given length, the same start");
}

/* Pearson's statistic for @n counts with the given shares. */
static double chi2(const uint64_t *counts, const double *shares, uint64_t total, unsigned int n)
{
	double sum = 0;

	for (unsigned int i = 0; i < n; i++)
		sum += pow(counts[i] - shares[i] * total, 2) / (shares[i] * total);
	return sum;
}

static void check_random(struct hs_streams *s)
{
	struct hs_weave_opts opts = { .tenants = TENANTS, .burst = 1, .packets = 200000, .seed = 3,
				      .order = HS_ORDER_RANDOM, .skew = 1 };
	double even[TENANTS], zipf[TENANTS], sum = 0, chi;
	struct seen a, b;
	bool ok;

	for (unsigned int i = 0; i < TENANTS; i++)
		sum += 1 / (i + 1.0);
	for (unsigned int i = 0; i < TENANTS; i++) {
		even[i] = 1.0 / TENANTS;
		zipf[i] = 1 / (i + 1.0) / sum;
	}
	/* 99 degrees of freedom: 180 is exceeded once in a million */
	ok = weave(s, opts, &a);
	chi = chi2(a.of, even, 200000, TENANTS);
	result(ok && chi < 180, "random: all alike");
	opts.seed = 4;
	ok = weave(s, opts, &b);
	result(ok && a.sum != b.sum, "another seed, another trace");
	opts.order = HS_ORDER_ZIPF;
	ok = weave(s, opts, &a);
	chi = chi2(a.of, zipf, 200000, TENANTS);
	result((ok && chi < 180) || because("%g", chi), "zipf: in proportion to the rank");
	opts.order = HS_ORDER_BURST;
	opts.burst = 10;
	ok = weave(s, opts, &a);
	/* a turn that follows one of the same tenant (1 in 100) is not seen as one */
	sum = 200000.0 / a.turns * 99 / 100;
	result((ok && fabs(sum - 10) < 0.4) || because("%g packets", sum), "burst: the mean");
}

/* --- next uses ------------------------------------------------------------------------------ */

struct list {
	struct hs_source source;
	const struct hs_rec *recs;
	size_t nr, at;
};

static const struct hs_rec *list_next(struct hs_source *source)
{
	struct list *list = (struct list *)source;

	return list->at < list->nr ? &list->recs[list->at++] : NULL;
}

static bool list_rewind(struct hs_source *source)
{
	((struct list *)source)->at = 0;
	return true;
}

static const char *list_error(struct hs_source *source)
{
	(void)source;
	return NULL;
}

static bool check_next(size_t n, uint32_t tenants, uint32_t pages)
{
	struct list list = { { list_next, list_rewind, list_error }, NULL, n, 0 };
	struct hs_rec *recs = calloc(n, sizeof(*recs));
	size_t room = (size_t)tenants * (pages + 1) * sizeof(uint64_t);
	uint64_t *last = malloc(room), *want = malloc(n * sizeof(*want));
	struct hs_next *next;
	struct hs_rng rng;
	struct ax_msg msg;
	bool ok = true;

	hs_rng_seed(&rng, n);
	memset(last, 0xff, room);
	for (size_t i = 0; i < n; i++) {
		recs[i] = random_rec(&rng, tenants, pages);
		if (!hs_rng_below(&rng, 30))
			recs[i].flags = HS_REC_INVALIDATE;
	}
	for (size_t i = n; i--;) {
		uint64_t *l = &last[recs[i].did * (pages + 1) + (recs[i].iova >> 30)];

		want[i] = HS_NEVER;
		if (recs[i].flags)
			continue;
		want[i] = *l;
		*l = i;
	}
	list.recs = recs;
	next = hs_next_build(&list.source, n, test_dir, &msg);
	for (size_t i = 0; ok && next && i < n; i++) {
		uint64_t got = 0;

		ok = (hs_next_get(next, &recs[i], &got) && got == want[i]) ||
		     because("record %zu: %llu, not %llu", i, (unsigned long long)got,
			     (unsigned long long)want[i]);
	}
	ok &= !!next;
	hs_next_free(next);
	free(recs);
	free(last);
	free(want);
	return ok;
}

int main(void)
{
	struct hs_streams *s;

	printf("KTAP version 1\n1..18\n");
	make_dir();
	check_packets();
	two_devices("two", 600, 400);
	s = streams("two", &(struct hs_streams_opts){ 0 });
	result(s && s->nr == 2 && s->streams[0].packets == 600 && s->streams[1].packets == 400 &&
	       !strcmp(s->streams[1].name, "two:00:03.0"), "devices");
	if (!s)
		return 1;
	check_rr(s);
	check_random(s);
	hs_streams_free(s);
	result(check_next(900000, 7, 3000), "next uses: several partitions");
	result(check_next(100000, 20000, 2), "next uses: one page of many tenants");
	result(check_next(1, 1, 1), "next uses: one record");
	if (remove_dir())
		return 1;
	return failures > 0;
}
