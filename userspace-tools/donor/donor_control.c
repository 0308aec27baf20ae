// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
/*
 * The control socket: a line with a request, an answer to the end of the file.
 * "status" and "metrics" answer with data, "resize BYTES", "reload" and "drain"
 * with "ok" or "error: REASON". Only the donor's own user can connect.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "../lib/ax_size.h"
#include "donor.h"

#define ASKERS 8
#define LINE 128

struct donor_control {
	int listener, epoll;
	char path[DONOR_CONF_TEXT];
	struct asker {
		int fd;		/* -1: free */
		char line[LINE];
		size_t len;
	} asker[ASKERS];
};

static int address(const char *path, struct sockaddr_un *to, struct ax_msg *msg)
{
	memset(to, 0, sizeof(*to));
	to->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(to->sun_path))
		return ax_fail(msg, "socket %s: the path is too long", path);
	strcpy(to->sun_path, path);
	return 0;
}

/* A socket that somebody answers on is another donor's; a dead one is in the way. */
static int make_room(const struct sockaddr_un *at, struct ax_msg *msg)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool answered;

	if (fd < 0)
		return ax_fail(msg, "socket: %s", strerror(errno));
	answered = !connect(fd, (const struct sockaddr *)at, sizeof(*at));
	close(fd);
	if (answered)
		return ax_fail(msg, "socket %s: another emp-donor answers there (socket = in its configuration)",
			       at->sun_path);
	unlink(at->sun_path);
	return 0;
}

/* The directory of the default path, which systemd makes for a unit. */
static void make_directory(const char *path)
{
	char dir[DONOR_CONF_TEXT];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = '\0';
		mkdir(dir, 0755);
	}
}

struct donor_control *donor_control_new(const char *path, int epoll, struct ax_msg *msg)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct donor_control *c;
	struct sockaddr_un at;
	mode_t mask;
	int ret;

	make_directory(path);
	if (address(path, &at, msg) || make_room(&at, msg))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c) {
		ax_fail(msg, "out of memory");
		return NULL;
	}
	c->epoll = epoll;
	strcpy(c->path, path);
	for (unsigned int i = 0; i < ASKERS; i++)
		c->asker[i].fd = -1;
	c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177);
	ret = c->listener < 0 ? -1 : bind(c->listener, (struct sockaddr *)&at, sizeof(at));
	umask(mask);
	event.data.fd = c->listener;
	if (ret || listen(c->listener, ASKERS) ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, c->listener, &event)) {
		ax_fail(msg, "socket %s: %s", path, strerror(errno));
		if (c->listener >= 0)
			close(c->listener);
		free(c);
		return NULL;
	}
	return c;
}

static void hang_up(struct donor_control *c, struct asker *a)
{
	epoll_ctl(c->epoll, EPOLL_CTL_DEL, a->fd, NULL);
	close(a->fd);
	a->fd = -1;
	a->len = 0;
}

void donor_control_free(struct donor_control *c)
{
	if (!c)
		return;
	for (unsigned int i = 0; i < ASKERS; i++) {
		if (c->asker[i].fd >= 0)
			hang_up(c, &c->asker[i]);
	}
	close(c->listener);
	unlink(c->path);
	free(c);
}

static void take(struct donor_control *c)
{
	const struct timeval second = { .tv_sec = 1 };
	struct epoll_event event = { .events = EPOLLIN };
	int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);

	for (unsigned int i = 0; fd >= 0 && i < ASKERS; i++) {
		if (c->asker[i].fd >= 0)
			continue;
		/* who asks and does not read holds the donor up for a second at most */
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
		event.data.fd = fd;
		if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event))
			break;
		c->asker[i].fd = fd;
		return;
	}
	if (fd >= 0)
		close(fd);
}

static char *result(int ret, const struct ax_msg *msg)
{
	char *text = NULL;

	if (asprintf(&text, "%s%s\n", ret ? "error: " : "ok", ret ? msg->text : "") < 0)
		return NULL;
	return text;
}

static char *answer(struct donor *d, const char *line)
{
	struct ax_msg msg;
	uint64_t bytes;

	if (!strcmp(line, "status")) {
		json_t *status = donor_status(d);
		char *text = status ? json_dumps(status, JSON_INDENT(2)) : NULL;

		json_decref(status);
		return text;
	}
	if (!strcmp(line, "metrics"))
		return donor_metrics(d);
	if (!strcmp(line, "reload"))
		return result(donor_reload(d, &msg), &msg);
	if (!strcmp(line, "drain")) {
		donor_core_drain(&d->core, donor_now());
		return result(0, &msg);
	}
	if (!strncmp(line, "resize ", 7) && !ax_parse_u64(line + 7, strlen(line + 7), &bytes))
		return result(donor_resize(d, bytes, &msg), &msg);
	return result(ax_fail(&msg, "unknown request"), &msg);
}

static void read_asker(struct donor *d, struct asker *a)
{
	ssize_t n = recv(a->fd, a->line + a->len, LINE - 1 - a->len, MSG_DONTWAIT);
	char *text, *at;
	size_t left;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		a->len += n;
		a->line[a->len] = '\0';
		at = strchr(a->line, '\n');
		if (!at && a->len < LINE - 1)
			return;
		if (at) {
			*at = '\0';
			text = answer(d, a->line);
			at = text;
			for (left = text ? strlen(text) : 0; left; left -= n, at += n) {
				n = send(a->fd, at, left, MSG_NOSIGNAL);
				if (n <= 0)
					break;
			}
			free(text);
		}
	}
	hang_up(d->control, a);
}

bool donor_control_event(struct donor *d, int fd)
{
	struct donor_control *c = d->control;

	if (!c)
		return false;
	if (fd == c->listener) {
		take(c);
		return true;
	}
	for (unsigned int i = 0; i < ASKERS; i++) {
		if (c->asker[i].fd == fd) {
			read_asker(d, &c->asker[i]);
			return true;
		}
	}
	return false;
}

char *donor_control_ask(const char *path, const char *request, struct ax_msg *msg)
{
	const struct timeval limit = { .tv_sec = 10 };
	struct sockaddr_un to;
	char *text = NULL;
	size_t len = 0;
	FILE *out;
	int fd;

	if (address(path, &to, msg))
		return NULL;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
	    dprintf(fd, "%s\n", request) < 0) {
		ax_fail(msg, "%s: %s%s", path, strerror(errno),
			errno == ENOENT || errno == ECONNREFUSED ? ": no emp-donor runs there" : "");
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	out = open_memstream(&text, &len);
	while (out) {
		char piece[4096];
		ssize_t n = read(fd, piece, sizeof(piece));

		if (n <= 0)
			break;
		fwrite(piece, 1, n, out);
	}
	close(fd);
	if (out)
		fclose(out);
	if (len)
		return text;
	free(text);
	ax_fail(msg, "%s: no answer", path);
	return NULL;
}
