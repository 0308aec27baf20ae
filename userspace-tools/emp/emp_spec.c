// SPDX-License-Identifier: LGPL-2.1-or-later
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <annex/emp.h>

#include "../lib/ax_err.h"
#include "../lib/ax_size.h"
#include "emp_spec.h"

#define MB_SHIFT	20
#define MB_MAX		(UINT64_MAX >> 1 >> MB_SHIFT)	/* sizes fit a loff_t */
#define NODE_MAX	1023
#define DEADLINE_MAX	600000
#define QUEUE_MAX	4096

static const char *const key_names[EMP_KEYS + 1] = {
	[EMP_KEY_BLOCK]		= "block",
	[EMP_KEY_SUBBLOCK]	= "subblock",
	[EMP_KEY_MAP]		= "map",
	[EMP_KEY_WIPE]		= "wipe",
	[EMP_KEY_CHECKSUM]	= "checksum",
	[EMP_KEY_OVERCOMMIT]	= "overcommit",
	[EMP_KEY_PINNABLE]	= "pinnable",
	[EMP_KEY_PIN_LIMIT]	= "pin_limit",
	[EMP_KEY_FORCE]		= "force",
	[EMP_KEY_NAME]		= "name",
	[EMP_KEY_UID]		= "uid",
	[EMP_KEY_GID]		= "gid",
	[EMP_KEY_MODE]		= "mode",
	[EMP_KEY_DEADLINE]	= "deadline",
	[EMP_KEY_QUEUE]		= "queue",
	[EMP_KEY_KEY]		= "key",
	[EMP_KEY_REDUNDANCY]	= "redundancy",
	[EMP_KEY_MIRROR]	= "mirror",
	[EMP_KEY_ENCRYPT]	= "encrypt",
};

static const char *const map_names[] = { "auto", "small", "huge", NULL };
static const char *const wipe_names[] = { "none", "discard", "zero", NULL };
static const char *const redundancy_names[] = { "none", "mirror", "replica", NULL };
static const char *const mirror_names[] = { "async", "sync", NULL };
static const uint32_t redundancies[] = {
	EMP_REDUNDANCY_NONE, EMP_REDUNDANCY_MIRROR, EMP_REDUNDANCY_REPLICA,
};

/* A part of the text. */
struct span {
	const char *at;
	size_t len;
};

struct parser {
	const char *text;
	struct emp_spec *spec;
	struct emp_spec_error *error;
	unsigned int key_column[EMP_KEYS];	/* for checks that need all keys */
	bool mirror_sync;
};

__attribute__((format(printf, 3, 4)))
static int fail(struct parser *p, const char *at, const char *fmt, ...)
{
	va_list ap;

	p->error->column = at - p->text + 1;
	va_start(ap, fmt);
	vsnprintf(p->error->text, sizeof(p->error->text), fmt, ap);
	va_end(ap);
	return -1;
}

static bool is(struct span s, const char *word)
{
	return s.len == strlen(word) && !memcmp(s.at, word, s.len);
}

/* For messages: no more of the input than helps. */
#define SHOW(s) (int)((s).len < 40 ? (s).len : 40), (s).at

static bool copy(struct span s, char *out, size_t size)
{
	if (s.len >= size)
		return false;
	memcpy(out, s.at, s.len);
	out[s.len] = '\0';
	return true;
}

/* Split off what precedes the first @c; false when there is none. */
static bool cut(struct span *rest, char c, struct span *head)
{
	const char *at = memchr(rest->at, c, rest->len);

	if (!at)
		return false;
	*head = (struct span){ rest->at, at - rest->at };
	rest->len -= head->len + 1;
	rest->at = at + 1;
	return true;
}

/* Split off what follows the last ':'; false when there is none. */
static bool cut_last(struct span *rest, struct span *tail)
{
	const char *at = memrchr(rest->at, ':', rest->len);

	if (!at)
		return false;
	*tail = (struct span){ at + 1, rest->len - (at + 1 - rest->at) };
	rest->len = at - rest->at;
	return true;
}

/* A decimal number of at most @max, called @what in messages. */
static int number(struct parser *p, struct span s, const char *what, uint64_t max, uint64_t *value)
{
	char near[32];
	uint64_t v;

	switch (ax_parse_u64(s.at, s.len, &v)) {
	case AX_NUM_OK:
		if (v <= max) {
			*value = v;
			return 0;
		}
		/* fall through */
	case AX_NUM_RANGE:
		return fail(p, s.at, "%s is too large (at most %llu)", what,
			    (unsigned long long)max);
	case AX_NUM_EMPTY:
		if (!s.len)
			return fail(p, s.at, "%s is missing", what);
		if (s.at[0] == '-')
			return fail(p, s.at, "%s must not be negative", what);
		break;
	case AX_NUM_JUNK:
		if (max == MB_MAX && !ax_parse_size(s.at, s.len, &v)) {
			snprintf(near, sizeof(near), "%llu", (unsigned long long)(v >> MB_SHIFT));
			return fail(p, s.at,
				    "%s is a number of MB without a suffix: '%.*s' is written %s",
				    what, SHOW(s), near);
		}
		break;
	}
	return fail(p, s.at, "%s is not a number: '%.*s'", what, SHOW(s));
}

static int megabytes(struct parser *p, struct span s, const char *what, bool zero_ok,
		     uint64_t *bytes)
{
	uint64_t mb;

	if (number(p, s, what, MB_MAX, &mb))
		return -1;
	if (!mb && !zero_ok)
		return fail(p, s.at, "%s must not be 0", what);
	*bytes = mb << MB_SHIFT;
	return 0;
}

static int parse_dram(struct parser *p, struct span whole, struct span size)
{
	struct emp_spec *spec = p->spec;

	if (spec->has_dram)
		return fail(p, whole.at, "dram is given twice");
	if (memchr(size.at, ':', size.len))
		return fail(p, (char *)memchr(size.at, ':', size.len) + 1,
			    "dram takes one field: dram:MB");
	spec->has_dram = true;
	if (is(size, "-1")) {
		spec->dram_cgroup = true;
		return 0;
	}
	return megabytes(p, size, "dram size", false, &spec->dram);
}

static struct emp_spec_tier *new_tier(struct parser *p, struct span whole, enum emp_spec_type type)
{
	struct emp_spec_tier *tier;

	if (p->spec->nr_tiers == EMP_SPEC_TIERS) {
		fail(p, whole.at, "more than %d tiers", EMP_SPEC_TIERS);
		return NULL;
	}
	tier = &p->spec->tiers[p->spec->nr_tiers++];
	tier->type = type;
	tier->column = whole.at - p->text + 1;
	return tier;
}

/* /dev/BLOCK:MB:BASE_MB; device names may hold colons themselves (by-path). */
static int parse_block(struct parser *p, struct span whole)
{
	struct emp_spec_tier *tier;
	struct span path = whole, base, size;

	if (!cut_last(&path, &base) || !cut_last(&path, &size))
		return fail(p, whole.at + whole.len,
			    "a block device needs two fields: /dev/NAME:MB:BASE_MB");
	tier = new_tier(p, whole, EMP_SPEC_BLOCK);
	if (!tier)
		return -1;
	if (megabytes(p, size, "tier size", false, &tier->bytes) ||
	    megabytes(p, base, "base", true, &tier->base))
		return -1;
	if (tier->base + tier->bytes > INT64_MAX)
		return fail(p, base.at, "base plus size is too large");
	if (memcmp(path.at, "/dev/", path.len < 5 ? path.len : 5) || path.len <= 5)
		return fail(p, whole.at, "a block device is given as /dev/NAME");
	if (!copy(path, tier->location, sizeof(tier->location)))
		return fail(p, whole.at, "device name is too long");
	return 0;
}

static int parse_memdev(struct parser *p, struct span whole, struct span rest)
{
	struct emp_spec_tier *tier;
	struct span size;
	uint64_t node;

	if (!cut(&rest, ':', &size))
		return fail(p, whole.at + whole.len, "memdev needs two fields: memdev:MB:NODE");
	tier = new_tier(p, whole, EMP_SPEC_MEMDEV);
	if (!tier || megabytes(p, size, "tier size", false, &tier->bytes))
		return -1;
	if (rest.len && rest.at[0] == '-') {
		tier->user_buffer = true;
		rest.at++;
		rest.len--;
	}
	if (number(p, rest, "node", NODE_MAX, &node))
		return -1;
	tier->node = node;
	return 0;
}

static bool host_name_ok(struct span s)
{
	if (s.at[0] == '-' || s.at[0] == '.' || s.at[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '-' || c == '.'))
			return false;
		if (c == '.' && i && s.at[i - 1] == '.')
			return false;
	}
	return true;
}

static int parse_host(struct parser *p, struct span host, struct emp_spec_tier *tier)
{
	unsigned char addr[sizeof(struct in6_addr)];
	char *out = tier->location;
	size_t digits;

	if (!host.len)
		return fail(p, host.at, "host is missing");
	if (host.at[0] == '[') {
		host.at++;
		host.len -= 2;	/* the caller saw the bracket closed */
		if (!copy(host, out, sizeof(tier->location)) || inet_pton(AF_INET6, out, addr) != 1)
			return fail(p, host.at, "not an IPv6 address: '%.*s'", SHOW(host));
		return 0;
	}
	if (!copy(host, out, sizeof(tier->location)))
		return fail(p, host.at, "host name is too long");
	for (digits = 0; digits < host.len; digits++) {
		if (!strchr("0123456789.", host.at[digits]))
			break;
	}
	if (digits == host.len) {
		if (inet_pton(AF_INET, out, addr) != 1)
			return fail(p, host.at, "not an IPv4 address: '%.*s'", SHOW(host));
	} else if (!host_name_ok(host)) {
		return fail(p, host.at, "not a host name: '%.*s'", SHOW(host));
	}
	return 0;
}

/* HOST:MB:PORT */
static int parse_rdma(struct parser *p, struct span whole)
{
	static const char *const heads[] = { "dram", "memdev", NULL };
	struct emp_spec_tier *tier;
	struct span host, size, rest = whole;
	const char *near;
	char word[40];
	uint64_t port;

	if (rest.at[0] == '[') {
		const char *close = memchr(rest.at, ']', rest.len);

		if (!close)
			return fail(p, rest.at, "'[' is not closed");
		host = (struct span){ rest.at, close + 1 - rest.at };
		rest.at += host.len;
		rest.len -= host.len;
		if (!rest.len || rest.at[0] != ':')
			return fail(p, rest.at, "expected ':' after the address");
		rest.at++;
		rest.len--;
	} else if (!cut(&rest, ':', &host)) {
		return fail(p, whole.at,
			    "'%.*s' is no tier: expected dram:MB, /dev/NAME:MB:BASE_MB, HOST:MB:PORT, memdev:MB:NODE or KEY=VALUE",
			    SHOW(whole));
	}
	if (!cut(&rest, ':', &size)) {
		near = copy(host, word, sizeof(word)) ? ax_nearest(word, heads) : NULL;
		if (near)
			return fail(p, whole.at,
				    "unknown tier '%s'; did you mean '%s'?", word, near);
		return fail(p, whole.at + whole.len, "a donor needs two fields: HOST:MB:PORT");
	}
	tier = new_tier(p, whole, EMP_SPEC_RDMA);
	if (!tier || parse_host(p, host, tier) ||
	    megabytes(p, size, "tier size", false, &tier->bytes) ||
	    number(p, rest, "port", 65535, &port))
		return -1;
	tier->port = port ? port : EMP_SPEC_PORT;
	return 0;
}

static int parse_tier(struct parser *p, struct span s)
{
	struct span head, rest = s;

	if (s.at[0] == '/')
		return parse_block(p, s);
	if (!cut(&rest, ':', &head)) {
		head = s;
		rest = (struct span){ s.at + s.len, 0 };
	}
	if (is(head, "dram") || is(head, "DRAM"))
		return parse_dram(p, s, rest);
	if (is(head, "memdev") || is(head, "MEMDEV"))
		return parse_memdev(p, s, rest);
	return parse_rdma(p, s);
}

static int word_of(struct parser *p, struct span s, const char *const *words, uint32_t *index)
{
	char list[64] = "";

	for (uint32_t i = 0; words[i]; i++) {
		if (is(s, words[i])) {
			*index = i;
			return 0;
		}
		strcat(list, i ? ", " : "");
		strcat(list, words[i]);
	}
	return fail(p, s.at, "'%.*s' is none of %s", SHOW(s), list);
}

static int yes_no(struct parser *p, struct span s, bool *out)
{
	if (is(s, "1") || is(s, "yes") || is(s, "on"))
		*out = true;
	else if (is(s, "0") || is(s, "no") || is(s, "off"))
		*out = false;
	else
		return fail(p, s.at, "'%.*s' is neither 1 nor 0", SHOW(s));
	return 0;
}

static int checksum(struct parser *p, struct span s, enum emp_spec_check *out)
{
	bool on = false;

	if (is(s, "mac")) {
		*out = EMP_CHECK_MAC;
		return 0;
	}
	if (!is(s, "1") && !is(s, "yes") && !is(s, "on") &&
	    !is(s, "0") && !is(s, "no") && !is(s, "off"))
		return fail(p, s.at, "'%.*s' is none of 0, 1, mac", SHOW(s));
	yes_no(p, s, &on);
	*out = on ? EMP_CHECK_SUM : EMP_CHECK_NONE;
	return 0;
}

static int power_of_two(struct parser *p, struct span s, uint32_t min, uint32_t max, uint32_t *out)
{
	char lo[AX_HUMAN + 8], hi[AX_HUMAN + 8];
	uint64_t v;

	if (ax_parse_size(s.at, s.len, &v))
		return fail(p, s.at, "'%.*s' is not a size", SHOW(s));
	if (v < min || v > max || (v & (v - 1)))
		return fail(p, s.at, "'%.*s' is not a power of two from %s to %s", SHOW(s),
			    ax_exact_size(min, lo), ax_exact_size(max, hi));
	*out = v;
	return 0;
}

static int owner(struct parser *p, struct span s, const char *what, char *out)
{
	uint64_t id;

	if (!s.len)
		return fail(p, s.at, "%s is missing", what);
	if (s.at[0] >= '0' && s.at[0] <= '9') {
		if (number(p, s, what, UINT32_MAX - 1, &id))
			return -1;
	} else if (s.at[0] == '-') {
		return fail(p, s.at, "%s must not be negative", what);
	}
	if (!copy(s, out, EMP_SPEC_WORD))
		return fail(p, s.at, "%s is too long", what);
	return 0;
}

static int file_mode(struct parser *p, struct span s, uint32_t *mode)
{
	uint32_t m = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '7' || m > 0777)
			goto bad;
		m = m << 3 | (s.at[i] - '0');
	}
	if (!s.len || m > 0777)
		goto bad;
	*mode = m;
	return 0;
bad:
	return fail(p, s.at, "'%.*s' is not an octal file mode of at most 0777", SHOW(s));
}

static int parse_value(struct parser *p, enum emp_spec_key key, struct span s)
{
	struct emp_spec *spec = p->spec;
	uint32_t word;
	uint64_t v;

	switch (key) {
	case EMP_KEY_BLOCK:
		return power_of_two(p, s, EMP_BLOCK_MIN, EMP_BLOCK_MAX, &spec->block);
	case EMP_KEY_SUBBLOCK:
		return power_of_two(p, s, EMP_SUBBLOCK_MIN, EMP_SUBBLOCK_MAX, &spec->subblock);
	case EMP_KEY_MAP:
		return word_of(p, s, map_names, &spec->map);
	case EMP_KEY_WIPE:
		return word_of(p, s, wipe_names, &spec->wipe);
	case EMP_KEY_CHECKSUM:
		return checksum(p, s, &spec->checksum);
	case EMP_KEY_OVERCOMMIT:
		return yes_no(p, s, &spec->overcommit);
	case EMP_KEY_ENCRYPT:
		return yes_no(p, s, &spec->encrypt);
	case EMP_KEY_PINNABLE:
		return yes_no(p, s, &spec->pinnable);
	case EMP_KEY_PIN_LIMIT:
		if (ax_parse_size(s.at, s.len, &v) || !v || v > INT64_MAX)
			return fail(p, s.at, "'%.*s' is not a size above 0", SHOW(s));
		spec->pin_limit = v;
		return 0;
	case EMP_KEY_FORCE:
		return yes_no(p, s, &spec->force);
	case EMP_KEY_NAME:
		if (!copy(s, spec->name, sizeof(spec->name)) || !emp_name_valid(spec->name))
			return fail(p, s.at,
				    "'%.*s' is not a region name ([a-z0-9][a-z0-9_.-]{0,30})",
				    SHOW(s));
		return 0;
	case EMP_KEY_UID:
		return owner(p, s, "uid", spec->uid);
	case EMP_KEY_GID:
		return owner(p, s, "gid", spec->gid);
	case EMP_KEY_MODE:
		return file_mode(p, s, &spec->mode);
	case EMP_KEY_DEADLINE:
		if (ax_parse_ms(s.at, s.len, &v) || !v || v > DEADLINE_MAX)
			return fail(p, s.at, "'%.*s' is not a time from 1ms to 600s", SHOW(s));
		spec->deadline_ms = v;
		return 0;
	case EMP_KEY_QUEUE:
		if (number(p, s, "queue", QUEUE_MAX, &v))
			return -1;
		if (!v)
			return fail(p, s.at, "queue must not be 0");
		spec->queue_depth = v;
		return 0;
	case EMP_KEY_KEY:
		if (!s.len)
			return fail(p, s.at, "key= needs a file, or none");
		if (!copy(s, spec->key, sizeof(spec->key)))
			return fail(p, s.at, "the name of the key file is too long");
		return 0;
	case EMP_KEY_REDUNDANCY:
		if (word_of(p, s, redundancy_names, &word))
			return -1;
		spec->redundancy = redundancies[word];
		return 0;
	case EMP_KEY_MIRROR:
		if (word_of(p, s, mirror_names, &word))
			return -1;
		p->mirror_sync = word;
		return 0;
	case EMP_KEYS:
		break;
	}
	return fail(p, s.at, "unknown key");
}

static int parse_key(struct parser *p, struct span s)
{
	struct span key;
	const char *near;
	char word[40];

	cut(&s, '=', &key);
	for (unsigned int i = 0; i < EMP_KEYS; i++) {
		if (!is(key, key_names[i]))
			continue;
		if (emp_spec_has(p->spec, i))
			return fail(p, key.at, "%s is given twice", key_names[i]);
		p->spec->given |= 1u << i;
		p->key_column[i] = key.at - p->text;
		return parse_value(p, i, s);
	}
	if (is(key, "replica"))
		return fail(p, key.at, "two copies on donors are written redundancy=replica");
	if (is(key, "policy"))
		return fail(p, key.at, "%.*s= is not built yet", SHOW(key));
	near = copy(key, word, sizeof(word)) ? ax_nearest(word, key_names) : NULL;
	if (near)
		return fail(p, key.at, "unknown key '%s'; did you mean '%s'?", word, near);
	return fail(p, key.at, "unknown key '%.*s'", SHOW(key));
}

/* Is it KEY=VALUE? A device name may hold '=', but begins with '/'. */
static bool is_keyed(struct span s)
{
	const char *equals = memchr(s.at, '=', s.len);

	return s.len && s.at[0] != '/' && equals &&
	       !memchr(s.at, ':', equals - s.at);
}

/* What concerns several items. */
static int check_whole(struct parser *p)
{
	struct emp_spec *spec = p->spec;

	if (spec->block && spec->subblock > spec->block)
		return fail(p, p->text + p->key_column[EMP_KEY_SUBBLOCK],
			    "subblock is larger than block");
	if (spec->map == EMP_MAP_HUGE && spec->block && spec->block != EMP_BLOCK_MAX)
		return fail(p, p->text + p->key_column[EMP_KEY_MAP], "map=huge needs block=2M");
	if (spec->pin_limit && !spec->pinnable)
		return fail(p, p->text + p->key_column[EMP_KEY_PIN_LIMIT],
			    "pin_limit= needs pinnable=1");
	if (emp_spec_has(spec, EMP_KEY_MIRROR) && spec->redundancy != EMP_REDUNDANCY_MIRROR)
		return fail(p, p->text + p->key_column[EMP_KEY_MIRROR],
			    "mirror= needs redundancy=mirror");
	if (p->mirror_sync)
		spec->redundancy = EMP_REDUNDANCY_MIRROR_SYNC;
	return 0;
}

int emp_spec_parse(const char *text, struct emp_spec *spec, struct emp_spec_error *error)
{
	struct parser p = { .text = text, .spec = spec, .error = error };
	struct span rest = { text, strlen(text) };
	char sep = '|';

	memset(spec, 0, sizeof(*spec));
	spec->mode = 0600;
	if (rest.len && strchr("'\"", rest.at[0])) {
		if (rest.len < 2 || rest.at[rest.len - 1] != rest.at[0])
			return fail(&p, text, "the quote is not closed");
		rest.at++;
		rest.len -= 2;
	}
	if (!rest.len)
		return fail(&p, rest.at, "empty: expected tiers, e.g. dram:1024|/dev/nvme0n1:8192:0");
	for (;;) {
		size_t n = 0;
		struct span item;
		char next;

		while (n < rest.len && rest.at[n] != '|' && rest.at[n] != ',')
			n++;
		item = (struct span){ rest.at, n };
		next = n < rest.len ? rest.at[n] : '\0';
		if (!n)
			return fail(&p, item.at, "empty tier");
		if (is_keyed(item)) {
			if (parse_key(&p, item))
				return -1;
		} else if (sep == ',') {
			return fail(&p, item.at, "tiers are separated by '|'; after ',' comes KEY=VALUE");
		} else if (parse_tier(&p, item)) {
			return -1;
		}
		if (!next)
			break;
		sep = next;
		rest.at += n + 1;
		rest.len -= n + 1;
	}
	return check_whole(&p);
}

bool emp_spec_looks_like(const char *text)
{
	return strpbrk(text, ":|") || !strncasecmp(text, "dram", 4) ||
	       !strncasecmp(text, "memdev", 6);
}

bool emp_name_valid(const char *name)
{
	size_t n = strlen(name);

	if (!n || n >= EMP_NAME_LEN)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = name[i];

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			continue;
		if (!i || !c || !strchr("_.-", c))
			return false;
	}
	return true;
}
