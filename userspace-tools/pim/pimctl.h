/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pimctl's commands; the table of them is in pimctl.c.
 */
#ifndef PIMCTL_H
#define PIMCTL_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "../lib/ax_opt.h"
#include "pim_client.h"

int pimctl_rank_list(const struct ax_args *args);
int pimctl_rank_show(const struct ax_args *args);
int pimctl_rank_set(const struct ax_args *args);
int pimctl_rank_remove(const struct ax_args *args);
int pimctl_lease_run(const struct ax_args *args);
int pimctl_lease_list(const struct ax_args *args);
int pimctl_lease_revoke(const struct ax_args *args);
int pimctl_owner_list(const struct ax_args *args);
int pimctl_owner_set(const struct ax_args *args);
int pimctl_vm_add(const struct ax_args *args);
int pimctl_vm_remove(const struct ax_args *args);
int pimctl_vm_list(const struct ax_args *args);
int pimctl_qemu_args(const struct ax_args *args);
int pimctl_events(const struct ax_args *args);
int pimctl_stats(const struct ax_args *args);
int pimctl_doctor(const struct ax_args *args);
int pimctl_top(const struct ax_args *args);

#define PIMCTL_UUID	40	/* bytes of one as text */
#define PIMCTL_VM_COUNTERS	15

/* The device of a virtual machine, as sysfs shows it. */
struct pimctl_vm {
	char uuid[PIMCTL_UUID];
	char name[PIM_NAME_LEN];
	char leases[4096];	/* rank of each of its ranks, or "-" */
	unsigned long ranks;
	bool opened;
	bool has[PIMCTL_VM_COUNTERS];
	uint64_t counters[PIMCTL_VM_COUNTERS];
};

/* The names of the counters; those that a table of figures needs have a number. */
extern const char *const pimctl_vm_counters[PIMCTL_VM_COUNTERS];
enum {
	PIMCTL_VM_KICKS = 0,
	PIMCTL_VM_REQUESTS = 1,
	PIMCTL_VM_INTERRUPTS = 2,
	PIMCTL_VM_COMMITS = 5,
	PIMCTL_VM_UPDATES = 6,
	PIMCTL_VM_TRAPPED = 11,
	PIMCTL_VM_FAULTS = 12,
};

/* Each machine; @see returns true to end. How many there were, or -1. */
int pimctl_each_vm(bool (*see)(const struct pimctl_vm *vm, void *arg), void *arg);

/* What there is, as arrays "ranks", "owners", "machines" of @all; false after a message. */
bool pimctl_ranks_json(int arbiter, json_t *all, struct ax_msg *msg);
bool pimctl_owners_json(int arbiter, json_t *all, struct ax_msg *msg);
void pimctl_vms_json(json_t *all);

/* Print (and release) a JSON value with a newline; AX_OK or AX_FAIL. */
int pimctl_print_json(json_t *value);
/* An operand that is the number of a rank; false after a message. */
bool pimctl_rank_id(const char *text, uint32_t *id);

#endif
