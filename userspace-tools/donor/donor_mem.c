// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../lib/ax_size.h"
#include "donor_mem.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23	/* Linux 5.14 */
#endif

#define HUGE ((size_t)2 << 20)

/* Touch every page, so that nothing faults later and lack of memory shows now. */
static int populate(void *memory, size_t bytes)
{
	volatile char *at = memory;

	if (!madvise(memory, bytes, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL)
		return -1;
	for (size_t i = 0; i < bytes; i += 4096)
		at[i] = 0;
	return 0;
}

static void *map_huge(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << MAP_HUGE_SHIFT,
			    -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* Aligned to 2 MiB, so that transparent huge pages fit. */
static void *map_aligned(size_t bytes)
{
	char *memory = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t head;

	if (memory == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)memory & (HUGE - 1);
	if (head)
		munmap(memory, head);
	munmap(memory + head + bytes, HUGE - head);
	return memory + head;
}

static int lock_failed(size_t bytes, struct ax_msg *msg)
{
	struct rlimit limit = { 0 };
	char size[AX_HUMAN], most[AX_HUMAN];
	int error = errno;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur == RLIM_INFINITY ||
	    (error != ENOMEM && error != EPERM && error != EAGAIN))
		return ax_fail(msg, "cannot lock memory: %s", strerror(error));
	return ax_fail(msg, "cannot lock %s more: the limit is %s; raise it (LimitMEMLOCK=infinity in the unit, ulimit -l), run as root, or set lock = no",
		       ax_human_size(bytes, size), ax_human_size(limit.rlim_cur, most));
}

static int prepare(const struct donor_mem_how *how, struct donor_slab *slab, struct ax_msg *msg)
{
	void *memory = how->huge ? map_huge(how->bytes) : NULL;

	slab->huge = memory;
	if (!memory)
		memory = map_aligned(how->bytes);
	if (!memory)
		return ax_fail(msg, "cannot map memory: %s", strerror(errno));
	/* a child must never see a client's data, nor cost a copy */
	madvise(memory, how->bytes, MADV_DONTFORK);
	madvise(memory, how->bytes, MADV_DONTDUMP);
	if (how->huge && !slab->huge)
		madvise(memory, how->bytes, MADV_HUGEPAGE);
	if (populate(memory, how->bytes)) {
		ax_fail(msg, "cannot take memory: %s", strerror(errno));
		munmap(memory, how->bytes);
		return -1;
	}
	if (how->lock && mlock(memory, how->bytes)) {
		lock_failed(how->bytes, msg);
		munmap(memory, how->bytes);
		return -1;
	}
	slab->memory = memory;
	return 0;
}

static void zero(struct donor_mem *mem, char *memory)
{
	size_t step = 1u << 20;

	for (size_t at = 0; at < mem->how.bytes; at += step) {
		memset(memory + at, 0, step);
		if (mem->slow_us)
			usleep(mem->slow_us);
	}
}

static void do_job(void *ctx, struct donor_work *work)
{
	struct donor_mem *mem = ctx;
	struct ax_msg msg;

	work->ok = true;
	switch (work->job) {
	case DONOR_MEM_PREPARE:
		work->ok = !prepare(&mem->how, work->slab, &msg);
		if (!work->ok) {
			pthread_mutex_lock(&mem->lock);
			mem->msg = msg;
			pthread_mutex_unlock(&mem->lock);
		}
		break;
	case DONOR_MEM_ZERO:
		zero(mem, work->slab->memory);
		break;
	case DONOR_MEM_RELEASE:
		munmap(work->slab->memory, mem->how.bytes);
		work->slab->memory = NULL;
		break;
	}
}

int donor_mem_init(struct donor_mem *mem, const struct donor_mem_how *how, struct ax_msg *msg)
{
	memset(mem, 0, sizeof(*mem));
	mem->how = *how;
	pthread_mutex_init(&mem->lock, NULL);
	return donor_worker_init(&mem->worker, do_job, mem, msg);
}

void donor_mem_submit(struct donor_mem *mem, struct donor_slab *slab, enum donor_mem_job job)
{
	const struct donor_work work = { .job = job, .slab = slab };

	donor_worker_submit(&mem->worker, &work, DONOR_WORK_LATER);
}

void donor_mem_why(struct donor_mem *mem, struct ax_msg *msg)
{
	pthread_mutex_lock(&mem->lock);
	*msg = mem->msg;
	pthread_mutex_unlock(&mem->lock);
}

void donor_mem_exit(struct donor_mem *mem)
{
	donor_worker_exit(&mem->worker, false, 0);
}

/* The number behind a key of /proc/meminfo, if the line has that key. */
static void number(const char *line, const char *key, uint64_t *value)
{
	if (!strncmp(line, key, strlen(key)))
		*value = strtoull(line + strlen(key), NULL, 10);
}

uint64_t donor_mem_available(bool huge)
{
	uint64_t kb = 0, pages = 0, page_kb = 0;
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		number(line, "MemAvailable:", &kb);
		number(line, "HugePages_Free:", &pages);
		number(line, "Hugepagesize:", &page_kb);
	}
	if (f)
		fclose(f);
	if (huge && page_kb == HUGE >> 10)
		kb += pages * page_kb;
	return kb << 10;
}
