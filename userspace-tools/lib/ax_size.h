/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers as people write them: sizes with binary suffixes, durations.
 * All parsers are strict: no sign, no space, no trailing text, no overflow.
 */
#ifndef AX_SIZE_H
#define AX_SIZE_H

#include <stddef.h>
#include <stdint.h>

enum ax_num {
	AX_NUM_OK	= 0,
	AX_NUM_EMPTY	= -1,	/* no digits */
	AX_NUM_JUNK	= -2,	/* something follows the number */
	AX_NUM_RANGE	= -3,	/* does not fit */
};

/* Decimal digits, nothing else. */
int ax_parse_u64(const char *text, size_t len, uint64_t *value);
/* Digits and at most one suffix of b k m g t p (either case, powers of 1024). */
int ax_parse_size(const char *text, size_t len, uint64_t *bytes);
/* Digits and ms, s or m; without a suffix seconds. */
int ax_parse_ms(const char *text, size_t len, uint64_t *ms);

/* "1.5 GiB", "64 KiB", "0": at most 12 characters with the NUL. */
#define AX_HUMAN 16
const char *ax_human_size(uint64_t bytes, char out[AX_HUMAN]);
/* Exact, with the largest suffix that divides: "2M", "131073". */
const char *ax_exact_size(uint64_t bytes, char out[AX_HUMAN + 8]);
/* "850 ns", "12.7 us", "3.4 ms", "1.2 s" */
const char *ax_human_ns(double ns, char out[AX_HUMAN]);

#endif
