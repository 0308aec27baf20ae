// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/pim-arbiter: leases, the state of ranks and owners, events. A file's
 * only state is its place in the events; a lease is a file of its own.
 */
#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "pim_device.h"
#include "pim_event.h"
#include "pim_ioctl.h"
#include "pim_grant.h"
#include "pim_lease.h"
#include "pim_park.h"
#include "pim_rank.h"

struct pim_arbiter_file {
	struct mutex lock;	/* seen */
	u64 seen;		/* the last event read */
};

/* --- a lease's file -------------------------------------------------------------- */

static int pim_lease_file_release(struct inode *inode, struct file *file)
{
	struct pim_lease *lease = file->private_data;

	pim_lease_unshare(lease);
	pim_lease_release(lease);
	return 0;
}

static __poll_t pim_lease_file_poll(struct file *file, poll_table *pt)
{
	struct pim_lease *lease = file->private_data;

	poll_wait(file, &lease->wait, pt);
	return READ_ONCE(lease->ended) ? EPOLLHUP : 0;
}

static const struct file_operations pim_lease_fops = {
	.owner		= THIS_MODULE,
	.release	= pim_lease_file_release,
	.poll		= pim_lease_file_poll,
};

static int pim_ioc_lease(struct file *arbiter, void __user *arg)
{
	struct pim_lease_want want = {};
	struct pim_lease_req req;
	struct pim_lease *lease;
	struct file *file;
	u32 usize;
	int fd, err = pim_copy_in(&req, sizeof(req), arg, &usize);

	if (err)
		return err;
	if (!(arbiter->f_mode & FMODE_WRITE))
		return -EBADF;
	if (req.flags & ~PIM_LEASE_F_ALL || req.pad)
		return -EINVAL;
	want.id = req.id;
	want.nowait = req.flags & PIM_LEASE_F_NOWAIT;
	want.timeout = req.timeout_ms ? msecs_to_jiffies(req.timeout_ms) : MAX_SCHEDULE_TIMEOUT;
	want.expire_ms = req.expire_ms;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	lease = pim_lease_acquire(&want);
	if (IS_ERR(lease)) {
		err = PTR_ERR(lease);
		goto put_fd;
	}
	req.id = lease->rank->id;
	req.lease = lease->number;
	err = pim_copy_out(arg, &req, sizeof(req), usize);
	if (err)
		goto release;
	file = anon_inode_getfile("[pim-lease]", &pim_lease_fops, lease, O_RDWR | O_CLOEXEC);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto release;
	}
	fd_install(fd, file);
	return fd;
release:
	pim_lease_release(lease);
put_fd:
	put_unused_fd(fd);
	return err;
}

/* --- the rest ----------------------------------------------------------------------- */

static int pim_ioc_rank_state(void __user *arg)
{
	struct pim_rank_state in, st = {};
	u32 usize;
	int err = pim_copy_in(&in, sizeof(in), arg, &usize);

	if (err)
		return err;
	st.size = usize;
	st.id = in.id;
	err = pim_rank_get_state(&st);
	return err ?: pim_copy_out(arg, &st, sizeof(st), usize);
}

static int pim_ioc_parked_state(void __user *arg)
{
	struct pim_parked_state in, st = {};
	u32 usize;
	int err = pim_copy_in(&in, sizeof(in), arg, &usize);

	if (err)
		return err;
	st.size = usize;
	st.lease = in.lease;
	err = pim_park_state(&st);
	return err ?: pim_copy_out(arg, &st, sizeof(st), usize);
}

static int pim_ioc_revoke(void __user *arg)
{
	struct pim_rank_id a;
	struct pim_rank *rank;
	int err = pim_copy_in(&a, sizeof(a), arg, NULL);

	if (err)
		return err;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (a.flags || a.pad)
		return -EINVAL;
	mutex_lock(&pim_lock);
	rank = pim_rank_find(a.id);
	if (!rank)
		err = -ENOENT;
	else if (!rank->lease)
		err = -ESRCH;
	else
		pim_lease_end_locked(rank->lease, PIM_STATE_DRAINING, PIM_EVENT_REVOKED);
	mutex_unlock(&pim_lock);
	return err;
}

static int pim_ioc_lease_revoke(void __user *arg)
{
	struct pim_lease *lease;
	struct pim_lease_id a;
	int err = pim_copy_in(&a, sizeof(a), arg, NULL);

	if (err)
		return err;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (a.flags)
		return -EINVAL;
	mutex_lock(&pim_lock);
	lease = pim_lease_find_locked(a.lease);
	if (lease)
		pim_lease_end_locked(lease, PIM_STATE_DRAINING, PIM_EVENT_REVOKED);
	else
		err = -ESRCH;
	mutex_unlock(&pim_lock);
	return err;
}

static int pim_ioc_owner_get(void __user *arg)
{
	struct pim_owner_state in, st = {};
	u32 usize;
	int err = pim_copy_in(&in, sizeof(in), arg, &usize);

	if (err)
		return err;
	if (in.flags)
		return -EINVAL;
	st.size = usize;
	st.uid = in.uid;
	err = pim_owner_state(&st);
	return err ?: pim_copy_out(arg, &st, sizeof(st), usize);
}

static int pim_ioc_owner_set(void __user *arg)
{
	struct pim_owner_state st;
	struct pim_owner *owner;
	int err = pim_copy_in(&st, sizeof(st), arg, NULL);

	if (err)
		return err;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (st.flags || st.priority > PIM_PRIORITY_MAX || st.keep_ms > PIM_KEEP_MAX_MS ||
	    st.idle_ms > PIM_KEEP_MAX_MS || st.pad)
		return -EINVAL;
	mutex_lock(&pim_lock);
	owner = pim_owner_get_locked(st.uid);
	if (IS_ERR(owner)) {
		err = PTR_ERR(owner);
	} else {
		owner->max_ranks = st.max_ranks;
		owner->priority = st.priority;
		owner->keep_ms = st.keep_ms;
		owner->idle_ms = st.idle_ms;
		owner->max_parked = st.max_parked;
		owner->max_parked_bytes = st.max_parked_bytes;
		if (!st.keep_ms)
			pim_lease_unkeep_locked(owner, 0);
		pim_lease_grant_locked();
	}
	mutex_unlock(&pim_lock);
	return err;
}

static long pim_arbiter_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *p = (void __user *)arg;

	switch (cmd) {
	case PIM_IOC_INFO:
		return pim_ioc_info(p);
	case PIM_IOC_RANK_STATE:
		return pim_ioc_rank_state(p);
	case PIM_IOC_LEASE:
		return pim_ioc_lease(file, p);
	case PIM_IOC_REVOKE:
		return pim_ioc_revoke(p);
	case PIM_IOC_LEASE_REVOKE:
		return pim_ioc_lease_revoke(p);
	case PIM_IOC_OWNER_GET:
		return pim_ioc_owner_get(p);
	case PIM_IOC_PARKED_STATE:
		return pim_ioc_parked_state(p);
	case PIM_IOC_OWNER_SET:
		return pim_ioc_owner_set(p);
	}
	return -ENOTTY;
}

static int pim_arbiter_open(struct inode *inode, struct file *file)
{
	struct pim_arbiter_file *af = kzalloc(sizeof(*af), GFP_KERNEL_ACCOUNT);

	if (!af)
		return -ENOMEM;
	mutex_init(&af->lock);
	af->seen = pim_event_last();
	file->private_data = af;
	return nonseekable_open(inode, file);
}

static int pim_arbiter_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static ssize_t pim_arbiter_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	struct pim_arbiter_file *af = file->private_data;
	ssize_t ret;

	if (mutex_lock_interruptible(&af->lock))
		return -ERESTARTSYS;
	ret = pim_event_read(file, &af->seen, buf, len);
	mutex_unlock(&af->lock);
	return ret;
}

static __poll_t pim_arbiter_poll(struct file *file, poll_table *pt)
{
	struct pim_arbiter_file *af = file->private_data;

	return pim_event_poll(file, READ_ONCE(af->seen), pt);
}

static const struct file_operations pim_arbiter_ops = {
	.owner		= THIS_MODULE,
	.open		= pim_arbiter_open,
	.release	= pim_arbiter_release,
	.read		= pim_arbiter_read,
	.poll		= pim_arbiter_poll,
	.unlocked_ioctl	= pim_arbiter_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice pim_arbiter_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "pim-arbiter",
	.fops	= &pim_arbiter_ops,
	.mode	= 0660,
};

int pim_arbiter_init(void)
{
	return misc_register(&pim_arbiter_dev);
}

void pim_arbiter_exit(void)
{
	misc_deregister(&pim_arbiter_dev);
}
