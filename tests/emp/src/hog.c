// SPDX-License-Identifier: GPL-2.0-only
/*
 * hog --mb N [--seconds S] [--again]: take anonymous memory, fill it with a
 * pattern, check it, give it back.
 * hog --find PFN --leave N: take all memory but N MB, in small pages, and look
 * whether that page frame is among it.
 *
 * With --again it does so over and over until the time is up: a competitor for
 * pages that others free. What it finds changed was written by somebody who
 * still had the page; what it wrote and others see was not unmapped from them.
 * Exit status: 0; 1 memory changed, or the page frame was given out; 2 there is none.
 */
#include <getopt.h>

#include <sys/sysinfo.h>

#include "cells.h"

/* No word of the model of cells.h: the check byte never fits. */
static uint64_t pattern(uint64_t i, uint64_t round)
{
	uint64_t w = 0xdead000000000000ull | (round & 0xffff) << 32 | (i & 0xffffff) << 8;

	return w | (uint8_t)~(w * 0x9e3779b97f4a7c15ull >> 56);
}

static int find(uint64_t pfn, uint64_t leave)
{
	const size_t step = 1 << 20;
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry[step / PAGE], taken = 0;
	struct sysinfo info;
	size_t i;
	char *at;

	if (pagemap < 0)
		die("pagemap");
	while (!sysinfo(&info) && (uint64_t)info.freeram * info.mem_unit > leave << 20) {
		at = mmap(NULL, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at == MAP_FAILED)
			die("mmap");
		madvise(at, step, MADV_NOHUGEPAGE);
		memset(at, 1, step);
		if (pread(pagemap, entry, sizeof(entry), (uintptr_t)at / PAGE * 8) !=
		    (ssize_t)sizeof(entry))
			die("pagemap");
		for (i = 0; i < step / PAGE; i++) {
			if ((entry[i] & ((1ul << 55) - 1)) == pfn) {
				say("page frame %lx was given out", pfn);
				return 1;
			}
		}
		taken++;
	}
	say("hog: page frame %lx is not among %lu MB", pfn, taken);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mb", 1, NULL, 'm' }, { "seconds", 1, NULL, 's' }, { "again", 0, NULL, 'a' },
		{ "find", 1, NULL, 'f' }, { "leave", 1, NULL, 'l' }, {}
	};
	uint64_t begin = now_ns(), end, words, round = 0, i;
	size_t bytes = 64 << 20, part;
	uint64_t pfn = 0, leave = 16;
	bool again = false;
	double seconds = 0;
	uint64_t *at;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'm':
			bytes = strtoull(optarg, NULL, 10) << 20;
			break;
		case 's':
			seconds = atof(optarg);
			break;
		case 'a':
			again = true;
			break;
		case 'f':
			pfn = strtoull(optarg, NULL, 10);
			break;
		case 'l':
			leave = strtoull(optarg, NULL, 10);
			break;
		default:
			return 2;
		}
	}
	if (pfn)
		return find(pfn, leave);
	end = begin + (uint64_t)(seconds * 1e9);
	do {
		/* Now in small pages, now in large ones; now all, now a part. */
		part = again ? bytes >> (round % 3) : bytes;
		at = mmap(NULL, part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at == MAP_FAILED)
			die("mmap");
		madvise(at, part, round & 1 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		words = part / 8;
		for (i = 0; i < words; i += again ? 1 : 64)
			at[i] = pattern(i, round);
		for (i = 0; i < words; i += again ? 1 : 64) {
			if (at[i] != pattern(i, round)) {
				say("MEMORY OF ANOTHER PROCESS CHANGED: word %lu is %016lx, not %016lx",
				    i, at[i], pattern(i, round));
				return 1;
			}
		}
		if (!again && now_ns() < end)
			usleep((end - now_ns()) / 1000);
		munmap(at, part);
		round++;
	} while (again && now_ns() < end);
	say("hog: %lu rounds of up to %zu MB", round, bytes >> 20);
	return 0;
}
