// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client in the shape of the stock SDK: the sequence of commands with which
 * its library takes a rank into use, loads, launches, polls, moves data and
 * looks at faults, with every check that the library makes, against a software
 * rank. It shares no code with our own client (pim_host.c).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../userspace-tools/pim/pim_asm.h"
#include "../../userspace-tools/pim/pim_rank.h"

#define CIS	8
#define LINES	8	/* DPUs of an interface */

static unsigned int test_nr, failures;
static struct pim_rank *rank;

/* What the library keeps of a rank. */
static uint8_t colour, fault_decode, fault_collide;
static uint64_t structure[CIS], selected_frame;
static uint8_t selected;	/* DPUs of each interface that commands are for */
static uint64_t data[CIS];
static unsigned int commits, updates;
static int mux = -1;

static void result(bool ok, const char *name)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", ++test_nr, name);
	failures += !ok;
}

static bool complain(const char *format, ...)
{
	va_list list;

	printf("# ");
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	putchar('\n');
	return false;
}

/* --- commands ----------------------------------------------------------------------- */

static void commit(const uint64_t commands[CIS])
{
	commits++;
	pim_rank_commit(rank, commands);
}

static void update(uint64_t results[CIS])
{
	updates++;
	pim_rank_update(rank, results);
}

/* As the library: valid and complete, the right colour, and for writes the right mask. */
static bool exec_mask(const uint64_t commands[CIS], bool check_mask)
{
	uint64_t masks[CIS] = { 0 }, expected[CIS] = { 0 };
	uint8_t cis = 0, want;
	bool done[CIS];

	for (int c = 0; c < CIS; c++) {
		done[c] = !commands[c];
		if (done[c])
			continue;
		cis |= (uint8_t)(1 << c);
		masks[c] = 0xff0000ff00000000ULL | (check_mask ? 0xff : 0);
		expected[c] = 0x000000ff00000000ULL | (check_mask ? selected : 0);
	}
	want = colour & cis;
	colour ^= cis;
	commit(commands);
	for (int retry = 0; retry < 100; retry++) {
		bool all = true;

		update(data);
		for (int c = 0; c < CIS; c++) {
			int bits = __builtin_popcountll(data[c] >> 48 & 0xff);
			bool set = want >> c & 1;

			if (done[c])
				continue;
			if (((data[c] & masks[c]) != expected[c] && data[c] >> 56 != 0xff) ||
			    (set ? bits <= 3 : bits >= 5)) {
				all = false;
				continue;
			}
			bits = set ? 8 - bits : bits;
			fault_decode |= (uint8_t)((bits & 1) << c);
			fault_collide |= (uint8_t)((bits >> 1 & 1) << c);
			done[c] = true;
		}
		if (all) {
			update(data);
			return true;
		}
	}
	return complain("time-out of 0x%016llx: 0x%016llx", (unsigned long long)commands[0],
			(unsigned long long)data[0]);
}

static bool exec(uint64_t word)
{
	uint64_t commands[CIS];

	for (int c = 0; c < CIS; c++)
		commands[c] = word;
	return exec_mask(commands, false);
}

/* A frame on all interfaces, its structure before it where that is another one. */
static bool frame(uint64_t s, uint64_t f, bool check_mask)
{
	uint64_t commands[CIS];
	bool any = false;

	for (int c = 0; c < CIS; c++) {
		commands[c] = structure[c] != (0x11ULL << 56 | s) ? 0x11ULL << 56 | s : 0;
		any |= commands[c];
		structure[c] = 0x11ULL << 56 | s;
	}
	if (any && !exec_mask(commands, false))
		return false;
	for (int c = 0; c < CIS; c++)
		commands[c] = 0x33ULL << 56 | f;
	return exec_mask(commands, check_mask);
}

static bool select_all(void)
{
	if (selected_frame == 0x0002ff08)
		return true;
	selected = 0xff;
	selected_frame = 0x0002ff08;
	return frame(0, selected_frame, false);
}

static bool select_dpu(int line)
{
	uint64_t f = 0x02ff000a | (uint64_t)line << 8;

	if (selected_frame == f)
		return true;
	selected = (uint8_t)(1 << line);
	selected_frame = f;
	return frame(2, f, false);
}

/* All interfaces answer with that. */
static bool all_are(uint32_t mask, uint32_t value)
{
	for (int c = 0; c < CIS; c++) {
		if ((data[c] & mask) != value)
			return complain("interface %d: 0x%x, not 0x%x", c, (uint32_t)data[c] & mask,
					value);
	}
	return true;
}

static bool dma_register(uint8_t at, uint8_t value, uint8_t kind)
{
	/* as the library does: a digit is 0x60 to 0x6f */
	uint64_t digits = 0x6060606060ULL | (uint64_t)(at >> 4) | (at & 15) << 8 |
			  (uint64_t)(value >> 4) << 16 | (uint64_t)(value & 15) << 24;

	return frame(0x02ff003f, digits | (uint64_t)kind << 40 | 0xa7ULL << 48, false);
}

static bool dma_clear(void)
{
	return frame(0x02ff003f, 0xa6ULL << 48, false);
}

/* An instruction in a frame; its bytes stand in the order of the hardware. */
static uint64_t embedded(uint64_t insn, uint8_t op)
{
	return (insn >> 16 & 0xff) | (insn >> 40 & 0xff) << 8 | (insn >> 32 & 0xff) << 16 |
	       (insn & 0xff) << 24 | (insn >> 8 & 0xff) << 32 | (insn >> 24 & 0xff) << 40 |
	       (uint64_t)op << 48;
}

static uint64_t thread_insn(uint64_t base, unsigned int t)
{
	return base | (uint64_t)(t & 15) << 20 | (uint64_t)(t >> 4) << 16;
}

static bool thread_op(uint64_t base, unsigned int t)
{
	return frame(0x0002003f, embedded(thread_insn(base, t), 0x98), false);
}

#define BOOT		0x7de320000000ULL
#define RESUME		0x7d6320000000ULL
#define CLR_RUN		0x7ce320000000ULL
#define READ_RUN	0x7c6330000000ULL

/* --- reset ------------------------------------------------------------------------------- */

static void soft_reset(uint8_t division)
{
	uint64_t commands[CIS];

	for (int c = 0; c < CIS; c++)
		commands[c] = 0x01ff00000000ff00ULL | division;
	commit(commands);
	for (int n = 0; n < 40; n++)
		update(data);
	colour = 0;
	selected_frame = 0;
	mux = -1;
	memset(structure, 0, sizeof(structure));
}

static bool byte_order(void)
{
	uint64_t commands[CIS];

	for (int c = 0; c < CIS; c++)
		commands[c] = 0x7777777777777777ULL;
	colour ^= 0xff;
	commit(commands);
	update(data);
	for (int c = 0; c < CIS; c++) {
		static const int bits[8] = { 7, 6, 5, 4, 8, 2, 1, 0 };

		for (int b = 0; b < 8; b++) {
			if (__builtin_popcountll(data[c] >> 8 * b & 0xff) != bits[b])
				return complain("interface %d: byte order 0x%016llx", c,
						(unsigned long long)data[c]);
		}
	}
	return true;
}

static bool bit_order(void)
{
	return exec(0x0100000000000000ULL) && all_are(0xffffffff, 0x0f884422) &&
	       exec(0x0100000000000000ULL | 0xe4e4ULL << 16 | 0xe4e4ULL << 32);
}

/* Thermal threshold, then the two buses. */
static bool carousel(void)
{
	return exec(0x01ff000000ff0000ULL | 0x78) && exec(0x01ff000000ffff00ULL | 5) &&
	       frame(2, 0x02ff0004 | 5 << 8, false) && frame(2, 0x02ff0005 | 2 << 8, false) &&
	       frame(0, 0x02ff07, false) && exec(0x01ff0000ff000000ULL | 9) &&
	       exec(0x01ff0000ff00ff00ULL | 3) && frame(0x020000bf, 9 | 0xf6ULL << 48, false) &&
	       frame(0, 0x02fff7, false);
}

static bool repairs(void)
{
	for (int line = 0; line < LINES; line++) {
		if (!select_dpu(line) || !frame(0x0a, 0x02ff00910090ULL, false) ||
		    !frame(0x0a, 0x02ff00930092ULL, false) || !frame(0, 0x02ff97, false) ||
		    !frame(0x02ff00a5017fULL, 0, false))
			return false;
		for (int bank = 0; bank < 4; bank++) {
			for (int n = 0; n < 6; n++) {
				if (!dma_register((uint8_t)(bank << 4 | n), 0, 0x40))
					return false;
			}
			if (!dma_clear())
				return false;
		}
	}
	return true;
}

static bool dma_engine(void)
{
	if (!select_all())
		return false;
	for (int at = 0x20; at <= 0x25; at++) {
		if (!dma_register((uint8_t)at, 0x11, 0x20))
			return false;
	}
	if (!dma_clear())
		return false;
	for (int at = 0xc0; at <= 0xff; at++) {
		if (!dma_register((uint8_t)at, (uint8_t)at, 0x20))
			return false;
	}
	if (!dma_clear())
		return false;
	for (int n = 0; n < LINES; n++) {
		if (!select_dpu((n + 4) % LINES) || !dma_register(0x83, (uint8_t)n, 0x20) ||
		    !dma_clear())
			return false;
	}
	return true;
}

static bool clear_debug(void)
{
	return select_all() && frame(0, 0x029c, false) && frame(0, 0x02ffb6, false) &&
	       frame(0, 0x02ffb2, false) && frame(0, 0x0282, false) && frame(0, 0x02f4, false) &&
	       frame(0, 0x02ff86, false) && frame(0, 0x02b0, false);
}

static bool clear_run_bits(void)
{
	for (unsigned int t = 0; t < 64; t++) {
		if (!thread_op(CLR_RUN, t))
			return false;
	}
	return true;
}

static bool pc_mode(void)
{
	if (!select_all() || !frame(0x02ff0000bfULL, 4 | 0xa4ULL << 48, false))
		return false;
	for (int line = 0; line < LINES; line++) {
		if (!select_dpu(line) || !frame(0, 0x0216, false) || !all_are(0xff, 4))
			return false;
	}
	return true;
}

static bool stack_up(void)
{
	return select_all() && frame(0, 0x02f2, false) && frame(0, 0x02f2, false) &&
	       all_are(0xff, 0xff);
}

static bool iram_write(uint32_t at, const uint64_t *words, uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		uint64_t s = 0x02470000ffULL | (uint64_t)((at + n) >> 8) << 16;

		uint64_t f = (words[n] & 0xffffffffffffULL) | (uint64_t)((at + n) & 0xff) << 48;

		if (!frame(s, f, true))
			return false;
	}
	return true;
}

static bool poll(uint8_t running[CIS], uint8_t faults[CIS])
{
	if (!select_all() || !frame(0, 0x0284, false))
		return false;
	for (int c = 0; c < CIS; c++)
		running[c] = (uint8_t)data[c];
	if (!frame(0, 0x0280, false))
		return false;
	for (int c = 0; c < CIS; c++) {
		faults[c] = (uint8_t)data[c];
		running[c] &= (uint8_t)~faults[c];
	}
	return true;
}

static bool wait_for_all(uint8_t faults[CIS])
{
	for (int n = 0; n < 100000; n++) {
		uint8_t running[CIS];
		bool any = false;

		if (!poll(running, faults))
			return false;
		for (int c = 0; c < CIS; c++)
			any |= running[c];
		if (!any)
			return true;
		pim_rank_wait(rank, 1000000);
	}
	return complain("DPUs do not stop");
}

/* A program from the assembler; its words, and the number of them. */
static uint32_t program(const char *text, uint64_t words[64])
{
	struct pim_asm *as = pim_asm_create();
	uint32_t count = 0, wram, mram;

	if (pim_asm_add(as, "program", text, strlen(text)) || pim_asm_link(as))
		complain("%s", pim_asm_message(as));
	else
		pim_asm_sizes(as, &count, &wram, &mram);
	for (uint32_t n = 0; n < count && n < 64; n++)
		words[n] = pim_asm_insn(as, n);
	pim_asm_destroy(as);
	return count;
}

/* A few instructions that each thread runs: clears its atomic bits and the counter. */
static bool internal_state_reset(void)
{
	uint64_t words[64];
	uint32_t count = program("sub r0, 255, id\n"
				 "again: release r0, 0, nz, next\n"
				 "next: sub r0, r0, 24, pl, again\n"
				 "move r1, 7\n"
				 "time_cfg zero, r1\n"
				 "stop true, 0\n", words);
	uint8_t running[CIS], faults[CIS];

	if (!count || !select_all() || !iram_write(0, words, count))
		return false;
	for (unsigned int t = 0; t < 24; t++) {
		if (!thread_op(BOOT, t))
			return false;
	}
	/* the library does not wait long for so little */
	for (int n = 0; n < 3; n++) {
		bool any = false;

		if (!poll(running, faults))
			return false;
		for (int c = 0; c < CIS; c++)
			any |= running[c] || faults[c];
		if (!any)
			return true;
	}
	return complain("the reset program does not end at once");
}

static bool switch_mux(int dpu)
{
	if (mux == dpu)
		return true;
	if (!select_all() || !dma_register(0x80, (uint8_t)dpu, 0x20) ||
	    !dma_register(0x81, 0, 0x20) ||
	    !dma_register(0x82, (uint8_t)dpu, 0x20) || !dma_register(0x84, (uint8_t)dpu, 0x20) ||
	    !dma_clear() || !dma_register(0xff, 0x02, 0x20) || !dma_clear())
		return false;
	for (int line = 0; line < LINES; line++) {
		if (!select_dpu(line) || !frame(0, 0x0210, false) || !all_are(0x7f, dpu ? 3 : 0))
			return false;
	}
	mux = dpu;
	return true;
}

static bool groups(void)
{
	return select_all() && frame(2, 0x02ff000c, false);
}

static void reset(void)
{
	result(byte_order(), "reset: byte order");
	soft_reset(0);
	result(bit_order(), "reset: bit order");
	soft_reset(4);
	result(exec(0x0100000000000000ULL) && exec(0x01ff000000000000ULL) && all_are(0xffffffff, 0),
	       "reset: chip id");
	result(carousel(), "reset: thermal threshold and bus timing");
	result(repairs(), "reset: repairs of IRAM and WRAM");
	result(dma_engine(), "reset: DMA engine and wave generator");
	result(clear_debug(), "reset: debug state");
	result(clear_run_bits(), "reset: run bits");
	result(pc_mode(), "reset: program counters of 16 bits");
	result(stack_up(), "reset: stack bits");
	result(internal_state_reset(), "reset: internal state, by a program in 24 threads");
	result(switch_mux(0), "reset: MRAM to the host");
	result(groups(), "reset: groups");
	result(!fault_decode && !fault_collide, "reset: no command was misunderstood");
	printf("# %u commits, %u updates\n", commits, updates);
}

/* --- a program ------------------------------------------------------------------------------ */

static uint64_t lw(uint32_t at)
{
	return 0x706344000000ULL | (uint64_t)(at & 15) << 20 | (uint64_t)(at >> 4 & 15) << 16 |
	       (uint64_t)(at >> 8 & 1) << 15 | (uint64_t)(at >> 9 & 1) << 14 |
	       (uint64_t)(at >> 10 & 1) << 13 | (uint64_t)(at >> 11 & 1) << 12 | at >> 12;
}

static uint64_t sw(uint32_t at)
{
	return 0x7c6044000000ULL | (uint64_t)(at & 15) << 20 | (uint64_t)(at >> 4 & 7) << 39 |
	       (uint64_t)(at >> 7 & 1) << 24 | (uint64_t)(at >> 8 & 1) << 15 |
	       (uint64_t)(at >> 9 & 1) << 14 | (uint64_t)(at >> 10 & 1) << 13 |
	       (uint64_t)(at >> 11 & 1) << 12 | at >> 12;
}

/* A word of WRAM of all selected DPUs; checks the mask that comes back. */
static bool wram_write(uint32_t at, uint32_t value)
{
	uint64_t insn = sw(at), q = embedded(insn, 0);

	return frame(0x3ff | (q >> 24 & 0xffffff) << 16 | 0x99ULL << 40,
		     value | (q & 0xffffff) << 32, true);
}

static bool wram_read(uint32_t at)
{
	return frame(0x0002003f, embedded(lw(at), 0x99), false);
}

/* Each DPU doubles a vector in MRAM, sums it up and stores the sum. */
static const char doubler[] =
	"	lw	r0, zero, 64		// bytes\n"
	"	move	r1, 0			// done\n"
	"	move	r2, 0			// sum\n"
	"block:	sub	zero, r1, r0, geu, end\n"
	"	move	r3, 1024\n"
	"	add	r4, r1, 0x08000000\n"
	"	ldma	r3, r4, 31\n"
	"	add	r5, r3, 256\n"
	"word:	lw	r6, r3, 0\n"
	"	add	r6, r6, r6\n"
	"	add	r2, r2, r6\n"
	"	sw	r3, 0, r6\n"
	"	add	r3, r3, 4\n"
	"	sub	zero, r3, r5, ltu, word\n"
	"	move	r3, 1024\n"
	"	sdma	r3, r4, 31\n"
	"	add	r1, r1, 256\n"
	"	jump	block\n"
	"end:	sw	zero, 68, r2\n"
	"	stop\n";

#define BYTES	65536

static bool transfer(uint32_t *const vectors[64], bool write)
{
	struct pim_matrix m = { .offset = 0, .size = BYTES };

	if (!switch_mux(0))
		return false;
	for (int n = 0; n < 64; n++)
		m.ptr[n] = vectors[n];
	return !(write ? pim_rank_write(rank, &m) : pim_rank_read(rank, &m));
}

static bool launch(void)
{
	uint8_t running[CIS], faults[CIS];

	return poll(running, faults) && switch_mux(1) && select_all() && thread_op(BOOT, 0);
}

static void run_program(void)
{
	static uint32_t storage[64][BYTES / 4], sums[64];
	uint32_t *vectors[64], count;
	uint64_t words[64], back = 0;
	uint8_t faults[CIS] = { 0 };
	bool ok = true;

	count = program(doubler, words);
	result(count && select_all() && iram_write(0, words, count), "load: IRAM");
	ok = select_dpu(3);
	for (unsigned int n = 0; n < 6; n++) {
		ok = ok && frame(3, 0x02000000 | (0x40 + n) << 16 | (count - 1), false);
		back |= (data[5] & 0xff) << 8 * n;
	}
	result(ok && back == words[count - 1], "load: IRAM read back");
	result(select_all() && wram_write(64, BYTES) && select_dpu(6) && wram_read(64) &&
	       all_are(0xffffffff, BYTES), "load: WRAM written and read back");
	for (int n = 0; n < 64; n++) {
		vectors[n] = storage[n];
		for (int k = 0; k < BYTES / 4; k++) {
			storage[n][k] = (uint32_t)(n * 1000003 + k * 7919);
			sums[n] += 2 * storage[n][k];
		}
	}
	result(transfer(vectors, true), "transfer: to MRAM of 64 DPUs");
	result(launch() && wait_for_all(faults), "launch and poll");
	for (int c = 0; c < CIS; c++)
		ok = ok && !faults[c];
	for (int line = 0; line < LINES; line++) {
		ok = ok && select_dpu(line) && wram_read(68);
		for (int c = 0; c < CIS; c++)
			ok = ok && (uint32_t)data[c] == sums[line * CIS + c];
	}
	result(ok, "results: 64 sums in WRAM");
	memset(storage, 0, sizeof(storage));
	ok = transfer(vectors, false);
	for (int n = 0; n < 64; n++) {
		for (int k = 0; k < BYTES / 4; k++)
			ok = ok && storage[n][k] == 2 * (uint32_t)(n * 1000003 + k * 7919);
	}
	result(ok, "transfer: from MRAM of 64 DPUs");
}

/* --- faults ------------------------------------------------------------------------------ */

/* On DPU 2 of interface 1 alone: kind is the frame that asks, thread the one for its thread. */
static bool fault_of(const char *text, uint64_t kind, uint64_t thread, uint32_t want_pc)
{
	uint8_t faults[CIS], running[CIS];
	uint64_t words[64];
	uint32_t count = program(text, words), pc;
	bool ok = count && select_all() && iram_write(0, words, count) && wram_write(0, 0) &&
		  select_dpu(2);
	uint64_t one[CIS] = { 0 };

	/* a word in WRAM tells the one DPU that it is the one: only interface 1 gets this */
	one[1] = 0x11ULL << 56 | 0x3ff | (embedded(sw(0), 0) >> 24 & 0xffffff) << 16 |
		 0x99ULL << 40;
	ok = ok && exec_mask(one, false);
	one[1] = 0x33ULL << 56 | 1 | (embedded(sw(0), 0) & 0xffffff) << 32;
	ok = ok && exec_mask(one, true);
	structure[1] = 0;
	ok = ok && launch() && wait_for_all(faults);
	for (int c = 0; ok && c < CIS; c++) {
		if (faults[c] != (c == 1 ? 4 : 0))
			ok = complain("interface %d: DPUs 0x%x in fault", c, faults[c]);
	}
	/* it counts as running for those who ask for that alone, as in hardware */
	ok = ok && select_all() && frame(0, 0x0284, false) && (uint8_t)data[1] == 4;
	ok = ok && select_dpu(2) && frame(0, kind, false) && (uint8_t)data[1] == 4 &&
	     !(uint8_t)data[0];
	ok = ok && frame(0, thread, false) && (uint8_t)data[1] == 5;
	ok = ok && frame(0, 0x0214, false);
	pc = (uint32_t)data[1] & 0x3f;
	ok = ok && frame(0, 0x0215, false);
	pc |= (uint32_t)(data[1] & 0xff) << 6;
	if (ok && pc != want_pc + 1)
		ok = complain("program counter %u, not %u", pc, want_pc + 1);
	/* and away with it */
	ok = ok && clear_debug() && clear_run_bits() && poll(running, faults) && !faults[1] &&
	     !running[1];
	return ok;
}

/* Thread 0 starts thread 5, which does it. */
#define ON_THREAD_5(what) \
	"lw r0, zero, 0\n" \
	"sub zero, id, 5, z, five\n" \
	"sub zero, r0, 0, z, end\n" \
	"boot zero, 5\n" \
	"end: stop\n" \
	"five: " what "\n" \
	"stop\n"

static void faults(void)
{
	result(fault_of(ON_THREAD_5("fault 3"), 0x02b0, 0x0212, 5), "fault: breakpoint");
	result(fault_of(ON_THREAD_5("lw r1, zero, 65536"), 0x02f4, 0x0213, 5),
	       "fault: WRAM access outside");
	result(fault_of(ON_THREAD_5("lw r1, zero, 2"), 0x02f4, 0x0213, 5),
	       "fault: WRAM access not aligned");
	result(fault_of("move r8, 0x07ffffff\nlw r0, zero, 0\nsub zero, id, 5, z, five\n"
			"sub zero, r0, 0, z, end\nboot zero, 5\nend: stop\n"
			"five: ldma zero, r8, 1\nstop\n", 0x0282, 0x0211, 6),
	       "fault: DMA beyond MRAM");
}

/* --- what is wrong on purpose --------------------------------------------------------------- */

static void bad_commands(void)
{
	uint64_t commands[CIS] = { 0 };

	/* a frame that does not exist: the colour says so, and the answer comes */
	fault_decode = 0;
	commands[4] = 0x33ULL << 56 | 0x02cc;
	commands[0] = 0x33ULL << 56 | 0x0280;
	structure[0] = 0;
	structure[4] = 0;
	{
		uint64_t s[CIS] = { 0 };

		s[0] = 0x11ULL << 56;
		s[4] = s[0];
		result(exec_mask(s, false) && exec_mask(commands, false) && fault_decode == 1 << 4,
		       "an unknown frame is reported as such");
	}
	fault_decode = 0;
	pim_rank_inject_ci(rank, 2, PIM_CI_INJECT_COLLISION, 1);
	result(select_all() && frame(0, 0x0284, false) && fault_collide == 1 << 2,
	       "a collision is reported as such");
	pim_rank_inject_ci(rank, 7, PIM_CI_INJECT_SILENT, 1);
	puts("# a time-out is to follow");
	result(!exec(0x01ff000000000000ULL), "an interface that is silent makes a time-out");
}

int main(void)
{
	rank = pim_rank_create(NULL);
	if (!rank) {
		puts("Bail out! no rank");
		return 1;
	}
	printf("KTAP version 1\n1..28\n");
	reset();
	run_program();
	faults();
	bad_commands();
	pim_rank_destroy(rank);
	return failures != 0;
}
