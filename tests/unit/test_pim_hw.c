// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Real ranks behind a gate (pim_gate.c, pim_hw_rank.c, pim_hw_sysfs.c). The
 * hardware is a software rank that writes down what reaches it; clients are our
 * own (pim_host.c) and ones that mean harm.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../userspace-tools/pim/pim_asm.h"
#include "../../userspace-tools/pim/pim_host.h"
#include "../../userspace-tools/pim/pim_hw_rank.h"
#include "../../userspace-tools/pim/pim_hw_sysfs.h"
#include "case.h"

#define CIS	PIM_RANK_NR_CIS
#define MRAM	(256u << 10)
#define ALL	0xff

/* --- hardware that writes down what reaches it ------------------------------------- */

static struct pim_backend emu, device, client;
static struct pim_hw hw;
static uint8_t *image;
static uint64_t results[CIS];	/* of the client's last commit */
static struct ax_msg msg;

static uint64_t log_structure[CIS];	/* of each interface, as hardware has latched it */
static unsigned int log_words, log_bad;
static uint64_t log_last[CIS];

/* Operations that may come first in a frame, told here once more. */
static bool harmless(uint8_t op)
{
	static const uint8_t ops[] = {
		0x08, 0x09, 0x0a, 0x0c, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x40, 0x41, 0x42,
		0x43, 0x44, 0x45, 0x47, 0x80, 0x82, 0x84, 0x86, 0x87, 0x98, 0x99, 0x9c, 0xa4, 0xa6,
		0xa7, 0xb0, 0xb2, 0xb3, 0xb4, 0xb6, 0xb7, 0xf0, 0xf2, 0xf4,
	};

	return memchr(ops, op, sizeof(ops));
}

/* One operation only, and of those; behind it come fillers. */
static bool frame_is_good(uint64_t structure, uint64_t frame)
{
	unsigned int ops = 0;

	for (unsigned int n = 0; n < 12; n++) {
		uint8_t byte = (uint8_t)(n < 7 ? frame >> 8 * n : structure >> 8 * (n - 5));

		if (structure >> n & 1)
			continue;
		if (!ops && !harmless(byte))
			return false;
		if (ops && byte != 0xff && byte != 0x02 && byte != 0x00)
			return false;
		ops++;
	}
	return ops > 0;
}

static void log_word(int c, uint64_t word)
{
	bool good = true;

	log_last[c] = word;
	log_words++;
	switch (word >> 56) {
	case 0x11:
		log_structure[c] = word & 0xffffffffffffffULL;
		break;
	case 0x33:
		good = frame_is_good(log_structure[c], word & 0xffffffffffffffULL);
		break;
	case 0x01:
		good = word == 0x0100000000000000ULL || word == 0x0100e4e4e4e40000ULL ||
		       word == 0x01ff000000000000ULL || (word & ~0x1fULL) == 0x01ff00000000ff00ULL;
		if ((word & ~0x1fULL) == 0x01ff00000000ff00ULL) {
			log_structure[c] = 0;
			good = (word & 15) == 0 || (word & 15) == 4;
		}
		break;
	case 0x77:
		good = word == 0x7777777777777777ULL;
		break;
	case 0xff:
		good = word == ~0ULL;
		break;
	default:
		good = false;
		break;
	}
	if (!good && !log_bad++)
		printf("# 0x%016llx reached interface %d (structure 0x%014llx)\n",
		       (unsigned long long)word, c, (unsigned long long)log_structure[c]);
}

static int log_commit(struct pim_backend *b, const uint64_t commands[CIS])
{
	(void)b;
	for (int c = 0; c < CIS; c++) {
		if (commands[c])
			log_word(c, commands[c]);
	}
	return emu.ops->commit(&emu, commands);
}

static int log_update(struct pim_backend *b, uint64_t words[CIS])
{
	(void)b;
	return emu.ops->update(&emu, words);
}

static int log_write(struct pim_backend *b, const struct pim_matrix *m)
{
	(void)b;
	return emu.ops->write(&emu, m);
}

static int log_read(struct pim_backend *b, const struct pim_matrix *m)
{
	(void)b;
	return emu.ops->read(&emu, m);
}

static void log_wait(struct pim_backend *b, uint64_t ns)
{
	(void)b;
	emu.ops->wait(&emu, ns);
}

static const struct pim_backend_ops log_ops = {
	.name = "hardware", .commit = log_commit, .update = log_update, .write = log_write,
	.read = log_read, .wait = log_wait,
};

/* --- a client of pim.ko: results stay until the next commit, MRAM goes by the image -- */

static int client_commit(struct pim_backend *b, const uint64_t commands[CIS])
{
	(void)b;
	return pim_hw_commit(&hw, commands, results);
}

static int client_update(struct pim_backend *b, uint64_t words[CIS])
{
	(void)b;
	memcpy(words, results, sizeof(results));
	return 0;
}

static int client_move(const struct pim_matrix *m, bool write)
{
	uint64_t mask = 0;
	int error = 0;

	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++)
		mask |= (uint64_t)!!m->ptr[n] << n;
	if (!write)
		error = pim_hw_load(&hw, mask, m->offset, m->size);
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS && !error; n++) {
		uint8_t *at = image + (size_t)n * MRAM + m->offset;

		if (m->ptr[n])
			memcpy(write ? at : m->ptr[n], write ? m->ptr[n] : at, m->size);
	}
	return write ? pim_hw_store(&hw, mask, m->offset, m->size) : error;
}

static int client_write(struct pim_backend *b, const struct pim_matrix *m)
{
	(void)b;
	return client_move(m, true);
}

static int client_read(struct pim_backend *b, const struct pim_matrix *m)
{
	(void)b;
	return client_move(m, false);
}

static const struct pim_backend_ops client_ops = {
	.name = "client", .commit = client_commit, .update = client_update, .write = client_write,
	.read = client_read, .wait = log_wait,
};

static void begin(uint64_t disabled)
{
	struct pim_rank_config config = { .dpu.mram_size = MRAM, .threads = 1 };
	struct pim_hw_config c = { .mram_size = MRAM, .division = 4, .disabled = disabled };

	log_words = 0;
	log_bad = 0;
	memset(log_structure, 0, sizeof(log_structure));
	if (pim_backend_emulator(&emu, &config, &msg))
		exit(1);
	device = (struct pim_backend) { .ops = &log_ops };
	client = (struct pim_backend) { .ops = &client_ops };
	image = calloc(PIM_RANK_NR_DPUS, MRAM);
	c.mram = image;
	pim_hw_init(&hw, &device, &c);
}

static void end(void)
{
	if (log_bad)
		failed_case = true;
	pim_backend_close(&emu);
	free(image);
}

/* --- clients of good will ------------------------------------------------------------ */

static const char store_id[] =
	"	move	r0, id\n"
	"	lsl	r0, r0, 3\n"
	"	add	r1, r0, 0x5500\n"
	"	sw	r0, 0, r1\n"
	"	stop	true, 0\n";

/* Everything that our own client does: reset, memories, a program, faults. */
static void own_client(void)
{
	static uint8_t in[4096], out[PIM_RANK_NR_DPUS][4096];
	struct pim_host h;
	const void *from[PIM_RANK_NR_DPUS];
	void *to[PIM_RANK_NR_DPUS];
	struct pim_host_fault fault;
	uint64_t running, faults, word = 0;
	uint32_t value;

	CHECK(!pim_hw_reset(&hw, &msg));
	CHECK(!pim_host_reset(&h, &client, PIM_RANK_NR_DPUS, &msg));
	for (unsigned int n = 0; n < sizeof(in); n++)
		in[n] = (uint8_t)(n * 7);
	for (int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		from[n] = in;
		to[n] = out[n];
	}
	CHECK(!pim_host_mram_write(&h, 8, from, sizeof(in), &msg));
	CHECK(!pim_host_mram_read(&h, 8, to, sizeof(in), &msg));
	for (int n = 0; n < PIM_RANK_NR_DPUS; n++)
		CHECK(!memcmp(out[n], in, sizeof(in)));
	CHECK(!pim_host_wram_write(&h, -1, 1024, in, 64, &msg));
	CHECK(!pim_host_wram_read(&h, 63, 1024, out[0], 64, &msg));
	CHECK(!memcmp(out[0], in, 64));
	CHECK(!pim_host_run(&h, "test", store_id, 24, &msg));
	CHECK(!pim_host_wram_read(&h, 17, 23 * 8, &value, 4, &msg));
	CHECK(value == 0x5500 + 23 * 8);
	CHECK(!pim_host_iram_read(&h, 5, 0, &word, &msg) && word);
	CHECK(pim_host_run(&h, "bad", "\tfault 5\n", 1, &msg));
	CHECK(!pim_host_poll(&h, &running, &faults, &msg) && !running && faults == ~0ULL);
	CHECK(!pim_host_fault(&h, 9, &fault, &msg));
	CHECK(fault.kind == PIM_FAULT_BREAKPOINT && fault.number == 5);
	CHECK(!hw.gates[0].refused && !hw.gates[0].kept);
}

/* --- what is kept back ------------------------------------------------------------------ */

static int send_all(uint64_t word)
{
	uint64_t commands[CIS];

	for (int c = 0; c < CIS; c++)
		commands[c] = word;
	return pim_hw_commit(&hw, commands, results);
}

#define STRUCTURE(s)	(0x11ULL << 56 | (s))
#define FRAME(f)	(0x33ULL << 56 | (f))

static uint64_t set_register(uint8_t at, uint8_t value, uint8_t kind)
{
	uint64_t digits = (uint64_t)(value & 15) << 24 | (uint64_t)(value >> 4) << 16 |
			  (uint64_t)(at & 15) << 8 | at >> 4;

	return FRAME(0xa7ULL << 48 | (uint64_t)kind << 40 | 0x6060606060ULL | digits);
}

/* What the stock library sends to set up hardware: answered in turn, sent never. */
static void setup_kept(void)
{
	static const uint64_t words[] = {
		0x01ff000000ff0007ULL,			/* thermal threshold */
		0x01ff000000ffff10ULL, 0x01ff0000ff000010ULL, 0x01ff0000ff00ff10ULL,
		STRUCTURE(2), FRAME(0x02ff1004), FRAME(0x02ff1005),	/* the command bus */
		STRUCTURE(0), FRAME(0x02ff07),
		STRUCTURE(0x020000bfULL), FRAME(0xf6ULL << 48), STRUCTURE(0), FRAME(0x02f7),
		STRUCTURE(0x0a), FRAME(0x0b920a90), FRAME(0x0292ULL), FRAME(0x0297ULL),
		STRUCTURE(0x02ff00a5017fULL), FRAME(0x1234),	/* the register file */
		STRUCTURE(0x02ff003fULL),
	};
	uint8_t colour = 0;
	unsigned int refused;

	CHECK(!pim_hw_reset(&hw, &msg));
	for (size_t n = 0; n < sizeof(words) / sizeof(words[0]); n++) {
		int errors = 0;

		if (send_all(words[n])) {
			printf("# word %zu, 0x%016llx, was refused\n", n,
			       (unsigned long long)words[n]);
			failed_case = true;
			return;
		}
		CHECK(pim_ci_result_done(results[3], colour, &errors) && !errors);
		colour ^= 1;
	}
	/* the DMA engine: timing and waves are kept back, who has MRAM is not */
	CHECK(!send_all(set_register(0x20, 0x11, 0x20)) && log_last[0] == STRUCTURE(0x02ff003fULL));
	CHECK(!send_all(set_register(0xc5, 0x11, 0x20)) && log_last[0] == STRUCTURE(0x02ff003fULL));
	CHECK(!send_all(set_register(0x80, 0x11, 0x40)) && log_last[0] == STRUCTURE(0x02ff003fULL));
	/* a digit that is none */
	CHECK(!send_all(set_register(0x80, 0x01, 0x20) & ~0x60ULL));
	CHECK(log_last[0] == STRUCTURE(0x02ff003fULL));
	CHECK(!send_all(set_register(0x80, 0x01, 0x20)));
	CHECK(log_last[0] == set_register(0x80, 0x01, 0x20));
	/* the clock is ours */
	CHECK(!send_all(0x01ff00000000ff08ULL) && log_last[0] == 0x01ff00000000ff04ULL);
	CHECK(!send_all(0x01ff00000000ff00ULL) && log_last[0] == 0x01ff00000000ff00ULL);
	refused = (unsigned int)hw.gates[0].refused;
	CHECK(!refused && hw.gates[0].kept > 10);
}

/* --- clients of ill will ------------------------------------------------------------------ */

static bool is_refused(uint64_t structure, uint64_t word)
{
	unsigned int before;
	int error;

	if (send_all(STRUCTURE(structure)))
		return true;
	before = log_words;
	error = send_all(word);
	if (error == -EPERM && log_words == before)
		return true;
	printf("# 0x%016llx after 0x%014llx: error %d, %u words sent\n", (unsigned long long)word,
	       (unsigned long long)structure, error, log_words - before);
	return false;
}

static void refused(void)
{
	uint64_t commands[CIS] = { FRAME(0x0002ff08) };
	unsigned int before;

	CHECK(!pim_hw_reset(&hw, &msg));
	CHECK(is_refused(0, FRAME(0x0002ff20)));	/* no operation that is known */
	CHECK(is_refused(0, FRAME(0x90ff08)));		/* one behind another */
	CHECK(is_refused(0, FRAME(0xa70002ff08ULL)));
	CHECK(is_refused(2, FRAME(0x90ff0009)));
	CHECK(is_refused(0x02009000003fULL, FRAME(0x98ULL << 48)));
	CHECK(is_refused(0xfff, FRAME(0)));		/* nothing but data */
	CHECK(is_refused(0x02003f, FRAME(0x9eULL << 48)));	/* the debugger's */
	CHECK(is_refused(0x02003f, FRAME(0x98ULL << 48)));	/* an instruction that is none */
	CHECK(is_refused(0x990000000fffULL, FRAME(0)));
	CHECK(is_refused(0, 0x0100000000000001ULL));	/* another bit order */
	CHECK(is_refused(0, 0x0100e4e4e4e50000ULL));
	CHECK(is_refused(0, 0x01ff0000123400ffULL));
	CHECK(is_refused(0, 0x01ff00000000ff20ULL));
	CHECK(is_refused(0, 0x7777777777777776ULL));
	CHECK(is_refused(0, 0xfffffffffffffffeULL));
	CHECK(is_refused(0, 0x0000000000000001ULL));
	CHECK(is_refused(0, 0x4200000000000000ULL));
	/* one of them, and nothing of the commit is done */
	CHECK(!send_all(STRUCTURE(0)));
	before = log_words;
	commands[7] = 0x4200000000000000ULL;
	CHECK(pim_hw_commit(&hw, commands, results) == -EPERM && log_words == before);
	commands[7] = 0;
	CHECK(!pim_hw_commit(&hw, commands, results) && log_words == before + 1);
}

/* Every bit of every frame that passes, turned over: what then passes is data. */
static void bits_turned(void)
{
	static const struct { uint64_t structure, frame; } good[] = {
		{ 0, 0x0002ff08 }, { 2, 0x02ff0309 }, { 2, 0x02ff050a }, { 2, 0x02ff010c },
		{ 0, 0x0210 }, { 0, 0x0284 }, { 0, 0x0280 }, { 0, 0x02ff86 }, { 0, 0x029c },
		{ 0x02ff0000bfULL, 0xa4ULL << 48 | 4 }, { 0x02ff003fULL, 0xa6ULL << 48 },
		{ 0x02470000ffULL, 0x12000000000000ULL }, { 3, 0x02430102 },
		{ 0x02003f, 0x98ULL << 48 | 0x0000e37d00 << 0 },
	};

	CHECK(!pim_hw_reset(&hw, &msg));
	for (size_t n = 0; n < sizeof(good) / sizeof(good[0]); n++) {
		for (int bit = 0; bit < 56; bit++) {
			uint64_t structure = good[n].structure ^ 1ULL << bit;

			/* refused or kept back: log_word() says what may not arrive */
			send_all(STRUCTURE(good[n].structure));
			send_all(FRAME(good[n].frame ^ 1ULL << bit));
			send_all(STRUCTURE(structure));
			send_all(FRAME(good[n].frame));
			CHECK(!log_bad);
		}
	}
}

static uint64_t seed = 0x9e3779b97f4a7c15ULL;

static uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void random_words(void)
{
	static const uint64_t structures[] = {
		0, 2, 3, 0x0a, 0x02ff003fULL, 0x02ff0000bfULL, 0x020000bfULL, 0x02003fULL,
		0x02470000ffULL, 0x9900000003ffULL,
	};

	CHECK(!pim_hw_reset(&hw, &msg));
	for (int n = 0; n < 200000; n++) {
		uint64_t commands[CIS] = { 0 }, r = random64();
		int c = (int)(r & 7);

		switch (r >> 3 & 7) {
		case 0:
			commands[c] = random64();
			break;
		case 1:
			commands[c] = 0x01ULL << 56;
			commands[c] |= random64() & random64() & 0xffffffffffffffULL;
			break;
		case 2:
		case 3:
			commands[c] = STRUCTURE(structures[random64() % 10]);
			if (r >> 8 & 1)
				commands[c] ^= 1ULL << random64() % 48;
			break;
		default:
			commands[c] = FRAME((random64() & random64() & 0xffffffffffULL) |
					    (r >> 9 & 3 ? 0 : 0xa7ULL << 48));
			if (r >> 11 & 1)
				commands[c] = (commands[c] & ~0xffffffULL) | 0x02ff00 |
					      (random64() & 0xff);
			break;
		}
		pim_hw_commit(&hw, commands, results);
		CHECK(!log_bad);
	}
	CHECK(hw.gates[0].passed > 1000 && hw.gates[0].kept > 100 && hw.gates[0].refused > 1000);
	/* and the rank is as good as before */
	CHECK(!pim_hw_reset(&hw, &msg));
}

/* --- the reset ------------------------------------------------------------------------------ */

/* A program that never ends and leaves something everywhere. */
static const char mess[] =
	"	add	r5, id, 1\n"
	"	sub	zero, r5, 24, geu, own\n"
	"	boot	r5, 0\n"
	"own:	move	r20, 0x1234\n"
	"	move	r23, 0x4321\n"
	"	acquire	id, 7, nz, next\n"
	"next:	lsl	r0, id, 3\n"
	"	add	r0, r0, 4096\n"
	"	move	r2, 65536\n"
	"	sdma	r0, r2, 0\n"
	"again:	sw	r0, 0, r0\n"
	"	sdma	r0, r2, 0\n"
	"	jump	again\n";	/* 13 instructions */

static bool all_zero(const void *bytes, size_t size)
{
	const uint8_t *b = bytes;

	for (size_t n = 0; n < size; n++) {
		if (b[n])
			return false;
	}
	return true;
}

static void leave_a_mess(struct pim_host *h, uint8_t *junk)
{
	const void *from[PIM_RANK_NR_DPUS];
	struct pim_asm *as = pim_asm_create();
	uint64_t words[256];

	memset(junk, 0xa5, 65536);
	for (int n = 0; n < PIM_RANK_NR_DPUS; n++)
		from[n] = junk;
	for (int n = 0; n < 256; n++)
		words[n] = 0x123456789abcULL + (uint64_t)n;
	CHECK(!pim_host_reset(h, &client, PIM_RANK_NR_DPUS, &msg));
	CHECK(!pim_host_mram_write(h, 0, from, 65536, &msg));
	CHECK(!pim_host_wram_write(h, -1, 0, junk, 8192, &msg));
	CHECK(!pim_host_wram_write(h, -1, 65536 - 64, junk, 64, &msg));
	CHECK(!pim_host_iram_write(h, 100, words, 256, &msg));
	CHECK(!pim_host_iram_write(h, 4096 - 16, words, 16, &msg));
	CHECK(as && !pim_asm_add(as, "mess", mess, sizeof(mess) - 1) && !pim_asm_link(as));
	for (uint32_t n = 0; n < 16; n++)
		words[n] = pim_asm_insn(as, n);
	pim_asm_destroy(as);
	CHECK(!pim_host_iram_write(h, 0, words, 16, &msg));
	CHECK(!pim_host_launch(h, &msg));
}

static void nothing_left(void)
{
	static uint8_t junk[65536];
	static const uint64_t no_bits[4];
	struct pim_host h;
	struct pim_dpu dpu;
	uint64_t word;
	unsigned int at;

	CHECK(!pim_hw_reset(&hw, &msg));
	leave_a_mess(&h, junk);
	if (failed_case)
		return;
	CHECK(!pim_rank_idle(emu.rank));
	CHECK(!pim_hw_reset(&hw, &msg));
	CHECK(pim_rank_idle(emu.rank));
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n += 9) {
		struct pim_matrix m = { .size = MRAM };
		uint8_t *bytes = malloc(MRAM);

		m.ptr[n] = bytes;
		CHECK(!emu.ops->read(&emu, &m));
		CHECK(all_zero(bytes, MRAM));
		free(bytes);
		pim_rank_peek(emu.rank, n, &dpu);
		for (int t = 0; t < PIM_NR_THREADS; t++)
			CHECK(all_zero(dpu.threads[t].r, sizeof(dpu.threads[t].r[0]) * 24));
		CHECK(!memcmp(dpu.atomic, no_bits, sizeof(dpu.atomic)));
	}
	/* what the next owner can read through the gate, after the least that it must do */
	CHECK(!pim_host_reset(&h, &client, PIM_RANK_NR_DPUS, &msg));
	CHECK(!pim_host_wram_read(&h, 12, 0, junk, 65536, &msg));
	CHECK(all_zero(junk, 65536));
	/* the reset's own program is at the beginning */
	for (at = 64; at < 4096; at += at < 400 ? 1 : 97) {
		CHECK(!pim_host_iram_read(&h, 12, at, &word, &msg));
		CHECK(!word);
	}
}

/* Only what was written to is cleared, unless a program may have been elsewhere. */
static void cleared(void)
{
	static uint8_t junk[8192];
	const void *from[PIM_RANK_NR_DPUS] = { [5] = junk };
	struct pim_host h;

	CHECK(!pim_hw_reset(&hw, &msg));
	CHECK(hw.cleared == (uint64_t)MRAM * 64);
	CHECK(!pim_hw_reset(&hw, &msg));
	CHECK(hw.cleared == (uint64_t)MRAM * 64);
	h = (struct pim_host) { .backend = &client, .nr_dpus = 64 };
	CHECK(!pim_host_mram_write(&h, 4096, from, sizeof(junk), &msg));
	CHECK(!pim_host_mram_write(&h, 65536, from, 8, &msg));
	hw.cleared = 0;
	CHECK(!pim_hw_reset(&hw, &msg));
	CHECK(hw.cleared == (65536ULL + 8 - 4096) * 64);
	/* a reset of the client's starts programs */
	CHECK(!pim_host_reset(&h, &client, PIM_RANK_NR_DPUS, &msg));
	hw.cleared = 0;
	CHECK(!pim_hw_reset(&hw, &msg));
	CHECK(hw.cleared == (uint64_t)MRAM * 64);
}

/* DPUs out of order are left alone, and nobody gets at their memories. */
static void disabled(void)
{
	uint64_t words[1] = { 0x123456789abcULL }, word;
	struct pim_host h, direct;

	CHECK(!pim_host_reset(&direct, &emu, PIM_RANK_NR_DPUS, &msg));
	CHECK(!pim_host_iram_write(&direct, 200, words, 1, &msg));
	CHECK(!pim_hw_reset(&hw, &msg));
	/* a client that knows no better is stopped where it would write to it */
	CHECK(pim_host_reset(&h, &client, PIM_RANK_NR_DPUS, &msg));
	CHECK(hw.gates[3].refused);
	CHECK(!pim_host_reset_without(&h, &client, PIM_RANK_NR_DPUS, hw.config.disabled, &msg));
	CHECK(!pim_host_run(&h, "test", store_id, 24, &msg));
	/* reading it is refused as well */
	CHECK(pim_host_iram_read(&h, 8 * 2 + 3, 200, &word, &msg));
	/* the hardware still has what was there */
	direct = (struct pim_host) { .backend = &emu, .nr_dpus = 64 };
	CHECK(!pim_host_reset(&direct, &emu, PIM_RANK_NR_DPUS, &msg));
	CHECK(!pim_host_iram_read(&direct, 8 * 2 + 3, 200, &word, &msg) && word == words[0]);
	CHECK(!pim_host_iram_read(&direct, 8 * 2 + 4, 200, &word, &msg) && !word);
}

/* --- sysfs --------------------------------------------------------------------------------- */

static char dir[64] = "/tmp/annex-pim-hw-XXXXXX";

static void attr(const char *name, const void *bytes, size_t size)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f || fwrite(bytes, 1, size, f) != size || fclose(f)) {
		perror(path);
		exit(1);
	}
}

static void text(const char *name, const char *value)
{
	attr(name, value, strlen(value));
}

#define ORDER	"0x000103ff0f8fcfef "

static const char *const texts[][2] = {
	{ "nb_ci", "8\n" }, { "nb_dpus_per_ci", "8\n" }, { "mram_size", "67108864\n" },
	{ "dpu_chip_id", "0\n" }, { "fck_frequency", "800\n" }, { "clock_division", "4\n" },
	{ "channel_id", "255\n" }, { "rank_index", "1\n" }, { "rank_count", "2\n" },
	{ "ci_mask", "255\n" }, { "part_number", "UPMEM-E19\n" },
	{ "byte_order", ORDER ORDER ORDER ORDER ORDER ORDER ORDER ORDER "\n" },
};

static void sysfs(void)
{
	uint8_t vpd[112] = "UPMV";
	struct pim_hw_info info;
	char path[256];

	CHECK(mkdtemp(dir));
	CHECK(pim_hw_sysfs(dir, &info, &msg) && strstr(msg.text, "nb_ci"));
	for (size_t n = 0; n < sizeof(texts) / sizeof(texts[0]); n++)
		text(texts[n][0], texts[n][1]);
	vpd[16 + 24 * 1 + 3] = 1 << 2;	/* of the second rank: interface 3, DPU 2 */
	attr("dimm_vpd", vpd, sizeof(vpd));
	CHECK(!pim_hw_sysfs(dir, &info, &msg));
	CHECK(info.add.mram_size == 64 << 20 && info.add.fck_mhz == 800);
	CHECK(info.add.channel_id == 255);
	CHECK(info.add.byte_order[7] == 0x000103ff0f8fcfefULL && info.division == 4);
	CHECK(info.disabled == 1ULL << (8 * 2 + 3));
	CHECK(info.add.vpd_bytes == sizeof(vpd) && !strcmp(info.add.part_number, "UPMEM-E19"));
	CHECK(info.add.flags == PIM_RANK_F_XFER);
	/* each of the numbers missing, no number, too large */
	for (size_t n = 0; n < 10; n++) {
		static const char *const bad[] = { "", "x\n", "-1\n", "99999999999999999999\n" };

		for (size_t b = 0; b < 4; b++) {
			text(texts[n][0], bad[b]);
			CHECK(pim_hw_sysfs(dir, &info, &msg) && strstr(msg.text, texts[n][0]));
		}
		snprintf(path, sizeof(path), "%s/%s", dir, texts[n][0]);
		unlink(path);
		CHECK(pim_hw_sysfs(dir, &info, &msg) && strstr(msg.text, texts[n][0]));
		text(texts[n][0], texts[n][1]);
	}
	text("byte_order", "0x1 0x2\n");
	CHECK(pim_hw_sysfs(dir, &info, &msg) && strstr(msg.text, "byte_order"));
	text("byte_order", texts[11][1]);
	attr("dimm_vpd", vpd, 100);
	CHECK(pim_hw_sysfs(dir, &info, &msg) && strstr(msg.text, "dimm_vpd"));
	vpd[0] = 'X';
	attr("dimm_vpd", vpd, sizeof(vpd));
	CHECK(pim_hw_sysfs(dir, &info, &msg));
	text("clock_division", "5\n");
	CHECK(pim_hw_sysfs(dir, &info, &msg) && strstr(msg.text, "clock_division"));
	snprintf(path, sizeof(path), "rm -r %s", dir);
	CHECK(!system(path));
}

static void run(const char *name, void (*function)(void), uint64_t out_of_order)
{
	begin(out_of_order);
	case_call(function);
	end();
	if (failed_case && *msg.text)
		printf("# last message: %s\n", msg.text);
	case_say(name);
}

int main(void)
{
	printf("TAP version 14\n");
	run("a client's whole way", own_client, 0);
	run("repair and timing are kept back", setup_kept, 0);
	run("what no program needs is refused", refused, 0);
	run("every bit turned over", bits_turned, 0);
	run("random words", random_words, 0);
	run("nothing left for the next owner", nothing_left, 0);
	run("what is cleared", cleared, 0);
	run("DPUs out of order", disabled, 1ULL << (8 * 2 + 3));
	run("attributes of the stock driver", sysfs, 0);
	return case_end();
}
