// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Symbols and expressions of the assembler.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pim_asm_priv.h"
#include "pim_elf.h"

#define DEPTH_MAX	64	/* parentheses and signs within each other */

bool pim_asm_name_start(char c)
{
	return isalpha((unsigned char)c) || c == '_' || c == '.' || c == '$';
}

bool pim_asm_name_char(char c)
{
	return pim_asm_name_start(c) || isdigit((unsigned char)c);
}

/* --- symbols ------------------------------------------------------------------ */

static uint32_t hash(const char *name, size_t length)
{
	uint32_t h = 2166136261u;

	while (length--)
		h = (h ^ (unsigned char)*name++) * 16777619u;
	return h;
}

static bool is_named(const struct pim_asm_symbol *s, uint32_t h, const char *name, size_t length)
{
	return s->hash == h && !strncmp(s->name, name, length) && !s->name[length];
}

struct pim_asm_symbol *pim_asm_lookup(const struct pim_asm *as, const char *name, size_t length)
{
	uint32_t h = hash(name, length);
	struct pim_asm_symbol *s, *other = NULL;

	for (s = as->symbols[h % PIM_ASM_BUCKETS]; s; s = s->next) {
		if (!is_named(s, h, name, length))
			continue;
		if (s->file == as->file && s->defined)
			return s;
		if (s->global && s->defined)
			other = s;
	}
	return other;
}

struct pim_asm_symbol *pim_asm_symbol(struct pim_asm *as, const char *name, size_t length)
{
	uint32_t h = hash(name, length);
	struct pim_asm_symbol *s;

	for (s = as->symbols[h % PIM_ASM_BUCKETS]; s; s = s->next) {
		if (s->file == as->file && is_named(s, h, name, length))
			return s;
	}
	s = calloc(1, sizeof(*s));
	if (s)
		s->name = strndup(name, length);
	if (!s || !s->name) {
		free(s);
		pim_asm_fail(as, "out of memory");
		return NULL;
	}
	s->hash = h;
	s->file = as->file;
	s->global = as->file < 0;
	s->section = -1;
	s->next = as->symbols[h % PIM_ASM_BUCKETS];
	as->symbols[h % PIM_ASM_BUCKETS] = s;
	return s;
}

int pim_asm_set(struct pim_asm *as, const char *name, size_t length, int section, int64_t value)
{
	struct pim_asm_symbol *s = pim_asm_symbol(as, name, length);

	if (!s)
		return -1;
	if (s->defined && (s->section != section || s->value != value))
		return pim_asm_fail(as, "'%s' is defined already", s->name);
	s->section = section;
	s->value = value;
	s->defined = true;
	s->written = section >= 0 && strncmp(s->name, ".L", 2);
	return 0;
}

/* What a symbol stands for in an expression. */
static int64_t value_of(const struct pim_asm *as, const struct pim_asm_symbol *s)
{
	switch (s->section) {
	case -1:
		return s->value;
	case PIM_ASM_TEXT:
		/* the number of the instruction: what jumps and calls take */
		return s->value / 8;
	case PIM_ASM_ATOMIC:
		return s->value;
	default:
		return as->vma[s->section] + s->value;
	}
}

/* --- expressions ---------------------------------------------------------------- */

struct parser {
	struct pim_asm *as;
	const char *p;
	bool final, known;
	int depth;
};

static int expression(struct parser *x, int level, int64_t *value);

static void skip_blanks(struct parser *x)
{
	while (*x->p == ' ' || *x->p == '\t')
		x->p++;
}

int pim_asm_char(struct pim_asm *as, const char **text, int *value)
{
	static const char from[] = "ntr0\\'\"abfv", to[] = "\n\t\r\0\\'\"\a\b\f\v";
	const char *found;
	char *end;

	if (**text != '\\') {
		*value = (unsigned char)*(*text)++;
		return 0;
	}
	++*text;
	if (**text == 'x') {
		*value = (int)strtoul(*text + 1, &end, 16) & 0xff;
		if (end == *text + 1 || end > *text + 3)
			return pim_asm_fail(as, "\\x takes one or two hexadecimal digits");
		*text = end;
		return 0;
	}
	found = **text ? strchr(from, **text) : NULL;
	if (!found)
		return pim_asm_fail(as, "unknown escape '\\%c'", **text ? **text : ' ');
	*value = (unsigned char)to[found - from];
	++*text;
	return 0;
}

static int number(struct parser *x, int64_t *value)
{
	bool binary = x->p[0] == '0' && (x->p[1] == 'b' || x->p[1] == 'B') &&
		      (x->p[2] == '0' || x->p[2] == '1');
	bool hex = x->p[0] == '0' && (x->p[1] == 'x' || x->p[1] == 'X');
	char *end;

	errno = 0;
	*value = (int64_t)strtoull(x->p + (binary ? 2 : 0), &end, binary ? 2 : hex ? 16 : 10);
	if (errno || pim_asm_name_char(*end))
		return pim_asm_fail(x->as, "no number: '%.20s'", x->p);
	x->p = end;
	return 0;
}

static int name(struct parser *x, int64_t *value)
{
	const char *start = x->p;
	const struct pim_asm_symbol *s;
	size_t length;

	while (pim_asm_name_char(*x->p))
		x->p++;
	length = (size_t)(x->p - start);
	if (length == 1 && *start == '.') {
		struct pim_asm_symbol here = { .section = x->as->section,
					       .value = x->as->at[x->as->section] };

		*value = value_of(x->as, &here);
		x->known = x->known && x->as->pass == 2;
		return 0;
	}
	s = pim_asm_lookup(x->as, start, length);
	*value = 0;
	if (!s) {
		if (x->final)
			return pim_asm_fail(x->as, "'%.*s' is not defined", (int)length, start);
		x->known = false;
		return 0;
	}
	/* before all sections have their place, labels have no final value */
	if (s->section >= 0 && x->as->pass == 1)
		x->known = false;
	*value = value_of(x->as, s);
	return 0;
}

static int unary(struct parser *x, int64_t *value)
{
	char c;

	skip_blanks(x);
	c = *x->p;
	if (++x->depth > DEPTH_MAX)
		return pim_asm_fail(x->as, "the expression is too deep");
	if (c == '-' || c == '~' || c == '+' || c == '!') {
		x->p++;
		if (unary(x, value))
			return -1;
		*value = c == '-' ? (int64_t)-(uint64_t)*value : c == '~' ? ~*value :
			 c == '!' ? !*value : *value;
	} else if (c == '(') {
		x->p++;
		if (expression(x, 0, value))
			return -1;
		skip_blanks(x);
		if (*x->p != ')')
			return pim_asm_fail(x->as, "a ')' is missing");
		x->p++;
	} else if (c == '\'') {
		int character;

		x->p++;
		if (pim_asm_char(x->as, &x->p, &character))
			return -1;
		if (*x->p != '\'')
			return pim_asm_fail(x->as, "a quote is missing");
		x->p++;
		*value = character;
	} else if (isdigit((unsigned char)c)) {
		if (number(x, value))
			return -1;
	} else if (pim_asm_name_start(c)) {
		if (name(x, value))
			return -1;
	} else if (!c) {
		return pim_asm_fail(x->as, "an operand is missing");
	} else {
		return pim_asm_fail(x->as, "a value was expected at '%.20s'", x->p);
	}
	x->depth--;
	return 0;
}

/* From weakest to strongest. */
static const char *const levels[] = { "|", "^", "&", "<>", "+-", "*/%" };

static int apply(struct parser *x, char op, int64_t right, int64_t *value)
{
	uint64_t a = (uint64_t)*value, b = (uint64_t)right;

	switch (op) {
	case '|':
		a |= b;
		break;
	case '^':
		a ^= b;
		break;
	case '&':
		a &= b;
		break;
	case '<':
		a = b < 64 ? a << b : 0;
		break;
	case '>':
		a = b < 64 ? a >> b : 0;
		break;
	case '+':
		a += b;
		break;
	case '-':
		a -= b;
		break;
	case '*':
		a *= b;
		break;
	default:
		if (!right && x->known)
			return pim_asm_fail(x->as, "division by 0");
		if (!right || (right == -1 && op == '%'))
			a = 0;
		else if (right == -1)
			a = -a;
		else
			a = (uint64_t)(op == '/' ? *value / right : *value % right);
		break;
	}
	*value = (int64_t)a;
	return 0;
}

static int expression(struct parser *x, int level, int64_t *value)
{
	int64_t right;
	char op;

	if (level == (int)(sizeof(levels) / sizeof(levels[0])))
		return unary(x, value);
	if (expression(x, level + 1, value))
		return -1;
	for (;;) {
		skip_blanks(x);
		op = *x->p;
		if (!op || !strchr(levels[level], op))
			return 0;
		if ((op == '<' || op == '>') && x->p[1] != op)
			return pim_asm_fail(x->as, "unknown operator '%c'", op);
		x->p += op == '<' || op == '>' ? 2 : 1;
		if (expression(x, level + 1, &right) || apply(x, op, right, value))
			return -1;
	}
}

int pim_asm_expr(struct pim_asm *as, const char **text, bool final, int64_t *value, bool *known)
{
	struct parser x = { .as = as, .p = *text, .final = final, .known = true };
	int status = expression(&x, 0, value);

	*text = x.p;
	if (known)
		*known = x.known;
	return status;
}
