// SPDX-License-Identifier: GPL-2.0-only
/*
 * empfs: one instance, a flat root directory, one regular file a region.
 *
 * Files come and go only through /dev/emp-control; there is no create, unlink
 * or truncate. The directory belongs to root. i_size is the region's size (the
 * core refuses a 2 MiB mapping beyond it). Folios of a region are never in the
 * page cache and have no ->mapping: the core cannot find, dirty, migrate or
 * reclaim them behind our back. The instance exists while a region or a mount
 * does, and holds the module.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/fs_context.h>
#include <linux/huge_mm.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/statfs.h>

#include "../compat/emp_compat_fs.h"
#include "emp_discard.h"
#include "emp_fault.h"
#include "emp_fs.h"

#define EMPFS_MAGIC 0x454d5046	/* "EMPF" */

static struct vfsmount *emp_mnt;
static int emp_mnt_count;

static int emp_file_open(struct inode *inode, struct file *file)
{
	struct emp_region *r = inode->i_private;
	int err = emp_region_open(r);

	if (!err)
		file->private_data = r;
	return err;
}

static int emp_file_release(struct inode *inode, struct file *file)
{
	emp_region_release(file->private_data);
	return 0;
}

static long emp_file_fallocate(struct file *file, int mode, loff_t off, loff_t len)
{
	struct emp_region *r = file->private_data;

	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (off < 0 || len <= 0 || (u64)off >= r->bytes)
		return -EINVAL;
	return emp_discard(r, off, min_t(u64, len, r->bytes - off));
}

static const struct file_operations emp_file_ops = {
	.owner		= THIS_MODULE,
	.open		= emp_file_open,
	.release	= emp_file_release,
	.mmap		= emp_fault_mmap,
	.llseek		= generic_file_llseek,
	.fallocate	= emp_file_fallocate,
	.fsync		= noop_fsync,
	.get_unmapped_area = thp_get_unmapped_area,
};

/* The size is the region's; owner, mode and times are as those of any file. */
static int emp_file_setattr(annex_mnt_idmap_t *idmap, struct dentry *dentry, struct iattr *attr)
{
	if (attr->ia_valid & ATTR_SIZE && attr->ia_size != i_size_read(d_inode(dentry)))
		return -EPERM;
	attr->ia_valid &= ~ATTR_SIZE;
	return simple_setattr(idmap, dentry, attr);
}

static const struct inode_operations emp_file_inode_ops = {
	.setattr	= emp_file_setattr,
	.getattr	= simple_getattr,
};

static const struct inode_operations emp_dir_inode_ops = {
	.lookup		= simple_lookup,
};

static void emp_evict_inode(struct inode *inode)
{
	struct emp_region *r = inode->i_private;

	clear_inode(inode);
	if (r)
		emp_region_put(r);
}

static const struct super_operations emp_super_ops = {
	.statfs		= simple_statfs,
	.evict_inode	= emp_evict_inode,
	.drop_inode	= generic_delete_inode,
};

static struct inode *emp_new_inode(struct super_block *sb, umode_t mode)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = get_next_ino();
	inode->i_mode = mode;
	annex_inode_init_ts(inode);
	return inode;
}

static int emp_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct inode *root;

	sb->s_magic = EMPFS_MAGIC;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_op = &emp_super_ops;
	sb->s_time_gran = 1;
	sb->s_iflags |= SB_I_NODEV | SB_I_NOEXEC;

	root = emp_new_inode(sb, S_IFDIR | 0755);
	if (!root)
		return -ENOMEM;
	root->i_op = &emp_dir_inode_ops;
	root->i_fop = &simple_dir_operations;
	set_nlink(root, 2);
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

static int emp_get_tree(struct fs_context *fc)
{
	return get_tree_single(fc, emp_fill_super);
}

static const struct fs_context_operations emp_context_ops = {
	.get_tree	= emp_get_tree,
};

static int emp_init_fs_context(struct fs_context *fc)
{
	fc->ops = &emp_context_ops;
	fc->global = true;
	return 0;
}

static struct file_system_type emp_fs_type = {
	.owner			= THIS_MODULE,
	.name			= "empfs",
	.init_fs_context	= emp_init_fs_context,
	.kill_sb		= kill_litter_super,
};
MODULE_ALIAS_FS("empfs");

/** emp_fs_pin - keep the instance while a region exists; may sleep */
int emp_fs_pin(void)
{
	return simple_pin_fs(&emp_fs_type, &emp_mnt, &emp_mnt_count);
}

void emp_fs_unpin(void)
{
	simple_release_fs(&emp_mnt, &emp_mnt_count);
}

/*
 * emp_fs_add - give a region its file; the file system is pinned
 *
 * The inode takes a reference of the region. Return: 0, -EEXIST, -ENOMEM.
 */
int emp_fs_add(struct emp_region *r, umode_t mode)
{
	struct dentry *root = emp_mnt->mnt_root, *dentry;
	struct inode *inode;
	int err = 0;

	inode = emp_new_inode(root->d_sb, S_IFREG | mode);
	if (!inode)
		return -ENOMEM;
	inode->i_uid = r->uid;
	inode->i_gid = r->gid;
	inode->i_op = &emp_file_inode_ops;
	inode->i_fop = &emp_file_ops;
	i_size_write(inode, r->bytes);

	inode_lock(d_inode(root));
	dentry = lookup_one_len(r->name, root, strlen(r->name));
	if (IS_ERR(dentry)) {
		err = PTR_ERR(dentry);
	} else if (d_really_is_positive(dentry)) {
		dput(dentry);
		err = -EEXIST;
	} else {
		emp_region_get(r);
		inode->i_private = r;
		r->inode = inode;
		r->dentry = dentry;	/* this reference keeps the file in being */
		d_instantiate(dentry, inode);
	}
	inode_unlock(d_inode(root));
	if (err)
		iput(inode);
	return err;
}

/** emp_fs_remove - take the file away; open files keep the inode */
void emp_fs_remove(struct emp_region *r)
{
	struct dentry *dentry = r->dentry, *root = dentry->d_parent;

	inode_lock(d_inode(root));
	clear_nlink(d_inode(dentry));
	d_delete(dentry);
	inode_unlock(d_inode(root));
	dput(dentry);
}

/** emp_fs_open - the file of a new region, for the fd that CREATE returns */
struct file *emp_fs_open(struct emp_region *r)
{
	struct path path = { .mnt = emp_mnt, .dentry = r->dentry };

	return dentry_open(&path, O_RDWR | O_LARGEFILE, current_cred());
}

int emp_fs_init(void)
{
	return register_filesystem(&emp_fs_type);
}

void emp_fs_exit(void)
{
	unregister_filesystem(&emp_fs_type);
}
