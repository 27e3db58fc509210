/* SPDX-License-Identifier: MIT */
/* Reading JSON; see json_read.h. RFC 8259. The text comes from servers that nobody need trust. */

#include "base/json_read.h"

#include "base/utf8.h"

static char next(struct span rest)
{
	return rest.n > 0 ? rest.p[0] : '\0';
}

/* ws = *( SP / HTAB / LF / CR ) */
static void skip_space(struct span *rest)
{
	while (next(*rest) == ' ' || next(*rest) == '\t' || next(*rest) == '\n' ||
	       next(*rest) == '\r')
		*rest = span_from(*rest, 1);
}

static bool take(struct span *rest, char wanted)
{
	if (rest->n == 0 || rest->p[0] != wanted)
		return false;
	*rest = span_from(*rest, 1);
	return true;
}

static bool hex4(struct span s, unsigned *ret)
{
	unsigned value = 0;

	for (size_t i = 0; i < 4; i++) {
		char c = i < s.n ? ascii_lower(s.p[i]) : '\0';

		if (ascii_is_digit(c))
			value = value * 16 + (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (unsigned)(c - 'a') + 10;
		else
			return false;
	}
	*ret = value;
	return true;
}

/* string = DQUOTE *( unescaped / "\" ( %x22 / "\" / "/" / "b" / "f" / "n" / "r" / "t" / "u" 4HEXDIG ) ) DQUOTE */
static bool take_string(struct span *rest, struct span *ret_raw)
{
	struct span all = *rest;
	unsigned code;

	if (!take(rest, '"'))
		return false;
	for (;;) {
		size_t size = utf8_char_length(*rest);
		char c = next(*rest);

		if (size == 0 || (unsigned char)c < 0x20)
			return false;
		if (c == '"')
			break;
		if (c == '\\') {
			char escaped = rest->n > 1 ? rest->p[1] : '\0';

			if (escaped == 'u' && !hex4(span_from(*rest, 2), &code))
				return false;
			if (escaped == '\0' || !span_has(SPAN("\"\\/bfnrtu"), escaped))
				return false;
			size = escaped == 'u' ? 6 : 2;
		}
		*rest = span_from(*rest, size);
	}
	*ret_raw = span_first(span_from(all, 1), all.n - rest->n - 1);
	return take(rest, '"');
}

static size_t take_digits(struct span *rest)
{
	size_t n = 0;

	while (ascii_is_digit(next(*rest))) {
		*rest = span_from(*rest, 1);
		n++;
	}
	return n;
}

/* number = [ "-" ] ( "0" / digit1-9 *DIGIT ) [ "." 1*DIGIT ] [ "e" [ "+" / "-" ] 1*DIGIT ] */
static bool take_number(struct span *rest)
{
	bool is_good;

	(void)take(rest, '-');
	is_good = take(rest, '0') || take_digits(rest) > 0;
	if (is_good && take(rest, '.'))
		is_good = take_digits(rest) > 0;
	if (is_good && (take(rest, 'e') || take(rest, 'E'))) {
		if (!take(rest, '+'))
			(void)take(rest, '-');
		is_good = take_digits(rest) > 0;
	}
	return is_good;
}

static bool take_word(struct span *rest)
{
	static const char *const words[] = { "true", "false", "null" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		struct span word = span_of(words[i]);

		if (span_starts(*rest, word)) {
			*rest = span_from(*rest, word.n);
			return true;
		}
	}
	return false;
}

static bool take_value(struct span *rest, unsigned depth, struct json_value *ret);

/* A member's name and the colon behind it. */
static bool take_name(struct span *rest, struct span *ret_name)
{
	skip_space(rest);
	if (!take_string(rest, ret_name))
		return false;
	skip_space(rest);
	return take(rest, ':');
}

/*
 * object = "{" [ member *( "," member ) ] "}" ; array = "[" [ value *( "," value ) ] "]"
 * With `wanted` the last member of that name is in *ret_found.
 */
static bool take_nested(struct span *rest, unsigned depth, const char *wanted,
			struct json_value *ret_found, bool *ret_is_found)
{
	bool is_object = next(*rest) == '{';
	char end = is_object ? '}' : ']';
	struct json_value value;
	struct span name = { NULL, 0 };

	*rest = span_from(*rest, 1);
	skip_space(rest);
	if (take(rest, end))
		return true;
	do {
		if ((is_object && !take_name(rest, &name)) || !take_value(rest, depth + 1, &value))
			return false;
		if (is_object && wanted != NULL && span_is(name, wanted)) {
			*ret_found = value;
			*ret_is_found = true;
		}
		skip_space(rest);
	} while (take(rest, ','));
	return take(rest, end);
}

static bool take_value(struct span *rest, unsigned depth, struct json_value *ret)
{
	struct span all;
	bool is_good, is_found;

	skip_space(rest);
	all = *rest;
	if (next(all) == '"') {
		ret->type = JSON_STRING;
		return take_string(rest, &ret->raw);
	}
	if (next(all) == '{' || next(all) == '[') {
		ret->type = JSON_NESTED;
		is_good = depth < JSON_DEPTH_MAX && take_nested(rest, depth, NULL, NULL, &is_found);
	} else if (next(all) == '-' || ascii_is_digit(next(all))) {
		ret->type = JSON_NUMBER;
		is_good = take_number(rest);
	} else {
		ret->type = JSON_WORD;
		is_good = take_word(rest);
	}
	ret->raw = span_first(all, all.n - rest->n);
	return is_good;
}

static bool take_object(struct span text, const char *wanted, struct json_value *ret_found,
			bool *ret_is_found)
{
	skip_space(&text);
	if (next(text) != '{' || !take_nested(&text, 0, wanted, ret_found, ret_is_found))
		return false;
	skip_space(&text);
	return text.n == 0;
}

bool json_is_object(struct span text)
{
	bool is_found = false;

	return take_object(text, NULL, NULL, &is_found);
}

bool json_find(struct span object, const char *name, struct json_value *ret)
{
	struct json_value found;
	bool is_found = false;

	if (!take_object(object, name, &found, &is_found) || !is_found)
		return false;
	*ret = found;
	return true;
}

/* ---- strings ---- */

static bool put_character(struct buf *out, unsigned code)
{
	if (code < 0x80)
		return buf_char(out, (char)code);
	if (code < 0x800)
		return buf_char(out, (char)(0xc0 | code >> 6)) &&
		       buf_char(out, (char)(0x80 | (code & 63)));
	if (code < 0x10000)
		return buf_char(out, (char)(0xe0 | code >> 12)) &&
		       buf_char(out, (char)(0x80 | (code >> 6 & 63))) &&
		       buf_char(out, (char)(0x80 | (code & 63)));
	return buf_char(out, (char)(0xf0 | code >> 18)) &&
	       buf_char(out, (char)(0x80 | (code >> 12 & 63))) &&
	       buf_char(out, (char)(0x80 | (code >> 6 & 63))) &&
	       buf_char(out, (char)(0x80 | (code & 63)));
}

/* "\uXXXX", or two of them for what is beyond U+FFFF. */
static bool take_code(struct span *rest, unsigned *ret)
{
	unsigned high, low;

	if (!hex4(span_from(*rest, 2), &high))
		return false;
	*rest = span_from(*rest, 6);
	*ret = high;
	if (high < 0xd800 || high > 0xdfff)
		return true;
	if (high > 0xdbff || !span_starts(*rest, SPAN("\\u")) ||
	    !hex4(span_from(*rest, 2), &low) || low < 0xdc00 || low > 0xdfff)
		return false;
	*rest = span_from(*rest, 6);
	*ret = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

bool json_decode(struct buf *out, struct span raw)
{
	static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
	unsigned code;
	size_t at;

	while (raw.n > 0) {
		if (raw.p[0] != '\\') {
			if (!buf_char(out, raw.p[0]))
				return false;
			raw = span_from(raw, 1);
			continue;
		}
		if (raw.n > 1 && raw.p[1] == 'u') {
			if (!take_code(&raw, &code) || !put_character(out, code))
				return false;
			continue;
		}
		if (raw.n < 2)
			return false;
		if (!buf_char(out, span_chr(span_of(letters), raw.p[1], &at) ? meanings[at] : raw.p[1]))
			return false;
		raw = span_from(raw, 2);
	}
	return true;
}
