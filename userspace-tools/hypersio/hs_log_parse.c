// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One line of a QEMU log. The name of the event decides what is looked for; each
 * value is found by the word in front of it, in the order in which QEMU prints them.
 */
#define _GNU_SOURCE
#include <string.h>

#include "hs_log.h"
#include "hs_trace.h"

struct text {
	const char *at, *end;
};

static bool skip_to(struct text *t, const char *word, size_t len)
{
	const char *found = memmem(t->at, t->end - t->at, word, len);

	if (!found)
		return false;
	t->at = found + len;
	return true;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Hexadecimal digits, with or without 0x in front; at most @max. */
static bool hex(struct text *t, uint64_t max, uint64_t *value)
{
	const char *at = t->at, *start;
	uint64_t v = 0;
	int d;

	if (t->end - at > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X'))
		at += 2;
	for (start = at; at < t->end; at++) {
		d = digit(*at);
		if (d < 0)
			break;
		if (v >> 60)
			return false;
		v = v << 4 | d;
	}
	if (at == start || v > max)
		return false;
	t->at = at;
	*value = v;
	return true;
}

#define FIELD(t, word, max, value) (skip_to(t, word, sizeof(word) - 1) && hex(t, max, value))

/* The level whose pages @mask leaves the offset of, or 0. */
static unsigned int mask_level(uint64_t mask)
{
	for (unsigned int level = 1; level <= HS_LEVEL_MAX; level++) {
		if (mask == hs_level_mask(level))
			return level;
	}
	return 0;
}

static bool set_level(struct hs_log_event *e, uint64_t level)
{
	if (level < 1 || level > HS_LEVEL_MAX)
		return false;
	e->level = level;
	e->mask = hs_level_mask(level);
	return true;
}

/* Newer versions call it pte: it may be of the first stage. */
static bool entry(struct text *t, struct hs_log_event *e)
{
	return FIELD(t, "slpte ", UINT64_MAX, &e->slpte) || FIELD(t, "pte ", UINT64_MAX, &e->slpte);
}

static bool page_update(struct text *t, struct hs_log_event *e)
{
	uint64_t sid, level, domain;

	e->kind = HS_LOG_ACCESS;
	if (!FIELD(t, "sid ", UINT16_MAX, &sid) || !FIELD(t, "iova ", UINT64_MAX, &e->iova) ||
	    !entry(t, e))
		return false;
	if (skip_to(t, "level ", 6) && (!hex(t, UINT64_MAX, &level) || !set_level(e, level)))
		return false;
	if (!FIELD(t, "domain ", UINT16_MAX, &domain))
		return false;
	e->sid = sid;
	e->domain = domain;
	return true;
}

static bool page_hit(struct text *t, struct hs_log_event *e)
{
	uint64_t sid, mask, domain;

	e->kind = HS_LOG_ACCESS;
	if (!FIELD(t, "sid ", UINT16_MAX, &sid) || !FIELD(t, "iova ", UINT64_MAX, &e->iova))
		return false;
	if (skip_to(t, "pmask ", 6) &&
	    (!hex(t, UINT64_MAX, &mask) || !set_level(e, mask_level(mask))))
		return false;
	if (!entry(t, e) || !FIELD(t, "domain ", UINT16_MAX, &domain))
		return false;
	e->sid = sid;
	e->domain = domain;
	return true;
}

static bool translate(struct text *t, struct hs_log_event *e)
{
	uint64_t bus, slot, function, mask;

	e->kind = HS_LOG_SIZE;
	if (!FIELD(t, "dev ", UINT8_MAX, &bus) || !FIELD(t, ":", 31, &slot) ||
	    !FIELD(t, ".", 7, &function) || !FIELD(t, "iova ", UINT64_MAX, &e->iova) ||
	    !FIELD(t, "mask ", UINT64_MAX, &mask))
		return false;
	e->sid = bus << 8 | slot << 3 | function;
	return set_level(e, mask_level(~mask));
}

static bool context(struct text *t, struct hs_log_event *e)
{
	uint64_t bus, devfn, gen;

	e->kind = HS_LOG_CONTEXT;
	if (!FIELD(t, "bus ", UINT8_MAX, &bus) || !FIELD(t, "devfn ", UINT8_MAX, &devfn) ||
	    !FIELD(t, "high ", UINT64_MAX, &e->high) || !FIELD(t, "low ", UINT64_MAX, &e->low) ||
	    !FIELD(t, "gen ", UINT64_MAX, &gen))
		return false;
	e->sid = bus << 8 | devfn;
	e->domain = e->high >> 8 & UINT16_MAX;
	e->gen = gen;
	return true;
}

static bool slpte_fetch(struct text *t, struct hs_log_event *e)
{
	uint64_t level;

	e->kind = HS_LOG_PTE;
	if (!FIELD(t, "high ", UINT64_MAX, &e->high) || !FIELD(t, "low ", UINT64_MAX, &e->low) ||
	    !FIELD(t, "iova ", UINT64_MAX, &e->iova) || !FIELD(t, "level ", UINT64_MAX, &level) ||
	    !FIELD(t, "addr ", UINT64_MAX, &e->table) || !FIELD(t, "slpte ", UINT64_MAX, &e->slpte))
		return false;
	e->domain = e->high >> 8 & UINT16_MAX;
	return set_level(e, level);
}

static bool invalidate_domain(struct text *t, struct hs_log_event *e)
{
	uint64_t domain;

	e->kind = HS_LOG_INVALIDATE;
	if (!FIELD(t, "domain ", UINT16_MAX, &domain))
		return false;
	e->domain = domain;
	return true;
}

/* "mask" is the number of 4 KiB pages as a power of two. */
static bool invalidate_pages(struct text *t, struct hs_log_event *e)
{
	uint64_t order;

	if (!invalidate_domain(t, e) || !FIELD(t, "addr ", UINT64_MAX, &e->iova) ||
	    !FIELD(t, "mask ", 63, &order))
		return false;
	e->mask = order < 52 ? ~((UINT64_C(1) << (12 + order)) - 1) : 0;
	return true;
}

static const struct event {
	const char *name;
	bool (*parse)(struct text *t, struct hs_log_event *e);
} events[] = {
	{ "vtd_iotlb_page_hit ", page_hit },
	{ "vtd_dmar_translate ", translate },
	{ "vtd_iotlb_page_update ", page_update },
	{ "vtd_iotlb_cc_update ", context },
	{ "vtd_slpte_fetch ", slpte_fetch },
	{ "vtd_inv_desc_iotlb_pages ", invalidate_pages },
	{ "vtd_inv_desc_iotlb_domain ", invalidate_domain },
};

void hs_log_parse(const char *line, size_t len, struct hs_log_event *event)
{
	struct text t = { line, line + len };

	memset(event, 0, sizeof(*event));
	if (!skip_to(&t, "vtd_", 4))
		return;
	t.at -= 4;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		size_t n = strlen(events[i].name);

		if ((size_t)(t.end - t.at) < n || memcmp(t.at, events[i].name, n))
			continue;
		t.at += n;
		if (!events[i].parse(&t, event))
			event->kind = HS_LOG_BAD;
		return;
	}
}
