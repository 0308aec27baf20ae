// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"

#define RECV (1ull << 32)	/* in wr_id: a receive's number below */
#define SEND (1ull << 33)
#define DATA (1ull << 34)
#define TIMEOUT 4000		/* ms for one step of a connect */

uint64_t peer_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

__attribute__((format(printf, 2, 3)))
static int fail(struct peer *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
	return -1;
}

int peer_init(struct peer *p, const char *host, const char *port, const struct donor_secret *key,
	      uint32_t features)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	int ret;

	memset(p, 0, sizeof(*p));
	donor_link_init(&p->link, key, features);
	ret = getaddrinfo(host, port, &hints, &p->to);
	if (ret)
		return fail(p, "%s: %s", host, gai_strerror(ret));
	p->channel = rdma_create_event_channel();
	if (!p->channel)
		return fail(p, "no RDMA CM: %s", strerror(errno));
	fcntl(p->channel->fd, F_SETFL, O_NONBLOCK);
	return 0;
}

/* What all connections of the session share. */
static int shared(struct peer *p, struct ibv_context *verbs)
{
	size_t recvs = PEER_RECVS * ANNEX_DONOR_MSG_MAX;

	if (p->pd)
		return p->verbs == verbs ? 0 : fail(p, "another device than before");
	p->verbs = verbs;
	p->pd = ibv_alloc_pd(verbs);
	p->cq = ibv_create_cq(verbs, 1024, NULL, NULL, 0);
	p->recvs = aligned_alloc(4096, recvs);
	p->send = aligned_alloc(4096, ANNEX_DONOR_MSG_MAX);
	p->data = aligned_alloc(4096, PEER_DATA);
	if (!p->pd || !p->cq || !p->recvs || !p->send || !p->data)
		return fail(p, "no resources: %s", strerror(errno));
	p->recv_mr = ibv_reg_mr(p->pd, p->recvs, recvs, IBV_ACCESS_LOCAL_WRITE);
	p->send_mr = ibv_reg_mr(p->pd, p->send, ANNEX_DONOR_MSG_MAX, 0);
	p->data_mr = ibv_reg_mr(p->pd, p->data, PEER_DATA, IBV_ACCESS_LOCAL_WRITE);
	if (!p->recv_mr || !p->send_mr || !p->data_mr)
		return fail(p, "cannot register memory: %s", strerror(errno));
	return 0;
}

static void post_recv(struct peer *p, unsigned int i)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)p->recvs + i * (size_t)ANNEX_DONOR_MSG_MAX,
		.length = ANNEX_DONOR_MSG_MAX,
		.lkey = p->recv_mr->lkey,
	};
	struct ibv_recv_wr wr = { .wr_id = RECV | i, .sg_list = &sge, .num_sge = 1 }, *bad;

	if (p->conn[0].id && p->conn[0].id->qp)
		ibv_post_recv(p->conn[0].id->qp, &wr, &bad);
}

/* An event of the CM about what we have; true: it was for @id. */
static bool cm_event(struct peer *p, struct rdma_cm_id *id, struct rdma_cm_event *copy,
		     uint64_t private[32])
{
	struct rdma_cm_event *event;
	bool mine;

	if (rdma_get_cm_event(p->channel, &event))
		return false;
	mine = event->id == id;
	if (mine) {
		*copy = *event;
		memset(private, 0, 256);
		if (event->param.conn.private_data &&
		    (event->event == RDMA_CM_EVENT_ESTABLISHED ||
		     event->event == RDMA_CM_EVENT_REJECTED ||
		     event->event == RDMA_CM_EVENT_CONNECT_RESPONSE))
			memcpy(private, event->param.conn.private_data,
			       event->param.conn.private_data_len);
		else
			copy->param.conn.private_data_len = 0;
		copy->param.conn.private_data = private;
	}
	for (unsigned int i = 0; i < PEER_CONNS; i++) {
		if (p->conn[i].id == event->id && (event->event == RDMA_CM_EVENT_DISCONNECTED ||
						   event->event == RDMA_CM_EVENT_DEVICE_REMOVAL))
			p->conn[i].ended = true;
	}
	rdma_ack_cm_event(event);
	return mine;
}

static int wait_cm(struct peer *p, struct rdma_cm_id *id, struct rdma_cm_event *event,
		   uint64_t private[32])
{
	uint64_t end = peer_now() + TIMEOUT * 1000ull;

	do {
		struct pollfd fd = { .fd = p->channel->fd, .events = POLLIN };

		if (cm_event(p, id, event, private))
			return 0;
		poll(&fd, 1, 50);
	} while (peer_now() < end);
	return fail(p, "timeout of the connection manager");
}

static int wait_for(struct peer *p, struct rdma_cm_id *id, enum rdma_cm_event_type type)
{
	struct rdma_cm_event event;
	uint64_t private[32];

	if (wait_cm(p, id, &event, private))
		return -1;
	if (event.event != type)
		return fail(p, "%s, status %d", rdma_event_str(event.event), event.status);
	return 0;
}

static int resolve(struct peer *p, struct rdma_cm_id *id)
{
	uint8_t timeout = 14;	/* 67 ms */

	if (rdma_resolve_addr(id, NULL, p->to->ai_addr, TIMEOUT))
		return fail(p, "address: %s", strerror(errno));
	if (wait_for(p, id, RDMA_CM_EVENT_ADDR_RESOLVED))
		return -1;
	rdma_set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &timeout, sizeof(timeout));
	if (rdma_resolve_route(id, TIMEOUT))
		return fail(p, "route: %s", strerror(errno));
	return wait_for(p, id, RDMA_CM_EVENT_ROUTE_RESOLVED);
}

static int queue_pair(struct peer *p, struct rdma_cm_id *id, bool control)
{
	struct ibv_qp_init_attr attr = {
		.qp_type = IBV_QPT_RC,
		.sq_sig_all = 1,
		.cap = { .max_send_wr = 64, .max_recv_wr = control ? PEER_RECVS : 1,
			 .max_send_sge = 1, .max_recv_sge = 1 },
	};

	if (shared(p, id->verbs))
		return -1;
	attr.send_cq = p->cq;
	attr.recv_cq = p->cq;
	if (rdma_create_qp(id, p->pd, &attr))
		return fail(p, "queue pair: %s", strerror(errno));
	return 0;
}

/* The answer to the connect: taken, or the reason in p->why ("reject N ..."). */
static int answer(struct peer *p, struct peer_conn *c, const struct annex_donor_hello *hello)
{
	struct rdma_cm_event event;
	uint64_t private[32];

	if (wait_cm(p, c->id, &event, private))
		return -1;
	if (event.event == RDMA_CM_EVENT_REJECTED) {
		donor_link_rejected(&p->link, hello, private, event.param.conn.private_data_len);
		return fail(p, "reject %d status %d", p->link.reason, event.status);
	}
	if (event.event != RDMA_CM_EVENT_ESTABLISHED)
		return fail(p, "%s, status %d", rdma_event_str(event.event), event.status);
	c->donor_qpn = event.param.conn.qp_num;
	if (!donor_link_accept(&p->link, hello, private, event.param.conn.private_data_len,
			       c->id->qp->qp_num, c->donor_qpn, peer_now() / 1000))
		return fail(p, "this is no donor with our key");
	return 0;
}

static int prove(struct peer *p, const struct peer_wrong *wrong)
{
	struct annex_donor_proof proof;

	if (wrong && wrong->no_proof)
		return 0;
	donor_link_proof(&p->link, &proof);
	if (wrong && wrong->bad_proof)
		proof.mac[3] ^= 1;
	return peer_send(p, &proof, sizeof(proof));
}

static int connect_conn(struct peer *p, struct peer_conn *c, enum annex_donor_kind kind,
			uint32_t replaces, const struct peer_wrong *wrong)
{
	bool control = kind != ANNEX_DONOR_JOIN;
	struct annex_donor_hello hello;
	struct rdma_conn_param param = {
		.private_data = &hello,
		.private_data_len = sizeof(hello),
		.responder_resources = 1,
		.initiator_depth = 16,
		.retry_count = 6,
		.rnr_retry_count = 6,
	};

	if (rdma_create_id(p->channel, &c->id, NULL, RDMA_PS_TCP))
		return fail(p, "identifier: %s", strerror(errno));
	c->ended = false;
	if (resolve(p, c->id) || queue_pair(p, c->id, control))
		return -1;
	for (unsigned int i = 0; control && i < PEER_RECVS; i++)
		post_recv(p, i);
	donor_link_hello(&p->link, kind, c->id->qp->qp_num, replaces, &hello);
	if (wrong && wrong->hello)
		wrong->hello(&hello);
	if (wrong && wrong->length)
		param.private_data_len = wrong->length;
	if (rdma_connect(c->id, &param))
		return fail(p, "connect: %s", strerror(errno));
	return answer(p, c, &hello);
}

int peer_connect(struct peer *p, enum annex_donor_kind kind, uint32_t replaces,
		 const struct peer_wrong *wrong)
{
	unsigned int i = 0;

	if (kind == ANNEX_DONOR_JOIN) {
		for (i = 1; i < PEER_CONNS && p->conn[i].id; i++)
			;
		if (i == PEER_CONNS)
			return fail(p, "too many connections");
	} else {
		peer_drop(p, -1);
	}
	if (connect_conn(p, &p->conn[i], kind, replaces, wrong)) {
		peer_drop(p, i);
		return -1;
	}
	if (kind == ANNEX_DONOR_OPEN && prove(p, wrong))
		return -1;
	if (kind != ANNEX_DONOR_JOIN && !(wrong && wrong->no_proof) &&
	    !peer_wait(p, ANNEX_DONOR_WELCOME, TIMEOUT))
		return fail(p, "no welcome, goodbye %d", p->link.reason);
	return i;
}

void peer_drop(struct peer *p, int conn)
{
	for (int i = 0; i < PEER_CONNS; i++) {
		struct peer_conn *c = &p->conn[i];

		if (!c->id || (conn >= 0 && conn != i))
			continue;
		if (c->id->qp)
			rdma_destroy_qp(c->id);
		rdma_disconnect(c->id);
		rdma_destroy_id(c->id);
		c->id = NULL;
		if (!i)
			donor_link_broken(&p->link, peer_now() / 1000);
	}
}

void peer_exit(struct peer *p)
{
	peer_drop(p, -1);
	if (p->recv_mr)
		ibv_dereg_mr(p->recv_mr);
	if (p->send_mr)
		ibv_dereg_mr(p->send_mr);
	if (p->data_mr)
		ibv_dereg_mr(p->data_mr);
	if (p->cq)
		ibv_destroy_cq(p->cq);
	if (p->pd)
		ibv_dealloc_pd(p->pd);
	free(p->recvs);
	free(p->send);
	free(p->data);
	if (p->channel)
		rdma_destroy_event_channel(p->channel);
	if (p->to)
		freeaddrinfo(p->to);
}

static void keep(struct peer *p, const void *data, size_t len)
{
	unsigned int type = donor_link_message(&p->link, data, len, peer_now() / 1000);

	if (!type) {
		p->nonsense = true;
		return;
	}
	if (type == ANNEX_DONOR_PING && !p->mute) {
		p->pong_due = true;	/* the send buffer may be in use */
		return;
	}
	if (p->msgs == PEER_MSGS)	/* nobody looks: the oldest goes */
		memmove(p->msg, p->msg + 1, --p->msgs * sizeof(p->msg[0]));
	memcpy(p->msg[p->msgs].bytes, data, len);
	p->msg[p->msgs++].type = type;
}

/* One completion; 1: there was one. */
static int completion(struct peer *p, struct ibv_wc *wc)
{
	if (ibv_poll_cq(p->cq, 1, wc) <= 0)
		return 0;
	if ((wc->wr_id & RECV) && wc->status == IBV_WC_SUCCESS) {
		unsigned int i = wc->wr_id & 0xff;

		keep(p, p->recvs + i * (size_t)ANNEX_DONOR_MSG_MAX, wc->byte_len);
		post_recv(p, i);
	} else if ((wc->wr_id & (RECV | SEND)) && wc->status && p->conn[0].id &&
		   p->conn[0].id->qp && wc->qp_num == p->conn[0].id->qp->qp_num) {
		donor_link_broken(&p->link, peer_now() / 1000);
	}
	return 1;
}

static void look_after(struct peer *p)
{
	struct rdma_cm_event event;
	struct annex_donor_msg ping;	/* or pong */
	uint64_t private[32];
	struct ibv_wc wc;

	cm_event(p, NULL, &event, private);
	if (p->conn[0].id && p->conn[0].ended)
		donor_link_broken(&p->link, peer_now() / 1000);
	while (p->cq && completion(p, &wc))
		;
	if (p->nonsense) {
		p->nonsense = false;
		peer_drop(p, -1);
		return;
	}
	if (p->pong_due) {
		p->pong_due = false;
		annex_donor_head(&ping, ANNEX_DONOR_PONG, sizeof(ping), 0, 0);
		peer_send(p, &ping, sizeof(ping));
	}
	if (donor_link_tick(&p->link, peer_now() / 1000) && !p->mute) {
		annex_donor_head(&ping, ANNEX_DONOR_PING, sizeof(ping), 0, 0);
		peer_send(p, &ping, sizeof(ping));
	}
}

void peer_poll(struct peer *p, unsigned int ms, bool until_message)
{
	uint64_t end = peer_now() + ms * 1000ull;

	do {
		look_after(p);
		if (until_message && p->msgs)
			return;
		usleep(200);
	} while (peer_now() < end);
}

const void *peer_wait(struct peer *p, unsigned int type, unsigned int ms)
{
	static uint64_t found[ANNEX_DONOR_MSG_MAX / 8];
	uint64_t end = peer_now() + ms * 1000ull;

	for (;;) {
		for (unsigned int i = 0; i < p->msgs; i++) {
			if (p->msg[i].type != type)
				continue;
			memcpy(found, p->msg[i].bytes, sizeof(found));
			p->msgs--;
			memmove(p->msg + i, p->msg + i + 1, (p->msgs - i) * sizeof(p->msg[0]));
			return found;
		}
		if (peer_now() >= end || !p->conn[0].id || p->conn[0].ended ||
		    p->link.state == DONOR_LINK_LOST || p->link.state == DONOR_LINK_BROKEN)
			return NULL;
		look_after(p);
		usleep(100);
	}
}

static int post(struct peer *p, int conn, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad;

	if (conn < 0 || conn >= PEER_CONNS || !p->conn[conn].id || !p->conn[conn].id->qp)
		return fail(p, "no connection %d", conn);
	if (ibv_post_send(p->conn[conn].id->qp, wr, &bad))
		return fail(p, "cannot post: %s", strerror(errno));
	return 0;
}

int peer_send(struct peer *p, const void *msg, size_t len)
{
	struct ibv_sge sge = { .addr = (uintptr_t)p->send, .length = len };
	struct ibv_send_wr wr = { .wr_id = SEND, .opcode = IBV_WR_SEND, .sg_list = &sge,
				  .num_sge = 1 };
	uint64_t end = peer_now() + 2000000;
	struct ibv_wc wc;

	if (!p->pd)
		return fail(p, "no connection");
	memcpy(p->send, msg, len);
	sge.lkey = p->send_mr->lkey;
	if (post(p, 0, &wr))
		return -1;
	/* one buffer: wait until it is free again */
	while (peer_now() < end) {
		if (!completion(p, &wc))
			usleep(50);
		else if (wc.wr_id == SEND)
			return wc.status ? fail(p, "send: %s", ibv_wc_status_str(wc.status)) : 0;
	}
	return fail(p, "a message was not taken");
}

int peer_rdma(struct peer *p, int conn, enum ibv_wr_opcode opcode, uint64_t addr, uint32_t rkey,
	      uint32_t len)
{
	struct ibv_sge sge = { .addr = (uintptr_t)p->data, .length = len };
	struct ibv_send_wr wr = { .wr_id = DATA | conn, .opcode = opcode, .sg_list = &sge,
				  .num_sge = 1,
				  .wr.rdma = { .remote_addr = addr, .rkey = rkey } };
	uint64_t end = peer_now() + 10000000;
	struct ibv_wc wc;

	if (!p->pd)
		return fail(p, "no connection");
	sge.lkey = p->data_mr->lkey;
	if (post(p, conn, &wr))
		return -1;
	while (peer_now() < end) {
		if (!completion(p, &wc))
			usleep(20);
		else if (wc.wr_id == (DATA | conn))
			return wc.status;
	}
	return fail(p, "no completion");
}
