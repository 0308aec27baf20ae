// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/ax_size.h"
#include "donor_key.h"

#define FILE_MAX (1u << 20)	/* bytes of a key file */

static bool name_valid(const char *name, size_t len)
{
	if (!len || len >= DONOR_KEY_NAME || !isalnum((unsigned char)*name))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && !strchr("_.-", name[i]))
			return false;
		if (!name[i])
			return false;
	}
	return true;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool secret_parse(const char *text, size_t len, struct donor_secret *secret)
{
	if (len % 2 || len / 2 < ANNEX_DONOR_KEY_MIN || len / 2 > ANNEX_DONOR_KEY_MAX)
		return false;
	for (size_t i = 0; i < len; i += 2) {
		int high = hex(text[i]), low = hex(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		secret->bytes[i / 2] = high << 4 | low;
	}
	secret->len = len / 2;
	return true;
}

/* The next word of the line, its length in *len; NULL at the end. */
static const char *word(const char **at, const char *end, size_t *len)
{
	const char *begin;

	while (*at < end && (**at == ' ' || **at == '\t' || **at == '\r'))
		(*at)++;
	begin = *at;
	while (*at < end && **at != ' ' && **at != '\t' && **at != '\r')
		(*at)++;
	*len = *at - begin;
	return *len ? begin : NULL;
}

/* Returns 1 for a key, 0 for none on this line, -1 for a fault. */
static int line_parse(const char *at, const char *end, struct donor_key *key, unsigned int nr,
		      struct ax_msg *msg)
{
	const char *w;
	size_t len;

	memset(key, 0, sizeof(*key));
	key->quota = UINT64_MAX;
	w = word(&at, end, &len);
	if (!w || *w == '#')
		return 0;
	if (!name_valid(w, len))
		return ax_fail(msg, "line %u: the name must be 1 to 31 of A-Z a-z 0-9 _ . -", nr);
	memcpy(key->name, w, len);
	w = word(&at, end, &len);
	if (!w || !secret_parse(w, len, &key->secret))
		return ax_fail(msg, "line %u: '%s' has no key of %u to %u hexadecimal digits", nr,
			       key->name, 2 * ANNEX_DONOR_KEY_MIN, 2 * ANNEX_DONOR_KEY_MAX);
	key->id = donor_auth_key_id(&key->secret);
	while ((w = word(&at, end, &len)) && *w != '#') {
		if (len < 7 || memcmp(w, "quota=", 6) ||
		    ax_parse_size(w + 6, len - 6, &key->quota) || key->quota > INT64_MAX)
			return ax_fail(msg, "line %u: '%s' is followed by something else than quota=SIZE",
				       nr, key->name);
	}
	return 1;
}

static int key_append(struct donor_keys *keys, const struct donor_key *key, unsigned int nr,
		      struct ax_msg *msg)
{
	struct donor_key *more;

	if (donor_keys_by_name(keys, key->name) && keys->nr)
		return ax_fail(msg, "line %u: '%s' is there twice", nr, key->name);
	if (donor_keys_by_id(keys, key->id))
		return ax_fail(msg, "line %u: the key of '%s' is another name's too", nr,
			       key->name);
	/* no realloc(): it would leave a copy of the keys behind */
	more = calloc(keys->nr + 1, sizeof(*more));
	if (!more)
		return ax_fail(msg, "out of memory");
	if (keys->nr)
		memcpy(more, keys->key, keys->nr * sizeof(*more));
	more[keys->nr] = *key;
	nr = keys->nr + 1;
	donor_keys_free(keys);
	keys->key = more;
	keys->nr = nr;
	return 0;
}

int donor_keys_parse(const char *text, size_t len, struct donor_keys *keys, struct ax_msg *msg)
{
	const char *end = text + len;
	unsigned int nr = 0;
	struct donor_key key;
	int ret = 0;

	memset(keys, 0, sizeof(*keys));
	while (text < end && ret >= 0) {
		const char *eol = memchr(text, '\n', end - text);

		if (!eol)
			eol = end;
		ret = line_parse(text, eol, &key, ++nr, msg);
		if (ret > 0)
			ret = key_append(keys, &key, nr, msg);
		text = eol + 1;
	}
	explicit_bzero(&key, sizeof(key));
	if (ret >= 0 && !keys->nr)
		ret = ax_fail(msg, "there is no key in it");
	if (ret < 0)
		donor_keys_free(keys);
	return ret < 0 ? -1 : 0;
}

int donor_keys_load(const char *path, struct donor_keys *keys, struct ax_msg *msg)
{
	struct ax_msg why;
	struct stat st;
	char *text;
	ssize_t n;
	int fd, ret = -1;

	memset(keys, 0, sizeof(*keys));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ax_fail(msg, "key file %s: %s%s", path, strerror(errno),
			       errno == ENOENT ? " (emp-donor key add makes one)" : "");
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		close(fd);
		return ax_fail(msg, "key file %s: not a regular file of at most 1 MiB", path);
	}
	if (st.st_mode & 077) {
		close(fd);
		return ax_fail(msg, "key file %s: others may read or change it: chmod 600 it",
			       path);
	}
	text = calloc(1, st.st_size + 1);
	n = text ? read(fd, text, st.st_size) : -1;
	close(fd);
	if (n < 0)
		ax_fail(msg, "key file %s: cannot read it", path);
	else if (!donor_keys_parse(text, n, keys, &why))
		ret = 0;
	else
		ax_fail(msg, "key file %s: %.400s", path, why.text);
	if (text)
		explicit_bzero(text, st.st_size);
	free(text);
	return ret;
}

void donor_keys_free(struct donor_keys *keys)
{
	if (keys->key)
		explicit_bzero(keys->key, keys->nr * sizeof(*keys->key));
	free(keys->key);
	memset(keys, 0, sizeof(*keys));
}

const struct donor_key *donor_keys_by_id(const struct donor_keys *keys, uint64_t id)
{
	for (unsigned int i = 0; i < keys->nr; i++) {
		if (keys->key[i].id == id)
			return &keys->key[i];
	}
	return NULL;
}

const struct donor_key *donor_keys_by_name(const struct donor_keys *keys, const char *name)
{
	for (unsigned int i = 0; i < keys->nr; i++) {
		if (!name || !strcmp(keys->key[i].name, name))
			return &keys->key[i];
	}
	return NULL;
}

int donor_keys_add(const char *path, const char *name, const char *quota, struct ax_msg *msg)
{
	struct donor_keys keys = { 0 };
	uint8_t bytes[32];
	char line[256];
	uint64_t v;
	int fd, n, ret = 0;

	if (!name_valid(name, strlen(name)))
		return ax_fail(msg, "'%s': a name is 1 to 31 of A-Z a-z 0-9 _ . -", name);
	if (quota && (ax_parse_size(quota, strlen(quota), &v) || v > INT64_MAX))
		return ax_fail(msg, "quota '%s' is no size", quota);
	if (!access(path, F_OK) && donor_keys_load(path, &keys, msg))
		return -1;
	if (keys.nr && donor_keys_by_name(&keys, name)) {
		donor_keys_free(&keys);
		return ax_fail(msg, "key file %s: '%s' is there already", path, name);
	}
	donor_keys_free(&keys);
	donor_auth_random(bytes, sizeof(bytes));
	n = snprintf(line, sizeof(line), "%s ", name);
	for (size_t i = 0; i < sizeof(bytes); i++)
		n += snprintf(line + n, sizeof(line) - n, "%02x", bytes[i]);
	n += snprintf(line + n, sizeof(line) - n, "%s%s\n", quota ? " quota=" : "", quota ? quota : "");
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, n) != n || fsync(fd))
		ret = ax_fail(msg, "key file %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	explicit_bzero(line, sizeof(line));
	explicit_bzero(bytes, sizeof(bytes));
	return ret;
}
