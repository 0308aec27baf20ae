/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * emp-donor, put together: donor_main.c has the loop, donor_status.c what it
 * tells, donor_control.c the socket on which it is asked.
 */
#ifndef DONOR_H
#define DONOR_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "../lib/ax_opt.h"
#include "donor_backing.h"
#include "donor_conf.h"
#include "donor_core.h"
#include "donor_mem.h"
#include "donor_net.h"

struct donor {
	struct donor_conf conf;
	struct donor_core core;
	struct donor_mem mem;
	struct donor_backing backing;	/* where core.table.places.nr is not 0 */
	struct donor_net net;
	struct donor_control *control;
	const struct ax_args *args;
	uint64_t started;	/* ms */
	bool ready;		/* memory is there, clients are taken */
	bool stop, stop_now;
	int epoll;
};

/* Milliseconds of the monotonic clock. */
uint64_t donor_now(void);
/* Change the memory at run time; says so. Returns -1 with a reason. */
int donor_resize(struct donor *d, uint64_t bytes, struct ax_msg *msg);
int donor_reload(struct donor *d, struct ax_msg *msg);

/* --- donor_status.c --- */

json_t *donor_status(struct donor *d);
/* The same for Prometheus' text format; to be freed. */
char *donor_metrics(struct donor *d);
/* Print what donor_status() made as text for people. */
void donor_status_print(const json_t *status);

/* --- donor_control.c --- */

/* Make the socket; NULL with a reason. */
struct donor_control *donor_control_new(const char *path, int epoll, struct ax_msg *msg);
void donor_control_free(struct donor_control *control);
/* Is @fd one of its? Then work on it. */
bool donor_control_event(struct donor *d, int fd);
/* For the program's verbs: ask the donor at @path; NULL with a reason. To be freed. */
char *donor_control_ask(const char *path, const char *request, struct ax_msg *msg);

#endif
