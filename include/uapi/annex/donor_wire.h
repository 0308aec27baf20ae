/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Annex memory donors: what goes over the wire between a client (emp.ko, or a
 * program) and emp-donor. docs/wire-donor.md has the rules and the pictures.
 *
 * A *session* is one client with one donor. It has one control connection and
 * any number of data connections, all reliable-connected queue pairs made by
 * the RDMA CM. Their private data carries the first two structures below; then
 * messages are sent on the control connection only. Data is moved by one-sided
 * READ and WRITE within *grants*, on any connection of the session.
 *
 * All numbers are little-endian. Padding and unknown flags are zero and a
 * receiver refuses anything else; unknown *feature* bits are ignored, since a
 * feature counts only when both have it.
 */
#ifndef _UAPI_ANNEX_DONOR_WIRE_H
#define _UAPI_ANNEX_DONOR_WIRE_H

#include <linux/types.h>

/** ANNEX_DONOR_MAGIC - "axdn": first in both directions' private data */
#define ANNEX_DONOR_MAGIC	0x6e647861u
/** ANNEX_DONOR_VERSION - of this protocol; raised on an incompatible change */
#define ANNEX_DONOR_VERSION	1
/** ANNEX_DONOR_PORT - default service port in RDMA_PS_TCP (the ancestor's) */
#define ANNEX_DONOR_PORT	19675

#define ANNEX_DONOR_KEY_MIN	16	/* bytes of a key */
#define ANNEX_DONOR_KEY_MAX	64
#define ANNEX_DONOR_NONCE	16
#define ANNEX_DONOR_MAC		32	/* HMAC-SHA256 */
#define ANNEX_DONOR_JOIN_MAC	16	/* its first bytes, where there is little room */
#define ANNEX_DONOR_LABEL	16	/* bytes of the word that begins each MAC's input */

#define ANNEX_DONOR_MSG_MAX	4096	/* bytes of a message with its head */
#define ANNEX_DONOR_LIST_MAX	64	/* grants in one message */
#define ANNEX_DONOR_CREDITS_MIN	4	/* receives that each side keeps posted */
#define ANNEX_DONOR_CREDITS_MAX	64
#define ANNEX_DONOR_SLAB_MIN	(2ull << 20)	/* bytes of a slab, power of two */
#define ANNEX_DONOR_SLAB_MAX	(1ull << 30)

/**
 * enum annex_donor_kind - what a connection is for
 * @ANNEX_DONOR_OPEN: control connection of a new session
 * @ANNEX_DONOR_JOIN: one more data connection of a session
 * @ANNEX_DONOR_RESUME: control connection of a session that has lost its own
 */
enum annex_donor_kind {
	ANNEX_DONOR_OPEN	= 1,
	ANNEX_DONOR_JOIN	= 2,
	ANNEX_DONOR_RESUME	= 3,
};

/* flags of hello and accept */
#define ANNEX_DONOR_F_NOAUTH	(1u << 0) /* no key: MACs are made with 32 zero bytes */
#define ANNEX_DONOR_F_DRAINING	(1u << 1) /* accept only: no new grants */
#define ANNEX_DONOR_HELLO_FLAGS	ANNEX_DONOR_F_NOAUTH
#define ANNEX_DONOR_ACCEPT_FLAGS (ANNEX_DONOR_F_NOAUTH | ANNEX_DONOR_F_DRAINING)

/* features: offered in hello, those that both have in accept */
#define ANNEX_DONOR_FEAT_GIVE_BACK	(1u << 0) /* client: will give back what is revoked */
#define ANNEX_DONOR_FEAT_RESUME		(1u << 1) /* grants outlive the control connection */
#define ANNEX_DONOR_FEAT_JOIN		(1u << 2) /* data connections */
#define ANNEX_DONOR_FEAT_PARK		(1u << 3) /* slabs out of reach, on the donor's backing */
#define ANNEX_DONOR_FEATURES	(ANNEX_DONOR_FEAT_GIVE_BACK | ANNEX_DONOR_FEAT_RESUME | \
				 ANNEX_DONOR_FEAT_JOIN | ANNEX_DONOR_FEAT_PARK)

/**
 * struct annex_donor_hello - private data of the client's connect request
 * @magic: ANNEX_DONOR_MAGIC
 * @version_min: lowest protocol version that the client speaks
 * @version_max: highest
 * @kind: enum annex_donor_kind
 * @size: sizeof(struct annex_donor_hello); what the CM appends is ignored
 * @flags: ANNEX_DONOR_HELLO_FLAGS
 * @features: ANNEX_DONOR_FEAT_*
 * @id: OPEN: which key (see docs/wire-donor.md), 0 with NOAUTH;
 *	JOIN and RESUME: the session
 * @nonce: OPEN: random
 * @sequence: JOIN and RESUME: of this session's connects, each only once, from 1
 * @replaces: JOIN: queue pair of the donor that must be gone before this one is
 *	accepted, 0: none; RESUME: 0 (all of the session's are gone then)
 * @pad: 0
 * @mac: OPEN: 0; JOIN and RESUME: the first bytes of the HMAC "donor-join"
 */
struct annex_donor_hello {
	__le32 magic;
	__u8 version_min;
	__u8 version_max;
	__u8 kind;
	__u8 size;
	__le32 flags;
	__le32 features;
	__le64 id;
	union {
		__u8 nonce[ANNEX_DONOR_NONCE];
		struct {
			__le64 sequence;
			__le32 replaces;
			__le32 pad;
		};
	};
	__u8 mac[ANNEX_DONOR_JOIN_MAC];
};

/**
 * struct annex_donor_accept - private data of the donor's accept
 * @magic: ANNEX_DONOR_MAGIC
 * @version: that is spoken from here on
 * @kind: as in hello
 * @size: sizeof(struct annex_donor_accept); what the CM appends is ignored
 * @credits: receives that the donor keeps posted, so the most messages of the
 *	client that may be under way without an answer
 * @flags: ANNEX_DONOR_ACCEPT_FLAGS
 * @features: those of hello that the donor has too
 * @generation: random, made when the donor starts: never the same twice
 * @session: random, of this session
 * @slab_bytes: size of each grant
 * @quota_bytes: most that this client may hold
 * @heartbeat_ms: the client pings at least this often
 * @client_ms: a client that is silent for so long is taken for dead
 * @linger_ms: how long grants outlive the control connection; 0: not at all
 * @pad: 0
 * @nonce: random
 * @mac: HMAC "donor-accept"
 */
struct annex_donor_accept {
	__le32 magic;
	__u8 version;
	__u8 kind;
	__u8 size;
	__u8 credits;
	__le32 flags;
	__le32 features;
	__le64 generation;
	__le64 session;
	__le64 slab_bytes;
	__le64 quota_bytes;
	__le32 heartbeat_ms;
	__le32 client_ms;
	__le32 linger_ms;
	__le32 pad;
	__u8 nonce[ANNEX_DONOR_NONCE];
	__u8 mac[ANNEX_DONOR_MAC];
};

/**
 * enum annex_donor_reason - why the donor refuses or ends a connection
 * @ANNEX_DONOR_R_NONE: no reason given
 * @ANNEX_DONOR_R_GARBAGE: the private data is none of ours
 * @ANNEX_DONOR_R_VERSION: no version in common
 * @ANNEX_DONOR_R_FLAGS: a flag or kind that the donor does not know
 * @ANNEX_DONOR_R_KEY: unknown key
 * @ANNEX_DONOR_R_AUTH: the donor wants a key and the client offers none, or a MAC is wrong
 * @ANNEX_DONOR_R_SESSION: no such session (any more): its grants are gone
 * @ANNEX_DONOR_R_FULL: as many clients or connections as are allowed
 * @ANNEX_DONOR_R_DRAINING: the donor is going away
 * @ANNEX_DONOR_R_DEVICE: not on this RDMA device
 * @ANNEX_DONOR_R_PROTOCOL: a message that is none, or in the wrong state
 * @ANNEX_DONOR_R_SILENT: the client was silent for too long
 * @ANNEX_DONOR_R_INTERNAL: the donor lacks memory, queue pairs or the like
 */
enum annex_donor_reason {
	ANNEX_DONOR_R_NONE	= 0,
	ANNEX_DONOR_R_GARBAGE	= 1,
	ANNEX_DONOR_R_VERSION	= 2,
	ANNEX_DONOR_R_FLAGS	= 3,
	ANNEX_DONOR_R_KEY	= 4,
	ANNEX_DONOR_R_AUTH	= 5,
	ANNEX_DONOR_R_SESSION	= 6,
	ANNEX_DONOR_R_FULL	= 7,
	ANNEX_DONOR_R_DRAINING	= 8,
	ANNEX_DONOR_R_DEVICE	= 9,
	ANNEX_DONOR_R_PROTOCOL	= 10,
	ANNEX_DONOR_R_SILENT	= 11,
	ANNEX_DONOR_R_INTERNAL	= 12,
};

/**
 * struct annex_donor_reject - private data of the donor's reject
 * @magic: ANNEX_DONOR_MAGIC
 * @version_min: lowest protocol version that the donor speaks
 * @version_max: highest
 * @reason: enum annex_donor_reason
 * @size: sizeof(struct annex_donor_reject)
 * @generation: of the donor
 *
 * It carries no MAC: who can forge it can also keep the client away.
 */
struct annex_donor_reject {
	__le32 magic;
	__u8 version_min;
	__u8 version_max;
	__u8 reason;
	__u8 size;
	__le64 generation;
};

/**
 * enum annex_donor_type - kinds of messages on the control connection
 * @ANNEX_DONOR_PROOF: client, after OPEN: struct annex_donor_proof
 * @ANNEX_DONOR_REQUEST: client wants slabs: struct annex_donor_request
 * @ANNEX_DONOR_GIVE_BACK: client has left these: struct annex_donor_list
 * @ANNEX_DONOR_PING: either, head only
 * @ANNEX_DONOR_FENCE: client: let a data connection be gone: struct annex_donor_fence
 * @ANNEX_DONOR_STATS: client wants numbers: head only
 * @ANNEX_DONOR_BYE: client ends the session, head only, no answer
 * @ANNEX_DONOR_LIST: client wants to know what it holds: struct annex_donor_after
 * @ANNEX_DONOR_PARK: client does without these for a while: struct annex_donor_list
 * @ANNEX_DONOR_FETCH: client wants these in reach again: struct annex_donor_list;
 *	FETCHED follows when they are
 * @ANNEX_DONOR_WELCOME: donor, after PROOF, and after RESUME: struct annex_donor_state
 * @ANNEX_DONOR_GRANTS: answer to REQUEST and LIST: struct annex_donor_grants
 * @ANNEX_DONOR_TAKEN: answer to GIVE_BACK: struct annex_donor_list, those taken back
 * @ANNEX_DONOR_PONG: answer to PING: struct annex_donor_state; of the client head only
 * @ANNEX_DONOR_FENCED: answer to FENCE: struct annex_donor_fence
 * @ANNEX_DONOR_NUMBERS: answer to STATS: struct annex_donor_numbers
 * @ANNEX_DONOR_REVOKE: donor wants these back: struct annex_donor_revoke
 * @ANNEX_DONOR_REVOKED: donor has taken these: struct annex_donor_revoke, grace_ms 0
 * @ANNEX_DONOR_GOODBYE: donor ends the session: head only, reason in its status
 * @ANNEX_DONOR_PARKED: answer to PARK: struct annex_donor_list, those that are out of reach now
 * @ANNEX_DONOR_FETCHED: donor: in reach again: struct annex_donor_grants
 * @ANNEX_DONOR_COOL: donor's memory is short: struct annex_donor_cool
 */
enum annex_donor_type {
	ANNEX_DONOR_PROOF	= 1,
	ANNEX_DONOR_REQUEST	= 2,
	ANNEX_DONOR_GIVE_BACK	= 3,
	ANNEX_DONOR_PING	= 4,
	ANNEX_DONOR_FENCE	= 5,
	ANNEX_DONOR_STATS	= 6,
	ANNEX_DONOR_BYE		= 7,
	ANNEX_DONOR_LIST	= 8,
	ANNEX_DONOR_PARK	= 9,
	ANNEX_DONOR_FETCH	= 10,
	ANNEX_DONOR_WELCOME	= 65,
	ANNEX_DONOR_GRANTS	= 66,
	ANNEX_DONOR_TAKEN	= 67,
	ANNEX_DONOR_PONG	= 68,
	ANNEX_DONOR_FENCED	= 69,
	ANNEX_DONOR_NUMBERS	= 70,
	ANNEX_DONOR_REVOKE	= 71,
	ANNEX_DONOR_REVOKED	= 72,
	ANNEX_DONOR_GOODBYE	= 73,
	ANNEX_DONOR_PARKED	= 74,
	ANNEX_DONOR_FETCHED	= 75,
	ANNEX_DONOR_COOL	= 76,
};

/**
 * enum annex_donor_status - in the head of an answer
 * @ANNEX_DONOR_OK: done
 * @ANNEX_DONOR_FULL: no slab is free at the moment; PARKED: the backing has no room
 * @ANNEX_DONOR_QUOTA: the client holds what it may
 * @ANNEX_DONOR_DRAIN: the donor gives nothing more
 * @ANNEX_DONOR_UNKNOWN: some of the grants, or the queue pair, are not this session's
 * @ANNEX_DONOR_FAILED: the donor could not register the memory
 */
enum annex_donor_status {
	ANNEX_DONOR_OK		= 0,
	ANNEX_DONOR_FULL	= 1,
	ANNEX_DONOR_QUOTA	= 2,
	ANNEX_DONOR_DRAIN	= 3,
	ANNEX_DONOR_UNKNOWN	= 4,
	ANNEX_DONOR_FAILED	= 5,
};

/**
 * struct annex_donor_msg - head of every message
 * @type: enum annex_donor_type
 * @size: bytes of the message with this head; the receive has exactly as many
 * @request: chosen by who asks, repeated in the answer; 0 in what is no answer
 * @flags: 0
 * @status: enum annex_donor_status in answers; GOODBYE: enum annex_donor_reason; else 0
 */
struct annex_donor_msg {
	__le16 type;
	__le16 size;
	__le32 request;
	__le32 flags;
	__le32 status;
};

/**
 * struct annex_donor_proof - ANNEX_DONOR_PROOF
 * @head: head
 * @mac: HMAC "donor-proof"
 */
struct annex_donor_proof {
	struct annex_donor_msg head;
	__u8 mac[ANNEX_DONOR_MAC];
};

/**
 * struct annex_donor_request - ANNEX_DONOR_REQUEST
 * @head: head
 * @slabs: wanted, 1..ANNEX_DONOR_LIST_MAX; fewer may come
 * @pad: 0
 */
struct annex_donor_request {
	struct annex_donor_msg head;
	__le32 slabs;
	__le32 pad;
};

/* flags of a grant */
#define ANNEX_DONOR_G_PARKED	(1u << 0) /* in the answer to LIST: out of reach */

/**
 * struct annex_donor_grant - one slab
 * @id: of the grant; never used again while the donor lives
 * @addr: where it begins for READ and WRITE; 0 when it is parked
 * @bytes: its length: slab_bytes of accept
 * @rkey: its key, good on this session's connections only; 0 when it is parked
 * @flags: ANNEX_DONOR_G_PARKED or 0
 */
struct annex_donor_grant {
	__le64 id;
	__le64 addr;
	__le64 bytes;
	__le32 rkey;
	__le32 flags;
};

/**
 * struct annex_donor_grants - ANNEX_DONOR_GRANTS, ANNEX_DONOR_FETCHED
 * @head: head; with a status other than OK @count is 0
 * @count: elements of @grant, 0..ANNEX_DONOR_LIST_MAX; FETCHED: at least 1
 * @pad: 0
 * @grant: answer to REQUEST: zeroed slabs; to LIST: what is held; FETCHED: what was
 *	parked, as it was
 */
struct annex_donor_grants {
	struct annex_donor_msg head;
	__le32 count;
	__le32 pad;
	struct annex_donor_grant grant[];
};

/**
 * struct annex_donor_list - ANNEX_DONOR_GIVE_BACK, TAKEN, PARK, PARKED, FETCH
 * @head: head
 * @count: elements of @id; 1..ANNEX_DONOR_LIST_MAX, in TAKEN and PARKED also 0
 * @pad: 0
 * @id: grants
 */
struct annex_donor_list {
	struct annex_donor_msg head;
	__le32 count;
	__le32 pad;
	__le64 id[];
};

/**
 * struct annex_donor_after - ANNEX_DONOR_LIST
 * @head: head
 * @after: 0, or the last grant of the answer before: the answer has those that
 *	follow, in an order that does not change while they are held; none are left
 *	when it has fewer than ANNEX_DONOR_LIST_MAX
 *
 * A client asks after RESUME: grants that were revoked while it was not there
 * are missing, and those of an answer that it did not get are there.
 */
struct annex_donor_after {
	struct annex_donor_msg head;
	__le64 after;
};

/**
 * enum annex_donor_cause - why grants are revoked
 * @ANNEX_DONOR_C_SHRINK: the donor's memory is to become smaller
 * @ANNEX_DONOR_C_DRAIN: the donor is going away
 * @ANNEX_DONOR_C_QUOTA: the client's quota became smaller
 * @ANNEX_DONOR_C_LOST: REVOKED only: it was parked, and the backing cannot be read
 */
enum annex_donor_cause {
	ANNEX_DONOR_C_SHRINK	= 1,
	ANNEX_DONOR_C_DRAIN	= 2,
	ANNEX_DONOR_C_QUOTA	= 3,
	ANNEX_DONOR_C_LOST	= 4,
};

/**
 * struct annex_donor_revoke - ANNEX_DONOR_REVOKE, ANNEX_DONOR_REVOKED
 * @head: head
 * @count: elements of @id, 1..ANNEX_DONOR_LIST_MAX
 * @cause: enum annex_donor_cause
 * @grace_ms: REVOKE: after that time the donor may take them; 0: when it pleases the client
 * @pad: 0
 * @id: grants
 */
struct annex_donor_revoke {
	struct annex_donor_msg head;
	__le32 count;
	__le32 cause;
	__le32 grace_ms;
	__le32 pad;
	__le64 id[];
};

/**
 * struct annex_donor_cool - ANNEX_DONOR_COOL
 * @head: head
 * @slabs: that the client may park now, those first that it has not used for the
 *	longest; at least 1. It may park fewer, or none
 * @pad: 0
 */
struct annex_donor_cool {
	struct annex_donor_msg head;
	__le32 slabs;
	__le32 pad;
};

/**
 * struct annex_donor_fence - ANNEX_DONOR_FENCE, ANNEX_DONOR_FENCED
 * @head: head
 * @qpn: number of the donor's queue pair, as the CM told the client
 * @pad: 0
 */
struct annex_donor_fence {
	struct annex_donor_msg head;
	__le32 qpn;
	__le32 pad;
};

/**
 * struct annex_donor_state - ANNEX_DONOR_WELCOME, ANNEX_DONOR_PONG
 * @head: head
 * @generation: of the donor
 * @free_bytes: that could be granted now, to anybody
 * @quota_bytes: most that this client may hold
 * @held_bytes: that this client holds
 * @flags: ANNEX_DONOR_F_DRAINING or 0
 * @pad: 0
 */
struct annex_donor_state {
	struct annex_donor_msg head;
	__le64 generation;
	__le64 free_bytes;
	__le64 quota_bytes;
	__le64 held_bytes;
	__le32 flags;
	__le32 pad;
};

/**
 * struct annex_donor_numbers - ANNEX_DONOR_NUMBERS: of this session
 * @head: head
 * @granted: slabs granted so far
 * @given_back: slabs given back by the client
 * @revoked: slabs taken by the donor
 * @refused: requests answered with nothing
 * @joined: data connections accepted so far
 * @resumed: control connections resumed so far
 * @messages: received from the client
 * @uptime_ms: since the session was opened
 */
struct annex_donor_numbers {
	struct annex_donor_msg head;
	__le64 granted;
	__le64 given_back;
	__le64 revoked;
	__le64 refused;
	__le64 joined;
	__le64 resumed;
	__le64 messages;
	__le64 uptime_ms;
};

#endif
