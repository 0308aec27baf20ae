// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A driver of a virtio-pim device in user space, through VFIO: it does what a
 * guest's driver does, without a guest, and what none should do.
 *
 * usage: vm UUID ACTION [ARGUMENT]...
 *
 * Exit status 0 as expected, 1 not, 2 usage. See the table at the end.
 */
#include <pthread.h>

#include "vm_driver.h"

/* --- actions -------------------------------------------------------------------------- */

static int act_info(char **argv)
{
	struct virtio_pim_info *info = (void *)(memory + DATA + (2 << 20));
	int status;

	(void)argv;
	start(ALL_FEATURES);
	header(VIRTIO_PIM_T_INFO, 0);
	status = request(0, 16, sizeof(*info) + 1, 4096);
	printf("status %d, %u ranks, %u cis, %u dpus, mram %u\n", status,
	       (uint32_t)get(bar_at + BAR_DEVICE, 4), info->nr_cis, info->nr_dpus_per_ci,
	       info->mram_size);
	return status != VIRTIO_PIM_S_OK;
}

static void work(void)
{
	uint8_t *in = memory + DATA + 32, *out = memory + DATA + (2 << 20);
	uint64_t answer;

	EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK);
	EXPECT(commit(WORD(W_ECHO, 5), &answer) == VIRTIO_PIM_S_OK && answer == ANSWER(~5));
	for (int round = 0; round < 4; round++) {
		uint32_t bytes = 4096 - 8 * round, piece = round ? 4097 * round : 1 << 20;

		for (uint32_t i = 0; i < 16 * bytes; i++)
			in[i] = i * 7 + i / 4096 + round;
		EXPECT(transfer(true, 0x8888888888888888ull, 8 * round, bytes, piece) ==
		       VIRTIO_PIM_S_OK);
		memset(out, 0, 16 * bytes);
		EXPECT(transfer(false, 0x8888888888888888ull, 8 * round, bytes, piece) ==
		       VIRTIO_PIM_S_OK);
		EXPECT(!memcmp(in, out, 16 * bytes));
	}
	EXPECT(control(VIRTIO_PIM_T_CLOSE, 0) == VIRTIO_PIM_S_OK);
}

/* With each mixture of ring features. */
static int act_work(char **argv)
{
	(void)argv;
	for (uint64_t mix = 0; mix < 4; mix++) {
		start(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_ACCESS_PLATFORM |
		      (mix & 1) << VIRTIO_RING_F_EVENT_IDX |
		      (mix >> 1) << VIRTIO_RING_F_INDIRECT_DESC);
		work();
	}
	return 0;
}

/* Requests that are wrong: each has its status, and the next one is served. */
static int act_wrong(char **argv)
{
	struct virtio_pim_hdr *h = (void *)(memory + DATA);
	struct virtio_pim_xfer *x = (void *)(h + 1);
	uint64_t answer;

	(void)argv;
	start(ALL_FEATURES);
	EXPECT(commit(WORD(W_ECHO, 1), NULL) == VIRTIO_PIM_S_NOTOPEN);
	EXPECT(control(VIRTIO_PIM_T_OPEN, 64) == VIRTIO_PIM_S_INVAL);
	EXPECT(control(99, 0) == VIRTIO_PIM_S_UNSUPP);
	EXPECT(control(VIRTIO_PIM_T_COMMIT, 0) == VIRTIO_PIM_S_UNSUPP);
	header(VIRTIO_PIM_T_INFO, 0);
	EXPECT(request(0, 16, 17, 4096) == VIRTIO_PIM_S_INVAL);	/* no room */
	EXPECT(request(0, 15, 200, 4096) == VIRTIO_PIM_S_INVAL);	/* half a header */
	header(VIRTIO_PIM_T_OPEN, 0)->reserved = 1;
	EXPECT(request(0, 16, 1, 4096) == VIRTIO_PIM_S_INVAL);
	EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK);
	EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK);	/* again: a clean one */
	header(VIRTIO_PIM_T_OPEN, 0);
	EXPECT(request(1, 16, 1, 4096) == VIRTIO_PIM_S_UNSUPP);
	EXPECT(transfer(true, 0, 0, 8, 4096) == VIRTIO_PIM_S_INVAL);
	EXPECT(transfer(true, 1, 4, 8, 4096) == VIRTIO_PIM_S_INVAL);
	EXPECT(transfer(true, 1, 0, 4, 4096) == VIRTIO_PIM_S_INVAL);
	EXPECT(transfer(true, 1, 0, 0, 4096) == VIRTIO_PIM_S_INVAL);
	EXPECT(transfer(true, 1, 0xfffffff8u, 16, 4096) == VIRTIO_PIM_S_INVAL);
	header(VIRTIO_PIM_T_WRITE, 0);
	*x = (struct virtio_pim_xfer) { .mask = 3, .bytes = 64 };
	EXPECT(request(1, 32 + 64, 1, 4096) == VIRTIO_PIM_S_INVAL);	/* data of one only */
	header(VIRTIO_PIM_T_COMMIT, 0);
	EXPECT(request(1, 16, 65, 4096) == VIRTIO_PIM_S_INVAL);
	EXPECT(request(1, 16 + 63, 65, 4096) == VIRTIO_PIM_S_INVAL);
	EXPECT(request(1, 16 + 65 * 64, 65 * 64 + 1, 4096) == VIRTIO_PIM_S_INVAL);
	/* memory that is not there */
	header(VIRTIO_PIM_T_READ, 0);
	*x = (struct virtio_pim_xfer) { .mask = 1, .bytes = 64 };
	describe(&queues[1].ring.desc[0], DATA, 32, VRING_DESC_F_NEXT, 1);
	describe(&queues[1].ring.desc[1], MEMORY, 64, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	describe(&queues[1].ring.desc[2], DATA + 64, 1, VRING_DESC_F_WRITE, 0);
	publish(1, 0);
	EXPECT(answered(1, 20000) && memory[DATA + 64] == VIRTIO_PIM_S_FAULT);
	EXPECT(commit(WORD(W_ECHO, 6), &answer) == VIRTIO_PIM_S_OK && answer == ANSWER(~6));
	/* parts that are longer than the memory is: what is used of them counts */
	header(VIRTIO_PIM_T_READ, 0);
	*x = (struct virtio_pim_xfer) { .mask = 1, .bytes = 64 };
	describe(&queues[1].ring.desc[0], DATA, 0xffffffff, VRING_DESC_F_NEXT, 1);
	describe(&queues[1].ring.desc[1], DATA + 8192, 0xffffffff,
		 VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	describe(&queues[1].ring.desc[2], DATA + 64, 1, VRING_DESC_F_WRITE, 0);
	publish(1, 0);
	EXPECT(answered(1, 20000) && memory[DATA + 64] == VIRTIO_PIM_S_OK);
	x->bytes = 1 << 19;
	describe(&queues[1].ring.desc[1], MEMORY - 4096, 0xffffffff,
		 VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	publish(1, 0);
	EXPECT(answered(1, 20000) && memory[DATA + 64] == VIRTIO_PIM_S_FAULT);
	header(VIRTIO_PIM_T_COMMIT, 0);
	describe(&queues[1].ring.desc[1], DATA + 8192, 0xffffffff, VRING_DESC_F_NEXT, 2);
	publish(1, 0);
	EXPECT(answered(1, 20000) && memory[DATA + 64] == VIRTIO_PIM_S_INVAL);
	EXPECT(commit(WORD(W_ECHO, 7), &answer) == VIRTIO_PIM_S_OK && answer == ANSWER(~7));
	return 0;
}

static void stops(int line)
{
	uint64_t end = now_ms() + 20000, count;

	while (!(GET(device_status) & VIRTIO_CONFIG_S_NEEDS_RESET) && now_ms() < end)
		usleep(1000);
	expect(GET(device_status) & VIRTIO_CONFIG_S_NEEDS_RESET, "the queue stops", line);
	while (read(events[0], &count, 8) < 0 && now_ms() < end)
		usleep(1000);
	expect(now_ms() < end, "a configuration interrupt", line);
	start(ALL_FEATURES);
}

/* Rings and chains that make no sense stop the queue until a reset. */
static int act_broken(char **argv)
{
	struct vring_desc *d, *table = (void *)(memory + DATA + 4096);

	(void)argv;
	start(ALL_FEATURES);
	d = queues[1].ring.desc;
#define BREAK(...) do { __VA_ARGS__; publish(1, 0); stops(__LINE__); } while (0)
	BREAK(describe(d, DATA, 16, 0, 0));				/* nowhere to answer */
	BREAK(describe(d, DATA, 16, VRING_DESC_F_NEXT, 0));		/* a loop */
	BREAK(describe(d, DATA, 16, VRING_DESC_F_NEXT, SIZE));		/* outside */
	BREAK(describe(d, DATA, 16, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1),
	      describe(d + 1, DATA, 16, 0, 0));				/* read behind write */
	BREAK(describe(d, MEMORY, 16, VRING_DESC_F_WRITE, 0));		/* status nowhere */
	BREAK(describe(d, -BASE - 8, 16, VRING_DESC_F_WRITE, 0));	/* around the end */
	BREAK(describe(d, DATA, 0xffffffff, VRING_DESC_F_WRITE, 0));	/* status nowhere */
	BREAK(describe(d, DATA, 16, VRING_DESC_F_NEXT, 1),
	      describe(d + 1, DATA, 16, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2),
	      describe(d + 2, DATA, 16, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1));
	BREAK(describe(d, DATA, 0xfffffff0, VRING_DESC_F_INDIRECT, 0));
	BREAK(describe(d, DATA, 0, VRING_DESC_F_INDIRECT, 0));
	BREAK(describe(d, DATA, 17, VRING_DESC_F_INDIRECT, 0));
	BREAK(describe(d, DATA, 16 * (SIZE + 1), VRING_DESC_F_INDIRECT, 0));
	BREAK(describe(d, MEMORY, 32, VRING_DESC_F_INDIRECT, 0));
	BREAK(describe(d, DATA + 4096, 32, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1));
	BREAK(describe(d, DATA + 4096, 32, VRING_DESC_F_INDIRECT, 0),
	      describe(table, DATA, 16, VRING_DESC_F_INDIRECT, 0));	/* one in another */
	BREAK(describe(d, DATA + 4096, 32, VRING_DESC_F_INDIRECT, 0),
	      describe(table, DATA, 16, VRING_DESC_F_NEXT, 2));
	BREAK(describe(d, DATA + 4096, 32, VRING_DESC_F_INDIRECT, 0),
	      describe(table, DATA, 16, VRING_DESC_F_NEXT, 0));
	queues[1].avail += SIZE + 1;
	publish(1, 0);
	stops(__LINE__);
	queues[1].ring.avail->ring[0] = SIZE;
	publish(1, SIZE);
	stops(__LINE__);
	map(false);
	publish(1, 0);
	map(true);	/* whether it looked before or after: it goes on, or stops */
	start(ALL_FEATURES);
	map(false);
	publish(1, 0);
	usleep(300000);
	map(true);
	stops(__LINE__);
	work();
	return 0;
}

/* Keep rank 0 open until a line comes, or the end. */
static int act_hold(char **argv)
{
	char c;

	(void)argv;
	start(ALL_FEATURES);
	EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK);
	printf("holding\n");
	fflush(stdout);
	while (read(0, &c, 1) < 0 && errno == EINTR)
		;
	return 0;
}

/* Is it all of one value, 4 KiB of each DPU of an interface? */
static bool all(uint8_t value)
{
	uint8_t *out = memory + DATA + (2 << 20);

	memset(out, ~value, 8 * 4096);
	EXPECT(transfer(false, 0x0101010101010101ull, 0, 4096, 4096) == VIRTIO_PIM_S_OK);
	for (uint32_t i = 0; i < 8 * 4096; i++) {
		if (out[i] != value)
			return false;
	}
	return true;
}

/* What a guest left in a rank is there when it opens it again; not after a reset. */
static int act_kept(char **argv)
{
	(void)argv;
	start(ALL_FEATURES);
	EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK && all(0));
	memset(memory + DATA + 32, 0x5a, 8 * 4096);
	EXPECT(transfer(true, 0x0101010101010101ull, 0, 4096, 4096) == VIRTIO_PIM_S_OK);
	EXPECT(control(VIRTIO_PIM_T_CLOSE, 0) == VIRTIO_PIM_S_OK);
	EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK && all(0x5a));
	EXPECT(control(VIRTIO_PIM_T_CLOSE, 0) == VIRTIO_PIM_S_OK);
	start(ALL_FEATURES);
	EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK && all(0));
	memset(memory + DATA + 32, 0x5a, 8 * 4096);
	EXPECT(transfer(true, 0x0101010101010101ull, 0, 4096, 4096) == VIRTIO_PIM_S_OK);
	EXPECT(control(VIRTIO_PIM_T_CLOSE, 0) == VIRTIO_PIM_S_OK);
	return 0;
}

/*
 * Lines from standard input, with rank 0 open throughout: put VALUE, is VALUE (of
 * act_kept's bytes, and kept by interface 0), status OP STATUS ARGUMENT, reset.
 */
static int act_lines(char **argv)
{
	unsigned int a, b, c;
	char line[128], what[16];
	uint64_t answer;

	(void)argv;
	patience = 600000;
	start(ALL_FEATURES);
	EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK);
	EXPECT(all(0) && commit(WORD(W_GET, 0), &answer) == VIRTIO_PIM_S_OK &&
	       answer == ANSWER(0));
	printf("open\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		a = 0;
		b = 0;
		c = 0;
		if (sscanf(line, "%15s %u %u %u", what, &a, &b, &c) < 1)
			return 2;
		if (!strcmp(what, "put")) {
			memset(memory + DATA + 32, a, 8 * 4096);
			EXPECT(transfer(true, 0x0101010101010101ull, 0, 4096, 4096) ==
			       VIRTIO_PIM_S_OK);
			EXPECT(commit(WORD(W_SET, a), NULL) == VIRTIO_PIM_S_OK);
		} else if (!strcmp(what, "is")) {
			EXPECT(all(a));
			EXPECT(commit(WORD(W_GET, 0), &answer) == VIRTIO_PIM_S_OK &&
			       answer == ANSWER(a));
		} else if (!strcmp(what, "status")) {
			EXPECT(commit(WORD(a, c), NULL) == (int)b);
		} else if (!strcmp(what, "reset")) {
			start(ALL_FEATURES);
		} else {
			return 2;
		}
		printf("done\n");
		fflush(stdout);
	}
	return 0;
}

/* OPEN ends with this status. */
static int act_open(char **argv)
{
	int status;

	start(ALL_FEATURES);
	status = control(VIRTIO_PIM_T_OPEN, 0);
	printf("status %d\n", status);
	return status != atoi(argv[0]);
}

/* A command of words.h, and the status it ends with; then all requests do. */
static int act_command(char **argv)
{
	int status;

	start(ALL_FEATURES);
	EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK);
	status = commit(WORD(atoi(argv[0]), 0), NULL);
	printf("status %d\n", status);
	if (status != atoi(argv[1]))
		return 1;
	EXPECT(transfer(false, 1, 0, 8, 4096) == status);
	return 0;
}

/* A request that is never answered does not keep a reset waiting, nor the end. */
static int act_stuck(char **argv)
{
	uint64_t begin, took;

	start(ALL_FEATURES);
	EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK);
	memset(header(VIRTIO_PIM_T_COMMIT, 0) + 1, 0, 64);
	*(uint64_t *)(header(VIRTIO_PIM_T_COMMIT, 0) + 1) = WORD(W_HANG, 0);
	describe(&queues[1].ring.desc[0], DATA, 80, VRING_DESC_F_NEXT, 1);
	describe(&queues[1].ring.desc[1], DATA + (2 << 20), 65, VRING_DESC_F_WRITE, 0);
	publish(1, 0);
	EXPECT(!answered(1, 500));
	begin = now_ms();
	if (!strcmp(argv[0], "reset"))
		SET(device_status, 0);
	else if (!strcmp(argv[0], "device-reset"))
		EXPECT(!ioctl(device, VFIO_DEVICE_RESET));
	else
		close(device);
	took = now_ms() - begin;
	printf("took %llu ms\n", (unsigned long long)took);
	return took > (uint64_t)atoi(argv[1]);
}

/* INTA: raised until the ISR is read and the VMM has unmasked it. */
static int act_intx(char **argv)
{
	const uint32_t trigger = VFIO_IRQ_SET_ACTION_TRIGGER;
	uint64_t count, end;

	(void)argv;
	start(1ull << VIRTIO_F_VERSION_1);
	EXPECT(!set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE | trigger, 0, 0, NULL));
	EXPECT(!set_irqs(VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD | trigger, 0, 1,
			 &events[0]));
	for (int i = 0; i < 3; i++) {
		EXPECT(control(VIRTIO_PIM_T_CLOSE, 0) == VIRTIO_PIM_S_OK);
		end = now_ms() + 5000;
		while (read(events[0], &count, 8) < 0 && now_ms() < end)
			usleep(1000);
		EXPECT(now_ms() < end && count == 1);
		EXPECT(!set_irqs(VFIO_PCI_INTX_IRQ_INDEX,
				 VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, NULL));
		EXPECT(read(events[0], &count, 8) == 8);	/* still raised */
		EXPECT(get(bar_at + BAR_ISR, 1) == 1 && !get(bar_at + BAR_ISR, 1));
		EXPECT(!set_irqs(VFIO_PCI_INTX_IRQ_INDEX,
				 VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, NULL));
		EXPECT(read(events[0], &count, 8) < 0);
	}
	return 0;
}

/* Is there a doorbell? */
static int act_bell(char **argv)
{
	printf("%zu bytes\n", bells_bytes);
	return !!bells_bytes != !!atoi(argv[0]);
}

/*
 * Notifications as memory: with pauses that are shorter and longer than a thread
 * waits for the next one, and mappings that come and go. Each request is answered.
 */
static int act_ring(char **argv)
{
	unsigned int rounds = atoi(argv[0]);
	uint64_t answer;

	EXPECT(bells_bytes);
	/* not more than there is, not other registers, not of our own */
	EXPECT(!map_bells(0, bells_bytes + 4096, MAP_SHARED));
	EXPECT(!map_bells(bells_bytes, 4096, MAP_SHARED));
	EXPECT(!map_bells(-4096, 4096, MAP_SHARED));
	EXPECT(!map_bells(0, 4096, MAP_PRIVATE));
	bells = map_bells(0, bells_bytes, MAP_SHARED);
	EXPECT(bells);
	start(ALL_FEATURES);
	nr_queues = GET(num_queues);
	EXPECT(bells_bytes == nr_queues * NOTIFY_BYTES);
	EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK);
	for (unsigned int i = 0; i < rounds; i++) {
		if (i % 64 == 63) {
			munmap(bells, bells_bytes);
			bells = map_bells(0, bells_bytes, MAP_SHARED);
			EXPECT(bells);
		}
		if (i % 100 == 99) {		/* and by a call, as QEMU does with INTA */
			uint8_t *kept = bells;

			bells = NULL;
			EXPECT(commit(WORD(W_ECHO, i), &answer) == VIRTIO_PIM_S_OK);
			bells = kept;
		}
		EXPECT(commit(WORD(W_ECHO, i), &answer) == VIRTIO_PIM_S_OK);
		EXPECT(answer == ANSWER(~(uint64_t)i));
		if (i % 3)
			usleep(i % 7 * 100);
	}
	/* queues that do not exist, or are not served, ring in vain */
	SET(device_status, 0);
	memset(bells, 0, bells_bytes);
	start(ALL_FEATURES);
	memset(bells, 0, bells_bytes);
	work();
	munmap(bells, bells_bytes);
	bells = NULL;
	work();
	return 0;
}

/* A register in all widths, also across its end, with what nobody writes. */
static void hammer(uint64_t at)
{
	static const uint64_t values[] = { 0, ~0ull, 0x5a5a5a5a5a5a5a5aull };
	static const size_t widths[] = { 1, 2, 4, 8, 3 };
	uint64_t value;

	for (size_t w = 0; w < 5; w++) {
		for (size_t v = 0; v < 3; v++)
			(void)!pwrite(device, &values[v], widths[w], at);
		(void)!pread(device, &value, widths[w], at);
	}
}

/*
 * All of configuration space and of what is in BAR 0, byte by byte: what cannot be
 * written stays as it was, and the device works afterwards.
 */
static int act_registers(char **argv)
{
	static const struct { uint32_t from, to; } parts[] = {
		{ BAR_COMMON, 0x400 }, { 0xff8, 0x1008 }, { 0x2000, 0x2440 }, { 0x2ff0, 0x3020 },
		{ 0x3ff0, 0x4010 }, { 0x7fff0, 0x80010 },
	};
	uint8_t before[256], after[256];
	unsigned int calls = 0;

	(void)argv;
	start(ALL_FEATURES);
	EXPECT(pread(device, before, 256, config_at) == 256);
	for (uint32_t at = 0; at < 260; at++, calls += 20) {
		hammer(config_at + at);
		EXPECT(pread(device, after, 256, config_at) == 256);
		EXPECT(!memcmp(before, after, 4) && !memcmp(before + 6, after + 6, 6));
		EXPECT(!memcmp(before + 0x2c, after + 0x2c, 16));
		EXPECT(!memcmp(before + 0x3d, after + 0x3d, 0x84 + 2 - 0x3d));
		EXPECT(!memcmp(before + 0x88, after + 0x88, 256 - 0x88));
	}
	EXPECT(pwrite(device, before, 256, config_at) == 256);
	EXPECT(pread(device, after, 256, config_at) == 256);
	EXPECT(!memcmp(before, after, 256));
	for (size_t p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
		for (uint32_t at = parts[p].from; at < parts[p].to; at++, calls += 20)
			hammer(bar_at + at);
	}
	for (uint32_t i = 0; i < 65; i++, calls += 20)
		hammer(bar_at + BAR_NOTIFY + i * NOTIFY_BYTES);
	/* the table and the pending bits are the VMM's: nothing is stored here */
	EXPECT(!get(bar_at + 0x2000, 8) && !get(bar_at + 0x3000, 8));
	SET(device_status, 0);
	for (uint32_t v = nr_queues + 1; v < 0x10000; v = v * 2 + 1) {
		SET(msix_config, v);
		EXPECT(GET(msix_config) == 0xffff);
	}
	start(ALL_FEATURES);
	work();
	printf("%u calls\n", calls);
	return 0;
}

static bool moving;

/* What a driver must not do while a queue is in use: all of it is ignored. */
static void *mover(void *arg)
{
	unsigned int *calls = arg;

	while (__atomic_load_n(&moving, __ATOMIC_RELAXED)) {
		SET(queue_select, 1);
		SET(queue_desc_lo, BASE + DATA);
		SET(queue_avail_lo, BASE + DATA + 0x4000);
		SET(queue_used_lo, BASE + DATA + 0x8000);
		SET(queue_size, 2);
		SET(queue_enable, 0);
		SET(queue_enable, 1);
		++*calls;
	}
	return NULL;
}

/* Rings that move, while they are in use and by way of a reset: the old place is left alone. */
static int act_move(char **argv)
{
	unsigned int rounds = atoi(argv[0]), calls = 0;
	uint8_t *old;
	pthread_t thread;
	uint64_t answer;

	for (unsigned int i = 0; i < rounds; i++) {
		place = i % PLACES;
		start(ALL_FEATURES);
		old = memory + RINGS * (1 + (i + PLACES - 1) % PLACES * (QUEUES + 1));
		memset(old, 0x5a, QUEUES * RINGS);
		EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK);
		moving = true;
		EXPECT(!pthread_create(&thread, NULL, mover, &calls));
		for (unsigned int n = 0; n < 20; n++) {
			EXPECT(commit(WORD(W_ECHO, n), &answer) == VIRTIO_PIM_S_OK);
			EXPECT(answer == ANSWER(~(uint64_t)n));
		}
		__atomic_store_n(&moving, false, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		SET(queue_select, 1);
		EXPECT(GET(queue_desc_lo) == BASE + queues[1].at && GET(queue_size) == SIZE);
		EXPECT(!(GET(device_status) & VIRTIO_CONFIG_S_NEEDS_RESET));
		for (size_t n = 0; n < QUEUES * RINGS; n++)
			EXPECT(old[n] == 0x5a);
	}
	place = 0;
	printf("%u rounds, %u moves\n", rounds, calls);
	return 0;
}

/* All ranks of the device at once, each with contents of its own. */
static int act_many(char **argv)
{
	uint32_t n = atoi(argv[0]), *in = (void *)(memory + DATA + 32);
	uint32_t *out = (void *)(memory + DATA + (2 << 20));
	uint64_t answer;

	start(ALL_FEATURES);
	EXPECT(get(bar_at + BAR_DEVICE, 4) == n);
	for (uint32_t i = 0; i < n; i++)
		EXPECT(control(VIRTIO_PIM_T_OPEN, i) == VIRTIO_PIM_S_OK);
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t w = 0; w < 2048; w++)
			in[w] = i << 16 | w;
		EXPECT(transfer_of(i, true, 0x81, 0, 4096, 4096) == VIRTIO_PIM_S_OK);
		EXPECT(commit_to(i, WORD(W_ECHO, i), &answer) == VIRTIO_PIM_S_OK);
		EXPECT(answer == ANSWER(~(uint64_t)i));
	}
	for (uint32_t i = 0; i < n; i++) {
		EXPECT(transfer_of(i, false, 0x81, 0, 4096, 4096) == VIRTIO_PIM_S_OK);
		for (uint32_t w = 0; w < 2048; w++)
			EXPECT(out[w] == (i << 16 | w));
	}
	EXPECT(control(VIRTIO_PIM_T_OPEN, n) == VIRTIO_PIM_S_INVAL);
	printf("all open\n");
	fflush(stdout);
	if (argv[1] && !strcmp(argv[1], "hold"))
		pause();
	for (uint32_t i = 0; i < n; i++)
		EXPECT(control(VIRTIO_PIM_T_CLOSE, i) == VIRTIO_PIM_S_OK);
	return 0;
}

/* Used rightly, again and again, until a line comes. */
static int act_beside(char **argv)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };
	unsigned int rounds = 0;

	(void)argv;
	start(ALL_FEATURES);
	printf("working\n");
	fflush(stdout);
	for (; poll(&p, 1, 0) <= 0; rounds++)
		work();
	EXPECT(!(GET(device_status) & VIRTIO_CONFIG_S_NEEDS_RESET));
	printf("%u rounds\n", rounds);
	return 0;
}

/* Get into a state, say so, and stay there. */
static int act_state(char **argv)
{
	start(ALL_FEATURES);
	if (bells_bytes)
		bells = map_bells(0, bells_bytes, MAP_SHARED);
	if (!strcmp(argv[0], "opening")) {
		printf("opening\n");
		fflush(stdout);
		control(VIRTIO_PIM_T_OPEN, 0);
		pause();
	}
	EXPECT(control(VIRTIO_PIM_T_OPEN, 0) == VIRTIO_PIM_S_OK);
	if (!strcmp(argv[0], "stuck")) {
		memset(header(VIRTIO_PIM_T_COMMIT, 0) + 1, 0, 64);
		*(uint64_t *)(header(VIRTIO_PIM_T_COMMIT, 0) + 1) = WORD(W_HANG, 0);
		describe(&queues[1].ring.desc[0], DATA, 80, VRING_DESC_F_NEXT, 1);
		describe(&queues[1].ring.desc[1], DATA + (2 << 20), 65, VRING_DESC_F_WRITE, 0);
		publish(1, 0);
		EXPECT(!answered(1, 100));
	} else if (!strcmp(argv[0], "broken")) {
		describe(queues[1].ring.desc, DATA, 16, 0, 0);
		publish(1, 0);
		while (!(GET(device_status) & VIRTIO_CONFIG_S_NEEDS_RESET))
			usleep(1000);
	}
	printf("%s\n", argv[0]);
	fflush(stdout);
	while (!strcmp(argv[0], "busy"))
		transfer(rand() % 2, 0xff, 0, 65536, 16384);
	pause();
	return 0;
}

/* --- fuzzer ------------------------------------------------------------------------------- */

static uint64_t state;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t odd(void)
{
	static const uint64_t edges[] = {
		0, 1, 2, 4, 7, 8, 15, 16, 64, 65, 255, 256, 4096, 65535, 65536, 1 << 20,
		0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, 1ull << 63, ~0ull, BASE,
		BASE + MEMORY, BASE + MEMORY - 1
	};

	return rnd() % 3 ? edges[rnd() % 25] + rnd() % 3 - 1 : rnd();
}

static void fuzz_register(void)
{
	uint64_t value = odd(), at;
	size_t bytes = 1 + rnd() % 12;
	uint8_t buf[16] = {};
	bool config = rnd() % 3 == 0;

	memcpy(buf, &value, 8);
	at = config ? config_at + rnd() % 260 : bar_at + rnd() % (rnd() % 2 ? 64 : 0x80008);
	if (rnd() % 16 == 0)
		at = odd();
	if (rnd() % 2)
		(void)!pwrite(device, buf, bytes, at);
	else
		(void)!pread(device, buf, bytes, at);
}

static void fuzz_ring(void)
{
	struct queue *q = &queues[rnd() % QUEUES];

	switch (rnd() % 6) {
	case 0:
		q->ring.avail->idx = rnd() % 4 ? q->ring.avail->idx + rnd() % 4 : odd();
		break;
	case 1:
		q->ring.avail->ring[rnd() % SIZE] = rnd() % 4 ? rnd() % SIZE : odd();
		break;
	case 2:
		q->ring.avail->flags = rnd();
		break;
	case 3:
		vring_used_event(&q->ring) = rnd();
		break;
	default:
		q->ring.desc[rnd() % SIZE] = (struct vring_desc) {
			.addr = rnd() % 8 ? BASE + rnd() % MEMORY : odd(),
			.len = rnd() % 8 ? rnd() % 256 : odd(),
			.flags = rnd() % 16 ? rnd() % 8 : rnd(),
			.next = rnd() % 8 ? rnd() % SIZE : odd(),
		};
	}
	notify(rnd() % QUEUES);
}

/* A chain that is well-formed, with a request that may be anything. */
static void fuzz_request(void)
{
	static const uint32_t types[] = { 1, 2, 3, 4, 16, 17, 18, 19, 0, 5 };
	int i = rnd() % QUEUES;
	struct queue *q = &queues[i];
	struct virtio_pim_hdr *h = header(types[rnd() % 10], rnd() % 3);
	struct virtio_pim_xfer *x = (void *)(h + 1);

	/* not the words that make the tests' provider fail */
	for (int n = 0; n < 16; n++)
		((uint64_t *)x)[n] = odd() & 0x0000ffffffffffffull;
	if (rnd() % 4)
		*x = (struct virtio_pim_xfer) {
			.mask = odd(), .offset = rnd() % 4096 * 8, .bytes = rnd() % 512 * 8
		};
	if (rnd() % 16 == 0)
		((uint32_t *)h)[rnd() % 8] = odd();
	describe(&q->ring.desc[0], DATA, rnd() % 4 ? 32 : rnd() % 4096, VRING_DESC_F_NEXT, 1);
	describe(&q->ring.desc[1], DATA + 8192, rnd() % 65536, VRING_DESC_F_NEXT |
		 (rnd() % 2 ? VRING_DESC_F_WRITE : 0), 2);
	describe(&q->ring.desc[2], DATA + (2 << 20), 1 + rnd() % 4096, VRING_DESC_F_WRITE, 0);
	publish(i, 0);
}

static void fuzz_irqs(void)
{
	int fds[16];

	for (int n = 0; n < 16; n++)
		fds[n] = rnd() % 4 ? events[rnd() % (QUEUES + 1)] : (int)odd();
	set_irqs(rnd() % 6, rnd() % 64, rnd() % 8, rnd() % 8, fds);
}

static int act_fuzz(char **argv)
{
	uint32_t calls = strtoul(argv[1], NULL, 0);
	unsigned int starts = 0;

	state = strtoull(argv[0], NULL, 0) * 2654435761u + 88172645463325252ull;
	if (bells_bytes && rnd() % 4)
		bells = map_bells(0, bells_bytes, MAP_SHARED);
	for (uint32_t n = 0; n < calls; n++) {
		/* Whatever happened: it works after a reset. */
		if (n % 400 == 0 ||
		    (n % 16 == 0 && GET(device_status) & VIRTIO_CONFIG_S_NEEDS_RESET)) {
			set_irqs(VFIO_PCI_INTX_IRQ_INDEX,
				 VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, NULL);
			start(ALL_FEATURES);
			EXPECT(control(VIRTIO_PIM_T_CLOSE, 0) == VIRTIO_PIM_S_OK);
			starts++;
		}
		switch (rnd() % 64) {
		case 0:
			EXPECT(!ioctl(device, VFIO_DEVICE_RESET));
			break;
		case 1:
			map(false);
			usleep(rnd() % 2000);
			map(true);
			break;
		case 2: case 3:
			fuzz_irqs();
			break;
		case 4 ... 15:
			fuzz_register();
			break;
		case 16 ... 31:
			fuzz_ring();
			break;
		default:
			fuzz_request();
		}
	}
	start(ALL_FEATURES);
	work();
	printf("%u calls, %u starts\n", calls, starts);
	return 0;
}

static const struct action actions[] = {
	{ "info", 0, act_info },
	{ "work", 0, act_work },
	{ "wrong", 0, act_wrong },
	{ "broken", 0, act_broken },
	{ "intx", 0, act_intx },
	{ "bell", 1, act_bell },		/* 0|1 */
	{ "ring", 1, act_ring },		/* ROUNDS */
	{ "registers", 0, act_registers },
	{ "move", 1, act_move },		/* ROUNDS */
	{ "many", 1, act_many },		/* RANKS [hold] */
	{ "beside", 0, act_beside },
	{ "state", 1, act_state },		/* idle|opening|stuck|broken|busy */
	{ "hold", 0, act_hold },
	{ "kept", 0, act_kept },
	{ "lines", 0, act_lines },
	{ "open", 1, act_open },		/* STATUS */
	{ "command", 2, act_command },		/* OP STATUS */
	{ "stuck", 2, act_stuck },		/* reset|device-reset|close MS */
	{ "fuzz", 2, act_fuzz },		/* SEED CALLS */
};

int main(int argc, char **argv)
{
	return run_action(actions, sizeof(actions) / sizeof(actions[0]), argc, argv);
}
