/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The provider's side of pim.ko: add a rank, take its requests, answer them.
 *
 * One rank is one struct pim_serve; it is for one thread at a time. Different
 * ranks share nothing.
 */
#ifndef PIM_SERVE_H
#define PIM_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <annex/pim.h>

#include "../lib/ax_err.h"

struct pim_serve;

/* /dev/pim-control (or $PIM_CONTROL), after a look at its version. An fd or -1. */
int pim_control_open(struct ax_msg *msg);

/*
 * Fill @add for a rank of @nr_cis times @nr_dpus_per_ci DPUs with @mram_size
 * bytes each, everything else as the kernel's defaults, number @id (PIM_ID_ANY).
 */
void pim_serve_defaults(struct pim_rank_add *add, uint32_t id, uint32_t nr_cis,
			uint32_t nr_dpus_per_ci, uint64_t mram_size);

/*
 * Add the rank, or take it over. @add->id is the number that it became. NULL
 * after a message. @control may be closed afterwards.
 */
struct pim_serve *pim_serve_add(int control, struct pim_rank_add *add, struct ax_msg *msg);
void pim_serve_close(struct pim_serve *s);

/* Its file, for poll() or PIM_IOC_EVENTFD. */
int pim_serve_fd(const struct pim_serve *s);

/* MRAM of DPU @dpu = 8 * member + ci: mram_size bytes, shared with the kernel. */
void *pim_serve_mram(const struct pim_serve *s, uint32_t dpu);

/*
 * For PIM_RANK_F_SAVE. Before PIM_OP_SAVE is answered MRAM is to be unmapped, and
 * mapped again, at the same address, in PIM_OP_RESET if it is not mapped, and in
 * PIM_OP_RESTORE in any case. While it is not mapped, touching it is a segmentation
 * fault. 0, or a negative errno.
 */
int pim_serve_unmap_mram(struct pim_serve *s);
int pim_serve_map_mram(struct pim_serve *s);
bool pim_serve_mram_mapped(const struct pim_serve *s);
/* PIM_IOC_STATE_PUT, PIM_IOC_STATE_GET; the latter: how many bytes, or a negative errno. */
int pim_serve_put_state(struct pim_serve *s, const void *bytes, uint32_t size);
int64_t pim_serve_get_state(struct pim_serve *s, void *bytes, uint32_t room);

/*
 * The next request, after passing on what was completed. Waits at most
 * @timeout_ms (0: for ever, -1: not at all). 1: *req is filled in; 0: none came
 * in time or a signal did; -1: the rank is lost to this provider (ESHUTDOWN),
 * or another errno.
 */
int pim_serve_next(struct pim_serve *s, struct pim_request *req, int timeout_ms);

/*
 * The same in two halves, for a program with an io_uring that waits for many things.
 * pim_serve_take(): a request that is in the ring already, 1, or 0: there is none.
 * When there is none: pim_serve_uring() passes on what was completed, and @run is what
 * the PIM_URING_RUN is to hold that tells of the next one; it is to be submitted.
 */
int pim_serve_take(struct pim_serve *s, struct pim_request *req);
void pim_serve_uring(struct pim_serve *s, struct pim_uring_run *run);

/*
 * Answer a request: @result 0 or a negative errno; @words PIM_CIS_MAX result
 * words, or NULL. It reaches the kernel by the next pim_serve_next().
 */
void pim_serve_complete(struct pim_serve *s, const struct pim_request *req, int result,
			const uint64_t *words);

#endif
