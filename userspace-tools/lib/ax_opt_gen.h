/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is generated from a program's option table.
 */
#ifndef AX_OPT_GEN_H
#define AX_OPT_GEN_H

#include "ax_opt.h"

/* --help and --version */
const struct ax_opt *ax_common_opts(void);
/* @cmd NULL: of the whole program */
void ax_print_help(const struct ax_program *p, const struct ax_cmd *cmd);
/* @what: "bash" a completion script, "man" the lists of a man page; exit status */
int ax_generate(const struct ax_program *p, const char *what);

#endif
