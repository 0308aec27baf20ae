// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * States of a rank without MRAM, as they are saved for pim.ko: what comes back is
 * what there was, and nothing else is taken for a state.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../userspace-tools/pim/pim_isa.h"
#include "../../userspace-tools/pim/pim_rank_priv.h"

static unsigned int test_nr, failures;

static void result(bool ok, const char *name)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", ++test_nr, name);
	failures += !ok;
}

static const struct pim_rank_config tiny = {
	.threads = 1, .dpu = { .mram_size = PIM_MRAM_CHUNK, .wram_size = 2048, .iram_size = 128 }
};

static uint64_t seed = 1;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dULL;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(any() >> 33) % n;
}

static void any_dpu(struct pim_dpu *dpu)
{
	uint32_t words = below(dpu->iram_size + 1), bytes = below(dpu->wram_size + 1);
	bool fault = !below(4);

	for (uint32_t n = 0; n < words; n++) {
		uint64_t word = any();

		pim_dpu_iram_write(dpu, n, &word, 1);
	}
	for (uint32_t n = 0; n < bytes; n++)
		dpu->wram[n] = (uint8_t)any();
	for (int n = 0; n < PIM_NR_THREADS; n++) {
		for (int r = 0; r < PIM_NR_GPR; r++)
			dpu->threads[n].r[r] = (uint32_t)any();
		dpu->threads[n].pc = below(dpu->iram_size + 1);
		dpu->threads[n].zx = (uint32_t)any();
		dpu->threads[n].cf = below(2);
	}
	for (int n = 0; n < PIM_NR_ATOMIC_BITS / 64; n++)
		dpu->atomic[n] = any();
	/* one that runs is in fault, or it could not be saved */
	dpu->run = fault ? any() : any() << PIM_NR_THREADS;
	if (fault) {
		dpu->fault = 1 + below(PIM_FAULT_NR - 1);
		dpu->fault_thread = below(PIM_NR_THREADS);
		dpu->fault_pc = below(dpu->iram_size + 1);
		dpu->fault_value = (uint32_t)any();
	}
	dpu->next_thread = below(PIM_NR_THREADS);
	dpu->time_mode = below(PIM_TIME_NOTHING + 1);
	dpu->time_base = any();
	dpu->instructions = any();
	dpu->issue_ticks = any();
	dpu->dma_ticks = any();
}

static void any_interface(struct pim_ci_state *s)
{
	memset(s, 0, sizeof(*s));
	s->result = any();
	s->structure = any();
	s->colour = (uint8_t)below(2);
	s->target = (uint8_t)below(PIM_CI_TARGET_GROUP + 1);
	s->target_index = (uint8_t)below(PIM_CI_NR_DPUS);
	for (int n = 0; n < PIM_CI_NR_DPUS; n++) {
		s->group[n] = (uint8_t)below(PIM_CI_NR_GROUPS);
		s->pc_mode[n] = (uint8_t)any();
		for (int r = 0; r < 256; r++)
			s->regs[n][r] = (uint8_t)any();
	}
	s->stack_up = (uint8_t)any();
	s->latched = (uint8_t)any();
	s->breakpoint = (uint8_t)any();
	s->poison = (uint8_t)any();
	s->memory = (uint8_t)any();
	s->dma = (uint8_t)any();
}

static void any_state(struct pim_rank *rank)
{
	pim_rank_reset(rank);
	for (int n = 0; n < PIM_RANK_NR_DPUS; n++)
		any_dpu(rank->dpus[n]);
	for (int n = 0; n < PIM_RANK_NR_CIS; n++)
		any_interface(&rank->cis[n].state);
}

/* All that programs can see of both. */
static bool alike(const struct pim_rank *a, const struct pim_rank *b)
{
	bool same = true;

	for (int n = 0; n < PIM_RANK_NR_CIS; n++)
		same = same && !memcmp(&a->cis[n].state, &b->cis[n].state,
				       sizeof(a->cis[n].state));
	for (int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		const struct pim_dpu *x = a->dpus[n], *y = b->dpus[n];

		same = same && !memcmp(x->threads, y->threads, sizeof(x->threads)) &&
		       !memcmp(x->atomic, y->atomic, sizeof(x->atomic)) &&
		       !memcmp(x->wram, y->wram, x->wram_size) &&
		       !memcmp(x->iram, y->iram, x->iram_size * sizeof(*x->iram)) &&
		       x->run == y->run && x->fault == y->fault &&
		       x->fault_thread == y->fault_thread && x->fault_pc == y->fault_pc &&
		       x->fault_value == y->fault_value && x->next_thread == y->next_thread &&
		       x->time_mode == y->time_mode && x->time_base == y->time_base &&
		       x->instructions == y->instructions && x->issue_ticks == y->issue_ticks &&
		       x->dma_ticks == y->dma_ticks;
	}
	return same;
}

static void round_trips(void)
{
	struct pim_rank *a = pim_rank_create(&tiny), *b = pim_rank_create(&tiny);
	size_t room = pim_rank_state_size(&tiny.dpu), size = 0, again;
	uint8_t *bytes = malloc(room), *others = malloc(room);
	uint8_t word[8] = "MRAM is", back[8] = "";
	struct pim_matrix m = { .size = 8, .ptr = { [5] = word } };
	bool ok = true, run;

	for (int n = 0; ok && n < 200; n++) {
		any_state(a);
		any_state(b);	/* nothing of it is left */
		ok = !pim_rank_write(b, &m) && !pim_rank_save_state(a, bytes, room, &size) &&
		     !pim_rank_restore_state(b, bytes, size) && alike(a, b) &&
		     !pim_rank_save_state(b, others, room, &again) && again == size &&
		     !memcmp(bytes, others, size);
	}
	m.ptr[5] = back;
	ok = ok && !pim_rank_read(b, &m) && !memcmp(word, back, 8);
	result(ok, "200 of any kind are the same in another rank, MRAM stays");

	ok = pim_rank_save_state(a, bytes, size - 1, &again) == -ENOSPC;
	pim_dpu_clear_fault(a->dpus[7]);
	pim_dpu_boot(a->dpus[7], 3);	/* nobody has told the pool */
	run = pim_dpu_running(a->dpus[7]);
	ok = ok && run && pim_rank_save_state(a, bytes, room, &again) == -EBUSY && !again;
	result(ok, "not while a DPU runs, not without room");
	free(bytes);
	free(others);
	pim_rank_destroy(a);
	pim_rank_destroy(b);
}

/* Change it somehow. */
static void damage(uint8_t *bytes, size_t *size, size_t room)
{
	size_t at = below((uint32_t)*size), n = 1 + below(64);

	switch (below(5)) {
	case 0:
		bytes[at] ^= (uint8_t)(1 << below(8));
		return;
	case 1:
		for (; n-- && at < *size; at++)
			bytes[at] = (uint8_t)any();
		return;
	case 2:
		*size = at;
		return;
	case 3:
		for (; n-- && *size < room;)
			bytes[(*size)++] = (uint8_t)any();
		return;
	case 4:	/* where most fields are that count */
		bytes[below(4096) % *size] = (uint8_t)any();
	}
}

static void fix_sum(uint8_t *bytes, size_t size)
{
	uint64_t sum;

	if (size < 8)
		return;
	/* its parts are whole words, so their sum is that of all at once */
	sum = pim_rank_sum(0, bytes, size - 8);
	memcpy(bytes + size - 8, &sum, 8);
}

static void damaged_states(void)
{
	struct pim_rank *a = pim_rank_create(&tiny), *b = pim_rank_create(&tiny),
			*empty = pim_rank_create(&tiny);
	size_t room = pim_rank_state_size(&tiny.dpu), size = 0, damaged, again;
	uint8_t *good = malloc(room), *bytes = malloc(room + 4096), *others = malloc(room);
	unsigned int taken = 0, wrong = 0, refused = 0;
	bool ok = true;

	for (int n = 0; n < 3000; n++) {
		bool fixed = n % 2;

		if (n % 100 == 0) {
			any_state(a);
			pim_rank_save_state(a, good, room, &size);
		}
		memcpy(bytes, good, size);
		damaged = size;
		damage(bytes, &damaged, room + 4096);
		if (fixed)
			fix_sum(bytes, damaged);
		if (damaged == size && !memcmp(bytes, good, size))
			continue;
		if (pim_rank_restore_state(b, bytes, damaged)) {
			refused++;
			ok = ok && alike(b, empty);
			continue;
		}
		taken++;
		wrong += !fixed;
		/* one that makes sense: then it is exactly that, and does no harm */
		ok = ok && !pim_rank_save_state(b, others, room, &again) && again == damaged &&
		     !memcmp(bytes, others, again);
		for (int d = 0; d < PIM_RANK_NR_DPUS; d += 9) {
			pim_dpu_clear_fault(b->dpus[d]);
			pim_dpu_resume(b->dpus[d], below(PIM_NR_THREADS));
			pim_dpu_run(b->dpus[d], 100);
		}
	}
	printf("# damaged: %u refused, %u with a right sum taken, %u with a wrong one\n", refused,
	       taken, wrong);
	result(!wrong && refused > 1500 && taken && ok,
	       "damaged ones are refused, or are what they say");
	free(good);
	free(bytes);
	free(others);
	pim_rank_destroy(a);
	pim_rank_destroy(b);
	pim_rank_destroy(empty);
}

int main(void)
{
	setlinebuf(stdout);
	printf("KTAP version 1\n1..3\n");
	round_trips();
	damaged_states();
	return failures != 0;
}
