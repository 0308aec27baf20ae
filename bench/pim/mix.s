// SPDX-License-Identifier: GPL-2.0-or-later
//
// What compiled code does, in a loop that ends after `rounds`: loads and
// stores of all widths, additions with carry, shifts, compare and jump,
// calls, a multiplication by steps. 16 tasklets, each on 64 words of its own.

	.set NR_TASKLETS, 16

	.text
start:
	add	r0, id, 1
	sub	zero, r0, NR_TASKLETS, geu, started
	boot	r0, 0
started:
	lw	r20, zero, rounds
	lsl	r14, id, 8
	add	r14, r14, data			// 64 words
	move	r15, 0x9e3779b9
	add	r15, id, r15
again:
	move	r16, 0				// offset
	move	r18, 0				// 64-bit sum in d18
	move	r19, 0
word:
	add	r0, r14, r16
	lw	r1, r0, 0
	xor	r1, r1, r15
	lsl_add	r15, r1, r15, 5
	lsr	r2, r15, 11
	add	r1, r1, r2
	sw	r0, 0, r1
	add	r19, r19, r1
	addc	r18, r18, 0
	lbu	r3, r0, 1
	extsb	r3, r3
	sub	zero, r3, 0, lts, negative
	add	r15, r15, r3
	jump	join
negative:
	sub	r15, r15, r3
join:
	sh	r0, 2, r15
	and	zero, r1, 31, nz, no_call
	move	r0, r1
	move	r2, 1000003
	call	r23, multiply
	xor	r15, r15, r1
no_call:
	add	r16, r16, 4
	sub	zero, r16, 256, ltu, word
	add	r1, r14, 248
	sd	r1, 0, d18
	sub	r20, r20, 1, nz, again
	sw	id4, results, r15
	stop

	// r1 = low 32 bits of r0 * r2, by steps on d0
multiply:
	sub	zero, r0, r2, leu, smaller
	move	r3, r0
	move	r0, r2
	move	r2, r3
smaller:
	move	r1, 0
	mul_step d0, r2, d0, 0, z, multiplied
	mul_step d0, r2, d0, 1, z, multiplied
	mul_step d0, r2, d0, 2, z, multiplied
	mul_step d0, r2, d0, 3, z, multiplied
	mul_step d0, r2, d0, 4, z, multiplied
	mul_step d0, r2, d0, 5, z, multiplied
	mul_step d0, r2, d0, 6, z, multiplied
	mul_step d0, r2, d0, 7, z, multiplied
	mul_step d0, r2, d0, 8, z, multiplied
	mul_step d0, r2, d0, 9, z, multiplied
	mul_step d0, r2, d0, 10, z, multiplied
	mul_step d0, r2, d0, 11, z, multiplied
	mul_step d0, r2, d0, 12, z, multiplied
	mul_step d0, r2, d0, 13, z, multiplied
	mul_step d0, r2, d0, 14, z, multiplied
	mul_step d0, r2, d0, 15, z, multiplied
	mul_step d0, r2, d0, 16, z, multiplied
	mul_step d0, r2, d0, 17, z, multiplied
	mul_step d0, r2, d0, 18, z, multiplied
	mul_step d0, r2, d0, 19, z, multiplied
multiplied:
	jump	r23

	.data
	.align 8
rounds:
	.word	1
results:
	.space	NR_TASKLETS * 4

	.bss
	.align 8
data:
	.space	NR_TASKLETS * 256
