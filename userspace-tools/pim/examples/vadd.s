// SPDX-License-Identifier: GPL-2.0-or-later
//
// Vector addition and checksum, one DPU's part: sum[i] = a[i] + b[i] in 32
// bits, and checksum = the sum of all sum[i] modulo 2^32.
//
//   dpu-as -o vadd.dpu vadd.s
//   dpu-run -n 64 -s nr_blocks=8 -i a:8192=a.%d -i b:8192=b.%d \
//           -o sum:8192=sum.%d -p checksum vadd.dpu
//
// The vectors are in MRAM, in blocks of BLOCK bytes. 16 tasklets take the
// blocks in turn, each through three buffers of its own in WRAM; an atomic bit
// protects the checksum.

	.set NR_TASKLETS, 16
	.set BLOCK, 1024
	.set MAX_BYTES, 16 << 20

	.text
	.global start
start:
	// each tasklet starts the next one
	add	r0, id, 1
	sub	zero, r0, NR_TASKLETS, geu, started
	boot	r0, 0
started:
	lw	r1, zero, nr_blocks
	lsl	r3, id, 10			// this tasklet's place in the buffers
	move	r2, id				// number of the block
	move	r6, 0				// this tasklet's part of the checksum
next_block:
	sub	zero, r2, r1, geu, all_done
	lsl	r4, r2, 10			// offset of the block
	add	r7, r3, buffer_a
	add	r8, r4, a
	ldma	r7, r8, BLOCK / 8 - 1
	add	r9, r3, buffer_b
	add	r8, r4, b
	ldma	r9, r8, BLOCK / 8 - 1
	add	r10, r3, buffer_sum
	add	r11, r7, BLOCK
add_words:
	lw	r12, r7, 0
	lw	r13, r9, 0
	add	r12, r12, r13
	add	r6, r6, r12
	sw	r10, 0, r12
	add	r7, r7, 4
	add	r9, r9, 4
	add	r10, r10, 4
	sub	zero, r7, r11, ltu, add_words
	add	r10, r3, buffer_sum
	add	r8, r4, sum
	sdma	r10, r8, BLOCK / 8 - 1
	add	r2, r2, NR_TASKLETS
	jump	next_block
all_done:
	acquire	zero, lock, nz, .
	lw	r0, zero, checksum
	add	r0, r0, r6
	sw	zero, checksum, r0
	release	zero, lock, nz, . + 1
	stop

	// what the host reads and writes by name
	.host
	.align 8
	.global nr_blocks
nr_blocks:
	.word	0
	.global checksum
checksum:
	.word	0

	.bss
	.align 8
buffer_a:
	.space	NR_TASKLETS * BLOCK
buffer_b:
	.space	NR_TASKLETS * BLOCK
buffer_sum:
	.space	NR_TASKLETS * BLOCK

	.section .mram.noinit
	.align 8
	.global a
a:
	.space	MAX_BYTES
	.global b
b:
	.space	MAX_BYTES
	.global sum
sum:
	.space	MAX_BYTES

	.atomic
lock:
	.space	1
