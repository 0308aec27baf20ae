// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The backing of a donor on a real file: what is written, read and erased, in
 * which order, and what a file that fails is told as.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../userspace-tools/donor/donor_backing.h"

#define SLAB ((size_t)2 << 20)
#define SLABS 3

static unsigned int test_nr, failures;
static bool case_ok;
static unsigned int mode;	/* 0: io_uring; 1: one request at a time; 2: by the page cache */
static struct donor_backing b;
static struct donor_slab slab[SLABS];

#define CHECK(cond) do {							\
	if (!(cond)) {								\
		printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond);		\
		case_ok = false;						\
	}									\
} while (0)

static void fill(unsigned int i, uint64_t seed)
{
	uint64_t *at = slab[i].memory;

	for (size_t n = 0; n < SLAB / 8; n++)
		at[n] = seed ? seed * 0x9e3779b97f4a7c15 + n : 0;
}

static bool has(unsigned int i, uint64_t seed)
{
	const uint64_t *at = slab[i].memory;

	for (size_t n = 0; n < SLAB / 8; n++) {
		if (at[n] != (seed ? seed * 0x9e3779b97f4a7c15 + n : 0))
			return false;
	}
	return true;
}

static struct ax_msg why;

/* The next job that is done; its slab's number + 10 * job, or -1 (why) when it failed. */
static int done(void)
{
	struct pollfd p = { .fd = b.worker.event, .events = POLLIN };
	struct donor_work *work;
	int got;

	while (!(work = donor_worker_collect(&b.worker)))
		poll(&p, 1, -1);
	if (!work->ok)
		donor_backing_why(&b, work, &why);
	got = work->ok ? (work->slab ? (int)(work->slab - slab) : 0) + 10 * work->job : -1;
	free(work);
	return got;
}

static int job(unsigned int i, enum donor_backing_job what)
{
	if (what == DONOR_BACKING_ERASE)
		donor_backing_erase(&b, slab[i].place);
	else
		donor_backing_submit(&b, &slab[i], what);
	return done();
}

static void there_and_back(void)
{
	for (unsigned int i = 0; i < SLABS; i++) {
		fill(i, i + 1);
		CHECK(job(i, DONOR_BACKING_STORE) == (int)i);
	}
	for (unsigned int i = 0; i < SLABS; i++) {
		fill(i, 0);
		CHECK(job(i, DONOR_BACKING_LOAD) == 10 + (int)i && has(i, i + 1));
	}
	/* one place, and not its neighbours; the space stays */
	CHECK(job(1, DONOR_BACKING_ERASE) == 20);
	for (unsigned int i = 0; i < SLABS; i++) {
		fill(i, 99);
		CHECK(job(i, DONOR_BACKING_LOAD) == 10 + (int)i && has(i, i == 1 ? 0 : i + 1));
	}
}

/* What is all zero is not written, and what is in its place is not read. */
static void blanks(void)
{
	fill(0, 3);
	CHECK(job(0, DONOR_BACKING_STORE) == 0 && !slab[0].blank);
	fill(0, 0);
	CHECK(job(0, DONOR_BACKING_STORE) == 0 && slab[0].blank);
	CHECK(job(0, DONOR_BACKING_LOAD) == 10 && has(0, 0));
	slab[0].blank = false;
	CHECK(job(0, DONOR_BACKING_LOAD) == 10 && has(0, 3));
	/* the last byte counts */
	fill(0, 0);
	((char *)slab[0].memory)[SLAB - 1] = 1;
	CHECK(job(0, DONOR_BACKING_STORE) == 0 && !slab[0].blank);
}

static void erase_otherwise(void)
{
	struct stat before, after;

	fstat(b.fd, &before);
	for (unsigned int way = 0; way < 3; way++) {
		b.no_zero_range = way > 0;
		b.no_punch = way > 1;
		for (unsigned int i = 0; i < SLABS; i++) {
			fill(i, 7 + i);
			CHECK(job(i, DONOR_BACKING_STORE) == (int)i);
		}
		CHECK(job(1, DONOR_BACKING_ERASE) == 20);
		for (unsigned int i = 0; i < SLABS; i++)
			CHECK(job(i, DONOR_BACKING_LOAD) == 10 + (int)i &&
			      has(i, i == 1 ? 0 : 7 + i));
	}
	fstat(b.fd, &after);
	CHECK(after.st_blocks >= before.st_blocks && after.st_size == (off_t)(SLABS * SLAB));
}

/* Somebody waits for what is read. */
static void loads_first(void)
{
	fill(2, 5);
	CHECK(job(2, DONOR_BACKING_STORE) == 2);
	b.how.slow_us = 20000;
	donor_backing_submit(&b, &slab[0], DONOR_BACKING_STORE);
	while (donor_worker_busy(&b.worker) && b.worker.todo[DONOR_WORK_LATER].first)
		usleep(1000);	/* it has that one */
	donor_backing_submit(&b, &slab[1], DONOR_BACKING_STORE);
	donor_backing_submit(&b, &slab[2], DONOR_BACKING_LOAD);
	CHECK(done() == 0 && done() == 12 && done() == 1);
	b.how.slow_us = 0;
}

static void failing(void)
{
	int full = open("/dev/full", O_RDWR | O_CLOEXEC), was = dup(b.fd);

	CHECK(dup2(full, b.fd) == b.fd);
	CHECK(job(0, DONOR_BACKING_STORE) == -1);
	CHECK(strstr(why.text, "cannot be written: No space left"));
	CHECK(dup2(was, b.fd) == b.fd && !ftruncate(b.fd, SLAB / 2));
	CHECK(job(0, DONOR_BACKING_LOAD) == -1);
	CHECK(strstr(why.text, "cannot be read: Input/output error"));
	close(full);
	close(was);
}

static void ending(void)
{
	b.ending = true;
	CHECK(job(0, DONOR_BACKING_STORE) == -1 && job(0, DONOR_BACKING_LOAD) == -1);
	CHECK(job(0, DONOR_BACKING_ERASE) == 20);
}

static void refused(const char *path, uint64_t size, const char *reason)
{
	const struct donor_backing_how how = { .path = path, .size = size, .slab = SLAB };
	struct donor_backing x;
	struct ax_msg msg = { "" };

	CHECK(donor_backing_open(&x, &how, &msg) == -1);
	if (!strstr(msg.text, reason))
		printf("# %s\n", msg.text);
	CHECK(strstr(msg.text, reason));
	if (x.fd >= 0)
		close(x.fd);
}

static void settings(void)
{
	refused("/no/such/place", SLAB, "No such file");
	refused("/dev/null", SLAB, "neither a directory nor a block device");
	refused(".", 0, "needs backing-size");
	refused("/proc", SLAB, "backing /proc: ");
	refused(".", 1ull << 50, "cannot reserve 1 PiB");
}

static void run(const char *name, void (*test)(void))
{
	const struct donor_backing_how how = {
		.path = ".", .size = SLABS * SLAB + 5, .slab = SLAB,
	};
	struct ax_msg msg = { "" };

	case_ok = true;
	if (donor_backing_open(&b, &how, &msg) || donor_backing_start(&b, &msg)) {
		printf("# %s\n", msg.text);
		case_ok = false;
	} else {
		CHECK(b.places == SLABS && !b.start);
		if (mode == 1 && b.uring) {
			io_uring_queue_exit(&b.ring);
			b.uring = false;
		}
		if (mode == 2) {
			fcntl(b.fd, F_SETFL, fcntl(b.fd, F_GETFL) & ~O_DIRECT);
			b.direct = false;
		}
		test();
		donor_backing_exit(&b);
	}
	test_nr++;
	if (!case_ok)
		printf("not ");
	printf("ok %u - %s: %s, %s\n", test_nr, name, b.uring ? "io_uring" : "no io_uring",
	       b.direct ? "direct" : "cached");
	failures += !case_ok;
}

int main(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return 77;	/* the filesystem has no files without a name */
	close(fd);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..19\n");
	for (unsigned int i = 0; i < SLABS; i++) {
		slab[i].place = SLABS - 1 - i;
		slab[i].memory = mmap(NULL, SLAB, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (slab[i].memory == MAP_FAILED)
			return 1;
	}
	for (mode = 0; mode < 3; mode++) {
		run("there and back", there_and_back);
		run("what is all zero", blanks);
		run("erasing where the filesystem can less", erase_otherwise);
		run("loads go first", loads_first);
		run("a file that fails", failing);
		run("at the end things are only erased", ending);
	}
	run("settings", settings);
	return failures ? 1 : 0;
}
