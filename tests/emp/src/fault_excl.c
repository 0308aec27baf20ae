// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hold a block device exclusively while a command runs.
 *
 * usage: fault_excl DEVICE COMMAND [ARGUMENT]...
 * Exit status: 1 somebody else has claimed the device, else the command's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: fault_excl DEVICE COMMAND [ARGUMENT]...\n");
		return 2;
	}
	if (open(argv[1], O_RDWR | O_EXCL) < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	execvp(argv[2], argv + 2);
	return 127;
}
