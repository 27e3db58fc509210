/* SPDX-License-Identifier: MIT */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

/*
 * Words that may hold separators inside balanced braces, as in
 * "hash:/etc/aliases, inline:{ a=b, { c = d e } }". Braces may not nest deeper than memory is
 * long: nothing here recurses.
 */

#include "base/buf.h"

#define WORDS_BLANK_OR_COMMA ", \t\r\n"

/*
 * Next word of *rest between bytes of `separators` that are outside braces; *rest moves behind
 * it. An empty span says that no word is left. An unclosed brace reaches to the end.
 */
struct span words_next(struct span *rest, const char *separators);

/* Whether one of the words of `list`, between blanks and commas, is `word`, in any case. */
bool words_have(struct span list, struct span word);

/*
 * The text between "{" at the start and the "}" that closes it at the end, without blanks
 * around it. False and a reason in *ret_reason (a constant, Postfix's wording) when there is
 * no "{", no "}", or text after it.
 */
bool words_unbrace(struct span text, struct span *ret_inner, const char **ret_reason);

#endif
