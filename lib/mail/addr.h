/* SPDX-License-Identifier: MIT */
#ifndef MAIL_ADDR_H
#define MAIL_ADDR_H

/*
 * Addresses in internal form: local part without quotes, "@", domain, as the queue, tables and
 * logs of decisions have them. The last "@" separates: a local part may hold any byte, the
 * domain has no "@". External form, for SMTP and headers, has quotes where the grammar needs
 * them; the two grammars (RFC 5321 4.1.2, RFC 5322 3.4.1) agree on where that is.
 */

#include "base/span.h"

struct buf;

struct addr {
	struct span local;
	struct span domain; /* without the "@"; may be empty, as in "user@" */
	bool has_domain; /* there is an "@" */
};

struct addr addr_split(struct span internal);

/* Appends the external form; the null address appends nothing. False when `out` is full. */
bool addr_quote(struct buf *out, struct span internal);

/*
 * Whether `local` may stand without quotes: atoms and dots, no dot at an end or beside another.
 * Bytes above 0x7f count as letters (RFC 6531).
 */
bool addr_is_dot_string(struct span local);

/* atext of RFC 5322 3.2.3, and the bytes above 0x7f of RFC 6531. */
bool addr_is_atext(char c);

#endif
