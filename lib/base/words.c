/* SPDX-License-Identifier: MIT */
/* Words with braces; see words.h. Allocates nothing. */

#include "base/words.h"

#include <string.h>

static bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

struct span words_next(struct span *rest, const char *separators)
{
	size_t start = 0, end, depth = 0;

	while (start < rest->n && is_one_of(rest->p[start], separators))
		start++;
	for (end = start; end < rest->n; end++) {
		char c = rest->p[end];

		if (depth == 0 && is_one_of(c, separators))
			break;
		if (c == '{')
			depth++;
		else if (c == '}' && depth > 0)
			depth--;
	}

	struct span word = span_first(span_from(*rest, start), end - start);

	*rest = span_from(*rest, end);
	return word;
}

bool words_have(struct span list, struct span word)
{
	struct span item;

	while ((item = span_word(&list, WORDS_BLANK_OR_COMMA)).n > 0)
		if (span_eq_nocase(item, word))
			return true;
	return false;
}

/* Position of the "}" that closes the "{" at the start of `text`. */
static bool closing_brace(struct span text, size_t *ret_at)
{
	size_t depth = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '{')
			depth++;
		else if (text.p[i] == '}' && --depth == 0) {
			*ret_at = i;
			return true;
		}
	}
	return false;
}

bool words_unbrace(struct span text, struct span *ret_inner, const char **ret_reason)
{
	size_t end;

	if (text.n == 0 || text.p[0] != '{') {
		*ret_reason = "no '{' at start of text";
		return false;
	}
	if (!closing_brace(text, &end)) {
		*ret_reason = "missing '}'";
		return false;
	}
	if (span_trim(span_from(text, end + 1)).n > 0) {
		*ret_reason = "syntax error after '}'";
		return false;
	}
	*ret_inner = span_trim(span_from(span_first(text, end), 1));
	return true;
}
