// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a region's file and its folder refuse: everything but MAP_SHARED within
 * the size and PUNCH_HOLE. After each refusal the bytes of the region are what
 * they were.
 *
 * usage: fault_file NAME		a region of 32 MiB that is in /dev/emp
 */
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <linux/falloc.h>

#include "fault_case.h"

#define SIZE (32UL << 20)

static char path[64];
static int file = -1;		/* O_RDWR */
static uint64_t *mem;		/* all of it */

static void fill(void)
{
	size_t i;

	for (i = 0; i < SIZE / 8; i += 512)
		mem[i] = i * 3 + 1;
}

static bool intact(void)
{
	size_t i;

	for (i = 0; i < SIZE / 8; i += 512)
		if (mem[i] != i * 3 + 1)
			return false;
	return true;
}

/* @ret of a system call: errno @want, and the bytes are still right. */
static void refuse(const char *name, long ret, int want)
{
	int got = ret < 0 ? errno : 0;
	char reason[96];
	struct stat st;

	if (!picked(name))
		return;
	snprintf(reason, sizeof(reason), "%s, not %s", name_of(got), name_of(want));
	if (!intact())
		verdict(name, false, "the bytes changed", false);
	else if (fstat(file, &st) || st.st_size != (off_t)SIZE)
		verdict(name, false, "the size changed", false);
	else
		verdict(name, got == want, reason, false);
}

static long try_mmap(size_t len, int prot, int flags, int fd, off_t off)
{
	void *p = mmap(NULL, len, prot, flags, fd, off);

	if (p == MAP_FAILED)
		return -1;
	munmap(p, len);
	return 0;
}

static void maps(void)
{
	int ro = open(path, O_RDONLY | O_CLOEXEC), wo = open(path, O_WRONLY | O_CLOEXEC);
	int rw = PROT_READ | PROT_WRITE;

	refuse("mmap_right", try_mmap(SIZE, rw, MAP_SHARED, file, 0), 0);
	refuse("mmap_last_page", try_mmap(4096, rw, MAP_SHARED, file, SIZE - 4096), 0);
	refuse("mmap_read_only", try_mmap(SIZE, PROT_READ, MAP_SHARED, ro, 0), 0);
	refuse("mmap_private", try_mmap(4096, rw, MAP_PRIVATE, file, 0), EINVAL);
	refuse("mmap_private_read", try_mmap(4096, PROT_READ, MAP_PRIVATE, ro, 0), EINVAL);
	refuse("mmap_beyond", try_mmap(SIZE + 4096, rw, MAP_SHARED, file, 0), EINVAL);
	refuse("mmap_at_end", try_mmap(4096, rw, MAP_SHARED, file, SIZE), EINVAL);
	refuse("mmap_across_end", try_mmap(8192, rw, MAP_SHARED, file, SIZE - 4096), EINVAL);
	refuse("mmap_far", try_mmap(4096, rw, MAP_SHARED, file, 1L << 62), EINVAL);
	refuse("mmap_overflow", try_mmap(8192, rw, MAP_SHARED, file, INT64_MAX & ~4095L),
	       EOVERFLOW);
	refuse("mmap_write_read_only_fd", try_mmap(4096, rw, MAP_SHARED, ro, 0), EACCES);
	refuse("mmap_write_only_fd", try_mmap(4096, rw, MAP_SHARED, wo, 0), EACCES);
	refuse("mmap_exec", try_mmap(4096, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0), EPERM);
	refuse("mmap_sync", try_mmap(4096, rw, MAP_SHARED_VALIDATE | MAP_SYNC, file, 0),
	       EOPNOTSUPP);
	refuse("mmap_hugetlb", try_mmap(2 << 20, rw, MAP_SHARED | MAP_HUGETLB, file, 0), EINVAL);
	close(ro);
	close(wo);
}

static void remaps(void)
{
	char *place = mmap(NULL, 4 * SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p = mmap(place, SIZE / 2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
	char *q;

	/* There would be room to grow. */
	munmap(place + SIZE / 2, SIZE / 2);
	q = mremap(p, SIZE / 2, SIZE / 2 + 4096, MREMAP_MAYMOVE);
	refuse("mremap_grow", q == MAP_FAILED ? -1 : 0, EFAULT);
	q = mremap(p, SIZE / 2, 2 * SIZE, MREMAP_MAYMOVE);
	refuse("mremap_grow_beyond", q == MAP_FAILED ? -1 : 0, EFAULT);
	q = mremap(p, SIZE / 2, SIZE / 4, 0);
	refuse("mremap_shrink", q == MAP_FAILED ? -1 : 0, 0);
	q = mremap(p, SIZE / 4, SIZE / 4, MREMAP_MAYMOVE | MREMAP_FIXED, place + SIZE);
	refuse("mremap_move", q == MAP_FAILED ? -1 : 0, 0);
	munmap(place, 4 * SIZE);
}

static void allocations(void)
{
	static const struct { const char *name; int mode; } m[] = {
		{ "fallocate_plain", 0 },
		{ "fallocate_keep", FALLOC_FL_KEEP_SIZE },
		{ "fallocate_zero", FALLOC_FL_ZERO_RANGE },
		{ "fallocate_zero_keep", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE },
		{ "fallocate_collapse", FALLOC_FL_COLLAPSE_RANGE },
		{ "fallocate_insert", FALLOC_FL_INSERT_RANGE },
		{ "fallocate_unshare", FALLOC_FL_UNSHARE_RANGE },
	};
	int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, ro;
	unsigned int i;

	for (i = 0; i < sizeof(m) / sizeof(*m); i++)
		refuse(m[i].name, fallocate(file, m[i].mode, 0, 4096), EOPNOTSUPP);
	refuse("punch_odd_offset", fallocate(file, hole, 1, 4096), EINVAL);
	refuse("punch_odd_length", fallocate(file, hole, 0, 4095), EINVAL);
	refuse("punch_zero_length", fallocate(file, hole, 0, 0), EINVAL);
	refuse("punch_negative", fallocate(file, hole, -4096, 4096), EINVAL);
	refuse("punch_negative_length", fallocate(file, hole, 0, -4096), EINVAL);
	refuse("punch_at_end", fallocate(file, hole, SIZE, 4096), EINVAL);
	refuse("punch_far", fallocate(file, hole, 1L << 61, 4096), EINVAL);
	refuse("punch_overflow", fallocate(file, hole, 4096, INT64_MAX), EFBIG);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	refuse("punch_read_only_fd", fallocate(ro, hole, 0, 4096), EBADF);
	close(ro);
	refuse("truncate_grow", ftruncate(file, SIZE + 4096), EPERM);
	refuse("truncate_shrink", ftruncate(file, SIZE - 4096), EPERM);
	refuse("truncate_zero", truncate(path, 0), EPERM);
	refuse("truncate_same", ftruncate(file, SIZE), 0);
	refuse("open_truncate", open(path, O_RDWR | O_TRUNC | O_CLOEXEC), EPERM);
}

static void reads(void)
{
	char buf[64] = "";
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	refuse("read", read(file, buf, sizeof(buf)), EINVAL);
	refuse("write", write(file, buf, sizeof(buf)), EINVAL);
	refuse("pread_beyond", pread(file, buf, sizeof(buf), SIZE), EINVAL);
	refuse("sendfile", sendfile(null, file, NULL, 4096), EINVAL);
	refuse("lseek_end", lseek(file, 0, SEEK_END) == (off_t)SIZE ? 0 : -1, 0);
	refuse("fsync", fsync(file), 0);
	close(null);
}

static void folder(void)
{
	struct statfs fs;

	refuse("create_file", open(MOUNT "/new", O_CREAT | O_RDWR | O_CLOEXEC, 0600), EACCES);
	refuse("make_folder", mkdir(MOUNT "/new", 0700), EPERM);
	refuse("unlink", unlink(path), EPERM);
	refuse("rename", rename(path, MOUNT "/other"), EPERM);
	refuse("hard_link", link(path, MOUNT "/other"), EPERM);
	refuse("symlink", symlink("/etc", MOUNT "/other"), EPERM);
	refuse("mknod", mknod(MOUNT "/other", S_IFREG | 0600, 0), EACCES);
	refuse("temporary_file", open(MOUNT, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), EOPNOTSUPP);
	refuse("set_attribute", setxattr(path, "user.a", "b", 1, 0), EOPNOTSUPP);
	refuse("execute", execl(path, path, NULL), EACCES);
	refuse("statfs", statfs(MOUNT, &fs), 0);
	if (picked("statfs_type"))
		verdict("statfs_type", fs.f_type == 0x454d5046, "another number", false);
}

/* Registering in any mode that would take faults away from the region. */
static void userfaults(void)
{
	static const struct { const char *name; uint64_t mode; } m[] = {
		{ "userfaultfd_missing", UFFDIO_REGISTER_MODE_MISSING },
		{ "userfaultfd_write_protect", UFFDIO_REGISTER_MODE_WP },
		{ "userfaultfd_minor", UFFDIO_REGISTER_MODE_MINOR },
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	struct uffdio_api api = { .api = UFFD_API };
	unsigned int i;

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api)) {
		printf("ok - userfaultfd # SKIP no userfaultfd: %s\n", strerror(errno));
		return;
	}
	for (i = 0; i < sizeof(m) / sizeof(*m); i++) {
		struct uffdio_register reg = {
			.range = { .start = (uintptr_t)mem, .len = SIZE }, .mode = m[i].mode,
		};

		refuse(m[i].name, ioctl(fd, UFFDIO_REGISTER, &reg), EINVAL);
	}
	close(fd);
}

static void others_try(void)
{
	int fd;

	if (setgid(65534) || setuid(65534))
		_exit(99);
	errno = 0;
	fd = open(path, O_RDONLY);
	if (fd >= 0 || errno != EACCES)
		_exit(1);
	if (!truncate(path, 0) || errno != EACCES)
		_exit(2);
	if (!chmod(path, 0666) || errno != EPERM)
		_exit(3);
	if (!chown(path, 65534, 65534) || errno != EPERM)
		_exit(4);
	if (open("/dev/emp-control", O_RDWR) >= 0 || errno != EACCES)
		_exit(5);
	if (open(SYSFS, O_RDONLY) < 0)
		_exit(6);
	fd = openat(AT_FDCWD, SYSFS "/t0/dram_limit", O_WRONLY);
	if (fd >= 0 || errno != EACCES)
		_exit(7);
	fd = open(SYSFS "/t0/evict", O_WRONLY);
	if (fd >= 0 || errno != EACCES)
		_exit(8);
	fd = open(SYSFS "/t0/stats/fault_minor", O_RDONLY);
	if (fd >= 0 || errno != EACCES)
		_exit(9);
	_exit(0);
}

static void unprivileged(void)
{
	int status = 0;
	char reason[32];

	if (!picked("unprivileged_user"))
		return;
	fflush(stdout);
	if (!fork())
		others_try();
	wait(&status);
	snprintf(reason, sizeof(reason), "step %d", WEXITSTATUS(status));
	verdict("unprivileged_user", WIFEXITED(status) && !WEXITSTATUS(status), reason, false);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 2) {
		fprintf(stderr, "usage: fault_file NAME\n");
		return 2;
	}
	snprintf(path, sizeof(path), MOUNT "/%s", argv[1]);
	control = open("/dev/emp-control", O_RDWR | O_CLOEXEC);
	file = open(path, O_RDWR | O_CLOEXEC);
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (mem == MAP_FAILED) {
		printf("Bail out! %s: %s\n", path, strerror(errno));
		return 1;
	}
	fill();
	maps();
	remaps();
	allocations();
	reads();
	folder();
	userfaults();
	unprivileged();
	if (picked("bytes_intact"))
		verdict("bytes_intact", intact(), "they changed", false);
	return failed ? 1 : 0;
}
