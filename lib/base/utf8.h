/* SPDX-License-Identifier: MIT */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

/* UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */

#include "base/span.h"

/* Bytes of the first character of `s`: 1 to 4, or 0 when it is malformed or `s` is empty. */
size_t utf8_char_length(struct span s);

/* Whether all of `s` is well-formed, and whether it has a byte above 0x7f. */
bool utf8_is_valid(struct span s);
bool utf8_has_8bit(struct span s);

#endif
