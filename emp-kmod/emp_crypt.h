/* SPDX-License-Identifier: GPL-2.0-only */
/* What is on tiers is encrypted (EMP_F_ENCRYPT). */
#ifndef EMP_CRYPT_H
#define EMP_CRYPT_H

#include "emp_region.h"

struct emp_io;
struct emp_tier;

#if IS_ENABLED(CONFIG_CRYPTO_SKCIPHER)
int emp_crypt_init(struct emp_region *r);
void emp_crypt_exit(struct emp_region *r);
int emp_crypt_tier_init(struct emp_tier *t);
void emp_crypt_tier_exit(struct emp_tier *t);
bool emp_crypt_room(const struct emp_io *io, size_t len);
bool emp_crypt_begins(struct emp_io *io);
bool emp_crypt_ends(struct emp_io *io);
int emp_crypt_start(void);
void emp_crypt_stop(void);
#else
static inline int emp_crypt_init(struct emp_region *r)
{
	return r->flags & EMP_F_ENCRYPT ? -ENOENT : 0;
}

static inline void emp_crypt_exit(struct emp_region *r) { }
static inline int emp_crypt_tier_init(struct emp_tier *t) { return 0; }
static inline void emp_crypt_tier_exit(struct emp_tier *t) { }
static inline bool emp_crypt_room(const struct emp_io *io, size_t len) { return true; }
static inline bool emp_crypt_begins(struct emp_io *io) { return false; }
static inline bool emp_crypt_ends(struct emp_io *io) { return false; }
static inline int emp_crypt_start(void) { return 0; }
static inline void emp_crypt_stop(void) { }
#endif

#endif
