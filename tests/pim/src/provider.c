// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A provider for tests, that answers the commands of words.h.
 *
 * usage: provider [--ranks N] [--id FIRST] [--mram BYTES] [--dpus N] [--depth N]
 *		   [--deadline MS] [--reset ok|error|hang] [--reset-ms MS] [--xfer] [--eventfd]
 *		   [--save ok|error|hang|empty|corrupt|mapped] [--restore ok|error|hang|stale]
 *		   [--name NAME] [--io-uring once|again]
 *
 * Prints "ready" when all ranks are added. Ends with 0 when SIGTERM comes, 3
 * when the kernel has ended a rank (ESHUTDOWN), 1 on errors. With --xfer, MRAM
 * is told to be elsewhere: what is stored is complemented in the mapping, and
 * again when it is loaded. With --save, ranks can be saved: what is kept, behind a
 * checksum; "mapped" and "stale" do all but what is to be done about MRAM. With
 * --io-uring, one thread serves all ranks by one ring, or, "again", by a new one
 * each 50 requests, while commands of the old one wait. On SIGTERM it says how many
 * calls it made, and for how many requests.
 */
#include <errno.h>
#include <getopt.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../userspace-tools/pim/pim_serve.h"
#include "words.h"

static struct {
	unsigned long ranks, id, mram, dpus, depth, deadline, reset_ms;
	const char *reset, *save, *restore, *name, *uring;
	bool xfer, eventfd;
} opt = { .ranks = 1, .mram = 1 << 20, .dpus = 8, .reset = "ok", .restore = "ok", .name = "test" };

struct rank {
	struct pim_serve *s;
	uint64_t kept[PIM_CIS_MAX];	/* W_SET */
	uint64_t answer[PIM_CIS_MAX];	/* for updates */
	unsigned int pending;		/* updates until W_PENDING is complete */
	bool running;			/* W_RUN */
	int event;
};

static unsigned long calls, requests;	/* on pim.ko, or io_uring; without the threads' locks */

static void on_term(int sig)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "calls %lu requests %lu\n", calls, requests);

	(void)sig;
	if (write(1, text, n) != n)
		_exit(1);
	_exit(0);
}

static void bad_completion(struct rank *r, const struct pim_request *req, unsigned int op)
{
	struct pim_request fake = *req;
	uint64_t words[PIM_CIS_MAX] = {};

	if (op == W_BAD_TAG)
		fake.tag = 0x7fffffff;
	if (op == W_BAD_SEQ)
		fake.seq--;
	pim_serve_complete(r->s, &fake, op == W_BAD_RESULT ? 1 : 0, words);
	if (op == W_BAD_COUNT) {
		for (int i = 0; i < 3; i++)
			pim_serve_complete(r->s, &fake, 0, words);
	}
}

/* The library zeroes what is reserved: so behind its back. */
static void bad_reserved(struct rank *r, const struct pim_request *req)
{
	size_t bytes = PIM_RING_BYTES(opt.depth ?: 64);
	struct pim_ring *ring = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
				     pim_serve_fd(r->s), PIM_MMAP_RING);
	struct pim_completion *c = (void *)((char *)ring + ring->cmp_offset);
	uint32_t n = ring->cmp_prod & (ring->depth - 1);

	pim_serve_complete(r->s, req, 0, NULL);
	c[n].reserved[5] = 1;
	munmap(ring, bytes);
}

/* Answers it, unless it returns false. */
static bool commit(struct rank *r, const struct pim_request *req)
{
	for (unsigned int ci = 0; ci < PIM_CIS_MAX; ci++) {
		uint64_t word = req->words[ci], old = r->kept[ci];
		unsigned int op = word >> 48 & 0xff;
		uint32_t arg = word;
		uint64_t *mram;

		if (!word)
			continue;
		switch (op) {
		case W_SLOW:
			usleep(arg * 1000);
			/* fall through */
		case W_ECHO:
			r->answer[ci] = ANSWER(~arg);
			break;
		case W_SET:
			r->kept[ci] = arg;
			r->answer[ci] = ANSWER(old);
			break;
		case W_GET:
			r->answer[ci] = ANSWER(old);
			break;
		case W_HANG:
			printf("withheld\n");
			fflush(stdout);
			return false;
		case W_DIE:
			kill(getpid(), SIGKILL);
			return false;
		case W_BAD_TAG:
		case W_BAD_SEQ:
		case W_BAD_RESULT:
		case W_BAD_COUNT:
			bad_completion(r, req, op);
			return false;
		case W_BAD_RESERVED:
			bad_reserved(r, req);
			return false;
		case W_ERROR:
			pim_serve_complete(r->s, req, -EIO, NULL);
			return false;
		case W_PENDING:
			r->answer[ci] = 0x00ff000000000000ull | arg;
			r->pending = 3;
			break;
		case W_COPY:
			mram = (uint64_t *)((char *)pim_serve_mram(r->s, 0) + arg);
			mram[1] = ~mram[0];
			r->answer[ci] = ANSWER(0);
			break;
		case W_RUN:
			r->running = arg;
			r->answer[ci] = ANSWER(arg);
			break;
		default:
			r->answer[ci] = 0;
		}
	}
	return true;
}

static void update(struct rank *r)
{
	if (!r->pending || --r->pending)
		return;
	for (unsigned int ci = 0; ci < PIM_CIS_MAX; ci++)
		r->answer[ci] = ANSWER(r->answer[ci]);
}

static void invert(struct rank *r, const struct pim_request *req)
{
	for (unsigned int dpu = 0; dpu < PIM_DPUS_MAX; dpu++) {
		uint8_t *p = (uint8_t *)pim_serve_mram(r->s, dpu) + req->offset;

		if (!(req->mask >> dpu & 1))
			continue;
		for (uint64_t i = 0; i < req->bytes; i++)
			p[i] ^= 0xff;
	}
}

struct state {
	uint64_t kept[PIM_CIS_MAX], answer[PIM_CIS_MAX], pending, sum;
};

static uint64_t sum(const struct state *s)
{
	const uint64_t *word = (const uint64_t *)s;
	uint64_t n = 0x5a5a;

	while (word != &s->sum)
		n = n * 31 + *word++;
	return n;
}

static int save(struct rank *r)
{
	struct state s = { .pending = r->pending };
	int err;

	if (r->running)
		return -EBUSY;
	if (!strcmp(opt.save, "error"))
		return -EIO;
	memcpy(s.kept, r->kept, sizeof(s.kept));
	memcpy(s.answer, r->answer, sizeof(s.answer));
	s.sum = sum(&s);
	if (!strcmp(opt.save, "corrupt"))
		s.kept[3] ^= 1;
	err = strcmp(opt.save, "empty") ? pim_serve_put_state(r->s, &s, sizeof(s)) : 0;
	return err || !strcmp(opt.save, "mapped") ? err : pim_serve_unmap_mram(r->s);
}

static int restore(struct rank *r)
{
	struct state s;
	int64_t n = pim_serve_get_state(r->s, &s, sizeof(s));
	int err = strcmp(opt.restore, "stale") ? pim_serve_map_mram(r->s) : 0;

	if (err || n < 0)
		return err ? err : n;
	if (n != sizeof(s) || s.sum != sum(&s) || !strcmp(opt.restore, "error"))
		return -EINVAL;
	memcpy(r->kept, s.kept, sizeof(s.kept));
	memcpy(r->answer, s.answer, sizeof(s.answer));
	r->pending = s.pending;
	return 0;
}

static void reset(struct rank *r, const struct pim_request *req)
{
	int err = pim_serve_mram_mapped(r->s) ? 0 : pim_serve_map_mram(r->s);

	if (opt.reset_ms)
		usleep(opt.reset_ms * 1000);
	if (!strcmp(opt.reset, "hang"))
		return;
	memset(r->kept, 0, sizeof(r->kept));
	memset(r->answer, 0, sizeof(r->answer));
	r->pending = 0;
	r->running = false;
	pim_serve_complete(r->s, req, strcmp(opt.reset, "ok") ? -EIO : err, NULL);
}

static void serve(struct rank *r, const struct pim_request *req)
{
	switch (req->op) {
	case PIM_OP_RESET:
		reset(r, req);
		return;
	case PIM_OP_COMMIT:
		if (!commit(r, req))
			return;
		break;
	case PIM_OP_UPDATE:
		update(r);
		break;
	case PIM_OP_SAVE:
		if (opt.save && !strcmp(opt.save, "hang"))
			return;
		pim_serve_complete(r->s, req, opt.save ? save(r) : -EIO, NULL);
		return;
	case PIM_OP_RESTORE:
		if (!strcmp(opt.restore, "hang"))
			return;
		pim_serve_complete(r->s, req, restore(r), NULL);
		return;
	case PIM_OP_LOAD:
	case PIM_OP_STORE:
		invert(r, req);
		break;
	}
	pim_serve_complete(r->s, req, 0, r->answer);
}

/* Wait for requests by the eventfd instead of in the kernel's call. */
static void wait_event(struct rank *r)
{
	struct pollfd p[2] = { { .fd = r->event, .events = POLLIN },
			       { .fd = pim_serve_fd(r->s), .events = 0 } };
	uint64_t n;

	if (poll(p, 2, 1000) > 0 && p[0].revents && read(r->event, &n, sizeof(n)) < 0)
		perror("eventfd");
}

static void *run(void *arg)
{
	struct rank *r = arg;
	struct pim_request req;

	for (;;) {
		int got = pim_serve_next(r->s, &req, opt.eventfd ? -1 : 200);

		__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
		if (got > 0) {
			__atomic_add_fetch(&requests, 1, __ATOMIC_RELAXED);
			serve(r, &req);
			continue;
		}
		if (got < 0) {
			if (errno != ESHUTDOWN)
				perror("run");
			exit(errno == ESHUTDOWN ? 3 : 1);
		}
		if (opt.eventfd)
			wait_event(r);
	}
}

static void arm(struct io_uring *ring, struct rank *r)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct pim_uring_run run;

	pim_serve_uring(r->s, &run);
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, pim_serve_fd(r->s), NULL, 0, 0);
	sqe->cmd_op = PIM_URING_RUN;
	memcpy(sqe->cmd, &run, sizeof(run));
	io_uring_sqe_set_data(sqe, r);
}

static void begin_ring(struct io_uring *ring, struct rank *ranks)
{
	int err = io_uring_queue_init(2 * opt.ranks, ring, 0);

	if (err) {
		fprintf(stderr, "io_uring: %s\n", strerror(-err));
		exit(1);
	}
	for (unsigned long i = 0; i < opt.ranks; i++)
		arm(ring, &ranks[i]);
}

/* A command has ended. False: this kernel has none. */
static bool ended(struct io_uring *ring, struct rank *r, int res)
{
	struct pim_request req;

	switch (res) {
	case 0:
		while (pim_serve_take(r->s, &req)) {
			serve(r, &req);
			requests++;
		}
		break;
	case -EBUSY:		/* that of the last ring is still there */
		if (strcmp(opt.uring, "again"))
			exit(1);
		usleep(1000);
		break;
	case -EOPNOTSUPP:
		return false;
	case -ESHUTDOWN:
		exit(3);
	default:
		fprintf(stderr, "command: %s\n", strerror(-res));
		exit(1);
	}
	arm(ring, r);
	return true;
}

/* All ranks by one thread; returns when this kernel has no such commands. */
static void run_uring(struct rank *ranks)
{
	unsigned long last = 0;
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	begin_ring(&ring, ranks);
	for (;;) {
		if (io_uring_submit_and_wait(&ring, 1) < 0)
			exit(1);
		calls++;
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			struct rank *r = io_uring_cqe_get_data(cqe);
			int res = cqe->res;

			io_uring_cqe_seen(&ring, cqe);
			if (!ended(&ring, r, res)) {
				io_uring_queue_exit(&ring);
				return;
			}
		}
		if (!strcmp(opt.uring, "again") && requests >= last + 50) {
			last = requests;
			io_uring_submit(&ring);
			io_uring_queue_exit(&ring);
			begin_ring(&ring, ranks);
		}
	}
}

static void add(int control, struct rank *r, unsigned long n)
{
	struct pim_rank_add a;
	struct ax_msg msg;

	pim_serve_defaults(&a, opt.id + n, 8, opt.dpus, opt.mram);
	a.depth = opt.depth;
	a.deadline_ms = opt.deadline;
	a.flags = (opt.xfer ? PIM_RANK_F_XFER : 0) | (opt.save ? PIM_RANK_F_SAVE : 0);
	a.state_bytes = opt.save ? sizeof(struct state) : 0;
	snprintf(a.provider, sizeof(a.provider), "%s", opt.name);
	strcpy(a.serial_number, "T-1");
	r->s = pim_serve_add(control, &a, &msg);
	if (!r->s) {
		ax_error("%s", msg.text);
		exit(1);
	}
	if (opt.eventfd) {
		struct pim_eventfd e = { .size = sizeof(e), .fd = eventfd(0, EFD_CLOEXEC) };

		r->event = e.fd;
		if (e.fd < 0 || ioctl(pim_serve_fd(r->s), PIM_IOC_EVENTFD, &e)) {
			perror("eventfd");
			exit(1);
		}
	}
}

static unsigned long *number_option(int c)
{
	switch (c) {
	case 'n': return &opt.ranks;
	case 'i': return &opt.id;
	case 'm': return &opt.mram;
	case 'd': return &opt.dpus;
	case 'q': return &opt.depth;
	case 't': return &opt.deadline;
	case 'R': return &opt.reset_ms;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ranks", 1, 0, 'n' }, { "id", 1, 0, 'i' }, { "mram", 1, 0, 'm' },
		{ "dpus", 1, 0, 'd' }, { "depth", 1, 0, 'q' }, { "deadline", 1, 0, 't' },
		{ "reset", 1, 0, 'r' }, { "reset-ms", 1, 0, 'R' }, { "xfer", 0, 0, 'x' },
		{ "eventfd", 0, 0, 'e' }, { "save", 1, 0, 's' }, { "restore", 1, 0, 'S' },
		{ "name", 1, 0, 'N' }, { "io-uring", 1, 0, 'u' }, { 0 }
	};
	const struct sigaction term = { .sa_handler = on_term };
	struct rank *ranks;
	pthread_t thread;
	struct ax_msg msg;
	int c, control;

	ax_set_prog("provider");
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (number_option(c))
			*number_option(c) = strtoul(optarg, NULL, 0);
		else if (c == 'r')
			opt.reset = optarg;
		else if (c == 's')
			opt.save = optarg;
		else if (c == 'S')
			opt.restore = optarg;
		else if (c == 'N')
			opt.name = optarg;
		else if (c == 'u')
			opt.uring = optarg;
		else if (c == 'x')
			opt.xfer = true;
		else if (c == 'e')
			opt.eventfd = true;
		else
			return 2;
	}
	sigaction(SIGTERM, &term, NULL);
	control = pim_control_open(&msg);
	if (control < 0)
		return ax_error("%s", msg.text);
	ranks = calloc(opt.ranks, sizeof(*ranks));
	for (unsigned long i = 0; i < opt.ranks; i++)
		add(control, &ranks[i], i);
	printf("ready\n");	/* first: a thread may end the process */
	fflush(stdout);
	if (opt.uring) {
		run_uring(ranks);
		printf("no such commands\n");
		fflush(stdout);
	}
	for (unsigned long i = 0; i < opt.ranks; i++)
		if (pthread_create(&thread, NULL, run, &ranks[i]))
			return ax_error("no thread");
	for (;;)
		pause();
}
