/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The transport under donor_core: RDMA CM listeners, connections, queue pairs,
 * registrations. donor_net.c has devices, listeners and CM events, donor_conn.c
 * one connection.
 *
 * A session's connections share one protection domain, which no other session
 * has; every grant is a memory region of its own in it. A connection is closed
 * in two steps: the queue pair is destroyed at once (after that nothing of the
 * client's can be served), the rest when nobody works on it any more and the
 * port is up: a message of the CM that is sent while the port is down can leave
 * the CM of some devices dead for good.
 */
#ifndef DONOR_NET_H
#define DONOR_NET_H

#include <stdbool.h>
#include <stdint.h>

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include "../lib/ax_err.h"
#include "donor_conf.h"
#include "donor_core.h"

#define DONOR_SENDS 32		/* messages under way to one client */
#define DONOR_CREDITS 16	/* receives posted for one client */
#define DONOR_BACKLOG 128
#define DONOR_LISTENERS (2 * DONOR_CONF_LISTEN)

struct donor_dev {
	struct donor_dev *next;
	struct ibv_context *verbs;
	struct ibv_comp_channel *comp;
	struct rdma_cm_id *watch;	/* bound to it, to hear of its removal */
	uint32_t homes;		/* sessions that live here */
	bool gone;		/* being removed */
};

struct donor_conn {
	struct donor_conn *next;
	struct donor_net *net;
	struct donor_dev *dev;
	struct rdma_cm_id *id;
	struct ibv_cq *cq;
	struct ibv_mr *mr;	/* control: message buffers */
	char *buffers;
	struct donor_session *session;	/* NULL once closed */
	uint32_t qpn, client_qpn;
	uint64_t send_busy;	/* one bit a send buffer */
	bool control;
	bool established;
	bool closed;		/* no queue pair any more */
	bool polling;		/* somebody is in its completions */
	bool more;		/* and has left some for later */
	char peer[64];
};

/* donor_session.net */
struct donor_home {
	struct donor_dev *dev;
	struct ibv_pd *pd;
	struct donor_conn *control;
	uint32_t joined;	/* data connections */
	char peer[64];		/* address of the last control connection */
};

struct donor_net {
	struct rdma_event_channel *channel;
	struct rdma_cm_id *listener[DONOR_LISTENERS];
	unsigned int nr_listeners;
	struct donor_dev *devs;
	struct donor_conn *conns;
	struct donor_core *core;
	const struct donor_conf *conf;
	int epoll;		/* file descriptors of devices are added to it */
};

/* Is there an RDMA device of that name ("": any)? Else -1 with a reason. */
int donor_net_check_device(const char *name, struct ax_msg *msg);
/* Listen as @conf says. */
int donor_net_init(struct donor_net *net, const struct donor_conf *conf, struct donor_core *core,
		   int epoll, struct ax_msg *msg);
void donor_net_exit(struct donor_net *net);

/* Is @fd (of epoll) one of ours? Then work on it. */
bool donor_net_event(struct donor_net *net, int fd, uint64_t now);
/* Go on with what was left, so that nobody has the donor to himself. True: there is more. */
bool donor_net_more(struct donor_net *net, uint64_t now);
/* Free what was closed; call after each round. True: something waits for its port. */
bool donor_net_reap(struct donor_net *net);

/* The transport's part of struct donor_ops; their ctx is struct donor_net. */
int donor_net_expose(struct donor_session *s, struct donor_slab *slab, uint64_t bytes,
		     uint64_t iova);
void donor_net_hide(struct donor_session *s, struct donor_slab *slab);
bool donor_net_send(struct donor_session *s, const void *msg, size_t len);
bool donor_net_fence(struct donor_net *net, struct donor_session *s, uint32_t qpn);
void donor_net_hangup(struct donor_net *net, struct donor_session *s, const void *msg, size_t len);
void donor_net_ended(struct donor_session *s);

/* --- donor_conn.c: for donor_net.c --- */

/* Queue pair, buffers and receives for a connect request; NULL: none to be had. */
struct donor_conn *donor_conn_new(struct donor_net *net, struct donor_dev *dev,
				  struct rdma_cm_id *id, struct donor_session *s, bool control);
/* Its queue pair goes now; the session forgets it. */
void donor_conn_close(struct donor_conn *conn);
/* Free it; false: not yet. */
bool donor_conn_reap(struct donor_conn *conn);
/* Work on its completions. */
void donor_conn_poll(struct donor_conn *conn, uint64_t now);
bool donor_conn_send(struct donor_conn *conn, const void *msg, size_t len);
/* Send a last message and wait a moment for it to be gone. */
void donor_conn_farewell(struct donor_conn *conn, const void *msg, size_t len);

#endif
