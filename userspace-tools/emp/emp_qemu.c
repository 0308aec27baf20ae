// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * emp-qemu: run stock QEMU with its RAM on an elastic-memory region.
 *
 * The region is made with AUTODESTROY and its fd is left open across exec, so
 * it lives exactly as long as QEMU (and what QEMU maps): a kill -9 at any
 * moment, also between create and exec, leaves nothing behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <annex/emp.h>

#include "../lib/ax_opt.h"
#include "../lib/ax_size.h"
#include "emp_client.h"
#include "emp_qemu_args.h"
#include "emp_region.h"
#include "emp_sysfs.h"

#define NAMES_MAX 100000	/* vm0, vm1, ... */

static const struct ax_opt opts[] = {
	{ "dry-run", 'n', NULL, "print the command line that would be run and create nothing",
	  NULL },
	{ "name", 'N', "NAME",
	  "name of the region (default: the guest's -name, else the first free of vm0, vm1, ...)",
	  "" },
	{ "force", 'f', NULL, "use block devices that carry a file system or partition table",
	  NULL },
	{ "verbose", 'v', NULL, "say what is created and run", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_program program = {
	.name = "emp-qemu",
	.summary = "Run QEMU with guest RAM larger than its DRAM; --mem-path SPEC says where the RAM lives",
	.usage = "[OPTION]... QEMU [QEMU-ARGUMENT]...",
	.notes = "Example:\n"
		 "  emp-qemu qemu-system-x86_64 -enable-kvm -m 8G -smp 4 --mem-path 'dram:2048|/dev/nvme0n1:8192:0'\n"
		 "SPEC is described in emp-spec(5). A --mem-path that is an ordinary path is left as it is.",
	.opts = opts,
	.stop_at_operand = true,
};

/* Print a command line so that a shell reads the same words. */
static void print_command(FILE *to, char *const *argv)
{
	for (; *argv; argv++) {
		const char *word = *argv;

		if (*word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "0123456789@%+=:,./_-")]) {
			fputs(word, to);
		} else {
			fputc('\'', to);
			for (; *word; word++) {
				if (*word == '\'')
					fputs("'\\''", to);
				else
					fputc(*word, to);
			}
			fputc('\'', to);
		}
		fputc(argv[1] ? ' ' : '\n', to);
	}
}

/* The file belongs to whom QEMU becomes: "user" or "uid:gid". */
static int set_run_as(struct emp_region_plan *plan, const char *run_as, struct ax_msg *msg)
{
	const struct passwd *pw = getpwnam(run_as);
	unsigned int uid, gid;
	int end = 0;

	if (pw) {
		plan->uid = pw->pw_uid;
		plan->gid = pw->pw_gid;
	} else if (sscanf(run_as, "%u:%u%n", &uid, &gid, &end) == 2 && !run_as[end]) {
		plan->uid = uid;
		plan->gid = gid;
	} else {
		return ax_fail(msg, "QEMU is to run as '%s', but there is no such user", run_as);
	}
	return 0;
}

/* The first free name from vm*@from on. */
static int free_name(char name[32], unsigned int *from, struct ax_msg *msg)
{
	for (; *from < NAMES_MAX; (*from)++) {
		snprintf(name, 32, "vm%u", *from);
		if (!emp_sysfs_exists(name))
			return 0;
	}
	return ax_fail(msg, "vm0 to vm%d are all taken: give a --name", NAMES_MAX - 1);
}

/*
 * Create the region; with an automatic name another QEMU may be faster, then
 * the next one is tried.
 */
static int create(const struct emp_spec *spec, struct emp_region_plan *plan, bool automatic,
		  unsigned int number, struct ax_msg *msg)
{
	int fd;

	for (;;) {
		fd = emp_region_create(spec, plan, msg);
		if (fd >= 0 || !automatic || errno != EEXIST)
			return fd;
		number++;
		if (free_name(plan->name, &number, msg))
			return -1;
	}
}

/* QEMU opens by path: is that path this very file? */
static int same_file(int fd, const char *path, struct ax_msg *msg)
{
	struct stat a, b;

	if (fstat(fd, &a) || stat(path, &b))
		return ax_fail(msg, "%s: %s", path, strerror(errno));
	if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return ax_fail(msg,
			       "%s is not the region just created: something else is mounted there",
			       path);
	return 0;
}

static int run(char **argv)
{
	execvp(argv[0], argv);
	return ax_error("cannot run %s: %s", argv[0], strerror(errno));
}

static int choose_name(const struct ax_args *args, const struct emp_qemu_args *qemu,
		       struct emp_region_plan *plan, bool *automatic, unsigned int *number,
		       struct ax_msg *msg)
{
	const char *given = ax_value(args, "name");

	*automatic = false;
	if (given) {
		if (!emp_name_valid(given))
			return ax_fail(msg,
				       "--name '%s' is not a region name ([a-z0-9][a-z0-9_.-]{0,30})",
				       given);
		strcpy(plan->name, given);
	} else if (!plan->name[0] && qemu->guest[0]) {
		strcpy(plan->name, qemu->guest);
	} else if (!plan->name[0]) {
		*automatic = true;
		return free_name(plan->name, number, msg);
	}
	return 0;
}

/* Steps up to the exec; returns the exit status. */
static int run_on_region(const struct ax_args *args, struct emp_qemu_args *qemu)
{
	char path[256], size[AX_HUMAN], dram[AX_HUMAN];
	struct emp_region_plan plan;
	unsigned int number = 0;
	struct emp_spec spec;
	struct ax_msg msg;
	bool automatic;
	char **argv;
	int fd = -1;

	if (emp_region_parse("--mem-path", qemu->spec, &spec, &msg) ||
	    emp_region_plan(&spec, qemu->ram, &plan, &msg))
		return ax_error("%s", msg.text);
	if (qemu->run_as && !emp_spec_has(&spec, EMP_KEY_UID) &&
	    set_run_as(&plan, qemu->run_as, &msg))
		return ax_error("%s", msg.text);
	if (choose_name(args, qemu, &plan, &automatic, &number, &msg))
		return ax_error("%s", msg.text);
	plan.flags |= EMP_F_AUTODESTROY;
	plan.force |= ax_has(args, "force");
	if (qemu->prealloc)
		ax_warn("-mem-prealloc touches all of the guest's RAM at start: much of it goes straight to the tiers");

	if (!ax_has(args, "dry-run")) {
		if (emp_mount(&msg))
			return ax_error("%s", msg.text);
		fd = create(&spec, &plan, automatic, number, &msg);
		if (fd < 0)
			return ax_error("%s", msg.text);
		emp_region_path(plan.name, path, sizeof(path));
		if (same_file(fd, path, &msg) || fcntl(fd, F_SETFD, 0))
			return ax_error("%s", msg.text);
	}
	emp_region_path(plan.name, path, sizeof(path));
	argv = emp_qemu_rewrite(qemu, path);
	if (!argv)
		return ax_error("out of memory");
	if (ax_has(args, "verbose")) {
		fprintf(stderr, "emp-qemu: region %s: size %s, DRAM limit %s, %u tier(s)\n",
			plan.name, ax_human_size(plan.bytes, size),
			ax_human_size(plan.dram, dram), spec.nr_tiers);
		if (!ax_has(args, "dry-run"))
			print_command(stderr, argv);
	}
	if (ax_has(args, "dry-run")) {
		print_command(stdout, argv);
		return AX_OK;
	}
	return run(argv);
}

int main(int argc, char **argv)
{
	struct emp_qemu_args qemu;
	struct ax_args args;
	struct ax_msg msg;
	int ret;

	ret = ax_parse(&program, argc, argv, &args);
	if (ret >= 0)
		return ret;
	if (!args.argc)
		return ax_usage("no QEMU command line given (see emp-qemu --help)");
	if (emp_qemu_read(args.argc, args.argv, &qemu, &msg))
		return ax_error("%s", msg.text);
	if (qemu.spec)
		return run_on_region(&args, &qemu);
	if (qemu.mem_path < 0)
		ax_warn("the command line has no --mem-path SPEC: QEMU runs with ordinary memory");
	if (ax_has(&args, "dry-run")) {
		print_command(stdout, args.argv);
		return AX_OK;
	}
	return run(args.argv);
}
