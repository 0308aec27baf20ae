/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * emp-donor's settings: the configuration file, and options above it.
 * "KEY = VALUE" a line, # begins a comment; emp-donor(8) describes each key.
 */
#ifndef DONOR_CONF_H
#define DONOR_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/ax_err.h"

#define DONOR_CONF_FILE "/etc/annex/emp-donor.conf"
#define DONOR_CONF_SOCKET "/run/emp-donor/control"
#define DONOR_CONF_LISTEN 16
#define DONOR_CONF_TEXT 108	/* fits a socket's path */

struct donor_conf {
	/* fixed while the donor runs */
	char listen[DONOR_CONF_LISTEN][256];	/* hosts or addresses; none: all */
	unsigned int nr_listen;
	char device[64];	/* RDMA device, "": any */
	char socket[DONOR_CONF_TEXT];
	uint32_t port;
	uint64_t slab;		/* bytes */
	uint64_t memory_max;	/* bytes that memory can grow to */
	bool huge, lock;
	char backing[256];	/* directory or block device; "": none */
	uint64_t backing_size;	/* bytes; 0: all of a device */
	bool backing_force;
	uint32_t zero_pause_us, backing_pause_us;	/* for tests */
	/* may change on reload */
	char key_file[256];
	bool noauth;
	bool verbose;
	uint64_t memory;	/* bytes */
	uint64_t quota;		/* bytes, UINT64_MAX: none */
	uint64_t keep_free;	/* bytes; 0: a 16th of the memory */
	uint32_t clients, connections;
	uint32_t heartbeat_ms, client_ms, linger_ms, revoke_ms, drain_ms, proof_ms;
};

void donor_conf_defaults(struct donor_conf *conf);
/* Parse a file's text over what @conf has. Returns 0 or -1 with "line N: ...". */
int donor_conf_parse(const char *text, size_t len, struct donor_conf *conf, struct ax_msg *msg);
/* The same from a file; @must: it has to be there. */
int donor_conf_load(const char *path, bool must, struct donor_conf *conf, struct ax_msg *msg);
/* One setting. */
int donor_conf_set(struct donor_conf *conf, const char *key, const char *value, struct ax_msg *msg);
/* What only shows when everything is known. Rounds sizes down to slabs. */
int donor_conf_check(struct donor_conf *conf, struct ax_msg *msg);
/* A key whose value differs and takes a restart to change, or NULL. */
const char *donor_conf_needs_restart(const struct donor_conf *now, const struct donor_conf *then);

#endif
