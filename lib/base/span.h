/* SPDX-License-Identifier: MIT */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

/*
 * A borrowed run of bytes: not NUL-terminated, may hold any byte, owned by somebody else who
 * outlives it. Parsers take and give spans and allocate nothing. {NULL, 0} is the empty span.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct span {
	const char *p;
	size_t n;
};

/* A string literal as a span; `span_of` takes any C string (NULL gives the empty span). */
#define SPAN(literal) ((struct span){ (literal), sizeof(literal) - 1 })
struct span span_of(const char *text);

/* For printf: "%.*s", SPAN_ARG(s). The length is cut at INT_MAX. */
#define SPAN_ARG(s) span_int((s).n), ((s).p != NULL ? (s).p : "")
int span_int(size_t n);

/* Comparison: exact, without ASCII case, and three-way (memcmp order, shorter first). */
bool span_eq(struct span a, struct span b);
bool span_eq_nocase(struct span a, struct span b);
int span_cmp(struct span a, struct span b);
bool span_is(struct span a, const char *text);
bool span_is_nocase(struct span a, const char *text);
bool span_starts(struct span s, struct span prefix);
bool span_starts_nocase(struct span s, struct span prefix);
bool span_ends(struct span s, struct span suffix);
bool span_ends_nocase(struct span s, struct span suffix);

/* Parts: from `at` to the end, and the first `n` bytes (both cut at the end of `s`). */
struct span span_from(struct span s, size_t at);
struct span span_first(struct span s, size_t n);

/* Without blanks (space, tab, CR, LF, VT, FF) at both ends, or at the right end alone. */
struct span span_trim(struct span s);
struct span span_trim_right(struct span s);

/* Position of the first or last `c`; false and *ret_at untouched when there is none. */
bool span_chr(struct span s, char c, size_t *ret_at);
bool span_rchr(struct span s, char c, size_t *ret_at);
bool span_has(struct span s, char c);

/* Splits at the first `sep`: false, and nothing set, when there is none. */
bool span_cut(struct span s, char sep, struct span *ret_left, struct span *ret_right);

/*
 * Next word of *rest between bytes of `separators`; *rest moves behind it. An empty span says
 * that no word is left.
 */
struct span span_word(struct span *rest, const char *separators);

/*
 * Next line of *rest without its line end (LF or CRLF); *rest moves behind it. False at the
 * end. A last line without line end counts.
 */
bool span_line(struct span *rest, struct span *ret_line);

/* Decimal digits only, no sign, no blanks, at most `max`; false on anything else. */
MUST_USE bool span_u64(struct span s, uint64_t max, uint64_t *ret_value);

/* ASCII classes and folding that no locale can change. */
bool ascii_is_digit(char c);
bool ascii_is_alpha(char c);
bool ascii_is_alnum(char c);
bool ascii_is_blank(char c); /* space, tab, CR, LF, VT, FF */
bool ascii_is_print(char c); /* 0x20 to 0x7e */
char ascii_lower(char c);
char ascii_upper(char c);

#endif
