/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * empctl's commands; the table of them is in empctl.c.
 */
#ifndef EMPCTL_H
#define EMPCTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "../lib/ax_opt.h"

/* region */
int empctl_region_create(const struct ax_args *args);
int empctl_region_destroy(const struct ax_args *args);
int empctl_region_list(const struct ax_args *args);
int empctl_region_show(const struct ax_args *args);
int empctl_region_set(const struct ax_args *args);
/* tier */
int empctl_tier_show(const struct ax_args *args);
int empctl_tier_add(const struct ax_args *args);
int empctl_tier_remove(const struct ax_args *args);
int empctl_tier_set(const struct ax_args *args);
/* numbers */
int empctl_stats(const struct ax_args *args);
int empctl_top(const struct ax_args *args);
int empctl_record(const struct ax_args *args);
int empctl_plot(const struct ax_args *args);
/* the rest */
int empctl_events(const struct ax_args *args);
int empctl_doctor(const struct ax_args *args);
int empctl_mount(const struct ax_args *args);
int empctl_umount(const struct ax_args *args);

/* Shared by them. */
extern const struct ax_program empctl_program;

/* Print (and release) a JSON value with a newline; AX_OK or AX_FAIL. */
int empctl_print_json(json_t *value);
/* A number node as a JSON integer, anything else as a string, NULL if unreadable. */
json_t *empctl_node_json(const char *region, const char *node);
/* Does the region exist? Else say so; AX_OK or AX_FAIL. */
int empctl_need_region(const char *name);
/* Write KEY=VALUE... below NAME[/PREFIX]; values with a size suffix become bytes. */
int empctl_set_nodes(const char *region, const char *prefix, char **pairs,
		     const char *const *writable);
/* Until SIGINT or SIGTERM: false. */
bool empctl_sleep(double seconds);
/* Give up waiting on SIGINT and SIGTERM in an orderly way. */
void empctl_catch_signals(void);
bool empctl_interrupted(void);

#endif
