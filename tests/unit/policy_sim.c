// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Traces, and three replacement policies run over them: the driver's own (emp-kmod/emp_policy.c,
 * driven as the driver drives it), exact LRU, and OPT (Belady: the victim is the block whose next
 * use is farthest away).
 *
 * LRU and OPT see every access and use the capacity to the last block. Ours sees misses and soft
 * faults, and keeps a free reserve as the driver's evictor does: below 1/64 of the capacity the
 * evictor runs, in batches, until twice that is free.
 *
 * All is deterministic: own generator, fixed seeds.
 */
#include <math.h>

#include "../../emp-kmod/emp_policy.h"
#include "policy_sim.h"

#define SIM_BATCH	32
#define SIM_PATIENCE	8	/* rounds without a victim before the evictor uses force */
#define SIM_NEVER	((size_t)-1)

static void *sim_alloc(size_t nr, size_t size)
{
	void *m = calloc(nr ? nr : 1, size);

	if (!m) {
		perror("calloc");
		exit(1);
	}
	return m;
}

/* ---- Traces ---- */

/* Zipf by Walker's alias method: a draw is one random number and one comparison. */
struct zipf {
	u32 n;
	double *part;
	u32 *alias;
};

static void zipf_init(struct zipf *z, u32 n, double theta)
{
	u32 *small = sim_alloc(n, sizeof(*small)), *large = sim_alloc(n, sizeof(*large));
	u32 nr_small = 0, nr_large = 0, i;
	double sum = 0;

	z->n = n;
	z->part = sim_alloc(n, sizeof(*z->part));
	z->alias = sim_alloc(n, sizeof(*z->alias));
	for (i = 0; i < n; i++)
		sum += z->part[i] = pow(i + 1, -theta);
	for (i = 0; i < n; i++) {
		z->part[i] *= n / sum;
		z->alias[i] = i;
		if (z->part[i] < 1)
			small[nr_small++] = i;
		else
			large[nr_large++] = i;
	}
	while (nr_small && nr_large) {
		u32 s = small[--nr_small], l = large[nr_large - 1];

		z->alias[s] = l;
		z->part[l] -= 1 - z->part[s];
		if (z->part[l] < 1) {
			nr_large--;
			small[nr_small++] = l;
		}
	}
	free(small);
	free(large);
}

static void zipf_free(struct zipf *z)
{
	free(z->part);
	free(z->alias);
}

static u32 zipf_draw(const struct zipf *z, u64 *seed)
{
	u32 i = sim_below(seed, z->n);
	double u = (double)(sim_rand(seed) >> 11) / (1ull << 53);

	return u < z->part[i] ? i : z->alias[i];
}

static u32 *permutation(u32 n, u64 *seed)
{
	u32 *p = sim_alloc(n, sizeof(*p)), i;

	for (i = 0; i < n; i++) {
		u32 j = sim_below(seed, i + 1);

		p[i] = p[j];
		p[j] = i;
	}
	return p;
}

static void trace_init(struct sim_trace *t, const char *name, u32 nr_blocks, u32 capacity,
		       size_t nr)
{
	*t = (struct sim_trace){ .nr_blocks = nr_blocks, .capacity = capacity, .nr = nr };
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->block = sim_alloc(nr, sizeof(*t->block));
}

/* Zipf 0.99, the hot ones scattered; with nr_phases > 1 others are hot in each phase. */
static void trace_zipf(struct sim_trace *t, const char *name, u32 capacity, u32 times,
		       unsigned int nr_phases)
{
	u32 n = capacity * times, *scatter = NULL;
	u64 seed = 0x5eed0001;
	struct zipf z;
	size_t i;

	trace_init(t, name, n, capacity, (size_t)n * 24);
	t->from = nr_phases > 1 ? 0 : t->nr / 4;
	zipf_init(&z, n, 0.99);
	for (i = 0; i < t->nr; i++) {
		if (i % (t->nr / nr_phases) == 0) {
			free(scatter);
			scatter = permutation(n, &seed);
		}
		t->block[i] = scatter[zipf_draw(&z, &seed)];
	}
	free(scatter);
	zipf_free(&z);
}

/* A uniformly used hot set which fits, 5% of the accesses anywhere; then another such set. */
static void trace_two_sets(struct sim_trace *t, u32 capacity)
{
	u32 n = capacity * 4, hot = capacity * 7 / 10;
	u64 seed = 0x5eed0002;
	size_t i;

	trace_init(t, "two_phases_uniform", n, capacity, (size_t)capacity * 40);
	for (i = 0; i < t->nr; i++) {
		u32 base = i < t->nr / 2 ? 0 : hot;

		if (sim_below(&seed, 20) == 0)
			t->block[i] = sim_below(&seed, n);
		else
			t->block[i] = base + sim_below(&seed, hot);
	}
}

enum scan_kind {
	SCAN_MIXED,	/* there was pressure before; the hot set is used during the scan */
	SCAN_ALONE,	/* there was pressure before; nothing else happens during the scan */
	SCAN_FIRST,	/* the scan is the first pressure there is; the hot set is used meanwhile */
};

/* A hot set of half the capacity, Zipf or uniform, and one scan over twice the capacity. */
static void trace_scan(struct sim_trace *t, const char *name, u32 capacity, enum scan_kind kind,
		       bool uniform)
{
	u32 hot = capacity / 2, scan = capacity * 2, cold = capacity * 2;
	size_t warm = (size_t)capacity * 20, i, next;
	u32 *scatter;
	struct zipf z;
	u64 seed = 0x5eed0003;

	trace_init(t, name, hot + scan + cold, capacity,
		   warm + (kind == SCAN_ALONE ? scan : 2 * scan) + warm / 2);
	t->nr_hot = hot;
	t->scan_from = warm;
	t->scan_to = warm + (kind == SCAN_ALONE ? scan : 2 * scan);
	t->from = warm;
	scatter = permutation(hot, &seed);
	zipf_init(&z, hot, 0.99);
	next = hot;
	for (i = 0; i < t->nr; i++) {
		bool scanning = i >= t->scan_from && i < t->scan_to;

		if (scanning && (kind == SCAN_ALONE || i % 2))
			t->block[i] = next++;
		else if (!scanning && kind != SCAN_FIRST && sim_below(&seed, 10) == 0)
			t->block[i] = hot + scan + sim_below(&seed, cold);
		else if (uniform)
			t->block[i] = sim_below(&seed, hot);
		else
			t->block[i] = scatter[zipf_draw(&z, &seed)];
	}
	free(scatter);
	zipf_free(&z);
}

static void trace_loop(struct sim_trace *t, const char *name, u32 capacity, u32 percent)
{
	size_t i;

	trace_init(t, name, (u64)capacity * percent / 100, capacity, (size_t)capacity * 30);
	t->from = t->nr / 3;
	for (i = 0; i < t->nr; i++)
		t->block[i] = i % t->nr_blocks;
}

bool sim_trace_make(struct sim_trace *t, unsigned int which, u32 capacity)
{
	switch (which) {
	case 0:
		trace_zipf(t, "zipf099_c10", capacity, 10, 1);
		return true;
	case 1:
		trace_zipf(t, "zipf099_c25", capacity, 4, 1);
		return true;
	case 2:
		trace_zipf(t, "zipf099_c50", capacity, 2, 1);
		return true;
	case 3:
		trace_scan(t, "scan_over_hot_zipf", capacity, SCAN_MIXED, false);
		return true;
	case 4:
		trace_scan(t, "scan_over_hot_uniform", capacity, SCAN_MIXED, true);
		return true;
	case 5:
		trace_scan(t, "scan_alone_uniform", capacity, SCAN_ALONE, true);
		return true;
	case 6:
		trace_scan(t, "scan_first_uniform", capacity, SCAN_FIRST, true);
		return true;
	case 7:
		trace_loop(t, "loop110", capacity, 110);
		return true;
	case 8:
		trace_loop(t, "loop150", capacity, 150);
		return true;
	case 9:
		trace_zipf(t, "two_phases", capacity, 4, 2);
		return true;
	case 10:
		trace_two_sets(t, capacity);
		return true;
	}
	return false;
}

/* Block numbers as text, separated by white space; they are renumbered densely. */
bool sim_trace_load(struct sim_trace *t, const char *path, double share)
{
	FILE *f = fopen(path, "r");
	size_t room = 1 << 16, nr = 0;
	unsigned long long v, max = 0;
	u32 *block, *seen;

	if (!f)
		return false;
	block = sim_alloc(room, sizeof(*block));
	while (fscanf(f, "%llu", &v) == 1) {
		if (v >= 1u << 30) {
			fprintf(stderr, "%s: block %llu is too large\n", path, v);
			break;
		}
		if (nr == room) {
			room *= 2;
			block = realloc(block, room * sizeof(*block));
			if (!block) {
				perror("realloc");
				exit(1);
			}
		}
		block[nr++] = v;
		max = v > max ? v : max;
	}
	if (!nr || !feof(f)) {
		if (!nr)
			fprintf(stderr, "%s: no block numbers\n", path);
		fclose(f);
		free(block);
		return false;
	}
	fclose(f);
	*t = (struct sim_trace){ .block = block, .nr = nr };
	seen = sim_alloc(max + 1, sizeof(*seen));
	for (nr = 0; nr < t->nr; nr++) {
		if (!seen[block[nr]])
			seen[block[nr]] = ++t->nr_blocks;
		block[nr] = seen[block[nr]] - 1;
	}
	free(seen);
	t->capacity = t->nr_blocks * share;
	if (t->capacity < 64)
		t->capacity = 64;
	snprintf(t->name, sizeof(t->name), "%.40s@%.0f%%", path, share * 100);
	return true;
}

void sim_trace_free(struct sim_trace *t)
{
	free(t->block);
	t->block = NULL;
}

/* ---- The hot set before and after a scan, for all policies ---- */

struct lost {
	u8 *was;
	u32 before;
	double share;
};

static void lost_look(struct lost *l, const struct sim_trace *t, size_t i,
		      bool (*resident)(void *arg, u32 idx), void *arg)
{
	u32 h, gone = 0;

	if (!i)
		l->share = -1;
	if (!t->scan_from || (i != t->scan_from && i != t->scan_to))
		return;
	if (i == t->scan_from) {
		l->was = sim_alloc(t->nr_hot, 1);
		for (h = 0; h < t->nr_hot; h++)
			l->before += l->was[h] = resident(arg, t->hot + h);
		return;
	}
	for (h = 0; h < t->nr_hot; h++)
		gone += l->was[h] && !resident(arg, t->hot + h);
	l->share = l->before ? (double)gone / l->before : 0;
	free(l->was);
	l->was = NULL;
}

/* ---- Ours ---- */

struct emp_sim {
	struct emp_policy p;
	struct emp_bent *b;
	u8 *mapped;
	u32 capacity;
	u32 quiet;	/* evictor rounds without a victim */
};

static void emp_sim_evictor(struct emp_sim *s)
{
	u32 low = s->capacity / 64 > 4 ? s->capacity / 64 : 4;
	u32 out[SIM_BATCH], n, i, k;

	if (s->capacity - emp_policy_resident(&s->p) >= low)
		return;
	while (s->capacity - emp_policy_resident(&s->p) < 2 * low) {
		for (k = 0; k < EMP_POLICY_PACE; k++) {
			n = emp_policy_pick_unmap(&s->p, out, SIM_BATCH);
			for (i = 0; i < n; i++)
				s->mapped[out[i]] = 0;
			if (!n)
				break;
		}
		n = emp_policy_pick_evict(&s->p, out, SIM_BATCH, s->quiet >= SIM_PATIENCE);
		for (i = 0; i < n; i++) {
			s->mapped[out[i]] = 0;
			emp_policy_evicted(&s->p, out[i]);
		}
		s->quiet = n ? 0 : s->quiet + 1;
	}
}

static bool emp_sim_resident(void *arg, u32 idx)
{
	struct emp_sim *s = arg;

	return emp_policy_where(&s->b[idx]) < EMP_Q_NR;
}

struct sim_result sim_emp(const struct sim_trace *t, const struct sim_tune *tune)
{
	struct emp_sim s = { .capacity = t->capacity };
	struct emp_policy_stats start = { 0 };
	struct sim_result r = { 0 };
	struct lost lost = { 0 };
	size_t i;

	s.b = sim_alloc(t->nr_blocks, sizeof(*s.b));
	s.mapped = sim_alloc(t->nr_blocks, 1);
	emp_policy_init(&s.p, s.b, t->nr_blocks);
	if (tune && tune->new_share)
		s.p.new_share = tune->new_share;
	if (tune && tune->su_share)
		s.p.su_share = tune->su_share;
	if (tune && tune->mu_share)
		s.p.mu_share = tune->mu_share;

	for (i = 0; i < t->nr; i++) {
		u32 idx = t->block[i];

		lost_look(&lost, t, i, emp_sim_resident, &s);
		if (i == t->from) {
			start = s.p.stats;
			r.miss = 0;
			r.soft = 0;
		}
		if (s.mapped[idx])
			continue;
		s.mapped[idx] = 1;
		if (emp_sim_resident(&s, idx)) {
			emp_policy_touch(&s.p, idx);
			r.soft++;
			continue;
		}
		r.miss++;
		emp_policy_insert(&s.p, idx);
		emp_sim_evictor(&s);
	}
	r.unmap = s.p.stats.unmap - start.unmap;
	r.forced = s.p.stats.forced - start.forced;
	r.lost = lost.share;
	free(s.b);
	free(s.mapped);
	return r;
}

/* ---- LRU ---- */

struct lru_sim {
	u32 *prev, *next;	/* ring through the entry nr_blocks */
	u8 *resident;
};

static void lru_del(struct lru_sim *s, u32 i)
{
	s->next[s->prev[i]] = s->next[i];
	s->prev[s->next[i]] = s->prev[i];
}

static void lru_add(struct lru_sim *s, u32 after, u32 i)
{
	s->prev[i] = after;
	s->next[i] = s->next[after];
	s->prev[s->next[i]] = i;
	s->next[after] = i;
}

static bool lru_resident(void *arg, u32 idx)
{
	return ((struct lru_sim *)arg)->resident[idx];
}

struct sim_result sim_lru(const struct sim_trace *t)
{
	u32 top = t->nr_blocks, nr = 0;
	struct sim_result r = { 0 };
	struct lost lost = { 0 };
	struct lru_sim s;
	size_t i;

	s.prev = sim_alloc(top + 1, sizeof(*s.prev));
	s.next = sim_alloc(top + 1, sizeof(*s.next));
	s.resident = sim_alloc(top, 1);
	s.prev[top] = top;
	s.next[top] = top;
	for (i = 0; i < t->nr; i++) {
		u32 idx = t->block[i];

		lost_look(&lost, t, i, lru_resident, &s);
		if (s.resident[idx]) {
			lru_del(&s, idx);
		} else {
			r.miss += i >= t->from;
			if (nr == t->capacity) {
				s.resident[s.prev[top]] = 0;
				lru_del(&s, s.prev[top]);
			} else {
				nr++;
			}
			s.resident[idx] = 1;
		}
		lru_add(&s, top, idx);
	}
	r.lost = lost.share;
	free(s.prev);
	free(s.next);
	free(s.resident);
	return r;
}

/* ---- OPT ---- */

/* A heap of (next use, block), farthest on top; entries whose next use has changed are stale. */
struct opt_sim {
	struct opt_entry {
		size_t use;
		u32 idx;
	} *heap;
	size_t nr;
	size_t *use;		/* per block: its next use, SIM_NEVER too */
	u8 *resident;
};

static void opt_push(struct opt_sim *s, size_t use, u32 idx)
{
	size_t i = s->nr++;

	for (; i && s->heap[(i - 1) / 2].use < use; i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = (struct opt_entry){ use, idx };
}

static struct opt_entry opt_pop(struct opt_sim *s)
{
	struct opt_entry top = s->heap[0], last = s->heap[--s->nr];
	size_t i = 0, kid;

	while ((kid = 2 * i + 1) < s->nr) {
		if (kid + 1 < s->nr && s->heap[kid + 1].use > s->heap[kid].use)
			kid++;
		if (s->heap[kid].use <= last.use)
			break;
		s->heap[i] = s->heap[kid];
		i = kid;
	}
	s->heap[i] = last;
	return top;
}

static bool opt_resident(void *arg, u32 idx)
{
	return ((struct opt_sim *)arg)->resident[idx];
}

struct sim_result sim_opt(const struct sim_trace *t)
{
	size_t *next = sim_alloc(t->nr, sizeof(*next)), *last, i;
	struct sim_result r = { 0 };
	struct lost lost = { 0 };
	struct opt_sim s = { 0 };
	u32 nr = 0, b;

	last = sim_alloc(t->nr_blocks, sizeof(*last));
	for (b = 0; b < t->nr_blocks; b++)
		last[b] = SIM_NEVER;
	for (i = t->nr; i-- > 0; ) {
		next[i] = last[t->block[i]];
		last[t->block[i]] = i;
	}
	s.use = last;
	s.heap = sim_alloc(t->nr, sizeof(*s.heap));
	s.resident = sim_alloc(t->nr_blocks, 1);
	for (i = 0; i < t->nr; i++) {
		u32 idx = t->block[i];

		lost_look(&lost, t, i, opt_resident, &s);
		if (!s.resident[idx]) {
			r.miss += i >= t->from;
			while (nr == t->capacity) {
				struct opt_entry e = opt_pop(&s);

				if (s.resident[e.idx] && s.use[e.idx] == e.use) {
					s.resident[e.idx] = 0;
					nr--;
				}
			}
			s.resident[idx] = 1;
			nr++;
		}
		s.use[idx] = next[i];
		opt_push(&s, next[i], idx);
	}
	r.lost = lost.share;
	free(next);
	free(last);
	free(s.heap);
	free(s.resident);
	return r;
}
