/* SPDX-License-Identifier: MIT */
#ifndef MAIL_ADDR_EXT_H
#define MAIL_ADDR_EXT_H

/* Address extensions, "user+folder": recipient_delimiter and what is around it. */

#include "base/span.h"

struct buf;

struct addr_ext_rules {
	struct span delimiters; /* recipient_delimiter: a set, empty for no extensions */
	bool is_owner_special; /* owner_request_special: owner-x and x-request are never split */
};

/*
 * Splits a local part at the first byte of the set that is not its first byte. False, and
 * nothing set, when there is none, and for postmaster, mailer-daemon and double-bounce, which
 * the mail system itself needs. The delimiter is ret_user->p[ret_user->n], the extension what
 * follows it (it may be empty).
 */
bool addr_ext_split(struct span local, const struct addr_ext_rules *rules, struct span *ret_user,
		    struct span *ret_ext);

/* Appends `address` with `suffix` ("+folder") between local part and domain. */
bool addr_ext_join(struct buf *out, struct span address, struct span suffix);

#endif
