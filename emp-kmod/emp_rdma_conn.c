// SPDX-License-Identifier: GPL-2.0-only
/*
 * A connection with a donor: made, spoken over, unmade.
 *
 * Everything here waits with a limit of time, and no longer than the tier is
 * not being closed. The handler of the CM's events only notes what happened.
 *
 * There is no connect while the port is down, when the CM must not say a word
 * (emp_rdma_grave.c).
 */
#include <linux/delay.h>
#include <linux/slab.h>

#include "emp_rdma.h"

#define EMP_RDMA_STEP_MS	2000	/* of resolving an address or a route */
#define EMP_RDMA_CONNECT_MS	3000	/* of a connect */
#define EMP_RDMA_ANSWER_MS	3000	/* of a question */
/* 67 ms without an acknowledgment, six times: half a second. 7 would be for ever. */
#define EMP_RDMA_ACK_TIMEOUT	14
#define EMP_RDMA_RETRIES	6
#define EMP_RDMA_SEND_BYTES	(PAGE_SIZE / EMP_RDMA_SENDS)

static int emp_rdma_cm_event(struct rdma_cm_id *id, struct rdma_cm_event *ev)
{
	struct emp_rdma_conn *c = id->context;
	struct emp_rdma *rd = c->rd;
	const void *private = NULL;
	u8 len = 0;

	switch (ev->event) {
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		WRITE_ONCE(c->removed, true);
		if (!rd)
			emp_rdma_exhume(c);
		else
			emp_rdma_lost(rd, "the RDMA device was removed");
		return 0;
	case RDMA_CM_EVENT_DISCONNECTED:
		if (rd)
			emp_rdma_broke(c, "the donor hung up");
		return 0;
	case RDMA_CM_EVENT_ADDR_CHANGE:
	case RDMA_CM_EVENT_TIMEWAIT_EXIT:
		return 0;
	case RDMA_CM_EVENT_ESTABLISHED:
		private = ev->param.conn.private_data;
		len = private ? ev->param.conn.private_data_len : 0;
		c->donor_qpn = ev->param.conn.qp_num;
		break;
	case RDMA_CM_EVENT_REJECTED:
		private = rdma_consumer_reject_data(id, ev, &len);
		break;
	default:
		break;
	}
	if (!rd)
		return 0;
	memset(c->private, 0, sizeof(c->private));
	c->private_len = len;
	if (len)
		memcpy(c->private, private, len);
	c->status = ev->status;
	smp_store_release(&c->event, ev->event);	/* pairs with emp_rdma_await() */
	wake_up(&rd->wait);
	return 0;
}

static bool emp_rdma_over(struct emp_rdma *rd, struct emp_rdma_conn *c)
{
	return READ_ONCE(c->removed) || READ_ONCE(c->broken) || READ_ONCE(rd->closing) ||
	       (c->control && READ_ONCE(c->control->broken)) ||
	       READ_ONCE(rd->state) == EMP_RDMA_LOST;
}

/* Wait for an event of the CM, which should be @want. */
static int emp_rdma_await(struct emp_rdma_conn *c, enum rdma_cm_event_type want, u32 ms)
{
	struct emp_rdma *rd = c->rd;
	long left;

	/* pairs with emp_rdma_cm_event() */
	left = wait_event_killable_timeout(rd->wait, smp_load_acquire(&c->event) >= 0 ||
					   emp_rdma_over(rd, c), msecs_to_jiffies(ms));
	if (left < 0)
		return -EINTR;
	if (c->event == want)
		return 0;
	if (c->event < 0)
		return READ_ONCE(c->removed) ? -ENODEV : left ? -ECONNRESET : -ETIMEDOUT;
	switch (c->event) {
	case RDMA_CM_EVENT_ADDR_ERROR:
		return c->status == -ENODEV ? -ENODEV : -EHOSTUNREACH;
	case RDMA_CM_EVENT_ROUTE_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
		return -EHOSTUNREACH;
	case RDMA_CM_EVENT_REJECTED:
		return emp_rdma_rejected(c);
	}
	return -ECONNABORTED;
}

static void emp_rdma_next_event(struct emp_rdma_conn *c)
{
	WRITE_ONCE(c->event, -1);
}

static int emp_rdma_resolve(struct emp_rdma_conn *c)
{
	struct emp_rdma *rd = c->rd;
	int err;

	emp_rdma_next_event(c);
	err = rdma_resolve_addr(c->id, NULL, (struct sockaddr *)&rd->addr, EMP_RDMA_STEP_MS);
	if (err)
		return err;
	err = emp_rdma_await(c, RDMA_CM_EVENT_ADDR_RESOLVED, EMP_RDMA_STEP_MS + 500);
	if (err)
		return err;
	/* No queue pair numbers, no proof of who is at the other end of them. */
	if (!c->id->device || !rdma_cap_ib_cm(c->id->device, c->id->port_num))
		return -ENODEV;
	err = rdma_set_ack_timeout(c->id, EMP_RDMA_ACK_TIMEOUT);
	if (err)
		return err;
	emp_rdma_next_event(c);
	err = rdma_resolve_route(c->id, EMP_RDMA_STEP_MS);
	if (err)
		return err;
	return emp_rdma_await(c, RDMA_CM_EVENT_ROUTE_RESOLVED, EMP_RDMA_STEP_MS + 500);
}

/* --- messages ----------------------------------------------------------------- */

static void emp_rdma_recv_post(struct emp_rdma_conn *c, struct emp_rdma_recv *v)
{
	struct ib_recv_wr wr = { .wr_cqe = &v->cqe, .sg_list = &v->sge, .num_sge = 1 };

	ib_dma_sync_single_for_device(c->id->device, v->sge.addr, v->sge.length, DMA_FROM_DEVICE);
	ib_post_recv(c->id->qp, &wr, NULL);
}

static void emp_rdma_received(struct ib_cq *cq, struct ib_wc *wc)
{
	struct emp_rdma_recv *v = container_of(wc->wr_cqe, struct emp_rdma_recv, cqe);
	struct emp_rdma_conn *c = cq->cq_context;

	if (wc->status != IB_WC_SUCCESS) {
		emp_rdma_broke(c, "the connection was lost");
		return;
	}
	ib_dma_sync_single_for_cpu(c->id->device, v->sge.addr, v->sge.length, DMA_FROM_DEVICE);
	emp_rdma_message(c, v->buf, wc->byte_len);
	if (!READ_ONCE(c->broken))
		emp_rdma_recv_post(c, v);
}

static void emp_rdma_sent(struct ib_cq *cq, struct ib_wc *wc)
{
	struct emp_rdma_send *s = container_of(wc->wr_cqe, struct emp_rdma_send, cqe);
	struct emp_rdma_conn *c = cq->cq_context;
	struct emp_rdma *rd = c->rd;
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	s->busy = false;
	spin_unlock_irqrestore(&rd->lock, flags);
	wake_up(&rd->wait);
	if (wc->status != IB_WC_SUCCESS)
		emp_rdma_broke(c, "a message was not taken");
}

/**
 * emp_rdma_conn_send - send a message; any context
 * @c: connection
 * @msg: encoded
 * @len: its bytes
 *
 * Return: whether it is on its way. As many as may be under way are: then the
 * other side is slow, and what is sent without being asked for can be left out.
 */
bool emp_rdma_conn_send(struct emp_rdma_conn *c, const void *msg, size_t len)
{
	struct emp_rdma *rd = c->rd;
	struct emp_rdma_send *s = NULL;
	struct ib_send_wr wr = { .opcode = IB_WR_SEND, .send_flags = IB_SEND_SIGNALED,
				 .num_sge = 1 };
	unsigned long flags;
	bool sent = false;
	u32 i;

	if (WARN_ON_ONCE(len > EMP_RDMA_SEND_BYTES))
		return false;
	spin_lock_irqsave(&rd->lock, flags);
	for (i = 0; i < EMP_RDMA_SENDS && !s && !c->broken; i++)
		if (!c->send[i].busy)
			s = &c->send[i];
	if (!s)
		goto unlock;
	ib_dma_sync_single_for_cpu(c->id->device, s->sge.addr, len, DMA_TO_DEVICE);
	memcpy(s->buf, msg, len);
	ib_dma_sync_single_for_device(c->id->device, s->sge.addr, len, DMA_TO_DEVICE);
	s->sge.length = len;
	wr.wr_cqe = &s->cqe;
	wr.sg_list = &s->sge;
	sent = !ib_post_send(c->id->qp, &wr, NULL);
	s->busy = sent;
unlock:
	spin_unlock_irqrestore(&rd->lock, flags);
	return sent;
}

static u32 emp_rdma_ask_begin(struct emp_rdma *rd, unsigned int answer)
{
	unsigned long flags;
	u32 request;

	spin_lock_irqsave(&rd->lock, flags);
	rd->asked = rd->asked + 1 ?: 1;
	rd->ask_request = rd->asked;
	request = rd->asked;
	rd->ask_type = answer;
	rd->answered = false;
	spin_unlock_irqrestore(&rd->lock, flags);
	return request;
}

static int emp_rdma_ask_end(struct emp_rdma_conn *c)
{
	struct emp_rdma *rd = c->rd;
	unsigned long flags;
	bool answered;
	long left;

	left = wait_event_killable_timeout(rd->wait, READ_ONCE(rd->answered) ||
					   emp_rdma_over(rd, c),
					   msecs_to_jiffies(EMP_RDMA_ANSWER_MS));
	spin_lock_irqsave(&rd->lock, flags);
	answered = rd->answered;
	rd->ask_request = 0;
	spin_unlock_irqrestore(&rd->lock, flags);
	if (answered)
		return 0;
	if (left < 0)
		return -EINTR;
	if (READ_ONCE(c->removed))
		return -ENODEV;
	if (READ_ONCE(rd->reason))
		return emp_rdma_reason(rd->reason);
	return left ? -ECONNRESET : -ETIMEDOUT;
}

/**
 * emp_rdma_ask - ask the donor and wait for the answer, in rd->answer
 * @c: connection
 * @type: enum annex_donor_type of the question
 * @msg: of it; the head is filled in
 * @len: of it
 * @answer: type of the answer
 */
int emp_rdma_ask(struct emp_rdma_conn *c, unsigned int type, void *msg, size_t len,
		 unsigned int answer)
{
	u32 request = emp_rdma_ask_begin(c->rd, answer);

	annex_donor_head(msg, type, len, cpu_to_le32(request), 0);
	if (!emp_rdma_conn_send(c, msg, len))
		return -ECONNRESET;
	return emp_rdma_ask_end(c);
}

/** emp_rdma_conn_bye - tell the donor that the session is over; waits a moment */
void emp_rdma_conn_bye(struct emp_rdma_conn *c)
{
	struct annex_donor_msg bye;
	u32 i, ms;

	annex_donor_head(&bye, ANNEX_DONOR_BYE, sizeof(bye), 0, 0);
	if (!emp_rdma_conn_send(c, &bye, sizeof(bye)))
		return;
	for (ms = 0; ms < 500 && !READ_ONCE(c->broken); ms += 20) {
		bool busy = false;

		for (i = 0; i < EMP_RDMA_SENDS; i++)
			busy |= READ_ONCE(c->send[i].busy);
		if (!busy)
			return;
		msleep(20);
	}
}

/* --- making and unmaking -------------------------------------------------------- */

static int emp_rdma_map_messages(struct emp_rdma_conn *c)
{
	struct ib_device *dev = c->id->device;
	struct emp_rdma *rd = c->rd;
	u64 addr;
	u32 i;

	for (i = 0; i < EMP_RDMA_RECVS; i++) {
		struct emp_rdma_recv *v = &c->recv[i];

		addr = ib_dma_map_single(dev, rd->recv_buf[i], ANNEX_DONOR_MSG_MAX,
					 DMA_FROM_DEVICE);
		if (ib_dma_mapping_error(dev, addr))
			return -ENOMEM;
		v->buf = rd->recv_buf[i];
		v->cqe.done = emp_rdma_received;
		v->sge = (struct ib_sge){ addr, ANNEX_DONOR_MSG_MAX,
					 c->domain->pd->local_dma_lkey };
		emp_rdma_recv_post(c, v);
	}
	for (i = 0; i < EMP_RDMA_SENDS; i++) {
		struct emp_rdma_send *s = &c->send[i];
		void *buf = rd->send_buf + i * EMP_RDMA_SEND_BYTES;

		addr = ib_dma_map_single(dev, buf, EMP_RDMA_SEND_BYTES, DMA_TO_DEVICE);
		if (ib_dma_mapping_error(dev, addr))
			return -ENOMEM;
		s->buf = buf;
		s->cqe.done = emp_rdma_sent;
		s->sge = (struct ib_sge){ addr, 0, c->domain->pd->local_dma_lkey };
	}
	return 0;
}

static void emp_rdma_unmap_messages(struct emp_rdma_conn *c)
{
	struct ib_device *dev = c->id->device;
	u32 i;

	for (i = 0; i < EMP_RDMA_RECVS; i++)
		if (c->recv[i].buf)
			ib_dma_unmap_single(dev, c->recv[i].sge.addr, ANNEX_DONOR_MSG_MAX,
					    DMA_FROM_DEVICE);
	for (i = 0; i < EMP_RDMA_SENDS; i++)
		if (c->send[i].buf)
			ib_dma_unmap_single(dev, c->send[i].sge.addr, EMP_RDMA_SEND_BYTES,
					    DMA_TO_DEVICE);
}

static int emp_rdma_queues(struct emp_rdma_conn *c)
{
	struct ib_device *dev = c->id->device;
	struct emp_rdma *rd = c->rd;
	struct ib_qp_init_attr attr = {
		.qp_type = IB_QPT_RC,
		.sq_sig_type = IB_SIGNAL_REQ_WR,
	};
	u32 sge = min_t(u32, EMP_RDMA_SGE, dev->attrs.max_send_sge);
	u32 recvs = c->control ? 0 : EMP_RDMA_RECVS;
	u32 extra = (c->control ? 0 : EMP_RDMA_SENDS) + 1;	/* one to drain with */
	int err;

	if (dev->attrs.max_sge_rd)
		sge = min_t(u32, sge, dev->attrs.max_sge_rd);
	if (rd->state == EMP_RDMA_OPENING)
		rd->max_sge = sge;
	else if (sge < rd->max_sge)
		return -ENODEV;		/* another device than before, and a smaller one */
	c->depth = clamp(READ_ONCE(rd->tier->queue_depth), 16u, (u32)EMP_RDMA_DEPTH);
	if (dev->attrs.max_qp_wr < (int)(extra + 16))
		return -ENODEV;
	c->depth = min_t(u32, c->depth, dev->attrs.max_qp_wr - extra);

	if (c->control && c->control->id->device != dev)
		return -ENODEV;
	err = emp_rdma_domain_get(c);
	if (err)
		return err;
	/* Each that was posted must find its place when all are flushed. */
	err = emp_rdma_cq_init(c, c->depth + extra + recvs + 1);
	if (err)
		return err;
	attr.send_cq = c->cq;
	attr.recv_cq = c->cq;
	attr.cap.max_send_wr = c->depth + extra;
	attr.cap.max_recv_wr = recvs + 1;
	attr.cap.max_send_sge = rd->max_sge;
	attr.cap.max_recv_sge = 1;
	err = rdma_create_qp(c->id, c->domain->pd, &attr);
	if (err || c->control)
		return err;
	return emp_rdma_map_messages(c);
}

static int emp_rdma_connect(struct emp_rdma_conn *c, enum annex_donor_kind kind)
{
	struct emp_rdma *rd = c->rd;
	struct annex_donor_proof proof = { 0 };
	struct annex_donor_hello hello;
	struct rdma_conn_param param = {
		.private_data = &hello,
		.private_data_len = sizeof(hello),
		.responder_resources = 1,
		.initiator_depth = clamp(c->id->device->attrs.max_qp_init_rd_atom, 1, 128),
		.retry_count = EMP_RDMA_RETRIES,
		.rnr_retry_count = EMP_RDMA_RETRIES,
	};
	u32 request = 0;
	int err;

	if (!emp_rdma_port_active(c->id))
		return -ENETDOWN;
	emp_rdma_hello(rd, kind, c->id->qp->qp_num, &hello);
	/* The answer to a RESUME comes as soon as the connection stands. */
	if (kind != ANNEX_DONOR_JOIN)
		request = emp_rdma_ask_begin(rd, ANNEX_DONOR_WELCOME);
	emp_rdma_next_event(c);
	err = rdma_connect(c->id, &param);
	if (err)
		return err;
	err = emp_rdma_await(c, RDMA_CM_EVENT_ESTABLISHED, EMP_RDMA_CONNECT_MS);
	if (err)
		return err;
	c->connected = true;
	err = emp_rdma_accepted(c, &hello);
	if (err || kind == ANNEX_DONOR_JOIN)
		return err;
	if (kind == ANNEX_DONOR_OPEN) {
		annex_donor_head(&proof.head, ANNEX_DONOR_PROOF, sizeof(proof),
				 cpu_to_le32(request), 0);
		memcpy(proof.mac, rd->proof, sizeof(proof.mac));
		if (!emp_rdma_conn_send(c, &proof, sizeof(proof)))
			return -ECONNRESET;
	}
	return emp_rdma_ask_end(c);
}

/**
 * emp_rdma_conn_open - connect
 * @rd: session
 * @kind: OPEN, RESUME or JOIN
 * @control: of JOIN: the control connection, to which it will belong; else NULL
 *
 * Return: a connection over which the donor has welcomed us, or a data connection
 * that stands, or ERR_PTR.
 */
struct emp_rdma_conn *emp_rdma_conn_open(struct emp_rdma *rd, enum annex_donor_kind kind,
					 struct emp_rdma_conn *control)
{
	struct emp_rdma_conn *c;
	int err;

	c = kzalloc(struct_size(c, data, control ? 0 : rd->queues), GFP_KERNEL);
	if (!c)
		return ERR_PTR(-ENOMEM);
	c->rd = rd;
	c->control = control;
	c->index = control ? EMP_RDMA_OTHERS + control->nr_data : EMP_RDMA_CONTROL;
	c->stats = &rd->stats[c->index];
	if (!control)
		rd->reason = 0;
	c->id = rdma_create_id(rd->net, emp_rdma_cm_event, c, RDMA_PS_TCP, IB_QPT_RC);
	if (IS_ERR(c->id)) {
		err = PTR_ERR(c->id);
		kfree(c);
		return ERR_PTR(err);
	}
	err = emp_rdma_resolve(c) ?: emp_rdma_queues(c) ?: emp_rdma_connect(c, kind);
	if (!err)
		return c;
	emp_rdma_conn_free(c);
	return ERR_PTR(err);
}

/**
 * emp_rdma_conn_free - take a connection apart; its requests end, flushed
 * @c: no new request is posted on it: ->broken, or it was never in use. With a
 *	control connection its data connections go
 *
 * What the device holds of it is destroyed later (emp_rdma_grave.c).
 */
void emp_rdma_conn_free(struct emp_rdma_conn *c)
{
	struct emp_rdma *rd = c->rd;
	unsigned long flags;
	u32 i;

	for (i = 0; i < c->nr_data; i++)
		emp_rdma_conn_free(c->data[i]);	/* these have none */
	spin_lock_irqsave(&rd->lock, flags);
	c->broken = true;
	spin_unlock_irqrestore(&rd->lock, flags);
	wait_event(rd->wait, !READ_ONCE(c->users));	/* a moment */
	if (c->id->qp) {
		ib_drain_qp(c->id->qp);
		emp_rdma_unmap_messages(c);
	}
	emp_rdma_cq_quiet(c);
	WARN_ON_ONCE(c->posted);
	emp_rdma_conn_bury(c);
}
