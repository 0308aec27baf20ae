// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a program does with a rank, step by step, on a host or in a guest; the
 * bench looks at its counters in between.
 *
 * usage: rankload DEVICE PROGRAM [BLOCK]
 *
 * Steps are words on standard input, one a line:
 *	open, close	the device
 *	reset		take all 64 DPUs into use, as the SDK does
 *	load		PROGRAM into all of them
 *	launch		and wait for its end
 *	write N, read N	64 transfers of N KiB each, in one call
 *	small N		N reads of 64 bytes from MRAM
 *	commit N	N commits of no commands: 64 bytes there, 64 back, by the provider
 *	block N		N times the serial number of BLOCK, a request of virtio-blk each
 *	quit
 * Each is answered by a line "= STEP NS COMMITS UPDATES TRANSFERS": what it took,
 * of N times the median, and the calls on the device.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../userspace-tools/pim/pim_elf.h"
#include "../../userspace-tools/pim/pim_host.h"

#define DPUS	PIM_RANK_NR_DPUS

static const char *device, *block;
static struct pim_program program;
static struct pim_backend backend;
static struct pim_host host;
static uint8_t *memory;		/* of all DPUs, one behind the other */
static size_t memory_bytes;

static void die(const char *what)
{
	fprintf(stderr, "rankload: %s\n", what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* --- steps ----------------------------------------------------------------------- */

static void do_wait(void)
{
	uint64_t faults;
	struct ax_msg msg;

	if (pim_host_launch(&host, &msg) || pim_host_wait(&host, 600000, &faults, &msg))
		die(msg.text);
	if (faults)
		die("a DPU is in fault");
}

static void transfer(bool write, size_t kib)
{
	struct pim_matrix m = { .size = (uint32_t)(kib << 10) };
	int err;

	if (DPUS * (kib << 10) != memory_bytes) {
		free(memory);
		memory_bytes = DPUS * (kib << 10);
		memory = malloc(memory_bytes);
		if (!memory)
			die("no memory");
		/* what is measured is not the kernel's first look at a page */
		memset(memory, 0x5a, memory_bytes);
	}
	for (size_t n = 0; n < DPUS; n++)
		m.ptr[n] = memory + n * (kib << 10);
	err = write ? backend.ops->write(&backend, &m) : backend.ops->read(&backend, &m);
	if (err)
		die(strerror(-err));
}

static void small(void)
{
	static uint8_t bytes[64];
	struct pim_matrix m = { .ptr = { bytes }, .size = sizeof(bytes) };

	if (backend.ops->read(&backend, &m))
		die("a small read failed");
}

static void commit(void)
{
	const uint64_t none[PIM_RANK_NR_CIS] = { 0 };

	if (backend.ops->commit(&backend, none))
		die("a commit failed");
}

static void serial(void)
{
	static int fd = -1;
	char text[64];

	if (fd < 0)
		fd = open(block, O_RDONLY);
	/* from its beginning: the kernel asks the device again */
	if (fd < 0 || pread(fd, text, sizeof(text), 0) < 0)
		die("the block device has no serial number");
}

/* The median of @n times @step. */
static uint64_t times(void (*step)(void), size_t n)
{
	uint64_t *ns = calloc(n, sizeof(*ns)), start, median;

	if (!ns)
		die("no memory");
	for (size_t i = 0; i < n; i++) {
		start = now();
		step();
		ns[i] = now() - start;
	}
	qsort(ns, n, sizeof(*ns), by_value);
	median = ns[n / 2];
	free(ns);
	return median;
}

static const struct {
	const char *word;
	void (*step)(void);
} repeated[] = { { "small", small }, { "commit", commit }, { "block", serial } };

static void once(const char *word, size_t n)
{
	struct ax_msg msg;

	if (!strcmp(word, "open")) {
		if (pim_backend_device(&backend, device, NULL, &msg))
			die(msg.text);
	} else if (!strcmp(word, "close")) {
		pim_backend_close(&backend);
	} else if (!strcmp(word, "reset")) {
		if (pim_host_reset(&host, &backend, DPUS, &msg))
			die(msg.text);
	} else if (!strcmp(word, "load")) {
		if (pim_host_load(&host, &program, &msg))
			die(msg.text);
	} else if (!strcmp(word, "launch")) {
		do_wait();
	} else if (!strcmp(word, "write") || !strcmp(word, "read")) {
		transfer(word[0] == 'w', n);
	} else {
		die("no such step");
	}
}

static uint64_t step(const char *word, size_t n)
{
	uint64_t start;

	for (size_t i = 0; i < sizeof(repeated) / sizeof(repeated[0]); i++) {
		if (!strcmp(word, repeated[i].word))
			return times(repeated[i].step, n);
	}
	start = now();
	once(word, n);
	return now() - start;
}

int main(int argc, char **argv)
{
	char line[128], word[32];
	struct ax_msg msg;

	if (argc < 3)
		die("usage: rankload DEVICE PROGRAM [BLOCK]");
	device = argv[1];
	block = argc > 3 ? argv[3] : "/sys/block/vda/serial";
	if (pim_elf_open(argv[2], &program, &msg))
		die(msg.text);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("ready\n");
	while (fgets(line, sizeof(line), stdin)) {
		size_t n = 1;
		uint64_t before[4], ns;

		if (sscanf(line, "%31s %zu", word, &n) < 1)
			continue;
		if (!strcmp(word, "quit"))
			break;
		if (!n || n > 1 << 20)
			die("a number from 1 to 2^20 was expected");
		memcpy(before, backend.counts, sizeof(before));
		if (!strcmp(word, "open"))
			memset(before, 0, sizeof(before));
		ns = step(word, n);
		printf("= %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", word, ns,
		       backend.counts[0] - before[0], backend.counts[1] - before[1],
		       backend.counts[2] + backend.counts[3] - before[2] - before[3]);
	}
	free(memory);
	return 0;
}
