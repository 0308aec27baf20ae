/* SPDX-License-Identifier: GPL-2.0-only */
/* Events for readers of /dev/emp-control, and as its uevents. */
#ifndef EMP_EVENT_H
#define EMP_EVENT_H

#include <linux/device.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/types.h>

#define EMP_EVENT_NO_TIER U32_MAX

void emp_event_post(u32 type, const char *region, u32 tier);
u64 emp_event_last(void);
ssize_t emp_event_read(struct file *file, u64 *seen, char __user *buf, size_t len);
__poll_t emp_event_poll(struct file *file, u64 seen, poll_table *pt);
void emp_event_announce(struct device *dev);

#endif
