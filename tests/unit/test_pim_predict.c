// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-virtio-pim/dpu_predict.h against a rank in software: each command of the
 * SDK's sequence (test_pim_sdk.c) whose answer is predicted gets that answer, and
 * nearly all that load a program are.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../../guest-virtio-pim/dpu_predict.h"
#include "../../userspace-tools/pim/pim_rank.h"

static struct dpu_predict_ci known[8];
static unsigned int asked, predicted, wrong, excused;

/* A commit, and what dpu.ko would have answered. */
static void checked_commit(struct pim_rank *rank, const uint64_t commands[8])
{
	__u64 guess[8] = { 0 };
	uint64_t real[8];
	bool all = true, any = false;

	for (int c = 0; c < 8; c++) {
		if (commands[c]) {
			any = true;
			all = all && dpu_predict_one(&known[c], commands[c], &guess[c]);
		}
	}
	pim_rank_commit(rank, commands);
	pim_rank_update(rank, real);
	asked += any;
	predicted += any && all;
	for (int c = 0; c < 8; c++) {
		if (!commands[c])
			continue;
		if (all && !excused && (guess[c] ^ real[c]) &
		    dpu_answer_mask(dpu_command_of(&known[c], commands[c]))) {
			printf("# 0x%llx: 0x%llx predicted, 0x%llx answered\n",
			       (unsigned long long)commands[c], (unsigned long long)guess[c],
			       (unsigned long long)real[c]);
			wrong++;
		}
		dpu_predict_note(&known[c], commands[c], real[c]);
	}
	excused -= excused > 0;
}

/* What is made to go wrong on purpose is not to be foreseen. */
static int checked_inject(struct pim_rank *rank, unsigned int ci, enum pim_ci_inject what,
			  uint32_t count)
{
	excused = 4 * count;
	pim_rank_inject_ci(rank, ci, what, count);
	return 0;
}

#define pim_rank_commit		checked_commit
#define pim_rank_inject_ci	checked_inject
#define main			sdk_main
#include "test_pim_sdk.c"
#undef main

int main(void)
{
	uint64_t words[1000] = { 0 };

	(void)sdk_main;
	rank = pim_rank_create(NULL);
	if (!rank) {
		puts("Bail out! no rank");
		return 1;
	}
	printf("KTAP version 1\n1..31\n");
	reset();

	asked = 0;
	predicted = 0;
	result(select_all() && iram_write(0, words, 1000), "a program of 1000 instructions");
	printf("# IRAM: %u commands, %u predicted\n", asked, predicted);
	for (uint32_t at = 0; at < 4000; at += 4)
		wram_write(at, at);
	printf("# with WRAM: %u commands, %u predicted\n", asked, predicted);
	result((asked - predicted) * 100 <= asked, "at most one in a hundred is asked");

	run_program();
	faults();
	bad_commands();
	result(!wrong, "what is predicted is answered");
	pim_rank_destroy(rank);
	return failures != 0;
}
