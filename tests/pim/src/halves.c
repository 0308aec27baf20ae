// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program on all 64 DPUs of a rank that stops in the middle, with something of
 * its own in everything that a DPU has, and is told to go on later.
 *
 * usage: halves DEVICE		(-: a rank in this process, saved and restored in between)
 *
 * Takes lines from standard input, and prints "done" for each, or what was wrong, and
 * ends with 1:
 *	begin SEED	take the rank into use, load, run the first half
 *	look SEED	what can be seen without going on is there
 *	go SEED		run the second half, and see whether its results are right
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../userspace-tools/pim/pim_asm.h"
#include "../../../userspace-tools/pim/pim_host.h"

#define BROKEN	7u	/* this one ends in a fault, in its first half */
#define CANARY	0x123456789abcull
#define RESUME	0x7d6320000000ull
#define MRAM_AT	0x3fff00u

/* Registers, the carry flag, an atomic bit, WRAM and MRAM go from half to half. */
static const char text[] =
	"	add	r0, id, 1\n"
	"	sub	zero, r0, 24, geu, first\n"
	"	boot	r0, 0\n"
	"first:	lw	r9, zero, broken\n"
	"	sub	zero, r9, 0, z, whole\n"
	"	fault	9\n"
	"whole:	lw	r1, zero, seed\n"
	"	add	r2, id4, r1\n"
	"	add	r3, r2, 3\n"
	"	add	r23, r2, 23\n"
	"	acquire	id, 100, true, . + 1\n"
	"	sw	id4, between, r3\n"
	"	sub	zero, id, 0, nz, half\n"
	"	move	r10, seed\n"
	"	move	r11, 0x3fff00\n"
	"	sdma	r10, r11, 0\n"
	"half:	add	r4, lneg, 1\n"		/* carry */
	"	stop\n"
	"	addc	r5, r3, r23\n"		/* 2 * seed + 8 * id + 26 + 1 */
	"	acquire	id, 100, nz, was\n"
	"	move	r5, 0\n"
	"was:	lw	r6, id4, between\n"
	"	add	r5, r5, r6\n"		/* + seed + 4 * id + 3 */
	"	lsl	r13, id, 3\n"
	"	add	r12, r13, room\n"
	"	move	r11, 0x3fff00\n"
	"	ldma	r12, r11, 0\n"
	"	lw	r7, r12, 0\n"
	"	add	r5, r5, r7\n"		/* + seed */
	"	sw	id4, results, r5\n"
	"	stop\n"
	"	.data\n"
	"	.p2align 3\n"
	"	.global seed\n"
	"seed:	.word 0, 0\n"
	"	.global broken\n"
	"broken: .word 0, 0\n"
	"	.global between\n"
	"between: .space 96\n"
	"	.global results\n"
	"results: .space 96\n"
	"room:	.space 192\n";

static struct pim_backend backend;
static struct pim_host host;
static struct pim_program program;
static struct ax_msg msg;

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	printf("not as expected: %s %s\n", what, msg.text);
	exit(1);
}

#define NEED(cond) need(cond, #cond)

static void assemble(void)
{
	struct pim_asm *as = pim_asm_create();
	char *bytes = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&bytes, &size);
	bool ok = !pim_asm_add(as, "halves", text, strlen(text)) && !pim_asm_link(as) &&
		  !pim_asm_write(as, file);

	if (!ok)
		printf("%s\n", pim_asm_message(as));
	fclose(file);
	NEED(ok);
	NEED(!pim_elf_read(bytes, size, &program, &msg));
	free(bytes);
	pim_asm_destroy(as);
}

static const struct pim_symbol *symbol(const char *name)
{
	const struct pim_symbol *s = pim_program_symbol(&program, name);

	need(s, name);
	return s;
}

static uint32_t seed_of(uint32_t seed, unsigned int dpu)
{
	return seed * 1000003u + dpu * 977u;
}

static void wait_for_all(void)
{
	uint64_t faults;

	NEED(!pim_host_wait(&host, 600000, &faults, &msg));
	NEED(faults == 1ull << BROKEN);
}

static void fault_is_known(void)
{
	struct pim_host_fault fault;

	NEED(!pim_host_fault(&host, BROKEN, &fault, &msg));
	NEED(fault.kind == PIM_FAULT_BREAKPOINT && fault.number == 9);
}

static void begin(uint32_t seed)
{
	uint64_t canary = CANARY ^ seed;
	uint32_t one = 1;

	NEED(!pim_host_reset(&host, &backend, PIM_RANK_NR_DPUS, &msg));
	NEED(!pim_host_load(&host, &program, &msg));
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		uint32_t value = seed_of(seed, n);

		NEED(!pim_host_symbol_write(&host, n, symbol("seed"), 0, &value, 4, &msg));
	}
	NEED(!pim_host_symbol_write(&host, BROKEN, symbol("broken"), 0, &one, 4, &msg));
	NEED(!pim_host_iram_write(&host, 4000, &canary, 1, &msg));
	NEED(!pim_host_wram_write(&host, -1, 60000, &canary, 8, &msg));
	NEED(!pim_host_launch(&host, &msg));
	wait_for_all();
}

static void look(uint32_t seed)
{
	uint64_t canary = CANARY ^ seed, word;
	void *all[PIM_RANK_NR_DPUS];
	uint32_t got[PIM_RANK_NR_DPUS][2];

	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++)
		all[n] = got[n];
	NEED(!pim_host_mram_read(&host, MRAM_AT, all, 8, &msg));
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		if (n != BROKEN)
			NEED(got[n][0] == seed_of(seed, n));
	}
	for (unsigned int n = 3; n < PIM_RANK_NR_DPUS; n += 20) {
		NEED(!pim_host_iram_read(&host, n, 4000, &word, &msg) && word == canary);
		NEED(!pim_host_wram_read(&host, n, 60000, &word, 8, &msg) && word == canary);
	}
	fault_is_known();
}

static void go(uint32_t seed)
{
	NEED(!pim_host_mux(&host, 1, &msg) && !pim_host_select(&host, -1, &msg));
	for (unsigned int t = 0; t < PIM_NR_THREADS; t++) {
		uint64_t word = RESUME | (uint64_t)(t & 15) << 20 | (uint64_t)(t >> 4) << 16;
		uint64_t frame = 0x98ULL << 48 | (word >> 16 & 0xff) | (word >> 40 & 0xff) << 8 |
				 (word >> 32 & 0xff) << 16 | (word & 0xff) << 24 |
				 (word >> 8 & 0xff) << 32 | (word >> 24 & 0xff) << 40;

		NEED(!pim_host_frame(&host, 0xff, 0x0002003f, frame, &msg));
	}
	wait_for_all();
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		uint32_t got[PIM_NR_THREADS];

		NEED(!pim_host_symbol_read(&host, n, symbol("results"), 0, got, sizeof(got), &msg));
		for (unsigned int t = 0; t < PIM_NR_THREADS && n != BROKEN; t++) {
			if (got[t] == 4 * seed_of(seed, n) + 12 * t + 30)
				continue;
			printf("DPU %u, thread %u: %u\n", n, t, got[t]);
			exit(1);
		}
	}
	fault_is_known();
}

/* In this process: through bytes, with something else in the rank in between. */
static void save_and_restore(void)
{
	static const struct pim_dpu_config plain;
	size_t room = pim_rank_state_size(&plain), size;
	void *bytes = malloc(room);

	NEED(bytes && !pim_rank_save_state(backend.rank, bytes, room, &size));
	pim_rank_reset(backend.rank);
	NEED(!pim_rank_restore_state(backend.rank, bytes, size));
	free(bytes);
}

int main(int argc, char **argv)
{
	bool own = argc == 2 && !strcmp(argv[1], "-");
	char line[64], what[16];
	unsigned int seed;

	if (argc != 2)
		return 2;
	assemble();
	if (own)
		NEED(!pim_backend_emulator(&backend, NULL, &msg));
	else
		NEED(!pim_backend_device(&backend, argv[1], NULL, &msg));
	printf("open\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%15s %u", what, &seed) != 2)
			return 2;
		if (own && backend.counts[0])
			save_and_restore();
		if (!strcmp(what, "begin"))
			begin(seed);
		else if (!strcmp(what, "look"))
			look(seed);
		else if (!strcmp(what, "go"))
			go(seed);
		else
			return 2;
		printf("done\n");
		fflush(stdout);
	}
	return 0;
}
