// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Instructions of the assembler: find the signature that the operands fit.
 *
 * All signatures of the mnemonic are tried, real ones before sugar, and the
 * first into which every operand fits is it. A signature whose condition is
 * always false comes last, unless "false" is written: "add r0, r1, 5" means
 * the one with 32 bits of immediate.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "pim_asm_priv.h"

enum token_kind { TOKEN_REG, TOKEN_PAIR, TOKEN_SAFE, TOKEN_ENDIAN, TOKEN_WORD, TOKEN_VALUE };

struct token {
	enum token_kind kind;
	const char *text;
	int64_t value;		/* of registers; of words and values once they are known */
	bool valued;
};

#define TOKENS_MAX	8

static bool is_mnemonic(const struct pim_sig *s, const char *name, size_t length)
{
	return !strncmp(s->mnemonic, name, length) && !s->mnemonic[length];
}

static bool is_safe_form(const struct pim_sig *s)
{
	return strchr(s->form, 's');
}

/* "lws" is lw with a safe register; the length without the s, or 0. */
static size_t safe_base(const char *name, size_t length)
{
	if (length < 3 || name[length - 1] != 's')
		return 0;
	for (int n = 0; n < PIM_NR_SIGS; n++) {
		if (is_mnemonic(&pim_sigs[n], name, length - 1) && is_safe_form(&pim_sigs[n]))
			return length - 1;
	}
	return 0;
}

static bool is_exact(const char *name, size_t length)
{
	for (int n = 0; n < PIM_NR_ALL_SIGS; n++) {
		if (is_mnemonic(&pim_sigs[n], name, length))
			return true;
	}
	return false;
}

bool pim_asm_is_insn(const char *name, size_t length)
{
	return is_exact(name, length) || safe_base(name, length);
}

/* --- operands ----------------------------------------------------------------- */

static bool read_register(const char *text, struct token *t)
{
	static const char *const constants[] = {
		"zero", "one", "lneg", "mneg", "id", "id2", "id4", "id8"
	};
	char *end;
	long n;

	for (int k = 0; k < 8; k++) {
		if (!strcmp(text, constants[k])) {
			t->kind = TOKEN_REG;
			t->value = PIM_NR_GPR + k;
			return true;
		}
	}
	if (!strchr("rds", text[0]) || !isdigit((unsigned char)text[1]) || strlen(text) > 3)
		return false;
	n = strtol(text + 1, &end, 10);
	if (*end || n >= PIM_NR_GPR || (text[0] == 'd' && n % 2) || (text[1] == '0' && text[2]))
		return false;
	t->kind = text[0] == 'r' ? TOKEN_REG : text[0] == 'd' ? TOKEN_PAIR : TOKEN_SAFE;
	t->value = n;
	return true;
}

static bool is_word(const char *text)
{
	if (!pim_asm_name_start(*text))
		return false;
	while (pim_asm_name_char(*text))
		text++;
	return !*text;
}

/* Cut the operands at their commas. */
static int split(struct pim_asm *as, char *p, struct token tokens[TOKENS_MAX])
{
	int count = 0, depth = 0;
	char *start;

	while (*p == ' ' || *p == '\t')
		p++;
	if (!*p)
		return 0;
	for (start = p;; p++) {
		char *end = p;

		if (*p == '\'' && p[1]) {
			p += p[1] == '\\' && p[2] ? 2 : 1;
			continue;
		}
		depth += (*p == '(') - (*p == ')');
		if (*p && (*p != ',' || depth > 0))
			continue;
		if (count == TOKENS_MAX)
			return pim_asm_fail(as, "too many operands");
		while (start < end && (*start == ' ' || *start == '\t'))
			start++;
		while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		if (start == end)
			return pim_asm_fail(as, "an operand is missing");
		tokens[count].text = start;
		tokens[count].valued = false;
		if (!*p) {
			*end = '\0';
			count++;
			break;
		}
		*end = '\0';
		count++;
		start = p + 1;
	}
	for (int n = 0; n < count; n++) {
		struct token *t = &tokens[n];

		if (read_register(t->text, t))
			continue;
		if (*t->text == '!') {
			t->kind = TOKEN_ENDIAN;
			if (strcmp(t->text, "!little") && strcmp(t->text, "!big"))
				return pim_asm_fail(as, "unknown byte order '%s' (!little, !big)",
						    t->text);
			t->value = t->text[1] == 'b';
			continue;
		}
		t->kind = is_word(t->text) ? TOKEN_WORD : TOKEN_VALUE;
	}
	return count;
}

/* --- matching ------------------------------------------------------------------- */

/* A condition by name, or as "ccN": some have two encodings, of which the lower goes by name. */
static int condition_value(const struct pim_sig *s, const char *text)
{
	if (text[0] == 'c' && text[1] == 'c' && isdigit((unsigned char)text[2])) {
		char *end;
		long cc = strtol(text + 2, &end, 10);

		return !*end && cc < 64 && pim_cc_map[s->family][cc] != PIM_CC_NR ? (int)cc : -1;
	}
	for (int cc = 0; cc < 64; cc++) {
		unsigned int cond = pim_cc_map[s->family][cc];

		if (cond != PIM_CC_NR && !strcmp(pim_cond_names[cond], text))
			return cc;
	}
	return -1;
}

/* How far a signature fits: the worst reason wins the message. */
struct attempt {
	int fitted;		/* operands that fit */
	unsigned int sig, kind;
	const struct token *token;
};

static bool is_register(const struct token *t, unsigned int kind, bool safe)
{
	switch (kind) {
	case PIM_KIND_DC:
	case PIM_KIND_DB:
		return t->kind == TOKEN_PAIR;
	case PIM_KIND_ZERO:
		return t->kind == TOKEN_REG && t->value == PIM_REG_ZERO;
	case PIM_KIND_RC:
	case PIM_KIND_RA:
	case PIM_KIND_RB:
		return t->kind == TOKEN_REG || (safe && t->kind == TOKEN_SAFE);
	default:
		return false;
	}
}

static bool is_register_kind(unsigned int kind)
{
	return kind == PIM_KIND_ZERO || kind == PIM_KIND_RC || kind == PIM_KIND_DC ||
	       kind == PIM_KIND_RA || kind == PIM_KIND_RB || kind == PIM_KIND_DB;
}

static int token_value(struct pim_asm *as, struct token *t)
{
	const char *p = t->text;

	if (t->valued)
		return 0;
	if (pim_asm_expr(as, &p, true, &t->value, NULL))
		return -1;
	if (*p)
		return pim_asm_fail(as, "'%s' is no value", t->text);
	t->valued = true;
	return 0;
}

/* Immediates may be written with or without their sign where it makes no difference. */
static int64_t fold(unsigned int sig, unsigned int kind, int64_t value)
{
	unsigned int width = pim_isa_width(sig, kind);

	/* a program counter may be counted backwards from 0, as offsets of calls are */
	if (kind == PIM_KIND_PC && value < 0 && value >= -32768)
		return value & 0xffff;
	if (kind == PIM_KIND_OFF && width >= 24 && value >= (1LL << (width - 1)) &&
	    value < 1LL << width)
		return value - (1LL << width);
	return value;
}

/* Returns 1 when it fits, 0 when not, -1 after a message. */
static int try_sig(struct pim_asm *as, unsigned int sig, struct token *tokens, int count,
		   bool with_false, uint64_t *word, struct attempt *best)
{
	const struct pim_sig *s = &pim_sigs[sig];
	int64_t value[PIM_KIND_NR] = { 0 };
	unsigned int kind = PIM_KIND_NONE;
	int wanted = s->nr_operands, at = 0;
	bool safe = is_safe_form(s);

	/* "false, 0" may be left out */
	if (wanted >= 2 && s->operands[wanted - 2] == PIM_KIND_CC &&
	    pim_cc_map[s->family][0] == PIM_CC_FALSE &&
	    count + 2 == wanted)
		wanted -= 2;
	for (int n = 0; n < wanted; n++) {
		struct token *t = &tokens[at];

		kind = s->operands[n];
		if (kind == PIM_KIND_ENDIAN && (at == count || t->kind != TOKEN_ENDIAN))
			continue;
		if (at == count)
			return 0;
		if (at > best->fitted) {
			best->fitted = at;
			best->sig = sig;
			best->kind = kind;
			best->token = t;
		}
		at++;
		if (kind == PIM_KIND_CC) {
			int cc = t->kind == TOKEN_WORD ? condition_value(s, t->text) : -1;

			if (cc < 0)
				return 0;
			value[kind] = cc;
		} else if (kind == PIM_KIND_ENDIAN) {
			value[kind] = t->value;
		} else if (is_register_kind(kind)) {
			if (!is_register(t, kind, safe))
				return 0;
			value[kind] = t->value;
		} else {
			if (t->kind != TOKEN_WORD && t->kind != TOKEN_VALUE)
				return 0;
			if (token_value(as, t))
				return -1;
			value[kind] = fold(sig, kind, t->value);
		}
	}
	if (at != count - with_false)
		return 0;
	if (at > best->fitted) {
		best->fitted = at;
		best->sig = sig;
		best->token = NULL;
	}
	if (!pim_isa_encode(sig, value, word, &kind)) {
		/* of several that have too few bits, the one with the most */
		if (best->token && best->token->valued && kind == best->kind &&
		    pim_isa_width(sig, kind) <= pim_isa_width(best->sig, kind))
			return 0;
		best->sig = sig;
		best->kind = kind;
		for (int n = 0, k = 0; n < s->nr_operands; n++, k++) {
			if (s->operands[n] == PIM_KIND_ENDIAN && count < s->nr_operands)
				k--;
			if (s->operands[n] == kind && k >= 0 && k < count)
				best->token = &tokens[k];
		}
		return 0;
	}
	return 1;
}

static int no_match(struct pim_asm *as, const char *name, size_t length,
		    const struct attempt *best, const struct token *tokens)
{
	unsigned int width;

	if (!best->token)
		return pim_asm_fail(as, "%.*s takes no such operands", (int)length, name);
	if (best->kind == PIM_KIND_CC)
		return pim_asm_fail(as, "%.*s has no condition '%s' in this form", (int)length,
				    name, best->token->text);
	if (best->token->valued) {
		width = pim_isa_width(best->sig, best->kind);
		return pim_asm_fail(as, "'%s' does not fit into %u bits", best->token->text, width);
	}
	return pim_asm_fail(as, "%.*s cannot take '%s' as operand %d%s", (int)length, name,
			    best->token->text, (int)(best->token - tokens) + 1,
			    best->token->kind == TOKEN_REG && best->token->value >= PIM_NR_GPR ?
			    " (a constant can only be the first source)" : "");
}

int pim_asm_encode(struct pim_asm *as, const char *name, size_t length, char *operands,
		   uint64_t *word)
{
	struct token tokens[TOKENS_MAX];
	struct attempt best = { .fitted = -1 };
	size_t safe_length = safe_base(name, length);
	bool wrote_false, any_safe = false;
	int count = split(as, operands, tokens), status;

	if (count < 0)
		return -1;
	for (int n = 0; n < count; n++)
		any_safe = any_safe || tokens[n].kind == TOKEN_SAFE;
	wrote_false = count && tokens[count - 1].kind == TOKEN_WORD &&
		      !strcmp(tokens[count - 1].text, "false");
	/* forms that are never taken: at once when that is written, else after all others */
	for (int round = wrote_false ? 0 : 1; round < 3; round++) {
		for (unsigned int sig = 0; sig < PIM_NR_ALL_SIGS; sig++) {
			const struct pim_sig *s = &pim_sigs[sig];
			bool safe = is_safe_form(s), never = s->family == PIM_FAMILY_FALSE;
			bool last = round != 1;

			if (never != last || (any_safe && !safe))
				continue;
			/* "lws" is lw with a safe register, and sugar of the same name */
			if (!is_mnemonic(s, name, length) &&
			    !(safe && safe_length && is_mnemonic(s, name, safe_length)))
				continue;
			status = try_sig(as, sig, tokens, count, round == 0, word, &best);
			if (status)
				return status < 0 ? -1 : 0;
		}
	}
	return no_match(as, name, length, &best, tokens);
}
