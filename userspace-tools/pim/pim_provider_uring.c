// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All ranks by one thread and one io_uring; see pim_provider.h.
 */
#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "pim_provider.h"

/* Have it told when there is a request. There is room: one command a rank. */
static void arm(struct io_uring *ring, struct pim_provider *p)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct pim_uring_run run;

	pim_serve_uring(p->serve, &run);
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, pim_serve_fd(p->serve), NULL, 0, 0);
	sqe->cmd_op = PIM_URING_RUN;
	memcpy(sqe->cmd, &run, sizeof(run));
	io_uring_sqe_set_data(sqe, p);
}

int pim_provider_uring(struct pim_provider *const providers[], size_t n,
		       void (*lost)(struct pim_provider *p, int error))
{
	struct pim_request req;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	size_t left = n;
	int err = io_uring_queue_init((unsigned int)n, &ring, 0);

	if (err)
		return err;
	for (size_t i = 0; i < n; i++)
		arm(&ring, providers[i]);
	while (left) {
		err = io_uring_submit_and_wait(&ring, 1);
		if (err < 0 && err != -EINTR)
			break;
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			struct pim_provider *p = io_uring_cqe_get_data(cqe);

			err = cqe->res;
			io_uring_cqe_seen(&ring, cqe);
			if (err == -EOPNOTSUPP) {
				io_uring_queue_exit(&ring);
				return err;
			}
			if (err) {
				lost(p, -err);
				left--;
				continue;
			}
			while (pim_serve_take(p->serve, &req))
				p->answer(p, &req);
			arm(&ring, p);
		}
		err = 0;
	}
	io_uring_queue_exit(&ring);
	return err;
}
