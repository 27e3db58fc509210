/* SPDX-License-Identifier: MIT */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/* Base64 of RFC 4648 section 4, on one line. Both append; false when *out is full. */
bool base64_encode(struct span data, struct buf *out);

/*
 * Strict: no blanks, no line ends, padding where it belongs, unused bits zero. False, with
 * nothing appended, on anything else.
 */
MUST_USE bool base64_decode(struct span text, struct buf *out);

#endif
