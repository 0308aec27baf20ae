// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A user-space pager on userfaultfd, as fast as one knows how to make it: a
 * descriptor and a handler thread for each slice of the memory, so that nothing
 * is shared; events read many at once; one O_DIRECT read and one UFFDIO_COPY a
 * page, no lock, no bookkeeping, no eviction.
 *
 * mode	block	the handler sleeps in read(2), on another processor
 *	spin	it polls, on another processor
 *	same	it sleeps, on the processor of the one that faults
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem_peer.h"

#define EVENTS 16

struct handler {
	char *mem;	/* of the whole memory */
	char *page;
	int uffd, dev, cpu;
};

static void serve(struct handler *h, const struct uffd_msg *msg)
{
	unsigned long addr = msg->arg.pagefault.address & ~(PAGE - 1);
	struct uffdio_copy copy = {
		.dst = addr, .src = (unsigned long)h->page, .len = PAGE,
	};

	if (msg->event != UFFD_EVENT_PAGEFAULT)
		return;
	if (pread(h->dev, h->page, PAGE, addr - (unsigned long)h->mem) != PAGE)
		peer_die("pager: read: %s", strerror(errno));
	while (ioctl(h->uffd, UFFDIO_COPY, &copy) && errno == EAGAIN)
		copy.copy = 0;
}

static void *handler(void *arg)
{
	struct handler *h = arg;
	struct uffd_msg msg[EVENTS];
	cpu_set_t set;
	ssize_t n, i;

	CPU_ZERO(&set);
	CPU_SET(h->cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (;;) {
		n = read(h->uffd, msg, sizeof(msg));
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			peer_die("pager: %s", strerror(errno));
		for (i = 0; i < n / (ssize_t)sizeof(msg[0]); i++)
			serve(h, &msg[i]);
	}
	return NULL;
}

void uffd_start(void *mem, size_t bytes, unsigned int slices, const char *dev, const char *mode)
{
	bool spin = mode && !strcmp(mode, "spin"), same = mode && !strcmp(mode, "same");
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int i;

	for (i = 0; i < slices; i++) {
		struct uffdio_api api = { .api = UFFD_API };
		struct uffdio_register reg = {
			.range = { (unsigned long)mem + bytes / slices * i, bytes / slices },
			.mode = UFFDIO_REGISTER_MODE_MISSING,
		};
		struct handler *h = calloc(1, sizeof(*h));
		pthread_t thread;

		h->mem = mem;
		h->cpu = (same ? 0 : 1) % cpus;
		h->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | (spin ? O_NONBLOCK : 0));
		h->dev = open(dev, O_RDONLY | O_DIRECT | O_CLOEXEC);
		if (h->uffd < 0 || h->dev < 0 || ioctl(h->uffd, UFFDIO_API, &api) ||
		    ioctl(h->uffd, UFFDIO_REGISTER, &reg) ||
		    posix_memalign((void **)&h->page, PAGE, PAGE) ||
		    pthread_create(&thread, NULL, handler, h))
			peer_die("pager: %s", strerror(errno));
	}
}
