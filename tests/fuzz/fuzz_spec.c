// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz the mem-path parser and the reader of QEMU command lines.
 *
 * libFuzzer:	clang -fsanitize=fuzzer,address,undefined fuzz_spec.c ...
 * Without it:	-DFUZZ_STANDALONE: mutates its own seeds, always the same way;
 *		the first argument or ANNEX_FUZZ_COUNT is the number of rounds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <annex/emp.h>

#include "../../userspace-tools/emp/emp_qemu_args.h"
#include "../../userspace-tools/emp/emp_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) do {							\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);	\
		abort();						\
	}								\
} while (0)

static void check_taken(const struct emp_spec *s)
{
	MUST(s->nr_tiers <= EMP_SPEC_TIERS);
	MUST(s->has_dram || !s->dram_cgroup);
	MUST(!s->has_dram || s->dram_cgroup || s->dram);
	MUST(s->dram <= INT64_MAX);
	for (unsigned int i = 0; i < s->nr_tiers; i++) {
		const struct emp_spec_tier *t = &s->tiers[i];

		MUST(t->bytes && t->bytes <= INT64_MAX);
		MUST(t->base + t->bytes <= INT64_MAX);
		MUST(memchr(t->location, '\0', sizeof(t->location)));
		MUST(t->type == EMP_SPEC_MEMDEV || t->location[0]);
		MUST(t->type != EMP_SPEC_RDMA || (t->port && t->port <= 65535));
		MUST(t->type != EMP_SPEC_BLOCK || !strncmp(t->location, "/dev/", 5));
	}
	MUST(!emp_spec_has(s, EMP_KEY_NAME) || emp_name_valid(s->name));
	MUST(!(s->block & (s->block - 1)) && s->block <= EMP_BLOCK_MAX);
	MUST(!(s->subblock & (s->subblock - 1)) && s->subblock <= EMP_SUBBLOCK_MAX);
	MUST(!s->block || s->subblock <= s->block);
	MUST(s->mode <= 0777);
}

static void fuzz_parser(const char *text)
{
	struct emp_spec_error error = { 0, "" };
	struct emp_spec spec;

	if (!emp_spec_parse(text, &spec, &error)) {
		check_taken(&spec);
		return;
	}
	MUST(error.column >= 1 && error.column <= strlen(text) + 1);
	MUST(error.text[0] && memchr(error.text, '\0', sizeof(error.text)));
}

/* The text as words of a QEMU command line, separated by spaces. */
static void fuzz_qemu(char *text)
{
	struct emp_qemu_args args;
	char *argv[64] = { (char *)"qemu" };
	struct ax_msg msg;
	char **words;
	int argc = 1;

	for (char *w = strtok(text, " "); w && argc < 63; w = strtok(NULL, " "))
		argv[argc++] = w;
	if (emp_qemu_read(argc, argv, &args, &msg)) {
		MUST(memchr(msg.text, '\0', sizeof(msg.text)));
		return;
	}
	if (!args.spec)
		return;
	MUST(args.ram && args.ram <= INT64_MAX && !(args.ram % 8192));
	words = emp_qemu_rewrite(&args, "/dev/emp/x");
	for (argc = 0; words && words[argc]; argc++)
		;
	MUST(!words || argc == args.argc + 2);
	if (words)
		free(words[args.mem_path + 1]);	/* the backend's description */
	free(words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);	/* exact, so that a read beyond it is seen */

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	fuzz_parser(text);
	fuzz_qemu(text);
	free(text);
	return 0;
}

#ifdef FUZZ_STANDALONE

static const char *const seeds[] = {
	"10.10.0.112:131072:19675|/dev/nvme1n1:131072:0|dram:32768",
	"'dram:-1|memdev:16:-3|[fe80::1]:2:7|host.example:5:0'",
	"dram:1|block=2M,subblock=64K|map=huge|checksum=1|overcommit=1|pinnable=1|pin_limit=1G",
	"wipe=discard|name=vm0|uid=107|gid=kvm|mode=0640|deadline=10s|queue=64|dram:4|force=1",
	"/dev/disk/by-path/pci-0000:00:1f.2-ata-1:4:2|DRAM:9",
	"-m 4G,slots=2,maxmem=8G --mem-path dram:512|/dev/ram0:9000:0 -M q35,accel=kvm",
	"-m 1.5G -mem-path dram:1 -name guest=Vm,,1,debug-threads=on -overcommit mem-lock=off",
	"-machine memory.size=64M,type=pc --mem-path dram:1 -run-with user=nobody -object x,id=y",
	"-append -mem-path -readconfig f -mem-path dram:1 -numa node,memdev=m -mem-prealloc -m size=7k",
};

static const char *const tokens[] = {
	"dram:", "DRAM", "memdev:", "/dev/", ":", "|", ",", "=", "'", "\"", "-1", "0", "[", "]", "::",
	"18446744073709551615", "9223372036854775807", "8796093022207", "block=", "subblock=", "name=",
	"4K", "2M", "1e9", ".", "%s", "-m ", " --mem-path ", "-machine ", ",,", " ", "memory.size=",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TEXT_MAX 1024

static uint64_t state = 0x9e3779b97f4a7c15;

static uint32_t below(uint32_t n)	/* xorshift64* */
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1d >> 32) % n;
}

static size_t insert(char *text, size_t len, const char *what, size_t n)
{
	size_t at = below(len + 1);

	if (len + n >= TEXT_MAX)
		return len;
	memmove(text + at + n, text + at, len - at);
	memcpy(text + at, what, n);
	return len + n;
}

static size_t mutate(char *text, size_t len)
{
	const char *other = seeds[below(COUNT(seeds))], *token = tokens[below(COUNT(tokens))];
	char any = below(256);
	char copy[TEXT_MAX];
	size_t at, n;

	switch (below(6)) {
	case 0:
		return insert(text, len, token, strlen(token));
	case 1:
		return insert(text, len, &any, 1);
	case 2:
		if (len)
			text[below(len)] = any;
		return len;
	case 3:	/* cut something out */
		if (!len)
			return len;
		at = below(len);
		n = 1 + below(len - at);
		memmove(text + at, text + at + n, len - at - n);
		return len - n;
	case 4:	/* a part of another seed */
		at = below(strlen(other));
		return insert(text, len, other + at, 1 + below(strlen(other + at)));
	default:	/* the same again */
		if (!len)
			return len;
		at = below(len);
		n = 1 + below(len - at);
		memcpy(copy, text + at, n);
		return insert(text, len, copy, n);
	}
}

int main(int argc, char **argv)
{
	const char *rounds = argc > 1 ? argv[1] : getenv("ANNEX_FUZZ_COUNT");
	unsigned long n = rounds && *rounds ? strtoul(rounds, NULL, 10) : 200000;
	char text[TEXT_MAX];

	printf("KTAP version 1\n1..1\n");
	fflush(stdout);
	for (size_t i = 0; i < COUNT(seeds); i++)
		LLVMFuzzerTestOneInput((const uint8_t *)seeds[i], strlen(seeds[i]));
	for (unsigned long i = 0; i < n; i++) {
		size_t len;

		strcpy(text, seeds[below(COUNT(seeds))]);
		len = strlen(text);
		for (uint32_t m = 1 + below(6); m--;)
			len = mutate(text, len);
		LLVMFuzzerTestOneInput((const uint8_t *)text, len);
	}
	printf("ok 1 - spec # %lu rounds\n", n);
	return 0;
}

#endif
