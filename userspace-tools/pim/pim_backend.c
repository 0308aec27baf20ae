// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The two providers of a rank's calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "pim_backend.h"
#include "pim_dev_abi.h"

/* --- a software rank ----------------------------------------------------------- */

static int rank_commit(struct pim_backend *b, const uint64_t commands[PIM_RANK_NR_CIS])
{
	b->counts[0]++;
	pim_rank_commit(b->rank, commands);
	return 0;
}

static int rank_update(struct pim_backend *b, uint64_t results[PIM_RANK_NR_CIS])
{
	b->counts[1]++;
	pim_rank_update(b->rank, results);
	return 0;
}

static int rank_write(struct pim_backend *b, const struct pim_matrix *m)
{
	b->counts[2]++;
	return pim_rank_write(b->rank, m);
}

static int rank_read(struct pim_backend *b, const struct pim_matrix *m)
{
	b->counts[3]++;
	return pim_rank_read(b->rank, m);
}

static void rank_wait(struct pim_backend *b, uint64_t ns)
{
	pim_rank_wait(b->rank, ns);
}

static void rank_close(struct pim_backend *b)
{
	pim_rank_destroy(b->rank);
	b->rank = NULL;
}

static const struct pim_backend_ops rank_ops = {
	.name = "emulator",
	.commit = rank_commit, .update = rank_update, .write = rank_write, .read = rank_read,
	.wait = rank_wait, .close = rank_close,
};

int pim_backend_emulator(struct pim_backend *b, const struct pim_rank_config *config,
			 struct ax_msg *msg)
{
	*b = (struct pim_backend) { .ops = &rank_ops, .fd = -1 };
	b->rank = pim_rank_create(config);
	return b->rank ? 0 : ax_fail(msg, "cannot make a rank: %s", strerror(errno));
}

/* --- a device --------------------------------------------------------------------- */

static int real_open(const char *path, int flags)
{
	return open(path, flags);
}

static int real_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

static const struct pim_dev_calls real_calls = {
	.open = real_open, .ioctl = real_ioctl, .close = close,
};

static int dev_call(struct pim_backend *b, unsigned int count, unsigned long request, void *arg)
{
	b->counts[count]++;
	return b->calls->ioctl(b->fd, request, arg) ? -errno : 0;
}

static int dev_commit(struct pim_backend *b, const uint64_t commands[PIM_RANK_NR_CIS])
{
	uint64_t copy[PIM_RANK_NR_CIS];

	memcpy(copy, commands, sizeof(copy));
	return dev_call(b, 0, PIM_DEV_COMMIT_COMMANDS, copy);
}

static int dev_update(struct pim_backend *b, uint64_t results[PIM_RANK_NR_CIS])
{
	return dev_call(b, 1, PIM_DEV_UPDATE_COMMANDS, results);
}

static void to_dev(const struct pim_matrix *m, struct pim_dev_matrix *dev)
{
	memset(dev, 0, sizeof(*dev));
	for (unsigned int n = 0; n < PIM_RANK_NR_DPUS; n++)
		dev->ptr[n] = (uint64_t)(uintptr_t)m->ptr[n];
	dev->offset = m->offset;
	dev->size = m->size;
}

static int dev_write(struct pim_backend *b, const struct pim_matrix *m)
{
	struct pim_dev_matrix dev;

	to_dev(m, &dev);
	return dev_call(b, 2, PIM_DEV_WRITE_TO_RANK, &dev);
}

static int dev_read(struct pim_backend *b, const struct pim_matrix *m)
{
	struct pim_dev_matrix dev;

	to_dev(m, &dev);
	return dev_call(b, 3, PIM_DEV_READ_FROM_RANK, &dev);
}

static void dev_close(struct pim_backend *b)
{
	b->calls->close(b->fd);
	b->fd = -1;
}

static const struct pim_backend_ops dev_ops = {
	.name = "device",
	.commit = dev_commit, .update = dev_update, .write = dev_write, .read = dev_read,
	.close = dev_close,
};

int pim_backend_device(struct pim_backend *b, const char *path, const struct pim_dev_calls *calls,
		       struct ax_msg *msg)
{
	*b = (struct pim_backend) { .ops = &dev_ops, .calls = calls ? calls : &real_calls };
	b->fd = b->calls->open(path, O_RDWR | O_CLOEXEC);
	if (b->fd >= 0)
		return 0;
	/* the driver's word for a rank that somebody has */
	if (errno == EINVAL || errno == EBUSY)
		return ax_fail(msg, "%s is in use: wait, or take another rank", path);
	return ax_fail(msg, "%s: %s", path, strerror(errno));
}

void pim_backend_close(struct pim_backend *b)
{
	if (b->ops)
		b->ops->close(b);
	b->ops = NULL;
}
