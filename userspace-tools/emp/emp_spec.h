/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text that describes a region's memory ("mem-path"), emp-spec(5).
 *
 *	spec  := [quote] item { sep item } [quote]	quote: ' or "
 *	item  := tier | KEY=VALUE			sep: | , and before KEY=VALUE also a comma
 *	tier  := dram:MB | dram:-1
 *	       | /dev/BLOCK:MB:BASE_MB
 *	       | HOST:MB:PORT			HOST: IPv4, [IPv6] or a name
 *	       | memdev:MB:[-]NODE
 *
 * This file is pure: it opens nothing, looks nothing up, allocates nothing.
 */
#ifndef EMP_SPEC_H
#define EMP_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#define EMP_SPEC_TIERS		64	/* besides dram */
#define EMP_SPEC_LOCATION	256	/* bytes of a path or host name with its NUL */
#define EMP_SPEC_WORD		33
#define EMP_SPEC_PORT		19675	/* the ancestor's default donor port */

enum emp_spec_type {
	EMP_SPEC_BLOCK,		/* a block device */
	EMP_SPEC_RDMA,		/* a memory donor on another machine */
	EMP_SPEC_MEMDEV,	/* memory of a NUMA node */
};

struct emp_spec_tier {
	enum emp_spec_type type;
	unsigned int column;	/* where it stands in the text, from 1 */
	uint64_t bytes;
	uint64_t base;		/* block: bytes into the device */
	unsigned int port;	/* rdma */
	unsigned int node;	/* memdev */
	bool user_buffer;	/* memdev: the node was given as -N */
	char location[EMP_SPEC_LOCATION];	/* path or host */
};

/* enum emp_spec_key - the keyed items; emp_spec.given has their bits */
enum emp_spec_key {
	EMP_KEY_BLOCK,
	EMP_KEY_SUBBLOCK,
	EMP_KEY_MAP,
	EMP_KEY_WIPE,
	EMP_KEY_CHECKSUM,
	EMP_KEY_OVERCOMMIT,
	EMP_KEY_PINNABLE,
	EMP_KEY_PIN_LIMIT,
	EMP_KEY_FORCE,
	EMP_KEY_NAME,
	EMP_KEY_UID,
	EMP_KEY_GID,
	EMP_KEY_MODE,
	EMP_KEY_DEADLINE,
	EMP_KEY_QUEUE,
	EMP_KEY_KEY,
	EMP_KEY_REDUNDANCY,
	EMP_KEY_MIRROR,
	EMP_KEY_ENCRYPT,
	EMP_KEYS,
};

enum emp_spec_check {
	EMP_CHECK_NONE,
	EMP_CHECK_SUM,		/* checksum=1 */
	EMP_CHECK_MAC,		/* checksum=mac */
};

struct emp_spec {
	bool has_dram;
	bool dram_cgroup;	/* dram:-1: the caller's cgroup memory limit */
	uint64_t dram;		/* bytes; 0 with dram_cgroup */
	unsigned int nr_tiers;
	struct emp_spec_tier tiers[EMP_SPEC_TIERS];

	uint32_t given;		/* 1u << enum emp_spec_key */
	uint32_t block, subblock;	/* bytes */
	uint32_t map;		/* enum emp_map */
	uint32_t wipe;		/* enum emp_wipe */
	uint32_t redundancy;	/* enum emp_redundancy */
	enum emp_spec_check checksum;
	bool overcommit, pinnable, force, encrypt;
	char name[32];
	char uid[EMP_SPEC_WORD], gid[EMP_SPEC_WORD];	/* number or name */
	uint32_t mode;
	uint64_t pin_limit;	/* bytes */
	uint32_t deadline_ms;
	uint32_t queue_depth;
	char key[EMP_SPEC_LOCATION];	/* of the donors: FILE[:NAME] or none; "": default */
};

struct emp_spec_error {
	unsigned int column;	/* from 1 */
	char text[256];
};

/* Returns 0, or -1 with *error set; @spec is valid only after 0. */
int emp_spec_parse(const char *text, struct emp_spec *spec, struct emp_spec_error *error);

/*
 * As -mem-path takes it: is this one of our specs, or an ordinary path for
 * QEMU itself? A path has no colon and no bar.
 */
bool emp_spec_looks_like(const char *text);

/* [a-z0-9][a-z0-9_.-]{0,30} */
bool emp_name_valid(const char *name);

static inline bool emp_spec_has(const struct emp_spec *spec, enum emp_spec_key key)
{
	return spec->given & (1u << key);
}

#endif
