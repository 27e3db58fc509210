/* SPDX-License-Identifier: MIT */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

/* Base64 with padding, one line, no blanks (RFC 4648 4). */

#include "base/span.h"

struct buf;

/* Appends `data` encoded. False when `out` is full. */
bool base64_encode(struct buf *out, struct span data);

/*
 * Appends what `text` stands for. False, with `out` as it was, for any byte outside the alphabet,
 * wrong padding, or bits set that no encoder sets.
 */
MUST_USE bool base64_decode(struct buf *out, struct span text);

#endif
