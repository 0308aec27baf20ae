// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The part of TOML 1.0 that configurations need: comments, [tables], bare and
 * dotted keys, strings on one line, integers, floats and booleans. The rest
 * (arrays, dates, quoted keys, inline tables, hexadecimal) is refused with its
 * line, as are keys given twice. Debian 12 has no TOML library for C.
 *
 * 'preset = "hypertrio"', before all other keys, starts from that one instead
 * of from base.
 */
#include <ctype.h>
#include <string.h>

#include "hs_config.h"

#define KEYS_MAX 128	/* keys of a file; there are fewer to give */

struct toml {
	struct hs_config *config;
	const char *name;
	unsigned int line;
	struct ax_msg *msg;
	char section[64];
	const struct hs_config_key *seen[KEYS_MAX];
	unsigned int nr_seen;
	char sections[32][64];
	unsigned int nr_sections;
	bool preset;
};

static int wrong(struct toml *t, const char *what)
{
	return ax_fail(t->msg, "%s:%u: %s", t->name, t->line, what);
}

static const char *blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* Nothing but a comment may follow. */
static bool at_end(const char *p)
{
	p = blanks(p);
	return !*p || *p == '#';
}

/* Bare keys with dots between them, into @out; NULL when there is none. */
static const char *take_key(const char *p, char *out, size_t size)
{
	size_t n = 0;

	for (;;) {
		size_t len = 0;

		p = blanks(p);
		while (isalnum((unsigned char)p[len]) || p[len] == '_' || p[len] == '-')
			len++;
		if (!len || n + len + 2 > size)
			return NULL;
		memcpy(out + n, p, len);
		n += len;
		p = blanks(p + len);
		if (*p != '.')
			break;
		out[n++] = '.';
		p++;
	}
	out[n] = '\0';
	return p;
}

static const char *take_string(const char *p, char *out, size_t size)
{
	char quote = *p++;
	size_t n = 0;

	while (*p && *p != quote) {
		char c = *p++;

		if (quote == '"' && c == '\\') {
			if (*p != '"' && *p != '\\')
				return NULL;	/* no word has any other escape in it */
			c = *p++;
		}
		if (n + 1 == size || (unsigned char)c < ' ')
			return NULL;
		out[n++] = c;
	}
	out[n] = '\0';
	return *p == quote ? p + 1 : NULL;
}

static int table(struct toml *t, const char *p)
{
	bool known = false;

	if (*p == '[')
		return wrong(t, "arrays of tables are not used here");
	p = take_key(p, t->section, sizeof(t->section) - 1);
	if (!p || *p != ']' || !at_end(p + 1))
		return wrong(t, "not a table: it must be [NAME]");
	for (unsigned int i = 0; i < t->nr_sections; i++) {
		if (!strcmp(t->sections[i], t->section))
			return ax_fail(t->msg, "%s:%u: [%s] stands here for the second time",
				       t->name, t->line, t->section);
	}
	for (const struct hs_config_key *k = hs_config_keys; k->name; k++) {
		size_t n = strlen(t->section);

		known |= !strncmp(k->name, t->section, n) && k->name[n] == '.';
	}
	if (!known || t->nr_sections == sizeof(t->sections) / sizeof(t->sections[0]))
		return ax_fail(t->msg, "%s:%u: no table [%s] (see hypersio config keys)", t->name,
			       t->line, t->section);
	strcpy(t->sections[t->nr_sections++], t->section);
	return 0;
}

static int set(struct toml *t, const char *key, const char *value, bool quoted)
{
	const struct hs_config_key *k;
	struct ax_msg why;
	bool word;

	if (!strcmp(key, "preset")) {
		if (t->preset || t->nr_seen)
			return wrong(t, "preset must be the first key");
		t->preset = true;
		if (!quoted)
			return wrong(t, "preset: the value must be in quotes");
		if (hs_config_preset(t->config, value, &why))
			return wrong(t, why.text);
		return 0;
	}
	if (hs_config_set(t->config, key, value, &why))
		return wrong(t, why.text);
	k = hs_config_find(key);
	word = k->type == HS_KEY_WORD;
	if (quoted != word)
		return ax_fail(t->msg, "%s:%u: %s: the value must %sbe in quotes", t->name, t->line,
			       key, quoted ? "not " : "");
	for (unsigned int i = 0; i < t->nr_seen; i++) {
		if (t->seen[i] == k)
			return ax_fail(t->msg, "%s:%u: %s stands here for the second time", t->name,
				       t->line, key);
	}
	if (t->nr_seen < KEYS_MAX)
		t->seen[t->nr_seen++] = k;
	return 0;
}

static int line(struct toml *t, const char *p)
{
	char key[128], value[128];
	size_t n = 0;
	bool quoted;

	p = blanks(p);
	if (at_end(p))
		return 0;
	if (*p == '[')
		return table(t, p + 1);
	if (*t->section)
		n = snprintf(key, sizeof(key), "%s.", t->section);
	p = take_key(p, key + n, sizeof(key) - n);
	if (!p || *p != '=')
		return wrong(t, "not KEY = VALUE");
	p = blanks(p + 1);
	quoted = *p == '"' || *p == '\'';
	if (*p == '[' || *p == '{')
		return wrong(t, "arrays and inline tables are not used here");
	if (quoted) {
		p = take_string(p, value, sizeof(value));
		if (!p)
			return wrong(t, "the string does not end, or is not one of ours");
	} else {
		n = strcspn(p, " \t#");
		if (!n || n >= sizeof(value))
			return wrong(t, "no value");
		memcpy(value, p, n);
		value[n] = '\0';
		p += n;
	}
	if (!at_end(p))
		return wrong(t, "something follows the value");
	return set(t, key, value, quoted);
}

int hs_config_parse_toml(struct hs_config *config, const char *name, const char *text, size_t len,
			 struct ax_msg *msg)
{
	struct toml t = { .config = config, .name = name, .msg = msg };
	const char *end = text + len;

	while (text < end) {
		const char *eol = memchr(text, '\n', end - text);
		size_t n = (eol ? eol : end) - text;
		char copy[512];

		t.line++;
		if (n && text[n - 1] == '\r')
			n--;
		if (n >= sizeof(copy))
			return wrong(&t, "longer than 511 bytes");
		if (memchr(text, '\0', n))
			return wrong(&t, "not text");
		memcpy(copy, text, n);
		copy[n] = '\0';
		if (line(&t, copy))
			return -1;
		text = eol ? eol + 1 : end;
	}
	return 0;
}
