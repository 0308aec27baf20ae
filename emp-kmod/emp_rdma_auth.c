// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is who: the MACs of docs/wire-donor.md, "Keys". HMAC is made here of the
 * kernel's SHA-256 library: that allocates nothing and cannot fail, so a
 * session can be resumed when memory is short.
 */
#include <crypto/sha2.h>

#include "emp_rdma.h"

struct emp_rdma_hmac {
	struct sha256_state sha;
	u8 outer[SHA256_BLOCK_SIZE];
};

static void emp_rdma_hmac_begin(struct emp_rdma_hmac *h, const struct emp_rdma_secret *key,
				const char *word)
{
	u8 label[ANNEX_DONOR_LABEL] = { 0 }, inner[SHA256_BLOCK_SIZE] = { 0 };
	u32 i;

	BUILD_BUG_ON(ANNEX_DONOR_KEY_MAX > SHA256_BLOCK_SIZE);
	memcpy(inner, key->bytes, key->len);
	for (i = 0; i < sizeof(inner); i++) {
		h->outer[i] = inner[i] ^ 0x5c;
		inner[i] ^= 0x36;
	}
	strscpy(label, word, sizeof(label));
	sha256_init(&h->sha);
	sha256_update(&h->sha, inner, sizeof(inner));
	sha256_update(&h->sha, label, sizeof(label));
	memzero_explicit(inner, sizeof(inner));
}

static void emp_rdma_hmac_qpn(struct emp_rdma_hmac *h, u32 qpn)
{
	__le32 le = cpu_to_le32(qpn);

	sha256_update(&h->sha, (u8 *)&le, sizeof(le));
}

static void emp_rdma_hmac_end(struct emp_rdma_hmac *h, u8 mac[ANNEX_DONOR_MAC])
{
	u8 inner[SHA256_DIGEST_SIZE];

	BUILD_BUG_ON(ANNEX_DONOR_MAC != SHA256_DIGEST_SIZE);
	sha256_final(&h->sha, inner);
	sha256_init(&h->sha);
	sha256_update(&h->sha, h->outer, sizeof(h->outer));
	sha256_update(&h->sha, inner, sizeof(inner));
	sha256_final(&h->sha, mac);
	memzero_explicit(h, sizeof(*h));
	memzero_explicit(inner, sizeof(inner));
}

/* hello, accept as far as @len, both queue pairs */
static void emp_rdma_mac_whole(const struct emp_rdma_secret *key, const char *word,
			       const struct emp_rdma_transcript *t, size_t len,
			       u8 mac[ANNEX_DONOR_MAC])
{
	struct emp_rdma_hmac h;

	emp_rdma_hmac_begin(&h, key, word);
	sha256_update(&h.sha, (const u8 *)t->hello, sizeof(*t->hello));
	sha256_update(&h.sha, (const u8 *)t->accept, len);
	emp_rdma_hmac_qpn(&h, t->client_qpn);
	emp_rdma_hmac_qpn(&h, t->donor_qpn);
	emp_rdma_hmac_end(&h, mac);
}

/** emp_rdma_key_id - what names @key in hello; never 0 */
u64 emp_rdma_key_id(const struct emp_rdma_secret *key)
{
	u8 mac[ANNEX_DONOR_MAC];
	struct emp_rdma_hmac h;
	__le64 id;

	emp_rdma_hmac_begin(&h, key, "donor-key-id");
	emp_rdma_hmac_end(&h, mac);
	memcpy(&id, mac, sizeof(id));
	return le64_to_cpu(id) ?: 1;
}

/** emp_rdma_mac_accept - what has to stand in accept; @key: of JOIN, RESUME the session's */
void emp_rdma_mac_accept(const struct emp_rdma_secret *key, const struct emp_rdma_transcript *t,
			 u8 mac[ANNEX_DONOR_MAC])
{
	emp_rdma_mac_whole(key, "donor-accept", t, offsetof(struct annex_donor_accept, mac), mac);
}

/** emp_rdma_mac_proof - what goes into the proof */
void emp_rdma_mac_proof(const struct emp_rdma_secret *key, const struct emp_rdma_transcript *t,
			u8 mac[ANNEX_DONOR_MAC])
{
	emp_rdma_mac_whole(key, "donor-proof", t, sizeof(*t->accept), mac);
}

/** emp_rdma_session_key - both sides know it after an OPEN */
void emp_rdma_session_key(const struct emp_rdma_secret *key, const struct emp_rdma_transcript *t,
			  struct emp_rdma_secret *session)
{
	memset(session, 0, sizeof(*session));
	session->len = ANNEX_DONOR_MAC;
	emp_rdma_mac_whole(key, "donor-session", t, sizeof(*t->accept), session->bytes);
}

/** emp_rdma_mac_join - of JOIN and RESUME; hello->mac is not looked at */
void emp_rdma_mac_join(const struct emp_rdma_secret *session, const struct annex_donor_hello *hello,
		       u32 client_qpn, u8 mac[ANNEX_DONOR_JOIN_MAC])
{
	u8 whole[ANNEX_DONOR_MAC];
	struct emp_rdma_hmac h;

	emp_rdma_hmac_begin(&h, session, "donor-join");
	sha256_update(&h.sha, (const u8 *)hello, offsetof(struct annex_donor_hello, mac));
	emp_rdma_hmac_qpn(&h, client_qpn);
	emp_rdma_hmac_end(&h, whole);
	memcpy(mac, whole, ANNEX_DONOR_JOIN_MAC);
}
