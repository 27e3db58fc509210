/* SPDX-License-Identifier: MIT */
#ifndef MAIL_DOMAIN_H
#define MAIL_DOMAIN_H

/* What may stand behind the "@": host names and address literals. */

#include "base/span.h"

struct ip_addr;

enum { DOMAIN_LABEL_MAX = 63, DOMAIN_NAME_MAX = 255 };

enum domain_status {
	DOMAIN_OK,
	DOMAIN_EMPTY, /* nothing there, or an empty label: leading, trailing or double dot */
	DOMAIN_TOO_LONG, /* a label or the whole */
	DOMAIN_BAD_CHAR,
	DOMAIN_BAD_HYPHEN, /* at an end of a label */
	DOMAIN_NUMERIC, /* digits and dots alone, so neither a name nor an address */
	DOMAIN_BAD_LITERAL, /* [...] around no address */
};

/*
 * A host name by RFC 1123 2.1 as mail systems use it: letters, digits, hyphens, and the
 * underscore that occurs in practice. With `may_be_utf8` bytes over 0x7f pass as well; whether
 * they make a name only idna_to_ascii() can say.
 */
MUST_USE enum domain_status domain_check_name(struct span name, bool may_be_utf8);

/*
 * "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 4.1.3). *ret_addr, which may be NULL, gets
 * the address.
 */
MUST_USE enum domain_status domain_check_literal(struct span text, struct ip_addr *ret_addr);

/* Either of them, by the first byte. */
MUST_USE enum domain_status domain_check(struct span domain, bool may_be_utf8);

/* A few words for a log line: "empty name or label". */
const char *domain_status_text(enum domain_status status);

/* The parent domain: what is behind the first dot; empty when there is none. */
struct span domain_parent(struct span name);

/* Whether `name` is `parent` or below it, without ASCII case. */
bool domain_is_within(struct span name, struct span parent);

#endif
