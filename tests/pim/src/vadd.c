// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the example vadd.s adds, and whether it did. For guests, which have no
 * more than busybox.
 *
 * usage: vadd make|check DIR WORDS
 *
 * "make" writes DIR/a.N and DIR/b.N for 64 DPUs; "check" compares DIR/sum.N and
 * DIR/checksum.N with what this processor computes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t value(int which, int dpu, uint32_t i)
{
	return (i + 1) * (which ? 2654435761u : 40503u) + dpu * 977u + which;
}

static FILE *open_file(const char *dir, const char *name, int dpu, const char *mode)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.%d", dir, name, dpu);
	f = fopen(path, mode);
	if (!f) {
		perror(path);
		exit(1);
	}
	return f;
}

static void make(const char *dir, uint32_t words)
{
	for (int n = 0; n < 128; n++) {
		FILE *f = open_file(dir, n % 2 ? "b" : "a", n / 2, "w");

		for (uint32_t i = 0; i < words; i++) {
			uint32_t v = value(n % 2, n / 2, i);

			fwrite(&v, 4, 1, f);
		}
		if (fclose(f))
			exit(1);
	}
}

static int check(const char *dir, uint32_t words)
{
	for (int dpu = 0; dpu < 64; dpu++) {
		FILE *f = open_file(dir, "sum", dpu, "r");
		uint32_t v, sum, checksum = 0;

		for (uint32_t i = 0; i < words; i++) {
			sum = value(0, dpu, i) + value(1, dpu, i);
			checksum += sum;
			if (fread(&v, 4, 1, f) != 1 || v != sum) {
				printf("DPU %d, word %u: wrong\n", dpu, i);
				return 1;
			}
		}
		fclose(f);
		f = open_file(dir, "checksum", dpu, "r");
		if (fread(&v, 4, 1, f) != 1 || v != checksum) {
			printf("DPU %d: wrong checksum\n", dpu);
			return 1;
		}
		fclose(f);
	}
	printf("64 sums of %u words, and their checksums, are right\n", words);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	if (!strcmp(argv[1], "make"))
		make(argv[2], atoi(argv[3]));
	else
		return check(argv[2], atoi(argv[3]));
	return 0;
}
