/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is this what uapi/annex/donor_wire.h says? For both sides, kernel and user
 * space: what comes from the peer is looked at here once, before anything acts
 * on it. Nothing here knows a state; whether a message is right *now* is for
 * donor_session.c (the donor's side) and the client to say.
 */
#ifndef ANNEX_DONOR_CODEC_H
#define ANNEX_DONOR_CODEC_H

#include <annex/donor_wire.h>

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/string.h>
#define annex_le16(x) le16_to_cpu(x)
#define annex_le32(x) le32_to_cpu(x)
#define annex_le64(x) le64_to_cpu(x)
#define annex_to_le16(x) cpu_to_le16(x)
#define annex_to_le32(x) cpu_to_le32(x)
#define annex_to_le64(x) cpu_to_le64(x)
#else
#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#define annex_le16(x) le16toh(x)
#define annex_le32(x) le32toh(x)
#define annex_le64(x) le64toh(x)
#define annex_to_le16(x) htole16(x)
#define annex_to_le32(x) htole32(x)
#define annex_to_le64(x) htole64(x)
#endif

static_assert(sizeof(struct annex_donor_hello) == 56, "the CM leaves a client 56 bytes");
static_assert(sizeof(struct annex_donor_accept) == 112, "no holes, and the CM's 196 bytes");
static_assert(sizeof(struct annex_donor_reject) == 16, "no holes");
static_assert(sizeof(struct annex_donor_msg) == 16, "no holes");
static_assert(sizeof(struct annex_donor_proof) == 48, "no holes");
static_assert(sizeof(struct annex_donor_grant) == 32, "no holes");
static_assert(sizeof(struct annex_donor_revoke) == 32, "no holes");
static_assert(sizeof(struct annex_donor_state) == 56, "no holes");
static_assert(sizeof(struct annex_donor_numbers) == 80, "no holes");
static_assert(sizeof(struct annex_donor_grants) + ANNEX_DONOR_LIST_MAX *
	       sizeof(struct annex_donor_grant) <= ANNEX_DONOR_MSG_MAX, "the longest message fits");

static inline bool annex_donor_zero(const __u8 *bytes, size_t len)
{
	__u8 any = 0;

	while (len--)
		any |= *bytes++;
	return !any;
}

/*
 * Look at a connect request. Returns 0, or the enum annex_donor_reason to reject
 * it with. @len may be longer than the structure: the CM appends zeros.
 */
static inline int annex_donor_check_hello(const void *data, size_t len)
{
	const struct annex_donor_hello *h = data;

	if (!data || len < sizeof(*h) || annex_le32(h->magic) != ANNEX_DONOR_MAGIC)
		return ANNEX_DONOR_R_GARBAGE;
	if (h->version_min > h->version_max)
		return ANNEX_DONOR_R_GARBAGE;
	if (h->version_min > ANNEX_DONOR_VERSION || h->version_max < ANNEX_DONOR_VERSION)
		return ANNEX_DONOR_R_VERSION;
	if (h->size != sizeof(*h))
		return ANNEX_DONOR_R_GARBAGE;
	if (annex_le32(h->flags) & ~ANNEX_DONOR_HELLO_FLAGS)
		return ANNEX_DONOR_R_FLAGS;
	switch (h->kind) {
	case ANNEX_DONOR_OPEN:
		if (!annex_donor_zero(h->mac, sizeof(h->mac)))
			return ANNEX_DONOR_R_GARBAGE;
		if ((annex_le32(h->flags) & ANNEX_DONOR_F_NOAUTH) && h->id)
			return ANNEX_DONOR_R_GARBAGE;
		return 0;
	case ANNEX_DONOR_JOIN:
	case ANNEX_DONOR_RESUME:
		if (!h->id || !h->sequence || h->pad)
			return ANNEX_DONOR_R_GARBAGE;
		if (h->kind == ANNEX_DONOR_RESUME && h->replaces)
			return ANNEX_DONOR_R_GARBAGE;
		return 0;
	}
	return ANNEX_DONOR_R_FLAGS;
}

/* Look at the donor's answer to @hello: is it one, and does it make sense? */
static inline bool annex_donor_check_accept(const void *data, size_t len,
					    const struct annex_donor_hello *hello)
{
	const struct annex_donor_accept *a = data;
	__u64 slab;

	if (!data || len < sizeof(*a) || annex_le32(a->magic) != ANNEX_DONOR_MAGIC ||
	    a->size != sizeof(*a))
		return false;
	slab = annex_le64(a->slab_bytes);
	return a->version >= hello->version_min && a->version <= hello->version_max &&
	       a->kind == hello->kind && !a->pad &&
	       !(annex_le32(a->flags) & ~ANNEX_DONOR_ACCEPT_FLAGS) &&
	       !((annex_le32(a->flags) ^ annex_le32(hello->flags)) & ANNEX_DONOR_F_NOAUTH) &&
	       !(annex_le32(a->features) & ~annex_le32(hello->features)) &&
	       a->credits >= ANNEX_DONOR_CREDITS_MIN && a->credits <= ANNEX_DONOR_CREDITS_MAX &&
	       slab >= ANNEX_DONOR_SLAB_MIN && slab <= ANNEX_DONOR_SLAB_MAX &&
	       !(slab & (slab - 1)) &&
	       a->generation && a->session && a->heartbeat_ms && a->client_ms &&
	       (hello->kind == ANNEX_DONOR_OPEN || a->session == hello->id);
}

/* The reason in a reject; R_NONE when it is none of ours (nobody listens, or not a donor). */
static inline int annex_donor_check_reject(const void *data, size_t len)
{
	const struct annex_donor_reject *r = data;

	if (!data || len < sizeof(*r) || annex_le32(r->magic) != ANNEX_DONOR_MAGIC ||
	    r->size != sizeof(*r))
		return ANNEX_DONOR_R_NONE;
	return r->reason;
}

/* What each type must look like. */
struct annex_donor_shape {
	__u16 type;
	__u16 size;		/* without the list */
	__u8 element;		/* bytes of a list's element, 0: no list */
	__u8 least;		/* elements */
	__u8 from;		/* 1: client, 2: donor, 3: either */
	__u8 answer;		/* may carry a status and a request */
};

#define ANNEX_DONOR_CLIENT	1
#define ANNEX_DONOR_DONOR	2

static inline const struct annex_donor_shape *annex_donor_shape(unsigned int type,
								unsigned int from)
{
	static const struct annex_donor_shape shapes[] = {
		{ ANNEX_DONOR_PROOF, sizeof(struct annex_donor_proof), 0, 0, 1, 0 },
		{ ANNEX_DONOR_REQUEST, sizeof(struct annex_donor_request), 0, 0, 1, 0 },
		{ ANNEX_DONOR_GIVE_BACK, sizeof(struct annex_donor_list), 8, 1, 1, 0 },
		{ ANNEX_DONOR_PING, sizeof(struct annex_donor_msg), 0, 0, 3, 0 },
		{ ANNEX_DONOR_FENCE, sizeof(struct annex_donor_fence), 0, 0, 1, 0 },
		{ ANNEX_DONOR_STATS, sizeof(struct annex_donor_msg), 0, 0, 1, 0 },
		{ ANNEX_DONOR_BYE, sizeof(struct annex_donor_msg), 0, 0, 1, 0 },
		{ ANNEX_DONOR_LIST, sizeof(struct annex_donor_after), 0, 0, 1, 0 },
		{ ANNEX_DONOR_PARK, sizeof(struct annex_donor_list), 8, 1, 1, 0 },
		{ ANNEX_DONOR_FETCH, sizeof(struct annex_donor_list), 8, 1, 1, 0 },
		{ ANNEX_DONOR_PONG, sizeof(struct annex_donor_msg), 0, 0, 1, 0 },
		{ ANNEX_DONOR_WELCOME, sizeof(struct annex_donor_state), 0, 0, 2, 0 },
		{ ANNEX_DONOR_GRANTS, sizeof(struct annex_donor_grants),
		  sizeof(struct annex_donor_grant), 0, 2, 1 },
		{ ANNEX_DONOR_TAKEN, sizeof(struct annex_donor_list), 8, 0, 2, 1 },
		{ ANNEX_DONOR_PONG, sizeof(struct annex_donor_state), 0, 0, 2, 0 },
		{ ANNEX_DONOR_FENCED, sizeof(struct annex_donor_fence), 0, 0, 2, 1 },
		{ ANNEX_DONOR_NUMBERS, sizeof(struct annex_donor_numbers), 0, 0, 2, 0 },
		{ ANNEX_DONOR_REVOKE, sizeof(struct annex_donor_revoke), 8, 1, 2, 0 },
		{ ANNEX_DONOR_REVOKED, sizeof(struct annex_donor_revoke), 8, 1, 2, 0 },
		{ ANNEX_DONOR_GOODBYE, sizeof(struct annex_donor_msg), 0, 0, 2, 1 },
		{ ANNEX_DONOR_PARKED, sizeof(struct annex_donor_list), 8, 0, 2, 1 },
		{ ANNEX_DONOR_FETCHED, sizeof(struct annex_donor_grants),
		  sizeof(struct annex_donor_grant), 1, 2, 0 },
		{ ANNEX_DONOR_COOL, sizeof(struct annex_donor_cool), 0, 0, 2, 0 },
		{ 0, 0, 0, 0, 0, 0 },
	};
	unsigned int i;

	for (i = 0; shapes[i].type; i++) {
		if (shapes[i].type == type && (shapes[i].from & from))
			return &shapes[i];
	}
	return NULL;
}

/* A list's count stands behind the head in every message that has one. */
static inline __u32 annex_donor_count(const struct annex_donor_msg *m)
{
	return annex_le32(((const struct annex_donor_list *)m)->count);
}

/* One grant: in reach, or, where @parked may be, parked. */
static inline bool annex_donor_check_grant(const struct annex_donor_grant *g, bool parked)
{
	__u64 addr = annex_le64(g->addr), bytes = annex_le64(g->bytes);
	__u32 flags = annex_le32(g->flags);

	if (!g->id || !bytes || addr + bytes < addr)
		return false;
	if (flags == ANNEX_DONOR_G_PARKED)
		return parked && !g->addr && !g->rkey;
	return !flags;
}

/* Padding, and values with a range of their own. */
static inline bool annex_donor_check_body(const struct annex_donor_msg *m)
{
	const struct annex_donor_request *q = (const void *)m;
	const struct annex_donor_grants *g = (const void *)m;
	const struct annex_donor_list *l = (const void *)m;
	const struct annex_donor_revoke *r = (const void *)m;
	const struct annex_donor_cool *c = (const void *)m;
	const struct annex_donor_fence *f = (const void *)m;
	const struct annex_donor_state *s = (const void *)m;
	__u32 i;

	switch (annex_le16(m->type)) {
	case ANNEX_DONOR_REQUEST:
		return !q->pad && annex_le32(q->slabs) >= 1 &&
		       annex_le32(q->slabs) <= ANNEX_DONOR_LIST_MAX;
	case ANNEX_DONOR_GIVE_BACK:
	case ANNEX_DONOR_TAKEN:
	case ANNEX_DONOR_PARK:
	case ANNEX_DONOR_PARKED:
	case ANNEX_DONOR_FETCH:
		return !l->pad;
	case ANNEX_DONOR_COOL:
		return !c->pad && c->slabs;
	case ANNEX_DONOR_FENCE:
	case ANNEX_DONOR_FENCED:
		return !f->pad && f->qpn;
	case ANNEX_DONOR_GRANTS:
	case ANNEX_DONOR_FETCHED:
		if (g->pad || (m->status && g->count))
			return false;
		for (i = 0; i < annex_donor_count(m); i++) {
			if (!annex_donor_check_grant(&g->grant[i],
						     annex_le16(m->type) == ANNEX_DONOR_GRANTS))
				return false;
		}
		return true;
	case ANNEX_DONOR_REVOKE:
	case ANNEX_DONOR_REVOKED:
		return !r->pad && annex_le32(r->cause) >= ANNEX_DONOR_C_SHRINK &&
		       annex_le32(r->cause) <= ANNEX_DONOR_C_LOST &&
		       (annex_le16(m->type) == ANNEX_DONOR_REVOKE ?
				annex_le32(r->cause) != ANNEX_DONOR_C_LOST : !r->grace_ms);
	case ANNEX_DONOR_WELCOME:
		return !s->pad && s->generation &&
		       !(annex_le32(s->flags) & ~ANNEX_DONOR_F_DRAINING);
	case ANNEX_DONOR_PONG:
		return annex_le16(m->size) == sizeof(*m) ||
		       (!s->pad && s->generation &&
			!(annex_le32(s->flags) & ~ANNEX_DONOR_F_DRAINING));
	}
	return true;
}

/*
 * Is what was received (@len bytes, aligned to 8) a message that @from
 * (ANNEX_DONOR_CLIENT, ANNEX_DONOR_DONOR) may send? After true every field and
 * every element of a list can be read.
 */
static inline bool annex_donor_check_msg(const void *data, size_t len, unsigned int from)
{
	const struct annex_donor_shape *shape;
	const struct annex_donor_msg *m = data;
	size_t size;

	if (len < sizeof(*m) || len > ANNEX_DONOR_MSG_MAX || annex_le16(m->size) != len || m->flags)
		return false;
	shape = annex_donor_shape(annex_le16(m->type), from);
	if (!shape || len < shape->size || (m->status && !shape->answer))
		return false;
	size = shape->size;
	if (shape->element) {
		__u32 count = annex_donor_count(m);

		if (count < shape->least || count > ANNEX_DONOR_LIST_MAX)
			return false;
		size += (size_t)count * shape->element;
	}
	return len == size && annex_donor_check_body(m);
}

/* Fill in a head. */
static inline void annex_donor_head(struct annex_donor_msg *m, unsigned int type, size_t size,
				    __le32 request, unsigned int status)
{
	m->type = annex_to_le16(type);
	m->size = annex_to_le16(size);
	m->request = request;
	m->flags = 0;
	m->status = annex_to_le32(status);
}

#endif
