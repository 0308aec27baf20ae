// SPDX-License-Identifier: GPL-2.0-only
/*
 * MRAM of a rank: one unlinked file of shared memory for all its DPUs, DPU i
 * at i * mram_size. So it takes memory only where it was written, can be
 * swapped, is charged to the memory cgroup of who touched it first, and the
 * provider maps it like any file. Transfers copy straight between the user's
 * (or a guest's) memory and its pages; a hole reads as zeros without filling it.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>

#include "pim_compat.h"
#include "pim_mram.h"

struct file *pim_mram_create(u32 rank, u64 bytes)
{
	char name[24];

	snprintf(name, sizeof(name), "pim-rank%u", rank);
	return shmem_file_setup(name, bytes, VM_NORESERVE);
}

/* One page of it. */
static int pim_mram_copy(struct page *page, size_t offset, size_t n, pim_copy_fn copy, void *ctx)
{
	void *mem = kmap_local_page(page);
	int err = copy(ctx, mem + offset, n);

	kunmap_local(mem);
	return err;
}

/** pim_mram_write - @copy gives the @bytes for @pos; its error, -ENOMEM, -EINTR when killed */
int pim_mram_write(struct file *mram, u64 pos, size_t bytes, pim_copy_fn copy, void *ctx)
{
	while (bytes) {
		size_t offset = offset_in_page(pos), n = min_t(size_t, bytes, PAGE_SIZE - offset);
		struct page *page = shmem_read_mapping_page(mram->f_mapping, pos >> PAGE_SHIFT);
		int err;

		if (IS_ERR(page))
			return PTR_ERR(page);
		err = pim_mram_copy(page, offset, n, copy, ctx);
		set_page_dirty(page);
		mark_page_accessed(page);
		put_page(page);
		if (err)
			return err;
		pos += n;
		bytes -= n;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/** pim_mram_read - @copy takes the @bytes from @pos; errors as of pim_mram_write() */
int pim_mram_read(struct file *mram, u64 pos, size_t bytes, pim_copy_fn copy, void *ctx)
{
	struct address_space *mapping = mram->f_mapping;

	while (bytes) {
		size_t offset = offset_in_page(pos), n = min_t(size_t, bytes, PAGE_SIZE - offset);
		struct page *page;
		int err;

		/* Neither a page nor a place in swap: a hole. */
		if (!xa_load(&mapping->i_pages, pos >> PAGE_SHIFT)) {
			err = pim_mram_copy(ZERO_PAGE(0), 0, n, copy, ctx);
		} else {
			page = shmem_read_mapping_page(mapping, pos >> PAGE_SHIFT);
			if (IS_ERR(page))
				return PTR_ERR(page);
			err = pim_mram_copy(page, offset, n, copy, ctx);
			mark_page_accessed(page);
			put_page(page);
		}
		if (err)
			return err;
		pos += n;
		bytes -= n;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/** pim_mram_drop - forget everything: from now on all of it reads as zeros */
void pim_mram_drop(struct file *mram)
{
	unmap_mapping_range(mram->f_mapping, 0, 0, 1);
	shmem_truncate_range(file_inode(mram), 0, -1);
}

/** pim_mram_used - bytes of memory and swap that it takes */
u64 pim_mram_used(struct file *mram)
{
	return READ_ONCE(file_inode(mram)->i_blocks) << SECTOR_SHIFT;
}

/** pim_mram_mapped - does any process have a mapping of it? */
bool pim_mram_mapped(struct file *mram)
{
	return mapping_mapped(mram->f_mapping);
}

/** pim_mram_mmap - mmap of a provider's file, of which @first is where MRAM begins */
int pim_mram_mmap(struct file *mram, u64 first, struct vm_area_struct *vma)
{
	u64 start = ((u64)vma->vm_pgoff << PAGE_SHIFT) - first;

	if (!(vma->vm_flags & VM_SHARED) ||
	    start + (vma->vm_end - vma->vm_start) > i_size_read(file_inode(mram)))
		return -EINVAL;
	/* The mapping is of MRAM itself: it does not keep the provider's file. */
	vma_set_file(vma, mram);
	vma->vm_pgoff = start >> PAGE_SHIFT;
	annex_pim_vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND);
	return mram->f_op->mmap(mram, vma);
}
