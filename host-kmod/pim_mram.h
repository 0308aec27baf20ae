/* SPDX-License-Identifier: GPL-2.0-only */
/* The memory of a rank's DPUs. */
#ifndef PIM_MRAM_H
#define PIM_MRAM_H

#include <linux/types.h>

struct file;
struct vm_area_struct;

/*
 * Copies @n bytes to or from @mem, which is a piece of one page of MRAM: what it
 * is called for in turn is one range. 0 or an error, which ends the transfer.
 */
typedef int (*pim_copy_fn)(void *ctx, void *mem, size_t n);

struct file *pim_mram_create(u32 rank, u64 bytes);
int pim_mram_write(struct file *mram, u64 pos, size_t bytes, pim_copy_fn copy, void *ctx);
int pim_mram_read(struct file *mram, u64 pos, size_t bytes, pim_copy_fn copy, void *ctx);
void pim_mram_drop(struct file *mram);
u64 pim_mram_used(struct file *mram);
bool pim_mram_mapped(struct file *mram);
int pim_mram_mmap(struct file *mram, u64 first, struct vm_area_struct *vma);

#endif
