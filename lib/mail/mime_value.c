/* SPDX-License-Identifier: MIT */
/*
 * Structured MIME values; see mime_value.h. Runs in cleanup and smtp, on messages from
 * anywhere. RFC 2045 5.1, RFC 2231 3 and 4, RFC 822 for comments and folding.
 */

#include "mail/mime_value.h"

#include "base/buf.h"
#include "mail/xtext.h"

enum { PIECES_MAX = 100 };

static bool is_token_char(char c)
{
	switch (c) {
	case '(': case ')': case '<': case '>': case '@': case ',': case ';': case ':':
	case '\\': case '"': case '/': case '[': case ']': case '?': case '=':
		return false;
	}
	return (unsigned char)c > 0x20 && c != 0x7f;
}

/* Behind blanks and comments, which nest. */
static size_t skip_blanks(struct span s, size_t at)
{
	size_t depth = 0;

	for (; at < s.n; at++) {
		char c = s.p[at];

		if (depth > 0 && c == '\\')
			at++;
		else if (c == '(')
			depth++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth == 0 && !ascii_is_blank(c))
			break;
	}
	return at < s.n ? at : s.n;
}

struct span mime_value_token(struct span value, struct span *ret_rest)
{
	size_t start = skip_blanks(value, 0), end = start;

	while (end < value.n && is_token_char(value.p[end]))
		end++;
	*ret_rest = span_from(value, skip_blanks(value, end));
	return span_first(span_from(value, start), end - start);
}

/* content-type = token "/" token *(";" parameter) */
bool mime_value_type(struct span value, struct span *ret_type, struct span *ret_subtype,
		     struct span *ret_rest)
{
	struct span type = mime_value_token(value, &value), subtype;

	if (type.n == 0 || value.n == 0 || value.p[0] != '/')
		return false;
	subtype = mime_value_token(span_from(value, 1), &value);
	if (subtype.n == 0)
		return false;
	*ret_type = type;
	*ret_subtype = subtype;
	*ret_rest = value;
	return true;
}

/* A parameter value as it stands: a token, or a quoted string with its quotes. */
static struct span take_raw_value(struct span *rest)
{
	struct span s = span_from(*rest, skip_blanks(*rest, 0));
	size_t end = 0;

	if (s.n == 0 || s.p[0] != '"') {
		/* What people leave unquoted goes up to the next blank or semicolon. */
		while (end < s.n && !ascii_is_blank(s.p[end]) && s.p[end] != ';' && s.p[end] != '(')
			end++;
	} else {
		for (end = 1; end < s.n && s.p[end] != '"'; end++)
			if (s.p[end] == '\\')
				end++;
		end = end < s.n ? end + 1 : s.n;
	}
	*rest = span_from(s, end);
	return span_first(s, end);
}

/* Moves behind the next ";" that is not in a quoted string or comment. */
static bool next_param(struct span *rest)
{
	size_t at = 0;
	bool is_quoted = false;

	while ((at = is_quoted ? at : skip_blanks(*rest, at)) < rest->n) {
		char c = rest->p[at++];

		if (is_quoted && c == '\\')
			at++;
		else if (c == '"')
			is_quoted = !is_quoted;
		else if (c == ';' && !is_quoted)
			break;
		if (at >= rest->n) {
			*rest = span_from(*rest, rest->n);
			return false;
		}
	}
	*rest = span_from(*rest, at);
	return rest->n > 0;
}

/* "NAME*3*" is piece 3, encoded; "NAME*" piece 0, encoded. Plain names are not asked here. */
static bool piece_of(struct span name, struct span wanted, size_t *ret_index, bool *ret_encoded)
{
	uint64_t index = 0;
	struct span tail;

	if (name.n <= wanted.n || name.p[wanted.n] != '*' ||
	    !span_eq_nocase(span_first(name, wanted.n), wanted))
		return false;
	tail = span_from(name, wanted.n + 1);
	*ret_encoded = tail.n == 0 || tail.p[tail.n - 1] == '*';
	if (tail.n > 0 && tail.p[tail.n - 1] == '*')
		tail.n--;
	if (tail.n > 0 && !span_u64(tail, PIECES_MAX - 1, &index))
		return false;
	*ret_index = (size_t)index;
	return true;
}

static void append_unquoted(struct buf *out, struct span raw)
{
	if (raw.n == 0 || raw.p[0] != '"') {
		buf_add(out, raw);
		return;
	}
	for (size_t i = 1; i < raw.n && raw.p[i] != '"'; i++) {
		if (raw.p[i] == '\\' && i + 1 < raw.n)
			i++;
		if (raw.p[i] != '\r' && raw.p[i] != '\n')
			buf_char(out, raw.p[i]);
	}
}

/* ext-value = [charset] "'" [language] "'" *(char / "%" 2HEXDIG) ; the first piece has the front */
static void append_encoded(struct buf *out, struct span raw, bool is_first)
{
	struct span charset, language;

	if (is_first && span_cut(raw, '\'', &charset, &raw))
		(void)span_cut(raw, '\'', &language, &raw);
	for (size_t i = 0; i < raw.n; i++) {
		int high = raw.p[i] == '%' && i + 2 < raw.n ? hex_digit(raw.p[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(raw.p[i + 2]) : -1;

		if (low >= 0) {
			buf_char(out, (char)(high << 4 | low));
			i += 2;
		} else {
			buf_char(out, raw.p[i]);
		}
	}
}

/* What is there under one name; p is NULL for what is not. */
struct param {
	struct span plain, pieces[PIECES_MAX];
	bool is_encoded[PIECES_MAX];
	bool is_twice;
};

static void collect(struct param *param, struct span params, struct span wanted)
{
	bool is_encoded = false, has_any = false;
	size_t index = 0;

	*param = (struct param){ .is_twice = false };
	while (next_param(&params)) {
		struct span attribute = mime_value_token(params, &params), raw, *place;
		bool is_plain = span_eq_nocase(attribute, wanted);

		if (params.n == 0 || params.p[0] != '=' ||
		    (!is_plain && !piece_of(attribute, wanted, &index, &is_encoded)))
			continue;
		params = span_from(params, 1);
		raw = take_raw_value(&params);
		place = is_plain ? &param->plain : &param->pieces[index];
		param->is_twice |= place->p != NULL || param->plain.p != NULL ||
				   (is_plain && has_any);
		has_any = true;
		if (place->p != NULL)
			continue;
		*place = raw;
		if (!is_plain)
			param->is_encoded[index] = is_encoded;
	}
}

static void append_pieces(struct buf *out, const struct param *param)
{
	for (size_t i = 0; i < PIECES_MAX && param->pieces[i].p != NULL; i++) {
		if (param->is_encoded[i])
			append_encoded(out, param->pieces[i], i == 0);
		else
			append_unquoted(out, param->pieces[i]);
	}
}

enum mime_param mime_value_param(struct buf *out, struct span params, const char *name)
{
	struct param param;

	collect(&param, params, span_of(name));
	if (param.plain.p != NULL)
		append_unquoted(out, param.plain);
	else if (param.pieces[0].p != NULL)
		append_pieces(out, &param);
	else
		return MIME_PARAM_NONE;
	return param.is_twice ? MIME_PARAM_TWICE : MIME_PARAM_FOUND;
}

bool mime_value_pieces(struct buf *out, struct span params, const char *name)
{
	struct param param;

	collect(&param, params, span_of(name));
	append_pieces(out, &param);
	return param.pieces[0].p != NULL;
}
