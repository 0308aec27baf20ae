// SPDX-License-Identifier: GPL-2.0-or-later
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "donor_net.h"

static struct donor_home *home_of(const struct donor_session *s)
{
	return s->net;
}

/* --- devices --------------------------------------------------------------- */

static int watch(struct donor_net *net, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
		return -1;
	return epoll_ctl(net->epoll, EPOLL_CTL_ADD, fd, &event);
}

/*
 * A connection may be closed before the CM says that its device goes, and a
 * session may have none: so there is always one identifier that belongs to the
 * device.
 */
static int watch_device(struct donor_net *net, struct donor_dev *dev, const struct rdma_cm_id *id)
{
	struct sockaddr_storage addr = { 0 };
	const struct sockaddr *local = rdma_get_local_addr((struct rdma_cm_id *)id);

	if (local->sa_family == AF_INET6) {
		memcpy(&addr, local, sizeof(struct sockaddr_in6));
		((struct sockaddr_in6 *)&addr)->sin6_port = 0;
	} else {
		memcpy(&addr, local, sizeof(struct sockaddr_in));
		((struct sockaddr_in *)&addr)->sin_port = 0;
	}
	if (rdma_create_id(net->channel, &dev->watch, net, RDMA_PS_TCP))
		return -1;
	return rdma_bind_addr(dev->watch, (struct sockaddr *)&addr);
}

static struct donor_dev *dev_of(struct donor_net *net, const struct rdma_cm_id *id)
{
	struct ibv_context *verbs = id->verbs;
	struct donor_dev *dev;

	for (dev = net->devs; dev; dev = dev->next) {
		if (dev->verbs == verbs && !dev->gone)
			return dev;
	}
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return NULL;
	dev->verbs = verbs;
	dev->comp = ibv_create_comp_channel(verbs);
	if (!dev->comp || watch(net, dev->comp->fd) || watch(net, verbs->async_fd) ||
	    watch_device(net, dev, id)) {
		if (dev->watch)
			rdma_destroy_id(dev->watch);
		if (dev->comp)
			ibv_destroy_comp_channel(dev->comp);
		free(dev);
		return NULL;
	}
	dev->next = net->devs;
	net->devs = dev;
	return dev;
}

/*
 * librdmacm keeps what it has open of a device until it sees another one come, and
 * that long the kernel keeps who removes it waiting. So its file descriptors are
 * made to lead nowhere; librdmacm closes them when it looks again.
 */
static void let_go(const struct ibv_context *verbs)
{
	int cmd = verbs->cmd_fd, async = verbs->async_fd;
	int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct ibv_context **left;
	int nr;

	if (nowhere < 0 || dup2(nowhere, async) < 0 || dup2(nowhere, cmd) < 0)
		ax_warn("an RDMA device cannot be let go: %s", strerror(errno));
	if (nowhere >= 0)
		close(nowhere);
	left = rdma_get_devices(&nr);
	if (left)
		rdma_free_devices(left);
}

static void dev_free(struct donor_net *net, struct donor_dev *dev)
{
	struct donor_dev **at = &net->devs;

	if (dev->watch)
		rdma_destroy_id(dev->watch);
	epoll_ctl(net->epoll, EPOLL_CTL_DEL, dev->comp->fd, NULL);
	epoll_ctl(net->epoll, EPOLL_CTL_DEL, dev->verbs->async_fd, NULL);
	ibv_destroy_comp_channel(dev->comp);
	if (dev->gone)
		let_go(dev->verbs);
	while (*at != dev)
		at = &(*at)->next;
	*at = dev->next;
	free(dev);
}

/* The device goes: whoever keeps anything on it keeps its remover waiting. */
static void dev_gone(struct donor_net *net, struct donor_dev *dev)
{
	struct donor_session *s, *next;

	if (dev->gone)
		return;
	ax_warn("RDMA device %s is being removed: its sessions end",
		ibv_get_device_name(dev->verbs->device));
	dev->gone = true;
	for (s = net->core->sessions; s; s = next) {
		next = s->next;
		if (home_of(s)->dev == dev)
			donor_core_end(net->core, s, ANNEX_DONOR_R_DEVICE);
	}
}

static void async_event(struct donor_net *net, struct donor_dev *dev)
{
	struct ibv_async_event event;

	while (!ibv_get_async_event(dev->verbs, &event)) {
		enum ibv_event_type type = event.event_type;

		ibv_ack_async_event(&event);
		if (type == IBV_EVENT_DEVICE_FATAL) {
			dev_gone(net, dev);
			return;
		}
	}
}

static void comp_event(struct donor_dev *dev, uint64_t now)
{
	struct ibv_cq *cq;
	void *context;

	for (unsigned int i = 0; i < 64 && !ibv_get_cq_event(dev->comp, &cq, &context); i++) {
		struct donor_conn *conn = context;

		ibv_ack_cq_events(cq, 1);
		if (conn->closed)
			continue;
		if (ibv_req_notify_cq(cq, 0))
			ax_warn("completion queue: %s", strerror(errno));
		donor_conn_poll(conn, now);
	}
}

/* --- listeners ------------------------------------------------------------- */

static int listen_on(struct donor_net *net, const struct sockaddr *addr, const char *name,
		     struct ax_msg *msg)
{
	struct rdma_cm_id *id;
	int only = 1;

	if (net->nr_listeners == DONOR_LISTENERS)
		return ax_fail(msg, "too many addresses to listen on");
	if (rdma_create_id(net->channel, &id, net, RDMA_PS_TCP))
		return ax_fail(msg, "cannot make an RDMA CM identifier: %s", strerror(errno));
	/* IPv4 has a listener of its own */
	if (addr->sa_family == AF_INET6)
		rdma_set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_AFONLY, &only, sizeof(only));
	if (rdma_bind_addr(id, (struct sockaddr *)addr) || rdma_listen(id, DONOR_BACKLOG)) {
		int error = errno;

		rdma_destroy_id(id);
		return ax_fail(msg, "cannot listen on %s port %u: %s%s", name, net->conf->port,
			       strerror(error), error == ENODEV ?
			       " (is it an address of an RDMA device? see rdma link)" :
			       error == EADDRNOTAVAIL || error == EADDRINUSE ?
			       " (the port is taken, or it is no address of this machine)" : "");
	}
	net->listener[net->nr_listeners++] = id;
	return 0;
}

static int listen_name(struct donor_net *net, const char *name, struct ax_msg *msg)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *all, *a;
	char port[8];
	int ret;

	snprintf(port, sizeof(port), "%u", net->conf->port);
	ret = getaddrinfo(name, port, &hints, &all);
	if (ret)
		return ax_fail(msg, "listen: %s: %s", name, gai_strerror(ret));
	ret = -1;
	for (a = all; a; a = a->ai_next) {
		if (!listen_on(net, a->ai_addr, name, msg))
			ret = 0;
	}
	freeaddrinfo(all);
	return ret;
}

static int listen_all(struct donor_net *net, struct ax_msg *msg)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(net->conf->port) };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(net->conf->port) };
	struct ax_msg ignored;

	if (listen_on(net, (struct sockaddr *)&v4, "0.0.0.0", msg))
		return -1;
	listen_on(net, (struct sockaddr *)&v6, "::", &ignored);	/* IPv6 may be off */
	return 0;
}

/* A device that is named but not there is a mistake worth a word at the start. */
int donor_net_check_device(const char *name, struct ax_msg *msg)
{
	struct ibv_device **list;
	bool found = !*name;
	int nr = 0;

	list = ibv_get_device_list(&nr);
	for (int i = 0; list && i < nr; i++)
		found |= !strcmp(ibv_get_device_name(list[i]), name);
	if (list)
		ibv_free_device_list(list);
	if (!nr)
		return ax_fail(msg, "there is no RDMA device (rdma link; for soft-RoCE: modprobe rdma_rxe; rdma link add rxe0 type rxe netdev NAME)");
	if (!found)
		return ax_fail(msg, "there is no RDMA device %s (see rdma link)", name);
	return 0;
}

int donor_net_init(struct donor_net *net, const struct donor_conf *conf, struct donor_core *core,
		   int epoll, struct ax_msg *msg)
{
	memset(net, 0, sizeof(*net));
	net->conf = conf;
	net->core = core;
	net->epoll = epoll;
	net->channel = rdma_create_event_channel();
	if (!net->channel || watch(net, net->channel->fd))
		return ax_fail(msg, "RDMA CM: %s (modprobe rdma_ucm)", strerror(errno));
	if (!conf->nr_listen)
		return listen_all(net, msg);
	for (unsigned int i = 0; i < conf->nr_listen; i++) {
		if (listen_name(net, conf->listen[i], msg))
			return -1;
	}
	return 0;
}

void donor_net_exit(struct donor_net *net)
{
	for (unsigned int i = 0; i < net->nr_listeners; i++)
		rdma_destroy_id(net->listener[i]);
	net->nr_listeners = 0;
	/* the last ones may wait for their port: not for ever */
	for (unsigned int i = 0; donor_net_reap(net) && i < 20; i++)
		usleep(100000);
	while (net->devs)
		dev_free(net, net->devs);
	if (net->channel && !net->conns)
		rdma_destroy_event_channel(net->channel);
}

/* --- connects -------------------------------------------------------------- */

static bool same_device(void *arg, const struct donor_session *s)
{
	return home_of(s)->dev == arg;
}

static void peer_name(const struct rdma_cm_id *id, char out[64])
{
	const struct sockaddr *addr = rdma_get_peer_addr((struct rdma_cm_id *)id);
	char host[NI_MAXHOST];

	if (getnameinfo(addr, addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) :
			sizeof(struct sockaddr_in), host, sizeof(host), NULL, 0, NI_NUMERICHOST))
		strcpy(host, "?");
	snprintf(out, 64, "%.63s", host);
}

/* A session's place on a device, with a protection domain of its own. */
static int home_new(struct donor_dev *dev, struct donor_session *s)
{
	struct donor_home *home = calloc(1, sizeof(*home));

	if (!home)
		return -1;
	s->net = home;
	home->dev = dev;
	dev->homes++;
	home->pd = ibv_alloc_pd(dev->verbs);
	return home->pd ? 0 : -1;
}

static void reject(struct donor_net *net, struct rdma_cm_id *id, int reason)
{
	struct annex_donor_reject r;
	char peer[64];

	peer_name(id, peer);
	ax_warn("connect from %s refused: %s", peer, donor_reason_name(reason));
	donor_core_reject(net->core, reason, &r);
	rdma_reject(id, &r, sizeof(r));
	rdma_destroy_id(id);
}

static uint8_t at_most(uint8_t wanted, int have)
{
	return wanted < have ? wanted : have > 0 ? have : 0;
}

static int accept_it(struct donor_net *net, struct donor_conn *conn, struct donor_session *s,
		     const struct annex_donor_hello *hello, const struct rdma_conn_param *asked)
{
	struct annex_donor_accept accept;
	struct ibv_device_attr attr;
	struct rdma_conn_param param = {
		.private_data = &accept,
		.private_data_len = sizeof(accept),
		.rnr_retry_count = 6,	/* 7 is for ever */
	};

	if (ibv_query_device(conn->dev->verbs, &attr))
		return -1;
	/* the event has it from our point of view: what the client may have under way here */
	param.responder_resources = at_most(asked->responder_resources, attr.max_qp_rd_atom);
	param.initiator_depth = at_most(asked->initiator_depth, attr.max_qp_init_rd_atom);
	donor_core_accept(net->core, s, hello, asked->qp_num, conn->qpn, &accept);
	return rdma_accept(conn->id, &param);
}

/* Where it came in and whether there is still room; else the reason. */
static int may_connect(struct donor_net *net, const struct donor_dev *dev)
{
	if (!dev)
		return ANNEX_DONOR_R_INTERNAL;
	if (net->conf->device[0] && strcmp(net->conf->device,
					   ibv_get_device_name(dev->verbs->device)))
		return ANNEX_DONOR_R_DEVICE;
	return 0;
}

static void connect_request(struct donor_net *net, struct rdma_cm_id *id,
			    const struct rdma_conn_param *asked, uint64_t now)
{
	struct donor_dev *dev = dev_of(net, id);
	const struct annex_donor_hello *hello = asked->private_data;
	struct donor_session *s = NULL;
	struct donor_conn *conn = NULL;
	bool control;
	int reason;

	id->context = net;
	reason = may_connect(net, dev);
	if (!reason)
		reason = donor_core_hello(net->core, hello, asked->private_data_len, asked->qp_num,
					  same_device, dev, now, &s);
	if (reason) {
		reject(net, id, reason);
		return;
	}
	control = hello->kind != ANNEX_DONOR_JOIN;
	if (hello->kind == ANNEX_DONOR_OPEN && home_new(dev, s))
		reason = ANNEX_DONOR_R_INTERNAL;
	else if (!control && home_of(s)->joined >= net->conf->connections)
		reason = ANNEX_DONOR_R_FULL;
	else
		conn = donor_conn_new(net, dev, id, s, control);
	if (!conn) {
		reject(net, id, reason ? reason : ANNEX_DONOR_R_INTERNAL);
	} else {
		peer_name(id, conn->peer);
		if (control)
			memcpy(home_of(s)->peer, conn->peer, sizeof(conn->peer));
		if (!accept_it(net, conn, s, hello, asked))
			return;
		ax_warn("cannot accept %s: %s", conn->peer, strerror(errno));
	}
	if (control)
		donor_core_lost(net->core, s, now);
	else if (conn)
		donor_conn_close(conn);
}

static void cm_event(struct donor_net *net, enum rdma_cm_event_type type, struct rdma_cm_id *id,
		     const struct rdma_conn_param *param, uint64_t now)
{
	struct donor_conn *conn = id->context == net ? NULL : id->context;

	switch (type) {
	case RDMA_CM_EVENT_CONNECT_REQUEST:
		connect_request(net, id, param, now);
		return;
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		if (conn)
			dev_gone(net, conn->dev);
		for (struct donor_dev *d = net->devs; !conn && d; d = d->next) {
			if (d->verbs == id->verbs)
				dev_gone(net, d);
		}
		return;
	case RDMA_CM_EVENT_ESTABLISHED:
		if (!conn || conn->closed)
			return;
		conn->established = true;
		if (conn->control)
			donor_core_established(net->core, conn->session, now);
		return;
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
	case RDMA_CM_EVENT_REJECTED:
		if (!conn || conn->closed)
			return;
		if (conn->control)
			donor_core_lost(net->core, conn->session, now);
		else
			donor_conn_close(conn);
		return;
	default:
		return;
	}
}

/* Some of them; epoll says so when there are more. */
static void cm_events(struct donor_net *net, uint64_t now)
{
	struct rdma_cm_event *event;

	for (unsigned int i = 0; i < 64 && !rdma_get_cm_event(net->channel, &event); i++) {
		struct rdma_conn_param param = event->param.conn;
		enum rdma_cm_event_type type = event->event;
		struct rdma_cm_id *id = event->id;
		uint64_t private[32] = { 0 };	/* aligned; the length has 8 bits */

		if (!param.private_data || type != RDMA_CM_EVENT_CONNECT_REQUEST)
			param.private_data_len = 0;
		if (param.private_data_len)
			memcpy(private, param.private_data, param.private_data_len);
		param.private_data = private;
		/* first of all: an identifier is destroyed only when its events are acked */
		rdma_ack_cm_event(event);
		cm_event(net, type, id, &param, now);
	}
}

bool donor_net_event(struct donor_net *net, int fd, uint64_t now)
{
	if (fd == net->channel->fd) {
		cm_events(net, now);
		return true;
	}
	for (struct donor_dev *dev = net->devs; dev; dev = dev->next) {
		if (fd == dev->comp->fd) {
			comp_event(dev, now);
			return true;
		}
		if (fd == dev->verbs->async_fd) {
			async_event(net, dev);
			return true;
		}
	}
	return false;
}

bool donor_net_more(struct donor_net *net, uint64_t now)
{
	bool more = false;

	/* nothing is taken off the list here, only by donor_net_reap() */
	for (struct donor_conn *c = net->conns; c; c = c->next) {
		if (c->more && !c->closed)
			donor_conn_poll(c, now);
		more |= c->more && !c->closed;
	}
	return more;
}

bool donor_net_reap(struct donor_net *net)
{
	bool waiting = false;

	for (struct donor_conn *c = net->conns, *next; c; c = next) {
		next = c->next;
		if (c->closed)
			waiting |= !donor_conn_reap(c);
	}
	for (struct donor_dev *d = net->devs, *next; d; d = next) {
		bool used = d->homes;

		next = d->next;
		for (struct donor_conn *c = net->conns; c; c = c->next)
			used |= c->dev == d;
		if (d->gone && !used)
			dev_free(net, d);
	}
	return waiting;
}

/* --- what the protocol asks for ---------------------------------------------- */

int donor_net_expose(struct donor_session *s, struct donor_slab *slab, uint64_t bytes,
		     uint64_t iova)
{
	struct ibv_mr *mr;

	/* an address of our choice: it gives away nothing, and no two grants are adjacent */
	mr = ibv_reg_mr_iova(home_of(s)->pd, slab->memory, bytes, iova,
			     IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
			     IBV_ACCESS_REMOTE_WRITE);
	if (!mr) {
		ax_warn("cannot register memory for %s: %s", s->client->name, strerror(errno));
		return -1;
	}
	slab->exposed = mr;
	slab->addr = iova;
	slab->rkey = mr->rkey;
	return 0;
}

void donor_net_hide(struct donor_session *s, struct donor_slab *slab)
{
	struct ibv_device_attr attr;

	/*
	 * What cannot be deregistered may still be written to: it must never change
	 * hands. Unless the device is gone: then the kernel has taken it all away.
	 */
	if (ibv_dereg_mr(slab->exposed) && !home_of(s)->dev->gone &&
	    !ibv_query_device(home_of(s)->dev->verbs, &attr)) {
		ax_error("cannot deregister a grant: %s", strerror(errno));
		abort();
	}
	slab->exposed = NULL;
}

bool donor_net_send(struct donor_session *s, const void *msg, size_t len)
{
	struct donor_home *home = home_of(s);

	return home->control && donor_conn_send(home->control, msg, len);
}

bool donor_net_fence(struct donor_net *net, struct donor_session *s, uint32_t qpn)
{
	for (struct donor_conn *c = net->conns; c; c = c->next) {
		if (c->session == s && !c->control && c->qpn == qpn) {
			donor_conn_close(c);
			return true;
		}
	}
	return false;
}

void donor_net_hangup(struct donor_net *net, struct donor_session *s, const void *msg, size_t len)
{
	struct donor_home *home = home_of(s);

	if (!home)
		return;
	if (msg && home->control && !home->dev->gone)
		donor_conn_farewell(home->control, msg, len);
	for (struct donor_conn *c = net->conns; c; c = c->next) {
		if (c->session == s)
			donor_conn_close(c);
	}
}

void donor_net_ended(struct donor_session *s)
{
	struct donor_home *home = home_of(s);

	if (!home)
		return;
	if (home->pd && ibv_dealloc_pd(home->pd))
		ax_warn("cannot free a protection domain: %s", strerror(errno));
	home->dev->homes--;
	free(home);
	s->net = NULL;
}
