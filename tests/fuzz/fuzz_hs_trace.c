// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz hypersio's readers of traces and logs, and the construction of a trace out
 * of what a log said.
 *
 * The first byte of the input says what the rest is: a file as it is; an .hsio file
 * whose checksums are put right first, so that what is behind them is reached; the
 * content of an .hsio block; a log.
 *
 * libFuzzer:	clang -fsanitize=fuzzer,address,undefined fuzz_hs_trace.c ...
 * Without it:	-DFUZZ_STANDALONE: mutates its own seeds, always the same way;
 *		the first argument or ANNEX_FUZZ_COUNT is the number of rounds.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

#include "../../userspace-tools/hypersio/hs_log.h"
#include "../../userspace-tools/hypersio/hs_trace_hsio.h"
#include "../../userspace-tools/hypersio/hs_trace_write.h"
#include "../../userspace-tools/hypersio/hs_weave_next.h"
#include "../../userspace-tools/hypersio/hs_weave_orig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) do {							\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);	\
		abort();						\
	}								\
} while (0)

enum kind { FILE_AS_IS, FILE_MENDED, CONTENT, LOG, KINDS };

/* A file in memory: its path, good while the returned descriptor is open. */
static int file_of(const void *data, size_t size, char path[32])
{
	int fd = memfd_create("fuzz", 0);

	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

static void check_rec(const struct hs_rec *rec, uint64_t index, const struct hs_info *info)
{
	uint64_t size = ~rec->mask + 1;

	MUST(index < info->records);
	MUST(rec->level >= 1 && rec->level <= HS_LEVEL_MAX && !(rec->flags & ~HS_REC_FLAGS));
	MUST((size >= 4096 && !(size & (size - 1))) ||
	     (!rec->mask && (rec->flags & HS_REC_INVALIDATE)));
	MUST(rec->next == HS_NEVER || (rec->next > index && rec->next < info->records));
}

static void read_trace(const void *data, size_t size)
{
	struct hs_reader *reader;
	const struct hs_rec *rec;
	struct ax_msg msg = { "" };
	uint64_t n = 0;
	char path[32];
	int fd;

	fd = file_of(data, size, path);
	reader = hs_reader_open(path, &msg);
	if (!reader) {
		MUST(msg.text[0] && memchr(msg.text, '\0', sizeof(msg.text)));
		close(fd);
		return;
	}
	MUST(hs_reader_info(reader)->packet && hs_reader_info(reader)->note);
	while ((rec = hs_reader_next(reader)))
		check_rec(rec, n++, hs_reader_info(reader));
	MUST(n == hs_reader_info(reader)->records || hs_reader_error(reader));
	hs_reader_close(reader);
	close(fd);
}

/* Put right the checksums of what looks like header, blocks and trailer. */
static void mend(uint8_t *data, size_t size)
{
	size_t at = sizeof(struct hsio_header), end = size - sizeof(struct hsio_trailer), note;
	struct hsio_trailer trailer;
	uint32_t crc;

	if (size < sizeof(struct hsio_header) + sizeof(struct hsio_trailer))
		return;
	crc = htole32(crc32(0, data, offsetof(struct hsio_header, crc)));
	memcpy(data + offsetof(struct hsio_header, crc), &crc, 4);
	memcpy(&trailer, data + end, sizeof(trailer));
	note = le32toh(trailer.note);
	if (note <= end - at) {
		crc = crc32(0, data + end - note, note);
		crc = htole32(crc32(crc, data + end, offsetof(struct hsio_trailer, crc)));
		memcpy(data + end + offsetof(struct hsio_trailer, crc), &crc, 4);
	}
	while (end - at >= sizeof(struct hsio_block)) {
		struct hsio_block block;
		size_t packed;

		memcpy(&block, data + at, sizeof(block));
		packed = le32toh(block.packed);
		if (packed > end - at - sizeof(block))
			return;
		crc = crc32(0, data + at, offsetof(struct hsio_block, crc));
		crc = htole32(crc32(crc, data + at + sizeof(block), packed));
		memcpy(data + at + offsetof(struct hsio_block, crc), &crc, 4);
		at += sizeof(block) + packed;
	}
}

/* A file around the content of a block: of how many records its first bytes say. */
static void read_content(const uint8_t *data, size_t size)
{
	struct hsio_header header = { .magic = HSIO_MAGIC, .version = htole16(1),
				      .packet = htole16(3) };
	struct hsio_block block = { .magic = htole32(HSIO_BLOCK_MAGIC) };
	struct hsio_trailer trailer = { .magic = HSIO_END, .blocks = htole64(1) };
	uint8_t file[8192];
	size_t packed;
	uint16_t n;

	if (size < 3 || size > 4096)
		return;
	memcpy(&n, data + 1, sizeof(n));
	header.flags = htole16(data[0] & HSIO_NEXT);
	packed = ZSTD_compress(file + sizeof(header) + sizeof(block), 6000, data + 3, size - 3, 1);
	MUST(!ZSTD_isError(packed));
	block.records = htole32(n);
	block.raw = htole32(size - 3);
	block.packed = htole32(packed);
	trailer.records = htole64(n);
	memcpy(file, &header, sizeof(header));
	memcpy(file + sizeof(header), &block, sizeof(block));
	memcpy(file + sizeof(header) + sizeof(block) + packed, &trailer, sizeof(trailer));
	size = sizeof(header) + sizeof(block) + packed + sizeof(trailer);
	mend(file, size);
	read_trace(file, size);
}

static void weave(const char *path)
{
	const struct hs_streams_opts opts = { .dir = "/dev/shm", .invalidations = true };
	const struct hs_weave_opts how = { .tenants = 7, .burst = 2, .order = HS_ORDER_BURST,
					   .packets = 50 };
	const struct hs_orig_opts orig = { .dir = "/dev/shm", .tenants = 1, .devices = 24,
					   .burst = 3 };
	char *const logs[] = { (char *)path };
	struct hs_streams *s;
	struct hs_source *w;
	struct ax_msg msg = { "" };
	uint64_t n = 0;

	s = hs_streams_new(&opts, &msg);
	MUST(s);
	if (hs_streams_log(s, path, &msg) || hs_streams_done(s, &msg)) {
		MUST(msg.text[0]);
	} else {
		w = hs_weave_new(s, &how, &msg);
		MUST(w);
		while (w->next(w))
			n++;
		MUST(n >= 150 && !w->error(w));
		hs_weave_free(w);
	}
	hs_streams_free(s);
	w = hs_orig_new(logs, 1, &orig, &msg);
	for (n = 0; w && w->next(w); n++)
		;
	MUST(!w || n <= hs_orig_records(w));
	hs_orig_free(w);
}

static void read_log(const void *data, size_t size)
{
	struct hs_log_event event;
	struct hs_log *log;
	struct ax_msg msg = { "" };
	char path[32];
	int fd, ret;

	fd = file_of(data, size, path);
	log = hs_log_open(path, &msg);
	MUST(log || msg.text[0]);
	while (log && (ret = hs_log_next(log, &event)) > 0) {
		MUST(event.kind != HS_LOG_NONE && event.kind != HS_LOG_SIZE &&
		     event.kind != HS_LOG_BAD);
		MUST(event.kind != HS_LOG_ACCESS || event.mask == hs_level_mask(event.level));
		MUST(event.sid <= UINT16_MAX && event.domain <= UINT16_MAX);
	}
	MUST(!log || !ret || hs_log_error(log)[0]);
	hs_log_close(log);
	weave(path);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (!size)
		return 0;
	copy = malloc(size);	/* exact, so that a read beyond it is seen */
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	switch (data[0] % KINDS) {
	case FILE_AS_IS:
		read_trace(copy, size - 1);
		break;
	case FILE_MENDED:
		mend(copy, size - 1);
		read_trace(copy, size - 1);
		break;
	case CONTENT:
		read_content(copy, size - 1);
		break;
	default:
		read_log(copy, size - 1);
		break;
	}
	free(copy);
	return 0;
}

#ifdef FUZZ_STANDALONE

#define INPUT_MAX 6000
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char stock[] =
	"vtd_iotlb_cc_update bus 0x0 devfn 0x10 high 0x702 low 0x1001 gen 0 -> gen 1\n"
	"1@2.3:vtd_iotlb_page_update sid 0x10 iova 0xfffff000 slpte 0x102368003 domain 0x7\n"
	"1@2.3:vtd_dmar_translate dev 00:02.00 iova 0xfffff000 -> gpa 0x102368000 mask 0xfff\n"
	"1@2.3:vtd_iotlb_page_hit sid 0x10 iova 0xffe59802 slpte 0x102298001 domain 0x7\n"
	"1@2.3:vtd_dmar_translate dev 00:02.00 iova 0xffe00000 -> gpa 0x102298000 mask 0x1fffff\n"
	"vtd_inv_desc_iotlb_domain iotlb invalidate whole domain 0x7\n"
	"1@2.3:vtd_iotlb_page_hit sid 0x10 iova 0xfffff00c slpte 0x102368003 domain 0x7\n"
	"vtd_inv_desc_iotlb_pages iotlb invalidate domain 0x7 addr 0xfff08000 mask 0x3\n"
	"1@2.3:vtd_iotlb_page_hit sid 0x10 iova 0xfffff010 slpte 0x102368003 domain 0x7\n";

static const char patched[] =
	"4@1.0:vtd_iotlb_cc_update bus 0x0 devfn 0x10 high 0x102 low 0x100001 gen 0 -> gen 1\n"
	"4@1.0:vtd_slpte_fetch high 0x102 low 0x100001 iova 0xffff0000 level 0x3 addr 0x200000 slpte 0x201003\n"
	"4@1.0:vtd_iotlb_page_update sid 0x10 iova 0xfff00000 slpte 0x1fff00003 level 0x1 domain 0x1\n"
	"4@1.0:vtd_iotlb_page_hit sid 0x10 iova 0xbba00000 pmask 0xffffffffffe00000 slpte 0x1bba00003 domain 0x1\n"
	"vtd_iotlb_page_hit sid 0x10 iova 0xf1000 pmask 0xfffffffffffff000 slpte 0xf003 domain 1\n";

static uint8_t seeds[8][INPUT_MAX];
static size_t lengths[8];

static uint64_t state = 0x9e3779b97f4a7c15;

static uint32_t below(uint32_t n)	/* xorshift64* */
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1d >> 32) % n;
}

static void seed(unsigned int i, enum kind kind, const void *data, size_t size)
{
	MUST(size < INPUT_MAX);
	seeds[i][0] = kind;
	memcpy(seeds[i] + 1, data, size);
	lengths[i] = size + 1;
}

static size_t read_whole(const char *path, uint8_t data[INPUT_MAX])
{
	FILE *in = fopen(path, "r");
	size_t n;

	MUST(in);
	n = fread(data, 1, INPUT_MAX, in);
	fclose(in);
	return n;
}

/* A trace of a few records in both formats. */
static void seed_traces(void)
{
	static const char *const names[] = { "t", "t_iotlb_trace.bin", "t_cc_data.bin",
					     "t_slpt_data.bin" };
	char dir[] = "/dev/shm/fuzz_hs.XXXXXX", path[64];
	uint8_t data[INPUT_MAX];

	MUST(mkdtemp(dir));
	for (unsigned int f = 0; f < 2; f++) {
		struct hs_writer_opts opts = { .format = f ? HS_FILE_ORIG : HS_FILE_HSIO,
					       .next = true, .note = "k = v\n" };
		struct hs_writer *w;
		struct ax_msg msg;
		size_t n;

		snprintf(path, sizeof(path), "%s/t", dir);
		w = hs_writer_open(path, &opts, &msg);
		MUST(w);
		for (unsigned int i = 0; i < 60; i++) {
			struct hs_rec rec = {
				.sid = i % 4, .did = i % 4, .iova = 0x1000 * (i % 12) + i,
				.mask = ~UINT64_C(0xfff), .level = 1,
				.next = i + 12 < 60 ? i + 12 : HS_NEVER,
			};

			MUST(hs_writer_put(w, &rec));
		}
		MUST(!hs_writer_close(w, NULL, &msg));
		snprintf(path, sizeof(path), "%s/%s", dir, names[f]);
		n = read_whole(path, data);
		seed(2 * f, FILE_AS_IS, data, n);
		if (!f)
			seed(1, FILE_MENDED, data, n);
	}
	for (unsigned int i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	MUST(!rmdir(dir));
}

/* Two pages, four records with next uses, in columns of @width bytes. */
static void seed_content(unsigned int i, uint8_t width)
{
	uint8_t data[128] = { HSIO_NEXT, 4, 0, /* pages */ 2, 0, 0, 0, width, width, width, 0 };
	uint8_t *at = data + 11;

	at += 2 * 4 + 2 * 4 + 2 * 7 + 2 * 8;
	memcpy(at, "\1\1\14\14\0\0", 6);		/* levels, orders, flags */
	at += 6;
	memcpy(at, "\0\1\0\1", 4);			/* idx */
	at += 4 * width;
	at[0] = 5;					/* off */
	at += 4 * width;
	memcpy(at, "\2\2\0\0", 4);			/* next */
	seed(i, CONTENT, data, at + 4 * width - data);
}

static void seed_compressed_log(unsigned int i)
{
	uint8_t data[INPUT_MAX];
	size_t n = ZSTD_compress(data, sizeof(data), stock, strlen(stock), 1);

	MUST(!ZSTD_isError(n));
	seed(i, LOG, data, n);
}

static size_t mutate(uint8_t *text, size_t len)
{
	static const uint64_t numbers[] = { 0, 1, 3, 0x7f, 0xff, 0xffff, 0x8000, 32768, 32769,
					    0xffffffff, 0x7fffffff, UINT64_MAX, 1ull << 63 };
	uint64_t number = numbers[below(COUNT(numbers))];
	size_t at = below(len), n = 1 + below(len - at), to;
	uint8_t copy[INPUT_MAX];

	switch (below(6)) {
	case 0:
		text[at] ^= 1 << below(8);
		return len;
	case 1:
		text[at] = below(256);
		return len;
	case 2:		/* a number of some width */
		to = 1u << below(4);
		memcpy(text + at, &number, to < len - at ? to : len - at);
		return len;
	case 3:		/* cut */
		if (n > 16 && below(4))
			n = 1 + below(16);
		memmove(text + at, text + at + n, len - at - n);
		return len - n ? len - n : 1;
	case 4:		/* the same again elsewhere */
		if (n > 200)
			n = 200;
		to = below(len);
		if (len + n > INPUT_MAX)
			return len;
		memcpy(copy, text + at, n);
		memmove(text + to + n, text + to, len - to);
		memcpy(text + to, copy, n);
		return len + n;
	default:	/* truncate */
		return below(8) ? len : at + 1;
	}
}

int main(int argc, char **argv)
{
	const char *rounds = argc > 1 ? argv[1] : getenv("ANNEX_FUZZ_COUNT");
	unsigned long n = rounds && *rounds ? strtoul(rounds, NULL, 10) : 40000;
	static uint8_t text[INPUT_MAX];

	printf("KTAP version 1\n1..1\n");
	fflush(stdout);
	seed_traces();
	seed_content(3, 1);
	seed_content(6, 2);
	seed_compressed_log(7);
	seed(4, LOG, stock, strlen(stock));
	seed(5, LOG, patched, strlen(patched));
	for (size_t i = 0; i < COUNT(seeds); i++)
		LLVMFuzzerTestOneInput(seeds[i], lengths[i]);
	for (unsigned long i = 0; i < n; i++) {
		unsigned int from = below(COUNT(seeds));
		size_t len = lengths[from];
		uint8_t kind = seeds[from][0];

		memcpy(text, seeds[from], len);
		for (uint32_t m = 1 + below(6); m--;)
			len = mutate(text, len);
		text[0] = kind;
		LLVMFuzzerTestOneInput(text, len);
	}
	printf("ok 1 - traces and logs # %lu rounds\n", n);
	return 0;
}

#endif
