/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's counters around a pass. */
#ifndef BENCH_MEM_COUNTER_H
#define BENCH_MEM_COUNTER_H

#include <stdint.h>

#define MAX_COUNTERS 96

/**
 * struct counters - one reading
 * @nr: how many
 * @name: as in the output: "emp.NAME" of the region's stats, "vm.NAME",
 *        "cpu.NAME" in ticks of 10 ms, "dev.NAME", "net.NAME"
 * @value: of each
 */
struct counters {
	unsigned int nr;
	char name[MAX_COUNTERS][32];
	uint64_t value[MAX_COUNTERS];
};

/*
 * @sysfs: of a region, @dev: name of a disk in /sys/block, @net: of a network
 * device; each NULL if there is none.
 */
void counters_read(struct counters *c, const char *sysfs, const char *dev, const char *net);

#endif
