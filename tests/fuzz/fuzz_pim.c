// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz what programs and hosts can give a software rank: DPU programs (they
 * never reach outside their DPU), words to a control interface, executables,
 * sources, and what programs print.
 *
 * libFuzzer:	clang -fsanitize=fuzzer,address,undefined fuzz_pim.c ...
 * Without it:	-DFUZZ_STANDALONE: mutates its own seeds, always the same way;
 *		the first argument or ANNEX_FUZZ_COUNT is the number of rounds.
 *
 * The first byte of the input says which of them the rest is for.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../../userspace-tools/pim/pim_asm.h"
#include "../../userspace-tools/pim/pim_ci.h"
#include "../../userspace-tools/pim/pim_dis.h"
#include "../../userspace-tools/pim/pim_elf.h"
#include "../../userspace-tools/pim/pim_host.h"
#include "../unit/pim_gen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) do {							\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);	\
		abort();						\
	}								\
} while (0)

#define MRAM	(PIM_MRAM_CHUNK * 2)
#define GUARD	(64u << 20)	/* what a DMA address can be off */
#define BUDGET	20000
#define JUMP_0	0x8c6300000000ULL

/*
 * MRAM with nothing around it that can be touched. WRAM and IRAM are in the
 * heap, where the sanitizer looks.
 */
static uint8_t *guarded_mram(void)
{
	static uint8_t *mram;

	if (!mram) {
		uint8_t *all = mmap(NULL, 2 * GUARD + MRAM, PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		MUST(all != MAP_FAILED);
		mram = all + GUARD;
		MUST(!mprotect(mram, MRAM, PROT_READ | PROT_WRITE));
	}
	return mram;
}

static struct pim_dpu *fresh_dpu(void)
{
	static const struct pim_dpu_config config = {
		.iram_size = 128, .wram_size = 4096, .mram_size = MRAM
	};
	static struct pim_dpu *dpu;

	if (!dpu)
		dpu = pim_dpu_create(&config, guarded_mram());
	MUST(dpu);
	pim_dpu_scrub(dpu);
	return dpu;
}

static void check_dpu(const struct pim_dpu *dpu)
{
	for (uint32_t id = 0; id < PIM_NR_THREADS; id++) {
		const struct pim_thread *t = &dpu->threads[id];

		MUST(t->pc <= dpu->iram_size && t->cf <= 1);
		MUST(!t->r[24] && t->r[25] == 1 && t->r[26] == ~0u && t->r[27] == 1u << 31);
		MUST(t->r[28] == id && t->r[29] == 2 * id);
		MUST(t->r[30] == 4 * id && t->r[31] == 8 * id);
	}
	MUST(dpu->fault < PIM_FAULT_NR && dpu->fault_thread < PIM_NR_THREADS);
	MUST(dpu->fault_pc <= dpu->iram_size);
	MUST(dpu->time_mode <= PIM_TIME_NOTHING && dpu->next_thread < PIM_NR_THREADS);
	for (uint32_t n = 0; n < dpu->iram_size; n++)
		MUST(dpu->iram[n] <= PIM_INSN_MASK);
}

/* 8 bytes an instruction: a word as it is, or a signature with random operands. */
static void fuzz_program(const uint8_t *data, size_t size)
{
	struct pim_dpu *dpu = fresh_dpu();
	uint32_t count = 0;
	uint64_t ran;

	for (; size >= 8 && count < 120; data += 8, size -= 8, count++) {
		int64_t value[PIM_KIND_NR];
		uint64_t word;

		memcpy(&word, data, 8);
		if (word >> 62) {
			pim_gen_state = word | 1;
			word = pim_gen_insn((uint32_t)(word >> 16 & 0xffff) % PIM_NR_SIGS, value);
			/* jumps mostly within the program */
			if (word & 0xff00)
				word &= ~0xff80ULL;
		}
		MUST(pim_dpu_iram_write(dpu, count, &word, 1));
	}
	pim_dpu_iram_write(dpu, count, &(uint64_t) { JUMP_0 }, 1);
	for (uint32_t id = 0; id < PIM_NR_THREADS; id++) {
		for (int n = 0; n < PIM_NR_GPR; n++)
			dpu->threads[id].r[n] = pim_gen_word() & (n < 12 ? 0xfff : ~0u);
	}
	for (size_t n = 0; n < size; n++)
		pim_dpu_boot(dpu, data[n]);
	pim_dpu_boot(dpu, 0);
	/* a fault ends a program: go on behind it, so that more of it is seen */
	for (int n = 0; n < 50; n++) {
		ran = pim_dpu_run(dpu, BUDGET / 50);
		MUST(ran <= BUDGET / 50);
		check_dpu(dpu);
		if (dpu->fault == PIM_FAULT_FETCH)
			dpu->threads[dpu->fault_thread].pc = 0;
		else if (!dpu->fault && ran < BUDGET / 50)
			break;
		pim_dpu_clear_fault(dpu);
	}
}

static void fuzz_interface(const uint8_t *data, size_t size)
{
	struct pim_dpu *dpu = fresh_dpu();
	static struct pim_ci ci;
	uint64_t word;

	for (int n = 0; n < PIM_CI_NR_DPUS; n += 3)
		ci.dpus[n] = dpu;
	pim_ci_init(&ci);
	for (; size >= 8; data += 8, size -= 8) {
		memcpy(&word, data, 8);
		pim_ci_commit(&ci, word);
		word = pim_ci_update(&ci);
		MUST(ci.state.target <= PIM_CI_TARGET_GROUP && ci.state.target_index < 8);
		pim_dpu_run(dpu, 20);
	}
	check_dpu(dpu);
}

static void fuzz_elf(const uint8_t *data, size_t size)
{
	struct pim_program p;
	struct ax_msg msg = { "" };
	uint32_t at, sum = 0;

	if (pim_elf_read(data, size, &p, &msg)) {
		MUST(msg.text[0] && memchr(msg.text, 0, sizeof(msg.text)));
		return;
	}
	for (uint32_t n = 0; n < p.nr_segments; n++) {
		MUST(p.segments[n].size <= p.segments[n].mem_size);
		for (uint32_t k = 0; k < p.segments[n].size; k++)
			sum += p.segments[n].bytes[k];
	}
	for (uint32_t n = 0; n < p.nr_symbols; n++) {
		sum += (uint32_t)strlen(p.symbols[n].name);
		pim_elf_space(p.symbols[n].value, &at);
		MUST(pim_program_symbol(&p, p.symbols[n].name));
	}
	MUST(!pim_program_symbol(&p, ""));
	pim_program_free(&p);
	(void)sum;
}

static void fuzz_source(const uint8_t *data, size_t size)
{
	struct pim_asm *as = pim_asm_create();
	uint32_t insns, wram, mram;
	char *bytes = NULL;
	size_t length = 0;
	FILE *file;

	MUST(as && !pim_asm_add(as, "fuzz", (const char *)data, size));
	if (pim_asm_link(as)) {
		MUST(pim_asm_message(as)[0]);
	} else {
		/* what it makes can be read again */
		pim_asm_sizes(as, &insns, &wram, &mram);
		MUST(insns <= PIM_IRAM_SIZE && wram <= PIM_WRAM_SIZE && mram <= PIM_MRAM_SIZE);
		file = open_memstream(&bytes, &length);
		MUST(file && !pim_asm_write(as, file));
		fclose(file);
		{
			struct pim_program p;
			struct ax_msg msg;

			MUST(!pim_elf_read(bytes, length, &p, &msg));
			pim_program_free(&p);
		}
		free(bytes);
	}
	pim_asm_destroy(as);
}

static void fuzz_log(const uint8_t *data, size_t size)
{
	static FILE *nowhere;

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	MUST(nowhere);
	pim_log_print(data, size, nowhere);
}

static void fuzz_word(const uint8_t *data, size_t size)
{
	for (; size >= 8; data += 8, size -= 8) {
		char text[PIM_DIS_MAX];
		struct pim_decoded d;
		unsigned int sig;
		uint64_t word;

		memcpy(&word, data, 8);
		if (pim_dis_insn(word, text, &sig))
			MUST(sig < PIM_NR_SIGS);
		if (pim_isa_decode(word, &d))
			MUST(d.sig < PIM_NR_SIGS && d.cond < PIM_CC_NR);
		MUST(memchr(text, 0, sizeof(text)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(const uint8_t *data, size_t size) = {
		fuzz_program, fuzz_interface, fuzz_elf, fuzz_source, fuzz_log, fuzz_word
	};
	uint8_t *copy;

	if (!size)
		return 0;
	/* exact, so that a read beyond it is seen */
	copy = malloc(size - 1 ? size - 1 : 1);
	MUST(copy);
	memcpy(copy, data + 1, size - 1);
	kinds[data[0] % 6](copy, size - 1);
	free(copy);
	return 0;
}

#ifdef FUZZ_STANDALONE

#define INPUT_MAX	4096

static const char *const sources[] = {
	"\tmove r0, 5\nx: add r1, r0, r2\n\tsub r0, r0, 1, nz, x\n\tstop\n",
	"\t.data\n\t.align 8\na: .word 1, 2, b - a\n\t.asciz \"text\\n\"\nb: .space 8\n",
	"\t.set N, 3 * (4 + 1)\n\tlw !big, r1, r2, N\n\tlws r1, r2, -4\n\tacquire zero, l, nz, .\n"
	"\t.atomic\nl: .space 1\n\t.mram\nm: .quad -1\n\t.global m\n\t.size m, 8\n",
	"\t.insn 0x7c6300000000 # c\n\tsd r1, 8, d2 /* x\n y */\n\tboot zero, 3\n\tjump .+1\n",
};

static const char *const words[] = {
	".text", ".data", ".bss", ".mram", ".atomic", ".align 8", ".space 9", ".word", "r0", "d2",
	"zero", "id8", "!big", "true", "nz", "0x7fffffff", "-1", ", ", "\n\t", "(", ")", "\"", "'",
	"<<", "/ 0", ".global x", "x:", ".set x, ", "x", ".", "stop", "add", "lsl_add", "sub.s",
};

static uint32_t below(uint32_t n)
{
	return pim_gen() % n;
}

/* A program of the assembler as an executable: a seed for the reader. */
static size_t make_elf(uint8_t *to)
{
	struct pim_asm *as = pim_asm_create();
	char *bytes = NULL;
	size_t length = 0;
	FILE *file = open_memstream(&bytes, &length);

	MUST(as && file && !pim_asm_add(as, "seed", sources[2], strlen(sources[2])));
	MUST(!pim_asm_link(as) && !pim_asm_write(as, file));
	fclose(file);
	MUST(length <= INPUT_MAX);
	memcpy(to, bytes, length);
	free(bytes);
	pim_asm_destroy(as);
	return length;
}

/* Commands that make sense, for the interface. */
static uint64_t make_command(void)
{
	static const uint64_t structures[] = {
		0, 2, 3, 0x0a, 0x3f, 0x3ff, 0x02ff003f, 0x02470000ff
	};
	static const uint8_t ops[] = {
		0x08, 0x09, 0x0a, 0x0c, 0x10, 0x11, 0x14, 0x16, 0x40, 0x45, 0x80, 0x82, 0x84, 0x86,
		0x87, 0x98, 0x99, 0xa4, 0xa7, 0xb0, 0xb3, 0xb7, 0xf0, 0xf2, 0xf4
	};

	switch (below(4)) {
	case 0:
		return 0x11ULL << 56 | structures[below(sizeof(structures) / 8)] |
		       (uint64_t)below(256) << 16;
	case 1:
		return 0x33ULL << 56 | ops[below(sizeof(ops))] | (uint64_t)pim_gen() << 8;
	case 2:
		return 0x33ULL << 56 | (uint64_t)ops[below(sizeof(ops))] << 48 |
		       (uint64_t)below(65536) << 32 | pim_gen();
	default:
		return (uint64_t)pim_gen() << 32 | pim_gen();
	}
}

static const char a_log[] = "%d%s%lx%5.2f%c\0\1\2\3\4text\0\1\2\3\4\5\6\7\10abcdefghx";

static size_t make_input(uint8_t *to)
{
	size_t size = 1, count = below(120);
	const char *text;

	to[0] = (uint8_t)below(6);
	switch (to[0]) {
	case 0:
	case 1:
	case 5:
		for (size_t n = 0; n < count; n++, size += 8) {
			uint64_t word = to[0] == 1 ? make_command() :
					(uint64_t)pim_gen() << 32 | pim_gen();

			/* most of a program: signatures */
			if (!to[0] && below(8))
				word |= 1ULL << 63;
			memcpy(to + size, &word, 8);
		}
		for (size_t n = below(7); n; n--)
			to[size++] = (uint8_t)below(24);
		return size;
	case 2:
		return 1 + make_elf(to + 1);
	case 3:
		text = sources[below(4)];
		memcpy(to + 1, text, strlen(text));
		return 1 + strlen(text);
	default:
		memcpy(to + 1, a_log, sizeof(a_log));
		return 1 + sizeof(a_log);
	}
}

static size_t mutate(uint8_t *input, size_t size)
{
	static const uint32_t values[] = {
		0, 1, 7, 8, 0x7f, 0xff, 0xffff, 0x7fffffff, 0x80000000, ~0u
	};
	size_t at = 1 + below((uint32_t)size), n;
	const char *word;

	switch (below(5)) {
	case 0:
		if (at < size)
			input[at] = (uint8_t)pim_gen();
		return size;
	case 1:
		if (at < size)
			input[at] ^= (uint8_t)(1u << below(8));
		return size;
	case 2:
		n = below(sizeof(values) / 4);
		if (at + 4 <= size)
			memcpy(input + at, &values[n], 4);
		return size;
	case 3:
		/* cut off, or a piece out */
		if (size < 3 || at + 1 >= size)
			return size;
		n = 1 + below((uint32_t)(size - at));
		if (at + n > size)
			n = size - at;
		memmove(input + at, input + at + n, size - at - n);
		return size - n;
	default:
		word = words[below(sizeof(words) / sizeof(words[0]))];
		n = strlen(word);
		if (at > size)
			at = size;
		if (size + n > INPUT_MAX)
			return size;
		memmove(input + at + n, input + at, size - at);
		memcpy(input + at, word, n);
		return size + n;
	}
}

int main(int argc, char **argv)
{
	const char *count = argc > 1 ? argv[1] : getenv("ANNEX_FUZZ_COUNT");
	long rounds = count ? atol(count) : 20000;
	static uint8_t input[INPUT_MAX + 16];

	printf("KTAP version 1\n1..1\n");
	fflush(stdout);
	pim_gen_state = 12345;
	for (long n = 0; n < rounds; n++) {
		uint64_t state;
		size_t size = make_input(input);

		for (uint32_t k = below(12); k; k--)
			size = mutate(input, size);
		state = pim_gen_state;
		LLVMFuzzerTestOneInput(input, size);
		pim_gen_state = state;
	}
	printf("ok 1 - %ld inputs\n", rounds);
	return 0;
}

#endif
