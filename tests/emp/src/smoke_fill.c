// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Write every page of a region, then check all of them twice, once in order and
 * once not. usage: smoke_fill FILE; exit status 0: every word was right.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

static uint64_t word(uint64_t page, uint64_t i)
{
	return (page << 9 ^ i) * 0x9e3779b97f4a7c15ull + 1;
}

static int check(const uint64_t *mem, uint64_t page)
{
	uint64_t i;

	for (i = page % 61; i < 512; i += 61) {
		if (mem[page * 512 + i] == word(page, i))
			continue;
		fprintf(stderr, "page %llu word %llu is wrong\n", (unsigned long long)page,
			(unsigned long long)i);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct stat st;
	uint64_t pages, p, i;
	uint64_t *mem;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: smoke_fill FILE\n");
		return 2;
	}
	fd = open(argv[1], O_RDWR);
	if (fd < 0 || fstat(fd, &st)) {
		perror(argv[1]);
		return 1;
	}
	pages = st.st_size / 4096;
	mem = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!pages || mem == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (p = 0; p < pages; p++)
		for (i = 0; i < 512; i++)
			mem[p * 512 + i] = word(p, i);
	for (p = 0; p < pages; p++)
		if (check(mem, p))
			return 1;
	for (p = 0; p < pages; p++)
		if (check(mem, p * 7 % pages))
			return 1;
	return 0;
}
