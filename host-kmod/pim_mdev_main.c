// SPDX-License-Identifier: GPL-2.0-only
/*
 * pim_mdev.ko: the mediated devices' coming and going, module parameters, start
 * and end. See pim_mdev.h.
 */
#include <linux/debugfs.h>
#include <linux/mdev.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/vfio.h>

#include "pim_compat.h"
#include "pim_mdev.h"

LIST_HEAD(pim_vms);		/* see pim_mdev.h */
DEFINE_MUTEX(pim_vms_lock);	/* see pim_mdev.h */

static struct class *pim_mdev_class;
static struct device *pim_mdev_dev;
static struct mdev_parent pim_mdev_parent;

static int pim_mdev_set_queues(const char *text, const struct kernel_param *kp)
{
	return param_set_uint_minmax(text, kp, 1, VPCI_QUEUES_MAX - 1);
}

static const struct kernel_param_ops pim_mdev_queues_ops = {
	.set	= pim_mdev_set_queues,
	.get	= param_get_uint,
};

uint pim_mdev_queues = 4;
module_param_cb(queues, &pim_mdev_queues_ops, &pim_mdev_queues, 0644);
__MODULE_PARM_TYPE(queues, "uint");
MODULE_PARM_DESC(queues, "request queues, and threads, of a machine started later, 1..64 (default 4)");

static int pim_mdev_set_poll_us(const char *text, const struct kernel_param *kp)
{
	return param_set_uint_minmax(text, kp, 0, 10000);
}

static const struct kernel_param_ops pim_mdev_poll_us_ops = {
	.set	= pim_mdev_set_poll_us,
	.get	= param_get_uint,
};

uint pim_mdev_poll_us = 200;
module_param_cb(poll_us, &pim_mdev_poll_us_ops, &pim_mdev_poll_us, 0644);
__MODULE_PARM_TYPE(poll_us, "uint");
MODULE_PARM_DESC(poll_us, "microseconds that a queue's thread waits awake for more; 0: machines started later have no doorbell (0..10000, default 200)");

static int pim_mdev_set_pin_mib(const char *text, const struct kernel_param *kp)
{
	return param_set_uint_minmax(text, kp, 0, PIM_MDEV_PIN_MIB_MAX);
}

static const struct kernel_param_ops pim_mdev_pin_mib_ops = {
	.set	= pim_mdev_set_pin_mib,
	.get	= param_get_uint,
};

static uint pim_mdev_pin_mib;
module_param_cb(pin_mib, &pim_mdev_pin_mib_ops, &pim_mdev_pin_mib, 0644);
__MODULE_PARM_TYPE(pin_mib, "uint");
MODULE_PARM_DESC(pin_mib, "MiB of a machine's memory that a device made later may keep pinned, 0: none (0..1048576, default 0)");

/* For tests; see docs/abi-pim.md. */
static struct dentry *pim_mdev_debug;

static int pim_mdev_fail_queue(void *data, u64 index)
{
	struct pim_vm *vm = data;

	return vpci_queue_fail(&vm->core, min_t(u64, index, U32_MAX));
}
DEFINE_DEBUGFS_ATTRIBUTE(pim_mdev_fail_queue_fops, NULL, pim_mdev_fail_queue, "%llu\n");

static ushort pim_mdev_device_id = VIRTIO_PIM_ID;
module_param_named(device_id, pim_mdev_device_id, ushort, 0444);
MODULE_PARM_DESC(device_id, "virtio device id, 1..63 (default 63)");

/* Machines that found no rank when they looked may look again. */
static int pim_mdev_rank_free(struct notifier_block *nb, unsigned long id, void *data)
{
	struct pim_vm *vm;

	mutex_lock(&pim_vms_lock);
	list_for_each_entry(vm, &pim_vms, list) {
		if (!READ_ONCE(vm->described))
			vpci_irq_config(&vm->core);
	}
	mutex_unlock(&pim_vms_lock);
	return NOTIFY_OK;
}

static struct notifier_block pim_mdev_nb = {
	.notifier_call = pim_mdev_rank_free,
};

static int pim_mdev_probe(struct mdev_device *mdev)
{
	struct pim_vm *vm;
	int err;

	vm = vfio_alloc_device(pim_vm, core.vdev, &mdev->dev, &vpci_vfio_ops);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	vpci_init(&vm->core, &pim_vm_type, pim_mdev_device_id);
	vm->nr_ranks = 1;
	vm->pin_mib = READ_ONCE(pim_mdev_pin_mib);
	vm->core.pins.limit = pim_vm_pin_pages(vm->pin_mib);
	strscpy(vm->name, dev_name(&mdev->dev), sizeof(vm->name));	/* until it gets one */
	dev_set_drvdata(&mdev->dev, vm);
	mutex_lock(&pim_vms_lock);
	list_add_tail(&vm->list, &pim_vms);
	mutex_unlock(&pim_vms_lock);
	err = vfio_register_emulated_iommu_dev(&vm->core.vdev);
	if (err) {
		mutex_lock(&pim_vms_lock);
		list_del(&vm->list);
		mutex_unlock(&pim_vms_lock);
		vpci_exit(&vm->core);
		vfio_put_device(&vm->core.vdev);
		return err;
	}
	vm->debug = debugfs_create_dir(dev_name(&mdev->dev), pim_mdev_debug);
	debugfs_create_file("fail_queue", 0200, vm->debug, vm, &pim_mdev_fail_queue_fops);
	return 0;
}

/* Waits until the VMM has let it go. */
static void pim_mdev_remove(struct mdev_device *mdev)
{
	struct pim_vm *vm = dev_get_drvdata(&mdev->dev);

	debugfs_remove_recursive(vm->debug);
	vfio_unregister_group_dev(&vm->core.vdev);
	mutex_lock(&pim_vms_lock);
	list_del(&vm->list);
	mutex_unlock(&pim_vms_lock);
	vpci_exit(&vm->core);
	vfio_put_device(&vm->core.vdev);
}

static struct mdev_type pim_mdev_type = {
	.sysfs_name	= "ranks",
	.pretty_name	= "virtio-pim: processing-in-memory ranks",
};

static struct mdev_type *pim_mdev_types[] = { &pim_mdev_type };

static struct mdev_driver pim_mdev_driver = {
	.device_api	= VFIO_DEVICE_API_PCI_STRING,
	.max_instances	= 4096,
	.driver		= {
		.name		= "pim_mdev",
		.owner		= THIS_MODULE,
		.mod_name	= KBUILD_MODNAME,
		.dev_groups	= pim_vm_groups,
	},
	.probe	= pim_mdev_probe,
	.remove	= pim_mdev_remove,
};

static int __init pim_mdev_init(void)
{
	int err;

	if (!pim_mdev_device_id || pim_mdev_device_id > 63) {
		pr_err("pim_mdev: device_id=%u is not 1 to 63\n", pim_mdev_device_id);
		return -EINVAL;
	}
	pim_mdev_class = annex_class_create("pim_mdev");
	if (IS_ERR(pim_mdev_class))
		return PTR_ERR(pim_mdev_class);
	pim_mdev_dev = device_create(pim_mdev_class, NULL, MKDEV(0, 0), NULL, "pim");
	if (IS_ERR(pim_mdev_dev)) {
		err = PTR_ERR(pim_mdev_dev);
		goto class;
	}
	pim_mdev_debug = debugfs_create_dir("pim_mdev", NULL);
	err = mdev_register_driver(&pim_mdev_driver);
	if (err)
		goto debug;
	err = pim_rank_notify(&pim_mdev_nb);
	if (err)
		goto driver;
	err = mdev_register_parent(&pim_mdev_parent, pim_mdev_dev, &pim_mdev_driver,
				   pim_mdev_types, ARRAY_SIZE(pim_mdev_types));
	if (err)
		goto notify;
	return 0;
notify:
	pim_rank_unnotify(&pim_mdev_nb);
driver:
	mdev_unregister_driver(&pim_mdev_driver);
debug:
	debugfs_remove_recursive(pim_mdev_debug);
	device_unregister(pim_mdev_dev);
class:
	class_destroy(pim_mdev_class);
	return err;
}

static void __exit pim_mdev_exit(void)
{
	mdev_unregister_parent(&pim_mdev_parent);
	pim_rank_unnotify(&pim_mdev_nb);
	mdev_unregister_driver(&pim_mdev_driver);
	debugfs_remove_recursive(pim_mdev_debug);
	device_unregister(pim_mdev_dev);
	class_destroy(pim_mdev_class);
}

module_init(pim_mdev_init);
module_exit(pim_mdev_exit);
MODULE_SOFTDEP("pre: vfio_iommu_type1");
MODULE_DESCRIPTION("Annex: virtio-pim devices for virtual machines, as mediated devices");
MODULE_AUTHOR("Annex");
MODULE_LICENSE("GPL");
MODULE_VERSION(ANNEX_VERSION);
