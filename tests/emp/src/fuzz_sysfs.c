// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write to every writable file of a region, its tiers and the module's
 * parameters, what is right, nearly right, and random, from several threads,
 * and read all files, while another thread uses the region: its data must stay,
 * accesses may be refused.
 *
 * usage: fuzz_sysfs COUNT THREADS REGION
 *	COUNT: calls a thread
 * In the end all is set to what it was.
 */
#include <ftw.h>

#include "fuzz.h"

#define FILES_MAX	400
#define THREADS_MAX	8

static char files[FILES_MAX][96];
static bool writable[FILES_MAX];
static unsigned int rows[FILES_MAX];
static unsigned int nr_files, read_row, write_row;
static uint64_t count, seed;

static int found(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *name = path + ftw->base;

	if (type != FTW_F || nr_files == FILES_MAX)
		return 0;
	snprintf(files[nr_files], sizeof(files[0]), "%s", path);
	writable[nr_files] = st->st_mode & 0222;
	rows[nr_files] = writable[nr_files] ? table_row(name) : read_row;
	nr_files++;
	return 0;
}

static size_t any_text(char *text, const char *now)
{
	static const char * const edge[] = {
		"", "\n", "0", "1", "-1", "+1", "00", "1K", "1k", "4096", "4095", "4097", "1M", "2M",
		"3M", "4M", "16M", "16777217", "1T", "16E", "16777216T", "17179869184G", "K", "1KK",
		"1K\n\n", " 4096", "4096 ", "0x1000", "010", "1e6", "4,096", "nan", "%s%n", "true",
		"18446744073709551615", "18446744073709551616", "9223372036854775807",
		"9223372036854775808", "4294967295", "4294967296", "2147483648", "99999999999999999999",
		"00000000000000000000000004096", "600000", "600001", "10000", "10001", "3600000",
	};
	static const char units[] = "KMGTkmgt\n ";
	unsigned long n;

	switch (below(8)) {
	case 0:
	case 1:
		strcpy(text, edge[below(ARRAY_SIZE(edge))]);
		return strlen(text) + once_in(8);	/* at times with its NUL */
	case 2:
		return sprintf(text, "%lu%c", any_number(), units[below(sizeof(units) - 1)]);
	case 3:
		n = once_in(2) ? below(8192) : once_in(2) ? 4096 : below(64);
		fill_random(text, n);
		return n;
	case 4:
		n = 1 + below(8191);
		memset(text, '0' + below(10), n);
		return n;
	case 5:
		return sprintf(text, "%lu", below(20000));
	case 6:
		return sprintf(text, "%lu%s", 1 + below(16), once_in(2) ? "M" : "M\n");
	default:	/* about what it is now */
		n = strtoul(now, NULL, 10);
		n += (below(3) - 1) * (once_in(2) ? 1 : n / 4);
		return sprintf(text, "%lu\n", n);
	}
}

/* @same: what it says is written to it; else what comes */
static void call_file(unsigned int i, bool same)
{
	static __thread char text[8192 + 64], now[4096 + 1];
	int fd = open(files[i], writable[i] ? (once_in(4) ? O_RDWR | O_TRUNC : O_RDWR) : O_RDONLY);
	ssize_t n;
	void *p = text;

	if (fd < 0)
		fd = open(files[i], writable[i] ? O_WRONLY : O_RDONLY);
	if (note(read_row, fd) < 0)
		return;
	n = pread(fd, now, sizeof(now) - 1, 0);
	note(read_row, n);
	now[n > 0 ? n : 0] = 0;
	if (n < 0 && errno != EBADF && errno != EINTR)
		wrong("%s: reading: %s", files[i], strerrorname_np(errno));
	if (!writable[i]) {
		if (once_in(16))
			note(read_row, pread(fd, now, below(sizeof(now)), any_number() >> 1));
		close(fd);
		return;
	}
	if (same && !now[0]) {	/* it cannot be read, and nothing is no text */
		close(fd);
		return;
	}
	n = same ? sprintf(text, "%s", now) : (ssize_t)any_text(text, now);
	if (!same && once_in(64))
		p = (void *)below(65536);
	n = !same && once_in(32) ? pwrite(fd, p, n, below(64)) : write(fd, p, n);
	note(rows[i], n);
	if (n < 0 && errno != EINVAL && errno != ERANGE && errno != EDOM && errno != ENOSPC &&
	    errno != EINTR && !(errno == EFAULT && p != text))
		wrong("%s: writing '%.40s': %s", files[i], text, strerrorname_np(errno));
	close(fd);
}

static void *work(void *arg)
{
	uint64_t i;

	rnd_seed(seed, (uintptr_t)arg);
	interrupt_me(300);
	for (i = 0; i < nr_files; i++)
		if (writable[i])
			call_file(i, true);
	for (i = 0; i < count; i++) {
		unsigned int file = below(nr_files);

		/* Most are only to be read: prefer the others. */
		while (!writable[file] && !once_in(16))
			file = below(nr_files);
		call_file(file, false);
	}
	return NULL;
}

static char before[FILES_MAX][32];

static void remember(void)
{
	unsigned int i;

	for (i = 0; i < nr_files; i++) {
		int fd = writable[i] ? open(files[i], O_RDONLY) : -1;

		if (fd >= 0 && read(fd, before[i], sizeof(before[0]) - 1) <= 0)
			before[i][0] = 0;
		close(fd);
	}
}

/* Several rounds: pin_limit is bounded by high_free, that by low_free, all by dram_limit. */
static void restore(void)
{
	unsigned int i, round, failed = 0;

	for (round = 0, failed = 1; failed && round < 5; round++) {
		for (i = failed = 0; i < nr_files; i++) {
			int fd = before[i][0] ? open(files[i], O_WRONLY) : -1;

			if (fd >= 0 && write(fd, before[i], strlen(before[i])) < 0)
				failed++;
			close(fd);
		}
	}
	if (failed)
		wrong("%u files cannot be set to what they were", failed);
}

int main(int argc, char **argv)
{
	static struct keep keep;
	pthread_t threads[THREADS_MAX];
	unsigned int i, nr;
	char path[128];

	if (argc != 4) {
		fprintf(stderr, "usage: fuzz_sysfs COUNT THREADS REGION\n");
		return 2;
	}
	count = strtoull(argv[1], NULL, 0);
	nr = atoi(argv[2]);
	if (!nr || nr > THREADS_MAX)
		return 2;
	seed = fuzz_seed();
	rnd_seed(seed, 3000);
	handlers();
	table_init();
	read_row = table_row("(read)");
	write_row = table->rows;
	snprintf(path, sizeof(path), "/sys/fs/emp/%s", argv[3]);
	nftw(path, found, 8, FTW_PHYS);
	nftw("/sys/module/emp/parameters", found, 8, FTW_PHYS);
	if (table->rows < write_row + 10) {
		fprintf(stderr, "%s: hardly any file to write to\n", path);
		return 2;
	}
	remember();
	snprintf(path, sizeof(path), "/dev/emp/%s", argv[3]);
	keep_start(&keep, path, seed);
	for (i = 0; i < nr; i++)
		pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i);
	for (i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	restore();
	keep_finish(&keep);
	table_print();
	table_want_success(table->rows, 0);
	return table->wrong != 0;
}
