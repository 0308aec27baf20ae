// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The process that has the memory and works on it: one for each peer, so that
 * each has an mm and a cgroup of its own. It is told by pipe what to do.
 *
 * Every page is filled with a pattern of its number, and every access is
 * checked against it: version[] counts the writes to each page. Threads have
 * disjoint pages, so the check needs no lock. What the process needs beside
 * the memory is touched before it joins the cgroup, and thus not charged there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "mem_peer.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static const struct peer *me;
static const struct mem_load *load;
static char *mem;
static uint32_t nr_pages;
static uint32_t *order;		/* permutation of the pages */
static uint32_t *version;	/* writes to each page */
static uint32_t *latency;	/* shared with the parent */
static double ns_per_tick;

struct worker {
	pthread_t thread;
	pthread_barrier_t *start;
	uint32_t index, threads, round, write_pct;
	uint64_t ops, bad, begin, end;
};

void peer_die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "memload: %s: ", me ? me->name : "?");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	_exit(1);
}

static void write_file(const char *dir, const char *name, const char *fmt, ...)
{
	char path[256], text[64];
	va_list ap;
	int fd, n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, n) != n)
		peer_die("%s: cannot write %s: %s", path, text, strerror(errno));
	close(fd);
}

static uint64_t read_number(const char *dir, const char *name)
{
	unsigned long long v;
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%llu", &v) != 1)
		peer_die("%s: cannot read", path);
	fclose(f);
	return v;
}

static void *room(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		peer_die("no memory");
	return p;
}

static void calibrate(void)
{
	uint64_t n0 = now_ns(), t0 = ticks(), n1, t1;

	do {
		n1 = now_ns();
		t1 = ticks();
	} while (n1 - n0 < 50000000);
	ns_per_tick = (double)(n1 - n0) / (t1 - t0);
}

/* ---- The memory ---- */

static void map_memory(void)
{
	bool file = me->kind == PEER_EMP || me->kind == PEER_TRIVIAL;
	int fd = -1;

	if (file) {
		fd = open(me->path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			peer_die("%s: %s", me->path, strerror(errno));
	}
	mem = mmap(NULL, load->bytes, PROT_READ | PROT_WRITE,
		   file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
	if (mem == MAP_FAILED)
		peer_die("mmap: %s", strerror(errno));
	if (!file)
		madvise(mem, load->bytes, MADV_NOHUGEPAGE);
	if (fd >= 0)
		close(fd);
}

static void fill_page(uint64_t *page, uint32_t nr)
{
	uint32_t w;

	for (w = 0; w < PAGE / 8; w++)
		page[w] = pattern(nr, w, 0);
}

/* Trivial handler and pager get the contents behind their backs, the others by stores. */
static void fill_memory(void)
{
	uint64_t *page = NULL;
	uint32_t i;
	int fd;

	if (me->kind == PEER_EMP || me->kind == PEER_ANON) {
		for (i = 0; i < nr_pages; i++)
			fill_page((uint64_t *)(mem + i * PAGE), i);
		return;
	}
	fd = open(me->path, O_WRONLY | O_CLOEXEC | (me->kind == PEER_UFFD ? O_DIRECT : 0));
	if (fd < 0 || posix_memalign((void **)&page, PAGE, PAGE))
		peer_die("%s: %s", me->path, strerror(errno));
	for (i = 0; i < nr_pages; i++) {
		fill_page(page, i);
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			peer_die("%s: cannot fill: %s", me->path, strerror(errno));
	}
	free(page);
	close(fd);
	if (me->kind == PEER_UFFD)
		uffd_start(mem, load->bytes, 1, me->path, me->mode);
}

/* How many pages are not in swap? */
static uint32_t not_swapped(void)
{
	static uint64_t map[4096];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint32_t at, i, n, count = 0;

	for (at = 0; at < nr_pages; at += n) {
		n = nr_pages - at < 4096 ? nr_pages - at : 4096;
		if (pread(fd, map, n * 8, ((uintptr_t)mem / PAGE + at) * 8) != n * 8)
			peer_die("cannot read pagemap");
		for (i = 0; i < n; i++)
			count += !(map[i] >> 62 & 1);
	}
	close(fd);
	return count;
}

/* All out of DRAM. Return: pages that would not go. */
static uint32_t make_cold(void)
{
	uint64_t left = 0;
	int i;

	switch (me->kind) {
	case PEER_EMP:
		for (i = 0; i < 200; i++) {
			left = read_number(me->sysfs, "resident");
			if (!left)
				break;
			write_file(me->sysfs, "evict", "%llu", (unsigned long long)left);
			if (i > 20)
				usleep(1000);
		}
		return left / PAGE;
	case PEER_ANON:
		for (i = 0; i < 20; i++) {
			madvise(mem, load->bytes, MADV_PAGEOUT);
			left = not_swapped();
			if (!left)
				break;
			usleep(1000);
		}
		return left;
	default:	/* what was written is forgotten with the page */
		madvise(mem, load->bytes, MADV_DONTNEED);
		memset(version, 0, nr_pages * sizeof(*version));
		return 0;
	}
}

/* ---- The work ---- */

static inline bool access_word(uint32_t page, bool write)
{
	uint32_t w = word_of(page);
	volatile uint64_t *p = (volatile uint64_t *)(mem + page * PAGE) + w;

	if (write) {
		*p = pattern(page, w, ++version[page]);
		return true;
	}
	return *p == pattern(page, w, version[page]);
}

static void work_touch(struct worker *me_, uint32_t from, uint32_t to)
{
	uint32_t i;

	for (i = from; i < to; i++) {
		uint32_t page = order[i], w = word_of(page);
		volatile uint64_t *p = (volatile uint64_t *)(mem + page * PAGE) + w;
		uint64_t t0, t1, v;

		if (me_->write_pct) {
			v = pattern(page, w, ++version[page]);
			t0 = ticks();
			*p = v;
			t1 = ticks();
		} else {
			t0 = ticks();
			v = *p;
			t1 = ticks();
			me_->bad += v != pattern(page, w, version[page]);
		}
		latency[i] = (t1 - t0) * ns_per_tick;
		me_->ops++;
	}
}

static void work_pages(struct worker *wk)
{
	uint64_t seed = mix64(load->seed + wk->round * 64ull + wk->index);
	uint32_t share = nr_pages / wk->threads, at = 0;
	size_t i, n = load->ops / wk->threads;

	for (i = 0; i < n; i++) {
		uint32_t page;

		if (load->work == WORK_SEQ) {
			page = at;
			if (++at == share)
				at = 0;
			page += share * wk->index;
		} else {
			page = rand_below(&seed, share) * wk->threads + wk->index;
		}
		if (!access_word(page, rand_below(&seed, 100) < wk->write_pct))
			wk->bad++;
	}
	wk->ops = n;
}

static void work_zipf(struct worker *wk)
{
	size_t n = load->ops / wk->threads;
	size_t at = wk->round * load->ops + n * wk->index, i;

	for (i = 0; i < n; i++) {
		uint32_t rec = load->trace[(at + i) % load->nr_trace], page = rec / 64, w;
		const volatile uint64_t *p = (volatile uint64_t *)mem + rec * 8ul;
		uint64_t v[8];

		for (w = 0; w < 8; w++)
			v[w] = p[w];
		w = rec % 64 * 8;
		if (v[0] != pattern(page, w, 0) || v[7] != pattern(page, w + 7, 0))
			wk->bad++;
	}
	wk->ops = n;
}

static void *worker(void *arg)
{
	struct worker *wk = arg;
	uint32_t share = nr_pages / wk->threads;

	if (load->work == WORK_TOUCH) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(wk->index % sysconf(_SC_NPROCESSORS_ONLN), &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	pthread_barrier_wait(wk->start);
	wk->begin = now_ns();
	switch (load->work) {
	case WORK_TOUCH:
		work_touch(wk, share * wk->index, share * (wk->index + 1));
		break;
	case WORK_DIRTY:
		work_touch(wk, 0, load->ops);
		break;
	case WORK_ZIPF:
		work_zipf(wk);
		break;
	default:
		work_pages(wk);
	}
	wk->end = now_ns();
	return NULL;
}

static void shuffle(uint32_t round)
{
	uint64_t seed = mix64(load->seed ^ round);
	uint32_t i;

	for (i = nr_pages - 1; i; i--) {
		uint32_t j = rand_below(&seed, i + 1), t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
}

static void run(const struct pass_cmd *c, struct pass_result *r)
{
	struct worker wk[MAX_THREADS] = { 0 };
	uint64_t begin = UINT64_MAX, end = 0;
	pthread_barrier_t start;
	struct rusage a, b;
	uint32_t i;

	pthread_barrier_init(&start, NULL, c->threads);
	getrusage(RUSAGE_SELF, &a);
	for (i = 0; i < c->threads; i++) {
		wk[i] = (struct worker){ .start = &start, .index = i, .threads = c->threads,
					 .round = c->round, .write_pct = c->write_pct };
		if (i && pthread_create(&wk[i].thread, NULL, worker, &wk[i]))
			peer_die("no threads");
	}
	worker(&wk[0]);
	for (i = 0; i < c->threads; i++) {
		if (i)
			pthread_join(wk[i].thread, NULL);
		r->ops += wk[i].ops;
		r->bad += wk[i].bad;
		begin = wk[i].begin < begin ? wk[i].begin : begin;
		end = wk[i].end > end ? wk[i].end : end;
	}
	getrusage(RUSAGE_SELF, &b);
	pthread_barrier_destroy(&start);
	r->ns = end - begin;
	r->nvcsw = b.ru_nvcsw - a.ru_nvcsw;
	r->nivcsw = b.ru_nivcsw - a.ru_nivcsw;
	r->minflt = b.ru_minflt - a.ru_minflt;
	r->majflt = b.ru_majflt - a.ru_majflt;
	r->distinct = load->work == WORK_DIRTY ? load->ops : 0;
}

static void set_up(void)
{
	uint32_t i;

	nr_pages = load->bytes / PAGE;
	order = room(nr_pages * sizeof(*order));
	version = room(nr_pages * sizeof(*version));
	for (i = 0; i < nr_pages; i++)
		order[i] = i;
	for (i = 0; i < load->nr_trace; i += 1024)	/* not in the cgroup */
		*(volatile const uint32_t *)&load->trace[i];
	calibrate();
	if (me->cgroup) {
		write_file(me->cgroup, "cgroup.procs", "%d", getpid());
		write_file(me->cgroup, "memory.max", "%llu", (unsigned long long)me->max);
	}
	map_memory();
	fill_memory();
}

void peer_main(const struct peer *p, const struct mem_load *l, uint32_t *lat, int in, int out)
{
	struct pass_result r = { 0 };
	struct pass_cmd c;

	me = p;
	load = l;
	latency = lat;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	set_up();
	if (write(out, &r, sizeof(r)) != sizeof(r))
		_exit(1);
	while (read(in, &c, sizeof(c)) == sizeof(c)) {
		memset(&r, 0, sizeof(r));
		if (c.step == 0) {
			if (load->work == WORK_TOUCH || load->work == WORK_DIRTY) {
				shuffle(c.round);
				r.warm = make_cold();
			}
		} else if (c.step == 1) {
			run(&c, &r);
		} else {
			r.warm = make_cold();
		}
		if (write(out, &r, sizeof(r)) != sizeof(r))
			break;
	}
	_exit(0);
}
