// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random calls on the devices of dpu.ko and pim.ko.
 *
 * usage: fuzz rank|control|arbiter|ring SEED CALLS
 *
 * Arguments are random structures, near what is valid: sizes, flags, numbers
 * are bent one at a time. "rank" needs /dev/dpu_rank0; "ring" is a provider that
 * writes anything into its rings, against a client of its own rank. Prints how
 * many calls ended with which errno. Exit status 1 if a call ended with one
 * that is not documented.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <annex/dpu.h>
#include <annex/pim.h>

#define RING_RANK 900	/* the number of the rank of "ring" */

static uint64_t state;
static unsigned long ended[256];
static int wrong;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static bool one_in(unsigned int n)
{
	return rnd() % n == 0;
}

/* A number near an edge. */
static uint64_t odd(void)
{
	static const uint64_t edges[] = {
		0, 1, 7, 8, 64, 255, 256, 4096, 1 << 20, 1 << 30, 0x7fffffff, 0x80000000,
		0xffffffff, 1ull << 32, 1ull << 40, 1ull << 63, ~0ull
	};

	return one_in(4) ? rnd() : edges[rnd() % 17] + rnd() % 3 - 1;
}

/* Bend some bytes behind the first 8. */
static void bend(void *p, size_t bytes, unsigned int chance)
{
	uint32_t *w = p;

	if (!one_in(chance))
		return;
	for (unsigned int n = 1 + rnd() % 3; n; n--)
		w[2 + rnd() % (bytes / 4 - 2)] = odd();
}

static const int usual[] = { 0, EINVAL, EFAULT, ENOMEM, ENOTTY, E2BIG };

/* What call() ended with, if it is one of @more or usual. */
static int judge(int err, const char *what, const int *more)
{
	ended[err & 255]++;
	for (unsigned int i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		if (err == usual[i])
			return err;
	}
	for (; *more; more++) {
		if (err == *more)
			return err;
	}
	printf("%s ended with %s\n", what, strerror(err));
	wrong = 1;
	return err;
}

static int call(int fd, unsigned long cmd, void *arg, const char *what, const int *more)
{
	int ret = ioctl(fd, cmd, arg);

	judge(ret < 0 ? errno : 0, what, more);
	return ret;
}

/* An address: that of memory, of some that cannot be written, or of nothing. */
static uint64_t address(void)
{
	static char *area, *constant;

	if (!area) {
		area = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);
		constant = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	switch (rnd() % 12) {
	case 0:
		return odd();
	case 1:
		return (uintptr_t)constant + rnd() % 8192;
	case 2:
		return (uintptr_t)area + (4 << 20) - rnd() % 8192;
	}
	return (uintptr_t)area + rnd() % (3 << 20);
}

/* --- /dev/dpu_rankN ---------------------------------------------------------------- */

static void fuzz_rank(int fd)
{
	static const int more[] = { 0 };
	static const uint32_t cmds[] = {
		DPU_IOC_WRITE, DPU_IOC_READ, DPU_IOC_COMMIT, DPU_IOC_UPDATE, DPU_IOC_DEBUG_MODE,
		DPU_IOC_SLICES
	};
	struct dpu_transfer t = { .offset = rnd() % 4096 * 8, .bytes = rnd() % 4096 * 8 };
	uint32_t cmd = cmds[rnd() % 6];
	uint64_t words[72];
	void *arg = words;

	if (one_in(50))
		cmd ^= 1u << rnd() % 32;
	for (int i = 0; i < 72; i++)
		words[i] = one_in(3) ? 0 : rnd();
	/* Not the commands of the tests' provider that make it fail. */
	for (int i = 0; i < 8; i++)
		words[i] &= 0x0000ffffffffffffull;
	if (cmd == DPU_IOC_WRITE || cmd == DPU_IOC_READ) {
		for (int i = 0; i < 64; i++)
			t.ptr[i] = one_in(3) ? address() : 0;
		bend(&t, sizeof(t), 4);
		arg = &t;
	}
	if (cmd == DPU_IOC_DEBUG_MODE)
		arg = (void *)(uintptr_t)odd();
	else if (one_in(20))
		arg = (void *)(uintptr_t)address();
	call(fd, cmd, arg, "dpu", more);
}

/* --- /dev/pim-control ---------------------------------------------------------------- */

static void fill_add(struct pim_rank_add *a, uint32_t id)
{
	memset(a, 0, sizeof(*a));
	a->size = sizeof(*a);
	a->id = id;
	a->nr_cis = 8;
	a->nr_dpus_per_ci = 8;
	a->mram_size = 65536;
	a->depth = 8;
	a->deadline_ms = 300;
	strcpy(a->provider, "fuzz");
}

static void fuzz_control(int fd)
{
	static const int more[] = { EEXIST, ENOSPC, ENOENT, EMFILE, ESHUTDOWN, EBADF, 0 };
	static int ranks[8];
	union {
		struct pim_rank_add add;
		struct pim_rank_id id;
		struct pim_info info;
		char bytes[4096];
	} u = {};
	int *slot = &ranks[rnd() % 8], ret;

	switch (rnd() % 5) {
	case 0:
		u.info.size = sizeof(u.info);
		bend(&u, sizeof(u.info), 3);
		call(fd, PIM_IOC_INFO, &u, "info", more);
		break;
	case 1:
		u.id.size = sizeof(u.id);
		u.id.id = 500 + rnd() % 8;
		bend(&u, sizeof(u.id), 3);
		if (u.id.id > 1)	/* those of the test */
			call(fd, PIM_IOC_RANK_REMOVE, &u, "remove", more);
		break;
	case 2:
		call(fd, rnd(), (void *)(uintptr_t)address(), "any", more);
		break;
	case 3:
		fill_add(&u.add, 500 + rnd() % 8);
		if (one_in(3))
			u.add.size = odd();
		u.add.vpd = one_in(3) ? address() : 0;
		u.add.vpd_bytes = u.add.vpd ? rnd() % 3000 : 0;
		if (one_in(3)) {
			u.add.flags = PIM_RANK_F_SAVE;
			u.add.state_bytes = one_in(4) ? odd() : 8192;
		}
		bend(&u, sizeof(u.add), 2);
		ret = call(fd, PIM_IOC_RANK_ADD, &u, "add", more);
		if (ret < 0)
			break;
		if (*slot)
			close(*slot);
		*slot = ret;
		break;
	case 4: {
		struct pim_run run = { .size = sizeof(run), .flags = PIM_RUN_NOWAIT };
		struct pim_eventfd e = { .size = sizeof(e), .fd = one_in(2) ? -1 : (int)odd() };
		struct pim_state_io io = { .size = sizeof(io), .bytes = rnd() % 9000 };

		if (!*slot)
			break;
		run.seen = odd();
		if (one_in(3))
			run.flags = odd() | PIM_RUN_NOWAIT;
		call(*slot, PIM_IOC_RUN, &run, "run", more);
		call(*slot, PIM_IOC_EVENTFD, &e, "eventfd", more);
		io.buf = address();
		bend(&io, sizeof(io), 2);
		call(*slot, one_in(2) ? PIM_IOC_STATE_PUT : PIM_IOC_STATE_GET, &io, "state", more);
		call(*slot, rnd(), &e, "any of a rank", more);
		if (mmap(NULL, odd() & 0xffffff, PROT_READ, MAP_SHARED, *slot, odd() & ~4095ull) !=
		    MAP_FAILED)
			ended[0]++;
		if (one_in(4)) {
			close(*slot);
			*slot = 0;
		}
		break;
	}
	}
}

/* --- /dev/pim-arbiter ------------------------------------------------------------------ */

static void fuzz_arbiter(int fd)
{
	static const int more[] = { ENOENT, ESRCH, EAGAIN, ETIMEDOUT, EDQUOT, ENOSPC, EMFILE, 0 };
	static int lease;
	union {
		struct pim_rank_state rank;
		struct pim_lease_req lease;
		struct pim_rank_id id;
		struct pim_lease_id number;
		struct pim_owner_state owner;
		struct pim_parked_state parked;
		char bytes[4096];
	} u = {};
	int ret;

	switch (rnd() % 7) {
	case 6:
		u.parked.size = one_in(3) ? odd() : sizeof(u.parked);
		u.parked.lease = one_in(2) ? 0 : odd();
		bend(&u, sizeof(u.parked), 3);
		call(fd, PIM_IOC_PARKED_STATE, &u, "parked", more);
		break;
	case 0:
		u.rank.size = one_in(3) ? odd() : sizeof(u.rank);
		u.rank.id = rnd() % 4;
		bend(&u, sizeof(u.rank), 3);
		call(fd, PIM_IOC_RANK_STATE, &u, "state", more);
		break;
	case 1:
		u.lease.size = one_in(5) ? odd() : sizeof(u.lease);
		u.lease.id = one_in(2) ? PIM_ID_ANY : rnd() % 3;
		u.lease.timeout_ms = 1 + rnd() % 5;
		u.lease.expire_ms = rnd() % 50;
		bend(&u, sizeof(u.lease), 4);
		u.lease.timeout_ms = u.lease.timeout_ms % 20 + 1;
		/* A size before it leaves it out, which is for ever: who has the rank may be us. */
		if (u.lease.size < offsetof(struct pim_lease_req, expire_ms))
			u.lease.flags |= PIM_LEASE_F_NOWAIT;
		ret = call(fd, PIM_IOC_LEASE, &u, "lease", more);
		if (ret < 0)
			break;
		if (lease)
			close(lease);
		lease = ret;
		break;
	case 2:
		if (one_in(2)) {
			u.number.size = sizeof(u.number);
			u.number.lease = rnd() % 1000;
			bend(&u, sizeof(u.number), 3);
			call(fd, PIM_IOC_LEASE_REVOKE, &u, "revoke", more);
			break;
		}
		u.id.size = sizeof(u.id);
		u.id.id = rnd() % 3;
		bend(&u, sizeof(u.id), 3);
		call(fd, PIM_IOC_REVOKE, &u, "revoke", more);
		break;
	case 3:
		u.owner.size = one_in(5) ? odd() : sizeof(u.owner);
		u.owner.uid = odd();
		bend(&u, sizeof(u.owner), 3);
		call(fd, PIM_IOC_OWNER_GET, &u, "owner", more);
		break;
	case 4:
		u.owner.size = sizeof(u.owner);
		u.owner.uid = 2000 + rnd() % 50;
		u.owner.max_ranks = odd();
		u.owner.priority = rnd() % 9;
		if (one_in(4))
			u.owner.flags = odd();
		call(fd, PIM_IOC_OWNER_SET, &u, "owner set", more);
		break;
	case 5:
		call(fd, rnd(), (void *)(uintptr_t)address(), "any", more);
		ret = read(fd, u.bytes, rnd() % 4096);
		judge(ret < 0 ? errno : 0, "read", more);
		if (one_in(3) && lease) {
			close(lease);
			lease = 0;
		}
		break;
	}
}

/* --- the rings ---------------------------------------------------------------------------- */

static char client_device[64];
static volatile bool client_stop;

/* Opens, works until it fails, opens again. */
static void *client(void *arg)
{
	static uint8_t buf[8192];
	unsigned long *calls = arg;

	while (!client_stop) {
		int fd = open(client_device, O_RDWR), err = 0;
		struct dpu_transfer t = { .bytes = sizeof(buf) };
		uint64_t words[8] = { 1, 2, 3 };

		if (fd < 0) {
			usleep(1000);
			continue;
		}
		t.ptr[5] = (uintptr_t)buf;
		while (!err && !client_stop) {
			err = ioctl(fd, DPU_IOC_COMMIT, words) ||
			      ioctl(fd, DPU_IOC_UPDATE, words) ||
			      ioctl(fd, DPU_IOC_WRITE, &t) || ioctl(fd, DPU_IOC_READ, &t);
			++*calls;
		}
		if (err && errno != EIO && errno != ENODEV) {
			printf("the client saw %s\n", strerror(errno));
			wrong = 1;
		}
		close(fd);
	}
	return NULL;
}

static int ring_fd;
static struct pim_ring *ring;

static bool ring_start(int control)
{
	struct pim_rank_add a;

	fill_add(&a, RING_RANK);
	ring_fd = ioctl(control, PIM_IOC_RANK_ADD, &a);
	if (ring_fd < 0) {
		printf("the rank cannot be taken over: %s\n", strerror(errno));
		wrong = 1;
		return false;
	}
	ring = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, PIM_MMAP_RING);
	return ring != MAP_FAILED;
}

/* Answer what there is, mostly rightly. */
static void ring_answer(uint32_t *seen)
{
	struct pim_request *req = (void *)((char *)ring + sizeof(*ring));
	struct pim_completion *cmp = (void *)(req + 8);
	uint32_t n = ring->cmp_prod;

	while (*seen != ring->req_prod) {
		struct pim_request *r = &req[*seen & 7];
		struct pim_completion *c = &cmp[n & 7];

		memset(c, 0, sizeof(*c));
		c->tag = r->tag;
		c->seq = r->seq;
		c->words[0] = rnd();
		if (one_in(40))
			bend(c, sizeof(*c), 1);
		if (one_in(40))
			c->tag = odd();
		if (one_in(40))
			c->result = -(int)(rnd() % 200);
		++*seen;
		if (one_in(50))
			continue;	/* never answered */
		n++;
	}
	__atomic_store_n(&ring->cmp_prod, one_in(60) ? (uint32_t)odd() : n, __ATOMIC_RELEASE);
	if (one_in(30))
		((uint32_t *)ring)[rnd() % 1024] = odd();
}

static void fuzz_ring(int control, unsigned long calls)
{
	static const int more[] = { ESHUTDOWN, 0 };
	struct pim_rank_state st = { .size = sizeof(st), .id = RING_RANK };
	unsigned long client_calls = 0;
	int arbiter = open("/dev/pim-arbiter", O_RDWR);
	struct pim_rank_id id = { .size = sizeof(id), .id = RING_RANK };
	pthread_t thread;
	uint32_t seen = 0;

	if (!ring_start(control) || ioctl(arbiter, PIM_IOC_RANK_STATE, &st)) {
		wrong = 1;
		return;
	}
	snprintf(client_device, sizeof(client_device), "/dev/dpu_rank%u", st.local);
	pthread_create(&thread, NULL, client, &client_calls);
	while (calls--) {
		struct pim_run run = { .size = sizeof(run), .seen = seen, .timeout_ms = 20 };
		int ret;

		ring_answer(&seen);
		ret = call(ring_fd, PIM_IOC_RUN, &run, "run", more);
		if (ret < 0 && errno == ESHUTDOWN) {
			munmap(ring, 4096);
			close(ring_fd);
			if (!ring_start(control))
				break;
			seen = 0;
		}
	}
	client_stop = true;
	ioctl(control, PIM_IOC_RANK_REMOVE, &id);
	pthread_join(thread, NULL);
	printf("the client made %lu rounds\n", client_calls);
}

int main(int argc, char **argv)
{
	static const char *const devices[] = {
		"/dev/dpu_rank0", "/dev/pim-control", "/dev/pim-arbiter", "/dev/pim-control"
	};
	static const char *const modes[] = { "rank", "control", "arbiter", "ring" };
	unsigned long calls;
	int fd, mode = 0;

	if (argc != 4)
		return 2;
	while (mode < 4 && strcmp(modes[mode], argv[1]))
		mode++;
	if (mode == 4)
		return 2;
	state = strtoull(argv[2], NULL, 0) | 1;
	calls = strtoul(argv[3], NULL, 0);
	fd = open(devices[mode], O_RDWR | O_NONBLOCK);
	if (fd < 0) {
		perror(devices[mode]);
		return 1;
	}
	if (mode == 3)
		fuzz_ring(fd, calls);
	while (mode < 3 && calls--) {
		if (mode == 0)
			fuzz_rank(fd);
		else if (mode == 1)
			fuzz_control(fd);
		else
			fuzz_arbiter(fd);
	}
	for (int err = 0; err < 256; err++) {
		if (ended[err])
			printf("%8lu %s\n", ended[err], err ? strerror(err) : "Success");
	}
	return wrong;
}
