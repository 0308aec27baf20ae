/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of a region's contents, so that concurrent writers stay verifiable.
 *
 * The region is cut into cells of 512 bytes. Each operation on a cell (a write
 * of the whole cell, a discard) has a number that grows by one. A word of a cell
 * is either zero or says which word it is and which operation wrote it:
 *
 *	bits 63..40 number of the write, 39..8 number of the word, 7..0 a check
 *
 * The model is memory of its own (shared with all processes of a test, and never
 * part of the region). For every cell it knows the last operation that was begun
 * (issued), the last that is complete (done), and the last discard begun (zeroed).
 * A reader needs no lock: what it reads must be of an operation in [done before,
 * issued after], and zero only if a discard is in that range or nothing was ever
 * written. Writers of one page exclude each other by a lock, which is only ever
 * tried: one that is held by a killed process is simply never had again.
 */
#ifndef CELLS_H
#define CELLS_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096ul
#define CELL		512ul
#define CELL_WORDS	(CELL / 8)
#define PAGE_CELLS	(PAGE / CELL)
#define ERRORS_MAX	20

struct cell {
	_Atomic uint32_t issued;
	_Atomic uint32_t done;
	_Atomic uint32_t zeroed;
};

struct page_model {
	_Atomic uint32_t owner;		/* thread that writes this page; 0: none */
	struct cell cell[PAGE_CELLS];
};

struct model {
	uint64_t bytes;			/* of the region */
	_Atomic uint32_t errors;
	_Atomic uint32_t next_owner;
	struct page_model page[];
};

struct snap {				/* of a cell, before it is read */
	uint32_t done;
};

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static inline uint64_t rnd(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

/* One line of diagnosis, in one write; safe after fork(). */
__attribute__((format(printf, 1, 2)))
static inline void say(const char *format, ...)
{
	char line[512] = "# ";
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line + 2, sizeof(line) - 3, format, args) + 2;
	va_end(args);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, n) < 0)
		_exit(99);
}

#define die(format, ...) do {							\
	say("%s: " format ": %s", program_invocation_short_name, ##__VA_ARGS__,	\
	    strerror(errno));							\
	_exit(2);								\
} while (0)

static inline bool complain(struct model *m)
{
	return atomic_fetch_add(&m->errors, 1) < ERRORS_MAX;
}

static inline uint64_t word_of(uint64_t index, uint32_t gen)
{
	uint64_t w = (uint64_t)gen << 40 | (index & 0xffffffff) << 8;

	return w | (w * 0x9e3779b97f4a7c15ull >> 56);
}

static inline uint32_t word_gen(uint64_t w)
{
	return w >> 40;
}

static inline bool word_well_formed(uint64_t w)
{
	return w == word_of(w >> 8 & 0xffffffff, word_gen(w));
}

static inline struct cell *cell_of(struct model *m, uint64_t cell)
{
	return &m->page[cell / PAGE_CELLS].cell[cell % PAGE_CELLS];
}

/* @path: a file to share the model by, kept if it exists; NULL: by fork() only */
static inline struct model *model_open(const char *path, uint64_t bytes)
{
	size_t size = sizeof(struct model) + bytes / PAGE * sizeof(struct page_model);
	struct model *m;
	int fd = -1;

	if (path) {
		fd = open(path, O_RDWR | O_CREAT, 0600);
		if (fd < 0 || ftruncate(fd, size))
			die("%s", path);
	}
	m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | (path ? 0 : MAP_ANONYMOUS),
		 fd, 0);
	if (m == MAP_FAILED)
		die("the model");
	if (path)
		close(fd);
	m->bytes = bytes;
	return m;
}

static inline bool page_lock(struct model *m, uint64_t page, uint32_t owner)
{
	uint32_t none = 0;

	return atomic_compare_exchange_strong(&m->page[page].owner, &none, owner);
}

static inline void page_unlock(struct model *m, uint64_t page)
{
	atomic_store(&m->page[page].owner, 0);
}

/* Lock @n pages or none. */
static inline bool pages_lock(struct model *m, uint64_t page, uint64_t n, uint32_t owner)
{
	uint64_t i;

	for (i = 0; i < n; i++) {
		if (!page_lock(m, page + i, owner)) {
			while (i--)
				page_unlock(m, page + i);
			return false;
		}
	}
	return true;
}

static inline void pages_unlock(struct model *m, uint64_t page, uint64_t n)
{
	while (n--)
		page_unlock(m, page + n);
}

/* A write begins: what it is to write. The page is locked. */
static inline void cell_issue(struct model *m, uint64_t cell, uint64_t *words)
{
	struct cell *c = cell_of(m, cell);
	uint32_t gen = atomic_load(&c->issued) + 1, i;

	for (i = 0; i < CELL_WORDS; i++)
		words[i] = word_of(cell * CELL_WORDS + i, gen);
	atomic_store(&c->issued, gen);
}

static inline void cell_issue_zero(struct model *m, uint64_t cell)
{
	struct cell *c = cell_of(m, cell);
	uint32_t gen = atomic_load(&c->issued) + 1;

	atomic_store(&c->zeroed, gen);
	atomic_store(&c->issued, gen);
}

/* The operation begun last is complete. */
static inline void cell_complete(struct model *m, uint64_t cell)
{
	struct cell *c = cell_of(m, cell);

	atomic_store(&c->done, atomic_load(&c->issued));
}

static inline struct snap cell_snap(struct model *m, uint64_t cell)
{
	return (struct snap){ .done = atomic_load(&cell_of(m, cell)->done) };
}

/* Is this what @cell may hold, read after @snap? @how names the way it was read. */
static inline bool cell_check(struct model *m, uint64_t cell, struct snap snap,
			      const uint64_t *words, const char *how)
{
	struct cell *c = cell_of(m, cell);
	uint32_t issued = atomic_load(&c->issued), zeroed = atomic_load(&c->zeroed), i;
	const char *what;
	uint64_t w;

	for (i = 0; i < CELL_WORDS; i++) {
		w = words[i];
		if (!w) {
			if (!snap.done || zeroed >= snap.done)
				continue;
			what = "lost (zero)";
		} else if (!word_well_formed(w)) {
			what = "garbage";
		} else if ((w >> 8 & 0xffffffff) != cell * CELL_WORDS + i) {
			what = "of another place";
		} else if (word_gen(w) < snap.done) {
			what = zeroed == snap.done ? "stale after discard" : "stale";
		} else if (word_gen(w) > issued) {
			what = "from the future";
		} else {
			continue;
		}
		if (complain(m))
			say("WRONG DATA by %s: page %lu cell %lu word %u is %s: %016lx, of page %lu write %u; done %u..%u issued %u zeroed %u",
			    how, cell / PAGE_CELLS, cell % PAGE_CELLS, i, what, w,
			    (w >> 8 & 0xffffffff) * 8 / PAGE, word_gen(w), snap.done,
			    atomic_load(&c->done), issued, zeroed);
		return false;
	}
	return true;
}

/* Through memory, which may be the region. */
static inline bool cell_read(struct model *m, uint64_t cell, const void *at, const char *how)
{
	const volatile uint64_t *from = at;
	struct snap snap = cell_snap(m, cell);
	uint64_t words[CELL_WORDS];
	unsigned int i;

	for (i = 0; i < CELL_WORDS; i++)
		words[i] = from[i];
	atomic_thread_fence(memory_order_seq_cst);
	return cell_check(m, cell, snap, words, how);
}

static inline void cell_write(struct model *m, uint64_t cell, void *at)
{
	volatile uint64_t *to = at;
	uint64_t words[CELL_WORDS];
	unsigned int i;

	cell_issue(m, cell, words);
	for (i = 0; i < CELL_WORDS; i++)
		to[i] = words[i];
	cell_complete(m, cell);
}

/* All of the region, for the end of a test. Returns cells that are wrong. */
static inline uint64_t model_check_all(struct model *m, const void *map)
{
	uint64_t cell, wrong = 0;

	for (cell = 0; cell < m->bytes / CELL; cell++)
		wrong += !cell_read(m, cell, (const char *)map + cell * CELL, "final check");
	return wrong;
}

#endif
