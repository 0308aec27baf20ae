/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Understanding and rewriting a QEMU command line. Pure: opens nothing.
 */
#ifndef EMP_QEMU_ARGS_H
#define EMP_QEMU_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/ax_err.h"

#define EMP_QEMU_BACKEND	"annex-ram"	/* id of the memory backend */
#define EMP_QEMU_RAM_DEFAULT	(128ull << 20)

struct emp_qemu_args {
	int argc;
	char **argv;
	int mem_path;		/* index of the option -mem-path, or -1 */
	const char *spec;	/* its value when it is one of ours, else NULL */
	uint64_t ram;		/* bytes, as QEMU itself rounds it */
	char guest[32];		/* from -name, when it will do as a region's name */
	const char *run_as;	/* user or uid:gid, or NULL */
	bool prealloc;		/* -mem-prealloc is given */
};

/* Read a command line; argv[0] is the program. -1 with a message. */
int emp_qemu_read(int argc, char **argv, struct emp_qemu_args *args, struct ax_msg *msg);

/*
 * The command line with -mem-path replaced by a memory backend on @path.
 * NULL when out of memory. Strings are shared with args->argv.
 */
char **emp_qemu_rewrite(const struct emp_qemu_args *args, const char *path);

#endif
