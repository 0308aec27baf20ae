// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <annex/donor_wire.h>

#include "../lib/ax_size.h"
#include "donor_conf.h"

enum kind { TEXT, LISTEN, SIZE, COUNT, TIME, FLAG };

static const struct setting {
	const char *key;
	enum kind kind;
	size_t at, room;	/* in struct donor_conf; bytes of a text */
	uint64_t min, max;
	bool fixed;		/* while the donor runs */
} settings[] = {
#define AT(field) offsetof(struct donor_conf, field)
	{ "memory", SIZE, AT(memory), 0, ANNEX_DONOR_SLAB_MIN, 1ull << 50, false },
	{ "memory-max", SIZE, AT(memory_max), 0, 0, 1ull << 50, true },
	{ "slab", SIZE, AT(slab), 0, ANNEX_DONOR_SLAB_MIN, ANNEX_DONOR_SLAB_MAX, true },
	{ "port", COUNT, AT(port), 0, 1, 65535, true },
	{ "listen", LISTEN, AT(listen), 0, 0, 0, true },
	{ "device", TEXT, AT(device), sizeof(((struct donor_conf *)0)->device), 0, 0, true },
	{ "socket", TEXT, AT(socket), DONOR_CONF_TEXT, 0, 0, true },
	{ "huge-pages", FLAG, AT(huge), 0, 0, 0, true },
	{ "lock", FLAG, AT(lock), 0, 0, 0, true },
	{ "backing", TEXT, AT(backing), sizeof(((struct donor_conf *)0)->backing), 0, 0, true },
	{ "backing-size", SIZE, AT(backing_size), 0, ANNEX_DONOR_SLAB_MIN, 1ull << 50, true },
	{ "backing-force", FLAG, AT(backing_force), 0, 0, 0, true },
	{ "backing-pause", COUNT, AT(backing_pause_us), 0, 0, 1000000, true },
	{ "zero-pause", COUNT, AT(zero_pause_us), 0, 0, 1000000, true },
	{ "key-file", TEXT, AT(key_file), sizeof(((struct donor_conf *)0)->key_file), 0, 0, false },
	{ "no-authentication", FLAG, AT(noauth), 0, 0, 0, false },
	{ "verbose", FLAG, AT(verbose), 0, 0, 0, false },
	{ "quota", SIZE, AT(quota), 0, 0, INT64_MAX, false },
	{ "keep-free", SIZE, AT(keep_free), 0, ANNEX_DONOR_SLAB_MIN, 1ull << 50, false },
	{ "clients", COUNT, AT(clients), 0, 1, 4096, false },
	{ "connections", COUNT, AT(connections), 0, 0, 1024, false },
	{ "heartbeat", TIME, AT(heartbeat_ms), 0, 10, 600000, false },
	{ "client-timeout", TIME, AT(client_ms), 0, 100, 86400000, false },
	{ "linger", TIME, AT(linger_ms), 0, 0, 86400000, false },
	{ "revoke-grace", TIME, AT(revoke_ms), 0, 0, 86400000, false },
	{ "drain-timeout", TIME, AT(drain_ms), 0, 0, 86400000, false },
	{ "proof-timeout", TIME, AT(proof_ms), 0, 100, 600000, false },
#undef AT
};

#define NR_SETTINGS (sizeof(settings) / sizeof(settings[0]))

void donor_conf_defaults(struct donor_conf *conf)
{
	*conf = (struct donor_conf){
		.socket = DONOR_CONF_SOCKET,
		.port = ANNEX_DONOR_PORT,
		.slab = 64ull << 20,
		.huge = true,
		.lock = true,
		.memory = 32ull << 30,	/* the ancestor's */
		.quota = UINT64_MAX,
		.clients = 64,
		.connections = 64,
		.heartbeat_ms = 1000,
		.client_ms = 60000,
		.linger_ms = 30000,
		.drain_ms = 60000,
		.proof_ms = 5000,
	};
}

static int set_text(char *to, size_t room, const struct setting *s, const char *value,
		    struct ax_msg *msg)
{
	if (strlen(value) >= room)
		return ax_fail(msg, "%s: longer than %zu characters", s->key, room - 1);
	strcpy(to, value);
	return 0;
}

static int set_number(void *at, const struct setting *s, const char *value, struct ax_msg *msg)
{
	uint64_t v = 0;
	int ret;

	if (s->kind == SIZE)
		ret = ax_parse_size(value, strlen(value), &v);
	else if (s->kind == TIME)
		ret = ax_parse_ms(value, strlen(value), &v);
	else
		ret = ax_parse_u64(value, strlen(value), &v);
	if (ret || v < s->min || v > s->max) {
		const char *unit = s->kind == SIZE ? " bytes (suffixes K M G T)" :
				   s->kind == TIME ? " ms (suffixes ms s m)" : "";

		return ax_fail(msg, "%s: '%s' is no number from %llu to %llu%s", s->key, value,
			       (unsigned long long)s->min, (unsigned long long)s->max, unit);
	}
	if (s->kind == SIZE)
		*(uint64_t *)at = v;
	else
		*(uint32_t *)at = v;
	return 0;
}

int donor_conf_set(struct donor_conf *conf, const char *key, const char *value, struct ax_msg *msg)
{
	const char *words[NR_SETTINGS + 1] = { NULL };
	const char *near;

	for (size_t i = 0; i < NR_SETTINGS; i++) {
		const struct setting *s = &settings[i];
		void *at = (char *)conf + s->at;

		words[i] = s->key;
		if (strcmp(s->key, key))
			continue;
		if (!*value)
			return ax_fail(msg, "%s: no value", key);
		switch (s->kind) {
		case TEXT:
			return set_text(at, s->room, s, value, msg);
		case LISTEN:
			if (conf->nr_listen == DONOR_CONF_LISTEN)
				return ax_fail(msg, "listen: more than %d addresses",
					       DONOR_CONF_LISTEN);
			return set_text(conf->listen[conf->nr_listen++], sizeof(conf->listen[0]), s,
					value, msg);
		case FLAG:
			if (strcmp(value, "yes") && strcmp(value, "no"))
				return ax_fail(msg, "%s: '%s' is neither yes nor no", key, value);
			*(bool *)at = *value == 'y';
			return 0;
		default:
			return set_number(at, s, value, msg);
		}
	}
	near = ax_nearest(key, words);
	return ax_fail(msg, "unknown setting '%.64s'%s%s%s", key, near ? "; did you mean '" : "",
		       near ? near : "", near ? "'?" : "");
}

static char *trim(char *text)
{
	char *end;

	text += strspn(text, " \t\r");
	end = text + strlen(text);
	while (end > text && strchr(" \t\r", end[-1]))
		end--;
	*end = '\0';
	return text;
}

/* One line, which is changed. */
static int line_parse(char *line, struct donor_conf *conf, struct ax_msg *msg)
{
	char *value, *key = trim(line);

	key[strcspn(key, "#")] = '\0';
	key = trim(key);
	if (!*key)
		return 0;
	value = strchr(key, '=');
	if (!value)
		return ax_fail(msg, "'%.64s' is not KEY = VALUE", key);
	*value++ = '\0';
	return donor_conf_set(conf, trim(key), trim(value), msg);
}

int donor_conf_parse(const char *text, size_t len, struct donor_conf *conf, struct ax_msg *msg)
{
	const char *end = text + len;
	struct ax_msg why;

	for (unsigned int nr = 1; text < end; nr++) {
		const char *eol = memchr(text, '\n', end - text);
		char line[512];

		if (!eol)
			eol = end;
		if ((size_t)(eol - text) >= sizeof(line) || memchr(text, '\0', eol - text))
			return ax_fail(msg, "line %u: longer than %zu characters, or with a NUL",
				       nr, sizeof(line) - 1);
		memcpy(line, text, eol - text);
		line[eol - text] = '\0';
		if (line_parse(line, conf, &why))
			return ax_fail(msg, "line %u: %.480s", nr, why.text);
		text = eol + 1;
	}
	return 0;
}

int donor_conf_load(const char *path, bool must, struct donor_conf *conf, struct ax_msg *msg)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	static char text[1u << 16];
	struct ax_msg why;
	ssize_t n;

	if (fd < 0 && errno == ENOENT && !must)
		return 0;
	if (fd < 0)
		return ax_fail(msg, "%s: %s", path, strerror(errno));
	n = read(fd, text, sizeof(text));
	close(fd);
	if (n < 0 || n == sizeof(text))
		return ax_fail(msg, "%s: cannot be read, or is longer than 64 KiB", path);
	if (donor_conf_parse(text, n, conf, &why))
		return ax_fail(msg, "%s: %.400s", path, why.text);
	return 0;
}

int donor_conf_check(struct donor_conf *conf, struct ax_msg *msg)
{
	if (conf->slab & (conf->slab - 1))
		return ax_fail(msg, "slab: must be a power of two");
	if (conf->memory < conf->slab)
		return ax_fail(msg, "memory: less than one slab of %llu MiB",
			       (unsigned long long)(conf->slab >> 20));
	if (!conf->memory_max)
		conf->memory_max = 1ull << 44;
	if (conf->memory_max / conf->slab > 1u << 20)
		conf->memory_max = conf->slab << 20;
	if (conf->memory > conf->memory_max)
		return ax_fail(msg, "memory: more than memory-max, or than 2^20 slabs");
	conf->memory -= conf->memory % conf->slab;
	if (!conf->backing[0] && (conf->backing_size || conf->backing_force || conf->keep_free))
		return ax_fail(msg, "%s: without backing", conf->backing_size ? "backing-size" :
			       conf->backing_force ? "backing-force" : "keep-free");
	if (conf->backing_size && conf->backing_size < conf->slab)
		return ax_fail(msg, "backing-size: less than one slab of %llu MiB",
			       (unsigned long long)(conf->slab >> 20));
	if (conf->keep_free > conf->memory / 2)
		return ax_fail(msg, "keep-free: more than half of memory");
	if (conf->heartbeat_ms * 2ull > conf->client_ms)
		return ax_fail(msg, "client-timeout: less than two heartbeats");
	if (!conf->noauth && !conf->key_file[0])
		return ax_fail(msg, "no key-file: make one (emp-donor key add FILE NAME) and name it, or say no-authentication = yes");
	return 0;
}

const char *donor_conf_needs_restart(const struct donor_conf *now, const struct donor_conf *then)
{
	for (size_t i = 0; i < NR_SETTINGS; i++) {
		const struct setting *s = &settings[i];
		const char *a = (const char *)now + s->at, *b = (const char *)then + s->at;
		bool same;

		if (!s->fixed)
			continue;
		switch (s->kind) {
		case TEXT:
			same = !strcmp(a, b);
			break;
		case LISTEN:
			same = now->nr_listen == then->nr_listen;
			for (unsigned int n = 0; same && n < now->nr_listen; n++)
				same = !strcmp(now->listen[n], then->listen[n]);
			break;
		case FLAG:
			same = *(const bool *)a == *(const bool *)b;
			break;
		case SIZE:
			same = *(const uint64_t *)a == *(const uint64_t *)b;
			break;
		default:
			same = *(const uint32_t *)a == *(const uint32_t *)b;
		}
		if (!same)
			return s->key;
	}
	return NULL;
}
