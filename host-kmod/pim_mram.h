/* SPDX-License-Identifier: GPL-2.0-only */
/* The memory of a rank's DPUs. */
#ifndef PIM_MRAM_H
#define PIM_MRAM_H

#include <linux/types.h>

struct file;
struct iov_iter;
struct vm_area_struct;

struct file *pim_mram_create(u32 rank, u64 bytes);
int pim_mram_write(struct file *mram, u64 pos, size_t bytes, struct iov_iter *from);
int pim_mram_read(struct file *mram, u64 pos, size_t bytes, struct iov_iter *to);
void pim_mram_drop(struct file *mram);
u64 pim_mram_used(struct file *mram);
int pim_mram_mmap(struct file *mram, u64 first, struct vm_area_struct *vma);

#endif
