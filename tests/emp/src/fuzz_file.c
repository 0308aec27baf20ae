// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzz the file of a region: every system call that takes a file or a mapping,
 * with arguments that are right, nearly right, and random. Several processes,
 * each with a thread that touches the mappings while another one changes them.
 * Nobody knows what is in this region in the end; another region ("keep") is
 * used rightly meanwhile and must keep its data.
 *
 * usage: fuzz_file COUNT PROCESSES FILE
 *	COUNT: calls a process
 * /dev/emp/keep is there; FUZZ_DIRECT may name a device for direct I/O.
 */
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "fuzz.h"

#define ARENA		(64 * MB)	/* where mappings are made and unmade */
#define PROCESSES_MAX	8
#define POISON_MAX	2		/* pages to be broken, in all */

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif

static const char *path;
static uint64_t count, seed, size;
static char *arena;
static int rw, ro, scratch, null_fd;
static int pipes[2];
static volatile bool stop_touching;
static unsigned int *poisoned;		/* shared */

/* Those of the first part must succeed at times. */
enum { TOUCH, MMAP, MUNMAP, MREMAP, MADVISE, MPROTECT, MSYNC, MLOCK, MUNLOCK, MINCORE, FALLOCATE,
	LSEEK, FSYNC, STAT, FCNTL, FADVISE, PROCESS_VM, FORK, SET_ATTR, POLL, VMSPLICE, OPEN,
	FTRUNCATE, READ, WRITE, SPLICE, IOCTL, XATTR, DIRECTORY, REMAP_PAGES, USERFAULTFD, DIRECT,
	NUMA, FILE_ROWS };
static const char * const names[] = { "touch", "mmap", "munmap", "mremap", "madvise", "mprotect",
	"msync", "mlock", "munlock", "mincore", "fallocate", "lseek", "fsync", "stat", "fcntl",
	"fadvise", "process_vm", "fork", "set attributes", "poll", "vmsplice", "open", "ftruncate",
	"read", "write", "splice", "ioctl", "xattr", "directory", "remap_file_pages", "userfaultfd",
	"direct I/O", "mbind, move_pages" };
static unsigned int advice_row[32];
static unsigned int row[FILE_ROWS];

static char *spot(void)
{
	char *p = arena + below(ARENA / PAGE) * PAGE;

	return once_in(32) ? p + below(PAGE) : p;
}

/* From @p, within the arena; at times 0 or not of whole pages. */
static size_t extent(const char *p)
{
	size_t left = arena + ARENA - p, len;

	switch (below(8)) {
	case 0:
		len = below(left + 1);
		break;
	case 1:
		len = below(4096);
		break;
	case 2:
		len = 2 * MB;
		break;
	default:
		len = (1 + below(64)) * PAGE;
	}
	return len < left ? len : left;
}

static off_t offset(void)
{
	switch (below(8)) {
	case 0:
		return any_number();
	case 1:
		return below(size);
	case 2:
		return below(size / (2 * MB)) * 2 * MB;
	case 3:
		return size - below(4) * PAGE;
	default:
		return below(size / PAGE) * PAGE;
	}
}

static off_t length(void)
{
	switch (below(8)) {
	case 0:
		return any_number();
	case 1:
		return below(size) + 1;
	case 2:
		return (1 + below(4)) * 2 * MB;
	default:
		return (1 + below(64)) * PAGE;
	}
}

static int any_file(void)
{
	return once_in(8) ? ro : rw;
}

static void touch(void)
{
	uint64_t value = rnd();
	char *p = arena + below(ARENA / 8) * 8;
	bool ok = access_word((uint64_t *)p, once_in(2), &value);

	errno = EFAULT;
	note(row[TOUCH], ok ? 0 : -1);
}

static void *toucher(void *arg)
{
	rnd_seed(seed, 500 + (uintptr_t)arg);
	while (!stop_touching)
		touch();
	return NULL;
}

/* --- mappings, all in the arena -------------------------------------------------------- */

static void do_mmap(void)
{
	char *p = spot(), *got;
	int flags = MAP_FIXED | (once_in(8) ? MAP_PRIVATE : once_in(8) ? MAP_SHARED_VALIDATE :
						   MAP_SHARED);
	int prot = once_in(3) ? (int)below(8) : PROT_READ | PROT_WRITE;
	size_t len = extent(p);
	off_t off = offset();

	if (once_in(4))
		flags |= 1 << (12 + below(8));	/* LOCKED, NORESERVE, POPULATE, ... HUGETLB */
	if (once_in(16))
		prot |= PROT_GROWSDOWN;
	if (once_in(2)) {			/* as a VMM would */
		p = arena + below(ARENA / (2 * MB)) * 2 * MB;
		len = (1 + below(4)) * 2 * MB;
		off = below(size / (2 * MB)) * 2 * MB;
	}
	if (p + len > arena + ARENA)
		len = arena + ARENA - p;
	if (once_in(16)) {
		/* Anywhere: not for long. */
		got = mmap(NULL, len, prot, flags & ~MAP_FIXED, any_file(), off);
		note(row[MMAP], got == MAP_FAILED ? -1 : 0);
		if (got != MAP_FAILED)
			munmap(got, len);
		return;
	}
	got = mmap(p, len, prot, flags & ~MAP_GROWSDOWN, any_file(), off);
	note(row[MMAP], got == MAP_FAILED ? -1 : 0);
}

static void do_mremap(void)
{
	char *p = spot(), *to = spot();
	size_t old = once_in(8) ? 0 : extent(p), new = once_in(2) ? old : extent(to);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	if (once_in(4))
		flags |= MREMAP_DONTUNMAP;
	if (once_in(4)) {
		flags = 0;			/* in place */
		new = below(old + 1);
	}
	if (to + new > arena + ARENA)
		new = arena + ARENA - to;
	note(row[MREMAP], mremap(p, old, new, flags, to) == MAP_FAILED ? -1 : 0);
}

static void do_madvise(void)
{
	char *p = spot();
	int advice = once_in(32) ? (int)any_number() : (int)below(26);
	size_t len = extent(p);

	if (once_in(64))
		advice = MADV_SOFT_OFFLINE;
	if (once_in(256))
		advice = MADV_HWPOISON;
	if (advice == MADV_HWPOISON || advice == MADV_SOFT_OFFLINE) {
		if (__atomic_fetch_add(poisoned, 1, __ATOMIC_RELAXED) >= POISON_MAX)
			return;
		len = PAGE;
	}
	note(row[MADVISE], note(advice_row[(unsigned int)advice < 26 ? advice : 26],
				madvise(p, len, advice)));
}

static void do_range(void)
{
	static __thread unsigned char vec[ARENA / PAGE];
	char *p = spot();
	size_t len = extent(p);
	int node = 0, status;

	switch (below(8)) {
	case 0:
		/* A hole, or what was there in the beginning. */
		if (once_in(2))
			note(row[MUNMAP], munmap(p, len));
		else
			mmap(p, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case 1:
		note(row[MPROTECT],
		     mprotect(p, len, once_in(16) ? (int)any_number() : (int)below(8)));
		break;
	case 2:
		note(row[MSYNC], msync(p, len, below(8)));
		break;
	case 3:
		if (len > MB)
			len = MB;
		if (once_in(2))
			note(row[MLOCK], mlock(p, len));
		else
			note(row[MLOCK], mlock2(p, len, below(3)));
		break;
	case 4:
		note(row[MUNLOCK], munlock(p, len));
		break;
	case 5:
		note(row[MINCORE], mincore(p, len, vec));
		break;
	case 6:
		note(row[REMAP_PAGES], remap_file_pages(p, len, 0, below(size / PAGE + 2), 0));
		break;
	default:
		note(row[NUMA], syscall(SYS_mbind, p, len, below(6), &(unsigned long){ 1 }, 2,
					below(8)));
		note(row[NUMA], syscall(SYS_move_pages, 0, 1, &p, once_in(2) ? &node : NULL,
					&status, 2));
	}
}

/* --- the file ---------------------------------------------------------------------------- */

static void do_fallocate(void)
{
	int mode = once_in(4) ? (int)below(128) : FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	note(row[FALLOCATE], fallocate(any_file(), mode, offset(), length()));
}

static void do_read_write(void)
{
	static __thread char own[4096];
	struct iovec v = { .iov_base = spot(), .iov_len = below(3 * PAGE) };
	struct iovec mine = { .iov_base = own, .iov_len = sizeof(own) };
	loff_t off = offset();

	switch (below(12)) {
	case 0:
		note(row[READ], pread(any_file(), own, below(sizeof(own)), off));
		break;
	case 1:
		note(row[WRITE], pwrite(rw, own, below(sizeof(own)), off));
		break;
	case 2:
		note(row[READ], preadv2(any_file(), &mine, 1, off, below(64)));
		break;
	case 3:
		note(row[WRITE], pwritev2(rw, &mine, 1, off, below(64)));
		break;
	case 4:
		note(row[SPLICE], splice(any_file(), &off, pipes[1], NULL, below(65536),
					 SPLICE_F_NONBLOCK | below(16)));
		break;
	case 5:
		note(row[SPLICE], splice(pipes[0], NULL, rw, &off, below(65536),
					 SPLICE_F_NONBLOCK | below(16)));
		break;
	case 6:
		note(row[SPLICE], sendfile(null_fd, any_file(), &off, below(65536)));
		break;
	case 7:
		note(row[SPLICE], copy_file_range(rw, &off, once_in(2) ? rw : scratch, NULL,
						  below(65536), 0));
		break;
	case 8:
		/* Into the pipe, and out of it again. */
		note(row[VMSPLICE], vmsplice(pipes[1], &v, 1, SPLICE_F_NONBLOCK | below(16)));
		while (splice(pipes[0], NULL, null_fd, NULL, 1 << 20, SPLICE_F_NONBLOCK) > 0)
			;
		break;
	case 9:
		note(row[DIRECT], pwrite(scratch, spot(), below(4) * PAGE, below(16) * PAGE));
		break;
	case 10:
		note(row[DIRECT], pread(scratch, spot(), below(4) * PAGE, below(16) * PAGE));
		break;
	default:
		v.iov_base = spot();
		note(row[PROCESS_VM], once_in(2) ?
		     process_vm_readv(getpid(), &mine, 1, &v, 1, 0) :
		     process_vm_writev(getpid(), &mine, 1, &v, 1, 0));
	}
}

static void do_ioctl(void)
{
	static const unsigned long known[] = {
		FIBMAP, FIGETBSZ, FIONREAD, FIOASYNC, FIOQSIZE, FS_IOC_GETFLAGS, FS_IOC_SETFLAGS,
		FS_IOC_FIEMAP, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR, FICLONE, FICLONERANGE,
		FIDEDUPERANGE, FS_IOC_GETVERSION, FS_IOC_GETFSLABEL, FS_IOC_SETFSLABEL, FITRIM,
	};
	static __thread char arg[8192];
	unsigned long cmd = once_in(2) ? known[below(ARRAY_SIZE(known))] : rnd() & 0xffffffff;

	fill_random(arg, 256);
	if (once_in(2))
		memset(arg, 0, 256);
	if (cmd == FICLONE)
		note(row[IOCTL], ioctl(rw, cmd, scratch));
	else if (cmd != FIFREEZE && cmd != FITHAW && cmd != FIOCLEX)
		note(row[IOCTL], ioctl(any_file(), cmd, once_in(8) ? spot() : arg));
}

static void do_open(void)
{
	static const char * const other[] = { "/dev/emp/new", "/dev/emp/a/b", "/dev/emp/" };
	static const int odd[] = { O_CREAT, O_TRUNC, O_DIRECT, O_DIRECTORY, O_PATH, O_APPEND,
				   O_TMPFILE, O_NOATIME, O_SYNC, O_EXCL, O_NOFOLLOW };
	const char *name = once_in(4) ? other[below(ARRAY_SIZE(other))] : path;
	int flags = below(4), fd;

	if (once_in(2))
		flags |= odd[below(ARRAY_SIZE(odd))];
	fd = open(name, flags | O_CLOEXEC, 0600);
	if (note(row[OPEN], fd) < 0)
		return;
	note(row[FTRUNCATE], ftruncate(fd, once_in(2) ? (off_t)size : offset()));
	close(fd);
}

static void do_directory(void)
{
	char to[64];

	snprintf(to, sizeof(to), "/dev/emp/n%lu", below(4));
	switch (below(10)) {
	case 0:
		note(row[DIRECTORY], unlink(path));
		break;
	case 1:
		note(row[DIRECTORY], rename(path, to));
		break;
	case 2:
		note(row[DIRECTORY], link(path, to));
		break;
	case 3:
		note(row[DIRECTORY], symlink("x", to));
		break;
	case 4:
		note(row[DIRECTORY], mkdir(to, 0700));
		break;
	case 5:
		note(row[DIRECTORY], mknod(to, S_IFIFO | 0600, 0));
		break;
	case 6:
		note(row[DIRECTORY], rmdir("/dev/emp"));
		break;
	case 7:
		note(row[DIRECTORY], truncate(path, offset()));
		break;
	case 8:
		note(row[XATTR], setxattr(path, "user.a", "b", 1, 0));
		break;
	default:
		note(row[XATTR], fgetxattr(rw, "security.capability", to, sizeof(to)));
	}
}

static void do_small(void)
{
	struct pollfd p = { .fd = rw, .events = below(0x10000) };
	struct uffdio_register reg = { .mode = 1 + below(7) };
	struct uffdio_api api = { .api = UFFD_API };
	struct timespec ts[2] = { { .tv_sec = below(1u << 31) }, { .tv_nsec = UTIME_NOW } };
	struct statfs fs;
	struct stat st;
	unsigned char vec;
	int fd, cmd;

	switch (below(14)) {
	case 0:
		note(row[LSEEK], lseek(any_file(), offset(), below(6)));
		break;
	case 1:
		note(row[FSYNC], once_in(2) ? fsync(any_file()) : fdatasync(any_file()));
		break;
	case 2:
		note(row[FSYNC], sync_file_range(any_file(), offset(), length(), below(8)));
		break;
	case 3:
		note(row[STAT], once_in(2) ? fstat(any_file(), &st) : fstatfs(any_file(), &fs));
		if (fstat(rw, &st) || (uint64_t)st.st_size != size)
			wrong("the file has %ld bytes, not %lu", (long)st.st_size, size);
		break;
	case 4:
		cmd = once_in(2) ? below(17) : 1024 + below(20);
		fd = note(row[FCNTL], fcntl(any_file(), cmd, below(4)));
		if (fd >= 0 && (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC))
			close(fd);
		fcntl(rw, F_SETFL, 0);	/* no O_DIRECT, O_ASYNC for the next one */
		break;
	case 5:
		errno = posix_fadvise(any_file(), offset(), length(), below(8));
		note(row[FADVISE], errno ? -1 : 0);
		break;
	case 6:
		note(row[FADVISE], readahead(any_file(), offset(), below(1 << 20)));
		break;
	case 7:
		note(row[SET_ATTR], once_in(2) ? fchmod(rw, below(01000)) : futimens(rw, ts));
		break;
	case 8:
		note(row[SET_ATTR], fchown(rw, below(3), below(3)));
		break;
	case 9:
		note(row[POLL], poll(&p, 1, 0));
		break;
	case 10:
		note(row[FTRUNCATE], ftruncate(any_file(), once_in(3) ? (off_t)size : offset()));
		break;
	case 11:
		fd = syscall(SYS_userfaultfd, O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && !ioctl(fd, UFFDIO_API, &api)) {
			reg.range.start = (uintptr_t)spot() & ~(PAGE - 1);
			reg.range.len = PAGE;
			/* Anonymous memory can be: it would wait for us. */
			if (!mincore((void *)(uintptr_t)reg.range.start, PAGE, &vec) &&
			    mmap((void *)(uintptr_t)reg.range.start, PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED, rw, 0) != MAP_FAILED &&
			    !note(row[USERFAULTFD], ioctl(fd, UFFDIO_REGISTER, &reg)))
				wrong("userfaultfd of a region");
		}
		if (fd >= 0)
			close(fd);
		break;
	case 12:
		if (once_in(8)) {
			pid_t pid = fork();

			note(row[FORK], pid);
			if (!pid) {
				unsigned int i;

				for (i = 0; i < 200; i++)
					touch();
				_exit(0);
			}
			if (pid > 0)
				while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
					;
		}
		break;
	default:
		do_open();
	}
}

static void process(unsigned int nr)
{
	pthread_t thread;
	uint64_t i;

	rnd_seed(seed, nr);
	handlers();
	for (i = SIGHUP; i <= SIGQUIT; i++)
		signal(i, SIG_IGN);	/* F_SETSIG */
	rw = open(path, O_RDWR | O_CLOEXEC);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	if (rw < 0 || ro < 0 || pipe(pipes)) {
		perror(path);
		_exit(2);
	}
	arena = mmap(NULL, ARENA + 2 * MB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED || pthread_create(&thread, NULL, toucher, (void *)(uintptr_t)nr))
		_exit(2);
	arena = (char *)(((uintptr_t)arena + 2 * MB - 1) & -(2 * MB));
	interrupt_me(250);
	for (i = 0; i < count; i++) {
		switch (below(16)) {
		case 0 ... 3:
			do_mmap();
			break;
		case 4:
			do_mremap();
			break;
		case 5 ... 6:
			do_madvise();
			break;
		case 7 ... 9:
			do_range();
			break;
		case 10:
			do_fallocate();
			break;
		case 11 ... 12:
			do_read_write();
			break;
		case 13:
			do_ioctl();
			break;
		case 14:
			do_directory();
			break;
		default:
			do_small();
		}
	}
	stop_touching = true;
	pthread_join(thread, NULL);
	fflush(stdout);
	_exit(0);
}

static void prepare(void)
{
	static const char scratch_path[] = "/tmp/fuzz_scratch";
	unsigned int i;
	char name[20];
	struct stat st;

	if (stat(path, &st)) {
		perror(path);
		exit(2);
	}
	size = st.st_size;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	scratch = open(getenv("FUZZ_DIRECT") ?: "", O_RDWR | O_DIRECT | O_CLOEXEC);
	if (scratch < 0)
		scratch = open(scratch_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (scratch < 0 || null_fd < 0) {
		perror(scratch_path);
		exit(2);
	}
	table_init();
	for (i = 0; i < FILE_ROWS; i++)
		row[i] = table_row(names[i]);
	for (i = 0; i <= 26; i++) {
		snprintf(name, sizeof(name), i < 26 ? "madvise %u" : "madvise other", i);
		advice_row[i] = table_row(name);
	}
	poisoned = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

int main(int argc, char **argv)
{
	pid_t pids[PROCESSES_MAX];
	static struct keep keep;
	unsigned int i, nr;
	int status;

	if (argc != 4) {
		fprintf(stderr, "usage: fuzz_file COUNT PROCESSES FILE\n");
		return 2;
	}
	count = strtoull(argv[1], NULL, 0);
	nr = atoi(argv[2]);
	if (!nr || nr > PROCESSES_MAX)
		return 2;
	path = argv[3];
	seed = fuzz_seed();
	handlers();
	prepare();
	for (i = 0; i < nr; i++) {
		pids[i] = fork();
		if (!pids[i])
			process(i);
	}
	keep_start(&keep, "/dev/emp/keep", seed);
	for (i = 0; i < nr; i++) {
		while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR)
			;
		if (status)
			wrong("process %u ended with %x", i, status);
	}
	keep_finish(&keep);
	table_print();
	table_want_success(VMSPLICE + 1, 15);
	return table->wrong != 0;
}
