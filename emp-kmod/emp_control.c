// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/emp-control: the ioctls of include/uapi/annex/emp.h, and events by
 * read() and poll(). A file's only state is its place in the events.
 */
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "emp_control.h"
#include "emp_event.h"
#include "emp_fs.h"
#include "emp_region.h"
#include "emp_tier.h"

struct emp_control_file {
	struct mutex lock;	/* seen */
	u64 seen;		/* the last event read */
};

/* Fetch a structure that begins with its own size; see the uapi header. */
static int emp_copy_in(void *dst, size_t size, const void __user *arg)
{
	u32 usize;

	if (get_user(usize, (const u32 __user *)arg))
		return -EFAULT;
	if (usize < sizeof(u32) * 2)
		return -EINVAL;
	if (usize > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(dst, size, arg, usize);
}

/* Give back what fits into the structure user space has. */
static int emp_copy_out(void __user *arg, const void *src, size_t size, u32 usize)
{
	return copy_to_user(arg, src, min_t(size_t, size, usize)) ? -EFAULT : 0;
}

static int emp_ioc_info(void __user *arg)
{
	struct emp_info info;
	u32 usize;
	int err = emp_copy_in(&info, sizeof(info), arg);

	if (err)
		return err;
	usize = info.size;
	info.abi = EMP_ABI;
	info.create_flags = EMP_F_ALL;
	info.tier_types = 1u << EMP_TIER_BLOCK | 1u << EMP_TIER_RDMA;
	strscpy_pad(info.version, ANNEX_VERSION, sizeof(info.version));
	return emp_copy_out(arg, &info, sizeof(info), usize);
}

/* The array of tier specs of CREATE. */
static struct emp_tier_spec *emp_copy_tiers(const struct emp_create *c)
{
	struct emp_tier_spec *specs;
	size_t bytes;

	if (c->nr_tiers > EMP_TIERS_MAX)
		return ERR_PTR(-EINVAL);
	bytes = c->nr_tiers * sizeof(*specs);
	return bytes ? memdup_user(u64_to_user_ptr(c->tiers), bytes) : NULL;
}

static int emp_ioc_create(void __user *arg)
{
	struct emp_tier_spec *specs;
	struct emp_region *r;
	struct emp_create c;
	struct file *file;
	int fd, err;

	err = emp_copy_in(&c, sizeof(c), arg);
	if (err)
		return err;
	if (c.flags & ~EMP_F_ALL)
		return -EINVAL;
	specs = emp_copy_tiers(&c);
	if (IS_ERR(specs))
		return PTR_ERR(specs);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		err = fd;
		goto free;
	}
	r = emp_region_create(&c, specs);
	if (IS_ERR(r)) {
		err = PTR_ERR(r);
		goto put_fd;
	}
	file = emp_fs_open(r);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		r->flags |= EMP_F_AUTODESTROY;
		r->wipe = EMP_WIPE_NONE;	/* nothing of ours is on the tiers */
		emp_region_release(r);
		goto put_fd;
	}
	emp_region_release(r);	/* the file has its own */
	fd_install(fd, file);
	kfree(specs);
	return fd;

put_fd:
	put_unused_fd(fd);
free:
	kfree(specs);
	return err;
}

static int emp_ioc_destroy(void __user *arg)
{
	struct emp_destroy d;
	int err = emp_copy_in(&d, sizeof(d), arg);

	if (err)
		return err;
	if (d.flags || strnlen(d.name, sizeof(d.name)) == sizeof(d.name))
		return -EINVAL;
	return emp_region_destroy(d.name);
}

static int emp_ioc_list(void __user *arg)
{
	struct emp_region *r;
	struct emp_list l;
	char __user *names;
	u32 usize;
	int err = emp_copy_in(&l, sizeof(l), arg);

	if (err)
		return err;
	if (l.flags)
		return -EINVAL;
	usize = l.size;
	names = u64_to_user_ptr(l.names);
	l.count = 0;
	mutex_lock(&emp_regions_lock);
	list_for_each_entry(r, &emp_regions, list) {
		if (l.count < l.capacity &&
		    copy_to_user(names + (size_t)l.count * EMP_NAME_LEN, r->name, EMP_NAME_LEN)) {
			err = -EFAULT;
			break;
		}
		l.count++;
	}
	mutex_unlock(&emp_regions_lock);
	return err ?: emp_copy_out(arg, &l, sizeof(l), usize);
}

/* A live region by name, kept alive (as if open) until emp_region_release(). */
static struct emp_region *emp_control_get(const char *name)
{
	struct emp_region *r;
	int err;

	if (strnlen(name, EMP_NAME_LEN) == EMP_NAME_LEN)
		return ERR_PTR(-EINVAL);
	mutex_lock(&emp_regions_lock);
	r = emp_region_find(name);
	err = r ? emp_region_open(r) : -ENOENT;
	mutex_unlock(&emp_regions_lock);
	return err ? ERR_PTR(err == -ENXIO ? -ENOENT : err) : r;
}

static int emp_ioc_tier_add(void __user *arg)
{
	struct emp_tier_add a;
	struct emp_region *r;
	struct emp_tier *t;
	u32 usize;
	int err = emp_copy_in(&a, sizeof(a), arg);

	if (err)
		return err;
	if (a.flags)
		return -EINVAL;
	usize = a.size;
	r = emp_control_get(a.name);
	if (IS_ERR(r))
		return PTR_ERR(r);
	t = emp_tier_open(r, &a.tier);
	if (IS_ERR(t)) {
		err = PTR_ERR(t);
		goto release;
	}
	mutex_lock(&r->conf_lock);
	/* Before it is too late for an error. */
	a.tier.id = r->next_tier_id;
	err = emp_copy_out(arg, &a, sizeof(a), usize);
	if (!err)
		err = emp_tier_attach(r, t);
	mutex_unlock(&r->conf_lock);
	if (err) {
		emp_tier_close(t, EMP_WIPE_NONE);
		goto release;
	}
	emp_event_post(EMP_EVENT_TIER_ADDED, r->name, a.tier.id);
release:
	emp_region_release(r);
	return err;
}

static int emp_ioc_tier_remove(void __user *arg)
{
	struct emp_tier_remove a;
	struct emp_region *r;
	int err = emp_copy_in(&a, sizeof(a), arg);

	if (err)
		return err;
	if (a.flags & ~EMP_TIER_REMOVE_FORCE || a.timeout_ms > 86400000)
		return -EINVAL;
	r = emp_control_get(a.name);
	if (IS_ERR(r))
		return PTR_ERR(r);
	err = emp_tier_remove(r, a.id, a.timeout_ms, a.flags & EMP_TIER_REMOVE_FORCE);
	emp_region_release(r);
	return err;
}

static long emp_control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *p = (void __user *)arg;

	if (cmd == EMP_IOC_INFO)
		return emp_ioc_info(p);
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	switch (cmd) {
	case EMP_IOC_CREATE:
		return emp_ioc_create(p);
	case EMP_IOC_DESTROY:
		return emp_ioc_destroy(p);
	case EMP_IOC_LIST:
		return emp_ioc_list(p);
	case EMP_IOC_TIER_ADD:
		return emp_ioc_tier_add(p);
	case EMP_IOC_TIER_REMOVE:
		return emp_ioc_tier_remove(p);
	}
	return -ENOTTY;
}

static int emp_control_open(struct inode *inode, struct file *file)
{
	struct emp_control_file *cf = kzalloc(sizeof(*cf), GFP_KERNEL_ACCOUNT);

	if (!cf)
		return -ENOMEM;
	mutex_init(&cf->lock);
	cf->seen = emp_event_last();
	file->private_data = cf;
	return nonseekable_open(inode, file);
}

static int emp_control_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static ssize_t emp_control_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	struct emp_control_file *cf = file->private_data;
	ssize_t ret;

	if (mutex_lock_interruptible(&cf->lock))
		return -ERESTARTSYS;
	ret = emp_event_read(file, &cf->seen, buf, len);
	mutex_unlock(&cf->lock);
	return ret;
}

static __poll_t emp_control_poll(struct file *file, poll_table *pt)
{
	struct emp_control_file *cf = file->private_data;

	return emp_event_poll(file, READ_ONCE(cf->seen), pt);
}

static const struct file_operations emp_control_ops = {
	.owner		= THIS_MODULE,
	.open		= emp_control_open,
	.release	= emp_control_release,
	.read		= emp_control_read,
	.poll		= emp_control_poll,
	.unlocked_ioctl	= emp_control_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice emp_control_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "emp-control",
	.fops	= &emp_control_ops,
	.mode	= 0660,
};

int emp_control_init(void)
{
	int err = misc_register(&emp_control_dev);

	if (!err)
		emp_event_announce(emp_control_dev.this_device);
	return err;
}

void emp_control_exit(void)
{
	emp_event_announce(NULL);
	misc_deregister(&emp_control_dev);
}
