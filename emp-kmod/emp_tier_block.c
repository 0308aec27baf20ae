// SPDX-License-Identifier: GPL-2.0-only
/*
 * The block tier: a range of a block device.
 *
 * Devices are claimed exclusively for the whole module, once, however many
 * regions use ranges of it; overlapping ranges are refused. When the device
 * is removed under us, the block layer calls emp_block_dead() (6.9 and later;
 * before, errors of requests are all that one sees) and the tiers on it are
 * GONE.
 *
 * Requests come from a bio_set of the tier's own, so that write-back can
 * always make progress.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/slab.h>

#include "../compat/emp_compat_bdev.h"
#include "emp_tier.h"

#define EMP_BIO_POOL 64

struct emp_block {
	struct emp_tier *tier;
	struct annex_bdev claim;
	struct block_device *bdev;
	struct bio_set bios;
	struct list_head list;		/* emp_block_list */
};

/* All ranges in use, so that none overlap; protects the list only. */
static DEFINE_MUTEX(emp_block_lock_ranges);
static LIST_HEAD(emp_block_list);

static void emp_block_dead(struct block_device *bdev)
{
	struct emp_block *b;

	mutex_lock(&emp_block_lock_ranges);
	list_for_each_entry(b, &emp_block_list, list)
		if (b->bdev == bdev)
			emp_tier_lost(b->tier);
	mutex_unlock(&emp_block_lock_ranges);
}

static void emp_block_endio(struct bio *bio)
{
	struct emp_io *io = container_of(bio, struct emp_io, bio);

	emp_io_end(io, blk_status_to_errno(bio->bi_status));
}

static struct emp_io *emp_block_io_alloc(struct emp_tier *t, bool write, u64 pos, u32 vecs,
					 gfp_t gfp)
{
	struct emp_block *b = t->priv;
	blk_opf_t opf = (write ? REQ_OP_WRITE : REQ_OP_READ) | REQ_ALLOC_CACHE;
	struct emp_io *io;
	struct bio *bio;

	bio = bio_alloc_bioset(b->bdev, min_t(u32, vecs, BIO_MAX_VECS), opf, gfp, &b->bios);
	if (!bio)
		return NULL;
	bio->bi_iter.bi_sector = (t->base + pos) >> SECTOR_SHIFT;
	bio->bi_end_io = emp_block_endio;
	io = container_of(bio, struct emp_io, bio);
	memset(io, 0, offsetof(struct emp_io, bio));
	io->tier = t;
	io->write = write;
	io->pos = pos;
	return io;
}

static bool emp_block_io_add(struct emp_io *io, struct folio *folio, size_t off, size_t len)
{
	return annex_bio_add_folio(&io->bio, folio, len, off);
}

static void emp_block_io_submit(struct emp_io *io)
{
	/* The iterator is spent when the request ends; the length is wanted then. */
	io->bio.bi_private = (void *)(unsigned long)io->bio.bi_iter.bi_size;
	if (!io->write && !io->ahead)
		io->bio.bi_opf |= REQ_SYNC;
	else if (io->ahead)
		io->bio.bi_opf |= REQ_RAHEAD;
	submit_bio_noacct(&io->bio);
}

static void emp_block_io_free(struct emp_io *io)
{
	bio_put(&io->bio);
}

static int emp_block_discard(struct emp_tier *t, u64 pos, u64 len)
{
	struct emp_block *b = t->priv;

	if (!bdev_max_discard_sectors(b->bdev))
		return -EOPNOTSUPP;
	return blkdev_issue_discard(b->bdev, (t->base + pos) >> SECTOR_SHIFT, len >> SECTOR_SHIFT,
				    GFP_KERNEL);
}

static int emp_block_zero(struct emp_tier *t, u64 pos, u64 len)
{
	struct emp_block *b = t->priv;

	return blkdev_issue_zeroout(b->bdev, (t->base + pos) >> SECTOR_SHIFT, len >> SECTOR_SHIFT,
				    GFP_KERNEL, 0);
}

static void emp_block_close(struct emp_tier *t)
{
	struct emp_block *b = t->priv;

	mutex_lock(&emp_block_lock_ranges);
	list_del(&b->list);
	mutex_unlock(&emp_block_lock_ranges);
	annex_bdev_release(&b->claim);
	bioset_exit(&b->bios);
	kfree(b);
}

static const struct emp_tier_ops emp_block_ops = {
	.name		= "block",
	.io_alloc	= emp_block_io_alloc,
	.io_add		= emp_block_io_add,
	.io_submit	= emp_block_io_submit,
	.io_free	= emp_block_io_free,
	.discard	= emp_block_discard,
	.zero		= emp_block_zero,
	.close		= emp_block_close,
};

static int emp_block_check_range(const struct emp_block *b, const struct emp_tier *t)
{
	const struct emp_block *o;
	u64 size = bdev_nr_bytes(b->bdev);

	if (t->base >= size || t->bytes > size - t->base)
		return -ENOSPC;
	list_for_each_entry(o, &emp_block_list, list)
		if (o->bdev == b->bdev && t->base < o->tier->base + o->tier->bytes &&
		    o->tier->base < t->base + t->bytes)
			return -EBUSY;
	return 0;
}

/** emp_block_open - the block tier's part of emp_tier_open() */
int emp_block_open(struct emp_tier *t, const struct emp_tier_spec *s)
{
	struct fd f = fdget(s->fd);
	struct file *file = annex_fd_file(f);
	struct inode *inode;
	struct emp_block *b;
	int err;

	if (!file)
		return -EBADF;
	err = -ENOTBLK;
	inode = file->f_mapping->host;
	if (!S_ISBLK(file_inode(file)->i_mode))
		goto put;
	err = -EACCES;
	if (!(file->f_mode & FMODE_READ) || !(file->f_mode & FMODE_WRITE))
		goto put;
	err = -ENOMEM;
	b = kzalloc(sizeof(*b), GFP_KERNEL_ACCOUNT);
	if (!b)
		goto put;
	err = bioset_init(&b->bios, EMP_BIO_POOL, offsetof(struct emp_io, bio),
			  BIOSET_NEED_BVECS | BIOSET_PERCPU_CACHE);
	if (err)
		goto free;
	err = annex_bdev_claim(&b->claim, inode->i_rdev, &emp_block_list, emp_block_dead);
	if (err)
		goto exit_bios;
	b->bdev = annex_bdev(&b->claim);
	b->tier = t;
	snprintf(t->device, sizeof(t->device), "/dev/%pg", b->bdev);

	mutex_lock(&emp_block_lock_ranges);
	err = emp_block_check_range(b, t);
	if (!err)
		list_add(&b->list, &emp_block_list);
	mutex_unlock(&emp_block_lock_ranges);
	if (err)
		goto release;

	t->priv = b;
	t->ops = &emp_block_ops;
	fdput(f);
	return 0;

release:
	annex_bdev_release(&b->claim);
exit_bios:
	bioset_exit(&b->bios);
free:
	kfree(b);
put:
	fdput(f);
	return err;
}
