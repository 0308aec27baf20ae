/* SPDX-License-Identifier: GPL-2.0-only */
/* The state of a rank beside MRAM, as its provider gives and takes it. */
#ifndef PIM_STATE_H
#define PIM_STATE_H

#include <linux/types.h>

struct file;
struct mem_cgroup;
struct pim_session;

/* A PIM_OP_SAVE or PIM_OP_RESTORE under way. */
struct pim_state_xfer {
	struct file *file;		/* where the state is; NULL: none is under way */
	struct mem_cgroup *memcg;	/* to whom it is charged; who asked has a reference */
	u32 bytes;
	bool put;			/* PIM_OP_SAVE */
};

struct file *pim_state_create(u32 rank, u32 bytes_max);
int pim_state_save(struct pim_session *s, struct file *state, struct mem_cgroup *memcg, u32 *bytes);
int pim_state_restore(struct pim_session *s, struct file *state, u32 bytes);
int pim_ioc_state_put(struct pim_session *s, void __user *arg);
int pim_ioc_state_get(struct pim_session *s, void __user *arg);

#endif
