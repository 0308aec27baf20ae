// SPDX-License-Identifier: GPL-2.0-only
/*
 * Wrong input to /dev/emp-control, one field at a time: every case starts from
 * a request that is right, spoils one thing, and expects one errno and nothing
 * left behind.
 *
 * usage: fault_ioctl FREE MOUNTED HELD
 *	FREE: a block device of 64 MiB at least that nobody uses
 *	MOUNTED: one with a mounted file system
 *	HELD: one that somebody has opened exclusively
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "fault_case.h"

#define MB (1ULL << 20)

static const char *dev_free, *dev_mounted, *dev_held;
static int fd_free = -1;

/* A request of CREATE that is right, with room for a larger structure. */
struct request {
	union {
		struct emp_create c;
		char raw[3 * 4096];
	};
	struct emp_tier_spec tier[EMP_TIERS_MAX + 1];
};

static struct emp_tier_spec right_tier(void)
{
	struct emp_tier_spec t = {
		.size = sizeof(t), .type = EMP_TIER_BLOCK, .fd = fd_free, .bytes = 32 * MB,
	};

	return t;
}

static void right_request(struct request *q)
{
	memset(q, 0, sizeof(*q));
	q->c.size = sizeof(q->c);
	strcpy(q->c.name, "t0");
	q->c.bytes = 32 * MB;
	q->c.dram_limit = 16 * MB;
	q->c.block_size = 65536;
	q->c.subblock_size = 4096;
	q->c.map = EMP_MAP_SMALL;
	q->c.mode = 0600;
	q->c.nr_tiers = 1;
	q->c.tiers = (uintptr_t)q->tier;
	q->tier[0] = right_tier();
}

static int destroy(const char *name)
{
	struct emp_destroy d = { .size = sizeof(d) };

	memcpy(d.name, name, strnlen(name, sizeof(d.name)));
	return ioctl(control, EMP_IOC_DESTROY, &d);
}

/* CREATE; on success the region goes again. */
static void try_create(const char *name, struct request *q, int want)
{
	int fd = ioctl(control, EMP_IOC_CREATE, &q->c), saved = errno;

	if (fd >= 0) {
		close(fd);
		if (destroy(q->c.name))
			printf("# %s: destroy: %s\n", name, strerror(errno));
	}
	errno = saved;
	expect(name, fd, want, true);
}

#define CREATE(name, want, ...)				\
	do {						\
		if (picked("create_" name)) {		\
			right_request(q);		\
			{ __VA_ARGS__; }		\
			try_create("create_" name, q, want); \
		}					\
	} while (0)

static void create_names(struct request *q)
{
	char *name = q->c.name;

	CREATE("right", 0, {});
	CREATE("name_empty", EINVAL, name[0] = 0);
	CREATE("name_31", 0, memset(name, 'a', 31));
	CREATE("name_unterminated", EINVAL, memset(name, 'a', 32));
	CREATE("name_upper", EINVAL, strcpy(name, "Vm0"));
	CREATE("name_dot_first", EINVAL, strcpy(name, ".vm0"));
	CREATE("name_dot_dot", EINVAL, strcpy(name, ".."));
	CREATE("name_dash_first", EINVAL, strcpy(name, "-vm0"));
	CREATE("name_slash", EINVAL, strcpy(name, "a/b"));
	CREATE("name_space", EINVAL, strcpy(name, "a b"));
	CREATE("name_newline", EINVAL, strcpy(name, "a\n"));
	CREATE("name_percent", EINVAL, strcpy(name, "a%n"));
	CREATE("name_high_byte", EINVAL, strcpy(name, "a\xc3\xa9"));
	CREATE("name_others_right", 0, strcpy(name, "0-a_b.c"));
}

static void create_structure(struct request *q)
{
	CREATE("size_0", EINVAL, q->c.size = 0);
	CREATE("size_4", EINVAL, q->c.size = 4);
	CREATE("size_8", EINVAL, q->c.size = 8);
	CREATE("size_max", E2BIG, q->c.size = ~0u);
	CREATE("size_smaller", 0, {
		q->c.size = offsetof(struct emp_create, nr_tiers);
		q->c.dram_limit = q->c.bytes;
	});
	CREATE("size_larger_zero", 0, q->c.size = sizeof(q->c) + 64);
	CREATE("size_page_zero", 0, q->c.size = 4096);
	CREATE("size_larger_used", E2BIG, {
		q->c.size = sizeof(q->c) + 64;
		q->raw[sizeof(q->c) + 63] = 1;
	});
	CREATE("flag_unknown", EINVAL, q->c.flags = EMP_F_ALL + 1);
	CREATE("flag_high", EINVAL, q->c.flags = 1u << 31);
}

static void create_sizes(struct request *q)
{
	CREATE("bytes_0", EINVAL, q->c.bytes = 0);
	CREATE("bytes_odd", EINVAL, q->c.bytes += 4096);
	CREATE("bytes_1", EINVAL, q->c.bytes = 1);
	CREATE("bytes_negative", EINVAL, q->c.bytes = 1ULL << 63);
	CREATE("bytes_max", EINVAL, q->c.bytes = ~0ULL << 16);
	CREATE("bytes_too_many_blocks", EINVAL, {
		q->c.block_size = 4096;
		q->c.subblock_size = 4096;
		q->c.bytes = 1ULL << 44;
	});
	CREATE("bytes_no_memory", ENOMEM, {
		q->c.block_size = 4096;
		q->c.subblock_size = 4096;
		q->c.bytes = (1ULL << 44) - 2 * 4096;
		q->c.flags = EMP_F_OVERCOMMIT;
	});
	CREATE("dram_0", EDOM, q->c.dram_limit = 0);
	CREATE("dram_below_minimum", EDOM, q->c.dram_limit = 512 << 10);
	CREATE("dram_more_than_region", 0, q->c.dram_limit = 1ULL << 40);
	CREATE("dram_max", 0, q->c.dram_limit = ~0ULL);
	CREATE("block_odd", EINVAL, q->c.block_size = 3000);
	CREATE("block_no_power", EINVAL, q->c.block_size = 12288);
	CREATE("block_small", EINVAL, q->c.block_size = 2048);
	CREATE("block_large", EINVAL, q->c.block_size = 4u << 20);
	CREATE("block_max", EINVAL, q->c.block_size = 1u << 31);
	CREATE("subblock_larger", EINVAL, q->c.subblock_size = 131072);
	CREATE("subblock_small", EINVAL, q->c.subblock_size = 2048);
	CREATE("subblock_no_power", EINVAL, q->c.subblock_size = 12288);
	CREATE("subblock_large", EINVAL, {
		q->c.block_size = 2u << 20;
		q->c.dram_limit = q->c.bytes;
		q->c.subblock_size = 256 << 10;
	});
	CREATE("map_unknown", EINVAL, q->c.map = 3);
	CREATE("map_huge_small_block", EINVAL, q->c.map = EMP_MAP_HUGE);
	CREATE("map_auto_small_block", 0, q->c.map = EMP_MAP_AUTO);
	CREATE("wipe_unknown", EINVAL, q->c.wipe = 3);
	CREATE("redundancy_unknown", EINVAL, q->c.redundancy = 4);
	CREATE("padding", EINVAL, q->c.pad = 1);
	CREATE("uid_none", EINVAL, q->c.uid = ~0u);
	CREATE("gid_none", EINVAL, q->c.gid = ~0u);
	CREATE("mode_sticky", EINVAL, q->c.mode = 01600);
	CREATE("mode_type", EINVAL, q->c.mode = 0100600);
}

static void create_capacity(struct request *q)
{
	CREATE("tiers_65", EINVAL, q->c.nr_tiers = EMP_TIERS_MAX + 1);
	CREATE("tiers_max", EINVAL, q->c.nr_tiers = ~0u);
	CREATE("tiers_bad_address", EFAULT, q->c.tiers = 8);
	CREATE("tiers_kernel_address", EFAULT, q->c.tiers = 0xffff888000000000ULL);
	CREATE("no_tier_all_dram", 0, q->c.nr_tiers = 0; q->c.dram_limit = q->c.bytes);
	CREATE("no_tier_no_dram", ENOSPC, q->c.nr_tiers = 0);
	CREATE("tier_half", ENOSPC, q->tier[0].bytes /= 2);
	CREATE("tier_half_overcommit", 0, {
		q->tier[0].bytes /= 2;
		q->c.flags = EMP_F_OVERCOMMIT;
	});
	CREATE("tiers_64", 0, {
		for (int i = 0; i < EMP_TIERS_MAX; i++) {
			q->tier[i] = right_tier();
			q->tier[i].bytes = MB / 2;
			q->tier[i].base = i * MB / 2;
		}
		q->c.nr_tiers = EMP_TIERS_MAX;
	});
}

#define TIER(name, want, ...) CREATE("tier_" name, want, struct emp_tier_spec *t = &q->tier[0]; \
	(void)t; __VA_ARGS__)

static int fd_of(const char *path, int flags)
{
	static int opened[16];
	static unsigned int n;
	unsigned int i;

	for (i = 0; i < n && n == 16; i++)
		close(opened[i]);
	if (n == 16)
		n = 0;
	opened[n] = open(path, flags | O_CLOEXEC);
	if (opened[n] < 0)
		printf("# %s: %s\n", path, strerror(errno));
	return opened[n++];
}

/* Without CONFIG_BLK_DEV_WRITE_MOUNTED nobody gets as far as to us with one. */
static bool mounted_opens(const char *name)
{
	int fd = open(dev_mounted, O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno == EBUSY) {
		if (picked(name))
			printf("ok - %s # SKIP the kernel refuses to open it for writing\n", name);
		return false;
	}
	close(fd);
	return true;
}

static void create_tiers(struct request *q)
{
	TIER("size_0", EINVAL, t->size = 0);
	TIER("size_larger", EINVAL, t->size += 8);
	TIER("type_0", EINVAL, t->type = 0);
	TIER("type_unknown", EINVAL, t->type = 99);
	TIER("type_rdma_fd", EINVAL, t->type = EMP_TIER_RDMA);
	TIER("type_rdma_address", EFAULT, t->type = EMP_TIER_RDMA; t->fd = -1; t->base = 4096);
	TIER("type_memdev", EOPNOTSUPP, t->type = EMP_TIER_MEMDEV);
	TIER("flags", EINVAL, t->flags = 1);
	TIER("pad", EINVAL, t->pad = 1);
	TIER("fd_none", EBADF, t->fd = -1);
	TIER("fd_closed", EBADF, t->fd = 900);
	TIER("fd_path", EBADF, t->fd = fd_of(dev_free, O_PATH));
	TIER("fd_file", ENOTBLK, t->fd = fd_of("/etc/passwd", O_RDONLY));
	TIER("fd_folder", ENOTBLK, t->fd = fd_of("/", O_RDONLY));
	TIER("fd_char", ENOTBLK, t->fd = fd_of("/dev/zero", O_RDWR));
	TIER("fd_control", ENOTBLK, t->fd = control);
	TIER("fd_read_only", EACCES, t->fd = fd_of(dev_free, O_RDONLY));
	TIER("fd_write_only", EACCES, t->fd = fd_of(dev_free, O_WRONLY));
	TIER("base_odd", EINVAL, t->base = 512);
	TIER("base_max", EINVAL, t->base = ~0ULL << 12);
	TIER("base_beyond", ENOSPC, t->base = 1ULL << 50);
	TIER("bytes_0", EINVAL, t->bytes = 0);
	TIER("bytes_odd", EINVAL, t->bytes += 4096);
	TIER("bytes_max", EINVAL, t->bytes = ~0ULL << 16);
	TIER("bytes_beyond", ENOSPC, t->bytes = 1ULL << 40);
	TIER("deadline_large", EINVAL, t->deadline_ms = 600001);
	TIER("deadline_max", EINVAL, t->deadline_ms = ~0u);
	TIER("depth_large", EINVAL, t->queue_depth = 4097);
	if (mounted_opens("create_tier_mounted"))
		TIER("mounted", EBUSY, t->fd = fd_of(dev_mounted, O_RDWR));
	TIER("held", EBUSY, t->fd = fd_of(dev_held, O_RDWR));
	TIER("overlap", EBUSY, {
		q->c.nr_tiers = 2;
		q->tier[1] = right_tier();
		q->tier[1].base = 31 * MB;
		q->tier[1].bytes = 2 * MB;
	});
	TIER("second_wrong", EINVAL, {
		q->c.nr_tiers = 2;
		q->tier[1] = right_tier();
		q->tier[1].base = 32 * MB;
		q->tier[1].flags = 1;
	});
	TIER("second_held", EBUSY, {
		q->c.nr_tiers = 2;
		q->tier[1] = right_tier();
		q->tier[1].fd = fd_of(dev_held, O_RDWR);
	});
}

static void addresses(void)
{
	static const struct { const char *name; unsigned long cmd; } c[] = {
		{ "info", EMP_IOC_INFO }, { "create", EMP_IOC_CREATE },
		{ "destroy", EMP_IOC_DESTROY }, { "list", EMP_IOC_LIST },
		{ "tier_add", EMP_IOC_TIER_ADD }, { "tier_remove", EMP_IOC_TIER_REMOVE },
	};
	char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char name[64], *edge = two + 4096 - 8;
	unsigned int i;

	munmap(two + 4096, 4096);
	*(uint32_t *)edge = 48;	/* says 48 bytes, has 8 */
	for (i = 0; i < sizeof(c) / sizeof(*c); i++) {
		snprintf(name, sizeof(name), "address_%s_null", c[i].name);
		if (picked(name))
			expect(name, ioctl(control, c[i].cmd, NULL), EFAULT, true);
		snprintf(name, sizeof(name), "address_%s_kernel", c[i].name);
		if (picked(name))
			expect(name, ioctl(control, c[i].cmd, 0xffff888000000000UL), EFAULT, true);
		snprintf(name, sizeof(name), "address_%s_cut", c[i].name);
		if (picked(name))
			expect(name, ioctl(control, c[i].cmd, edge), EFAULT, true);
	}
	if (picked("ioctl_unknown"))
		expect("ioctl_unknown", ioctl(control, _IOW(EMP_IOC_MAGIC, 6, int), &i), ENOTTY,
		       true);
	if (picked("ioctl_other_magic"))
		expect("ioctl_other_magic", ioctl(control, BLKGETSIZE64, two), ENOTTY, true);
	munmap(two, 4096);
}

/* The rest needs a region. */
static int make(struct request *q, const char *name)
{
	int fd;

	right_request(q);
	strcpy(q->c.name, name);
	fd = ioctl(control, EMP_IOC_CREATE, &q->c);
	if (fd < 0) {
		printf("Bail out! cannot create %s: %s\n", name, strerror(errno));
		exit(1);
	}
	return fd;
}

/* DESTROY itself waits 5 s at most, and a slow kernel with 64 tiers takes longer. */
static void region_gone(int fd, const char *name)
{
	char path[64];
	int i;

	close(fd);
	if (destroy(name))
		printf("# destroy %s: %s\n", name, strerror(errno));
	snprintf(path, sizeof(path), SYSFS "/%s", name);
	for (i = 0; i < 600 && !access(path, F_OK); i++)
		usleep(100000);
}

static void duplicates(struct request *q)
{
	int fd = make(q, "t0");

	if (picked("create_name_taken")) {
		right_request(q);
		q->tier[0].base = 32 * MB;
		expect("create_name_taken", ioctl(control, EMP_IOC_CREATE, &q->c), EEXIST, false);
	}
	if (picked("create_range_taken")) {
		right_request(q);
		strcpy(q->c.name, "t1");
		q->tier[0].base = 16 * MB;
		expect("create_range_taken", ioctl(control, EMP_IOC_CREATE, &q->c), EBUSY, false);
	}
	if (picked("create_range_next")) {
		int other;

		right_request(q);
		strcpy(q->c.name, "t1");
		q->tier[0].base = 32 * MB;
		other = ioctl(control, EMP_IOC_CREATE, &q->c);
		expect("create_range_next", other, 0, false);
		if (other >= 0)
			region_gone(other, "t1");
	}
	if (picked("create_one_region_left"))
		verdict("create_one_region_left", regions() == 1 && entries(MOUNT) == 1 &&
			entries(SYSFS) == 1, "more or fewer than one", false);
	region_gone(fd, "t0");
	if (picked("create_after_destroy"))
		verdict("create_after_destroy", true, "", true);
}

static void destroys(struct request *q)
{
	struct emp_destroy d = { .size = sizeof(d), .name = "t0" };
	int fd;
	void *p;

	if (picked("destroy_none"))
		expect("destroy_none", destroy("nobody"), ENOENT, true);
	if (picked("destroy_empty_name"))
		expect("destroy_empty_name", destroy(""), ENOENT, true);
	fd = make(q, "t0");
	if (picked("destroy_open"))
		expect("destroy_open", destroy("t0"), EBUSY, false);
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (picked("destroy_mapped"))
		expect("destroy_mapped", destroy("t0"), EBUSY, false);
	munmap(p, 4096);
	d.flags = 1;
	if (picked("destroy_flags"))
		expect("destroy_flags", ioctl(control, EMP_IOC_DESTROY, &d), EINVAL, false);
	d.flags = 0;
	memset(d.name, 'a', sizeof(d.name));
	if (picked("destroy_unterminated"))
		expect("destroy_unterminated", ioctl(control, EMP_IOC_DESTROY, &d), EINVAL, false);
	d.size = 4;
	if (picked("destroy_size_4"))
		expect("destroy_size_4", ioctl(control, EMP_IOC_DESTROY, &d), EINVAL, false);
	expect("destroy_right", destroy("t0"), 0, true);
	if (picked("destroy_twice"))
		expect("destroy_twice", destroy("t0"), ENOENT, true);
}

static void lists(struct request *q)
{
	struct emp_list l = { .size = sizeof(l), .capacity = 1, .names = 8 };
	char names[2][EMP_NAME_LEN] = { "", "untouched" };
	int fd = make(q, "t0");

	if (picked("list_bad_address"))
		expect("list_bad_address", ioctl(control, EMP_IOC_LIST, &l), EFAULT, false);
	l.flags = 1;
	if (picked("list_flags"))
		expect("list_flags", ioctl(control, EMP_IOC_LIST, &l), EINVAL, false);
	l.flags = 0;
	l.names = (uintptr_t)names;
	if (picked("list_right")) {
		int ret = ioctl(control, EMP_IOC_LIST, &l);

		verdict("list_right", !ret && l.count == 1 && !strcmp(names[0], "t0") &&
			!strcmp(names[1], "untouched"), "wrong names", false);
	}
	l.capacity = 0;
	l.names = 0;
	if (picked("list_count_only"))
		verdict("list_count_only", !ioctl(control, EMP_IOC_LIST, &l) && l.count == 1,
			"wrong count", false);
	region_gone(fd, "t0");
}

static void tier_adds(struct request *q)
{
	struct emp_tier_add right = { .size = sizeof(right), .name = "t0" }, a, *ro;
	int fd = make(q, "t0"), i;

	right.tier = right_tier();
	right.tier.base = 32 * MB;
	right.tier.bytes = 64 << 10;
#define ADD(what, want, ...)								\
	do {										\
		if (picked("tier_add_" what)) {						\
			a = right;							\
			{ __VA_ARGS__; }						\
			expect("tier_add_" what, ioctl(control, EMP_IOC_TIER_ADD, &a),	\
			       want, false);						\
		}									\
	} while (0)
	ADD("no_region", ENOENT, strcpy(a.name, "t9"));
	ADD("unterminated", EINVAL, memset(a.name, 'a', 32));
	ADD("flags", EINVAL, a.flags = 1);
	ADD("size_8", ENOENT, a.size = 8);
	ADD("overlap", EBUSY, a.tier.base -= 4096);
	ADD("held", EBUSY, a.tier.fd = fd_of(dev_held, O_RDWR));
	if (mounted_opens("tier_add_mounted"))
		ADD("mounted", EBUSY, a.tier.fd = fd_of(dev_mounted, O_RDWR));
	ADD("file", ENOTBLK, a.tier.fd = fd_of("/etc/passwd", O_RDONLY));
	ADD("tier_flags", EINVAL, a.tier.flags = 1);
	ADD("rdma", EFAULT, a.tier.type = EMP_TIER_RDMA; a.tier.fd = -1; a.tier.base = 4096);
	ro = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*ro = right;
	mprotect(ro, 4096, PROT_READ);
	if (picked("tier_add_read_only_struct")) {
		expect("tier_add_read_only_struct", ioctl(control, EMP_IOC_TIER_ADD, ro), EFAULT,
		       false);
		verdict("tier_add_read_only_struct_adds_nothing",
			entries(SYSFS "/t0/tiers") == 1, "the tier is there", false);
	}
	munmap(ro, 4096);
	if (picked("tier_add_none_left_behind"))
		verdict("tier_add_none_left_behind", entries(SYSFS "/t0/tiers") == 1,
			"not one tier", false);
	if (picked("tier_add_65")) {
		for (i = entries(SYSFS "/t0/tiers"); i < EMP_TIERS_MAX; i++) {
			a = right;
			a.tier.base += (i + 16) * (64ULL << 10);
			if (ioctl(control, EMP_IOC_TIER_ADD, &a) || a.tier.id == 0)
				printf("# tier %d: %s\n", i, strerror(errno));
		}
		a = right;
		a.tier.base += 200ULL * (64 << 10);
		expect("tier_add_65", ioctl(control, EMP_IOC_TIER_ADD, &a), ENOSPC, false);
		verdict("tier_add_65_none_left_behind", entries(SYSFS "/t0/tiers") == EMP_TIERS_MAX,
			"not 64 tiers", false);
	}
	region_gone(fd, "t0");
	if (picked("tier_add_all_gone"))
		verdict("tier_add_all_gone", true, "", true);
}

static void tier_removes(struct request *q)
{
	struct emp_tier_remove right = { .size = sizeof(right), .name = "t0" }, a;
	int fd = make(q, "t0");

#define REMOVE(what, want, ...)								\
	do {										\
		if (picked("tier_remove_" what)) {					\
			a = right;							\
			{ __VA_ARGS__; }						\
			expect("tier_remove_" what,					\
			       ioctl(control, EMP_IOC_TIER_REMOVE, &a), want, false);	\
		}									\
	} while (0)
	REMOVE("no_region", ENOENT, strcpy(a.name, "t9"));
	REMOVE("no_tier", ENOENT, a.id = 1);
	REMOVE("id_max", ENOENT, a.id = ~0u);
	REMOVE("flags", EINVAL, a.flags = 1u << 1);
	REMOVE("unterminated", EINVAL, memset(a.name, 'a', 32));
	REMOVE("timeout_max", EINVAL, a.timeout_ms = ~0u);
	REMOVE("no_room", ENOSPC, {});
	if (picked("tier_remove_refused_stays_ok")) {
		char state[16] = "";
		int f = open(SYSFS "/t0/tiers/0/state", O_RDONLY);

		if (read(f, state, sizeof(state) - 1) < 0)
			state[0] = 0;
		close(f);
		verdict("tier_remove_refused_stays_ok", !strcmp(state, "ok\n"), state, false);
	}
	region_gone(fd, "t0");
}

static void events(void)
{
	char buf[2 * sizeof(struct emp_event)];
	int fd = open("/dev/emp-control", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (picked("event_buffer_small"))
		expect("event_buffer_small", read(fd, buf, sizeof(struct emp_event) - 1), EINVAL,
		       true);
	if (picked("event_none"))
		expect("event_none", read(fd, buf, sizeof(buf)), EAGAIN, true);
	if (picked("event_bad_address")) {
		struct request *q = calloc(1, sizeof(*q));

		region_gone(make(q, "t0"), "t0");
		expect("event_bad_address", syscall(SYS_read, fd, 8L, sizeof(buf)), EFAULT, true);
		verdict("event_kept_after_bad_address",
			read(fd, buf, sizeof(buf)) == 2 * sizeof(struct emp_event), "lost", true);
		free(q);
	}
	if (picked("control_write"))
		expect("control_write", write(fd, buf, 8), EINVAL, true);
	if (picked("control_mmap")) {
		void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

		expect("control_mmap", p == MAP_FAILED ? -1 : 0, ENODEV, true);
	}
	close(fd);
}

static void too_many_files(struct request *q)
{
	struct rlimit was, now;
	int fd;

	if (!picked("create_no_fd_left"))
		return;
	getrlimit(RLIMIT_NOFILE, &was);
	now = was;
	fd = dup(control);
	now.rlim_cur = fd;	/* the lowest that is free */
	close(fd);
	setrlimit(RLIMIT_NOFILE, &now);
	right_request(q);
	fd = ioctl(control, EMP_IOC_CREATE, &q->c);
	now.rlim_cur = was.rlim_cur;
	setrlimit(RLIMIT_NOFILE, &now);
	expect("create_no_fd_left", fd, EMFILE, true);
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };

	syscall(SYS_capset, &h, d);
}

#define NO_NAMESPACES 77	/* exit status */

/* Who is root in a user namespace only, or root without the capability. */
static void unprivileged(struct request *q, bool namespace)
{
	static const struct { const char *name; unsigned long cmd; } c[] = {
		{ "create", EMP_IOC_CREATE }, { "destroy", EMP_IOC_DESTROY },
		{ "list", EMP_IOC_LIST }, { "tier_add", EMP_IOC_TIER_ADD },
		{ "tier_remove", EMP_IOC_TIER_REMOVE },
	};
	const char *who = namespace ? "namespace" : "no_capability";
	struct emp_info info = { .size = sizeof(info) };
	char name[64];
	unsigned int i;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid) {
		int status;

		waitpid(pid, &status, 0);
		if (WEXITSTATUS(status) == NO_NAMESPACES) {
			if (picked("namespace_create"))
				printf("ok - namespace_create # SKIP the kernel has no user namespaces\n");
			return;
		}
		failed += WEXITSTATUS(status);
		snprintf(name, sizeof(name), "%s_nothing_made", who);
		if (picked(name))
			verdict(name, true, "", true);
		return;
	}
	failed = 0;
	if (!namespace)
		drop_capabilities();
	else if (unshare(CLONE_NEWUSER))
		_exit(NO_NAMESPACES);
	right_request(q);
	for (i = 0; i < sizeof(c) / sizeof(*c); i++) {
		snprintf(name, sizeof(name), "%s_%s", who, c[i].name);
		if (picked(name))
			expect(name, ioctl(control, c[i].cmd, &q->c), EPERM, false);
	}
	snprintf(name, sizeof(name), "%s_info", who);
	if (picked(name))
		expect(name, ioctl(control, EMP_IOC_INFO, &info), 0, false);
	fflush(stdout);
	_exit(failed);
}

int main(int argc, char **argv)
{
	struct request *q = calloc(1, sizeof(*q));

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 4) {
		fprintf(stderr, "usage: fault_ioctl FREE MOUNTED HELD\n");
		free(q);
		return 2;
	}
	dev_free = argv[1];
	dev_mounted = argv[2];
	dev_held = argv[3];
	free_devices[nr_free_devices++] = dev_free;
	control = open("/dev/emp-control", O_RDWR | O_CLOEXEC);
	fd_free = open(dev_free, O_RDWR | O_CLOEXEC);
	if (control < 0 || fd_free < 0 || leftover()) {
		printf("Bail out! not a clean start: %s\n", leftover() ?: strerror(errno));
		free(q);
		return 1;
	}
	create_names(q);
	create_structure(q);
	create_sizes(q);
	create_capacity(q);
	create_tiers(q);
	too_many_files(q);
	addresses();
	duplicates(q);
	destroys(q);
	lists(q);
	tier_adds(q);
	tier_removes(q);
	events();
	unprivileged(q, false);
	unprivileged(q, true);
	free(q);
	return failed ? 1 : 0;
}
