// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emp_cgroup.h"

#define NO_LIMIT (1ull << 62)	/* v1 says so with a number near 2^63 */

static uint64_t read_limit(const char *path)
{
	char text[64] = "";
	char *end;
	unsigned long long v;
	FILE *f = fopen(path, "re");

	if (!f)
		return NO_LIMIT;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	v = strtoull(text, &end, 10);
	if (end == text)	/* "max" */
		return NO_LIMIT;
	return v;
}

/* The least limit from @group (changed) up to the top of the hierarchy. */
static uint64_t walk_up(const char *top, char *group, const char *file)
{
	uint64_t least = NO_LIMIT;

	for (;;) {
		char path[4096];
		char *slash;
		uint64_t v;

		snprintf(path, sizeof(path), "%s%s/%s", top, strcmp(group, "/") ? group : "", file);
		v = read_limit(path);
		if (v < least)
			least = v;
		slash = strrchr(group, '/');
		if (!slash || !strcmp(group, "/") || !*group)
			return least;
		if (slash == group)
			slash[1] = '\0';
		else
			slash[0] = '\0';
	}
}

int emp_cgroup_limit(const char *proc, const char *root, uint64_t *bytes, struct ax_msg *msg)
{
	uint64_t least = NO_LIMIT;
	char line[2048], top[1024];
	FILE *f = fopen(proc, "re");

	if (!f)
		return ax_fail(msg, "dram:-1: cannot read %s", proc);
	while (fgets(line, sizeof(line), f)) {
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(controllers + 1, ':') : NULL;
		uint64_t v = NO_LIMIT;

		line[strcspn(line, "\n")] = '\0';
		if (!group)
			continue;
		*group++ = '\0';
		controllers++;
		if (!*controllers) {
			v = walk_up(root, group, "memory.max");
		} else if (!strcmp(controllers, "memory")) {
			snprintf(top, sizeof(top), "%s/memory", root);
			v = walk_up(top, group, "memory.limit_in_bytes");
		}
		if (v < least)
			least = v;
	}
	fclose(f);
	if (least == NO_LIMIT || least > NO_LIMIT)
		return ax_fail(msg,
			       "dram:-1: this cgroup has no memory limit; say how much, e.g. dram:4096");
	*bytes = least & ~4095ull;
	if (!*bytes)
		return ax_fail(msg, "dram:-1: the memory limit of this cgroup is below one page");
	return 0;
}
