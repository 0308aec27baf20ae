// SPDX-License-Identifier: GPL-2.0-only
/*
 * stress FILE [OPTION]...: use a region in every way there is and check each word.
 *
 *	--seconds N	how long, or until SIGTERM [5]
 *	--threads N	in each process [4]
 *	--procs N	processes [1]
 *	--ops A,B,...	what to do beside reading and writing (names: table below)
 *	--model FILE	keep the model in FILE, go on with what it says [none]
 *	--direct DEV	a disk for O_DIRECT; its contents are lost
 *	--mb N		use the first N MB only [all]
 *	--fill		write every cell once before the start
 *	--writes N	of 100 plain accesses [30]
 *	--stuck N	seconds that one operation may take [60]
 *	--no-check	do not read all of it at the end
 *
 * See cells.h for how concurrent accesses are verified. Exit status: 0; 1 wrong
 * data or a call that failed; 2 the test could not be done; 3 stuck.
 */
#include <getopt.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "cells.h"

#define WINDOW_PAGES	1024	/* most pages of a private mapping */
#define SPAN_PAGES	64	/* most pages of one operation */
#define DISK_SLICE	(SPAN_PAGES * PAGE)
#define WORKERS_MAX	256

struct worker {
	const char *_Atomic name;	/* of the operation under way */
	_Atomic uint64_t ops;
	_Atomic uint64_t since;		/* ns: begin of that operation; 0: none */
	_Atomic int pid, tid;
};

struct ctx {				/* a thread's own */
	struct worker *worker;
	uint64_t seed;
	uint32_t owner;
	uint32_t number;
	char *buffer;			/* SPAN_PAGES, page aligned */
	uint64_t sequence;		/* next page of a sequential reader */
};

struct op {
	const char *name;
	int weight;
	void (*run)(struct ctx *c);
	bool enabled;
};

static struct model *model;
static struct worker *workers;
static _Atomic bool *stop;
static char *map;
static int region_fd, disk_fd = -1;
static uint64_t pages, hot;
static int writes = 30;

static void failed(const char *what, long got)
{
	int err = errno;

	if (complain(model))
		say("FAILED: %s: %ld, %s", what, got, strerror(err));
}

static uint64_t below(struct ctx *c, uint64_t n)
{
	return rnd(&c->seed) % n;
}

/* A third everywhere, a third in the hot tenth (which moves), a third in sequence. */
static uint64_t some_page(struct ctx *c, uint64_t span)
{
	uint64_t page;

	switch (below(c, 3)) {
	case 0:
		page = below(c, pages);
		break;
	case 1:
		page = (hot + below(c, pages / 10 + 1)) % pages;
		break;
	default:
		page = c->sequence;
		c->sequence = (c->sequence + span) % pages;
	}
	return page + span > pages ? pages - span : page;
}

/* Number of pages: mostly few, sometimes many. */
static uint64_t some_span(struct ctx *c, uint64_t max)
{
	uint64_t n = 1 + below(c, below(c, 4) ? 4 : max);

	if (n > pages)
		n = pages;
	return n > max ? max : n;
}

/* Read or write some cells of a page through @at, where it is mapped. */
static void touch(struct ctx *c, uint64_t page, char *at, bool write, const char *how)
{
	uint64_t first = below(c, PAGE_CELLS), n = 1 + below(c, PAGE_CELLS - first), i;

	if (write) {
		if (!page_lock(model, page, c->owner))
			return;
		for (i = first; i < first + n; i++)
			cell_write(model, page * PAGE_CELLS + i, at + i * CELL);
		page_unlock(model, page);
	} else {
		for (i = first; i < first + n; i++)
			cell_read(model, page * PAGE_CELLS + i, at + i * CELL, how);
	}
}

static void op_rw(struct ctx *c)
{
	uint64_t n = some_span(c, SPAN_PAGES), page = some_page(c, n), i;
	bool write = below(c, 100) < (uint64_t)writes;

	for (i = page; i < page + n; i++)
		touch(c, i, map + i * PAGE, write, "load");
}

/* --- discard ------------------------------------------------------------------ */

static bool zero_begin(struct ctx *c, uint64_t page, uint64_t n)
{
	uint64_t i;

	if (!pages_lock(model, page, n, c->owner))
		return false;
	for (i = page * PAGE_CELLS; i < (page + n) * PAGE_CELLS; i++)
		cell_issue_zero(model, i);
	return true;
}

static void zero_end(uint64_t page, uint64_t n, bool done)
{
	uint64_t i;

	for (i = page * PAGE_CELLS; i < (page + n) * PAGE_CELLS; i++) {
		if (done) {
			cell_complete(model, i);
			cell_read(model, i, map + i * CELL, "load after discard");
		}
	}
	pages_unlock(model, page, n);
}

static void op_discard(struct ctx *c)
{
	uint64_t n = some_span(c, 200), page, i;
	int err;

	if (n > 100)		/* whole 2 MiB blocks, or most of one */
		n = 512 - (below(c, 2) ? 0 : below(c, 100));
	if (n > pages)
		n = pages;
	page = some_page(c, n);
	if (n == 512)
		page &= ~511ul;
	if (!zero_begin(c, page, n))
		return;
	err = fallocate(region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * PAGE,
			n * PAGE);
	if (err)
		failed("fallocate", err);
	zero_end(page, n, !err);
	for (i = page; i < page + n; i++)	/* not all stays empty */
		if (!below(c, 4))
			touch(c, i, map + i * PAGE, true, "");
}

/* --- mappings of all kinds ------------------------------------------------------- */

struct window {
	char *at;
	uint64_t page, n;	/* of the region */
};

static bool window_open(struct ctx *c, struct window *w, int prot, int flags)
{
	w->n = 1 + below(c, below(c, 2) ? 16 : WINDOW_PAGES);
	if (w->n > pages)
		w->n = pages;
	w->page = some_page(c, w->n);
	w->at = mmap(NULL, w->n * PAGE, prot, MAP_SHARED | flags, region_fd, w->page * PAGE);
	if (w->at == MAP_FAILED) {
		failed("mmap of a window", -1);
		return false;
	}
	return true;
}

static void window_close(struct window *w)
{
	if (w->n && munmap(w->at, w->n * PAGE))
		failed("munmap", -1);
}

static void window_touch(struct ctx *c, struct window *w, int times, bool write, const char *how)
{
	uint64_t i;

	while (w->n && times--) {
		i = below(c, w->n);
		touch(c, w->page + i, w->at + i * PAGE, write && below(c, 2), how);
	}
}

/* Unaligned, populated at once or not, unmapped in pieces. */
static void op_unaligned(struct ctx *c)
{
	struct window w;
	uint64_t from, n;

	if (!window_open(c, &w, PROT_READ | PROT_WRITE, below(c, 4) ? 0 : MAP_POPULATE))
		return;
	window_touch(c, &w, 20, true, "load by an unaligned mapping");
	from = below(c, w.n);
	n = 1 + below(c, w.n - from);
	if (munmap(w.at + from * PAGE, n * PAGE))
		failed("munmap of a part", -1);
	if (from) {
		struct window head = { w.at, w.page, from };

		window_touch(c, &head, 10, true, "load before a hole");
		window_close(&head);
	}
	if (from + n < w.n) {
		struct window tail = { w.at + (from + n) * PAGE, w.page + from + n,
				       w.n - from - n };

		window_touch(c, &tail, 10, true, "load behind a hole");
		window_close(&tail);
	}
}

static void op_remap(struct ctx *c)
{
	struct window w;
	char *to;

	if (!window_open(c, &w, PROT_READ | PROT_WRITE, 0))
		return;
	window_touch(c, &w, 20, true, "load");
	to = mmap(NULL, w.n * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (to == MAP_FAILED || mremap(w.at, w.n * PAGE, w.n * PAGE,
				       MREMAP_MAYMOVE | MREMAP_FIXED, to) != to) {
		failed("mremap", -1);
		window_close(&w);
		return;
	}
	w.at = to;
	window_touch(c, &w, 20, true, "load after mremap");
	if (w.n > 1) {		/* shrink in place */
		uint64_t n = 1 + below(c, w.n - 1);

		if (mremap(w.at, w.n * PAGE, n * PAGE, 0) != w.at)
			failed("mremap to less", -1);
		else
			w.n = n;
	}
	window_touch(c, &w, 10, true, "load after shrinking");
	window_close(&w);
}

static void op_protect(struct ctx *c)
{
	struct window w;
	uint64_t from, n;

	if (!window_open(c, &w, PROT_READ | PROT_WRITE, 0))
		return;
	window_touch(c, &w, 10, true, "load");
	from = below(c, w.n);
	n = 1 + below(c, w.n - from);
	if (mprotect(w.at + from * PAGE, n * PAGE, PROT_READ))
		failed("mprotect", -1);
	window_touch(c, &w, 10, false, "load under PROT_READ");
	if (mprotect(w.at, w.n * PAGE, PROT_NONE) ||
	    mprotect(w.at, w.n * PAGE, PROT_READ | PROT_WRITE))
		failed("mprotect", -1);
	window_touch(c, &w, 20, true, "load after mprotect");
	window_close(&w);
}

/* Read-only descriptors and mappings. */
static void op_readonly(struct ctx *c)
{
	struct window w;

	if (!window_open(c, &w, PROT_READ, 0))
		return;
	window_touch(c, &w, 30, false, "load by a read-only mapping");
	window_close(&w);
}

static void op_fork(struct ctx *c)
{
	uint32_t before = atomic_load(&model->errors);
	int status = 0, i;
	pid_t pid = fork();

	if (pid < 0) {
		failed("fork", pid);
		return;
	}
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		c->owner = atomic_fetch_add(&model->next_owner, 1) + 1;
		c->seed ^= c->owner * 0x9e3779b97f4a7c15ull;
		for (i = 0; i < 20; i++)
			op_rw(c);
		_exit(atomic_load(&model->errors) != before);
	}
	for (i = 0; i < 20; i++)
		op_rw(c);
	if (waitpid(pid, &status, 0) != pid || (status && atomic_load(&model->errors) == before))
		failed("a forked process", status);
}

/* --- advice --------------------------------------------------------------------- */

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static void op_madvise(struct ctx *c)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_DONTNEED, MADV_PAGEOUT, MADV_PAGEOUT, MADV_COLD, MADV_WILLNEED,
		MADV_SEQUENTIAL, MADV_RANDOM, MADV_NORMAL, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
		MADV_COLLAPSE, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_MERGEABLE, MADV_FREE,
		MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP, MADV_WIPEONFORK,
	};
	struct window w;
	uint64_t from, n;
	int i;

	if (!window_open(c, &w, PROT_READ | PROT_WRITE, 0))
		return;
	for (i = 0; i < 4; i++) {
		int a = advice[below(c, sizeof(advice) / sizeof(*advice))];

		window_touch(c, &w, 10, true, "load");
		from = below(c, w.n);
		n = 1 + below(c, w.n - from);
		madvise(w.at + from * PAGE, n * PAGE, a);
		window_touch(c, &w, 10, true, "load after madvise");
	}
	/* MADV_REMOVE is a discard. */
	n = below(c, w.n) % SPAN_PAGES + 1;
	if (n <= w.n && zero_begin(c, w.page, n)) {
		int err = madvise(w.at, n * PAGE, MADV_REMOVE);

		if (err)
			failed("MADV_REMOVE", err);
		zero_end(w.page, n, !err);
	}
	window_close(&w);
}

static void op_mlock(struct ctx *c)
{
	unsigned char core[WINDOW_PAGES];
	struct window w;
	uint64_t from, n;

	if (!window_open(c, &w, PROT_READ | PROT_WRITE, 0))
		return;
	from = below(c, w.n);
	n = 1 + below(c, w.n - from);
	if (below(c, 2))
		mlock(w.at + from * PAGE, n * PAGE);
	else
		mlock2(w.at + from * PAGE, n * PAGE, MLOCK_ONFAULT);
	window_touch(c, &w, 20, true, "load after mlock");
	if (msync(w.at, w.n * PAGE, below(c, 2) ? MS_SYNC : MS_ASYNC))
		failed("msync", -1);
	if (mincore(w.at, w.n * PAGE, core))
		failed("mincore", -1);
	window_touch(c, &w, 10, true, "load");
	if (below(c, 2))
		munlock(w.at, w.n * PAGE);
	window_close(&w);
}

/* What tools read and write below /proc while the region is in use. */
static void op_proc(struct ctx *c)
{
	static const char *const files[] = {
		"/proc/self/smaps", "/proc/self/smaps_rollup", "/proc/self/numa_maps",
		"/proc/self/maps", "/proc/self/pagemap", "/proc/kpageflags", "/proc/kpagecount",
	};
	const char *name = files[below(c, sizeof(files) / sizeof(*files))];
	int fd = open(name, O_RDONLY);
	ssize_t n;

	if (fd >= 0) {
		if (strstr(name, "pagemap"))
			lseek(fd, (uintptr_t)(map + some_page(c, 1) * PAGE) / PAGE * 8, SEEK_SET);
		else if (strstr(name, "/kpage"))
			lseek(fd, below(c, 1 << 19) * 8, SEEK_SET);
		do {
			n = read(fd, c->buffer, DISK_SLICE);
		} while (n > 0 && strstr(name, "/s"));
		close(fd);
	}
	if (!below(c, 4)) {	/* clear the referenced or the soft-dirty bits */
		fd = open("/proc/self/clear_refs", O_WRONLY);
		if (fd >= 0) {
			n = write(fd, below(c, 2) ? "1" : "4", 1);
			close(fd);
		}
	}
	op_rw(c);
}

/* Write protection by userfaultfd, resolved by the kernel itself (for any memory, from 6.7). */
static void op_uffd(struct ctx *c)
{
#ifdef UFFD_FEATURE_WP_ASYNC
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect wp = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	struct window w;

	if (fd < 0)
		return;
	if (!ioctl(fd, UFFDIO_API, &api) && window_open(c, &w, PROT_READ | PROT_WRITE, 0)) {
		window_touch(c, &w, 10, true, "load");
		reg.range.start = (uintptr_t)w.at;
		reg.range.len = w.n * PAGE;
		wp.range = reg.range;
		if (!ioctl(fd, UFFDIO_REGISTER, &reg) && !ioctl(fd, UFFDIO_WRITEPROTECT, &wp)) {
			window_touch(c, &w, 20, true, "load under userfaultfd");
			ioctl(fd, UFFDIO_WRITEPROTECT, &wp);
			window_touch(c, &w, 20, true, "load under userfaultfd");
			if (below(c, 2)) {
				ioctl(fd, UFFDIO_UNREGISTER, &reg.range);
				window_touch(c, &w, 10, true, "load after userfaultfd");
			}
		}
		window_close(&w);
	}
	close(fd);
#else
	(void)c;
#endif
}

/* --- the kernel as the reader and writer -------------------------------------------- */

typedef bool (*mover)(struct ctx *c, char *at, size_t len, char *buffer);

/*
 * Move pages from the region to c->buffer by @out and check them, or from there
 * into the region by @in. The pages are locked meanwhile if they are written.
 */
static void transfer(struct ctx *c, mover out, mover in, const char *how)
{
	uint64_t n = some_span(c, 16), page = some_page(c, n), i;
	uint64_t first = page * PAGE_CELLS, cells = n * PAGE_CELLS;
	struct snap snap[16 * PAGE_CELLS];

	if (below(c, 2)) {
		for (i = 0; i < cells; i++)
			snap[i] = cell_snap(model, first + i);
		if (!out(c, map + page * PAGE, n * PAGE, c->buffer))
			return;
		for (i = 0; i < cells; i++)
			cell_check(model, first + i, snap[i], (uint64_t *)(c->buffer + i * CELL),
				   how);
		return;
	}
	if (!pages_lock(model, page, n, c->owner))
		return;
	for (i = 0; i < cells; i++)
		cell_issue(model, first + i, (uint64_t *)(c->buffer + i * CELL));
	if (in(c, map + page * PAGE, n * PAGE, c->buffer)) {
		for (i = 0; i < cells; i++) {
			cell_complete(model, first + i);
			cell_read(model, first + i, map + (first + i) * CELL, how);
		}
	}
	pages_unlock(model, page, n);
}

static bool all_of(const char *what, ssize_t got, size_t want)
{
	if (got == (ssize_t)want)
		return true;
	if (got >= 0)
		errno = 0;
	failed(what, got);
	return false;
}

static off_t disk_slice(struct ctx *c)
{
	return (off_t)c->number * DISK_SLICE;
}

/* Region to disk with O_DIRECT, and back by plain memory; then the other way round. */
static bool direct_out(struct ctx *c, char *at, size_t len, char *buffer)
{
	return all_of("O_DIRECT write", pwrite(disk_fd, at, len, disk_slice(c)), len) &&
	       all_of("read", pread(disk_fd, buffer, len, disk_slice(c)), len);
}

static bool direct_in(struct ctx *c, char *at, size_t len, char *buffer)
{
	return all_of("write", pwrite(disk_fd, buffer, len, disk_slice(c)), len) &&
	       all_of("O_DIRECT read", pread(disk_fd, at, len, disk_slice(c)), len);
}

static void op_direct(struct ctx *c)
{
	if (disk_fd >= 0)
		transfer(c, direct_out, direct_in, "O_DIRECT");
}

static bool vm_out(struct ctx *c, char *at, size_t len, char *buffer)
{
	struct iovec local = { buffer, len }, remote = { at, len };

	(void)c;
	return all_of("process_vm_readv", process_vm_readv(getpid(), &local, 1, &remote, 1, 0),
		      len);
}

static bool vm_in(struct ctx *c, char *at, size_t len, char *buffer)
{
	struct iovec local = { buffer, len }, remote = { at, len };

	(void)c;
	return all_of("process_vm_writev", process_vm_writev(getpid(), &local, 1, &remote, 1, 0),
		      len);
}

static void op_processvm(struct ctx *c)
{
	transfer(c, vm_out, vm_in, "process_vm_readv");
}

static bool mem_out(struct ctx *c, char *at, size_t len, char *buffer)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	bool ok = all_of("read of /proc/self/mem", pread(fd, buffer, len, (uintptr_t)at), len);

	(void)c;
	close(fd);
	return ok;
}

static bool mem_in(struct ctx *c, char *at, size_t len, char *buffer)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	bool ok = all_of("write of /proc/self/mem", pwrite(fd, buffer, len, (uintptr_t)at), len);

	(void)c;
	close(fd);
	return ok;
}

static void op_procmem(struct ctx *c)
{
	transfer(c, mem_out, mem_in, "/proc/self/mem");
}

/* References to pages wait in a pipe while they are evicted, or at least wanted. */
static bool splice_out(struct ctx *c, char *at, size_t len, char *buffer)
{
	struct iovec v = { at, len };
	uint64_t page = (at - map) / PAGE;
	size_t done = 0;
	ssize_t n = 0;
	int fd[2];

	if (len > 15 * PAGE || pipe2(fd, O_CLOEXEC))
		return false;
	if (!pages_lock(model, page, len / PAGE, c->owner)) {
		close(fd[0]);
		close(fd[1]);
		return false;
	}
	n = vmsplice(fd[1], &v, 1, SPLICE_F_NONBLOCK);
	if (n == (ssize_t)len) {
		op_rw(c);
		op_rw(c);
		while (done < len && (n = read(fd[0], buffer + done, len - done)) > 0)
			done += n;
	}
	pages_unlock(model, page, len / PAGE);
	close(fd[0]);
	close(fd[1]);
	return all_of("vmsplice", done ? (ssize_t)done : n, len);
}

static bool pipe_in(struct ctx *c, char *at, size_t len, char *buffer)
{
	size_t done = 0;
	ssize_t n = 0;
	int fd[2];

	(void)c;
	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK))
		return false;
	while (done < len) {
		n = write(fd[1], buffer + done, len - done > PAGE ? PAGE : len - done);
		if (n <= 0 || read(fd[0], at + done, n) != n)
			break;
		done += n;
	}
	close(fd[0]);
	close(fd[1]);
	return all_of("pipe", done, len);
}

static void op_splice(struct ctx *c)
{
	transfer(c, splice_out, pipe_in, "vmsplice");
}

/* A child that has the region mapped is read and written by ptrace. */
static void op_ptrace(struct ctx *c)
{
	uint64_t page = some_page(c, 1), cell = page * PAGE_CELLS + below(c, PAGE_CELLS), i;
	uint64_t words[CELL_WORDS], *at = (uint64_t *)(map + cell * CELL);
	struct snap snap;
	bool write = below(c, 2), locked = false, ok = true;
	pid_t pid = fork();
	int status;

	if (pid < 0) {
		failed("fork", pid);
		return;
	}
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) ||
	    waitpid(pid, &status, __WALL) != pid) {
		failed("ptrace", -1);
		goto out;
	}
	if (write) {
		locked = page_lock(model, page, c->owner);
		if (!locked)
			goto out;
		cell_issue(model, cell, words);
		for (i = 0; i < CELL_WORDS && ok; i++)
			ok = !ptrace(PTRACE_POKEDATA, pid, at + i, words[i]);
		if (ok)
			cell_complete(model, cell);
		else
			failed("PTRACE_POKEDATA", -1);
		page_unlock(model, page);
		cell_read(model, cell, at, "load after POKEDATA");
	} else {
		snap = cell_snap(model, cell);
		for (i = 0; i < CELL_WORDS; i++) {
			errno = 0;
			words[i] = ptrace(PTRACE_PEEKDATA, pid, at + i, 0);
			if (errno) {
				failed("PTRACE_PEEKDATA", -1);
				goto out;
			}
		}
		cell_check(model, cell, snap, words, "PTRACE_PEEKDATA");
	}
out:
	kill(pid, SIGKILL);
	waitpid(pid, &status, __WALL);
}

/* A process that has mapped it is killed in the middle of it. */
static void op_kill(struct ctx *c)
{
	pid_t pid = fork();
	int status;

	if (pid < 0) {
		failed("fork", pid);
		return;
	}
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		c->owner = atomic_fetch_add(&model->next_owner, 1) + 1;
		writes = 0;	/* or the locks that it holds would be lost */
		for (;;)
			op_rw(c);
	}
	usleep(below(c, 20000));
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		failed("waitpid", -1);
}

static struct op ops[] = {
	{ "rw",		60,	op_rw,		true },
	{ "discard",	10,	op_discard },
	{ "unaligned",	5,	op_unaligned },
	{ "remap",	5,	op_remap },
	{ "protect",	5,	op_protect },
	{ "readonly",	5,	op_readonly },
	{ "fork",	2,	op_fork },
	{ "kill",	1,	op_kill },
	{ "madvise",	5,	op_madvise },
	{ "mlock",	5,	op_mlock },
	{ "proc",	2,	op_proc },
	{ "uffd",	3,	op_uffd },
	{ "direct",	10,	op_direct },
	{ "processvm",	10,	op_processvm },
	{ "procmem",	5,	op_procmem },
	{ "splice",	10,	op_splice },
	{ "ptrace",	2,	op_ptrace },
};

#define OPS (sizeof(ops) / sizeof(*ops))
/* --- threads and processes ----------------------------------------------------------- */

static void worker_init(struct ctx *c, uint32_t number)
{
	memset(c, 0, sizeof(*c));
	c->number = number;
	c->worker = &workers[number];
	c->owner = atomic_fetch_add(&model->next_owner, 1) + 1;
	c->seed = 0x123456789abcdefull + c->owner * 0x9e3779b97f4a7c15ull;
	c->sequence = below(c, pages);
	c->buffer = aligned_alloc(PAGE, DISK_SLICE);
	memset(c->buffer, 0, DISK_SLICE);
	atomic_store(&c->worker->pid, getpid());
	atomic_store(&c->worker->tid, gettid());
}

static void *worker_run(void *arg)
{
	uint32_t number = (uintptr_t)arg;
	int total = 0, pick;
	struct ctx c;
	size_t i;

	worker_init(&c, number);
	for (i = 0; i < OPS; i++)
		total += ops[i].enabled ? ops[i].weight : 0;
	while (!atomic_load(stop) && atomic_load(&model->errors) < ERRORS_MAX) {
		pick = below(&c, total);
		for (i = 0; ; i++) {
			if (!ops[i].enabled)
				continue;
			pick -= ops[i].weight;
			if (pick < 0)
				break;
		}
		atomic_store(&c.worker->name, ops[i].name);
		atomic_store(&c.worker->since, now_ns());
		ops[i].run(&c);
		atomic_store(&c.worker->since, 0);
		atomic_fetch_add(&c.worker->ops, 1);
		if (!below(&c, 1000))
			hot = below(&c, pages);
	}
	free(c.buffer);
	return NULL;
}

static void *fill_run(void *arg)
{
	uint64_t n = pages / 4, page = (uintptr_t)arg * n, end = page + n, i;
	struct ctx c;

	worker_init(&c, (uintptr_t)arg);
	if ((uintptr_t)arg == 3)
		end = pages;
	for (; page < end; page++) {
		if (!page_lock(model, page, c.owner))
			continue;
		for (i = page * PAGE_CELLS; i < (page + 1) * PAGE_CELLS; i++)
			cell_write(model, i, map + i * CELL);
		page_unlock(model, page);
	}
	free(c.buffer);
	return NULL;
}

static void run_threads(void *(*run)(void *), uint32_t first, uint32_t n)
{
	pthread_t thread[WORKERS_MAX];
	uint32_t i;

	for (i = 0; i < n; i++)
		if (pthread_create(&thread[i], NULL, run, (void *)(uintptr_t)(first + i)))
			die("pthread_create");
	for (i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
}

/* A thread that does not come back from the kernel: say where it is. */
static void show_stuck(struct worker *w, double s)
{
	char path[64], stack[2000];
	ssize_t n;
	int fd;

	say("STUCK: thread %d in '%s' for %.0f s", w->tid, w->name, s);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stack", w->pid, w->tid);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, stack, sizeof(stack) - 1);
	if (n > 0) {
		stack[n] = 0;
		for (char *line = strtok(stack, "\n"); line; line = strtok(NULL, "\n"))
			say("    %s", line);
	}
	close(fd);
}

static int watch(pid_t *pid, int procs, int threads, double seconds, double stuck)
{
	uint64_t begin = now_ns(), since;
	int left = procs, result = 0, status, i;
	pid_t p;

	while (left) {
		p = waitpid(-1, &status, WNOHANG);
		if (p > 0) {
			left--;
			if (status) {
				say("process %d ended with status %x", p, status);
				result = 1;
			}
			continue;
		}
		if (now_ns() - begin > seconds * 1e9)
			atomic_store(stop, true);
		for (i = 0; i < procs * threads; i++) {
			since = atomic_load(&workers[i].since);
			if (since && now_ns() > since + (uint64_t)(stuck * 1e9)) {
				for (i = 0; i < procs * threads; i++) {
					since = atomic_load(&workers[i].since);
					if (since)
						show_stuck(&workers[i], (now_ns() - since) / 1e9);
				}
				for (i = 0; i < procs; i++)
					kill(pid[i], SIGKILL);
				return 3;
			}
		}
		usleep(20000);
	}
	return result;
}

static void end_early(int sig)
{
	(void)sig;
	atomic_store(stop, true);
}

static void enable(char *list)
{
	for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		size_t i;

		for (i = 0; i < OPS; i++) {
			if (!strcmp(name, "all") || !strcmp(name, ops[i].name)) {
				ops[i].enabled = true;
				if (strcmp(name, "all"))
					break;
			}
		}
		if (i == OPS && strcmp(name, "all")) {
			say("no operation '%s'", name);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", 1, NULL, 's' }, { "threads", 1, NULL, 't' }, { "procs", 1, NULL, 'p' },
		{ "ops", 1, NULL, 'o' }, { "model", 1, NULL, 'm' }, { "direct", 1, NULL, 'd' },
		{ "mb", 1, NULL, 'b' }, { "fill", 0, NULL, 'f' }, { "writes", 1, NULL, 'w' },
		{ "stuck", 1, NULL, 'k' }, { "no-check", 0, NULL, 'n' }, {}
	};
	const char *model_file = NULL, *disk = NULL;
	int threads = 4, procs = 1, opt, i, result;
	bool fill = false, check = true;
	double seconds = 5, stuck = 60;
	uint64_t total = 0, bytes, mb = 0;
	struct stat st;
	pid_t pid[WORKERS_MAX];

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			seconds = atof(optarg);
			break;
		case 't':
			threads = atoi(optarg);
			break;
		case 'p':
			procs = atoi(optarg);
			break;
		case 'o':
			enable(optarg);
			break;
		case 'm':
			model_file = optarg;
			break;
		case 'd':
			disk = optarg;
			break;
		case 'b':
			mb = atol(optarg);
			break;
		case 'f':
			fill = true;
			break;
		case 'w':
			writes = atoi(optarg);
			break;
		case 'k':
			stuck = atof(optarg);
			break;
		case 'n':
			check = false;
			break;
		default:
			return 2;
		}
	}
	if (optind + 1 != argc || threads * procs > WORKERS_MAX) {
		say("usage: stress FILE [OPTION]...");
		return 2;
	}
	region_fd = open(argv[optind], O_RDWR);
	if (region_fd < 0 || fstat(region_fd, &st))
		die("%s", argv[optind]);
	bytes = mb ? mb << 20 : (uint64_t)st.st_size;
	pages = bytes / PAGE;
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, region_fd, 0);
	if (map == MAP_FAILED)
		die("mmap of %s", argv[optind]);
	if (disk) {
		disk_fd = open(disk, O_RDWR | O_DIRECT);
		if (disk_fd < 0)
			die("%s", disk);
	}
	model = model_open(model_file, bytes);
	workers = mmap(NULL, sizeof(*workers) * WORKERS_MAX + PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	stop = (void *)(workers + WORKERS_MAX);
	signal(SIGTERM, end_early);
	if (fill) {
		run_threads(fill_run, 0, 4);
		say("filled");
	}
	for (i = 0; i < procs && seconds > 0; i++) {
		pid[i] = fork();
		if (pid[i] < 0)
			die("fork");
		if (!pid[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run_threads(worker_run, i * threads, threads);
			exit(0);
		}
	}
	result = seconds > 0 ? watch(pid, procs, threads, seconds, stuck) : 0;
	for (i = 0; i < procs * threads; i++)
		total += atomic_load(&workers[i].ops);
	if (result != 3 && check && model_check_all(model, map))
		result = 1;
	say("%lu operations, %u errors", total, atomic_load(&model->errors));
	return result ?: atomic_load(&model->errors) ? 1 : 0;
}
