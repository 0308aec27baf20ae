// SPDX-License-Identifier: GPL-2.0-only
/*
 * pin FILE PAGE N [touch]: pin pages of a region for long, as io_uring's registered
 * buffers; touch: write to them first.
 *
 * Prints "pinned", or the errno by name and ends with status 1. Then obeys lines
 * of standard input, and answers each with "ok" or an errno:
 *
 *	read DEVICE OFFSET	fill the pinned pages from DEVICE by DMA (READ_FIXED)
 *	write DEVICE OFFSET	write them there (WRITE_FIXED)
 *	unmap			unmap the region; the pins stay
 *	unpin
 * and ends with the input.
 */
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "cells.h"

struct ring {
	int fd;
	struct io_uring_params p;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
};

static void ring_open(struct ring *r)
{
	memset(&r->p, 0, sizeof(r->p));
	r->fd = syscall(SYS_io_uring_setup, 4, &r->p);
	if (r->fd < 0)
		die("io_uring_setup");
	r->sq = mmap(NULL, r->p.sq_off.array + r->p.sq_entries * 4, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQ_RING);
	r->cq = mmap(NULL, r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe),
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, r->p.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQES);
	if (r->sq == MAP_FAILED || r->cq == MAP_FAILED || r->sqes == MAP_FAILED)
		die("mmap of the ring");
}

/* One request, awaited. Returns its result. */
static int ring_do(struct ring *r, uint8_t opcode, int fd, void *at, uint32_t len, uint64_t off)
{
	uint32_t *tail = (uint32_t *)(r->sq + r->p.sq_off.tail);
	uint32_t *array = (uint32_t *)(r->sq + r->p.sq_off.array);
	uint32_t *head = (uint32_t *)(r->cq + r->p.cq_off.head), index = *tail & 3;
	struct io_uring_cqe *cqes = (struct io_uring_cqe *)(r->cq + r->p.cq_off.cqes);
	int result;

	r->sqes[index] = (struct io_uring_sqe){ .opcode = opcode, .fd = fd, .off = off,
						.addr = (uintptr_t)at, .len = len };
	array[index] = index;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -errno;
	result = cqes[*head & (r->p.cq_entries - 1)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

static void answer(int err)
{
	printf("%s\n", err ? strerrorname_np(err) : "ok");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[200], device[100];
	struct iovec buffer;
	struct stat st;
	struct ring r;
	uint64_t off;
	char *map;
	int fd, n;

	if (argc != 4 && (argc != 5 || strcmp(argv[4], "touch"))) {
		say("usage: pin FILE PAGE N [touch]");
		return 2;
	}
	fd = open(argv[1], O_RDWR);
	if (fd < 0 || fstat(fd, &st))
		die("%s", argv[1]);
	map = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("mmap");
	ring_open(&r);
	buffer.iov_base = map + strtoull(argv[2], NULL, 0) * PAGE;
	buffer.iov_len = strtoull(argv[3], NULL, 0) * PAGE;
	for (size_t i = 0; argc == 5 && i < buffer.iov_len; i += PAGE) {
		volatile char *at = (char *)buffer.iov_base + i;
		char was = *at;

		*at = was;
	}
	if (syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &buffer, 1)) {
		printf("%s\n", strerrorname_np(errno));
		return 1;
	}
	printf("pinned\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		bool write = !strncmp(line, "write", 5);

		if (!strncmp(line, "unpin", 5)) {
			answer(syscall(SYS_io_uring_register, r.fd, IORING_UNREGISTER_BUFFERS,
				       NULL, 0) ? errno : 0);
		} else if (!strncmp(line, "unmap", 5)) {
			answer(munmap(map, st.st_size) ? errno : 0);
			close(fd);
		} else if (sscanf(line, "%*s %99s %lu", device, &off) == 2) {
			int disk = open(device, O_RDWR | O_DIRECT);

			n = disk < 0 ? -errno :
			    ring_do(&r, write ? IORING_OP_WRITE_FIXED : IORING_OP_READ_FIXED, disk,
				    buffer.iov_base, buffer.iov_len, off);
			close(disk);
			answer(n < 0 ? -n : n == (int)buffer.iov_len ? 0 : EIO);
		} else {
			answer(EINVAL);
		}
	}
	return 0;
}
