// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzz /dev/emp-control: requests that are right, nearly right, and random, at
 * good and bad addresses, from several threads, with names and devices that
 * they share. One thread has no capability, and must get EPERM. A region in use
 * ("keep") gets tiers and loses them meanwhile, and must keep its data.
 *
 * usage: fuzz_control COUNT THREADS FREE MOUNTED
 *	COUNT: calls a thread
 *	FREE: block device of 64 MiB for tiers
 *	MOUNTED: one with a mounted file system
 * /dev/emp/keep is there. Regions named f0..f7 may be left, for the caller.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "../../../include/uapi/annex/emp.h"
#include "fuzz.h"

#define THREADS_MAX	8
#define HELD_MAX	4	/* open files of regions, a thread */

static const char *dev_free, *dev_mounted;
static uint64_t count, seed;
static int shared_control;

static int good_fd, ro_fd, wo_fd, path_fd, excl_fd, mounted_fd;
static int odd_fds[8];

/* For structures: a page, one that cannot be written, one that comes and goes. */
static char *bounds;		/* two pages, nothing behind them */
static char *read_only;
static char *flapping;
static char *in_region;		/* of a region: the copy itself faults */
static volatile bool stop_flapping;

enum { INFO, CREATE, DESTROY, LIST, TIER_ADD, TIER_REMOVE, OTHER_IOCTL, READ, POLL, WRITE, MAP,
	SEEK, OPEN, USE };
static unsigned int row[USE + 1];

struct worker {
	unsigned int nr;
	bool powerless;
	int control;
	int held[HELD_MAX];
	pthread_t thread;
};

static bool listed(int err, const int *list)
{
	while (*list && *list != err)
		list++;
	return *list;
}

/* Errors that docs/abi-emp.md knows; EPERM for the powerless only. */
static long answer(struct worker *w, unsigned int kind, long ret)
{
	static const int info[] = { E2BIG, EFAULT, EINVAL, 0 };
	static const int create[] = { EINVAL, EDOM, EEXIST, ENOSPC, ENOMEM, EMFILE, EINTR, E2BIG,
				      EFAULT, EOPNOTSUPP, EBADF, ENOTBLK, EACCES, EBUSY, 0 };
	static const int destroy[] = { ENOENT, EBUSY, EINVAL, E2BIG, EFAULT, 0 };
	static const int tier_add[] = { ENOENT, ENOSPC, EINVAL, E2BIG, EFAULT, ENOMEM, EOPNOTSUPP,
					EBADF, ENOTBLK, EACCES, EBUSY, 0 };
	static const int tier_remove[] = { ENOENT, ENOSPC, EIO, EINTR, ETIMEDOUT, ENOMEM, EBUSY,
					   EINVAL, E2BIG, EFAULT, 0 };
	static const int other[] = { ENOTTY, 0 };
	static const int * const allowed[] = {
		[INFO] = info, [CREATE] = create, [DESTROY] = destroy, [LIST] = info,
		[TIER_ADD] = tier_add, [TIER_REMOVE] = tier_remove, [OTHER_IOCTL] = other,
	};
	int err = errno;

	note(row[kind], ret);
	if (kind > OTHER_IOCTL)
		return ret;
	if (w->powerless && kind != INFO) {
		if (ret >= 0 || err != EPERM)
			wrong("%s without the capability: %s", table->row[row[kind]].name,
			      ret >= 0 ? "success" : strerrorname_np(err));
	} else if (ret < 0 && !listed(err, allowed[kind])) {
		wrong("%s: %s is not among its errors", table->row[row[kind]].name,
		      strerrorname_np(err));
	}
	errno = err;
	return ret;
}

/* --- what requests are made of ------------------------------------------------------- */

static void any_name(char *name)
{
	static const char * const bad[] = { "", ".", "..", "a/b", "Vm", "-a", "a b",
					    "%s%n", "tiers" };

	memset(name, 0, EMP_NAME_LEN);
	switch (below(16)) {
	case 0:
		fill_random(name, EMP_NAME_LEN);
		break;
	case 1:
		memset(name, 'a', EMP_NAME_LEN - below(2));
		break;
	case 2:
		strcpy(name, bad[below(ARRAY_SIZE(bad))]);
		break;
	case 3:
		strcpy(name, "keep");
		break;
	default:
		sprintf(name, "f%u", (unsigned int)below(8));
	}
}

static uint32_t any_size(uint32_t right)
{
	static const uint32_t odd[] = { 0, 4, 7, 8, 4095, 4096, 4097, 1u << 31, ~0u };

	if (!once_in(10))
		return right;
	switch (below(3)) {
	case 0:
		return odd[below(ARRAY_SIZE(odd))];
	case 1:
		return below(right);
	default:
		return right + 4 * below(64);
	}
}

static int any_fd(void)
{
	if (!once_in(6))
		return good_fd;
	switch (below(8)) {
	case 0:
		return ro_fd;
	case 1:
		return wo_fd;
	case 2:
		return path_fd;
	case 3:
		return excl_fd;
	case 4:
		return mounted_fd;
	case 5:
		return (int)any_number();
	default:
		return odd_fds[below(ARRAY_SIZE(odd_fds))];
	}
}

/* An address where nothing of ours is. */
static void *any_address(void)
{
	switch (below(4)) {
	case 0:
		return (void *)below(65536);
	case 1:
		return (void *)(-1ul - below(1ul << 40));	/* the kernel's */
	case 2:
		return (void *)(1ul << 47 | rnd() >> 8);	/* no address */
	default:
		return (void *)(1ul << 40 | below(1ul << 40));
	}
}

static bool store_bytes(void *to, const void *from, size_t len)
{
	if (sigsetjmp(access_env, 0))
		return false;
	accessing = 1;
	memcpy(to, from, len);
	accessing = 0;
	return true;
}

/* Put @len bytes of @what somewhere: most often where they can be read and written. */
static void *place(const void *what, size_t len)
{
	static __thread char own[3 * PAGE] __attribute__((aligned(4096)));
	size_t part = len;
	char *p = own;

	switch (below(24)) {
	case 0:
		p = bounds + 2 * PAGE - len;	/* just fits */
		break;
	case 1:
		part = below(len + 1);
		p = bounds + 2 * PAGE - part;
		break;
	case 2:
		return read_only + below(2048) * 2;
	case 3:
		p = flapping + below(PAGE);
		break;
	case 4:
	case 5:
		p = in_region + below(16 * PAGE - len);
		break;
	case 6:
		return any_address();
	case 7:
		p = own + below(64);		/* not aligned */
		break;
	default:
		memset(own, once_in(8) ? 0xff : 0, 2 * PAGE);
	}
	store_bytes(p, what, part);
	return p;
}

static void any_tier(struct emp_tier_spec *t, uint32_t block)
{
	*t = (struct emp_tier_spec){
		.size = sizeof(*t), .type = EMP_TIER_BLOCK, .fd = any_fd(),
		.base = below(64) * MB, .bytes = (1 + below(4)) * MB,
	};
	if (t->bytes < block)
		t->bytes = block;
	t->bytes -= t->bytes % block;
	if (once_in(4)) {
		t->deadline_ms = 1 + below(20000);
		t->queue_depth = 1 + below(256);
	}
	if (!once_in(5))
		return;
	switch (below(8)) {
	case 0:
		t->size = any_number();
		break;
	case 1:
		t->type = below(5);
		break;
	case 2:
		t->flags = any_number();
		break;
	case 3:
		t->base = any_number();
		break;
	case 4:
		t->bytes = any_number();
		break;
	case 5:
		t->deadline_ms = any_number();
		t->queue_depth = any_number();
		break;
	case 6:
		t->pad = any_number();
		break;
	default:
		fill_random(t, sizeof(*t));
	}
}

static void spoil_create(struct emp_create *c)
{
	switch (below(14)) {
	case 0:
		c->flags = any_number();
		break;
	case 1:
		/* Not the sizes between, whose tables would only take long. */
		c->bytes = once_in(2) ? below(64 * MB) : any_number() | 1ull << 46;
		break;
	case 2:
		c->dram_limit = any_number();
		break;
	case 3:
		c->block_size = any_number();
		break;
	case 4:
		c->subblock_size = any_number();
		break;
	case 5:
		c->map = below(5);
		break;
	case 6:
		c->wipe = below(5);
		break;
	case 7:
		c->uid = any_number();
		break;
	case 8:
		c->gid = any_number();
		break;
	case 9:
		c->mode = any_number();
		break;
	case 10:
		c->nr_tiers = any_number();
		break;
	case 11:
		c->tiers = (uintptr_t)any_address();
		break;
	case 12:
		c->block_size = 0;	/* defaults */
		c->subblock_size = 0;
		break;
	default:
		fill_random(c, sizeof(*c));
		c->bytes |= 1ull << 46;
	}
}

/* --- calls --------------------------------------------------------------------------- */

/* A region was made: use it a little, and close it, or not yet. */
static void use_region(struct worker *w, int fd, uint64_t bytes)
{
	unsigned int i = below(HELD_MAX);
	uint64_t value = rnd();
	char *mem;

	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	note(row[USE], mem == MAP_FAILED ? -1 : 0);
	if (mem != MAP_FAILED) {
		for (i = 0; i < 8; i++)
			access_word((uint64_t *)(mem + below(bytes / 8) * 8), once_in(2), &value);
		if (once_in(2))
			note(row[USE], fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
						 below(bytes / PAGE) * PAGE, below(64) * PAGE));
		munmap(mem, bytes);
	}
	i = below(HELD_MAX);
	if (w->held[i] >= 0)
		close(w->held[i]);
	w->held[i] = fd;
	if (!once_in(3)) {
		w->held[i] = -1;
		close(fd);
	}
}

static void call_create(struct worker *w)
{
	static const uint32_t blocks[] = { 4096, 65536, 65536, 65536, 1u << 20, 2u << 20 };
	static const uint32_t subs[] = { 4096, 4096, 65536, 131072 };
	struct emp_tier_spec tiers[4];
	struct emp_create c = { .size = sizeof(c), .mode = 0600 };
	unsigned int i, n;
	uint64_t min;
	int fd;

	any_name(c.name);
	c.block_size = blocks[below(ARRAY_SIZE(blocks))];
	c.subblock_size = subs[below(ARRAY_SIZE(subs))];
	if (c.subblock_size > c.block_size)
		c.subblock_size = c.block_size;
	c.map = c.block_size == 2u << 20 ? below(3) : EMP_MAP_SMALL;
	c.bytes = (1 + below(8)) * 2 * MB;
	min = (8 * sysconf(_SC_NPROCESSORS_ONLN) + 8) * (uint64_t)c.block_size;
	c.dram_limit = min + below(8 * MB);
	c.flags = below(EMP_F_ALL + 1);
	c.wipe = once_in(4) ? below(3) : EMP_WIPE_NONE;
	c.nr_tiers = below(ARRAY_SIZE(tiers) + 1);
	for (i = 0; i < c.nr_tiers; i++)
		any_tier(&tiers[i], c.block_size);
	c.tiers = (uintptr_t)tiers;
	if (once_in(16))
		c.tiers = (uintptr_t)place(tiers, sizeof(tiers));
	for (n = once_in(2) ? 0 : 1 + below(3); n; n--)
		spoil_create(&c);
	c.size = any_size(sizeof(c));
	fd = answer(w, CREATE, ioctl(w->control, EMP_IOC_CREATE, place(&c, sizeof(c))));
	if (fd >= 0) {
		struct stat st;

		note(row[USE], fstat(fd, &st));
		use_region(w, fd, st.st_size);
	}
}

static void call_destroy(struct worker *w)
{
	struct emp_destroy d = { .flags = once_in(16) ? any_number() : 0 };

	any_name(d.name);
	d.size = any_size(sizeof(d));
	answer(w, DESTROY, ioctl(w->control, EMP_IOC_DESTROY, place(&d, sizeof(d))));
}

static void call_tier_add(struct worker *w)
{
	struct emp_tier_add a = { .flags = once_in(16) ? any_number() : 0 };

	any_name(a.name);
	if (once_in(4))
		strcpy(a.name, "keep");
	any_tier(&a.tier, 65536);
	a.size = any_size(sizeof(a));
	answer(w, TIER_ADD, ioctl(w->control, EMP_IOC_TIER_ADD, place(&a, sizeof(a))));
}

static void call_tier_remove(struct worker *w)
{
	static const uint32_t timeouts[] = { 0, 1, 10, 100, 1000, 86400000, 86400001, ~0u };
	struct emp_tier_remove a = { .flags = once_in(16) ? any_number() : 0 };

	any_name(a.name);
	if (once_in(3))
		strcpy(a.name, "keep");
	a.id = once_in(16) ? any_number() : below(once_in(2) ? 4 : 64);
	a.timeout_ms = timeouts[below(ARRAY_SIZE(timeouts))];
	a.size = any_size(sizeof(a));
	answer(w, TIER_REMOVE, ioctl(w->control, EMP_IOC_TIER_REMOVE, place(&a, sizeof(a))));
}

static void call_list(struct worker *w)
{
	static __thread char names[16][EMP_NAME_LEN];
	struct emp_list l = {
		.names = (uintptr_t)names, .flags = once_in(16) ? any_number() : 0,
		.capacity = below(ARRAY_SIZE(names) + 1),
	};

	if (once_in(3)) {
		l.names = (uintptr_t)place(names, sizeof(names));
		if (once_in(4))
			l.capacity = any_number();
		if (l.names - (uintptr_t)names < sizeof(names))
			l.capacity = below(ARRAY_SIZE(names));
		/* Not beyond what is ours. */
		if (l.capacity > ARRAY_SIZE(names))
			l.names = (uintptr_t)(bounds + 2 * PAGE - sizeof(names));
	}
	l.size = any_size(sizeof(l));
	answer(w, LIST, ioctl(w->control, EMP_IOC_LIST, place(&l, sizeof(l))));
}

static void call_info(struct worker *w)
{
	struct emp_info i = { .size = any_size(sizeof(i)) };

	if (once_in(2))
		fill_random(&i.abi, sizeof(i) - sizeof(i.size));
	answer(w, INFO, ioctl(w->control, EMP_IOC_INFO, place(&i, sizeof(i))));
}

static void call_other(struct worker *w)
{
	char raw[256];
	unsigned long cmd = once_in(2) ? rnd() & 0xffffffff :
			    _IOC(below(4), EMP_IOC_MAGIC, below(256), below(256));

	switch (cmd) {	/* those that the core takes, and ours */
	case FIOCLEX:
	case FIONCLEX:
	case FIONBIO:
	case FIOASYNC:
	case EMP_IOC_INFO:
	case EMP_IOC_CREATE:
	case EMP_IOC_DESTROY:
	case EMP_IOC_LIST:
	case EMP_IOC_TIER_ADD:
	case EMP_IOC_TIER_REMOVE:
		return;
	}
	if (_IOC_TYPE(cmd) != EMP_IOC_MAGIC)
		cmd = _IOC(_IOC_DIR(cmd), EMP_IOC_MAGIC, 6 + below(250), _IOC_SIZE(cmd));
	fill_random(raw, sizeof(raw));
	answer(w, OTHER_IOCTL, ioctl(w->control, cmd, place(raw, sizeof(raw))));
}

/* What is not an ioctl. */
static void call_file(struct worker *w)
{
	struct emp_event events[8] = { 0 };
	struct pollfd p = { .fd = w->control, .events = below(0x10000) };
	void *mem;
	int fd;

	switch (below(8)) {
	case 0:
	case 1:
		note(row[READ], read(w->control, place(events, sizeof(events)),
				     once_in(2) ? sizeof(events) : below(sizeof(events))));
		break;
	case 2:
		note(row[POLL], poll(&p, 1, below(3)));
		break;
	case 3:
		note(row[WRITE], write(w->control, events, below(sizeof(events))));
		break;
	case 4:
		mem = mmap(NULL, PAGE, below(8), below(4), w->control, below(4) * PAGE);
		note(row[MAP], mem == MAP_FAILED ? -1 : 0);
		if (mem != MAP_FAILED)
			munmap(mem, PAGE);
		break;
	case 5:
		note(row[SEEK], lseek(w->control, any_number(), below(6)));
		break;
	case 6:
		/* A reader that waits is interrupted by the timer. */
		fd = open("/dev/emp-control", O_RDWR | O_CLOEXEC);
		if (note(row[OPEN], fd) >= 0) {
			if (once_in(8))
				note(row[READ], read(fd, events, sizeof(events)));
			close(fd);
		}
		break;
	default:
		fd = open("/dev/emp-control", (O_RDWR + below(2)) | O_NONBLOCK | O_CLOEXEC);
		if (note(row[OPEN], fd) >= 0) {
			close(w->control);
			w->control = fd;
		}
	}
}

static void lose_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	if (syscall(SYS_capset, &h, none)) {
		perror("capset");
		exit(2);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t i;

	rnd_seed(seed, w->nr);
	interrupt_me(200);
	for (i = 0; i < HELD_MAX; i++)
		w->held[i] = -1;
	w->control = open("/dev/emp-control", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (w->powerless)
		lose_capabilities();
	for (i = 0; i < count; i++) {
		switch (below(16)) {
		case 0 ... 3:
			call_create(w);
			break;
		case 4 ... 6:
			call_destroy(w);
			break;
		case 7 ... 8:
			call_tier_add(w);
			break;
		case 9 ... 10:
			call_tier_remove(w);
			break;
		case 11:
			call_list(w);
			break;
		case 12:
			call_info(w);
			break;
		case 13:
			call_other(w);
			break;
		default:
			call_file(w);
		}
	}
	for (i = 0; i < HELD_MAX; i++)
		if (w->held[i] >= 0)
			close(w->held[i]);
	close(w->control);
	return NULL;
}

static void *flap(void *arg)
{
	(void)arg;
	rnd_seed(seed, 2000);
	while (!stop_flapping) {
		mprotect(flapping, 2 * PAGE, below(4));
		if (once_in(4))
			madvise(flapping, 2 * PAGE, MADV_DONTNEED);
		if (once_in(4))
			mmap(flapping, 2 * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		usleep(50);
	}
	return NULL;
}

static char *pages(size_t n)
{
	char *p = mmap(NULL, (n + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED || munmap(p + n * PAGE, PAGE) ||
	    mmap(p + n * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	    MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return p;
}

static int must_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0) {
		perror(path);
		exit(2);
	}
	return fd;
}

static void prepare(void)
{
	struct emp_create c = {
		.size = sizeof(c), .name = "arg", .bytes = MB, .dram_limit = MB, .block_size = 4096,
		.subblock_size = 4096, .map = EMP_MAP_SMALL, .mode = 0600,
		.flags = EMP_F_AUTODESTROY,
	};
	int pipes[2], fd;

	good_fd = must_open(dev_free, O_RDWR);
	ro_fd = must_open(dev_free, O_RDONLY);
	wo_fd = must_open(dev_free, O_WRONLY);
	path_fd = must_open(dev_free, O_PATH);
	excl_fd = must_open(dev_free, O_RDWR);
	mounted_fd = open(dev_mounted, O_RDWR | O_CLOEXEC);
	if (mounted_fd < 0)		/* CONFIG_BLK_DEV_WRITE_MOUNTED is not set */
		mounted_fd = must_open(dev_mounted, O_RDONLY);
	shared_control = must_open("/dev/emp-control", O_RDWR);
	odd_fds[0] = shared_control;
	odd_fds[1] = must_open("/dev/emp/keep", O_RDWR);
	odd_fds[2] = must_open("/dev/null", O_RDWR);
	odd_fds[3] = must_open("/dev/emp", O_RDONLY);
	odd_fds[4] = must_open("/proc/self/exe", O_RDONLY);
	if (pipe(pipes)) {
		perror("pipe");
		exit(2);
	}
	odd_fds[5] = pipes[0];
	odd_fds[6] = epoll_create1(0);
	odd_fds[7] = -1;

	bounds = pages(2);
	flapping = pages(2);
	read_only = pages(1);
	mprotect(read_only, PAGE, PROT_READ);
	fd = ioctl(shared_control, EMP_IOC_CREATE, &c);
	in_region = fd < 0 ? MAP_FAILED : mmap(NULL, MB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (in_region == MAP_FAILED) {
		perror("a region for arguments");
		exit(2);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	static const char * const names[] = { "INFO", "CREATE", "DESTROY", "LIST", "TIER_ADD",
		"TIER_REMOVE", "other ioctl", "read", "poll", "write", "mmap", "lseek", "open",
		"use" };
	static struct worker workers[THREADS_MAX];
	static struct keep keep;
	unsigned int i, threads;
	pthread_t flapper;

	if (argc != 5) {
		fprintf(stderr, "usage: fuzz_control COUNT THREADS FREE MOUNTED\n");
		return 2;
	}
	count = strtoull(argv[1], NULL, 0);
	threads = atoi(argv[2]);
	if (threads < 2 || threads > THREADS_MAX)
		return 2;
	dev_free = argv[3];
	dev_mounted = argv[4];
	seed = fuzz_seed();
	rnd_seed(seed, 3000);
	handlers();
	table_init();
	for (i = 0; i <= USE; i++)
		row[i] = table_row(names[i]);
	prepare();
	keep_start(&keep, "/dev/emp/keep", seed);
	pthread_create(&flapper, NULL, flap, NULL);
	for (i = 0; i < threads; i++) {
		workers[i].nr = i;
		workers[i].powerless = i == threads - 1;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (i = 0; i < threads; i++)
		pthread_join(workers[i].thread, NULL);
	stop_flapping = true;
	pthread_join(flapper, NULL);
	keep_finish(&keep);
	table_print();
	table_want_success(TIER_REMOVE + 1, 0);
	return table->wrong != 0;
}
