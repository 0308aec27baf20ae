// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pimctl events: what the kernel reports on the arbiter's device.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pimctl.h"

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void print_event(const struct pim_event *e, bool json)
{
	if (json) {
		json_t *o = json_pack("{s:I, s:I, s:s}", "seq", (json_int_t)e->seq,
				      "time_ns", (json_int_t)e->time_ns,
				      "event", pim_event_name(e->type));

		if (e->id != PIM_ID_ANY)
			json_object_set_new(o, "rank", json_integer(e->id));
		if (e->lease)
			json_object_set_new(o, "lease", json_integer(e->lease));
		json_dumpf(o, stdout, JSON_COMPACT);
		json_decref(o);
		putchar('\n');
		return;
	}
	printf("%llu.%06llu %s", (unsigned long long)(e->time_ns / 1000000000),
	       (unsigned long long)(e->time_ns % 1000000000 / 1000), pim_event_name(e->type));
	if (e->id != PIM_ID_ANY)
		printf(" rank %u", e->id);
	if (e->lease)
		printf(" lease %llu", (unsigned long long)e->lease);
	putchar('\n');
}

int pimctl_events(const struct ax_args *args)
{
	const struct sigaction action = { .sa_handler = on_signal };
	bool follow = ax_has(args, "follow"), json = ax_has(args, "json"), any = false;
	struct pim_event events[64];
	struct ax_msg msg;
	uint64_t timeout;
	int fd, ret = AX_OK;

	if (!ax_number(args, "timeout", 1, 86400, 0, &timeout))
		return AX_USAGE;
	fd = pim_arbiter_open(&msg);
	if (fd < 0)
		return ax_error("%s", msg.text);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	while (!stop && (follow || !any)) {
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
			ret = ax_error("%s: %s", pim_arbiter_path(), n ? strerror(errno) : "closed");
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
