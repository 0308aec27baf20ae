// SPDX-License-Identifier: LGPL-2.1-or-later
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "emp_sysfs.h"

const char *emp_sysfs_root(void)
{
	const char *value = secure_getenv("EMP_SYSFS");

	return value && *value ? value : "/sys/fs/emp";
}

static int read_file(const char *path, char out[EMP_SYSFS_VALUE])
{
	size_t have = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	while (have < EMP_SYSFS_VALUE - 1) {
		ssize_t n = read(fd, out + have, EMP_SYSFS_VALUE - 1 - have);

		if (n < 0) {
			int err = errno;

			close(fd);
			errno = err;
			return -1;
		}
		if (!n)
			break;
		have += n;
	}
	close(fd);
	out[have] = '\0';
	while (have && (out[have - 1] == '\n' || out[have - 1] == ' '))
		out[--have] = '\0';
	return 0;
}

int emp_sysfs_read(const char *name, const char *node, char out[EMP_SYSFS_VALUE])
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s/%s", emp_sysfs_root(), name, node);
	return read_file(path, out);
}

static int to_u64(const char *text, uint64_t *value)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (end == text || errno) {
		errno = EINVAL;
		return -1;
	}
	*value = v;
	return 0;
}

int emp_sysfs_read_u64(const char *name, const char *node, uint64_t *value)
{
	char text[EMP_SYSFS_VALUE];

	if (emp_sysfs_read(name, node, text))
		return -1;
	return to_u64(text, value);
}

int emp_sysfs_write(const char *name, const char *node, const char *value, struct ax_msg *msg)
{
	char path[PATH_MAX];
	size_t len = strlen(value);
	ssize_t n;
	int fd, err;

	snprintf(path, sizeof(path), "%s/%s/%s", emp_sysfs_root(), name, node);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		if (errno == EACCES || errno == EPERM)
			return ax_fail(msg,
				       "%s: permission denied (run as root; some nodes are read-only)",
				       path);
		return ax_fail(msg, "%s: %s", path, strerror(errno));
	}
	n = write(fd, value, len);
	err = errno;
	close(fd);
	if (n == (ssize_t)len)
		return 0;
	if (n >= 0)
		err = EIO;
	if (err == EDOM || err == ERANGE)
		return ax_fail(msg, "%s: %s is below the minimum (see %s/%s/dram_min)", node, value,
			       emp_sysfs_root(), name);
	if (err == ENOSPC)
		return ax_fail(msg,
			       "%s: with %s neither the tiers nor the DRAM hold the region (add a tier first)",
			       node, value);
	if (err == EINVAL)
		return ax_fail(msg, "%s: the kernel does not accept '%s'", node, value);
	return ax_fail(msg, "%s: %s", path, strerror(err));
}

static int by_number_then_name(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

char **emp_sysfs_list(const char *dir)
{
	char path[PATH_MAX];
	char **names = calloc(1, sizeof(*names));
	struct dirent *entry;
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", emp_sysfs_root(), dir);
	d = opendir(path);
	while (d && names && (entry = readdir(d))) {
		struct stat st;
		char **more;

		if (entry->d_name[0] == '.' ||
		    fstatat(dirfd(d), entry->d_name, &st, 0) || !S_ISDIR(st.st_mode))
			continue;
		more = reallocarray(names, n + 2, sizeof(*names));
		if (!more)
			break;
		names = more;
		names[n] = strdup(entry->d_name);
		if (!names[n])
			break;
		names[++n] = NULL;
	}
	if (d)
		closedir(d);
	if (n)
		qsort(names, n, sizeof(*names), by_number_then_name);
	return names;
}

void emp_sysfs_free(char **names)
{
	for (char **n = names; n && *n; n++)
		free(*n);
	free(names);
}

bool emp_sysfs_exists(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	if (!*name || strchr(name, '/') || name[0] == '.')
		return false;
	snprintf(path, sizeof(path), "%s/%s", emp_sysfs_root(), name);
	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* The node says the device's name, a path below /dev, or MAJOR:MINOR. */
static bool is_device(const char *text, dev_t dev)
{
	char path[EMP_SYSFS_VALUE + 8];
	unsigned int maj, min;
	struct stat st;

	if (sscanf(text, "%u:%u", &maj, &min) == 2)
		return makedev(maj, min) == dev;
	snprintf(path, sizeof(path), "%s%s", text[0] == '/' ? "" : "/dev/", text);
	return !stat(path, &st) && S_ISBLK(st.st_mode) && st.st_rdev == dev;
}

static enum emp_device_use tier_use(const char *region, const char *id, dev_t dev, uint64_t base,
				    uint64_t bytes)
{
	uint64_t its_base = 0, its_bytes = 0;
	char node[64], text[EMP_SYSFS_VALUE];

	snprintf(node, sizeof(node), "tiers/%.32s/device", id);
	if (emp_sysfs_read(region, node, text) || !is_device(text, dev))
		return EMP_DEVICE_FREE;
	snprintf(node, sizeof(node), "tiers/%.32s/base", id);
	emp_sysfs_read_u64(region, node, &its_base);
	snprintf(node, sizeof(node), "tiers/%.32s/bytes", id);
	emp_sysfs_read_u64(region, node, &its_bytes);
	return base < its_base + its_bytes && its_base < base + bytes ?
	       EMP_DEVICE_OVERLAPS : EMP_DEVICE_BESIDE;
}

enum emp_device_use emp_sysfs_device_use(dev_t dev, uint64_t base, uint64_t bytes, char *who,
					 size_t size)
{
	enum emp_device_use most = EMP_DEVICE_FREE;
	char **regions = emp_sysfs_list("");

	for (char **r = regions; r && *r; r++) {
		char dir[128];
		char **tiers;

		snprintf(dir, sizeof(dir), "%.64s/tiers", *r);
		tiers = emp_sysfs_list(dir);
		for (char **t = tiers; t && *t; t++) {
			enum emp_device_use use = tier_use(*r, *t, dev, base, bytes);

			if (use <= most)
				continue;
			most = use;
			snprintf(who, size, "tier %.32s of region %.64s", *t, *r);
		}
		emp_sysfs_free(tiers);
	}
	emp_sysfs_free(regions);
	return most;
}

uint64_t emp_sysfs_parameter(const char *name, uint64_t fallback)
{
	char path[PATH_MAX], text[EMP_SYSFS_VALUE];
	uint64_t value;

	snprintf(path, sizeof(path), "/sys/module/emp/parameters/%s", name);
	if (read_file(path, text) || to_u64(text, &value))
		return fallback;
	return value;
}
