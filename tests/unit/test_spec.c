// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mem-path grammar (userspace-tools/emp/emp_spec.c): what is taken and what
 * it means, what is refused, at which column and in which words.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <annex/emp.h>

#include "../../userspace-tools/emp/emp_spec.h"

#define MB ((uint64_t)1 << 20)

static unsigned int test_nr, failures;

static void result(bool ok, const char *name)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", ++test_nr, name);
	failures += !ok;
}

/* Taken; the outcome as one line of text. */
static const struct good {
	const char *text, *means;
} good[] = {
	{ "dram:512", "dram=512M" },
	{ "DRAM:512", "dram=512M" },
	{ "'dram:512'", "dram=512M" },
	{ "\"dram:512\"", "dram=512M" },
	{ "dram:0512", "dram=512M" },
	{ "dram:-1", "dram=cgroup" },
	{ "DRAM:-1|/dev/ram0:8:0", "dram=cgroup block:/dev/ram0:8M@0M" },
	{ "10.10.0.112:131072:19675|/dev/nvme1n1:131072:0|dram:32768",
	  "dram=32768M rdma:10.10.0.112:131072M:19675 block:/dev/nvme1n1:131072M@0M" },
	{ "dram:1|10.0.0.1:2:0", "dram=1M rdma:10.0.0.1:2M:19675" },
	{ "[fe80::1]:2:7", "rdma:fe80::1:2M:7" },
	{ "donor-1.example:2:7", "rdma:donor-1.example:2M:7" },
	{ "d:2:7", "rdma:d:2M:7" },
	{ "memdev:16:1", "memdev:16M:1" },
	{ "MEMDEV:16:-3|dram:1", "dram=1M memdev:16M:-3" },
	{ "/dev/pmem0:4:2|/dev/nvme0n1:8:4096|dram:1",
	  "dram=1M block:/dev/pmem0:4M@2M block:/dev/nvme0n1:8M@4096M" },
	{ "/dev/disk/by-path/pci-0000:00:1f.2-ata-1:4:2",
	  "block:/dev/disk/by-path/pci-0000:00:1f.2-ata-1:4M@2M" },
	{ "/dev/disk/by-id/a=b:4:2", "block:/dev/disk/by-id/a=b:4M@2M" },
	{ "dram:8796093022207", "dram=8796093022207M" },
	{ "dram:1|block=4096", "dram=1M block=4096" },
	{ "dram:1|block=2M,subblock=64K|map=huge",
	  "dram=1M block=2097152 subblock=65536 map=2" },
	{ "block=4k,subblock=4K|dram:1", "dram=1M block=4096 subblock=4096" },
	{ "dram:1,checksum=1,overcommit=on,pinnable=yes,force=0",
	  "dram=1M checksum=1 overcommit=1 pinnable=1 force=0" },
	{ "dram:1|checksum=mac", "dram=1M checksum=2" },
	{ "d:2:7|key=/etc/k:host1", "rdma:d:2M:7 key=/etc/k:host1" },
	{ "d:2:7,key=none,checksum=0", "rdma:d:2M:7 checksum=0 key=none" },
	{ "dram:1|pinnable=1|pin_limit=512M", "dram=1M pinnable=1 pin_limit=512M" },
	{ "dram:1|redundancy=none", "dram=1M redundancy=0" },
	{ "dram:1|encrypt=1,checksum=mac", "dram=1M checksum=2 encrypt=1" },
	{ "dram:1|redundancy=mirror", "dram=1M redundancy=1" },
	{ "dram:1|redundancy=mirror,mirror=async", "dram=1M redundancy=1" },
	{ "dram:1|mirror=sync,redundancy=mirror", "dram=1M redundancy=2" },
	{ "dram:1|redundancy=replica", "dram=1M redundancy=3" },
	{ "dram:1|map=auto|wipe=discard|name=vm0|uid=107|gid=kvm|mode=0640",
	  "dram=1M map=0 wipe=1 name=vm0 uid=107 gid=kvm mode=640" },
	{ "dram:1|map=small|wipe=zero", "dram=1M map=1 wipe=2" },
	{ "dram:1|deadline=10s|queue=4096", "dram=1M deadline=10000 queue=4096" },
	{ "dram:1|deadline=250ms", "dram=1M deadline=250" },
	{ "dram:1|deadline=3", "dram=1M deadline=3000" },
	{ "dram:1|deadline=10m", "dram=1M deadline=600000" },
};

/* Refused at that column with a message that holds those words. */
static const struct bad {
	const char *text;
	unsigned int column;
	const char *words;
} bad[] = {
	{ "", 1, "empty" },
	{ "dram:1|pin_limit=4M", 8, "needs pinnable=1" },
	{ "dram:1|pinnable=0,pin_limit=4M", 19, "needs pinnable=1" },
	{ "dram:1|pinnable=1|pin_limit=0", 29, "not a size above 0" },
	{ "dram:1|pinnable=1|pin_limit=x", 29, "not a size above 0" },
	{ "dram:1|encrypt=aes", 16, "neither 1 nor 0" },
	{ "dram:1|redundancy=raid", 19, "none, mirror, replica" },
	{ "dram:1|mirror=sync", 8, "needs redundancy=mirror" },
	{ "dram:1|redundancy=replica|mirror=sync", 27, "needs redundancy=mirror" },
	{ "dram:1|redundancy=mirror|mirror=yes", 33, "async, sync" },
	{ "''", 2, "empty" },
	{ "'", 1, "quote is not closed" },
	{ "'dram:1", 1, "quote is not closed" },
	{ "'dram:1\"", 1, "quote is not closed" },
	{ "dram:1'", 6, "not a number" },
	{ "|", 1, "empty tier" },
	{ "dram:1|", 8, "empty tier" },
	{ "|dram:1", 1, "empty tier" },
	{ "dram:1||/dev/ram0:1:0", 8, "empty tier" },
	{ "dram:1,", 8, "empty tier" },
	{ "dram", 5, "dram size is missing" },
	{ "dram:", 6, "dram size is missing" },
	{ "dram:0", 6, "must not be 0" },
	{ "dram:-2", 6, "must not be negative" },
	{ "dram:+1", 6, "not a number: '+1'" },
	{ "dram: 1", 6, "not a number" },
	{ "dram:1 ", 6, "not a number: '1 '" },
	{ "dram:0x10", 6, "not a number" },
	{ "dram:32G", 6, "'32G' is written 32768" },
	{ "dram:1:2", 8, "one field" },
	{ "dram:8796093022208", 6, "too large" },
	{ "dram:99999999999999999999999", 6, "too large" },
	{ "dram:1|dram:2", 8, "twice" },
	{ "dram:-1|DRAM:2", 9, "twice" },
	{ "Dram:1", 1, "did you mean 'dram'" },
	{ "drma:512", 1, "did you mean 'dram'" },
	{ "memdv:512", 1, "did you mean 'memdev'" },
	{ "nonsense", 1, "is no tier" },
	{ "host:512", 9, "HOST:MB:PORT" },
	{ ":1:2", 1, "host is missing" },
	{ "10.0.0.256:1:2", 1, "not an IPv4 address" },
	{ "10.0.0:1:2", 1, "not an IPv4 address" },
	{ "10.0.0.1:1:65536", 12, "port is too large" },
	{ "10.0.0.1:1:-1", 12, "must not be negative" },
	{ "10.0.0.1:1:", 12, "port is missing" },
	{ "10.0.0.1:1:2:3", 12, "port is not a number" },
	{ "10.0.0.1::2", 10, "tier size is missing" },
	{ "[fe80::1:2:7", 1, "not closed" },
	{ "[fe80::1]2:7", 10, "expected ':'" },
	{ "[]:2:7", 2, "not an IPv6 address" },
	{ "[10.0.0.1]:2:7", 2, "not an IPv6 address" },
	{ "-host:2:7", 1, "not a host name" },
	{ "ho_st:2:7", 1, "not a host name" },
	{ "memdev:1", 9, "memdev:MB:NODE" },
	{ "memdev:1:", 10, "node is missing" },
	{ "memdev:1:--1", 11, "must not be negative" },
	{ "memdev:1:1024", 10, "node is too large" },
	{ "/dev/nvme0n1", 13, "/dev/NAME:MB:BASE_MB" },
	{ "/dev/nvme0n1:100", 17, "/dev/NAME:MB:BASE_MB" },
	{ "/dev/nvme0n1:100:", 18, "base is missing" },
	{ "/dev/nvme0n1::0", 14, "tier size is missing" },
	{ "/dev/nvme0n1:0:0", 14, "must not be 0" },
	{ "/dev/nvme0n1:1:-1", 16, "must not be negative" },
	{ "/dev/nvme0n1:8796093022207:8796093022207", 28, "base plus size" },
	{ "/dev/:1:0", 1, "/dev/NAME" },
	{ "/tmp/file:1:0", 1, "/dev/NAME" },
	{ "dram:1,dram:2", 8, "separated by '|'" },
	{ "dram:1|blok=4K", 8, "did you mean 'block'" },
	{ "dram:1|zzzzzz=1", 8, "unknown key 'zzzzzz'" },
	{ "dram:1|key=", 12, "key= needs a file" },
	{ "dram:1|checksum=md5", 17, "none of 0, 1, mac" },
	{ "dram:1|=1", 8, "unknown key" },
	{ "dram:1|replica=2", 8, "redundancy=replica" },
	{ "dram:1|block=4K|block=4K", 17, "twice" },
	{ "dram:1|block=", 14, "not a size" },
	{ "dram:1|block=3K", 14, "power of two" },
	{ "dram:1|block=4M", 14, "from 4K to 2M" },
	{ "dram:1|block=2048", 14, "power of two" },
	{ "dram:1|block=4Kx", 14, "not a size" },
	{ "dram:1|subblock=256K", 17, "from 4K to 128K" },
	{ "dram:1|subblock=64K|block=4K", 8, "larger than block" },
	{ "dram:1|map=tiny", 12, "none of auto, small, huge" },
	{ "dram:1|map=huge|block=4K", 8, "needs block=2M" },
	{ "dram:1|wipe=", 13, "none of none, discard, zero" },
	{ "dram:1|checksum=2", 17, "none of 0, 1, mac" },
	{ "dram:1|name=", 13, "not a region name" },
	{ "dram:1|name=VM0", 13, "not a region name" },
	{ "dram:1|name=-a", 13, "not a region name" },
	{ "dram:1|name=a/b", 13, "not a region name" },
	{ "dram:1|name=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 13, "not a region name" },
	{ "dram:1|uid=", 12, "uid is missing" },
	{ "dram:1|uid=-1", 12, "negative" },
	{ "dram:1|uid=4294967295", 12, "too large" },
	{ "dram:1|uid=12x", 12, "not a number" },
	{ "dram:1|mode=", 13, "octal" },
	{ "dram:1|mode=0800", 13, "octal" },
	{ "dram:1|mode=1777", 13, "octal" },
	{ "dram:1|deadline=0", 17, "not a time" },
	{ "dram:1|deadline=601s", 17, "not a time" },
	{ "dram:1|deadline=1h", 17, "not a time" },
	{ "dram:1|queue=0", 14, "must not be 0" },
	{ "dram:1|queue=4097", 14, "too large" },
	{ "dram:1|queue=1K", 14, "not a number" },
};

static void add(char *out, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void add(char *out, size_t size, const char *fmt, ...)
{
	size_t n = strlen(out);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out + n, size - n, fmt, ap);
	va_end(ap);
}

/* All of a parsed spec as one line. */
static void describe(const struct emp_spec *s, char *out, size_t size)
{
	*out = '\0';
	if (s->dram_cgroup)
		add(out, size, " dram=cgroup");
	else if (s->has_dram)
		add(out, size, " dram=%" PRIu64 "M", s->dram / MB);
	for (unsigned int i = 0; i < s->nr_tiers; i++) {
		const struct emp_spec_tier *t = &s->tiers[i];

		if (t->type == EMP_SPEC_BLOCK)
			add(out, size, " block:%s:%" PRIu64 "M@%" PRIu64 "M",
			    t->location, t->bytes / MB, t->base / MB);
		else if (t->type == EMP_SPEC_RDMA)
			add(out, size, " rdma:%s:%" PRIu64 "M:%u", t->location,
			    t->bytes / MB, t->port);
		else
			add(out, size, " memdev:%" PRIu64 "M:%s%u", t->bytes / MB,
			    t->user_buffer ? "-" : "", t->node);
	}
#define KEY(key, ...) do { if (emp_spec_has(s, key)) add(out, size, __VA_ARGS__); } while (0)
	KEY(EMP_KEY_BLOCK, " block=%u", s->block);
	KEY(EMP_KEY_SUBBLOCK, " subblock=%u", s->subblock);
	KEY(EMP_KEY_MAP, " map=%u", s->map);
	KEY(EMP_KEY_WIPE, " wipe=%u", s->wipe);
	KEY(EMP_KEY_CHECKSUM, " checksum=%u", s->checksum);
	KEY(EMP_KEY_OVERCOMMIT, " overcommit=%u", s->overcommit);
	KEY(EMP_KEY_PINNABLE, " pinnable=%u", s->pinnable);
	KEY(EMP_KEY_ENCRYPT, " encrypt=%u", s->encrypt);
	KEY(EMP_KEY_REDUNDANCY, " redundancy=%u", s->redundancy);
	KEY(EMP_KEY_PIN_LIMIT, " pin_limit=%" PRIu64 "M", s->pin_limit / MB);
	KEY(EMP_KEY_FORCE, " force=%u", s->force);
	KEY(EMP_KEY_NAME, " name=%s", s->name);
	KEY(EMP_KEY_UID, " uid=%s", s->uid);
	KEY(EMP_KEY_GID, " gid=%s", s->gid);
	KEY(EMP_KEY_MODE, " mode=%o", s->mode);
	KEY(EMP_KEY_DEADLINE, " deadline=%u", s->deadline_ms);
	KEY(EMP_KEY_QUEUE, " queue=%u", s->queue_depth);
	KEY(EMP_KEY_KEY, " key=%s", s->key);
#undef KEY
	memmove(out, out + (*out == ' '), strlen(out) + (*out != ' '));
}

static void test_good(const struct good *t)
{
	struct emp_spec_error error;
	struct emp_spec spec;
	char means[512];

	if (emp_spec_parse(t->text, &spec, &error)) {
		printf("# column %u: %s\n", error.column, error.text);
		result(false, t->text);
		return;
	}
	describe(&spec, means, sizeof(means));
	if (strcmp(means, t->means))
		printf("# expected: %s\n# found:    %s\n", t->means, means);
	result(!strcmp(means, t->means), t->text);
}

static void test_bad(const struct bad *t)
{
	struct emp_spec_error error = { 0, "" };
	struct emp_spec spec;
	bool ok;

	if (!emp_spec_parse(t->text, &spec, &error)) {
		printf("# was taken\n");
		ok = false;
	} else {
		ok = error.column == t->column && strstr(error.text, t->words) &&
		     !strchr(error.text, '\n');
		if (!ok)
			printf("# expected column %u, '%s'; found column %u: %s\n", t->column,
			       t->words, error.column, error.text);
	}
	result(ok, *t->text ? t->text : "(nothing)");
}

/* 64 tiers are taken, 65 are not. */
static void test_many(unsigned int n, bool want)
{
	struct emp_spec_error error = { 0, "" };
	struct emp_spec spec;
	char text[8192] = "dram:1", name[32];

	for (unsigned int i = 0; i < n; i++)
		add(text, sizeof(text), "|/dev/ram%u:1:%u", i, i);
	snprintf(name, sizeof(name), "%u tiers", n);
	result((emp_spec_parse(text, &spec, &error) == 0) == want &&
	       (!want || spec.nr_tiers == n), name);
}

/* A device name that does not fit is refused, not cut. */
static void test_long_name(size_t len, bool want)
{
	struct emp_spec_error error = { 0, "" };
	struct emp_spec spec;
	char text[600], name[48];

	memset(text, 'a', sizeof(text));
	memcpy(text, "/dev/", 5);
	strcpy(text + len, ":1:0");
	snprintf(name, sizeof(name), "device name of %zu characters", len);
	result((emp_spec_parse(text, &spec, &error) == 0) == want &&
	       (!want || strlen(spec.tiers[0].location) == len), name);
}

static void test_looks_like(const char *text, bool want)
{
	char name[64];

	snprintf(name, sizeof(name), "'%s' is %s", text, want ? "a spec" : "a path");
	result(emp_spec_looks_like(text) == want, name);
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int main(void)
{
	printf("KTAP version 1\n1..%zu\n", COUNT(good) + COUNT(bad) + 2 + 2 + 6);
	for (size_t i = 0; i < COUNT(good); i++)
		test_good(&good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		test_bad(&bad[i]);
	test_many(64, true);
	test_many(65, false);
	test_long_name(EMP_SPEC_LOCATION - 1, true);
	test_long_name(EMP_SPEC_LOCATION, false);
	test_looks_like("/dev/hugepages", false);
	test_looks_like("ram.img", false);
	test_looks_like("dram", true);
	test_looks_like("/dev/nvme0n1:1:0", true);
	test_looks_like("10.0.0.1:1:2|dram:1", true);
	test_looks_like("MEMDEV", true);
	return failures != 0;
}
