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
int pimctl_doctor(const struct ax_args *args);

/* Print (and release) a JSON value with a newline; AX_OK or AX_FAIL. */
int pimctl_print_json(json_t *value);
/* An operand that is the number of a rank; false after a message. */
bool pimctl_rank_id(const char *text, uint32_t *id);
/* An option's number: @fallback when it is not given; false after a message. */
bool pimctl_number(const struct ax_args *args, const char *option, uint64_t min, uint64_t max,
		   uint64_t fallback, uint64_t *value);

#endif
