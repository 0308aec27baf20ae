// SPDX-License-Identifier: GPL-2.0-only
/*
 * access FILE COMMAND [ARGUMENT]...: do a few simple things to a region, in order.
 *
 *	open | open-ro		open the file
 *	map | map-ro | map-private | map-exec	map all of it
 *	close | unmap
 *	fill FROM N SEED	write N whole pages from page FROM
 *	mark FROM N STEP SEED	write one word into each STEPth of N pages
 *	zero FROM N		write zeros
 *	check FROM N SEED	fail unless the pages are as 'fill' wrote them
 *	check-mark FROM N STEP SEED
 *	check-zero FROM N
 *	read FROM N STEP	read a word of each STEPth page
 *	discard FROM N		fallocate(PUNCH_HOLE)
 *	fallocate MODE FROM N | truncate PAGES | chmod MODE | fsync
 *	hwpoison FROM N		madvise(MADV_HWPOISON)
 *	soft-offline FROM N	madvise(MADV_SOFT_OFFLINE)
 *	pfn PAGE		print the page frame number
 *	sigbus PAGE		fail unless a read of PAGE gives SIGBUS; print its code and address
 *	repeat N		do all of the commands before this again, N times in total
 *	wait			print "ready", then wait for a line (or the end) of standard input
 *	abort			end by SIGABRT, with a core dump where the limits allow one
 *
 * All numbers are pages. Exit status: 0; 1, and one line that says what failed
 * and its errno by name; 2 wrong usage.
 */
#include <linux/falloc.h>
#include <setjmp.h>
#include <signal.h>

#include "cells.h"

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

static int fd = -1;
static char *map;
static uint64_t bytes;
static char **args;

static sigjmp_buf bus_jump;
static volatile int bus_code;
static void *volatile bus_addr;

static void fail(const char *what)
{
	say("%s: %s", what, strerrorname_np(errno));
	exit(1);
}

static uint64_t number(void)
{
	char *end;
	uint64_t n;

	if (!*args) {
		say("a number is missing");
		exit(2);
	}
	n = strtoull(*args, &end, 0);
	if (*end || end == *args) {
		say("'%s' is no number", *args);
		exit(2);
	}
	args++;
	return n;
}

static uint64_t *page_at(uint64_t page)
{
	if (!map || (page + 1) * PAGE > bytes) {
		say("page %lu is not mapped", page);
		exit(2);
	}
	return (uint64_t *)(map + page * PAGE);
}

static uint64_t value(uint64_t seed, uint64_t page, uint64_t word)
{
	return (seed * 0x9e3779b97f4a7c15ull ^ (page * 512 + word) * 0xc2b2ae3d27d4eb4full) | 1;
}

static void do_map(int prot, int flags)
{
	map = mmap(NULL, bytes, prot, flags, fd, 0);
	if (map == MAP_FAILED)
		fail("mmap");
}

static void do_fill(bool zero)
{
	uint64_t from = number(), n = number(), seed = zero ? 0 : number(), i, j;

	for (i = from; i < from + n; i++)
		for (j = 0; j < 512; j++)
			((volatile uint64_t *)page_at(i))[j] = zero ? 0 : value(seed, i, j);
}

static void expect(uint64_t page, uint64_t word, uint64_t want)
{
	uint64_t got = ((volatile uint64_t *)page_at(page))[word];

	if (got == want)
		return;
	say("WRONG DATA: page %lu word %lu is %016lx, not %016lx", page, word, got, want);
	exit(1);
}

static void do_check(bool zero)
{
	uint64_t from = number(), n = number(), seed = zero ? 0 : number(), i, j;

	for (i = from; i < from + n; i++)
		for (j = 0; j < 512; j++)
			expect(i, j, zero ? 0 : value(seed, i, j));
}

static void do_mark(bool check)
{
	uint64_t from = number(), n = number(), step = number(), seed = number(), i;

	for (i = from; i < from + n; i += step) {
		uint64_t word = i * 7 % 512;

		if (check)
			expect(i, word, value(seed, i, word));
		else
			((volatile uint64_t *)page_at(i))[word] = value(seed, i, word);
	}
}

static void do_read(void)
{
	uint64_t from = number(), n = number(), step = number(), i;

	for (i = from; i < from + n; i += step)
		(void)*(volatile uint64_t *)page_at(i);
}

static void do_advise(const char *what, int advice)
{
	uint64_t from = number(), n = number();

	if (madvise(page_at(from), n * PAGE, advice))
		fail(what);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	bus_code = info->si_code;
	bus_addr = info->si_addr;
	siglongjmp(bus_jump, 1);
}

static void do_sigbus(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	uint64_t page = number();

	sigaction(SIGBUS, &action, NULL);
	if (!sigsetjmp(bus_jump, 1)) {
		uint64_t got = *(volatile uint64_t *)page_at(page);

		say("page %lu could be read: %016lx", page, got);
		exit(1);
	}
	signal(SIGBUS, SIG_DFL);
	say("page %lu: SIGBUS code %s, page of address %lu", page,
	    bus_code == BUS_MCEERR_AR ? "BUS_MCEERR_AR" :
	    bus_code == BUS_MCEERR_AO ? "BUS_MCEERR_AO" :
	    bus_code == BUS_ADRERR ? "BUS_ADRERR" : "other",
	    ((char *)bus_addr - map) / PAGE);
}

/* As /proc/self/pagemap tells; read the page before, or it may have none. */
static void do_pfn(void)
{
	uint64_t entry, at = (uintptr_t)page_at(number()) / PAGE * 8;
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (pagemap < 0 || pread(pagemap, &entry, sizeof(entry), at) != sizeof(entry))
		fail("pagemap");
	if (!(entry >> 63)) {
		say("not mapped");
		exit(1);
	}
	printf("%lu\n", entry & ((1ul << 55) - 1));
	close(pagemap);
}

static void do_fallocate(int mode)
{
	uint64_t from, n;

	if (mode < 0)
		mode = number();
	from = number();
	n = number();
	if (fallocate(fd, mode, from * PAGE, n * PAGE))
		fail("fallocate");
}

static void run(const char *name, const char *file)
{
	char line[64];

	if (!strcmp(name, "open") || !strcmp(name, "open-ro")) {
		struct stat st;

		fd = open(file, (name[4] ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st))
			fail("open");
		bytes = st.st_size;
	} else if (!strcmp(name, "map")) {
		do_map(PROT_READ | PROT_WRITE, MAP_SHARED);
	} else if (!strcmp(name, "map-ro")) {
		do_map(PROT_READ, MAP_SHARED);
	} else if (!strcmp(name, "map-private")) {
		do_map(PROT_READ | PROT_WRITE, MAP_PRIVATE);
	} else if (!strcmp(name, "map-exec")) {
		do_map(PROT_READ | PROT_EXEC, MAP_SHARED);
	} else if (!strcmp(name, "close")) {
		close(fd);
	} else if (!strcmp(name, "unmap")) {
		if (munmap(map, bytes))
			fail("munmap");
	} else if (!strcmp(name, "fill")) {
		do_fill(false);
	} else if (!strcmp(name, "zero")) {
		do_fill(true);
	} else if (!strcmp(name, "check")) {
		do_check(false);
	} else if (!strcmp(name, "check-zero")) {
		do_check(true);
	} else if (!strcmp(name, "mark")) {
		do_mark(false);
	} else if (!strcmp(name, "check-mark")) {
		do_mark(true);
	} else if (!strcmp(name, "read")) {
		do_read();
	} else if (!strcmp(name, "discard")) {
		do_fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	} else if (!strcmp(name, "fallocate")) {
		do_fallocate(-1);
	} else if (!strcmp(name, "truncate")) {
		if (ftruncate(fd, number() * PAGE))
			fail("ftruncate");
	} else if (!strcmp(name, "chmod")) {
		if (fchmod(fd, number()))
			fail("fchmod");
	} else if (!strcmp(name, "fsync")) {
		if (fsync(fd))
			fail("fsync");
	} else if (!strcmp(name, "hwpoison")) {
		do_advise("MADV_HWPOISON", MADV_HWPOISON);
	} else if (!strcmp(name, "soft-offline")) {
		do_advise("MADV_SOFT_OFFLINE", MADV_SOFT_OFFLINE);
	} else if (!strcmp(name, "pfn")) {
		do_pfn();
	} else if (!strcmp(name, "sigbus")) {
		do_sigbus();
	} else if (!strcmp(name, "abort")) {
		abort();
	} else if (!strcmp(name, "wait")) {
		printf("ready\n");
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin))
			return;
	} else {
		say("no command '%s'", name);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	uint64_t done = 1;

	if (argc < 3) {
		say("usage: access FILE COMMAND [ARGUMENT]...");
		return 2;
	}
	args = argv + 2;
	while (*args) {
		const char *name = *args++;

		if (!strcmp(name, "repeat")) {
			if (done++ < number())
				args = argv + 2;
			else
				done = 1;
			continue;
		}
		run(name, argv[1]);
	}
	return 0;
}
