// SPDX-License-Identifier: GPL-2.0-only
/*
 * Encryption of what is on tiers (EMP_F_ENCRYPT): AES-256 in XTS mode, by units
 * of 4 KiB, with a random key of the region that never leaves its memory and
 * goes with it.
 *
 * The tweak of a unit is where it lies: the byte of the tier, and the number of
 * the tier, which no other tier of the region ever has. So who sees a tier sees
 * which units are written when, and whether one is what it was before, nothing
 * else. Whether what comes back is right is the business of emp_check.c, whose
 * MACs are over the plain text.
 *
 * It sits between emp.ko and the kinds of tiers: emp_tier_submit() hands writes
 * to a work item, which encrypts into one contiguous piece of memory and puts
 * that into the request instead of the folios, whose mappings must not change;
 * when the request has ended the folios are put back. Reads are decrypted in
 * place, by a work item too, before who waits for them learns of it: until then
 * the folios are nobody's.
 *
 * A write cannot fail for want of memory: each tier has pieces in reserve that
 * are large enough for any request (emp_crypt_room()), held only by requests that
 * are under way. Reads and writes have workqueues of their own, so that a read
 * does not wait behind a write that waits for such a piece.
 */
#include <crypto/skcipher.h>
#include <linux/mempool.h>
#include <linux/random.h>
#include <linux/sched/clock.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "emp_crypt.h"
#include "emp_tier.h"

#define EMP_CRYPT_UNIT		4096u
#define EMP_CRYPT_KEY		64u	/* two keys of 256 bits */
#define EMP_CRYPT_PIECES	2u	/* in reserve, of a tier */
#define EMP_CRYPT_REQS		4u	/* in reserve, of a region */

struct emp_crypt {
	struct crypto_skcipher *tfm;
	mempool_t *reqs;		/* struct skcipher_request */
};

static struct workqueue_struct *emp_crypt_reads, *emp_crypt_writes;

/** emp_crypt_init - a key for the region, if it asks for encryption; -ENOENT: no such cipher */
int emp_crypt_init(struct emp_region *r)
{
	u8 key[EMP_CRYPT_KEY];
	struct emp_crypt *c;
	int err;

	if (!(r->flags & EMP_F_ENCRYPT))
		return 0;
	c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	if (!c)
		return -ENOMEM;
	r->crypt = c;			/* whatever comes, emp_crypt_exit() follows */
	/* One that needs no memory of its own: what waits for it may be memory. */
	c->tfm = crypto_alloc_skcipher("xts(aes)", 0, CRYPTO_ALG_ALLOCATES_MEMORY);
	if (IS_ERR(c->tfm)) {
		err = PTR_ERR(c->tfm);
		c->tfm = NULL;
		return err;
	}
	get_random_bytes(key, sizeof(key));
	err = crypto_skcipher_setkey(c->tfm, key, sizeof(key));
	memzero_explicit(key, sizeof(key));
	if (err)
		return err;
	c->reqs = mempool_create_kmalloc_pool(EMP_CRYPT_REQS, sizeof(struct skcipher_request) +
					      crypto_skcipher_reqsize(c->tfm));
	return c->reqs ? 0 : -ENOMEM;
}

void emp_crypt_exit(struct emp_region *r)
{
	struct emp_crypt *c = r->crypt;

	if (!c)
		return;
	mempool_destroy(c->reqs);
	crypto_free_skcipher(c->tfm);	/* and the key with it */
	kfree(c);
}

/** emp_crypt_tier_init - what a tier of an encrypted region has in reserve */
int emp_crypt_tier_init(struct emp_tier *t)
{
	struct emp_region *r = t->region;

	if (!r->crypt)
		return 0;
	t->piece_bytes = max_t(size_t, 1UL << r->block_shift, EMP_SUBBLOCK_MAX);
	t->pieces = mempool_create_page_pool(EMP_CRYPT_PIECES, get_order(t->piece_bytes));
	return t->pieces ? 0 : -ENOMEM;
}

void emp_crypt_tier_exit(struct emp_tier *t)
{
	mempool_destroy(t->pieces);
}

/** emp_crypt_room - may @len bytes more be added to this request, which has some? */
bool emp_crypt_room(const struct emp_io *io, size_t len)
{
	return !io->tier->pieces || io->bio.bi_iter.bi_size + len <= io->tier->piece_bytes;
}

/* Units of @len bytes from @src to @dst, which may be the same, at byte @pos of the tier. */
static int emp_crypt_units(struct emp_tier *t, u64 pos, void *src, void *dst, size_t len,
			   bool encrypt)
{
	struct emp_crypt *c = t->region->crypt;
	struct skcipher_request *req = mempool_alloc(c->reqs, GFP_NOIO);
	DECLARE_CRYPTO_WAIT(wait);
	struct scatterlist from, to;
	__le64 tweak[2];
	int err = 0;

	skcipher_request_set_tfm(req, c->tfm);
	skcipher_request_set_callback(req, CRYPTO_TFM_REQ_MAY_BACKLOG | CRYPTO_TFM_REQ_MAY_SLEEP,
				      crypto_req_done, &wait);
	for (; len && !err; len -= EMP_CRYPT_UNIT) {
		tweak[0] = cpu_to_le64(pos / EMP_CRYPT_UNIT);
		tweak[1] = cpu_to_le64(t->id);
		sg_init_one(&from, src, EMP_CRYPT_UNIT);
		sg_init_one(&to, dst, EMP_CRYPT_UNIT);
		skcipher_request_set_crypt(req, &from, src == dst ? &from : &to, EMP_CRYPT_UNIT,
					   tweak);
		err = crypto_wait_req(encrypt ? crypto_skcipher_encrypt(req) :
				      crypto_skcipher_decrypt(req), &wait);
		pos += EMP_CRYPT_UNIT;
		src += EMP_CRYPT_UNIT;
		dst += EMP_CRYPT_UNIT;
	}
	mempool_free(req, c->reqs);
	return err;
}

/* --- writes ------------------------------------------------------------------------ */

static void emp_crypt_piece_get(struct emp_io *io)
{
	struct emp_tier *t = io->tier;
	u32 order = get_order(io->bio.bi_iter.bi_size);

	io->piece_order = order;
	io->piece = alloc_pages(GFP_NOWAIT | __GFP_NOWARN | __GFP_NORETRY, order);
	io->piece_reserve = !io->piece;
	if (!io->piece)
		io->piece = mempool_alloc(t->pieces, GFP_NOIO);
}

/* The folios are the request's again. */
static void emp_crypt_piece_put(struct emp_io *io)
{
	if (!io->piece)
		return;
	io->bio.bi_io_vec[0] = io->plain;
	io->bio.bi_vcnt = io->nr_plain;
	if (io->piece_reserve)
		mempool_free(io->piece, io->tier->pieces);
	else
		__free_pages(io->piece, io->piece_order);
	io->piece = NULL;
}

static void emp_crypt_write_work(struct work_struct *work)
{
	struct emp_io *io = container_of(work, struct emp_io, work);
	struct emp_tier *t = io->tier;
	struct folio_iter fi;
	u64 pos = io->pos;
	int err = 0;
	void *to;

	emp_crypt_piece_get(io);
	io->plain = io->bio.bi_io_vec[0];
	io->nr_plain = io->bio.bi_vcnt;
	to = page_address(io->piece);
	bio_for_each_folio_all(fi, &io->bio) {
		err = err ?: emp_crypt_units(t, pos, folio_address(fi.folio) + fi.offset, to,
					     fi.length, true);
		pos += fi.length;
		to += fi.length;
	}
	io->bio.bi_io_vec[0] = (struct bio_vec){ io->piece, io->bio.bi_iter.bi_size, 0 };
	io->bio.bi_vcnt = 1;
	if (err)
		emp_io_end(io, err);
	else
		t->ops->io_submit(io);
}

/** emp_crypt_begins - emp_tier_submit(): true: it is submitted later */
bool emp_crypt_begins(struct emp_io *io)
{
	if (!io->tier->pieces || !io->write)
		return false;
	INIT_WORK(&io->work, emp_crypt_write_work);
	queue_work(emp_crypt_writes, &io->work);
	return true;
}

/* --- reads ------------------------------------------------------------------------- */

static void emp_crypt_read_work(struct work_struct *work)
{
	struct emp_io *io = container_of(work, struct emp_io, work);
	struct emp_tier *t = io->tier;
	struct folio_iter fi;
	u64 pos = io->pos;
	int err = 0;
	void *at;

	bio_for_each_folio_all(fi, &io->bio) {
		at = folio_address(fi.folio) + fi.offset;
		err = err ?: emp_crypt_units(t, pos, at, at, fi.length, false);
		pos += fi.length;
	}
	io->error = err;
	io->end = local_clock();
	emp_io_told(io);
}

/** emp_crypt_ends - emp_io_end(), any context. True: it is told later, by emp_io_told() */
bool emp_crypt_ends(struct emp_io *io)
{
	if (!io->tier->pieces)
		return false;
	if (io->write) {
		emp_crypt_piece_put(io);
		return false;
	}
	if (io->error)
		return false;
	INIT_WORK(&io->work, emp_crypt_read_work);
	queue_work(emp_crypt_reads, &io->work);
	return true;
}

int emp_crypt_start(void)
{
	emp_crypt_reads = alloc_workqueue("emp_decrypt", WQ_MEM_RECLAIM | WQ_HIGHPRI, 0);
	emp_crypt_writes = alloc_workqueue("emp_encrypt", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (emp_crypt_reads && emp_crypt_writes)
		return 0;
	emp_crypt_stop();
	return -ENOMEM;
}

void emp_crypt_stop(void)
{
	if (emp_crypt_reads)
		destroy_workqueue(emp_crypt_reads);
	if (emp_crypt_writes)
		destroy_workqueue(emp_crypt_writes);
}
