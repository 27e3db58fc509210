/* SPDX-License-Identifier: MIT */
#ifndef BASE_JSON_READ_H
#define BASE_JSON_READ_H

/*
 * Reading JSON (RFC 8259): the members of one object that is a whole text. Strict: what breaks the
 * grammar anywhere makes all of it malformed; nesting ends at JSON_DEPTH_MAX.
 */

#include "base/buf.h"

enum { JSON_DEPTH_MAX = 32 };

enum json_type { JSON_STRING, JSON_NUMBER, JSON_WORD, JSON_NESTED };

struct json_value {
	enum json_type type;
	struct span raw; /* without the quotes of a string; borrowed from the text */
};

/* Whether all of `text` is one object. */
MUST_USE bool json_is_object(struct span text);

/*
 * The member of that name of the object, whose own members are not looked into; of two with the same
 * name the last. False: there is none, or the text is no object.
 */
MUST_USE bool json_find(struct span object, const char *name, struct json_value *ret);

/* Appends the string that JSON_STRING's raw stands for, in UTF-8. False: a lone surrogate, or no room. */
MUST_USE bool json_decode(struct buf *out, struct span raw);

#endif
