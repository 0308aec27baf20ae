// SPDX-License-Identifier: LGPL-2.1-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../lib/ax_signature.h"
#include "../lib/ax_size.h"
#include "emp_block.h"
#include "emp_sysfs.h"

/* Is @part @whole, or a partition of it? */
static bool same_disk(dev_t part, dev_t whole)
{
	char path[64], real[PATH_MAX], *slash;
	unsigned int maj, min;
	FILE *f;
	int n;

	if (part == whole)
		return true;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(part), minor(part));
	if (!realpath(path, real))
		return false;
	slash = strrchr(real, '/');
	if (!slash || (size_t)(slash - real) + sizeof("/dev") > sizeof(real))
		return false;
	strcpy(slash, "/dev");	/* of the disk, if @part is a partition */
	f = fopen(real, "re");
	if (!f)
		return false;
	n = fscanf(f, "%u:%u", &maj, &min);
	fclose(f);
	return n == 2 && makedev(maj, min) == whole;
}

/* Where @dev or a partition of it is mounted. */
static bool mounted_at(dev_t dev, char *point, size_t size)
{
	char *line = NULL, where[4096];
	unsigned int maj, min;
	bool found = false;
	size_t len = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	while (f && !found && getline(&line, &len, f) > 0) {
		if (sscanf(line, "%*s %*s %u:%u %*s %4095s", &maj, &min, where) != 3)
			continue;
		if (same_disk(makedev(maj, min), dev)) {
			snprintf(point, size, "%.*s", (int)size - 1, where);
			found = true;
		}
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

static bool swapped_to(dev_t dev)
{
	char *line = NULL, path[4096];
	bool found = false;
	size_t len = 0;
	struct stat st;
	FILE *f = fopen("/proc/swaps", "re");

	while (f && !found && getline(&line, &len, f) > 0) {
		if (sscanf(line, "%4095s", path) == 1 && !stat(path, &st) &&
		    S_ISBLK(st.st_mode))
			found = same_disk(st.st_rdev, dev);
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

static int check(int fd, const char *path, const struct stat *st, uint64_t base, uint64_t bytes,
		 bool force, struct ax_msg *msg)
{
	char text[256], have[AX_HUMAN];
	enum emp_device_use use;
	uint64_t size;

	if (ioctl(fd, BLKGETSIZE64, &size))
		return ax_fail(msg, "%s: cannot find its size: %s", path, strerror(errno));
	if (base > size || bytes > size - base)
		return ax_fail(msg, "%s has %llu MB (%s), but the tier ends at %llu MB", path,
			       (unsigned long long)(size >> 20), ax_human_size(size, have),
			       (unsigned long long)((base + bytes) >> 20));
	if (mounted_at(st->st_rdev, text, sizeof(text)))
		return ax_fail(msg, "%s is mounted at %s (unmount it first)", path, text);
	if (swapped_to(st->st_rdev))
		return ax_fail(msg, "%s is used for swap (swapoff it first)", path);
	use = emp_sysfs_device_use(st->st_rdev, base, bytes, text, sizeof(text));
	if (use == EMP_DEVICE_OVERLAPS)
		return ax_fail(msg, "%s: the range from %llu to %llu MB overlaps %s", path,
			       (unsigned long long)(base >> 20),
			       (unsigned long long)((base + bytes) >> 20), text);
	/* what another tier has written there is no signature of anybody's */
	if (!force && use == EMP_DEVICE_FREE && ax_signature(fd, text, sizeof(text)))
		return ax_fail(msg,
			       "%s holds %s, which would be overwritten (force: --force or force=1 in the spec)",
			       path, text);
	return 0;
}

int emp_block_open(const char *path, uint64_t base, uint64_t bytes, bool force,
		   struct ax_msg *msg)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT)
		return ax_fail(msg, "%s: no such device (see lsblk)", path);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return ax_fail(msg, "%s: permission denied (run as root)", path);
	if (fd < 0)
		return ax_fail(msg, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISBLK(st.st_mode)) {
		close(fd);
		return ax_fail(msg, "%s is not a block device", path);
	}
	if (check(fd, path, &st, base, bytes, force, msg)) {
		close(fd);
		return -1;
	}
	return fd;
}
