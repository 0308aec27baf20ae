// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The client in the shape of the stock SDK (tests/unit/test_pim_sdk.c), on a
 * device instead of a software rank in the process: what its library does to
 * take a rank into use, to load, launch, poll, move data and look at faults.
 *
 * usage: sdk DEVICE [fill|clean]
 *
 * Left out are the cases that make the rank itself misbehave. "fill" leaves
 * something in everything that a DPU has, and DPUs that run and write to MRAM;
 * "clean" looks, without the reset that the library makes, whether anything of it
 * is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <annex/dpu.h>

#include "../../../userspace-tools/pim/pim_rank.h"

static const char *sdk_device;
static int sdk_fd = -1;

static struct pim_rank *device_create(const struct pim_rank_config *config)
{
	(void)config;
	sdk_fd = open(sdk_device, O_RDWR | O_CLOEXEC);
	if (sdk_fd < 0)
		printf("# %s: %s\n", sdk_device, strerror(errno));
	return sdk_fd < 0 ? NULL : (struct pim_rank *)&sdk_fd;
}

static void device_destroy(struct pim_rank *rank)
{
	(void)rank;
	close(sdk_fd);
}

/* The library stops at the first error of a call, and so does this. */
static void must(unsigned long cmd, void *arg)
{
	if (!ioctl(sdk_fd, cmd, arg))
		return;
	printf("Bail out! call 0x%lx: %s\n", cmd, strerror(errno));
	exit(1);
}

static void device_commit(struct pim_rank *rank, const uint64_t commands[8])
{
	(void)rank;
	must(DPU_IOC_COMMIT, (void *)commands);
}

static void device_update(struct pim_rank *rank, uint64_t results[8])
{
	(void)rank;
	must(DPU_IOC_UPDATE, results);
}

static int device_transfer(unsigned long cmd, const struct pim_matrix *m)
{
	struct dpu_transfer t = { .offset = m->offset, .bytes = m->size };

	for (int n = 0; n < DPU_MAX_DPUS; n++)
		t.ptr[n] = (uintptr_t)m->ptr[n];
	return ioctl(sdk_fd, cmd, &t) ? errno : 0;
}

static int device_write(struct pim_rank *rank, const struct pim_matrix *m)
{
	(void)rank;
	return device_transfer(DPU_IOC_WRITE, m);
}

static int device_read(struct pim_rank *rank, const struct pim_matrix *m)
{
	(void)rank;
	return device_transfer(DPU_IOC_READ, m);
}

static void device_wait(struct pim_rank *rank, uint64_t ns)
{
	(void)rank;
	usleep(ns / 1000);
}

static void device_inject(struct pim_rank *rank, unsigned int ci, enum pim_ci_inject what,
			  uint32_t count)
{
	(void)rank;
	(void)ci;
	(void)what;
	(void)count;
}

#define pim_rank_create		device_create
#define pim_rank_destroy	device_destroy
#define pim_rank_commit		device_commit
#define pim_rank_update		device_update
#define pim_rank_write		device_write
#define pim_rank_read		device_read
#define pim_rank_wait		device_wait
#define pim_rank_inject_ci	device_inject
#define main			software_main
#include "../../unit/test_pim_sdk.c"
#undef main

/* Places that fill() writes and clean() reads. */
static uint32_t wram_place(int n)
{
	return (uint32_t)n * 512 + (uint32_t)(n % 128) * 4;
}

#define WRAM_PLACES	128
#define IRAM_PLACES	32

static uint32_t iram_place(int n)
{
	return (uint32_t)n * 128 + 64 + (uint32_t)n;
}

static void fill(void)
{
	/* all atomic bits and registers; then writes to MRAM for ever */
	static const char text[] =
		"move r0, 255\n"
		"again: acquire r0, 0, nz, next\n"
		"next: sub r0, r0, 1, pl, again\n"
		"move r1, 1111\nmove r2, 2222\nmove r10, 3333\nmove r22, 4444\nmove r23, 5555\n"
		"move r3, 1024\nmove r4, 0x08000000\nmove r5, 0x08010000\n"
		"for_ever: sdma r3, r4, 31\nadd r4, r4, 256\n"
		"sub zero, r4, r5, ltu, for_ever\nmove r4, 0x08000000\njump for_ever\n";
	static uint32_t storage[64][BYTES / 4];
	uint32_t *vectors[64], count;
	uint64_t words[64], junk = 0x123456789abcULL;
	bool ok = true;

	reset();
	memset(storage, 0xaa, sizeof(storage));
	for (int n = 0; n < 64; n++)
		vectors[n] = storage[n];
	result(transfer(vectors, true), "fill: MRAM");
	ok = select_all();
	for (int n = 0; n < WRAM_PLACES; n++)
		ok = ok && wram_write(wram_place(n), 0xc0ffee00u + n);
	result(ok, "fill: WRAM");
	count = program(text, words);
	ok = count && iram_write(0, words, count);
	for (int n = 0; n < IRAM_PLACES; n++)
		ok = ok && iram_write(iram_place(n), &junk, 1);
	result(ok, "fill: IRAM");
	for (unsigned int t = 24; t < 64; t++)
		ok = ok && thread_op(BOOT, t);
	result(ok && launch(), "fill: run bits, DPUs run");
}

static bool iram_is(uint32_t at, uint64_t want)
{
	for (int line = 0; line < LINES; line++) {
		for (unsigned int n = 0; n < 6; n++) {
			if (!select_dpu(line) ||
			    !frame(3, 0x02000000 | (0x40 + n) << 16 | (at & 0xff) | at >> 8 << 8,
				   false) ||
			    !all_are(0xff, want >> 8 * n & 0xff))
				return false;
		}
	}
	return true;
}

static bool wram_is(uint32_t at, uint32_t want)
{
	for (int line = 0; line < LINES; line++) {
		if (!select_dpu(line) || !wram_read(at) || !all_are(0xffffffff, want))
			return false;
	}
	return true;
}

static void clean(void)
{
	/* stores the registers, then counts atomic bits that are taken */
	static const char text[] =
		"sw zero, 128, r0\nsw zero, 132, r1\nsw zero, 136, r2\nsw zero, 140, r10\n"
		"sw zero, 144, r22\nsw zero, 148, r23\n"
		"move r0, 255\nmove r1, 0\n"
		"again: acquire r0, 0, nz, busy\n"
		"next: sub r0, r0, 1, pl, again\n"
		"sw zero, 64, r1\nstop\n"
		"busy: add r1, r1, 1\njump next\n";
	static uint32_t storage[64][BYTES / 4];
	uint8_t running[CIS], faults[CIS];
	uint32_t *vectors[64], count;
	uint64_t words[64];
	bool ok = true;

	for (unsigned int t = 0; t < 64; t++)
		ok = ok && select_all() && thread_op(READ_RUN, t) && all_are(0xff, 0);
	result(ok, "clean: run bits");
	ok = poll(running, faults);
	for (int c = 0; c < CIS; c++)
		ok = ok && !running[c] && !faults[c];
	result(ok, "clean: nothing runs, nothing is in fault");
	for (int n = 0; n < WRAM_PLACES; n++)
		ok = ok && wram_is(wram_place(n), 0);
	result(ok, "clean: WRAM");
	ok = iram_is(0, 0) && iram_is(1, 0);
	for (int n = 0; n < IRAM_PLACES; n++)
		ok = ok && iram_is(iram_place(n), 0);
	result(ok, "clean: IRAM");
	for (int n = 0; n < 64; n++)
		vectors[n] = storage[n];
	memset(storage, 0xee, sizeof(storage));
	ok = transfer(vectors, false);
	for (int n = 0; n < 64; n++) {
		for (int k = 0; k < BYTES / 4; k++)
			ok = ok && !storage[n][k];
	}
	result(ok, "clean: MRAM");
	count = program(text, words);
	ok = count && select_all() && wram_write(64, 99) && iram_write(0, words, count) &&
	     launch() && wait_for_all(faults);
	for (uint32_t at = 128; at < 152; at += 4)
		ok = ok && wram_is(at, 0);
	result(ok, "clean: registers");
	result(wram_is(64, 0), "clean: atomic bits");
}

int main(int argc, char **argv)
{
	struct dpu_slice slices[DPU_MAX_CIS] = {};
	const char *what = argc > 2 ? argv[2] : "";

	(void)software_main;
	if (argc < 2)
		return 2;
	sdk_device = argv[1];
	rank = pim_rank_create(NULL);
	if (!rank)
		return 1;
	if (!strcmp(what, "fill")) {
		fill();
	} else if (!strcmp(what, "clean")) {
		clean();
	} else {
		reset();
		must(DPU_IOC_SLICES, slices);	/* the library of 2025 asks for this too */
		run_program();
		faults();
	}
	pim_rank_destroy(rank);
	printf("1..%u\n# %u commits, %u updates\n", test_nr, commits, updates);
	return failures != 0;
}
