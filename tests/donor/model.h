/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the model share: its state, the rules, how a step is told.
 * model.c says what all of it is about.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "model_walk.h"

#define VERSIONS 2	/* writes of the guest to a block */
#define NET 3		/* requests and answers under way */
#define QPS 8		/* numbers of queue pairs */
#define BLOCKS_MAX 2
#define WORDS 3		/* about parking, under way one after the other */

/* What lies in a slab or is read, besides versions 1.. of A's block. */
#define ZERO 0
#define UNTOUCHED 13	/* what was in the buffer */
#define EVIL 14		/* written by A after it gave the slab back */
#define B_DATA 15

enum { LINK_NONE, LINK_OPENING, LINK_ACTIVE, LINK_BROKEN, LINK_RESUMING };
enum { DATA_NONE, DATA_UP, DATA_BROKEN };
enum { NO_SESSION, SESSION, LINGER, ENDING };
enum { HS_NONE, HS_OPEN, HS_RESUME, HS_ACCEPT, HS_REJECT, HS_JOIN, HS_JOINED };
enum { OP_NONE, OP_WRITE, OP_READ, WRITTEN, READ_DONE, REFUSED };
enum { IDLE, TO_DONOR, TO_MIRROR, READING };
enum { READY, GRANTED_A, GRANTED_B, HIDDEN, HALF, STORING, LOADING };
enum { IN_REACH, PARKING, PARKED, FETCHING };
enum { NO_WORD, PARK, FETCH, LIST, IS_PARKED, STAYS, NOT_LISTED };
#define LISTED	8	/* + the key, 0: parked */
#define FETCHED	16	/* + the key */
enum { PLACE_FREE, PLACE_A, PLACE_B, PLACE_DIRTY };
enum { KEEP, REVOKE_SENT, GIVE_BACK_SENT, ANSWERED };
enum { NOTHING, REVOKED, GOODBYE };

struct op {
	uint8_t kind, qp, block, value, key;
};

struct block {
	/* A's host */
	uint8_t current;	/* version that the guest wrote last */
	uint8_t dram;		/* is it in DRAM? */
	uint8_t want;		/* the guest waits for it */
	uint8_t busy;		/* IDLE... */
	uint8_t version;	/* that is being written */
	uint8_t donor_has;	/* version that A believes to be at the donor; 0: none */
	uint8_t mirror_has;
	uint8_t grant;		/* A believes that the slab is its own */
	uint8_t asked;		/* KEEP... */
	uint8_t reach;		/* IN_REACH... */
	uint8_t key;		/* of the slab, that A knows */
	uint8_t listing;	/* LIST has no answer yet */
	/* between them, in their order */
	uint8_t up[WORDS], down[WORDS];
	uint8_t granted_key;	/* in an accept; 0: it is parked */
	/* mirror */
	uint8_t mirror;
	/* donor */
	uint8_t slab;		/* READY... */
	uint8_t reg;		/* A's key that is good; 0: none */
	uint8_t cell;		/* what is in it */
	uint8_t io;		/* STORING, LOADING: between the slab and the backing */
	uint8_t parked;		/* A's grant, and no slab has it */
	uint8_t fetch;		/* A wants it back */
};

struct model {
	struct block b[BLOCKS_MAX];
	uint8_t link, qp;	/* A's connection, its queue pair's number */
	uint8_t data, data_qp;
	uint8_t generation;	/* of the session's donor */
	uint8_t dead;		/* A */
	uint8_t mirror_gone;
	struct op net[NET];
	uint8_t handshake, hs_qp, hs_generation;
	uint8_t hs_grants;	/* in an accept, and the LIST after it: a bit a block */
	uint8_t told;		/* NOTHING...: the donor's word to A */
	uint8_t cool;		/* and this one */
	uint8_t alive, stopped, donor_generation, session;
	uint8_t qps;		/* queue pairs that the donor has: a bit each */
	uint8_t control;	/* of the control connection */
	uint8_t b_came, b_parked;
	/* the backing has room for one slab */
	uint8_t place;		/* PLACE_FREE... */
	uint8_t there;		/* what is in it */
	uint8_t stored;		/* what was to be put there, for whom it is now */
	uint8_t counted;	/* this session's end is a loss that was counted */
	uint8_t excess;		/* losses beyond the budget: nothing is promised then */
	/* budgets */
	uint8_t breaks, losses, lies, stops, kills, revokes, cools, unstored;
};

_Static_assert(sizeof(struct model) <= WALK_BYTES, "a state has to fit");

enum rule {
	ALL,
	GENERATION, FORGET, BOTH_COPIES, UNKNOWN_EFFECT, LATE_ANSWERS, DEADLINE, GIVE_UP,
	LIST_ASKED, GIVE_BACK_LAST, PING, SUSPECT, MAC, REPLACES,
	OLD_QPS, DEREGISTER_FIRST, ZEROING, ZEROED_FIRST, LINGER_ENDS, FENCE_ON_END,
	PARK_IDLE, PARK_WAITS, PARK_ORDER, PARK_LISTED, LIST_FIRST, FETCH_AGAIN, FETCH_DEADLINE,
	PARK_DEREGISTERS, STORED_FIRST, UNSTORED, UNSTORED_TOLD, FETCH_NOTED, UNREADABLE, LOST_TOLD,
	IO_ENDS, ERASED, ENDED_PARKED,
	RULES,
};

/* What there is, and what may fail how often: the first state's budgets. */
struct setup {
	enum rule without;	/* the rule that is taken away, or ALL */
	unsigned int blocks;
	bool mirrored;
	bool checked;		/* A keeps MACs */
	bool own_data;		/* data goes over a connection of its own */
	struct model first;
};

extern struct setup setup;
extern const char *wrong;	/* with the state that is being looked at, or NULL */

bool holds(enum rule r);

/* model_state.c: steps, and what several of them need */
void reach(const struct model *m, const char *text);
void reach_block(const struct model *m, const char *text, unsigned int i);
/* It may happen, and nobody may rely on it. */
void chance(const struct model *m, const char *text);
void chance_block(const struct model *m, const char *text, unsigned int i);
/* Over which queue pair A's data goes now; 0: none. */
uint8_t data_path(const struct model *m);
/* Losses so far. */
unsigned int losses(const struct model *m);
/* Is this the end of data that A counts on? Then it is a loss; false: none is left. */
bool count_loss(struct model *m);

/* model_park.c: parking, each side's part of it, and what the others ask about it */
/* The next word about block @i, to the donor or to A: is there room for it? */
bool say(uint8_t words[WORDS], uint8_t word);
/* Does A hear what the donor says now, at once or after the accept? */
bool heard(const struct model *m);
/* Is it A's, in reach or not? */
bool has_grant(const struct block *b);
/* A's grant ends; what is between slab and backing goes on. */
void end_grant(struct model *m, unsigned int i);
void forget_words(struct model *m);
/* Can what A waits for not come, if there is no luck? */
bool out_of_reach(const struct model *m, unsigned int i);
/* A wants to use it, and it is not in reach. */
void want_fetched(const struct model *m, unsigned int i);
/* After RESUME: what does A know of a slab that it had? */
void ask_list(struct block *b);
void step_park_client(const struct model *m, unsigned int i);
void step_park_donor(const struct model *m, unsigned int i);
void step_backing(const struct model *m);

/* model_client.c: what A does, and what comes to it */
void lose_grant(struct block *b);
void step_client(const struct model *m);
void step_answer(const struct model *m, unsigned int k);

/* model_donor.c: what the donor's process does, and what comes to its device */
void step_process(const struct model *m);
void step_arrives(const struct model *m, unsigned int k);
void step_failures(const struct model *m);

#endif
