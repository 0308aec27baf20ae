// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What programs of the SDK print: records in a buffer in MRAM, each the formats
 * of one printf without the text around them, a NUL, and the values. A value is
 * 8 bytes with an l in its format or a floating one, else 4; %c is one byte,
 * %s a string with its NUL. Nothing of that is trusted.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pim_host.h"

#define LOG_MAX		(16u << 20)
#define FORMAT_MAX	32

struct reader {
	const uint8_t *p, *end;
};

static bool take(struct reader *r, void *to, size_t size)
{
	if ((size_t)(r->end - r->p) < size)
		return false;
	memcpy(to, r->p, size);
	r->p += size;
	return true;
}

/* A format is only passed on when it is one of those: flags, width, precision, l, kind. */
static bool is_plain(const char *format, char kind)
{
	size_t n = 1;

	n += strspn(format + n, "-+ #0");
	n += strspn(format + n, "0123456789");
	if (format[n] == '.')
		n += 1 + strspn(format + n + 1, "0123456789");
	n += strspn(format + n, "lh");
	return format[n] == kind && !format[n + 1] && strlen(format) < 16;
}

/* The same format for an int64_t or a double. */
static void widen(const char *format, char to[FORMAT_MAX + 4])
{
	size_t used = 0;

	for (const char *p = format; p[1]; p++) {
		if (*p != 'l' && *p != 'h')
			to[used++] = *p;
	}
	memcpy(to + used, "ll", 2);
	to[used + 2] = format[strlen(format) - 1];
	to[used + 3] = '\0';
}

static int print_bits(struct reader *r, FILE *to)
{
	uint32_t value;

	if (!take(r, &value, sizeof(value)))
		return -1;
	for (int bit = 0; bit < 32; bit++)
		fputc('0' + (value >> bit & 1), to);
	return 0;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static int print_number(struct reader *r, const char *format, char kind, FILE *to)
{
	char wide[FORMAT_MAX + 4];
	int64_t value;

	if (strchr(format, 'l')) {
		if (!take(r, &value, sizeof(value)))
			return -1;
	} else {
		int32_t narrow;

		if (!take(r, &narrow, sizeof(narrow)))
			return -1;
		value = kind == 'd' || kind == 'i' ? narrow : (int64_t)(uint32_t)narrow;
	}
	if (kind == 'p') {
		fprintf(to, "0x%" PRIx64, (uint64_t)value);
		return 0;
	}
	widen(format, wide);
	fprintf(to, wide, (long long)value);
	return 0;
}

static int print_value(struct reader *r, const char *format, FILE *to)
{
	char kind = format[strlen(format) - 1];
	const uint8_t *nul;
	double number;

	if (!is_plain(format, kind))
		return -1;
	switch (kind) {
	case 's':
		nul = memchr(r->p, 0, (size_t)(r->end - r->p));
		if (!nul)
			return -1;
		fprintf(to, format, (const char *)r->p);
		r->p = nul + 1;
		return 0;
	case 'c':
		if (r->p == r->end)
			return -1;
		fputc(*r->p++, to);
		return 0;
	case 'b':
		return print_bits(r, to);
	case 'd':
	case 'i':
	case 'x':
	case 'X':
	case 'o':
	case 'p':
	case 'u':
		return print_number(r, format, kind, to);
	case 'e':
	case 'E':
	case 'f':
		if (!take(r, &number, sizeof(number)))
			return -1;
		fprintf(to, format, number);
		return 0;
	default:
		return -1;
	}
}

#pragma GCC diagnostic pop

int pim_log_print(const uint8_t *bytes, size_t size, FILE *to)
{
	struct reader r = { .p = bytes, .end = bytes + size };

	for (;;) {
		const uint8_t *nul, *f;

		/* records are padded */
		while (r.p < r.end && *r.p != '%')
			r.p++;
		if (r.p == r.end)
			return 0;
		nul = memchr(r.p, 0, (size_t)(r.end - r.p));
		if (!nul)
			return -1;
		f = r.p;
		r.p = nul + 1;
		while (f < nul) {
			const uint8_t *next = f + 1;
			char format[FORMAT_MAX];

			while (next < nul && *next != '%')
				next++;
			if ((size_t)(next - f) >= sizeof(format) || next - f < 2)
				return -1;
			memcpy(format, f, (size_t)(next - f));
			format[next - f] = '\0';
			if (print_value(&r, format, to))
				return -1;
			f = next;
		}
	}
}

int pim_host_print_log(struct pim_host *h, unsigned int index, const struct pim_program *p,
		       FILE *to, struct ax_msg *msg)
{
	const struct pim_symbol *buffer = pim_program_symbol(p, "__stdout_buffer");
	const struct pim_symbol *state = pim_program_symbol(p, "__stdout_buffer_state");
	uint32_t words[2];	/* where it writes next; whether it began anew */
	uint8_t *bytes;
	int status;

	if (!buffer || !state)
		return 1;
	if (pim_host_symbol_read(h, index, state, 0, words, sizeof(words), msg))
		return -1;
	if (words[1])
		return ax_fail(msg, "DPU %u printed more than its buffer holds", index);
	if (!words[0])
		return 0;
	if (words[0] > LOG_MAX)
		return ax_fail(msg, "DPU %u: its log is damaged", index);
	bytes = malloc(words[0]);
	if (!bytes)
		return ax_fail(msg, "out of memory");
	status = pim_host_symbol_read(h, index, buffer, 0, bytes, words[0], msg);
	if (!status && pim_log_print(bytes, words[0], to))
		status = ax_fail(msg, "DPU %u: its log is damaged", index);
	free(bytes);
	return status;
}
