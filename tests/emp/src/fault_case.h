/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cases of the programs that give the module wrong input.
 *
 * expect() judges one call; after it, leftover() must find what was there
 * before: no new region, file, folder in sysfs, and every device free. One
 * line a case on stdout: "ok - NAME" or "not ok - NAME" with the reason in a
 * comment; the script around numbers them.
 */
#ifndef FAULT_CASE_H
#define FAULT_CASE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../../../include/uapi/annex/emp.h"

#define SYSFS "/sys/fs/emp"
#define MOUNT "/dev/emp"

static int control = -1;		/* /dev/emp-control */
static const char *free_devices[8];	/* those that nobody may have claimed after a case */
static unsigned int nr_free_devices;
static unsigned int failed;

static const char *name_of(int err)
{
	return err ? strerrorname_np(err) : "success";
}

static unsigned int entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	unsigned int n = 0;

	if (!dir)
		return 0;
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.')
			n++;
	closedir(dir);
	return n;
}

static unsigned int regions(void)
{
	struct emp_list l = { .size = sizeof(l) };

	return ioctl(control, EMP_IOC_LIST, &l) ? ~0u : l.count;
}

/* What a failed call left behind, or NULL. */
static const char *leftover(void)
{
	static char text[128];
	unsigned int i;

	if (regions())
		return "a region";
	if (entries(SYSFS))
		return "a folder in sysfs";
	if (entries(MOUNT))
		return "a file";
	for (i = 0; i < nr_free_devices; i++) {
		int fd = open(free_devices[i], O_RDWR | O_EXCL | O_CLOEXEC);

		if (fd < 0) {
			snprintf(text, sizeof(text), "%s claimed (%s)", free_devices[i],
				 strerror(errno));
			return text;
		}
		close(fd);
	}
	return NULL;
}

/* A case with its verdict; @left: look for leftovers too. */
static void verdict(const char *name, bool good, const char *reason, bool left)
{
	const char *what = left ? leftover() : NULL;

	if (good && !what) {
		printf("ok - %s\n", name);
		return;
	}
	failed++;
	printf("not ok - %s\n", name);
	if (!good)
		printf("# %s: %s\n", name, reason);
	if (what)
		printf("# %s: left behind: %s\n", name, what);
}

/* @ret is what a system call said just now; errno @want, 0 for success. */
static inline void expect(const char *name, long ret, int want, bool left)
{
	int got = ret < 0 ? errno : 0;
	char reason[96];

	snprintf(reason, sizeof(reason), "%s, not %s", name_of(got), name_of(want));
	verdict(name, got == want, reason, left);
}

static inline bool picked(const char *name)
{
	const char *glob = getenv("ANNEX_CASE");

	return !glob || !*glob || !fnmatch(glob, name, 0);
}

#endif
