// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads them; in the same order each time, so that readings can be subtracted. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem_counter.h"

static ssize_t slurp(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, size - 1);
	close(fd);
	if (n >= 0)
		text[n] = '\0';
	return n;
}

static void add(struct counters *c, const char *group, const char *name, uint64_t value)
{
	if (c->nr == MAX_COUNTERS)
		return;
	snprintf(c->name[c->nr], sizeof(c->name[0]), "%s.%.24s", group, name);
	c->value[c->nr++] = value;
}

static void add_region(struct counters *c, const char *sysfs)
{
	static const char *const tier[] = { "reads", "read_bytes", "writes", "write_bytes" };
	char path[600], text[8192];
	struct dirent **list;
	int i, n;

	snprintf(path, sizeof(path), "%s/stats", sysfs);
	n = scandir(path, &list, NULL, alphasort);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/stats/%s", sysfs, list[i]->d_name);
		/* histograms have more than one number a line */
		if (list[i]->d_name[0] != '.' && slurp(path, text, sizeof(text)) > 0 &&
		    !strchr(text, ' '))
			add(c, "emp", list[i]->d_name, strtoull(text, NULL, 10));
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	for (i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/tiers/0/%s", sysfs, tier[i]);
		if (slurp(path, text, sizeof(text)) > 0)
			add(c, "tier", tier[i], strtoull(text, NULL, 10));
	}
}

static void add_vmstat(struct counters *c)
{
	static const char *const wanted[] = {
		"pswpin", "pswpout", "pgmajfault", "pgscan_direct", "pgsteal_direct",
		"swap_ra", "swap_ra_hit",
	};
	static char text[32768];
	char *line, *save, *value;
	unsigned int i;

	if (slurp("/proc/vmstat", text, sizeof(text)) < 0)
		return;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		value = strchr(line, ' ');
		if (!value)
			continue;
		*value++ = '\0';
		for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
			if (!strcmp(line, wanted[i]))
				add(c, "vm", line, strtoull(value, NULL, 10));
	}
}

static void add_cpu(struct counters *c)
{
	static const char *const names[] = {
		"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
	};
	char text[16384], *at;
	unsigned int i;

	if (slurp("/proc/stat", text, sizeof(text)) < 0)
		return;
	at = text + 3;
	for (i = 0; i < 8; i++)
		add(c, "cpu", names[i], strtoull(at, &at, 10));
	at = strstr(text, "\nctxt ");
	if (at)
		add(c, "cpu", "ctxt", strtoull(at + 6, NULL, 10));
}

/* Interrupts between processors: "TLB:  1  2  TLB shootdowns", all processors together. */
static void add_ipi(struct counters *c)
{
	static const char *const names[] = { "TLB", "CAL", "RES" };
	static const char *const words[] = { "ipi_tlb", "ipi_call", "ipi_resched" };
	char text[16384], *at;
	unsigned int i, n;

	if (slurp("/proc/interrupts", text, sizeof(text)) < 0)
		return;
	for (i = 0; i < 3; i++) {
		uint64_t sum = 0;

		at = strstr(text, names[i]);
		if (!at || at[3] != ':')
			continue;
		at += 4;
		for (n = sysconf(_SC_NPROCESSORS_ONLN); n; n--)
			sum += strtoull(at, &at, 10);
		add(c, "cpu", words[i], sum);
	}
}

static void add_disk(struct counters *c, const char *dev)
{
	static const char *const names[] = {
		"reads", "", "read_sectors", "", "writes", "", "write_sectors",
	};
	char path[128], text[512], *at = text;
	unsigned int i;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", dev);
	if (slurp(path, text, sizeof(text)) < 0)
		return;
	for (i = 0; i < 7; i++) {
		uint64_t v = strtoull(at, &at, 10);

		if (names[i][0])
			add(c, "dev", names[i], v);
	}
}

static void add_net(struct counters *c, const char *net)
{
	static const char *const names[] = {
		"rx_bytes", "tx_bytes", "rx_packets", "tx_packets",
	};
	char path[128], text[64];
	unsigned int i;

	for (i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/%s", net, names[i]);
		if (slurp(path, text, sizeof(text)) > 0)
			add(c, "net", names[i], strtoull(text, NULL, 10));
	}
}

void counters_read(struct counters *c, const char *sysfs, const char *dev, const char *net)
{
	c->nr = 0;
	add_cpu(c);
	add_ipi(c);
	add_vmstat(c);
	if (sysfs)
		add_region(c, sysfs);
	if (dev)
		add_disk(c, dev);
	if (net)
		add_net(c, net);
}
