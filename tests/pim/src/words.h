/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests' provider (provider.c) understands: commands 0x01 OP ARGUMENT
 * of its own, so that a test can make it do what no good provider does. OP is
 * in bits 48..55, ARGUMENT in bits 0..31. The answer is complete and valid, with
 * 32 bits of result, unless said otherwise.
 */
#ifndef PIM_TEST_WORDS_H
#define PIM_TEST_WORDS_H

#include <stdint.h>

enum {
	W_ECHO = 1,	/* result: the argument, complemented */
	W_SET,		/* keep the argument, by interface; result: the one before */
	W_GET,		/* result: the one kept */
	W_HANG,		/* never answered */
	W_DIE,		/* kills itself */
	W_BAD_TAG,	/* completes a request that there is not */
	W_BAD_SEQ,	/* a request that was answered long ago */
	W_BAD_RESULT,	/* with a positive result */
	W_BAD_RESERVED,	/* with something in the reserved words */
	W_BAD_COUNT,	/* more completions than there are requests */
	W_ERROR,	/* fails the request */
	W_PENDING,	/* the answer is incomplete, until the third update after */
	W_COPY,		/* DPU 0: the 8 bytes of MRAM at the argument, complemented, behind them */
	W_SLOW,		/* as W_ECHO, after as many milliseconds */
	W_RUN,		/* the argument: does a DPU run? Until the next one, or a reset */
};

#define WORD(op, arg)	(0x0100000000000000ull | (uint64_t)(op) << 48 | (uint32_t)(arg))
#define ANSWER(value)	(0x000000ff00000000ull | (uint32_t)(value))

#endif
