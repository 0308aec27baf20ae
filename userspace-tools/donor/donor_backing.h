/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where parked slabs are: a file without a name, or a block device; and the
 * thread that writes, reads and erases them, some requests of 1 MiB at a time.
 * Nobody waits for it: a backing that hangs keeps parked slabs waiting, no others.
 */
#ifndef DONOR_BACKING_H
#define DONOR_BACKING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <liburing.h>

#include "../lib/ax_err.h"
#include "donor_slab.h"
#include "donor_work.h"

struct donor_backing_how {
	const char *path;	/* a directory, or a block device */
	uint64_t size;		/* bytes; 0: all of a device */
	size_t slab;
	bool force;		/* also over what stands on a device */
	uint32_t slow_us;	/* pause after each MiB; for tests */
};

enum donor_backing_job {
	DONOR_BACKING_STORE,
	DONOR_BACKING_LOAD,	/* goes before all others */
	DONOR_BACKING_ERASE,
};

struct donor_backing {
	struct donor_backing_how how;
	struct donor_worker worker;	/* its jobs: enum donor_backing_job */
	atomic_bool ending;	/* only erase */
	int fd;
	bool device;
	bool direct;		/* past the page cache */
	bool uring;
	bool no_zero_range, no_punch;	/* the filesystem has not got them */
	struct io_uring ring;	/* the thread's */
	char *zeros;		/* 1 MiB */
	uint64_t start;		/* of the first place */
	uint32_t places;	/* slabs that fit */
};

/* Open it, see that it may be written to, reserve its space. Returns -1 with a reason. */
int donor_backing_open(struct donor_backing *b, const struct donor_backing_how *how,
		       struct ax_msg *msg);
/* Start the thread. */
int donor_backing_start(struct donor_backing *b, struct ax_msg *msg);
void donor_backing_submit(struct donor_backing *b, struct donor_slab *slab,
			  enum donor_backing_job job);
void donor_backing_erase(struct donor_backing *b, uint32_t place);
/* Why a job failed. */
void donor_backing_why(const struct donor_backing *b, const struct donor_work *work,
		       struct ax_msg *msg);
/* Stop; what was not begun is dropped. A job that hangs is not waited for. */
void donor_backing_exit(struct donor_backing *b);

#endif
