// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of a region, by order: maps FILE and reads one command a line from
 * standard input, answers with one line each.
 *
 *	write FIRST N TAG	fill N pages with what follows from page and TAG
 *	check FIRST N TAG	compare; TAG 0: zeros
 *	recheck FIRST N TAG	the same for those whose last write did not fail
 *	touch FIRST N		read one byte of each page
 *	load FIRST N THREADS	threads rewrite and check pages of their own until
 *	unload			... this, which checks all of it once more
 *	send PAGE		write(2) it into a pipe: what the system call says
 *	punch FIRST N		fallocate(PUNCH_HOLE)
 *	poison PAGE		madvise(MADV_HWPOISON): as if the hardware said so
 *	phys PAGE		page frame number, of pagemap
 *	quit			so does the end of the input
 *
 * Answers to what touches pages:
 *
 *	right=N wrong=N bus=N bad_bus=N ms=N during=N
 *
 * bus: a SIGBUS with BUS_MCEERR_AR and the right address; bad_bus: any other.
 * ms: the longest single access. A SIGBUS costs that access only. during: of
 * 'unload', the SIGBUSes of the threads; bus then are those of the last check.
 *
 * SIGUSR1 is taken, and does nothing.
 *
 * Without FILE ("-") anonymous memory of the size in pages that follows.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define WORDS (PAGE / 8)
#define THREADS_MAX 16

struct result {
	unsigned long right, wrong, bus, bad_bus, during;
	long ms;
};

struct worker {
	pthread_t thread;
	unsigned long first, n, step;
	struct result result;
	uint32_t *version;	/* what is in a page; 0: a write that failed, so who knows */
	uint32_t last;
};

static char *mem;
static unsigned long pages;
static bool *written;		/* the last write of the page went through */
static int fd = -1;
static struct worker workers[THREADS_MAX];
static unsigned int nr_workers;
static volatile bool stop;

static __thread sigjmp_buf escape;
static __thread volatile sig_atomic_t armed;
static __thread volatile int bus_code;
static __thread void *volatile bus_addr;

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if (!armed)
		_exit(135);
	bus_code = info->si_code;
	bus_addr = info->si_addr;
	siglongjmp(escape, 1);
}

static void on_usr1(int sig)
{
	(void)sig;
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t pattern(unsigned long page, uint64_t tag, unsigned long i)
{
	uint64_t x = (page + 1) * 0x9e3779b97f4a7c15ULL ^ tag * 0xbf58476d1ce4e5b9ULL ^ i << 40;

	if (!tag)
		return 0;
	x ^= x >> 31;
	return x * 0x94d049bb133111ebULL | 1;
}

static volatile uint64_t *word_of(unsigned long page)
{
	return (volatile uint64_t *)(mem + page * PAGE);
}

static bool page_right(unsigned long page, uint64_t tag)
{
	volatile uint64_t *p = word_of(page);
	unsigned long i;

	for (i = 0; i < WORDS; i++)
		if (p[i] != pattern(page, tag, i))
			return false;
	return true;
}

/* One access of the kind @what; 'w'rite, 'c'heck, 't'ouch. */
static void visit(struct result *r, char what, unsigned long page, uint64_t tag)
{
	volatile uint64_t *p = word_of(page);
	long start = now_ms(), ms;
	unsigned long i;

	if (sigsetjmp(escape, 1)) {
		armed = 0;
		if (bus_code == BUS_MCEERR_AR &&
		    ((uintptr_t)bus_addr & ~(PAGE - 1)) == (uintptr_t)p)
			r->bus++;
		else
			r->bad_bus++;
	} else {
		bool right = true;

		if (what == 'w')
			written[page] = false;
		armed = 1;
		if (what == 'w')
			for (i = 0; i < WORDS; i++)
				p[i] = pattern(page, tag, i);
		else if (what == 'c')
			right = page_right(page, tag);
		else
			(void)p[0];
		armed = 0;
		if (what == 'w')
			written[page] = true;
		if (right)
			r->right++;
		else
			r->wrong++;
	}
	ms = now_ms() - start;
	if (ms > r->ms)
		r->ms = ms;
}

static void renew(struct worker *w, unsigned long at)
{
	unsigned long bus = w->result.bus + w->result.bad_bus;

	visit(&w->result, 'w', w->first + at * w->step, ++w->last);
	w->version[at] = w->result.bus + w->result.bad_bus == bus ? w->last : 0;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t seed = w->first * 77 + 1;

	while (!stop) {
		unsigned long at, page;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		at = seed % w->n;
		page = w->first + at * w->step;
		if (w->version[at])
			visit(&w->result, 'c', page, w->version[at]);
		if (seed >> 60 < 8)
			renew(w, at);
	}
	return NULL;
}

static int load(unsigned long first, unsigned long n, unsigned long threads)
{
	unsigned long t, i;

	if (!threads || threads > THREADS_MAX || threads > n || nr_workers)
		return -1;
	stop = false;
	for (t = 0; t < threads; t++) {
		struct worker *w = &workers[t];

		memset(w, 0, sizeof(*w));
		w->first = first + t;
		w->step = threads;
		w->n = n / threads;
		w->version = malloc(w->n * sizeof(*w->version));
		if (!w->version)
			return -1;
		for (i = 0; i < w->n; i++)
			renew(w, i);
	}
	for (t = 0; t < threads; t++)
		if (pthread_create(&workers[t].thread, NULL, work, &workers[t]))
			return -1;
	nr_workers = threads;
	return 0;
}

static void unload(struct result *r)
{
	unsigned long t, i;

	stop = true;
	for (t = 0; t < nr_workers; t++) {
		struct worker *w = &workers[t];

		pthread_join(w->thread, NULL);
		r->during += w->result.bus;
		w->result.bus = 0;
		for (i = 0; i < w->n; i++)
			if (w->version[i])
				visit(&w->result, 'c', w->first + i * w->step, w->version[i]);
		free(w->version);
		r->right += w->result.right;
		r->wrong += w->result.wrong;
		r->bus += w->result.bus;
		r->bad_bus += w->result.bad_bus;
		if (w->result.ms > r->ms)
			r->ms = w->result.ms;
	}
	nr_workers = 0;
}

static unsigned long frame_of(unsigned long page)
{
	int map = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	if (map < 0 || pread(map, &entry, 8, ((uintptr_t)mem / PAGE + page) * 8) != 8)
		entry = 0;
	if (map >= 0)
		close(map);
	return entry & ((1ULL << 55) - 1);
}

static int send_page(unsigned long page)
{
	int ends[2], err;

	if (pipe(ends))
		return -1;
	err = write(ends[1], mem + page * PAGE, PAGE) < 0;
	if (err)
		err = errno;
	close(ends[0]);
	close(ends[1]);
	errno = err;
	return err;
}

static void answer(const struct result *r)
{
	printf("right=%lu wrong=%lu bus=%lu bad_bus=%lu ms=%ld during=%lu\n", r->right, r->wrong,
	       r->bus, r->bad_bus, r->ms, r->during);
}

static void say(int err)
{
	printf("%s\n", err ? strerror(errno) : "ok");
}

static void obey(const char *verb, unsigned long first, unsigned long n, unsigned long tag)
{
	struct result r = { 0 };
	unsigned long page;

	if (first > pages || n > pages - first) {
		printf("beyond the end\n");
	} else if (!strcmp(verb, "write") || !strcmp(verb, "check") || !strcmp(verb, "touch")) {
		for (page = first; page < first + n; page++)
			visit(&r, *verb, page, tag);
		answer(&r);
	} else if (!strcmp(verb, "recheck")) {
		for (page = first; page < first + n; page++)
			if (written[page])
				visit(&r, 'c', page, tag);
		answer(&r);
	} else if (!strcmp(verb, "load")) {
		printf("%s\n", load(first, n, tag) ? "cannot" : "ok");
	} else if (!strcmp(verb, "unload")) {
		unload(&r);
		answer(&r);
	} else if (!strcmp(verb, "punch")) {
		say(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first * PAGE,
			      n * PAGE));
	} else if (!strcmp(verb, "send")) {
		say(send_page(first));
	} else if (!strcmp(verb, "poison")) {
		say(madvise(mem + first * PAGE, PAGE, MADV_HWPOISON));
	} else if (!strcmp(verb, "phys")) {
		printf("%lu\n", frame_of(first));
	} else {
		printf("what is '%s'?\n", verb);
	}
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct sigaction usr1 = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };
	unsigned long first, n, tag;
	char line[256], verb[32];
	struct stat st;

	if (argc == 3 && !strcmp(argv[1], "-")) {
		pages = strtoul(argv[2], NULL, 0);
		mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	} else if (argc == 2) {
		fd = open(argv[1], O_RDWR);
		if (fd < 0 || fstat(fd, &st)) {
			perror(argv[1]);
			return 1;
		}
		pages = st.st_size / PAGE;
		mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	} else {
		fprintf(stderr, "usage: fault_mem FILE | fault_mem - PAGES\n");
		return 2;
	}
	written = calloc(pages, sizeof(*written));
	if (mem == MAP_FAILED || !written) {
		perror("mmap");
		return 1;
	}
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGUSR1, &usr1, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		first = 0;
		n = 0;
		tag = 0;
		if (sscanf(line, "%31s %lu %lu %lu", verb, &first, &n, &tag) < 1)
			continue;
		if (!strcmp(verb, "quit"))
			break;
		obey(verb, first, n, tag);
	}
	return 0;
}
