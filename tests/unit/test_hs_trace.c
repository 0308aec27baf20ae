// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Formats of traces: what is written is read back, by either format; a file that
 * is cut anywhere or has one byte changed is refused, in words that name it.
 */
#include "hs_test.h"

#define MANY 70001	/* more than two blocks of .hsio */

static struct hs_rec *recs;

static void make_recs(size_t n, bool next, bool invalidations)
{
	struct hs_rng rng;

	hs_rng_seed(&rng, n);
	recs = calloc(n, sizeof(*recs));
	for (size_t i = 0; i < n; i++) {
		recs[i] = random_rec(&rng, 300, 40);
		if (next && i + 1 < n && hs_rng_below(&rng, 10))
			recs[i].next = i + 1 + hs_rng_u64(&rng) % (n - 1 - i);
		if (invalidations && !hs_rng_below(&rng, 20)) {
			recs[i].flags = HS_REC_INVALIDATE;
			recs[i].next = HS_NEVER;
			recs[i].mask = hs_rng_below(&rng, 2) ? 0 : ~UINT64_C(0x7fff);
			recs[i].iova &= recs[i].mask;
		}
	}
}

static bool write_all(const char *path, enum hs_file_format format, bool next, size_t n)
{
	const struct hs_writer_opts opts = { .format = format, .next = next, .note = "a = b\n" };
	struct hs_writer *writer;
	struct hs_written written;
	struct ax_msg msg;

	writer = hs_writer_open(path, &opts, &msg);
	if (!writer)
		return because("%s", msg.text);
	for (size_t i = 0; i < n; i++)
		hs_writer_put(writer, &recs[i]);
	if (hs_writer_close(writer, &written, &msg))
		return because("%s", msg.text);
	return written.records == n || because("%llu records", (unsigned long long)written.records);
}

static bool read_all(const char *path, const char *format, size_t n, unsigned int times)
{
	const struct hs_info *info;
	struct hs_reader *reader;
	const struct hs_rec *rec;
	struct ax_msg msg;
	size_t i = 0;

	reader = hs_reader_open(path, &msg);
	if (!reader)
		return because("%s", msg.text);
	info = hs_reader_info(reader);
	if (strcmp(info->format, format) || info->records != n || info->packet != HS_PACKET)
		return because("info: %s", info->format);
	for (; times; times--) {
		for (i = 0; (rec = hs_reader_next(reader)); i++) {
			if (i == n || !same_rec(rec, &recs[i]))
				return because("record %zu", i);
		}
		if (i != n || hs_reader_error(reader) || hs_reader_next(reader) ||
		    !hs_reader_rewind(reader))
			return because("%zu records, %s", i, hs_reader_error(reader));
	}
	hs_reader_close(reader);
	return true;
}

static bool round_trip(enum hs_file_format format, size_t n, bool next, bool invalidations)
{
	bool orig = format == HS_FILE_ORIG, ok;

	make_recs(n, next, invalidations);
	ok = write_all(in_dir("t"), format, next, n) &&
	     read_all(in_dir("t"), orig ? "hypersio" : "hsio", n, 2);
	free(recs);
	unlink(in_dir("t"));
	return ok;
}

/* Open and read to the end: is it an error, and does the message name the file? */
static bool refused(const char *path)
{
	struct hs_reader *reader;
	struct ax_msg msg;
	bool ok;

	reader = hs_reader_open(path, &msg);
	if (!reader)
		return strstr(msg.text, path);
	while (hs_reader_next(reader))
		;
	ok = hs_reader_error(reader) && strstr(hs_reader_error(reader), path);
	hs_reader_close(reader);
	return ok;
}

static bool cut_anywhere(void)
{
	unsigned char *data;
	bool ok = true;
	size_t len;

	make_recs(500, true, true);
	if (!write_all(in_dir("whole"), HS_FILE_HSIO, true, 500))
		return false;
	free(recs);
	data = read_file(in_dir("whole"), &len);
	for (size_t n = 0; ok && n < len; n++) {
		write_file(in_dir("cut"), data, n);
		ok = refused(in_dir("cut")) || because("cut to %zu of %zu bytes", n, len);
	}
	for (size_t i = 0; ok && i < len; i++) {
		for (unsigned int bit = 0; ok && bit < 8; bit += 7) {
			data[i] ^= 1 << bit;
			write_file(in_dir("cut"), data, len);
			ok = refused(in_dir("cut")) || because("bit %u of byte %zu", bit, i);
			data[i] ^= 1 << bit;
		}
	}
	free(data);
	return ok;
}

/* The original's format has no checksums: what the model could stumble over is refused. */
static bool orig_refuses(size_t offset, uint64_t value, size_t size)
{
	unsigned char *data;
	size_t len;
	bool ok;

	make_recs(10, true, false);
	if (!write_all(in_dir("o"), HS_FILE_ORIG, true, 10))
		return false;
	free(recs);
	data = read_file(in_dir("o_iotlb_trace.bin"), &len);
	memcpy(data + 3 * 48 + offset, &value, size);
	write_file(in_dir("bad.bin"), data, len);
	free(data);
	ok = refused(in_dir("bad.bin"));
	return ok || because("offset %zu value %llx", offset, (unsigned long long)value);
}

static bool writer_refuses(struct hs_rec rec, enum hs_file_format format)
{
	const struct hs_writer_opts opts = { .format = format, .next = true };
	struct hs_writer *writer;
	struct ax_msg msg = { "" };

	writer = hs_writer_open(in_dir("w"), &opts, &msg);
	if (!writer || hs_writer_put(writer, &rec) || !hs_writer_close(writer, NULL, &msg))
		return because("taken");
	return msg.text[0] && access(in_dir("w"), F_OK) && access(in_dir("w.part"), F_OK);
}

static void check_writer(void)
{
	struct hs_rec good = { .did = 1, .sid = 1, .iova = 0x1000, .mask = ~0xfffull, .level = 1,
			       .next = HS_NEVER };
	struct hs_rec r = good;
	bool ok;

	r.level = 0;
	ok = writer_refuses(r, HS_FILE_HSIO);
	r = good;
	r.mask = ~0xf0ull;
	ok &= writer_refuses(r, HS_FILE_HSIO);
	r = good;
	r.next = 0;
	ok &= writer_refuses(r, HS_FILE_HSIO);
	r = good;
	r.flags = 0x40;
	ok &= writer_refuses(r, HS_FILE_HSIO);
	result(ok, "a record that cannot be is not written, and no file stays");
	r = good;
	r.did = 65536;
	ok = writer_refuses(r, HS_FILE_ORIG);
	r = good;
	r.flags = HS_REC_INVALIDATE;
	ok &= writer_refuses(r, HS_FILE_ORIG);
	result(ok, "what the original's format cannot say is refused");
}

static bool small(void)
{
	struct hs_rng rng;
	struct hs_reader *reader;
	struct ax_msg msg;
	double bytes;

	/* 1024 tenants in turn, three pages of six each, offsets at random */
	hs_rng_seed(&rng, 7);
	recs = calloc(300000, sizeof(*recs));
	for (uint32_t i = 0; i < 300000; i++) {
		uint32_t page = i % 3 == 1 ? 2 + hs_rng_below(&rng, 4) : i % 3;

		recs[i].did = i / 3 % 1024;
		recs[i].sid = recs[i].did;
		recs[i].level = page < 2 ? 1 : 2;
		recs[i].mask = hs_level_mask(recs[i].level);
		recs[i].iova = 0xbb800000 + page * 0x200000 + hs_rng_below(&rng, 4096);
		recs[i].slpte = (recs[i].iova & recs[i].mask) | (uint64_t)recs[i].did << 32;
		recs[i].next = i + 3072 * (1 + hs_rng_below(&rng, 4));
		if (recs[i].next >= 300000)
			recs[i].next = HS_NEVER;
	}
	if (!write_all(in_dir("small"), HS_FILE_HSIO, true, 300000))
		return false;
	free(recs);
	reader = hs_reader_open(in_dir("small"), &msg);
	if (!reader)
		return because("%s", msg.text);
	bytes = (double)hs_reader_info(reader)->bytes / 300000;
	if (hs_reader_info(reader)->tenants != 1024)
		return because("%u tenants", hs_reader_info(reader)->tenants);
	hs_reader_close(reader);
	printf("# %.2f bytes a record\n", bytes);
	return bytes <= 8;
}

int main(void)
{
	printf("KTAP version 1\n1..18\n");
	make_dir();
	result(round_trip(HS_FILE_HSIO, MANY, true, false), ".hsio: many records with next uses");
	result(round_trip(HS_FILE_HSIO, MANY, false, true), ".hsio: without them, with invalidations");
	result(round_trip(HS_FILE_HSIO, 32768, true, true), ".hsio: one full block");
	result(round_trip(HS_FILE_HSIO, 1, true, false), ".hsio: one record");
	result(round_trip(HS_FILE_HSIO, 0, true, false), ".hsio: none");
	result(round_trip(HS_FILE_ORIG, MANY, true, false), "the original's: many records");
	result(round_trip(HS_FILE_ORIG, 1, false, false), "the original's: one record");
	result(cut_anywhere(), ".hsio: cut or changed anywhere, it is refused");
	result(orig_refuses(0, 2, 4), "the original's: a type that is not 1");
	result(orig_refuses(16, 0xffffffff00000fff, 8), "the original's: a mask that is none");
	result(orig_refuses(24, 0, 8), "the original's: level 0");
	result(orig_refuses(24, 6, 8), "the original's: level 6");
	result(orig_refuses(40, 2, 8), "the original's: a next use in the past");
	result(orig_refuses(40, 10, 8), "the original's: a next use behind the end");
	check_writer();
	result(small(), ".hsio: at most 8 bytes a record, 1024 tenants");
	write_file(in_dir("empty"), "", 0);
	result(refused(in_dir("empty")) && refused(in_dir("nothing")) && refused(test_dir),
	       "no file, an empty one, a directory");
	if (remove_dir())
		return 1;
	return failures > 0;
}
