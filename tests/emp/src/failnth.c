// SPDX-License-Identifier: GPL-2.0-only
/*
 * Let the first, then the second, ... allocation or copy from and to user space
 * of one operation fail (/proc/thread-self/fail-nth), until the operation goes
 * through without. After each: the answer is success or one of the errors
 * listed here, nothing half-made is left, the data of the region is right, and
 * the operation works when it is done again.
 *
 * usage: failnth OPERATION FORM DEVICE0 DEVICE1 [MODULE]
 *	OPERATION: see operations[]
 *	FORM: small-4k, small-64k, small-2m, auto, huge
 *	DEVICE0, DEVICE1: block devices of 128 MiB and more for tiers
 *	MODULE: of 'load': the file; the module is not loaded, else it is
 * Environment: FAILNTH_STRIDE, only every so many-th, but for the last ones.
 * The caller has set up failslab, fail_page_alloc and fail_usercopy.
 */
#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "../../../include/uapi/annex/emp.h"
#include "fail_nth.h"
#include "fuzz.h"

#define NAME	"inject"
#define N_MAX	5000u

static const struct form {
	const char *name;
	uint32_t block, sub, map;
	unsigned int mb, dram_mb;
} forms[] = {
	{ "small-4k", 4096, 4096, EMP_MAP_SMALL, 4, 2 },
	{ "small-64k", 65536, 4096, EMP_MAP_SMALL, 8, 4 },
	{ "small-2m", 2 << 20, 65536, EMP_MAP_SMALL, 64, 48 },
	{ "auto", 2 << 20, 65536, EMP_MAP_AUTO, 64, 48 },
	{ "huge", 2 << 20, 65536, EMP_MAP_HUGE, 64, 48 },
};

static const struct form *form;
static const char *device[2], *module;
static int device_fd[2], control = -1, region_fd = -1, evict_fd = -1;
static uint64_t bytes, pages, step;	/* every step-th page has data */
static volatile uint64_t *mem;
static unsigned int round_nr;		/* how often the operation was done */
static uint8_t generation[1 << 16];	/* of the data of each page; 0: zeros */

#define die(...) do {						\
	printf("# " __VA_ARGS__);				\
	printf(": %s\n", strerror(errno));			\
	exit(1);						\
} while (0)

/* --- what there is ------------------------------------------------------------------ */

static unsigned int entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	unsigned int n = 0;

	while (dir && (d = readdir(dir)))
		n += d->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

static bool device_free(unsigned int i)
{
	int fd = open(device[i], O_RDWR | O_EXCL | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool region_gone(void)
{
	return !entries("/sys/fs/emp") && !entries("/dev/emp") && device_free(0) && device_free(1);
}

static bool wait_for(bool (*what)(void))
{
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		if (what())
			return true;
		usleep(10000);
	}
	return false;
}

static bool has_line(const char *path, const char *word)
{
	FILE *f = fopen(path, "r");
	char line[256];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found |= !!strstr(line, word);
	if (f)
		fclose(f);
	return found;
}

static long number_in(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die("%s", path);
	close(fd);
	return atol(text);
}

#define attr(name) number_in("/sys/fs/emp/" NAME "/" name)

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err;

	if (fd < 0)
		return errno;
	err = write(fd, text, strlen(text)) < 0 ? errno : 0;
	close(fd);
	return err;
}

/* --- a region with data ---------------------------------------------------------------- */

static struct emp_tier_spec tier(unsigned int dev, unsigned int base_mb)
{
	return (struct emp_tier_spec){ .size = sizeof(struct emp_tier_spec), .type = EMP_TIER_BLOCK,
				       .fd = device_fd[dev], .base = base_mb * MB, .bytes = bytes };
}

static int create(void)
{
	struct emp_tier_spec tiers[] = { tier(0, 0), tier(1, 0) };
	struct emp_create c = {
		.size = sizeof(c), .flags = EMP_F_CHECKSUM, .name = NAME, .bytes = bytes,
		.dram_limit = form->dram_mb * MB, .block_size = form->block,
		.subblock_size = form->sub, .map = form->map, .mode = 0600,
		.nr_tiers = 2, .tiers = (uintptr_t)tiers,
	};

	region_fd = ioctl(control, EMP_IOC_CREATE, &c);
	return region_fd < 0 ? errno : 0;
}

static int destroy(void)
{
	struct emp_destroy d = { .size = sizeof(d), .name = NAME };

	return ioctl(control, EMP_IOC_DESTROY, &d) ? errno : 0;
}

static int tier_add(void)
{
	struct emp_tier_add a = { .size = sizeof(a), .name = NAME, .tier = tier(0, bytes / MB) };

	return ioctl(control, EMP_IOC_TIER_ADD, &a) ? errno : 0;
}

static int tier_remove(uint32_t id)
{
	struct emp_tier_remove a = { .size = sizeof(a), .name = NAME, .id = id };

	return ioctl(control, EMP_IOC_TIER_REMOVE, &a) ? errno : 0;
}

static void map_region(void)
{
	/* Page tables and all are made anew. */
	if (mem)
		munmap((void *)mem, bytes);
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, region_fd, 0);
	if (mem == MAP_FAILED)
		die("mmap");
}

static uint64_t word_of(uint64_t page, unsigned int i)
{
	uint8_t g = generation[page];

	return g ? (page * 8 + i + 1) * 0x9e3779b97f4a7c15ull ^ g : 0;
}

static uint64_t nth_page(uint64_t n)
{
	return n * step % pages;
}

static void store_page(uint64_t page)
{
	unsigned int i;

	generation[page] = generation[page] % 250 + 1;
	for (i = 0; i < 4; i++)
		mem[page * 512 + i * 150] = word_of(page, i);
}

static void check_page(uint64_t page)
{
	unsigned int i;
	uint64_t value;

	for (i = 0; i < 4; i++) {
		if (!access_word(mem + page * 512 + i * 150, false, &value))
			wrong("page %lu cannot be read", page);
		else if (value != word_of(page, i))
			wrong("page %lu word %u is %lx, not %lx", page, i, value, word_of(page, i));
	}
}

static void check_all(void)
{
	uint64_t p;

	for (p = 0; p < pages; p += step)
		check_page(p);
}

static bool nothing_resident(void)
{
	pwrite(evict_fd, "1T", 2, 0);
	return !attr("resident");
}

static void evict_all(void)
{
	if (!wait_for(nothing_resident))
		wrong("%ld bytes cannot be evicted", attr("resident"));
}

static void make_region(void)
{
	uint64_t p;

	if (create())
		die("CREATE");
	evict_fd = open("/sys/fs/emp/" NAME "/evict", O_WRONLY | O_CLOEXEC);
	map_region();
	for (p = 0; p < pages; p += step)
		store_page(p);
}

static void drop_region(void)
{
	if (mem)
		munmap((void *)mem, bytes);
	mem = NULL;
	close(evict_fd);
	close(region_fd);
	if (destroy())
		die("DESTROY");
}

/* --- operations -------------------------------------------------------------------------- */

static void create_undo(void)
{
	close(region_fd);
	if (destroy())
		wrong("what was created cannot be destroyed: %s", strerror(errno));
}

static void create_nothing(void)
{
	if (!wait_for(region_gone))
		wrong("CREATE that failed left something: %u folders, %u files, device 0 %s, 1 %s",
		      entries("/sys/fs/emp"), entries("/dev/emp"), device_free(0) ? "free" : "held",
		      device_free(1) ? "free" : "held");
}

static void destroy_prepare(void)
{
	if (create())
		die("CREATE");
	close(region_fd);
}

static void destroy_undo(void)
{
	create_nothing();
}

static void destroy_nothing(void)
{
	if (entries("/sys/fs/emp") != 1 || entries("/dev/emp") != 1)
		wrong("DESTROY that failed took something away");
}

static uint32_t added;		/* number of the tier that TIER_ADD should make next */

static void tier_add_undo(void)
{
	char path[64];

	/* Numbers are never used again, those of failed calls may be. */
	do
		snprintf(path, sizeof(path), "/sys/fs/emp/" NAME "/tiers/%u", ++added);
	while (access(path, F_OK) && added < N_MAX);
	if (tier_remove(added))
		wrong("tier %u cannot be removed: %s", added, strerror(errno));
	check_page(nth_page(round_nr));
}

static void tier_add_prepare(void)
{
	if (!added)
		added = 1;
}

static void tier_add_nothing(void)
{
	if (entries("/sys/fs/emp/" NAME "/tiers") != 2)
		wrong("TIER_ADD that failed left a tier");
}

/* The two tiers, the fastest first; it goes, and comes again as the slowest. */
static uint32_t tier_id[2] = { 0, 1 }, tier_dev[2] = { 0, 1 };

static int tier_remove_run(void)
{
	return tier_remove(tier_id[0]);
}

static void tier_remove_undo(void)
{
	struct emp_tier_add a = { .size = sizeof(a), .name = NAME, .tier = tier(tier_dev[0], 0) };

	if (entries("/sys/fs/emp/" NAME "/tiers") != 1)
		wrong("the tier that was removed is there");
	if (!device_free(tier_dev[0]))
		wrong("the device of the tier that was removed is held");
	check_all();
	if (ioctl(control, EMP_IOC_TIER_ADD, &a))
		die("TIER_ADD");
	tier_id[0] = tier_id[1];
	tier_id[1] = a.tier.id;
	tier_dev[0] = tier_dev[1];
	tier_dev[1] = !tier_dev[1];
}

static void tier_remove_nothing(void)
{
	if (entries("/sys/fs/emp/" NAME "/tiers") != 2)
		wrong("TIER_REMOVE that failed took the tier away");
	check_all();
	evict_all();
}

static uint64_t here;

static void fetch_prepare(void)
{
	here = nth_page(round_nr * 7);
	evict_all();
	map_region();
}

static int read_run(void)
{
	uint64_t value;

	return access_word(mem + here * 512, false, &value) ? 0 : EFAULT;
}

static int write_run(void)
{
	uint64_t value = word_of(here, 0);

	return access_word(mem + here * 512, true, &value) ? 0 : EFAULT;
}

static void zero_prepare(void)
{
	here = nth_page(round_nr * 7);
	if (fallocate(region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, here * PAGE, PAGE))
		die("fallocate");
	generation[here] = 0;
	map_region();
}

static void page_undo(void)
{
	check_page(here);
	store_page(here);
	check_page(nth_page(here / step + 1));
}

/* What follows is in DRAM: it is mapped with the same fault. */
static void around_prepare(void)
{
	check_all();
	here = nth_page(round_nr);
	map_region();
}

static void around_undo(void)
{
	check_all();
}

static void evict_prepare(void)
{
	uint64_t i;

	for (i = 0; i < 24; i++)
		store_page(nth_page(round_nr * 24 + i));
}

static int evict_run(void)
{
	return pwrite(evict_fd, "1T", 2, 0) < 0 ? errno : 0;
}

static void evict_undo(void)
{
	uint64_t i;

	for (i = 0; i < 24; i++)
		check_page(nth_page(round_nr * 24 + i));
}

/* A part of a subblock or of a 2 MiB folio: it has to be fetched. What is whole needs nothing. */
static int punch_run(void)
{
	return fallocate(region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, here * PAGE, PAGE) ?
	       errno : 0;
}

static void punch_undo(void)
{
	generation[here] = 0;
	check_page(here);
	store_page(here);
	check_page(here + 1);
	check_page(nth_page(here / step + 1));
}

static long limit_before;

static void limit_prepare(void)
{
	if (write_file("/sys/fs/emp/" NAME "/dram_limit", "1T"))
		die("dram_limit");
	limit_before = attr("dram_limit");
}

static int limit_run(void)
{
	char text[32];

	snprintf(text, sizeof(text), "%u", form->dram_mb * (unsigned int)MB);
	return write_file("/sys/fs/emp/" NAME "/dram_limit", text);
}

static void limit_undo(void)
{
	if (attr("dram_limit") != form->dram_mb * (long)MB)
		wrong("dram_limit is %ld", attr("dram_limit"));
	check_page(nth_page(round_nr));
}

static void limit_nothing(void)
{
	if (attr("dram_limit") != limit_before)
		wrong("dram_limit changed to %ld by a write that failed", attr("dram_limit"));
}

static int open_run(void)
{
	int fd = open("/dev/emp/" NAME, O_RDWR | O_CLOEXEC), err = 0;
	void *p;

	if (fd < 0)
		return errno;
	p = mmap(NULL, 2 * MB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		err = errno;
	else
		munmap(p, 2 * MB);
	close(fd);
	return err;
}

static int control_run(void)
{
	static char names[8][EMP_NAME_LEN];
	struct emp_list l = { .size = sizeof(l), .names = (uintptr_t)names, .capacity = 8 };
	struct emp_info i = { .size = sizeof(i) };
	int fd = open("/dev/emp-control", O_RDWR | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno;
	if (ioctl(fd, EMP_IOC_INFO, &i) || ioctl(fd, EMP_IOC_LIST, &l))
		err = errno;
	close(fd);
	return err;
}

static void nothing_to_do(void)
{
}

static int mount_run(void)
{
	return mount("empfs", "/mnt", "empfs", 0, NULL) ? errno : 0;
}

static void mount_undo(void)
{
	if (umount("/mnt"))
		wrong("umount: %s", strerror(errno));
}

static void mount_nothing(void)
{
	if (has_line("/proc/mounts", "empfs"))
		wrong("mount that failed left a mount");
}

static int load_run(void)
{
	int fd = open(module, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return errno;
	err = syscall(SYS_finit_module, fd, "", 0) ? errno : 0;
	close(fd);
	return err;
}

static void load_undo(void)
{
	if (access("/sys/fs/emp", F_OK) || access("/dev/emp-control", F_OK) ||
	    !has_line("/proc/filesystems", "empfs"))
		wrong("a part of the module is missing");
	if (syscall(SYS_delete_module, "emp", O_NONBLOCK))
		die("delete_module");
}

static void load_nothing(void)
{
	if (!access("/sys/fs/emp", F_OK) || !access("/dev/emp-control", F_OK) ||
	    !access("/sys/module/emp", F_OK) || has_line("/proc/filesystems", "empfs") ||
	    has_line("/proc/slabinfo", "emp_"))
		wrong("a module that did not load left something");
}

static const struct operation {
	const char *name;
	bool region;			/* needs one with data */
	int (*run)(void);		/* 0 or errno */
	void (*prepare)(void);
	void (*undo)(void);		/* after success; looks whether it is one */
	void (*nothing)(void);		/* after failure: is all as it was? */
	int allowed[5];
} operations[] = {
	{ "create", false, create, nothing_to_do, create_undo, create_nothing, { ENOMEM, EFAULT } },
	{ "destroy", false, destroy, destroy_prepare, destroy_undo, destroy_nothing, { EFAULT } },
	{ "tier_add", true, tier_add, tier_add_prepare, tier_add_undo, tier_add_nothing,
	  { ENOMEM, EFAULT } },
	{ "tier_remove", true, tier_remove_run, evict_all, tier_remove_undo,
	  tier_remove_nothing, { ENOMEM, EFAULT, EIO } },
	{ "read", true, read_run, fetch_prepare, page_undo, nothing_to_do },
	{ "write", true, write_run, fetch_prepare, page_undo, nothing_to_do },
	{ "read_zero", true, read_run, zero_prepare, page_undo, nothing_to_do },
	{ "write_zero", true, write_run, zero_prepare, page_undo, nothing_to_do },
	{ "around", true, read_run, around_prepare, around_undo, nothing_to_do },
	{ "evict", true, evict_run, evict_prepare, evict_undo, nothing_to_do, { ENOMEM, EFAULT } },
	{ "punch", true, punch_run, fetch_prepare, punch_undo, nothing_to_do },
	{ "limit", true, limit_run, limit_prepare, limit_undo, limit_nothing, { ENOMEM, EFAULT } },
	{ "open", true, open_run, nothing_to_do, nothing_to_do, nothing_to_do,
	  { ENOMEM, EFAULT, ENFILE } },
	{ "control", true, control_run, nothing_to_do, nothing_to_do, nothing_to_do,
	  { ENOMEM, EFAULT, ENFILE } },
	{ "mount", false, mount_run, nothing_to_do, mount_undo, mount_nothing,
	  { ENOMEM, EFAULT, ENOSPC } },
	{ "load", false, load_run, nothing_to_do, load_undo, load_nothing, { ENOMEM } },
};

static bool allowed(const struct operation *op, int err)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(op->allowed); i++)
		if (op->allowed[i] == err)
			return true;
	return false;
}

/* Let the @n-th fail. Return: whether there was one. */
static bool inject_nth(const struct operation *op, unsigned int row, unsigned int n)
{
	unsigned int again;
	bool fired;
	int err;

	round_nr++;
	op->prepare();
	fail_nth(n);
	err = op->run();
	fired = failed_something();
	errno = err;
	if (fired)
		note(row, err ? -1 : 0);
	if (err && !fired)
		wrong("%s: %s without a failure injected (%u)", op->name, strerror(err), n);
	if (err && !allowed(op, err))
		wrong("%s: %s after failure %u", op->name, strerrorname_np(err), n);
	if (err) {
		op->nothing();
		for (again = 0; err && again < 2; again++)
			err = op->run();
		if (err)
			wrong("%s: %s when repeated after failure %u", op->name,
			      strerrorname_np(err), n);
	}
	if (!err)
		op->undo();
	return fired;
}

static void inject(const struct operation *op)
{
	const char *stride = getenv("FAILNTH_STRIDE");
	unsigned int row = table_row(op->name), by = stride ? atoi(stride) : 1, n, without = 0;

	for (n = 1; n <= N_MAX && table->wrong < 5; n += by)
		if (!inject_nth(op, row, n))
			break;
	if (n > N_MAX)
		wrong("%s: still going on after %u failures", op->name, N_MAX);
	if (n == 1)
		wrong("%s: nothing ever failed", op->name);
	if (by == 1)
		return;
	/* The end, where most has to be undone, one by one. How many there are varies a little. */
	for (n = n > 3 * by ? n - 3 * by : 1; without < by && table->wrong < 5; n++)
		without = inject_nth(op, row, n) ? 0 : without + 1;
}

int main(int argc, char **argv)
{
	const struct operation *op = NULL;
	unsigned int i;

	if (argc < 5) {
		fprintf(stderr, "usage: failnth OPERATION FORM DEVICE0 DEVICE1 [MODULE]\n");
		return 2;
	}
	for (i = 0; i < ARRAY_SIZE(operations); i++)
		if (!strcmp(operations[i].name, argv[1]))
			op = &operations[i];
	for (i = 0; i < ARRAY_SIZE(forms); i++)
		if (!strcmp(forms[i].name, argv[2]))
			form = &forms[i];
	if (!op || !form)
		return 2;
	bytes = form->mb * MB;
	pages = bytes / PAGE;
	step = form->block < 65536 ? 8 : form->block > 65536 ? 128 : 4;
	if (!strcmp(op->name, "tier_remove"))
		step = pages / 4;	/* each block takes a few allocations */
	for (i = 0; i < 2; i++) {
		device[i] = argv[3 + i];
		device_fd[i] = open(device[i], O_RDWR | O_CLOEXEC);
		if (device_fd[i] < 0)
			die("%s", device[i]);
	}
	module = argv[5];
	handlers();
	table_init();
	fail_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_fd < 0)
		die("fail-nth");
	if (!module) {
		control = open("/dev/emp-control", O_RDWR | O_CLOEXEC);
		if (control < 0)
			die("/dev/emp-control");
	}
	if (op->region)
		make_region();
	inject(op);
	if (op->region) {
		check_all();
		drop_region();
	}
	table_print();
	return table->wrong != 0;
}
