// SPDX-License-Identifier: GPL-2.0-or-later
//
// Copies 16 MiB of MRAM to the next 16 MiB in units of 2048 bytes, `rounds`
// times; one tasklet, for the engine is one.

	.text
	lw	r20, zero, rounds
	move	r1, buffer
	move	r4, 16 << 20
again:
	move	r2, 0
unit:
	add	r3, r2, 0x08000000
	ldma	r1, r3, 255
	add	r3, r3, r4
	sdma	r1, r3, 255
	add	r2, r2, 2048
	sub	zero, r2, r4, nz, unit
	sub	r20, r20, 1, nz, again
	stop

	.data
	.align 8
rounds:
	.word	1

	.bss
	.align 8
buffer:
	.space	2048
