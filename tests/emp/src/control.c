// SPDX-License-Identifier: GPL-2.0-only
/*
 * control VERB [NAME [ID]]: one ioctl on /dev/emp-control, without any help.
 *
 * info, list, create NAME, destroy NAME, tier-add NAME, tier-remove NAME ID.
 * 'create' makes a region of 64 KiB without a tier; 'tier-add' gives an fd that is
 * no block device. Exit status: 0; 1, and errno by name on stdout.
 */
#define _GNU_SOURCE
#include <annex/emp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "", *name = argc > 2 ? argv[2] : "control";
	int fd = open("/dev/emp-control", O_RDWR | O_CLOEXEC), ret;

	if (fd < 0) {
		printf("open: %s\n", strerrorname_np(errno));
		return 1;
	}
	if (!strcmp(verb, "info")) {
		struct emp_info a = { .size = sizeof(a) };

		ret = ioctl(fd, EMP_IOC_INFO, &a);
	} else if (!strcmp(verb, "list")) {
		struct emp_list a = { .size = sizeof(a) };

		ret = ioctl(fd, EMP_IOC_LIST, &a);
	} else if (!strcmp(verb, "create")) {
		struct emp_create a = { .size = sizeof(a), .bytes = 1 << 20, .dram_limit = 1 << 20,
					.block_size = 4096, .subblock_size = 4096,
					.map = EMP_MAP_SMALL, .mode = 0600 };

		snprintf(a.name, sizeof(a.name), "%s", name);
		ret = ioctl(fd, EMP_IOC_CREATE, &a);
	} else if (!strcmp(verb, "destroy")) {
		struct emp_destroy a = { .size = sizeof(a) };

		snprintf(a.name, sizeof(a.name), "%s", name);
		ret = ioctl(fd, EMP_IOC_DESTROY, &a);
	} else if (!strcmp(verb, "tier-add")) {
		struct emp_tier_add a = { .size = sizeof(a), .tier = { .size = sizeof(a.tier),
					  .type = EMP_TIER_BLOCK, .fd = fd, .bytes = 1 << 20 } };

		snprintf(a.name, sizeof(a.name), "%s", name);
		ret = ioctl(fd, EMP_IOC_TIER_ADD, &a);
	} else if (!strcmp(verb, "tier-remove")) {
		struct emp_tier_remove a = { .size = sizeof(a),
					     .id = argc > 3 ? atoi(argv[3]) : 0 };

		snprintf(a.name, sizeof(a.name), "%s", name);
		ret = ioctl(fd, EMP_IOC_TIER_REMOVE, &a);
	} else {
		printf("no verb '%s'\n", verb);
		return 2;
	}
	if (ret < 0) {
		printf("%s: %s\n", verb, strerrorname_np(errno));
		return 1;
	}
	return 0;
}
