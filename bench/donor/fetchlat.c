// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long it takes until a unit of memory that was on a tier is here: the
 * access that fetches its first page, all of it, and all of it again, when it
 * is in DRAM.
 *
 * usage: fetchlat FILE SYSFS UNIT COUNT FIRST_ROUND ROUNDS
 *
 * FILE is the file of the region whose folder in sysfs is SYSFS; all of it is
 * written once. In each round all is evicted, then COUNT different units are
 * taken in random order, and one line is printed for each:
 *
 *	ROUND FIRST_NS WHOLE_NS AGAIN_NS
 *
 * Exit status 1 when anything else than what was written is read.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul

static const char *sysfs;

static void die(const char *what)
{
	fprintf(stderr, "fetchlat: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint64_t attr(const char *name, const char *value)
{
	char path[600], text[64] = "";
	int fd, n;

	snprintf(path, sizeof(path), "%s/%s", sysfs, name);
	fd = open(path, (value ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		die(path);
	n = value ? write(fd, value, strlen(value)) : read(fd, text, sizeof(text) - 1);
	close(fd);
	/* what is busy is evicted the next time */
	if (n < 0 && errno != EAGAIN && errno != EBUSY)
		die(path);
	return strtoull(text, NULL, 10);
}

static void evict(size_t bytes)
{
	const struct timespec pause = { 0, 10000000 };
	uint64_t until = now() + 120000000000ull;
	char text[32];

	snprintf(text, sizeof(text), "%zu", bytes);
	while (attr("resident", NULL)) {
		if (now() > until) {
			errno = ETIMEDOUT;
			die("evict");
		}
		attr("evict", text);
		if (attr("resident", NULL))
			nanosleep(&pause, NULL);
	}
}

static uint64_t page_value(size_t page)
{
	return (page + 1) * 0x9e3779b97f4a7c15;
}

/* One word of each of the @n pages from @page on; returns how many were wrong. */
static size_t touch(const char *mem, size_t page, size_t n)
{
	size_t wrong = 0;

	for (size_t i = 0; i < n; i++)
		wrong += *(const volatile uint64_t *)(mem + (page + i) * PAGE) !=
			 page_value(page + i);
	return wrong;
}

int main(int argc, char **argv)
{
	size_t bytes, unit, count, rounds, first_round, units, wrong = 0, *order;
	uint64_t seed = 1, t0, t1, t2, t3;
	struct stat st;
	char *mem;
	int fd;

	if (argc != 7) {
		fprintf(stderr, "usage: fetchlat FILE SYSFS UNIT COUNT FIRST_ROUND ROUNDS\n");
		return 2;
	}
	sysfs = argv[2];
	unit = strtoull(argv[3], NULL, 0);
	count = strtoull(argv[4], NULL, 0);
	first_round = strtoull(argv[5], NULL, 0);
	rounds = strtoull(argv[6], NULL, 0);
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		die(argv[1]);
	bytes = st.st_size;
	units = unit && unit % PAGE == 0 ? bytes / unit : 0;
	if (!units || count > units) {
		fprintf(stderr, "fetchlat: %zu units of %zu bytes in %zu?\n", count, unit, bytes);
		return 2;
	}
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	order = calloc(units, sizeof(*order));
	if (mem == MAP_FAILED || !order)
		die("memory");
	for (size_t i = 0; i < bytes / PAGE; i++)
		*(uint64_t *)(mem + i * PAGE) = page_value(i);
	for (size_t i = 0; i < units; i++)
		order[i] = i;
	for (size_t round = first_round; round < first_round + rounds; round++) {
		evict(bytes);
		for (size_t i = 0; i < count; i++) {
			size_t pick, page, n = unit / PAGE, at;

			seed = seed * 6364136223846793005 + 1442695040888963407;
			pick = i + (seed >> 33) % (units - i);
			at = order[pick];
			order[pick] = order[i];
			order[i] = at;
			page = at * n;
			/* somewhere in it, not always where it begins */
			seed = seed * 6364136223846793005 + 1442695040888963407;
			t0 = now();
			wrong += touch(mem, page + (seed >> 33) % n, 1);
			t1 = now();
			wrong += touch(mem, page, n);
			t2 = now();
			wrong += touch(mem, page, n);
			t3 = now();
			printf("%zu %llu %llu %llu\n", round, (unsigned long long)(t1 - t0),
			       (unsigned long long)(t2 - t0), (unsigned long long)(t3 - t2));
		}
	}
	free(order);
	if (wrong)
		fprintf(stderr, "fetchlat: %zu WRONG VALUES\n", wrong);
	return wrong != 0;
}
