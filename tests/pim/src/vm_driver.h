/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A driver of a virtio-pim device in user space, through VFIO: the function's
 * registers, its rings, and requests one at a time.
 */
#ifndef VM_DRIVER_H
#define VM_DRIVER_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/vfio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include <annex/virtio_pim.h>

#include "words.h"

#define MEMORY		(8u << 20)	/* bytes of the machine */
#define BASE		0x40000000ull	/* where they are for the device */
#define QUEUES		2
#define SIZE		64		/* elements of a queue */
#define DATA		0x100000u	/* in MEMORY: for requests */

#define BAR_COMMON	0x0000
#define BAR_ISR		0x0100
#define BAR_DEVICE	0x0200
#define BAR_NOTIFY	0x4000
#define NOTIFY_BYTES	0x1000		/* a queue */

static int container, group, device;
static uint8_t *memory;
static uint64_t config_at, bar_at;
static int events[QUEUES + 1];
static uint32_t nr_queues;
static uint64_t features;
static uint8_t *bells;		/* notifications as memory, or NULL: they are calls */
static size_t bells_bytes;	/* that the device offers to map */

struct queue {
	struct vring ring;
	uint16_t avail, used;
	uint32_t at;		/* in memory */
};

static struct queue queues[QUEUES];
static uint32_t place;		/* where the rings are, of several places */

#define RINGS	0x10000u	/* bytes of a queue's */
#define PLACES	4

static void expect(bool ok, const char *what, int line)
{
	if (ok)
		return;
	printf("line %d: not as expected: %s (errno %d %s)\n", line, what, errno, strerror(errno));
	exit(1);
}

#define EXPECT(cond) expect(cond, #cond, __LINE__)

/* --- registers -------------------------------------------------------------------- */

static void put(uint64_t at, uint64_t value, size_t bytes)
{
	EXPECT(pwrite(device, &value, bytes, at) == (ssize_t)bytes);
}

static uint64_t get(uint64_t at, size_t bytes)
{
	uint64_t value = 0;

	EXPECT(pread(device, &value, bytes, at) == (ssize_t)bytes);
	return value;
}

#define COMMON(field)	(bar_at + BAR_COMMON + offsetof(struct virtio_pci_common_cfg, field))
static const struct virtio_pci_common_cfg layout;
#define SET(field, v)	put(COMMON(field), v, sizeof(layout.field))
#define GET(field)	get(COMMON(field), sizeof(layout.field))

static void map(bool on)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)memory, .iova = BASE, .size = MEMORY,
	};
	struct vfio_iommu_type1_dma_unmap u = { .argsz = sizeof(u), .iova = BASE, .size = MEMORY };

	EXPECT(!(on ? ioctl(container, VFIO_IOMMU_MAP_DMA, &m) :
		 ioctl(container, VFIO_IOMMU_UNMAP_DMA, &u)));
}

static uint64_t region(uint32_t index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	EXPECT(!ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info));
	EXPECT(info.size);
	return info.offset;
}

/* What of BAR 0 may be mapped. */
static size_t mappable(void)
{
	struct {
		struct vfio_region_info info;
		struct vfio_region_info_cap_sparse_mmap cap;
		struct vfio_region_sparse_mmap_area area;
	} i = { .info.argsz = sizeof(i.info), .info.index = VFIO_PCI_BAR0_REGION_INDEX };

	EXPECT(!ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &i));
	if (!(i.info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	EXPECT(i.info.argsz == sizeof(i) && !i.info.cap_offset);
	EXPECT(!ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &i));
	EXPECT(i.info.cap_offset == sizeof(i.info));
	EXPECT(i.cap.header.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP && !i.cap.header.next);
	EXPECT(i.cap.nr_areas == 1 && i.area.offset == BAR_NOTIFY);
	EXPECT(i.area.size && i.area.size % NOTIFY_BYTES == 0);
	EXPECT(i.area.offset + i.area.size <= i.info.size);
	return i.area.size;
}

static inline uint8_t *map_bells(size_t first, size_t bytes, int flags)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, device,
		       bar_at + BAR_NOTIFY + first);

	return p == MAP_FAILED ? NULL : p;
}

static void notify(int i)
{
	if (bells)
		*(volatile uint16_t *)(bells + i * NOTIFY_BYTES) = i;
	else
		put(bar_at + BAR_NOTIFY + i * NOTIFY_BYTES, i, 2);
}

static void attach(const char *uuid)
{
	char path[256], link[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s/iommu_group", uuid);
	n = readlink(path, link, sizeof(link) - 1);
	EXPECT(n > 0);
	link[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	EXPECT(container >= 0);
	group = open(path, O_RDWR | O_CLOEXEC);
	EXPECT(group >= 0);
	EXPECT(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	EXPECT(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(memory != MAP_FAILED);
	map(true);
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, uuid);
	EXPECT(device >= 0);
	config_at = region(VFIO_PCI_CONFIG_REGION_INDEX);
	bar_at = region(VFIO_PCI_BAR0_REGION_INDEX);
	bells_bytes = mappable();
	for (int i = 0; i <= QUEUES; i++)
		EXPECT((events[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0);
}

static int set_irqs(uint32_t index, uint32_t flags, uint32_t start, uint32_t count, const int *fds)
{
	char buf[sizeof(struct vfio_irq_set) + 16 * sizeof(int)] = {};
	struct vfio_irq_set *set = (struct vfio_irq_set *)buf;

	set->argsz = sizeof(buf);
	set->flags = flags;
	set->index = index;
	set->start = start;
	set->count = count;
	if (fds)
		memcpy(set->data, fds, (count < 16 ? count : 16) * sizeof(int));
	return ioctl(device, VFIO_DEVICE_SET_IRQS, set) ? errno : 0;
}

static void setup_queue(int i)
{
	struct queue *q = &queues[i];

	memset(q, 0, sizeof(*q));
	q->at = RINGS * (i + 1 + place * (QUEUES + 1));
	memset(memory + q->at, 0, RINGS);
	vring_init(&q->ring, SIZE, memory + q->at, 4096);
	SET(queue_select, i);
	EXPECT(GET(queue_size) >= SIZE);
	SET(queue_size, SIZE);
	SET(queue_msix_vector, i + 1);
	EXPECT(GET(queue_msix_vector) == (uint64_t)i + 1);
	SET(queue_desc_lo, BASE + q->at);
	SET(queue_desc_hi, (BASE + q->at) >> 32);
	SET(queue_avail_lo, BASE + q->at + SIZE * 16);
	SET(queue_avail_hi, 0);
	SET(queue_used_lo, BASE + ((uint8_t *)q->ring.used - memory));
	SET(queue_used_hi, 0);
	SET(queue_enable, 1);
	EXPECT(GET(queue_enable) == 1);
}

/* Up to DRIVER_OK, as the specification says. */
static void start(uint64_t want)
{
	uint64_t offered;

	EXPECT(get(config_at, 2) == 0x1af4);
	put(config_at + 4, 0x406, 2);	/* memory, bus master, no INTA */
	SET(device_status, 0);
	EXPECT(!GET(device_status));
	SET(device_status, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	SET(device_status, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	SET(device_feature_select, 0);
	offered = GET(device_feature);
	SET(device_feature_select, 1);
	offered |= GET(device_feature) << 32;
	features = offered & want;
	SET(guest_feature_select, 0);
	SET(guest_feature, features);
	SET(guest_feature_select, 1);
	SET(guest_feature, features >> 32);
	SET(device_status, 0xb);
	EXPECT(GET(device_status) == 0xb);
	EXPECT(!set_irqs(VFIO_PCI_MSIX_IRQ_INDEX,
			 VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 0, QUEUES + 1,
			 events));
	SET(msix_config, 0);
	nr_queues = GET(num_queues);
	EXPECT(nr_queues >= QUEUES);
	for (int i = 0; i < QUEUES; i++)
		setup_queue(i);
	SET(device_status, 0xf);
	EXPECT(GET(device_status) == 0xf);
}

#define ALL_FEATURES (~0ull)

/* --- requests ----------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static void publish(int i, uint16_t head)
{
	struct queue *q = &queues[i];

	q->ring.avail->ring[q->avail++ % SIZE] = head;
	__atomic_store_n(&q->ring.avail->idx, q->avail, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	notify(i);
}

/* Wait for an answer; false when there is none in @ms. */
static bool answered(int i, unsigned int ms)
{
	struct queue *q = &queues[i];
	uint64_t end = now_ms() + ms, count;

	vring_used_event(&q->ring) = q->used;	/* an interrupt for the next one */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while (__atomic_load_n(&q->ring.used->idx, __ATOMIC_ACQUIRE) == q->used) {
		struct pollfd p = { .fd = events[i + 1], .events = POLLIN };

		if (now_ms() > end)
			return false;
		poll(&p, 1, 100);
		if (read(events[i + 1], &count, 8) < 0)
			EXPECT(errno == EAGAIN);
	}
	q->used++;
	return true;
}

static void describe(struct vring_desc *d, uint64_t at, uint32_t len, uint16_t flags, uint16_t next)
{
	*d = (struct vring_desc) { .addr = BASE + at, .len = len, .flags = flags, .next = next };
}

static unsigned int patience = 20000;	/* ms */

/*
 * @out bytes at DATA, @in bytes (with the status) behind them at DATA + 2 MiB; in
 * pieces of up to @piece. The status, or -1 when there is no answer.
 */
static int request(int i, uint32_t out, uint32_t in, uint32_t piece)
{
	struct vring_desc *d = queues[i].ring.desc;
	uint32_t at = DATA, n = 0;
	uint8_t *status = memory + DATA + (2 << 20) + in - 1;

	*status = 0xee;
	for (int write = 0; write < 2; write++) {
		uint32_t left = write ? in : out;

		at = DATA + (write ? 2 << 20 : 0);
		while (left) {
			uint32_t len = left < piece ? left : piece;

			EXPECT(n < SIZE);
			describe(&d[n], at, len, (write ? VRING_DESC_F_WRITE : 0) |
				 VRING_DESC_F_NEXT, n + 1);
			n++;
			at += len;
			left -= len;
		}
	}
	d[n - 1].flags &= ~VRING_DESC_F_NEXT;
	publish(i, 0);
	return answered(i, patience) ? *status : -1;
}

static struct virtio_pim_hdr *header(uint32_t type, uint32_t rank)
{
	struct virtio_pim_hdr *h = (void *)(memory + DATA);

	*h = (struct virtio_pim_hdr) { .type = type, .rank = rank };
	return h;
}

static int control(uint32_t type, uint32_t rank)
{
	header(type, rank);
	return request(0, 16, 1, 4096);
}

static int commit_to(uint32_t rank, uint64_t word, uint64_t *answer)
{
	uint64_t *words = (void *)(header(VIRTIO_PIM_T_COMMIT, rank) + 1);
	int status;

	memset(words, 0, 64);
	words[0] = word;
	status = request(1, 16 + 64, 64 + 1, 40);
	if (answer)
		memcpy(answer, memory + DATA + (2 << 20), 8);
	return status;
}

static inline int commit(uint64_t word, uint64_t *answer)
{
	return commit_to(0, word, answer);
}

static int transfer_of(uint32_t rank, bool write, uint64_t mask, uint32_t offset, uint32_t bytes,
		       uint32_t piece)
{
	struct virtio_pim_xfer *x = (void *)(header(write ? VIRTIO_PIM_T_WRITE : VIRTIO_PIM_T_READ,
						    rank) + 1);
	uint32_t total = bytes * __builtin_popcountll(mask);

	*x = (struct virtio_pim_xfer) { .mask = mask, .offset = offset, .bytes = bytes };
	return request(1, 32 + (write ? total : 0), 1 + (write ? 0 : total), piece);
}

static inline int transfer(bool write, uint64_t mask, uint32_t offset, uint32_t bytes,
			   uint32_t piece)
{
	return transfer_of(0, write, mask, offset, bytes, piece);
}

/* What a program can be told to do: PROGRAM UUID NAME [ARGUMENT]... */
struct action {
	const char *name;
	int arguments;		/* at least */
	int (*run)(char **argv);
};

static int run_action(const struct action *actions, size_t n, int argc, char **argv)
{
	if (argc < 3)
		return 2;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(actions[i].name, argv[2]) || argc - 3 < actions[i].arguments)
			continue;
		attach(argv[1]);
		return actions[i].run(argv + 3);
	}
	fprintf(stderr, "%s: no action %s\n", argv[0], argv[2]);
	return 2;
}

#endif
