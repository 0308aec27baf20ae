/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a host program needs of a rank: the calls of the stock driver's device
 * node in safe mode. A software rank in this process is one provider of them,
 * /dev/dpu_rankN another.
 */
#ifndef PIM_BACKEND_H
#define PIM_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/ax_err.h"
#include "pim_rank.h"

struct pim_backend;

/* Each returns 0 or a negative errno. */
struct pim_backend_ops {
	const char *name;
	int (*commit)(struct pim_backend *b, const uint64_t commands[PIM_RANK_NR_CIS]);
	int (*update)(struct pim_backend *b, uint64_t results[PIM_RANK_NR_CIS]);
	int (*write)(struct pim_backend *b, const struct pim_matrix *m);
	int (*read)(struct pim_backend *b, const struct pim_matrix *m);
	/* Sleep until no DPU runs, or @ns at most; NULL: it cannot tell. */
	void (*wait)(struct pim_backend *b, uint64_t ns);
	void (*close)(struct pim_backend *b);
};

struct pim_backend {
	const struct pim_backend_ops *ops;
	struct pim_rank *rank;		/* of a software rank, for its statistics */
	/* of a device */
	int fd;
	const struct pim_dev_calls *calls;
	uint64_t counts[4];		/* calls of commit, update, write, read */
};

/* A software rank of its own; closed with the backend. -1 with a message. */
int pim_backend_emulator(struct pim_backend *b, const struct pim_rank_config *config,
			 struct ax_msg *msg);

/* The system calls of a device, so that tests can stand in for it. */
struct pim_dev_calls {
	int (*open)(const char *path, int flags);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	int (*close)(int fd);
};

/* A device node; @calls NULL: the real ones. -1 with a message. */
int pim_backend_device(struct pim_backend *b, const char *path, const struct pim_dev_calls *calls,
		       struct ax_msg *msg);

void pim_backend_close(struct pim_backend *b);

#endif
