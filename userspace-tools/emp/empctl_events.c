// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * empctl events: what the kernel reports on the control device.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <annex/emp.h>

#include "emp_client.h"
#include "empctl.h"

static void print_event(const struct emp_event *e, bool json)
{
	char tier[16] = "-", name[EMP_NAME_LEN + 1];

	snprintf(name, sizeof(name), "%.*s", EMP_NAME_LEN, e->name);
	if (e->tier != ~0u)
		snprintf(tier, sizeof(tier), "%u", e->tier);
	if (json) {
		json_t *object = json_pack("{s:I, s:I, s:s, s:s}", "seq", (json_int_t)e->seq,
					   "time_ns", (json_int_t)e->time_ns,
					   "event", emp_event_name(e->type), "region", name);

		if (e->tier != ~0u)
			json_object_set_new(object, "tier", json_integer(e->tier));
		json_dumpf(object, stdout, JSON_COMPACT);
		json_decref(object);
		putchar('\n');
	} else {
		printf("%llu.%06llu %-16s region %s tier %s\n",
		       (unsigned long long)(e->time_ns / 1000000000),
		       (unsigned long long)(e->time_ns % 1000000000 / 1000),
		       emp_event_name(e->type), name, tier);
	}
}

int empctl_events(const struct ax_args *args)
{
	bool follow = ax_has(args, "follow"), json = ax_has(args, "json");
	struct emp_event events[64];
	struct ax_msg msg;
	uint64_t timeout;
	int fd, ret = AX_OK;
	bool any = false;

	if (!ax_number(args, "timeout", 1, 86400, 0, &timeout))
		return AX_USAGE;
	fd = emp_control_open(&msg);
	if (fd < 0)
		return ax_error("%s", msg.text);
	empctl_catch_signals();
	while (!empctl_interrupted() && (follow || !any)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int ready = poll(&p, 1, timeout ? (int)timeout * 1000 : -1);
		ssize_t n;

		if (!ready) {
			ret = any ? AX_OK : AX_FAIL;
			break;
		}
		if (ready < 0)
			continue;	/* a signal */
		n = read(fd, events, sizeof(events));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0) {
			ret = ax_error("%s: %s", emp_control_path(), n ? strerror(errno) : "closed");
			break;
		}
		for (size_t i = 0; i < n / sizeof(events[0]); i++)
			print_event(&events[i], json);
		fflush(stdout);
		any = true;
	}
	close(fd);
	return ret;
}
