// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client of /dev/dpu_rankN, as the tests need it.
 *
 * usage: rank DEVICE ACTION [ARGUMENT]...
 *
 * Prints what it saw; exit status 0 as expected, 1 not, 2 usage. See the table
 * at the end for the actions.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <annex/dpu.h>

#include "words.h"

static const char *device;
static int fd;
static uint32_t mram_size = 1 << 20, nr_dpus = 64;

static void expect(bool ok, const char *what, int line)
{
	if (ok)
		return;
	printf("line %d: not as expected: %s (errno %d %s)\n", line, what, errno, strerror(errno));
	exit(1);
}

#define EXPECT(cond) expect(cond, #cond, __LINE__)

static int try(unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? errno : 0;
}

/* One command to interface 0 only. */
static int command(uint64_t word, uint64_t *answer)
{
	uint64_t cmds[8] = { word }, results[8] = {};
	int err = try(DPU_IOC_COMMIT, cmds);

	if (!err)
		err = try(DPU_IOC_UPDATE, results);
	if (answer)
		*answer = results[0];
	return err;
}

static int move(bool write, uint32_t dpu, uint32_t offset, void *buf, uint32_t bytes)
{
	struct dpu_transfer t = { .offset = offset, .bytes = bytes };

	t.ptr[dpu] = (uintptr_t)buf;
	return try(write ? DPU_IOC_WRITE : DPU_IOC_READ, &t);
}

static uint8_t pattern(uint32_t dpu, uint32_t at, uint32_t seed)
{
	return (dpu * 131 + at * 7 + (at >> 8) * 13 + (at >> 16) + seed) | 1;
}

/* --- actions ---------------------------------------------------------------------- */

/* A second opener is refused, unless in debug mode; that ends with the last. */
static int act_exclusive(char **argv)
{
	int second;

	(void)argv;
	second = open(device, O_RDWR);
	EXPECT(second < 0 && errno == EINVAL);
	EXPECT(try(DPU_IOC_DEBUG_MODE, (void *)2) == EINVAL);
	EXPECT(!try(DPU_IOC_DEBUG_MODE, (void *)1));
	second = open(device, O_RDWR);
	EXPECT(second >= 0);
	EXPECT(!try(DPU_IOC_DEBUG_MODE, (void *)0));
	EXPECT(open(device, O_RDWR) < 0 && errno == EINVAL);
	EXPECT(!try(DPU_IOC_DEBUG_MODE, (void *)1));
	close(fd);
	fd = open(device, O_RDWR);
	EXPECT(fd >= 0);	/* the second one is still there, and debug mode too */
	close(fd);
	close(second);
	fd = open(device, O_RDWR);
	EXPECT(fd >= 0);
	EXPECT(open(device, O_RDWR) < 0 && errno == EINVAL);	/* debug mode is gone */
	return 0;
}

/* Calls that are not there. */
static int act_refused(char **argv)
{
	struct dpu_slice slices[8] = {};
	char c;

	EXPECT(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
	EXPECT(read(fd, &c, 1) < 0 && errno == EINVAL);
	EXPECT(write(fd, &c, 1) < 0 && errno == EINVAL);
	EXPECT(try(0x40086406, slices) == EINVAL);
	EXPECT(try(0, slices) == EINVAL);
	EXPECT(try(DPU_IOC_SLICES, (void *)8) == (argv[0] ? EINVAL : EFAULT));
	EXPECT(try(DPU_IOC_SLICES, slices) == (argv[0] ? EINVAL : 0));
	EXPECT(try(DPU_IOC_COMMIT, (void *)8) == EFAULT);
	EXPECT(try(DPU_IOC_UPDATE, (void *)8) == EFAULT);
	EXPECT(try(DPU_IOC_WRITE, (void *)8) == EFAULT);
	EXPECT(try(DPU_IOC_READ, NULL) == EFAULT);
	return 0;
}

/* Commands, one for each interface, and none. */
static int act_commands(char **argv)
{
	uint64_t cmds[8], results[8];

	(void)argv;
	for (int round = 0; round < 100; round++) {
		for (int ci = 0; ci < 8; ci++)
			cmds[ci] = ci == round % 8 ? 0 : WORD(W_SET, round * 8 + ci);
		EXPECT(!try(DPU_IOC_COMMIT, cmds));
		for (int ci = 0; ci < 8; ci++)
			cmds[ci] = WORD(W_GET, 0);
		EXPECT(!try(DPU_IOC_COMMIT, cmds));
		EXPECT(!try(DPU_IOC_UPDATE, results));
		for (int ci = 0; ci < 8; ci++) {
			if (ci != round % 8)
				EXPECT(results[ci] == ANSWER(round * 8 + ci));
		}
	}
	return 0;
}

/* An incomplete answer is asked for again, a complete one is not. */
static int act_pending(char **argv)
{
	uint64_t answer;

	(void)argv;
	EXPECT(!command(WORD(W_PENDING, 77), &answer) && answer == (0x00ff000000000000ull | 77));
	for (int i = 0; i < 4; i++) {
		uint64_t results[8] = {};

		EXPECT(!try(DPU_IOC_UPDATE, results));
		EXPECT(!i || results[0] == ANSWER(77));
	}
	return 0;
}

/* N times: a command and ten updates. */
static int act_updates(char **argv)
{
	uint64_t results[8];

	for (int i = 0; i < atoi(argv[0]); i++) {
		EXPECT(!command(WORD(W_ECHO, i), results) && results[0] == ANSWER(~i));
		for (int j = 0; j < 9; j++)
			EXPECT(!try(DPU_IOC_UPDATE, results) && results[0] == ANSWER(~i));
	}
	return 0;
}

/* Matrices that are wrong. */
static int act_matrix(char **argv)
{
	static char buf[64];
	struct dpu_transfer t = { .offset = 0, .bytes = 8 };
	const unsigned long cmds[] = { DPU_IOC_WRITE, DPU_IOC_READ };

	(void)argv;
	for (int i = 0; i < 2; i++) {
		memset(&t, 0, sizeof(t));
		t.bytes = 8;
		EXPECT(!try(cmds[i], &t));	/* nobody takes part */
		t.ptr[3] = (uintptr_t)buf;
		EXPECT(!try(cmds[i], &t));
		t.bytes = 0;
		EXPECT(!try(cmds[i], &t));
		t.bytes = 7;
		EXPECT(try(cmds[i], &t) == EINVAL);
		t.bytes = 8;
		t.offset = 4;
		EXPECT(try(cmds[i], &t) == EINVAL);
		t.offset = mram_size - 8;
		EXPECT(!try(cmds[i], &t));
		t.offset = mram_size;
		EXPECT(try(cmds[i], &t) == EINVAL);
		t.offset = mram_size - 8;
		t.bytes = 16;
		EXPECT(try(cmds[i], &t) == EINVAL);
		t.offset = 0xfffffff8;
		EXPECT(try(cmds[i], &t) == EINVAL);
		t.offset = 16;
		t.bytes = 0xfffffff8;
		EXPECT(try(cmds[i], &t) == EINVAL);
		t.offset = 0;
		t.bytes = 8;
		t.ptr[4] = 8;
		EXPECT(try(cmds[i], &t) == EFAULT);
		t.ptr[4] = 0xffffffffffff0000ull;
		EXPECT(try(cmds[i], &t) == EFAULT);
		t.ptr[4] = 0xfffffffffffffff8ull;
		EXPECT(try(cmds[i], &t) == EFAULT);
		t.ptr[4] = 0;
		t.ptr[nr_dpus % 64] = (uintptr_t)buf;
		EXPECT(try(cmds[i], &t) == (nr_dpus == 64 ? 0 : EINVAL));
	}
	/* Memory that cannot be written: reads fail, writes do not. */
	memset(&t, 0, sizeof(t));
	t.bytes = 8;
	t.ptr[0] = (uintptr_t)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(!try(DPU_IOC_WRITE, &t));
	EXPECT(try(DPU_IOC_READ, &t) == EFAULT);
	return 0;
}

/* Bytes of each DPU there and back: sizes and user addresses of all kinds. */
static int act_transfer(char **argv)
{
	static const uint32_t sizes[] = { 8, 16, 4088, 4096, 4104, 65536, 131072 + 8, 0 };
	struct dpu_transfer t = {};
	uint8_t *in, *out;

	(void)argv;
	for (int i = 0; i < 8; i++) {
		uint32_t bytes = sizes[i] ?: mram_size, offset = sizes[i] ? 24 * i : 0;
		uint32_t shift = i % 2 ? 3 : 0;
		size_t each = bytes + 4096;

		in = malloc(each * 64);
		out = calloc(64, each);
		EXPECT(in && out);
		memset(in, 0x55, each * 64);
		t.offset = offset;
		t.bytes = bytes;
		for (uint32_t dpu = 0; dpu < 64; dpu++) {
			for (uint32_t at = 0; at < bytes; at++)
				in[dpu * each + shift + at] = pattern(dpu, at, i);
			t.ptr[dpu] = dpu % 5 == 4 ? 0 : (uintptr_t)(in + dpu * each + shift);
		}
		EXPECT(!try(DPU_IOC_WRITE, &t));
		for (uint32_t dpu = 0; dpu < 64; dpu++)
			t.ptr[dpu] = t.ptr[dpu] ? (uintptr_t)(out + dpu * each + 5) : 0;
		EXPECT(!try(DPU_IOC_READ, &t));
		for (uint32_t dpu = 0; dpu < 64; dpu++) {
			if (!t.ptr[dpu])
				continue;
			EXPECT(!memcmp(in + dpu * each + shift, out + dpu * each + 5, bytes));
			EXPECT(!out[dpu * each + 4] && !out[dpu * each + 5 + bytes]);
		}
		free(in);
		free(out);
	}
	return 0;
}

/* What the provider sees in its mapping, and what it writes there. */
static int act_coherent(char **argv)
{
	uint64_t value = 0x0123456789abcdefull, back[2];

	(void)argv;
	for (uint32_t at = 0; at < 65536; at += 4104) {
		EXPECT(!move(true, 0, at, &value, 8));
		EXPECT(!command(WORD(W_COPY, at), NULL));
		EXPECT(!move(false, 0, at, back, 16));
		EXPECT(back[0] == value && back[1] == ~value);
		value = value * 3 + 1;
	}
	return 0;
}

/* Small transfers, a DPU at a time, beside those of all. */
static int act_small(char **argv)
{
	struct dpu_transfer t = { .offset = 512, .bytes = 24 };
	uint8_t buf[24], all[64][24];

	(void)argv;
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t dpu = 0; dpu < nr_dpus; dpu++) {
			for (uint32_t at = 0; at < sizeof(buf); at++)
				buf[at] = pattern(dpu, at, round);
			EXPECT(!move(true, dpu, 512, buf, sizeof(buf)));
		}
		memset(all, 0, sizeof(all));
		for (uint32_t dpu = 0; dpu < nr_dpus; dpu++)
			t.ptr[dpu] = (uintptr_t)all[dpu];
		if (round & 1)
			EXPECT(!try(DPU_IOC_READ, &t));
		for (uint32_t dpu = 0; dpu < nr_dpus && !(round & 1); dpu++)
			EXPECT(!move(false, dpu, 512, all[dpu], sizeof(all[dpu])));
		for (uint32_t dpu = 0; dpu < nr_dpus; dpu++) {
			for (uint32_t at = 0; at < sizeof(buf); at++)
				EXPECT(all[dpu][at] == pattern(dpu, at, round));
		}
	}
	for (uint32_t at = 0; at < 4096; at += 8) {
		memset(buf, (int)at / 8, 8);
		EXPECT(!move(true, 3, 8192 + at, buf, 8));
	}
	for (uint32_t at = 0; at < 4096; at += 8) {
		EXPECT(!move(false, 3, 8192 + at, buf, 8));
		EXPECT(buf[0] == (uint8_t)(at / 8) && buf[7] == buf[0]);
	}
	return 0;
}

/* All of it written: MRAM of every DPU (SIZE each), what is kept per interface. */
static int act_fill(char **argv)
{
	uint32_t bytes = strtoul(argv[0], NULL, 0), seed = strtoul(argv[1], NULL, 0);
	uint64_t cmds[8];
	uint8_t *buf = calloc(1, bytes);

	EXPECT(buf);
	for (uint32_t dpu = 0; dpu < nr_dpus; dpu++) {
		for (uint32_t at = 0; at < bytes; at++)
			buf[at] = pattern(dpu, at, seed);
		EXPECT(!move(true, dpu, 0, buf, bytes));
		EXPECT(!move(true, dpu, mram_size - bytes, buf, bytes));
	}
	for (int ci = 0; ci < 8; ci++)
		cmds[ci] = WORD(W_SET, seed + ci + 1);
	EXPECT(!try(DPU_IOC_COMMIT, cmds));
	return 0;
}

/* All of it is zero. */
static int act_clean(char **argv)
{
	uint64_t cmds[8], results[8];
	uint8_t *buf = calloc(1, mram_size);

	(void)argv;
	EXPECT(buf);
	for (uint32_t dpu = 0; dpu < nr_dpus; dpu++) {
		memset(buf, 0xee, mram_size);
		EXPECT(!move(false, dpu, 0, buf, mram_size));
		for (uint32_t at = 0; at < mram_size; at++) {
			if (buf[at]) {
				printf("DPU %u has 0x%02x at %u\n", dpu, buf[at], at);
				return 1;
			}
		}
	}
	for (int ci = 0; ci < 8; ci++)
		cmds[ci] = WORD(W_GET, 0);
	EXPECT(!try(DPU_IOC_COMMIT, cmds) && !try(DPU_IOC_UPDATE, results));
	for (int ci = 0; ci < 8; ci++)
		EXPECT(results[ci] == ANSWER(0));
	return 0;
}

/* The bytes of act_fill are there. */
static int act_filled(char **argv)
{
	uint32_t bytes = strtoul(argv[0], NULL, 0), seed = strtoul(argv[1], NULL, 0);
	uint8_t *buf = calloc(1, bytes);

	EXPECT(buf);
	for (uint32_t dpu = 0; dpu < nr_dpus; dpu++) {
		EXPECT(!move(false, dpu, 0, buf, bytes));
		for (uint32_t at = 0; at < bytes; at++)
			EXPECT(buf[at] == pattern(dpu, at, seed));
	}
	return 0;
}

/* What act_fill wrote to the interfaces is there. */
static int act_kept(char **argv)
{
	uint32_t seed = strtoul(argv[0], NULL, 0);
	uint64_t cmds[8], results[8];

	for (int ci = 0; ci < 8; ci++)
		cmds[ci] = WORD(W_GET, 0);
	EXPECT(!try(DPU_IOC_COMMIT, cmds) && !try(DPU_IOC_UPDATE, results));
	for (int ci = 0; ci < 8; ci++)
		EXPECT(results[ci] == ANSWER(seed + ci + 1));
	return 0;
}

static int errno_of(const char *name)
{
	static const struct {
		const char *name;
		int value;
	} names[] = { { "0", 0 }, { "EIO", EIO }, { "ENODEV", ENODEV }, { "EINVAL", EINVAL },
		      { "EBUSY", EBUSY } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(names[i].name, name))
			return names[i].value;
	}
	printf("no errno %s here\n", name);
	exit(2);
}

/* One command by number, and the error that it is to end with. */
static int act_command(char **argv)
{
	int err = command(WORD(atoi(argv[0]), argv[2] ? atoi(argv[2]) : 0), NULL);

	printf("ended with %s\n", strerror(err));
	return err != errno_of(argv[1]);
}

/* Work until something fails, then everything must, with the errno given. */
static int act_until(char **argv)
{
	static uint8_t buf[65536];
	int err = 0, want = errno_of(argv[0]);

	printf("working\n");
	fflush(stdout);
	for (uint32_t i = 0; !err; i++) {
		switch (i % 3) {
		case 0:
			err = command(WORD(W_ECHO, i), NULL);
			break;
		case 1:
			err = move(true, i % nr_dpus, 4096, buf, sizeof(buf));
			break;
		case 2:
			err = move(false, i % nr_dpus, 0, buf, sizeof(buf));
		}
	}
	printf("ended with %s\n", strerror(err));
	if (err != want)
		return 1;
	EXPECT(command(WORD(W_ECHO, 1), NULL) == want);
	EXPECT(move(true, 0, 0, buf, 8) == want && move(false, 0, 0, buf, 8) == want);
	return 0;
}

/* A signal with a handler does not end a call early. */
static void on_alarm(int sig)
{
	(void)sig;
}

static int act_signals(char **argv)
{
	const struct sigaction action = { .sa_handler = on_alarm };	/* no SA_RESTART */
	const struct itimerval often = { { 0, 3000 }, { 0, 3000 } };
	static uint8_t buf[1 << 20];

	(void)argv;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 50; i++) {
		EXPECT(!command(WORD(W_SLOW, 10), NULL));
		EXPECT(!move(true, 0, 0, buf, sizeof(buf)));
		EXPECT(!move(false, 0, 0, buf, sizeof(buf)));
	}
	return 0;
}

/* Keep it open, until a line comes on standard input or a signal does. */
static int act_hold(char **argv)
{
	char c;

	(void)argv;
	printf("holding\n");
	fflush(stdout);
	while (read(0, &c, 1) < 0 && errno == EINTR)
		;
	return 0;
}

static int act_open(char **argv)
{
	(void)argv;
	return 0;
}

static int act_lines(char **argv);

static const struct action {
	const char *name;
	int arguments;
	int (*run)(char **argv);
} actions[] = {
	{ "exclusive", 0, act_exclusive },
	{ "refused", 0, act_refused },		/* [64]: abi=6.4 */
	{ "commands", 0, act_commands },
	{ "pending", 0, act_pending },
	{ "updates", 1, act_updates },		/* N */
	{ "matrix", 0, act_matrix },
	{ "transfer", 0, act_transfer },
	{ "coherent", 0, act_coherent },
	{ "small", 0, act_small },
	{ "fill", 2, act_fill },		/* BYTES SEED */
	{ "filled", 2, act_filled },		/* BYTES SEED */
	{ "clean", 0, act_clean },
	{ "command", 2, act_command },		/* OP ERRNO [ARGUMENT] */
	{ "until", 1, act_until },		/* ERRNO */
	{ "signals", 0, act_signals },
	{ "hold", 0, act_hold },
	{ "open", 0, act_open },
	{ "kept", 1, act_kept },		/* SEED */
	{ "lines", 0, act_lines },
};

static const struct action *action_of(const char *name, int arguments)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (!strcmp(actions[i].name, name) && arguments >= actions[i].arguments)
			return &actions[i];
	}
	fprintf(stderr, "rank: no action %s\n", name);
	exit(2);
}

/* Actions from lines of standard input, with the rank open throughout. */
static int act_lines(char **argv)
{
	static const char delim[] = { ' ', '\n', 0 };
	char line[256], *words[8];
	int n, ret;

	(void)argv;
	printf("open\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		n = 0;
		for (char *w = strtok(line, delim); w && n < 7; w = strtok(NULL, delim))
			words[n++] = w;
		words[n] = NULL;
		ret = n ? action_of(words[0], n - 1)->run(words + 1) : 0;
		printf(ret ? "failed\n" : "done\n");
		fflush(stdout);
		if (ret)
			return ret;
	}
	return 0;
}

/* Sizes from sysfs. */
static void look(void)
{
	const char *name = strrchr(device, '/');
	char path[256];
	uint32_t v[2] = {};
	FILE *f;

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/sys/class/dpu_rank%s/%s", name ?: "",
			 i ? "nb_dpus_per_ci" : "mram_size");
		f = fopen(path, "r");
		if (!f || fscanf(f, "%u", &v[i]) != 1)
			v[i] = 0;
		if (f)
			fclose(f);
	}
	if (v[0])
		mram_size = v[0];
	if (v[1])
		nr_dpus = v[1] * 8;
}

int main(int argc, char **argv)
{
	const struct action *action;

	if (argc < 3)
		return 2;
	device = argv[1];
	look();
	action = action_of(argv[2], argc - 3);
	fd = open(device, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		printf("%s: %s\n", device, strerror(errno));
		return 1;
	}
	return action->run(argv + 3);
}
