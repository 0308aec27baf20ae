// SPDX-License-Identifier: GPL-2.0-only
/* virtio_pim.ko: the device comes, sleeps, wakes and goes. See virtio_pim.h. */
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

#include "pim_compat_virtio.h"
#include "virtio_pim.h"

#define VPIM_QUEUES_MAX	64
#define VPIM_SEG_MIN	8	/* less is no queue to work with */

static ushort vpim_device_id = VIRTIO_PIM_ID;
module_param_named(device_id, vpim_device_id, ushort, 0444);
MODULE_PARM_DESC(device_id, "virtio device id (default 63)");

/* --- queues ------------------------------------------------------------------------------- */

static int vpim_find_queues(struct vpim *vp)
{
	u32 n = vp->nr_queues + 1, i, size = U32_MAX;
	struct virtqueue **vqs;
	const char **names;
	int err = -ENOMEM;

	vqs = kcalloc(n, sizeof(*vqs), GFP_KERNEL);
	names = kcalloc(n, sizeof(*names), GFP_KERNEL);
	if (!vqs || !names)
		goto free;
	for (i = 0; i < n; i++)
		names[i] = i ? "requests" : "control";
	err = annex_find_vqs(vp->vdev, n, vqs, vpim_queue_done, names);
	if (err)
		goto free;
	for (i = 0; i < n; i++) {
		vp->queues[i].vq = vqs[i];
		if (i)
			size = min(size, virtqueue_get_vring_size(vqs[i]));
	}
	/* Beside the data, a request has a head and a status. */
	vp->seg_max = size < VPIM_SEG_MIN ? 0 : size - 2;
	vp->seg_bytes = min_t(size_t, virtio_max_dma_size(vp->vdev), SZ_1M) & PAGE_MASK;
free:
	kfree(names);
	kfree(vqs);
	return err;
}

/* Take the device away from all who use it: requests end with @error. */
static void vpim_stop(struct vpim *vp, int error)
{
	vpim_fail(vp, error);
	virtio_reset_device(vp->vdev);
	cancel_work_sync(&vp->failed);
	vpim_drain(vp);
	cancel_work_sync(&vp->scan);
}

/*
 * The device gave up a queue, or all. It answers nothing of what it had, and
 * nobody can take that back but by a reset: so there is one at once, and all
 * calls fail from then on.
 */
static void vpim_failed(struct work_struct *work)
{
	struct vpim *vp = container_of(work, struct vpim, failed);

	if (READ_ONCE(vp->error))
		return;		/* somebody else is at it */
	dev_err(&vp->vdev->dev, "the device has failed: unbind and bind its driver\n");
	vpim_fail(vp, -EIO);
	virtio_reset_device(vp->vdev);
	vpim_drain(vp);
}

/* --- ranks ---------------------------------------------------------------------------------- */

/* Register those that the device can describe, and could not before. */
static void vpim_scan(struct work_struct *work)
{
	struct vpim *vp = container_of(work, struct vpim, scan);
	struct dpu_rank_info info;
	struct dpu_rank *dpu;
	void *vpd = kmalloc(VIRTIO_PIM_VPD_MAX, GFP_KERNEL);
	u32 i;
	int err = vpd ? 0 : -ENOMEM;

	for (i = 0; i < vp->nr_ranks && !err; i++) {
		struct vpim_rank *r = &vp->ranks[i];

		if (r->dpu)
			continue;
		err = vpim_rank_describe(r, &info, vpd);
		if (err)
			break;
		dpu = dpu_rank_register(&vp->vdev->dev, &info, &vpim_rank_ops, r);
		err = PTR_ERR_OR_ZERO(dpu);
		if (!err)
			r->dpu = dpu;
	}
	kfree(vpd);
	/* EIO: nobody serves a rank yet; a configuration change will say so. */
	if (err && err != -EIO && err != -ENODEV)
		dev_err(&vp->vdev->dev, "rank %u cannot be used: error %d\n", i, err);
}

static void vpim_config_changed(struct virtio_device *vdev)
{
	struct vpim *vp = vdev->priv;

	if (READ_ONCE(vp->error))
		return;
	if (vdev->config->get_status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET)
		schedule_work(&vp->failed);
	else
		schedule_work(&vp->scan);
}

/* --- the driver ------------------------------------------------------------------------ */

static void vpim_free(struct vpim *vp)
{
	kfree(vp->queues);
	kfree(vp->ranks);
	kfree(vp);
}

static struct vpim *vpim_alloc(struct virtio_device *vdev)
{
	struct vpim *vp = kzalloc(sizeof(*vp), GFP_KERNEL);
	u32 i;

	if (!vp)
		return ERR_PTR(-ENOMEM);
	vp->vdev = vdev;
	INIT_WORK(&vp->scan, vpim_scan);
	INIT_WORK(&vp->failed, vpim_failed);
	virtio_cread_le(vdev, struct virtio_pim_config, nr_ranks, &vp->nr_ranks);
	virtio_cread_le(vdev, struct virtio_pim_config, nr_request_queues, &vp->nr_queues);
	if (!vp->nr_ranks || vp->nr_ranks > VIRTIO_PIM_RANKS_MAX || !vp->nr_queues) {
		dev_err(&vdev->dev, "%u ranks, %u queues\n", vp->nr_ranks, vp->nr_queues);
		kfree(vp);
		return ERR_PTR(-EINVAL);
	}
	if (virtio_has_feature(vdev, VIRTIO_PIM_F_BATCH))
		virtio_cread_le(vdev, struct virtio_pim_config, batch_max, &vp->batch_max);
	vp->batch_max = min_t(u32, vp->batch_max, VIRTIO_PIM_BATCH_MAX);
	vp->nr_queues = min3(vp->nr_queues, (u32)VPIM_QUEUES_MAX,
			     max(vp->nr_ranks, num_possible_cpus()));
	vp->ranks = kcalloc(vp->nr_ranks, sizeof(*vp->ranks), GFP_KERNEL);
	vp->queues = kcalloc(vp->nr_queues + 1, sizeof(*vp->queues), GFP_KERNEL);
	if (!vp->ranks || !vp->queues) {
		vpim_free(vp);
		return ERR_PTR(-ENOMEM);
	}
	for (i = 0; i < vp->nr_ranks; i++) {
		vp->ranks[i].vp = vp;
		vp->ranks[i].index = i;
	}
	for (i = 0; i <= vp->nr_queues; i++) {
		vp->queues[i].vp = vp;
		spin_lock_init(&vp->queues[i].lock);
		init_waitqueue_head(&vp->queues[i].space);
	}
	return vp;
}

static int vpim_probe(struct virtio_device *vdev)
{
	struct vpim *vp;
	int err;

	if (!vdev->config->get)
		return -EINVAL;
	vp = vpim_alloc(vdev);
	if (IS_ERR(vp))
		return PTR_ERR(vp);
	vdev->priv = vp;
	err = vpim_find_queues(vp);
	if (err)
		goto free;
	if (!vp->seg_max) {
		err = -EINVAL;
		goto del;
	}
	virtio_device_ready(vdev);
	schedule_work(&vp->scan);
	flush_work(&vp->scan);	/* the nodes are there when the module is loaded */
	return 0;
del:
	vdev->config->del_vqs(vdev);
free:
	vpim_free(vp);
	return err;
}

static void vpim_remove(struct virtio_device *vdev)
{
	struct vpim *vp = vdev->priv;
	u32 i;

	vpim_stop(vp, -ENODEV);
	for (i = 0; i < vp->nr_ranks; i++) {
		if (vp->ranks[i].dpu)
			dpu_rank_unregister(vp->ranks[i].dpu);
	}
	vdev->config->del_vqs(vdev);
	vpim_free(vp);
}

/* What ranks hold does not outlive this: files that are open answer EIO from then on. */
static int __maybe_unused vpim_freeze(struct virtio_device *vdev)
{
	struct vpim *vp = vdev->priv;

	vpim_stop(vp, -EIO);
	WRITE_ONCE(vp->epoch, vp->epoch + 1);
	vdev->config->del_vqs(vdev);
	return 0;
}

static int __maybe_unused vpim_restore(struct virtio_device *vdev)
{
	struct vpim *vp = vdev->priv;
	int err = vpim_find_queues(vp);

	if (err)
		return err;
	virtio_device_ready(vdev);
	vpim_fail(vp, 0);
	schedule_work(&vp->scan);
	return 0;
}

static struct virtio_device_id vpim_ids[] = {
	{ VIRTIO_PIM_ID, VIRTIO_DEV_ANY_ID },
	{ 0 }
};
MODULE_DEVICE_TABLE(virtio, vpim_ids);

static const unsigned int vpim_features[] = {
	VIRTIO_PIM_F_BATCH,
};

static struct virtio_driver vpim_driver = {
	.driver.name		= KBUILD_MODNAME,
	.driver.owner		= THIS_MODULE,
	.id_table		= vpim_ids,
	.feature_table		= vpim_features,
	.feature_table_size	= ARRAY_SIZE(vpim_features),
	.probe			= vpim_probe,
	.remove			= vpim_remove,
	.config_changed		= vpim_config_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze			= vpim_freeze,
	.restore		= vpim_restore,
#endif
};

static int __init vpim_init(void)
{
	vpim_ids[0].device = vpim_device_id;
	return register_virtio_driver(&vpim_driver);
}

static void __exit vpim_exit(void)
{
	unregister_virtio_driver(&vpim_driver);
}

module_init(vpim_init);
module_exit(vpim_exit);
MODULE_DESCRIPTION("Annex: processing-in-memory ranks of a virtio-pim device");
MODULE_AUTHOR("Annex");
MODULE_LICENSE("GPL");
MODULE_VERSION(ANNEX_VERSION);
