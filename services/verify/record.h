/* SPDX-License-Identifier: MIT */
#ifndef VERIFY_RECORD_H
#define VERIFY_RECORD_H

/*
 * What is known of an address, and its form in address_verify_map, which is Postfix's:
 * "STATE:PROBED:UPDATED:TEXT", the state as a number, times in seconds since 1970. Tables may have been
 * written by other programs, or be damaged.
 */

#include "base/span.h"
#include "ipc/verify.h"

enum { RECORD_TEXT_BYTES = 1000 };

struct record {
	enum verify_state state; /* never VERIFY_PENDING */
	int64_t updated_s;       /* when the outcome came, seconds since 1970; not negative */
	char text[RECORD_TEXT_BYTES]; /* one line, as log_clean() makes it */
};

/*
 * False, and *ret untouched, when `text` is not of that form, or the state is none of a record. What is
 * not clean in the TEXT is made so.
 */
MUST_USE bool record_parse(struct span text, struct record *ret);

/* That form, to be freed; record_parse() makes the same record of it. When it was probed is not said: 0. */
char *record_format(const struct record *record);

#endif
