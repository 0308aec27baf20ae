// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The queues of the compat model: the heap gives out what the original's would,
 * in the same order among events that are due at once, which a plain sift of one
 * level at a time shows; the FIFO keeps the order of pushes.
 *
 * The random part is the same each time. ANNEX_SOAK=1 makes it longer.
 */
#include "../../userspace-tools/hypersio/hs_queue.h"
#include "hs_test.h"

#define EVENTS_MAX 5000

struct event {
	uint64_t due;
	uint32_t slot;
};

/* The original's: children of i are 2i + 1 and 2i + 2, compared by due time only. */
static struct event plain[EVENTS_MAX];
static size_t plain_nr;

static void plain_up(size_t at, struct event e)
{
	while (at && plain[(at - 1) / 2].due > e.due) {
		plain[at] = plain[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	plain[at] = e;
}

static void plain_push(struct event e)
{
	plain_up(plain_nr++, e);
}

static struct event plain_pop(void)
{
	struct event top = plain[0], last = plain[--plain_nr];
	size_t at = 0;

	/* the hole goes down to a leaf; the right child, unless it is due later */
	while (2 * at + 1 < plain_nr) {
		size_t child = 2 * at + 1;

		if (child + 1 < plain_nr && plain[child + 1].due <= plain[child].due)
			child++;
		plain[at] = plain[child];
		at = child;
	}
	if (plain_nr)
		plain_up(at, last);
	return top;
}

/* @spread: of due times: 1 makes most of them equal; @most: events at once */
static bool heap_round(struct hs_rng *rng, uint64_t spread, size_t most, unsigned int steps)
{
	struct hs_queue q;
	uint64_t now = 0;
	bool ok = true;

	plain_nr = 0;
	if (hs_queue_init(&q) || hs_queue_reserve(&q, false, 1))
		return because("out of memory");
	for (unsigned int i = 0; ok && (i < steps || plain_nr); i++) {
		bool push = i < steps && plain_nr < most &&
			    (!plain_nr || hs_rng_below(rng, 100) < (i / 64 % 2 ? 80 : 40));

		if (push) {
			struct event e = { now + hs_rng_below(rng, spread),
					   hs_rng_below(rng, HS_SLOT_MASK + 1) };
			bool first = !plain_nr || e.due < plain[0].due;

			if (hs_queue_reserve(&q, false, plain_nr + 1)) {
				ok = because("out of memory");
				break;
			}
			if (hs_queue_push(&q, false, e.due, e.slot) != first)
				ok = because("step %u: whether it is the next one is wrong", i);
			plain_push(e);
		} else {
			uint64_t due = hs_queue_due(&q, false);
			uint32_t slot = hs_queue_pop(&q, false);
			struct event e = plain_pop();

			now = e.due;
			if (due != e.due || slot != e.slot)
				ok = because("step %u: %llu/%u, not %llu/%u of %zu", i,
					     (unsigned long long)due, slot,
					     (unsigned long long)e.due, e.slot, plain_nr + 1);
		}
	}
	if (ok && hs_queue_due(&q, false) != HS_TIME_MAX)
		ok = because("an empty heap has something due");
	hs_queue_free(&q);
	return ok;
}

static bool heap_is_the_originals(unsigned int rounds)
{
	struct hs_rng rng;

	hs_rng_seed(&rng, 1);
	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t spread = 1 + hs_rng_below(&rng, i % 3 ? 8 : 2000);
		size_t most = 1 + hs_rng_below(&rng, i % 5 ? 300 : EVENTS_MAX);

		if (!heap_round(&rng, spread, most, 4000))
			return because("round %u: spread %llu, at most %zu", i,
				       (unsigned long long)spread, most);
	}
	return true;
}

/* Each length by itself: filled, then emptied. */
static bool heap_of_each_length(void)
{
	struct hs_rng rng;

	hs_rng_seed(&rng, 2);
	for (size_t n = 1; n <= 600; n++) {
		struct hs_queue q;
		bool ok = true;

		plain_nr = 0;
		if (hs_queue_init(&q) || hs_queue_reserve(&q, false, n))
			return because("out of memory");
		for (size_t i = 0; i < n; i++) {
			struct event e = { hs_rng_below(&rng, 1 + n / 4), i };

			hs_queue_push(&q, false, e.due, e.slot);
			plain_push(e);
		}
		while (ok && plain_nr)
			ok = hs_queue_pop(&q, false) == plain_pop().slot;
		hs_queue_free(&q);
		if (!ok)
			return because("of %zu events, with %zu left", n, plain_nr);
	}
	return true;
}

static bool fifo(void)
{
	uint32_t in = 0, out = 0;
	struct hs_queue q;
	struct hs_rng rng;
	bool ok = true;

	hs_rng_seed(&rng, 3);
	if (hs_queue_init(&q))
		return because("out of memory");
	for (unsigned int i = 0; ok && i < 20000; i++) {
		if (in == out || hs_rng_below(&rng, 100) < (i / 1000 % 2 ? 70 : 45)) {
			bool first = in == out;

			if (hs_queue_reserve(&q, true, in - out + 1))
				return because("out of memory");
			if (hs_queue_push(&q, true, 1000 - in % 7, in) != first)
				ok = because("push %u: whether it is the next one is wrong", in);
			in++;
		} else {
			if (hs_queue_due(&q, true) != 1000 - out % 7 ||
			    hs_queue_pop(&q, true) != out)
				ok = because("%u is not the next one", out);
			out++;
		}
	}
	hs_queue_free(&q);
	return ok;
}

int main(void)
{
	unsigned int rounds = getenv("ANNEX_SOAK") && *getenv("ANNEX_SOAK") ? 3000 : 150;

	printf("TAP version 14\n1..3\n");
	result(heap_is_the_originals(rounds), "heap: the original's order, random pushes and pops");
	result(heap_of_each_length(), "heap: each length up to 600");
	result(fifo(), "FIFO: the order of pushes");
	return failures != 0;
}
