// SPDX-License-Identifier: LGPL-2.1-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emp_donor.h"

#define FILE_MAX (1u << 20)	/* bytes of a key file */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Skip blanks; the length of the word that follows. */
static size_t word(const char **at)
{
	*at += strspn(*at, " \t\r");
	return strcspn(*at, " \t\r\n");
}

static bool decode(const char *text, size_t len, struct emp_donor *donor)
{
	if (len % 2 || len / 2 < EMP_DONOR_KEY_MIN || len / 2 > EMP_DONOR_KEY_MAX)
		return false;
	for (size_t i = 0; i < len; i += 2) {
		int high = hex(text[i]), low = hex(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		donor->key[i / 2] = high << 4 | low;
	}
	donor->key_len = len / 2;
	return true;
}

/* The key called @name (NULL: the first) in a file's text of lines "NAME HEX ...". */
static int find(const char *file, const char *text, const char *name, struct emp_donor *donor,
		struct ax_msg *msg)
{
	const char *line = text, *next;

	for (unsigned int nr = 1; *line; line = next, nr++) {
		const char *at = line;
		size_t len = word(&at);

		next = strchrnul(line, '\n');
		next += *next == '\n';
		if (!len || *at == '#')
			continue;
		if (name && (strlen(name) != len || memcmp(at, name, len)))
			continue;
		at += len;
		len = word(&at);
		if (!decode(at, len, donor))
			return ax_fail(msg, "%s line %u: no key of %u to %u hexadecimal digits",
				       file, nr, 2 * EMP_DONOR_KEY_MIN, 2 * EMP_DONOR_KEY_MAX);
		return 0;
	}
	if (name)
		return ax_fail(msg, "%s: there is no key called %s", file, name);
	return ax_fail(msg, "%s: there is no key in it (see emp-donor key add)", file);
}

static int load(const char *file, const char *name, struct emp_donor *donor, struct ax_msg *msg)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), ret = -1;
	struct stat st;
	ssize_t len;
	char *text;

	if (fd < 0)
		return ax_fail(msg, "%s: %s%s", file, strerror(errno), errno == ENOENT ?
			       " (the donor's key: emp-donor key add makes one; key=none without)" :
			       "");
	text = calloc(1, FILE_MAX + 1);
	if (!text || fstat(fd, &st)) {
		ax_fail(msg, "%s: %s", file, strerror(errno));
	} else if (st.st_mode & 077) {
		ax_fail(msg, "%s: others may read it: chmod 600 %s", file, file);
	} else {
		len = read(fd, text, FILE_MAX + 1);
		if (len < 0)
			ax_fail(msg, "%s: %s", file, strerror(errno));
		else if (len > FILE_MAX)
			ax_fail(msg, "%s: larger than a key file can be", file);
		else if (strlen(text) != (size_t)len)
			ax_fail(msg, "%s: it is not text", file);
		else
			ret = find(file, text, name, donor, msg);
	}
	if (text)
		explicit_bzero(text, FILE_MAX + 1);
	free(text);
	close(fd);
	return ret;
}

int emp_donor_key(const char *key, struct emp_donor *donor, struct ax_msg *msg)
{
	char file[EMP_SPEC_LOCATION];
	char *name;

	if (!strcmp(key, "none")) {
		donor->flags |= EMP_DONOR_NOAUTH;
		return 0;
	}
	snprintf(file, sizeof(file), "%s", *key ? key : EMP_DONOR_KEYS);
	/* a name has no slash */
	name = strrchr(file, ':');
	if (name && !strchr(name, '/'))
		*name++ = '\0';
	else
		name = NULL;
	return load(file, name, donor, msg);
}

static int look_up(const struct emp_spec_tier *tier, struct emp_donor *donor, struct ax_msg *msg)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all, *a;
	int err = getaddrinfo(tier->location, NULL, &hints, &all);

	if (err)
		return ax_fail(msg, "donor %s: %s", tier->location, gai_strerror(err));
	for (a = all; a; a = a->ai_next) {
		if (a->ai_family == AF_INET) {
			const struct sockaddr_in *in = (void *)a->ai_addr;

			memcpy(donor->addr, &in->sin_addr, sizeof(in->sin_addr));
			break;
		}
		if (a->ai_family == AF_INET6) {
			const struct sockaddr_in6 *in6 = (void *)a->ai_addr;

			memcpy(donor->addr, &in6->sin6_addr, sizeof(in6->sin6_addr));
			donor->scope_id = in6->sin6_scope_id;
			break;
		}
	}
	if (a)
		donor->family = a->ai_family;
	freeaddrinfo(all);
	return donor->family ? 0 : ax_fail(msg, "donor %s has no IP address", tier->location);
}

int emp_donor_fill(const struct emp_spec_tier *tier, const char *key, struct emp_donor *donor,
		   struct ax_msg *msg)
{
	memset(donor, 0, sizeof(*donor));
	donor->size = sizeof(*donor);
	donor->port = tier->port;
	if (!look_up(tier, donor, msg) && !emp_donor_key(key, donor, msg))
		return 0;
	explicit_bzero(donor, sizeof(*donor));
	return -1;
}
