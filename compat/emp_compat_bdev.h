/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Claiming a block device exclusively, across kernels:
 * 6.9	bdev_file_open_by_dev(), blk_holder_ops
 * 6.7	bdev_open_by_dev(): not supported here
 * 6.5	blkdev_get_by_dev() with blk_holder_ops: not supported here
 * 6.2	bio_add_folio() is exported
 * 6.1	blkdev_get_by_dev() with FMODE_EXCL, nobody tells of a removal
 */
#ifndef ANNEX_COMPAT_BDEV_H
#define ANNEX_COMPAT_BDEV_H

#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/version.h>

struct annex_bdev {
	struct file *file;
	struct block_device *bdev;
};

static inline struct block_device *annex_bdev(const struct annex_bdev *c)
{
	return c->bdev;
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)

static void (*annex_bdev_dead)(struct block_device *bdev);

static void annex_bdev_mark_dead(struct block_device *bdev, bool surprise)
{
	mutex_unlock(&bdev->bd_holder_lock);
	annex_bdev_dead(bdev);
}

static const struct blk_holder_ops annex_bdev_ops = {
	.mark_dead = annex_bdev_mark_dead,
};

static inline int annex_bdev_claim(struct annex_bdev *c, dev_t dev, void *holder,
				   void (*dead)(struct block_device *bdev))
{
	annex_bdev_dead = dead;
	c->file = bdev_file_open_by_dev(dev, BLK_OPEN_READ | BLK_OPEN_WRITE, holder,
					&annex_bdev_ops);
	if (IS_ERR(c->file))
		return PTR_ERR(c->file);
	c->bdev = file_bdev(c->file);
	return 0;
}

static inline void annex_bdev_release(struct annex_bdev *c)
{
	bdev_fput(c->file);
}

#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#error "Annex does not build for Linux 6.5 to 6.8: 6.1 to 6.4, or 6.9 and later."
#else

static inline int annex_bdev_claim(struct annex_bdev *c, dev_t dev, void *holder,
				   void (*dead)(struct block_device *bdev))
{
	c->bdev = blkdev_get_by_dev(dev, FMODE_READ | FMODE_WRITE | FMODE_EXCL, holder);
	return PTR_ERR_OR_ZERO(c->bdev);
}

static inline void annex_bdev_release(struct annex_bdev *c)
{
	blkdev_put(c->bdev, FMODE_READ | FMODE_WRITE | FMODE_EXCL);
}

#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define annex_bio_add_folio(bio, folio, len, off) bio_add_folio(bio, folio, len, off)
#else
#define annex_bio_add_folio(bio, folio, len, off) \
	(bio_add_page(bio, folio_page(folio, 0), len, off) == (len))
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define annex_fd_file(f) fd_file(f)
#else
#define annex_fd_file(f) ((f).file)
#endif

#endif
