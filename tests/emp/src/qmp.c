// SPDX-License-Identifier: GPL-2.0-only
/*
 * qmp SOCKET COMMAND...: talk to a QEMU.
 *
 * COMMAND is a command's name, a space and its arguments in JSON if it has any,
 * as 'migrate {"uri":"unix:/tmp/m"}'; "quit" needs no answer. Prints the
 * milliseconds that each answer took, and the answer. Exit status: 0; 1 an error;
 * 2 no connection.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include "cells.h"

/* A line of QEMU's that is no event. */
static bool answer(FILE *in, char *line, size_t size)
{
	do {
		if (!fgets(line, size, in))
			return false;
	} while (!strstr(line, "\"return\"") && !strstr(line, "\"error\""));
	return true;
}

int main(int argc, char **argv)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 60 };
	char line[65536], *space;
	uint64_t begin;
	int fd, i;
	FILE *io;

	if (argc < 3) {
		say("usage: qmp SOCKET COMMAND...");
		return 2;
	}
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", argv[1]);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		die("%s", argv[1]);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	io = fdopen(fd, "r");
	dprintf(fd, "{\"execute\":\"qmp_capabilities\"}\n");
	if (!answer(io, line, sizeof(line)))
		return 2;
	for (i = 2; i < argc; i++) {
		space = strchr(argv[i], ' ');
		begin = now_ns();
		if (space)
			dprintf(fd, "{\"execute\":\"%.*s\",\"arguments\":%s}\n",
				(int)(space - argv[i]), argv[i], space + 1);
		else
			dprintf(fd, "{\"execute\":\"%s\"}\n", argv[i]);
		if (!answer(io, line, sizeof(line))) {
			if (!strcmp(argv[i], "quit"))
				return 0;
			say("no answer to %s", argv[i]);
			return 1;
		}
		printf("%lu ms %s", (now_ns() - begin) / 1000000, line);
		if (strstr(line, "\"error\""))
			return 1;
	}
	return 0;
}
