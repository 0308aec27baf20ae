// SPDX-License-Identifier: LGPL-2.1-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/ax_size.h"
#include "emp_client.h"

static const char *from_env(const char *name, const char *usual)
{
	const char *value = secure_getenv(name);

	return value && *value ? value : usual;
}

const char *emp_control_path(void)
{
	return from_env("EMP_CONTROL", "/dev/emp-control");
}

const char *emp_mount_path(void)
{
	return from_env("EMP_MOUNT", "/dev/emp");
}

void emp_region_path(const char *name, char *out, size_t size)
{
	snprintf(out, size, "%s/%s", emp_mount_path(), name);
}

int emp_control_open(struct ax_msg *msg)
{
	const char *path = emp_control_path();
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
		return ax_fail(msg,
			       "%s is not there: the module is not loaded (modprobe emp; see empctl doctor)",
			       path);
	if (errno == EACCES || errno == EPERM)
		return ax_fail(msg, "%s: permission denied (run as root)", path);
	return ax_fail(msg, "%s: %s", path, strerror(errno));
}

/* What an errno means for every ioctl; the callers know the particular ones. */
static int refused(struct ax_msg *msg, const char *what, int err)
{
	switch (err) {
	case EPERM:
		return ax_fail(msg,
			       "%s: not permitted: it needs CAP_SYS_ADMIN (run as root)", what);
	case ENOTTY:
		return ax_fail(msg,
			       "%s: %s is not the control device of this version of emp.ko", what,
			       emp_control_path());
	case E2BIG:
		return ax_fail(msg,
			       "%s: the loaded emp.ko is older than this tool (reload the module)",
			       what);
	default:
		return ax_fail(msg, "%s: %s", what, strerror(err));
	}
}

int emp_info(int control, struct emp_info *info, struct ax_msg *msg)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	if (ioctl(control, EMP_IOC_INFO, info))
		return refused(msg, "module information", errno);
	if (info->abi != EMP_ABI)
		return ax_fail(msg,
			       "emp.ko speaks interface version %u, this tool %u: install matching ones",
			       info->abi, EMP_ABI);
	return 0;
}

/* An error of a tier; false when @err is none. */
static bool tier_refused(struct ax_msg *msg, const char *what, int err)
{
	const char *why;

	switch (err) {
	case EBADF:
	case EACCES:
		why = "a tier's device is not open for reading and writing";
		break;
	case ENOTBLK:
		why = "a tier's device is not a block device";
		break;
	case EBUSY:
		why = "a tier's device is mounted or in use (see lsblk, empctl tier show)";
		break;
	case EOPNOTSUPP:
		why = "this kind of tier is not there (for a donor: modprobe emp_rdma)";
		break;
	case ENODEV:
		why = "no RDMA device leads to the donor (see rdma link, empctl doctor)";
		break;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
		why = "the donor's machine cannot be reached";
		break;
	case ECONNREFUSED:
		why = "no donor listens there (emp-donor)";
		break;
	case ETIMEDOUT:
		why = "the donor does not answer";
		break;
	case EKEYREJECTED:
		why = "the donor does not know our key, or has not got it (key=)";
		break;
	case EPROTONOSUPPORT:
		why = "the donor speaks another version of the protocol";
		break;
	case EPROTO:
		why = "what answers there is no donor of ours";
		break;
	case EAGAIN:
		why = "the donor takes no more clients";
		break;
	case ECONNRESET:
	case ECONNABORTED:
		why = "the donor ended the connection";
		break;
	default:
		return false;
	}
	ax_fail(msg, "%s: %s", what, why);
	return true;
}

int emp_create(int control, struct emp_create *create, struct ax_msg *msg)
{
	const struct emp_tier_spec *tiers = (const void *)(uintptr_t)create->tiers;
	char what[64], size[AX_HUMAN], dram[AX_HUMAN], sum[AX_HUMAN];
	uint64_t total = 0;
	int fd, err;

	create->size = sizeof(*create);
	fd = ioctl(control, EMP_IOC_CREATE, create);
	if (fd >= 0)
		return fd;
	err = errno;
	for (uint32_t i = 0; i < create->nr_tiers; i++)
		total += tiers[i].bytes;
	ax_human_size(create->bytes, size);
	ax_human_size(create->dram_limit, dram);
	ax_human_size(total, sum);
	snprintf(what, sizeof(what), "region %.31s", create->name);
	switch (err) {
	case EEXIST:
		ax_fail(msg, "%s exists already (choose another name, or empctl region destroy %s)",
			what, create->name);
		errno = EEXIST;	/* the caller may try another name */
		return -1;
	case ENOSPC:
		return ax_fail(msg,
			       "%s: its tiers (%s) do not hold its size (%s)%s, or reach beyond the end of a device",
			       what, sum, size,
			       create->redundancy ? " twice, each device once" : "");
	case EDOM:
		if (create->pin_limit)
			return ax_fail(msg,
				       "%s: a DRAM limit of %s is below the minimum, or leaves too little beside pin_limit (give more dram, a smaller block=, or a smaller pin_limit=)",
				       what, dram);
		return ax_fail(msg,
			       "%s: a DRAM limit of %s is below the minimum for this size and block size (give more dram, or a smaller block=)",
			       what, dram);
	case EINVAL:
		return ax_fail(msg,
			       "%s: the kernel refused the parameters (size %s, dram %s; see dmesg)",
			       what, size, dram);
	case ENOENT:
		if (!(create->flags & EMP_F_ENCRYPT))
			return refused(msg, what, err);
		return ax_fail(msg,
			       "%s: this kernel has no AES in XTS mode for encrypt=1 (modprobe xts)",
			       what);
	default:
		if (tier_refused(msg, what, err))
			return -1;
		return refused(msg, what, err);
	}
}

static int set_name(char out[EMP_NAME_LEN], const char *name, struct ax_msg *msg)
{
	size_t n = strlen(name);

	if (!n || n >= EMP_NAME_LEN)
		return ax_fail(msg, "'%.40s' is not a region name", name);
	memset(out, 0, EMP_NAME_LEN);
	memcpy(out, name, n);
	return 0;
}

int emp_destroy(int control, const char *name, struct ax_msg *msg)
{
	struct emp_destroy destroy = { .size = sizeof(destroy) };
	char what[64];

	if (set_name(destroy.name, name, msg))
		return -1;
	if (!ioctl(control, EMP_IOC_DESTROY, &destroy))
		return 0;
	snprintf(what, sizeof(what), "region %s", name);
	if (errno == ENOENT)
		return ax_fail(msg, "no region %s (see empctl region list)", name);
	if (errno == EBUSY)
		return ax_fail(msg, "%s is open or mapped (find who: fuser -v %s/%s)", what,
			       emp_mount_path(), name);
	return refused(msg, what, errno);
}

int emp_tier_add(int control, const char *name, struct emp_tier_spec *tier, struct ax_msg *msg)
{
	struct emp_tier_add add = { .size = sizeof(add), .tier = *tier };
	char what[64];
	int err;

	if (set_name(add.name, name, msg))
		return -1;
	add.tier.size = sizeof(add.tier);
	if (!ioctl(control, EMP_IOC_TIER_ADD, &add)) {
		tier->id = add.tier.id;
		return 0;
	}
	err = errno;
	snprintf(what, sizeof(what), "region %s", name);
	if (err == ENOENT)
		return ax_fail(msg, "no region %s (see empctl region list)", name);
	if (err == ENOSPC)
		return ax_fail(msg,
			       "%s: the range is beyond the end of the device, or there are %d tiers already",
			       what, EMP_TIERS_MAX);
	if (err == EINVAL)
		return ax_fail(msg,
			       "%s: the kernel refused the tier: its size must be a multiple of the region's block size",
			       what);
	if (tier_refused(msg, what, err))
		return -1;
	return refused(msg, what, err);
}

int emp_tier_remove(int control, const char *name, uint32_t id, uint32_t timeout_ms, bool force,
		    struct ax_msg *msg)
{
	struct emp_tier_remove rm = { .size = sizeof(rm), .id = id, .timeout_ms = timeout_ms,
				      .flags = force ? EMP_TIER_REMOVE_FORCE : 0 };
	char what[64];
	int err;

	if (set_name(rm.name, name, msg))
		return -1;
	if (!ioctl(control, EMP_IOC_TIER_REMOVE, &rm))
		return 0;
	err = errno;
	snprintf(what, sizeof(what), "tier %u of region %s", id, name);
	switch (err) {
	case ENOENT:
		return ax_fail(msg, "there is no %s (see empctl tier show %s)", what, name);
	case ENOSPC:
		return ax_fail(msg,
			       "%s: the other tiers do not hold the region (add one first)", what);
	case EIO:
		return ax_fail(msg, "%s: data on it cannot be read; it stays attached (--force gives that data up)",
			       what);
	case EBUSY:
		return ax_fail(msg, "%s: another removal is under way", what);
	case EINTR:
	case ETIMEDOUT:
		return ax_fail(msg,
			       "%s: not empty yet; it takes nothing new, run the same command to go on",
			       what);
	default:
		return refused(msg, what, err);
	}
}

int emp_list(int control, char (**names)[EMP_NAME_LEN], uint32_t *count, struct ax_msg *msg)
{
	struct emp_list list = { .size = sizeof(list), .capacity = 64 };
	void *buf = NULL;

	for (;;) {
		void *more = reallocarray(buf, list.capacity, EMP_NAME_LEN);

		if (!more) {
			free(buf);
			return ax_fail(msg, "out of memory");
		}
		buf = more;
		list.names = (uintptr_t)buf;
		if (ioctl(control, EMP_IOC_LIST, &list)) {
			int err = errno;

			free(buf);
			return refused(msg, "list of regions", err);
		}
		if (list.count <= list.capacity)
			break;
		list.capacity = list.count + 16;
	}
	*names = buf;
	*count = list.count;
	return 0;
}

const char *emp_event_name(uint32_t type)
{
	static const char *const names[] = {
		[EMP_EVENT_REGION_CREATED]	= "region-created",
		[EMP_EVENT_REGION_DESTROYED]	= "region-destroyed",
		[EMP_EVENT_TIER_ADDED]		= "tier-added",
		[EMP_EVENT_TIER_REMOVED]	= "tier-removed",
		[EMP_EVENT_TIER_DEGRADED]	= "tier-degraded",
		[EMP_EVENT_TIER_LOST]		= "tier-lost",
		[EMP_EVENT_NO_SPACE]		= "no-space",
		[EMP_EVENT_DATA_LOST]		= "data-lost",
		[EMP_EVENT_TIER_RECOVERED]	= "tier-recovered",
		[EMP_EVENT_OVERRUN]		= "overrun",
	};

	if (type >= sizeof(names) / sizeof(names[0]) || !names[type])
		return "unknown";
	return names[type];
}

bool emp_mounted(void)
{
	char *line = NULL, point[4096], type[64];
	bool found = false;
	size_t size = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	if (!f)
		return false;
	/* id parent maj:min root POINT options [optional]... - TYPE source options */
	while (getline(&line, &size, f) > 0) {
		const char *dash = strstr(line, " - ");

		if (!dash || sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1 ||
		    sscanf(dash + 3, "%63s", type) != 1)
			continue;
		if (!strcmp(point, emp_mount_path()))
			found = !strcmp(type, "empfs");	/* the last mount is on top */
	}
	free(line);
	fclose(f);
	return found;
}

int emp_mount(struct ax_msg *msg)
{
	const char *point = emp_mount_path();

	if (emp_mounted())
		return 0;
	if (mkdir(point, 0755) && errno != EEXIST)
		return ax_fail(msg, "mkdir %s: %s", point, strerror(errno));
	if (!mount("empfs", point, "empfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return 0;
	if (errno == ENODEV)
		return ax_fail(msg, "mount empfs: the module is not loaded (modprobe emp)");
	if (errno == EPERM)
		return ax_fail(msg,
			       "empfs is not mounted at %s and only root can do it (empctl mount)",
			       point);
	return ax_fail(msg, "mount empfs at %s: %s", point, strerror(errno));
}

int emp_umount(struct ax_msg *msg)
{
	const char *point = emp_mount_path();

	if (!emp_mounted())
		return ax_fail(msg, "empfs is not mounted at %s", point);
	if (!umount2(point, 0))
		return 0;
	if (errno == EBUSY)
		return ax_fail(msg, "%s is busy: regions are open (find who: fuser -vm %s)",
			       point, point);
	return ax_fail(msg, "umount %s: %s", point, strerror(errno));
}
