/* SPDX-License-Identifier: GPL-2.0-only */
/* Mappings of a region and their faults. */
#ifndef EMP_FAULT_H
#define EMP_FAULT_H

#include "emp_region.h"

int emp_fault_mmap(struct file *file, struct vm_area_struct *vma);
void emp_fault_init_ops(struct emp_region *r);

#endif
