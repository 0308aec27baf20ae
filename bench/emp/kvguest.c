// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The key-value kernel that runs in the guest: 64-byte records in anonymous
 * memory, read as a trace says, every one checked.
 *
 * usage: kvguest BYTES [TRACE]
 *
 * Fills BYTES of memory, then talks over the virtio port "bench", a line each
 * way: it says "ready"; "go N" runs the next N records of the trace and answers
 * "done NANOSECONDS BAD"; "quit" ends it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"

#define PORTS "/sys/class/virtio-ports"

static int open_port(void)
{
	char path[320], name[32] = "";
	struct dirent *d;
	DIR *dir = opendir(PORTS);
	FILE *f;

	while (dir && (d = readdir(dir))) {
		snprintf(path, sizeof(path), PORTS "/%s/name", d->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%31s", name) == 1 && !strcmp(name, "bench")) {
			fclose(f);
			snprintf(path, sizeof(path), "/dev/%s", d->d_name);
			closedir(dir);
			return open(path, O_RDWR);
		}
		fclose(f);
	}
	return -1;
}

static uint32_t *read_trace(const char *path, size_t *nr)
{
	FILE *f = fopen(path, "rb");
	uint32_t *trace = NULL;
	long size;

	if (!f)
		return NULL;
	size = fseek(f, 0, SEEK_END) ? -1 : ftell(f);
	if (size >= 4 && !fseek(f, 0, SEEK_SET))
		trace = malloc(size);
	*nr = size >= 4 ? size / 4 : 0;
	if (trace && fread(trace, 4, *nr, f) != *nr) {
		free(trace);
		trace = NULL;
	}
	fclose(f);
	return trace;
}

int main(int argc, char **argv)
{
	size_t bytes = argc > 1 ? strtoull(argv[1], NULL, 0) : 0, nr = 0, at = 0, n, i;
	uint32_t *trace = argc > 2 ? read_trace(argv[2], &nr) : NULL;
	uint64_t *mem, start, bad;
	FILE *to, *from;
	char line[64];
	int port;

	port = open_port();
	if (!bytes || port < 0 || (argc > 2 && !trace)) {
		fprintf(stderr, "kvguest: no size, no port or no trace\n");
		return 1;
	}
	to = fdopen(port, "w");
	from = fdopen(dup(port), "r");
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED || !to || !from) {
		fprintf(stderr, "kvguest: no memory\n");
		return 1;
	}
	madvise(mem, bytes, MADV_NOHUGEPAGE);	/* the host's pages are what is measured */
	for (i = 0; i < bytes / 8; i++)
		mem[i] = pattern(i / 512, i % 512, 0);
	fprintf(to, "ready\n");
	fflush(to);
	while (fgets(line, sizeof(line), from)) {
		if (!strncmp(line, "quit", 4))
			break;
		n = strncmp(line, "go ", 3) || !trace ? 0 : strtoull(line + 3, NULL, 0);
		bad = 0;
		start = now_ns();
		for (i = 0; i < n; i++, at++) {
			uint32_t rec = trace[at % nr], page = rec / 64, w = rec % 64 * 8, k;
			const volatile uint64_t *p = mem + rec * 8ul;
			uint64_t v[8];

			for (k = 0; k < 8; k++)
				v[k] = p[k];
			if (v[0] != pattern(page, w, 0) || v[7] != pattern(page, w + 7, 0))
				bad++;
		}
		fprintf(to, "done %llu %llu\n", (unsigned long long)(now_ns() - start),
			(unsigned long long)bad);
		fflush(to);
	}
	return 0;
}
