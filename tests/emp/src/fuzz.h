/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzzers share: random numbers from a seed, a table of how many calls
 * of a kind ended with which errno, accesses that may fail, and a region that
 * is only used rightly, whose data must stay.
 */
#ifndef FUZZ_H
#define FUZZ_H

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
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define MB (1UL << 20)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* --- random numbers: splitmix64, one stream a thread ------------------------ */

static __thread uint64_t rnd_state;

static inline uint64_t rnd(void)
{
	uint64_t z = rnd_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static inline void rnd_seed(uint64_t seed, uint64_t stream)
{
	rnd_state = seed;
	rnd_state = rnd() + stream * 0xd1342543de82ef95ull;
}

static inline uint64_t below(uint64_t n)
{
	return rnd() % n;
}

/* Once in @n calls. */
static inline bool once_in(uint64_t n)
{
	return !below(n);
}

/* Of any magnitude. */
static inline uint64_t any_number(void)
{
	static const uint64_t edge[] = {
		0, 1, 2, 4095, 4096, 4097, 65536, 1ull << 21, 1ull << 31, 0xffffffff,
		1ull << 32, 1ull << 44, (1ull << 63) - 1, 1ull << 63, (1ull << 63) - 4096, ~0ull,
	};
	uint64_t n = once_in(2) ? edge[below(ARRAY_SIZE(edge))] : rnd() >> below(64);

	return once_in(8) ? -n : n;
}

static inline void fill_random(void *p, size_t len)
{
	unsigned char *c = p;

	while (len--)
		*c++ = rnd();
}

/* --- the table ---------------------------------------------------------------- */

#define ERRNO_MAX 134

struct row {
	char name[20];
	unsigned int count[ERRNO_MAX];	/* [0]: successes */
};

/* Shared with child processes. */
struct table {
	unsigned int rows;
	unsigned int wrong;	/* answers that are not allowed */
	struct row row[160];
};

static struct table *table;

static inline void table_init(void)
{
	table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	if (table == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
}

/* Before threads and children. */
static inline unsigned int table_row(const char *name)
{
	snprintf(table->row[table->rows].name, sizeof(table->row[0].name), "%s", name);
	return table->rows++;
}

/* Count what a system call returned; errno stays. */
static inline long note(unsigned int row, long ret)
{
	unsigned int e = ret < 0 ? errno : 0;

	__atomic_fetch_add(&table->row[row].count[e < ERRNO_MAX ? e : ERRNO_MAX - 1], 1,
			   __ATOMIC_RELAXED);
	return ret;
}

/* An answer that must not be: says so, up to a few times. */
#define wrong(...)								\
	do {									\
		if (__atomic_fetch_add(&table->wrong, 1, __ATOMIC_RELAXED) < 20) { \
			printf("# WRONG: " __VA_ARGS__);			\
			printf("\n");						\
			fflush(stdout);						\
		}								\
	} while (0)

static inline void table_print(void)
{
	unsigned int i, e;

	for (i = 0; i < table->rows; i++) {
		printf("# %-20s", table->row[i].name);
		for (e = 0; e < ERRNO_MAX; e++)
			if (table->row[i].count[e])
				printf(" %s=%u", e ? strerrorname_np(e) ?: "other" : "success",
				       table->row[i].count[e]);
		printf("\n");
	}
}

/* Some call of each of the first @n rows must have succeeded, if there were @calls of it. */
static inline void table_want_success(unsigned int n, unsigned int calls)
{
	unsigned int i, e, sum;

	for (i = 0; i < n; i++) {
		for (e = sum = 0; e < ERRNO_MAX; e++)
			sum += table->row[i].count[e];
		if (!table->row[i].count[0] && sum >= calls)
			wrong("%s never succeeded", table->row[i].name);
	}
}

/* --- accesses that may fail ------------------------------------------------------- */

static __thread sigjmp_buf access_env;
static __thread volatile sig_atomic_t accessing;

static inline void access_failed(int sig)
{
	if (accessing) {
		accessing = 0;
		siglongjmp(access_env, 1);
	}
	signal(sig, SIG_DFL);	/* a bug of ours */
}

static inline void nothing(int sig)
{
	(void)sig;
}

static inline void handlers(void)
{
	struct sigaction failed = { .sa_handler = access_failed, .sa_flags = SA_NODEFER };
	struct sigaction interrupt = { .sa_handler = nothing };

	sigaction(SIGBUS, &failed, NULL);
	sigaction(SIGSEGV, &failed, NULL);
	sigaction(SIGALRM, &interrupt, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
}

/* Load or store a word; false if that is not possible. */
static inline bool access_word(volatile uint64_t *p, bool store, uint64_t *value)
{
	if (sigsetjmp(access_env, 0))
		return false;
	accessing = 1;
	if (store)
		*p = *value;
	else
		*value = *p;
	accessing = 0;
	return true;
}

/*
 * Interrupt the calling thread now and then, so that no wait that a signal ends
 * takes long.
 */
static inline void interrupt_me(unsigned int ms)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	struct itimerspec spec = { .it_interval.tv_sec = ms / 1000,
				   .it_interval.tv_nsec = ms % 1000 * 1000000 };
	timer_t timer;

	ev._sigev_un._tid = syscall(SYS_gettid);
	spec.it_value = spec.it_interval;
	if (timer_create(CLOCK_MONOTONIC, &ev, &timer) || timer_settime(timer, 0, &spec, NULL)) {
		perror("timer");
		exit(2);
	}
}

/* --- a region that keeps its data ---------------------------------------------------- */

#define KEEP_WORDS 4	/* a page that are used */

struct keep {
	volatile uint64_t *mem;
	uint64_t pages;
	uint8_t *version;	/* of each word: what it was last set to */
	uint64_t seed;
	volatile bool stop;
	pthread_t thread;
	unsigned long accesses, refused;
};

static inline uint64_t keep_value(uint64_t word, uint8_t version)
{
	return (word + 1) * 0x9e3779b97f4a7c15ull ^ version * 0xff51afd7ed558ccdull;
}

static inline volatile uint64_t *keep_word(struct keep *k, uint64_t word)
{
	uint64_t page = word / KEEP_WORDS;

	return k->mem + page * 512 + (word % KEEP_WORDS * 128 + page * 7 % 128);
}

/* False if the word cannot be accessed. */
static inline bool keep_check(struct keep *k, uint64_t word)
{
	uint64_t value;

	if (!access_word(keep_word(k, word), false, &value))
		return false;
	if (value != keep_value(word, k->version[word]))
		wrong("page %lu of the region that is kept: %lx, not %lx", word / KEEP_WORDS, value,
		      keep_value(word, k->version[word]));
	return true;
}

static inline void *keep_work(void *arg)
{
	struct keep *k = arg;
	uint64_t words = k->pages * KEEP_WORDS, word, value;

	rnd_seed(k->seed, 1000);
	while (!k->stop) {
		word = below(words);
		k->accesses++;
		if (once_in(2)) {
			k->refused += !keep_check(k, word);
			continue;
		}
		value = keep_value(word, k->version[word] + 1);
		if (access_word(keep_word(k, word), true, &value))
			k->version[word]++;
		else
			k->refused++;
	}
	return NULL;
}

/* Fill @path and begin to use it. */
static inline void keep_start(struct keep *k, const char *path, uint64_t seed)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint64_t word, value;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		perror(path);
		exit(2);
	}
	k->pages = st.st_size / PAGE;
	k->seed = seed;
	k->version = calloc(k->pages, KEEP_WORDS);
	k->mem = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!k->version || k->mem == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	close(fd);
	for (word = 0; word < k->pages * KEEP_WORDS; word++) {
		value = keep_value(word, 0);
		if (!access_word(keep_word(k, word), true, &value))
			wrong("page %lu cannot be written before anything happened",
			      word / KEEP_WORDS);
	}
	k->stop = false;
	if (pthread_create(&k->thread, NULL, keep_work, k)) {
		perror("pthread_create");
		exit(2);
	}
}

/* End, and look at all of it; what cannot be accessed now must be in 20 s. */
static inline void keep_finish(struct keep *k)
{
	uint64_t word, tries = 200;

	k->stop = true;
	pthread_join(k->thread, NULL);
	for (word = 0; word < k->pages * KEEP_WORDS; word++) {
		while (!keep_check(k, word)) {
			if (!--tries) {
				wrong("page %lu cannot be read in the end", word / KEEP_WORDS);
				return;
			}
			usleep(100000);
		}
	}
	printf("# kept: %lu accesses, %lu refused meanwhile, %lu pages right in the end\n",
	       k->accesses, k->refused, k->pages);
}

/* The seed: as told by FUZZ_SEED, else of the time. Printed, so that it can be told. */
static inline uint64_t fuzz_seed(void)
{
	const char *text = getenv("FUZZ_SEED");
	uint64_t seed = text && *text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);

	printf("# FUZZ_SEED=%lu\n", seed);
	fflush(stdout);
	return seed;
}

#endif
