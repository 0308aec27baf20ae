// SPDX-License-Identifier: GPL-2.0-only
/*
 * The least that a fault handler can do: take a page, copy 4 KiB into it from
 * a buffer that is in memory already, and give it to the core. Nothing is
 * remembered: an unmapped page is gone, the next fault makes a new one. This is
 * the yardstick for the software cost of a fault, not something to use.
 *
 * /dev/annex-trivial: write(2) fills the buffer, mmap(2) shows copies of it.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

static unsigned long bytes = 64 << 20;
module_param(bytes, ulong, 0444);
MODULE_PARM_DESC(bytes, "size of the buffer");

static char *buffer;

static vm_fault_t trivial_fault(struct vm_fault *vmf)
{
	unsigned long off = vmf->pgoff << PAGE_SHIFT;
	struct page *page;

	if (off >= bytes)
		return VM_FAULT_SIGBUS;
	page = alloc_page(GFP_HIGHUSER);
	if (!page)
		return VM_FAULT_OOM;
	memcpy(page_address(page), buffer + off, PAGE_SIZE);
	vmf->page = page;
	return 0;
}

/* As in emp.ko: with it, empty or not, the core faults under the VMA lock alone. */
static vm_fault_t trivial_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	return 0;
}

static const struct vm_operations_struct trivial_vm_ops = {
	.fault		= trivial_fault,
	.map_pages	= trivial_map_pages,
};

static int trivial_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vma->vm_ops = &trivial_vm_ops;
	return 0;
}

static ssize_t trivial_write(struct file *file, const char __user *from, size_t len, loff_t *pos)
{
	if (*pos < 0 || *pos >= bytes)
		return -ENOSPC;
	len = min_t(size_t, len, bytes - *pos);
	if (copy_from_user(buffer + *pos, from, len))
		return -EFAULT;
	*pos += len;
	return len;
}

static const struct file_operations trivial_fops = {
	.owner	= THIS_MODULE,
	.mmap	= trivial_mmap,
	.write	= trivial_write,
	.llseek	= default_llseek,
};

static struct miscdevice trivial_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "annex-trivial",
	.fops	= &trivial_fops,
	.mode	= 0600,
};

static int __init trivial_init(void)
{
	int err;

	buffer = vzalloc(bytes);
	if (!buffer)
		return -ENOMEM;
	err = misc_register(&trivial_misc);
	if (err)
		vfree(buffer);
	return err;
}

static void __exit trivial_exit(void)
{
	misc_deregister(&trivial_misc);
	vfree(buffer);
}

module_init(trivial_init);
module_exit(trivial_exit);
MODULE_DESCRIPTION("yardstick for fault handlers");
MODULE_LICENSE("GPL");
