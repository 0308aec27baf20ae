/* SPDX-License-Identifier: GPL-2.0-only */
/* Events for readers of /dev/pim-arbiter. */
#ifndef PIM_EVENT_H
#define PIM_EVENT_H

#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/types.h>

void pim_event_post(u32 type, u32 rank, u64 lease);
u64 pim_event_last(void);
ssize_t pim_event_read(struct file *file, u64 *seen, char __user *buf, size_t len);
__poll_t pim_event_poll(struct file *file, u64 seen, poll_table *pt);

#endif
