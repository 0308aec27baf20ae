// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A driver of a virtio-pim device in user space whose data is in windows: memory
 * beside that of the rings, which it takes from the device and gives back.
 *
 * usage: pins UUID ACTION [ARGUMENT]...
 *
 * Exit status 0 as expected, 1 not, 2 usage. See the table at the end.
 */
#include <pthread.h>

#include "vm_driver.h"

#define WINDOW		(4u << 20)	/* bytes of each */
#define WINDOWS		2
#define WINDOW_AT(i)	(0x80000000ull + (i) * 0x10000000ull)
#define ALL		(~0ull)
#define PART		(WINDOW / 2 / 64)	/* of a DPU, in half a window */

static uint8_t *window[WINDOWS];

static uint8_t *new_window(void)
{
	void *p = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT(p != MAP_FAILED);
	return p;
}

static void give(int i, uint8_t *mem)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)mem, .iova = WINDOW_AT(i), .size = WINDOW,
	};

	EXPECT(!ioctl(container, VFIO_IOMMU_MAP_DMA, &m));
	window[i] = mem;
}

static void take(int i)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .iova = WINDOW_AT(i), .size = WINDOW,
	};

	EXPECT(!ioctl(container, VFIO_IOMMU_UNMAP_DMA, &u));
	EXPECT(u.size == WINDOW);
}

/* @bytes of each DPU, at @at of a window, in descriptors of up to @piece. */
static int move(bool write, int i, uint32_t at, uint32_t offset, uint32_t bytes, uint32_t piece)
{
	struct virtio_pim_xfer *x = (void *)(header(write ? VIRTIO_PIM_T_WRITE : VIRTIO_PIM_T_READ,
						    0) + 1);
	struct vring_desc *d = queues[1].ring.desc;
	uint32_t n = 0, left = 64 * bytes;

	*x = (struct virtio_pim_xfer) { .mask = ALL, .offset = offset, .bytes = bytes };
	memory[DATA + 4096] = 0xee;
	describe(&d[n], DATA, 32, VRING_DESC_F_NEXT, 1);
	while (left) {
		uint32_t len = left < piece ? left : piece;

		EXPECT(++n < SIZE - 1);
		describe(&d[n], WINDOW_AT(i) - BASE + at, len,
			 (write ? 0 : VRING_DESC_F_WRITE) | VRING_DESC_F_NEXT, n + 1);
		at += len;
		left -= len;
	}
	describe(&d[++n], DATA + 4096, 1, VRING_DESC_F_WRITE, 0);
	publish(1, 0);
	return answered(1, 60000) ? memory[DATA + 4096] : -1;
}

static void fill(uint8_t *mem, uint32_t bytes, uint32_t seed)
{
	uint32_t *words = (uint32_t *)mem;

	for (uint32_t i = 0; i < bytes / 4; i++)
		words[i] = (i + seed) * 2654435761u;
}

static bool filled(const uint8_t *mem, uint32_t bytes, uint32_t seed)
{
	const uint32_t *words = (const uint32_t *)mem;

	for (uint32_t i = 0; i < bytes / 4; i++) {
		if (words[i] != (i + seed) * 2654435761u)
			return false;
	}
	return true;
}

/* From the lower half of a window to MRAM, and back to the upper half. */
static void round_trip(int i, uint32_t seed)
{
	static const uint32_t pieces[] = { WINDOW, 65536, 40960 + 8 };
	uint8_t *in = window[i], *out = window[i] + WINDOW / 2;
	uint32_t odd = seed % 3 * 8, bytes = PART - 4096;

	/* not at pages, and in more than one way */
	fill(in + odd, 64 * bytes, seed);
	memset(out, ~seed, WINDOW / 2);
	EXPECT(move(true, i, odd, odd, bytes, pieces[seed % 3]) == VIRTIO_PIM_S_OK);
	EXPECT(move(false, i, WINDOW / 2 + odd * 2, odd, bytes, pieces[(seed + 1) % 3]) ==
	       VIRTIO_PIM_S_OK);
	EXPECT(filled(out + odd * 2, 64 * bytes, seed));
	EXPECT(out[64 * bytes + odd * 2] == (uint8_t)~seed);
}

static void begin(void)
{
	for (int i = 0; i < WINDOWS; i++)
		give(i, new_window());
	start(ALL_FEATURES);
	EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK);
}

static int act_data(char **argv)
{
	uint32_t rounds = atoi(argv[0]);

	begin();
	for (uint32_t n = 0; n < rounds; n++)
		round_trip(n >= rounds / 2, n);	/* first one, then the other */
	printf("%u rounds\n", rounds);
	fflush(stdout);
	if (argv[1])
		pause();
	return 0;
}

static uint64_t stat(const char *uuid, const char *name)
{
	char path[256];
	unsigned long long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s/stats/%s", uuid, name);
	f = fopen(path, "re");
	EXPECT(f && fscanf(f, "%llu", &n) == 1);
	fclose(f);
	return n;
}

/* Memory that is taken back is out of reach; what is there afterwards is used instead. */
static int act_remap(char **argv)
{
	uint8_t *old;

	begin();
	for (uint32_t n = 0; n < 5; n++) {
		round_trip(0, n);
		round_trip(1, n);
		for (int tries = 0; stat(argv[0], "pinned") < WINDOW && tries < 2000; tries++) {
			usleep(10000);	/* nothing is pinned for a while after the last one */
			round_trip(tries % WINDOWS, n);
		}
		EXPECT(stat(argv[0], "pinned") >= WINDOW);
		old = window[n % WINDOWS];
		take(n % WINDOWS);
		EXPECT(stat(argv[0], "pinned") <= WINDOW);
		EXPECT(move(true, n % WINDOWS, 0, 0, PART, WINDOW) == VIRTIO_PIM_S_FAULT);
		EXPECT(move(false, n % WINDOWS, 0, 0, PART, WINDOW) == VIRTIO_PIM_S_FAULT);
		memset(old, 0x5a, WINDOW);
		give(n % WINDOWS, new_window());
		round_trip(n % WINDOWS, n + 100);
		for (uint32_t i = 0; i < WINDOW; i++)
			EXPECT(old[i] == 0x5a);
		munmap(old, WINDOW);
	}
	printf("%llu hits\n", (unsigned long long)stat(argv[0], "pin_hits"));
	return !stat(argv[0], "pin_hits");
}

static const char *raced, *opened;
static unsigned int to_take;
static bool racing;

/* Takes a window and gives it back, mostly when something is pinned. */
static void *taker(void *arg)
{
	int i = (uint8_t **)arg - window;
	uint64_t begin, longest = 0, took;
	uint8_t *mem = window[i];

	for (unsigned int n = 0; n < to_take; n++) {
		/* in the end it is not, for minutes */
		begin = now_ms();
		while (!stat(raced, "pinned") && now_ms() < begin + 500)
			;
		begin = now_ms();
		take(i);
		took = now_ms() - begin;
		longest = took > longest ? took : longest;
		give(i, mem);
	}
	printf("window %d: longest %llu ms\n", i, (unsigned long long)longest);
	return NULL;
}

/* Another device of the same VMM comes and goes. */
static void *opener(void *arg)
{
	int other;

	while (__atomic_load_n(&racing, __ATOMIC_RELAXED)) {
		other = ioctl(*(int *)arg, VFIO_GROUP_GET_DEVICE_FD, opened);
		EXPECT(other >= 0);
		close(other);
	}
	return NULL;
}

static int other_group(const char *uuid)
{
	char path[256], link[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s/iommu_group", uuid);
	n = readlink(path, link, sizeof(link) - 1);
	EXPECT(n > 0);
	link[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	EXPECT(fd >= 0);
	EXPECT(!ioctl(fd, VFIO_GROUP_SET_CONTAINER, &container));
	return fd;
}

static void *ender(void *arg)
{
	pthread_t *takers = arg;

	for (int i = 0; i < WINDOWS; i++)
		pthread_join(takers[i], NULL);
	__atomic_store_n(&racing, false, __ATOMIC_RELAXED);
	return NULL;
}

/* All of it at once, under transfers: each of these is done, or cannot reach its memory. */
static int act_race(char **argv)
{
	pthread_t takers[WINDOWS], open_thread, end_thread;
	unsigned int done = 0, fault = 0;
	int group2, status;

	raced = argv[0];
	opened = argv[1];
	to_take = atoi(argv[2]);
	begin();
	group2 = other_group(opened);
	racing = true;
	for (int i = 0; i < WINDOWS; i++)
		EXPECT(!pthread_create(&takers[i], NULL, taker, &window[i]));
	EXPECT(!pthread_create(&open_thread, NULL, opener, &group2));
	EXPECT(!pthread_create(&end_thread, NULL, ender, takers));
	for (unsigned int n = 0; __atomic_load_n(&racing, __ATOMIC_RELAXED); n++) {
		status = move(n & 1, n / 2 % WINDOWS, 0, 0, PART, WINDOW);
		EXPECT(status == VIRTIO_PIM_S_OK || status == VIRTIO_PIM_S_FAULT);
		done += status == VIRTIO_PIM_S_OK;
		fault += status == VIRTIO_PIM_S_FAULT;
	}
	pthread_join(end_thread, NULL);
	pthread_join(open_thread, NULL);
	EXPECT(!(GET(device_status) & VIRTIO_CONFIG_S_NEEDS_RESET));
	for (uint32_t n = 0; n < 4; n++)
		round_trip(n % WINDOWS, n);
	printf("%u done, %u out of reach, %llu taken back\n", done, fault,
	       (unsigned long long)stat(raced, "pin_unmaps"));
	return !done;
}

static void gone(const char *uuid)
{
	for (int tries = 0; stat(uuid, "pinned") && tries < 1000; tries++)
		usleep(10000);
	EXPECT(!stat(uuid, "pinned"));
}

/* A reset lets go of everything. */
static int act_reset(char **argv)
{
	begin();
	round_trip(0, 1);
	EXPECT(stat(argv[0], "pinned"));
	SET(device_status, 0);
	gone(argv[0]);
	start(ALL_FEATURES);
	EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK);
	round_trip(0, 2);
	EXPECT(!ioctl(device, VFIO_DEVICE_RESET));
	gone(argv[0]);
	return 0;
}

/* How long @rounds take, there and back. */
static int act_time(char **argv)
{
	uint32_t rounds = atoi(argv[0]);
	char line[16];

	begin();
	fill(window[0], WINDOW, 1);
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		struct timespec a, b;
		uint64_t ns[2] = { ~0ull, ~0ull }, t;

		for (uint32_t n = 0; n < 2 * rounds; n++) {
			clock_gettime(CLOCK_MONOTONIC, &a);
			EXPECT(move(!(n & 1), 0, n & 1 ? WINDOW / 2 : 0, 0, PART, WINDOW) ==
			       VIRTIO_PIM_S_OK);
			clock_gettime(CLOCK_MONOTONIC, &b);
			t = (b.tv_sec - a.tv_sec) * 1000000000ull + b.tv_nsec - a.tv_nsec;
			ns[n & 1] = t < ns[n & 1] ? t : ns[n & 1];
		}
		printf("= %llu %llu\n", (unsigned long long)ns[0], (unsigned long long)ns[1]);
		fflush(stdout);
	}
	return 0;
}

static const struct action actions[] = {
	{ "data", 1, act_data },	/* ROUNDS [hold] */
	{ "remap", 1, act_remap },	/* UUID */
	{ "reset", 1, act_reset },	/* UUID */
	{ "race", 3, act_race },	/* UUID OTHER TIMES */
	{ "time", 1, act_time },	/* ROUNDS; again for each line of standard input */
};

int main(int argc, char **argv)
{
	return run_action(actions, sizeof(actions) / sizeof(actions[0]), argc, argv);
}
