// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The original's configuration files: a line with a cache's name alone, then
 * lines "size:N", "assoc:N", "groups:N", "histlen:N"; "//" begins a comment.
 * For PREFETCH, size is the buffer, assoc the distance, histlen the history.
 *
 * What the original goes on with, or crashes on, is an error here: unknown
 * lines (epg: of older files), groups 0, a section missing or given twice.
 */
#include <stdlib.h>
#include <string.h>

#include "../lib/ax_size.h"
#include "hs_config.h"

enum { CC, IOTLB, L2, L3, PREFETCH, L1, SECTIONS };

static const char *const sections[] = { "CC", "IOTLB", "L2PAGE", "L3PAGE", "PREFETCH", "L1PAGE",
					NULL };
static const char *const fields[] = { "size", "assoc", "groups", "histlen", NULL };
enum { SIZE, ASSOC, GROUPS, HISTLEN, FIELDS };

struct cfg {
	uint32_t value[SECTIONS][FIELDS];
	bool given[SECTIONS][FIELDS], seen[SECTIONS];
};

static int word_index(const char *word, const char *const *words)
{
	for (int i = 0; words[i]; i++) {
		if (!strcmp(words[i], word))
			return i;
	}
	return -1;
}

/* "; did you mean 'X'?" or "" */
static const char *hint(const char *word, const char *const *words, char *out, size_t size)
{
	const char *near = ax_nearest(word, words);

	snprintf(out, size, "%s%s%s", near ? "; did you mean '" : "", near ? near : "",
		 near ? "'?" : "");
	return out;
}

static int apply(struct hs_config *config, const struct cfg *c, const char *name,
		 struct ax_msg *msg)
{
	struct hs_cache_config *cache[] = { &config->cc, &config->iotlb, &config->l2,
					    &config->l3 };

	for (int s = 0; s <= PREFETCH; s++) {
		if (!c->seen[s])
			return ax_fail(msg, "%s: section %s is missing", name, sections[s]);
		for (int f = 0; f < FIELDS; f++) {
			/* histlen is PREFETCH's alone, groups all others' */
			if (!c->given[s][f] && (s == PREFETCH ? f != GROUPS : f != HISTLEN))
				return ax_fail(msg, "%s: section %s has no %s", name, sections[s],
					       fields[f]);
		}
		if (s == PREFETCH)
			continue;
		if (!c->value[s][GROUPS])
			return ax_fail(msg, "%s: section %s: groups must be at least 1", name,
				       sections[s]);
		cache[s]->size = c->value[s][SIZE];
		cache[s]->ways = c->value[s][ASSOC];
		cache[s]->groups = c->value[s][GROUPS];
	}
	if (!c->value[PREFETCH][HISTLEN] || c->value[PREFETCH][HISTLEN] > 64)
		return ax_fail(msg, "%s: section PREFETCH: histlen must be 1 to 64", name);
	if (c->value[PREFETCH][SIZE] > 65536)
		return ax_fail(msg, "%s: section PREFETCH: size must be at most 65536", name);
	config->pf_buffer = c->value[PREFETCH][SIZE];
	config->pf_distance = c->value[PREFETCH][ASSOC];
	config->pf_history = c->value[PREFETCH][HISTLEN];
	return 0;
}

int hs_config_parse_cfg(struct hs_config *config, const char *name, const char *text, size_t len,
			struct ax_msg *msg)
{
	struct cfg c = { 0 };
	const char *end = text + len;
	unsigned int number = 0;
	int section = -1;

	while (text < end) {
		const char *eol = memchr(text, '\n', end - text);
		size_t n = (eol ? eol : end) - text;
		char line[128], near[64], *comment, *colon;
		uint64_t value;
		int f;

		number++;
		n = n >= sizeof(line) ? sizeof(line) - 1 : n;
		memcpy(line, text, n);
		line[n] = '\0';
		text = eol ? eol + 1 : end;
		comment = strstr(line, "//");
		n = comment ? (size_t)(comment - line) : strlen(line);
		while (n && strchr(" \t\r", line[n - 1]))
			n--;
		line[n] = '\0';
		if (!n)
			continue;
		colon = strchr(line, ':');
		if (!colon) {
			section = word_index(line, sections);
			if (section < 0)
				return ax_fail(msg, "%s:%u: no section '%s'%s", name, number, line,
					       hint(line, sections, near, sizeof(near)));
			if (c.seen[section])
				return ax_fail(msg, "%s:%u: section %s stands here for the second time",
					       name, number, line);
			c.seen[section] = true;
			continue;
		}
		*colon = '\0';
		f = word_index(line, fields);
		if (f < 0)
			return ax_fail(msg, "%s:%u: no key '%s'%s", name, number, line,
				       hint(line, fields, near, sizeof(near)));
		if (section < 0)
			return ax_fail(msg, "%s:%u: '%s' before any section", name, number, line);
		if (c.given[section][f])
			return ax_fail(msg, "%s:%u: %s stands here for the second time", name,
				       number, line);
		colon += 1 + strspn(colon + 1, " \t");
		if (ax_parse_u64(colon, strlen(colon), &value) || value > UINT32_MAX)
			return ax_fail(msg, "%s:%u: '%s' is not a number", name, number, colon);
		c.value[section][f] = value;
		c.given[section][f] = true;
	}
	return apply(config, &c, name, msg);
}
