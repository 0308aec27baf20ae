/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What virtio_pim.ko needs, across kernels:
 * 6.11	virtqueues are described by one array instead of three
 */
#ifndef ANNEX_PIM_COMPAT_VIRTIO_H
#define ANNEX_PIM_COMPAT_VIRTIO_H

#include <linux/slab.h>
#include <linux/version.h>
#include <linux/virtio_config.h>

/* @nr queues that have the same callback; names are those of @names. */
static inline int annex_find_vqs(struct virtio_device *vdev, unsigned int nr,
				 struct virtqueue **vqs, vq_callback_t *callback,
				 const char *const *names)
{
	unsigned int i;
	int err;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	struct virtqueue_info *info = kcalloc(nr, sizeof(*info), GFP_KERNEL);

	if (!info)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		info[i].name = names[i];
		info[i].callback = callback;
	}
	err = virtio_find_vqs(vdev, nr, vqs, info, NULL);
	kfree(info);
#else
	vq_callback_t **callbacks = kcalloc(nr, sizeof(*callbacks), GFP_KERNEL);

	if (!callbacks)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		callbacks[i] = callback;
	err = virtio_find_vqs(vdev, nr, vqs, callbacks, names, NULL);
	kfree(callbacks);
#endif
	return err;
}

#endif
