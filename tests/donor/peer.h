/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One session with a donor over verbs: connect, prove, messages, one-sided
 * READ and WRITE. It can also do all of that wrongly, when a test asks for it.
 */
#ifndef DONOR_TEST_PEER_H
#define DONOR_TEST_PEER_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include <annex/donor_codec.h>

#include "../../userspace-tools/donor/donor_key.h"
#include "../../userspace-tools/donor/donor_link.h"

#define PEER_CONNS 20		/* connections of a session; 0 is the control one */
#define PEER_RECVS 16
#define PEER_MSGS 64		/* messages that were not asked for and not yet looked at */
#define PEER_DATA (1u << 20)	/* bytes of one READ or WRITE at most */

struct peer_conn {
	struct rdma_cm_id *id;	/* NULL: none */
	uint32_t donor_qpn;
	bool ended;		/* the donor hung up */
};

struct peer {
	struct donor_link link;
	struct rdma_event_channel *channel;
	struct ibv_context *verbs;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_mr *recv_mr, *send_mr, *data_mr;
	char *recvs, *send, *data;
	struct peer_conn conn[PEER_CONNS];
	struct addrinfo *to;
	uint32_t request;
	bool pong_due;
	bool nonsense;		/* the donor said something that it may not: hang up */
	bool mute;		/* do not answer PING, send none, say nothing of revokes */
	struct peer_msg {
		uint64_t bytes[ANNEX_DONOR_MSG_MAX / 8];
		unsigned int type;
	} msg[PEER_MSGS];
	unsigned int msgs;
	char why[256];		/* what went wrong last */
};

/* What a test may have done wrongly in a connect. */
struct peer_wrong {
	void (*hello)(struct annex_donor_hello *h);	/* change it before it is sent */
	size_t length;		/* of the private data; 0: as it should be */
	bool bad_proof;
	bool no_proof;
};

int peer_init(struct peer *p, const char *host, const char *port, const struct donor_secret *key,
	      uint32_t features);
/* Connect, kind OPEN (with proof and welcome), JOIN or RESUME. Conn's number, or -1 (p->why). */
int peer_connect(struct peer *p, enum annex_donor_kind kind, uint32_t replaces,
		 const struct peer_wrong *wrong);
/* Destroy connections without a word: one, or all. */
void peer_drop(struct peer *p, int conn);
void peer_exit(struct peer *p);

int peer_send(struct peer *p, const void *msg, size_t len);
/* Wait for a message of that type, at most @ms; others are kept. NULL: none came. */
const void *peer_wait(struct peer *p, unsigned int type, unsigned int ms);
/* Look at what comes, for that time, or until a message is there. */
void peer_poll(struct peer *p, unsigned int ms, bool until_message);

/* One-sided, on a connection; returns the status of its completion, -1 for none in 10 s. */
int peer_rdma(struct peer *p, int conn, enum ibv_wr_opcode opcode, uint64_t addr, uint32_t rkey,
	      uint32_t len);

uint64_t peer_now(void);	/* us */

#endif
