/* SPDX-License-Identifier: MIT */
#ifndef MAIL_XTEXT_H
#define MAIL_XTEXT_H

/* The "+2B" encoding of DSN parameters (RFC 3461 4) and that of UTF-8 ORCPT (RFC 6533 3). */

#include "base/span.h"

struct buf;

/*
 * Appends what `text` stands for. False, with `out` as it was, when a "+" is not followed by two
 * hexadecimal digits or the result would hold a control character, a line end above all.
 */
MUST_USE bool xtext_decode(struct buf *out, struct span text);

/* Appends `text` with everything but printable ASCII, and "+" and "=", encoded. */
bool xtext_encode(struct buf *out, struct span text);

/*
 * utf-8-addr-xtext of RFC 6533: \x{HEX} stands for a character. False, with `out` as it was, for
 * bad hexadecimal or what is no character or a control.
 */
MUST_USE bool utf8_xtext_decode(struct buf *out, struct span text);
bool utf8_xtext_encode(struct buf *out, struct span text);

/* 0 to 15, or -1 when `c` is no hexadecimal digit. */
int hex_digit(char c);

#endif
