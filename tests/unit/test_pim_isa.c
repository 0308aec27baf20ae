// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The instruction set's tables: encoding, decoding, text and back, for every
 * signature; and what the assembler makes of sugar.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../userspace-tools/pim/pim_asm.h"
#include "../../userspace-tools/pim/pim_dis.h"
#include "pim_gen.h"

#define ROUNDS	50

static unsigned int test_nr, failures;

static void result(bool ok, const char *name)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", ++test_nr, name);
	failures += !ok;
}

static bool complain(unsigned int sig, const char *what, uint64_t word)
{
	static int said;

	if (said++ < 40)
		printf("# %s:%s (0x%012llx): %s\n", pim_sigs[sig].mnemonic, pim_sigs[sig].form,
		       (unsigned long long)word, what);
	return false;
}

/* Encode random operands, decode, compare. */
static bool encode_decode(void)
{
	bool ok = true;

	for (unsigned int sig = 0; sig < PIM_NR_SIGS; sig++) {
		for (int n = 0; n < ROUNDS; n++) {
			int64_t value[PIM_KIND_NR];
			uint64_t word = pim_gen_insn(sig, value);
			struct pim_decoded d;

			if (!pim_isa_decode(word, &d))
				ok = complain(sig, "is not decoded", word);
			else if (d.sig != sig || !d.canonical)
				ok = complain(sig, pim_sigs[d.sig].mnemonic, word);
			else if (memcmp(value, d.value, sizeof(value)))
				ok = complain(sig, "has other operands after decoding", word);
		}
	}
	return ok;
}

/* The other way: words that decode exactly encode to themselves; and nothing breaks. */
static bool decode_encode(void)
{
	unsigned int decoded = 0, exact = 0;
	bool ok = true;

	for (int n = 0; n < 400000; n++) {
		uint64_t word = (uint64_t)pim_gen() << 16 ^ pim_gen(), again;
		struct pim_decoded d;
		unsigned int kind;

		word &= PIM_INSN_MASK;
		if (!pim_isa_decode(word, &d))
			continue;
		decoded++;
		if (!pim_isa_matches(d.sig, word))
			ok = complain(d.sig, "decoded, but its predicate says no", word);
		if (!d.canonical)
			continue;
		exact++;
		if (!pim_isa_encode(d.sig, d.value, &again, &kind) || again != word)
			ok = complain(d.sig, "encodes to another word", word);
	}
	printf("# %u of 400000 random words are instructions, %u of them exactly\n", decoded,
	       exact);
	return ok && exact > 1000;
}

/* All words to text, all text to words, in sources that the assembler can hold. */
static bool text_and_back(void)
{
	enum { CHUNK = 4000 };
	char *source = malloc(CHUNK * (size_t)PIM_DIS_MAX);
	uint64_t words[CHUNK];
	unsigned int sigs[CHUNK], seen = 0, sig = 0, round = 0;
	bool ok = source;

	while (ok && sig < PIM_NR_SIGS) {
		struct pim_asm *as = pim_asm_create();
		unsigned int count = 0;
		size_t used = 0;

		for (; sig < PIM_NR_SIGS && count < CHUNK; count++) {
			int64_t value[PIM_KIND_NR];
			char text[PIM_DIS_MAX];
			unsigned int found;

			words[count] = pim_gen_insn(sig, value);
			sigs[count] = sig;
			if (!pim_dis_insn(words[count], text, &found) || found != sig)
				ok = complain(sig, text, words[count]);
			used += (size_t)sprintf(source + used, "%s\n", text);
			seen += !round;
			if (++round == 16) {
				round = 0;
				sig++;
			}
		}
		if (pim_asm_add(as, "all", source, used) || pim_asm_link(as)) {
			printf("# %s\n", pim_asm_message(as));
			ok = false;
		}
		for (unsigned int n = 0; ok && n < count; n++) {
			if (pim_asm_insn(as, n) != words[n])
				ok = complain(sigs[n], "comes back from text as another word",
					      words[n]);
		}
		pim_asm_destroy(as);
	}
	free(source);
	return ok && seen == PIM_NR_SIGS;
}

/* Sugar fields in the word that it stands for are those of a real signature. */
static bool sugar_is_real(void)
{
	unsigned int count = 0;
	bool ok = true;

	for (unsigned int sig = PIM_NR_SIGS; sig < PIM_NR_ALL_SIGS; sig++) {
		for (int n = 0; n < ROUNDS; n++) {
			int64_t value[PIM_KIND_NR];
			uint64_t word;
			struct pim_decoded d;

			/* what sugar stands for does not have to be what its operands fill */
			if (pim_isa_has(sig, PIM_KIND_CC) &&
			    pim_sigs[sig].family == PIM_FAMILY_NONE) {
				ok = complain(sig, "has a condition of no family", 0);
				break;
			}
			word = pim_gen_insn(sig, value);
			if (!pim_isa_decode(word, &d))
				ok = complain(sig, "is no instruction", word);
			count++;
		}
	}
	return ok && count == ROUNDS * (PIM_NR_ALL_SIGS - PIM_NR_SIGS);
}

static const struct {
	const char *text;
	const char *same;	/* as this, or NULL: refused */
} lines[] = {
	{ "move r1, r2", "or r1, r2, 0, false" },
	{ "move r1, 0x12345678", "or r1, zero, 305419896" },
	{ "jump 12", "call zero, zero, 12" },
	{ "jump r3", "call zero, r3, 0" },
	{ "jeq r1, 5, 9", "sub zero, r1, 5, z, 9" },
	{ "jltu r1, r2, 9", "sub zero, r1, r2, ltu, 9" },
	{ "jnz r4, 3", "sub zero, r4, 0, nz, 3" },
	{ "neg r1, r2", "sub r1, 0, r2" },
	{ "bkp", "fault 0" },
	{ "stop", "stop false, 0" },
	{ "boot zero, 3", "boot zero, 3, false, 0" },
	{ "call r23, 100", "call r23, zero, 100" },
	{ "lw r1, s2, 4", "lws r1, r2, 4" },
	{ "lw !little, r1, r2, 4", "lw r1, r2, 4" },
	{ "sb_id r1, 3", "sb_id r1, 3, 0" },
	{ "time_cfg r5", "time_cfg zero, r5" },
	{ "add r1, r2, -1", "add r1, r2, 0xffffffff" },
	{ "LW r1, r2, 4", NULL },
	{ "add r1, r2", NULL },
	{ "add r1, r2, r3, r4, r5, r6", NULL },
	{ "add r24, r2, r3", NULL },
	{ "add r1, r2, zero", NULL },
	{ "add d1, r2, r3", NULL },
	{ "add.s d1, r2, r3", NULL },
	{ "add r1, r2, 0x100000000", NULL },
	{ "sub r1, r2, 8388608", NULL },
	{ "sub r1, r2, r3, c, 4", NULL },
	{ "add r1, r2, r3, ltu, 4", NULL },
	{ "lsl r1, r2, 32", NULL },
	{ "ldma r1, r2, 256", NULL },
	{ "sb r1, 2048, 3", NULL },
	{ "lw !middle, r1, r2, 4", NULL },
	{ "and.s d2, r3, r4, false", NULL },
	{ "jump 65536 * 65536", NULL },
	{ "move r1, 1 +", NULL },
	{ "move r1, (1", NULL },
	{ "move r1, 1 / 0", NULL },
	{ "move r1, nowhere", NULL },
	{ ".insn 0x1000000000000", NULL },
	{ ".word 1", NULL },
	{ "fly r1", NULL },
	{ "add r1, r2, 3 // comment", "add r1, r2, 3" },
	{ "add r1, /* in between */ r2, 3 # comment", "add r1, r2, 3" },
	{ "add r1, r2, 'a'", "add r1, r2, 97" },
	{ "add r1, r2, ','", "add r1, r2, 44" },
	{ "add r1, r2, 2 + 3 * 4 - (1 << 3)", "add r1, r2, 6" },
	{ "add r1, r2, 0b1011 & ~1 | 0x10 ^ 1", "add r1, r2, 27" },
};

static bool assemble(const char *text, uint64_t *word)
{
	struct pim_asm *as = pim_asm_create();
	bool ok = !pim_asm_add(as, "line", text, strlen(text)) && !pim_asm_link(as);

	*word = ok ? pim_asm_insn(as, 0) : 0;
	pim_asm_destroy(as);
	return ok;
}

static bool single_lines(void)
{
	bool ok = true;

	for (unsigned int n = 0; n < sizeof(lines) / sizeof(lines[0]); n++) {
		uint64_t word, same = 0;
		bool taken = assemble(lines[n].text, &word);

		if (!lines[n].same) {
			if (taken) {
				printf("# taken: %s\n", lines[n].text);
				ok = false;
			}
			continue;
		}
		if (!assemble(lines[n].same, &same) || !taken || word != same) {
			printf("# '%s' is 0x%012llx, not '%s' 0x%012llx\n", lines[n].text,
			       (unsigned long long)word, lines[n].same, (unsigned long long)same);
			ok = false;
		}
	}
	return ok;
}

static bool finds_names(void)
{
	bool ok = pim_isa_find("add:rri") >= 0 && pim_isa_find("lw:rri") >= PIM_NR_SIGS &&
		  pim_isa_find("add:xyz") < 0 && pim_isa_find("add") < 0 && pim_isa_find("") < 0;

	for (unsigned int sig = 0; sig < PIM_NR_ALL_SIGS; sig++) {
		char name[64];

		snprintf(name, sizeof(name), "%s:%s", pim_sigs[sig].mnemonic, pim_sigs[sig].form);
		if (pim_isa_find(name) != (int)sig)
			ok = complain(sig, "is not found by its name", 0);
	}
	return ok;
}

int main(void)
{
	printf("KTAP version 1\n1..6\n");
	result(encode_decode(), "973 signatures: encode, decode");
	result(decode_encode(), "random words: decode, encode");
	result(text_and_back(), "973 signatures: to text and back");
	result(sugar_is_real(), "105 sugar forms are instructions");
	result(single_lines(), "single lines, taken and refused");
	result(finds_names(), "signatures by name");
	return failures != 0;
}
