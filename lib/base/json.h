/* SPDX-License-Identifier: MIT */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

/*
 * Appends `s` as a JSON string with its quotes (RFC 8259 section 7). Bytes that are not
 * well-formed UTF-8 become U+FFFD. False when *out is full.
 */
bool json_string(struct buf *out, struct span s);

#endif
