/* SPDX-License-Identifier: MIT */
/*
 * Expansion of $name in configuration values (postconf(5)). Run by master and by the commands on
 * the administrator's text; daemons get values that are expanded already. Depth is limited, so a
 * parameter that refers to itself is an error and not a loop.
 */

#include "conf/expand.h"

#include <stdio.h>
#include <string.h>

#include "conf/computed.h"

enum {
	DEPTH_MAX = 64, /* values in values */
	STEPS_MAX = 100000, /* values in all: a few lines could ask for 2^64 */
};

struct expansion {
	const struct conf_scope *scope;
	char *error;
	conf_expand_seen_fn *seen;
	void *context;
	bool is_placed; /* the error says where, or nowhere in particular */
	int depth;
	int steps;
};

static bool expand(struct expansion *x, struct span text, struct buf *ret);

static bool fail(struct expansion *x, const char *what, struct span at)
{
	snprintf(x->error, CONF_EXPAND_ERROR_MAX, "%s at \"%.*s\"", what,
		 SPAN_ARG(span_first(at, 60)));
	return false;
}

bool conf_has_macro(struct span text)
{
	return span_has(text, '$');
}

static bool is_name_byte(char c)
{
	return ascii_is_alnum(c) || c == '_';
}

static void skip_blanks(struct span *text)
{
	while (text->n > 0 && ascii_is_blank(text->p[0]))
		*text = span_from(*text, 1);
}

/* The size of the bracketed text that starts `text`, brackets included; 0 when it does not end. */
static size_t bracketed_size(struct span text)
{
	char open = text.p[0], close = open == '{' ? '}' : ')';
	size_t level = 0;

	for (size_t i = 0; i < text.n; i++) {
		level += text.p[i] == open;
		if (text.p[i] == close && --level == 0)
			return i + 1;
	}
	return 0;
}

/* Takes "{payload}" from the start of *text; false when it does not start so. */
static bool take_braced(struct span *text, struct span *ret_payload)
{
	size_t size;

	skip_blanks(text);
	if (text->n == 0 || text->p[0] != '{')
		return false;
	size = bracketed_size(*text);
	if (size == 0)
		return false;
	*ret_payload = span_first(span_from(*text, 1), size - 2);
	*text = span_from(*text, size);
	return true;
}

bool conf_level_parse(struct span text, int64_t *ret_level)
{
	int64_t level = 0;

	for (int part = 0; part < 3; part++) {
		struct span word = text;
		uint64_t number = 0;

		if (part > 0 && text.p == NULL) {
			level *= 1000;
			continue;
		}
		if (!span_cut(text, '.', &word, &text)) {
			word = text;
			text = (struct span){ NULL, 0 };
		} else if (part == 2) {
			return false;
		}
		if (!span_u64(word, 999, &number))
			return false;
		level = level * 1000 + (int64_t)number;
	}
	*ret_level = level;
	return true;
}

enum compare_flags { LESS = 1, EQUAL = 2, GREATER = 4 };

static const struct compare_operator {
	const char *text; /* longer ones before their own beginnings */
	int accepts;
	bool is_level;
} compare_operators[] = {
	{ "==level", EQUAL, true },	     { "!=level", LESS | GREATER, true },
	{ "<=level", LESS | EQUAL, true },   { ">=level", GREATER | EQUAL, true },
	{ "<level", LESS, true },	     { ">level", GREATER, true },
	{ "==", EQUAL, false },		     { "!=", LESS | GREATER, false },
	{ "<=", LESS | EQUAL, false },	     { ">=", GREATER | EQUAL, false },
	{ "<", LESS, false },		     { ">", GREATER, false },
};

static const struct compare_operator *take_operator(struct span *text)
{
	skip_blanks(text);
	for (size_t i = 0; i < ARRAY_LEN(compare_operators); i++) {
		struct span operator_text = span_of(compare_operators[i].text);

		if (span_starts(*text, operator_text)) {
			*text = span_from(*text, operator_text.n);
			return &compare_operators[i];
		}
	}
	return NULL;
}

static int compare_flag(int order)
{
	return order < 0 ? LESS : order > 0 ? GREATER : EQUAL;
}

/* Numbers compare as numbers, levels as levels, anything else as bytes. */
static bool compare(struct expansion *x, const struct compare_operator *op, struct span left,
		    struct span right, bool *ret_result)
{
	int64_t level_left, level_right;
	uint64_t number_left, number_right;
	int order;

	if (op->is_level) {
		if (!conf_level_parse(left, &level_left))
			return fail(x, "malformed compatibility level", left);
		if (!conf_level_parse(right, &level_right))
			return fail(x, "malformed compatibility level", right);
		order = (level_left > level_right) - (level_left < level_right);
	} else if (span_u64(left, UINT64_MAX, &number_left) &&
		   span_u64(right, UINT64_MAX, &number_right)) {
		order = (number_left > number_right) - (number_left < number_right);
	} else {
		order = span_cmp(left, right);
	}
	*ret_result = (op->accepts & compare_flag(order)) != 0;
	return true;
}

/* relation = "{" text "}" operator "{" text "}" */
static bool take_relation(struct expansion *x, struct span *text, bool *ret_result)
{
	struct span left_text, right_text, start = *text;
	struct buf left = BUF_INIT(CONF_VALUE_MAX), right = BUF_INIT(CONF_VALUE_MAX);
	const struct compare_operator *op;
	bool is_good;

	if (!take_braced(text, &left_text))
		return fail(x, "\"}\" missing", start);
	op = take_operator(text);
	if (op == NULL)
		return fail(x, "\"==\", \"!=\", \"<\", \"<=\", \">=\" or \">\" expected", *text);
	if (!take_braced(text, &right_text))
		return fail(x, "\"{text}\" expected", *text);
	is_good = expand(x, left_text, &left) && expand(x, right_text, &right) &&
		  compare(x, op, buf_span(&left), buf_span(&right), ret_result);
	buf_done(&left);
	buf_done(&right);
	return is_good;
}

/*
 * What follows a name or relation: "?{a}:{b}", "?{a}", ":{b}", "?a", ":b". The last two take all
 * that is left, "?" or ":" included.
 */
static bool expand_choice(struct expansion *x, struct span text, bool is_true, struct buf *ret)
{
	bool wants_true = text.p[0] == '?';
	struct span start = text = span_from(text, 1), chosen, other = { NULL, 0 };

	if (take_braced(&text, &chosen)) {
		skip_blanks(&text);
		if (text.n > 0) {
			if (!wants_true || text.p[0] != ':')
				return fail(x, wants_true ? "\":\" expected" : "\"}\" expected", text);
			text = span_from(text, 1);
			if (take_braced(&text, &other)) {
				skip_blanks(&text);
				if (text.n > 0)
					return fail(x, "\"}\" expected", text);
			} else {
				other = text;
			}
		}
	} else {
		skip_blanks(&start);
		if (start.n > 0 && start.p[0] == '{')
			return fail(x, "\"}\" missing", start);
		chosen = text;
	}
	return expand(x, is_true == wants_true ? chosen : other, ret);
}

/* The value of a name; when it is broken, the error says where that one is set. */
static bool expand_value(struct expansion *x, struct span name, const char *value, struct buf *ret)
{
	const struct conf_setting *setting;
	size_t used;

	if (expand(x, span_of(value), ret))
		return true;
	setting = conf_setting(x->scope, name);
	used = strlen(x->error);
	if (setting != NULL && !x->is_placed)
		snprintf(x->error + used, CONF_EXPAND_ERROR_MAX - used, ", set as %.*s in %s, line %d,",
			 SPAN_ARG(span_first(name, 60)), setting->file, setting->line);
	x->is_placed = true;
	return false;
}

/* Whether a name counts as true in ${name?...}: its value, before expansion, is not empty. */
static bool expand_named(struct expansion *x, struct span name, struct span rest, struct buf *ret)
{
	const char *value = conf_lookup(x->scope, name);

	if (x->seen != NULL)
		x->seen(x->context, name, value != NULL);
	if (rest.n > 0) {
		struct buf tested = BUF_INIT(CONF_VALUE_MAX);
		bool is_good = value == NULL || expand_value(x, name, value, &tested);
		bool is_true = buf_span(&tested).n > 0;

		buf_done(&tested);
		return is_good && expand_choice(x, rest, is_true, ret);
	}
	return value == NULL || expand_value(x, name, value, ret);
}

/* The inside of ${...} or $(...). */
static bool expand_inner(struct expansion *x, struct span text, struct buf *ret)
{
	size_t length = 0;
	struct span name;

	skip_blanks(&text);
	if (text.n > 0 && text.p[0] == '{') {
		bool is_true;

		if (!take_relation(x, &text, &is_true))
			return false;
		skip_blanks(&text);
		if (text.n == 0 || (text.p[0] != '?' && text.p[0] != ':'))
			return fail(x, "\"?\" or \":\" expected", text);
		return expand_choice(x, text, is_true, ret);
	}
	while (length < text.n && is_name_byte(text.p[length]))
		length++;
	if (length == 0)
		return fail(x, "empty macro name", text);
	name = span_first(text, length);
	text = span_from(text, length);
	skip_blanks(&text);
	if (text.n > 0 && text.p[0] != '?' && text.p[0] != ':')
		return fail(x, "macro name syntax error", text);
	return expand_named(x, name, text, ret);
}

/* One reference at the start of `text`, behind its "$"; *ret_size is how many bytes it has. */
static bool expand_reference(struct expansion *x, struct span text, struct buf *ret,
			     size_t *ret_size)
{
	size_t size = 0;

	if (text.n > 0 && (text.p[0] == '{' || text.p[0] == '(')) {
		size = bracketed_size(text);
		if (size == 0)
			return fail(x, "truncated macro reference", text);
		*ret_size = size;
		return expand_inner(x, span_first(span_from(text, 1), size - 2), ret);
	}
	while (size < text.n && is_name_byte(text.p[size]))
		size++;
	if (size == 0)
		return fail(x, "empty macro name", text);
	*ret_size = size;
	return expand_named(x, span_first(text, size), (struct span){ NULL, 0 }, ret);
}

static bool expand_text(struct expansion *x, struct span text, struct buf *ret)
{
	size_t at, size = 0;

	while (span_chr(text, '$', &at)) {
		buf_add(ret, span_first(text, at));
		text = span_from(text, at + 1);
		if (text.n > 0 && text.p[0] == '$') {
			buf_char(ret, '$');
			size = 1;
		} else if (!expand_reference(x, text, ret, &size)) {
			return false;
		}
		text = span_from(text, size);
		if (buf_is_over(ret))
			return fail(x, "value becomes too long", text);
	}
	return buf_add(ret, text) || fail(x, "value becomes too long", text);
}

static bool expand(struct expansion *x, struct span text, struct buf *ret)
{
	bool is_good;

	if (x->depth >= DEPTH_MAX || ++x->steps > STEPS_MAX) {
		x->is_placed = true;
		return fail(x, x->depth >= DEPTH_MAX ? "parameters that refer to each other"
						     : "too many references", text);
	}
	x->depth++;
	is_good = expand_text(x, text, ret);
	x->depth--;
	return is_good;
}

bool conf_expand(const struct conf_scope *scope, struct span text, struct buf *ret, char *error,
		 conf_expand_seen_fn *seen, void *context)
{
	struct expansion x = { .scope = scope, .error = error, .seen = seen, .context = context };

	error[0] = '\0';
	return expand(&x, text, ret);
}

const struct conf_setting *conf_setting(const struct conf_scope *scope, struct span name)
{
	const struct conf_setting *setting = NULL;

	if (scope->overrides != NULL)
		setting = conf_dict_get(scope->overrides, name);
	if (setting == NULL && scope->main != NULL)
		setting = conf_dict_get(scope->main, name);
	return setting;
}

const char *conf_lookup(const struct conf_scope *scope, struct span name)
{
	const struct conf_setting *setting = conf_setting(scope, name);
	const char *computed = conf_computed(scope, name, setting != NULL);
	const struct conf_param *param;

	if (computed != NULL)
		return computed;
	if (setting != NULL)
		return setting->value;
	param = conf_param_find(name);
	if (param == NULL)
		param = conf_pattern_find(name);
	return param != NULL ? param->value : NULL;
}
