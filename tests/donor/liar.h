/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The linker's --wrap: calls of NAME go to __wrap_NAME, the true one is
 * __real_NAME. See liar.c.
 */
#ifndef DONOR_TEST_LIAR_H
#define DONOR_TEST_LIAR_H

#include "../../userspace-tools/donor/donor_net.h"

int __real_rdma_accept(struct rdma_cm_id *id, struct rdma_conn_param *param);
int __wrap_rdma_accept(struct rdma_cm_id *id, struct rdma_conn_param *param);
bool __real_donor_conn_send(struct donor_conn *conn, const void *msg, size_t len);
bool __wrap_donor_conn_send(struct donor_conn *conn, const void *msg, size_t len);
void __real_donor_core_accept(struct donor_core *core, struct donor_session *s,
			      const struct annex_donor_hello *hello, uint32_t client_qpn,
			      uint32_t donor_qpn, struct annex_donor_accept *accept);
void __wrap_donor_core_accept(struct donor_core *core, struct donor_session *s,
			      const struct annex_donor_hello *hello, uint32_t client_qpn,
			      uint32_t donor_qpn, struct annex_donor_accept *accept);
int __real_donor_net_expose(struct donor_session *s, struct donor_slab *slab, uint64_t bytes,
			    uint64_t iova);
int __wrap_donor_net_expose(struct donor_session *s, struct donor_slab *slab, uint64_t bytes,
			    uint64_t iova);
bool __real_donor_net_more(struct donor_net *net, uint64_t now);
bool __wrap_donor_net_more(struct donor_net *net, uint64_t now);

#endif
