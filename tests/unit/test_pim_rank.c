// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A rank: transfers, threads, whole state saved, restored and scrubbed, the
 * control interfaces' corners, and a device node that is a fake.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../userspace-tools/pim/pim_asm.h"
#include "../../userspace-tools/pim/pim_backend.h"
#include "../../userspace-tools/pim/pim_dev_abi.h"
#include "../../userspace-tools/pim/pim_host.h"
#include "../../userspace-tools/pim/pim_rank.h"

static unsigned int test_nr, failures;

static void result(bool ok, const char *name)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", ++test_nr, name);
	failures += !ok;
}

static bool is(const char *what, uint64_t got, uint64_t want)
{
	if (got != want)
		printf("# %s: 0x%llx, not 0x%llx\n", what, (unsigned long long)got,
		       (unsigned long long)want);
	return got == want;
}

/* --- programs ------------------------------------------------------------------------ */

static bool build(const char *text, struct pim_program *p)
{
	struct pim_asm *as = pim_asm_create();
	struct ax_msg msg = { "" };
	char *bytes = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&bytes, &size);
	bool ok = !pim_asm_add(as, "program", text, strlen(text)) && !pim_asm_link(as) &&
		  !pim_asm_write(as, file);

	if (!ok)
		printf("# %s\n", pim_asm_message(as));
	fclose(file);
	if (ok && pim_elf_read(bytes, size, p, &msg)) {
		printf("# %s\n", msg.text);
		ok = false;
	}
	free(bytes);
	pim_asm_destroy(as);
	return ok;
}

/* Counts in WRAM and in a register, in all 24 threads, for a long time. */
static const char counting[] =
	"	add	r0, id, 1\n"
	"	sub	zero, r0, 24, geu, begin\n"
	"	boot	r0, 0\n"
	"begin:	lw	r1, zero, rounds\n"
	"	move	r2, 0\n"
	"round:	add	r2, id, r2\n"
	"	sub	r1, r1, 1, nz, round\n"
	"	sw	id4, results, r2\n"
	"	acquire	zero, lock, nz, .\n"
	"	lw	r3, zero, total\n"
	"	add	r3, r3, r2\n"
	"	sw	zero, total, r3\n"
	"	release	zero, lock, nz, . + 1\n"
	/* what only a saved state would keep: a bit that stays set, a carry, the counter */
	"	acquire	zero, 77, true, . + 1\n"
	"	move	r4, 5\n"
	"	time_cfg zero, r4\n"
	"	sub	r5, one, 1\n"
	"	stop\n"
	"	.data\n"
	"	.global rounds\n"
	"rounds:	.word 1000\n"
	"	.global total\n"
	"total:	.word 0\n"
	"	.global results\n"
	"results:	.space 96\n"
	"	.atomic\n"
	"lock:	.space 1\n";

#define ROUNDS	60000

/* The sum over threads of rounds * id. */
#define TOTAL	((uint32_t)(276u * (uint32_t)ROUNDS))

struct setup {
	struct pim_backend backend;
	struct pim_host host;
	struct pim_program program;
	const struct pim_symbol *rounds, *total;
};

/* Without a rank nothing that follows makes sense. */
static bool begin(struct setup *s, const char *text, const struct pim_rank_config *config)
{
	struct ax_msg msg = { "" };

	memset(s, 0, sizeof(*s));
	if (!build(text, &s->program) || pim_backend_emulator(&s->backend, config, &msg) ||
	    pim_host_reset(&s->host, &s->backend, PIM_RANK_NR_DPUS, &msg) ||
	    pim_host_load(&s->host, &s->program, &msg)) {
		printf("Bail out! %s\n", msg.text);
		exit(1);
	}
	s->rounds = pim_program_symbol(&s->program, "rounds");
	s->total = pim_program_symbol(&s->program, "total");
	return true;
}

static void end(struct setup *s)
{
	pim_backend_close(&s->backend);
	pim_program_free(&s->program);
}

static bool totals_are(struct setup *s, uint32_t want)
{
	bool ok = true;

	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		struct ax_msg msg;
		uint32_t got = 0;

		ok = !pim_host_symbol_read(&s->host, n, s->total, 0, &got, 4, &msg) &&
		     is("a total", got, want) && ok;
	}
	return ok;
}

static bool set_rounds(struct setup *s, uint32_t rounds)
{
	struct ax_msg msg;
	uint32_t zero = 0;
	bool ok = s->rounds && s->total;

	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		ok = ok && !pim_host_symbol_write(&s->host, n, s->rounds, 0, &rounds, 4, &msg);
		ok = ok && !pim_host_symbol_write(&s->host, n, s->total, 0, &zero, 4, &msg);
	}
	return ok;
}

/* --- transfers -------------------------------------------------------------------------- */

static void transfers(void)
{
	struct pim_rank *rank = pim_rank_create(NULL);
	static uint8_t bytes[64], back[64];
	struct pim_matrix m = { .offset = 0, .size = 64 };
	struct pim_rank_stats stats;
	struct pim_rank_config strict = { .strict_mux = true };
	uint64_t words[8] = { 0 };
	bool ok;

	for (int n = 0; n < 64; n++)
		bytes[n] = (uint8_t)n;
	m.ptr[63] = bytes;
	ok = !pim_rank_write(rank, &m);
	m.ptr[63] = back;
	ok = ok && !pim_rank_read(rank, &m) && !memcmp(bytes, back, 64);
	m.offset = PIM_MRAM_SIZE - 64;
	ok = ok && !pim_rank_write(rank, &m);
	result(ok, "transfers within MRAM");
	pim_rank_stats(rank, &stats);
	result(is("MRAM used", stats.mram_used, 2 * PIM_MRAM_CHUNK) &&
	       is("bytes written", stats.bytes_written, 128) &&
	       is("bytes read", stats.bytes_read, 64),
	       "only touched MRAM counts");

	m.offset = 4;
	ok = pim_rank_write(rank, &m) == -EINVAL;
	m.offset = 0;
	m.size = 60;
	ok = ok && pim_rank_read(rank, &m) == -EINVAL;
	m.size = 64;
	m.offset = PIM_MRAM_SIZE - 56;
	ok = ok && pim_rank_write(rank, &m) == -EINVAL;
	m.offset = PIM_MRAM_SIZE + 8;
	m.size = 0;
	ok = ok && pim_rank_write(rank, &m) == -EINVAL;
	m.offset = 0xfffffff8;
	m.size = 16;
	ok = ok && pim_rank_write(rank, &m) == -EINVAL;
	result(ok, "transfers that are crooked or beyond MRAM are refused");
	pim_rank_destroy(rank);

	/* MRAM of DPU line 7 to the DPUs */
	rank = pim_rank_create(&strict);
	for (int n = 0; n < 8; n++)
		words[n] = 0x11ULL << 56 | 2;
	pim_rank_commit(rank, words);
	for (int n = 0; n < 8; n++)
		words[n] = 0x33ULL << 56 | 0x02ff070a;
	pim_rank_commit(rank, words);
	for (int n = 0; n < 8; n++)
		words[n] = 0x11ULL << 56 | 0x02ff003f;
	pim_rank_commit(rank, words);
	for (int n = 0; n < 8; n++)
		words[n] = 0x33ULL << 56 | 0xa7ULL << 48 | 0x20ULL << 40 | 1ULL << 24 | 8;
	pim_rank_commit(rank, words);
	m.offset = 0;
	m.size = 64;
	ok = pim_rank_write(rank, &m) == -EBUSY;
	m.ptr[62] = bytes;
	m.ptr[63] = NULL;
	ok = ok && pim_rank_write(rank, &m) == -EBUSY;
	m.ptr[55] = bytes;
	m.ptr[62] = NULL;
	ok = ok && !pim_rank_write(rank, &m);
	result(ok, "strict: a DPU's MRAM is not the host's");
	pim_rank_destroy(rank);
}

/* --- running ------------------------------------------------------------------------------ */

static void running(void)
{
	struct ax_msg msg = { "" };
	struct setup s;
	uint64_t faults = 0;
	bool ok;

	ok = begin(&s, counting, NULL) && set_rounds(&s, 1000) && !pim_host_launch(&s.host, &msg) &&
	     !pim_host_wait(&s.host, 60000, &faults, &msg) && !faults &&
	     totals_are(&s, 276u * 1000);
	result(ok, "64 DPUs, 24 threads each");
	ok = set_rounds(&s, 50) && !pim_host_launch(&s.host, &msg) &&
	     !pim_host_wait(&s.host, 60000, &faults, &msg) && !faults && totals_are(&s, 276u * 50);
	result(ok, "a second launch");
	/* it would run for minutes: the wait gives up, and looking into it works all the same */
	ok = set_rounds(&s, 4000000000u) && !pim_host_launch(&s.host, &msg) &&
	     pim_host_wait(&s.host, 20, &faults, &msg) == -1 && strstr(msg.text, "64 of 64 DPUs");
	ok = ok && totals_are(&s, 0) && !pim_rank_idle(s.backend.rank);
	result(ok, "a wait that gives up; memories of running DPUs");
	pim_rank_inject_dpu(s.backend.rank, 17, 5);
	ok = pim_host_wait(&s.host, 20, &faults, &msg) == -1 && strstr(msg.text, "63 of 64 DPUs");
	ok = ok && is("faults", faults, 1ULL << 17);
	result(ok, "an injected fault stops one DPU");
	pim_rank_scrub(s.backend.rank);
	result(pim_rank_idle(s.backend.rank) && pim_rank_wait(s.backend.rank, 1000000000),
	       "scrubbing stops all");
	end(&s);
}

/* Commits from two threads while DPUs run. */
static void *poll_often(void *data)
{
	struct setup *s = data;
	uint64_t words[8], results[8];

	for (int n = 0; n < 8; n++)
		words[n] = 0x33ULL << 56 | 0x0284;
	for (int n = 0; n < 20000; n++) {
		pim_rank_commit(s->backend.rank, words);
		pim_rank_update(s->backend.rank, results);
	}
	return NULL;
}

static void from_threads(void)
{
	struct pim_rank_stats stats;
	struct ax_msg msg;
	pthread_t threads[2];
	struct setup s;
	uint32_t total = 0;
	bool ok = begin(&s, counting, NULL) && set_rounds(&s, ROUNDS) &&
		  !pim_host_launch(&s.host, &msg);

	for (int n = 0; n < 2; n++)
		ok = ok && !pthread_create(&threads[n], NULL, poll_often, &s);
	for (int n = 0; n < 2; n++)
		pthread_join(threads[n], NULL);
	ok = ok && pim_rank_wait(s.backend.rank, 60000000000ULL);
	pim_rank_stats(s.backend.rank, &stats);
	/* the colours are out of step for the client now: ask another way */
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		struct pim_dpu dpu;

		pim_rank_peek(s.backend.rank, n, &dpu);
		ok = ok && !dpu.fault && !(dpu.run & 0xffffff);
		for (int t = 0; t < 24; t++)
			total += dpu.threads[t].r[2];
	}
	ok = ok && is("the sum of all registers", total, TOTAL * 64) &&
	     stats.commands >= 2 * 8 * 20000;
	result(ok, "commands from two threads while DPUs run");
	end(&s);
}

/* Who holds a DPU has it for himself; another one's progress is the clock. */
static void holding(void)
{
	static const uint64_t jump_0 = 0x8c6300000000ULL;
	struct pim_dpu_config config = { .mram_size = PIM_MRAM_CHUNK };
	struct pim_pool *pool = pim_pool_create(2);
	struct pim_runner runners[2];
	uint64_t mine, start, now = 0;

	for (int n = 0; n < 2; n++) {
		struct pim_dpu *dpu = pim_dpu_create(&config, NULL);

		pim_runner_init(&runners[n], pool, dpu);
		pim_runner_hold(&runners[n]);
		pim_dpu_iram_write(dpu, 0, &jump_0, 1);
		pim_dpu_boot(dpu, 0);
		pim_runner_release(&runners[n]);
	}
	/* both have had their turns */
	for (int n = 0; n < 2; n++) {
		do {
			pim_runner_hold(&runners[n]);
			now = runners[n].dpu->instructions;
			pim_runner_release(&runners[n]);
		} while (!now);
	}
	pim_runner_hold(&runners[0]);
	mine = runners[0].dpu->instructions;
	start = now;
	while (now - start < 5000000) {
		pim_runner_hold(&runners[1]);
		now = runners[1].dpu->instructions;
		pim_runner_release(&runners[1]);
	}
	result(is("a held DPU", runners[0].dpu->instructions, mine), "a held DPU does not run");
	pim_runner_release(&runners[0]);
	for (int n = 0; n < 2; n++) {
		pim_runner_fini(&runners[n]);
		pim_dpu_destroy(runners[n].dpu);
	}
	pim_pool_destroy(pool);
}

/* --- state ---------------------------------------------------------------------------------- */

struct store {
	uint8_t *bytes;
	size_t used, size, at;
	size_t fail_at;		/* writing or reading byte number that fails; 0: none */
};

static int store_write(void *data, const void *bytes, size_t size)
{
	struct store *s = data;

	if (s->fail_at && s->used + size >= s->fail_at)
		return -ENOSPC;
	if (s->used + size > s->size) {
		s->size = 2 * (s->used + size);
		s->bytes = realloc(s->bytes, s->size);
	}
	memcpy(s->bytes + s->used, bytes, size);
	s->used += size;
	return 0;
}

static int store_read(void *data, void *bytes, size_t size)
{
	struct store *s = data;

	if (size > s->used - s->at)
		return -EIO;
	memcpy(bytes, s->bytes + s->at, size);
	s->at += size;
	return 0;
}

/* In the middle of a run, into another rank, where it goes on. */
static void move_running(void)
{
	struct store a = { 0 }, b = { 0 };
	struct ax_msg msg = { "" };
	uint64_t faults = 1;
	struct pim_rank *other;
	struct setup s;
	uint8_t bytes[16] = "sixteen bytes !", back[16] = "";
	struct pim_matrix m = { .offset = 0x123450, .size = 16, .ptr = { [9] = bytes } };
	bool ok = begin(&s, counting, NULL) && set_rounds(&s, ROUNDS);

	ok = ok && !pim_rank_write(s.backend.rank, &m) && !pim_host_launch(&s.host, &msg);
	ok = ok && !pim_rank_save(s.backend.rank, store_write, &a);
	printf("# %zu bytes of state\n", a.used);
	/* one chunk of MRAM, IRAM of 14 instructions */
	ok = ok && a.used < 64 * (PIM_WRAM_SIZE + 8192) + 2 * PIM_MRAM_CHUNK;
	pim_rank_scrub(s.backend.rank);
	other = pim_rank_create(NULL);
	ok = ok && !pim_rank_restore(other, store_read, &a);
	result(ok, "save a running rank, restore it into another one");
	pim_rank_destroy(s.backend.rank);
	s.backend.rank = other;
	ok = ok && !pim_host_wait(&s.host, 60000, &faults, &msg) && !faults &&
	     totals_are(&s, TOTAL);
	m.ptr[9] = back;
	ok = ok && !pim_rank_read(other, &m) && !memcmp(bytes, back, 16);
	result(ok, "the restored rank runs to the same end");

	/* the same state twice is the same bytes */
	a.used = 0;
	ok = !pim_rank_save(other, store_write, &a);
	a.at = 0;
	ok = ok && !pim_rank_restore(other, store_read, &a) &&
	     !pim_rank_save(other, store_write, &b);
	ok = ok && a.used == b.used && !memcmp(a.bytes, b.bytes, a.used);
	result(ok, "saving what was restored gives the same bytes");
	end(&s);
	free(a.bytes);
	free(b.bytes);
}

static void wrong_states(void)
{
	struct pim_rank_config small = { .dpu = { .mram_size = 1 << 20 } };
	struct pim_rank *rank = pim_rank_create(&small), *large = pim_rank_create(NULL);
	struct store a = { 0 }, full = { .fail_at = 100000 };
	uint8_t bytes[8] = "abcdefg";
	struct pim_matrix m = { .size = 8, .ptr = { [1] = bytes } };
	bool ok = !pim_rank_write(rank, &m) && !pim_rank_save(rank, store_write, &a);
	unsigned int refused = 0;

	result(ok && pim_rank_save(rank, store_write, &full) == -ENOSPC,
	       "a save that fails says so");
	result(pim_rank_restore(large, store_read, &a) == -EINVAL,
	       "a state of another size is refused");
	/* each byte of the beginning wrong in turn */
	for (size_t n = 0; n < 6000 && n < a.used; n += 11) {
		a.at = 0;
		a.bytes[n] ^= 0xff;
		refused += pim_rank_restore(rank, store_read, &a) != 0;
		a.bytes[n] ^= 0xff;
	}
	a.at = 0;
	a.used /= 2;
	ok = is("damaged states refused", refused, 546) &&
	     pim_rank_restore(rank, store_read, &a) == -EIO;
	a.used = 0;
	ok = ok && pim_rank_idle(rank) && !pim_rank_save(rank, store_write, &a);
	for (size_t n = 40 + 8 * sizeof(struct pim_ci_state); ok && n < a.used - 8; n++)
		ok = strchr("\1\3\20", a.bytes[n]);
	result(ok, "after a state that ends early the rank is empty");
	pim_rank_destroy(rank);
	pim_rank_destroy(large);
	free(a.bytes);
	free(full.bytes);
}

/* A canary in every place; nothing of it is there after a scrub. */
static void scrubbing(void)
{
	static const char canary[8] = "CANARY!";
	struct pim_rank_config config = { .dpu = { .mram_size = 4 << 20 } };
	struct store a = { 0 };
	struct setup s;
	struct ax_msg msg;
	const void *all[PIM_RANK_NR_DPUS];
	uint64_t word, faults;
	bool ok = begin(&s, counting, &config), before = false, after = false;

	memcpy(&word, canary, 8);
	for (int n = 0; n < PIM_RANK_NR_DPUS; n++)
		all[n] = canary;
	ok = ok && !pim_host_mram_write(&s.host, 3 << 20, all, 8, &msg) &&
	     !pim_host_wram_write(&s.host, -1, 5000 & ~7u, canary, 8, &msg) &&
	     !pim_host_iram_write(&s.host, 4000, &word, 1, &msg) &&
	     !pim_host_launch(&s.host, &msg) && !pim_host_wait(&s.host, 60000, &faults, &msg);
	ok = ok && !pim_rank_save(s.backend.rank, store_write, &a);
	for (size_t n = 0; n + 6 < a.used; n++)
		before = before || !memcmp(a.bytes + n, canary, 6);
	pim_rank_scrub(s.backend.rank);
	a.used = 0;
	ok = ok && !pim_rank_save(s.backend.rank, store_write, &a);
	for (size_t n = 0; n + 6 < a.used; n++)
		after = after || !memcmp(a.bytes + n, canary, 6);
	result(ok && before && !after, "nothing is left after scrubbing");
	ok = a.used < 64u * (PIM_WRAM_SIZE + 4096);
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		struct pim_dpu dpu;

		pim_rank_peek(s.backend.rank, n, &dpu);
		ok = ok && !dpu.run && !dpu.instructions && !dpu.threads[3].r[2];
		for (int k = 0; k < PIM_NR_ATOMIC_BITS / 64; k++)
			ok = ok && !dpu.atomic[k];
	}
	result(ok, "registers, bits and counters too");
	free(a.bytes);
	end(&s);
}

/* --- a device ------------------------------------------------------------------------------- */

static struct pim_rank *fake_rank;
static int fake_opens, fake_error;

static int fake_open(const char *path, int flags)
{
	if (strcmp(path, "/dev/dpu_rank0")) {
		errno = ENOENT;
		return -1;
	}
	/* one owner at a time: the driver's error for that */
	if (fake_opens++) {
		errno = EINVAL;
		return -1;
	}
	return (flags & O_ACCMODE) == O_RDWR ? 42 : -1;
}

static int fake_close(int fd)
{
	(void)fd;
	fake_opens--;
	return 0;
}

/* What the driver does with the calls of the ABI. */
static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	const struct pim_dev_matrix *dev = arg;
	struct pim_matrix m;
	int error = -fake_error;

	(void)fd;
	switch (request) {
	case 0x40086402:
		pim_rank_commit(fake_rank, arg);
		break;
	case 0x80086403:
		pim_rank_update(fake_rank, arg);
		break;
	case 0x40086400:
	case 0x40086401:
		for (int n = 0; n < 64; n++)
			m.ptr[n] = (void *)(uintptr_t)dev->ptr[n];
		m.offset = dev->offset;
		m.size = dev->size;
		if (!error)
			error = request & 1 ? pim_rank_read(fake_rank, &m) :
				pim_rank_write(fake_rank, &m);
		break;
	default:
		error = -ENOTTY;
		break;
	}
	errno = -error;
	return error ? -1 : 0;
}

static void device(void)
{
	static const struct pim_dev_calls calls = {
		.open = fake_open, .ioctl = fake_ioctl, .close = fake_close
	};
	struct ax_msg msg = { "" };
	struct pim_backend second;
	uint64_t faults = 1;
	struct setup s = { 0 };
	uint8_t bytes[100], back[100] = { 0 };
	void *all[PIM_RANK_NR_DPUS] = { [5] = back };
	const void *from[PIM_RANK_NR_DPUS] = { [5] = bytes };
	bool ok;

	fake_rank = pim_rank_create(NULL);
	ok = build(counting, &s.program) &&
	     !pim_backend_device(&s.backend, "/dev/dpu_rank0", &calls, &msg) &&
	     !pim_host_reset(&s.host, &s.backend, PIM_RANK_NR_DPUS, &msg) &&
	     !pim_host_load(&s.host, &s.program, &msg);
	s.rounds = pim_program_symbol(&s.program, "rounds");
	s.total = pim_program_symbol(&s.program, "total");
	ok = ok && set_rounds(&s, 1000) && !pim_host_launch(&s.host, &msg) &&
	     !pim_host_wait(&s.host, 60000, &faults, &msg) && !faults && totals_are(&s, 276000);
	if (!ok)
		printf("# %s\n", msg.text);
	result(ok, "device: reset, load, launch, results");
	for (unsigned int n = 0; n < sizeof(bytes); n++)
		bytes[n] = (uint8_t)(n * 7);
	ok = !pim_host_mram_write(&s.host, 1003, from, 100, &msg) &&
	     !pim_host_mram_read(&s.host, 1003, all, 100, &msg) && !memcmp(bytes, back, 100);
	result(ok, "device: transfers of any alignment");
	ok = pim_backend_device(&second, "/dev/dpu_rank0", &calls, &msg) == -1 &&
	     strstr(msg.text, "in use");
	fake_opens--;
	ok = ok && pim_backend_device(&second, "/dev/dpu_rank1", &calls, &msg) == -1 &&
	     strstr(msg.text, "No such file");
	result(ok, "device: in use, and not there");
	fake_error = EFAULT;
	ok = pim_host_mram_read(&s.host, 0, all, 8, &msg) == -1 && strstr(msg.text, "Bad address");
	fake_error = 0;
	result(ok, "device: an error of the driver is passed on");
	end(&s);
	pim_rank_destroy(fake_rank);
	result(!fake_opens, "device: closed");
}

/* --- a rank that fails ------------------------------------------------------------------ */

/* What goes wrong at which call, counted from the first. */
enum trouble { TROUBLE_ERROR, TROUBLE_SILENT, TROUBLE_PAYLOAD };

static struct {
	enum trouble what;
	unsigned int at, calls;
	struct pim_backend inner;
} trouble;

static int bad_commit(struct pim_backend *b, const uint64_t commands[PIM_RANK_NR_CIS])
{
	(void)b;
	if (trouble.what == TROUBLE_ERROR && trouble.calls >= trouble.at)
		return -EIO;
	return trouble.inner.ops->commit(&trouble.inner, commands);
}

static int bad_update(struct pim_backend *b, uint64_t results[PIM_RANK_NR_CIS])
{
	int status = trouble.inner.ops->update(&trouble.inner, results);

	(void)b;
	if (trouble.calls++ < trouble.at)
		return status;
	/* from now on interface 3 says nothing, or one bit of all that it says is wrong */
	if (trouble.what == TROUBLE_SILENT)
		results[3] = 0;
	else if (trouble.what == TROUBLE_PAYLOAD)
		results[3] ^= 1;
	return status;
}

static int no_transfer(struct pim_backend *b, const struct pim_matrix *m)
{
	(void)b;
	(void)m;
	return -EIO;
}

static void bad_close(struct pim_backend *b)
{
	(void)b;
	pim_backend_close(&trouble.inner);
}

static const struct pim_backend_ops bad_ops = {
	.name = "trouble", .commit = bad_commit, .update = bad_update,
	.write = no_transfer, .read = no_transfer, .close = bad_close,
};

/* A reset ends with a message when anything goes wrong on the way, never with a hang. */
static void troubles(void)
{
	static const char *const names[] = {
		"a rank whose calls fail", "a rank that falls silent", "a rank that answers wrongly"
	};
	struct pim_rank_config small = { .threads = 1, .dpu = { .mram_size = PIM_MRAM_CHUNK } };
	unsigned int calls = 0;

	for (unsigned int what = 0; what < 3; what++) {
		unsigned int refused = 0, tried = 0;
		bool ok = true;

		/* the first time nothing goes wrong: how many calls does it make? */
		for (unsigned int n = what ? 1 : 0; n < 18; n++) {
			unsigned int at = n ? (n - 1) * calls / 18 : ~0u;
			struct pim_backend backend = { .ops = &bad_ops };
			struct ax_msg msg = { "" };
			struct pim_host host;

			trouble.what = (enum trouble)what;
			trouble.at = at;
			trouble.calls = 0;
			ok = ok && !pim_backend_emulator(&trouble.inner, &small, &msg);
			tried += n != 0;
			if (pim_host_reset(&host, &backend, 64, &msg)) {
				refused++;
				ok = ok && n && strstr(msg.text, "trouble: ");
			}
			pim_backend_close(&backend);
			if (!n)
				calls = trouble.calls;
		}
		result(is("refused", refused, tried) && ok, names[what]);
	}
}

/* --- control interfaces ---------------------------------------------------------------- */

static struct pim_ci ci;

static uint64_t say(uint64_t word)
{
	pim_ci_commit(&ci, word);
	return pim_ci_update(&ci);
}

static uint64_t frame(uint64_t structure, uint64_t f)
{
	say(0x11ULL << 56 | structure);
	return say(0x33ULL << 56 | f);
}

/* One bit of the colour is off. */
static bool is_misunderstood(uint64_t result)
{
	int bits = __builtin_popcountll(result >> 48 & 0xff);

	return bits == 1 || bits == 7;
}

static void interface(void)
{
	struct pim_dpu_config config = { .mram_size = PIM_MRAM_CHUNK };
	struct pim_dpu *dpus[8];
	bool ok;

	memset(&ci, 0, sizeof(ci));
	for (int n = 0; n < 8; n++) {
		dpus[n] = pim_dpu_create(&config, NULL);
		ci.dpus[n] = dpus[n];
	}
	ci.temperature = 3;
	ci.chip_id = 65;
	pim_ci_init(&ci);
	ok = is("identity", say(0x01ffULL << 48), 0x000007ff00000041ULL) &&
	     is("and again, in the other colour", say(0x01ffULL << 48), 0x00ff07ff00000041ULL) &&
	     is("nothing", say(0), 0x00ff07ff00000041ULL) &&
	     is("NOP", say(0xffULL << 56), 0xffff07ff00000041ULL) &&
	     is("NOP is no command", say(0x01ffULL << 48), 0x000007ff00000041ULL) &&
	     is("a word of no class", say(0x42ULL << 56), 0x00fe07ff00000000ULL) &&
	     is("an unknown configuration", say(0x01ffULL << 48 | 0x123456),
		0x000107ff00000000ULL);
	say(0x01ff00000000ff04ULL);
	ok = ok && is("after a reset", say(0x01ffULL << 48), 0x000007ff00000041ULL);
	result(ok, "interface: colours and results");

	frame(2, 0x02ff030a);
	ok = is("one DPU", pim_ci_selected(&ci), 8);
	frame(2, 0x02ff050c);
	frame(2, 0x02ff0509);
	ok = ok && is("group 5", pim_ci_selected(&ci), 8);
	frame(2, 0x02ff0009);
	ok = ok && is("group 0", pim_ci_selected(&ci), 0xf7);
	frame(0, 0x0002ff08);
	ok = ok && is("all", pim_ci_selected(&ci), 0xff);
	say(0x01ff00000000ff04ULL);
	ok = ok && is("none after a reset", pim_ci_selected(&ci), 0);
	ok = ok && is_misunderstood(frame(2, 0x02ff080a));
	result(ok, "interface: selections and groups");

	frame(0, 0x0002ff08);
	result(is_misunderstood(frame(0xfff, 0)), "interface: frames without an operation");

	/* stop at once, and one instruction after the other */
	frame(0, 0x0002ff08);
	frame(2, 0x02ff020a);
	pim_dpu_boot(dpus[2], 4);
	{
		static const uint64_t add = 0x003300100000ULL;	/* add r0, zero, 1 is near enough */

		pim_dpu_iram_write(dpus[2], 0, &add, 1);
		pim_dpu_iram_write(dpus[2], 1, &add, 1);
	}
	frame(0, 0x02ffb3);
	ok = is("stopped", (uint32_t)frame(0, 0x0280), 4) &&
	     is("kind", (uint32_t)frame(0, 0x02b0), 4) && !pim_dpu_run(dpus[2], 10);
	frame(0, 0x02ff87);
	ok = ok && is("one instruction", dpus[2]->instructions, 1) &&
	     is("stopped again", (uint32_t)frame(0, 0x0280), 4);
	frame(0, 0x02ff87);
	ok = ok && is("two", dpus[2]->instructions, 2) && is("counter", dpus[2]->threads[4].pc, 2);
	frame(0, 0x02ffb2);
	frame(0, 0x02ff86);
	ok = ok && !(uint32_t)frame(0, 0x0280) && !(uint32_t)frame(0, 0x02b0) &&
	     is("runs", (uint32_t)frame(0, 0x0284), 4);
	frame(0, 0x02ffb7);
	ok = ok && is("poison", (uint32_t)frame(0, 0x02b4), 4) &&
	     is("fault", (uint32_t)frame(0, 0x0280), 4);
	frame(0, 0x02ffb6);
	ok = ok && !(uint32_t)frame(0, 0x02b4);
	result(ok, "interface: stop, step, go on");

	ok = is("stack bits before", (uint32_t)frame(0, 0x02f2), 0) &&
	     is("stack bits", (uint32_t)frame(0, 0x02f2), 4) &&
	     is("stack bits, cleared", (uint32_t)frame(0, 0x02f0), 4) &&
	     is("stack bits after", (uint32_t)frame(0, 0x02f2), 0);
	result(ok, "interface: stack bits");

	ci.inject = PIM_CI_INJECT_COLOUR;
	ci.inject_count = 1;
	{
		uint64_t a = say(0x01ffULL << 48), b = say(0x01ffULL << 48);

		result(is("colours", (a ^ b) >> 48 & 0xff, 0),
		       "interface: an injected colour stays");
	}
	for (int n = 0; n < 8; n++)
		pim_dpu_destroy(dpus[n]);
}

int main(void)
{
	setlinebuf(stdout);
	printf("KTAP version 1\n1..33\n");
	transfers();
	running();
	from_threads();
	holding();
	move_running();
	wrong_states();
	scrubbing();
	device();
	troubles();
	interface();
	return failures != 0;
}
