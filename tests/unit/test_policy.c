// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The replacement policy: its transitions one by one, its invariants under random operations, and
 * its quality at small scale (docs/emp-policy.md has the figures).
 */
#include "../../emp-kmod/emp_policy.h"
#include "policy_sim.h"

#define NR 4096

static struct emp_bent bent[NR];
static struct emp_policy pol;
static u32 out[NR];
static unsigned int test_nr, failures;
static bool ok;

#define CHECK(cond) do {						\
	if (!(cond)) {							\
		if (ok)							\
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
		ok = false;						\
	}								\
} while (0)

static void result(const char *name)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", ++test_nr, name);
	fflush(stdout);
	failures += !ok;
	ok = true;
}

static void fresh(u32 nr)
{
	memset(bent, 0xa5, sizeof(bent));
	emp_policy_init(&pol, bent, nr);
}

/* Every block where the queues say it is, every counter what the queues hold. */
static void check_invariants(void)
{
	static u8 seen[NR];
	u32 live[EMP_Q_NR] = { 0 }, dead[EMP_Q_NR] = { 0 }, evicting = 0, q, i, n;

	memset(seen, 0, sizeof(seen));
	for (q = 0; q < EMP_Q_NR; q++) {
		for (n = 0, i = pol.q[q].head; i != EMP_POLICY_NIL; i = bent[i].link) {
			CHECK(i < pol.nr_blocks);
			if (i >= pol.nr_blocks || seen[i]++ || n++ > NR) {
				CHECK(!"linked twice");
				break;
			}
			CHECK((bent[i].queue & EMP_QB_WHERE) == q);
			if (bent[i].queue & EMP_QB_DEAD)
				dead[q]++;
			else
				live[q]++;
			if (bent[i].link == EMP_POLICY_NIL)
				CHECK(pol.q[q].tail == i);
		}
		CHECK(live[q] == pol.q[q].live && live[q] == emp_policy_len(&pol, q));
		CHECK(dead[q] == pol.q[q].dead);
	}
	for (i = 0; i < pol.nr_blocks; i++) {
		if (seen[i])
			continue;
		CHECK(emp_policy_where(&bent[i]) >= EMP_Q_EVICTING);
		CHECK(!(bent[i].queue & EMP_QB_DEAD));
		evicting += emp_policy_where(&bent[i]) == EMP_Q_EVICTING;
	}
	CHECK(evicting == pol.evicting);
	CHECK(emp_policy_resident(&pol) == live[0] + live[1] + live[2] + live[3]);
}

static void evict_all(u32 n)
{
	while (n--)
		emp_policy_evicted(&pol, out[n]);
}

/* All of S, so of fresh blocks, unmapped and waiting. */
static void insert_waiting(u32 from, u32 nr)
{
	u32 i;

	for (i = from; i < from + nr; i++)
		emp_policy_insert(&pol, i);
	pol.su_share = 128;
	CHECK(emp_policy_pick_unmap(&pol, out, NR) >= nr);
}

static void test_layout(void)
{
	CHECK(sizeof(struct emp_bent) == 12);
	CHECK(offsetof(struct emp_bent, slot) == 0 && offsetof(struct emp_bent, link) == 4);
	CHECK(offsetof(struct emp_bent, queue) == 8 && offsetof(struct emp_bent, ref) == 9);
	CHECK(offsetof(struct emp_bent, flags) == 10);
	result("a block's entry is 12 bytes");

	fresh(NR);
	insert_waiting(0, 64);
	evict_all(emp_policy_pick_evict(&pol, out, 64, false));
	emp_policy_forget(&pol, 3);
	CHECK(bent[0].slot == 0xa5a5a5a5 && bent[0].flags == 0xa5a5);
	CHECK(bent[3].slot == 0xa5a5a5a5 && bent[3].flags == 0xa5a5);
	result("slot and flags are left alone");
}

static void test_life(void)
{
	u32 i, n;

	fresh(NR);
	CHECK(!emp_policy_pick_unmap(&pol, out, 32) && !emp_policy_pick_evict(&pol, out, 32, true));
	result("nothing resident, nothing given");

	for (i = 0; i < 100; i++)
		emp_policy_insert(&pol, i);
	CHECK(emp_policy_len(&pol, EMP_Q_S) == 100);
	emp_policy_touch(&pol, 5);
	CHECK(!bent[5].ref);
	result("new blocks enter S, and a touch of a mapped block says nothing");

	n = emp_policy_pick_unmap(&pol, out, 100);
	CHECK(n == 50 && out[0] == 0 && out[49] == 49);
	CHECK(emp_policy_where(&bent[0]) == EMP_Q_SU);
	CHECK(!emp_policy_pick_unmap(&pol, out, 100));
	result("pick_unmap: the oldest, and no more than should wait");

	for (i = 0; i < 50; i += 2)
		emp_policy_touch(&pol, i);
	n = emp_policy_pick_evict(&pol, out, 10, false);
	CHECK(n == 10 && pol.evicting == 10 && out[0] == 1 && out[9] == 19);
	CHECK(emp_policy_where(&bent[0]) == EMP_Q_M);
	CHECK(emp_policy_where(&bent[1]) == EMP_Q_EVICTING);
	CHECK(emp_policy_resident(&pol) == 90);
	check_invariants();
	result("pick_evict: those not touched, in order; the touched go to M");

	CHECK(!emp_policy_touched(&pol, 1));
	emp_policy_touch(&pol, 1);
	CHECK(emp_policy_touched(&pol, 1));
	emp_policy_putback(&pol, 1);
	emp_policy_forget(&pol, 3);
	emp_policy_evicted(&pol, 5);
	CHECK(emp_policy_where(&bent[1]) == EMP_Q_M && !bent[1].ref);
	CHECK(emp_policy_where(&bent[3]) == EMP_Q_NONE && !bent[3].link);
	CHECK(emp_policy_where(&bent[5]) == EMP_Q_NONE && bent[5].link == pol.clock);
	CHECK(pol.evicting == 7);
	check_invariants();
	result("a victim is evicted, put back or forgotten");
}

static void test_ghost(void)
{
	u32 i;

	fresh(NR);
	insert_waiting(0, 512);
	evict_all(emp_policy_pick_evict(&pol, out, 256, false));
	CHECK(pol.clock == 257 && emp_policy_resident(&pol) == 256);
	emp_policy_insert(&pol, out[255]);
	CHECK(pol.stats.refault == 1 && emp_policy_where(&bent[out[255]]) == EMP_Q_M);
	result("a young ghost comes back to M");

	fresh(NR);
	insert_waiting(0, 64);
	evict_all(emp_policy_pick_evict(&pol, out, 32, false));
	insert_waiting(100, 200);
	evict_all(emp_policy_pick_evict(&pol, out, 200, false));
	emp_policy_insert(&pol, 0);
	CHECK(!pol.stats.refault && emp_policy_where(&bent[0]) == EMP_Q_S);
	result("an old ghost comes back to S");

	fresh(NR);
	insert_waiting(0, 32);
	evict_all(emp_policy_pick_evict(&pol, out, 8, false));
	for (i = 0; i < 8; i++)
		emp_policy_forget(&pol, i);
	emp_policy_insert(&pol, 7);
	CHECK(!pol.stats.refault && emp_policy_where(&bent[7]) == EMP_Q_S);
	result("discard wipes out the ghost");

	fresh(NR);
	pol.clock = (u32)-4;
	insert_waiting(0, 32);
	evict_all(emp_policy_pick_evict(&pol, out, 8, false));
	for (i = 0; i < 8; i++)
		CHECK(bent[i].link);
	CHECK(pol.clock && pol.clock < 16);
	emp_policy_insert(&pol, 7);
	CHECK(pol.stats.refault == 1);
	result("eviction numbers wrap around without a zero");
}

static void test_discard(void)
{
	u32 i, n;

	fresh(NR);
	for (i = 0; i < 100; i++)
		emp_policy_insert(&pol, i);
	n = emp_policy_pick_unmap(&pol, out, 20);
	emp_policy_forget(&pol, 3);
	emp_policy_forget(&pol, 3);
	emp_policy_forget(&pol, 60);
	CHECK(n == 20 && emp_policy_resident(&pol) == 98);
	CHECK(emp_policy_where(&bent[3]) == EMP_Q_NONE);
	check_invariants();
	emp_policy_insert(&pol, 60);
	emp_policy_insert(&pol, 3);
	CHECK(emp_policy_where(&bent[3]) == EMP_Q_SU && emp_policy_where(&bent[60]) == EMP_Q_S);
	check_invariants();
	emp_policy_forget(&pol, 4);
	n = emp_policy_pick_evict(&pol, out, 5, false);
	CHECK(n == 5 && out[3] == 5 && out[4] == 6);
	CHECK(emp_policy_where(&bent[3]) == EMP_Q_M);
	CHECK(bent[4].queue == EMP_Q_NONE && !bent[4].link);
	check_invariants();
	result("discarded blocks are dropped when popped, or live on in place");

	fresh(NR);
	for (i = 0; i < NR; i++)
		emp_policy_insert(&pol, i);
	for (i = 0; i < NR - 1; i++)
		emp_policy_forget(&pol, i);
	for (i = 0, n = 0; !n && i < NR; i++) {
		u32 dead = pol.q[EMP_Q_S].dead;

		n = emp_policy_pick_unmap(&pol, out, 8);
		CHECK(dead - pol.q[EMP_Q_S].dead <= EMP_POLICY_SCAN(8));
		CHECK(n || dead > pol.q[EMP_Q_S].dead);
	}
	CHECK(n == 1 && out[0] == NR - 1);
	check_invariants();
	result("many discarded: bounded scans, all of which get on");
}

static void test_ahead(void)
{
	fresh(NR);
	emp_policy_insert_prefetched(&pol, 0);
	emp_policy_insert_prefetched(&pol, 1);
	emp_policy_insert_prefetched(&pol, 2);
	emp_policy_insert_prefetched(&pol, 3);
	pol.su_share = 128;
	emp_policy_touch(&pol, 0);	/* in S */
	emp_policy_touch(&pol, 3);
	CHECK(emp_policy_pick_unmap(&pol, out, 4) == 4);
	CHECK(!bent[0].ref && !(bent[0].queue & EMP_QB_AHEAD) && bent[1].queue & EMP_QB_AHEAD);
	emp_policy_touch(&pol, 1);	/* in SU */
	emp_policy_touch(&pol, 3);	/* a second use */
	CHECK(emp_policy_pick_evict(&pol, out, 4, false) == 2 && out[0] == 0 && out[1] == 2);
	CHECK(emp_policy_where(&bent[1]) == EMP_Q_S && !(bent[1].queue & EMP_QB_AHEAD));
	CHECK(emp_policy_where(&bent[3]) == EMP_Q_M);
	CHECK(pol.stats.rescue == 1);
	evict_all(2);
	CHECK(bent[0].link && !bent[2].link);
	check_invariants();
	result("read ahead: the first touch is no second use, never touched leaves no ghost");
}

static void test_heat(void)
{
	u32 i, round;

	fresh(NR);
	insert_waiting(0, 100);
	pol.mu_share = 128;
	pol.new_share = 0;
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 100; i++)
			emp_policy_touch(&pol, i);
		CHECK(!emp_policy_pick_evict(&pol, out, 100, false));
		CHECK(emp_policy_len(&pol, EMP_Q_M) == 100);
		CHECK(emp_policy_pick_unmap(&pol, out, 100) == 100);
	}
	CHECK((bent[0].queue & EMP_QB_HEAT) == 2 * EMP_QB_HEAT_ONE);
	CHECK(!emp_policy_pick_evict(&pol, out, 50, false));
	CHECK(pol.stats.cool == EMP_POLICY_SCAN(50) - 50);
	CHECK(emp_policy_pick_evict(&pol, out, 50, false) == 50);
	CHECK(pol.stats.cool == 200 && pol.stats.unmap == 300);
	check_invariants();
	result("heat: found in use twice, passes two judgements more");
}

/* 1000 proven blocks, all in use, and 100 new ones, which is fewer than the new ones' share. */
static void test_in_vain(void)
{
	u32 i, n;

	fresh(NR);
	pol.mu_share = 128;
	insert_waiting(0, 1000);
	for (i = 0; i < 1000; i++)
		emp_policy_touch(&pol, i);
	while (emp_policy_len(&pol, EMP_Q_M) < 1000)
		emp_policy_pick_evict(&pol, out, 32, false);
	for (i = 1000; i < 1100; i++)
		emp_policy_insert(&pol, i);
	CHECK(emp_policy_pick_unmap(&pol, out, NR) == 1100);
	for (i = 0; i < 1000; i++)
		emp_policy_touch(&pol, i);
	n = emp_policy_pick_evict(&pol, out, 32, false);
	CHECK(n == 32 && out[0] == 1000 && pol.stats.rescue == 1000 + 64);
	check_invariants();
	result("the new ones have to go when all that is judged of the proven is in use");
}

/* Makes the round which the driver makes; everything unmapped is touched at once if hostile. */
static u32 round_trip(bool hostile, bool force)
{
	u32 got[32], n, i, k;

	for (k = 0; k < EMP_POLICY_PACE; k++) {
		n = emp_policy_pick_unmap(&pol, got, 32);
		for (i = 0; i < n && hostile; i++)
			emp_policy_touch(&pol, got[i]);
		if (!n)
			break;
	}
	n = emp_policy_pick_evict(&pol, got, 32, force);
	for (i = 0; i < n; i++)
		emp_policy_evicted(&pol, got[i]);
	return n;
}

/* 1000 proven blocks that cannot be evicted before 100 new ones that can. */
static void test_stuck(void)
{
	u32 got[32], i, k, n, rounds, out_of = 0;

	fresh(NR);
	insert_waiting(0, 1000);
	for (i = 0; i < 1000; i++)
		emp_policy_touch(&pol, i);
	while (emp_policy_len(&pol, EMP_Q_M) < 1000)
		emp_policy_pick_evict(&pol, got, 32, false);
	for (rounds = 0; rounds < 200; rounds++) {	/* until all have cooled down */
		emp_policy_pick_unmap(&pol, got, 32);
		n = emp_policy_pick_evict(&pol, got, 32, true);
		for (i = 0; i < n; i++)
			emp_policy_putback(&pol, got[i]);
	}
	for (i = 1000; i < 1100; i++)
		emp_policy_insert(&pol, i);
	for (rounds = 0; rounds < 1000 && out_of < 100; rounds++) {
		for (k = 0; k < EMP_POLICY_PACE; k++)
			emp_policy_pick_unmap(&pol, got, 32);
		n = emp_policy_pick_evict(&pol, got, 32, true);
		for (i = 0; i < n; i++) {
			if (got[i] < 1000) {
				emp_policy_putback(&pol, got[i]);
			} else {
				emp_policy_evicted(&pol, got[i]);
				out_of++;
			}
		}
	}
	CHECK(out_of == 100 && rounds < 100);
	check_invariants();
	result("what can be evicted does not wait behind what cannot");

	for (i = 1000; i < 1100; i++)
		emp_policy_insert(&pol, i);
	while (pol.stuck) {
		emp_policy_pick_unmap(&pol, got, 32);
		n = emp_policy_pick_evict(&pol, got, 32, true);
		for (i = 0; i < n; i++)
			emp_policy_evicted(&pol, got[i]);
		if (!n)
			break;
	}
	CHECK(!pol.stuck);
	check_invariants();
	result("the share of the new ones comes back when the proven can go");
}

static void test_empty(void)
{
	u32 i, rounds;

	fresh(NR);
	for (i = 0; i < NR; i++)
		emp_policy_insert(&pol, i);
	for (rounds = 0; emp_policy_resident(&pol) && rounds < NR; rounds++)
		round_trip(false, false);
	CHECK(!emp_policy_resident(&pol) && rounds <= NR / 32 + 16);
	check_invariants();
	result("without use, everything can be evicted without force");

	for (i = 0; i < NR; i++)
		emp_policy_insert(&pol, i);
	for (rounds = 0; rounds < 1000; rounds++)
		round_trip(true, false);
	CHECK(emp_policy_resident(&pol) > NR / 2);
	check_invariants();
	for (rounds = 0; emp_policy_resident(&pol) && rounds < NR; rounds++)
		CHECK(round_trip(true, true) == 32);
	CHECK(!emp_policy_resident(&pol) && pol.stats.forced);
	check_invariants();
	result("with everything in use, calls end, and force evicts everything");

	for (i = 0; i < NR; i++)
		emp_policy_insert(&pol, i);
	for (rounds = 0; emp_policy_resident(&pol) && rounds < NR; rounds++)
		evict_all(emp_policy_pick_evict(&pol, out, 32, true));
	CHECK(!emp_policy_resident(&pol) && rounds == NR / 32);
	check_invariants();
	result("force needs no pick_unmap");
}

static void test_fuzz(void)
{
	static u32 victim[NR];
	u32 nr_victims = 0, resident = 0, i, n, k, round;
	u64 seed = 0x5eed1001;

	for (round = 0; round < 4; round++) {
		u32 nr = round == 0 ? 1 : round == 1 ? 7 : round == 2 ? 300 : NR;

		fresh(nr);
		nr_victims = 0;
		resident = 0;
		for (i = 0; i < 200000; i++) {
			u32 idx = sim_below(&seed, nr), max = 1 + sim_below(&seed, 40);
			enum emp_q where = emp_policy_where(&bent[idx]);

			switch (sim_below(&seed, 16)) {
			case 0 ... 5:
				if (where != EMP_Q_NONE)
					break;
				if (sim_below(&seed, 4))
					emp_policy_insert(&pol, idx);
				else
					emp_policy_insert_prefetched(&pol, idx);
				resident++;
				break;
			case 6 ... 8:
				emp_policy_touch(&pol, idx);
				break;
			case 9:
				if (where == EMP_Q_EVICTING) {
					for (k = 0; victim[k] != idx; k++)
						;
					victim[k] = victim[--nr_victims];
				} else if (where != EMP_Q_NONE) {
					resident--;
				}
				emp_policy_forget(&pol, idx);
				break;
			case 10:
				n = emp_policy_pick_unmap(&pol, out, max);
				CHECK(n <= max);
				for (k = 0; k < n; k++)
					CHECK(emp_policy_where(&bent[out[k]]) == EMP_Q_SU ||
					      emp_policy_where(&bent[out[k]]) == EMP_Q_MU);
				break;
			case 11:
				if (nr_victims + max > NR || sim_below(&seed, 4))
					break;
				n = emp_policy_pick_evict(&pol, out, max, !sim_below(&seed, 4));
				CHECK(n <= max);
				for (k = 0; k < n; k++)
					victim[nr_victims++] = out[k];
				resident -= n;
				break;
			default:
				if (!nr_victims)
					break;
				k = sim_below(&seed, nr_victims);
				idx = victim[k];
				victim[k] = victim[--nr_victims];
				if (sim_below(&seed, 4)) {
					emp_policy_evicted(&pol, idx);
				} else {
					emp_policy_putback(&pol, idx);
					resident++;
				}
			}
			CHECK(emp_policy_resident(&pol) == resident && pol.evicting == nr_victims);
			if (i % (nr < 100 ? 16 : 1024) == 0)
				check_invariants();
		}
	}
	result("random operations keep every block in exactly one place");
}

/* Promises about a trace of policy_sim.c; 0 = none. */
static const struct {
	const char *name;
	double vs_lru, soft_per_miss, lost;
} goals[] = {
	{ "zipf099_c10", 0.90, 1.0, 0 },
	{ "zipf099_c25", 0.95, 1.0, 0 },
	{ "zipf099_c50", 1.00, 1.0, 0 },
	{ "scan_over_hot_zipf", 1.00, 1.0, 0.05 },
	{ "scan_over_hot_uniform", 1.00, 1.0, 0.05 },
	{ "scan_alone_uniform", 1.00, 1.0, 0.05 },
	{ "scan_first_uniform", 1.00, 1.0, 0.12 },
	{ "loop110", 0.30, 1.5, 0 },
	{ "loop150", 0.70, 1.0, 0 },
	{ "two_phases", 1.05, 1.0, 0 },
	{ "two_phases_uniform", 1.40, 1.0, 0 },
};

static void test_quality(void)
{
	struct sim_trace t;
	char name[200];
	unsigned int i, g;

	for (i = 0; sim_trace_make(&t, i, 2048); i++) {
		struct sim_result e = sim_emp(&t, NULL), l = sim_lru(&t);
		double vs_lru = (double)e.miss / l.miss, soft = (double)e.soft / e.miss;

		for (g = 0; strcmp(goals[g].name, t.name); g++)
			;
		CHECK(vs_lru <= goals[g].vs_lru);
		CHECK(soft <= goals[g].soft_per_miss);
		CHECK(e.lost <= goals[g].lost);
		CHECK(e.unmap <= e.soft + 2 * e.miss);
		CHECK(!e.forced);
		snprintf(name, sizeof(name), "%s: misses %.3f of LRU's, %.2f soft faults a miss",
			 t.name, vs_lru, soft);
		result(name);
		sim_trace_free(&t);
	}
	CHECK(i == sizeof(goals) / sizeof(goals[0]));

	sim_trace_make(&t, 2, 256);
	CHECK(sim_opt(&t).miss <= sim_lru(&t).miss && sim_opt(&t).miss <= sim_emp(&t, NULL).miss);
	CHECK(sim_emp(&t, NULL).miss == sim_emp(&t, NULL).miss);
	sim_trace_free(&t);
	result("no policy beats OPT, and a run repeats itself");
}

int main(void)
{
	ok = true;
	printf("TAP version 14\n");
	test_layout();
	test_life();
	test_ghost();
	test_discard();
	test_ahead();
	test_heat();
	test_in_vain();
	test_stuck();
	test_empty();
	test_fuzz();
	test_quality();
	printf("1..%u\n", test_nr);
	return failures != 0;
}
