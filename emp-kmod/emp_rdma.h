/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rdma tier: a memory donor (docs/wire-donor.md) as a tier of a region.
 *
 * One tier is one session with one donor (struct emp_rdma). A connection (struct
 * emp_rdma_conn) is an identifier of the RDMA CM, a queue pair, a completion
 * queue and what belongs to them. At a time the session has one control
 * connection, for messages, and under it data connections, which ->mend adds by
 * JOIN once the control connection stands, as many as ->queues says:
 *
 *	[0]		reads ahead and writes
 *	[1], [2], ...	reads that somebody waits for, one a group of CPUs
 *
 * What has no connection of its own, as there is none yet or the donor wants
 * none, goes over the control connection. They break together: whatever goes
 * wrong on one is the end of all.
 *
 * States, changed only under ->lock, by emp_rdma_broke(), emp_rdma_lost() and
 * emp_rdma_mend_work():
 *
 *	OPENING		emp_rdma_open() is at it; an error there is its caller's
 *	ACTIVE		requests are posted
 *	BROKEN		no connection. Requests, those that the connection had under
 *			way too, wait in ->urgent and ->others
 *	RESUMING	a new connection is being made
 *	LOST		for good: requests fail at once, and the tier is GONE
 *
 *	OPENING -> ACTIVE -> BROKEN <-> RESUMING -> ACTIVE
 *	BROKEN, RESUMING, ACTIVE -> LOST
 *
 * The effect of what was under way when a connection broke is unknown. So it is
 * done again only after RESUME, when the donor has destroyed its ends of all old
 * ones and nothing can come late. What is under way, or waits, for longer than
 * the tier's deadline fails; for what is under way the connections are broken
 * first, since nothing else calls it back from the device.
 *
 * A slab can be out of reach for a while, on the donor's disk (emp_rdma_park.c):
 * what wants to go there waits in ->away, and has it fetched.
 *
 * What the donor asks back (REVOKE) is withdrawn from the region, and given back
 * when the region has moved what was there (emp_rdma_give.c). A slab that it takes
 * by force is lost, and no other.
 *
 * Who runs: requests are posted by whoever submits them and by the completion
 * queues' work items, or by a fault that polls for its read; ->mend makes and
 * unmakes connections, nobody else does while the tier is open, and what the device
 * holds of an unmade one is destroyed beside it (emp_rdma_grave.c); ->tick keeps the
 * time; ->give gives back, parks and fetches. Nothing on the way of a request
 * allocates: it comes from a mempool with all that it needs.
 *
 * Locks: ->lock (spin, irq) is inside of all locks of emp.ko, since requests
 * may be submitted under them; emp_io_end() is called outside of it.
 */
#ifndef EMP_RDMA_H
#define EMP_RDMA_H

#include <linux/inet.h>
#include <linux/mempool.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>

#include <annex/donor_codec.h>

#include "emp_tier.h"

#define EMP_RDMA_SGE	32	/* pieces of one request, if the device takes them */
#define EMP_RDMA_BYTES	EMP_BLOCK_MAX	/* of one request */
#define EMP_RDMA_POOL	64	/* requests that can always be had */
#define EMP_RDMA_DEPTH	256	/* requests under way on a connection, at most */
#define EMP_RDMA_RECVS	ANNEX_DONOR_CREDITS_MAX
#define EMP_RDMA_SENDS	4	/* messages being sent */
#define EMP_RDMA_TRIES	8	/* a request is posted so often, on new connections */
#define EMP_RDMA_QUEUES	33	/* data connections, at most */

/* struct emp_rdma_conn.index */
#define EMP_RDMA_CONTROL	0
#define EMP_RDMA_OTHERS		1
#define EMP_RDMA_URGENT		2	/* and up */

struct emp_rdma_secret {
	u8 bytes[ANNEX_DONOR_KEY_MAX];
	u32 len;
};

enum emp_rdma_state {
	EMP_RDMA_OPENING,
	EMP_RDMA_ACTIVE,
	EMP_RDMA_BROKEN,
	EMP_RDMA_RESUMING,
	EMP_RDMA_LOST,
};

/*
 * How it is with a slab, changed under ->lock:
 *
 *	HELD -> WANTED -> LEAVING -> GIVING -> GIVEN
 *	  \--------\---------\-----> TAKEN -> MISSED
 */
enum emp_rdma_grant_state {
	EMP_GRANT_HELD,
	EMP_GRANT_WANTED,	/* asked for; the region has not been told, or cannot spare it */
	EMP_GRANT_LEAVING,	/* the region moves what is there */
	EMP_GRANT_GIVING,	/* nothing is there; the donor may have it already */
	EMP_GRANT_GIVEN,	/* the donor has it */
	EMP_GRANT_TAKEN,	/* by force; the region has not been told */
	EMP_GRANT_MISSED,	/* it has */
};

/* Where a slab is that the donor has for us, changed under ->lock; see emp_rdma_park.c */
enum emp_rdma_place {
	EMP_PLACE_REACH,
	EMP_PLACE_PARKING,	/* PARK is said, not answered */
	EMP_PLACE_PARKED,	/* on the donor's backing */
	EMP_PLACE_FETCHING,	/* FETCH is said */
};

/* One slab of the donor's. */
struct emp_rdma_grant {
	u64 id;
	u64 addr;
	u32 rkey;
	u32 seen;		/* round of LIST that had it */
	u8 state;		/* enum emp_rdma_grant_state */
	u8 place;		/* enum emp_rdma_place */
	bool forced;		/* asked for with a time, after which it is taken */
	bool awaited;		/* out of reach, and a request waits for it */
	unsigned long used;	/* jiffies of the last request */
};

/**
 * struct emp_rdma_req - one request: one work request
 * @list: in ->urgent, ->others, ->away or ->posted
 * @cqe: whom the completion queue calls
 * @wr: READ or WRITE
 * @conn: over which, while it is posted
 * @sge: pieces, mapped for the device while it is posted
 * @vec: pieces, as emp.ko gave them; in io.bio
 * @pos: byte of the tier
 * @expires: jiffies of the deadline
 * @cpu: that submitted it
 * @tries: how often it was posted
 * @io: what emp.ko knows; last, see there
 */
struct emp_rdma_req {
	struct list_head list;
	struct ib_cqe cqe;
	struct ib_rdma_wr wr;
	struct emp_rdma_conn *conn;
	struct ib_sge *sge;
	struct bio_vec *vec;
	u64 pos;
	unsigned long expires;
	u32 cpu;
	u8 tries;
	struct emp_io io;
};

struct emp_rdma_recv {
	struct ib_cqe cqe;
	struct ib_sge sge;
	void *buf;		/* of the session's */
};

struct emp_rdma_send {
	struct ib_cqe cqe;
	struct ib_sge sge;
	void *buf;
	bool busy;		/* rd->lock */
};

/* Of all connections that had one place in a session after each other. */
struct emp_rdma_stats {
	u64 requests;		/* posted; rd->lock, as the next ones */
	u64 completions;	/* of these */
	u64 breaks;		/* of the session that began here */
	atomic64_t interrupts;
	atomic64_t polled;	/* completions that the one who waited found */
};

/* The protection domain of a control connection and its data connections; goes with the last. */
struct emp_rdma_domain {
	struct ib_pd *pd;
	refcount_t users;
};

struct emp_rdma_conn {
	struct emp_rdma *rd;	/* NULL: it only waits to be destroyed; handler lock */
	struct emp_rdma_conn *control;	/* of a data connection; NULL: it is the control one */
	u32 index;		/* its place */
	struct emp_rdma_stats *stats;	/* of the place; NULL as ->rd; for interrupts by RCU */
	struct list_head grave;
	struct delayed_work burial;
	struct rdma_cm_id *id;	/* has the queue pair, too */
	struct emp_rdma_domain *domain;
	struct ib_cq *cq;
	struct delayed_work work;	/* takes what completed */
	atomic_t pollers;	/* who does so meanwhile */
	u32 depth;		/* requests that may be under way */
	u32 posted;		/* that are; rd->lock */
	u32 users;		/* who use it without a lock; rd->lock */
	bool broken;		/* rd->lock: nothing more is posted */
	bool joined;		/* rd->lock: it is in control->data */
	bool removed;		/* the device goes */
	bool connected;
	/* the last event that somebody waits for; written by the handler only */
	int event;		/* enum rdma_cm_event_type, -1: none so far */
	int status;
	u32 donor_qpn;
	u8 private[256] __aligned(8);
	u8 private_len;
	/* of a control connection */
	struct emp_rdma_recv recv[EMP_RDMA_RECVS];
	struct emp_rdma_send send[EMP_RDMA_SENDS];
	bool no_more;		/* data connections: the donor wants none; ->mend's */
	u32 join_tries;		/* in a row that failed; ->mend's */
	u32 nr_data;		/* rd->lock */
	struct emp_rdma_conn *data[];	/* rd->queues; rd->lock */
};

struct emp_rdma {
	struct emp_tier *tier;
	struct net *net;
	struct sockaddr_storage addr;
	struct emp_rdma_secret key;	/* shared with the donor, or none: zeros */
	bool noauth;
	u32 queues;		/* data connections that we want */
	struct emp_rdma_stats *stats;	/* of 1 + queues */

	/* the session: terms of the donor's accept */
	struct emp_rdma_secret secret;
	u8 proof[ANNEX_DONOR_MAC];
	u64 generation;
	u64 session;
	u64 sequence;
	u64 slab_bytes;
	u8 slab_shift;
	u32 features;
	u32 heartbeat_ms;
	u32 linger_ms;
	struct emp_rdma_grant *grant;
	u32 nr_grants;		/* that there are */
	struct xarray by_id;	/* of grants: index + 1 */
	u32 list_round;
	int reason;		/* enum annex_donor_reason of the last reject or goodbye */

	spinlock_t lock;	/* all that follows, and conn->broken, ->posted, ->busy */
	enum emp_rdma_state state;
	bool closing;
	bool suspect;		/* pings are not answered */
	struct emp_rdma_conn *conn;	/* control connection, in use; NULL: none */
	struct emp_rdma_conn *dying;	/* broken, to be taken apart by ->mend */
	struct list_head urgent;	/* reads that somebody waits for */
	struct list_head others;
	struct list_head posted;
	struct list_head away;		/* for slabs that are out of reach */
	u32 cool;			/* slabs that the donor would like parked; no lock */
	unsigned long broken_since;
	unsigned long heard;
	unsigned long pinged;
	u32 backoff_ms;
	u32 unlistened;		/* connects in a row that met nobody */

	/* one question at a time: whoever opens or mends */
	u32 asked;		/* questions so far */
	u32 ask_request;	/* number of the question; 0: none */
	u16 ask_type;		/* of the answer */
	u16 answer_len;
	bool answered;
	void *answer;		/* ANNEX_DONOR_MSG_MAX bytes */
	wait_queue_head_t wait;	/* answer, event of the CM, end */

	mempool_t *reqs;
	u32 max_sge;
	void *recv_buf[EMP_RDMA_RECVS];
	void *send_buf;		/* EMP_RDMA_SENDS pieces */
	struct delayed_work mend;
	struct delayed_work tick;
	struct delayed_work give;
};

extern struct workqueue_struct *emp_rdma_wq;
extern struct workqueue_struct *emp_rdma_comp_wq;

/* emp_rdma_auth.c: docs/wire-donor.md, "Keys" */
struct emp_rdma_transcript {
	const struct annex_donor_hello *hello;
	const struct annex_donor_accept *accept;
	u32 client_qpn;
	u32 donor_qpn;
};

u64 emp_rdma_key_id(const struct emp_rdma_secret *key);
void emp_rdma_mac_accept(const struct emp_rdma_secret *key, const struct emp_rdma_transcript *t,
			 u8 mac[ANNEX_DONOR_MAC]);
void emp_rdma_mac_proof(const struct emp_rdma_secret *key, const struct emp_rdma_transcript *t,
			u8 mac[ANNEX_DONOR_MAC]);
void emp_rdma_session_key(const struct emp_rdma_secret *key, const struct emp_rdma_transcript *t,
			  struct emp_rdma_secret *session);
void emp_rdma_mac_join(const struct emp_rdma_secret *session, const struct annex_donor_hello *hello,
		       u32 client_qpn, u8 mac[ANNEX_DONOR_JOIN_MAC]);

/* emp_rdma_conn.c */
struct emp_rdma_conn *emp_rdma_conn_open(struct emp_rdma *rd, enum annex_donor_kind kind,
					 struct emp_rdma_conn *control);
void emp_rdma_conn_free(struct emp_rdma_conn *c);
bool emp_rdma_conn_send(struct emp_rdma_conn *c, const void *msg, size_t len);
int emp_rdma_ask(struct emp_rdma_conn *c, unsigned int type, void *msg, size_t len,
		 unsigned int answer);
void emp_rdma_conn_bye(struct emp_rdma_conn *c);

/* emp_rdma_grave.c */
int emp_rdma_domain_get(struct emp_rdma_conn *c);
void emp_rdma_conn_bury(struct emp_rdma_conn *c);
bool emp_rdma_port_active(struct rdma_cm_id *id);
void emp_rdma_exhume(struct emp_rdma_conn *c);
int emp_rdma_grave_init(void);
void emp_rdma_grave_exit(void);

/* emp_rdma_cq.c */
int emp_rdma_cq_init(struct emp_rdma_conn *c, u32 n);
void emp_rdma_cq_quiet(struct emp_rdma_conn *c);
void emp_rdma_cq_exit(struct emp_rdma_conn *c);
void emp_rdma_poll(struct emp_tier *t, bool (*over)(void *arg), void *arg);

/* emp_rdma_link.c: the words */
void emp_rdma_hello(struct emp_rdma *rd, enum annex_donor_kind kind, u32 qpn,
		    struct annex_donor_hello *h);
int emp_rdma_accepted(struct emp_rdma_conn *c, const struct annex_donor_hello *h);
int emp_rdma_rejected(struct emp_rdma_conn *c);
int emp_rdma_reason(int reason);
void emp_rdma_message(struct emp_rdma_conn *c, const void *data, size_t len);
int emp_rdma_grants(struct emp_rdma_conn *c, u64 bytes);
int emp_rdma_list(struct emp_rdma_conn *c);

/* emp_rdma_data.c */
extern const struct emp_tier_ops emp_rdma_ops;
void emp_rdma_close(struct emp_tier *t);
int emp_rdma_data_init(struct emp_rdma *rd);
void emp_rdma_data_exit(struct emp_rdma *rd);
void emp_rdma_post(struct emp_rdma *rd);
void emp_rdma_fail_waiting(struct emp_rdma *rd, int error);
struct list_head *emp_rdma_queue(struct emp_rdma *rd, const struct emp_rdma_req *req);
u32 emp_rdma_group(const struct emp_rdma_conn *control, u32 cpu);

/* emp_rdma_give.c */
bool emp_rdma_offers(void);
void emp_rdma_revoke(struct emp_rdma *rd, const struct annex_donor_revoke *m);
int emp_rdma_listed(struct emp_rdma *rd);
void emp_rdma_give_soon(struct emp_rdma *rd);
void emp_rdma_left(struct emp_tier *t);
void emp_rdma_give_work(struct work_struct *work);
bool emp_rdma_busy(struct emp_rdma *rd, u32 i);

/* emp_rdma_park.c */
bool emp_rdma_parks(void);
void emp_rdma_cool(struct emp_rdma *rd, const struct annex_donor_cool *m);
void emp_rdma_fetched(struct emp_rdma *rd, const struct annex_donor_grants *m);
void emp_rdma_retry_away(struct emp_rdma *rd);
struct emp_rdma_req *emp_rdma_set_aside(struct emp_rdma *rd, struct list_head *list);
bool emp_rdma_fetch_first(struct emp_rdma *rd, u32 i);
unsigned long emp_rdma_park(struct emp_rdma *rd, struct emp_rdma_conn *c);
int emp_rdma_park_new(struct emp_rdma_conn *c, u32 want, unsigned long since);
bool emp_rdma_listed_grant(struct emp_rdma *rd, struct emp_rdma_grant *g,
			   const struct annex_donor_grant *m);

/** emp_rdma_there - can data of this grant be there? ->lock is held */
static inline bool emp_rdma_there(const struct emp_rdma_grant *g)
{
	return g->state <= EMP_GRANT_LEAVING;
}

/** emp_rdma_in_reach - where a slab lies from now on; ->lock is held */
static inline void emp_rdma_in_reach(struct emp_rdma_grant *g, const struct annex_donor_grant *m)
{
	g->addr = le64_to_cpu(m->addr);
	g->rkey = le32_to_cpu(m->rkey);
	g->used = jiffies;
	g->place = EMP_PLACE_REACH;
	g->awaited = false;
}

/* emp_rdma_mend.c */
void emp_rdma_broke(struct emp_rdma_conn *c, const char *why);
void emp_rdma_lost(struct emp_rdma *rd, const char *why);
void emp_rdma_mend_work(struct work_struct *work);
void emp_rdma_tick_work(struct work_struct *work);

#endif
