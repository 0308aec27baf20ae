// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>
#include <string.h>

#include "ax_size.h"

/* Parse leading digits; *used says how many there were. */
static int digits(const char *text, size_t len, uint64_t *value, size_t *used)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v))
			return AX_NUM_RANGE;
	}
	*used = i;
	*value = v;
	return i ? AX_NUM_OK : AX_NUM_EMPTY;
}

int ax_parse_u64(const char *text, size_t len, uint64_t *value)
{
	size_t used;
	int ret = digits(text, len, value, &used);

	if (ret)
		return ret;
	return used == len ? AX_NUM_OK : AX_NUM_JUNK;
}

int ax_parse_size(const char *text, size_t len, uint64_t *bytes)
{
	static const char suffixes[] = "bkmgtp";
	const char *at;
	size_t used;
	uint64_t v;
	int ret = digits(text, len, &v, &used);

	if (ret)
		return ret;
	if (used == len) {
		*bytes = v;
		return AX_NUM_OK;
	}
	if (used + 1 != len)
		return AX_NUM_JUNK;
	at = strchr(suffixes, text[used] | 0x20);
	if (!at || !text[used])
		return AX_NUM_JUNK;
	if (__builtin_mul_overflow(v, 1ull << (10 * (at - suffixes)), &v))
		return AX_NUM_RANGE;
	*bytes = v;
	return AX_NUM_OK;
}

int ax_parse_ms(const char *text, size_t len, uint64_t *ms)
{
	uint64_t v, unit;
	size_t used;
	int ret = digits(text, len, &v, &used);

	if (ret)
		return ret;
	text += used;
	len -= used;
	if (!len || (len == 1 && *text == 's'))
		unit = 1000;
	else if (len == 2 && !memcmp(text, "ms", 2))
		unit = 1;
	else if (len == 1 && *text == 'm')
		unit = 60000;
	else
		return AX_NUM_JUNK;
	if (__builtin_mul_overflow(v, unit, &v))
		return AX_NUM_RANGE;
	*ms = v;
	return AX_NUM_OK;
}

const char *ax_human_size(uint64_t bytes, char out[AX_HUMAN])
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = bytes;
	unsigned int u = 0;

	while (v >= 1024 && u < 6) {
		v /= 1024;
		u++;
	}
	if (!bytes)
		snprintf(out, AX_HUMAN, "0");
	else if (v >= 100 || v == (double)(uint64_t)v)
		snprintf(out, AX_HUMAN, "%.0f %s", v, unit[u]);
	else
		snprintf(out, AX_HUMAN, "%.1f %s", v, unit[u]);
	return out;
}

const char *ax_exact_size(uint64_t bytes, char out[AX_HUMAN + 8])
{
	static const char suffix[] = "\0KMGTP";
	unsigned int u = 0;

	while (bytes && !(bytes % 1024) && u < 5) {
		bytes /= 1024;
		u++;
	}
	snprintf(out, AX_HUMAN + 8, "%llu%.1s", (unsigned long long)bytes, suffix + u);
	return out;
}

const char *ax_human_ns(double ns, char out[AX_HUMAN])
{
	if (ns < 0)
		snprintf(out, AX_HUMAN, "-");
	else if (ns < 1e3)
		snprintf(out, AX_HUMAN, "%.0f ns", ns);
	else if (ns < 1e6)
		snprintf(out, AX_HUMAN, "%.1f us", ns / 1e3);
	else if (ns < 1e9)
		snprintf(out, AX_HUMAN, "%.1f ms", ns / 1e6);
	else
		snprintf(out, AX_HUMAN, "%.1f s", ns / 1e9);
	return out;
}
