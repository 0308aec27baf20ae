/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What pure kernel logic needs of the kernel, for the unit tests in user space. Only what is used:
 * code which wants more than this is not pure.
 */
#ifndef KSHIM_H
#define KSHIM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile __typeof__(x) *)&(x) = (v))

#define min(a, b)		((a) < (b) ? (a) : (b))
#define max(a, b)		((a) > (b) ? (a) : (b))
#define hweight64(w)		((u32)__builtin_popcountll(w))

/* A warning in the kernel is a failure here. */
#define WARN_ON_ONCE(cond) ({						\
	bool warn_ = !!(cond);						\
	if (warn_) {							\
		fprintf(stderr, "%s:%d: WARN_ON_ONCE(%s)\n", __FILE__, __LINE__, #cond); \
		abort();						\
	}								\
	warn_;								\
})

#endif
