// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state of a rank beside MRAM: bytes that its provider gives at PIM_OP_SAVE
 * and takes back at PIM_OP_RESTORE. They are kept in an unlinked file of shared
 * memory, so they can be swapped, and are charged to the owner of what is saved,
 * not to the provider. Nobody but the provider looks into them.
 */
#include <linux/file.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>

#include "pim_compat.h"
#include "pim_ioctl.h"
#include "pim_mram.h"
#include "pim_rank.h"
#include "pim_session.h"

struct file *pim_state_create(u32 rank, u32 bytes_max)
{
	char name[32];

	snprintf(name, sizeof(name), "pim-rank%u-state", rank);
	return shmem_file_setup(name, PAGE_ALIGN(bytes_max), VM_NORESERVE);
}

/* Ask for it, with @x where the provider's calls find it; what came is in @x. */
static int pim_state_call(struct pim_session *s, u32 op, struct pim_state_xfer *x)
{
	const struct pim_request req = { .op = op, .bytes = x->bytes };
	int err;

	spin_lock(&s->lock);
	s->xfer = *x;
	spin_unlock(&s->lock);
	err = pim_session_call(s, &req, NULL);
	spin_lock(&s->lock);
	*x = s->xfer;
	memset(&s->xfer, 0, sizeof(s->xfer));
	spin_unlock(&s->lock);
	return err;
}

/**
 * pim_state_save - have the provider save its rank into @state
 * @s: of a rank that nobody uses; one at a time
 * @state: of pim_state_create()
 * @memcg: to be charged
 * @bytes: how many they became
 *
 * 0; -EBUSY a DPU runs, all is as it was; other errors as of pim_session_call().
 */
int pim_state_save(struct pim_session *s, struct file *state, struct mem_cgroup *memcg, u32 *bytes)
{
	struct pim_state_xfer x = { .file = state, .memcg = memcg, .put = true };
	int err = pim_state_call(s, PIM_OP_SAVE, &x);

	*bytes = x.bytes;
	return err;
}

/** pim_state_restore - have the provider put @bytes of @state into its rank */
int pim_state_restore(struct pim_session *s, struct file *state, u32 bytes)
{
	struct pim_state_xfer x = { .file = state, .bytes = bytes };

	return pim_state_call(s, PIM_OP_RESTORE, &x);
}

/* --- the provider's calls ----------------------------------------------------------- */

/* What is under way, with references: or -ENOENT. */
static int pim_state_xfer_get(struct pim_session *s, bool put, struct pim_state_xfer *x)
{
	int err = -ENOENT;

	spin_lock(&s->lock);
	*x = s->xfer;
	if (x->file && x->put == put && annex_memcg_tryget(x->memcg)) {
		get_file(x->file);
		err = 0;
	}
	spin_unlock(&s->lock);
	return err;
}

static void pim_state_xfer_put(struct pim_state_xfer *x)
{
	mem_cgroup_put(x->memcg);
	fput(x->file);
}

static int pim_state_copy_in(void *from, void *mem, size_t n)
{
	u8 __user **p = from;

	if (copy_from_user(mem, *p, n))
		return -EFAULT;
	*p += n;
	return 0;
}

static int pim_state_copy_out(void *to, void *mem, size_t n)
{
	u8 __user **p = to;

	if (copy_to_user(*p, mem, n))
		return -EFAULT;
	*p += n;
	return 0;
}

int pim_ioc_state_put(struct pim_session *s, void __user *arg)
{
	struct pim_state_xfer x;
	struct mem_cgroup *old;
	struct pim_state_io io;
	u8 __user *buf;
	int err = pim_copy_in(&io, sizeof(io), arg, NULL);

	if (err)
		return err;
	if (!io.bytes)
		return -EINVAL;
	if (io.bytes > s->state_bytes)
		return -E2BIG;
	err = pim_state_xfer_get(s, true, &x);
	if (err)
		return err;
	buf = u64_to_user_ptr(io.buf);
	old = set_active_memcg(x.memcg);
	err = pim_mram_write(x.file, 0, io.bytes, pim_state_copy_in, &buf);
	set_active_memcg(old);
	spin_lock(&s->lock);
	if (s->xfer.file == x.file)
		s->xfer.bytes = err ? 0 : io.bytes;
	spin_unlock(&s->lock);
	pim_state_xfer_put(&x);
	return err;
}

int pim_ioc_state_get(struct pim_session *s, void __user *arg)
{
	struct pim_state_xfer x;
	struct pim_state_io io;
	u8 __user *buf;
	u32 usize, room;
	int err = pim_copy_in(&io, sizeof(io), arg, &usize);

	if (err)
		return err;
	err = pim_state_xfer_get(s, false, &x);
	if (err)
		return err;
	buf = u64_to_user_ptr(io.buf);
	room = io.bytes;
	io.bytes = x.bytes;
	if (room >= x.bytes)
		err = pim_mram_read(x.file, 0, x.bytes, pim_state_copy_out, &buf);
	pim_state_xfer_put(&x);
	err = err ?: pim_copy_out(arg, &io, sizeof(io), usize);
	return err ?: (room < io.bytes ? -E2BIG : 0);
}
