// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * QEMU's logs: what each line means, which are passed over, and how the lines of
 * one access are joined, also when devices' lines are mixed.
 */
#include <zstd.h>

#include "../../userspace-tools/hypersio/hs_log.h"
#include "hs_test.h"

/* The event as one line of text. */
static const struct line {
	const char *text, *means;
} lines[] = {
	{ "1@2.3:vtd_iotlb_page_hit IOTLB page hit sid 0x28 iova 0xfffff00c slpte 0x102368003 domain 0x7",
	  "access sid 28 domain 7 iova fffff00c slpte 102368003 level 0" },
	{ "vtd_iotlb_page_hit IOTLB page hit sid 0x28 iova 0xfffff00c pte 0x102368003 domain 0x7",
	  "access sid 28 domain 7 iova fffff00c slpte 102368003 level 0" },
	{ "vtd_iotlb_page_update IOTLB page update sid 0x128 iova 0x1 slpte 0x3 domain 0xffff",
	  "access sid 128 domain ffff iova 1 slpte 3 level 0" },
	{ "vtd_iotlb_page_hit IOTLB page hit sid 0x10 iova 0xbba00000 pmask 0xffffffffffe00000 slpte 0x5 domain 0x1",
	  "access sid 10 domain 1 iova bba00000 slpte 5 level 2" },
	{ "vtd_iotlb_page_update IOTLB page update sid 0x10 iova 0xbba00000 slpte 0x1bba00003 level 0x3 domain 0x1",
	  "access sid 10 domain 1 iova bba00000 slpte 1bba00003 level 3" },
	{ "vtd_dmar_translate dev 01:05.03 iova 0xffe59000 -> gpa 0x102298000 mask 0xfff",
	  "size sid 12b iova ffe59000 level 1" },
	{ "vtd_dmar_translate dev 00:05.00 iova 0xffe00000 -> gpa 0x102200000 mask 0x1fffff",
	  "size sid 28 iova ffe00000 level 2" },
	{ "vtd_iotlb_cc_update IOTLB context update bus 0x1 devfn 0x10 high 0x102 low 0x100001 gen 3 -> gen 4",
	  "context sid 110 domain 1 high 102 low 100001 gen 3" },
	{ "vtd_slpte_fetch SLPTE fetch: high 0x102 low 0x100001 iova 0xffff0000 level 0x3 addr 0x200000 slpte 0x201003",
	  "pte domain 1 iova ffff0000 table 200000 slpte 201003 level 3" },
	{ "vtd_inv_desc_iotlb_domain iotlb invalidate whole domain 0x7",
	  "invalidate domain 7 iova 0 mask 0" },
	{ "vtd_inv_desc_iotlb_pages iotlb invalidate domain 0x7 addr 0xfff08000 mask 0x3",
	  "invalidate domain 7 iova fff08000 mask ffffffffffff8000" },
	{ "vtd_inv_desc_iotlb_pages iotlb invalidate domain 0x7 addr 0x0 mask 0x3f",
	  "invalidate domain 7 iova 0 mask 0" },
	/* somebody else's */
	{ "", "none" },
	{ "vtd_", "none" },
	{ "vtd_inv_qi_fetch", "none" },
	{ "virtio_notify vdev 0x1 vq 0x2", "none" },
	{ "vtd_iotlb_page_hits sid 0x28 iova 0x1 slpte 0x2 domain 0x7", "none" },
	/* ours, but cut or absurd */
	{ "vtd_iotlb_page_hit IOTLB page hit sid 0x28 iova 0xfffff00c slpte 0x1023", "bad" },
	{ "vtd_iotlb_page_hit IOTLB page hit sid 0x28 iova", "bad" },
	{ "vtd_iotlb_page_hit IOTLB page hit sid 0x10000 iova 0x1 slpte 0x2 domain 0x7", "bad" },
	{ "vtd_iotlb_page_hit sid 0x28 iova 0x11112222333344445 slpte 0x2 domain 0x7", "bad" },
	{ "vtd_iotlb_page_hit IOTLB page hit sid 0x28 iova 0x1 slpte 0x2 domain 0x70000", "bad" },
	{ "vtd_iotlb_page_hit sid 0x28 iova 0x1 pmask 0xfff slpte 0x2 domain 0x7", "bad" },
	{ "vtd_iotlb_page_update sid 0x28 iova 0x1 slpte 0x2 level 0x9 domain 0x7", "bad" },
	{ "vtd_iotlb_page_update sid 0x28 iova 0x1 slpte 0x2 level x domain 0x7", "bad" },
	{ "vtd_dmar_translate dev 00:20.00 iova 0x1000 -> gpa 0x1 mask 0xfff", "bad" },
	{ "vtd_dmar_translate dev 00:05.00 iova 0x1000 -> gpa 0x1 mask 0x1234", "bad" },
	{ "vtd_inv_desc_iotlb_pages iotlb invalidate domain 0x7 addr 0x0 mask 0x40", "bad" },
};

static const char *meaning(const struct hs_log_event *e)
{
	static char text[256];

	switch (e->kind) {
	case HS_LOG_NONE:
		return "none";
	case HS_LOG_BAD:
		return "bad";
	case HS_LOG_ACCESS:
		snprintf(text, sizeof(text), "access sid %x domain %x iova %llx slpte %llx level %u",
			 e->sid, e->domain, (unsigned long long)e->iova,
			 (unsigned long long)e->slpte, e->level);
		break;
	case HS_LOG_SIZE:
		snprintf(text, sizeof(text), "size sid %x iova %llx level %u", e->sid,
			 (unsigned long long)e->iova, e->level);
		break;
	case HS_LOG_CONTEXT:
		snprintf(text, sizeof(text), "context sid %x domain %x high %llx low %llx gen %u",
			 e->sid, e->domain, (unsigned long long)e->high,
			 (unsigned long long)e->low, e->gen);
		break;
	case HS_LOG_PTE:
		snprintf(text, sizeof(text), "pte domain %x iova %llx table %llx slpte %llx level %u",
			 e->domain, (unsigned long long)e->iova, (unsigned long long)e->table,
			 (unsigned long long)e->slpte, e->level);
		break;
	case HS_LOG_INVALIDATE:
		snprintf(text, sizeof(text), "invalidate domain %x iova %llx mask %llx", e->domain,
			 (unsigned long long)e->iova, (unsigned long long)e->mask);
		break;
	}
	return text;
}

static bool all_lines(void)
{
	bool ok = true;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		size_t len = strlen(lines[i].text);
		char *exact = malloc(len + 1);	/* a read beyond the end is seen */
		struct hs_log_event e;

		memcpy(exact, lines[i].text, len);
		hs_log_parse(exact, len, &e);
		if (strcmp(meaning(&e), lines[i].means)) {
			printf("# %s\n# is: %s\n", lines[i].text, meaning(&e));
			ok = false;
		}
		free(exact);
	}
	return ok;
}

/* Every event of a log, one a line. */
static char *events(const char *path, struct hs_log_count *count)
{
	struct hs_log_event e;
	struct hs_log *log;
	struct ax_msg msg;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int ret;

	log = hs_log_open(path, &msg);
	if (!log) {
		fprintf(out, "error: %s", msg.text);
		fclose(out);
		return text;
	}
	while ((ret = hs_log_next(log, &e)) > 0)
		fprintf(out, "%s\n", meaning(&e));
	if (ret < 0)
		fprintf(out, "error: %s\n", hs_log_error(log));
	if (count)
		*count = *hs_log_count(log);
	fclose(out);
	hs_log_close(log);
	return text;
}

static bool means(const char *log, const char *want, uint64_t sized)
{
	struct hs_log_count count;
	char *got;
	bool ok;

	write_file(in_dir("log"), log, strlen(log));
	got = events(in_dir("log"), &count);
	ok = (!strcmp(got, want) && count.sized == sized) ||
	     because("%llu sized:\n%s", (unsigned long long)count.sized, got);
	free(got);
	return ok;
}

#define HIT(sid, iova) "vtd_iotlb_page_hit IOTLB page hit sid " sid " iova " iova \
	" slpte 0x3 domain 0x7\n"
#define TRANSLATE(dev, iova, mask) "vtd_dmar_translate dev " dev " iova " iova \
	" -> gpa 0x0 mask " mask "\n"

static void check_joining(void)
{
	result(means(HIT("0x28", "0x1234") TRANSLATE("00:05.00", "0x1000", "0xfff")
		     HIT("0x28", "0x201234") TRANSLATE("00:05.00", "0x200000", "0x1fffff"),
		     "access sid 28 domain 7 iova 1234 slpte 3 level 1\n"
		     "access sid 28 domain 7 iova 201234 slpte 3 level 2\n", 2),
	       "an access gets its size from the line behind it");
	result(means(HIT("0x28", "0x201234") HIT("0x30", "0x201234")
		     TRANSLATE("00:06.00", "0x200000", "0x1fffff")
		     TRANSLATE("00:05.00", "0x201000", "0xfff"),
		     "access sid 28 domain 7 iova 201234 slpte 3 level 1\n"
		     "access sid 30 domain 7 iova 201234 slpte 3 level 2\n", 2),
	       "lines of two devices mixed");
	result(means(HIT("0x28", "0x1234") HIT("0x28", "0x5234")
		     TRANSLATE("00:05.00", "0x200000", "0x1fffff"),
		     "access sid 28 domain 7 iova 1234 slpte 3 level 1\n"
		     "access sid 28 domain 7 iova 5234 slpte 3 level 1\n", 0),
	       "no size: 4 KiB, and counted");
	result(means(HIT("0x28", "0x1234")
		     "vtd_inv_desc_iotlb_domain iotlb invalidate whole domain 0x7\n"
		     TRANSLATE("00:05.00", "0x1000", "0xfff"),
		     "access sid 28 domain 7 iova 1234 slpte 3 level 1\n"
		     "invalidate domain 7 iova 0 mask 0\n", 1),
	       "an invalidation stays behind the access that waited");
	result(means("vtd_inv_desc_iotlb_domain iotlb invalidate whole domain 0x7",
		     "invalidate domain 7 iova 0 mask 0\n", 0), "a last line without newline");
}

static bool long_lines(void)
{
	size_t n = 1 << 20;
	char *text = malloc(n + 256);
	bool ok;

	memset(text, 'x', n);
	strcpy(text + n, "\nvtd_inv_desc_iotlb_domain iotlb invalidate whole domain 0x7\n");
	ok = means(text, "invalidate domain 7 iova 0 mask 0\n", 0);
	free(text);
	return ok;
}

static void check_compressed(void)
{
	static const char line[] = "vtd_inv_desc_iotlb_domain iotlb invalidate whole domain 0x7\n";
	size_t n = 20000 * (sizeof(line) - 1), len, bound = ZSTD_compressBound(n);
	char *text = malloc(n + 1), *packed = malloc(bound), *got;
	struct hs_log_count count = { 0 };
	bool ok = true;

	for (size_t i = 0; i < n; i += sizeof(line) - 1)
		memcpy(text + i, line, sizeof(line) - 1);
	len = ZSTD_compress(packed, bound, text, n, 3);
	write_file(in_dir("log.zst"), packed, len);
	free(events(in_dir("log.zst"), &count));
	result(count.lines == 20000, "compressed with zstd");
	for (size_t i = 4; ok && i < len; i += len / 16 + 1) {
		write_file(in_dir("cut.zst"), packed, i);
		got = events(in_dir("cut.zst"), NULL);
		ok = strstr(got, "error: ") && strstr(got, "cut.zst");
		free(got);
	}
	result(ok, "compressed and cut");
	memset(packed + 4, 0xff, len - 4);
	write_file(in_dir("cut.zst"), packed, len);
	got = events(in_dir("cut.zst"), NULL);
	result(strstr(got, "error: "), "compressed and broken");
	free(got);
	free(text);
	free(packed);
}

int main(void)
{
	char *got;

	printf("KTAP version 1\n1..11\n");
	make_dir();
	result(all_lines(), "lines one by one");
	check_joining();
	result(long_lines(), "a line of 1 MiB");
	check_compressed();
	got = events(in_dir("nothing"), NULL);
	result(strstr(got, "error: ") && strstr(got, "nothing"), "no file");
	free(got);
	if (remove_dir())
		return 1;
	return failures > 0;
}
