/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The key file: who may have how much.
 *
 *	# comment
 *	NAME HEX [quota=SIZE]
 *
 * NAME: [A-Za-z0-9][A-Za-z0-9_.-]{0,30}; HEX: 32 to 128 hexadecimal digits;
 * quota: most bytes that the clients with this key may hold together (without:
 * the donor's default). A client uses a file of the same form and takes the
 * line that it is told, by default the first.
 */
#ifndef DONOR_KEY_H
#define DONOR_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/ax_err.h"
#include "donor_auth.h"

#define DONOR_KEY_NAME	32

struct donor_key {
	char name[DONOR_KEY_NAME];
	struct donor_secret secret;
	uint64_t id;		/* donor_auth_key_id() */
	uint64_t quota;		/* bytes; UINT64_MAX: not given */
};

struct donor_keys {
	struct donor_key *key;
	unsigned int nr;
};

/* Parse a file's text. Returns 0, or -1 with the reason ("line 3: ..."), without any key in it. */
int donor_keys_parse(const char *text, size_t len, struct donor_keys *keys, struct ax_msg *msg);
/* The same from a file, which must be nobody else's to read. */
int donor_keys_load(const char *path, struct donor_keys *keys, struct ax_msg *msg);
void donor_keys_free(struct donor_keys *keys);

const struct donor_key *donor_keys_by_id(const struct donor_keys *keys, uint64_t id);
/* NULL name: the first */
const struct donor_key *donor_keys_by_name(const struct donor_keys *keys, const char *name);

/* Append a new random key to a file, made with mode 0600 if it is not there. */
int donor_keys_add(const char *path, const char *name, const char *quota, struct ax_msg *msg);

#endif
