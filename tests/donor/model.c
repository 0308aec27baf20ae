// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every state that the donor protocol (docs/wire-donor.md) can get into, with a
 * client A that has blocks on a donor, perhaps a mirror of them, and another
 * client B that wants a slab. Block i lies in slab i.
 *
 *	A	its guest writes and touches blocks; they are written back to donor
 *		and mirror, leave DRAM and are read again. One connection for words;
 *		data goes over it too, or (--data) over one of its own. A may be killed
 *	donor	sessions, queue pairs, registrations, slabs; it zeroes, lingers,
 *		revokes; its process may stop, die, and come back
 *	backing	of the donor, with room for one slab; --cools N: so often the donor
 *		says COOL, and A may park a slab there. B may do so, too, and it may
 *		keep for ever the memory that A's slab had
 *	between	requests and answers that arrive late, in any order, or never
 *
 * Failures, in any order and at any time, are bounded by budgets: breaks of a
 * connection (also a deadline that passes for no other reason), losses (of the
 * donor's data or the mirror's, or of what is parked), lies of a device (a READ that succeeds and
 * moves nothing), stops of the donor's process, slabs that cannot be stored.
 *
 * In each state:
 *	lost	what was written back can be read somewhere, as long as no more was
 *		lost than is promised: one copy with a mirror, none without
 *	stale	what is read is what was written last
 *	leak	a slab is granted with zeros only, and nobody but its owner changes it
 *	refused	the device refuses A nothing that is A's, in reach or parked
 *	stuck	from everywhere a state can be reached, without luck, in which A
 *		waits for nothing and knows what it has; when A is dead, one in which
 *		the donor has its memory back
 *
 * usage: model [OPTION]...	(--help) --without takes one rule of the protocol
 * away. Prints what was found and the way to it; exit status 0: nothing found,
 * 3: found, 2: usage, 1: error.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

/* Parking, and nothing that fails. */
#define PARK_ALONE "--cools 1 --mirror 0 --breaks 0 --losses 0 --stops 0 --kills 0 --revokes 0 --unstored 0"

/* Each rule, what is found without it, and where it is needed. */
static const struct {
	const char *name, *finds, *options, *text;
} rules[RULES] = {
	[ALL] = { "none", "", "", "" },
	[GENERATION] = { "generation", "stale", "--mac 0 --stops 0 --kills 0 --revokes 0",
		"a donor of another generation has not got the data" },
	[FORGET] = { "forget", "stale", "--mac 0 --stops 0 --kills 0 --revokes 0",
		"a new session holds nothing of the old one's" },
	[BOTH_COPIES] = { "both-copies", "lost", "--stops 0 --kills 0 --revokes 0",
		"a block leaves DRAM when all its copies were acknowledged" },
	[UNKNOWN_EFFECT] = { "unknown-effect", "lost", "--stops 0 --kills 0 --revokes 0",
		"what failed has an unknown effect, and counts as not written" },
	[LATE_ANSWERS] = { "late-answers", "stale", "--mac 0 --stops 0 --kills 0 --revokes 0",
		"nothing of a connection that broke is believed" },
	[DEADLINE] = { "deadline", "stuck", "--stops 0 --kills 0 --revokes 0",
		"an operation without an answer ends, and breaks its connection" },
	[GIVE_UP] = { "give-up", "stuck", "--stops 0 --kills 0 --revokes 0",
		"a donor that cannot be reached for too long is lost" },
	[LIST_ASKED] = { "list", "stuck", "--mirror 0",
		"after RESUME the client asks what it still has" },
	[GIVE_BACK_LAST] = { "give-back-last", "lost", "--stops 0 --kills 0 --breaks 0",
		"what is given back is in DRAM, or elsewhere with all its copies" },
	[PING] = { "ping", "lost", "--mirror 0",
		"a client that has nothing to say pings" },
	[SUSPECT] = { "suspect", "lost", "--mirror 0",
		"a donor that does not answer pings still has the data" },
	[MAC] = { "mac", "stale", "--lies 1 --stops 0 --kills 0 --revokes 0",
		"no READ is trusted without a check of one's own" },
	[REPLACES] = { "replaces", "stale", "--mac 0 --data --stops 0 --kills 0 --revokes 0",
		"a JOIN names the connection that it replaces" },
	[OLD_QPS] = { "old-queue-pairs", "stale", "--mac 0 --stops 0 --kills 0 --revokes 0",
		"RESUME destroys the session's queue pairs before it accepts" },
	[DEREGISTER_FIRST] = { "deregister-first", "leak", "--stops 0 --kills 0 --breaks 0",
		"a slab is deregistered before it is zeroed" },
	[ZEROING] = { "zeroing", "leak", "--stops 0 --kills 0 --revokes 0",
		"a slab that comes back is zeroed" },
	[ZEROED_FIRST] = { "zeroed-first", "leak", "--stops 0 --kills 0 --revokes 0",
		"what is being zeroed is not granted" },
	[LINGER_ENDS] = { "linger-ends", "stuck", "--stops 0 --revokes 0",
		"a session without a connection ends" },
	[FENCE_ON_END] = { "replace-ends", "stale", "--mac 0 --data --stops 0 --kills 0 --revokes 0",
		"the donor destroys what a JOIN replaces before it accepts" },
	[PARK_IDLE] = { "park-idle", "refused", PARK_ALONE,
		"a slab is parked when nothing of the client's is under way there" },
	[PARK_WAITS] = { "park-waits", "refused", PARK_ALONE,
		"what is parked is neither read nor written before FETCHED" },
	[PARK_ORDER] = { "park-order", "refused", PARK_ALONE " --cools 2 --unstored 1",
		"a FETCHED before the answer to PARK is from before the PARK" },
	[PARK_LISTED] = { "park-listed", "refused", PARK_ALONE " --breaks 1",
		"what became of a PARK without an answer the LIST after RESUME says" },
	[LIST_FIRST] = { "list-first", "refused", PARK_ALONE " --breaks 1",
		"nothing is parked while a LIST has no answer" },
	[FETCH_AGAIN] = { "fetch-again", "stuck", PARK_ALONE " --breaks 1",
		"FETCH is said again after RESUME, of what is parked" },
	[FETCH_DEADLINE] = { "fetch-deadline", "stuck", PARK_ALONE,
		"who waits for FETCHED waits only so long" },
	[PARK_DEREGISTERS] = { "park-deregisters", "leak", PARK_ALONE " --data --breaks 1",
		"what is parked is deregistered before it is stored" },
	[STORED_FIRST] = { "stored-first", "leak", PARK_ALONE,
		"memory is used again when what was in it is on the backing" },
	[UNSTORED] = { "unstored", "stale", PARK_ALONE " --mac 0 --unstored 1",
		"what cannot be written stays in memory" },
	[UNSTORED_TOLD] = { "unstored-told", "stuck", PARK_ALONE " --unstored 1",
		"what comes back unasked the client is told" },
	[FETCH_NOTED] = { "fetch-noted", "stuck", PARK_ALONE,
		"FETCH counts also while the slab is being stored" },
	[UNREADABLE] = { "unreadable", "stale", PARK_ALONE " --mac 0 --losses 1",
		"what cannot be read back is not granted" },
	[LOST_TOLD] = { "lost-told", "stuck", PARK_ALONE " --losses 1",
		"of what cannot be read back the client is told" },
	[IO_ENDS] = { "io-ends", "leak", PARK_ALONE " --kills 1",
		"memory and backing are used again when nothing is under way between them" },
	[ERASED] = { "erased", "leak", PARK_ALONE,
		"a place on the backing is erased before it is used again" },
	[ENDED_PARKED] = { "ended-parked", "stuck", PARK_ALONE " --kills 1",
		"a session's end frees what it has parked, too" },
};

struct setup setup = {
	.blocks = 1,
	.mirrored = true,
	.checked = true,
	.first = { .breaks = 2, .losses = 1, .stops = 1, .kills = 1, .revokes = 1,
		   .unstored = 1 },
};

static const char *steps(const struct walk_state *s)
{
	struct model m;

	memcpy(&m, s->bytes, sizeof(m));
	wrong = NULL;
	step_client(&m);
	for (unsigned int k = 0; k < NET; k++) {
		if (m.net[k].kind == OP_WRITE || m.net[k].kind == OP_READ)
			step_arrives(&m, k);
		else if (m.net[k].kind != OP_NONE)
			step_answer(&m, k);
	}
	step_process(&m);
	step_failures(&m);
	return wrong;
}

/* Does A know where the slab is, or nobody can tell it now? */
static bool knows(const struct model *m, unsigned int i)
{
	const struct block *b = &m->b[i];

	switch (b->reach) {
	case IN_REACH:
		return b->reg && b->reg == b->key;
	case PARKED:
		return has_grant(b) && (b->slab != GRANTED_A || m->stopped);
	default:
		return has_grant(b) && out_of_reach(m, i);
	}
}

/* A waits for nothing, and what it believes to have it has. */
static bool ease(const struct walk_state *s)
{
	struct model m;

	memcpy(&m, s->bytes, sizeof(m));
	for (unsigned int i = 0; i < setup.blocks; i++) {
		const struct block *b = &m.b[i];

		if (m.dead) {
			if (m.alive && !m.stopped && (b->slab != READY || m.place != PLACE_FREE))
				return false;
			continue;
		}
		if (b->want || b->busy != IDLE)
			return false;
		if (m.link == LINK_ACTIVE && b->grant && !knows(&m, i))
			return false;
	}
	return m.dead || m.link == LINK_NONE ||
	       (m.link == LINK_ACTIVE && m.alive && m.qps & 1 << m.qp);
}

/* What a reader of the way wants to know of a state. */
static void show(const struct walk_state *before, const struct walk_state *after)
{
	static const char *const links[] = { "none", "opening", "active", "broken", "resuming" };
	static const char *const sessions[] = { "none", "active", "linger", "ending" };
	static const char *const slabs[] = { "ready", "A's", "B's", "zeroing", "half",
		"storing", "loading" };
	static const char *const reaches[] = { "", "parking", "parked", "fetching" };
	struct model m;

	(void)before;
	memcpy(&m, after->bytes, sizeof(m));
	printf(" A %-8s qp %d |", m.dead ? "dead" : links[m.link], m.qp);
	for (unsigned int i = 0; i < setup.blocks; i++) {
		const struct block *b = &m.b[i];

		printf(" v%u %s d%u m%u", b->current, b->dram ? "dram" : "    ",
		       b->donor_has, b->mirror_has);
		if (setup.first.cools)
			printf(" key %u %-8s", b->key, reaches[b->reach]);
		printf(" |");
	}
	printf(" donor %s", !m.alive ? "dead" : m.stopped ? "stopped" : sessions[m.session]);
	for (unsigned int i = 0; i < setup.blocks; i++)
		printf(", %s%s has %u%s", slabs[m.b[i].slab], m.b[i].reg ? "" : "-", m.b[i].cell,
		       m.b[i].parked ? ", parked" : "");
	if (setup.first.cools)
		printf(", backing %u", m.there);
}

static void usage(FILE *out)
{
	fprintf(out, "usage: model [--mirror 0|1] [--mac 0|1] [--data] [--blocks 1|2] [--breaks N]\n"
		"             [--losses N] [--lies N] [--stops N] [--kills N] [--revokes N]\n"
		"             [--cools N] [--unstored N]\n"
		"             [--without RULE]\n"
		"       model --list	rules: name, what is found without it, options for that\n");
}

static int list(void)
{
	for (unsigned int i = 1; i < RULES; i++)
		printf("%s\t%s\t%s\t%s\n", rules[i].name, rules[i].finds, rules[i].options,
		       rules[i].text);
	return 0;
}

static int parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mirror", required_argument, NULL, 'm' }, { "mac", required_argument, NULL, 'c' },
		{ "data", no_argument, NULL, 'd' }, { "blocks", required_argument, NULL, 'b' },
		{ "breaks", required_argument, NULL, 'B' },
		{ "losses", required_argument, NULL, 'L' },
		{ "lies", required_argument, NULL, 'l' }, { "stops", required_argument, NULL, 's' },
		{ "kills", required_argument, NULL, 'k' },
		{ "revokes", required_argument, NULL, 'r' },
		{ "cools", required_argument, NULL, 'C' },
		{ "unstored", required_argument, NULL, 'u' },
		{ "without", required_argument, NULL, 'w' }, { "list", no_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' }, { }
	};
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		uint8_t n = optarg && o != 'w' ? atoi(optarg) : 0;

		switch (o) {
		case 'm':
			setup.mirrored = n;
			break;
		case 'c':
			setup.checked = n;
			break;
		case 'd':
			setup.own_data = true;
			break;
		case 'b':
			setup.blocks = n;
			break;
		case 'B':
			setup.first.breaks = n;
			break;
		case 'L':
			setup.first.losses = n;
			break;
		case 'l':
			setup.first.lies = n;
			break;
		case 's':
			setup.first.stops = n;
			break;
		case 'k':
			setup.first.kills = n;
			break;
		case 'r':
			setup.first.revokes = n;
			break;
		case 'C':
			setup.first.cools = n;
			break;
		case 'u':
			setup.first.unstored = n;
			break;
		case 'w':
			for (unsigned int i = 1; i < RULES; i++)
				if (!strcmp(optarg, rules[i].name))
					setup.without = i;
			if (setup.without == ALL) {
				fprintf(stderr, "model: there is no rule '%s' (--list)\n", optarg);
				return 2;
			}
			break;
		case 'i':
			exit(list());
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc || setup.blocks < 1 || setup.blocks > BLOCKS_MAX) {
		usage(stderr);
		return 2;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct walk_state first = { 0 };
	const char *found;
	uint32_t at, states;
	size_t nr_steps;
	int err = parse(argc, argv);

	if (err)
		return err;
	setup.first.alive = 1;
	setup.first.donor_generation = 1;
	for (unsigned int i = 0; i < setup.blocks; i++)
		setup.first.b[i].dram = 1;
	memcpy(first.bytes, &setup.first, sizeof(setup.first));
	found = walk_all(&first, steps, ease, &at);
	walk_counts(&states, &nr_steps);
	printf("# %u states, %zu steps\n", states, nr_steps);
	printf("%s\n", found ? found : "none");
	if (found)
		walk_print(at, show);
	walk_free();
	return found ? 3 : 0;
}
