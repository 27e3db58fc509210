/* SPDX-License-Identifier: MIT */
#ifndef MAIL_SMTP_ADDR_H
#define MAIL_SMTP_ADDR_H

/* The paths of MAIL FROM, RCPT TO and VRFY (RFC 5321 4.1.2) to addresses in internal form. */

#include "base/span.h"

struct buf;

enum smtp_addr_flags {
	/* strict_rfc821_envelopes: no missing brackets, comments, empty local parts. */
	SMTP_ADDR_STRICT = 1 << 0,
	/* Nothing but the grammar: also no blanks and nothing behind the bracket. */
	SMTP_ADDR_EXACT = 1 << 1,
	/* Local part at most 64 bytes, path at most 256 (RFC 5321 4.5.3.1). */
	SMTP_ADDR_LIMITS = 1 << 2,
	/* SMTPUTF8 was given: domains may be UTF-8. */
	SMTP_ADDR_UTF8 = 1 << 3,
	/* SMTPUTF8 was not given and is needed for bytes above 0x7f (strict_smtputf8). */
	SMTP_ADDR_ASCII = 1 << 4,
	/* A local part may begin with "-" (allow_min_user). */
	SMTP_ADDR_MIN_USER = 1 << 5,
	/* Domains of digits and dots pass (resolve_numeric_domain). */
	SMTP_ADDR_NUMERIC = 1 << 6,
};

enum smtp_addr_status {
	SMTP_ADDR_OK,
	SMTP_ADDR_SYNTAX, /* answer 501 5.1.7 for a sender, 501 5.1.3 for a recipient */
	SMTP_ADDR_NEEDS_UTF8, /* answer 553 5.6.7 */
};

/*
 * Appends the internal form of `path` to `out`: source routes and quotes gone, a trailing dot
 * of the domain kept. Nothing is appended for the null path "<>" and its lax variants, which is
 * SMTP_ADDR_OK: the caller knows whether it is allowed. On an error `out` is as it was.
 * Bytes must be well-formed UTF-8 without controls. Time is linear.
 */
MUST_USE enum smtp_addr_status smtp_addr_parse(struct span path, unsigned flags, struct buf *out);

/* How many bytes at the front of `args` are the path: to the blank outside of <> and quotes. */
size_t smtp_addr_length(struct span args);

#endif
