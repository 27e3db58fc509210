/* SPDX-License-Identifier: MIT */
/* $name in texts of a delivery; see expand.h. Values are remote text, the text is the administrator's. */

#include "deliver/expand.h"

#include <string.h>

enum { EXPAND_DEPTH_MAX = 10 };

struct expansion {
	struct buf *out;
	const char *allowed;
	expand_value_fn *value;
	void *context;
	bool *has_undefined;
};

void expand_filter(struct buf *out, struct span value, const char *allowed)
{
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (c == '\0' || (allowed != NULL && strchr(allowed, c) == NULL))
			c = '_';
		(void)buf_char(out, c);
	}
}

static bool is_name_byte(char c)
{
	return ascii_is_alnum(c) || c == '_';
}

static size_t name_length(struct span text)
{
	size_t n = 0;

	while (n < text.n && is_name_byte(text.p[n]))
		n++;
	return n;
}

/* Length of what stands before the bracket that closes the one at the front; false: none does. */
static bool find_close(struct span text, size_t *ret_at)
{
	char open = text.p[0], close = open == '{' ? '}' : ')';
	size_t depth = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == open)
			depth++;
		else if (text.p[i] == close && --depth == 0) {
			*ret_at = i;
			return true;
		}
	}
	return false;
}

static bool expand(const struct expansion *x, struct span text, int depth);

/* The inside of "{...}" around all of a branch, or the branch as it is. */
static struct span unbrace(struct span branch)
{
	size_t at;
	struct span trimmed = span_trim(branch);

	if (trimmed.n >= 2 && trimmed.p[0] == '{' && find_close(trimmed, &at) && at == trimmed.n - 1)
		return span_trim((struct span){ trimmed.p + 1, trimmed.n - 2 });
	return branch;
}

/* "?value", ":value", "?{a}:{b}" behind a name. */
static bool expand_choice(const struct expansion *x, struct span choice, bool has_value, int depth)
{
	bool wants_value = choice.p[0] == '?';
	struct span branch = span_from(choice, 1), other = { NULL, 0 }, first = span_trim(branch);
	size_t at;

	if (wants_value && first.n > 0 && first.p[0] == '{' && find_close(first, &at)) {
		struct span behind = span_trim(span_from(first, at + 1));

		if (behind.n > 0) {
			if (behind.p[0] != ':')
				return false;
			other = unbrace(span_from(behind, 1));
		}
		branch = span_first(first, at + 1);
	}
	return expand(x, has_value == wants_value ? unbrace(branch) : other, depth + 1);
}

/* What is inside ${...}. */
static bool expand_inside(const struct expansion *x, struct span inside, int depth)
{
	size_t n = name_length(inside);
	struct span value = { NULL, 0 }, choice = span_from(inside, n);
	bool is_known = x->value(x->context, span_first(inside, n), &value);

	if (n == 0)
		return false;
	if (choice.n == 0) {
		if (!is_known || value.n == 0)
			*x->has_undefined = true;
		else
			expand_filter(x->out, value, x->allowed);
		return true;
	}
	if (choice.p[0] != '?' && choice.p[0] != ':')
		return false;
	return expand_choice(x, choice, is_known && value.n > 0, depth);
}

static bool expand(const struct expansion *x, struct span text, int depth)
{
	size_t at, n;

	if (depth > EXPAND_DEPTH_MAX)
		return false;
	while (span_chr(text, '$', &at)) {
		(void)buf_add(x->out, span_first(text, at));
		text = span_from(text, at + 1);
		if (text.n > 0 && text.p[0] == '$') {
			(void)buf_char(x->out, '$');
			text = span_from(text, 1);
		} else if (text.n > 0 && (text.p[0] == '{' || text.p[0] == '(')) {
			if (!find_close(text, &n) ||
			    !expand_inside(x, (struct span){ text.p + 1, n - 1 }, depth))
				return false;
			text = span_from(text, n + 1);
		} else {
			n = name_length(text);
			if (!expand_inside(x, span_first(text, n), depth))
				return false;
			text = span_from(text, n);
		}
	}
	return buf_add(x->out, text) && !buf_is_over(x->out);
}

bool expand_text(struct buf *out, struct span text, const char *allowed, expand_value_fn *value,
		 void *context, bool *ret_has_undefined)
{
	bool has_undefined = false;
	struct expansion x = { out, allowed, value, context, &has_undefined };
	bool is_good = expand(&x, text, 0);

	if (ret_has_undefined != NULL)
		*ret_has_undefined = has_undefined;
	return is_good;
}
