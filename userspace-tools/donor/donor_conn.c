// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "donor_net.h"

#define BUFFERS_BYTES ((DONOR_SENDS + DONOR_CREDITS) * (size_t)ANNEX_DONOR_MSG_MAX)
#define COMPLETIONS 64		/* of one connection, before others have their turn */
#define WR_RECV (1u << 16)	/* in wr_id: a receive, its buffer's number below */

static struct donor_home *home_of(const struct donor_session *s)
{
	return s->net;
}

static char *send_buffer(struct donor_conn *conn, unsigned int i)
{
	return conn->buffers + i * (size_t)ANNEX_DONOR_MSG_MAX;
}

static char *recv_buffer(struct donor_conn *conn, unsigned int i)
{
	return send_buffer(conn, DONOR_SENDS + i);
}

static int post_recv(struct donor_conn *conn, unsigned int i)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)recv_buffer(conn, i),
		.length = ANNEX_DONOR_MSG_MAX,
		.lkey = conn->mr->lkey,
	};
	struct ibv_recv_wr wr = { .wr_id = WR_RECV | i, .sg_list = &sge, .num_sge = 1 };
	struct ibv_recv_wr *bad;

	return ibv_post_recv(conn->id->qp, &wr, &bad);
}

/* Buffers in memory of their own: a registration pins whole pages. */
static int buffers_new(struct donor_conn *conn, struct ibv_pd *pd)
{
	void *memory = mmap(NULL, BUFFERS_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -1;
	conn->buffers = memory;
	madvise(memory, BUFFERS_BYTES, MADV_DONTFORK);
	conn->mr = ibv_reg_mr(pd, memory, BUFFERS_BYTES, IBV_ACCESS_LOCAL_WRITE);
	return conn->mr ? 0 : -1;
}

static int queue_pair(struct donor_conn *conn, struct ibv_pd *pd)
{
	struct ibv_qp_init_attr attr = {
		.qp_type = IBV_QPT_RC,
		.sq_sig_all = 1,
		.cap = {
			.max_send_wr = conn->control ? DONOR_SENDS : 1,
			.max_recv_wr = conn->control ? DONOR_CREDITS : 1,
			.max_send_sge = 1,
			.max_recv_sge = 1,
		},
	};

	conn->cq = ibv_create_cq(conn->dev->verbs, 2 * (DONOR_SENDS + DONOR_CREDITS), conn,
				 conn->dev->comp, 0);
	if (!conn->cq || ibv_req_notify_cq(conn->cq, 0))
		return -1;
	attr.send_cq = conn->cq;
	attr.recv_cq = conn->cq;
	if (rdma_create_qp(conn->id, pd, &attr))
		return -1;
	conn->qpn = conn->id->qp->qp_num;
	return 0;
}

struct donor_conn *donor_conn_new(struct donor_net *net, struct donor_dev *dev,
				  struct rdma_cm_id *id, struct donor_session *s, bool control)
{
	struct donor_conn *conn = calloc(1, sizeof(*conn));
	struct donor_home *home = home_of(s);

	if (!conn)
		return NULL;
	conn->net = net;
	conn->dev = dev;
	conn->id = id;
	conn->control = control;
	conn->session = s;
	conn->next = net->conns;
	net->conns = conn;
	id->context = conn;
	if (control)
		home->control = conn;
	else
		home->joined++;
	if (queue_pair(conn, home->pd) || (control && buffers_new(conn, home->pd)))
		goto fail;
	for (unsigned int i = 0; control && i < DONOR_CREDITS; i++) {
		if (post_recv(conn, i))
			goto fail;
	}
	return conn;
fail:
	ax_warn("%s: no queue pair for %s: %s", ibv_get_device_name(dev->verbs->device),
		s->client->name, strerror(errno));
	conn->id = NULL;	/* the caller's, who rejects with it */
	id->context = net;
	if (id->qp)
		rdma_destroy_qp(id);
	donor_conn_close(conn);
	return NULL;
}

void donor_conn_close(struct donor_conn *conn)
{
	struct donor_home *home;

	if (conn->closed)
		return;
	conn->closed = true;
	if (conn->id && conn->id->qp)
		rdma_destroy_qp(conn->id);
	if (conn->mr && ibv_dereg_mr(conn->mr))
		ax_warn("cannot deregister message buffers: %s", strerror(errno));
	conn->mr = NULL;
	home = conn->session ? home_of(conn->session) : NULL;
	if (home && conn->control && home->control == conn)
		home->control = NULL;
	else if (home && !conn->control)
		home->joined--;
	conn->session = NULL;
}

static bool port_is_down(const struct donor_conn *conn)
{
	struct ibv_port_attr attr;

	return conn->id && !conn->dev->gone && conn->id->port_num &&
	       !ibv_query_port(conn->dev->verbs, conn->id->port_num, &attr) &&
	       attr.state != IBV_PORT_ACTIVE;
}

bool donor_conn_reap(struct donor_conn *conn)
{
	struct donor_conn **at = &conn->net->conns;

	if (conn->polling || port_is_down(conn))
		return false;
	if (conn->id) {
		rdma_disconnect(conn->id);
		rdma_destroy_id(conn->id);
	}
	if (conn->cq && ibv_destroy_cq(conn->cq))
		ax_warn("cannot destroy a completion queue: %s", strerror(errno));
	if (conn->buffers)
		munmap(conn->buffers, BUFFERS_BYTES);
	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
	free(conn);
	return true;
}

bool donor_conn_send(struct donor_conn *conn, const void *msg, size_t len)
{
	struct ibv_sge sge = { .length = len };
	struct ibv_send_wr wr = { .opcode = IBV_WR_SEND, .sg_list = &sge, .num_sge = 1 };
	struct ibv_send_wr *bad;
	unsigned int i;

	if (conn->closed || len > ANNEX_DONOR_MSG_MAX)
		return false;
	for (i = 0; i < DONOR_SENDS && (conn->send_busy >> i & 1); i++)
		;
	if (i == DONOR_SENDS)	/* the client takes nothing any more */
		return false;
	memcpy(send_buffer(conn, i), msg, len);
	sge.addr = (uintptr_t)send_buffer(conn, i);
	sge.lkey = conn->mr->lkey;
	wr.wr_id = i;
	if (ibv_post_send(conn->id->qp, &wr, &bad))
		return false;
	conn->send_busy |= 1ull << i;
	return true;
}

void donor_conn_farewell(struct donor_conn *conn, const void *msg, size_t len)
{
	struct ibv_wc wc;

	if (!conn->established || !donor_conn_send(conn, msg, len))
		return;
	/* the queue pair's end would take an unsent message with it */
	for (unsigned int i = 0; conn->send_busy && i < 20; i++) {
		while (ibv_poll_cq(conn->cq, 1, &wc) > 0) {
			if (wc.status != IBV_WC_SUCCESS)
				return;
			if (!(wc.wr_id & WR_RECV))
				conn->send_busy &= ~(1ull << wc.wr_id);
		}
		usleep(500);
	}
}

static void lost(struct donor_conn *conn, uint64_t now)
{
	if (conn->session && conn->control)
		donor_core_lost(conn->net->core, conn->session, now);
	else
		donor_conn_close(conn);
}

static void received(struct donor_conn *conn, unsigned int i, uint32_t len, uint64_t now)
{
	donor_core_message(conn->net->core, conn->session, recv_buffer(conn, i), len, now);
	if (!conn->closed && post_recv(conn, i))
		lost(conn, now);
}

void donor_conn_poll(struct donor_conn *conn, uint64_t now)
{
	unsigned int left = COMPLETIONS;
	struct ibv_wc wc;

	conn->polling = true;
	for (; left && !conn->closed && ibv_poll_cq(conn->cq, 1, &wc) > 0; left--) {
		if (wc.status != IBV_WC_SUCCESS)
			lost(conn, now);
		else if (wc.wr_id & WR_RECV)
			received(conn, wc.wr_id & ~WR_RECV, wc.byte_len, now);
		else
			conn->send_busy &= ~(1ull << wc.wr_id);
	}
	conn->polling = false;
	conn->more = !left;
}
