/* SPDX-License-Identifier: MIT */
/* Borrowed byte ranges; see span.h. Runs everywhere, trusts nothing, allocates nothing. */

#include "base/span.h"

#include <limits.h>
#include <string.h>

struct span span_of(const char *text)
{
	return (struct span){ text, text != NULL ? strlen(text) : 0 };
}

int span_int(size_t n)
{
	return n > INT_MAX ? INT_MAX : (int)n;
}

bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_eq_nocase(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

int span_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

	if (order != 0)
		return order;
	return (a.n > b.n) - (a.n < b.n);
}

bool span_is(struct span a, const char *text)
{
	return span_eq(a, span_of(text));
}

bool span_is_nocase(struct span a, const char *text)
{
	return span_eq_nocase(a, span_of(text));
}

bool span_starts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_eq(span_first(s, prefix.n), prefix);
}

bool span_starts_nocase(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_eq_nocase(span_first(s, prefix.n), prefix);
}

bool span_ends(struct span s, struct span suffix)
{
	return s.n >= suffix.n && span_eq(span_from(s, s.n - suffix.n), suffix);
}

bool span_ends_nocase(struct span s, struct span suffix)
{
	return s.n >= suffix.n && span_eq_nocase(span_from(s, s.n - suffix.n), suffix);
}

struct span span_from(struct span s, size_t at)
{
	if (at >= s.n)
		return (struct span){ s.p != NULL ? s.p + s.n : NULL, 0 };
	return (struct span){ s.p + at, s.n - at };
}

struct span span_first(struct span s, size_t n)
{
	return (struct span){ s.p, n < s.n ? n : s.n };
}

struct span span_trim_right(struct span s)
{
	while (s.n > 0 && ascii_is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct span span_trim(struct span s)
{
	while (s.n > 0 && ascii_is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	return span_trim_right(s);
}

bool span_chr(struct span s, char c, size_t *ret_at)
{
	const char *found = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

	if (found == NULL)
		return false;
	*ret_at = (size_t)(found - s.p);
	return true;
}

bool span_rchr(struct span s, char c, size_t *ret_at)
{
	const char *found = s.n > 0 ? memrchr(s.p, c, s.n) : NULL;

	if (found == NULL)
		return false;
	*ret_at = (size_t)(found - s.p);
	return true;
}

bool span_has(struct span s, char c)
{
	size_t at;

	return span_chr(s, c, &at);
}

bool span_cut(struct span s, char sep, struct span *ret_left, struct span *ret_right)
{
	size_t at;

	if (!span_chr(s, sep, &at))
		return false;
	*ret_left = span_first(s, at);
	*ret_right = span_from(s, at + 1);
	return true;
}

static bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

struct span span_word(struct span *rest, const char *separators)
{
	size_t start = 0, end;

	while (start < rest->n && is_one_of(rest->p[start], separators))
		start++;
	end = start;
	while (end < rest->n && !is_one_of(rest->p[end], separators))
		end++;

	struct span word = span_first(span_from(*rest, start), end - start);

	*rest = span_from(*rest, end);
	return word;
}

bool span_line(struct span *rest, struct span *ret_line)
{
	size_t at;

	if (rest->n == 0)
		return false;
	if (span_chr(*rest, '\n', &at)) {
		*ret_line = span_first(*rest, at);
		*rest = span_from(*rest, at + 1);
	} else {
		*ret_line = *rest;
		*rest = span_from(*rest, rest->n);
	}
	if (ret_line->n > 0 && ret_line->p[ret_line->n - 1] == '\r')
		ret_line->n--;
	return true;
}

bool span_u64(struct span s, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]))
			return false;

		uint64_t digit = (uint64_t)(s.p[i] - '0');

		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (value > max)
		return false;
	*ret_value = value;
	return true;
}

bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool ascii_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool ascii_is_alnum(char c)
{
	return ascii_is_digit(c) || ascii_is_alpha(c);
}

bool ascii_is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool ascii_is_print(char c)
{
	return c >= ' ' && c <= '~';
}

char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

char ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}
