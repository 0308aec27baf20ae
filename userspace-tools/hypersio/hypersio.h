/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hypersio's commands; the table of them is in hypersio.c.
 */
#ifndef HYPERSIO_H
#define HYPERSIO_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/ax_opt.h"

/* traces */
int hypersio_collect(const struct ax_args *args);
int hypersio_trace(const struct ax_args *args);
int hypersio_convert(const struct ax_args *args);
int hypersio_info(const struct ax_args *args);
int hypersio_validate(const struct ax_args *args);
/* simulation */
int hypersio_run(const struct ax_args *args);
int hypersio_explore(const struct ax_args *args);
int hypersio_plot(const struct ax_args *args);
/* configurations */
int hypersio_config_show(const struct ax_args *args);
int hypersio_config_check(const struct ax_args *args);
int hypersio_config_keys(const struct ax_args *args);

struct hs_config;
/* KEY=VALUE; an exit status, AX_OK to go on. */
int hypersio_config_assign(struct hs_config *config, const char *text);
/* The configuration @name with --model and each --set; an exit status, AX_OK to go on. */
int hypersio_config_named(const struct ax_args *args, const char *name, struct hs_config *config);

#endif
