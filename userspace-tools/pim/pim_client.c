// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The arbiter's calls, with messages.
 */
#include "pim_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char *pim_arbiter_path(void)
{
	return getenv("PIM_ARBITER") ?: "/dev/pim-arbiter";
}

const char *pim_sysfs_root(void)
{
	return getenv("PIM_SYSFS") ?: "/sys/class/pim";
}

int pim_arbiter_open(struct ax_msg *msg)
{
	struct pim_info info = { .size = sizeof(info) };
	int fd = open(pim_arbiter_path(), O_RDWR | O_CLOEXEC);

	if (fd < 0 && (errno == EACCES || errno == EROFS))
		fd = open(pim_arbiter_path(), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ax_fail(msg, "%s: %s%s", pim_arbiter_path(), strerror(errno),
			       errno == ENOENT ? " (modprobe pim)" :
			       errno == EACCES ? " (be root, or in its group)" : "");
	if (ioctl(fd, PIM_IOC_INFO, &info) || info.abi != PIM_ABI) {
		close(fd);
		return ax_fail(msg, "%s is not of this version of pim.ko: install both of one version",
			       pim_arbiter_path());
	}
	return fd;
}

int pim_rank_get(int arbiter, uint32_t id, struct pim_rank_state *st, struct ax_msg *msg)
{
	memset(st, 0, sizeof(*st));
	st->size = sizeof(*st);
	st->id = id;
	if (!ioctl(arbiter, PIM_IOC_RANK_STATE, st))
		return 1;
	return errno == ENOENT ? 0 : ax_fail(msg, "%s: %s", pim_arbiter_path(), strerror(errno));
}

int pim_owner_get(int arbiter, uint32_t uid, struct pim_owner_state *st, struct ax_msg *msg)
{
	memset(st, 0, sizeof(*st));
	st->size = sizeof(*st);
	st->uid = uid;
	if (!ioctl(arbiter, PIM_IOC_OWNER_GET, st))
		return 1;
	return errno == ENOENT ? 0 : ax_fail(msg, "%s: %s", pim_arbiter_path(), strerror(errno));
}

int pim_parked_get(int arbiter, uint64_t lease, struct pim_parked_state *st, struct ax_msg *msg)
{
	memset(st, 0, sizeof(*st));
	st->size = sizeof(*st);
	st->lease = lease;
	if (!ioctl(arbiter, PIM_IOC_PARKED_STATE, st))
		return 1;
	return errno == ENOENT ? 0 : ax_fail(msg, "%s: %s", pim_arbiter_path(), strerror(errno));
}

int pim_lease(int arbiter, struct pim_lease_req *req, struct ax_msg *msg)
{
	char which[16] = "any rank";
	int fd;

	if (req->id != PIM_ID_ANY)
		snprintf(which, sizeof(which), "rank %u", req->id);
	fd = ioctl(arbiter, PIM_IOC_LEASE, req);
	if (fd >= 0)
		return fd;
	switch (errno) {
	case EAGAIN:
		return ax_fail(msg, "%s is in use (pimctl rank list)", which);
	case ETIMEDOUT:
		return ax_fail(msg, "%s did not become free in time (pimctl rank list)", which);
	case ENOENT:
		return ax_fail(msg, "there is no %s (pimctl rank list)", which);
	case EDQUOT:
		return ax_fail(msg, "you have as many ranks as you may (pimctl owner list)");
	case EBADF:
		return ax_fail(msg, "%s: no permission to write (be root, or in its group)",
			       pim_arbiter_path());
	}
	return ax_fail(msg, "cannot lease %s: %s", which, strerror(errno));
}

const char *pim_state_name(uint32_t state)
{
	static const char *const names[] = {
		"free", "leased", "draining", "scrubbing", "faulty", "saving", "restoring"
	};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

const char *pim_event_name(uint32_t type)
{
	static const char *const names[] = {
		[PIM_EVENT_RANK_ADDED] = "rank-added",
		[PIM_EVENT_RANK_REMOVED] = "rank-removed",
		[PIM_EVENT_LEASED] = "leased",
		[PIM_EVENT_RELEASED] = "released",
		[PIM_EVENT_REVOKED] = "revoked",
		[PIM_EVENT_SCRUBBED] = "scrubbed",
		[PIM_EVENT_PROVIDER_GONE] = "provider-gone",
		[PIM_EVENT_PROVIDER_TIMEOUT] = "provider-timeout",
		[PIM_EVENT_PROVIDER_BROKEN] = "provider-broken",
		[PIM_EVENT_TAKEN_OVER] = "taken-over",
		[PIM_EVENT_OVERRUN] = "overrun",
		[PIM_EVENT_PARKED] = "parked",
		[PIM_EVENT_RESTORED] = "restored",
	};

	return type < sizeof(names) / sizeof(names[0]) && names[type] ? names[type] : "unknown";
}
