// SPDX-License-Identifier: GPL-2.0-only
/*
 * Let the first, then the second, ... allocation or copy from and to user space
 * of one operation fail, until the operation goes through without. After each:
 * the answer is success or one of the errors listed here, nothing half-made is
 * left, and the operation works when it is done again.
 *
 * usage: failnth OPERATION [FILE]
 *	OPERATION: see operations[]
 *	FILE: of 'vm': to make a device for a machine; of 'load': the module
 * Rank 0 has a provider, a rank 7 has none and is not there.
 * The caller has set up failslab, fail_page_alloc and fail_usercopy.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <annex/dpu.h>
#include <annex/pim.h>

#include "../../emp/src/fail_nth.h"

#define N_MAX	5000u
#define UUID	"6f1c8a52-0f5e-4c1b-9c36-3d6a8e2b7a11"
#define BYTES	12288u

static const char *file;
static bool injected;		/* something failed in what is to be undone */
static int dev = -1, control = -1, arbiter = -1, made = -1;
static uint8_t in[3][BYTES], out[3][BYTES];

#define die(...) do {						\
	printf("# " __VA_ARGS__);				\
	printf(": %s\n", strerror(errno));			\
	exit(1);						\
} while (0)

#define wrong(...) do {						\
	printf("# wrong: " __VA_ARGS__);			\
	printf("\n");						\
	exit(1);						\
} while (0)

static bool waits_for(bool (*what)(void))
{
	for (unsigned int i = 0; i < 3000; i++) {
		if (what())
			return true;
		usleep(10000);
	}
	return false;
}

static int state_of(uint32_t id)
{
	struct pim_rank_state st = { .size = sizeof(st), .id = id };

	return ioctl(arbiter, PIM_IOC_RANK_STATE, &st) || st.id != id ? -1 : (int)st.state;
}

static bool rank_free(void)
{
	return state_of(0) == PIM_STATE_FREE;
}

static bool no_rank_7(void)
{
	return access("/sys/class/pim/rank7", F_OK);
}

static void nothing_to_do(void)
{
}

/* --- a provider's side ------------------------------------------------------------------ */

static int add_run(void)
{
	struct pim_rank_add a = {
		.size = sizeof(a), .id = 7, .nr_cis = 8, .nr_dpus_per_ci = 8,
		.mram_size = 1 << 20, .provider = "failnth", .channel_id = 255,
	};
	void *ring;

	made = ioctl(control, PIM_IOC_RANK_ADD, &a);
	if (made < 0)
		return errno;
	ring = mmap(NULL, PIM_RING_BYTES(64), PROT_READ | PROT_WRITE, MAP_SHARED, made, 0);
	if (ring == MAP_FAILED) {
		int err = errno;

		close(made);
		made = -1;
		return err;
	}
	munmap(ring, PIM_RING_BYTES(64));
	return 0;
}

static void add_gone(void)
{
	struct pim_rank_id id = { .size = sizeof(id), .id = 7 };

	/* one whose rings could not be mapped is there, and faulty */
	if (!no_rank_7() && ioctl(control, PIM_IOC_RANK_REMOVE, &id))
		wrong("rank 7 cannot be removed: %s", strerror(errno));
	if (!waits_for(no_rank_7))
		wrong("rank 7 is left");
}

static void add_undo(void)
{
	if (made >= 0)
		close(made);
	made = -1;
	add_gone();
}

static struct pim_run run = { .size = sizeof(run), .flags = PIM_RUN_NOWAIT };

static void serve_prepare(void)
{
	if (add_run())
		die("rank 7");
	run.req_prod = 0;
}

static int serve_run(void)
{
	struct pim_eventfd e = { .size = sizeof(e), .fd = -1 };

	return ioctl(made, PIM_IOC_RUN, &run) || ioctl(made, PIM_IOC_EVENTFD, &e) ? errno : 0;
}

/* --- a client's ---------------------------------------------------------------------------- */

static int open_run(void)
{
	int fd = open("/dev/dpu_rank0", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static void open_after(void)
{
	if (!waits_for(rank_free))
		wrong("rank 0 is in state %d", state_of(0));
}

static int commit_run(void)
{
	uint64_t words[8] = { 0 };

	return ioctl(dev, DPU_IOC_COMMIT, words) || ioctl(dev, DPU_IOC_UPDATE, words) ? errno : 0;
}

static int slices_run(void)
{
	static struct dpu_slice slices[8];

	return ioctl(dev, DPU_IOC_SLICES, slices) ? errno : 0;
}

static struct dpu_transfer matrix(uint8_t bytes[3][BYTES])
{
	struct dpu_transfer t = { .offset = 4088, .bytes = BYTES };

	t.ptr[0] = (uintptr_t)bytes[0];
	t.ptr[17] = (uintptr_t)bytes[1];
	t.ptr[63] = (uintptr_t)bytes[2];
	return t;
}

static void move_prepare(void)
{
	static uint8_t value;

	memset(in, ++value, sizeof(in));
	memset(out, 0, sizeof(out));
}

static int write_run(void)
{
	struct dpu_transfer t = matrix(in);

	return ioctl(dev, DPU_IOC_WRITE, &t) ? errno : 0;
}

static int read_run(void)
{
	struct dpu_transfer t = matrix(out);

	return ioctl(dev, DPU_IOC_READ, &t) ? errno : 0;
}

static void read_prepare(void)
{
	move_prepare();
	if (write_run())
		die("write");
}

static void write_undo(void)
{
	if (read_run() || memcmp(in, out, sizeof(in)))
		wrong("what was written is not there");
}

static void read_undo(void)
{
	if (memcmp(in, out, sizeof(in)))
		wrong("what was read is not what was written");
}

/* It may have been done in part; done again it is right. */
static void write_again(void)
{
	if (write_run())
		die("write again");
	write_undo();
}

/* --- the arbiter ------------------------------------------------------------------------------ */

static int lease_run(void)
{
	struct pim_lease_req l = {
		.size = sizeof(l), .flags = PIM_LEASE_F_NOWAIT, .id = 0, .expire_ms = 100000,
	};
	int fd = ioctl(arbiter, PIM_IOC_LEASE, &l);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int owner_run(void)
{
	struct pim_owner_state o = { .size = sizeof(o), .uid = 4711 };
	int fd = open("/dev/pim-arbiter", O_RDWR | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno;
	if (ioctl(fd, PIM_IOC_OWNER_GET, &o) && errno != ENOENT)
		err = errno;
	o = (struct pim_owner_state) { .size = sizeof(o), .uid = 4711, .max_ranks = 3,
				       .priority = 4 };
	if (!err && ioctl(fd, PIM_IOC_OWNER_SET, &o))
		err = errno;
	close(fd);
	return err;
}

/* --- devices of machines, modules ------------------------------------------------------------- */

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err;

	if (fd < 0)
		return errno;
	err = write(fd, text, strlen(text)) < 0 ? errno : 0;
	close(fd);
	return err;
}

static int vm_run(void)
{
	return write_text(file, UUID);
}

static bool no_vm(void)
{
	return access("/sys/bus/mdev/devices/" UUID, F_OK);
}

static void vm_undo(void)
{
	if (no_vm())
		wrong("no device was made");
	if (write_text("/sys/bus/mdev/devices/" UUID "/remove", "1"))
		die("remove");
	if (!waits_for(no_vm))
		wrong("the device is left");
}

static void vm_nothing(void)
{
	if (!no_vm())
		wrong("a device that was not made is left");
}

static int load_run(void)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return errno;
	err = syscall(SYS_finit_module, fd, "", 0) ? errno : 0;
	close(fd);
	return err;
}

static bool unloaded(void)
{
	return !syscall(SYS_delete_module, "pim_local", O_NONBLOCK) || errno == ENOENT;
}

/*
 * A rank whose node cannot be made is there without one, and says so (local); the
 * module is loaded for the others. Without a failure the node must be there.
 */
static void load_undo(void)
{
	struct pim_rank_state st = { .size = sizeof(st), .id = 0 };
	bool node = !access("/dev/dpu_rank0", F_OK);

	if (ioctl(arbiter, PIM_IOC_RANK_STATE, &st))
		die("rank 0");
	if (node ? st.local == PIM_ID_ANY : st.local != PIM_ID_ANY)
		wrong("rank 0 says %u of its node", st.local);
	if (!node && !injected)
		wrong("the module is there, the rank's node is not");
	if (!waits_for(unloaded))
		wrong("it does not unload");
	if (injected) {
		injected = false;
		if (load_run())
			wrong("it does not load again");
		load_undo();
	}
}

static void load_nothing(void)
{
	if (!access("/dev/dpu_rank0", F_OK) || !access("/sys/module/pim_local", F_OK))
		wrong("a module that did not load left something");
}

/* ---------------------------------------------------------------------------------------------- */

static const struct operation {
	const char *name;
	bool device;			/* needs /dev/dpu_rank0 open */
	int (*run)(void);		/* 0 or errno */
	void (*prepare)(void);
	void (*undo)(void);		/* after success; looks whether it is one */
	void (*nothing)(void);		/* after failure: is all as it was? */
	int allowed[5];
} operations[] = {
	{ "add", false, add_run, nothing_to_do, add_undo, add_gone,
	  { ENOMEM, EFAULT, ENFILE, EAGAIN } },
	{ "serve", false, serve_run, serve_prepare, add_undo, add_undo, { EFAULT } },
	{ "open", false, open_run, nothing_to_do, open_after, open_after,
	  { ENOMEM, EFAULT, ENFILE } },
	{ "commit", true, commit_run, nothing_to_do, nothing_to_do, nothing_to_do,
	  { ENOMEM, EFAULT } },
	{ "slices", true, slices_run, nothing_to_do, nothing_to_do, nothing_to_do,
	  { ENOMEM, EFAULT } },
	{ "write", true, write_run, move_prepare, write_undo, write_again, { ENOMEM, EFAULT } },
	{ "read", true, read_run, read_prepare, read_undo, nothing_to_do, { ENOMEM, EFAULT } },
	{ "lease", false, lease_run, open_after, open_after, open_after,
	  { ENOMEM, EFAULT, ENFILE } },
	{ "owner", false, owner_run, nothing_to_do, nothing_to_do, nothing_to_do,
	  { ENOMEM, EFAULT, ENFILE } },
	{ "vm", false, vm_run, nothing_to_do, vm_undo, vm_nothing, { ENOMEM, EFAULT, ENFILE } },
	{ "load", false, load_run, nothing_to_do, load_undo, load_nothing,
	  { ENOMEM, EFAULT, ENFILE } },
};

static bool is_allowed(const struct operation *op, int err)
{
	for (unsigned int i = 0; i < sizeof(op->allowed) / sizeof(op->allowed[0]); i++) {
		if (op->allowed[i] == err)
			return true;
	}
	return false;
}

/* Let the @n-th fail. Return: whether there was one. */
static bool inject_nth(const struct operation *op, unsigned int n, unsigned int *errors)
{
	bool fired;
	int err;

	op->prepare();
	fail_nth(n);
	err = op->run();
	fired = failed_something();
	injected = fired;
	if (err && !fired)
		wrong("%s: %s without a failure injected (%u)", op->name, strerror(err), n);
	if (err && !is_allowed(op, err))
		wrong("%s: %s after failure %u", op->name, strerrorname_np(err), n);
	*errors += !!err;
	if (!err) {
		op->undo();
		return fired;
	}
	op->nothing();
	injected = false;
	op->prepare();
	err = op->run();
	if (err)
		wrong("%s: %s when done again after failure %u", op->name, strerror(err), n);
	op->undo();
	return fired;
}

int main(int argc, char **argv)
{
	const char *stride = getenv("FAILNTH_STRIDE");
	unsigned int step = stride ? atoi(stride) : 1, n = 1, errors = 0, tried = 0;
	const struct operation *op = NULL;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (!strcmp(operations[i].name, argv[1]))
			op = &operations[i];
	}
	if (!op || !step)
		return 2;
	file = argv[2];
	fail_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	control = open("/dev/pim-control", O_RDWR | O_CLOEXEC);
	arbiter = open("/dev/pim-arbiter", O_RDWR | O_CLOEXEC);
	if (fail_fd < 0 || control < 0 || arbiter < 0)
		die("open");
	if (op->device) {
		dev = open("/dev/dpu_rank0", O_RDWR | O_CLOEXEC);
		if (dev < 0)
			die("/dev/dpu_rank0");
	}
	for (; n < N_MAX && inject_nth(op, n, &errors); n += step)
		tried++;
	if (n >= N_MAX)
		wrong("%s has no end", op->name);
	printf("# %s: %u failures, %u of them were errors\n", op->name, tried, errors);
	if (!tried)
		wrong("nothing was injected");
	return 0;
}
