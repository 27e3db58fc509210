/* SPDX-License-Identifier: MIT */
#ifndef BASE_JSON_H
#define BASE_JSON_H

/* Writing JSON (RFC 8259): strings and the members of an object, into a buffer. */

#include "base/buf.h"

/*
 * Appends `s` as a string with its quotes. Control characters and what is not well-formed UTF-8
 * become escapes; a byte that is no part of a character becomes U+FFFD.
 */
bool json_string(struct buf *buf, struct span s);

/* Appends "name": "value", with a comma in front unless the buffer ends in "{". */
bool json_member(struct buf *buf, const char *name, struct span value);

#endif
