// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-virtio-pim/dpu_small.c against plain MRAM: whatever a program writes,
 * reads and lets DPUs do, it reads what it would without. And patterns cost the
 * number of requests that they should.
 */
#include <stdio.h>
#include <string.h>

#include "../../guest-virtio-pim/dpu_small.h"
#include "case.h"

#define MRAM	(64u << 10)
#define DPUS	64

static u8 mram[DPUS][MRAM];	/* what the rank has */
static u8 wanted[DPUS][MRAM];	/* what it would have */
static unsigned int requests;
static u64 moved;
static int fail_with;
static struct dpu_small small;

static int move(void *ctx, bool read, const u8 *dpus, u32 nr, u32 offset, u32 bytes, void *data)
{
	u8 *at = data;

	(void)ctx;
	requests++;
	if (fail_with)
		return fail_with;
	for (u32 i = 0; i < nr; i++, at += bytes) {
		moved += bytes;
		if (dpus[i] >= DPUS || offset + bytes > MRAM || !nr || nr > DPUS) {
			printf("# a request for DPU %u, %u bytes at %u\n", dpus[i], bytes, offset);
			failed_case = true;
			return -EINVAL;
		}
		if (read)
			memcpy(at, mram[dpus[i]] + offset, bytes);
		else
			memcpy(mram[dpus[i]] + offset, at, bytes);
	}
	return 0;
}

static struct dpu_small_io io = {
	.move = move, .all = ~0ULL, .mram_size = MRAM, .merge = true, .prefetch = true,
};

static void begin(void)
{
	static u8 buffers[DPU_SMALL_WINDOWS + 1][DPU_SMALL_BUFFER];

	memset(&small, 0, sizeof(small));
	memset(mram, 0, sizeof(mram));
	memset(wanted, 0, sizeof(wanted));
	for (int i = 0; i < DPU_SMALL_WINDOWS; i++)
		small.window[i].data = buffers[i];
	small.data = buffers[DPU_SMALL_WINDOWS];
	dpu_small_reset(&small);
	io.all = ~0ULL;
	io.merge = true;
	io.prefetch = true;
	requests = 0;
	moved = 0;
	fail_with = 0;
}

static u64 seed = 0x9e3779b97f4a7c15ULL;

static u32 below(u32 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (u32)(seed >> 20) % n;
}

static bool write_at(u32 dpu, u32 offset, u32 bytes, u8 value)
{
	u8 data[DPU_SMALL_BYTES] = { 0 };

	for (u32 n = 0; n < bytes; n++)
		data[n] = (u8)(value + n * 3);
	memcpy(wanted[dpu] + offset, data, bytes);
	return !dpu_small_write(&small, &io, dpu, offset, bytes, data);
}

static bool read_at(u32 dpu, u32 offset, u32 bytes)
{
	u8 data[DPU_SMALL_BYTES];

	return !dpu_small_read(&small, &io, dpu, offset, bytes, data) &&
	       !memcmp(data, wanted[dpu] + offset, bytes);
}

/* A command that lets DPUs run: what was kept must be there first. */
static bool dpus_run(void)
{
	bool same;

	if (dpu_small_send(&small, &io))
		return false;
	dpu_small_forget(&small);
	same = !memcmp(mram, wanted, sizeof(mram));
	for (u32 n = 0; n < 20; n++) {
		u32 dpu = below(DPUS), at = below(MRAM);

		wanted[dpu][at] = (u8)below(256);
		mram[dpu][at] = wanted[dpu][at];
	}
	return same;
}

/* The patterns of programs, and no pattern at all, in any order. */
static void random_program(void)
{
	for (int round = 0; round < 40000; round++) {
		u32 bytes = 8 * (1 + below(below(4) ? 8 : 128)), offset, n = 1 + below(80);
		u32 dpu = below(DPUS), kind = below(10);

		offset = 8 * below((MRAM - bytes) / 8 + 1);
		io.now += below(20) ? 0 : below(30);
		for (u32 i = 0; i < n; i++) {
			u32 at = offset + i * bytes, to = (dpu + i) % DPUS;

			switch (kind) {
			case 0:		/* all DPUs in turn */
				CHECK(write_at(to, offset, bytes, (u8)(round + i)));
				break;
			case 1:
				CHECK(read_at(to, offset, bytes));
				break;
			case 2:		/* on and on */
				if (at + bytes <= MRAM)
					CHECK(write_at(dpu, at, bytes, (u8)(round + i)));
				break;
			case 3:
				if (at + bytes <= MRAM)
					CHECK(read_at(dpu, at, bytes));
				break;
			case 4:		/* both, of all */
				CHECK(read_at(to, offset, bytes));
				CHECK(write_at(to, offset, bytes, (u8)(round - i)));
				break;
			case 5:		/* the same again and again */
				CHECK(read_at(dpu, offset, bytes));
				break;
			case 6:
				CHECK(below(2) ? read_at(below(DPUS), offset, bytes) :
				      write_at(below(DPUS), offset, bytes, (u8)i));
				break;
			case 7:
				if (i)
					break;
				CHECK(dpus_run());
				break;
			default:
				at = 8 * below((MRAM - bytes) / 8 + 1);
				CHECK(below(2) ? read_at(below(DPUS), at, bytes) :
				      write_at(below(DPUS), at, bytes, (u8)i));
				break;
			}
		}
	}
	CHECK(dpus_run());
	CHECK(small.merged > 10000 && small.hits > 10000);
}

static void counts(void)
{
	/* 64 DPUs in turn: one request to write, two to read */
	for (u32 dpu = 0; dpu < DPUS; dpu++)
		CHECK(write_at(dpu, 256, 8, (u8)dpu));
	CHECK(requests == 0 && small.merged == 63);
	for (u32 dpu = 0; dpu < DPUS; dpu++)
		CHECK(read_at(dpu, 256, 8));
	CHECK(requests == 3 && small.hits == 62);
	/* two variables of each */
	requests = 0;
	for (int round = 0; round < 3; round++) {
		for (u32 dpu = 0; dpu < DPUS; dpu++) {
			CHECK(read_at(dpu, 1024, 8));
			CHECK(read_at(dpu, 2048, 64));
		}
	}
	CHECK(requests == 8);
	/* on and on: 4 KiB in 8 bytes */
	requests = 0;
	for (u32 at = 0; at < 4096; at += 8)
		CHECK(write_at(5, 8192 + at, 8, (u8)at));
	CHECK(requests == 0);
	for (u32 at = 0; at < 4096; at += 8)
		CHECK(read_at(5, 8192 + at, 8));
	CHECK(requests == 3);
	/* who looks again looks at the rank */
	requests = 0;
	for (int n = 0; n < 10; n++)
		CHECK(read_at(7, 0, 8));
	CHECK(requests == 10);
	/* also at what was read ahead, of all or of one */
	CHECK(read_at(1, 512, 8) && read_at(2, 512, 8));
	requests = 0;
	CHECK(read_at(3, 512, 8) && requests == 0);
	CHECK(read_at(3, 512, 8) && requests == 1);
	CHECK(read_at(9, 16384, 8) && read_at(9, 16392, 8));
	requests = 0;
	CHECK(read_at(9, 16400, 8) && requests == 0);
	CHECK(read_at(9, 16400, 8) && requests == 1);
	/* what was read ahead grows old */
	CHECK(read_at(1, 128, 8) && read_at(2, 128, 8));
	requests = 0;
	io.now += DPU_SMALL_MS + 1;
	CHECK(read_at(3, 128, 8) && requests == 1);
	/* DPUs that are not there are not asked */
	io.all = 0x00000000000000f5ULL;
	moved = 0;
	CHECK(read_at(0, 16, 8) && read_at(2, 16, 8));
	CHECK(moved == 8 + 6 * 8);
	CHECK(read_at(7, 16, 8));
}

static void switches(void)
{
	io.merge = false;
	io.prefetch = false;
	for (u32 dpu = 0; dpu < DPUS; dpu++)
		CHECK(write_at(dpu, 256, 8, (u8)dpu) && requests == dpu + 1);
	for (u32 dpu = 0; dpu < DPUS; dpu++)
		CHECK(read_at(dpu, 256, 8) && requests == 65 + dpu);
	CHECK(!small.merged && !small.hits);
}

static void errors(void)
{
	u8 data[8];

	CHECK(write_at(0, 0, 8, 1));
	fail_with = -EIO;
	CHECK(dpu_small_send(&small, &io) == -EIO);
	fail_with = 0;
	/* what was told to be written is not: nothing is right any more */
	CHECK(dpu_small_read(&small, &io, 1, 64, 8, data) == -EIO);
	CHECK(dpu_small_write(&small, &io, 1, 64, 8, data) == -EIO);
	CHECK(dpu_small_send(&small, &io) == -EIO);
	/* a rank that has failed is told everything at once */
	begin();
	fail_with = -ENODEV;
	CHECK(dpu_small_read(&small, &io, 1, 64, 8, data) == -ENODEV);
	CHECK(dpu_small_write(&small, &io, 1, 64, 8, data) == -ENODEV);
	begin();
	CHECK(write_at(0, 0, 8, 1));
	fail_with = -EINTR;
	CHECK(dpu_small_send(&small, &io) == -EINTR);
	fail_with = 0;
	CHECK(dpu_small_send(&small, &io) == -EIO);
	begin();
	/* reads that fail are errors of their own only */
	fail_with = -EIO;
	CHECK(dpu_small_read(&small, &io, 1, 64, 8, data) == -EIO);
	CHECK(dpu_small_read(&small, &io, 2, 64, 8, data) == -EIO);
	fail_with = 0;
	CHECK(!dpu_small_read(&small, &io, 2, 64, 8, data));
}

static void run(const char *name, void (*function)(void))
{
	begin();
	case_call(function);
	case_say(name);
}

int main(void)
{
	printf("TAP version 14\n");
	run("any program reads what it would", random_program);
	run("requests of patterns", counts);
	run("switched off", switches);
	run("errors", errors);
	return case_end();
}
