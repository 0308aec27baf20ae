// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../lib/ax_signature.h"
#include "../lib/ax_size.h"
#include "donor_backing.h"

#define PIECE ((size_t)1 << 20)
#define DEPTH 8			/* pieces under way */
#define EDGE ((uint64_t)1 << 20)	/* both ends of a device, where signatures are */
#define EXIT_SECONDS 5

/* --- reading and writing ---------------------------------------------------------- */

struct piece {
	size_t at, left;	/* in the slab */
};

struct transfer {
	struct donor_backing *b;
	bool write;
	char *memory;		/* NULL: write zeros */
	uint64_t offset;	/* on the backing */
	size_t next;		/* not yet begun */
	struct piece piece[DEPTH];
	unsigned int idle[DEPTH], nr_idle;
	int error;
};

static void *at_memory(const struct transfer *t, size_t at)
{
	return t->memory ? t->memory + at : t->b->zeros + at % PIECE;
}

static void slowly(const struct donor_backing *b)
{
	if (b->how.slow_us)
		usleep(b->how.slow_us);
}

static int transfer_plain(struct transfer *t)
{
	struct donor_backing *b = t->b;

	for (size_t at = 0; at < b->how.slab;) {
		size_t len = PIECE - at % PIECE;
		ssize_t n = t->write ? pwrite(b->fd, at_memory(t, at), len, t->offset + at) :
			    pread(b->fd, at_memory(t, at), len, t->offset + at);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		at += n;
		if (at % PIECE == 0)
			slowly(b);
	}
	return 0;
}

static void issue(struct transfer *t, unsigned int i)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&t->b->ring);
	const struct piece *p = &t->piece[i];

	if (t->write)
		io_uring_prep_write(sqe, t->b->fd, at_memory(t, p->at), p->left, t->offset + p->at);
	else
		io_uring_prep_read(sqe, t->b->fd, at_memory(t, p->at), p->left, t->offset + p->at);
	io_uring_sqe_set_data64(sqe, i);
}

/* One request has come to @res. */
static void completed(struct transfer *t, unsigned int i, int res)
{
	struct piece *p = &t->piece[i];

	if (res == -EINTR || res == -EAGAIN) {
		res = 0;
	} else if (res <= 0) {
		t->error = res ? res : -EIO;
	} else {
		p->at += res;
		p->left -= res;
	}
	if (p->left && !t->error) {
		issue(t, i);
		return;
	}
	slowly(t->b);
	t->idle[t->nr_idle++] = i;
}

/* Nothing of it is under way any more when it returns: the memory is the caller's. */
static int transfer_uring(struct transfer *t)
{
	struct io_uring *ring = &t->b->ring;
	struct io_uring_cqe *cqe;
	int ret;

	for (t->nr_idle = 0; t->nr_idle < DEPTH; t->nr_idle++)
		t->idle[t->nr_idle] = t->nr_idle;
	for (;;) {
		while (!t->error && t->nr_idle && t->next < t->b->how.slab) {
			unsigned int i = t->idle[--t->nr_idle];

			t->piece[i] = (struct piece){ t->next, PIECE };
			t->next += PIECE;
			issue(t, i);
		}
		if (t->nr_idle == DEPTH)
			return t->error;
		ret = io_uring_submit_and_wait(ring, 1);
		if (ret < 0 && ret != -EINTR)
			usleep(1000);	/* the kernel is short of something: again */
		while (!io_uring_peek_cqe(ring, &cqe)) {
			unsigned int i = io_uring_cqe_get_data64(cqe);
			int res = cqe->res;

			io_uring_cqe_seen(ring, cqe);
			completed(t, i, res);
		}
	}
}

static int transfer(struct donor_backing *b, bool write, void *memory, uint32_t place)
{
	struct transfer t = {
		.b = b, .write = write, .memory = memory,
		.offset = b->start + (uint64_t)place * b->how.slab,
	};
	int ret = b->uring ? transfer_uring(&t) : transfer_plain(&t);

	if (b->direct)
		return ret;
	/* only now errors show; and memory that was to become free is in no cache */
	if (!ret && write && fdatasync(b->fd))
		ret = -errno;
	posix_fadvise(b->fd, t.offset, b->how.slab, POSIX_FADV_DONTNEED);
	return ret;
}

/* Is there anything to be written? What nobody wrote to yet is parked for nothing. */
static bool blank(const struct donor_backing *b, const char *memory)
{
	for (size_t at = 0; at < b->how.slab; at += PIECE)
		if (memcmp(memory + at, b->zeros, PIECE))
			return false;
	return true;
}

/* A slab's memory is zero before it is loaded into. */
static int load(struct donor_backing *b, const struct donor_work *work)
{
	int ret;

	if (work->slab->blank)
		return 0;
	if (b->ending)
		return -EINTR;
	ret = transfer(b, false, work->memory, work->place);
	if (ret && !b->ending)
		ret = transfer(b, false, work->memory, work->place);
	return ret;
}

/* --- erasing ------------------------------------------------------------------------ */

static int erase_file(struct donor_backing *b, uint64_t offset)
{
	size_t len = b->how.slab;

	if (!b->no_zero_range) {
		if (!fallocate(b->fd, FALLOC_FL_ZERO_RANGE, offset, len))
			return 0;
		if (errno != EOPNOTSUPP)
			return -errno;
		b->no_zero_range = true;
	}
	if (!b->no_punch) {
		/* the space must stay ours */
		if (!fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len))
			return fallocate(b->fd, 0, offset, len) ? -errno : 0;
		if (errno != EOPNOTSUPP)
			return -errno;
		b->no_punch = true;
	}
	return -EOPNOTSUPP;
}

static int erase(struct donor_backing *b, uint32_t place)
{
	uint64_t range[2] = { b->start + (uint64_t)place * b->how.slab, b->how.slab };

	if (b->device ? !ioctl(b->fd, BLKZEROOUT, range) : !erase_file(b, range[0]))
		return 0;
	return transfer(b, true, NULL, place);
}

/* --- the thread ----------------------------------------------------------------------- */

static void do_job(void *ctx, struct donor_work *work)
{
	struct donor_backing *b = ctx;
	int ret = 0;

	switch (work->job) {
	case DONOR_BACKING_STORE:
		work->slab->blank = blank(b, work->memory);
		if (!work->slab->blank)
			ret = b->ending ? -EINTR : transfer(b, true, work->memory, work->place);
		break;
	case DONOR_BACKING_LOAD:
		ret = load(b, work);
		break;
	case DONOR_BACKING_ERASE:
		ret = erase(b, work->place);
		break;
	}
	work->ok = !ret;
	work->error = -ret;
}

int donor_backing_start(struct donor_backing *b, struct ax_msg *msg)
{
	int ret = io_uring_queue_init(DEPTH, &b->ring, 0);

	b->uring = !ret;
	if (ret)
		ax_warn("backing: no io_uring (%s): one request at a time", strerror(-ret));
	return donor_worker_init(&b->worker, do_job, b, msg);
}

void donor_backing_submit(struct donor_backing *b, struct donor_slab *slab,
			  enum donor_backing_job job)
{
	const struct donor_work work = {
		.job = job, .slab = slab, .memory = slab->memory, .place = slab->place,
	};

	donor_worker_submit(&b->worker, &work, job == DONOR_BACKING_LOAD ? DONOR_WORK_URGENT :
			    DONOR_WORK_LATER);
}

void donor_backing_erase(struct donor_backing *b, uint32_t place)
{
	const struct donor_work work = { .job = DONOR_BACKING_ERASE, .place = place };

	donor_worker_submit(&b->worker, &work, DONOR_WORK_LATER);
}

void donor_backing_why(const struct donor_backing *b, const struct donor_work *work,
		       struct ax_msg *msg)
{
	static const char *const what[] = { "written", "read", "erased" };

	ax_fail(msg, "backing %s cannot be %s: %s", b->how.path, what[work->job],
		strerror(work->error));
}

void donor_backing_exit(struct donor_backing *b)
{
	if (!donor_worker_exit(&b->worker, false, EXIT_SECONDS)) {
		ax_warn("backing %s hangs", b->how.path);
		return;		/* the thread still uses all of it */
	}
	if (b->uring)
		io_uring_queue_exit(&b->ring);
	munmap(b->zeros, PIECE);
	close(b->fd);
}

/* --- opening ---------------------------------------------------------------------------- */

/* Some filesystems say only when asked to read that they cannot. */
static void see_direct(struct donor_backing *b)
{
	void *buffer = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);
	int flags = fcntl(b->fd, F_GETFL);

	b->direct = (flags & O_DIRECT) && buffer != MAP_FAILED &&
		    pread(b->fd, buffer, PIECE, 0) >= 0;
	if (buffer != MAP_FAILED)
		munmap(buffer, PIECE);
	if (!b->direct)
		fcntl(b->fd, F_SETFL, flags & ~O_DIRECT);
}

static int open_file(struct donor_backing *b, struct ax_msg *msg)
{
	const char *path = b->how.path;
	char size[AX_HUMAN];
	struct statfs fs;

	if (!b->how.size)
		return ax_fail(msg, "backing %s: a directory needs backing-size", path);
	b->places = b->how.size / b->how.slab;
	b->fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC | O_DIRECT, 0600);
	if (b->fd < 0 && errno == EINVAL)
		b->fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (b->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		return ax_fail(msg, "backing %s: its filesystem has no files without a name (O_TMPFILE)",
			       path);
	if (b->fd < 0)
		return ax_fail(msg, "backing %s: %s", path, strerror(errno));
	if (!fstatfs(b->fd, &fs) && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC))
		ax_warn("backing %s is in memory itself", path);
	if (fallocate(b->fd, 0, 0, (uint64_t)b->places * b->how.slab))
		return ax_fail(msg, "backing %s: cannot reserve %s: %s", path,
			       ax_human_size((uint64_t)b->places * b->how.slab, size),
			       strerror(errno));
	return 0;
}

static int check_device(const struct donor_backing *b, struct ax_msg *msg)
{
	int fd = open(b->how.path, O_RDONLY | O_CLOEXEC);
	char what[128];
	bool found;

	if (fd < 0)
		return ax_fail(msg, "backing %s: %s", b->how.path, strerror(errno));
	found = !b->how.force && ax_signature(fd, what, sizeof(what));
	close(fd);
	if (found)
		return ax_fail(msg, "backing %s: has %s; wipe it, or say backing-force = yes to write over it",
			       b->how.path, what);
	return 0;
}

static int open_device(struct donor_backing *b, struct ax_msg *msg)
{
	const char *path = b->how.path;
	char want[AX_HUMAN], have[AX_HUMAN];
	uint64_t size = 0;

	b->device = true;
	b->start = EDGE;
	b->fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC | O_DIRECT);
	if (b->fd < 0 && errno == EBUSY)
		return ax_fail(msg, "backing %s: somebody uses it (mounted, swap, part of another device, a donor)",
			       path);
	if (b->fd < 0)
		return ax_fail(msg, "backing %s: %s", path, strerror(errno));
	if (ioctl(b->fd, BLKGETSIZE64, &size))
		return ax_fail(msg, "backing %s: size: %s", path, strerror(errno));
	if (b->how.size > size)
		return ax_fail(msg, "backing-size: %s, but %s has %s",
			       ax_human_size(b->how.size, want), path, ax_human_size(size, have));
	if (b->how.size)
		size = b->how.size;
	b->places = size > 2 * EDGE ? (size - 2 * EDGE) / b->how.slab : 0;
	if (!b->places)
		return ax_fail(msg, "backing %s: no room for a slab and 1 MiB at both ends", path);
	return check_device(b, msg);
}

int donor_backing_open(struct donor_backing *b, const struct donor_backing_how *how,
		       struct ax_msg *msg)
{
	struct stat st;

	memset(b, 0, sizeof(*b));
	b->how = *how;
	b->fd = -1;
	if (stat(how->path, &st))
		return ax_fail(msg, "backing %s: %s", how->path, strerror(errno));
	if (!S_ISDIR(st.st_mode) && !S_ISBLK(st.st_mode))
		return ax_fail(msg, "backing %s: neither a directory nor a block device",
			       how->path);
	if (S_ISDIR(st.st_mode) ? open_file(b, msg) : open_device(b, msg))
		return -1;
	if (b->places > DONOR_SLABS_MAX / 2)
		b->places = DONOR_SLABS_MAX / 2;
	see_direct(b);
	b->zeros = mmap(NULL, PIECE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b->zeros == MAP_FAILED)
		return ax_fail(msg, "out of memory");
	return 0;
}
