// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is said to the donor and heard of it: the client's side of
 * docs/wire-donor.md, without the connection.
 */
#include <crypto/algapi.h>
#include <linux/log2.h>
#include <linux/random.h>
#include <rdma/ib_cm.h>

#include "emp_rdma.h"

/** emp_rdma_hello - what goes with a connect */
void emp_rdma_hello(struct emp_rdma *rd, enum annex_donor_kind kind, u32 qpn,
		    struct annex_donor_hello *h)
{
	memset(h, 0, sizeof(*h));
	h->magic = cpu_to_le32(ANNEX_DONOR_MAGIC);
	h->version_min = ANNEX_DONOR_VERSION;
	h->version_max = ANNEX_DONOR_VERSION;
	h->kind = kind;
	h->size = sizeof(*h);
	h->flags = cpu_to_le32(rd->noauth ? ANNEX_DONOR_F_NOAUTH : 0);
	if (kind == ANNEX_DONOR_OPEN) {
		h->features = cpu_to_le32(ANNEX_DONOR_FEAT_RESUME |
					  (rd->queues ? ANNEX_DONOR_FEAT_JOIN : 0) |
					  (emp_rdma_offers() ? ANNEX_DONOR_FEAT_GIVE_BACK : 0) |
					  (emp_rdma_parks() ? ANNEX_DONOR_FEAT_PARK : 0));
		h->id = cpu_to_le64(rd->noauth ? 0 : emp_rdma_key_id(&rd->key));
		get_random_bytes(h->nonce, sizeof(h->nonce));
		return;
	}
	h->features = cpu_to_le32(rd->features);
	h->id = cpu_to_le64(rd->session);
	h->sequence = cpu_to_le64(++rd->sequence);
	emp_rdma_mac_join(&rd->secret, h, qpn, h->mac);
}

/**
 * emp_rdma_accepted - the connection stands; is it with whom we think?
 * @c: with the accept's private data
 * @h: what it was asked for with
 *
 * Return: 0, -EPROTO it makes no sense, -EKEYREJECTED the MAC is wrong, -ESTALE
 * the donor has come back without our data.
 */
int emp_rdma_accepted(struct emp_rdma_conn *c, const struct annex_donor_hello *h)
{
	const struct annex_donor_accept *a = (const void *)c->private;
	struct emp_rdma_transcript t = { h, a, c->id->qp->qp_num, c->donor_qpn };
	bool open = h->kind == ANNEX_DONOR_OPEN;
	struct emp_rdma *rd = c->rd;
	u8 mac[ANNEX_DONOR_MAC];

	if (!annex_donor_check_accept(a, c->private_len, h))
		return -EPROTO;
	emp_rdma_mac_accept(open ? &rd->key : &rd->secret, &t, mac);
	if (crypto_memneq(mac, a->mac, sizeof(mac)))
		return -EKEYREJECTED;
	rd->heard = jiffies;
	rd->pinged = jiffies;
	if (!open)
		return le64_to_cpu(a->generation) != rd->generation ||
		       le64_to_cpu(a->slab_bytes) != rd->slab_bytes ? -ESTALE : 0;
	rd->generation = le64_to_cpu(a->generation);
	rd->session = le64_to_cpu(a->session);
	rd->slab_bytes = le64_to_cpu(a->slab_bytes);
	rd->slab_shift = ilog2(rd->slab_bytes);
	rd->features = le32_to_cpu(a->features);
	if (!(rd->features & ANNEX_DONOR_FEAT_GIVE_BACK))
		rd->features &= ~ANNEX_DONOR_FEAT_PARK;	/* one slab could not be lost alone */
	rd->heartbeat_ms = clamp(le32_to_cpu(a->heartbeat_ms), 10u, 600000u);
	rd->linger_ms = min(le32_to_cpu(a->linger_ms), 86400000u);
	emp_rdma_mac_proof(&rd->key, &t, rd->proof);
	emp_rdma_session_key(&rd->key, &t, &rd->secret);
	return 0;
}

/** emp_rdma_reason - a reason of the donor's, as an error of ours */
int emp_rdma_reason(int reason)
{
	switch (reason) {
	case ANNEX_DONOR_R_VERSION:
	case ANNEX_DONOR_R_FLAGS:
		return -EPROTONOSUPPORT;
	case ANNEX_DONOR_R_KEY:
	case ANNEX_DONOR_R_AUTH:
		return -EKEYREJECTED;
	case ANNEX_DONOR_R_SESSION:
		return -ESTALE;
	case ANNEX_DONOR_R_FULL:
	case ANNEX_DONOR_R_DRAINING:
	case ANNEX_DONOR_R_INTERNAL:
		return -EAGAIN;
	case ANNEX_DONOR_R_DEVICE:
		return -ENODEV;
	}
	return -EPROTO;
}

/** emp_rdma_rejected - what a reject means to us, as an error */
int emp_rdma_rejected(struct emp_rdma_conn *c)
{
	int reason = annex_donor_check_reject(c->private, c->private_len);

	if (reason == ANNEX_DONOR_R_NONE)	/* the CM's own */
		return c->status == IB_CM_REJ_INVALID_SERVICE_ID ? -ECONNREFUSED : -ECONNABORTED;
	return emp_rdma_reason(reason);
}

static void emp_rdma_answer(struct emp_rdma *rd, const struct annex_donor_msg *m, size_t len)
{
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	if (rd->ask_request && !rd->answered && le16_to_cpu(m->type) == rd->ask_type &&
	    (le32_to_cpu(m->request) == rd->ask_request ||
	     rd->ask_type == ANNEX_DONOR_WELCOME)) {
		memcpy(rd->answer, m, len);
		rd->answer_len = len;
		rd->answered = true;
		wake_up(&rd->wait);
	}
	spin_unlock_irqrestore(&rd->lock, flags);
}

/**
 * emp_rdma_message - the donor said something; context of the completion queue
 * @c: connection
 * @data: aligned to 8, and nobody else's by now
 * @len: of it
 */
void emp_rdma_message(struct emp_rdma_conn *c, const void *data, size_t len)
{
	const struct annex_donor_state *s = data;
	const struct annex_donor_msg *m = data;
	struct emp_rdma *rd = c->rd;
	struct annex_donor_msg pong;

	if (!annex_donor_check_msg(data, len, ANNEX_DONOR_DONOR)) {
		emp_rdma_broke(c, "the donor said what is no message");
		return;
	}
	WRITE_ONCE(rd->heard, jiffies);
	switch (le16_to_cpu(m->type)) {
	case ANNEX_DONOR_PING:
		annex_donor_head(&pong, ANNEX_DONOR_PONG, sizeof(pong), m->request, 0);
		emp_rdma_conn_send(c, &pong, sizeof(pong));
		return;
	case ANNEX_DONOR_PONG:
	case ANNEX_DONOR_WELCOME:
		if (len == sizeof(*s) && le64_to_cpu(s->generation) != rd->generation) {
			emp_rdma_lost(rd, "the donor has come back without the data");
			return;
		}
		break;
	case ANNEX_DONOR_GOODBYE:
		WRITE_ONCE(rd->reason, le32_to_cpu(m->status));
		emp_rdma_lost(rd, "the donor has ended the session");
		return;
	case ANNEX_DONOR_REVOKE:
	case ANNEX_DONOR_REVOKED:
		emp_rdma_revoke(rd, data);
		return;
	case ANNEX_DONOR_FETCHED:
		emp_rdma_fetched(rd, data);
		return;
	case ANNEX_DONOR_COOL:
		emp_rdma_cool(rd, data);
		return;
	}
	emp_rdma_answer(rd, m, len);
}

/*
 * Take over what the donor granted. A grant is as long as was agreed and none
 * of another's; where it lies is the donor's affair, and what is read there is
 * checked.
 */
static int emp_rdma_take(struct emp_rdma *rd, const struct annex_donor_grants *g, u32 most)
{
	u32 i, n = le32_to_cpu(g->count);
	int err;

	if (n > most)
		return -EPROTO;
	for (i = 0; i < n; i++) {
		const struct annex_donor_grant *from = &g->grant[i];
		struct emp_rdma_grant *to = &rd->grant[rd->nr_grants];

		if (le64_to_cpu(from->bytes) != rd->slab_bytes || from->flags)
			return -EPROTO;
		to->id = le64_to_cpu(from->id);
		to->addr = le64_to_cpu(from->addr);
		to->rkey = le32_to_cpu(from->rkey);
		err = xa_insert(&rd->by_id, to->id, xa_mk_value(rd->nr_grants), GFP_KERNEL);
		if (err)
			return err == -EBUSY ? -EPROTO : err;
		rd->nr_grants++;
	}
	return 0;
}

/** emp_rdma_grants - ask for slabs that hold @bytes. -ENOSPC: the donor has not so many */
int emp_rdma_grants(struct emp_rdma_conn *c, u64 bytes)
{
	const struct annex_donor_grants *g;
	struct emp_rdma *rd = c->rd;
	u64 want = DIV_ROUND_UP_ULL(bytes, rd->slab_bytes);
	unsigned long since = jiffies;
	int err;

	if (want > U32_MAX / 2)
		return -EINVAL;
	rd->grant = kvcalloc(want, sizeof(*rd->grant), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!rd->grant)
		return -ENOMEM;
	while (rd->nr_grants < want) {
		u32 n = min_t(u64, want - rd->nr_grants, ANNEX_DONOR_LIST_MAX);
		struct annex_donor_request q = { .slabs = cpu_to_le32(n) };

		err = emp_rdma_ask(c, ANNEX_DONOR_REQUEST, &q, sizeof(q), ANNEX_DONOR_GRANTS);
		if (err)
			return err;
		g = rd->answer;
		if (g->count) {
			since = jiffies;
			err = emp_rdma_take(rd, g, n);
		} else if (le32_to_cpu(g->head.status) == ANNEX_DONOR_FULL) {
			err = emp_rdma_park_new(c, n, since);
		} else {
			err = -ENOSPC;
		}
		if (err)
			return err;
	}
	return 0;
}

/** emp_rdma_list - after RESUME: what has the donor still? -ESTALE: not what it should */
int emp_rdma_list(struct emp_rdma_conn *c)
{
	struct emp_rdma *rd = c->rd;
	struct annex_donor_after q = { 0 };
	u32 i, n, rounds = 0;
	int err;

	rd->list_round++;
	do {
		const struct annex_donor_grants *g;

		err = emp_rdma_ask(c, ANNEX_DONOR_LIST, &q, sizeof(q), ANNEX_DONOR_GRANTS);
		if (err)
			return err;
		g = rd->answer;
		n = le32_to_cpu(g->count);
		for (i = 0; i < n; i++) {
			void *at = xa_load(&rd->by_id, le64_to_cpu(g->grant[i].id));
			struct emp_rdma_grant *have;

			q.after = g->grant[i].id;
			if (!at)
				continue;	/* one that we do not know: it does no harm */
			have = &rd->grant[xa_to_value(at)];
			if (have->seen == rd->list_round ||
			    !emp_rdma_listed_grant(rd, have, &g->grant[i]))
				return -EPROTO;
			have->seen = rd->list_round;
		}
		/* a donor that has no end to its list */
		if (++rounds > rd->nr_grants / ANNEX_DONOR_LIST_MAX + 16)
			return -EPROTO;
	} while (n == ANNEX_DONOR_LIST_MAX);
	return emp_rdma_listed(rd);
}
